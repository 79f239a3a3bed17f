package parcel

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// HandoverKey is a way in which parcels change hands on a lane: from whom to
// whom, whether the number stayed, and how many days lay between.
type HandoverKey struct {
	MerchantID string
	Lane       Lane
	// Carrier let the parcel go, Next took it on.
	Carrier, Next string
	SameNumber    bool
	// GapDays is whole days, from 0 to MaxGapDays; the last stands for more.
	GapDays int
}

// MaxGapDays bounds the days that are told apart, and with them the counters of
// one lane.
const MaxGapDays = 60

// Compare orders keys: the one order in which their counters are written.
func (k HandoverKey) Compare(o HandoverKey) int {
	same := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(strings.Compare(string(k.Lane.Origin), string(o.Lane.Origin)), strings.Compare(string(k.Lane.Destination), string(o.Lane.Destination)),
		strings.Compare(k.Carrier, o.Carrier), strings.Compare(k.MerchantID, o.MerchantID), strings.Compare(k.Next, o.Next),
		cmp.Compare(same(k.SameNumber), same(o.SameNumber)), cmp.Compare(k.GapDays, o.GapDays))
}

// HandoverDelta changes the count of one key; N may be negative.
type HandoverDelta struct {
	HandoverKey
	N int
}

// handoversOf lists the handovers of a shipment that both sides have told, on a
// lane that is known.
func handoversOf(s *Shipment) []HandoverKey {
	if s == nil || s.Origin.Country == "" || s.Destination.Country == "" {
		return nil
	}
	j := &s.Journey
	var out []HandoverKey
	for i := range j.Handovers {
		h := &j.Handovers[i]
		if h.To < 0 || h.Accepted < 0 || h.Released < 0 {
			continue
		}
		from, to := &j.Legs[h.From], &j.Legs[h.To]
		if from.Return || from.Carrier == "" || to.Carrier == "" || from.Carrier == to.Carrier {
			continue
		}
		gap := j.Events[h.Accepted].Occurred.At.Sub(j.Events[h.Released].Occurred.At)
		out = append(out, HandoverKey{MerchantID: s.MerchantID, Lane: s.Lane(), Carrier: from.Carrier, Next: to.Carrier,
			SameNumber: from.Number == to.Number, GapDays: min(max(0, int(gap/(24*time.Hour))), MaxGapDays)})
	}
	return out
}

// HandoverDeltas lists what a change of one shipment changes in the counts of
// handovers: exact decrements and increments, none where nothing differs.
func HandoverDeltas(before, after *Shipment) []HandoverDelta {
	n := map[HandoverKey]int{}
	for _, k := range handoversOf(before) {
		n[k]--
	}
	for _, k := range handoversOf(after) {
		n[k]++
	}
	var out []HandoverDelta
	for k, by := range n {
		if by != 0 {
			out = append(out, HandoverDelta{k, by})
		}
	}
	slices.SortFunc(out, func(a, b HandoverDelta) int { return a.Compare(b.HandoverKey) })
	return out
}

// HandoverCount is how often a lane's parcels went from a carrier to Next, a
// number of days later.
type HandoverCount struct {
	Next       string
	SameNumber bool
	GapDays    int
	N          int
	// Merchants is how many merchants' parcels went to Next in all; 1 in a
	// merchant's own counts.
	Merchants int
}

// NextHabit is who usually takes on, under the number at hand.
type NextHabit struct {
	Carrier string
	// Overdue is how long after the release nine of ten had been taken on.
	Overdue time.Duration
}

// A habit needs this many handovers, and this share of all that the carrier
// made on the lane.
const (
	habitCount = 5
	habitShare = 0.5
)

// UsualNext finds the carrier that usually comes next with the same number;
// ok is false where there are too few handovers to speak of a habit, or none
// that most follow.
func UsualNext(counts []HandoverCount) (h NextHabit, ok bool) {
	all := 0
	same := map[string]int{}
	for _, c := range counts {
		if c.N <= 0 {
			continue
		}
		all += c.N
		if c.SameNumber {
			same[c.Next] += c.N
		}
	}
	for carrier, n := range same {
		if best := same[h.Carrier]; n > best || n == best && carrier < h.Carrier {
			h.Carrier = carrier
		}
	}
	n := same[h.Carrier]
	if n < habitCount || float64(n) < habitShare*float64(all) {
		return NextHabit{}, false
	}
	var days [MaxGapDays + 1]int
	for _, c := range counts {
		if c.SameNumber && c.Next == h.Carrier && c.N > 0 {
			days[min(max(0, c.GapDays), MaxGapDays)] += c.N
		}
	}
	seen := 0
	for day, of := range days {
		if seen += of; 10*seen >= 9*n {
			h.Overdue = time.Duration(day+1) * 24 * time.Hour
			break
		}
	}
	return h, true
}
