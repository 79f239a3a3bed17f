package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// BudgetStore is where the replicas of a deployment share the allowances of
// their carrier accounts.
type BudgetStore interface {
	// LeaseBudget takes calls out of an account's budget.
	LeaseBudget(ctx context.Context, key parcel.BudgetKey, ask parcel.BudgetAsk) (parcel.BudgetGrant, error)
	// BarBudget notes that the carrier asked to be left alone, and tells until
	// when.
	BarBudget(ctx context.Context, key parcel.BudgetKey, now time.Time, wait time.Duration) (until time.Time, err error)
	// ReturnBudget gives back calls that were leased and not made.
	ReturnBudget(ctx context.Context, key parcel.BudgetKey, unused []parcel.BudgetCell) error
	// Budgets reads what was taken of each allowance.
	Budgets(ctx context.Context) (map[parcel.BudgetKey]parcel.CallBudget, error)
}

// alone keeps budgets in this process: for the demo, whose quotas run on a
// clock that no database keeps up with.
type alone struct {
	mu  sync.Mutex
	all map[parcel.BudgetKey]*parcel.CallBudget
}

// AloneBudgets is a BudgetStore for one process that shares with nobody.
func AloneBudgets() BudgetStore { return &alone{all: map[parcel.BudgetKey]*parcel.CallBudget{}} }

func (a *alone) of(key parcel.BudgetKey) *parcel.CallBudget {
	if a.all[key] == nil {
		a.all[key] = &parcel.CallBudget{}
	}
	return a.all[key]
}

// LeaseBudget implements [BudgetStore].
func (a *alone) LeaseBudget(_ context.Context, key parcel.BudgetKey, ask parcel.BudgetAsk) (parcel.BudgetGrant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of(key).Lease(ask), nil
}

// BarBudget implements [BudgetStore].
func (a *alone) BarBudget(_ context.Context, key parcel.BudgetKey, now time.Time, wait time.Duration) (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.of(key)
	b.Bar(now, wait)
	return b.BarredUntil, nil
}

// ReturnBudget implements [BudgetStore].
func (a *alone) ReturnBudget(_ context.Context, key parcel.BudgetKey, unused []parcel.BudgetCell) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(key).GiveBack(unused)
	return nil
}

// Budgets implements [BudgetStore].
func (a *alone) Budgets(context.Context) (map[parcel.BudgetKey]parcel.CallBudget, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[parcel.BudgetKey]parcel.CallBudget, len(a.all))
	for k, b := range a.all {
		out[k] = *b
		c := out[k]
		c.Spent = append([]parcel.BudgetCell(nil), b.Spent...)
		out[k] = c
	}
	return out, nil
}

// Gate is the way out to one carrier account: it holds all replicas together to
// the account's allowance, keeps a part of it for people who wait, and closes
// while the carrier asks to be left alone or keeps failing. It is safe for
// concurrent use.
type Gate struct {
	key   parcel.BudgetKey
	store BudgetStore
	wall  carriers.Clock
	log   *slog.Logger
	// given overrides what the adapter knows of its quota; nil does not. free
	// tells that a door of the account which the adapter gives no quota has none.
	given *parcel.Allowance
	free  bool

	mu        sync.Mutex
	allowance parcel.Allowance // in force; zero until somebody enters
	// slots are leased calls, in the order of their turns; those for people
	// apart, since the plan may not use the reserve.
	slots [2][]slot
	// emptyUntil is when asking the store again makes sense.
	emptyUntil [2]time.Time
	waiting    [2]int
	leasing    chan struct{} // closed when the lease under way has come
	unused     map[int64]int
	barred     time.Time
	resting    time.Time
	left       int // of the window when last heard, -1 unknown or unlimited
	renews     time.Time
	leases     int64 // how often the store was asked, for the benchmarks
}

var _ carriers.Gate = (*Gate)(nil)

// slot is leave for one call.
type slot struct {
	at, until time.Time
	cell      int64
}

// The two who wait at a gate.
const (
	forPlan = iota
	forPeople
)

// Gates makes the gates of a deployment's accounts, and gives an account that is
// bound again the one it had. It is safe for concurrent use.
type Gates struct {
	store BudgetStore
	wall  carriers.Clock
	log   *slog.Logger

	mu  sync.Mutex
	all map[parcel.BudgetKey]*Gate
}

// NewGates shares budgets through a store, on the clock that the quotas run on.
func NewGates(store BudgetStore, wall carriers.Clock, log *slog.Logger) *Gates {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Gates{store: store, wall: wall, log: log, all: map[parcel.BudgetKey]*Gate{}}
}

