package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// Served is what a refresh did for a number.
type Served = parcel.Served

// lane is the way to one carrier account: it gathers numbers into batches of
// the carrier's size and keeps the calls under way within bounds.
type lane struct {
	g       *Ingest
	account *Account
	fetcher carriers.Fetcher // nil if it cannot be asked
	slots   chan struct{}

	mu      sync.Mutex
	waiting []*flight
	pending bool // a dispatch is scheduled
}

func newLane(g *Ingest, a *Account) *lane {
	l := &lane{g: g, account: a, slots: make(chan struct{}, g.opts.Parallel)}
	l.fetcher, _ = a.Carrier.(carriers.Fetcher)
	return l
}

// flight is one number being asked for; everyone who wants it waits for the
// same one.
type flight struct {
	key  parcel.NumberKey
	done chan struct{}
	// notOlder: knowledge heard since then will do, another replica's too.
	notOlder time.Time
	postcode string
	leased   bool // the poller holds the lease already
	// Set before done closes.
	tracking parcel.Tracking
	served   Served
}

// flights are those under way in this process.
type flights struct {
	mu   sync.Mutex
	open map[parcel.NumberKey]*flight
}

// board gives the flight of a number: a new one, or the one under way.
func (f *flights) board(key parcel.NumberKey, make func() *flight) (fl *flight, joined bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.open[key]; fl != nil {
		return fl, true
	}
	fl = make()
	f.open[key] = fl
	return fl, false
}

func (f *flights) land(fl *flight) {
	f.mu.Lock()
	delete(f.open, fl.key)
	f.mu.Unlock()
	close(fl.done)
}

// ask puts a flight into the lane. The batch leaves when it is full, or when
// nobody has joined for the gathering time.
func (l *lane) ask(fl *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, fl)
	if len(l.waiting) >= l.batch() {
		l.launch(l.take())
		return
	}
	if l.pending {
		return
	}
	l.pending = l.g.begin(func() {
		// An ending context only makes the batch leave sooner.
		_ = l.g.wall.Sleep(l.g.ctx, l.g.opts.Gather)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pending = false
		for len(l.waiting) > 0 {
			l.launch(l.take())
		}
	})
	if !l.pending {
		l.scatter(l.waiting)
		l.waiting = nil
	}
}

func (l *lane) batch() int { return max(1, l.account.Spec.Batch) }

// take cuts a batch; the caller holds mu.
func (l *lane) take() []*flight {
	n := min(len(l.waiting), l.batch())
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return batch
}

// launch flies a batch; the caller holds mu.
func (l *lane) launch(batch []*flight) {
	flies := l.g.begin(func() {
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		case <-l.g.ctx.Done():
			l.scatter(batch)
			return
		}
		l.fly(batch)
	})
	if !flies {
		l.scatter(batch)
	}
}

// scatter lands flights that never left.
func (l *lane) scatter(batch []*flight) {
	for _, fl := range batch {
		fl.served = parcel.ServedNotAllowed
		l.g.flights.land(fl)
	}
}

// callLimit bounds one batch, retries included.
func (l *lane) callLimit() time.Duration {
	t := l.account.Spec.Timeout
	if t <= 0 {
		t = 10 * time.Second
	}
	return 3 * t
}

// fly asks the carrier for a batch and lands what it says through the one road
// in. Numbers that another replica is asking for are left to it.
func (l *lane) fly(batch []*flight) {
	g := l.g
	ctx, cancel := context.WithTimeout(g.ctx, l.callLimit())
	defer cancel()

	mine, theirs := l.lease(ctx, batch)
	if len(mine) > 0 {
		l.call(ctx, mine)
	}
	if len(theirs) > 0 {
		l.awaitOthers(ctx, theirs)
	}
}

