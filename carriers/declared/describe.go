package declared

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// description is a file as read. It does not change.
type description struct {
	spec      carriers.Spec
	base      *url.URL
	language  string
	values    []named
	signature *recipe
	numbers   numbering
	auth      auth
	steps     []request // the last one's answer is the payload; none if never asked
	retryPOST bool
	paging    *paging
	answer    *shape
	signals   signals
	push      *push
	codes     *table
	personal  [][]string // suffixes of paths, lower case
	// needs are settings without which no call is made.
	needs []string
}

// auth is what every step carries.
type auth struct {
	headers, query []param
	basic          *[2]template
	token          *tokenRule
}

// tokenRule says how a token is got, and how long it is good.
type tokenRule struct {
	request   request
	at        path
	expiresIn *path // seconds
	lasts     time.Duration
}

type paging struct {
	first string
	next  *path // value of ${page} for the next call; none or empty at the end
	more  *path // true while there is more; ${page} counts up
	most  int
}

// shape says where in a document what stands.
type shape struct {
	line    int
	format  format
	parcels path
	number  field
	events  *path // none: each entry of parcels is an event
	event   eventShape

	estimateFrom, estimateTo *timeRule
	aliases                  []path
	skip                     []rule
}

type eventShape struct {
	code, words, language                                  field
	time                                                   timeRule
	reported                                               *timeRule
	country, region, city, postcode, facility, unlocode    field
	reason, deliveredTo, nextCarrier, nextNumber, parcelID field
}

// field is a value of an event or parcel: one or more paths, joined, or a
// constant; with a mapping from the carrier's values to ours.
type field struct {
	line     int
	paths    []path
	join     string
	constant string
	mapping  []mapped
}

type mapped struct{ from, to string }

func (f *field) set() bool { return len(f.paths) > 0 || f.constant != "" }

// text reads the field as the carrier wrote it.
func (f *field) text(c scope) string {
	if len(f.paths) == 0 {
		return f.constant
	}
	var parts []string
	for _, p := range f.paths {
		if t := p.text(c); t != "" {
			parts = append(parts, t)
		}
	}
	if len(parts) == 0 {
		return f.constant
	}
	return strings.Join(parts, f.join)
}

// value reads the field by its mapping; what the mapping lacks is empty.
func (f *field) value(c scope) string {
	t := f.text(c)
	if len(f.mapping) == 0 || t == "" {
		return t
	}
	folded := fold(t, false)
	for _, m := range f.mapping {
		if fold(m.from, false) == folded {
			return m.to
		}
	}
	return ""
}

// put writes the field as the carrier would.
func (f *field) put(c *scope, v string) {
	if v == "" || len(f.paths) == 0 {
		return
	}
	for _, m := range f.mapping {
		if m.to == v {
			v = m.from
			break
		}
	}
	parts := []string{v}
	if len(f.paths) > 1 {
		parts = strings.SplitN(v, f.join, len(f.paths))
	}
	for i, part := range parts {
		f.paths[i].put(c, part)
	}
}

// signals say how a carrier says no.
type signals struct {
	denied, throttled, unavailable []rule
	// unknown and withheld are about one number.
	unknown, withheld []rule
	retryAfter        *path
	// noEventsFound says that a number without events is known all the same;
	// absentFails that a number missing in an answer is no answer about it.
	noEventsFound, absentFails bool
}

// rule holds where all its conditions do.
type rule struct {
	line     int
	status   []int
	path     *path
	is       []string
	contains []string // folded
	absent   bool
}

// push says how a carrier's calls are read and proved.
type push struct {
	shape  *shape
	field  string // form field that holds the document; empty for the body
	where  string // header, query or form
	name   string
	prefix string
	// recipe makes what must stand there.
	recipe        recipe
	ok, malformed reply
	denied, other reply
}

type reply struct {
	status      int
	contentType string
	body        string
}

const (
	kindTrack   = "track"
	kindUnknown = "unknown"
	kindPush    = "push"
)

// builder reads one file.
type builder struct {
	*faults
	d     *description
	zones carrierkit.Zones
	// known are the names that templates may put in.
	known []string
	// mentioned are settings that templates do put in.
	mentioned map[string]bool
}

// keyed is a section of the file with the keys that it may have.
type keyed struct {
	b    *builder
	what string
	line int
	by   map[string]entry
}

