package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// Mapping says how a file's columns become shipments. It is data: read from
// YAML by package main, or [DefaultMapping].
type Mapping struct {
	// Format is csv or jsonl; empty to tell it by the file's name.
	Format string `yaml:"format" json:"format,omitempty"`
	// Encoding of the file; empty is utf-8. A byte order mark beats it.
	Encoding string `yaml:"encoding" json:"encoding,omitempty"`
	// Delimiter of a CSV file; empty is a comma. "tab" may be written so.
	Delimiter string `yaml:"delimiter" json:"delimiter,omitempty"`
	// Decimal is the sign before decimals, . or ,; empty is a point.
	Decimal string `yaml:"decimal" json:"decimal,omitempty"`
	// Empty lists texts that mean "nothing", in every column. One that ends in
	// * stands for all texts that begin so.
	Empty Texts `yaml:"empty" json:"empty,omitempty"`
	// Final says that the file is all there is: no carrier is asked about its
	// numbers afterwards.
	Final bool `yaml:"final" json:"final,omitempty"`
	// Fields of the shipment, by the names in [Fields].
	Fields map[string]Rules `yaml:"fields" json:"fields,omitempty"`
	// Legs, in order of the journey, by the names in [LegFields]. The leg that
	// Fields tell, if any, comes first.
	Legs []Group `yaml:"legs" json:"legs,omitempty"`
	// Events that happened already, by the names in [EventFields]. One whose
	// time is empty did not happen.
	Events []Group `yaml:"events" json:"events,omitempty"`

	// lenient takes a file that lacks columns which are not required: the
	// default mapping names all there may be.
	lenient bool
}

// Group is the rules of a leg or an event. The name each does not lead to a
// field: its rule names an array of a JSON line, whose elements the other
// rules then speak of.
type Group map[string]Rules

// Rules are tried in order until one gives a text; a field that is a list
// takes what all of them give.
type Rules []Rule

// Rule says where a value stands and how it is read. Column or Value is set.
type Rule struct {
	// Column by its name in the header, or by its path in a JSON line.
	Column string `yaml:"column" json:"column,omitempty"`
	// Value is a constant.
	Value string `yaml:"value" json:"value,omitempty"`
	// Date is the form of a date or time, such as D-Mon-YY, M/D/YY or
	// YYYY-MM-DD hh:mm; several are tried in order. Empty reads ISO 8601 only.
	Date Texts `yaml:"date" json:"date,omitempty"`
	// Zone is the IANA zone of a time written without an offset; empty for the
	// zone of the event's place.
	Zone string `yaml:"zone" json:"zone,omitempty"`
	// Values translates texts; the empty text means nothing.
	Values map[string]string `yaml:"values" json:"values,omitempty"`
	// Others says what becomes of a text that Values does not list: keep (as
	// it is), empty or refuse. Empty is keep.
	Others string `yaml:"others" json:"others,omitempty"`
	// Empty lists texts that mean "nothing" in this column.
	Empty Texts `yaml:"empty" json:"empty,omitempty"`
	// Unit of a measure: g, kg, lb, oz; mm, cm, m, in. Empty is what the
	// field's name says.
	Unit string `yaml:"unit" json:"unit,omitempty"`
	// Split is what stands between the items of a list; empty is a semicolon.
	Split string `yaml:"split" json:"split,omitempty"`
	// Required refuses lines where it gives nothing.
	Required bool `yaml:"required" json:"required,omitempty"`
}

// Texts is a list that may be written as a single text.
type Texts []string

// UnmarshalYAML reads one text or a list of them.
func (t *Texts) UnmarshalYAML(read func(any) error) error {
	var one string
	if read(&one) == nil {
		*t = Texts{one}
		return nil
	}
	var many []string
	if err := read(&many); err != nil {
		return err
	}
	*t = many
	return nil
}

// UnmarshalYAML reads the name of a column, a rule, or a list of those.
func (r *Rules) UnmarshalYAML(read func(any) error) error {
	var one Rule
	if read(&one) == nil {
		*r = Rules{one}
		return nil
	}
	var items []any
	if read(&items) != nil {
		// No list: the error of the single form names the key at fault.
		return read(&one)
	}
	var many []Rule
	if err := read(&many); err != nil {
		return err
	}
	*r = many
	return nil
}

// UnmarshalYAML reads the name of a column, or a rule.
func (r *Rule) UnmarshalYAML(read func(any) error) error {
	var column string
	if read(&column) == nil {
		*r = Rule{Column: column}
		return nil
	}
	type plain Rule
	return read((*plain)(r))
}

// kind is how a field is read.
type kind int

