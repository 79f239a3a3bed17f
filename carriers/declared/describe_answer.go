package declared

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// shape reads where in a document what stands. What it does not say, inherited
// says, if it is not nil.
func (b *builder) shape(v value, what string, inherited *shape) *shape {
	q := b.open(v, what, "format", "charset", "csv", "parcels", "number", "events", "event", "estimate", "aliases", "skip")
	s := &shape{line: q.line}
	if inherited != nil {
		*s = *inherited
		s.line = q.line
	}
	if inherited == nil || q.has("format") {
		if inherited == nil {
			q.need("format", strings.Join(formats(), ", "))
		}
		s.format = format{syntax: q.one("format", formats(), "json"), separator: ','}
	}
	if t := q.text("charset"); t != "" {
		e, err := htmlindex.Get(t)
		if err != nil {
			b.add(q.at("charset"), "charset %q is not known; write it as the web does, such as windows-1251", t)
		} else if name, _ := htmlindex.Name(e); name != "utf-8" {
			s.format.charset = e
		}
	}
	if q.has("csv") {
		c := b.open(q.by["csv"].value, "csv of "+what, "separator", "columns", "may-lack-end")
		if t := c.text("separator"); t != "" {
			r := []rune(strings.ReplaceAll(t, `\t`, "\t"))
			if len(r) != 1 || r[0] == '"' || r[0] == '\n' || r[0] == '\r' {
				b.add(c.at("separator"), "separator %q: want one sign, such as ; or \\t", t)
			} else {
				s.format.separator = r[0]
			}
		}
		s.format.columns, s.format.noEnd = c.texts("columns"), c.yes("may-lack-end")
		if s.format.syntax != "csv" {
			b.add(q.at("csv"), "csv is for format: csv")
		}
	}
	if q.has("parcels") {
		s.parcels = *cmp.Or(q.path("parcels"), &path{})
	} else if inherited == nil {
		s.parcels = path{raw: ".", alternatives: []steps{{}}}
	}
	if q.has("number") {
		s.number = q.field("number", "")
	}
	if q.has("events") {
		s.events = q.path("events")
	}
	if s.format.syntax == "csv" && s.events != nil {
		b.add(q.at("events"), "events: in csv each line is an event; leave it out")
	}
	if q.has("event") {
		b.event(b.open(q.by["event"].value, "event of "+what, "code", "words", "language", "time", "reported", "country", "region", "city",
			"postcode", "facility", "unlocode", "reason", "delivered-to", "next-carrier", "next-number", "parcel"), &s.event)
	} else if inherited == nil {
		b.add(q.line, "%s lacks event: what an event's code, words and time are", what)
	}
	if q.has("estimate") {
		e := b.open(q.by["estimate"].value, "estimate of "+what, "from", "to", "layouts")
		s.estimateFrom, s.estimateTo = b.day(e, "from"), b.day(e, "to")
		if s.estimateFrom == nil {
			b.add(e.line, "estimate lacks from: the path of the (first) day")
		}
	}
	for _, raw := range q.texts("aliases") {
		at, err := parsePath(raw)
		if err != nil {
			b.add(q.at("aliases"), "aliases of %s: %v", what, err)
			continue
		}
		s.aliases = append(s.aliases, at)
	}
	if q.has("skip") {
		s.skip = b.rules(q, "skip", false)
	}
	return s
}

func (b *builder) event(q keyed, e *eventShape) {
	for _, f := range []struct {
		key, join string
		to        *field
	}{
		{"code", "/", &e.code}, {"words", ". ", &e.words}, {"language", "", &e.language}, {"country", " ", &e.country},
		{"region", " ", &e.region}, {"city", " ", &e.city}, {"postcode", " ", &e.postcode}, {"facility", " ", &e.facility},
		{"unlocode", "", &e.unlocode}, {"reason", " ", &e.reason}, {"delivered-to", " ", &e.deliveredTo},
		{"next-carrier", " ", &e.nextCarrier}, {"next-number", "", &e.nextNumber}, {"parcel", " ", &e.parcelID},
	} {
		if q.has(f.key) {
			*f.to = q.field(f.key, f.join)
		}
	}
	if !e.code.set() && !e.words.set() {
		b.add(q.line, "%s has neither code nor words: an event would say nothing", q.what)
	}
	for _, m := range e.reason.mapping {
		if !parcel.Reason(m.to).Valid() {
			b.add(e.reason.line, "map of reason: %q is no reason%s", m.to, suggest(m.to, reasonNames()))
		}
	}
	for _, m := range e.deliveredTo.mapping {
		if !parcel.DeliveredTo(m.to).Valid() {
			b.add(e.deliveredTo.line, "map of delivered-to: %q is none%s", m.to, suggest(m.to, receiverNames()))
		}
	}
	if q.has("time") {
		e.time = b.timeRule(q.by["time"].value, "time of "+q.what)
	} else if len(e.time.layouts) == 0 {
		b.add(q.line, "%s lacks time", q.what)
	}
	if q.has("reported") {
		r := b.timeRule(q.by["reported"].value, "reported of "+q.what)
		e.reported = &r
	}
}

