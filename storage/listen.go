package storage

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/lib/pq"
)

const (
	// logChannel carries the position of every commit that logged something.
	logChannel = "milepost_log"
	// lookEvery is how often the head is looked at on SQLite, which tells no
	// other process of a commit.
	lookEvery = 250 * time.Millisecond
	// lookAnyway is how often it is looked at where notifications come: they
	// may be lost in a pooler, or with a connection that nobody missed yet.
	lookAnyway = 5 * time.Second

	listenFirstRetry, listenLastRetry = 200 * time.Millisecond, 10 * time.Second
)

// Listen calls ring with a position of the log after commits that logged
// something, of this process or any other, until ctx ends; it then returns the
// context's error, and no other. It is a doorbell: rings may be merged or
// repeated, and one may come for what is known already, but after the last
// commit one comes, also where the connection was lost meanwhile. It calls ring
// from one goroutine; ring must not block. On PostgreSQL it takes a connection
// of its own, beside the pool.
func (s *Store) Listen(ctx context.Context, ring func(position int64)) error {
	var told <-chan *pq.Notification // on SQLite nothing ever comes
	opened := make(chan error, 1)
	every := lookEvery
	if s.dialect == PostgreSQL {
		every = lookAnyway
		l := pq.NewListener(s.listen, listenFirstRetry, listenLastRetry, nil)
		defer func() {
			_ = l.Close() // fails only if it is closed
			<-opened      // which ends the goroutine below
		}()
		told = l.Notify
		go func() {
			defer close(opened)
			// While the server is away this waits and tries again by itself.
			opened <- l.Listen(logChannel)
		}()
	}
	// look rings if the head has moved since the last look. Without an answer
	// the next one rings.
	var known int64
	look := func() {
		if _, head, err := s.LogBounds(ctx); err == nil && head != known {
			known = head
			ring(head)
		}
	}
	timer := s.clock.NewTimer(0)
	defer timer.Stop()
	began := opened
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("storage: listen: %w", ctx.Err())
		case err := <-began:
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "storage: the database refuses LISTEN; the log is looked at instead", "error", err)
			}
			look() // what was committed before the server knew of us
			began = nil
		case n := <-told:
			if n == nil {
				look() // connected again: what came meanwhile was told to nobody
				continue
			}
			if position, err := strconv.ParseInt(n.Extra, 10, 64); err == nil {
				known = max(known, position)
				ring(position)
			}
		case <-timer.C():
			look()
			timer.Reset(every)
		}
	}
}
