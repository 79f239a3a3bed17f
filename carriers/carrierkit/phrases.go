package carrierkit

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/carriers"
)

// Phrases reads sentences of carriers that have no code, or one code for two
// things. It serves the rows of a table whose code has the form
//
//	DE: refused
//	text: import customs & completed
//
// a key, a colon, a space, and words that must all stand in the sentence,
// parted by " & ". Case and the width of spaces do not matter; words match from
// the beginning of a word, so "delivered" is not found in "undelivered" and
// "dut" finds "duties". Of several rows the first in the table wins, whatever
// their length: what fails is written before what succeeds. The zero value has
// no rows; it is safe for concurrent use.
type Phrases struct {
	rows map[string][]phrase
}

type phrase struct {
	parts []string
	row   carriers.Row
}

// NewPhrases takes the rows of that form out of a table.
func NewPhrases(t carriers.Table) Phrases {
	p := Phrases{rows: map[string][]phrase{}}
	for _, row := range t.Rows() {
		key, words, ok := strings.Cut(row.Rule, ": ")
		if !ok {
			continue
		}
		var parts []string
		for part := range strings.SplitSeq(words, " & ") {
			parts = append(parts, foldWords(part))
		}
		p.rows[key] = append(p.rows[key], phrase{parts, row})
	}
	return p
}

// Lookup gives the first row of a key that reads the sentence.
func (p Phrases) Lookup(key, sentence string) (carriers.Row, bool) {
	candidates := p.rows[key]
	if len(candidates) == 0 {
		return carriers.Row{}, false
	}
	sentence = foldWords(sentence)
	for _, c := range candidates {
		all := sentence != ""
		for _, part := range c.parts {
			all = all && hasWords(sentence, part)
		}
		if all {
			return c.row, true
		}
	}
	return carriers.Row{}, false
}

func foldWords(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// hasWords tells whether part stands in s at the beginning of a word. Chinese
// does not part its words, so there any place is one.
func hasWords(s, part string) bool {
	if first, _ := utf8.DecodeRuneInString(part); unicode.Is(unicode.Han, first) {
		return strings.Contains(s, part)
	}
	for from := 0; ; {
		i := strings.Index(s[from:], part)
		if i < 0 {
			return false
		}
		at := from + i
		if last, _ := utf8.DecodeLastRuneInString(s[:at]); !unicode.IsLetter(last) && !unicode.IsDigit(last) {
			return true
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		from = at + max(size, 1)
	}
}
