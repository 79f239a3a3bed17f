package declared

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// template is a text with places to be filled in: "/track/${number}". A "$$"
// stands for one dollar sign.
type template struct {
	raw   string
	line  int
	parts []part
}

// part is a stretch of text, or the name of what is put in.
type part struct{ text, name string }

// maxTemplate bounds a template, in bytes.
const maxTemplate = 16 << 10

func parseTemplate(raw string, line int) (template, error) {
	t := template{raw: raw, line: line}
	if len(raw) > maxTemplate {
		return t, fmt.Errorf("longer than %d bytes", maxTemplate)
	}
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			t.parts = append(t.parts, part{text: plain.String()})
			plain.Reset()
		}
	}
	for rest := raw; rest != ""; {
		at := strings.IndexByte(rest, '$')
		if at < 0 {
			plain.WriteString(rest)
			break
		}
		plain.WriteString(rest[:at])
		rest = rest[at+1:]
		switch {
		case strings.HasPrefix(rest, "$"):
			plain.WriteByte('$')
			rest = rest[1:]
		case strings.HasPrefix(rest, "{"):
			name, after, ok := strings.Cut(rest[1:], "}")
			if !ok || name == "" || strings.ContainsAny(name, "{$ \n") {
				return t, fmt.Errorf("%q: want ${name}; write $$ for a dollar sign", raw)
			}
			flush()
			t.parts = append(t.parts, part{name: name})
			rest = after
		default:
			return t, fmt.Errorf("%q: a dollar sign begins ${name}; write $$ for the sign itself", raw)
		}
	}
	flush()
	return t, nil
}

// names lists what is put in, in order.
func (t template) names() []string {
	var out []string
	for _, p := range t.parts {
		if p.name != "" {
			out = append(out, p.name)
		}
	}
	return out
}

func (t template) mentions(name string) bool {
	for _, p := range t.parts {
		if p.name == name {
			return true
		}
	}
	return false
}

// vars are values by name.
type vars map[string]string

// fill puts values in, each written by escape. Values of names in raw are in
// the target's own syntax already and go in as they are.
func (t template) fill(v vars, escape func(string) string, raw map[string]string) string {
	var b strings.Builder
	for _, p := range t.parts {
		switch written, isRaw := raw[p.name]; {
		case p.name == "":
			b.WriteString(p.text)
		case isRaw:
			b.WriteString(written)
		default:
			b.WriteString(escape(v[p.name]))
		}
	}
	return b.String()
}

func plain(s string) string { return s }

// escapePath writes a value so that it stays within its segment of a path.
func escapePath(s string) string {
	switch s {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	return url.PathEscape(s)
}

// syntax is how values are written into a template, and read back by the fake.
type syntax struct {
	escape   func(string) string
	unescape func(string) string
}

func syntaxOf(name string) syntax {
	switch name {
	case "json":
		return syntax{escapeJSON, unescapeJSON}
	case "xml":
		return syntax{escapeXML, unescapeXML}
	case "path":
		return syntax{escapePath, func(s string) string {
			if u, err := url.PathUnescape(s); err == nil {
				return u
			}
			return s
		}}
	}
	return syntax{plain, plain}
}

// pattern is the template the other way round: a regular expression with one
// group for each value that was put in.
func (t template) pattern() *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(regexp.QuoteMeta(p.text))
			continue
		}
		b.WriteString(`(.*?)`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// match reads back what was put in; ok is false where the text is no such
// template filled in. Of a name that stands there twice the first value counts.
func (t template) match(s string, unescape func(string) string) (v vars, ok bool) {
	found := t.pattern().FindStringSubmatch(s)
	if found == nil {
		return nil, false
	}
	v = vars{}
	for i, name := range t.names() {
		if _, again := v[name]; !again {
			v[name] = unescape(found[i+1])
		}
	}
	return v, true
}
