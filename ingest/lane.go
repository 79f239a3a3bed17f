package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// Served is what a refresh did for a number.
type Served = parcel.Served

// lane is the way to one carrier account: numbers wait in it for a call, by
// turns of the merchants who want them, and people before the plan. It gathers
// them into batches of the carrier's size and keeps the calls under way within
// bounds, so that a carrier that hangs holds up its own numbers and no others.
type lane struct {
	g       *Ingest
	account *Account
	fetcher carriers.Fetcher // nil if it cannot be asked
	doors   chan struct{}    // pushes being taken in

	mu      sync.Mutex
	queue   [2]turns // forPlan, forPeople
	busy    [2]int   // calls under way
	pending bool     // the gathering time runs
	company bool     // it runs because another call is under way
}

func newLane(g *Ingest, a *Account) *lane {
	l := &lane{g: g, account: a, doors: make(chan struct{}, pushesAtOnce)}
	l.fetcher, _ = a.Carrier.(carriers.Fetcher)
	return l
}

// The bounds of a lane's queue: what people ask for beyond them is refused at
// once. The plan leases no more than the lane takes.
const (
	maxQueue      = 4096
	maxOwnerQueue = 1024
)

// turns are flights that wait, one queue a merchant: each takes from the next
// merchant in turn. All flights cost the same, so that deficit round robin comes
// down to one flight a turn.
type turns struct {
	order []string
	by    map[string][]*flight
	n     int
}

func (t *turns) push(fl *flight) {
	if t.by == nil {
		t.by = map[string][]*flight{}
	}
	if len(t.by[fl.owner]) == 0 {
		t.order = append(t.order, fl.owner)
	}
	t.by[fl.owner] = append(t.by[fl.owner], fl)
	t.n++
}

func (t *turns) pop() *flight {
	owner := t.order[0]
	t.order = t.order[1:]
	mine := t.by[owner]
	if len(mine) == 1 {
		delete(t.by, owner)
	} else {
		t.by[owner] = mine[1:]
		t.order = append(t.order, owner)
	}
	t.n--
	return mine[0]
}

