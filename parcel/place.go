package parcel

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Place is where something is or happened, as precisely as the source said.
// Any field may be empty; the zero value says nothing is known.
type Place struct {
	Country Country `json:"country,omitempty"`
	// Region is a state, province or oblast, by code ("SP") or name.
	Region string `json:"region,omitempty"`
	// City is a city or town, as the source writes it.
	City string `json:"city,omitempty"`
	// Postcode is kept as text: leading zeros count.
	Postcode string `json:"postcode,omitempty"`
	// Facility is a depot, exchange, locker or office, as the source names
	// it; for posts often an IMPC code ("CNCANA").
	Facility string `json:"facility,omitempty"`
	// Unlocode is a UN/LOCODE of five characters: "CNSZX".
	Unlocode string `json:"unlocode,omitempty"`
	// TimeZone is an IANA zone name, set only where it is known and not
	// merely assumed; ask ZoneFor for the zone to reckon with.
	TimeZone string `json:"timeZone,omitempty"`
}

// IsZero reports whether nothing is known about the place.
func (p Place) IsZero() bool { return p == Place{} }

// Lane is an ordered pair of countries. An empty end means that the end is
// not known; the zero value is no lane at all.
type Lane struct {
	Origin      Country `json:"origin,omitempty"`
	Destination Country `json:"destination,omitempty"`
}

// Code returns the lane as "CN-BR". An unknown end is left empty ("-BR");
// the code of the zero value is "".
func (l Lane) Code() string {
	if l == (Lane{}) {
		return ""
	}
	return string(l.Origin) + "-" + string(l.Destination)
}

// ParseLane reads what Code writes, in any case. It returns ErrInvalid
// unless s is two alpha-2 codes joined by a hyphen, of which one may be
// empty.
func ParseLane(s string) (Lane, error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok || from == "" && to == "" {
		return Lane{}, fmt.Errorf("lane %.20q: want two countries as in CN-BR: %w", s, ErrInvalid)
	}
	var l Lane
	for _, end := range []struct {
		text string
		into *Country
	}{{from, &l.Origin}, {to, &l.Destination}} {
		if end.text == "" {
			continue
		}
		c, ok := countryUpper(end.text)
		if !ok {
			return Lane{}, fmt.Errorf("lane %.20q: country %.20q: %w", s, end.text, ErrInvalid)
		}
		*end.into = c
	}
	return l, nil
}

// Letters with marks and what placeFold makes of them, rune by rune. Letters
// that unfold to two are in the switch of placeLetter.
const (
	placeMarked = "àáâãäåāăąǎạảấầẩẫậắằẳẵặçćĉċčďđðèéêëēĕėęěẹẻẽếềểễệĝğġģǧĥħìíîïĩīĭįıỉịĵķĺļľŀłñńņňŋòóôõöøōŏőơǒọỏốồổỗộớờởỡợŕŗřśŝşšșţťŧțùúûüũūŭůűųưǔụủứừửữựŵýÿŷỳỵỷỹźżžёйўї"
	placePlain  = "aaaaaaaaaaaaaaaaaaaaaacccccdddeeeeeeeeeeeeeeeeeggggghhiiiiiiiiiiijklllllnnnnnooooooooooooooooooooooorrrsssssttttuuuuuuuuuuuuuuuuuuuwyyyyyyyzzzеиуі"
)

// placeFold reduces a name of a country, region or city to what two writers
// of the same name share: lower case, no marks, no punctuation or spaces, no
// articles or conjunctions, and the usual abbreviations written out.
func placeFold(s string) string {
	var key, word strings.Builder
	flush := func() {
		w := word.String()
		switch w {
		case "the", "of", "and":
			w = ""
		case "st", "ste":
			w = "saint"
		case "rep":
			w = "republic"
		case "dem":
			w = "democratic"
		case "is", "isl", "island":
			if key.Len() > 0 { // alone it is Iceland, in its own language
				w = "islands"
			}
		}
		key.WriteString(w)
		word.Reset()
	}
	for _, r := range s {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E: // full-width forms
			r -= 0xFEE0
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
			continue
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		placeLetter(&word, unicode.ToLower(r))
	}
	flush()
	return key.String()
}

func placeLetter(to *strings.Builder, r rune) {
	switch r {
	case 'æ':
		to.WriteString("ae")
		return
	case 'œ':
		to.WriteString("oe")
		return
	case 'ß':
		to.WriteString("ss")
		return
	case 'þ':
		to.WriteString("th")
		return
	}
	if r >= utf8.RuneSelf {
		if i := strings.IndexRune(placeMarked, r); i >= 0 {
			n := utf8.RuneCountInString(placeMarked[:i])
			for _, plain := range placePlain {
				if n == 0 {
					r = plain
					break
				}
				n--
			}
		}
	}
	to.WriteRune(r)
}
