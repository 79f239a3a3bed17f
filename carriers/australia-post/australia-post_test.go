package auspost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered   = "LP448102733CN"
	returned    = "LP448102999CN"
	unknown     = "LP000000001CN"
	journeyFile = "journey-and-nested-and-error.json"
)

func account() map[string]string {
	return map[string]string{"api_key": "demo-key", "password": "demo-password", "account_number": "0001234567"}
}

func bound(t testing.TB, env carriers.Env) *ausPost {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*ausPost)
}

func sample(t testing.TB, file string, numbers ...string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return parcel.Payload{Carrier: name, Kind: kindTrack, Body: body, Numbers: numbers}
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

// told is what matters of an observation.
type told struct {
	Code  parcel.Code
	At    string
	Place parcel.Place
}

func TestDecodeSample(t *testing.T) {
	rd, err := bound(t, carriers.Env{}).Decode(sample(t, journeyFile, delivered, returned, unknown))
	if err != nil {
		t.Fatal(err)
	}
	vic := func(city string) parcel.Place { return parcel.Place{Country: "AU", Region: "VIC", City: city} }
	sydney, shenzhen := parcel.Place{Country: "AU", Region: "NSW", City: "SYDNEY"}, parcel.Place{Country: "CN", City: "SHENZHEN"}
	origin := []told{
		{parcel.CodeImportCustomsReleased, "2026-10-25T07:02:00Z", sydney},
		{parcel.CodeImportCustomsPresented, "2026-10-23T22:15:31Z", sydney},
		{parcel.CodeExportCustomsReleased, "2026-10-20T01:40:00Z", shenzhen},
		{parcel.CodePickedUp, "2026-10-18T04:06:00Z", parcel.Place{Country: "CN"}},
		{parcel.CodeInfoReceived, "2026-10-17T11:10:04Z", parcel.Place{}},
	}
	for _, tt := range []struct {
		name, number string
		newest       []told
		milestone    parcel.Milestone
		outcome      parcel.Outcome
		closed       []parcel.ExceptionKind
	}{
		{
			name: "an article", number: delivered,
			newest: []told{
				{parcel.CodeDelivered, "2026-10-27T00:21:40Z", vic("CARLTON")},
				{parcel.CodeOutForDelivery, "2026-10-26T20:48:12Z", vic("PORT MELBOURNE")},
				{parcel.CodeInTransit, "2026-10-26T10:14:55Z", vic("SUNSHINE WEST")},
				{parcel.CodeInTransit, "2026-10-25T15:30:10Z", parcel.Place{}},
			},
			milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
		},
		{
			name: "a consignment", number: returned,
			newest: []told{
				{parcel.CodeReturned, "2026-11-05T23:02:00Z", vic("CARLTON")},
				{parcel.CodeReadyForPickup, "2026-10-27T05:20:00Z", vic("CARLTON LPO")},
				{parcel.CodeDeliveryAttemptFailed, "2026-10-27T00:22:00Z", vic("CARLTON")},
				{parcel.CodeOutForDelivery, "2026-10-26T20:50:00Z", vic("PORT MELBOURNE")},
			},
			milestone: parcel.MilestoneReadyForPickup, outcome: parcel.OutcomeReturned,
			closed: []parcel.ExceptionKind{parcel.ExceptionAttemptFailed},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []told
			var rows []parcel.Event
			for _, o := range rd.Observations {
				if o.Number != tt.number {
					continue
				}
				m := o.Occurred
				if m.Certainty != parcel.CertaintyReported || m.Offset() != "+11:00" || m.Zone != "" || o.Parcel != "" || o.OwnCode != "" || o.Language != "en-AU" {
					t.Errorf("%q: %s %s %q, parcel %q, own code %q, language %q", o.Words, m.Certainty, m.Offset(), m.Zone, o.Parcel, o.OwnCode, o.Language)
				}
				got = append(got, told{o.Code, m.At.Format(time.RFC3339), o.Place})
				rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
			}
			if diff := cmp.Diff(slices.Concat(tt.newest, origin), got); diff != "" {
				t.Error(diff)
			}
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = "CN", "AU"
			j := parcel.Fold(&s, nil, rows)
			if j.Milestone != tt.milestone || j.Outcome != tt.outcome || len(j.Events) != 9 {
				t.Errorf("%d events, %s, outcome %q", len(j.Events), j.Milestone, j.Outcome)
			}
			var closed []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				if x.Open() {
					t.Errorf("%s is open", x.Kind)
				}
				closed = append(closed, x.Kind)
			}
			if diff := cmp.Diff(tt.closed, closed); diff != "" {
				t.Error(diff)
			}
		})
	}
	if diff := cmp.Diff([]parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingFound, Detail: "Delivered"},
		{Number: returned, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: "ESB-10001 Invalid tracking ID"},
	}, rd.Results); diff != "" {
		t.Error(diff)
	}
}

