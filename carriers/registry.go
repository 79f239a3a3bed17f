package carriers

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/milepost-gateway/milepost/parcel"
)

// The registry is the one mutable package variable of the house: written in
// init, read by package main and carriertest alone.
var registry = struct {
	sync.RWMutex
	specs map[string]Spec
}{specs: map[string]Spec{}}

var specName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Register enters an adapter. It is called from the adapter's init and panics
// on a duplicate or incomplete spec: both are mistakes of the programmer that
// no user can mend.
func Register(s Spec) {
	if err := s.check(); err != nil {
		panic(fmt.Sprintf("carriers: register %q: %v", s.Name, err))
	}
	registry.Lock()
	defer registry.Unlock()
	if _, taken := registry.specs[s.Name]; taken {
		panic(fmt.Sprintf("carriers: register %q: already there", s.Name))
	}
	registry.specs[s.Name] = s
}

func (s *Spec) check() error {
	switch {
	case !specName.MatchString(s.Name):
		return fmt.Errorf("name must match %s", specName)
	case s.Title == "" || s.API == "":
		return fmt.Errorf("title and API are needed")
	case len(s.Stages) == 0:
		return fmt.Errorf("stages are needed")
	case s.Codes == nil || s.Codes.Version() == "":
		return fmt.Errorf("a code table with a version is needed")
	case s.New == nil || s.Fake == nil:
		return fmt.Errorf("functions New and Fake are needed")
	case len(s.Kinds) == 0:
		return fmt.Errorf("payload kinds are needed")
	case s.BaseURL != "" && s.Batch < 1:
		return fmt.Errorf("batch of a carrier that can be asked is at least 1")
	}
	for _, st := range s.Stages {
		if !st.Valid() {
			return fmt.Errorf("stage %q is none", st)
		}
	}
	return nil
}

// All lists the registered adapters by name.
func All() []Spec {
	registry.RLock()
	defer registry.RUnlock()
	return slices.SortedFunc(maps.Values(registry.specs), func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
}

// Lookup gives an adapter by name, or an error of kind ErrNotFound that names
// those there are.
func Lookup(name string) (Spec, error) {
	registry.RLock()
	defer registry.RUnlock()
	s, ok := registry.specs[name]
	if !ok {
		return Spec{}, fmt.Errorf("there is no carrier %q (known: %s): %w", name, strings.Join(slices.Sorted(maps.Keys(registry.specs)), ", "), parcel.ErrNotFound)
	}
	return s, nil
}
