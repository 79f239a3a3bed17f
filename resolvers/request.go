package resolvers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/graph-gophers/dataloader/v7"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/generated"
	"github.com/milepost-gateway/milepost/graph/plan"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// request is what one operation shares: its loaders, made when first used.
type request struct {
	r    *Resolver
	once struct{ merchants, routes, recipients, payloads, nodes, carriers sync.Once }
	// live operations last, so their loaders must not remember.
	live bool

	merchantsBy  *dataloader.Loader[string, Merchant]
	routesBy     *dataloader.Loader[string, []RouteRow]
	recipientsBy *dataloader.Loader[ownedKey, *parcel.RecipientRow]
	payloadsBy   *dataloader.Loader[ownedKey, *parcel.Payload]
	nodesBy      *dataloader.Loader[string, view.Node]
	carriersBy   *dataloader.Loader[askKey, parcel.Refreshed]
}

// ownedKey is a key on whose merchant's account it is read.
type ownedKey struct{ merchant, key string }

type requestKey struct{}

// WithLoaders returns a context in which the fields of one request share their
// reads. The schema does this by itself; a transport that executes the events
// of a subscription apart calls it for each.
func (r *Resolver) WithLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, &request{r: r})
}

func (r *Resolver) request(ctx context.Context) *request {
	if q, ok := ctx.Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{r: r}
}

// schema gives every execution its loaders, refuses variables that the
// validator lets through, and tells what ended a stream.
type schema struct {
	graphql.ExecutableSchema
	r     *Resolver
	plans *plan.Cache
	// plain leaves every field to gqlgen: tests hold plans against it.
	plain bool
}

func (s *schema) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if err := graph.CheckVariables(s.Schema(), op.Operation, op.Variables); err != nil {
		graphql.AddError(ctx, err)
		return graphql.OneShot(&graphql.Response{})
	}
	if !s.plain {
		op.ResolverMiddleware = generated.Planned(s.ExecutableSchema, s.plans, op, op.ResolverMiddleware)
	}
	kind := op.Operation.Operation
	prepare := func(ctx context.Context) context.Context {
		if _, shared := ctx.Value(requestKey{}).(*request); !shared {
			ctx = context.WithValue(ctx, requestKey{}, &request{r: s.r, live: kind == ast.Subscription})
		}
		if kind == ast.Mutation {
			ctx = graph.WithFaults(ctx)
		}
		return ctx
	}
	if kind != ast.Subscription {
		answer := s.ExecutableSchema.Exec(prepare(ctx))
		return func(ctx context.Context) *graphql.Response { return answer(prepare(ctx)) }
	}
	end := &ending{}
	answer := s.ExecutableSchema.Exec(context.WithValue(prepare(ctx), endingKey{}, end))
	return func(ctx context.Context) *graphql.Response {
		if response := answer(prepare(ctx)); response != nil {
			return response
		}
		if err := end.take(); err != nil {
			graphql.AddError(ctx, err)
			return &graphql.Response{Data: []byte("null")}
		}
		return nil
	}
}

// ending is what ended a stream before its reader did.
type ending struct {
	mu  sync.Mutex
	err error
}

type endingKey struct{}

func endOf(ctx context.Context) *ending {
	if e, ok := ctx.Value(endingKey{}).(*ending); ok {
		return e
	}
	return &ending{}
}

func (e *ending) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

// take gives the error once.
func (e *ending) take() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.err
	e.err = nil
	return err
}

// batchTime bounds a batch: it belongs to no single caller, so that the first
// one's leaving does not fail the others.
const batchTime = 10 * time.Second

// inputs is how many keys may queue for a batch before callers wait.
const inputs = 64

// alone is the capacity of loaders whose every key is a batch of its own: what
// they save is asking twice.
const alone = 1

// How long a loader gathers keys. Below a millisecond the timer's own grain
// rules; those who wait for carriers have hundreds of them to spare.
const (
	gatherReads    = time.Millisecond
	gatherCarriers = 5 * time.Millisecond
)

// loader makes a loader over read, which returns what it found by key. A batch
// goes out when capacity keys have come (0: however many), or after wait.
func loader[K comparable, V any](q *request, capacity int, wait time.Duration, missing func(K) (V, error), read func(ctx context.Context, keys []K) (map[K]V, error)) *dataloader.Loader[K, V] {
	options := []dataloader.Option[K, V]{
		dataloader.WithInputCapacity[K, V](inputs), dataloader.WithWait[K, V](wait),
	}
	if capacity > 0 {
		options = append(options, dataloader.WithBatchCapacity[K, V](capacity))
	}
	if q.live {
		options = append(options, dataloader.WithClearCacheOnBatch[K, V]())
	}
	return dataloader.NewBatchedLoader(func(ctx context.Context, keys []K) []*dataloader.Result[V] {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
		defer cancel()
		found, err := guarded(ctx, keys, read)
		out := make([]*dataloader.Result[V], len(keys))
		for i, k := range keys {
			v, ok := found[k]
			result := dataloader.Result[V]{Data: v, Error: err}
			if err == nil && !ok {
				result.Data, result.Error = missing(k)
			}
			out[i] = &result
		}
		return out
	}, options...)
}

