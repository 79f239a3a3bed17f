package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/declared"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

const kite = "examples/carriers.d/kite-parcel.yaml"

// TestUnmappedQueue asks for the work queue as a person does, and maps with
// what it prints.
func TestUnmappedQueue(t *testing.T) {
	dir := t.TempDir()
	folder, url := filepath.Join(dir, "carriers.d"), "sqlite:"+filepath.Join(dir, "m.db")
	example, err := os.ReadFile("examples/carriers.d/dala-post.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "dala-post.yaml")
	write(t, file, string(example))
	args := []string{"carriers", "unmapped", "--store", url, "--carriers-dir", folder}
	if out, errs, code := said(t, args...); code != 0 || out != "" || !strings.Contains(errs, "every code and phrase that came is mapped") {
		t.Fatalf("empty: %d %q %q", code, out, errs)
	}
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.AddUnmapped(ctx, []parcel.Unmapped{
			{Carrier: "dala-post", Phrase: "есік # жабық", Words: `Есік 12 "жабық"`, Language: "kk", Count: 7, First: at, Last: at.AddDate(0, 0, 2), PayloadID: "01JD0000000000000000000001"},
			{Carrier: "dala-post", Phrase: "алуға дайын", Words: "Алуға дайын", Language: "kk", Count: 3, First: at, Last: at, PayloadID: "01JD0000000000000000000002"},
			{Carrier: "ups", Code: "Q9", Words: "Moved, again", Language: "en", Count: 2, First: at, Last: at, PayloadID: "01JD0000000000000000000003"},
		})
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, errs, code := said(t, args...)
	if code != 0 || !strings.Contains(out, `dala-post  -     7      2026-11-20  2026-11-22  01JD0000000000000000000001  Есік 12 "жабық"`) ||
		!strings.Contains(out, "ups        Q9") || strings.Contains(out, "дайын") {
		t.Errorf("list, without what is mapped by now: %d %s %s", code, out, errs)
	}
	stub, errs, code := said(t, append(args, "--stub")...)
	if code != 0 || !strings.Contains(stub, "Q9,,,,,\"Moved, again\"\n") {
		t.Errorf("stub: %d %s %s", code, stub, errs)
	}
	row := ""
	for line := range strings.Lines(stub) {
		if strings.Contains(line, "phrase:") {
			row = line
		}
	}
	// Pasted and forgotten, it is told; with its event, it maps.
	write(t, file, string(example)+row)
	if _, errs, code := said(t, "carriers", "test", file); code != 1 || !strings.Contains(errs, "row lacks event") {
		t.Errorf("forgotten: %d %s", code, errs)
	}
	write(t, file, string(example)+strings.Replace(row, "event: ,", "event: DELIVERY_ATTEMPT_FAILED,", 1))
	if out, errs, code := said(t, append(args, "dala-post")...); code != 0 || out != "" {
		t.Errorf("mapped: %d %s %s", code, out, errs)
	}
	if _, errs, code := said(t, append(args, "nobody")...); code != 1 || !strings.Contains(errs, `carrier "nobody"`) {
		t.Errorf("a carrier that is none: %d %s", code, errs)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDescriptionsChange runs a server whose folder of descriptions changes:
// a carrier comes, is broken, is mended and goes.
func TestDescriptionsChange(t *testing.T) {
	example, err := os.ReadFile(kite)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const endpoint = "kite-hook-0001"
	cfg := filepath.Join(t.TempDir(), "milepost.yaml")
	write(t, cfg, "accounts:\n  - carrier: kite-parcel\n    endpoint: "+endpoint+"\n    settings: {api_key: k, push_secret: s}\n")
	file, err := config.Load(cfg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := storagetest.Open(t)[0].Store
	var told lockedText
	log := slog.New(slog.NewTextHandler(&told, nil))
	wall := clock.Fixed(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	cat := newCatalog(dir, wall)
	b := binding{catalog: cat, wall: wall, log: log}
	srv, err := newServer(t.Context(), serverParts{store: store, catalog: cat, trade: wall, wall: wall, log: log,
		rebind: func(before []ingest.Account, old map[string]declared.Carrier) []ingest.Account {
			return b.rebind(file, before, old, merchantIDs(t.Context(), store))
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { srv.followCatalog(ctx) })
	t.Cleanup(func() { cancel(); work.Wait(); _ = srv.ingest.Close() })

	fakeOf := func() carriers.Fake {
		d, err := declared.Load(kite, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d.Spec.Fake(carriers.FakeEnv{Settings: map[string]string{"api_key": "k", "push_secret": "s"}, Now: wall.Now})
	}
	push, ok := fakeOf().Push("KP400100200SG", carriers.FakeHistory{Scans: []carriers.FakeScan{{Code: parcel.CodeDelivered, At: wall.Now(), Place: parcel.Place{Country: "SG"}}}})
	if !ok {
		t.Fatal("no push")
	}
	status := func() int { return srv.ingest.Push(t.Context(), "kite-parcel", endpoint, push).Status }
	at := wall.Now()
	for _, step := range []struct {
		name   string
		change func()
		status int
		log    string
	}{
		{"nothing yet", func() {}, http.StatusNotFound, ""},
		{"comes", func() { write(t, filepath.Join(dir, "kite.yaml"), string(example)) }, http.StatusOK, "account bound to a changed description"},
		{"is broken", func() {
			write(t, filepath.Join(dir, "kite.yaml"), strings.Replace(string(example), "batch: 20", "bach: 20", 1))
		}, http.StatusOK, "the state before this change stays in force"},
		{"is changed", func() {
			write(t, filepath.Join(dir, "kite.yaml"), strings.Replace(string(example), "ok: {status: 200", "ok: {status: 202", 1))
		}, http.StatusAccepted, "account bound to a changed description"},
		{"asks for a setting that the account lacks", func() {
			write(t, filepath.Join(dir, "kite.yaml"), strings.Replace(string(example), "    doc: secret that signs", "    required: true\n    doc: secret that signs", 1)+"\n")
		}, http.StatusOK, "account bound to a changed description"},
		{"goes", func() {
			if err := os.Remove(filepath.Join(dir, "kite.yaml")); err != nil {
				t.Fatal(err)
			}
		}, http.StatusNotFound, "the description of an account's carrier is gone"},
	} {
		t.Run(step.name, func(t *testing.T) {
			told.reset()
			if err := wall.AwaitWaiting(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			step.change()
			at = at.Add(declared.WatchEvery)
			wall.Set(at)
			// The next sleep begins when the look is over.
			if err := wall.AwaitWaiting(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if got := status(); got != step.status {
				t.Errorf("a push is answered with %d, want %d\n%s", got, step.status, told.String())
			}
			if !strings.Contains(told.String(), step.log) {
				t.Errorf("the log does not say %q:\n%s", step.log, told.String())
			}
		})
	}
}

// lockedText takes log lines from many goroutines.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

var _ io.Writer = (*lockedText)(nil)

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedText) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
