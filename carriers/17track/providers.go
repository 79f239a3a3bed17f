package track17

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// provider is a carrier as 17TRACK knows it.
type provider struct {
	key     int64
	carrier string // our code
	country parcel.Country
	name    string
}

// providers is the table of them, by key. It does not change.
type providers map[int64]provider

// mustProviders reads the table. It panics on one that cannot be read, which
// no user can mend.
func mustProviders(text string) providers {
	r := csv.NewReader(strings.NewReader(text))
	r.Comment = '#'
	r.FieldsPerRecord = 4
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		panic(fmt.Sprintf("%s: providers: %v", name, err))
	}
	table := providers{}
	for _, row := range rows[1:] {
		key, err := strconv.ParseInt(row[0], 10, 64)
		_, twice := table[key]
		if err != nil || twice || row[1] == "" || row[2] != "" && !parcel.Country(row[2]).Valid() {
			panic(fmt.Sprintf("%s: providers: bad row %q", name, row))
		}
		table[key] = provider{key: key, carrier: row[1], country: parcel.Country(row[2]), name: row[3]}
	}
	return table
}

// carrier is our code of a provider, empty for one that the table lacks or
// whose country is another: then the key does not mean what we think.
func (p providers) carrier(key int64, country string) string {
	row, ok := p[key]
	if !ok {
		return ""
	}
	if c, err := parcel.ParseCountry(country); err == nil && row.country != "" && c != row.country {
		return ""
	}
	return row.carrier
}

// of finds the provider of a carrier, in its country if the carrier has
// several; the lowest key of equals.
func (p providers) of(carrier string, country parcel.Country) (provider, bool) {
	var best provider
	better := func(a, b provider) bool {
		if here, there := a.country == country, b.country == country; here != there {
			return here
		}
		return a.key < b.key
	}
	for _, row := range p {
		if row.carrier == carrier && (best.key == 0 || better(row, best)) {
			best = row
		}
	}
	return best, best.key != 0
}