// open reads a section and names every key that it cannot have.
func (b *builder) open(v value, what string, keys ...string) keyed {
	p := keyed{b: b, what: what, line: v.line, by: map[string]entry{}}
	switch v.kind {
	case section:
	case nothing:
		return p
	default:
		b.add(v.line, "%s must have keys and values: %s", what, strings.Join(keys, ", "))
		return p
	}
	for _, e := range v.entries {
		key := strings.ReplaceAll(e.key, "_", "-")
		if !slices.Contains(keys, key) {
			b.add(e.line, "unknown key %q in %s%s (it may have %s)", e.key, what, suggest(key, keys), strings.Join(keys, ", "))
			continue
		}
		if old, twice := p.by[key]; twice {
			b.add(e.line, "%s is given already, at line %d", e.key, old.line)
			continue
		}
		p.by[key] = e
	}
	return p
}

func (p keyed) has(key string) bool { e, ok := p.by[key]; return ok && e.value.kind != nothing }

// at is the line of a key, or of the section where the key is missing.
func (p keyed) at(key string) int {
	if e, ok := p.by[key]; ok {
		return e.line
	}
	return p.line
}

func (p keyed) text(key string) string {
	e, ok := p.by[key]
	switch {
	case !ok || e.value.kind == nothing:
		return ""
	case e.value.kind != text:
		p.b.add(e.line, "%s of %s must be a single value", key, p.what)
		return ""
	}
	return e.value.text
}

// need is text that must be there.
func (p keyed) need(key, remedy string) string {
	t := p.text(key)
	if t == "" && (!p.has(key) || p.by[key].value.kind == text) {
		p.b.add(p.at(key), "%s lacks %s: %s", p.what, key, remedy)
	}
	return t
}

func (p keyed) yes(key string) bool {
	t := p.text(key)
	if t == "" {
		return false
	}
	v, err := strconv.ParseBool(t)
	if err != nil {
		p.b.add(p.at(key), "%s of %s: %q is neither true nor false", key, p.what, t)
	}
	return v
}

func (p keyed) number(key string, least, most, otherwise int) int {
	t := p.text(key)
	if t == "" {
		return otherwise
	}
	n, err := strconv.Atoi(t)
	if err != nil || n < least || n > most {
		p.b.add(p.at(key), "%s of %s: %q is no whole number from %d to %d", key, p.what, t, least, most)
		return otherwise
	}
	return n
}

func (p keyed) duration(key string, most time.Duration) time.Duration {
	t := p.text(key)
	if t == "" {
		return 0
	}
	d, err := time.ParseDuration(t)
	if err != nil || d <= 0 || d > most {
		p.b.add(p.at(key), "%s of %s: %q is no time up to %s; write it as 90s, 10m or 48h", key, p.what, t, most)
		return 0
	}
	return d
}

// texts reads one value or a list of them.
func (p keyed) texts(key string) (out []string) {
	e, ok := p.by[key]
	if !ok {
		return nil
	}
	switch e.value.kind {
	case text:
		out = append(out, e.value.text)
	case list:
		for _, item := range e.value.items {
			if item.kind != text {
				p.b.add(item.line, "%s of %s takes single values", key, p.what)
				continue
			}
			out = append(out, item.text)
		}
	case section:
		p.b.add(e.line, "%s of %s takes one value or a list of them", key, p.what)
	}
	return out
}

// one takes a value out of a fixed set.
func (p keyed) one(key string, of []string, otherwise string) string {
	t := p.text(key)
	if t == "" {
		return otherwise
	}
	if !slices.Contains(of, t) {
		p.b.add(p.at(key), "%s of %s: %q is none of %s%s", key, p.what, t, strings.Join(of, ", "), suggest(t, of))
		return otherwise
	}
	return t
}

// items reads a list; one section alone is a list of one.
func (p keyed) items(key string) []value {
	e, ok := p.by[key]
	switch {
	case !ok || e.value.kind == nothing:
		return nil
	case e.value.kind == list:
		return e.value.items
	case e.value.kind == section:
		return []value{e.value}
	}
	p.b.add(e.line, "%s of %s must be a list", key, p.what)
	return nil
}

func (p keyed) path(key string) *path {
	t := p.text(key)
	if t == "" {
		return nil
	}
	at, err := parsePath(t)
	if err != nil {
		p.b.add(p.at(key), "%s of %s: %v", key, p.what, err)
		return nil
	}
	return &at
}

