package clock_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
)

var start = time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)

// each runs a test against every clock that moves by itself. The bubble's
// fake time stands for the machine's, so nothing really waits.
func each(t *testing.T, test func(t *testing.T, c clock.Clock)) {
	clocks := []struct {
		name string
		make func() clock.Clock
	}{
		{"wall", clock.Wall},
		{"accelerated", func() clock.Clock { return clock.Accelerated(start, time.Time{}, 17280) }},
		{"slowed", func() clock.Clock { return clock.Accelerated(start, time.Time{}, 0.3) }},
	}
	for _, tt := range clocks {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, tt.make()) })
		})
	}
}

func TestSleepIsNeverEarly(t *testing.T) {
	each(t, func(t *testing.T, c clock.Clock) {
		for _, d := range []time.Duration{1, 333, time.Millisecond, time.Hour, 45*24*time.Hour + 7} {
			before := c.Now()
			if err := c.Sleep(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if got := c.Now().Sub(before); got < d || got > d+20*time.Microsecond {
				t.Errorf("Sleep(%v) took %v", d, got)
			}
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, c clock.Clock) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		if err := c.Sleep(ctx, 1000*time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("Sleep = %v, want context.Canceled", err)
		}
		if err := c.Sleep(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("Sleep(0) on a context that is done = %v, want context.Canceled", err)
		}
		if err := c.Sleep(t.Context(), -time.Hour); err != nil {
			t.Errorf("Sleep of a past = %v, want nil", err)
		}
	})
}

func TestTimer(t *testing.T) {
	each(t, func(t *testing.T, c clock.Clock) {
		due := c.Now().Add(6 * time.Hour)
		timer := c.NewTimer(6 * time.Hour)
		if got := <-timer.C(); got.Before(due) || got.After(due.Add(time.Second)) {
			t.Errorf("fired with %v, want %v", got, due)
		}
		if timer.Stop() {
			t.Error("Stop after firing = true")
		}

		// A value that nobody received must not be received after Stop or Reset.
		timer.Reset(time.Minute)
		if err := c.Sleep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		due = c.Now().Add(2 * time.Hour)
		timer.Reset(2 * time.Hour)
		if got := <-timer.C(); got.Before(due) {
			t.Errorf("received a value of %v from before Reset; new setting falls due at %v", got, due)
		}

		if timer.Reset(time.Hour) {
			t.Error("Reset of one that had fired = true")
		}
		if !timer.Reset(time.Hour) {
			t.Error("Reset of a running one = false")
		}
		if !timer.Stop() {
			t.Error("Stop of a running one = false")
		}
		if err := c.Sleep(t.Context(), 3*time.Hour); err != nil {
			t.Fatal(err)
		}
		select {
		case v := <-timer.C():
			t.Errorf("stopped timer fired with %v", v)
		default:
		}

		<-c.NewTimer(-time.Hour).C() // a past fires at once
		<-c.After(time.Nanosecond)
	})
}

func TestAcceleratedShowsStartAtOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := clock.Wall().Now()
		time.Sleep(time.Minute) // fake time of the bubble
		c := clock.Accelerated(start, origin, 1440)
		if got, want := c.Now(), start.Add(24*time.Hour); !got.Equal(want) {
			t.Errorf("a minute after origin at speed 1440: %v, want %v", got, want)
		}
		if got := c.Now().Location(); got != time.UTC {
			t.Errorf("location %v, want UTC", got)
		}
		if got, want := c.Wall(24*time.Hour), time.Minute; got != want {
			t.Errorf("Wall(24h) = %v, want %v", got, want)
		}
		before := clock.Wall().Now()
		if err := c.Sleep(t.Context(), 60*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := clock.Since(clock.Wall(), before); got.Round(time.Millisecond) != time.Hour {
			t.Errorf("sixty days took %v of wall time, want 1h", got)
		}
		if got := clock.Until(c, start); got > -60*24*time.Hour {
			t.Errorf("Until(start) = %v, want at least sixty days past", got)
		}
	})
}

func TestAcceleratedHoldsAtTheEndOfItsRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.Accelerated(start, time.Time{}, clock.MaxSpeed)
		time.Sleep(24 * time.Hour) // a million days do not fit a Duration
		if got, want := c.Now(), start.Add(math.MaxInt64); !got.Equal(want) {
			t.Errorf("Now = %v, want %v", got, want)
		}
	})
}

