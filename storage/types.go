package storage

import (
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Loaded is a shipment as a timeline needs it, read in one statement.
type Loaded struct {
	Shipment *parcel.Shipment
	// Trackings is what is known about asking for each number that belongs or
	// belonged to the shipment, by carrier and number.
	Trackings []parcel.Tracking
}

// The rows that ingest and the store exchange are the language's own: neither
// room knows the other.
type (
	Holder        = parcel.Holder
	HolderRow     = parcel.HolderRow
	NumberState   = parcel.NumberState
	KeptPayload   = parcel.KeptPayload
	PayloadNumber = parcel.PayloadNumber
	RecipientRow  = parcel.RecipientRow
	EventRow      = parcel.EventRow
	EndCause      = parcel.EndCause
	CohortKey     = parcel.CohortKey
	CohortDelta   = parcel.CohortDelta
	PassingKey    = parcel.PassingKey
	PassingDelta  = parcel.PassingDelta
)

// The causes.
const (
	EndDelivered = parcel.EndDelivered
	EndLost      = parcel.EndLost
	EndReturned  = parcel.EndReturned
	EndDisposed  = parcel.EndDisposed
)

// CohortStart, CohortEnd and CohortPunctuality are the stored counts; zero
// counts are not listed.
type (
	CohortStart struct {
		CohortKey
		N int
	}
	CohortEnd struct {
		CohortKey
		Age   int
		Cause EndCause
		N     int
	}
	CohortPunctuality struct {
		CohortKey
		Due, Kept int
	}
)

// Cohorts is what the estimators read: its size depends on days and ages, not
// on the number of parcels.
type Cohorts struct {
	Starts      []CohortStart
	Ends        []CohortEnd
	Punctuality []CohortPunctuality
}

// ScoreFilter selects cohorts; the zero value selects all.
type ScoreFilter struct {
	Carriers []string
	Lanes    []parcel.Lane
	// From and To are days in parcel.DayLayout, both included; empty is
	// unbounded.
	From, To string
}

// PassingFilter selects handovers; the zero value selects all.
type PassingFilter struct {
	// FromCarriers let go, ToCarriers took on.
	FromCarriers, ToCarriers []string
	Destinations             []parcel.Country
	Lanes                    []parcel.Lane
	// From and To are days in parcel.DayLayout, both included; empty is
	// unbounded.
	From, To string
}

// Merchant is a tenant.
type Merchant struct {
	ID string // ULID
	// Name is unique.
	Name          string
	DefaultLocale string // BCP 47; empty for the deployment's
	// TrackPublic lets a number alone, without postcode, open the masked page.
	TrackPublic bool
	SupportURL  string
	CreatedAt   time.Time
}

// Key is an API key; the secret itself is never kept.
type Key struct {
	ID         string // ULID
	MerchantID string
	Name       string
	// Prefix is the first characters, to recognise it.
	Prefix string
	// Hash is the digest by which it is found; unique.
	Hash   []byte
	Scopes []string
	// LastUsedAt is kept to the hour. ExpiresAt and RevokedAt are zero if
	// never.
	CreatedAt, LastUsedAt, ExpiresAt, RevokedAt time.Time
}

// RouteRow is a merchant's route as its owner encodes it.
type RouteRow struct {
	MerchantID string
	// Code is unique for the merchant.
	Code string
	// Doc is JSON.
	Doc       []byte
	UpdatedAt time.Time
}

// ImportRun is how far a file was imported, so that the same file with the same
// mapping goes on where it stopped.
type ImportRun struct {
	ID                string // ULID
	MerchantID        string
	FileSHA           string
	MappingSHA        string
	NextLine          int64 // first line not yet taken in
	Accepted, Refused int64
	UpdatedAt         time.Time
}

// TimeRange is from From, included, to To, excluded; a zero end is unbounded.
type TimeRange struct{ From, To time.Time }

// ShipmentFilter selects shipments; every part that is set must hold. The zero
// value selects all of the scope's.
type ShipmentFilter struct {
	IDs, References, Orders []string
	// Numbers are tracking numbers of any leg, now or formerly, normalised.
	Numbers []string
	// Search is the beginning of a reference, an order or a tracking number.
	Search string
	// Tags and Carriers (of any leg): any of them.
	Tags, Carriers []string
	Lanes          []parcel.Lane
	Destinations   []parcel.Country
	Routes         []string
	Stages         []parcel.Stage
	Milestones     []parcel.Milestone
	// Open is nil for both open and ended.
	Open     *bool
	Outcomes []parcel.Outcome
	// Exceptions selects those with an open exception of any of these kinds;
	// AnyException those with one of whatever kind.
	Exceptions   []parcel.ExceptionKind
	AnyException bool
	// Goods: all of these attributes.
	Goods []parcel.GoodsAttribute
	// PromisedFrom and PromisedTo are days in parcel.DayLayout, both included,
	// of the promise first shown.
	PromisedFrom, PromisedTo string
	// Registered, Updated and Delivered are trade time.
	Registered, Updated, Delivered TimeRange
	// LastEventBefore selects open shipments silent since before then; those
	// without any event count from registration.
	LastEventBefore time.Time
	// LegStartedBefore selects shipments whose leg in progress began before
	// then.
	LegStartedBefore time.Time
}

// OrderField is what shipments are sorted by. Ties are broken by id.
type OrderField string

// The fields.
const (
	ByRegisteredAt OrderField = "REGISTERED_AT"
	ByUpdatedAt    OrderField = "UPDATED_AT"
	ByLastEventAt  OrderField = "LAST_EVENT_AT" // without any event: first
	ByPromisedFor  OrderField = "PROMISED_FOR"  // without a promise: first
)

// ShipmentOrder is the order of a list. The zero value is newest registration
// last.
type ShipmentOrder struct {
	Field      OrderField
	Descending bool
}

// PageKey is the place of a shipment in an order; made by KeyOf.
type PageKey struct {
	// Value is the sorted value: microseconds since 1970 in decimal, or a day.
	Value string
	ID    string
}

// Page is which part of a list to read: the First after After, or the Last
// before Before. Exactly one of First and Last is positive, at most 1,000.
type Page struct {
	First, Last   int
	After, Before *PageKey
}

// ShipmentPage is part of a list, in the list's order.
type ShipmentPage struct {
	Items []*Loaded
	// HasNext and HasPrevious: in the direction of paging it was looked up;
	// in the other it is true if the page began at a key.
	HasNext, HasPrevious bool
}

// PayloadFilter selects payloads for replay.
type PayloadFilter struct {
	Carrier string    // empty for all
	Since   time.Time // received at or after; zero for all
	AfterID string    // goes on after this one
}

// ChangeFilter selects rows of the change log; the zero value selects all.
// Milestones, Exceptions and SeverityAtLeast do not touch rows of other kinds.
type ChangeFilter struct {
	Kinds           []parcel.ChangeKind
	Milestones      []parcel.Milestone
	Exceptions      []parcel.ExceptionKind
	SeverityAtLeast parcel.Severity
	ShipmentIDs     []string
	Orders          []string
	Tags            []string
	Carriers        []string
	Lanes           []parcel.Lane
}
