package canadapost

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
	domestic = "4011982276539917"
	inbound  = "LV640118205CN"
	unknown  = "4011982276530000"
)

func account() map[string]string {
	return map[string]string{"username": "cp-user", "password": "cp-password"}
}

func bound(t testing.TB, env carriers.Env) *canadaPost {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*canadaPost)
}

func sample(t testing.TB, file string, numbers ...string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return parcel.Payload{Carrier: name, Kind: kindDetail, Body: body, Numbers: numbers}
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

func TestDecodeSamples(t *testing.T) {
	for _, tt := range []struct {
		name, file, number  string
		origin, destination parcel.Country
		events              int
		first, last         string
		milestone           parcel.Milestone
		outcome             parcel.Outcome
		opened              []parcel.ExceptionKind
	}{
		{
			name: "into Canada", file: "detail-delivered.xml", number: inbound, origin: "CN", destination: "CA",
			events: 13, first: "2026-10-21T10:29:00Z", last: "2026-11-05T22:22:41Z", milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
			opened: []parcel.ExceptionKind{parcel.ExceptionAttemptFailed, parcel.ExceptionCustomsHeld},
		},
		{
			name: "back with the sender, in French", file: "detail-returned-fr.xml", number: domestic, origin: "CA", destination: "CA",
			events: 6, first: "2026-07-06T03:34:57Z", last: "2026-07-30T14:12:00Z", milestone: parcel.MilestoneReadyForPickup, outcome: parcel.OutcomeReturned,
			opened: []parcel.ExceptionKind{parcel.ExceptionActionRequired, parcel.ExceptionAddressProblem, parcel.ExceptionReturning},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := bound(t, carriers.Env{}).Decode(sample(t, tt.file, tt.number))
			if err != nil {
				t.Fatal(err)
			}
			var rows []parcel.Event
			for _, o := range rd.Observations {
				rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
			}
			if len(rows) != tt.events || rows[0].Occurred.At.Format(time.RFC3339) != tt.last || rows[len(rows)-1].Occurred.At.Format(time.RFC3339) != tt.first {
				t.Errorf("%d events from %s to %s", len(rows), rows[len(rows)-1].Occurred.At, rows[0].Occurred.At)
			}
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = tt.origin, tt.destination
			j := parcel.Fold(&s, nil, rows)
			var opened []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				opened = append(opened, x.Kind)
			}
			slices.Sort(opened)
			if diff := cmp.Diff(tt.opened, slices.Compact(opened)); diff != "" || j.Milestone != tt.milestone || j.Outcome != tt.outcome {
				t.Errorf("%s, outcome %q, opened: %s", j.Milestone, j.Outcome, diff)
			}
		})
	}
}

func one(code, date, clock, zone, words, site, province string) parcel.Payload {
	return parcel.Payload{Kind: kindDetail, Numbers: []string{domestic}, Body: fmt.Appendf(nil, `<tracking-detail><pin>%s</pin><significant-events><occurrence>
		<event-identifier>%s</event-identifier><event-date>%s</event-date><event-time>%s</event-time><event-time-zone>%s</event-time-zone>
		<event-description>%s</event-description><event-site>%s</event-site><event-province>%s</event-province></occurrence></significant-events></tracking-detail>`,
		domestic, code, date, clock, zone, words, site, province)}
}

