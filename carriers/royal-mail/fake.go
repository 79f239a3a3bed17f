package royalmail

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

// fake is Royal Mail's side: the terms and the two credentials in headers, the
// plan's calls a day, events of one item and summaries of thirty.
type fake struct {
	env    carriers.FakeEnv
	london *time.Location
	most   int // calls in a day, 0 for no limit

	mu    sync.Mutex
	calls []time.Time // of the last day, oldest first
}

func newFake(env carriers.FakeEnv) carriers.Fake {
	var zones carrierkit.Zones
	f := &fake{env: env, london: zones.Location("Europe/London"), most: dailyCalls}
	if n, err := strconv.Atoi(env.Settings["calls_per_day"]); err == nil {
		f.most = n
	}
	return f
}

// fakeWord is how Royal Mail says a canonical code.
type fakeWord struct {
	code   parcel.Code
	own    string
	name   string
	office string // what is added to the name of a town
}

// fakeWords are in the order of a journey; of several codes for one meaning
// the fake says the first.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "EVAIE", "Sender despatching item", ""},
		{parcel.CodeDroppedOff, "EVPPA", "Accepted at Post Office", " Post Office"},
		{parcel.CodeOriginHubArrived, "EVDAC", "Item Received", " MC"},
		{parcel.CodeInTransit, "EVODO", "Item Despatched", " MC"},
		{parcel.CodeOriginCountryDeparted, "EVHOE", "Item Leaving the UK", ""},
		{parcel.CodeDestinationCountryArrived, "EVJOE", "Item Received", ""},
		{parcel.CodeImportCustomsPresented, "EVJIC", "Presented to Customs", ""},
		{parcel.CodeImportCustomsHeld, "EVJAP", "In Customs", ""},
		{parcel.CodeCustomsDocumentsRequired, "EVJIN", "In Customs", ""},
		{parcel.CodeImportCustomsReleased, "EVJIA", "Released from Customs", ""},
		{parcel.CodeImportExchangeDeparted, "EVILC", "Item has left the International Processing Centre", ""},
		{parcel.CodeDestinationHubProcessed, "EVIMC", "Item Received", " MC"},
		{parcel.CodeLinehaulDelayed, "EVNMI", "Forwarded - Mis-sort", " DO"},
		{parcel.CodeDelayed, "EVNDN", "Delivery Not Attempted", " DO"},
		{parcel.CodeDamaged, "EVIPD", "Item Received", " MC"},
		{parcel.CodeDeliveryOfficeArrived, "EVGDO", "Arrived at Delivery Office", " DO"},
		{parcel.CodeOutForDelivery, "EVGPD", "Due to be delivered today", " DO"},
		{parcel.CodeDeliveryAttemptFailed, "EVKNA", "Delivery Attempted - No Answer", " DO"},
		{parcel.CodeReadyForPickup, "EVPLA", "Available for collection", " Post Office"},
		{parcel.CodeCarrierHeld, "EVNCF", "Fee to pay", " DO"},
		{parcel.CodeDelivered, "EVKOP", "Delivered", " DO"},
		{parcel.CodeReturnStarted, "EVNRS", "Returned to Sender", " DO"},
		{parcel.CodeDisposed, "EVNDL", "Item destroyed", " DO"},
		{parcel.CodeCancelled, "EVHSR", "Export cancelled", ""},
	}
}

// says is the code by which the fake says a scan: of a few it knows more.
func (w *fakeWord) says(s *carriers.FakeScan) string {
	switch {
	case s.Code == parcel.CodeDelivered && s.DeliveredTo == parcel.DeliveredToNeighbour:
		return "EVKDN"
	case s.Code == parcel.CodeDelivered && s.DeliveredTo == parcel.DeliveredToSafePlace:
		return "EVKSF"
	case s.Code == parcel.CodeReturnStarted && s.Reason == parcel.ReasonRefused:
		return "EVNRF"
	case s.Code == parcel.CodeReturnStarted && s.Reason == parcel.ReasonNotCollected:
		return "EVNRE"
	case s.Code == parcel.CodeImportCustomsHeld && s.Reason == parcel.ReasonProhibited:
		return "EVJPA"
	}
	return w.own
}

// Speaks lists the codes that Royal Mail has words for.
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

// Handler serves the Tracking API v2.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+piecesPath+"{id}"+eventsPart, f.guarded(f.events))
	mux.HandleFunc("GET "+piecesPath+summaryPart, f.guarded(f.summaries))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "", "No resources match requested URI")
	})
	return mux
}

