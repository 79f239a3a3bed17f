package ingest

import (
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// poolMerchants is how many merchants' parcels must have gone to a carrier
// before other merchants' parcels are looked for there: what one merchant does
// is its own business.
const poolMerchants = 3

// quiet notes a shipment that was let go, that nobody is known to have taken on,
// and of which a poll has just brought nothing.
func (u *unit) quiet(key parcel.NumberKey) {
	st := u.numbers[key]
	for i := range st.Holders {
		h := &st.Holders[i]
		t := u.shipments[h.ShipmentID]
		if t == nil || t.final || !h.Proposed.IsZero() || !h.Covers(u.now) {
			continue
		}
		if e := letGo(&t.now.Journey); e != nil && e.Carrier == key.Carrier && e.Number == key.Number && u.now.Sub(e.Occurred.At) >= 24*time.Hour {
			u.silent[h.ShipmentID] = key
		}
	}
}

// letGo is the newest event, where a carrier let the parcel go with it and no
// further leg is known; nil if somebody has it or is to have it.
func letGo(j *parcel.Journey) *parcel.TimelineEvent {
	last, ok := j.LatestEvent()
	if !ok || j.Outcome != "" || last.Return || last.Leg < 0 {
		return nil
	}
	switch last.Read {
	case parcel.CodeHandedToLinehaul, parcel.CodeOriginCountryDeparted, parcel.CodeImportCustomsReleased,
		parcel.CodeImportExchangeDeparted, parcel.CodeLastMileAccepted:
	default:
		return nil
	}
	if slices.ContainsFunc(j.Legs[last.Leg+1:], func(l parcel.Leg) bool { return l.State == parcel.LegPlanned && l.Number != "" }) {
		return nil
	}
	return last
}

// byHabit proposes, for a parcel whose handover is overdue, the carrier that
// usually takes on from the one that let it go, on this lane and under the same
// number: by the merchant's own parcels, else by those of all merchants.
func (u *unit) byHabit(t *touched, from parcel.NumberKey) ([]proposal, error) {
	e := letGo(&t.now.Journey)
	lane := t.now.Lane()
	if e == nil || lane.Origin == "" || lane.Destination == "" {
		return nil, nil
	}
	for _, merchant := range []string{t.now.MerchantID, ""} {
		counts, err := u.tx.Handovers(u.ctx, merchant, lane, e.Carrier, poolMerchants)
		if err != nil {
			return nil, err
		}
		habit, ok := parcel.UsualNext(counts)
		if !ok {
			continue
		}
		if u.now.Sub(e.Occurred.At) < habit.Overdue || !u.fits(t, habit.Carrier, from.Number) {
			return nil, nil
		}
		return u.ask(t, parcel.NumberKey{Carrier: habit.Carrier, Number: from.Number}, from, parcel.FoundHabit), nil
	}
	return nil, nil
}
