package declared

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// path says where in a document a value stands: alternatives, of which the
// first that leads to a value counts.
//
//	events            the key of an object, the child of an element
//	status.code       a key below it; @name is an attribute of an element
//	names[0].text     a place in a list, [-1] the last
//	dates[type=ETA]   the entries of a list whose key says so
//	'a.b'             a key with signs of its own
//	.                 the value itself
//	/meta.tz          from the root of the document
//	^zone             from the parcel, where the context is an event
//	eta | expected    one or else the other
//
// A list on the way needs no word: its entries are looked into one by one.
type path struct {
	raw          string
	alternatives []steps
}

// base is where a path begins.
type base int

const (
	here   base = iota
	root        // "/"
	parent      // "^": the parcel
)

type steps struct {
	from base
	step []step
}

type step struct {
	key   string
	index int // of a list, where key is empty and is is nil
	is    *condition
}

type condition struct{ key, value string }

// maxSteps bounds a path.
const maxSteps = 16

func parsePath(raw string) (path, error) {
	p := path{raw: raw}
	for alternative := range strings.SplitSeq(raw, " | ") {
		s, err := parseSteps(strings.TrimSpace(alternative))
		if err != nil {
			return path{}, err
		}
		p.alternatives = append(p.alternatives, s)
	}
	return p, nil
}

func parseSteps(raw string) (steps, error) {
	var s steps
	rest := raw
	switch {
	case strings.HasPrefix(rest, "/"):
		s.from, rest = root, rest[1:]
	case strings.HasPrefix(rest, "^"):
		s.from, rest = parent, rest[1:]
	}
	if rest == "." || rest == "" && raw != "" {
		return s, nil
	}
	for first := true; rest != "" || first; first = false {
		if len(s.step) == maxSteps {
			return s, fmt.Errorf("path %q has more than %d steps", raw, maxSteps)
		}
		switch {
		case rest == "":
			return s, fmt.Errorf("a path is empty; write . for the value itself")
		case rest[0] == '[':
			inside, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				return s, fmt.Errorf("path %q: [ has no ]", raw)
			}
			at, err := bracket(inside)
			if err != nil {
				return s, fmt.Errorf("path %q: %w", raw, err)
			}
			s.step, rest = append(s.step, at), after
		case rest[0] == '\'':
			key, after, ok := strings.Cut(rest[1:], "'")
			if !ok || key == "" {
				return s, fmt.Errorf("path %q: a quoted key needs two quotes and a word between them", raw)
			}
			s.step, rest = append(s.step, step{key: key}), after
		default:
			n := strings.IndexAny(rest, ".[")
			if n < 0 {
				n = len(rest)
			}
			key := rest[:n]
			if key == "" || strings.ContainsAny(key, "]'|^/${}") || strings.TrimSpace(key) != key {
				return s, fmt.Errorf("path %q: %q is no key; put keys with signs of their own between '...'", raw, key)
			}
			s.step, rest = append(s.step, step{key: key}), rest[n:]
		}
		if strings.HasPrefix(rest, ".") {
			if rest = rest[1:]; rest == "" || rest[0] == '[' {
				return s, fmt.Errorf("path %q: a key is missing after a dot", raw)
			}
		} else if rest != "" && rest[0] != '[' {
			return s, fmt.Errorf("path %q: a dot is missing before %q", raw, rest)
		}
	}
	return s, nil
}

func bracket(inside string) (step, error) {
	if key, want, ok := strings.Cut(inside, "="); ok {
		if key == "" {
			return step{}, fmt.Errorf("[%s]: want [key=value]", inside)
		}
		return step{is: &condition{key, want}}, nil
	}
	n, err := strconv.Atoi(inside)
	if err != nil || n < -1 || n >= maxEntries {
		return step{}, fmt.Errorf("[%s]: want a place in a list, [-1] for the last, or [key=value]", inside)
	}
	return step{index: n}, nil
}

// scope is where paths of one place begin.
type scope struct{ root, parcel, here any }

func (c scope) begin(b base) any {
	switch b {
	case root:
		return c.root
	case parent:
		return c.parcel
	}
	return c.here
}

