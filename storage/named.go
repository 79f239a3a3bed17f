package storage

import (
	"context"
	"database/sql"
)

// ShipmentName is what a merchant calls a shipment.
type ShipmentName struct{ Reference, Order string }

// ShipmentNames reads the names of shipments by id, for readers who need no
// more of them: a few bytes each, not the journey. Those that are not there are
// left out.
func (s *Store) ShipmentNames(ctx context.Context, scope Scope, ids []string) (map[string]ShipmentName, error) {
	if scope.nobody() || len(ids) == 0 {
		return nil, nil
	}
	w := where{s: s, scope: scope}
	w.own()
	w.and("s.id = ANY(?)", list(s, ids))
	out := make(map[string]ShipmentName, len(ids))
	err := s.reading().query(ctx, "shipment names", `SELECT s.id, s.reference, s.order_ref FROM shipments s WHERE `+w.text(), func(rows *sql.Rows) error {
		var id string
		var n ShipmentName
		err := rows.Scan(&id, &n.Reference, &n.Order)
		out[id] = n
		return err
	}, w.args...)
	return out, err
}
