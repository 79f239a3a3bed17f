package parcel

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Event is an observation tied to a shipment: a row of the log. Rows are
// immutable; a correction is another row that retracts.
type Event struct {
	Observation
	// ID is a ULID; rows of one Key share the ID of the event they tell.
	ID string
	// ShipmentID is the shipment it is tied to.
	ShipmentID string
	// EventKey is Observation.Key, kept.
	EventKey string
	// EventDigest is Observation.Digest with the source, kept: EventKey and
	// EventDigest together are unique within a shipment.
	EventDigest string
	// Source is the door, PayloadID the payload; empty for reports.
	Source    SourceKind
	PayloadID string
	// ReceivedAt is when it reached us, trade time.
	ReceivedAt time.Time
	// Retraction, if set, makes this row a person's correction of the event
	// whose key is Retraction.Target; the observation part is then empty.
	Retraction *Retraction
}

// RetractionKind is the kind of mistake that a correction mends.
type RetractionKind string

// The kinds.
const (
	RetractionDidNotOccur   RetractionKind = "DID_NOT_OCCUR"
	RetractionIncorrect     RetractionKind = "INCORRECT_DATA"
	RetractionWrongShipment RetractionKind = "WRONG_SHIPMENT"
	// RetractionByCarrier is the carrier's own "disregard the previous".
	RetractionByCarrier RetractionKind = "BY_CARRIER"
)

// Retraction says why an event no longer counts.
type Retraction struct {
	// Target is the key of the event that no longer counts.
	Target string
	Kind   RetractionKind
	Reason string
	At     time.Time
	// ReplacedBy is the key of the event that stands in its place, if any.
	ReplacedBy string
}

// Witness is one telling of an event.
type Witness struct {
	// Carrier is who told it: Observation.Teller, else the carrier whose scan
	// it is.
	Carrier    string
	Source     SourceKind
	PayloadID  string
	ReceivedAt time.Time
	// Key is the telling's own Event.EventKey, Digest its Event.EventDigest.
	Key, Digest string
}

// TimelineEvent is an event as the journey tells it: all its tellings merged,
// read in the context of the whole set.
type TimelineEvent struct {
	// Event is the best telling. Where several tellers tell it: completed by what
	// only another one says, with Carrier and Number of the one whose scan it is,
	// and ID and EventKey of the one received first.
	Event
	// Read is the code after the fold's context rules; Event.Code is what the
	// carrier said.
	Read Code
	// Stage in which it happened.
	Stage Stage
	// Proves is the milestone it proves in this journey; empty if none.
	Proves Milestone
	// Leg is the index into Journey.Legs, -1 if none.
	Leg int
	// Retracted is set where the event no longer counts.
	Retracted *Retraction
	// Witnesses are all tellings, first received first.
	Witnesses []Witness
	// Tellings is the event as each teller tells it, best first, each under its
	// own ID and EventKey; nil where a single one tells it.
	Tellings []Event
	// Return tells whether it happened on the way back.
	Return bool
	// LaterUse marks an event of another parcel, which goes under a number that
	// this one had: it counts for nothing here.
	LaterUse bool
}

// sortInstant places a day without a clock inside its day: before the scans of
// the day if it only registers, after them if it ends the journey, among them
// otherwise. A fake midnight must not sort blindly before real scans.
func (e *TimelineEvent) sortInstant() time.Time {
	if !e.Occurred.DateOnly() {
		return e.Occurred.At
	}
	switch {
	case e.Code.Proves().Rank() == MilestoneRegistered.Rank():
		return e.Occurred.At
	case e.Code.Info().Outcome != "":
		return e.Occurred.At.Add(24*time.Hour - time.Microsecond)
	default:
		return e.Occurred.At.Add(12 * time.Hour)
	}
}

// compareEvents orders by occurred instant, then milestone rank, then identity
// key. Arrival and list position mean nothing.
func compareEvents(a, b *TimelineEvent) int {
	if c := a.sortInstant().Compare(b.sortInstant()); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Code.Proves().Rank(), b.Code.Proves().Rank()); c != 0 {
		return c
	}
	return strings.Compare(a.EventKey, b.EventKey)
}

