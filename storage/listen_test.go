package storage_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// listen collects rings until the test ends.
func listen(t *testing.T, s *storage.Store) <-chan int64 {
	t.Helper()
	rings := make(chan int64, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Listen(ctx, func(position int64) { rings <- position }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	return rings
}

// until waits for a ring for position.
func until(t *testing.T, rings <-chan int64, position int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		select {
		case got := <-rings:
			if got == position {
				return
			}
			if got > position {
				t.Fatalf("rung for %d, which is not committed", got)
			}
		case <-ctx.Done():
			t.Fatalf("never rung for %d", position)
		}
	}
}

func log(t *testing.T, s *storage.Store, n int) (last int64) {
	t.Helper()
	err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) (err error) {
		var list []parcel.Change
		for range n {
			list = append(list, parcel.Change{MerchantID: "shop", ShipmentID: "s", Kind: parcel.ChangeMilestone, LoggedAt: storagetest.Epoch})
		}
		last, err = tx.AppendChanges(ctx, list)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// TestListen: what one process logs rings in another.
func TestListen(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			first := log(t, c.Store, 3)
			other := storagetest.Again(t, c.URL, storage.Options{})
			rings := listen(t, other)
			until(t, rings, first) // what was there before
			for n := range 5 {
				until(t, rings, log(t, c.Store, n+1))
			}
			until(t, rings, log(t, other, 1)) // its own
		})
	}
}

// TestListenAcrossAnOutage: what was logged while the connection was away rings
// when it is back.
func TestListenAcrossAnOutage(t *testing.T) {
	p, through, beside := throughProxy(t)
	rings := listen(t, through)
	until(t, rings, log(t, beside, 1))
	p.setDown(true)
	missed := log(t, beside, 2)
	p.setDown(false)
	until(t, rings, missed)
	until(t, rings, log(t, beside, 1))
}

// TestListenThroughTermination: an administrator who ends the listener's
// session costs nothing but a moment.
func TestListenThroughTermination(t *testing.T) {
	c := storagetest.Postgres(t)
	rings := listen(t, c.Store)
	until(t, rings, log(t, c.Store, 1))
	admin, err := sql.Open("postgres", c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	const listeners = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN %' AND pid <> pg_backend_pid()`
	for range 3 {
		// It may still be on its way back from the last time.
		wall := clock.Wall()
		for limit, ended := wall.Now().Add(20*time.Second), 0; ended == 0; {
			if err := admin.QueryRowContext(t.Context(), listeners).Scan(&ended); err != nil {
				t.Fatal(err)
			}
			if ended == 0 && wall.Now().After(limit) {
				t.Fatal("nobody listens")
			}
		}
		until(t, rings, log(t, c.Store, 2))
	}
}
