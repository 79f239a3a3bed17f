package storage

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	passingNames = "merchant_id, origin, destination, from_stage, from_carrier, to_stage, to_carrier, day, hours, cause"
	passingCols  = "merchant_id text, origin text, destination text, from_stage text, from_carrier text, to_stage text, to_carrier text, day text, " +
		"hours bigint, cause text, n bigint, renumbered bigint, unseen bigint, damaged bigint"
	addPassings = `INSERT INTO passings (` + passingNames + `, n, renumbered, unseen, damaged) SELECT * FROM {rows} WHERE true
ON CONFLICT (` + passingNames + `) DO UPDATE SET n = passings.n + excluded.n, renumbered = passings.renumbered + excluded.renumbered,
unseen = passings.unseen + excluded.unseen, damaged = passings.damaged + excluded.damaged`
	readPassings = `SELECT ` + passingNames + `, n, renumbered, unseen, damaged FROM passings s WHERE `
)

func comparePassings(k, o PassingKey) int {
	return cmp.Or(strings.Compare(k.MerchantID, o.MerchantID), strings.Compare(string(k.Lane.Origin), string(o.Lane.Origin)),
		strings.Compare(string(k.Lane.Destination), string(o.Lane.Destination)), strings.Compare(string(k.FromStage), string(o.FromStage)),
		strings.Compare(k.FromCarrier, o.FromCarrier), strings.Compare(string(k.ToStage), string(o.ToStage)), strings.Compare(k.ToCarrier, o.ToCarrier),
		strings.Compare(k.Day, o.Day), cmp.Compare(k.Hours, o.Hours), strings.Compare(string(k.End), string(o.End)))
}

// AddPassings adds deltas to the counters of handovers. Deltas of one key are
// summed first, and rows are touched in one order, so that concurrent writers do
// not deadlock.
func (tx *Tx) AddPassings(ctx context.Context, deltas []PassingDelta) error {
	const op = "add passings"
	type counts struct{ n, renumbered, unseen, damaged int }
	sums := map[PassingKey]counts{}
	for i := range deltas {
		d := &deltas[i]
		if d.MerchantID == "" || d.Day == "" || d.Hours < 0 || d.End == "" && d.Hours != 0 {
			return fmt.Errorf("storage: %s: delta %d without merchant or day, or with a gap that cannot be: %w", op, i, parcel.ErrInvalid)
		}
		c := sums[d.PassingKey]
		sums[d.PassingKey] = counts{c.n + d.N, c.renumbered + d.Renumbered, c.unseen + d.Unseen, c.damaged + d.Damaged}
	}
	keys := sortedKeys(sums, func(c counts) bool { return c != counts{} }, comparePassings)
	_, err := tx.each(ctx, op, batch{passingCols, addPassings}, len(keys), func(i int, row []any) {
		k, c := &keys[i], sums[keys[i]]
		row[0], row[1], row[2] = k.MerchantID, string(k.Lane.Origin), string(k.Lane.Destination)
		row[3], row[4], row[5], row[6] = string(k.FromStage), k.FromCarrier, string(k.ToStage), k.ToCarrier
		row[7], row[8], row[9] = k.Day, int64(k.Hours), string(k.End)
		row[10], row[11], row[12], row[13] = int64(c.n), int64(c.renumbered), int64(c.unseen), int64(c.damaged)
	})
	return err
}

// Passings reads the counters of handovers of a scope, in order of their keys.
// Their number depends on parties, days and gaps, not on the number of parcels
// but for small scopes.
func (s *Store) Passings(ctx context.Context, scope Scope, f PassingFilter) ([]PassingDelta, error) {
	if scope.nobody() {
		return nil, nil
	}
	w := where{s: s, scope: scope}
	w.own()
	anyOf(&w, "s.from_carrier", f.FromCarriers)
	anyOf(&w, "s.to_carrier", f.ToCarriers)
	anyOf(&w, "s.destination", f.Destinations)
	w.lanes(f.Lanes)
	if f.From != "" {
		w.and("s.day >= ?", f.From)
	}
	if f.To != "" {
		w.and("s.day <= ?", f.To)
	}
	var out []PassingDelta
	err := s.reading().query(ctx, "passings", readPassings+w.text()+" AND n <> 0 ORDER BY "+passingNames, func(rows *sql.Rows) error {
		var d PassingDelta
		err := rows.Scan(&d.MerchantID, &d.Lane.Origin, &d.Lane.Destination, &d.FromStage, &d.FromCarrier, &d.ToStage, &d.ToCarrier,
			&d.Day, &d.Hours, &d.End, &d.N, &d.Renumbered, &d.Unseen, &d.Damaged)
		out = append(out, d)
		return err
	}, w.args...)
	return out, err
}
