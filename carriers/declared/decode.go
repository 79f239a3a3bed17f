package declared

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// holds tells whether a rule's conditions do. A status of 0 is an answer of
// status 2xx, or one whose status is not known.
func (r *rule) holds(status int, c scope) bool {
	if len(r.status) > 0 && !slices.Contains(r.status, status) {
		return false
	}
	if r.path == nil {
		return true
	}
	t := r.path.text(c)
	if r.absent {
		return t == ""
	}
	if slices.Contains(r.is, t) && t != "" {
		return true
	}
	folded := fold(t, false)
	return slices.ContainsFunc(r.contains, func(want string) bool { return strings.Contains(folded, want) })
}

func anyHolds(rules []rule, status int, c scope) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.holds(status, c) })
}

// refusal is what an answer as a whole says by its status and content: an
// error of kind ErrDenied, ErrThrottled or ErrUnavailable, or nil.
func (d *description) refusal(status int, doc any) error {
	c := scope{root: doc, parcel: doc, here: doc}
	s := &d.signals
	switch {
	case anyHolds(s.denied, status, c):
		return fmt.Errorf("refused by the carrier: %w", parcel.ErrDenied)
	case anyHolds(s.throttled, status, c):
		t := &parcel.Throttled{}
		if s.retryAfter != nil {
			if n, err := strconv.Atoi(s.retryAfter.text(c)); err == nil && n > 0 {
				t.RetryAfter = min(time.Duration(n), maxWaitSeconds) * time.Second
			}
		}
		return t
	case anyHolds(s.unavailable, status, c):
		return fmt.Errorf("the carrier says that it is not available: %w", parcel.ErrUnavailable)
	}
	return nil
}

// maxWaitSeconds is the longest that a carrier can ask us to wait.
const maxWaitSeconds = 24 * 3600

// Decode implements [carriers.Carrier].
func (a *adapter) Decode(p parcel.Payload) (parcel.Reading, error) {
	rd, err := a.d.decode(p, &a.zones)
	if err != nil {
		return rd, fmt.Errorf("%s: %w", a.d.spec.Name, err)
	}
	return rd, nil
}

func (d *description) decode(p parcel.Payload, zones *carrierkit.Zones) (parcel.Reading, error) {
	r := reader{d: d, zones: zones}
	switch {
	case p.Kind == kindTrack && d.answer != nil:
		r.shape = d.answer
	case p.Kind == kindUnknown && d.signals.unknownByStatus():
		for _, n := range p.Numbers {
			r.result(parcel.NormalizeNumber(n), parcel.FindingUnknown)
		}
		return r.rd, nil
	case p.Kind == kindPush && d.push != nil:
		r.shape = d.push.shape
		body, err := d.push.document(p.Body)
		if err != nil {
			return r.rd, err
		}
		p.Body = body
	default:
		return r.rd, fmt.Errorf("payload kind %q: %w", p.Kind, parcel.ErrMalformed)
	}
	doc, err := r.shape.format.read(p.Body)
	if err != nil {
		return r.rd, err
	}
	if err := d.refusal(0, doc); err != nil {
		return r.rd, err
	}
	var asked []string
	for _, n := range p.Numbers {
		if n = parcel.NormalizeNumber(n); n != "" && !slices.Contains(asked, n) {
			asked = append(asked, n)
		}
	}
	r.document(doc, asked)
	return r.rd, errors.Join(r.errs...)
}

// document is what of a push is the document.
func (p *push) document(body []byte) ([]byte, error) {
	if p.field == "" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has(p.field) {
		return nil, fmt.Errorf("no form with %s: %w", p.field, parcel.ErrMalformed)
	}
	return []byte(form.Get(p.field)), nil
}

// reader reads one document.
type reader struct {
	d     *description
	shape *shape
	zones *carrierkit.Zones
	rd    parcel.Reading
	errs  []error
}