func TestRow(t *testing.T) {
	a := bound(t, carriers.Env{})
	for _, tt := range []struct {
		words, rule string
		want        parcel.Code
		to          parcel.DeliveredTo
	}{
		{"DELIVERED", "delivered*", parcel.CodeDelivered, ""},
		{"Delivered  - Left in a Safe Place", "delivered - left in a safe place*", parcel.CodeDelivered, parcel.DeliveredToSafePlace},
		{"Delivered in Full", "delivered in full*", parcel.CodeDelivered, ""},
		{"Item Delivered", "item delivered*", parcel.CodeDelivered, ""},
		{"Arrived in New Zealand", "arrived in {country}", parcel.CodeDestinationCountryArrived, ""},
		{"Arrived in US", "arrived in {country}", parcel.CodeDestinationCountryArrived, ""},
		{"Arrived in SUNSHINE WEST", "unmapped", parcel.CodeUnknown, ""},
		{"arrived in {country}", "arrived in {country}", parcel.CodeDestinationCountryArrived, ""},
		{"Arrived at facility in destination country", "arrived at facility in destination country*", parcel.CodeDestinationCountryArrived, ""},
		{"Arrived at facility", "unmapped", parcel.CodeUnknown, ""},
		{"In transit to next facility in SUNSHINE WEST VIC", "in transit*", parcel.CodeInTransit, ""},
		{"Return to sender in progress", "return to sender*", parcel.CodeReturnStarted, ""},
		{"Returned to sender", "returned to sender*", parcel.CodeReturned, ""},
		{"To be Re-Delivered", "to be re-delivered*", parcel.CodeDeliveryAttemptFailed, ""},
		{"Cannot be delivered", "cannot be delivered*", parcel.CodeUnknown, ""},
		{"Something new", "unmapped", parcel.CodeUnknown, ""},
	} {
		t.Run(tt.words, func(t *testing.T) {
			if row := a.row(tt.words); row.Rule != tt.rule || row.Code != tt.want || row.DeliveredTo != tt.to {
				t.Errorf("%s %q by %q, want %s %q by %q", row.Code, row.DeliveredTo, row.Rule, tt.want, tt.to, tt.rule)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		location string
		want     parcel.Place
	}{
		{"KEW VIC", parcel.Place{Country: "AU", Region: "VIC", City: "KEW"}},
		{"CARLTON LPO VIC", parcel.Place{Country: "AU", Region: "VIC", City: "CARLTON LPO"}},
		{"CHICAGO (US)", parcel.Place{Country: "US", City: "CHICAGO"}},
		{"US-60199, UNITED STATES", parcel.Place{Country: "US", Facility: "US-60199"}},
		{"NZ", parcel.Place{Country: "NZ"}},
		{"CHINA", parcel.Place{Country: "CN"}},
		{"Transit Scan", parcel.Place{Facility: "Transit Scan"}},
		{"MEL", parcel.Place{Facility: "MEL"}},
		{"GATE (XX)", parcel.Place{Facility: "GATE (XX)"}},
		{"CASA", parcel.Place{Facility: "CASA"}},
		{"  ", parcel.Place{}},
	} {
		if diff := cmp.Diff(tt.want, place(tt.location)); diff != "" {
			t.Errorf("%q: %s", tt.location, diff)
		}
	}
}

func TestDecodeForms(t *testing.T) {
	a := bound(t, carriers.Env{})
	const scan = `{"description":"Delivered","date":"2026-07-27T11:21:40+10:00"}`
	for _, tt := range []struct {
		name, result string
		parcels      []string
		aliases      []parcel.Alias
		want         parcel.NumberResult
	}{
		{"an article of another name", `"trackable_items":[{"article_id":"7XX100063401","events":[` + scan + `]}]`,
			[]string{"7XX100063401"}, []parcel.Alias{{Number: delivered, Other: "7XX100063401"}}, parcel.NumberResult{Number: delivered, Finding: parcel.FindingFound}},
		{"a consignment of two", `"trackable_items":[{"consignment_id":"LP448102733CN","items":[{"article_id":"A1234567","events":[` + scan + `]},{"article_id":"A1234568","events":[` + scan + `]}]}]`,
			[]string{"A1234567", "A1234568"}, []parcel.Alias{{Number: delivered, Other: "A1234567"}, {Number: delivered, Other: "A1234568"}}, parcel.NumberResult{Number: delivered, Finding: parcel.FindingFound}},
		{"events of the consignment itself", `"status":"Delivered","consignment":{"events":[` + scan + `],"status":"Delivered in Full"}`,
			[]string{""}, nil, parcel.NumberResult{Number: delivered, Finding: parcel.FindingFound, Detail: "Delivered"}},
		{"an object where a list should be", `"trackable_items":{"article_id":"LP448102733CN","events":` + scan + `}`,
			[]string{""}, nil, parcel.NumberResult{Number: delivered, Finding: parcel.FindingFound}},
		{"made and not scanned", `"status":"Created"`, nil, nil, parcel.NumberResult{Number: delivered, Finding: parcel.FindingFound, Detail: "Created"}},
		{"no events", `"trackable_items":[{"article_id":"LP448102733CN","events":null}]`, nil, nil, parcel.NumberResult{Number: delivered, Finding: parcel.FindingFound}},
		{"status unknown", `"status":"Unknown","trackable_items":[]`, nil, nil, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown, Detail: "Unknown"}},
		{"nothing", `"trackable_items":""`, nil, nil, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown}},
		{"error under another name", `"errors":[{"error_code":"ESB-10001","error_description":"Invalid tracking ID"}]`, nil, nil,
			parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown, Detail: "ESB-10001 Invalid tracking ID"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := a.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: []byte(`{"tracking_results":[{"tracking_id":"` + delivered + `",` + tt.result + `}]}`)})
			if err != nil {
				t.Fatal(err)
			}
			var parcels []string
			keys := map[string]bool{}
			for _, o := range rd.Observations {
				parcels = append(parcels, o.Parcel)
				keys[o.Key()] = true
				if o.Number != delivered || o.Occurred.Offset() != "+10:00" {
					t.Errorf("%s %s", o.Number, o.Occurred.Offset())
				}
			}
			if diff := cmp.Diff(tt.parcels, parcels); diff != "" || len(keys) != len(parcels) {
				t.Errorf("%d events: %s", len(keys), diff)
			}
			if diff := cmp.Diff(tt.aliases, rd.Aliases); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]parcel.NumberResult{tt.want}, rd.Results); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a consignment is delivered with its last item", func(t *testing.T) {
		for _, tt := range []struct {
			other string
			want  []parcel.Code
		}{
			{"In transit to next facility in KEW", []parcel.Code{parcel.CodeUnknown, parcel.CodeInTransit}},
			{"Delivered - Left in a safe place", []parcel.Code{parcel.CodeDelivered, parcel.CodeDelivered}},
		} {
			rd, err := a.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{"ABC000123"}, Body: []byte(`{"tracking_results":[{"tracking_id":"ABC000123","trackable_items":[{"consignment_id":"ABC000123","items":[` +
				`{"article_id":"A1234567","events":[` + scan + `]},{"article_id":"A1234568","events":[{"description":"` + tt.other + `","date":"2026-07-27T10:00:00+10:00"}]}]}]}]}`)})
			var codes []parcel.Code
			for _, o := range rd.Observations {
				codes = append(codes, o.Code)
			}
			if diff := cmp.Diff(tt.want, codes); diff != "" || err != nil {
				t.Errorf("%s: %s, %v", tt.other, diff, err)
			}
		}
	})
	t.Run("left out", func(t *testing.T) {
		rd, err := a.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: []byte(`{"tracking_results":null}`)})
		if err == nil || len(rd.Results) > 0 {
			t.Errorf("null says nothing: %+v, %v", rd, err)
		}
		rd, err = a.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: []byte(`{"tracking_results":[]}`)})
		if diff := cmp.Diff([]parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}}, rd.Results); diff != "" || err != nil {
			t.Errorf("%s, %v", diff, err)
		}
	})
}

