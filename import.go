package main

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/ingest/importer"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// maxFaultsShown is how many faults are told on the terminal; all of them are
// counted, and --errors writes all of them.
const maxFaultsShown = 20

// importFile takes in a file of shipments.
func importFile(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog, c *importCommand) error {
	mapping := importer.DefaultMapping()
	if c.Map != "" {
		var err error
		if mapping, err = readMapping(c.Map); err != nil {
			return usage{err}
		}
	}
	input, name, done, err := con.seekable(c.File)
	if err != nil {
		return err
	}
	defer done()
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	m, made, err := importMerchant(ctx, s, con, c)
	if err != nil {
		return err
	}
	if made {
		con.note("merchant %s is new", m.Name)
	}
	j := importJob{con: con, log: log, cfg: file, catalog: cat, command: c, store: s, merchant: m, mapping: mapping, input: input, name: name}
	if j.fileSHA, j.size, err = hashOf(input); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if c.Errors != "" {
		f, err := os.Create(c.Errors)
		if err != nil {
			return fmt.Errorf("--errors: %w", err)
		}
		defer f.Close()
		j.errorsFile = f
	}
	return j.run(ctx)
}

// importMerchant finds the merchant, or makes it; a dry run makes nothing.
func importMerchant(ctx context.Context, s *storage.Store, con *console, c *importCommand) (storage.Merchant, bool, error) {
	if err := checkMerchantName(c.Merchant); err != nil {
		return storage.Merchant{}, false, err
	}
	m, made, err := merchantNamed(ctx, s, con.wall, c.Merchant, !c.DryRun)
	if c.DryRun && errors.Is(err, parcel.ErrNotFound) {
		return storage.Merchant{ID: newID(con.wall.Now()), Name: c.Merchant}, true, nil
	}
	return m, made, err
}

// seekable opens a file; what comes through a pipe is spooled first, since a
// file is read twice: to know it, and to take it in.
func (c *console) seekable(path string) (f *os.File, name string, done func(), err error) {
	if path != "-" {
		if f, err = os.Open(path); err != nil {
			return nil, "", nil, err
		}
		if at, err := f.Stat(); err == nil && at.Mode().IsRegular() {
			return f, filepath.Base(path), func() { f.Close() }, nil
		}
		defer f.Close()
	}
	var from io.Reader = c.in
	name = "standard input"
	if f != nil {
		from, name = f, filepath.Base(path)
	}
	spool, err := os.CreateTemp("", "milepost-import-*")
	if err != nil {
		return nil, "", nil, err
	}
	done = func() {
		spool.Close()
		os.Remove(spool.Name())
	}
	if _, err := io.Copy(spool, from); err != nil {
		done()
		return nil, "", nil, fmt.Errorf("%s: %w", name, err)
	}
	return spool, name, done, nil
}

// hashOf names a file by what is in it.
func hashOf(f *os.File) (sha string, size int64, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// importJob is one run of `import`.
type importJob struct {
	con      *console
	log      *slog.Logger
	cfg      *config.File
	catalog  *catalog
	command  *importCommand
	store    *storage.Store
	merchant storage.Merchant
	mapping  importer.Mapping
	input    *os.File
	name     string
	size     int64
	fileSHA  string
	bar      progress

	errorsFile *os.File
	errors     *csv.Writer // nil unless they are wanted
	shown      int
	unshown    int
}

// begin forgets the faults of a try that was undone.
func (j *importJob) begin() error {
	j.shown, j.unshown = 0, 0
	if j.errorsFile == nil {
		return nil
	}
	if _, err := j.errorsFile.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("--errors: %w", err)
	}
	if err := j.errorsFile.Truncate(0); err != nil {
		return fmt.Errorf("--errors: %w", err)
	}
	j.errors = csv.NewWriter(j.errorsFile)
	if err := j.errors.Write([]string{"line", "kind", "field", "column", "value", "message"}); err != nil {
		return fmt.Errorf("--errors: %w", err)
	}
	return nil
}

func (j *importJob) run(ctx context.Context) error {
	was, err := j.store.ImportRun(ctx, storage.OfMerchant(j.merchant.ID), j.fileSHA, j.mapping.SHA())
	switch {
	case errors.Is(err, parcel.ErrNotFound) || err == nil && j.command.Again:
		was = storage.ImportRun{ID: newID(j.con.wall.Now()), MerchantID: j.merchant.ID, FileSHA: j.fileSHA, MappingSHA: j.mapping.SHA()}
	case err != nil:
		return err
	case j.command.DryRun || j.command.AllOrNothing:
		was.NextLine = 0 // both look at the whole file
	}
	if err := j.begin(); err != nil {
		return err
	}
	began := j.con.wall.Now()
	j.bar = j.con.newProgress("importing "+j.name, j.size, true)
	var sum importer.Summary
	switch {
	case j.command.DryRun:
		sum, err = j.take(ctx, undone{memory{j.store}}, was, false)
	case j.command.AllOrNothing:
		sum, err = j.takeWhole(ctx, was)
	default:
		sum, err = j.take(ctx, memory{j.store}, was, true)
	}
	j.bar.finish()
	took := j.con.wall.Now().Sub(began)
	if j.unshown > 0 {
		j.con.note("… and %d more", j.unshown)
	}
	if j.errors != nil {
		if j.errors.Flush(); j.errors.Error() != nil {
			err = errors.Join(err, fmt.Errorf("--errors: %w", j.errors.Error()))
		}
	}
	j.report(was, sum, err, rate(sum.Taken()+sum.Refused, took))
	switch {
	case err != nil:
		return err
	case sum.Refused > 0:
		return told{errors.New("lines were refused")}
	}
	return nil
}