// betterTelling tells whether a says more than b about the same event; a total
// order, so that the winner does not depend on arrival.
func betterTelling(a, b *Event) bool {
	// A payload decoded again after a mapping fix tells the event anew: the
	// newer table speaks. Versions are dates, so text order is their order.
	if c := cmp.Compare(a.RuleVersion, b.RuleVersion); c != 0 {
		return c > 0
	}
	if c := cmp.Compare(a.Occurred.Certainty.Rank(), b.Occurred.Certainty.Rank()); c != 0 {
		return c > 0
	}
	if c := cmp.Compare(knownRank(a.Code), knownRank(b.Code)); c != 0 {
		return c > 0
	}
	if c := cmp.Compare(placeDetail(a.Place), placeDetail(b.Place)); c != 0 {
		return c > 0
	}
	if c := cmp.Compare(len(a.Words), len(b.Words)); c != 0 {
		return c > 0
	}
	return a.EventDigest < b.EventDigest
}

// knownRank tells how much a code says: 0 nothing, 1 that the parcel moves, 2
// what happened.
func knownRank(c Code) int {
	switch c {
	case CodeUnknown, "":
		return 0
	case CodeInTransit:
		return 1
	}
	return 2
}

func placeDetail(p Place) int {
	n := 0
	for _, s := range [...]string{string(p.Country), p.Region, p.City, p.Postcode, p.Facility, p.Unlocode} {
		if s != "" {
			n++
		}
	}
	return n
}

// mergeTellings groups rows by identity, each teller's by itself, and keeps the
// best telling of each.
// Merging is associative, commutative and idempotent: the events of an earlier
// merge and further rows give the same as all rows at once.
func mergeTellings(prior []TimelineEvent, rows []Event) []TimelineEvent {
	events := apart(prior, len(rows))
	byKey := make(map[string]int, len(events)+len(rows))
	for i := range events {
		byKey[events[i].EventKey] = i
	}
	for i := range rows {
		r := &rows[i]
		if r.Retraction != nil {
			continue
		}
		w := Witness{Carrier: cmp.Or(r.Teller, r.Carrier), Source: r.Source, PayloadID: r.PayloadID, ReceivedAt: r.ReceivedAt, Key: r.EventKey, Digest: r.EventDigest}
		j, seen := byKey[r.EventKey]
		if !seen {
			byKey[r.EventKey] = len(events)
			events = append(events, TimelineEvent{Event: *r, Leg: -1, Witnesses: []Witness{w}})
			continue
		}
		e := &events[j]
		switch k := slices.IndexFunc(e.Witnesses, func(x Witness) bool { return x.Digest == w.Digest }); {
		case k < 0:
			e.Witnesses = append(e.Witnesses, w)
		case compareWitnesses(w, e.Witnesses[k]) < 0:
			e.Witnesses[k] = w
		}
		if betterTelling(r, &e.Event) {
			e.Event = *r
		}
	}
	for i := range events {
		e := &events[i]
		slices.SortFunc(e.Witnesses, compareWitnesses)
		first := &e.Witnesses[0]
		e.ReceivedAt, e.PayloadID, e.Source = first.ReceivedAt, first.PayloadID, first.Source
	}
	return events
}

// compareWitnesses orders witnesses: first received first.
func compareWitnesses(a, b Witness) int {
	return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), strings.Compare(a.PayloadID, b.PayloadID), strings.Compare(a.Digest, b.Digest), strings.Compare(a.Key, b.Key))
}

// Tells whether a row of this key and digest is already among the events.
func (j *Journey) Tells(key, digest string) bool {
	for i := range j.Events {
		if slices.ContainsFunc(j.Events[i].Witnesses, func(w Witness) bool { return w.Digest == digest && w.Key == key }) {
			return true
		}
	}
	return false
}

// mergeCorrections adds rows that are people's corrections to those known; the
// same correction again adds nothing.
func mergeCorrections(prior []Retraction, rows []Event) []Retraction {
	out := slices.Clone(prior)
	for i := range rows {
		if r := rows[i].Retraction; r != nil && !slices.Contains(out, *r) {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Retraction) int { return compareRetractions(&a, &b) })
	return out
}

func compareRetractions(a, b *Retraction) int {
	return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Target, b.Target), strings.Compare(string(a.Kind), string(b.Kind)),
		strings.Compare(a.Reason, b.Reason), strings.Compare(a.ReplacedBy, b.ReplacedBy))
}
