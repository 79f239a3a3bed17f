package ingest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

// How long a number is asked for in the hope that it is a parcel's, and how many
// carriers are tried for one that its own does not know.
const (
	proposedLong  = 120 * 24 * time.Hour // a post hears of an item when it lands
	proposedShort = 30 * 24 * time.Hour
	maxGuesses    = 4
	// A guess that has not answered after this time does not hold up the next.
	guessPatience = 24 * time.Hour
)

// proposal is a number that may be a shipment's.
type proposal struct {
	t    *touched
	key  parcel.NumberKey
	from parcel.NumberKey
	rule parcel.FoundRule
}

// propose looks for numbers by which the shipments of the batch may go on, and
// has their carriers asked. None of them is the parcel's before its carrier has
// told a story that goes with it. It says whether there were any.
func (u *unit) propose() (some bool, err error) {
	var all []proposal
	for _, id := range slices.Sorted(maps.Keys(u.shipments)) {
		t := u.shipments[id]
		if t.final {
			continue
		}
		if len(t.rows) > 0 || t.facts {
			u.fold(t)
			all = append(all, u.atTheOtherEnd(t)...)
		}
		if from, silent := u.silent[id]; silent {
			p, err := u.byHabit(t, from)
			if err != nil {
				return false, err
			}
			all = append(all, p...)
		}
		if from, lost := u.unknown[id]; lost {
			p, err := u.byForm(t, from)
			if err != nil {
				return false, err
			}
			all = append(all, p...)
		}
	}
	var keys []parcel.NumberKey
	for i := range all {
		keys = append(keys, all[i].key)
	}
	if err := u.holdLate(keys); err != nil {
		return false, err
	}
	for i := range all {
		p := &all[i]
		if u.holds(p.key, p.t.now.ID) {
			continue
		}
		some = true
		u.hold(p.key, parcel.Holder{MerchantID: p.t.now.MerchantID, ShipmentID: p.t.now.ID,
			Since: useSince(p.key.Number, p.t.now.RegisteredAt), Rule: p.rule, Proposed: u.now.UTC().Truncate(time.Microsecond)})
		if p.rule == parcel.FoundPost {
			// Who carries an item in its country of destination is the law of the
			// posts: the leg is planned at once.
			u.note(p.t, p.key, p.from, p.rule)
		}
	}
	return some, nil
}

// holds tells whether a number is or was tied to a shipment.
func (u *unit) holds(key parcel.NumberKey, shipmentID string) bool {
	st := u.numbers[key]
	return st != nil && slices.ContainsFunc(st.Holders, func(h parcel.Holder) bool { return h.ShipmentID == shipmentID })
}

// note writes a number that was found into a shipment's facts, once.
func (u *unit) note(t *touched, key, from parcel.NumberKey, rule parcel.FoundRule) {
	if slices.ContainsFunc(t.now.Found, func(n parcel.FoundNumber) bool {
		return n.Carrier == key.Carrier && n.Number == key.Number && n.Rule == rule
	}) || len(t.now.Found) >= maxFound {
		return
	}
	t.now.Found = append(slices.Clone(t.now.Found), parcel.FoundNumber{
		Carrier: key.Carrier, Number: key.Number, FromCarrier: from.Carrier, From: from.Number, Rule: rule, At: u.now.UTC().Truncate(time.Microsecond),
	})
	t.facts = true
}