func TestMoments(t *testing.T) {
	c := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, date, clock, zone, site, province string
		at                                      string
		certainty                               parcel.Certainty
	}{
		{"winter in Quebec", "2026-02-03", "11:59:59", "EST", "SAINTE-FOY", "QC", "2026-02-03T16:59:59Z", parcel.CertaintyReported},
		{"summer in Quebec", "2026-07-03", "11:59:59", "EDT", "SAINTE-FOY", "QC", "2026-07-03T15:59:59Z", parcel.CertaintyReported},
		{"summer written as winter", "2026-07-03", "11:59:59", "EST", "SAINTE-FOY", "QC", "2026-07-03T15:59:59Z", parcel.CertaintyAssumed},
		{"Saskatchewan keeps one time", "2026-07-03", "11:59:59", "CST", "REGINA", "SK", "2026-07-03T17:59:59Z", parcel.CertaintyReported},
		{"Manitoba does not", "2026-07-03", "11:59:59", "CST", "WINNIPEG", "MB", "2026-07-03T16:59:59Z", parcel.CertaintyAssumed},
		{"half an hour", "2026-02-03", "11:59:59", "nst", "GANDER", "NL", "2026-02-03T15:29:59Z", parcel.CertaintyReported},
		{"half an hour in summer", "2026-07-03", "11:59:59", "NDT", "GANDER", "NL", "2026-07-03T14:29:59Z", parcel.CertaintyReported},
		{"no abbreviation", "2026-02-03", "11:59:59", "", "CALGARY", "AB", "2026-02-03T18:59:59Z", parcel.CertaintyPlace},
		{"an abbreviation nobody knows", "2026-02-03", "11:59:59", "XYZ", "CALGARY", "AB", "2026-02-03T18:59:59Z", parcel.CertaintyPlace},
		{"office of exchange abroad", "2026-02-03", "11:59:59", "", "CNCANA", "", "2026-02-03T03:59:59Z", parcel.CertaintyPlace},
		{"office and country", "2026-02-03", "11:59:59", "ISRAEL", "02650,Israel", "", "2026-02-03T09:59:59Z", parcel.CertaintyPlace},
		{"town and country", "2026-02-03", "11:59:59", "", "Paris,France", "", "2026-02-03T10:59:59Z", parcel.CertaintyPlace},
		{"no place at all", "2026-02-03", "11:59:59", "", "", "", "2026-02-03T11:59:59Z", parcel.CertaintyUnknown},
		{"a day", "2026-02-03", "", "EST", "SAINTE-FOY", "QC", "2026-02-03T05:00:00Z", parcel.CertaintyPlace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := c.Decode(one("0100", tt.date, tt.clock, tt.zone, "Item processed", tt.site, tt.province))
			if err != nil || len(rd.Observations) != 1 {
				t.Fatalf("%+v, %v", rd, err)
			}
			m := rd.Observations[0].Occurred
			want := strings.TrimSpace(tt.date + "T" + tt.clock)
			if tt.clock == "" {
				want = tt.date
			}
			if m.Wall != want || m.At.Format(time.RFC3339) != tt.at || m.Certainty != tt.certainty {
				t.Errorf("%s, %s, %s: want %s, %s", m.Wall, m.At.Format(time.RFC3339), m.Certainty, tt.at, tt.certainty)
			}
		})
	}
}

func TestCodes(t *testing.T) {
	c := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, code, words string
		own               string
		want              parcel.Code
		to                parcel.DeliveredTo
	}{
		{"zeros before it", "0174", "Item out for delivery", "174", parcel.CodeOutForDelivery, ""},
		{"none before it", "174", "Item out for delivery", "174", parcel.CodeOutForDelivery, ""},
		{"delivered", "1496", "Delivered", "1496", parcel.CodeDelivered, ""},
		{"to the sender", "1496", "Item successfully returned to the sender", "1496", parcel.CodeReturned, parcel.DeliveredToSender},
		{"to the sender, in French", "1498", "L'article a été renvoyé avec succès à l'expéditeur.", "1498", parcel.CodeReturned, parcel.DeliveredToSender},
		{"given back by customs", "4450", "Item returned to Post from Customs", "4450", parcel.CodeImportCustomsReleased, ""},
		{"refused by customs", "4450", "Importation refusée par les autorités douanières", "4450", parcel.CodeCustomsRefused, ""},
		{"a signature is no delivery", "20", "Signature available", "20", parcel.CodeUnknown, ""},
		{"nobody mapped it", "9999", "?", "9999", parcel.CodeUnknown, ""},
		{"words alone", "", "Delivered", "", parcel.CodeUnknown, ""},
		{"nothing but zeros", "000", "?", "000", parcel.CodeUnknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := c.Decode(one(tt.code, "2026-02-03", "11:59:59", "EST", tt.words, "OTTAWA", "ON"))
			if err != nil || len(rd.Observations) != 1 {
				t.Fatalf("%+v, %v", rd, err)
			}
			if o := rd.Observations[0]; o.OwnCode != tt.own || o.Code != tt.want || o.DeliveredTo != tt.to || o.Words != tt.words {
				t.Errorf("%q reads as %s to %q", o.OwnCode, o.Code, o.DeliveredTo)
			}
		})
	}
}

