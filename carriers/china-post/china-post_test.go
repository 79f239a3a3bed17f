package chinapost

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "LZ741203656CN"
	returning = "RB518204881CN"
	unknown   = "RB999999987CN"

	// sampleKey signs the worked example and the sample push.
	sampleKey = "8C2EXAMPLEKEY01"
)

func account(t testing.TB, settings map[string]string) *chinaPost {
	t.Helper()
	c, err := spec().New(carriers.Env{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*chinaPost)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answerWith is an answer with these scans.
func answerWith(t testing.TB, items ...map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"responseState": "true", "responseItems": items})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rows(tellings ...[]parcel.Observation) []parcel.Event {
	var out []parcel.Event
	for _, told := range tellings {
		for _, o := range told {
			out = append(out, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
		}
	}
	return out
}

func fold(destination parcel.Country, events []parcel.Event) parcel.Journey {
	s := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: destination}}}
	return parcel.Fold(&s, nil, events)
}

func openKinds(j parcel.Journey) []parcel.ExceptionKind {
	var kinds []parcel.ExceptionKind
	for _, x := range j.Exceptions {
		if x.Open() {
			kinds = append(kinds, x.Kind)
		}
	}
	return kinds
}

func TestDecodeJourneys(t *testing.T) {
	outbound := []parcel.Code{
		parcel.CodePickedUp, parcel.CodeOriginHubDeparted, parcel.CodeOriginHubArrived,
		parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsReleased, parcel.CodeOriginCountryDeparted,
	}
	for _, tc := range []struct {
		name, file, number string
		destination        parcel.Country
		want               []parcel.Code
		last               string // wall clock
		milestone          parcel.Milestone
		outcome            parcel.Outcome
		open               []parcel.ExceptionKind
	}{
		{
			name: "delivered", file: "journey-delivered.json", number: delivered, destination: "US",
			want: append(slices.Clone(outbound), parcel.CodeImportCustomsPresented, parcel.CodeDelivered),
			last: "2026-10-24T15:46:00", milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
		},
		{
			name: "held and returning", file: "exception-customs-return.json", number: returning, destination: "RU",
			want: append(slices.Clone(outbound), parcel.CodeImportCustomsHeld, parcel.CodeReturnStarted),
			last: "2026-10-28T09:10:00", milestone: parcel.MilestoneDestinationArrived,
			open: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld, parcel.ExceptionReturning},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrace, Body: sample(t, tc.file), Numbers: []string{tc.number}})
			if err != nil {
				t.Fatal(err)
			}
			var codes []parcel.Code
			for i, o := range r.Observations {
				codes = append(codes, o.Code)
				certainty := parcel.CertaintyAssumed
				if i >= len(outbound) {
					certainty = parcel.CertaintyPlace
				}
				if o.Occurred.Certainty != certainty || o.Number != tc.number {
					t.Errorf("event %d (%s): certainty %s, number %s", i, o.Words, o.Occurred.Certainty, o.Number)
				}
			}
			if d := cmp.Diff(tc.want, codes); d != "" {
				t.Fatalf("codes (-want +got):\n%s", d)
			}
			first, last := r.Observations[0].Occurred, r.Observations[len(codes)-1].Occurred
			if d := cmp.Diff([]string{"2026-10-13T03:12:44Z", tc.last}, []string{first.At.Format(time.RFC3339), last.Wall}); d != "" {
				t.Errorf("first and last (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]parcel.NumberResult{{Number: tc.number, Finding: parcel.FindingFound}}, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
			j := fold(tc.destination, rows(r.Observations))
			if j.Milestone != tc.milestone || j.Outcome != tc.outcome {
				t.Errorf("milestone %s, outcome %q", j.Milestone, j.Outcome)
			}
			if d := cmp.Diff(tc.open, openKinds(j)); d != "" {
				t.Errorf("open exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestPushIsOneEventOfTheQuery(t *testing.T) {
	c := account(t, nil)
	asked, err := c.Decode(parcel.Payload{Kind: kindTrace, Body: sample(t, "journey-delivered.json")})
	if err != nil {
		t.Fatal(err)
	}
	push, err := c.Decode(parcel.Payload{Kind: kindPush, Body: sample(t, "push-traces.form.txt")})
	if err != nil || len(push.Observations) != 2 || push.Results != nil {
		t.Fatalf("%+v, %v", push, err)
	}
	if d := cmp.Diff(asked.Observations[len(asked.Observations)-1], push.Observations[0]); d != "" {
		t.Errorf("pushed event (-asked +pushed):\n%s", d)
	}
	if j := fold("US", rows(asked.Observations, push.Observations[:1])); len(j.Events) != 8 {
		t.Errorf("fold of both: %d events", len(j.Events))
	}
	// The same message as logs show it, out of its form.
	decoded, err := c.Decode(parcel.Payload{Kind: kindPush, Body: sample(t, "push-traces.decoded.json")})
	if d := cmp.Diff(push, decoded); d != "" || err != nil {
		t.Errorf("decoded sample, %v (-form +decoded):\n%s", err, d)
	}
}

func TestDigest(t *testing.T) {
	// The worked example: Base64 of the hexadecimal text, not of the raw bytes.
	got := digest(`{"traceNo":"LZ741203656CN"}`, sampleKey)
	if want := "YzQ5ZmY3ZTViNjJjOWFiMDJjZTBkZjlhZWM1ZjgxMjE="; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestQuestion(t *testing.T) {
	c, err := spec().New(carriers.Env{BaseURL: "http://192.0.2.7:8080/", Wall: wall{}, Settings: map[string]string{
		"send_id": "DEMO", "key": sampleKey, "province_field": "provinceNo", "path": "/other", "batch_no": "1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := c.(*chinaPost).question(t.Context(), delivered)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.ParseForm(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"url": req.URL.String()}
	for k := range req.PostForm {
		got[k] = req.PostForm.Get(k)
	}
	if !strings.HasPrefix(got["serialNo"], "20261122170000") {
		t.Errorf("serial number %s", got["serialNo"])
	}
	delete(got, "serialNo")
	want := map[string]string{
		"url": "http://192.0.2.7:8080/other", "sendID": "DEMO", "provinceNo": "99", "msgKind": "DEMO_JDPT_TRACE", "sendDate": "20261122170000",
		"receiveID": "JDPT", "batchNo": "1", "dataType": "1", "dataDigest": "YzQ5ZmY3ZTViNjJjOWFiMDJjZTBkZjlhZWM1ZjgxMjE=",
		"msgBody": "%7B%22traceNo%22%3A%22LZ741203656CN%22%7D", // encoded by itself
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("form (-want +got):\n%s", d)
	}
}

func TestScans(t *testing.T) {
	const abroad, domestic = "RB518204881CN", "9801234567890"
	for _, tc := range []struct {
		name, number, own, said, desc string
		code                          parcel.Code
		reason                        parcel.Reason
		to                            parcel.DeliveredTo
		rule                          string
	}{
		{name: "posted", number: abroad, own: "10", said: "收寄", code: parcel.CodePickedUp, rule: "10"},
		{name: "hub on the way out", number: abroad, own: "306", said: "处理中心接收", code: parcel.CodeOriginHubArrived, rule: "export:306"},
		{name: "hub of a domestic item", number: domestic, own: "306", said: "处理中心接收", code: parcel.CodeInTransit, rule: "306"},
		{name: "hub by name", number: abroad, said: "离开处理中心", code: parcel.CodeOriginHubDeparted, rule: "export: 离开 & 处理中心"},
		{name: "office of exchange", number: abroad, said: "到达国际互换局", code: parcel.CodeExportExchangeArrived, rule: "export: 国际互换局"},
		{name: "left the office of exchange", number: abroad, said: "离开国际互换局", code: parcel.CodeHandedToLinehaul, rule: "export: 离开 & 国际互换局"},
		{name: "office of exchange of another's item", number: "RB518204475RU", said: "到达国际互换局", code: parcel.CodeInTransit, rule: "text: 互换局"},
		{name: "outward office of exchange", number: abroad, said: "到达出口互换局", code: parcel.CodeExportExchangeArrived, rule: "text: 出口互换局"},
		{name: "inward office of exchange", number: abroad, said: "到达进口互换局", code: parcel.CodeDestinationCountryArrived, rule: "text: 进口互换局"},
		{name: "left the inward office of exchange", number: abroad, said: "离开进口互换局", code: parcel.CodeImportExchangeDeparted, rule: "text: 离开 & 进口互换局"},
		{name: "held", number: abroad, said: "进口海关/留存待验", desc: "海关扣留,禁运物品", code: parcel.CodeImportCustomsHeld, reason: parcel.ReasonProhibited, rule: "text: 进口海关 & 扣留"},
		{name: "released", number: abroad, said: "进口海关/放行", code: parcel.CodeImportCustomsReleased, rule: "text: 进口海关 & 放行"},
		{name: "not delivered", number: abroad, own: "705", said: "投递结果反馈-未妥投", desc: "家中无人", code: parcel.CodeDeliveryAttemptFailed, reason: parcel.ReasonRecipientAbsent, rule: "text: 未妥投"},
		{name: "704 against its own code", number: abroad, own: "704", said: "投递结果反馈-未妥投", code: parcel.CodeDeliveryAttemptFailed, rule: "704: 未妥投"},
		{name: "not able to deliver", number: abroad, said: "未能妥投", code: parcel.CodeDeliveryAttemptFailed, rule: "text: 未能"},
		{name: "704, not able to deliver", number: abroad, own: "704", said: "投递结果反馈-未能妥投", code: parcel.CodeDeliveryAttemptFailed, rule: "704: 未能"},
		{name: "704, failed", number: abroad, own: "704", said: "投递结果反馈-投递失败", code: parcel.CodeDeliveryAttemptFailed, rule: "704: 失败"},
		{name: "delivered to the sender", number: abroad, said: "退回妥投", code: parcel.CodeReturned, to: parcel.DeliveredToSender, rule: "text: 退回 & 妥投"},
		{name: "704 to the sender", number: abroad, own: "704", said: "退回妥投", code: parcel.CodeReturned, to: parcel.DeliveredToSender, rule: "704: 退回"},
		{name: "delivered to a reception", number: domestic, own: "704", said: "投递结果反馈-妥投", desc: "已签收,他人代收：物业", code: parcel.CodeDelivered, to: parcel.DeliveredToReception, rule: "704"},
		{name: "round", number: domestic, own: "702", said: "投递邮件接收-下段", code: parcel.CodeOutForDelivery, rule: "text: 投递邮件接收"},
		{name: "to be collected", number: domestic, said: "待自提", code: parcel.CodeReadyForPickup, rule: "text: 待自提"},
		{name: "damaged", number: domestic, said: "邮件破损", code: parcel.CodeDamaged, rule: "text: 破损"},
		{name: "lost", number: domestic, said: "邮件丢失", code: parcel.CodeLost, rule: "text: 丢失"},
		{name: "nobody mapped it", number: domestic, own: "999", said: "新的状态", code: parcel.CodeUnknown, rule: "unmapped"},
		{name: "nobody mapped its name", number: domestic, said: "新的状态", code: parcel.CodeUnknown, rule: "unmapped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrace, Body: answerWith(t, map[string]any{
				"traceNo": tc.number, "opTime": "2026-10-13 11:12:44", "opCode": tc.own, "opName": tc.said, "opDesc": tc.desc,
			})})
			if err != nil {
				t.Fatal(err)
			}
			o := r.Observations[0]
			if o.Code != tc.code || o.Reason != tc.reason || o.DeliveredTo != tc.to || o.OwnCode != tc.own || o.Rule != tc.rule {
				t.Errorf("got %s %s to %q, own code %q, rule %q", o.Code, o.Reason, o.DeliveredTo, o.OwnCode, o.Rule)
			}
			if want := strings.TrimSpace(tc.said + " " + tc.desc); o.Words != want || o.Language != "zh" {
				t.Errorf("words %q in %s", o.Words, o.Language)
			}
		})
	}
}

func TestPlaceAndClock(t *testing.T) {
	for _, tc := range []struct {
		name, province, city, org, code, desc, said string
		want                                        parcel.Place
		at, certainty                               string
	}{
		{name: "in China", province: "广东省", city: "深圳市", org: "深圳国际小包收寄处", code: "51800101",
			want: parcel.Place{Country: "CN", Region: "广东省", City: "深圳市", Facility: "深圳国际小包收寄处"}, at: "2026-10-24T07:46:00Z", certainty: "ASSUMED"},
		{name: "in China without a province", city: "深圳市",
			want: parcel.Place{Country: "CN", City: "深圳市"}, at: "2026-10-24T07:46:00Z", certainty: "ASSUMED"},
		{name: "in China, about a country", province: "上海市", desc: "【美国】交航",
			want: parcel.Place{Country: "CN", Region: "上海市"}, at: "2026-10-24T07:46:00Z", certainty: "ASSUMED"},
		{name: "office of exchange abroad", city: "MOSCOW", org: "RUVKOA",
			want: parcel.Place{Country: "RU", City: "MOSCOW", Facility: "RUVKOA", Unlocode: "RUVKO", TimeZone: "Europe/Moscow"}, at: "2026-10-24T12:46:00Z", certainty: "PLACE"},
		{name: "office of exchange by its code", org: "Sheremetyevo", code: "RUVKOA",
			want: parcel.Place{Country: "RU", City: "Moscow", Facility: "RUVKOA", Unlocode: "RUVKO", TimeZone: "Europe/Moscow"}, at: "2026-10-24T12:46:00Z", certainty: "PLACE"},
		{name: "office of exchange in China", org: "CNCANA",
			want: parcel.Place{Country: "CN", City: "Guangzhou", Facility: "CNCANA", Unlocode: "CNCAN", TimeZone: "Asia/Shanghai"}, at: "2026-10-24T07:46:00Z", certainty: "ASSUMED"},
		{name: "country for an office", city: "CHICAGO", org: "US",
			want: parcel.Place{Country: "US", City: "CHICAGO"}, at: "2026-10-24T20:46:00Z", certainty: "PLACE"},
		{name: "country of many clocks", org: "US",
			want: parcel.Place{Country: "US"}, at: "2026-10-24T19:46:00Z", certainty: "ASSUMED"},
		{name: "country in brackets", city: "CHICAGO", desc: "【美国 CHICAGO】进口海关",
			want: parcel.Place{Country: "US", City: "CHICAGO"}, at: "2026-10-24T20:46:00Z", certainty: "PLACE"},
		{name: "abroad, nobody knows where", city: "NOWHERE TOWN", org: "ISC",
			want: parcel.Place{City: "NOWHERE TOWN", Facility: "ISC"}, at: "2026-10-24T15:46:00Z", certainty: "UNKNOWN"},
		{name: "abroad by the event alone", said: "进口海关/放行", want: parcel.Place{}, at: "2026-10-24T15:46:00Z", certainty: "UNKNOWN"},
		{name: "no place", said: "出口海关/放行", want: parcel.Place{}, at: "2026-10-24T07:46:00Z", certainty: "ASSUMED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			own := ""
			if tc.said == "" {
				own = "20"
			}
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrace, Body: answerWith(t, map[string]any{
				"traceNo": returning, "opTime": "2026-10-24 15:46:00", "opCode": own, "opName": tc.said, "opDesc": tc.desc,
				"opOrgProvName": tc.province, "opOrgCity": tc.city, "opOrgName": tc.org, "opOrgCode": tc.code,
			})})
			if err != nil {
				t.Fatal(err)
			}
			o := r.Observations[0]
			if d := cmp.Diff(tc.want, o.Place); d != "" {
				t.Errorf("place (-want +got):\n%s", d)
			}
			got := []string{o.Occurred.Wall, o.Occurred.At.Format(time.RFC3339), string(o.Occurred.Certainty)}
			if d := cmp.Diff([]string{"2026-10-24T15:46:00", tc.at, tc.certainty}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
		})
	}
}

