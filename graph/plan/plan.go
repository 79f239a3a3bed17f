// Package plan writes hot subtrees of an answer without a resolver call, a
// context and a map for each of their fields: a selection is compiled once into
// a list of writers, which append JSON straight from the views.
//
// The plans themselves are generated from the schema, beside gqlgen's code
// (generated/plan.generated.go), and call the same methods of the same views.
// They hold the straight way only. Whatever else there is (a field with a
// resolver, a scope that the viewer lacks, an argument out of bounds, a view
// that fails) gives the whole subtree back to gqlgen, which knows how to tell
// errors and where; so a plan never writes an error, and a test holds the two
// ways to the same bytes.
package plan

import (
	"io"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/scalar"
)

// Writer appends an answer. It is not safe for concurrent use.
type Writer struct {
	b      []byte
	viewer *graph.Viewer
	failed bool
}

// Fail gives up: nothing that was written is used.
func (w *Writer) Fail() { w.failed = true }

// May tells whether the viewer may do s to what belongs to owner. If not the
// plan gives up, and gqlgen tells why.
func (w *Writer) May(s graph.Scope, owner string) bool {
	if w.viewer.May(s, owner) {
		return true
	}
	w.failed = true
	return false
}

// Null writes null.
func (w *Writer) Null() { w.b = append(w.b, "null"...) }

// Text writes a string, an enum value, or any scalar that is written as text.
func (w *Writer) Text(s string) { w.b = scalar.AppendString(w.b, s) }

// Int writes an Int.
func (w *Writer) Int(n int) { w.b = scalar.AppendInt(w.b, n) }

// Float writes a Float.
func (w *Writer) Float(f float64) { w.b = scalar.AppendFloat(w.b, f) }

// Bool writes a Boolean.
func (w *Writer) Bool(v bool) { w.b = scalar.AppendBool(w.b, v) }

// Time writes a DateTime.
func (w *Writer) Time(t time.Time) { w.b = scalar.AppendTime(w.b, t) }

// Object is the plan of one selection of one type.
type Object[T any] struct{ fields []field[T] }

type field[T any] struct {
	alias string
	key   []byte // `,"alias":`, without the comma for the first
	write func(*Writer, T)
}

// New makes a plan for n fields.
func New[T any](n int) *Object[T] { return &Object[T]{fields: make([]field[T], 0, n)} }

// Add adds a field; f is what was selected. A second one of the same alias adds
// nothing: __typename comes twice where two fragments ask for it.
func (o *Object[T]) Add(f *graphql.CollectedField, write func(*Writer, T)) {
	for i := range o.fields {
		if o.fields[i].alias == f.Alias {
			return
		}
	}
	key := make([]byte, 0, len(f.Alias)+4)
	if len(o.fields) > 0 {
		key = append(key, ',')
	}
	key = append(scalar.AppendString(key, f.Alias), ':')
	o.fields = append(o.fields, field[T]{f.Alias, key, write})
}

// Constant adds a field that is the same for all of the type.
func (o *Object[T]) Constant(f *graphql.CollectedField, text string) {
	o.Add(f, func(w *Writer, _ T) { w.Text(text) })
}

// Write writes one object.
func (o *Object[T]) Write(w *Writer, v T) {
	w.b = append(w.b, '{')
	for i := range o.fields {
		f := &o.fields[i]
		w.b = append(w.b, f.key...)
		f.write(w, v)
		if w.failed {
			return
		}
	}
	w.b = append(w.b, '}')
}

// List writes the elements of a list.
func List[T any](w *Writer, list []T, write func(*Writer, T)) {
	w.b = append(w.b, '[')
	for i := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		write(w, list[i])
		if w.failed {
			return
		}
	}
	w.b = append(w.b, ']')
}

// buffers are reused: an answer of a page is some hundred kilobytes.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// keep is the largest buffer that is kept for reuse.
const keep = 1 << 20

// Run writes a whole subtree. ok is false where the plan gave up.
func Run(v *graph.Viewer, write func(*Writer)) (m graphql.Marshaler, ok bool) {
	b := buffers.Get().(*[]byte)
	w := Writer{b: (*b)[:0], viewer: v}
	write(&w)
	*b = w.b
	if w.failed {
		buffers.Put(b)
		return nil, false
	}
	return &written{b}, true
}

// written is a subtree that stands ready. gqlgen writes it once.
type written struct{ b *[]byte }

// MarshalGQL implements graphql.Marshaler.
func (m *written) MarshalGQL(to io.Writer) {
	if m.b == nil {
		return
	}
	_, _ = to.Write(*m.b)
	if cap(*m.b) <= keep {
		buffers.Put(m.b)
	}
	m.b = nil
}
