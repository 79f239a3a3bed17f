package fedex

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// The fake's tokens are short-lived in both senses: told to live a minute, and
// good for so many calls, so that renewal by expiry and by refusal both happen.
const (
	fakeTokenSeconds = 60
	fakeTokenCalls   = 200
	fakeTokensKept   = 16
)

// What FedEx is said to refuse beyond.
const (
	fakeRate       = 1400
	fakeRateWindow = 10 * time.Second
)

// fake is FedEx's side of the Track API. It runs on trade time.
type fake struct {
	env carriers.FakeEnv

	mu     sync.Mutex
	issued int
	tokens []fakeToken // newest last
	calls  []time.Time // of the last window, oldest first
}

type fakeToken struct {
	value string
	calls int
}

func newFake(env carriers.FakeEnv) carriers.Fake { return &fake{env: env} }

// fakeWord is how FedEx says a canonical code.
type fakeWord struct {
	code                              parcel.Code
	reason                            parcel.Reason
	kind, says, exception, why, where string
	derived, status                   string
}

// fakeWords lists what FedEx has words for; of several rows of one code the
// one with the scan's reason is said, else the first.
func fakeWords() []fakeWord {
	const facility, origin, destination = "FEDEX_FACILITY", "ORIGIN_FEDEX_FACILITY", "DESTINATION_FEDEX_FACILITY"
	return []fakeWord{
		{parcel.CodeInfoReceived, "", "OC", "Shipment information sent to FedEx", "", "", "CUSTOMER", "IN", "Label created"},
		{parcel.CodeCancelled, "", "CA", "Shipment cancelled by sender", "", "", "CUSTOMER", "CA", "Cancelled"},
		{parcel.CodePickedUp, "", "PU", "Picked up", "", "", "PICKUP_LOCATION", "PU", "Picked up"},
		{parcel.CodeOriginHubArrived, "", "AR", "Arrived at FedEx location", "", "", origin, "IT", "In transit"},
		{parcel.CodeOriginHubDeparted, "", "DP", "Left FedEx origin facility", "", "", origin, "IT", "In transit"},
		{parcel.CodeExportCustomsPresented, "", "CP", "Clearance in progress - Export", "", "", "CUSTOMS_BROKER", "IT", "In transit"},
		{parcel.CodeExportCustomsHeld, "", "CD", "Clearance delay - Export", "", "", "CUSTOMS_BROKER", "SE", "Clearance delay"},
		{parcel.CodeExportCustomsReleased, "", "EA", "International shipment release - Export", "", "", facility, "IT", "In transit"},
		{parcel.CodeInTransit, "", "DP", "Departed FedEx hub", "", "", facility, "IT", "In transit"},
		{parcel.CodeImportCustomsPresented, "", "CP", "Clearance in progress - Import", "", "", "CUSTOMS_BROKER", "IT", "In transit"},
		{parcel.CodeImportCustomsHeld, "", "CD", "Clearance delay - Import", "A2", "Package awaiting clearance release by the customs authority", "CUSTOMS_BROKER", "SE", "Clearance delay"},
		{parcel.CodeCustomsDocumentsRequired, "", "CD", "Clearance delay - Import", "", "Documents are missing", "CUSTOMS_BROKER", "SE", "Clearance delay"},
		{parcel.CodeImportCustomsReleased, "", "CC", "International shipment release - Import", "", "", "CUSTOMS_BROKER", "IT", "In transit"},
		{parcel.CodeDeliveryOfficeArrived, "", "AR", "At local FedEx facility", "", "", destination, "IT", "In transit"},
		{parcel.CodeOutForDelivery, "", "OD", "On FedEx vehicle for delivery", "", "", "VEHICLE", "IT", "Out for delivery"},
		{parcel.CodeDeliveryAttemptFailed, "", "DE", "Delivery exception", "", "Delivery could not be made", "DELIVERY_LOCATION", "DE", "Delivery exception"},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "DE", "Delivery exception", "", "Customer not available", "DELIVERY_LOCATION", "DE", "Delivery exception"},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonBusinessClosed, "DE", "Delivery exception", "", "Business closed", "DELIVERY_LOCATION", "DE", "Delivery exception"},
		{parcel.CodeAddressProblem, "", "DE", "Delivery exception", "03", "Incorrect address", "DELIVERY_LOCATION", "DE", "Delivery exception"},
		{parcel.CodeRefused, "", "DE", "Delivery exception", "", "Refused by recipient", "DELIVERY_LOCATION", "DE", "Delivery exception"},
		{parcel.CodeReadyForPickup, "", "HL", "Ready for recipient pickup", "", "", facility, "HL", "Ready for pickup"},
		{parcel.CodeDelivered, "", "DL", "Delivered", "", "", "DELIVERY_LOCATION", "DL", "Delivered"},
		{parcel.CodeDelayed, "", "DY", "Delay", "", "", facility, "SE", "Delay"},
		{parcel.CodeDelayed, parcel.ReasonWeather, "SE", "Shipment exception", "", "Severe weather", facility, "SE", "Shipment exception"},
		{parcel.CodeDelayed, parcel.ReasonHoliday, "SE", "Shipment exception", "", "Local holiday", facility, "SE", "Shipment exception"},
		{parcel.CodeDamaged, "", "SE", "Shipment exception", "", "Damaged, handling per shipper instructions", facility, "SE", "Shipment exception"},
		{parcel.CodeReturnStarted, "", "RS", "Returning package to shipper", "", "", facility, "RS", "Returning package to shipper"},
		{parcel.CodeReturnStarted, parcel.ReasonRefused, "RS", "Returning package to shipper", "A13", "Refused by recipient", facility, "RS", "Returning package to shipper"},
	}
}

