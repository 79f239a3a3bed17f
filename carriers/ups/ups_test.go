package ups

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "1Z4X7E926844102758"
	damaged   = "1Z4X7E926844103382"
	unknown   = "1Z4X7E926800000011"
)

func settings() map[string]string {
	return map[string]string{"client_id": "demo", "client_secret": "demo-secret", "push_credential": "demo-push"}
}

func account(t testing.TB, env carriers.Env) *ups {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*ups)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, kind, file string, asked ...string) (parcel.Reading, error) {
	t.Helper()
	return account(t, carriers.Env{}).Decode(parcel.Payload{Carrier: name, Kind: kind, Body: sample(t, file), Numbers: asked})
}

func codesOf(r parcel.Reading) []parcel.Code {
	var codes []parcel.Code
	for _, o := range r.Observations {
		codes = append(codes, o.Code)
	}
	return codes
}

func TestDecodeJourneys(t *testing.T) {
	for _, tc := range []struct {
		name, file, number string
		want               []parcel.Code // newest first, as told
		first, last        string
		estimates          []parcel.Estimate
	}{
		{
			name: "delivered", file: "journey-delivered.json", number: delivered,
			want: []parcel.Code{
				parcel.CodeDelivered, parcel.CodeOutForDelivery, parcel.CodeInTransit, parcel.CodeInTransit,
				parcel.CodeImportCustomsReleased, parcel.CodeImportCustomsPresented, parcel.CodeInTransit, parcel.CodeInTransit,
				parcel.CodeInTransit, parcel.CodeOriginHubArrived, parcel.CodePickedUp, parcel.CodeInfoReceived,
			},
			first: "2026-10-14T09:22:01Z", last: "2026-10-19T18:12:05Z",
		},
		{
			name: "damaged after a customs hold", file: "exception-damage.json", number: damaged,
			want: []parcel.Code{
				parcel.CodeDamaged, parcel.CodeCustomsDocumentsRequired, parcel.CodeInTransit, parcel.CodeInTransit,
				parcel.CodeInTransit, parcel.CodeOriginHubArrived, parcel.CodePickedUp, parcel.CodeInfoReceived,
			},
			first: "2026-10-14T09:22:01Z", last: "2026-10-20T14:15:00Z",
			estimates: []parcel.Estimate{{Number: damaged, Earliest: "2026-10-22", Last: "2026-10-22"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, kindTrack, tc.file, tc.number)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, codesOf(r)); d != "" {
				t.Errorf("codes (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]parcel.NumberResult{{Number: tc.number, Finding: parcel.FindingFound}}, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.estimates, r.Estimates); d != "" {
				t.Errorf("estimates (-want +got):\n%s", d)
			}
			got := []string{r.Observations[len(r.Observations)-1].Occurred.At.Format(time.RFC3339), r.Observations[0].Occurred.At.Format(time.RFC3339)}
			if d := cmp.Diff([]string{tc.first, tc.last}, got); d != "" {
				t.Errorf("first and last (-want +got):\n%s", d)
			}
			for _, o := range r.Observations {
				if o.Occurred.Certainty != parcel.CertaintyReported || o.Number != tc.number || o.Language != "en-US" {
					t.Errorf("observation %s %s: certainty %s, number %s, language %s", o.OwnCode, o.Occurred.Wall, o.Occurred.Certainty, o.Number, o.Language)
				}
			}
		})
	}
}

