package laposte

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
	delivered = "LV305584165CN"
	returning = "LV305584205CN"
	unknown   = "LV777777775CN"
)

func account() map[string]string { return map[string]string{"api_key": "okapi-demo-key"} }

func bound(t testing.TB, env carriers.Env) *laPoste {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*laPoste)
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
	Own       string
	Code      parcel.Code
	At        string
	Certainty parcel.Certainty
	Country   parcel.Country
}

func TestDecodeSamples(t *testing.T) {
	const reported, assumed = parcel.CertaintyReported, parcel.CertaintyAssumed
	common := []told{
		{"ET4", parcel.CodeInTransit, "2026-10-26T21:41:10Z", reported, ""},
		{"DO2", parcel.CodeImportCustomsReleased, "2026-10-26T17:05:00Z", reported, "FR"},
		{"DO1", parcel.CodeImportCustomsPresented, "2026-10-25T07:30:00Z", reported, "FR"},
		{"ET3", parcel.CodeDestinationCountryArrived, "2026-10-24T12:16:00Z", reported, "FR"},
		{"ET2", parcel.CodeExportExchangeArrived, "2026-10-21T10:27:00Z", assumed, "CN"},
		{"PC1", parcel.CodePickedUp, "2026-10-20T06:02:00Z", assumed, "CN"},
		{"DR1", parcel.CodeInfoReceived, "2026-10-19T14:40:00Z", assumed, "CN"},
	}
	for _, tt := range []struct {
		name, file, number string
		asked              []string
		newest             []told
		milestone          parcel.Milestone
		outcome            parcel.Outcome
		opened             []parcel.ExceptionKind
		open               []parcel.ExceptionKind
	}{
		{
			name: "delivered", file: "journey-delivered.json", number: delivered, asked: []string{delivered},
			newest: []told{
				{"DI1", parcel.CodeDelivered, "2026-10-28T09:12:00Z", reported, "FR"},
				{"MD2", parcel.CodeOutForDelivery, "2026-10-28T06:40:00Z", reported, "FR"},
				{"ET1", parcel.CodeInTransit, "2026-10-27T02:25:00Z", reported, ""},
			},
			milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
		},
		{
			name: "on the way back", file: "batch-207-exception-and-unknown.json", number: returning, asked: []string{returning, unknown},
			newest: []told{
				{"RE1", parcel.CodeReturnStarted, "2026-10-30T08:00:00Z", reported, ""},
				{"AN1", parcel.CodeAddressProblem, "2026-10-28T10:05:00Z", reported, "FR"},
				{"MD2", parcel.CodeOutForDelivery, "2026-10-28T06:42:00Z", reported, "FR"},
				{"ET1", parcel.CodeInTransit, "2026-10-27T02:25:00Z", reported, ""},
			},
			milestone: parcel.MilestoneOutForDelivery,
			opened:    []parcel.ExceptionKind{parcel.ExceptionAddressProblem, parcel.ExceptionActionRequired, parcel.ExceptionReturning},
			open:      []parcel.ExceptionKind{parcel.ExceptionReturning},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := bound(t, carriers.Env{}).Decode(sample(t, tt.file, tt.asked...))
			if err != nil {
				t.Fatal(err)
			}
			var got []told
			var rows []parcel.Event
			for _, o := range rd.Observations {
				if o.Number != tt.number || o.Language != "fr-FR" || o.Words == "" || o.Occurred.Zone != "" {
					t.Errorf("%s of %s: language %q, words %q, zone %q", o.OwnCode, o.Number, o.Language, o.Words, o.Occurred.Zone)
				}
				got = append(got, told{o.OwnCode, o.Code, o.Occurred.At.Format(time.RFC3339), o.Occurred.Certainty, o.Place.Country})
				rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
			}
			if diff := cmp.Diff(slices.Concat(tt.newest, common), got); diff != "" {
				t.Error(diff)
			}
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = "CN", "FR"
			j := parcel.Fold(&s, nil, rows)
			if j.Milestone != tt.milestone || j.Outcome != tt.outcome {
				t.Errorf("%s, outcome %q: want %s, %q", j.Milestone, j.Outcome, tt.milestone, tt.outcome)
			}
			var opened, open []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				opened = append(opened, x.Kind)
				if x.Open() {
					open = append(open, x.Kind)
				}
			}
			slices.Sort(opened)
			slices.Sort(tt.opened)
			if diff := cmp.Diff(tt.opened, opened); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.open, open); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeUnknownInBatch(t *testing.T) {
	rd, err := bound(t, carriers.Env{}).Decode(sample(t, "batch-207-exception-and-unknown.json", returning, unknown))
	if err != nil {
		t.Fatal(err)
	}
	want := []parcel.NumberResult{
		{Number: returning, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: rd.Results[1].Detail},
	}
	if diff := cmp.Diff(want, rd.Results); diff != "" || !strings.HasPrefix(rd.Results[1].Detail, "404 Nous ne parvenons pas") {
		t.Errorf("%q: %s", rd.Results[1].Detail, diff)
	}
}

func TestDecodeRefusals(t *testing.T) {
	l := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, body string
		numbers    []string
		kind       error
	}{
		{"no key", `{"code":"UNAUTHORIZED","message":"The given credentials are unauthorized to access the resource"}`, []string{delivered}, parcel.ErrDenied},
		{"key without this API", `{"code":"FORBIDDEN","message":"?"}`, []string{delivered}, parcel.ErrDenied},
		{"quota, in the gateway's words", `{"code":"TOO_MANY_REQUESTS","message":"max quota reached 100 calls per minute"}`, []string{delivered}, parcel.ErrThrottled},
		{"anything else of the gateway", `{"code":"BAD_GATEWAY"}`, []string{delivered}, parcel.ErrUnavailable},
		{"key, in the service's words", `{"returnCode":401,"returnMessage":"clé invalide"}`, []string{delivered}, parcel.ErrDenied},
		{"quota, in the service's words", `{"returnCode":"429"}`, []string{delivered}, parcel.ErrThrottled},
		{"out of order", `{"returnCode":500,"returnMessage":"erreur interne","idShip":"LV305584165CN"}`, []string{delivered}, parcel.ErrUnavailable},
		{"out of order for one of two", `[{"returnCode":504,"idShip":"LV305584165CN"},{"returnCode":404,"idShip":"LV777777775CN"}]`, []string{delivered, unknown}, parcel.ErrUnavailable},
		{"nothing", `{}`, []string{delivered}, parcel.ErrMalformed},
		{"an empty list", `[]`, []string{delivered}, parcel.ErrMalformed},
		{"null", `null`, []string{delivered}, parcel.ErrMalformed},
		{"found, and no shipment", `{"returnCode":200}`, []string{delivered}, parcel.ErrMalformed},
		{"a shipment without a number", `{"returnCode":200,"shipment":{"event":[]}}`, nil, parcel.ErrMalformed},
		{"a number", `17`, []string{delivered}, parcel.ErrMalformed},
		{"a page", `<html></html>`, []string{delivered}, parcel.ErrMalformed},
		{"torn", `{"returnCode":200,"shipment":{"idShip":"LV3`, []string{delivered}, parcel.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := l.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tt.body), Numbers: tt.numbers})
			if !errors.Is(err, tt.kind) || len(rd.Observations) > 0 {
				t.Errorf("%+v, %v: want %v", rd, err, tt.kind)
			}
			for _, r := range rd.Results {
				if r.Number == delivered {
					t.Errorf("a failure reads as %s", r.Finding)
				}
			}
		})
	}
	for _, tt := range []struct {
		name, body string
		numbers    []string
		want       []parcel.NumberResult
	}{
		{"unknown", `{"returnCode":404,"returnMessage":"inconnu","idShip":"LV777777775CN"}`, []string{unknown},
			[]parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "404 inconnu"}}},
		{"malformed number", `{"returnCode":400,"returnMessage":"pas valide","idShip":"AB12"}`, []string{"AB12"},
			[]parcel.NumberResult{{Number: "AB12", Finding: parcel.FindingUnknown, Detail: "400 pas valide"}}},
		{"code as a string", `{"returnCode":"404","idShip":"LV777777775CN"}`, []string{unknown},
			[]parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "404"}}},
		{"one refusal for several", `{"returnCode":404,"returnMessage":"inconnus"}`, []string{unknown, delivered},
			[]parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "inconnus"}, {Number: delivered, Finding: parcel.FindingUnknown, Detail: "inconnus"}}},
		{"left out", `[{"returnCode":404,"idShip":"LV777777775CN"},{"returnCode":404,"idShip":"LV777777776CN"}]`, []string{unknown, delivered},
			[]parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "404"}, {Number: "LV777777776CN", Finding: parcel.FindingUnknown, Detail: "404"}, {Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}}},
		{"known and not scanned", `{"returnCode":200,"shipment":{"idShip":"LV305584165CN","event":[]}}`, []string{delivered},
			[]parcel.NumberResult{{Number: delivered, Finding: parcel.FindingFound}}},
	} {
		t.Run(tt.name+" is a result", func(t *testing.T) {
			rd, err := l.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tt.body), Numbers: tt.numbers})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parcel.Reading{Results: tt.want}, rd); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a payload of another kind", func(t *testing.T) {
		if _, err := l.Decode(parcel.Payload{Kind: "push", Body: []byte(`{}`)}); !errors.Is(err, parcel.ErrMalformed) {
			t.Error(err)
		}
	})
	t.Run("one bad item hides no other", func(t *testing.T) {
		rd, err := l.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(`[7,
			{"returnCode":200,"shipment":{"idShip":"LV305584165CN","estimDate":"soon","event":[
				{"code":"DI1","label":"Votre colis est livré.","date":"2026-10-28T10:12:00+01:00"},
				{"code":"MD2","date":"hier"}, 3, {"date":"2026-10-28T10:12:00+01:00"}, {"code":"ET1"}]}},
			{"returnCode":200,"shipment":{"idShip":"LV305584205CN","event":{"code":"DR1","date":"2026-10-19T16:40:00+02:00"}}}]`)})
		if len(rd.Observations) != 2 || len(rd.Results) != 2 {
			t.Errorf("%d observations, %d results", len(rd.Observations), len(rd.Results))
		}
		for _, named := range []string{"item 0", delivered + ", event 2", delivered + ", events: item 2", delivered + ", event 3", delivered + ", event 4", delivered + ", estimDate"} {
			if err == nil || !strings.Contains(err.Error(), named) {
				t.Errorf("error %v does not name %q", err, named)
			}
		}
	})
}

