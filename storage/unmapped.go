package storage

import (
	"context"
	"database/sql"

	"github.com/milepost-gateway/milepost/parcel"
)

// maxUnmapped is how many codes and phrases that nobody mapped are kept of a
// carrier; of further ones nothing is, so that a carrier gone mad fills no disk.
const maxUnmapped = "5000"

const (
	unmappedCols = "carrier text, code text, phrase text, words text, language text, n bigint, first_at bigint, last_at bigint, payload_id text"

	addUnmapped = `INSERT INTO unmapped (carrier, code, phrase, words, language, n, first_at, last_at, payload_id) SELECT v.* FROM {rows}
WHERE (SELECT count(*) FROM unmapped u WHERE u.carrier = v.carrier) < ` + maxUnmapped + `
OR EXISTS (SELECT 1 FROM unmapped u WHERE u.carrier = v.carrier AND u.code = v.code AND u.phrase = v.phrase)
ON CONFLICT (carrier, code, phrase) DO UPDATE SET n = unmapped.n + excluded.n,
first_at = CASE WHEN excluded.first_at < unmapped.first_at THEN excluded.first_at ELSE unmapped.first_at END,
payload_id = CASE WHEN excluded.last_at >= unmapped.last_at THEN excluded.payload_id ELSE unmapped.payload_id END,
last_at = CASE WHEN excluded.last_at > unmapped.last_at THEN excluded.last_at ELSE unmapped.last_at END`

	readUnmapped = `SELECT carrier, code, phrase, words, language, n, first_at, last_at, payload_id FROM unmapped
WHERE ? = '' OR carrier = ? ORDER BY n DESC, carrier, code, phrase LIMIT ?`
)

// AddUnmapped adds to the work queue of mapping. Rows are of different lines
// (see [parcel.Unmapped.Compare]) and in their order, so that two writers do
// not wait for each other in a ring.
func (tx *Tx) AddUnmapped(ctx context.Context, rows []parcel.Unmapped) error {
	_, err := tx.each(ctx, "add unmapped", batch{unmappedCols, addUnmapped}, len(rows), func(i int, row []any) {
		u := &rows[i]
		row[0], row[1], row[2], row[3], row[4] = u.Carrier, column(u.Code), column(u.Phrase), column(u.Words), column(u.Language)
		row[5], row[6], row[7], row[8] = int64(u.Count), micros(u.First), micros(u.Last), u.PayloadID
	})
	return err
}

// Unmapped lists what carriers wrote and no table read, commonest first, at most
// limit lines. An empty carrier is all of them.
func (s *Store) Unmapped(ctx context.Context, carrier string, limit int) ([]parcel.Unmapped, error) {
	var out []parcel.Unmapped
	err := s.reading().query(ctx, "unmapped", readUnmapped, func(rows *sql.Rows) error {
		var u parcel.Unmapped
		var first, last int64
		err := rows.Scan(&u.Carrier, &u.Code, &u.Phrase, &u.Words, &u.Language, &u.Count, &first, &last, &u.PayloadID)
		u.First, u.Last = instant(first), instant(last)
		out = append(out, u)
		return err
	}, carrier, carrier, int64(limit))
	return out, err
}
