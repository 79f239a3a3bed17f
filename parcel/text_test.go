package parcel

import "testing"

func TestOneLine(t *testing.T) {
	for _, tc := range []struct {
		name, s string
		want    bool
	}{
		{"empty", "", true},
		{"words", "Ящик № 1, São Paulo", true},
		{"line break", "a\nb", false},
		{"tab", "a\tb", false},
		{"zero byte", "a\x00", false},
		{"delete", "a\x7f", false},
		{"next line", "a\u0085b", false},
		{"line separator", "a\u2028b", false},
		{"not UTF-8", "a\xff", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := OneLine(tc.s); got != tc.want {
				t.Errorf("OneLine(%q) = %t", tc.s, got)
			}
		})
	}
}
