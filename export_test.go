package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// exportedAll is the whole log as lines.
func exportedAll(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := said(t, append([]string{"export"}, args...)...)
	if code != exitOK || out == "" {
		t.Fatal(code, errs)
	}
	return out
}

func seeded(t *testing.T, store, merchant string, seed, n int) {
	t.Helper()
	if _, errs, code := said(t, "seed", "--store", store, "--merchant", merchant, "--seed", fmt.Sprint(seed), "--shipments", fmt.Sprint(n)); code != exitOK {
		t.Fatal(errs)
	}
}

// TestExportTorn breaks an export off at many places of its file, in the middle
// of lines and at their ends; the same command makes it whole.
func TestExportTorn(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "m.db")
	seeded(t, store, "shop", 5, 40)
	want := exportedAll(t, "--store", store)
	file := filepath.Join(t.TempDir(), "all.jsonl")
	first := strings.IndexByte(want, '\n') + 1
	for _, at := range []int{0, 1, first - 2, first - 1, first, first + 1, len(want) / 3, len(want) / 2, len(want) - 1, len(want)} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			if err := os.WriteFile(file+partial, []byte(want[:at]), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, errs, code := said(t, "export", "--store", store, "--to", file); code != exitOK {
				t.Fatal(errs)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("%d bytes, want %d", len(got), len(want))
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("somebody's own file", func(t *testing.T) {
		if err := os.WriteFile(file+partial, []byte("no line end"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := said(t, "export", "--store", store, "--to", file); code != exitUsage || !strings.Contains(errs, "it has no whole line") {
			t.Errorf("exit code %d, %s", code, errs)
		}
		if got, err := os.ReadFile(file + partial); err != nil || string(got) != "no line end" {
			t.Errorf("it is %q now, %v", got, err)
		}
	})
	t.Run("another beginning", func(t *testing.T) {
		lines := strings.SplitAfter(want, "\n")
		var one exportedChange
		if err := json.Unmarshal([]byte(lines[0]), &one); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ name, held, says string }{
			{"earlier", want, "begins before --after"},
			{"later", strings.Join(lines[2:], ""), "lacks changes behind --after"},
		} {
			if err := os.WriteFile(file+partial, []byte(tt.held), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, errs, code := said(t, "export", "--store", store, "--to", file, "--after", one.Cursor); code != exitUsage || !strings.Contains(errs, tt.says) {
				t.Errorf("%s: exit code %d, %s", tt.name, code, errs)
			}
		}
	})
}

// TestExportKilled kills an export that follows a log which grows, again and
// again. What it leaves, gone on with, is the log.
func TestExportKilled(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			seeded(t, store, "shop", 1, 20)
			file := filepath.Join(t.TempDir(), "all.jsonl")
			for kill := range 3 {
				c := exec.Command(program(t), "export", "--store", store, "--to", file, "--follow")
				c.Stderr = &safeBuffer{}
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				size := int64(-1)
				if at, err := os.Stat(file); err == nil {
					size = at.Size()
				}
				seeded(t, store, "shop", 2+kill, 20)
				eventually(t, "lines", func() bool {
					at, err := os.Stat(file)
					return err == nil && at.Size() > max(size, 0)
				})
				if err := c.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err, c.Stderr)
				}
				_ = c.Wait() // says that it was killed
			}
			if _, errs, code := said(t, "export", "--store", store, "--to", file, "--append"); code != exitOK {
				t.Fatal(errs)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if want := exportedAll(t, "--store", store); string(got) != want {
				t.Errorf("%d lines, want %d", bytes.Count(got, []byte("\n")), strings.Count(want, "\n"))
			}
		})
	}
}

