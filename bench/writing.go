package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/milepost-gateway/milepost/carriers"
	_ "github.com/milepost-gateway/milepost/carriers/all" // its payloads are taken in
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// postal is the carrier whose payloads are taken in.
	postal = "upu-postal"
	// eventsEach is how many scans one payload tells.
	eventsEach = 4
	// takers hand payloads in at the same time, each so many at once.
	takers     = 4
	takeAtOnce = 64
)

// Writing compares taking payloads in with a loader that writes the rows which
// came of them: payloads, events and change log, into tables with the same
// columns and indexes, in the transactions in which the gateway wrote them,
// each durable before the next. What the gateway does besides is its price:
// it decodes, deduplicates, ties to shipments, folds them and keeps the result.
func Writing(ctx context.Context, o Options) (c Comparison, err error) {
	if o, err = o.withDefaults(); err != nil {
		return c, err
	}
	spec, err := carriers.Lookup(postal)
	if err != nil {
		return c, err
	}
	adapter, err := spec.New(carriers.Env{Account: "bench", Settings: map[string]string{}, Wall: o.Wall, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return c, err
	}
	w, err := openWorld(ctx, o, []ingest.Account{{Name: "bench", Spec: spec, Carrier: adapter}})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	l, err := newLoader(ctx, w.db)
	if err != nil {
		return c, err
	}
	meter := cpuMeter{w.db}
	each := max(1, o.Payloads/o.Load.Rounds)
	c = Comparison{Name: fmt.Sprintf("events taken in, %d payloads of %d each", each*o.Load.Rounds, eventsEach), Unit: "events", Bar: writingBar}
	for i := range o.Load.Rounds {
		o.Progress(fmt.Sprintf("%s: round %d of %d", c.Name, i+1, o.Load.Rounds))
		ours, err := w.takeIn(ctx, meter, i*each, each)
		if err != nil {
			return c, err
		}
		plain, err := l.repeat(ctx, meter, o)
		if err != nil {
			return c, err
		}
		if plain.Requests != ours.Requests {
			return c, fmt.Errorf("bench: %d events were told and %d rows written", ours.Requests, plain.Requests)
		}
		c.Ours, c.Plain = append(c.Ours, ours), append(c.Plain, plain)
	}
	return c, nil
}

// takeIn registers shipments, which is not measured, and takes in a payload
// for each, which is.
func (w *world) takeIn(ctx context.Context, meter cpuMeter, first, n int) (Rate, error) {
	now := w.o.Wall.Now()
	payloads := make([]parcel.Payload, n)
	for at := 0; at < n; {
		batch := make([]parcel.Registration, 0, ingest.MaxRegistrations)
		for ; at < n && len(batch) < cap(batch); at++ {
			number, err := postalNumber(first + at)
			if err != nil {
				return Rate{}, err
			}
			batch = append(batch, parcel.Registration{Facts: parcel.Facts{
				Reference: "bench-" + number, Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "RU"},
				Legs: []parcel.DeclaredLeg{{Carrier: postal, Number: number}}, RegisteredAt: now.AddDate(0, 0, -60),
			}})
			payloads[at] = postalPayload(number, now)
		}
		if _, err := w.stack.Ingest.Register(ctx, w.merchant, batch); err != nil {
			return Rate{}, fmt.Errorf("bench: register: %w", err)
		}
	}
	if _, err := w.db.ExecContext(ctx, `CHECKPOINT`); err != nil {
		w.o.Progress("no checkpoint before the round: " + err.Error()) // takes a superuser
	}
	before, begin := meter.total(ctx), w.o.Wall.Now()
	var group sync.WaitGroup
	errs := make([]error, takers)
	for t := range takers {
		group.Go(func() {
			for at := t * takeAtOnce; at < n && errs[t] == nil; at += takers * takeAtOnce {
				_, errs[t] = w.stack.Ingest.Accept(ctx, payloads[at:min(n, at+takeAtOnce)]...)
			}
		})
	}
	group.Wait()
	r := Rate{Requests: n * eventsEach, Took: w.o.Wall.Now().Sub(begin)}
	if after := meter.total(ctx); before > 0 && after > before {
		r.CPU = after - before
	}
	return r, errors.Join(errs...)
}

