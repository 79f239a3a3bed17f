package parcel

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tables must load on any machine

	"github.com/google/go-cmp/cmp"
)

func TestParseCountry(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Country
	}{
		{"CN", "CN"}, {"cn", "CN"}, {" BR ", "BR"}, {"RUS", "RU"}, {"rus", "RU"}, {"AND", "AD"}, {"IS", "IS"}, {"UK", "GB"}, {"EL", "GR"},
		{"Côte d'Ivoire", "CI"}, {"Côte d’Ivoire", "CI"}, {"COTE D IVOIRE", "CI"}, {"Cote d'Ivoire", "CI"}, {"Ivory Coast", "CI"},
		{"Congo, DRC", "CD"}, {"Congo (Kinshasa)", "CD"}, {"Democratic Republic of the Congo", "CD"}, {"Dem. Rep. of the Congo", "CD"},
		{"Congo", "CG"}, {"Congo (Brazzaville)", "CG"}, {"Republic of the Congo", "CG"},
		{"Russian Federation", "RU"}, {"The Russian Federation", "RU"}, {"Россия", "RU"}, {"РОССИЯ", "RU"}, {"Russia", "RU"},
		{"China (People's Rep.)", "CN"}, {"China, People's Republic of", "CN"}, {"Mainland China", "CN"}, {"CHINA", "CN"}, {"Китай", "CN"}, {"中国", "CN"}, {"P.R. China", "CN"}, {"ＣＨＩＮＡ", "CN"},
		{"Viet Nam", "VN"}, {"Vietnam", "VN"}, {"VIET-NAM", "VN"},
		{"United States of America", "US"}, {"U.S.A.", "US"}, {"usa", "US"}, {"the United States", "US"}, {"США", "US"}, {"Estados Unidos", "US"},
		{"BRASIL", "BR"}, {"Brazil", "BR"}, {"巴西", "BR"},
		{"Hong Kong, China", "HK"}, {"HongKong", "HK"}, {"Hong Kong SAR", "HK"}, {"Macau", "MO"}, {"Taiwan, Province of China", "TW"},
		{"Korea, Republic of", "KR"}, {"South Korea", "KR"}, {"Korea, Democratic People's Republic of", "KP"},
		{"Turkey", "TR"}, {"Türkiye", "TR"}, {"Tu\u0308rkiye", "TR"}, {"Czech Republic", "CZ"}, {"Swaziland", "SZ"}, {"Cape Verde", "CV"}, {"Burma", "MM"}, {"Macedonia", "MK"},
		{"St. Lucia", "LC"}, {"Saint Kitts & Nevis", "KN"}, {"Trinidad & Tobago", "TT"}, {"Bosnia & Herzegovina", "BA"}, {"Cayman Is.", "KY"},
		{"Großbritannien", "GB"}, {"Great Britain", "GB"}, {"Åland Islands", "AX"}, {"Réunion", "RE"}, {"Curacao", "CW"}, {"Kosovo", "XK"},
		{"Guinea", "GN"}, {"Guinea-Bissau", "GW"}, {"Equatorial Guinea", "GQ"}, {"Papua New Guinea", "PG"}, {"Georgia", "GE"}, {"South Georgia", "GS"},
		{"Niger", "NE"}, {"Nigeria", "NG"}, {"Dominica", "DM"}, {"Dominican Republic", "DO"}, {"Sudan", "SD"}, {"South Sudan", "SS"},
	} {
		t.Run(tc.in, func(t *testing.T) {
			got, err := ParseCountry(tc.in)
			if err != nil || got != tc.want {
				t.Errorf("ParseCountry(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
			}
		})
	}
	for _, in := range []string{"", " ", "the", "Islands", "156", "ZZ", "XX", "Atlantis", "C N", "China Brazil", "Virgin Islands", strings.Repeat("China ", 100), "\xff\xfe"} {
		if got, err := ParseCountry(in); !errors.Is(err, ErrInvalid) || got != "" {
			t.Errorf("ParseCountry(%.30q) = %q, %v; want ErrInvalid", in, got, err)
		}
	}
}

func TestEveryCountry(t *testing.T) {
	names := countryTable().names
	if len(names) != 250 { // 249 of ISO 3166-1 and XK
		t.Errorf("%d countries, want 250", len(names))
	}
	alpha3 := map[Country]string{}
	for code, c := range countryTable().byCode {
		if len(code) == 3 {
			alpha3[c] = code
		}
	}
	for c, name := range names {
		if !c.Valid() || c.Name() != name || name == "" || len(alpha3[c]) != 3 {
			t.Errorf("%s: Valid %t, Name %q, alpha-3 %q", c, c.Valid(), c.Name(), alpha3[c])
		}
		if got, err := ParseCountry(name); err != nil || got != c {
			t.Errorf("ParseCountry(%q) = %q, %v; want %q", name, got, err, c)
		}
		zones := c.Zones()
		if len(zones) == 0 || zones[0] != c.MainZone() {
			t.Fatalf("%s: zones %v, main %q", c, zones, c.MainZone())
		}
		if len(zones) == 1 && !c.SingleZone() {
			t.Errorf("%s has one zone and yet more than one clock", c)
		}
		if !slices.IsSorted(zones[1:]) {
			t.Errorf("%s: zones not in order: %v", c, zones)
		}
	}
}

