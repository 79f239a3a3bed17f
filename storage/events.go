package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	eventColumns = "merchant_id, shipment_id, key, digest, event_id, carrier, number, received_at, payload_id, doc"
	insertEvents = `INSERT INTO events (merchant_id, shipment_id, key, digest, event_id, carrier, number, occurred_at, received_at, payload_id, doc)
SELECT * FROM {rows} WHERE true ON CONFLICT DO NOTHING`
	insertEventsCols = "merchant_id text, shipment_id text, key text, digest text, event_id text, carrier text, number text, occurred_at bigint, received_at bigint, payload_id text, doc text"

	eventsOfShipment       = `SELECT ` + eventColumns + ` FROM events WHERE merchant_id = ? AND shipment_id = ? AND received_at <= ?`
	eventsOfAnyShipment    = `SELECT ` + eventColumns + ` FROM events WHERE merchant_id = (SELECT merchant_id FROM shipments WHERE id = ?) AND shipment_id = ? AND received_at <= ?`
	merchantEventShipments = `SELECT DISTINCT event_id, shipment_id FROM events WHERE event_id = ANY(?) AND merchant_id = ?`
	eventShipments         = `SELECT DISTINCT event_id, shipment_id FROM events WHERE event_id = ANY(?)`
)

// forever is after every instant that is stored.
const forever = 1<<63 - 1

// AppendEvents adds rows to the event log. A row that is there already (same
// shipment, key and digest) is left as it is, so the same news twice adds
// nothing.
func (tx *Tx) AppendEvents(ctx context.Context, rows []EventRow) error {
	for i := range rows {
		if r := &rows[i]; r.MerchantID == "" || r.ShipmentID == "" || r.EventKey == "" || r.ID == "" {
			return fmt.Errorf("storage: append events: row %d without merchant, shipment, key or id: %w", i, parcel.ErrInvalid)
		}
	}
	_, err := tx.each(ctx, "append events", batch{insertEventsCols, insertEvents}, len(rows), func(i int, row []any) {
		e := &rows[i]
		for k, v := range [...]any{
			e.MerchantID, e.ShipmentID, e.EventKey, e.EventDigest, e.ID, column(e.Carrier), column(e.Number),
			micros(e.Occurred.At), micros(e.ReceivedAt), e.PayloadID, encodeEvent(&e.Event),
		} {
			row[k] = v
		}
	})
	return err
}

// events calls each for every row, in no order: the fold needs none.
func (c session) events(ctx context.Context, op, text string, each func(parcel.Event), args ...any) error {
	var merchant, doc sql.RawBytes
	return c.query(ctx, op, text, func(rows *sql.Rows) error {
		var e parcel.Event
		var received int64
		if err := rows.Scan(&merchant, &e.ShipmentID, &e.EventKey, &e.EventDigest, &e.ID, &e.Carrier, &e.Number, &received, &e.PayloadID, &doc); err != nil {
			return err
		}
		e.ReceivedAt = instant(received)
		if err := decodeEvent(doc, &e); err != nil {
			return fmt.Errorf("event %s of shipment %s: %w", e.ID, e.ShipmentID, err)
		}
		each(e)
		return nil
	}, args...)
}

// EventsOf reads all events of a shipment, in no order.
func (tx *Tx) EventsOf(ctx context.Context, shipmentID string) ([]parcel.Event, error) {
	var out []parcel.Event
	err := tx.events(ctx, "events of shipment", eventsOfAnyShipment, func(e parcel.Event) { out = append(out, e) }, shipmentID, shipmentID, int64(forever))
	return out, err
}

// EventsAsOf reads the events of a shipment that had been received by then, in
// no order: what was known at that time. The error unwraps to
// parcel.ErrNotFound if the scope has no such shipment.
func (s *Store) EventsAsOf(ctx context.Context, scope Scope, shipmentID string, received time.Time) ([]parcel.Event, error) {
	const op = "events as of"
	if scope.nobody() {
		return nil, s.fail(ctx, op, sql.ErrNoRows)
	}
	c := s.reading()
	var out []parcel.Event
	keep := func(e parcel.Event) { out = append(out, e) }
	var err error
	merchant, ok := scope.Merchant()
	if ok {
		err = c.events(ctx, op, eventsOfShipment, keep, merchant, shipmentID, micros(received))
	} else {
		err = c.events(ctx, op, eventsOfAnyShipment, keep, shipmentID, shipmentID, micros(received))
	}
	if err != nil || len(out) > 0 {
		return out, err
	}
	// No event yet is not the same as no shipment.
	var one int
	if ok {
		err = c.row(ctx, op, `SELECT 1 FROM shipments WHERE merchant_id = ? AND id = ?`, []any{merchant, shipmentID}, &one)
	} else {
		err = c.row(ctx, op, `SELECT 1 FROM shipments WHERE id = ?`, []any{shipmentID}, &one)
	}
	return nil, err
}

// EventShipments finds the shipments of events; ids that the scope does not
// have are missing from the result.
func (s *Store) EventShipments(ctx context.Context, scope Scope, eventIDs []string) (map[string]string, error) {
	out := make(map[string]string, len(eventIDs))
	if len(eventIDs) == 0 || scope.nobody() {
		return out, nil
	}
	text, args := eventShipments, []any{list(s, eventIDs)}
	if merchant, ok := scope.Merchant(); ok {
		text, args = merchantEventShipments, append(args, merchant)
	}
	err := s.reading().query(ctx, "event shipments", text, func(rows *sql.Rows) error {
		var event, shipment string
		err := rows.Scan(&event, &shipment)
		out[event] = shipment
		return err
	}, args...)
	return out, err
}
