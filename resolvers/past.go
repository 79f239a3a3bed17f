package resolvers

import (
	"context"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// asOf shows a shipment as it was known at a moment gone by: folded from what
// had been received and said by then. It is nil before the registration.
func (r *Resolver) asOf(ctx context.Context, lens *view.Lens, l *Loaded, at time.Time) (*view.Shipment, error) {
	s := *l.Shipment
	if at.Before(s.CreatedAt) {
		return nil, nil
	}
	events, err := r.Store.EventsAsOf(ctx, s.MerchantID, s.ID, at)
	if err != nil {
		return nil, err
	}
	s.Facts.Found = slices.DeleteFunc(slices.Clone(s.Facts.Found), func(n parcel.FoundNumber) bool { return n.At.After(at) })
	s.Facts.Legs = slices.DeleteFunc(slices.Clone(s.Facts.Legs), func(d parcel.DeclaredLeg) bool { return d.DeclaredAt.After(at) })
	s.Facts.Promises = slices.DeleteFunc(slices.Clone(s.Facts.Promises), func(p parcel.Promise) bool { return p.ShownAt.After(at) })
	s.Journey = parcel.Fold(&s, nil, events)
	if s.ChangePosition, s.UpdatedAt, err = r.positionAt(ctx, &s, at); err != nil {
		return nil, err
	}
	var known []parcel.Tracking
	for _, t := range l.Trackings {
		if !t.HeardAt.After(at) {
			known = append(known, t)
		}
	}
	return lens.Shipment(view.Look{Shipment: &s, Trackings: known, Now: at, Past: true}), nil
}

// positionAt is the last row that a shipment had in the change log at a moment,
// and when it was written.
func (r *Resolver) positionAt(ctx context.Context, s *parcel.Shipment, at time.Time) (position int64, changed time.Time, err error) {
	const page = 500
	changed = s.CreatedAt
	for {
		rows, err := r.Store.Changes(ctx, s.MerchantID, position, page, ChangeFilter{ShipmentIDs: []string{s.ID}})
		if err != nil {
			return 0, time.Time{}, err
		}
		for i := range rows {
			if rows[i].LoggedAt.After(at) {
				return position, changed, nil
			}
			position, changed = rows[i].Position, rows[i].LoggedAt
		}
		if len(rows) < page {
			return position, changed, nil
		}
	}
}
