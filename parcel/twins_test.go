package parcel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/parcel"
)

// told writes each event that counts in a line: whose scan it is, the code, and
// who told it, first received first; a withdrawn one with its mark.
func told(j parcel.Journey) (out []string) {
	for i := range j.Events {
		e := &j.Events[i]
		if e.Retracts {
			continue
		}
		var who []string
		for _, w := range e.Witnesses {
			name := w.Carrier
			if w.Source == parcel.SourceReport {
				name = "report"
			}
			who = append(who, name)
		}
		line := fmt.Sprintf("%s %s by %s", e.Carrier, e.Read, strings.Join(who, ", "))
		if e.Retracted != nil {
			line += " withdrawn " + string(e.Retracted.Kind)
		}
		out = append(out, line)
	}
	return out
}

func wantTold(t *testing.T, j parcel.Journey, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, told(j), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

// TestSameScan holds the rule of sameness: each case is two tellings or more,
// and the number of events they make.
func TestSameScan(t *testing.T) {
	const office, failed = parcel.CodeDeliveryOfficeArrived, parcel.CodeDeliveryAttemptFailed
	minute, second := 1./60, 1./3600
	cases := []struct {
		name  string
		scans []scan
		want  int
	}{
		{"two posts, one S10 item", []scan{{code: office, carrier: "china-post", country: "BR"}, {code: office, carrier: "correios", country: "BR"}}, 1},
		{"one writes seconds", []scan{{code: office, carrier: "china-post", country: "BR"}, {hour: 59 * second, code: office, carrier: "correios", country: "BR"}}, 1},
		{"a minute apart", []scan{{code: office, carrier: "china-post", country: "BR"}, {hour: minute, code: office, carrier: "correios", country: "BR"}}, 2},
		{"one instant in two offsets, both reported", []scan{{code: office, carrier: "china-post", country: "BR", zone: 8}, {code: office, carrier: "correios", country: "BR", zone: -3}}, 1},
		{"one clock face, two reported offsets", []scan{{code: office, carrier: "china-post", country: "BR", zone: 8}, {hour: 8, code: office, carrier: "correios", country: "BR"}}, 2},
		{"one clock face in one city, one of the offsets careless", []scan{{code: office, carrier: "china-post", city: "Campinas", zone: 8}, {hour: 8, code: office, carrier: "correios", city: "CAMPINAS"}}, 1},
		{"an assumed offset out by whole hours", []scan{{code: office, carrier: "acme", number: "AC1", country: "BR", zone: 8, unsure: true}, {hour: 11, code: office, carrier: "correios", country: "BR", zone: -3}}, 1},
		{"an assumed offset out by daylight saving", []scan{{hour: 1, code: office, carrier: "china-post", country: "DE", zone: 1, unsure: true}, {hour: 0, code: office, carrier: "dhl", country: "DE", zone: 2}}, 1},
		{"an assumed offset, an hour between the clocks", []scan{{code: office, carrier: "china-post", country: "DE", zone: 1, unsure: true}, {hour: 1, code: office, carrier: "dhl", country: "DE", zone: 1}}, 2},
		{"an assumed offset, a place that nobody knows", []scan{{code: office, carrier: "china-post", zone: 8, unsure: true}, {hour: 8, code: office, carrier: "correios", country: "BR"}}, 2},
		{"an assumed offset that the other's report bears out", []scan{{code: office, carrier: "china-post", zone: 8, unsure: true}, {code: office, carrier: "correios", country: "BR", zone: 8}}, 1},
		{"an assumed offset, its instant told in UTC by the other", []scan{{code: office, carrier: "china-post", country: "CN", zone: 8, unsure: true}, {code: office, carrier: "17track", country: "CN"}}, 1},
		{"an assumed offset, its instant told elsewhere", []scan{{code: office, carrier: "china-post", zone: 8, unsure: true}, {code: office, carrier: "17track", country: "CN"}}, 2},
		{"written in UTC and read as local, in one city", []scan{{hour: -8, code: office, carrier: "17track", country: "CN", city: "Shenzhen", zone: 8, unsure: true}, {code: office, carrier: "china-post", country: "CN", city: "Shenzhen", zone: 8}}, 1},
		{"written in UTC and read as local, in one country", []scan{{hour: -8, code: office, carrier: "17track", country: "CN", zone: 8, unsure: true}, {code: office, carrier: "china-post", country: "CN", zone: 8}}, 2},
		{"both assumed, the same instant by luck", []scan{{code: office, carrier: "china-post", country: "CN", zone: 8, unsure: true}, {code: office, carrier: "17track", country: "CN", unsure: true}}, 2},
		{"two countries", []scan{{code: office, carrier: "china-post", country: "CN"}, {code: office, carrier: "correios", country: "BR"}}, 2},
		{"two cities", []scan{{code: office, carrier: "china-post", city: "Campinas"}, {code: office, carrier: "correios", city: "Curitiba"}}, 2},
		{"one city in two spellings", []scan{{code: office, carrier: "china-post", city: "Sao Paulo"}, {code: office, carrier: "correios", city: "SÃO PAULO"}}, 1},
		{"two codes", []scan{{code: office, carrier: "china-post"}, {code: parcel.CodeOutForDelivery, carrier: "correios"}}, 2},
		{"in transit is no specific scan", []scan{{code: parcel.CodeInTransit, carrier: "china-post"}, {code: office, carrier: "correios"}}, 2},
		{"unknown is no specific scan", []scan{{code: parcel.CodeUnknown, carrier: "china-post"}, {code: office, carrier: "correios"}}, 2},
		{"two codes that nobody mapped", []scan{{code: parcel.CodeUnknown, carrier: "china-post"}, {code: parcel.CodeUnknown, carrier: "correios"}}, 2},
		{"in transit, by two", []scan{{code: parcel.CodeInTransit, carrier: "china-post"}, {code: parcel.CodeInTransit, carrier: "correios"}}, 1},
		{"an aggregator repeats in fewer words", []scan{{code: parcel.CodeInTransit, carrier: "correios", teller: "17track"}, {code: office, carrier: "correios"}}, 1},
		{"an aggregator repeats in fewer words, by a clock that only UTC explains", []scan{{hour: -8, code: parcel.CodeInTransit, carrier: "china-post", teller: "17track", country: "CN", city: "Shenzhen", zone: 8, unsure: true}, {code: office, carrier: "china-post", country: "CN", city: "Shenzhen", zone: 8}}, 2},
		{"an aggregator repeats what it cannot name", []scan{{code: parcel.CodeUnknown, carrier: "correios", teller: "17track"}, {code: office, carrier: "correios"}}, 1},
		{"an aggregator repeats another carrier", []scan{{code: parcel.CodeInTransit, carrier: "china-post", teller: "17track"}, {code: office, carrier: "correios"}}, 2},
		{"one carrier says two things", []scan{{code: failed, carrier: "correios", own: "1"}, {code: failed, carrier: "correios", own: "2"}}, 2},
		{"one carrier says two things, another one of them", []scan{{code: failed, carrier: "correios", own: "1"}, {code: failed, carrier: "correios", own: "2"}, {code: failed, carrier: "china-post"}}, 2},
		{"two attempts of a day, told by two", []scan{{hour: 1, code: failed, carrier: "correios"}, {hour: 6, code: failed, carrier: "correios"}, {hour: 1, code: failed, carrier: "china-post"}, {hour: 6, code: failed, carrier: "china-post"}}, 2},
		{"two attempts of a day, the hour assumed", []scan{{hour: 1, code: failed, carrier: "correios", country: "BR"}, {hour: 2, code: failed, carrier: "china-post", country: "BR", unsure: true}}, 2},
		{"days without clocks", []scan{{code: office, carrier: "correios", country: "BR", day: true}, {code: office, carrier: "china-post", country: "BR", day: true}}, 1},
		{"days without clocks, no place", []scan{{code: office, carrier: "correios", day: true}, {code: office, carrier: "china-post", day: true}}, 2},
		{"a day and an attempt within it", []scan{{code: failed, carrier: "correios", country: "BR", day: true}, {code: failed, carrier: "china-post", country: "BR"}}, 2},
		{"a day and the delivery within it", []scan{{code: parcel.CodeDelivered, carrier: "correios", country: "BR", day: true}, {hour: 6, code: parcel.CodeDelivered, carrier: "china-post", country: "BR"}}, 1},
		{"numbers that have nothing to do with each other", []scan{{code: office, carrier: "correios", number: "NX1"}, {code: office, carrier: "acme", number: "AC1"}}, 2},
		{"a number that the other named", []scan{{hour: -9, code: parcel.CodeHandedToLinehaul, carrier: "acme", number: "AC1", next: "correios/NX1"}, {code: office, carrier: "correios", number: "NX1"}, {code: office, carrier: "acme", number: "AC1"}}, 2},
		{"no chain by the one in the middle", []scan{{code: office, carrier: "a", city: "Campinas"}, {code: office, carrier: "b"}, {code: office, carrier: "c", city: "Curitiba"}}, 2},
		{"no chain by minutes", []scan{{code: office, carrier: "a"}, {hour: 40 * second, code: office, carrier: "b"}, {hour: 80 * second, code: office, carrier: "c"}}, 2},
		{"three scans of a minute, told by two", []scan{
			{code: parcel.CodeDestinationHubProcessed, carrier: "correios"}, {code: office, carrier: "correios"}, {code: parcel.CodeOutForDelivery, carrier: "correios"},
			{code: parcel.CodeDestinationHubProcessed, carrier: "china-post"}, {code: office, carrier: "china-post"}, {code: parcel.CodeOutForDelivery, carrier: "china-post"}}, 3},
		{"four who tell one scan", []scan{{code: office, carrier: "correios"}, {code: office, carrier: "china-post"}, {code: office, carrier: "correios", teller: "17track"}, {code: office, carrier: "china-post", teller: "17track"}}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.scans {
				if c.scans[i].number == "" {
					c.scans[i].number = "RB1CN"
				}
				c.scans[i].hour += 6 // midday
			}
			// An assumed offset out by hours is between a number and the next.
			rows := rowsOf(c.scans)
			if c.name == "an assumed offset out by whole hours" {
				rows = append(rows, scan{hour: -40, code: parcel.CodeOriginCountryDeparted, carrier: "acme", number: "AC1", next: "correios/RB1CN"}.row("S1"))
				c.want++
			}
			j := parcel.Fold(shipment("CN", "BR"), nil, rows)
			if len(j.Events) != c.want {
				t.Errorf("%d events, want %d:\n%s", len(j.Events), c.want, strings.Join(told(j), "\n"))
			}
			slices.Reverse(rows)
			if d := cmp.Diff(j, parcel.Fold(shipment("CN", "BR"), nil, rows), sameJourney); d != "" {
				t.Errorf("told the other way round:\n%s", d)
			}
		})
	}
}