// Speaks lists the codes that FedEx has words for.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, w := range fakeWords() {
		if !slices.Contains(codes, w.code) {
			codes = append(codes, w.code)
		}
	}
	return codes
}

func sayScan(s carriers.FakeScan) (said fakeWord, ok bool) {
	for _, w := range fakeWords() {
		if w.code == s.Code && (!ok || w.reason == s.Reason && said.reason != s.Reason) {
			said, ok = w, true
		}
	}
	return said, ok
}

// Push is not offered: what FedEx pushes is not established.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves the token and tracking endpoints.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, f.token)
	mux.HandleFunc("POST "+trackPath, f.track)
	return mux
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if r.PostFormValue("grant_type") != "client_credentials" || s["client_id"] == "" ||
		!carrierkit.ConstantTimeEqual(r.PostFormValue("client_id"), s["client_id"]) ||
		!carrierkit.ConstantTimeEqual(r.PostFormValue("client_secret"), s["client_secret"]) {
		refuse(w, http.StatusUnauthorized, "NOT.AUTHORIZED.ERROR", "The given client credentials were not valid. Please modify your request and try again.")
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": f.issue(), "token_type": "bearer", "expires_in": fakeTokenSeconds, "scope": "CXS"})
}

func (f *fake) issue() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued++
	t := fakeToken{value: fmt.Sprintf("fake-token-%d", f.issued), calls: fakeTokenCalls}
	f.tokens = append(f.tokens, t)
	f.tokens = f.tokens[max(0, len(f.tokens)-fakeTokensKept):]
	return t.value
}

// spend takes one call off the token; false for one that is none or used up.
func (f *fake) spend(value string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.tokens, func(t fakeToken) bool { return t.value == value })
	if i < 0 || f.tokens[i].calls == 0 {
		return false
	}
	f.tokens[i].calls--
	return true
}

// busy tells whether a call is one too many for its window.
func (f *fake) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.env.Now()
	f.calls = slices.DeleteFunc(f.calls, func(t time.Time) bool { return now.Sub(t) >= fakeRateWindow })
	if len(f.calls) >= fakeRate {
		return true
	}
	f.calls = append(f.calls, now)
	return false
}

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	if f.busy() {
		refuse(w, http.StatusTooManyRequests, defaultThrottledCodes, "We are currently unable to process your request due to a high volume of requests. Please try again later.")
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !f.spend(token) {
		refuse(w, http.StatusUnauthorized, "NOT.AUTHORIZED.ERROR", "The given JWT is invalid. Please modify your request and try again.")
		return
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var q question
	if media != "application/json" || r.Header.Get("X-locale") == "" || json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q) != nil {
		refuse(w, http.StatusBadRequest, "INVALID.INPUT.EXCEPTION", "Invalid field value in the input")
		return
	}
	if len(q.TrackingInfo) > batchLimit {
		refuse(w, http.StatusBadRequest, "TRACKING.TRACKINGNUMBERS.LIMITEXCEEDED", "Please limit your inquiry to 30 tracking numbers or references.")
		return
	}
	results := []any{}
	for _, t := range q.TrackingInfo {
		number := t.TrackingNumberInfo.TrackingNumber
		results = append(results, map[string]any{"trackingNumber": number, "trackResults": []any{f.result(number, q.IncludeDetailedScans)}})
	}
	answer(w, http.StatusOK, map[string]any{"transactionId": fakeTransaction, "output": map[string]any{"completeTrackResults": results}})
}

const fakeTransaction = "00000000-0000-4000-8000-000000000000"

