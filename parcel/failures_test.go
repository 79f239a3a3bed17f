package parcel_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/parcel"
)

// TestFailures is the list of what goes wrong in parcel tracking, as far as it is
// for this room to get right; the number is the line of the list. What an adapter
// must do about a line is tested with the adapter.
func TestFailures(t *testing.T) {
	t.Run("01_a_day_without_a_clock_stays_a_day", failureDayStaysADay)
	t.Run("02_a_clock_without_a_zone_says_so", failureNoZone)
	t.Run("03_mixed_zones_in_one_payload", failureMixedZones)
	t.Run("04_an_offset_is_not_UTC", failureOffsetIsNotUTC)
	t.Run("05_fractions_of_a_second", failureFractions)
	t.Run("06_clocks_jump_back_with_the_zone", failureClocksJumpBack)
	t.Run("07_same_checkpoint_with_and_without_city", failureSameCheckpoint)
	t.Run("14_late_event_after_delivery", failureLateEvent)
	t.Run("14_second_number_keeps_the_first", failureSecondNumber)
	t.Run("15_out_for_delivery_registered_after_delivered", failureOutForDeliveryLate)
	t.Run("16_multi_leg_order", failureMultiLegOrder)
	t.Run("17_label_scans_prove_only_registered", failureLabelScans)
	t.Run("18_station_signature_and_early_declaration", failureStationAndDeclaration)
	t.Run("19_no_upward_or_sideways_guess", failureNoGuess)
	t.Run("31_one_milestone_one_message", failureOneMessage)
	t.Run("32_handoff_in_a_sentence", failureHandoffSentence)
	t.Run("33_missing_fields", failureMissingFields)
	t.Run("34_unknown_code", failureUnknownCode)
	t.Run("36_no_field_holds_another", failureFieldsKeepApart)
}

func failureDayStaysADay(t *testing.T) {
	for offset := -12; offset <= 14; offset++ {
		loc := time.FixedZone("", offset*3600)
		m := parcel.DayMoment("05/10/2026", time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC), loc, parcel.CertaintyAssumed)
		if m.Wall != "2026-10-05" || m.Day() != "2026-10-05" || !m.DateOnly() || m.Written() != "05/10/2026" {
			t.Errorf("offset %+d: %q, day %q", offset, m.Wall, m.Day())
		}
		if got := m.Latest().Sub(m.Earliest()); got != 24*time.Hour-time.Microsecond {
			t.Errorf("offset %+d: it spans %s", offset, got)
		}
	}
	// A promise is a day of the place: late in the evening of the last day, which
	// is the next day in UTC, it is kept.
	s := shipment("CN", "BR", parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"})
	s.Promises = []parcel.Promise{{By: "2026-10-05"}}
	for _, c := range []struct {
		at   time.Time
		kept int
	}{{time.Date(2026, 10, 6, 2, 30, 0, 0, time.UTC), 1}, {time.Date(2026, 10, 6, 3, 30, 0, 0, time.UTC), 0}} {
		done := *s
		done.Journey = parcel.Fold(s, nil, rowsOf([]scan{{hour: 1, code: parcel.CodePickedUp}, {hour: c.at.Sub(day0).Hours(), code: parcel.CodeDelivered, zone: -3}}))
		due, kept := 0, 0
		for _, d := range parcel.CohortDeltas(nil, &done) {
			due, kept = due+d.Due, kept+d.Kept
		}
		if due != 1 || kept != c.kept {
			t.Errorf("delivered %s: %d due, %d kept; want 1, %d", c.at, due, kept, c.kept)
		}
	}
}

