package drops

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// Files that overlap, come again, come under another name and after a restart:
// each scan stands in the timeline once.
func TestFilesReachTheTimeline(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		w.register(delivered, returning)
		one := w.watch(place)
		drop(t, dir, firstFile, sampleFile(t, firstFile))
		if n := w.look(one); n != 1 {
			t.Fatalf("%d files wait, want the one just seen", n)
		}
		w.expect(delivered, 0, "")
		w.look(one)
		w.expect(delivered, 6, parcel.OutcomeDelivered)
		w.expect(returning, 6, "")

		drop(t, dir, secondFile, sampleFile(t, secondFile)) // overlaps, and ends in a broken line
		w.look(one)
		w.look(one)
		w.expect(delivered, 6, parcel.OutcomeDelivered)
		if got, want := one.stat.Bad, int64(1); got != want || !strings.Contains(w.log.String(), secondFile+": line 4") {
			t.Errorf("%d bad lines, want %d; log:\n%s", got, want, w.log)
		}

		accepted := w.accepted.Load()
		drop(t, dir, "SCANINFO_AGAIN", sampleFile(t, firstFile))
		w.look(one)
		w.look(one)
		restarted := w.watch(place)
		w.look(restarted)
		w.look(restarted)
		// The same bytes, touched.
		if err := os.Chtimes(filepath.Join(dir, firstFile), now, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.look(restarted)
		w.look(restarted)
		if w.accepted.Load() != accepted {
			t.Errorf("%d payloads went in again", w.accepted.Load()-accepted)
		}
		// The same name with other bytes is another file.
		drop(t, dir, firstFile, scanHeader+delivered+";08;0521;20261021180000;\n")
		w.look(restarted)
		w.look(restarted)
		w.expect(delivered, 7, parcel.OutcomeDelivered)
		if s := restarted.stat; s.Files != 1 || s.Observations != 1 {
			t.Errorf("after the restart %d files and %d observations, want the one of other bytes", s.Files, s.Observations)
		}
		if left := spooled(t, one) + spooled(t, restarted); left > 0 {
			t.Errorf("%d files are left in the spool", left)
		}
	})
}

func spooled(t *testing.T, w *watch) int {
	t.Helper()
	left, err := os.ReadDir(w.opts.Spool)
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}

func TestHalfWritten(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		w.register(delivered)
		one := w.watch(place)
		whole := sampleFile(t, firstFile)
		for _, part := range []int{len(whole) / 3, len(whole) / 2, len(whole)} {
			drop(t, dir, firstFile, whole[:part])
			if n := w.look(one); n != 1 || w.accepted.Load() > 0 {
				t.Fatalf("%d bytes: %d wait, %d payloads went in", part, n, w.accepted.Load())
			}
		}
		drop(t, dir, ".SCANINFO_1", whole)
		drop(t, dir, "SCANINFO_2.filepart", whole)
		if n := w.look(one); n != 0 {
			t.Errorf("%d wait", n)
		}
		w.expect(delivered, 6, parcel.OutcomeDelivered)
		if one.stat.Bad > 0 || one.stat.Files != 1 {
			t.Errorf("%+v", one.stat)
		}
		// Renamed when it is whole, as careful writers do.
		if err := os.Rename(filepath.Join(dir, "SCANINFO_2.filepart"), filepath.Join(dir, "SCANINFO_2")); err != nil {
			t.Fatal(err)
		}
		accepted := w.accepted.Load()
		w.look(one)
		w.look(one)
		if one.stat.Files != 2 || w.accepted.Load() != accepted {
			t.Errorf("%+v, %d payloads again", one.stat, w.accepted.Load()-accepted)
		}
	})
}

