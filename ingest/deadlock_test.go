package ingest_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// TestFindingNumbersNeverDeadlocks: two replicas with two writers each take in
// parcels whose events, aliases and posts name each other's numbers, in any
// order, while shipments are registered and their numbers changed. PostgreSQL
// counts the rings in which transactions waited for each other: there is none,
// and nothing is lost.
func TestFindingNumbersNeverDeadlocks(t *testing.T) {
	base := storagetest.Postgres(t)
	at, store := base.URL, base.Store
	w := newWorld(t, store)
	accounts := []ingest.Account{
		(&scripted{answer: unknown}).account("china-post"), (&scripted{answer: unknown}).account("russian-post"),
		(&scripted{answer: unknown}).account("zed"), aggregated(&scripted{answer: unknown}, "hub"),
	}
	replicas := [2]*ingest.Ingest{}
	for i := range replicas {
		replicas[i] = w.launch(ingest.Options{Store: ledger{store}, Accounts: accounts, Trade: w.trade, Writers: 2})
	}
	w.ingest = replicas[0]

	// A few numbers, so that everybody meets everybody.
	const parcels, rounds, workers = 24, 30, 8
	number := func(i int) string { return fmt.Sprintf("ZED%03d", i%parcels) }
	post := func(i int) string { return item(60000000 + i%parcels) }
	var group errgroup.Group
	for worker := range workers {
		g := replicas[worker%2]
		dice := rand.New(rand.NewPCG(uint64(worker), 11))
		group.Go(func() error {
			for round := range rounds {
				i, k := dice.IntN(parcels), dice.IntN(parcels)
				var err error
				switch dice.IntN(5) {
				case 0: // an event names the next number, which is another parcel's too
					o := scan("zed", number(i), parcel.CodeLastMileAccepted, day(-1).Add(time.Duration(worker*rounds+round)*time.Second), "RU")
					o.NextCarrier, o.NextNumber = "russian-post", post(k)
					_, err = g.Accept(context.Background(), tells("zed", parcel.Reading{Observations: []parcel.Observation{o}}))
				case 1: // an aggregator tells of two
					_, err = g.Accept(context.Background(), tells("hub", parcel.Reading{Observations: []parcel.Observation{
						scan("zed", number(k), parcel.CodePickedUp, day(-8).Add(time.Duration(round)*time.Minute), "CN"),
						scan("china-post", post(i), parcel.CodeOriginCountryDeparted, day(-6).Add(time.Duration(round)*time.Minute), "CN"),
					}, Aliases: []parcel.Alias{{Number: number(k), Other: post(i), Carrier: "china-post"}}}))
				case 2: // a post has let a parcel go: the other end is asked
					_, err = g.Accept(context.Background(), tells("china-post", parcel.Reading{Observations: []parcel.Observation{
						scan("china-post", post(i), parcel.CodeOriginCountryDeparted, day(-5).Add(time.Duration(worker)*time.Hour), "CN"),
						scan("china-post", post(k), parcel.CodeOriginCountryDeparted, day(-5).Add(time.Duration(worker)*time.Hour), "CN"),
					}}))
				case 3: // shipments of these numbers, and again
					_, err = g.Register(context.Background(), w.merchant, []parcel.Registration{
						{Facts: parcel.Facts{Reference: fmt.Sprint("s", i), Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "RU"}, RegisteredAt: day(-20), Legs: []parcel.DeclaredLeg{leg("zed", number(i))}}},
						{Facts: parcel.Facts{Reference: fmt.Sprint("p", k), Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "RU"}, RegisteredAt: day(-20), Legs: []parcel.DeclaredLeg{leg("china-post", post(k))}}},
					})
				default: // somebody gives a leg another number, which others hold
					var found []*storage.Loaded
					found, err = store.ShipmentsByReference(context.Background(), storage.OfMerchant(w.merchant), []string{fmt.Sprint("p", i)})
					if err == nil && found[0] != nil {
						_, _, err = g.ChangeNumber(context.Background(), w.merchant, parcel.NumberChange{ShipmentID: found[0].Shipment.ID,
							LegKey: found[0].Shipment.Journey.Legs[0].Key, Number: number(k), Carrier: "zed"})
					}
				}
				if err != nil {
					return fmt.Errorf("worker %d, round %d: %w", worker, round, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	// Everything is one more time what a replay of what was kept says.
	if r, err := w.ingest.Replay(t.Context(), ingest.ReplayAsk{}); err != nil || r.Events != 0 {
		t.Errorf("replay found %d tellings that were lost (%v)", r.Events, err)
	}
	db, err := sql.Open("postgres", at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Backends report with a delay, and all of it when they end.
	for _, g := range replicas {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), `SELECT pg_stat_force_next_flush()`); err != nil {
		t.Fatal(err)
	}
	until(t, "the statistics are told", func() bool {
		var commits int
		if err := db.QueryRowContext(t.Context(), `SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`).Scan(&commits); err != nil {
			t.Fatal(err)
		}
		return commits > rounds
	})
	var deadlocks int
	if err := db.QueryRowContext(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks); err != nil {
		t.Fatal(err)
	}
	if deadlocks != 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
}