func (r *reader) fault(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

// result tells about a number once; FOUND beats what was told before.
func (r *reader) result(number string, f parcel.Finding) {
	for i := range r.rd.Results {
		if x := &r.rd.Results[i]; x.Number == number {
			if f == parcel.FindingFound {
				x.Finding = f
			}
			return
		}
	}
	r.rd.Results = append(r.rd.Results, parcel.NumberResult{Number: number, Finding: f})
}

// maxNumber bounds a tracking number.
const maxNumber = 64

func (r *reader) document(doc any, asked []string) {
	top := scope{root: doc, parcel: doc, here: doc}
	// What the whole document says of an unknown number it says of the one that
	// was asked for.
	if len(asked) == 1 && slices.ContainsFunc(r.d.signals.unknown, func(x rule) bool { return x.path != nil && x.holds(0, top) }) {
		r.result(asked[0], parcel.FindingUnknown)
		return
	}
	if !r.shape.parcels.exists(top) {
		r.fault("nothing at %q: %w", r.shape.parcels.raw, parcel.ErrMalformed)
		return
	}
	var parcels []any
	for _, v := range r.shape.parcels.all(top) {
		switch v.(type) {
		case map[string]any, []any:
			parcels = append(parcels, asList(v)...)
		case nil:
		default:
			if scalarOf(v) != "" {
				r.fault("neither list nor object at %q: %w", r.shape.parcels.raw, parcel.ErrMalformed)
			}
		}
	}
	for i, item := range parcels[:min(len(parcels), maxEntries)] {
		if item == nil {
			continue
		}
		r.parcel(i, scope{root: doc, parcel: item, here: item}, asked)
	}
	if len(r.errs) > 0 {
		return // what could not be read may be what seems missing
	}
	for _, n := range asked {
		if slices.ContainsFunc(r.rd.Results, func(x parcel.NumberResult) bool { return x.Number == n }) {
			continue
		}
		if r.d.signals.absentFails {
			r.fault("%s: not in the answer: %w", n, parcel.ErrMalformed)
			continue
		}
		r.result(n, parcel.FindingUnknown)
	}
}

func (r *reader) parcel(i int, c scope, asked []string) {
	if _, ok := c.here.(map[string]any); !ok {
		r.fault("item %d is no object: %w", i+1, parcel.ErrMalformed)
		return
	}
	number := ""
	switch {
	case r.shape.number.set():
		number = parcel.NormalizeNumber(r.shape.number.text(c))
	case len(asked) == 1:
		number = asked[0]
	}
	if number == "" || len(number) > maxNumber {
		r.fault("item %d: no number: %w", i+1, parcel.ErrMalformed)
		return
	}
	about := func(rules []rule) bool {
		return slices.ContainsFunc(rules, func(x rule) bool { return x.path != nil && x.holds(0, c) })
	}
	switch {
	case about(r.d.signals.withheld):
		r.result(number, parcel.FindingDenied)
		return
	case about(r.d.signals.unknown):
		r.result(number, parcel.FindingUnknown)
		return
	}
	events := []any{c.here}
	if r.shape.events != nil {
		events = nil
		for _, v := range r.shape.events.all(c) {
			if _, isText := v.(string); isText && scalarOf(v) != "" {
				r.fault("%s: neither list nor object at %q: %w", number, r.shape.events.raw, parcel.ErrMalformed)
			}
			events = append(events, asList(v)...)
		}
	}
	found := 0
	for j, item := range events[:min(len(events), maxEntries)] {
		if item == nil {
			continue
		}
		found++
		if _, ok := item.(map[string]any); !ok {
			r.fault("%s, event %d is no object: %w", number, j+1, parcel.ErrMalformed)
			continue
		}
		r.event(number, j, scope{root: c.root, parcel: c.parcel, here: item})
	}
	finding := parcel.FindingFound
	if found == 0 && !r.d.signals.noEventsFound {
		finding = parcel.FindingUnknown
	}
	r.result(number, finding)
	r.estimate(number, c)
	for _, p := range r.shape.aliases {
		for _, v := range p.all(c) {
			other := parcel.NormalizeNumber(scalarOf(v))
			if a := (parcel.Alias{Number: number, Other: other}); other != "" && other != number && len(other) <= maxNumber && !slices.Contains(r.rd.Aliases, a) {
				r.rd.Aliases = append(r.rd.Aliases, a)
			}
		}
	}
}

// maxWords bounds the sentence that is kept of an event, in bytes.
const maxWords = 4 << 10

func (r *reader) event(number string, i int, c scope) {
	if slices.ContainsFunc(r.shape.skip, func(x rule) bool { return x.holds(0, c) }) {
		return
	}
	e := &r.shape.event
	code, words := e.code.text(c), strings.TrimSpace(carrierkit.StripMarkup(e.words.text(c)))
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "")
	}
	switch {
	case code == "" && words == "", code == "" && fold(words, false) == "":
		r.fault("%s, event %d: neither code nor words: %w", number, i+1, parcel.ErrMalformed)
		return
	case len(code) > maxRule:
		r.fault("%s, event %d: a code of %d bytes: %w", number, i+1, len(code), parcel.ErrMalformed)
		return
	}
	place := e.place(c)
	at, err := e.time.read(c, place, r.zones)
	switch {
	case err != nil:
		r.fault("%s, event %d: %w", number, i+1, err)
		return
	case at.IsZero():
		r.fault("%s, event %d: no time: %w", number, i+1, parcel.ErrMalformed)
		return
	}
	row, _ := r.d.codes.Read(code, words)
	o := parcel.Observation{
		Carrier: r.d.spec.Name, Number: number, Parcel: e.parcelID.text(c), OwnCode: code,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: at, Place: place,
		NextNumber: parcel.NormalizeNumber(e.nextNumber.text(c)), NextCarrier: e.nextCarrier.value(c),
		Rule: row.Rule, RuleVersion: r.d.codes.version,
	}
	if words != "" {
		if o.Language = e.language.value(c); o.Language == "" {
			o.Language = r.d.language
		}
	}
	if reason := parcel.Reason(e.reason.value(c)); reason.Valid() {
		o.Reason = reason
	}
	if to := parcel.DeliveredTo(e.deliveredTo.value(c)); to.Valid() {
		o.DeliveredTo = to
	}
	if o.NextNumber == number || len(o.NextNumber) > maxNumber {
		o.NextNumber = ""
	}
	if o.NextNumber == "" && len(e.nextNumber.paths) > 0 {
		o.NextCarrier = "" // the name of nobody's next number
	}
	if e.reported != nil {
		if m, err := e.reported.read(c, place, r.zones); err == nil && m.HasOffset {
			o.Reported = m.At
		}
	}
	r.rd.Observations = append(r.rd.Observations, o)
}

