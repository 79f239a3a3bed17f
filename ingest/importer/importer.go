// Package importer reads files of shipments, CSV or JSON lines, and hands them
// to the write path: line by line, by a mapping that says which column is
// what. A bad line is told with its number and its field, and never stops a
// good one; an import that was broken off goes on where it stopped.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// Fault is something wrong with a line.
type Fault struct {
	// Line is counted from 1; the header of a CSV file is line 1.
	Line int
	// Field is what the mapping calls it, Column what the file does; empty
	// where the whole line is meant.
	Field, Column string
	// Value is what stood there; empty where that does not help.
	Value string
	// Message says what is wrong and what would be right.
	Message string
	// Warning is set where the line was taken all the same.
	Warning bool
}

// maxShown is how much of a value an error repeats, in characters.
const maxShown = 40

// Error tells line, field, column and what is wrong.
func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d: ", f.Line)
	if f.Field != "" {
		b.WriteString(f.Field)
		if f.Column != "" && f.Column != f.Field {
			fmt.Fprintf(&b, " (column %q)", f.Column)
		}
		b.WriteString(": ")
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Value != "" && !strings.Contains(f.Message, strconv.Quote(f.Value)) {
		fmt.Fprintf(&b, "%q ", shorten(f.Value))
	}
	b.WriteString(f.Message)
	return b.String()
}

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	return string([]rune(s)[:maxShown]) + "…"
}

// Unwrap gives the kind.
func (f *Fault) Unwrap() error { return parcel.ErrInvalid }

// Batch is the most lines that become durable together.
const Batch = ingest.MaxRegistrations

// Options say what to import.
type Options struct {
	// Input is the file, Name what it is called: its ending tells its form
	// where the mapping does not.
	Input io.Reader
	Name  string
	// Mapping of the file.
	Mapping Mapping
	// NextLine is the first line to take in; lines before it were taken before.
	// 0 is all of them.
	NextLine int
	// Register is the write path. It gives a result for each shipment, in
	// order, and is called with at most Batch of them, from one goroutine.
	Register func(ctx context.Context, in []ingest.History) ([]parcel.Registered, error)
	// Checkpoint, if set, is called after each batch that became durable, and
	// at the end: everything before s.NextLine is done.
	Checkpoint func(ctx context.Context, s Summary) error
	// Fault, if set, hears of every fault and warning, in the order of lines
	// within a batch.
	Fault func(*Fault)
	// Note, if set, hears what concerns the file as a whole, such as a column
	// that nothing reads.
	Note func(text string)
}

// Summary counts what became of the lines.
type Summary struct {
	// NextLine is the first line not taken in yet.
	NextLine int
	// Skipped lines lie before Options.NextLine.
	Skipped int
	// Created, Updated and Unchanged lines were taken; Refused were not.
	Created, Updated, Unchanged, Refused int
	// Events that came with the lines taken.
	Events int
	// Warnings about lines that were taken.
	Warnings int
}

// Taken is how many lines were taken.
func (s Summary) Taken() int { return s.Created + s.Updated + s.Unchanged }

