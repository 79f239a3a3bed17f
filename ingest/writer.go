package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/milepost-gateway/milepost/parcel"
)

// The writer's bounds. A queue that is full makes callers wait: pushes are
// acknowledged only when durable, so waiting is the honest answer.
const (
	queueLength = 1024
	maxTasks    = 256
	// maxWeight bounds a batch by what it carries, so that one transaction
	// never holds the log for long.
	maxWeight = 4096
)

// task is one piece of work that is durable as a whole or not at all.
type task interface {
	// needs names what must be locked before apply.
	needs(n *needs)
	// apply changes the unit in memory. An error undoes only this task.
	apply(u *unit) error
	// settled is called once with the final word, after commit or failure.
	settled(err error)
	// weight is how many rows it may write, roughly.
	weight() int
}

// writer gathers tasks into transactions: while one commits, the next ones
// queue up and share the commit after it. One goroutine writes, or a few where
// the database takes several transactions at once: numbers and shipments are
// locked in order, and the head of the log last, so they keep out of each
// other's way.
type writer struct {
	g     *Ingest
	queue chan queued
	stop  chan struct{}
	once  sync.Once
	ended chan struct{} // closed when nobody writes any more
}

type queued struct {
	ctx  context.Context
	task task
	ack  chan error
}

func newWriter(g *Ingest) *writer {
	w := &writer{g: g, queue: make(chan queued, queueLength), stop: make(chan struct{}), ended: make(chan struct{})}
	var hands sync.WaitGroup
	for range max(1, g.opts.Writers) {
		hands.Go(w.run)
	}
	go func() {
		hands.Wait()
		close(w.ended)
	}()
	return w
}

func (w *writer) close() {
	w.once.Do(func() { close(w.stop) })
	<-w.ended
}

// do queues a task and waits until it is durable or refused. A context that
// ends first leaves the task to finish by itself: the error says so.
func (w *writer) do(ctx context.Context, t task) error {
	q := queued{ctx: ctx, task: t, ack: make(chan error, 1)}
	select {
	case <-w.stop:
		return fmt.Errorf("ingest: shutting down: %w", parcel.ErrUnavailable)
	default:
	}
	select {
	case w.queue <- q:
	case <-ctx.Done():
		return fmt.Errorf("ingest: not queued: %w", ctx.Err())
	case <-w.stop:
		return fmt.Errorf("ingest: shutting down: %w", parcel.ErrUnavailable)
	}
	select {
	case err := <-q.ack:
		return err
	case <-ctx.Done():
		return fmt.Errorf("ingest: outcome not awaited: %w", ctx.Err())
	case <-w.ended:
		// Written in the writer's last breath, or never taken up.
		select {
		case err := <-q.ack:
			return err
		default:
			return fmt.Errorf("ingest: shutting down: %w", parcel.ErrUnavailable)
		}
	}
}

func (w *writer) run() {
	var held *queued
	for {
		var first queued
		if held != nil {
			first, held = *held, nil
		} else {
			select {
			case first = <-w.queue:
			case <-w.stop:
				// What is already queued was promised an answer.
				select {
				case first = <-w.queue:
				default:
					return
				}
			}
		}
		batch := []queued{first}
		weight := first.task.weight()
	fill:
		for len(batch) < maxTasks && weight < maxWeight {
			select {
			case q := <-w.queue:
				if weight+q.task.weight() > maxWeight {
					held = &q
					break fill
				}
				batch = append(batch, q)
				weight += q.task.weight()
			default:
				break fill
			}
		}
		w.write(batch)
	}
}

// write commits a batch. If the batch fails as a whole, each task is tried
// alone, so that one poisonous task cannot take its neighbours with it.
func (w *writer) write(batch []queued) {
	live := batch[:0]
	for _, q := range batch {
		if err := q.ctx.Err(); err != nil {
			q.task.settled(err)
			q.ack <- fmt.Errorf("ingest: given up before it was written: %w", err)
			continue
		}
		live = append(live, q)
	}
	if len(live) == 0 {
		return
	}
	errs, err := w.commit(live)
	if err != nil && len(live) > 1 && !errors.Is(err, parcel.ErrUnavailable) {
		for i := range live {
			one, oneErr := w.commit(live[i : i+1])
			w.settle(live[i:i+1], one, oneErr)
		}
		return
	}
	w.settle(live, errs, err)
}

func (w *writer) settle(batch []queued, errs []error, err error) {
	for i, q := range batch {
		final := err
		if final == nil {
			final = errs[i]
		}
		q.task.settled(final)
		q.ack <- final
	}
}

// commit runs the tasks of a batch in one transaction and rings the bell.
func (w *writer) commit(batch []queued) (errs []error, err error) {
	// The transaction belongs to all callers: none of them may cancel it.
	ctx := context.WithoutCancel(batch[0].ctx)
	errs = make([]error, len(batch))
	var last int64
	var u *unit
	var late []parcel.NumberKey
	for round := 0; ; round++ {
		err = w.g.store.Update(ctx, func(ctx context.Context, tx Tx) (err error) {
			u = newUnit(w.g, ctx, tx)
			u.mayWiden = round < maxRounds
			last, err = u.attempt(batch, late, errs)
			return err
		})
		more := (*wider)(nil)
		if !errors.As(err, &more) {
			break
		}
		late = append(late, more.keys...)
	}
	if err != nil {
		return nil, fmt.Errorf("ingest: write: %w", err)
	}
	w.g.heard(u)
	if last > 0 && w.g.bell != nil {
		w.g.bell.Ring(last)
	}
	return errs, nil
}

// attempt runs the tasks of a batch once. late are numbers that an attempt
// before it has found; it gives up with a *wider for more, where it may.
func (u *unit) attempt(batch []queued, late []parcel.NumberKey, errs []error) (last int64, err error) {
	n := newNeeds()
	for _, q := range batch {
		q.task.needs(n)
	}
	for _, k := range late {
		n.number(k)
	}
	if err := u.prepare(n); err != nil {
		return 0, err
	}
	for i, q := range batch {
		errs[i] = q.task.apply(u)
		if u.broken != nil {
			return 0, u.broken
		}
	}
	return u.flush()
}