func shipment1(number, rest string) parcel.Payload {
	return parcel.Payload{Kind: kindTrack, Numbers: []string{number}, Body: []byte(`{"lang":"fr_FR","returnCode":200,"shipment":{"idShip":"` + number + `",` + rest + `}}`)}
}

func TestDecodeOneEvent(t *testing.T) {
	l := bound(t, carriers.Env{})
	const home, abroad, out = `"contextData":{"originCountry":"FR","arrivalCountry":"FR"}`, `"contextData":{"originCountry":"CN","arrivalCountry":"FR"}`, `"contextData":{"originCountry":"FR","arrivalCountry":"DE"}`
	for _, tt := range []struct {
		name, event, context string
		code                 parcel.Code
		to                   parcel.DeliveredTo
		wall, at             string
		certainty            parcel.Certainty
	}{
		{"winter", `"code":"DI1","date":"2026-11-28T10:12:00+01:00"`, home, parcel.CodeDelivered, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyReported},
		{"small letters", `"code":"di1","date":"2026-11-28T10:12:00+01:00"`, home, parcel.CodeDelivered, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyReported},
		{"delivered abroad", `"code":"DI1","date":"2026-11-28T10:12:00+01:00"`, out, parcel.CodeDelivered, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyAssumed},
		{"delivered to the sender, abroad", `"code":"DI2","date":"2026-11-28T10:12:00+01:00"`, abroad, parcel.CodeReturned, parcel.DeliveredToSender, "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyAssumed},
		{"a problem that is not named", `"code":"PB1","date":"2026-11-28T10:12:00+01:00"`, home, parcel.CodeUnknown, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyReported},
		{"a code nobody mapped", `"code":"ZZ9","date":"2026-11-28T10:12:00+01:00","label":"?"`, home, parcel.CodeUnknown, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyReported},
		{"words without a code", `"date":"2026-11-28T10:12:00+01:00","label":"Votre colis est livré."`, home, parcel.CodeUnknown, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyReported},
		{"no offset", `"code":"ET1","date":"2026-07-28T10:12:00"`, home, parcel.CodeInTransit, "", "2026-07-28T10:12:00", "2026-07-28T08:12:00Z", parcel.CertaintyAssumed},
		{"a day", `"code":"ET1","date":"2026-07-28"`, home, parcel.CodeInTransit, "", "2026-07-28", "2026-07-27T22:00:00Z", parcel.CertaintyAssumed},
		{"no route", `"code":"DI1","date":"2026-11-28T10:12:00+01:00"`, `"contextData":"x"`, parcel.CodeDelivered, "", "2026-11-28T10:12:00", "2026-11-28T09:12:00Z", parcel.CertaintyReported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := l.Decode(shipment1(delivered, `"event":[{`+tt.event+`}],`+tt.context))
			if err != nil || len(rd.Observations) != 1 {
				t.Fatalf("%+v, %v", rd, err)
			}
			o := rd.Observations[0]
			if o.Code != tt.code || o.DeliveredTo != tt.to || o.Occurred.Wall != tt.wall || o.Occurred.At.Format(time.RFC3339) != tt.at || o.Occurred.Certainty != tt.certainty {
				t.Errorf("%s %q at %s, %s, %s", o.Code, o.DeliveredTo, o.Occurred.Wall, o.Occurred.At.Format(time.RFC3339), o.Occurred.Certainty)
			}
		})
	}
}

