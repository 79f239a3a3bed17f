package parcel_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/parcel"
)

var day0 = time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)

// scan is a compact way to write a row of the log.
type scan struct {
	hour    float64
	code    parcel.Code
	carrier string
	number  string
	country parcel.Country
	to      parcel.DeliveredTo
	next    string // "carrier/number"
	retract bool
	day     bool // a day without a clock
	own     string
	city    string
	teller  string // who told it, if not the carrier
	// zone is the offset as assumed or reported, in hours; unsure makes it
	// assumed.
	zone   int
	unsure bool
}

func (s scan) row(shipment string) parcel.Event {
	at := day0.Add(time.Duration(s.hour * float64(time.Hour)))
	if s.carrier == "" {
		s.carrier = "acme"
	}
	if s.number == "" {
		s.number = "AC1"
	}
	if s.own == "" {
		s.own = string(s.code)
	}
	m := parcel.ReportedMoment(at.Format(time.RFC3339), at.In(time.FixedZone("", s.zone*3600)))
	if s.unsure {
		m.Certainty = parcel.CertaintyAssumed
	}
	if s.day {
		m = parcel.DayMoment("", at, time.UTC, m.Certainty)
	}
	o := parcel.Observation{Carrier: s.carrier, Teller: s.teller, Number: s.number, OwnCode: s.own, Code: s.code, Occurred: m,
		Place: parcel.Place{Country: s.country, City: s.city}, DeliveredTo: s.to, Retracts: s.retract, Rule: s.own, RuleVersion: "2026-11-22"}
	if s.next != "" {
		o.NextCarrier, o.NextNumber, _ = strings.Cut(s.next, "/")
	}
	return eventOf(shipment, o, at)
}

func eventOf(shipment string, o parcel.Observation, received time.Time) parcel.Event {
	key, digest := o.Key(), o.Digest()
	return parcel.Event{Observation: o, ID: "E" + key[:8], ShipmentID: shipment, EventKey: key, EventDigest: digest, Source: parcel.SourcePoll, PayloadID: "P" + digest[:6], ReceivedAt: received}
}

func shipment(origin, destination parcel.Country, legs ...parcel.DeclaredLeg) *parcel.Shipment {
	return &parcel.Shipment{ID: "S1", MerchantID: "M1", Facts: parcel.Facts{Reference: "r", Origin: parcel.Place{Country: origin}, Destination: parcel.Place{Country: destination}, RegisteredAt: day0, Legs: legs}}
}

func rowsOf(scans []scan) []parcel.Event {
	rows := make([]parcel.Event, len(scans))
	for i, s := range scans {
		rows[i] = s.row("S1")
	}
	return rows
}

