package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"database/sql"

	"github.com/jmoiron/sqlx"
	"github.com/klauspost/compress/zstd"
	"github.com/lib/pq"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"modernc.org/sqlite"
)

// Dialect is the kind of database.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgres"
)

// Options tune a store; the zero value is right for most.
type Options struct {
	// MaxConns bounds connections: readers on SQLite, where there is one writer
	// beside them, and all of them on PostgreSQL. 0 is 8 and 16.
	MaxConns int
	// MaxFileBytes bounds the SQLite file, so that it fills before the disk
	// does; 0 leaves it to the disk.
	MaxFileBytes int64
	// Log hears of retried transactions; nil is silent.
	Log *slog.Logger
}

const (
	defaultReaders  = 8
	defaultConns    = 16
	sqliteBusy      = 10 * time.Second       // how long a writer waits for another process
	sqliteStep      = 100 * time.Millisecond // how long of that in SQLite, which does not see a context end
	sqlitePageSize  = 8192
	connLifetime    = 30 * time.Minute
	vanishedAfter   = time.Minute // without a word in an open transaction
	postgresOldest  = 140000      // what lib/pq speaks to
	maxPayloadBytes = 256 << 20
)

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect Dialect
	// On PostgreSQL both are the same pool. On SQLite w is the one connection
	// that writes, so that writers queue in Go, where they honour their
	// contexts, and not on the file's lock, where they spin.
	w, r  *sqlx.DB
	name  string // of the database, without secrets, for errors
	log   *slog.Logger
	clock clock.Clock
	zip   *zstd.Encoder
	unzip *zstd.Decoder
	texts sync.Map // portable statement to this dialect's
	// listen is where a listener connects: PostgreSQL's address with its
	// password, never shown.
	listen string
	// temporary is the directory of a ":memory:" database.
	temporary string
}

// Open opens "sqlite:PATH" (made if missing), "sqlite::memory:" (a temporary
// file that Close removes) or "postgres://user@host/database".
// It does not migrate. An error names what is wrong with the URL or the
// database, and the remedy, and unwraps to parcel.ErrInvalid or
// parcel.ErrUnavailable; passwords are left out.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	s := &Store{log: o.Log, clock: clock.Wall()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.zip, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2)); err != nil {
		return nil, fmt.Errorf("storage: open: %w", err)
	}
	if s.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxPayloadBytes)); err != nil {
		return nil, fmt.Errorf("storage: open: %w", err)
	}
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		err = s.openSQLite(rest, o)
	case "postgres", "postgresql":
		err = s.openPostgres(ctx, url, o)
	default:
		err = fmt.Errorf("storage: open: want sqlite:PATH or postgres://user@host/database: %w", parcel.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	// What may only be read opens all the same; Ping tells. A file that another
	// process opens, closes or mends after a crash is held for a moment.
	if err := s.patiently(ctx, func() error { return s.answers(ctx) }); err != nil {
		_ = s.Close()
		return nil, s.fail(ctx, "open", err)
	}
	return s, nil
}

func (s *Store) openSQLite(path string, o Options) error {
	s.dialect = SQLite
	path, _, _ = strings.Cut(strings.TrimPrefix(path, "//"), "?")
	if path == "" {
		return fmt.Errorf("storage: open: sqlite: no path; write sqlite:milepost.db: %w", parcel.ErrInvalid)
	}
	if path == ":memory:" {
		dir, err := os.MkdirTemp("", "milepost-*")
		if err != nil {
			return fmt.Errorf("storage: open: temporary directory: %w: %w", parcel.ErrUnavailable, err)
		}
		s.temporary, path = dir, filepath.Join(dir, "memory.db")
	}
	s.name = path
	if dir := filepath.Dir(path); dir != "." {
		if at, err := os.Stat(dir); err != nil || !at.IsDir() {
			return fmt.Errorf("storage: open %s: no directory %s; make it first (mkdir -p): %w", path, dir, parcel.ErrUnavailable)
		}
	}
	pragmas := func(busy time.Duration, more ...string) []string {
		return append([]string{
			fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), fmt.Sprintf("page_size(%d)", sqlitePageSize),
			"journal_mode(WAL)", "cache_size(-16384)", "temp_store(MEMORY)",
		}, more...)
	}
	// FULL and not NORMAL: in WAL mode NORMAL may lose what was acknowledged
	// when the power fails.
	writer := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas(sqliteStep, "synchronous(FULL)", "wal_autocheckpoint(2000)")}
	if o.MaxFileBytes > 0 {
		writer.Add("_pragma", fmt.Sprintf("max_page_count(%d)", max(1, o.MaxFileBytes/sqlitePageSize)))
	}
	reader := url.Values{"_query_only": {"1"}, "_pragma": pragmas(sqliteBusy)}
	file := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
	open := func(v url.Values, conns int) (*sqlx.DB, error) {
		c, err := sqlite.NewConnector(file + "?" + v.Encode())
		if err != nil {
			return nil, fmt.Errorf("storage: open %s: %w: %w", s.name, parcel.ErrInvalid, err)
		}
		return s.pool(c, "sqlite", conns), nil
	}
	var err error
	if s.w, err = open(writer, 1); err != nil {
		return err
	}
	conns := o.MaxConns
	if conns <= 0 {
		conns = defaultReaders
	}
	s.r, err = open(reader, conns)
	return err
}

