package carriertest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// maxMutations bounds the variants made of one sample.
	maxMutations = 6000
	// perPath is how many fields of one path are mutated: what holds for three
	// events of a list holds for the fourth.
	perPath = 3
	// redactEvery variants one is redacted too, which costs more than decoding.
	redactEvery = 5
)

// testMutations decodes and redacts variants of each sample: every field in
// turn removed or of another type, every line removed, the end cut off, bytes
// changed. None may panic or give a reading that breaks the rules.
func (e *exam) testMutations(t *testing.T) {
	for _, s := range e.samples {
		t.Run(s.file, func(t *testing.T) {
			c := e.reader(t)
			n := 0
			try := func(what string, body []byte) int {
				if n++; n > maxMutations {
					return -1
				}
				p := s.payload
				p.Body = body
				count := -1
				guard(t, func() string { return what + ": " + quoted(body) }, func() {
					readings, _ := e.read(c, sampleFile{s.file, s.kind, p})
					count = 0
					for _, r := range readings {
						e.checkReading(t, r)
						count += len(r.Observations)
					}
					if n%redactEvery != 1 {
						return
					}
					once := c.Redact(p)
					if twice := c.Redact(once); !bytes.Equal(once.Body, twice.Body) {
						t.Errorf("%s: redacted twice: %s and %s", what, quoted(once.Body), quoted(twice.Body))
					}
				})
				return count
			}
			whole := try("unchanged", s.payload.Body)
			switch {
			case json.Valid(s.payload.Body):
				mutateJSON(t, s.payload.Body, whole, try)
			case bytes.HasPrefix(bytes.TrimSpace(s.payload.Body), []byte("<")):
				mutateXML(t, s.payload.Body, try)
			}
			mutateText(s.payload.Body, try)
			if t.Failed() {
				return
			}
			for _, kind := range e.spec.Kinds {
				p := s.payload
				p.Kind = kind.Name
				guard(t, func() string { return "read as " + kind.Name }, func() {
					_, _ = c.Decode(p)
					c.Redact(p)
				})
			}
		})
	}
}

// otherTypes are what a JSON value is replaced by.
func otherTypes() []any {
	return []any{nil, "", "x", json.Number("0"), json.Number("-1e400"), true, map[string]any{}, []any{}, []any{[]any{}}, []any{nil, "x"}}
}

type jsonMutator struct {
	t    *testing.T
	root any
	try  func(string, []byte) int
	// whole is how many observations the sample has.
	whole int
	// seen counts what was mutated by path, positions in arrays apart.
	seen map[string]int
}

func mutateJSON(t *testing.T, body []byte, whole int, try func(string, []byte) int) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var root any
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	m := &jsonMutator{t: t, root: root, try: try, whole: whole, seen: map[string]int{}}
	for _, v := range otherTypes() {
		m.root = v
		m.run(fmt.Sprintf("whole body %v", v))
	}
	m.root = root
	m.walk(root, func(x any) { m.root = x }, "$", "$", -1)
}

func (m *jsonMutator) run(what string) int {
	body, err := json.Marshal(m.root)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.try(what, body)
}

// walk mutates what is below v, which set puts in its place. Lost is how many
// observations go with the array element that v is part of, -1 outside of
// arrays: a bad value may cost its own element, never its neighbours.
func (m *jsonMutator) walk(v any, set func(any), path, kind string, lost int) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			old, at, sort := v[key], path+"."+key, kind+"."+key
			setKey := func(x any) { v[key] = x }
			if m.seen[sort]++; m.seen[sort] <= perPath {
				delete(v, key)
				m.run(at + " removed")
				m.replace(old, at, lost, setKey)
			}
			m.walk(old, setKey, at, sort, lost)
		}
	case []any:
		for i, old := range v {
			at, sort := fmt.Sprintf("%s[%d]", path, i), kind+"[]"
			inner := lost
			if len(v) > 1 && m.whole > 1 {
				set(slices.Concat(v[:i], v[i+1:]))
				if left := m.run(at + " removed"); left >= 0 {
					inner = m.whole - left
				}
				set(v)
			}
			setItem := func(x any) { v[i] = x }
			if m.seen[sort]++; m.seen[sort] <= perPath {
				m.replace(old, at, inner, setItem)
			}
			m.walk(old, setItem, at, sort, inner)
		}
	}
}

// replace puts values of other types in the place of old, and old back.
func (m *jsonMutator) replace(old any, at string, lost int, set func(any)) {
	for _, x := range otherTypes() {
		set(x)
		left := m.run(fmt.Sprintf("%s = %v", at, x))
		_, isObject := old.(map[string]any)
		_, isArray := old.([]any)
		if left >= 0 && lost >= 0 && !isObject && !isArray && left < m.whole-lost {
			m.t.Errorf("%s = %v: %d of %d observations are left; the bad value is in an element that holds %d", at, x, left, m.whole, lost)
		}
	}
	set(old)
}

