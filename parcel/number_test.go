package parcel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCheckDigit(t *testing.T) {
	for serial, want := range map[string]int{
		"74120365": 6, // the example of the standard's sheet
		"47312482": 9, // the standard's own example, RR 473124829 GB
		"51820447": 5, "51820464": 3, "51820473": 1, "51820488": 1, "30558416": 5, "60418235": 3, "60418249": 0,
		"00000000": 5, // 11 gives 5
	} {
		if got, err := CheckDigit(serial); err != nil || got != want {
			t.Errorf("CheckDigit(%s) = %d, %v; want %d", serial, got, err, want)
		}
	}
	for _, serial := range []string{"", "7412036", "741203656", "7412036A", "７４１２０３６５", "-7412036"} {
		if _, err := CheckDigit(serial); !errors.Is(err, ErrInvalid) {
			t.Errorf("CheckDigit(%q): %v; want ErrInvalid", serial, err)
		}
	}
}

func TestParseS10(t *testing.T) {
	for _, tc := range []struct {
		number string
		want   S10
	}{
		{"LZ741203656CN", S10{"LZ", "74120365", 6, "CN", true}},
		{"RB518204475CN", S10{"RB", "51820447", 5, "CN", true}},
		{"LP000000001CN", S10{"LP", "00000000", 1, "CN", false}},
		{"EA123456785DE", S10{"EA", "12345678", 5, "DE", true}},
	} {
		t.Run(tc.number, func(t *testing.T) {
			got, ok := ParseS10(tc.number)
			if !ok {
				t.Fatal("not read")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.String() != tc.number {
				t.Errorf("String() = %q", got)
			}
		})
	}
	for _, number := range []string{"", "LZ741203656", "LZ74120365CN", "L1741203656CN", "LZ7412O3656CN", "LZ741203656ZZ", "UG018345672YP", "lz741203656cn", "LZ 741203656 CN", "1Z4X7E926844102758"} {
		if got, ok := ParseS10(number); ok {
			t.Errorf("ParseS10(%q) = %+v; want none", number, got)
		}
	}
}

func TestS10RoundTrip(t *testing.T) {
	countries := make([]Country, 0, len(countryTable().names))
	for c := range countryTable().names {
		countries = append(countries, c)
	}
	slices.Sort(countries)
	rapid.Check(t, func(t *rapid.T) {
		serial := fmt.Sprintf("%08d", rapid.IntRange(0, 99_999_999).Draw(t, "serial"))
		check, err := CheckDigit(serial)
		if err != nil {
			t.Fatal(err)
		}
		want := S10{
			Service:    rapid.StringMatching(`[A-Z]{2}`).Draw(t, "service"),
			Serial:     serial,
			Check:      check,
			Origin:     rapid.SampledFrom(countries).Draw(t, "origin"),
			CheckValid: true,
		}
		got, ok := ParseS10(NormalizeNumber(strings.ToLower(want.String())))
		if !ok || got != want {
			t.Fatalf("ParseS10(%s) = %+v, %t; want %+v", want, got, ok, want)
		}
		// Modulo 11 with these weights finds every single wrong digit, but for
		// the two remainders that the standard folds onto 0 and 5.
		i := rapid.IntRange(0, 7).Draw(t, "place")
		other := []byte(serial)
		other[i] = '0' + (other[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		wrong := want
		wrong.Serial = string(other)
		if got, _ := ParseS10(wrong.String()); got.CheckValid && check != 0 && check != 5 {
			t.Fatalf("%s passes, and so does %s", want, wrong)
		}
	})
}

func TestNormalizeNumber(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		" lz741203656cn ":                     "LZ741203656CN",
		"LZ 741 203 656 CN":                   "LZ741203656CN",
		"LZ-7412\u20110365–6—CN":              "LZ741203656CN",
		"00340.434981.200544177":              "00340434981200544177",
		"\ufeffRB5182\u200b04475\u00a0CN\r\n": "RB518204475CN",
		"ＬＺ７４１２０３６５６ＣＮ":                "LZ741203656CN",
		"ｌｚ－７４１　２０３":                   "LZ741203",
		"1z O0 I1":                     "1ZO0I1",
		"YT/26_2":                      "YT/26_2",
		"\u202eLP1\u202c\u00ad2\ufe0f": "LP12",
		"рв518":                        "РВ518", // Cyrillic stays Cyrillic
	} {
		if got := NormalizeNumber(in); got != want {
			t.Errorf("NormalizeNumber(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzNormalizeNumber(f *testing.F) {
	for _, seed := range []string{"lz 741203656 cn", "ＬＺ７", "\xff\u200b", "ŉǰΐ", "ſKı"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := NormalizeNumber(s)
		if twice := NormalizeNumber(once); twice != once {
			t.Errorf("NormalizeNumber(%q) = %q, then %q", s, once, twice)
		}
		if strings.Count(once, "0") < strings.Count(s, "0") {
			t.Errorf("NormalizeNumber(%q) = %q lost a zero", s, once)
		}
		ParseS10(once)
		_, _ = CheckUPS(once)
		hints := LookAlikes(s)
		if len(hints) > numberMaxLookAlikes || slices.Contains(hints, once) {
			t.Errorf("LookAlikes(%q) = %q", s, hints)
		}
	})
}

func TestLookAlikes(t *testing.T) {
	for _, tc := range []struct {
		name, number string
		want         []string // all of them, but for those past the eighth
	}{
		{"nothing to exchange", "LZ742233656CN", nil},
		{"right, with digits that may be exchanged", "LZ741203656CN", nil},
		{"right, of UPS", "1Z4X7E926844102758", nil},
		{"wrong, of UPS, where a letter for a digit would fit", "1Z4X7E926844102768", nil},
		{"a wrong check digit that no exchange mends", "LZ741203657CN", nil},
		{"a form without a check digit", "AB1", []string{"ABI"}},
		{"empty", "", nil},
		{"too long", strings.Repeat("O", 41), nil},
		{"letters among the digits", "LZ74I2O3656CN", []string{"LZ741203656CN"}},
		{"digit among the letters", "L0442233654CN", []string{"LO442233654CN"}},
		{"Cyrillic", "РВ518242475СН", []string{"PB518242475CH"}},
		{"UPS", "IZ4X7E926844I02758", []string{"1Z4X7E926844102758"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := LookAlikes(tc.number); !slices.Equal(got, tc.want) {
				t.Errorf("LookAlikes(%q) = %q, want %q", tc.number, got, tc.want)
			}
		})
	}
	if got := LookAlikes(strings.Repeat("O", 40)); len(got) != numberMaxLookAlikes {
		t.Errorf("%d suggestions, want %d", len(got), numberMaxLookAlikes)
	}
}

func TestCheckUPS(t *testing.T) {
	for _, tc := range []struct {
		number            string
		valid, applicable bool
	}{
		{"1Z4X7E926844102758", true, true},
		{"1Z4X7E926844103382", true, true},
		{"1Z999AA10123456784", true, true},
		{"1Z4X7E926844102759", false, true},
		{"1Z4X7E926844120758", false, true},
		{"1Z4X7E92684410275", false, false},
		{"1Z4X7E92684410275A", false, false},
		{"1Z4X7E92684410275-", false, false},
		{"1Z4x7E926844102758", false, false},
		{"LZ741203656CN", false, false},
		{"", false, false},
	} {
		valid, applicable := CheckUPS(tc.number)
		if valid != tc.valid || applicable != tc.applicable {
			t.Errorf("CheckUPS(%q) = %t, %t; want %t, %t", tc.number, valid, applicable, tc.valid, tc.applicable)
		}
	}
}
