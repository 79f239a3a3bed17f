package parcel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/parcel"
)

// legLines writes each leg in a line: stage, carrier, number, state, and the
// number of events that happened in it.
func legLines(j parcel.Journey) (out []string) {
	for i, l := range j.Legs {
		n := 0
		for _, e := range j.Events {
			if e.Leg == i && e.Retracted == nil && !e.Retracts {
				n++
			}
		}
		text := fmt.Sprintf("%s %s/%s %s %d", l.Stage, l.Carrier, l.Number, l.State, n)
		if l.Return {
			text += " back"
		}
		if l.ServiceLevel != "" {
			text += " as " + l.ServiceLevel
		}
		out = append(out, text)
	}
	return out
}

func wantLegs(t *testing.T, j parcel.Journey, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, legLines(j), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("legs (-want +got):\n%s", d)
	}
}

// exceptionLines writes each exception in a line: kind, border, and the rule
// that closed it.
func exceptionLines(j parcel.Journey) (out []string) {
	for _, x := range j.Exceptions {
		text := string(x.Kind)
		if x.Border != "" {
			text += " " + x.Border
		}
		if x.Open() {
			text += " open"
		} else {
			text += " " + x.ClosedBy
		}
		out = append(out, text)
	}
	return out
}

func TestPreAdviceStartsNoLeg(t *testing.T) {
	first := parcel.DeclaredLeg{Carrier: "acme", Number: "AC1", Stage: parcel.StageFirstMile}
	t.Run("of the declared last mile", func(t *testing.T) {
		s := shipment("CN", "US", first, parcel.DeclaredLeg{Carrier: "ups", Number: "1Z", Stage: parcel.StageLastMile, StageGiven: true})
		j := parcel.Fold(s, nil, rowsOf([]scan{
			{hour: 1, code: parcel.CodePickedUp, country: "CN"},
			{hour: 2, code: parcel.CodeInfoReceived, carrier: "ups", number: "1Z", country: "US"},
			{hour: 5, code: parcel.CodeOriginCountryDeparted, country: "CN"},
		}))
		wantLegs(t, j, "FIRST_MILE acme/AC1 DONE 1", "LINEHAUL acme/AC1 ACTIVE 1", "LAST_MILE ups/1Z PLANNED 1")
		if l := j.Legs[j.CurrentLeg]; l.Carrier != "acme" || l.Stage != parcel.StageLinehaul {
			t.Errorf("the parcel is in the hands of %s, %s", l.Carrier, l.Stage)
		}
		if len(j.Handovers) != 1 || j.Handovers[0].Accepted != -1 || j.Handovers[0].CountsAgainst != 1 {
			t.Errorf("handed over by data alone: %+v", j.Handovers)
		}
	})
	t.Run("of a last mile that an event named", func(t *testing.T) {
		j := parcel.Fold(shipment("CN", "BR", first), nil, rowsOf([]scan{
			{hour: 1, code: parcel.CodePickedUp, country: "CN"},
			{hour: 5, code: parcel.CodeOriginCountryDeparted, country: "CN", next: "correios/LB1"},
			{hour: 6, code: parcel.CodeInfoReceived, carrier: "correios", number: "LB1"},
		}))
		wantLegs(t, j, "FIRST_MILE acme/AC1 DONE 1", "LINEHAUL acme/AC1 ACTIVE 1", "LAST_MILE correios/LB1 PLANNED 1")
	})
	t.Run("of the first mile", func(t *testing.T) {
		j := parcel.Fold(shipment("CN", "BR", first), nil, rowsOf([]scan{{hour: 1, code: parcel.CodeInfoReceived}, {hour: 2, code: parcel.CodeLabelPrinted}}))
		wantLegs(t, j, "FIRST_MILE acme/AC1 PLANNED 2")
		if j.Custody.State != parcel.CustodyMerchant || j.CurrentLeg != -1 {
			t.Errorf("custody %s, leg %d", j.Custody.State, j.CurrentLeg)
		}
	})
}

