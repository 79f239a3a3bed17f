package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/model"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// register makes shipments known. Items that could not be read are refused on
// their own; the rest go to the write path in one call.
func (r *Resolver) register(ctx context.Context, in []model.RegisterShipmentInput) (*view.RegisterPayload, error) {
	bad := faultsOf(ctx)
	if len(bad.whole) > 0 {
		return &view.RegisterPayload{Results: []view.RegisterResult{}, UserErrors: view.UserErrors(bad.whole)}, nil
	}
	done := make([]parcel.Registered, len(in))
	var asked []parcel.Registration
	var where []int
	for i := range in {
		reg, problems, err := r.registration(ctx, &in[i])
		if err != nil {
			return nil, err
		}
		if len(bad.items[i]) > 0 || refusing(problems) {
			done[i] = parcel.Registered{Outcome: parcel.WriteRefused, Problems: problems}
			continue
		}
		asked, where = append(asked, reg), append(where, i)
	}
	merchant := graph.ViewerFrom(ctx).MerchantID
	taken, err := r.Ingest.Register(ctx, merchant, asked)
	if err != nil {
		return nil, err
	}
	for k, i := range where {
		done[i] = taken[k]
		for n, p := range done[i].Problems {
			done[i].Problems[n] = asGiven(p)
		}
	}
	shown, err := r.written(ctx, done)
	if err != nil {
		return nil, err
	}
	payload := &view.RegisterPayload{Results: make([]view.RegisterResult, len(in)), UserErrors: []view.UserError{}}
	for i := range done {
		payload.Results[i] = view.NewRegisterResult(done[i].Outcome, shown[i], itemErrors(i, bad.items[i], done[i].Problems))
	}
	return payload, nil
}