func postalNumber(i int) (string, error) {
	serial := fmt.Sprintf("%08d", i)
	digit, err := parcel.CheckDigit(serial)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("RK%s%dCN", serial, digit), nil
}

// postalPayload tells four scans of one number, in the postal form.
func postalPayload(number string, now time.Time) parcel.Payload {
	var b strings.Builder
	fmt.Fprintf(&b, `[{"ID":%q,"OriginCountryCd":"CN","DestinationCountryCd":"RU","Events":[`, number)
	for i, code := range [eventsEach]string{"EMA", "EMC", "EMD", "EMI"} {
		if i > 0 {
			b.WriteByte(',')
		}
		at := now.AddDate(0, 0, -40+9*i).Truncate(time.Second)
		fmt.Fprintf(&b, `{"EventCd":%q,"EventNm":"scan","EventDT":"/Date(%d+0800)/","EventLocation":"CNCANA"}`, code, at.UnixMilli())
	}
	b.WriteString(`]}]`)
	return parcel.Payload{Carrier: postal, Account: "bench", Kind: "ptt", Source: parcel.SourceWebhook, Body: []byte(b.String()),
		Numbers: []string{number}, ReceivedAt: now}
}

// loader writes again what the gateway wrote.
type loader struct {
	db     *sql.DB
	tables []loadedTable // payloads first: it tells which transactions count
	mark   string        // the last payload that was copied
}

// loadedTable is a table of the gateway that has a copy.
type loadedTable struct {
	name           string
	columns, types []string
}