// TestTheClosestPairIsOne: of two that could be meant, the one that agrees best.
func TestTheClosestPairIsOne(t *testing.T) {
	j := parcel.Fold(shipment("CN", "BR"), nil, rowsOf([]scan{
		{hour: 5, code: parcel.CodeInTransit, carrier: "correios", number: "NX1"},
		{hour: 5 + 30./3600, code: parcel.CodeDeliveryOfficeArrived, carrier: "correios", number: "NX1"},
		{hour: 5, code: parcel.CodeDeliveryOfficeArrived, carrier: "correios", teller: "17track", number: "NX1"},
	}))
	got := norm(told(j))
	slices.Sort(got)
	if d := cmp.Diff([]string{"correios DELIVERY_OFFICE_ARRIVED by 17track, correios", "correios IN_TRANSIT by correios"}, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

// TestWithdrawnLinkPartsTheNumbers: numbers are linked by an event; without it
// their scans have nothing to do with each other.
func TestWithdrawnLinkPartsTheNumbers(t *testing.T) {
	naming := scan{hour: 1, code: parcel.CodeOriginCountryDeparted, next: "correios/NX1"}
	rows := rowsOf([]scan{naming, {hour: 5, code: parcel.CodeDeliveryOfficeArrived}, {hour: 5, code: parcel.CodeDeliveryOfficeArrived, carrier: "correios", number: "NX1"}})
	linked := parcel.Fold(shipment("CN", "BR"), nil, rows)
	if len(linked.Events) != 2 {
		t.Fatalf("linked: %v", told(linked))
	}
	target := naming.row("S1")
	parted := parcel.Fold(shipment("CN", "BR"), &linked, []parcel.Event{{ID: target.ID, EventKey: target.EventKey, EventDigest: "x",
		Retraction: &parcel.Retraction{Target: target.EventKey, Kind: parcel.RetractionIncorrect, At: day0}}})
	if len(parted.Events) != 3 {
		t.Errorf("parted: %v", told(parted))
	}
}

// TestAliasLinksTheNumbers: two names of one parcel, which no event tells.
func TestAliasLinksTheNumbers(t *testing.T) {
	rows := rowsOf([]scan{{hour: 5, code: parcel.CodeDeliveryOfficeArrived}, {hour: 5, code: parcel.CodeDeliveryOfficeArrived, carrier: "correios", number: "NX1"}})
	s := shipment("CN", "BR")
	apart := parcel.Fold(s, nil, rows)
	s.Found = []parcel.FoundNumber{{Carrier: "correios", Number: "NX1", FromCarrier: "acme", From: "AC1", Rule: parcel.FoundAlias}}
	if one := parcel.Fold(s, &apart, nil); len(apart.Events) != 2 || len(one.Events) != 1 {
		t.Errorf("%v, and by the alias %v", told(apart), told(one))
	}
}

// TestWhoTellsMoreOwnsTheStage: of two who tell of the same stages, the scan is
// the one's that tells more of its stage.
func TestWhoTellsMoreOwnsTheStage(t *testing.T) {
	scans := []scan{
		{hour: 5, code: parcel.CodeDeliveryOfficeArrived, carrier: "b"}, {hour: 5, code: parcel.CodeDeliveryOfficeArrived, carrier: "a"},
		{hour: 9, code: parcel.CodeOutForDelivery, carrier: "b"},
	}
	for i := range scans {
		scans[i].number = "N1"
	}
	wantLegs(t, parcel.Fold(shipment("CN", "BR"), nil, rowsOf(scans)), "LAST_MILE b/N1 ACTIVE 2")
}

// TestTheBestTellerIsShown: the words of the one that knows most, what only
// another knows added, and the names of the one that was heard first.
func TestTheBestTellerIsShown(t *testing.T) {
	early := scan{hour: 5, code: parcel.CodeDelivered, carrier: "china-post", country: "BR", zone: 8, unsure: true, to: parcel.DeliveredToNeighbour}.row("S1")
	early.Occurred = parcel.LocalMoment("", time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC), time.FixedZone("", 8*3600), parcel.CertaintyAssumed)
	early.EventKey = early.Key()
	early.ID, early.ReceivedAt = "FIRST", day0
	late := scan{hour: 5, code: parcel.CodeDelivered, carrier: "correios", country: "BR", city: "Campinas", zone: -3}.row("S1")
	late.Words, late.ReceivedAt = "Objeto entregue", day0.Add(time.Hour)
	late.ID = "SECOND"
	j := parcel.Fold(shipment("CN", "BR"), nil, []parcel.Event{late, early})
	if len(j.Events) != 1 {
		t.Fatalf("%d events: %v", len(j.Events), told(j))
	}
	e := j.Events[0]
	if e.Words != "Objeto entregue" || e.Occurred.Certainty != parcel.CertaintyReported || e.Place.City != "Campinas" || e.DeliveredTo != parcel.DeliveredToNeighbour {
		t.Errorf("shown: %+v", e.Observation)
	}
	if e.ID != "FIRST" || e.EventKey != early.EventKey || !e.ReceivedAt.Equal(day0) {
		t.Errorf("it goes by %s, received %s", e.ID, e.ReceivedAt)
	}
	for _, id := range []string{"FIRST", "SECOND"} {
		if j.EventByID(id) != 0 {
			t.Errorf("%s does not find it", id)
		}
	}
	if j.EventByKey(late.EventKey) != 0 || j.EventByID("THIRD") != -1 {
		t.Error("keys find it, and strangers do not")
	}
	for _, r := range []parcel.Event{early, late} {
		if !j.Tells(r.EventKey, r.EventDigest) {
			t.Errorf("%s is not known to be told", r.ID)
		}
	}
	if j.Tells(early.EventKey, late.EventDigest) {
		t.Error("one's words are taken for the other's")
	}
}

// TestBetterTeller holds the order of what makes a telling the better one: of two
// the first is shown, though the second has more of what counts less.
func TestBetterTeller(t *testing.T) {
	base := scan{hour: 5, code: parcel.CodeDelivered, carrier: "correios", number: "RB1CN", country: "BR"}
	with := func(change func(*scan)) scan { s := base; change(&s); return s }
	cases := []struct {
		name          string
		better, worse scan
	}{
		{"a code that says more", with(func(s *scan) { s.unsure = true }), with(func(s *scan) { s.code, s.teller, s.city = parcel.CodeInTransit, "17track", "Campinas" })},
		{"a clock before a day", with(func(s *scan) { s.unsure = true }), with(func(s *scan) { s.carrier, s.day, s.city = "upu", true, "Campinas" })},
		{"the surer offset", base, with(func(s *scan) { s.carrier, s.unsure, s.city = "upu", true, "Campinas" })},
		{"more of the place", with(func(s *scan) { s.teller, s.city = "17track", "Campinas" }), base},
		{"whose scan it is", base, with(func(s *scan) { s.teller = "17track" })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			better, worse := c.better.row("S1"), c.worse.row("S1")
			better.Words, worse.Words = "better", "worse, with more words"
			for _, rows := range [][]parcel.Event{{better, worse}, {worse, better}} {
				j := parcel.Fold(shipment("CN", "BR"), nil, rows)
				if len(j.Events) != 1 || j.Events[0].Words != "better" {
					t.Errorf("%v, shown in the words %q", told(j), j.Events[0].Words)
				}
			}
		})
	}
}

