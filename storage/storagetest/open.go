// Package storagetest holds the suite that every database behind a
// storage.Store passes, and gives other packages' tests fresh databases.
package storagetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres", to make and drop databases
	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/storage"
)

// Server is the environment variable that names the PostgreSQL server to test
// on: a URL of any database there, whose user may make others.
const Server = "MILEPOST_TEST_POSTGRES"

// localServer is tried where the variable is not set.
const localServer = "postgres://root@127.0.0.1:5432/postgres?sslmode=disable"

// testConns leaves room on a server that many packages are tested on at once.
const testConns = 8

// Case is a fresh database of one kind, migrated and empty.
type Case struct {
	Name  string // "sqlite" or "postgres"
	URL   string // opens it again, as another replica
	Store *storage.Store
}

// Open gives a database of each kind that there is; they are gone when the test
// ends. What is missing is logged. A server that is named but does not answer
// fails the test.
func Open(t testing.TB) []Case {
	t.Helper()
	cases := []Case{SQLite(t)}
	c, ok := postgres(t)
	if !ok {
		t.Logf("not tested on PostgreSQL: %s is not set and none answers at %s", Server, localServer)
		return cases
	}
	return append(cases, c)
}

// SQLite gives a fresh file.
func SQLite(t testing.TB) Case {
	t.Helper()
	return open(t, "sqlite", "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
}

// Postgres gives a fresh database of its own, or skips the test.
func Postgres(t testing.TB) Case {
	t.Helper()
	c, ok := postgres(t)
	if !ok {
		t.Skipf("%s is not set and no PostgreSQL answers at %s", Server, localServer)
	}
	return c
}

func open(t testing.TB, name, url string) Case {
	t.Helper()
	c := Case{Name: name, URL: url, Store: Again(t, url, storage.Options{})}
	if _, err := c.Store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// Again opens a database once more, until the test ends.
func Again(t testing.TB, url string, o storage.Options) *storage.Store {
	t.Helper()
	if o.MaxConns == 0 {
		o.MaxConns = testConns
	}
	s, err := storage.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func postgres(t testing.TB) (Case, bool) {
	t.Helper()
	at, ok := Database(t)
	if !ok {
		return Case{}, false
	}
	return open(t, "postgres", at), true
}

// Database makes an empty PostgreSQL database, not migrated, and returns its
// URL; ok is false where there is no server.
func Database(t testing.TB) (at string, ok bool) {
	t.Helper()
	named := os.Getenv(Server)
	server := named
	if server == "" {
		server = localServer
	}
	name := "milepost_test_" + strings.ToLower(ulid.Make().String())
	// The wait for a server that does not answer is on the machine's clock.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := administer(ctx, server, "CREATE DATABASE "+name); err != nil {
		if named != "" {
			t.Fatalf("%s: %v", Server, err)
		}
		return "", false
	}
	t.Cleanup(func() {
		// The test's context is over by now.
		if err := administer(context.Background(), server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s: not a URL", Server)
	}
	u.Path = "/" + name
	return u.String(), true
}

func administer(ctx context.Context, server, statement string) (err error) {
	db, err := sql.Open("postgres", server)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statement)
	return err
}
