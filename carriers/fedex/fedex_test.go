package fedex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "395017288464"
	returning = "395017288990"
	unknown   = "395017288000"
)

func settings() map[string]string {
	return map[string]string{"client_id": "demo", "client_secret": "demo-secret"}
}

func account(t testing.TB, env carriers.Env) *fedex {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*fedex)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, body string, asked ...string) (parcel.Reading, error) {
	t.Helper()
	return account(t, carriers.Env{}).Decode(parcel.Payload{Carrier: name, Kind: kindTrack, Body: []byte(body), Numbers: asked})
}

func fold(observations []parcel.Observation) parcel.Journey {
	shipment := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "US"}}}
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
		name, file, number string
		codes              []parcel.Code // newest first, as told
		first, last        string
		days               int
		outcome            parcel.Outcome
		milestone          parcel.Milestone
		open               []parcel.ExceptionKind
	}{
		{
			name: "delivered", file: "journey-delivered.json", number: delivered,
			codes: []parcel.Code{
				parcel.CodeDelivered, parcel.CodeOutForDelivery, parcel.CodeDeliveryOfficeArrived, parcel.CodeInTransit,
				parcel.CodeImportCustomsReleased, parcel.CodeImportCustomsHeld, parcel.CodeInTransit, parcel.CodeInTransit,
				parcel.CodeExportCustomsReleased, parcel.CodeOriginHubDeparted, parcel.CodePickedUp, parcel.CodeInfoReceived,
			},
			first: "2026-10-16T16:00:00Z", last: "2026-10-21T18:52:00Z", days: 1,
			outcome: parcel.OutcomeDelivered, milestone: parcel.MilestoneDelivered,
		},
		{
			name: "address exception and on the way back", file: "batch-exception-and-not-found.json", number: returning,
			codes: []parcel.Code{
				parcel.CodeReturnStarted, parcel.CodeAddressProblem, parcel.CodeOutForDelivery, parcel.CodeDeliveryOfficeArrived,
				parcel.CodeInTransit, parcel.CodeImportCustomsReleased, parcel.CodeImportCustomsHeld, parcel.CodeInTransit,
				parcel.CodeInTransit, parcel.CodeExportCustomsReleased, parcel.CodeOriginHubDeparted, parcel.CodePickedUp, parcel.CodeInfoReceived,
			},
			first: "2026-10-16T16:00:00Z", last: "2026-10-22T22:20:00Z", days: 1,
			milestone: parcel.MilestoneOutForDelivery, open: []parcel.ExceptionKind{parcel.ExceptionReturning},
		},
		{
			name: "the newer use of a number", file: "number-reused.json", number: delivered,
			codes: []parcel.Code{parcel.CodeDelivered, parcel.CodeOutForDelivery, parcel.CodeDeliveryOfficeArrived},
			first: "2026-10-21T13:40:00Z", last: "2026-10-21T18:52:00Z",
			outcome: parcel.OutcomeDelivered, milestone: parcel.MilestoneDelivered,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, string(sample(t, tc.file)), tc.number)
			if err != nil {
				t.Fatal(err)
			}
			var codes []parcel.Code
			days := 0
			for _, o := range r.Observations {
				if o.Number != tc.number || o.Parcel != "2461234000~"+tc.number+"~FX" || o.Language != "en-US" {
					t.Errorf("%s %s: number %s, parcel %s, language %s", o.OwnCode, o.Occurred.Wall, o.Number, o.Parcel, o.Language)
				}
				if o.Occurred.DateOnly() {
					days++
				} else if o.Occurred.Certainty != parcel.CertaintyReported {
					t.Errorf("%s %s: certainty %s", o.OwnCode, o.Occurred.Wall, o.Occurred.Certainty)
				}
				codes = append(codes, o.Code)
			}
			if d := cmp.Diff(tc.codes, codes); d != "" {
				t.Errorf("codes (-want +got):\n%s", d)
			}
			got := []string{r.Observations[len(r.Observations)-1].Occurred.At.Format(time.RFC3339), r.Observations[0].Occurred.At.Format(time.RFC3339)}
			if d := cmp.Diff([]string{tc.first, tc.last}, got); d != "" || days != tc.days {
				t.Errorf("%d days; first and last (-want +got):\n%s", days, d)
			}
			j := fold(r.Observations)
			if j.Outcome != tc.outcome || j.Milestone != tc.milestone {
				t.Errorf("outcome %q, milestone %s", j.Outcome, j.Milestone)
			}
			if d := cmp.Diff(tc.open, openOf(j)); d != "" {
				t.Errorf("open exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeScan(t *testing.T) {
	r, err := decode(t, string(sample(t, "journey-delivered.json")), delivered)
	if err != nil {
		t.Fatal(err)
	}
	want := parcel.Observation{
		Carrier: name, Number: delivered, Parcel: "2461234000~395017288464~FX", OwnCode: "DL", Code: parcel.CodeDelivered,
		Words: "Delivered", Language: "en-US",
		Occurred: parcel.Moment{
			At: time.Date(2026, 10, 21, 18, 52, 0, 0, time.UTC), Wall: "2026-10-21T11:52:00", Text: "2026-10-21T11:52:00-07:00",
			OffsetSeconds: -7 * 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
		},
		Place:       parcel.Place{Country: "US", Region: "OR", City: "PORTLAND", Postcode: "97218"},
		DeliveredTo: parcel.DeliveredToSafePlace, Rule: "DL", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(want, r.Observations[0]); d != "" {
		t.Errorf("newest scan (-want +got):\n%s", d)
	}
	if o := r.Observations[11]; o.Occurred.Wall != "2026-10-17" || o.Occurred.Offset() != "+08:00" || o.Occurred.Certainty != parcel.CertaintyAssumed {
		t.Errorf("shipment information: %s %s %s", o.Occurred.Wall, o.Occurred.Offset(), o.Occurred.Certainty)
	}
	if o := r.Observations[5]; o.Words != "Clearance delay - Import. Package awaiting clearance release by the customs authority" {
		t.Errorf("words %q", o.Words)
	}
}

// result wraps the fields of one track result as an answer.
func result(fields string) string {
	return `{"output":{"completeTrackResults":[{"trackingNumber":"` + delivered + `","trackResults":[{` + fields + `}]}]}}`
}

func TestDecodeAnswersWithoutParcel(t *testing.T) {
	inside := func(code string) string { return result(`"error":{"code":"` + code + `","message":"words"}`) }
	for _, tc := range []struct {
		name, body string
		want       []parcel.NumberResult
		kind       error
	}{
		{name: "not found inside 200", body: inside("TRACKING.TRACKINGNUMBER.NOTFOUND"),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "TRACKING.TRACKINGNUMBER.NOTFOUND words"}}},
		{name: "invalid inside 200", body: inside("TRACKING.TRACKINGNUMBER.INVALID"),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "TRACKING.TRACKINGNUMBER.INVALID words"}}},
		{name: "not for this account", body: inside("FORBIDDEN.ERROR"),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingDenied, Detail: "FORBIDDEN.ERROR words"}}},
		{name: "another fault of one number", body: inside("INTERNAL.SERVER.ERROR"), kind: parcel.ErrUnavailable},
		{name: "not found by another status", body: `{"transactionId":"1","errors":[{"code":"TRACKING.TRACKINGNUMBER.NOTFOUND","message":"words"}]}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "TRACKING.TRACKINGNUMBER.NOTFOUND words"}}},
		{name: "no result", body: `{"output":{"completeTrackResults":[{"trackingNumber":"` + delivered + `","trackResults":[]}]}}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown}}},
		{name: "nothing at all", body: `{"output":{"completeTrackResults":[]}}`,
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}}},
		{name: "known and not yet scanned", body: result(`"latestStatusDetail":{"code":"IN"}`),
			want: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingFound}}},
		{name: "credentials", body: string(sample(t, "error-auth-401.json")), kind: parcel.ErrDenied},
		{name: "throttled", body: string(sample(t, "error-throttled-429.json")), kind: parcel.ErrThrottled},
		{name: "server", body: `{"errors":[{"code":"SERVICE.UNAVAILABLE.ERROR","message":"later"}]}`, kind: parcel.ErrUnavailable},
		{name: "list of results of another type", body: `{"output":{"completeTrackResults":7}}`, kind: parcel.ErrMalformed},
		{name: "other JSON", body: `{"hello":1}`, kind: parcel.ErrMalformed},
		{name: "array", body: `[]`, kind: parcel.ErrMalformed},
		{name: "cut off", body: `{"output":{"completeTrackResults":[{`, kind: parcel.ErrMalformed},
		{name: "empty", kind: parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, tc.body, delivered)
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
	r, err := decode(t, string(sample(t, "batch-exception-and-not-found.json")), returning, unknown, delivered)
	want := []parcel.NumberResult{
		{Number: returning, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: "TRACKING.TRACKINGNUMBER.NOTFOUND Tracking number cannot be found. Please correct the tracking number and try again."},
		{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"},
	}
	if d := cmp.Diff(want, r.Results); d != "" || err != nil {
		t.Errorf("batch: %v (-want +got):\n%s", err, d)
	}
}

