package ingest_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// BenchmarkPollPlan leases due numbers, 50 a look, among many that are planned:
// what a lease costs must not grow with their number. "all" is a carrier that may
// be asked for all that is due, "turns" one that may not, with 200 merchants. The
// heap that stays is reported: nothing is kept for a number.
func BenchmarkPollPlan(b *testing.B) {
	sizes := []int{1_000, 100_000}
	if !testing.Short() {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		for _, c := range storagetest.Open(b) {
			b.Run(fmt.Sprintf("%s/numbers=%d", c.Name, size), func(b *testing.B) {
				at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
				seedPlan(b, c.Store, size, at)
				for _, due := range []int{50, size} {
					name := "all"
					if due > 50 {
						name = "turns"
					}
					// All are due within a day; 50 of them at once, or all. It goes on
					// over the runs of a benchmark: leases of one are over in the next.
					now := at.Add(24 * time.Hour / time.Duration(size) * 50)
					if due > 50 {
						now = at.Add(25 * time.Hour)
					}
					b.Run(name, func(b *testing.B) {
						after := ""
						n := 0
						for b.Loop() {
							got, next, err := c.Store.LeaseDue(b.Context(), parcel.Due{Carrier: "ups", Now: now, Until: now.Add(time.Microsecond), Token: "bench", Limit: 50, After: after})
							if err != nil || len(got) == 0 {
								b.Fatal(len(got), err)
							}
							n, after = n+len(got), next
							now = now.Add(time.Microsecond) // the leases have ended
						}
						b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/lease")
						var m runtime.MemStats
						runtime.GC()
						runtime.ReadMemStats(&m)
						b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
					})
				}
			})
		}
	}
}

// seedPlan watches numbers of 200 merchants, planned over a day.
func seedPlan(b *testing.B, s *storage.Store, size int, at time.Time) {
	b.Helper()
	const chunk = 5000
	for from := 0; from < size; from += chunk {
		var rows []parcel.Tracking
		var keys []parcel.NumberKey
		for i := from; i < min(size, from+chunk); i++ {
			k := parcel.NumberKey{Carrier: "ups", Number: fmt.Sprintf("1Z%09d", i*7919%size)}
			keys = append(keys, k)
			rows = append(rows, parcel.Tracking{NumberKey: k, Account: "main", Owner: fmt.Sprintf("M%03d", i%200), Worth: parcel.Worth(i % 5), WatchedAt: at,
				HeardAt: at, NextAt: at.Add(24 * time.Hour / time.Duration(size) * time.Duration(i)).Add(time.Microsecond)})
		}
		seedNumbers(b, s, keys, rows)
	}
}

func seedNumbers(b *testing.B, s *storage.Store, keys []parcel.NumberKey, rows []parcel.Tracking) {
	b.Helper()
	err := s.Update(b.Context(), func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.HoldNumbers(ctx, keys); err != nil {
			return err
		}
		return tx.PutTrackings(ctx, rows)
	})
	if err != nil {
		b.Fatal(err)
	}
}