func TestDecodeScan(t *testing.T) {
	r, err := decode(t, kindTrack, "journey-delivered.json", delivered)
	if err != nil {
		t.Fatal(err)
	}
	want := parcel.Observation{
		Carrier: "ups", Number: delivered, OwnCode: "D/KB/011", Code: parcel.CodeDelivered, Words: "DELIVERED", Language: "en-US",
		Occurred: parcel.Moment{
			At:   time.Date(2026, 10, 19, 18, 12, 5, 0, time.UTC),
			Wall: "2026-10-19T14:12:05", Text: "20261019 141205", OffsetSeconds: -4 * 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
		},
		Place:       parcel.Place{Country: "US", Region: "NJ", City: "Newark", Postcode: "07102"},
		DeliveredTo: parcel.DeliveredToSafePlace, Rule: "011", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(want, r.Observations[0]); d != "" {
		t.Errorf("newest scan (-want +got):\n%s", d)
	}
	// Anchorage, eight hours behind, on a journey told in four zones.
	if o := r.Observations[7]; o.Occurred.Offset() != "-08:00" || o.Occurred.Wall != "2026-10-16T11:20:00" {
		t.Errorf("Anchorage: %s %s", o.Occurred.Wall, o.Occurred.Offset())
	}
}

func TestPushIsTheSameEvent(t *testing.T) {
	pull, err := decode(t, kindTrack, "journey-delivered.json", delivered)
	if err != nil {
		t.Fatal(err)
	}
	push, err := decode(t, kindPush, "webhook-track-alert.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(push.Observations) != 1 || len(push.Estimates) != 0 {
		t.Fatalf("push: %d observations, estimates %v", len(push.Observations), push.Estimates)
	}
	a, b := pull.Observations[0], push.Observations[0]
	if a.Key() != b.Key() {
		t.Errorf("keys differ: %s %s and %s %s", a.OwnCode, a.Occurred.Wall, b.OwnCode, b.Occurred.Wall)
	}
	b.DeliveredTo = a.DeliveredTo // only answers say where it was left
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("answer and push differ (-answer +push):\n%s", d)
	}
	shipment := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "US"}}}
	j := parcel.Fold(&shipment, nil, rows(pull.Observations, push.Observations))
	if len(j.Events) != 12 || j.Outcome != parcel.OutcomeDelivered {
		t.Errorf("fold of both: %d events, outcome %q", len(j.Events), j.Outcome)
	}
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

func TestFoldOfDamage(t *testing.T) {
	r, err := decode(t, kindTrack, "exception-damage.json", damaged)
	if err != nil {
		t.Fatal(err)
	}
	shipment := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "US"}}}
	j := parcel.Fold(&shipment, nil, rows(r.Observations))
	open := map[parcel.ExceptionKind]bool{}
	for _, x := range j.Exceptions {
		open[x.Kind] = x.Open()
	}
	if !open[parcel.ExceptionDamaged] || !open[parcel.ExceptionCustomsHeld] || j.Milestone != parcel.MilestoneDestinationArrived {
		t.Errorf("milestone %s, exceptions %v", j.Milestone, open)
	}
}

