package storage

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// The state of a shipment: facts and journey in one string of bytes, read in
// one pass with a handful of allocations whatever the number of events.
//
//	version byte, rule version
//	table of distinct strings: kind and length each, then their bytes
//	counts of events, witnesses, tellings, legs, retractions and former numbers
//	fields in the order of the types, each string by its place in the table
//
// All strings of a decoded shipment share one backing string. Numbers are
// varints; an index that may be -1 is stored plus one.

// codecVersion changes with the layout. Another version is not read: the
// shipment is folded again.
const codecVersion = 3

// Kinds of table entries. Digests and ULIDs are most of a state's bytes, and
// packed they are half as long.
const (
	entryText = iota
	entryHex  // lower-case, two digits a byte
	entryULID // 26 letters of 16 bytes
	entryKinds
)

// Times are seconds where they are whole seconds, as nearly all are.
const (
	timeNone = iota
	timeSeconds
	timeMicros
)

// encoder is used for one shipment after another; it is not safe for
// concurrent use.
type encoder struct {
	places map[string]uint64
	table  []byte
	body   []byte
	// expanded is the length of all entries once unpacked.
	expanded int
}

// encodeState appends the state of s to dst.
func (e *encoder) encodeState(dst []byte, s *parcel.Shipment) []byte {
	if e.places == nil {
		e.places = make(map[string]uint64, 128)
	}
	clear(e.places)
	e.table, e.body, e.expanded = e.table[:0], e.body[:0], 0

	j := &s.Journey
	witnesses, tellings, retractions, formers := 0, 0, len(j.Corrections), 0
	for i := range j.Events {
		witnesses += len(j.Events[i].Witnesses)
		tellings += len(j.Events[i].Tellings)
		for k := range j.Events[i].Tellings {
			if j.Events[i].Tellings[k].Retraction != nil {
				retractions++
			}
		}
		if j.Events[i].Retracted != nil {
			retractions++
		}
		if j.Events[i].Retraction != nil {
			retractions++
		}
	}
	for i := range j.Legs {
		formers += len(j.Legs[i].Former)
	}
	for _, n := range []int{len(j.Events), witnesses, tellings, len(j.Legs), retractions, formers} {
		e.count(n)
	}
	e.facts(&s.Facts)
	e.journey(j)

	dst = append(dst, codecVersion)
	dst = binary.AppendUvarint(dst, uint64(len(parcel.RuleVersion)))
	dst = append(dst, parcel.RuleVersion...)
	dst = binary.AppendUvarint(dst, uint64(len(e.places)))
	dst = binary.AppendUvarint(dst, uint64(e.expanded))
	dst = append(dst, e.table...)
	return append(dst, e.body...)
}

func (e *encoder) count(n int)    { e.body = binary.AppendUvarint(e.body, uint64(n)) }
func (e *encoder) index(n int)    { e.body = binary.AppendUvarint(e.body, uint64(n+1)) }
func (e *encoder) number(n int64) { e.body = binary.AppendVarint(e.body, n) }

func (e *encoder) bits(bits ...bool) {
	var b uint64
	for i, on := range bits {
		if on {
			b |= 1 << i
		}
	}
	e.body = binary.AppendUvarint(e.body, b)
}

// text writes the place of v in the table, 0 for the empty string.
func text[T ~string](e *encoder, v T) {
	if v == "" {
		e.body = append(e.body, 0)
		return
	}
	at, ok := e.places[string(v)]
	if !ok {
		at = uint64(len(e.places) + 1)
		e.places[string(v)] = at
		s := clean(string(v))
		e.expanded += len(s)
		e.entry(s)
	}
	e.body = binary.AppendUvarint(e.body, at)
}

func (e *encoder) entry(s string) {
	if isHex(s) {
		e.table = binary.AppendUvarint(e.table, uint64(len(s)/2)*entryKinds+entryHex)
		for i := 0; i < len(s); i += 2 {
			e.table = append(e.table, hexDigit(s[i])<<4|hexDigit(s[i+1]))
		}
		return
	}
	if raw, ok := packULID(s); ok {
		e.table = binary.AppendUvarint(e.table, uint64(len(raw))*entryKinds+entryULID)
		e.table = append(e.table, raw[:]...)
		return
	}
	e.table = binary.AppendUvarint(e.table, uint64(len(s))*entryKinds+entryText)
	e.table = append(e.table, s...)
}