func TestBadItemHidesNoOther(t *testing.T) {
	body := `{"output":{"completeTrackResults":["what",{"trackingNumber":"3950 1728 8464","trackResults":[{
		"latestStatusDetail":"delivered","additionalTrackingInfo":7,"scanEvents":[
			{"date":"2026-10-21T11:52:00-07:00","eventType":"OD","scanLocation":"PORTLAND"},
			{"date":"yesterday","eventType":"DP"}, 7,
			{"date":"2026-10-21T11:53:00-07:00"},
			{"date":"2026-10-21T11:54:00-07:00","eventType":"ZZ","eventDescription":"Something else"}
		]}]},{"trackResults":[{}]}]}}`
	r, err := decode(t, body)
	for _, item := range []string{"completeTrackResults: item 0", delivered + ", scan 2:", delivered + ", scans: item 2", delivered + ", scan 3:", "result 2: no number"} {
		if err == nil || !strings.Contains(err.Error(), item) {
			t.Errorf("error does not name %q: %v", item, err)
		}
	}
	if !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("kind of %v", err)
	}
	var got []string
	for _, o := range r.Observations {
		got = append(got, fmt.Sprintf("%s %s %s %s", o.Number, o.OwnCode, o.Code, o.Rule))
	}
	want := []string{delivered + " OD OUT_FOR_DELIVERY OD", delivered + " ZZ UNKNOWN unmapped"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("observations (-want +got):\n%s", d)
	}
}

