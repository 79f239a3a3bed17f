package declared

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// Documents of any syntax are read into one shape: objects and elements are
// map[string]any, lists []any, and what is left is string, json.Number, bool
// or nil. An element's attributes are keys that begin with "@", its text is
// elementText where it has attributes or children, and children of one name
// are a list. The root element is a key of the document.

const (
	// elementText is the key of an element's own text.
	elementText = "#text"
	// maxDepth bounds how deep a document nests.
	maxDepth = 64
	// maxEntries bounds the entries of one list that are read.
	maxEntries = 100_000
)

// format is how a document is written.
type format struct {
	syntax string // json, xml or csv
	// charset decodes what does not say how it is encoded; nil for UTF-8.
	charset encoding.Encoding
	// separator, columns and noEnd are of csv: names where no header line
	// gives them, and whether the last line may lack its line break.
	separator rune
	columns   []string
	noEnd     bool
	// reads are the columns that are read; the fake writes them all.
	reads []string
}

func formats() []string { return []string{"json", "xml", "csv"} }

func (f *format) contentType() string {
	switch f.syntax {
	case "xml":
		return "application/xml; charset=utf-8"
	case "csv":
		return "text/csv; charset=utf-8"
	}
	return "application/json; charset=utf-8"
}

var bom = []byte("\xef\xbb\xbf")

func (f *format) read(body []byte) (any, error) {
	body = bytes.TrimPrefix(body, bom)
	var doc any
	var err error
	switch f.syntax {
	case "xml":
		doc, err = f.readXML(body)
	case "csv":
		doc, err = f.readCSV(body)
	default:
		doc, err = f.readJSON(body)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.syntax, parcel.ErrMalformed, err)
	}
	return doc, nil
}

var errDeep = fmt.Errorf("nested more than %d deep", maxDepth)

func (f *format) text(body []byte) ([]byte, error) {
	if f.charset == nil {
		return body, nil
	}
	return f.charset.NewDecoder().Bytes(body)
}

func (f *format) readJSON(body []byte) (any, error) {
	body, err := f.text(body)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := jsonValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	return v, nil
}

func jsonValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	token, err := dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			if m[name], err = jsonValue(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		items := []any{}
		for dec.More() {
			v, err := jsonValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
		_, err := dec.Token()
		return items, err
	}
	return token, nil
}

func (f *format) readXML(body []byte) (any, error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.CharsetReader = func(label string, r io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(label)
		if err != nil {
			return nil, fmt.Errorf("encoding %.40q is not known", label)
		}
		return e.NewDecoder().Reader(r), nil
	}
	if f.charset != nil && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("<?xml")) {
		dec = xml.NewDecoder(f.charset.NewDecoder().Reader(bytes.NewReader(body)))
	}
	type open struct {
		name string
		m    map[string]any
		text strings.Builder
	}
	doc := map[string]any{}
	stack := []*open{{m: doc}}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if len(doc) == 0 {
				return nil, errors.New("no element")
			}
			return doc, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(stack) > maxDepth {
				return nil, errDeep
			}
			if len(stack) == 1 && len(doc) > 0 {
				return nil, errors.New("a second root element")
			}
			o := &open{name: t.Name.Local, m: map[string]any{}}
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					o.m["@"+a.Name.Local] = a.Value
				}
			}
			stack = append(stack, o)
		case xml.CharData:
			stack[len(stack)-1].text.Write(t)
		case xml.EndElement:
			o := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			add(stack[len(stack)-1].m, o.name, element(o.m, o.text.String()))
		}
	}
}

// element is a text where an element has nothing else.
func element(m map[string]any, text string) any {
	text = strings.TrimSpace(text)
	if len(m) == 0 {
		return text
	}
	if text != "" {
		m[elementText] = text
	}
	return m
}

func add(m map[string]any, key string, v any) {
	switch old := m[key].(type) {
	case nil:
		m[key] = v
	case []any:
		m[key] = append(old, v)
	default:
		m[key] = []any{old, v}
	}
}

func (f *format) csvReader(body []byte) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma = f.separator
	r.FieldsPerRecord = -1
	return r
}

