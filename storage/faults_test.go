package storage_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// throughProxy gives a migrated store behind a proxy, and one beside it.
func throughProxy(t *testing.T) (p *proxy, through, beside *storage.Store) {
	t.Helper()
	c := storagetest.Postgres(t)
	p, at := newProxy(t, c.URL)
	return p, storagetest.Again(t, at, storage.Options{MaxConns: 3}), c.Store
}

func countAll(t *testing.T, s *storage.Store) int {
	t.Helper()
	n, _, err := s.CountShipments(t.Context(), storage.OfMerchant("shop"), storage.ShipmentFilter{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestHotReadsCostOneRoundTrip: statements stay prepared, in transactions too.
func TestHotReadsCostOneRoundTrip(t *testing.T) {
	p, s, _ := throughProxy(t)
	parcels := []storagetest.Parcel{storagetest.NewParcel("shop", 1, 22), storagetest.NewParcel("shop", 2, 5)}
	storagetest.Put(t, s, parcels...)
	ids := []string{parcels[0].Shipment.ID, parcels[1].Shipment.ID}
	scope := storage.OfMerchant("shop")
	key := storage.Key{ID: "k", MerchantID: "shop", Hash: []byte("hash")}
	if err := s.PutKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	reads := []struct {
		name string
		want int
		do   func() error
	}{
		{"a timeline", 1, func() error { _, err := s.Shipments(t.Context(), scope, ids[:1]); return err }},
		{"a page of timelines", 1, func() error { _, err := s.Shipments(t.Context(), scope, ids); return err }},
		{"a list", 1, func() error {
			_, err := s.ListShipments(t.Context(), scope, storage.ShipmentFilter{Tags: []string{"batch-1"}}, storage.ShipmentOrder{}, storage.Page{First: 50})
			return err
		}},
		{"the public door", 1, func() error {
			_, err := s.ShipmentsByNumber(t.Context(), storage.Knock{Number: "LX000000001CN", MerchantID: "shop"})
			return err
		}},
		{"a key", 1, func() error { _, err := s.KeyByHash(t.Context(), key.Hash); return err }},
		{"changes", 1, func() error { _, err := s.Changes(t.Context(), scope, 0, 50, storage.ChangeFilter{}); return err }},
		{"a lock", 3, func() error { // begin, lock, commit
			return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				_, err := tx.LockShipments(ctx, ids)
				return err
			})
		}},
	}
	for _, tt := range reads {
		t.Run(tt.name, func(t *testing.T) {
			run := func() {
				if err := tt.do(); err != nil {
					t.Error(err)
				}
			}
			// One after another they take one connection, which knows the
			// statement after the first time.
			run()
			if got := p.roundTrips(run); got != tt.want {
				t.Errorf("%d round trips, want %d", got, tt.want)
			}
		})
	}
}

// TestDatabaseGoneAndBack: while the database is away everything says so, at
// once and as parcel.ErrUnavailable; when it is back everything works, and
// nothing is half done.
func TestDatabaseGoneAndBack(t *testing.T) {
	p, s, _ := throughProxy(t)
	storagetest.Put(t, s, storagetest.NewParcel("shop", 1, 5))
	p.setDown(true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, do := range map[string]func() error{
		"ping": func() error { return s.Ping(ctx) },
		"read": func() error { _, err := s.Shipments(ctx, storage.OfMerchant("shop"), []string{"x"}); return err },
		"write": func() error {
			return s.Update(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return storagetest.PutIn(ctx, tx, storagetest.NewParcel("shop", 2, 5))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := do()
			if !errors.Is(err, parcel.ErrUnavailable) || !strings.Contains(err.Error(), "cannot reach") {
				t.Errorf("error is %v", err)
			}
		})
	}
	p.setDown(false)
	if err := s.Ping(ctx); err != nil {
		t.Error(err)
	}
	storagetest.Put(t, s, storagetest.NewParcel("shop", 2, 5))
	if n := countAll(t, s); n != 2 {
		t.Errorf("%d shipments, want 2", n)
	}
}

// TestConnectionLost: before the commit the work is done again; at the commit
// it is told that nobody knows.
func TestConnectionLost(t *testing.T) {
	p, s, beside := throughProxy(t)
	runs := 0
	put := func(n int, meanwhile func()) error {
		runs = 0
		return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			runs++
			if err := storagetest.PutIn(ctx, tx, storagetest.NewParcel("shop", n, 5)); err != nil {
				return err
			}
			if runs == 1 {
				meanwhile()
			}
			_, err := tx.HoldNumbers(ctx, []parcel.NumberKey{{Carrier: "ups", Number: "1Z"}})
			return err
		})
	}
	t.Run("before the commit", func(t *testing.T) {
		err := put(1, func() { p.setDown(true); p.setDown(false) })
		if err != nil || runs != 2 || countAll(t, beside) != 1 {
			t.Errorf("%v after %d runs, %d shipments", err, runs, countAll(t, beside))
		}
	})
	t.Run("the server ends the session", func(t *testing.T) {
		err := put(2, func() {
			if err := beside.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
				t.Error(err)
			}
		})
		if err != nil || runs != 2 || countAll(t, beside) != 2 {
			t.Errorf("%v after %d runs, %d shipments", err, runs, countAll(t, beside))
		}
	})
	for _, tt := range []struct {
		name string
		v    verdict
		kept int
	}{{"on the way to the commit", cutBefore, 2}, {"on the way back", cutAfter, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			p.atCommit(func(n int) verdict {
				if n == 1 {
					return tt.v
				}
				return pass
			})
			err := put(3, func() {})
			if !errors.Is(err, parcel.ErrUnavailable) || !strings.Contains(err.Error(), "not known whether it was kept") {
				t.Errorf("error is %v", err)
			}
			if runs != 1 {
				t.Errorf("%d runs: what may have been kept was done again", runs)
			}
			if n := countAll(t, beside); n != tt.kept {
				t.Errorf("%d shipments, want %d", n, tt.kept)
			}
		})
	}
}

