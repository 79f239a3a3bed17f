package yunexpress

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	delivered = "YT2629300700188234"
	returning = "YT2629300700188299"
	lastMile  = "ES00918273645"
	unknown   = "YT2629300700180000"
)

func settings(dialect string) map[string]string {
	return map[string]string{
		"app_id": "demo", "app_secret": "demo-secret", "source_key": "demo-source", "dialect": dialect,
		"legacy_customer_code": "C001", "legacy_secret": "demo-legacy",
	}
}

func account(t testing.TB, env carriers.Env) *yunexpress {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*yunexpress)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, kind, body string, asked ...string) (parcel.Reading, error) {
	t.Helper()
	return account(t, carriers.Env{}).Decode(parcel.Payload{Carrier: name, Kind: kind, Body: []byte(body), Numbers: asked})
}

func fold(observations []parcel.Observation) parcel.Journey {
	shipment := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "ES"}}}
	var rows []parcel.Event
	for _, o := range observations {
		rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
	}
	return parcel.Fold(&shipment, nil, rows)
}

func kinds(j parcel.Journey) map[parcel.ExceptionKind]bool {
	open := map[parcel.ExceptionKind]bool{}
	for _, x := range j.Exceptions {
		open[x.Kind] = x.Open()
	}
	return open
}