func TestExceptionsCloseByWhatEventsProve(t *testing.T) {
	cases := []struct {
		name    string
		scans   []scan
		outcome parcel.Outcome
		want    []string
	}{
		{"back with the sender after delivery", []scan{
			{hour: 1, code: parcel.CodePickedUp, country: "CN"},
			{hour: 50, code: parcel.CodeDelivered, country: "RU"},
			{hour: 60, code: parcel.CodeReturnStarted, country: "RU"},
			{hour: 90, code: parcel.CodeDelivered, country: "CN", to: parcel.DeliveredToSender, own: "again"},
		}, parcel.OutcomeDelivered, []string{"RETURNING closed.returned"}},
		{"back with the sender before delivery", []scan{
			{hour: 1, code: parcel.CodeOutForDelivery, country: "RU"},
			{hour: 60, code: parcel.CodeReturnStarted, country: "RU"},
			{hour: 90, code: parcel.CodeReturned, country: "CN"},
		}, parcel.OutcomeReturned, []string{"RETURNING closed.returned"}},
		{"still on its way back", []scan{
			{hour: 50, code: parcel.CodeDelivered, country: "RU"},
			{hour: 60, code: parcel.CodeReturnStarted, country: "RU"},
			{hour: 90, code: parcel.CodeOriginCountryDeparted, country: "RU"},
		}, parcel.OutcomeDelivered, []string{"RETURNING open"}},
		{"held at export, scanned abroad", []scan{
			{hour: 1, code: parcel.CodePickedUp, country: "CN"},
			{hour: 2, code: parcel.CodeExportCustomsHeld, country: "CN"},
			{hour: 50, code: parcel.CodeInTransit, country: "RU"},
		}, "", []string{"CUSTOMS_HELD export closed.past_border"}},
		{"held at export, scanned at home", []scan{
			{hour: 1, code: parcel.CodePickedUp, country: "CN"},
			{hour: 2, code: parcel.CodeExportCustomsHeld, country: "CN"},
			{hour: 50, code: parcel.CodeInTransit, country: "CN"},
		}, "", []string{"CUSTOMS_HELD export open"}},
		{"refused, and told again as a hold", []scan{
			{hour: 1, code: parcel.CodeOriginCountryDeparted, country: "CN"},
			{hour: 2, code: parcel.CodeCustomsRefused, country: "RU"},
			{hour: 3, code: parcel.CodeImportCustomsHeld, country: "RU"},
			{hour: 50, code: parcel.CodeImportExchangeDeparted, country: "RU"},
		}, "", []string{"CUSTOMS_HELD refused open"}},
		{"held, then refused, then turned round", []scan{
			{hour: 1, code: parcel.CodeOriginCountryDeparted, country: "CN"},
			{hour: 2, code: parcel.CodeImportCustomsHeld, country: "RU"},
			{hour: 3, code: parcel.CodeCustomsRefused, country: "RU"},
			{hour: 50, code: parcel.CodeReturnStarted, country: "RU"},
		}, "", []string{"CUSTOMS_HELD refused closed.refused", "RETURNING open"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			j := parcel.Fold(shipment("CN", "RU"), nil, rowsOf(c.scans))
			if d := cmp.Diff(c.want, exceptionLines(j)); d != "" || j.Outcome != c.outcome {
				t.Errorf("outcome %q, want %q; exceptions (-want +got):\n%s", j.Outcome, c.outcome, d)
			}
		})
	}
}

