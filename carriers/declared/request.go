package declared

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// request describes one call.
type request struct {
	line    int
	name    string
	method  string
	path    template
	query   []param
	headers []param
	form    []param
	body    *body
	// basic is user and password, for basic authentication.
	basic *[2]template
	// capture is what of the answer later calls may use, by name.
	capture []capture
}

// param is one named value; repeat sends it once for each number.
type param struct {
	name   string
	value  template
	repeat bool
}

type body struct {
	syntax      string // json, xml or text
	text        template
	contentType string
}

type capture struct {
	name string
	path path
}

// named is a value that is made anew for each call.
type named struct {
	name   string
	line   int
	syntax string // json, xml or text, for template
	text   template
	// now is a layout, unix or unix-ms; zone is where the layout's clock hangs.
	now  string
	zone *time.Location
	// random is how many hexadecimal digits.
	random int
}

// numbering is how many numbers are put into one call.
type numbering struct {
	join string
	each template // one number in the syntax of the body; empty for the number alone
}

// raw writes ${numbers} in the syntax of a body: each number escaped in its
// own frame.
func (n *numbering) raw(numbers []string, s syntax) map[string]string {
	out := make([]string, len(numbers))
	for i, number := range numbers {
		out[i] = s.escape(number)
		if len(n.each.parts) > 0 {
			out[i] = n.each.fill(vars{"number": number}, s.escape, nil)
		}
	}
	return map[string]string{"numbers": strings.Join(out, n.join)}
}

// split reads ${numbers} back.
func (n *numbering) split(written string, s syntax) ([]string, bool) {
	if len(n.each.parts) == 0 {
		parts := strings.Split(written, n.join)
		for i := range parts {
			parts[i] = s.unescape(parts[i])
		}
		return parts, true
	}
	var out []string
	for _, one := range splitFrames(written, n.join, n.each) {
		v, ok := n.each.match(one, s.unescape)
		if !ok {
			return nil, false
		}
		out = append(out, v["number"])
	}
	return out, true
}

// splitFrames cuts at joins that stand between two frames: a join inside of a
// frame begins with what the frame does not end with.
func splitFrames(written, join string, each template) []string {
	if join == "" {
		first := each.parts[0].text
		if first == "" {
			return []string{written}
		}
		var out []string
		for _, piece := range strings.Split(written, first) {
			if piece != "" {
				out = append(out, first+piece)
			}
		}
		return out
	}
	return strings.Split(written, join)
}

// now gives the values of one call.
func (d *description) makeValues(v vars, numbers []string, now time.Time) error {
	for i := range d.values {
		n := &d.values[i]
		switch {
		case n.now != "":
			v[n.name] = writeTime(n.now, now, n.zone)
		case n.random > 0:
			b := make([]byte, (n.random+1)/2)
			_, _ = rand.Read(b) // never fails: it ends the program instead
			v[n.name] = hex.EncodeToString(b)[:n.random]
		default:
			s := syntaxOf(n.syntax)
			v[n.name] = n.text.fill(v, s.escape, d.rawNumbers(n.syntax, numbers, s))
		}
		if len(v[n.name]) > maxValue {
			return fmt.Errorf("value %s is longer than %d bytes: %w", n.name, maxValue, parcel.ErrInvalid)
		}
	}
	return nil
}

// maxValue bounds a value that was put together.
const maxValue = 256 << 10

// rawNumbers is ${numbers} where it has a syntax of its own.
func (d *description) rawNumbers(syntaxName string, numbers []string, s syntax) map[string]string {
	if syntaxName != "json" && syntaxName != "xml" {
		return nil
	}
	return d.numbers.raw(numbers, s)
}

func writeTime(layout string, now time.Time, zone *time.Location) string {
	switch layout {
	case layoutUnix:
		return strconv.FormatInt(now.Unix(), 10)
	case layoutUnixMilli:
		return strconv.FormatInt(now.UnixMilli(), 10)
	}
	if zone != nil {
		now = now.In(zone)
	}
	return now.Format(layout)
}

const signature = "signature"

// signedParams are the parameters that hold the signature.
func (r *request) signedParams() []string {
	var out []string
	for _, list := range [][]param{r.query, r.form} {
		for _, p := range list {
			if p.value.mentions(signature) {
				out = append(out, p.name)
			}
		}
	}
	return out
}