// TestSign has the worked examples of the signature.
func TestSign(t *testing.T) {
	const secret, date = "yunDemoSecret01", "1792310400000"
	for _, tc := range []struct{ name, method, path, body, want string }{
		{"GET", "GET", trackPath, "", "O39lGEMNrT+S4p6cg7xav9P95zE9cOv5U6vthd3ae74="},
		{"POST", "POST", "/v1/track-service/subscribe-by-order", `{"waybill_numbers":["YT2629300700188234"],"subscribe_type":"A","query_type":["Y"]}`, "bwJiW1KosKO+QNRIpibe6LcpBjcYRNP1D2Ew3zHkgFQ="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := sign(secret, tc.method, tc.path, date, []byte(tc.body)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestSamples(t *testing.T) {
	all := []parcel.Code{
		parcel.CodeOutForDelivery, parcel.CodeLastMileAccepted, parcel.CodeImportCustomsReleased, parcel.CodeDestinationCountryArrived,
		parcel.CodeOriginCountryDeparted, parcel.CodeExportCustomsReleased, parcel.CodeWarehouseDispatched, parcel.CodeWarehouseReceived, parcel.CodeInfoReceived,
	}
	for _, tc := range []struct {
		name, kind, file, number string
		codes                    []parcel.Code // newest first, as told
		first, last              string
		certainty                parcel.Certainty
		outcome                  parcel.Outcome
		milestone                parcel.Milestone
		exceptions               map[parcel.ExceptionKind]bool // open or not
		aliases                  []parcel.Alias
	}{
		{
			name: "delivered", kind: kindTrack, file: "journey-delivered.json", number: delivered,
			codes: append([]parcel.Code{parcel.CodeDelivered}, all...),
			first: "2026-10-23T10:30:00Z", last: "2026-10-29T10:32:00Z", certainty: parcel.CertaintyReported,
			outcome: parcel.OutcomeDelivered, milestone: parcel.MilestoneDelivered, exceptions: map[parcel.ExceptionKind]bool{},
			aliases: []parcel.Alias{{Number: delivered, Other: lastMile}},
		},
		{
			name: "attempted and on the way back", kind: kindTrack, file: "exception-returning.json", number: returning,
			codes: append([]parcel.Code{parcel.CodeReturnStarted, parcel.CodeDeliveryAttemptFailed}, all...),
			first: "2026-10-23T10:30:00Z", last: "2026-10-31T09:00:00Z", certainty: parcel.CertaintyReported,
			milestone:  parcel.MilestoneOutForDelivery,
			exceptions: map[parcel.ExceptionKind]bool{parcel.ExceptionAttemptFailed: false, parcel.ExceptionReturning: true},
		},
		{
			name: "older dialect", kind: kindLegacy, file: "legacy-journey.json", number: delivered,
			codes: []parcel.Code{parcel.CodeDelivered, parcel.CodeLastMileAccepted, parcel.CodeInfoReceived},
			first: "2026-10-23T10:30:00Z", last: "2026-10-29T10:32:00Z", certainty: parcel.CertaintyAssumed,
			outcome: parcel.OutcomeDelivered, milestone: parcel.MilestoneDelivered, exceptions: map[parcel.ExceptionKind]bool{},
			aliases: []parcel.Alias{{Number: delivered, Other: lastMile}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, tc.kind, string(sample(t, tc.file)), tc.number)
			if err != nil {
				t.Fatal(err)
			}
			var codes []parcel.Code
			for _, o := range r.Observations {
				if o.Number != tc.number || o.Language != "en-US" || o.Occurred.Certainty != tc.certainty || o.OwnCode != "" {
					t.Errorf("%s: number %s, language %s, certainty %s, own code %q", o.Occurred.Wall, o.Number, o.Language, o.Occurred.Certainty, o.OwnCode)
				}
				if want := map[bool]string{true: lastMile}[o.Code == parcel.CodeLastMileAccepted && tc.number == delivered]; o.NextNumber != want {
					t.Errorf("%s: next number %q, want %q", o.Code, o.NextNumber, want)
				}
				codes = append(codes, o.Code)
			}
			if d := cmp.Diff(tc.codes, codes); d != "" {
				t.Errorf("codes (-want +got):\n%s", d)
			}
			got := []string{r.Observations[len(r.Observations)-1].Occurred.At.Format(time.RFC3339), r.Observations[0].Occurred.At.Format(time.RFC3339)}
			if d := cmp.Diff([]string{tc.first, tc.last}, got); d != "" {
				t.Errorf("first and last (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]parcel.NumberResult{{Number: tc.number, Finding: parcel.FindingFound}}, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.aliases, r.Aliases); d != "" {
				t.Errorf("aliases (-want +got):\n%s", d)
			}
			j := fold(r.Observations)
			if j.Outcome != tc.outcome || j.Milestone != tc.milestone {
				t.Errorf("outcome %q, milestone %s", j.Outcome, j.Milestone)
			}
			if d := cmp.Diff(tc.exceptions, kinds(j)); d != "" {
				t.Errorf("exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeEvent(t *testing.T) {
	r, err := decode(t, kindTrack, string(sample(t, "exception-returning.json")), returning)
	if err != nil {
		t.Fatal(err)
	}
	want := parcel.Observation{
		Carrier: name, Number: returning, Code: parcel.CodeReturnStarted, Reason: parcel.ReasonAddressIncorrect,
		Words: "Return to sender: address incomplete", Language: "en-US",
		Occurred: parcel.Moment{
			At: time.Date(2026, 10, 31, 9, 0, 0, 0, time.UTC), Wall: "2026-10-31T10:00:00", Text: "2026-10-31 10:00:00 +01:00",
			OffsetSeconds: 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
		},
		Place: parcel.Place{Country: "ES", City: "Madrid"}, Rule: "text: return to sender & address", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(want, r.Observations[0]); d != "" {
		t.Errorf("newest event (-want +got):\n%s", d)
	}
}

// TestOtherNames reads the names that the service has for the same things.
func TestOtherNames(t *testing.T) {
	r, err := decode(t, kindTrack, `{"success":true,"code":"0","result":[{"order_number":"XB-1","package_status":"T","track_Info":{
		"waybill_number":"`+delivered+`","tracking_number":"`+lastMile+`","track_events":[
			{"process_time":"2026-10-29T11:32:00.000Z","process_utc_time":"2026-10-29T10:32:00.000Z","process_content":"Delivered","process_country":"ES","process_province":"MD","process_city":"Madrid","process_location":"Madrid 1","track_node_code":"delivered"},
			{"process_time":"2026-10-23T18:30:00","process_content":"Something else","track_node_code":"XD/ZC"}]}}]}`, delivered)
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		own       string
		code      parcel.Code
		wall, at  string
		certainty parcel.Certainty
		place     parcel.Place
	}
	var got []seen
	for _, o := range r.Observations {
		got = append(got, seen{o.OwnCode, o.Code, o.Occurred.Wall, o.Occurred.At.Format(time.RFC3339), o.Occurred.Certainty, o.Place})
	}
	want := []seen{
		{"DELIVERED", parcel.CodeDelivered, "2026-10-29T11:32:00", "2026-10-29T10:32:00Z", parcel.CertaintyReported, parcel.Place{Country: "ES", Region: "MD", City: "Madrid", Facility: "Madrid 1"}},
		{"XD/ZC", parcel.CodeUnknown, "2026-10-23T18:30:00", "2026-10-23T10:30:00Z", parcel.CertaintyAssumed, parcel.Place{}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); d != "" {
		t.Errorf("observations (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]parcel.Alias{{Number: delivered, Other: lastMile}}, r.Aliases); d != "" {
		t.Errorf("aliases (-want +got):\n%s", d)
	}
}

func TestAskedByAnotherName(t *testing.T) {
	for _, asked := range []string{lastMile, "XB-55033"} {
		r, err := decode(t, kindTrack, string(sample(t, "journey-delivered.json")), asked)
		if err != nil {
			t.Fatal(err)
		}
		number := parcel.NormalizeNumber(asked)
		if len(r.Results) != 1 || r.Results[0].Number != number || r.Results[0].Finding != parcel.FindingFound || r.Observations[0].Number != number {
			t.Errorf("%s: results %+v, events of %s", asked, r.Results, r.Observations[0].Number)
		}
		if !slices.Contains(r.Aliases, parcel.Alias{Number: number, Other: delivered}) {
			t.Errorf("%s: aliases %+v", asked, r.Aliases)
		}
	}
}

func TestWords(t *testing.T) {
	y := account(t, carriers.Env{})
	for _, tc := range []struct {
		words  string
		want   parcel.Code
		reason parcel.Reason
	}{
		{"Not delivered", parcel.CodeDeliveryAttemptFailed, ""},
		{"Undelivered", parcel.CodeUnknown, ""},
		{"The parcel could not be delivered: recipient not available", parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent},
		{"The parcel cannot be delivered", parcel.CodeDeliveryAttemptFailed, ""},
		{"We were unable to get the parcel delivered", parcel.CodeDeliveryAttemptFailed, ""},
		{"The parcel has not been delivered yet", parcel.CodeInTransit, ""},
		{"Should be delivered today", parcel.CodeInTransit, ""},
		{"Delivered to local sorting center", parcel.CodeInTransit, ""},
		{"Delivered to the depot", parcel.CodeDeliveryOfficeArrived, ""},
		{"Delivered to local post office", parcel.CodeReadyForPickup, ""},
		{"Delivered to sender", parcel.CodeReturned, ""},
		{"Delivered to pick up point", parcel.CodeReadyForPickup, ""},
		{"Delivered to local carrier", parcel.CodeLastMileAccepted, ""},
		{"The parcel will be delivered tomorrow", parcel.CodeInTransit, ""},
		{"Successfully delivered", parcel.CodeDelivered, ""},
		{"Return to sender, delivered", parcel.CodeReturnStarted, ""},
		{"Package damaged, delivered", parcel.CodeDamaged, ""},
		{"Closest facility", parcel.CodeUnknown, ""},
		{"Export customs clearance completed", parcel.CodeExportCustomsReleased, ""},
		{"Export customs clearance started", parcel.CodeExportCustomsPresented, ""},
		{"Import customs clearance completed", parcel.CodeImportCustomsReleased, ""},
		{"Customs clearance", parcel.CodeImportCustomsPresented, ""},
		{"Held by customs", parcel.CodeImportCustomsHeld, ""},
		{"Arrived at sorting center", parcel.CodeInTransit, ""},
		{"包裹已签收", parcel.CodeUnknown, ""},
	} {
		t.Run(tc.words, func(t *testing.T) {
			d := decoder{yunexpress: y}
			o, err := d.observe(scan{says: text(tc.words), local: "2026-10-29 11:32:00"})
			if err != nil || o.Code != tc.want || o.Reason != tc.reason {
				t.Errorf("got %s %s by %q, %v", o.Code, o.Reason, o.Rule, err)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	d := decoder{yunexpress: account(t, carriers.Env{})}
	for _, tc := range []struct {
		name, local, zone, utc   string
		wall, at, offset, zoneAt string
		certainty                parcel.Certainty
	}{
		{"offset", "2026-10-25 19:50:00", "+08:00", "", "2026-10-25T19:50:00", "2026-10-25T11:50:00Z", "+08:00", "", "REPORTED"},
		{"offset in words", "2026-10-25 19:50:00", "UTC+8", "", "2026-10-25T19:50:00", "2026-10-25T11:50:00Z", "+08:00", "", "REPORTED"},
		{"zone by name", "2026-10-29 11:32:00", "Europe/Madrid", "", "2026-10-29T11:32:00", "2026-10-29T10:32:00Z", "+01:00", "Europe/Madrid", "REPORTED"},
		{"none: China", "2026-10-25 19:50:00", "", "", "2026-10-25T19:50:00", "2026-10-25T11:50:00Z", "+08:00", "", "ASSUMED"},
		{"zone that nobody can read", "2026-10-25 19:50:00", "local", "", "2026-10-25T19:50:00", "2026-10-25T11:50:00Z", "+08:00", "", "UNKNOWN"},
		{"UTC beside it", "2026-10-29T11:32:00.000Z", "", "2026-10-29T10:32:00.000Z", "2026-10-29T11:32:00", "2026-10-29T10:32:00Z", "+01:00", "", "REPORTED"},
		{"UTC of another event", "2026-10-29T11:32:00", "", "2026-10-20T10:31:00", "2026-10-29T11:32:00", "2026-10-29T03:32:00Z", "+08:00", "", "ASSUMED"},
		{"offset in the text", "2026-10-29T11:32:00+01:00", "", "", "2026-10-29T11:32:00", "2026-10-29T10:32:00Z", "+01:00", "", "REPORTED"},
		{"minutes", "2026-10-25 19:50", "+08:00", "", "2026-10-25T19:50:00", "2026-10-25T11:50:00Z", "+08:00", "", "REPORTED"},
		{"day", "2026-10-25", "+08:00", "", "2026-10-25", "2026-10-24T16:00:00Z", "+08:00", "", "REPORTED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := d.moment(&scan{local: text(tc.local), zone: text(tc.zone), utc: text(tc.utc)})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{m.Wall, m.At.Format(time.RFC3339), m.Offset(), m.Zone, string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.at, tc.offset, tc.zoneAt, string(tc.certainty)}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
		})
	}
	if _, err := d.moment(&scan{local: "noon"}); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("no time: %v", err)
	}
}

func TestDecodeAnswersWithoutParcel(t *testing.T) {
	y := account(t, carriers.Env{Settings: map[string]string{"unknown_codes": "NOT_FOUND", "throttled_codes": "429,BUSY"}})
	for _, tc := range []struct {
		name, kind, body string
		want             []parcel.NumberResult
		err              error
	}{
		{name: "no events", kind: kindTrack, body: `{"success":true,"code":"0","msg":"success","result":{"waybill_number":"","track_info":[]}}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown}}},
		{name: "no result", kind: kindTrack, body: `{"success":true,"code":"0","msg":"success","result":null}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "0 success"}}},
		{name: "code for unknown numbers", kind: kindTrack, body: `{"success":false,"code":"NOT_FOUND","msg":"no such order"}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "NOT_FOUND no such order"}}},
		{name: "signature", kind: kindTrack, body: string(sample(t, "error-sign.json")), err: parcel.ErrDenied},
		{name: "throttled", kind: kindTrack, body: `{"success":false,"code":"BUSY","msg":"later"}`, err: parcel.ErrThrottled},
		{name: "another fault", kind: kindTrack, body: `{"success":"false","code":500,"msg":"later"}`, err: parcel.ErrUnavailable},
		{name: "success and nothing else", kind: kindTrack, body: `{"success":true,"code":"0"}`, err: parcel.ErrMalformed},
		{name: "result of another type", kind: kindTrack, body: `{"success":true,"code":"0","result":7}`, err: parcel.ErrMalformed},
		{name: "other JSON", kind: kindTrack, body: `{"hello":1}`, err: parcel.ErrMalformed},
		{name: "cut off", kind: kindTrack, body: `{"success":true,"resu`, err: parcel.ErrMalformed},
		{name: "nothing", kind: kindTrack, err: parcel.ErrMalformed},
		{name: "older dialect: no item", kind: kindLegacy, body: `{"Item":null,"Code":"0000","Message":"OK"}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "0000"}}},
		{name: "older dialect: fault", kind: kindLegacy, body: `{"Item":null,"Code":"9999","Message":"later"}`, err: parcel.ErrUnavailable},
		{name: "older dialect: other JSON", kind: kindLegacy, body: `{}`, err: parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := y.Decode(parcel.Payload{Kind: tc.kind, Body: []byte(tc.body), Numbers: []string{delivered}})
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want kind %v", err, tc.err)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestBadItemHidesNoOther(t *testing.T) {
	r, err := decode(t, kindTrack, `{"success":true,"code":"0","result":{"waybill_number":"yt 26293-00700188234","tracking_number":7,"track_info":["what",{"track_events":[
		{"event_date":"2026-10-29 08:05:00","time_zone":1,"description":"Out for delivery","location":["x"]},
		{"event_date":"yesterday","description":"Flight departed"}, 7,
		{"event_date":"2026-10-29 08:05:00"}]}]}}`)
	for _, item := range []string{"events: item 0", "events: item 2", "event 2: time", "event 3: neither code nor words"} {
		if err == nil || !strings.Contains(err.Error(), item) {
			t.Errorf("error does not name %q: %v", item, err)
		}
	}
	if !errors.Is(err, parcel.ErrMalformed) || len(r.Observations) != 1 || r.Observations[0].Number != delivered || r.Observations[0].Code != parcel.CodeOutForDelivery {
		t.Errorf("observations %+v, %v", r.Observations, err)
	}
}

func TestRedact(t *testing.T) {
	y := account(t, carriers.Env{})
	body := func(description string) string {
		return `{"success":true,"code":"0","result":{"waybill_number":"` + delivered + `","pod_url":"https://pod.test/1.jpg","track_info":[{"track_events":[{"event_date":"2026-10-29 11:32:00","time_zone":"+01:00","description":"` + description + `","location":"Madrid, Spain"}]}]}}`
	}
	for _, tc := range []struct{ name, description, words string }{
		{"signature", "Delivered, signed by MARIA EJEMPLO, thank you", "Delivered, signed by [redacted], thank you"},
		{"signature with an escape", `Delivered. Signed for by: Jos\u00e9 Ejemplo`, "Delivered. Signed for by: [redacted]"},
		{"signature before a quote", `Delivered, signed by MARIA \"M\"`, "Delivered, signed by [redacted]"},
		{"address", `Delivered to maria@example.com`, "Delivered to [redacted]"},
		{"address after a line break", `Delivered\nmaria.e@mail.example.com`, "Delivered\n[redacted]"},
		{"phone", "Delivered, call +34 600 000 001", "Delivered, call [redacted]"},
		{"nothing personal", "Delivered", "Delivered"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := parcel.Payload{Kind: kindTrack, Body: []byte(body(tc.description))}
			once := y.Redact(p)
			if !json.Valid(once.Body) || strings.Contains(string(once.Body), "pod.test") {
				t.Fatalf("got %s", once.Body)
			}
			if twice := y.Redact(once); string(twice.Body) != string(once.Body) {
				t.Errorf("redacting twice changes more: %s", twice.Body)
			}
			before, err1 := y.Decode(p)
			after, err2 := y.Decode(once)
			if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil {
				t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
			}
			if o := after.Observations[0]; o.Words != tc.words || o.Code != parcel.CodeDelivered {
				t.Errorf("words %q, code %s", o.Words, o.Code)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		names    string
	}{
		{"secret missing", map[string]string{"app_id": "a", "source_key": "c"}, "app_secret"},
		{"id missing", map[string]string{"app_secret": "b", "source_key": "c"}, "app_id"},
		{"source missing", map[string]string{"app_id": "a", "app_secret": "b"}, "source_key"},
		{"no dialect", map[string]string{"dialect": "v2"}, "dialect"},
		{"no life", map[string]string{"token_life": "long"}, "token_life"},
		{"older dialect without an address", map[string]string{"dialect": dialectLegacy}, "legacy_url"},
		{"half of the older credentials", map[string]string{"legacy_customer_code": "a"}, "legacy_secret"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tc.settings})
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, other := range []map[string]string{nil, {"dialect": dialectLegacy, "legacy_url": "http://legacy.test", "app_id": "a", "app_secret": "b", "source_key": "c"}} {
		_, err := account(t, carriers.Env{Settings: other}).Fetch(t.Context(), []carriers.Query{{Number: delivered}})
		if !errors.Is(err, carriers.ErrNoAccount) {
			t.Errorf("fetch with %v: %v", slices.Sorted(maps.Keys(other)), err)
		}
	}
}

// wall is a clock that stands still: no token ages, no wait takes time.
type wall struct{}

func (wall) Now() time.Time                                   { return today() }
func (wall) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func today() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 23, 10, 30, 0, 0, time.UTC)
	shenzhen, liege, madrid := parcel.Place{Country: "CN", City: "Shenzhen"}, parcel.Place{Country: "BE", City: "Liege"}, parcel.Place{Country: "ES", City: "Madrid"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "ES", NextNumber: lastMile}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodeInfoReceived},
		{Code: parcel.CodeWarehouseReceived, Place: shenzhen},
		{Code: parcel.CodeWarehouseDispatched, Place: shenzhen},
		{Code: parcel.CodeExportCustomsReleased, Place: shenzhen},
		{Code: parcel.CodeOriginCountryDeparted, Place: shenzhen},
		{Code: parcel.CodeDestinationCountryArrived, Place: liege},
		{Code: parcel.CodeImportCustomsReleased, Place: liege},
		{Code: parcel.CodeLastMileAccepted, Place: liege},
		{Code: parcel.CodeOutForDelivery, Place: madrid},
		{Code: parcel.CodeDeliveryAttemptFailed, Reason: parcel.ReasonRecipientAbsent, Place: madrid},
		{Code: parcel.CodeDelivered, Place: madrid},
	} {
		s.At = start.Add(time.Duration(i) * 7 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func serve(t *testing.T, dialect string, wrap func(http.Handler) http.Handler) *yunexpress {
	t.Helper()
	h := newFake(carriers.FakeEnv{Settings: settings(dialect), Now: today, Journeys: func(n string) (carriers.FakeHistory, bool) {
		return history(), n == delivered
	}}).Handler()
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return account(t, carriers.Env{Account: "main", BaseURL: server.URL, Settings: settings(dialect), HTTP: server.Client(), Wall: wall{}})
}

func TestRoundTrip(t *testing.T) {
	for _, dialect := range []string{dialectOpen, dialectLegacy} {
		t.Run(dialect, func(t *testing.T) {
			y := serve(t, dialect, nil)
			payloads, err := y.Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: unknown}})
			if err != nil || len(payloads) != 2 {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			r, err := y.Decode(payloads[0])
			if err != nil {
				t.Fatal(err)
			}
			var got []carriers.FakeScan
			for _, o := range slices.Backward(r.Observations) {
				got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place})
				if o.Code == parcel.CodeLastMileAccepted && o.NextNumber != lastMile {
					t.Errorf("next number %q", o.NextNumber)
				}
			}
			if d := cmp.Diff(history().Scans, got); d != "" {
				t.Errorf("scans (-sent +read):\n%s", d)
			}
			r, err = y.Decode(payloads[1])
			if err != nil || len(r.Results) != 1 || r.Results[0].Number != unknown || r.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("unknown: %+v, %v", r.Results, err)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	type call struct{ method, path, query, token, date, sign, authorization, language, body string }
	for _, tc := range []struct {
		dialect string
		want    []call
	}{
		{dialectOpen, []call{
			{method: "POST", path: "/openapi/oauth2/token", body: `{"appId":"demo","appSecret":"demo-secret","grantType":"client_credentials","sourceKey":"demo-source"}`},
			{method: "GET", path: "/v1/track-service/info/get", query: "order_number=" + delivered, token: "fake-token-1", date: "1795338000000",
				sign: sign("demo-secret", "GET", "/v1/track-service/info/get", "1795338000000", nil), language: "en-US"},
		}},
		{dialectLegacy, []call{
			{method: "GET", path: "/api/Tracking/GetTrackInfo", query: "OrderNumber=" + delivered, authorization: "Basic QzAwMSZkZW1vLWxlZ2FjeQ==", language: "en-US"},
		}},
	} {
		t.Run(tc.dialect, func(t *testing.T) {
			var calls []call
			y := serve(t, tc.dialect, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					r.Body = io.NopCloser(strings.NewReader(string(body)))
					h := r.Header.Get
					calls = append(calls, call{r.Method, r.URL.Path, r.URL.RawQuery, h("token"), h("date"), h("sign"), h("Authorization"), h("Accept-Language"), string(body)})
					next.ServeHTTP(w, r)
				})
			})
			if _, err := y.Fetch(t.Context(), []carriers.Query{{Number: delivered}}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, calls, cmp.AllowUnexported(call{})); d != "" {
				t.Errorf("calls (-want +got):\n%s", d)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, dialect, body string
		status              int
		header              http.Header
		kind                error
		wait                time.Duration
		calls               int32 // of the track service
	}{
		{name: "signature by status", dialect: dialectOpen, status: 401, body: string(sample(t, "error-sign.json")), kind: parcel.ErrDenied, calls: 2},
		{name: "signature inside 200", dialect: dialectOpen, status: 200, body: string(sample(t, "error-sign.json")), kind: parcel.ErrDenied, calls: 2},
		{name: "throttled by status", dialect: dialectOpen, status: 429, header: http.Header{"Retry-After": {"90"}}, body: "{}", kind: parcel.ErrThrottled, wait: 90 * time.Second, calls: 1},
		{name: "throttled inside 200", dialect: dialectOpen, status: 200, body: `{"success":false,"code":"429","msg":"later"}`, kind: parcel.ErrThrottled, calls: 1},
		{name: "out of service", dialect: dialectOpen, status: 503, header: http.Header{"Retry-After": {"90"}}, body: "{}", kind: parcel.ErrUnavailable, calls: 1},
		{name: "older dialect: credentials", dialect: dialectLegacy, status: 401, body: `{"Item":null,"Code":"1001"}`, kind: parcel.ErrDenied, calls: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls atomic.Int32
			y := serve(t, tc.dialect, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == tokenPath {
						next.ServeHTTP(w, r)
						return
					}
					calls.Add(1)
					for k := range tc.header {
						w.Header().Set(k, tc.header.Get(k))
					}
					w.WriteHeader(tc.status)
					_, _ = io.WriteString(w, tc.body)
				})
			})
			payloads, err := y.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tc.kind) || len(payloads) != 0 || calls.Load() != tc.calls {
				t.Fatalf("%d payloads, %d calls, error %v, want kind %v", len(payloads), calls.Load(), err, tc.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); tc.wait > 0 && (!ok || th.RetryAfter != tc.wait) {
				t.Errorf("wait of %v", err)
			}
			for _, secret := range []string{"demo-secret", "demo-source", "demo-legacy", "fake-token"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows %q: %v", secret, err)
				}
			}
		})
	}
}

func TestTokens(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		kind       error
		life       time.Duration
	}{
		{name: "flat", status: 200, body: `{"accessToken":"t"}`, life: 2 * time.Hour},
		{name: "with its life", status: 200, body: `{"accessToken":"t","expiresIn":"600"}`, life: 10 * time.Minute},
		{name: "with a life beyond belief", status: 200, body: `{"accessToken":"t","expiresIn":99999999999}`, life: 24 * time.Hour},
		{name: "inside a result", status: 200, body: `{"success":true,"code":"0","result":{"accessToken":"t","expiresIn":600}}`, life: 10 * time.Minute},
		{name: "refused inside 200", status: 200, body: `{"success":false,"code":"SIGN_INVALID"}`, kind: parcel.ErrDenied},
		{name: "refused by status", status: 401, body: `{"success":false,"code":"APP_INVALID"}`, kind: parcel.ErrDenied},
		{name: "no JSON", status: 200, body: `t`, kind: parcel.ErrMalformed},
		{name: "nothing", status: 200, body: `{}`, kind: parcel.ErrDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			y := serve(t, dialectOpen, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != tokenPath {
						next.ServeHTTP(w, r)
						return
					}
					w.WriteHeader(tc.status)
					_, _ = io.WriteString(w, tc.body)
				})
			})
			if tc.kind != nil {
				_, err := y.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
				if !errors.Is(err, tc.kind) {
					t.Errorf("error %v, want kind %v", err, tc.kind)
				}
				return
			}
			token, expires, err := y.newToken(t.Context())
			if err != nil || token != "t" || expires.Sub(today()) != tc.life {
				t.Errorf("token %q for %s, %v", token, expires.Sub(today()), err)
			}
		})
	}
	t.Run("a refused token is renewed once", func(t *testing.T) {
		var tokens, tracks atomic.Int32
		y := serve(t, dialectOpen, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == tokenPath {
					tokens.Add(1)
				} else if tracks.Add(1) == 1 {
					r.Header.Set("token", "another")
				}
				next.ServeHTTP(w, r)
			})
		})
		if _, err := y.Fetch(t.Context(), []carriers.Query{{Number: delivered}}); err != nil || tokens.Load() != 2 || tracks.Load() != 2 {
			t.Errorf("%d tokens, %d calls, %v", tokens.Load(), tracks.Load(), err)
		}
	})
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

// TestExamOfLegacy sits the exam with the account set to the older dialect.
func TestExamOfLegacy(t *testing.T) {
	s := spec()
	asked := func(set map[string]string) map[string]string {
		set = maps.Clone(set)
		set["dialect"] = dialectLegacy
		return set
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) {
		env.Settings = asked(env.Settings)
		env.Settings["legacy_url"] = "http://legacy.test"
		return spec().New(env)
	}
	s.Fake = func(env carriers.FakeEnv) carriers.Fake {
		env.Settings = asked(env.Settings)
		return newFake(env)
	}
	carriertest.RunSpec(t, s, "testdata")
}

func FuzzDecode(f *testing.F) {
	samples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(samples) == 0 {
		f.Fatal("no samples", err)
	}
	for _, s := range samples {
		f.Add(kindTrack, sample(f, filepath.Base(s)))
		f.Add(kindLegacy, sample(f, filepath.Base(s)))
	}
	y := account(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		p := parcel.Payload{Kind: kind, Body: body, Numbers: []string{delivered}}
		r, err := y.Decode(p)
		for _, o := range r.Observations {
			if o.Number == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("observation without number, code or time: %+v", o)
			}
		}
		if !json.Valid(body) && err == nil {
			t.Error("read what is no JSON")
		}
		again, _ := y.Decode(y.Redact(p))
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
	})
}
