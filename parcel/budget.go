package parcel

import (
	"slices"
	"time"
)

// Allowance is how much a carrier lets us ask through one account. Zero values
// are unlimited.
type Allowance struct {
	// PerSecond and Burst pace calls.
	PerSecond float64
	Burst     int
	// Calls in any Window is the budget.
	Calls  int
	Window time.Duration
}

// Limited tells whether there is a limit at all.
func (a Allowance) Limited() bool { return a.PerSecond > 0 || a.budgeted() }

func (a Allowance) budgeted() bool { return a.Calls > 0 && a.Window > 0 }

// BudgetKey names a carrier account.
type BudgetKey struct{ Carrier, Account string }

// CallBudget is what all replicas together have taken of an account's allowance.
// Its rules are exact: whatever is asked at whatever moments by however many,
// the calls leased in any span as long as the window never exceed the
// allowance. The zero value is a budget of which nothing was taken.
type CallBudget struct {
	// Spent counts the calls leased, by cell of the window, oldest first. The
	// window is cut into cells so that the memory is bounded: a cell leaves the
	// window as a whole once its last instant has, which costs at most the
	// share of one cell.
	Spent []BudgetCell
	// Cell is the width of the cells that Spent counts; another width, after
	// the allowance has changed, is taken over conservatively.
	Cell time.Duration
	// TurnAt is when the next call is due by the rate (generic cell rate
	// algorithm: the theoretical arrival time).
	TurnAt time.Time
	// BarredUntil is how long the carrier asked to be left alone. Strikes are
	// the times in a row that it did so without naming a time.
	BarredUntil time.Time
	Strikes     int
	// At is the latest moment that anything was taken, so that a replica whose
	// clock is behind does not reach into the past.
	At time.Time
}

// BudgetCell is the calls leased in a part of the window.
type BudgetCell struct {
	Index int64 // the cell's beginning, in cells since 1970
	Calls int
}

// BudgetAsk asks for leave to make calls.
type BudgetAsk struct {
	Now time.Time
	Allowance
	// Want is how many calls, at least 1; fewer may be granted.
	Want int
	// Keep is how many calls of the window must be left after it.
	Keep int
	// Unused gives back calls of earlier grants that were not made.
	Unused []BudgetCell
}

// BudgetGrant is leave to make calls. With none, Again tells when to ask again.
type BudgetGrant struct {
	// Calls may be made: the first at From, each further one Every later, and
	// all before Until, when they lapse. What was not made goes back as Unused
	// under Cell.
	Calls       int
	From, Until time.Time
	Every       time.Duration
	Cell        int64
	// Again is when to ask again where nothing was granted; zero otherwise.
	Again time.Time
	// Barred tells that the carrier's own word stands against it.
	Barred bool
	// Left is what is left of the window after it, -1 where there is no budget;
	// Renews when the next calls come back to it, zero if none are out.
	Left   int
	Renews time.Time
}

const (
	// budgetCells cut a window: the budget is exact to one part in so many.
	budgetCells = 60
	// narrowestCell keeps short windows from being cut finer than a lease takes.
	narrowestCell = 250 * time.Millisecond
	// slotLife is how late a paced call may be made.
	slotLife = time.Second
	// firstBar is how long a carrier is left alone that says "too many" and no
	// more, doubling each time up to longestBar; it is forgotten after calm.
	firstBar   = 5 * time.Second
	longestBar = 10 * time.Minute
	// MaxBar is the longest that one word of a carrier closes its door.
	MaxBar = 24 * time.Hour
)

// cell is the width of an allowance's cells.
func (a Allowance) cell() time.Duration {
	n := min(budgetCells, max(4, a.Window/narrowestCell))
	return max((a.Window / n).Truncate(time.Microsecond), time.Microsecond)
}

