package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// shelfSize is how many shipments of 22 events the benchmarks read from.
const shelfSize = 2000

// eachShelf runs a benchmark on every database, filled.
func eachShelf(b *testing.B, run func(b *testing.B, s *storage.Store, shelf []storagetest.Parcel)) {
	for _, c := range storagetest.Open(b) {
		shelf := make([]storagetest.Parcel, shelfSize)
		for n := range shelf {
			shelf[n] = storagetest.NewParcel("shop", n, 22)
		}
		for n := 0; n < shelfSize; n += 200 {
			storagetest.Put(b, c.Store, shelf[n:n+200]...)
		}
		if c.Name == "postgres" { // SQLite is not analysed in the field either
			if err := c.Store.Exec(b.Context(), "ANALYZE"); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(c.Name, func(b *testing.B) { run(b, c.Store, shelf) })
	}
}

// BenchmarkTimeline reads one shipment with 22 events and its trackings.
func BenchmarkTimeline(b *testing.B) {
	eachShelf(b, func(b *testing.B, s *storage.Store, shelf []storagetest.Parcel) {
		scope := storage.OfMerchant("shop")
		read := func() {
			p := &shelf[rand.IntN(len(shelf))]
			got, err := s.Shipments(b.Context(), scope, []string{p.Shipment.ID})
			if err != nil || got[0] == nil || len(got[0].Shipment.Journey.Events) != 22 {
				b.Error(got, err)
			}
		}
		b.Run("alone", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read()
			}
		})
		b.Run("parallel", func(b *testing.B) {
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					read()
				}
			})
		})
	})
}

// BenchmarkPage reads 50 shipments of a filtered list.
func BenchmarkPage(b *testing.B) {
	eachShelf(b, func(b *testing.B, s *storage.Store, shelf []storagetest.Parcel) {
		o := storage.ShipmentOrder{Field: storage.ByUpdatedAt, Descending: true}
		b.ReportAllocs()
		for b.Loop() {
			after := storage.KeyOf(o, shelf[rand.IntN(shelfSize/2)+shelfSize/2].Shipment)
			page, err := s.ListShipments(b.Context(), storage.OfMerchant("shop"), storage.ShipmentFilter{Destinations: []parcel.Country{"BR"}}, o, storage.Page{First: 50, After: &after})
			if err != nil || len(page.Items) != 50 {
				b.Fatal(len(page.Items), err)
			}
		}
	})
}

// BenchmarkIngest lands news of 100 shipments of 22 events in one transaction,
// as ingest does; a ns/event is the measure.
func BenchmarkIngest(b *testing.B) {
	const lot = 100
	eachShelf(b, func(b *testing.B, s *storage.Store, shelf []storagetest.Parcel) {
		round := 0
		for b.Loop() {
			round++
			at := rand.IntN(shelfSize - lot)
			err := s.Update(b.Context(), func(ctx context.Context, tx *storage.Tx) error { return land(ctx, tx, shelf[at:at+lot], round) })
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(round*lot), "ns/event")
	})
}

// land stores one more event of each parcel.
func land(ctx context.Context, tx *storage.Tx, parcels []storagetest.Parcel, round int) error {
	now := storagetest.Epoch.AddDate(0, 2, 0).Add(time.Duration(round) * time.Second)
	payload := storagetest.NewParcel("shop", round, 0).Payload
	payload.Body = fmt.Appendf(nil, "answer %d of %d", round, now.UnixMicro())
	var keys []parcel.NumberKey
	var ids []string
	for i := range parcels {
		keys, ids = append(keys, parcels[i].Numbers[0]), append(ids, parcels[i].Shipment.ID)
	}
	held, err := tx.HoldNumbers(ctx, keys)
	if err != nil {
		return err
	}
	if _, err := tx.PutPayloads(ctx, []parcel.Payload{payload}); err != nil {
		return err
	}
	locked, err := tx.LockShipments(ctx, ids)
	if err != nil {
		return err
	}
	var rows []storage.EventRow
	var changed []*parcel.Shipment
	var changes []parcel.Change
	var trackings []parcel.Tracking
	var speaks []storage.PayloadNumber
	for i := range parcels {
		row := parcels[i].Events[len(parcels[i].Events)-1]
		row.EventKey, row.EventDigest, row.PayloadID = parcels[i].Events[3].EventKey, fmt.Sprintf("%032x", round), payload.ID
		before := locked[ids[i]]
		next := *before
		next.UpdatedAt = now
		rows, changed = append(rows, row), append(changed, &next)
		changes = append(changes, parcel.Change{MerchantID: "shop", ShipmentID: ids[i], Kind: parcel.ChangeLeg, LoggedAt: now, EventID: row.ID})
		tr := held[keys[i]].Tracking
		tr.HeardAt, tr.NextAt = now, now.Add(time.Hour)
		trackings = append(trackings, tr)
		speaks = append(speaks, storage.PayloadNumber{NumberKey: keys[i], PayloadID: payload.ID})
	}
	if err := tx.PutPayloadNumbers(ctx, speaks); err != nil {
		return err
	}
	if err := tx.AppendEvents(ctx, rows); err != nil {
		return err
	}
	if err := tx.PutShipments(ctx, nil, changed); err != nil {
		return err
	}
	if err := tx.PutTrackings(ctx, trackings); err != nil {
		return err
	}
	_, err = tx.AppendChanges(ctx, changes)
	return err
}

