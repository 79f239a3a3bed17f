package scalar_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/graph/scalar"
	"github.com/milepost-gateway/milepost/parcel"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f\x7f", "жük\u2028", "\xff\xfe", "a\xc3", string(utf8.RuneError), "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := scalar.AppendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %s %v", s, b, err)
		}
		// encoding/json puts U+FFFD for each bad byte, as we do.
		var want string
		reference, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(reference, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q reads back as %q, want %q", s, got, want)
		}
	})
}

func TestWritten(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 5, 0, 120_000_999, time.FixedZone("", 8*3600))
	for _, c := range []struct{ name, got, want string }{
		{"instant in UTC, to the microsecond", string(scalar.AppendTime(nil, at)), `"2026-11-22T06:05:00.12Z"`},
		{"whole second", string(scalar.AppendTime(nil, at.Truncate(time.Second))), `"2026-11-22T06:05:00Z"`},
		{"year that the form has no room for", string(scalar.AppendTime(nil, time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC))), "null"},
		{"number", string(scalar.AppendFloat(nil, 0.1)), "0.1"},
		{"no number", string(scalar.AppendFloat(nil, math.NaN())), "null"},
		{"infinite", string(scalar.AppendFloat(nil, math.Inf(-1))), "null"},
		{"whole number beyond 32 bits", string(scalar.AppendInt(nil, math.MaxInt64)), "2147483647"},
		{"truth", string(scalar.AppendBool(nil, true)), "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("%s, want %s", c.got, c.want)
			}
		})
	}
	var b bytes.Buffer
	scalar.MarshalString("a\"b").MarshalGQL(&b)
	if err := scalar.MarshalDateTime(at).MarshalGQLContext(t.Context(), &b); err != nil || b.String() != `"a\"b""2026-11-22T06:05:00.12Z"` {
		t.Errorf("%s %v", &b, err)
	}
}

func TestRead(t *testing.T) {
	ctx := t.Context()
	type read func(v any) (any, error)
	reads := map[string]read{
		"Int":          func(v any) (any, error) { return scalar.UnmarshalInt(ctx, v) },
		"Float":        func(v any) (any, error) { return scalar.UnmarshalFloat(ctx, v) },
		"ID":           func(v any) (any, error) { return scalar.UnmarshalID(v) },
		"String":       func(v any) (any, error) { return scalar.UnmarshalString(v) },
		"DateTime":     func(v any) (any, error) { return scalar.UnmarshalDateTime(ctx, v) },
		"Date":         func(v any) (any, error) { return scalar.UnmarshalDate(ctx, v) },
		"UtcOffset":    func(v any) (any, error) { return scalar.UnmarshalUtcOffset(ctx, v) },
		"TimeZone":     func(v any) (any, error) { return scalar.UnmarshalTimeZone(ctx, v) },
		"Decimal":      func(v any) (any, error) { return scalar.UnmarshalDecimal(ctx, v) },
		"CurrencyCode": func(v any) (any, error) { return scalar.UnmarshalCurrencyCode(ctx, v) },
		"CountryCode":  func(v any) (any, error) { return scalar.UnmarshalCountryCode(ctx, v) },
		"Locale":       func(v any) (any, error) { return scalar.UnmarshalLocale(ctx, v) },
		"URL":          func(v any) (any, error) { return scalar.UnmarshalURL(ctx, v) },
	}
	for _, c := range []struct {
		typ  string
		in   any
		want any // nil: refused
	}{
		{"Int", int64(7), 7}, {"Int", json.Number("-7"), -7}, {"Int", float64(3), 3},
		{"Int", 3.5, nil}, {"Int", "7", nil}, {"Int", int64(math.MaxInt32 + 1), nil}, {"Int", json.Number("1e3"), nil}, {"Int", true, nil}, {"Int", nil, nil},
		{"Float", json.Number("0.5"), 0.5}, {"Float", int64(2), 2.0}, {"Float", "2", nil},
		{"ID", "x", "x"}, {"ID", json.Number("12"), "12"}, {"ID", int64(12), "12"}, {"ID", 1.5, nil},
		{"String", "x", "x"}, {"String", 1, nil}, {"String", "\xff", nil},
		{"DateTime", "2026-11-22T14:05:00+08:00", time.Date(2026, 11, 22, 6, 5, 0, 0, time.UTC)},
		{"DateTime", "2026-11-22T14:05:00.1234567Z", time.Date(2026, 11, 22, 14, 5, 0, 123456000, time.UTC)},
		{"DateTime", "2026-11-22", nil}, {"DateTime", "2026-11-22 14:05:00Z", nil}, {"DateTime", 0, nil},
		{"Date", "2026-02-28", "2026-02-28"}, {"Date", "2026-02-30", nil}, {"Date", "22.11.2026", nil},
		{"UtcOffset", "+08:00", "+08:00"}, {"UtcOffset", "-0330", "-03:30"}, {"UtcOffset", "+15:00", nil}, {"UtcOffset", "noon", nil},
		{"TimeZone", "Asia/Almaty", "Asia/Almaty"}, {"TimeZone", "Local", nil}, {"TimeZone", "", nil}, {"TimeZone", "../../etc/passwd", nil},
		{"Decimal", "12.50", "12.50"}, {"Decimal", "-0.5", "-0.5"}, {"Decimal", "1e3", nil}, {"Decimal", "1,5", nil}, {"Decimal", ".5", nil}, {"Decimal", "5.", nil}, {"Decimal", strings.Repeat("9", 33), nil}, {"Decimal", 1.5, nil},
		{"CurrencyCode", "USD", parcel.Currency("USD")}, {"CurrencyCode", "usd", nil}, {"CurrencyCode", "XXX", nil},
		{"CountryCode", "BR", parcel.Country("BR")}, {"CountryCode", "br", nil}, {"CountryCode", "XX", nil},
		{"Locale", "zh-Hans-CN", "zh-Hans-CN"}, {"Locale", "pt_BR", nil}, {"Locale", "", nil}, {"Locale", "1a", nil}, {"Locale", strings.Repeat("a-", 30), nil},
		{"URL", "https://shop.example/x", "https://shop.example/x"}, {"URL", "/x", nil}, {"URL", "mailto:a@b", nil},
	} {
		t.Run(c.typ, func(t *testing.T) {
			got, err := reads[c.typ](c.in)
			switch {
			case c.want == nil && !errors.Is(err, parcel.ErrInvalid):
				t.Errorf("%#v is taken as %#v (%v)", c.in, got, err)
			case c.want != nil && (err != nil || !cmp.Equal(got, c.want)):
				t.Errorf("%#v gives %#v %v, want %#v", c.in, got, err, c.want)
			}
		})
	}
}

func BenchmarkAppendString(b *testing.B) {
	const s = "Посылка прибыла в страну назначения / Objeto em trânsito - por favor aguarde"
	buf := make([]byte, 0, 256)
	for b.Loop() {
		buf = scalar.AppendString(buf[:0], s)
	}
}
