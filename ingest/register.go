package ingest

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

// MaxRegistrations is the most shipments that one call registers.
const MaxRegistrations = 1000

// Register makes shipments known, each on its own: one bad registration never
// stops a good one, and there is a result for each in the order given. It is
// idempotent by the merchant's reference: the same again changes nothing, a
// contradiction is refused with the shipment that stands.
//
// It returns an InputError of fault TOO_MANY for more than MaxRegistrations.
func (g *Ingest) Register(ctx context.Context, merchantID string, in []parcel.Registration) ([]parcel.Registered, error) {
	histories := make([]History, len(in))
	for i := range in {
		histories[i].Registration = in[i]
	}
	return g.RegisterWithHistory(ctx, merchantID, histories)
}

// History is a shipment with what already happened to it: for imports and
// seeds.
type History struct {
	parcel.Registration
	// Events are told as if a file had brought them.
	Events []parcel.Observation
	// ReceivedAt of each event, in the same order; a missing or zero one is now.
	ReceivedAt []time.Time
	// Source marks the events; empty is FILE.
	Source parcel.SourceKind
	// Final says that nobody is to be asked about its numbers: the file is all
	// there is.
	Final bool
}

// RegisterWithHistory is Register for shipments that have a past. Each shipment
// and its events are durable together or not at all.
func (g *Ingest) RegisterWithHistory(ctx context.Context, merchantID string, in []History) ([]parcel.Registered, error) {
	if len(in) > MaxRegistrations {
		return nil, parcel.Invalidf(parcel.FaultTooMany, "input", "%d registrations; at most %d in one call", len(in), MaxRegistrations)
	}
	t := &registerTask{g: g, merchant: merchantID, in: make([]registration, len(in)), out: make([]parcel.Registered, len(in))}
	now := g.trade.Now()
	seen := map[string]int{}
	for i := range in {
		r := &t.in[i]
		r.history = in[i]
		r.problems = g.checkRegistration(&r.history.Registration, now)
		if ref := r.history.Facts.Reference; ref != "" {
			if first, again := seen[ref]; again {
				r.sameAs = first + 1
			} else {
				seen[ref] = i
			}
		}
	}
	if err := g.writer.do(ctx, t); err != nil {
		return nil, err
	}
	return t.out, nil
}

type registration struct {
	history  History
	problems []*parcel.InputError
	// sameAs is one more than the position of an earlier registration of the
	// same reference in the same call.
	sameAs int
}

func (r *registration) refused() bool {
	return slices.ContainsFunc(r.problems, func(e *parcel.InputError) bool { return !e.Warning })
}

type registerTask struct {
	g        *Ingest
	merchant string
	in       []registration
	out      []parcel.Registered
}

func (t *registerTask) weight() int {
	n := 0
	for i := range t.in {
		n += 4 + len(t.in[i].history.Events)
	}
	return n
}

func (t *registerTask) needs(n *needs) {
	for i := range t.in {
		r := &t.in[i]
		if r.refused() {
			continue
		}
		n.reference(t.merchant, r.history.Facts.Reference)
		for _, l := range r.history.Facts.Legs {
			n.number(parcel.NumberKey{Carrier: l.Carrier, Number: l.Number})
		}
		for k := range r.history.Events {
			o := &r.history.Events[k]
			n.number(parcel.NumberKey{Carrier: o.Carrier, Number: o.Number})
			n.number(parcel.NumberKey{Carrier: o.NextCarrier, Number: o.NextNumber})
		}
	}
}

func (t *registerTask) settled(error) {}

func (t *registerTask) apply(u *unit) error {
	for i := range t.in {
		t.out[i] = t.register(u, &t.in[i])
	}
	return nil
}

