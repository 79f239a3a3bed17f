package upupostal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// maxSegment bounds a segment; a longer one is rubbish.
	maxSegment = 8 << 10
	// maxGroup bounds what is read of one item, and of a message's head.
	maxGroup = 64 << 10
	// maxHeldGroups bounds how much of a message Split holds before it hands
	// payloads on.
	maxHeldGroups = 10_000
)

// layout is how an operator writes its files.
type layout struct {
	timeQualifier, placeQualifier string
	addressReasons, returnActions map[string]bool
}

func sniffFile(body []byte) bool {
	head := trimBOM(body)
	return (bytes.HasPrefix(head, []byte("UNA")) || bytes.HasPrefix(head, []byte("UNB")) || bytes.HasPrefix(head, []byte("UNH"))) &&
		bytes.Contains(head[:min(len(head), 2048)], []byte("EMSEVT"))
}

// Split cuts an interchange into payloads, one for each item of a message: the
// message's head, then all that it says about the item.
func (c *carrier) Split(r io.Reader, file string) iter.Seq2[parcel.Payload, error] {
	return func(yield func(parcel.Payload, error) bool) {
		var held holder
		give := func() bool {
			for _, body := range held.take() {
				p := parcel.Payload{
					Carrier: name, Account: c.account, Kind: kindFile, Source: parcel.SourceFile,
					ContentType: "application/EDIFACT", Body: body,
				}
				if !yield(p, nil) {
					return false
				}
			}
			return true
		}
		for g, err := range c.layout.groups(r) {
			if err != nil && !yield(parcel.Payload{}, fmt.Errorf("%s: %s: %w", name, file, err)) {
				return
			}
			if len(g.events) == 0 {
				continue
			}
			if (held.head != g.head || held.groups == maxHeldGroups) && !give() {
				return
			}
			held.add(g)
		}
		give()
	}
}

// holder gathers the groups of one message by number.
type holder struct {
	head    string
	groups  int
	numbers []string // in order of appearance
	bodies  map[string]*bytes.Buffer
}

func (h *holder) add(g group) {
	if h.bodies == nil {
		h.head, h.bodies = g.head, map[string]*bytes.Buffer{}
	}
	body := h.bodies[g.number]
	if body == nil {
		body = bytes.NewBufferString(g.head)
		h.bodies[g.number] = body
		h.numbers = append(h.numbers, g.number)
	}
	body.WriteString(g.raw)
	h.groups++
}

func (h *holder) take() [][]byte {
	var out [][]byte
	for _, n := range h.numbers {
		out = append(out, h.bodies[n].Bytes())
	}
	*h = holder{}
	return out
}

func (c *carrier) decodeFile(p parcel.Payload) (parcel.Reading, error) {
	var reading parcel.Reading
	var faults []error
	ways := map[string]*way{}
	if !sniffFile(p.Body) {
		return reading, fmt.Errorf("no EMSEVT interchange: %w", parcel.ErrMalformed)
	}
	for g, err := range c.layout.groups(bytes.NewReader(p.Body)) {
		// A payload made by Split is a part: it has no trailer to miss.
		if err != nil && !errors.Is(err, errNoTrailer) {
			faults = append(faults, err)
		}
		for _, e := range g.events {
			w := ways[e.number]
			if w == nil {
				w = &way{}
				if s10, ok := parcel.ParseS10(e.number); ok {
					w.origin = s10.Origin
				}
				ways[e.number] = w
			}
			reading.Observations = append(reading.Observations, c.observe(e, w))
		}
	}
	return reading, errors.Join(faults...)
}

// group is what a message says under one GID: an item and its events.
type group struct {
	number string
	events []event
	raw    string // its segments, one a line
	head   string // the segments of the message before its first group
}

// errNoTrailer marks a file that was cut off, or is still being written.
var errNoTrailer = fmt.Errorf("file ends without UNZ: %w", parcel.ErrMalformed)

// groups reads an interchange. A fault comes with an empty group, or with what
// could be read of one, and names its line.
func (l *layout) groups(r io.Reader) iter.Seq2[group, error] {
	return func(yield func(group, error) bool) {
		segments := newSegmentReader(r)
		var (
			open    group // being read
			from    int   // its line
			events  []draft
			inGroup bool
			skip    bool   // inside a message of another type
			advice  string // UNA, which holds for all that follows
			preface string
			head    string
			ended   bool
		)
		flush := func() bool {
			if !inGroup {
				return true
			}
			inGroup = false
			g, err := l.close(open, events, from)
			open, events = group{}, nil
			return yield(g, err)
		}
		for {
			s, err := segments.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				if !yield(group{}, err) {
					return
				}
				if segments.broken {
					return
				}
				continue
			}
			switch s.tag {
			case "GID", "UNH", "UNT", "UNB", "UNZ":
				if !flush() {
					return
				}
			}
			switch {
			case s.tag == "UNA":
				advice = s.raw
			case s.tag == "UNB":
				preface, head, ended = advice+s.raw, advice+s.raw, false
			case s.tag == "UNZ":
				ended = true
			case s.tag == "UNH":
				head, skip = preface+s.raw, s.at(2, 0) != "EMSEVT"
				if skip && !yield(group{}, fmt.Errorf("line %d: message %.20q is not EMSEVT: %w", s.line, s.at(2, 0), parcel.ErrMalformed)) {
					return
				}
			case s.tag == "UNT":
				skip = false
			case skip:
			case s.tag == "GID":
				inGroup, from = true, s.line
				open = group{head: head, raw: s.raw}
			case inGroup && len(open.raw) < maxGroup:
				open.raw += s.raw
				events = l.read(&open, events, s)
			case inGroup:
				if !yield(group{}, fmt.Errorf("line %d: item of more than %d bytes: %w", s.line, maxGroup, parcel.ErrMalformed)) {
					return
				}
			case len(head) < maxGroup:
				head += s.raw
			}
		}
		if flush() && !ended {
			yield(group{}, errNoTrailer)
		}
	}
}