func TestDecodeRefusals(t *testing.T) {
	c := bound(t, carriers.Env{})
	messages := func(code, description string) string {
		return `<messages xmlns="http://www.canadapost.ca/ws/track"><message><code>` + code + `</code><description>` + description + `</description></message></messages>`
	}
	for _, tt := range []struct {
		name, body string
		kind       error
	}{
		{"password", messages("E002", "AAA Authentication Failure"), parcel.ErrDenied},
		{"a key of the other environment", messages("AA002", ""), parcel.ErrDenied},
		{"too often", messages("Server", "Rejected by SLM Monitor"), parcel.ErrThrottled},
		{"anything else", messages("9999", ""), parcel.ErrUnavailable},
		{"another document", `<rate/>`, parcel.ErrMalformed},
		{"empty", ``, parcel.ErrMalformed},
		{"a page", `hello`, parcel.ErrMalformed},
		{"torn", `<tracking-detail><pin>40119`, parcel.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := c.Decode(parcel.Payload{Kind: kindDetail, Body: []byte(tt.body), Numbers: []string{domestic}})
			if !errors.Is(err, tt.kind) || len(rd.Observations) > 0 || len(rd.Results) > 0 {
				t.Errorf("%+v, %v: want %v", rd, err, tt.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); errors.Is(tt.kind, parcel.ErrThrottled) && (!ok || th.RetryAfter != time.Minute) {
				t.Errorf("%v, want a wait of a minute", err)
			}
		})
	}
	for _, code := range []string{"004", "016"} {
		t.Run(code+" is a result", func(t *testing.T) {
			rd, err := c.Decode(parcel.Payload{Kind: kindDetail, Body: []byte(messages(code, "No Pin History")), Numbers: []string{unknown}})
			want := parcel.Reading{Results: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: code + " No Pin History"}}}
			if diff := cmp.Diff(want, rd); diff != "" || err != nil {
				t.Errorf("%v: %s", err, diff)
			}
		})
	}
	t.Run("one bad event hides no other", func(t *testing.T) {
		rd, err := c.Decode(parcel.Payload{Kind: kindDetail, Numbers: []string{domestic}, Body: []byte(`<tracking-detail><pin>4011982276539917</pin><expected-delivery-date>soon</expected-delivery-date><significant-events>
			<occurrence><event-identifier>1496</event-identifier><event-date>2026-02-03</event-date><event-time>11:59:59</event-time></occurrence>
			<occurrence><event-identifier>0174</event-identifier><event-date>today</event-date><event-time>11:59:59</event-time></occurrence>
			<occurrence><event-identifier>0174</event-identifier></occurrence><occurrence><event-date>2026-02-03</event-date></occurrence></significant-events></tracking-detail>`)})
		if len(rd.Observations) != 1 || len(rd.Results) != 1 {
			t.Errorf("%+v", rd)
		}
		for _, named := range []string{"event 2", "event 3", "event 4", "expected day"} {
			if err == nil || !strings.Contains(err.Error(), named) {
				t.Errorf("%v does not name %q", err, named)
			}
		}
	})
	t.Run("broken off after its first event", func(t *testing.T) {
		whole := sample(t, "detail-delivered.xml", inbound)
		whole.Body = whole.Body[:bytes.LastIndex(whole.Body, []byte("<occurrence>"))]
		rd, err := c.Decode(whole)
		if !errors.Is(err, parcel.ErrMalformed) || len(rd.Observations) != 12 {
			t.Errorf("%d events, %v", len(rd.Observations), err)
		}
	})
	t.Run("a scan of the future is a plan", func(t *testing.T) {
		p := one("1496", "2026-02-03", "11:59:59", "EST", "Delivered", "OTTAWA", "ON")
		p.Source, p.ReceivedAt = parcel.SourcePoll, instant(t, "2026-02-01T10:00:00Z")
		rd, err := c.Decode(p)
		if diff := cmp.Diff([]parcel.Estimate{{Number: domestic, Earliest: "2026-02-03", Last: "2026-02-03"}}, rd.Estimates); diff != "" || err != nil || len(rd.Observations) > 0 {
			t.Errorf("%d events, %v: %s", len(rd.Observations), err, diff)
		}
	})
	t.Run("another name", func(t *testing.T) {
		p := one("1496", "2026-02-03", "11:59:59", "EST", "Delivered", "OTTAWA", "ON")
		p.Numbers = []string{inbound}
		rd, err := c.Decode(p)
		if diff := cmp.Diff([]parcel.Alias{{Number: inbound, Other: domestic}}, rd.Aliases); diff != "" || err != nil || rd.Observations[0].Number != inbound {
			t.Errorf("%v: %s", err, diff)
		}
	})
	t.Run("another kind", func(t *testing.T) {
		if _, err := c.Decode(parcel.Payload{Kind: "push"}); !errors.Is(err, parcel.ErrMalformed) {
			t.Error(err)
		}
	})
}

