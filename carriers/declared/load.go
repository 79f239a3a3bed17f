package declared

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// maxFiles bounds the descriptions of one folder.
const maxFiles = 256

// Carrier is a description in force.
type Carrier struct {
	// File is where it was read.
	File string
	Spec carriers.Spec
	// Digest is that of the file's bytes: the same digest is the same carrier.
	Digest [sha256.Size]byte
	// Stale is why the file as it stands now is not in force, and this older
	// state of it is; nil where the file is in force.
	Stale error
}

// Fault is a file that could not be taken.
type Fault struct {
	File string
	// Err has a *Problem for each mistake in the file, joined.
	Err error
	// Kept names the carrier whose older state is still in force; empty where
	// the file gives none.
	Kept string
}

// Set is the carriers of a folder at one moment. It does not change.
type Set struct {
	Carriers []Carrier // by name
	Faults   []Fault   // by file
}

// Lookup finds a carrier by name.
func (s *Set) Lookup(name string) (Carrier, bool) {
	i, ok := slices.BinarySearchFunc(s.Carriers, name, func(c Carrier, name string) int { return strings.Compare(c.Spec.Name, name) })
	if !ok {
		return Carrier{}, false
	}
	return s.Carriers[i], true
}

// IsFile tells whether a name is that of a description's file rather than of a
// carrier.
func IsFile(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}

// Load reads one description. taken tells the names of the carriers built in;
// nil for none. The error has a *Problem for each mistake, and is of kind
// parcel.ErrInvalid.
func Load(file string, taken func(name string) bool) (Carrier, error) {
	data, err := readFile(file)
	if err != nil {
		return Carrier{}, err
	}
	return parseCarrier(file, data, taken)
}

func parseCarrier(file string, data []byte, taken func(string) bool) (c Carrier, err error) {
	// Files are read while a server runs: one that breaks the YAML parser must
	// not end it.
	defer func() {
		if v := recover(); v != nil {
			c, err = Carrier{}, invalid{&Problem{Path: file, Text: fmt.Sprintf("cannot be read (%v); take out half of it to find the place", v)}}
		}
	}()
	if taken == nil {
		taken = func(string) bool { return false }
	}
	found := &faults{path: file}
	d := describe(data, found, taken)
	if d == nil {
		return Carrier{}, invalid{found.err()}
	}
	return Carrier{File: file, Spec: d.spec, Digest: sha256.Sum256(data)}, nil
}

// invalid is an error of kind parcel.ErrInvalid whose words are the problems
// alone.
type invalid struct{ error }

func (e invalid) Unwrap() []error { return []error{e.error, parcel.ErrInvalid} }

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if at, err := f.Stat(); err == nil && !at.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a file: %w", file, parcel.ErrInvalid)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return data, nil
}

// Folder is a folder of descriptions. It remembers what was in force, so that a
// file that is broken while a server runs does not take its carrier down. It is
// not safe for concurrent use.
type Folder struct {
	dir   string
	taken func(name string) bool
	files map[string]*seen
	last  error // of the folder itself
}

// seen is what is known of a file.
type seen struct {
	modified time.Time
	size     int64
	readAt   time.Time
	digest   [sha256.Size]byte
	good     *Carrier // the newest state that checked
	fault    error    // of the state that the file has now
}

// NewFolder names a folder. taken tells the names of the carriers built in.
func NewFolder(dir string, taken func(name string) bool) *Folder {
	return &Folder{dir: dir, taken: taken, files: map[string]*seen{}}
}

// settle is how long after its last change a file is read again although
// nothing seems to have changed: file systems count time in steps.
const settle = 5 * time.Second

// Look reads what has changed in the folder since the last look and gives the
// set that holds now; changed is false where it is as it was. now is the
// machine's time. A file that is gone takes its carrier with it. An error is
// that of the folder, whose last set then stays in force.
func (f *Folder) Look(now time.Time) (set Set, changed bool, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		changed = f.last == nil || f.last.Error() != err.Error()
		f.last = err
		return f.set(), changed, fmt.Errorf("carriers-dir: %w", err)
	}
	changed, f.last = f.last != nil, nil
	there := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		if !IsFile(name) || strings.HasPrefix(name, ".") || e.IsDir() {
			continue
		}
		if len(there) == maxFiles {
			f.last = fmt.Errorf("carriers-dir: more than %d files in %s; those after %s are not read: %w", maxFiles, f.dir, name, parcel.ErrInvalid)
			break
		}
		there[name] = true
		changed = f.look(name, now) || changed
	}
	for name := range f.files {
		if !there[name] {
			delete(f.files, name)
			changed = true
		}
	}
	return f.set(), changed, f.last
}

// look reads one file if it has changed, and tells whether anything did.
func (f *Folder) look(name string, now time.Time) (changed bool) {
	path := filepath.Join(f.dir, name)
	s, known := f.files[name]
	if !known {
		s = &seen{}
		f.files[name] = s
	}
	at, err := os.Stat(path)
	if err != nil {
		return s.fail(err)
	}
	if known && at.ModTime().Equal(s.modified) && at.Size() == s.size && s.readAt.Sub(s.modified) > settle {
		return false
	}
	data, err := readFile(path)
	if err != nil {
		return s.fail(err)
	}
	s.modified, s.size, s.readAt = at.ModTime(), at.Size(), now
	digest := sha256.Sum256(data)
	if known && digest == s.digest {
		return false
	}
	s.digest = digest
	c, err := parseCarrier(path, data, f.taken)
	if err != nil {
		s.fault = err
		return true
	}
	s.good, s.fault = &c, nil
	return true
}

func (s *seen) fail(err error) (changed bool) {
	changed = s.fault == nil || s.fault.Error() != err.Error()
	s.fault, s.digest = err, [sha256.Size]byte{}
	return changed
}

// set gathers what holds. Of two files with one name the first by file name
// counts.
func (f *Folder) set() Set {
	var out Set
	by := map[string]string{}
	names := make([]string, 0, len(f.files))
	for name := range f.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s := f.files[name]
		path := filepath.Join(f.dir, name)
		fault := Fault{File: path, Err: s.fault}
		if s.good != nil {
			c := *s.good
			c.Stale = s.fault
			if other, twice := by[c.Spec.Name]; twice {
				err := fmt.Errorf("%s: name %q is that of %s already; give it another: %w", path, c.Spec.Name, other, parcel.ErrInvalid)
				out.Faults = append(out.Faults, Fault{File: path, Err: errors.Join(s.fault, err)})
				continue
			}
			by[c.Spec.Name] = path
			out.Carriers = append(out.Carriers, c)
			fault.Kept = c.Spec.Name
		}
		if s.fault != nil {
			out.Faults = append(out.Faults, fault)
		}
	}
	slices.SortFunc(out.Carriers, func(a, b Carrier) int { return cmp.Compare(a.Spec.Name, b.Spec.Name) })
	return out
}

// Missing tells whether an error says that the folder is not there.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
