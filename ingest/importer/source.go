package importer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/milepost-gateway/milepost/parcel"
)

// The forms of file.
const (
	FormatCSV   = "csv"   // comma-separated values by RFC 4180, first line the header
	FormatJSONL = "jsonl" // one JSON object a line
)

// The bounds of a file. What lies beyond them is a mistake, not a parcel.
const (
	maxRecordBytes = 1 << 20
	maxRecordLines = 10_000
	maxColumns     = 2_000
	maxJSONDepth   = 8
)

// record is one line of a file as it was written, or several where a quoted
// field holds line breaks.
type record struct {
	line  int            // the first line, counted from 1
	index map[string]int // columns of a CSV file
	cells []string
	// object holds what a JSON line says, nested names joined by points.
	object map[string]string
	// lists counts the elements of each array of a JSON line.
	lists map[string]int
}

// get gives what stands in a column; empty where there is no such column.
func (r *record) get(column string) string {
	if r.object != nil {
		return r.object[column]
	}
	if i, ok := r.index[column]; ok && i < len(r.cells) {
		return r.cells[i]
	}
	return ""
}

// source reads records. next returns a *Fault for a record that cannot be read
// (the ones after it can), io.EOF at the end, and any other error where
// nothing more can be read.
type source interface {
	next() (*record, error)
	// header lists the columns; nil where lines name their own.
	header() []string
}

// open reads the form of a file and its header. Name decides where format is
// empty.
func open(r io.Reader, name, format, encoding, delimiter string) (source, error) {
	decoded, err := decode(r, encoding)
	if err != nil {
		return nil, err
	}
	lines := &lineReader{r: bufio.NewReaderSize(decoded, 64<<10)}
	if format == "" {
		format = formatOf(name, lines.r)
	}
	switch format {
	case FormatJSONL:
		return &jsonSource{lines: lines}, nil
	case FormatCSV:
		comma := ','
		if delimiter != "" {
			var size int
			if comma, size = utf8.DecodeRuneInString(strings.NewReplacer("tab", "\t", `\t`, "\t").Replace(delimiter)); size == 0 || comma == utf8.RuneError || comma == '"' || comma == '\n' || comma == '\r' {
				return nil, fmt.Errorf("delimiter %q: want one character such as ; or tab: %w", delimiter, parcel.ErrInvalid)
			}
		}
		s := &csvSource{lines: lines, comma: comma}
		return s, s.readHeader()
	default:
		return nil, fmt.Errorf("format %q: want csv or jsonl: %w", format, parcel.ErrInvalid)
	}
}

func formatOf(name string, r *bufio.Reader) string {
	lower := strings.ToLower(name)
	for _, end := range []string{".jsonl", ".ndjson", ".json"} {
		if strings.HasSuffix(lower, end) {
			return FormatJSONL
		}
	}
	if strings.HasSuffix(lower, ".csv") {
		return FormatCSV
	}
	if head, _ := r.Peek(512); bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) {
		return FormatJSONL
	}
	return FormatCSV
}

// decode gives the file as UTF-8. A byte order mark beats the name of the
// encoding.
func decode(r io.Reader, name string) (io.Reader, error) {
	if name == "" || strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") {
		b := bufio.NewReaderSize(r, 64<<10)
		mark, _ := b.Peek(3)
		switch {
		case bytes.HasPrefix(mark, []byte("\xEF\xBB\xBF")):
			_, err := b.Discard(3)
			return b, err
		case bytes.HasPrefix(mark, []byte("\xFF\xFE")), bytes.HasPrefix(mark, []byte("\xFE\xFF")):
			return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(b), nil
		}
		return b, nil
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, fmt.Errorf("encoding %q is not known; want a name as utf-8, windows-1252, gb18030 or utf-16le: %w", name, parcel.ErrInvalid)
	}
	return transform.NewReader(r, unicode.BOMOverride(e.NewDecoder())), nil
}

// lineReader cuts a text into lines, whose ends it keeps. Lines end as the
// first one does: LF with or without CR before it, or CR alone as old
// spreadsheets write.
type lineReader struct {
	r    *bufio.Reader
	end  byte // '\n' or '\r'; 0 before the first line
	line int  // lines handed out
	back []string
	eof  bool
}