func newLoader(ctx context.Context, db *sql.DB) (*loader, error) {
	l := &loader{db: db, tables: []loadedTable{{name: "payloads"}, {name: "events"}, {name: "changes"}}}
	if _, err := db.ExecContext(ctx, `CREATE SCHEMA copies`); err != nil {
		return nil, err
	}
	for i := range l.tables {
		t := &l.tables[i]
		if _, err := db.ExecContext(ctx, `CREATE TABLE copies.`+t.name+` (LIKE public.`+t.name+` INCLUDING ALL)`); err != nil {
			return nil, err
		}
		rows, err := db.QueryContext(ctx, `SELECT column_name, data_type FROM information_schema.columns
			WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, t.name)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var column, kind string
			if err := rows.Scan(&column, &kind); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			t.columns, t.types = append(t.columns, column), append(t.types, kind)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// column is the values of one column, to be bound as an array.
type column interface {
	// scan gives where the next row's value goes.
	scan() any
	bound() any
}

type texts struct{ all []string }

func (c *texts) scan() any  { c.all = append(c.all, ""); return &c.all[len(c.all)-1] }
func (c *texts) bound() any { return pq.Array(c.all) }

type numbers struct{ all []int64 }

func (c *numbers) scan() any  { c.all = append(c.all, 0); return &c.all[len(c.all)-1] }
func (c *numbers) bound() any { return pq.Array(c.all) }

type blobs struct{ all [][]byte }

func (c *blobs) scan() any  { c.all = append(c.all, nil); return &c.all[len(c.all)-1] }
func (c *blobs) bound() any { return pq.Array(c.all) }

// rows are what one transaction wrote to one table, column by column.
type rows []column

func (t *loadedTable) newRows() (rows, error) {
	r := make(rows, len(t.types))
	for i, kind := range t.types {
		switch kind {
		case "text":
			r[i] = &texts{}
		case "bigint", "integer", "smallint":
			r[i] = &numbers{}
		case "bytea":
			r[i] = &blobs{}
		default:
			return nil, fmt.Errorf("column %s is of type %s, which the loader does not know", t.columns[i], kind)
		}
	}
	return r, nil
}

// ignored scans a column away.
type ignored struct{}

// Scan implements sql.Scanner.
func (ignored) Scan(any) error { return nil }

// written is what the gateway wrote to all tables.
type written struct {
	order  []int64 // transactions, by their numbers
	tables []map[int64]rows
}

// read gives what came of the payloads that were taken in since the last time,
// by the transactions that wrote it: PostgreSQL keeps their number with every
// row.
func (l *loader) read(ctx context.Context) (w written, err error) {
	for i := range l.tables {
		t := &l.tables[i]
		condition, argument := `xmin::text::bigint = ANY($1)`, any(pq.Array(w.order))
		if i == 0 {
			condition, argument = `id > $1`, l.mark
		}
		found, err := l.db.QueryContext(ctx, `SELECT xmin::text::bigint, `+strings.Join(t.columns, ", ")+` FROM public.`+t.name+` WHERE `+condition+` ORDER BY 1`, argument)
		if err != nil {
			return w, err
		}
		by := map[int64]rows{}
		for found.Next() {
			// The transaction is known only once the row is read: read it
			// twice, first for that alone.
			var transaction int64
			into := []any{&transaction}
			for range t.columns {
				into = append(into, ignored{})
			}
			if err := found.Scan(into...); err != nil {
				return w, errors.Join(err, found.Close())
			}
			if by[transaction] == nil {
				if by[transaction], err = t.newRows(); err != nil {
					return w, errors.Join(err, found.Close())
				}
				if i == 0 {
					w.order = append(w.order, transaction)
				}
			}
			for c, column := range by[transaction] {
				into[c+1] = column.scan()
			}
			if err := found.Scan(into...); err != nil {
				return w, errors.Join(err, found.Close())
			}
		}
		if err := errors.Join(found.Err(), found.Close()); err != nil {
			return w, err
		}
		w.tables = append(w.tables, by)
	}
	return w, l.db.QueryRowContext(ctx, `SELECT max(id) FROM public.payloads`).Scan(&l.mark)
}

// repeat writes again what the gateway wrote since the last time. Only the
// writing is measured.
func (l *loader) repeat(ctx context.Context, meter cpuMeter, o Options) (rate Rate, err error) {
	w, err := l.read(ctx)
	if err != nil {
		return rate, fmt.Errorf("bench: read what was written: %w", err)
	}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return rate, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	statements := make([]*sql.Stmt, len(l.tables))
	for i := range l.tables {
		t := &l.tables[i]
		arrays := make([]string, len(t.columns))
		for c, kind := range t.types {
			arrays[c] = fmt.Sprintf("$%d::%s[]", c+1, kind)
		}
		statements[i], err = conn.PrepareContext(ctx, `INSERT INTO copies.`+t.name+` (`+strings.Join(t.columns, ", ")+`) SELECT * FROM unnest(`+strings.Join(arrays, ", ")+`)`)
		if err != nil {
			return rate, fmt.Errorf("bench: prepare to write %s: %w", t.name, err)
		}
		defer statements[i].Close()
	}
	before, begin := meter.total(ctx), o.Wall.Now()
	for _, transaction := range w.order {
		n, err := l.write(ctx, conn, statements, w, transaction)
		if err != nil {
			return rate, err
		}
		rate.Requests += n
	}
	rate.Took = o.Wall.Now().Sub(begin)
	if after := meter.total(ctx); before > 0 && after > before {
		rate.CPU = after - before
	}
	return rate, nil
}

// write is one transaction of the loader; it gives the number of events.
func (l *loader) write(ctx context.Context, conn *sql.Conn, statements []*sql.Stmt, w written, transaction int64) (events int, err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	for i := range l.tables {
		all := w.tables[i][transaction]
		if all == nil {
			continue
		}
		values := make([]any, len(all))
		for c := range all {
			values[c] = all[c].bound()
		}
		result, err := tx.StmtContext(ctx, statements[i]).ExecContext(ctx, values...)
		if err != nil {
			return 0, errors.Join(fmt.Errorf("bench: write %s: %w", l.tables[i].name, err), tx.Rollback())
		}
		if l.tables[i].name == "events" {
			n, err := result.RowsAffected()
			if err != nil {
				return 0, errors.Join(err, tx.Rollback())
			}
			events = int(n)
		}
	}
	return events, tx.Commit()
}