// BenchmarkRegister stores 200 fresh shipments with 4 numbers and 2 events each
// in one transaction.
func BenchmarkRegister(b *testing.B) {
	const lot = 200
	for _, c := range storagetest.Open(b) {
		b.Run(c.Name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				b.StopTimer()
				parcels := make([]storagetest.Parcel, lot)
				for i := range parcels {
					parcels[i] = storagetest.NewParcel("shop", n, 2)
					n++
				}
				b.StartTimer()
				storagetest.Put(b, c.Store, parcels...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/shipment")
		})
	}
}

// BenchmarkChanges reads the log from a cursor, 100 rows at a time.
func BenchmarkChanges(b *testing.B) {
	eachShelf(b, func(b *testing.B, s *storage.Store, _ []storagetest.Parcel) {
		b.ReportAllocs()
		for b.Loop() {
			got, err := s.Changes(b.Context(), storage.OfMerchant("shop"), rand.Int64N(shelfSize*5), 100, storage.ChangeFilter{})
			if err != nil || len(got) != 100 {
				b.Fatal(len(got), err)
			}
		}
	})
}

// BenchmarkLeaseDue leases 50 numbers among many that are not due.
func BenchmarkLeaseDue(b *testing.B) {
	eachShelf(b, func(b *testing.B, s *storage.Store, _ []storagetest.Parcel) {
		now := storagetest.Epoch
		for b.Loop() {
			got, _, err := s.LeaseDue(b.Context(), parcel.Due{Carrier: "cainiao", Now: now, Until: now.Add(time.Minute), Token: "bench", Limit: 50})
			if err != nil || len(got) != 50 {
				b.Fatal(len(got), err)
			}
			now = now.Add(time.Minute) // the leases have ended
		}
	})
}

// BenchmarkState is the codec alone, on a journey of 22 events.
func BenchmarkState(b *testing.B) {
	p := storagetest.NewParcel("shop", 1, 22)
	var e storage.Encoder
	state := e.EncodeState(nil, p.Shipment)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(state)))
		b.ReportAllocs()
		buffer := make([]byte, 0, 2*len(state))
		for b.Loop() {
			buffer = e.EncodeState(buffer[:0], p.Shipment)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(state)))
		b.ReportAllocs()
		var table []string
		for b.Loop() {
			var got parcel.Shipment
			if err := storage.DecodeState(state, &got, &table); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(state)), "state-bytes")
	})
}

// BenchmarkLog is 8 writers that log at once: the head of the log lets one
// commit at a time.
func BenchmarkLog(b *testing.B) {
	for _, c := range storagetest.Open(b) {
		for _, rows := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/rows=%d", c.Name, rows), func(b *testing.B) {
				b.SetParallelism(8 / runtime.GOMAXPROCS(0))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						err := c.Store.Update(b.Context(), func(ctx context.Context, tx *storage.Tx) error {
							list := make([]parcel.Change, rows)
							for i := range list {
								list[i] = parcel.Change{MerchantID: "shop", ShipmentID: "s", Kind: parcel.ChangeMilestone, LoggedAt: storagetest.Epoch}
							}
							_, err := tx.AppendChanges(ctx, list)
							return err
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "changes/s")
			})
		}
	}
}
