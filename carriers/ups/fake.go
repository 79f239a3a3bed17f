package ups

import (
	"encoding/json"
	"fmt"
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

// The lengths of numbers that UPS takes.
const (
	minNumber = 7
	maxNumber = 34
)

// fake is UPS's side of the Track API and of Track Alert.
type fake struct {
	env carriers.FakeEnv

	mu     sync.Mutex
	issued int
	tokens []fakeToken // newest last
}

type fakeToken struct {
	value string
	calls int
}

func newFake(env carriers.FakeEnv) carriers.Fake { return &fake{env: env} }

// fakeWord is how UPS says a canonical code.
type fakeWord struct {
	code                  parcel.Code
	reason                parcel.Reason
	kind, scan, state, is string
	to                    parcel.DeliveredTo
}

// fakeWords lists what UPS has words for; of several rows of one code the
// one is said that agrees most with the scan, the first of equals.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "", "M", "MP", "003", "Shipper created a label, UPS has not received the package yet. ", ""},
		{parcel.CodeCancelled, "", "MV", "VP", "007", "Shipment Information Voided", ""},
		{parcel.CodePickupFailed, "", "X", "PX", "065", "Pickup Attempted", ""},
		{parcel.CodePickedUp, "", "I", "PU", "038", "Pickup Scan ", ""},
		{parcel.CodeOriginHubArrived, "", "I", "OR", "005", "Origin Scan", ""},
		{parcel.CodeInTransit, "", "I", "DP", "005", "Departed from Facility", ""},
		{parcel.CodeWarehouseReceived, "", "W", "WH", "016", "In Warehouse", ""},
		{parcel.CodeImportCustomsPresented, "", "X", "5", "012", "Your package is pending release from a Government Agency. Once they release it, your package will be on its way.", ""},
		{parcel.CodeCustomsDocumentsRequired, "", "X", "43", "058", "UPS contacted the sender for additional details needed to clear customs. Please check back for updates.", ""},
		{parcel.CodeImportCustomsReleased, "", "X", "SR", "014", "Your package was released by the customs agency.", ""},
		{parcel.CodeCarrierHeld, "", "X", "AX", "049", "Action is needed before your package can go on.", ""},
		{parcel.CodeDelayed, "", "X", "DX", "046", "Your package is delayed.", ""},
		{parcel.CodeDelayed, parcel.ReasonWeather, "X", "WX", "052", "Severe weather has delayed your package.", ""},
		{parcel.CodeAddressProblem, "", "X", "AD", "050", "The address is incomplete. UPS needs more information.", ""},
		{parcel.CodeDamaged, "", "X", "45", "059", "Your package was damaged in transit. We will notify the sender with details.", ""},
		{parcel.CodeLost, "", "X", "LX", "068", "Sent to Lost and Found", ""},
		{parcel.CodeOutForDelivery, "", "I", "OT", "021", "Out For Delivery Today", ""},
		{parcel.CodeDeliveryScheduled, "", "I", "RS", "055", "Rescheduled Delivery", ""},
		{parcel.CodeDeliveryAttemptFailed, "", "X", "NH", "060", "Delivery Attempted", ""},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "X", "AS", "061", "An adult has to sign. Nobody was there.", ""},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonPaymentMissing, "X", "FR", "062", "Delivery Attempted: Funds Required", ""},
		{parcel.CodeUnclaimed, "", "X", "NC", "069", "Package Not Claimed", ""},
		{parcel.CodeReadyForPickup, "", "I", "HC", "017", "Held for Customer Pickup", ""},
		{parcel.CodeReadyForPickup, "", "I", "2W", "040", "Delivered to UPS Access Point, awaiting customer pickup", parcel.DeliveredToPickupPoint},
		{parcel.CodeDelivered, "", "D", "KB", "011", "DELIVERED ", ""},
		{parcel.CodeReturnStarted, "", "X", "RT", "035", "Returning to Sender", ""},
		{parcel.CodeReturnStarted, parcel.ReasonRefused, "X", "RF", "064", "Delivery Refused", ""},
		{parcel.CodeReturned, "", "D", "RS", "034", "Returned to Sender", ""},
	}
}