func TestFold(t *testing.T) {
	type want struct {
		Milestone parcel.Milestone
		Outcome   parcel.Outcome
		Open      []parcel.ExceptionKind
		Custody   parcel.CustodyState
		Legs      []string
		Reached   int
	}
	cases := []struct {
		name     string
		from, to parcel.Country
		legs     []parcel.DeclaredLeg
		scans    []scan
		want     want
	}{
		{name: "nothing but the registration", from: "CN", to: "RU",
			legs: []parcel.DeclaredLeg{{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"}},
			want: want{Milestone: parcel.MilestoneRegistered, Custody: parcel.CustodyMerchant, Legs: []string{"FIRST_MILE acme AC1 PLANNED"}, Reached: 1}},
		{name: "a pre-declaration before export moves nothing", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodePickedUp, country: "CN"}, {hour: 2, code: parcel.CodeImportCustomsPresented}},
			want:  want{Milestone: parcel.MilestonePickedUp, Custody: parcel.CustodyCarrier, Legs: []string{"FIRST_MILE acme AC1 ACTIVE"}, Reached: 2}},
		{name: "a presentation after departure is one", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodePickedUp}, {hour: 2, code: parcel.CodeOriginCountryDeparted}, {hour: 30, code: parcel.CodeImportCustomsPresented}},
			want:  want{Milestone: parcel.MilestoneDestinationArrived, Custody: parcel.CustodyCustoms, Legs: []string{"FIRST_MILE acme AC1 DONE", "LINEHAUL acme AC1 DONE", "CUSTOMS acme AC1 ACTIVE"}, Reached: 4}},
		{name: "the first scan abroad proves the departure nobody reported", from: "CN", to: "US",
			scans: []scan{{hour: 1, code: parcel.CodePickedUp, country: "CN"}, {hour: 40, code: parcel.CodeInTransit, country: "US"}},
			want:  want{Milestone: parcel.MilestoneDestinationArrived, Custody: parcel.CustodyCarrier, Legs: []string{"FIRST_MILE acme AC1 ACTIVE"}, Reached: 3}},
		{name: "late out-for-delivery after delivered does not take it back", from: "CN", to: "DE",
			scans: []scan{{hour: 50, code: parcel.CodeDelivered}, {hour: 51, code: parcel.CodeOutForDelivery}},
			want:  want{Milestone: parcel.MilestoneDelivered, Outcome: parcel.OutcomeDelivered, Custody: parcel.CustodyRecipient, Legs: []string{"LAST_MILE acme AC1 DONE"}, Reached: 3}},
		{name: "waiting at the pickup point is not delivered", from: "CN", to: "RU",
			scans: []scan{{hour: 50, code: parcel.CodeReadyForPickup}},
			want:  want{Milestone: parcel.MilestoneReadyForPickup, Custody: parcel.CustodyPickup, Legs: []string{"LAST_MILE acme AC1 ACTIVE"}, Reached: 2}},
		{name: "customs hold closes by release", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeOriginCountryDeparted}, {hour: 2, code: parcel.CodeCustomsDutyDue}, {hour: 9, code: parcel.CodeImportCustomsReleased}},
			want:  want{Milestone: parcel.MilestoneCustomsCleared, Custody: parcel.CustodyCarrier, Legs: []string{"LINEHAUL acme AC1 DONE", "CUSTOMS acme AC1 ACTIVE"}, Reached: 4}},
		{name: "customs hold stays open with its action", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeOriginCountryDeparted}, {hour: 2, code: parcel.CodeCustomsDutyDue}},
			want: want{Milestone: parcel.MilestoneDestinationArrived, Custody: parcel.CustodyCustoms, Open: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld, parcel.ExceptionActionRequired},
				Legs: []string{"LINEHAUL acme AC1 DONE", "CUSTOMS acme AC1 ACTIVE"}, Reached: 3}},
		{name: "refused by customs closes only when it turns round", from: "CN", to: "RU",
			scans: []scan{{hour: 1, code: parcel.CodeOriginCountryDeparted}, {hour: 2, code: parcel.CodeCustomsRefused}, {hour: 3, code: parcel.CodeDestinationHubProcessed}},
			want: want{Milestone: parcel.MilestoneDestinationArrived, Custody: parcel.CustodyCarrier, Open: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld},
				Legs: []string{"LINEHAUL acme AC1 DONE", "CUSTOMS acme AC1 DONE", "LAST_MILE acme AC1 ACTIVE"}, Reached: 3}},
		{name: "returning keeps the highest milestone", from: "CN", to: "RU",
			scans: []scan{{hour: 1, code: parcel.CodeOutForDelivery}, {hour: 2, code: parcel.CodeDeliveryAttemptFailed}, {hour: 3, code: parcel.CodeReturnStarted}, {hour: 9, code: parcel.CodeOriginCountryDeparted}},
			want: want{Milestone: parcel.MilestoneOutForDelivery, Custody: parcel.CustodyCarrier, Open: []parcel.ExceptionKind{parcel.ExceptionReturning},
				Legs: []string{"LAST_MILE acme AC1 DONE", "LINEHAUL acme AC1 ACTIVE back"}, Reached: 2}},
		{name: "delivered on the way back is returned", from: "CN", to: "RU",
			scans: []scan{{hour: 1, code: parcel.CodeOutForDelivery}, {hour: 3, code: parcel.CodeReturnStarted}, {hour: 9, code: parcel.CodeDelivered, country: "CN"}},
			want:  want{Milestone: parcel.MilestoneOutForDelivery, Outcome: parcel.OutcomeReturned, Custody: parcel.CustodyMerchant, Legs: []string{"LAST_MILE acme AC1 DONE", "LAST_MILE acme AC1 DONE back"}, Reached: 2}},
		{name: "delivered to the sender is returned without a return scan", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeOutForDelivery}, {hour: 9, code: parcel.CodeDelivered, to: parcel.DeliveredToSender}},
			want:  want{Milestone: parcel.MilestoneOutForDelivery, Outcome: parcel.OutcomeReturned, Custody: parcel.CustodyMerchant, Legs: []string{"LAST_MILE acme AC1 DONE", "LAST_MILE acme AC1 DONE back"}, Reached: 2}},
		{name: "movement withdraws a loss", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeLost}, {hour: 9, code: parcel.CodeDeliveryOfficeArrived}},
			want:  want{Milestone: parcel.MilestoneLastMile, Custody: parcel.CustodyCarrier, Legs: []string{"LAST_MILE acme AC1 ACTIVE"}, Reached: 2}},
		{name: "a loss stays to be claimed", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodePickedUp}, {hour: 9, code: parcel.CodeLost}},
			want: want{Milestone: parcel.MilestonePickedUp, Outcome: parcel.OutcomeLost, Custody: parcel.CustodyUnknown, Open: []parcel.ExceptionKind{parcel.ExceptionLostSuspected},
				Legs: []string{"FIRST_MILE acme AC1 DONE"}, Reached: 2}},
		{name: "damage outlives delivery", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeDamaged}, {hour: 9, code: parcel.CodeDelivered}},
			want: want{Milestone: parcel.MilestoneDelivered, Outcome: parcel.OutcomeDelivered, Custody: parcel.CustodyRecipient, Open: []parcel.ExceptionKind{parcel.ExceptionDamaged},
				Legs: []string{"LAST_MILE acme AC1 DONE"}, Reached: 2}},
		{name: "a return after delivery is a chain of its own", from: "CN", to: "DE",
			scans: []scan{{hour: 1, code: parcel.CodeDelivered}, {hour: 9, code: parcel.CodeReturnStarted}, {hour: 99, code: parcel.CodeReturned}},
			want:  want{Milestone: parcel.MilestoneDelivered, Outcome: parcel.OutcomeDelivered, Custody: parcel.CustodyRecipient, Legs: []string{"LAST_MILE acme AC1 DONE", "LAST_MILE acme AC1 DONE back"}, Reached: 2}},
		{name: "the carrier's disregard takes back the event before it", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeOutForDelivery}, {hour: 2, code: parcel.CodeDelivered}, {hour: 3, code: parcel.CodeUnknown, own: "EST/09", retract: true}},
			want:  want{Milestone: parcel.MilestoneOutForDelivery, Custody: parcel.CustodyCarrier, Legs: []string{"LAST_MILE acme AC1 ACTIVE"}, Reached: 2}},
		{name: "an event names the next carrier", from: "CN", to: "BR",
			scans: []scan{{hour: 1, code: parcel.CodeOriginCountryDeparted}, {hour: 20, code: parcel.CodeImportCustomsReleased, next: "correios/NL1BR"}},
			want: want{Milestone: parcel.MilestoneCustomsCleared, Custody: parcel.CustodyCarrier,
				Legs: []string{"LINEHAUL acme AC1 DONE", "CUSTOMS acme AC1 ACTIVE", "LAST_MILE correios NL1BR PLANNED"}, Reached: 3}},
		{name: "custody passes to the second carrier", from: "CN", to: "BR",
			scans: []scan{{hour: 20, code: parcel.CodeImportCustomsReleased, next: "correios/NL1BR"}, {hour: 40, code: parcel.CodeDeliveryOfficeArrived, carrier: "correios", number: "NL1BR"}},
			want: want{Milestone: parcel.MilestoneLastMile, Custody: parcel.CustodyCarrier,
				Legs: []string{"CUSTOMS acme AC1 DONE", "LAST_MILE correios NL1BR ACTIVE"}, Reached: 3}},
		{name: "a planned leg that was passed over is skipped", from: "CN", to: "BR",
			legs:  []parcel.DeclaredLeg{{Stage: parcel.StageWarehouse, StageGiven: true, Carrier: "depot"}},
			scans: []scan{{hour: 20, code: parcel.CodePickedUp}},
			want:  want{Milestone: parcel.MilestonePickedUp, Custody: parcel.CustodyCarrier, Legs: []string{"WAREHOUSE depot  SKIPPED", "FIRST_MILE acme AC1 ACTIVE"}, Reached: 2}},
		{name: "a day without a clock ends its day", from: "CN", to: "DE",
			scans: []scan{{hour: 5, code: parcel.CodeOutForDelivery}, {hour: 0, code: parcel.CodeDelivered, day: true}},
			want:  want{Milestone: parcel.MilestoneDelivered, Outcome: parcel.OutcomeDelivered, Custody: parcel.CustodyRecipient, Legs: []string{"LAST_MILE acme AC1 DONE"}, Reached: 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := shipment(c.from, c.to, c.legs...)
			j := parcel.Fold(s, nil, rowsOf(c.scans))
			got := want{Milestone: j.Milestone, Outcome: j.Outcome, Custody: j.Custody.State, Reached: len(j.Reached)}
			for x := range j.OpenExceptions {
				got.Open = append(got.Open, x.Kind)
			}
			for _, l := range j.Legs {
				text := fmt.Sprintf("%s %s %s %s", l.Stage, l.Carrier, l.Number, l.State)
				if l.Return {
					text += " back"
				}
				got.Legs = append(got.Legs, text)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("journey differs (-want +got):\n%s", d)
			}
		})
	}
}

