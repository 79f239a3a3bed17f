package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/parcel"
)

// needs is what a batch must lock, gathered so that each kind is one
// statement.
type needs struct {
	numbers    map[parcel.NumberKey]struct{}
	shipments  map[string]struct{}
	references map[string]map[string]struct{} // by merchant
	payloads   []*parcel.Payload
}

func newNeeds() *needs {
	return &needs{numbers: map[parcel.NumberKey]struct{}{}, shipments: map[string]struct{}{}, references: map[string]map[string]struct{}{}}
}

func (n *needs) number(k parcel.NumberKey) {
	if k.Carrier != "" && k.Number != "" {
		n.numbers[k] = struct{}{}
	}
}
func (n *needs) shipment(id string) { n.shipments[id] = struct{}{} }
func (n *needs) reference(merchantID, ref string) {
	if n.references[merchantID] == nil {
		n.references[merchantID] = map[string]struct{}{}
	}
	n.references[merchantID][ref] = struct{}{}
}
func (n *needs) payload(p *parcel.Payload) { n.payloads = append(n.payloads, p) }

type refKey struct{ merchant, reference string }

// touched is a shipment that a batch works on.
type touched struct {
	// before is as stored, nil if new; now carries the facts as changed.
	before *parcel.Shipment
	now    *parcel.Shipment
	// rows are the log's new rows, not folded yet.
	rows []parcel.Event
	// told are the keys and digests of rows, so that a batch that tells one
	// thing twice writes it once.
	told  map[[2]string]struct{}
	facts bool // facts changed
	// stored is one more than the number of tellings in before, 0 if not counted
	// yet; warned tells that the log heard of a full shipment.
	stored int
	warned bool
	// takenBack are the keys of what a person has taken back, by the first
	// judgedRows of rows; nil if nobody asked.
	takenBack  map[string]struct{}
	judgedRows int
	// final shipments are not asked for: a file was all there is.
	final bool
	// folded counts the rows, and found the numbers, that now.Journey is made
	// of; folded is -1 before the first fold.
	folded, found int
}

// unit is the state of one transaction: everything locked, changed in memory,
// written at the end in few statements.
type unit struct {
	g   *Ingest
	ctx context.Context
	tx  Tx
	now time.Time

	numbers    map[parcel.NumberKey]*parcel.NumberState
	trackings  map[parcel.NumberKey]struct{} // changed
	shipments  map[string]*touched
	references map[refKey]string // shipment id
	kept       map[*parcel.Payload]parcel.KeptPayload
	holders    []parcel.HolderRow
	payNumbers []parcel.PayloadNumber
	recipients []parcel.RecipientRow
	aliased    []aliasOf
	givenUp    []heldNumber
	// By shipment, the number whose carrier does not know it, and the number
	// under which it was let go and is not heard of any more.
	unknown, silent map[string]parcel.NumberKey
	lateNumbers     []parcel.NumberKey // got a holder in this batch
	released        []parcel.NumberKey // asked for, and landed
	unmapped        map[[3]string]parcel.Unmapped
	readings        map[string]parcel.Reading // of kept payloads, by id
	readRoom        int
	gaps            []gap                         // silences that ended
	lags            []lag                         // how long scans took to come to us
	turned          map[parcel.NumberKey]struct{} // another account asks for it at once
	// mayWiden lets the unit give up for numbers that are found late.
	mayWiden bool
	// broken is set where the transaction itself failed: nothing of the batch
	// can be saved.
	broken error
}

func newUnit(g *Ingest, ctx context.Context, tx Tx) *unit {
	return &unit{
		g: g, ctx: ctx, tx: tx, now: g.trade.Now(),
		numbers: map[parcel.NumberKey]*parcel.NumberState{}, trackings: map[parcel.NumberKey]struct{}{},
		shipments: map[string]*touched{}, references: map[refKey]string{}, kept: map[*parcel.Payload]parcel.KeptPayload{},
		unknown: map[string]parcel.NumberKey{}, silent: map[string]parcel.NumberKey{},
		turned: map[parcel.NumberKey]struct{}{},
	}
}