// field reads "path", a list of paths, or a section with path, paths, join,
// text and map.
func (p keyed) field(key, join string) field {
	e, ok := p.by[key]
	f := field{line: p.at(key), join: join}
	if !ok || e.value.kind == nothing {
		return f
	}
	var raw []string
	switch e.value.kind {
	case section:
		s := p.b.open(e.value, key+" of "+p.what, "path", "paths", "join", "text", "map")
		raw = append(s.texts("path"), s.texts("paths")...)
		if s.has("join") {
			f.join = s.text("join")
		}
		f.constant = s.text("text")
		if m, ok := s.by["map"]; ok {
			if m.value.kind != section {
				p.b.add(m.line, "map of %s must have the carrier's values as keys", key)
			}
			for _, e := range m.value.entries {
				if e.value.kind != text {
					p.b.add(e.line, "map of %s takes single values", key)
					continue
				}
				f.mapping = append(f.mapping, mapped{e.key, e.value.text})
			}
		}
		if len(raw) == 0 && f.constant == "" {
			p.b.add(e.line, "%s of %s names neither path nor text", key, p.what)
		}
	default:
		raw = p.texts(key)
	}
	for _, r := range raw {
		at, err := parsePath(r)
		if err != nil {
			p.b.add(f.line, "%s of %s: %v", key, p.what, err)
			continue
		}
		f.paths = append(f.paths, at)
	}
	if len(f.paths) > 1 && f.join == "" {
		p.b.add(f.line, "%s of %s has several paths and no join between them", key, p.what)
	}
	return f
}

// template reads a text with ${names}; every name must be known.
func (p keyed) template(key string, more ...string) template {
	return p.b.template(p.text(key), p.at(key), key+" of "+p.what, more...)
}

func (b *builder) template(raw string, line int, what string, more ...string) template {
	t, err := parseTemplate(raw, line)
	if err != nil {
		b.add(line, "%s: %v", what, err)
		return template{line: line}
	}
	for _, name := range t.names() {
		b.mentioned[name] = true
		all := slices.Concat(b.known, more)
		place, inner, _ := strings.Cut(name, ".")
		if slices.Contains(all, name) || inner != "" && slices.Contains(more, place+".") {
			continue
		}
		b.add(line, "%s: there is no ${%s}%s (there are %s)", what, name, suggest(name, all), strings.Join(all, ", "))
	}
	return t
}

var (
	carrierName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	settingName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)
)

// givenNames are those that every template of a call may put in.
func givenNames() []string {
	return []string{"number", "numbers", "postcode", "language"}
}

// describe reads a whole file. It returns nothing where the file has faults.
func describe(data []byte, found *faults, taken func(name string) bool) *description {
	if len(data) > MaxFileBytes {
		found.add(0, "longer than %d bytes", MaxFileBytes)
		return nil
	}
	top := parse(data, found)
	if len(found.all) > 0 {
		return nil
	}
	b := &builder{faults: found, d: &description{}, known: givenNames(), mentioned: map[string]bool{}}
	b.file(b.open(top, "the file",
		"name", "title", "country", "stages", "api", "base-url", "tracking-page", "language", "batch", "quota", "timeout", "grace",
		"settings", "values", "signature", "numbers", "auth", "steps", "retry-post", "paging", "answer", "signals", "push", "codes", "personal"), taken)
	if len(found.all) > 0 {
		return nil
	}
	return b.d
}

