// Package drops fetches the files in which some carriers tell their scans: from
// a folder of this machine or a directory on an SFTP server. A file is read
// once it is complete, whole or from where an earlier reading was cut off, and
// what is in it goes the one road in. What is known of a file is in the store,
// so that a restart reads nothing twice.
package drops

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// Store remembers how far each file was read.
type Store interface {
	// DropFiles reads what is known of the files of a source by name.
	DropFiles(ctx context.Context, source string, names []string) ([]parcel.DropFile, error)
	// DropFileDone finds a file of these bytes that was read to its end, under
	// any name; ErrNotFound if there is none.
	DropFileDone(ctx context.Context, source string, size int64, digest string) (parcel.DropFile, error)
	// ClaimDropFile takes the right to read a file until a time; ok is false
	// while another replica has it.
	ClaimDropFile(ctx context.Context, f parcel.DropFile, token string, now, until time.Time) (held parcel.DropFile, ok bool, err error)
	// PutDropFile stores how far a claimed file has come; a zero until lets it
	// go. ErrConflict where the claim was lost.
	PutDropFile(ctx context.Context, f parcel.DropFile, token string, until time.Time) error
}

// Done is what becomes of a file that was read.
type Done string

// The ways.
const (
	DoneLeave  Done = "leave"  // it stays where it is
	DoneMove   Done = "move"   // into another folder beside it
	DoneDelete Done = "delete" // it goes, unless a line of it could not be read
)

// Valid tells whether d is one of the ways.
func (d Done) Valid() bool { return d == DoneLeave || d == DoneMove || d == DoneDelete }

// NamePart stands in a semaphore's pattern for the name of the file.
const NamePart = "{name}"

// The bounds of what a drop takes, and its defaults.
const (
	// DefaultEvery is how often a folder is looked at.
	DefaultEvery = 15 * time.Minute
	// MinEvery and MaxEvery bound it.
	MinEvery, MaxEvery = 5 * time.Second, 24 * time.Hour
	// DefaultMaxBytes bounds the size of a file; a larger one is left alone.
	DefaultMaxBytes = 256 << 20
	// DefaultDoneFolder is where DoneMove puts files.
	DefaultDoneFolder = "done"

	// maxListed is how many names one look takes notice of, the newest; maxFiles
	// how many of those that are not known it reads, the oldest first.
	maxListed, maxFiles = 200_000, 10_000
	// batchPayloads and batchBytes bound what becomes durable together.
	batchPayloads, batchBytes = 64, 4 << 20
	// settle is how long a file without semaphore must keep size and time.
	settle = time.Minute
	// lease is how long a file stays ours without a word of progress.
	lease = 5 * time.Minute
	// Waits after failures double from the first, and are never longer than
	// the usual wait between two looks or the last, whichever is more.
	firstBackoff, lastBackoff = 5 * time.Second, 5 * time.Minute
	// maxFaultsLogged is how many bad lines of a file are logged one by one.
	maxFaultsLogged = 20
)

// Source is one folder that is watched for one carrier account.
type Source struct {
	// Name in logs, metrics and on the command line; unique.
	Name string
	// Account is the carrier account through which files come; Carrier is its
	// adapter, which must be a carriers.Splitter.
	Account string
	Spec    carriers.Spec
	Carrier carriers.Carrier
	Place   Place
	// Every is the time between two looks; 0 gives DefaultEvery.
	Every time.Duration
	// Match is the pattern (path.Match) of names to read; empty reads all.
	Match string
	// Semaphore is the name of the file that says that NAME is complete, with
	// NamePart for NAME. Without one a file is complete when its size and time
	// are the same at two looks.
	Semaphore string
	// Done is what becomes of a file that was read; empty leaves it. DoneFolder
	// is relative to the folder; empty gives DefaultDoneFolder.
	Done       Done
	DoneFolder string
	// MaxBytes bounds a file's size; 0 gives DefaultMaxBytes.
	MaxBytes int64
}

// Check tells what is wrong with a source; the error is of kind ErrInvalid.
func (s *Source) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("drop %s: %s: %w", s.Name, fmt.Sprintf(format, args...), parcel.ErrInvalid)
	}
	if _, ok := s.Carrier.(carriers.Splitter); !ok {
		return bad("%s takes no files", s.Spec.Name)
	}
	if s.Place == nil {
		return bad("it names no folder")
	}
	if _, err := path.Match(s.Match, "x"); err != nil {
		return bad("match %q is no pattern", s.Match)
	}
	if s.Semaphore != "" && (!strings.Contains(s.Semaphore, NamePart) || s.Semaphore == NamePart) {
		return bad("semaphore %q must have %s in it, and more than that", s.Semaphore, NamePart)
	}
	if s.Done != "" && !s.Done.Valid() {
		return bad("done must be leave, move or delete")
	}
	if s.Every != 0 && (s.Every < MinEvery || s.Every > MaxEvery) {
		return bad("every must be between %s and %s", MinEvery, MaxEvery)
	}
	if s.DoneFolder != "" && !nameOK(s.DoneFolder) {
		return bad("done_folder must be the name of a folder, without a path")
	}
	return nil
}

// key is how the store knows the source.
func (s *Source) key() string { return s.Spec.Name + "/" + s.Account + " " + s.Place.Address() }

// reader names what cuts files into payloads.
func (s *Source) reader() string { return s.Spec.Name + " " + s.Spec.Codes.Version() }

