package view

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// TrackingEvent is something that happened.
type TrackingEvent struct {
	s *Shipment
	i int
}

// IsNode marks it.
func (TrackingEvent) IsNode() {}

// OwnerID is the merchant whose it is.
func (e TrackingEvent) OwnerID() string { return e.s.OwnerID() }

func (e TrackingEvent) stored() *parcel.TimelineEvent { return &e.s.s.Journey.Events[e.i] }

// counts tells whether it takes part in anything derived: neither retracted nor
// itself a retraction, nor another parcel's.
func (e TrackingEvent) counts() bool {
	s := e.stored()
	return s.Retracted == nil && !s.Retracts && !s.LaterUse
}

// ID is the global id.
func (e TrackingEvent) ID() string { return graph.MakeID(graph.TypeEvent, e.stored().ID) }

// Code is what happened.
func (e TrackingEvent) Code() parcel.Code {
	if e.stored().Read.Valid() {
		return e.stored().Read
	}
	return parcel.CodeUnknown
}

// Label is what happened, in words.
func (e TrackingEvent) Label(locale *string) Text {
	return e.s.lens.label(locale, groupEvent, string(e.Code()))
}

// Stage is the stage in which it happened.
func (e TrackingEvent) Stage() parcel.Stage {
	if !e.stored().Stage.Valid() {
		return parcel.StageFirstMile
	}
	return e.stored().Stage
}

// Proves is the highest milestone that it proves.
func (e TrackingEvent) Proves() (parcel.Milestone, bool) {
	return e.stored().Proves, e.stored().Proves != ""
}

// Reason is why, where the carrier says.
func (e TrackingEvent) Reason() (parcel.Reason, bool) {
	r := e.stored().Reason
	return r, r != "" && !e.s.mask.Hide
}

// Place is where.
func (e TrackingEvent) Place() (Place, bool) {
	return e.s.place(e.stored().Observation.Place), !e.stored().Observation.Place.IsZero()
}

// DeliveredTo is to whom.
func (e TrackingEvent) DeliveredTo() (parcel.DeliveredTo, bool) {
	d := e.stored().DeliveredTo
	return d, d != "" && !e.s.mask.Hide
}

// OccurredAt is when it happened.
func (e TrackingEvent) OccurredAt() time.Time { return e.s.moment(e.stored().Occurred).At }

// Local is the same by the wall clock of the place.
func (e TrackingEvent) Local() LocalTime { return LocalTime{e.s.moment(e.stored().Occurred)} }

// ReportedAt is when the carrier entered it.
func (e TrackingEvent) ReportedAt() (time.Time, bool) {
	if e.stored().Reported.IsZero() {
		return time.Time{}, false
	}
	return e.s.at(e.stored().Reported), true
}

// ReceivedAt is when it reached us.
func (e TrackingEvent) ReceivedAt() time.Time { return e.s.at(e.stored().ReceivedAt) }

// LagSeconds is the time from occurrence to receipt.
func (e TrackingEvent) LagSeconds() (int, bool) {
	m := e.s.moment(e.stored().Occurred)
	if m.DateOnly() || m.Certainty.Rank() == 0 {
		return 0, false
	}
	return int(e.stored().ReceivedAt.Sub(m.At) / time.Second), true
}

// Original is the carrier's own code and words.
func (e TrackingEvent) Original() CarrierWords { return CarrierWords{e} }

// Leg is the leg.
func (e TrackingEvent) Leg() (Leg, bool) { return e.s.leg(e.stored().Leg) }

// Shipment is the journey.
func (e TrackingEvent) Shipment() *Shipment { return e.s }

// Sources are the reports merged into it, whoever told them.
func (e TrackingEvent) Sources(first *int) []EventSource {
	out := make([]EventSource, sizeOf(len(e.stored().Witnesses), first, 5))
	for i := range out {
		out[i] = EventSource{e.s, &e.stored().Witnesses[i]}
	}
	return out
}

// Mapping is how the code was read.
func (e TrackingEvent) Mapping() Mapping { return Mapping{e} }

// Retraction is why it no longer counts.
func (e TrackingEvent) Retraction() (Retraction, bool) {
	r := e.stored().Retracted
	return Retraction{e.s, r}, r != nil
}

// CodeIn is the code in another system's vocabulary.
func (e TrackingEvent) CodeIn(vocabulary parcel.Vocabulary) (string, bool) {
	return e.Code().In(vocabulary)
}

