package view

import (
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Change is a row of the change log.
type Change interface {
	IsShipmentChange()
	Cursor() string
	Kind() parcel.ChangeKind
	LoggedAt() time.Time
	OccurredAt() (time.Time, bool)
	Shipment() *Shipment
	Because() Because
}

// row is what every kind of change has.
type row struct {
	c *parcel.Change
	s *Shipment
}

// ChangeOf shows a row of the log with its shipment as it stands now.
func ChangeOf(c *parcel.Change, s *Shipment) Change {
	r := row{c, s}
	switch c.Kind {
	case parcel.ChangeException:
		return ExceptionChange{r}
	case parcel.ChangePromise:
		return PromiseChange{r}
	case parcel.ChangeLeg:
		return LegChange{r}
	default:
		return MilestoneChange{r}
	}
}

// MilestoneChangeOf shows a row of one of the kinds that ToldAsMilestones lists.
func MilestoneChangeOf(c *parcel.Change, s *Shipment) MilestoneChange {
	return MilestoneChange{row{c, s}}
}

// ToldAsMilestones lists the kinds of row that a shopper or partner must hear.
func ToldAsMilestones() []parcel.ChangeKind {
	return []parcel.ChangeKind{parcel.ChangeMilestone, parcel.ChangeOutcome, parcel.ChangeNumber, parcel.ChangeRetraction}
}

// IsShipmentChange marks it.
func (row) IsShipmentChange() {}

// OwnerID is the merchant whose it is.
func (r row) OwnerID() string { return r.s.OwnerID() }

// Cursor is its place in the log.
func (r row) Cursor() string { return r.s.lens.Cursors.SealPosition(r.c.Position) }

// Kind is what changed.
func (r row) Kind() parcel.ChangeKind { return r.c.Kind }

// LoggedAt is when it was logged.
func (r row) LoggedAt() time.Time { return r.c.LoggedAt }

// OccurredAt is when it happened in the world.
func (r row) OccurredAt() (time.Time, bool) { return instant(r.s.moment(r.c.Occurred).At) }

// Shipment is the shipment as it stands now.
func (r row) Shipment() *Shipment { return r.s }

// Because says why.
func (r row) Because() Because {
	b := Because{r.s, -1, r.c.Rule}
	if e, ok := r.s.EventByID(r.c.EventID); ok {
		b.event = e.i
	}
	return b
}

// Leg is the leg concerned.
func (r row) Leg() (Leg, bool) { return r.s.LegByKey(r.c.LegKey) }

// MilestoneChange is a milestone, an outcome, a number or a retraction.
type MilestoneChange struct{ row }

// From is the milestone before.
func (m MilestoneChange) From() (parcel.Milestone, bool) { return m.c.From, m.c.From != "" }

// To is the milestone now.
func (m MilestoneChange) To() parcel.Milestone {
	if m.c.To == "" {
		return parcel.MilestoneRegistered
	}
	return m.c.To
}

// Label is the row in words.
func (m MilestoneChange) Label(locale *string) Text {
	l := m.s.lens
	switch {
	case m.c.Kind == parcel.ChangeOutcome && m.c.Outcome != "":
		return l.label(locale, groupOutcome, string(m.c.Outcome))
	case m.c.Kind == parcel.ChangeMilestone && !m.IsBackward():
		return l.label(locale, groupMilestone, string(m.To()))
	default:
		return l.label(locale, groupChange, string(m.c.Kind))
	}
}

// IsBackward tells whether a retraction moved the milestone back.
func (m MilestoneChange) IsBackward() bool { return m.c.From != "" && m.c.Backward() }

// OutcomeBefore is the outcome before.
func (m MilestoneChange) OutcomeBefore() (parcel.Outcome, bool) {
	return m.c.OutcomeBefore, m.c.OutcomeBefore != ""
}

// Outcome is the outcome now.
func (m MilestoneChange) Outcome() (parcel.Outcome, bool) { return m.c.Outcome, m.c.Outcome != "" }

// NumberBefore is the number before.
func (m MilestoneChange) NumberBefore() (string, bool) {
	return m.c.NumberBefore, m.c.NumberBefore != "" && !m.s.mask.Hide
}

// Number is the number now.
func (m MilestoneChange) Number() (string, bool) {
	return m.c.Number, m.c.Number != "" && !m.s.mask.Hide
}

// Retracted is the event that no longer counts.
func (m MilestoneChange) Retracted() (TrackingEvent, bool) {
	return m.s.EventByID(m.c.RetractedEventID)
}

// Local is when it happened by the wall clock of the place.
func (m MilestoneChange) Local() (LocalTime, bool) {
	return LocalTime{m.s.moment(m.c.Occurred)}, !m.c.Occurred.IsZero()
}

// Place is where.
func (m MilestoneChange) Place() (Place, bool) { return m.s.place(m.c.Place), !m.c.Place.IsZero() }

// ExceptionChange is an exception opened or closed.
type ExceptionChange struct{ row }

// ExceptionAction is what happened to it.
func (x ExceptionChange) ExceptionAction() parcel.ExceptionAction { return x.c.ExceptionAction }

// ExceptionKind is what was the matter.
func (x ExceptionChange) ExceptionKind() parcel.ExceptionKind { return x.c.ExceptionKind }

// Severity is how urgent it was then.
func (x ExceptionChange) Severity() parcel.Severity {
	if !x.c.Severity.Valid() {
		return parcel.SeverityInfo
	}
	return x.c.Severity
}

// Exception is the exception as it stands now.
func (x ExceptionChange) Exception() (Exception, bool) { return x.s.ExceptionByKey(x.c.ExceptionKey) }

// PromiseChange is a promise made or revised.
type PromiseChange struct{ row }

// PromiseBefore is the version before.
func (p PromiseChange) PromiseBefore() (PromiseVersion, bool) {
	return PromiseVersion{p.c.PromiseBefore}, p.c.PromiseBefore.By != ""
}

// Promise is the version now.
func (p PromiseChange) Promise() PromiseVersion { return PromiseVersion{p.c.Promise} }

// LegChange is a leg added, begun, ended or skipped.
type LegChange struct{ row }

// LegAction is what happened to it.
func (l LegChange) LegAction() parcel.LegAction { return l.c.LegAction }

// ChangeConnection is a page of the change log.
type ChangeConnection struct {
	Rows []Change
	More bool
	// Previous tells whether rows come before the page.
	Previous bool
	// HeadPosition and OldestPosition bound the log.
	HeadPosition, OldestPosition int64
	Lens                         *Lens
}

// Nodes are the rows.
func (c *ChangeConnection) Nodes() []Change { return c.Rows }

// Edges are the rows with their cursors.
func (c *ChangeConnection) Edges() []ChangeEdge {
	out := make([]ChangeEdge, len(c.Rows))
	for i, r := range c.Rows {
		out[i] = ChangeEdge{r}
	}
	return out
}

// PageInfo is where the page stands.
func (c *ChangeConnection) PageInfo() PageInfo {
	p := PageInfo{HasNextPage: c.More, HasPreviousPage: c.Previous}
	if n := len(c.Rows); n > 0 {
		p.Start, p.End = c.Rows[0], c.Rows[n-1]
	}
	return p
}

// Head is the newest place in the log.
func (c *ChangeConnection) Head() string { return c.Lens.Cursors.SealPosition(c.HeadPosition) }

// Oldest is the place before the oldest row kept.
func (c *ChangeConnection) Oldest() string { return c.Lens.Cursors.SealPosition(c.OldestPosition) }

// ChangeEdge is a row in a page.
type ChangeEdge struct{ r Change }

// Node is the row.
func (e ChangeEdge) Node() Change { return e.r }

// Cursor is the row's own.
func (e ChangeEdge) Cursor() string { return e.r.Cursor() }
