package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	shipmentsByID = `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s WHERE s.id = ANY(?)`
	// The merchant leads the key, so its own shipments are found without the
	// index that crosses merchants.
	merchantShipmentsByID = `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s WHERE s.merchant_id = ? AND s.id = ANY(?)`
	// The one shipment of a timeline has a text of its own: for a list of
	// unknown length PostgreSQL makes a new plan at each execution, which costs
	// more than the read.
	merchantShipmentByID         = `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s WHERE s.merchant_id = ? AND s.id = ?`
	merchantShipmentByReference  = `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s WHERE s.merchant_id = ? AND s.reference = ?`
	merchantShipmentsByReference = `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s WHERE s.merchant_id = ? AND s.reference = ANY(?)`
	lockShipments                = `SELECT ` + loadColumns + ` FROM shipments s WHERE s.id = ANY(?) ORDER BY s.id FOR UPDATE`
	idsByReference               = `SELECT reference, id FROM shipments WHERE merchant_id = ? AND reference = ANY(?)`
	// What the knock does not open is left out before the limit: rows that
	// anyone may register must not crowd out the one that is asked for. The
	// asker's own come first for the same reason, then the newest use: a number
	// used again belongs to the later parcel. A number that was registered
	// without a carrier may be any carrier's.
	shipmentsByNumber = `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s
JOIN (SELECT DISTINCT merchant_id, shipment_id FROM holders WHERE number = ? AND (? = '' OR carrier = ? OR carrier = '')) AS held
	ON held.merchant_id = s.merchant_id AND held.shipment_id = s.id
WHERE s.merchant_id = ? OR (s.postcode = ? AND s.postcode <> '')
	OR (? = 1 AND s.merchant_id IN (SELECT m.id FROM merchants m WHERE m.track_public <> 0))
ORDER BY (s.merchant_id = ?) DESC, s.registered_at DESC, s.id LIMIT ?`
	factsByID  = `SELECT id, facts FROM shipments WHERE merchant_id = ANY(?) AND id = ANY(?)`
	eventsByID = `SELECT ` + eventColumns + ` FROM events WHERE merchant_id = ANY(?) AND shipment_id = ANY(?)`
	staleIDs   = `SELECT id FROM shipments WHERE rule_version < ? OR rule_version > ? ORDER BY rule_version, id LIMIT ?`
)

// maxByNumber bounds what the public door looks at: so many parcels of one
// number are a fault, and a candidate list of more helps nobody.
const maxByNumber = 10

// load runs a query of loadColumns and folds again what needs it.
func (c session) load(ctx context.Context, op, text string, without bool, each func(*Loaded), args ...any) error {
	l := loader{c: c, without: without}
	err := c.query(ctx, op, text, func(rows *sql.Rows) error {
		loaded, err := l.scan(rows)
		if err == nil {
			each(loaded)
		}
		return err
	}, args...)
	if err != nil {
		return err
	}
	return l.refresh(ctx, op)
}

// Shipments reads shipments by id with their trackings, in one statement. The
// result has the ids' order and length, nil where the scope has no such
// shipment.
func (s *Store) Shipments(ctx context.Context, scope Scope, ids []string) ([]*Loaded, error) {
	out := make([]*Loaded, len(ids))
	if len(ids) == 0 || scope.nobody() {
		return out, nil
	}
	var loaded []*Loaded
	keep := func(l *Loaded) { loaded = append(loaded, l) }
	var err error
	merchant, ok := scope.Merchant()
	switch {
	case ok && len(ids) == 1:
		err = s.reading().load(ctx, "shipments", merchantShipmentByID, false, keep, merchant, column(ids[0]))
	case ok:
		err = s.reading().load(ctx, "shipments", merchantShipmentsByID, false, keep, merchant, list(s, ids))
	default:
		err = s.reading().load(ctx, "shipments", shipmentsByID, false, keep, list(s, ids))
	}
	if err != nil {
		return nil, err
	}
	inOrder(out, ids, loaded, func(s *parcel.Shipment) string { return s.ID })
	return out, nil
}

// ShipmentsByReference is the same by the merchant's references. A reference
// names a shipment only within a merchant: the deployment's scope gives
// parcel.ErrInvalid.
func (s *Store) ShipmentsByReference(ctx context.Context, scope Scope, references []string) ([]*Loaded, error) {
	out := make([]*Loaded, len(references))
	if len(references) == 0 || scope.nobody() {
		return out, nil
	}
	merchant, ok := scope.Merchant()
	if !ok {
		return nil, fmt.Errorf("storage: shipments by reference: across merchants a reference names no shipment: %w", parcel.ErrInvalid)
	}
	var loaded []*Loaded
	keep := func(l *Loaded) { loaded = append(loaded, l) }
	var err error
	if len(references) == 1 {
		err = s.reading().load(ctx, "shipments by reference", merchantShipmentByReference, false, keep, merchant, column(references[0]))
	} else {
		err = s.reading().load(ctx, "shipments by reference", merchantShipmentsByReference, false, keep, merchant, list(s, columns(references)))
	}
	if err != nil {
		return nil, err
	}
	inOrder(out, references, loaded, func(s *parcel.Shipment) string { return s.Reference })
	return out, nil
}