func TestRow(t *testing.T) {
	for _, tc := range []struct {
		name, scan, rest string
		want             parcel.Code
		rule             string
	}{
		{"on the way to the airport", `"eventType":"EA","eventDescription":"Enroute to airport"`, "", parcel.CodeOriginHubDeparted, "EA"},
		{"export release under the same code", `"eventType":"EA","eventDescription":"International shipment release - Export"`, "", parcel.CodeExportCustomsReleased, "EA: export"},
		{"arrival at the origin", `"eventType":"AR","locationType":"ORIGIN_FEDEX_FACILITY"`, "", parcel.CodeOriginHubArrived, "AR@ORIGIN_FEDEX_FACILITY"},
		{"arrival on the way", `"eventType":"AR","locationType":"FEDEX_FACILITY"`, "", parcel.CodeInTransit, "AR"},
		{"delivery exception", `"eventType":"DE"`, "", parcel.CodeDeliveryAttemptFailed, "DE"},
		{"delivery exception 03", `"eventType":"DE","exceptionCode":"03","exceptionDescription":"Refused"`, "", parcel.CodeAddressProblem, "DE/03"},
		{"refused", `"eventType":"DE","exceptionCode":"A13","exceptionDescription":"Refused by recipient"`, "", parcel.CodeRefused, "DE: refused"},
		{"documents", `"eventType":"CD","eventDescription":"Clearance delay - Import","exceptionDescription":"Missing documents"`, "", parcel.CodeCustomsDocumentsRequired, "CD: document"},
		{"unknown type of a known group", `"eventType":"ZZ","derivedStatusCode":"IT"`, "", parcel.CodeInTransit, "derived:IT"},
		{"unknown type of the group delivered", `"eventType":"ZZ","derivedStatusCode":"DL"`, "", parcel.CodeUnknown, "unmapped"},
		{"type missing", `"derivedStatusCode":"PU"`, "", parcel.CodePickedUp, "derived:PU"},
		{"lower case", `"eventType":"dl"`, "", parcel.CodeDelivered, "DL"},
		{"delivered by the latest status", `"eventType":"DL"`, `,"latestStatusDetail":{"code":"DL"}`, parcel.CodeDelivered, "DL"},
		{"delivered by the group of the latest status", `"eventType":"DL"`, `,"latestStatusDetail":{"code":"XX","derivedCode":"DL"}`, parcel.CodeDelivered, "DL"},
		{"delivered and sent back", `"eventType":"DL"`, `,"latestStatusDetail":{"code":"RS"}`, parcel.CodeDelivered, "DL"},
		{"delivery corrected", `"eventType":"DL"`, `,"latestStatusDetail":{"code":"IT","derivedCode":"IT"}`, parcel.CodeUnknown, "DL/unconfirmed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, result(`"scanEvents":[{"date":"2026-10-21T11:52:00-07:00",`+tc.scan+`}]`+tc.rest))
			if err != nil {
				t.Fatal(err)
			}
			if o := r.Observations[0]; o.Code != tc.want || o.Rule != tc.rule {
				t.Errorf("got %s by %s, want %s by %s", o.Code, o.Rule, tc.want, tc.rule)
			}
		})
	}
}

