package resolvers

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/model"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// underPath puts an InputError under a place of the input; other errors stay as
// they are.
func underPath(err error, path ...string) error {
	var e *parcel.InputError
	if errors.As(err, &e) {
		return e.Under(path...)
	}
	return err
}

// keysOf reads global ids of one type.
func keysOf(typ string, ids []string, path ...string) ([]string, error) {
	out := make([]string, len(ids))
	for i, id := range ids {
		key, err := graph.ParseIDOf(typ, id)
		if err != nil {
			return nil, underPath(err, append(path, strconv.Itoa(i))...)
		}
		out[i] = key
	}
	return out, nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func lanes(in []model.LaneInput) []parcel.Lane {
	out := make([]parcel.Lane, len(in))
	for i, l := range in {
		out[i] = parcel.Lane{Origin: value(l.Origin), Destination: value(l.Destination)}
	}
	return out
}

func timeRange(in *model.TimeRangeInput) TimeRange {
	if in == nil {
		return TimeRange{}
	}
	return TimeRange{From: value(in.From), To: value(in.To)}
}

// emptied tells whether a list was given that allows nothing: "any of none".
func emptied[T any](lists ...[]T) bool {
	return slices.ContainsFunc(lists, func(l []T) bool { return l != nil && len(l) == 0 })
}

// shipmentFilter translates a filter; nothing is true for one that no shipment
// can pass.
func shipmentFilter(in *model.ShipmentFilter, merchantID string, now time.Time) (f ShipmentFilter, nothing bool, err error) {
	if in == nil {
		return ShipmentFilter{}, false, nil
	}
	f = ShipmentFilter{
		References: in.References, Orders: in.Orders, Search: strings.TrimSpace(value(in.Search)), Tags: in.Tags, Carriers: in.Carriers,
		Lanes: lanes(in.Lanes), Destinations: in.Destinations, Stages: in.Stages, Milestones: in.Milestones,
		Open: in.Open, Outcomes: in.Outcomes, Goods: in.Goods, Exceptions: in.OpenExceptions,
		AnyException: in.OpenExceptions != nil && len(in.OpenExceptions) == 0,
		Registered:   timeRange(in.Registered), Updated: timeRange(in.Updated), Delivered: timeRange(in.Delivered),
	}
	if f.IDs, err = keysOf(graph.TypeShipment, in.Ids, "filter", "ids"); err != nil {
		return f, false, err
	}
	routes, err := keysOf(graph.TypeRoute, in.Routes, "filter", "routes")
	if err != nil {
		return f, false, err
	}
	for _, key := range routes {
		// Another's route is planned for none of the merchant's shipments.
		if owner, code, _ := graph.ShipmentOf(key); owner == merchantID {
			f.Routes = append(f.Routes, code)
		}
	}
	for _, n := range in.TrackingNumbers {
		f.Numbers = append(f.Numbers, parcel.NormalizeNumber(n))
	}
	if in.PromisedFor != nil {
		f.PromisedFrom, f.PromisedTo = value(in.PromisedFor.From), value(in.PromisedFor.To)
	}
	if in.SilentHoursAtLeast != nil {
		f.LastEventBefore = now.Add(-time.Duration(*in.SilentHoursAtLeast) * time.Hour)
	}
	if in.DwellHoursAtLeast != nil {
		f.LegStartedBefore = now.Add(-time.Duration(*in.DwellHoursAtLeast) * time.Hour)
	}
	nothing = emptied(in.Ids, in.References, in.Orders, in.TrackingNumbers, in.Tags, in.Carriers, in.Routes) ||
		emptied(in.Lanes) || emptied(in.Destinations) || emptied(in.Stages) || emptied(in.Milestones) || emptied(in.Outcomes) ||
		in.Routes != nil && len(f.Routes) == 0
	return f, nothing, nil
}

func shipmentOrder(in *model.ShipmentOrder) ShipmentOrder {
	if in == nil {
		return ShipmentOrder{Field: string(model.ShipmentOrderFieldRegisteredAt), Descending: true}
	}
	return ShipmentOrder{Field: string(in.Field), Descending: in.Direction == view.Descending}
}

// changeFilter translates a filter; nothing is true for one that no row can
// pass.
func changeFilter(in *model.ChangeFilter) (f ChangeFilter, nothing bool, err error) {
	if in == nil {
		return ChangeFilter{}, false, nil
	}
	f = ChangeFilter{
		Kinds: in.Kinds, Milestones: in.Milestones, Exceptions: in.Exceptions, SeverityAtLeast: value(in.SeverityAtLeast),
		Orders: in.Orders, Tags: in.Tags, Carriers: in.Carriers, Lanes: lanes(in.Lanes),
	}
	f.ShipmentIDs, err = keysOf(graph.TypeShipment, in.Shipments, "filter", "shipments")
	nothing = emptied(in.Shipments, in.Orders, in.Tags, in.Carriers) || emptied(in.Kinds) || emptied(in.Lanes)
	return f, nothing, err
}