func TestDayStaysADay(t *testing.T) {
	c := account(t, nil)
	m, err := c.moment("2026-10-24", parcel.Place{}, false)
	if err != nil || !m.DateOnly() || m.Wall != "2026-10-24" || m.Certainty != parcel.CertaintyAssumed {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "soon", "2026-13-01 00:00:00"} {
		if _, err := c.moment(bad, parcel.Place{}, false); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("time %q: %v", bad, err)
		}
	}
}

func TestPlannedScansAreNoEvents(t *testing.T) {
	received := time.Date(2026, 10, 24, 8, 0, 0, 0, time.UTC)
	at := func(wall, city string) map[string]any {
		return map[string]any{"traceNo": delivered, "opTime": wall, "opCode": "20", "opOrgCity": city}
	}
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrace, ReceivedAt: received, Body: answerWith(t,
		at("2026-10-24 15:59:00", "深圳市"), at("2026-10-24 16:20:00", "深圳市"), at("2026-10-24 21:00:00", "NOWHERE TOWN"), at("2026-10-24 23:00:00", "NOWHERE TOWN"),
	)})
	if err != nil {
		t.Fatal(err)
	}
	var walls []string
	for _, o := range r.Observations {
		walls = append(walls, o.Occurred.Wall)
	}
	// Where the clock is not known, another place may have reached the hour.
	if d := cmp.Diff([]string{"2026-10-24T15:59:00", "2026-10-24T21:00:00"}, walls); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if r.Results[0].Finding != parcel.FindingFound {
		t.Errorf("results %+v", r.Results)
	}
}