func (b *builder) file(p keyed, taken func(string) bool) {
	d := b.d
	s := &d.spec
	s.Name = p.need("name", "lower-case letters and digits, joined by dashes, such as kite-parcel")
	switch {
	case s.Name == "":
	case !carrierName.MatchString(s.Name):
		b.add(p.at("name"), "name %q: want lower-case letters and digits, joined by dashes, such as kite-parcel", s.Name)
	case taken(s.Name):
		b.add(p.at("name"), "name %q is that of a carrier built in; choose another, such as %s-own", s.Name, s.Name)
	}
	s.Title = p.need("title", "the name as the carrier writes it")
	s.API = p.need("api", "what the carrier's interface is called, with edition")
	if c := p.text("country"); c != "" {
		var err error
		if s.Country, err = parcel.ParseCountry(c); err != nil {
			b.add(p.at("country"), "country %q is none; write its code of two letters", c)
		}
	}
	b.stages(p)
	s.TrackingPage = p.text("tracking-page")
	if s.TrackingPage != "" && !strings.Contains(s.TrackingPage, "{number}") {
		b.add(p.at("tracking-page"), "tracking-page lacks {number}")
	}
	d.language = p.text("language")
	s.Timeout = p.duration("timeout", 2*time.Minute)
	s.Grace = p.duration("grace", 60*24*time.Hour)
	s.Batch = p.number("batch", 1, 500, 1)
	b.quota(p)
	b.settings(p)
	b.values(p)
	b.recipeOf(p)
	b.numbersOf(p)
	if p.has("answer") {
		d.answer = b.shape(p.by["answer"].value, "answer", nil)
	}
	b.authOf(p)
	b.stepsOf(p)
	b.pagingOf(p)
	b.signalsOf(p)
	b.pushOf(p)
	b.codesOf(p)
	b.personalOf(p)
	if len(d.steps) == 0 && d.push == nil {
		b.add(p.line, "the file has neither steps (how to ask) nor push (how the carrier calls)")
	}
	if len(d.steps) > 0 && d.answer == nil {
		b.add(p.at("steps"), "answer is missing: say where in the carrier's answer what stands")
	}
	b.finish(p)
}

func (b *builder) stages(p keyed) {
	known := make([]string, 0, 5)
	for _, st := range parcel.Stages() {
		known = append(known, strings.ReplaceAll(strings.ToLower(string(st)), "_", "-"))
	}
	for _, t := range p.texts("stages") {
		st := parcel.Stage(strings.ToUpper(strings.ReplaceAll(t, "-", "_")))
		if !st.Valid() {
			b.add(p.at("stages"), "stage %q is none of %s%s", t, strings.Join(known, ", "), suggest(t, known))
			continue
		}
		b.d.spec.Stages = append(b.d.spec.Stages, st)
	}
	if len(p.texts("stages")) == 0 {
		b.add(p.at("stages"), "the file lacks stages: which of %s the carrier serves", strings.Join(known, ", "))
	}
}

func (b *builder) quota(p keyed) {
	if !p.has("quota") {
		return
	}
	q := b.open(p.by["quota"].value, "quota", "per-second", "burst", "calls", "window")
	to := &b.d.spec.Quota
	if t := q.text("per-second"); t != "" {
		n, err := strconv.ParseFloat(t, 64)
		if err != nil || !(n > 0 && n <= 1000) {
			b.add(q.at("per-second"), "per-second of quota: %q is no number above 0 up to 1000", t)
		} else {
			to.PerSecond = n
		}
	}
	to.Burst = q.number("burst", 1, 1000, 0)
	to.Calls = q.number("calls", 1, 1_000_000, 0)
	to.Window = q.duration("window", 31*24*time.Hour)
	if (to.Calls > 0) != (to.Window > 0) {
		b.add(q.line, "quota: calls and window belong together, such as calls: 1000 and window: 24h")
	}
}

func (b *builder) settings(p keyed) {
	e, ok := p.by["settings"]
	if !ok || e.value.kind == nothing {
		return
	}
	if e.value.kind != section {
		b.add(e.line, "settings must have names, each with its doc")
		return
	}
	for _, s := range e.value.entries {
		q := b.open(s.value, "setting "+s.key, "doc", "default", "secret", "required", "value")
		set := carriers.Setting{Name: s.key, Doc: q.text("doc"), Default: q.text("default"), Secret: q.yes("secret"), Required: q.yes("required")}
		switch {
		case !settingName.MatchString(s.key):
			b.add(s.line, "setting %q: want lower-case letters, digits and underscores, such as api_key", s.key)
		case slices.Contains(b.known, s.key) || s.key == signature || s.key == "page" || s.key == "token":
			b.add(s.line, "setting %q: that name means something else in templates; choose another, such as my_%s", s.key, s.key)
		case set.Doc == "":
			b.add(s.line, "setting %s lacks doc: one line that says what it is", s.key)
		case q.has("value"), set.Secret && set.Default != "":
			b.add(s.line, "setting %s: secrets never stand in a description; give it in the account's settings (%s_env or %s_file)", s.key, s.key, s.key)
		}
		b.d.spec.Settings = append(b.d.spec.Settings, set)
		b.known = append(b.known, s.key)
	}
}

