package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/bus"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// ledger is the store in the words of the write path, as package main wires it.
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

// now is well after the suite's parcels began to move.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a store, a write path on it, and the schema over both.
type world struct {
	t      testing.TB
	store  *storage.Store
	ingest resolvers.Ingest
	trade  *clock.Manual
	bus    *bus.Bus
	r      *resolvers.Resolver
	exec   *executor.Executor
	log    *strings.Builder
}

func newWorld(t testing.TB) *world { return worldOn(t, storagetest.SQLite(t).Store, nil) }

// worldOn wires a world; wrap, if given, stands between the resolvers and the
// write path.
func worldOn(t testing.TB, store *storage.Store, wrap func(resolvers.Ingest) resolvers.Ingest) *world {
	t.Helper()
	w := &world{t: t, store: store, trade: clock.Fixed(now), bus: bus.New(), log: &strings.Builder{}}
	g, err := ingest.New(ingest.Options{Store: ledger{store}, Bell: w.bus, Trade: w.trade, Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close ingest: %v", err)
		}
	})
	w.ingest = g
	if wrap != nil {
		w.ingest = wrap(g)
	}
	w.r, err = resolvers.New(resolvers.Options{
		Store: reads{store}, Ingest: w.ingest, Bell: w.bus, Trade: w.trade, Wall: clock.Wall(), Secret: []byte("a secret of at least 16 bytes"),
		Carriers: []view.Carrier{
			{Code: "cainiao", Name: "Cainiao", Home: "CN", Stages: []parcel.Stage{parcel.StageWarehouse}, Capabilities: []view.Capability{view.CanWebhook}},
			{Code: "correios", Name: "Correios", Home: "BR", Stages: []parcel.Stage{parcel.StageLastMile}, Page: "https://rastreamento.example/?n={number}",
				Products: []view.Product{{Code: "SEDEX", Name: "Sedex", ServiceClass: view.ClassExpress, Days: 3, DeliveryObservable: true}}},
			{Code: "upu-postal", Name: "UPU postal network", Stages: []parcel.Stage{parcel.StageLinehaul, parcel.StageCustoms}},
		},
		Identify: func(number string, origin, destination parcel.Country) []resolvers.Guess {
			s10, ok := parcel.ParseS10(number)
			if !ok {
				return nil
			}
			found := []resolvers.Guess{
				{Carrier: "upu-postal", Confidence: 0.8, Rule: "s10.network", CheckDigitValid: &s10.CheckValid, Country: s10.Origin},
				{Carrier: "china-post", Confidence: 0.6, Rule: "s10.country", Needs: []view.Need{view.NeedPostcode, view.NeedPhone}},
			}
			if destination == "BR" && origin == "CN" {
				found = append(found, resolvers.Guess{Carrier: "correios", Confidence: 0.5, Rule: "s10.destination", Fit: view.FitDestination})
			}
			return found
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.exec = w.executor(w.r.Schema())
	return w
}

func (w *world) executor(schema graphql.ExecutableSchema) *executor.Executor {
	exec := executor.New(schema)
	presenter := graph.NewPresenter(slog.New(slog.NewTextHandler(w.log, nil)))
	exec.SetErrorPresenter(presenter.Present)
	exec.SetRecoverFunc(presenter.Recover)
	return exec
}

// merchant makes a tenant and returns a viewer with all scopes on its account.
func (w *world) merchant(name string) graph.Viewer {
	w.t.Helper()
	m := storage.Merchant{ID: ulid.Make().String(), Name: name, DefaultLocale: "en", SupportURL: "https://" + name + ".example/help", CreatedAt: now}
	if err := w.store.CreateMerchant(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	return graph.Viewer{Kind: graph.APIKey, MerchantID: m.ID, KeyID: "K-" + name, Scopes: graph.Scopes()}
}

// put stores the n-th parcel of a viewer's merchant with its first events, as
// the write path would have, and logs what that changed.
func (w *world) put(v graph.Viewer, n, events int, amend ...func(*storagetest.Parcel)) *parcel.Shipment {
	w.t.Helper()
	p := storagetest.NewParcel(v.MerchantID, n, events)
	for _, f := range amend {
		f(&p)
	}
	p.Fold()
	storagetest.Put(w.t, w.store, p)
	w.ring()
	return p.Shipment
}

func (w *world) ring() {
	w.t.Helper()
	_, head, err := w.store.LogBounds(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.bus.Ring(head)
}

// answer is what came back.
type answer struct {
	Data   json.RawMessage
	Errors gqlerror.List
}

// ask executes a document as a viewer.
func (w *world) ask(v graph.Viewer, query string, variables map[string]any) answer {
	w.t.Helper()
	return askWith(w.t, w.exec, v, query, variables)
}

// runUntil executes a document for a caller who may leave.
func runUntil(ctx context.Context, w *world, v graph.Viewer, query string) {
	ctx = graphql.StartOperationTrace(graph.WithViewer(ctx, v))
	op, errs := w.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query})
	if errs != nil {
		w.t.Error(errs)
		return
	}
	responses, ctx := w.exec.DispatchOperation(ctx, op)
	responses(ctx)
}

func askWith(t testing.TB, exec *executor.Executor, v graph.Viewer, query string, variables map[string]any) answer {
	t.Helper()
	ctx := graphql.StartOperationTrace(graph.WithViewer(t.Context(), v))
	op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		return answer{Errors: exec.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors}
	}
	op.DisableIntrospection = false
	responses, ctx := exec.DispatchOperation(ctx, op)
	response := responses(ctx)
	return answer{Data: response.Data, Errors: response.Errors}
}

// get asks for something that must be answered without an error, and reads it.
func (w *world) get(v graph.Viewer, query string, variables map[string]any, into any) {
	w.t.Helper()
	a := w.ask(v, query, variables)
	if len(a.Errors) > 0 {
		w.t.Fatalf("%s: %v", query, a.Errors)
	}
	if err := json.Unmarshal(a.Data, into); err != nil {
		w.t.Fatalf("%s: %v", a.Data, err)
	}
}

// want asks and compares the whole answer with JSON.
func (w *world) want(v graph.Viewer, query string, variables map[string]any, want string) {
	w.t.Helper()
	a := w.ask(v, query, variables)
	if len(a.Errors) > 0 {
		w.t.Fatalf("%s: %v", query, a.Errors)
	}
	if diff := cmp.Diff(tree(w.t, []byte(want)), tree(w.t, a.Data)); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", query, diff)
	}
}

// codes are the codes of an answer's errors, with their paths.
func (a answer) codes() []string {
	var out []string
	for _, e := range a.Errors {
		out = append(out, fmt.Sprintf("%v %v", e.Extensions["code"], e.Path))
	}
	slices.Sort(out)
	return out
}

func tree(t testing.TB, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return v
}

func shipmentID(s *parcel.Shipment) string { return graph.MakeID(graph.TypeShipment, s.ID) }
