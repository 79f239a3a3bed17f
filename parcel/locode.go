package parcel

import (
	"strings"
)

// ParseImpc reads the six-character code of a postal office of exchange
// (UPU code list 108): two letters of the country, three of the location,
// one that tells offices of the location apart. CNCANA is in Guangzhou, CN.
// The place has the code as Facility, and city, UN/LOCODE and zone where the
// location is in this package's table. Of an unknown location it has the
// country, and the zone if the country keeps one clock; ZoneFor assumes one
// otherwise. It reports false for any other form, for an unknown country,
// and for a city name that only looks like a code (MOSCOW, BERLIN).
func ParseImpc(code string) (Place, bool) {
	code = strings.ToUpper(strings.TrimSpace(code))
	if len(code) != 6 || !locodeAlnum(code[5]) {
		return Place{}, false
	}
	p, ok := locodePlace(code[:5], code)
	if !ok {
		return Place{}, false
	}
	p.Facility = code
	if p.City == "" {
		// The location part of an IMPC code follows UN/LOCODE by custom only:
		// without the table's word it proves no UN/LOCODE.
		p.Unlocode = ""
	}
	return p, true
}

// ParseUnlocode reads a UN/LOCODE (UN/ECE Recommendation 16): two letters of
// the country and three of the location, which may be joined by a space:
// CNSZX, CN SZX. City and zone are set where the location is in this
// package's table; else the place has the code and the country, and the zone
// if the country keeps one clock. It reports false for any other form, for
// an unknown country, and for a city name that only looks like a code
// (PARIS, PERTH).
func ParseUnlocode(code string) (Place, bool) {
	code = strings.ToUpper(strings.TrimSpace(code))
	if len(code) == 6 && code[2] == ' ' {
		code = code[:2] + code[3:]
	}
	if len(code) != 5 {
		return Place{}, false
	}
	return locodePlace(code, code)
}

// locodePlace is what both kinds of code share; whole is the code as given.
func locodePlace(code, whole string) (Place, bool) {
	country := Country(code[:2])
	if !country.Valid() || !locodeAlnum(code[2]) || !locodeAlnum(code[3]) || !locodeAlnum(code[4]) {
		return Place{}, false
	}
	p := Place{Country: country, Unlocode: code}
	if row, ok := locodeTable().rows[code]; ok {
		p.City, p.Unlocode, p.TimeZone = row.city, row.unlocode, row.zone
		return p, true
	}
	if locodeTable().names[placeFold(whole)] {
		return Place{}, false
	}
	if country.SingleZone() {
		p.TimeZone = country.MainZone()
	}
	return p, true
}

func locodeAlnum(c byte) bool { return numberLetter(c) || numberDigit(c) }