// TestRetractionOfATwin: who takes back what, where several tell it.
func TestRetractionOfATwin(t *testing.T) {
	at := func(hours float64) time.Time { return day0.Add(time.Duration(hours * float64(time.Hour))) }
	correct := func(r parcel.Event, by string, when float64) parcel.Event {
		return parcel.Event{ID: r.ID, ShipmentID: "S1", EventKey: r.EventKey, EventDigest: "correction", Source: parcel.SourceReport, ReceivedAt: at(when),
			Retraction: &parcel.Retraction{Target: r.EventKey, Kind: parcel.RetractionIncorrect, At: at(when), ReplacedBy: by}}
	}
	own := scan{hour: 5, code: parcel.CodeDelivered, carrier: "correios", number: "RB1CN", country: "BR"}
	post, echo := own, own
	post.carrier, echo.teller = "china-post", "17track"
	disregard := scan{hour: 6, code: parcel.CodeUnknown, carrier: "correios", number: "RB1CN", own: "EST/09", retract: true}
	report := own.row("S1")
	report.OwnCode, report.Parcel, report.Source, report.PayloadID, report.ReceivedAt = "DELIVERED", "by hand", parcel.SourceReport, "", at(20)
	report.EventKey, report.EventDigest = report.Key(), "by hand"
	cases := []struct {
		name    string
		rows    []parcel.Event
		outcome parcel.Outcome
		want    []string
	}{
		{"the carrier takes back its own, another's stands", []parcel.Event{own.row("S1"), post.row("S1"), disregard.row("S1")}, parcel.OutcomeDelivered,
			[]string{"china-post DELIVERED by china-post", "correios DELIVERED by correios withdrawn BY_CARRIER"}},
		{"the carrier takes back its own, and its echo with it", []parcel.Event{own.row("S1"), echo.row("S1"), disregard.row("S1")}, "",
			[]string{"correios DELIVERED by 17track, correios withdrawn BY_CARRIER"}},
		{"the echo is taken back by who repeated it", []parcel.Event{own.row("S1"), echo.row("S1"),
			scan{hour: 6, code: parcel.CodeUnknown, carrier: "correios", teller: "17track", number: "RB1CN", own: "x", retract: true}.row("S1")}, parcel.OutcomeDelivered,
			[]string{"correios DELIVERED by correios", "correios DELIVERED by 17track withdrawn BY_CARRIER"}},
		{"a person corrects what is shown", []parcel.Event{own.row("S1"), post.row("S1"), correct(own.row("S1"), "", 10)}, "",
			[]string{"correios DELIVERED by correios, china-post withdrawn INCORRECT_DATA"}},
		{"a person corrects by the other name", []parcel.Event{own.row("S1"), post.row("S1"), correct(post.row("S1"), "", 10)}, "",
			[]string{"correios DELIVERED by correios, china-post withdrawn INCORRECT_DATA"}},
		{"a person and the carrier", []parcel.Event{own.row("S1"), post.row("S1"), disregard.row("S1"), correct(own.row("S1"), "", 10)}, "",
			[]string{"correios DELIVERED by correios, china-post withdrawn INCORRECT_DATA"}},
		{"what stands in its place stands", []parcel.Event{own.row("S1"), post.row("S1"), report, correct(own.row("S1"), report.EventKey, 20)}, parcel.OutcomeDelivered,
			[]string{"correios DELIVERED by correios, china-post withdrawn INCORRECT_DATA", "correios DELIVERED by report"}},
		{"a person reports it again after the correction", []parcel.Event{own.row("S1"), post.row("S1"), correct(own.row("S1"), "", 10), report}, parcel.OutcomeDelivered,
			[]string{"correios DELIVERED by correios, china-post withdrawn INCORRECT_DATA", "correios DELIVERED by report"}},
		{"a person reported it before the correction", []parcel.Event{own.row("S1"), post.row("S1"), report, correct(own.row("S1"), "", 30)}, "",
			[]string{"correios DELIVERED by correios, china-post, report withdrawn INCORRECT_DATA"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := shipment("CN", "BR", parcel.DeclaredLeg{Stage: parcel.StageLastMile, StageGiven: true, Carrier: "correios"})
			j := parcel.Fold(s, nil, c.rows)
			if j.Outcome != c.outcome {
				t.Errorf("outcome %q, want %q", j.Outcome, c.outcome)
			}
			got := told(j)
			slices.Sort(got)
			slices.Sort(c.want)
			// Who was received at the same moment stands in no order that matters.
			if d := cmp.Diff(norm(c.want), norm(got)); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
		})
	}
}

