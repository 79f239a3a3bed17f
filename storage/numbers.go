package storage

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	keyCols         = "carrier text, number text"
	trackingColumns = "n.carrier, n.number, n.account, n.postcode, n.watched_at, n.heard_at, n.heard_by, n.finding, n.trouble, n.trouble_since, n.retry_at, n.failures, n.next_at, n.leased_until, n.owner, n.worth"

	// RETURNING knows a table by its own name only.
	returningTracking = "RETURNING numbers.carrier, numbers.number, numbers.account, numbers.postcode, numbers.watched_at, numbers.heard_at, numbers.heard_by, numbers.finding, numbers.trouble, numbers.trouble_since, numbers.retry_at, numbers.failures, numbers.next_at, numbers.leased_until, numbers.owner, numbers.worth"

	insertNumbers = `INSERT INTO numbers (carrier, number, account, postcode, watched_at, heard_at, heard_by, finding, trouble, trouble_since, retry_at, failures, next_at, leased_until, lease_token, owner, worth)
SELECT v.carrier, v.number, '', '', 0, 0, '', '', '', 0, 0, 0, 0, 0, '', '', 0 FROM {rows} WHERE true ON CONFLICT DO NOTHING`
	lockNumbers   = `SELECT ` + trackingColumns + ` FROM numbers n WHERE (n.carrier, n.number) IN (SELECT v.carrier, v.number FROM {rows}) ORDER BY n.carrier, n.number FOR UPDATE`
	readNumbers   = `SELECT ` + trackingColumns + ` FROM numbers n WHERE (n.carrier, n.number) IN (SELECT v.carrier, v.number FROM {rows})`
	holdersByKey  = `SELECT h.carrier, h.number, h.merchant_id, h.shipment_id, h.since, h.until, h.rule, h.proposed FROM holders h WHERE (h.carrier, h.number) IN (SELECT v.carrier, v.number FROM {rows})`
	upsertHolders = `INSERT INTO holders (carrier, number, shipment_id, merchant_id, since, until, rule, proposed) SELECT * FROM {rows} WHERE true
ON CONFLICT (carrier, number, shipment_id) DO UPDATE SET since = excluded.since, until = excluded.until, rule = excluded.rule, proposed = excluded.proposed`

	putTrackingCols = "carrier text, number text, account text, postcode text, watched_at bigint, heard_at bigint, heard_by text, finding text, trouble text, trouble_since bigint, retry_at bigint, failures bigint, next_at bigint, owner text, worth bigint"
	// What a carrier said later is not undone by the landing of an earlier
	// answer, and a number is first watched once.
	updateTracking = `UPDATE numbers SET account = v.account, postcode = v.postcode,
	watched_at = CASE WHEN numbers.watched_at = 0 THEN v.watched_at ELSE numbers.watched_at END,
	heard_by = CASE WHEN numbers.heard_at > v.heard_at THEN numbers.heard_by ELSE v.heard_by END,
	finding = CASE WHEN numbers.heard_at > v.heard_at THEN numbers.finding ELSE v.finding END,
	heard_at = CASE WHEN numbers.heard_at > v.heard_at THEN numbers.heard_at ELSE v.heard_at END,
	trouble = v.trouble, trouble_since = v.trouble_since, retry_at = v.retry_at, failures = v.failures, next_at = v.next_at, owner = v.owner, worth = v.worth`
	updateTrackings = updateTracking + ` FROM {rows} WHERE numbers.carrier = v.carrier AND numbers.number = v.number`
	releaseLeases   = `UPDATE numbers SET leased_until = 0, lease_token = '' FROM {rows}
WHERE numbers.carrier = v.carrier AND numbers.number = v.number AND numbers.lease_token = v.token`

	leaseCols = "carrier text, number text, now bigint, until bigint, token text"
	// Locked in order before the update, which would lock in any. Who holds a
	// lease may take it again: a process asks for a number once at a time by
	// itself.
	leaseKeys = `UPDATE numbers SET leased_until = t.until, lease_token = t.token FROM
	(SELECT n.carrier, n.number, v.until, v.token FROM {rows} JOIN numbers n ON n.carrier = v.carrier AND n.number = v.number
	WHERE n.leased_until <= v.now OR n.lease_token = v.token ORDER BY n.carrier, n.number{lock}) AS t
WHERE numbers.carrier = t.carrier AND numbers.number = t.number
RETURNING numbers.carrier, numbers.number`
)

