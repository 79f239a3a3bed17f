package parcel

import (
	"fmt"
	"slices"
	"strings"
)

// Country is an ISO 3166-1 alpha-2 code in upper case: "CN". Beside the 249
// codes of the standard it knows XK, the user-assigned code that posts and
// the European Commission use for Kosovo. The zero value means that no
// country is known. A Country made by conversion may be invalid; ask Valid.
type Country string

// countryMaxInput bounds, in bytes, what ParseCountry reads: the longest
// formal name of a state has fewer than 100.
const countryMaxInput = 160

// ParseCountry reads a country as trade data writes it: an alpha-2 or
// alpha-3 code, or a name in common use (English, short or formal, old or
// new, with or without accents and articles; for the countries of the main
// lanes also Chinese, Russian, Portuguese, Spanish, German, French and
// Italian). Case, punctuation and spacing do not matter. Numeric codes are
// not read. It returns ErrInvalid for anything else: it never guesses.
func ParseCountry(s string) (Country, error) {
	if len(s) > countryMaxInput {
		return "", fmt.Errorf("country of %d bytes: %w", len(s), ErrInvalid)
	}
	// Codes come before names: folded, AND (Andorra) would be a conjunction.
	if c, ok := countryTable().byCode[strings.ToUpper(strings.TrimSpace(s))]; ok {
		return c, nil
	}
	if c, ok := countryTable().byName[placeFold(s)]; ok {
		return c, nil
	}
	return "", fmt.Errorf("country %q: %w", s, ErrInvalid)
}

// Valid reports whether c is a country code that Country documents. The zero
// value is not valid.
func (c Country) Valid() bool {
	_, ok := countryTable().names[c]
	return ok
}

// Name returns the short English name in common use ("Russia"), or the code
// itself if c is not valid.
func (c Country) Name() string {
	if name, ok := countryTable().names[c]; ok {
		return name
	}
	return string(c)
}

// Zones returns the IANA zones of the country, the most populous first and
// the others in alphabetical order; nil if c is not valid. The slice is the
// caller's own. Source: zone.tab of the IANA time zone database, 2025b.
func (c Country) Zones() []string {
	return slices.Clone(zoneTable()[c].zones)
}

// MainZone returns the zone in which most of the country's people live, ""
// if c is not valid.
func (c Country) MainZone() string {
	if row, ok := zoneTable()[c]; ok {
		return row.zones[0]
	}
	return ""
}

// SingleZone reports whether one clock serves the whole country, so that the
// country alone proves the offset of an event: it has one zone, or all its
// zones have agreed since 2020. China counts as one, since carriers write
// Beijing time in Xinjiang too, and Ukraine, whose carriers keep Kyiv time
// wherever they work. False if c is not valid.
func (c Country) SingleZone() bool {
	return zoneTable()[c].oneClock
}

// countryUpper returns s as a country code if it is two ASCII letters that
// name a valid country.
func countryUpper(s string) (Country, bool) {
	if len(s) != 2 {
		return "", false
	}
	c := Country(strings.ToUpper(s))
	return c, c.Valid()
}
