package royalmail

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
	item    = "QA400118273GB"
	other   = "QA400118295GB"
	unknown = "QA777777777GB"
)

func account() map[string]string {
	return map[string]string{"client_id": "rm-id", "client_secret": "rm-secret"}
}

func bound(t testing.TB, env carriers.Env) *royalMail {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*royalMail)
}

func sample(t testing.TB, kind, file string, numbers ...string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return parcel.Payload{Carrier: name, Kind: kind, Body: body, Numbers: numbers}
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

// The table must say what it means: every row of it leads to a code, and those
// that say "goes back" to a return.
func TestCodes(t *testing.T) {
	for _, row := range spec().Codes.Rows() {
		if back := strings.Contains(row.Doc, "goes back") || strings.Contains(row.Doc, "returns centre"); back && row.Code != parcel.CodeReturnStarted {
			t.Errorf("%s: %q reads as %s", row.Rule, row.Doc, row.Code)
		}
	}
	for code, want := range map[string]parcel.Code{"EVZAM": parcel.CodeUnknown, "NRDSS": parcel.CodeUnknown, "EVKSP": parcel.CodeDelivered, "EVKLS": parcel.CodeReadyForPickup} {
		row, ok := spec().Codes.Lookup(code)
		if !ok || row.Code != want {
			t.Errorf("%s reads as %s (%v)", code, row.Code, ok)
		}
	}
}

func TestDecodeSamples(t *testing.T) {
	for _, tt := range []struct {
		name, file, number  string
		origin, destination parcel.Country
		events              int
		first, last         string
		milestone           parcel.Milestone
		outcome             parcel.Outcome
		open                []parcel.ExceptionKind
		assumed             []string
		aliases             []parcel.Alias
	}{
		{
			name: "delivered in Britain", file: "events-delivered.json", number: "LV512884402CN", origin: "CN", destination: "GB",
			events: 11, first: "2026-10-22T18:40:00Z", last: "2026-10-29T11:42:08Z", milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
		},
		{
			name: "held abroad", file: "events-export-held.json", number: "0B0770311000000B90F12", origin: "GB", destination: "BR",
			events: 6, first: "2026-10-12T16:50:13Z", last: "2026-10-21T09:12:00Z", milestone: parcel.MilestoneDestinationArrived,
			open: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld}, assumed: []string{"EVJPA", "EVJOE"},
			aliases: []parcel.Alias{{Number: "0B0770311000000B90F12", Other: "RK770311928GB"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := bound(t, carriers.Env{}).Decode(sample(t, kindEvents, tt.file, tt.number))
			if err != nil {
				t.Fatal(err)
			}
			var rows []parcel.Event
			var assumed []string
			for _, o := range rd.Observations {
				rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
				if o.Occurred.Certainty != parcel.CertaintyReported {
					assumed = append(assumed, o.OwnCode)
				}
				if o.Number != tt.number || o.Words == "" || o.Language != "en-GB" {
					t.Errorf("%s of %s: %q in %q", o.OwnCode, o.Number, o.Words, o.Language)
				}
			}
			if len(rows) != tt.events || rows[0].Occurred.At.Format(time.RFC3339) != tt.last || rows[len(rows)-1].Occurred.At.Format(time.RFC3339) != tt.first {
				t.Errorf("%d events", len(rows))
			}
			if diff := cmp.Diff(tt.assumed, assumed); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.aliases, rd.Aliases); diff != "" {
				t.Error(diff)
			}
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = tt.origin, tt.destination
			j := parcel.Fold(&s, nil, rows)
			var open []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				if x.Open() {
					open = append(open, x.Kind)
				}
			}
			if diff := cmp.Diff(tt.open, open); diff != "" || j.Milestone != tt.milestone || j.Outcome != tt.outcome {
				t.Errorf("%s, outcome %q, open: %s", j.Milestone, j.Outcome, diff)
			}
		})
	}
}

