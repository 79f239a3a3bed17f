package dhlunified

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const defaultService = "parcel-de"

// fake is DHL's side: the key, one number a call, the day's calls, problems by
// RFC 7807, and the pushes of a subscription.
type fake struct {
	env   carriers.FakeEnv
	zones carrierkit.Zones
	limit int // calls a day; 0 for no limit

	mu    sync.Mutex
	day   string
	calls int
}

func newFake(env carriers.FakeEnv) carriers.Fake {
	limit, err := strconv.Atoi(env.Settings["calls_per_day"])
	if err != nil {
		limit = defaultCallsPerDay
	}
	return &fake{env: env, limit: limit}
}

// fakeWord is how DHL says a canonical code.
type fakeWord struct {
	code               parcel.Code
	reason             parcel.Reason
	to                 parcel.DeliveredTo
	state, status, say string
}

// fakeWords are in the order of a journey; of several sentences of one code
// that one is said which agrees most with the scan, the first of equals.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "", "", "pre-transit", "VA", "The sender has announced the shipment to DHL electronically"},
		{parcel.CodePickedUp, "", "", "transit", "ANNAHME", "The shipment has been posted by the sender"},
		{parcel.CodeExportExchangeArrived, "", "", "transit", "EXPORT-PAKETZENTRUM", "The shipment has arrived at the export parcel center"},
		{parcel.CodeExportCustomsPresented, "", "", "transit", "ZOLL", "The shipment is being presented to customs for export"},
		{parcel.CodeExportCustomsHeld, "", "", "transit", "ZOLL", "The shipment is held by customs before its export"},
		{parcel.CodeExportCustomsReleased, "", "", "transit", "ZOLL", "The shipment has been cleared by customs for export"},
		{parcel.CodeOriginCountryDeparted, "", "", "transit", "EXPORT", "The shipment has left the country of origin"},
		{parcel.CodeDestinationCountryArrived, "", "", "transit", "IMPORT", "The shipment has arrived in the destination country"},
		{parcel.CodeImportCustomsPresented, "", "", "transit", "ZOLL", "The shipment is being presented to customs"},
		{parcel.CodeImportCustomsHeld, "", "", "transit", "ZOLL", "The shipment is held by customs"},
		{parcel.CodeImportCustomsReleased, "", "", "transit", "ZOLL", "The shipment has been cleared by customs"},
		{parcel.CodeInTransit, "", "", "transit", "PAKETZENTRUM", "The shipment has been processed in a parcel center"},
		{parcel.CodeDestinationHubProcessed, "", "", "transit", "ZIEL-PAKETZENTRUM", "The shipment has arrived at the destination parcel center"},
		{parcel.CodeOutForDelivery, "", "", "transit", "ZUSTELLFAHRZEUG", "The shipment has been loaded onto the delivery vehicle"},
		{parcel.CodeDeliveryAttemptFailed, "", "", "failure", "NICHT ZUSTELLBAR", "The shipment could not be delivered"},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "", "failure", "NICHT ZUSTELLBAR", "The shipment could not be delivered: the recipient was not present"},
		{parcel.CodeAddressProblem, parcel.ReasonAddressIncorrect, "", "failure", "NICHT ZUSTELLBAR", "The shipment could not be delivered: the address is incomplete"},
		{parcel.CodeRefused, parcel.ReasonRefused, "", "failure", "NICHT ZUSTELLBAR", "The recipient refused the shipment"},
		{parcel.CodeDamaged, "", "", "failure", "BESCHAEDIGT", "The shipment has been damaged"},
		{parcel.CodeReadyForPickup, "", "", "transit", "FILIALE", "The shipment is ready for pick-up at the retail outlet"},
		{parcel.CodeReadyForPickup, "", parcel.DeliveredToLocker, "transit", "PACKSTATION", "The shipment has been put into a Packstation"},
		{parcel.CodeDelivered, "", "", "delivered", "ZUSTELLUNG", "The shipment has been delivered"},
		{parcel.CodeDelivered, "", parcel.DeliveredToNeighbour, "delivered", "ZUSTELLUNG", "The shipment has been delivered to a neighbor"},
		{parcel.CodeDelivered, "", parcel.DeliveredToSafePlace, "delivered", "ZUSTELLUNG", "The shipment has been left in a safe place"},
		{parcel.CodeReturnStarted, "", "", "failure", "RUECKSENDUNG", "The shipment is being returned to the sender"},
		{parcel.CodeReturnStarted, parcel.ReasonAddressIncorrect, "", "failure", "RUECKSENDUNG", "The shipment is being returned to the sender because of its address"},
		{parcel.CodeReturned, "", parcel.DeliveredToSender, "delivered", "RUECKSENDUNG", "The shipment has been delivered to the sender"},
	}
}

// Speaks lists the codes that DHL has words for.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, w := range fakeWords() {
		if !slices.Contains(codes, w.code) {
			codes = append(codes, w.code)
		}
	}
	return codes
}

// sayScan finds the words that say most of a scan.
func sayScan(s carriers.FakeScan) (fakeWord, bool) {
	var best fakeWord
	most := -1
	for _, w := range fakeWords() {
		if w.code != s.Code {
			continue
		}
		said := 0
		if w.reason == s.Reason {
			said++
		}
		if w.to == s.DeliveredTo {
			said++
		}
		if said > most {
			best, most = w, said
		}
	}
	return best, most >= 0
}

