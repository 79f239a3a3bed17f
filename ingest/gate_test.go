package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// replica is one more process on the world's store: its own gates, its own
// adapters, its own ingest.
func (w *world) replica(carrier string, quota *carriers.Quota) (*ingest.Ingest, *ingest.Gate) {
	w.t.Helper()
	gates := ingest.NewGates(w.store, clock.Wall(), nil)
	var accounts []ingest.Account
	for _, a := range only(w.accounts, carrier) {
		gate := gates.Of(&a.Spec, a.Name, quota)
		c, err := a.Spec.New(carriers.Env{Account: a.Name, BaseURL: w.servers[carrier].URL, Settings: w.settings[carrier], Gate: gate,
			HTTP: w.servers[carrier].Client(), Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			w.t.Fatal(err)
		}
		a.Carrier, a.Gate = c, gate
		accounts = append(accounts, a)
	}
	return w.start(accounts), accounts[0].Gate
}

// registerMany gives a merchant many parcels of a carrier.
func (w *world) registerMany(merchant, carrier, prefix string, n int) {
	w.t.Helper()
	for from := 0; from < n; from += 500 {
		var in []parcel.Registration
		for i := from; i < min(n, from+500); i++ {
			number := fmt.Sprintf("%s%09dCN", prefix, i)
			in = append(in, parcel.Registration{Facts: parcel.Facts{Reference: number, Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "DE"},
				Legs: []parcel.DeclaredLeg{leg(carrier, number)}}})
		}
		out, err := w.ingest.Register(w.t.Context(), merchant, in)
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range out {
			if out[i].Shipment == nil {
				w.t.Fatalf("refused: %v", out[i].Problems)
			}
		}
	}
}

// TestBudgetOfReplicas lets three processes ask at once for far more than an
// account's quota: the carrier's own count says that they never exceed it.
func TestBudgetOfReplicas(t *testing.T) {
	const carrier = "upu-postal" // one number a call
	eachStore(t, func(t *testing.T, w *world) {
		quota := &carriers.Quota{Calls: 40, Window: time.Hour}
		w.registerMany(w.merchant, carrier, "RA", 200)
		ctx, stop := context.WithCancel(t.Context())
		var polls sync.WaitGroup
		var all []*ingest.Ingest
		for range 3 {
			g, _ := w.replica(carrier, quota)
			all = append(all, g)
			polls.Go(func() { _ = g.Poll(ctx) })
		}
		key := parcel.BudgetKey{Carrier: carrier, Account: "main"}
		left := func() int {
			b, err := w.store.Budgets(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n, _ := b[key].Standing(clock.Wall().Now(), parcel.Allowance(*quota))
			return n
		}
		// The plan leaves the reserve of a fifth alone.
		eventually(t, "the plan has used its part", func() bool { return w.called(carrier) >= 32 })
		stop()
		polls.Wait()
		if n := w.called(carrier); n > 32 {
			t.Errorf("the plan made %d calls, want 32 of 40 at most", n)
		}
		// What the plan may not use is there for people.
		var served int
		for i := range 20 {
			number := fmt.Sprintf("RA%09dCN", 199-i)
			got, err := all[i%3].Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second, Force: true})
			if err != nil {
				t.Fatal(err)
			}
			switch got[0].Served {
			case parcel.ServedOwnCall:
				served++
			case parcel.ServedNotAllowed:
				if got[0].Tracking.Trouble != parcel.TroubleThrottled || !got[0].Tracking.RetryAt.After(now) {
					t.Errorf("refused without a word: %+v", got[0].Tracking)
				}
			default:
				t.Errorf("served %s", got[0].Served)
			}
		}
		if served != 8 {
			t.Errorf("people got %d calls, want the reserve of 8", served)
		}
		if n := w.called(carrier); n != 40 || left() != 0 {
			t.Errorf("the carrier was called %d times and %d are left, want exactly 40 and 0", n, left())
		}
		// Our own budget is no trouble of the carrier's.
		known, err := w.store.Trackings(t.Context(), []parcel.NumberKey{{Carrier: carrier, Number: "RA000000180CN"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range known {
			if tr.Trouble != "" || tr.Failures != 0 || !tr.LeasedUntil.IsZero() {
				t.Errorf("a number that was not asked for is noted as %+v", tr)
			}
		}
	})
}

// TestMerchantsTakeTurns gives one merchant a thousand due numbers and another
// ten, registered last: with a budget for 40 calls the ten are all asked for.
func TestMerchantsTakeTurns(t *testing.T) {
	const carrier = "upu-postal"
	eachStore(t, func(t *testing.T, w *world) {
		big, small := w.merchant, w.anotherMerchant()
		w.registerMany(big, carrier, "RB", 1000)
		w.trade.Advance(time.Hour)
		w.registerMany(small, carrier, "RC", 10)
		g, _ := w.replica(carrier, &carriers.Quota{Calls: 50, Window: time.Hour})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = g.Poll(ctx)
		}()
		heard := func() int {
			var keys []parcel.NumberKey
			for i := range 10 {
				keys = append(keys, parcel.NumberKey{Carrier: carrier, Number: fmt.Sprintf("RC%09dCN", i)})
			}
			known, err := w.store.Trackings(t.Context(), keys)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, tr := range known {
				if !tr.HeardAt.IsZero() {
					n++
				}
			}
			return n
		}
		eventually(t, "the small merchant's ten are asked for", func() bool { return heard() == 10 })
		stop()
		<-ended
		if n := w.called(carrier); n > 40 {
			t.Errorf("%d calls, want 40 at most", n)
		}
	})
}

// TestPeopleBeforeThePlan fills an account's ways out with planned calls that
// hang: a person's question still goes out at once.
func TestPeopleBeforeThePlan(t *testing.T) {
	const carrier, number = "upu-postal", "RD123456785CN"
	w := newWorld(t, storagetest.SQLite(t).Store)
	w.registerMany(w.merchant, carrier, "RA", 50)
	w.register("person", "CN", "DE", leg(carrier, number))
	release := make(chan struct{})
	var mu sync.Mutex
	hanging := 0
	w.delay = func(_ string, r *http.Request) {
		mu.Lock()
		mine := hanging < 3
		if mine {
			hanging++
		}
		mu.Unlock()
		if mine {
			<-release
		}
	}
	g, _ := w.replica(carrier, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.Poll(ctx)
	}()
	eventually(t, "the plan's calls hang", func() bool { mu.Lock(); defer mu.Unlock(); return hanging == 3 })
	got, err := g.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := got[0].Served; s != parcel.ServedOwnCall && s != parcel.ServedJoinedCall {
		t.Errorf("served %s while the plan hangs", s)
	}
	close(release)
	stop()
	<-ended
}

// TestBarIsHeardByAll lets one replica be told "too many": the other keeps away
// too.
func TestBarIsHeardByAll(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			spec := &carriers.Spec{Name: "ups", Quota: carriers.Quota{Calls: 100, Window: time.Hour}}
			gate := func() *ingest.Gate { return ingest.NewGates(c.Store, clock.Wall(), nil).Of(spec, "main", nil) }
			one, two := gate(), gate()
			if err := two.Enter(t.Context(), carriers.Quota{}); err != nil {
				t.Fatalf("a door without a quota: %v", err)
			}
			one.Bar(time.Hour)
			for name, g := range map[string]*ingest.Gate{"who was told": one, "the other": two} {
				err := g.Enter(t.Context(), spec.Quota)
				var th *parcel.Throttled
				if !errors.As(err, &th) || th.RetryAfter < 50*time.Minute || errors.Is(err, carriers.ErrSpent) {
					t.Errorf("%s: %v, want to be kept out by the carrier's word for an hour", name, err)
				}
			}
		})
	}
}

