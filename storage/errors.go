package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/milepost-gateway/milepost/parcel"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// fail says which operation failed and gives the error its kind. A context that
// ended is told as itself, whatever the driver made of it.
func (s *Store) fail(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("storage: %s: %w", op, ended)
	}
	if already := parcelKind(err); already {
		return fmt.Errorf("storage: %s: %w", op, err)
	}
	hint, kind := s.judge(err)
	switch {
	case kind == nil && hint == "":
		return fmt.Errorf("storage: %s: %w", op, err)
	case kind == nil:
		return fmt.Errorf("storage: %s: %s: %w", op, hint, err)
	case hint == "":
		return fmt.Errorf("storage: %s: %w: %w", op, kind, err)
	default:
		return fmt.Errorf("storage: %s: %w: %s: %w", op, kind, hint, err)
	}
}

func parcelKind(err error) bool {
	for _, kind := range []error{parcel.ErrNotFound, parcel.ErrInvalid, parcel.ErrMalformed, parcel.ErrConflict, parcel.ErrUnavailable, parcel.ErrDenied} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// judge finds the kind of a driver's error, and the remedy where there is one.
func (s *Store) judge(err error) (remedy string, kind error) {
	if errors.Is(err, sql.ErrNoRows) {
		return "", parcel.ErrNotFound
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			return "no room left for " + s.name + "; free disk space or raise the limit", parcel.ErrUnavailable
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return s.name + " is held by another process", parcel.ErrUnavailable
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
			return "check that " + s.name + " and its directory may be written", parcel.ErrUnavailable
		case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
			return "", parcel.ErrUnavailable
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return s.name + " is damaged or not a database; restore it from a backup", parcel.ErrUnavailable
		case sqlite3.SQLITE_CONSTRAINT:
			return "", parcel.ErrConflict
		}
		if strings.Contains(lite.Error(), "no such table") || strings.Contains(lite.Error(), "no such column") {
			return "the database is not migrated; run milepost migrate", nil
		}
		return "", nil
	}
	var server *pq.Error
	if errors.As(err, &server) {
		code := string(server.Code)
		switch {
		case code == "3D000":
			return "make the database first (createdb)", parcel.ErrUnavailable
		case code == "28P01" || code == "28000":
			return "check user and password", parcel.ErrUnavailable
		case code == "53100":
			return "the database has no disk space left", parcel.ErrUnavailable
		case code == "53300":
			return "the database has no connection left; lower the pool or raise max_connections", parcel.ErrUnavailable
		case code == "42P01" || code == "42703":
			return "the database is not migrated; run milepost migrate", nil
		case code == "42501":
			return "grant this user the right", nil
		case code == "23505":
			return "", parcel.ErrConflict
		case strings.HasPrefix(code, "22"):
			return "", parcel.ErrInvalid
		case conflicting(code), strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57"), strings.HasPrefix(code, "58"), strings.HasPrefix(code, "25006"):
			return "", parcel.ErrUnavailable
		}
		return "", nil
	}
	if disconnected(err) {
		return "cannot reach " + s.name, parcel.ErrUnavailable
	}
	return "", nil
}

// conflicting tells the SQLSTATEs after which the same transaction may succeed:
// serialization failure, deadlock, lock not available.
func conflicting(code string) bool { return code == "40001" || code == "40P01" || code == "55P03" }

// disconnected tells whether the connection, and not the server, failed.
func disconnected(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}

// transient tells whether a transaction that failed so, and was not committed,
// is worth another try.
func transient(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	var server *pq.Error
	if errors.As(err, &server) {
		code := string(server.Code)
		// 57P01-57P03: the server was told to stop, or is not up yet.
		return conflicting(code) || registeredMeanwhile(server) || strings.HasPrefix(code, "08") ||
			code == "57P01" || code == "57P02" || code == "57P03"
	}
	return disconnected(err)
}

// registeredMeanwhile tells of two registrations of one reference that did not
// see each other: tried again, the later one finds the earlier.
func registeredMeanwhile(e *pq.Error) bool {
	return string(e.Code) == "23505" && e.Constraint == "shipments_reference"
}
