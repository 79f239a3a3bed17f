package view

import (
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// RouteState is the state of a route.
type RouteState string

// The states.
const (
	RouteTrial     RouteState = "TRIAL"
	RouteLive      RouteState = "LIVE"
	RouteSuspended RouteState = "SUSPENDED"
	RouteEnded     RouteState = "ENDED"
)

// RoutePlan is a route as its merchant wrote it, in the form that is kept.
type RoutePlan struct {
	Code         string         `json:"code"`
	Name         string         `json:"name"`
	Lane         parcel.Lane    `json:"lane"`
	ServiceClass ServiceClass   `json:"serviceClass"`
	Legs         []RouteLegPlan `json:"legs"`
	// StatedDays is 0 if nobody states any.
	StatedDays int        `json:"statedDays,omitempty"`
	State      RouteState `json:"state"`
}

// RouteLegPlan is a planned stretch.
type RouteLegPlan struct {
	Stage        parcel.Stage `json:"stage"`
	Carrier      string       `json:"carrier"`
	ServiceLevel string       `json:"serviceLevel,omitempty"`
	StatedDays   float64      `json:"statedDays,omitempty"`
}

// Route is the legs planned on a lane.
type Route struct {
	p         RoutePlan
	merchant  string
	updatedAt time.Time
	lens      *Lens
}

// Route shows a merchant's plan.
func (lens *Lens) Route(p RoutePlan, merchantID string, updatedAt time.Time) *Route {
	return &Route{p: p, merchant: merchantID, updatedAt: updatedAt, lens: lens}
}

// IsNode marks it.
func (*Route) IsNode() {}

// OwnerID is the merchant whose it is.
func (r *Route) OwnerID() string { return r.merchant }

// ID is the global id: a route is named by its merchant and code.
func (r *Route) ID() string { return graph.MakeID(graph.TypeRoute, r.merchant+"."+r.p.Code) }

// Code is the merchant's code.
func (r *Route) Code() string { return r.p.Code }

// Name is its name.
func (r *Route) Name() string { return r.p.Name }

// Lane is its lane.
func (r *Route) Lane() Lane { return Lane{r.p.Lane} }

// ServiceClass is the kind of service.
func (r *Route) ServiceClass() ServiceClass { return r.p.ServiceClass }

// Plan is the route as it is kept.
func (r *Route) Plan() *RoutePlan { return &r.p }

// Legs are the planned stretches.
func (r *Route) Legs(first *int) []RouteLeg {
	out := make([]RouteLeg, sizeOf(len(r.p.Legs), first, DefaultPage))
	for i := range out {
		out[i] = RouteLeg{r, i}
	}
	return out
}

// StatedDays are the days stated.
func (r *Route) StatedDays() (int, bool) { return number(r.p.StatedDays) }

// State is in use, on trial, suspended or ended.
func (r *Route) State() RouteState { return r.p.State }

// UpdatedAt is when it was last changed.
func (r *Route) UpdatedAt() time.Time { return r.updatedAt }

// RouteLeg is a planned stretch of a route.
type RouteLeg struct {
	r *Route
	i int
}

func (l RouteLeg) stored() *RouteLegPlan { return &l.r.p.Legs[l.i] }

// Sequence is the position, from 1.
func (l RouteLeg) Sequence() int { return l.i + 1 }

// Stage is the part of the journey.
func (l RouteLeg) Stage() parcel.Stage { return l.stored().Stage }

// CarrierCode is who, by code.
func (l RouteLeg) CarrierCode() string { return l.stored().Carrier }

// Carrier is who, where there is an adapter.
func (l RouteLeg) Carrier() (*Carrier, bool) { return l.r.lens.Carriers.Get(l.stored().Carrier) }

// ServiceLevel is the product.
func (l RouteLeg) ServiceLevel() (string, bool) { return given(l.stored().ServiceLevel) }

// StatedDays are the days stated.
func (l RouteLeg) StatedDays() (float64, bool) {
	return l.stored().StatedDays, l.stored().StatedDays != 0
}

// RouteFilter selects routes; every part that is set must hold.
type RouteFilter struct {
	Origin, Destination parcel.Country
	ServiceClasses      []ServiceClass
	States              []RouteState
	Carriers            []string
}

// Holds tells whether a plan is selected.
func (f *RouteFilter) Holds(p *RoutePlan) bool {
	return (f.Origin == "" || p.Lane.Origin == f.Origin) && (f.Destination == "" || p.Lane.Destination == f.Destination) &&
		(f.ServiceClasses == nil || slices.Contains(f.ServiceClasses, p.ServiceClass)) &&
		(f.States == nil || slices.Contains(f.States, p.State)) &&
		(f.Carriers == nil || slices.ContainsFunc(p.Legs, func(l RouteLegPlan) bool { return slices.Contains(f.Carriers, l.Carrier) }))
}

// RoutePage is a page of routes.
type RoutePage struct {
	list  []*Route
	total int
	info  PageInfo
}

const routeList = "routes"

// RoutePage cuts a list of routes, which must be in order of code.
func (lens *Lens) RoutePage(list []*Route, first *int, after *string) (*RoutePage, error) {
	lo := 0
	if after != nil {
		fields, err := lens.Cursors.OpenFields(routeList, *after, 1)
		if err != nil {
			return nil, parcel.Invalidf(parcel.FaultMalformed, "after", "not a cursor of this list")
		}
		for lo < len(list) && list[lo].p.Code <= fields[0] {
			lo++
		}
	}
	from, to, info, err := PageArgs{First: first}.cut(len(list), lo, len(list), DefaultPage)
	if err != nil {
		return nil, err
	}
	p := &RoutePage{list: list[from:to], total: len(list), info: info}
	if n := len(p.list); n > 0 {
		p.info.Start, p.info.End = RouteEdge{p.list[0]}, RouteEdge{p.list[n-1]}
	}
	return p, nil
}

// Nodes are the routes.
func (p *RoutePage) Nodes() []*Route { return p.list }

// Edges are the routes with their cursors.
func (p *RoutePage) Edges() []RouteEdge {
	out := make([]RouteEdge, len(p.list))
	for i, r := range p.list {
		out[i] = RouteEdge{r}
	}
	return out
}

// PageInfo is where the page stands.
func (p *RoutePage) PageInfo() PageInfo { return p.info }

// Count is how many there are.
func (p *RoutePage) Count() Count { return Count{Value: p.total, Exact: true} }

// RouteEdge is a route in a page.
type RouteEdge struct{ r *Route }

// Node is the route.
func (e RouteEdge) Node() *Route { return e.r }

// Cursor is its place.
func (e RouteEdge) Cursor() string { return e.r.lens.Cursors.SealFields(routeList, e.r.p.Code) }
