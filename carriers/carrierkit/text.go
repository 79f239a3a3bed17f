package carrierkit

import (
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"strings"

	"golang.org/x/net/html"
)

// redacted stands in the place of personal data and secrets.
const redacted = "[redacted]"

// Redacted returns what is kept in place of a personal value: a fixed mark,
// so that redacting twice changes nothing, and nothing for nothing, so that an
// absent value stays absent.
func Redacted(s string) string {
	if s == "" {
		return ""
	}
	return redacted
}

// ConstantTimeEqual compares two secrets in time that depends on neither
// their content nor where they differ.
func ConstantTimeEqual(a, b string) bool {
	// Hashing first hides the length too, which a direct comparison tells.
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// StripMarkup removes HTML tags and comments, with what stands inside script
// and style, and decodes character references once. Tags that break a line
// leave a space where words would run together. Nothing else changes: spaces
// stay as the carrier wrote them.
func StripMarkup(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var b strings.Builder
	space := false // a line break is owed before the next text
	skip := ""     // the element whose text is not for people
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				return s // cannot happen on a string reader; keep the words
			}
			return b.String()
		case html.TextToken:
			text := string(z.Text())
			if skip != "" || text == "" {
				continue
			}
			if space && b.Len() > 0 && !strings.HasSuffix(b.String(), " ") && !strings.HasPrefix(text, " ") {
				b.WriteByte(' ')
			}
			space = false
			b.WriteString(text) // the tokenizer has decoded it
		case html.StartTagToken:
			name, _ := z.TagName()
			switch n := string(name); n {
			case "script", "style":
				skip = n
			case "br", "p", "div", "li", "tr", "td", "h1", "h2", "h3":
				space = true
			}
		case html.SelfClosingTagToken:
			if name, _ := z.TagName(); string(name) == "br" {
				space = true
			}
		case html.EndTagToken:
			switch name, _ := z.TagName(); string(name) {
			case skip:
				skip = ""
			case "p", "div", "li", "tr", "td", "h1", "h2", "h3":
				space = true
			}
		}
	}
}