// TestGateReturnsWhatItDidNotUse closes a gate: the calls go back.
func TestGateReturnsWhatItDidNotUse(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			quota := carriers.Quota{Calls: 1000, Window: time.Hour}
			spec := &carriers.Spec{Name: "ups", Quota: quota}
			g := ingest.NewGates(c.Store, clock.Wall(), nil).Of(spec, "main", nil)
			for range 3 {
				if err := g.Enter(t.Context(), quota); err != nil {
					t.Fatal(err)
				}
			}
			key := parcel.BudgetKey{Carrier: "ups", Account: "main"}
			left := func() int {
				all, err := c.Store.Budgets(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n, _ := all[key].Standing(clock.Wall().Now(), parcel.Allowance(quota))
				return n
			}
			if n := left(); n != 980 {
				t.Errorf("%d left, want 980: a slice of 20 is leased", n)
			}
			if err := g.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := left(); n != 997 {
				t.Errorf("%d left after Close, want 997", n)
			}
		})
	}
}

// TestQuotaOfTheContract overrides the published quota, and only where the
// adapter has one.
func TestQuotaOfTheContract(t *testing.T) {
	store := ingest.AloneBudgets()
	published := carriers.Quota{Calls: 2, Window: time.Hour}
	limited := &carriers.Spec{Name: "limited", Quota: published}
	enter := func(g *ingest.Gate, own carriers.Quota) int {
		n := 0
		for ; n < 20 && g.Enter(carriers.Attended(t.Context()), own) == nil; n++ {
		}
		return n
	}
	gates := ingest.NewGates(store, clock.Wall(), nil)
	for _, c := range []struct {
		name  string
		spec  *carriers.Spec
		given *carriers.Quota
		own   carriers.Quota
		want  int
	}{
		{"as published", limited, nil, published, 2},
		{"by contract", limited, &carriers.Quota{Calls: 7, Window: time.Hour}, published, 7},
		{"by the adapter's setting", limited, nil, carriers.Quota{Calls: 5, Window: time.Hour}, 5},
		{"a free door of a limited account", limited, &carriers.Quota{Calls: 7, Window: time.Hour}, carriers.Quota{}, 20},
		{"a contract where nothing is published", &carriers.Spec{Name: "free"}, &carriers.Quota{Calls: 3, Window: time.Hour}, carriers.Quota{}, 3},
		{"no limit at all", &carriers.Spec{Name: "free"}, nil, carriers.Quota{}, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := enter(gates.Of(c.spec, c.name, c.given), c.own); n != c.want {
				t.Errorf("%d calls, want %d", n, c.want)
			}
		})
	}
}

// accountPair serves a carrier by a merchant's own account and by the
// deployment's, each with a quota of its own.
func (w *world) accountPair(carrier, merchant string, own, all *carriers.Quota) {
	w.t.Helper()
	gates := ingest.NewGates(w.store, clock.Wall(), nil)
	var accounts []ingest.Account
	for _, each := range []struct {
		name, merchant string
		quota          *carriers.Quota
	}{{"own", merchant, own}, {"main", "", all}} {
		a := only(w.accounts, carrier)[0]
		gate := gates.Of(&a.Spec, each.name, each.quota)
		c, err := a.Spec.New(carriers.Env{Account: each.name, BaseURL: w.servers[carrier].URL, Settings: w.settings[carrier], Gate: gate,
			HTTP: w.servers[carrier].Client(), Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			w.t.Fatal(err)
		}
		accounts = append(accounts, ingest.Account{Name: each.name, MerchantID: each.merchant, Spec: a.Spec, Carrier: c, Gate: gate})
	}
	w.serve(accounts...)
}