// TestExportOvertaken: a log that is cut while it is read, between two pages, is
// an end that tells, with the place at which what is kept begins.
func TestExportOvertaken(t *testing.T) {
	for name, at := range stores(t) {
		t.Run(name, func(t *testing.T) {
			seeded(t, at, "shop", 1, 400)
			s := storagetest.Again(t, at, storage.Options{})
			_, cursors, err := cursorsOf(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			e := &exporter{store: s, cursors: cursors, scope: storage.OfDeployment("test")}
			given := 0
			position, err := e.walk(t.Context(), 0, func(_ []byte, n int) error {
				given += n
				_, err := s.PruneChanges(t.Context(), storagetest.Epoch.AddDate(100, 0, 0), exportPage+50)
				return err
			})
			var expired *graph.CursorExpired
			if !errors.As(err, &expired) || given != exportPage || position != exportPage {
				t.Fatalf("%d rows, to %d, %v", given, position, err)
			}
			if oldest, err := cursors.OpenPosition(expired.Oldest); err != nil || oldest != exportPage+50 {
				t.Errorf("the oldest place is %d, %v", oldest, err)
			}
		})
	}
}

// download asks for /export/changes.jsonl.
func download(t *testing.T, at, key, query string) (status int, media, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/export/changes.jsonl"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(data)
}

// TestExportDoor asks for the log over HTTP: the same lines as the verb's, a
// merchant's own, behind any cursor.
func TestExportDoor(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "m.db")
	seeded(t, store, "shop", 1, 400) // several pages
	seeded(t, store, "other", 2, 5)
	key := newKey(t, store, "shop")
	poor, errs, code := said(t, "keys", "create", "--merchant", "shop", "--scopes", "routes:read", "--store", store)
	if code != exitOK {
		t.Fatal(errs)
	}
	gate := start(t, "serve", "--store", store, "--no-poll", "--log-level", "error")
	status, media, all := download(t, gate.url, key, "")
	want := strings.ReplaceAll(exportedAll(t, "--store", store, "--merchant", "shop"), `,"merchant":"shop"`, "")
	if status != http.StatusOK || media != "application/x-ndjson; charset=utf-8" || all != want {
		t.Fatalf("%d %s, %d bytes, want %d", status, media, len(all), len(want))
	}
	lines := strings.SplitAfter(all, "\n")
	if len(lines) < exportPage {
		t.Fatalf("%d lines are one page", len(lines))
	}
	cursor := func(line string) string {
		var c exportedChange
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		return c.Cursor
	}
	if _, _, rest := download(t, gate.url, key, "?after="+cursor(lines[9])); rest != strings.Join(lines[10:], "") {
		t.Errorf("behind the tenth: %d bytes", len(rest))
	}
	// GraphQL and the export have one order and the same cursors.
	var page struct {
		Changes struct{ Nodes []struct{ Cursor string } }
	}
	ask(t, gate.url, key, `query($after: String) { changes(first: 1, after: $after) { nodes { cursor } } }`, map[string]any{"after": cursor(lines[9])}, &page)
	if len(page.Changes.Nodes) != 1 || page.Changes.Nodes[0].Cursor != cursor(lines[10]) {
		t.Errorf("changes goes on with %+v", page)
	}
	s := storagetest.Again(t, strings.TrimSpace(store), storage.Options{})
	if _, err := s.PruneChanges(t.Context(), storagetest.Epoch.AddDate(100, 0, 0), 20); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, key, query string
		status           int
		says             string
	}{
		{"the end", key, "?after=" + cursor(lines[len(lines)-2]), 200, ""},
		{"expired", key, "?after=" + cursor(lines[9]), http.StatusGone, `"oldest":"`},
		{"rubbish", key, "?after=rubbish", http.StatusBadRequest, "INVALID_INPUT"},
		{"a long cursor", key, "?after=" + strings.Repeat("x", 600), http.StatusBadRequest, "at most 512 bytes"},
		{"two cursors", key, "?after=a&after=b", http.StatusBadRequest, "one parameter"},
		{"another parameter", key, "?first=3", http.StatusBadRequest, "one parameter"},
		{"nobody", "", "", http.StatusUnauthorized, "UNAUTHENTICATED"},
		{"no such key", "mp_00000000000000000000000000", "", http.StatusUnauthorized, "UNAUTHENTICATED"},
		{"without the scope", strings.TrimSpace(poor), "", http.StatusForbidden, "SHIPMENTS_READ"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _, body := download(t, gate.url, tt.key, tt.query)
			if status != tt.status || !strings.Contains(body, tt.says) || tt.says == "" && body != "" {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	// The verb tells of the gap, too, and of where to go on.
	_, errs, code = said(t, "export", "--store", store, "--after", cursor(lines[9]))
	if code != exitFault || !strings.Contains(errs, "were removed by retention") || !strings.Contains(errs, "--after ") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if code := gate.stop(t, syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d: %s", code, gate.said)
	}
}
