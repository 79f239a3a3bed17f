package declared

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// adapter is a description bound to an account: it reads, and no more.
type adapter struct {
	d     *description
	env   carriers.Env
	base  *url.URL
	given vars // the account's settings
	zones carrierkit.Zones

	client *carrierkit.Client
	tokens *carrierkit.TokenCache // nil without a token rule
}

// The faces of an adapter follow from its file: what is not described it has
// not got.
type (
	asked  struct{ *adapter }
	called struct{ *adapter }
	both   struct {
		*adapter
		asked
		called
	}
)

var (
	_ carriers.Carrier  = (*adapter)(nil)
	_ carriers.Fetcher  = asked{}
	_ carriers.Verifier = called{}
	_ carriers.Fetcher  = both{}
	_ carriers.Verifier = both{}
)

func bind(d *description, env carriers.Env) (carriers.Carrier, error) {
	a := &adapter{d: d, env: env, base: d.base, given: vars{}}
	for _, s := range d.spec.Settings {
		v, set := env.Settings[s.Name]
		if !set {
			v = s.Default
		}
		if s.Required && v == "" {
			return nil, fmt.Errorf("%s: setting %s is missing (%s): %w", d.spec.Name, s.Name, s.Doc, parcel.ErrInvalid)
		}
		a.given[s.Name] = v
	}
	if env.BaseURL != "" && len(d.steps) > 0 {
		u, err := url.Parse(env.BaseURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%s: base_url: want an absolute http or https address without user, query or fragment: %w", d.spec.Name, parcel.ErrInvalid)
		}
		a.base = u
	}
	a.client = carrierkit.NewClient(env, carrierkit.Options{Quota: d.spec.Quota, Timeout: d.spec.Timeout, RetryPOST: d.retryPOST})
	if d.auth.token != nil {
		a.tokens = carrierkit.NewTokenCache(env.Wall, a.newToken)
	}
	switch asks, takes := len(d.steps) > 0, d.push != nil; {
	case asks && takes:
		return both{a, asked{a}, called{a}}, nil
	case asks:
		return asked{a}, nil
	default:
		return called{a}, nil
	}
}

// Fetch implements [carriers.Fetcher]. Each part of at most Spec.Batch numbers
// goes through all steps.
func (a asked) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	name := a.d.spec.Name
	for _, need := range a.d.needs {
		if a.given[need] == "" {
			return nil, fmt.Errorf("%s: setting %s is not set: %w", name, need, carriers.ErrNoAccount)
		}
	}
	var parts []carriers.Query
	for _, q := range queries {
		q.Number = parcel.NormalizeNumber(q.Number)
		if q.Number != "" && !slices.ContainsFunc(parts, func(o carriers.Query) bool { return o.Number == q.Number }) {
			parts = append(parts, q)
		}
	}
	var payloads []parcel.Payload
	for part := range slices.Chunk(parts, a.d.spec.Batch) {
		got, err := a.ask(ctx, part)
		payloads = append(payloads, got...)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d numbers from %s: %w", name, len(part), part[0].Number, err)
		}
	}
	return payloads, nil
}

// answered is what came back of one call.
type answered struct {
	status      int
	contentType string
	body        []byte
	doc         any // nil where the body is no document
	unknown     bool
}

func (a *adapter) ask(ctx context.Context, part []carriers.Query) (payloads []parcel.Payload, err error) {
	err = a.withToken(ctx, func(ctx context.Context, v vars) error {
		payloads = nil
		v["postcode"], v["language"] = part[0].Postcode, cmp.Or(part[0].Language, a.d.language)
		numbers := make([]string, len(part))
		for i, q := range part {
			numbers[i] = q.Number
		}
		last := len(a.d.steps) - 1
		for i := range a.d.steps[:last] {
			r := &a.d.steps[i]
			got, err := a.call(ctx, r, v, numbers, false)
			if err != nil {
				return fmt.Errorf("%s: %w", cmp.Or(r.name, "step "+strconv.Itoa(i+1)), err)
			}
			c := scope{root: got.doc, parcel: got.doc, here: got.doc}
			for _, x := range r.capture {
				if v[x.name] = x.path.text(c); v[x.name] == "" {
					return fmt.Errorf("%s: nothing at %q: %w", cmp.Or(r.name, "step "+strconv.Itoa(i+1)), x.path.raw, parcel.ErrMalformed)
				}
			}
		}
		payloads, err = a.pages(ctx, &a.d.steps[last], v, numbers)
		return err
	})
	return payloads, err
}