func (t *registerTask) register(u *unit, r *registration) parcel.Registered {
	if r.refused() {
		return parcel.Registered{Outcome: parcel.WriteRefused, Problems: r.problems}
	}
	f := r.history.Facts
	// A transaction may run more than once: what it finds is not kept in the
	// task.
	problems := slices.Clone(r.problems)
	if id, known := u.references[refKey{t.merchant, f.Reference}]; known {
		stored := u.shipments[id]
		if path := contradiction(&stored.now.Facts, &f, r.history.Facts.RegisteredAt); path != "" {
			p := parcel.Invalidf(parcel.FaultConflict, path, "the reference %q is registered with another value here; to change a tracking number use changeTrackingNumber", f.Reference)
			return parcel.Registered{Outcome: parcel.WriteRefused, Shipment: stored.now, Problems: append(problems, p)}
		}
		if !r.history.Recipient.IsZero() {
			// Personal data is stored apart and may have been erased since: a
			// repetition neither compares nor revives it.
			problems = append(problems, warn(parcel.FaultWrongState, "recipient", "the shipment is registered; its recipient stays as first given"))
		}
		n := t.tellHistory(u, stored.now.ID, r)
		outcome := parcel.WriteUnchanged
		if n > 0 {
			outcome = parcel.WriteUpdated
		}
		if r.sameAs > 0 {
			problems = append(problems, warn(parcel.FaultDuplicate, "reference", "the same reference stands earlier in this call, at position %d", r.sameAs-1))
		}
		return parcel.Registered{Outcome: outcome, Shipment: stored.now, Problems: problems}
	}

	s := &parcel.Shipment{ID: u.g.newID(), MerchantID: t.merchant, Facts: f, CreatedAt: u.now, UpdatedAt: u.now}
	if s.RegisteredAt.IsZero() {
		s.RegisteredAt = u.now
	}
	s.Legs = slices.Clone(s.Legs)
	for i := range s.Legs {
		if s.Legs[i].DeclaredAt.IsZero() {
			s.Legs[i].DeclaredAt = u.now
		}
	}
	for i := range s.Promises {
		if s.Promises[i].ShownAt.IsZero() {
			s.Promises[i].ShownAt = s.RegisteredAt
		}
	}
	u.add(s)
	u.shipments[s.ID].final = r.history.Final
	for i := range s.Legs {
		l := &s.Legs[i]
		switch {
		case l.Number == "":
		case l.Carrier == "":
			u.holdUnnamed(s, l.Number)
		default:
			problems = append(problems, t.holdFor(u, s, i)...)
		}
	}
	if !r.history.Recipient.IsZero() {
		u.recipients = append(u.recipients, parcel.RecipientRow{MerchantID: t.merchant, ShipmentID: s.ID, Recipient: r.history.Recipient})
	}
	t.tellHistory(u, s.ID, r)
	return parcel.Registered{Outcome: parcel.WriteCreated, Shipment: s, Problems: problems}
}

// tellHistory ties the events that came with a registration, and counts the
// new ones.
func (t *registerTask) tellHistory(u *unit, shipmentID string, r *registration) (fresh int) {
	source := r.history.Source
	if source == "" {
		source = parcel.SourceFile
	}
	for k := range r.history.Events {
		received := u.now
		if k < len(r.history.ReceivedAt) && !r.history.ReceivedAt[k].IsZero() {
			received = r.history.ReceivedAt[k]
		}
		if u.tellShipment(shipmentID, r.history.Events[k], source, "", received) {
			fresh++
		}
	}
	return fresh
}

// How long before its registration a parcel may have been posted: events older
// than that belong to an earlier parcel under the same number.
const (
	sinceS10   = 365 * 24 * time.Hour
	sinceOther = 180 * 24 * time.Hour
)

func useSince(number string, registered time.Time) time.Time {
	if _, ok := parcel.ParseS10(number); ok {
		return registered.Add(-sinceS10)
	}
	return registered.Add(-sinceOther)
}

// holdFor gives a declared number to its shipment. A number that another
// shipment ended with long ago is a new use from then on; one that is still in
// use by the merchant, or ended lately, belongs to both, with a warning.
func (t *registerTask) holdFor(u *unit, s *parcel.Shipment, leg int) (problems []*parcel.InputError) {
	l := &s.Legs[leg]
	key := parcel.NumberKey{Carrier: l.Carrier, Number: l.Number}
	path := "legs." + strconv.Itoa(leg) + ".trackingNumber"
	st := u.numbers[key]
	if st.Tracking.Postcode == "" {
		st.Tracking.Postcode = s.Destination.Postcode
	}
	for _, o := range u.hold(key, parcel.Holder{MerchantID: s.MerchantID, ShipmentID: s.ID, Since: useSince(l.Number, s.RegisteredAt)}) {
		at, _ := endOf(o)
		problems = append(problems, warn(parcel.FaultDuplicate, path, "the number was used before, for %q, which ended on %s; this is taken as a new parcel", o.Reference, at.Format(parcel.DayLayout)))
	}
	for _, other := range st.Holders {
		if o := u.shipments[other.ShipmentID]; o != nil && other.MerchantID == s.MerchantID && other.ShipmentID != s.ID && other.Until.IsZero() {
			problems = append(problems, warn(parcel.FaultDuplicate, path, "the number is also that of %q; both shipments show its events", o.now.Reference))
		}
	}
	return problems
}

