package parcel

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// CheckDigit returns the check digit (0-9) of an eight-digit serial, by
// UPU S10 (weights 8 6 4 2 3 5 9 7, modulo 11; 10 gives 0, 11 gives 5).
// It returns ErrInvalid unless serial is exactly eight ASCII digits.
func CheckDigit(serial string) (int, error) {
	const weights = "86423597"
	if len(serial) != len(weights) {
		return 0, fmt.Errorf("s10 serial of %d bytes: want 8 digits: %w", len(serial), ErrInvalid)
	}
	sum := 0
	for i := range len(serial) {
		if !numberDigit(serial[i]) {
			return 0, fmt.Errorf("s10 serial %q: want 8 digits: %w", serial, ErrInvalid)
		}
		sum += int(serial[i]-'0') * int(weights[i]-'0')
	}
	switch c := 11 - sum%11; c {
	case 10:
		return 0, nil
	case 11:
		return 5, nil
	default:
		return c, nil
	}
}

// S10 is a postal item's number by UPU standard S10 (edition S10-12):
// LZ 74120365 6 CN. A post may use a number again 12 months after posting,
// so that alone it does not name an item for ever.
type S10 struct {
	// Service is the service indicator, two letters: EA-EZ for EMS, CA-CZ
	// for parcels, RA-RZ registered, LA-LZ tracked, UA-UZ untracked.
	Service string
	// Serial is eight digits.
	Serial string
	// Check is the check digit as written, 0-9, right or wrong.
	Check int
	// Origin is the country of the post that issued the number. It is not
	// always where the goods come from.
	Origin Country
	// CheckValid is false when Check is not the digit that Serial asks for.
	// Some posts issue such numbers: warn, never reject.
	CheckValid bool
}

// ParseS10 reads a normalised number (see NormalizeNumber) of the form
// AA NNNNNNNN C CC, without spaces. It reports false for any other form and
// for a suffix that is no country, as with private parcel lines that imitate
// the form (suffix YP). A wrong check digit is not a reason.
func ParseS10(number string) (S10, bool) {
	if len(number) != 13 || !numberLetter(number[0]) || !numberLetter(number[1]) {
		return S10{}, false
	}
	for i := 2; i < 11; i++ {
		if !numberDigit(number[i]) {
			return S10{}, false
		}
	}
	origin := Country(number[11:])
	if !origin.Valid() {
		return S10{}, false
	}
	s := S10{Service: number[:2], Serial: number[2:10], Check: int(number[10] - '0'), Origin: origin}
	want, err := CheckDigit(s.Serial)
	s.CheckValid = err == nil && want == s.Check
	return s, true
}

// String returns the number as ParseS10 reads it, with the check digit as
// it was written.
func (s S10) String() string {
	return fmt.Sprintf("%s%s%d%s", s.Service, s.Serial, s.Check, s.Origin)
}

// NormalizeNumber brings a tracking number, as people type and paste it, to
// the form that is stored and compared: upper case, full-width forms as
// ASCII, and no spaces, dashes, dots or invisible characters anywhere. It
// does not judge the number and never changes one letter or digit into
// another: O stays O. Applying it twice changes nothing more.
func NormalizeNumber(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xFF01 && r <= 0xFF5E {
			r -= 0xFEE0
		}
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r),
			unicode.Is(unicode.Cf, r), // zero width, byte order mark, text direction
			unicode.Is(unicode.Pd, r), // all kinds of dashes
			unicode.Is(unicode.Mn, r), // variation selectors and lone marks
			r == '\u2212',             // minus
			r == '.', r == '·', r == '•':
			return -1
		}
		return unicode.ToUpper(r)
	}, s)
}

// numberMaxLookAlikes bounds the suggestions of LookAlikes.
const numberMaxLookAlikes = 8

