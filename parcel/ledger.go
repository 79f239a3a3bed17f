package parcel

import "time"

// Holder is a shipment that a number belongs to, for a span of time: numbers
// are used again, and an event belongs to the use in whose span it occurred.
type Holder struct {
	MerchantID, ShipmentID string
	// Since and Until bound the use, from inclusive to exclusive; zero for an
	// open end.
	Since, Until time.Time
	// Rule is how the shipment came by the number; empty where its merchant
	// declared it or an event named it.
	Rule FoundRule
	// Proposed is set while nobody has said that the number is this parcel's:
	// its carrier is asked, and what it tells is weighed before it is told. It
	// is when the asking began, trade time.
	Proposed time.Time
}

// Covers tells whether an event at t belongs to this use.
func (h *Holder) Covers(t time.Time) bool {
	return (h.Since.IsZero() || !t.Before(h.Since)) && (h.Until.IsZero() || t.Before(h.Until))
}

// HolderRow is a holder with the number it holds.
type HolderRow struct {
	NumberKey
	Holder
}

// NumberState is what is stored about a number: how it is asked for, and whose
// it is.
type NumberState struct {
	Tracking Tracking
	Holders  []Holder
}

// KeptPayload is what became of a payload: Fresh is false for bytes that were
// kept before, and ID then names the earlier copy.
type KeptPayload struct {
	ID    string
	Fresh bool
}

// PayloadNumber says that a payload speaks of a number.
type PayloadNumber struct {
	NumberKey
	PayloadID string
}

// EventRow is a row of the log with its tenant.
type EventRow struct {
	MerchantID string
	Event
}

// RecipientRow is the personal data of a shipment.
type RecipientRow struct {
	MerchantID, ShipmentID string
	Recipient              Recipient
	// ErasedAt is when it was erased for good; Recipient is then empty, and
	// stays so.
	ErasedAt time.Time
}

// EndCause is how a parcel left its cohort, for the estimators.
type EndCause string

// The causes.
const (
	EndDelivered EndCause = "D"
	EndLost      EndCause = "L"
	EndReturned  EndCause = "R"
	EndDisposed  EndCause = "X"
)

// CohortKey is the key of the statistics, and the day on which its parcels
// started: their first scan.
type CohortKey struct {
	MerchantID string
	Carrier    string
	// Service is the carrier's product; empty for all of them together.
	Service string
	// Stage is empty for the whole journey.
	Stage Stage
	Lane  Lane
	// Day in DayLayout: of the start for starts and ends, of the promise for
	// punctuality.
	Day string
}

// CohortDelta changes the counts of one key. Any count may be negative: a
// corrected event is one decrement and one increment.
type CohortDelta struct {
	CohortKey
	// Started is how many more parcels started.
	Started int
	// Ended is how many more ended, at Age days (0 or more) by Cause.
	Age   int
	Cause EndCause
	Ended int
	// Due is how many more had their promise fall due on Day, Kept how many
	// more of them had it kept.
	Due, Kept int
}
