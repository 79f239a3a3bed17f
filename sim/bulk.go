package sim

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// TimedObservation is an observation with the moment at which it reached us.
type TimedObservation struct {
	parcel.Observation
	ReceivedAt time.Time
}

// RuleVersion is the version of the rules by which observations are written
// straight from simulated scans, without a carrier's wire format between.
const RuleVersion = "2026-11-22"

// Bulk makes shipments with their history by ordinal: any number of them, each
// by itself, the same for the same fields. The zero value is ready. It is safe
// for concurrent use.
type Bulk struct {
	// Seed names the world.
	Seed uint64
	// Until is now: nothing later is told. The zero time is the midnight that
	// begins RuleVersion, UTC.
	Until time.Time
	// Past is the time over which registrations are spread evenly, whatever the
	// number of shipments; 0 gives 120 days, so that all stages are present.
	Past time.Duration
	// Routes are the codes of the routes to draw from, by their shares; empty
	// for all. Codes that do not exist are passed over.
	Routes []string
}

// History makes shipment i of a seed: a Bulk with the seed alone.
func History(seed uint64, i int) (Consignment, []TimedObservation) {
	b := Bulk{Seed: seed}
	return b.Shipment(i)
}

// Shipment makes shipment i, from 0, with what was told of it until Until, in
// order of occurrence: about five legs and a dozen events once it has ended.
// The observations are canonical: the own code is the vocabulary's identifier
// ("D60"), the words are English. No recipient is named.
func (b *Bulk) Shipment(i int) (Consignment, []TimedObservation) {
	until, past := b.Until, b.Past
	if until.IsZero() {
		until = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	}
	if past <= 0 {
		past = 120 * day
	}
	// The golden ratio spreads any number of ordinals evenly.
	_, place := math.Modf(float64(i)*math.Phi + newUnit(b.Seed))
	t := choose(b.Seed, i, b.Routes)
	j := draw(b.Seed, i, t, until.Add(-time.Duration(place*float64(past))).Truncate(time.Second))
	c := j.consign(b.Seed, fmt.Sprintf("S%d-%07d", b.Seed, i), false)

	out := make([]TimedObservation, 0, len(j.scans))
	for k := range j.scans {
		if s := &j.scans[k]; !s.told.After(until) {
			out = append(out, TimedObservation{})
			o := &out[len(out)-1]
			j.observe(k, &o.Observation)
			o.ReceivedAt = s.told
		}
	}
	return c, out
}

func newUnit(seed uint64) float64 {
	d := newDice(seed, math.MaxUint64)
	return d.unit()
}

// choose draws the route of an ordinal from those named, by their shares.
func choose(seed uint64, ordinal int, only []string) *Truth {
	all := routes()
	d := newDice(seed+1, uint64(ordinal))
	u := d.unit()
	if len(only) == 0 {
		for i := range all {
			if u -= all[i].Share; u < 0 {
				return &all[i]
			}
		}
		return &all[0] // what rounding left over
	}
	total := 0.0
	for i := range all {
		if slices.Contains(only, all[i].Route) {
			total += all[i].Share
		}
	}
	last := &all[0]
	for i := range all {
		if slices.Contains(only, all[i].Route) {
			last = &all[i]
			if u -= all[i].Share / total; u < 0 {
				break
			}
		}
	}
	return last
}

// sayings are the words and rules of observations by code, made once at first
// use; nobody writes to it afterwards.
var sayings = sync.OnceValue(func() map[parcel.Code][3]string {
	m := map[parcel.Code][3]string{parcel.CodeUnknown: {"X00", "sim:X00", parcel.CodeUnknown.Info().Meaning}}
	for _, c := range parcel.Codes() {
		info := c.Info()
		m[c] = [3]string{info.ID, "sim:" + info.ID, info.Meaning}
	}
	return m
})

// observe writes scan k as an observation.
func (j *journey) observe(k int, o *parcel.Observation) {
	s := &j.scans[k]
	l := &j.legs[s.leg]
	say := sayings()[s.code]
	o.Carrier, o.Number = l.carrier, l.number
	o.OwnCode, o.Rule, o.Words, o.Language, o.RuleVersion = say[0], say[1], say[2], "en", RuleVersion
	o.Code, o.Reason, o.DeliveredTo = s.code, s.reason, s.deliveredTo
	zone := time.UTC
	if s.place != nil {
		o.Place, zone = s.place.place, s.place.zone
	}
	o.Occurred = moment(s.at, zone)
	if l.next >= 0 && s.code == parcel.CodeLastMileAccepted {
		o.NextCarrier, o.NextNumber = j.legs[l.next].carrier, j.legs[l.next].number
	}
}

// moment is parcel.LocalMoment for whole seconds and a zone with a name,
// without the cost of reading a layout: half of Bulk's time went there.
func moment(at time.Time, zone *time.Location) parcel.Moment {
	local := at.In(zone)
	year, month, date := local.Date()
	hour, minute, second := local.Clock()
	wall := [...]byte{
		byte('0' + year/1000), byte('0' + year/100%10), byte('0' + year/10%10), byte('0' + year%10), '-',
		byte('0' + month/10), byte('0' + month%10), '-', byte('0' + date/10), byte('0' + date%10), 'T',
		byte('0' + hour/10), byte('0' + hour%10), ':', byte('0' + minute/10), byte('0' + minute%10), ':',
		byte('0' + second/10), byte('0' + second%10),
	}
	_, offset := local.Zone()
	m := parcel.Moment{At: at, Wall: string(wall[:]), OffsetSeconds: offset, HasOffset: true, Certainty: parcel.CertaintyPlace}
	if zone != time.UTC {
		m.Zone = zone.String()
	}
	return m
}
