package drops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/milepost-gateway/milepost/parcel"
)

// Place is where files are dropped: see Local and SFTP.
type Place interface {
	// Address names the place for people and for the store, without secrets.
	Address() string
	// open begins a look. The folder is used by one goroutine and closed.
	open(ctx context.Context) (folder, error)
}

// folder is an open place. Names are those that it listed: each is checked to
// be a name and no path before it is used.
type folder interface {
	// list gives what is there, in no order.
	list(ctx context.Context) ([]entry, error)
	// stat looks at one file again.
	stat(name string) (entry, error)
	// fetch copies a file. It refuses what is no regular file.
	fetch(ctx context.Context, name string, to io.Writer) error
	// move puts a file into a folder below, which is made if it is missing, and
	// overwrites nothing: other stands in for a name that is taken.
	move(name, into, other string) error
	// remove deletes a file. One that is gone is no error.
	remove(name string) error
	close() error
}

// entry is one thing in a folder.
type entry struct {
	name     string
	size     int64
	modified time.Time
	// regular is false for folders, links, pipes and the like.
	regular bool
	// link marks a symbolic link.
	link bool
	dir  bool
}

func entryOf(info fs.FileInfo) entry {
	mode := info.Mode()
	return entry{
		name: info.Name(), size: info.Size(), modified: info.ModTime().UTC().Truncate(time.Microsecond),
		regular: mode.IsRegular(), link: mode&fs.ModeSymlink != 0, dir: mode.IsDir(),
	}
}

// same tells whether nothing was written between two looks.
func (e entry) same(o entry) bool {
	return e.name == o.name && e.size == o.size && e.modified.Equal(o.modified)
}

const maxName = 255

// nameOK tells whether a name is one, and no path: a server may list what it
// likes.
func nameOK(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && !strings.ContainsAny(name, `/\`) &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// passing tells whether a name is one that programs give to files that they
// are still writing.
func passing(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		slices.ContainsFunc([]string{".part", ".partial", ".filepart", ".tmp", ".temp", ".writing"}, func(end string) bool {
			return strings.HasSuffix(strings.ToLower(name), end)
		})
}

// local is a folder of this machine.
type local struct{ path string }

// Local is a folder of this machine. A relative path is taken from where the
// program runs.
func Local(folder string) (Place, error) {
	abs, err := filepath.Abs(folder)
	if folder == "" || err != nil {
		return nil, fmt.Errorf("folder %q is no path: %w", folder, parcel.ErrInvalid)
	}
	return local{abs}, nil
}

// Address implements Place.
func (l local) Address() string { return "file://" + filepath.ToSlash(l.path) }

func (l local) open(context.Context) (folder, error) {
	root, err := os.OpenRoot(l.path)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w: %w (make it, or mend its rights)", l.path, parcel.ErrUnavailable, err)
	}
	return localFolder{root}, nil
}

// localFolder reaches nothing outside of it, whatever links stand in it.
type localFolder struct{ root *os.Root }

func (f localFolder) list(ctx context.Context) ([]entry, error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list: %w: %w", parcel.ErrUnavailable, err)
	}
	defer func() { _ = dir.Close() }()
	var out []entry
	for ctx.Err() == nil {
		found, err := dir.ReadDir(512)
		for _, d := range found {
			info, infoErr := d.Info()
			if errors.Is(infoErr, fs.ErrNotExist) {
				continue // gone meanwhile
			}
			if infoErr != nil {
				return nil, fmt.Errorf("list: %w: %w", parcel.ErrUnavailable, infoErr)
			}
			out = append(out, entryOf(info))
		}
		switch {
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("list: %w: %w", parcel.ErrUnavailable, err)
		}
	}
	return nil, ctx.Err()
}

func (f localFolder) stat(name string) (entry, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return entry{}, fmt.Errorf("%s: %w: %w", name, parcel.ErrUnavailable, err)
	}
	return entryOf(info), nil
}

func (f localFolder) fetch(ctx context.Context, name string, to io.Writer) error {
	// A pipe would hold whoever opens it: it must not be one by now.
	if e, err := f.stat(name); err != nil || !e.regular {
		return errors.Join(err, notRegular(name, err))
	}
	file, err := f.root.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", name, parcel.ErrUnavailable, err)
	}
	defer func() { _ = file.Close() }()
	return copyFile(ctx, to, file, nil)
}

func notRegular(name string, err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("%s is no regular file: %w", name, parcel.ErrDenied)
}

// copyFile copies in pieces, so that ctx ends it between two. before, if set,
// is called before each.
func copyFile(ctx context.Context, to io.Writer, from io.Reader, before func()) error {
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if before != nil {
			before()
		}
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", parcel.ErrUnavailable, err)
		}
	}
}

func (f localFolder) move(name, into, other string) error {
	if err := f.root.Mkdir(into, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w: %w", into, parcel.ErrUnavailable, err)
	}
	to := filepath.Join(into, name)
	if _, err := f.root.Lstat(to); err == nil {
		to = filepath.Join(into, other)
	}
	if err := f.root.Rename(name, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("move %s to %s: %w: %w", name, to, parcel.ErrUnavailable, err)
	}
	return nil
}

func (f localFolder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w: %w", name, parcel.ErrUnavailable, err)
	}
	return nil
}

func (f localFolder) close() error { return f.root.Close() }
