package resolvers

import (
	"context"
	"log/slog"
	"time"

	"github.com/milepost-gateway/milepost/graph/model"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// patience is how fresh an asker wants it, and how long it waits for that.
type patience struct {
	// maxAge replaces the legs' own budgets; 0 does not.
	maxAge time.Duration
	// wait is wall time; 0 starts a refresh and goes on.
	wait time.Duration
	// force asks about ended and given-up numbers too.
	force bool
}

// defaultWait is how long an asker who names a freshness waits for it.
const defaultWait = 800 * time.Millisecond

// patient reads the argument: without it the store answers at once, and what is
// beyond its budget is renewed behind the answer.
func patient(in *model.FreshnessInput) patience {
	if in == nil {
		return patience{}
	}
	p := patience{wait: defaultWait}
	if in.WaitMs != nil {
		p.wait = milliseconds(*in.WaitMs)
	}
	if in.MaxAgeSeconds != nil {
		// An age of 0 wants news from now on: nothing stored is that new.
		p.maxAge = max(time.Duration(*in.MaxAgeSeconds)*time.Second, time.Microsecond)
	}
	return p
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// askKey is one number in the batch of a request.
type askKey struct {
	parcel.NumberKey
	patience
}

// worthAsking tells whether a carrier should be asked for a number now.
func (p patience) worthAsking(t *parcel.Tracking, s *parcel.Shipment, now time.Time) bool {
	if p.force {
		return true
	}
	switch t.Freshness(now, s.Journey.Milestone, s.Journey.Outcome, p.maxAge) {
	case parcel.FreshnessStale, parcel.FreshnessNever:
		// Nobody waits for a carrier that no account serves.
		return t.Account != "" || p.wait > 0
	case parcel.FreshnessRefreshing:
		// Another is asking: worth joining for those who wait, no more.
		return p.wait > 0
	case parcel.FreshnessUnavailable:
		return !t.RetryAt.After(now)
	default:
		return false
	}
}

// show makes views of what was loaded, after the carriers were asked about
// numbers that are too old for the asker. Nil entries stay nil. A carrier that
// fails, and even a refresh that cannot be asked for, leaves what is stored.
func (r *Resolver) show(ctx context.Context, lens *view.Lens, loaded []*Loaded, p patience, mask func(*Loaded) view.Mask) ([]*view.Shipment, error) {
	out := make([]*view.Shipment, len(loaded))
	var keys []parcel.NumberKey
	for i, l := range loaded {
		if l == nil {
			continue
		}
		look := view.Look{Shipment: l.Shipment, Trackings: l.Trackings, MaxAge: p.maxAge}
		if mask != nil {
			look.Mask = mask(l)
		}
		out[i] = lens.Shipment(look)
		keys = append(keys, r.tooOld(out[i], p, lens.Now)...)
	}
	if len(keys) == 0 {
		return out, nil
	}
	served, err := r.refresh(ctx, keys, p)
	if err != nil {
		r.Log.LogAttrs(ctx, slog.LevelWarn, "resolvers: cannot ask carriers; the store answers as it is", slog.Any("err", err))
		return out, nil
	}
	return r.again(ctx, lens, loaded, out, p, served, mask)
}

// tooOld lists the numbers of a shipment that should be asked for.
func (r *Resolver) tooOld(s *view.Shipment, p patience, now time.Time) (keys []parcel.NumberKey) {
	if p.force {
		return s.Numbers()
	}
	for _, t := range s.Open() {
		if p.worthAsking(t, s.Stored(), now) {
			keys = append(keys, t.NumberKey)
		}
	}
	return keys
}

// refresh asks for numbers. Those who wait are gathered over the whole request,
// so that each carrier hears of it once; those who do not wait are not kept
// waiting by a batch either.
func (r *Resolver) refresh(ctx context.Context, keys []parcel.NumberKey, p patience) (map[parcel.NumberKey]parcel.Served, error) {
	served := make(map[parcel.NumberKey]parcel.Served, len(keys))
	if p.wait <= 0 {
		done, err := r.Ingest.Refresh(ctx, parcel.RefreshAsk{Keys: keys, MaxAge: p.maxAge, Force: p.force})
		for _, d := range done {
			served[d.Key] = d.Served
		}
		return served, err
	}
	l := r.request(ctx).carrierLoader()
	asks := make([]askKey, len(keys))
	for i, k := range keys {
		asks[i] = askKey{k, p}
		l.Load(ctx, asks[i]) // starts it; waiting comes below
	}
	for _, ask := range asks {
		done, err := load(ctx, l, ask)
		if err != nil {
			return nil, err
		}
		served[ask.NumberKey] = done.Served
	}
	return served, nil
}
