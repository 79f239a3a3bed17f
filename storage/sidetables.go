package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/milepost-gateway/milepost/parcel"
)

// PutRecipients stores personal data. A row with ErasedAt set erases what there
// was; what is erased stays erased, whatever is put later.
func (tx *Tx) PutRecipients(ctx context.Context, rows []RecipientRow) error {
	_, err := tx.each(ctx, "put recipients", batch{"merchant_id text, shipment_id text, doc text, erased_at bigint",
		`INSERT INTO recipients (merchant_id, shipment_id, doc, erased_at) SELECT * FROM {rows} WHERE true
ON CONFLICT (merchant_id, shipment_id) DO UPDATE SET doc = excluded.doc, erased_at = excluded.erased_at WHERE recipients.erased_at = 0`},
		len(rows), func(i int, row []any) {
			r := &rows[i]
			doc := ""
			if r.ErasedAt.IsZero() && !r.Recipient.IsZero() {
				doc = jsonText(&r.Recipient)
			}
			row[0], row[1], row[2], row[3] = r.MerchantID, r.ShipmentID, doc, micros(r.ErasedAt)
		})
	return err
}

// Recipients reads personal data by shipment; shipments that the scope does not
// have, or whose recipient nobody told, are missing from the result.
func (s *Store) Recipients(ctx context.Context, scope Scope, shipmentIDs []string) (map[string]RecipientRow, error) {
	out := make(map[string]RecipientRow, len(shipmentIDs))
	if len(shipmentIDs) == 0 || scope.nobody() {
		return out, nil
	}
	const columns = `SELECT merchant_id, shipment_id, doc, erased_at FROM recipients WHERE shipment_id = ANY(?)`
	text, args := columns, []any{list(s, shipmentIDs)}
	if merchant, ok := scope.Merchant(); ok {
		text, args = columns+` AND merchant_id = ?`, append(args, merchant)
	}
	err := s.reading().query(ctx, "recipients", text, func(rows *sql.Rows) error {
		var r RecipientRow
		var doc sql.RawBytes
		var erased int64
		if err := rows.Scan(&r.MerchantID, &r.ShipmentID, &doc, &erased); err != nil {
			return err
		}
		r.ErasedAt = instant(erased)
		if len(doc) > 0 {
			if err := json.Unmarshal(doc, &r.Recipient); err != nil {
				return fmt.Errorf("recipient of shipment %s: %w", r.ShipmentID, parcel.ErrMalformed)
			}
		}
		out[r.ShipmentID] = r
		return nil
	}, args...)
	return out, err
}

// Routes lists the routes of a scope by merchant and code.
func (s *Store) Routes(ctx context.Context, scope Scope) ([]RouteRow, error) {
	if scope.nobody() {
		return nil, nil
	}
	merchant, _ := scope.Merchant()
	var out []RouteRow
	err := s.reading().query(ctx, "routes", `SELECT merchant_id, code, doc, updated_at FROM routes WHERE ? = '' OR merchant_id = ? ORDER BY merchant_id, code`, func(rows *sql.Rows) error {
		var r RouteRow
		var updated int64
		err := rows.Scan(&r.MerchantID, &r.Code, &r.Doc, &updated)
		r.UpdatedAt = instant(updated)
		out = append(out, r)
		return err
	}, merchant, merchant)
	return out, err
}

// PutRoutes stores routes, new or changed, all or none.
func (s *Store) PutRoutes(ctx context.Context, rows []RouteRow) error {
	for i := range rows {
		if rows[i].MerchantID == "" || rows[i].Code == "" || !json.Valid(rows[i].Doc) {
			return fmt.Errorf("storage: put routes: row %d without merchant, code or JSON: %w", i, parcel.ErrInvalid)
		}
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		// Row by row: a code that comes twice is stored twice, the last one
		// stays.
		for i := range rows {
			r := &rows[i]
			_, err := tx.exec(ctx, "put routes", `INSERT INTO routes (merchant_id, code, doc, updated_at) VALUES (?, ?, ?, ?)
ON CONFLICT (merchant_id, code) DO UPDATE SET doc = excluded.doc, updated_at = excluded.updated_at`, r.MerchantID, column(r.Code), string(r.Doc), micros(r.UpdatedAt))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

const importColumns = "id, merchant_id, file_sha, mapping_sha, next_line, accepted, refused, updated_at"

// PutImportRun stores how far an import has come, together with what it took
// in: a run that is cut off goes on after the last line that was kept.
func (tx *Tx) PutImportRun(ctx context.Context, run ImportRun) error {
	_, err := tx.exec(ctx, "put import run", `INSERT INTO import_runs (`+importColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (merchant_id, file_sha, mapping_sha) DO UPDATE SET next_line = excluded.next_line, accepted = excluded.accepted, refused = excluded.refused, updated_at = excluded.updated_at`,
		run.ID, run.MerchantID, run.FileSHA, run.MappingSHA, run.NextLine, run.Accepted, run.Refused, micros(run.UpdatedAt))
	return err
}

// ImportRun reads how far a merchant's file was imported; the error unwraps to
// parcel.ErrNotFound if it never was with this mapping.
func (s *Store) ImportRun(ctx context.Context, scope Scope, fileSHA, mappingSHA string) (ImportRun, error) {
	const op = "import run"
	merchant, ok := scope.Merchant()
	if !ok {
		return ImportRun{}, s.fail(ctx, op, sql.ErrNoRows)
	}
	var r ImportRun
	var updated int64
	err := s.reading().row(ctx, op, `SELECT `+importColumns+` FROM import_runs WHERE merchant_id = ? AND file_sha = ? AND mapping_sha = ?`,
		[]any{merchant, fileSHA, mappingSHA}, &r.ID, &r.MerchantID, &r.FileSHA, &r.MappingSHA, &r.NextLine, &r.Accepted, &r.Refused, &updated)
	r.UpdatedAt = instant(updated)
	return r, err
}