// norm puts the witnesses of each line in the order of their names.
func norm(lines []string) (out []string) {
	for _, l := range lines {
		head, rest, _ := strings.Cut(l, " by ")
		who, mark, marked := strings.Cut(rest, " withdrawn ")
		names := strings.Split(who, ", ")
		slices.Sort(names)
		l = head + " by " + strings.Join(names, ", ")
		if marked {
			l += " withdrawn " + mark
		}
		out = append(out, l)
	}
	return out
}

// TestTwinsMakeNoLegs: what two posts tell of one S10 item is one journey: no leg
// for who repeats, no handover between two who tell the same, nothing announced
// or counted twice.
func TestTwinsMakeNoLegs(t *testing.T) {
	const number = "RB1CN"
	home := []scan{
		{hour: 1, code: parcel.CodePickedUp, country: "CN"}, {hour: 9, code: parcel.CodeExportExchangeArrived, country: "CN"}, {hour: 20, code: parcel.CodeOriginCountryDeparted, country: "CN"},
	}
	away := []scan{
		{hour: 60, code: parcel.CodeImportCustomsHeld, country: "BR"}, {hour: 70, code: parcel.CodeImportCustomsReleased, country: "BR"},
		{hour: 80, code: parcel.CodeDeliveryOfficeArrived, country: "BR"}, {hour: 85, code: parcel.CodeDeliveryAttemptFailed, country: "BR"},
		{hour: 90, code: parcel.CodeInTransit, country: "BR"}, {hour: 99, code: parcel.CodeDelivered, country: "BR"},
	}
	by := func(carrier, teller string, late float64, lists ...[]scan) (out []parcel.Event) {
		for _, s := range slices.Concat(lists...) {
			s.carrier, s.teller, s.number = carrier, teller, number
			r := s.row("S1")
			r.ReceivedAt = r.ReceivedAt.Add(time.Duration(late * float64(time.Hour)))
			out = append(out, r)
		}
		return out
	}
	china := parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "china-post", Number: number}
	correios := parcel.DeclaredLeg{Stage: parcel.StageLastMile, Carrier: "correios", Number: number}
	track := parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "17track", Number: number}
	// As one post tells the way there and the other the way within.
	plain := slices.Concat(by("china-post", "", .1, home), by("correios", "", .1, away))
	cases := []struct {
		name  string
		legs  []parcel.DeclaredLeg
		twins []parcel.Event
	}{
		{"the second post repeats the first", []parcel.DeclaredLeg{china}, by("correios", "", .5, home)},
		{"the first post repeats the second", []parcel.DeclaredLeg{china}, by("china-post", "", .5, away)},
		{"each repeats the other, both declared", []parcel.DeclaredLeg{china, correios}, slices.Concat(by("correios", "", .5, home), by("china-post", "", .5, away))},
		{"the network beside the posts", []parcel.DeclaredLeg{china}, by("upu-postal", "", .5, home, away)},
		{"the network beside the posts, declared", []parcel.DeclaredLeg{china, {Carrier: "upu-postal", Number: number}}, by("upu-postal", "", .5, home, away)},
		{"an aggregator that says whose scans they are", []parcel.DeclaredLeg{track}, slices.Concat(by("china-post", "17track", .5, home), by("correios", "17track", .5, away))},
		{"an aggregator that does not", []parcel.DeclaredLeg{china}, by("17track", "", .5, home, away)},
		{"all of them", []parcel.DeclaredLeg{china}, slices.Concat(by("correios", "", .5, home), by("upu-postal", "", .6, home, away), by("china-post", "17track", .7, home), by("correios", "17track", .8, away))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := shipment("CN", "BR", c.legs...)
			without, with := *s, *s
			without.Journey = parcel.Fold(s, nil, plain)
			with.Journey = parcel.Fold(s, &without.Journey, c.twins)
			if len(without.Journey.Events) != 9 || len(with.Journey.Events) != 9 {
				t.Fatalf("%d events, and %d with the twins: %v", len(without.Journey.Events), len(with.Journey.Events), told(with.Journey))
			}
			legs := func(j parcel.Journey) (out []string) {
				for _, l := range j.Legs {
					out = append(out, fmt.Sprintf("%s %s/%s %s from %d to %d", l.Stage, l.Carrier, l.Number, l.State, l.FirstEvent, l.LastEvent))
				}
				return out
			}
			wantLegs := []string{
				"FIRST_MILE china-post/RB1CN DONE from 0 to 0", "LINEHAUL china-post/RB1CN DONE from 1 to 2",
				"CUSTOMS correios/RB1CN DONE from 3 to 4", "LAST_MILE correios/RB1CN DONE from 5 to 8",
			}
			if d := cmp.Diff(wantLegs, legs(with.Journey)); d != "" {
				t.Errorf("legs (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]parcel.Handover{{From: 1, To: 2, Released: 2, Accepted: 3, CountsAgainst: 1, Rule: "handover.until_accepted"}}, with.Journey.Handovers); d != "" {
				t.Errorf("handovers (-want +got):\n%s", d)
			}
			for _, ch := range parcel.Changes(&without, &with, day0) {
				if ch.Kind != parcel.ChangeLeg { // a plan that came to nothing may go
					t.Errorf("announced: %s %s %s", ch.Kind, ch.To, ch.ExceptionKey)
				}
			}
			if d := parcel.CohortDeltas(&without, &with); d != nil {
				t.Errorf("counted again: %+v", d)
			}
			// Each is counted and announced once where all come at once.
			at := *s
			at.Journey = parcel.Fold(s, nil, slices.Concat(c.twins, plain))
			if d := cmp.Diff(with.Journey, at.Journey, sameJourney); d != "" {
				t.Errorf("all at once (-one after the other +at once):\n%s", d)
			}
			seen := map[string]int{}
			for _, ch := range parcel.Changes(s, &at, day0) {
				seen[fmt.Sprint(ch.Kind, ch.To, ch.ExceptionKind, ch.ExceptionAction, ch.LegKey, ch.LegAction)]++
			}
			for what, n := range seen {
				if n > 1 {
					t.Errorf("%s was announced %d times", what, n)
				}
			}
		})
	}
}

