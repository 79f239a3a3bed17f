package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/declared"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
)

// defaultCarriersDir is where descriptions are looked for unless told
// otherwise; there, and there alone, the folder may be missing.
const defaultCarriersDir = "carriers.d"

// catalog is the carriers of a deployment: the adapters built in, and those
// that the files of --carriers-dir describe. Every verb looks carriers up here.
// The folder is read at the first look. A nil catalog has what is built in. It
// is safe for concurrent use.
type catalog struct {
	dir    string
	wall   clock.Clock
	folder *declared.Folder // Look is called by once, and then by watch alone
	once   sync.Once
	now    atomic.Pointer[shelf]
}

// shelf is the declared carriers at one moment.
type shelf struct {
	declared.Set
	err error // of the folder
}

func newCatalog(dir string, wall clock.Clock) *catalog {
	return &catalog{dir: dir, wall: wall, folder: declared.NewFolder(dir, builtIn)}
}

// builtIn tells the names that no description can take.
func builtIn(name string) bool {
	_, err := carriers.Lookup(name)
	return err == nil
}

// shelf gives the declared carriers as they are in force.
func (c *catalog) shelf() *shelf {
	if c == nil || c.dir == "" {
		return &shelf{}
	}
	c.once.Do(func() {
		set, _, err := c.folder.Look(c.wall.Now())
		c.put(set, err)
	})
	return c.now.Load()
}

func (c *catalog) put(set declared.Set, err error) {
	if c.dir == defaultCarriersDir && declared.Missing(err) {
		err = nil
	}
	c.now.Store(&shelf{set, err})
}