// written shows what was written as it is stored, with what is known about
// asking for it; where nobody asks for the shipments nothing is read.
func (r *Resolver) written(ctx context.Context, done []parcel.Registered) ([]*view.Shipment, error) {
	out := make([]*view.Shipment, len(done))
	if !selects(ctx, "results", "shipment") {
		return out, nil
	}
	var ids []string
	var where []int
	for i := range done {
		if done[i].Shipment != nil {
			ids, where = append(ids, done[i].Shipment.ID), append(where, i)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	lens := r.lens(ctx)
	loaded, err := r.Store.Shipments(ctx, lens.Viewer.MerchantID, ids)
	if err != nil {
		return nil, err
	}
	for k, i := range where {
		l := loaded[k]
		if l == nil {
			l = &Loaded{Shipment: done[i].Shipment}
		}
		out[i] = lens.Shipment(view.Look{Shipment: l.Shipment, Trackings: l.Trackings})
	}
	return out, nil
}

// selects tells whether the field being resolved asks for a path of fields.
func selects(ctx context.Context, path ...string) bool {
	fields := graphql.CollectFieldsCtx(ctx, nil)
	op := graphql.GetOperationContext(ctx)
	for {
		var next []graphql.CollectedField
		found := false
		for _, f := range fields {
			if f.Name == path[0] {
				found = true
				next = append(next, graphql.CollectFields(op, f.Selections, nil)...)
			}
		}
		if path, fields = path[1:], next; !found || len(path) == 0 {
			return found
		}
	}
}

// report takes in events.
func (r *Resolver) report(ctx context.Context, in []model.ReportEventInput) (*view.ReportPayload, error) {
	bad := faultsOf(ctx)
	if len(bad.whole) > 0 {
		return &view.ReportPayload{Results: []view.ReportResult{}, UserErrors: view.UserErrors(bad.whole)}, nil
	}
	done := make([]parcel.Reported, len(in))
	var asked []parcel.Report
	var where []int
	for i := range in {
		rep, problems := report(&in[i])
		if len(bad.items[i]) > 0 || refusing(problems) {
			done[i] = parcel.Reported{Outcome: parcel.WriteRefused, Problems: problems}
			continue
		}
		asked, where = append(asked, rep), append(where, i)
	}
	taken, err := r.Ingest.Report(ctx, graph.ViewerFrom(ctx).MerchantID, asked)
	if err != nil {
		return nil, err
	}
	for k, i := range where {
		done[i] = taken[k]
	}
	events, err := r.reported(ctx, done)
	if err != nil {
		return nil, err
	}
	payload := &view.ReportPayload{Results: make([]view.ReportResult, len(in)), UserErrors: []view.UserError{}}
	for i := range done {
		payload.Results[i] = view.NewReportResult(done[i].Outcome, events[i], itemErrors(i, bad.items[i], done[i].Problems))
	}
	return payload, nil
}

// reported shows the events of what was taken in.
func (r *Resolver) reported(ctx context.Context, done []parcel.Reported) ([]*view.TrackingEvent, error) {
	out := make([]*view.TrackingEvent, len(done))
	var ids []string
	place := map[string]int{}
	for i := range done {
		id := done[i].ShipmentID
		if _, known := place[id]; id != "" && !known {
			place[id] = len(ids)
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	lens := r.lens(ctx)
	loaded, err := r.Store.Shipments(ctx, lens.Viewer.MerchantID, ids)
	if err != nil {
		return nil, err
	}
	for i := range done {
		if done[i].ShipmentID == "" {
			continue
		}
		if l := loaded[place[done[i].ShipmentID]]; l != nil {
			s := lens.Shipment(view.Look{Shipment: l.Shipment, Trackings: l.Trackings})
			if e, ok := s.EventByID(done[i].EventID); ok {
				out[i] = &e
			}
		}
	}
	return out, nil
}

// retract withdraws an event.
func (r *Resolver) retract(ctx context.Context, in model.RetractEventInput) (*view.RetractPayload, error) {
	refused := func(problems []*parcel.InputError, under ...string) (*view.RetractPayload, error) {
		return view.NewRetractPayload(nil, view.UserErrors(problems, under...)), nil
	}
	if bad := graph.FaultsOf(ctx); len(bad) > 0 {
		return refused(bad)
	}
	key, err := graph.ParseIDOf(graph.TypeEvent, in.Event)
	if err != nil {
		return refused([]*parcel.InputError{parcel.Invalidf(parcel.FaultNotFound, "event", "there is no such event")}, "input")
	}
	if in.Kind == parcel.RetractionByCarrier {
		return refused([]*parcel.InputError{parcel.Invalidf(parcel.FaultMalformed, "kind", "only the carrier itself gives BY_CARRIER")}, "input")
	}
	c := parcel.Correction{EventID: key, Kind: in.Kind, Reason: value(in.Reason)}
	if in.ReplaceWith != nil {
		rep, problems := report(in.ReplaceWith)
		if refusing(problems) {
			return refused(problems, "input", "replaceWith")
		}
		c.ReplaceWith = &rep
	}
	done, err := r.Ingest.Retract(ctx, graph.ViewerFrom(ctx).MerchantID, c)
	if err != nil {
		return nil, err
	}
	if done.Outcome == parcel.WriteRefused {
		return refused(done.Problems, "input")
	}
	events, err := r.reported(ctx, []parcel.Reported{done})
	if err != nil {
		return nil, err
	}
	return view.NewRetractPayload(events[0], view.UserErrors(done.Problems, "input")), nil
}

// changeNumber gives a leg another number or carrier.
func (r *Resolver) changeNumber(ctx context.Context, in model.ChangeTrackingNumberInput) (*view.ChangeNumberPayload, error) {
	refused := func(problems []*parcel.InputError, under ...string) (*view.ChangeNumberPayload, error) {
		return view.NewChangeNumberPayload(nil, view.UserErrors(problems, under...)), nil
	}
	if bad := graph.FaultsOf(ctx); len(bad) > 0 {
		return refused(bad)
	}
	key, err := graph.ParseIDOf(graph.TypeLeg, in.Leg)
	shipmentID, legKey, ok := graph.ShipmentOf(key)
	if err != nil || !ok {
		return refused([]*parcel.InputError{parcel.Invalidf(parcel.FaultNotFound, "leg", "there is no such leg")}, "input")
	}
	lens := r.lens(ctx)
	done, legNow, err := r.Ingest.ChangeNumber(ctx, lens.Viewer.MerchantID, parcel.NumberChange{
		ShipmentID: shipmentID, LegKey: legKey, Carrier: value(in.Carrier), Number: value(in.TrackingNumber),
	})
	if err != nil {
		return nil, err
	}
	if done.Outcome == parcel.WriteRefused {
		return refused(done.Problems, "input")
	}
	errs := view.UserErrors(done.Problems, "input")
	s, err := r.shipmentByID(ctx, lens, shipmentID, patience{})
	if err != nil || s == nil {
		return view.NewChangeNumberPayload(nil, errs), err
	}
	leg, ok := s.LegByKey(legNow)
	if !ok {
		return view.NewChangeNumberPayload(nil, errs), nil
	}
	return view.NewChangeNumberPayload(&leg, errs), nil
}

// renew asks carriers about a shipment now.
func (r *Resolver) renew(ctx context.Context, in model.RefreshShipmentInput) (*view.RefreshPayload, error) {
	if bad := graph.FaultsOf(ctx); len(bad) > 0 {
		return &view.RefreshPayload{UserErrors: view.UserErrors(bad)}, nil
	}
	key, err := graph.ParseIDOf(graph.TypeShipment, in.Shipment)
	var s *view.Shipment
	if err == nil {
		p := patience{force: true}
		if in.WaitMs != nil {
			p.wait = milliseconds(*in.WaitMs)
		}
		if s, err = r.shipmentByID(ctx, r.lens(ctx), key, p); err != nil {
			return nil, err
		}
	}
	if s == nil {
		return &view.RefreshPayload{UserErrors: view.UserErrors([]*parcel.InputError{
			parcel.Invalidf(parcel.FaultNotFound, "shipment", "there is no such shipment")}, "input")}, nil
	}
	return &view.RefreshPayload{Shipment: s, UserErrors: []view.UserError{}}, nil
}