// build makes the call. Host and scheme are those of base whatever is put in.
func (d *description) build(ctx context.Context, r *request, base *url.URL, v vars, numbers []string, now time.Time) (*http.Request, error) {
	v = cloneVars(v)
	v["numbers"] = strings.Join(numbers, d.numbers.join)
	if len(numbers) == 1 {
		v["number"] = numbers[0]
	}
	if err := d.makeValues(v, numbers, now); err != nil {
		return nil, err
	}
	at := *base
	at.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + r.path.fill(v, escapePath, nil)
	var err error
	if at.Path, err = url.PathUnescape(at.RawPath); err != nil {
		return nil, fmt.Errorf("path: %w", parcel.ErrInvalid)
	}
	m := message{method: r.method, path: at.EscapedPath(), query: url.Values{}, form: url.Values{}, header: http.Header{}}
	put := func(signed bool) {
		for _, group := range []struct {
			list []param
			add  func(name, value string)
		}{{r.query, m.query.Add}, {r.form, m.form.Add}, {r.headers, m.header.Set}} {
			for _, p := range group.list {
				switch {
				case p.value.mentions(signature) != signed:
				case p.repeat:
					for _, n := range numbers {
						one := cloneVars(v)
						one["number"] = n
						group.add(p.name, p.value.fill(one, plain, nil))
					}
				default:
					group.add(p.name, p.value.fill(v, plain, nil))
				}
			}
		}
		m.rawQuery = m.query.Encode()
		switch {
		case r.body != nil && r.body.text.mentions(signature) == signed:
			s := syntaxOf(r.body.syntax)
			m.body = r.body.text.fill(v, s.escape, d.rawNumbers(r.body.syntax, numbers, s))
		case r.body == nil && len(r.form) > 0:
			m.body = m.form.Encode()
		}
	}
	put(false)
	if d.signature != nil && r.uses(signature) {
		v[signature] = d.signature.sign(&m, v, r.signedParams())
		put(true)
	}
	at.RawQuery = m.rawQuery
	req, err := http.NewRequestWithContext(ctx, r.method, at.String(), strings.NewReader(m.body))
	if err != nil {
		return nil, fmt.Errorf("address: %w", parcel.ErrInvalid) // the error itself would show the address, keys and all
	}
	if m.body == "" && r.body == nil {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	}
	for name, values := range m.header {
		for _, value := range values {
			if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				return nil, fmt.Errorf("header %s: a value with control characters: %w", name, parcel.ErrInvalid)
			}
			req.Header.Add(name, value)
		}
	}
	if r.basic != nil {
		req.SetBasicAuth(r.basic[0].fill(v, plain, nil), r.basic[1].fill(v, plain, nil))
	}
	if req.Header.Get("Content-Type") == "" {
		switch {
		case r.body != nil:
			req.Header.Set("Content-Type", r.body.contentType)
		case len(r.form) > 0:
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		}
	}
	return req, nil
}

func cloneVars(v vars) vars {
	out := make(vars, len(v)+8)
	for k, val := range v {
		out[k] = val
	}
	return out
}

// uses tells whether a name is put in anywhere in the call.
func (r *request) uses(name string) bool {
	return slices.ContainsFunc(r.templates(), func(t template) bool { return t.mentions(name) })
}

// templates are all texts of the call.
func (r *request) templates() []template {
	out := []template{r.path}
	for _, l := range [][]param{r.query, r.headers, r.form} {
		for _, p := range l {
			out = append(out, p.value)
		}
	}
	if r.body != nil {
		out = append(out, r.body.text)
	}
	if r.basic != nil {
		out = append(out, r.basic[0], r.basic[1])
	}
	return out
}

// unescapeJSON reads what escapeJSON wrote.
func unescapeJSON(s string) string {
	var out string
	if json.Unmarshal([]byte(`"`+s+`"`), &out) != nil {
		return s
	}
	return out
}

// unescapeXML reads what escapeXML wrote.
func unescapeXML(s string) string {
	var out struct {
		Text string `xml:",chardata"`
	}
	if xml.Unmarshal([]byte("<x>"+s+"</x>"), &out) != nil {
		return s
	}
	return out.Text
}