func (b *builder) values(p keyed) {
	e, ok := p.by["values"]
	if !ok || e.value.kind == nothing {
		return
	}
	if e.value.kind != section {
		b.add(e.line, "values must have names")
		return
	}
	for _, s := range e.value.entries {
		n := named{name: s.key, line: s.line}
		if !settingName.MatchString(s.key) || slices.Contains(b.known, s.key) || s.key == signature || s.key == "page" || s.key == "token" {
			b.add(s.line, "value %q: want a name of its own in lower-case letters, digits and underscores", s.key)
		}
		if s.value.kind == text {
			n.syntax, n.text = "text", b.template(s.value.text, s.line, "value "+s.key)
		} else {
			q := b.open(s.value, "value "+s.key, "json", "xml", "text", "now", "zone", "random")
			n.syntax, n.text = b.templateOf(q)
			n.now, n.random = q.text("now"), q.number("random", 1, 128, 0)
			if z := q.text("zone"); z != "" {
				if n.zone = loadZone(z, &b.zones); n.zone == nil {
					b.add(q.at("zone"), "zone %q is none; write an IANA name such as Asia/Almaty, or an offset such as +05:00", z)
				}
			}
			given := 0
			for _, set := range []bool{n.syntax != "", n.now != "", n.random > 0} {
				if set {
					given++
				}
			}
			if given != 1 && s.value.kind == section {
				b.add(s.line, "value %s wants exactly one of json, xml, text, now, random", s.key)
			}
		}
		b.d.values = append(b.d.values, n)
		b.known = append(b.known, s.key)
	}
}

// templateOf reads json:, xml: or text:.
func (b *builder) templateOf(q keyed) (syntaxName string, t template) {
	for _, name := range []string{"json", "xml", "text"} {
		if q.has(name) {
			if syntaxName != "" {
				b.add(q.at(name), "%s has %s already", q.what, syntaxName)
			}
			syntaxName, t = name, q.template(name, signature)
		}
	}
	return syntaxName, t
}

func (b *builder) recipeOf(p keyed) {
	if p.has("signature") {
		r := b.recipe(b.open(p.by["signature"].value, "signature", recipeKeys()...))
		b.d.signature = &r
		b.known = append(b.known, signature)
	}
}

func recipeKeys() []string { return []string{"over", "steps", "key", "parameters"} }

func (b *builder) recipe(q keyed) recipe {
	r := recipe{line: q.line, of: "both"}
	q.need("over", "the text that is signed, such as ${body}${secret}")
	places := append(signedNames(), "query.", "form.", "header.")
	r.over = q.template("over", places...)
	r.key = q.template("key")
	r.steps = q.texts("steps")
	hmacs := false
	for _, s := range r.steps {
		if !slices.Contains(recipeSteps(), s) {
			b.add(q.at("steps"), "step %q is none of %s%s", s, strings.Join(recipeSteps(), ", "), suggest(s, recipeSteps()))
		}
		hmacs = hmacs || strings.HasPrefix(s, "hmac-")
	}
	switch {
	case hmacs && len(r.key.parts) == 0:
		b.add(q.at("steps"), "an hmac step needs key, such as key: ${secret}")
	case !hmacs && len(r.key.parts) > 0:
		b.add(q.at("key"), "key is for hmac steps, and there is none; put the secret into over")
	}
	if q.has("parameters") {
		s := b.open(q.by["parameters"].value, "parameters", "of", "except", "pair", "separator", "skip-empty")
		r.of, r.except = s.one("of", []string{"query", "form", "both"}, "both"), s.texts("except")
		r.pairJoin, r.joinBetween, r.skipEmpty = s.text("pair"), s.text("separator"), s.yes("skip-empty")
	}
	return r
}

func (b *builder) numbersOf(p keyed) {
	b.d.numbers.join = ","
	if !p.has("numbers") {
		return
	}
	q := b.open(p.by["numbers"].value, "numbers", "join", "each")
	if q.has("join") {
		b.d.numbers.join = q.text("join")
	}
	if q.has("each") {
		b.d.numbers.each = q.template("each")
		if !b.d.numbers.each.mentions("number") {
			b.add(q.at("each"), "each lacks ${number}")
		}
	}
	if b.d.numbers.join == "" && len(b.d.numbers.each.parts) == 0 {
		b.add(q.line, "numbers without join run together; give join or each")
	}
}

