package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// session runs portable statements on a pool or in a transaction.
//
// Statements are written once: with ? for a value, "= ANY(?)" for a list of
// strings, {rows} for the rows of a batch, and FOR UPDATE where PostgreSQL needs
// it. SQLite has one writer, so its rows are locked already.
type session struct {
	s *Store
	q interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	failed *error // first error of a transaction; nil outside one
}

func (s *Store) reading() session { return session{s: s, q: s.r} }

func (c session) note(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if c.failed != nil && *c.failed == nil {
		*c.failed = err
	}
	return c.s.fail(ctx, op, err)
}

// query calls scan for each row. Bytes that scan takes as sql.RawBytes hold
// until it returns.
func (c session) query(ctx context.Context, op, text string, scan func(rows *sql.Rows) error, args ...any) error {
	rows, err := c.q.QueryContext(ctx, c.s.text(text), args...)
	if err != nil {
		return c.note(ctx, op, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return c.note(ctx, op, err)
		}
	}
	return c.note(ctx, op, rows.Err())
}

// row scans the first row; without one the error unwraps to parcel.ErrNotFound.
func (c session) row(ctx context.Context, op, text string, args []any, into ...any) error {
	found := false
	err := c.query(ctx, op, text, func(rows *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return rows.Scan(into...)
	}, args...)
	if err == nil && !found {
		// Nothing is wrong with a transaction that looked in vain.
		return c.s.fail(ctx, op, sql.ErrNoRows)
	}
	return err
}

// exec returns how many rows were touched.
func (c session) exec(ctx context.Context, op, text string, args ...any) (int64, error) {
	res, err := c.q.ExecContext(ctx, c.s.text(text), args...)
	if err != nil {
		return 0, c.note(ctx, op, err)
	}
	n, err := res.RowsAffected()
	return n, c.note(ctx, op, err)
}

// text is the statement in the store's dialect.
func (s *Store) text(portable string) string {
	if t, ok := s.texts.Load(portable); ok {
		return t.(string)
	}
	var t string
	switch s.dialect {
	case PostgreSQL:
		t = sqlx.Rebind(sqlx.DOLLAR, portable)
	default:
		t = strings.NewReplacer(
			"= ANY(?)", "IN (SELECT value FROM json_each(?))",
			" FOR UPDATE SKIP LOCKED", "", " FOR UPDATE OF d SKIP LOCKED", "", " FOR UPDATE", "",
		).Replace(portable)
	}
	// Texts of filters have no end, but each is as long as it is cheap to make.
	if !strings.Contains(portable, filterMark) {
		s.texts.Store(portable, t)
	}
	return t
}

// filterMark stands in texts that are put together from a filter.
const filterMark = "/*filter*/"

// list is the argument of "= ANY(?)".
func list[T ~string](s *Store, values []T) any {
	if s.dialect == PostgreSQL {
		plain := make(pq.StringArray, len(values))
		for i, v := range values {
			plain[i] = string(v)
		}
		return plain
	}
	return jsonText(values)
}

// numbers is the same for a list of integers.
func integers(s *Store, values []int64) any {
	if s.dialect == PostgreSQL {
		return pq.Int64Array(values)
	}
	return jsonText(values)
}

// batch is a statement over many rows: one statement with an array a column on
// PostgreSQL, where each statement is a round trip; a prepared statement a row
// on SQLite, where it is a function call.
type batch struct {
	// cols names the columns of {rows} and their types: text, bigint or bytea.
	cols string
	// sql contains {rows}; on SQLite it is run for each row apart.
	sql string
}

func (b batch) columns() (names, types []string) {
	for part := range strings.SplitSeq(b.cols, ",") {
		f := strings.Fields(part)
		names, types = append(names, f[0]), append(types, f[1])
	}
	return names, types
}

