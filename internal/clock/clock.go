// Package clock is the only place that asks the machine what time it is.
//
// There are two kinds of time in the house, and both are a [Clock]. Trade
// time is when parcels move: events, freshness, polls, promises. Wall time
// is when machines wait: deadlines, limits, tokens, heartbeats. In
// production they are the same clock, [Wall]. In the demo trade time comes
// from [Accelerated], so that a journey of sixty days passes in minutes
// while time-outs stay as long as they are. Tests use [Fixed].
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits in it. Durations given to a Clock are
// durations of that clock: an hour asked of an accelerated clock passes in
// less than an hour. Every implementation here is safe for concurrent use.
type Clock interface {
	// Now returns the current instant, in UTC.
	Now() time.Time

	// Sleep waits until d has passed on this clock and returns nil, or
	// returns the context's error as soon as ctx is done. A d of zero or
	// less does not wait, but still reports a context that is done.
	Sleep(ctx context.Context, d time.Duration) error

	// NewTimer starts a timer that fires once, after d. A d of zero or less
	// fires at once.
	NewTimer(d time.Duration) Timer

	// After returns a channel that receives the clock's time once, after d.
	// It cannot be stopped; where the wait may be given up, use Sleep or
	// NewTimer.
	After(d time.Duration) <-chan time.Time
}

// Timer is a single wake-up of a [Clock]. Its methods are safe for
// concurrent use. After Stop or Reset has returned, a value of the earlier
// setting is never received, so the channel needs no draining.
type Timer interface {
	// C returns the channel on which the clock's time is sent, once for
	// each setting. It is never closed.
	C() <-chan time.Time

	// Stop prevents the timer from firing. It reports whether it stopped
	// one that had not fired.
	Stop() bool

	// Reset sets the timer to fire after d from now, and reports whether it
	// had been running.
	Reset(d time.Duration) bool
}

// Since returns how much of c's time has passed since t.
func Since(c Clock, t time.Time) time.Duration { return c.Now().Sub(t) }

// Until returns how much of c's time is left until t; it is negative once t
// has passed.
func Until(c Clock, t time.Time) time.Duration { return t.Sub(c.Now()) }

// Wall returns the machine's clock. Instants keep Go's monotonic reading, so
// differences of two of them do not jump when the machine's time is set.
func Wall() Clock { return wall{} }

type wall struct{}

func (wall) Now() time.Time { return time.Now().UTC() }

func (wall) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

func (wall) NewTimer(d time.Duration) Timer { return wallTimer{time.NewTimer(d)} }

func (wall) After(d time.Duration) <-chan time.Time { return time.After(d) }

type wallTimer struct{ t *time.Timer }

func (t wallTimer) C() <-chan time.Time        { return t.t.C }
func (t wallTimer) Stop() bool                 { return t.t.Stop() }
func (t wallTimer) Reset(d time.Duration) bool { return t.t.Reset(d) }

// sleep waits for d of the machine's time or for ctx, whichever is first.
func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
