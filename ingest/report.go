package ingest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

// MaxReports is the most events that one call reports.
const MaxReports = 1000

// Report takes in events seen by someone who is not a carrier's feed, each on
// its own, with a result for each in the order given. It is idempotent: the
// same event (carrier, number, code, wall clock) again changes nothing.
func (g *Ingest) Report(ctx context.Context, merchantID string, in []parcel.Report) ([]parcel.Reported, error) {
	if len(in) > MaxReports {
		return nil, parcel.Invalidf(parcel.FaultTooMany, "input", "%d events; at most %d in one call", len(in), MaxReports)
	}
	t := &reportTask{g: g, merchant: merchantID, in: in, out: make([]parcel.Reported, len(in)), problems: make([][]*parcel.InputError, len(in))}
	now := g.trade.Now()
	for i := range in {
		t.problems[i] = g.checkReport(&t.in[i], now)
	}
	if err := g.writer.do(ctx, t); err != nil {
		return nil, err
	}
	return t.out, nil
}

// The farthest into the future that a report may lie: clocks differ, and the
// east is a day ahead.
const aheadOfNow = 26 * time.Hour

// How long before its registration anything may have happened to a parcel: a
// number of the post rests for a year, and a merchant may register a month late.
// What is older is a slip of the pen, and would reach into another parcel's use
// of the number.
const beforeRegistration = 400 * 24 * time.Hour

// tooOld refuses a report of what happened long before the shipment was
// registered; nil if it is not that old.
func tooOld(s *parcel.Shipment, o *parcel.Observation) *parcel.InputError {
	first := s.RegisteredAt.Add(-beforeRegistration)
	if !o.Occurred.Latest().Before(first) {
		return nil
	}
	return parcel.Invalidf(parcel.FaultOutOfRange, "localTime", "%s lies more than 400 days before the shipment was registered; the earliest day that is taken is %s",
		o.Occurred.Written(), first.Format(parcel.DayLayout))
}

func (g *Ingest) checkReport(r *parcel.Report, now time.Time) []*parcel.InputError {
	c := checker{}
	r.Key.Number = parcel.NormalizeNumber(r.Key.Number)
	o := &r.Observation
	if r.ShipmentID == "" && r.Key.Number == "" {
		c.add(parcel.FaultRequired, "shipment", "name the shipment, or carrier and trackingNumber")
	}
	if !o.Code.Valid() || o.Code == parcel.CodeUnknown {
		c.add(parcel.FaultMalformed, "code", "%q is not an event code that can be reported", o.Code)
	}
	switch {
	case o.Occurred.IsZero():
		c.add(parcel.FaultRequired, "localTime", "is missing")
	case o.Occurred.Earliest().After(now.Add(aheadOfNow)):
		c.add(parcel.FaultOutOfRange, "localTime", "%s lies in the future", o.Occurred.Written())
	}
	c.prose("text", o.Words, 0, maxText)
	c.place("place", o.Place, false)
	if r.Key.Carrier == "" && r.ShipmentID == "" {
		r.Key.Carrier = g.carrierOf(r.Key.Number, identify.Context{})
	}
	return c.problems
}

type reportTask struct {
	g        *Ingest
	merchant string
	in       []parcel.Report
	out      []parcel.Reported
	problems [][]*parcel.InputError
}

func (t *reportTask) weight() int { return 2 * len(t.in) }

func (t *reportTask) needs(n *needs) {
	for i := range t.in {
		if len(t.problems[i]) > 0 {
			continue
		}
		if r := &t.in[i]; r.ShipmentID != "" {
			n.shipment(r.ShipmentID)
		} else {
			n.number(r.Key)
		}
	}
}

func (t *reportTask) settled(error) {}

func (t *reportTask) apply(u *unit) error {
	for i := range t.in {
		if len(t.problems[i]) > 0 {
			t.out[i] = parcel.Reported{Outcome: parcel.WriteRefused, Problems: t.problems[i]}
			continue
		}
		t.out[i] = t.g.tellReport(u, t.merchant, &t.in[i])
	}
	return nil
}

