package view

import (
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// dark is the silence beyond which a journey counts as unseen.
const dark = 72 * time.Hour

// Visibility is how well a journey could be seen.
type Visibility struct {
	s *Shipment
	// first and last are of the events that count; until is last, or now while
	// the shipment is open.
	first, until time.Time
	longest      time.Duration
	unseen       time.Duration
	events       int
}

// Visibility measures the silences between events. The open one counts for a
// shipment that has not ended.
func (s *Shipment) Visibility() Visibility {
	v := Visibility{s: s}
	var last time.Time
	silence := func(d time.Duration) {
		v.longest = max(v.longest, d)
		v.unseen += max(0, d-dark)
	}
	for i := range s.s.Journey.Events {
		e := TrackingEvent{s, i}
		if !e.counts() {
			continue
		}
		at := e.OccurredAt()
		if v.events == 0 {
			v.first = at
		} else {
			silence(at.Sub(last))
		}
		last = at
		v.events++
	}
	v.until = last
	if v.events > 0 && s.s.Journey.Outcome == "" && s.now.After(last) {
		silence(s.now.Sub(last))
		v.until = s.now
	}
	return v
}

// LongestGapHours is the longest silence.
func (v Visibility) LongestGapHours() (float64, bool) { return v.longest.Hours(), v.events > 0 }

// DarkShare is the share of the journey in silences beyond 72 h:
// sum(max(0, gap - 72 h)) / (last - first).
func (v Visibility) DarkShare() (float64, bool) {
	span := v.until.Sub(v.first)
	if v.events < 2 || span <= 0 {
		return 0, false
	}
	return float64(v.unseen) / float64(span), true
}

// Completeness is the share of the milestones up to the present one that were
// seen themselves.
func (v Visibility) Completeness() float64 {
	expected, seen := 0, 0
	for _, st := range v.s.s.Steps(false) {
		switch st.State {
		case parcel.StepReached, parcel.StepCurrent:
			expected++
			seen++
		case parcel.StepPassedUnseen:
			expected++
		}
	}
	if expected == 0 {
		return 1
	}
	return float64(seen) / float64(expected)
}

// LastHeardAt is when any carrier was last heard.
func (v Visibility) LastHeardAt() (time.Time, bool) {
	var last time.Time
	for i := range v.s.trackings {
		if t := v.s.trackings[i].HeardAt; t.After(last) {
			last = t
		}
	}
	return instant(v.s.at(last))
}
