package words

import (
	"strconv"
	"strings"
)

// Locale is a language that there are words in, as the BCP 47 tag that names
// its file: "pt-BR". Only [Locales] are known; everywhere else in this package
// any other value, the zero value among them, stands for [Match] of itself.
type Locale string

// English is the language of last resort: what another language lacks is said
// in English.
const English Locale = "en"

// Locales returns the nineteen languages, English first; the slice is the
// caller's own.
func Locales() []Locale {
	return []Locale{
		"en", "zh-Hans", "ru", "pt-BR", "es", "fr", "de", "ar", "kk", "uz",
		"uk", "pl", "he", "ja", "ko", "tr", "id", "th", "vi",
	}
}

// Tag returns the BCP 47 tag of the language that l stands for.
func (l Locale) Tag() string { return string(l.book().locale) }

// Name returns the language's own name for itself: "Қазақша".
func (l Locale) Name() string { return l.book().Name }

// Direction returns the writing direction: "LTR" or "RTL".
func (l Locale) Direction() string { return l.book().Direction }

// RightToLeft reports whether the language is written from right to left.
func (l Locale) RightToLeft() bool { return l.book().Direction == "RTL" }

// Reviewed reports whether a native speaker has read all words of the
// language. The words of a language that is not reviewed are drafts.
func (l Locale) Reviewed() bool { return l.book().Reviewed }

// maxRanges bounds how many languages of one Accept-Language header are
// looked at; browsers send fewer than ten.
const maxRanges = 32

// Match returns the language to answer in. Each of preferred is a BCP 47 tag
// ("zh-CN", also written "zh_CN") or a whole Accept-Language header (RFC 9110,
// section 12.5.4) with weights; earlier ones are preferred to later ones.
//
// A known language wins over its relatives: only where none of the languages
// asked for is known in any script or country is the nearest one taken that
// their readers commonly read (Russian for Kyrgyz, Spanish for Catalan). Where
// there is none either it is English. Anything that is not a tag is passed
// over: Match never fails.
func Match(preferred ...string) Locale {
	// The commonest case first: one tag as its file is named.
	if len(preferred) > 0 {
		if b, ok := books()[Locale(preferred[0])]; ok {
			return b.locale
		}
	}
	for _, known := range []func(string) Locale{own, related} {
		for _, p := range preferred {
			if l := first(p, known); l != "" {
				return l
			}
		}
	}
	return English
}

// For returns [Match] of one tag or header.
func For(tag string) Locale { return Match(tag) }

// first returns the language with the highest weight in a header that known
// knows; empty if it knows none.
func first(header string, known func(string) Locale) Locale {
	var best Locale
	bestWeight := 0.0
	for range maxRanges {
		item, rest, more := strings.Cut(header, ",")
		tag, parameters, _ := strings.Cut(item, ";")
		// Of equal weights the first wins.
		if w := weight(parameters); w > bestWeight {
			if l := known(strings.TrimSpace(tag)); l != "" {
				best, bestWeight = l, w
			}
		}
		if !more {
			break
		}
		header = rest
	}
	return best
}

// weight reads the q of one item of a header: 1 where there is none, 0 where
// it cannot be read.
func weight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q > 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// primary returns the language subtag of a tag in lower case.
func primary(tag string) string {
	if i := strings.IndexAny(tag, "-_"); i >= 0 {
		tag = tag[:i]
	}
	if len(tag) < 2 || len(tag) > 3 {
		return ""
	}
	return strings.ToLower(tag)
}

// own returns the file of the language that a tag names, in whatever script or
// country.
func own(tag string) Locale {
	switch p := primary(tag); p {
	case "en", "ru", "es", "fr", "de", "ar", "kk", "uz", "uk", "pl", "he", "ja", "ko", "tr", "id", "th", "vi":
		return Locale(p)
	case "zh", "cmn":
		return "zh-Hans"
	case "pt":
		return "pt-BR"
	case "iw": // the code of Hebrew until 1989, which Java still writes
		return "he"
	case "in": // likewise of Indonesian
		return "id"
	case "uzn": // Northern Uzbek, the one with a standard
		return "uz"
	case "arb": // standard Arabic
		return "ar"
	}
	return ""
}

// related returns the known language that the readers of another one most
// commonly read.
func related(tag string) Locale {
	switch primary(tag) {
	case "be", "ky", "tg", "tk", "hy", "tt", "ba", "cv", "ce", "os", "ab", "sah":
		return "ru"
	case "ca", "gl", "eu", "ast", "an", "qu", "gn", "ay":
		return "es"
	case "oc", "br", "co", "wo", "ht", "ln", "mg":
		return "fr"
	case "lb", "gsw", "nds", "rm", "dsb", "hsb", "fy":
		return "de"
	case "yue", "wuu", "nan", "hak", "gan", "ii", "bo", "ug", "za":
		return "zh-Hans"
	case "ms", "jv", "su", "ban", "min", "ace", "mad", "bug":
		return "id"
	case "kaa": // Karakalpak
		return "kk"
	case "az", "gag":
		return "tr"
	case "csb", "szl":
		return "pl"
	case "rue":
		return "uk"
	case "arz", "ary", "apc", "ajp", "acm", "afb", "ars":
		return "ar"
	case "kea":
		return "pt-BR"
	}
	return ""
}
