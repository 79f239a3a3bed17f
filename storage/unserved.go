package storage

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// The index numbers_unserved holds them in this order. A number whose
	// parcels have all ended gets its account and no look: there is nothing to
	// wait for.
	findUnserved = `SELECT n.number,
	EXISTS (SELECT 1 FROM holders h WHERE h.carrier = n.carrier AND h.number = n.number AND h.merchant_id = ?),
	EXISTS (SELECT 1 FROM holders h WHERE h.carrier = n.carrier AND h.number = n.number AND h.merchant_id <> ?),
	EXISTS (SELECT 1 FROM holders h JOIN shipments s ON s.merchant_id = h.merchant_id AND s.id = h.shipment_id
		WHERE h.carrier = n.carrier AND h.number = n.number AND (h.until = 0 OR h.until > ?) AND h.proposed = 0 AND s.open = 1)
FROM numbers n WHERE n.carrier = ? AND n.account = '' AND n.next_at = 0 AND n.watched_at > 0 AND n.number > ?
ORDER BY n.number LIMIT ?`
	// Whoever registered it once more meanwhile has planned it.
	serveNumbers = `UPDATE numbers SET account = v.account, next_at = v.next_at FROM {rows}
WHERE numbers.carrier = v.carrier AND numbers.number = v.number AND numbers.account = '' AND numbers.next_at = 0`
)

// ServeUnserved gives numbers that were registered while no account served their
// carrier to one that does, and plans the first look at those of open shipments.
// It passes ask.Limit numbers and no more; after is where the next look goes on,
// empty at the end. Numbers already served are not looked at, so that asking
// again costs one statement.
func (s *Store) ServeUnserved(ctx context.Context, ask parcel.Unserved) (planned int, after string, err error) {
	const op = "serve numbers"
	if ask.Carrier == "" || ask.Account == "" || ask.At == nil || ask.Limit < 1 {
		return 0, "", fmt.Errorf("storage: %s: no account, times or limit: %w", op, parcel.ErrInvalid)
	}
	var rows []parcel.Tracking
	passed := 0
	err = s.reading().query(ctx, op, findUnserved, func(found *sql.Rows) error {
		var mine, others, open bool
		if err := found.Scan(&after, &mine, &others, &open); err != nil {
			return err
		}
		passed++
		if ask.MerchantID != "" && (!mine || others && ask.Alone) {
			return nil
		}
		t := parcel.Tracking{NumberKey: parcel.NumberKey{Carrier: ask.Carrier, Number: after}, Account: ask.Account}
		if open {
			t.NextAt = ask.At(planned)
			planned++
		}
		rows = append(rows, t)
		return nil
	}, ask.MerchantID, ask.MerchantID, micros(ask.Now), ask.Carrier, ask.After, int64(ask.Limit))
	if err != nil {
		return 0, "", err
	}
	if passed < ask.Limit {
		after = ""
	}
	if len(rows) == 0 {
		return 0, after, nil
	}
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		// In the order in which everybody locks; they were read in it.
		fill := func(i int, row []any) { row[0], row[1] = rows[i].Carrier, rows[i].Number }
		if err := tx.eachRow(ctx, op, batch{keyCols, lockNumbers}, len(rows), fill, func(*sql.Rows) error { return nil }); err != nil {
			return err
		}
		_, err := tx.each(ctx, op, batch{keyCols + ", account text, next_at bigint", serveNumbers}, len(rows), func(i int, row []any) {
			fill(i, row)
			row[2], row[3] = rows[i].Account, micros(rows[i].NextAt)
		})
		return err
	})
	return planned, after, err
}
