package parcel

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// countriesCSV holds alpha-2; alpha-3; short English name; other names,
// separated by bars.
//
//go:embed tables/countries.csv
var countriesCSV string

type countryIndex struct {
	names  map[Country]string // short English names
	byCode map[string]Country // by alpha-2 and alpha-3
	byName map[string]Country // by placeFold of every name
}

// countryTable is read once, at first use; nobody writes to it afterwards.
// A fault in the embedded table panics: it is a fault of the build, and the
// tests of this package read every line.
var countryTable = sync.OnceValue(func() countryIndex {
	const name = "tables/countries.csv"
	ix := countryIndex{names: map[Country]string{}, byCode: map[string]Country{}, byName: map[string]Country{}}
	put := func(to map[string]Country, key string, c Country) {
		if had, ok := to[key]; ok && had != c || key == "" {
			panic(fmt.Sprintf("%s: %q means %s and %s", name, key, had, c))
		}
		to[key] = c
	}
	for _, f := range tableLines(name, countriesCSV, 4) {
		c := Country(f[0])
		ix.names[c] = f[2]
		put(ix.byCode, f[0], c)
		put(ix.byCode, f[1], c)
		put(ix.byName, placeFold(f[2]), c)
		for other := range strings.SplitSeq(f[3], "|") {
			if other != "" {
				put(ix.byName, placeFold(other), c)
			}
		}
	}
	return ix
})

// tableLines splits an embedded table into lines of exactly n fields, which
// semicolons separate. Empty lines and lines that begin with # are left out.
func tableLines(name, text string, n int) [][]string {
	var lines [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, ";")
		if len(fields) != n {
			panic(fmt.Sprintf("%s: %d fields instead of %d: %s", name, len(fields), n, line))
		}
		lines = append(lines, fields)
	}
	return lines
}
