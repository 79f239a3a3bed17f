package resolvers

import (
	"context"

	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// maxCount is where counting stops.
const maxCount = 10_000

// listing is a list of a merchant's shipments.
type listing struct {
	filter  ShipmentFilter
	nothing bool
	order   ShipmentOrder
	view.PageArgs
	// length where the asker names none.
	length int
	patience
}

// list reads a page. Its cursors name a place in an order, so that they hold
// under any filter.
func (r *Resolver) list(ctx context.Context, lens *view.Lens, merchantID string, q listing) (*view.Connection, error) {
	n, fromEnd, err := q.Bound(q.length)
	if err != nil {
		return nil, err
	}
	name := "shipments by " + q.order.Field
	page := Page{First: n}
	if fromEnd {
		page = Page{Last: n}
	}
	if page.After, err = r.openPlace(name, q.After, "after"); err != nil {
		return nil, err
	}
	if page.Before, err = r.openPlace(name, q.Before, "before"); err != nil {
		return nil, err
	}
	var read ShipmentPage
	if n > 0 && !q.nothing {
		if read, err = r.Store.ListShipments(ctx, merchantID, q.filter, q.order, page); err != nil {
			return nil, err
		}
	}
	shown, err := r.show(ctx, lens, read.Items, q.patience, nil)
	if err != nil {
		return nil, err
	}
	cursorOf := func(s *view.Shipment) string {
		key := r.Store.KeyOf(q.order, s.Stored())
		return r.cursors.SealFields(name, key.Value, key.ID)
	}
	count := func(ctx context.Context) (view.Count, error) {
		if q.nothing {
			return view.Count{Exact: true}, nil
		}
		n, exact, err := r.Store.CountShipments(ctx, merchantID, q.filter, maxCount)
		return view.Count{Value: n, Exact: exact}, err
	}
	return view.NewConnection(shown, read.HasNext, read.HasPrevious, cursorOf, count), nil
}

func (r *Resolver) openPlace(list string, cursor *string, name string) (*PageKey, error) {
	if cursor == nil {
		return nil, nil
	}
	fields, err := r.cursors.OpenFields(list, *cursor, 2)
	if err != nil {
		return nil, parcel.Invalidf(parcel.FaultMalformed, name, "not a cursor of this list in this order")
	}
	return &PageKey{Value: fields[0], ID: fields[1]}, nil
}