func (e *encoder) texts(list []string) {
	e.count(len(list))
	for _, s := range list {
		text(e, s)
	}
}

func (e *encoder) time(t time.Time) {
	switch m := micros(t); {
	case m == 0:
		e.body = append(e.body, timeNone)
	case m%1e6 == 0:
		e.body = append(e.body, timeSeconds)
		e.number(m / 1e6)
	default:
		e.body = append(e.body, timeMicros)
		e.number(m)
	}
}

func (e *encoder) moment(m *parcel.Moment) {
	if *m == (parcel.Moment{}) {
		e.bits(false)
		return
	}
	e.bits(true, m.HasOffset)
	e.time(m.At)
	text(e, m.Wall)
	text(e, m.Text)
	text(e, m.Zone)
	e.number(int64(m.OffsetSeconds))
	text(e, m.Certainty)
}

func (e *encoder) place(p *parcel.Place) {
	e.bits(p.Country != "", p.Region != "", p.City != "", p.Postcode != "", p.Facility != "", p.Unlocode != "", p.TimeZone != "")
	for _, s := range [...]string{string(p.Country), p.Region, p.City, p.Postcode, p.Facility, p.Unlocode, p.TimeZone} {
		if s != "" {
			text(e, s)
		}
	}
}

func (e *encoder) money(m parcel.Money) {
	e.number(m.Minor)
	text(e, m.Currency)
}

func (e *encoder) facts(f *parcel.Facts) {
	text(e, f.Reference)
	text(e, f.Order)
	e.place(&f.Origin)
	e.place(&f.Destination)
	g := &f.Goods
	text(e, g.Description)
	for _, n := range [...]int{g.WeightGrams, g.LengthMM, g.WidthMM, g.HeightMM} {
		e.number(int64(n))
	}
	e.money(g.DeclaredValue)
	e.texts(g.HSCodes)
	e.count(len(g.Attributes))
	for _, a := range g.Attributes {
		text(e, a)
	}
	e.bits(g.AttributesKnown)
	e.texts(f.Tags)
	text(e, f.Locale)
	text(e, f.Route)
	e.count(len(f.Legs))
	for i := range f.Legs {
		l := &f.Legs[i]
		e.bits(l.StageGiven, l.Guessed)
		text(e, l.Stage)
		text(e, l.Carrier)
		text(e, l.ServiceLevel)
		text(e, l.Number)
		text(e, l.Replaces)
		text(e, l.ReplacedBy)
		e.money(l.Cost)
		e.time(l.DeclaredAt)
	}
	e.count(len(f.Found))
	for i := range f.Found {
		n := &f.Found[i]
		text(e, n.Carrier)
		text(e, n.Number)
		text(e, n.FromCarrier)
		text(e, n.From)
		text(e, n.Rule)
		e.time(n.At)
	}
	e.count(len(f.Promises))
	for i := range f.Promises {
		p := &f.Promises[i]
		text(e, p.By)
		text(e, p.From)
		e.time(p.ShownAt)
		text(e, p.Source)
	}
	e.time(f.RegisteredAt)
}

func (e *encoder) journey(j *parcel.Journey) {
	for i := range j.Events {
		e.timelineEvent(&j.Events[i])
	}
	e.count(len(j.Corrections))
	for i := range j.Corrections {
		e.retraction(&j.Corrections[i])
	}
	for i := range j.Legs {
		e.leg(&j.Legs[i])
	}
	e.count(len(j.Handovers))
	for i := range j.Handovers {
		h := &j.Handovers[i]
		e.bits(h.NumberChanged)
		e.index(h.From)
		e.index(h.To)
		e.index(h.Released)
		e.index(h.Accepted)
		e.index(h.CountsAgainst)
		text(e, h.Rule)
	}
	e.count(len(j.Reached))
	for _, r := range j.Reached {
		text(e, r.Milestone)
		e.index(r.Event)
	}
	text(e, j.Milestone)
	text(e, j.Outcome)
	e.index(j.OutcomeEvent)
	e.moment(&j.ReturnedAt)
	e.count(len(j.Exceptions))
	for i := range j.Exceptions {
		x := &j.Exceptions[i]
		text(e, x.Key)
		text(e, x.Kind)
		text(e, x.Severity)
		text(e, x.Reason)
		text(e, x.With)
		text(e, x.Border)
		e.index(x.Opened)
		e.index(x.Closed)
		text(e, x.Closure)
		text(e, x.ClosedBy)
		e.index(x.Leg)
	}
	e.index(j.Latest)
	e.index(j.CurrentLeg)
	text(e, j.Custody.State)
	e.index(j.Custody.Leg)
	e.moment(&j.Custody.Since)
}

