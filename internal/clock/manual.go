package clock

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Manual is a clock that stands still until it is told to move. It is meant
// for tests and for replaying a past; it is safe for concurrent use. Make
// one with [Fixed]; the zero value stands at the zero time and works too.
type Manual struct {
	mu      sync.Mutex
	now     time.Time
	timers  []*manualTimer // running, in no order
	changed chan struct{}  // closed when a timer starts; nil until someone waits
}

var _ Clock = (*Manual)(nil)

// Fixed returns a clock that stands at t.
func Fixed(t time.Time) *Manual { return &Manual{now: t.Round(0).UTC()} }

// Now returns the instant at which the clock stands, in UTC.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock forward by d, firing what falls due in the order
// in which it is due; each timer receives the instant for which it was set.
// It does not wait for anyone to act on that. A negative d panics: this
// clock, like the others, never goes back.
func (m *Manual) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: Advance by a negative duration")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moveTo(m.now.Add(d))
}

// Set moves the clock forward to t, as Advance does. It panics when t is
// before Now.
func (m *Manual) Set(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Before(m.now) {
		panic("clock: Set to an earlier instant")
	}
	m.moveTo(t.Round(0).UTC())
}

func (m *Manual) moveTo(to time.Time) {
	var due []*manualTimer
	m.timers = slices.DeleteFunc(m.timers, func(t *manualTimer) bool {
		if t.due.After(to) {
			return false
		}
		due = append(due, t)
		return true
	})
	slices.SortStableFunc(due, func(a, b *manualTimer) int { return a.due.Compare(b.due) })
	m.now = to
	for _, t := range due {
		t.c <- t.due // never blocks: one value for each setting, drained by stop
	}
}

// Waiting returns how many timers and sleepers wait for the clock to move.
func (m *Manual) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.timers)
}

// AwaitWaiting returns nil once at least n timers and sleepers wait for the
// clock, or the context's error. A test calls it before Advance, to be sure
// that the goroutine it watches has gone to sleep.
func (m *Manual) AwaitWaiting(ctx context.Context, n int) error {
	for {
		m.mu.Lock()
		if len(m.timers) >= n {
			m.mu.Unlock()
			return nil
		}
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sleep implements [Clock]: it returns when the clock was moved far enough.
func (m *Manual) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := m.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NewTimer implements [Clock].
func (m *Manual) NewTimer(d time.Duration) Timer {
	t := &manualTimer{clock: m, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// After implements [Clock].
func (m *Manual) After(d time.Duration) <-chan time.Time { return m.NewTimer(d).C() }

type manualTimer struct {
	clock *Manual
	c     chan time.Time
	due   time.Time // guarded by clock.mu
}

func (t *manualTimer) C() <-chan time.Time { return t.c }

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *manualTimer) stop() bool {
	select {
	case <-t.c: // fired, not received: it must not be received any more
	default:
	}
	i := slices.Index(t.clock.timers, t)
	if i < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	return true
}

func (t *manualTimer) Reset(d time.Duration) bool {
	m := t.clock
	m.mu.Lock()
	defer m.mu.Unlock()
	was := t.stop()
	if d <= 0 {
		t.c <- m.now
		return was
	}
	t.due = m.now.Add(d)
	m.timers = append(m.timers, t)
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
	return was
}
