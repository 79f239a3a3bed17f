// Package obs is how the gateway is watched: structured logs without
// secrets, a metrics registry of its own, and the operations port with
// health, readiness, statistics and profiles.
package obs

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// Redacted stands in logs where a secret stood.
const Redacted = "[redacted]"

// NewLogger returns a logger that writes lines to w, as "text" (key=value)
// or "json", from level up; a nil level means info. Instants are UTC.
//
// Secrets do not reach w. The value of an attribute, or of all attributes of
// a group, is replaced when one of the words of its name is token, secret,
// password, passphrase, authorization, credential(s), cookie or key; numbers,
// durations and booleans stay, so that tokens=120 can be read. In every other
// text, the user part of an address, a Bearer or Basic credential, an API key
// (mp_...) and the value of a query parameter so named are replaced. What
// this cannot see is a secret inside a struct logged whole: give such a type
// a LogValue method.
func NewLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("obs: log format %q is neither text nor json", format)
}

func redact(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		return slog.Time(a.Key, a.Value.Time().UTC())
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindGroup:
		return a
	}
	// The built-in attributes have no group; a user's attribute "msg" is
	// treated the same, which only means that its text is looked through.
	builtIn := len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.SourceKey)
	if builtIn {
		return a
	}
	for _, name := range append(groups[:len(groups):len(groups)], a.Key) {
		if namesSecret(name) {
			return slog.String(a.Key, Redacted)
		}
	}
	switch v := a.Value.Any().(type) {
	case string:
		return slog.String(a.Key, Redact(v))
	case error:
		return slog.String(a.Key, Redact(v.Error()))
	case http.Header:
		return slog.Any(a.Key, redactHeader(v))
	case fmt.Stringer:
		return slog.String(a.Key, Redact(safeString(v)))
	case []byte:
		return slog.String(a.Key, Redact(string(v)))
	case []string:
		clean := make([]string, len(v))
		for i := range v {
			clean[i] = Redact(v[i])
		}
		return slog.Any(a.Key, clean)
	}
	return a
}

// safeString is v.String(), or a word in its place where v is a nil pointer
// whose method cannot bear it: a log line must never bring the process down.
func safeString(v fmt.Stringer) (s string) {
	defer func() {
		if recover() != nil {
			s = "!PANIC"
		}
	}()
	return v.String()
}

func redactHeader(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for name, values := range h {
		if namesSecret(name) || strings.Contains(strings.ToLower(name), "signature") {
			clean[name] = []string{Redacted}
			continue
		}
		for _, v := range values {
			clean[name] = append(clean[name], Redact(v))
		}
	}
	return clean
}

// namesSecret reports whether one of the words of an attribute's name says
// that its value must not be shown: apiKey, client_secret, X-Auth-Token.
func namesSecret(name string) bool {
	for word := range words(name) {
		switch strings.TrimSuffix(strings.ToLower(word), "s") {
		case "token", "secret", "password", "passwd", "passphrase", "authorization", "credential", "cookie", "key", "apikey":
			return true
		}
	}
	return false
}

// words splits a name at what is not a letter or digit and before a capital
// that follows a small letter.
func words(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, last := 0, rune(0)
		for i, r := range name {
			separator := !unicode.IsLetter(r) && !unicode.IsDigit(r)
			if separator || unicode.IsUpper(r) && unicode.IsLower(last) {
				if i > start && !yield(name[start:i]) {
					return
				}
				start = i
				if separator {
					start = i + len(string(r))
				}
			}
			last = r
		}
		if start < len(name) {
			yield(name[start:])
		}
	}
}

// secretInText finds secrets that stand in running text. Its first group is
// what is kept of each.
var secretInText = regexp.MustCompile(
	`(?i)([a-z][a-z0-9+.-]*://)[^\s"'<>@]+@` + // user:password@ of an address
		`|\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{16,}` + // shorter may be a word
		`|\b(mp_)[a-z0-9_-]{8,}` +
		`|([?&;](?:[a-z0-9_.-]*(?:token|secret|password|signature|key|postcode))=)[^&;\s"'#]+`)

// Redact returns s with the secrets replaced that can be told from their
// shape: see [NewLogger]. It is safe for concurrent use.
func Redact(s string) string {
	// Most lines hold none of this: look before paying for the expression.
	if !strings.ContainsAny(s, "@=") && !strings.Contains(s, "mp_") && !containsFold(s, "bearer ") && !containsFold(s, "basic ") {
		return s
	}
	return secretInText.ReplaceAllStringFunc(s, func(found string) string {
		kept := ""
		for _, group := range secretInText.FindStringSubmatch(found)[1:] {
			kept += group
		}
		if strings.HasSuffix(found, "@") {
			return kept + Redacted + "@"
		}
		return kept + Redacted
	})
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}