// atTheOtherEnd proposes, for a parcel that has left its country of origin, to
// ask the post of the destination for the very number of the postal item; where
// that post cannot be asked, the network of posts. A carrier that an event
// named without a number is asked for the number at hand, if it has its form.
func (u *unit) atTheOtherEnd(t *touched) (out []proposal) {
	j := &t.now.Journey
	if j.Outcome != "" {
		return nil
	}
	destination := t.now.Destination.Country
	post := identify.PostOf(destination)
	seen := map[parcel.NumberKey]bool{}
	for i := range j.Legs {
		l := &j.Legs[i]
		from := parcel.NumberKey{Carrier: l.Carrier, Number: l.Number}
		if l.Number == "" || l.Return || seen[from] {
			continue
		}
		seen[from] = true
		s10, postal := parcel.ParseS10(l.Number)
		for k := range j.Events {
			e := &j.Events[k]
			if e.Retracted != nil || e.Number != l.Number || e.NextCarrier == "" || e.NextNumber != "" || e.NextCarrier == e.Carrier {
				continue
			}
			if postal && e.NextCarrier == post || !u.fits(t, e.NextCarrier, l.Number) {
				continue
			}
			out = append(out, u.ask(t, parcel.NumberKey{Carrier: e.NextCarrier, Number: l.Number}, from, parcel.FoundNamed)...)
		}
		if !postal || destination == "" || s10.Origin == destination || !hasLeft(j, l.Number, post) {
			continue
		}
		at := parcel.NumberKey{Carrier: post, Number: l.Number}
		if post != "" && u.g.accountFor(post, t.now.MerchantID) != nil {
			out = append(out, u.ask(t, at, from, parcel.FoundPost)...)
			continue
		}
		at.Carrier = identify.NetworkOfPosts
		out = append(out, u.ask(t, at, from, parcel.FoundNetwork)...)
	}
	return out
}

// ask is a proposal, unless the carrier has no account or the number is the
// shipment's already.
func (u *unit) ask(t *touched, key, from parcel.NumberKey, rule parcel.FoundRule) []proposal {
	if key == from || u.g.accountFor(key.Carrier, t.now.MerchantID) == nil || u.holds(key, t.now.ID) || t.now.Knows(key) ||
		slices.ContainsFunc(t.now.Legs, func(d parcel.DeclaredLeg) bool { return d.Carrier == key.Carrier && d.Number == key.Number }) {
		return nil
	}
	return []proposal{{t: t, key: key, from: from, rule: rule}}
}

// hasLeft tells whether a postal item is known to be on its way to the other
// end: past the border of origin, let out of it by customs, or handed to the
// post of the destination by name.
func hasLeft(j *parcel.Journey, number, post string) bool {
	if j.Milestone.Rank() >= parcel.MilestoneOriginDeparted.Rank() {
		return true
	}
	return slices.ContainsFunc(j.Events, func(e parcel.TimelineEvent) bool {
		return e.Retracted == nil && e.Number == number &&
			(e.Read == parcel.CodeExportCustomsReleased || e.Read == parcel.CodeHandedToLinehaul || post != "" && e.NextCarrier == post)
	})
}

// fits tells whether a number has a form of a carrier's.
func (u *unit) fits(t *touched, carrier, number string) bool {
	return slices.ContainsFunc(identify.IdentifyFor(number, wayOf(&t.now.Facts)), func(c identify.Candidate) bool { return c.Carrier == carrier })
}

func wayOf(f *parcel.Facts) identify.Context {
	return identify.Context{Origin: f.Origin.Country, Destination: f.Destination.Country}
}

// byForm proposes the next carrier whose numbers look like one that its own
// does not know: one after the other, each when the one before has answered.
func (u *unit) byForm(t *touched, from parcel.NumberKey) ([]proposal, error) {
	names := u.g.candidates(from.Number, wayOf(&t.now.Facts))
	names = slices.DeleteFunc(names, func(c string) bool { return c == from.Carrier || u.g.accountFor(c, t.now.MerchantID) == nil })
	names = names[:min(len(names), maxGuesses)]
	keys := make([]parcel.NumberKey, len(names))
	for i, c := range names {
		keys[i] = parcel.NumberKey{Carrier: c, Number: from.Number}
	}
	if err := u.holdLate(keys); err != nil {
		return nil, err
	}
	for _, key := range keys {
		st := u.numbers[key]
		i := slices.IndexFunc(st.Holders, func(h parcel.Holder) bool { return h.ShipmentID == t.now.ID })
		if i < 0 {
			return u.ask(t, key, from, parcel.FoundIdentified), nil
		}
		h := &st.Holders[i]
		if !h.Proposed.IsZero() && h.Covers(u.now) && st.Tracking.HeardAt.Before(h.Proposed) && u.now.Sub(h.Proposed) < guessPatience {
			return nil, nil // not answered yet
		}
	}
	return nil, nil
}