// TestDisregardThatAPersonWithdrewRetractsNothing: the carrier's message was
// the mistake, not the event that it took back.
func TestDisregardThatAPersonWithdrewRetractsNothing(t *testing.T) {
	s := shipment("CN", "BR")
	rows := rowsOf([]scan{
		{hour: 1, code: parcel.CodePickedUp, country: "BR"},
		{hour: 2, code: parcel.CodeDelivered, country: "BR"},
		{hour: 3, code: parcel.CodeUnknown, retract: true, own: "EST/09"},
	})
	before := parcel.Fold(s, nil, rows)
	if before.Outcome != "" {
		t.Fatalf("the carrier's disregard leaves outcome %q", before.Outcome)
	}
	j := parcel.Fold(s, &before, []parcel.Event{{EventKey: rows[2].EventKey, EventDigest: "x",
		Retraction: &parcel.Retraction{Target: rows[2].EventKey, Kind: parcel.RetractionDidNotOccur, At: day0}}})
	if j.Outcome != parcel.OutcomeDelivered || j.Milestone != parcel.MilestoneDelivered {
		t.Errorf("%s, outcome %q", j.Milestone, j.Outcome)
	}
	for _, e := range j.Events {
		if got, want := e.Retracted != nil, e.Retracts; got != want {
			t.Errorf("%s: withdrawn %v, want %v", e.OwnCode, got, want)
		}
	}
}

func TestWithdrawnLossRestoresWhatStoodBefore(t *testing.T) {
	cases := []struct {
		name     string
		scans    []scan
		want     parcel.Outcome
		returned bool
	}{
		{"delivered", []scan{
			{hour: 2, code: parcel.CodeDelivered}, {hour: 3, code: parcel.CodeLost}, {hour: 4, code: parcel.CodeInTransit},
		}, parcel.OutcomeDelivered, false},
		{"delivered, the loss told twice", []scan{
			{hour: 2, code: parcel.CodeDelivered}, {hour: 3, code: parcel.CodeLost}, {hour: 3.5, code: parcel.CodeLost}, {hour: 4, code: parcel.CodeInTransit},
		}, parcel.OutcomeDelivered, false},
		{"open", []scan{
			{hour: 2, code: parcel.CodePickedUp}, {hour: 3, code: parcel.CodeLost}, {hour: 4, code: parcel.CodeInTransit},
		}, "", false},
		{"a loss that stands", []scan{
			{hour: 2, code: parcel.CodeDelivered}, {hour: 3, code: parcel.CodeLost},
		}, parcel.OutcomeLost, false},
		{"delivered, lost on its way back, and back", []scan{
			{hour: 2, code: parcel.CodeDelivered, country: "BR"}, {hour: 3, code: parcel.CodeReturnStarted}, {hour: 4, code: parcel.CodeLost}, {hour: 9, code: parcel.CodeReturned},
		}, parcel.OutcomeDelivered, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			j := parcel.Fold(shipment("CN", "BR"), nil, rowsOf(c.scans))
			if j.Outcome != c.want || j.ReturnedAt.IsZero() == c.returned {
				t.Errorf("outcome %q, returned %q; want %q, %v", j.Outcome, j.ReturnedAt.Wall, c.want, c.returned)
			}
			if j.Outcome == parcel.OutcomeDelivered && j.Events[j.OutcomeEvent].Code != parcel.CodeDelivered {
				t.Errorf("it was ended by %s", j.Events[j.OutcomeEvent].Code)
			}
		})
	}
}

