package storagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

func key(n int) parcel.NumberKey {
	return parcel.NumberKey{Carrier: "ups", Number: fmt.Sprintf("1Z%06d", n)}
}

// watch makes numbers that are due at Epoch plus their number of minutes.
func watch(t testing.TB, s *storage.Store, keys ...parcel.NumberKey) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.HoldNumbers(ctx, keys); err != nil {
			return err
		}
		var list []parcel.Tracking
		for i, k := range keys {
			list = append(list, parcel.Tracking{NumberKey: k, WatchedAt: Epoch, NextAt: Epoch.Add(time.Duration(i) * time.Minute)})
		}
		return tx.PutTrackings(ctx, list)
	})
}

func testNumbers(t *testing.T, s *storage.Store) {
	a, b := key(1), key(2)
	until := Epoch.Add(time.Hour)
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		held, err := tx.HoldNumbers(ctx, []parcel.NumberKey{b, a, b})
		if err != nil {
			return err
		}
		want := map[parcel.NumberKey]storage.NumberState{a: {Tracking: parcel.Tracking{NumberKey: a}}, b: {Tracking: parcel.Tracking{NumberKey: b}}}
		if diff := gocmp.Diff(want, held); diff != "" {
			t.Errorf("never seen (-want +got):\n%s", diff)
		}
		return tx.PutHolders(ctx, []storage.HolderRow{
			{NumberKey: a, Holder: storage.Holder{MerchantID: "m2", ShipmentID: "s2", Since: Epoch.Add(2 * time.Hour)}},
			{NumberKey: a, Holder: storage.Holder{MerchantID: "m1", ShipmentID: "s1", Since: Epoch}},
			{NumberKey: a, Holder: storage.Holder{MerchantID: "m1", ShipmentID: "s1", Since: Epoch, Until: until}}, // the last word
			{NumberKey: b, Holder: storage.Holder{MerchantID: "m1", ShipmentID: "s1"}},
		})
	})
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		held, err := tx.HoldNumbers(ctx, []parcel.NumberKey{a, b})
		if err != nil {
			return err
		}
		want := map[parcel.NumberKey]storage.NumberState{
			a: {Tracking: parcel.Tracking{NumberKey: a}, Holders: []storage.Holder{
				{MerchantID: "m1", ShipmentID: "s1", Since: Epoch, Until: until},
				{MerchantID: "m2", ShipmentID: "s2", Since: Epoch.Add(2 * time.Hour)},
			}},
			b: {Tracking: parcel.Tracking{NumberKey: b}, Holders: []storage.Holder{{MerchantID: "m1", ShipmentID: "s1"}}},
		}
		if diff := gocmp.Diff(want, held); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		return nil
	})
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		held, err := tx.HoldNumbers(ctx, nil)
		if len(held) != 0 {
			t.Errorf("nothing held: %v", held)
		}
		return err
	})
}

func testTrackings(t *testing.T, s *storage.Store) {
	a := key(1)
	full := parcel.Tracking{
		NumberKey: a, Account: "main", Postcode: "01310-100", WatchedAt: Epoch, HeardAt: Epoch.Add(time.Hour), HeardBy: parcel.SourceWebhook,
		Finding: parcel.FindingFound, Trouble: parcel.TroubleThrottled, TroubleSince: Epoch.Add(2 * time.Hour), RetryAt: Epoch.Add(3 * time.Hour),
		Failures: 4, NextAt: Epoch.Add(5*time.Hour + 123456*time.Microsecond),
	}
	watch(t, s, a)
	put := func(tr parcel.Tracking) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			if _, err := tx.HoldNumbers(ctx, []parcel.NumberKey{a}); err != nil {
				return err
			}
			return tx.PutTrackings(ctx, []parcel.Tracking{tr})
		})
	}
	read := func() parcel.Tracking {
		t.Helper()
		got := must(s.Trackings(t.Context(), []parcel.NumberKey{a, key(99)}))(t)
		if len(got) != 1 {
			t.Fatalf("%d trackings", len(got))
		}
		return got[a]
	}
	put(full)
	if diff := gocmp.Diff(full, read()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	older := full
	older.WatchedAt, older.HeardAt, older.HeardBy, older.Finding, older.Failures = Epoch.Add(9*time.Hour), Epoch, parcel.SourcePoll, parcel.FindingUnknown, 0
	put(older)
	want := full
	want.Failures = 0
	if diff := gocmp.Diff(want, read()); diff != "" {
		t.Errorf("an older answer landed later (-want +got):\n%s", diff)
	}
	newer := full
	newer.HeardAt, newer.HeardBy, newer.Finding, newer.Trouble, newer.TroubleSince, newer.NextAt = Epoch.Add(6*time.Hour), parcel.SourcePoll, parcel.FindingUnknown, "", time.Time{}, time.Time{}
	if err := s.SaveTrackings(t.Context(), []parcel.Tracking{newer}, ""); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(newer, read()); diff != "" {
		t.Errorf("a newer answer (-want +got):\n%s", diff)
	}
	if err := s.SaveTrackings(t.Context(), nil, "x"); err != nil {
		t.Error(err)
	}
}

