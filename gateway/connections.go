package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
)

// errGoAway ends what runs on a connection that is told to go.
var errGoAway = errors.New("gateway: going down")

// connection is a WebSocket or an event stream: it stays open, so it is kept
// alive while it is silent, and told when the gateway goes down.
type connection interface {
	// beat is called now and then, by one goroutine at a time, and may write.
	beat(now time.Time)
	// goAway tells the peer to leave. It does not wait for it.
	goAway()
}

// connections are those that are open. One goroutine looks after all of them,
// as long as there are any. It is safe for concurrent use.
type connections struct {
	wall  clock.Clock
	every time.Duration // how often each is looked at
	subs  atomic.Int64  // subscriptions under way

	mu      sync.Mutex
	all     map[connection]*atomic.Bool // whether it is being looked at
	closing bool
	stop    context.CancelFunc // of the goroutine; nil while there is none
}

// enter adds a connection; it reports false if there are too many, or if the
// gateway is going down.
func (o *connections) enter(c connection, most int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing || len(o.all) >= most {
		return false
	}
	o.all[c] = new(atomic.Bool)
	if o.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		o.stop = cancel
		go o.lookAfter(ctx)
	}
	return true
}

// leave takes a connection out. The last one ends the goroutine.
func (o *connections) leave(c connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, c)
	if len(o.all) == 0 && o.stop != nil {
		o.stop()
		o.stop = nil
	}
}

func (o *connections) lookAfter(ctx context.Context) {
	for o.wall.Sleep(ctx, o.every) == nil {
		now := o.wall.Now()
		o.mu.Lock()
		for c, busy := range o.all {
			// A peer that takes nothing holds up its own goroutine alone, which
			// ends with the deadline of its write.
			if busy.CompareAndSwap(false, true) {
				go func() {
					defer busy.Store(false)
					c.beat(now)
				}()
			}
		}
		o.mu.Unlock()
	}
}

// drain lets nobody enter any more and tells all to go, one after the other
// over the time given, or at once when ctx is done.
func (o *connections) drain(ctx context.Context, over time.Duration) {
	o.mu.Lock()
	o.closing = true
	all := make([]connection, 0, len(o.all))
	for c := range o.all {
		all = append(all, c)
	}
	o.mu.Unlock()
	// Steps of at least a millisecond: finer ones are no gentler.
	steps := max(1, min(len(all), int(over/time.Millisecond)))
	for i, c := range all {
		c.goAway()
		if i > 0 && i*steps/len(all) != (i-1)*steps/len(all) {
			o.wall.Sleep(ctx, over/time.Duration(steps)) // an error only means: now
		}
	}
}

func (o *connections) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}
