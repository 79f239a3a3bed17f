// Package bus is the doorbell: it tells readers in this process that
// something was committed to the event log, and nothing about what. The log
// is the truth and each reader knows how far it has read, so a ring may be
// repeated or merged with another, but never lost.
//
// A reader subscribes first, then reads the log to its end, and only then
// waits; what is committed in between rings the bell it already holds:
//
//	bell := doorbell.Subscribe()
//	defer bell.Close()
//	for {
//		// read from the cursor until there is nothing more
//		select {
//		case <-bell.C():
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
package bus

import (
	"sync"
	"sync/atomic"
)

// Ringer is told of every commit, after it. [Bus] is the ringer of one
// process; one that reaches other replicas (PostgreSQL NOTIFY) has the same
// face, and its listener on the other side rings that process's Bus.
type Ringer interface {
	// Ring says that the log may hold something new, up to position. It
	// never blocks.
	Ring(position int64)
}

// Bus fans one process's rings out to its readers. It is safe for concurrent
// use. Make one with [New].
type Bus struct {
	highest atomic.Int64

	mu    sync.RWMutex
	bells map[*Bell]struct{}
}

var _ Ringer = (*Bus)(nil)

// New returns a bus without readers.
func New() *Bus { return &Bus{bells: make(map[*Bell]struct{})} }

// Ring wakes every reader. It never blocks: a reader that has not yet
// answered the last ring is not rung a second time. It also rings for a
// position lower than one rung before, since of two writers the one with the
// lower position can commit last.
func (b *Bus) Ring(position int64) {
	for {
		was := b.highest.Load()
		if position <= was || b.highest.CompareAndSwap(was, position) {
			break
		}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for bell := range b.bells {
		select {
		case bell.c <- struct{}{}:
		default:
		}
	}
}

// Position returns the highest position rung so far, 0 before the first. It
// is a hint for gauges and for skipping an idle read: the log may hold more.
func (b *Bus) Position() int64 { return b.highest.Load() }

// Bells returns how many readers are subscribed.
func (b *Bus) Bells() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.bells)
}

// Subscribe returns a bell that rings for every commit from now on. Its owner
// must close it.
func (b *Bus) Subscribe() *Bell {
	bell := &Bell{bus: b, c: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bells[bell] = struct{}{}
	return bell
}

// Bell is one reader's end of a [Bus]. It is safe for concurrent use, but a
// ring wakes only one of those who wait on the same bell.
type Bell struct {
	bus *Bus
	c   chan struct{}
}

// C returns the channel that receives after one or more rings. It holds one
// value at most and is never closed, so a reader also waits for its context.
func (b *Bell) C() <-chan struct{} { return b.c }

// Position returns the highest position rung on the bus, as [Bus.Position].
func (b *Bell) Position() int64 { return b.bus.Position() }

// Close ends the subscription; no ring arrives after it returns. Closing
// again does nothing.
func (b *Bell) Close() {
	b.bus.mu.Lock()
	defer b.bus.mu.Unlock()
	delete(b.bus.bells, b)
	select {
	case <-b.c: // a ring from before would wake a reader that has left
	default:
	}
}