func (b *builder) params(q keyed, key string, repeats bool) (out []param) {
	e, ok := q.by[key]
	if !ok || e.value.kind == nothing {
		return nil
	}
	if e.value.kind != section {
		b.add(e.line, "%s of %s must have names and values", key, q.what)
		return nil
	}
	for _, s := range e.value.entries {
		pr := param{name: s.key}
		what := s.key + " in " + key + " of " + q.what
		switch {
		case s.value.kind == text:
			pr.value = b.template(s.value.text, s.line, what)
		case s.value.kind == section && repeats:
			r := b.open(s.value, what, "repeat")
			pr.repeat, pr.value = true, r.template("repeat")
			if !pr.value.mentions("number") {
				b.add(s.line, "%s: repeat lacks ${number}", what)
			}
		case s.value.kind != nothing:
			b.add(s.line, "%s must be a single value", what)
		}
		if key == "headers" && !headerName(s.key) {
			b.add(s.line, "header %q: want letters, digits and dashes", s.key)
		}
		if key == "headers" && slices.Contains([]string{"host", "content-length", "transfer-encoding", "connection"}, strings.ToLower(s.key)) {
			b.add(s.line, "header %s is not a description's to set", s.key)
		}
		out = append(out, pr)
	}
	return out
}

func headerName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func requestKeys(more ...string) []string {
	return append([]string{"method", "path", "query", "headers", "form", "body", "capture"}, more...)
}

func (b *builder) request(q keyed) request {
	r := request{line: q.line, name: q.text("name")}
	r.path = q.template("path")
	raw := q.need("path", "where below base-url, such as /track/${number}")
	switch {
	case raw != "" && !strings.HasPrefix(raw, "/"):
		b.add(q.at("path"), "path %q must begin with /: scheme, host and port stand in base-url alone", raw)
	case strings.HasPrefix(raw, "//"), strings.Contains(raw, "\\"), strings.Contains(raw, "/../"), strings.HasSuffix(raw, "/.."):
		b.add(q.at("path"), "path %q would lead elsewhere; write it plainly below base-url", raw)
	case strings.ContainsAny(raw, "?#"):
		b.add(q.at("path"), "path %q: put what follows ? below query", raw)
	case strings.ContainsAny(raw, " \t\r\n"):
		b.add(q.at("path"), "path %q has white space", raw)
	}
	if _, err := url.PathUnescape(raw); err != nil {
		b.add(q.at("path"), "path %q: a percent sign begins two hexadecimal digits", raw)
	}
	r.query, r.headers, r.form = b.params(q, "query", true), b.params(q, "headers", false), b.params(q, "form", true)
	if q.has("body") {
		s := b.open(q.by["body"].value, "body of "+q.what, "json", "xml", "text", "content-type")
		r.body = &body{}
		r.body.syntax, r.body.text = b.templateOf(s)
		if r.body.syntax == "" {
			b.add(q.at("body"), "body wants one of json, xml, text")
		}
		types := map[string]string{"json": "application/json", "xml": "application/xml; charset=utf-8", "text": "text/plain; charset=utf-8"}
		r.body.contentType = cmp.Or(s.text("content-type"), types[r.body.syntax])
		b.checkBody(&r, s)
		if len(r.form) > 0 {
			b.add(q.at("body"), "%s has a form and a body; a call has one of them", q.what)
		}
	}
	method := http.MethodGet
	if r.body != nil || len(r.form) > 0 {
		method = "POST"
	}
	r.method = q.one("method", []string{"GET", "POST", "PUT"}, method)
	if r.method == http.MethodGet && (r.body != nil || len(r.form) > 0) {
		b.add(q.at("method"), "a GET has neither form nor body; write method: POST")
	}
	if e, ok := q.by["capture"]; ok {
		for _, s := range e.value.entries {
			at, err := parsePath(s.value.text)
			if s.value.kind != text || err != nil {
				b.add(s.line, "capture %s wants a path in the answer", s.key)
				continue
			}
			if !settingName.MatchString(s.key) || slices.Contains(b.known, s.key) {
				b.add(s.line, "capture %q: want a name of its own in lower-case letters, digits and underscores", s.key)
			}
			r.capture = append(r.capture, capture{s.key, at})
		}
	}
	return r
}

