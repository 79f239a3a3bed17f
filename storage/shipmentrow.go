package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// stateVersion is the version of what the state column holds; rows of another
// are folded again.
var stateVersion = strconv.Itoa(codecVersion) + "/" + parcel.RuleVersion

// Bits of the exceptions and goods columns. The order is stored: kinds are only
// added at the end.
var (
	exceptionBits = bitsOf([]parcel.ExceptionKind{
		parcel.ExceptionCustomsHeld, parcel.ExceptionCarrierHeld, parcel.ExceptionDelayed, parcel.ExceptionActionRequired,
		parcel.ExceptionAttemptFailed, parcel.ExceptionAddressProblem, parcel.ExceptionDamaged, parcel.ExceptionLostSuspected,
		parcel.ExceptionReturning, parcel.ExceptionNoFirstScan, parcel.ExceptionStalled, parcel.ExceptionSilent,
		parcel.ExceptionPromiseAtRisk, parcel.ExceptionPromiseMissed,
	})
	goodsBits = bitsOf([]parcel.GoodsAttribute{
		parcel.GoodsBattery, parcel.GoodsLiquid, parcel.GoodsMagnetic, parcel.GoodsPowder,
		parcel.GoodsFood, parcel.GoodsFragile, parcel.GoodsBranded, parcel.GoodsBlade,
	})
)

func bitsOf[T comparable](kinds []T) map[T]int64 {
	bits := make(map[T]int64, len(kinds))
	for i, k := range kinds {
		bits[k] = 1 << i
	}
	return bits
}

// putColumns are the columns of shipments in the order in which putRow fills
// them.
const putColumns = "merchant_id text, id text, reference text, order_ref text, origin text, destination text, postcode text, route text, carriers text, goods bigint, " +
	"milestone bigint, outcome text, open bigint, stage text, exceptions bigint, registered_at bigint, created_at bigint, updated_at bigint, " +
	"last_event_at bigint, leg_started_at bigint, delivered_at bigint, promised_for text, change_position bigint, rule_version text, facts text, state bytea"

const (
	insertShipments = `INSERT INTO shipments (merchant_id, id, reference, order_ref, origin, destination, postcode, route, carriers, goods,
	milestone, outcome, open, stage, exceptions, registered_at, created_at, updated_at,
	last_event_at, leg_started_at, delivered_at, promised_for, change_position, rule_version, facts, state)
SELECT * FROM {rows}`
	// The reference of a shipment is its name and does not change.
	updateShipments = `UPDATE shipments SET order_ref = v.order_ref, origin = v.origin, destination = v.destination, postcode = v.postcode, route = v.route,
	carriers = v.carriers, goods = v.goods, milestone = v.milestone, outcome = v.outcome, open = v.open, stage = v.stage,
	exceptions = v.exceptions, registered_at = v.registered_at, updated_at = v.updated_at, last_event_at = v.last_event_at,
	leg_started_at = v.leg_started_at, delivered_at = v.delivered_at, promised_for = v.promised_for,
	change_position = v.change_position, rule_version = v.rule_version, facts = v.facts, state = v.state
FROM {rows}
WHERE shipments.merchant_id = v.merchant_id AND shipments.id = v.id`
)

// putRow fills one row of putColumns.
func putRow(s *parcel.Shipment, e *encoder, row []any) {
	j := &s.Journey
	var exceptions, goods, lastEvent, legStarted, delivered int64
	for x := range j.OpenExceptions {
		exceptions |= exceptionBits[x.Kind]
	}
	for _, a := range s.Goods.Attributes {
		goods |= goodsBits[a]
	}
	if last, ok := j.LatestEvent(); ok {
		lastEvent = micros(last.Occurred.At)
	}
	if j.CurrentLeg >= 0 {
		legStarted = micros(j.Legs[j.CurrentLeg].Start.At)
	}
	if j.Outcome == parcel.OutcomeDelivered && j.OutcomeEvent >= 0 {
		delivered = micros(j.Events[j.OutcomeEvent].Occurred.At)
	}
	promise, _ := s.FirstPromise()
	for i, v := range [...]any{
		s.MerchantID, s.ID, column(s.Reference), column(s.Order), string(s.Origin.Country), string(s.Destination.Country), parcel.FoldPostcode(s.Destination.Postcode), column(s.Route), carriersOf(s), goods,
		int64(j.Milestone.Rank()), string(j.Outcome), bit(j.Outcome == ""), string(stageOf(j)), exceptions,
		micros(s.RegisteredAt), micros(s.CreatedAt), micros(s.UpdatedAt), lastEvent, legStarted, delivered,
		promise.By, s.ChangePosition, stateVersion, jsonText(&s.Facts), e.encodeState(nil, s),
	} {
		row[i] = v
	}
}

// carriersOf lists the carriers of all legs, declared or derived, each between
// two spaces.
func carriersOf(s *parcel.Shipment) string {
	list := " "
	add := func(carrier string) {
		if carrier != "" && !strings.Contains(list, " "+carrier+" ") {
			list += carrier + " "
		}
	}
	for i := range s.Legs {
		add(s.Legs[i].Carrier)
	}
	for i := range s.Journey.Legs {
		add(s.Journey.Legs[i].Carrier)
	}
	return list
}

