// Package identify guesses the carrier of a tracking number from its form
// alone. Forms overlap, so it ranks candidates and never decides: a 22-digit
// number may be the postal service's, or one of three private carriers' whose
// last mile it is. It knows forms of carriers without an adapter too, for a
// leg to have a name even where nobody can be asked.
//
// Carriers are named by their codes, which for those with an adapter are the
// adapter's. Forms and check digits are from UPU S10-12, GS1 General
// Specifications (SSCC), USPS Publication 199 and the carriers' own pages; a
// form that is only custom has a low confidence.
package identify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// What a carrier wants to hear besides the number before it tells anything.
const (
	NeedPostcode = "postcode" // of the destination
	NeedPhone    = "phone"    // last four digits, of sender or recipient
)

// maxLength bounds the numbers that are looked at, in bytes.
const maxLength = 64

// Candidate is a carrier whose numbers look like the one given.
type Candidate struct {
	// Carrier is the carrier's code: "china-post".
	Carrier string `json:"carrier"`
	// Title is its name.
	Title string `json:"title"`
	// Confidence is between 0 and 1; candidates need not add up to 1.
	Confidence float64 `json:"confidence"`
	// Rule that matched: "s10.country", "pattern.yunexpress".
	Rule string `json:"rule"`
	// Country that the number or the carrier belongs to: of issue for a postal
	// item, else the carrier's home; empty where it has none.
	Country parcel.Country `json:"country,omitempty"`
	// Fit tells how the carrier's countries go with those that the asker named.
	Fit Fit `json:"fit,omitempty"`
	// CheckValid is the result of the check digit, nil if the form has none or
	// its rule is not public. A wrong digit lowers the confidence and no more:
	// some carriers issue such numbers.
	CheckValid *bool `json:"checkDigitValid,omitempty"`
	// Needs names what this carrier wants besides the number.
	Needs []string `json:"needs,omitempty"`
}

// Fit is how a carrier's countries go with a parcel's way.
type Fit string

// The fits. The empty one says that nobody named a way, or that the carrier is
// at home everywhere.
const (
	FitOrigin      Fit = "ORIGIN"      // it is at home where the parcel comes from
	FitDestination Fit = "DESTINATION" // it is at home where the parcel goes
	FitNeither     Fit = "NEITHER"     // it is at home elsewhere
)

// Context is what is known of a parcel besides its number; empty countries are
// not known.
type Context struct {
	Origin, Destination parcel.Country
}

// Identify ranks the carriers whose numbers have this form, the likeliest
// first and each once; nil if none has. The number is normalised first. It is
// pure and safe for concurrent use.
func Identify(number string) []Candidate { return IdentifyFor(number, Context{}) }

// IdentifyFor is Identify for a parcel whose way is known: a carrier that is at
// home at neither end is less likely, one at home at an end is more so, and a
// postal item may be the post's of its destination too. The way ranks and never
// removes a candidate: parcels go through third countries.
func IdentifyFor(number string, way Context) []Candidate {
	number = parcel.NormalizeNumber(number)
	if number == "" || len(number) > maxLength {
		return nil
	}
	found := postal(number, way)
	for _, r := range rules() {
		if !r.form.MatchString(number) {
			continue
		}
		c := Candidate{Carrier: r.carrier, Title: title(r.carrier), Confidence: r.confidence, Rule: r.id(), Needs: slices.Clone(r.needs)}
		if r.check != nil {
			valid := r.check(number)
			c.CheckValid = &valid
			if !valid {
				c.Confidence = round(c.Confidence * wrongDigit)
			}
		}
		found = append(found, c)
	}
	for i := range found {
		found[i].place(way)
	}
	slices.SortStableFunc(found, func(a, b Candidate) int {
		if a.Confidence != b.Confidence {
			return cmp.Compare(b.Confidence, a.Confidence)
		}
		return strings.Compare(a.Carrier, b.Carrier)
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(c Candidate) bool {
		again := seen[c.Carrier]
		seen[c.Carrier] = true
		return again
	})
}

// wrongDigit is what a wrong check digit leaves of a confidence. Where others
// share the form it is enough to rank them before.
const wrongDigit = 0.4

// round keeps two decimals: more would claim a knowledge that nobody has.
func round(x float64) float64 { return float64(int(x*100+0.5)) / 100 }

// postal reads S10: the post of the country of issue, and the network of posts
// that knows every such item.
func postal(number string, way Context) []Candidate {
	s10, ok := parcel.ParseS10(number)
	if !ok {
		return nil
	}
	valid := s10.CheckValid
	confidence := func(x float64) float64 {
		if s10.Service[0] == 'U' {
			x *= 0.7 // untracked services carry the number for customs alone
		}
		if !valid {
			x *= 0.6 // better than for other forms: posts do issue wrong digits
		}
		return round(x)
	}
	found := []Candidate{{
		Carrier: NetworkOfPosts, Title: title(NetworkOfPosts), Confidence: confidence(0.6), Rule: "s10.network", Country: s10.Origin, CheckValid: &valid,
	}}
	if post := posts()[s10.Origin]; post != "" {
		found = append(found, Candidate{
			Carrier: post, Title: title(post), Confidence: confidence(0.95), Rule: "s10.country", Country: s10.Origin, CheckValid: &valid,
		})
	}
	if post := posts()[way.Destination]; post != "" && way.Destination != s10.Origin {
		found = append(found, Candidate{
			Carrier: post, Title: title(post), Confidence: confidence(0.5), Rule: "s10.destination", Country: s10.Origin, CheckValid: &valid,
		})
	}
	return found
}

// PostOf is the designated operator of a country, by UPU: the carrier that
// knows postal items to and from it by their S10 number. It is empty where none
// is listed; the network of posts knows those too.
func PostOf(country parcel.Country) string { return posts()[country] }

// NetworkOfPosts is the code under which posts tell each other of all items.
const NetworkOfPosts = "upu-postal"

// What a parcel's way makes of a confidence, within what a form can prove.
const (
	atHome      = 1.15
	elsewhere   = 0.5
	mostCertain = 0.99
)

// place says how a candidate goes with a parcel's way, and weighs it.
func (c *Candidate) place(way Context) {
	home := homes()[c.Carrier]
	if c.Country == "" && len(home) == 1 {
		c.Country = home[0]
	}
	if strings.HasPrefix(c.Rule, "s10.") {
		// The country stands in the number: where an item is issued says nothing
		// against it.
		switch c.Country {
		case "":
		case way.Destination:
			c.Fit = FitDestination
		case way.Origin:
			c.Fit = FitOrigin
		}
		if c.Rule == "s10.destination" {
			c.Fit = FitDestination
		}
		return
	}
	if len(home) == 0 || way == (Context{}) {
		return
	}
	switch {
	case way.Destination != "" && slices.Contains(home, way.Destination):
		c.Fit = FitDestination
	case way.Origin != "" && slices.Contains(home, way.Origin):
		c.Fit = FitOrigin
	case way.Destination == "" || way.Origin == "":
		// The other end may be its home.
		return
	default:
		c.Fit, c.Confidence = FitNeither, round(c.Confidence*elsewhere)
		return
	}
	c.Confidence = round(min(mostCertain, c.Confidence*atHome))
}
