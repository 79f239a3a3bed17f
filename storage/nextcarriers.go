package storage

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	handoverCols = "merchant_id text, origin text, destination text, carrier text, next_carrier text, same_number bigint, gap_days bigint, n bigint"
	addHandovers = `INSERT INTO next_carriers (merchant_id, origin, destination, carrier, next_carrier, same_number, gap_days, n) SELECT * FROM {rows} WHERE true
ON CONFLICT (origin, destination, carrier, merchant_id, next_carrier, same_number, gap_days) DO UPDATE SET n = next_carriers.n + excluded.n`

	onLane       = ` FROM next_carriers h WHERE h.origin = ? AND h.destination = ? AND h.carrier = ? AND h.n > 0`
	ownHandovers = `SELECT h.next_carrier, h.same_number, h.gap_days, h.n, 1` + onLane + ` AND h.merchant_id = ?`
	// The pool holds no merchant apart, and a carrier only where parcels of
	// several merchants went to it.
	allHandovers = `SELECT h.next_carrier, h.same_number, h.gap_days, sum(h.n), m.merchants FROM next_carriers h
JOIN (SELECT h.next_carrier AS next_carrier, count(DISTINCT h.merchant_id) AS merchants` + onLane + ` GROUP BY h.next_carrier HAVING count(DISTINCT h.merchant_id) >= ?) AS m
	ON m.next_carrier = h.next_carrier
WHERE h.origin = ? AND h.destination = ? AND h.carrier = ? AND h.n > 0
GROUP BY h.next_carrier, h.same_number, h.gap_days, m.merchants`
)

// AddHandovers adds deltas to the counts of who came after whom. Deltas of one
// key are summed first, and rows are touched in one order, so that concurrent
// writers do not deadlock.
func (tx *Tx) AddHandovers(ctx context.Context, deltas []parcel.HandoverDelta) error {
	const op = "add handovers"
	n := map[parcel.HandoverKey]int{}
	for i := range deltas {
		d := &deltas[i]
		if d.MerchantID == "" || d.Carrier == "" || d.Next == "" || d.GapDays < 0 || d.GapDays > parcel.MaxGapDays {
			return fmt.Errorf("storage: %s: delta %d without merchant or carriers, or with %d days: %w", op, i, d.GapDays, parcel.ErrInvalid)
		}
		n[d.HandoverKey] += d.N
	}
	keys := sortedKeys(n, func(n int) bool { return n != 0 }, parcel.HandoverKey.Compare)
	_, err := tx.each(ctx, op, batch{handoverCols, addHandovers}, len(keys), func(i int, row []any) {
		k := &keys[i]
		row[0], row[1], row[2], row[3], row[4] = k.MerchantID, string(k.Lane.Origin), string(k.Lane.Destination), k.Carrier, k.Next
		row[5], row[6], row[7] = bit(k.SameNumber), int64(k.GapDays), int64(n[*k])
	})
	return err
}

// Handovers counts who took on from a carrier on a lane: of one merchant's
// parcels, or for an empty merchant of all, where at least merchants of them
// had parcels go to the same carrier.
func (tx *Tx) Handovers(ctx context.Context, merchantID string, lane parcel.Lane, carrier string, merchants int) ([]parcel.HandoverCount, error) {
	on := []any{string(lane.Origin), string(lane.Destination), carrier}
	text, args := ownHandovers, append(on[:3:3], merchantID)
	if merchantID == "" {
		text, args = allHandovers, append(append(on[:3:3], int64(merchants)), on...)
	}
	var out []parcel.HandoverCount
	err := tx.query(ctx, "handovers", text, func(rows *sql.Rows) error {
		var c parcel.HandoverCount
		var same int64
		err := rows.Scan(&c.Next, &same, &c.GapDays, &c.N, &c.Merchants)
		c.SameNumber = same != 0
		out = append(out, c)
		return err
	}, args...)
	return out, err
}