func (e *eventShape) place(c scope) parcel.Place {
	p := parcel.Place{
		Region: e.region.text(c), City: e.city.text(c), Postcode: e.postcode.text(c),
		Facility: e.facility.text(c), Unlocode: e.unlocode.text(c),
	}
	if written := e.country.value(c); written != "" {
		country, err := parcel.ParseCountry(written)
		switch {
		case err == nil:
			p.Country = country
		case p.Region == "":
			p.Region = written // a name of a place nobody knows is kept as words
		}
	}
	return p
}

func (r *reader) estimate(number string, c scope) {
	s := r.shape
	if s.estimateFrom == nil {
		return
	}
	from, err := s.estimateFrom.read(c, parcel.Place{}, r.zones)
	if err != nil || from.IsZero() {
		if err != nil {
			r.fault("%s, estimate: %w", number, err)
		}
		return
	}
	to := from
	if s.estimateTo != nil {
		later, err := s.estimateTo.read(c, parcel.Place{}, r.zones)
		switch {
		case err != nil:
			r.fault("%s, estimate: %w", number, err)
		case !later.IsZero() && later.Day() >= from.Day():
			to = later
		}
	}
	x := parcel.Estimate{Number: number, Earliest: from.Day(), Last: to.Day()}
	if !slices.Contains(r.rd.Estimates, x) {
		r.rd.Estimates = append(r.rd.Estimates, x)
	}
}