// draft is an event as its segments give it.
type draft struct {
	line                   int
	code, reason, action   string
	time, format, location string
}

// read takes one segment of a group.
func (l *layout) read(g *group, events []draft, s segment) []draft {
	if s.tag == "PCI" {
		g.number = parcel.NormalizeNumber(s.at(2, 0))
	}
	if s.tag == "STS" {
		return append(events, draft{line: s.line, code: strings.ToUpper(strings.TrimSpace(s.at(1, 0))), reason: s.at(2, 0), action: s.at(3, 0)})
	}
	if len(events) == 0 {
		return events
	}
	e := &events[len(events)-1]
	switch {
	case s.tag == "DTM" && s.at(1, 0) == l.timeQualifier:
		e.time, e.format = s.at(1, 1), s.at(1, 2)
	case s.tag == "LOC" && s.at(1, 0) == l.placeQualifier:
		e.location = s.at(2, 0)
	}
	return events
}

// close makes a group of what was read; events that lack what an event needs
// are faults.
func (l *layout) close(g group, drafts []draft, line int) (group, error) {
	if g.number == "" {
		return group{}, fmt.Errorf("line %d: item without a number (PCI): %w", line, parcel.ErrMalformed)
	}
	var faults []error
	if len(drafts) == 0 {
		faults = append(faults, fmt.Errorf("line %d: %s: no status (STS): %w", line, g.number, parcel.ErrMalformed))
	}
	for _, d := range drafts {
		wall, err := fileTime(d.time, d.format)
		if d.code == "" {
			err = fmt.Errorf("no status code: %w", parcel.ErrMalformed)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %s: %w", d.line, g.number, err))
			continue
		}
		e := event{number: g.number, code: d.code, text: d.time, wall: wall, location: d.location}
		switch {
		case d.code == "EMH" && l.returnActions[d.action]:
			e.rule = "EMH/returned"
		case d.code == "EMH" && l.addressReasons[d.reason]:
			e.rule = "EMH/address"
		}
		g.events = append(g.events, e)
	}
	return g, errors.Join(faults...)
}

// fileTime reads a DTM value by its format (UN/EDIFACT code list 2379).
func fileTime(text, format string) (time.Time, error) {
	forms := map[string]string{"204": "20060102150405", "203": "200601021504"}
	form, ok := forms[format]
	if !ok {
		return time.Time{}, fmt.Errorf("time %.20q: format %.5q is not read: %w", text, format, parcel.ErrMalformed)
	}
	t, err := time.Parse(form, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %.20q: %w", text, parcel.ErrMalformed)
	}
	return t, nil
}

// redactFile empties the segments that name parties.
func redactFile(body []byte) []byte {
	if !sniffFile(body) {
		return body
	}
	var out bytes.Buffer
	segments := newSegmentReader(bytes.NewReader(body))
	changed := false
	for {
		s, err := segments.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return body
		}
		if s.tag == "NAD" {
			s.raw, changed = "NAD"+string(segments.terminator)+"\n", true
		}
		out.WriteString(s.raw)
	}
	if !changed {
		return body
	}
	return out.Bytes()
}

// segment is one segment of an interchange, released and cut into elements and
// components.
type segment struct {
	line     int
	tag      string
	elements [][]string
	raw      string // as written, with terminator and a line feed
}

// at gives a component, counted from 0 with the tag as element 0; empty where
// there is none.
func (s segment) at(element, component int) string {
	if element >= len(s.elements) || component >= len(s.elements[element]) {
		return ""
	}
	return s.elements[element][component]
}

// segmentReader reads segments by ISO 9735: separators as UNA declares them,
// the release character before a separator makes it text, line feeds between
// segments mean nothing.
type segmentReader struct {
	r                                       *bufio.Reader
	line                                    int
	component, element, release, terminator byte
	queue                                   []error // faults found before the segment that waits
	waiting                                 *segment
	broken                                  bool // the reader beneath has failed
	began                                   bool
}

