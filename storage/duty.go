package storage

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// dutyPrefix marks the rows of settings that are leases.
const dutyPrefix = "duty:"

// HoldDuty takes or renews the right to do something that one process of a
// deployment does at a time, until a time, and tells whether it is held: no
// other token holds it at now. A time that is not after now lets it go. Whoever
// is late may find a second at the same work, so the work must bear it.
func (s *Store) HoldDuty(ctx context.Context, name, token string, now, until time.Time) (held bool, err error) {
	const op = "hold duty"
	if name == "" || token == "" || strings.Contains(token, " ") {
		return false, fmt.Errorf("storage: %s: no name, or a token that is empty or has a space: %w", op, parcel.ErrInvalid)
	}
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		held = false
		// The row is there before it is locked, so that two who come first meet.
		if _, err := tx.exec(ctx, op, `INSERT INTO settings (name, value) VALUES (?, '0 nobody') ON CONFLICT DO NOTHING`, dutyPrefix+name); err != nil {
			return err
		}
		var value string
		if err := tx.query(ctx, op, `SELECT value FROM settings WHERE name = ? FOR UPDATE`, func(rows *sql.Rows) error { return rows.Scan(&value) }, dutyPrefix+name); err != nil {
			return err
		}
		at, holder, _ := strings.Cut(value, " ")
		ends, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return fmt.Errorf("storage: %s %s: %q: %w", op, name, value, parcel.ErrMalformed)
		}
		if holder != token && ends > micros(now) {
			return nil
		}
		held = until.After(now)
		_, err = tx.exec(ctx, op, `UPDATE settings SET value = ? WHERE name = ?`, fmt.Sprintf("%d %s", micros(until), token), dutyPrefix+name)
		return err
	})
	return held && err == nil, err
}