// prepare locks in a fixed order: numbers, payloads, shipments. All writers
// follow it, and each kind is locked in sorted order, so two writers cannot
// wait for each other in a ring. References are looked up without a lock: they
// only name shipments.
func (u *unit) prepare(n *needs) error {
	if err := u.holdNumbers(slices.Collect(maps.Keys(n.numbers))); err != nil {
		return err
	}
	if len(n.payloads) > 0 {
		list := make([]parcel.Payload, len(n.payloads))
		for i, p := range n.payloads {
			list[i] = *p
		}
		kept, err := u.tx.PutPayloads(u.ctx, list)
		if err != nil {
			return err
		}
		for i, p := range n.payloads {
			u.kept[p] = kept[i]
		}
	}
	for _, merchant := range slices.Sorted(maps.Keys(n.references)) {
		found, err := u.tx.IDsOfReferences(u.ctx, merchant, slices.Sorted(maps.Keys(n.references[merchant])))
		if err != nil {
			return err
		}
		for ref, id := range found {
			u.references[refKey{merchant, ref}] = id
			n.shipment(id)
		}
	}
	for _, st := range u.numbers {
		for _, h := range st.Holders {
			n.shipment(h.ShipmentID)
		}
	}
	return u.lock(slices.Sorted(maps.Keys(n.shipments)))
}

func (u *unit) holdNumbers(keys []parcel.NumberKey) error {
	if len(keys) == 0 {
		return nil
	}
	states, err := u.tx.HoldNumbers(u.ctx, keys)
	if err != nil {
		return err
	}
	for k, st := range states {
		st.Tracking.NumberKey = k
		u.numbers[k] = &st
	}
	return nil
}

func (u *unit) lock(ids []string) error {
	ids = slices.DeleteFunc(ids, func(id string) bool { return u.shipments[id] != nil })
	if len(ids) == 0 {
		return nil
	}
	found, err := u.tx.LockShipments(u.ctx, ids)
	if err != nil {
		return err
	}
	for id, s := range found {
		now := *s
		u.shipments[id] = &touched{before: s, now: &now, told: map[[2]string]struct{}{}, folded: -1}
	}
	return nil
}

// add puts a new shipment into the unit.
func (u *unit) add(s *parcel.Shipment) {
	u.shipments[s.ID] = &touched{now: s, told: map[[2]string]struct{}{}, facts: true, folded: -1}
	u.references[refKey{s.MerchantID, s.Reference}] = s.ID
}

// hold gives a number to a shipment. Uses of the number that ended long ago end
// where this one begins. A number that comes back to a shipment after a
// correction is its again.
func (u *unit) hold(key parcel.NumberKey, h parcel.Holder) (ended []*parcel.Shipment) {
	st := u.numbers[key]
	for i := range st.Holders {
		if o := &st.Holders[i]; o.ShipmentID == h.ShipmentID {
			if !o.Proposed.IsZero() && h.Proposed.IsZero() {
				// What was only looked for is known to be the parcel's.
				o.Proposed, o.Rule, o.Until = time.Time{}, h.Rule, time.Time{}
				u.holders = append(u.holders, parcel.HolderRow{NumberKey: key, Holder: *o})
				u.lateNumbers = append(u.lateNumbers, key)
				u.watch(key, h.MerchantID)
				return nil
			}
			if !o.Until.IsZero() && h.Proposed.IsZero() {
				o.Until = time.Time{}
				u.holders = append(u.holders, parcel.HolderRow{NumberKey: key, Holder: *o})
				u.lateNumbers = append(u.lateNumbers, key)
				u.watch(key, h.MerchantID)
			}
			return nil
		}
	}
	began := u.now
	if t := u.shipments[h.ShipmentID]; t != nil && t.now.RegisteredAt.Before(began) {
		began = t.now.RegisteredAt
	}
	for _, o := range st.Holders {
		t := u.shipments[o.ShipmentID]
		// A number that only may be this shipment's ends nobody's use of it.
		if t == nil || !o.Until.IsZero() || !h.Proposed.IsZero() {
			continue
		}
		at, over := endOf(t.now)
		if !over || began.Sub(at) < parcel.RestOf(key.Number) {
			continue
		}
		from := at.Add(time.Microsecond)
		u.limit(key, o.ShipmentID, from)
		if from.After(h.Since) {
			h.Since = from
		}
		if o.MerchantID == h.MerchantID {
			ended = append(ended, t.now)
		}
	}
	st.Holders = append(st.Holders, h)
	u.holders = append(u.holders, parcel.HolderRow{NumberKey: key, Holder: h})
	u.lateNumbers = append(u.lateNumbers, key)
	u.watch(key, h.MerchantID)
	if t := u.shipments[h.ShipmentID]; t != nil && t.final {
		u.rest(key)
	}
	return ended
}