// Of is the gate of an account. given, if not nil, replaces the quota that the
// adapter knows: a contract's limit is not the published one. It does no I/O.
func (s *Gates) Of(spec *carriers.Spec, account string, given *carriers.Quota) *Gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := parcel.BudgetKey{Carrier: spec.Name, Account: account}
	free := parcel.Allowance(spec.Quota).Limited()
	if g := s.all[key]; g != nil && g.free == free && (given == nil) == (g.given == nil) && (given == nil || parcel.Allowance(*given) == *g.given) {
		return g
	}
	g := &Gate{key: key, store: s.store, wall: s.wall, log: s.log, free: free, allowance: parcel.Allowance(spec.Quota), left: -1, unused: map[int64]int{}}
	if given != nil {
		a := parcel.Allowance(*given)
		g.given, g.allowance = &a, a
	}
	s.all[key] = g
	return g
}

const (
	// reserveShare of a window's calls, as a divisor, is kept for people.
	reserveShare = 5
	// sliceShare of a window's calls, as a divisor, is leased at once at most.
	sliceShare = 50
	// maxSlice bounds a lease.
	maxSlice = 100
	// leaseLimit bounds the wait for the store.
	leaseLimit = 5 * time.Second
	// longestTurn is the longest that a call waits for its turn.
	longestTurn = 30 * time.Second
)

// Enter implements [carriers.Gate].
func (g *Gate) Enter(ctx context.Context, own carriers.Quota) error {
	class := forPlan
	if carriers.IsAttended(ctx) {
		class = forPeople
	}
	limited := parcel.Allowance(own).Limited() || g.given != nil && !g.free
	g.mu.Lock()
	if limited && g.given == nil {
		// A setting of the account may say more than the spec.
		g.allowance = parcel.Allowance(own)
	}
	g.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.mu.Lock()
		now := g.wall.Now()
		if wait := g.barred.Sub(now); wait > 0 {
			g.mu.Unlock()
			return &parcel.Throttled{RetryAfter: wait}
		}
		if !limited || !g.allowance.Limited() {
			g.mu.Unlock()
			return nil
		}
		if s, ok := g.takeSlot(class, now); ok {
			g.mu.Unlock()
			return g.awaitTurn(ctx, s)
		}
		if wait := g.emptyUntil[class].Sub(now); wait > 0 {
			g.mu.Unlock()
			if !fits(ctx, wait) {
				return spent(wait)
			}
			if err := g.wall.Sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		g.waiting[class]++
		if pending := g.leasing; pending != nil {
			g.mu.Unlock()
			select {
			case <-pending:
			case <-ctx.Done():
			}
			g.mu.Lock()
			g.waiting[class]--
			g.mu.Unlock()
			continue
		}
		g.leasing = make(chan struct{})
		g.mu.Unlock()
		s, ok, err := g.lease(ctx, class)
		if err != nil {
			return err
		}
		if ok {
			return g.awaitTurn(ctx, s)
		}
	}
}

// fits tells whether a wait leaves the context time to act.
func fits(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	if !ok {
		return wait < longestTurn
	}
	return wait < min(longestTurn, clock.Until(clock.Wall(), deadline))
}

// spent words a budget that is used up.
func spent(wait time.Duration) error {
	return fmt.Errorf("%w: %w", carriers.ErrSpent, &parcel.Throttled{RetryAfter: wait})
}

// takeSlot takes a leased call; what has lapsed is put aside to be given back.
// The caller holds mu.
func (g *Gate) takeSlot(class int, now time.Time) (slot, bool) {
	for c := class; c >= forPlan; c-- {
		for len(g.slots[c]) > 0 {
			s := g.slots[c][0]
			g.slots[c] = g.slots[c][1:]
			if now.Before(s.until) {
				return s, true
			}
			g.unused[s.cell]++
		}
	}
	return slot{}, false
}

// awaitTurn waits for a call's turn; a call that is not made is given back.
func (g *Gate) awaitTurn(ctx context.Context, s slot) error {
	wait := s.at.Sub(g.wall.Now())
	var err error
	if wait > 0 {
		if fits(ctx, wait) {
			err = g.wall.Sleep(ctx, wait)
		} else {
			err = spent(wait)
		}
	}
	if err != nil {
		g.mu.Lock()
		g.unused[s.cell]++
		g.mu.Unlock()
	}
	return err
}