// holdUnnamed gives a number of no known carrier to its shipment, so that the
// shipment is found by it. Nobody is asked about such a number and no payload
// speaks of it, so there is nothing to lock and no use of it to end.
func (u *unit) holdUnnamed(s *parcel.Shipment, number string) {
	u.holders = append(u.holders, parcel.HolderRow{
		NumberKey: parcel.NumberKey{Number: number},
		Holder:    parcel.Holder{MerchantID: s.MerchantID, ShipmentID: s.ID, Since: useSince(number, s.RegisteredAt)},
	})
}

func warn(fault parcel.Fault, path, format string, args ...any) *parcel.InputError {
	e := parcel.Invalidf(fault, path, format, args...)
	e.Warning = true
	return e
}

// contradiction finds the first field in which a registration contradicts what
// is stored; empty if none does.
func contradiction(stored, given *parcel.Facts, registeredAt time.Time) string {
	type field struct {
		path string
		a, b any
	}
	legs := func(f *parcel.Facts) []parcel.DeclaredLeg {
		out := make([]parcel.DeclaredLeg, 0, len(f.Legs))
		for _, l := range f.Legs {
			if l.Replaces != "" {
				continue // a later correction
			}
			l.DeclaredAt, l.ReplacedBy = time.Time{}, ""
			out = append(out, l)
		}
		return out
	}
	before, now := legs(stored), legs(given)
	for i := range min(len(before), len(now)) {
		a, b := &before[i], &now[i]
		if a.Guessed && b.Guessed && a.Number == b.Number {
			// Whose number it is was guessed both times, and guesses may differ
			// where carrier accounts have come since.
			b.Carrier = a.Carrier
			if !b.StageGiven {
				b.Stage = a.Stage
			}
		}
		a.Guessed, b.Guessed = false, false
	}
	var first, again parcel.Promise
	if len(stored.Promises) > 0 {
		first = stored.Promises[0]
	}
	if len(given.Promises) > 0 {
		again = given.Promises[0]
	}
	first.ShownAt, again.ShownAt = time.Time{}, time.Time{}
	for _, f := range []field{
		{"order", stored.Order, given.Order},
		{"origin", stored.Origin, given.Origin},
		{"destination", stored.Destination, given.Destination},
		{"goods", normalGoods(stored.Goods), normalGoods(given.Goods)},
		{"tags", normalList(stored.Tags), normalList(given.Tags)},
		{"locale", stored.Locale, given.Locale},
		{"route", stored.Route, given.Route},
		{"legs", before, now},
		{"promise", first, again},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			return f.path
		}
	}
	if !registeredAt.IsZero() && !registeredAt.Equal(stored.RegisteredAt) {
		return "registeredAt"
	}
	return ""
}

func normalList(in []string) []string {
	if len(in) == 0 {
		return nil
	}
	return in
}

func normalGoods(g parcel.Goods) parcel.Goods {
	g.HSCodes = normalList(g.HSCodes)
	if len(g.Attributes) == 0 {
		g.Attributes = nil
	}
	return g
}

// The bounds of what a registration may hold, in characters or items.
const (
	maxReference   = 128
	maxText        = 500
	maxLegs        = 20
	maxTags        = 20
	maxTag         = 64
	maxHSCodes     = 20
	maxNumber      = 64
	minNumber      = 4
	maxGrams       = 100_000
	maxMillimetres = 10_000
)