// lease takes the right to ask; numbers heard in the meantime need no call.
func (l *lane) lease(ctx context.Context, batch []*flight) (mine, theirs []*flight) {
	g := l.g
	var want []parcel.NumberKey
	for _, fl := range batch {
		if fl.leased {
			mine = append(mine, fl)
			continue
		}
		want = append(want, fl.key)
	}
	if len(want) == 0 {
		return mine, nil
	}
	now := g.trade.Now()
	granted, err := g.store.Lease(ctx, want, now, now.Add(g.tradeFor(l.callLimit())), g.token)
	if err != nil {
		g.log.Warn("cannot lease numbers", "carrier", l.account.Spec.Name, "error", err)
		for _, fl := range batch {
			if !fl.leased {
				fl.served = parcel.ServedNotAllowed
				g.flights.land(fl)
			}
		}
		return mine, nil
	}
	have := make(map[parcel.NumberKey]bool, len(granted))
	for _, k := range granted {
		have[k] = true
	}
	known, err := g.store.Trackings(ctx, granted)
	if err != nil {
		known = nil
	}
	var fresh []*flight
	for _, fl := range batch {
		switch t, ok := known[fl.key]; {
		case fl.leased:
		case !have[fl.key]:
			theirs = append(theirs, fl)
		case ok && !fl.notOlder.IsZero() && t.HeardAt.After(fl.notOlder):
			fresh = append(fresh, fl)
		default:
			fl.tracking = t
			mine = append(mine, fl)
		}
	}
	if len(fresh) > 0 {
		back := &giveBack{fresh}
		if err := g.writer.do(ctx, back); err != nil {
			g.log.Warn("cannot give back leases", "carrier", l.account.Spec.Name, "error", err)
		}
		for _, fl := range fresh {
			fl.tracking, fl.served = known[fl.key], parcel.ServedStore
			fl.tracking.LeasedUntil = time.Time{}
			g.flights.land(fl)
		}
	}
	return mine, theirs
}

// giveBack returns leases that turned out not to be needed: somebody was
// quicker.
type giveBack struct{ batch []*flight }

func (t *giveBack) weight() int { return len(t.batch) }

func (t *giveBack) needs(n *needs) {
	for _, fl := range t.batch {
		n.number(fl.key)
	}
}

func (t *giveBack) apply(u *unit) error {
	for _, fl := range t.batch {
		u.released = append(u.released, fl.key)
	}
	return nil
}

func (t *giveBack) settled(error) {}

// tradeFor gives the trade time that passes in a span of wall time, so that a
// lease taken on an accelerated clock lasts as long as the call.
func (g *Ingest) tradeFor(d time.Duration) time.Duration {
	if s, ok := g.trade.(interface{ Speed() float64 }); ok {
		return time.Duration(float64(d) * s.Speed())
	}
	return d
}

func (l *lane) call(ctx context.Context, batch []*flight) {
	g := l.g
	queries := make([]carriers.Query, len(batch))
	for i, fl := range batch {
		queries[i] = carriers.Query{Number: fl.key.Number, Postcode: fl.postcode}
	}
	began := g.wall.Now()
	payloads, err := l.fetch(ctx, queries)
	g.counters.call(l.account.Spec.Name, len(queries), g.trade.Now(), g.wall.Now().Sub(began), err)

	heard := map[string]bool{}
	var later time.Duration
	for i := range payloads {
		p, stampErr := l.stamp(payloads[i])
		if stampErr != nil {
			err = errors.Join(err, stampErr)
			continue
		}
		p.Source = cmpSource(l.account.Source, parcel.SourcePoll)
		receipts, acceptErr := g.acceptVia(context.WithoutCancel(ctx), l, p)
		if acceptErr != nil {
			err = errors.Join(err, acceptErr)
			continue
		}
		r := &receipts[0].Reading
		later = max(later, r.RetryAfter)
		for k := range r.Observations {
			heard[r.Observations[k].Number] = true
		}
		for k := range r.Results {
			heard[r.Results[k].Number] = true
		}
		if receipts[0].Problem != nil {
			err = errors.Join(err, receipts[0].Problem)
		}
	}
	l.land(&landing{lane: l, batch: batch, heard: heard, failure: err, later: later})
}

// fetch asks the carrier. An adapter that panics harms only its own numbers.
func (l *lane) fetch(ctx context.Context, queries []carriers.Query) (payloads []parcel.Payload, err error) {
	defer l.guard(&err)
	return l.fetcher.Fetch(ctx, queries)
}

// decode reads a payload, with the same guard.
func (l *lane) decode(p parcel.Payload) (r parcel.Reading, err error) {
	defer l.guard(&err)
	return l.account.Carrier.Decode(p)
}

// guard turns an adapter's panic into an error, with the stack in the log.
func (l *lane) guard(err *error) {
	if v := recover(); v != nil {
		l.g.log.Error("adapter panicked", "carrier", l.account.Spec.Name, "panic", v, "stack", string(debug.Stack()))
		*err = fmt.Errorf("%s: adapter panicked: %w", l.account.Spec.Name, parcel.ErrMalformed)
	}
}

// stamp completes a payload that came through this account: whose it is, when
// it came, and without the personal data that the adapter names. What cannot be
// redacted is not kept.
func (l *lane) stamp(p parcel.Payload) (out parcel.Payload, err error) {
	defer l.guard(&err)
	p.Carrier, p.Account = l.account.Spec.Name, l.account.Name
	p.ReceivedAt = l.g.trade.Now()
	return l.account.Carrier.Redact(p), nil
}

