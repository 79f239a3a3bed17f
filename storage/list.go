package storage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// maxPage bounds a page; what needs more walks pages.
const maxPage = 1000

// where puts a filter together. Every part is constant text with bound values.
type where struct {
	s     *Store
	scope Scope
	parts []string
	args  []any
}

// among adds "the shipment is one of those that these selects name". They do
// not refer to the row they are asked about, so that a rare thing is found by
// its own index and not by walking the list.
func (w *where) among(selections ...selection) {
	var texts []string
	for _, x := range selections {
		w.args = append(w.args, x.args...)
		if merchant, ok := w.scope.Merchant(); ok {
			x.text += " AND merchant_id = ?"
			w.args = append(w.args, merchant)
		}
		texts = append(texts, x.text)
	}
	w.parts = append(w.parts, "s.id IN ("+strings.Join(texts, " UNION ALL ")+")")
}

// selection is a select of ids from one table of merchants' rows, which ends in
// its condition; among adds the merchant.
type selection struct {
	text string
	args []any
}

func (w *where) and(part string, args ...any) {
	w.parts = append(w.parts, part)
	w.args = append(w.args, args...)
}

// anyOf adds "column is one of values", if there are any.
func anyOf[T ~string](w *where, column string, values []T) {
	if len(values) > 0 {
		w.and(column+" = ANY(?)", list(w.s, values))
	}
}

func (w *where) within(column string, r TimeRange) {
	if !r.From.IsZero() {
		w.and(column+" >= ?", micros(r.From))
	}
	if !r.To.IsZero() {
		w.and(column+" < ? AND "+column+" > 0", micros(r.To))
	}
}

// beginning is "column begins with prefix" as a range of an index. Columns
// compare by bytes, and nothing sorts after the last code point, which no text
// contains.
func beginning(column, prefix string) (part string, args []any) {
	return column + " >= ? AND " + column + " < ?", []any{prefix, prefix + "\U0010FFFF"}
}

func (w *where) text() string { return filterMark + strings.Join(w.parts, " AND ") }

// own adds the scope.
func (w *where) own() {
	if merchant, ok := w.scope.Merchant(); ok {
		w.and("s.merchant_id = ?", merchant)
	} else {
		w.and("1 = 1")
	}
}

// carriers adds "has a leg of any of these carriers".
func (w *where) carriers(in string, carriers []string) {
	if len(carriers) == 0 {
		return
	}
	var or []string
	for _, c := range carriers {
		or = append(or, in+` LIKE ? ESCAPE '\'`)
		w.args = append(w.args, "% "+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(column(c))+" %")
	}
	w.parts = append(w.parts, "("+strings.Join(or, " OR ")+")")
}

func (w *where) lanes(lanes []parcel.Lane) {
	if len(lanes) == 0 {
		return
	}
	var or []string
	for _, l := range lanes {
		or = append(or, "(s.origin = ? AND s.destination = ?)")
		w.args = append(w.args, string(l.Origin), string(l.Destination))
	}
	w.parts = append(w.parts, "("+strings.Join(or, " OR ")+")")
}

func (w *where) shipments(f *ShipmentFilter) {
	anyOf(w, "s.id", f.IDs)
	anyOf(w, "s.reference", columns(f.References))
	if len(f.Orders) > 0 {
		// The second part is what the partial index asks for.
		w.and("s.order_ref = ANY(?) AND s.order_ref <> ''", list(w.s, columns(f.Orders)))
	}
	if len(f.Numbers) > 0 {
		w.among(selection{"SELECT shipment_id FROM holders WHERE number = ANY(?)", []any{list(w.s, columns(f.Numbers))}})
	}
	if f.Search != "" {
		prefix := column(f.Search)
		reference, a := beginning("reference", prefix)
		order, b := beginning("order_ref", prefix)
		number, c := beginning("number", prefix)
		w.among(
			selection{"SELECT id FROM shipments WHERE " + reference, a},
			selection{"SELECT id FROM shipments WHERE order_ref <> '' AND " + order, b},
			selection{"SELECT shipment_id FROM holders WHERE " + number, c},
		)
	}
	if len(f.Tags) > 0 {
		w.among(selection{"SELECT shipment_id FROM shipment_tags WHERE tag = ANY(?)", []any{list(w.s, columns(f.Tags))}})
	}
	w.carriers("s.carriers", f.Carriers)
	w.lanes(f.Lanes)
	anyOf(w, "s.destination", f.Destinations)
	anyOf(w, "s.route", columns(f.Routes))
	anyOf(w, "s.stage", f.Stages)
	if len(f.Milestones) > 0 {
		ranks := make([]int64, len(f.Milestones))
		for i, m := range f.Milestones {
			ranks[i] = int64(m.Rank())
		}
		w.and("s.milestone = ANY(?)", integers(w.s, ranks))
	}
	if f.Open != nil {
		w.and("s.open = ?", bit(*f.Open))
	}
	anyOf(w, "s.outcome", f.Outcomes)
	if f.AnyException {
		w.and("s.exceptions <> 0")
	}
	if len(f.Exceptions) > 0 {
		var mask int64
		for _, k := range f.Exceptions {
			mask |= exceptionBits[k]
		}
		w.and("s.exceptions <> 0 AND (s.exceptions & ?) <> 0", mask)
	}
	if len(f.Goods) > 0 {
		var mask int64
		for _, a := range f.Goods {
			mask |= goodsBits[a]
		}
		w.and("(s.goods & ?) = ?", mask, mask)
	}
	if f.PromisedFrom != "" {
		w.and("s.promised_for >= ?", f.PromisedFrom)
	}
	if f.PromisedTo != "" {
		w.and("s.promised_for <= ? AND s.promised_for <> ''", f.PromisedTo)
	}
	w.within("s.registered_at", f.Registered)
	w.within("s.updated_at", f.Updated)
	w.within("s.delivered_at", f.Delivered)
	if !f.LastEventBefore.IsZero() {
		before := micros(f.LastEventBefore)
		w.and("s.open = 1 AND s.last_event_at < ? AND (s.last_event_at > 0 OR s.registered_at < ?)", before, before)
	}
	if !f.LegStartedBefore.IsZero() {
		w.and("s.leg_started_at > 0 AND s.leg_started_at < ?", micros(f.LegStartedBefore))
	}
}

