package clock

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// MaxSpeed is the greatest speed [Accelerated] takes. At this speed a day
// passes in 86 milliseconds, which is about as fine as timers wake.
const MaxSpeed = 1_000_000

// Scaled is a clock that runs a fixed number of times as fast as the wall
// clock. Make one with [Accelerated]; the zero value is not usable.
type Scaled struct {
	start  time.Time // what this clock showed at origin
	origin time.Time // wall instant, with its monotonic reading where it has one
	speed  float64
}

var _ Clock = (*Scaled)(nil)

// Accelerated returns a clock that showed start when the wall clock showed
// origin, and runs speed times as fast as the wall clock: speed 17280 makes
// sixty days pass in five minutes. A zero origin means now. Timers wake to
// about a millisecond of wall time, so of the clock's own time they may be
// late by speed milliseconds; they are never early.
//
// It panics unless speed is above 0 and at most [MaxSpeed]: a speed that a
// user gave is checked where it is read.
func Accelerated(start, origin time.Time, speed float64) *Scaled {
	if !(speed > 0 && speed <= MaxSpeed) { // written so that NaN fails too
		panic(fmt.Sprintf("clock: speed %v is not above 0 and at most %d", speed, MaxSpeed))
	}
	if origin.IsZero() {
		origin = wall{}.Now()
	}
	// Two instants of this clock are compared by what they show, so start
	// must not bring a monotonic reading of the wall clock with it.
	return &Scaled{start: start.Round(0).UTC(), origin: origin, speed: speed}
}

// Speed returns how many seconds of this clock pass in one of the wall.
func (c *Scaled) Speed() float64 { return c.speed }

// Now returns the instant this clock shows, in UTC. It never goes back.
func (c *Scaled) Now() time.Time {
	return c.start.Add(saturate(float64(wall{}.Now().Sub(c.origin)) * c.speed))
}

// Wall returns how long the wall clock takes for d of this clock, rounded up
// to the nanosecond.
func (c *Scaled) Wall(d time.Duration) time.Duration {
	return saturate(math.Ceil(float64(d) / c.speed))
}

// Sleep implements [Clock].
func (c *Scaled) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	// The rounding of long waits can wake us a hair early: ask again rather
	// than let a caller see a time before the one it waited for.
	for until := c.Now().Add(d); d > 0; d = until.Sub(c.Now()) {
		if err := sleep(ctx, c.Wall(d)); err != nil {
			return err
		}
	}
	return nil
}

// NewTimer implements [Clock].
func (c *Scaled) NewTimer(d time.Duration) Timer {
	t := &scaledTimer{clock: c, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// After implements [Clock].
func (c *Scaled) After(d time.Duration) <-chan time.Time { return c.NewTimer(d).C() }

// saturate turns nanoseconds into a Duration, holding at the ends of its
// range (some 292 years) instead of wrapping round.
func saturate(ns float64) time.Duration {
	switch {
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns <= math.MinInt64:
		return math.MinInt64
	}
	return time.Duration(ns)
}

type scaledTimer struct {
	clock *Scaled
	c     chan time.Time

	mu      sync.Mutex
	running *time.Timer // nil when stopped or fired
	until   time.Time
}

func (t *scaledTimer) C() <-chan time.Time { return t.c }

func (t *scaledTimer) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stop()
}

func (t *scaledTimer) Reset(d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.stop()
	t.until = t.clock.Now().Add(max(d, 0))
	t.start(max(d, 0))
	return was
}

func (t *scaledTimer) stop() bool {
	select {
	case <-t.c: // fired, not received: it must not be received any more
	default:
	}
	if t.running == nil {
		return false
	}
	t.running.Stop()
	t.running = nil
	return true
}

func (t *scaledTimer) start(d time.Duration) {
	var mine *time.Timer
	mine = time.AfterFunc(t.clock.Wall(d), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.running != mine {
			return // stopped or reset while this call waited for the lock
		}
		now := t.clock.Now()
		if left := t.until.Sub(now); left > 0 {
			t.start(left)
			return
		}
		t.running = nil
		t.c <- now // never blocks: one value for each setting, drained by stop
	})
	t.running = mine
}