// tellReport ties one report to its shipment.
func (g *Ingest) tellReport(u *unit, merchantID string, r *parcel.Report) parcel.Reported {
	id, problem := u.shipmentOf(merchantID, r)
	if problem != nil {
		return parcel.Reported{Outcome: parcel.WriteRefused, Problems: []*parcel.InputError{problem}}
	}
	if p := tooOld(u.shipments[id].now, &r.Observation); p != nil {
		return parcel.Reported{Outcome: parcel.WriteRefused, Problems: []*parcel.InputError{p}}
	}
	if u.shipments[id].full() {
		return parcel.Reported{Outcome: parcel.WriteRefused, Problems: []*parcel.InputError{parcel.Invalidf(parcel.FaultTooMany, "shipment", "%d events are known of the shipment; at most as many are taken", maxTold)}}
	}
	o := completeReport(r)
	out := parcel.Reported{Outcome: parcel.WriteUnchanged, ShipmentID: id, EventID: EventID(id, o.Key())}
	if u.tellShipment(id, o, parcel.SourceReport, "", u.now) {
		out.Outcome = parcel.WriteCreated
	}
	return out
}

// completeReport gives a report its identity: carrier and number as named, the
// canonical code as its own code.
func completeReport(r *parcel.Report) parcel.Observation {
	o := r.Observation
	o.Carrier, o.Number = cmp.Or(o.Carrier, r.Key.Carrier), cmp.Or(o.Number, r.Key.Number)
	o.OwnCode = cmp.Or(o.OwnCode, string(o.Code))
	o.Rule = cmp.Or(o.Rule, "report")
	return o
}

