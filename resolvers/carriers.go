package resolvers

import (
	"context"
	"sync"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// carrierLoader gathers the numbers that a request waits for and hands them to
// the Ingest, one call for each patience: usually one.
func (q *request) carrierLoader() *dataloader.Loader[askKey, parcel.Refreshed] {
	q.once.carriers.Do(func() {
		q.carriersBy = loader(q, 0, gatherCarriers, none[askKey, parcel.Refreshed], func(ctx context.Context, keys []askKey) (map[askKey]parcel.Refreshed, error) {
			asks := map[patience]*parcel.RefreshAsk{}
			for _, k := range keys {
				ask := asks[k.patience]
				if ask == nil {
					ask = &parcel.RefreshAsk{MaxAge: k.maxAge, Wait: k.wait, Force: k.force}
					asks[k.patience] = ask
				}
				ask.Keys = append(ask.Keys, k.NumberKey)
			}
			return q.r.askAll(ctx, asks)
		})
	})
	return q.carriersBy
}

// askAll runs the calls side by side: none waits for another's patience.
func (r *Resolver) askAll(ctx context.Context, asks map[patience]*parcel.RefreshAsk) (map[askKey]parcel.Refreshed, error) {
	var (
		work  sync.WaitGroup
		mu    sync.Mutex
		found = map[askKey]parcel.Refreshed{}
		first error
	)
	for p, ask := range asks {
		work.Go(func() {
			done, err := r.askOne(ctx, *ask)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && first == nil {
				first = err
			}
			for _, d := range done {
				found[askKey{d.Key, p}] = d
			}
		})
	}
	work.Wait()
	return found, first
}

// askOne keeps a panic from ending the process: nobody else would catch it.
func (r *Resolver) askOne(ctx context.Context, ask parcel.RefreshAsk) (done []parcel.Refreshed, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = graph.Panicked(v)
		}
	}()
	return r.Ingest.Refresh(ctx, ask)
}

// again reads those shipments once more for which a carrier was heard, and
// shows all with what was done for their numbers.
func (r *Resolver) again(ctx context.Context, lens *view.Lens, loaded []*Loaded, shown []*view.Shipment, p patience,
	served map[parcel.NumberKey]parcel.Served, mask func(*Loaded) view.Mask) ([]*view.Shipment, error) {
	news := func(s *view.Shipment) bool {
		for _, k := range s.Numbers() {
			if s := served[k]; s == parcel.ServedOwnCall || s == parcel.ServedJoinedCall {
				return true
			}
		}
		return false
	}
	where := map[string][]int{} // by merchant
	for i, s := range shown {
		if s != nil && news(s) {
			where[s.OwnerID()] = append(where[s.OwnerID()], i)
		}
	}
	loaded = append([]*Loaded{}, loaded...)
	for merchant, at := range where {
		ids := make([]string, len(at))
		for k, i := range at {
			ids[k] = loaded[i].Shipment.ID
		}
		fresh, err := r.Store.Shipments(ctx, merchant, ids)
		if err != nil {
			return nil, err
		}
		for k, i := range at {
			if fresh[k] != nil {
				loaded[i] = fresh[k]
			}
		}
	}
	now := r.Trade.Now().UTC()
	for i, l := range loaded {
		if l == nil {
			continue
		}
		look := view.Look{Shipment: l.Shipment, Trackings: l.Trackings, MaxAge: p.maxAge, Served: served, Now: now}
		if mask != nil {
			look.Mask = mask(l)
		}
		shown[i] = lens.Shipment(look)
	}
	return shown, nil
}