func TestDecodeAnswersWithoutParcel(t *testing.T) {
	u := account(t, carriers.Env{})
	for _, tc := range []struct {
		name, body string
		want       []parcel.NumberResult
		kind       error
	}{
		{name: "unknown inside 200", body: string(sample(t, "not-found-200.json")),
			want: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "TW0001 Tracking Information Not Found"}}},
		{name: "unknown by 404", body: `{"response":{"errors":[{"code":"TW0001","message":"Tracking Information Not Found"}]}}`,
			want: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "TW0001 Tracking Information Not Found"}}},
		{name: "bad number", body: `{"response":{"errors":[{"code":"TV1002","message":"Invalid inquiry number"}]}}`,
			want: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "TV1002 Invalid inquiry number"}}},
		{name: "no shipment", body: `{"trackResponse":{"shipment":[]}}`,
			want: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown}}},
		{name: "credentials", body: string(sample(t, "error-auth-401.json")), kind: parcel.ErrDenied},
		{name: "another fault", body: `{"response":{"errors":[{"code":"VSS215","message":"later"}]}}`, kind: parcel.ErrUnavailable},
		{name: "no list of shipments", body: `{"trackResponse":{"shipment":"none"}}`, kind: parcel.ErrMalformed},
		{name: "no list of packages", body: `{"trackResponse":{"shipment":[{"inquiryNumber":"` + unknown + `","package":7}]}}`, kind: parcel.ErrMalformed,
			want: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingFound}}},
		{name: "other JSON", body: `{"hello":1}`, kind: parcel.ErrMalformed},
		{name: "array", body: `[]`, kind: parcel.ErrMalformed},
		{name: "web page", body: `<html></html>`, kind: parcel.ErrMalformed},
		{name: "cut off", body: `{"trackResponse":{"shipment":[{`, kind: parcel.ErrMalformed},
		{name: "empty", kind: parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := u.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tc.body), Numbers: []string{unknown}})
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestBadItemHidesNoOther(t *testing.T) {
	body := `{"trackResponse":{"shipment":["what",{"inquiryNumber":"1z 4x7e 9268 4410 2758","package":[{
		"trackingNumber":null,"activity":[
			{"status":{"type":"I","code":"AR","statusCode":5,"description":null},"location":null,"date":20261018,"time":"224400","gmtOffset":"-04:00"},
			{"status":{"type":"I","code":"DP","statusCode":"005"},"date":"yesterday","time":"noon"},
			7,
			{"status":"delivered","date":"20261018","time":"101500"},
			{"status":{"description":"Something else"},"location":{"address":{"countryCode":"DE"}},"date":"20261018","time":"101500"},
			{"status":{"type":"D","statusCode":"011"},"date":"20261019","time":""}
		]}, 3]}]}}`
	r, err := account(t, carriers.Env{}).Decode(parcel.Payload{Kind: kindTrack, Body: []byte(body)})
	for _, item := range []string{"shipment 1:", "shipment 2, package 1, activity 2:", "shipment 2, package 1, activity 3:", "shipment 2, package 1, activity 4:", "shipment 2, package 2:"} {
		if err == nil || !strings.Contains(err.Error(), item) {
			t.Errorf("error does not name %q: %v", item, err)
		}
	}
	if !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("kind of %v", err)
	}
	type seen struct {
		own, wall string
		code      parcel.Code
		certainty parcel.Certainty
	}
	var got []seen
	for _, o := range r.Observations {
		if o.Number != delivered {
			t.Errorf("number %q", o.Number)
		}
		got = append(got, seen{o.OwnCode, o.Occurred.Wall, o.Code, o.Occurred.Certainty})
	}
	want := []seen{
		{"I/AR/005", "2026-10-18T22:44:00", parcel.CodeInTransit, parcel.CertaintyReported},
		{"", "2026-10-18T10:15:00", parcel.CodeUnknown, parcel.CertaintyPlace},
		{"D//011", "2026-10-19", parcel.CodeDelivered, parcel.CertaintyUnknown},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); d != "" {
		t.Errorf("observations (-want +got):\n%s", d)
	}
}