func (e *encoder) timelineEvent(t *parcel.TimelineEvent) {
	keyed := slices.ContainsFunc(t.Witnesses, func(w parcel.Witness) bool { return w.Key != t.EventKey })
	derived := derives(t)
	e.bits(t.Return, t.Retracted != nil, t.Retraction != nil, t.Retracts, keyed, len(t.Tellings) > 0, derived, t.LaterUse)
	if len(t.Tellings) > 0 {
		e.count(len(t.Tellings))
		for i := range t.Tellings {
			v := &t.Tellings[i]
			e.bits(v.Retraction != nil, v.Retracts)
			e.event(v)
		}
	}
	if derived {
		e.heading(&t.Event)
	} else {
		e.event(&t.Event)
	}
	text(e, t.Read)
	text(e, t.Stage)
	text(e, t.Proves)
	e.index(t.Leg)
	if t.Retracted != nil {
		e.retraction(t.Retracted)
	}
	e.count(len(t.Witnesses))
	for i := range t.Witnesses {
		w := &t.Witnesses[i]
		text(e, w.Carrier)
		text(e, w.Source)
		text(e, w.PayloadID)
		e.time(w.ReceivedAt)
		if keyed {
			text(e, w.Key)
		}
		text(e, w.Digest)
	}
}

// derives tells whether an event is its first telling but for the heading, so
// that only the heading need be written: a merged event mostly is.
func derives(t *parcel.TimelineEvent) bool {
	if len(t.Tellings) == 0 || t.Retraction != nil {
		return false
	}
	v := t.Tellings[0]
	copyHeading(&v, &t.Event)
	return v == t.Event
}

// copyHeading takes over what differs between a merged event and the telling
// that it shows: whose it is, who told it, its names and how it came in.
func copyHeading(to, from *parcel.Event) {
	to.Carrier, to.Teller, to.Number, to.ID, to.EventKey = from.Carrier, from.Teller, from.Number, from.ID, from.EventKey
	to.Source, to.PayloadID, to.ReceivedAt = from.Source, from.PayloadID, from.ReceivedAt
}

func (e *encoder) heading(v *parcel.Event) {
	text(e, v.Carrier)
	text(e, v.Teller)
	text(e, v.Number)
	text(e, v.ID)
	text(e, v.EventKey)
	text(e, v.Source)
	text(e, v.PayloadID)
	e.time(v.ReceivedAt)
}

func (e *encoder) event(v *parcel.Event) {
	o := &v.Observation
	text(e, o.Carrier)
	text(e, o.Teller)
	text(e, o.Number)
	text(e, o.Parcel)
	text(e, o.OwnCode)
	text(e, o.Code)
	text(e, o.Reason)
	text(e, o.Words)
	text(e, o.Language)
	e.moment(&o.Occurred)
	e.time(o.Reported)
	e.place(&o.Place)
	text(e, o.DeliveredTo)
	text(e, o.NextCarrier)
	text(e, o.NextNumber)
	text(e, o.Rule)
	text(e, o.RuleVersion)
	text(e, v.ID)
	text(e, v.ShipmentID)
	text(e, v.EventKey)
	text(e, v.EventDigest)
	text(e, v.Source)
	text(e, v.PayloadID)
	e.time(v.ReceivedAt)
	if v.Retraction != nil {
		e.retraction(v.Retraction)
	}
}

