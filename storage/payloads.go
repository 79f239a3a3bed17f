package storage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	payloadColumns = "p.id, p.carrier, p.account, p.owner, p.kind, p.source, p.content_type, p.numbers, p.received_at, p.size, p.body"
	payloadCols    = "id text, carrier text, account text, owner text, kind text, source text, content_type text, digest bytea, size bigint, numbers text, received_at bigint, body bytea"
	insertPayloads = `INSERT INTO payloads (id, carrier, account, owner, kind, source, content_type, digest, size, numbers, received_at, body)
SELECT * FROM {rows} WHERE true ON CONFLICT DO NOTHING`
	payloadIDs = `SELECT p.id, p.carrier, p.account, p.owner, p.kind, p.digest FROM payloads p
WHERE (p.carrier, p.account, p.owner, p.kind, p.digest) IN (SELECT v.carrier, v.account, v.owner, v.kind, v.digest FROM {rows})`
	spokenOf = `SELECT v.carrier, v.number FROM {rows}
WHERE EXISTS (SELECT 1 FROM payload_numbers pn WHERE pn.carrier = v.carrier AND pn.number = v.number)`
	insertPayloadNumbers = `INSERT INTO payload_numbers (carrier, number, payload_id) SELECT * FROM {rows} WHERE true ON CONFLICT DO NOTHING`

	payloadsOfNumber = `SELECT ` + payloadColumns + ` FROM payload_numbers pn JOIN payloads p ON p.id = pn.payload_id
WHERE pn.carrier = ? AND pn.number = ? ORDER BY p.received_at DESC, p.id DESC LIMIT ?`
	payloadsByID = `SELECT ` + payloadColumns + ` FROM payloads p WHERE p.id = ANY(?)`
	// A merchant sees the bytes if one of its events was read in them, if they
	// tell of no number but its own (a carrier's batch answer may hold other
	// merchants' parcels), and if no other merchant's account brought them.
	merchantPayloadsByID = payloadsByID + ` AND p.owner IN ('', ?)
	AND EXISTS (SELECT 1 FROM payload_numbers pn
		JOIN holders h ON h.carrier = pn.carrier AND h.number = pn.number AND h.merchant_id = ?
		JOIN events e ON e.merchant_id = h.merchant_id AND e.shipment_id = h.shipment_id AND e.payload_id = p.id
		WHERE pn.payload_id = p.id)
	AND NOT EXISTS (SELECT 1 FROM payload_numbers pn WHERE pn.payload_id = p.id AND NOT EXISTS
		(SELECT 1 FROM holders h WHERE h.carrier = pn.carrier AND h.number = pn.number AND h.merchant_id = ? AND h.proposed = 0))`
	walkPayloads        = `SELECT ` + payloadColumns + ` FROM payloads p WHERE p.id > ? AND p.received_at >= ? ORDER BY p.id LIMIT ?`
	walkCarrierPayloads = `SELECT ` + payloadColumns + ` FROM payloads p WHERE p.carrier = ? AND p.id > ? AND p.received_at >= ? ORDER BY p.id LIMIT ?`
)

// walkPage is how many payloads replay holds in memory at once.
const walkPage = 32

