package view

import (
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Exception is something that needs or needed someone.
type Exception struct {
	s *Shipment
	i int
}

// IsNode marks it.
func (Exception) IsNode() {}

// OwnerID is the merchant whose it is.
func (x Exception) OwnerID() string { return x.s.OwnerID() }

func (x Exception) stored() *parcel.Exception { return &x.s.s.Journey.Exceptions[x.i] }

// ID is the global id.
func (x Exception) ID() string {
	return graph.MakeID(graph.TypeException, x.s.s.ID+"."+x.stored().Key)
}

// Kind is what is the matter.
func (x Exception) Kind() parcel.ExceptionKind { return x.stored().Kind }

// Label is the matter in words.
func (x Exception) Label(locale *string) Text {
	return x.s.lens.label(locale, groupException, string(x.stored().Kind))
}

// Severity is how urgent.
func (x Exception) Severity() parcel.Severity {
	if !x.stored().Severity.Valid() {
		return parcel.SeverityInfo
	}
	return x.stored().Severity
}

// Reason is the carrier's or customs' reason.
func (x Exception) Reason() (parcel.Reason, bool) {
	r := x.stored().Reason
	return r, r != "" && !x.s.mask.Hide
}

// Shipment is the journey.
func (x Exception) Shipment() *Shipment { return x.s }

// AttributedTo is the leg against which it counts.
func (x Exception) AttributedTo() (Leg, bool) { return x.s.leg(x.stored().Leg) }

// OpenedAt is when it was opened.
func (x Exception) OpenedAt() time.Time {
	if e, ok := x.s.event(x.stored().Opened); ok {
		return e.OccurredAt()
	}
	return x.s.UpdatedAt()
}

// ClosedAt is when it was closed.
func (x Exception) ClosedAt() (time.Time, bool) {
	e, ok := x.s.event(x.stored().Closed)
	if !ok {
		return time.Time{}, false
	}
	return e.OccurredAt(), true
}

// OpenHours is how long it was open, so far if it still is.
func (x Exception) OpenHours() float64 {
	end, closed := x.ClosedAt()
	if !closed {
		end = x.s.now
	}
	return max(0, end.Sub(x.OpenedAt()).Hours())
}

// Closure is how it was closed.
func (x Exception) Closure() (parcel.ExceptionClosure, bool) {
	return x.stored().Closure, !x.stored().Open() && x.stored().Closure != ""
}

// Because says why it was opened.
func (x Exception) Because() Because { return Because{x.s, x.stored().Opened, "exception.event"} }

// ClosedBecause says why it was closed.
func (x Exception) ClosedBecause() (Because, bool) {
	return Because{x.s, x.stored().Closed, x.stored().ClosedBy}, !x.stored().Open()
}

// ExceptionPage is a page of exceptions.
type ExceptionPage struct {
	s     *Shipment
	index []int
	total int
	info  PageInfo
}

const exceptionList = "exceptions"

// Exceptions are those that needed or need someone, in order of opening.
func (s *Shipment) Exceptions(open *bool, kinds []parcel.ExceptionKind, first *int, after *string) (ExceptionPage, error) {
	all := s.s.Journey.Exceptions
	var index []int
	for i := range all {
		if open != nil && *open != all[i].Open() || kinds != nil && !slices.Contains(kinds, all[i].Kind) {
			continue
		}
		index = append(index, i)
	}
	args, lo := PageArgs{First: first}, 0
	if after != nil {
		fields, err := s.lens.Cursors.OpenFields(exceptionList, *after, 2)
		at := -1
		if err == nil && fields[0] == s.s.ID {
			at = slices.IndexFunc(all, func(x parcel.Exception) bool { return x.Key == fields[1] })
		}
		if at < 0 {
			return ExceptionPage{}, parcel.Invalidf(parcel.FaultMalformed, "after", "not a cursor of this list, or its exception was undone")
		}
		for lo < len(index) && index[lo] <= at {
			lo++
		}
	}
	from, to, info, err := args.cut(len(index), lo, len(index), DefaultPage)
	if err != nil {
		return ExceptionPage{}, err
	}
	p := ExceptionPage{s: s, index: index[from:to], total: len(index), info: info}
	if n := len(p.index); n > 0 {
		p.info.Start, p.info.End = ExceptionEdge{Exception{s, p.index[0]}}, ExceptionEdge{Exception{s, p.index[n-1]}}
	}
	return p, nil
}

// Nodes are the exceptions.
func (p ExceptionPage) Nodes() []Exception {
	out := make([]Exception, len(p.index))
	for i, k := range p.index {
		out[i] = Exception{p.s, k}
	}
	return out
}

// Edges are the exceptions with their cursors.
func (p ExceptionPage) Edges() []ExceptionEdge {
	out := make([]ExceptionEdge, len(p.index))
	for i, k := range p.index {
		out[i] = ExceptionEdge{Exception{p.s, k}}
	}
	return out
}

// PageInfo is where the page stands.
func (p ExceptionPage) PageInfo() PageInfo { return p.info }

// Count is how many there are.
func (p ExceptionPage) Count() Count { return Count{Value: p.total, Exact: true} }

// ExceptionEdge is an exception in a page.
type ExceptionEdge struct{ x Exception }

// Node is the exception.
func (e ExceptionEdge) Node() Exception { return e.x }

// Cursor is its place.
func (e ExceptionEdge) Cursor() string {
	return e.x.s.lens.Cursors.SealFields(exceptionList, e.x.s.s.ID, e.x.stored().Key)
}