func (f *format) readCSV(body []byte) (any, error) {
	body, err := f.text(body)
	if err != nil {
		return nil, err
	}
	// A table says nowhere that it is whole, but for its last line break.
	if len(body) > 0 && body[len(body)-1] != '\n' && !f.noEnd {
		return nil, errors.New("cut off: the last line has no end")
	}
	r := f.csvReader(body)
	names := f.columns
	rows := []any{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			if names == nil {
				return nil, errors.New("no header line")
			}
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		if names == nil {
			names = record
			continue
		}
		row := map[string]any{}
		for i, v := range record {
			if i < len(names) {
				row[strings.TrimSpace(names[i])] = v
			}
		}
		if len(record) != len(names) {
			row = map[string]any{} // a line of another length tells nothing for sure
		}
		if rows = append(rows, row); len(rows) > maxEntries {
			return nil, fmt.Errorf("more than %d lines", maxEntries)
		}
	}
}

// looksLike tells whether bytes may be a document of this syntax. It is quick,
// and it may err.
func (f *format) looksLike(body []byte) bool {
	switch f.syntax {
	case "xml":
		return carrierkit.SniffXML(body)
	case "csv":
		trimmed := bytes.TrimSpace(bytes.TrimPrefix(body, bom))
		return len(trimmed) > 0 && bytes.IndexByte([]byte("<{["), trimmed[0]) < 0
	}
	return carrierkit.SniffJSON(body)
}

// write is the other way, for the fake.
func (f *format) write(doc any) []byte {
	var out []byte
	switch f.syntax {
	case "xml":
		var b strings.Builder
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
		m, _ := doc.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			writeXML(&b, key, m[key])
		}
		return []byte(b.String() + "\n")
	case "csv":
		out = f.writeCSV(doc)
	default:
		out, _ = json.Marshal(doc) // a tree of maps, lists and texts never fails
	}
	if f.charset != nil {
		if encoded, err := encoding.ReplaceUnsupported(f.charset.NewEncoder()).Bytes(out); err == nil {
			return encoded
		}
	}
	return out
}

func writeXML(b *strings.Builder, name string, v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			writeXML(b, name, item)
		}
	case map[string]any:
		b.WriteString("<" + name)
		keys := slices.Sorted(maps.Keys(v))
		for _, key := range keys {
			if attribute, ok := strings.CutPrefix(key, "@"); ok {
				b.WriteString(" " + attribute + `="` + escapeXML(scalarOf(v[key])) + `"`)
			}
		}
		b.WriteString(">" + escapeXML(scalarOf(v[elementText])))
		for _, key := range keys {
			if key[:min(1, len(key))] != "@" && key != elementText {
				writeXML(b, key, v[key])
			}
		}
		b.WriteString("</" + name + ">")
	default:
		b.WriteString("<" + name + ">" + escapeXML(scalarOf(v)) + "</" + name + ">")
	}
}

func (f *format) writeCSV(doc any) []byte {
	rows := asList(doc)
	names := f.columns
	if names == nil {
		seen := map[string]bool{}
		for _, name := range f.reads {
			seen[name] = true
		}
		for _, row := range rows {
			m, _ := row.(map[string]any)
			for key := range m {
				seen[key] = true
			}
		}
		names = slices.Sorted(maps.Keys(seen))
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = f.separator
	if f.columns == nil && len(names) > 0 {
		_ = w.Write(names) // a buffer takes everything
	}
	for _, row := range rows {
		m, _ := row.(map[string]any)
		record := make([]string, len(names))
		for i, name := range names {
			record[i] = scalarOf(m[name])
		}
		_ = w.Write(record)
	}
	w.Flush()
	return b.Bytes()
}

// scalarOf is a value as text; empty for null, lists and objects.
func scalarOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		if inner, ok := v[elementText]; ok {
			return scalarOf(inner)
		}
	}
	return ""
}

// asList reads what should be a list: an object alone is a list of one, and
// null and "" are none.
func asList(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		return []any{v}
	}
	return nil
}

// escapeXML writes s as it stands in text and in attributes.
func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

// escapeJSON writes s as it stands between the quotes of a JSON string.
func escapeJSON(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // no string fails
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}
