package parcel

import (
	"slices"
	"time"
)

// contribution is what one shipment adds to the cohorts: small, and computed
// afresh from the journey, so that a correction is an exact decrement and
// increment.
type contribution struct {
	carriers []string
	lane     Lane
	day      string
	ended    bool
	age      int
	cause    EndCause
	due      string // day of the first promise, once it was decided
	kept     bool
}

func contributionOf(s *Shipment) (contribution, bool) {
	if s == nil {
		return contribution{}, false
	}
	first, ok := s.firstScan()
	if !ok {
		return contribution{}, false
	}
	c := contribution{lane: s.Lane(), day: first.UTC().Format(DayLayout)}
	for i := range s.Journey.Legs {
		if l := &s.Journey.Legs[i]; !l.Return && l.FirstEvent >= 0 && l.Carrier != "" && !slices.Contains(c.carriers, l.Carrier) {
			c.carriers = append(c.carriers, l.Carrier)
		}
	}
	slices.Sort(c.carriers)
	if i := s.Journey.OutcomeEvent; i >= 0 {
		end := s.Journey.Events[i].Occurred
		c.cause, c.ended = endCause(s.Journey.Outcome)
		c.age = max(0, int(end.At.Sub(first)/(24*time.Hour)))
		if p, ok := s.FirstPromise(); ok && p.By != "" && c.ended {
			c.due = p.By
			c.kept = s.Journey.Outcome == OutcomeDelivered && end.Day() <= p.By
		}
	}
	return c, true
}

// endCause is the estimators' word for an outcome; ok is false for a parcel
// cancelled, which was never carried.
func endCause(o Outcome) (EndCause, bool) {
	switch o {
	case OutcomeDelivered:
		return EndDelivered, true
	case OutcomeLost:
		return EndLost, true
	case OutcomeReturned:
		return EndReturned, true
	case OutcomeDisposed:
		return EndDisposed, true
	}
	return "", false
}

// firstScan is when the first carrier had the parcel: the first event that
// proves PICKED_UP or more.
func (s *Shipment) firstScan() (time.Time, bool) {
	for i := range s.Journey.Events {
		if e := &s.Journey.Events[i]; e.counts() && e.Proves.Rank() >= MilestonePickedUp.Rank() {
			return e.Occurred.At, true
		}
	}
	return time.Time{}, false
}

// CohortDeltas lists what a change of one shipment changes in the cohorts: what
// it no longer contributes with a minus, what it contributes now with a plus.
// Equal contributions give nothing.
func CohortDeltas(before, after *Shipment) []CohortDelta {
	b, hadB := contributionOf(before)
	a, hasA := contributionOf(after)
	if hadB == hasA && slices.Equal(b.carriers, a.carriers) && b.lane == a.lane && b.day == a.day &&
		b.ended == a.ended && b.age == a.age && b.cause == a.cause && b.due == a.due && b.kept == a.kept {
		return nil
	}
	var out []CohortDelta
	add := func(c contribution, merchant string, sign int) {
		for _, carrier := range c.carriers {
			k := CohortKey{MerchantID: merchant, Carrier: carrier, Lane: c.lane, Day: c.day}
			out = append(out, CohortDelta{CohortKey: k, Started: sign})
			if c.ended {
				out = append(out, CohortDelta{CohortKey: k, Ended: sign, Age: c.age, Cause: c.cause})
			}
			if c.due != "" {
				k.Day = c.due
				d := CohortDelta{CohortKey: k, Due: sign}
				if c.kept {
					d.Kept = sign
				}
				out = append(out, d)
			}
		}
	}
	if hadB {
		add(b, before.MerchantID, -1)
	}
	if hasA {
		add(a, after.MerchantID, 1)
	}
	return out
}
