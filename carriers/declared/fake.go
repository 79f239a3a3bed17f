package declared

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// fakeTokenLife is short, so that tokens expire in use.
	fakeTokenLife = 10 * time.Minute
	// fakeTokensKept bounds the tokens that are good at one time.
	fakeTokensKept = 64
	// fakeMaxBody bounds what the fake reads of a request.
	fakeMaxBody = 1 << 20
	// fakeAhead and fakeBehind bound how far the time that a call names may be
	// from the fake's own.
	fakeAhead, fakeBehind = 15 * time.Minute, time.Hour
)

// fake is the carrier's side as the description has it: templates read the
// other way round say what was asked, credentials and signatures are checked,
// and what is known is written where the adapter reads it.
type fake struct {
	d     *description
	env   carriers.FakeEnv
	given vars
	zones carrierkit.Zones
	says  []parcel.Code

	mu       sync.Mutex
	tokens   map[string]time.Time // until when each is good
	captured map[string]bool      // what earlier steps gave out
}

var _ carriers.Fake = (*fake)(nil)

func newFake(d *description, env carriers.FakeEnv) *fake {
	f := &fake{d: d, env: env, given: vars{}, tokens: map[string]time.Time{}, captured: map[string]bool{}}
	for _, s := range d.spec.Settings {
		v, set := env.Settings[s.Name]
		if !set {
			v = s.Default
		}
		f.given[s.Name] = v
	}
	f.says = d.codes.speaks()
	return f
}

// Speaks implements [carriers.Fake].
func (f *fake) Speaks() []parcel.Code { return slices.Clone(f.says) }

// Handler implements [carriers.Fake].
func (f *fake) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fakeMaxBody))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		m := message{method: r.Method, path: r.URL.EscapedPath(), rawQuery: r.URL.RawQuery, query: r.URL.Query(), form: url.Values{}, header: r.Header, body: string(raw)}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			if m.form, err = url.ParseQuery(string(raw)); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		user, password, _ := r.BasicAuth()
		basic := [2]string{user, password}
		if t := f.d.auth.token; t != nil {
			if v, ok := f.heard(&t.request, &m, basic); ok {
				f.giveToken(w, v)
				return
			}
		}
		for i := range f.d.steps {
			v, ok := f.heard(&f.d.steps[i], &m, basic)
			switch {
			case !ok:
			case v.refused:
				f.refuse(w)
			case i == len(f.d.steps)-1:
				f.track(w, v.numbers)
			default:
				f.giveCaptures(w, &f.d.steps[i])
			}
			if ok {
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	})
}

// call is what a call put in.
type call struct {
	numbers []string
	vars    vars
	refused bool // credentials or signature are wrong
}

// heard reads a call by the description of a request; ok is false where the
// call is another one.
func (f *fake) heard(r *request, m *message, basic [2]string) (c call, ok bool) {
	c.vars = vars{}
	if r.method != m.method {
		return c, false
	}
	found, ok := r.path.match(m.path, syntaxOf("path").unescape)
	if !ok {
		return c, false
	}
	f.hear(&c, found)
	for _, group := range []struct {
		list []param
		of   map[string][]string
	}{{r.query, m.query}, {r.form, m.form}, {r.headers, m.header}} {
		for _, p := range group.list {
			values := group.of[p.name]
			if v, isHeader := group.of[http.CanonicalHeaderKey(p.name)]; len(values) == 0 && isHeader {
				values = v
			}
			if len(values) == 0 || len(values) > 1 && !p.repeat {
				c.refused = true
				continue
			}
			for _, value := range values {
				found, ok := p.value.match(value, plain)
				if !ok {
					c.refused = true
					continue
				}
				f.hear(&c, found)
			}
		}
	}
	if r.body != nil {
		s := syntaxOf(r.body.syntax)
		numbers := f.numbersIn(r.body.syntax)
		found, ok := r.body.text.match(m.body, s.unescape)
		if !ok {
			return c, false
		}
		if numbers != nil && r.body.text.mentions("numbers") {
			written, _ := r.body.text.match(m.body, plain)
			if list, ok := numbers.split(written["numbers"], s); ok {
				c.numbers = append(c.numbers, list...)
			}
			delete(found, "numbers")
		}
		f.hear(&c, found)
	}
	if r.basic != nil {
		for i, t := range r.basic {
			if basic[i] != t.fill(f.given, plain, nil) || basic[0] == "" {
				c.refused = true
			}
		}
	}
	if sign, signed := c.vars[signature]; signed && f.d.signature != nil {
		known := cloneVars(f.given)
		for k, v := range c.vars {
			known[k] = v
		}
		if !carrierkit.ConstantTimeEqual(sign, f.d.signature.sign(m, known, r.signedParams())) {
			c.refused = true
		}
	}
	return c, true
}