// The progress bar is read where there are no events, and never says that an
// item was delivered.
func TestTimeline(t *testing.T) {
	const steps = `"timeline":[{"id":1,"status":true,"date":"2026-10-20T08:02:00+02:00","country":"CN","shortLabel":"Votre colis est entre nos mains."},
		{"id":2,"status":true,"shortLabel":"Il est en chemin."},{"id":4,"status":false,"date":"2026-10-28T08:00:00+01:00"},
		{"id":5,"status":"true","date":"2026-10-28T10:12:00+01:00","country":"FR","shortLabel":"Votre colis a été livré"}]`
	l := bound(t, carriers.Env{})
	rd, err := l.Decode(shipment1(delivered, `"event":[],`+steps))
	if err != nil {
		t.Fatal(err)
	}
	var got []told
	for _, o := range rd.Observations {
		got = append(got, told{o.OwnCode, o.Code, o.Occurred.At.Format(time.RFC3339), o.Occurred.Certainty, o.Place.Country})
	}
	if diff := cmp.Diff([]told{
		{"timeline/1", parcel.CodePickedUp, "2026-10-20T06:02:00Z", parcel.CertaintyAssumed, "CN"},
		{"timeline/5", parcel.CodeUnknown, "2026-10-28T09:12:00Z", parcel.CertaintyReported, "FR"},
	}, got); diff != "" {
		t.Error(diff)
	}
	rd, err = l.Decode(shipment1(delivered, `"event":[{"code":"ET1","date":"2026-10-21T08:02:00+02:00"}],`+steps))
	if err != nil || len(rd.Observations) != 1 || rd.Observations[0].OwnCode != "ET1" {
		t.Errorf("beside events: %+v, %v", rd, err)
	}
}

