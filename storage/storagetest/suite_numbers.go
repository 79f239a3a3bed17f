package storagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
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
		"no limit": func() error { _, err := s.LeaseDue(t.Context(), now, until, "x", 0, nil); return err }(),
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, err, parcel.ErrInvalid) })
	}
}

func testLeaseDue(t *testing.T, s *storage.Store) {
	var keys []parcel.NumberKey
	for n := range 30 {
		k := key(n)
		if n%3 == 0 {
			k.Carrier = "correios"
		}
		keys = append(keys, k)
	}
	watch(t, s, keys...) // due a minute apart
	now := Epoch.Add(20 * time.Minute)
	until := now.Add(time.Hour)
	t.Run("the longest overdue first, none before its time", func(t *testing.T) {
		got := must(s.LeaseDue(t.Context(), now, until, "one", 5, nil))(t)
		if len(got) != 5 {
			t.Fatalf("%d due", len(got))
		}
		for i, tr := range got {
			if tr.NumberKey != keys[i] || !tr.LeasedUntil.Equal(until) {
				t.Errorf("%d is %v until %s", i, tr.NumberKey, tr.LeasedUntil)
			}
		}
	})
	t.Run("of chosen carriers", func(t *testing.T) {
		got := must(s.LeaseDue(t.Context(), now, until, "one", 100, []string{"correios"}))(t)
		if len(got) != 5 { // 6, 9, 12, 15 and 18; 0 and 3 are leased
			t.Errorf("%d due", len(got))
		}
		for _, tr := range got {
			if tr.Carrier != "correios" {
				t.Errorf("%v", tr.NumberKey)
			}
		}
		if got := must(s.LeaseDue(t.Context(), now, until, "one", 100, []string{}))(t); len(got) != 0 {
			t.Errorf("of no carrier: %d", len(got))
		}
	})
	t.Run("replicas get different numbers", func(t *testing.T) {
		var mu sync.Mutex
		seen := map[parcel.NumberKey]int{}
		var g errgroup.Group
		for w := range 4 {
			g.Go(func() error {
				for range 4 {
					got, err := s.LeaseDue(t.Context(), now, until, fmt.Sprint("replica ", w), 3, nil)
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
		if len(seen) != 11 { // 21 due, 10 leased before
			t.Errorf("%d leased", len(seen))
		}
	})
	t.Run("a number without a plan is never due", func(t *testing.T) {
		if err := s.SaveTrackings(t.Context(), []parcel.Tracking{{NumberKey: keys[0]}}, "one"); err != nil {
			t.Fatal(err)
		}
		for _, tr := range must(s.LeaseDue(t.Context(), until.Add(time.Hour), until.Add(2*time.Hour), "two", 100, nil))(t) {
			if tr.NumberKey == keys[0] {
				t.Error("it was leased")
			}
		}
	})
}