const (
	text kind = iota
	country
	stage
	number // whole number of the unit in the field's name
	money
	list
	day
	instant
	code
	moment
)

// target is a field that a mapping can fill.
type target struct {
	name string
	kind kind
	unit string // of a number
	doc  string
	// paths are where the write path finds fault with it.
	path string
}

var shipmentTargets = []target{
	{name: "reference", doc: "the merchant's own reference, unique for the merchant; needed", path: "reference"},
	{name: "order", doc: "order number", path: "order"},
	{name: "origin", kind: country, doc: "country of origin: code or name", path: "origin.country"},
	{name: "origin_region", path: "origin.region", doc: "region of origin"},
	{name: "origin_city", path: "origin.city", doc: "city of origin"},
	{name: "origin_postcode", path: "origin.postcode", doc: "postcode of origin"},
	{name: "destination", kind: country, doc: "country of destination: code or name; needed", path: "destination.country"},
	{name: "destination_region", path: "destination.region", doc: "region of destination"},
	{name: "destination_city", path: "destination.city", doc: "city of destination"},
	{name: "destination_postcode", path: "destination.postcode", doc: "postcode of destination, which some carriers ask for"},
	{name: "registered_at", kind: instant, doc: "when it was sold or packed; without it, the first event or now", path: "registeredAt"},
	{name: "promised_by", kind: day, doc: "last day promised to the buyer", path: "promise.by"},
	{name: "promised_from", kind: day, doc: "first day promised, where a span was shown", path: "promise.from"},
	{name: "promise_source", doc: "MERCHANT, MARKETPLACE, SERVICE_LEVEL or QUOTE; MERCHANT if not given", path: "promise.source"},
	{name: "description", doc: "what is in the parcel", path: "goods.description"},
	{name: "weight_grams", kind: number, unit: "g", doc: "gross weight", path: "goods.weightGrams"},
	{name: "length_mm", kind: number, unit: "mm", doc: "longest side", path: "goods.lengthMm"},
	{name: "width_mm", kind: number, unit: "mm", doc: "second side", path: "goods.widthMm"},
	{name: "height_mm", kind: number, unit: "mm", doc: "shortest side", path: "goods.heightMm"},
	{name: "declared_value", kind: money, doc: "value for customs, as 12.50", path: "goods.declaredValue"},
	{name: "declared_currency", doc: "its currency, ISO 4217", path: "goods.declaredValue"},
	{name: "hs_codes", kind: list, doc: "Harmonised System codes", path: "goods.hsCodes"},
	{name: "attributes", kind: list, doc: "BATTERY, LIQUID, MAGNETIC, POWDER, FOOD, FRAGILE, BRANDED, BLADE", path: "goods.attributes"},
	{name: "tags", kind: list, doc: "the merchant's own labels", path: "tags"},
	{name: "locale", doc: "the buyer's language, BCP 47", path: "locale"},
	{name: "route", doc: "code of a route of the merchant", path: "route"},
	{name: "recipient_name", doc: "kept apart, and erasable", path: "recipient.name"},
	{name: "recipient_email", doc: "kept apart, and erasable", path: "recipient.email"},
	{name: "recipient_phone", doc: "kept apart, and erasable", path: "recipient.phone"},
	{name: "recipient_address", kind: list, doc: "lines of the address; kept apart, and erasable", path: "recipient.addressLines"},
}

var legTargets = []target{
	{name: "carrier", doc: "the carrier's name here; without it, found by the number", path: "carrier"},
	{name: "tracking_number", doc: "the carrier's number", path: "trackingNumber"},
	{name: "service", doc: "the carrier's product", path: "serviceLevel"},
	{name: "stage", kind: stage, doc: "WAREHOUSE, FIRST_MILE, LINEHAUL, CUSTOMS or LAST_MILE; without it, the events decide", path: "stage"},
	{name: "cost", kind: money, doc: "what the leg costs, as 3.20", path: "cost"},
	{name: "cost_currency", doc: "its currency, ISO 4217", path: "cost"},
}

var eventTargets = []target{
	{name: "code", kind: code, doc: "canonical code (DELIVERED) or its id; anything else is kept as UNKNOWN with its words; needed"},
	{name: "occurred", kind: moment, doc: "when it happened; the event is left out where this is empty; needed"},
	{name: "received", kind: instant, doc: "when it became known; without it, now"},
	{name: "reported", kind: instant, doc: "when the carrier entered it"},
	{name: "own_code", doc: "the carrier's own code"},
	{name: "words", doc: "the carrier's sentence"},
	{name: "language", doc: "its language, BCP 47"},
	{name: "reason", doc: "why, as the vocabulary names it"},
	{name: "delivered_to", doc: "to whom, as the vocabulary names it"},
	{name: "country", kind: country, doc: "where it happened: country"},
	{name: "region", doc: "where it happened: region"},
	{name: "city", doc: "where it happened: city"},
	{name: "postcode", doc: "where it happened: postcode"},
	{name: "facility", doc: "where it happened: the carrier's facility"},
	{name: "carrier", doc: "who says so; without it, the carrier of the first leg"},
	{name: "tracking_number", doc: "of which number; without it, that of the first leg"},
}

