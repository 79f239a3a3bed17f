// Package scalar reads and writes the scalars of the schema. Reading is strict
// and names the place of the input at fault; writing never fails, and writes
// the same bytes whether gqlgen or a plan asks.
package scalar

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// AppendString appends s as a JSON string. What is not valid UTF-8 becomes
// U+FFFD, so that the answer is always valid.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			i++
			start = i
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// AppendTime appends an instant as DateTime writes it: UTC, to the microsecond,
// without trailing zeros. A year beyond four digits, which no parcel has, is
// written as null.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.Truncate(time.Microsecond).AppendFormat(b, "2006-01-02T15:04:05.999999Z")
	return append(b, '"')
}

// AppendFloat appends f, or null for what JSON has no number for.
func AppendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// AppendInt appends n, held within the 32 bits of the schema's Int.
func AppendInt(b []byte, n int) []byte {
	return strconv.AppendInt(b, int64(min(max(n, math.MinInt32), math.MaxInt32)), 10)
}

// AppendBool appends v.
func AppendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

type written func(b []byte) []byte

func (w written) MarshalGQL(to io.Writer) {
	_, _ = to.Write(w(make([]byte, 0, 64)))
}

func (w written) MarshalGQLContext(_ context.Context, to io.Writer) error {
	_, err := to.Write(w(make([]byte, 0, 64)))
	return err
}

// MarshalString writes a String.
func MarshalString(s string) graphql.Marshaler {
	return written(func(b []byte) []byte { return AppendString(b, s) })
}

// UnmarshalString reads a String; nothing but text is one.
func UnmarshalString(v any) (string, error) {
	if s, ok := v.(string); ok && utf8.ValidString(s) {
		return s, nil
	}
	return "", parcel.Invalidf(parcel.FaultMalformed, "", "want a text")
}

// MarshalID writes an ID.
func MarshalID(s string) graphql.Marshaler { return MarshalString(s) }

// UnmarshalID reads an ID: a text, or by the specification a whole number.
func UnmarshalID(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case int:
		return strconv.Itoa(v), nil
	}
	return "", parcel.Invalidf(parcel.FaultMalformed, "", "want an id")
}

// MarshalInt writes an Int.
func MarshalInt(n int) graphql.ContextMarshaler {
	return written(func(b []byte) []byte { return AppendInt(b, n) })
}

// UnmarshalInt reads an Int: a whole number of 32 bits.
func UnmarshalInt(ctx context.Context, v any) (int, error) {
	n, ok := int64(0), false
	switch v := v.(type) {
	case int64:
		n, ok = v, true
	case int:
		n, ok = int64(v), true
	case int32:
		n, ok = int64(v), true
	case json.Number:
		i, err := strconv.ParseInt(v.String(), 10, 64)
		n, ok = i, err == nil
	case float64:
		n, ok = int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	}
	if !ok || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, graph.Fault(ctx, parcel.FaultOutOfRange, "want a whole number of 32 bits")
	}
	return int(n), nil
}

// MarshalFloat writes a Float.
func MarshalFloat(f float64) graphql.ContextMarshaler {
	return written(func(b []byte) []byte { return AppendFloat(b, f) })
}

// UnmarshalFloat reads a Float.
func UnmarshalFloat(ctx context.Context, v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case int:
		return float64(v), nil
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f, nil
		}
	}
	return 0, graph.Fault(ctx, parcel.FaultMalformed, "want a number")
}

// text reads a scalar that is written as text.
func text(ctx context.Context, v any, example string) (string, bool, error) {
	if s, ok := v.(string); ok && utf8.ValidString(s) {
		return s, true, nil
	}
	return "", false, graph.Fault(ctx, parcel.FaultMalformed, "want a text such as %q", example)
}

// MarshalDateTime writes a DateTime.
func MarshalDateTime(t time.Time) graphql.ContextMarshaler {
	return written(func(b []byte) []byte { return AppendTime(b, t) })
}

