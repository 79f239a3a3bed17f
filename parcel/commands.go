package parcel

import "time"

// Registration is a shipment to be made known: what its merchant says of it,
// before any event.
type Registration struct {
	// Facts are the merchant's words. A declared leg without a carrier is found
	// by its number; RegisteredAt, if zero, is the moment of registration.
	Facts Facts
	// Recipient is kept apart, so that it can be erased; the zero value is
	// nobody named.
	Recipient Recipient
}

// WriteOutcome is what became of one item of a write.
type WriteOutcome string

// The outcomes.
const (
	WriteCreated   WriteOutcome = "CREATED"   // new
	WriteUpdated   WriteOutcome = "UPDATED"   // known, and changed
	WriteUnchanged WriteOutcome = "UNCHANGED" // known, and nothing changed
	WriteRefused   WriteOutcome = "REFUSED"   // not taken; the problems say why
)

// Registered is what became of one [Registration].
type Registered struct {
	Outcome WriteOutcome
	// Shipment is as stored. It is nil if refused, except for a conflict, where
	// it is the one that stands.
	Shipment *Shipment
	// Problems say why it was refused, or warn about what was taken all the
	// same (InputError.Warning). Paths begin at the registration.
	Problems []*InputError
}

// Report is an event told by somebody who is not a carrier's feed.
type Report struct {
	// ShipmentID names the shipment; empty to find it by Key.
	ShipmentID string
	// Key is the number that was seen. Its carrier may be empty where the
	// shipment or the number alone decides.
	Key NumberKey
	// Observation is what happened. Carrier and Number follow from the leg if
	// they are empty.
	Observation Observation
}

// Reported is what became of one [Report] or [Correction].
type Reported struct {
	Outcome WriteOutcome
	// ShipmentID and EventID name the event; empty if refused. For a correction
	// EventID is the event that no longer counts.
	ShipmentID, EventID string
	// Problems say why it was refused, or warn. Paths begin at the report.
	Problems []*InputError
}

// Correction takes back an event that was reported or read wrongly. The event
// stays in the log, marked.
type Correction struct {
	// EventID is the event that no longer counts.
	EventID string
	Kind    RetractionKind
	// Reason in words; may be empty.
	Reason string
	// ReplaceWith stands in its place; nil if nothing does.
	ReplaceWith *Report
}

// NumberChange gives a leg another number, carrier or both. Events of the old
// number stay with the old leg.
type NumberChange struct {
	ShipmentID, LegKey string
	// Carrier by name, Number as typed; an empty one is kept, and an empty
	// carrier beside a new number is found by the number.
	Carrier, Number string
}

// RefreshAsk asks carriers about numbers now.
type RefreshAsk struct {
	Keys []NumberKey
	// MaxAge is how old an answer may be to serve. Zero means that the caller
	// has judged age already, by each leg's own budget.
	MaxAge time.Duration
	// Wait is the longest the caller waits, wall time. Zero starts the refresh
	// and returns at once; it goes on and lands by itself.
	Wait time.Duration
	// Force asks even about numbers that were given up or have ended.
	Force bool
}

// Served is what a refresh did for one number.
type Served string

// The ways.
const (
	ServedStore       Served = "STORE"        // what is stored was fresh enough
	ServedJoinedCall  Served = "JOINED_CALL"  // waited for a call that another had started
	ServedOwnCall     Served = "OWN_CALL"     // called the carrier
	ServedWaitExpired Served = "WAIT_EXPIRED" // the wait ran out; the call goes on and lands by itself
	ServedNotAllowed  Served = "NOT_ALLOWED"  // quota, breaker or configuration forbade a call
)

// Refreshed is what a refresh did for one number, and what is known of asking
// for it afterwards. The news itself is in the store: read it again.
type Refreshed struct {
	Key      NumberKey
	Served   Served
	Tracking Tracking
}