// Redact implements [carriers.Carrier].
func (a *adapter) Redact(p parcel.Payload) parcel.Payload {
	d := a.d
	if len(d.personal) == 0 {
		return p
	}
	if p.Kind != kindPush || d.push == nil || d.push.field == "" {
		p.Body = d.redact(d.formatOf(p.Kind), p.Body)
		return p
	}
	form, err := url.ParseQuery(string(p.Body))
	if err != nil || !form.Has(d.push.field) {
		return p
	}
	inner := []byte(form.Get(d.push.field))
	if clean := d.redact(d.formatOf(p.Kind), inner); !bytes.Equal(clean, inner) {
		form.Set(d.push.field, string(clean))
		p.Body = []byte(form.Encode())
	}
	return p
}

func (d *description) formatOf(kind string) *format {
	if kind == kindPush && d.push != nil {
		return &d.push.shape.format
	}
	if d.answer != nil {
		return &d.answer.format
	}
	return &format{syntax: "json"}
}

func (d *description) redact(f *format, body []byte) []byte {
	head, rest := []byte(nil), body
	if bytes.HasPrefix(body, bom) {
		head, rest = bom, body[len(bom):]
	}
	var clean []byte
	switch f.syntax {
	case "xml":
		clean = carrierkit.RedactXML(rest, d.isPersonal)
	case "csv":
		clean = d.redactCSV(f, rest)
	default:
		clean = carrierkit.RedactJSON(rest, d.isPersonal)
	}
	if bytes.Equal(clean, rest) {
		return body
	}
	return slices.Concat(head, clean)
}

// redactCSV writes the table anew where a personal column says something.
func (d *description) redactCSV(f *format, body []byte) []byte {
	r := f.csvReader(body)
	r.LazyQuotes = true
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.Comma = f.separator
	names, changed := f.columns, false
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return body
		}
		if names == nil {
			names = slices.Clone(record)
		} else {
			for i := range record {
				if i < len(names) && d.isPersonal([]string{strings.TrimSpace(names[i])}) && record[i] != carrierkit.Redacted(record[i]) {
					record[i], changed = carrierkit.Redacted(record[i]), true
				}
			}
		}
		_ = w.Write(record) // a buffer takes everything
	}
	w.Flush()
	if !changed {
		return body
	}
	if n := len(body); n > 0 && body[n-1] != '\n' {
		return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	}
	return out.Bytes()
}

// sniff tells whether bytes look like a document of a shape: the right syntax,
// and something where the parcels or a signal should stand.
func (d *description) sniff(s *shape) func([]byte) bool {
	return func(body []byte) bool {
		if !s.format.looksLike(body) {
			return false
		}
		doc, err := s.format.read(body)
		if err != nil {
			return false
		}
		c := scope{root: doc, parcel: doc, here: doc}
		signal := func(rules []rule) bool {
			return slices.ContainsFunc(rules, func(r rule) bool { return r.path != nil && r.holds(0, c) })
		}
		if signal(d.signals.denied) || signal(d.signals.throttled) || signal(d.signals.unavailable) || signal(d.signals.unknown) {
			return true
		}
		for _, v := range s.parcels.all(c) {
			for _, item := range asList(v) {
				at := scope{root: doc, parcel: item, here: item}
				if s.number.set() && s.number.text(at) != "" || s.events != nil && s.events.exists(at) {
					return true
				}
			}
		}
		return false
	}
}

func (d *description) sniffPush() func([]byte) bool {
	inner := d.sniff(d.push.shape)
	return func(body []byte) bool {
		document, err := d.push.document(body)
		return err == nil && inner(document)
	}
}