func TestPartnersAndEstimates(t *testing.T) {
	l := bound(t, carriers.Env{})
	const events = `"event":[{"code":"ET1","date":"2026-10-21T08:02:00+02:00"},{"code":"PC1","date":"2026-10-20T08:02:00+02:00"}],`
	for _, tt := range []struct {
		name, context string
		next          []string
		aliases       []parcel.Alias
	}{
		{"leaves France", `"arrivalCountry":"DE","partner":{"name":"DHL","reference":"00340434 1234567890"}`, []string{"", "003404341234567890"}, nil},
		{"came to France", `"arrivalCountry":"FR","partner":{"reference":"1Z4X7E926844102758"}`, []string{"", ""}, []parcel.Alias{{Number: delivered, Other: "1Z4X7E926844102758"}}},
		{"its own number", `"arrivalCountry":"DE","partner":{"reference":"LV305584165CN"}`, []string{"", ""}, nil},
		{"a note", `"arrivalCountry":"DE","partner":{"reference":"12"}`, []string{"", ""}, nil},
		{"no partner", `"arrivalCountry":"DE","partner":null`, []string{"", ""}, nil},
		{"partner of the wrong kind", `"arrivalCountry":"DE","partner":"DHL"`, []string{"", ""}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := l.Decode(shipment1(delivered, events+`"estimDate":"2026-10-29T00:00:00+01:00","contextData":{"originCountry":"FR",`+tt.context+`}`))
			if err != nil || len(rd.Observations) != 2 {
				t.Fatalf("%+v, %v", rd, err)
			}
			if diff := cmp.Diff(tt.next, []string{rd.Observations[0].NextNumber, rd.Observations[1].NextNumber}); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.aliases, rd.Aliases); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]parcel.Estimate{{Number: delivered, Earliest: "2026-10-29", Last: "2026-10-29"}}, rd.Estimates); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("called by another name", func(t *testing.T) {
		rd, err := l.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{"8R12345678901"}, Body: []byte(`{"returnCode":200,"shipment":{"idShip":"8R 1234 5678",` + events + `"url":""}}`)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]parcel.Alias{{Number: "8R12345678901", Other: "8R12345678"}}, rd.Aliases); diff != "" || rd.Observations[0].Number != "8R12345678901" {
			t.Errorf("%s: %s", rd.Observations[0].Number, diff)
		}
	})
}