// result tells of one number, newest scan first.
func (f *fake) result(number string, detailed bool) map[string]any {
	info := map[string]string{"trackingNumber": number, "trackingNumberUniqueId": "", "carrierCode": ""}
	history, known := f.env.Journeys(number)
	if !known {
		code, words := "TRACKING.TRACKINGNUMBER.NOTFOUND", "Tracking number cannot be found. Please correct the tracking number and try again."
		if number == "" {
			code, words = "TRACKING.TRACKINGNUMBER.EMPTY", "Please provide tracking number."
		}
		return map[string]any{"trackingNumberInfo": info, "error": map[string]string{"code": code, "message": words}}
	}
	info["trackingNumberUniqueId"], info["carrierCode"] = "2461234000~"+number+"~FX", "FDXE"
	dates, scans, identifiers := []any{}, []any{}, []any{}
	r := map[string]any{
		"trackingNumberInfo":     info,
		"additionalTrackingInfo": map[string]any{"nickname": "", "packageIdentifiers": &identifiers, "hasAssociatedShipments": false},
		"originLocation":         map[string]any{"locationContactAndAddress": map[string]any{"address": fakeAddress(parcel.Place{Country: history.Origin})}},
		"destinationLocation":    map[string]any{"locationContactAndAddress": map[string]any{"address": fakeAddress(parcel.Place{Country: history.Destination})}, "locationType": ""},
		"serviceDetail":          map[string]string{"type": "INTERNATIONAL_ECONOMY", "description": "FedEx International Economy", "shortDescription": "IE"},
		"deliveryDetails":        map[string]any{},
	}
	if history.NextNumber != "" && history.NextCarrier == name {
		identifiers = append(identifiers, map[string]any{"type": "RETURNED_TO_SHIPPER_TRACKING_NUMBER", "values": []string{history.NextNumber}})
	}
	if !history.Estimated.IsZero() {
		dates = append(dates, map[string]string{"type": "ESTIMATED_DELIVERY", "dateTime": history.Estimated.Format(parcel.DayLayout) + "T00:00:00-06:00"})
	}
	for _, s := range slices.Backward(history.Scans) {
		said, ok := sayScan(s)
		if !ok {
			continue
		}
		written := fakeTime(s)
		if len(scans) == 0 {
			r["latestStatusDetail"] = map[string]any{
				"code": said.derived, "derivedCode": said.derived, "statusByLocale": said.status, "description": said.says, "scanLocation": fakeAddress(s.Place),
			}
		}
		if said.kind == "DL" {
			dates = append(dates, map[string]string{"type": "ACTUAL_DELIVERY", "dateTime": written})
			r["deliveryDetails"] = map[string]any{"locationDescription": fakeLeft(s.DeliveredTo), "receivedByName": "A.SAMPLE", "deliveryAttempts": "0"}
		}
		if !detailed && len(scans) > 0 {
			continue
		}
		scans = append(scans, map[string]any{
			"date": written, "eventType": said.kind, "eventDescription": said.says,
			"exceptionCode": said.exception, "exceptionDescription": said.why,
			"scanLocation": fakeAddress(s.Place), "locationId": s.Place.Facility, "locationType": said.where,
			"derivedStatusCode": said.derived, "derivedStatus": said.status,
		})
	}
	r["dateAndTimes"], r["scanEvents"] = dates, scans
	return r
}

func fakeAddress(p parcel.Place) map[string]any {
	a := map[string]any{"streetLines": []string{""}, "city": p.City, "countryCode": string(p.Country), "residential": false, "countryName": ""}
	if p.Country != "" {
		a["countryName"] = p.Country.Name()
	}
	if p.Region != "" {
		a["stateOrProvinceCode"] = p.Region
	}
	if p.Postcode != "" {
		a["postalCode"] = p.Postcode
	}
	return a
}

func fakeLeft(to parcel.DeliveredTo) string {
	switch to {
	case parcel.DeliveredToSafePlace:
		return "Front Door/Porch"
	case parcel.DeliveredToReception:
		return "Receptionist/Front Desk"
	case parcel.DeliveredToNeighbour:
		return "Neighbor"
	case parcel.DeliveredToRecipient:
		return "Residence"
	case parcel.DeliveredToLocker:
		return "Locker"
	}
	return ""
}

// fakeTime is the clock at the scan's place; the first message of a parcel is
// told as a day, by midnight without an offset.
func fakeTime(s carriers.FakeScan) string {
	zone, _ := parcel.ZoneFor(s.Place)
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	at := s.At.In(loc)
	if s.Code == parcel.CodeInfoReceived {
		return at.Format(parcel.DayLayout) + "T00:00:00"
	}
	return at.Format("2006-01-02T15:04:05-07:00")
}

// answer sends gzip whether or not it was asked for, as FedEx often does.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z := gzip.NewWriter(w)
	_ = json.NewEncoder(z).Encode(v) // a caller who hung up hears nothing
	_ = z.Close()
}

func refuse(w http.ResponseWriter, status int, code, words string) {
	answer(w, status, map[string]any{"transactionId": fakeTransaction, "errors": []any{map[string]string{"code": code, "message": words}}})
}
