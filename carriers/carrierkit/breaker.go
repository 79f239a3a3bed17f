package carrierkit

import (
	"sync"
	"time"
)

const (
	// breakerFailures in a row put a carrier to rest.
	breakerFailures = 5
	// breakerRest is how long, before one call may try it.
	breakerRest = 30 * time.Second
)

// verdict is what a call tells about the other side's health.
type verdict int

const (
	neither verdict = iota // the call was given up, or refused for reasons of ours
	worked                 // an answer that makes sense, a refusal included
	failed                 // no answer, or rubbish
)

// breaker stops calls to a carrier that keeps failing, so that it gets rest
// and callers get their answer at once: closed until breakerFailures in a row,
// then open for breakerRest, then half open for one call that decides. The
// zero value is closed; it is safe for concurrent use.
type breaker struct {
	mu       sync.Mutex
	failures int
	openedAt time.Time
	open     bool
	trial    bool // the one call of the half-open state is under way
}

// permit is leave to make one call; every permit must be given back.
type permit struct {
	b     *breaker
	trial bool
}

func (b *breaker) enter(now time.Time) (permit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return permit{b: b}, true
	}
	if b.trial || now.Sub(b.openedAt) < breakerRest {
		return permit{}, false
	}
	b.trial = true
	return permit{b: b, trial: true}, true
}

// leave reports how the call went; opened tells whether that put the carrier
// to rest, closed whether it ended its rest.
func (p permit) leave(v verdict, now time.Time) (opened, closed bool) {
	b := p.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.trial {
		b.trial = false
	} else if b.open {
		return false, false // began before the door closed: the trial decides, not this
	}
	switch v {
	case worked:
		closed = b.open
		b.open, b.failures = false, 0
	case failed:
		b.failures++
		if p.trial || b.failures >= breakerFailures {
			// A trial that failed begins the rest anew.
			opened = true
			b.open, b.openedAt = true, now
		}
	}
	return opened, closed
}
