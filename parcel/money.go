package parcel

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
)

// Currency is an ISO 4217 alphabetic code in upper case: "CNY". A Currency
// made by conversion may be invalid; ask Valid. The zero value is none.
type Currency string

// currenciesCSV holds, for each number of decimals of the minor unit, the
// codes: ISO 4217 list one as of January 2026, funds codes included. Codes
// without a minor unit (gold, XDR, XXX, XTS) are left out: no tariff or
// declared value is written in them.
//
//go:embed tables/currencies.csv
var currenciesCSV string

// moneyExponents is read once, at first use; nobody writes to it afterwards.
var moneyExponents = sync.OnceValue(func() map[Currency]int {
	const name = "tables/currencies.csv"
	exponents := map[Currency]int{}
	for _, f := range tableLines(name, currenciesCSV, 2) {
		n, err := strconv.Atoi(f[0])
		if err != nil || n < 0 || n > 4 {
			panic(fmt.Sprintf("%s: exponent %q", name, f[0]))
		}
		for code := range strings.FieldsSeq(f[1]) {
			if _, twice := exponents[Currency(code)]; twice || len(code) != 3 {
				panic(fmt.Sprintf("%s: code %q", name, code))
			}
			exponents[Currency(code)] = n
		}
	}
	return exponents
})

// Valid reports whether c is an active code of ISO 4217 with a minor unit.
func (c Currency) Valid() bool {
	_, ok := moneyExponents()[c]
	return ok
}

// Exponent returns the number of decimals of the currency's minor unit (2
// for USD, 0 for JPY, 3 for KWD, 4 for CLF), 0 if c is not valid.
func (c Currency) Exponent() int { return moneyExponents()[c] }

// Money is an exact amount: a whole number of the currency's minor units,
// from -(2^63-1) to 2^63-1. Its sign is free: a refund is negative. The zero
// value is nothing of no currency, and adds to anything.
type Money struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// ParseMoney reads a decimal amount of major units: digits with an optional
// minus before and an optional point and digits after ("12", "-0.5",
// "12.50"). It returns ErrInvalid for any other form (exponents, signs of
// thousands, NaN, spaces), for more decimals than the currency has, zeros
// among them, for an amount beyond the range of Money, and for a currency
// that is not valid.
func ParseMoney(amount string, c Currency) (Money, error) {
	fail := func(why string) (Money, error) {
		return Money{}, fmt.Errorf("money %.40q %.8q: %s: %w", amount, string(c), why, ErrInvalid)
	}
	if !c.Valid() {
		return fail("currency is not in ISO 4217")
	}
	digits, negative := strings.CutPrefix(amount, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" {
		return fail("want a decimal number such as 12.50")
	}
	exponent := c.Exponent()
	if len(fraction) > exponent {
		return fail(fmt.Sprintf("at most %d decimals", exponent))
	}
	var minor uint64
	for _, part := range []string{whole, fraction, "0000"[:exponent-len(fraction)]} {
		for i := range len(part) {
			if !numberDigit(part[i]) {
				return fail("want a decimal number such as 12.50")
			}
			// minor is at most MaxInt64, so ten times it and 9 more may wrap:
			// compare before multiplying.
			d := uint64(part[i] - '0')
			if minor > (math.MaxInt64-d)/10 {
				return fail("out of range")
			}
			minor = minor*10 + d
		}
	}
	m := Money{Minor: int64(minor), Currency: c}
	if negative {
		m.Minor = -m.Minor
	}
	return m, nil
}

// Amount returns the amount as a decimal string of major units, with as many
// decimals as the currency has: "12.50", "-0.05", "1200" for JPY. ParseMoney
// reads it back exactly. Where the currency is not valid it is Minor itself.
func (m Money) Amount() string {
	sign, abs := "", uint64(m.Minor)
	if m.Minor < 0 {
		sign, abs = "-", -abs // in two's complement this holds for the least int64 too
	}
	digits := strconv.FormatUint(abs, 10)
	exponent := m.Currency.Exponent()
	if exponent == 0 {
		return sign + digits
	}
	if short := exponent + 1 - len(digits); short > 0 {
		digits = "0000"[:short] + digits
	}
	point := len(digits) - exponent
	return sign + digits[:point] + "." + digits[point:]
}

// String returns amount and currency: "12.50 USD".
func (m Money) String() string {
	if m.Currency == "" {
		return m.Amount()
	}
	return m.Amount() + " " + string(m.Currency)
}

// Add returns the sum. It returns ErrInvalid if the currencies differ or the
// sum is out of range; the zero value adds to any currency.
func (m Money) Add(other Money) (Money, error) {
	switch {
	case m == Money{}:
		return other, nil
	case other == Money{}:
		return m, nil
	case m.Currency != other.Currency:
		return Money{}, fmt.Errorf("add %s to %s: currencies differ: %w", other, m, ErrInvalid)
	}
	sum := m.Minor + other.Minor
	if (sum > m.Minor) != (other.Minor > 0) && other.Minor != 0 || sum == math.MinInt64 {
		return Money{}, fmt.Errorf("add %s to %s: out of range: %w", other, m, ErrInvalid)
	}
	return Money{Minor: sum, Currency: m.Currency}, nil
}

// Neg returns the amount with the opposite sign.
func (m Money) Neg() Money {
	return Money{Minor: -m.Minor, Currency: m.Currency}
}
