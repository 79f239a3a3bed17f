package resolvers

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/model"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// readPlan reads a route as it is kept.
func readPlan(row *RouteRow) (p view.RoutePlan, err error) {
	if err = json.Unmarshal(row.Doc, &p); err != nil {
		err = fmt.Errorf("route %s of %s: %w: %w", row.Code, row.MerchantID, parcel.ErrMalformed, err)
	}
	return p, err
}

// route finds a merchant's route by code; nil if there is none.
func (r *Resolver) route(ctx context.Context, lens *view.Lens, merchantID, code string) (*view.Route, error) {
	rows, err := r.request(ctx).routes(ctx, merchantID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rows, func(row RouteRow) bool { return row.Code == code })
	if i < 0 {
		return nil, nil
	}
	plan, err := readPlan(&rows[i])
	if err != nil {
		return nil, err
	}
	return lens.Route(plan, merchantID, rows[i].UpdatedAt), nil
}

// routes lists a merchant's routes by code.
func (r *Resolver) routes(ctx context.Context, in *model.RouteFilter, first *int, after *string) (*view.RoutePage, error) {
	lens := r.lens(ctx)
	rows, err := r.request(ctx).routes(ctx, lens.Viewer.MerchantID)
	if err != nil {
		return nil, err
	}
	var f view.RouteFilter
	if in != nil {
		f = view.RouteFilter{ServiceClasses: in.ServiceClasses, States: in.States, Carriers: in.Carriers}
		if in.Lane != nil {
			f.Origin, f.Destination = value(in.Lane.Origin), value(in.Lane.Destination)
		}
	}
	var list []*view.Route
	for i := range rows {
		plan, err := readPlan(&rows[i])
		if err != nil {
			return nil, err
		}
		if f.Holds(&plan) {
			list = append(list, lens.Route(plan, rows[i].MerchantID, rows[i].UpdatedAt))
		}
	}
	slices.SortFunc(list, func(a, b *view.Route) int { return strings.Compare(a.Code(), b.Code()) })
	return lens.RoutePage(list, first, after)
}

// planRoute adds a route's legs to a registration, for the stages that name
// none. An unknown route is a fault.
func (r *Resolver) planRoute(ctx context.Context, f *parcel.Facts) ([]*parcel.InputError, error) {
	route, err := r.route(ctx, r.lens(ctx), graph.ViewerFrom(ctx).MerchantID, f.Route)
	if err != nil {
		return nil, err
	}
	if route == nil {
		return []*parcel.InputError{parcel.Invalidf(parcel.FaultNotFound, "route", "there is no route %q", f.Route)}, nil
	}
	for _, l := range route.Plan().Legs {
		named := slices.ContainsFunc(f.Legs, func(d parcel.DeclaredLeg) bool {
			return d.Stage == l.Stage || d.Stage == "" && d.Carrier == l.Carrier
		})
		if !named {
			f.Legs = append(f.Legs, parcel.DeclaredLeg{Stage: l.Stage, Carrier: l.Carrier, ServiceLevel: l.ServiceLevel})
		}
	}
	return nil, nil
}