// element is the place of an XML element in a document.
type element struct {
	path           string
	from, to       int // with its tags
	inner, innerTo int
}

func mutateXML(t *testing.T, body []byte, try func(string, []byte) int) {
	t.Helper()
	seen := map[string]int{}
	for _, e := range elementsOf(t, body) {
		if seen[e.path]++; seen[e.path] > perPath {
			continue
		}
		without := slices.Concat(body[:e.from], body[e.to:])
		try(e.path+" removed", without)
		for _, text := range []string{"", "x", "-1", "<x/>", "&#x41;"} {
			try(fmt.Sprintf("%s = %q", e.path, text), slices.Concat(body[:e.inner], []byte(text), body[e.innerTo:]))
		}
		try(e.path+" twice", slices.Concat(body[:e.to], body[e.from:e.to], body[e.to:]))
	}
}

func elementsOf(t *testing.T, body []byte) []element {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var out, open []element
	for {
		from := int(dec.InputOffset())
		token, err := dec.RawToken()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Logf("sample is no XML to its end: %v", err)
			return out
		}
		at := int(dec.InputOffset())
		switch x := token.(type) {
		case xml.StartElement:
			path := "/" + x.Name.Local
			if len(open) > 0 {
				path = open[len(open)-1].path + path
			}
			open = append(open, element{path: path, from: from, inner: at})
		case xml.EndElement:
			if len(open) == 0 {
				return out
			}
			e := open[len(open)-1]
			open = open[:len(open)-1]
			e.innerTo, e.to = from, at
			if e.innerTo < e.inner {
				e.innerTo = e.inner
			}
			out = append(out, e)
		}
	}
}

// mutateText cuts, drops lines and changes bytes, whatever the format.
func mutateText(body []byte, try func(string, []byte) int) {
	for i := range 64 {
		at := len(body) * i / 64
		try(fmt.Sprintf("cut off at %d", at), bytes.Clone(body[:at]))
	}
	lines := bytes.SplitAfter(body, []byte("\n"))
	for i := range min(len(lines), 150) {
		try(fmt.Sprintf("line %d removed", i+1), bytes.Join(slices.Concat(lines[:i], lines[i+1:]), nil))
	}
	for i := range 100 {
		at := len(body) * i / 100
		if at >= len(body) {
			break
		}
		for _, b := range []byte{0, 0xff, '"'} {
			changed := bytes.Clone(body)
			changed[at] = b
			try(fmt.Sprintf("byte %d = %q", at, b), changed)
		}
	}
}

// testFiles puts rubbish between the lines of each file sample: it must be
// named by its line and harm nothing else.
func (e *exam) testFiles(t *testing.T) {
	splitter, ok := e.reader(t).(carriers.Splitter)
	if !ok {
		t.Skip("takes no files")
	}
	for _, s := range e.samples {
		if s.kind.Source != parcel.SourceFile {
			continue
		}
		t.Run(s.file, func(t *testing.T) { e.testFile(t, splitter, s) })
	}
}

func (e *exam) testFile(t *testing.T, splitter carriers.Splitter, s sampleFile) {
	const rubbish = "\x01%% rubbish\n"
	c := e.reader(t)
	want := map[string]bool{}
	readings, before := e.read(c, s)
	for _, r := range readings {
		for _, o := range r.Observations {
			want[o.Digest()] = true
		}
	}
	lines := bytes.SplitAfter(s.payload.Body, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	for i := 1; i <= min(len(lines), 300); i++ { // not before the first: that is the head
		worse := s
		worse.payload.Body = bytes.Join(slices.Concat(lines[:i], [][]byte{[]byte(rubbish)}, lines[i:]), nil)
		readings, errs := e.read(c, worse)
		if !namesLine(errs, i+1) {
			t.Errorf("rubbish in line %d: errors %v do not name it (the file alone gives %v)", i+1, errs, before)
		}
		left := map[string]bool{}
		for _, r := range readings {
			for _, o := range r.Observations {
				left[o.Digest()] = true
			}
		}
		for digest := range want {
			if !left[digest] {
				t.Errorf("rubbish in line %d costs an observation", i+1)
				break
			}
		}
	}
	half := s.payload.Body[:len(s.payload.Body)/2]
	failed := false
	for _, err := range splitter.Split(io.MultiReader(bytes.NewReader(half), brokenReader{}), s.file) {
		failed = failed || err != nil
	}
	if !failed {
		t.Error("a reader that fails in the middle gives no error")
	}
	for range splitter.Split(bytes.NewReader(s.payload.Body), s.file) {
		break
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// namesLine tells whether one of the errors says "line n".
func namesLine(errs []error, n int) bool {
	name := regexp.MustCompile(fmt.Sprintf(`\bline %d\b`, n))
	return slices.ContainsFunc(errs, func(err error) bool { return name.MatchString(err.Error()) })
}
