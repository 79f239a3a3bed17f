package sfexpress

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "SF1390027164455"
	returning = "SF1390027164517"
	unknown   = "SF1390000000001"

	batch = "batch-journey-exception-empty.json"

	// checkword and its digest are the worked example's.
	checkword = "q7ExampleCheckWordZ3"
)

func account(t testing.TB, settings map[string]string) *sfExpress {
	t.Helper()
	c, err := spec().New(carriers.Env{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*sfExpress)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answerWith is an answer about one waybill with these routes.
func answerWith(t testing.TB, routes ...map[string]string) []byte {
	t.Helper()
	return accepted(t, map[string]any{"success": "true", "errorCode": "S0000", "msgData": map[string]any{
		"routeResps": []any{map[string]any{"mailNo": delivered, "routes": routes}},
	}})
}

func accepted(t testing.TB, inner any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"apiResultCode": "A1000", "apiResultData": compact(inner)})
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

func fold(events []parcel.Event) parcel.Journey {
	s := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "US"}}}
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
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindRoutes, Body: sample(t, batch), Numbers: []string{delivered, returning, unknown}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingFound}, {Number: returning, Finding: parcel.FindingFound}, {Number: unknown, Finding: parcel.FindingUnknown},
	}, r.Results); d != "" {
		t.Errorf("results (-want +got):\n%s", d)
	}
	toCustoms := []parcel.Code{
		parcel.CodePickedUp, parcel.CodeInTransit, parcel.CodeInTransit, parcel.CodeInTransit,
		parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented,
	}
	for _, tc := range []struct {
		name, number string
		want         []parcel.Code
		first, last  string
		milestone    parcel.Milestone
		outcome      parcel.Outcome
		open         []parcel.ExceptionKind
	}{
		{
			name: "delivered", number: delivered,
			want:  append(slices.Clone(toCustoms), parcel.CodeImportCustomsReleased, parcel.CodeOutForDelivery, parcel.CodeDelivered),
			first: "2026-10-20T09:40:11Z", last: "2026-10-23T06:26:39Z",
			milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
		},
		{
			name: "returning after a failed attempt", number: returning,
			want:  append(slices.Clone(toCustoms), parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeReturnStarted),
			first: "2026-10-20T09:40:11Z", last: "2026-10-27T02:00:00Z",
			milestone: parcel.MilestoneOutForDelivery, open: []parcel.ExceptionKind{parcel.ExceptionReturning},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			told := slices.DeleteFunc(slices.Clone(r.Observations), func(o parcel.Observation) bool { return o.Number != tc.number })
			var codes []parcel.Code
			for _, o := range told {
				codes = append(codes, o.Code)
				if o.Occurred.Certainty != parcel.CertaintyAssumed || o.Occurred.Offset() != "+08:00" || o.Language != "zh" {
					t.Errorf("%s: certainty %s, offset %s, language %s", o.OwnCode, o.Occurred.Certainty, o.Occurred.Offset(), o.Language)
				}
			}
			if d := cmp.Diff(tc.want, codes); d != "" {
				t.Fatalf("codes (-want +got):\n%s", d)
			}
			got := []string{told[0].Occurred.At.Format(time.RFC3339), told[len(told)-1].Occurred.At.Format(time.RFC3339)}
			if d := cmp.Diff([]string{tc.first, tc.last}, got); d != "" {
				t.Errorf("first and last (-want +got):\n%s", d)
			}
			j := fold(rows(told))
			if j.Milestone != tc.milestone || j.Outcome != tc.outcome {
				t.Errorf("milestone %s, outcome %q", j.Milestone, j.Outcome)
			}
			if d := cmp.Diff(tc.open, openKinds(j)); d != "" {
				t.Errorf("open exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestPushIsTheLastEventOfTheBatch(t *testing.T) {
	c := account(t, nil)
	asked, err := c.Decode(parcel.Payload{Kind: kindRoutes, Body: sample(t, batch)})
	if err != nil {
		t.Fatal(err)
	}
	push, err := c.Decode(parcel.Payload{Kind: kindPush, Body: sample(t, "push-routes.json")})
	if err != nil {
		t.Fatal(err)
	}
	want := parcel.Observation{
		Carrier: name, Number: delivered, OwnCode: "80", Code: parcel.CodeDelivered,
		Words: "已签收,感谢使用顺丰,期待再次为您服务", Language: "zh", Place: parcel.Place{City: "洛杉矶"},
		Occurred: parcel.Moment{
			At: time.Date(2026, 10, 23, 6, 26, 39, 0, time.UTC), Wall: "2026-10-23T14:26:39", Text: "2026-10-23 14:26:39",
			OffsetSeconds: 8 * 3600, HasOffset: true, Certainty: parcel.CertaintyAssumed,
		},
		Rule: "80", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(parcel.Reading{Observations: []parcel.Observation{want}}, push); d != "" {
		t.Fatalf("push (-want +got):\n%s", d)
	}
	whole := slices.DeleteFunc(asked.Observations, func(o parcel.Observation) bool { return o.Number != delivered })
	if j := fold(rows(whole, push.Observations)); len(j.Events) != 10 {
		t.Errorf("fold of both: %d events", len(j.Events))
	}
}

func TestDigest(t *testing.T) {
	const message = `{"language":"0","trackingType":"1","trackingNumber":["SF1390027164455"],"methodType":"1","checkPhoneNo":"4821"}`
	if got, want := digest(message, "1792310400000", checkword), "4Y0nIeUSKXwIcXwONLcIVA=="; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	// The question is written as the manual writes it, to the byte.
	b, err := json.Marshal(question{Language: "0", TrackingType: "1", TrackingNumber: []string{delivered}, MethodType: "1", CheckPhoneNo: "4821"})
	if err != nil || string(b) != message {
		t.Errorf("question %s, %v", b, err)
	}
	if got, want := javaEncode(`a b*c~d-e.f_g!'()+&中`), "a+b*c%7Ed-e.f_g%21%27%28%29%2B%26%E4%B8%AD"; got != want {
		t.Errorf("encoded %s, want %s", got, want)
	}
}

func TestRoutes(t *testing.T) {
	c := account(t, nil)
	for _, tc := range []struct {
		name, op, status, remark, side string
		code                           parcel.Code
		reason                         parcel.Reason
		to                             parcel.DeliveredTo
	}{
		{name: "clearance before departure", op: "201", status: "204", remark: "快件正在清关", side: "export:", code: parcel.CodeExportCustomsPresented},
		{name: "clearance after departure", op: "201", status: "204", remark: "快件正在清关", side: "import:", code: parcel.CodeImportCustomsPresented},
		{name: "words tell the side", op: "201", status: "205", remark: "进口清关完成", side: "export:", code: parcel.CodeImportCustomsReleased},
		{name: "nobody tells the side", op: "201", status: "205", remark: "已清关", code: parcel.CodeInTransit},
		{name: "clearance pushed without a status", op: "201", remark: "快件正在清关", code: parcel.CodeUnknown},
		{name: "70 is a delivery problem", op: "70", remark: "派送不成功", code: parcel.CodeDeliveryAttemptFailed},
		{name: "70 as exception", op: "70", status: "1301", remark: "收方客户拒收", code: parcel.CodeDeliveryAttemptFailed, reason: parcel.ReasonRefused},
		{name: "70 is an arrival", op: "70", status: "1301", remark: "快件已到达目的地国家/地区", code: parcel.CodeDestinationCountryArrived},
		{name: "70 without trouble", op: "70", status: "201", remark: "快件运送中", code: parcel.CodeInTransit},
		{name: "33", op: "33", remark: "电话无人接听", code: parcel.CodeDeliveryAttemptFailed, reason: parcel.ReasonRecipientUnreachable},
		{name: "signed by a part", op: "80", status: "401", remark: "已签收(签收人:前台)", code: parcel.CodeDelivered, to: parcel.DeliveredToReception},
		{name: "signed by the sender", op: "80", remark: "已签收,签收人:寄件方", code: parcel.CodeDelivered, to: parcel.DeliveredToSender},
		{name: "the image of the signature is no delivery", op: "8000", status: "401", remark: "电子签单", code: parcel.CodeUnknown},
		{name: "returned", op: "648", remark: "已退回,寄件人签收", code: parcel.CodeReturned, to: parcel.DeliveredToSender},
		{name: "return", op: "631", remark: "", code: parcel.CodeReturnStarted},
		{name: "refused and not yet signed by the sender", op: "99", remark: "客户拒绝签收,正在退回寄件方", code: parcel.CodeReturnStarted, reason: parcel.ReasonRefused},
		{name: "forwarded is not returned", op: "99", remark: "应客户要求,快件正在转寄中", code: parcel.CodeInTransit, reason: parcel.ReasonRescheduled},
		{name: "for collection", op: "607", remark: "", code: parcel.CodeReadyForPickup},
		{name: "nobody mapped it", op: "9999", status: "201", remark: "新的状态", code: parcel.CodeUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := decoder{sfExpress: c, payload: parcel.Payload{Kind: kindPush}}
			r := route{Time: "2026-10-23 14:26:39", Op: "", Status: "", Remark: ""}
			body, err := json.Marshal(map[string]string{"acceptTime": "2026-10-23 14:26:39", "opCode": tc.op, "secondaryStatusCode": tc.status, "remark": tc.remark})
			if err := errors.Join(err, json.Unmarshal(body, &r)); err != nil {
				t.Fatal(err)
			}
			if err := d.route(delivered, &r, tc.side); err != nil {
				t.Fatal(err)
			}
			o := d.reading.Observations[0]
			if o.Code != tc.code || o.Reason != tc.reason || o.DeliveredTo != tc.to || o.OwnCode != tc.op || o.Words != tc.remark {
				t.Errorf("got %s %s to %q, own code %s, words %q", o.Code, o.Reason, o.DeliveredTo, o.OwnCode, o.Words)
			}
		})
	}
}

func TestClearanceBeforeAndAfterDeparture(t *testing.T) {
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindRoutes, Body: answerWith(t,
		map[string]string{"acceptTime": "2026-10-20 12:00:00", "opCode": "201", "secondaryStatusCode": "204", "remark": "清关中"},
		map[string]string{"acceptTime": "2026-10-20 13:00:00", "opCode": "202", "secondaryStatusCode": "205", "remark": "已清关"},
		map[string]string{"acceptTime": "2026-10-21 12:00:00", "opCode": "105", "secondaryStatusCode": "201", "remark": "已离境"},
		map[string]string{"acceptTime": "2026-10-22 12:00:00", "opCode": "201", "secondaryStatusCode": "204", "remark": "清关中"},
		map[string]string{"acceptTime": "2026-10-22 13:00:00", "opCode": "202", "secondaryStatusCode": "205", "remark": "已清关"},
	)})
	if err != nil {
		t.Fatal(err)
	}
	var codes []parcel.Code
	for _, o := range r.Observations {
		codes = append(codes, o.Code)
	}
	if d := cmp.Diff([]parcel.Code{
		parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsReleased, parcel.CodeOriginCountryDeparted,
		parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsReleased,
	}, codes); d != "" {
		t.Errorf("codes (-want +got):\n%s", d)
	}
}

func TestPlannedScansAreNoEvents(t *testing.T) {
	received := time.Date(2026, 10, 23, 4, 0, 0, 0, time.UTC) // noon in China
	at := func(wall, op string) map[string]string {
		return map[string]string{"acceptTime": wall, "opCode": op, "mailno": delivered, "remark": "x"}
	}
	routes := []map[string]string{
		at("2026-10-23 11:59:00", "31"), at("2026-10-23 12:05:00", "36"), at("2026-10-23 14:00:00", "44"), at("2026-10-24 18:00:00", "80"),
	}
	push, err := json.Marshal(map[string]any{"Body": map[string]any{"WaybillRoute": routes}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		payload  parcel.Payload
		own      []string
		estimate []parcel.Estimate
	}{
		{"answer", parcel.Payload{Kind: kindRoutes, Body: answerWith(t, routes...), ReceivedAt: received}, []string{"31", "36"},
			[]parcel.Estimate{{Number: delivered, Earliest: "2026-10-24", Last: "2026-10-24"}}},
		{"push from a place whose clock is ahead", parcel.Payload{Kind: kindPush, Source: parcel.SourceWebhook, Body: push, ReceivedAt: received}, []string{"31", "36", "44"},
			[]parcel.Estimate{{Number: delivered, Earliest: "2026-10-24", Last: "2026-10-24"}}},
		{"afterwards", parcel.Payload{Kind: kindRoutes, Body: answerWith(t, routes...), ReceivedAt: received.AddDate(0, 0, 2)}, []string{"31", "36", "44", "80"}, nil},
		{"receipt not known", parcel.Payload{Kind: kindRoutes, Body: answerWith(t, routes...)}, []string{"31", "36", "44", "80"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(tc.payload)
			if err != nil {
				t.Fatal(err)
			}
			var own []string
			for _, o := range r.Observations {
				own = append(own, o.OwnCode)
			}
			if d := cmp.Diff(tc.own, own); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.estimate, r.Estimates); d != "" {
				t.Errorf("estimates (-want +got):\n%s", d)
			}
		})
	}
}

func TestDay(t *testing.T) {
	m, err := moment("2026-10-23")
	if err != nil || !m.DateOnly() || m.Wall != "2026-10-23" || m.Certainty != parcel.CertaintyAssumed {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "soon", "2026-13-01 00:00:00", "20261023142639"} {
		if _, err := moment(bad); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("time %q: %v", bad, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	one := []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown}}
	detailed := func(detail string) []parcel.NumberResult {
		return []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: detail}}
	}
	whole := func(code string) []byte {
		return []byte(`{"apiResultCode":"` + code + `","apiErrorMsg":"x","apiResultData":null}`)
	}
	inner := func(code string) []byte {
		return accepted(t, map[string]any{"success": "false", "errorCode": code, "errorMsg": "x", "msgData": nil})
	}
	for _, tc := range []struct {
		name string
		body []byte
		want []parcel.NumberResult
		kind error
	}{
		{"unknown or not for this phone", accepted(t, map[string]any{"success": true, "msgData": map[string]any{"routeResps": []any{map[string]any{"mailNo": unknown, "routes": nil}}}}), one, nil},
		{"not in the answer", accepted(t, map[string]any{"success": true, "msgData": map[string]any{"routeResps": []any{}}}), detailed("not in the answer"), nil},
		{"waybill of no form", inner("8247"), detailed("8247 x"), nil},
		{"order unknown", inner("8018"), detailed("8018 x"), nil},
		{"too many numbers", sample(t, "error-too-many-8003.json"), nil, parcel.ErrMalformed},
		{"no number", inner("8013"), nil, parcel.ErrMalformed},
		{"inside, whatever it is", inner("8999"), nil, parcel.ErrUnavailable},
		{"signature", sample(t, "error-signature-A1006.json"), nil, parcel.ErrDenied},
		{"token expired", whole("A1002"), nil, parcel.ErrDenied},
		{"address not on the list", whole("A1003"), nil, parcel.ErrDenied},
		{"permission", whole("A1004"), nil, parcel.ErrDenied},
		{"throttled", sample(t, "error-throttled-A1005.json"), nil, parcel.ErrThrottled},
		{"parameter missing", whole("A1001"), nil, parcel.ErrMalformed},
		{"decryption", whole("A1008"), nil, parcel.ErrMalformed},
		{"duplicate", whole("A1007"), nil, parcel.ErrUnavailable},
		{"backend", whole("A1009"), nil, parcel.ErrUnavailable},
		{"system", whole("A1099"), nil, parcel.ErrUnavailable},
		{"accepted and empty", whole("A1000"), nil, parcel.ErrMalformed},
		{"success without data", accepted(t, map[string]any{"success": true}), nil, parcel.ErrMalformed},
		{"another shape", []byte(`{"data":[]}`), nil, parcel.ErrMalformed},
		{"cut off", []byte(`{"apiResultCode":"A1000","apiResultData":"{\"succ`), nil, parcel.ErrMalformed},
		{"cut off inside", []byte(`{"apiResultCode":"A1000","apiResultData":"{\"succ"}`), nil, parcel.ErrMalformed},
		{"empty", nil, nil, parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindRoutes, Body: tc.body, Numbers: []string{unknown}})
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if tc.kind == parcel.ErrThrottled {
				if _, ok := errors.AsType[*parcel.Throttled](err); !ok {
					t.Errorf("error %v is no *parcel.Throttled", err)
				}
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestBadRouteHidesNoOther(t *testing.T) {
	body := accepted(t, map[string]any{"success": 1, "msgData": map[string]any{"routeResps": []any{
		"what", map[string]any{"routes": []any{}},
		map[string]any{"mailNo": 139002716445, "routes": []any{
			7, map[string]any{"acceptTime": "soon", "opCode": "31"}, map[string]any{"acceptTime": "2026-10-23 14:26:39"},
			map[string]any{"acceptTime": "2026-10-23 14:26:39", "opCode": 80, "remark": nil, "acceptAddress": 3},
		}},
	}}})
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindRoutes, Body: body, Numbers: []string{delivered, unknown}})
	if !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("error %v", err)
	}
	for _, place := range []string{"routeResps: item 0", "routeResps, item 0: no mailNo", "139002716445, routes: item 0", "139002716445, route 1", "139002716445, route 2"} {
		if err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("error does not name %q: %v", place, err)
		}
	}
	if len(r.Observations) != 1 || r.Observations[0].Code != parcel.CodeDelivered || r.Observations[0].Number != "139002716445" {
		t.Errorf("observations %+v", r.Observations)
	}
	if d := cmp.Diff([]parcel.NumberResult{{Number: "139002716445", Finding: parcel.FindingFound}}, r.Results); d != "" {
		t.Errorf("results (-want +got):\n%s", d)
	}
}

