package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Refresh asks carriers for numbers and waits for ask.Wait at most; the calls
// go on after it and land by themselves. A number already being asked for, by
// this process or another replica, is joined, not asked twice. It never fails
// because of a carrier: what came of each number is in its tracking.
func (g *Ingest) Refresh(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
	out := make([]parcel.Refreshed, len(ask.Keys))
	now := g.trade.Now() // before the look: what lands after it is news
	known, err := g.store.Trackings(ctx, ask.Keys)
	if err != nil {
		return nil, err
	}
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
		// What lands between this look and the call will do; beyond that, what
		// is young enough for the asker.
		notOlder := now
		if ask.MaxAge > 0 {
			notOlder = now.Add(-ask.MaxAge)
		}
		if !ask.Force {
			if ask.MaxAge > 0 && t.HeardAt.After(notOlder) {
				out[i].Served = parcel.ServedStore
				continue
			}
			// While the carrier's door is barred, asking again only prolongs it.
			if t.RetryAt.After(now) && t.Trouble != "" {
				continue
			}
		}
		fl, joined := g.flights.board(key, func() *flight {
			return &flight{key: key, done: make(chan struct{}), notOlder: notOlder, postcode: t.Postcode, owner: t.Owner, class: forPeople}
		})
		waits[i] = fl
		out[i].Served = parcel.ServedWaitExpired
		if !joined {
			l.ask(fl)
		}
		if joined {
			l.hasten(fl)
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
			if fl.tracking.Number != "" {
				out[i].Tracking = fl.tracking
			}
		default:
			out[i].Served = parcel.ServedWaitExpired
		}
	}
}

// Poll asks for numbers whose next look is due, until ctx ends. Each carrier
// account has a loop of its own, so that one that hangs holds up nobody else's
// news, not even those of another account at the same carrier. One poller runs
// in each replica; leases share the work.
func (g *Ingest) Poll(ctx context.Context) error {
	var loops sync.WaitGroup
	defer loops.Wait()
	running := map[*lane]context.CancelFunc{}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for {
		r := g.roster.Load()
		for _, l := range r.byName {
			if running[l] == nil && l.fetcher != nil {
				asking, stop := context.WithCancel(ctx)
				running[l] = stop
				loops.Go(func() { l.poll(asking) })
			}
		}
		for l, stop := range running {
			if r.byName[accountKey{l.account.Spec.Name, l.account.Name}] != l {
				stop()
				delete(running, l)
			}
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// room is how many planned numbers a lane takes now: what its calls carry in
// two rounds, or less where the account's budget does not last for them.
func (l *lane) room() int {
	if l.fetcher == nil {
		return 0
	}
	calls := 2 * l.g.opts.Parallel
	if l.account.Gate != nil {
		calls = min(calls, l.account.Gate.room())
	}
	return min(calls*l.batch(), pollBatch)
}

// poll asks for what is due until ctx ends.
func (l *lane) poll(ctx context.Context) {
	g, carrier := l.g, l.account.Spec.Name
	var after string
	var served *roster
	var servedAt time.Time
	for {
		// One of a carrier's loops does it for all.
		if r := g.roster.Load(); len(r.lanes[carrier]) > 0 && r.lanes[carrier][0] == l && (r != served || g.wall.Now().Sub(servedAt) >= unservedEvery) {
			served, servedAt = r, g.wall.Now()
			if err := g.serveUnserved(ctx, r, carrier); err != nil && ctx.Err() == nil {
				g.log.Warn("cannot plan numbers that no account served", "carrier", carrier, "error", err)
			}
		}
		again, err := l.pollOnce(ctx, &after)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("cannot look for due numbers", "carrier", carrier, "account", l.account.Name, "error", err)
		}
		if !again || err != nil {
			if g.wall.Sleep(ctx, g.opts.PollEvery) != nil {
				return
			}
		}
	}
}

// pollBatch is the most numbers of one carrier that one look leases: no more
// than its lanes take in two rounds, so that a shopper's question never queues
// behind a backlog.
const pollBatch = 500

// pollLease is how long a replica may take to ask for what it leased, wall
// time.
const pollLease = 2 * time.Minute

// pollOnce asks for due numbers of the account's merchants, as many as it may be
// asked for, and waits for what comes of it. after is the merchant at whom the
// last look ended. again tells that more may be due.
func (l *lane) pollOnce(ctx context.Context, after *string) (again bool, err error) {
	g, carrier := l.g, l.account.Spec.Name
	limit := l.room()
	if limit < 1 {
		return false, nil
	}
	now := g.trade.Now()
	due := parcel.Due{Carrier: carrier, Now: now, Until: now.Add(g.tradeFor(pollLease)), Token: g.token, Limit: limit, After: *after}
	if len(g.roster.Load().lanes[carrier]) > 1 {
		due.Room = func(owner string) int {
			if g.accountFor(carrier, owner) != l {
				return 0
			}
			return limit
		}
	}
	leased, last, err := g.store.LeaseDue(ctx, due)
	if err != nil {
		return false, err
	}
	*after, again = last, len(leased) == limit
	waits := make([]*flight, len(leased))
	for i := range leased {
		waits[i] = g.pollNumber(l, leased[i])
	}
	for _, fl := range waits {
		select {
		case <-fl.done:
			again = again && fl.served != parcel.ServedNotAllowed
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return again, nil
}

func (g *Ingest) pollNumber(l *lane, t parcel.Tracking) *flight {
	if own := g.laneOf(&t); own != nil && own.fetcher != nil {
		l = own
	}
	fl, joined := g.flights.board(t.NumberKey, func() *flight {
		return &flight{key: t.NumberKey, done: make(chan struct{}), postcode: t.Postcode, leased: true, tracking: t, owner: t.Owner, class: forPlan}
	})
	if !joined {
		l.ask(fl)
	}
	return fl
}
