package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/milepost-gateway/milepost/parcel"
	"modernc.org/sqlite"
)

const (
	maxAttempts  = 8
	firstBackoff = 5 * time.Millisecond
	maxBackoff   = 640 * time.Millisecond
)

// Tx is the open transaction of an Update; it ends with it. It is not safe for
// concurrent use.
type Tx struct {
	session
	// tags of the shipments read here, so that only changed ones are written.
	tags map[string][]string
}

// Update runs do in one transaction, which is committed if do returns nil and
// undone otherwise. Where the database asks for another try (a serialization
// failure, a deadlock, a busy file, a connection lost before the commit) do is
// run again, up to 8 times within about a second, with a Tx of its own: it must
// therefore leave nothing behind of an attempt that failed. The error of an
// exhausted or impossible try unwraps to parcel.ErrUnavailable. So does that of
// a commit whose answer was lost; then, and only then, it is not known whether
// the work was kept, and the caller that tries again must be idempotent.
func (s *Store) Update(ctx context.Context, do func(ctx context.Context, tx *Tx) error) error {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		err, again := s.attempt(ctx, do)
		if err == nil || !again || attempt == maxAttempts {
			return err
		}
		wait := backoff/2 + rand.N(backoff)
		s.log.LogAttrs(ctx, slog.LevelDebug, "storage: transaction tried again", slog.Int("attempt", attempt), slog.Any("error", err))
		if ended := s.clock.Sleep(ctx, wait); ended != nil {
			return fmt.Errorf("storage: update: %w", ended)
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (s *Store) attempt(ctx context.Context, do func(ctx context.Context, tx *Tx) error) (err error, again bool) {
	t, err := s.begin(ctx)
	if err != nil {
		return s.fail(ctx, "begin", err), s.dialect == PostgreSQL && transient(err) && ctx.Err() == nil
	}
	// Undoes also what a panic of do left behind; after a commit it does
	// nothing.
	defer func() { _ = t.Rollback() }()
	tx := &Tx{session: session{s: s, q: t, failed: new(error)}}
	err = do(ctx, tx)
	if failed := *tx.failed; failed != nil {
		// On PostgreSQL the transaction is lost with its first failed
		// statement, whatever do made of it.
		if err == nil {
			err = s.fail(ctx, "update", failed)
		}
		return err, transient(failed) && ctx.Err() == nil
	}
	if err != nil {
		return err, false
	}
	return s.commit(ctx, t)
}

// begin opens a transaction. On SQLite that takes the file's write lock, which
// another process may hold: it is waited for in steps, so that a context that
// ends is seen.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	var t *sqlx.Tx
	err := s.patiently(ctx, func() (err error) {
		t, err = s.w.BeginTxx(ctx, nil)
		return err
	})
	return t, err
}

// patiently tries again while another process holds the file of SQLite.
func (s *Store) patiently(ctx context.Context, try func() error) error {
	for waited := time.Duration(0); ; waited += sqliteStep {
		err := try()
		if err == nil || s.dialect != SQLite || !transient(err) || waited >= sqliteBusy {
			return err
		}
		if ended := s.clock.Sleep(ctx, rand.N(firstBackoff)); ended != nil {
			return ended
		}
	}
}

func (s *Store) commit(ctx context.Context, t *sqlx.Tx) (err error, again bool) {
	err = t.Commit()
	if err == nil {
		return nil, false
	}
	var server *pq.Error
	var lite *sqlite.Error
	switch {
	case errors.As(err, &server), errors.As(err, &lite):
		// The database itself refused: nothing was kept.
		return s.fail(ctx, "commit", err), transient(err) && ctx.Err() == nil
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// The context ended first and took the transaction with it.
		return s.fail(ctx, "commit", err), false
	}
	return fmt.Errorf("storage: commit: connection lost, not known whether it was kept: %w: %w", parcel.ErrUnavailable, err), false
}