func (b *builder) timeRule(v value, what string) timeRule {
	q := b.open(v, what, "path", "paths", "join", "layouts", "zone")
	t := timeRule{line: q.line}
	t.at = field{line: q.line, join: " "}
	if q.has("join") {
		t.at.join = q.text("join")
	}
	for _, raw := range append(q.texts("path"), q.texts("paths")...) {
		at, err := parsePath(raw)
		if err != nil {
			b.add(q.line, "%s: %v", what, err)
			continue
		}
		t.at.paths = append(t.at.paths, at)
	}
	if !q.has("path") && !q.has("paths") {
		b.add(q.line, "%s lacks path", what)
	}
	t.layouts = q.texts("layouts")
	if len(t.layouts) == 0 {
		b.add(q.line, "%s lacks layouts: how 2 January 2006, 15:04:05 would look, such as 02.01.2006 15:04; or unix, or unix-ms", what)
	}
	bare := ""
	for _, layout := range t.layouts {
		if err := checkLayout(layout); err != nil {
			b.add(q.at("layouts"), "%s: %v", what, err)
		}
		if !hasOffset(layout) && !isEpoch(layout) {
			bare = layout
		}
	}
	if !q.has("zone") {
		if bare != "" {
			b.add(q.at("layouts"), "%s: layout %q has no offset, and zone is missing: say from: place, from: field or from: fixed, whose clock it is", what, bare)
		}
		t.zone.from = "text"
		return t
	}
	z := q.by["zone"].value
	if z.kind == text {
		// zone: place is the short form of zone: {from: place}.
		z = value{kind: section, line: z.line, entries: []entry{{"from", z.line, z}}}
	}
	s := b.open(z, "zone of "+what, "from", "field", "name", "certainty")
	s.need("from", strings.Join(zoneSources(), ", "))
	t.zone.from = s.one("from", zoneSources(), "place")
	t.zone.field = s.field("field", "")
	if name := s.text("name"); name != "" {
		if t.zone.name = loadZone(name, &b.zones); t.zone.name == nil {
			b.add(s.at("name"), "zone %q is none; write an IANA name such as Asia/Almaty, or an offset such as +05:00", name)
		}
	}
	t.zone.certainty = parcel.Certainty(strings.ToUpper(s.one("certainty", []string{"reported", "place", "assumed", "unknown"}, "assumed")))
	switch {
	case t.zone.from == "text" && bare != "":
		b.add(s.at("from"), "%s: layout %q has no offset, so the zone cannot come from the text; say from: place, field or fixed", what, bare)
	case t.zone.from == "field" && !t.zone.field.set():
		b.add(s.line, "%s: from: field lacks field, the path of the offset or zone", what)
	case t.zone.from == "fixed" && !s.has("name"):
		b.add(s.line, "%s: from: fixed lacks name, such as Asia/Almaty or +05:00", what)
	case t.zone.name == nil && s.has("certainty") && s.text("name") == "":
		b.add(s.at("certainty"), "%s: certainty is that of name, and there is none", what)
	}
	return t
}

// day is a time rule of which only the calendar day counts.
func (b *builder) day(q keyed, key string) *timeRule {
	at := q.path(key)
	if at == nil {
		return nil
	}
	t := timeRule{line: q.at(key), at: field{paths: []path{*at}}, layouts: q.texts("layouts"), zone: zoneRule{from: "text"}}
	if len(t.layouts) == 0 {
		t.layouts = []string{parcel.DayLayout}
	}
	for _, layout := range t.layouts {
		if err := checkLayout(layout); err != nil {
			b.add(q.at("layouts"), "%s: %v", q.what, err)
		}
	}
	return &t
}

