package parcel_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/parcel"
)

var budgetDay = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestBudgetNeverExceeds asks at random moments, from clocks that differ, uses
// the grants at random moments within their lives and gives the rest back: no
// window ever holds more calls than allowed, and the rate is kept.
func TestBudgetNeverExceeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := parcel.Allowance{
			Calls:  rapid.IntRange(1, 200).Draw(t, "calls"),
			Window: time.Duration(rapid.IntRange(1, 7200).Draw(t, "window")) * time.Second,
		}
		if rapid.Bool().Draw(t, "paced") {
			a.PerSecond, a.Burst = rapid.Float64Range(0.05, 20).Draw(t, "rate"), rapid.IntRange(0, 5).Draw(t, "burst")
		}
		var b parcel.CallBudget
		var made []time.Time
		now := budgetDay
		var unused []parcel.BudgetCell
		for range rapid.IntRange(1, 120).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(a.Window)/10).Draw(t, "pause")))
			skew := time.Duration(rapid.Int64Range(-int64(time.Second), 0).Draw(t, "skew"))
			g := b.Lease(parcel.BudgetAsk{Now: now.Add(skew), Allowance: a, Want: rapid.IntRange(1, 50).Draw(t, "want"), Unused: unused})
			unused = nil
			if g.Calls == 0 {
				if !g.Again.After(b.At) {
					t.Fatalf("nothing granted, and to be asked again at %s, not after %s", g.Again, b.At)
				}
				continue
			}
			for i := range g.Calls {
				at := g.From.Add(time.Duration(i) * g.Every)
				if at.Before(b.At) {
					at = b.At
				}
				if !at.Before(g.Until) {
					t.Fatalf("call %d of %d may go at %s, when the grant has lapsed (%s)", i, g.Calls, at, g.Until)
				}
				switch rapid.IntRange(0, 2).Draw(t, "use") {
				case 0:
					unused = append(unused, parcel.BudgetCell{Index: g.Cell, Calls: 1})
				case 1:
					made = append(made, at)
				default: // as late as it may be
					made = append(made, g.Until.Add(-time.Microsecond))
				}
			}
		}
		slices.SortFunc(made, time.Time.Compare)
		for i, first := range made {
			n := 0
			for _, at := range made[i:] {
				if at.Sub(first) >= a.Window {
					break
				}
				n++
			}
			if n > a.Calls {
				t.Fatalf("%d calls within %s of %s, allowed are %d", n, a.Window, first, a.Calls)
			}
		}
	})
}

func TestBudgetGivesAllThereIs(t *testing.T) {
	a := parcel.Allowance{Calls: 20, Window: time.Hour}
	var b parcel.CallBudget
	total := 0
	for now := budgetDay; now.Before(budgetDay.Add(59 * time.Minute)); now = now.Add(30 * time.Second) {
		total += b.Lease(parcel.BudgetAsk{Now: now, Allowance: a, Want: 3}).Calls
	}
	if total != 20 {
		t.Errorf("%d calls within the hour, want all 20", total)
	}
	left, renews := b.Standing(budgetDay.Add(30*time.Minute), a)
	if want := budgetDay.Add(61 * time.Minute); left != 0 || !renews.Equal(want) {
		t.Errorf("left %d, renews %s; want 0 and %s", left, renews, want)
	}
	if g := b.Lease(parcel.BudgetAsk{Now: renews, Allowance: a, Want: 3}); g.Calls != 3 {
		t.Errorf("after the renewal %d calls, want 3", g.Calls)
	}
}

func TestBudgetKeepsAReserve(t *testing.T) {
	a := parcel.Allowance{Calls: 10, Window: time.Hour}
	var b parcel.CallBudget
	if g := b.Lease(parcel.BudgetAsk{Now: budgetDay, Allowance: a, Want: 100, Keep: 2}); g.Calls != 8 {
		t.Errorf("the plan got %d calls, want 8", g.Calls)
	}
	if g := b.Lease(parcel.BudgetAsk{Now: budgetDay, Allowance: a, Want: 1, Keep: 2}); g.Calls != 0 || g.Barred {
		t.Errorf("the plan got %d calls of the reserve", g.Calls)
	}
	if g := b.Lease(parcel.BudgetAsk{Now: budgetDay, Allowance: a, Want: 5}); g.Calls != 2 || g.Left != 0 {
		t.Errorf("shoppers got %d calls and %d are left, want 2 and 0", g.Calls, g.Left)
	}
	if g := b.Lease(parcel.BudgetAsk{Now: budgetDay, Allowance: a, Want: 5, Unused: []parcel.BudgetCell{{Index: budgetDay.UnixMicro() / time.Minute.Microseconds(), Calls: 4}}}); g.Calls != 4 {
		t.Errorf("of 4 calls given back %d were granted", g.Calls)
	}
}

func TestBudgetPaces(t *testing.T) {
	a := parcel.Allowance{PerSecond: 2, Burst: 3}
	var b parcel.CallBudget
	var at []time.Duration
	for range 4 {
		g := b.Lease(parcel.BudgetAsk{Now: budgetDay, Allowance: a, Want: 2})
		for i := range g.Calls {
			at = append(at, max(0, g.From.Add(time.Duration(i)*g.Every).Sub(budgetDay)))
		}
	}
	want := []time.Duration{0, 0, 0, 500e6, 1000e6, 1500e6, 2000e6, 2500e6}
	if !slices.Equal(at, want) {
		t.Errorf("calls at %v, want %v", at, want)
	}
}

func TestBudgetBar(t *testing.T) {
	a := parcel.Allowance{Calls: 10, Window: time.Hour}
	var b parcel.CallBudget
	b.Bar(budgetDay, time.Minute)
	b.Bar(budgetDay, 10*time.Second)
	g := b.Lease(parcel.BudgetAsk{Now: budgetDay.Add(30 * time.Second), Allowance: a, Want: 1})
	if g.Calls != 0 || !g.Barred || !g.Again.Equal(budgetDay.Add(time.Minute)) {
		t.Errorf("barred for a minute, and got %+v", g)
	}
	var waits []time.Duration
	now := budgetDay.Add(time.Hour)
	for range 4 {
		b.Bar(now, 0)
		b.Bar(now, 0) // another call that was under way
		waits = append(waits, b.BarredUntil.Sub(now))
		now = b.BarredUntil
	}
	if want := []time.Duration{5e9, 10e9, 20e9, 40e9}; !slices.Equal(waits, want) {
		t.Errorf("left alone for %v, want %v", waits, want)
	}
	b.Lease(parcel.BudgetAsk{Now: now.Add(time.Hour), Allowance: a, Want: 1})
	if b.Strikes != 0 {
		t.Errorf("%d strikes after an hour of calm", b.Strikes)
	}
}