// Lease takes calls out of the budget. It is pure but for b.
func (b *CallBudget) Lease(ask BudgetAsk) BudgetGrant {
	now := ask.Now
	if now.Before(b.At) {
		now = b.At
	}
	g := BudgetGrant{Left: -1}
	b.GiveBack(ask.Unused)
	if ask.budgeted() {
		b.recut(ask.cell())
		b.forget(now, ask.Allowance)
		g.Left, g.Renews = b.left(ask.Allowance)
	}
	if b.BarredUntil.After(now) {
		g.Again, g.Barred = b.BarredUntil, true
		return g
	}
	b.At = now
	n := max(1, ask.Want)
	if ask.budgeted() {
		if n = min(n, g.Left-ask.Keep); n < 1 {
			g.Again = g.Renews
			if g.Again.IsZero() {
				// More is to be kept than there is.
				g.Again = now.Add(ask.Window)
			}
			return g
		}
	}
	g.From, g.Until = now, now.Add(slotLife)
	if ask.PerSecond > 0 {
		g.Every = time.Duration(float64(time.Second) / ask.PerSecond)
		base := b.TurnAt
		if base.Before(now) {
			base = now
		}
		// A rate lease is short, so that who asks next is not held up by turns
		// that nobody takes.
		n = min(n, max(1, int(ask.PerSecond)))
		g.From = base.Add(-time.Duration(max(ask.Burst, 1)-1) * g.Every)
		b.TurnAt = base.Add(time.Duration(n) * g.Every)
		g.Until = b.TurnAt.Add(slotLife)
	}
	if ask.budgeted() {
		width := b.Cell
		if g.From.After(now) && !g.From.Before(cellEnd(now, width)) {
			// Its turn comes in a later cell: it is counted there.
			now = g.From
		}
		g.Cell = now.UnixMicro() / width.Microseconds()
		end := cellEnd(now, width)
		if ask.PerSecond <= 0 || end.Before(g.Until) {
			g.Until = end
		}
		if g.Every > 0 {
			// Only the turns that come within the cell.
			fit := 1
			if room := g.Until.Sub(g.From); room > 0 {
				fit = 1 + int((room-1)/g.Every)
			}
			if over := n - fit; over > 0 {
				n -= over
				b.TurnAt = b.TurnAt.Add(-time.Duration(over) * g.Every)
			}
		}
		b.take(g.Cell, n)
		g.Left -= n
		if g.Renews.IsZero() {
			g.Renews = time.UnixMicro((g.Cell + 1) * width.Microseconds()).Add(ask.Window).UTC()
		}
	}
	if b.Strikes > 0 && now.Sub(b.BarredUntil) > longestBar {
		b.Strikes = 0
	}
	g.Calls = n
	return g
}

func cellEnd(at time.Time, width time.Duration) time.Time {
	w := width.Microseconds()
	return time.UnixMicro((at.UnixMicro()/w + 1) * w).UTC()
}

func (b *CallBudget) take(cell int64, n int) {
	i, found := slices.BinarySearchFunc(b.Spent, cell, func(c BudgetCell, at int64) int { return int(c.Index - at) })
	if !found {
		b.Spent = slices.Insert(b.Spent, i, BudgetCell{Index: cell})
	}
	b.Spent[i].Calls += n
}

// GiveBack takes calls that were not made out of the cells they were counted in.
func (b *CallBudget) GiveBack(unused []BudgetCell) {
	for _, u := range unused {
		for i := range b.Spent {
			if b.Spent[i].Index == u.Index {
				b.Spent[i].Calls = max(0, b.Spent[i].Calls-u.Calls)
			}
		}
	}
}

// recut counts what was spent in cells of another width: all of an old cell
// counts in the new cell that holds its end.
func (b *CallBudget) recut(width time.Duration) {
	if b.Cell == width || b.Cell <= 0 {
		b.Cell = width
		return
	}
	old, was := b.Spent, b.Cell
	b.Spent, b.Cell = nil, width
	for _, c := range old {
		b.take(((c.Index+1)*was.Microseconds()-1)/width.Microseconds(), c.Calls)
	}
}

// forget drops the cells that no window which ends now or later touches.
func (b *CallBudget) forget(now time.Time, a Allowance) {
	oldest := now.Add(-a.Window).UnixMicro()
	b.Spent = slices.DeleteFunc(b.Spent, func(c BudgetCell) bool {
		return c.Calls <= 0 || (c.Index+1)*b.Cell.Microseconds() <= oldest
	})
}

func (b *CallBudget) left(a Allowance) (left int, renews time.Time) {
	left = a.Calls
	for _, c := range b.Spent {
		left -= c.Calls
	}
	if len(b.Spent) > 0 {
		renews = time.UnixMicro((b.Spent[0].Index + 1) * b.Cell.Microseconds()).Add(a.Window).UTC()
	}
	return max(0, left), renews
}

// Standing tells how a budget stands at a moment, without taking anything.
func (b CallBudget) Standing(now time.Time, a Allowance) (left int, renews time.Time) {
	if !a.budgeted() {
		return -1, time.Time{}
	}
	b.Spent = slices.Clone(b.Spent)
	b.recut(a.cell())
	b.forget(now, a)
	return b.left(a)
}

// Bar closes the door for wait, or for a time of our own choosing where the
// carrier named none.
func (b *CallBudget) Bar(now time.Time, wait time.Duration) {
	if wait <= 0 {
		if b.BarredUntil.After(now) {
			return // calls that were under way say the same
		}
		wait = min(firstBar<<min(b.Strikes, 10), longestBar)
		b.Strikes++
	}
	if until := now.Add(min(wait, MaxBar)); until.After(b.BarredUntil) {
		b.BarredUntil = until.UTC()
	}
}