// suspect notes a shipment of which nobody has told anything, and whose carrier
// says beyond its grace that it does not know the number.
func (u *unit) suspect(key parcel.NumberKey) {
	st := u.numbers[key]
	for i := range st.Holders {
		h := &st.Holders[i]
		t := u.shipments[h.ShipmentID]
		if t == nil || t.final || !h.Covers(u.now) || len(t.now.Journey.Events) > 0 {
			continue
		}
		switch {
		case h.Rule == parcel.FoundIdentified && !h.Proposed.IsZero():
			// The next in turn is found by the number that was registered.
			if from, ok := declaredAs(t.now, key.Number); ok {
				u.unknown[h.ShipmentID] = from
			}
		case h.Rule == "" && u.now.Sub(t.now.RegisteredAt) > u.g.graceOf(key.Carrier):
			u.unknown[h.ShipmentID] = key
		}
	}
}

// declaredAs is the carrier with which a number was registered.
func declaredAs(s *parcel.Shipment, number string) (parcel.NumberKey, bool) {
	for i := range s.Legs {
		if d := &s.Legs[i]; d.Number == number && d.ReplacedBy == "" {
			return parcel.NumberKey{Carrier: d.Carrier, Number: number}, true
		}
	}
	return parcel.NumberKey{}, false
}

// weigh looks at what a carrier told of a number that may be a shipment's. A
// story that goes with the parcel makes the number its own; another leaves the
// shipment as it is.
func (u *unit) weigh(key parcel.NumberKey, told []parcel.Observation, p *source) {
	st := u.numbers[key]
	if st == nil || len(told) == 0 {
		return
	}
	for i := range st.Holders {
		h := &st.Holders[i]
		t := u.shipments[h.ShipmentID]
		if t == nil || h.Proposed.IsZero() || !h.Covers(u.now) || p.owner != "" && p.owner != h.MerchantID {
			continue
		}
		home, _ := u.g.spec(key.Carrier)
		if why := unlike(t.now, h.Rule, home.Country, told); why != "" {
			u.g.log.Info("a number that may be a parcel's tells of another", "carrier", key.Carrier, "number", key.Number, "shipment", h.ShipmentID, "rule", h.Rule, "because", why)
			continue
		}
		u.adopt(key, h, t)
		for k := range told {
			if h.Covers(told[k].Occurred.At) {
				u.tellShipment(h.ShipmentID, told[k], p.kind, p.payloadID, p.received)
			}
		}
	}
}

// adopt makes a number that was proposed the shipment's own.
func (u *unit) adopt(key parcel.NumberKey, h *parcel.Holder, t *touched) {
	h.Proposed = time.Time{}
	if first := earliestOf(t.now).Truncate(time.Microsecond); first.After(h.Since) {
		// What the carrier knows from before is of an earlier use.
		h.Since = first
	}
	u.holders = append(u.holders, parcel.HolderRow{NumberKey: key, Holder: *h})
	u.lateNumbers = append(u.lateNumbers, key)
	from, declared := declaredAs(t.now, key.Number)
	u.note(t, key, from, h.Rule)
	if h.Rule != parcel.FoundIdentified || !declared {
		return
	}
	if i := slices.IndexFunc(t.now.Legs, func(d parcel.DeclaredLeg) bool { return d.Number == key.Number && d.ReplacedBy == "" }); t.now.Legs[i].Guessed {
		// It was a guess of ours: it stays in view, and is not asked any more.
		u.givenUp = append(u.givenUp, heldNumber{from, t.now.ID})
	}
}