func TestRow(t *testing.T) {
	u := account(t, carriers.Env{})
	for _, tc := range []struct {
		name, kind, code, state, words string
		want                           parcel.Code
		rule                           string
	}{
		{"manifest under M", "M", "DP", "005", "", parcel.CodeInfoReceived, "M/DP/*"},
		{"departed under I", "I", "DP", "005", "", parcel.CodeInTransit, "005"},
		{"departed, status new", "I", "DP", "998", "", parcel.CodeInTransit, "I/DP"},
		{"customs release typed X", "X", "SR", "014", "", parcel.CodeImportCustomsReleased, "X/SR/*"},
		{"clearance asked under a general status", "X", "29", "013", "", parcel.CodeCustomsDocumentsRequired, "X/29/*"},
		{"loaded on the vehicle typed D", "D", "OF", "021", "", parcel.CodeOutForDelivery, "021"},
		{"type D alone proves nothing", "D", "ZZ", "", "", parcel.CodeUnknown, "unmapped"},
		{"type X alone proves nothing", "X", "ZZ", "999", "", parcel.CodeUnknown, "unmapped"},
		{"on the vehicle back to the sender", "I", "ZZ", "037", "", parcel.CodeReturnStarted, "037"},
		{"on the way to an access point", "I", "ZZ", "057", "", parcel.CodeInTransit, "057"},
		{"delivered back", "D", "KB", "034", "", parcel.CodeReturned, "034"},
		{"delivered, status missing", "D", "FS", "", "", parcel.CodeDelivered, "D/FS"},
		{"unpadded status", "I", "OT", "21", "", parcel.CodeOutForDelivery, "021"},
		{"action required for customs", "X", "", "029", "Customs clearance needs the importer's number", parcel.CodeCustomsDocumentsRequired, "text:customs"},
		{"action required", "X", "", "049", "Please contact the sender", parcel.CodeCarrierHeld, "049"},
		{"label, code new", "M", "ZZ", "", "", parcel.CodeInfoReceived, "M"},
		{"update of a push", "U", "", "", "", parcel.CodeUnknown, "unmapped"},
		{"nothing said", "", "", "", "hello", parcel.CodeUnknown, "unmapped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			row := u.row(status{Type: text(tc.kind), Code: text(tc.code), StatusCode: text(tc.state)}, tc.words)
			if row.Code != tc.want || row.Rule != tc.rule {
				t.Errorf("got %s by %q, want %s by %q", row.Code, row.Rule, tc.want, tc.rule)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	u := account(t, carriers.Env{})
	us := parcel.Place{Country: "US"}
	for _, tc := range []struct {
		name                              string
		c                                 clock
		place                             parcel.Place
		wall, at, offset, text, certainty string
	}{
		{"both clocks of an answer", clock{"20261018", "224400", "20261019", "02:44:00", "-04:00"}, us,
			"2026-10-18T22:44:00", "2026-10-19T02:44:00Z", "-04:00", "20261018 224400", "REPORTED"},
		{"both clocks of a push", clock{"20261019", "141205", "20261019", "181205", ""}, us,
			"2026-10-19T14:12:05", "2026-10-19T18:12:05Z", "-04:00", "20261019 141205", "REPORTED"},
		{"half an hour's zone", clock{"20261019", "141205", "20261019", "084205", ""}, us,
			"2026-10-19T14:12:05", "2026-10-19T08:42:05Z", "+05:30", "20261019 141205", "REPORTED"},
		{"offset alone", clock{"20261019", "141205", "", "", "+08:00"}, us,
			"2026-10-19T14:12:05", "2026-10-19T06:12:05Z", "+08:00", "20261019 141205", "REPORTED"},
		{"clocks days apart: the offset as written", clock{"20261019", "141205", "20261009", "181205", "-04:00"}, us,
			"2026-10-19T14:12:05", "2026-10-19T18:12:05Z", "-04:00", "20261019 141205", "REPORTED"},
		{"local alone, one clock in the country", clock{"20261019", "141205", "", "", ""}, parcel.Place{Country: "CN"},
			"2026-10-19T14:12:05", "2026-10-19T06:12:05Z", "+08:00", "20261019 141205", "PLACE"},
		{"local alone, many clocks", clock{"20261019", "141205", "", "", ""}, us,
			"2026-10-19T14:12:05", "2026-10-19T18:12:05Z", "-04:00", "20261019 141205", "ASSUMED"},
		{"local alone, nowhere", clock{"20261019", "141205", "", "", ""}, parcel.Place{},
			"2026-10-19T14:12:05", "2026-10-19T14:12:05Z", "", "20261019 141205", "UNKNOWN"},
		{"GMT alone", clock{"", "", "20261019", "18:12:05", "-04:00"}, us,
			"2026-10-19T14:12:05", "2026-10-19T18:12:05Z", "-04:00", "20261019 18:12:05", "REPORTED"},
		{"day alone", clock{"20261019", "", "", "", ""}, parcel.Place{Country: "CN"},
			"2026-10-19", "2026-10-18T16:00:00Z", "+08:00", "20261019", "PLACE"},
		{"hours and minutes", clock{"2026-10-19", "14:12", "", "", "-04:00"}, us,
			"2026-10-19T14:12:00", "2026-10-19T18:12:00Z", "-04:00", "2026-10-19 14:12", "REPORTED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := tc.c.moment(&u.zones, tc.place)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{m.Wall, m.At.Format(time.RFC3339), m.Offset(), m.Written(), string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.at, tc.offset, tc.text, tc.certainty}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
		})
	}
	if _, err := (clock{}).moment(&u.zones, us); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("no time at all: %v", err)
	}
}

func TestEstimates(t *testing.T) {
	u := account(t, carriers.Env{})
	for _, tc := range []struct {
		name, dates string
		want        []parcel.Estimate
	}{
		{"scheduled", `[{"type":"SDD","date":"20261022"}]`, []parcel.Estimate{{Number: damaged, Earliest: "2026-10-22", Last: "2026-10-22"}}},
		{"rescheduled wins", `[{"type":"RDD","date":"20261024"},{"type":"SDD","date":"20261022"}]`, []parcel.Estimate{{Number: damaged, Earliest: "2026-10-24", Last: "2026-10-24"}}},
		{"delivered is history", `[{"type":"DEL","date":"20261022"}]`, nil},
		{"empty", `""`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := `{"trackResponse":{"shipment":[{"inquiryNumber":"` + damaged + `","package":[{"deliveryDate":` + tc.dates + `}]}]}}`
			r, err := u.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, r.Estimates); d != "" {
				t.Errorf("estimates (-want +got):\n%s", d)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	u := account(t, carriers.Env{})
	p := parcel.Payload{Kind: kindTrack, Body: sample(t, "journey-delivered.json"), Numbers: []string{delivered}}
	once := u.Redact(p)
	if strings.Contains(string(once.Body), "DRIVER RELEASE") || !strings.Contains(string(once.Body), `"receivedBy": "[redacted]"`) {
		t.Error("receivedBy is still there")
	}
	if twice := u.Redact(once); string(twice.Body) != string(once.Body) {
		t.Error("redacting twice changes more")
	}
	before, err1 := u.Decode(p)
	after, err2 := u.Decode(once)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil {
		t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
	}
	named := u.Redact(parcel.Payload{Kind: kindTrack, Body: []byte(`{"packageAddress":[{"name":"A PERSON","address":{"addressLine1":"1 STREET","city":"NEWARK"}}],"service":{"name":"Saver"}}`)})
	if want := `{"packageAddress":[{"name":"[redacted]","address":{"addressLine1":"[redacted]","city":"NEWARK"}}],"service":{"name":"Saver"}}`; string(named.Body) != want {
		t.Errorf("got %s", named.Body)
	}
	rubbish := u.Redact(parcel.Payload{Kind: kindTrack, Body: []byte(`{"receivedBy":"A`)})
	if string(rubbish.Body) != `{"receivedBy":"A` {
		t.Errorf("rubbish changed: %s", rubbish.Body)
	}
}

func TestVerify(t *testing.T) {
	u := account(t, carriers.Env{Settings: settings()})
	body := sample(t, "webhook-track-alert.json")
	for _, tc := range []struct {
		name   string
		u      *ups
		header http.Header
		body   string
		kind   error
	}{
		{name: "right", u: u, header: http.Header{"Credential": {"demo-push"}}, body: string(body)},
		{name: "wrong", u: u, header: http.Header{"Credential": {"demo-pusH"}}, body: string(body), kind: parcel.ErrDenied},
		{name: "none", u: u, body: string(body), kind: parcel.ErrDenied},
		{name: "no JSON", u: u, header: http.Header{"Credential": {"demo-push"}}, body: "hello", kind: parcel.ErrMalformed},
		{name: "account without a credential", u: account(t, carriers.Env{}), header: http.Header{"Credential": {""}}, body: string(body), kind: parcel.ErrDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kind, err := tc.u.Verify(carriers.Delivery{Header: tc.header, Body: []byte(tc.body)})
			if !errors.Is(err, tc.kind) || err == nil && kind != kindPush {
				t.Errorf("kind %q, error %v", kind, err)
			}
		})
	}
	for _, tc := range []struct {
		err  error
		want int
	}{{nil, 200}, {parcel.ErrDenied, 401}, {parcel.ErrMalformed, 400}, {parcel.ErrUnavailable, 503}, {errors.New("disk full"), 503}} {
		if got := u.Reply(tc.err); got.Status != tc.want {
			t.Errorf("reply to %v: %d, want %d", tc.err, got.Status, tc.want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		names    string
	}{
		{"id alone", map[string]string{"client_id": "a"}, "client_secret"},
		{"secret alone", map[string]string{"client_secret": "a"}, "client_id"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tc.settings})
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+tc.names) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := account(t, carriers.Env{}).Fetch(t.Context(), []carriers.Query{{Number: delivered}})
	if !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("fetch without credentials: %v", err)
	}
}

// wall is a clock that stands still: no token ages, no wait takes time.
type wall struct{}

func (wall) Now() time.Time                                   { return today() }
func (wall) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func today() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 14, 9, 22, 1, 0, time.UTC)
	shenzhen, newark := parcel.Place{Country: "CN", City: "Shenzhen"}, parcel.Place{Country: "US", Region: "NJ", City: "Newark"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "US", Estimated: start.AddDate(0, 0, 8)}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodeInfoReceived, Place: parcel.Place{Country: "CN"}},
		{Code: parcel.CodePickedUp, Place: shenzhen},
		{Code: parcel.CodeOriginHubArrived, Place: shenzhen},
		{Code: parcel.CodeInTransit, Place: parcel.Place{Country: "US", Region: "AK", City: "Anchorage"}},
		{Code: parcel.CodeImportCustomsPresented, Place: newark},
		{Code: parcel.CodeCustomsDocumentsRequired, Place: newark},
		{Code: parcel.CodeImportCustomsReleased, Place: newark},
		{Code: parcel.CodeDelayed, Reason: parcel.ReasonWeather, Place: newark},
		{Code: parcel.CodeOutForDelivery, Place: newark},
		{Code: parcel.CodeDelivered, DeliveredTo: parcel.DeliveredToReception, Place: newark},
	} {
		s.At = start.Add(time.Duration(i) * 7 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func serve(t *testing.T, wrap func(http.Handler) http.Handler) (*ups, carriers.Fake) {
	t.Helper()
	f := newFake(carriers.FakeEnv{Settings: settings(), Now: today, Journeys: func(n string) (carriers.FakeHistory, bool) {
		return history(), n == delivered
	}})
	h := f.Handler()
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return account(t, carriers.Env{Account: "main", BaseURL: server.URL, Settings: settings(), HTTP: server.Client(), Wall: wall{}}), f
}

func TestRoundTrip(t *testing.T) {
	u, f := serve(t, nil)
	payloads, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: unknown}, {Number: "1Z"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(payloads) != 3 {
		t.Fatalf("%d payloads", len(payloads))
	}
	var got []carriers.FakeScan
	r, err := u.Decode(payloads[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range slices.Backward(r.Observations) {
		got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place})
	}
	if d := cmp.Diff(history().Scans, got); d != "" {
		t.Errorf("scans (-sent +read):\n%s", d)
	}
	for i, n := range []string{unknown, "1Z"} {
		r, err := u.Decode(payloads[i+1])
		if err != nil || len(r.Results) != 1 || r.Results[0].Finding != parcel.FindingUnknown || r.Results[0].Number != n {
			t.Errorf("%s: %+v, %v", n, r.Results, err)
		}
	}
	d, ok := f.Push(delivered, history())
	if !ok {
		t.Fatal("no push")
	}
	kind, err := u.Verify(d)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := u.Decode(parcel.Payload{Kind: kind, Body: d.Body})
	if err != nil || len(pushed.Observations) != 1 || pushed.Observations[0].Key() != r.Observations[0].Key() {
		t.Errorf("push: %+v, %v", pushed, err)
	}
}

func TestFakeWordsReadBack(t *testing.T) {
	u := account(t, carriers.Env{})
	for _, w := range fakeWords() {
		row := u.row(status{Type: text(w.kind), Code: text(w.scan), StatusCode: text(w.state)}, w.is)
		if row.Code != w.code || w.reason != "" && row.Reason != w.reason || row.DeliveredTo != w.to {
			t.Errorf("%s %s/%s/%s reads as %s %s %s", w.code, w.kind, w.scan, w.state, row.Code, row.Reason, row.DeliveredTo)
		}
	}
}

func TestRenewal(t *testing.T) {
	refused := func(times int32, tokens, tracks *atomic.Int32) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == tokenPath {
					tokens.Add(1)
				} else if tracks.Add(1) <= times {
					refuse(w, http.StatusUnauthorized, "250003", "Invalid Access License number")
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	for _, tc := range []struct {
		name           string
		refusals       int32
		kind           error
		tokens, tracks int32
	}{
		{"refused once: one renewal", 1, nil, 2, 2},
		{"refused for good: no second renewal", 99, parcel.ErrDenied, 2, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tokens, tracks atomic.Int32
			u, _ := serve(t, refused(tc.refusals, &tokens, &tracks))
			_, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tc.kind) || tokens.Load() != tc.tokens || tracks.Load() != tc.tracks {
				t.Errorf("error %v, %d tokens, %d calls", err, tokens.Load(), tracks.Load())
			}
		})
	}
	t.Run("a token serves many calls", func(t *testing.T) {
		var tokens, tracks atomic.Int32
		u, _ := serve(t, refused(0, &tokens, &tracks))
		for range 5 {
			if _, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}}); err != nil {
				t.Fatal(err)
			}
		}
		if tokens.Load() != 1 || tracks.Load() != 5 {
			t.Errorf("%d tokens for %d calls", tokens.Load(), tracks.Load())
		}
	})
}