func (s *Store) openPostgres(ctx context.Context, dsn string, o Options) error {
	s.dialect = PostgreSQL
	u, err := url.Parse(dsn)
	if err != nil {
		// The parse error would repeat the text, password and all.
		return fmt.Errorf("storage: open: not a URL; want postgres://user:password@host:5432/database?sslmode=require: %w", parcel.ErrInvalid)
	}
	s.name = u.Redacted()
	q := u.Query()
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", "10")
	}
	if !q.Has("application_name") {
		q.Set("application_name", "milepost")
	}
	// A pooler in transaction mode gives each transaction another session, so
	// statements cannot be kept, nor sessions be set up; the same parameter
	// tells lib/pq that.
	pooled := q.Get("binary_parameters") == "yes"
	if !pooled && !q.Has("idle_in_transaction_session_timeout") {
		// A replica that vanishes in the middle of a transaction may hold the
		// head of the log, and its connection would be missed only hours later.
		q.Set("idle_in_transaction_session_timeout", fmt.Sprint(vanishedAfter.Milliseconds()))
	}
	u.RawQuery = q.Encode()
	s.listen = u.String()
	c, err := pq.NewConnector(s.listen)
	if err != nil {
		return fmt.Errorf("storage: open %s: %w: %w", s.name, parcel.ErrInvalid, err)
	}
	conns := o.MaxConns
	if conns <= 0 {
		conns = defaultConns
	}
	if pooled {
		s.w = sqlx.NewDb(sql.OpenDB(c), "postgres")
		s.w.SetMaxOpenConns(conns)
	} else {
		s.w = s.pool(c, "postgres", conns)
	}
	s.r = s.w
	var version int
	if err := s.w.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		_ = s.w.Close()
		return s.fail(ctx, "open", err)
	}
	if version < postgresOldest {
		_ = s.w.Close()
		return fmt.Errorf("storage: open %s: PostgreSQL %d is too old; upgrade to 14 or newer: %w", s.name, version/10000, parcel.ErrInvalid)
	}
	return nil
}

func (s *Store) pool(c driver.Connector, name string, conns int) *sqlx.DB {
	db := sql.OpenDB(preparing{c})
	db.SetMaxOpenConns(conns)
	// An idle connection keeps its prepared statements; closing it would cost
	// them.
	db.SetMaxIdleConns(conns)
	if name == "postgres" {
		db.SetConnMaxLifetime(connLifetime)
	}
	return sqlx.NewDb(db, name)
}

// Close ends the store. Nothing may use it afterwards.
func (s *Store) Close() error {
	s.unzip.Close()
	// Readers first: the last connection to an SQLite file brings its journal
	// into it, which those that only read may not.
	var err error
	if s.r != nil && s.r != s.w {
		err = s.r.Close()
	}
	err = errors.Join(err, s.w.Close())
	if s.temporary != "" {
		err = errors.Join(err, os.RemoveAll(s.temporary))
	}
	if err != nil {
		return fmt.Errorf("storage: close %s: %w", s.name, err)
	}
	return nil
}

// Ping tells whether the database answers and may be written; if not, the error
// unwraps to parcel.ErrUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.answers(ctx); err != nil {
		return s.fail(ctx, "ping", err)
	}
	if s.dialect == PostgreSQL {
		var readOnly string
		if err := s.w.QueryRowContext(ctx, "SHOW transaction_read_only").Scan(&readOnly); err != nil {
			return s.fail(ctx, "ping", err)
		}
		if readOnly == "on" {
			return fmt.Errorf("storage: ping: %w: %s may only be read; connect to the primary, as a user whose transactions may write", parcel.ErrUnavailable, s.name)
		}
		return nil
	}
	return s.writable(ctx)
}

// answers reads from each pool: a ping of one may be answered from the driver's
// memory.
func (s *Store) answers(ctx context.Context) error {
	var one int
	for _, db := range []*sqlx.DB{s.w, s.r} {
		if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
			return err
		}
		if s.w == s.r {
			break
		}
	}
	return nil
}

// writable begins to write to an SQLite file and thinks better of it. Taking
// the lock is not enough: for a file that may only be read SQLite opens a
// transaction that reads, and says nothing.
func (s *Store) writable(ctx context.Context) error {
	t, err := s.w.BeginTxx(ctx, nil)
	if err == nil {
		_, err = t.ExecContext(ctx, "PRAGMA user_version = 0")
		err = errors.Join(err, t.Rollback())
	}
	if err != nil && transient(err) {
		return nil // another process holds the lock, and so may write
	}
	return s.fail(ctx, "ping", err)
}

// Dialect is the kind of database behind the store.
func (s *Store) Dialect() Dialect { return s.dialect }
