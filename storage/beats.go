package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	putBeats = `INSERT INTO carrier_beats (carrier, account, replica, at, doc) SELECT * FROM {rows} WHERE true
ON CONFLICT (carrier, account, replica) DO UPDATE SET at = excluded.at, doc = excluded.doc`
	addGaps = `INSERT INTO gaps (carrier, origin, destination, milestone, bucket, n) SELECT * FROM {rows} WHERE true
ON CONFLICT (carrier, origin, destination, milestone, bucket) DO UPDATE SET n = gaps.n + excluded.n`
	gapsOf = `SELECT g.bucket, g.n FROM gaps g WHERE g.carrier = ? AND g.origin = ? AND g.destination = ? AND g.milestone = ?`
)

// PutBeats keeps what a replica has seen of its carrier accounts, in the place
// of what it wrote before, and drops what was written before old by replicas
// that are gone.
func (s *Store) PutBeats(ctx context.Context, beats []parcel.CarrierBeat, old time.Time) error {
	const op = "put carrier beats"
	beats = slices.Clone(beats)
	slices.SortFunc(beats, func(a, b parcel.CarrierBeat) int {
		return cmp.Or(strings.Compare(a.Carrier, b.Carrier), strings.Compare(a.Account, b.Account), strings.Compare(a.Replica, b.Replica))
	})
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.each(ctx, op, batch{"carrier text, account text, replica text, at bigint, doc text", putBeats}, len(beats), func(i int, row []any) {
			b := &beats[i]
			row[0], row[1], row[2], row[3], row[4] = b.Carrier, column(b.Account), b.Replica, micros(b.At), jsonText(b)
		})
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, op, `DELETE FROM carrier_beats WHERE at < ?`, micros(old))
		return err
	})
}

// Beats reads what replicas wrote since then.
func (s *Store) Beats(ctx context.Context, since time.Time) ([]parcel.CarrierBeat, error) {
	var out []parcel.CarrierBeat
	err := s.reading().query(ctx, "carrier beats", `SELECT carrier, account, replica, at, doc FROM carrier_beats WHERE at >= ? ORDER BY carrier, account, replica`, func(rows *sql.Rows) error {
		var b parcel.CarrierBeat
		var at int64
		var doc sql.RawBytes
		if err := rows.Scan(&b.Carrier, &b.Account, &b.Replica, &at, &doc); err != nil {
			return err
		}
		if err := json.Unmarshal(doc, &b); err != nil {
			return fmt.Errorf("beat of %s/%s: %w: %w", b.Carrier, b.Account, parcel.ErrMalformed, err)
		}
		b.At = instant(at)
		out = append(out, b)
		return nil
	}, micros(since))
	return out, err
}

// AddGaps counts silences that ended.
func (s *Store) AddGaps(ctx context.Context, gaps map[parcel.GapKey]parcel.Sketch) error {
	type row struct {
		parcel.GapKey
		bucket, n int
	}
	var list []row
	for k, sketch := range gaps {
		for b, n := range sketch {
			list = append(list, row{k, b, n})
		}
	}
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(strings.Compare(a.Carrier, b.Carrier), strings.Compare(string(a.Lane.Origin), string(b.Lane.Origin)),
			strings.Compare(string(a.Lane.Destination), string(b.Lane.Destination)), cmp.Compare(a.Milestone.Rank(), b.Milestone.Rank()), cmp.Compare(a.bucket, b.bucket))
	})
	if len(list) == 0 {
		return nil
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.each(ctx, "add gaps", batch{"carrier text, origin text, destination text, milestone bigint, bucket bigint, n bigint", addGaps}, len(list), func(i int, out []any) {
			r := &list[i]
			out[0], out[1], out[2] = r.Carrier, string(r.Lane.Origin), string(r.Lane.Destination)
			out[3], out[4], out[5] = int64(r.Milestone.Rank()), int64(r.bucket), int64(r.n)
		})
		return err
	})
}

// Gaps reads the silences counted under a key.
func (s *Store) Gaps(ctx context.Context, k parcel.GapKey) (parcel.Sketch, error) {
	out := parcel.Sketch{}
	err := s.reading().query(ctx, "gaps", gapsOf, func(rows *sql.Rows) error {
		var b, n int
		err := rows.Scan(&b, &n)
		out[b] = n
		return err
	}, k.Carrier, string(k.Lane.Origin), string(k.Lane.Destination), int64(k.Milestone.Rank()))
	return out, err
}