func TestRequest(t *testing.T) {
	var token, track *http.Request
	u, _ := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == tokenPath {
				token = r.Clone(t.Context())
			} else {
				track = r.Clone(t.Context())
			}
			next.ServeHTTP(w, r)
		})
	})
	if _, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}}); err != nil {
		t.Fatal(err)
	}
	if got := token.Header.Get("Authorization"); got != "Basic ZGVtbzpkZW1vLXNlY3JldA==" {
		t.Errorf("token: Authorization %q", got)
	}
	if got, want := track.URL.String(), trackPath+delivered+"?locale=en_US&returnMilestones=false&returnPOD=false&returnSignature=false"; got != want {
		t.Errorf("track: %s, want %s", got, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(track.Header.Get("transId")) {
		t.Errorf("transId %q", track.Header.Get("transId"))
	}
	if track.Header.Get("transactionSrc") != "milepost" || track.Header.Get("Authorization") != "Bearer fake-token-1" {
		t.Errorf("headers %v", track.Header)
	}
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func FuzzDecode(f *testing.F) {
	samples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(samples) == 0 {
		f.Fatal("no samples", err)
	}
	for _, s := range samples {
		f.Add(kindTrack, sample(f, filepath.Base(s)))
		f.Add(kindPush, sample(f, filepath.Base(s)))
	}
	u := account(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		p := parcel.Payload{Kind: kind, Body: body, Numbers: []string{delivered}}
		r, err := u.Decode(p)
		for _, o := range r.Observations {
			if o.Number == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("observation without number, code or time: %+v", o)
			}
		}
		if !json.Valid(body) && err == nil {
			t.Error("read what is no JSON")
		}
		again, _ := u.Decode(u.Redact(p))
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
	})
}
