package yunexpress

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
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

// The fake's tokens are good for so many calls and no more, so that renewal by
// refusal happens.
const (
	fakeTokenSeconds = 7200
	fakeTokenCalls   = 200
	fakeTokensKept   = 16
)

// fake is YunExpress's side of both dialects. It runs on trade time.
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

// fakeWord is how YunExpress says a canonical code.
type fakeWord struct {
	code   parcel.Code
	reason parcel.Reason
	says   string
}

// fakeWords lists what YunExpress has words for; of several rows of one code the
// one with the scan's reason is said, else the first.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "", "Shipment information received"},
		{parcel.CodeWarehouseReceived, "", "Arrived at YunExpress facility"},
		{parcel.CodeWarehouseDispatched, "", "Departed from YunExpress facility"},
		{parcel.CodeExportCustomsPresented, "", "Export customs clearance started"},
		{parcel.CodeExportCustomsHeld, "", "Export shipment held by customs"},
		{parcel.CodeExportCustomsReleased, "", "Export customs clearance completed"},
		{parcel.CodeOriginCountryDeparted, "", "Flight departed"},
		{parcel.CodeInTransit, "", "In transit to next facility"},
		{parcel.CodeDestinationCountryArrived, "", "Arrived at destination airport"},
		{parcel.CodeImportCustomsPresented, "", "Presented to customs"},
		{parcel.CodeImportCustomsHeld, "", "Held by customs"},
		{parcel.CodeImportCustomsReleased, "", "Import customs clearance completed"},
		{parcel.CodeLastMileAccepted, "", "Handed over to last mile carrier"},
		{parcel.CodeOutForDelivery, "", "Out for delivery"},
		{parcel.CodeDeliveryAttemptFailed, "", "Delivery attempted"},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "Delivery attempted, recipient not available"},
		{parcel.CodeAddressProblem, "", "Incorrect address"},
		{parcel.CodeRefused, "", "Parcel refused"},
		{parcel.CodeReadyForPickup, "", "Parcel waits at pick up point"},
		{parcel.CodeDelivered, "", "Delivered"},
		{parcel.CodeDamaged, "", "Parcel damaged"},
		{parcel.CodeLost, "", "Parcel lost"},
		{parcel.CodeReturnStarted, "", "Return to sender"},
		{parcel.CodeReturnStarted, parcel.ReasonAddressIncorrect, "Return to sender: address incomplete"},
		{parcel.CodeReturnStarted, parcel.ReasonRefused, "Return to sender: refused"},
	}
}

// Speaks lists the codes that YunExpress has words for.
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

// Push is not offered: how YunExpress signs what it pushes is not established.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves both dialects.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, f.token)
	mux.HandleFunc("GET "+trackPath, f.track)
	mux.HandleFunc("GET "+legacyPath, f.legacy)
	return mux
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	var q struct{ GrantType, AppID, AppSecret, SourceKey string }
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" || json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q) != nil || q.GrantType != "client_credentials" {
		f.refuse(w, http.StatusBadRequest, "PARAM_INVALID", "grantType is not supported")
		return
	}
	s := f.env.Settings
	if s["app_id"] == "" || q.AppID != s["app_id"] || !carrierkit.ConstantTimeEqual(q.AppSecret, s["app_secret"]) || !carrierkit.ConstantTimeEqual(q.SourceKey, s["source_key"]) {
		f.refuse(w, http.StatusUnauthorized, "APP_INVALID", "application or secret is not valid")
		return
	}
	answer(w, http.StatusOK, map[string]any{"accessToken": f.issue(), "expiresIn": fakeTokenSeconds})
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
	date := r.Header.Get("date")
	if _, err := strconv.ParseInt(date, 10, 64); err != nil || len(date) != 13 ||
		!carrierkit.ConstantTimeEqual(r.Header.Get("sign"), sign(f.env.Settings["app_secret"], r.Method, r.URL.Path, date, nil)) {
		f.refuse(w, http.StatusUnauthorized, defaultDeniedCodes, "signature verification failed")
		return
	}
	if !f.spend(r.Header.Get("token")) {
		f.refuse(w, http.StatusUnauthorized, "TOKEN_INVALID", "token is not valid")
		return
	}
	number := r.URL.Query().Get("order_number")
	result := map[string]any{"waybill_number": "", "tracking_number": "", "customer_order_id": "", "country_code": "", "track_info": []any{}}
	if history, known := f.env.Journeys(number); known {
		events := []any{}
		for _, s := range slices.Backward(history.Scans) {
			if said, ok := sayScan(s); ok {
				local := fakeLocal(s)
				events = append(events, map[string]string{
					"event_date": local.Format("2006-01-02 15:04:05"), "time_zone": local.Format("-07:00"), "description": said.says, "location": fakeLocation(s.Place),
				})
			}
		}
		result["waybill_number"], result["tracking_number"], result["country_code"] = number, history.NextNumber, history.Destination
		result["track_info"] = []any{map[string]any{"track_events": events}}
	}
	answer(w, http.StatusOK, map[string]any{"success": true, "code": "0", "msg": "success", "t": f.env.Now().UnixMilli(), "result": result})
}

// legacy serves the older dialect, whose times are the clock of China.
func (f *fake) legacy(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(s["legacy_customer_code"]+"&"+s["legacy_secret"]))
	if s["legacy_secret"] == "" || !carrierkit.ConstantTimeEqual(r.Header.Get("Authorization"), want) {
		answer(w, http.StatusUnauthorized, map[string]any{"Item": nil, "Code": "1001", "Message": "not authorised"})
		return
	}
	number := r.URL.Query().Get("OrderNumber")
	doc := map[string]any{"Item": nil, "Code": legacyOK, "Message": "OK"}
	if history, known := f.env.Journeys(number); known {
		china := time.FixedZone("", chinaOffset)
		events := []any{}
		for _, s := range slices.Backward(history.Scans) {
			if said, ok := sayScan(s); ok {
				events = append(events, map[string]string{
					"ProcessDate": s.At.In(china).Format("2006-01-02T15:04:05"), "ProcessContent": said.says, "ProcessLocation": fakeLocation(s.Place),
				})
			}
		}
		doc["Item"] = map[string]any{"WaybillNumber": number, "TrackingNumber": history.NextNumber, "CountryCode": history.Destination, "OrderTrackingDetails": events}
	}
	answer(w, http.StatusOK, doc)
}

// fakeLocation writes "Madrid, Spain".
func fakeLocation(p parcel.Place) string {
	country := ""
	if p.Country != "" {
		country = p.Country.Name()
	}
	return strings.Trim(p.City+", "+country, ", ")
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

func (f *fake) refuse(w http.ResponseWriter, status int, code, words string) {
	answer(w, status, map[string]any{"success": false, "code": code, "msg": words, "t": f.env.Now().UnixMilli(), "result": nil})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller who hung up hears nothing
}
