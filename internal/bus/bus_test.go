package bus_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/milepost-gateway/milepost/internal/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rung(bell *bus.Bell) bool {
	select {
	case <-bell.C():
		return true
	default:
		return false
	}
}

func TestRing(t *testing.T) {
	tests := []struct {
		name     string
		rings    []int64
		want     bool
		position int64
	}{
		{"nothing committed", nil, false, 0},
		{"one commit", []int64{7}, true, 7},
		{"many commits are one ring", []int64{7, 8, 9}, true, 9},
		{"a lower position can commit last", []int64{9, 8}, true, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bus.New()
			first, second := b.Subscribe(), b.Subscribe()
			defer first.Close()
			defer second.Close()
			for _, p := range tt.rings {
				b.Ring(p)
			}
			for _, bell := range []*bus.Bell{first, second} {
				if got := rung(bell); got != tt.want {
					t.Errorf("rung = %v, want %v", got, tt.want)
				}
				if rung(bell) {
					t.Error("rung twice")
				}
				if got := bell.Position(); got != tt.position {
					t.Errorf("Position = %d, want %d", got, tt.position)
				}
			}
		})
	}
}

func TestRingAfterALowerPositionWakesAgain(t *testing.T) {
	b := bus.New()
	bell := b.Subscribe()
	defer bell.Close()
	b.Ring(9)
	rung(bell)
	b.Ring(8)
	if !rung(bell) {
		t.Error("the commit of position 8, after 9 was read, woke nobody")
	}
}

func TestCloseEndsTheSubscription(t *testing.T) {
	b := bus.New()
	bell, other := b.Subscribe(), b.Subscribe()
	b.Ring(1)
	bell.Close()
	bell.Close()
	b.Ring(2)
	if rung(bell) {
		t.Error("a closed bell rang")
	}
	if !rung(other) {
		t.Error("closing one bell silenced another")
	}
	if got := b.Bells(); got != 1 {
		t.Errorf("Bells = %d, want 1", got)
	}
	other.Close()
	if got := b.Bells(); got != 0 {
		t.Errorf("Bells = %d after all were closed, want 0", got)
	}
}

// TestNoLostWakeUp commits from many writers while readers come, read as the
// package comment tells, and wait. Were one wake-up lost, a reader would wait
// for ever and the bubble would end as a deadlock.
func TestNoLostWakeUp(t *testing.T) {
	const writers, each, readers = 8, 500, 16
	synctest.Test(t, func(t *testing.T) {
		b := bus.New()
		var log atomic.Int64 // the log, reduced to its length
		var all sync.WaitGroup
		for range readers {
			all.Go(func() {
				bell := b.Subscribe()
				defer bell.Close()
				for log.Load() < writers*each {
					<-bell.C()
				}
			})
		}
		for range writers {
			all.Go(func() {
				for range each {
					b.Ring(log.Add(1))
				}
			})
		}
		all.Wait()
		if got := b.Position(); got != writers*each {
			t.Errorf("Position = %d, want %d", got, writers*each)
		}
		if got := b.Bells(); got != 0 {
			t.Errorf("Bells = %d, want 0", got)
		}
	})
}

// TestRingNeverWaits rings while a reader holds its ring unanswered and
// others come and go.
func TestRingNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New()
		idle := b.Subscribe() // never read
		defer idle.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var visitors sync.WaitGroup
		for range 4 {
			visitors.Go(func() {
				for ctx.Err() == nil {
					bell := b.Subscribe()
					rung(bell)
					bell.Close()
				}
			})
		}
		for p := range int64(5000) {
			b.Ring(p)
		}
		cancel()
		visitors.Wait()
		if got := b.Bells(); got != 1 {
			t.Errorf("Bells = %d, want 1", got)
		}
	})
}

func BenchmarkRing(b *testing.B) {
	doorbell := bus.New()
	for range 1000 {
		defer doorbell.Subscribe().Close()
	}
	var p int64
	for b.Loop() {
		p++
		doorbell.Ring(p)
	}
}