func TestSemaphores(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		w.register(delivered)
		one := w.watch(place, func(s *Source) { s.Semaphore, s.Match, s.Done = "{name}.SEM", "SCANINFO_*", DoneMove })
		drop(t, dir, firstFile, sampleFile(t, firstFile))
		drop(t, dir, "SCANINFOCR_1", "not ours")
		for range 3 {
			if n := w.look(one); n != 1 || w.accepted.Load() > 0 {
				t.Fatalf("%d wait, %d payloads went in before the semaphore", n, w.accepted.Load())
			}
		}
		drop(t, dir, firstFile+".SEM", "")
		if n := w.look(one); n != 0 {
			t.Errorf("%d wait", n)
		}
		w.expect(delivered, 6, parcel.OutcomeDelivered)
		for _, name := range []string{firstFile, firstFile + ".SEM"} {
			if exists(t, dir, name) || !exists(t, dir, "done", name) {
				t.Errorf("%s was not moved", name)
			}
		}
		if !exists(t, dir, "SCANINFOCR_1") {
			t.Error("a file that does not match was moved")
		}
	})
}

func TestAfterReading(t *testing.T) {
	const good = scanHeader + delivered + ";05;0530;20261020191500;\n"
	for _, tt := range []struct {
		name, content string
		done          Done
		left, moved   bool
	}{
		{"left", good, DoneLeave, true, false},
		{"moved", good, DoneMove, false, true},
		{"deleted", good, DoneDelete, false, false},
		{"moved with a bad line", good + "rubbish\n", DoneMove, false, true},
		{"not deleted with a bad line", good + "rubbish\n", DoneDelete, true, false},
		{"nothing in it could be read", "rubbish\n", DoneMove, true, false},
		{"empty", "", DoneDelete, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
				one := w.watch(place, func(s *Source) { s.Done, s.DoneFolder = tt.done, "taken" })
				for round := range 2 {
					drop(t, dir, "S1", tt.content+strings.Repeat("\n", round)) // another file of the same name
					for range 3 {
						w.look(one)
					}
					if exists(t, dir, "S1") != tt.left || exists(t, dir, "taken", "S1") != tt.moved {
						t.Errorf("round %d: left %v, moved %v", round, exists(t, dir, "S1"), exists(t, dir, "taken", "S1"))
					}
				}
				if one.stat.Files != 2 {
					t.Errorf("%d files read", one.stat.Files)
				}
				if moved, _ := filepath.Glob(filepath.Join(dir, "taken", "S1*")); tt.moved && len(moved) != 2 {
					t.Errorf("moved files: %v", moved)
				}
			})
		})
	}
}

// A file that could not be moved is moved later, and not read again.
func TestFinishesLater(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		drop(t, dir, "S1", scanHeader+delivered+";05;0530;20261020191500;\n")
		drop(t, dir, "done", "a file where the folder should be") // Match leaves it out
		one := w.watch(place, func(s *Source) { s.Done, s.Match = DoneMove, "S*" })
		w.look(one)
		if _, err := one.look(t.Context()); err == nil {
			t.Error("no word of a file that could not be moved")
		}
		if _, err := one.look(t.Context()); err == nil {
			t.Error("no word of it again")
		}
		if err := os.Remove(filepath.Join(dir, "done")); err != nil {
			t.Fatal(err)
		}
		w.look(w.watch(place, func(s *Source) { s.Done, s.Match = DoneMove, "S*" }))
		if !exists(t, dir, "done", "S1") || w.accepted.Load() != 1 {
			t.Errorf("moved %v, %d payloads went in", exists(t, dir, "done", "S1"), w.accepted.Load())
		}
	})
}