// rest ends the asking for a number for which nobody is to be asked any more.
func (u *unit) rest(key parcel.NumberKey) {
	st := u.numbers[key]
	if slices.ContainsFunc(st.Holders, func(h parcel.Holder) bool {
		t := u.shipments[h.ShipmentID]
		return h.Covers(u.now) && (t == nil || !t.final)
	}) {
		return
	}
	st.Tracking.NextAt = time.Time{}
	if st.Tracking.Account == "" {
		// Nor once its carrier has an account.
		st.Tracking.WatchedAt = time.Time{}
	}
	u.trackings[key] = struct{}{}
}

// endOf is when a shipment's journey ended; ok is false while it is open.
func endOf(s *parcel.Shipment) (at time.Time, ok bool) {
	if s.Journey.Outcome == "" {
		return time.Time{}, false
	}
	return s.Journey.Events[s.Journey.OutcomeEvent].Occurred.At, true
}

// limit ends a holder's use of a number.
func (u *unit) limit(key parcel.NumberKey, shipmentID string, until time.Time) {
	st := u.numbers[key]
	for i := range st.Holders {
		if h := &st.Holders[i]; h.ShipmentID == shipmentID && (h.Until.IsZero() || until.Before(h.Until)) {
			h.Until = until
			u.holders = append(u.holders, parcel.HolderRow{NumberKey: key, Holder: *h})
		}
	}
}

// watch plans the first look at a number.
func (u *unit) watch(key parcel.NumberKey, merchantID string) {
	t := &u.numbers[key].Tracking
	if t.WatchedAt.IsZero() {
		t.WatchedAt = u.now
	}
	if l := u.g.accountFor(key.Carrier, merchantID); l != nil {
		switch own := u.g.named(key.Carrier, t.Account); {
		case t.Account == "":
			t.Account = l.account.Name
		case own != nil && own.account.MerchantID != "" && own.account.MerchantID != merchantID:
			// Another merchant's account may not bring this one's news: the
			// deployment's asks for both, where there is one.
			if all := u.g.accountFor(key.Carrier, ""); all != nil {
				t.Account = all.account.Name
			} else if names := u.ownAccounts(key); len(names) > 1 {
				// Where there is none each account is asked in turn, from the first.
				t.Account, t.NextAt = names[0], u.now
			}
		}
		if t.NextAt.IsZero() && l.fetcher != nil {
			t.NextAt = u.now
		}
	}
	u.trackings[key] = struct{}{}
}

// source is where observations come from.
type source struct {
	// owner is the merchant whose account brought them, empty for the
	// deployment's: nobody else hears what one merchant's credentials bring.
	owner     string
	kind      parcel.SourceKind
	payloadID string
	received  time.Time
}

// tell ties an observation to the shipments that hold its number, with the
// carrier whose scan it is or with who told it, and says how many rows are new.
// Where a shipment ended long before the event, it is another parcel under the
// same number.
func (u *unit) tell(o parcel.Observation, p *source) int {
	n := u.tellHolders(parcel.NumberKey{Carrier: o.Carrier, Number: o.Number}, o, p)
	if o.Teller != "" {
		n += u.tellHolders(parcel.NumberKey{Carrier: o.Teller, Number: o.Number}, o, p)
	}
	return n
}