// upsertRoutes makes or replaces routes. One bad route does not stop another.
func (r *Resolver) upsertRoutes(ctx context.Context, in []model.RouteInput) (*view.UpsertRoutesPayload, error) {
	bad := faultsOf(ctx)
	if len(bad.whole) > 0 {
		return &view.UpsertRoutesPayload{Results: []view.UpsertRouteResult{}, UserErrors: view.UserErrors(bad.whole)}, nil
	}
	lens := r.lens(ctx)
	merchant := lens.Viewer.MerchantID
	stored, err := r.Store.Routes(ctx, merchant)
	if err != nil {
		return nil, err
	}
	payload := &view.UpsertRoutesPayload{Results: make([]view.UpsertRouteResult, len(in)), UserErrors: []view.UserError{}}
	var rows []RouteRow
	for i := range in {
		plan := routePlan(&in[i])
		outcome, problems := r.judgeRoute(&plan, stored, rows)
		if len(bad.items[i]) > 0 {
			outcome = parcel.WriteRefused
		}
		var shown *view.Route
		updated := lens.Now
		switch outcome {
		case parcel.WriteCreated, parcel.WriteUpdated:
			doc, err := json.Marshal(plan)
			if err != nil {
				return nil, fmt.Errorf("route %s: %w", plan.Code, err)
			}
			rows = append(rows, RouteRow{MerchantID: merchant, Code: plan.Code, Doc: doc, UpdatedAt: lens.Now})
			shown = lens.Route(plan, merchant, updated)
		case parcel.WriteUnchanged:
			k := slices.IndexFunc(stored, func(row RouteRow) bool { return row.Code == plan.Code })
			shown = lens.Route(plan, merchant, stored[k].UpdatedAt)
		}
		payload.Results[i] = view.NewUpsertRouteResult(outcome, shown, itemErrors(i, bad.items[i], problems))
	}
	if len(rows) > 0 {
		err = r.Store.PutRoutes(ctx, rows)
	}
	return payload, err
}

func routePlan(in *model.RouteInput) view.RoutePlan {
	p := view.RoutePlan{
		Code: strings.TrimSpace(in.Code), Name: strings.TrimSpace(in.Name), Lane: parcel.Lane{Origin: in.Origin, Destination: in.Destination},
		ServiceClass: in.ServiceClass, StatedDays: value(in.StatedDays), State: in.State,
	}
	for _, l := range in.Legs {
		p.Legs = append(p.Legs, view.RouteLegPlan{Stage: l.Stage, Carrier: l.Carrier, ServiceLevel: value(l.ServiceLevel), StatedDays: value(l.StatedDays)})
	}
	return p
}

// judgeRoute tells what becomes of a plan beside those stored and those of the
// same call.
func (r *Resolver) judgeRoute(p *view.RoutePlan, stored, same []RouteRow) (parcel.WriteOutcome, []*parcel.InputError) {
	var problems []*parcel.InputError
	if p.Code == "" || p.Name == "" {
		problems = append(problems, parcel.Invalidf(parcel.FaultRequired, "code", "code and name are needed"))
	}
	problems = append(problems, oneLine("code", p.Code)...)
	problems = append(problems, oneLine("name", p.Name)...)
	for i, l := range p.Legs {
		at := fmt.Sprintf("legs.%d", i)
		problems = append(problems, oneLine(at+".carrier", l.Carrier)...)
		problems = append(problems, oneLine(at+".serviceLevel", l.ServiceLevel)...)
		if _, known := r.carriers.Get(l.Carrier); !known {
			e := parcel.Invalidf(parcel.FaultCarrierNotConfigured, at+".carrier", "there is no adapter for %q: its legs are planned and not followed", l.Carrier)
			e.Warning = true
			problems = append(problems, e)
		}
		if !(l.StatedDays >= 0 && l.StatedDays <= 400) {
			problems = append(problems, parcel.Invalidf(parcel.FaultOutOfRange, at+".statedDays", "want 0 to 400 days"))
		}
	}
	if slices.ContainsFunc(same, func(row RouteRow) bool { return row.Code == p.Code }) {
		problems = append(problems, parcel.Invalidf(parcel.FaultDuplicate, "code", "%q stands in this call twice", p.Code))
	}
	if refusing(problems) {
		return parcel.WriteRefused, problems
	}
	i := slices.IndexFunc(stored, func(row RouteRow) bool { return row.Code == p.Code })
	if i < 0 {
		return parcel.WriteCreated, problems
	}
	if was, err := readPlan(&stored[i]); err == nil && reflect.DeepEqual(was, *p) {
		return parcel.WriteUnchanged, problems
	}
	return parcel.WriteUpdated, problems
}