func (b *builder) rules(p keyed, key string, statuses bool) (out []rule) {
	keys := []string{"path", "is", "contains", "absent"}
	if statuses {
		keys = append(keys, "status")
	}
	for _, item := range p.items(key) {
		q := b.open(item, key+" of "+p.what, keys...)
		r := rule{line: q.line, path: q.path("path"), is: q.texts("is"), absent: q.yes("absent")}
		for _, t := range q.texts("contains") {
			if t = fold(t, false); t == "" {
				b.add(q.at("contains"), "contains of %s has no letters", key)
				continue
			}
			r.contains = append(r.contains, t)
		}
		for _, t := range q.texts("status") {
			n, err := strconv.Atoi(t)
			if err != nil || n < 300 || n > 599 {
				b.add(q.at("status"), "status %q is none from 300 to 599", t)
			}
			r.status = append(r.status, n)
		}
		switch {
		case r.path == nil && len(r.status) == 0:
			b.add(q.line, "%s: a rule needs path or status", key)
		case r.path == nil && (len(r.is)+len(r.contains) > 0 || r.absent):
			b.add(q.line, "%s: is, contains and absent need path", key)
		case r.path != nil && len(r.is)+len(r.contains) == 0 && !r.absent:
			b.add(q.line, "%s: path needs is, contains or absent: what must stand there", key)
		}
		out = append(out, r)
	}
	return out
}

func (b *builder) signalsOf(p keyed) {
	if !p.has("signals") {
		return
	}
	q := b.open(p.by["signals"].value, "signals", "denied", "throttled", "unavailable", "unknown", "withheld", "retry-after", "no-events", "missing")
	s := &b.d.signals
	s.denied, s.throttled, s.unavailable = b.rules(q, "denied", true), b.rules(q, "throttled", true), b.rules(q, "unavailable", true)
	s.unknown, s.withheld = b.rules(q, "unknown", true), b.rules(q, "withheld", false)
	s.retryAfter = q.path("retry-after")
	s.noEventsFound = q.one("no-events", []string{"unknown", "found"}, "unknown") == "found"
	s.absentFails = q.one("missing", []string{"unknown", "fault"}, "unknown") == "fault"
}

func (b *builder) pushOf(p keyed) {
	if !p.has("push") {
		return
	}
	q := b.open(p.by["push"].value, "push", "shape", "field", "verify", "reply")
	d := &push{field: q.text("field"), shape: b.d.answer}
	if q.has("shape") {
		d.shape = b.shape(q.by["shape"].value, "shape of push", b.d.answer)
	}
	switch {
	case d.shape == nil:
		b.add(q.line, "push lacks shape, and there is no answer whose shape it could have")
	case !d.shape.number.set():
		b.add(q.line, "push: number is missing in its shape: nobody asked, so the document must name it")
	}
	if !q.has("verify") {
		b.add(q.line, "push lacks verify: how to know that it is the carrier who calls")
		b.d.push = d
		return
	}
	v := b.open(q.by["verify"].value, "verify of push", append(recipeKeys(), "header", "query", "form", "prefix", "value")...)
	for _, where := range []string{"header", "query", "form"} {
		if v.has(where) {
			if d.where != "" {
				b.add(v.at(where), "verify: the proof stands in one place; %s is given already", d.where)
			}
			d.where, d.name = where, v.text(where)
		}
	}
	if d.where == "" {
		b.add(v.line, "verify lacks header, query or form: where the carrier puts its secret or signature")
	}
	d.prefix = v.text("prefix")
	if v.has("value") {
		d.recipe = recipe{line: v.line, of: "both", over: v.template("value")}
		if v.has("over") || v.has("steps") {
			b.add(v.at("value"), "verify has value (a secret as it stands) and a recipe; one of them is meant")
		}
	} else {
		d.recipe = b.recipe(v)
	}
	secret := func(t template) bool {
		return slices.ContainsFunc(b.d.spec.Settings, func(s carriers.Setting) bool { return s.Secret && t.mentions(s.Name) })
	}
	if !secret(d.recipe.over) && !secret(d.recipe.key) {
		b.add(v.line, "verify puts no secret setting in: anybody could send such a push")
	}
	for _, n := range slices.Concat(d.recipe.over.names(), d.recipe.key.names()) {
		if slices.ContainsFunc(b.d.values, func(v named) bool { return v.name == n }) || n == signature || n == "token" {
			b.add(v.line, "verify: ${%s} is made for our own calls; a push has query.NAME, form.NAME, header.NAME and body", n)
		}
	}
	r := b.open(q.by["reply"].value, "reply of push", "ok", "denied", "malformed", "failed")
	d.ok = b.reply(r, "ok", reply{200, "text/plain; charset=utf-8", "ok\n"})
	d.denied = b.reply(r, "denied", reply{401, "text/plain; charset=utf-8", "not proved\n"})
	d.malformed = b.reply(r, "malformed", reply{400, "text/plain; charset=utf-8", "cannot be read\n"})
	d.other = b.reply(r, "failed", reply{503, "text/plain; charset=utf-8", "not taken, send again\n"})
	if d.ok.status > 299 {
		b.add(r.at("ok"), "reply: ok must have a status from 200 to 299")
	}
	b.d.push = d
}

