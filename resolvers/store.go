package resolvers

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Store is the memory, as the resolvers read it. Every read names the merchant
// on whose account it is made: an empty one sees nothing.
type Store interface {
	// Shipments reads by id, in the ids' order, nil where the merchant has no
	// such shipment.
	Shipments(ctx context.Context, merchantID string, ids []string) ([]*Loaded, error)
	// ShipmentsByReference does the same by the merchant's references.
	ShipmentsByReference(ctx context.Context, merchantID string, references []string) ([]*Loaded, error)
	// ShipmentsByNumber is the public door's: any merchant's shipments that a
	// number is registered for and that the knock opens, the asker's own first,
	// then the newest registration, a few at most.
	ShipmentsByNumber(ctx context.Context, k Knock) ([]*Loaded, error)
	// Unmapped lists what a carrier wrote and no table read, commonest first.
	Unmapped(ctx context.Context, carrier string, limit int) ([]parcel.Unmapped, error)
	// ListShipments reads a page.
	ListShipments(ctx context.Context, merchantID string, f ShipmentFilter, o ShipmentOrder, p Page) (ShipmentPage, error)
	// KeyOf is the place of a shipment in an order.
	KeyOf(o ShipmentOrder, s *parcel.Shipment) PageKey
	// CountShipments counts up to most.
	CountShipments(ctx context.Context, merchantID string, f ShipmentFilter, most int) (n int, exact bool, err error)
	// EventShipments finds the shipments of events.
	EventShipments(ctx context.Context, merchantID string, eventIDs []string) (map[string]string, error)
	// EventsAsOf reads the events that had been received by then.
	EventsAsOf(ctx context.Context, merchantID, shipmentID string, received time.Time) ([]parcel.Event, error)
	// Payloads reads by id, nil where none of the merchant's shipments was
	// touched by it.
	Payloads(ctx context.Context, merchantID string, ids []string) ([]*parcel.Payload, error)
	// Changes reads the log after a position, in order; fewer rows than limit
	// mean that it held no more.
	Changes(ctx context.Context, merchantID string, after int64, limit int, f ChangeFilter) ([]parcel.Change, error)
	// LogBounds tells which positions the log holds; a cursor below oldest-1
	// has expired.
	LogBounds(ctx context.Context) (oldest, head int64, err error)
	// Merchant reads a tenant; ErrNotFound if there is none.
	Merchant(ctx context.Context, id string) (Merchant, error)
	// Recipients reads personal data by shipment.
	Recipients(ctx context.Context, merchantID string, shipmentIDs []string) (map[string]parcel.RecipientRow, error)
	// Routes lists a merchant's routes by code; PutRoutes stores some.
	Routes(ctx context.Context, merchantID string) ([]RouteRow, error)
	PutRoutes(ctx context.Context, rows []RouteRow) error
	// Cohorts reads what shipments have added up to.
	Cohorts(ctx context.Context, merchantID string, f CohortFilter) ([]parcel.CohortDelta, error)
	// Passings reads what their handovers have added up to.
	Passings(ctx context.Context, merchantID string, f PassingFilter) ([]parcel.PassingDelta, error)
}

// Knock is what someone says at the public door: a normalised number, perhaps
// its carrier, and what opens the shipments that have it. The asker's merchant
// opens its own, and is empty for a shopper. Where a postcode was asked about
// it must be the destination's, folded; where none was, merchants open theirs
// that show them by number alone.
type Knock struct {
	Number, Carrier string
	MerchantID      string
	Asked           bool
	Postcode        string
}

// Loaded is a shipment with what is known about asking for its numbers.
type Loaded struct {
	Shipment  *parcel.Shipment
	Trackings []parcel.Tracking
}

// Merchant is a tenant.
type Merchant struct {
	ID, Name      string
	DefaultLocale string
	// TrackPublic lets a number alone open the masked page.
	TrackPublic bool
	SupportURL  string
}

// RouteRow is a merchant's route; Doc is a view.RoutePlan in JSON.
type RouteRow struct {
	MerchantID, Code string
	Doc              []byte
	UpdatedAt        time.Time
}

// TimeRange is from From, included, to To, excluded; a zero end is unbounded.
type TimeRange struct{ From, To time.Time }

// ShipmentFilter selects shipments; every part that is set must hold.
type ShipmentFilter struct {
	IDs, References, Orders        []string
	Numbers                        []string // normalised
	Search                         string
	Tags, Carriers                 []string
	Lanes                          []parcel.Lane
	Destinations                   []parcel.Country
	Routes                         []string
	Stages                         []parcel.Stage
	Milestones                     []parcel.Milestone
	Open                           *bool
	Outcomes                       []parcel.Outcome
	Exceptions                     []parcel.ExceptionKind
	AnyException                   bool
	Goods                          []parcel.GoodsAttribute
	PromisedFrom, PromisedTo       string // days, both included
	Registered, Updated, Delivered TimeRange
	// LastEventBefore selects open shipments silent since before then,
	// LegStartedBefore those whose present leg began before then.
	LastEventBefore, LegStartedBefore time.Time
}

// ShipmentOrder is the order of a list; Field is a value of the schema's
// ShipmentOrderField.
type ShipmentOrder struct {
	Field      string
	Descending bool
}

// PageKey is a place in an order.
type PageKey struct{ Value, ID string }

// Page is which part of a list to read: exactly one of First and Last is
// positive.
type Page struct {
	First, Last   int
	After, Before *PageKey
}

// ShipmentPage is part of a list, in the list's order.
type ShipmentPage struct {
	Items                []*Loaded
	HasNext, HasPrevious bool
}

// ChangeFilter selects rows of the change log.
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

// CohortFilter selects cohorts; From and To are days, both included, empty for
// unbounded.
type CohortFilter struct {
	Carriers []string
	Lanes    []parcel.Lane
	From, To string
}

// PassingFilter selects handovers; From and To are days, both included, empty
// for unbounded.
type PassingFilter struct {
	FromCarriers, ToCarriers []string
	Destinations             []parcel.Country
	Lanes                    []parcel.Lane
	From, To                 string
}
