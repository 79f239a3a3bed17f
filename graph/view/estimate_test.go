package view

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
)

// The worked triangle of the scoring specification: five cohorts of 50 parcels,
// 18 delivered, one lost, one returned, 30 under way on day 10.
func worked() []cohort {
	return []cohort{
		{0, 10, []ending{{5, "D", 2}, {6, "D", 3}, {7, "D", 2}, {8, "L", 1}, {9, "D", 1}}},
		{2, 8, []ending{{5, "D", 1}, {6, "D", 2}, {6, "R", 1}, {7, "D", 2}}},
		{4, 12, []ending{{5, "D", 3}, {6, "D", 2}}},
		{6, 9, nil},
		{8, 11, nil},
	}
}

func TestEstimate(t *testing.T) {
	c := estimate(worked(), 10)
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %.6f, want %.6f", name, got, want)
		}
	}
	if c.started != 50 || c.delivered != 18 || c.lost != 1 || c.returned != 1 || c.ended != 20 {
		t.Errorf("%+v", c)
	}
	for age, want := range map[int][3]float64{
		4: {0, 0, 0}, 5: {0.2, 0, 0}, 6: {0.433333, 0, 0.033333}, 7: {0.670370, 0, 0.033333}, 8: {0.670370, 0.059259, 0.033333}, 9: {0.788889, 0.059259, 0.033333},
	} {
		near(fmt.Sprint("F_D at ", age), c.fDelivered[age], want[0])
		near(fmt.Sprint("F_L at ", age), c.fLost[age], want[1])
		near(fmt.Sprint("F_R at ", age), c.fReturned[age], want[2])
	}
	for p, want := range map[float64]int{0.2: 5, 0.5: 7, 0.7: 9, 0.95: -1} {
		age, ok := c.quantile(p)
		if !ok {
			age = -1
		}
		if age != want {
			t.Errorf("quantile %v: %d, want %d", p, age, want)
		}
	}
	// What is not known yet does not count: on day 6 nothing of age 7 was seen.
	if early := estimate(worked(), 6); early.started != 50 || early.delivered != 5 || len(early.fDelivered) != 7 {
		t.Errorf("on day 6: %+v", early)
	}
}

// 62 of 85, from the same specification.
func TestWilson(t *testing.T) {
	low, high := wilson(62.0/85, 85)
	if math.Abs(low-0.626580) > 1e-6 || math.Abs(high-0.812404) > 1e-6 {
		t.Errorf("%.6f, %.6f", low, high)
	}
	if low, high := wilson(0, 3); low != 0 || high < 0.5 {
		t.Errorf("none of three: %.6f, %.6f", low, high)
	}
}

// The order and splitting of rows mean nothing.
func TestTriangleOfRows(t *testing.T) {
	row := func(day string, started int, cause parcel.EndCause, age, ended int) parcel.CohortDelta {
		return parcel.CohortDelta{CohortKey: parcel.CohortKey{Carrier: "c", Day: day}, Started: started, Age: age, Cause: cause, Ended: ended}
	}
	rows := []parcel.CohortDelta{row("1970-01-03", 5, "", 0, 0), row("1970-01-01", 3, "", 0, 0), row("1970-01-01", 0, "L", 9, 1), row("1970-01-01", 0, "D", 5, 2), row("1970-01-01", -1, "", 0, 0), row("not a day", 7, "", 0, 0)}
	want := []cohort{{0, 2, []ending{{5, "D", 2}, {9, "L", 1}}}, {2, 5, nil}}
	if diff := cmp.Diff(want, triangle(rows), cmp.AllowUnexported(cohort{}, ending{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		day      string
		each     StatInterval
		from, to string
	}{
		{"2026-11-22", EachDay, "2026-11-22", "2026-11-22"},
		{"2026-11-22", EachWeek, "2026-11-16", "2026-11-22"}, // a Sunday
		{"2026-11-23", EachWeek, "2026-11-23", "2026-11-29"},
		{"2027-01-01", EachWeek, "2026-12-28", "2027-01-03"},
		{"2028-02-29", EachMonth, "2028-02-01", "2028-02-29"},
		{"2026-11-22", "", "", ""},
	} {
		g := GroupKey{k: groupKey{from: beginning(c.day, c.each)}, each: c.each}
		to, _ := g.To()
		if from, _ := g.From(); from != c.from || to != c.to {
			t.Errorf("%s by %q: %s to %s, want %s to %s", c.day, c.each, from, to, c.from, c.to)
		}
	}
}

// Hours 0, 5, 30, 31, 140, 150, 400, 410: the longest gap is 250 h, and the
// share beyond 72 h is 215/410.
func TestVisibility(t *testing.T) {
	start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	s := &parcel.Shipment{Journey: parcel.Journey{Milestone: parcel.MilestonePickedUp}}
	for _, h := range []int{0, 5, 30, 31, 140, 150, 400, 410} {
		s.Journey.Events = append(s.Journey.Events, parcel.TimelineEvent{Event: parcel.Event{Observation: parcel.Observation{Occurred: parcel.ReportedMoment("", start.Add(time.Duration(h)*time.Hour))}}})
	}
	show := func(at time.Duration) Visibility {
		return (&Lens{Now: start.Add(at)}).Shipment(Look{Shipment: s}).Visibility()
	}
	v := show(410 * time.Hour)
	longest, _ := v.LongestGapHours()
	share, _ := v.DarkShare()
	if longest != 250 || math.Abs(share-215.0/410) > 1e-9 {
		t.Errorf("%v h, %v", longest, share)
	}
	// The open gap counts while the parcel is under way.
	if longest, _ := show(710 * time.Hour).LongestGapHours(); longest != 300 {
		t.Errorf("open gap %v h", longest)
	}
	s.Journey.Outcome = parcel.OutcomeDelivered
	if longest, _ := show(710 * time.Hour).LongestGapHours(); longest != 250 {
		t.Errorf("after the end %v h", longest)
	}
}

// A caller without proof is told days, in the place's own reckoning.
func TestDayOf(t *testing.T) {
	east := time.FixedZone("", 8*3600)
	for _, c := range []struct {
		name string
		m    parcel.Moment
		at   string
		text string
	}{
		{"after midnight in the east", parcel.ReportedMoment("", time.Date(2026, 9, 2, 1, 30, 0, 0, east)), "2026-09-01T16:00:00Z", "2026-09-02"},
		{"with words of its own", parcel.ReportedMoment("2 Sep 2026, 23:59", time.Date(2026, 9, 2, 23, 59, 0, 0, east)), "2026-09-01T16:00:00Z", "2026-09-02"},
		{"a day already", parcel.DayMoment("2.9.26", time.Date(2026, 9, 2, 0, 0, 0, 0, time.UTC), east, parcel.CertaintyAssumed), "2026-09-01T16:00:00Z", "2.9.26"},
		{"offset not known", parcel.LocalMoment("", time.Date(2026, 9, 2, 13, 0, 0, 0, time.UTC), nil, parcel.CertaintyUnknown), "2026-09-02T00:00:00Z", "2026-09-02"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := dayOf(c.m)
			if got.At.Format(time.RFC3339) != c.at || got.Written() != c.text || !got.DateOnly() {
				t.Errorf("%+v", got)
			}
		})
	}
}