func TestDecodeRefusals(t *testing.T) {
	a := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, body string
		kind       error
	}{
		{"credentials", string(sample(t, "error-auth-401.json").Body), parcel.ErrDenied},
		{"too many ids", string(sample(t, "error-too-many-ids-400.json").Body), parcel.ErrMalformed},
		{"under other names", `{"errors":[{"error":"API_001","error_description":"?"}]}`, parcel.ErrDenied},
		{"anything else", `{"errors":[{"code":"99999","name":"?"}]}`, parcel.ErrUnavailable},
		{"of one id", `{"tracking_results":[{"tracking_id":"LP448102733CN","errors":[{"code":"ESB-20050"}]}]}`, parcel.ErrUnavailable},
		{"neither", `{}`, parcel.ErrMalformed},
		{"a list", `[]`, parcel.ErrMalformed},
		{"a page", `<html></html>`, parcel.ErrMalformed},
		{"torn", `{"tracking_results":[{"tracking_id":"LP4`, parcel.ErrMalformed},
		{"results of the wrong kind", `{"tracking_results":"x"}`, parcel.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := a.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tt.body), Numbers: []string{delivered}})
			if !errors.Is(err, tt.kind) || len(rd.Results) > 0 {
				t.Errorf("%+v, %v: want %v", rd, err, tt.kind)
			}
		})
	}
	t.Run("codes of refused credentials are a setting", func(t *testing.T) {
		own := bound(t, carriers.Env{Settings: map[string]string{"denied_codes": "E1 E2"}})
		if _, err := own.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(`{"errors":[{"code":"E2"}]}`)}); !errors.Is(err, parcel.ErrDenied) {
			t.Error(err)
		}
	})
	t.Run("a payload of another kind", func(t *testing.T) {
		if _, err := a.Decode(parcel.Payload{Kind: "push", Body: []byte(`{}`)}); !errors.Is(err, parcel.ErrMalformed) {
			t.Error(err)
		}
	})
	t.Run("one bad item hides no other", func(t *testing.T) {
		rd, err := a.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(`{"tracking_results":[7,
			{"tracking_id":"LP448102733CN","trackable_items":[3,{"article_id":"LP448102733CN","events":[
				{"description":"Delivered","date":"2026-10-27T11:21:40+11:00"}, {"description":"Delivered","date":"today"}, {"date":"2026-10-27T11:21:40+11:00"}, "x"]}]},
			{"status":"Delivered"},
			{"tracking_id":"LP448102999CN","trackable_items":[{"article_id":"LP448102999CN","events":[{"description":"Delivered","date":"2026-10-27T11:21:40+11:00"}]}]}]}`)})
		if len(rd.Observations) != 2 || len(rd.Results) != 2 {
			t.Errorf("%d observations, %d results", len(rd.Observations), len(rd.Results))
		}
		for _, named := range []string{"item 0", "result 2", delivered + ", event 2", delivered + ", event 3", delivered + ", events: item 3"} {
			if err == nil || !strings.Contains(err.Error(), named) {
				t.Errorf("error %v does not name %q", err, named)
			}
		}
	})
}

