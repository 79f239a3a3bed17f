package carrierkit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"slices"
	"strings"
)

// RedactJSON replaces the values that personal names, and leaves every other
// byte as it was. The path of a value is the keys that lead to it, outermost
// first; positions in arrays are not part of it. All strings and numbers
// below a named value go; null, Booleans and empty strings stay, so that
// what was absent stays absent. A named number becomes a string, so name only
// fields that Decode does not read as numbers. A body that is not JSON, or not
// to its end, comes back unchanged.
func RedactJSON(body []byte, personal func(path []string) bool) []byte {
	w := jsonWalk{body: body, personal: personal}
	return w.edited()
}

// EditJSON replaces strings by what edit makes of them, and leaves every other
// byte as it was. The path is as in RedactJSON, empty for a body that is a
// string; names of fields are not edited. It is for texts of which a part is
// personal, and for JSON inside of texts. A body that is not JSON, or not to
// its end, comes back unchanged.
func EditJSON(body []byte, edit func(path []string, text string) string) []byte {
	w := jsonWalk{body: body, edit: edit}
	return w.edited()
}

// maxJSONDepth bounds recursion. It is that of json.Unmarshal, so that whatever
// can be decoded can be redacted; the standard decoder has no bound for tokens.
const maxJSONDepth = 10_000

// span is a stretch of bytes, and what takes its place.
type span struct {
	from, to int
	mark     string
}

type jsonWalk struct {
	body     []byte
	dec      *json.Decoder
	personal func([]string) bool                     // nil: nothing is
	edit     func(path []string, text string) string // nil: texts stay
	cuts     []span
}

// edited goes through the body and gives it back with what was replaced.
func (w *jsonWalk) edited() []byte {
	whole := w.body
	w.body = TrimMark(w.body)
	w.dec = json.NewDecoder(bytes.NewReader(w.body))
	w.dec.UseNumber()
	if w.value(nil, false, 0) != nil {
		return whole
	}
	if _, err := w.dec.Token(); err != io.EOF || len(w.cuts) == 0 {
		return whole
	}
	return append(bytes.Clone(whole[:len(whole)-len(w.body)]), splice(w.body, w.cuts)...)
}

// byteOrderMark is how some systems begin UTF-8 texts.
const byteOrderMark = "\xef\xbb\xbf"

// TrimMark takes the byte order mark off a text: JSON has none (RFC 8259, 8.1),
// and files and some carriers do.
func TrimMark(body []byte) []byte { return bytes.TrimPrefix(body, []byte(byteOrderMark)) }

// Named tells paths whose last key is one of these, in whatever case: Decode
// reads keys so, and what it can read must be found here.
func Named(names ...string) func(path []string) bool {
	return func(path []string) bool {
		if len(path) == 0 {
			return false
		}
		last := path[len(path)-1]
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, last) })
	}
}

// CleanSentences masks contacts in the texts whose path is named, as CleanText
// does, and leaves every other byte of a JSON document as it was.
func CleanSentences(body []byte, named func(path []string) bool) []byte {
	return EditJSON(body, func(path []string, text string) string {
		if named(path) {
			return CleanText(text)
		}
		return text
	})
}

func (w *jsonWalk) value(path []string, named bool, depth int) error {
	if depth > maxJSONDepth {
		return io.ErrUnexpectedEOF
	}
	from := int(w.dec.InputOffset())
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		for w.dec.More() {
			inner, innerNamed := path, named
			if t == '{' {
				key, err := w.dec.Token()
				if err != nil {
					return err
				}
				name, _ := key.(string)
				inner = append(path, name) // nobody keeps it
				innerNamed = named || w.personal != nil && w.personal(inner)
			}
			if err := w.value(inner, innerNamed, depth+1); err != nil {
				return err
			}
		}
		_, err := w.dec.Token()
		return err
	case string:
		if named && t != "" {
			w.cut(from, redacted)
		} else if w.edit != nil {
			if text := w.edit(path, t); text != t {
				w.cut(from, text)
			}
		}
	case json.Number:
		if named {
			w.cut(from, redacted)
		}
	}
	return nil
}

// cut puts a text in place of the value that ends at the decoder's place and
// begins after from, the end of the token before it.
func (w *jsonWalk) cut(from int, text string) {
	for bytes.IndexByte([]byte(" \t\r\n:,"), w.body[from]) >= 0 {
		from++
	}
	w.cuts = append(w.cuts, span{from, int(w.dec.InputOffset()), quoteJSON(text)})
}

// quoteJSON writes a text as JSON, with what only browsers mind left as it is.
func quoteJSON(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return `""` // no string fails
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// RedactXML replaces the text of the elements, and the values of the
// attributes, that personal names, and leaves every other byte as it was. The
// path is local names, outermost first; an attribute's ends in "@name". All
// text below a named element goes; white space alone stays. A body that is not
// well-formed comes back unchanged.
func RedactXML(body []byte, personal func(path []string) bool) []byte {
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.CharsetReader = passCharset
	var path []string
	named := 0 // depth of the outermost named element, 0 if none
	var cuts []span
	for {
		from := int(dec.InputOffset())
		token, err := dec.RawToken()
		if err == io.EOF && len(path) == 0 {
			return splice(body, cuts)
		}
		if err != nil {
			return body
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if named == 0 && personal(path) {
				named = len(path)
			}
			cuts = append(cuts, attributeCuts(body, from, int(dec.InputOffset()), t.Attr, path, named > 0, personal)...)
		case xml.EndElement:
			if len(path) == 0 {
				return body
			}
			if named == len(path) {
				named = 0
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if named > 0 && len(bytes.TrimSpace(t)) > 0 {
				cuts = append(cuts, span{from, int(dec.InputOffset()), redacted})
			}
		}
	}
}

// attributeCuts finds the values to replace in one start tag.
func attributeCuts(body []byte, from, to int, attrs []xml.Attr, path []string, named bool, personal func([]string) bool) []span {
	var cuts []span
	at := from
	for _, a := range attrs {
		// The decoder demands quotes, so the next quoted text is the value.
		open := bytes.IndexAny(body[at:to], `"'`)
		if open < 0 {
			return cuts
		}
		valueFrom := at + open + 1
		length := bytes.IndexByte(body[valueFrom:to], body[valueFrom-1])
		if length < 0 {
			return cuts
		}
		at = valueFrom + length + 1
		declares := a.Name.Space == "xmlns" || a.Name.Local == "xmlns"
		if length > 0 && !declares && (named || personal(append(path[:len(path):len(path)], "@"+a.Name.Local))) {
			cuts = append(cuts, span{valueFrom, valueFrom + length, redacted})
		}
	}
	return cuts
}

// splice puts their marks in place of the cuts, which are in order.
func splice(body []byte, cuts []span) []byte {
	if len(cuts) == 0 {
		return body
	}
	out := make([]byte, 0, len(body)+len(cuts)*len(redacted))
	at := 0
	for _, c := range cuts {
		out = append(append(out, body[at:c.from]...), c.mark...)
		at = c.to
	}
	return append(out, body[at:]...)
}

// passCharset lets the decoder read a document whatever encoding it declares:
// element names are ASCII in all that carriers use, and texts are not looked at.
func passCharset(_ string, r io.Reader) (io.Reader, error) { return r, nil }
