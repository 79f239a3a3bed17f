package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/internal/bus"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// exportChanges writes the change log as JSON lines.
func exportChanges(ctx context.Context, con *console, log *slog.Logger, c *exportCommand) (err error) {
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	_, cursors, err := cursorsOf(ctx, s)
	if err != nil {
		return err
	}
	e := &exporter{store: s, cursors: cursors, scope: storage.OfDeployment("export"), merchants: merchantNames(s)}
	if c.Merchant != "" {
		m, _, err := merchantNamed(ctx, s, con.wall, c.Merchant, false)
		if err != nil {
			return fmt.Errorf("--merchant: %w", err)
		}
		e.scope = storage.OfMerchant(m.ID)
	}
	to, err := openExport(con, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	position, err := c.place(ctx, con, e, to)
	if err != nil {
		return c.explain(err)
	}
	count := 0
	page := func(lines []byte, n int) error {
		count += n
		return to.write(lines)
	}
	tell := func() {
		con.note("%d changes exported; go on behind them with --after %s", count, cursors.SealPosition(position))
	}
	position, err = e.walk(ctx, position, page)
	if c.Follow && err == nil {
		position, err = followLog(ctx, s, e, position, page, to)
	}
	if c.Follow && ctx.Err() != nil {
		err = nil // whoever follows ends it
	}
	if err == nil {
		err = to.finish()
	}
	switch {
	case err == nil:
		tell()
	case ctx.Err() != nil:
		return fmt.Errorf("stopped after %d changes; the same command goes on behind them", count)
	}
	return c.explain(err)
}

// followLog waits for what is logged next, until ctx ends. What was written is on
// the disk before it waits.
func followLog(ctx context.Context, s *storage.Store, e *exporter, position int64, page func([]byte, int) error, to *exportTo) (int64, error) {
	bells := bus.New()
	bell := bells.Subscribe()
	defer bell.Close()
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Listen(ctx, bells.Ring) }()
	defer func() {
		stop()
		<-ended
	}()
	for {
		var err error
		if position, err = e.walk(ctx, position, page); err != nil {
			return position, err
		}
		if err := to.sync(); err != nil {
			return position, err
		}
		select {
		case <-bell.C():
		case <-ctx.Done():
			return position, ctx.Err()
		}
	}
}

// explain says of a cursor that has expired how to go on.
func (c *exportCommand) explain(err error) error {
	var expired *graph.CursorExpired
	if !errors.As(err, &expired) {
		return err
	}
	return fmt.Errorf("changes behind the cursor were removed by retention (serve --log-retention); "+
		"what is kept begins behind --after %s, in a file of its own: %w", expired.Oldest, parcel.ErrNotFound)
}

// place is where the export begins: behind the last line that is there, or
// behind --after.
func (c *exportCommand) place(ctx context.Context, con *console, e *exporter, to *exportTo) (int64, error) {
	if to.first == nil {
		position, err := e.start(ctx, c.After)
		if errors.Is(err, parcel.ErrInvalid) {
			err = usage{fmt.Errorf("--after: %w; it is the cursor of a line, or what an export ended with", err)}
		}
		return position, err
	}
	first, err := e.cursors.OpenPosition(to.first.Cursor)
	if err != nil {
		return 0, badUsage("--to: the first line of %s is of another deployment: %v", to.name, err)
	}
	last, err := e.cursors.OpenPosition(to.last.Cursor)
	if err != nil {
		return 0, badUsage("--to: the last line of %s is of another deployment: %v", to.name, err)
	}
	if c.Merchant != "" && to.last.Merchant != c.Merchant {
		return 0, badUsage("--to: %s holds changes of %s: name another file", to.name, to.last.Merchant)
	}
	if c.After != "" {
		begins, err := e.start(ctx, c.After)
		if err != nil {
			return 0, usage{fmt.Errorf("--after: %w", err)}
		}
		if first <= begins {
			return 0, badUsage("--to: %s begins before --after; name another file, or leave --after out", to.name)
		}
		next, err := e.store.Changes(ctx, e.scope, begins, 1, storage.ChangeFilter{})
		if err != nil {
			return 0, err
		}
		if len(next) > 0 && next[0].Position < first {
			return 0, badUsage("--to: %s lacks changes behind --after; name another file, or leave --after out", to.name)
		}
	}
	con.note("%s: goes on behind the last whole line", to.name)
	return last, nil
}

// merchantNames names merchants by id, and asks for each once.
func merchantNames(s *storage.Store) func(ctx context.Context, id string) (string, error) {
	known := map[string]string{}
	return func(ctx context.Context, id string) (string, error) {
		if name, ok := known[id]; ok {
			return name, nil
		}
		m, err := s.Merchant(ctx, id)
		if err == nil {
			known[id] = m.Name
		}
		return m.Name, err
	}
}