// stageOf is the stage a parcel is in: of the leg in progress, else of who
// holds it, else of the newest event.
func stageOf(j *parcel.Journey) parcel.Stage {
	switch {
	case j.CurrentLeg >= 0:
		return j.Legs[j.CurrentLeg].Stage
	case j.Custody.Leg >= 0 && j.Custody.Leg < len(j.Legs):
		return j.Legs[j.Custody.Leg].Stage
	}
	if last, ok := j.LatestEvent(); ok {
		return last.Stage
	}
	return ""
}

// Reading one shipment. trackings is packed by packTrackings.
const (
	loadColumns = "s.id, s.merchant_id, s.created_at, s.updated_at, s.change_position, s.state"
	// Separators that no number, code or postcode contains.
	fieldEnd, rowEnd = "\x1f", "\x1e"
	// packedTrackings is one value that holds all trackings of a shipment, so
	// that a shipment stays one row.
	packedTrackings = `(SELECT string_agg(n.carrier || '` + fieldEnd + `' || n.number || '` + fieldEnd + `' || n.account || '` + fieldEnd + `' || n.postcode || '` + fieldEnd +
		`' || n.watched_at || '` + fieldEnd + `' || n.heard_at || '` + fieldEnd + `' || n.heard_by || '` + fieldEnd + `' || n.finding || '` + fieldEnd + `' || n.trouble || '` + fieldEnd +
		`' || n.trouble_since || '` + fieldEnd + `' || n.retry_at || '` + fieldEnd + `' || n.failures || '` + fieldEnd + `' || n.next_at || '` + fieldEnd + `' || n.leased_until,
		'` + rowEnd + `')
	FROM holders h JOIN numbers n ON n.carrier = h.carrier AND n.number = h.number
	WHERE h.merchant_id = s.merchant_id AND h.shipment_id = s.id AND h.proposed = 0)`
)

// loader turns rows of loadColumns and packed trackings into shipments.
type loader struct {
	c       session
	table   []string
	state   sql.RawBytes
	packed  sql.RawBytes
	stale   []*parcel.Shipment
	without bool // trackings are not selected
}

func (l *loader) scan(rows *sql.Rows) (*Loaded, error) {
	var created, updated int64
	s := &parcel.Shipment{}
	into := []any{&s.ID, &s.MerchantID, &created, &updated, &s.ChangePosition, &l.state, &l.packed}
	if l.without {
		into = into[:6]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	s.CreatedAt, s.UpdatedAt = instant(created), instant(updated)
	loaded := &Loaded{Shipment: s}
	switch err := decodeState(l.state, s, &l.table); {
	case errors.Is(err, errStale):
		// Its events are another statement, and this one's rows are open.
		l.stale = append(l.stale, s)
	case err != nil:
		return nil, fmt.Errorf("shipment %s: %w", s.ID, err)
	}
	if !l.without && len(l.packed) > 0 {
		var err error
		if loaded.Trackings, err = unpackTrackings(string(l.packed)); err != nil {
			return nil, fmt.Errorf("shipment %s: %w", s.ID, err)
		}
		// Cheaper here than in each row's own sub-select.
		slices.SortFunc(loaded.Trackings, func(a, b parcel.Tracking) int { return a.NumberKey.Compare(b.NumberKey) })
	}
	return loaded, nil
}

// refresh folds what was stored by other rules again. It is not written back:
// a read does not write, and Refold does it for all.
func (l *loader) refresh(ctx context.Context, op string) error {
	if len(l.stale) == 0 {
		return nil
	}
	return l.c.foldAgain(ctx, op, l.stale)
}

func unpackTrackings(packed string) ([]parcel.Tracking, error) {
	list := make([]parcel.Tracking, 0, strings.Count(packed, rowEnd)+1)
	for row := range strings.SplitSeq(packed, rowEnd) {
		var f [14]string
		rest, more := row, true
		for i := range f {
			if !more {
				return nil, fmt.Errorf("packed tracking: %d fields: %w", i, parcel.ErrMalformed)
			}
			f[i], rest, more = strings.Cut(rest, fieldEnd)
		}
		var n [7]int64
		for i, at := range [...]int{4, 5, 9, 10, 11, 12, 13} {
			v, err := strconv.ParseInt(f[at], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("packed tracking: field %d: %w", at, parcel.ErrMalformed)
			}
			n[i] = v
		}
		list = append(list, parcel.Tracking{
			NumberKey: parcel.NumberKey{Carrier: f[0], Number: f[1]}, Account: f[2], Postcode: f[3],
			WatchedAt: instant(n[0]), HeardAt: instant(n[1]), HeardBy: parcel.SourceKind(f[6]), Finding: parcel.Finding(f[7]),
			Trouble: parcel.Trouble(f[8]), TroubleSince: instant(n[2]), RetryAt: instant(n[3]), Failures: int(n[4]),
			NextAt: instant(n[5]), LeasedUntil: instant(n[6]),
		})
	}
	return list, nil
}