func TestAnswersWithoutScans(t *testing.T) {
	c := account(t, map[string]string{"denied_codes": "B06, B09"})
	none := []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown}}
	refused := func(said string) string {
		return `{"responseState":false,"errorDesc":"` + said + `","responseItems":null}`
	}
	for _, tc := range []struct {
		name, body string
		want       []parcel.NumberResult
		kind       error
	}{
		{"unknown", string(sample(t, "empty.json")), none, nil},
		{"null for none", `{"responseState":true,"responseItems":null}`, none, nil},
		{"absent", `{"responseState":"true"}`, none, nil},
		{"items alone", `{"responseItems":[]}`, none, nil},
		{"signature", string(sample(t, "error-signature.json")), nil, parcel.ErrDenied},
		{"another code", refused("B09：x"), nil, parcel.ErrDenied},
		{"permission", refused("发送方未授权"), nil, parcel.ErrDenied},
		{"too often", refused("访问过于频繁"), nil, parcel.ErrThrottled},
		{"whatever it is", refused("系统异常"), nil, parcel.ErrUnavailable},
		{"no words", refused(""), nil, parcel.ErrUnavailable},
		{"another shape", `{"data":[]}`, nil, parcel.ErrMalformed},
		{"array", `[]`, nil, parcel.ErrMalformed},
		{"cut off", `{"responseState":true,"responseItems":[{`, nil, parcel.ErrMalformed},
		{"empty", ``, nil, parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := c.Decode(parcel.Payload{Kind: kindTrace, Body: []byte(tc.body), Numbers: []string{unknown}})
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if _, ok := errors.AsType[*parcel.Throttled](err); ok != (tc.kind == parcel.ErrThrottled) {
				t.Errorf("error %v", err)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestBadItemHidesNoOther(t *testing.T) {
	body := `{"responseState":1,"responseItems":["what",{"opTime":"2026-10-13 11:12:44","opCode":"10"},{"traceNo":"RB518204881CN","opTime":"soon","opCode":10},
		{"traceNo":"RB518204881CN","opTime":"2026-10-13 11:12:44"},{"traceNo":"RB518204881CN","opTime":"2026-10-13 11:12:44","opCode":10,"opName":null}]}`
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrace, Body: []byte(body), Numbers: []string{delivered, returning}})
	for _, place := range []string{"responseItems: item 0", "item 0: no traceNo", "item 1: opTime", "item 2: neither"} {
		if err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("error does not name %q: %v", place, err)
		}
	}
	if len(r.Observations) != 1 || r.Observations[0].OwnCode != "10" || r.Observations[0].Code != parcel.CodePickedUp {
		t.Errorf("observations %+v", r.Observations)
	}
	if d := cmp.Diff([]parcel.NumberResult{{Number: returning, Finding: parcel.FindingFound}}, r.Results); d != "" {
		t.Errorf("results (-want +got):\n%s", d)
	}
}