func (s *Store) batchText(b batch) string {
	if t, ok := s.texts.Load(b); ok {
		return t.(string)
	}
	names, types := b.columns()
	var rows strings.Builder
	if s.dialect == PostgreSQL {
		rows.WriteString("unnest(")
		for i, t := range types {
			if i > 0 {
				rows.WriteString(", ")
			}
			fmt.Fprintf(&rows, "?::%s[]", t)
		}
		rows.WriteString(") AS v(" + strings.Join(names, ", ") + ")")
	} else {
		rows.WriteString("(SELECT ? AS " + strings.Join(names, ", ? AS ") + ") AS v")
	}
	t := s.text(strings.Replace(b.sql, "{rows}", rows.String(), 1))
	s.texts.Store(b, t)
	return t
}

// each runs a batch of n rows, which fill writes column by column (string,
// int64 or []byte), and returns how many rows were touched.
func (c session) each(ctx context.Context, op string, b batch, n int, fill func(i int, row []any)) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	text := c.s.batchText(b)
	var touched int64
	err := c.s.arguments(b, n, fill, func(args []any) error {
		res, err := c.q.ExecContext(ctx, text, args...)
		if err != nil {
			return c.note(ctx, op, err)
		}
		k, err := res.RowsAffected()
		touched += k
		return c.note(ctx, op, err)
	})
	return touched, err
}

// eachRow is each for statements that return rows.
func (c session) eachRow(ctx context.Context, op string, b batch, n int, fill func(i int, row []any), scan func(rows *sql.Rows) error) error {
	if n == 0 {
		return nil
	}
	text := c.s.batchText(b)
	return c.s.arguments(b, n, fill, func(args []any) error {
		rows, err := c.q.QueryContext(ctx, text, args...)
		if err != nil {
			return c.note(ctx, op, err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return c.note(ctx, op, err)
			}
		}
		return c.note(ctx, op, rows.Err())
	})
}

// maxBatch bounds the rows of one statement on PostgreSQL, and with them the
// memory that their arrays take on both sides.
const maxBatch = 500

// arguments calls run with the arguments of each statement that n rows take:
// one for maxBatch rows on PostgreSQL, one for each row on SQLite.
func (s *Store) arguments(b batch, n int, fill func(i int, row []any), run func(args []any) error) error {
	if s.dialect == PostgreSQL {
		for from := 0; from < n; from += maxBatch {
			some := min(maxBatch, n-from)
			if err := run(b.arrays(some, func(i int, row []any) { fill(from+i, row) })); err != nil {
				return err
			}
		}
		return nil
	}
	names, _ := b.columns()
	row := make([]any, len(names))
	for i := range n {
		fill(i, row)
		if err := run(row); err != nil {
			return err
		}
	}
	return nil
}

// arrays turns rows into one array a column.
func (b batch) arrays(n int, fill func(i int, row []any)) []any {
	_, types := b.columns()
	row := make([]any, len(types))
	args := make([]any, len(types))
	for k, t := range types {
		switch t {
		case "bigint":
			args[k] = make(pq.Int64Array, n)
		case "bytea":
			args[k] = make(pq.ByteaArray, n)
		default:
			args[k] = make(pq.StringArray, n)
		}
	}
	for i := range n {
		fill(i, row)
		for k, v := range row {
			switch a := args[k].(type) {
			case pq.Int64Array:
				a[i] = v.(int64)
			case pq.ByteaArray:
				a[i] = v.([]byte)
			case pq.StringArray:
				a[i] = v.(string)
			}
		}
	}
	return args
}

// micros is how instants are stored.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant reads what micros wrote.
func instant(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// clean makes s valid UTF-8: PostgreSQL refuses anything else, and one bad byte
// of a carrier must not cost its whole payload.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// column is text for a column of its own: PostgreSQL refuses the zero byte
// there, which JSON escapes.
func column(s string) string { return strings.ReplaceAll(clean(s), "\x00", "\uFFFD") }

func columns(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = column(v)
	}
	return out
}

// jsonText writes a value whose types cannot fail to be written.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("storage: %T cannot be JSON: %v", v, err))
	}
	return string(b)
}