func inOrder(out []*Loaded, keys []string, loaded []*Loaded, key func(*parcel.Shipment) string) {
	if len(keys) == 1 && len(loaded) == 1 {
		out[0] = loaded[0]
		return
	}
	byKey := make(map[string]*Loaded, len(loaded))
	for _, l := range loaded {
		byKey[key(l.Shipment)] = l
	}
	for i, k := range keys {
		out[i] = byKey[k]
	}
}

// Knock is what someone says at the public door.
type Knock struct {
	// Number is normalised; an empty one opens nothing. Carrier may be empty.
	Number, Carrier string
	// MerchantID is the asker's, whose own shipments open without more; empty
	// for a shopper.
	MerchantID string
	// Asked tells that a postcode was given, be it empty. Then Postcode, as
	// parcel.FoldPostcode makes it, must be the destination's, and an empty one
	// is nobody's. Where none was given, shipments of the merchants open that
	// show theirs by number alone.
	Asked    bool
	Postcode string
}

// ShipmentsByNumber is the public door's: shipments of any merchant to which a
// number is or was registered and which the knock opens, the asker's own first,
// then by registration, newest first, at most 10. Those that it does not open
// neither count nor cost more than a number that nobody registered. How much of
// them may be shown is the caller's to decide.
func (s *Store) ShipmentsByNumber(ctx context.Context, k Knock) ([]*Loaded, error) {
	var out []*Loaded
	if k.Number == "" {
		return nil, nil
	}
	postcode := ""
	if k.Asked {
		postcode = k.Postcode
	}
	carrier := column(k.Carrier)
	err := s.reading().load(ctx, "shipments by number", shipmentsByNumber, false,
		func(l *Loaded) { out = append(out, l) }, column(k.Number), carrier, carrier,
		k.MerchantID, postcode, bit(!k.Asked), k.MerchantID, int64(maxByNumber))
	return out, err
}

