package main

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
	"github.com/milepost-gateway/milepost/storage"
)

// reads is the store as the resolvers read it: every read on the account of
// one merchant. Without one it sees nothing.
type reads struct{ *storage.Store }

var _ resolvers.Store = reads{}

func loaded(in []*storage.Loaded) []*resolvers.Loaded {
	out := make([]*resolvers.Loaded, len(in))
	for i, l := range in {
		out[i] = (*resolvers.Loaded)(l)
	}
	return out
}

// Shipments implements [resolvers.Store].
func (r reads) Shipments(ctx context.Context, merchantID string, ids []string) ([]*resolvers.Loaded, error) {
	found, err := r.Store.Shipments(ctx, storage.OfMerchant(merchantID), ids)
	return loaded(found), err
}

// ShipmentsByReference implements [resolvers.Store].
func (r reads) ShipmentsByReference(ctx context.Context, merchantID string, references []string) ([]*resolvers.Loaded, error) {
	found, err := r.Store.ShipmentsByReference(ctx, storage.OfMerchant(merchantID), references)
	return loaded(found), err
}

// ShipmentsByNumber implements [resolvers.Store].
func (r reads) ShipmentsByNumber(ctx context.Context, k resolvers.Knock) ([]*resolvers.Loaded, error) {
	found, err := r.Store.ShipmentsByNumber(ctx, storage.Knock(k))
	return loaded(found), err
}

func shipmentFilter(f resolvers.ShipmentFilter) storage.ShipmentFilter {
	return storage.ShipmentFilter{
		IDs: f.IDs, References: f.References, Orders: f.Orders, Numbers: f.Numbers, Search: f.Search, Tags: f.Tags, Carriers: f.Carriers,
		Lanes: f.Lanes, Destinations: f.Destinations, Routes: f.Routes, Stages: f.Stages, Milestones: f.Milestones, Open: f.Open,
		Outcomes: f.Outcomes, Exceptions: f.Exceptions, AnyException: f.AnyException, Goods: f.Goods,
		PromisedFrom: f.PromisedFrom, PromisedTo: f.PromisedTo,
		Registered: storage.TimeRange(f.Registered), Updated: storage.TimeRange(f.Updated), Delivered: storage.TimeRange(f.Delivered),
		LastEventBefore: f.LastEventBefore, LegStartedBefore: f.LegStartedBefore,
	}
}

func shipmentOrder(o resolvers.ShipmentOrder) storage.ShipmentOrder {
	return storage.ShipmentOrder{Field: storage.OrderField(o.Field), Descending: o.Descending}
}

// ListShipments implements [resolvers.Store].
func (r reads) ListShipments(ctx context.Context, merchantID string, f resolvers.ShipmentFilter, o resolvers.ShipmentOrder, p resolvers.Page) (resolvers.ShipmentPage, error) {
	page, err := r.Store.ListShipments(ctx, storage.OfMerchant(merchantID), shipmentFilter(f), shipmentOrder(o), storage.Page{
		First: p.First, Last: p.Last, After: (*storage.PageKey)(p.After), Before: (*storage.PageKey)(p.Before),
	})
	return resolvers.ShipmentPage{Items: loaded(page.Items), HasNext: page.HasNext, HasPrevious: page.HasPrevious}, err
}

// KeyOf implements [resolvers.Store].
func (reads) KeyOf(o resolvers.ShipmentOrder, s *parcel.Shipment) resolvers.PageKey {
	return resolvers.PageKey(storage.KeyOf(shipmentOrder(o), s))
}

// CountShipments implements [resolvers.Store].
func (r reads) CountShipments(ctx context.Context, merchantID string, f resolvers.ShipmentFilter, most int) (n int, exact bool, err error) {
	return r.Store.CountShipments(ctx, storage.OfMerchant(merchantID), shipmentFilter(f), most)
}

// EventShipments implements [resolvers.Store].
func (r reads) EventShipments(ctx context.Context, merchantID string, eventIDs []string) (map[string]string, error) {
	return r.Store.EventShipments(ctx, storage.OfMerchant(merchantID), eventIDs)
}

// EventsAsOf implements [resolvers.Store].
func (r reads) EventsAsOf(ctx context.Context, merchantID, shipmentID string, received time.Time) ([]parcel.Event, error) {
	return r.Store.EventsAsOf(ctx, storage.OfMerchant(merchantID), shipmentID, received)
}