// numbersIn is how ${numbers} is written in a syntax of its own.
func (f *fake) numbersIn(syntaxName string) *numbering {
	if syntaxName == "json" || syntaxName == "xml" {
		return &f.d.numbers
	}
	return nil
}

// hear notes what was put in and checks what only the right caller knows.
func (f *fake) hear(c *call, found vars) {
	for name, value := range found {
		c.vars[name] = value
		switch name {
		case "number":
			if !slices.Contains(c.numbers, value) {
				c.numbers = append(c.numbers, value)
			}
			continue
		case "numbers":
			c.numbers = append(c.numbers, strings.Split(value, f.d.numbers.join)...)
			continue
		case "token":
			f.mu.Lock()
			until, known := f.tokens[value]
			f.mu.Unlock()
			c.refused = c.refused || !known || !f.env.Now().Before(until)
			continue
		}
		if i := slices.IndexFunc(f.d.values, func(n named) bool { return n.name == name }); i >= 0 {
			f.hearValue(c, &f.d.values[i], value)
			continue
		}
		if want, isSetting := f.given[name]; isSetting && !carrierkit.ConstantTimeEqual(value, want) {
			c.refused = true
		}
		if f.isCaptured(name) {
			f.mu.Lock()
			c.refused = c.refused || !f.captured[value]
			f.mu.Unlock()
		}
	}
}

func (f *fake) isCaptured(name string) bool {
	return slices.ContainsFunc(f.d.steps, func(r request) bool {
		return slices.ContainsFunc(r.capture, func(c capture) bool { return c.name == name })
	})
}

// hearValue reads what a made value put in, or how far its time is off.
func (f *fake) hearValue(c *call, n *named, value string) {
	switch {
	case n.random > 0:
	case n.now != "":
		at, ok := readEpoch(n.now, value)
		if !isEpoch(n.now) {
			zone := n.zone
			if zone == nil {
				zone = time.UTC
			}
			var err error
			at, err = time.ParseInLocation(n.now, value, zone)
			ok = err == nil
			if !hasClock(n.now) {
				return // a day may begin anywhere
			}
		}
		if off := at.Sub(f.env.Now()); !ok || off > fakeAhead || off < -fakeBehind {
			c.refused = true
		}
	default:
		s := syntaxOf(n.syntax)
		found, ok := n.text.match(value, s.unescape)
		if !ok {
			c.refused = true
			return
		}
		if numbers := f.numbersIn(n.syntax); numbers != nil && n.text.mentions("numbers") {
			written, _ := n.text.match(value, plain)
			list, ok := numbers.split(written["numbers"], s)
			c.refused = c.refused || !ok
			c.numbers = append(c.numbers, list...)
			delete(found, "numbers")
		}
		f.hear(c, found)
	}
}

func (f *fake) giveToken(w http.ResponseWriter, c call) {
	if c.refused {
		f.refuse(w)
		return
	}
	token := randomText()
	now := f.env.Now()
	f.mu.Lock()
	for t, until := range f.tokens {
		if !now.Before(until) || len(f.tokens) >= fakeTokensKept {
			delete(f.tokens, t)
		}
	}
	t := f.d.auth.token
	f.tokens[token] = now.Add(max(fakeTokenLife, t.lasts))
	f.mu.Unlock()
	doc := scope{root: map[string]any{}}
	doc.here = doc.root
	t.at.put(&doc, token)
	doc.root = doc.here
	if t.expiresIn != nil {
		t.expiresIn.put(&doc, strconv.Itoa(int(fakeTokenLife/time.Second)))
	}
	f.write(w, http.StatusOK, &format{syntax: f.sideSyntax()}, doc.here)
}

// sideSyntax is that of answers beside the one about parcels.
func (f *fake) sideSyntax() string {
	if f.d.answer != nil && f.d.answer.format.syntax == "xml" {
		return "xml"
	}
	return "json"
}

func (f *fake) giveCaptures(w http.ResponseWriter, r *request) {
	doc := scope{here: map[string]any{}}
	for _, c := range r.capture {
		v := randomText()
		f.mu.Lock()
		if len(f.captured) > 4*fakeTokensKept {
			clear(f.captured)
		}
		f.captured[v] = true
		f.mu.Unlock()
		c.path.put(&doc, v)
	}
	f.write(w, http.StatusOK, &format{syntax: f.sideSyntax()}, doc.here)
}