// TestTwinNamesTheNextNumber: what only the second teller knows is known.
func TestTwinNamesTheNextNumber(t *testing.T) {
	left := scan{hour: 5, code: parcel.CodeLastMileAccepted, carrier: "acme", number: "AC1", country: "BR", city: "Campinas"}
	knows := left
	knows.carrier, knows.city, knows.next = "17track", "", "correios/NX1"
	acme := parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"}
	j := parcel.Fold(shipment("CN", "BR", acme, parcel.DeclaredLeg{Stage: parcel.StageLastMile, StageGiven: true, Carrier: "acme"}), nil, rowsOf([]scan{left, knows}))
	wantTold(t, j, "acme LAST_MILE_ACCEPTED by acme, 17track")
	wantLegs(t, j, "LAST_MILE acme/AC1 ACTIVE 1", "LAST_MILE correios/NX1 PLANNED 0")
	if j.Custody.State != parcel.CustodyBetween {
		t.Errorf("custody %s", j.Custody.State)
	}
}

// TestClassesHoldEveryTellingOnce: whatever is told, each row's event is one
// telling of one event, and no voice speaks twice in one.
func TestClassesHoldEveryTellingOnce(t *testing.T) {
	united := 0
	rapid.Check(t, func(t *rapid.T) {
		s, rows := drawShipment(t), drawRows(t)
		j := parcel.Fold(s, nil, rows)
		keys := map[string]int{}
		for i := range j.Events {
			e := &j.Events[i]
			voices := map[string]bool{}
			hasID := false
			for x := range e.Each() {
				keys[x.EventKey]++
				hand := !slices.ContainsFunc(e.Witnesses, func(w parcel.Witness) bool { return w.Key == x.EventKey && w.Source != parcel.SourceReport })
				v := fmt.Sprint(hand, x.Teller, "/", x.Carrier)
				if hand {
					v = fmt.Sprint(hand, x.Carrier)
				}
				if voices[v] {
					t.Fatalf("%s speaks twice in %+v", v, e.Tellings)
				}
				voices[v] = true
				hasID = hasID || x.ID == e.ID && x.EventKey == e.EventKey
				if e.Place.Country != "" && x.Place.Country != "" && e.Place.Country != x.Place.Country {
					t.Fatalf("one scan in %s and %s", e.Place.Country, x.Place.Country)
				}
			}
			if len(e.Tellings) == 1 || !hasID {
				t.Fatalf("%d tellings, its own id among them: %v", len(e.Tellings), hasID)
			}
			if len(e.Tellings) > 1 {
				united++
			}
		}
		for _, r := range rows {
			if r.Retraction == nil && keys[r.EventKey] != 1 {
				t.Fatalf("the event %s is told %d times", r.EventKey, keys[r.EventKey])
			}
			if r.Retraction != nil {
				if e := j.Events[j.EventByKey(r.EventKey)]; e.Retracted == nil || e.Retracted.Kind == parcel.RetractionByCarrier {
					t.Fatalf("the correction of %s is lost", r.EventKey)
				}
			}
		}
	})
	if united == 0 {
		t.Error("nothing was ever united: the test draws no twins")
	}
}