// all lists the carriers by name.
func (c *catalog) all() []carriers.Spec {
	out := carriers.All()
	for _, d := range c.shelf().Carriers {
		out = append(out, d.Spec)
	}
	slices.SortFunc(out, func(a, b carriers.Spec) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// lookup gives a carrier by name, or that of a description by its file. The
// error is of kind ErrNotFound and names those there are; where a file has
// mistakes, they may be why, and are told.
func (c *catalog) lookup(name string) (carriers.Spec, error) {
	if declared.IsFile(name) {
		d, err := declared.Load(name, builtIn)
		return d.Spec, err
	}
	if d, ok := c.find(name); ok {
		return d.Spec, nil
	}
	s, err := carriers.Lookup(name)
	if err == nil {
		return s, nil
	}
	var known []string
	for _, s := range c.all() {
		known = append(known, s.Name)
	}
	err = fmt.Errorf("there is no carrier %q (known: %s): %w", name, strings.Join(known, ", "), parcel.ErrNotFound)
	if faults := c.faults(); len(faults) > 0 {
		err = fmt.Errorf("%w; %d of --carriers-dir were not taken, see milepost carriers list: %w", err, len(faults), errNotTaken)
	}
	return s, err
}

// errNotTaken marks the search for a carrier that a broken file may describe.
var errNotTaken = errors.New("a description has mistakes")

func (c *catalog) find(name string) (declared.Carrier, bool) {
	s := c.shelf()
	return s.Lookup(name)
}

// faults are the files that are not in force as they stand, and the folder
// itself where it cannot be read.
func (c *catalog) faults() []declared.Fault {
	s := c.shelf()
	out := s.Faults
	if s.err != nil {
		out = append([]declared.Fault{{File: c.dir, Err: s.err}}, out...)
	}
	return out
}

// tell writes the faults to the log, one line each.
func (c *catalog) tell(log *slog.Logger) {
	for _, f := range c.faults() {
		state := "its carrier is not there"
		if f.Kept != "" {
			state = "the state before this change stays in force"
		}
		for line := range strings.Lines(f.Err.Error()) {
			log.Error("carrier description not taken", "file", f.File, "problem", strings.TrimRight(line, "\n"), "effect", state)
		}
	}
}

// watch follows the folder until ctx is done and calls changed for each new
// set.
func (c *catalog) watch(ctx context.Context, changed func()) {
	if c == nil || c.dir == "" {
		return
	}
	c.shelf() // the first look is over before the next begins
	c.folder.Watch(ctx, c.wall, func(set declared.Set, err error) {
		c.put(set, err)
		changed()
	})
}

// rebind gives the accounts of the configuration as they are after the
// descriptions have changed. Those whose carrier has not are the very same, so
// that they keep their tokens and their place in the queue; one that cannot be
// bound any more keeps its adapter.
func (b binding) rebind(file *config.File, before []ingest.Account, old map[string]declared.Carrier, merchantID func(string) (string, error)) []ingest.Account {
	var out []ingest.Account
	for i := range file.Accounts {
		a := &file.Accounts[i]
		at := slices.IndexFunc(before, func(x ingest.Account) bool { return x.Spec.Name == a.Carrier && x.Name == a.Name })
		d, isDeclared := b.catalog.find(a.Carrier)
		switch {
		case at >= 0 && (!isDeclared && builtIn(a.Carrier) || isDeclared && old[a.Carrier].Digest == d.Digest):
			out = append(out, before[at])
			continue
		case !isDeclared && !builtIn(a.Carrier):
			if at >= 0 {
				b.log.Warn("the description of an account's carrier is gone: it is no longer asked", "carrier", a.Carrier, "account", a.Name)
			}
			continue
		}
		bound, err := b.account(a, merchantID)
		switch {
		case err == nil:
			out = append(out, bound)
			b.log.Info("account bound to a changed description", "carrier", a.Carrier, "account", a.Name, "file", d.File)
		case at >= 0:
			b.log.Error("account cannot be bound to the changed description and keeps the one before", "carrier", a.Carrier, "account", a.Name, "error", err)
			out = append(out, before[at])
		default:
			b.log.Error("account cannot be bound", "carrier", a.Carrier, "account", a.Name, "error", err)
		}
	}
	return out
}

// declaredNow lists the declared carriers by name.
func (c *catalog) declaredNow() map[string]declared.Carrier {
	out := map[string]declared.Carrier{}
	for _, d := range c.shelf().Carriers {
		out[d.Spec.Name] = d
	}
	return out
}

// tryDescription reads a description, plays its carrier on the loopback, asks
// it, and reads the samples beside the file. It says plainly what happened.
func tryDescription(ctx context.Context, con *console, log *slog.Logger, file string) error {
	d, err := declared.Load(file, builtIn)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			con.note("milepost: %s", strings.TrimRight(line, "\n"))
		}
		return told{err}
	}
	spec := &d.Spec
	con.printf("%s: %s (%s); %d rows of codes of %s\n", file, spec.Name, strings.Join(ways(spec), ", "), len(spec.Codes.Rows()), spec.Codes.Version())
	p := rehearsal{con: con, spec: spec, wall: con.wall, log: log, settings: map[string]string{}}
	for _, s := range spec.Settings {
		if p.settings[s.Name] = s.Default; s.Default == "" {
			p.settings[s.Name] = "try-" + s.Name
		}
	}
	return errors.Join(p.play(ctx), p.samples(strings.TrimSuffix(file, filepath.Ext(file))))
}

// rehearsal plays one described carrier.
type rehearsal struct {
	con      *console
	spec     *carriers.Spec
	wall     clock.Clock
	log      *slog.Logger
	settings map[string]string
}

// rehearsed is a number that nobody has.
const rehearsed = "RR000000005XX"