// Described is a field with its meaning, for the docs.
type Described struct{ Name, Doc string }

func describe(all []target) []Described {
	out := make([]Described, len(all))
	for i, t := range all {
		out[i] = Described{t.name, t.doc}
	}
	return out
}

// Fields lists what a mapping can fill in a shipment. LegFields of its first
// leg may stand among them.
func Fields() []Described { return describe(shipmentTargets) }

// LegFields lists what a mapping can fill in a leg.
func LegFields() []Described { return describe(legTargets) }

// EventFields lists what a mapping can fill in an event.
func EventFields() []Described { return describe(eventTargets) }

// SHA names the mapping by what it says: comments and order do not matter.
func (m *Mapping) SHA() string {
	data, err := json.Marshal(m)
	if err != nil {
		// Maps of strings and slices of them cannot fail to marshal.
		panic(err)
	}
	sum := sha256.Sum256(append([]byte("1|"), data...))
	return hex.EncodeToString(sum[:])
}

// DefaultMapping reads a file whose header, or whose JSON names, are those of
// [Fields]. Further legs are carrier_2, tracking_number_2 and so on to 9, or
// the list legs of a JSON line; events are the list events of a JSON line.
func DefaultMapping() Mapping {
	m := Mapping{Fields: map[string]Rules{}, lenient: true}
	for _, t := range shipmentTargets {
		m.Fields[t.name] = Rules{{Column: t.name}}
	}
	group := func(all []target, suffix string) Group {
		g := Group{}
		for _, t := range all {
			g[t.name] = Rules{{Column: t.name + suffix}}
		}
		return g
	}
	for _, t := range legTargets {
		m.Fields[t.name] = Rules{{Column: t.name}}
	}
	for n := 2; n <= 9; n++ {
		m.Legs = append(m.Legs, group(legTargets, fmt.Sprintf("_%d", n)))
	}
	legs, events := group(legTargets, ""), group(eventTargets, "")
	legs["each"], events["each"] = Rules{{Column: "legs"}}, Rules{{Column: "events"}}
	m.Legs = append(m.Legs, legs)
	m.Events = []Group{events}
	return m
}

// plan is a mapping made ready to read one file.
type plan struct {
	decimal string
	empty   emptiness
	final   bool
	fields  []step
	legs    []groupPlan
	events  []groupPlan
}

type groupPlan struct {
	each  string
	steps []step
}

// step fills one target.
type step struct {
	target
	rules []ruleStep
}

type ruleStep struct {
	Rule
	empty  emptiness
	dates  []layout
	factor float64
}

// compile checks a mapping against the columns of a file (nil where lines name
// their own) and makes it ready. Everything wrong is told at once.
func (m *Mapping) compile(header []string) (*plan, error) {
	c := compiler{header: header, lenient: m.lenient, used: map[string]bool{}}
	p := &plan{final: m.Final, decimal: m.Decimal, empty: newEmptiness(m.Empty)}
	switch m.Decimal {
	case "", ".", ",":
	default:
		c.add("decimal: %q: want . or ,", m.Decimal)
	}
	var lone []step
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		if t, ok := find(shipmentTargets, name); ok {
			p.fields = append(p.fields, c.step("fields."+name, t, m.Fields[name]))
		} else if t, ok := find(legTargets, name); ok {
			lone = append(lone, c.step("fields."+name, t, m.Fields[name]))
		} else {
			c.add("fields: there is no field %q%s", name, near(name, names(append(slices.Clone(shipmentTargets), legTargets...))))
		}
	}
	for _, needed := range []string{"reference", "destination"} {
		if len(m.Fields[needed]) == 0 {
			c.add("fields: %s is needed: say which column holds it", needed)
		} else if m.lenient && header != nil && !slices.Contains(header, needed) {
			c.add("the file has no column %q: rename one, or name it in a mapping (--map)", needed)
		}
	}
	if len(lone) > 0 {
		p.legs = append(p.legs, groupPlan{steps: lone})
	}
	for i, g := range m.Legs {
		p.legs = append(p.legs, c.group(fmt.Sprintf("legs.%d", i), legTargets, g))
	}
	for i, g := range m.Events {
		at := fmt.Sprintf("events.%d", i)
		for _, needed := range []string{"code", "occurred"} {
			if len(g[needed]) == 0 {
				c.add("%s: %s is needed", at, needed)
			}
		}
		p.events = append(p.events, c.group(at, eventTargets, g))
	}
	return p, c.err()
}