func TestRedact(t *testing.T) {
	l := bound(t, carriers.Env{})
	in := shipment1(delivered, `"event":[{"code":"DI1","date":"2026-10-28T10:12:00+01:00","label":"Livré. Écrivez à luc@example.com"}],"contextData":{"recipient":{"name":"MARIE","email":"m@example.com"},"removalPoint":{"name":"PARIS LOUVRE"}}`)
	clean := l.Redact(in)
	for _, gone := range []string{"MARIE", "m@example.com", "luc@"} {
		if bytes.Contains(clean.Body, []byte(gone)) {
			t.Errorf("left: %s", clean.Body)
		}
	}
	if !bytes.Contains(clean.Body, []byte("PARIS LOUVRE")) {
		t.Errorf("a post office is no person: %s", clean.Body)
	}
	before, _ := l.Decode(in)
	after, err := l.Decode(clean)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	whole := sample(t, "journey-delivered.json", delivered)
	if got := l.Redact(whole); !bytes.Equal(got.Body, whole.Body) {
		t.Error("the sample names nobody, and was changed")
	}
}

func TestSettings(t *testing.T) {
	if _, err := spec().New(carriers.Env{Settings: map[string]string{"api_key": "x", "language": "fr"}}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting language") {
		t.Errorf("language: %v", err)
	}
	if _, err := bound(t, carriers.Env{}).Fetch(t.Context(), queries(delivered)); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("no key: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	for _, n := range []string{"6A12345678901", "LV305584165FR"} {
		if !slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == name }) {
			t.Errorf("%s is not taken for one of La Poste's", n)
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
func serve(t *testing.T, settings map[string]string, h http.Handler) (l *laPoste, calls func() []*http.Request) {
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
	l = bound(t, carriers.Env{Account: "test", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: &still{now: instant(t, "2026-11-22T09:00:00Z")}})
	return l, func() []*http.Request {
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
	h := carriers.FakeHistory{Origin: "FR", Destination: "DE", Estimated: instant(t, "2026-11-18T12:00:00Z"), NextNumber: "00340434981200544177"}
	var want []told
	for i, w := range fakeWords() {
		at := instant(t, "2026-10-20T13:32:00Z").Add(time.Duration(i) * 11 * time.Hour)
		h.Scans = append(h.Scans, carriers.FakeScan{Code: w.code, At: at})
		country := route{"FR", "DE"}.of(w.own)
		certainty := parcel.CertaintyReported
		if country == "DE" {
			certainty = parcel.CertaintyAssumed
		}
		want = append(want, told{w.own, w.code, at.Format(time.RFC3339), certainty, country})
	}
	slices.Reverse(want)
	for _, lang := range []string{"fr_FR", "en_GB"} {
		t.Run(lang, func(t *testing.T) {
			settings := account()
			settings["language"], settings["forwarded_for"] = lang, "192.0.2.7"
			l, calls := serve(t, settings, faked(map[string]carriers.FakeHistory{delivered: h}))
			payloads, err := l.Fetch(t.Context(), queries("lv 305584165 cn", delivered, unknown, "AB12"))
			if err != nil || len(payloads) != 1 {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			rd, err := l.Decode(l.Redact(payloads[0]))
			if err != nil {
				t.Fatal(err)
			}
			var got []told
			for _, o := range rd.Observations {
				got = append(got, told{o.OwnCode, o.Code, o.Occurred.At.Format(time.RFC3339), o.Occurred.Certainty, o.Place.Country})
				if o.Language != strings.ReplaceAll(lang, "_", "-") || o.Words == "" {
					t.Errorf("%s: %q in %q", o.OwnCode, o.Words, o.Language)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if next := rd.Observations[len(rd.Observations)-1].NextNumber; next != h.NextNumber {
				t.Errorf("goes on as %q", next)
			}
			var findings []parcel.Finding
			for _, r := range rd.Results {
				findings = append(findings, r.Finding)
			}
			if diff := cmp.Diff([]parcel.Finding{parcel.FindingFound, parcel.FindingUnknown, parcel.FindingUnknown}, findings); diff != "" {
				t.Error(diff)
			}
			r := calls()[0]
			if got, want := r.URL.String(), trackPath+delivered+","+unknown+",AB12?lang="+lang; got != want {
				t.Errorf("asked %s, want %s", got, want)
			}
			if r.Header.Get("X-Okapi-Key") != "okapi-demo-key" || r.Header.Get("X-Forwarded-For") != "192.0.2.7" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	l, calls := serve(t, account(), faked(nil))
	numbers := []string{"A,B"}
	for i := range 21 {
		numbers = append(numbers, fmt.Sprintf("LV%09dCN", i))
	}
	payloads, err := l.Fetch(t.Context(), queries(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	results := 0
	for _, p := range payloads {
		sizes = append(sizes, len(p.Numbers))
		rd, err := l.Decode(p)
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
	badFormat := string(sample(t, "error-bad-format-400.json").Body)
	for _, tt := range []struct {
		name string
		h    http.Handler
		kind error
	}{
		{"wrong key", say(401, string(sample(t, "error-auth-401.json").Body)), parcel.ErrDenied},
		{"forbidden", say(403, `{}`), parcel.ErrDenied},
		{"too fast", say(429, `{"code":"TOO_MANY_REQUESTS"}`, "Retry-After", "60"), parcel.ErrThrottled},
		{"no such path", say(404, `{"code":"NOT_FOUND","message":"no route"}`), parcel.ErrUnavailable},
		{"a bad request that is not about the number", say(400, `{"code":"BAD_REQUEST"}`), parcel.ErrMalformed},
		{"out of order", say(500, `{}`), parcel.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := serve(t, account(), tt.h)
			payloads, err := l.Fetch(t.Context(), queries(delivered))
			if !errors.Is(err, tt.kind) || len(payloads) > 0 || strings.Contains(err.Error(), "okapi-demo-key") {
				t.Errorf("%d payloads, %v: want %v", len(payloads), err, tt.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); errors.Is(tt.kind, parcel.ErrThrottled) && (!ok || th.RetryAfter != time.Minute) {
				t.Errorf("got %v, want a wait of a minute", err)
			}
		})
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		asked  []string
	}{
		{"malformed number", 400, badFormat, []string{"AB12"}},
		{"unknown number", 404, `{"returnCode":404,"returnMessage":"inconnu","idShip":"LV777777775CN"}`, []string{unknown}},
		{"several unknown numbers", 404, `{"returnCode":404,"returnMessage":"inconnus"}`, []string{unknown, delivered}},
	} {
		t.Run(tt.name+" is an answer", func(t *testing.T) {
			l, calls := serve(t, account(), say(tt.status, tt.body))
			payloads, err := l.Fetch(t.Context(), queries(tt.asked...))
			if err != nil || len(payloads) != 1 || len(calls()) != 1 {
				t.Fatalf("%d payloads, %d calls, %v", len(payloads), len(calls()), err)
			}
			rd, err := l.Decode(payloads[0])
			if err != nil || len(rd.Results) != len(tt.asked) {
				t.Fatalf("%+v, %v", rd, err)
			}
			for _, r := range rd.Results {
				if r.Finding != parcel.FindingUnknown {
					t.Errorf("%+v", r)
				}
			}
		})
	}
	t.Run("one malformed number does not fail the others", func(t *testing.T) {
		good := faked(map[string]carriers.FakeHistory{delivered: {Scans: []carriers.FakeScan{{Code: parcel.CodePickedUp, At: instant(t, "2026-10-20T13:32:00Z")}}}})
		l, calls := serve(t, account(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, ",") {
				say(400, badFormat).ServeHTTP(w, r)
				return
			}
			good.ServeHTTP(w, r)
		}))
		payloads, err := l.Fetch(t.Context(), queries("AB12", delivered))
		if err != nil || len(payloads) != 2 || len(calls()) != 3 {
			t.Fatalf("%d payloads, %d calls, %v", len(payloads), len(calls()), err)
		}
		if rd, err := l.Decode(payloads[1]); err != nil || len(rd.Observations) != 1 {
			t.Errorf("%+v, %v", rd, err)
		}
	})
}

// The fake holds callers to the rules of the real service.
func TestFakeRules(t *testing.T) {
	h := faked(map[string]carriers.FakeHistory{delivered: {}})
	for _, tt := range []struct {
		name, path, key string
		status          int
		words           string
	}{
		{"no key", trackPath + delivered, "", 401, "UNAUTHORIZED"},
		{"wrong key", trackPath + delivered, "okapi-demo-kez", 401, "UNAUTHORIZED"},
		{"one", trackPath + delivered, "okapi-demo-key", 200, `"shipment":{`},
		{"one unknown", trackPath + unknown + "?lang=en_GB", "okapi-demo-key", 404, `"returnCode":404`},
		{"one malformed", trackPath + "AB12", "okapi-demo-key", 400, `"returnCode":400`},
		{"two", trackPath + delivered + "," + unknown, "okapi-demo-key", 207, `[{`},
		{"eleven", trackPath + strings.Repeat(unknown+",", 10) + unknown, "okapi-demo-key", 400, "10 envois"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil)
			r.Header.Set("X-Okapi-Key", tt.key)
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
	l := bound(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindTrack, Body: body, Numbers: []string{delivered}}
		rd, err := l.Decode(p)
		for _, o := range rd.Observations {
			if o.Number == "" || o.OwnCode == "" && o.Words == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := l.Redact(p)
		again, againErr := l.Decode(clean)
		if diff := cmp.Diff(rd, again); diff != "" || (err == nil) != (againErr == nil) {
			t.Errorf("redaction changes the reading: %s, %v, %v", diff, err, againErr)
		}
		if twice := l.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, twice.Body)
		}
	})
}