// checkRegistration finds what is wrong with a registration before anything is
// locked, and makes its numbers and carriers canonical. Everything wrong is
// told at once.
func (g *Ingest) checkRegistration(r *parcel.Registration, now time.Time) (problems []*parcel.InputError) {
	c := checker{}
	f := &r.Facts
	c.text("reference", f.Reference, 1, maxReference)
	c.text("order", f.Order, 0, maxReference)
	c.text("locale", f.Locale, 0, 35)
	c.place("origin", f.Origin, false)
	c.place("destination", f.Destination, true)
	c.goods("goods", &f.Goods)
	if len(f.Tags) > maxTags {
		c.add(parcel.FaultTooMany, "tags", "%d tags; at most %d", len(f.Tags), maxTags)
	}
	for i, tag := range f.Tags {
		c.text("tags."+strconv.Itoa(i), tag, 1, maxTag)
	}
	for i, p := range f.Promises {
		path := "promise"
		if i > 0 {
			path = "promises." + strconv.Itoa(i)
		}
		c.day(path+".by", p.By, true)
		c.day(path+".from", p.From, false)
		if p.From != "" && p.From > p.By {
			c.add(parcel.FaultOutOfRange, path+".from", "%s lies after %s", p.From, p.By)
		}
	}
	if f.RegisteredAt.After(now.Add(24 * time.Hour)) {
		c.add(parcel.FaultOutOfRange, "registeredAt", "%s lies in the future", f.RegisteredAt.Format(time.RFC3339))
	}
	f.RegisteredAt = f.RegisteredAt.UTC().Truncate(time.Microsecond)
	if len(f.Legs) > maxLegs {
		c.add(parcel.FaultTooMany, "legs", "%d legs; at most %d", len(f.Legs), maxLegs)
	} else {
		f.Legs = slices.Clone(f.Legs)
		for i := range f.Legs {
			g.checkLeg(&c, "legs."+strconv.Itoa(i), &f.Legs[i], wayOf(f))
		}
	}
	c.recipient(&r.Recipient)
	return c.problems
}

// checkLeg makes a declared leg canonical: number normalised, carrier found by
// the number where none was given, stage where the carrier usually begins.
func (g *Ingest) checkLeg(c *checker, path string, l *parcel.DeclaredLeg, way identify.Context) {
	if l.Stage != "" && !l.Stage.Valid() {
		c.add(parcel.FaultMalformed, path+".stage", "%q is no stage", l.Stage)
	}
	l.StageGiven = l.Stage != ""
	c.text(path+".serviceLevel", l.ServiceLevel, 0, 64)
	if l.Number != "" {
		l.Number = parcel.NormalizeNumber(l.Number)
		c.text(path+".trackingNumber", l.Number, minNumber, maxNumber)
		if s10, ok := parcel.ParseS10(l.Number); ok && !s10.CheckValid {
			c.warn(parcel.FaultCheckDigit, path+".trackingNumber", "the check digit of %s does not fit; it is asked for as given", l.Number)
		} else if valid, applies := parcel.CheckUPS(l.Number); applies && !valid {
			c.warn(parcel.FaultCheckDigit, path+".trackingNumber", "the check digit of %s does not fit; it is asked for as given", l.Number)
		}
	}
	switch {
	case l.Carrier != "":
		if _, served := g.spec(l.Carrier); !served && l.Number != "" && !slices.Contains(g.known(), l.Carrier) {
			c.warn(parcel.FaultCarrierNotConfigured, path+".carrier", "no account serves %q: its news must be reported or imported", l.Carrier)
		}
	case l.Number != "":
		others := g.candidates(l.Number, way)
		if len(others) == 0 {
			c.warn(parcel.FaultCarrierNotConfigured, path+".carrier", "no carrier with an account is known by numbers like %s; name one", l.Number)
			break
		}
		l.Carrier, l.Guessed = others[0], true
		if len(others) > 1 {
			c.warn(parcel.FaultDuplicate, path+".carrier", "taken for %s; it may also be %s: name the carrier to be sure", l.Carrier, strings.Join(others[1:], ", "))
		}
	}
	if l.Stage == "" {
		l.Stage = parcel.StageFirstMile
		if spec, ok := g.spec(l.Carrier); ok {
			l.Stage = spec.Stages[0]
		}
	}
}

// candidates lists the carriers with an account whose numbers look so, best
// first.
func (g *Ingest) candidates(number string, way identify.Context) (out []string) {
	for _, c := range identify.IdentifyFor(number, way) {
		if _, ok := g.spec(c.Carrier); ok && !slices.Contains(out, c.Carrier) {
			out = append(out, c.Carrier)
		}
	}
	return out
}