// shipmentOf finds the merchant's shipment that a report is about.
func (u *unit) shipmentOf(merchantID string, r *parcel.Report) (string, *parcel.InputError) {
	if r.ShipmentID != "" {
		if t := u.shipments[r.ShipmentID]; t != nil && t.now.MerchantID == merchantID {
			return r.ShipmentID, nil
		}
		return "", parcel.Invalidf(parcel.FaultNotFound, "shipment", "there is no such shipment")
	}
	st := u.numbers[r.Key]
	var found []string
	if st != nil {
		for i := range st.Holders {
			if h := &st.Holders[i]; h.MerchantID == merchantID && h.Covers(r.Observation.Occurred.At) {
				found = append(found, h.ShipmentID)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", parcel.Invalidf(parcel.FaultNotFound, "trackingNumber", "no shipment of yours has the number %s of %q at that time", r.Key.Number, r.Key.Carrier)
	case 1:
		return found[0], nil
	default:
		return "", parcel.Invalidf(parcel.FaultConflict, "trackingNumber", "%d shipments have this number; name the shipment", len(found))
	}
}

// Retract withdraws an event of the merchant's. It stays in the log, marked,
// and everything derived from it is derived again. An event withdrawn before
// is refused with WRONG_STATE.
func (g *Ingest) Retract(ctx context.Context, merchantID string, c parcel.Correction) (parcel.Reported, error) {
	id, err := g.store.ShipmentOfEvent(ctx, merchantID, c.EventID)
	if errors.Is(err, parcel.ErrNotFound) {
		return refusedReport(parcel.Invalidf(parcel.FaultNotFound, "event", "there is no such event")), nil
	}
	if err != nil {
		return parcel.Reported{}, err
	}
	check := checker{}
	check.prose("reason", c.Reason, 0, maxText)
	if c.ReplaceWith != nil {
		r := *c.ReplaceWith
		r.ShipmentID = id
		c.ReplaceWith = &r
		for _, p := range g.checkReport(&r, g.trade.Now()) {
			check.problems = append(check.problems, p.Under("replaceWith"))
		}
	}
	if len(check.problems) > 0 {
		return parcel.Reported{Outcome: parcel.WriteRefused, Problems: check.problems}, nil
	}
	t := &retractTask{g: g, merchant: merchantID, shipment: id, correction: c}
	if err := g.writer.do(ctx, t); err != nil {
		return parcel.Reported{}, err
	}
	return t.out, nil
}

func refusedReport(p *parcel.InputError) parcel.Reported {
	return parcel.Reported{Outcome: parcel.WriteRefused, Problems: []*parcel.InputError{p}}
}

type retractTask struct {
	g                  *Ingest
	merchant, shipment string
	correction         parcel.Correction
	out                parcel.Reported
	// gone are the events withdrawn with it.
	gone map[string]struct{}
}

func (t *retractTask) weight() int    { return 2 }
func (t *retractTask) needs(n *needs) { n.shipment(t.shipment) }
func (t *retractTask) settled(error)  {}

func (t *retractTask) apply(u *unit) error {
	s := u.shipments[t.shipment]
	if s == nil || s.now.MerchantID != t.merchant || s.before == nil {
		t.out = refusedReport(parcel.Invalidf(parcel.FaultNotFound, "event", "there is no such event"))
		return nil
	}
	i := s.before.Journey.EventByID(t.correction.EventID)
	if i < 0 {
		t.out = refusedReport(parcel.Invalidf(parcel.FaultNotFound, "event", "there is no such event"))
		return nil
	}
	e := &s.before.Journey.Events[i]
	if e.Retracted != nil && e.Retracted.Kind != parcel.RetractionByCarrier {
		t.out = refusedReport(parcel.Invalidf(parcel.FaultWrongState, "event", "the event was withdrawn on %s", e.Retracted.At.Format(time.RFC3339)))
		return nil
	}
	if rep := t.correction.ReplaceWith; rep != nil {
		if p := tooOld(s.now, &rep.Observation); p != nil {
			t.out = refusedReport(p.Under("replaceWith"))
			return nil
		}
	}
	r := parcel.Retraction{Target: e.EventKey, Kind: t.correction.Kind, Reason: t.correction.Reason, At: u.now.UTC().Truncate(time.Microsecond)}
	if t.correction.ReplaceWith != nil {
		// What stands in its place tells of the same carrier and number, unless
		// it says otherwise.
		rep := *t.correction.ReplaceWith
		rep.Key.Carrier, rep.Key.Number = cmp.Or(rep.Key.Carrier, e.Carrier), cmp.Or(rep.Key.Number, e.Number)
		o := completeReport(&rep)
		// What stands in its place may differ only in what identity leaves out,
		// its place or words: it is an event of its own all the same.
		o.Parcel += " corrects " + e.EventKey
		r.ReplacedBy = o.Key()
		u.tellShipment(t.shipment, o, parcel.SourceReport, "", u.now)
	}
	u.append(s, correctionRow(t.shipment, &e.Event, r))
	t.gone = map[string]struct{}{}
	for x := range e.Each() {
		t.gone[x.ID] = struct{}{}
	}
	t.out = parcel.Reported{Outcome: parcel.WriteUpdated, ShipmentID: t.shipment, EventID: e.ID}
	for x := range e.Each() {
		if err := t.letGo(u, s, x); err != nil {
			return err
		}
	}
	return nil
}

// letGo gives up a number that only the withdrawn event had named: it is a
// stranger's.
func (t *retractTask) letGo(u *unit, s *touched, e *parcel.Event) error {
	if e.NextNumber == "" || slices.ContainsFunc(s.now.Legs, func(d parcel.DeclaredLeg) bool { return d.Number == e.NextNumber }) {
		return nil
	}
	for i := range s.before.Journey.Events {
		for x := range s.before.Journey.Events[i].Each() {
			if _, gone := t.gone[x.ID]; !gone && s.before.Journey.Events[i].Retracted == nil && x.NextNumber == e.NextNumber {
				return nil
			}
		}
	}
	if slices.ContainsFunc(s.rows, func(x parcel.Event) bool { return x.NextNumber == e.NextNumber }) {
		return nil // what stands in its place names it again
	}
	key := parcel.NumberKey{Carrier: cmp.Or(e.NextCarrier, t.g.carrierOf(e.NextNumber, wayOf(&s.now.Facts))), Number: e.NextNumber}
	if key.Carrier == "" {
		return nil
	}
	if err := u.ensureNumber(key); err != nil {
		return err
	}
	for _, h := range u.numbers[key].Holders {
		if h.ShipmentID == t.shipment {
			u.limit(key, t.shipment, h.Since)
		}
	}
	u.rest(key)
	// What the stranger's parcel has told meanwhile is not ours either, nor are
	// the numbers that it has named.
	var strangers []*parcel.Event
	for i := range s.before.Journey.Events {
		for x := range s.before.Journey.Events[i].Each() {
			if _, gone := t.gone[x.ID]; gone || x.Carrier != key.Carrier || x.Number != key.Number || s.before.Journey.Events[i].Retracted != nil {
				continue
			}
			t.gone[x.ID] = struct{}{}
			strangers = append(strangers, x)
			u.append(s, correctionRow(t.shipment, x, parcel.Retraction{Target: x.EventKey, Kind: parcel.RetractionWrongShipment,
				Reason: "its number was named by an event that was withdrawn", At: u.now.UTC().Truncate(time.Microsecond)}))
		}
	}
	for _, x := range strangers {
		if err := t.letGo(u, s, x); err != nil {
			return err
		}
	}
	return nil
}

// correctionRow is the log's row of a person's correction.
func correctionRow(shipmentID string, e *parcel.Event, r parcel.Retraction) parcel.Event {
	row := parcel.Event{ID: e.ID, ShipmentID: shipmentID, EventKey: e.EventKey, Source: parcel.SourceReport, ReceivedAt: r.At, Retraction: &r}
	row.EventDigest = digestWith("retraction|"+string(r.Kind)+"|"+r.Reason+"|"+strconv.FormatInt(r.At.UnixMicro(), 10), parcel.SourceReport)
	return row
}

// ChangeNumber gives a leg another number or carrier. Events of the old one
// stay with the old leg; the new leg's key is returned. The change is logged.
func (g *Ingest) ChangeNumber(ctx context.Context, merchantID string, c parcel.NumberChange) (parcel.Registered, string, error) {
	c.Number = parcel.NormalizeNumber(c.Number)
	check := checker{}
	if c.Number == "" && c.Carrier == "" {
		check.add(parcel.FaultRequired, "trackingNumber", "give a number, a carrier or both")
	}
	if c.Number != "" {
		check.text("trackingNumber", c.Number, minNumber, maxNumber)
	}
	if len(check.problems) > 0 {
		return parcel.Registered{Outcome: parcel.WriteRefused, Problems: check.problems}, "", nil
	}
	t := &numberTask{g: g, merchant: merchantID, change: c}
	if err := g.writer.do(ctx, t); err != nil {
		return parcel.Registered{}, "", err
	}
	if t.out.Shipment == nil {
		return t.out, "", nil
	}
	for i := range t.out.Shipment.Journey.Legs {
		if l := &t.out.Shipment.Journey.Legs[i]; l.Number == t.number && l.Carrier == t.carrier {
			return t.out, l.Key, nil
		}
	}
	return t.out, "", nil
}

type numberTask struct {
	g               *Ingest
	merchant        string
	change          parcel.NumberChange
	carrier, number string
	out             parcel.Registered
}

func (t *numberTask) weight() int    { return 4 }
func (t *numberTask) needs(n *needs) { n.shipment(t.change.ShipmentID) }
func (t *numberTask) settled(error)  {}

func (t *numberTask) refuse(fault parcel.Fault, path, format string, args ...any) error {
	t.out = parcel.Registered{Outcome: parcel.WriteRefused, Problems: []*parcel.InputError{parcel.Invalidf(fault, path, format, args...)}}
	return nil
}

func (t *numberTask) apply(u *unit) error {
	s := u.shipments[t.change.ShipmentID]
	if s == nil || s.now.MerchantID != t.merchant {
		return t.refuse(parcel.FaultNotFound, "leg", "there is no such leg")
	}
	i := slices.IndexFunc(s.now.Journey.Legs, func(l parcel.Leg) bool { return l.Key == t.change.LegKey })
	if i < 0 {
		if d := t.madeBefore(s.now); d != nil {
			t.carrier, t.number = d.Carrier, d.Number
			t.out = parcel.Registered{Outcome: parcel.WriteUnchanged, Shipment: s.now}
			return nil
		}
		return t.refuse(parcel.FaultNotFound, "leg", "there is no such leg")
	}
	leg := s.now.Journey.Legs[i]
	t.number = cmp.Or(t.change.Number, leg.Number)
	t.carrier = t.change.Carrier
	// A number of the same form stays with the carrier; one of another form is
	// another carrier's.
	way := wayOf(&s.now.Facts)
	if t.carrier == "" && t.g.carrierOf(t.number, way) != t.g.carrierOf(leg.Number, way) {
		t.carrier = t.g.carrierOf(t.number, way)
	}
	t.carrier = cmp.Or(t.carrier, leg.Carrier)
	if t.number == leg.Number && t.carrier == leg.Carrier || slices.ContainsFunc(s.now.Legs, func(d parcel.DeclaredLeg) bool {
		// The old leg stays where something happened on it, and is named again
		// by a caller whose answer was lost.
		return d.ReplacedBy == "" && d.Replaces == leg.Number && d.Number == t.number && d.Carrier == t.carrier && d.Stage == leg.Stage
	}) {
		t.out = parcel.Registered{Outcome: parcel.WriteUnchanged, Shipment: s.now}
		return nil
	}
	if len(s.now.Legs) >= maxLegs {
		return t.refuse(parcel.FaultTooMany, "leg", "the shipment has %d legs already", len(s.now.Legs))
	}

	s.now.Legs = slices.Clone(s.now.Legs)
	for k := range s.now.Legs {
		if d := &s.now.Legs[k]; d.Carrier == leg.Carrier && d.Number == leg.Number && d.Number != "" {
			d.ReplacedBy = t.number
		}
	}
	s.now.Legs = append(s.now.Legs, parcel.DeclaredLeg{
		Stage: leg.Stage, StageGiven: leg.FirstEvent >= 0, Carrier: t.carrier, Number: t.number,
		ServiceLevel: leg.ServiceLevel, Replaces: leg.Number, DeclaredAt: u.now,
	})
	s.facts = true
	// Nobody asks about the old number for this shipment any more; what it said
	// stays.
	if old := (parcel.NumberKey{Carrier: leg.Carrier, Number: leg.Number}); old.Carrier != "" && old.Number != "" {
		if err := u.ensureNumber(old); err != nil {
			return err
		}
		u.limit(old, s.now.ID, u.now)
		u.rest(old)
	}
	switch key := (parcel.NumberKey{Carrier: t.carrier, Number: t.number}); {
	case key.Number == "":
	case key.Carrier == "":
		u.holdUnnamed(s.now, key.Number)
	default:
		if err := u.ensureNumber(key); err != nil {
			return err
		}
		u.hold(key, parcel.Holder{MerchantID: t.merchant, ShipmentID: s.now.ID, Since: useSince(key.Number, s.now.RegisteredAt)})
	}
	t.out = parcel.Registered{Outcome: parcel.WriteUpdated, Shipment: s.now}
	return nil
}

// madeBefore finds the declared leg that the same change made, where the leg it
// names is gone with it: a caller whose answer was lost asks again. It is nil
// where there was no such leg, or its number has been corrected once more.
func (t *numberTask) madeBefore(s *parcel.Shipment) *parcel.DeclaredLeg {
	for i := range s.Legs {
		old := &s.Legs[i]
		if old.ReplacedBy == "" || old.LegKey() != t.change.LegKey {
			continue
		}
		// A change of the carrier alone keeps the number.
		number := cmp.Or(t.change.Number, old.Number)
		for k := range s.Legs {
			d := &s.Legs[k]
			if d.ReplacedBy == "" && d.Replaces == old.Number && d.Number == number && (t.change.Carrier == "" || d.Carrier == t.change.Carrier) {
				return d
			}
		}
	}
	return nil
}

// ensureNumber locks a number that only apply could name.
func (u *unit) ensureNumber(key parcel.NumberKey) error {
	if err := u.holdLate([]parcel.NumberKey{key}); err != nil {
		return u.fail(err)
	}
	return nil
}
