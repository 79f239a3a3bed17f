package resolvers_test

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
	"github.com/milepost-gateway/milepost/storage"
)

// reads is the store as the resolvers read it, as package main wires it.
type reads struct{ s *storage.Store }

var _ resolvers.Store = reads{}

func loaded(in []*storage.Loaded) []*resolvers.Loaded {
	out := make([]*resolvers.Loaded, len(in))
	for i, l := range in {
		out[i] = (*resolvers.Loaded)(l)
	}
	return out
}

func (st reads) Shipments(ctx context.Context, merchantID string, ids []string) ([]*resolvers.Loaded, error) {
	found, err := st.s.Shipments(ctx, storage.OfMerchant(merchantID), ids)
	return loaded(found), err
}

func (st reads) ShipmentsByReference(ctx context.Context, merchantID string, references []string) ([]*resolvers.Loaded, error) {
	found, err := st.s.ShipmentsByReference(ctx, storage.OfMerchant(merchantID), references)
	return loaded(found), err
}

func (st reads) ShipmentsByNumber(ctx context.Context, k resolvers.Knock) ([]*resolvers.Loaded, error) {
	found, err := st.s.ShipmentsByNumber(ctx, storage.Knock(k))
	return loaded(found), err
}

func filter(f resolvers.ShipmentFilter) storage.ShipmentFilter {
	return storage.ShipmentFilter{
		IDs: f.IDs, References: f.References, Orders: f.Orders, Numbers: f.Numbers, Search: f.Search, Tags: f.Tags,
		Carriers: f.Carriers, Lanes: f.Lanes, Destinations: f.Destinations, Routes: f.Routes, Stages: f.Stages,
		Milestones: f.Milestones, Open: f.Open, Outcomes: f.Outcomes, Exceptions: f.Exceptions, AnyException: f.AnyException,
		Goods: f.Goods, PromisedFrom: f.PromisedFrom, PromisedTo: f.PromisedTo, Registered: storage.TimeRange(f.Registered),
		Updated: storage.TimeRange(f.Updated), Delivered: storage.TimeRange(f.Delivered),
		LastEventBefore: f.LastEventBefore, LegStartedBefore: f.LegStartedBefore,
	}
}

func order(o resolvers.ShipmentOrder) storage.ShipmentOrder {
	return storage.ShipmentOrder{Field: storage.OrderField(o.Field), Descending: o.Descending}
}

func (st reads) ListShipments(ctx context.Context, merchantID string, f resolvers.ShipmentFilter, o resolvers.ShipmentOrder, p resolvers.Page) (resolvers.ShipmentPage, error) {
	page, err := st.s.ListShipments(ctx, storage.OfMerchant(merchantID), filter(f), order(o), storage.Page{
		First: p.First, Last: p.Last, After: (*storage.PageKey)(p.After), Before: (*storage.PageKey)(p.Before),
	})
	return resolvers.ShipmentPage{Items: loaded(page.Items), HasNext: page.HasNext, HasPrevious: page.HasPrevious}, err
}

func (st reads) KeyOf(o resolvers.ShipmentOrder, s *parcel.Shipment) resolvers.PageKey {
	return resolvers.PageKey(storage.KeyOf(order(o), s))
}

func (st reads) CountShipments(ctx context.Context, merchantID string, f resolvers.ShipmentFilter, most int) (int, bool, error) {
	return st.s.CountShipments(ctx, storage.OfMerchant(merchantID), filter(f), most)
}

func (st reads) EventShipments(ctx context.Context, merchantID string, eventIDs []string) (map[string]string, error) {
	return st.s.EventShipments(ctx, storage.OfMerchant(merchantID), eventIDs)
}

func (st reads) EventsAsOf(ctx context.Context, merchantID, shipmentID string, received time.Time) ([]parcel.Event, error) {
	return st.s.EventsAsOf(ctx, storage.OfMerchant(merchantID), shipmentID, received)
}

func (st reads) Payloads(ctx context.Context, merchantID string, ids []string) ([]*parcel.Payload, error) {
	return st.s.Payloads(ctx, storage.OfMerchant(merchantID), ids)
}

func (st reads) Changes(ctx context.Context, merchantID string, after int64, limit int, f resolvers.ChangeFilter) ([]parcel.Change, error) {
	return st.s.Changes(ctx, storage.OfMerchant(merchantID), after, limit, storage.ChangeFilter(f))
}

func (st reads) LogBounds(ctx context.Context) (oldest, head int64, err error) {
	return st.s.LogBounds(ctx)
}

func (st reads) Merchant(ctx context.Context, id string) (resolvers.Merchant, error) {
	m, err := st.s.Merchant(ctx, id)
	return resolvers.Merchant{ID: m.ID, Name: m.Name, DefaultLocale: m.DefaultLocale, TrackPublic: m.TrackPublic, SupportURL: m.SupportURL}, err
}

func (st reads) Recipients(ctx context.Context, merchantID string, shipmentIDs []string) (map[string]parcel.RecipientRow, error) {
	return st.s.Recipients(ctx, storage.OfMerchant(merchantID), shipmentIDs)
}

func (st reads) Routes(ctx context.Context, merchantID string) ([]resolvers.RouteRow, error) {
	rows, err := st.s.Routes(ctx, storage.OfMerchant(merchantID))
	out := make([]resolvers.RouteRow, len(rows))
	for i, r := range rows {
		out[i] = resolvers.RouteRow(r)
	}
	return out, err
}

func (st reads) PutRoutes(ctx context.Context, rows []resolvers.RouteRow) error {
	in := make([]storage.RouteRow, len(rows))
	for i, r := range rows {
		in[i] = storage.RouteRow(r)
	}
	return st.s.PutRoutes(ctx, in)
}

func (st reads) Cohorts(ctx context.Context, merchantID string, f resolvers.CohortFilter) ([]parcel.CohortDelta, error) {
	c, err := st.s.Scores(ctx, storage.OfMerchant(merchantID), storage.ScoreFilter(f))
	out := make([]parcel.CohortDelta, 0, len(c.Starts)+len(c.Ends))
	for _, s := range c.Starts {
		out = append(out, parcel.CohortDelta{CohortKey: s.CohortKey, Started: s.N})
	}
	for _, e := range c.Ends {
		out = append(out, parcel.CohortDelta{CohortKey: e.CohortKey, Ended: e.N, Age: e.Age, Cause: e.Cause})
	}
	return out, err
}

func (st reads) Passings(ctx context.Context, merchantID string, f resolvers.PassingFilter) ([]parcel.PassingDelta, error) {
	return st.s.Passings(ctx, storage.OfMerchant(merchantID), storage.PassingFilter(f))
}

func (st reads) Unmapped(ctx context.Context, carrier string, limit int) ([]parcel.Unmapped, error) {
	return st.s.Unmapped(ctx, carrier, limit)
}
