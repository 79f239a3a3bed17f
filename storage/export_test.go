package storage

import (
	"context"

	"github.com/milepost-gateway/milepost/parcel"
)

// Exec runs a statement that no method of the store would: tests age and
// damage what is stored.
func (s *Store) Exec(ctx context.Context, statement string, args ...any) error {
	_, err := s.w.ExecContext(ctx, s.text(statement), args...)
	return err
}

// Migrations is how many there are for a dialect.
func Migrations(d Dialect) (int, error) {
	entries, err := migrations.ReadDir("migrations/" + string(d))
	return len(entries), err
}

// Raise fails a statement on PostgreSQL with a SQLSTATE.
func (tx *Tx) Raise(ctx context.Context, state string) error {
	_, err := tx.exec(ctx, "raise", "DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '"+state+"'; END $$")
	return err
}

// Encoder is the codec of states.
type Encoder struct{ e encoder }

// EncodeState appends the state of s to dst.
func (e *Encoder) EncodeState(dst []byte, s *parcel.Shipment) []byte { return e.e.encodeState(dst, s) }

// DecodeState reads it again.
func DecodeState(data []byte, s *parcel.Shipment, scratch *[]string) error {
	return decodeState(data, s, scratch)
}
