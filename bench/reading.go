package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
	"github.com/milepost-gateway/milepost/storage"
)

// The questions, as clients of the gateway ask them. The fields of an event and
// of a leg are those of the plain tables.
const (
	legFields   = `legs(first: 10) { sequence stage state trackingNumber carrier { code } }`
	eventFields = `id code stage occurredAt local { text offset certainty } place { country city } original { code text }`

	timelineQuery = `query Timeline($id: ID!) { shipment(id: $id) { id reference milestone outcome registeredAt ` + legFields +
		` timeline(first: 50) { nodes { ` + eventFields + ` } } } }`
	pageQuery = `query Page($after: String) { shipments(first: 50, after: $after, orderBy: { field: REGISTERED_AT, direction: DESC }) { nodes { id reference milestone outcome registeredAt ` +
		legFields + ` latestEvent { ` + eventFields + ` } } } }`
	listQuery = `query List($after: String) { shipments(first: 50, after: $after, orderBy: { field: REGISTERED_AT, direction: DESC }) { nodes { id registeredAt } pageInfo { hasNextPage endCursor } } }`
)

// Bars: how much of the plain side's rate the gateway sets itself to reach.
const (
	timelineBar = 0.8
	pageBar     = 0.5
	writingBar  = 0.5
)

// Reading compares timelines and pages, one after the other, over the same
// seeded shipments.
func Reading(ctx context.Context, o Options) (all []Comparison, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	w, err := openWorld(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.seed(ctx); err != nil {
		return nil, err
	}
	if err := w.plainSide(ctx); err != nil {
		return nil, err
	}

	ours, plain := w.timelineTargets()
	if err := sameAnswers(ctx, ours, plain, "shipment"); err != nil {
		return nil, err
	}
	c, err := compare(ctx, o, cpuMeter{w.db}, Comparison{Name: fmt.Sprintf("timeline of one of %d shipments (5 legs, 12 events)", len(w.ids)), Unit: "requests", Bar: timelineBar}, ours, plain)
	if err != nil {
		return nil, err
	}
	all = append(all, c)

	ours, plain = w.pageTargets()
	if err := sameAnswers(ctx, ours, plain, "shipments"); err != nil {
		return all, err
	}
	c, err = compare(ctx, o, cpuMeter{w.db}, Comparison{Name: fmt.Sprintf("page of 50 of %d shipments with legs and latest event", len(w.ids)), Unit: "requests", Bar: pageBar}, ours, plain)
	if err != nil {
		return all, err
	}
	return append(all, c), nil
}

// world is what is measured: a gateway and a plain server over one database.
type world struct {
	o        Options
	url      string
	stack    *Stack
	db       *sql.DB // of the plain side
	merchant string
	secret   string
	closers  []func() error

	oursAddr, plainAddr string
	ids                 []string // of all shipments
	full                []string // of those with 5 legs and 12 events
	pages               []place
}

// place is where a page begins: behind it, on both sides.
type place struct {
	cursor       string
	registeredAt string
	ulid         string
}

func openWorld(ctx context.Context, o Options, accounts []ingest.Account) (w *world, err error) {
	w = &world{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	databaseURL, drop, err := scratch(ctx, o.Postgres)
	if err != nil {
		return w, err
	}
	w.url = databaseURL
	w.closers = append(w.closers, drop)
	if w.stack, err = o.Wire(ctx, databaseURL, accounts); err != nil {
		return w, err
	}
	w.closers = append(w.closers, w.stack.Close)
	if w.db, err = sql.Open("postgres", databaseURL); err != nil {
		return w, err
	}
	w.db.SetMaxOpenConns(16)
	w.db.SetMaxIdleConns(16)
	w.closers = append(w.closers, w.db.Close)
	addr, stop, err := serve(w.stack.Handler)
	if err != nil {
		return w, err
	}
	w.oursAddr = addr
	w.closers = append(w.closers, func() error { stop(); return nil })

	now := o.Wall.Now()
	w.merchant = newID(now)
	if err := w.stack.Store.CreateMerchant(ctx, storage.Merchant{ID: w.merchant, Name: "bench", CreatedAt: now}); err != nil {
		return w, err
	}
	secret, prefix, hash := gateway.NewKey()
	w.secret = secret
	key := storage.Key{ID: newID(now), MerchantID: w.merchant, Name: "bench", Prefix: prefix, Hash: hash, CreatedAt: now}
	for _, s := range graph.Scopes() {
		key.Scopes = append(key.Scopes, string(s))
	}
	return w, w.stack.Store.PutKey(ctx, key)
}

// close ends everything, last opened first.
func (w *world) close() (err error) {
	for i := len(w.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, w.closers[i]())
	}
	return err
}

// seed registers shipments of a simulated world with their history, by the one
// road in.
func (w *world) seed(ctx context.Context) error {
	bulk := sim.Bulk{Seed: w.o.Seed, Until: w.o.Wall.Now().Truncate(time.Second), Past: 400 * 24 * time.Hour}
	for at := 0; at < w.o.Shipments; {
		batch := make([]ingest.History, 0, ingest.MaxRegistrations)
		for ; at < w.o.Shipments && len(batch) < cap(batch); at++ {
			c, told := bulk.Shipment(at)
			h := ingest.History{Registration: c.Registration, Source: parcel.SourceSimulator, Final: true}
			for i := range told {
				h.Events = append(h.Events, told[i].Observation)
				h.ReceivedAt = append(h.ReceivedAt, told[i].ReceivedAt)
			}
			batch = append(batch, h)
		}
		if _, err := w.stack.Ingest.RegisterWithHistory(ctx, w.merchant, batch); err != nil {
			return fmt.Errorf("bench: seed: %w", err)
		}
		w.o.Progress(fmt.Sprintf("seeded %d of %d shipments", at, w.o.Shipments))
	}
	_, err := w.db.ExecContext(ctx, `VACUUM ANALYZE`)
	return err
}

// plainSide reads every shipment through the gateway, puts what it shows into
// the plain tables, and opens the plain server on them.
func (w *world) plainSide(ctx context.Context) error {
	after := ""
	for {
		var list struct {
			Shipments struct {
				Nodes    []struct{ ID, RegisteredAt string }
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}
		variables := map[string]any{}
		if after != "" {
			variables["after"] = after
		}
		if err := w.ask(ctx, listQuery, variables, &list); err != nil {
			return err
		}
		for _, n := range list.Shipments.Nodes {
			w.ids = append(w.ids, n.ID)
		}
		if !list.Shipments.PageInfo.HasNextPage {
			break
		}
		after = list.Shipments.PageInfo.EndCursor
		last := list.Shipments.Nodes[len(list.Shipments.Nodes)-1]
		w.pages = append(w.pages, place{after, last.RegisteredAt, ulidOf(last.ID)})
	}
	if len(w.pages) > 1 {
		w.pages = w.pages[:len(w.pages)-1] // behind the last, a page may be short
	}
	all := make([]shown, 0, len(w.ids))
	for i, id := range w.ids {
		var one struct{ Shipment *shown }
		if err := w.ask(ctx, timelineQuery, map[string]any{"id": id}, &one); err != nil {
			return err
		}
		if one.Shipment == nil {
			return fmt.Errorf("bench: shipment %s is listed and cannot be read", id)
		}
		if len(one.Shipment.Legs) == 5 && len(one.Shipment.Timeline.Nodes) == 12 {
			w.full = append(w.full, id)
		}
		all = append(all, *one.Shipment)
		if i%1000 == 0 {
			w.o.Progress(fmt.Sprintf("copied %d of %d shipments to plain tables", i, len(w.ids)))
		}
	}
	if len(w.full) == 0 {
		return errors.New("bench: none of the shipments has 5 legs and 12 events; seed more")
	}
	if err := fillPlain(ctx, w.db, all); err != nil {
		return fmt.Errorf("bench: fill plain tables: %w", err)
	}
	if _, err := w.db.ExecContext(ctx, `VACUUM ANALYZE`); err != nil {
		return err
	}
	p, err := newPlainServer(ctx, w.db)
	if err != nil {
		return err
	}
	addr, stop, err := serve(p)
	if err != nil {
		return err
	}
	w.plainAddr = addr
	w.closers = append(w.closers, func() error { stop(); return nil })
	return nil
}

// timelineTargets ask for random shipments of the size that is measured.
func (w *world) timelineTargets() (ours, plain target) {
	pick := func(i int) string { return w.full[scatter(i)%len(w.full)] }
	ours = target{w.oursAddr, func(to []byte, i int) []byte {
		return w.post(to, timelineQuery, `{"id":"`+pick(i)+`"}`)
	}}
	plain = target{w.plainAddr, func(to []byte, i int) []byte {
		return get(to, "/shipments/"+ulidOf(pick(i)))
	}}
	return ours, plain
}

// pageTargets ask for random pages.
func (w *world) pageTargets() (ours, plain target) {
	pick := func(i int) place { return w.pages[scatter(i)%len(w.pages)] }
	ours = target{w.oursAddr, func(to []byte, i int) []byte {
		return w.post(to, pageQuery, `{"after":"`+pick(i).cursor+`"}`)
	}}
	plain = target{w.plainAddr, func(to []byte, i int) []byte {
		p := pick(i)
		return get(to, "/shipments?before="+url.QueryEscape(p.registeredAt)+"&id="+p.ulid)
	}}
	return ours, plain
}

// scatter spreads numbers over all that there are, the same for both sides.
func scatter(i int) int {
	return int(rand.New(rand.NewPCG(uint64(i), 7)).Uint32() >> 1)
}

// post writes a GraphQL request as a client would.
func (w *world) post(to []byte, query, variables string) []byte {
	length := len(`{"query":"","variables":}`) + len(query) + len(variables)
	to = append(to, "POST /graphql HTTP/1.1\r\nHost: bench\r\nAccept: application/graphql-response+json\r\nContent-Type: application/json\r\nAuthorization: Bearer "...)
	to = append(append(to, w.secret...), "\r\nContent-Length: "...)
	to = append(strconv.AppendInt(to, int64(length), 10), "\r\n\r\n"...)
	return append(append(append(append(append(to, `{"query":"`...), query...), `","variables":`...), variables...), '}')
}

func get(to []byte, path string) []byte {
	return append(append(append(to, "GET "...), path...), " HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n"...)
}

// ask runs a query on the gateway and decodes its data.
func (w *world) ask(ctx context.Context, query string, variables map[string]any, into any) error {
	encoded, err := json.Marshal(variables)
	if err != nil {
		return err
	}
	body, err := once(ctx, target{w.oursAddr, func(to []byte, _ int) []byte { return w.post(to, query, string(encoded)) }}, 0)
	if err != nil {
		return fmt.Errorf("bench: ask: %w", err)
	}
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("bench: ask: %w", err)
	}
	if answer.Errors != nil {
		return fmt.Errorf("bench: the gateway answers %.500s", answer.Errors)
	}
	return json.Unmarshal(answer.Data, into)
}

// sameAnswers holds some answers of both sides against each other.
func sameAnswers(ctx context.Context, ours, plain target, field string) error {
	for i := range 25 {
		a, err := once(ctx, ours, i)
		if err != nil {
			return err
		}
		b, err := once(ctx, plain, i)
		if err != nil {
			return err
		}
		var x struct {
			Data map[string]any `json:"data"`
		}
		var y map[string]any
		if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
			return fmt.Errorf("bench: %w in %.200s or %.200s", err, a, b)
		}
		if x.Data[field] == nil || !same(x.Data[field], y[field]) {
			return fmt.Errorf("bench: both sides must answer the same, but\n%s\n%s", bytes.TrimSpace(a), bytes.TrimSpace(b))
		}
	}
	return nil
}

// same compares JSON, with instants by what they mean.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if v, ok := b[k]; !ok || !same(a[k], v) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case string:
		if b, ok := b.(string); ok && a != b {
			x, errX := time.Parse(time.RFC3339Nano, a)
			y, errY := time.Parse(time.RFC3339Nano, b)
			return errX == nil && errY == nil && x.Equal(y)
		}
	}
	return reflect.DeepEqual(a, b)
}

// ulidOf takes the ULID out of a global id.
func ulidOf(id string) string {
	text, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return ""
	}
	_, ulid, _ := strings.Cut(string(text), ":")
	return ulid
}
