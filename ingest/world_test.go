package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/carriers"
	_ "github.com/milepost-gateway/milepost/carriers/all"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/bus"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// ledger is *storage.Store in the words of the write path, as package main
// wires it.
type ledger struct{ *storage.Store }

func (l ledger) Update(ctx context.Context, fn func(context.Context, ingest.Tx) error) error {
	return l.Store.Update(ctx, func(ctx context.Context, tx *storage.Tx) error { return fn(ctx, tx) })
}

func (l ledger) ShipmentOfEvent(ctx context.Context, merchantID, eventID string) (string, error) {
	found, err := l.EventShipments(ctx, storage.OfMerchant(merchantID), []string{eventID})
	if err != nil {
		return "", err
	}
	id, ok := found[eventID]
	if !ok {
		return "", fmt.Errorf("event %s: %w", eventID, parcel.ErrNotFound)
	}
	return id, nil
}

func (l ledger) WalkPayloads(ctx context.Context, carrier string, since time.Time, fn func(parcel.Payload) error) error {
	return l.Store.WalkPayloads(ctx, storage.PayloadFilter{Carrier: carrier, Since: since}, fn)
}

// now is after every sample.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a store, an ingest on it, and carriers' fakes that tell what the
// test wrote down.
type world struct {
	t        *testing.T
	store    *storage.Store
	ingest   *ingest.Ingest
	trade    *clock.Manual
	bus      *bus.Bus
	merchant string
	servers  map[string]*httptest.Server
	settings map[string]map[string]string
	fakes    map[string]carriers.Fake
	// delay, if set, runs before each carrier call is answered.
	delay func(carrier string, r *http.Request)
	calls sync.Map // carrier -> *atomic.Int64

	mu       sync.Mutex
	parcels  map[string]carriers.FakeHistory
	accounts []ingest.Account
}

// eachStore runs a test on every database there is.
func eachStore(t *testing.T, run func(t *testing.T, w *world)) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) { run(t, newWorld(t, c.Store)) })
	}
}

func newWorld(t *testing.T, store *storage.Store) *world {
	w := &world{t: t, store: store, trade: clock.Fixed(now), bus: bus.New(), servers: map[string]*httptest.Server{},
		settings: map[string]map[string]string{}, fakes: map[string]carriers.Fake{}, parcels: map[string]carriers.FakeHistory{}}
	w.merchant = ulid.Make().String()
	if err := store.CreateMerchant(t.Context(), storage.Merchant{ID: w.merchant, Name: "shop " + w.merchant, CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cainiao", "correios", "russian-post", "ups", "upu-postal"} {
		spec, err := carriers.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		w.account(spec)
	}
	w.ingest = w.start(w.accounts)
	return w
}

// start opens an ingest on the world's store; two of them are two replicas.
func (w *world) start(accounts []ingest.Account) *ingest.Ingest {
	g, err := ingest.New(ingest.Options{Store: ledger{w.store}, Accounts: accounts, Bell: w.bus, Trade: w.trade, Wall: clock.Wall(), Writers: writers(w.store), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = g.Close() })
	return g
}

// credentials are the settings without which an adapter cannot ask or verify.
var credentials = []string{"client_id", "client_secret", "push_credential", "secret", "provider_id", "pull_api", "user", "access_code", "postage_card", "login", "password", "token", "api_key", "account_number", "access_key"}

// writers is how many transactions a database takes at once, as package main
// has it.
func writers(s *storage.Store) int {
	if s.Dialect() == storage.PostgreSQL {
		return 2
	}
	return 1
}

func (w *world) account(spec carriers.Spec) {
	settings := map[string]string{}
	for _, s := range spec.Settings {
		settings[s.Name] = s.Default
		if s.Default == "" && slices.Contains(credentials, s.Name) {
			settings[s.Name] = "test-" + s.Name
		}
	}
	w.settings[spec.Name] = settings
	fake := spec.Fake(carriers.FakeEnv{Settings: settings, Now: w.trade.Now, Journeys: w.history})
	w.fakes[spec.Name] = fake
	count := &atomic.Int64{}
	w.calls.Store(spec.Name, count)
	handler := fake.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if w.delay != nil {
			w.delay(spec.Name, r)
		}
		handler.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(srv.Close)
	w.servers[spec.Name] = srv
	c, err := spec.New(carriers.Env{Account: "main", BaseURL: srv.URL, Settings: settings, HTTP: srv.Client(), Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatalf("%s: %v", spec.Name, err)
	}
	w.accounts = append(w.accounts, ingest.Account{Name: "main", Endpoint: "hook-" + spec.Name, Spec: spec, Carrier: c})
}

func (w *world) history(number string) (carriers.FakeHistory, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, ok := w.parcels[number]
	return h, ok
}

// know tells the fakes about a parcel.
func (w *world) know(number string, h carriers.FakeHistory) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parcels[number] = h
}

func (w *world) called(carrier string) int64 {
	n, _ := w.calls.Load(carrier)
	return n.(*atomic.Int64).Load()
}

// register makes one shipment known and fails the test if it is refused.
func (w *world) register(reference string, origin, destination parcel.Country, legs ...parcel.DeclaredLeg) *parcel.Shipment {
	w.t.Helper()
	out, err := w.ingest.Register(w.t.Context(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: reference,
		Origin: parcel.Place{Country: origin}, Destination: parcel.Place{Country: destination}, Legs: legs, RegisteredAt: now.AddDate(0, 0, -50)}}})
	if err != nil {
		w.t.Fatal(err)
	}
	if out[0].Shipment == nil {
		w.t.Fatalf("refused: %v", out[0].Problems)
	}
	return out[0].Shipment
}

// read gives a shipment as stored.
func (w *world) read(id string) *parcel.Shipment {
	w.t.Helper()
	got, err := w.store.Shipments(w.t.Context(), storage.OfMerchant(w.merchant), []string{id})
	if err != nil {
		w.t.Fatal(err)
	}
	if got[0] == nil {
		w.t.Fatalf("shipment %s is not there", id)
	}
	return got[0].Shipment
}

func leg(carrier, number string) parcel.DeclaredLeg {
	return parcel.DeclaredLeg{Carrier: carrier, Number: number}
}

// sample is a payload of a carrier's testdata.
func sample(t *testing.T, carrier, kind, file string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "carriers", carrier, "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return parcel.Payload{Carrier: carrier, Account: "main", Kind: kind, Source: parcel.SourcePoll, Body: body}
}

// kindOf finds a payload's kind as the command line does.
func kindOf(t *testing.T, carrier string, body []byte) string {
	t.Helper()
	spec, err := carriers.Lookup(carrier)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range spec.Kinds {
		if k.Sniff != nil && k.Sniff(body) {
			return k.Name
		}
	}
	t.Fatalf("%s: no kind fits", carrier)
	return ""
}

func (w *world) accept(payloads ...parcel.Payload) []ingest.Receipt {
	w.t.Helper()
	got, err := w.ingest.Accept(w.t.Context(), payloads...)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func eventKeys(s *parcel.Shipment) []string {
	keys := map[string]bool{}
	for i := range s.Journey.Events {
		keys[s.Journey.Events[i].EventKey] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// anotherMerchant makes one more tenant.
func (w *world) anotherMerchant() string {
	w.t.Helper()
	id := ulid.Make().String()
	if err := w.store.CreateMerchant(w.t.Context(), storage.Merchant{ID: id, Name: "shop " + id, CreatedAt: now}); err != nil {
		w.t.Fatal(err)
	}
	return id
}
