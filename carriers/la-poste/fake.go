package laposte

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// The lengths of numbers that the service takes.
const (
	minNumber = 11
	maxNumber = 15
)

// fake is La Poste's side: the key, the batch of ten, one object or an array
// with status 207, and refusals in its own words.
type fake struct {
	env   carriers.FakeEnv
	codes carriers.Table
	paris *time.Location
}

func newFake(env carriers.FakeEnv, codes carriers.Table) *fake {
	var zones carrierkit.Zones
	return &fake{env: env, codes: codes, paris: zones.Location("Europe/Paris")}
}

// fakeWord is how La Poste says a canonical code.
type fakeWord struct {
	code  parcel.Code
	own   string
	label string
}

// fakeWords are in the order of a journey; of several codes for one meaning
// the fake says the first.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "DR1", "Votre colis est en cours de préparation chez l'expéditeur."},
		{parcel.CodePickedUp, "PC1", "Votre colis a été déposé dans un point postal."},
		{parcel.CodeInTransit, "ET1", "Votre colis est en cours d'acheminement."},
		{parcel.CodeExportExchangeArrived, "ET2", "Votre colis est prêt à quitter son pays d'expédition."},
		{parcel.CodeDestinationCountryArrived, "ET3", "Votre colis est arrivé dans le pays du destinataire."},
		{parcel.CodeImportCustomsPresented, "DO1", "Votre colis est présenté en douane."},
		{parcel.CodeImportCustomsHeld, "DO3", "Votre colis est retenu en douane."},
		{parcel.CodeImportCustomsReleased, "DO2", "Votre colis est sorti de douane."},
		{parcel.CodeOutForDelivery, "MD2", "Votre colis est sur le site qui dessert votre adresse. Nous le préparons pour sa mise en livraison."},
		{parcel.CodeDeliveryAttemptFailed, "ND1", "Votre colis n'a pas pu être livré."},
		{parcel.CodeReadyForPickup, "AG1", "Votre colis vous attend au guichet."},
		{parcel.CodeAddressProblem, "AN1", "Votre colis n'a pas pu être livré : une information d'adresse est manquante."},
		{parcel.CodeReturnStarted, "RE1", "Votre colis est retourné à l'expéditeur."},
		{parcel.CodeDelivered, "DI1", "Votre colis est livré."},
		{parcel.CodeReturned, "DI2", "Votre colis a été remis à l'expéditeur."},
	}
}

// Speaks lists the codes that La Poste has words for.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, w := range fakeWords() {
		codes = append(codes, w.code)
	}
	return codes
}

// Push is not offered by this API.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves Suivi v2.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+trackPath+"{ids}", f.track)
	return mux
}

func reply(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	key := f.env.Settings["api_key"]
	if key == "" || !carrierkit.ConstantTimeEqual(r.Header.Get("X-Okapi-Key"), key) {
		reply(w, http.StatusUnauthorized, map[string]string{"code": "UNAUTHORIZED", "message": "This action requires an authorization"})
		return
	}
	lang := r.URL.Query().Get("lang")
	if !slices.Contains(languages(), lang) {
		lang = defaultLanguage
	}
	ids := strings.Split(r.PathValue("ids"), ",")
	if len(ids) > batchLimit {
		reply(w, http.StatusBadRequest, map[string]any{"returnCode": http.StatusBadRequest, "returnMessage": fmt.Sprintf("Vous pouvez suivre %d envois au plus.", batchLimit), "lang": lang, "scope": "open"})
		return
	}
	answers := make([]map[string]any, len(ids))
	for i, id := range ids {
		answers[i] = f.answer(id, lang)
	}
	if len(answers) > 1 {
		reply(w, http.StatusMultiStatus, answers)
		return
	}
	reply(w, answers[0]["returnCode"].(int), answers[0])
}

func (f *fake) answer(id, lang string) map[string]any {
	refuse := func(code int, message string) map[string]any {
		return map[string]any{"lang": lang, "scope": "open", "returnCode": code, "returnMessage": message, "idShip": id}
	}
	if len(id) < minNumber || len(id) > maxNumber {
		return refuse(http.StatusBadRequest, "Le numéro que vous avez saisi n'est pas valide.")
	}
	h, ok := f.env.Journeys(id)
	if !ok {
		return refuse(http.StatusNotFound, "Nous ne trouvons pas d'information sur cet envoi.")
	}
	return map[string]any{"lang": lang, "scope": "open", "returnCode": http.StatusOK, "shipment": f.shipment(id, lang, h)}
}

func (f *fake) shipment(id, lang string, h carriers.FakeHistory) map[string]any {
	events := []any{}
	final, entry := false, ""
	for _, s := range slices.Backward(h.Scans) { // newest first
		i := slices.IndexFunc(fakeWords(), func(w fakeWord) bool { return w.code == s.Code })
		if i < 0 {
			continue
		}
		word := fakeWords()[i]
		label := word.label
		if lang != defaultLanguage {
			row, _ := f.codes.Lookup(word.own)
			label = strings.ToUpper(row.Doc[:1]) + row.Doc[1:] + "."
		}
		entry = s.At.In(f.paris).Format(time.RFC3339)
		events = append(events, map[string]string{"code": word.own, "label": label, "date": entry})
		final = final || word.code == parcel.CodeDelivered || word.code == parcel.CodeReturned
	}
	ends := map[string]any{"deliveryChoice": map[string]int{"deliveryChoice": 0}, "originCountry": h.Origin, "arrivalCountry": h.Destination}
	if h.NextNumber != "" {
		ends["partner"] = map[string]string{"name": h.NextCarrier, "network": h.NextCarrier, "reference": h.NextNumber}
	}
	s := map[string]any{
		"idShip": id, "holder": 4, "product": "colissimo", "isFinal": final, "timeline": []any{}, "event": events, "contextData": ends,
		"url": "https://www.laposte.fr/outils/suivre-vos-envois?code=" + id,
	}
	if entry != "" {
		s["entryDate"] = entry
	}
	if !h.Estimated.IsZero() {
		s["estimDate"] = h.Estimated.In(f.paris).Format(time.RFC3339)
	}
	return s
}