// carrierOf is the likeliest carrier of a number among those with an account;
// empty if none fits.
func (g *Ingest) carrierOf(number string, way identify.Context) string {
	if c := g.candidates(number, way); len(c) > 0 {
		return c[0]
	}
	return ""
}

// checker gathers what is wrong with an input.
type checker struct{ problems []*parcel.InputError }

func (c *checker) add(fault parcel.Fault, path, format string, args ...any) {
	c.problems = append(c.problems, parcel.Invalidf(fault, path, format, args...))
}

func (c *checker) warn(fault parcel.Fault, path, format string, args ...any) {
	c.problems = append(c.problems, warn(fault, path, format, args...))
}

// text checks what is one line: names, references, numbers, places.
func (c *checker) text(path, s string, low, high int) {
	c.words(path, s, low, high, parcel.OneLine(s))
}

// prose checks what people write at length, in lines if they like.
func (c *checker) prose(path, s string, low, high int) {
	c.words(path, s, low, high, parcel.OneLine(strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ").Replace(s)))
}

func (c *checker) words(path, s string, low, high int, clean bool) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		c.add(parcel.FaultMalformed, path, "is not valid UTF-8")
	case !clean:
		c.add(parcel.FaultMalformed, path, "has control characters")
	case n == 0 && low > 0:
		c.add(parcel.FaultRequired, path, "is missing")
	case n < low && n > 0:
		c.add(parcel.FaultOutOfRange, path, "has %d characters; at least %d are needed", n, low)
	case n > high:
		c.add(parcel.FaultOutOfRange, path, "has %d characters; at most %d are taken", n, high)
	}
}

func (c *checker) day(path, day string, required bool) {
	if day == "" {
		if required {
			c.add(parcel.FaultRequired, path, "is missing")
		}
		return
	}
	if _, err := time.Parse(parcel.DayLayout, day); err != nil {
		c.add(parcel.FaultMalformed, path, "%q is not a day as 2026-11-22", day)
	}
}

func (c *checker) place(path string, p parcel.Place, countryNeeded bool) {
	switch {
	case p.Country == "" && countryNeeded:
		c.add(parcel.FaultRequired, path+".country", "is missing")
	case p.Country != "" && !p.Country.Valid():
		c.add(parcel.FaultMalformed, path+".country", "%q is not an ISO 3166-1 alpha-2 code such as CN, RU or BR", p.Country)
	}
	c.text(path+".region", p.Region, 0, 100)
	c.text(path+".city", p.City, 0, 100)
	c.text(path+".postcode", p.Postcode, 0, 20)
}

func (c *checker) goods(path string, g *parcel.Goods) {
	c.prose(path+".description", g.Description, 0, maxText)
	c.span(path+".weightGrams", g.WeightGrams, maxGrams)
	c.span(path+".lengthMm", g.LengthMM, maxMillimetres)
	c.span(path+".widthMm", g.WidthMM, maxMillimetres)
	c.span(path+".heightMm", g.HeightMM, maxMillimetres)
	if g.DeclaredValue.Minor < 0 {
		c.add(parcel.FaultOutOfRange, path+".declaredValue", "is negative")
	}
	if len(g.HSCodes) > maxHSCodes {
		c.add(parcel.FaultTooMany, path+".hsCodes", "%d codes; at most %d", len(g.HSCodes), maxHSCodes)
	}
	for i, a := range g.Attributes {
		if !a.Valid() {
			c.add(parcel.FaultMalformed, path+".attributes."+strconv.Itoa(i), "%q is no attribute of goods", a)
		}
	}
}

func (c *checker) span(path string, v, high int) {
	if v < 0 || v > high {
		c.add(parcel.FaultOutOfRange, path, "%d is not between 1 and %d", v, high)
	}
}

func (c *checker) recipient(r *parcel.Recipient) {
	c.text("recipient.name", r.Name, 0, 200)
	c.text("recipient.email", r.Email, 0, 254)
	c.text("recipient.phone", r.Phone, 0, 40)
	if len(r.AddressLines) > 5 {
		c.add(parcel.FaultTooMany, "recipient.addressLines", "%d lines; at most 5", len(r.AddressLines))
	}
	for i, l := range r.AddressLines {
		c.text("recipient.addressLines."+strconv.Itoa(i), l, 0, 200)
	}
}
