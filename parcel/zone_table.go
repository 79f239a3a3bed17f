package parcel

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// Tables of zones: of countries (zone.tab of the IANA time zone database,
// 2025b), of states and provinces, and of cities in countries where the
// country alone does not tell the clock.
var (
	//go:embed tables/zones.csv
	zonesCSV string
	//go:embed tables/regions.csv
	regionsCSV string
	//go:embed tables/cities.csv
	citiesCSV string
)

type zoneRow struct {
	zones    []string // the most populous first; never empty
	oneClock bool
}

// zoneTable, like the other tables below, is read once, at first use; nobody
// writes to it afterwards.
var zoneTable = sync.OnceValue(func() map[Country]zoneRow {
	const name = "tables/zones.csv"
	table := map[Country]zoneRow{}
	for _, f := range tableLines(name, zonesCSV, 3) {
		table[Country(f[0])] = zoneRow{zones: strings.Fields(f[2]), oneClock: f[1] == "one"}
	}
	for c := range countryTable().names {
		if len(table[c].zones) == 0 {
			panic(fmt.Sprintf("%s: no zone for %s", name, c))
		}
	}
	return table
})

// zoneKey is a name within a country, folded by placeFold.
type zoneKey struct {
	country Country
	name    string
}

type zoneRegion struct {
	code      string // upper case: "SP"
	zone      string
	certainty Certainty // ASSUMED where more than a twentieth live in another zone
}

// zoneRegions finds a region by its code or any of its names.
var zoneRegions = sync.OnceValue(func() map[zoneKey]zoneRegion {
	const name = "tables/regions.csv"
	table := map[zoneKey]zoneRegion{}
	for _, f := range tableLines(name, regionsCSV, 5) {
		region := zoneRegion{code: f[1], zone: f[2], certainty: CertaintyPlace}
		if f[3] == "most" {
			region.certainty = CertaintyAssumed
		}
		for known := range strings.SplitSeq(f[1]+"|"+f[4], "|") {
			key := zoneKey{Country(f[0]), placeFold(known)}
			if had, ok := table[key]; ok && had != region {
				panic(fmt.Sprintf("%s: %q is %s and %s", name, known, had.code, region.code))
			}
			table[key] = region
		}
	}
	return table
})

type zoneCity struct {
	region string // code of the state, "" where the table has no states
	zone   string
}

// zoneCities finds a city of a country with more than one clock by any of
// its names.
var zoneCities = sync.OnceValue(func() map[zoneKey]zoneCity {
	const name = "tables/cities.csv"
	table := map[zoneKey]zoneCity{}
	for _, f := range tableLines(name, citiesCSV, 4) {
		city := zoneCity{region: f[1], zone: f[2]}
		for known := range strings.SplitSeq(f[3], "|") {
			key := zoneKey{Country(f[0]), placeFold(known)}
			if had, ok := table[key]; ok && had != city {
				panic(fmt.Sprintf("%s: %q is in %s and %s", name, known, had.zone, city.zone))
			}
			table[key] = city
		}
	}
	return table
})