// Speaks lists the codes that UPS has words for.
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

// Handler serves the token and tracking endpoints.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, f.token)
	mux.HandleFunc("GET "+trackPath+"{number}", f.track)
	return mux
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	s := f.env.Settings
	if !ok || s["client_id"] == "" || !carrierkit.ConstantTimeEqual(id, s["client_id"]) || !carrierkit.ConstantTimeEqual(secret, s["client_secret"]) {
		refuse(w, http.StatusUnauthorized, "10401", "ClientId is Invalid")
		return
	}
	if r.PostFormValue("grant_type") != "client_credentials" {
		refuse(w, http.StatusBadRequest, "10400", "Invalid/Missing grant_type")
		return
	}
	if s["merchant_id"] != r.Header.Get("x-merchant-id") {
		refuse(w, http.StatusUnauthorized, "10403", "Invalid x-merchant-id")
		return
	}
	answer(w, http.StatusOK, map[string]string{
		"token_type":   "Bearer",
		"issued_at":    fmt.Sprint(f.env.Now().UnixMilli()),
		"client_id":    id,
		"access_token": f.issue(),
		"expires_in":   fmt.Sprint(fakeTokenSeconds),
		"status":       "approved",
	})
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

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok || !f.spend(token):
		refuse(w, http.StatusUnauthorized, "250002", "Invalid Authentication Information.")
		return
	case r.Header.Get("transId") == "":
		refuse(w, http.StatusBadRequest, "VSS000", "Missing transId")
		return
	case r.Header.Get("transactionSrc") == "":
		refuse(w, http.StatusBadRequest, "VSS001", "Missing transactionSrc")
		return
	}
	number := r.PathValue("number")
	if len(number) < minNumber || len(number) > maxNumber {
		refuse(w, http.StatusBadRequest, codeBadNumber, "Invalid inquiry number")
		return
	}
	shipment := map[string]any{"inquiryNumber": number}
	if history, known := f.env.Journeys(number); known {
		shipment["package"] = []any{fakePackage(number, history)}
		shipment["userRelation"] = []string{"SHIPPER"}
	} else {
		shipment["warnings"] = []any{map[string]string{"code": codeUnknownNumber, "message": "Tracking Information Not Found"}}
	}
	answer(w, http.StatusOK, map[string]any{"trackResponse": map[string]any{"shipment": []any{shipment}}})
}

// fakePackage tells a history, newest scan first.
func fakePackage(number string, h carriers.FakeHistory) map[string]any {
	p := map[string]any{
		"trackingNumber": number,
		"packageAddress": []any{
			map[string]any{"type": "ORIGIN", "address": map[string]any{"countryCode": h.Origin, "country": h.Origin}},
			map[string]any{"type": "DESTINATION", "address": map[string]any{"countryCode": h.Destination, "country": h.Destination}},
		},
		"service":      map[string]string{"code": "518", "levelCode": "065", "description": "UPS Worldwide Saver"},
		"packageCount": 1,
	}
	if !h.Estimated.IsZero() {
		p["deliveryDate"] = []any{map[string]string{"type": "SDD", "date": h.Estimated.Format("20060102")}}
		p["deliveryTime"] = map[string]string{"type": "EOD", "endTime": ""}
	}
	activities := []any{}
	for _, s := range slices.Backward(h.Scans) {
		said, ok := sayScan(s)
		if !ok {
			continue
		}
		local := fakeLocal(s)
		gmt := local.UTC()
		current := map[string]string{"type": said.kind, "code": said.scan, "statusCode": said.state, "description": said.is}
		if len(activities) == 0 {
			p["currentStatus"] = current
		}
		location := map[string]any{"address": fakeAddress(s.Place)}
		if s.Place.Facility != "" {
			location["slic"] = s.Place.Facility
		}
		activities = append(activities, map[string]any{
			"location":  location,
			"status":    current,
			"date":      local.Format("20060102"),
			"time":      local.Format("150405"),
			"gmtDate":   gmt.Format("20060102"),
			"gmtTime":   gmt.Format("15:04:05"),
			"gmtOffset": local.Format("-07:00"),
		})
		if s.Code == parcel.CodeDelivered && p["deliveryInformation"] == nil {
			p["deliveryDate"] = []any{map[string]string{"type": "DEL", "date": local.Format("20060102")}}
			p["deliveryTime"] = map[string]string{"type": "DEL", "endTime": local.Format("150405")}
			p["deliveryInformation"] = map[string]string{"location": fakeLocation(s.DeliveredTo), "receivedBy": "SAMPLE"}
		}
	}
	p["activity"] = activities
	return p
}