// payloadDigest names bytes together with the numbers asked for: one answer
// "not found" is another finding for another number.
func payloadDigest(p *parcel.Payload) [sha256.Size]byte {
	h := sha256.New()
	var n [8]byte
	numbers := slices.Sorted(slices.Values(p.Numbers))
	for _, s := range numbers {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	binary.BigEndian.PutUint64(n[:], uint64(len(numbers)))
	h.Write(n[:])
	h.Write(p.Body)
	var out [sha256.Size]byte
	h.Sum(out[:0])
	return out
}

type payloadKey struct {
	carrier, account, owner, kind string
	digest                        [sha256.Size]byte
}

// PutPayloads keeps payloads, each with the id it has. The same bytes for the
// same numbers, of one owner's carrier account and kind, are kept once; the result
// tells, in the order given, under which id, and whether they are new.
func (tx *Tx) PutPayloads(ctx context.Context, payloads []parcel.Payload) ([]KeptPayload, error) {
	const op = "put payloads"
	kept := make([]KeptPayload, len(payloads))
	keys := make([]payloadKey, len(payloads))
	at := make(map[payloadKey]int, len(payloads)) // first with that key
	var order []int                               // one of each key, in the order of the unique index
	for i := range payloads {
		p := &payloads[i]
		if p.ID == "" || p.Carrier == "" {
			return nil, fmt.Errorf("storage: %s: payload %d without id or carrier: %w", op, i, parcel.ErrInvalid)
		}
		keys[i] = payloadKey{p.Carrier, p.Account, p.Owner, p.Kind, payloadDigest(p)}
		if _, twice := at[keys[i]]; !twice {
			at[keys[i]] = i
			order = append(order, i)
		}
	}
	// Two writers of the same bytes wait for each other on the unique index; in
	// one order they cannot deadlock.
	slices.SortFunc(order, func(a, b int) int {
		x, y := keys[a], keys[b]
		return cmp.Or(strings.Compare(x.carrier, y.carrier), strings.Compare(x.account, y.account), strings.Compare(x.owner, y.owner), strings.Compare(x.kind, y.kind), slices.Compare(x.digest[:], y.digest[:]))
	})
	_, err := tx.each(ctx, op, batch{payloadCols, insertPayloads}, len(order), func(i int, row []any) {
		p := &payloads[order[i]]
		k := &keys[order[i]]
		for c, v := range [...]any{
			p.ID, p.Carrier, p.Account, p.Owner, p.Kind, string(p.Source), column(p.ContentType), k.digest[:], int64(len(p.Body)),
			jsonText(p.Numbers), micros(p.ReceivedAt), tx.s.zip.EncodeAll(p.Body, nil),
		} {
			row[c] = v
		}
	})
	if err != nil {
		return nil, err
	}
	ids := make(map[payloadKey]string, len(order))
	err = tx.eachRow(ctx, op, batch{"carrier text, account text, owner text, kind text, digest bytea", payloadIDs}, len(order), func(i int, row []any) {
		k := &keys[order[i]]
		row[0], row[1], row[2], row[3], row[4] = k.carrier, k.account, k.owner, k.kind, k.digest[:]
	}, func(rows *sql.Rows) error {
		var k payloadKey
		var id string
		var digest sql.RawBytes
		if err := rows.Scan(&id, &k.carrier, &k.account, &k.owner, &k.kind, &digest); err != nil {
			return err
		}
		copy(k.digest[:], digest)
		ids[k] = id
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range payloads {
		id := ids[keys[i]]
		kept[i] = KeptPayload{ID: id, Fresh: at[keys[i]] == i && id == payloads[i].ID}
	}
	return kept, nil
}

// PutPayloadNumbers says which numbers payloads tell of, registered or not.
func (tx *Tx) PutPayloadNumbers(ctx context.Context, rows []PayloadNumber) error {
	_, err := tx.each(ctx, "put payload numbers", batch{keyCols + ", payload_id text", insertPayloadNumbers}, len(rows), func(i int, row []any) {
		row[0], row[1], row[2] = rows[i].Carrier, column(rows[i].Number), rows[i].PayloadID
	})
	return err
}

// SpokenOf tells which of these numbers kept payloads tell of, in the order of
// numbers.
func (tx *Tx) SpokenOf(ctx context.Context, keys []parcel.NumberKey) ([]parcel.NumberKey, error) {
	keys = sorted(keys)
	var out []parcel.NumberKey
	err := tx.eachRow(ctx, "numbers spoken of", batch{keyCols, spokenOf}, len(keys), fillKeys(keys), func(rows *sql.Rows) error {
		var k parcel.NumberKey
		err := rows.Scan(&k.Carrier, &k.Number)
		out = append(out, k)
		return err
	})
	slices.SortFunc(out, parcel.NumberKey.Compare)
	return out, err
}

// PayloadsOf reads the newest payloads that tell of a number, at most limit of
// them, first received first.
func (tx *Tx) PayloadsOf(ctx context.Context, key parcel.NumberKey, limit int) ([]parcel.Payload, error) {
	var out []parcel.Payload
	err := tx.payloads(ctx, "payloads of number", payloadsOfNumber, func(p parcel.Payload) error {
		out = append(out, p)
		return nil
	}, key.Carrier, column(key.Number), int64(limit))
	slices.Reverse(out)
	return out, err
}

func (c session) payloads(ctx context.Context, op, text string, each func(parcel.Payload) error, args ...any) error {
	var numbers, body sql.RawBytes
	return c.query(ctx, op, text, func(rows *sql.Rows) error {
		var p parcel.Payload
		var received, size int64
		if err := rows.Scan(&p.ID, &p.Carrier, &p.Account, &p.Owner, &p.Kind, &p.Source, &p.ContentType, &numbers, &received, &size, &body); err != nil {
			return err
		}
		p.ReceivedAt = instant(received)
		if err := json.Unmarshal(numbers, &p.Numbers); err != nil {
			return fmt.Errorf("payload %s: numbers: %w: %w", p.ID, parcel.ErrMalformed, err)
		}
		var err error
		if p.Body, err = c.s.unzip.DecodeAll(body, make([]byte, 0, min(size, maxPayloadBytes))); err != nil {
			return fmt.Errorf("payload %s: body: %w: %w", p.ID, parcel.ErrMalformed, err)
		}
		return each(p)
	}, args...)
}

// Payloads reads payloads by id, in the ids' order and length. It gives nil for
// those that the scope may not see: a merchant sees a payload in which one of
// its events was read, which tells of no number that it never registered, and
// which no other merchant's account brought.
func (s *Store) Payloads(ctx context.Context, scope Scope, ids []string) ([]*parcel.Payload, error) {
	out := make([]*parcel.Payload, len(ids))
	if len(ids) == 0 || scope.nobody() {
		return out, nil
	}
	text, args := payloadsByID, []any{list(s, ids)}
	if merchant, ok := scope.Merchant(); ok {
		text, args = merchantPayloadsByID, append(args, merchant, merchant, merchant)
	}
	byID := make(map[string]*parcel.Payload, len(ids))
	err := s.reading().payloads(ctx, "payloads", text, func(p parcel.Payload) error {
		byID[p.ID] = &p
		return nil
	}, args...)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		out[i] = byID[id]
	}
	return out, nil
}

// WalkPayloads visits payloads in the order of their ids, for replay. It holds
// a few in memory, and no statement or lock while visit runs, which may
// therefore write. It ends with visit's first error.
func (s *Store) WalkPayloads(ctx context.Context, f PayloadFilter, visit func(parcel.Payload) error) error {
	after := f.AfterID
	for {
		var page []parcel.Payload
		text, args := walkPayloads, []any{after, micros(f.Since), int64(walkPage)}
		if f.Carrier != "" {
			text, args = walkCarrierPayloads, append([]any{f.Carrier}, args...)
		}
		err := s.reading().payloads(ctx, "walk payloads", text, func(p parcel.Payload) error {
			page = append(page, p)
			return nil
		}, args...)
		if err != nil {
			return err
		}
		for i := range page {
			if err := visit(page[i]); err != nil {
				return err
			}
		}
		if len(page) < walkPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}
