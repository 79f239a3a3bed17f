package canadapost

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// fake is Canada Post's side: user and password, the media type that must be
// asked for by name, the key's calls a minute, details and summaries.
type fake struct {
	env   carriers.FakeEnv
	zones carrierkit.Zones
	most  int // calls in a minute, 0 for no limit

	mu    sync.Mutex
	calls []time.Time // of the last minute, oldest first
}

func newFake(env carriers.FakeEnv) carriers.Fake {
	f := &fake{env: env, most: minuteCalls}
	if n, err := strconv.Atoi(env.Settings["calls_per_minute"]); err == nil {
		f.most = n
	}
	return f
}

// fakeWord is how Canada Post says a canonical code.
type fakeWord struct {
	code     parcel.Code
	own      string
	english  string
	francais string
}

// fakeWords are in the order of a journey; of several codes for one meaning
// the fake says the first.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "3000", "Electronic information submitted by shipper", "Renseignements électroniques soumis par l'expéditeur"},
		{parcel.CodePickedUp, "2300", "Item picked up by Canada Post", "Envoi ramassé par Postes Canada"},
		{parcel.CodeDroppedOff, "1301", "Item accepted at the Post Office", "Article accepté au bureau de poste"},
		{parcel.CodeInTransit, "0100", "Item processed", "Article traité"},
		{parcel.CodeExportExchangeArrived, "0815", "International item being prepared for export", "Article international en préparation pour l'exportation"},
		{parcel.CodeOriginCountryDeparted, "4202", "International item has left the origin country", "Article international sorti du pays d'origine"},
		{parcel.CodeTransitCountryArrived, "4900", "International item has arrived at transit destination", "Article international arrivé au pays de transit"},
		{parcel.CodeTransitCountryDeparted, "4950", "International item has been forwarded", "Article international acheminé"},
		{parcel.CodeDestinationCountryArrived, "0701", "Item has arrived in Canada", "Article arrivé au Canada"},
		{parcel.CodeImportCustomsPresented, "0800", "Item presented for customs review", "Article présenté à la douane"},
		{parcel.CodeImportCustomsHeld, "0810", "Item held by Customs", "Article retenu par la douane"},
		{parcel.CodeImportCustomsReleased, "0910", "Item was released by Customs", "Dédouanement complété"},
		{parcel.CodeCustomsRefused, "4450", "Import refused by customs", "Importation refusée par la douane"},
		{parcel.CodeLinehaulDelayed, "0172", "Item re-routed due to processing error", "Article réacheminé en raison d'une erreur"},
		{parcel.CodeDelayed, "0159", "Delivery may be delayed due to weather", "Livraison retardée par la météo"},
		{parcel.CodeDamaged, "0710", "Item arrived damaged", "Article arrivé endommagé"},
		{parcel.CodeCarrierHeld, "1484", "Item on hold", "Article retenu"},
		{parcel.CodeAddressProblem, "0173", "Customer addressing error found", "Erreur d'adressage du client"},
		{parcel.CodeDeliveryOfficeArrived, "4600", "Item has been received at the delivery office", "Article reçu au bureau de livraison"},
		{parcel.CodeOutForDelivery, "0174", "Item out for delivery", "Article sorti pour livraison"},
		{parcel.CodeDeliveryScheduled, "1414", "Item rescheduled for delivery next business day", "Livraison reportée au jour ouvrable suivant"},
		{parcel.CodeDeliveryAttemptFailed, "1479", "Notice card left", "Un avis a été laissé"},
		{parcel.CodeReadyForPickup, "1701", "Item available for pickup at Post Office", "Article peut être ramassé au bureau de poste"},
		{parcel.CodeDelivered, "1496", "Delivered", "Livré"},
		{parcel.CodeReturnStarted, "1420", "Item being returned to sender", "Article retourné à l'expéditeur"},
		{parcel.CodeReturned, "1498", "Item returned to sender", "Article renvoyé à l'expéditeur"},
		{parcel.CodeDisposed, "0150", "Item has been disposed of", "Article éliminé"},
	}
}

// Speaks lists the codes that Canada Post has words for.
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

// Handler serves the two operations by number.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pinPath+"{pin}"+detailPart, f.guarded(f.detail))
	mux.HandleFunc("GET "+pinPath+"{pin}/summary", f.guarded(f.summary))
	return mux
}

func reply(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

type fakeMessages struct {
	XMLName xml.Name  `xml:"http://www.canadapost.ca/ws/messages messages"`
	Message []message `xml:"message"`
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	reply(w, status, fakeMessages{Message: []message{{code, description}}})
}

// guarded checks what every call needs.
func (f *fake) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		known := f.env.Settings["username"]
		switch {
		case !ok || known == "" || !carrierkit.ConstantTimeEqual(user, known) || !carrierkit.ConstantTimeEqual(password, f.env.Settings["password"]):
			refuse(w, http.StatusUnauthorized, "E002", "AAA Authentication Failure")
		case r.Header.Get("Accept") != mediaType:
			w.WriteHeader(http.StatusNotAcceptable)
		case !f.allowed():
			refuse(w, http.StatusInternalServerError, "Server", "Rejected by SLM Monitor")
		default:
			next(w, r)
		}
	}
}