func TestDeliveredAfterReturnIsReturned(t *testing.T) {
	r, err := decode(t, result(`"latestStatusDetail":{"code":"DL"},"scanEvents":[
		{"date":"2026-10-29T10:00:00+08:00","eventType":"DL","scanLocation":{"city":"SHENZHEN","countryCode":"CN"}},
		{"date":"2026-10-22T15:20:00-07:00","eventType":"RS","scanLocation":{"city":"PORTLAND","stateOrProvinceCode":"OR","countryCode":"US"}}],
		"additionalTrackingInfo":{"packageIdentifiers":[{"type":"CUSTOMER_REFERENCE","values":["XB-55022"]},{"type":"RETURNED_TO_SHIPPER_TRACKING_NUMBER","values":["395017299999"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if j := fold(r.Observations); j.Outcome != parcel.OutcomeReturned {
		t.Errorf("outcome %q", j.Outcome)
	}
	if o := r.Observations[1]; o.NextCarrier != name || o.NextNumber != "395017299999" {
		t.Errorf("next %q %q", o.NextCarrier, o.NextNumber)
	}
}

func TestPartnerCarriesOn(t *testing.T) {
	r, err := decode(t, result(`"scanEvents":[{"date":"2026-10-29T10:00:00-05:00","eventType":"AX"},{"date":"2026-10-28T10:00:00-05:00","eventType":"AC"},{"date":"2026-10-27T10:00:00-05:00","eventType":"AR"}],
		"additionalTrackingInfo":{"packageIdentifiers":{"type":"PARTNER_CARRIER_NUMBER","values":["9261290100000000000000"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range r.Observations {
		got = append(got, o.NextCarrier+" "+o.NextNumber)
	}
	if d := cmp.Diff([]string{"usps 9261290100000000000000", "canada-post 9261290100000000000000", " "}, got); d != "" {
		t.Errorf("next (-want +got):\n%s", d)
	}
}

func TestMoment(t *testing.T) {
	const cn, us = `"scanLocation":{"countryCode":"CN"}`, `"scanLocation":{"city":"PORTLAND","stateOrProvinceCode":"OR","countryCode":"US"}`
	const origin = `,"originLocation":{"locationContactAndAddress":{"address":{"countryCode":"CN"}}}`
	for _, tc := range []struct{ name, scan, rest, wall, at, offset, certainty string }{
		{"offset", `"date":"2026-10-21T11:52:00-07:00","eventType":"OD",` + us, "", "2026-10-21T11:52:00", "2026-10-21T18:52:00Z", "-07:00", "REPORTED"},
		{"midnight of a real scan", `"date":"2026-10-21T00:00:00-07:00","eventType":"OD",` + us, "", "2026-10-21T00:00:00", "2026-10-21T07:00:00Z", "-07:00", "REPORTED"},
		{"midnight of data", `"date":"2026-10-17T00:00:00+08:00","eventType":"OC"`, "", "2026-10-17", "2026-10-16T16:00:00Z", "+08:00", "REPORTED"},
		{"midnight without offset, place known", `"date":"2026-10-17T00:00:00","eventType":"OC",` + cn, origin, "2026-10-17", "2026-10-16T16:00:00Z", "+08:00", "PLACE"},
		{"midnight without offset, origin known", `"date":"2026-10-17T00:00:00","eventType":"OC"`, origin, "2026-10-17", "2026-10-16T16:00:00Z", "+08:00", "ASSUMED"},
		{"midnight without offset, nothing known", `"date":"2026-10-17T00:00:00","eventType":"OC"`, "", "2026-10-17", "2026-10-17T00:00:00Z", "", "UNKNOWN"},
		{"the origin is not the place of a real scan", `"date":"2026-10-17T00:00:00","eventType":"OD"`, origin, "2026-10-17", "2026-10-17T00:00:00Z", "", "UNKNOWN"},
		{"clock without offset", `"date":"2026-10-21T11:52:00","eventType":"OD",` + us, "", "2026-10-21T11:52:00", "2026-10-21T18:52:00Z", "-07:00", "PLACE"},
		{"day", `"date":"2026-10-21","eventType":"OD",` + cn, "", "2026-10-21", "2026-10-20T16:00:00Z", "+08:00", "PLACE"},
		{"nine digits of a second", `"date":"2026-10-21T11:52:00.123456789-07:00","eventType":"OD"`, "", "2026-10-21T11:52:00.123456", "2026-10-21T18:52:00Z", "-07:00", "REPORTED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, result(`"scanEvents":[{`+tc.scan+`}]`+tc.rest))
			if err != nil {
				t.Fatal(err)
			}
			m := r.Observations[0].Occurred
			got := []string{m.Wall, m.At.Format(time.RFC3339), m.Offset(), string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.at, tc.offset, tc.certainty}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
			if date, _, _ := strings.Cut(strings.TrimPrefix(tc.scan, `"date":"`), `"`); m.Written() != date {
				t.Errorf("written %q", m.Written())
			}
		})
	}
}

func TestEstimates(t *testing.T) {
	for _, tc := range []struct {
		name, fields string
		want         []parcel.Estimate
		kind         error
	}{
		{name: "day", fields: `"dateAndTimes":[{"type":"SHIP","dateTime":"2026-10-17T00:00:00-06:00"},{"type":"ESTIMATED_DELIVERY","dateTime":"2026-10-22T00:00:00-06:00"}]`,
			want: []parcel.Estimate{{Number: delivered, Earliest: "2026-10-22", Last: "2026-10-22"}}},
		{name: "window", fields: `"estimatedDeliveryTimeWindow":{"type":"ESTIMATED_DELIVERY","window":{"begins":"2026-10-22T08:00:00","ends":"2026-10-23T20:00:00"}},"dateAndTimes":[{"type":"ESTIMATED_DELIVERY","dateTime":"2026-10-25T00:00:00-06:00"}]`,
			want: []parcel.Estimate{{Number: delivered, Earliest: "2026-10-22", Last: "2026-10-23"}}},
		{name: "end alone", fields: `"estimatedDeliveryTimeWindow":{"window":{"begins":"","ends":"2026-10-23T20:00:00"}}`,
			want: []parcel.Estimate{{Number: delivered, Earliest: "2026-10-23", Last: "2026-10-23"}}},
		{name: "delivered is history", fields: `"estimatedDeliveryTimeWindow":{"window":{"ends":"2026-10-23T20:00:00"}},"dateAndTimes":[{"type":"ACTUAL_DELIVERY","dateTime":"2026-10-21T11:52:00-07:00"}]`},
		{name: "empty", fields: `"estimatedDeliveryTimeWindow":{"window":{}}`},
		{name: "no day", fields: `"estimatedDeliveryTimeWindow":{"window":{"ends":"soon"}}`, kind: parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decode(t, result(tc.fields))
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if d := cmp.Diff(tc.want, r.Estimates); d != "" {
				t.Errorf("estimates (-want +got):\n%s", d)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	f := account(t, carriers.Env{})
	body := result(`"recipientInformation":{"contact":{"personName":"A PERSON","phoneNumber":5550100},"address":{"streetLines":["1 STREET",""],"city":"PORTLAND"}},"deliveryDetails":{"receivedByName":"P.ERSON","locationDescription":"Residence"},"scanEvents":[{"date":"2026-10-21T11:52:00-07:00","eventType":"DL","eventDescription":"Delivered, signed for by: P.ERSON, +1 (503) 555-0100"}]`)
	once := f.Redact(parcel.Payload{Kind: kindTrack, Body: []byte(body)})
	for _, gone := range []string{"A PERSON", "5550100", "1 STREET", "P.ERSON", "555-0100"} {
		if strings.Contains(string(once.Body), gone) {
			t.Errorf("%q is still there", gone)
		}
	}
	before, err1 := f.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(body)})
	after, err2 := f.Decode(once)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil || before.Observations[0].DeliveredTo != parcel.DeliveredToRecipient {
		t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
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
		{"no number", map[string]string{"calls_per_day": "many"}, "calls_per_day"},
		{"below zero", map[string]string{"calls_per_day": "-1"}, "calls_per_day"},
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
	if _, err := spec().New(carriers.Env{BaseURL: "no url"}); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("base URL: %v", err)
	}
}

// wall is a clock that stands still: no token ages, no wait takes time.
type wall struct{}

func (wall) Now() time.Time                                   { return today() }
func (wall) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func today() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 16, 16, 0, 0, 0, time.UTC)
	shenzhen, memphis := parcel.Place{Country: "CN", City: "Shenzhen"}, parcel.Place{Country: "US", Region: "TN", City: "Memphis", Facility: "MEMH"}
	portland := parcel.Place{Country: "US", Region: "OR", City: "Portland", Postcode: "97218"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "US", Estimated: start.AddDate(0, 0, 8)}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodeInfoReceived, Place: parcel.Place{Country: "CN"}},
		{Code: parcel.CodePickedUp, Place: shenzhen},
		{Code: parcel.CodeExportCustomsReleased, Place: shenzhen},
		{Code: parcel.CodeImportCustomsPresented, Place: memphis},
		{Code: parcel.CodeCustomsDocumentsRequired, Reason: parcel.ReasonDocumentsMissing, Place: memphis},
		{Code: parcel.CodeImportCustomsReleased, Place: memphis},
		{Code: parcel.CodeDelayed, Reason: parcel.ReasonWeather, Place: memphis},
		{Code: parcel.CodeDeliveryOfficeArrived, Place: portland},
		{Code: parcel.CodeOutForDelivery, Place: portland},
		{Code: parcel.CodeDelivered, DeliveredTo: parcel.DeliveredToReception, Place: portland},
	} {
		s.At = start.Add(time.Duration(i) * 7 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func serve(t *testing.T, wrap func(http.Handler) http.Handler) *fedex {
	t.Helper()
	h := newFake(carriers.FakeEnv{Settings: settings(), Now: today, Journeys: func(n string) (carriers.FakeHistory, bool) {
		return history(), n == delivered
	}}).Handler()
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return account(t, carriers.Env{Account: "main", BaseURL: server.URL, Settings: settings(), HTTP: server.Client(), Wall: wall{}})
}

func TestRoundTrip(t *testing.T) {
	f := serve(t, nil)
	payloads, err := f.Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: unknown}, {Number: "3950 1728 8464"}})
	if err != nil || len(payloads) != 1 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	r, err := f.Decode(payloads[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []carriers.FakeScan
	for _, o := range slices.Backward(r.Observations) {
		got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place})
	}
	if d := cmp.Diff(history().Scans, got); d != "" {
		t.Errorf("scans (-sent +read):\n%s", d)
	}
	if len(r.Results) != 2 || r.Results[0].Finding != parcel.FindingFound || r.Results[1].Finding != parcel.FindingUnknown || r.Results[1].Number != unknown {
		t.Errorf("results %+v", r.Results)
	}
}

func TestBatchIsSplit(t *testing.T) {
	var sizes []int
	f := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == trackPath {
				var q question
				body, err := io.ReadAll(r.Body)
				if err != nil || json.Unmarshal(body, &q) != nil {
					t.Errorf("body %s: %v", body, err)
				}
				sizes = append(sizes, len(q.TrackingInfo))
				r.Body = io.NopCloser(strings.NewReader(string(body)))
			}
			next.ServeHTTP(w, r)
		})
	})
	queries := make([]carriers.Query, 65)
	for i := range queries {
		queries[i].Number = fmt.Sprintf("39501728%04d", i)
	}
	payloads, err := f.Fetch(t.Context(), queries)
	if err != nil || len(payloads) != 3 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	if d := cmp.Diff([]int{30, 30, 5}, sizes); d != "" {
		t.Errorf("sizes (-want +got):\n%s", d)
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		header     http.Header
		kind       error
		wait       time.Duration
		throttled  bool
		finding    parcel.Finding
		says       string
	}{
		{name: "throttled", status: 429, header: http.Header{"Retry-After": {"600"}}, body: string(sample(t, "error-throttled-429.json")), kind: parcel.ErrThrottled, wait: 10 * time.Minute, says: "TOO.MANY.REQUESTS"},
		{name: "credentials", status: 401, body: string(sample(t, "error-auth-401.json")), kind: parcel.ErrDenied, says: "NOT.AUTHORIZED.ERROR"},
		{name: "forbidden", status: 403, body: `{"errors":[{"code":"FORBIDDEN.ERROR","message":"no"}]}`, kind: parcel.ErrDenied, says: "FORBIDDEN.ERROR"},
		{name: "throttled by 403", status: 403, body: string(sample(t, "error-throttled-429.json")), kind: parcel.ErrThrottled, throttled: true, says: "TOO.MANY.REQUESTS"},
		{name: "server", status: 503, body: `{"errors":[{"code":"SERVICE.UNAVAILABLE.ERROR","message":"later"}]}`, kind: parcel.ErrUnavailable, says: "SERVICE.UNAVAILABLE.ERROR"},
		{name: "bad request", status: 400, body: `{"errors":[{"code":"INVALID.INPUT.EXCEPTION","message":"what"}]}`, kind: parcel.ErrMalformed, says: "INVALID.INPUT.EXCEPTION"},
		{name: "unknown by 404", status: 404, body: `{"errors":[{"code":"TRACKING.TRACKINGNUMBER.NOTFOUND","message":"no"}]}`, finding: parcel.FindingUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, func(next http.Handler) http.Handler {
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
			payloads, err := f.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tc.kind) || tc.kind != nil && !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error %v, want kind %v and %q", err, tc.kind, tc.says)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); ok != (tc.throttled || tc.wait > 0) || ok && th.RetryAfter != tc.wait {
				t.Errorf("wait of %v", err)
			}
			if tc.finding == "" {
				return
			}
			r, err := f.Decode(payloads[0])
			if err != nil || len(r.Results) != 1 || r.Results[0].Finding != tc.finding {
				t.Errorf("results %+v, %v", r.Results, err)
			}
		})
	}
}