func TestAcceleratedRefusesSpeeds(t *testing.T) {
	for _, speed := range []float64{0, -1, math.NaN(), math.Inf(1), clock.MaxSpeed + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("speed %v was taken", speed)
				}
			}()
			clock.Accelerated(start, time.Time{}, speed)
		}()
	}
}

func TestManualFiresInOrder(t *testing.T) {
	c := clock.Fixed(start)
	late, early := c.NewTimer(3*time.Hour), c.NewTimer(time.Hour)
	later := c.After(4 * time.Hour)
	if got := c.Waiting(); got != 3 {
		t.Fatalf("Waiting = %d, want 3", got)
	}
	c.Advance(3 * time.Hour)
	if got, want := <-early.C(), start.Add(time.Hour); !got.Equal(want) {
		t.Errorf("early fired with %v, want %v", got, want)
	}
	if got, want := <-late.C(), start.Add(3*time.Hour); !got.Equal(want) {
		t.Errorf("late fired with %v, want %v", got, want)
	}
	select {
	case v := <-later:
		t.Errorf("a timer that is not due fired with %v", v)
	default:
	}
	c.Set(start.Add(5 * time.Hour))
	<-later
	if got, want := c.Now(), start.Add(5*time.Hour); !got.Equal(want) {
		t.Errorf("Now = %v, want %v", got, want)
	}
}

func TestManualTimerStopAndReset(t *testing.T) {
	c := clock.Fixed(start)
	timer := c.NewTimer(time.Hour)
	if !timer.Reset(2 * time.Hour) {
		t.Error("Reset of a running one = false")
	}
	c.Advance(time.Hour)
	if !timer.Stop() {
		t.Error("Stop before the new setting = false")
	}
	c.Advance(24 * time.Hour)
	if timer.Reset(time.Minute) {
		t.Error("Reset of a stopped one = true")
	}
	c.Advance(time.Minute) // fires, not received
	timer.Reset(0)         // the value must now be of this setting
	if got := <-timer.C(); !got.Equal(c.Now()) {
		t.Errorf("fired with %v, want %v", got, c.Now())
	}
	if c.Waiting() != 0 {
		t.Errorf("Waiting = %d, want 0", c.Waiting())
	}
}

func TestManualSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.Fixed(start)
		var done sync.WaitGroup
		for range 3 {
			done.Go(func() {
				if err := c.Sleep(t.Context(), time.Hour); err != nil {
					t.Error(err)
				}
			})
		}
		if err := c.AwaitWaiting(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Hour)
		done.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Sleep = %v, want context.DeadlineExceeded", err)
		}
		if c.Waiting() != 0 {
			t.Errorf("Waiting = %d after the sleeper gave up, want 0", c.Waiting())
		}
		if err := c.AwaitWaiting(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("AwaitWaiting = %v, want context.DeadlineExceeded", err)
		}
	})
}

func TestManualNeverGoesBack(t *testing.T) {
	for name, move := range map[string]func(*clock.Manual){
		"advance": func(c *clock.Manual) { c.Advance(-1) },
		"set":     func(c *clock.Manual) { c.Set(start.Add(-1)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			move(clock.Fixed(start))
		})
	}
}

// TestConcurrentUse gives the race detector something to look at.
func TestConcurrentUse(t *testing.T) {
	for name, c := range map[string]clock.Clock{
		"accelerated": clock.Accelerated(start, time.Time{}, clock.MaxSpeed),
		"manual":      clock.Fixed(start),
	} {
		t.Run(name, func(t *testing.T) {
			timer := c.NewTimer(time.Second)
			var done sync.WaitGroup
			for range 4 {
				done.Go(func() {
					for i := range 200 {
						timer.Reset(time.Duration(i) * time.Millisecond)
						c.Now()
						if m, ok := c.(*clock.Manual); ok {
							m.Advance(time.Millisecond)
						}
						select {
						case <-timer.C():
						default:
						}
						timer.Stop()
					}
				})
			}
			done.Wait()
			select {
			case v := <-timer.C():
				t.Errorf("received %v after Stop", v)
			default:
			}
		})
	}
}

func BenchmarkAcceleratedNow(b *testing.B) {
	c := clock.Accelerated(start, time.Time{}, 17280)
	for b.Loop() {
		c.Now()
	}
}