func randomText() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return hex.EncodeToString(b)
}

// refuse says that credentials are wrong, the first way that the description
// knows.
func (f *fake) refuse(w http.ResponseWriter) {
	status, doc := http.StatusUnauthorized, any(map[string]any{"error": "denied"})
	if len(f.d.signals.denied) > 0 {
		status, doc = f.signal(&f.d.signals.denied[0], scope{})
	}
	f.write(w, status, f.d.formatOf(kindTrack), doc)
}

// signal makes a document for which a rule holds.
func (f *fake) signal(r *rule, c scope) (int, any) {
	status := http.StatusOK
	if len(r.status) > 0 {
		status = r.status[0]
	}
	if r.path == nil {
		return status, map[string]any{"error": "status " + strconv.Itoa(status)}
	}
	switch {
	case len(r.is) > 0:
		r.path.put(&c, r.is[0])
	case len(r.contains) > 0:
		r.path.put(&c, r.contains[0])
	}
	if c.here == nil {
		c.here = c.root
	}
	return status, c.here
}

func (f *fake) write(w http.ResponseWriter, status int, as *format, doc any) {
	if as.syntax == "xml" {
		if m, ok := doc.(map[string]any); ok && len(m) != 1 {
			doc = map[string]any{"answer": doc}
		}
	}
	if as.syntax == "csv" {
		if _, isRows := doc.([]any); !isRows {
			doc = []any{doc}
		}
	}
	w.Header().Set("Content-Type", as.contentType())
	w.WriteHeader(status)
	_, _ = w.Write(as.write(doc)) // the caller hung up: nobody to tell
}

