package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

func TestRetentionWords(t *testing.T) {
	for _, tt := range []struct {
		text string
		want retention
		ok   bool
	}{
		{"400d", retention(400 * day), true},
		{"36h", retention(36 * time.Hour), true},
		{" 1d ", retention(day), true},
		{"36500d", retention(mostRetention), true},
		{"forever", 0, true},
		{"36501d", 0, false},
		{"9999999999999d", 0, false},
		{"99999999999999999999d", 0, false},
		{"30m", 0, false},
		{"-5d", 0, false},
		{"0", 0, false},
		{"1.5d", 0, false},
		{"", 0, false},
		{"400", 0, false},
	} {
		t.Run(tt.text, func(t *testing.T) {
			var got retention
			if err := got.UnmarshalText([]byte(tt.text)); (err == nil) != tt.ok || got != tt.want {
				t.Errorf("%v, %v", time.Duration(got), err)
			}
		})
	}
}

// logged appends n changes, an hour apart.
func logged(t *testing.T, s *storage.Store, merchant string, from time.Time, n int) {
	t.Helper()
	list := make([]parcel.Change, n)
	for i := range list {
		list[i] = parcel.Change{MerchantID: merchant, ShipmentID: "s", Kind: parcel.ChangeMilestone, To: parcel.MilestoneRegistered, LoggedAt: from.Add(time.Duration(i) * time.Hour)}
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.AppendChanges(ctx, list)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPrune: what is older than the retention goes, page after page, by one
// replica of several, and a reader before it can tell.
func TestPrune(t *testing.T) {
	for name, at := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := storagetest.Again(t, at, storage.Options{})
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			const n = 2*prunePage + 500
			logged(t, s, "shop", storagetest.Epoch, n)
			trade := clock.Fixed(storagetest.Epoch.Add((n - 100) * time.Hour).Add(400 * day))
			replicas := make([]*pruner, 3)
			for i := range replicas {
				replicas[i] = newPruner(s, retention(400*day), trade, clock.Wall(), slog.New(slog.DiscardHandler))
			}
			var all sync.WaitGroup
			removed := make([]int64, len(replicas))
			for i, p := range replicas {
				all.Go(func() {
					var err error
					if removed[i], err = p.prune(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			var sum int64
			for _, r := range removed {
				sum += r
			}
			oldest, head, err := s.LogBounds(t.Context())
			if err != nil || sum != n-100 || oldest != n-99 || head != n {
				t.Errorf("%v removed, log %d to %d, %v", removed, oldest, head, err)
			}
			// A replica that died in its duty holds the others up for its lease.
			now := clock.Wall().Now()
			if held, err := s.HoldDuty(t.Context(), pruneDuty, "dead", now, now.Add(pruneLease)); !held || err != nil {
				t.Fatal(fmt.Sprint("the duty was not let go: ", err))
			}
			trade.Advance(50 * time.Hour)
			if got, err := replicas[0].prune(t.Context()); got != 0 || err != nil {
				t.Errorf("%d removed during another's duty, %v", got, err)
			}
			if held, err := s.HoldDuty(t.Context(), pruneDuty, "dead", now, now); held || err != nil {
				t.Fatal(held, err)
			}
			if got, err := replicas[0].prune(t.Context()); got != 50 || err != nil {
				t.Errorf("%d removed, %v; want 50", got, err)
			}
		})
	}
}