// A summary tells whether and when, and no event: told beside the detail's, its
// event would be another one.
func TestSummary(t *testing.T) {
	p := sample(t, "summary.xml", domestic)
	p.Kind = kindSummary
	rd, err := bound(t, carriers.Env{}).Decode(p)
	want := parcel.Reading{
		Results:   []parcel.NumberResult{{Number: domestic, Finding: parcel.FindingFound}},
		Estimates: []parcel.Estimate{{Number: domestic, Earliest: "2026-07-20", Last: "2026-07-20"}},
	}
	if diff := cmp.Diff(want, rd); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct{ setting, value string }{{"language", "de"}, {"calls_per_minute", "-1"}, {"calls_per_minute", "many"}, {"password", ""}, {"username", ""}} {
		settings := account()
		settings[tt.setting] = tt.value
		if _, err := spec().New(carriers.Env{Settings: settings}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+tt.setting) {
			t.Errorf("%s %q: %v", tt.setting, tt.value, err)
		}
	}
	if _, err := bound(t, carriers.Env{}).Fetch(t.Context(), queries(domestic)); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("no credentials: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	for _, n := range []string{domestic, "LM100000001CA"} {
		if !slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == name }) {
			t.Errorf("%s is not taken for one of Canada Post's", n)
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
func serve(t *testing.T, settings map[string]string, h http.Handler) (c *canadaPost, calls func() []*http.Request) {
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
	c = bound(t, carriers.Env{Account: "test", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: &still{now: instant(t, "2026-11-22T09:00:00Z")}})
	return c, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

func faked(settings map[string]string, journeys map[string]carriers.FakeHistory) http.Handler {
	return spec().Fake(carriers.FakeEnv{Settings: settings, Now: time.Time{}.UTC, Journeys: func(n string) (carriers.FakeHistory, bool) {
		h, ok := journeys[n]
		return h, ok
	}}).Handler()
}

func TestRoundTrip(t *testing.T) {
	toronto := parcel.Place{Country: "CA", Region: "ON", City: "Toronto"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "CA", Postcode: "M5V 2T6", Estimated: instant(t, "2026-11-18T12:00:00Z"), Scans: []carriers.FakeScan{
		{Code: parcel.CodeOriginCountryDeparted, At: instant(t, "2026-10-20T13:32:00Z"), Place: parcel.Place{Country: "CN", City: "Guangzhou", Facility: "CNCANA"}},
		{Code: parcel.CodeDestinationCountryArrived, At: instant(t, "2026-10-28T13:32:00Z"), Place: toronto},
		{Code: parcel.CodeDelivered, At: instant(t, "2026-11-09T13:32:00Z"), Place: toronto, DeliveredTo: parcel.DeliveredToSafePlace},
	}}
	for _, language := range []string{"en", "fr"} {
		t.Run(language, func(t *testing.T) {
			settings := account()
			settings["language"] = language
			c, calls := serve(t, settings, faked(account(), map[string]carriers.FakeHistory{inbound: h}))
			payloads, err := c.Fetch(t.Context(), queries("lv 640118205 cn", inbound, unknown))
			if err != nil || len(payloads) != 2 {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			rd, err := c.Decode(c.Redact(payloads[0]))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range rd.Observations {
				got = append(got, fmt.Sprintf("%s %s %s %s %s", o.OwnCode, o.Code, o.Occurred.At.Format(time.RFC3339), o.Occurred.Certainty, o.Language))
			}
			want := []string{
				"1497 DELIVERED 2026-11-09T13:32:00Z REPORTED " + language + "-CA",
				"701 DESTINATION_COUNTRY_ARRIVED 2026-10-28T13:32:00Z REPORTED " + language + "-CA",
				"4202 ORIGIN_COUNTRY_DEPARTED 2026-10-20T13:32:00Z PLACE " + language + "-CA",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]parcel.Estimate{{Number: inbound, Earliest: "2026-11-18", Last: "2026-11-18"}}, rd.Estimates); diff != "" {
				t.Error(diff)
			}
			r := calls()[0]
			if user, password, _ := r.BasicAuth(); r.URL.Path != pinPath+inbound+detailPart || user != "cp-user" || password != "cp-password" ||
				r.Header.Get("Accept") != mediaType || r.Header.Get("Accept-Language") != language+"-CA" {
				t.Errorf("asked %s with %v", r.URL, r.Header)
			}
		})
	}
}

func TestFetchRefused(t *testing.T) {
	say := func(status int, file string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.WriteHeader(status)
			_, _ = w.Write(sample(t, file).Body)
		})
	}
	for _, tt := range []struct {
		name   string
		status int
		file   string
		kind   error
	}{
		{"wrong password", 401, "error-auth.xml", parcel.ErrDenied},
		{"wrong password, as a fault of the server", 500, "error-auth.xml", parcel.ErrDenied},
		{"too often", 500, "error-throttled.xml", parcel.ErrThrottled},
		{"too often, as an answer", 200, "error-throttled.xml", parcel.ErrThrottled},
		{"too often, by status", 429, "error-throttled.xml", parcel.ErrThrottled},
		{"something else", 404, "summary.xml", parcel.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := serve(t, account(), say(tt.status, tt.file))
			payloads, err := c.Fetch(t.Context(), queries(domestic))
			for _, p := range payloads {
				_, decodeErr := c.Decode(p)
				err = errors.Join(err, decodeErr)
			}
			if !errors.Is(err, tt.kind) || strings.Contains(err.Error(), "cp-password") {
				t.Errorf("%v: want %v", err, tt.kind)
			}
		})
	}
	for _, status := range []int{200, 404, 500} {
		t.Run(fmt.Sprintf("an unknown number is an answer, with status %d", status), func(t *testing.T) {
			c, _ := serve(t, account(), say(status, "error-unknown.xml"))
			payloads, err := c.Fetch(t.Context(), queries(unknown))
			if err != nil || len(payloads) != 1 {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			if rd, err := c.Decode(payloads[0]); err != nil || len(rd.Results) != 1 || rd.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("%+v, %v", rd, err)
			}
		})
	}
	t.Run("the key's calls are kept to", func(t *testing.T) {
		settings := account()
		settings["calls_per_minute"] = "2"
		c, calls := serve(t, settings, faked(account(), nil))
		payloads, err := c.Fetch(t.Context(), queries(domestic, inbound, unknown))
		if len(calls()) != len(payloads) || err != nil && !errors.Is(err, parcel.ErrThrottled) || err == nil && len(payloads) != 3 {
			t.Errorf("%d payloads of %d calls, %v", len(payloads), len(calls()), err)
		}
	})
}