// CarrierWords is what a carrier wrote.
type CarrierWords struct{ e TrackingEvent }

// Code is the carrier's own code.
func (w CarrierWords) Code() (string, bool) { return given(w.e.stored().OwnCode) }

// Text is the carrier's sentence.
func (w CarrierWords) Text() (string, bool) {
	t := w.e.stored().Words
	return t, t != "" && !w.e.s.mask.Hide
}

// Locale is its language.
func (w CarrierWords) Locale() (string, bool) {
	l := w.e.stored().Language
	return l, l != "" && !w.e.s.mask.Hide
}

// Direction is its writing direction: by the first letter that has one.
func (w CarrierWords) Direction() TextDirection {
	if t, ok := w.Text(); ok {
		for _, r := range t {
			switch {
			// Hebrew, Arabic and their neighbours up to the presentation forms.
			case r >= 0x0590 && r <= 0x08FF, r >= 0xFB1D && r <= 0xFDFF, r >= 0xFE70 && r <= 0xFEFF:
				return RightToLeft
			case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= 0x00C0 && r < 0x0590, r >= 0x0900 && r < 0xFB1D:
				return LeftToRight
			}
		}
	}
	return LeftToRight
}

// Mapping is how a carrier's code became ours.
type Mapping struct{ e TrackingEvent }

// Rule is the row of the carrier's table.
func (m Mapping) Rule() string { return m.e.stored().Rule }

// Version is the table's version.
func (m Mapping) Version() string { return m.e.stored().RuleVersion }

// Known is false where nobody mapped the code.
func (m Mapping) Known() bool {
	return m.e.stored().Observation.Code != parcel.CodeUnknown && m.e.stored().Observation.Code != ""
}

// Retraction is why an event no longer counts.
type Retraction struct {
	s *Shipment
	r *parcel.Retraction
}

// At is when it was withdrawn.
func (r Retraction) At() time.Time { return r.s.at(r.r.At) }

// Kind is the kind of mistake.
func (r Retraction) Kind() parcel.RetractionKind { return r.r.Kind }

// Reason is the given reason.
func (r Retraction) Reason() (string, bool) { return r.r.Reason, r.r.Reason != "" && !r.s.mask.Hide }

// ReplacedBy is what stands in its place.
func (r Retraction) ReplacedBy() (TrackingEvent, bool) { return r.s.eventByKey(r.r.ReplacedBy) }

// EventSource is one report of an event.
type EventSource struct {
	s *Shipment
	w *parcel.Witness
}

// OwnerID is the merchant whose it is.
func (e EventSource) OwnerID() string { return e.s.OwnerID() }

// Carrier is who said so.
func (e EventSource) Carrier() (*Carrier, bool) {
	if e.Kind() == parcel.SourceReport {
		return nil, false // a report may name a carrier, which did not say so
	}
	return e.s.lens.Carriers.Get(e.w.Carrier)
}

// Kind is the door.
func (e EventSource) Kind() parcel.SourceKind {
	if e.w.Source == "" {
		return parcel.SourceReport
	}
	return e.w.Source
}

// ReceivedAt is when it reached us.
func (e EventSource) ReceivedAt() time.Time { return e.s.at(e.w.ReceivedAt) }

// PayloadID names the bytes; empty for a report.
func (e EventSource) PayloadID() string { return e.w.PayloadID }

// Payload is bytes as received and kept.
type Payload struct{ p *parcel.Payload }

// PayloadOf shows a payload.
func PayloadOf(p *parcel.Payload) *Payload { return &Payload{p} }

// Reference names it in a question.
func (p *Payload) Reference() string { return p.p.ID }

// ContentType is the media type.
func (p *Payload) ContentType() string {
	if p.p.ContentType == "" {
		return "application/octet-stream"
	}
	return p.p.ContentType
}

// SizeBytes is its size.
func (p *Payload) SizeBytes() int { return len(p.p.Body) }

// ReceivedAt is when it was received.
func (p *Payload) ReceivedAt() time.Time { return p.p.ReceivedAt }

// maxPayloadText is how much of a payload is shown.
const maxPayloadText = 64 << 10

// Text is the beginning of the bytes, cut at a whole character, if they are
// text.
func (p *Payload) Text() (string, bool) {
	b := p.p.Body
	if len(b) > maxPayloadText {
		b = b[:maxPayloadText]
		for len(b) > 0 && !utf8.RuneStart(p.p.Body[len(b)]) {
			b = b[:len(b)-1]
		}
	}
	return string(b), utf8.Valid(b)
}