func (e *encoder) retraction(r *parcel.Retraction) {
	text(e, r.Target)
	text(e, r.Kind)
	text(e, r.Reason)
	e.time(r.At)
	text(e, r.ReplacedBy)
}

func (e *encoder) leg(l *parcel.Leg) {
	e.bits(l.Return)
	text(e, l.Key)
	e.number(int64(l.Sequence))
	text(e, l.Stage)
	text(e, l.State)
	text(e, l.Carrier)
	text(e, l.ServiceLevel)
	text(e, l.Number)
	e.texts(l.Former)
	e.place(&l.From)
	e.place(&l.To)
	e.moment(&l.Start)
	e.moment(&l.End)
	e.index(l.FirstEvent)
	e.index(l.LastEvent)
	text(e, l.Origin)
	e.index(l.NamedBy)
	e.money(l.Cost)
}

// errStale: the state is of another version of codec or rules and says nothing.
var errStale = fmt.Errorf("state of another version")

// decoder reads one state. After the first fault every read gives zero, so the
// fault is looked at once, at the end.
type decoder struct {
	data  []byte
	fault string
	table []string

	witnesses   []parcel.Witness
	tellings    []parcel.Event
	retractions []parcel.Retraction
	formers     []string
	events      int // how many the journey has; bounds what indexes may say
	legs        int
}

// decodeState reads what encodeState wrote into facts and journey of s. It
// keeps nothing of data. The error is errStale for another version, else it
// unwraps to parcel.ErrMalformed; garbage never panics, nor allocates more than
// a small multiple of its length.
func decodeState(data []byte, s *parcel.Shipment, scratch *[]string) error {
	d := decoder{data: data}
	if version := d.byte(); version != codecVersion {
		return errStale
	}
	if n := d.length(1); string(d.bytes(n)) != parcel.RuleVersion {
		return errStale
	}
	d.table = (*scratch)[:0]
	d.readTable()
	*scratch = d.table
	// The least number of bytes that each takes bounds what garbage can ask for.
	d.events = d.length(30)
	witnesses := d.length(5)
	tellings := d.length(25)
	d.legs = d.length(17)
	retractions := d.length(5)
	formers := d.length(1)
	if d.fault == "" {
		d.witnesses = alloc[parcel.Witness](witnesses)
		d.tellings = alloc[parcel.Event](tellings)
		d.retractions = alloc[parcel.Retraction](retractions)
		d.formers = alloc[string](formers)
		d.facts(&s.Facts)
		d.journey(&s.Journey)
	}
	if d.fault == "" && len(d.data) > 0 {
		d.fault = "bytes left over"
	}
	if d.fault != "" {
		return fmt.Errorf("state: %s: %w", d.fault, parcel.ErrMalformed)
	}
	return nil
}

func alloc[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}

func (d *decoder) fail(what string) {
	if d.fault == "" {
		d.fault = what
	}
	d.data = nil
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.fail("cut short")
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.data) {
		d.fail("cut short")
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	if len(d.data) > 0 && d.data[0] < 0x80 { // most are
		v := uint64(d.data[0])
		d.data = d.data[1:]
		return v
	}
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail("cut short")
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) number() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.fail("cut short")
		return 0
	}
	d.data = d.data[n:]
	return v
}

// length is a count of things that take at least size bytes each.
func (d *decoder) length(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.data)/size) {
		d.fail("count beyond the bytes there are")
		return 0
	}
	return int(n)
}

// index is -1 or below limit.
func (d *decoder) index(limit int) int {
	n := d.uvarint()
	if n > uint64(limit) {
		d.fail("index out of range")
		return -1
	}
	return int(n) - 1
}