func TestRenewal(t *testing.T) {
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
			f := serve(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == tokenPath {
						tokens.Add(1)
					} else if tracks.Add(1) <= tc.refusals {
						refuse(w, http.StatusUnauthorized, "NOT.AUTHORIZED.ERROR", "expired")
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			_, err := f.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tc.kind) || tokens.Load() != tc.tokens || tracks.Load() != tc.tracks {
				t.Errorf("error %v, %d tokens, %d calls", err, tokens.Load(), tracks.Load())
			}
		})
	}
}

func TestRequest(t *testing.T) {
	type call struct{ method, path, contentType, authorization, locale, body string }
	var calls []call
	f := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			calls = append(calls, call{r.Method, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("X-locale"), string(body)})
			next.ServeHTTP(w, r)
		})
	})
	if _, err := f.Fetch(t.Context(), []carriers.Query{{Number: delivered}}); err != nil {
		t.Fatal(err)
	}
	want := []call{
		{"POST", "/oauth/token", "application/x-www-form-urlencoded", "", "", "client_id=demo&client_secret=demo-secret&grant_type=client_credentials"},
		{"POST", "/track/v1/trackingnumbers", "application/json", "Bearer fake-token-1", "en_US", `{"includeDetailedScans":true,"trackingInfo":[{"trackingNumberInfo":{"trackingNumber":"395017288464"}}]}`},
	}
	if d := cmp.Diff(want, calls, cmp.AllowUnexported(call{})); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func TestUnpack(t *testing.T) {
	packed := http.Header{"Content-Encoding": {"gzip"}}
	if _, err := unpack(packed, []byte("{}")); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("no gzip: %v", err)
	}
	rec := httptest.NewRecorder()
	answer(rec, http.StatusOK, strings.Repeat(" ", carrierkit.MaxBody))
	if _, err := unpack(packed, rec.Body.Bytes()); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("a bomb: %v", err)
	}
	if got, err := unpack(http.Header{}, []byte("{}")); err != nil || string(got) != "{}" {
		t.Errorf("not packed: %s, %v", got, err)
	}
}

func TestFakeThrottles(t *testing.T) {
	now := today()
	h := newFake(carriers.FakeEnv{Settings: settings(), Now: func() time.Time { return now }}).Handler()
	status := func() int {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, trackPath, strings.NewReader("{}")))
		return rec.Code
	}
	for i := range fakeRate {
		if got := status(); got != http.StatusUnauthorized {
			t.Fatalf("call %d: status %d", i+1, got)
		}
	}
	if got := status(); got != http.StatusTooManyRequests {
		t.Errorf("one call too many: status %d", got)
	}
	now = now.Add(fakeRateWindow)
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("after the window: status %d", got)
	}
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func FuzzDecode(f *testing.F) {
	samples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(samples) == 0 {
		f.Fatal("no samples", err)
	}
	for _, s := range samples {
		f.Add(sample(f, filepath.Base(s)))
	}
	a := account(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindTrack, Body: body, Numbers: []string{delivered}}
		r, err := a.Decode(p)
		for _, o := range r.Observations {
			if o.Number == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("observation without number, code or time: %+v", o)
			}
		}
		if !json.Valid(body) && err == nil {
			t.Error("read what is no JSON")
		}
		again, _ := a.Decode(a.Redact(p))
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
	})
}
