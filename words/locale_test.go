package words_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/words"
)

func TestLocales(t *testing.T) {
	const want = "en zh-Hans ru pt-BR es fr de ar kk uz uk pl he ja ko tr id th vi"
	var tags []string
	for _, l := range words.Locales() {
		tags = append(tags, l.Tag())
		direction := "LTR"
		if l == "ar" || l == "he" {
			direction = "RTL"
		}
		if got := l.Direction(); got != direction || l.RightToLeft() != (direction == "RTL") {
			t.Errorf("%s is written %s, want %s", l, got, direction)
		}
		if l.Name() == "" {
			t.Errorf("%s has no name", l)
		}
		if got := words.Match(string(l)); got != l {
			t.Errorf("Match(%q) = %q", l, got)
		}
	}
	if got := strings.Join(tags, " "); got != want {
		t.Errorf("languages are %s, want %s", got, want)
	}
	if got := words.Locale("kk").Name(); got != "Қазақша" {
		t.Errorf("Kazakh calls itself %q", got)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name      string
		preferred []string
		want      words.Locale
	}{
		{"as written", []string{"pt-BR"}, "pt-BR"},
		{"another case", []string{"PT-br"}, "pt-BR"},
		{"underscore", []string{"pt_BR"}, "pt-BR"},
		{"language alone", []string{"pt"}, "pt-BR"},
		{"another country", []string{"pt-PT"}, "pt-BR"},
		{"more precise", []string{"de-AT-1996"}, "de"},
		{"chinese", []string{"zh"}, "zh-Hans"},
		{"china", []string{"zh-CN"}, "zh-Hans"},
		{"taiwan, for want of traditional script", []string{"zh-TW"}, "zh-Hans"},
		{"mandarin", []string{"cmn-Hans-CN"}, "zh-Hans"},
		{"old hebrew", []string{"iw-IL"}, "he"},
		{"old indonesian", []string{"in"}, "id"},
		{"cyrillic uzbek", []string{"uz-Cyrl"}, "uz"},
		{"latin america", []string{"es-419"}, "es"},

		{"header", []string{"de-CH,de;q=0.9,en;q=0.8"}, "de"},
		{"header out of order", []string{"en;q=0.5, kk;q=0.9, ru;q=0.7"}, "kk"},
		{"equal weights keep order", []string{"fr;q=0.5,pl;q=0.5"}, "fr"},
		{"unknown first", []string{"sw,tr;q=0.3"}, "tr"},
		{"refused", []string{"fr;q=0,pl;q=0.1"}, "pl"},
		{"spaces", []string{" fr ; q=0.2 , pl ; q=0.9 "}, "pl"},
		{"upper case q", []string{"fr;Q=0.2,pl;Q=0.9"}, "pl"},
		{"weight without sense", []string{"fr;q=many,pl;q=0.1"}, "pl"},
		{"weight beyond 1", []string{"fr;q=7,pl;q=0.1"}, "pl"},
		{"anything", []string{"*"}, "en"},
		{"unknown or anything", []string{"sw,*;q=0.1"}, "en"},

		{"argument before header", []string{"ja", "fr,en"}, "ja"},
		{"empty argument before header", []string{"", "fr,en"}, "fr"},
		{"unknown argument before header", []string{"sw", "fr,en"}, "fr"},
		{"kyrgyz reads russian", []string{"ky-KG"}, "ru"},
		{"a language asked for before a relative", []string{"ky", "en-US"}, "en"},
		{"belarusian with russian", []string{"be,ru;q=0.5,en;q=0.7"}, "en"},
		{"catalan", []string{"ca"}, "es"},
		{"malay", []string{"ms-MY"}, "id"},

		{"nothing", nil, "en"},
		{"empty", []string{""}, "en"},
		{"no tag", []string{"---;;;,,=,q=1"}, "en"},
		{"one letter", []string{"d"}, "en"},
		{"not in the bounds of a header", []string{strings.Repeat("sw,", 1000) + "fr"}, "en"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := words.Match(c.preferred...); got != c.want {
				t.Errorf("Match(%q) = %q, want %q", c.preferred, got, c.want)
			}
		})
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"en", "zh-Hant-TW", "x-private", "-", "ü", "de;q=0.5,fr;q=", ";;q==,", "*;q=1e-400"} {
		f.Add(s, "pt")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		got := words.Match(first, second)
		if !slices.Contains(words.Locales(), got) {
			t.Errorf("Match(%q, %q) = %q, which is no language of ours", first, second, got)
		}
		if got := words.Locale(first).Tag(); !slices.Contains(words.Locales(), words.Locale(got)) {
			t.Errorf("Locale(%q) stands for %q, which is no language of ours", first, got)
		}
	})
}
