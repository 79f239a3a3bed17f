package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// reader turns records into shipments by a plan.
type reader struct {
	plan *plan
	rec  *record
	// at replaces a list's path in the columns of a group that reads one: the
	// third element of legs is legs.2.
	at     string
	faults []*Fault
}

// maxEach is the most elements that are read of one list of a JSON line.
const maxEach = 1000

// shipment reads a record. It tells everything that is wrong with the line at
// once; a line with a fault gives no shipment.
func (p *plan) shipment(rec *record) (ingest.History, []*Fault) {
	r := &reader{plan: p, rec: rec}
	h := ingest.History{Final: p.final}
	v := r.values(p.fields)
	f := &h.Facts
	f.Reference, f.Order = v.text("reference"), v.text("order")
	f.Origin = v.place("origin", "origin_region", "origin_city", "origin_postcode", "")
	f.Destination = v.place("destination", "destination_region", "destination_city", "destination_postcode", "")
	f.Locale, f.Route = v.text("locale"), v.text("route")
	f.Tags = v.list("tags")
	f.Goods = parcel.Goods{
		Description: v.text("description"),
		WeightGrams: v.number("weight_grams"), LengthMM: v.number("length_mm"), WidthMM: v.number("width_mm"), HeightMM: v.number("height_mm"),
		DeclaredValue: v.money("declared_value", "declared_currency"),
		HSCodes:       v.list("hs_codes"),
	}
	for _, a := range v.list("attributes") {
		f.Goods.Attributes = append(f.Goods.Attributes, parcel.GoodsAttribute(strings.ToUpper(a)))
		f.Goods.AttributesKnown = true
	}
	h.Recipient = parcel.Recipient{
		Name: v.text("recipient_name"), Email: v.text("recipient_email"), Phone: v.text("recipient_phone"), AddressLines: v.list("recipient_address"),
	}
	if by := v.day("promised_by"); by != "" {
		p := parcel.Promise{By: by, From: v.day("promised_from"), Source: parcel.PromiseByMerchant}
		if s := v.text("promise_source"); s != "" {
			p.Source = parcel.PromiseSource(strings.ToUpper(s))
		}
		f.Promises = []parcel.Promise{p}
	}
	f.RegisteredAt = v.instant("registered_at")

	for i := range p.legs {
		r.each(p.legs[i].each, func() {
			if l, ok := r.leg(&p.legs[i]); ok {
				f.Legs = append(f.Legs, l)
			}
		})
	}
	for i := range p.events {
		r.each(p.events[i].each, func() {
			if o, received, ok := r.event(&p.events[i], f); ok {
				h.Events = append(h.Events, o)
				h.ReceivedAt = append(h.ReceivedAt, received)
			}
		})
	}
	if f.RegisteredAt.IsZero() {
		// A history without its beginning: the earliest thing that is known of
		// the parcel is better than the day on which the file was read.
		for i := range h.Events {
			if at := h.Events[i].Occurred.At; f.RegisteredAt.IsZero() || at.Before(f.RegisteredAt) {
				f.RegisteredAt = at
			}
		}
	}
	return h, r.faults
}

// each calls fn once, or for each element of a list of a JSON line.
func (r *reader) each(list string, fn func()) {
	if list == "" {
		fn()
		return
	}
	defer func() { r.at = "" }()
	for i := range min(r.rec.lists[list], maxEach) {
		r.at = list + "." + strconv.Itoa(i) + "."
		fn()
	}
}

func (r *reader) leg(g *groupPlan) (parcel.DeclaredLeg, bool) {
	v := r.values(g.steps)
	l := parcel.DeclaredLeg{
		Carrier: v.text("carrier"), Number: v.text("tracking_number"), ServiceLevel: v.text("service"),
		Stage: parcel.Stage(v.text("stage")), Cost: v.money("cost", "cost_currency"),
	}
	return l, l.Carrier != "" || l.Number != ""
}