func TestRedact(t *testing.T) {
	a := bound(t, carriers.Env{})
	in := parcel.Payload{Kind: kindTrack, Body: []byte(`{"tracking_results":[{"tracking_id":"LP448102733CN","recipient":{"name":"MARY","phone":61400000000},"trackable_items":[{"article_id":"LP448102733CN","events":[{"description":"Delivered","date":"2026-10-27T11:21:40+11:00","signed_by":"M SMITH"},
		{"description":"Delivered - signed for by J BROWN","date":"2026-10-27T11:21:41+11:00"}]}]}]}`)}
	clean := a.Redact(in)
	for _, gone := range []string{"MARY", "61400000000", "M SMITH", "J BROWN"} {
		if bytes.Contains(clean.Body, []byte(gone)) {
			t.Errorf("left: %s", clean.Body)
		}
	}
	before, _ := a.Decode(in)
	after, err := a.Decode(clean)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	whole := sample(t, journeyFile, delivered)
	if got := a.Redact(whole); !bytes.Equal(got.Body, whole.Body) {
		t.Error("the sample names nobody, and was changed")
	}
}

func TestSettings(t *testing.T) {
	for key := range account() {
		settings := account()
		delete(settings, key)
		if _, err := spec().New(carriers.Env{Settings: settings}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+key) {
			t.Errorf("without %s: %v, want ErrInvalid naming it", key, err)
		}
	}
	for key, value := range map[string]string{"testbed": "perhaps", "calls_per_minute": "-1"} {
		if _, err := spec().New(carriers.Env{Settings: map[string]string{key: value}}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+key) {
			t.Errorf("%s %q: %v", key, value, err)
		}
	}
	if _, err := bound(t, carriers.Env{}).Fetch(t.Context(), queries(delivered)); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	for _, n := range []string{"33XXX012345601000935001", "7XX1000634011427", "LP448102733AU"} {
		if !slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == name }) {
			t.Errorf("%s is not taken for one of Australia Post's", n)
		}
	}
}

