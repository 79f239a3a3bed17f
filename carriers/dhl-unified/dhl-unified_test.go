package dhlunified

import (
	"bytes"
	"context"
	"errors"
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
	delivered = "00340434981200544177"
	returning = "00340434981200544887"
	unknown   = "00340434981200999991"
)

func account() map[string]string {
	return map[string]string{"api_key": "demo-consumer-key", "push_token": "demo-push-token"}
}

func bound(t testing.TB, env carriers.Env) *dhl {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*dhl)
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

// told is what matters of an observation.
type told struct {
	Own    string
	Code   parcel.Code
	Reason parcel.Reason
	At     string
	Place  parcel.Place
}

func tell(obs []parcel.Observation) []told {
	var out []told
	for _, o := range obs {
		out = append(out, told{o.OwnCode, o.Code, o.Reason, o.Occurred.At.Format(time.RFC3339), o.Place})
	}
	return out
}

func eventsOf(obs []parcel.Observation) []parcel.Event {
	var rows []parcel.Event
	for _, o := range obs {
		rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
	}
	return rows
}

func TestDecodeSamples(t *testing.T) {
	shenzhen, shanghai := parcel.Place{Country: "CN", City: "Shenzhen"}, parcel.Place{Country: "CN", City: "Shanghai"}
	airport, leipzig := parcel.Place{Country: "DE", City: "Frankfurt Flughafen"}, parcel.Place{Country: "DE", City: "Leipzig", Postcode: "04109"}
	common := []told{
		{"pre-transit/VA", parcel.CodeInfoReceived, "", "2026-10-13T10:02:00Z", shenzhen},
		{"transit/ANNAHME", parcel.CodePickedUp, "", "2026-10-14T01:30:00Z", shenzhen},
		{"transit/EXPORT", parcel.CodeOriginCountryDeparted, "", "2026-10-15T13:20:00Z", shanghai},
		{"transit/IMPORT", parcel.CodeDestinationCountryArrived, "", "2026-10-17T01:44:00Z", airport},
		{"transit/ZOLL", parcel.CodeImportCustomsPresented, "", "2026-10-17T04:05:00Z", airport},
		{"transit/ZOLL", parcel.CodeImportCustomsReleased, "", "2026-10-18T13:30:00Z", airport},
		{"transit/ZIEL-PAKETZENTRUM", parcel.CodeDestinationHubProcessed, "", "2026-10-19T21:10:00Z", parcel.Place{Country: "DE", City: "Radefeld"}},
		{"transit/ZUSTELLFAHRZEUG", parcel.CodeOutForDelivery, "", "2026-10-20T06:52:00Z", leipzig},
	}
	for _, tt := range []struct {
		name, file, number string
		then               []told
		milestone          parcel.Milestone
		outcome            parcel.Outcome
		closed, open       []parcel.ExceptionKind
	}{
		{
			name: "delivered", file: "journey-delivered.json", number: delivered,
			then:      []told{{"delivered/ZUSTELLUNG", parcel.CodeDelivered, "", "2026-10-20T10:41:00Z", leipzig}},
			milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered,
		},
		{
			name: "nobody there, and on the way back", file: "exception-failed-attempt-and-return.json", number: returning,
			then: []told{
				// The list tells these two in the order of their importance, and
				// they are read by time.
				{"failure/NICHT ZUSTELLBAR", parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "2026-10-20T11:20:00Z", leipzig},
				{"transit/FILIALE", parcel.CodeReadyForPickup, "", "2026-10-20T11:25:00Z", leipzig},
				{"failure/RUECKSENDUNG", parcel.CodeReturnStarted, parcel.ReasonAddressIncorrect, "2026-10-23T08:15:00Z", leipzig},
			},
			milestone: parcel.MilestoneReadyForPickup,
			closed:    []parcel.ExceptionKind{parcel.ExceptionAttemptFailed}, open: []parcel.ExceptionKind{parcel.ExceptionReturning},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := bound(t, carriers.Env{}).Decode(sample(t, kindTrack, tt.file, tt.number))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(slices.Concat(common, tt.then), tell(rd.Observations)); diff != "" {
				t.Error(diff)
			}
			for _, o := range rd.Observations {
				zone := map[parcel.Country]string{"CN": "Asia/Shanghai", "DE": "Europe/Berlin"}[o.Place.Country]
				if o.Number != tt.number || o.Parcel != "parcel-de" || o.Occurred.Certainty != parcel.CertaintyPlace || o.Occurred.Zone != zone || o.Language != "en" {
					t.Errorf("%s of %s %q: %s %q, language %q", o.OwnCode, o.Number, o.Parcel, o.Occurred.Certainty, o.Occurred.Zone, o.Language)
				}
			}
			if diff := cmp.Diff([]parcel.NumberResult{{Number: tt.number, Finding: parcel.FindingFound, Detail: "parcel-de"}}, rd.Results); diff != "" {
				t.Error(diff)
			}
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = "CN", "DE"
			j := parcel.Fold(&s, nil, eventsOf(rd.Observations))
			if j.Milestone != tt.milestone || j.Outcome != tt.outcome {
				t.Errorf("%s, outcome %q", j.Milestone, j.Outcome)
			}
			var closed, open []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				if x.Open() {
					open = append(open, x.Kind)
				} else {
					closed = append(closed, x.Kind)
				}
			}
			if diff := cmp.Diff(tt.closed, closed); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.open, open); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRow(t *testing.T) {
	d := bound(t, carriers.Env{})
	for _, tt := range []struct {
		state, words, rule string
		want               parcel.Code
		to                 parcel.DeliveredTo
	}{
		{"pre-transit", "The instruction data have been provided", "pre-transit", parcel.CodeInfoReceived, ""},
		{"pre-transit", "DELIVERED", "pre-transit", parcel.CodeInfoReceived, ""},
		{"transit", "The shipment was posted by the sender at the retail outlet", "transit: posted by", parcel.CodePickedUp, ""},
		{"transit", "The shipment has been picked up", "transit: picked up", parcel.CodePickedUp, ""},
		{"transit", "The shipment is ready for pick-up at the Packstation", "transit: ready for pick-up", parcel.CodeReadyForPickup, ""},
		{"transit", "Put into a PACKSTATION", "transit: packstation", parcel.CodeReadyForPickup, parcel.DeliveredToLocker},
		{"transit", "Brought to a retail outlet", "transit: retail outlet", parcel.CodeReadyForPickup, ""},
		{"transit", "Arrived at the export parcel center", "transit: export parcel cent", parcel.CodeExportExchangeArrived, ""},
		{"transit", "Export", "transit: export", parcel.CodeOriginCountryDeparted, ""},
		{"transit", "Held by customs", "transit: held by customs", parcel.CodeImportCustomsHeld, ""},
		{"transit", "Cleared by customs for export", "transit: cleared by customs & export", parcel.CodeExportCustomsReleased, ""},
		{"transit", "Zoll. pending completion of customs inspection", "transit: pending completion of customs inspection", parcel.CodeImportCustomsPresented, ""},
		{"transit", "Shipment is out with courier for delivery", "transit: with courier", parcel.CodeOutForDelivery, ""},
		{"transit", "The shipment is being returned to the sender", "transit: being returned to", parcel.CodeReturnStarted, ""},
		{"transit", "DELIVERED", "transit", parcel.CodeInTransit, ""},
		{"transit", "", "transit", parcel.CodeInTransit, ""},
		{"delivered", "Delivered to a neighbor", "delivered: neighbo", parcel.CodeDelivered, parcel.DeliveredToNeighbour},
		{"delivered", "Delivered to your neighbour", "delivered: neighbo", parcel.CodeDelivered, parcel.DeliveredToNeighbour},
		{"delivered", "Returned to the sender", "delivered: returned to the sender", parcel.CodeReturned, parcel.DeliveredToSender},
		{"delivered", "", "delivered", parcel.CodeDelivered, ""},
		{"failure", "The shipment could not be delivered", "failure: could not be delivered", parcel.CodeDeliveryAttemptFailed, ""},
		{"failure", "could not be delivered: the address is incomplete", "failure: address", parcel.CodeAddressProblem, ""},
		{"failure", "The shipment was damaged", "failure: damaged", parcel.CodeDamaged, ""},
		{"failure", "The recipient refused it; returned to the sender", "failure: returned to the sender & refused", parcel.CodeReturnStarted, ""},
		{"failure", "Something else", "failure", parcel.CodeUnknown, ""},
		{"unknown", "The shipment was damaged", "unknown", parcel.CodeUnknown, ""},
		{"teleported", "The shipment has been delivered", "unmapped", parcel.CodeUnknown, ""},
		{"", "The shipment has been delivered", "unmapped", parcel.CodeUnknown, ""},
	} {
		t.Run(tt.state+" "+tt.words, func(t *testing.T) {
			if row := d.row(tt.state, tt.words); row.Rule != tt.rule || row.Code != tt.want || row.DeliveredTo != tt.to {
				t.Errorf("%s %q by %q, want %s %q by %q", row.Code, row.DeliveredTo, row.Rule, tt.want, tt.to, tt.rule)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	d := decoder{dhl: bound(t, carriers.Env{})}
	for _, tt := range []struct {
		name, written                  string
		place                          parcel.Place
		wall, at, offset, zone, surely string
	}{
		{"one clock in the country", "2026-10-20T12:41:00", parcel.Place{Country: "DE"}, "2026-10-20T12:41:00", "2026-10-20T10:41:00Z", "+02:00", "Europe/Berlin", "PLACE"},
		{"winter", "2026-10-26T12:41:00", parcel.Place{Country: "DE"}, "2026-10-26T12:41:00", "2026-10-26T11:41:00Z", "+01:00", "Europe/Berlin", "PLACE"},
		{"many clocks", "2026-10-20T12:41:00", parcel.Place{Country: "US"}, "2026-10-20T12:41:00", "2026-10-20T16:41:00Z", "-04:00", "America/New_York", "ASSUMED"},
		{"many clocks and a city", "2026-10-20T12:41:00", parcel.Place{Country: "US", City: "LOS ANGELES", Region: "CA"}, "2026-10-20T12:41:00", "2026-10-20T19:41:00Z", "-07:00", "America/Los_Angeles", "PLACE"},
		{"nowhere", "2026-10-20T12:41:00", parcel.Place{}, "2026-10-20T12:41:00", "2026-10-20T12:41:00Z", "", "", "UNKNOWN"},
		{"an offset", "2026-10-20T12:41:00+08:00", parcel.Place{Country: "DE"}, "2026-10-20T12:41:00", "2026-10-20T04:41:00Z", "+08:00", "", "REPORTED"},
		{"an offset without a colon", "2026-10-20T12:41:00+0800", parcel.Place{}, "2026-10-20T12:41:00", "2026-10-20T04:41:00Z", "+08:00", "", "REPORTED"},
		{"Z", "2026-10-20T10:41:00Z", parcel.Place{Country: "DE"}, "2026-10-20T10:41:00", "2026-10-20T10:41:00Z", "+00:00", "", "REPORTED"},
		{"nine digits and an offset", "2026-10-20T12:41:00.123456789+02:00", parcel.Place{}, "2026-10-20T12:41:00.123456", "2026-10-20T10:41:00Z", "+02:00", "", "REPORTED"},
		{"three digits", "2026-10-20T12:41:00.500", parcel.Place{Country: "DE"}, "2026-10-20T12:41:00.5", "2026-10-20T10:41:00Z", "+02:00", "Europe/Berlin", "PLACE"},
		{"minutes", "2026-10-20T12:41", parcel.Place{Country: "DE"}, "2026-10-20T12:41:00", "2026-10-20T10:41:00Z", "+02:00", "Europe/Berlin", "PLACE"},
		{"a day", "2026-10-20", parcel.Place{Country: "DE"}, "2026-10-20", "2026-10-19T22:00:00Z", "+02:00", "Europe/Berlin", "PLACE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := d.moment(tt.written, tt.place)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{m.Wall, m.At.Truncate(time.Second).Format(time.RFC3339), m.Offset(), m.Zone, string(m.Certainty), m.Written()}
			if diff := cmp.Diff([]string{tt.wall, tt.at, tt.offset, tt.zone, tt.surely, tt.written}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, written := range []string{"", "yesterday", "20/10/2026 12:41"} {
		if _, err := d.moment(written, parcel.Place{}); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("%q: %v", written, err)
		}
	}
}

func shipments(of ...string) []byte { return []byte(`{"shipments":[` + strings.Join(of, ",") + `]}`) }

func TestPlace(t *testing.T) {
	d := bound(t, carriers.Env{})
	for _, tt := range []struct {
		address string
		want    parcel.Place
	}{
		{`"countryCode":"DE","postalCode":"04109","addressLocality":"Leipzig"`, parcel.Place{Country: "DE", Postcode: "04109", City: "Leipzig"}},
		{`"countryCode":"DE","postalCode":4109`, parcel.Place{Country: "DE", Postcode: "4109"}},
		{`"addressLocality":"LEIPZIG - GERMANY"`, parcel.Place{Country: "DE", City: "LEIPZIG"}},
		{`"countryCode":"DE","addressLocality":"LEIPZIG - GERMANY"`, parcel.Place{Country: "DE", City: "LEIPZIG"}},
		{`"countryCode":"DE","addressLocality":"LEIPZIG - HALLE"`, parcel.Place{Country: "DE", City: "LEIPZIG - HALLE"}},
		{`"addressLocality":"Deutschland"`, parcel.Place{Country: "DE"}},
		{`"countryCode":"DE","addressLocality":"HAUPTSTR. 12, LEIPZIG"`, parcel.Place{Country: "DE", City: "LEIPZIG"}},
		{`"countryCode":"HK","addressLocality":"TSING YI, HONG KONG"`, parcel.Place{Country: "HK", City: "TSING YI, HONG KONG"}},
		{`"countryCode":"US","addressRegion":"OH","addressLocality":"CINCINNATI HUB"`, parcel.Place{Country: "US", Region: "OH", City: "CINCINNATI HUB"}},
		{`"countryCode":"XQ"`, parcel.Place{}},
	} {
		t.Run(tt.address, func(t *testing.T) {
			p := parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: shipments(
				`{"id":"` + delivered + `","events":[{"timestamp":"2026-10-20T12:41:00","statusCode":"transit","location":{"address":{` + tt.address + `}}}]}`)}
			for _, p := range []parcel.Payload{p, d.Redact(p)} {
				rd, err := d.Decode(p)
				if err != nil || len(rd.Observations) != 1 {
					t.Fatalf("%+v, %v", rd, err)
				}
				if diff := cmp.Diff(tt.want, rd.Observations[0].Place); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestDecodeShipments(t *testing.T) {
	d := bound(t, carriers.Env{})
	const (
		scan  = `{"timestamp":"2026-10-20T12:41:00","statusCode":"delivered","status":"ZUSTELLUNG","location":{"address":{"countryCode":"DE"}}}`
		moved = `{"timestamp":"2026-10-19T12:41:00","statusCode":"transit","status":"The shipment has been processed","location":{"address":{"countryCode":"DE"}}}`
	)
	type reading struct {
		Codes     []parcel.Code
		Own       []string
		To        []parcel.DeliveredTo
		Parcels   []string
		Aliases   []parcel.Alias
		Estimates []parcel.Estimate
		Next      string
		Results   []parcel.NumberResult
	}
	found := func(detail string) []parcel.NumberResult {
		return []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingFound, Detail: detail}}
	}
	for _, tt := range []struct {
		name string
		kind string
		body []byte
		want reading
	}{
		{"events and a status that repeats the newest", kindTrack, shipments(`{"id":"` + delivered + `","status":` + scan + `,"events":[` + scan + `,` + moved + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeInTransit, parcel.CodeDelivered}, Own: []string{"", "delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{"", ""}, Parcels: []string{"", ""}, Results: found("")}},
		{"a status in another form of time", kindTrack, shipments(`{"id":"` + delivered + `","status":{"timestamp":"2026-10-20T10:41:00Z","statusCode":"delivered"},"events":[` + scan + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{""}, Parcels: []string{""}, Results: found("")}},
		{"a status newer than the events", kindTrack, shipments(`{"id":"` + delivered + `","status":` + scan + `,"events":[` + moved + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeInTransit, parcel.CodeDelivered}, Own: []string{"", "delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{"", ""}, Parcels: []string{"", ""}, Results: found("")}},
		{"a status alone", kindTrack, shipments(`{"id":"` + delivered + `","status":` + scan + `}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{""}, Parcels: []string{""}, Results: found("")}},
		{"a status code that its words belie", kindTrack, shipments(`{"id":"` + delivered + `","status":{"timestamp":"2026-10-20T12:41:00","statusCode":"pre-transit","status":"DELIVERED"}}`),
			reading{Codes: []parcel.Code{parcel.CodeInfoReceived}, Own: []string{"pre-transit/DELIVERED"}, To: []parcel.DeliveredTo{""}, Parcels: []string{""}, Results: found("")}},
		{"known and not scanned", kindTrack, shipments(`{"id":"` + delivered + `","service":"express","events":null}`), reading{Results: found("express")}},
		{"an id that is a number", kindTrack, shipments(`{"id":3404349812,"events":[` + scan + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{""}, Parcels: []string{""},
				Aliases: []parcel.Alias{{Number: delivered, Other: "3404349812"}}, Results: found("")}},
		{"one piece of another name", kindTrack, shipments(`{"id":"` + delivered + `","events":[` + scan + `],"details":{"pieceIds":["JJD000390005436177154"]}}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{""}, Parcels: []string{""},
				Aliases: []parcel.Alias{{Number: delivered, Other: "JJD000390005436177154"}}, Results: found("")}},
		{"several pieces", kindTrack, shipments(`{"id":"` + delivered + `","events":[` + scan + `],"details":{"pieceIds":["JD1","JD2"]}}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{""}, Parcels: []string{""}, Results: found("")}},
		{"two divisions", kindTrack, shipments(`{"id":"`+delivered+`","service":"parcel-de","events":[`+scan+`]}`, `{"id":"`+delivered+`","service":"express","events":[`+scan+`]}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered, parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG", "delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{"", ""},
				Parcels: []string{"parcel-de", "express"}, Results: found("parcel-de, express")}},
		{"another parcel of that number, to another country", kindTrack, shipments(`{"id":"`+delivered+`","service":"parcel-nl","destination":{"address":{"countryCode":"NL"}},"events":[`+strings.Replace(scan, "20T12", "18T12", 1)+`]}`,
			`{"id":"`+delivered+`","service":"parcel-de","destination":{"address":{"countryCode":"DE"}},"events":[`+moved+`]}`),
			reading{Codes: []parcel.Code{parcel.CodeInTransit}, Own: []string{""}, To: []parcel.DeliveredTo{""}, Parcels: []string{"parcel-de"}, Results: found("parcel-de")}},
		{"another parcel of that number, long ago", kindTrack, shipments(`{"id":"`+delivered+`","service":"parcel-de","events":[`+strings.Replace(scan, "2026-10", "2025-10", 1)+`]}`,
			`{"id":"`+delivered+`","service":"parcel-de","events":[`+moved+`]}`),
			reading{Codes: []parcel.Code{parcel.CodeInTransit}, Own: []string{""}, To: []parcel.DeliveredTo{""}, Parcels: []string{"parcel-de"}, Results: found("parcel-de")}},
		{"delivered to a parcel shop", kindTrack, shipments(`{"id":"` + delivered + `","events":[` + strings.Replace(scan, `"status":"ZUSTELLUNG"`, `"description":"The shipment was delivered to the parcel shop"`, 1) + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{""}, To: []parcel.DeliveredTo{parcel.DeliveredToPickupPoint}, Parcels: []string{""}, Results: found("")}},
		{"returned to the consignor", kindTrack, shipments(`{"id":"` + delivered + `","returnFlag":true,"events":[` + scan + `,` + moved + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeInTransit, parcel.CodeDelivered}, Own: []string{"", "delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{"", parcel.DeliveredToSender}, Parcels: []string{"", ""}, Results: found("")}},
		{"goes on with another carrier", kindTrack, shipments(`{"id":"` + delivered + `","events":[` + scan + `,` + moved + `],"details":{"provider":{"destinationProvider":"bpost"},"references":[{"number":"X","type":"customer-reference"},{"number":"3232 0000","type":"local-tracking-number"}]}}`),
			reading{Codes: []parcel.Code{parcel.CodeInTransit, parcel.CodeDelivered}, Own: []string{"", "delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{"", ""}, Parcels: []string{"", ""}, Next: "bpost 32320000", Results: found("")}},
		{"a day of delivery", kindTrack, shipments(`{"id":"` + delivered + `","estimatedTimeOfDelivery":"2026-10-21T00:00:00"}`),
			reading{Estimates: []parcel.Estimate{{Number: delivered, Earliest: "2026-10-21", Last: "2026-10-21"}}, Results: found("")}},
		{"days of delivery", kindTrack, shipments(`{"id":"` + delivered + `","estimatedTimeOfDelivery":"2026-10-21","estimatedDeliveryTimeFrame":{"estimatedFrom":"2026-10-21T08:00:00+02:00","estimatedThrough":"2026-10-22T20:00:00+02:00"}}`),
			reading{Estimates: []parcel.Estimate{{Number: delivered, Earliest: "2026-10-21", Last: "2026-10-22"}}, Results: found("")}},
		{"no shipments", kindTrack, shipments(), reading{Results: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "no shipment"}}}},
		{"a push that is the shipment itself", kindPush, []byte(`{"id":"` + delivered + `","service":"parcel-de","status":` + scan + `,"events":[` + scan + `]}`),
			reading{Codes: []parcel.Code{parcel.CodeDelivered}, Own: []string{"delivered/ZUSTELLUNG"}, To: []parcel.DeliveredTo{""}, Parcels: []string{"parcel-de"}, Results: found("parcel-de")}},
		{"a push about the subscription", kindPush, []byte(`{"scope":"subscription.ready","self":"https://api-eu.dhl.com/x"}`), reading{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parcel.Payload{Kind: tt.kind, Body: tt.body}
			if tt.kind == kindTrack {
				p.Numbers = []string{delivered}
			}
			rd, err := d.Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			got := reading{Aliases: rd.Aliases, Estimates: rd.Estimates, Results: rd.Results}
			for i, o := range rd.Observations {
				if o.Number != delivered {
					t.Errorf("number %s", o.Number)
				}
				got.Codes, got.Own, got.To, got.Parcels = append(got.Codes, o.Code), append(got.Own, o.OwnCode), append(got.To, o.DeliveredTo), append(got.Parcels, o.Parcel)
				if next := strings.TrimSpace(o.NextCarrier + " " + o.NextNumber); next != "" && i == 0 {
					got.Next = next
				} else if next != "" {
					t.Errorf("observation %d goes on as %s", i, next)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("delivered after a return text is back with the sender", func(t *testing.T) {
		rd, err := d.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: shipments(`{"id":"` + delivered + `","events":[` + scan +
			`,{"timestamp":"2026-10-18T12:41:00","statusCode":"failure","description":"The shipment is being returned to the sender","location":{"address":{"countryCode":"DE"}}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		s := parcel.Shipment{}
		s.Origin.Country, s.Destination.Country = "DE", "DE"
		if j := parcel.Fold(&s, nil, eventsOf(rd.Observations)); j.Outcome != parcel.OutcomeReturned {
			t.Errorf("outcome %q", j.Outcome)
		}
	})
	t.Run("one bad item hides no other", func(t *testing.T) {
		rd, err := d.Decode(parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: shipments(`7`, `{"events":[]}`,
			`{"id":"`+delivered+`","estimatedTimeOfDelivery":"soon","status":"DELIVERED","events":[`+scan+`,3,{"statusCode":"transit"},{"timestamp":"today","statusCode":"transit"},{"timestamp":"2026-10-20T12:41:00"}]}`)})
		if len(rd.Observations) != 1 || len(rd.Results) != 1 {
			t.Errorf("%d observations, %d results", len(rd.Observations), len(rd.Results))
		}
		for _, named := range []string{"item 0", "shipment 2, events: item 1", "shipment 2, event 2", "shipment 2, event 3", "shipment 2, event 4", "shipment 2, estimate"} {
			if err == nil || !strings.Contains(err.Error(), named) {
				t.Errorf("error %v does not name %q", err, named)
			}
		}
	})
}

func TestDecodeRefusals(t *testing.T) {
	d := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, kind, body string
		want             error
	}{
		{"wrong key", kindTrack, string(sample(t, kindTrack, "error-auth-401.json").Body), parcel.ErrDenied},
		{"too fast", kindTrack, string(sample(t, kindTrack, "error-throttled-429.json").Body), parcel.ErrThrottled},
		{"forbidden", kindTrack, `{"title":"Forbidden","status":"403"}`, parcel.ErrDenied},
		{"bad parameter", kindTrack, `{"title":"Bad request","status":400}`, parcel.ErrMalformed},
		{"out of order", kindTrack, `{"title":"Internal error","status":500}`, parcel.ErrUnavailable},
		{"no status", kindTrack, `{"detail":"?"}`, parcel.ErrUnavailable},
		{"neither", kindTrack, `{}`, parcel.ErrMalformed},
		{"a list", kindTrack, `[]`, parcel.ErrMalformed},
		{"a page", kindTrack, `<html></html>`, parcel.ErrMalformed},
		{"torn", kindTrack, `{"shipments":[{"id":"0`, parcel.ErrMalformed},
		{"shipments of the wrong kind", kindTrack, `{"shipments":"x"}`, parcel.ErrMalformed},
		{"a push of nothing", kindPush, `{}`, parcel.ErrMalformed},
		{"another kind", "file", `{}`, parcel.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parcel.Payload{Kind: tt.kind, Body: []byte(tt.body)}
			if tt.kind == kindTrack {
				p.Numbers = []string{delivered}
			}
			rd, err := d.Decode(p)
			if !errors.Is(err, tt.want) || len(rd.Results) > 0 {
				t.Errorf("%+v, %v: want %v", rd, err, tt.want)
			}
		})
	}
	rd, err := d.Decode(sample(t, kindTrack, "error-not-found-404.json", unknown))
	if diff := cmp.Diff([]parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown,
		Detail: "404 No result found: No shipment with given tracking number found."}}, rd.Results); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
}

func TestRedact(t *testing.T) {
	d := bound(t, carriers.Env{})
	in := parcel.Payload{Kind: kindTrack, Numbers: []string{delivered}, Body: shipments(`{"id":"` + delivered + `","rerouteUrl":"https://x/?t=SECRET",
		"details":{"product":{"productName":"DHL PAKET"},"receiver":{"name":"ERIKA","address":{"streetAddress":"WEG 3"}},"proofOfDelivery":{"signed":{"familyName":"MUELLER"},"signatureUrl":"https://x/SIGN"}},
		"events":[{"timestamp":"2026-10-20T12:41:00","statusCode":"delivered","description":"Delivered - Signed for by: ERIKA MUELLER","remark":"Tel. 0171 2345678",
		"location":{"address":{"countryCode":"DE","addressLocality":"WEG 3, LEIPZIG"}}}]}`)}
	once := d.Redact(in)
	for _, gone := range []string{"ERIKA", "MUELLER", "WEG 3", "SECRET", "SIGN", "2345678"} {
		if bytes.Contains(once.Body, []byte(gone)) {
			t.Errorf("%s is left: %s", gone, once.Body)
		}
	}
	if !bytes.Contains(once.Body, []byte("DHL PAKET")) {
		t.Errorf("a product is no person: %s", once.Body)
	}
	if twice := d.Redact(once); !bytes.Equal(twice.Body, once.Body) {
		t.Errorf("redacted twice: %s", twice.Body)
	}
	before, _ := d.Decode(in)
	after, err := d.Decode(once)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	whole := sample(t, kindTrack, "journey-delivered.json", delivered)
	if got := d.Redact(whole); !bytes.Equal(got.Body, whole.Body) {
		t.Error("the sample names nobody, and was changed")
	}
	// Without the secret of this one message nobody could activate the
	// subscription; in any other it has done its work.
	for scope, stays := range map[string]bool{"subscription.validate": true, "subscription.ready": false, "subscription.push": false, "": false} {
		got := d.Redact(parcel.Payload{Kind: kindPush, Body: []byte(`{"scope":"` + scope + `","secret":"ACTIVATE"}`)})
		if bytes.Contains(got.Body, []byte("ACTIVATE")) != stays {
			t.Errorf("%s: %s", scope, got.Body)
		}
	}
}

func TestVerify(t *testing.T) {
	d := bound(t, carriers.Env{Settings: account()})
	body := string(sample(t, kindPush, "push-shipment.json").Body)
	own := account()
	own["push_header"] = "X-Hook"
	for _, tt := range []struct {
		name, header, token, body string
		d                         *dhl
		kind                      error
	}{
		{name: "right", d: d, header: "X-Gateway-Key", token: "demo-push-token", body: body},
		{name: "the handshake", d: d, header: "x-gateway-key", token: "demo-push-token", body: `{"scope":"subscription.validate","secret":"x"}`},
		{name: "header of one's own", d: bound(t, carriers.Env{Settings: own}), header: "X-Hook", token: "demo-push-token", body: body},
		{name: "wrong token", d: d, header: "X-Gateway-Key", token: "demo-push-tokeN", body: body, kind: parcel.ErrDenied},
		{name: "no token", d: d, header: "X-Gateway-Key", body: body, kind: parcel.ErrDenied},
		{name: "another header", d: d, header: "X-Hook", token: "demo-push-token", body: body, kind: parcel.ErrDenied},
		{name: "no JSON", d: d, header: "X-Gateway-Key", token: "demo-push-token", body: "hello", kind: parcel.ErrMalformed},
		{name: "a list", d: d, header: "X-Gateway-Key", token: "demo-push-token", body: "[]", kind: parcel.ErrMalformed},
		{name: "account without a token", d: bound(t, carriers.Env{}), header: "X-Gateway-Key", body: body, kind: parcel.ErrDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			h.Set(tt.header, tt.token)
			kind, err := tt.d.Verify(carriers.Delivery{Header: h, Body: []byte(tt.body)})
			if !errors.Is(err, tt.kind) || err == nil && kind != kindPush || err != nil && strings.Contains(err.Error(), "demo-push") {
				t.Errorf("kind %q, error %v", kind, err)
			}
		})
	}
	for _, tt := range []struct {
		err  error
		want int
	}{{nil, 200}, {parcel.ErrDenied, 401}, {parcel.ErrMalformed, 400}, {parcel.ErrInvalid, 400}, {parcel.ErrUnavailable, 503}, {errors.New("disk full"), 503}} {
		if got := d.Reply(tt.err); got.Status != tt.want {
			t.Errorf("reply to %v: %d, want %d", tt.err, got.Status, tt.want)
		}
	}
}

// The pushed scans are the same events as those asked for.
func TestPushTellsTheSameEvents(t *testing.T) {
	d := bound(t, carriers.Env{})
	asked, err1 := d.Decode(sample(t, kindTrack, "journey-delivered.json", delivered))
	pushed, err2 := d.Decode(d.Redact(sample(t, kindPush, "push-shipment.json")))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, o := range asked.Observations {
		keys[o.Key()] = true
	}
	for _, o := range pushed.Observations {
		if !keys[o.Key()] {
			t.Errorf("%s at %s is another event", o.OwnCode, o.Occurred.Wall)
		}
	}
	if len(pushed.Observations) != 3 {
		t.Errorf("%d observations", len(pushed.Observations))
	}
}

func TestSettings(t *testing.T) {
	for key, value := range map[string]string{"calls_per_day": "many", "seconds_between_calls": "-1"} {
		if _, err := spec().New(carriers.Env{Settings: map[string]string{key: value}}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+key) {
			t.Errorf("%s %q: %v", key, value, err)
		}
	}
	if _, err := bound(t, carriers.Env{}).Fetch(t.Context(), []carriers.Query{{Number: delivered}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("no key: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	for _, n := range []string{delivered, "JJD000390005436177154", "1234567891", "JVGL0123456789", "GM1234567890123456", "3SABCD1234567"} {
		if !slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == name }) {
			t.Errorf("%s is not taken for one of DHL's", n)
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

// serve puts the adapter in front of a server; calls are what it was asked.
func serve(t *testing.T, settings map[string]string, h http.Handler) (d *dhl, wall *still, calls func() []*http.Request) {
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
	wall = &still{now: instant(t, "2026-11-22T09:00:00Z")}
	d = bound(t, carriers.Env{Account: "test", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: wall})
	return d, wall, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

func faked(t testing.TB, settings map[string]string, journeys map[string]carriers.FakeHistory) carriers.Fake {
	t.Helper()
	now := instant(t, "2026-11-22T09:00:00Z")
	return spec().Fake(carriers.FakeEnv{Settings: settings, Now: func() time.Time { return now }, Journeys: func(n string) (carriers.FakeHistory, bool) {
		h, ok := journeys[n]
		return h, ok
	}})
}

func TestRoundTrip(t *testing.T) {
	h := carriers.FakeHistory{Origin: "CN", Destination: "DE", Postcode: "04109", Estimated: instant(t, "2026-11-18T12:00:00Z"), NextNumber: "3232000000001"}
	for i, w := range fakeWords() {
		at := parcel.Place{Country: "CN", City: "Shenzhen"}
		if i%2 == 1 {
			at = parcel.Place{Country: "DE", City: "Leipzig", Postcode: "04109"}
		}
		h.Scans = append(h.Scans, carriers.FakeScan{Code: w.code, Reason: w.reason, DeliveredTo: w.to, At: instant(t, "2026-08-20T13:32:00Z").Add(time.Duration(i) * 37 * time.Hour), Place: at})
	}
	settings := account()
	settings["service"] = "ecommerce-europe"
	f := faked(t, settings, map[string]carriers.FakeHistory{delivered: h})
	d, _, calls := serve(t, settings, f.Handler())
	payloads, err := d.Fetch(t.Context(), []carriers.Query{{Number: "0034 0434 9812 0054 4177", Postcode: "04109"}, {Number: delivered, Postcode: "99999"}, {Number: unknown}})
	if err != nil || len(payloads) != 3 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	rd, err := d.Decode(d.Redact(payloads[0]))
	if err != nil {
		t.Fatal(err)
	}
	var got []carriers.FakeScan
	for _, o := range rd.Observations {
		got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place})
	}
	if diff := cmp.Diff(h.Scans, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]parcel.Estimate{{Number: delivered, Earliest: "2026-11-18", Last: "2026-11-18"}}, rd.Estimates); diff != "" || rd.Observations[0].NextNumber != h.NextNumber {
		t.Errorf("goes on as %q, estimates: %s", rd.Observations[0].NextNumber, diff)
	}
	for _, p := range payloads[1:] {
		if rd, err := d.Decode(p); err != nil || len(rd.Results) != 1 || rd.Results[0].Finding != parcel.FindingUnknown {
			t.Errorf("%+v, %v", rd, err)
		}
	}
	r := calls()[0]
	if got, want := r.URL.String(), trackPath+"?language=en&recipientPostalCode=04109&service=ecommerce-europe&trackingNumber="+delivered; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	if r.Header.Get("DHL-API-Key") != "demo-consumer-key" || r.Header.Get("Accept") != "application/json" {
		t.Errorf("headers %v", r.Header)
	}
	delivery, ok := f.Push(delivered, h)
	if !ok {
		t.Fatal("no push")
	}
	kind, err := d.Verify(delivery)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := d.Decode(d.Redact(parcel.Payload{Kind: kind, Body: delivery.Body}))
	if diff := cmp.Diff(rd.Observations, pushed.Observations); diff != "" || err != nil {
		t.Errorf("pushed, %v: %s", err, diff)
	}
}

func TestFakeWordsReadBack(t *testing.T) {
	d := bound(t, carriers.Env{})
	for _, w := range fakeWords() {
		row := d.row(w.state, w.say+". "+w.status+". ")
		if row.Code != w.code || row.Reason != w.reason || row.DeliveredTo != w.to {
			t.Errorf("%q reads as %s %q %q, want %s %q %q", w.say, row.Code, row.Reason, row.DeliveredTo, w.code, w.reason, w.to)
		}
	}
}

func TestQuota(t *testing.T) {
	settings := account()
	settings["calls_per_day"] = "3"
	d, wall, calls := serve(t, settings, faked(t, map[string]string{"api_key": "demo-consumer-key", "calls_per_day": "0"}, nil).Handler())
	began := wall.Now()
	for range 3 {
		if _, err := d.Fetch(t.Context(), []carriers.Query{{Number: unknown}}); err != nil {
			t.Fatal(err)
		}
	}
	if took := wall.Now().Sub(began); took != 10*time.Second {
		t.Errorf("three calls took %s, want 5 s between two", took)
	}
	_, err := d.Fetch(t.Context(), []carriers.Query{{Number: unknown}})
	if th, ok := errors.AsType[*parcel.Throttled](err); !ok || th.RetryAfter <= 23*time.Hour || len(calls()) != 3 {
		t.Errorf("%d calls, %v: want a wait until tomorrow", len(calls()), err)
	}
	settings["calls_per_day"], settings["seconds_between_calls"] = "0", "0"
	d, wall, _ = serve(t, settings, faked(t, map[string]string{"api_key": "demo-consumer-key", "calls_per_day": "0"}, nil).Handler())
	began = wall.Now()
	for range 300 {
		if _, err := d.Fetch(t.Context(), []carriers.Query{{Number: unknown}}); err != nil {
			t.Fatal(err)
		}
	}
	if took := wall.Now().Sub(began); took != 0 {
		t.Errorf("without limits it took %s", took)
	}
}

func TestFetchRefused(t *testing.T) {
	say := func(status int, contentType, body string, header ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	const problem = "application/problem+json"
	for _, tt := range []struct {
		name string
		h    http.Handler
		kind error
	}{
		{"wrong key", say(401, problem, string(sample(t, kindTrack, "error-auth-401.json").Body)), parcel.ErrDenied},
		{"too fast", say(429, problem, string(sample(t, kindTrack, "error-throttled-429.json").Body), "Retry-After", "60"), parcel.ErrThrottled},
		{"bad parameter", say(400, problem, `{"title":"Bad request","status":400}`), parcel.ErrMalformed},
		{"a gateway's 404", say(404, "application/json", `{"fault":{"faultstring":"no route"}}`), parcel.ErrUnavailable},
		{"a page", say(404, "text/html", `<!DOCTYPE html><html></html>`), parcel.ErrUnavailable},
		{"out of order", say(503, problem, `{"title":"Unavailable","status":503}`), parcel.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := serve(t, account(), tt.h)
			payloads, err := d.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
			if !errors.Is(err, tt.kind) || len(payloads) > 0 || strings.Contains(err.Error(), "demo-consumer-key") {
				t.Errorf("%d payloads, %v: want %v", len(payloads), err, tt.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); errors.Is(tt.kind, parcel.ErrThrottled) && (!ok || th.RetryAfter != time.Minute) {
				t.Errorf("got %v, want a wait of a minute", err)
			}
		})
	}
	t.Run("what came before a failure is kept", func(t *testing.T) {
		var n int
		d, _, _ := serve(t, account(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				say(404, problem, string(sample(t, kindTrack, "error-not-found-404.json").Body)).ServeHTTP(w, r)
				return
			}
			say(401, problem, `{}`).ServeHTTP(w, r)
		}))
		payloads, err := d.Fetch(t.Context(), []carriers.Query{{Number: unknown}, {Number: delivered}})
		if !errors.Is(err, parcel.ErrDenied) || len(payloads) != 1 {
			t.Errorf("%d payloads, %v", len(payloads), err)
		}
	})
}

// The fake holds callers to the rules of the real service.
func TestFakeRules(t *testing.T) {
	scans := []carriers.FakeScan{{Code: parcel.CodePickedUp, At: instant(t, "2026-10-20T13:32:00Z")}}
	journeys := map[string]carriers.FakeHistory{delivered: {Postcode: "04109", Scans: scans}, returning: {}}
	h := faked(t, map[string]string{"api_key": "demo-consumer-key", "calls_per_day": "7"}, journeys).Handler()
	for _, tt := range []struct {
		name, query, key string
		status           int
		words            string
	}{
		{"no key", "trackingNumber=" + delivered, "", 401, "Unauthorized"},
		{"wrong key", "trackingNumber=" + delivered, "demo-consumer-kez", 401, "Unauthorized"},
		{"known, at no place", "trackingNumber=" + delivered, "demo-consumer-key", 200, `"timestamp":"2026-10-20T13:32:00Z"`},
		{"unknown", "trackingNumber=" + unknown, "demo-consumer-key", 404, "No result found"},
		{"known and not scanned", "trackingNumber=" + returning, "demo-consumer-key", 404, "No result found"},
		{"of another recipient", "trackingNumber=" + delivered + "&recipientPostalCode=10115", "demo-consumer-key", 404, "No result found"},
		{"of another division", "trackingNumber=" + delivered + "&service=express", "demo-consumer-key", 404, "No result found"},
		{"two", "trackingNumber=" + delivered + "," + unknown, "demo-consumer-key", 400, "one number"},
		{"none", "", "demo-consumer-key", 400, "one number"},
		{"the day's calls are spent", "trackingNumber=" + delivered, "demo-consumer-key", 429, "Too many requests"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, trackPath+"?"+tt.query, nil)
			r.Header.Set("DHL-API-Key", tt.key)
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
			f.Add(true, sample(f, kindTrack, e.Name()).Body)
			f.Add(false, sample(f, kindPush, e.Name()).Body)
		}
	}
	d := bound(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, asked bool, body []byte) {
		p := parcel.Payload{Kind: kindPush, Body: body}
		if asked {
			p.Kind, p.Numbers = kindTrack, []string{delivered}
		}
		rd, err := d.Decode(p)
		for _, o := range rd.Observations {
			if o.Number == "" || o.OwnCode == "" && o.Words == "" && o.Rule == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := d.Redact(p)
		again, againErr := d.Decode(clean)
		if diff := cmp.Diff(rd, again); diff != "" || (err == nil) != (againErr == nil) {
			t.Errorf("redaction changes the reading: %s, %v, %v", diff, err, againErr)
		}
		if twice := d.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, twice.Body)
		}
	})
}