func TestCountryUnknown(t *testing.T) {
	for _, c := range []Country{"", "ZZ", "cn", "CHN"} {
		if c.Valid() || c.Name() != string(c) || c.Zones() != nil || c.MainZone() != "" || c.SingleZone() {
			t.Errorf("%q: Valid %t, Name %q, Zones %v, MainZone %q, SingleZone %t", c, c.Valid(), c.Name(), c.Zones(), c.MainZone(), c.SingleZone())
		}
	}
}

func TestCountryZones(t *testing.T) {
	for c, want := range map[Country]string{
		"CN": "Asia/Shanghai", "RU": "Europe/Moscow", "BR": "America/Sao_Paulo", "US": "America/New_York", "AU": "Australia/Sydney",
		"DE": "Europe/Berlin", "KZ": "Asia/Almaty", "CA": "America/Toronto", "MX": "America/Mexico_City", "ID": "Asia/Jakarta", "GB": "Europe/London",
		"ES": "Europe/Madrid", "PT": "Europe/Lisbon", "UA": "Europe/Kyiv", "HK": "Asia/Hong_Kong", "XK": "Europe/Belgrade",
	} {
		if got := c.MainZone(); got != want {
			t.Errorf("%s.MainZone() = %q, want %q", c, got, want)
		}
	}
	for c, want := range map[Country]bool{
		"CN": true, "DE": true, "GB": true, "PL": true, "AR": true, "VN": true, "UA": true,
		"RU": false, "BR": false, "US": false, "AU": false, "ES": false, "KZ": false,
	} {
		if got := c.SingleZone(); got != want {
			t.Errorf("%s.SingleZone() = %t, want %t", c, got, want)
		}
	}
	zones := Country("RU").Zones()
	zones[0] = "spoilt"
	if got := Country("RU").MainZone(); got != "Europe/Moscow" {
		t.Errorf("a caller changed the table: %q", got)
	}
}

// TestSingleZoneKeepsOneClock compares, quarter by quarter since 2020, the
// clocks of every country that is said to have one.
func TestSingleZoneKeepsOneClock(t *testing.T) {
	decreed := map[Country]bool{"CN": true, "UA": true} // see SingleZone
	for c := range countryTable().names {
		same := true
		main := loadZone(t, c.MainZone())
		for _, name := range c.Zones()[1:] {
			zone := loadZone(t, name)
			for at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028; at = at.AddDate(0, 1, 0) {
				_, a := at.In(main).Zone()
				_, b := at.In(zone).Zone()
				same = same && a == b
			}
		}
		if c.SingleZone() != same && !decreed[c] {
			t.Errorf("%s.SingleZone() = %t, but its clocks agree: %t", c, c.SingleZone(), same)
		}
	}
}

func loadZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// TestParseCountrySCMS reads the destinations of a real shipment history.
func TestParseCountrySCMS(t *testing.T) {
	path := os.Getenv("MILEPOST_SCMS")
	if path == "" {
		path = filepath.Join("..", "..", "shared", "data", "SCMS_Delivery_History_Dataset.csv")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("the SCMS delivery history is not here (set MILEPOST_SCMS to its path): %v", err)
	}
	defer f.Close()
	r := csv.NewReader(bufio.NewReader(f))
	header, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	column := slices.Index(header, "Country")
	if column < 0 {
		t.Fatalf("no column Country in %q", header)
	}
	found := map[string]Country{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCountry(record[column])
		if err != nil {
			t.Fatal(err)
		}
		found[record[column]] = c
	}
	if len(found) != 43 {
		t.Errorf("%d countries, want 43: %v", len(found), found)
	}
	for name, want := range map[string]Country{"Côte d'Ivoire": "CI", "Congo, DRC": "CD", "Swaziland": "SZ", "South Sudan": "SS", "Vietnam": "VN"} {
		if diff := cmp.Diff(want, found[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzParseCountry(f *testing.F) {
	for _, seed := range []string{"CN", "Côte d'Ivoire", "Congo, DRC", "\xff", "the", "İ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCountry(s)
		if (err == nil) != c.Valid() {
			t.Errorf("ParseCountry(%q) = %q, %v", s, c, err)
		}
	})
}