// lease asks the store for calls, for all who wait in this process; the first
// of them is the caller's.
func (g *Gate) lease(ctx context.Context, class int) (mine slot, ok bool, err error) {
	g.mu.Lock()
	ask := parcel.BudgetAsk{Now: g.wall.Now(), Allowance: g.allowance, Want: g.waiting[class]}
	if g.allowance.Calls > 0 {
		if class == forPlan {
			ask.Keep = g.allowance.Calls / reserveShare
		}
		if g.allowance.PerSecond <= 0 {
			ask.Want = max(ask.Want, min(g.allowance.Calls/sliceShare, maxSlice))
		}
	}
	returned := g.unused
	g.unused = map[int64]int{}
	for cell, n := range returned {
		ask.Unused = append(ask.Unused, parcel.BudgetCell{Index: cell, Calls: n})
	}
	g.mu.Unlock()

	// Others wait for it too: whoever gives up must not take it from them.
	storeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLimit)
	grant, err := g.store.LeaseBudget(storeCtx, g.key, ask)
	cancel()

	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[class]--
	close(g.leasing)
	g.leasing = nil
	g.leases++
	if err != nil {
		for cell, n := range returned {
			g.unused[cell] += n
		}
		return slot{}, false, fmt.Errorf("budget of %s/%s: %w", g.key.Carrier, g.key.Account, err)
	}
	g.left, g.renews = grant.Left, grant.Renews
	if grant.Calls == 0 {
		if grant.Barred {
			g.barred = grant.Again
		} else {
			g.emptyUntil[class] = grant.Again
		}
		return slot{}, false, nil
	}
	for i := range grant.Calls {
		at := grant.From.Add(time.Duration(i) * grant.Every)
		until := grant.Until
		if grant.Every > 0 {
			if late := at.Add(time.Second); late.Before(until) {
				until = late
			}
		}
		g.slots[class] = append(g.slots[class], slot{at: at, until: until, cell: grant.Cell})
	}
	mine, g.slots[class] = g.slots[class][0], g.slots[class][1:]
	return mine, true, nil
}

// Bar implements [carriers.Gate]. Every replica hears of it: by its next lease,
// or within a beat.
func (g *Gate) Bar(wait time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), leaseLimit)
	defer cancel()
	now := g.wall.Now()
	until, err := g.store.BarBudget(ctx, g.key, now, wait)
	if err != nil {
		g.log.Warn("cannot tell other replicas that the carrier asked to be left alone", "carrier", g.key.Carrier, "account", g.key.Account, "error", err)
		until = now.Add(max(wait, time.Second))
	}
	g.hear(until)
}

// hear closes the door as the store knows it.
func (g *Gate) hear(barredUntil time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if barredUntil.After(g.barred) {
		g.barred = barredUntil
	}
}

// Rest implements [carriers.Gate].
func (g *Gate) Rest(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.resting = until
}

// room is how many calls planned work may make now: what is known to be left
// but for the reserve, and none while the door is closed. It never asks the
// store: a store that has run dry was told so, and says when to come again.
func (g *Gate) room() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.wall.Now()
	if g.barred.After(now) || g.resting.After(now) || g.emptyUntil[forPlan].After(now) && len(g.slots[forPlan]) == 0 {
		return 0
	}
	room := maxSlice
	if g.allowance.Calls > 0 && g.left >= 0 && (g.renews.IsZero() || g.renews.After(now)) {
		room = max(1, min(room, g.left-g.allowance.Calls/reserveShare+len(g.slots[forPlan])))
	}
	if g.allowance.PerSecond > 0 {
		room = min(room, max(1, int(2*g.allowance.PerSecond)))
	}
	return room
}

// Close gives back what was leased and not used.
func (g *Gate) Close(ctx context.Context) error {
	g.mu.Lock()
	for c := range g.slots {
		for _, s := range g.slots[c] {
			g.unused[s.cell]++
		}
		g.slots[c] = nil
	}
	var unused []parcel.BudgetCell
	for cell, n := range g.unused {
		if cell != 0 {
			unused = append(unused, parcel.BudgetCell{Index: cell, Calls: n})
		}
	}
	g.unused = map[int64]int{}
	g.mu.Unlock()
	if len(unused) == 0 {
		return nil
	}
	return g.store.ReturnBudget(ctx, g.key, unused)
}

// standing is what a gate knows of itself.
type standing struct {
	allowance       parcel.Allowance
	barred, resting time.Time
	leases          int64
}

func (g *Gate) standing() standing {
	g.mu.Lock()
	defer g.mu.Unlock()
	return standing{allowance: g.allowance, barred: g.barred, resting: g.resting, leases: g.leases}
}

// BudgetLeft is what is left of a limited account's window.
type BudgetLeft struct {
	Carrier, Account string
	Left             int
}

// Budgets lists the limited accounts with what is left of their windows, as this
// process last heard: without asking the store.
func (g *Ingest) Budgets() []BudgetLeft {
	var out []BudgetLeft
	for k, l := range g.roster.Load().byName {
		gate := l.account.Gate
		if gate == nil {
			continue
		}
		gate.mu.Lock()
		left, allowance := gate.left, gate.allowance
		if !gate.renews.IsZero() && !gate.renews.After(gate.wall.Now()) {
			left = -1 // calls have come back since
		}
		gate.mu.Unlock()
		if allowance.Calls > 0 && left >= 0 {
			out = append(out, BudgetLeft{k.carrier, k.name, left})
		}
	}
	return out
}