// drawRows makes any set of rows: several carriers and numbers, every code,
// equal times, days without clocks, retractions of both kinds, several tellings
// of one event.
func drawRows(t *rapid.T) []parcel.Event {
	codes := append(parcel.Codes(), parcel.CodeUnknown)
	n := rapid.IntRange(0, 14).Draw(t, "n")
	rows := make([]parcel.Event, 0, n+2)
	for i := range n {
		s := scan{
			hour:    float64(rapid.IntRange(0, 40).Draw(t, "hour")),
			code:    rapid.SampledFrom(codes).Draw(t, "code"),
			carrier: rapid.SampledFrom([]string{"acme", "correios", "depot"}).Draw(t, "carrier"),
			number:  rapid.SampledFrom([]string{"AC1", "NL1BR"}).Draw(t, "number"),
			country: rapid.SampledFrom([]parcel.Country{"", "CN", "BR", "NL"}).Draw(t, "country"),
			to:      rapid.SampledFrom([]parcel.DeliveredTo{"", parcel.DeliveredToSender, parcel.DeliveredToNeighbour}).Draw(t, "to"),
			next:    rapid.SampledFrom([]string{"", "", "", "correios/NL1BR", "/ZZ9"}).Draw(t, "next"),
			retract: rapid.IntRange(0, 9).Draw(t, "retract") == 0,
			day:     rapid.IntRange(0, 6).Draw(t, "day") == 0,
		}
		r := s.row("S1")
		r.ReceivedAt = day0.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "received")) * time.Minute)
		rows = append(rows, r)
		// What another teller makes of the same scan, or nearly.
		for range rapid.IntRange(0, 2).Draw(t, "twins") {
			w := s
			w.carrier = rapid.SampledFrom([]string{"acme", "correios", "depot", "upu"}).Draw(t, "twin's carrier")
			w.teller = rapid.SampledFrom([]string{"", "", "17track", "21track"}).Draw(t, "twin's teller")
			w.code = rapid.SampledFrom([]parcel.Code{s.code, s.code, s.code, parcel.CodeInTransit, parcel.CodeUnknown}).Draw(t, "twin's code")
			w.hour += rapid.SampledFrom([]float64{0, 0, 0, 1. / 120, 1. / 60, 1. / 40, 1}).Draw(t, "twin's hour")
			w.country = rapid.SampledFrom([]parcel.Country{s.country, "", "BR"}).Draw(t, "twin's country")
			w.city = rapid.SampledFrom([]string{"", "Campinas", "CAMPINAS", "Curitiba"}).Draw(t, "twin's city")
			w.zone = rapid.IntRange(-3, 8).Draw(t, "twin's zone")
			w.unsure = rapid.Bool().Draw(t, "twin's zone is assumed")
			w.own = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "twin's own code")
			r := w.row("S1")
			r.ReceivedAt = day0.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "twin received")) * time.Minute)
			if rapid.IntRange(0, 5).Draw(t, "reported") == 0 {
				r.Source, r.PayloadID = parcel.SourceReport, ""
			}
			rows = append(rows, r)
			if rapid.IntRange(0, 7).Draw(t, "twin corrected") == 0 {
				at := day0.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "corrected")) * time.Minute)
				rows = append(rows, parcel.Event{ID: r.ID, ShipmentID: "S1", EventKey: r.EventKey, EventDigest: fmt.Sprint("w", len(rows)), ReceivedAt: at,
					Retraction: &parcel.Retraction{Target: r.EventKey, Kind: parcel.RetractionIncorrect, At: at, ReplacedBy: rapid.SampledFrom([]string{"", rows[0].EventKey}).Draw(t, "replacement")}})
			}
		}
		switch rapid.IntRange(0, 7).Draw(t, "again") {
		case 0: // the same event in other words, through another door
			o := r.Observation
			o.Words, o.Place.City = "in other words", "Campinas"
			w := eventOf("S1", o, r.ReceivedAt.Add(time.Hour))
			w.ID = r.ID
			rows = append(rows, w)
		case 1: // a person takes it back
			at := day0.Add(time.Duration(i) * time.Hour)
			rows = append(rows, parcel.Event{ID: r.ID, ShipmentID: "S1", EventKey: r.EventKey, EventDigest: fmt.Sprint("c", i), ReceivedAt: at,
				Retraction: &parcel.Retraction{Target: r.EventKey, Kind: parcel.RetractionDidNotOccur, At: at}})
		}
	}
	return rows
}