// checkBody reads the body with probes in place of what is put in.
func (b *builder) checkBody(r *request, s keyed) {
	if r.body.syntax == "text" || r.body.syntax == "" {
		return
	}
	sx := syntaxOf(r.body.syntax)
	probe := vars{}
	for _, n := range r.body.text.names() {
		probe[n] = "1"
	}
	f := format{syntax: r.body.syntax}
	if _, err := f.read([]byte(r.body.text.fill(probe, sx.escape, b.d.rawNumbers(r.body.syntax, []string{"1", "2"}, sx)))); err != nil {
		b.add(s.at(r.body.syntax), "body is no %s once filled in: %v", strings.ToUpper(r.body.syntax), err)
	}
}

func (b *builder) authOf(p keyed) {
	if !p.has("auth") {
		return
	}
	q := b.open(p.by["auth"].value, "auth", "header", "query", "basic", "oauth2", "token")
	a := &b.d.auth
	one := func(key string) (param, bool) {
		if !q.has(key) {
			return param{}, false
		}
		s := b.open(q.by[key].value, key+" of auth", "name", "value")
		pr := param{name: s.need("name", "what it is called"), value: s.template("value")}
		s.need("value", "what it says, such as ${api_key}")
		if key == "header" && pr.name != "" && !headerName(pr.name) {
			b.add(s.at("name"), "header %q: want letters, digits and dashes", pr.name)
		}
		return pr, true
	}
	if pr, ok := one("header"); ok {
		a.headers = append(a.headers, pr)
	}
	if pr, ok := one("query"); ok {
		a.query = append(a.query, pr)
	}
	if q.has("basic") {
		s := b.open(q.by["basic"].value, "basic of auth", "user", "password")
		a.basic = &[2]template{s.template("user"), s.template("password")}
		s.need("user", "such as ${user}")
		s.need("password", "such as ${password}")
	}
	if q.has("oauth2") && q.has("token") {
		b.add(q.at("token"), "auth has oauth2 already; a token is got in one way")
	}
	if q.has("oauth2") {
		b.oauth2(b.open(q.by["oauth2"].value, "oauth2", "path", "client-id", "client-secret", "scope", "send", "lasts"))
	}
	if q.has("token") {
		s := b.open(q.by["token"].value, "token of auth", "request", "at", "expires-in", "lasts", "header", "value")
		t := &tokenRule{lasts: s.duration("lasts", 366*24*time.Hour), expiresIn: s.path("expires-in")}
		s.need("at", "the path of the token in the answer")
		if at := s.path("at"); at != nil {
			t.at = *at
		}
		if !s.has("request") {
			b.add(s.line, "token of auth lacks request")
		} else {
			t.request = b.request(b.open(s.by["request"].value, "request of token", requestKeys()...))
		}
		if t.lasts == 0 && t.expiresIn == nil {
			b.add(s.line, "token of auth: say how long it is good, by expires-in (a path to seconds) or lasts")
		}
		a.token = t
		b.known = append(b.known, "token")
		if s.has("header") || s.has("value") {
			pr := param{name: cmp.Or(s.text("header"), "Authorization"), value: s.template("value")}
			if len(pr.value.parts) == 0 {
				pr.value = b.template("Bearer ${token}", s.at("header"), "value of token")
			}
			a.headers = append(a.headers, pr)
		}
	}
}

// oauth2 is the client credentials grant (RFC 6749, 4.4) as a token rule.
func (b *builder) oauth2(s keyed) {
	line := s.line
	form := []param{{name: "grant_type", value: b.template("client_credentials", line, "oauth2")}}
	id, secret := s.template("client-id"), s.template("client-secret")
	s.need("client-id", "such as ${client_id}")
	s.need("client-secret", "such as ${client_secret}")
	s.need("path", "where below base-url tokens are given, such as /oauth/token")
	if s.has("scope") {
		form = append(form, param{name: "scope", value: s.template("scope")})
	}
	r := request{line: line, name: "token", method: "POST", path: s.template("path")}
	if raw := s.text("path"); raw != "" && (!strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") || strings.ContainsAny(raw, "?#\\ ")) {
		b.add(s.at("path"), "path %q must begin with / and have no query: scheme, host and port stand in base-url alone", raw)
	}
	if s.one("send", []string{"basic", "form"}, "basic") == "form" {
		form = append(form, param{name: "client_id", value: id}, param{name: "client_secret", value: secret})
	} else {
		r.basic = &[2]template{id, secret}
	}
	r.form = form
	at, _ := parsePath("access_token")
	expires, _ := parsePath("expires_in")
	b.d.auth.token = &tokenRule{request: r, at: at, expiresIn: &expires, lasts: cmp.Or(s.duration("lasts", 366*24*time.Hour), 5*time.Minute)}
	b.known = append(b.known, "token")
	b.d.auth.headers = append(b.d.auth.headers, param{name: "Authorization", value: b.template("Bearer ${token}", line, "oauth2")})
}

