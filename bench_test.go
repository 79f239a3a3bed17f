package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/bench"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

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

// BenchmarkStarting builds the program and measures its start, and what memory
// it holds half a minute later.
func BenchmarkStarting(b *testing.B) {
	program := filepath.Join(b.TempDir(), "milepost")
	if told, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, told)
	}
	b.ResetTimer()
	for b.Loop() {
		s, err := bench.Starting(b.Context(), clock.Wall(), program, []string{"serve"}, 30*time.Second)
		if err != nil {
			b.Fatal(err)
		}
		s.Print(os.Stdout)
		b.ReportMetric(float64(s.Answered.Milliseconds()), "ms-to-answer")
		b.ReportMetric(float64(s.Resident)/1e6, "MB")
	}
}
