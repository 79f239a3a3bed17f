package storage

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	merchantColumns = "id, name, default_locale, track_public, support_url, created_at"
	keyColumns      = "id, merchant_id, name, prefix, hash, scopes, created_at, last_used_at, expires_at, revoked_at"
)

// CreateMerchant stores a new tenant; its id is the caller's to choose. A name
// or id that is taken gives parcel.ErrConflict.
func (s *Store) CreateMerchant(ctx context.Context, m Merchant) error {
	if m.ID == "" || m.Name == "" {
		return fmt.Errorf("storage: create merchant: no id or no name: %w", parcel.ErrInvalid)
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, "create merchant", `INSERT INTO merchants (`+merchantColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
			m.ID, column(m.Name), m.DefaultLocale, bit(m.TrackPublic), column(m.SupportURL), micros(m.CreatedAt))
		return err
	})
}

// UpdateMerchant stores everything of a tenant but CreatedAt. The error unwraps
// to parcel.ErrNotFound if there is none of that id.
func (s *Store) UpdateMerchant(ctx context.Context, m Merchant) error {
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, "update merchant", `UPDATE merchants SET name = ?, default_locale = ?, track_public = ?, support_url = ? WHERE id = ?`,
			column(m.Name), m.DefaultLocale, bit(m.TrackPublic), column(m.SupportURL), m.ID)
		if err == nil && n == 0 {
			return s.fail(ctx, "update merchant", sql.ErrNoRows)
		}
		return err
	})
}

func scanMerchant(rows *sql.Rows) (Merchant, error) {
	var m Merchant
	var public, created int64
	err := rows.Scan(&m.ID, &m.Name, &m.DefaultLocale, &public, &m.SupportURL, &created)
	m.TrackPublic, m.CreatedAt = public != 0, instant(created)
	return m, err
}

func (s *Store) merchant(ctx context.Context, op, text string, arg string) (Merchant, error) {
	var found []Merchant
	err := s.reading().query(ctx, op, text, func(rows *sql.Rows) error {
		m, err := scanMerchant(rows)
		found = append(found, m)
		return err
	}, arg)
	if err == nil && len(found) == 0 {
		err = s.fail(ctx, op, sql.ErrNoRows)
	}
	if err != nil {
		return Merchant{}, err
	}
	return found[0], nil
}

// Merchant reads a tenant; the error unwraps to parcel.ErrNotFound if there is
// none. What of it the asker may see is the caller's to decide.
func (s *Store) Merchant(ctx context.Context, id string) (Merchant, error) {
	return s.merchant(ctx, "merchant", `SELECT `+merchantColumns+` FROM merchants WHERE id = ?`, id)
}

// MerchantByName is the same by name.
func (s *Store) MerchantByName(ctx context.Context, name string) (Merchant, error) {
	return s.merchant(ctx, "merchant by name", `SELECT `+merchantColumns+` FROM merchants WHERE name = ?`, column(name))
}

// Merchants lists the tenants of a scope by name: a merchant's own, or all.
func (s *Store) Merchants(ctx context.Context, scope Scope) ([]Merchant, error) {
	if scope.nobody() {
		return nil, nil
	}
	merchant, _ := scope.Merchant()
	var out []Merchant
	err := s.reading().query(ctx, "merchants", `SELECT `+merchantColumns+` FROM merchants WHERE ? = '' OR id = ? ORDER BY name`, func(rows *sql.Rows) error {
		m, err := scanMerchant(rows)
		out = append(out, m)
		return err
	}, merchant, merchant)
	return out, err
}