func fakeAddress(p parcel.Place) map[string]any {
	a := map[string]any{}
	for key, value := range map[string]string{
		"city": p.City, "stateProvince": p.Region, "postalCode": p.Postcode,
		"countryCode": string(p.Country), "country": string(p.Country),
	} {
		if value != "" {
			a[key] = value
		}
	}
	return a
}

func fakeLocation(to parcel.DeliveredTo) string {
	switch to {
	case parcel.DeliveredToSafePlace:
		return "FRONT DOOR"
	case parcel.DeliveredToReception:
		return "RECEPTION"
	case parcel.DeliveredToRecipient:
		return "MET CUSTOMER"
	case parcel.DeliveredToNeighbour:
		return "NEIGHBOR"
	case parcel.DeliveredToLocker:
		return "LOCKER"
	}
	return ""
}

// fakeLocal is the clock at the scan's place, in whole seconds as on the wire.
func fakeLocal(s carriers.FakeScan) time.Time {
	zone, _ := parcel.ZoneFor(s.Place)
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return s.At.In(loc).Truncate(time.Second)
}

// Push makes the alert for the newest scan.
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	if len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	s := h.Scans[len(h.Scans)-1]
	said, ok := sayScan(s)
	if !ok {
		return carriers.Delivery{}, false
	}
	local := fakeLocal(s)
	gmt := local.UTC()
	a := map[string]any{
		"trackingNumber":    number,
		"localActivityDate": local.Format("20060102"),
		"localActivityTime": local.Format("150405"),
		"gmtActivityDate":   gmt.Format("20060102"),
		"gmtActivityTime":   gmt.Format("150405"),
		"activityLocation": map[string]string{
			"city": s.Place.City, "stateProvince": s.Place.Region, "postalCode": s.Place.Postcode, "country": string(s.Place.Country),
		},
		"activityStatus": map[string]string{
			"type": said.kind, "code": said.scan, "description": strings.TrimSpace(said.is), "descriptionCode": said.state,
		},
		"scheduledDeliveryDate": "",
		"actualDeliveryDate":    "",
		"actualdeliveryTime":    "",
	}
	if s.Code == parcel.CodeDelivered {
		a["actualDeliveryDate"], a["actualdeliveryTime"] = local.Format("20060102"), local.Format("150405")
	} else if !h.Estimated.IsZero() {
		a["scheduledDeliveryDate"] = h.Estimated.Format("20060102")
	}
	body, err := json.Marshal(a)
	if err != nil {
		return carriers.Delivery{}, false // no value above can fail
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "UPSPubSubTrackingService")
	header.Set("credential", f.env.Settings["push_credential"])
	return carriers.Delivery{Header: header, Body: body}, true
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller who hung up hears nothing
}

func refuse(w http.ResponseWriter, status int, code, words string) {
	answer(w, status, map[string]any{"response": map[string]any{"errors": []any{map[string]string{"code": code, "message": words}}}})
}