func (b *builder) reply(p keyed, key string, otherwise reply) reply {
	if !p.has(key) {
		return otherwise
	}
	q := b.open(p.by[key].value, key+" of reply", "status", "content-type", "body")
	r := reply{q.number("status", 200, 599, otherwise.status), cmp.Or(q.text("content-type"), otherwise.contentType), otherwise.body}
	if q.has("body") {
		r.body = q.text("body")
	}
	return r
}

func (b *builder) codesOf(p keyed) {
	if !p.has("codes") {
		b.add(p.line, "the file lacks codes: what the carrier's codes or words mean")
		return
	}
	q := b.open(p.by["codes"].value, "codes", "version", "table")
	t := newTable(q.need("version", "the day of the table's last change, such as 2026-11-22"))
	if _, err := time.Parse(time.DateOnly, t.version); err != nil && t.version != "" {
		b.add(q.at("version"), "version %q is no day; write it as 2026-11-22", t.version)
	}
	items := q.items("table")
	if len(items) == 0 {
		b.add(q.at("table"), "the table is empty: at least one row, such as {code: DLV, event: DELIVERED}")
	}
	for _, item := range items {
		b.row(t, b.open(item, "row", "code", "codes", "glob", "regexp", "phrase", "phrases", "event", "reason", "delivered-to", "retracts", "doc"))
	}
	b.d.codes, b.d.spec.Codes = t, t
}

func codeNames() []string {
	var out []string
	for _, c := range parcel.Codes() {
		out = append(out, string(c))
	}
	return out
}

func (b *builder) row(t *table, q keyed) {
	event := q.need("event", "what it means, such as PICKED_UP")
	common := carriers.Row{Code: parcel.Code(event), Reason: parcel.Reason(q.text("reason")), DeliveredTo: parcel.DeliveredTo(q.text("delivered-to")), Retracts: q.yes("retracts"), Doc: q.text("doc")}
	if c, ok := parcel.CodeByID(event); ok {
		common.Code = c
	}
	if event != "" && !common.Code.Valid() {
		b.add(q.at("event"), "event %q is none%s", event, suggest(event, codeNames()))
	}
	if common.Reason != "" && !common.Reason.Valid() {
		b.add(q.at("reason"), "reason %q is none%s", common.Reason, suggest(string(common.Reason), reasonNames()))
	}
	if common.DeliveredTo != "" && !common.DeliveredTo.Valid() {
		b.add(q.at("delivered-to"), "delivered-to %q is none%s", common.DeliveredTo, suggest(string(common.DeliveredTo), receiverNames()))
	}
	var heads []row
	for _, code := range append(q.texts("code"), q.texts("codes")...) {
		if strings.TrimSpace(code) != code || code == "" {
			b.add(q.line, "code %q has white space around it, or is empty", code)
		}
		heads = append(heads, row{code: code})
	}
	for _, glob := range q.texts("glob") {
		heads = append(heads, row{glob: glob, pattern: compileGlob(glob, true)})
	}
	for _, raw := range q.texts("regexp") {
		re, err := regexp.Compile(`\A(?:` + raw + `)\z`)
		if err != nil {
			b.add(q.at("regexp"), "regexp %q: %v", raw, err)
			continue
		}
		heads = append(heads, row{raw: raw, pattern: re})
	}
	phrases := append(q.texts("phrase"), q.texts("phrases")...)
	named := q.has("code") || q.has("codes") || q.has("glob") || q.has("regexp")
	switch {
	case !named && len(phrases) == 0:
		b.add(q.line, "a row needs code, glob, regexp or phrase: what the carrier writes")
		return
	case !named:
		heads = []row{{}}
	}
	if len(phrases) == 0 {
		phrases = []string{""}
	}
	for _, head := range heads {
		for _, phrase := range phrases {
			r := head
			r.Row, r.line, r.words = common, q.line, phrase
			r.Rule = cmp.Or(r.code, r.glob, r.raw)
			if phrase != "" {
				if r.phrase = fold(phrase, true); strings.Trim(r.phrase, "* ") == "" {
					b.add(q.line, "phrase %q has no letters", phrase)
					continue
				}
				r.match = compileGlob(r.phrase, false)
				r.Rule = strings.TrimSpace(r.Rule + " " + textRule + clip(r.phrase))
			}
			if earlier, why := t.add(r); earlier != nil {
				b.add(r.line, "%s %s: the row at line %d (%s) takes all of it; remove it, or put it before that row", r.Rule, why, earlier.line, earlier.Rule)
			}
		}
	}
}

