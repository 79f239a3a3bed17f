package ingest

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Refresh asks carriers for numbers and waits for ask.Wait at most; the calls
// go on after it and land by themselves. A number already being asked for, by
// this process or another replica, is joined, not asked twice. It never fails
// because of a carrier: what came of each number is in its tracking.
func (g *Ingest) Refresh(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
	out := make([]parcel.Refreshed, len(ask.Keys))
	known, err := g.store.Trackings(ctx, ask.Keys)
	if err != nil {
		return nil, err
	}
	now := g.trade.Now()
	waits := make([]*flight, len(ask.Keys))
	for i, key := range ask.Keys {
		t := known[key]
		t.NumberKey = key
		out[i] = parcel.Refreshed{Key: key, Tracking: t, Served: parcel.ServedNotAllowed}
		l := g.laneOf(&t)
		if l == nil || l.fetcher == nil {
			if t.HeardAt.IsZero() && t.Trouble == "" {
				out[i].Tracking.Trouble, out[i].Tracking.TroubleSince = parcel.TroubleNotConfigured, now
			}
			continue
		}
		var notOlder time.Time
		if ask.MaxAge > 0 {
			notOlder = now.Add(-ask.MaxAge)
		}
		if !ask.Force {
			if !notOlder.IsZero() && t.HeardAt.After(notOlder) {
				out[i].Served = parcel.ServedStore
				continue
			}
			// While the carrier's door is barred, asking again only prolongs it.
			if t.RetryAt.After(now) && t.Trouble != "" {
				continue
			}
		}
		fl, joined := g.flights.board(key, func() *flight {
			return &flight{key: key, done: make(chan struct{}), notOlder: notOlder, postcode: t.Postcode}
		})
		waits[i] = fl
		out[i].Served = parcel.ServedWaitExpired
		if !joined {
			l.ask(fl)
		}
		if joined {
			out[i].Served = parcel.ServedJoinedCall
		}
	}
	g.await(ctx, ask.Wait, waits, out)
	return out, nil
}

// await waits for flights until the asker's patience ends.
func (g *Ingest) await(ctx context.Context, wait time.Duration, waits []*flight, out []parcel.Refreshed) {
	timer := g.wall.NewTimer(wait)
	defer timer.Stop()
	expired := wait <= 0
	for i, fl := range waits {
		if fl == nil {
			continue
		}
		if !expired {
			select {
			case <-fl.done:
			case <-timer.C():
				expired = true
			case <-ctx.Done():
				expired = true
			}
		}
		select {
		case <-fl.done:
			if out[i].Served != parcel.ServedJoinedCall {
				out[i].Served = fl.served
			}
			out[i].Tracking = fl.tracking
		default:
			out[i].Served = parcel.ServedWaitExpired
		}
	}
}

// laneOf is the way to the account through which a number is asked.
func (g *Ingest) laneOf(t *parcel.Tracking) *lane {
	if l := g.byName[accountKey{t.Carrier, t.Account}]; l != nil {
		return l
	}
	return g.accountFor(t.Carrier, "")
}

// Poll asks for numbers whose next look is due, until ctx ends. One poller runs
// in each replica; leases share the work.
func (g *Ingest) Poll(ctx context.Context) error {
	var asked []string
	for name, lanes := range g.accounts {
		for _, l := range lanes {
			if l.fetcher != nil {
				asked = append(asked, name)
				break
			}
		}
	}
	if len(asked) == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		n, err := g.pollOnce(ctx, asked)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("cannot look for due numbers", "error", err)
		}
		if n < pollBatch || err != nil {
			if g.wall.Sleep(ctx, g.opts.PollEvery) != nil {
				return nil
			}
		}
	}
}

// pollBatch is the most numbers that one look leases.
const pollBatch = 500

// pollLease is how long a replica may take to ask for what it leased, wall
// time.
const pollLease = 2 * time.Minute

func (g *Ingest) pollOnce(ctx context.Context, asked []string) (int, error) {
	now := g.trade.Now()
	due, err := g.store.LeaseDue(ctx, now, now.Add(g.tradeFor(pollLease)), g.token, pollBatch, asked)
	if err != nil {
		return 0, err
	}
	waits := make([]*flight, 0, len(due))
	for i := range due {
		t := due[i]
		l := g.laneOf(&t)
		if l == nil || l.fetcher == nil {
			continue
		}
		fl, joined := g.flights.board(t.NumberKey, func() *flight {
			return &flight{key: t.NumberKey, done: make(chan struct{}), postcode: t.Postcode, leased: true, tracking: t}
		})
		if !joined {
			l.ask(fl)
		}
		waits = append(waits, fl)
	}
	for _, fl := range waits {
		select {
		case <-fl.done:
		case <-ctx.Done():
			return len(due), ctx.Err()
		}
	}
	return len(due), nil
}
