package words

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// groups are the sections of a file that hold labels, with the longest that a
// label may be: what stands in a chip or a heading is short, a reason may take
// a line.
func groups(f *file) map[string]struct {
	words map[string]string
	limit int
} {
	type group = struct {
		words map[string]string
		limit int
	}
	return map[string]group{
		"label":   {f.Label, 55},
		"health":  {f.Health, 45},
		"custody": {f.Custody, 45},
		"change":  {f.Change, 50},
		"problem": {f.Problem, 55},
		"hint":    {f.Hint, 60},
		"rule":    {f.Rule, 85},
	}
}

func TestEveryLocaleHasEveryWord(t *testing.T) {
	en := read(English)
	for _, l := range Locales() {
		t.Run(string(l), func(t *testing.T) {
			f := read(l)
			own := groups(&f)
			for name, english := range groups(&en) {
				if diff := cmp.Diff(sortedKeys(english.words), sortedKeys(own[name].words)); diff != "" {
					t.Errorf("%s: keys differ from the English ones:\n%s", name, diff)
				}
				for key, text := range own[name].words {
					checkLabel(t, l, name+"."+key, text, english.limit)
				}
			}
			if diff := cmp.Diff(sortedKeys(en.Count), sortedKeys(f.Count)); diff != "" {
				t.Errorf("count: keys differ from the English ones:\n%s", diff)
			}
			if f.Name == "" || f.Note == "" {
				t.Error("a language has its own name and a note to its translators")
			}
			if len(f.Dates.Months) != 12 || len(f.Dates.Weekdays) != 7 {
				t.Errorf("%d months and %d weekdays", len(f.Dates.Months), len(f.Dates.Weekdays))
			}
		})
	}
}

// checkLabel holds one label to the rules of wording.
func checkLabel(t *testing.T, l Locale, key, text string, limit int) {
	t.Helper()
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch n := utf8.RuneCountInString(text); {
	case text == "":
		t.Errorf("%s: no words", key)
	case n > limit:
		t.Errorf("%s: %d characters, at most %d: %q", key, n, limit, text)
	case strings.ContainsRune(".。!！", last):
		t.Errorf("%s: %q ends like a sentence", key, text)
	case strings.Join(strings.Fields(text), " ") != text:
		t.Errorf("%s: %q has spaces too many", key, text)
	case strings.ContainsAny(text, "{}'\"`"):
		t.Errorf("%s: %q has a brace, or a typewriter's quotation mark", key, text)
	case unicode.IsLower(first):
		t.Errorf("%s: %q begins with a small letter", key, text)
	}
	for _, r := range text {
		if unicode.IsLetter(r) && !slices.ContainsFunc(scripts(l), func(s *unicode.RangeTable) bool { return unicode.Is(s, r) }) {
			t.Errorf("%s: %q has %q, a letter of another script", key, text, r)
		}
	}
}

// scripts are those that the language is written in.
func scripts(l Locale) []*unicode.RangeTable {
	switch l {
	case "ru", "uk", "kk":
		return []*unicode.RangeTable{unicode.Cyrillic}
	case "ar":
		return []*unicode.RangeTable{unicode.Arabic}
	case "he":
		return []*unicode.RangeTable{unicode.Hebrew}
	case "zh-Hans":
		return []*unicode.RangeTable{unicode.Han}
	case "ja":
		// The long vowel mark belongs to no one script.
		return []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Lm}
	case "ko":
		return []*unicode.RangeTable{unicode.Hangul}
	case "th":
		return []*unicode.RangeTable{unicode.Thai}
	case "uz":
		// The letters ʻ and ʼ are modifiers.
		return []*unicode.RangeTable{unicode.Latin, {R16: []unicode.Range16{{Lo: 0x2bb, Hi: 0x2bc, Stride: 1}}}}
	}
	return []*unicode.RangeTable{unicode.Latin}
}

