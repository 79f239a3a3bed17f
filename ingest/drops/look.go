package drops

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// look reads every file that is complete and not known, oldest first. waiting
// counts those that are not complete. An error says that the look was not
// finished; what was read before stays read.
func (w *watch) look(ctx context.Context) (waiting int, err error) {
	f, err := w.Place.open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.close() }()
	all, err := f.list(ctx)
	if err != nil {
		return 0, err
	}
	files, semaphores, refused := w.sort(all)
	for _, r := range refused {
		w.once(r.name, "file is not read", "file", shown(r.name), "reason", r.why)
	}
	w.note(func(s *Stat) { s.Refused = int64(len(refused)) })
	known, err := w.known(ctx, files)
	if err != nil {
		return 0, err
	}
	// What is not listed any more is forgotten; what could not be fetched today
	// is as complete tomorrow.
	listed := map[string]bool{}
	for _, e := range files {
		listed[e.name] = true
	}
	maps.DeleteFunc(w.seen, func(name string, _ entry) bool { return !listed[name] })
	var faults []error
	taken := 0
	for _, e := range files {
		if err := ctx.Err(); err != nil {
			return waiting, err
		}
		state, isKnown := known[e.name]
		if isKnown && !state.DoneAt.IsZero() {
			faults = append(faults, w.finish(f, e, &state, false))
			continue
		}
		before, again := w.seen[e.name]
		// A file whose reading was cut off had been complete.
		ready := isKnown || again && before.same(e)
		if w.Semaphore != "" {
			ready = semaphores[w.semaphoreOf(e.name)]
		}
		if !ready || taken == maxFiles {
			w.seen[e.name] = e
			waiting++
			continue
		}
		taken++
		switch err := w.take(ctx, f, e); {
		case errors.Is(err, errNotComplete):
			w.seen[e.name] = e
			waiting++
		case errors.Is(err, errElsewhere):
			waiting++
		case errors.Is(err, fs.ErrNotExist): // gone since it was listed
		case errors.Is(err, fs.ErrPermission), errors.Is(err, parcel.ErrDenied), errors.Is(err, errPanicked):
			// This file's own trouble, not that of those behind it.
			faults = append(faults, fmt.Errorf("%s: %w", e.name, err))
		case err != nil:
			return waiting, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return waiting, errors.Join(faults...)
}

// errNotComplete is a file that was written while it was fetched, errElsewhere
// one that another replica is reading, errPanicked one that broke its adapter.
var (
	errNotComplete = errors.New("still being written")
	errElsewhere   = errors.New("another replica reads it")
	errPanicked    = fmt.Errorf("adapter panicked: %w", parcel.ErrMalformed)
)

// refusal is a file that is never read, and why.
type refusal struct{ name, why string }

// sort finds the files to read, oldest first, and the semaphores.
func (w *watch) sort(all []entry) (files []entry, semaphores map[string]bool, refused []refusal) {
	semaphores = map[string]bool{}
	for _, e := range all {
		matched, _ := path.Match(cmp.Or(w.Match, "*"), e.name) // the pattern was checked
		switch {
		case e.dir:
		case !nameOK(e.name):
			refused = append(refused, refusal{e.name, "its name is a path or has control characters"})
		case w.isSemaphore(e.name):
			semaphores[e.name] = e.regular
		case !matched || passing(e.name):
		case e.link:
			refused = append(refused, refusal{e.name, "it is a link"})
		case !e.regular:
			refused = append(refused, refusal{e.name, "it is no regular file"})
		case e.size > w.MaxBytes:
			refused = append(refused, refusal{e.name, fmt.Sprintf("it has %d bytes, and at most %d are taken (max_bytes)", e.size, w.MaxBytes)})
		default:
			files = append(files, e)
		}
	}
	slices.SortFunc(files, func(a, b entry) int {
		return cmp.Or(a.modified.Compare(b.modified), strings.Compare(a.name, b.name))
	})
	if more := len(files) - maxListed; more > 0 {
		refused = append(refused, refusal{"", fmt.Sprintf("more than %d files: the oldest are not looked at; have them moved or deleted (done)", maxListed)})
		files = files[more:]
	}
	return files, semaphores, refused
}

func (s *Source) semaphoreOf(name string) string {
	return strings.ReplaceAll(s.Semaphore, NamePart, name)
}

// isSemaphore tells whether a name is that of some file's semaphore.
func (s *Source) isSemaphore(name string) bool {
	before, after, ok := strings.Cut(s.Semaphore, NamePart)
	return ok && len(name) > len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
}

// once logs a lasting state of a file the first time it is seen.
func (w *watch) once(name, message string, attrs ...any) {
	key := message + "\x00" + name
	if w.told[key] {
		return
	}
	if len(w.told) > maxFiles {
		clear(w.told)
	}
	w.told[key] = true
	w.log.Warn(message, attrs...)
}

// shown is a name as a log may show it.
func shown(name string) string { return fmt.Sprintf("%.80q", name) }

// known is what the store has of files that look as they did when they were
// read.
func (w *watch) known(ctx context.Context, files []entry) (map[string]parcel.DropFile, error) {
	out := map[string]parcel.DropFile{}
	for part := range slices.Chunk(files, 500) {
		byName := map[string]entry{}
		for _, e := range part {
			byName[e.name] = e
		}
		names := make([]string, 0, len(part))
		for _, e := range part {
			names = append(names, e.name)
		}
		rows, err := w.opts.Store.DropFiles(ctx, w.key(), names)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			e := byName[r.Name]
			if r.Size != e.size || !r.ModifiedAt.Equal(e.modified) {
				continue
			}
			if had, twice := out[r.Name]; !twice || r.UpdatedAt.After(had.UpdatedAt) {
				out[r.Name] = r
			}
		}
	}
	return out, nil
}