// track answers about numbers.
func (f *fake) track(w http.ResponseWriter, numbers []string) {
	numbers = slices.DeleteFunc(numbers, func(n string) bool { return n == "" })
	if len(numbers) == 0 || len(numbers) > f.d.spec.Batch {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s := f.d.answer
	doc := any(map[string]any{})
	var parcels []any
	for _, n := range numbers {
		h, known := f.env.Journeys(n)
		if !known || len(h.Scans) == 0 {
			status, whole, item := f.unknown(n, len(numbers))
			if whole != nil {
				f.write(w, status, &s.format, whole)
				return
			}
			if item != nil {
				parcels = append(parcels, item)
			}
			continue
		}
		parcels = append(parcels, f.parcels(s, n, h, &doc)...)
	}
	f.write(w, http.StatusOK, &s.format, f.document(s, doc, parcels))
}

// unknown is how the carrier says that it does not know a number: in the whole
// answer, in an entry of the list, or by leaving it out (neither).
func (f *fake) unknown(number string, asked int) (status int, whole, item any) {
	s := f.d.answer
	for i := range f.d.signals.unknown {
		r := &f.d.signals.unknown[i]
		fromRoot := r.path == nil || r.path.alternatives[0].from == root
		if fromRoot && (asked > 1 || f.d.spec.Batch > 1) {
			continue
		}
		if fromRoot {
			status, doc := f.signal(r, scope{})
			return status, doc, nil
		}
		if r.absent {
			continue
		}
		c := scope{here: map[string]any{}}
		s.number.put(&c, number)
		_, item := f.signal(r, c)
		return 0, nil, item
	}
	if !s.number.set() || s.events != nil && !f.d.signals.absentFails && f.d.signals.noEventsFound {
		return 0, nil, nil
	}
	if s.events != nil && !f.d.signals.noEventsFound && s.format.syntax == "json" {
		c := scope{here: map[string]any{}}
		s.number.put(&c, number)
		s.events.put(&c, []any{})
		return 0, nil, c.here
	}
	return 0, nil, nil
}

// parcels writes what is known of a number: one entry with its events, or an
// entry for each event.
func (f *fake) parcels(s *shape, number string, h carriers.FakeHistory, doc *any) []any {
	c := scope{root: *doc, parcel: map[string]any{}}
	defer func() { *doc = c.root }()
	var events []any
	for _, scan := range h.Scans {
		row, code, words := f.d.codes.saying(scan)
		if row == nil {
			continue
		}
		c.here = map[string]any{}
		f.event(s, &c, scan, row, code, words)
		f.next(s, &c, h, scan)
		if s.events == nil {
			f.head(s, &c, number, h)
		}
		events = append(events, c.here)
	}
	if s.events == nil {
		return events
	}
	c.here = c.parcel
	f.head(s, &c, number, h)
	s.events.put(&c, events)
	return []any{c.here}
}

// head writes what stands once for a parcel.
func (f *fake) head(s *shape, c *scope, number string, h carriers.FakeHistory) {
	s.number.put(c, number)
	if s.estimateFrom != nil && !h.Estimated.IsZero() {
		s.estimateFrom.write(c, h.Estimated, parcel.Place{}, &f.zones)
		if s.estimateTo != nil {
			s.estimateTo.write(c, h.Estimated, parcel.Place{}, &f.zones)
		}
	}
}

// next names who carries on, from the last mile on.
func (f *fake) next(s *shape, c *scope, h carriers.FakeHistory, scan carriers.FakeScan) {
	if h.NextNumber != "" && (scan.Code.Stage() == parcel.StageLastMile || scan.Code == parcel.CodeImportExchangeDeparted) {
		s.event.nextNumber.put(c, h.NextNumber)
		s.event.nextCarrier.put(c, h.NextCarrier)
	}
}

func (f *fake) event(s *shape, c *scope, scan carriers.FakeScan, row *row, code, words string) {
	e := &s.event
	if words == "" {
		words = row.Doc
	}
	e.words.put(c, words)
	e.code.put(c, code)
	e.country.put(c, string(scan.Place.Country))
	e.region.put(c, scan.Place.Region)
	e.city.put(c, scan.Place.City)
	e.postcode.put(c, scan.Place.Postcode)
	e.facility.put(c, scan.Place.Facility)
	e.unlocode.put(c, scan.Place.Unlocode)
	if scan.Reason != row.Reason {
		e.reason.put(c, string(scan.Reason))
	}
	if scan.DeliveredTo != row.DeliveredTo {
		e.deliveredTo.put(c, string(scan.DeliveredTo))
	}
	// The adapter knows of the place what the fields tell, and no more.
	e.time.write(c, scan.At, e.place(*c), &f.zones)
}

// document puts the parcels into their place.
func (f *fake) document(s *shape, doc any, parcels []any) any {
	if parcels == nil {
		parcels = []any{}
	}
	way := s.parcels.alternatives[0].step
	if len(way) == 0 {
		switch {
		case s.format.syntax == "csv" || len(parcels) > 1 || f.d.spec.Batch > 1:
			return parcels
		case len(parcels) == 1:
			// The document is the parcel: what stands at the root stands beside it.
			m, _ := parcels[0].(map[string]any)
			head, _ := doc.(map[string]any)
			for k, v := range head {
				if _, there := m[k]; !there {
					m[k] = v
				}
			}
			return m
		}
		return doc
	}
	c := scope{root: doc, here: doc}
	if len(parcels) == 0 && s.format.syntax == "xml" {
		// An element that is not there is an empty list; its parent stands.
		outer := path{alternatives: []steps{{step: way[:len(way)-1]}}}
		outer.put(&c, "")
		return c.here
	}
	s.parcels.put(&c, parcels)
	if s.parcels.alternatives[0].from == root {
		return c.root
	}
	return c.here
}

// Push implements [carriers.Fake].
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	p := f.d.push
	if p == nil || len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	newest := h
	newest.Scans = h.Scans[len(h.Scans)-1:]
	doc := any(map[string]any{})
	parcels := f.parcels(p.shape, number, newest, &doc)
	if len(parcels) == 0 {
		return carriers.Delivery{}, false
	}
	body := p.shape.format.write(f.document(p.shape, doc, parcels))
	header := http.Header{"Content-Type": {p.shape.format.contentType()}}
	form, query := url.Values{}, url.Values{}
	if p.field != "" || p.where == "form" {
		header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		form.Set(p.field, string(body))
	}
	// What the signature is made over besides the document the carrier sends
	// along: most often the time.
	for _, name := range p.recipe.over.names() {
		place, inner, _ := strings.Cut(name, ".")
		stamp := strconv.FormatInt(f.env.Now().Unix(), 10)
		switch {
		case place == "header" && header.Get(inner) == "":
			header.Set(inner, stamp)
		case place == "query" && !query.Has(inner):
			query.Set(inner, stamp)
		case place == "form" && !form.Has(inner):
			form.Set(inner, stamp)
		}
	}
	m := message{method: http.MethodPost, query: query, form: form, header: header, body: string(body)}
	proof := p.expected(&m, f.given)
	switch p.where {
	case "query":
		query.Set(p.name, proof)
	case "form":
		form.Set(p.name, proof)
	default:
		header.Set(p.name, proof)
	}
	if len(form) > 0 {
		body = []byte(form.Encode())
	}
	return carriers.Delivery{Header: header, Query: query, Body: body}, true
}
