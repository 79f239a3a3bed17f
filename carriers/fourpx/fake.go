package fourpx

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// maxQuestion bounds what the fake reads of a body.
const maxQuestion = 64 << 10

// fake is 4PX's side: it checks the signature over the bytes that came, and
// speaks the newer edition, which tells zones.
type fake struct {
	env  carriers.FakeEnv
	says map[parcel.Code]fakeEvent
}

// fakeEvent is how 4PX tells a canonical code.
type fakeEvent struct{ code, words string }

func newFake(env carriers.FakeEnv) *fake {
	return &fake{env: env, says: map[parcel.Code]fakeEvent{
		parcel.CodeInfoReceived:              {"FPX_L_RPIF", "Parcel information received"},
		parcel.CodePickedUp:                  {"FPX_C_SPLS", "4px picked up shipment."},
		parcel.CodeWarehouseReceived:         {"FPX_C_AAF", "Shipment arrived at facility and measured."},
		parcel.CodeWarehouseDispatched:       {"FPX_C_ADFF", "Depart from facility to service provider."},
		parcel.CodeExportCustomsReleased:     {"FPX_Q_ECC", "Released from export customs."},
		parcel.CodeHandedToLinehaul:          {"FPX_M_HA", "Hand over to airline."},
		parcel.CodeOriginCountryDeparted:     {"FPX_M_DFOA", "Departure from the original airport"},
		parcel.CodeInTransit:                 {"FPX_M_IT", "In transit"},
		parcel.CodeLinehaulDelayed:           {"FPX_M_TDWF", "Transport delayed"},
		parcel.CodeDestinationCountryArrived: {"FPX_M_ATA", "Arrival to the destination airport"},
		parcel.CodeImportCustomsPresented:    {"FPX_I_CC", "Customs check"},
		parcel.CodeImportCustomsHeld:         {"FPX_I_RC", "Held by customs"},
		parcel.CodeImportCustomsReleased:     {"FPX_I_RCUK", "Released from customs: customs cleared."},
		parcel.CodeDestinationHubProcessed:   {"FPX_D_APC", "Arrived at processing center"},
		parcel.CodeLastMileAccepted:          {"FPX_D_STPP", "Handed over to last mile carrier"},
		parcel.CodeOutForDelivery:            {"FPX_D_SD", "Out for delivery"},
		parcel.CodeDeliveryAttemptFailed:     {"FPX_D_FD", "Delivery failed"},
		parcel.CodeDelivered:                 {"FPX_S_OK", "Delivered"},
		parcel.CodeDisposed:                  {"FPX_C_DT", "Shipment destroyed"},
	}}
}

// fakeReasons are the words after a sentence that tell why.
func fakeReasons() map[parcel.Reason]string {
	return map[parcel.Reason]string{
		parcel.ReasonAddressIncorrect: ": address incomplete",
		parcel.ReasonRecipientAbsent:  ": nobody at home",
		parcel.ReasonRefused:          ": refused",
		parcel.ReasonProhibited:       ": prohibited item",
		parcel.ReasonDutyUnpaid:       ": duty unpaid",
		parcel.ReasonWeather:          ": weather",
	}
}

// Speaks lists the codes that the fake has steps for.
func (f *fake) Speaks() []parcel.Code {
	return slices.DeleteFunc(parcel.Codes(), func(c parcel.Code) bool { return f.says[c] == fakeEvent{} })
}

// Push is not established for this API.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves the router.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+servicePath, f.service)
	return mux
}

func reply(w http.ResponseWriter, data any, code, words string) {
	doc := map[string]any{"result": "1", "msg": "System processing successful", "errors": []any{}, "data": data}
	if code != "" {
		doc["result"], doc["msg"] = "0", "System processing failed"
		doc["errors"] = []any{map[string]string{"error_code": code, "error_msg": words, "reference_code": ""}}
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

func (f *fake) service(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	public := map[string]string{}
	for key := range maps.Keys(r.URL.Query()) {
		public[key] = r.URL.Query().Get(key)
	}
	_, badTime := strconv.ParseInt(public["timestamp"], 10, 64)
	var asked question
	switch {
	case public["app_key"] != s["app_key"] || s["app_secret"] == "":
		reply(w, nil, "000012", "Invalid app_key")
		return
	case badTime != nil:
		reply(w, nil, "000013", "Invalid timestamp")
		return
	case err != nil || !carrierkit.ConstantTimeEqual(public["sign"], sign(public, body, s["app_secret"])):
		reply(w, nil, "000014", "Invalid sign")
		return
	case public["access_token"] != s["access_token"]:
		reply(w, nil, "000015", "Invalid access_token")
		return
	case public["method"] != method || public["format"] != format:
		reply(w, nil, "000016", "Invalid method")
		return
	case json.Unmarshal(body, &asked) != nil || asked.Number == "":
		reply(w, nil, "AT014001", "deliveryOrderNo must not be empty")
		return
	}
	h, ok := f.env.Journeys(asked.Number)
	if !ok || len(h.Scans) == 0 {
		reply(w, nil, codeNoTrack, "No relevant logistics track found")
		return
	}
	events := make([]any, 0, len(h.Scans))
	for _, scan := range slices.Backward(h.Scans) { // newest first
		events = append(events, f.event(scan))
	}
	reply(w, map[string]any{"deliveryOrderNo": asked.Number, "trackingList": events}, "", "")
}

// event writes a scan by the clock of its place.
func (f *fake) event(s carriers.FakeScan) map[string]string {
	said, ok := f.says[s.Code]
	if !ok {
		said = fakeEvent{"FPX_O_XX", string(s.Code)} // nothing that 4PX has a step for
	}
	local := s.At.In(time.FixedZone("", homeOffset))
	zone, _ := parcel.ZoneFor(s.Place)
	if loc, err := time.LoadLocation(zone); err == nil && zone != "" {
		local = s.At.In(loc)
	}
	_, offset := local.Zone()
	return map[string]string{
		"businessLinkCode": said.code, "trackingContent": said.words + fakeReasons()[s.Reason],
		"occurDatetime": local.Format(time.DateTime), "timeZone": "UTC" + parcel.FormatOffset(offset),
		"occurLocation": s.Place.City, "country": string(s.Place.Country), "zipcode": s.Place.Postcode, "destinationCountry": "",
	}
}