// UnmarshalDateTime reads a DateTime: RFC 3339 with any offset.
func UnmarshalDateTime(ctx context.Context, v any) (time.Time, error) {
	const example = "2026-11-22T14:05:00Z"
	s, ok, err := text(ctx, v, example)
	if !ok {
		return time.Time{}, err
	}
	t, perr := time.Parse(time.RFC3339Nano, s)
	if perr != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, graph.Fault(ctx, parcel.FaultMalformed, "want an instant such as %s", example)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// MarshalDate writes a Date, given in parcel.DayLayout.
func MarshalDate(day string) graphql.ContextMarshaler {
	return written(func(b []byte) []byte { return AppendString(b, day) })
}

// UnmarshalDate reads a Date.
func UnmarshalDate(ctx context.Context, v any) (string, error) {
	const example = "2026-11-22"
	s, ok, err := text(ctx, v, example)
	if !ok {
		return "", err
	}
	if _, perr := time.Parse(parcel.DayLayout, s); perr != nil {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want a day such as %s", example)
	}
	return s, nil
}

// MarshalUtcOffset writes a UtcOffset.
func MarshalUtcOffset(s string) graphql.ContextMarshaler { return MarshalDate(s) }

// UnmarshalUtcOffset reads a UtcOffset, and gives it as parcel.FormatOffset
// writes it.
func UnmarshalUtcOffset(ctx context.Context, v any) (string, error) {
	s, ok, err := text(ctx, v, "+08:00")
	if !ok {
		return "", err
	}
	seconds, perr := parcel.ParseOffset(s)
	if perr != nil {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want an offset such as +08:00")
	}
	return parcel.FormatOffset(seconds), nil
}

// MarshalTimeZone writes a TimeZone.
func MarshalTimeZone(s string) graphql.ContextMarshaler { return MarshalDate(s) }

// UnmarshalTimeZone reads a TimeZone by its IANA name.
func UnmarshalTimeZone(ctx context.Context, v any) (string, error) {
	s, ok, err := text(ctx, v, "Asia/Almaty")
	if !ok {
		return "", err
	}
	if _, perr := time.LoadLocation(s); perr != nil || s == "" || s == "Local" {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want a zone such as Asia/Almaty")
	}
	return s, nil
}

// MarshalDecimal writes a Decimal.
func MarshalDecimal(s string) graphql.ContextMarshaler { return MarshalDate(s) }

// UnmarshalDecimal reads a Decimal; what its currency allows is for
// parcel.ParseMoney to say.
func UnmarshalDecimal(ctx context.Context, v any) (string, error) {
	const example = "12.50"
	s, ok, err := text(ctx, v, example)
	if !ok {
		return "", err
	}
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || len(s) > 32 || strings.Trim(whole+fraction, "0123456789") != "" {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want a decimal number such as %q", example)
	}
	return s, nil
}

// MarshalCurrencyCode writes a CurrencyCode.
func MarshalCurrencyCode(c parcel.Currency) graphql.ContextMarshaler { return MarshalDate(string(c)) }

// UnmarshalCurrencyCode reads a CurrencyCode.
func UnmarshalCurrencyCode(ctx context.Context, v any) (parcel.Currency, error) {
	s, ok, err := text(ctx, v, "USD")
	if !ok {
		return "", err
	}
	c := parcel.Currency(s)
	if !c.Valid() {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want a currency of ISO 4217 such as USD")
	}
	return c, nil
}

// MarshalCountryCode writes a CountryCode.
func MarshalCountryCode(c parcel.Country) graphql.ContextMarshaler { return MarshalDate(string(c)) }

// UnmarshalCountryCode reads a CountryCode in upper case.
func UnmarshalCountryCode(ctx context.Context, v any) (parcel.Country, error) {
	s, ok, err := text(ctx, v, "BR")
	if !ok {
		return "", err
	}
	c := parcel.Country(s)
	if !c.Valid() {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want a country of ISO 3166-1 such as BR")
	}
	return c, nil
}

// MarshalLocale writes a Locale.
func MarshalLocale(s string) graphql.ContextMarshaler { return MarshalDate(s) }

// UnmarshalLocale reads a Locale: the form is checked, the language need not be
// one that there are words in.
func UnmarshalLocale(ctx context.Context, v any) (string, error) {
	s, ok, err := text(ctx, v, "pt-BR")
	if !ok {
		return "", err
	}
	if !wellFormed(s) {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want a language tag such as pt-BR")
	}
	return s, nil
}

// wellFormed tests the outline of RFC 5646: subtags of 1 to 8 letters and
// digits, joined by hyphens, the first of letters only.
func wellFormed(tag string) bool {
	if len(tag) > 35 {
		return false
	}
	for i, sub := range strings.Split(tag, "-") {
		if len(sub) == 0 || len(sub) > 8 {
			return false
		}
		for _, c := range []byte(sub) {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

// MarshalURL writes a URL.
func MarshalURL(s string) graphql.ContextMarshaler { return MarshalDate(s) }

// UnmarshalURL reads an absolute URL.
func UnmarshalURL(ctx context.Context, v any) (string, error) {
	s, ok, err := text(ctx, v, "https://example.com/")
	if !ok {
		return "", err
	}
	if u, perr := url.Parse(s); perr != nil || !u.IsAbs() || u.Host == "" {
		return "", graph.Fault(ctx, parcel.FaultMalformed, "want an absolute URL")
	}
	return s, nil
}