func TestNewNumber(t *testing.T) {
	for _, tc := range []struct{ name, remark, want string }{
		{"returned", "快件已退回/转寄,新单号为: SF1390027164999", "SF1390027164999"},
		{"digits", "已转寄,新运单号：123456789012", "123456789012"},
		{"in brackets", "新单号【SF1390027164999】", "SF1390027164999"},
		{"its own", "新单号为:" + delivered, ""},
		{"none", "已签收", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindRoutes, Body: answerWith(t, map[string]string{
				"acceptTime": "2026-10-23 14:26:39", "opCode": "648", "remark": tc.remark,
			})})
			if err != nil {
				t.Fatal(err)
			}
			var aliases []parcel.Alias
			if tc.want != "" {
				aliases = []parcel.Alias{{Number: delivered, Other: tc.want}}
			}
			if d := cmp.Diff(aliases, r.Aliases); d != "" || r.Observations[0].NextNumber != tc.want {
				t.Errorf("next %q, aliases (-want +got):\n%s", r.Observations[0].NextNumber, d)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	for _, tc := range []struct {
		address, remark string
		want            parcel.Place
	}{
		{"深圳市", "快件到达 【深圳国际转运中心】", parcel.Place{City: "深圳市"}},
		{"", "快件到达 【深圳国际转运中心】", parcel.Place{Facility: "深圳国际转运中心"}},
		{"", "快递员【[redacted]】正在派送", parcel.Place{}},
		{"日本", "x", parcel.Place{Country: "JP"}},
		{"", "已签收", parcel.Place{}},
		{"", "【cut off", parcel.Place{}},
	} {
		raw, err := json.Marshal(map[string]string{"acceptAddress": tc.address})
		var r route
		if err := errors.Join(err, json.Unmarshal(raw, &r)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, placeOf(&r, tc.remark)); d != "" {
			t.Errorf("%q, %q (-want +got):\n%s", tc.address, tc.remark, d)
		}
	}
}

func TestVerify(t *testing.T) {
	body := sample(t, "push-routes.json")
	query := func(secret ...string) map[string][]string { return map[string][]string{secretParameter: secret} }
	for _, tc := range []struct {
		name, secret string
		d            carriers.Delivery
		kind         error
	}{
		{"right", "s3", carriers.Delivery{Query: query("s3"), Body: body}, nil},
		{"another secret", "s3", carriers.Delivery{Query: query("s4"), Body: body}, parcel.ErrDenied},
		{"twice", "s3", carriers.Delivery{Query: query("s3", "s4"), Body: body}, parcel.ErrDenied},
		{"none given", "s3", carriers.Delivery{Body: body}, parcel.ErrDenied},
		{"none set", "", carriers.Delivery{Query: query(""), Body: body}, parcel.ErrDenied},
		{"in a header", "s3", carriers.Delivery{Header: http.Header{"Secret": {"s3"}}, Body: body}, parcel.ErrDenied},
		{"no JSON", "s3", carriers.Delivery{Query: query("s3"), Body: []byte("<Request/>")}, parcel.ErrMalformed},
		{"a text", "s3", carriers.Delivery{Query: query("s3"), Body: []byte(`"x"`)}, parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kind, err := account(t, map[string]string{"push_secret": tc.secret}).Verify(tc.d)
			if !errors.Is(err, tc.kind) || err == nil && kind != kindPush {
				t.Errorf("kind %q, error %v", kind, err)
			}
		})
	}
}