func (r *reader) event(g *groupPlan, f *parcel.Facts) (o parcel.Observation, received time.Time, ok bool) {
	// What did not happen has no faults.
	i := slices.IndexFunc(g.steps, func(s step) bool { return s.name == "occurred" })
	if i < 0 {
		return o, received, false
	}
	w, faulty := r.value(&g.steps[i])
	if faulty || w.form == nil {
		return o, received, false
	}
	v := r.values(slices.DeleteFunc(slices.Clone(g.steps), func(s step) bool { return s.name == "occurred" }))
	raw := v.text("code")
	o = parcel.Observation{
		Carrier: v.text("carrier"), Number: parcel.NormalizeNumber(v.text("tracking_number")),
		OwnCode: v.text("own_code"), Code: codeOf(raw), Words: v.text("words"), Language: v.text("language"),
		Reason: parcel.Reason(strings.ToUpper(v.text("reason"))), DeliveredTo: parcel.DeliveredTo(strings.ToUpper(v.text("delivered_to"))),
		Place: v.place("country", "region", "city", "postcode", "facility"), Reported: v.instant("reported"),
		Rule: "import",
	}
	if o.OwnCode == "" {
		o.OwnCode = raw
	}
	if o.Code == parcel.CodeUnknown && o.Words == "" {
		o.Words = raw
	}
	if len(f.Legs) > 0 {
		o.Carrier = cmp.Or(o.Carrier, f.Legs[0].Carrier)
		if o.Number == "" && o.Carrier == f.Legs[0].Carrier {
			o.Number = parcel.NormalizeNumber(f.Legs[0].Number)
		}
	}
	if raw == "" {
		r.fault("code", w.column, "", "an event needs a code, or the words that stand for it")
	}
	if o.Reason != "" && !o.Reason.Valid() {
		r.fault("reason", v["reason"].column, v.text("reason"), "is no reason of the vocabulary")
	}
	if o.DeliveredTo != "" && !o.DeliveredTo.Valid() {
		r.fault("delivered_to", v["delivered_to"].column, v.text("delivered_to"), "is no recipient of the vocabulary")
	}
	zone, certainty := parcel.ZoneFor(o.Place)
	if w.zone != "" {
		zone, certainty = w.zone, parcel.CertaintyAssumed
	}
	var loc *time.Location
	if zone != "" {
		// A zone that this machine does not know leaves the offset unknown.
		loc, _ = zoneOf(zone)
	}
	o.Occurred = momentOf(w.text, w.time, w.form, loc, certainty)
	return o, v.instant("received"), true
}

// codeOf reads a canonical code by name or id. Whatever else is written is
// kept as UNKNOWN, never guessed.
func codeOf(s string) parcel.Code {
	up := strings.ToUpper(strings.TrimSpace(s))
	if c := parcel.Code(up); c.Valid() {
		return c
	}
	if c, ok := parcel.CodeByID(up); ok {
		return c
	}
	return parcel.CodeUnknown
}

// value is what a step gave.
type value struct {
	text   string // as written, or translated
	column string
	items  []string
	time   time.Time
	form   *layout // of time
	zone   string
	num    int
}

// values is what the steps of a shipment, leg or event gave, by field.
type values map[string]value

func (v values) text(name string) string       { return v[name].text }
func (v values) list(name string) []string     { return v[name].items }
func (v values) number(name string) int        { return v[name].num }
func (v values) instant(name string) time.Time { return v[name].time }

func (v values) day(name string) string {
	if v[name].form == nil {
		return ""
	}
	return v[name].time.Format(parcel.DayLayout)
}

func (v values) place(country, region, city, postcode, facility string) parcel.Place {
	return parcel.Place{
		Country: parcel.Country(v.text(country)), Region: v.text(region), City: v.text(city), Postcode: v.text(postcode), Facility: v.text(facility),
	}
}

// money reads an amount and its currency; the form was checked by values.
func (v values) money(amount, currency string) parcel.Money {
	if v.text(amount) == "" {
		return parcel.Money{}
	}
	m, err := parcel.ParseMoney(v.text(amount), parcel.Currency(strings.ToUpper(v.text(currency))))
	if err != nil {
		return parcel.Money{}
	}
	return m
}

func (r *reader) fault(field, column, text, format string, args ...any) {
	r.faults = append(r.faults, &Fault{Line: r.rec.line, Field: field, Column: column, Value: text, Message: fmt.Sprintf(format, args...)})
}

