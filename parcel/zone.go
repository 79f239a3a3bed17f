package parcel

import (
	"slices"
	"strings"
)

// ZoneFor returns the IANA zone in which the clocks of a place run, and how
// surely that is known:
//
//   - PLACE where the place itself decides: by TimeZone, postcode, UN/LOCODE
//     or IMPC code, city, state, or because its country keeps one clock;
//   - ASSUMED where the country, or a state that two zones divide, is all
//     that is known: then it is the zone in which most people there live;
//   - UNKNOWN, with "", where not even the country is known.
//
// It is never REPORTED: that word is for an offset that a source wrote. What
// is not recognised is passed over, never an error. A zone that comes from
// the tables loads with time.LoadLocation; a TimeZone of the place's own is
// returned as it is if it has the form of a zone name.
func ZoneFor(p Place) (zone string, certainty Certainty) {
	if zoneNamed(p.TimeZone) {
		return p.TimeZone, CertaintyPlace
	}
	if p.Country == "" {
		p.Country = zoneCountryOf(p)
	}
	if zone, ok := postcodeZone(p.Country, p.Postcode); ok {
		return zone, CertaintyPlace
	}
	if p.Country.SingleZone() {
		return p.Country.MainZone(), CertaintyPlace
	}
	if zone, ok := zoneOfCode(p); ok {
		return zone, CertaintyPlace
	}
	if zone, certainty := zoneOfCity(p); zone != "" {
		return zone, certainty
	}
	if zone := p.Country.MainZone(); zone != "" {
		return zone, CertaintyAssumed
	}
	return "", CertaintyUnknown
}

// zoneNamed reports whether s has the form of an IANA zone name.
func zoneNamed(s string) bool {
	if s == "UTC" {
		return true
	}
	if len(s) > 40 || strings.Contains(s, "..") || strings.HasPrefix(s, "/") || !strings.Contains(s, "/") {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == ""
}

// zoneCountryOf finds the country of a place that names none but has a code
// that does. A facility counts only if the table knows its location: other
// facilities have names of their own that may look like codes.
func zoneCountryOf(p Place) Country {
	if at, ok := ParseUnlocode(p.Unlocode); ok {
		return at.Country
	}
	if at, ok := ParseImpc(p.Facility); ok && at.City != "" {
		return at.Country
	}
	return ""
}

// zoneOfCode finds the zone of the place's location codes.
func zoneOfCode(p Place) (string, bool) {
	if at, ok := ParseUnlocode(p.Unlocode); ok && at.Country == p.Country && at.City != "" {
		return at.TimeZone, true
	}
	if at, ok := ParseImpc(p.Facility); ok && at.Country == p.Country && at.City != "" {
		return at.TimeZone, true
	}
	return "", false
}

// zoneOfCity finds the zone of the place's city and state. A city that the
// table has in another state than the place names is another city; a state
// that nobody knows proves nothing either way.
func zoneOfCity(p Place) (string, Certainty) {
	names, state := zoneCityNames(p.Country, p.City)
	if p.Region != "" {
		state = p.Region
	}
	region, inRegion := zoneRegions()[zoneKey{p.Country, placeFold(state)}]
	for _, name := range names {
		city, ok := zoneCities()[zoneKey{p.Country, placeFold(name)}]
		if ok && (!inRegion || city.region == "" || city.region == region.code) {
			return city.zone, CertaintyPlace
		}
	}
	return region.zone, region.certainty
}

// zoneCityNames returns what may be the name of the city in the words of a
// carrier, the fullest first, and the code of a state that follows it:
// "Portland, OR", "SYDNEY NSW", "CURITIBA-PR", "Moscow (RU)", "CHICAGO IL
// INTERNATIONAL DISTRIBUTION CENTER", "ISC NEW YORK NY(USPS)".
func zoneCityNames(c Country, s string) (names []string, state string) {
	if s == "" || len(s) > 120 {
		return nil, ""
	}
	names = []string{s}
	if i := strings.IndexAny(s, ",(/"); i > 0 {
		names = append(names, s[:i])
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,()/", r) })
	words = slices.DeleteFunc(words, func(w string) bool { return w == "-" || zoneFacilityWord(w) })
	if len(words) == 0 {
		return names, ""
	}
	names = append(names, strings.Join(words, " "))
	// A code is written in capitals and follows the name of the city.
	head, last := words[:len(words)-1], words[len(words)-1]
	if i := strings.LastIndexByte(last, '-'); i > 0 {
		head, last = append(head, last[:i]), last[i+1:]
	}
	if region, ok := zoneRegions()[zoneKey{c, placeFold(last)}]; ok && len(head) > 0 && region.code == last {
		return append(names, strings.Join(head, " ")), last
	}
	return names, ""
}

// zoneFacilityWord tells the words that posts put around the name of a city.
func zoneFacilityWord(w string) bool {
	switch strings.ToLower(w) {
	case "isc", "usps", "international", "intl", "distribution", "center", "centre", "network", "regional",
		"facility", "processing", "gateway", "sort", "sorting", "hub", "airport":
		return true
	}
	return false
}
