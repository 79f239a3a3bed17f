package storage

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// migrateLock is the key of the advisory lock under which PostgreSQL is
// migrated; any number will do that nobody else uses.
const migrateLock = 0x6d696c65_706f7374 // "milepost"

// Migrate brings the tables to this version's form and returns the names of the
// migrations that it applied, none if there was nothing to do. It only goes
// forward; each migration is one transaction. Where two processes migrate at
// once, one waits for the other and both succeed.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	dir, err := fs.Sub(migrations, path.Join("migrations", string(s.dialect)))
	if err != nil {
		return nil, fmt.Errorf("storage: migrate: %w", err)
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithTableName("migrations"), goose.WithLogger(goose.NopLogger())}
	dialect := goose.DialectSQLite3
	if s.dialect == PostgreSQL {
		dialect = goose.DialectPostgres
		options = append(options, goose.WithSessionLocker(advisoryLock{}))
	}
	// SQLite has no lock to hold across transactions. Each migration's own is
	// immediate and holds its version's row, so the process that comes second
	// fails on what the first has made, and then finds it done.
	const tries = 60
	for try := 1; ; try++ {
		p, err := goose.NewProvider(dialect, s.w.DB, dir, options...)
		if err != nil {
			return applied, fmt.Errorf("storage: migrate: %w", err)
		}
		results, err := p.Up(ctx)
		for _, r := range results {
			if r.Error == nil {
				applied = append(applied, path.Base(r.Source.Path))
			}
		}
		if err == nil {
			return applied, nil
		}
		if s.dialect == PostgreSQL || try == tries || ctx.Err() != nil {
			return applied, s.fail(ctx, "migrate", err)
		}
		if ended := s.clock.Sleep(ctx, 50*time.Millisecond); ended != nil {
			return applied, s.fail(ctx, "migrate", err)
		}
	}
}

// advisoryLock waits as long as its context does.
type advisoryLock struct{}

func (advisoryLock) SessionLock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock))
	return err
}

func (advisoryLock) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrateLock))
	return err
}