func TestVerify(t *testing.T) {
	signed := string(sample(t, "push-traces.form.txt"))
	const plain = `{"traces":[{"opDesc":"100%25+1"}]}`
	form := func(body string) string {
		return url.Values{"msgBody": {body}, "dataDigest": {digest(plain, "k8")}}.Encode()
	}
	for _, tc := range []struct {
		name, key, body string
		kind            error
	}{
		{"right", sampleKey, signed, nil},
		{"encoded with the form alone", "k8", form(plain), nil},
		{"encoded twice", "k8", form(url.QueryEscape(plain)), nil},
		{"another key", "8C2EXAMPLEKEY02", signed, parcel.ErrDenied},
		{"account without a key", "", signed, parcel.ErrDenied},
		{"message changed", sampleKey, strings.Replace(signed, "704", "705", 1), parcel.ErrDenied},
		{"digest of the raw bytes", "k8", url.Values{"msgBody": {plain}, "dataDigest": {"1B2M2Y8AsgTpgAmY7PhCfg=="}}.Encode(), parcel.ErrDenied},
		{"no digest", sampleKey, strings.Replace(signed, "dataDigest", "digest", 1), parcel.ErrDenied},
		{"two messages", sampleKey, signed + "&msgBody=%7B%7D", parcel.ErrMalformed},
		{"no message", sampleKey, "dataDigest=abc", parcel.ErrMalformed},
		{"no form", sampleKey, "%zz", parcel.ErrMalformed},
		{"message of no encoding", sampleKey, "msgBody=%25zz", parcel.ErrMalformed},
		{"empty", sampleKey, "", parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kind, err := account(t, map[string]string{"key": tc.key}).Verify(carriers.Delivery{Body: []byte(tc.body)})
			if !errors.Is(err, tc.kind) || err == nil && kind != kindPush {
				t.Errorf("kind %q, error %v", kind, err)
			}
		})
	}
}

