package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	changeCols = "position bigint, merchant_id text, shipment_id text, kind text, milestone bigint, exception text, severity bigint, logged_at bigint, doc text"
	// The head's row is locked from here to the commit: whoever comes next
	// gets higher positions and commits later.
	takePositions = `UPDATE log_head SET position = position + ? WHERE one = 1 RETURNING position`
	insertChanges = `INSERT INTO changes (position, merchant_id, shipment_id, kind, milestone, exception, severity, logged_at, doc) SELECT * FROM {rows}`
	// What is held together with the head should be short: on PostgreSQL one
	// statement takes the positions, writes the rows and marks the shipments.
	appendChangesPostgres = `WITH head AS (UPDATE log_head SET position = position + ? WHERE one = 1 RETURNING position),
rows AS (SELECT v.*, head.position - ? + v.ordinal AS position FROM head, unnest(?::text[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::text[])
	WITH ORDINALITY AS v(merchant_id, shipment_id, kind, milestone, exception, severity, logged_at, doc, ordinal)),
logged AS (INSERT INTO changes (position, merchant_id, shipment_id, kind, milestone, exception, severity, logged_at, doc)
	SELECT position, merchant_id, shipment_id, kind, milestone, exception, severity, logged_at, doc FROM rows),
marked AS (UPDATE shipments SET change_position = r.position FROM (SELECT merchant_id, shipment_id, max(position) AS position FROM rows GROUP BY merchant_id, shipment_id) AS r
	WHERE shipments.merchant_id = r.merchant_id AND shipments.id = r.shipment_id)
SELECT position FROM head, pg_notify('` + logChannel + `', head.position::text)`
	markShipments = `UPDATE shipments SET change_position = v.position FROM {rows} WHERE shipments.merchant_id = v.merchant_id AND shipments.id = v.id`

	changeColumns = "s.position, s.merchant_id, s.shipment_id, s.kind, s.logged_at, s.doc"
	logBounds     = `SELECT pruned + 1, position FROM log_head WHERE one = 1`
)

// maxChanges bounds what Changes reads at once.
const maxChanges = 10_000

// AppendChanges adds rows to the change log and sets their positions, which
// follow each other in the order given. It is the last thing a transaction
// does: it locks the head of the log until the commit, so that positions are in
// commit order and a reader that has seen a position has seen all below. The
// shipments' change position moves along. It returns the last position, 0
// without changes.
func (tx *Tx) AppendChanges(ctx context.Context, changes []parcel.Change) (last int64, err error) {
	const op = "append changes"
	n := len(changes)
	if n == 0 {
		return 0, nil
	}
	for i := range changes {
		if c := &changes[i]; c.MerchantID == "" || c.ShipmentID == "" || c.Kind == "" {
			return 0, fmt.Errorf("storage: %s: change %d without merchant, shipment or kind: %w", op, i, parcel.ErrInvalid)
		}
	}
	if tx.s.dialect == PostgreSQL {
		b := batch{cols: changeCols[len("position bigint, "):]}
		args := append([]any{int64(n), int64(n)}, b.arrays(n, func(i int, row []any) { putChange(&changes[i], row) })...)
		err = tx.row(ctx, op, appendChangesPostgres, args, &last)
	} else {
		err = tx.row(ctx, op, takePositions, []any{int64(n)}, &last)
	}
	if err != nil {
		return 0, err
	}
	for i := range changes {
		changes[i].Position = last - int64(n) + int64(i) + 1
	}
	if tx.s.dialect == PostgreSQL {
		return last, nil
	}
	if _, err := tx.each(ctx, op, batch{changeCols, insertChanges}, n, func(i int, row []any) {
		row[0] = changes[i].Position
		putChange(&changes[i], row[1:])
	}); err != nil {
		return 0, err
	}
	// In ascending order: the last mark of a shipment stays.
	_, err = tx.each(ctx, op, batch{"merchant_id text, id text, position bigint", markShipments}, n, func(i int, row []any) {
		row[0], row[1], row[2] = changes[i].MerchantID, changes[i].ShipmentID, changes[i].Position
	})
	return last, err
}

func putChange(c *parcel.Change, row []any) {
	var milestone, severity int64
	exception := ""
	switch c.Kind {
	case parcel.ChangeMilestone:
		milestone = int64(c.To.Rank())
	case parcel.ChangeException:
		exception, severity = string(c.ExceptionKind), int64(c.Severity.Rank())
	}
	row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] =
		c.MerchantID, c.ShipmentID, string(c.Kind), milestone, exception, severity, micros(c.LoggedAt), encodeChange(c)
}