func TestRefusedFiles(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		secret := filepath.Join(t.TempDir(), "secret")
		good := scanHeader + delivered + ";05;0530;20261020191500;\n"
		drop(t, filepath.Dir(secret), "secret", good)
		for _, err := range []error{
			os.Symlink(secret, filepath.Join(dir, "link-out")),
			os.Symlink("large", filepath.Join(dir, "link-in")),
			syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644),
			os.Mkdir(filepath.Join(dir, "folder"), 0o755),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		drop(t, dir, "large", scanHeader+strings.Repeat(" ", 1000))
		drop(t, dir, "line\nbreak", good)
		drop(t, dir, "good", good)
		one := w.watch(place, func(s *Source) { s.MaxBytes = 500 })
		for range 3 {
			w.look(one)
		}
		if w.accepted.Load() != 1 || one.stat.Refused != 5 {
			t.Errorf("%d payloads went in, %d files refused; log:\n%s", w.accepted.Load(), one.stat.Refused, w.log)
		}
		for _, why := range []string{"link-out", "link-in", "it is a link", "pipe", "no regular file", "at most 500", "control characters"} {
			if strings.Count(w.log.String(), why) == 0 {
				t.Errorf("the log does not say %q:\n%s", why, w.log)
			}
		}
		if n := strings.Count(w.log.String(), "file is not read"); n != 5 {
			t.Errorf("refusals logged %d times, want each once", n)
		}
		// A link that takes the place of a file between list and fetch.
		f, err := place.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.close() }()
		var got strings.Builder
		if err := f.fetch(t.Context(), "link-out", &got); !errors.Is(err, parcel.ErrDenied) || got.Len() > 0 {
			t.Errorf("a link is followed: %d bytes, %v", got.Len(), err)
		}
	})
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"SCANINFO_1": true, "a b": true, "名": true, "": false, ".": false, "..": false, "a/b": false, `a\b`: false, "../x": false, "a\x00": false, "a\nb": false,
		strings.Repeat("x", 256): false,
	} {
		if nameOK(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// The line breaks at any place: what was fetched in part is not read, and the
// next look reads it whole.
func TestCutConnection(t *testing.T) {
	server := serveSFTP(t)
	dir := t.TempDir()
	w := newWorld(t, storagetest.SQLite(t).Store)
	file, numbers := manyScans(2000)
	w.register(numbers[0], numbers[1999])
	drop(t, dir, "S1", file)
	one := w.watch(server.place(t, dir))
	w.look(one)
	for _, after := range []int64{100, 2000, 4000, 60_000, int64(len(file)) / 2} {
		server.cutAfter.Store(after)
		_, err := one.look(t.Context())
		if !errors.Is(err, parcel.ErrUnavailable) {
			t.Errorf("cut after %d bytes: %v, want ErrUnavailable", after, err)
		}
		if w.accepted.Load() > 0 {
			t.Fatalf("cut after %d bytes: %d payloads of half a file went in", after, w.accepted.Load())
		}
	}
	server.cutAfter.Store(0)
	w.look(one) // what was seen before a failure must be seen again
	w.look(one)
	w.expect(numbers[0], 2, "")
	w.expect(numbers[1999], 2, "")
	if w.accepted.Load() != 2000 || one.stat.Files != 1 {
		t.Errorf("%d payloads went in, %d files", w.accepted.Load(), one.stat.Files)
	}
	if spooled(t, one) > 0 {
		t.Error("the spool keeps half a file")
	}
}

// The end comes in the middle of a file: the next process goes on behind the
// last batch, nothing is lost and nothing comes twice.
func TestStoppedInTheMiddle(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		const parcels = 5*batchPayloads + 7
		file, numbers := manyScans(parcels)
		// A bad line in what is read first, and one in what is read later.
		lines := strings.SplitAfter(file, "\n")
		lines = slices.Insert(lines, 3, "early rubbish\n")
		lines = append(lines, "late rubbish")
		w.register(numbers...)
		drop(t, dir, "S1", strings.Join(lines, ""))
		one := w.watch(place)
		w.look(one)
		ctx, cancel := context.WithCancel(t.Context())
		w.afterAccept = func(n int64) error {
			if n == 2*batchPayloads {
				cancel()
			}
			return nil
		}
		if _, err := one.look(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped: %v", err)
		}
		if n := w.accepted.Load(); n != 2*batchPayloads {
			t.Fatalf("%d payloads went in before the end", n)
		}
		restarted := w.watch(place)
		w.look(restarted) // at once: it was complete before
		if w.accepted.Load() != parcels || w.fresh.Load() != parcels {
			t.Errorf("%d payloads went in, %d of them new; want %d", w.accepted.Load(), w.fresh.Load(), parcels)
		}
		for _, n := range numbers {
			w.expect(n, 2, "")
		}
		rows, err := w.store.DropFiles(t.Context(), restarted.key(), []string{"S1"})
		if err != nil || len(rows) != 1 || rows[0].Bad != 2 || rows[0].Taken != parcels || rows[0].Observations != 2*parcels || rows[0].DoneAt.IsZero() {
			t.Errorf("%+v, %v", rows, err)
		}
	})
}

