package words

import (
	"strconv"
	"strings"
)

// category is a plural category of CLDR.
type category string

// The categories.
const (
	zero  category = "zero"
	one   category = "one"
	two   category = "two"
	few   category = "few"
	many  category = "many"
	other category = "other"
)

// Count returns a counted thing in words: "3 days". The keys are those of the
// files' count section: parcels, events, earlier (events not shown), days,
// hours, minutes, and days_ago, hours_ago, minutes_ago. A key without words
// gives the number alone. A negative n takes the form of its absolute value.
func Count(l Locale, key string, n int) string {
	b := l.book()
	number := b.Numbers.group(strconv.Itoa(n))
	forms, ok := b.Count[key]
	if !ok {
		b = English.book()
		if forms, ok = b.Count[key]; !ok {
			return number
		}
	}
	pattern, ok := forms[plural(b.locale, n)]
	if !ok {
		pattern = forms[other]
	}
	return strings.Replace(pattern, "{n}", number, 1)
}

// plural returns the category of a whole number, by the cardinal rules of
// Unicode CLDR 48. Categories for fractions alone (Russian "other") never come
// up.
func plural(l Locale, n int) category {
	// Remainders are small, so their absolute values exist; that of the least
	// int does not.
	ten, hundred := abs(n%10), abs(n%100)
	switch l {
	case "en", "de", "tr", "kk", "uz":
		if abs(n) == 1 {
			return one
		}
	case "es":
		switch {
		case abs(n) == 1:
			return one
		case millions(n):
			return many
		}
	case "fr", "pt-BR":
		switch {
		case n >= -1 && n <= 1:
			return one
		case millions(n):
			return many
		}
	case "ru", "uk":
		switch {
		case ten == 1 && hundred != 11:
			return one
		case ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14):
			return few
		}
		return many
	case "pl":
		switch {
		case abs(n) == 1:
			return one
		case ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14):
			return few
		}
		return many
	case "he":
		switch abs(n) {
		case 1:
			return one
		case 2:
			return two
		}
	case "ar":
		switch {
		case n == 0:
			return zero
		case abs(n) == 1:
			return one
		case abs(n) == 2:
			return two
		case hundred >= 3 && hundred <= 10:
			return few
		case hundred >= 11:
			return many
		}
	}
	return other
}

// millions reports whether n is a whole number of millions, and not none: the
// Romance languages then say "de".
func millions(n int) bool { return n != 0 && n%1_000_000 == 0 }

// abs is the absolute value; the least int, which has none, gives itself.
func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
