package parcel

import (
	"testing"
)

func TestZoneFor(t *testing.T) {
	for _, tc := range []struct {
		name      string
		place     Place
		zone      string
		certainty Certainty
	}{
		{"nothing", Place{}, "", CertaintyUnknown},
		{"no country", Place{City: "Shenzhen"}, "", CertaintyUnknown},
		{"unknown country", Place{Country: "ZZ", City: "Moscow"}, "", CertaintyUnknown},
		{"explicit", Place{Country: "RU", TimeZone: "Asia/Omsk", Postcode: "620014"}, "Asia/Omsk", CertaintyPlace},
		{"explicit UTC", Place{TimeZone: "UTC"}, "UTC", CertaintyPlace},
		{"explicit rubbish", Place{Country: "DE", TimeZone: "../etc/passwd"}, "Europe/Berlin", CertaintyPlace},
		{"explicit offset is no zone", Place{Country: "DE", TimeZone: "GMT+8"}, "Europe/Berlin", CertaintyPlace},
		{"China", Place{Country: "CN"}, "Asia/Shanghai", CertaintyPlace},
		{"Urumqi keeps Beijing time", Place{Country: "CN", City: "Urumqi"}, "Asia/Shanghai", CertaintyPlace},
		{"Germany", Place{Country: "DE", City: "Radefeld"}, "Europe/Berlin", CertaintyPlace},
		{"Russia", Place{Country: "RU"}, "Europe/Moscow", CertaintyAssumed},
		{"Russian postcode", Place{Country: "RU", Postcode: "620014", City: "Москва"}, "Asia/Yekaterinburg", CertaintyPlace},
		{"Russian abroad", Place{Country: "RU", Postcode: "000000"}, "Europe/Moscow", CertaintyAssumed},
		{"abroad in China", Place{Country: "CN", Postcode: "000000"}, "Asia/Shanghai", CertaintyPlace},
		{"Russian city", Place{Country: "RU", City: "Владивосток"}, "Asia/Vladivostok", CertaintyPlace},
		{"Russian city, Latin", Place{Country: "RU", City: "EKATERINBURG"}, "Asia/Yekaterinburg", CertaintyPlace},
		{"Russian village", Place{Country: "RU", City: "Простоквашино"}, "Europe/Moscow", CertaintyAssumed},
		{"IMPC in facility", Place{Country: "RU", Facility: "RUSVXA"}, "Asia/Yekaterinburg", CertaintyPlace},
		{"IMPC without country", Place{Facility: "USCHIA"}, "America/Chicago", CertaintyPlace},
		{"IMPC of another country", Place{Country: "US", Facility: "RUSVXA"}, "America/New_York", CertaintyAssumed},
		{"facility that looks like a code", Place{Facility: "DEPOT1"}, "", CertaintyUnknown},
		{"UN/LOCODE", Place{Country: "BR", Unlocode: "BRMAO"}, "America/Manaus", CertaintyPlace},
		{"UN/LOCODE without country", Place{Unlocode: "CNSZX"}, "Asia/Shanghai", CertaintyPlace},
		{"UN/LOCODE unknown", Place{Unlocode: "RUQQQ"}, "Europe/Moscow", CertaintyAssumed},
		{"state", Place{Country: "US", Region: "CA"}, "America/Los_Angeles", CertaintyPlace},
		{"state by name", Place{Country: "US", Region: "Texas"}, "America/Chicago", CertaintyPlace},
		{"divided state", Place{Country: "US", Region: "TN"}, "America/Chicago", CertaintyAssumed},
		{"city of a divided state", Place{Country: "US", Region: "TN", City: "Knoxville"}, "America/New_York", CertaintyPlace},
		{"city that departs from its state", Place{Country: "US", Region: "TX", City: "El Paso"}, "America/Denver", CertaintyPlace},
		{"the other Portland", Place{Country: "US", Region: "ME", City: "Portland"}, "America/New_York", CertaintyPlace},
		{"Portland", Place{Country: "US", Region: "OR", City: "PORTLAND"}, "America/Los_Angeles", CertaintyPlace},
		{"Portland, ME", Place{Country: "US", City: "Portland, ME"}, "America/New_York", CertaintyPlace},
		{"unknown state", Place{Country: "US", Region: "XX", City: "Chicago"}, "America/Chicago", CertaintyPlace},
		{"USPS centre", Place{Country: "US", City: "CHICAGO IL INTERNATIONAL DISTRIBUTION CENTER"}, "America/Chicago", CertaintyPlace},
		{"USPS ISC", Place{Country: "US", City: "ISC CHICAGO IL(USPS)"}, "America/Chicago", CertaintyPlace},
		{"USPS town", Place{Country: "US", City: "WALLA WALLA WA"}, "America/Los_Angeles", CertaintyPlace},
		{"a word is no state", Place{Country: "US", City: "Truth or"}, "America/New_York", CertaintyAssumed},
		{"a state alone is no city", Place{Country: "US", City: "OR"}, "America/New_York", CertaintyAssumed},
		{"ZIP", Place{Country: "US", Postcode: "60616"}, "America/Chicago", CertaintyPlace},
		{"ZIP+4", Place{Country: "US", Postcode: "97201-1234"}, "America/Los_Angeles", CertaintyPlace},
		{"military ZIP", Place{Country: "US", Postcode: "09012"}, "America/New_York", CertaintyAssumed},
		{"Australian suburb", Place{Country: "AU", City: "CARLTON VIC"}, "Australia/Melbourne", CertaintyPlace},
		{"Australian city", Place{Country: "AU", City: "SYDNEY NSW"}, "Australia/Sydney", CertaintyPlace},
		{"Australian postcode", Place{Country: "AU", Postcode: "6000"}, "Australia/Perth", CertaintyPlace},
		{"Brazilian state", Place{Country: "BR", Region: "AM", City: "Parintins"}, "America/Manaus", CertaintyPlace},
		{"Brazilian city", Place{Country: "BR", City: "CURITIBA"}, "America/Sao_Paulo", CertaintyPlace},
		{"Brazilian city with state", Place{Country: "BR", City: "CAMPO GRANDE-MS"}, "America/Campo_Grande", CertaintyPlace},
		{"Brazilian town with state", Place{Country: "BR", City: "TEFE/AM"}, "America/Manaus", CertaintyPlace},
		{"CEP", Place{Country: "BR", Postcode: "69005-040"}, "America/Manaus", CertaintyPlace},
		{"Canadian province", Place{Country: "CA", Region: "British Columbia"}, "America/Vancouver", CertaintyPlace},
		{"Canadian postcode", Place{Country: "CA", Postcode: "k1a 0b1"}, "America/Toronto", CertaintyPlace},
		{"two zones in a prefix", Place{Country: "CA", Postcode: "V0C 1A0"}, "America/Toronto", CertaintyAssumed},
		{"Mexican city", Place{Country: "MX", City: "Tijuana"}, "America/Tijuana", CertaintyPlace},
		{"Kazakhstan", Place{Country: "KZ", City: "Алматы"}, "Asia/Almaty", CertaintyPlace},
		{"Bali", Place{Country: "ID", City: "Denpasar"}, "Asia/Makassar", CertaintyPlace},
		{"Canaries", Place{Country: "ES", Postcode: "35001"}, "Atlantic/Canary", CertaintyPlace},
		{"Réunion under FR", Place{Country: "FR", Postcode: "97400"}, "Indian/Reunion", CertaintyPlace},
		{"France", Place{Country: "FR", Postcode: "75001"}, "Europe/Paris", CertaintyPlace},
	} {
		t.Run(tc.name, func(t *testing.T) {
			zone, certainty := ZoneFor(tc.place)
			if zone != tc.zone || certainty != tc.certainty {
				t.Errorf("ZoneFor(%+v) = %q, %s; want %q, %s", tc.place, zone, certainty, tc.zone, tc.certainty)
			}
		})
	}
}

