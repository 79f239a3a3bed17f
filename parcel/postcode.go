package parcel

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// RussianPostcodeZone returns the IANA zone in which the office with a
// six-digit Russian postal index keeps its clock, by the region that the
// first three digits name (by district in Yakutia, which has three clocks).
// It reports false for any other form, for a prefix that no region has, and
// for 000000, which Russian Post writes for places abroad.
func RussianPostcodeZone(index string) (zone string, ok bool) {
	if len(index) != 6 || strings.Trim(index, "0123456789") != "" {
		return "", false
	}
	return postcodeZone("RU", index)
}

// FoldPostcode brings a postcode, as people type it, to the form in which two
// are compared: letters A to Z in upper case and digits count, case and what
// stands between does not. A postcode of other scripts alone folds to nothing,
// which is no postcode.
func FoldPostcode(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		default:
			return -1
		}
	}, s)
}

// postcodesCSV is described in its first line.
//
//go:embed tables/postcodes.csv
var postcodesCSV string

// postcodeRange is the prefixes from first to last, both of the same length.
type postcodeRange struct {
	first, last, zone string
}

type postcodeRow struct {
	lengths []int
	ranges  []postcodeRange // the longest prefixes first
}

// postcodeTable is read once, at first use; nobody writes to it afterwards.
var postcodeTable = sync.OnceValue(func() map[Country]postcodeRow {
	const name = "tables/postcodes.csv"
	table := map[Country]postcodeRow{}
	for _, f := range tableLines(name, postcodesCSV, 4) {
		row := table[Country(f[0])]
		if row.lengths == nil {
			for length := range strings.FieldsSeq(f[1]) {
				n, err := strconv.Atoi(length)
				if err != nil {
					panic(fmt.Sprintf("%s: length %q", name, length))
				}
				row.lengths = append(row.lengths, n)
			}
		}
		for span := range strings.FieldsSeq(f[3]) {
			first, last, _ := strings.Cut(span, "-")
			if last == "" {
				last = first
			}
			if len(first) != len(last) || first > last {
				panic(fmt.Sprintf("%s: range %q", name, span))
			}
			row.ranges = append(row.ranges, postcodeRange{first, last, f[2]})
		}
		slices.SortStableFunc(row.ranges, func(a, b postcodeRange) int { return len(b.first) - len(a.first) })
		table[Country(f[0])] = row
	}
	return table
})

// postcodeZone returns the zone that a postcode proves, in any of the ways
// it is written: "80010-000", "K1A 0B1". It reports false where it proves
// none.
func postcodeZone(c Country, postcode string) (string, bool) {
	row, ok := postcodeTable()[c]
	if !ok || postcode == "" || len(postcode) > 16 {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '.' {
			return -1
		}
		return r
	}, strings.ToUpper(postcode))
	if !slices.Contains(row.lengths, len(code)) {
		return "", false
	}
	for _, span := range row.ranges {
		if prefix := code[:len(span.first)]; prefix >= span.first && prefix <= span.last {
			return span.zone, span.zone != "-"
		}
	}
	return "", false
}