func TestReportByShipmentJoinsTheKnownLeg(t *testing.T) {
	acme := parcel.DeclaredLeg{Carrier: "acme", Number: "AC1", Stage: parcel.StageFirstMile}
	report := func(hour float64, code parcel.Code) parcel.Event {
		o := scan{hour: hour, code: code, country: "BR"}.row("S1").Observation
		o.Carrier, o.Number = "", ""
		return eventOf("S1", o, day0)
	}
	cases := []struct {
		name   string
		legs   []parcel.DeclaredLeg
		scans  []scan
		report parcel.Event
		want   []string
	}{
		{"that was seen", []parcel.DeclaredLeg{acme}, []scan{
			{hour: 2, code: parcel.CodeOriginCountryDeparted, country: "CN"}, {hour: 40, code: parcel.CodeOutForDelivery, country: "BR"},
		}, report(60, parcel.CodeDelivered), []string{"LINEHAUL acme/AC1 DONE 1", "LAST_MILE acme/AC1 DONE 2"}},
		{"that was declared", []parcel.DeclaredLeg{acme, {Carrier: "correios", Number: "LB1", Stage: parcel.StageLastMile, StageGiven: true}}, []scan{
			{hour: 2, code: parcel.CodeOriginCountryDeparted, country: "CN"},
		}, report(60, parcel.CodeDelivered), []string{"LINEHAUL acme/AC1 DONE 1", "LAST_MILE correios/LB1 DONE 1"}},
		{"that it is in, by a code of no stage", []parcel.DeclaredLeg{acme}, []scan{
			{hour: 2, code: parcel.CodePickedUp, country: "CN"}, {hour: 9, code: parcel.CodeOriginCountryDeparted, country: "CN"},
		}, report(60, parcel.CodeInTransit), []string{"FIRST_MILE acme/AC1 DONE 1", "LINEHAUL acme/AC1 ACTIVE 2"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wantLegs(t, parcel.Fold(shipment("CN", "BR", c.legs...), nil, append(rowsOf(c.scans), c.report)), c.want...)
		})
	}
}

func TestNamedNumberFillsTheDeclaredLeg(t *testing.T) {
	acme := parcel.DeclaredLeg{Carrier: "acme", Number: "AC1", Stage: parcel.StageFirstMile}
	scans := []scan{
		{hour: 2, code: parcel.CodeOriginCountryDeparted, country: "CN"},
		{hour: 3, code: parcel.CodeImportCustomsReleased, country: "BR", next: "correios/LB1"},
	}
	for _, carrier := range []string{"", "correios"} {
		t.Run(fmt.Sprintf("declared with carrier %q", carrier), func(t *testing.T) {
			s := shipment("CN", "BR", acme, parcel.DeclaredLeg{Stage: parcel.StageLastMile, StageGiven: true, Carrier: carrier, ServiceLevel: "PAC"})
			j := parcel.Fold(s, nil, rowsOf(scans))
			wantLegs(t, j, "LINEHAUL acme/AC1 DONE 1", "CUSTOMS acme/AC1 ACTIVE 1", "LAST_MILE correios/LB1 PLANNED 0 as PAC")
			j = parcel.Fold(s, &j, rowsOf([]scan{{hour: 40, code: parcel.CodeDeliveryOfficeArrived, country: "BR", carrier: "correios", number: "LB1"}}))
			wantLegs(t, j, "LINEHAUL acme/AC1 DONE 1", "CUSTOMS acme/AC1 DONE 1", "LAST_MILE correios/LB1 ACTIVE 1 as PAC")
		})
	}
	t.Run("another carrier's plan stays", func(t *testing.T) {
		s := shipment("CN", "BR", acme, parcel.DeclaredLeg{Stage: parcel.StageLastMile, StageGiven: true, Carrier: "jadlog", ServiceLevel: "PAC"})
		wantLegs(t, parcel.Fold(s, nil, rowsOf(scans)), "LINEHAUL acme/AC1 DONE 1", "CUSTOMS acme/AC1 ACTIVE 1", "LAST_MILE jadlog/ PLANNED 0 as PAC", "LAST_MILE correios/LB1 PLANNED 0")
	})
}

