package resolvers

import (
	"context"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// wanted is a thing asked for by its global id.
type wanted struct{ typ, key, shipment, rest string }

// nodes finds things by global id, in the order asked, with nil for what does
// not exist or is not the viewer's. However many, it reads each kind once.
func (r *Resolver) nodes(ctx context.Context, ids []string) ([]view.Node, error) {
	lens := r.lens(ctx)
	out := make([]view.Node, len(ids))
	asked := make([]wanted, len(ids))
	var events []string
	for i, id := range ids {
		typ, key, err := graph.ParseID(id)
		if err != nil {
			continue // there is no such thing
		}
		w := wanted{typ: typ, key: key}
		switch typ {
		case graph.TypeShipment:
			w.shipment = key
		case graph.TypeLeg, graph.TypeException:
			w.shipment, w.rest, _ = graph.ShipmentOf(key)
		case graph.TypeEvent:
			events = append(events, key)
		}
		asked[i] = w
	}
	if err := r.shipmentNodes(ctx, lens, asked, events, out); err != nil {
		return nil, err
	}
	for i, w := range asked {
		n, err := r.otherNode(ctx, lens, w)
		if err != nil {
			return nil, err
		}
		if n != nil {
			out[i] = n
		}
	}
	return out, nil
}

// shipmentNodes fills in shipments and what belongs to them.
func (r *Resolver) shipmentNodes(ctx context.Context, lens *view.Lens, asked []wanted, events []string, out []view.Node) error {
	merchant := lens.Viewer.MerchantID
	if !lens.Viewer.May(graph.ShipmentsRead, merchant) {
		return nil
	}
	if len(events) > 0 {
		shipmentOf, err := r.Store.EventShipments(ctx, merchant, events)
		if err != nil {
			return err
		}
		for i := range asked {
			if asked[i].typ == graph.TypeEvent {
				asked[i].shipment, asked[i].rest = shipmentOf[asked[i].key], asked[i].key
			}
		}
	}
	var ids []string
	place := map[string]int{}
	for _, w := range asked {
		if _, known := place[w.shipment]; w.shipment != "" && !known {
			place[w.shipment] = len(ids)
			ids = append(ids, w.shipment)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	loaded, err := r.Store.Shipments(ctx, merchant, ids)
	if err != nil {
		return err
	}
	shown, err := r.show(ctx, lens, loaded, patience{}, nil)
	if err != nil {
		return err
	}
	for i, w := range asked {
		if w.shipment == "" {
			continue
		}
		if s := shown[place[w.shipment]]; s != nil {
			out[i] = within(s, w)
		}
	}
	return nil
}

// within finds a thing in its shipment.
func within(s *view.Shipment, w wanted) view.Node {
	switch w.typ {
	case graph.TypeShipment:
		return s
	case graph.TypeLeg:
		if l, ok := s.LegByKey(w.rest); ok {
			return l
		}
	case graph.TypeEvent:
		if e, ok := s.EventByID(w.rest); ok {
			return e
		}
	case graph.TypeException:
		if x, ok := s.ExceptionByKey(w.rest); ok {
			return x
		}
	}
	return nil
}

// otherNode finds a thing that belongs to no shipment.
func (r *Resolver) otherNode(ctx context.Context, lens *view.Lens, w wanted) (view.Node, error) {
	switch w.typ {
	case graph.TypeCarrier:
		if c, ok := r.carriers.Get(w.key); ok {
			return c, nil
		}
	case graph.TypeMerchant:
		if w.key == lens.Viewer.MerchantID && w.key != "" {
			return nodeOrNil(r.request(ctx).merchant(ctx, w.key))
		}
	case graph.TypeRoute:
		merchant, code, ok := graph.ShipmentOf(w.key)
		if ok && lens.Viewer.May(graph.RoutesRead, merchant) {
			return nodeOrNil(r.route(ctx, lens, merchant, code))
		}
	}
	return nil, nil
}

// nodeOrNil keeps a nil pointer from becoming a node that is not nil.
func nodeOrNil[T any, P interface {
	*T
	view.Node
}](v P, err error) (view.Node, error) {
	if v == nil || err != nil {
		return nil, err
	}
	return v, nil
}

// shipmentByID reads one of the viewer's own shipments; nil if there is none.
func (r *Resolver) shipmentByID(ctx context.Context, lens *view.Lens, id string, p patience) (*view.Shipment, error) {
	loaded, err := r.Store.Shipments(ctx, lens.Viewer.MerchantID, []string{id})
	if err != nil {
		return nil, err
	}
	shown, err := r.show(ctx, lens, loaded, p, nil)
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

// one reads a shipment by id or reference: exactly one of the two.
func (r *Resolver) one(ctx context.Context, id, reference *string) (*Loaded, error) {
	merchant := graph.ViewerFrom(ctx).MerchantID
	var loaded []*Loaded
	var err error
	switch {
	case (id == nil) == (reference == nil):
		return nil, parcel.Invalidf(parcel.FaultRequired, "id", "give id or reference, and not both")
	case reference != nil:
		loaded, err = r.Store.ShipmentsByReference(ctx, merchant, []string{*reference})
	default:
		key, bad := graph.ParseIDOf(graph.TypeShipment, *id)
		if bad != nil {
			return nil, underPath(bad, "id")
		}
		loaded, err = r.Store.Shipments(ctx, merchant, []string{key})
	}
	if err != nil || loaded[0] == nil {
		return nil, err
	}
	return loaded[0], nil
}
