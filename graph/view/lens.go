// Package view shows what is stored to one viewer: the Go side of the schema's
// output types. A view is a small handle (a shipment and an index into its
// journey) whose methods are the schema's fields, so that gqlgen and the plans
// of package plan give the same answer from the same code, and nothing is
// copied before somebody asks for it.
//
// What a viewer may not see is hidden here, in one place: by Mask for a caller
// who has proved nothing but the number. Views are values, safe for concurrent
// use, and never change what they look at.
package view

import (
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Words are labels in the languages of the house.
type Words interface {
	// Language is the nearest language to a BCP 47 tag that there are words in.
	Language(tag string) Language
}

// Language is the words of one language.
type Language interface {
	// Tag is the language's BCP 47 tag.
	Tag() string
	// RightToLeft tells its writing direction.
	RightToLeft() bool
	// Label is the words for a key of a group: "milestone", "DELIVERED". A key
	// without words gives the key itself.
	Label(group, key string) string
}

// Groups of labels.
const (
	groupEvent     = "event"
	groupMilestone = "milestone"
	groupOutcome   = "outcome"
	groupException = "exception"
	groupProblem   = "problem"
	groupChange    = "change"
	groupHint      = "hint"
)

// Lens is how one request looks: at which moment, as whom, in which words. It
// must not change once views were made through it.
type Lens struct {
	// Now is trade time: ages and health are reckoned to it.
	Now time.Time
	// Viewer asks.
	Viewer *graph.Viewer
	// Locale is the language where a field names none.
	Locale  string
	Words   Words
	Cursors *graph.Cursors
	// Carriers are those that this deployment has adapters for.
	Carriers *Directory
	// Habits are the usual gaps where a shipment stands; nil goes by the
	// defaults.
	Habits func(*parcel.Shipment) parcel.Habits
}

// Text is text for people.
type Text struct {
	Value     string
	Locale    string
	Direction TextDirection
}

// TextDirection is a writing direction.
type TextDirection string

// The directions.
const (
	LeftToRight TextDirection = "LTR"
	RightToLeft TextDirection = "RTL"
)

// label gives the words for a key in the language asked for, else in the
// request's.
func (lens *Lens) label(locale *string, group, key string) Text {
	tag := lens.Locale
	if locale != nil {
		tag = *locale
	}
	lang := lens.Words.Language(tag)
	t := Text{Value: lang.Label(group, key), Locale: lang.Tag(), Direction: LeftToRight}
	if lang.RightToLeft() {
		t.Direction = RightToLeft
	}
	return t
}

// English wraps a sentence that exists in English alone: what is wrong with an
// input, for the developer who wrote it.
func English(value string) Text {
	return Text{Value: value, Locale: "en", Direction: LeftToRight}
}

// Node is anything with a global id.
type Node interface{ IsNode() }

// Count is how many there are.
type Count struct {
	Value int
	Exact bool
}

// OrderDirection is the order of a sorted list.
type OrderDirection string

// The directions.
const (
	Ascending  OrderDirection = "ASC"
	Descending OrderDirection = "DESC"
)

// Because is why a derived value is what it is.
type Because struct {
	shipment *Shipment
	event    int // -1 if no event decided
	rule     string
}

// Event is the event that decided.
func (b Because) Event() (TrackingEvent, bool) { return b.shipment.event(b.event) }

// Rule is the name of the rule.
func (b Because) Rule() string { return b.rule }

// RuleVersion is the version of the fold's rules.
func (b Because) RuleVersion() string { return parcel.RuleVersion }

// UserError is something in an input that the caller can mend.
type UserError struct {
	Code      parcel.Fault
	Path      []string
	Message   Text
	IsWarning bool
}

// UserErrors shows what was found wrong, under a path.
func UserErrors(problems []*parcel.InputError, under ...string) []UserError {
	out := make([]UserError, 0, len(problems))
	for _, p := range problems {
		e := p.Under(under...)
		out = append(out, UserError{Code: e.Fault, Path: e.Path, Message: English(e.Message), IsWarning: e.Warning})
	}
	return out
}