// TestHealthIsNotStaleWhileLooksAreOnPlan: looks at a silent parcel are planned
// hours apart, which is no fault of anybody's.
func TestHealthIsNotStaleWhileLooksAreOnPlan(t *testing.T) {
	s := shipment("CN", "BR")
	s.Journey = parcel.Fold(s, nil, rowsOf([]scan{{hour: 1, code: parcel.CodeOriginCountryDeparted, country: "CN"}}))
	budget, _ := parcel.Budget(s.Journey.Milestone, s.Journey.Outcome)
	for _, days := range []int{12, 19} {
		now := day0.AddDate(0, 0, days)
		for _, heard := range []time.Duration{0, 3 * time.Hour, 13 * time.Hour, 23 * time.Hour} {
			tr := parcel.Tracking{HeardAt: now.Add(-heard), Finding: parcel.FindingFound, NextAt: now.Add(time.Hour)}
			if got := s.HealthAt(now, []parcel.Tracking{tr}, parcel.Habits{}); got != parcel.HealthLive {
				t.Errorf("day %d, heard %s ago, next look in an hour: %s", days, heard, got)
			}
			for late, want := range map[time.Duration]parcel.Health{budget: parcel.HealthLive, budget + time.Second: parcel.HealthStale} {
				tr.NextAt = now.Add(-late)
				if got := s.HealthAt(now, []parcel.Tracking{tr}, parcel.Habits{}); got != want {
					t.Errorf("day %d, heard %s ago, the look overdue by %s: %s, want %s", days, heard, late, got, want)
				}
			}
		}
	}
}

// A number that goes to another parcel a year after the first was delivered: the
// first journey is the same whether its delivery was known when the second began
// or came to light long after.
func TestScansOfALaterUseCountForNothing(t *testing.T) {
	const day = 24.0
	first := []scan{
		{hour: 0, code: parcel.CodePickedUp, country: "CN", number: "RA123456785CN"},
		{hour: 20 * day, code: parcel.CodeDestinationCountryArrived, country: "RU", number: "RA123456785CN"},
		{hour: 30 * day, code: parcel.CodeDelivered, country: "RU", number: "RA123456785CN"},
	}
	second := []scan{
		{hour: 430 * day, code: parcel.CodePickedUp, country: "CN", number: "RA123456785CN"},
		{hour: 445 * day, code: parcel.CodeImportCustomsHeld, country: "RU", number: "RA123456785CN"},
	}
	s := shipment("CN", "RU")
	alone := parcel.Fold(s, nil, rowsOf(first))

	// The second parcel's scans come first, and before the delivery is known.
	early := parcel.Fold(s, nil, rowsOf(append(first[:2:2], second...)))
	if len(early.Exceptions) != 1 {
		t.Fatalf("%d exceptions while nobody knows of the end, want 1", len(early.Exceptions))
	}
	late := parcel.Fold(s, &early, rowsOf(first[2:]))
	if late.Outcome != alone.Outcome || late.Milestone != alone.Milestone || late.Latest != alone.Latest || len(late.Exceptions) != 0 || len(late.Legs) != len(alone.Legs) {
		t.Errorf("outcome %s at %d, latest %d, %d exceptions, %d legs", late.Outcome, late.OutcomeEvent, late.Latest, len(late.Exceptions), len(late.Legs))
	}
	for i := range late.Events {
		if e := &late.Events[i]; e.LaterUse != (i >= 3) {
			t.Errorf("event %d, %s: later use %v", i, e.Code, e.LaterUse)
		}
	}
	// What comes soon after the end is the parcel's own, and so is all that
	// happens to one that is lost or on its way back.
	for name, scans := range map[string][]scan{
		"soon":      {first[0], first[2], {hour: 60 * day, code: parcel.CodeDamaged, country: "RU", number: "RA123456785CN"}},
		"lost":      {first[0], {hour: 30 * day, code: parcel.CodeLost, number: "RA123456785CN"}, {hour: 430 * day, code: parcel.CodeDelivered, country: "RU", number: "RA123456785CN"}},
		"returning": {first[0], first[2], {hour: 31 * day, code: parcel.CodeReturnStarted, country: "RU", number: "RA123456785CN"}, {hour: 430 * day, code: parcel.CodeReturned, country: "CN", number: "RA123456785CN"}},
	} {
		j := parcel.Fold(s, nil, rowsOf(scans))
		for i := range j.Events {
			if j.Events[i].LaterUse {
				t.Errorf("%s: %s is taken for another parcel's", name, j.Events[i].Code)
			}
		}
	}
}