// EventPage is a page of events.
type EventPage struct {
	s *Shipment
	// index is the events' places in the journey.
	index []int32
	total int
	info  PageInfo
}

type eventQuery struct {
	PageArgs
	// leg is the only leg wanted; -1 for all.
	leg    int
	stages []parcel.Stage
	// counting leaves out what does not count.
	counting   bool
	descending bool
}

const eventList = "events"

// Timeline is all legs' events.
func (s *Shipment) Timeline(order *OrderDirection, stages []parcel.Stage, includeRetracted *bool, first *int, after *string, last *int, before *string) (EventPage, error) {
	return s.eventPage(eventQuery{
		PageArgs: PageArgs{First: first, Last: last, After: after, Before: before}, leg: -1, stages: stages,
		counting: includeRetracted == nil || !*includeRetracted, descending: order != nil && *order == Descending,
	})
}

func (s *Shipment) eventPage(q eventQuery) (EventPage, error) {
	events := s.s.Journey.Events
	index := make([]int32, 0, len(events))
	for i := range events {
		e := &events[i]
		if e.LaterUse || q.counting && (e.Retracted != nil || e.Retracts) || q.leg >= 0 && e.Leg != q.leg ||
			q.stages != nil && !slices.Contains(q.stages, e.Stage) {
			continue
		}
		index = append(index, int32(i))
	}
	if q.descending {
		slices.Reverse(index)
	}
	lo, hi := 0, len(index)
	// A cursor names an event, not a place: it holds while others arrive around
	// it, when its own event is retracted, and when it turns out to be what
	// another teller's event tells as well.
	place := func(cursor *string, name string, past bool) (int, error) {
		i, err := s.openEventCursor(*cursor)
		if err != nil {
			return 0, err.Under(name)
		}
		at := slices.IndexFunc(index, func(k int32) bool {
			switch {
			case past && q.descending:
				return int(k) < i
			case past:
				return int(k) > i
			case q.descending:
				return int(k) <= i
			default:
				return int(k) >= i
			}
		})
		if at < 0 {
			at = len(index)
		}
		return at, nil
	}
	var err error
	if q.After != nil {
		if lo, err = place(q.After, "after", true); err != nil {
			return EventPage{}, err
		}
	}
	if q.Before != nil {
		if hi, err = place(q.Before, "before", false); err != nil {
			return EventPage{}, err
		}
	}
	from, to, info, err := q.cut(len(index), lo, hi, DefaultPage)
	if err != nil {
		return EventPage{}, err
	}
	p := EventPage{s: s, index: index[from:to], total: len(index), info: info}
	if n := len(p.index); n > 0 {
		p.info.Start, p.info.End = p.edge(0), p.edge(n-1)
	}
	return p, nil
}

func (s *Shipment) openEventCursor(cursor string) (int, *parcel.InputError) {
	fields, err := s.lens.Cursors.OpenFields(eventList, cursor, 2)
	if err == nil && fields[0] == s.s.ID {
		if i := s.s.Journey.EventByKey(fields[1]); i >= 0 {
			return i, nil
		}
	}
	return 0, parcel.Invalidf(parcel.FaultMalformed, "", "not a cursor of this list")
}

func (p EventPage) edge(i int) EventEdge { return EventEdge{TrackingEvent{p.s, int(p.index[i])}} }

// Nodes are the events.
func (p EventPage) Nodes() []TrackingEvent {
	out := make([]TrackingEvent, len(p.index))
	for i := range out {
		out[i] = TrackingEvent{p.s, int(p.index[i])}
	}
	return out
}

// Edges are the events with their cursors.
func (p EventPage) Edges() []EventEdge {
	out := make([]EventEdge, len(p.index))
	for i := range out {
		out[i] = p.edge(i)
	}
	return out
}

// PageInfo is where the page stands.
func (p EventPage) PageInfo() PageInfo { return p.info }

// Count is how many there are.
func (p EventPage) Count() Count { return Count{Value: p.total, Exact: true} }

// EventEdge is an event in a page.
type EventEdge struct{ e TrackingEvent }

// Node is the event.
func (e EventEdge) Node() TrackingEvent { return e.e }

// Cursor is its place.
func (e EventEdge) Cursor() string {
	return e.e.s.lens.Cursors.SealFields(eventList, e.e.s.s.ID, e.e.stored().EventKey)
}