func (d *decoder) readTable() {
	entries := d.length(1)
	expanded := d.uvarint()
	// The most that unpacking adds is the doubling of hex digits.
	if expanded > 2*uint64(len(d.data)) {
		d.fail("table longer than its bytes")
		return
	}
	var all strings.Builder
	all.Grow(int(expanded))
	d.table = append(d.table, "")
	for range entries {
		head := d.uvarint()
		size, kind := head/entryKinds, head%entryKinds
		if size > uint64(len(d.data)) {
			d.fail("cut short")
			return
		}
		raw := d.bytes(int(size))
		from := all.Len()
		switch {
		case kind == entryHex:
			var digits [64]byte
			for len(raw) > 0 {
				n := min(len(raw), len(digits)/2)
				hex.Encode(digits[:], raw[:n])
				all.Write(digits[:2*n])
				raw = raw[n:]
			}
		case kind == entryULID && len(raw) == 16:
			var letters [26]byte
			unpackULID(letters[:], raw)
			all.Write(letters[:])
		case kind == entryText:
			all.Write(raw)
		default:
			d.fail("kind of table entry")
			return
		}
		if all.Len() > int(expanded) {
			d.fail("table longer than it says")
			return
		}
		d.table = append(d.table, all.String()[from:])
	}
}

func read[T ~string](d *decoder, into *T) {
	at := d.uvarint()
	if at >= uint64(len(d.table)) {
		d.fail("no such string")
		return
	}
	*into = T(d.table[at])
}

func (d *decoder) texts() []string {
	list := alloc[string](d.length(1))
	for i := range list {
		read(d, &list[i])
	}
	return list
}

func (d *decoder) time() time.Time {
	switch d.byte() {
	case timeNone:
		return time.Time{}
	case timeSeconds:
		return time.Unix(d.number(), 0).UTC()
	case timeMicros:
		return time.UnixMicro(d.number()).UTC()
	}
	d.fail("kind of time")
	return time.Time{}
}

func (d *decoder) moment(m *parcel.Moment) {
	bits := d.uvarint()
	if bits&1 == 0 {
		return
	}
	m.HasOffset = bits&2 != 0
	m.At = d.time()
	read(d, &m.Wall)
	read(d, &m.Text)
	read(d, &m.Zone)
	m.OffsetSeconds = int(d.number())
	read(d, &m.Certainty)
}

func (d *decoder) place(p *parcel.Place) {
	bits := d.uvarint()
	if bits == 0 {
		return
	}
	if bits&1 != 0 {
		read(d, &p.Country)
	}
	for i, s := range [...]*string{&p.Region, &p.City, &p.Postcode, &p.Facility, &p.Unlocode, &p.TimeZone} {
		if bits&(2<<i) != 0 {
			read(d, s)
		}
	}
}

func (d *decoder) money(m *parcel.Money) {
	m.Minor = d.number()
	read(d, &m.Currency)
}

func (d *decoder) facts(f *parcel.Facts) {
	read(d, &f.Reference)
	read(d, &f.Order)
	d.place(&f.Origin)
	d.place(&f.Destination)
	g := &f.Goods
	read(d, &g.Description)
	for _, n := range [...]*int{&g.WeightGrams, &g.LengthMM, &g.WidthMM, &g.HeightMM} {
		*n = int(d.number())
	}
	d.money(&g.DeclaredValue)
	g.HSCodes = d.texts()
	g.Attributes = alloc[parcel.GoodsAttribute](d.length(1))
	for i := range g.Attributes {
		read(d, &g.Attributes[i])
	}
	g.AttributesKnown = d.uvarint()&1 != 0
	f.Tags = d.texts()
	read(d, &f.Locale)
	read(d, &f.Route)
	f.Legs = alloc[parcel.DeclaredLeg](d.length(10))
	for i := range f.Legs {
		l := &f.Legs[i]
		bits := d.uvarint()
		l.StageGiven, l.Guessed = bits&1 != 0, bits&2 != 0
		read(d, &l.Stage)
		read(d, &l.Carrier)
		read(d, &l.ServiceLevel)
		read(d, &l.Number)
		read(d, &l.Replaces)
		read(d, &l.ReplacedBy)
		d.money(&l.Cost)
		l.DeclaredAt = d.time()
	}
	f.Found = alloc[parcel.FoundNumber](d.length(6))
	for i := range f.Found {
		n := &f.Found[i]
		read(d, &n.Carrier)
		read(d, &n.Number)
		read(d, &n.FromCarrier)
		read(d, &n.From)
		read(d, &n.Rule)
		n.At = d.time()
	}
	f.Promises = alloc[parcel.Promise](d.length(4))
	for i := range f.Promises {
		p := &f.Promises[i]
		read(d, &p.By)
		read(d, &p.From)
		p.ShownAt = d.time()
		read(d, &p.Source)
	}
	f.RegisteredAt = d.time()
}