// The fake holds callers to the rules of the real service.
func TestFakeRules(t *testing.T) {
	settings := account()
	settings["calls_per_minute"] = "6"
	h := faked(settings, map[string]carriers.FakeHistory{domestic: {}})
	for _, tt := range []struct {
		name, path, password, accept string
		status                       int
		words                        string
	}{
		{"no password", pinPath + domestic + detailPart, "", mediaType, 401, "E002"},
		{"wrong password", pinPath + domestic + detailPart, "cp-passwore", mediaType, 401, "E002"},
		{"any media type", pinPath + domestic + detailPart, "cp-password", "*/*", 406, ""},
		{"detail", pinPath + domestic + detailPart, "cp-password", mediaType, 200, "<pin>" + domestic},
		{"unknown", pinPath + unknown + detailPart, "cp-password", mediaType, 404, "<code>004</code>"},
		{"summary", pinPath + domestic + "/summary", "cp-password", mediaType, 200, "<pin-summary>"},
		{"summary of the unknown", pinPath + unknown + "/summary", "cp-password", mediaType, 404, "<code>004</code>"},
		{"fifth", pinPath + domestic + detailPart, "cp-password", mediaType, 200, "<pin>"},
		{"sixth", pinPath + domestic + detailPart, "cp-password", mediaType, 200, "<pin>"},
		{"once too often", pinPath + domestic + detailPart, "cp-password", mediaType, 500, "SLM Monitor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil)
			r.SetBasicAuth("cp-user", tt.password)
			r.Header.Set("Accept", tt.accept)
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
		if strings.HasSuffix(e.Name(), ".xml") {
			f.Add(sample(f, e.Name()).Body)
		}
	}
	c := bound(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindDetail, Body: body, Numbers: []string{domestic}}
		rd, err := c.Decode(p)
		for _, o := range rd.Observations {
			if o.Number == "" || o.OwnCode == "" && o.Words == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := c.Redact(p)
		again, againErr := c.Decode(clean)
		if diff := cmp.Diff(rd, again); diff != "" || (err == nil) != (againErr == nil) {
			t.Errorf("redaction changes the reading: %s, %v, %v", diff, err, againErr)
		}
		if twice := c.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, twice.Body)
		}
	})
}
