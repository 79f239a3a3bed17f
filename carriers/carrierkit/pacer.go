package carrierkit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/milepost-gateway/milepost/carriers"
)

const (
	// maxPaceWait bounds the queue of those who wait for their turn: who would
	// wait longer is told to come again instead.
	maxPaceWait = 30 * time.Second
	// maxBar is the longest that a carrier can close its door by one header.
	maxBar = 24 * time.Hour
)

// pacer holds calls to a quota: a rate, a budget in a sliding window, and the
// carrier's own "not before". It is safe for concurrent use.
type pacer struct {
	mu     sync.Mutex
	rate   *rate.Limiter // nil: no rate
	budget []time.Time   // ring of the last calls; empty: no budget
	next   int
	window time.Duration
	closed time.Time // the carrier's own wait
}

func newPacer(q carriers.Quota) *pacer {
	p := &pacer{}
	if q.PerSecond > 0 {
		p.rate = rate.NewLimiter(rate.Limit(q.PerSecond), max(q.Burst, 1))
	}
	if q.Calls > 0 && q.Window > 0 {
		p.budget, p.window = make([]time.Time, q.Calls), q.Window
	}
	return p
}

// reserve takes a turn. With ok, the call is counted and may go after wait;
// without, nothing is counted and wait tells when to come again.
func (p *pacer) reserve(now time.Time, longest time.Duration) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.closed.Sub(now); d > 0 {
		return d, false
	}
	if len(p.budget) > 0 {
		// The slot to be overwritten is the oldest call: a token bucket of the
		// same size would let twice the budget through in one window.
		if oldest := p.budget[p.next]; !oldest.IsZero() {
			if d := oldest.Add(p.window).Sub(now); d > 0 {
				return d, false
			}
		}
	}
	if p.rate != nil {
		r := p.rate.ReserveN(now, 1)
		if wait = r.DelayFrom(now); wait > longest {
			r.CancelAt(now)
			return wait, false
		}
	}
	if len(p.budget) > 0 {
		p.budget[p.next] = now.Add(wait)
		p.next = (p.next + 1) % len(p.budget)
	}
	return wait, true
}

// bar closes the door for d.
func (p *pacer) bar(now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(d); d > 0 && until.After(p.closed) {
		p.closed = until
	}
}

// barred is how long the door stays closed.
func (p *pacer) barred(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.closed.Sub(now), 0)
}