// values reads every step of a group.
func (r *reader) values(steps []step) values {
	out := make(values, len(steps))
	for i := range steps {
		s := &steps[i]
		v, faulty := r.value(s)
		if !faulty && (v.text != "" || len(v.items) > 0) {
			out[s.name] = v
		}
	}
	for _, pair := range [][2]string{{"declared_value", "declared_currency"}, {"cost", "cost_currency"}} {
		amount, given := out[pair[0]]
		if !given {
			continue
		}
		currency := parcel.Currency(strings.ToUpper(out.text(pair[1])))
		if !currency.Valid() {
			r.fault(pair[1], out[pair[1]].column, string(currency), "an amount needs its currency, an ISO 4217 code such as USD")
			continue
		}
		if _, err := parcel.ParseMoney(amount.text, currency); err != nil {
			r.fault(pair[0], amount.column, amount.text, "is no amount of %s such as 12.50", currency)
		}
	}
	return out
}

// value tries the rules of a step until one gives something; a list takes from
// all.
func (r *reader) value(s *step) (out value, faulty bool) {
	var required *ruleStep
	for i := range s.rules {
		rule := &s.rules[i]
		if rule.Required {
			required = rule
		}
		written, ok := r.written(s, rule)
		if !ok {
			faulty = true
			continue
		}
		if written == "" {
			continue
		}
		v, err := s.read(rule, written, r.plan.decimal)
		if err != nil {
			r.fault(s.name, rule.Column, written, "%v", err)
			return value{}, true
		}
		if s.kind != list {
			return v, false
		}
		out.column = v.column
		for _, item := range v.items {
			if !slices.Contains(out.items, item) {
				out.items = append(out.items, item)
			}
		}
	}
	if required != nil && out.text == "" && len(out.items) == 0 && !faulty {
		r.fault(s.name, required.Column, "", "is missing")
		return out, true
	}
	return out, faulty
}

// written is what a rule finds in the record, translated; empty where it means
// nothing. ok is false where the text is refused.
func (r *reader) written(s *step, rule *ruleStep) (string, bool) {
	if rule.Value != "" {
		return rule.Value, true
	}
	t := strings.TrimSpace(r.rec.get(r.at + rule.Column))
	if t == "" || rule.empty.has(t) {
		return "", true
	}
	if to, known := rule.Values[t]; known {
		return to, true
	}
	// What a rule translates is not nothing, whatever the whole file says.
	if r.plan.empty.has(t) {
		return "", true
	}
	switch rule.Others {
	case "empty":
		return "", true
	case "refuse":
		r.fault(s.name, rule.Column, t, "is none of the values that the mapping lists (%s)", strings.Join(slices.Sorted(maps.Keys(rule.Values)), ", "))
		return "", false
	}
	return t, true
}

// read makes a text what its field is kept as.
func (s *step) read(rule *ruleStep, written, decimal string) (value, error) {
	v := value{text: written, column: rule.Column, zone: rule.Zone}
	var err error
	switch s.kind {
	case country:
		var c parcel.Country
		if c, err = parcel.ParseCountry(written); err != nil {
			return v, fmt.Errorf("%q is no country; write an ISO code such as CN or its English name, or translate it under values in the mapping", written)
		}
		v.text = string(c)
	case stage:
		st := parcel.Stage(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(written)))
		if !st.Valid() {
			return v, fmt.Errorf("%q is no stage; want WAREHOUSE, FIRST_MILE, LINEHAUL, CUSTOMS or LAST_MILE", written)
		}
		v.text = string(st)
	case number:
		v.num, err = parseNumber(written, decimal, rule.factor)
	case money:
		v.text, err = decimalText(written, decimal)
	case list:
		for item := range strings.SplitSeq(written, cmp.Or(rule.Split, ";")) {
			if item = strings.TrimSpace(item); item != "" {
				v.items = append(v.items, item)
			}
		}
	case day, moment:
		v.time, v.form, err = parseDate(written, rule.dates)
	case instant:
		if v.time, v.form, err = parseDate(written, rule.dates); err != nil || v.form.offset {
			break
		}
		if rule.Zone != "" {
			loc, zoneErr := zoneOf(rule.Zone)
			if zoneErr != nil {
				return v, zoneErr
			}
			t := v.time
			v.time = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc)
		}
	}
	v.time = v.time.Truncate(time.Microsecond)
	return v, err
}