type compiler struct {
	header  []string
	lenient bool
	used    map[string]bool
	wrong   []string
}

func (c *compiler) add(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *compiler) err() error {
	if len(c.wrong) == 0 {
		return nil
	}
	return fmt.Errorf("mapping: %s: %w", strings.Join(c.wrong, "; "), parcel.ErrInvalid)
}

func (c *compiler) group(at string, targets []target, g Group) groupPlan {
	var p groupPlan
	if each := g["each"]; len(each) > 0 {
		p.each = each[0].Column
	}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if name == "each" {
			continue
		}
		t, ok := find(targets, name)
		if !ok {
			c.add("%s: there is no field %q%s", at, name, near(name, names(targets)))
			continue
		}
		p.steps = append(p.steps, c.stepOf(at+"."+name, t, g[name], p.each != ""))
	}
	return p
}

func (c *compiler) step(at string, t target, rules Rules) step { return c.stepOf(at, t, rules, false) }

func (c *compiler) stepOf(at string, t target, rules Rules, inner bool) step {
	s := step{target: t}
	for _, r := range rules {
		rs := ruleStep{Rule: r, empty: newEmptiness(r.Empty), factor: 1}
		switch {
		case r.Column == "" && r.Value == "":
			c.add("%s: name a column, or give a value", at)
		case r.Column != "" && r.Value != "":
			c.add("%s: give either a column or a value, not both", at)
		case r.Column != "" && c.header != nil && !inner && !slices.Contains(c.header, r.Column):
			if !c.lenient {
				c.add("%s: the file has no column %q%s", at, r.Column, near(r.Column, c.header))
			}
			continue // a column that is not there gives nothing
		}
		if inner && c.header != nil {
			continue // lists stand in JSON lines only
		}
		switch r.Others {
		case "", "keep", "empty", "refuse":
		default:
			c.add("%s: others: %q: want keep, empty or refuse", at, r.Others)
		}
		var err error
		if rs.dates, err = layouts(r.Date); err != nil {
			c.add("%s: %v", at, err)
		}
		if len(r.Date) > 0 && t.kind != day && t.kind != instant && t.kind != moment {
			c.add("%s: date does not belong here: the field is no date", at)
		}
		if r.Zone != "" {
			if _, err := zoneOf(r.Zone); err != nil {
				c.add("%s: zone: %q is no IANA zone such as Europe/Moscow", at, r.Zone)
			}
		}
		if r.Unit != "" {
			if rs.factor, err = factor(r.Unit, t.unit); err != nil {
				c.add("%s: %v", at, err)
			}
		}
		c.used[r.Column] = true
		s.rules = append(s.rules, rs)
	}
	return s
}

func find(all []target, name string) (target, bool) {
	i := slices.IndexFunc(all, func(t target) bool { return t.name == name })
	if i < 0 {
		return target{}, false
	}
	return all[i], true
}

func names(all []target) []string {
	out := make([]string, len(all))
	for i, t := range all {
		out[i] = t.name
	}
	return out
}

// near suggests what may have been meant: a name that is the same but for
// case, spaces and signs, or one that contains the other.
func near(written string, known []string) string {
	bare := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(" _-./#", r) {
				return -1
			}
			return r
		}, strings.ToLower(s))
	}
	w := bare(written)
	for _, same := range []func(k string) bool{
		func(k string) bool { return k == w },
		func(k string) bool {
			return len(w) > 2 && len(k) > 2 && (strings.Contains(k, w) || strings.Contains(w, k))
		},
	} {
		for _, k := range known {
			if same(bare(k)) {
				return fmt.Sprintf("; did you mean %q?", k)
			}
		}
	}
	return ""
}

// emptiness is a set of texts that mean nothing.
type emptiness struct {
	exact  map[string]struct{}
	prefix []string
}

func newEmptiness(texts Texts) (e emptiness) {
	for _, t := range texts {
		if p, is := strings.CutSuffix(t, "*"); is {
			e.prefix = append(e.prefix, p)
			continue
		}
		if e.exact == nil {
			e.exact = map[string]struct{}{}
		}
		e.exact[t] = struct{}{}
	}
	return e
}

func (e *emptiness) has(s string) bool {
	if _, is := e.exact[s]; is {
		return true
	}
	return slices.ContainsFunc(e.prefix, func(p string) bool { return strings.HasPrefix(s, p) })
}
