package cainiao

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// fake is Cainiao's side of the LINK gateway and of the public query. It
// speaks the default layouts.
type fake struct {
	env   carriers.FakeEnv
	codes carriers.Table
}

func newFake(env carriers.FakeEnv) carriers.Fake {
	return &fake{env: env, codes: carrierkit.MustTable(codesCSV)}
}

// Speaks lists the codes that have an action code.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, r := range f.codes.Rows() {
		if sayable(r) && !slices.Contains(codes, r.Code) {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

func sayable(r carriers.Row) bool {
	return r.Code != parcel.CodeUnknown && !strings.HasSuffix(r.Rule, "*")
}

// say finds the action code that says most of a scan, the first of equals, and
// a description that tells the reason if the code does not.
func (f *fake) say(s carriers.FakeScan) (action, words string, ok bool) {
	var best carriers.Row
	most := -1
	for _, r := range f.codes.Rows() {
		if !sayable(r) || r.Code != s.Code {
			continue
		}
		said := 0
		if r.Reason == s.Reason {
			said++
		}
		if r.DeliveredTo == s.DeliveredTo {
			said++
		}
		if said > most {
			best, most = r, said
		}
	}
	if most < 0 {
		return "", "", false
	}
	words = strings.ToUpper(best.Doc[:1]) + best.Doc[1:]
	for _, r := range reasons() {
		if r.reason == s.Reason && best.Reason != s.Reason {
			words += ": " + r.signs[0]
		}
	}
	return best.Rule, words, true
}

// Handler serves the gateway and the public query.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+linkPath, f.link)
	mux.HandleFunc("GET "+queryPath, f.query)
	return mux
}

func (f *fake) link(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	message := r.PostFormValue("logistics_interface")
	switch {
	case s["secret"] == "", !carrierkit.ConstantTimeEqual(r.PostFormValue("data_digest"), digest(message, s["secret"])):
		refuse(w, codeSignature, "illegal digital signature")
		return
	case r.PostFormValue("logistic_provider_id") != s["provider_id"]:
		refuse(w, "S03", "no permission for this provider")
		return
	case r.PostFormValue("msg_type") != s["pull_api"]:
		refuse(w, "S04", "no permission for this API")
		return
	}
	var asked struct {
		MailNo string `json:"mailNo"`
	}
	if json.Unmarshal([]byte(message), &asked) != nil || asked.MailNo == "" {
		refuse(w, "S01", "illegal message")
		return
	}
	answer(w, map[string]any{"success": "true", "module": []any{f.parcel(asked.MailNo)}})
}

func (f *fake) query(w http.ResponseWriter, r *http.Request) {
	module := []any{}
	for number := range strings.SplitSeq(r.URL.Query().Get("mailNos"), ",") {
		if number != "" {
			module = append(module, f.parcel(number))
		}
	}
	answer(w, map[string]any{"module": module, "success": true})
}

// parcel tells what is known of a number, newest event first.
func (f *fake) parcel(number string) map[string]any {
	h, known := f.env.Journeys(number)
	p := map[string]any{
		"mailNo": number, "mailType": "", "processInfo": map[string]any{}, "globalCombinedLogisticsTraceDTO": nil, "latestTrace": nil,
	}
	details := []any{}
	if !known {
		p["mailNoSource"], p["status"], p["statusDesc"], p["detailList"] = "EXTERNAL", "NOT_FOUND", "Not found", details
		return p
	}
	for _, s := range slices.Backward(h.Scans) {
		action, words, ok := f.say(s)
		if !ok {
			continue
		}
		local := localTime(s)
		details = append(details, map[string]any{
			"time": local.UnixMilli(), "timeStr": local.Format(time.DateTime), "timeZone": zoneName("GMT", local),
			"actionCode": action, "desc": words, "standerdDesc": words, "descTitle": "Carrier note:",
			"group": map[string]string{"nodeCode": "", "nodeDesc": ""},
		})
		if len(details) == 1 {
			p["latestTrace"], p["status"], p["statusDesc"] = details[0], string(s.Code), words
		}
	}
	p["mailNoSource"], p["detailList"] = "CAINIAO", details
	p["originCountry"], p["destCountry"] = h.Origin.Name(), h.Destination.Name()
	p["destCpInfo"] = map[string]string{"cpName": lastMileName(h.NextCarrier), "phone": "", "url": ""}
	if renumbered(h) {
		p["copyRealMailNo"] = h.NextNumber
	}
	return p
}

// renumbered tells whether the parcel has its second number by now: customs
// hands it out with one.
func renumbered(h carriers.FakeHistory) bool {
	return h.NextNumber != "" && slices.ContainsFunc(h.Scans, func(s carriers.FakeScan) bool {
		return s.Code.Proves().Rank() >= parcel.MilestoneCustomsCleared.Rank()
	})
}

func lastMileName(carrier string) string {
	switch carrier {
	case "correios":
		return "Correios"
	case "russian-post":
		return "Russian Post"
	}
	return carrier
}

// localTime is the clock at the scan's place, in whole seconds as on the wire.
func localTime(s carriers.FakeScan) time.Time {
	zone, _ := parcel.ZoneFor(s.Place)
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		loc = time.FixedZone("", homeOffset)
	}
	return s.At.In(loc).Truncate(time.Second)
}

// zoneName writes an offset as Cainiao does: GMT-3, UTC+8.
func zoneName(prefix string, t time.Time) string {
	_, seconds := t.Zone()
	if seconds%3600 == 0 {
		return fmt.Sprintf("%s%+d", prefix, seconds/3600)
	}
	return prefix + parcel.FormatOffset(seconds)
}

// Push makes the signed form for the newest scan.
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	if len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	s := h.Scans[len(h.Scans)-1]
	action, words, ok := f.say(s)
	if !ok {
		return carriers.Delivery{}, false
	}
	const api = "GLOBAL_TRACE_PUSH"
	local := localTime(s)
	at, zone := local.Format(time.DateTime), zoneName("UTC", local)
	detail := map[string]any{
		"logisticsOrderCode": number, "mailNo": number, "actionCode": action, "actionDesc": words, "occurTime": at, "timeZone": zone,
		"country": string(s.Place.Country), "province": s.Place.Region, "city": s.Place.City, "facility": s.Place.Facility,
	}
	if renumbered(h) {
		detail["trackingNumber"] = h.NextNumber
	}
	message, err := json.Marshal(map[string]any{"logisticsEvent": map[string]any{
		"eventHeader": map[string]string{"eventType": api, "eventTime": at, "eventTimeZone": zone},
		"eventBody":   map[string]any{"logisticsDetail": detail},
	}})
	if err != nil {
		return carriers.Delivery{}, false // no value above can fail
	}
	form := url.Values{
		"logistics_interface": {string(message)},
		"data_digest":         {digest(string(message), f.env.Settings["secret"])},
		"partner_code":        {f.env.Settings["provider_id"]},
		"from_code":           {"CNCTP"},
		"msg_type":            {api},
		"msg_id":              {fmt.Sprintf("%s-%d", number, len(h.Scans))},
	}
	header := http.Header{}
	header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	return carriers.Delivery{Header: header, Body: []byte(form.Encode())}, true
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(v) // a caller who hung up hears nothing
}

func refuse(w http.ResponseWriter, code, words string) {
	answer(w, map[string]string{"success": "false", "errorCode": code, "errorMsg": words})
}