func drawShipment(t *rapid.T) *parcel.Shipment {
	legs := []parcel.DeclaredLeg{{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"}, {Stage: parcel.StageLastMile, StageGiven: true, Carrier: "correios"}}
	return shipment("CN", rapid.SampledFrom([]parcel.Country{"BR", "CN", ""}).Draw(t, "destination"), legs[:rapid.IntRange(0, 2).Draw(t, "legs")]...)
}

var sameJourney = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}

func TestFoldIsOrderProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, rows := drawShipment(t), drawRows(t)
		want := parcel.Fold(s, nil, rows)

		shuffled := rapid.Permutation(rows).Draw(t, "order")
		// Any repetition.
		for range rapid.IntRange(0, 5).Draw(t, "repeats") {
			if len(shuffled) > 0 {
				shuffled = append(shuffled, rapid.SampledFrom(shuffled).Draw(t, "repeat"))
			}
		}
		if d := cmp.Diff(want, parcel.Fold(s, nil, shuffled), sameJourney); d != "" {
			t.Fatalf("another order gives another journey:\n%s", d)
		}
		// Any split into batches.
		var j *parcel.Journey
		for len(shuffled) > 0 {
			n := rapid.IntRange(1, len(shuffled)).Draw(t, "batch")
			next := parcel.Fold(s, j, shuffled[:n])
			j, shuffled = &next, shuffled[n:]
		}
		if j == nil {
			return
		}
		if d := cmp.Diff(want, *j, sameJourney); d != "" {
			t.Fatalf("folding in batches gives another journey:\n%s", d)
		}
	})
}

func TestRetractionUndoesExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawShipment(t)
		rows := drawRows(t)
		extra := scan{hour: 17.5, code: rapid.SampledFrom(parcel.Codes()).Draw(t, "extra"), country: "BR", own: "extra"}.row("S1")
		for _, r := range rows {
			// The carrier's own "disregard" may aim at the extra event; then
			// taking it away re-aims the disregard, which is right but another
			// test.
			if r.Retracts {
				return
			}
		}
		without := parcel.Fold(s, nil, rows)
		with := parcel.Fold(s, nil, append(append([]parcel.Event{}, rows...), extra))
		undone := parcel.Fold(s, &with, []parcel.Event{{ID: extra.ID, ShipmentID: "S1", EventKey: extra.EventKey, EventDigest: "undo",
			Retraction: &parcel.Retraction{Target: extra.EventKey, Kind: parcel.RetractionIncorrect, At: day0}}})
		if without.Milestone != undone.Milestone || without.Outcome != undone.Outcome || without.Custody.State != undone.Custody.State || len(without.Legs) != len(undone.Legs) {
			t.Fatalf("retraction left a trace: %v %v %v %d legs, want %v %v %v %d", undone.Milestone, undone.Outcome, undone.Custody.State, len(undone.Legs),
				without.Milestone, without.Outcome, without.Custody.State, len(without.Legs))
		}
		keys := func(j parcel.Journey) (out []string) {
			for _, x := range j.Exceptions {
				out = append(out, fmt.Sprint(x.Key, x.Severity, x.Reason, x.Open(), x.ClosedBy))
			}
			return out
		}
		if d := cmp.Diff(keys(without), keys(undone), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("retraction left an exception:\n%s", d)
		}
	})
}

func TestFoldDoesNotChangeItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, rows := drawShipment(t), drawRows(t)
		half := len(rows) / 2
		prior := parcel.Fold(s, nil, rows[:half])
		before := fmt.Sprintf("%+v", prior)
		_ = parcel.Fold(s, &prior, rows[half:])
		if after := fmt.Sprintf("%+v", prior); before != after {
			t.Fatal("folding on changed the journey it began from")
		}
	})
}

