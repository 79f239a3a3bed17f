package gateway

import (
	"fmt"
	"math"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Limits bound what one request, socket or webhook may take. A field that is
// zero has the default named beside it; there is no way to have no limit.
type Limits struct {
	// BodyBytes is the longest request body: 4 MiB, which holds the largest
	// allowed list of shipments with everything a merchant can say of them.
	BodyBytes int64
	// HookBytes is the longest body of a webhook: 2 MiB.
	HookBytes int64
	// DocumentBytes is the longest GraphQL document: 256 KiB.
	DocumentBytes int
	// Tokens is how many lexical tokens a document may have, comments
	// included: 15,000.
	Tokens int
	// Depth is how many fields may stand inside each other, leaves included:
	// 15.
	Depth int
	// Aliases is how many fields of a document may be renamed: 30.
	Aliases int
	// RootFields is how many fields an operation may ask at the root: 20.
	RootFields int
	// Directives is how many directives a document may apply: 100.
	Directives int
	// Fragments is how many fragments a document may define: 200.
	Fragments int
	// Operations is how many operations a document may define: 20.
	Operations int
	// Variables is how many variables an operation may declare: 100.
	Variables int
	// Selections is how many fields and fragments the operations have once
	// every fragment stands where it is spread: 4,000.
	Selections int
	// Nesting is how deep lists and objects of a request's JSON may stand
	// inside each other: 32.
	Nesting int
	// Cost is the highest price of an operation in points: 1,500.
	Cost int
	// Errors is how many errors are told of one request: 20.
	Errors int

	// ReadTime is how long a request body may take to arrive: 15 s.
	ReadTime time.Duration
	// RunTime is how long a query or mutation may run: 30 s.
	RunTime time.Duration
	// WriteTime is how long a peer may take no byte of an answer: 10 s.
	WriteTime time.Duration

	// Sockets is how many WebSockets and event streams may be open: 10,000.
	Sockets int
	// StreamsPerSocket is how many operations one socket may have under way:
	// 50.
	StreamsPerSocket int
	// MessageBytes is the longest message taken from a socket: 256 KiB.
	MessageBytes int64
	// InitTime is how long a socket may take to introduce itself: 10 s.
	InitTime time.Duration
	// Heartbeat is how often a silent socket or event stream is written to:
	// 25 s. A socket that has not answered within two of them is closed.
	Heartbeat time.Duration
	// HooksAtOnce is how many webhooks are taken in at the same time: 64.
	HooksAtOnce int
}

// withDefaults fills what is zero. Negative values are the caller's mistake.
func (l Limits) withDefaults() (Limits, error) {
	negative := false
	integer := func(field *int, otherwise int) {
		negative = negative || *field < 0
		if *field == 0 {
			*field = otherwise
		}
	}
	long := func(field *int64, otherwise int64) {
		negative = negative || *field < 0
		if *field == 0 {
			*field = otherwise
		}
	}
	duration := func(field *time.Duration, otherwise time.Duration) {
		negative = negative || *field < 0
		if *field == 0 {
			*field = otherwise
		}
	}
	long(&l.BodyBytes, 4<<20)
	long(&l.HookBytes, 2<<20)
	integer(&l.DocumentBytes, 256<<10)
	integer(&l.Tokens, 15_000)
	integer(&l.Depth, 15)
	integer(&l.Aliases, 30)
	integer(&l.RootFields, 20)
	integer(&l.Directives, 100)
	integer(&l.Fragments, 200)
	integer(&l.Operations, 20)
	integer(&l.Variables, 100)
	integer(&l.Selections, 4_000)
	integer(&l.Nesting, 32)
	integer(&l.Cost, 1_500)
	integer(&l.Errors, 20)
	duration(&l.ReadTime, 15*time.Second)
	duration(&l.RunTime, 30*time.Second)
	duration(&l.WriteTime, 10*time.Second)
	integer(&l.Sockets, 10_000)
	integer(&l.StreamsPerSocket, 50)
	long(&l.MessageBytes, 256<<10)
	duration(&l.InitTime, 10*time.Second)
	duration(&l.Heartbeat, 25*time.Second)
	integer(&l.HooksAtOnce, 64)
	if negative {
		return l, fmt.Errorf("gateway: a limit is negative")
	}
	return l, nil
}

// excess says which limit a request is over.
type excess struct {
	limit string // name as clients see it
	max   int64
	got   int64 // 0 where it was not counted to the end
}

func (e *excess) Error() string {
	if e.got > 0 {
		return fmt.Sprintf("Over the limit of %s: %d, where at most %d is allowed.", e.limit, e.got, e.max)
	}
	return fmt.Sprintf("Over the limit of %s: more than %d.", e.limit, e.max)
}

// checkShape holds a document that was only parsed against the limits that do
// not depend on the schema. Its time is linear in the document, whatever the
// fragments do. It returns an *excess, or an *invalidDocument.
func checkShape(doc *ast.QueryDocument, l *Limits) error {
	if n := len(doc.Operations); n > l.Operations {
		return &excess{"operations", int64(l.Operations), int64(n)}
	}
	if n := len(doc.Fragments); n > l.Fragments {
		return &excess{"fragments", int64(l.Fragments), int64(n)}
	}
	w := shapeWalker{fragments: make(map[string]*fragmentShape, len(doc.Fragments))}
	for _, f := range doc.Fragments {
		if w.fragments[f.Name] != nil {
			return &invalidDocument{fmt.Sprintf("There can be only one fragment named %q.", f.Name)}
		}
		w.fragments[f.Name] = &fragmentShape{definition: f}
	}
	// A fragment counts by itself too: the validator walks one that nothing
	// spreads before it finds it unused.
	var largest, operations, deepest int64
	for _, f := range doc.Fragments {
		w.directives += len(f.Directives)
		s := w.fragment(f.Name)
		largest, deepest = max(largest, s.size), max(deepest, s.depth)
	}
	for _, op := range doc.Operations {
		if n := len(op.VariableDefinitions); n > l.Variables {
			return &excess{"variables", int64(l.Variables), int64(n)}
		}
		w.directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			w.directives += len(v.Directives)
		}
		s := w.selections(op.SelectionSet)
		if s.fields > int64(l.RootFields) {
			return &excess{"root fields", int64(l.RootFields), told(s.fields)}
		}
		operations, deepest = plus(operations, s.size), max(deepest, s.depth)
	}
	largest = max(largest, operations)
	switch {
	case w.cycle != "":
		return &invalidDocument{fmt.Sprintf("Cannot spread fragment %q within itself.", w.cycle)}
	case w.aliases > l.Aliases:
		return &excess{"aliases", int64(l.Aliases), int64(w.aliases)}
	case w.directives > l.Directives:
		return &excess{"directives", int64(l.Directives), int64(w.directives)}
	case deepest > int64(l.Depth):
		return &excess{"depth", int64(l.Depth), deepest}
	case largest > int64(l.Selections):
		return &excess{"selections", int64(l.Selections), told(largest)}
	}
	return nil
}