// TestZoneTables loads every zone that a table names and sees that it is one
// of its country.
func TestZoneTables(t *testing.T) {
	check := func(where string, c Country, zone string) {
		loadZone(t, zone)
		known := zoneTable()[c].zones
		for _, z := range known {
			if z == zone {
				return
			}
		}
		t.Errorf("%s: %s is not a zone of %s", where, zone, c)
	}
	for c, row := range zoneTable() {
		if !c.Valid() {
			t.Errorf("zones.csv: %q is no country", c)
		}
		for _, zone := range row.zones {
			loadZone(t, zone)
		}
	}
	// Posts write some islands, which have codes of their own, under the
	// code of the country they belong to; Crimea is under UA in zone.tab.
	elsewhere := map[Country]map[string]bool{
		"RU": {"Europe/Simferopol": true, "Asia/Qyzylorda": true},
		"US": {"America/Puerto_Rico": true, "Pacific/Guam": true, "America/St_Thomas": true},
		"AU": {"Pacific/Norfolk": true, "Indian/Christmas": true, "Indian/Cocos": true},
		"FR": {"America/Guadeloupe": true, "America/Martinique": true, "America/Cayenne": true, "Indian/Reunion": true,
			"America/Miquelon": true, "Indian/Mayotte": true, "Pacific/Tahiti": true, "Pacific/Noumea": true},
	}
	for key, city := range zoneCities() {
		if elsewhere[key.country][city.zone] {
			continue
		}
		check("cities.csv "+key.name, key.country, city.zone)
		if key.country.SingleZone() {
			t.Errorf("cities.csv: %s needs no cities: one clock serves it", key.country)
		}
		if _, ok := zoneRegions()[zoneKey{key.country, placeFold(city.region)}]; city.region != "" && !ok {
			t.Errorf("cities.csv: %s: no region %s in %s", key.name, city.region, key.country)
		}
	}
	for key, region := range zoneRegions() {
		if !elsewhere[key.country][region.zone] {
			check("regions.csv "+key.name, key.country, region.zone)
		}
	}
	for c, row := range postcodeTable() {
		for _, span := range row.ranges {
			if span.zone != "-" && !elsewhere[c][span.zone] {
				check("postcodes.csv "+span.first, c, span.zone)
			}
		}
	}
	for code, row := range locodeTable().rows {
		check("locodes.csv "+code, Country(code[:2]), row.zone)
	}
}