func (d *decoder) journey(j *parcel.Journey) {
	j.Events = alloc[parcel.TimelineEvent](d.events)
	for i := range j.Events {
		if d.fault != "" {
			return
		}
		d.timelineEvent(&j.Events[i])
	}
	if n := d.length(5); n <= len(d.retractions) {
		if n > 0 {
			j.Corrections = d.retractions[:n:n]
			d.retractions = d.retractions[n:]
		}
	} else {
		d.fail("more retractions than it says")
	}
	for i := range j.Corrections {
		d.retraction(&j.Corrections[i])
	}
	j.Legs = alloc[parcel.Leg](d.legs)
	for i := range j.Legs {
		d.leg(&j.Legs[i])
	}
	j.Handovers = alloc[parcel.Handover](d.length(7))
	for i := range j.Handovers {
		h := &j.Handovers[i]
		h.NumberChanged = d.uvarint()&1 != 0
		h.From = d.index(d.legs)
		h.To = d.index(d.legs)
		h.Released = d.index(d.events)
		h.Accepted = d.index(d.events)
		h.CountsAgainst = d.index(d.legs)
		read(d, &h.Rule)
	}
	j.Reached = alloc[parcel.Reached](d.length(2))
	for i := range j.Reached {
		read(d, &j.Reached[i].Milestone)
		j.Reached[i].Event = d.index(d.events)
	}
	read(d, &j.Milestone)
	read(d, &j.Outcome)
	j.OutcomeEvent = d.index(d.events)
	d.moment(&j.ReturnedAt)
	j.Exceptions = alloc[parcel.Exception](d.length(11))
	for i := range j.Exceptions {
		x := &j.Exceptions[i]
		read(d, &x.Key)
		read(d, &x.Kind)
		read(d, &x.Severity)
		read(d, &x.Reason)
		read(d, &x.With)
		read(d, &x.Border)
		x.Opened = d.index(d.events)
		x.Closed = d.index(d.events)
		read(d, &x.Closure)
		read(d, &x.ClosedBy)
		x.Leg = d.index(d.legs)
	}
	j.Latest = d.index(d.events)
	j.CurrentLeg = d.index(d.legs)
	read(d, &j.Custody.State)
	j.Custody.Leg = d.index(d.legs)
	d.moment(&j.Custody.Since)
}

func (d *decoder) timelineEvent(t *parcel.TimelineEvent) {
	bits := d.uvarint()
	if bits&32 != 0 {
		d.tellingsOf(t)
	}
	switch {
	case bits&64 == 0:
		d.event(&t.Event, bits&4 != 0)
		t.Retracts = bits&8 != 0
	case len(t.Tellings) > 0:
		t.Event = t.Tellings[0]
		d.heading(&t.Event)
	default:
		d.fail("an event as its telling, without one")
		return
	}
	t.Return, t.LaterUse = bits&1 != 0, bits&128 != 0
	read(d, &t.Read)
	read(d, &t.Stage)
	read(d, &t.Proves)
	t.Leg = d.index(d.legs)
	if bits&2 != 0 {
		t.Retracted = d.oneRetraction()
	}
	n := d.length(5)
	if n > len(d.witnesses) {
		d.fail("more witnesses than it says")
		return
	}
	if n == 0 {
		return
	}
	t.Witnesses = d.witnesses[:n:n]
	d.witnesses = d.witnesses[n:]
	for i := range t.Witnesses {
		w := &t.Witnesses[i]
		read(d, &w.Carrier)
		read(d, &w.Source)
		read(d, &w.PayloadID)
		w.ReceivedAt = d.time()
		w.Key = t.EventKey
		if bits&16 != 0 {
			read(d, &w.Key)
		}
		read(d, &w.Digest)
	}
}

