package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
)

func TestHandoverStats(t *testing.T) {
	cn := func(to parcel.Country) parcel.Lane { return parcel.Lane{Origin: "CN", Destination: to} }
	row := func(to parcel.Country, from, on string, hours int, end parcel.PassingEnd, n int) parcel.PassingDelta {
		return parcel.PassingDelta{N: n, PassingKey: parcel.PassingKey{MerchantID: "M", Lane: cn(to), FromStage: parcel.StageLinehaul, FromCarrier: from,
			ToStage: parcel.StageLastMile, ToCarrier: on, Day: "2026-10-01", Hours: hours, End: end}}
	}
	renumbered := row("RU", "swift", "post", 12, parcel.PassingAccepted, 6)
	renumbered.Renumbered, renumbered.Damaged = 3, 1
	rows := []parcel.PassingDelta{
		renumbered,
		row("RU", "slow", "post", 48, parcel.PassingAccepted, 2), row("RU", "slow", "post", 100, parcel.PassingLost, 1), row("RU", "slow", "post", 0, "", 1),
		row("BR", "slow", "post", 24, parcel.PassingAccepted, 1),
	}
	lens := &Lens{Now: time.Date(2026, 10, 11, 0, 0, 0, 0, time.UTC)}

	type line struct {
		From, Lane             string
		N, Pending, P50        int
		Lost, Renumbered, Torn float64
		Excess                 float64
	}
	lines := func(q HandoverQuery) (out []line) {
		t.Helper()
		p, err := lens.HandoverStatPage(rows, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Nodes() {
			l := line{From: s.k.fromCarrier, N: s.N(), Pending: s.Pending()}
			if lane, ok := s.Lane(); ok {
				l.Lane = lane.Code()
			}
			median, _ := s.GapHours().P50()
			l.P50 = int(median)
			l.Lost, _ = s.Lost().Value()
			l.Renumbered, _ = s.NumberChanged().Value()
			l.Torn, _ = s.Damaged().Value()
			l.Excess, _ = s.ExcessHours()
			out = append(out, l)
		}
		return out
	}
	// Of the eleven, six are through after 12 hours: that is usual. Beyond it,
	// the slow ones lose 12, 2 x 36 and 88 hours, and 228 for the one that is
	// still open after ten days.
	want := []line{
		{From: "slow", N: 5, Pending: 1, P50: 48, Lost: .2, Excess: 12 + 72 + 88 + 228},
		{From: "swift", N: 6, P50: 12, Renumbered: .5, Torn: 1. / 6},
	}
	if diff := cmp.Diff(want, lines(HandoverQuery{})); diff != "" {
		t.Errorf("by hours lost (-want +got):\n%s", diff)
	}
	// On the lane to Brazil its own median is usual, and nothing lies beyond it.
	want = []line{
		{From: "swift", Lane: "CN-RU", N: 6, P50: 12, Renumbered: .5, Torn: 1. / 6},
		{From: "slow", Lane: "CN-RU", N: 4, Pending: 1, P50: 48, Lost: .25, Excess: 72 + 88 + 228},
		{From: "slow", Lane: "CN-BR", N: 1, P50: 24},
	}
	if diff := cmp.Diff(want, lines(HandoverQuery{ByLane: true, By: HandoverByN, Descending: true})); diff != "" {
		t.Errorf("by lane (-want +got):\n%s", diff)
	}
	if got := lines(HandoverQuery{ByLane: true, NAtLeast: 2, By: HandoverByLost, Descending: true}); len(got) != 2 || got[0].From != "slow" {
		t.Errorf("by loss %+v, want the slow one before the swift one", got)
	}
	if p, err := lens.HandoverStatPage(nil, HandoverQuery{}); err != nil || len(p.Nodes()) != 0 || p.Count().Value != 0 {
		t.Errorf("of nothing: %+v, %v", p, err)
	}
}