// take reads one complete file. An adapter that panics harms this file alone.
func (w *watch) take(ctx context.Context, f folder, e entry) (err error) {
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("adapter panicked", "file", e.name, "panic", v, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	spool, digest, err := w.spool(ctx, f, e)
	if err != nil {
		return err
	}
	defer discard(spool)
	now := w.opts.Wall.Now()
	file := parcel.DropFile{Source: w.key(), Name: e.name, Size: e.size, Digest: digest, Reader: w.reader(), ModifiedAt: e.modified}
	held, ok, err := w.opts.Store.ClaimDropFile(ctx, file, w.token, now, now.Add(lease))
	if err != nil {
		return err
	}
	if !ok {
		return errElsewhere
	}
	fresh := held.DoneAt.IsZero()
	if fresh {
		if held.Reader != w.reader() {
			held.Reader, held.Taken, held.Observations, held.Bad = w.reader(), 0, 0, 0
		}
		err = w.readOrRecognise(ctx, spool, &held)
	}
	// Let go, also when the reading was broken off: whoever comes next goes on.
	letGo, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoWithin)
	defer cancel()
	held.UpdatedAt = w.opts.Wall.Now()
	if putErr := w.opts.Store.PutDropFile(letGo, held, w.token, time.Time{}); err == nil {
		err = putErr
	}
	if err != nil {
		return err
	}
	if fresh {
		w.note(func(s *Stat) { s.Files++ })
		w.log.Info("file read", "file", e.name, "payloads", held.Taken, "observations", held.Observations, "bad", held.Bad)
	}
	return w.finish(f, e, &held, fresh)
}

// letGoWithin bounds the last word about a file when the program goes down.
const letGoWithin = 5 * time.Second

// readOrRecognise reads a file, unless the same bytes were read under another
// name: it was renamed, or exported again.
func (w *watch) readOrRecognise(ctx context.Context, spool *os.File, held *parcel.DropFile) error {
	other, err := w.opts.Store.DropFileDone(ctx, held.Source, held.Size, held.Digest)
	switch {
	case err == nil && other.Reader == held.Reader:
		w.log.Info("file is known under another name", "file", held.Name, "as", other.Name)
		held.Taken, held.Observations, held.Bad, held.DoneAt = other.Taken, other.Observations, other.Bad, w.opts.Wall.Now()
		return nil
	case err != nil && !errors.Is(err, parcel.ErrNotFound):
		return err
	}
	if err := w.read(ctx, spool, held); err != nil {
		return err
	}
	held.DoneAt = w.opts.Wall.Now()
	return nil
}

// spool copies a file to this machine: it is read from there, however long
// that takes, and is as long and as old afterwards as when it was listed.
func (w *watch) spool(ctx context.Context, f folder, e entry) (*os.File, string, error) {
	return spoolFile(ctx, f, e, w.opts.Spool)
}

func spoolFile(ctx context.Context, f folder, e entry, dir string) (_ *os.File, digest string, err error) {
	file, err := os.CreateTemp(dir, "milepost-drop-*")
	if err != nil {
		// Not wrapped: a missing folder of ours is no missing file of theirs.
		return nil, "", fmt.Errorf("spool: %v: %w", err, parcel.ErrUnavailable)
	}
	defer func() {
		if err != nil {
			discard(file)
		}
	}()
	hash := sha256.New()
	bounded := &boundedWriter{to: io.MultiWriter(file, hash), left: e.size}
	if err := f.fetch(ctx, e.name, bounded); err != nil {
		return nil, "", err
	}
	after, err := f.stat(e.name)
	if err != nil {
		return nil, "", err
	}
	if bounded.left != 0 || !after.same(e) {
		return nil, "", errNotComplete
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, "", fmt.Errorf("spool: %w: %w", parcel.ErrUnavailable, err)
	}
	return file, hex.EncodeToString(hash.Sum(nil)), nil
}