// heldNumber is a shipment's hold on a number.
type heldNumber struct {
	key        parcel.NumberKey
	shipmentID string
}

// giveUp ends the asking for guesses that turned out wrong.
func (u *unit) giveUp() error {
	for len(u.givenUp) > 0 {
		g := u.givenUp[0]
		if err := u.holdLate([]parcel.NumberKey{g.key}); err != nil {
			return err
		}
		u.givenUp = u.givenUp[1:]
		u.limit(g.key, g.shipmentID, u.now)
		u.rest(g.key)
	}
	return nil
}

// Around what is known of a parcel, news of the same parcel may lie this far:
// clocks and days without a clock differ, and merchants register late.
const (
	beforeFirst = 7 * 24 * time.Hour
	beforeSold  = 45 * 24 * time.Hour
)

// unlike says why a carrier's story is not that of a parcel; empty if it goes
// with it. A number alone proves little: it is used again, and other carriers
// have numbers of the same form.
func unlike(s *parcel.Shipment, rule parcel.FoundRule, home parcel.Country, told []parcel.Observation) string {
	origin, destination := s.Origin.Country, s.Destination.Country
	first := earliestOf(s)
	back := slices.ContainsFunc(s.Journey.Events, func(e parcel.TimelineEvent) bool { return e.Return })
	scans, placed, near := 0, 0, 0
	for i := range told {
		o := &told[i]
		if o.Retracts || o.Code == parcel.CodeInfoReceived || o.Code == parcel.CodeLabelPrinted || o.Occurred.At.Before(first) {
			continue
		}
		scans++
		at := o.Place.Country
		if at == "" {
			continue
		}
		placed++
		if at == origin || at == destination {
			near++
		}
		if destination != "" && at != destination && !back && !(at == origin && o.Code == parcel.CodeReturned) && endsAt(o.Code) {
			return fmt.Sprintf("%s in %s; the parcel goes to %s", o.Code, at, destination)
		}
		if origin != "" && at != origin && rule == parcel.FoundIdentified && o.Code == parcel.CodePickedUp {
			return fmt.Sprintf("%s in %s; the parcel comes from %s", o.Code, at, origin)
		}
	}
	switch {
	case scans == 0:
		return "no scan was told since the parcel was sent"
	case placed > 0 && near == 0 && (origin != "" || destination != ""):
		return "no scan lies where the parcel comes from or goes to"
	case placed == 0 && (rule == parcel.FoundIdentified || rule == parcel.FoundHabit) && home != "" && home != origin && home != destination:
		return "no place was told, and the carrier is at home elsewhere"
	case rule == parcel.FoundHabit && !later(s, told):
		return "nothing was told after the parcel was let go"
	}
	return ""
}

// earliestOf is when the story of a parcel may begin.
func earliestOf(s *parcel.Shipment) time.Time {
	for i := range s.Journey.Events {
		if e := &s.Journey.Events[i]; e.Retracted == nil {
			return e.Occurred.Earliest().Add(-beforeFirst)
		}
	}
	return s.RegisteredAt.Add(-beforeSold)
}

// nextSince is from when on a number that was named for a parcel tells of it:
// what its carrier knows from before the parcel was sent is of an earlier use.
func (t *touched) nextSince(number string) time.Time {
	first := t.now.RegisteredAt
	sooner := func(m parcel.Moment) {
		if at := m.Earliest(); !m.IsZero() && at.Before(first) {
			first = at
		}
	}
	for i := range t.now.Journey.Events {
		if e := &t.now.Journey.Events[i]; e.Retracted == nil {
			sooner(e.Occurred)
		}
	}
	for i := range t.rows {
		sooner(t.rows[i].Occurred)
	}
	since := useSince(number, t.now.RegisteredAt)
	if first = first.Add(-beforeFirst).Truncate(time.Microsecond); first.After(since) {
		return first
	}
	return since
}

