package dpdsftp

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// maxLine bounds a line, line break apart; a longer one is rubbish.
	maxLine = 8 << 10
	// maxHeld bounds how many lines of a file Split holds before it hands
	// payloads on.
	maxHeld = 5_000

	timeLayout   = "20060102150405"
	numberDigits = 14
	depotDigits  = 4
)

// The columns that are read; all but the first four may be missing.
const (
	colNumber   = "PARCELNO"
	colCode     = "SCAN_CODE"
	colDepot    = "DEPOT_CODE"
	colTime     = "SCAN_DATE_TIME"
	colService  = "ADD_SERVICE_1"
	colNumeric  = "RCOUNTRYN"
	colCountry  = "RCOUNTRY"
	colWords    = "INFO_TEXT"
	colLocation = "LOCATION"
	colReceiver = "RECEIVER_NAME"
	colProof    = "POD_IMAGE_REF"
)

// header is the first line of a file: which column stands where.
type header struct {
	text    string // as it is kept with each payload, with a line feed
	columns []string
	at      map[string]int
}

func readHeader(line string) (header, error) {
	line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
	h := header{text: line + "\n", columns: strings.Split(line, ";"), at: map[string]int{}}
	for i, c := range h.columns {
		c = strings.ToUpper(strings.TrimSpace(c))
		if _, twice := h.at[c]; twice && c != "" {
			return h, fmt.Errorf("column %.40s twice: %w", c, parcel.ErrMalformed)
		}
		h.at[c] = i
	}
	for _, need := range []string{colNumber, colCode, colDepot, colTime} {
		if _, ok := h.at[need]; !ok {
			return h, fmt.Errorf("no header of a scan file (column %s is missing): %w", need, parcel.ErrMalformed)
		}
	}
	return h, nil
}

// value is a row's value in a column, empty where there is no such column.
func (h *header) value(row []string, column string) string {
	i, ok := h.at[column]
	if !ok || i >= len(row) {
		return ""
	}
	return strings.TrimSpace(row[i])
}

// scan is one line of a file.
type scan struct {
	head *header
	text string // the line in UTF-8, with a line feed
	// What the line says.
	number, code, depot, time, service, alpha, digits, said, location, receiver string
}

func (h *header) scan(line string) (scan, error) {
	row := strings.Split(line, ";")
	if len(row) != len(h.columns) {
		return scan{}, fmt.Errorf("%d columns where the header has %d: %w", len(row), len(h.columns), parcel.ErrMalformed)
	}
	s := scan{
		head: h, text: line + "\n",
		number: h.value(row, colNumber), code: h.value(row, colCode), depot: h.value(row, colDepot), time: h.value(row, colTime),
		service: h.value(row, colService), alpha: h.value(row, colCountry), digits: h.value(row, colNumeric),
		said: h.value(row, colWords), location: h.value(row, colLocation), receiver: h.value(row, colReceiver),
	}
	switch at, err := time.Parse(timeLayout, s.time); {
	case len(s.number) != numberDigits || !digits(s.number):
		return s, fmt.Errorf("%s %.20q, want %d digits: %w", colNumber, s.number, numberDigits, parcel.ErrMalformed)
	case s.code == "" || len(s.code) > 8:
		return s, fmt.Errorf("%s %.20q: %w", colCode, s.code, parcel.ErrMalformed)
	case err != nil || at.Year() < 1990 || at.Year() > 9998:
		return s, fmt.Errorf("%s %.20q, want YYYYMMDDHHmmss: %w", colTime, s.time, parcel.ErrMalformed)
	}
	s.location = carrierkit.MaskContacts(without(s.receiver, s.location))
	return s, nil
}

// country is the consignee's: by letters, else by number.
func (s *scan) country(numeric map[string]parcel.Country) parcel.Country {
	if c, err := parcel.ParseCountry(s.alpha); err == nil {
		return c
	}
	return numeric[s.digits]
}

// words is the sentence of a scan, without the receiver's name and contacts.
func (s *scan) words() string { return carrierkit.MaskContacts(without(s.receiver, s.said)) }

// minName is the shortest name that is looked for in texts.
const minName = 3

// without replaces a person's name in a text, whatever its case.
func without(person, text string) string {
	if utf8.RuneCountInString(person) < minName || text == "" {
		return text
	}
	name := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(person))
	return name.ReplaceAllLiteralString(text, carrierkit.Redacted(person))
}

// errNoHeader ends the reading of a file: without a header no line means
// anything.
var errNoHeader = errors.New("nothing else of the file can be read")