// next gives a line with its end; the last one may lack it. A line longer than
// maxRecordBytes comes cut, with tooLong set.
func (l *lineReader) next() (text string, tooLong bool, err error) {
	if n := len(l.back); n > 0 {
		text = l.back[n-1]
		l.back = l.back[:n-1]
		l.line++
		return text, false, nil
	}
	if l.eof {
		return "", false, io.EOF
	}
	if l.end == 0 {
		l.end = l.findEnd()
	}
	var long []byte
	for {
		part, err := l.r.ReadSlice(l.end)
		if len(long)+len(part) <= maxRecordBytes {
			long = append(long, part...)
		} else {
			tooLong = true
		}
		switch {
		case err == nil:
			l.line++
			return string(long), tooLong, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			l.eof = true
			if len(long) == 0 && !tooLong {
				return "", false, io.EOF
			}
			l.line++
			return string(long), tooLong, nil
		default:
			return "", false, err
		}
	}
}

// unread puts lines back that were taken on suspicion, first one first.
func (l *lineReader) unread(lines []string) {
	for i := len(lines) - 1; i >= 0; i-- {
		l.back = append(l.back, lines[i])
		l.line--
	}
}

func (l *lineReader) findEnd() byte {
	head, _ := l.r.Peek(l.r.Size())
	for i, c := range head {
		if c == '\n' {
			return '\n'
		}
		if c == '\r' && i+1 < len(head) && head[i+1] != '\n' {
			return '\r'
		}
	}
	return '\n'
}

func trimEnd(line string) (text string, ended bool) {
	text = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	return text, len(text) < len(line)
}

// csvSource reads comma-separated values line by line, so that one broken
// quote costs one line and not the rest of the file.
type csvSource struct {
	lines *lineReader
	comma rune
	names []string
	index map[string]int
}

func (s *csvSource) header() []string { return s.names }

func (s *csvSource) readHeader() error {
	cells, _, _, err := s.read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the file is empty: its first line must name the columns: %w", parcel.ErrInvalid)
	}
	if err != nil {
		return err
	}
	if len(cells) > maxColumns {
		return fmt.Errorf("line 1 names %d columns; at most %d are read: %w", len(cells), maxColumns, parcel.ErrInvalid)
	}
	s.index = make(map[string]int, len(cells))
	for i, name := range cells {
		name = strings.TrimSpace(name)
		if _, twice := s.index[name]; !twice {
			s.index[name] = i
		}
		s.names = append(s.names, name)
	}
	return nil
}

func (s *csvSource) next() (*record, error) {
	cells, line, ended, err := s.read()
	if err != nil {
		return nil, err
	}
	switch n := len(s.names); {
	case len(cells) < n && !ended:
		return nil, &Fault{Line: line, Message: fmt.Sprintf("the file ends in the middle of this line: it has %d of %d columns and no line end", len(cells), n)}
	case len(cells) < n:
		return nil, &Fault{Line: line, Message: fmt.Sprintf("has %d columns; the header names %d", len(cells), n)}
	case len(cells) > n:
		if strings.TrimSpace(strings.Join(cells[n:], "")) != "" {
			return nil, &Fault{Line: line, Message: fmt.Sprintf("has %d columns; the header names %d (a text with the delimiter in it must stand in quotes)", len(cells), n)}
		}
	}
	return &record{line: line, index: s.index, cells: cells}, nil
}

// read gives the next record that is not blank.
func (s *csvSource) read() (cells []string, line int, ended bool, err error) {
	for {
		first, tooLong, err := s.lines.next()
		if err != nil {
			return nil, 0, false, err
		}
		line = s.lines.line
		if tooLong {
			return nil, line, true, &Fault{Line: line, Message: fmt.Sprintf("is longer than %d bytes", maxRecordBytes)}
		}
		text, ended := trimEnd(first)
		if text == "" {
			continue
		}
		if !utf8.ValidString(text) {
			return nil, line, ended, &Fault{Line: line, Message: "is not UTF-8; name the file's encoding in the mapping, such as encoding: windows-1252"}
		}
		if strings.IndexByte(text, '"') < 0 {
			return strings.Split(text, string(s.comma)), line, ended, nil
		}
		return s.quoted(first, line)
	}
}