// play serves the carrier's own fake over HTTP, and asks it for a parcel that
// has been everywhere.
func (p *rehearsal) play(ctx context.Context) error {
	now := p.wall.Now()
	var h carriers.FakeHistory
	fake := p.spec.Fake(carriers.FakeEnv{Settings: p.settings, Now: p.wall.Now, Journeys: func(number string) (carriers.FakeHistory, bool) { return h, number == rehearsed }})
	codes := fake.Speaks()
	for i, code := range codes {
		h.Scans = append(h.Scans, carriers.FakeScan{
			Code: code, At: now.Add(-time.Duration(len(codes)-i) * time.Hour).Truncate(time.Minute),
			Place: parcel.Place{Country: cmp.Or(p.spec.Country, "CN"), City: "Example City"},
		})
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: fake.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	var work sync.WaitGroup
	work.Go(func() { _ = server.Serve(listener) }) // ends with Close
	defer work.Wait()
	defer server.Close()
	client := newHTTPClient()
	defer client.CloseIdleConnections()
	c, err := p.spec.New(carriers.Env{Account: "test", BaseURL: "http://" + listener.Addr().String(), Settings: p.settings, HTTP: client, Wall: p.wall, Log: p.log})
	if err != nil {
		return err
	}
	if fetcher, asks := c.(carriers.Fetcher); asks {
		payloads, err := fetcher.Fetch(ctx, []carriers.Query{{Number: rehearsed}})
		if err != nil {
			return fmt.Errorf("asked on the loopback: %w", err)
		}
		if err := p.heard("asked on the loopback", c, payloads, codes); err != nil {
			return err
		}
	}
	verifier, pushes := c.(carriers.Verifier)
	if !pushes {
		return nil
	}
	delivery, ok := fake.Push(rehearsed, h)
	if !ok {
		return fmt.Errorf("no push could be made: %w", parcel.ErrInvalid)
	}
	kind, err := verifier.Verify(delivery)
	if err != nil {
		return fmt.Errorf("pushed: %w", err)
	}
	return p.heard("pushed", c, []parcel.Payload{{Carrier: p.spec.Name, Kind: kind, Source: parcel.SourceWebhook, Body: delivery.Body}}, codes[len(codes)-1:])
}

// heard compares what was read with what was said.
func (p *rehearsal) heard(how string, c carriers.Carrier, payloads []parcel.Payload, said []parcel.Code) error {
	var read []parcel.Code
	for _, payload := range payloads {
		r, err := c.Decode(c.Redact(payload))
		if err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
		for i := range r.Observations {
			read = append(read, r.Observations[i].Code)
		}
	}
	var lost []string
	for _, code := range said {
		if !slices.Contains(read, code) {
			lost = append(lost, string(code))
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("%s: of %d events these did not come back: %s: %w", how, len(said), strings.Join(lost, ", "), parcel.ErrMalformed)
	}
	p.con.printf("%s: all %d events came back\n", how, len(said))
	return nil
}

// samples reads what lies in the folder beside the file, if there is one.
func (p *rehearsal) samples(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		p.con.printf("no samples: put answers of the carrier into %s to have them read\n", dir)
		return nil
	}
	if err != nil {
		return err
	}
	c, err := p.spec.New(carriers.Env{Account: "test", Settings: p.settings, Wall: p.wall, Log: p.log})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || e.Name() == "exam.json" || strings.HasSuffix(e.Name(), ".golden.jsonl") {
			continue
		}
		body, err := readInput(p.con, filepath.Join(dir, e.Name()), maxDecode)
		if err != nil {
			return err
		}
		k, err := kindOf(p.spec, c, "", body)
		if err != nil {
			p.con.printf("%s: looks like no answer of this carrier; left alone\n", e.Name())
			continue
		}
		sample := parcel.Payload{Carrier: p.spec.Name, Kind: k.Name, Source: k.Source, Body: body}
		if k.Source == parcel.SourcePoll {
			sample.Numbers = []string{rehearsed} // whose an answer is that names no number
		}
		r, err := c.Decode(c.Redact(sample))
		nobody := 0
		for i := range r.Observations {
			if r.Observations[i].Code == parcel.CodeUnknown {
				nobody++
			}
		}
		p.con.printf("%s: %s, %d events, %d of them with codes or words that the table lacks\n", e.Name(), k.Name, len(r.Observations), nobody)
		if err != nil {
			p.con.printf("%s: %s\n", e.Name(), oneLine(err))
		}
	}
	return nil
}
