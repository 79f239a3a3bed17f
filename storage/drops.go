package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	dropColumns = "source, name, size, digest, reader, modified_at, taken, observations, bad, done_at, updated_at"

	// A file is claimed by whoever makes its row, whose lease it was, or finds
	// the lease run out. What is there of its progress stays.
	claimDrop = `INSERT INTO drop_files (` + dropColumns + `, leased_until, lease_token) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?, ?)
ON CONFLICT (source, name, size, digest) DO UPDATE SET leased_until = excluded.leased_until, lease_token = excluded.lease_token, modified_at = excluded.modified_at
WHERE drop_files.leased_until <= ? OR drop_files.lease_token = excluded.lease_token`
	putDrop = `UPDATE drop_files SET reader = ?, taken = ?, observations = ?, bad = ?, done_at = ?, updated_at = ?, leased_until = ?
WHERE source = ? AND name = ? AND size = ? AND digest = ? AND lease_token = ?`
)

func scanDrop(rows *sql.Rows) (f parcel.DropFile, err error) {
	var modified, done, updated int64
	err = rows.Scan(&f.Source, &f.Name, &f.Size, &f.Digest, &f.Reader, &modified, &f.Taken, &f.Observations, &f.Bad, &done, &updated)
	f.ModifiedAt, f.DoneAt, f.UpdatedAt = instant(modified), instant(done), instant(updated)
	return f, err
}

// DropFiles reads what is known of the files of a source by name: every version
// of each, in no order.
func (s *Store) DropFiles(ctx context.Context, source string, names []string) ([]parcel.DropFile, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var out []parcel.DropFile
	err := s.reading().query(ctx, "drop files", `SELECT `+dropColumns+` FROM drop_files WHERE source = ? AND name = ANY(?)`, func(rows *sql.Rows) error {
		f, err := scanDrop(rows)
		out = append(out, f)
		return err
	}, column(source), list(s, columns(names)))
	return out, err
}

// DropFileDone finds a file of these bytes that was read to its end, under any
// name; the error unwraps to parcel.ErrNotFound if there is none.
func (s *Store) DropFileDone(ctx context.Context, source string, size int64, digest string) (parcel.DropFile, error) {
	const op = "drop file by digest"
	var found []parcel.DropFile
	err := s.reading().query(ctx, op, `SELECT `+dropColumns+` FROM drop_files WHERE source = ? AND digest = ? AND size = ? AND done_at > 0 ORDER BY name LIMIT 1`, func(rows *sql.Rows) error {
		f, err := scanDrop(rows)
		found = append(found, f)
		return err
	}, column(source), digest, size)
	if err == nil && len(found) == 0 {
		err = s.fail(ctx, op, sql.ErrNoRows)
	}
	if err != nil {
		return parcel.DropFile{}, err
	}
	return found[0], nil
}

// ClaimDropFile takes the right to read a file until a time, and returns what
// is known of its progress. ok is false while another holds it: claims are told
// apart by token. A claim of one's own may be renewed.
func (s *Store) ClaimDropFile(ctx context.Context, f parcel.DropFile, token string, now, until time.Time) (held parcel.DropFile, ok bool, err error) {
	const op = "claim drop file"
	if token == "" || f.Source == "" || f.Name == "" || f.Digest == "" || !until.After(now) {
		return held, false, fmt.Errorf("storage: %s: no token, identity or time: %w", op, parcel.ErrInvalid)
	}
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		held, ok = parcel.DropFile{}, false
		n, err := tx.exec(ctx, op, claimDrop, column(f.Source), column(f.Name), f.Size, f.Digest, column(f.Reader), micros(f.ModifiedAt),
			micros(now), micros(until), token, micros(now))
		if err != nil || n == 0 {
			return err
		}
		ok = true
		return tx.query(ctx, op, `SELECT `+dropColumns+` FROM drop_files WHERE source = ? AND name = ? AND size = ? AND digest = ?`, func(rows *sql.Rows) error {
			var err error
			held, err = scanDrop(rows)
			return err
		}, column(f.Source), column(f.Name), f.Size, f.Digest)
	})
	if err != nil {
		return parcel.DropFile{}, false, err
	}
	return held, ok, nil
}

// PutDropFile stores how far a claimed file has come, and holds it until a
// time; a zero time lets it go. The error unwraps to parcel.ErrConflict where
// the claim was lost: then nothing is stored.
func (s *Store) PutDropFile(ctx context.Context, f parcel.DropFile, token string, until time.Time) error {
	const op = "put drop file"
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, op, putDrop, column(f.Reader), f.Taken, f.Observations, f.Bad, micros(f.DoneAt), micros(f.UpdatedAt), micros(until),
			column(f.Source), column(f.Name), f.Size, f.Digest, token)
		if err == nil && n == 0 {
			err = fmt.Errorf("storage: %s: %s is not held: %w", op, f.Name, parcel.ErrConflict)
		}
		return err
	})
}