// still is a clock on which waiting takes no time.
type still struct {
	mu  sync.Mutex
	now time.Time
}

func (c *still) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *still) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

func queries(numbers ...string) []carriers.Query {
	qs := make([]carriers.Query, len(numbers))
	for i, n := range numbers {
		qs[i].Number = n
	}
	return qs
}

// serve puts the adapter in front of a server; calls are what it was asked.
func serve(t *testing.T, settings map[string]string, h http.Handler) (a *ausPost, calls func() []*http.Request) {
	t.Helper()
	var mu sync.Mutex
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r)
		mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a = bound(t, carriers.Env{Account: "test", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: &still{now: instant(t, "2026-11-22T09:00:00Z")}})
	return a, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

func faked(journeys map[string]carriers.FakeHistory) http.Handler {
	return spec().Fake(carriers.FakeEnv{Settings: account(), Now: time.Time{}.UTC, Journeys: func(n string) (carriers.FakeHistory, bool) {
		h, ok := journeys[n]
		return h, ok
	}}).Handler()
}

func TestRoundTrip(t *testing.T) {
	const consigned = "7XX1000634011427"
	h := carriers.FakeHistory{Origin: "CN", Destination: "AU"}
	for i, w := range fakeWords() {
		at := parcel.Place{Country: "CN", City: "SHENZHEN"}
		switch {
		case i%3 == 1:
			at = parcel.Place{Country: "AU", Region: "QLD", City: "BRISBANE"}
		case i%3 == 2:
			at = parcel.Place{Country: "NZ"}
		}
		h.Scans = append(h.Scans, carriers.FakeScan{Code: w.code, DeliveredTo: w.to, At: instant(t, "2026-09-20T13:32:00Z").Add(time.Duration(i) * 37 * time.Hour), Place: at})
	}
	for _, test := range []string{"false", "true"} {
		t.Run("testbed "+test, func(t *testing.T) {
			settings := account()
			settings["testbed"] = test
			a, calls := serve(t, settings, faked(map[string]carriers.FakeHistory{delivered: h, consigned: h}))
			payloads, err := a.Fetch(t.Context(), queries("lp 448102733 cn", consigned, unknown, delivered))
			if err != nil || len(payloads) != 1 {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			rd, err := a.Decode(a.Redact(payloads[0]))
			if err != nil {
				t.Fatal(err)
			}
			for _, number := range []string{delivered, consigned} {
				var got []carriers.FakeScan
				for _, o := range slices.Backward(rd.Observations) {
					if o.Number == number {
						got = append(got, carriers.FakeScan{Code: o.Code, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place})
					}
				}
				if diff := cmp.Diff(h.Scans, got); diff != "" {
					t.Errorf("%s: %s", number, diff)
				}
			}
			var findings []parcel.Finding
			for _, r := range rd.Results {
				findings = append(findings, r.Finding)
			}
			if diff := cmp.Diff([]parcel.Finding{parcel.FindingFound, parcel.FindingFound, parcel.FindingUnknown}, findings); diff != "" {
				t.Error(diff)
			}
			path := "/shipping/v1/track"
			if test == "true" {
				path = "/test" + path
			}
			r := calls()[0]
			if got, want := r.URL.String(), path+"?tracking_ids="+delivered+","+consigned+","+unknown; got != want {
				t.Errorf("asked %s, want %s", got, want)
			}
			if r.Header.Get("Authorization") != "Basic ZGVtby1rZXk6ZGVtby1wYXNzd29yZA==" || r.Header.Get("Account-Number") != "0001234567" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	a, calls := serve(t, account(), faked(nil))
	numbers := []string{"A,B"}
	for i := range 21 {
		numbers = append(numbers, fmt.Sprintf("LP%09dCN", i))
	}
	payloads, err := a.Fetch(t.Context(), queries(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	results := 0
	for _, p := range payloads {
		sizes = append(sizes, len(p.Numbers))
		rd, err := a.Decode(p)
		if err != nil {
			t.Error(err)
		}
		for _, r := range rd.Results {
			if slices.Contains(p.Numbers, r.Number) {
				results++
			}
		}
	}
	if diff := cmp.Diff([]int{10, 10, 1, 1}, sizes); diff != "" || results != 22 || len(calls()) != 4 {
		t.Errorf("%d results of %d calls: %s", results, len(calls()), diff)
	}
}

func TestQuota(t *testing.T) {
	settings := account()
	settings["calls_per_minute"] = "2"
	a, calls := serve(t, settings, faked(nil))
	wall := a.env.Wall.(*still)
	for range 2 {
		if _, err := a.Fetch(t.Context(), queries(unknown)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := a.Fetch(t.Context(), queries(unknown))
	if th, ok := errors.AsType[*parcel.Throttled](err); !ok || th.RetryAfter != time.Minute || len(calls()) != 2 {
		t.Errorf("%d calls, %v: want a wait of a minute", len(calls()), err)
	}
	if err := wall.Sleep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Fetch(t.Context(), queries(unknown)); err != nil {
		t.Error(err)
	}
}

func TestFetchRefused(t *testing.T) {
	say := func(status int, body string, header ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for _, tt := range []struct {
		name  string
		h     http.Handler
		kind  error
		words string
	}{
		{"wrong credentials", say(401, string(sample(t, "error-auth-401.json").Body)), parcel.ErrDenied, "API_001"},
		{"account without this API", say(403, `{"errors":[{"error_code":"API_002","message":"?"}]}`), parcel.ErrDenied, "API_002"},
		{"too many ids", say(400, string(sample(t, "error-too-many-ids-400.json").Body)), parcel.ErrMalformed, "51101"},
		{"too fast", say(429, `{}`, "Retry-After", "60"), parcel.ErrThrottled, ""},
		{"no such path", say(404, `nothing here`), parcel.ErrUnavailable, ""},
		{"out of order", say(500, `{"errors":"?"}`), parcel.ErrUnavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := serve(t, account(), tt.h)
			payloads, err := a.Fetch(t.Context(), queries(delivered))
			if !errors.Is(err, tt.kind) || len(payloads) > 0 || !strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "demo-") {
				t.Errorf("%d payloads, %v: want %v with %q", len(payloads), err, tt.kind, tt.words)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); errors.Is(tt.kind, parcel.ErrThrottled) && (!ok || th.RetryAfter != time.Minute) {
				t.Errorf("got %v, want a wait of a minute", err)
			}
		})
	}
}

// The fake holds callers to the rules of the real service.
func TestFakeRules(t *testing.T) {
	h := faked(map[string]carriers.FakeHistory{delivered: {}})
	for _, tt := range []struct {
		name, ids              string
		key, password, account string
		status                 int
		words                  string
	}{
		{"wrong key", delivered, "demo-kez", "demo-password", "0001234567", 401, "API_001"},
		{"wrong password", delivered, "demo-key", "demo", "0001234567", 401, "API_001"},
		{"wrong account", delivered, "demo-key", "demo-password", "0001234568", 401, "API_001"},
		{"known and unknown", delivered + "," + unknown, "demo-key", "demo-password", "0001234567", 200, "ESB-10001"},
		{"eleven", strings.Repeat(unknown+",", 10) + unknown, "demo-key", "demo-password", "0001234567", 400, "51101"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, trackPath+"?tracking_ids="+tt.ids, nil)
			r.SetBasicAuth(tt.key, tt.password)
			r.Header.Set("Account-Number", tt.account)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.words) {
				t.Errorf("%d %s: want %d with %s", rec.Code, rec.Body, tt.status, tt.words)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			f.Add(sample(f, e.Name()).Body)
		}
	}
	a := bound(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindTrack, Body: body, Numbers: []string{delivered}}
		rd, err := a.Decode(p)
		for _, o := range rd.Observations {
			if o.Number == "" || o.Words == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := a.Redact(p)
		again, againErr := a.Decode(clean)
		if diff := cmp.Diff(rd, again); diff != "" || (err == nil) != (againErr == nil) {
			t.Errorf("redaction changes the reading: %s, %v, %v", diff, err, againErr)
		}
		if twice := a.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, twice.Body)
		}
	})
}
