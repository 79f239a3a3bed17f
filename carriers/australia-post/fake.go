package auspost

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

// fake is Australia Post's side: Basic credentials with the account beside
// them, ten ids a call, errors by id inside of an answer.
type fake struct {
	env       carriers.FakeEnv
	melbourne *time.Location
}

func newFake(env carriers.FakeEnv) carriers.Fake {
	var zones carrierkit.Zones
	return &fake{env: env, melbourne: zones.Location("Australia/Melbourne")}
}

// fakeWord is how Australia Post says a canonical code.
type fakeWord struct {
	code   parcel.Code
	to     parcel.DeliveredTo
	words  string
	status string
}

// fakeWords are in the order of a journey; of several descriptions of one code
// the one that fits the receiver is said, or else the first.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "", "Shipping information received by Australia Post", "Initiated"},
		{parcel.CodePickedUp, "", "Received item from Sender (Outbound)", "In transit"},
		{parcel.CodeExportExchangeArrived, "", "Processed at Export Facility", "In transit"},
		{parcel.CodeExportCustomsReleased, "", "Cleared and awaiting international departure", "In transit"},
		{parcel.CodeOriginCountryDeparted, "", "Processed by air carrier", "In transit"},
		{parcel.CodeDestinationCountryArrived, "", "Arrived at facility in destination country", "In transit"},
		{parcel.CodeImportCustomsPresented, "", "Arrived awaiting clearance (Inbound)", "In transit"},
		{parcel.CodeImportCustomsHeld, "", "Held by customs", "Possible Delay"},
		{parcel.CodeImportCustomsReleased, "", "Cleared and awaiting delivery", "In transit"},
		{parcel.CodeInTransit, "", "Item processed at facility", "In transit"},
		{parcel.CodeDelayed, "", "Possible delay", "Possible Delay"},
		{parcel.CodeCarrierHeld, "", "Held by courier", "Held by Courier"},
		{parcel.CodeDamaged, "", "Article damaged", "Article Damaged"},
		{parcel.CodeOutForDelivery, "", "Onboard for delivery", "In transit"},
		{parcel.CodeDeliveryAttemptFailed, "", "Attempted Delivery - Carded to Post Office", "Unsuccessful Delivery"},
		{parcel.CodeReadyForPickup, "", "Awaiting collection at Post Office", "Awaiting Collection"},
		{parcel.CodeReturnStarted, "", "Return to sender in progress", "In transit"},
		{parcel.CodeDelivered, "", "Delivered", "Delivered"},
		{parcel.CodeDelivered, parcel.DeliveredToSafePlace, "Delivered - Left in a safe place", "Delivered"},
		{parcel.CodeReturned, "", "Returned to sender", "Unsuccessful Delivery"},
	}
}

// Speaks lists the codes that Australia Post has words for.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, w := range fakeWords() {
		if !slices.Contains(codes, w.code) {
			codes = append(codes, w.code)
		}
	}
	return codes
}

func sayScan(s carriers.FakeScan) (fakeWord, bool) {
	var said fakeWord
	ok := false
	for _, w := range fakeWords() {
		if w.code == s.Code && (!ok || w.to == s.DeliveredTo) {
			said, ok = w, true
		}
	}
	return said, ok
}

// Push is not offered by this API.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves Track Items, on the testbed too.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+trackPath, f.track)
	mux.HandleFunc("GET "+testPrefix+trackPath, f.track)
	return mux
}

func reply(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

func refuse(w http.ResponseWriter, status int, code, name, message string) {
	reply(w, status, map[string]any{"errors": []any{map[string]string{"code": code, "name": name, "message": message}}})
}

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	key, password, ok := r.BasicAuth()
	s := f.env.Settings
	if !ok || s["api_key"] == "" || !carrierkit.ConstantTimeEqual(key, s["api_key"]) || !carrierkit.ConstantTimeEqual(password, s["password"]) ||
		!carrierkit.ConstantTimeEqual(r.Header.Get("Account-Number"), s["account_number"]) {
		refuse(w, http.StatusUnauthorized, defaultDenied, "Unauthorised", "The supplied credentials do not authenticate the account.")
		return
	}
	ids := strings.Split(r.URL.Query().Get("tracking_ids"), ",")
	if len(ids) > batchLimit {
		refuse(w, http.StatusBadRequest, codeTooMany, "TOO_MANY_AP_TRACKING_IDS", fmt.Sprintf("At most %d ids can be asked for.", batchLimit))
		return
	}
	results := make([]any, len(ids))
	for i, id := range ids {
		h, known := f.env.Journeys(id)
		if !known {
			results[i] = map[string]any{"tracking_id": id, "errors": []any{map[string]string{"code": codeUnknown, "name": "Invalid tracking ID"}}}
			continue
		}
		results[i] = f.result(id, h)
	}
	reply(w, http.StatusOK, map[string]any{"tracking_results": results})
}

// result tells a history, newest event first: an article of the posts by
// itself, any other as a consignment of one.
func (f *fake) result(id string, h carriers.FakeHistory) map[string]any {
	events := []any{}
	status := "Created"
	for _, s := range slices.Backward(h.Scans) {
		said, ok := sayScan(s)
		if !ok {
			continue
		}
		if len(events) == 0 {
			status = said.status
		}
		e := map[string]string{"description": said.words, "date": s.At.In(f.melbourne).Format(time.RFC3339)}
		if where := fakeLocation(s.Place); where != "" {
			e["location"] = where
		}
		events = append(events, e)
	}
	article := map[string]any{"article_id": id, "product_type": "International", "events": events, "status": status}
	if _, postal := parcel.ParseS10(id); postal {
		return map[string]any{"tracking_id": id, "status": status, "trackable_items": []any{article}}
	}
	return map[string]any{"tracking_id": id, "trackable_items": []any{
		map[string]any{"consignment_id": id, "number_of_items": 1, "items": []any{article}},
	}}
}

func fakeLocation(p parcel.Place) string {
	switch {
	case p.City == "":
		return string(p.Country)
	case p.Country == home && state(p.Region):
		return p.City + " " + p.Region
	case p.Country != "":
		return p.City + " (" + string(p.Country) + ")"
	}
	return p.City
}