// column is the sorted column and whether it is text.
func (f OrderField) column() (name string, isText, ok bool) {
	switch f {
	case ByRegisteredAt, "":
		return "registered_at", false, true
	case ByUpdatedAt:
		return "updated_at", false, true
	case ByLastEventAt:
		return "last_event_at", false, true
	case ByPromisedFor:
		return "promised_for", true, true
	}
	return "", false, false
}

// KeyOf is the place of a shipment in an order, from which a page goes on. It
// is the place the shipment has now: one that moves while a reader pages may be
// seen twice or not at all, as in any list ordered by something that changes.
func KeyOf(o ShipmentOrder, s *parcel.Shipment) PageKey {
	k := PageKey{ID: s.ID, Value: "0"}
	switch o.Field {
	case ByUpdatedAt:
		k.Value = strconv.FormatInt(micros(s.UpdatedAt), 10)
	case ByLastEventAt:
		if last, ok := s.Journey.LatestEvent(); ok {
			k.Value = strconv.FormatInt(micros(last.Occurred.At), 10)
		}
	case ByPromisedFor:
		promise, _ := s.FirstPromise()
		k.Value = promise.By
	default:
		k.Value = strconv.FormatInt(micros(s.RegisteredAt), 10)
	}
	return k
}

// ListShipments reads a page of the scope's shipments with their trackings, by
// key and in one statement, so that the last page costs what the first does.
// The error unwraps to parcel.ErrInvalid for an order, key or size that cannot
// be.
func (s *Store) ListShipments(ctx context.Context, scope Scope, f ShipmentFilter, o ShipmentOrder, p Page) (ShipmentPage, error) {
	const op = "list shipments"
	sorted, isText, ok := o.Field.column()
	switch {
	case !ok:
		return ShipmentPage{}, fmt.Errorf("storage: %s: order %q: %w", op, o.Field, parcel.ErrInvalid)
	case (p.First > 0) == (p.Last > 0) || p.First < 0 || p.Last < 0 || p.First > maxPage || p.Last > maxPage:
		return ShipmentPage{}, fmt.Errorf("storage: %s: want First or Last, 1 to %d: %w", op, maxPage, parcel.ErrInvalid)
	}
	if scope.nobody() {
		return ShipmentPage{}, nil
	}
	w := where{s: s, scope: scope}
	w.own()
	w.shipments(&f)
	backward := p.Last > 0
	for _, edge := range []struct {
		key     *PageKey
		towards bool // the items wanted come after it in the list
	}{{p.After, true}, {p.Before, false}} {
		if edge.key == nil {
			continue
		}
		var value any = edge.key.Value
		if !isText {
			n, err := strconv.ParseInt(edge.key.Value, 10, 64)
			if err != nil {
				return ShipmentPage{}, fmt.Errorf("storage: %s: key %q: %w", op, edge.key.Value, parcel.ErrInvalid)
			}
			value = n
		}
		than := "<"
		if edge.towards != o.Descending {
			than = ">"
		}
		// A row comparison is one range of the index.
		w.and("(s."+sorted+", s.id) "+than+" (?, ?)", value, edge.key.ID)
	}
	way := "ASC"
	if o.Descending != backward {
		way = "DESC"
	}
	limit := max(p.First, p.Last)
	// The limit, a number of ours, stands in the text: bound, PostgreSQL would
	// not know that a page is short, and would plan each page anew.
	text := `SELECT ` + loadColumns + `, ` + packedTrackings + ` FROM shipments s WHERE ` + w.text() +
		` ORDER BY s.` + sorted + ` ` + way + `, s.id ` + way + ` LIMIT ` + strconv.Itoa(limit+1)
	var page ShipmentPage
	err := s.reading().load(ctx, op, text, false, func(l *Loaded) { page.Items = append(page.Items, l) },
		w.args...)
	if err != nil {
		return ShipmentPage{}, err
	}
	more := len(page.Items) > limit
	if more {
		page.Items = page.Items[:limit]
	}
	if backward {
		slices.Reverse(page.Items)
		page.HasPrevious, page.HasNext = more, p.Before != nil
	} else {
		page.HasNext, page.HasPrevious = more, p.After != nil
	}
	return page, nil
}

// CountShipments counts the scope's shipments up to max (at least 1); exact is
// false if there are more than that, and n is then max.
func (s *Store) CountShipments(ctx context.Context, scope Scope, f ShipmentFilter, max int) (n int, exact bool, err error) {
	if max < 1 {
		return 0, false, fmt.Errorf("storage: count shipments: up to %d: %w", max, parcel.ErrInvalid)
	}
	if scope.nobody() {
		return 0, true, nil
	}
	w := where{s: s, scope: scope}
	w.own()
	w.shipments(&f)
	err = s.reading().row(ctx, "count shipments",
		`SELECT count(*) FROM (SELECT 1 FROM shipments s WHERE `+w.text()+` LIMIT ?) AS counted`,
		append(w.args, int64(max)+1), &n)
	if err != nil {
		return 0, false, err
	}
	if n > max {
		return max, false, nil
	}
	return n, true, nil
}