// Each wording is used, and each that is used exists.
func TestWordings(t *testing.T) {
	en := read(English)
	used := map[string]string{}
	for _, key := range wordings {
		used[key] = ""
	}
	if diff := cmp.Diff(sortedKeys(used), sortedKeys(en.Label)); diff != "" {
		t.Errorf("wordings used and wordings written differ:\n%s", diff)
	}
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// Patterns name only what is filled in, and each what it must.
func TestPlaceholders(t *testing.T) {
	for _, l := range Locales() {
		f := read(l)
		d := f.Dates
		for _, c := range []struct{ name, pattern, must, may string }{
			{"date", d.Date, "{d} {y}", "{m} {month}"},
			{"dayMonth", d.DayMonth, "{d}", "{m} {month}"},
			{"time", d.Time, "{mm}", "{h} {hh}"},
			{"dateTime", d.DateTime, "{date} {time}", ""},
			{"rangeDays", d.RangeDays, "{d} {d2} {y}", "{m} {month}"},
			{"rangeMonths", d.RangeMonths, "{d} {d2}", "{m} {month} {m2} {month2} {y} {y2}"},
			{"rangeYears", d.RangeYears, "{d} {y} {d2} {y2}", "{m} {month} {m2} {month2}"},
			{"rangeDaysShort", d.RangeDaysShort, "{d} {d2}", "{m} {month}"},
			{"rangeMonthsShort", d.RangeMonthsShort, "{d} {d2}", "{m} {month} {m2} {month2}"},
			{"money", f.Numbers.Money, "{sign} {amount} {symbol}", ""},
		} {
			found := placeholder.FindAllString(c.pattern, -1)
			for _, want := range strings.Fields(c.must) {
				if !slices.Contains(found, want) {
					t.Errorf("%s: %s: %q lacks %s", l, c.name, c.pattern, want)
				}
			}
			for i, got := range found {
				if !slices.Contains(strings.Fields(c.must+" "+c.may), got) || slices.Contains(found[:i], got) {
					t.Errorf("%s: %s: %q has %s", l, c.name, c.pattern, got)
				}
			}
			if strings.ContainsAny(placeholder.ReplaceAllString(c.pattern, ""), "{}") {
				t.Errorf("%s: %s: %q has a brace without its pair", l, c.name, c.pattern)
			}
		}
		// A form for one number alone may say it in words.
		for key, forms := range f.Count {
			for c, pattern := range forms {
				found := placeholder.FindAllString(pattern, -1)
				switch {
				case len(found) == 1 && found[0] == "{n}":
				case len(found) == 0 && speaksForOne(l, c) && !strings.ContainsAny(pattern, "{}"):
				default:
					t.Errorf("%s: count.%s.%s: %q", l, key, c, pattern)
				}
			}
		}
	}
}

// speaksForOne reports whether a category has one number only.
func speaksForOne(l Locale, c category) bool {
	return c == zero || c == two || c == one && (l == "ar" || l == "he")
}

// The categories of CLDR: testdata/plurals.json holds, for each language and
// category, numbers that fall into it.
func TestPlural(t *testing.T) {
	data, err := os.ReadFile("testdata/plurals.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[Locale]map[category][]int
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, l := range Locales() {
		if len(want[l]) == 0 {
			t.Errorf("%s: no numbers to compare with", l)
		}
		f := read(l)
		for c, numbers := range want[l] {
			for _, n := range numbers {
				if got := plural(l, n); got != c {
					t.Errorf("%s: %d is %s, want %s", l, n, got, c)
				}
				if got := plural(l, -n); got != c {
					t.Errorf("%s: %d is %s, want %s", l, -n, got, c)
				}
			}
			for key, forms := range f.Count {
				if forms[c] == "" {
					t.Errorf("%s: count.%s has no form for %s", l, key, c)
				}
			}
		}
		for key, forms := range f.Count {
			for c := range forms {
				if c != other && want[l][c] == nil {
					t.Errorf("%s: count.%s has a form for %s, which the language lacks", l, key, c)
				}
			}
			if forms[other] == "" {
				t.Errorf("%s: count.%s has no form for other", l, key)
			}
		}
	}
}

// What a language lacks is said in English, and says so.
func TestMissingWordsAreEnglish(t *testing.T) {
	en, l := &book{locale: English}, &book{locale: "fr"}
	if diff := cmp.Diff(Text{Value: "Delivered", Locale: English}, say(l, en, "", "Delivered")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Text{Value: "Livré", Locale: "fr"}, say(l, en, "Livré", "Delivered")); diff != "" {
		t.Error(diff)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
