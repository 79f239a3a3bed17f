package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
)

// Scratch makes a database of its own, a SQLite file or on the PostgreSQL server
// that serverURL names, and returns its URL and what removes it again.
func Scratch(ctx context.Context, serverURL string, sqlite bool) (storeURL string, drop func() error, err error) {
	if !sqlite {
		return scratch(ctx, serverURL)
	}
	folder, err := os.MkdirTemp("", "milepost-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("bench: %w", err)
	}
	return "sqlite:" + filepath.Join(folder, "bench.db"), func() error { return os.RemoveAll(folder) }, nil
}

// scratch makes a database of its own on the server that serverURL names, and
// returns its URL and what drops it again.
func scratch(ctx context.Context, serverURL string) (databaseURL string, drop func() error, err error) {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", nil, errors.New("bench: the server is named by a URL such as postgres://user@host/database")
	}
	server, err := sql.Open("postgres", serverURL)
	if err != nil {
		return "", nil, fmt.Errorf("bench: %w", err)
	}
	name := "milepost_bench_" + strings.ToLower(rand.Text()[:10])
	if _, err := server.ExecContext(ctx, `CREATE DATABASE `+name); err != nil {
		return "", nil, errors.Join(fmt.Errorf("bench: make a scratch database: %w", err), server.Close())
	}
	drop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, err := server.ExecContext(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
		if err != nil {
			err = fmt.Errorf("bench: drop %s: %w", name, err)
		}
		return errors.Join(err, server.Close())
	}
	u.Path = "/" + name
	return u.String(), drop, nil
}