// boundedWriter takes as much as was announced: a server that sends without end
// fills no disk.
type boundedWriter struct {
	to   io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errNotComplete
	}
	b.left -= int64(len(p))
	return b.to.Write(p)
}

func discard(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name())
}

// read hands a file's payloads on in batches and stores how far it has come
// after each. It begins behind the last payload of an earlier reading. Lines
// that cannot be read are counted and logged, and hold up no other.
func (w *watch) read(ctx context.Context, spool io.Reader, held *parcel.DropFile) error {
	b := batcher{watch: w, held: held}
	begun, payloads, logged := held.Taken, int64(0), 0
	bad := func(err error) {
		held.Bad++
		w.note(func(s *Stat) { s.Bad++ })
		if logged++; logged <= maxFaultsLogged {
			w.log.Warn("line of a file set aside", "file", held.Name, "error", err)
		}
	}
	splitter := w.Carrier.(carriers.Splitter) // Check has seen to it
	for p, err := range splitter.Split(bufio.NewReader(spool), held.Name) {
		switch {
		case err != nil && !errors.Is(err, parcel.ErrMalformed):
			return err // the reader failed, and says nothing about the file
		case err != nil:
			// What an earlier reading passed it has counted.
			if payloads >= begun {
				bad(err)
			}
			continue
		}
		if payloads++; payloads <= begun {
			continue
		}
		if len(p.Body) > ingest.MaxPayload {
			held.Taken++
			bad(fmt.Errorf("payload %d has %d bytes: %w", payloads, len(p.Body), parcel.ErrMalformed))
			continue
		}
		p.Carrier, p.Account, p.Source = w.Spec.Name, w.Account, parcel.SourceFile
		if err := b.add(ctx, w.Carrier.Redact(p), bad); err != nil {
			return err
		}
	}
	if err := b.flush(ctx, bad); err != nil {
		return err
	}
	if logged > maxFaultsLogged {
		w.log.Warn("more lines of the file were set aside", "file", held.Name, "more", logged-maxFaultsLogged)
	}
	return nil
}

// batcher gathers payloads to be accepted together.
type batcher struct {
	*watch
	held    *parcel.DropFile
	waiting []parcel.Payload
	bytes   int
}

func (b *batcher) add(ctx context.Context, p parcel.Payload, bad func(error)) error {
	b.waiting = append(b.waiting, p)
	b.bytes += len(p.Body)
	if len(b.waiting) < batchPayloads && b.bytes < batchBytes {
		return nil
	}
	return b.flush(ctx, bad)
}

// flush makes a batch durable, and then the place behind it: a crash between
// the two takes the batch again, which adds nothing.
func (b *batcher) flush(ctx context.Context, bad func(error)) error {
	if len(b.waiting) == 0 {
		return nil
	}
	receipts, err := b.opts.Accept(ctx, b.waiting...)
	if err != nil {
		return err
	}
	var observations int64
	for i := range receipts {
		observations += int64(len(receipts[i].Reading.Observations))
		if receipts[i].Problem != nil {
			bad(fmt.Errorf("payload %s is kept, and not read in full: %w", receipts[i].PayloadID, receipts[i].Problem))
		}
	}
	b.held.Taken += int64(len(b.waiting))
	b.held.Observations += observations
	b.note(func(s *Stat) { s.Observations += observations })
	b.waiting, b.bytes = b.waiting[:0], 0
	now := b.opts.Wall.Now()
	b.held.UpdatedAt = now
	// The batch is durable: its place is stored also if the end has come.
	put, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoWithin)
	defer cancel()
	if err := b.opts.Store.PutDropFile(put, *b.held, b.token, now.Add(lease)); err != nil {
		return err
	}
	return ctx.Err()
}

// finish does what the source says with a file that was read. A file of which
// something was set aside is never deleted, and one of which nothing could be
// read stays where it is. Fresh is false for a file that was finished before.
func (w *watch) finish(f folder, e entry, held *parcel.DropFile, fresh bool) error {
	nothing := held.Taken == 0 && held.Bad > 0
	if fresh && nothing {
		w.log.Warn("nothing in the file could be read; it stays where it is", "file", e.name)
	}
	if nothing || w.Done == DoneLeave {
		return nil
	}
	if w.Done == DoneDelete && held.Bad > 0 {
		w.once(e.name, "file is not deleted, since something in it could not be read; move it away by hand", "file", e.name, "bad", held.Bad)
		return nil
	}
	put := func(name string) error {
		if w.Done == DoneDelete {
			return f.remove(name)
		}
		return f.move(name, w.DoneFolder, name+"."+held.Digest[:8])
	}
	if err := put(e.name); err != nil {
		return err
	}
	if w.Semaphore == "" {
		return nil
	}
	return put(w.semaphoreOf(e.name))
}