// all gives every value that a path leads to, of the first alternative that
// leads to any.
func (p path) all(c scope) []any {
	for _, s := range p.alternatives {
		at := []any{c.begin(s.from)}
		for _, st := range s.step {
			if at = st.walk(at); len(at) == 0 {
				break
			}
		}
		if len(at) > 0 && at[0] != nil {
			return at
		}
	}
	return nil
}

// exists tells whether the path leads anywhere, if only to null.
func (p path) exists(c scope) bool {
	return slices.ContainsFunc(p.alternatives, func(s steps) bool {
		at := []any{c.begin(s.from)}
		for _, st := range s.step {
			at = st.walk(at)
		}
		return len(at) > 0
	})
}

func (st step) walk(at []any) []any {
	var out []any
	for _, v := range at {
		switch v := v.(type) {
		case map[string]any:
			switch {
			case st.is != nil:
				if scalarOf(v[st.is.key]) == st.is.value {
					out = append(out, v)
				}
			case st.key != "":
				if inner, ok := v[st.key]; ok {
					out = append(out, inner)
				}
			case st.index == 0 || st.index == -1:
				out = append(out, v) // an object alone is a list of one
			}
		case []any:
			switch {
			case st.is != nil || st.key != "":
				for _, item := range v {
					if _, isMap := item.(map[string]any); isMap {
						out = append(out, st.walk([]any{item})...)
					}
				}
			case st.index == -1 && len(v) > 0:
				out = append(out, v[len(v)-1])
			case st.index >= 0 && st.index < len(v):
				out = append(out, v[st.index])
			}
		}
	}
	return out
}

// text is the first value on the path that says something.
func (p path) text(c scope) string {
	for _, s := range p.alternatives {
		for _, v := range (path{alternatives: []steps{s}}).all(c) {
			if list, ok := v.([]any); ok && len(list) > 0 {
				v = list[0]
			}
			if t := strings.TrimSpace(scalarOf(v)); t != "" {
				return t
			}
		}
	}
	return ""
}

// words are the keys on the way from the root to what the first alternative
// names, as redaction counts them: without places in lists.
func (s steps) words() []string {
	var out []string
	for _, st := range s.step {
		if st.key != "" {
			out = append(out, st.key)
		}
	}
	return out
}

// put writes a value where the path's first alternative says, and makes what
// is missing on the way. It is for documents that are being written.
func (p path) put(c *scope, v any) {
	s := p.alternatives[0]
	switch s.from {
	case root:
		c.root = putAt(c.root, s.step, v)
	case parent:
		c.parcel = putAt(c.parcel, s.step, v)
	default:
		c.here = putAt(c.here, s.step, v)
	}
}

func putAt(at any, rest []step, v any) any {
	if len(rest) == 0 {
		if m, ok := at.(map[string]any); ok && len(m) > 0 {
			if _, isMap := v.(map[string]any); !isMap {
				m[elementText] = v // an element with attributes, and its text
				return m
			}
		}
		return v
	}
	st := rest[0]
	switch {
	case st.key != "":
		m, ok := at.(map[string]any)
		if !ok {
			m = map[string]any{}
			if list, isList := at.([]any); isList && len(list) > 0 {
				list[0] = putAt(list[0], rest, v)
				return list
			}
			if s, isText := at.(string); isText {
				m[elementText] = s
			}
		}
		m[st.key] = putAt(m[st.key], rest[1:], v)
		return m
	case st.is != nil:
		items, _ := at.([]any)
		for i, item := range items {
			if m, ok := item.(map[string]any); ok && scalarOf(m[st.is.key]) == st.is.value {
				items[i] = putAt(m, rest[1:], v)
				return items
			}
		}
		return append(items, putAt(map[string]any{st.is.key: st.is.value}, rest[1:], v))
	default:
		items, _ := at.([]any)
		n := max(st.index, 0)
		for len(items) <= n {
			items = append(items, nil)
		}
		items[n] = putAt(items[n], rest[1:], v)
		return items
	}
}