func (b *builder) personalOf(p keyed) {
	for _, raw := range p.texts("personal") {
		words := strings.Split(strings.ToLower(raw), ".")
		if slices.Contains(words, "") {
			b.add(p.at("personal"), "personal %q: want a key, or keys joined by dots: recipient.name", raw)
			continue
		}
		b.d.personal = append(b.d.personal, words)
	}
	if len(b.d.personal) == 0 || len(b.all) > 0 {
		return // paths with mistakes lead nowhere yet
	}
	seen := map[*shape]bool{nil: true}
	shapes := []*shape{b.d.answer}
	if b.d.push != nil {
		shapes = append(shapes, b.d.push.shape)
	}
	for _, s := range shapes {
		if seen[s] {
			continue
		}
		seen[s] = true
		for _, r := range s.reads() {
			if hit := b.d.personalIn(r); hit != "" {
				b.add(p.at("personal"), "personal %q is what %q reads: it would be gone before it is read", hit, strings.Join(r, "."))
			}
		}
	}
}

// personalIn names the personal field that a path leads to or through.
func (d *description) personalIn(words []string) string {
	for n := range words {
		if d.isPersonal(words[:n+1]) {
			return words[n]
		}
	}
	return ""
}

// isPersonal tells whether the end of a path is one of the personal fields.
func (d *description) isPersonal(words []string) bool {
	return slices.ContainsFunc(d.personal, func(p []string) bool {
		if len(p) > len(words) {
			return false
		}
		for i, word := range words[len(words)-len(p):] {
			if !strings.EqualFold(word, p[i]) {
				return false
			}
		}
		return true
	})
}

// reads lists the ways from the root to everything that the shape reads.
func (s *shape) reads() (out [][]string) {
	parcels := s.parcels.alternatives[0].words()
	events := parcels
	if s.events != nil {
		events = slices.Concat(parcels, s.events.alternatives[0].words())
	}
	take := func(from []string, paths ...path) {
		for _, p := range paths {
			for _, a := range p.alternatives {
				at := from
				switch a.from {
				case root:
					at = nil
				case parent:
					at = parcels
				}
				out = append(out, slices.Concat(at, a.words()))
			}
		}
	}
	take(parcels, s.number.paths...)
	take(parcels, s.aliases...)
	for _, t := range []*timeRule{s.estimateFrom, s.estimateTo} {
		if t != nil {
			take(parcels, t.paths()...)
		}
	}
	e := &s.event
	for _, f := range []*field{
		&e.code, &e.words, &e.language, &e.country, &e.region, &e.city, &e.postcode, &e.facility, &e.unlocode,
		&e.reason, &e.deliveredTo, &e.nextCarrier, &e.nextNumber, &e.parcelID,
	} {
		take(events, f.paths...)
	}
	take(events, e.time.paths()...)
	if e.reported != nil {
		take(events, e.reported.paths()...)
	}
	return out
}