// sorted gives keys in the one order in which numbers are locked, each once.
func sorted(keys []parcel.NumberKey) []parcel.NumberKey {
	out := slices.Clone(keys)
	for i := range out {
		out[i].Number = column(out[i].Number)
	}
	slices.SortFunc(out, parcel.NumberKey.Compare)
	return slices.Compact(out)
}

func fillKeys(keys []parcel.NumberKey) func(int, []any) {
	return func(i int, row []any) { row[0], row[1] = keys[i].Carrier, keys[i].Number }
}

func scanTracking(rows *sql.Rows) (parcel.Tracking, error) {
	var t parcel.Tracking
	var watched, heard, since, retry, next, leased int64
	err := rows.Scan(&t.Carrier, &t.Number, &t.Account, &t.Postcode, &watched, &heard, &t.HeardBy, &t.Finding, &t.Trouble,
		&since, &retry, &t.Failures, &next, &leased, &t.Owner, &t.Worth)
	t.WatchedAt, t.HeardAt, t.TroubleSince = instant(watched), instant(heard), instant(since)
	t.RetryAt, t.NextAt, t.LeasedUntil = instant(retry), instant(next), instant(leased)
	return t, err
}

// HoldNumbers locks numbers until the transaction ends and tells what is known
// about them; numbers never seen are made. It must come before anything else is
// locked. Since an arriving payload and a registration of the same number both
// begin here, one of them sees what the other did.
func (tx *Tx) HoldNumbers(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]NumberState, error) {
	const op = "hold numbers"
	keys = sorted(keys)
	states := make(map[parcel.NumberKey]NumberState, len(keys))
	if _, err := tx.each(ctx, op, batch{keyCols, insertNumbers}, len(keys), fillKeys(keys)); err != nil {
		return nil, err
	}
	err := tx.eachRow(ctx, op, batch{keyCols, lockNumbers}, len(keys), fillKeys(keys), func(rows *sql.Rows) error {
		t, err := scanTracking(rows)
		states[t.NumberKey] = NumberState{Tracking: t}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = tx.eachRow(ctx, op, batch{keyCols, holdersByKey}, len(keys), fillKeys(keys), func(rows *sql.Rows) error {
		var k parcel.NumberKey
		var h Holder
		var since, until, proposed int64
		if err := rows.Scan(&k.Carrier, &k.Number, &h.MerchantID, &h.ShipmentID, &since, &until, &h.Rule, &proposed); err != nil {
			return err
		}
		h.Since, h.Until, h.Proposed = instant(since), instant(until), instant(proposed)
		s := states[k]
		s.Holders = append(s.Holders, h)
		states[k] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		slices.SortFunc(s.Holders, func(a, b Holder) int {
			return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.ShipmentID, b.ShipmentID))
		})
	}
	return states, nil
}

// PutHolders ties numbers to shipments, or says since and until when they are
// tied. The numbers must be held, except those of no carrier: they say only by
// what a shipment is found.
func (tx *Tx) PutHolders(ctx context.Context, rows []HolderRow) error {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b HolderRow) int {
		return cmp.Or(a.NumberKey.Compare(b.NumberKey), strings.Compare(a.ShipmentID, b.ShipmentID))
	})
	// One statement may not touch a row twice: the last word counts.
	rows = lastOf(rows, func(a, b HolderRow) bool { return a.NumberKey == b.NumberKey && a.ShipmentID == b.ShipmentID })
	const cols = "carrier text, number text, shipment_id text, merchant_id text, since bigint, until bigint, rule text, proposed bigint"
	_, err := tx.each(ctx, "put holders", batch{cols, upsertHolders}, len(rows), func(i int, row []any) {
		r := &rows[i]
		row[0], row[1], row[2], row[3], row[4], row[5] = r.Carrier, column(r.Number), r.ShipmentID, r.MerchantID, micros(r.Since), micros(r.Until)
		row[6], row[7] = string(r.Rule), micros(r.Proposed)
	})
	return err
}

// lastOf keeps the last of each run of equal rows.
func lastOf[T any](rows []T, same func(a, b T) bool) []T {
	out := rows[:0]
	for i := range rows {
		if i+1 == len(rows) || !same(rows[i], rows[i+1]) {
			out = append(out, rows[i])
		}
	}
	return out
}