func failureNoZone(t *testing.T) {
	wall := time.Date(2026, 10, 5, 9, 1, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		place     parcel.Place
		certainty parcel.Certainty
		span      time.Duration
	}{
		{"by the place", parcel.Place{Country: "US", City: "Denver", Region: "CO"}, parcel.CertaintyPlace, 0},
		{"by the country alone", parcel.Place{Country: "US"}, parcel.CertaintyAssumed, 0},
		{"by nothing", parcel.Place{}, parcel.CertaintyUnknown, 26 * time.Hour},
	} {
		name, certainty := parcel.ZoneFor(c.place)
		var loc *time.Location
		if name != "" {
			var err error
			if loc, err = time.LoadLocation(name); err != nil {
				t.Fatal(err)
			}
		}
		m := parcel.LocalMoment("October 5, 2026, 9:01 am", wall, loc, certainty)
		if m.Certainty != c.certainty || m.Written() != "October 5, 2026, 9:01 am" || m.Wall != "2026-10-05T09:01:00" || m.Latest().Sub(m.Earliest()) != c.span {
			t.Errorf("%s: %s, written %q, wall %s, spans %s", c.name, m.Certainty, m.Written(), m.Wall, m.Latest().Sub(m.Earliest()))
		}
	}
}

// failureMixedZones: dates in no zone beside activities with an offset, in one
// payload.
func failureMixedZones(t *testing.T) {
	label := scan{code: parcel.CodeInfoReceived, hour: 0}.row("S1")
	label.Occurred = parcel.DayMoment("20261001", day0, nil, parcel.CertaintyUnknown)
	local := scan{code: parcel.CodeOriginHubArrived}.row("S1")
	local.Occurred = parcel.LocalMoment("20261001 110000", time.Date(2026, 10, 1, 11, 0, 0, 0, time.UTC), time.FixedZone("", -7*3600), parcel.CertaintyAssumed) // 18:00 UTC
	sure := scan{code: parcel.CodePickedUp, hour: 9, zone: -4}.row("S1")                                                                                        // 17:00 UTC, 13:00 on the wall
	rows := []parcel.Event{local, sure, label}
	for i := range rows {
		rows[i].EventKey, rows[i].EventDigest = rows[i].Key(), rows[i].Digest()
	}
	j := parcel.Fold(shipment("US", "US"), nil, rows)
	var got []string
	for _, e := range j.Events {
		got = append(got, string(e.Occurred.Certainty)+" "+e.Occurred.Wall)
	}
	if d := gocmp.Diff([]string{"UNKNOWN 2026-10-01", "REPORTED 2026-10-01T13:00:00", "ASSUMED 2026-10-01T11:00:00"}, got); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

func failureOffsetIsNotUTC(t *testing.T) {
	at, err := time.Parse(time.RFC3339, "2026-04-03T09:00:00+08:00")
	if err != nil {
		t.Fatal(err)
	}
	m := parcel.ReportedMoment("2026-04-03T09:00:00+08:00", at)
	if m.Offset() != "+08:00" || m.Wall != "2026-04-03T09:00:00" || !m.At.Equal(time.Date(2026, 4, 3, 1, 0, 0, 0, time.UTC)) {
		t.Errorf("%s %s is %s", m.Wall, m.Offset(), m.At)
	}
	// A day and a month are told apart by the adapter's layout; what was written
	// stays, so that a wrong layout can be found and read again.
	for layout, want := range map[string]string{"02/01/2006": "2026-04-03", "01/02/2006": "2026-03-04"} {
		day, err := time.Parse(layout, "03/04/2026")
		if err != nil {
			t.Fatal(err)
		}
		if m := parcel.DayMoment("03/04/2026", day, nil, parcel.CertaintyUnknown); m.Wall != want || m.Written() != "03/04/2026" {
			t.Errorf("%s: %s, written %q", layout, m.Wall, m.Written())
		}
	}
}

func failureFractions(t *testing.T) {
	walls := map[string]string{}
	for digits := range 10 {
		text := "2026-10-21T11:52:00" + strings.TrimSuffix("."+"120000000"[:digits], ".") + "-07:00"
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		m := parcel.ReportedMoment(text, at)
		walls[m.Wall] = text
		if m.Written() != text && m.Wall != text {
			t.Errorf("%q is written %q", text, m.Written())
		}
		if got := m.Face(); got.Truncate(time.Second) != time.Date(2026, 10, 21, 11, 52, 0, 0, time.UTC) {
			t.Errorf("%q shows %s", text, got)
		}
	}
	if len(walls) != 3 { // no fraction, .1 and .12: zeros behind say nothing
		t.Errorf("clock faces: %v", walls)
	}
	// Ticks and nanoseconds are cut to microseconds, and stay one event.
	at := time.Date(2026, 10, 21, 11, 52, 0, 123456789, time.UTC)
	a, b := parcel.ReportedMoment("", at), parcel.ReportedMoment("", at.Truncate(time.Microsecond))
	if a.Wall != b.Wall || !a.At.Equal(b.At) {
		t.Errorf("%s and %s", a.Wall, b.Wall)
	}
}

func failureClocksJumpBack(t *testing.T) {
	rows := rowsOf([]scan{
		{hour: 0, zone: 10, code: parcel.CodePickedUp, country: "RU"}, {hour: 3, zone: 3, code: parcel.CodeInTransit, country: "RU"},
		{hour: 5, zone: 8, code: parcel.CodeOutForDelivery, country: "RU"}, {hour: 5, zone: 2, code: parcel.CodeDeliveryOfficeArrived, country: "RU"},
	})
	want := []parcel.Code{parcel.CodePickedUp, parcel.CodeInTransit, parcel.CodeDeliveryOfficeArrived, parcel.CodeOutForDelivery} // a tie goes by rank
	if rows[1].Occurred.Wall >= rows[0].Occurred.Wall {
		t.Fatal("the clock does not jump back")
	}
	rapid.Check(t, func(t *rapid.T) {
		var got []parcel.Code
		for _, e := range parcel.Fold(shipment("RU", "RU"), nil, rapid.Permutation(rows).Draw(t, "order")).Events {
			got = append(got, e.Code)
		}
		if d := gocmp.Diff(want, got); d != "" {
			t.Fatalf("order (-want +got):\n%s", d)
		}
	})
}

func failureSameCheckpoint(t *testing.T) {
	vague := scan{hour: 5, code: parcel.CodeOriginHubArrived, own: "3036"}
	exact := vague
	exact.country, exact.city = "CN", "Shenzhen"
	words := exact.row("S1").Observation
	words.Words, words.Language, words.Place.Facility = "Прибыло в сортировочный центр", "ru", "Сортировочный центр"
	told := []parcel.Event{vague.row("S1"), exact.row("S1"), eventOf("S1", words, day0.AddDate(0, 0, 2))}
	rapid.Check(t, func(t *rapid.T) {
		j := parcel.Fold(shipment("CN", "RU"), nil, rapid.Permutation(told).Draw(t, "order"))
		if len(j.Events) != 1 || len(j.Events[0].Witnesses) != 3 || j.Events[0].Place.City != "Shenzhen" {
			t.Fatalf("%d events: %+v", len(j.Events), j.Events)
		}
	})
	// Two carriers of it: still one, be the city in capitals or missing.
	for _, city := range []string{"", "SHENZHEN"} {
		twin := exact
		twin.carrier, twin.city = "17track", city
		if j := parcel.Fold(shipment("CN", "RU"), nil, append(slices.Clone(told), twin.row("S1"))); len(j.Events) != 1 || len(j.Events[0].Witnesses) != 4 {
			t.Errorf("with the city %q told by another: %d events", city, len(j.Events))
		}
	}
}

func failureLateEvent(t *testing.T) {
	rows := rowsOf([]scan{
		{hour: 1, code: parcel.CodePickedUp, country: "CN"}, {hour: 9, code: parcel.CodeOriginCountryDeparted, country: "CN"},
		{hour: 60, code: parcel.CodeOutForDelivery, country: "BR"}, {hour: 66, code: parcel.CodeDelivered, country: "BR"},
		{hour: 70, code: parcel.CodeInTransit, country: "BR"}, // a hub's paper, filed late
	})
	rapid.Check(t, func(t *rapid.T) {
		var j *parcel.Journey
		last := 0
		for _, r := range rapid.Permutation(rows).Draw(t, "order") {
			next := parcel.Fold(shipment("CN", "BR"), j, []parcel.Event{r})
			if next.Milestone.Rank() < last {
				t.Fatalf("%s took the milestone back to %s", r.Code, next.Milestone)
			}
			j, last = &next, next.Milestone.Rank()
		}
		if j.Milestone != parcel.MilestoneDelivered || j.Outcome != parcel.OutcomeDelivered || j.Custody.State != parcel.CustodyRecipient {
			t.Fatalf("%s, %q, %s", j.Milestone, j.Outcome, j.Custody.State)
		}
	})
}

func failureSecondNumber(t *testing.T) {
	s := shipment("CN", "BR", parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"})
	first := parcel.Fold(s, nil, rowsOf([]scan{{hour: 1, code: parcel.CodePickedUp, country: "CN"}}))
	j := parcel.Fold(s, &first, rowsOf([]scan{{hour: 2, code: parcel.CodeOutForDelivery, country: "BR", carrier: "correios", number: "NL1BR"}}))
	wantLegs(t, j, "FIRST_MILE acme/AC1 DONE 1", "LAST_MILE correios/NL1BR ACTIVE 1")
}

func failureOutForDeliveryLate(t *testing.T) {
	j := parcel.Fold(shipment("CN", "DE"), nil, rowsOf([]scan{{hour: 50, code: parcel.CodeDelivered}, {hour: 51, code: parcel.CodeOutForDelivery}}))
	last, _ := j.LatestEvent()
	if last.Code != parcel.CodeOutForDelivery || j.Events[j.OutcomeEvent].Code != parcel.CodeDelivered || j.Milestone != parcel.MilestoneDelivered {
		t.Errorf("the last event is %s, it ended by %s, at %s", last.Code, j.Events[j.OutcomeEvent].Code, j.Milestone)
	}
}

func failureMultiLegOrder(t *testing.T) {
	s := shipment("CN", "BR", parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "acme", Number: "AC1"})
	rows := rowsOf([]scan{
		{hour: 1, code: parcel.CodePickedUp, country: "CN"}, {hour: 20, code: parcel.CodeOriginCountryDeparted, country: "CN"},
		{hour: 60, code: parcel.CodeImportCustomsReleased, country: "BR", next: "correios/NL1BR"},
		{hour: 70, code: parcel.CodeDeliveryOfficeArrived, country: "BR", carrier: "correios", number: "NL1BR"},
		{hour: 99, code: parcel.CodeDelivered, country: "BR", carrier: "correios", number: "NL1BR"},
		{hour: 101, code: parcel.CodeInTransit, country: "BR"}, // the first carrier's late word
	})
	rapid.Check(t, func(t *rapid.T) {
		j := parcel.Fold(s, nil, rapid.Permutation(rows).Draw(t, "order"))
		want := []string{"FIRST_MILE acme/AC1 DONE 1", "LINEHAUL acme/AC1 DONE 1", "CUSTOMS acme/AC1 DONE 2", "LAST_MILE correios/NL1BR DONE 2"}
		if d := gocmp.Diff(want, legLines(j)); d != "" || j.Outcome != parcel.OutcomeDelivered {
			t.Fatalf("outcome %q; legs (-want +got):\n%s", j.Outcome, d)
		}
	})
}

func failureLabelScans(t *testing.T) {
	papers := []parcel.Code{parcel.CodeInfoReceived, parcel.CodeLabelPrinted, parcel.CodePickupScheduled, parcel.CodeAwaitingCarrier, parcel.CodeWarehouseReceived,
		parcel.CodeWarehousePacked, parcel.CodeImportPredeclared, parcel.CodePickupFailed, parcel.CodeUnknown}
	rapid.Check(t, func(t *rapid.T) {
		var scans []scan
		for i := range rapid.IntRange(1, 8).Draw(t, "n") {
			scans = append(scans, scan{hour: float64(i), code: rapid.SampledFrom(papers).Draw(t, "code"), country: "CN", own: fmt.Sprint(i)})
		}
		j := parcel.Fold(shipment("CN", "BR"), nil, rowsOf(scans))
		if j.Milestone != parcel.MilestoneRegistered || j.Custody.State != parcel.CustodyMerchant {
			t.Fatalf("%s, %s", j.Milestone, j.Custody.State)
		}
	})
	// Loaded on the delivery vehicle is not delivered.
	if j := parcel.Fold(shipment("US", "US"), nil, rowsOf([]scan{{code: parcel.CodeOutForDelivery}})); j.Milestone != parcel.MilestoneOutForDelivery || j.Outcome != "" {
		t.Errorf("loaded on the vehicle: %s, %q", j.Milestone, j.Outcome)
	}
}

func failureStationAndDeclaration(t *testing.T) {
	j := parcel.Fold(shipment("CN", "RU"), nil, rowsOf([]scan{
		{hour: 1, code: parcel.CodePickedUp, country: "CN"}, {hour: 2, code: parcel.CodeImportCustomsPresented, own: "CC_IM_START"},
	}))
	if j.Milestone != parcel.MilestonePickedUp || j.Custody.State == parcel.CustodyCustoms || j.Events[1].Read != parcel.CodeImportPredeclared {
		t.Errorf("declared before export: %s, %s, read as %s", j.Milestone, j.Custody.State, j.Events[1].Read)
	}
	j = parcel.Fold(shipment("CN", "RU"), &j, rowsOf([]scan{{hour: 80, code: parcel.CodeReadyForPickup, country: "RU", own: "GTMS_STA_SIGNED", to: parcel.DeliveredToPickupPoint}}))
	if j.Outcome != "" || j.Milestone != parcel.MilestoneReadyForPickup || j.Custody.State != parcel.CustodyPickup {
		t.Errorf("signed for by the station: %s, %q, %s", j.Milestone, j.Outcome, j.Custody.State)
	}
}

func failureNoGuess(t *testing.T) {
	at := scan{hour: 50, code: parcel.CodeDelivered, to: parcel.DeliveredToPickupPoint, country: "DE", own: "SIGNED"}
	cases := []struct {
		name    string
		scans   []scan
		outcome parcel.Outcome
		reached parcel.Milestone
		open    parcel.ExceptionKind
	}{
		{"delivered to the pickup point is not delivered to the buyer", []scan{at}, "", parcel.MilestoneReadyForPickup, ""},
		{"said twice, it still waits", []scan{at, {hour: 60, code: parcel.CodeDelivered, to: parcel.DeliveredToPickupPoint, own: "SIGNED"}}, "", parcel.MilestoneReadyForPickup, ""},
		{"collected where it was known to wait", []scan{{hour: 40, code: parcel.CodeReadyForPickup}, at}, parcel.OutcomeDelivered, parcel.MilestoneDelivered, ""},
		{"collected by the buyer", []scan{at, {hour: 60, code: parcel.CodeDelivered, to: parcel.DeliveredToRecipient}}, parcel.OutcomeDelivered, parcel.MilestoneDelivered, ""},
		{"an alert is not a return", []scan{{hour: 50, code: parcel.CodeOutForDelivery}, {hour: 51, code: parcel.CodeAddressProblem}}, "", parcel.MilestoneOutForDelivery, parcel.ExceptionAddressProblem},
		{"a failed attempt is not a return", []scan{{hour: 50, code: parcel.CodeDeliveryAttemptFailed}}, "", parcel.MilestoneOutForDelivery, parcel.ExceptionAttemptFailed},
		{"an unknown code is nothing", []scan{{hour: 50, code: parcel.CodeUnknown, own: "ALERT"}}, "", parcel.MilestoneRegistered, ""},
	}
	for _, c := range cases {
		j := parcel.Fold(shipment("US", "DE"), nil, rowsOf(c.scans))
		var open parcel.ExceptionKind
		for x := range j.OpenExceptions {
			open = cmp.Or(open, x.Kind)
		}
		back := slices.ContainsFunc(j.Events, func(e parcel.TimelineEvent) bool { return e.Return })
		if j.Outcome != c.outcome || j.Milestone != c.reached || open != c.open || back {
			t.Errorf("%s: %q, %s, %q open, on its way back: %v", c.name, j.Outcome, j.Milestone, open, back)
		}
	}
}

func failureOneMessage(t *testing.T) {
	s := shipment("US", "US", parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "fedex", Number: "92612"})
	before, after := *s, *s
	before.Journey = parcel.Fold(s, nil, rowsOf([]scan{{hour: 1, code: parcel.CodePickedUp, carrier: "fedex", number: "92612", next: "usps/92612"}}))
	seen := map[parcel.Milestone]int{}
	hear := func(scans ...scan) {
		after.Journey = parcel.Fold(s, &before.Journey, rowsOf(scans))
		for _, c := range parcel.Changes(&before, &after, day0) {
			if c.Kind == parcel.ChangeMilestone || c.Kind == parcel.ChangeOutcome {
				seen[c.To]++
			}
		}
		before.Journey = after.Journey
	}
	delivered := scan{hour: 50, code: parcel.CodeDelivered, carrier: "usps", number: "92612"}
	hear(delivered)
	delivered.carrier = "fedex"
	hear(delivered) // the same minute
	delivered.hour, delivered.own = 50.4, "late"
	hear(delivered) // entered half an hour later: an event of its own, and no news
	if seen[parcel.MilestoneDelivered] != 1 {
		t.Errorf("delivered was told %d times", seen[parcel.MilestoneDelivered])
	}
	if n := len(after.Journey.Events); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func failureHandoffSentence(t *testing.T) {
	const words = `The parcel was handed to DHL (00340434161094042557). Track it: https://www.dhl.de/`
	o := scan{hour: 5, code: parcel.CodeLastMileAccepted, next: "dhl/00340434161094042557"}.row("S1").Observation
	o.Words = words
	j := parcel.Fold(shipment("CN", "DE"), nil, []parcel.Event{eventOf("S1", o, day0)})
	if j.Events[0].Words != words {
		t.Errorf("words: %q", j.Events[0].Words)
	}
	wantLegs(t, j, "LAST_MILE acme/AC1 ACTIVE 1", "LAST_MILE dhl/00340434161094042557 PLANNED 0")
}

// failureMissingFields takes fields away from events, one set at a time: nothing
// breaks, and no event is lost.
func failureMissingFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t)
		keys := map[string]bool{}
		for i := range rows {
			if rows[i].Retraction != nil {
				continue
			}
			v := reflect.ValueOf(&rows[i].Observation).Elem()
			for f := range v.NumField() {
				if rapid.IntRange(0, 2).Draw(t, "missing") == 0 {
					v.Field(f).SetZero()
				}
			}
			rows[i].EventKey, rows[i].EventDigest = rows[i].Key(), rows[i].Digest()
			keys[rows[i].EventKey] = true
		}
		s := drawShipment(t)
		j := parcel.Fold(s, nil, rows)
		for key := range keys {
			if j.EventByKey(key) < 0 {
				t.Fatalf("the event %s is lost", key)
			}
		}
		done := *s
		done.Journey = j
		_, _ = done.Steps(false), parcel.Changes(s, &done, day0)
		half := parcel.Fold(s, nil, rows[:len(rows)/2])
		if d := gocmp.Diff(j, parcel.Fold(s, &half, rows[len(rows)/2:]), sameJourney); d != "" {
			t.Fatalf("folded in two halves:\n%s", d)
		}
	})
}