// Handler serves Shipment Tracking.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+trackPath, f.track)
	return mux
}

// spend takes a call off the day's.
func (f *fake) spend() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if today := f.env.Now().UTC().Format(parcel.DayLayout); today != f.day {
		f.day, f.calls = today, 0
	}
	f.calls++
	return f.limit <= 0 || f.calls <= f.limit
}

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	key := f.env.Settings["api_key"]
	query := r.URL.Query()
	number := query.Get("trackingNumber")
	switch {
	case key == "" || !carrierkit.ConstantTimeEqual(r.Header.Get("DHL-API-Key"), key):
		refuse(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized for given resource.", "")
		return
	case !f.spend():
		refuse(w, http.StatusTooManyRequests, "Too many requests", "Too many requests within defined time period, please try again later.", "")
		return
	case number == "" || strings.Contains(number, ","):
		refuse(w, http.StatusBadRequest, "Bad request", "Parameter trackingNumber holds one number.", "")
		return
	}
	h, known := f.env.Journeys(number)
	service := f.service()
	if asked := query.Get("service"); asked != "" && asked != service || len(h.Scans) == 0 {
		known = false
	}
	if code := query.Get("recipientPostalCode"); code != "" && h.Postcode != "" && code != h.Postcode {
		known = false
	}
	if !known {
		refuse(w, http.StatusNotFound, "No result found", "No shipment with given tracking number found.", "/shipment/"+number)
		return
	}
	reply(w, http.StatusOK, "application/json", map[string]any{
		"url":                            "/shipments?trackingNumber=" + number + "&offset=0&limit=5",
		"shipments":                      []any{f.shipment(number, h)},
		"possibleAdditionalShipmentsUrl": []string{"/shipments?trackingNumber=" + number + "&service=parcel-nl"},
	})
}

func (f *fake) service() string {
	if s := f.env.Settings["service"]; s != "" {
		return s
	}
	return defaultService
}

func reply(w http.ResponseWriter, status int, contentType string, doc any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // a caller who hung up hears nothing
}

func refuse(w http.ResponseWriter, status int, title, detail, instance string) {
	problem := map[string]any{"title": title, "detail": detail, "status": status}
	if instance != "" {
		problem["instance"] = instance
	}
	reply(w, status, "application/problem+json", problem)
}

// shipment tells a history, newest scan first.
func (f *fake) shipment(number string, h carriers.FakeHistory) map[string]any {
	details := map[string]any{
		"product":                        map[string]string{"productName": "DHL PAKET"},
		"proofOfDeliverySignedAvailable": false,
		"totalNumberOfPieces":            1,
		"pieceIds":                       []string{number},
	}
	if h.NextNumber != "" {
		details["references"] = []any{map[string]string{"number": h.NextNumber, "type": "local-tracking-number"}}
	}
	s := map[string]any{
		"id":          number,
		"service":     f.service(),
		"origin":      map[string]any{"address": map[string]any{"countryCode": h.Origin}},
		"destination": map[string]any{"address": map[string]any{"countryCode": h.Destination, "postalCode": h.Postcode}},
		"details":     details,
	}
	if !h.Estimated.IsZero() {
		s["estimatedTimeOfDelivery"] = h.Estimated.Format("2006-01-02T15:04:05")
	}
	events := []any{}
	for _, scan := range slices.Backward(h.Scans) {
		said, ok := sayScan(scan)
		if !ok {
			continue
		}
		e := map[string]any{
			"timestamp":   f.written(scan),
			"location":    map[string]any{"address": fakeAddress(scan.Place)},
			"statusCode":  said.state,
			"status":      said.status,
			"description": said.say,
		}
		if len(events) == 0 {
			s["status"] = e
		}
		events = append(events, e)
	}
	s["events"] = events
	return s
}

// written is the clock of the place without a zone, and Z where no place is
// known.
func (f *fake) written(s carriers.FakeScan) string {
	zone, _ := parcel.ZoneFor(s.Place)
	if loc := f.zones.Location(zone); loc != nil {
		return s.At.In(loc).Format("2006-01-02T15:04:05")
	}
	return s.At.UTC().Format(time.RFC3339)
}

func fakeAddress(p parcel.Place) map[string]string {
	a := map[string]string{}
	for key, value := range map[string]string{
		"countryCode": string(p.Country), "postalCode": p.Postcode, "addressLocality": p.City, "addressRegion": p.Region,
	} {
		if value != "" {
			a[key] = value
		}
	}
	return a
}

// Push sends the shipment with all its scans, as a subscription does.
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	if len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	if _, ok := sayScan(h.Scans[len(h.Scans)-1]); !ok {
		return carriers.Delivery{}, false
	}
	body, err := json.Marshal(map[string]any{
		"scope":     "subscription.push",
		"self":      "https://api-eu.dhl.com/tracking/push/v1/subscription/5d7c9e6a",
		"shipments": []any{f.shipment(number, h)},
	})
	if err != nil {
		return carriers.Delivery{}, false // no value above can fail
	}
	pushHeader := f.env.Settings["push_header"]
	if pushHeader == "" {
		pushHeader = defaultPushHeader
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(pushHeader, f.env.Settings["push_token"])
	return carriers.Delivery{Header: header, Body: body}, true
}