func putTracking(t *parcel.Tracking, row []any) {
	for i, v := range [...]any{
		t.Carrier, column(t.Number), t.Account, column(t.Postcode), micros(t.WatchedAt), micros(t.HeardAt), string(t.HeardBy),
		string(t.Finding), string(t.Trouble), micros(t.TroubleSince), micros(t.RetryAt), int64(t.Failures), micros(t.NextAt), t.Owner, int64(t.Worth),
	} {
		row[i] = v
	}
}

func distinctTrackings(trackings []parcel.Tracking) []parcel.Tracking {
	out := slices.Clone(trackings)
	slices.SortStableFunc(out, func(a, b parcel.Tracking) int { return a.NumberKey.Compare(b.NumberKey) })
	return lastOf(out, func(a, b parcel.Tracking) bool { return a.NumberKey == b.NumberKey })
}

// PutTrackings stores what is known about asking for numbers, which must be
// held. Leases are left as they are, WatchedAt once set stays, and HeardAt with
// its finding never goes back.
func (tx *Tx) PutTrackings(ctx context.Context, trackings []parcel.Tracking) error {
	list := distinctTrackings(trackings)
	_, err := tx.each(ctx, "put trackings", batch{putTrackingCols, updateTrackings}, len(list), func(i int, row []any) { putTracking(&list[i], row) })
	return err
}

// ReleaseLeases ends the leases that were granted under token.
func (tx *Tx) ReleaseLeases(ctx context.Context, keys []parcel.NumberKey, token string) error {
	keys = sorted(keys)
	_, err := tx.each(ctx, "release leases", batch{keyCols + ", token text", releaseLeases}, len(keys), func(i int, row []any) {
		row[0], row[1], row[2] = keys[i].Carrier, keys[i].Number, token
	})
	return err
}

// Trackings tells what is known about asking for numbers; numbers never seen
// are missing from the result. Numbers belong to carriers and not to merchants,
// so the caller must have come to them through a shipment of its scope.
func (s *Store) Trackings(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]parcel.Tracking, error) {
	keys = sorted(keys)
	out := make(map[parcel.NumberKey]parcel.Tracking, len(keys))
	err := s.reading().eachRow(ctx, "trackings", batch{keyCols, readNumbers}, len(keys), fillKeys(keys), func(rows *sql.Rows) error {
		t, err := scanTracking(rows)
		out[t.NumberKey] = t
		return err
	})
	return out, err
}

// Lease lets one asker at a time ask for a number: it grants those keys whose
// lease, if any, ended at now or before, until until, under a token that is the
// asker's own. A key that is not granted is being asked by another, or is not
// known.
func (s *Store) Lease(ctx context.Context, keys []parcel.NumberKey, now, until time.Time, token string) (granted []parcel.NumberKey, err error) {
	if token == "" || !until.After(now) {
		return nil, fmt.Errorf("storage: lease: no token or no time: %w", parcel.ErrInvalid)
	}
	keys = sorted(keys)
	lock := ""
	if s.dialect == PostgreSQL {
		lock = " FOR UPDATE OF n"
	}
	b := batch{leaseCols, strings.Replace(leaseKeys, "{lock}", lock, 1)}
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		granted = nil
		return tx.eachRow(ctx, "lease", b, len(keys), func(i int, row []any) {
			row[0], row[1], row[2], row[3], row[4] = keys[i].Carrier, keys[i].Number, micros(now), micros(until), token
		}, func(rows *sql.Rows) error {
			var k parcel.NumberKey
			err := rows.Scan(&k.Carrier, &k.Number)
			granted = append(granted, k)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(granted, parcel.NumberKey.Compare)
	return granted, nil
}

// SaveTrackings stores what came of asking where there was nothing to land
// (nothing new, or trouble), as PutTrackings does, and ends the leases granted
// under releaseToken.
func (s *Store) SaveTrackings(ctx context.Context, trackings []parcel.Tracking, releaseToken string) error {
	if len(trackings) == 0 {
		return nil
	}
	keys := make([]parcel.NumberKey, len(trackings))
	for i := range trackings {
		keys[i] = trackings[i].NumberKey
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		locked := sorted(keys)
		err := tx.eachRow(ctx, "save trackings", batch{keyCols, lockNumbers}, len(locked), fillKeys(locked), func(*sql.Rows) error { return nil })
		if err != nil {
			return err
		}
		if err := tx.PutTrackings(ctx, trackings); err != nil {
			return err
		}
		if releaseToken == "" {
			return nil
		}
		return tx.ReleaseLeases(ctx, keys, releaseToken)
	})
}
