package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// numbers is how a language writes amounts.
type numbers struct {
	// Decimal stands between the whole and the fraction, Separator between
	// groups of three digits.
	Decimal   string `json:"decimal"`
	Separator string `json:"separator"`
	// GroupFrom is the number of whole digits from which on they are grouped:
	// Spanish and Polish write 1234 but 12 345.
	GroupFrom int `json:"groupFrom"`
	// Minus is the sign of negative amounts.
	Minus string `json:"minus"`
	// Money has {sign}, {amount} and {symbol}.
	Money string `json:"money"`
	// Symbols are those that tell a reader of the language one currency from
	// all others; what is not here is written by its code.
	Symbols map[string]string `json:"symbols"`
}

// Money returns an amount as the language writes it: "12,50 €". amount is a
// decimal number of major units such as "-1234.50", with as many decimals as
// it has; one of another form is written as it is, beside the currency.
// currency is an ISO 4217 code; one without a symbol that is unmistakable in
// the language is written as its code.
func Money(l Locale, amount, currency string) string {
	n := &l.book().Numbers
	digits, negative := strings.CutPrefix(amount, "-")
	sign := ""
	switch {
	case !decimal(digits):
		digits = amount
	case negative:
		sign, digits = n.Minus, n.group(digits)
	default:
		digits = n.group(digits)
	}
	symbol, ok := n.Symbols[currency]
	if !ok {
		symbol = currency
	}
	return expand(n.Money, func(out []byte, name string) []byte {
		switch name {
		case "sign":
			return append(out, sign...)
		case "amount":
			// A code or a symbol of letters that the pattern sets against the
			// digits would run into them.
			if last, _ := utf8.DecodeLastRune(out); unicode.IsLetter(last) {
				out = append(out, "\u00a0"...)
			}
			return append(out, digits...)
		case "symbol":
			return append(out, symbol...)
		}
		return out
	})
}

// decimal reports whether s is digits, with or without a point and digits.
func decimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(whole) && (!point || digits(fraction))
}

// group writes a decimal number, which may have a minus, with the language's
// separators.
func (n *numbers) group(s string) string {
	whole, fraction, point := strings.Cut(s, ".")
	whole, negative := strings.CutPrefix(whole, "-")
	var room [48]byte
	out := room[:0]
	if negative {
		out = append(out, n.Minus...)
	}
	for i := range len(whole) {
		if left := len(whole) - i; i > 0 && left%3 == 0 && len(whole) >= n.GroupFrom {
			out = append(out, n.Separator...)
		}
		out = append(out, whole[i])
	}
	if point {
		out = append(append(out, n.Decimal...), fraction...)
	}
	return string(out)
}