// report says what became of the file in one line.
func (j *importJob) report(was storage.ImportRun, sum importer.Summary, err error, rate string) {
	word := "taken"
	switch {
	case j.command.DryRun:
		word = "would be taken"
	case j.command.AllOrNothing && err != nil:
		j.con.printf("%s: nothing was taken: %d lines were good, %d were not\n", j.name, sum.Taken(), sum.Refused)
		return
	case err == nil && sum.Taken()+sum.Refused == 0 && sum.Skipped > 0:
		j.con.printf("%s: nothing to do: its %d lines were taken in before (--again begins anew)\n", j.name, was.Accepted)
		return
	}
	if sum.Skipped > 0 {
		j.con.printf("%s: went on after line %d, where an earlier import stopped (--again begins anew)\n", j.name, was.NextLine-1)
	}
	j.con.printf("%s: %d lines %s (%d new, %d changed, %d known before) with %d events, %d refused, %d warnings; %s\n",
		j.name, sum.Taken(), word, sum.Created, sum.Updated, sum.Unchanged, sum.Events, sum.Refused, sum.Warnings, rate)
}

// errRefused undoes an import that takes all lines or none.
var errRefused = errors.New("some lines are not good, so none was taken")

// takeWhole takes the file in one transaction: every batch of it writes into
// the same one, so that readers see all of it or nothing, whatever ends the
// process.
func (j *importJob) takeWhole(ctx context.Context, was storage.ImportRun) (sum importer.Summary, err error) {
	err = j.store.Update(ctx, func(ctx context.Context, tx *storage.Tx) error {
		// A database may ask for another try.
		if err := j.begin(); err != nil {
			return err
		}
		var err error
		if sum, err = j.take(ctx, within{memory{j.store}, tx, &sync.Mutex{}}, was, false); err != nil {
			return err
		}
		if sum.Refused > 0 {
			return errRefused
		}
		return tx.PutImportRun(ctx, j.mark(was, sum))
	})
	if errors.Is(err, errRefused) {
		return sum, fmt.Errorf("%s: %w", j.name, errRefused)
	}
	return sum, err
}

// take runs the file through the write path over a store.
func (j *importJob) take(ctx context.Context, s ingest.Store, was storage.ImportRun, remember bool) (sum importer.Summary, err error) {
	b := binding{catalog: j.catalog, wall: j.con.wall, log: j.log}
	accounts, err := b.accounts(j.cfg, merchantIDs(ctx, j.store))
	if err != nil {
		return sum, err
	}
	wall := clock.Wall()
	g, err := ingest.New(ingest.Options{Store: s, Accounts: accounts, Trade: wall, Wall: wall, Log: j.log})
	if err != nil {
		return sum, err
	}
	defer g.Close()
	if _, err := j.input.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	input := &counted{Reader: j.input}
	return importer.Run(ctx, importer.Options{
		Input: input, Name: j.name, Mapping: j.mapping, NextLine: int(was.NextLine),
		Register: func(ctx context.Context, in []ingest.History) ([]parcel.Registered, error) {
			j.bar.set(input.n)
			return g.RegisterWithHistory(ctx, j.merchant.ID, in)
		},
		Checkpoint: func(ctx context.Context, sum importer.Summary) error {
			if !remember {
				return nil
			}
			return j.store.Update(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.PutImportRun(ctx, j.mark(was, sum)) })
		},
		Fault: j.fault,
		Note:  func(text string) { j.bar.clear(); j.con.note("%s: %s", j.name, text) },
	})
}

// mark is how far an import is.
func (j *importJob) mark(was storage.ImportRun, sum importer.Summary) storage.ImportRun {
	was.NextLine = int64(sum.NextLine)
	was.Accepted += int64(sum.Taken())
	was.Refused += int64(sum.Refused)
	was.UpdatedAt = j.con.wall.Now()
	return was
}

func (j *importJob) fault(f *importer.Fault) {
	if j.errors != nil {
		kind := "error"
		if f.Warning {
			kind = "warning"
		}
		// The error of a full disk is kept by the writer until the end.
		_ = j.errors.Write([]string{strconv.Itoa(f.Line), kind, f.Field, f.Column, f.Value, f.Message})
	}
	if j.shown == maxFaultsShown {
		j.unshown++
		return
	}
	j.shown++
	j.bar.clear()
	j.con.note("%s: %v", j.name, f)
}

// undone is a store whose transactions are undone when they have run: what
// would happen happens, and nothing stays.
type undone struct{ memory }

var errUndone = errors.New("undone on purpose")

// Update implements [ingest.Store].
func (u undone) Update(ctx context.Context, do func(ctx context.Context, tx ingest.Tx) error) error {
	err := u.memory.Store.Update(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := do(ctx, tx); err != nil {
			return err
		}
		return errUndone
	})
	if errors.Is(err, errUndone) {
		return nil
	}
	return err
}

// within is a store whose transactions are parts of one that is open.
type within struct {
	memory
	tx   *storage.Tx
	turn *sync.Mutex
}

// Update implements [ingest.Store].
func (w within) Update(ctx context.Context, do func(ctx context.Context, tx ingest.Tx) error) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	return do(ctx, w.tx)
}
