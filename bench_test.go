package main

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/milepost-gateway/milepost/bench"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// benchStack is a server as serve runs it, but for its listeners and poller.
func benchStack(ctx context.Context, storeURL string, accounts []ingest.Account) (*bench.Stack, error) {
	log := slog.New(slog.DiscardHandler)
	s, err := openStore(ctx, log, storeURL, true)
	if err != nil {
		return nil, err
	}
	wall := clock.Wall()
	srv, err := newServer(ctx, serverParts{store: s, accounts: accounts, trade: wall, wall: wall, log: log})
	if err != nil {
		s.Close()
		return nil, err
	}
	return &bench.Stack{Handler: srv.gateway.Handler(), Store: s, Ingest: srv.ingest, Close: func() error {
		err := srv.ingest.Close()
		s.Close()
		return err
	}}, nil
}

func benchOptions(b *testing.B) bench.Options {
	b.Helper()
	server := os.Getenv(storagetest.Server)
	if server == "" {
		server = "postgres://root@127.0.0.1:5432/postgres?sslmode=disable"
	}
	return bench.Options{Postgres: server, Wire: benchStack, Progress: func(text string) { b.Log(text) }}
}

// BenchmarkReading compares timelines and pages with a hand-written server.
// Its time for one operation means nothing; the ratios do.
func BenchmarkReading(b *testing.B) {
	for b.Loop() {
		all, err := bench.Reading(b.Context(), benchOptions(b))
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range all {
			c.Print(os.Stdout)
			b.ReportMetric(c.Ratio(), "ratio")
		}
	}
}

// BenchmarkWriting compares taking events in with a hand-written loader.
func BenchmarkWriting(b *testing.B) {
	for b.Loop() {
		c, err := bench.Writing(b.Context(), benchOptions(b))
		if err != nil {
			b.Fatal(err)
		}
		c.Print(os.Stdout)
		b.ReportMetric(c.Ratio(), "ratio")
	}
}
