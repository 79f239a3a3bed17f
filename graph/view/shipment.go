package view

import (
	"context"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Shipment is one parcel's journey as a viewer sees it.
type Shipment struct {
	s         *parcel.Shipment
	trackings []parcel.Tracking
	lens      *Lens
	mask      Mask
	served    map[parcel.NumberKey]parcel.Served
	maxAge    time.Duration
	now       time.Time
	past      bool
}

// Mask is what is hidden from a caller who has not proved more than a number:
// clocks but not days, places below the city, words, other numbers.
type Mask struct {
	Hide bool
	// Number is the one that the caller asked for.
	Number string
}

// Look is what there is to show.
type Look struct {
	Shipment *parcel.Shipment
	// Trackings of its numbers.
	Trackings []parcel.Tracking
	Mask      Mask
	// Served is what this request did for numbers; others came from the store.
	Served map[parcel.NumberKey]parcel.Served
	// MaxAge replaces the legs' own budgets; 0 does not.
	MaxAge time.Duration
	// Now is the moment described; zero is the lens's.
	Now time.Time
	// Past marks a moment gone by, whose answer will not change.
	Past bool
}

// Shipment shows l.
func (lens *Lens) Shipment(l Look) *Shipment {
	s := &Shipment{s: l.Shipment, trackings: l.Trackings, lens: lens, mask: l.Mask, served: l.Served, maxAge: l.MaxAge, now: l.Now, past: l.Past}
	if s.now.IsZero() {
		s.now = lens.Now
	}
	return s
}

// IsNode marks it.
func (*Shipment) IsNode() {}

// OwnerID is the merchant whose it is.
func (s *Shipment) OwnerID() string { return s.s.MerchantID }

// Lens is how it is looked at.
func (s *Shipment) Lens() *Lens { return s.lens }

// Stored is what is looked at.
func (s *Shipment) Stored() *parcel.Shipment { return s.s }

// moment hides the clock where the mask says so.
func (s *Shipment) moment(m parcel.Moment) parcel.Moment {
	if s.mask.Hide {
		return dayOf(m)
	}
	return m
}

// at hides the clock of an instant that has no wall.
func (s *Shipment) at(t time.Time) time.Time {
	if s.mask.Hide {
		return t.UTC().Truncate(24 * time.Hour)
	}
	return t
}

func (s *Shipment) place(p parcel.Place) Place {
	if s.mask.Hide {
		p = parcel.Place{Country: p.Country, City: p.City, TimeZone: p.TimeZone}
	}
	return Place{p}
}

// event shows the event at an index of the journey; ok is false for -1.
func (s *Shipment) event(i int) (TrackingEvent, bool) {
	if i < 0 || i >= len(s.s.Journey.Events) {
		return TrackingEvent{}, false
	}
	return TrackingEvent{s, i}, true
}

// leg shows the leg at an index of the journey; ok is false for -1.
func (s *Shipment) leg(i int) (Leg, bool) {
	if i < 0 || i >= len(s.s.Journey.Legs) {
		return Leg{}, false
	}
	return Leg{s, i}, true
}

// EventByID shows an event of this shipment.
func (s *Shipment) EventByID(id string) (TrackingEvent, bool) {
	if id == "" {
		return TrackingEvent{}, false
	}
	return s.event(s.s.Journey.EventByID(id))
}

func (s *Shipment) eventByKey(key string) (TrackingEvent, bool) {
	if key == "" {
		return TrackingEvent{}, false
	}
	return s.event(s.s.Journey.EventByKey(key))
}

// LegByKey shows a leg of this shipment.
func (s *Shipment) LegByKey(key string) (Leg, bool) {
	if key == "" {
		return Leg{}, false
	}
	return s.leg(slices.IndexFunc(s.s.Journey.Legs, func(l parcel.Leg) bool { return l.Key == key }))
}

// ExceptionByKey shows an exception of this shipment.
func (s *Shipment) ExceptionByKey(key string) (Exception, bool) {
	i := slices.IndexFunc(s.s.Journey.Exceptions, func(x parcel.Exception) bool { return x.Key == key })
	return Exception{s, i}, i >= 0
}

// ID is the global id.
func (s *Shipment) ID() string { return graph.MakeID(graph.TypeShipment, s.s.ID) }

// Reference is the merchant's own.
func (s *Shipment) Reference() string { return s.s.Reference }

// Order is the order that it belongs to.
func (s *Shipment) Order() (Order, bool) {
	return Order{Reference: s.s.Facts.Order, MerchantID: s.s.MerchantID}, s.s.Facts.Order != ""
}

// Order is a shop's order.
type Order struct {
	Reference  string
	MerchantID string
}

// OwnerID is the merchant whose it is.
func (o Order) OwnerID() string { return o.MerchantID }

// Tags are free labels.
func (s *Shipment) Tags() []string {
	if s.s.Tags == nil {
		return []string{}
	}
	return s.s.Tags
}

// Origin is where it starts.
func (s *Shipment) Origin() Place { return s.place(s.s.Facts.Origin) }

// Destination is where it goes.
func (s *Shipment) Destination() Place { return s.place(s.s.Facts.Destination) }

// Lane is origin and destination country.
func (s *Shipment) Lane() Lane { return Lane{s.s.Lane()} }

// Goods is what is in it.
func (s *Shipment) Goods() Goods { return Goods{&s.s.Facts.Goods} }

// Milestone is the highest proved.
func (s *Shipment) Milestone() parcel.Milestone {
	if s.s.Journey.Milestone == "" {
		return parcel.MilestoneRegistered
	}
	return s.s.Journey.Milestone
}

// Headline is where the parcel stands, in words.
func (s *Shipment) Headline(locale *string) Text {
	if o := s.s.Journey.Outcome; o != "" && o != parcel.OutcomeDelivered {
		return s.lens.label(locale, groupOutcome, string(o))
	}
	return s.lens.label(locale, groupMilestone, string(s.Milestone()))
}

// Outcome is how it ended.
func (s *Shipment) Outcome() (parcel.Outcome, bool) {
	return s.s.Journey.Outcome, s.s.Journey.Outcome != ""
}

// ReturnedAt is when a delivered parcel was back.
func (s *Shipment) ReturnedAt() (time.Time, bool) {
	return instant(s.moment(s.s.Journey.ReturnedAt).At)
}

// Health tells whether our knowledge is alive.
func (s *Shipment) Health() parcel.Health {
	var few [8]parcel.Tracking
	open := few[:0]
	for t := range s.open() {
		open = append(open, *t)
	}
	var habits parcel.Habits
	if s.lens.Habits != nil {
		habits = s.lens.Habits(s.s)
	}
	return s.s.HealthAt(s.now, open, habits)
}

// Custody says who holds it.
func (s *Shipment) Custody() Custody { return Custody{s} }

// Custody is who holds a parcel.
type Custody struct{ s *Shipment }

// State is with whom.
func (c Custody) State() parcel.CustodyState {
	if st := c.s.s.Journey.Custody.State; st != "" {
		return st
	}
	return parcel.CustodyUnknown
}

// Leg is the leg in whose custody it is.
func (c Custody) Leg() (Leg, bool) { return c.s.leg(c.s.s.Journey.Custody.Leg) }

// SinceAt is since when.
func (c Custody) SinceAt() (time.Time, bool) {
	return instant(c.s.moment(c.s.s.Journey.Custody.Since).At)
}

// Hours is how long so far.
func (c Custody) Hours() (float64, bool) {
	since, ok := c.SinceAt()
	return max(0, c.s.now.Sub(since).Hours()), ok
}

// MilestoneSet is which milestones to list.
type MilestoneSet string

// The sets.
const (
	MilestonesAll     MilestoneSet = "ALL"
	MilestonesShopper MilestoneSet = "SHOPPER"
)

// Milestones is the progress bar.
func (s *Shipment) Milestones(set *MilestoneSet, first *int) []Step {
	steps := head(s.s.Steps(set != nil && *set == MilestonesShopper), first, DefaultPage)
	out := make([]Step, len(steps))
	for i, st := range steps {
		out[i] = Step{s, st}
	}
	return out
}

// Step is one step of the progress bar.
type Step struct {
	s  *Shipment
	st parcel.Step
}

// Milestone says which.
func (st Step) Milestone() parcel.Milestone { return st.st.Milestone }

// Label is its words.
func (st Step) Label(locale *string) Text {
	return st.s.lens.label(locale, groupMilestone, string(st.st.Milestone))
}

// State is reached, current or still to come.
func (st Step) State() parcel.StepState { return st.st.State }

// ReachedAt is when it was reached first.
func (st Step) ReachedAt() (time.Time, bool) {
	e, ok := st.s.event(st.st.Event)
	if !ok {
		return time.Time{}, false
	}
	return e.OccurredAt(), true
}

// Local is the same by the wall clock of the place.
func (st Step) Local() (LocalTime, bool) {
	e, ok := st.s.event(st.st.Event)
	if !ok {
		return LocalTime{}, false
	}
	return e.Local(), true
}

// Place is where it was reached.
func (st Step) Place() (Place, bool) {
	e, ok := st.s.event(st.st.Event)
	if !ok {
		return Place{}, false
	}
	return e.Place()
}

// Because says why; ok is false for a step that was not seen.
func (st Step) Because() (Because, bool) {
	seen := st.st.State == parcel.StepReached || st.st.State == parcel.StepCurrent
	return st.s.milestoneBecause(st.st.Event), seen
}

func (s *Shipment) milestoneBecause(event int) Because {
	rule := "milestone.highest"
	if event < 0 {
		rule = "milestone.registered"
	}
	return Because{s, event, rule}
}

// StatusIn is the state in another system's vocabulary.
func (s *Shipment) StatusIn(vocabulary parcel.Vocabulary) string {
	facts := parcel.StatusFacts{Milestone: s.Milestone(), Outcome: s.s.Journey.Outcome}
	for x := range s.s.Journey.OpenExceptions {
		facts.Open = append(facts.Open, x.Kind)
	}
	asked, unknown := 0, 0
	for t := range s.open() {
		asked++
		if t.Finding == parcel.FindingUnknown {
			unknown++
		}
	}
	facts.NotFound = asked > 0 && unknown == asked
	return parcel.StatusIn(vocabulary, facts)
}

// DerivedValue is a value that Because explains.
type DerivedValue string

// The values.
const (
	DerivedMilestone DerivedValue = "MILESTONE"
	DerivedOutcome   DerivedValue = "OUTCOME"
	DerivedCustody   DerivedValue = "CUSTODY"
)

// Because says why a derived value is what it is.
func (s *Shipment) Because(of DerivedValue) (Because, bool) {
	j := &s.s.Journey
	switch of {
	case DerivedOutcome:
		return Because{s, j.OutcomeEvent, "outcome.last"}, j.Outcome != ""
	case DerivedCustody:
		if j.Outcome != "" {
			return Because{s, j.OutcomeEvent, "custody.outcome"}, true
		}
		if j.Latest < 0 {
			return Because{s, -1, "custody.registered"}, true
		}
		return Because{s, j.Latest, "custody.latest_event"}, true
	default:
		event := -1
		for _, r := range j.Reached {
			if r.Milestone == j.Milestone {
				event = r.Event
			}
		}
		return s.milestoneBecause(event), true
	}
}

// LatestEvent is the newest event that counts.
func (s *Shipment) LatestEvent() (TrackingEvent, bool) { return s.event(s.s.Journey.Latest) }

// Legs are the stretches of custody.
func (s *Shipment) Legs(first *int) []Leg {
	legs := make([]Leg, sizeOf(len(s.s.Journey.Legs), first, DefaultPage))
	for i := range legs {
		legs[i] = Leg{s, i}
	}
	return legs
}

// CurrentLeg is the leg in progress.
func (s *Shipment) CurrentLeg() (Leg, bool) { return s.leg(s.s.Journey.CurrentLeg) }

// Handovers are custody passing from leg to leg.
func (s *Shipment) Handovers(first *int) []Handover {
	out := make([]Handover, sizeOf(len(s.s.Journey.Handovers), first, DefaultPage))
	for i := range out {
		out[i] = Handover{s, &s.s.Journey.Handovers[i]}
	}
	return out
}

// Promise is what the shopper was promised.
func (s *Shipment) Promise() (Promise, bool) { return Promise{s.s.Promises}, len(s.s.Promises) > 0 }

// Promise is the versions of a promise, at least one.
type Promise struct{ versions []parcel.Promise }

// First is the one by which punctuality is judged.
func (p Promise) First() PromiseVersion { return PromiseVersion{p.versions[0]} }

// Current is the one shown now.
func (p Promise) Current() PromiseVersion { return PromiseVersion{p.versions[len(p.versions)-1]} }

// Versions are all, newest first.
func (p Promise) Versions(first *int) []PromiseVersion {
	out := make([]PromiseVersion, sizeOf(len(p.versions), first, 10))
	for i := range out {
		out[i] = PromiseVersion{p.versions[len(p.versions)-1-i]}
	}
	return out
}

// PromiseVersion is one promise as it was shown.
type PromiseVersion struct{ p parcel.Promise }

// By is the last day.
func (p PromiseVersion) By() string { return p.p.By }

// From is the first day, where a span was shown.
func (p PromiseVersion) From() (string, bool) { return given(p.p.From) }

// ShownAt is when it was first shown.
func (p PromiseVersion) ShownAt() (time.Time, bool) { return instant(p.p.ShownAt) }

// Source is who made it.
func (p PromiseVersion) Source() parcel.PromiseSource {
	if p.p.Source == "" {
		return parcel.PromiseByMerchant
	}
	return p.p.Source
}

// Cost is what it cost.
func (s *Shipment) Cost() (Cost, bool) {
	c := Cost{s: s}
	for i := range s.s.Journey.Legs {
		if s.s.Journey.Legs[i].Cost.Currency != "" {
			c.legs = append(c.legs, i)
		}
	}
	return c, len(c.legs) > 0
}

// Cost is the costs of a shipment's legs, at least one.
type Cost struct {
	s    *Shipment
	legs []int
}

// Total is all lines together, where they are in one currency.
func (c Cost) Total() (Money, bool) {
	var sum parcel.Money
	for _, i := range c.legs {
		var err error
		if sum, err = sum.Add(c.s.s.Journey.Legs[i].Cost); err != nil {
			return Money{}, false
		}
	}
	return money(sum)
}

// Lines are the costs in order of the legs.
func (c Cost) Lines(first *int) []CostLine {
	out := make([]CostLine, sizeOf(len(c.legs), first, DefaultPage))
	for i := range out {
		out[i] = CostLine{Leg{c.s, c.legs[i]}}
	}
	return out
}

// CostLine is one cost.
type CostLine struct{ leg Leg }

// Amount is how much.
func (c CostLine) Amount() Money { return Money{c.leg.stored().Cost} }

// Leg is for which leg.
func (c CostLine) Leg() Leg { return c.leg }

// AsOf is the moment that the answer describes.
func (s *Shipment) AsOf() time.Time { return s.now }

// ChangeCursor is the place in the log that the answer includes.
func (s *Shipment) ChangeCursor() string { return s.lens.Cursors.SealPosition(s.s.ChangePosition) }

// RegisteredAt is when it was registered.
func (s *Shipment) RegisteredAt() time.Time { return s.at(s.s.Facts.RegisteredAt) }

// UpdatedAt is when anything last changed.
func (s *Shipment) UpdatedAt() time.Time { return s.at(s.s.UpdatedAt) }

// Goods is what is in a parcel, as declared.
type Goods struct{ g *parcel.Goods }

// Description is a short description.
func (g Goods) Description() (string, bool) { return given(g.g.Description) }

// WeightGrams is the gross weight.
func (g Goods) WeightGrams() (int, bool) { return number(g.g.WeightGrams) }

// LengthMm is the longest side.
func (g Goods) LengthMm() (int, bool) { return number(g.g.LengthMM) }

// WidthMm is the second side.
func (g Goods) WidthMm() (int, bool) { return number(g.g.WidthMM) }

// HeightMm is the shortest side.
func (g Goods) HeightMm() (int, bool) { return number(g.g.HeightMM) }

// DeclaredValue is the value for customs.
func (g Goods) DeclaredValue() (Money, bool) { return money(g.g.DeclaredValue) }

// HsCodes are Harmonised System codes.
func (g Goods) HsCodes() []string {
	if g.g.HSCodes == nil {
		return []string{}
	}
	return g.g.HSCodes
}

// Attributes is what makes it special; nil if nobody said.
func (g Goods) Attributes() []parcel.GoodsAttribute {
	if g.g.Attributes == nil && g.g.AttributesKnown {
		return []parcel.GoodsAttribute{}
	}
	return g.g.Attributes
}

// Connection is a page of shipments.
type Connection struct {
	Items []*Shipment
	Info  PageInfo
	// CursorOf makes the cursor of an item.
	CursorOf func(*Shipment) string
	// Counter counts all that the list holds.
	Counter func(context.Context) (Count, error)
}

// NewConnection makes a page; its PageInfo's edges follow from the items.
func NewConnection(items []*Shipment, hasNext, hasPrevious bool, cursorOf func(*Shipment) string, counter func(context.Context) (Count, error)) *Connection {
	c := &Connection{Items: items, Info: PageInfo{HasNextPage: hasNext, HasPreviousPage: hasPrevious}, CursorOf: cursorOf, Counter: counter}
	if n := len(items); n > 0 {
		c.Info.Start, c.Info.End = Edge{items[0], cursorOf}, Edge{items[n-1], cursorOf}
	}
	return c
}

// Count is how many there are in all.
func (c *Connection) Count(ctx context.Context) (Count, error) { return c.Counter(ctx) }

// Nodes are the shipments.
func (c *Connection) Nodes() []*Shipment { return c.Items }

// Edges are the shipments with their cursors.
func (c *Connection) Edges() []Edge {
	out := make([]Edge, len(c.Items))
	for i, s := range c.Items {
		out[i] = Edge{s, c.CursorOf}
	}
	return out
}

// PageInfo is where the page stands.
func (c *Connection) PageInfo() PageInfo { return c.Info }

// Edge is a shipment in a page.
type Edge struct {
	shipment *Shipment
	cursorOf func(*Shipment) string
}

// Node is the shipment.
func (e Edge) Node() *Shipment { return e.shipment }

// Cursor is its place.
func (e Edge) Cursor() string { return e.cursorOf(e.shipment) }
