package parcel

import (
	"slices"
	"time"
)

// PassingEnd is how a passing of custody came out, for the estimators.
type PassingEnd string

// The ends. A passing that is still open has none: the parcel was let go and
// nobody has taken it on yet.
const (
	PassingAccepted PassingEnd = "A" // the next carrier has it
	PassingLost     PassingEnd = "L" // lost before anybody took it on
	PassingOther    PassingEnd = "X" // ended without a scan of the next carrier
)

// PassingKey is the key of the statistics about handovers, and the day on which
// custody passed, in UTC: that of the release, or of the acceptance where nobody
// reported the release.
type PassingKey struct {
	MerchantID string
	Lane       Lane
	FromStage  Stage
	// FromCarrier and ToCarrier are empty where nobody named one; ToStage is
	// empty with ToCarrier where nobody has taken on.
	FromCarrier string
	ToStage     Stage
	ToCarrier   string
	// Day in DayLayout.
	Day string
	// Hours is the gap from release to acceptance, in whole hours, 0 or more;
	// for PassingLost and PassingOther from release to the end. 0 while open.
	Hours int
	// End is empty while open.
	End PassingEnd
}

// PassingDelta changes the counts of one key; any count may be negative.
type PassingDelta struct {
	PassingKey
	// N is the passings; the rest is how many of them had what is named.
	N int
	// Renumbered: the tracking number changed.
	Renumbered int
	// Unseen: neither side reported the passing itself, only work before and
	// after it.
	Unseen int
	// Damaged: damage was first reported after this passing and before the next.
	Damaged int
}

// PassingDeltas lists what a change of one shipment changes in the statistics
// about handovers: what it no longer contributes with a minus, what it
// contributes now with a plus. Equal contributions cancel.
func PassingDeltas(before, after *Shipment) []PassingDelta {
	old, now := passingsOf(before), passingsOf(after)
	var out []PassingDelta
	for i := range old {
		if k := slices.Index(now, old[i]); k >= 0 {
			now = slices.Delete(now, k, k+1)
			continue
		}
		d := old[i]
		d.N, d.Renumbered, d.Unseen, d.Damaged = -d.N, -d.Renumbered, -d.Unseen, -d.Damaged
		out = append(out, d)
	}
	return append(out, now...)
}

// passingsOf lists the handovers of the way out, each as one increment. The
// way back is no carrier's promise to the buyer and is left out.
func passingsOf(s *Shipment) []PassingDelta {
	if s == nil {
		return nil
	}
	j := &s.Journey
	handovers := j.Handovers
	if h, ok := vanished(j); ok {
		handovers = append(slices.Clone(handovers), h)
	}
	var out []PassingDelta
	var began []int // index into Events, for each of out
	for i := range handovers {
		h := &handovers[i]
		from := &j.Legs[h.From]
		at := h.Released
		if at < 0 {
			at = h.Accepted
		}
		if from.Return || at < 0 {
			continue
		}
		d := PassingDelta{N: 1, PassingKey: PassingKey{
			MerchantID: s.MerchantID, Lane: s.Lane(), FromStage: from.Stage, FromCarrier: from.Carrier,
			Day: j.Events[at].Occurred.At.UTC().Format(DayLayout),
		}}
		if h.To >= 0 {
			d.ToStage, d.ToCarrier = j.Legs[h.To].Stage, j.Legs[h.To].Carrier
		}
		end := -1
		switch {
		case h.Accepted >= 0:
			d.End, end = PassingAccepted, h.Accepted
		case j.Outcome == OutcomeLost:
			d.End, end = PassingLost, j.OutcomeEvent
		case j.Outcome != "":
			d.End, end = PassingOther, j.OutcomeEvent
		}
		if end >= 0 {
			d.Hours = max(0, int(j.Events[end].Occurred.At.Sub(j.Events[at].Occurred.At)/time.Hour))
		}
		if h.NumberChanged {
			d.Renumbered = 1
		}
		if h.Accepted >= 0 && !(h.Released >= 0 && letsGo(j.Events[h.Released].Read)) && !takesOn(j.Events[h.Accepted].Read) {
			d.Unseen = 1
		}
		out, began = append(out, d), append(began, at)
	}
	if damage := firstDamage(j); damage >= 0 {
		for i := len(began) - 1; i >= 0; i-- {
			if began[i] <= damage {
				out[i].Damaged = 1
				break
			}
		}
	}
	return out
}

// vanished is the handover at which a parcel was lost: the last word before the
// loss let it go, and nobody took it on. The journey itself has no handover
// there any more, since nobody will.
func vanished(j *Journey) (Handover, bool) {
	if j.Outcome != OutcomeLost {
		return Handover{}, false
	}
	last := j.OutcomeEvent - 1
	for last >= 0 && !j.Events[last].counts() {
		last--
	}
	if last < 0 || !letsGo(j.Events[last].Read) || accepts(j, last) || j.Events[last].Leg < 0 {
		return Handover{}, false
	}
	h := Handover{From: j.Events[last].Leg, To: -1, Released: last, Accepted: -1}
	if slices.ContainsFunc(j.Handovers, func(x Handover) bool { return x.From == h.From && x.Accepted < 0 }) {
		return Handover{}, false
	}
	from := &j.Legs[h.From]
	h.To = slices.IndexFunc(j.Legs, func(l Leg) bool {
		return l.FirstEvent < 0 && !l.Return && l.Sequence > from.Sequence && (l.Carrier != from.Carrier || l.Number != from.Number)
	})
	h.NumberChanged = h.To >= 0 && j.Legs[h.To].Number != from.Number
	return h, true
}

// accepts tells whether an event is the one by which a carrier took the parcel
// on from another: what might be a release is then none.
func accepts(j *Journey, event int) bool {
	return slices.ContainsFunc(j.Handovers, func(h Handover) bool { return h.Accepted == event })
}

// firstDamage is the event that first reported damage, -1 if none did.
func firstDamage(j *Journey) int {
	return slices.IndexFunc(j.Events, func(e TimelineEvent) bool {
		return e.counts() && !e.Return && slices.Contains(e.Read.Info().Opens, ExceptionDamaged)
	})
}

// takesOn tells whether a code is a carrier taking a parcel into its hands.
func takesOn(c Code) bool {
	switch c {
	case CodePickedUp, CodeDroppedOff, CodeExportExchangeArrived, CodeDestinationCountryArrived, CodeLastMileAccepted, CodeDeliveryOfficeArrived:
		return true
	}
	return false
}