// LookAlikes suggests other readings of a number that found nothing, for a
// hint such as "did you mean": O and 0, I and 1 exchanged, and Cyrillic
// letters replaced by the Latin ones they look like. A reading is better than
// the number where its check digit is right (S10, UPS), or where it has such a
// form and the number has none: where there are better readings, only the best
// are returned, and a number of such a form has no others. Which of the rest are
// numbers of some carrier is the caller's to judge. At most 8 are returned,
// best first, never the number itself, and nil if there is none. The number is
// normalised first; numbers of more than 40 bytes have no look-alikes.
func LookAlikes(number string) []string {
	number = NormalizeNumber(number)
	if len(number) > 40 {
		return nil
	}
	latin := strings.Map(numberLatin, number)
	var found []string
	add := func(s string) {
		if s != number && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	// A form that tells letters from digits settles every doubt at once.
	add(numberAsS10(latin))
	if strings.HasPrefix(latin, "IZ") {
		add("1Z" + latin[2:])
	}
	add(latin)
	add(strings.Map(numberAsDigit, latin))
	for i := range len(latin) {
		if swapped := numberSwap(latin[i]); swapped != latin[i] {
			add(latin[:i] + string(swapped) + latin[i+1:])
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return numberRank(a) - numberRank(b) })
	own := numberRank(number)
	if own < rankNoForm {
		// Where the form has a place for both, a letter for a digit is one try
		// among many at a fitting check digit, not what someone mistyped.
		found = slices.DeleteFunc(found, func(s string) bool { return numberLettered(number, s) })
	}
	if len(found) == 0 {
		return nil
	}
	switch best := numberRank(found[0]); {
	case best < own:
		found = slices.DeleteFunc(found, func(s string) bool { return numberRank(s) > best })
	case own < rankNoForm:
		return nil
	}
	return found[:min(len(found), numberMaxLookAlikes):min(len(found), numberMaxLookAlikes)]
}

// numberLettered tells whether a reading of a number, of the same length, has a
// letter for one of its digits.
func numberLettered(number, reading string) bool {
	for i := range len(number) {
		if numberDigit(number[i]) && numberLetter(reading[i]) {
			return true
		}
	}
	return false
}

// numberAsS10 returns s with letters and digits where S10 wants them, if
// that takes only exchanges of look-alikes, else s itself.
func numberAsS10(s string) string {
	if len(s) != 13 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if wantsDigit := i >= 2 && i < 11; wantsDigit && !numberDigit(c) || !wantsDigit && numberDigit(c) {
			b[i] = numberSwap(c)
		}
	}
	if _, ok := ParseS10(string(b)); !ok {
		return s
	}
	return string(b)
}

// How well a number fits a form that has a check digit, best first.
const (
	rankCheckRight = iota
	rankCheckWrong
	rankNoForm
)

func numberRank(s string) int {
	s10, isS10 := ParseS10(s)
	valid, isUPS := CheckUPS(s)
	switch {
	case isS10 && s10.CheckValid, valid:
		return rankCheckRight
	case isS10, isUPS:
		return rankCheckWrong
	default:
		return rankNoForm
	}
}

func numberSwap(c byte) byte {
	switch c {
	case 'O':
		return '0'
	case '0':
		return 'O'
	case 'I':
		return '1'
	case '1':
		return 'I'
	}
	return c
}

func numberAsDigit(r rune) rune {
	switch r {
	case 'O':
		return '0'
	case 'I':
		return '1'
	}
	return r
}

// numberLatin returns the Latin letter that a Cyrillic capital looks like.
func numberLatin(r rune) rune {
	const cyrillic, latin = "АВЕЗКМНОРСТУХІЈЅ", "ABE3KMHOPCTYXIJS"
	if i := strings.IndexRune(cyrillic, r); i >= 0 {
		return rune(latin[i/2]) // each Cyrillic letter takes two bytes
	}
	return r
}

// CheckUPS tests the check digit of a UPS number of the form 1Z and sixteen
// letters or digits (modulo 10 over the fifteen after 1Z, every second one
// doubled; a letter counts as its place in the alphabet plus one, modulo
// 10). The second result is false, and then so is the first, if the number
// is of another form. A wrong digit is a warning, never a reason to reject.
func CheckUPS(number string) (valid, applicable bool) {
	if len(number) != 18 || number[:2] != "1Z" || !numberDigit(number[17]) {
		return false, false
	}
	sum := 0
	for i := 2; i < 17; i++ {
		var v int
		switch c := number[i]; {
		case numberDigit(c):
			v = int(c - '0')
		case numberLetter(c):
			v = int(c-'A'+2) % 10
		default:
			return false, false
		}
		if i%2 == 1 {
			v *= 2
		}
		sum += v
	}
	return (10-sum%10)%10 == int(number[17]-'0'), true
}

func numberDigit(c byte) bool  { return c >= '0' && c <= '9' }
func numberLetter(c byte) bool { return c >= 'A' && c <= 'Z' }

// How long a number rests after a journey: UPU S10 numbers for 12 months, others
// are used again after about 90 days of keeping.
const (
	restS10   = 365 * 24 * time.Hour
	restOther = 90 * 24 * time.Hour
)

// RestOf is how long a number rests after a journey has ended before it may be
// another parcel's.
func RestOf(number string) time.Duration {
	if _, ok := ParseS10(number); ok {
		return restS10
	}
	return restOther
}
