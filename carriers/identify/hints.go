package identify

import (
	"regexp"
	"sync"

	"github.com/milepost-gateway/milepost/parcel"
)

// HintKind is a sort of doubt about a number.
type HintKind string

// The kinds, the most useful first.
const (
	HintLookAlike  HintKind = "LOOK_ALIKE"  // letter O for 0, letter I for 1, Cyrillic for Latin
	HintCheckDigit HintKind = "CHECK_DIGIT" // the check digit does not fit
	HintLength     HintKind = "LENGTH"      // too short or too long
	HintPattern    HintKind = "PATTERN"     // no known form
)

// Hint says what may be wrong with a number, from its form alone.
type Hint struct {
	Kind HintKind `json:"kind"`
	// Suggestion is the number that may be meant; empty if none comes to mind.
	Suggestion string `json:"suggestion,omitempty"`
	// Carrier whose form the hint is about; empty if none.
	Carrier string `json:"carrier,omitempty"`
}

// maxLookAlikes bounds the suggestions of one kind.
const maxLookAlikes = 3

// Hints tells what may be wrong with a number that found nothing, the most
// useful first; nil if its form is beyond doubt. It is a help for typing, not
// a verdict: every number it doubts may exist.
func Hints(number string) []Hint {
	number = parcel.NormalizeNumber(number)
	if number == "" {
		return []Hint{{Kind: HintLength}}
	}
	candidates := Identify(number)
	var hints []Hint
	for _, other := range parcel.LookAlikes(number) {
		better := Identify(other)
		if len(better) == 0 || len(candidates) > 0 && (better[0].Confidence <= candidates[0].Confidence || guesses(number, other)) {
			continue
		}
		hints = append(hints, Hint{Kind: HintLookAlike, Suggestion: other, Carrier: better[0].Carrier})
		if len(hints) == maxLookAlikes {
			break
		}
	}
	switch {
	case len(candidates) == 0:
		if carrier, near := nearMiss(number); near {
			hints = append(hints, Hint{Kind: HintLength, Carrier: carrier})
		} else if len(hints) == 0 {
			hints = append(hints, Hint{Kind: HintPattern})
		}
	case candidates[0].CheckValid != nil && !*candidates[0].CheckValid:
		hints = append(hints, Hint{Kind: HintCheckDigit, Carrier: candidates[0].Carrier})
	}
	return hints
}

// guesses tells whether a reading turns digits into letters. Where the form
// has a place for both, that is one try among many at a fitting check digit,
// not what someone mistyped.
func guesses(number, other string) bool {
	if len(number) != len(other) {
		return false
	}
	for i := range len(number) {
		if digits(number[i:i+1]) && !digits(other[i:i+1]) {
			return true
		}
	}
	return false
}

// stem is the beginning of a form, without its length.
type stem struct {
	carrier string
	form    *regexp.Regexp
}

var stems = sync.OnceValue(func() []stem {
	f := func(form string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + form + `)$`) }
	return []stem{
		{"ups", f(`1Z[0-9A-Z]*`)},
		{"fourpx", f(`4PX[0-9]*[A-Z]*`)},
		{"dhl-unified", f(`(?:JJD|JVGL|GM)[0-9]*`)},
		{"cainiao", f(`LP[0-9]*`)},
		{"sf-express", f(`SF[0-9]*`)},
		{"yunexpress", f(`YT[0-9]*`)},
		{"amazon", f(`TB[ACM][0-9]*`)},
		{"", f(`[0-9]{1,8}|[0-9]{17,19}|[0-9]{21,}`)},
	}
})

var almostS10 = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Z]{2}[0-9]{6,11}([A-Z]{2})$`) })

// nearMiss tells whether a number begins as those of a carrier do and has only
// the wrong length.
func nearMiss(number string) (carrier string, near bool) {
	if len(number) > maxLength {
		return "", true
	}
	if m := almostS10().FindStringSubmatch(number); m != nil {
		if country := parcel.Country(m[1]); country.Valid() {
			return posts()[country], true
		}
	}
	for _, s := range stems() {
		if s.form.MatchString(number) {
			return s.carrier, true
		}
	}
	return "", false
}
