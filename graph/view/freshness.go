package view

import (
	"math"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Freshness is how old an answer is, and what was done about it.
type Freshness struct {
	s *Shipment
	// t is nil for a leg without a number that anybody could ask for.
	t     *parcel.Tracking
	state parcel.FreshnessState
	final bool
}

// open yields what is known about asking for each number of a leg that is
// planned or under way, each number once.
func (s *Shipment) open() func(func(*parcel.Tracking) bool) {
	return func(yield func(*parcel.Tracking) bool) {
		if s.s.Journey.Outcome != "" {
			return
		}
		legs := s.s.Journey.Legs
		for i := range legs {
			l := &legs[i]
			if !openLeg(l) || seenBefore(legs[:i], l) {
				continue
			}
			if t := s.tracking(parcel.NumberKey{Carrier: l.Carrier, Number: l.Number}); t != nil && !yield(t) {
				return
			}
		}
	}
}

func openLeg(l *parcel.Leg) bool {
	return l.Number != "" && (l.State == parcel.LegPlanned || l.State == parcel.LegActive)
}

func seenBefore(legs []parcel.Leg, l *parcel.Leg) bool {
	for i := range legs {
		if openLeg(&legs[i]) && legs[i].Carrier == l.Carrier && legs[i].Number == l.Number {
			return true
		}
	}
	return false
}

// Open lists what is known about asking for the open numbers.
func (s *Shipment) Open() []*parcel.Tracking {
	var out []*parcel.Tracking
	for t := range s.open() {
		out = append(out, t)
	}
	return out
}

// Numbers lists every number that can be asked for, open or not.
func (s *Shipment) Numbers() []parcel.NumberKey {
	out := make([]parcel.NumberKey, 0, len(s.trackings))
	for i := range s.trackings {
		out = append(out, s.trackings[i].NumberKey)
	}
	return out
}

func (s *Shipment) tracking(k parcel.NumberKey) *parcel.Tracking {
	for i := range s.trackings {
		if s.trackings[i].NumberKey == k {
			return &s.trackings[i]
		}
	}
	return nil
}

// Freshness is that of the open number that was heard longest ago.
func (s *Shipment) Freshness() Freshness {
	var oldest *parcel.Tracking
	for t := range s.open() {
		if oldest == nil || t.HeardAt.Before(oldest.HeardAt) {
			oldest = t
		}
	}
	if oldest != nil {
		return s.freshnessOf(oldest, false)
	}
	// Nothing open: what was heard last of all still says how old this is.
	var newest *parcel.Tracking
	for i := range s.trackings {
		if t := &s.trackings[i]; newest == nil || t.HeardAt.After(newest.HeardAt) {
			newest = t
		}
	}
	return s.freshnessOf(newest, s.s.Journey.Outcome != "")
}

func (s *Shipment) freshnessOf(t *parcel.Tracking, over bool) Freshness {
	f := Freshness{s: s, t: t, final: over || s.past}
	switch {
	case f.final:
		f.state = parcel.FreshnessFinal
	case t == nil:
		f.state = parcel.FreshnessNever
	default:
		f.state = t.Freshness(s.now, s.s.Journey.Milestone, s.s.Journey.Outcome, s.maxAge)
		// A call that this request has started and not waited out.
		if f.Served() == parcel.ServedWaitExpired && (f.state == parcel.FreshnessStale || f.state == parcel.FreshnessNever) {
			f.state = parcel.FreshnessRefreshing
		}
	}
	return f
}

// AsOf is when the source was last heard with success.
func (f Freshness) AsOf() (time.Time, bool) {
	if f.t == nil {
		return time.Time{}, false
	}
	return instant(f.t.HeardAt)
}

// AgeSeconds is how long ago that is.
func (f Freshness) AgeSeconds() (int, bool) {
	heard, ok := f.AsOf()
	return int(max(0, f.s.now.Sub(heard)) / time.Second), ok
}

// BudgetSeconds is how old it may get.
func (f Freshness) BudgetSeconds() (int, bool) {
	if f.final {
		return 0, false
	}
	if f.s.maxAge > 0 {
		return int(f.s.maxAge / time.Second), true
	}
	budget, final := parcel.Budget(f.s.s.Journey.Milestone, f.s.s.Journey.Outcome)
	return int(budget / time.Second), !final
}

// State is fresh, stale, on its way or out of reach.
func (f Freshness) State() parcel.FreshnessState { return f.state }

// Source is the door through which it last came.
func (f Freshness) Source() (parcel.SourceKind, bool) {
	if f.t == nil {
		return "", false
	}
	return f.t.HeardBy, f.t.HeardBy != ""
}

// asked tells whether this request asked for the number: then it also says what
// went wrong, where the parcel has ended.
func (f Freshness) asked() bool {
	_, asked := f.s.served[f.t.NumberKey]
	return asked
}

// Served is what this request did.
func (f Freshness) Served() parcel.Served {
	if f.t != nil {
		if s, ok := f.s.served[f.t.NumberKey]; ok {
			return s
		}
	}
	return parcel.ServedStore
}

// NextRefreshAt is the next planned look.
func (f Freshness) NextRefreshAt() (time.Time, bool) {
	// A finished parcel is looked at for a grace time too.
	if f.t == nil || f.s.past {
		return time.Time{}, false
	}
	return instant(f.t.NextAt)
}

// Problem is what went wrong at the last attempt.
func (f Freshness) Problem() (CarrierProblem, bool) {
	if f.t == nil || f.t.Trouble == "" || f.s.past || f.final && !f.asked() {
		return CarrierProblem{}, false
	}
	return CarrierProblem{kind: f.t.Trouble, since: f.t.TroubleSince, retry: f.t.RetryAt, now: f.s.now, lens: f.s.lens}, true
}

// CarrierProblem is why a carrier could not be heard.
type CarrierProblem struct {
	kind              parcel.Trouble
	since, retry, now time.Time
	lens              *Lens
}

// Kind is the kind of trouble.
func (p CarrierProblem) Kind() parcel.Trouble { return p.kind }

// SinceAt is since when.
func (p CarrierProblem) SinceAt() (time.Time, bool) { return instant(p.since) }

// RetryAfterSeconds is when another try makes sense.
func (p CarrierProblem) RetryAfterSeconds() (int, bool) {
	wait := p.retry.Sub(p.now)
	if p.retry.IsZero() || wait <= 0 {
		return 0, false
	}
	return int(math.Ceil(wait.Seconds())), true
}

// Text is the trouble in words.
func (p CarrierProblem) Text(locale *string) Text {
	return p.lens.label(locale, groupProblem, string(p.kind))
}