func (u *unit) tellHolders(key parcel.NumberKey, o parcel.Observation, p *source) int {
	st := u.numbers[key]
	if st == nil {
		return 0
	}
	n := 0
	for i := range st.Holders {
		h := &st.Holders[i]
		if !h.Proposed.IsZero() || !h.Covers(o.Occurred.At) || (p.owner != "" && p.owner != h.MerchantID) {
			continue
		}
		if t := u.shipments[h.ShipmentID]; t != nil {
			if at, over := endOf(t.now); over && !goesOn(&t.now.Journey) && o.Occurred.At.Sub(at) >= parcel.RestOf(o.Number) {
				continue
			}
		}
		if u.tellShipment(h.ShipmentID, o, p.kind, p.payloadID, p.received) {
			n++
		}
	}
	return n
}

func (u *unit) tellShipment(id string, o parcel.Observation, source parcel.SourceKind, payloadID string, received time.Time) bool {
	t := u.shipments[id]
	if t == nil {
		return false
	}
	e := parcel.Event{Observation: o, ShipmentID: id, EventKey: o.Key(), Source: source, PayloadID: payloadID, ReceivedAt: received.UTC().Truncate(time.Microsecond)}
	e.ID = EventID(id, e.EventKey)
	e.EventDigest = digestWith(o.Digest(), source)
	return u.append(t, e)
}

func (u *unit) append(t *touched, e parcel.Event) bool {
	k := [2]string{e.EventKey, e.EventDigest}
	if _, again := t.told[k]; again || (t.before != nil && t.before.Journey.Tells(e.EventKey, e.EventDigest)) {
		return false
	}
	if e.Source != parcel.SourceReport && t.full() {
		if !t.warned {
			t.warned = true
			u.g.log.Warn("a shipment's log is full: what carriers tell of it further stays in the payloads", "shipment", t.now.ID, "carrier", e.Carrier, "number", e.Number, "payload", e.PayloadID, "rows", maxTold)
		}
		return false
	}
	t.told[k] = struct{}{}
	t.rows = append(t.rows, e)
	u.countUnmapped(&e)
	return true
}

// countUnmapped notes an event that no table of codes could read, so that a
// batch tells the work queue of mapping once.
func (u *unit) countUnmapped(e *parcel.Event) {
	line, ok := parcel.UnmappedOf(e)
	if !ok {
		return
	}
	key := [3]string{line.Carrier, line.Code, line.Phrase}
	if was, again := u.unmapped[key]; again {
		was.Count++
		if line.First.Before(was.First) {
			was.First = line.First
		}
		if !line.Last.Before(was.Last) {
			was.Last, was.PayloadID = line.Last, line.PayloadID
		}
		line = was
	}
	if u.unmapped == nil {
		u.unmapped = map[[3]string]parcel.Unmapped{}
	}
	u.unmapped[key] = line
}

// digestWith marks a telling by its door: the same words by poll and by push
// are two witnesses.
func digestWith(digest string, source parcel.SourceKind) string {
	h := sha256.Sum256([]byte(digest + "|" + string(source)))
	return hex.EncodeToString(h[:16])
}

// EventID is the id of an event: a ULID whose random part follows from shipment
// and identity, so the event has one id however it arrives, and whose time is
// the shipment's own. The hour of the event is not in it: who may see only the
// day must not read the minute out of an id.
func EventID(shipmentID, key string) string {
	h := sha256.Sum256([]byte(shipmentID + "|" + key))
	var id ulid.ULID
	if of, err := ulid.Parse(shipmentID); err == nil {
		_ = id.SetTime(of.Time())
	}
	_ = id.SetEntropy(h[:10])
	return id.String()
}