// endsAt tells whether a code is one of the country of destination.
func endsAt(c parcel.Code) bool {
	switch c {
	case parcel.CodeOutForDelivery, parcel.CodeReadyForPickup, parcel.CodeDelivered, parcel.CodeDeliveredImpaired,
		parcel.CodeLastMileAccepted, parcel.CodeDeliveryOfficeArrived, parcel.CodeImportCustomsReleased:
		return true
	}
	return false
}

// later tells whether anything was told after the newest event.
func later(s *parcel.Shipment, told []parcel.Observation) bool {
	last, ok := s.Journey.LatestEvent()
	return !ok || slices.ContainsFunc(told, func(o parcel.Observation) bool { return o.Occurred.Latest().After(last.Occurred.Earliest()) })
}

// nextTry plans the next look at a number that may be a shipment's: ever more
// seldom, and for some time only. The zero time means never.
func nextTry(now time.Time, s *parcel.Shipment, h *parcel.Holder, key parcel.NumberKey) time.Time {
	age := now.Sub(h.Proposed)
	switch {
	case s.Journey.Outcome != "":
		return time.Time{}
	case h.Rule == parcel.FoundPost || h.Rule == parcel.FoundNetwork || h.Rule == parcel.FoundNamed:
		if age > proposedLong {
			return time.Time{}
		}
		return now.Add(clampDuration(age/8, 4*time.Hour, longestWait))
	case age > proposedShort || slices.ContainsFunc(s.Found, func(n parcel.FoundNumber) bool {
		// Another carrier has turned out to be it.
		return n.Rule == h.Rule && n.Number == key.Number && n.Carrier != key.Carrier
	}):
		return time.Time{}
	default:
		return now.Add(clampDuration(age/2, 12*time.Hour, 7*longestWait))
	}
}

// alias gives a shipment another name that a carrier gave to its parcel.
func (u *unit) alias(carrier string, a parcel.Alias, owner string) {
	from := parcel.NumberKey{Carrier: carrier, Number: a.Number}
	key := aliasKey(carrier, a)
	st := u.numbers[from]
	if st == nil || key.Number == "" || key == from {
		return
	}
	for i := range st.Holders {
		h := &st.Holders[i]
		t := u.shipments[h.ShipmentID]
		if t == nil || !h.Proposed.IsZero() || !h.Covers(u.now) || owner != "" && owner != h.MerchantID || t.now.Knows(key) {
			continue
		}
		if declared := slices.ContainsFunc(t.now.Legs, func(d parcel.DeclaredLeg) bool { return d.Number == key.Number }); !declared {
			u.note(t, key, from, parcel.FoundAlias)
		}
		u.aliased = append(u.aliased, aliasOf{key, t})
	}
}

// aliasKey is the name that an alias gives.
func aliasKey(carrier string, a parcel.Alias) parcel.NumberKey {
	key := parcel.NumberKey{Carrier: a.Carrier, Number: a.Other}
	if key.Carrier == "" {
		key.Carrier = carrier
	}
	return key
}

// aliasOf is a further name of a shipment of the batch.
type aliasOf struct {
	key parcel.NumberKey
	t   *touched
}

// wider asks to begin again with more numbers locked from the start: what is
// locked before shipments cannot be waited for in a ring.
type wider struct{ keys []parcel.NumberKey }

func (w *wider) Error() string { return fmt.Sprintf("ingest: %d numbers were found late", len(w.keys)) }

// holdLate locks numbers that only the shipments could name. The transaction
// begins again with them, so that numbers are always locked before shipments;
// only where that has not come to an end, they are locked where it stands.
func (u *unit) holdLate(keys []parcel.NumberKey) error {
	var missing []parcel.NumberKey
	for _, k := range keys {
		if k.Carrier != "" && k.Number != "" && u.numbers[k] == nil && !slices.Contains(missing, k) {
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if u.mayWiden {
		return &wider{missing}
	}
	return u.holdNumbers(missing)
}
