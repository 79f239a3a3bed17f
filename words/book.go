package words

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"sync"
)

//go:embed *.json
var files embed.FS

// file is one language as it is written down. Every group but label is keyed
// by the values of the schema; label is keyed by wordings, which several of
// them share (see labels.go).
type file struct {
	// Name is the language's own name for itself.
	Name      string `json:"name"`
	Direction string `json:"direction"`
	Reviewed  bool   `json:"reviewed"`
	// Note tells a translator what to keep to.
	Note string `json:"note"`

	Label   map[string]string `json:"label"`
	Health  map[string]string `json:"health"`
	Custody map[string]string `json:"custody"`
	Change  map[string]string `json:"change"`
	Problem map[string]string `json:"problem"`
	Hint    map[string]string `json:"hint"`
	Rule    map[string]string `json:"rule"`

	// Count holds, for each counted thing, the words of each plural category;
	// {n} stands for the number.
	Count map[string]map[category]string `json:"count"`
	Dates dates                          `json:"dates"`
	// Numbers is how amounts are written.
	Numbers numbers `json:"numbers"`
}

// book is one language ready for use.
type book struct {
	file
	locale Locale
	// texts holds every label, the ones in English that the language lacks
	// included.
	texts map[entry]Text
}

// entry names a label.
type entry struct{ group, key string }

// Groups of labels, for [Label].
const (
	GroupEvent     = "event"     // TrackingEventCode
	GroupMilestone = "milestone" // Milestone
	GroupOutcome   = "outcome"   // Outcome
	GroupException = "exception" // ExceptionKind
	GroupHealth    = "health"    // TrackingHealth
	GroupCustody   = "custody"   // CustodyState
	GroupChange    = "change"    // ChangeKind
	GroupProblem   = "problem"   // CarrierProblemKind
	GroupHint      = "hint"      // NumberHintKind
	GroupRule      = "rule"      // Because.rule
)

// books are read at first use; nobody writes to them afterwards. A file that
// does not parse is a mistake in this package, so it panics.
var books = sync.OnceValue(func() map[Locale]*book {
	all := make(map[Locale]*book, len(Locales()))
	for _, l := range Locales() {
		all[l] = &book{file: read(l), locale: l}
	}
	en := all[English]
	for _, b := range all {
		b.texts = make(map[entry]Text, 2*len(en.Label))
		for e, key := range wordings {
			b.texts[e] = say(b, en, b.Label[key], en.Label[key])
		}
		for group, pick := range map[string]func(*file) map[string]string{
			GroupHealth:  func(f *file) map[string]string { return f.Health },
			GroupCustody: func(f *file) map[string]string { return f.Custody },
			GroupChange:  func(f *file) map[string]string { return f.Change },
			GroupProblem: func(f *file) map[string]string { return f.Problem },
			GroupHint:    func(f *file) map[string]string { return f.Hint },
			GroupRule:    func(f *file) map[string]string { return f.Rule },
		} {
			own := pick(&b.file)
			for key, english := range pick(&en.file) {
				b.texts[entry{group, key}] = say(b, en, own[key], english)
			}
		}
	}
	return all
})

// say returns the words of b, or those of en where b lacks them.
func say(b, en *book, own, english string) Text {
	if own == "" {
		return Text{Value: english, Locale: en.locale}
	}
	return Text{Value: own, Locale: b.locale}
}

// read parses the file of a language. A field that this package does not know
// is a spelling mistake, so it is refused.
func read(l Locale) file {
	data, err := files.ReadFile(string(l) + ".json")
	if err != nil {
		panic(fmt.Sprintf("words: %v", err))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var f file
	if err := d.Decode(&f); err != nil {
		panic(fmt.Sprintf("words: %s.json: %v", l, err))
	}
	return f
}

// book returns the language that l stands for.
func (l Locale) book() *book {
	all := books()
	if b, ok := all[l]; ok {
		return b
	}
	return all[Match(string(l))]
}