// flush folds what was told and writes everything, log last.
func (u *unit) flush() (last int64, err error) {
	// A number that gets its shipment in this batch finds the batch's own
	// payloads among those that were kept.
	if len(u.payNumbers) > 0 {
		if err := u.tx.PutPayloadNumbers(u.ctx, u.payNumbers); err != nil {
			return 0, err
		}
	}
	if err := u.followAll(); err != nil {
		return 0, err
	}
	var (
		fresh, changed []*parcel.Shipment
		events         []parcel.EventRow
		changes        []parcel.Change
		cohorts        []parcel.CohortDelta
		handovers      []parcel.HandoverDelta
		passings       []parcel.PassingDelta
	)
	for _, id := range slices.Sorted(maps.Keys(u.shipments)) {
		t := u.shipments[id]
		if t.before != nil && len(t.rows) == 0 && !t.facts {
			continue
		}
		u.fold(t)
		for i := range t.rows {
			events = append(events, parcel.EventRow{MerchantID: t.now.MerchantID, Event: t.rows[i]})
		}
		rows := parcel.Changes(t.before, t.now, u.now)
		if t.before == nil {
			fresh = append(fresh, t.now)
		} else {
			changed = append(changed, t.now)
		}
		changes = append(changes, rows...)
		cohorts = append(cohorts, parcel.CohortDeltas(t.before, t.now)...)
		handovers = append(handovers, parcel.HandoverDeltas(t.before, t.now)...)
		passings = append(passings, parcel.PassingDeltas(t.before, t.now)...)
		u.plan(t)
		u.listen(t)
	}
	if len(u.holders) > 0 {
		if err := u.tx.PutHolders(u.ctx, u.holders); err != nil {
			return 0, err
		}
	}
	if len(fresh)+len(changed) > 0 {
		if err := u.tx.PutShipments(u.ctx, fresh, changed); err != nil {
			return 0, err
		}
	}
	if len(u.recipients) > 0 {
		if err := u.tx.PutRecipients(u.ctx, u.recipients); err != nil {
			return 0, err
		}
	}
	if len(events) > 0 {
		if err := u.tx.AppendEvents(u.ctx, events); err != nil {
			return 0, err
		}
	}
	if len(cohorts) > 0 {
		if err := u.tx.AddCohorts(u.ctx, sumCohorts(cohorts)); err != nil {
			return 0, err
		}
	}
	if len(passings) > 0 {
		if err := u.tx.AddPassings(u.ctx, passings); err != nil {
			return 0, err
		}
	}
	if len(handovers) > 0 {
		if err := u.tx.AddHandovers(u.ctx, handovers); err != nil {
			return 0, err
		}
	}
	if len(u.trackings) > 0 {
		rows := make([]parcel.Tracking, 0, len(u.trackings))
		for _, k := range slices.SortedFunc(maps.Keys(u.trackings), parcel.NumberKey.Compare) {
			u.rank(k)
			rows = append(rows, u.numbers[k].Tracking)
		}
		if err := u.tx.PutTrackings(u.ctx, rows); err != nil {
			return 0, err
		}
	}
	if len(u.released) > 0 {
		slices.SortFunc(u.released, parcel.NumberKey.Compare)
		if err := u.tx.ReleaseLeases(u.ctx, u.released, u.g.token); err != nil {
			return 0, err
		}
	}
	if len(u.unmapped) > 0 {
		if err := u.tx.AddUnmapped(u.ctx, slices.SortedFunc(maps.Values(u.unmapped), parcel.Unmapped.Compare)); err != nil {
			return 0, err
		}
	}
	if len(changes) > 0 {
		if last, err = u.tx.AppendChanges(u.ctx, changes); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// fold brings a touched shipment up to date.
func (u *unit) fold(t *touched) {
	if t.folded == len(t.rows) && t.found == len(t.now.Found) {
		return
	}
	t.folded, t.found = len(t.rows), len(t.now.Found)
	var prior *parcel.Journey
	if t.before != nil {
		prior = &t.before.Journey
	}
	t.now.Journey = parcel.Fold(t.now, prior, t.rows)
	t.now.UpdatedAt = u.now
}

// The most rounds in which a batch may find further numbers: a journey has five
// stages, so a chain of new numbers longer than that is a carrier's loop.
const maxRounds = 5

// followAll follows numbers to the end: those that somebody named, and those
// that may be a parcel's by what is known of it now. Each is asked about, and
// what was kept about it is read.
func (u *unit) followAll() error {
	for range maxRounds {
		if err := u.catchUp(); err != nil {
			return err
		}
		if err := u.giveUp(); err != nil {
			return err
		}
		if some, err := u.propose(); err != nil || !some {
			return err
		}
	}
	return u.catchUp()
}

// catchUp reads what was kept about numbers that only now belong to someone:
// news that came before the registration, and the history of a number that an
// event has just named.
func (u *unit) catchUp() error {
	for range maxRounds {
		if err := u.followNamed(); err != nil {
			return err
		}
		late := u.lateNumbers
		u.lateNumbers = nil
		if len(late) == 0 {
			return nil
		}
		// A number that got another holder is read once more, for that one.
		slices.SortFunc(late, parcel.NumberKey.Compare)
		spoken, err := u.spokenOf(slices.Compact(late))
		if err != nil {
			return err
		}
		for _, key := range spoken {
			proposed := u.proposed(key)
			if err := u.readKept(key); err != nil {
				return err
			}
			if u.proposed(key) < proposed {
				// What was weighed before it turned out to be the parcel's.
				if err := u.readKept(key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// proposed counts the shipments of which a number only may be.
func (u *unit) proposed(key parcel.NumberKey) (n int) {
	for _, h := range u.numbers[key].Holders {
		if !h.Proposed.IsZero() {
			n++
		}
	}
	return n
}

// spokenOf picks the numbers that kept payloads tell of: those whose carrier was
// heard, and those that another carrier told of.
func (u *unit) spokenOf(keys []parcel.NumberKey) ([]parcel.NumberKey, error) {
	if u.g.repeats() {
		return u.tx.SpokenOf(u.ctx, keys)
	}
	return slices.DeleteFunc(keys, func(k parcel.NumberKey) bool { return u.numbers[k].Tracking.HeardAt.IsZero() }), nil
}

// The most kept payloads that are read again for a number: a carrier tells the
// whole history each time, so the newest say it all.
const maxKept = 64

func (u *unit) readKept(key parcel.NumberKey) error {
	kept, err := u.tx.PayloadsOf(u.ctx, key, maxKept)
	if err != nil {
		return err
	}
	for _, p := range kept {
		r, err := u.read(&p)
		if err != nil {
			u.g.log.Warn("kept payload cannot be read", "carrier", p.Carrier, "payload", p.ID, "error", err)
		}
		from := &source{owner: p.Owner, kind: p.Source, payloadID: p.ID, received: p.ReceivedAt}
		var told []parcel.Observation
		for i := range r.Observations {
			if o := &r.Observations[i]; o.Number == key.Number && (o.Carrier == key.Carrier || o.Teller == key.Carrier) && !u.ahead(o) {
				u.tellHolders(key, *o, from)
				told = append(told, *o)
			}
		}
		u.weigh(key, told, from)
		if p.Carrier == key.Carrier {
			for _, a := range r.Aliases {
				if a.Number == key.Number {
					u.alias(p.Carrier, a, from.owner)
				}
			}
		}
	}
	return nil
}

// followNamed gives numbers that events have named to the shipments they were
// named for.
func (u *unit) followNamed() error {
	type found struct {
		key  parcel.NumberKey
		t    *touched
		rule parcel.FoundRule
	}
	var all []found
	for _, a := range u.aliased {
		all = append(all, found{a.key, a.t, parcel.FoundAlias})
	}
	u.aliased = nil
	for _, id := range slices.Sorted(maps.Keys(u.shipments)) {
		t := u.shipments[id]
		for i := range t.rows {
			e := &t.rows[i]
			if e.Teller != "" && !t.withdrawn(e.EventKey) {
				// An aggregator says whose scan it is: that carrier can tell it
				// itself.
				all = append(all, found{parcel.NumberKey{Carrier: e.Carrier, Number: e.Number}, t, parcel.FoundTold})
			}
			if e.NextNumber == "" || t.withdrawn(e.EventKey) {
				continue
			}
			carrier := e.NextCarrier
			if carrier == "" {
				carrier = u.g.carrierOf(e.NextNumber, wayOf(&t.now.Facts))
			}
			if carrier == "" {
				continue
			}
			if e.NextCarrier == "" {
				// The carrier named only a number; whose it is was found here,
				// and is kept with the event's row.
				e.NextCarrier = carrier
			}
			all = append(all, found{parcel.NumberKey{Carrier: carrier, Number: e.NextNumber}, t, ""})
		}
	}
	keys := make([]parcel.NumberKey, 0, len(all))
	for _, f := range all {
		keys = append(keys, f.key)
	}
	if err := u.holdLate(keys); err != nil {
		return err
	}
	room := map[*touched]int{}
	for _, f := range all {
		if !u.holds(f.key, f.t.now.ID) {
			left, counted := room[f.t]
			if !counted {
				left = maxFound - f.t.names()
			}
			if room[f.t] = left - 1; left <= 0 {
				u.g.log.Warn("a shipment has more names than a parcel has; this one is not followed", "shipment", f.t.now.ID, "carrier", f.key.Carrier, "number", f.key.Number, "names", maxFound)
				continue
			}
		}
		u.hold(f.key, parcel.Holder{MerchantID: f.t.now.MerchantID, ShipmentID: f.t.now.ID, Since: f.t.nextSince(f.key.Number), Rule: f.rule})
	}
	return nil
}

// withdrawn tells whether a person has taken an event back, whoever of its
// tellers it was named by: told again, or by another, it names no number.
func (t *touched) withdrawn(key string) bool {
	var prior *parcel.Journey
	if t.before != nil {
		prior = &t.before.Journey
	}
	if (prior == nil || len(prior.Corrections) == 0) && !slices.ContainsFunc(t.rows, func(e parcel.Event) bool { return e.Retraction != nil }) {
		return false
	}
	if t.takenBack == nil || t.judgedRows != len(t.rows) {
		t.takenBack, t.judgedRows = map[string]struct{}{}, len(t.rows)
		j := parcel.Fold(t.now, prior, t.rows)
		for i := range j.Events {
			e := &j.Events[i]
			if e.Retracted == nil || e.Retracted.Kind == parcel.RetractionByCarrier {
				continue
			}
			t.takenBack[e.EventKey] = struct{}{}
			for x := range e.Each() {
				t.takenBack[x.EventKey] = struct{}{}
			}
		}
	}
	_, gone := t.takenBack[key]
	return gone
}

// plan sets the next look at the numbers of a shipment that has changed.
func (u *unit) plan(t *touched) {
	if t.final {
		return
	}
	for i := range t.now.Journey.Legs {
		l := &t.now.Journey.Legs[i]
		key := parcel.NumberKey{Carrier: l.Carrier, Number: l.Number}
		st := u.numbers[key]
		if st == nil || !slices.ContainsFunc(st.Holders, func(h parcel.Holder) bool { return h.ShipmentID == t.now.ID && h.Covers(u.now) }) {
			continue
		}
		lane := u.g.accountFor(key.Carrier, t.now.MerchantID)
		if lane == nil || lane.fetcher == nil {
			continue
		}
		if _, at := u.turned[key]; at {
			continue
		}
		next := nextLook(u.now, t.now, &st.Tracking)
		if !next.IsZero() && next.Before(st.Tracking.RetryAt) {
			// Another number's news does not open a barred door.
			next = st.Tracking.RetryAt
		}
		if !next.Equal(st.Tracking.NextAt) {
			st.Tracking.NextAt = next
			u.trackings[key] = struct{}{}
		}
	}
}

// sumCohorts adds up deltas of one key, so that each row is written once and
// opposite ones cancel.
func sumCohorts(in []parcel.CohortDelta) []parcel.CohortDelta {
	type cell struct {
		parcel.CohortKey
		age   int
		cause parcel.EndCause
	}
	at := map[cell]int{}
	out := in[:0]
	for _, d := range in {
		c := cell{d.CohortKey, d.Age, d.Cause}
		i, ok := at[c]
		if !ok {
			at[c] = len(out)
			out = append(out, d)
			continue
		}
		out[i].Started += d.Started
		out[i].Ended += d.Ended
		out[i].Due += d.Due
		out[i].Kept += d.Kept
	}
	return slices.DeleteFunc(out, func(d parcel.CohortDelta) bool {
		return d.Started == 0 && d.Ended == 0 && d.Due == 0 && d.Kept == 0
	})
}

func (u *unit) fail(err error) error {
	u.broken = fmt.Errorf("ingest: transaction: %w", err)
	return u.broken
}
