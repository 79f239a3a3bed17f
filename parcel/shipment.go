package parcel

import "time"

// GoodsAttribute is what makes goods special to carry.
type GoodsAttribute string

// The attributes.
const (
	GoodsBattery  GoodsAttribute = "BATTERY"
	GoodsLiquid   GoodsAttribute = "LIQUID"
	GoodsMagnetic GoodsAttribute = "MAGNETIC"
	GoodsPowder   GoodsAttribute = "POWDER"
	GoodsFood     GoodsAttribute = "FOOD"
	GoodsFragile  GoodsAttribute = "FRAGILE"
	GoodsBranded  GoodsAttribute = "BRANDED"
	GoodsBlade    GoodsAttribute = "BLADE"
)

// Valid tells whether a is one of the attributes.
func (a GoodsAttribute) Valid() bool {
	switch a {
	case GoodsBattery, GoodsLiquid, GoodsMagnetic, GoodsPowder, GoodsFood, GoodsFragile, GoodsBranded, GoodsBlade:
		return true
	}
	return false
}

// Goods is what is in a parcel, as declared. Zero measures are unknown.
type Goods struct {
	Description string `json:"description,omitempty"`
	// WeightGrams is the gross weight.
	WeightGrams int `json:"weightGrams,omitempty"`
	// LengthMM, WidthMM and HeightMM are the sides, longest first.
	LengthMM int `json:"lengthMm,omitempty"`
	WidthMM  int `json:"widthMm,omitempty"`
	HeightMM int `json:"heightMm,omitempty"`
	// DeclaredValue is the value for customs; zero currency if unknown.
	DeclaredValue Money `json:"declaredValue,omitzero"`
	// HSCodes are Harmonised System codes, six digits or more.
	HSCodes []string `json:"hsCodes,omitempty"`
	// Attributes is what makes it special; AttributesKnown tells an empty list
	// ("nothing does") from nobody having said.
	Attributes      []GoodsAttribute `json:"attributes,omitempty"`
	AttributesKnown bool             `json:"attributesKnown,omitempty"`
}

// Recipient is personal data, kept apart from the shipment so that it can be
// erased.
type Recipient struct {
	Name         string   `json:"name,omitempty"`
	Email        string   `json:"email,omitempty"`
	Phone        string   `json:"phone,omitempty"`
	AddressLines []string `json:"addressLines,omitempty"`
}

// IsZero tells whether nothing is known.
func (r Recipient) IsZero() bool {
	return r.Name == "" && r.Email == "" && r.Phone == "" && len(r.AddressLines) == 0
}

// PromiseSource is who made a promise.
type PromiseSource string

// The sources.
const (
	PromiseByMerchant     PromiseSource = "MERCHANT"
	PromiseByMarketplace  PromiseSource = "MARKETPLACE"
	PromiseByServiceLevel PromiseSource = "SERVICE_LEVEL"
	PromiseByQuote        PromiseSource = "QUOTE"
)

// Promise is a committed day, as it was shown to the buyer. Days are in
// DayLayout and count in the destination's zone.
type Promise struct {
	// By is the last day; empty if nothing was promised.
	By string `json:"by,omitempty"`
	// From is the first day, where a span was shown.
	From    string        `json:"from,omitempty"`
	ShownAt time.Time     `json:"shownAt,omitzero"`
	Source  PromiseSource `json:"source,omitempty"`
}

// DeclaredLeg is a leg that somebody named before any event did: the merchant
// at registration, a route's plan, or a change of number.
type DeclaredLeg struct {
	// Stage of the leg. If StageGiven is false it is only where the carrier
	// usually begins, and the events decide.
	Stage      Stage `json:"stage,omitempty"`
	StageGiven bool  `json:"stageGiven,omitempty"`
	// Carrier is the adapter's name; empty while nobody knows.
	Carrier string `json:"carrier,omitempty"`
	// Guessed tells that nobody named the carrier: the number's form did.
	Guessed bool `json:"guessed,omitempty"`
	// ServiceLevel is the carrier's product.
	ServiceLevel string `json:"serviceLevel,omitempty"`
	// Number is the carrier's number, normalised; empty if none was given.
	Number string `json:"number,omitempty"`
	// Replaces is the number that this one corrects, on the same leg of the
	// plan; empty if none. Events of the old number stay with the old leg.
	Replaces string `json:"replaces,omitempty"`
	// ReplacedBy is set on the leg whose number was corrected.
	ReplacedBy string `json:"replacedBy,omitempty"`
	Cost       Money  `json:"cost,omitzero"`
	// DeclaredAt is when it was named, trade time.
	DeclaredAt time.Time `json:"declaredAt,omitzero"`
}

// Facts is what somebody said about a shipment, apart from events: the part of
// a shipment that cannot be derived again.
type Facts struct {
	// Reference is the merchant's own, unique for the merchant.
	Reference string `json:"reference"`
	// Order is the order number; empty if none.
	Order       string        `json:"order,omitempty"`
	Origin      Place         `json:"origin,omitzero"`
	Destination Place         `json:"destination,omitzero"`
	Goods       Goods         `json:"goods,omitzero"`
	Tags        []string      `json:"tags,omitempty"`
	Locale      string        `json:"locale,omitempty"`
	Route       string        `json:"route,omitempty"` // code of the merchant's route
	Legs        []DeclaredLeg `json:"legs,omitempty"`
	// Found are numbers that were found later, first found first.
	Found []FoundNumber `json:"found,omitempty"`
	// Promises are all versions, first shown first.
	Promises []Promise `json:"promises,omitempty"`
	// RegisteredAt is when it was sold or packed.
	RegisteredAt time.Time `json:"registeredAt"`
}

// Lane is the ordered pair of countries.
func (f *Facts) Lane() Lane {
	return Lane{Origin: f.Origin.Country, Destination: f.Destination.Country}
}

// Domestic tells whether origin and destination are known to be one country:
// an overseas-warehouse journey is one of these.
func (f *Facts) Domestic() bool {
	return f.Origin.Country != "" && f.Origin.Country == f.Destination.Country
}

// FirstPromise is the promise by which punctuality is judged.
func (f *Facts) FirstPromise() (Promise, bool) {
	if len(f.Promises) == 0 {
		return Promise{}, false
	}
	return f.Promises[0], true
}

// Shipment is one parcel's promised journey with everything derived from its
// events. It is a value: whoever holds one may read it from many goroutines,
// nobody writes to it.
type Shipment struct {
	ID         string // ULID
	MerchantID string // ULID
	Facts
	Journey Journey
	// CreatedAt and UpdatedAt are when it was first stored and last changed,
	// trade time.
	CreatedAt, UpdatedAt time.Time
	// ChangePosition is the place in the change log that this state includes.
	ChangePosition int64
}