func newSegmentReader(r io.Reader) *segmentReader {
	return &segmentReader{r: bufio.NewReader(r), line: 1, component: ':', element: '+', release: '?', terminator: '\''}
}

// next gives a segment, or a fault that names its line, or io.EOF.
func (r *segmentReader) next() (segment, error) {
	for {
		if len(r.queue) > 0 {
			err := r.queue[0]
			r.queue = r.queue[1:]
			return segment{}, err
		}
		if s := r.waiting; s != nil {
			r.waiting = nil
			return *s, nil
		}
		if !r.began {
			r.began = true
			if s, ok := r.advice(); ok {
				return s, nil
			}
		}
		raw, line, err := r.scan()
		if err != nil {
			return segment{}, err
		}
		r.take(raw, line)
	}
}

// advice reads the UNA segment, whose length is fixed because it declares what
// separates the others.
func (r *segmentReader) advice() (segment, bool) {
	if head, err := r.r.Peek(3); err == nil && bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, _ = r.r.Discard(3)
	}
	head, err := r.r.Peek(9)
	if err != nil || !bytes.HasPrefix(head, []byte("UNA")) {
		return segment{}, false
	}
	text := string(head)
	_, _ = r.r.Discard(9)
	r.component, r.element, r.release, r.terminator = text[3], text[4], text[6], text[8]
	return segment{line: 1, tag: "UNA", raw: text + "\n"}, true
}

// scan reads to the next terminator and gives what stands before it, with the
// number of its first line.
func (r *segmentReader) scan() (raw []byte, line int, err error) {
	released := false
	for {
		b, err := r.r.ReadByte()
		if err != nil {
			if err != io.EOF {
				r.broken = true
				return nil, 0, fmt.Errorf("line %d: %w", r.line, err)
			}
			if len(bytes.TrimSpace(raw)) > 0 {
				return nil, 0, fmt.Errorf("line %d: segment without an end: %w", line, parcel.ErrMalformed)
			}
			return nil, 0, io.EOF
		}
		if len(raw) == 0 {
			if b == '\n' {
				r.line++
			}
			if b == '\n' || b == '\r' || b == ' ' {
				continue
			}
			line = r.line
		} else if b == '\n' {
			r.line++
		}
		if b == r.terminator && !released {
			return raw, line, nil
		}
		released = b == r.release && !released
		raw = append(raw, b)
		if len(raw) > maxSegment {
			r.skipLine()
			return nil, 0, fmt.Errorf("line %d: segment of more than %d bytes: %w", line, maxSegment, parcel.ErrMalformed)
		}
	}
}

// skipLine goes on after the next line feed, where a segment may begin again.
func (r *segmentReader) skipLine() {
	for {
		b, err := r.r.ReadByte()
		if err != nil {
			return
		}
		if b == '\n' {
			r.line++
			return
		}
	}
}

// take cuts a segment. Files have a segment a line, so a line that begins like
// a segment is one, and what stands before it without an end is a fault of its
// own: rubbish must not swallow the segment after it.
func (r *segmentReader) take(raw []byte, line int) {
	lines := bytes.Split(raw, []byte("\n"))
	start := 0
	for i := len(lines) - 1; i > 0; i-- {
		if r.begins(lines[i]) {
			start = i
			break
		}
	}
	for i, l := range lines[:start] {
		if len(bytes.TrimSpace(l)) > 0 {
			r.queue = append(r.queue, fmt.Errorf("line %d: not a segment: %w", line+i, parcel.ErrMalformed))
		}
	}
	if !r.begins(lines[start]) {
		r.queue = append(r.queue, fmt.Errorf("line %d: not a segment: %w", line+start, parcel.ErrMalformed))
		return
	}
	text := bytes.ReplaceAll(bytes.Join(lines[start:], nil), []byte("\r"), nil)
	s := segment{line: line + start, raw: string(text) + string(r.terminator) + "\n", elements: r.cut(text)}
	s.tag = s.at(0, 0)
	r.waiting = &s
}

// begins tells whether a line has the start of a segment: three capitals and a
// separator, or no more.
func (r *segmentReader) begins(line []byte) bool {
	line = bytes.TrimRight(line, "\r")
	if len(line) < 3 || len(line) > 3 && line[3] != r.element && line[3] != r.component {
		return false
	}
	for _, b := range line[:3] {
		if b < 'A' || b > 'Z' {
			return false
		}
	}
	return true
}

// cut gives the elements and components of a segment, released.
func (r *segmentReader) cut(text []byte) [][]string {
	elements := [][]string{{}}
	var part []byte
	end := func() {
		last := &elements[len(elements)-1]
		*last = append(*last, string(part))
		part = part[:0]
	}
	released := false
	for _, b := range text {
		switch {
		case released:
			part, released = append(part, b), false
		case b == r.release:
			released = true
		case b == r.component:
			end()
		case b == r.element:
			end()
			elements = append(elements, []string{})
		default:
			part = append(part, b)
		}
	}
	end()
	return elements
}
