package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/ingest/drops"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
)

// The store is where it is kept how far each file was read.
var _ drops.Store = memory{}

// sourceOf makes the source of a drop, for an account that is bound. The error
// names the drop's line.
func sourceOf(file *config.File, d *config.Drop, spec carriers.Spec, c carriers.Carrier) (drops.Source, error) {
	s := drops.Source{
		Name: d.Name, Account: d.Account, Spec: spec, Carrier: c, Every: d.Every, Match: d.Match, Semaphore: d.Semaphore,
		Done: drops.Done(d.Done), DoneFolder: d.DoneFolder, MaxBytes: d.MaxBytes,
	}
	var err error
	if d.SFTP != "" {
		s.Place, err = drops.SFTP(drops.SFTPOptions{
			URL: d.SFTP, HostKey: d.HostKey, Password: d.Secrets["password"], PrivateKey: d.Secrets["private_key"], Passphrase: d.Secrets["passphrase"],
			Wall: clock.Wall(),
		})
	} else {
		s.Place, err = drops.Local(d.Folder)
	}
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return s, &config.Problem{Path: file.Path, Line: d.Line, Text: strings.TrimPrefix(oneLine(err), "drop "+d.Name+": ")}
	}
	return s, nil
}

// dropSources makes the sources of the configuration; accounts are those that
// are bound. All mistakes are told at once.
func dropSources(file *config.File, accounts []ingest.Account) ([]drops.Source, error) {
	var out []drops.Source
	var faults []error
	for i := range file.Drops {
		d := &file.Drops[i]
		at := slices.IndexFunc(accounts, func(a ingest.Account) bool { return a.Spec.Name == d.Carrier && a.Name == d.Account })
		if at < 0 {
			faults = append(faults, &config.Problem{Path: file.Path, Line: d.Line, Text: fmt.Sprintf("there is no account %s/%s", d.Carrier, d.Account)})
			continue
		}
		s, err := sourceOf(file, d, accounts[at].Spec, accounts[at].Carrier)
		faults = append(faults, err)
		out = append(out, s)
	}
	return out, errors.Join(faults...)
}

// drops checks the drops of the configuration, and asks no server.
func (x *examination) drops(file *config.File, cat *catalog, con *console, log *slog.Logger) {
	for i := range file.Drops {
		d := &file.Drops[i]
		if _, err := trialSource(file, cat, con, log, d); err != nil {
			x.sick("drop "+d.Name, "%v", err)
			continue
		}
		x.well("drop "+d.Name, "settings are complete; milepost drops check tries it")
	}
}

// trialSource binds the account of a drop by itself.
func trialSource(file *config.File, cat *catalog, con *console, log *slog.Logger, d *config.Drop) (drops.Source, error) {
	at := slices.IndexFunc(file.Accounts, func(a config.Account) bool { return a.Carrier == d.Carrier && a.Name == d.Account })
	if at < 0 {
		return drops.Source{}, fmt.Errorf("drop %s: there is no account %s/%s: %w", d.Name, d.Carrier, d.Account, parcel.ErrInvalid)
	}
	spec, c, err := binding{catalog: cat, wall: con.wall, log: log}.bind(&file.Accounts[at])
	if err != nil {
		return drops.Source{}, err
	}
	return sourceOf(file, d, spec, c)
}

type dropsCommand struct {
	Check dropsCheck `cmd:"" help:"Try the places in which carriers leave files."`
}

type dropsCheck struct {
	Name   string        `arg:"" optional:"" help:"Only the drop of this name."`
	Read   int           `help:"How many of the newest complete files are read for the trial; 0 for none." default:"1"`
	Within time.Duration `help:"Give up after this time." default:"1m"`
	JSON   bool          `name:"json" help:"Print JSON."`
}

func (dropsCheck) Help() string {
	return `Opens each drop of the configuration, lists its files, says what a look would do with each, and reads the
newest as its carrier's adapter does. Nothing is stored, moved or deleted; what was read before is not known
here. Exit code 1 says that a drop could not be opened, or that a file read for the trial has bad lines.

Examples:
  milepost drops check --config milepost.yaml
  milepost drops check dpd-sftp/main --read 5 --config milepost.yaml`
}

// Validate bounds the trial.
func (c *dropsCheck) Validate() error {
	if c.Read < 0 || c.Within <= 0 {
		return fmt.Errorf("--read and --within must not be below zero")
	}
	return nil
}

func (c *dropsCheck) Run(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	return checkDrops(ctx, con, log, file, cat, c)
}

// dropTrial is what was found of one drop, or why nothing could be.
type dropTrial struct {
	Name    string `json:"name"`
	Carrier string `json:"carrier"`
	Account string `json:"account"`
	drops.Report
	Problem string `json:"problem,omitempty"`
}

// checkDrops tries the drops of the configuration and says plainly what it
// found.
func checkDrops(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog, c *dropsCheck) error {
	var names []string
	var trials []dropTrial
	sick := 0
	for i := range file.Drops {
		d := &file.Drops[i]
		names = append(names, d.Name)
		if c.Name != "" && c.Name != d.Name {
			continue
		}
		trial := dropTrial{Name: d.Name, Carrier: d.Carrier, Account: d.Account}
		source, err := trialSource(file, cat, con, log, d)
		if err == nil {
			within, cancel := context.WithTimeout(ctx, c.Within)
			trial.Report, err = drops.Try(within, source, drops.Options{Wall: con.wall, Log: log}, c.Read)
			cancel()
		}
		bad := 0
		for _, f := range trial.Files {
			bad += f.Bad
		}
		if err != nil {
			trial.Problem = oneLine(err)
		}
		if err != nil || bad > 0 {
			sick++
		}
		trials = append(trials, trial)
	}
	switch {
	case len(names) == 0:
		return fmt.Errorf("no drop is configured; add one below drops: in the file that --config names (docs/operations.md): %w", parcel.ErrNotFound)
	case len(trials) == 0:
		return badUsage("there is no drop %q; there are %s", c.Name, strings.Join(names, ", "))
	case c.JSON:
		if err := writeJSON(con.out, trials); err != nil {
			return err
		}
	default:
		for _, t := range trials {
			printTrial(con, t)
		}
	}
	if sick > 0 {
		return told{fmt.Errorf("%d drops have trouble", sick)}
	}
	return nil
}