// TestZoneCities sees that every city of the table is found by ZoneFor, by
// each of its names, in capitals too, and that the large countries have many.
func TestZoneCities(t *testing.T) {
	count := map[Country]int{}
	for key, city := range zoneCities() {
		count[key.country]++
		zone, certainty := ZoneFor(Place{Country: key.country, City: key.name, Region: city.region})
		if zone != city.zone || certainty != CertaintyPlace {
			t.Errorf("ZoneFor(%s %s) = %q, %s; want %q", key.country, key.name, zone, certainty, city.zone)
		}
	}
	for _, c := range []Country{"RU", "US", "BR", "AU", "CA", "KZ", "MX", "ID"} {
		if count[c] < 20 {
			t.Errorf("%d cities of %s", count[c], c)
		}
	}
	// A city with a location code has the zone that the code has.
	for code, row := range locodeTable().rows {
		key := zoneKey{Country(code[:2]), placeFold(row.city)}
		if city, ok := zoneCities()[key]; ok && city.zone != row.zone {
			t.Errorf("%s %s: %s by code, %s by city", code, row.city, row.zone, city.zone)
		}
	}
}

func FuzzZoneFor(f *testing.F) {
	f.Add("US", "CA", "ISC CHICAGO IL(USPS)", "60616", "USCHIA", "USCHI", "America/Chicago")
	f.Add("BR", "", "CURITIBA-PR", "80010-000", "", "", "")
	f.Add("RU", "", "-", "00000\xff", "------", "    ", "/")
	f.Fuzz(func(t *testing.T, country, region, city, postcode, facility, unlocode, zone string) {
		p := Place{Country(country), region, city, postcode, facility, unlocode, zone}
		got, certainty := ZoneFor(p)
		if (got == "") != (certainty == CertaintyUnknown) || certainty == CertaintyReported || certainty == "" {
			t.Errorf("ZoneFor(%+v) = %q, %s", p, got, certainty)
		}
	})
}

func BenchmarkZoneFor(b *testing.B) {
	for name, p := range map[string]Place{
		"postcode":  {Country: "RU", Postcode: "620014"},
		"one clock": {Country: "CN", City: "Shenzhen"},
		"city":      {Country: "RU", City: "Санкт-Петербург"},
		"centre":    {Country: "US", City: "CHICAGO IL INTERNATIONAL DISTRIBUTION CENTER"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ZoneFor(p)
			}
		})
	}
}