func TestReply(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		err      error
		want     string
	}{
		{"taken", nil, nil, `{"responseState":true,"errorDesc":""}`},
		{"bad signature", nil, parcel.ErrDenied, `{"responseState":false,"errorDesc":"dataDigest"}`},
		{"malformed", nil, parcel.ErrMalformed, `{"responseState":false,"errorDesc":"msgBody"}`},
		{"disk full", nil, errors.New("disk full"), `{"responseState":false,"errorDesc":"not taken, send again"}`},
		{"of another contract", map[string]string{"reply_taken": "OK"}, nil, "OK"},
		{"refused by another contract", map[string]string{"reply_refused": "NO {error}"}, parcel.ErrDenied, "NO dataDigest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if reply := account(t, tc.settings).Reply(tc.err); string(reply.Body) != tc.want || reply.Status != http.StatusOK {
				t.Errorf("status %d, %s", reply.Status, reply.Body)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  carriers.Env
		says string
	}{
		{"sender alone", carriers.Env{BaseURL: "http://192.0.2.7", Settings: map[string]string{"send_id": "DEMO"}}, "setting key"},
		{"no address", carriers.Env{Settings: map[string]string{"send_id": "DEMO", "key": sampleKey}}, "base_url"},
		{"no path", carriers.Env{Settings: map[string]string{"path": "x"}}, "setting path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(tc.env)
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), sampleKey) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := account(t, nil).Fetch(t.Context(), []carriers.Query{{Number: delivered}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("fetch without credentials: %v", err)
	}
}

func TestRedact(t *testing.T) {
	c := account(t, nil)
	form := parcel.Payload{Kind: kindPush, Body: sample(t, "push-traces.form.txt")}
	clean := c.Redact(form)
	values, err := url.ParseQuery(string(clean.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, person := range []string{"王五", "13812345678", "4403001"} {
		if strings.Contains(values.Get("msgBody"), person) {
			t.Errorf("%s is left: %s", person, values.Get("msgBody"))
		}
	}
	if values.Get("receiveID") != "DEMOSENDER" || !strings.Contains(values.Get("msgBody"), `"opCode":"704"`) {
		t.Errorf("the rest of the form changed: %s", clean.Body)
	}
	before, err1 := c.Decode(form)
	after, err2 := c.Decode(clean)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil {
		t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
	}
	// What holds no person stays to the byte.
	for _, file := range []string{"journey-delivered.json", "exception-customs-return.json", "empty.json", "error-signature.json"} {
		if got := c.Redact(parcel.Payload{Kind: kindTrace, Body: sample(t, file)}); string(got.Body) != string(sample(t, file)) {
			t.Errorf("%s changed: %s", file, got.Body)
		}
	}
}

// wall is a clock that stands still: no wait takes time.
type wall struct{}

func (wall) Now() time.Time                                   { return today() }
func (wall) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func today() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 13, 3, 0, 0, 0, time.UTC)
	shenzhen, moscow := parcel.Place{Country: "CN", Region: "广东省", City: "深圳市"}, parcel.Place{Country: "RU", City: "MOSCOW"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "RU"}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodePickedUp, Place: shenzhen},
		{Code: parcel.CodeOriginHubArrived, Place: shenzhen},
		{Code: parcel.CodeExportCustomsReleased, Place: shenzhen},
		{Code: parcel.CodeOriginCountryDeparted, Place: shenzhen},
		{Code: parcel.CodeImportCustomsHeld, Reason: parcel.ReasonProhibited, Place: moscow},
		{Code: parcel.CodeImportCustomsReleased, Place: moscow},
		{Code: parcel.CodeDeliveryAttemptFailed, Reason: parcel.ReasonRecipientAbsent, Place: moscow},
		{Code: parcel.CodeDelivered, Place: moscow},
	} {
		s.At = start.Add(time.Duration(i) * 29 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func scanOf(o parcel.Observation) carriers.FakeScan {
	p := o.Place
	p.Facility = "" // which the fake makes up
	return carriers.FakeScan{Code: o.Code, Reason: o.Reason, At: o.Occurred.At, Place: p}
}

func TestRoundTrip(t *testing.T) {
	right := map[string]string{"send_id": "DEMO", "key": sampleKey}
	for _, tc := range []struct {
		name     string
		settings map[string]string
		tamper   map[string]string
		want     error
	}{
		{name: "right", settings: right},
		{name: "portal", settings: map[string]string{"send_id": "DEMO", "key": sampleKey, "province_field": "provinceNo", "path": "/querypush-pcpw/mailTrackProtocolPortal/queryMailTrackWn"}},
		{name: "another key", settings: right, tamper: map[string]string{"key": "x"}, want: parcel.ErrDenied},
		{name: "another sender", settings: right, tamper: map[string]string{"send_id": "x"}, want: parcel.ErrDenied},
		{name: "another path", settings: right, tamper: map[string]string{"path": "/x"}, want: parcel.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(carriers.FakeEnv{Settings: tc.settings, Now: today, Journeys: func(n string) (carriers.FakeHistory, bool) {
				return history(), n == delivered
			}})
			server := httptest.NewServer(f.Handler())
			t.Cleanup(server.Close)
			settings := maps.Clone(tc.settings)
			maps.Copy(settings, tc.tamper)
			carrier, err := spec().New(carriers.Env{Account: "main", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: wall{}})
			if err != nil {
				t.Fatal(err)
			}
			payloads, err := carrier.(carriers.Fetcher).Fetch(t.Context(), []carriers.Query{{Number: " lz741203656cn"}, {Number: unknown}})
			var r parcel.Reading
			if err == nil {
				r, err = carrier.Decode(payloads[0])
			}
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if tc.want != nil {
				return
			}
			var got []carriers.FakeScan
			for _, o := range r.Observations {
				got = append(got, scanOf(o))
			}
			if d := cmp.Diff(history().Scans, got); d != "" {
				t.Errorf("scans (-sent +read):\n%s", d)
			}
			r, err = carrier.Decode(payloads[1])
			if err != nil || len(r.Results) != 1 || r.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("unknown number: %+v, %v", r.Results, err)
			}
		})
	}
}

