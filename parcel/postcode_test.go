package parcel

import "testing"

func TestRussianPostcodeZone(t *testing.T) {
	for index, want := range map[string]string{
		"104001": "Europe/Moscow", "101000": "Europe/Moscow", "142279": "Europe/Moscow", "190000": "Europe/Moscow", "344000": "Europe/Moscow",
		"420000": "Europe/Moscow", "350000": "Europe/Moscow", "440000": "Europe/Moscow", "603000": "Europe/Moscow",
		"236000": "Europe/Kaliningrad", "400000": "Europe/Volgograd", "410000": "Europe/Saratov", "414000": "Europe/Astrakhan",
		"443000": "Europe/Samara", "426000": "Europe/Samara", "432000": "Europe/Ulyanovsk", "610000": "Europe/Kirov",
		"620014": "Asia/Yekaterinburg", "620960": "Asia/Yekaterinburg", "450000": "Asia/Yekaterinburg", "454000": "Asia/Yekaterinburg",
		"460000": "Asia/Yekaterinburg", "614000": "Asia/Yekaterinburg", "625000": "Asia/Yekaterinburg", "640000": "Asia/Yekaterinburg",
		"644000": "Asia/Omsk", "630000": "Asia/Novosibirsk", "634000": "Asia/Tomsk", "656000": "Asia/Barnaul", "650000": "Asia/Novokuznetsk",
		"660000": "Asia/Krasnoyarsk", "663300": "Asia/Krasnoyarsk", "667000": "Asia/Krasnoyarsk", "664000": "Asia/Irkutsk", "670000": "Asia/Irkutsk",
		"672000": "Asia/Chita", "675000": "Asia/Yakutsk", "677000": "Asia/Yakutsk", "678730": "Asia/Ust-Nera", "678830": "Asia/Srednekolymsk",
		"679000": "Asia/Vladivostok", "680000": "Asia/Vladivostok", "690000": "Asia/Vladivostok", "683000": "Asia/Kamchatka",
		"685000": "Asia/Magadan", "693000": "Asia/Sakhalin", "689000": "Asia/Anadyr",
	} {
		if got, ok := RussianPostcodeZone(index); !ok || got != want {
			t.Errorf("RussianPostcodeZone(%s) = %q, %t; want %q", index, got, ok, want)
		}
	}
	for _, index := range []string{"", "000000", "999999", "62001", "6200140", "62001A", "620 14", "-20014", "٦٢٠٠١٤"} {
		if got, ok := RussianPostcodeZone(index); ok || got != "" {
			t.Errorf("RussianPostcodeZone(%q) = %q, %t; want none", index, got, ok)
		}
	}
}

// TestPostcodeRanges sees that no two ranges of one country and length claim
// the same prefix for different zones.
func TestPostcodeRanges(t *testing.T) {
	for c, row := range postcodeTable() {
		for i, a := range row.ranges {
			for _, b := range row.ranges[i+1:] {
				if len(a.first) == len(b.first) && a.first <= b.last && b.first <= a.last {
					t.Errorf("%s: %v and %v overlap", c, a, b)
				}
			}
			for _, n := range row.lengths {
				if len(a.first) > n {
					t.Errorf("%s: prefix %s is longer than a postcode", c, a.first)
				}
			}
		}
	}
}

func TestFoldPostcode(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"as written", "01310-100", "01310100"},
		{"spaces and case", " k1a 0b1 ", "K1A0B1"},
		{"dots and invisible characters", "01.310\u200b100", "01310100"},
		{"other scripts", "индекс ١٢", ""},
		{"empty", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := FoldPostcode(tc.in); got != tc.want {
				t.Errorf("FoldPostcode(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}