// Run imports a file. Lines that cannot be read or are refused are told to
// Options.Fault and counted, and are no error of Run. An error says that the
// import stopped: the mapping does not fit the file, the file cannot be read
// on, or the write path failed; what the summary counts was taken.
func Run(ctx context.Context, o Options) (Summary, error) {
	src, err := open(o.Input, o.Name, o.Mapping.Format, o.Mapping.Encoding, o.Mapping.Delimiter)
	if err != nil {
		return Summary{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	if o.Mapping.lenient {
		// Names differ in case and signs from one program to the next.
		plainHeader(src)
	}
	p, err := o.Mapping.compile(src.header())
	if err != nil {
		return Summary{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	r := run{Options: o, plan: p, sum: Summary{NextLine: max(o.NextLine, 1)}}
	r.noteUnused(src.header())
	if err := r.all(ctx, src); err != nil {
		return r.sum, fmt.Errorf("%s: %w", o.Name, err)
	}
	return r.sum, nil
}

// plainHeader gives a header the spelling of the default mapping.
func plainHeader(src source) {
	s, ok := src.(*csvSource)
	if !ok {
		return
	}
	s.index = make(map[string]int, len(s.names))
	for i, name := range s.names {
		name = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(name))
		s.names[i] = name
		if _, twice := s.index[name]; !twice {
			s.index[name] = i
		}
	}
}

type run struct {
	Options
	plan  *plan
	sum   Summary
	batch []ingest.History
	lines []int
	// faults of lines that gave no shipment, told with their batch so that
	// faults come in the order of lines.
	faults []*Fault
	last   int // the last line read
}

// noteUnused says which columns nothing reads: often one is misspelt.
func (r *run) noteUnused(header []string) {
	if r.Note == nil || !r.Mapping.lenient {
		return
	}
	var known, unused []string
	for _, rules := range r.Mapping.Fields {
		known = append(known, rules[0].Column)
	}
	for _, g := range r.Mapping.Legs {
		for _, rules := range g {
			known = append(known, rules[0].Column)
		}
	}
	for _, c := range header {
		if !slices.Contains(known, c) {
			unused = append(unused, strconv.Quote(c))
		}
	}
	if len(unused) > 0 {
		r.Note("columns that nothing reads: " + strings.Join(unused, ", "))
	}
}

func (r *run) all(ctx context.Context, src source) error {
	for {
		rec, err := src.next()
		var fault *Fault
		switch {
		case errors.Is(err, io.EOF):
			if err := r.flush(ctx); err != nil {
				return err
			}
			r.sum.NextLine = max(r.sum.NextLine, r.last+1)
			return r.checkpoint(ctx)
		case errors.As(err, &fault):
			r.last = fault.Line
			if fault.Line >= r.NextLine {
				r.refuse(fault)
			}
		case err != nil:
			return errors.Join(fmt.Errorf("after line %d: %w", r.last, err), r.flush(ctx))
		case rec.line < r.NextLine:
			r.last = rec.line
			r.sum.Skipped++
		default:
			r.last = rec.line
			h, faults := r.plan.shipment(rec)
			if len(faults) > 0 {
				r.refuse(faults...)
				break
			}
			r.batch, r.lines = append(r.batch, h), append(r.lines, rec.line)
		}
		if len(r.batch) == Batch || len(r.faults) >= Batch {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped after line %d: %w", r.sum.NextLine-1, context.Cause(ctx))
		}
	}
}

func (r *run) refuse(faults ...*Fault) {
	r.sum.Refused++
	r.faults = append(r.faults, faults...)
}

// flush makes the batch durable and tells what became of its lines.
func (r *run) flush(ctx context.Context) error {
	if len(r.batch)+len(r.faults) == 0 {
		return nil
	}
	faults := r.faults
	if len(r.batch) > 0 {
		done, err := r.Register(ctx, r.batch)
		if err != nil {
			return fmt.Errorf("lines %d to %d were not taken: %w", r.lines[0], r.lines[len(r.lines)-1], err)
		}
		for i := range done {
			faults = append(faults, r.count(i, &done[i])...)
		}
	}
	slices.SortStableFunc(faults, func(a, b *Fault) int { return a.Line - b.Line })
	if r.Fault != nil {
		for _, f := range faults {
			r.Fault(f)
		}
	}
	r.batch, r.lines, r.faults = r.batch[:0], r.lines[:0], nil
	r.sum.NextLine = r.last + 1
	return r.checkpoint(ctx)
}

func (r *run) checkpoint(ctx context.Context) error {
	if r.Checkpoint == nil {
		return nil
	}
	// What is durable must be remembered even while the import is being
	// stopped.
	if err := r.Checkpoint(context.WithoutCancel(ctx), r.sum); err != nil {
		return fmt.Errorf("cannot note how far the import is: %w", err)
	}
	return nil
}

func (r *run) count(i int, done *parcel.Registered) (faults []*Fault) {
	switch done.Outcome {
	case parcel.WriteCreated:
		r.sum.Created++
		r.sum.Events += len(r.batch[i].Events)
	case parcel.WriteUpdated:
		r.sum.Updated++
		r.sum.Events += len(r.batch[i].Events)
	case parcel.WriteUnchanged:
		r.sum.Unchanged++
	default:
		r.sum.Refused++
	}
	for _, p := range done.Problems {
		f := r.faultOf(r.lines[i], p)
		if f.Warning {
			r.sum.Warnings++
		}
		faults = append(faults, f)
	}
	return faults
}

// faultOf tells a fault that the write path found in the words of the file.
func (r *run) faultOf(line int, p *parcel.InputError) *Fault {
	f := &Fault{Line: line, Message: p.Message, Warning: p.Warning, Field: strings.Join(p.Path, ".")}
	columnOf := func(steps []step, name string) string {
		for i := range steps {
			if s := &steps[i]; s.name == name && len(s.rules) > 0 {
				return s.rules[0].Column
			}
		}
		return ""
	}
	if len(p.Path) == 3 && p.Path[0] == "legs" {
		n, err := strconv.Atoi(p.Path[1])
		for _, t := range legTargets {
			if err == nil && t.path == p.Path[2] {
				f.Field = t.name
				if n > 0 {
					f.Field = fmt.Sprintf("%s_%d", t.name, n+1)
				} else if len(r.plan.legs) > 0 {
					f.Column = columnOf(r.plan.legs[0].steps, t.name)
				}
				return f
			}
		}
		return f
	}
	for path := f.Field; path != ""; {
		for _, t := range shipmentTargets {
			if t.path == path {
				f.Field, f.Column = t.name, columnOf(r.plan.fields, t.name)
				return f
			}
		}
		// tags.3 is at fault in tags.
		cut := strings.LastIndexByte(path, '.')
		path = path[:max(cut, 0)]
	}
	return f
}