func TestReply(t *testing.T) {
	c := account(t, nil)
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"taken", nil, string(sample(t, "push-reply-ok.json"))},
		{"denied", parcel.ErrDenied, `{"return_code":"1000","return_msg":"系统异常"}`},
		{"disk full", errors.New("disk full"), `{"return_code":"1000","return_msg":"系统异常"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply := c.Reply(tc.err)
			var want, got map[string]string
			if err := errors.Join(json.Unmarshal([]byte(tc.want), &want), json.Unmarshal(reply.Body, &got)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" || reply.Status != http.StatusOK {
				t.Errorf("status %d (-want +got):\n%s", reply.Status, d)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		says     string
	}{
		{"check word alone", map[string]string{"checkword": "c"}, "setting partner_id"},
		{"customer alone", map[string]string{"partner_id": "p"}, "setting checkword"},
		{"no such proof", map[string]string{"auth": "basic"}, "setting auth"},
		{"whole phone", map[string]string{"check_phone_no": "13812345678"}, "setting check_phone_no"},
		{"letters for a phone", map[string]string{"check_phone_no": "48x1"}, "setting check_phone_no"},
		{"no such language", map[string]string{"language": "en"}, "setting language"},
		{"no path", map[string]string{"token_path": "oauth2"}, "setting token_path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tc.settings})
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v", err)
			}
			for k, v := range tc.settings {
				if len(v) > 4 && err != nil && strings.Contains(err.Error(), v) {
					t.Errorf("%v shows %s", err, k)
				}
			}
		})
	}
	if _, err := account(t, nil).Fetch(t.Context(), []carriers.Query{{Number: delivered}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("fetch without credentials: %v", err)
	}
}

func TestRedact(t *testing.T) {
	c := account(t, nil)
	p := parcel.Payload{Kind: kindRoutes, Body: answerWith(t, map[string]string{
		"acceptTime": "2026-10-23 08:05:00", "opCode": "44", "acceptAddress": "洛杉矶",
		"remark": "快件交给王五,正在派送途中(联系电话:13812345678)", "contactTel": "13812345678",
	})}
	clean := c.Redact(p)
	for _, person := range []string{"王五", "13812345678"} {
		if strings.Contains(string(clean.Body), person) {
			t.Errorf("%s is left: %s", person, clean.Body)
		}
	}
	before, err1 := c.Decode(p)
	after, err2 := c.Decode(clean)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil {
		t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
	}
	// What holds no person stays to the byte.
	for file, kind := range map[string]string{batch: kindRoutes, "push-routes.json": kindPush, "error-too-many-8003.json": kindRoutes} {
		if got := c.Redact(parcel.Payload{Kind: kind, Body: sample(t, file)}); string(got.Body) != string(sample(t, file)) {
			t.Errorf("%s changed: %s", file, got.Body)
		}
	}
}

// wall is a clock that tests move: no wait takes time.
type wall struct {
	mu  sync.Mutex
	now time.Time
}

func newWall() *wall { return &wall{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)} }

func (w *wall) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *wall) Sleep(ctx context.Context, d time.Duration) error {
	w.advance(d)
	return ctx.Err()
}

func (w *wall) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(max(d, 0))
}

// side is the fake behind a real server, which counts calls by path.
type side struct {
	*httptest.Server
	clock *wall
	mu    sync.Mutex
	calls map[string]int
}

func serve(t *testing.T, settings map[string]string) *side {
	t.Helper()
	s := &side{clock: newWall(), calls: map[string]int{}}
	f := newFake(carriers.FakeEnv{Settings: settings, Now: s.clock.Now, Journeys: func(n string) (carriers.FakeHistory, bool) {
		return history(), n != unknown
	}}).Handler()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls[r.URL.Path]++
		s.mu.Unlock()
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *side) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

func (s *side) open(t *testing.T, settings map[string]string) carriers.Fetcher {
	t.Helper()
	c, err := spec().New(carriers.Env{Account: "main", BaseURL: s.URL, Settings: settings, HTTP: s.Client(), Wall: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	return c.(carriers.Fetcher)
}

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 20, 12, 0, 0, 0, time.UTC)
	shenzhen, tokyo := parcel.Place{City: "深圳市"}, parcel.Place{City: "东京"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "JP"}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodePickedUp, Place: shenzhen},
		{Code: parcel.CodeInTransit, Place: shenzhen},
		{Code: parcel.CodeExportCustomsReleased, Place: shenzhen},
		{Code: parcel.CodeOriginCountryDeparted, Place: shenzhen},
		{Code: parcel.CodeDestinationCountryArrived, Place: tokyo},
		{Code: parcel.CodeImportCustomsReleased, Place: tokyo},
		{Code: parcel.CodeDeliveryAttemptFailed, Reason: parcel.ReasonRecipientAbsent, Place: tokyo},
		{Code: parcel.CodeDelivered, Place: tokyo},
	} {
		s.At = start.Add(time.Duration(i) * 19 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func credentials(more ...string) map[string]string {
	s := map[string]string{"partner_id": "DEMO", "checkword": checkword, "check_phone_no": "4821"}
	for i := 0; i+1 < len(more); i += 2 {
		s[more[i]] = more[i+1]
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		tamper   map[string]string
		want     error
		none     bool
	}{
		{name: "signature", settings: credentials()},
		{name: "token", settings: credentials("auth", "oauth2")},
		{name: "token elsewhere", settings: credentials("auth", "oauth2", "token_path", "/other/token")},
		{name: "another check word", settings: credentials(), tamper: map[string]string{"checkword": "x"}, want: parcel.ErrDenied},
		{name: "token for another check word", settings: credentials("auth", "oauth2"), tamper: map[string]string{"checkword": "x"}, want: parcel.ErrDenied},
		{name: "another customer", settings: credentials(), tamper: map[string]string{"partner_id": "x"}, want: parcel.ErrDenied},
		{name: "another phone", settings: credentials(), tamper: map[string]string{"check_phone_no": "0000"}, none: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, tc.settings)
			settings := maps.Clone(tc.settings)
			maps.Copy(settings, tc.tamper)
			carrier := s.open(t, settings)
			payloads, err := carrier.Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: " sf1390027164455 "}, {Number: unknown}})
			if err == nil {
				if len(payloads) != 1 {
					t.Fatalf("%d payloads", len(payloads))
				}
				var r parcel.Reading
				if r, err = account(t, nil).Decode(payloads[0]); err == nil {
					checkRoundTrip(t, r, tc.none)
				}
			}
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
		})
	}
}

func checkRoundTrip(t *testing.T, r parcel.Reading, none bool) {
	t.Helper()
	finding := parcel.FindingFound
	want := history().Scans
	if none {
		finding, want = parcel.FindingUnknown, nil
	}
	if d := cmp.Diff([]parcel.NumberResult{{Number: delivered, Finding: finding}, {Number: unknown, Finding: parcel.FindingUnknown}}, r.Results); d != "" {
		t.Errorf("results (-want +got):\n%s", d)
	}
	var got []carriers.FakeScan
	for _, o := range r.Observations {
		got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, At: o.Occurred.At, Place: o.Place})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("scans (-sent +read):\n%s", d)
	}
}

func TestTokenIsSharedAndRenewed(t *testing.T) {
	s := serve(t, credentials("auth", "oauth2"))
	c := s.open(t, credentials("auth", "oauth2"))
	ask := func(tokens int) {
		t.Helper()
		payloads, err := c.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
		if err != nil || len(payloads) != 1 {
			t.Fatalf("%d payloads, %v", len(payloads), err)
		}
		if _, err := account(t, nil).Decode(payloads[0]); err != nil || s.count(defaultTokenPath) != tokens {
			t.Errorf("%d tokens, want %d, error %v", s.count(defaultTokenPath), tokens, err)
		}
	}
	ask(1)
	ask(1)
	s.clock.advance(fakeTokenLife)
	ask(2)
	// A token that SF no longer takes is renewed once, in the same call.
	c.(*sfExpress).tokens = stale(t, c.(*sfExpress))
	ask(3)
}

// stale makes the adapter's cache hold a token that SF never gave.
func stale(t *testing.T, c *sfExpress) *carrierkit.TokenCache {
	t.Helper()
	first := true
	cache := carrierkit.NewTokenCache(c.env.Wall, func(ctx context.Context) (string, time.Time, error) {
		if first {
			first = false
			return "revoked", c.env.Wall.Now().Add(time.Hour), nil
		}
		return c.newToken(ctx)
	})
	if _, err := cache.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	return cache
}

func TestOneBadNumberDoesNotFailTheBatch(t *testing.T) {
	s := serve(t, credentials())
	c := s.open(t, credentials())
	queries := []carriers.Query{{Number: "NOTAWAYBILL"}}
	for i := range 11 {
		queries = append(queries, carriers.Query{Number: "SF13900271600" + string(rune('0'+i/10)) + string(rune('0'+i%10))})
	}
	payloads, err := c.Fetch(t.Context(), queries)
	if err != nil {
		t.Fatal(err)
	}
	found, missing := 0, []string{}
	for _, p := range payloads {
		r, err := account(t, nil).Decode(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range r.Results {
			if x.Finding == parcel.FindingFound {
				found++
			} else {
				missing = append(missing, x.Number)
			}
		}
	}
	if d := cmp.Diff([]string{"NOTAWAYBILL"}, missing); d != "" || found != 11 {
		t.Errorf("%d found, unknown (-want +got):\n%s", found, d)
	}
}

func TestFakeLimits(t *testing.T) {
	s := serve(t, credentials())
	post := func(numbers ...string) parcel.Reading {
		t.Helper()
		b, err := json.Marshal(question{Language: "0", TrackingType: "1", TrackingNumber: numbers, MethodType: "1", CheckPhoneNo: "4821"})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().PostForm(s.URL+servicePath, url.Values{
			"partnerID": {"DEMO"}, "requestID": {newRequestID()}, "serviceCode": {serviceCode}, "timestamp": {"1"}, "msgData": {string(b)},
			"msgDigest": {digest(string(b), "1", checkword)},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := account(t, nil).Decode(parcel.Payload{Kind: kindRoutes, Body: body, Numbers: numbers})
		if err != nil {
			r.Results = []parcel.NumberResult{{Detail: err.Error()}}
		}
		return r
	}
	eleven := slices.Repeat([]string{delivered}, batchLimit+1)
	if r := post(eleven...); !strings.Contains(r.Results[0].Detail, codeTooMany) {
		t.Errorf("eleven numbers: %+v", r.Results)
	}
	for range fakePerSecond - 1 {
		if r := post(delivered); r.Results[0].Finding != parcel.FindingFound {
			t.Fatalf("within the limit: %+v", r.Results)
		}
	}
	if r := post(delivered); !strings.Contains(r.Results[0].Detail, codeThrottled) {
		t.Errorf("beyond the limit: %+v", r.Results)
	}
	s.clock.advance(time.Second)
	if r := post(delivered); r.Results[0].Finding != parcel.FindingFound {
		t.Errorf("a second later: %+v", r.Results)
	}
}

// The adapter never makes more calls in a second than SF allows.
func TestQuotaKeepsTheLimit(t *testing.T) {
	q := spec().Quota
	if int(q.PerSecond)+q.Burst > fakePerSecond || q.Calls > fakePerDay {
		t.Errorf("quota %+v exceeds the platform's", q)
	}
}

func TestFakePush(t *testing.T) {
	settings := map[string]string{"push_secret": "s3"}
	c := account(t, settings)
	f := newFake(carriers.FakeEnv{Settings: settings, Now: newWall().Now})
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
		o := r.Observations[0]
		if !o.Occurred.At.Equal(h.Scans[n].At) || o.Number != delivered || o.Place != h.Scans[n].Place {
			t.Errorf("scan %s reads as %+v", h.Scans[n].Code, o)
		}
	}
	if _, ok := f.Push(delivered, carriers.FakeHistory{}); ok {
		t.Error("a push of nothing")
	}
}

func TestNumbersIdentify(t *testing.T) {
	for _, n := range []string{delivered, returning, unknown, "123456789012"} {
		if !slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == name }) {
			t.Errorf("%s is not taken for a waybill of %s", n, name)
		}
	}
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func FuzzDecode(f *testing.F) {
	for _, file := range []string{batch, "answer-as-object.json", "error-too-many-8003.json", "error-throttled-A1005.json"} {
		f.Add(kindRoutes, sample(f, file))
	}
	f.Add(kindPush, sample(f, "push-routes.json"))
	f.Add(kindRoutes, answerWith(f, map[string]string{"acceptTime": "2026-10-23", "opCode": "648", "remark": "签收人：张三 电话13812345678 <b>&amp;</b> 新单号SF1390027164999"}))
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
