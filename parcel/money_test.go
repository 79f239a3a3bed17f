package parcel

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMoney(t *testing.T) {
	for _, tc := range []struct {
		amount string
		in     Currency
		minor  int64
		out    string
	}{
		{"12.50", "USD", 1250, "12.50"},
		{"12.5", "USD", 1250, "12.50"},
		{"12", "USD", 1200, "12.00"},
		{"0", "CNY", 0, "0.00"},
		{"-0.05", "EUR", -5, "-0.05"},
		{"-0", "EUR", 0, "0.00"},
		{"007.10", "BRL", 710, "7.10"},
		{"1200", "JPY", 1200, "1200"},
		{"-7", "KRW", -7, "-7"},
		{"1.234", "KWD", 1234, "1.234"},
		{"0.0001", "CLF", 1, "0.0001"},
		{"3", "UYW", 30000, "3.0000"},
		{"92233720368547758.07", "USD", math.MaxInt64, "92233720368547758.07"},
		{"-92233720368547758.07", "USD", -math.MaxInt64, "-92233720368547758.07"},
		{"9223372036854775807", "JPY", math.MaxInt64, "9223372036854775807"},
	} {
		t.Run(tc.amount+" "+string(tc.in), func(t *testing.T) {
			got, err := ParseMoney(tc.amount, tc.in)
			if err != nil || got != (Money{tc.minor, tc.in}) {
				t.Fatalf("ParseMoney = %+v, %v", got, err)
			}
			if got.Amount() != tc.out || got.String() != tc.out+" "+string(tc.in) {
				t.Errorf("Amount() = %q, String() = %q", got.Amount(), got)
			}
		})
	}
	for _, tc := range []struct {
		name, amount string
		in           Currency
	}{
		{"empty", "", "USD"}, {"sign alone", "-", "USD"}, {"point alone", ".", "USD"}, {"no digit before", ".5", "USD"}, {"no digit after", "5.", "USD"},
		{"plus", "+5", "USD"}, {"two signs", "--5", "USD"}, {"two points", "1.2.3", "USD"}, {"sign inside", "1.-2", "USD"},
		{"exponent", "1e3", "USD"}, {"not a number", "NaN", "USD"}, {"infinity", "Inf", "USD"}, {"hexadecimal", "0x1", "USD"},
		{"thousands", "1,000", "USD"}, {"underscore", "1_000", "USD"}, {"comma", "1,50", "USD"}, {"space", " 1", "USD"}, {"words", "Freight Included", "USD"},
		{"three decimals", "1.234", "USD"}, {"zeros beyond", "1.000", "USD"}, {"decimals of yen", "1.0", "JPY"}, {"full width", "１", "USD"},
		{"overflow by one", "92233720368547758.08", "USD"}, {"underflow by one", "-92233720368547758.08", "USD"},
		{"far too much", strings.Repeat("9", 400), "USD"}, {"overflow by scale", "9223372036854775807", "USD"},
		{"no currency", "1", ""}, {"small letters", "1", "usd"}, {"withdrawn", "1", "DEM"}, {"no minor unit", "1", "XAU"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := ParseMoney(tc.amount, tc.in); !errors.Is(err, ErrInvalid) || got != (Money{}) {
				t.Errorf("ParseMoney(%.30q, %s) = %+v, %v; want ErrInvalid", tc.amount, tc.in, got, err)
			}
		})
	}
}

func TestCurrency(t *testing.T) {
	for c, want := range map[Currency]int{"USD": 2, "CNY": 2, "RUB": 2, "BRL": 2, "JPY": 0, "KRW": 0, "VND": 0, "ISK": 0, "XOF": 0, "KWD": 3, "TND": 3, "CLF": 4, "MGA": 2, "MRU": 2} {
		if !c.Valid() || c.Exponent() != want {
			t.Errorf("%s: Valid %t, Exponent %d; want %d", c, c.Valid(), c.Exponent(), want)
		}
	}
	for _, c := range []Currency{"", "usd", "XXX", "DEM", "HRK", "US", "USDX"} {
		if c.Valid() || c.Exponent() != 0 {
			t.Errorf("%q is valid", c)
		}
	}
}