// Payloads implements [resolvers.Store].
func (r reads) Payloads(ctx context.Context, merchantID string, ids []string) ([]*parcel.Payload, error) {
	return r.Store.Payloads(ctx, storage.OfMerchant(merchantID), ids)
}

// Changes implements [resolvers.Store].
func (r reads) Changes(ctx context.Context, merchantID string, after int64, limit int, f resolvers.ChangeFilter) ([]parcel.Change, error) {
	return r.Store.Changes(ctx, storage.OfMerchant(merchantID), after, limit, storage.ChangeFilter(f))
}

// Merchant implements [resolvers.Store].
func (r reads) Merchant(ctx context.Context, id string) (resolvers.Merchant, error) {
	m, err := r.Store.Merchant(ctx, id)
	return resolvers.Merchant{ID: m.ID, Name: m.Name, DefaultLocale: m.DefaultLocale, TrackPublic: m.TrackPublic, SupportURL: m.SupportURL}, err
}

// Recipients implements [resolvers.Store].
func (r reads) Recipients(ctx context.Context, merchantID string, shipmentIDs []string) (map[string]parcel.RecipientRow, error) {
	return r.Store.Recipients(ctx, storage.OfMerchant(merchantID), shipmentIDs)
}

// Routes implements [resolvers.Store].
func (r reads) Routes(ctx context.Context, merchantID string) ([]resolvers.RouteRow, error) {
	rows, err := r.Store.Routes(ctx, storage.OfMerchant(merchantID))
	out := make([]resolvers.RouteRow, len(rows))
	for i := range rows {
		out[i] = resolvers.RouteRow(rows[i])
	}
	return out, err
}

// PutRoutes implements [resolvers.Store].
func (r reads) PutRoutes(ctx context.Context, rows []resolvers.RouteRow) error {
	in := make([]storage.RouteRow, len(rows))
	for i := range rows {
		in[i] = storage.RouteRow(rows[i])
	}
	return r.Store.PutRoutes(ctx, in)
}

// Cohorts implements [resolvers.Store].
func (r reads) Cohorts(ctx context.Context, merchantID string, f resolvers.CohortFilter) ([]parcel.CohortDelta, error) {
	c, err := r.Store.Scores(ctx, storage.OfMerchant(merchantID), storage.ScoreFilter(f))
	if err != nil {
		return nil, err
	}
	out := make([]parcel.CohortDelta, 0, len(c.Starts)+len(c.Ends)+len(c.Punctuality))
	for _, s := range c.Starts {
		out = append(out, parcel.CohortDelta{CohortKey: s.CohortKey, Started: s.N})
	}
	for _, e := range c.Ends {
		out = append(out, parcel.CohortDelta{CohortKey: e.CohortKey, Age: e.Age, Cause: e.Cause, Ended: e.N})
	}
	for _, p := range c.Punctuality {
		out = append(out, parcel.CohortDelta{CohortKey: p.CohortKey, Due: p.Due, Kept: p.Kept})
	}
	return out, nil
}

// carrierViews shows the carriers of the deployment to the schema.
func carrierViews(cat *catalog) []view.Carrier {
	all := cat.all()
	out := make([]view.Carrier, len(all))
	for i := range all {
		s := &all[i]
		v := view.Carrier{Code: s.Name, Name: s.Title, Home: s.Country, Stages: s.Stages, Page: s.TrackingPage}
		for _, w := range ways(s) {
			switch w {
			case "pull":
				v.Capabilities = append(v.Capabilities, view.CanPull)
				if s.Batch > 1 {
					v.Capabilities = append(v.Capabilities, view.CanBatch)
				}
			case "push":
				v.Capabilities = append(v.Capabilities, view.CanWebhook)
			case "file":
				v.Capabilities = append(v.Capabilities, view.CanFile)
			}
		}
		if s.NextCarrier {
			v.Capabilities = append(v.Capabilities, view.CanNextCarrier)
		}
		for _, p := range s.Products {
			v.Products = append(v.Products, view.Product{
				Code: p.Code, Name: p.Name, ServiceClass: view.ServiceClass(p.Class), Days: p.StatedDays, DeliveryObservable: !p.NoDeliveryScan,
			})
		}
		out[i] = v
	}
	return out
}

// Passings implements [resolvers.Store].
func (r reads) Passings(ctx context.Context, merchantID string, f resolvers.PassingFilter) ([]parcel.PassingDelta, error) {
	return r.Store.Passings(ctx, storage.OfMerchant(merchantID), storage.PassingFilter(f))
}