// LockShipments reads shipments for change, in the order of their ids, so that
// writers of overlapping sets queue and never deadlock. Ids that do not exist
// are missing from the result. The caller may replace the parts of a shipment
// but must not write into its slices.
func (tx *Tx) LockShipments(ctx context.Context, ids []string) (map[string]*parcel.Shipment, error) {
	out := make(map[string]*parcel.Shipment, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var loaded []*parcel.Shipment
	err := tx.load(ctx, "lock shipments", lockShipments, true, func(l *Loaded) { loaded = append(loaded, l.Shipment) }, list(tx.s, ids))
	if err != nil {
		return nil, err
	}
	if tx.tags == nil {
		tx.tags = make(map[string][]string, len(loaded))
	}
	for _, s := range loaded {
		out[s.ID] = s
		tx.tags[s.ID] = s.Tags
	}
	return out, nil
}

// IDsOfReferences finds shipments by a merchant's references; those that nobody
// has are missing from the result. Nothing is locked, so that all shipments of
// a transaction can be locked in one order. Two transactions that both register
// a reference nobody has yet do not see each other; the later one is run again
// by Update.
func (tx *Tx) IDsOfReferences(ctx context.Context, merchantID string, references []string) (map[string]string, error) {
	out := make(map[string]string, len(references))
	if len(references) == 0 {
		return out, nil
	}
	err := tx.query(ctx, "ids of references", idsByReference, func(rows *sql.Rows) error {
		var reference, id string
		err := rows.Scan(&reference, &id)
		out[reference] = id
		return err
	}, merchantID, list(tx.s, columns(references)))
	return out, err
}

// PutShipments stores shipments: fresh ones that were never stored, and changed
// ones that this transaction has locked. A fresh one whose reference is taken
// gives parcel.ErrConflict, a changed one that does not exist parcel.ErrNotFound.
func (tx *Tx) PutShipments(ctx context.Context, fresh, changed []*parcel.Shipment) error {
	for _, s := range slices.Concat(fresh, changed) {
		if err := storable(s); err != nil {
			return fmt.Errorf("storage: put shipments: %s: %w", s.ID, err)
		}
	}
	// Two writers of the same references wait for each other on the unique
	// index; in one order they cannot deadlock.
	fresh = slices.SortedFunc(slices.Values(fresh), func(a, b *parcel.Shipment) int {
		return cmp.Or(strings.Compare(a.MerchantID, b.MerchantID), strings.Compare(a.Reference, b.Reference))
	})
	var e encoder
	if _, err := tx.each(ctx, "put shipments", batch{putColumns, insertShipments}, len(fresh),
		func(i int, row []any) { putRow(fresh[i], &e, row) }); err != nil {
		return err
	}
	n, err := tx.each(ctx, "put shipments", batch{putColumns, updateShipments}, len(changed),
		func(i int, row []any) { putRow(changed[i], &e, row) })
	if err != nil {
		return err
	}
	if n != int64(len(changed)) {
		return fmt.Errorf("storage: put shipments: %d of %d are stored: %w", n, len(changed), parcel.ErrNotFound)
	}
	return tx.putTags(ctx, fresh, changed)
}

// storable refuses what could be stored but not read again.
func storable(s *parcel.Shipment) error {
	j := &s.Journey
	switch {
	case s.ID == "" || s.MerchantID == "" || s.Reference == "":
		return fmt.Errorf("shipment without id, merchant or reference: %w", parcel.ErrInvalid)
	case j.Latest >= len(j.Events), j.OutcomeEvent >= len(j.Events), j.CurrentLeg >= len(j.Legs), j.Custody.Leg >= len(j.Legs):
		return fmt.Errorf("shipment whose journey was not folded: %w", parcel.ErrInvalid)
	}
	return nil
}

type tagRow struct{ merchant, shipment, tag string }

// putTags writes the tags of fresh shipments and of those whose tags differ
// from what was read.
func (tx *Tx) putTags(ctx context.Context, fresh, changed []*parcel.Shipment) error {
	var gone, come []tagRow
	for _, s := range fresh {
		for _, t := range s.Tags {
			come = append(come, tagRow{s.MerchantID, s.ID, t})
		}
	}
	for _, s := range changed {
		before := tx.tags[s.ID]
		for _, t := range before {
			if !slices.Contains(s.Tags, t) {
				gone = append(gone, tagRow{s.MerchantID, s.ID, t})
			}
		}
		for _, t := range s.Tags {
			if !slices.Contains(before, t) {
				come = append(come, tagRow{s.MerchantID, s.ID, t})
			}
		}
	}
	const cols = "merchant_id text, tag text, shipment_id text"
	fill := func(list []tagRow) func(int, []any) {
		return func(i int, row []any) {
			row[0], row[1], row[2] = list[i].merchant, column(list[i].tag), list[i].shipment
		}
	}
	if _, err := tx.each(ctx, "put tags", batch{cols, `DELETE FROM shipment_tags WHERE (merchant_id, tag, shipment_id) IN (SELECT * FROM {rows})`}, len(gone), fill(gone)); err != nil {
		return err
	}
	_, err := tx.each(ctx, "put tags", batch{cols, `INSERT INTO shipment_tags (merchant_id, tag, shipment_id) SELECT * FROM {rows} WHERE true ON CONFLICT DO NOTHING`}, len(come), fill(come))
	return err
}

// foldAgain makes the state of shipments from their facts and events.
func (c session) foldAgain(ctx context.Context, op string, stale []*parcel.Shipment) error {
	ids, merchants := make([]string, len(stale)), make([]string, len(stale))
	byID := make(map[string]*parcel.Shipment, len(stale))
	for i, s := range stale {
		ids[i], merchants[i], byID[s.ID] = s.ID, s.MerchantID, s
	}
	slices.Sort(merchants)
	merchants = slices.Compact(merchants)
	err := c.query(ctx, op, factsByID, func(rows *sql.Rows) error {
		var id string
		var doc sql.RawBytes
		if err := rows.Scan(&id, &doc); err != nil {
			return err
		}
		s := byID[id]
		s.Facts, s.Journey = parcel.Facts{}, parcel.Journey{}
		if err := json.Unmarshal(doc, &s.Facts); err != nil {
			return fmt.Errorf("facts of shipment %s: %w: %w", id, parcel.ErrMalformed, err)
		}
		return nil
	}, list(c.s, merchants), list(c.s, ids))
	if err != nil {
		return err
	}
	events := make(map[string][]parcel.Event, len(stale))
	err = c.events(ctx, op, eventsByID, func(e parcel.Event) { events[e.ShipmentID] = append(events[e.ShipmentID], e) },
		list(c.s, merchants), list(c.s, ids))
	if err != nil {
		return err
	}
	for _, s := range stale {
		s.Journey = parcel.Fold(s, nil, events[s.ID])
	}
	return nil
}

// refoldPage is how many shipments Refold locks at once.
const refoldPage = 100

// Refold folds every shipment whose stored state is of other rules or another
// codec again and stores the result, in short transactions beside ordinary
// traffic. It returns how many there were. The change log hears nothing of it.
// It may be stopped at any time and run again.
func (s *Store) Refold(ctx context.Context) (shipments int, err error) {
	for {
		var n int
		err := s.Update(ctx, func(ctx context.Context, tx *Tx) error {
			var ids []string
			err := tx.query(ctx, "refold", staleIDs, func(rows *sql.Rows) error {
				var id string
				err := rows.Scan(&id)
				ids = append(ids, id)
				return err
			}, stateVersion, stateVersion, int64(refoldPage))
			if err != nil {
				return err
			}
			locked, err := tx.LockShipments(ctx, ids)
			if err != nil {
				return err
			}
			changed := make([]*parcel.Shipment, 0, len(locked))
			for _, id := range ids {
				if s := locked[id]; s != nil {
					changed = append(changed, s)
				}
			}
			n = len(changed)
			return tx.PutShipments(ctx, nil, changed)
		})
		if err != nil {
			return shipments, err
		}
		if n == 0 {
			return shipments, nil
		}
		shipments += n
	}
}