// lines reads a file. A fault names its line, and the lines after it still
// come, unless the first is no header.
func (d *dpd) lines(r io.Reader) iter.Seq2[scan, error] {
	return func(yield func(scan, error) bool) {
		var h *header
		for line, err := range rawLines(r) {
			text := line.text
			if err == nil && strings.TrimSpace(text) == "" {
				continue
			}
			if err == nil && h == nil {
				var first header
				if first, err = readHeader(text); err != nil {
					yield(scan{}, fmt.Errorf("line %d: %w: %w", line.number, err, errNoHeader))
					return
				}
				h = &first
				continue
			}
			var s scan
			if err == nil {
				s, err = h.scan(text)
			}
			if err != nil {
				err = fmt.Errorf("line %d: %w", line.number, err)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

type rawLine struct {
	number int
	text   string // in UTF-8, without line break
}

// rawLines cuts a file into lines. One that is too long is a fault, and so is
// a reader that fails, which is the last.
func rawLines(r io.Reader) iter.Seq2[rawLine, error] {
	return func(yield func(rawLine, error) bool) {
		br := bufio.NewReaderSize(r, maxLine+2)
		for n := 1; ; n++ {
			b, err := br.ReadSlice('\n')
			long := errors.Is(err, bufio.ErrBufferFull)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n') // the rest of a line that is too long
			}
			if err != nil && err != io.EOF {
				yield(rawLine{number: n}, err)
				return
			}
			switch {
			case long:
				if !yield(rawLine{number: n}, fmt.Errorf("more than %d bytes: %w", maxLine, parcel.ErrMalformed)) {
					return
				}
			case len(b) > 0:
				if !yield(rawLine{number: n, text: toUTF8(bytes.TrimRight(b, "\r\n"))}, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// toUTF8 reads a line as UTF-8, and one that is none as ISO-8859-1, in which
// each byte is the character of its number.
func toUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// Split cuts a file into payloads, one for each parcel: the header, then the
// lines about it. Lines that cannot be read stay out of payloads.
func (d *dpd) Split(r io.Reader, file string) iter.Seq2[parcel.Payload, error] {
	return func(yield func(parcel.Payload, error) bool) {
		var (
			head    string
			held    int
			numbers []string // in order of appearance
			bodies  = map[string]*strings.Builder{}
		)
		give := func() bool {
			for _, n := range numbers {
				p := parcel.Payload{
					Carrier: name, Account: d.account, Kind: kindScan, Source: parcel.SourceFile,
					ContentType: "text/csv; charset=utf-8", Body: []byte(head + bodies[n].String()),
				}
				if !yield(p, nil) {
					return false
				}
			}
			numbers, held = nil, 0
			clear(bodies)
			return true
		}
		for s, err := range d.lines(r) {
			if err != nil {
				if !yield(parcel.Payload{}, fmt.Errorf("%s: %s: %w", name, file, cmp.Or(kinded(err), err))) {
					return
				}
				continue
			}
			head = s.head.text
			body := bodies[s.number]
			if body == nil {
				body = &strings.Builder{}
				bodies[s.number], numbers = body, append(numbers, s.number)
			}
			body.WriteString(s.text)
			if held++; held == maxHeld && !give() {
				return
			}
		}
		give()
	}
}

// kinded gives a reader's own failure a kind: the file could not be read, which
// says nothing about what is in it. Other errors have theirs.
func kinded(err error) error {
	if errors.Is(err, parcel.ErrMalformed) {
		return nil
	}
	return fmt.Errorf("%w: %w", parcel.ErrUnavailable, err)
}

// Redact drops who received a parcel and the reference of the signature, the
// name where a text repeats it, and contacts in texts.
func (d *dpd) Redact(p parcel.Payload) parcel.Payload {
	if p.Kind != kindScan {
		return p
	}
	var out strings.Builder
	var h *header
	changed := false
	for line, err := range rawLines(bytes.NewReader(p.Body)) {
		if err != nil {
			return p
		}
		if h == nil && strings.TrimSpace(line.text) == "" {
			out.WriteString(line.text + "\n")
			continue
		}
		if h == nil {
			first, err := readHeader(line.text)
			if err != nil {
				return p
			}
			h = &first
			out.WriteString(line.text + "\n")
			continue
		}
		row := strings.Split(line.text, ";")
		receiver := h.value(row, colReceiver)
		for i := range row {
			was := row[i]
			switch {
			case slices.Contains([]string{colReceiver, colProof}, strings.ToUpper(strings.TrimSpace(h.column(i)))):
				row[i] = carrierkit.Redacted(strings.TrimSpace(was))
			case slices.Contains([]string{colWords, colLocation}, strings.ToUpper(strings.TrimSpace(h.column(i)))):
				row[i] = carrierkit.MaskContacts(without(receiver, was))
			}
			changed = changed || row[i] != was
		}
		out.WriteString(strings.Join(row, ";") + "\n")
	}
	if changed {
		p.Body = []byte(out.String())
	}
	return p
}

// column is the name of a column, empty beyond the last.
func (h *header) column(i int) string {
	if i >= len(h.columns) {
		return ""
	}
	return h.columns[i]
}