// invalidDocument is a mistake that validation would find as well, had it been
// asked.
type invalidDocument struct{ message string }

func (d *invalidDocument) Error() string { return d.message }

// shape is how large a selection set is with its fragments in place.
type shape struct {
	size   int64 // fields and fragments in it, however deep
	fields int64 // fields directly in it
	depth  int64 // fields inside each other
}

// told is a number for an error, 0 where it was too large to count.
func told(n int64) int64 {
	if n == math.MaxInt64 {
		return 0
	}
	return n
}

type fragmentShape struct {
	definition *ast.FragmentDefinition
	shape      shape
	done, open bool
}

type shapeWalker struct {
	fragments           map[string]*fragmentShape
	aliases, directives int    // counted once for each place in the document
	cycle               string // a fragment in one
}

func (w *shapeWalker) selections(set ast.SelectionSet) (s shape) {
	for _, selection := range set {
		var inner shape
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Alias != "" && selection.Alias != selection.Name {
				w.aliases++
			}
			w.directives += len(selection.Directives)
			inner = w.selections(selection.SelectionSet)
			inner.fields = 1
			inner.depth++
		case *ast.InlineFragment:
			w.directives += len(selection.Directives)
			inner = w.selections(selection.SelectionSet)
		case *ast.FragmentSpread:
			w.directives += len(selection.Directives)
			inner = w.fragment(selection.Name)
		}
		s.size = plus(s.size, plus(inner.size, 1))
		s.fields = plus(s.fields, inner.fields)
		s.depth = max(s.depth, inner.depth)
	}
	return s
}

// fragment returns the shape of a fragment, walked the first time only. An
// unknown one is empty: the validator will name it.
func (w *shapeWalker) fragment(name string) shape {
	f := w.fragments[name]
	switch {
	case f == nil:
		return shape{}
	case f.open:
		w.cycle = name
		return shape{}
	case !f.done:
		f.open = true
		f.shape = w.selections(f.definition.SelectionSet)
		f.open, f.done = false, true
	}
	return f.shape
}

// plus and times count without overflow: what is too large stays the largest
// number. Neither takes negative numbers.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}
