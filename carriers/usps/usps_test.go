package usps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	delivered = "LZ741203656CN"
	returning = "9200190240000004218871"
	unknown   = "LZ999999995CN"
)

func settings(dialect string) map[string]string {
	return map[string]string{"client_id": "demo", "client_secret": "demo-secret", "legacy_user_id": "DEMO-USER", "dialect": dialect}
}

func account(t testing.TB, env carriers.Env) *usps {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*usps)
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

func fold(origin parcel.Country, observations []parcel.Observation) parcel.Journey {
	shipment := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: origin}, Destination: parcel.Place{Country: home}}}
	var rows []parcel.Event
	for _, o := range observations {
		rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
	}
	return parcel.Fold(&shipment, nil, rows)
}

func openOf(j parcel.Journey) []parcel.ExceptionKind {
	var open []parcel.ExceptionKind
	for _, x := range j.Exceptions {
		if x.Open() {
			open = append(open, x.Kind)
		}
	}
	return open
}

func TestSamples(t *testing.T) {
	for _, tc := range []struct {
		name, kind, file, number string
		origin                   parcel.Country
		codes                    []parcel.Code // newest first, as told
		first, last              string        // UTC instants, or wall clocks where the zone is unknown
		certainty                parcel.Certainty
		outcome                  parcel.Outcome
		milestone                parcel.Milestone
		open                     []parcel.ExceptionKind
	}{
		{
			name: "delivered from abroad", kind: kindTrack, file: "journey-delivered.json", number: delivered, origin: "CN",
			codes: []parcel.Code{
				parcel.CodeDelivered, parcel.CodeOutForDelivery, parcel.CodeDeliveryOfficeArrived, parcel.CodeDestinationHubProcessed,
				parcel.CodeImportCustomsReleased, parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsPresented, parcel.CodeDestinationHubProcessed,
				parcel.CodeOriginCountryDeparted, parcel.CodeExportExchangeArrived, parcel.CodePickedUp,
			},
			first: "2026-10-13T03:12:44Z", last: "2026-10-24T20:46:11Z", certainty: parcel.CertaintyReported,
			outcome: parcel.OutcomeDelivered, milestone: parcel.MilestoneDelivered,
		},
		{
			name: "address incomplete and on the way back", kind: kindTrack, file: "exception-address-returning.json", number: returning, origin: home,
			codes: []parcel.Code{parcel.CodeReturnStarted, parcel.CodeAddressProblem, parcel.CodeOutForDelivery, parcel.CodeInfoReceived},
			first: "2026-10-19T16:00:15Z", last: "2026-10-28T15:20:31Z", certainty: parcel.CertaintyReported,
			milestone: parcel.MilestoneOutForDelivery, open: []parcel.ExceptionKind{parcel.ExceptionReturning},
		},
		{
			name: "older dialect", kind: kindLegacy, file: "legacy-web-tools-response.xml", number: delivered, origin: "CN",
			codes: []parcel.Code{parcel.CodeDelivered, parcel.CodePickedUp},
			first: "2026-10-13T11:12:00", last: "2026-10-24T15:46:00", certainty: parcel.CertaintyUnknown,
			outcome: parcel.OutcomeDelivered, milestone: parcel.MilestoneDelivered,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, tc.kind, string(sample(t, tc.file)), tc.number)
			if err != nil {
				t.Fatal(err)
			}
			var codes []parcel.Code
			var times []string
			for _, o := range r.Observations {
				if o.Number != tc.number || o.Language != "en-US" || o.Occurred.Certainty != tc.certainty {
					t.Errorf("%s %s: number %s, language %s, certainty %s", o.OwnCode, o.Occurred.Wall, o.Number, o.Language, o.Occurred.Certainty)
				}
				codes = append(codes, o.Code)
				if tc.certainty == parcel.CertaintyUnknown {
					times = append(times, o.Occurred.Wall)
				} else {
					times = append(times, o.Occurred.At.Format(time.RFC3339))
				}
			}
			if d := cmp.Diff(tc.codes, codes); d != "" {
				t.Errorf("codes (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]string{tc.first, tc.last}, []string{times[len(times)-1], times[0]}); d != "" {
				t.Errorf("first and last (-want +got):\n%s", d)
			}
			j := fold(tc.origin, r.Observations)
			if j.Outcome != tc.outcome || j.Milestone != tc.milestone {
				t.Errorf("outcome %q, milestone %s", j.Outcome, j.Milestone)
			}
			if d := cmp.Diff(tc.open, openOf(j)); d != "" {
				t.Errorf("open exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeEvent(t *testing.T) {
	r, err := decode(t, kindTrack, string(sample(t, "journey-delivered.json")), delivered)
	if err != nil {
		t.Fatal(err)
	}
	want := parcel.Observation{
		Carrier: name, Number: delivered, Parcel: "2026-10-13 03:12:44.000000", OwnCode: "01", Code: parcel.CodeDelivered,
		Words: "Delivered, In/At Mailbox", Language: "en-US",
		Occurred: parcel.Moment{
			At: time.Date(2026, 10, 24, 20, 46, 11, 0, time.UTC), Wall: "2026-10-24T15:46:11", Text: "2026-10-24T15:46:00 2026-10-24T20:46:11Z",
			OffsetSeconds: -5 * 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
		},
		Place: parcel.Place{Country: "US", Region: "IL", City: "CHICAGO", Postcode: "60616"},
		Rule:  "01", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(want, r.Observations[0]); d != "" {
		t.Errorf("newest event (-want +got):\n%s", d)
	}
	if o := r.Observations[8]; o.OwnCode != "" || o.Rule != "origin words: departed" || o.Place.Country != "CN" {
		t.Errorf("event abroad without a code: %+v", o)
	}
	if o := r.Observations[5]; o.OwnCode != "H0" || o.Rule != "text: held in customs" {
		t.Errorf("customs: %s by %s", o.OwnCode, o.Rule)
	}
	legacy, err := decode(t, kindLegacy, string(sample(t, "legacy-web-tools-response.xml")), delivered, unknown)
	if err != nil {
		t.Fatal(err)
	}
	wantResults := []parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: fakeNotYet},
	}
	if d := cmp.Diff(wantResults, legacy.Results); d != "" {
		t.Errorf("older dialect, results (-want +got):\n%s", d)
	}
	if o := legacy.Observations[0]; o.OwnCode != "01" || o.Occurred.Written() != "October 24, 2026 3:46 pm" || o.Occurred.At.Format(time.RFC3339) != "2026-10-24T20:46:00Z" {
		t.Errorf("older dialect: %s %q %s", o.OwnCode, o.Occurred.Written(), o.Occurred.At)
	}
}

func TestDecodeAnswersWithoutParcel(t *testing.T) {
	v3 := func(code, parameter string) string {
		return `{"apiVersion":"/tracking/v3","error":{"code":"` + code + `","message":"words","errors":[{"code":"7","detail":"more","source":{"parameter":"` + parameter + `"}}]}}`
	}
	info := func(inner string) string {
		return `<TrackResponse><TrackInfo ID="` + delivered + `">` + inner + `</TrackInfo></TrackResponse>`
	}
	for _, tc := range []struct {
		name, kind, body string
		want             []parcel.NumberResult
		err              error
	}{
		{name: "unknown by 404", kind: kindTrack, body: string(sample(t, "error-not-found-404.json")),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "-2147219283 " + fakeNotYet}}},
		{name: "no number of theirs", kind: kindTrack, body: v3("400", "trackingNumber"),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "7 more"}}},
		{name: "bad request", kind: kindTrack, body: v3("400", "expand"), err: parcel.ErrMalformed},
		{name: "credentials", kind: kindTrack, body: v3("401", ""), err: parcel.ErrDenied},
		{name: "not for this account", kind: kindTrack, body: v3("403", ""), err: parcel.ErrDenied},
		{name: "throttled", kind: kindTrack, body: v3("429", ""), err: parcel.ErrThrottled},
		{name: "server", kind: kindTrack, body: v3("503", ""), err: parcel.ErrUnavailable},
		{name: "credentials refused by the token service", kind: kindTrack, body: string(sample(t, "error-auth-400.json")), err: parcel.ErrDenied},
		{name: "known and without events", kind: kindTrack, body: `{"trackingNumber":"` + delivered + `","status":"Label Created","eventSummaries":["a sentence"]}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingFound, Detail: "Label Created"}}},
		{name: "empty list", kind: kindTrack, body: `[]`, want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}}},
		{name: "list of a newer version", kind: kindTrack, body: `[{"trackingNumber":"` + delivered + `","trackingEvents":[]}]`, want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingFound}}},
		{name: "other JSON", kind: kindTrack, body: `{"hello":1}`, err: parcel.ErrMalformed},
		{name: "cut off", kind: kindTrack, body: `{"trackingNumber":`, err: parcel.ErrMalformed},
		{name: "nothing", kind: kindTrack, err: parcel.ErrMalformed},
		{name: "older dialect: unknown", kind: kindLegacy, body: info(`<Error><Number>-2147219283</Number><Description>not yet</Description></Error>`),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not yet"}}},
		{name: "older dialect: another fault", kind: kindLegacy, body: info(`<Error><Number>-1</Number></Error>`), err: parcel.ErrUnavailable},
		{name: "older dialect: nothing said", kind: kindLegacy, body: info(""),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown}}},
		{name: "older dialect: not in the answer", kind: kindLegacy, body: `<TrackResponse/>`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}}},
		{name: "older dialect: user id", kind: kindLegacy, body: `<Error><Number>80040b1a</Number><Description>User DEMO-USER</Description></Error>`, err: parcel.ErrDenied},
		{name: "older dialect: another refusal", kind: kindLegacy, body: `<Error><Number>80040B19</Number></Error>`, err: parcel.ErrUnavailable},
		{name: "older dialect: other XML", kind: kindLegacy, body: `<hello/>`, err: parcel.ErrMalformed},
		{name: "older dialect: no XML", kind: kindLegacy, body: `{}`, err: parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, tc.kind, tc.body, delivered)
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want kind %v", err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "DEMO-USER") {
				t.Errorf("the error shows the user id: %v", err)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestBadItemHidesNoOther(t *testing.T) {
	const good = `{"eventCode":"OF","eventType":"Out for Delivery","eventTimestamp":"2026-10-24T07:10:00","GMTOffset":"-05:00","eventCity":7}`
	for _, tc := range []struct{ name, kind, body, says string }{
		{"event of another type", kindTrack, `{"trackingNumber":"` + delivered + `","trackingEvents":["what",` + good + `]}`, "trackingEvents: item 0"},
		{"event without a time", kindTrack, `{"trackingNumber":"` + delivered + `","trackingEvents":[{"eventCode":"OF","eventTimestamp":"noon"},` + good + `]}`, "event 1: eventTimestamp"},
		{"event that says nothing", kindTrack, `{"trackingNumber":"` + delivered + `","trackingEvents":[{"eventTimestamp":"2026-10-24T07:10:00"},` + good + `]}`, "event 1: neither code nor words"},
		{"older dialect: no time", kindLegacy, `<TrackResponse><TrackInfo ID="` + delivered + `"><TrackSummary><Event>x</Event></TrackSummary><TrackDetail><EventDate>October 24, 2026</EventDate><EventCode>OF</EventCode></TrackDetail></TrackInfo></TrackResponse>`, "event 1: EventDate"},
		{"older dialect: cut off", kindLegacy, `<TrackResponse><TrackInfo ID="` + delivered + `"><TrackSummary><EventDate>October 24, 2026</EventDate><EventCode>OF</EventCode></TrackSummary></TrackInfo><TrackInfo`, "answer: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, tc.kind, tc.body)
			if !errors.Is(err, parcel.ErrMalformed) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
			if len(r.Observations) != 1 || r.Observations[0].Code != parcel.CodeOutForDelivery {
				t.Errorf("observations %+v", r.Observations)
			}
		})
	}
}

func TestRow(t *testing.T) {
	u := account(t, carriers.Env{})
	us, cn, de := parcel.Place{Country: "US"}, parcel.Place{Country: "CN"}, parcel.Place{Country: "DE"}
	for _, tc := range []struct {
		name       string
		origin     parcel.Country
		place      parcel.Place
		own, words string
		want       parcel.Code
		rule       string
	}{
		{"processed at home", "", us, "10", "Processed Through Facility", parcel.CodeInTransit, "10"},
		{"processed at home, from abroad", "CN", us, "10", "Processed Through Facility", parcel.CodeDestinationHubProcessed, "import:10"},
		{"processed at the origin", "CN", cn, "10", "Processed Through Facility", parcel.CodeExportExchangeArrived, "origin text: processed through facility"},
		{"processed in a third country", "CN", de, "", "Processed Through Facility", parcel.CodeInTransit, "words: processed through facility"},
		{"left a partner's facility at the origin", "CN", cn, "81", "Departed Shipping Partner Facility, USPS Awaiting Item", parcel.CodeInTransit, "81"},
		{"departed in the destination of an export", "", de, "", "Departed", parcel.CodeInTransit, "words: departed"},
		{"customs under a new code", "CN", us, "ZZ", "Inbound Into Customs", parcel.CodeImportCustomsPresented, "text: inbound into customs"},
		{"held before export", "CN", cn, "", "Held in Customs", parcel.CodeExportCustomsHeld, "origin text: held in customs"},
		{"customs complete", "CN", us, "", "Customs clearance processing complete", parcel.CodeImportCustomsReleased, "text: customs clearance processing complete"},
		{"locker", "", us, "01", "Delivered, Parcel Locker", parcel.CodeDelivered, "01: parcel locker"},
		{"to the sender", "", us, "01", "Delivered, To Original Sender", parcel.CodeReturned, "01: to original sender"},
		{"new code, new words", "", us, "ZZ", "Something else", parcel.CodeUnknown, "unmapped"},
		{"words that are no delivery", "", us, "", "Undelivered", parcel.CodeUnknown, "unmapped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := decoder{usps: u}
			row := d.row(life{origin: tc.origin}, tc.own, tc.words, tc.place)
			if row.Code != tc.want || row.Rule != tc.rule {
				t.Errorf("got %s by %q, want %s by %q", row.Code, row.Rule, tc.want, tc.rule)
			}
		})
	}
}

func TestDeliveredAfterReturnIsReturned(t *testing.T) {
	r, err := decode(t, kindTrack, `{"trackingNumber":"`+returning+`","trackingEvents":[
		{"eventCode":"01","eventType":"Delivered, Front Door/Porch","eventTimestamp":"2026-11-02T10:00:00","GMTOffset":"-08:00","eventCity":"CHINO","eventState":"CA","eventZIP":"91710"},
		{"eventCode":"09","eventType":"Alert - Return to Sender","eventTimestamp":"2026-10-28T10:20:00","GMTOffset":"-05:00","eventCity":"CHICAGO","eventState":"IL"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if j := fold(home, r.Observations); j.Outcome != parcel.OutcomeReturned {
		t.Errorf("outcome %q", j.Outcome)
	}
}

func TestMoment(t *testing.T) {
	d := decoder{usps: account(t, carriers.Env{})}
	chicago := parcel.Place{Country: "US", Region: "IL", City: "CHICAGO"}
	for _, tc := range []struct {
		name               string
		local, gmt, offset text
		place              parcel.Place
		wall, at, zone     string
		certainty          parcel.Certainty
	}{
		{"all", "2026-10-24T15:46:00", "2026-10-24T20:46:11Z", "-05:00", chicago, "2026-10-24T15:46:11", "2026-10-24T20:46:11Z", "-05:00", "REPORTED"},
		{"offset missing", "2026-10-24T15:46:00", "2026-10-24T20:46:11Z", "", chicago, "2026-10-24T15:46:11", "2026-10-24T20:46:11Z", "-05:00", "REPORTED"},
		{"offset wrong, clocks agree on another", "2026-10-24T15:46:00", "2026-10-24T20:46:11Z", "-06:00", chicago, "2026-10-24T15:46:11", "2026-10-24T20:46:11Z", "-05:00", "REPORTED"},
		{"clocks do not agree", "2026-10-24T15:40:00", "2026-10-24T20:46:11Z", "-05:00", chicago, "2026-10-24T15:46:11", "2026-10-24T20:46:11Z", "-05:00", "REPORTED"},
		{"local missing", "", "2026-10-24T20:46:11Z", "-05:00", chicago, "2026-10-24T15:46:11", "2026-10-24T20:46:11Z", "-05:00", "REPORTED"},
		{"GMT alone", "", "2026-10-24T20:46:11Z", "", chicago, "2026-10-24T20:46:11", "2026-10-24T20:46:11Z", "+00:00", "REPORTED"},
		{"GMT missing", "2026-10-24T15:46:00", "", "-05:00", chicago, "2026-10-24T15:46:00", "2026-10-24T20:46:00Z", "-05:00", "REPORTED"},
		{"local alone, place known", "2026-10-24T15:46:00", "", "", chicago, "2026-10-24T15:46:00", "2026-10-24T20:46:00Z", "-05:00", "PLACE"},
		{"local alone, country of many clocks", "2026-10-24T15:46:00", "", "", parcel.Place{Country: "US"}, "2026-10-24T15:46:00", "2026-10-24T19:46:00Z", "-04:00", "ASSUMED"},
		{"local alone, nowhere", "2026-10-24T15:46:00", "", "", parcel.Place{}, "2026-10-24T15:46:00", "2026-10-24T15:46:00Z", "", "UNKNOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := d.moment(&event{Timestamp: tc.local, GMTTimestamp: tc.gmt, GMTOffset: tc.offset}, tc.place)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{m.Wall, m.At.Format(time.RFC3339), m.Offset(), string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.at, tc.zone, string(tc.certainty)}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
		})
	}
	if _, err := d.moment(&event{}, chicago); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("no time at all: %v", err)
	}
}

func TestLegacyMoment(t *testing.T) {
	d := decoder{usps: account(t, carriers.Env{})}
	for _, tc := range []struct{ name, day, clock, wall, at string }{
		{"afternoon", "October 24, 2026", "3:46 pm", "2026-10-24T15:46:00", "2026-10-24T20:46:00Z"},
		{"capitals, and a leading nought", "October 4, 2026", "03:46 AM", "2026-10-04T03:46:00", "2026-10-04T08:46:00Z"},
		{"midnight", "October 24, 2026", "12:00 am", "2026-10-24T00:00:00", "2026-10-24T05:00:00Z"},
		{"day alone", "October 24, 2026", "", "2026-10-24", "2026-10-24T05:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := d.legacyMoment(legacyEvent{Date: tc.day, Time: tc.clock}, parcel.Place{Country: "US", Region: "IL", City: "CHICAGO"})
			if err != nil {
				t.Fatal(err)
			}
			if m.Wall != tc.wall || m.At.Format(time.RFC3339) != tc.at || m.Certainty != parcel.CertaintyUnknown || m.Written() != strings.TrimSpace(tc.day+" "+tc.clock) {
				t.Errorf("got %+v", m)
			}
		})
	}
	for _, bad := range []legacyEvent{{}, {Date: "24.10.2026"}, {Date: "October 24, 2026", Time: "noon"}} {
		if _, err := d.legacyMoment(bad, parcel.Place{}); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestEstimates(t *testing.T) {
	const done = `"trackingEvents":[{"eventCode":"01","eventTimestamp":"2026-10-24T15:46:00","GMTOffset":"-05:00"}]`
	legacy := func(inner string) string {
		return `<TrackResponse><TrackInfo ID="` + delivered + `">` + inner + `<TrackSummary><EventDate>October 20, 2026</EventDate><EventCode>A1</EventCode></TrackSummary></TrackInfo></TrackResponse>`
	}
	on := func(day string) []parcel.Estimate {
		return []parcel.Estimate{{Number: delivered, Earliest: day, Last: day}}
	}
	for _, tc := range []struct {
		name, kind, body string
		want             []parcel.Estimate
		err              error
	}{
		{name: "expected", kind: kindTrack, body: `{"trackingNumber":"` + delivered + `","expectedDeliveryTimeStamp":"2026-10-25T21:00:00Z","predictedDeliveryTimeStamp":"2026-10-26T21:00:00Z"}`, want: on("2026-10-25")},
		{name: "guaranteed", kind: kindTrack, body: `{"trackingNumber":"` + delivered + `","guaranteedDeliveryTimeStamp":"2026-10-26T21:00:00Z"}`, want: on("2026-10-26")},
		{name: "newer form", kind: kindTrack, body: `{"trackingNumber":"` + delivered + `","deliveryDateExpectation":{"predictedDeliveryDate":"2026-10-27"}}`, want: on("2026-10-27")},
		{name: "delivered is history", kind: kindTrack, body: `{"trackingNumber":"` + delivered + `","expectedDeliveryTimeStamp":"2026-10-25T21:00:00Z",` + done + `}`},
		{name: "no day", kind: kindTrack, body: `{"trackingNumber":"` + delivered + `","expectedDeliveryTimeStamp":"soon"}`, err: parcel.ErrMalformed},
		{name: "older dialect", kind: kindLegacy, body: legacy(`<PredictedDeliveryDate>October 26, 2026</PredictedDeliveryDate>`), want: on("2026-10-26")},
		{name: "older dialect, no day", kind: kindLegacy, body: legacy(`<ExpectedDeliveryDate>soon</ExpectedDeliveryDate>`), err: parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, tc.kind, tc.body)
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want kind %v", err, tc.err)
			}
			if d := cmp.Diff(tc.want, r.Estimates); d != "" {
				t.Errorf("estimates (-want +got):\n%s", d)
			}
		})
	}
}

func TestUsesOfOneNumber(t *testing.T) {
	const format = `{"trackingNumber":"` + delivered + `","mailPieceIntakeDate":"%s","trackingEvents":[{"eventCode":"OF","eventTimestamp":"2026-10-24T07:10:00","GMTOffset":"-05:00"}]}`
	a, err1 := decode(t, kindTrack, fmt.Sprintf(format, "2025-01-03 01:00:00.000000"))
	b, err2 := decode(t, kindTrack, fmt.Sprintf(format, "2026-10-13 03:12:44.000000"))
	if err1 != nil || err2 != nil || a.Observations[0].Key() == b.Observations[0].Key() {
		t.Errorf("two uses share an event: %v, %v", err1, err2)
	}
	c, err := decode(t, kindLegacy, `<TrackResponse><TrackInfo ID="`+delivered+`"><MPDATE>2026-10-13 03:12:44.000000</MPDATE><TrackSummary><EventDate>October 24, 2026</EventDate><EventTime>7:10 am</EventTime><EventCode>OF</EventCode></TrackSummary></TrackInfo></TrackResponse>`)
	if err != nil || c.Observations[0].Key() != b.Observations[0].Key() {
		t.Errorf("one event by the minute is another in the older dialect: %v", err)
	}
}

func TestMarkup(t *testing.T) {
	r, err := decode(t, kindTrack, `{"trackingNumber":"`+delivered+`","trackingEvents":[{"eventCode":"OF","eventType":"Out for <b>Delivery</b>&#174;","eventTimestamp":"2026-10-24T07:10:00"}]}`)
	if err != nil || r.Observations[0].Words != "Out for Delivery®" {
		t.Errorf("words %q, %v", r.Observations[0].Words, err)
	}
}

func TestRedact(t *testing.T) {
	u := account(t, carriers.Env{})
	for _, tc := range []struct{ name, kind, body string }{
		{"v3", kindTrack, `{"trackingNumber":"` + delivered + `","trackingEvents":[{"eventCode":"01","eventTimestamp":"2026-10-24T15:46:00","firm":"A FIRM","name":"A PERSON"}]}`},
		{"v3 with names in another case", kindTrack, `{"TrackingNumber":"` + delivered + `","TrackingEvents":[{"EventCode":"01","EventTimestamp":"2026-10-24T15:46:00","Firm":"A FIRM","Name":"A PERSON"}]}`},
		{"v3 in a sentence", kindTrack, `{"trackingNumber":"` + delivered + `","trackingEvents":[{"eventCode":"01","eventType":"Delivered, signed by: A PERSON","eventTimestamp":"2026-10-24T15:46:00"}]}`},
		{"older dialect", kindLegacy, `<TrackResponse><TrackInfo ID="` + delivered + `"><TrackSummary><EventDate>October 24, 2026</EventDate><EventCode>01</EventCode><FirmName>A FIRM</FirmName><Name>A PERSON</Name></TrackSummary></TrackInfo></TrackResponse>`},
		{"refusal of the older dialect", kindLegacy, `<Error><Number>80040B1A</Number><Description>User A PERSON of A FIRM is not authorized</Description></Error>`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := parcel.Payload{Kind: tc.kind, Body: []byte(tc.body)}
			once := u.Redact(p)
			if strings.Contains(string(once.Body), "A FIRM") || strings.Contains(string(once.Body), "A PERSON") {
				t.Errorf("left: %s", once.Body)
			}
			before, err1 := u.Decode(p)
			after, err2 := u.Decode(once)
			if d := cmp.Diff(before, after); d != "" || (err1 == nil) != (err2 == nil) {
				t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
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
		{"id alone", map[string]string{"client_id": "a"}, "client_secret"},
		{"secret alone", map[string]string{"client_secret": "a"}, "client_id"},
		{"no dialect", map[string]string{"dialect": "v4"}, "dialect"},
		{"no calls", map[string]string{"calls_per_hour": "many"}, "calls_per_hour"},
		{"no batch", map[string]string{"legacy_batch": "0"}, "legacy_batch"},
		{"no host", map[string]string{"legacy_url": "here"}, "legacy_url"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tc.settings})
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+tc.names) {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, other := range []map[string]string{nil, {"legacy_user_id": "a"}, {"dialect": dialectLegacy, "client_id": "a", "client_secret": "b"}} {
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
	start := time.Date(2026, 10, 13, 3, 12, 0, 0, time.UTC)
	canton, chicago := parcel.Place{Country: "CN", City: "GUANGZHOU"}, parcel.Place{Country: "US", Region: "IL", City: "CHICAGO", Postcode: "60616"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "US", Estimated: start.AddDate(0, 0, 12)}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodePickedUp, Place: canton},
		{Code: parcel.CodeExportExchangeArrived, Place: canton},
		{Code: parcel.CodeOriginCountryDeparted, Place: canton},
		{Code: parcel.CodeDestinationHubProcessed, Place: chicago},
		{Code: parcel.CodeImportCustomsPresented, Place: chicago},
		{Code: parcel.CodeImportCustomsHeld, Place: chicago},
		{Code: parcel.CodeImportCustomsReleased, Place: chicago},
		{Code: parcel.CodeDeliveryOfficeArrived, Place: chicago},
		{Code: parcel.CodeOutForDelivery, Place: chicago},
		{Code: parcel.CodeDeliveryAttemptFailed, Reason: parcel.ReasonBusinessClosed, Place: chicago},
		{Code: parcel.CodeDelivered, DeliveredTo: parcel.DeliveredToReception, Place: chicago},
	} {
		s.At = start.Add(time.Duration(i) * 7 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func serve(t *testing.T, dialect string, wrap func(http.Handler) http.Handler) *usps {
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
	for _, tc := range []struct {
		dialect  string
		payloads int
	}{{dialectV3, 2}, {dialectLegacy, 1}} {
		t.Run(tc.dialect, func(t *testing.T) {
			u := serve(t, tc.dialect, nil)
			payloads, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: unknown}, {Number: "lz 7412 0365 6 cn"}})
			if err != nil || len(payloads) != tc.payloads {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			var scans []carriers.FakeScan
			found := map[string]parcel.Finding{}
			for _, p := range payloads {
				r, err := u.Decode(p)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range slices.Backward(r.Observations) {
					scans = append(scans, carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place})
				}
				for _, x := range r.Results {
					found[x.Number] = x.Finding
				}
			}
			if d := cmp.Diff(history().Scans, scans); d != "" {
				t.Errorf("scans (-sent +read):\n%s", d)
			}
			if d := cmp.Diff(map[string]parcel.Finding{delivered: parcel.FindingFound, unknown: parcel.FindingUnknown}, found); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestLegacyBatchIsSplit(t *testing.T) {
	var calls atomic.Int32
	u := serve(t, dialectLegacy, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			next.ServeHTTP(w, r)
		})
	})
	queries := make([]carriers.Query, 23)
	for i := range queries {
		queries[i].Number = fmt.Sprintf("92001902400000%08d", i)
	}
	payloads, err := u.Fetch(t.Context(), queries)
	if err != nil || len(payloads) != 3 || calls.Load() != 3 {
		t.Fatalf("%d payloads by %d calls, %v", len(payloads), calls.Load(), err)
	}
}

func TestRefusals(t *testing.T) {
	v3 := func(code string) string {
		return `{"apiVersion":"/tracking/v3","error":{"code":"` + code + `","message":"words"}}`
	}
	for _, tc := range []struct {
		name, dialect, body string
		status              int
		header              http.Header
		kind                error
		wait                time.Duration
		unknown             bool
	}{
		{name: "throttled", dialect: dialectV3, status: 429, header: http.Header{"Retry-After": {"1800"}}, body: v3("429"), kind: parcel.ErrThrottled, wait: 30 * time.Minute},
		{name: "out of service", dialect: dialectV3, status: 503, header: http.Header{"Retry-After": {"1800"}}, body: v3("503"), kind: parcel.ErrUnavailable},
		{name: "token refused", dialect: dialectV3, status: 401, body: v3("401"), kind: parcel.ErrDenied},
		{name: "forbidden", dialect: dialectV3, status: 403, body: v3("403"), kind: parcel.ErrDenied},
		{name: "unknown", dialect: dialectV3, status: 404, body: string(sample(t, "error-not-found-404.json")), unknown: true},
		{name: "no such page", dialect: dialectV3, status: 404, body: "not here", kind: parcel.ErrUnavailable},
		{name: "bad request", dialect: dialectV3, status: 400, body: v3("400"), kind: parcel.ErrMalformed},
		{name: "user id", dialect: dialectLegacy, status: 200, body: `<Error><Number>80040B1A</Number><Description>User DEMO-USER is not authorized</Description></Error>`, kind: parcel.ErrDenied},
		{name: "another fault of the older dialect", dialect: dialectLegacy, status: 200, body: `<Error><Number>80040B18</Number></Error>`, kind: parcel.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := serve(t, tc.dialect, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == tokenPath {
						next.ServeHTTP(w, r)
						return
					}
					for k := range tc.header {
						w.Header().Set(k, tc.header.Get(k))
					}
					w.WriteHeader(tc.status)
					_, _ = io.WriteString(w, tc.body)
				})
			})
			payloads, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tc.kind) || err != nil && strings.Contains(err.Error(), "DEMO-USER") {
				t.Fatalf("error %v, want kind %v", err, tc.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); ok != (tc.wait > 0) || ok && th.RetryAfter != tc.wait {
				t.Errorf("wait of %v", err)
			}
			if !tc.unknown {
				if len(payloads) != 0 {
					t.Errorf("%d payloads", len(payloads))
				}
				return
			}
			r, err := u.Decode(payloads[0])
			if err != nil || len(r.Results) != 1 || r.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("results %+v, %v", r.Results, err)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	for _, tc := range []struct {
		name           string
		refusals       int32
		kind           error
		tokens, tracks int32
	}{
		{"refused once: one renewal", 1, nil, 2, 2},
		{"refused for good: no second renewal", 99, parcel.ErrDenied, 2, 2},
		{"never refused", 0, nil, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tokens, tracks atomic.Int32
			u := serve(t, dialectV3, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == tokenPath {
						tokens.Add(1)
					} else if tracks.Add(1) <= tc.refusals {
						refuse(w, http.StatusUnauthorized, "Invalid token", "", "", "")
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			_, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tc.kind) || tokens.Load() != tc.tokens || tracks.Load() != tc.tracks {
				t.Errorf("error %v, %d tokens, %d calls", err, tokens.Load(), tracks.Load())
			}
		})
	}
	t.Run("client refused with status 400", func(t *testing.T) {
		u := serve(t, dialectV3, nil)
		u.clientSecret = "another"
		_, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
		if !errors.Is(err, parcel.ErrDenied) || !strings.Contains(err.Error(), "invalid_client") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRequests(t *testing.T) {
	type call struct{ method, path, query, authorization, body string }
	for _, tc := range []struct {
		dialect string
		want    []call
	}{
		{dialectV3, []call{
			{"POST", "/oauth2/v3/token", "", "", "client_id=demo&client_secret=demo-secret&grant_type=client_credentials&scope=tracking"},
			{"GET", "/tracking/v3/tracking/LZ741203656CN", "map[expand:[DETAIL]]", "Bearer fake-token-1", ""},
		}},
		{dialectLegacy, []call{
			{"GET", "/ShippingAPI.dll", `map[API:[TrackV2] XML:[<TrackFieldRequest USERID="DEMO-USER"><Revision>1</Revision><ClientIp>127.0.0.1</ClientIp><SourceId>milepost</SourceId><TrackID ID="LZ741203656CN"></TrackID></TrackFieldRequest>]]`, "", ""},
		}},
	} {
		t.Run(tc.dialect, func(t *testing.T) {
			var calls []call
			u := serve(t, tc.dialect, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					r.Body = io.NopCloser(strings.NewReader(string(body)))
					c := call{r.Method, r.URL.Path, "", r.Header.Get("Authorization"), string(body)}
					if r.URL.RawQuery != "" {
						c.query = fmt.Sprint(map[string][]string(r.URL.Query()))
					}
					calls = append(calls, c)
					next.ServeHTTP(w, r)
				})
			})
			if _, err := u.Fetch(t.Context(), []carriers.Query{{Number: delivered, Postcode: "60616"}}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, calls, cmp.AllowUnexported(call{})); d != "" {
				t.Errorf("calls (-want +got):\n%s", d)
			}
		})
	}
}

func TestFakeKeepsTheBudget(t *testing.T) {
	now := today()
	f := newFake(carriers.FakeEnv{Settings: settings(dialectV3), Now: func() time.Time { return now }, Journeys: func(string) (carriers.FakeHistory, bool) { return history(), true }}).(*fake)
	get := func() *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, trackPath+delivered, nil)
		req.Header.Set("Authorization", "Bearer "+f.issue())
		rec := httptest.NewRecorder()
		f.Handler().ServeHTTP(rec, req)
		return rec
	}
	for i := range hourlyCalls {
		if rec := get(); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "eventSummaries") {
			t.Fatalf("call %d: status %d, %s", i+1, rec.Code, rec.Body)
		}
	}
	now = now.Add(20 * time.Minute)
	if rec := get(); rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") != "2400" {
		t.Errorf("one call too many: status %d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
	now = now.Add(40 * time.Minute)
	if rec := get(); rec.Code != http.StatusOK {
		t.Errorf("an hour later: status %d", rec.Code)
	}
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
		return spec().New(env)
	}
	s.Fake = func(env carriers.FakeEnv) carriers.Fake {
		env.Settings = asked(env.Settings)
		return newFake(env)
	}
	carriertest.RunSpec(t, s, "testdata")
}

func FuzzDecode(f *testing.F) {
	for kind, pattern := range map[string]string{kindTrack: "testdata/*.json", kindLegacy: "testdata/*.xml"} {
		samples, err := filepath.Glob(pattern)
		if err != nil || len(samples) == 0 {
			f.Fatal("no samples", err)
		}
		for _, s := range samples {
			f.Add(kind, sample(f, filepath.Base(s)))
		}
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
		if kind == kindTrack && !json.Valid(body) && err == nil {
			t.Error("read what is no JSON")
		}
		again, _ := u.Decode(u.Redact(p))
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
	})
}