func (f *fake) allowed() bool {
	if f.most == 0 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.env.Now()
	f.calls = slices.DeleteFunc(f.calls, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(f.calls) >= f.most {
		return false
	}
	f.calls = append(f.calls, now)
	return true
}

const noHistory = "No Pin History"

type fakeDetail struct {
	XMLName     xml.Name    `xml:"http://www.canadapost.ca/ws/track tracking-detail"`
	Pin         string      `xml:"pin"`
	Active      int         `xml:"active-exists"`
	Archive     string      `xml:"archive-exists"`
	Changed     string      `xml:"changed-expected-date"`
	Destination string      `xml:"destination-postal-id"`
	Expected    string      `xml:"expected-delivery-date"`
	Service     string      `xml:"service-name"`
	Events      []fakeEvent `xml:"significant-events>occurrence"`
}

type fakeEvent struct {
	Code     string `xml:"event-identifier"`
	Date     string `xml:"event-date"`
	Time     string `xml:"event-time"`
	Zone     string `xml:"event-time-zone"`
	Words    string `xml:"event-description"`
	Signed   string `xml:"signatory-name"`
	Site     string `xml:"event-site"`
	Province string `xml:"event-province"`
	OfficeID string `xml:"event-retail-location-id"`
	Office   string `xml:"event-retail-name"`
}

func (f *fake) detail(w http.ResponseWriter, r *http.Request) {
	pin := r.PathValue("pin")
	h, ok := f.env.Journeys(pin)
	if !ok {
		refuse(w, http.StatusNotFound, "004", noHistory)
		return
	}
	doc := fakeDetail{Pin: pin, Active: 1, Destination: h.Postcode, Service: "Tracked Packet"}
	if !h.Estimated.IsZero() {
		doc.Expected = h.Estimated.Format(time.DateOnly)
	}
	for _, s := range slices.Backward(h.Scans) { // newest first
		i := slices.IndexFunc(fakeWords(), func(w fakeWord) bool { return w.code == s.Code })
		if i < 0 {
			continue
		}
		doc.Events = append(doc.Events, f.event(&s, &fakeWords()[i], r.Header.Get("Accept-Language") == "fr-CA"))
	}
	reply(w, http.StatusOK, doc)
}

// event writes a scan by the clock of its place: with the abbreviation in
// Canada, without one abroad.
func (f *fake) event(s *carriers.FakeScan, word *fakeWord, french bool) fakeEvent {
	e := fakeEvent{Code: word.own, Words: word.english, Site: s.Place.City, Province: s.Place.Region}
	if french {
		e.Words = word.francais
	}
	switch {
	case s.Code == parcel.CodeReturnStarted && s.Reason == parcel.ReasonRefused:
		e.Code = "1417"
	case s.Code == parcel.CodeReturnStarted && s.Reason == parcel.ReasonNotCollected:
		e.Code = "1419"
	case s.Code == parcel.CodeDelivered && s.DeliveredTo == parcel.DeliveredToSafePlace:
		e.Code = "1497"
	}
	name, _ := parcel.ZoneFor(s.Place)
	loc := f.zones.Location(name)
	if loc == nil {
		loc = time.UTC
	}
	local := s.At.In(loc)
	e.Date, e.Time = local.Format(time.DateOnly), local.Format(time.TimeOnly)
	if s.Place.Country == home {
		if abbreviation := local.Format("MST"); knownZone(abbreviation) {
			e.Zone = abbreviation
		}
		return e
	}
	e.Province = ""
	switch {
	case s.Place.Facility != "":
		e.Site = s.Place.Facility
	case s.Place.Country != "":
		e.Site += "," + s.Place.Country.Name()
	}
	return e
}

func knownZone(abbreviation string) bool {
	zone, _ := zoneOf(abbreviation)
	return zone != ""
}

type fakeSummary struct {
	XMLName xml.Name `xml:"http://www.canadapost.ca/ws/track tracking-summary"`
	Pin     string   `xml:"pin-summary>pin"`
	Day     string   `xml:"pin-summary>expected-delivery-date"`
	Words   string   `xml:"pin-summary>event-description"`
}

func (f *fake) summary(w http.ResponseWriter, r *http.Request) {
	pin := r.PathValue("pin")
	h, ok := f.env.Journeys(pin)
	if !ok {
		refuse(w, http.StatusNotFound, "004", noHistory)
		return
	}
	doc := fakeSummary{Pin: pin}
	if !h.Estimated.IsZero() {
		doc.Day = h.Estimated.Format(time.DateOnly)
	}
	reply(w, http.StatusOK, doc)
}