// finish checks what only the whole file can tell, and completes the spec.
func (b *builder) finish(p keyed) {
	d, s := b.d, &b.d.spec
	raw := p.text("base-url")
	if len(d.steps) > 0 {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			b.add(p.at("base-url"), "base-url %q: want an absolute http or https address without user, query or fragment", raw)
		} else {
			d.base, s.BaseURL = u, strings.TrimSuffix(raw, "/")
		}
		if strings.Contains(raw, "${") {
			b.add(p.at("base-url"), "base-url takes no ${names}: where calls go is fixed; an account may give another base_url")
		}
	} else if raw != "" {
		b.add(p.at("base-url"), "base-url without steps: say how to ask, or leave it out")
	}
	if d.answer != nil && len(d.steps) > 0 && !d.answer.number.set() && s.Batch > 1 {
		b.add(d.answer.line, "answer lacks number, and batch is %d: whose answer is whose?", s.Batch)
	}
	for _, set := range s.Settings {
		if !b.mentioned[set.Name] {
			b.add(p.at("settings"), "setting %s is used nowhere; put ${%s} where it belongs, or remove it", set.Name, set.Name)
		}
	}
	if len(b.all) > 0 {
		return
	}
	var asked []template
	for i := range d.steps {
		asked = append(asked, d.steps[i].templates()...)
	}
	if d.auth.token != nil {
		asked = append(asked, d.auth.token.request.templates()...)
	}
	if d.signature != nil {
		asked = append(asked, d.signature.over, d.signature.key)
	}
	for i := range d.values {
		asked = append(asked, d.values[i].text)
	}
	for _, set := range s.Settings {
		if set.Secret && slices.ContainsFunc(asked, func(t template) bool { return t.mentions(set.Name) }) {
			d.needs = append(d.needs, set.Name)
		}
	}
	if a := d.answer; a != nil && a.format.syntax == "csv" {
		for _, r := range a.reads() {
			if len(r) > 0 {
				a.format.reads = append(a.format.reads, r[len(r)-1])
			}
		}
	}
	s.NextCarrier = d.answer != nil && (d.answer.event.nextCarrier.set() || d.answer.event.nextNumber.set())
	if len(d.steps) > 0 {
		s.Kinds = append(s.Kinds, carriers.PayloadKind{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer about one or more numbers", Sniff: d.sniff(d.answer)})
		if d.signals.unknownByStatus() {
			s.Kinds = append(s.Kinds, carriers.PayloadKind{Name: kindUnknown, Source: parcel.SourcePoll, Doc: "answer by which the carrier says that it does not know the number"})
		}
	}
	if d.push != nil {
		s.Kinds = append(s.Kinds, carriers.PayloadKind{Name: kindPush, Source: parcel.SourceWebhook, Doc: "message that the carrier sends", Sniff: d.sniffPush()})
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(d, env) }
	s.Fake = func(f carriers.FakeEnv) carriers.Fake { return newFake(d, f) }
}

func (s *signals) unknownByStatus() bool {
	return slices.ContainsFunc(s.unknown, func(r rule) bool { return len(r.status) > 0 })
}

func reasonNames() []string {
	var out []string
	for _, r := range []parcel.Reason{
		parcel.ReasonDocumentsMissing, parcel.ReasonDeclarationIncorrect, parcel.ReasonDutyUnpaid, parcel.ReasonInspection,
		parcel.ReasonProhibited, parcel.ReasonBrandRights, parcel.ReasonAddressIncorrect, parcel.ReasonRecipientAbsent,
		parcel.ReasonRecipientMoved, parcel.ReasonRecipientUnreachable, parcel.ReasonBusinessClosed, parcel.ReasonRefused,
		parcel.ReasonNotCollected, parcel.ReasonPaymentMissing, parcel.ReasonRescheduled, parcel.ReasonWeather,
		parcel.ReasonDisruption, parcel.ReasonCapacity, parcel.ReasonMissedConnection, parcel.ReasonMisrouted,
		parcel.ReasonLabelDamaged, parcel.ReasonPacking, parcel.ReasonMeasuresWrong, parcel.ReasonSecurity,
		parcel.ReasonHoliday, parcel.ReasonOutOfStock, parcel.ReasonOther,
	} {
		out = append(out, string(r))
	}
	return out
}

func receiverNames() []string {
	var out []string
	for _, d := range []parcel.DeliveredTo{
		parcel.DeliveredToRecipient, parcel.DeliveredToNeighbour, parcel.DeliveredToSafePlace, parcel.DeliveredToReception,
		parcel.DeliveredToLocker, parcel.DeliveredToPickupPoint, parcel.DeliveredToPOBox, parcel.DeliveredToSender,
	} {
		out = append(out, string(d))
	}
	return out
}