// Options make a Watcher.
type Options struct {
	Sources []Source
	Store   Store
	// Accept is the one road in.
	Accept func(ctx context.Context, payloads ...parcel.Payload) ([]ingest.Receipt, error)
	// Wall runs looks and leases.
	Wall clock.Clock
	Log  *slog.Logger
	// Spool is the folder in which files are kept while they are read; empty
	// gives the machine's own for temporary files.
	Spool string
}

// Watcher looks at sources until it is told to stop. It is safe for concurrent
// use.
type Watcher struct {
	watches []*watch
}

// New makes a watcher. It does no I/O. The error is of kind ErrInvalid and
// names the drop.
func New(o Options) (*Watcher, error) {
	if o.Store == nil || o.Accept == nil || o.Wall == nil {
		return nil, fmt.Errorf("drops: store, road in and clock are needed: %w", parcel.ErrInvalid)
	}
	token := ulid.MustNew(ulid.Timestamp(o.Wall.Now()), ulid.DefaultEntropy()).String()
	w := &Watcher{}
	seen, keys := map[string]bool{}, map[string]string{}
	for _, s := range o.Sources {
		if err := s.Check(); err != nil {
			return nil, err
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("drop %s: there is another of that name: %w", s.Name, parcel.ErrInvalid)
		}
		if other := keys[s.key()]; other != "" {
			return nil, fmt.Errorf("drop %s: drop %s watches the same folder for the same account: %w", s.Name, other, parcel.ErrInvalid)
		}
		seen[s.Name], keys[s.key()] = true, s.Name
		w.watches = append(w.watches, newWatch(s, o, token))
	}
	return w, nil
}

// Run looks at every source until ctx is done, each in its own time: one that
// hangs or fails holds up no other. A file that is being read then is let go at
// the batch it has come to. Run returns when all work has ended.
func (w *Watcher) Run(ctx context.Context) {
	var work sync.WaitGroup
	for _, one := range w.watches {
		work.Go(func() { one.run(ctx) })
	}
	work.Wait()
}

// Stat is what has become of a source since start.
type Stat struct {
	Name, Carrier, Account string
	// Address of the folder, without secrets.
	Address string
	// Looks that succeeded, and Failures in a row since the last that did.
	Looks    int64
	Failures int64
	// FailuresTotal counts all looks that failed.
	FailuresTotal int64
	// Files read to their end; Observations in them; Bad lines and payloads.
	Files, Observations, Bad int64
	// Waiting files are not complete yet; Refused ones are not read for their
	// name, kind or size.
	Waiting, Refused int64
	// LastSuccess and LastFailure are when a look last ended so, wall time.
	LastSuccess, LastFailure time.Time
	// Problem is why the last look failed; empty if it did not.
	Problem string
}

// Stats tells of every source, in the order in which they were given.
func (w *Watcher) Stats() []Stat {
	out := make([]Stat, len(w.watches))
	for i, one := range w.watches {
		one.mu.Lock()
		out[i] = one.stat
		one.mu.Unlock()
	}
	return out
}

// watch is one source being watched.
type watch struct {
	Source
	opts  Options
	log   *slog.Logger
	token string
	// seen is what the last look found of files that are not known: only the
	// goroutine of run uses it.
	seen map[string]entry
	// told names what was logged about a file that stays as it is.
	told map[string]bool

	mu   sync.Mutex
	stat Stat
}

func newWatch(s Source, o Options, token string) *watch {
	if s.Every == 0 {
		s.Every = DefaultEvery
	}
	if s.Done == "" {
		s.Done = DoneLeave
	}
	if s.DoneFolder == "" {
		s.DoneFolder = DefaultDoneFolder
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = DefaultMaxBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Spool == "" {
		o.Spool = os.TempDir()
	}
	return &watch{
		Source: s, opts: o, token: token + " " + s.Name, log: o.Log.With("drop", s.Name, "carrier", s.Spec.Name),
		seen: map[string]entry{}, told: map[string]bool{},
		stat: Stat{Name: s.Name, Carrier: s.Spec.Name, Account: s.Account, Address: s.Place.Address()},
	}
}

// note changes the numbers that others read.
func (w *watch) note(change func(s *Stat)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.stat)
}

func (w *watch) run(ctx context.Context) {
	for {
		waiting, err := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		var wait time.Duration
		now := w.opts.Wall.Now()
		w.note(func(s *Stat) {
			switch {
			case err != nil:
				s.Failures++
				s.FailuresTotal++
				s.LastFailure, s.Problem = now, err.Error()
				wait = w.backoff(s.Failures)
			default:
				s.Looks++
				s.Failures, s.LastSuccess, s.Problem = 0, now, ""
				wait = jitter(w.Every)
				if waiting > 0 {
					wait = min(wait, settle)
				}
			}
			s.Waiting = int64(waiting)
		})
		if err != nil {
			w.log.Warn("drop cannot be read", "again_in", wait, "error", err)
		}
		if w.opts.Wall.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// backoff is the wait after so many failures in a row.
func (w *watch) backoff(failures int64) time.Duration {
	d := min(firstBackoff<<min(failures-1, 10), max(w.Every, lastBackoff))
	return d/2 + rand.N(d/2+1)
}

// jitter keeps replicas that began together from coming together: a tenth
// either way.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
