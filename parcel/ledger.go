package parcel

import "time"

// Holder is a shipment that a number belongs to, for a span of time: numbers
// are used again, and an event belongs to the use in whose span it occurred.
type Holder struct {
	MerchantID, ShipmentID string
	// Since and Until bound the use, from inclusive to exclusive; zero for an
	// open end.
	Since, Until time.Time
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

// RecipientRow is a recipient with the shipment it belongs to.
type RecipientRow struct {
	MerchantID, ShipmentID string
	Recipient              Recipient
}

// CohortKey is what a cohort counts: parcels of one merchant that one carrier
// had in its hands on one lane, by the day of their first scan.
type CohortKey struct {
	MerchantID, Carrier string
	Lane                Lane
	// Day of the first scan, DayLayout, UTC.
	Day string
}

// CohortDelta is an increment (or, where a correction moved a parcel, a
// decrement) of the cohort triangle: parcels that began, and parcels that ended
// at an age by a cause.
type CohortDelta struct {
	CohortKey
	// Started parcels.
	Started int
	// Ended parcels at AgeDays by Cause; Cause is empty for a row of starts.
	Ended   int
	AgeDays int
	Cause   Outcome
	// Due parcels, whose first promise was decided, and those of them that kept
	// it.
	Due, Kept int
}
