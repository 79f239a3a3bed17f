package ingest_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// BenchmarkAccept measures payloads of four events each, taken in from 64
// goroutines for registered shipments, durable before acknowledged.
func BenchmarkAccept(b *testing.B) {
	for _, c := range storagetest.Open(b) {
		b.Run(c.Name, func(b *testing.B) {
			merchant := ulid.Make().String()
			if err := c.Store.CreateMerchant(b.Context(), storage.Merchant{ID: merchant, Name: "bench " + merchant, CreatedAt: now}); err != nil {
				b.Fatal(err)
			}
			spec, err := carriers.Lookup("upu-postal")
			if err != nil {
				b.Fatal(err)
			}
			adapter, err := spec.New(carriers.Env{Account: "main", Settings: map[string]string{}, Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			g, err := ingest.New(ingest.Options{Store: ledger{c.Store}, Trade: clock.Fixed(now), Wall: clock.Wall(), Writers: writers(c.Store), Accounts: []ingest.Account{{Name: "main", Spec: spec, Carrier: adapter}}})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = g.Close() }()
			next := 0
			numbers := func(n int) []string {
				out := make([]string, n)
				for i := range out {
					out[i] = killNumber(next)
					next++
				}
				for at := 0; at < n; at += ingest.MaxRegistrations {
					part := out[at:min(n, at+ingest.MaxRegistrations)]
					in := make([]parcel.Registration, len(part))
					for i, number := range part {
						in[i] = parcel.Registration{Facts: parcel.Facts{Reference: "b" + number, Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "RU"},
							Legs: []parcel.DeclaredLeg{leg("upu-postal", number)}, RegisteredAt: now.AddDate(0, 0, -60)}}
					}
					if _, err := g.Register(b.Context(), merchant, in); err != nil {
						b.Fatal(err)
					}
				}
				return out
			}
			all := numbers(b.N)
			b.ResetTimer()
			b.ReportAllocs()
			var wait sync.WaitGroup
			const workers = 64
			for w := range workers {
				wait.Go(func() {
					for i := w; i < len(all); i += workers {
						if _, err := g.Accept(b.Context(), killPayload(all[i])); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wait.Wait()
			b.StopTimer()
			b.ReportMetric(float64(4*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
