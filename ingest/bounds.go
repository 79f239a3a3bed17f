package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/parcel"
)

// What one carrier may say of one parcel. A parcel has a handful of names and
// some hundred scans; more is a carrier's loop, or no parcel. What is beyond is
// left out, with a word in the receipt, and stays in the payload that was kept.
const (
	// maxNames bounds the other names of one number in one payload: numbers that
	// its events name, names that the carrier gives it, carriers whose scans are
	// repeated.
	maxNames = 16
	// maxFound bounds the names that a shipment comes by over its life.
	maxFound = 64
	// maxTold bounds the rows of a shipment's log. Each new row folds them all.
	maxTold = 5000
)

// bound takes out of a reading what nothing can be done with: names that are no
// names, and more of them than a parcel has. The error says what was left out.
func bound(r *parcel.Reading, carrier string) error {
	var problems []error
	names := map[string]map[parcel.NumberKey]struct{}{}
	// room tells whether a number may have this further name.
	room := func(number string, key parcel.NumberKey) bool {
		of := names[number]
		if _, known := of[key]; known {
			return true
		}
		if len(of) >= maxNames {
			return false
		}
		if of == nil {
			of = map[parcel.NumberKey]struct{}{}
			names[number] = of
		}
		of[key] = struct{}{}
		return true
	}
	left := map[string]int{}
	for i := range r.Observations {
		o := &r.Observations[i]
		if o.Teller != "" && (!isName(o.Carrier) || !room(o.Number, parcel.NumberKey{Carrier: o.Carrier})) {
			// Whose scan it is cannot be said: then it is the teller's word.
			o.Carrier, o.Teller = carrier, ""
			left["carriers whose scans it repeats"]++
		}
		if o.NextCarrier != "" && !isName(o.NextCarrier) || o.NextNumber != "" && !isNumber(o.NextNumber) ||
			o.NextNumber != "" && !room(o.Number, parcel.NumberKey{Carrier: o.NextCarrier, Number: o.NextNumber}) {
			o.NextCarrier, o.NextNumber = "", ""
			left["next numbers"]++
		}
	}
	all := len(r.Aliases)
	r.Aliases = slices.DeleteFunc(r.Aliases, func(a parcel.Alias) bool {
		key := aliasKey(carrier, a)
		return !isName(key.Carrier) || !isNumber(key.Number) || !room(a.Number, key)
	})
	if n := all - len(r.Aliases); n > 0 {
		left["other names"] += n
	}
	for _, what := range []string{"carriers whose scans it repeats", "next numbers", "other names"} {
		if n := left[what]; n > 0 {
			problems = append(problems, fmt.Errorf("%s: %d %s left out: no such names, or more than the %d that a parcel has: %w", carrier, n, what, maxNames, parcel.ErrMalformed))
		}
	}
	return errors.Join(problems...)
}

// isNumber tells whether a normalised number can be a parcel's.
func isNumber(n string) bool {
	return n != "" && len(n) <= 4*maxNumber && utf8.ValidString(n) && utf8.RuneCountInString(n) <= maxNumber
}

// isName tells whether a carrier's name can be one.
func isName(n string) bool {
	return n != "" && len(n) <= maxNumber && !strings.ContainsFunc(n, func(r rune) bool { return r <= ' ' || r > '~' })
}

// names counts the further names that a shipment has come by.
func (t *touched) names() int {
	names := map[parcel.NumberKey]struct{}{}
	add := func(e *parcel.Event) {
		if e.NextNumber != "" {
			names[parcel.NumberKey{Carrier: e.NextCarrier, Number: e.NextNumber}] = struct{}{}
		}
		if e.Teller != "" {
			names[parcel.NumberKey{Carrier: e.Carrier, Number: e.Number}] = struct{}{}
		}
	}
	if t.before != nil {
		for i := range t.before.Journey.Events {
			for e := range t.before.Journey.Events[i].Each() {
				add(e)
			}
		}
	}
	return len(names) + len(t.now.Found)
}

// full tells whether a shipment's log takes nothing more of what carriers tell.
func (t *touched) full() bool {
	if t.stored == 0 {
		t.stored = 1
		if t.before != nil {
			for i := range t.before.Journey.Events {
				t.stored += len(t.before.Journey.Events[i].Witnesses)
			}
		}
	}
	return t.stored-1+len(t.rows) >= maxTold
}

// ahead tells whether an observation lies in the future: a carrier's clock is
// wrong, or its day and month are exchanged. A parcel that was delivered in 2099
// would never be heard of again. What was true a little early is told when the
// carrier says it again.
func (u *unit) ahead(o *parcel.Observation) bool {
	return !o.Occurred.IsZero() && o.Occurred.Earliest().After(u.now.Add(aheadOfNow))
}

// maxReadings bounds the observations of kept payloads that a transaction holds
// in memory: a file of a carrier's may tell of thousands of numbers that are all
// registered in one call, and is read once for all of them.
const maxReadings = 100_000

// read decodes a kept payload, once in a transaction.
func (u *unit) read(p *parcel.Payload) (parcel.Reading, error) {
	if r, again := u.readings[p.ID]; again {
		return r, nil
	}
	r, err := u.g.decode(*p, nil)
	if u.readRoom -= len(r.Observations) + 1; u.readRoom < 0 {
		u.readings, u.readRoom = map[string]parcel.Reading{}, maxReadings
	}
	u.readings[p.ID] = r
	return r, err
}