// killed is a store whose process dies between a batch and its checkpoint.
type killed struct {
	*storage.Store
	dead bool
}

func (k *killed) PutDropFile(ctx context.Context, f parcel.DropFile, token string, until time.Time) error {
	if k.dead {
		return errors.New("killed")
	}
	return k.Store.PutDropFile(ctx, f, token, until)
}

// A process that is killed lets nothing go: its lease runs out first. The batch
// that it had made durable comes again, and adds nothing.
func TestKilledBetweenBatchAndCheckpoint(t *testing.T) {
	for _, db := range storagetest.Open(t) {
		t.Run(db.Name, func(t *testing.T) {
			w := newWorld(t, db.Store)
			dir := t.TempDir()
			place, err := Local(dir)
			if err != nil {
				t.Fatal(err)
			}
			const parcels = 3 * batchPayloads
			file, numbers := manyScans(parcels)
			w.register(numbers[0], numbers[parcels-1])
			drop(t, dir, "S1", file)
			store := &killed{Store: db.Store}
			one := w.watch(place)
			one.opts.Store = store
			w.look(one)
			w.afterAccept = func(n int64) error {
				store.dead = n == 2*batchPayloads
				return nil
			}
			if _, err := one.look(t.Context()); err == nil {
				t.Fatal("nobody noticed the end")
			}
			w.afterAccept = nil
			other := w.watch(place)
			if n := w.look(other); n != 1 || w.accepted.Load() != 2*batchPayloads {
				t.Fatalf("%d files wait, %d payloads: the dead one's lease is not honoured", n, w.accepted.Load())
			}
			w.wall.Advance(lease + time.Second)
			w.look(other)
			if w.accepted.Load() != parcels+batchPayloads || w.fresh.Load() != parcels {
				t.Errorf("%d payloads went in, %d new; want %d and %d", w.accepted.Load(), w.fresh.Load(), parcels+batchPayloads, parcels)
			}
			w.expect(numbers[0], 2, "")
			w.expect(numbers[parcels-1], 2, "")
		})
	}
}

