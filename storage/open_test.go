package storage_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

func TestOpenNamesTheRemedy(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, bytes.Repeat([]byte("not a database. "), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, url string
		kind      error
		says      string
	}{
		{"no scheme", "milepost.db", parcel.ErrInvalid, "sqlite:PATH"},
		{"another database", "mysql://root:secret@localhost/x", parcel.ErrInvalid, "postgres://"},
		{"no path", "sqlite:", parcel.ErrInvalid, "sqlite:milepost.db"},
		{"no directory", "sqlite:" + filepath.Join(dir, "none", "x.db"), parcel.ErrUnavailable, "mkdir -p"},
		{"not a database", "sqlite:" + text, parcel.ErrUnavailable, "not a database"},
		{"a directory", "sqlite:" + dir, parcel.ErrUnavailable, "may be written"},
		{"nobody listens", "postgres://root:secret@127.0.0.1:1/x?sslmode=disable", parcel.ErrUnavailable, "cannot reach postgres://root:xxxxx@127.0.0.1:1/x"},
		{"not a URL", "postgres://root:secret@127.0.0.1:port/x", parcel.ErrInvalid, "want postgres://"},
		{"option that is none", "postgres://root:secret@127.0.0.1/x?sslmode=maybe", parcel.ErrInvalid, "sslmode"},
	}
	if at, ok := storagetest.Database(t); ok {
		i := strings.Index(at, "milepost_test_")
		tests = append(tests, struct {
			name, url string
			kind      error
			says      string
		}{"no such database", at[:i] + "milepost_none" + at[i+len("milepost_test_")+26:], parcel.ErrUnavailable, "createdb"})
	} else {
		t.Log("not tested: a PostgreSQL without the database, since there is no PostgreSQL")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := storage.Open(t.Context(), tt.url, storage.Options{})
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %q; want kind %q and a word of %q", err, tt.kind, tt.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func TestOpenMemory(t *testing.T) {
	s, err := storage.Open(t.Context(), "sqlite::memory:", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestNotMigrated(t *testing.T) {
	urls := []string{"sqlite:" + filepath.Join(t.TempDir(), "new.db")}
	if at, ok := storagetest.Database(t); ok {
		urls = append(urls, at)
	} else {
		t.Log("not tested on PostgreSQL: there is none")
	}
	for _, url := range urls {
		s := storagetest.Again(t, url, storage.Options{})
		t.Run(string(s.Dialect()), func(t *testing.T) {
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			_, err := s.Shipments(t.Context(), storage.OfMerchant("shop"), []string{"x"})
			if err == nil || !strings.Contains(err.Error(), "run milepost migrate") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// migrateVariable makes this test binary a process that migrates the database
// it names.
const migrateVariable = "MILEPOST_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateVariable); url != "" {
		os.Exit(migrate(url))
	}
	os.Exit(m.Run())
}

func migrate(url string) int {
	// Wait for the word, so that all processes begin at once.
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return 2
	}
	ctx := context.Background()
	s, err := storage.Open(ctx, url, storage.Options{})
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	applied, err := s.Migrate(ctx)
	if err = errors.Join(err, s.Close()); err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString(strings.Join(applied, " "))
	return 0
}

// TestMigrateTogether: several processes migrate one database at once; all
// succeed, and each migration is applied once.
func TestMigrateTogether(t *testing.T) {
	urls := map[storage.Dialect]string{storage.SQLite: "sqlite:" + filepath.Join(t.TempDir(), "new.db")}
	if at, ok := storagetest.Database(t); ok {
		urls[storage.PostgreSQL] = at
	} else {
		t.Log("not tested on PostgreSQL: there is none")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for dialect, url := range urls {
		t.Run(string(dialect), func(t *testing.T) {
			const processes = 3
			var started []*exec.Cmd
			var words []io.Writer
			outs, errs := make([]bytes.Buffer, processes), make([]bytes.Buffer, processes)
			for i := range processes {
				p := exec.CommandContext(t.Context(), self, "-test.run=^$")
				p.Env = append(os.Environ(), migrateVariable+"="+url)
				p.Stdout, p.Stderr = &outs[i], &errs[i]
				in, err := p.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				started, words = append(started, p), append(words, in)
			}
			for _, w := range words {
				if _, err := w.Write([]byte("go\n")); err != nil {
					t.Fatal(err)
				}
			}
			var g errgroup.Group
			for i, p := range started {
				g.Go(func() error {
					if err := p.Wait(); err != nil {
						t.Errorf("process %d: %v: %s", i, err, &errs[i])
					}
					return nil
				})
			}
			_ = g.Wait()
			applied := 0
			for i := range outs {
				applied += len(strings.Fields(outs[i].String()))
			}
			want, err := storage.Migrations(dialect)
			if err != nil {
				t.Fatal(err)
			}
			if applied != want {
				t.Errorf("%d migrations were applied in all, want %d", applied, want)
			}
			s := storagetest.Again(t, url, storage.Options{})
			if again, err := s.Migrate(t.Context()); err != nil || len(again) != 0 {
				t.Errorf("migrated again: %v, %v", again, err)
			}
			storagetest.Put(t, s, storagetest.NewParcel("shop", 1, 3))
		})
	}
}

// TestCloseLeavesOneFile: what was written is in the file itself when the store
// is closed, and nothing lies beside it.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	s, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := storagetest.NewParcel("shop", 1, 5)
	storagetest.Put(t, s, p)
	if _, err := s.Shipments(t.Context(), storage.OfMerchant("shop"), []string{p.Shipment.ID}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{path}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestPingTellsReadOnly: a store that answers and may not be written is not
// well.
func TestPingTellsReadOnly(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Store.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			var frozen *storage.Store
			if c.Store.Dialect() == storage.SQLite {
				frozen = c.Store
				if err := frozen.Exec(t.Context(), "PRAGMA query_only = 1"); err != nil {
					t.Fatal(err)
				}
			} else {
				frozen = storagetest.Again(t, c.URL+"&default_transaction_read_only=on", storage.Options{})
			}
			err := frozen.Ping(t.Context())
			if !errors.Is(err, parcel.ErrUnavailable) || !strings.Contains(err.Error(), "may") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestPingBesideAWriter: a file that another process is writing is well.
func TestPingBesideAWriter(t *testing.T) {
	c := storagetest.SQLite(t)
	other := storagetest.Again(t, c.URL, storage.Options{})
	err := other.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return c.Store.Ping(ctx)
	})
	if err != nil {
		t.Error(err)
	}
}