func printTrial(con *console, t dropTrial) {
	con.printf("drop %s: %s by account %s\n", t.Name, t.Carrier, t.Account)
	if t.Address != "" {
		con.printf("  at %s\n", t.Address)
	}
	if t.Problem != "" {
		con.printf("  FAIL %s\n", t.Problem)
		return
	}
	con.printf("  %d files to read, %d refused, %d other names\n", len(t.Files), len(t.Refused), t.PassedOver)
	for _, f := range t.Files {
		con.printf("  %s  %d bytes, %s: %s\n", f.Name, f.Size, f.Modified.Format(time.RFC3339), f.State)
		if !f.Read {
			continue
		}
		con.printf("    read: %d payloads, %d observations, %d with codes nobody mapped, %d bad lines\n", f.Payloads, f.Observations, f.Unmapped, f.Bad)
		for _, fault := range f.Faults {
			con.printf("    bad: %s\n", fault)
		}
		if more := f.Bad - len(f.Faults); more > 0 {
			con.printf("    and %d more\n", more)
		}
	}
	for _, f := range t.Refused {
		con.printf("  refused %q: %s\n", f.Name, f.State)
	}
}

// dropStats is what this process has seen of a drop, for /stats.
type dropStats struct {
	Name         string     `json:"name"`
	Carrier      string     `json:"carrier"`
	Account      string     `json:"account"`
	Address      string     `json:"address"`
	Looks        int64      `json:"looks"`
	Failures     int64      `json:"failures"`
	Files        int64      `json:"files"`
	Observations int64      `json:"observations"`
	BadLines     int64      `json:"badLines"`
	Waiting      int64      `json:"waiting"`
	Refused      int64      `json:"refused"`
	LastSuccess  *time.Time `json:"lastSuccess,omitempty"`
	LastFailure  *time.Time `json:"lastFailure,omitempty"`
	Problem      string     `json:"problem,omitempty"`
}

func (s *server) dropStats() []dropStats {
	out := []dropStats{}
	if s.drops == nil {
		return out
	}
	for _, d := range s.drops.Stats() {
		out = append(out, dropStats{
			Name: d.Name, Carrier: d.Carrier, Account: d.Account, Address: d.Address, Looks: d.Looks, Failures: d.FailuresTotal, Files: d.Files,
			Observations: d.Observations, BadLines: d.Bad, Waiting: d.Waiting, Refused: d.Refused,
			LastSuccess: instantOrNil(d.LastSuccess), LastFailure: instantOrNil(d.LastFailure), Problem: d.Problem,
		})
	}
	return out
}

// dropNumbers gives Prometheus what is known of drops. Names are those of the
// configuration, so there are few.
type dropNumbers struct{ *drops.Watcher }

var _ prometheus.Collector = dropNumbers{}

type dropMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(drops.Stat) float64
}

func dropMetrics() []dropMetric {
	seconds := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return float64(t.UnixMilli()) / 1000
	}
	metric := func(name, help string, kind prometheus.ValueType, of func(drops.Stat) float64) dropMetric {
		return dropMetric{describe("drop", name, help, "drop"), kind, of}
	}
	return []dropMetric{
		metric("looks_total", "Looks at the folder that succeeded.", prometheus.CounterValue, func(s drops.Stat) float64 { return float64(s.Looks) }),
		metric("failures_total", "Looks that failed.", prometheus.CounterValue, func(s drops.Stat) float64 { return float64(s.FailuresTotal) }),
		metric("files_total", "Files read to their end.", prometheus.CounterValue, func(s drops.Stat) float64 { return float64(s.Files) }),
		metric("lines_total", "Lines of those files that told of a parcel.", prometheus.CounterValue, func(s drops.Stat) float64 { return float64(s.Observations) }),
		metric("bad_lines_total", "Lines set aside, since they could not be read.", prometheus.CounterValue, func(s drops.Stat) float64 { return float64(s.Bad) }),
		metric("waiting_files", "Files that were not complete at the last look.", prometheus.GaugeValue, func(s drops.Stat) float64 { return float64(s.Waiting) }),
		metric("refused_files", "Files that are never read, for their name, kind or size.", prometheus.GaugeValue, func(s drops.Stat) float64 { return float64(s.Refused) }),
		metric("last_success_seconds", "When a look last succeeded, since 1970; 0 for never.", prometheus.GaugeValue, func(s drops.Stat) float64 { return seconds(s.LastSuccess) }),
	}
}

// Describe implements [prometheus.Collector].
func (d dropNumbers) Describe(out chan<- *prometheus.Desc) {
	for _, m := range dropMetrics() {
		out <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (d dropNumbers) Collect(out chan<- prometheus.Metric) {
	all := d.Stats()
	for _, m := range dropMetrics() {
		for _, s := range all {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(s), s.Name)
		}
	}
}