// TestDeadlockIsTriedAgain: two transactions that lock against each other both
// succeed in the end.
func TestDeadlockIsTriedAgain(t *testing.T) {
	s := storagetest.Postgres(t).Store
	a, b := storagetest.NewParcel("shop", 1, 1), storagetest.NewParcel("shop", 2, 1)
	storagetest.Put(t, s, a, b)
	var g errgroup.Group
	met := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	var runs [2]int
	for i, order := range [][]string{{a.Shipment.ID, b.Shipment.ID}, {b.Shipment.ID, a.Shipment.ID}} {
		g.Go(func() error {
			return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				runs[i]++
				if _, err := tx.LockShipments(ctx, order[:1]); err != nil {
					return err
				}
				if runs[i] == 1 {
					close(met[i])
					<-met[1-i]
				}
				_, err := tx.LockShipments(ctx, order[1:])
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if runs[0]+runs[1] != 3 {
		t.Errorf("%d and %d runs, want 3 in all", runs[0], runs[1])
	}
}

// TestConflictWithoutEnd: what conflicts every time is given up after a bounded
// number of tries, and is unavailable, not lost.
func TestConflictWithoutEnd(t *testing.T) {
	s := storagetest.Postgres(t).Store
	runs := 0
	err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		runs++
		return tx.Raise(ctx, "40001")
	})
	if !errors.Is(err, parcel.ErrUnavailable) || runs != 8 {
		t.Errorf("%v after %d runs", err, runs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs = 0
	err = s.Update(ctx, func(ctx context.Context, tx *storage.Tx) error {
		runs++
		defer cancel()
		return tx.Raise(ctx, "40001")
	})
	if err == nil || runs != 1 {
		t.Errorf("%v after %d runs of a context that ended", err, runs)
	}
}

// TestDiskFull: a full file refuses writes as parcel.ErrUnavailable with the
// remedy, keeps everything it had, half of nothing, and answers reads; with
// room again it goes on.
func TestDiskFull(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "small.db")
	const limit = 2 << 20
	s := storagetest.Again(t, url, storage.Options{MaxFileBytes: limit})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var parcels []storagetest.Parcel
	var full error
	for n := 0; full == nil && n < 2000; n += 5 {
		var lot []storagetest.Parcel
		for k := range 5 {
			lot = append(lot, storagetest.NewParcel("shop", n+k, 22))
		}
		if full = s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return storagetest.PutIn(ctx, tx, lot...) }); full == nil {
			parcels = append(parcels, lot...)
		}
	}
	if !errors.Is(full, parcel.ErrUnavailable) || !strings.Contains(full.Error(), "free disk space") {
		t.Fatalf("after %d shipments the error is %v", len(parcels), full)
	}
	check := func(s *storage.Store, want int) {
		t.Helper()
		if n := countAll(t, s); n != want {
			t.Errorf("%d shipments, want %d", n, want)
		}
		changes, err := s.Changes(t.Context(), storage.OfMerchant("shop"), 0, 10_000, storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeMilestone}, Milestones: []parcel.Milestone{parcel.MilestoneDelivered}})
		if err != nil || len(changes) != want {
			t.Errorf("%d deliveries in the log, %v, want %d", len(changes), err, want)
		}
		for _, p := range parcels {
			events, err := s.EventsAsOf(t.Context(), storage.OfMerchant("shop"), p.Shipment.ID, storagetest.Epoch.AddDate(1, 0, 0))
			if err != nil || len(events) != 22 {
				t.Fatalf("%d events of %s, %v", len(events), p.Shipment.Reference, err)
			}
		}
	}
	check(s, len(parcels))
	roomy := storagetest.Again(t, url, storage.Options{})
	storagetest.Put(t, roomy, storagetest.NewParcel("shop", 5000, 22))
	check(roomy, len(parcels)+1)
}

// TestTwoProcessesOnOneFile: a second writer waits for the first, for as long
// as its context lets it.
func TestTwoProcessesOnOneFile(t *testing.T) {
	c := storagetest.SQLite(t)
	other := storagetest.Again(t, c.URL, storage.Options{})
	holding, release := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return c.Store.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			close(holding)
			<-release
			return storagetest.PutIn(ctx, tx, storagetest.NewParcel("shop", 1, 3))
		})
	})
	<-holding
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := other.Update(ctx, func(context.Context, *storage.Tx) error { return errors.New("it got in") })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	if n := countAll(t, other); n != 0 {
		t.Errorf("a reader sees %d of what is not committed", n)
	}
	g.Go(func() error {
		return other.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			return storagetest.PutIn(ctx, tx, storagetest.NewParcel("shop", 2, 3))
		})
	})
	close(release)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := countAll(t, other); n != 2 {
		t.Errorf("%d shipments", n)
	}
}

// TestManyStatements: filters make more texts than a connection keeps.
func TestManyStatements(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			storagetest.Put(t, c.Store, storagetest.NewParcel("shop", 1, 3))
			for n := range 17 * 17 {
				f := storage.ShipmentFilter{Lanes: slices.Repeat([]parcel.Lane{{Origin: "CN", Destination: "BR"}}, n%17), Carriers: slices.Repeat([]string{"yanwen"}, n/17)}
				got, _, err := c.Store.CountShipments(t.Context(), storage.OfMerchant("shop"), f, 5)
				if err != nil || got != 1 {
					t.Fatal(fmt.Errorf("filter %d: %d, %w", n, got, err))
				}
			}
		})
	}
}
