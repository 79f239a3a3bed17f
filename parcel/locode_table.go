package parcel

import (
	_ "embed"
	"fmt"
	"sync"
)

// locodesCSV holds location code; city; zone, empty where the country's main
// zone is meant; UN/LOCODE, where the code is only an airport's or a post's.
//
//go:embed tables/locodes.csv
var locodesCSV string

type locodeRow struct {
	city, zone, unlocode string
}

type locodeIndex struct {
	rows  map[string]locodeRow
	names map[string]bool // folded names of cities, to tell them from codes
}

// locodeTable is read once, at first use; nobody writes to it afterwards.
var locodeTable = sync.OnceValue(func() locodeIndex {
	const name = "tables/locodes.csv"
	ix := locodeIndex{rows: map[string]locodeRow{}, names: map[string]bool{}}
	for _, f := range tableLines(name, locodesCSV, 4) {
		code, row := f[0], locodeRow{city: f[1], zone: f[2], unlocode: f[3]}
		if row.zone == "" {
			row.zone = Country(code[:2]).MainZone()
		}
		if row.unlocode == "" {
			row.unlocode = code
		}
		if _, twice := ix.rows[code]; twice || len(code) != 5 || row.zone == "" {
			panic(fmt.Sprintf("%s: code %q", name, code))
		}
		ix.rows[code] = row
		ix.names[placeFold(row.city)] = true
	}
	for key := range zoneCities() {
		ix.names[key.name] = true
	}
	return ix
})