// guarded keeps a panic of one batch to its own fields: it happens in a
// goroutine that no request would catch it in.
func guarded[K comparable, V any](ctx context.Context, keys []K, read func(context.Context, []K) (map[K]V, error)) (found map[K]V, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = graph.Panicked(v)
		}
	}()
	return read(ctx, keys)
}

// none is for keys that may be missing: the zero value then.
func none[K, V any](K) (v V, err error) { return v, nil }

// absent is for keys that must be there.
func absent[K, V any](k K) (v V, err error) { return v, fmt.Errorf("%v: %w", k, parcel.ErrNotFound) }

// load gets one key, and gives up when its own caller does. What failed is not
// remembered.
func load[K comparable, V any](ctx context.Context, l *dataloader.Loader[K, V], key K) (V, error) {
	thunk := l.Load(ctx, key)
	type result struct {
		v   V
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := thunk()
		done <- result{v, err}
	}()
	select {
	case got := <-done:
		if got.err != nil {
			l.Clear(ctx, key)
		}
		return got.v, got.err
	case <-ctx.Done():
		var v V
		return v, context.Cause(ctx)
	}
}

func (q *request) merchant(ctx context.Context, id string) (*view.Merchant, error) {
	m, err := q.tenant(ctx, id)
	if err != nil {
		return nil, err
	}
	locale := m.DefaultLocale
	if locale == "" {
		locale = "en"
	}
	return &view.Merchant{Key: m.ID, Name: m.Name, DefaultLocale: locale, Support: m.SupportURL}, nil
}

// tenant reads a merchant. A request sees one or two of them, so that waiting
// for more would only cost time.
func (q *request) tenant(ctx context.Context, id string) (Merchant, error) {
	q.once.merchants.Do(func() {
		q.merchantsBy = loader(q, alone, gatherReads, absent[string, Merchant], func(ctx context.Context, ids []string) (map[string]Merchant, error) {
			found := make(map[string]Merchant, len(ids))
			for _, id := range ids {
				m, err := q.r.Store.Merchant(ctx, id)
				if errors.Is(err, parcel.ErrNotFound) {
					continue
				}
				if err != nil {
					return nil, err
				}
				found[id] = m
			}
			return found, nil
		})
	})
	return load(ctx, q.merchantsBy, id)
}

func (q *request) routes(ctx context.Context, merchantID string) ([]RouteRow, error) {
	q.once.routes.Do(func() {
		q.routesBy = loader(q, alone, gatherReads, none[string, []RouteRow], func(ctx context.Context, ids []string) (map[string][]RouteRow, error) {
			found := make(map[string][]RouteRow, len(ids))
			for _, id := range ids {
				rows, err := q.r.Store.Routes(ctx, id)
				if err != nil {
					return nil, err
				}
				found[id] = rows
			}
			return found, nil
		})
	})
	return load(ctx, q.routesBy, merchantID)
}

// byMerchant groups keys by the account on which they are read.
func byMerchant(keys []ownedKey) map[string][]string {
	out := map[string][]string{}
	for _, k := range keys {
		out[k.merchant] = append(out[k.merchant], k.key)
	}
	return out
}

func (q *request) recipient(ctx context.Context, merchantID, shipmentID string) (*parcel.RecipientRow, error) {
	q.once.recipients.Do(func() {
		q.recipientsBy = loader(q, 0, gatherReads, none[ownedKey, *parcel.RecipientRow], func(ctx context.Context, keys []ownedKey) (map[ownedKey]*parcel.RecipientRow, error) {
			found := make(map[ownedKey]*parcel.RecipientRow, len(keys))
			for merchant, ids := range byMerchant(keys) {
				rows, err := q.r.Store.Recipients(ctx, merchant, ids)
				if err != nil {
					return nil, err
				}
				for id, row := range rows {
					found[ownedKey{merchant, id}] = &row
				}
			}
			return found, nil
		})
	})
	return load(ctx, q.recipientsBy, ownedKey{merchantID, shipmentID})
}

func (q *request) payload(ctx context.Context, merchantID, id string) (*parcel.Payload, error) {
	q.once.payloads.Do(func() {
		q.payloadsBy = loader(q, 0, gatherReads, none[ownedKey, *parcel.Payload], func(ctx context.Context, keys []ownedKey) (map[ownedKey]*parcel.Payload, error) {
			found := make(map[ownedKey]*parcel.Payload, len(keys))
			for merchant, ids := range byMerchant(keys) {
				rows, err := q.r.Store.Payloads(ctx, merchant, ids)
				if err != nil {
					return nil, err
				}
				for i, row := range rows {
					if row != nil {
						found[ownedKey{merchant, ids[i]}] = row
					}
				}
			}
			return found, nil
		})
	})
	return load(ctx, q.payloadsBy, ownedKey{merchantID, id})
}

func (q *request) node(ctx context.Context, id string) (view.Node, error) {
	q.once.nodes.Do(func() {
		q.nodesBy = loader(q, 0, gatherReads, none[string, view.Node], func(ctx context.Context, ids []string) (map[string]view.Node, error) {
			nodes, err := q.r.nodes(ctx, ids)
			if err != nil {
				return nil, err
			}
			found := make(map[string]view.Node, len(ids))
			for i, n := range nodes {
				found[ids[i]] = n
			}
			return found, nil
		})
	})
	return load(ctx, q.nodesBy, id)
}
