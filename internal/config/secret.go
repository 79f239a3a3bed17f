package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// redacted stands where a value may not be shown.
const redacted = "[redacted]"

// Settings are the named values of a carrier account. Any of them can be a
// secret, so however Settings are printed, logged or marshalled, their names
// show and their values do not. A plain map[string]string made of them has
// no such guard. Read freely from many goroutines, write from none.
type Settings map[string]string

// Format implements [fmt.Formatter], for every verb.
func (s Settings) Format(w fmt.State, _ rune) { io.WriteString(w, s.String()) }

// String lists the settings' names.
func (s Settings) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(s)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name + ":" + redacted)
	}
	b.WriteByte('}')
	return b.String()
}

// LogValue implements [slog.LogValuer].
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes the names with their values replaced.
func (s Settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.masked()) }

// MarshalYAML writes the names with their values replaced.
func (s Settings) MarshalYAML() (any, error) { return s.masked(), nil }

func (s Settings) masked() map[string]string {
	masked := make(map[string]string, len(s))
	for name := range s {
		masked[name] = redacted
	}
	return masked
}

// String names the account, as ups/main, with its merchant where it has one.
func (a Account) String() string {
	name := a.Carrier + "/" + a.Name
	if a.Merchant != "" {
		name += " of " + a.Merchant
	}
	return name
}

// GoString implements [fmt.GoStringer]: the endpoint is left out, because
// who knows it can send webhooks.
func (a Account) GoString() string { return "config.Account{" + a.String() + "}" }

// LogValue implements [slog.LogValuer].
func (a Account) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("carrier", a.Carrier),
		slog.String("name", a.Name),
		slog.String("merchant", a.Merchant),
		slog.String("base_url", a.BaseURL),
		slog.Any("settings", a.Settings),
	)
}
