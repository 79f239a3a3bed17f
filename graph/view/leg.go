package view

import (
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Leg is a stretch in one carrier's custody.
type Leg struct {
	s *Shipment
	i int
}

// IsNode marks it.
func (Leg) IsNode() {}

// OwnerID is the merchant whose it is.
func (l Leg) OwnerID() string { return l.s.OwnerID() }

func (l Leg) stored() *parcel.Leg { return &l.s.s.Journey.Legs[l.i] }

// Key is the carrier and number in whose words it is told.
func (l Leg) Key() parcel.NumberKey {
	return parcel.NumberKey{Carrier: l.stored().Carrier, Number: l.stored().Number}
}

// ID is the global id.
func (l Leg) ID() string { return graph.MakeID(graph.TypeLeg, l.s.s.ID+"."+l.stored().Key) }

// Sequence is the position, from 1.
func (l Leg) Sequence() int { return l.stored().Sequence }

// Stage is the part of the journey.
func (l Leg) Stage() parcel.Stage {
	if !l.stored().Stage.Valid() {
		return parcel.StageFirstMile
	}
	return l.stored().Stage
}

// State is planned, active, done or skipped.
func (l Leg) State() parcel.LegState { return l.stored().State }

// IsReturn tells the way back.
func (l Leg) IsReturn() bool { return l.stored().Return }

// Shipment is the journey.
func (l Leg) Shipment() *Shipment { return l.s }

// Carrier is who carries it.
func (l Leg) Carrier() (*Carrier, bool) { return l.s.lens.Carriers.Get(l.stored().Carrier) }

// ServiceLevel is the carrier's product.
func (l Leg) ServiceLevel() (string, bool) { return given(l.stored().ServiceLevel) }

// TrackingNumber is the carrier's name for the parcel.
func (l Leg) TrackingNumber() (string, bool) {
	n := l.stored().Number
	return n, n != "" && (!l.s.mask.Hide || n == l.s.mask.Number)
}

// FormerTrackingNumbers are numbers that were corrected.
func (l Leg) FormerTrackingNumbers() []string {
	if l.s.mask.Hide || l.stored().Former == nil {
		return []string{}
	}
	return l.stored().Former
}

// CarrierPage is the carrier's own page for it.
func (l Leg) CarrierPage() (string, bool) {
	n, ok := l.TrackingNumber()
	c, known := l.Carrier()
	if !ok || !known {
		return "", false
	}
	return c.TrackingPage(n)
}

// From is where it begins.
func (l Leg) From() (Place, bool) { return l.s.place(l.stored().From), !l.stored().From.IsZero() }

// To is where it ends.
func (l Leg) To() (Place, bool) { return l.s.place(l.stored().To), !l.stored().To.IsZero() }

// StartedAt is the first event in custody.
func (l Leg) StartedAt() (time.Time, bool) { return instant(l.s.moment(l.stored().Start).At) }

// EndedAt is the last event in custody, once it is over.
func (l Leg) EndedAt() (time.Time, bool) { return instant(l.s.moment(l.stored().End).At) }

// DwellHours is the time in custody.
func (l Leg) DwellHours() (float64, bool) {
	start, ok := l.StartedAt()
	if !ok {
		return 0, false
	}
	end, over := l.EndedAt()
	if !over {
		end = l.s.now
	}
	return max(0, end.Sub(start).Hours()), true
}

// Events are this leg's events.
func (l Leg) Events(first *int, after *string, last *int, before *string) (EventPage, error) {
	return l.s.eventPage(eventQuery{
		PageArgs: PageArgs{First: first, Last: last, After: after, Before: before}, leg: l.i, counting: true,
	})
}

// Because says how the leg was learnt of.
func (l Leg) Because() Because {
	event := l.stored().NamedBy
	if l.stored().Origin == parcel.LegSeen {
		event = l.stored().FirstEvent
	}
	return Because{l.s, event, string(l.stored().Origin)}
}

// Cost is what it cost.
func (l Leg) Cost() (Money, bool) { return money(l.stored().Cost) }

// Freshness is how old our knowledge of it is.
func (l Leg) Freshness() Freshness {
	over := l.s.s.Journey.Outcome != "" || l.stored().State == parcel.LegDone || l.stored().State == parcel.LegSkipped
	return l.s.freshnessOf(l.s.tracking(l.Key()), over)
}

// Handover is custody passing between two legs.
type Handover struct {
	s *Shipment
	h *parcel.Handover
}

// From is the leg that lets go.
func (h Handover) From() Leg { return Leg{h.s, h.h.From} }

// To is the leg that takes on.
func (h Handover) To() (Leg, bool) { return h.s.leg(h.h.To) }

// ReleasedAt is when it was let go.
func (h Handover) ReleasedAt() (time.Time, bool) {
	e, ok := h.ReleasedBy()
	if !ok {
		return time.Time{}, false
	}
	return e.OccurredAt(), true
}

// ReleasedBy is the event that says so. Towards a leg that has not begun, the
// last word of the present carrier is a release only where custody says that
// the parcel is between the two.
func (h Handover) ReleasedBy() (TrackingEvent, bool) {
	if to, ok := h.To(); ok && to.State() == parcel.LegPlanned && h.s.s.Journey.Custody.State != parcel.CustodyBetween {
		return TrackingEvent{}, false
	}
	return h.s.event(h.h.Released)
}

// AcceptedAt is when it was taken on.
func (h Handover) AcceptedAt() (time.Time, bool) {
	e, ok := h.AcceptedBy()
	if !ok {
		return time.Time{}, false
	}
	return e.OccurredAt(), true
}

// AcceptedBy is the event that says so.
func (h Handover) AcceptedBy() (TrackingEvent, bool) { return h.s.event(h.h.Accepted) }

// Place is where it passed.
func (h Handover) Place() (Place, bool) {
	if e, ok := h.ReleasedBy(); ok {
		if p, said := e.Place(); said {
			return p, true
		}
	}
	if e, ok := h.AcceptedBy(); ok {
		return e.Place()
	}
	return Place{}, false
}

// GapHours is the time between the two, so far if nobody has taken on. A
// journey that has ended, or went on past the next leg, has no open gap.
func (h Handover) GapHours() (float64, bool) {
	released, ok := h.ReleasedAt()
	if !ok {
		return 0, false
	}
	accepted, taken := h.AcceptedAt()
	if !taken {
		if h.s.s.Journey.Outcome != "" {
			return 0, false
		}
		accepted = h.s.now
	}
	return max(0, accepted.Sub(released).Hours()), true
}

// CountsAgainst is the leg against which the gap counts.
func (h Handover) CountsAgainst() (Leg, bool) { return h.s.leg(h.h.CountsAgainst) }

// NumberChanged tells whether the tracking number changed.
func (h Handover) NumberChanged() bool { return h.h.NumberChanged }

// Because says why it counts so.
func (h Handover) Because() Because {
	event := h.h.Accepted
	if event < 0 {
		event = h.h.Released
	}
	return Because{h.s, event, h.h.Rule}
}