func (w *where) changes(f *ChangeFilter) {
	anyOf(w, "s.kind", f.Kinds)
	if len(f.Milestones) > 0 {
		ranks := make([]int64, len(f.Milestones))
		for i, m := range f.Milestones {
			ranks[i] = int64(m.Rank())
		}
		w.and("(s.kind <> 'MILESTONE' OR s.milestone = ANY(?))", integers(w.s, ranks))
	}
	if len(f.Exceptions) > 0 {
		w.and("(s.kind <> 'EXCEPTION' OR s.exception = ANY(?))", list(w.s, f.Exceptions))
	}
	if f.SeverityAtLeast != "" {
		w.and("(s.kind <> 'EXCEPTION' OR s.severity >= ?)", int64(f.SeverityAtLeast.Rank()))
	}
	anyOf(w, "s.shipment_id", f.ShipmentIDs)
	about := where{s: w.s}
	if len(f.Orders) > 0 {
		about.and("s.order_ref = ANY(?)", list(w.s, columns(f.Orders)))
	}
	if len(f.Tags) > 0 {
		about.and("EXISTS (SELECT 1 FROM shipment_tags t WHERE t.merchant_id = s.merchant_id AND t.shipment_id = s.id AND t.tag = ANY(?))", list(w.s, columns(f.Tags)))
	}
	about.carriers("s.carriers", f.Carriers)
	about.lanes(f.Lanes)
	if len(about.parts) > 0 {
		w.and("EXISTS (SELECT 1 FROM (SELECT * FROM shipments x WHERE x.merchant_id = s.merchant_id AND x.id = s.shipment_id) AS s WHERE "+about.text()+")", about.args...)
	}
}

// Changes reads the change log after a position, in order, at most limit rows
// (1 to 10,000). Fewer rows mean that the log held no more when it was read. A
// reader with a narrow filter that wants its cursor to advance all the same
// takes LogBounds before Changes: where fewer than limit rows come, everything
// up to that head has been seen. A reader that may lie behind what retention
// removed takes LogBounds after Changes: a cursor below oldest-1 has expired.
func (s *Store) Changes(ctx context.Context, scope Scope, after int64, limit int, f ChangeFilter) ([]parcel.Change, error) {
	const op = "changes"
	if limit < 1 || limit > maxChanges {
		return nil, fmt.Errorf("storage: %s: limit %d, want 1 to %d: %w", op, limit, maxChanges, parcel.ErrInvalid)
	}
	if scope.nobody() {
		return nil, nil
	}
	w := where{s: s, scope: scope}
	w.own()
	w.and("s.position > ?", after)
	w.changes(&f)
	var out []parcel.Change
	var doc sql.RawBytes
	err := s.reading().query(ctx, op, `SELECT `+changeColumns+` FROM changes s WHERE `+w.text()+` ORDER BY s.position LIMIT ?`, func(rows *sql.Rows) error {
		var c parcel.Change
		var logged int64
		if err := rows.Scan(&c.Position, &c.MerchantID, &c.ShipmentID, &c.Kind, &logged, &doc); err != nil {
			return err
		}
		c.LoggedAt = instant(logged)
		if err := decodeChange(doc, &c); err != nil {
			return fmt.Errorf("change %d: %w", c.Position, err)
		}
		out = append(out, c)
		return nil
	}, append(w.args, int64(limit))...)
	return out, err
}

// LogBounds tells which positions the log holds: from oldest to head. An empty
// log has a head one below oldest. A cursor below oldest-1 has expired.
func (s *Store) LogBounds(ctx context.Context) (oldest, head int64, err error) {
	err = s.reading().row(ctx, "log bounds", logBounds, nil, &oldest, &head)
	return oldest, head, err
}

// maxPrune bounds what PruneChanges removes at once.
const maxPrune = 10_000

// PruneChanges removes from the beginning of the change log, at most limit rows
// (1 to 10,000), every row before the first that was logged at or after before.
// It returns how many went; fewer than limit mean that no more may go. The head
// is locked for the last statement only: writers hardly notice.
func (s *Store) PruneChanges(ctx context.Context, before time.Time, limit int) (removed int64, err error) {
	const op = "prune changes"
	if limit < 1 || limit > maxPrune {
		return 0, fmt.Errorf("storage: %s: limit %d, want 1 to %d: %w", op, limit, maxPrune, parcel.ErrInvalid)
	}
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		removed = 0
		// In the log's order, up to the first row that stays.
		var upTo int64
		stays := false
		err := tx.query(ctx, op, `SELECT position, logged_at FROM changes ORDER BY position LIMIT ?`, func(rows *sql.Rows) error {
			var position, logged int64
			err := rows.Scan(&position, &logged)
			if stays = stays || logged >= micros(before); !stays {
				upTo = position
			}
			return err
		}, int64(limit))
		if err != nil || upTo == 0 {
			return err
		}
		if removed, err = tx.exec(ctx, op, `DELETE FROM changes WHERE position <= ?`, upTo); err != nil {
			return err
		}
		_, err = tx.exec(ctx, op, `UPDATE log_head SET pruned = ? WHERE one = 1 AND pruned < ?`, upTo, upTo)
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
