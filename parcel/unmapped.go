package parcel

import (
	"cmp"
	"strings"
	"time"
	"unicode"
)

// Unmapped is what a carrier wrote and no table of codes read, with how often:
// a line of the work queue of mapping.
type Unmapped struct {
	Carrier string
	// Code is the carrier's own; empty where it has none.
	Code string
	// Phrase is what words without a code are counted under: see
	// UnmappedPhrase. Empty beside a code.
	Phrase string
	// Words are as first written, Language their BCP 47 tag, both as far as
	// told.
	Words, Language string
	// Count is how many events.
	Count int
	// First and Last are when such events reached us, trade time.
	First, Last time.Time
	// PayloadID is an example: the newest.
	PayloadID string
}

// maxUnmappedWords bounds the words that are kept of an unmapped event, in
// runes.
const maxUnmappedWords = 160

// UnmappedOf gives the line that an event adds to the queue; ok is false for an
// event that was read, or that no carrier told.
func UnmappedOf(e *Event) (u Unmapped, ok bool) {
	if e.Code != CodeUnknown || e.Carrier == "" || e.PayloadID == "" || e.Source == SourceReport {
		return Unmapped{}, false
	}
	u = Unmapped{
		Carrier: e.Carrier, Code: e.OwnCode, Words: clipRunes(e.Words, maxUnmappedWords), Language: e.Language,
		Count: 1, First: e.ReceivedAt, Last: e.ReceivedAt, PayloadID: e.PayloadID,
	}
	if u.Code == "" {
		u.Phrase = UnmappedPhrase(e.Words)
	}
	return u, u.Code != "" || u.Phrase != ""
}

// Compare orders by carrier, code and phrase, which together name a line.
func (u Unmapped) Compare(o Unmapped) int {
	return cmp.Or(strings.Compare(u.Carrier, o.Carrier), strings.Compare(u.Code, o.Code), strings.Compare(u.Phrase, o.Phrase))
}

// UnmappedPhrase is the form of a sentence in which those that differ in case,
// punctuation, spaces and numbers alone are one: each run of digits is "#".
func UnmappedPhrase(words string) string {
	var b strings.Builder
	space, digits := false, false
	for _, r := range words {
		digit := unicode.IsDigit(r)
		if digit && digits {
			continue
		}
		digits = digit
		if !digit && !unicode.IsLetter(r) && !unicode.IsMark(r) {
			space = true
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		if digit {
			b.WriteByte('#')
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return clipRunes(b.String(), maxUnmappedWords)
}

func clipRunes(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}
