// Package words holds what Milepost says to people: labels of milestones,
// events, exceptions and the like, one file a language. A label is short, has
// no full stop, speaks of the parcel and never blames the reader; no sentence
// is built from pieces.
//
// Each file says whether a native speaker has read it ("reviewed").
package words

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

//go:embed *.json
var files embed.FS

// Default is the language that stands in for every other: it has every label.
const Default = "en"

// Language is the words of one language. It is never changed, and safe for
// concurrent use.
type Language struct {
	tag, name string
	rtl       bool
	reviewed  bool
	labels    map[string]map[string]string
	fallback  *Language
}

// Tag is the BCP 47 tag: "pt-BR".
func (l *Language) Tag() string { return l.tag }

// Name is the language's own name for itself: "Português (Brasil)".
func (l *Language) Name() string { return l.name }

// RightToLeft tells the writing direction.
func (l *Language) RightToLeft() bool { return l.rtl }

// Reviewed tells whether a native speaker has read the words.
func (l *Language) Reviewed() bool { return l.reviewed }

// Label is the words for a key of a group, such as "milestone" and
// "DELIVERED". What this language lacks comes from the default one, and a key
// that nobody has words for is its own label.
func (l *Language) Label(group, key string) string {
	for at := l; at != nil; at = at.fallback {
		if s, ok := at.labels[group][key]; ok {
			return s
		}
	}
	return key
}

// Has tells whether this language itself has words for a key.
func (l *Language) Has(group, key string) bool { return l.labels[group][key] != "" }

// All lists the languages, by tag; the slice is the caller's own.
func All() []*Language { return slices.Clone(catalogue().list) }

// For is the nearest language to a BCP 47 tag: the same one, else the tag with
// subtags taken off its end, else any of the same primary language (a reader of
// pt-PT is nearer to pt-BR than to English), else the default. The tag's case
// does not matter; a tag that is none gives the default.
func For(tag string) *Language {
	c := catalogue()
	// The commonest case first: the tag as we write it.
	if l, ok := c.exact[tag]; ok {
		return l
	}
	wanted := strings.ToLower(strings.ReplaceAll(tag, "_", "-"))
	for at := wanted; at != ""; {
		if l, ok := c.folded[at]; ok {
			return l
		}
		cut := strings.LastIndexByte(at, '-')
		at = at[:max(cut, 0)]
	}
	primary, _, _ := strings.Cut(wanted, "-")
	if l, ok := c.primary[primary]; ok {
		return l
	}
	return c.exact[Default]
}

type shelf struct {
	list                   []*Language
	exact, folded, primary map[string]*Language
}

// catalogue reads the files once. They are part of the program: one that cannot
// be read is a mistake of the build, found by any test.
var catalogue = sync.OnceValue(func() shelf {
	c := shelf{exact: map[string]*Language{}, folded: map[string]*Language{}, primary: map[string]*Language{}}
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		l, err := read(name)
		if err != nil {
			panic(fmt.Sprintf("words/%s: %v", name, err))
		}
		c.list = append(c.list, l)
		c.exact[l.tag], c.folded[strings.ToLower(l.tag)] = l, l
		primary, _, _ := strings.Cut(strings.ToLower(l.tag), "-")
		if _, taken := c.primary[primary]; !taken {
			c.primary[primary] = l
		}
	}
	for _, l := range c.list {
		if l.tag != Default {
			l.fallback = c.exact[Default]
		}
	}
	return c
})

func read(name string) (*Language, error) {
	data, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var f struct {
		Tag       string                       `json:"tag"`
		Name      string                       `json:"name"`
		Direction string                       `json:"direction"`
		Reviewed  bool                         `json:"reviewed"`
		Labels    map[string]map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Tag+".json" != name || f.Name == "" || f.Direction != "ltr" && f.Direction != "rtl" {
		return nil, fmt.Errorf("tag %q, name %q, direction %q", f.Tag, f.Name, f.Direction)
	}
	return &Language{tag: f.Tag, name: f.Name, rtl: f.Direction == "rtl", reviewed: f.Reviewed, labels: f.Labels}, nil
}