func TestFakeTakesASerialNumberOnce(t *testing.T) {
	f := newFake(carriers.FakeEnv{})
	if !f.fresh("1") || f.fresh("1") || f.fresh("") || !f.fresh("2") {
		t.Error("a serial number is taken twice, or not at all")
	}
}

func TestFakePush(t *testing.T) {
	settings := map[string]string{"key": sampleKey, "send_id": ""}
	c := account(t, settings)
	f := newFake(carriers.FakeEnv{Settings: settings, Now: today})
	h := history()
	for n := range len(h.Scans) {
		told := h
		told.Scans = h.Scans[:n+1]
		d, ok := f.Push(delivered, told)
		if !ok {
			t.Fatalf("no push for %s", h.Scans[n].Code)
		}
		kind, err := c.Verify(d)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Decode(parcel.Payload{Kind: kind, Body: d.Body})
		if err != nil || len(r.Observations) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if d := cmp.Diff(h.Scans[n], scanOf(r.Observations[0])); d != "" {
			t.Errorf("scan (-sent +read):\n%s", d)
		}
	}
}

func TestNumbersIdentify(t *testing.T) {
	for _, n := range []string{delivered, returning, "EA123456785CN", "9801234567890"} {
		if !slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == name }) {
			t.Errorf("%s is not taken for an item of %s", n, name)
		}
	}
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func FuzzDecode(f *testing.F) {
	for _, file := range []string{"journey-delivered.json", "exception-customs-return.json", "empty.json", "error-signature.json"} {
		f.Add(kindTrace, sample(f, file))
	}
	f.Add(kindPush, sample(f, "push-traces.form.txt"))
	f.Add(kindPush, sample(f, "push-traces.decoded.json"))
	f.Add(kindPush, []byte("msgBody=%5B%7B%22opDesc%22%3A%22100%25+tel+13812345678%22%7D%5D"))
	c := account(f, nil)
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		p := parcel.Payload{Kind: kind, Body: body, Numbers: []string{delivered}}
		r, err := c.Decode(p)
		for _, o := range r.Observations {
			if o.Number == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("observation without number, code or time: %+v", o)
			}
		}
		if err == nil && len(r.Observations)+len(r.Results) == 0 {
			t.Error("neither read nor refused")
		}
		clean := c.Redact(p)
		again, _ := c.Decode(clean)
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
		if twice := c.Redact(clean); string(twice.Body) != string(clean.Body) {
			t.Errorf("redacting twice changes more: %q, %q", clean.Body, twice.Body)
		}
	})
}