// testArrivalMeetsRegistration: news of a number and its registration arrive at
// the same moment, many times over. Whichever comes first, the later one sees
// it: no news is left without its shipment.
func testArrivalMeetsRegistration(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	for n := range 25 {
		k := key(n)
		p := NewParcel(m, n, 0)
		payload := parcel.Payload{ID: NewParcel(m, n, 0).Payload.ID, Carrier: k.Carrier, Body: []byte(k.Number), ReceivedAt: Epoch}
		var tied, found bool
		var g errgroup.Group
		g.Go(func() error { // the news
			return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				held, err := tx.HoldNumbers(ctx, []parcel.NumberKey{k})
				if err != nil {
					return err
				}
				tied = len(held[k].Holders) > 0
				if _, err := tx.PutPayloads(ctx, []parcel.Payload{payload}); err != nil {
					return err
				}
				return tx.PutPayloadNumbers(ctx, []storage.PayloadNumber{{NumberKey: k, PayloadID: payload.ID}})
			})
		})
		g.Go(func() error { // the registration
			return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				if _, err := tx.HoldNumbers(ctx, []parcel.NumberKey{k}); err != nil {
					return err
				}
				waiting, err := tx.PayloadsOf(ctx, k, 10)
				if err != nil {
					return err
				}
				found = len(waiting) > 0
				if err := tx.PutHolders(ctx, []storage.HolderRow{{NumberKey: k, Holder: storage.Holder{MerchantID: m, ShipmentID: p.Shipment.ID}}}); err != nil {
					return err
				}
				return tx.PutShipments(ctx, []*parcel.Shipment{p.Shipment}, nil)
			})
		})
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if tied == found {
			t.Fatalf("round %d: the news was tied: %v; the registration found news: %v; want one of them", n, tied, found)
		}
	}
}

func testLeases(t *testing.T, s *storage.Store) {
	now, until := Epoch, Epoch.Add(time.Minute)
	a, b := key(1), key(2)
	watch(t, s, a, b)
	lease := func(t *testing.T, now, until time.Time, token string, keys ...parcel.NumberKey) []parcel.NumberKey {
		t.Helper()
		return must(s.Lease(t.Context(), keys, now, until, token))(t)
	}
	t.Run("one asker at a time", func(t *testing.T) {
		if got := lease(t, now, until, "one", b, a, key(77)); !slices.Equal(got, []parcel.NumberKey{a, b}) {
			t.Errorf("granted %v", got)
		}
		if got := lease(t, now, until, "two", a, b); len(got) != 0 {
			t.Errorf("granted twice: %v", got)
		}
		if got := must(s.Trackings(t.Context(), []parcel.NumberKey{a}))(t)[a].LeasedUntil; !got.Equal(until) {
			t.Errorf("leased until %s", got)
		}
	})
	t.Run("the end of a lease", func(t *testing.T) {
		if got := lease(t, until, until.Add(time.Minute), "two", a); !slices.Equal(got, []parcel.NumberKey{a}) {
			t.Errorf("granted %v", got)
		}
	})
	t.Run("another's token releases nothing", func(t *testing.T) {
		for _, token := range []string{"two", "one"} {
			err := s.SaveTrackings(t.Context(), []parcel.Tracking{{NumberKey: b}}, token)
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := lease(t, now, until, "three", b); len(got) != 1 {
			t.Errorf("its own did not release it: %v", got)
		}
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			return tx.ReleaseLeases(ctx, []parcel.NumberKey{a, b}, "one")
		})
		if got := lease(t, now, until, "four", b); len(got) != 0 {
			t.Errorf("another's token released it: %v", got)
		}
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			return tx.ReleaseLeases(ctx, []parcel.NumberKey{a, b}, "three")
		})
		if got := lease(t, now, until, "four", b); len(got) != 1 {
			t.Errorf("its own token did not: %v", got)
		}
	})
	t.Run("many askers at once", func(t *testing.T) {
		var keys []parcel.NumberKey
		for n := 100; n < 140; n++ {
			keys = append(keys, key(n))
		}
		watch(t, s, keys...)
		var mu sync.Mutex
		granted := map[parcel.NumberKey]int{}
		var g errgroup.Group
		for w := range 6 {
			g.Go(func() error {
				mine := slices.Clone(keys)
				if w%2 == 1 {
					slices.Reverse(mine)
				}
				got, err := s.Lease(t.Context(), mine, now, until, fmt.Sprint("asker ", w))
				mu.Lock()
				defer mu.Unlock()
				for _, k := range got {
					granted[k]++
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if granted[k] != 1 {
				t.Errorf("%v was granted %d times", k, granted[k])
			}
		}
	})
	for name, err := range map[string]error{
		"no token": func() error { _, err := s.Lease(t.Context(), []parcel.NumberKey{a}, now, until, ""); return err }(),
		"no time":  func() error { _, err := s.Lease(t.Context(), []parcel.NumberKey{a}, now, now, "x"); return err }(),
		"no limit": func() error {
			_, _, err := s.LeaseDue(t.Context(), parcel.Due{Carrier: "c", Now: now, Until: until, Token: "x"})
			return err
		}(),
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, err, parcel.ErrInvalid) })
	}
}