func cmpSource(own, door parcel.SourceKind) parcel.SourceKind {
	if own != "" {
		return own
	}
	return door
}

// land notes what became of each number and lets the waiting go on.
func (l *lane) land(t *landing) {
	g := l.g
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), l.callLimit())
	defer cancel()
	if err := g.writer.do(ctx, t); err != nil {
		g.log.Warn("cannot note what came of a call", "carrier", l.account.Spec.Name, "error", err)
	} else {
		for i, fl := range t.batch {
			fl.tracking, fl.served = t.found[i], parcel.ServedOwnCall
		}
	}
	for _, fl := range t.batch {
		g.flights.land(fl)
	}
	if t.failure != nil {
		g.log.Info("carrier did not answer in full", "carrier", l.account.Spec.Name, "account", l.account.Name, "numbers", len(t.batch), "heard", len(t.heard), "error", t.failure)
	}
}

// landing notes what came of a call for each number that was asked for, and
// gives the leases back. It goes the one road in, so that it never overwrites
// what a push has brought meanwhile.
type landing struct {
	lane    *lane
	batch   []*flight
	heard   map[string]bool
	failure error
	// later is when the carrier asks to be asked again: a ticket is being
	// worked on, which is no trouble.
	later time.Duration
	// found is what is known after it, for each of the batch.
	found []parcel.Tracking
}

func (t *landing) weight() int { return len(t.batch) }

func (t *landing) needs(n *needs) {
	for _, fl := range t.batch {
		n.number(fl.key)
	}
}

func (t *landing) apply(u *unit) error {
	t.found = make([]parcel.Tracking, len(t.batch))
	for i, fl := range t.batch {
		tr := &u.numbers[fl.key].Tracking
		switch {
		case t.heard[fl.key.Number]:
		case t.failure == nil && t.later > 0:
			tr.NextAt = u.now.Add(t.lane.g.tradeFor(t.later))
			u.trackings[fl.key] = struct{}{}
		default:
			cause := t.failure
			if cause == nil {
				// The carrier answered and said nothing about this number.
				cause = parcel.ErrMalformed
			}
			t.lane.note(tr, cause, u.now)
			u.trackings[fl.key] = struct{}{}
		}
		u.released = append(u.released, fl.key)
		t.found[i] = *tr
		t.found[i].LeasedUntil = time.Time{}
	}
	return nil
}

func (t *landing) settled(error) {}

// note writes a failure into a number's tracking.
func (l *lane) note(t *parcel.Tracking, failure error, now time.Time) {
	t.Trouble = troubleOf(failure)
	if t.TroubleSince.IsZero() {
		t.TroubleSince = now
	}
	t.Failures++
	var wait time.Duration
	if th := (*parcel.Throttled)(nil); errors.As(failure, &th) {
		wait = th.RetryAfter
	}
	t.RetryAt = afterFailure(now, t.Failures, l.g.tradeFor(wait))
	// A number that is not looked at by plan is not for having failed.
	if !t.NextAt.IsZero() && t.NextAt.Before(t.RetryAt) {
		t.NextAt = t.RetryAt
	}
}

// troubleOf is the kind of trouble behind an error.
func troubleOf(err error) parcel.Trouble {
	switch {
	case errors.Is(err, parcel.ErrThrottled):
		return parcel.TroubleThrottled
	case errors.Is(err, parcel.ErrDenied):
		return parcel.TroubleUnauthorised
	case errors.Is(err, context.DeadlineExceeded):
		return parcel.TroubleTimeout
	case errors.Is(err, parcel.ErrMalformed):
		return parcel.TroubleUnreadable
	default:
		return parcel.TroubleUnavailable
	}
}

// awaitOthers waits for another replica's answer by reading the store: its
// lease ends when it has landed.
func (l *lane) awaitOthers(ctx context.Context, batch []*flight) {
	g := l.g
	for len(batch) > 0 {
		if g.wall.Sleep(ctx, 50*time.Millisecond) != nil {
			l.scatter(batch)
			return
		}
		keys := make([]parcel.NumberKey, len(batch))
		for i, fl := range batch {
			keys[i] = fl.key
		}
		known, err := g.store.Trackings(ctx, keys)
		if err != nil {
			l.scatter(batch)
			return
		}
		now := g.trade.Now()
		rest := batch[:0]
		for _, fl := range batch {
			t := known[fl.key]
			if t.LeasedUntil.After(now) {
				rest = append(rest, fl)
				continue
			}
			fl.tracking, fl.served = t, parcel.ServedJoinedCall
			g.flights.land(fl)
		}
		batch = rest
	}
}