// exportTo is where an export goes: the standard output, or a file. A file is
// made under another name and gets its own when it is whole; one that is grown
// (--append, --follow) is itself throughout.
type exportTo struct {
	out   io.Writer
	file  *os.File // nil for the standard output
	name  string   // of the file that is written
	whole string   // its name at the end; the same if it is grown
	// first and last are its lines from before; nil without any.
	first, last *exportedChange
	done        bool
}

// partial is the end of the name of a file that is not whole.
const partial = ".part"

func openExport(con *console, c *exportCommand) (*exportTo, error) {
	if c.To == "-" {
		return &exportTo{out: con.out, done: true}, nil
	}
	to := &exportTo{name: c.To, whole: c.To}
	if !c.Append && !c.Follow {
		if _, err := os.Lstat(c.To); err == nil {
			return nil, badUsage("--to: %s is there; --append goes on behind its last line, or name another file", c.To)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--to: %w", err)
		}
		to.name += partial
	}
	var err error
	// It tells of parcels: nobody else need read it.
	if to.file, err = os.OpenFile(to.name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	to.out = to.file
	if err := to.resume(); err != nil {
		return nil, errors.Join(err, to.file.Close())
	}
	return to, nil
}

// resume cuts off a last line that is torn, and reads the first and the last
// whole one.
func (t *exportTo) resume() error {
	size, err := t.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("--to: %s: %w; a file that can only be written is fed from --to -", t.name, err)
	}
	end, err := t.newlineBefore(size)
	if err != nil {
		return err
	}
	if end < 0 && size > 0 {
		// A torn first line is an export that had hardly begun; anything else is
		// somebody's own.
		head := make([]byte, min(size, int64(len(exportHead))))
		if _, err := t.file.ReadAt(head, 0); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
		if !bytes.HasPrefix([]byte(exportHead), head) {
			return t.foreign(errors.New("it has no whole line"))
		}
	}
	if end >= 0 {
		begin, err := t.newlineBefore(end)
		if err != nil {
			return err
		}
		if t.last, err = t.line(begin+1, end); err != nil {
			return t.foreign(err)
		}
		if t.first, err = t.line(0, end); err != nil {
			return t.foreign(err)
		}
	}
	// Only now: a file that is not an export stays as it is.
	if err := t.file.Truncate(end + 1); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	_, err = t.file.Seek(end+1, io.SeekStart)
	return err
}

// exportHead is how each line begins.
const exportHead = `{"cursor":"`

func (t *exportTo) foreign(err error) error {
	return badUsage("--to: %s is not an export: %v; name another file", t.name, err)
}

// newlineBefore finds the last line end before at; -1 if there is none.
func (t *exportTo) newlineBefore(at int64) (int64, error) {
	block := make([]byte, 64<<10)
	for at > 0 {
		from := max(0, at-int64(len(block)))
		n, err := t.file.ReadAt(block[:at-from], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("--to: %w", err)
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			return from + int64(i), nil
		}
		at = from
	}
	return -1, nil
}

// maxExportLine is far more than a line can have.
const maxExportLine = 1 << 20

// line reads the line that begins at from and ends at or before to.
func (t *exportTo) line(from, to int64) (*exportedChange, error) {
	var c exportedChange
	in := json.NewDecoder(io.NewSectionReader(t.file, from, min(to-from, maxExportLine)))
	if err := in.Decode(&c); err != nil {
		return nil, fmt.Errorf("the line at byte %d: %w", from, err)
	}
	if c.Cursor == "" {
		return nil, fmt.Errorf("the line at byte %d has no cursor", from)
	}
	return &c, nil
}

func (t *exportTo) write(lines []byte) error {
	if _, err := t.out.Write(lines); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	return nil
}

func (t *exportTo) sync() error {
	if t.file == nil {
		return nil
	}
	if err := t.file.Sync(); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	return nil
}

// finish gives a whole file its name.
func (t *exportTo) finish() error {
	if t.file == nil || t.done {
		return nil
	}
	t.done = true
	err := errors.Join(t.file.Sync(), t.file.Close())
	if err == nil && t.name != t.whole {
		err = os.Rename(t.name, t.whole)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(t.whole))
	}
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	return nil
}

// syncFolder makes a rename in a folder last.
func syncFolder(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// close lets go of a file that is not whole; it stays, to go on with.
func (t *exportTo) close() error {
	if t.file == nil || t.done {
		return nil
	}
	t.done = true
	if err := errors.Join(t.file.Sync(), t.file.Close()); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	return nil
}