func failureUnknownCode(t *testing.T) {
	for _, code := range []parcel.Code{parcel.CodeUnknown, "", "COMMON_INTRANSIT"} {
		o := scan{hour: 50, code: parcel.CodeUnknown, own: "COMMON_INTRANSIT", country: "BR"}.row("S1").Observation
		o.Code, o.Words = code, "em trânsito"
		j := parcel.Fold(shipment("CN", "BR"), nil, append(rowsOf([]scan{{hour: 1, code: parcel.CodePickedUp, country: "CN"}}), eventOf("S1", o, day0)))
		if j.Milestone != parcel.MilestonePickedUp || len(j.Exceptions) != 0 || j.Outcome != "" {
			t.Errorf("%q moved it to %s, %q, %v", code, j.Milestone, j.Outcome, j.Exceptions)
		}
		if e := j.Events[1]; e.OwnCode != "COMMON_INTRANSIT" || e.Words != "em trânsito" {
			t.Errorf("%q: kept as %q, %q", code, e.OwnCode, e.Words)
		}
	}
}

// failureFieldsKeepApart: each field of an observation counts for itself in the
// digest, and comes out of the fold under its own name, whoever tells it.
func failureFieldsKeepApart(t *testing.T) {
	full := scan{hour: 5, code: parcel.CodeDelivered, country: "BR", city: "Campinas"}.row("S1").Observation
	full.Parcel, full.Reason, full.Words, full.Language, full.DeliveredTo = "parcel", parcel.ReasonOther, "words", "pt", parcel.DeliveredToNeighbour
	full.NextCarrier, full.NextNumber, full.Teller, full.Reported = "next carrier", "NEXT", "teller", day0.Add(6*time.Hour)
	full.Place.Region, full.Place.Postcode, full.Place.Facility, full.Place.Unlocode, full.Place.TimeZone = "SP", "13000", "CDD", "BRCPQ", "America/Sao_Paulo"
	digests := map[string]string{full.Digest(): "nothing"}
	var change func(path string, v reflect.Value)
	change = func(path string, v reflect.Value) {
		keep := reflect.ValueOf(v.Interface())
		switch x := v.Addr().Interface().(type) {
		case *time.Time:
			*x = x.Add(time.Minute)
		default:
			switch v.Kind() {
			case reflect.Struct:
				for i := range v.NumField() {
					change(path+"."+v.Type().Field(i).Name, v.Field(i))
				}
				return
			case reflect.String:
				v.SetString(v.String() + "x")
			case reflect.Bool:
				v.SetBool(!v.Bool())
			case reflect.Int:
				v.SetInt(v.Int() + 60)
			default:
				t.Fatalf("%s: the test cannot change a %s", path, v.Kind())
			}
		}
		// Whether there is an offset follows from how it is known, the zone from
		// the place.
		if other, again := digests[full.Digest()]; again && !strings.HasSuffix(path, ".HasOffset") && !strings.HasSuffix(path, ".TimeZone") {
			t.Errorf("a change of %s makes the digest of a change of %s", path, other)
		}
		digests[full.Digest()] = path
		v.Set(keep)
	}
	change("Observation", reflect.ValueOf(&full).Elem())

	// Told by two, of whom one knows nothing but the scan.
	bare := scan{hour: 5, code: parcel.CodeDelivered, carrier: "other"}
	known := eventOf("S1", full, day0)
	for _, rows := range [][]parcel.Event{{known}, {known, bare.row("S1")}} {
		j := parcel.Fold(shipment("CN", "BR"), nil, rows)
		if len(j.Events) != 1 {
			t.Fatalf("%d events", len(j.Events))
		}
		got := j.Events[0].Observation
		want := full
		want.Carrier, want.Teller = got.Carrier, got.Teller // whose scan it is, where two tell it
		want.Number = got.Number
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("told by %d (-want +got):\n%s", len(rows), d)
		}
	}
}