// remove takes a flight out, and tells whether it was there.
func (t *turns) remove(fl *flight) bool {
	mine := t.by[fl.owner]
	i := slices.Index(mine, fl)
	if i < 0 {
		return false
	}
	t.n--
	if len(mine) == 1 {
		delete(t.by, fl.owner)
		t.order = slices.DeleteFunc(t.order, func(o string) bool { return o == fl.owner })
		return true
	}
	t.by[fl.owner] = slices.Delete(mine, i, i+1)
	return true
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
	owner    string
	class    int // forPlan, forPeople; the lane's mu guards it once it waits
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

// ask puts a flight into the lane. A batch leaves when it is full, or when
// nobody has joined for the gathering time, as soon as a call may be made.
func (l *lane) ask(fl *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.queue[fl.class]
	if fl.class == forPeople && (q.n >= maxQueue || len(q.by[fl.owner]) >= maxOwnerQueue) {
		l.scatter([]*flight{fl})
		return
	}
	q.push(fl)
	if l.waiting() >= l.batch() {
		l.dispatch()
		return
	}
	if l.pending {
		return
	}
	gather := l.g.opts.Gather
	// While the carrier is busy with us anyway, another call waits for company:
	// under load batches grow, and calls do not.
	if l.company = l.busy[forPlan]+l.busy[forPeople] > 0; l.company {
		gather *= companyFactor
	}
	l.pending = l.g.begin(func() {
		// An ending context only makes the batch leave sooner.
		_ = l.g.wall.Sleep(l.g.ctx, gather)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pending = false
		l.dispatch()
	})
	if !l.pending {
		l.scatter(l.take(l.waiting()))
	}
}

// hasten makes a planned flight that still waits one that a person waits for.
func (l *lane) hasten(fl *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fl.class == forPlan && l.queue[forPlan].remove(fl) {
		fl.class = forPeople
		l.queue[forPeople].push(fl)
		if !l.pending {
			l.dispatch()
		}
	}
}

func (l *lane) batch() int { return max(1, l.account.Spec.Batch) }

// waiting is how many flights wait; the caller holds mu.
func (l *lane) waiting() int { return l.queue[forPlan].n + l.queue[forPeople].n }

// take cuts a batch: people first, and the plan fills what is left of it. The
// caller holds mu.
func (l *lane) take(most int) []*flight {
	batch := make([]*flight, 0, min(most, l.waiting()))
	for class := forPeople; class >= forPlan; class-- {
		for len(batch) < most && l.queue[class].n > 0 {
			batch = append(batch, l.queue[class].pop())
		}
	}
	return batch
}

// mayCall tells whether a call of a class may begin: one way out is kept for
// people, so that a carrier that answers slowly does not make them wait for the
// plan. The caller holds mu.
func (l *lane) mayCall(class int) bool {
	most := l.g.opts.Parallel
	if l.busy[forPlan]+l.busy[forPeople] >= most {
		return false
	}
	return class == forPeople || l.busy[forPlan] < max(1, most-1)
}

// companyFactor is how many times longer a batch gathers while another call of
// the account is under way.
const companyFactor = 16

// gathering tells whether a batch that is not full waits for more; the caller
// holds mu.
func (l *lane) gathering() bool {
	return l.pending && !(l.company && l.busy[forPlan]+l.busy[forPeople] == 0)
}

// dispatch lets batches leave while calls may be made; the caller holds mu.
func (l *lane) dispatch() {
	for l.waiting() > 0 {
		class := forPlan
		if l.queue[forPeople].n > 0 {
			class = forPeople
		}
		if !l.mayCall(class) || l.gathering() && l.waiting() < l.batch() {
			return
		}
		batch := l.take(l.batch())
		l.busy[class]++
		if !l.g.begin(func() {
			defer func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.busy[class]--
				l.dispatch()
			}()
			l.fly(batch, class)
		}) {
			l.busy[class]--
			l.scatter(batch)
		}
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
func (l *lane) fly(batch []*flight, class int) {
	g := l.g
	ctx, cancel := context.WithTimeout(g.ctx, l.callLimit())
	defer cancel()
	if class == forPeople {
		ctx = carriers.Attended(ctx)
	}

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
	took, told := g.wall.Now().Sub(began), err

	heard := map[string]bool{}
	var unread error
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
		if problem := receipts[0].Problem; problem != nil {
			err, unread = errors.Join(err, problem), errors.Join(unread, problem)
			if l.account.Gate != nil && errors.Is(problem, parcel.ErrThrottled) {
				// The carrier said so inside its answer, where no client looks.
				var t *parcel.Throttled
				wait := time.Duration(0)
				if errors.As(problem, &t) {
					wait = t.RetryAfter
				}
				l.account.Gate.Bar(wait)
			}
		}
	}
	// A call that told of none of its numbers has failed, whatever its status
	// said: a carrier that changed its form would seem well otherwise.
	if told == nil && (err == nil || unread != nil) && len(heard) == 0 && later == 0 {
		told = cmp.Or(unread, error(parcel.ErrMalformed))
	}
	g.counters.call(l.account.Spec.Name, l.account.Name, len(queries), g.trade.Now(), took, told)
	if unread != nil && told == nil {
		g.counters.unread(l.account.Spec.Name, l.account.Name, g.trade.Now())
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
			if t.unmade[i] {
				fl.served = parcel.ServedNotAllowed
			}
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
	// found is what is known after it, for each of the batch; unmade tells for
	// which of them our own budget or the carrier's rest left no call.
	found  []parcel.Tracking
	unmade []bool
}

func (t *landing) weight() int { return len(t.batch) }

func (t *landing) needs(n *needs) {
	for _, fl := range t.batch {
		n.number(fl.key)
	}
}

func (t *landing) apply(u *unit) error {
	t.found, t.unmade = make([]parcel.Tracking, len(t.batch)), make([]bool, len(t.batch))
	for i, fl := range t.batch {
		tr := &u.numbers[fl.key].Tracking
		u.released = append(u.released, fl.key)
		if !t.heard[fl.key.Number] && (errors.Is(t.failure, carriers.ErrSpent) || errors.Is(t.failure, carriers.ErrResting)) {
			// Nothing was asked, so nothing is known: it stays due. Only who
			// waits is told why.
			t.unmade[i] = true
			t.found[i] = *tr
			t.found[i].LeasedUntil = time.Time{}
			t.found[i].Trouble, t.found[i].RetryAt = troubleOf(t.failure), u.now.Add(t.lane.g.tradeFor(time.Minute))
			var th *parcel.Throttled
			if errors.As(t.failure, &th) {
				t.found[i].RetryAt = u.now.Add(t.lane.g.tradeFor(th.RetryAfter))
			}
			if t.found[i].TroubleSince.IsZero() {
				t.found[i].TroubleSince = u.now
			}
			continue
		}
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
			u.turn(fl.key, t.lane.account.Name)
			u.trackings[fl.key] = struct{}{}
		}
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
	case errors.Is(err, carriers.ErrResting):
		return parcel.TroubleCircuitOpen
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
