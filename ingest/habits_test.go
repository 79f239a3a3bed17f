package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// beat has the world's ingest write what it counted and read what it wants to
// know, once.
func (w *world) beat() {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	stop()
	if err := w.ingest.Beat(ctx); err != nil { // its last word
		w.t.Fatal(err)
	}
}

// TestPlanGoesByTheLanesHabit: where silences usually last long the next look
// waits, it comes often once news is likely, and rarely after that.
func TestPlanGoesByTheLanesHabit(t *testing.T) {
	const usual, late = 20 * time.Hour, 20 * 24 * time.Hour
	counted := parcel.Sketch{}
	for range 30 {
		counted.Add(usual)
	}
	for range 10 {
		counted.Add(late)
	}
	median, _ := counted.Quantile(0.5)
	cases := []struct {
		name    string
		code    parcel.Code
		silence time.Duration
		// plain is the wait without a habit, adapted the one with it.
		plain, adapted time.Duration
	}{
		{"too early for news", parcel.CodePickedUp, 2 * time.Hour, 4 * time.Hour, (median - 2*time.Hour) / 2},
		{"news is near", parcel.CodePickedUp, median - 2*time.Hour, 4 * time.Hour, 4 * time.Hour},
		{"news is likely", parcel.CodePickedUp, 10 * 24 * time.Hour, 10 * time.Hour, 4 * time.Hour},
		{"nearly all have spoken by now", parcel.CodePickedUp, 30 * 24 * time.Hour, 24 * time.Hour, 24 * time.Hour},
		{"the last mile is not put off", parcel.CodeOutForDelivery, time.Hour, 15 * time.Minute, 15 * time.Minute},
	}
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("zed"))
		lane := parcel.Lane{Origin: "CN", Destination: "BR"}
		gaps := map[parcel.GapKey]parcel.Sketch{}
		for _, m := range []parcel.Milestone{parcel.MilestonePickedUp, parcel.MilestoneOutForDelivery} {
			gaps[parcel.GapKey{Carrier: "zed", Lane: lane, Milestone: m}] = counted
		}
		if err := w.store.AddGaps(t.Context(), gaps); err != nil {
			t.Fatal(err)
		}
		look := func(i int) time.Duration {
			number := fmt.Sprint("HABIT", i)
			w.hear("zed", observed("zed", number, cases[i].code, now.Add(-cases[i].silence)))
			return w.asking("zed", number).NextAt.Sub(now)
		}
		for i := range cases {
			w.enrol(cases[i].name, leg("zed", fmt.Sprint("HABIT", i)))
			if got := look(i); got != cases[i].plain {
				t.Errorf("%s: without a habit the next look is in %s, want %s", cases[i].name, got, cases[i].plain)
			}
		}
		w.beat()
		for i, c := range cases {
			if got := look(i); got.Round(time.Second) != c.adapted.Round(time.Second) {
				t.Errorf("%s: the next look is in %s, want %s", c.name, got, c.adapted)
			}
		}
	})
}

// TestHabitsAreLearned: silences that ended while we watched make a habit, a
// history that is told at once makes none, and health goes by it.
func TestHabitsAreLearned(t *testing.T) {
	const silence = 60 * time.Hour
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("zed"))
		picked := func(n string, at time.Time) parcel.Observation { return observed("zed", n, parcel.CodePickedUp, at) }
		for i := range 20 {
			n := fmt.Sprint("TOLD", i)
			w.enrol(n, leg("zed", n))
			// At once: how long it was silent says nothing of how long we waited.
			w.hear("zed", picked(n, now.Add(-90*24*time.Hour)), observed("zed", n, parcel.CodeOriginHubArrived, now.Add(-time.Hour)))
		}
		s := w.enrol("asks", leg("zed", "ASKS1"))
		w.hear("zed", picked("ASKS1", now))
		habit := func() parcel.Habits {
			w.beat()
			return w.ingest.Habits(w.read(s.ID))
		}
		if habit(); habit().Gap != 0 {
			t.Errorf("a history made a habit: %+v", habit())
		}
		for i := range 20 {
			n := fmt.Sprint("LIVE", i)
			w.enrol(n, leg("zed", n))
			w.hear("zed", picked(n, now))
		}
		w.trade.Advance(silence + time.Minute)
		for i := range 20 {
			w.hear("zed", observed("zed", fmt.Sprint("LIVE", i), parcel.CodeOriginHubArrived, now.Add(silence)))
		}
		// Another process, which has counted none of it, goes by it too.
		w.beat()
		w.serve((&scripted{}).account("zed"))
		w.ingest.Habits(w.read(s.ID))
		if got := habit(); got.Gap < 50*time.Hour || got.Gap > 72*time.Hour {
			t.Errorf("the usual gap is %s, want about %s", got.Gap, silence)
		}
	})
}