// Two replicas that look at once read each file once.
func TestTwoReplicas(t *testing.T) {
	for _, db := range storagetest.Open(t) {
		t.Run(db.Name, func(t *testing.T) {
			w := newWorld(t, db.Store)
			dir := t.TempDir()
			place, err := Local(dir)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 6 {
				file, _ := manyScans(20 + i)
				drop(t, dir, fmt.Sprintf("S%d", i), file)
			}
			move := func(s *Source) { s.Done = DoneMove }
			a, b := w.watch(place, move), w.watch(place, move)
			w.look(a)
			w.look(b)
			var work sync.WaitGroup
			for _, one := range []*watch{a, b} {
				work.Go(func() {
					for range 3 {
						if _, err := one.look(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			work.Wait()
			if n := a.stat.Files + b.stat.Files; n != 6 || w.accepted.Load() != 6*20+15 {
				t.Errorf("%d files and %d payloads were read", n, w.accepted.Load())
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "S*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestSFTPDoors(t *testing.T) {
	server := serveSFTP(t)
	dir := t.TempDir()
	mine, pem := newSigner(t)
	server.client = mine
	other, otherPEM := newSigner(t)
	right := server.options(dir)
	for _, tt := range []struct {
		name   string
		change func(*SFTPOptions)
		want   error
		says   string
	}{
		{"password", func(*SFTPOptions) {}, nil, ""},
		{"key", func(o *SFTPOptions) { o.Password, o.PrivateKey = "", pem }, nil, ""},
		{"key before password", func(o *SFTPOptions) { o.Password, o.PrivateKey = "wrong", pem }, nil, ""},
		{"fingerprint", func(o *SFTPOptions) { o.HostKey = ssh.FingerprintSHA256(server.hostKey) }, nil, ""},
		{"line of known_hosts", func(o *SFTPOptions) { o.HostKey = "# theirs\n[127.0.0.1]:2222 " + o.HostKey }, nil, ""},
		{"old and new key", func(o *SFTPOptions) { o.HostKey = string(ssh.MarshalAuthorizedKey(other.PublicKey())) + o.HostKey }, nil, ""},
		{"wrong host key", func(o *SFTPOptions) { o.HostKey = string(ssh.MarshalAuthorizedKey(other.PublicKey())) }, parcel.ErrDenied, ssh.FingerprintSHA256(server.hostKey)},
		{"wrong fingerprint", func(o *SFTPOptions) { o.HostKey = ssh.FingerprintSHA256(other.PublicKey()) }, parcel.ErrDenied, "ask the carrier"},
		{"wrong password", func(o *SFTPOptions) { o.Password = "let-me-in-8" }, parcel.ErrDenied, "does not let dpd in"},
		{"wrong key", func(o *SFTPOptions) { o.Password, o.PrivateKey = "", otherPEM }, parcel.ErrDenied, "does not let dpd in"},
		{"no such directory", func(o *SFTPOptions) { o.URL += "/nowhere" }, parcel.ErrUnavailable, "list"},
		{"nobody answers", func(o *SFTPOptions) { o.URL = "sftp://dpd@127.0.0.1:1/x" }, parcel.ErrUnavailable, "cannot be reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := right
			tt.change(&o)
			place, err := SFTP(o)
			if err != nil {
				t.Fatal(err)
			}
			f, err := place.open(t.Context())
			if err == nil {
				_, err = f.list(t.Context())
				if closeErr := f.close(); closeErr != nil {
					t.Error(closeErr)
				}
			}
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %q", err, tt.want, tt.says)
			}
			for _, secret := range []string{server.password, "let-me-in-8", "PRIVATE KEY"} {
				if err != nil && strings.Contains(err.Error(), secret) || strings.Contains(place.Address(), secret) {
					t.Errorf("%q is shown", secret)
				}
			}
		})
	}
}

// A server that has an RSA key proves it without SHA-1.
func TestRSAHostKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	server := serveSFTPAs(t, signer)
	dir := t.TempDir()
	drop(t, dir, "S1", scanHeader)
	f, err := server.place(t, dir).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.close() }()
	if all, err := f.list(t.Context()); err != nil || len(all) != 1 || all[0].name != "S1" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestBadSFTPOptions(t *testing.T) {
	good := SFTPOptions{URL: "sftp://dpd@ftp.example/out", HostKey: "SHA256:abc", Password: "p"}
	for _, tt := range []struct {
		says   string
		change func(*SFTPOptions)
	}{
		{"host_key", func(o *SFTPOptions) { o.HostKey = "" }},
		{"host_key", func(o *SFTPOptions) { o.HostKey = "# nothing" }},
		{"host_key", func(o *SFTPOptions) { o.HostKey = "ssh-ed25519 rubbish" }},
		{"neither password", func(o *SFTPOptions) { o.Password = "" }},
		{"private_key", func(o *SFTPOptions) { o.PrivateKey = "rubbish" }},
		{"shows a password", func(o *SFTPOptions) { o.URL = "sftp://dpd:secret-7@ftp.example/out" }},
		{"sftp://", func(o *SFTPOptions) { o.URL = "ftp://dpd@ftp.example/out" }},
		{"sftp://", func(o *SFTPOptions) { o.URL = "sftp://ftp.example/out" }},
	} {
		o := good
		tt.change(&o)
		_, err := SFTP(o)
		if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret-7") {
			t.Errorf("%q: %v", tt.says, err)
		}
	}
	for address, want := range map[string]string{"sftp://dpd@ftp.example/out/": "/out", "sftp://dpd@ftp.example": ".", "sftp://dpd@ftp.example:2222/~/out": "out"} {
		o := good
		o.URL = address
		p, err := SFTP(o)
		if err != nil || p.(*sftpPlace).dir != want {
			t.Errorf("%s: %+v, %v", address, p, err)
		}
	}
}

// A source that fails is looked at again, later each time, and says why; when
// it is mended it is as before. The end ends it.
func TestRun(t *testing.T) {
	w := newWorld(t, storagetest.SQLite(t).Store)
	dir := filepath.Join(t.TempDir(), "later")
	place, err := Local(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := Source{Name: "dpd", Account: "main", Spec: w.spec, Carrier: w.carrier, Place: place, Every: time.Minute}
	watcher, err := New(Options{Sources: []Source{s}, Store: w.store, Accept: w.accept, Wall: w.wall, Spool: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watcher.Run(ctx)
	}()
	await := func(what string, ok func(Stat) bool) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for !ok(watcher.Stats()[0]) {
			select {
			case <-deadline:
				t.Fatalf("no %s: %+v", what, watcher.Stats()[0])
			case <-time.After(2 * time.Millisecond):
			}
		}
	}
	pass := func(what string, step time.Duration, ok func(Stat) bool) {
		t.Helper()
		await(what, func(s Stat) bool {
			if !ok(s) {
				w.wall.Advance(step)
			}
			return ok(s)
		})
	}
	await("first failure", func(s Stat) bool {
		return s.Failures == 1 && strings.Contains(s.Problem, "no such file") && s.LastFailure.Equal(now)
	})
	pass("third failure", time.Second, func(s Stat) bool { return s.Failures >= 3 && s.FailuresTotal >= 3 })
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	drop(t, dir, firstFile, sampleFile(t, firstFile))
	pass("file read", time.Second, func(s Stat) bool { return s.Files == 1 })
	await("rest", func(s Stat) bool {
		return s.Failures == 0 && s.Problem == "" && s.Observations == 12 && s.Waiting == 0 && !s.LastSuccess.IsZero()
	})
	cancel()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("Run goes on after the end")
	}
}

func TestWaits(t *testing.T) {
	w := &watch{Source: Source{Every: time.Minute}}
	for i, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		want *= time.Second
		if got := w.backoff(int64(i + 1)); got < want/2 || got > want {
			t.Errorf("after %d failures %s, want between %s and %s", i+1, got, want/2, want)
		}
	}
	if got := w.backoff(1 << 40); got > lastBackoff {
		t.Errorf("after many failures %s", got)
	}
	for range 100 {
		if got := jitter(time.Minute); got < 54*time.Second || got > 66*time.Second {
			t.Errorf("jitter %s", got)
		}
	}
}

func TestBadSources(t *testing.T) {
	w := newWorld(t, storagetest.SQLite(t).Store)
	place, err := Local(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		says   string
		change func(*Source)
	}{
		{"takes no files", func(s *Source) { s.Carrier = nil }},
		{"names no folder", func(s *Source) { s.Place = nil }},
		{"is no pattern", func(s *Source) { s.Match = "[" }},
		{"must have {name}", func(s *Source) { s.Semaphore = "ready" }},
		{"must have {name}", func(s *Source) { s.Semaphore = NamePart }},
		{"leave, move or delete", func(s *Source) { s.Done = "burn" }},
		{"every", func(s *Source) { s.Every = time.Second }},
		{"done_folder", func(s *Source) { s.DoneFolder = "../elsewhere" }},
	} {
		s := Source{Name: "dpd", Account: "main", Spec: w.spec, Carrier: w.carrier, Place: place}
		tt.change(&s)
		_, err := New(Options{Sources: []Source{s}, Store: w.store, Accept: w.accept, Wall: clock.Wall()})
		if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "drop dpd") {
			t.Errorf("%q: %v", tt.says, err)
		}
	}
	s := Source{Name: "a", Account: "main", Spec: w.spec, Carrier: w.carrier, Place: place}
	b := s
	if _, err := New(Options{Sources: []Source{s, b}, Store: w.store, Accept: w.accept, Wall: clock.Wall()}); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("one name twice: %v", err)
	}
	b.Name = "b"
	if _, err := New(Options{Sources: []Source{s, b}, Store: w.store, Accept: w.accept, Wall: clock.Wall()}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "same folder") {
		t.Errorf("one folder twice: %v", err)
	}
}

func TestTry(t *testing.T) {
	eachPlace(t, func(t *testing.T, w *world, dir string, place Place) {
		drop(t, dir, firstFile, sampleFile(t, firstFile))
		drop(t, dir, secondFile, sampleFile(t, secondFile))
		drop(t, dir, secondFile+".SEM", "")
		drop(t, dir, "readme.txt", "hello")
		if err := os.Symlink("nowhere", filepath.Join(dir, "SCANINFO_LINK")); err != nil {
			t.Fatal(err)
		}
		s := Source{Name: "dpd", Account: "main", Spec: w.spec, Carrier: w.carrier, Place: place, Match: "SCANINFO_*", Semaphore: "{name}.SEM", Done: DoneDelete}
		got, err := Try(t.Context(), s, Options{Spool: t.TempDir()}, 5)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Files {
			got.Files[i].Modified = time.Time{}
		}
		second := FileReport{Name: secondFile, Size: 614, State: "complete: " + secondFile + ".SEM is there", Read: true, Payloads: 1, Observations: 2, Bad: 1}
		second.Faults = []string{"dpd-sftp: " + secondFile + ": line 4: 10 columns where the header has 32: malformed"}
		want := Report{Address: place.Address(), PassedOver: 1, Refused: []FileReport{{Name: "SCANINFO_LINK", State: "it is a link"}},
			Files: []FileReport{second, {Name: firstFile, Size: 1697, State: "waits for " + firstFile + ".SEM"}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if w.accepted.Load() > 0 || !exists(t, dir, secondFile) {
			t.Error("a trial changes something")
		}
	})
}

// broken is an adapter that panics in the middle of one file.
type broken struct{ carriers.Splitter }

func (b broken) Decode(p parcel.Payload) (parcel.Reading, error) {
	return b.Splitter.(carriers.Carrier).Decode(p)
}

func (b broken) Redact(p parcel.Payload) parcel.Payload {
	if strings.Contains(string(p.Body), returning) {
		panic("no")
	}
	return p
}

func TestPanicHarmsOneFile(t *testing.T) {
	w := newWorld(t, storagetest.SQLite(t).Store)
	w.register(delivered)
	dir := t.TempDir()
	place, err := Local(dir)
	if err != nil {
		t.Fatal(err)
	}
	drop(t, dir, "S1", scanHeader+returning+";05;0530;20261020191500;\n")
	drop(t, dir, "S2", scanHeader+delivered+";05;0530;20261020191500;\n \n")
	one := w.watch(place, func(s *Source) { s.Carrier = broken{w.carrier.(carriers.Splitter)} })
	w.look(one)
	if _, err := one.look(t.Context()); !errors.Is(err, errPanicked) || !strings.Contains(err.Error(), "S1") {
		t.Errorf("got %v", err)
	}
	w.expect(delivered, 1, "")
}