// The latest event of a summary is the event that the history tells: asked now
// for one and now for the other, nothing is told twice.
func TestSummaryAndEventsAgree(t *testing.T) {
	h := carriers.FakeHistory{Origin: "CN", Destination: "GB", Scans: []carriers.FakeScan{
		{Code: parcel.CodeDestinationHubProcessed, At: instant(t, "2026-10-20T13:32:00Z"), Place: parcel.Place{City: "Leeds"}},
		{Code: parcel.CodeOutForDelivery, At: instant(t, "2026-10-21T07:02:00Z"), Place: parcel.Place{City: "Leeds"}},
	}}
	keys := map[string][]string{}
	for _, ask := range []string{kindEvents, kindSummary} {
		settings := account()
		settings["ask"] = ask
		r, calls := serve(t, settings, faked(map[string]carriers.FakeHistory{item: h}))
		payloads, err := r.Fetch(t.Context(), queries(item))
		if err != nil || len(payloads) != 1 || payloads[0].Kind != ask {
			t.Fatalf("%+v, %v", payloads, err)
		}
		rd, err := r.Decode(r.Redact(payloads[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range rd.Observations {
			keys[ask] = append(keys[ask], o.Key())
		}
		want := map[string]string{kindEvents: "/mailpieces/v2/" + item + "/events", kindSummary: "/mailpieces/v2/summary?mailPieceId=" + item}[ask]
		got := calls()[0]
		if got.URL.String() != want {
			t.Errorf("asked %s, want %s", got.URL, want)
		}
		for header, want := range map[string]string{"X-IBM-Client-Id": "rm-id", "X-IBM-Client-Secret": "rm-secret", "X-Accept-RMG-Terms": "yes", "Accept": "application/json"} {
			if got.Header.Get(header) != want {
				t.Errorf("%s: %q, want %q", header, got.Header.Get(header), want)
			}
		}
	}
	if len(keys[kindEvents]) != 2 || !slices.Equal(keys[kindSummary], keys[kindEvents][:1]) {
		t.Errorf("events %v, summary %v", keys[kindEvents], keys[kindSummary])
	}
}

func TestDecodeRefusals(t *testing.T) {
	r := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, body string
		kind       error
	}{
		{"not registered", `{"httpCode":"401","httpMessage":"Unauthorized","moreInformation":"Client id not registered."}`, parcel.ErrDenied},
		{"forbidden", `{"httpCode":403}`, parcel.ErrDenied},
		{"too many", `{"httpCode":"429","errors":[{"errorCode":"E0010"}]}`, parcel.ErrThrottled},
		{"too many, by the code alone", `{"errors":[{"errorCode":"E0010"}]}`, parcel.ErrThrottled},
		{"headers", `{"httpCode":"400","errors":[{"errorCode":"E0004"}]}`, parcel.ErrMalformed},
		{"out of order", `{"httpCode":"500","errors":[{"errorCode":"E0009"}]}`, parcel.ErrUnavailable},
		{"closed", `{"httpCode":"503","errors":{"errorCode":"E0001"}}`, parcel.ErrUnavailable},
		{"one item out of order", `{"mailPieces":[{"mailPieceId":"QA400118273GB","error":{"errorCode":"E0009"}}]}`, parcel.ErrUnavailable},
		{"nothing", `{}`, parcel.ErrMalformed},
		{"null", `null`, parcel.ErrMalformed},
		{"no items", `{"mailPieces":[]}`, parcel.ErrMalformed},
		{"an item without a name", `{"mailPieces":[{"events":[]},{"events":[]}]}`, parcel.ErrMalformed},
		{"items of the wrong kind", `{"mailPieces":"x"}`, parcel.ErrMalformed},
		{"torn", `{"mailPieces":{"mailPieceId":"QA4`, parcel.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := r.Decode(parcel.Payload{Kind: kindEvents, Body: []byte(tt.body), Numbers: []string{item}})
			if !errors.Is(err, tt.kind) || len(rd.Observations) > 0 || len(rd.Results) > 0 {
				t.Errorf("%+v, %v: want %v", rd, err, tt.kind)
			}
		})
	}
	for _, code := range []string{"E1142", "E1283", "E1284", "E1307", "e1308"} {
		t.Run(code+" is a result", func(t *testing.T) {
			rd, err := r.Decode(parcel.Payload{Kind: kindEvents, Body: []byte(`{"httpCode":"404","errors":[{"errorCode":"` + code + `","errorDescription":"?"}]}`), Numbers: []string{item}})
			want := parcel.Reading{Results: []parcel.NumberResult{{Number: item, Finding: parcel.FindingUnknown, Detail: code + " ?"}}}
			if diff := cmp.Diff(want, rd); diff != "" || err != nil {
				t.Errorf("%v: %s", err, diff)
			}
		})
	}
	t.Run("a number left out", func(t *testing.T) {
		rd, err := r.Decode(sample(t, kindSummary, "summary-three.json", item, unknown))
		if err != nil || !slices.ContainsFunc(rd.Results, func(x parcel.NumberResult) bool {
			return x.Number == unknown && x.Finding == parcel.FindingUnknown && x.Detail == "not in the answer"
		}) {
			t.Errorf("%+v, %v", rd.Results, err)
		}
	})
	t.Run("one bad event hides no other", func(t *testing.T) {
		rd, err := r.Decode(parcel.Payload{Kind: kindEvents, Numbers: []string{item}, Body: []byte(`{"mailPieces":{"mailPieceId":"QA400118273GB","estimatedDelivery":{"date":"soon"},"events":[
			{"eventCode":"EVKSP","eventDateTime":"2026-10-28T10:12:00+01:00"},{"eventCode":"EVGPD","eventDateTime":"today"},7,{"eventDateTime":"2026-10-28T10:12:00Z"},{"eventCode":"EVGPD"}]}}`)})
		if len(rd.Observations) != 1 || len(rd.Results) != 1 {
			t.Errorf("%+v", rd)
		}
		for _, named := range []string{", event 2", "item 2", ", event 3", ", event 4", "estimatedDelivery"} {
			if err == nil || !strings.Contains(err.Error(), named) {
				t.Errorf("%v does not name %q", err, named)
			}
		}
	})
	t.Run("another kind", func(t *testing.T) {
		if _, err := r.Decode(parcel.Payload{Kind: "push", Body: []byte(`{}`)}); !errors.Is(err, parcel.ErrMalformed) {
			t.Error(err)
		}
	})
}

func TestMoments(t *testing.T) {
	r := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, code, time, to string
		wall, at             string
		certainty            parcel.Certainty
	}{
		{"summer", "EVKSP", "2026-07-28T10:12:00+01:00", "GBR", "2026-07-28T10:12:00", "2026-07-28T09:12:00Z", parcel.CertaintyReported},
		{"winter, as Z", "EVKSP", "2026-12-28T10:12:00Z", "GBR", "2026-12-28T10:12:00", "2026-12-28T10:12:00Z", parcel.CertaintyReported},
		{"customs in Britain", "EVJIC", "2026-07-28T10:12:00+01:00", "GBR", "2026-07-28T10:12:00", "2026-07-28T09:12:00Z", parcel.CertaintyReported},
		{"customs abroad", "EVJIC", "2026-07-28T10:12:00+01:00", "USA", "2026-07-28T10:12:00", "2026-07-28T09:12:00Z", parcel.CertaintyAssumed},
		{"customs of a country that is not told", "EVJIC", "2026-07-28T10:12:00+01:00", "", "2026-07-28T10:12:00", "2026-07-28T09:12:00Z", parcel.CertaintyAssumed},
		{"no offset", "EVKSP", "2026-07-28T10:12:00", "GBR", "2026-07-28T10:12:00", "2026-07-28T09:12:00Z", parcel.CertaintyAssumed},
		{"a day", "EVKSP", "2026-12-28", "GBR", "2026-12-28", "2026-12-28T00:00:00Z", parcel.CertaintyAssumed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := r.Decode(parcel.Payload{Kind: kindEvents, Numbers: []string{item}, Body: fmt.Appendf(nil,
				`{"mailPieces":{"mailPieceId":%q,"summary":{"destinationCountryCode":%q},"events":[{"eventCode":%q,"eventName":"?","eventDateTime":%q}]}}`, item, tt.to, tt.code, tt.time)})
			if err != nil || len(rd.Observations) != 1 {
				t.Fatalf("%+v, %v", rd, err)
			}
			o := rd.Observations[0].Occurred
			if o.Wall != tt.wall || o.At.Format(time.RFC3339) != tt.at || o.Certainty != tt.certainty {
				t.Errorf("%s, %s, %s", o.Wall, o.At.Format(time.RFC3339), o.Certainty)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	r := bound(t, carriers.Env{})
	in := parcel.Payload{Kind: kindEvents, Numbers: []string{item}, Body: []byte(`{"mailPieces":{"mailPieceId":"QA400118273GB","summary":{"summaryLine":"left at 3 Elm Row","statusDescription":"call 07700 900123"},
		"signature":{"recipientName":"J ELM","image":"<svg/>","imageId":123},"proofOfDeliveryData":{"recipientName":"J ELM","photoURI":"QA1"},"position":{"latitude":53.8123,"longitude":"-1.5"},
		"events":[{"eventCode":"EVKSP","eventName":"Signed, mail j@example.com","eventDateTime":"2026-10-28T10:12:00Z","locationName":"Leeds DO"}]}}`)}
	clean := r.Redact(in)
	for _, gone := range []string{"Elm Row", "J ELM", "svg", ":123", `"QA1"`, "53.8", "-1.5", "j@example.com"} {
		if bytes.Contains(clean.Body, []byte(gone)) {
			t.Errorf("%s is left: %s", gone, clean.Body)
		}
	}
	before, _ := r.Decode(in)
	after, err := r.Decode(clean)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct{ setting, value string }{{"ask", "both"}, {"calls_per_day", "-1"}, {"calls_per_day", "many"}, {"client_secret", ""}, {"client_id", ""}} {
		settings := account()
		settings[tt.setting] = tt.value
		if _, err := spec().New(carriers.Env{Settings: settings}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+tt.setting) {
			t.Errorf("%s %q: %v", tt.setting, tt.value, err)
		}
	}
	if _, err := bound(t, carriers.Env{}).Fetch(t.Context(), queries(item)); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("no credentials: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	if !slices.ContainsFunc(identify.Identify(item), func(c identify.Candidate) bool { return c.Carrier == name }) {
		t.Errorf("%s is not taken for one of Royal Mail's", item)
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
func serve(t *testing.T, settings map[string]string, h http.Handler) (r *royalMail, calls func() []*http.Request) {
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
	r = bound(t, carriers.Env{Account: "test", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: &still{now: instant(t, "2026-11-22T09:00:00Z")}})
	return r, func() []*http.Request {
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

func TestBatches(t *testing.T) {
	for _, tt := range []struct {
		ask   string
		sizes []int
	}{{kindSummary, []int{30, 2, 1}}, {kindEvents, slices.Repeat([]int{1}, 33)}} {
		t.Run(tt.ask, func(t *testing.T) {
			settings := account()
			settings["ask"] = tt.ask
			r, calls := serve(t, settings, faked(nil))
			numbers := []string{"A,B", "qa 000000000 gb"}
			for i := range 32 {
				numbers = append(numbers, fmt.Sprintf("QA%09dGB", i))
			}
			payloads, err := r.Fetch(t.Context(), queries(numbers...))
			if err != nil {
				t.Fatal(err)
			}
			var sizes []int
			for _, p := range payloads {
				sizes = append(sizes, len(p.Numbers))
			}
			if diff := cmp.Diff(tt.sizes, sizes); diff != "" || len(calls()) != len(tt.sizes) {
				t.Errorf("%d calls: %s", len(calls()), diff)
			}
		})
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
		name string
		h    http.Handler
		kind error
	}{
		{"wrong secret", say(401, string(sample(t, kindEvents, "error-auth-401.json").Body)), parcel.ErrDenied},
		{"too many", say(429, `{"httpCode":"429","errors":[{"errorCode":"E0010"}]}`, "Retry-After", "60"), parcel.ErrThrottled},
		{"no such path", say(404, `{"httpCode":"404","moreInformation":"No resources match requested URI"}`), parcel.ErrUnavailable},
		{"a bad request", say(400, `{"httpCode":"400","errors":[{"errorCode":"E0004"}]}`), parcel.ErrMalformed},
		{"out of order", say(500, `{"httpCode":"500","errors":[{"errorCode":"E0009"}]}`), parcel.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := serve(t, account(), tt.h)
			payloads, err := r.Fetch(t.Context(), queries(item))
			if !errors.Is(err, tt.kind) || len(payloads) > 0 || strings.Contains(err.Error(), "rm-secret") {
				t.Errorf("%d payloads, %v: want %v", len(payloads), err, tt.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); errors.Is(tt.kind, parcel.ErrThrottled) && (!ok || th.RetryAfter != time.Minute) {
				t.Errorf("got %v, want a wait of a minute", err)
			}
		})
	}
	t.Run("an unknown number is an answer", func(t *testing.T) {
		r, calls := serve(t, account(), say(404, string(sample(t, kindEvents, "error-unknown-404.json").Body)))
		payloads, err := r.Fetch(t.Context(), queries(unknown))
		if err != nil || len(payloads) != 1 || len(calls()) != 1 {
			t.Fatalf("%d payloads, %v", len(payloads), err)
		}
		if rd, err := r.Decode(payloads[0]); err != nil || len(rd.Results) != 1 || rd.Results[0].Finding != parcel.FindingUnknown {
			t.Errorf("%+v, %v", rd, err)
		}
	})
	t.Run("one malformed number does not fail the others", func(t *testing.T) {
		settings := account()
		settings["ask"] = kindSummary
		good := faked(map[string]carriers.FakeHistory{item: {Scans: []carriers.FakeScan{{Code: parcel.CodeDroppedOff, At: instant(t, "2026-10-20T13:32:00Z")}}}})
		r, _ := serve(t, settings, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.RawQuery, "BAD") {
				say(400, `{"httpCode":"400","errors":[{"errorCode":"E0004"}]}`).ServeHTTP(w, r)
				return
			}
			good.ServeHTTP(w, r)
		}))
		payloads, err := r.Fetch(t.Context(), queries("BAD", item, other))
		if !errors.Is(err, parcel.ErrMalformed) || !strings.Contains(err.Error(), "BAD") || len(payloads) != 2 {
			t.Fatalf("%d payloads, %v", len(payloads), err)
		}
		if rd, err := r.Decode(payloads[0]); err != nil || len(rd.Observations) != 1 {
			t.Errorf("%+v, %v", rd, err)
		}
	})
	t.Run("the plan's calls are kept to", func(t *testing.T) {
		settings := account()
		settings["calls_per_day"] = "2"
		r, calls := serve(t, settings, faked(nil))
		payloads, err := r.Fetch(t.Context(), queries(item, other, unknown))
		if !errors.Is(err, parcel.ErrThrottled) || len(payloads) != 2 || len(calls()) != 2 {
			t.Errorf("%d payloads of %d calls, %v", len(payloads), len(calls()), err)
		}
	})
}

// The fake holds callers to the rules of the real service.
func TestFakeRules(t *testing.T) {
	h := faked(map[string]carriers.FakeHistory{item: {}})
	for _, tt := range []struct {
		name, path string
		drop       string
		status     int
		words      string
	}{
		{"no id", piecesPath + item + eventsPart, "X-IBM-Client-Id", 401, "not registered"},
		{"no secret", piecesPath + item + eventsPart, "X-IBM-Client-Secret", 401, "not registered"},
		{"terms", piecesPath + item + eventsPart, "X-Accept-RMG-Terms", 400, "E0004"},
		{"events", piecesPath + item + eventsPart, "", 200, `"mailPieceId":"` + item},
		{"unknown", piecesPath + unknown + eventsPart, "", 404, "E1142"},
		{"summary", piecesPath + summaryPart + "?mailPieceId=" + item + "," + unknown, "", 200, "E1142"},
		{"summary of nothing", piecesPath + summaryPart, "", 400, "E0004"},
		{"thirty-one", piecesPath + summaryPart + "?mailPieceId=" + strings.Repeat(item+",", 30) + item, "", 400, "E0013"},
		{"signature", piecesPath + item + "/signature", "", 404, "No resources"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil)
			r.Header.Set("X-IBM-Client-Id", "rm-id")
			r.Header.Set("X-IBM-Client-Secret", "rm-secret")
			r.Header.Set("X-Accept-RMG-Terms", "yes")
			r.Header.Del(tt.drop)
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
			f.Add(sample(f, kindEvents, e.Name()).Body)
		}
	}
	r := bound(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindEvents, Body: body, Numbers: []string{item}}
		rd, err := r.Decode(p)
		for _, o := range rd.Observations {
			if o.Number == "" || o.OwnCode == "" && o.Words == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := r.Redact(p)
		again, againErr := r.Decode(clean)
		if diff := cmp.Diff(rd, again); diff != "" || (err == nil) != (againErr == nil) {
			t.Errorf("redaction changes the reading: %s, %v, %v", diff, err, againErr)
		}
		if twice := r.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, twice.Body)
		}
	})
}