func TestChanges(t *testing.T) {
	s := shipment("CN", "BR", parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"})
	s.Journey = parcel.Fold(s, nil, nil)
	tell := func(before, after *parcel.Shipment) []string {
		var out []string
		for _, c := range parcel.Changes(before, after, day0) {
			text := string(c.Kind)
			switch c.Kind {
			case parcel.ChangeMilestone, parcel.ChangeRetraction:
				text += fmt.Sprintf(" %s>%s %s", c.From, c.To, c.Outcome)
			case parcel.ChangeException:
				text += fmt.Sprintf(" %s %s", c.ExceptionKind, c.ExceptionAction)
			case parcel.ChangeLeg:
				text += " " + string(c.LegAction)
			case parcel.ChangeNumber:
				text += fmt.Sprintf(" %s>%s", c.NumberBefore, c.Number)
			}
			out = append(out, text)
		}
		return out
	}
	after := func(before *parcel.Shipment, scans ...scan) *parcel.Shipment {
		n := *before
		n.Journey = parcel.Fold(&n, &before.Journey, rowsOf(scans))
		return &n
	}
	if d := cmp.Diff([]string{"MILESTONE >REGISTERED "}, tell(nil, s)); d != "" {
		t.Error("registration:", d)
	}
	held := after(s, scan{hour: 1, code: parcel.CodePickedUp}, scan{hour: 20, code: parcel.CodeOriginCountryDeparted}, scan{hour: 90, code: parcel.CodeCustomsDutyDue})
	if d := cmp.Diff([]string{
		"MILESTONE REGISTERED>PICKED_UP ", "MILESTONE PICKED_UP>ORIGIN_DEPARTED ", "MILESTONE ORIGIN_DEPARTED>DESTINATION_ARRIVED ",
		"EXCEPTION CUSTOMS_HELD OPENED", "EXCEPTION ACTION_REQUIRED OPENED",
		"LEG STARTED", "LEG ENDED", "LEG ADDED", "LEG STARTED", "LEG ENDED", "LEG ADDED", "LEG STARTED"}, tell(s, held)); d != "" {
		t.Error("catch-up:", d)
	}
	delivered := after(held, scan{hour: 100, code: parcel.CodeDelivered, next: "correios/NL1BR"})
	if d := cmp.Diff([]string{"MILESTONE DESTINATION_ARRIVED>DELIVERED DELIVERED", "TRACKING_NUMBER AC1>NL1BR",
		"EXCEPTION CUSTOMS_HELD CLOSED", "EXCEPTION ACTION_REQUIRED CLOSED", "LEG ENDED", "LEG ADDED", "LEG STARTED", "LEG ENDED", "LEG ADDED", "LEG SKIPPED"}, tell(held, delivered)); d != "" {
		t.Error("delivery:", d)
	}
	last := delivered.Journey.Events[len(delivered.Journey.Events)-1]
	back := *delivered
	back.Journey = parcel.Fold(&back, &delivered.Journey, []parcel.Event{{EventKey: last.EventKey, EventDigest: "x", Retraction: &parcel.Retraction{Target: last.EventKey, Kind: parcel.RetractionDidNotOccur, At: day0}}})
	got := tell(delivered, &back)
	if len(got) == 0 || got[0] != "RETRACTION DELIVERED>DESTINATION_ARRIVED " {
		t.Errorf("retraction: %v", got)
	}
	if n := len(tell(held, held)); n != 0 {
		t.Errorf("no difference told %d rows", n)
	}
}

func TestHandoverIsReleasedWhenLetGo(t *testing.T) {
	s := shipment("CN", "BR")
	held := scan{hour: 20, code: parcel.CodeImportCustomsPresented, next: "correios/NL1BR"}
	left := scan{hour: 30, code: parcel.CodeLastMileAccepted}
	taken := scan{hour: 54, code: parcel.CodeOutForDelivery, carrier: "correios", number: "NL1BR"}
	start := scan{hour: 1, code: parcel.CodeOriginCountryDeparted}
	for _, c := range []struct {
		name               string
		scans              []scan
		released, accepted bool
	}{
		{"named, and still in the first carrier's hands", []scan{start, held}, false, false},
		{"let go, and not yet taken on", []scan{start, held, left}, true, false},
		{"taken on", []scan{start, held, left, taken}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := parcel.Fold(s, nil, rowsOf(c.scans))
			if len(j.Handovers) != 1 {
				t.Fatalf("%d handovers: %+v", len(j.Handovers), j.Handovers)
			}
			h := j.Handovers[0]
			if (h.Released >= 0) != c.released || (h.Accepted >= 0) != c.accepted || !h.NumberChanged {
				t.Errorf("%+v", h)
			}
		})
	}
}