func testLeaseDue(t *testing.T, s *storage.Store) {
	var keys []parcel.NumberKey
	for n := range 30 {
		keys = append(keys, key(n))
	}
	other := key(40)
	other.Carrier = "correios"
	watch(t, s, append(keys, other)...) // due a minute apart
	now := Epoch.Add(20 * time.Minute)
	until := now.Add(time.Hour)
	carrier := keys[0].Carrier
	lease := func(t *testing.T, token string, limit int) []parcel.Tracking {
		t.Helper()
		got, _, err := s.LeaseDue(t.Context(), parcel.Due{Carrier: carrier, Now: now, Until: until, Token: token, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.Run("the longest overdue first, none before its time", func(t *testing.T) {
		got := lease(t, "one", 5)
		if len(got) != 5 {
			t.Fatalf("%d due", len(got))
		}
		for i, tr := range got {
			if tr.NumberKey != keys[i] || !tr.LeasedUntil.Equal(until) {
				t.Errorf("%d is %v until %s", i, tr.NumberKey, tr.LeasedUntil)
			}
		}
	})
	t.Run("count", func(t *testing.T) {
		// Of 21 that are due five are leased, the oldest.
		if n, oldest, err := s.CountDue(t.Context(), now, carrier); err != nil || n != 16 || !oldest.Equal(Epoch.Add(5*time.Minute)) {
			t.Errorf("%d due since %s: %v", n, oldest, err)
		}
		if n, oldest, err := s.CountDue(t.Context(), until.Add(time.Hour), carrier); err != nil || n != 30 || !oldest.Equal(Epoch) {
			t.Errorf("once the leases are over %d due since %s: %v", n, oldest, err)
		}
		if n, oldest, err := s.CountDue(t.Context(), Epoch.Add(-time.Minute), carrier); err != nil || n != 0 || !oldest.IsZero() {
			t.Errorf("before their time %d due since %s: %v", n, oldest, err)
		}
		if n, _, err := s.CountDue(t.Context(), now, "nobody"); err != nil || n != 0 {
			t.Errorf("of an unknown carrier %d: %v", n, err)
		}
	})
	t.Run("replicas get different numbers", func(t *testing.T) {
		var mu sync.Mutex
		seen := map[parcel.NumberKey]int{}
		var g errgroup.Group
		for w := range 4 {
			g.Go(func() error {
				for range 4 {
					got, _, err := s.LeaseDue(t.Context(), parcel.Due{Carrier: carrier, Now: now, Until: until, Token: fmt.Sprint("replica ", w), Limit: 3})
					if err != nil {
						return err
					}
					mu.Lock()
					for _, tr := range got {
						seen[tr.NumberKey]++
					}
					mu.Unlock()
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("%v was leased %d times", k, n)
			}
		}
		if len(seen) != 16 { // 21 due, 5 leased before
			t.Errorf("%d leased", len(seen))
		}
	})
	t.Run("a number without a plan is never due", func(t *testing.T) {
		if err := s.SaveTrackings(t.Context(), []parcel.Tracking{{NumberKey: keys[0]}}, "one"); err != nil {
			t.Fatal(err)
		}
		got, _, err := s.LeaseDue(t.Context(), parcel.Due{Carrier: carrier, Now: until.Add(time.Hour), Until: until.Add(2 * time.Hour), Token: "two", Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range got {
			if tr.NumberKey == keys[0] {
				t.Error("it was leased")
			}
		}
	})
	t.Run("a plan that another replica fulfils meanwhile is not leased twice", func(t *testing.T) {
		if got := lease(t, "three", 100); len(got) != 0 {
			t.Errorf("%d leased again", len(got))
		}
	})
}

// testTurns leases where not all that is due may be asked for.
func testTurns(t *testing.T, s *storage.Store) {
	now := Epoch.Add(24 * time.Hour)
	var rows []parcel.Tracking
	add := func(owner string, n int, worth parcel.Worth, late time.Duration) {
		for i := range n {
			k := parcel.NumberKey{Carrier: "ups", Number: fmt.Sprintf("%s%d%04d", owner, worth, i)}
			rows = append(rows, parcel.Tracking{NumberKey: k, Owner: owner, Worth: worth, WatchedAt: Epoch, NextAt: now.Add(-late)})
		}
	}
	add("big", 400, parcel.WorthMoving, 23*time.Hour)
	add("small", 10, parcel.WorthMoving, time.Minute)
	add("third", 5, parcel.WorthToday, 10*time.Minute)
	add("third", 50, parcel.WorthLittle, 3*time.Hour)
	add("third", 2, parcel.WorthLittle, 25*time.Hour)
	add("future", 3, parcel.WorthToday, -time.Hour)
	var keys []parcel.NumberKey
	for _, r := range rows {
		keys = append(keys, r.NumberKey)
	}
	watch(t, s, keys...)
	if err := s.SaveTrackings(t.Context(), rows, ""); err != nil {
		t.Fatal(err)
	}
	count := func(got []parcel.Tracking) map[string]int {
		n := map[string]int{}
		for _, tr := range got {
			n[tr.Owner]++
		}
		return n
	}
	ask := parcel.Due{Carrier: "ups", Now: now, Until: now.Add(time.Hour), Token: "one", Limit: 30}
	got, after, err := s.LeaseDue(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(got); n["big"] != 10 || n["small"] != 10 || n["third"] != 10 {
		t.Errorf("a look of 30 gave %v, want 10 each", n)
	}
	worth := map[parcel.Worth]int{}
	for _, tr := range got {
		if tr.Owner == "third" {
			worth[tr.Worth]++
		}
	}
	// Five out for delivery, and two of little worth that have waited longer
	// than theirs may; the rest is of little worth too.
	if worth[parcel.WorthToday] != 5 || worth[parcel.WorthLittle] != 5 {
		t.Errorf("of the third merchant %v", worth)
	}
	if got[0].Owner != "big" && got[0].Worth != parcel.WorthLittle {
		t.Errorf("first comes %+v", got[0])
	}
	t.Run("what one does not need goes to the others", func(t *testing.T) {
		ask := ask
		ask.After, ask.Limit = after, 60
		got, _, err := s.LeaseDue(t.Context(), ask)
		if n := count(got); err != nil || len(got) != 60 || n["small"] != 0 || n["third"] < 20 || n["third"] > 40 {
			t.Errorf("%d: %v %v", len(got), n, err)
		}
	})
	t.Run("a merchant without room waits", func(t *testing.T) {
		ask := ask
		ask.Room = func(owner string) int { return map[string]int{"big": 7, "third": 0}[owner] }
		got, _, err := s.LeaseDue(t.Context(), ask)
		if n := count(got); err != nil || n["big"] != 7 || len(got) != 7 {
			t.Errorf("%v %v", n, err)
		}
	})
	t.Run("the next look begins with the next merchant", func(t *testing.T) {
		ask := ask
		ask.Limit, ask.After = 1, "big"
		got, after, err := s.LeaseDue(t.Context(), ask)
		if err != nil || len(got) != 1 || got[0].Owner != "third" || after != "third" {
			t.Errorf("%v after %q: %v", count(got), after, err)
		}
		ask.After = after
		if got, after, err = s.LeaseDue(t.Context(), ask); err != nil || len(got) != 1 || got[0].Owner != "big" || after != "big" {
			t.Errorf("%v after %q: %v", count(got), after, err)
		}
	})
}

// testBudgets takes calls from many hands at once.
func testBudgets(t *testing.T, s *storage.Store) {
	key := parcel.BudgetKey{Carrier: "ups", Account: "main"}
	allowance := parcel.Allowance{Calls: 100, Window: time.Hour}
	var total atomic.Int64
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for i := range 10 {
				grant, err := s.LeaseBudget(t.Context(), key, parcel.BudgetAsk{Now: Epoch.Add(time.Duration(i) * time.Second), Allowance: allowance, Want: 3})
				if err != nil {
					return err
				}
				total.Add(int64(grant.Calls))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if total.Load() != 100 {
		t.Errorf("%d calls were leased, want exactly 100", total.Load())
	}
	all, err := s.Budgets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept := all[key]
	if left, renews := kept.Standing(Epoch.Add(time.Minute), allowance); left != 0 || !renews.Equal(Epoch.Add(61*time.Minute)) {
		t.Errorf("%d left until %s", left, renews)
	}
	if err := s.ReturnBudget(t.Context(), key, []parcel.BudgetCell{{Index: kept.Spent[0].Index, Calls: 4}}); err != nil {
		t.Fatal(err)
	}
	until, err := s.BarBudget(t.Context(), key, Epoch.Add(time.Minute), time.Minute)
	if err != nil || !until.Equal(Epoch.Add(2*time.Minute)) {
		t.Errorf("barred until %s: %v", until, err)
	}
	if grant, err := s.LeaseBudget(t.Context(), key, parcel.BudgetAsk{Now: Epoch.Add(90 * time.Second), Allowance: allowance, Want: 9}); err != nil || grant.Calls != 0 || !grant.Barred {
		t.Errorf("while barred: %+v %v", grant, err)
	}
	if grant, err := s.LeaseBudget(t.Context(), key, parcel.BudgetAsk{Now: Epoch.Add(2 * time.Minute), Allowance: allowance, Want: 9}); err != nil || grant.Calls != 4 {
		t.Errorf("after it: %+v %v, want the 4 that were given back", grant, err)
	}
	paced := parcel.BudgetKey{Carrier: "ups", Account: "paced"}
	rate := parcel.Allowance{PerSecond: 4, Burst: 1}
	first, err := s.LeaseBudget(t.Context(), paced, parcel.BudgetAsk{Now: Epoch, Allowance: rate, Want: 2})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.LeaseBudget(t.Context(), paced, parcel.BudgetAsk{Now: Epoch, Allowance: rate, Want: 2})
	if err != nil || first.Calls != 2 || second.From.Sub(first.From) != 500*time.Millisecond {
		t.Errorf("turns of two replicas: %+v, %+v: %v", first, second, err)
	}
}

// testBeats writes what replicas have seen, and what silences ended.
func testBeats(t *testing.T, s *storage.Store) {
	beat := func(replica string, at time.Time, calls int64) parcel.CarrierBeat {
		return parcel.CarrierBeat{Carrier: "ups", Account: "main", Replica: replica, At: at, Calls: calls,
			Troubles: map[parcel.Trouble]int64{parcel.TroubleTimeout: 2}, LastSuccess: at, Lag: parcel.Sketch{40: 3}}
	}
	for i, b := range []parcel.CarrierBeat{beat("one", Epoch, 1), beat("two", Epoch.Add(time.Minute), 7), beat("one", Epoch.Add(2*time.Minute), 5)} {
		if err := s.PutBeats(t.Context(), []parcel.CarrierBeat{b}, Epoch.Add(-time.Minute)); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	got := must(s.Beats(t.Context(), Epoch))(t)
	want := []parcel.CarrierBeat{beat("one", Epoch.Add(2*time.Minute), 5), beat("two", Epoch.Add(time.Minute), 7)}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("beats (-want +got):\n%s", diff)
	}
	if got := must(s.Beats(t.Context(), Epoch.Add(90*time.Second)))(t); len(got) != 1 || got[0].Replica != "one" {
		t.Errorf("of the living: %+v", got)
	}
	if err := s.PutBeats(t.Context(), nil, Epoch.Add(90*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Beats(t.Context(), Epoch))(t); len(got) != 1 {
		t.Errorf("%d beats after one replica was given up", len(got))
	}

	k := parcel.GapKey{Carrier: "ups", Lane: parcel.Lane{Origin: "CN", Destination: "DE"}, Milestone: parcel.MilestoneOriginDeparted}
	for range 2 {
		if err := s.AddGaps(t.Context(), map[parcel.GapKey]parcel.Sketch{k: {90: 2, 100: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(parcel.Sketch{90: 4, 100: 2}, must(s.Gaps(t.Context(), k))(t)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	k.Milestone = parcel.MilestoneLastMile
	if got := must(s.Gaps(t.Context(), k))(t); got.N() != 0 {
		t.Errorf("of another milestone: %v", got)
	}
}
