// Package carriertest is the exam that every adapter passes: what it reads,
// what it must never do, and how it takes bad weather, all against its own
// samples and its own fake, without a network.
//
// Samples lie in the adapter's testdata folder. Each that one of the spec's
// kinds sniffs is decoded and compared with NAME.golden.jsonl beside it, which
// `go test -update` writes anew; files that no kind sniffs are left alone. An
// optional testdata/exam.json says what the exam cannot know by itself; see
// Config.
package carriertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

func init() {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "write golden files anew")
	}
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// Config is testdata/exam.json. All of it is optional.
type Config struct {
	// Settings of the account, for adapters that need values of a certain form.
	// Settings not named here and without a default get a made-up value; an
	// empty value leaves one out.
	Settings map[string]string `json:"settings"`
	// Kinds names the payload kind of samples that no Sniff knows, by file;
	// "-" for files that are no payload although one does.
	Kinds map[string]string `json:"kinds"`
	// Numbers are those that a sample was the answer to, by file. Otherwise
	// they are those that the sample speaks of.
	Numbers map[string][]string `json:"numbers"`
	// Known is a tracking number as this carrier writes them; otherwise the
	// first in the samples.
	Known string `json:"known"`
	// Personal are strings in the samples that Redact must remove.
	Personal []string `json:"personal"`
	// UnsignedPush says that the carrier signs no bodies: its pushes carry a
	// shared secret, so a changed body cannot be told.
	UnsignedPush bool `json:"unsignedPush"`
}

// Run examines a registered adapter, in its own folder.
func Run(t *testing.T, name string) {
	t.Helper()
	spec, err := carriers.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	RunSpec(t, spec, "testdata")
}

// RunSpec examines an adapter with the samples of a folder.
func RunSpec(t *testing.T, spec carriers.Spec, samples string) {
	t.Helper()
	e := &exam{spec: spec, dir: samples, settings: map[string]string{}}
	e.readConfig(t)
	t.Run("spec", e.testSpec)
	e.readSamples(t)
	t.Run("samples", e.testSamples)
	t.Run("mutations", e.testMutations)
	t.Run("files", e.testFiles)
	t.Run("fetch", e.testFetch)
	t.Run("weather", e.testWeather)
	t.Run("push", e.testPush)
}

type exam struct {
	spec     carriers.Spec
	dir      string
	config   Config
	settings map[string]string
	samples  []sampleFile
}

type sampleFile struct {
	file    string
	kind    carriers.PayloadKind
	payload parcel.Payload
}

func (e *exam) readConfig(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(e.dir, "exam.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		t.Fatal(err)
	default:
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e.config); err != nil {
			t.Fatalf("exam.json: %v", err)
		}
	}
	for _, s := range e.spec.Settings {
		if s.Default == "" {
			e.settings[s.Name] = "exam-" + s.Name
		}
	}
	for k, v := range e.config.Settings {
		e.settings[k] = v
		if v == "" {
			delete(e.settings, k)
		}
	}
}

// secrets are the values that no error and no log line may show.
func (e *exam) secrets() []string {
	var out []string
	for _, s := range e.spec.Settings {
		if s.Secret && e.settings[s.Name] != "" {
			out = append(out, e.settings[s.Name])
		}
	}
	return out
}