func (b *builder) stepsOf(p keyed) {
	b.d.retryPOST = !p.has("retry-post") || p.yes("retry-post")
	if p.has("paging") {
		b.known = append(b.known, "page")
	}
	items := p.items("steps")
	const mostSteps = 4
	if len(items) > mostSteps {
		b.add(p.at("steps"), "steps are at most %d", mostSteps)
		return
	}
	for i, item := range items {
		r := b.request(b.open(item, "step "+strconv.Itoa(i+1), requestKeys("name")...))
		a := &b.d.auth
		r.headers = slices.Concat(a.headers, r.headers)
		r.query = slices.Concat(a.query, r.query)
		r.basic = a.basic
		last := i == len(items)-1
		switch {
		case last && len(r.capture) > 0:
			b.add(r.line, "the last step's answer is the payload: nothing comes after it that could use what it captures")
		case !last && len(r.capture) == 0:
			b.add(r.line, "step %d captures nothing, so the steps after it do not need it", i+1)
		}
		for _, c := range r.capture {
			b.known = append(b.known, c.name)
		}
		b.d.steps = append(b.d.steps, r)
	}
	if len(items) == 0 {
		return
	}
	asked := func(name string) bool {
		viaValue := slices.ContainsFunc(b.d.values, func(n named) bool {
			return n.text.mentions(name) && slices.ContainsFunc(b.d.steps, func(r request) bool { return r.uses(n.name) })
		})
		return viaValue || slices.ContainsFunc(b.d.steps, func(r request) bool { return r.uses(name) })
	}
	repeats := slices.ContainsFunc(b.d.steps, func(r request) bool {
		return slices.ContainsFunc(slices.Concat(r.query, r.form), func(p param) bool { return p.repeat })
	})
	switch {
	case !asked("number") && !asked("numbers"):
		b.add(p.at("steps"), "no step puts ${number} or ${numbers} in: the carrier would not know what is asked")
	case b.d.spec.Batch > 1 && !asked("numbers") && !repeats:
		b.add(p.at("batch"), "batch is %d, and no step takes several numbers: put ${numbers} in, or repeat: ${number}; or leave batch out", b.d.spec.Batch)
	}
	if b.d.signature != nil && !asked(signature) {
		b.add(b.d.signature.line, "signature is made and never sent: put ${signature} into a header, the query or the form")
	}
	for i := range b.d.steps {
		r := &b.d.steps[i]
		if r.body != nil && r.body.text.mentions(signature) && b.d.signature != nil && b.d.signature.over.mentions("body") {
			b.add(r.body.text.line, "the body holds the signature and is signed itself; sign a value that stands in it instead")
		}
	}
}

func (b *builder) pagingOf(p keyed) {
	if !p.has("paging") {
		return
	}
	q := b.open(p.by["paging"].value, "paging", "first", "next", "more", "most")
	g := &paging{first: q.text("first"), next: q.path("next"), more: q.path("more"), most: q.number("most", 2, 100, 10)}
	if (g.next == nil) == (g.more == nil) {
		b.add(q.line, "paging wants next (the path of the next page's name) or more (the path of what says that there is more)")
	}
	if g.more != nil {
		if _, err := strconv.Atoi(cmp.Or(g.first, "1")); err != nil {
			b.add(q.at("first"), "first of paging: %q is no number, and with more pages are counted", g.first)
		}
		g.first = cmp.Or(g.first, "1")
	}
	if n := len(b.d.steps); n > 0 && !b.d.steps[n-1].uses("page") {
		b.add(q.line, "paging: the last step does not put ${page} in")
	}
	b.d.paging = g
}