func (d *decoder) tellingsOf(t *parcel.TimelineEvent) {
	n := d.length(25)
	if n == 0 || n > len(d.tellings) {
		d.fail("more tellings than it says, or none")
		return
	}
	t.Tellings = d.tellings[:n:n]
	d.tellings = d.tellings[n:]
	for i := range t.Tellings {
		v := &t.Tellings[i]
		bits := d.uvarint()
		v.Retracts = bits&2 != 0
		d.event(v, bits&1 != 0)
	}
}

func (d *decoder) heading(v *parcel.Event) {
	read(d, &v.Carrier)
	read(d, &v.Teller)
	read(d, &v.Number)
	read(d, &v.ID)
	read(d, &v.EventKey)
	read(d, &v.Source)
	read(d, &v.PayloadID)
	v.ReceivedAt = d.time()
}

func (d *decoder) event(v *parcel.Event, corrects bool) {
	o := &v.Observation
	read(d, &o.Carrier)
	read(d, &o.Teller)
	read(d, &o.Number)
	read(d, &o.Parcel)
	read(d, &o.OwnCode)
	read(d, &o.Code)
	read(d, &o.Reason)
	read(d, &o.Words)
	read(d, &o.Language)
	d.moment(&o.Occurred)
	o.Reported = d.time()
	d.place(&o.Place)
	read(d, &o.DeliveredTo)
	read(d, &o.NextCarrier)
	read(d, &o.NextNumber)
	read(d, &o.Rule)
	read(d, &o.RuleVersion)
	read(d, &v.ID)
	read(d, &v.ShipmentID)
	read(d, &v.EventKey)
	read(d, &v.EventDigest)
	read(d, &v.Source)
	read(d, &v.PayloadID)
	v.ReceivedAt = d.time()
	if corrects {
		v.Retraction = d.oneRetraction()
	}
}

func (d *decoder) oneRetraction() *parcel.Retraction {
	if len(d.retractions) == 0 {
		d.fail("more retractions than it says")
		return nil
	}
	r := &d.retractions[0]
	d.retractions = d.retractions[1:]
	d.retraction(r)
	return r
}

func (d *decoder) retraction(r *parcel.Retraction) {
	read(d, &r.Target)
	read(d, &r.Kind)
	read(d, &r.Reason)
	r.At = d.time()
	read(d, &r.ReplacedBy)
}

func (d *decoder) leg(l *parcel.Leg) {
	l.Return = d.uvarint()&1 != 0
	read(d, &l.Key)
	l.Sequence = int(d.number())
	read(d, &l.Stage)
	read(d, &l.State)
	read(d, &l.Carrier)
	read(d, &l.ServiceLevel)
	read(d, &l.Number)
	n := d.length(1)
	if n > len(d.formers) {
		d.fail("more former numbers than it says")
		return
	}
	if n > 0 {
		l.Former = d.formers[:n:n]
		d.formers = d.formers[n:]
		for i := range l.Former {
			read(d, &l.Former[i])
		}
	}
	d.place(&l.From)
	d.place(&l.To)
	d.moment(&l.Start)
	d.moment(&l.End)
	l.FirstEvent = d.index(d.events)
	l.LastEvent = d.index(d.events)
	read(d, &l.Origin)
	l.NamedBy = d.index(d.events)
	d.money(&l.Cost)
}

// isHex tells lower-case hex of at least 8 digits; shorter is not worth packing.
func isHex(s string) bool {
	if len(s) < 8 || len(s)%2 != 0 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

// crockford is the alphabet of ULIDs (Crockford's base 32, ulid/spec).
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// packULID packs 26 letters whose first is at most 7: 128 bits.
func packULID(s string) (raw [16]byte, ok bool) {
	if len(s) != 26 || s[0] > '7' {
		return raw, false
	}
	var hi, lo uint64
	for i := range len(s) {
		v := crockfordDigit(s[i])
		if v < 0 {
			return raw, false
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	return raw, true
}

// crockfordDigit is the value of a letter, -1 if it is none.
func crockfordDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'Z':
		return strings.IndexByte(crockford, c)
	}
	return -1
}

func unpackULID(letters, raw []byte) {
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	for i := 25; i >= 0; i-- {
		letters[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
}