// quoted reads a record with quotes, which may go on over further lines.
func (s *csvSource) quoted(first string, line int) (cells []string, _ int, ended bool, err error) {
	whole, more := first, []string(nil)
	open := strings.Count(first, `"`)%2 == 1
	cut := false
	for open && !cut {
		next, tooLong, err := s.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			cut = true
			continue
		case err != nil:
			return nil, line, false, err
		}
		more = append(more, next)
		if tooLong || len(whole)+len(next) > maxRecordBytes || len(more) > maxRecordLines {
			s.lines.unread(more)
			return nil, line, true, &Fault{Line: line, Message: "opens a quote that does not close"}
		}
		whole += next
		open = strings.Count(next, `"`)%2 == 1 != open
	}
	if cut {
		// A stray quote, or a file cut short: the lines after this one, if any,
		// may be good and are read again on their own.
		s.lines.unread(more)
		message := "opens a quote that does not close"
		if len(more) == 0 {
			message = "the file ends in the middle of this line, inside a quoted text"
		}
		return nil, line, true, &Fault{Line: line, Message: message}
	}
	text, ended := trimEnd(whole)
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord = s.comma, -1
	if cells, err = r.Read(); err != nil {
		s.lines.unread(more)
		message := "quotes do not match"
		if pe := (*csv.ParseError)(nil); errors.As(err, &pe) {
			message = fmt.Sprintf("%v, at character %d", pe.Err, pe.Column)
		}
		return nil, line, true, &Fault{Line: line, Message: message}
	}
	if !utf8.ValidString(whole) {
		return nil, line, ended, &Fault{Line: line, Message: "is not UTF-8; name the file's encoding in the mapping, such as encoding: windows-1252"}
	}
	return cells, line, ended, nil
}

// jsonSource reads one JSON object a line.
type jsonSource struct{ lines *lineReader }

func (s *jsonSource) header() []string { return nil }

func (s *jsonSource) next() (*record, error) {
	for {
		raw, tooLong, err := s.lines.next()
		if err != nil {
			return nil, err
		}
		line := s.lines.line
		if tooLong {
			return nil, &Fault{Line: line, Message: fmt.Sprintf("is longer than %d bytes", maxRecordBytes)}
		}
		text, ended := trimEnd(raw)
		if strings.TrimSpace(text) == "" {
			continue
		}
		if !utf8.ValidString(text) {
			return nil, &Fault{Line: line, Message: "is not UTF-8; name the file's encoding in the mapping, such as encoding: windows-1252"}
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var top map[string]any
		if err := dec.Decode(&top); err != nil {
			if !ended && (errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "unexpected end")) {
				return nil, &Fault{Line: line, Message: "the file ends in the middle of this line"}
			}
			return nil, &Fault{Line: line, Message: "is not a JSON object: " + strings.TrimPrefix(err.Error(), "json: ")}
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, &Fault{Line: line, Message: "has something after its JSON object"}
		}
		r := &record{line: line, object: make(map[string]string, len(top)), lists: map[string]int{}}
		if !r.flatten("", top, 0) {
			return nil, &Fault{Line: line, Message: fmt.Sprintf("is nested deeper than %d", maxJSONDepth)}
		}
		return r, nil
	}
}

// flatten lays a JSON value out as columns: {"to":{"city":"Kazan"}} is column
// to.city, the second of a list legs is legs.1, and a list of plain values
// stands in one column too, joined by semicolons.
func (r *record) flatten(path string, v any, depth int) bool {
	if depth > maxJSONDepth {
		return false
	}
	under := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	switch v := v.(type) {
	case nil:
	case string:
		r.object[path] = v
	case bool:
		r.object[path] = strconv.FormatBool(v)
	case json.Number:
		r.object[path] = v.String()
	case map[string]any:
		for name, inner := range v {
			if !r.flatten(under(name), inner, depth+1) {
				return false
			}
		}
	case []any:
		r.lists[path] = len(v)
		var plain []string
		for i, inner := range v {
			at := under(strconv.Itoa(i))
			if !r.flatten(at, inner, depth+1) {
				return false
			}
			if s, ok := r.object[at]; ok {
				plain = append(plain, s)
			}
		}
		if len(plain) == len(v) && len(plain) > 0 {
			r.object[path] = strings.Join(plain, ";")
		}
	}
	return true
}