// PutKey stores a new API key. A hash or id that is taken gives
// parcel.ErrConflict.
func (s *Store) PutKey(ctx context.Context, k Key) error {
	if k.ID == "" || len(k.Hash) == 0 {
		return fmt.Errorf("storage: put key: no id or no hash: %w", parcel.ErrInvalid)
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, "put key", `INSERT INTO api_keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.MerchantID, column(k.Name), k.Prefix, k.Hash, strings.Join(k.Scopes, " "),
			micros(k.CreatedAt), micros(k.LastUsedAt), micros(k.ExpiresAt), micros(k.RevokedAt))
		return err
	})
}

func scanKey(rows *sql.Rows) (Key, error) {
	var k Key
	var scopes string
	var created, used, expires, revoked int64
	err := rows.Scan(&k.ID, &k.MerchantID, &k.Name, &k.Prefix, &k.Hash, &scopes, &created, &used, &expires, &revoked)
	k.Scopes = strings.Fields(scopes)
	k.CreatedAt, k.LastUsedAt, k.ExpiresAt, k.RevokedAt = instant(created), instant(used), instant(expires), instant(revoked)
	return k, err
}

// KeyByHash finds a key, whether or not it still holds; the error unwraps to
// parcel.ErrNotFound if there is none.
func (s *Store) KeyByHash(ctx context.Context, hash []byte) (Key, error) {
	const op = "key by hash"
	var found []Key
	err := s.reading().query(ctx, op, `SELECT `+keyColumns+` FROM api_keys WHERE hash = ?`, func(rows *sql.Rows) error {
		k, err := scanKey(rows)
		found = append(found, k)
		return err
	}, hash)
	if err == nil && len(found) == 0 {
		err = s.fail(ctx, op, sql.ErrNoRows)
	}
	if err != nil {
		return Key{}, err
	}
	return found[0], nil
}

// Keys lists the keys of a scope, first made first, revoked ones included.
func (s *Store) Keys(ctx context.Context, scope Scope) ([]Key, error) {
	if scope.nobody() {
		return nil, nil
	}
	merchant, _ := scope.Merchant()
	var out []Key
	err := s.reading().query(ctx, "keys", `SELECT `+keyColumns+` FROM api_keys WHERE ? = '' OR merchant_id = ? ORDER BY id`, func(rows *sql.Rows) error {
		k, err := scanKey(rows)
		out = append(out, k)
		return err
	}, merchant, merchant)
	return out, err
}

// RevokeKey ends a key of the scope; revoked again, the first time stays. The
// error unwraps to parcel.ErrNotFound if the scope has no such key.
func (s *Store) RevokeKey(ctx context.Context, scope Scope, id string, at time.Time) error {
	const op = "revoke key"
	if scope.nobody() {
		return s.fail(ctx, op, sql.ErrNoRows)
	}
	merchant, _ := scope.Merchant()
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, op, `UPDATE api_keys SET revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END WHERE id = ? AND (? = '' OR merchant_id = ?)`,
			micros(at), id, merchant, merchant)
		if err == nil && n == 0 {
			return s.fail(ctx, op, sql.ErrNoRows)
		}
		return err
	})
}

// TouchKey notes that a key was used, to the hour: within the hour it writes
// nothing.
func (s *Store) TouchKey(ctx context.Context, id string, at time.Time) error {
	const op = "touch key"
	hour := micros(at.Truncate(time.Hour))
	var behind int
	if err := s.reading().row(ctx, op, `SELECT count(*) FROM api_keys WHERE id = ? AND last_used_at < ?`, []any{id, hour}, &behind); err != nil || behind == 0 {
		return err
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, op, `UPDATE api_keys SET last_used_at = ? WHERE id = ? AND last_used_at < ?`, hour, id, hour)
		return err
	})
}

// Setting reads a value of the deployment (a secret for cursors, an instance's
// name), which make makes if there is none. Of several first writers one wins
// and all read its value.
func (s *Store) Setting(ctx context.Context, name string, make func() string) (string, error) {
	const op = "setting"
	read := func(c session) (value string, found bool, err error) {
		err = c.query(ctx, op, `SELECT value FROM settings WHERE name = ?`, func(rows *sql.Rows) error {
			found = true
			return rows.Scan(&value)
		}, name)
		return value, found, err
	}
	value, found, err := read(s.reading())
	if err != nil || found {
		return value, err
	}
	fresh := make()
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, op, `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, fresh); err != nil {
			return err
		}
		value, _, err = read(tx.session)
		return err
	})
	return value, err
}