// open binds the adapter to the exam's account; nil HTTP leaves it without a
// client, as a decoder of stored payloads has it.
func (e *exam) open(t *testing.T, client *http.Client, wall carriers.Clock, log *slog.Logger) carriers.Carrier {
	t.Helper()
	c, err := e.spec.New(carriers.Env{
		Account: "exam", BaseURL: doorURL, Settings: maps.Clone(e.settings), HTTP: client, Wall: wall, Log: log,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

// reader is an adapter that can only decode.
func (e *exam) reader(t *testing.T) carriers.Carrier {
	t.Helper()
	return e.open(t, nil, newClock(), slog.New(slog.DiscardHandler))
}

func (e *exam) readSamples(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		t.Fatal(err)
	}
	reader := e.reader(t)
	for _, entry := range entries {
		file := entry.Name()
		if entry.IsDir() || file == "exam.json" || strings.HasSuffix(file, goldenSuffix) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(e.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		kind, ok := e.kindOf(file, body)
		if !ok {
			continue
		}
		p := parcel.Payload{Carrier: e.spec.Name, Account: "exam", Kind: kind.Name, Source: kind.Source, Body: body}
		if kind.Source == parcel.SourcePoll {
			p.Numbers = e.config.Numbers[file]
			if p.Numbers == nil {
				r, _ := reader.Decode(p)
				p.Numbers = numbersOf(r)
			}
		}
		e.samples = append(e.samples, sampleFile{file: file, kind: kind, payload: p})
	}
	if len(e.samples) == 0 {
		t.Fatalf("no samples in %s", e.dir)
	}
}

func (e *exam) kindOf(file string, body []byte) (carriers.PayloadKind, bool) {
	want, named := e.config.Kinds[file]
	for _, k := range e.spec.Kinds {
		if named && k.Name == want || !named && k.Sniff != nil && k.Sniff(body) {
			return k, true
		}
	}
	return carriers.PayloadKind{}, false
}

// known is a number as this carrier writes them.
func (e *exam) known(t *testing.T) string {
	t.Helper()
	if e.config.Known != "" {
		return e.config.Known
	}
	reader := e.reader(t)
	for _, s := range e.samples {
		if r, _ := reader.Decode(s.payload); len(r.Observations) > 0 {
			return r.Observations[0].Number
		}
	}
	t.Fatal("no sample has an observation; name a number in exam.json")
	return ""
}

// testSpec checks what the adapter says about itself.
func (e *exam) testSpec(t *testing.T) {
	names := map[string]bool{}
	for _, s := range e.spec.Settings {
		if s.Name == "" || s.Doc == "" || names[s.Name] {
			t.Errorf("setting %q: needs a name of its own and a line of documentation", s.Name)
		}
		names[s.Name] = true
		if !s.Required {
			continue
		}
		settings := maps.Clone(e.settings)
		delete(settings, s.Name)
		_, err := e.spec.New(carriers.Env{Account: "exam", Settings: settings, Wall: newClock(), Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), s.Name) {
			t.Errorf("New without the required setting %s: %v, want ErrInvalid that names it", s.Name, err)
		}
	}
	clear(names)
	for _, k := range e.spec.Kinds {
		if k.Name == "" || k.Doc == "" || k.Source == "" || names[k.Name] {
			t.Errorf("payload kind %q: needs a name of its own, a source and a line of documentation", k.Name)
		}
		names[k.Name] = true
	}
	if _, err := time.Parse(time.DateOnly, e.spec.Codes.Version()); err != nil {
		t.Errorf("table version: %v", err)
	}
	for _, row := range e.spec.Codes.Rows() {
		if !row.Code.Valid() || row.Rule == "" || row.Reason != "" && !row.Reason.Valid() || row.DeliveredTo != "" && !row.DeliveredTo.Valid() {
			t.Errorf("table row %+v", row)
		}
	}
	c := e.reader(t)
	if _, err := c.Decode(parcel.Payload{Carrier: e.spec.Name, Kind: "no-such-kind", Body: []byte("x")}); err == nil {
		t.Error("a payload of no known kind decodes without error")
	}
	_, fetches := c.(carriers.Fetcher)
	if fetches && (e.spec.BaseURL == "" || e.spec.Batch < 1) {
		t.Error("a Fetcher needs BaseURL and Batch")
	}
	if f := e.spec.Fake(carriers.FakeEnv{Settings: e.settings, Now: newClock().Now, Journeys: nobody}); len(f.Speaks()) == 0 && fetches {
		t.Error("the fake speaks no code")
	}
}

func nobody(string) (carriers.FakeHistory, bool) { return carriers.FakeHistory{}, false }

// ruleClock is the exam's time, trade and wall in one: it stands until someone
// sleeps, which takes no time at all.
type ruleClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *ruleClock {
	return &ruleClock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
}

func (c *ruleClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *ruleClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.advance(d)
	return nil
}

func (c *ruleClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
}

// numbersOf lists the numbers that a reading speaks of, in order.
func numbersOf(r parcel.Reading) []string {
	var out []string
	add := func(n string) {
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, x := range r.Results {
		add(x.Number)
	}
	for _, o := range r.Observations {
		add(o.Number)
	}
	return out
}

// kindNames names the kinds that an error has.
func kindNames(err error) []string {
	var out []string
	for name, kind := range map[string]error{
		"denied": parcel.ErrDenied, "invalid": parcel.ErrInvalid, "malformed": parcel.ErrMalformed,
		"not found": parcel.ErrNotFound, "throttled": parcel.ErrThrottled, "unavailable": parcel.ErrUnavailable,
	} {
		if errors.Is(err, kind) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// guard turns a panic into a failure that says what was being done.
func guard(t *testing.T, what func() string, f func()) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("panic %v: %s", v, what())
		}
	}()
	f()
}

func quoted(b []byte) string {
	const most = 300
	if len(b) > most {
		return fmt.Sprintf("%q and %d bytes more", b[:most], len(b)-most)
	}
	return fmt.Sprintf("%q", b)
}
