package parcel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine tells whether a text is valid UTF-8 of one line: it has no control
// characters, line breaks and tabs among them. It may be empty.
func OneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}