func TestMoneyAdd(t *testing.T) {
	usd := func(n int64) Money { return Money{n, "USD"} }
	for _, tc := range []struct {
		name    string
		a, b, c Money
		bad     bool
	}{
		{name: "sum", a: usd(1250), b: usd(-50), c: usd(1200)},
		{name: "zero value", a: Money{}, b: usd(5), c: usd(5)},
		{name: "zero value after", a: usd(5), b: Money{}, c: usd(5)},
		{name: "two zero values"},
		{name: "zero of a currency", a: usd(0), b: usd(0), c: usd(0)},
		{name: "to the top", a: usd(math.MaxInt64 - 1), b: usd(1), c: usd(math.MaxInt64)},
		{name: "to the bottom", a: usd(-math.MaxInt64 + 1), b: usd(-1), c: usd(-math.MaxInt64)},
		{name: "over the top", a: usd(math.MaxInt64), b: usd(1), bad: true},
		{name: "far over the top", a: usd(math.MaxInt64), b: usd(math.MaxInt64), bad: true},
		{name: "below the bottom", a: usd(-math.MaxInt64), b: usd(-1), bad: true},
		{name: "far below the bottom", a: usd(-math.MaxInt64), b: usd(-math.MaxInt64), bad: true},
		{name: "currencies differ", a: usd(1), b: Money{1, "EUR"}, bad: true},
		{name: "nothing of another currency", a: usd(1), b: Money{0, "EUR"}, bad: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.a.Add(tc.b)
			if errors.Is(err, ErrInvalid) != tc.bad || got != tc.c {
				t.Errorf("%v + %v = %v, %v; want %v", tc.a, tc.b, got, err, tc.c)
			}
		})
	}
}

func TestMoneyArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Money { return Money{max(rapid.Int64().Draw(t, name), -math.MaxInt64), "KWD"} }
		a, b := draw("a"), draw("b")
		want := new(big.Int).Add(big.NewInt(a.Minor), big.NewInt(b.Minor))
		fits := want.CmpAbs(big.NewInt(math.MaxInt64)) <= 0
		sum, err := a.Add(b)
		if (err == nil) != fits || fits && sum.Minor != want.Int64() {
			t.Fatalf("%v + %v = %v, %v", a, b, sum, err)
		}
		if nothing, err := a.Add(a.Neg()); err != nil || nothing != (Money{0, "KWD"}) {
			t.Fatalf("%v + %v = %v, %v", a, a.Neg(), nothing, err)
		}
		if again, err := ParseMoney(a.Amount(), "KWD"); err != nil || again != a {
			t.Fatalf("ParseMoney(%q) = %v, %v", a.Amount(), again, err)
		}
	})
}

func TestMoneyOddities(t *testing.T) {
	for want, m := range map[string]Money{
		"0":                     {},
		"-9223372036854775808":  {math.MinInt64, ""},
		"-92233720368547758.08": {math.MinInt64, "USD"},
		"5":                     {5, "???"},
	} {
		if got := m.Amount(); got != want {
			t.Errorf("%#v.Amount() = %q, want %q", m, got, want)
		}
	}
	if got := (Money{}).String(); got != "0" {
		t.Errorf("zero String() = %q", got)
	}
}

func FuzzParseMoney(f *testing.F) {
	for _, seed := range []string{"12.50", "-0.05", "1e3", "NaN", "92233720368547758.08", "0.0001", "", "."} {
		for _, c := range []string{"USD", "JPY", "KWD", "CLF", ""} {
			f.Add(seed, c)
		}
	}
	f.Fuzz(func(t *testing.T, amount, currency string) {
		m, err := ParseMoney(amount, Currency(currency))
		if err != nil {
			if !errors.Is(err, ErrInvalid) || m != (Money{}) {
				t.Errorf("ParseMoney(%q, %q) = %+v, %v", amount, currency, m, err)
			}
			return
		}
		exact, ok := new(big.Rat).SetString(amount)
		scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(m.Currency.Exponent())), nil))
		if !ok || new(big.Rat).Mul(exact, scale).Cmp(new(big.Rat).SetInt64(m.Minor)) != 0 {
			t.Errorf("ParseMoney(%q, %q) = %+v", amount, currency, m)
		}
		if again, err := ParseMoney(m.Amount(), m.Currency); err != nil || again != m {
			t.Errorf("%q read again: %+v, %v", m.Amount(), again, err)
		}
	})
}