// withToken calls with a token where the description has one: a refusal leads
// to one renewal.
func (a *adapter) withToken(ctx context.Context, call func(context.Context, vars) error) error {
	if a.tokens == nil {
		return call(ctx, cloneVars(a.given))
	}
	return a.tokens.With(ctx, func(ctx context.Context, token string) error {
		v := cloneVars(a.given)
		v["token"] = token
		return call(ctx, v)
	})
}

// newToken asks for a token.
func (a *adapter) newToken(ctx context.Context) (string, time.Time, error) {
	t := a.d.auth.token
	began := a.env.Wall.Now()
	got, err := a.call(ctx, &t.request, cloneVars(a.given), nil, false)
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok && status.Status == http.StatusBadRequest {
		// RFC 6749, 5.2: wrong client credentials may be told with 400.
		err = fmt.Errorf("%w: %w", parcel.ErrDenied, err)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	c := scope{root: got.doc, parcel: got.doc, here: got.doc}
	life := t.lasts
	if t.expiresIn != nil {
		if n, err := strconv.ParseInt(t.expiresIn.text(c), 10, 64); err == nil && n > 0 {
			life = time.Duration(min(n, maxTokenSeconds)) * time.Second
		}
	}
	expires := time.Time{}
	if life > 0 {
		expires = began.Add(life)
	}
	token := t.at.text(c)
	if token == "" {
		return "", time.Time{}, fmt.Errorf("no token at %q: %w", t.at.raw, parcel.ErrMalformed)
	}
	return token, expires, nil
}

// maxTokenSeconds is the longest life of a token that is believed.
const maxTokenSeconds = 366 * 24 * 3600

// call makes one call. With about, an answer may say that the number is not
// known, whatever its status.
func (a *adapter) call(ctx context.Context, r *request, v vars, numbers []string, about bool) (answered, error) {
	resp, err := a.client.Do(ctx, func() (*http.Request, error) {
		return a.d.build(ctx, r, a.base, v, numbers, a.env.Wall.Now())
	})
	var got answered
	status, isStatus := errors.AsType[*carrierkit.StatusError](err)
	switch {
	case isStatus:
		got = answered{status: status.Status, contentType: status.Header.Get("Content-Type"), body: status.Body}
	case err != nil:
		return got, err
	default:
		got = answered{contentType: resp.ContentType, body: resp.Body}
	}
	f := format{syntax: "json"}
	switch {
	case about:
		f = a.d.answer.format
	case bytes.HasPrefix(bytes.TrimSpace(got.body), []byte("<")):
		f.syntax = "xml"
	}
	got.doc, _ = f.read(got.body) // what cannot be read is the decoder's to tell
	if about && isStatus && len(numbers) == 1 {
		c := scope{root: got.doc, parcel: got.doc, here: got.doc}
		if slices.ContainsFunc(a.d.signals.unknown, func(x rule) bool { return len(x.status) > 0 && x.holds(got.status, c) }) {
			got.unknown = true
			return got, nil
		}
	}
	if refused := a.d.refusal(got.status, got.doc); refused != nil {
		if th, ok := errors.AsType[*parcel.Throttled](refused); ok && th.RetryAfter == 0 {
			if own, ok := errors.AsType[*parcel.Throttled](err); ok {
				return got, own
			}
		}
		return got, refused
	}
	return got, err
}

// pages makes the last step's call, again for each page. Each payload names
// the numbers that it is the answer about: a page that is not the last one is
// no word about those that it does not have.
func (a *adapter) pages(ctx context.Context, r *request, v vars, numbers []string) ([]parcel.Payload, error) {
	g := a.d.paging
	if g != nil {
		v["page"] = g.first
	}
	var out []parcel.Payload
	left := slices.Clone(numbers)
	for page := 1; ; page++ {
		got, err := a.call(ctx, r, v, numbers, true)
		if err != nil {
			return out, err
		}
		p := parcel.Payload{
			Carrier: a.d.spec.Name, Account: a.env.Account, Kind: kindTrack, Source: parcel.SourcePoll,
			ContentType: got.contentType, Body: got.body, Numbers: slices.Clone(left),
		}
		if got.unknown {
			p.Kind = kindUnknown
		}
		next := ""
		if g != nil && !got.unknown {
			next = g.after(v["page"], got.doc)
		}
		if next == "" || next == v["page"] || page == g.most {
			if next != "" {
				a.log(ctx, "paging is given up: too many pages", page)
			}
			if len(p.Numbers) > 0 {
				return append(out, p), nil
			}
			return append(out, a.trailing(p, numbers)...), nil
		}
		read := p
		read.Numbers = nil
		if len(numbers) == 1 {
			read.Numbers = numbers
		}
		rd, err := a.d.decode(read, &a.zones)
		var seen []string
		for _, x := range rd.Results {
			if x.Finding == parcel.FindingFound && slices.Contains(numbers, x.Number) {
				seen = append(seen, x.Number)
			}
		}
		if len(seen) > 0 {
			p.Numbers = seen
			out = append(out, p)
			left = slices.DeleteFunc(left, func(n string) bool { return slices.Contains(seen, n) })
		}
		if err != nil {
			return out, nil // what is wrong with this page would hold for the next
		}
		v["page"] = next
	}
}

// trailing keeps a last page that is about numbers seen on earlier ones, if it
// says anything.
func (a *adapter) trailing(p parcel.Payload, numbers []string) []parcel.Payload {
	read := p
	if len(numbers) == 1 {
		read.Numbers = numbers
	}
	rd, err := a.d.decode(read, &a.zones)
	if err != nil {
		p.Numbers = numbers // the decoder tells what is wrong with it
		return []parcel.Payload{p}
	}
	for _, o := range rd.Observations {
		if slices.Contains(numbers, o.Number) && !slices.Contains(p.Numbers, o.Number) {
			p.Numbers = append(p.Numbers, o.Number)
		}
	}
	if len(p.Numbers) == 0 {
		return nil
	}
	return []parcel.Payload{p}
}

func (a *adapter) log(ctx context.Context, text string, page int) {
	if a.env.Log != nil {
		a.env.Log.WarnContext(ctx, text, "carrier", a.d.spec.Name, "pages", page)
	}
}

// after names the page after this one; empty at the end.
func (g *paging) after(page string, doc any) string {
	c := scope{root: doc, parcel: doc, here: doc}
	if g.next != nil {
		switch next := g.next.text(c); next {
		case "false", "0", "-1":
			return ""
		default:
			return next
		}
	}
	if !carrierkit.Text(g.more.text(c)).True() {
		return ""
	}
	n, err := strconv.Atoi(page)
	if err != nil {
		return ""
	}
	return strconv.Itoa(n + 1)
}

// Verify implements [carriers.Verifier].
func (a called) Verify(d carriers.Delivery) (string, error) {
	p := a.d.push
	for _, s := range a.d.spec.Settings {
		if s.Secret && (p.recipe.over.mentions(s.Name) || p.recipe.key.mentions(s.Name)) && a.given[s.Name] == "" {
			return "", fmt.Errorf("%s: push: setting %s is not set: %w", a.d.spec.Name, s.Name, parcel.ErrDenied)
		}
	}
	m := message{method: http.MethodPost, query: url.Values(d.Query), form: url.Values{}, header: d.Header, body: string(d.Body)}
	if m.header == nil {
		m.header = http.Header{}
	}
	if p.where == "form" || p.field != "" || slices.ContainsFunc(p.recipe.over.names(), func(n string) bool { return strings.HasPrefix(n, "form.") || n == "parameters" }) {
		form, err := url.ParseQuery(string(d.Body))
		if err != nil || p.field != "" && !form.Has(p.field) {
			return "", fmt.Errorf("%s: push: no form: %w", a.d.spec.Name, parcel.ErrMalformed)
		}
		m.form = form
	}
	if !carrierkit.ConstantTimeEqual(p.given(&m), p.expected(&m, a.given)) {
		return "", fmt.Errorf("%s: push: %s %s: %w", a.d.spec.Name, p.where, p.name, parcel.ErrDenied)
	}
	return kindPush, nil
}

// given is the proof as it came.
func (p *push) given(m *message) string {
	switch p.where {
	case "query":
		return m.query.Get(p.name)
	case "form":
		// A plus that the sender forgot to escape arrives as a space, which no
		// signature has.
		return strings.ReplaceAll(m.form.Get(p.name), " ", "+")
	}
	return m.header.Get(p.name)
}

// expected is the proof as it must be.
func (p *push) expected(m *message, given vars) string {
	var signed []string
	if p.where != "header" {
		signed = []string{p.name}
	}
	return p.prefix + p.recipe.sign(m, given, signed)
}

// Reply implements [carriers.Verifier].
func (a called) Reply(err error) carriers.Reply {
	p := a.d.push
	r := p.other
	switch {
	case err == nil:
		r = p.ok
	case errors.Is(err, parcel.ErrDenied):
		r = p.denied
	case errors.Is(err, parcel.ErrMalformed):
		r = p.malformed
	}
	return carriers.Reply{Status: r.status, ContentType: r.contentType, Body: []byte(r.body)}
}