func reply(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

func mistake(code, description string) map[string]string {
	return map[string]string{"errorCode": code, "errorDescription": description, "errorCause": description, "errorResolution": "Check and resubmit"}
}

// refuse answers a whole call. The gateway in front of the service has no codes
// of its own.
func refuse(w http.ResponseWriter, status int, code, description string) {
	doc := map[string]any{"httpCode": strconv.Itoa(status), "httpMessage": http.StatusText(status)}
	if code == "" {
		doc["moreInformation"] = description
	} else {
		doc["errors"] = []any{mistake(code, description)}
	}
	reply(w, status, doc)
}

// guarded checks what every call needs.
func (f *fake) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, secret := f.env.Settings["client_id"], f.env.Settings["client_secret"]
		switch {
		case id == "" || !carrierkit.ConstantTimeEqual(r.Header.Get("X-IBM-Client-Id"), id) || !carrierkit.ConstantTimeEqual(r.Header.Get("X-IBM-Client-Secret"), secret):
			refuse(w, http.StatusUnauthorized, "", "Client id not registered.")
		case r.Header.Get("X-Accept-RMG-Terms") != "yes":
			refuse(w, http.StatusBadRequest, "E0004", "Failed header validation for X-Accept-RMG-Terms")
		case !f.allowed():
			refuse(w, http.StatusTooManyRequests, "E0010", "Too many requests")
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
	f.calls = slices.DeleteFunc(f.calls, func(t time.Time) bool { return now.Sub(t) >= 24*time.Hour })
	if len(f.calls) >= f.most {
		return false
	}
	f.calls = append(f.calls, now)
	return true
}

const (
	fakeUnknownCode = "E1142"
	fakeUnknown     = "Barcode reference isn't recognised"
)

func (f *fake) events(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	h, ok := f.env.Journeys(id)
	if !ok {
		refuse(w, http.StatusNotFound, fakeUnknownCode, fakeUnknown)
		return
	}
	piece, events := f.piece(id, h)
	piece["events"] = events
	if !h.Estimated.IsZero() {
		piece["estimatedDelivery"] = map[string]string{"date": h.Estimated.In(f.london).Format(time.DateOnly)}
	}
	piece["links"] = map[string]any{"summary": link(piecesPath+summaryPart+"?mailPieceId="+id, "Summary")}
	reply(w, http.StatusOK, map[string]any{"mailPieces": piece})
}

func (f *fake) summaries(w http.ResponseWriter, r *http.Request) {
	ids := strings.Split(r.URL.Query().Get("mailPieceId"), ",")
	switch {
	case ids[0] == "":
		refuse(w, http.StatusBadRequest, "E0004", "Failed query validation for mailPieceId")
		return
	case len(ids) > summaryLimit:
		refuse(w, http.StatusBadRequest, "E0013", "Too many mailPieceId")
		return
	}
	pieces := make([]map[string]any, len(ids))
	for i, id := range ids {
		h, ok := f.env.Journeys(id)
		if !ok {
			pieces[i] = map[string]any{"mailPieceId": id, "status": "404", "error": mistake(fakeUnknownCode, fakeUnknown)}
			continue
		}
		pieces[i], _ = f.piece(id, h)
		pieces[i]["status"] = "200"
		pieces[i]["links"] = map[string]any{"events": link(piecesPath+id+eventsPart, "Events")}
	}
	reply(w, http.StatusOK, map[string]any{"mailPieces": pieces})
}

func link(href, title string) map[string]string {
	return map[string]string{"href": href, "title": title, "description": "Get " + strings.ToLower(title)}
}

// piece is what both operations say of an item, and its events, newest first.
func (f *fake) piece(id string, h carriers.FakeHistory) (piece map[string]any, events []map[string]string) {
	events = []map[string]string{}
	for _, s := range slices.Backward(h.Scans) {
		i := slices.IndexFunc(fakeWords(), func(w fakeWord) bool { return w.code == s.Code })
		if i < 0 {
			continue
		}
		word := fakeWords()[i]
		e := map[string]string{"eventCode": word.says(&s), "eventName": word.name, "eventDateTime": s.At.In(f.london).Format(time.RFC3339)}
		if s.Place.City != "" {
			e["locationName"] = s.Place.City + word.office
		}
		events = append(events, e)
	}
	category := "NON-INTERNATIONAL"
	if h.Origin != h.Destination {
		category = "INTERNATIONAL"
	}
	summary := map[string]any{
		"oneDBarcode": id, "productId": "TPN01", "productName": "Royal Mail Tracked 24", "productCategory": category,
		"originCountryCode": h.Origin, "originCountryName": h.Origin.Name(),
		"destinationCountryCode": h.Destination, "destinationCountryName": h.Destination.Name(),
	}
	if len(events) > 0 {
		last := events[0]
		summary["lastEventCode"], summary["lastEventName"], summary["lastEventDateTime"] = last["eventCode"], last["eventName"], last["eventDateTime"]
		if at, ok := last["locationName"]; ok {
			summary["lastEventLocationName"] = at
		}
		summary["summaryLine"] = last["eventName"] + "."
	}
	return map[string]any{"mailPieceId": id, "carrierShortName": "RM", "carrierFullName": "Royal Mail Group Ltd", "summary": summary}, events
}
