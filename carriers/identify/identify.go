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
	// CheckValid is the result of the check digit, nil if the form has none or
	// its rule is not public. A wrong digit lowers the confidence and no more:
	// some carriers issue such numbers.
	CheckValid *bool `json:"checkDigitValid,omitempty"`
	// Needs names what this carrier wants besides the number.
	Needs []string `json:"needs,omitempty"`
}

// Identify ranks the carriers whose numbers have this form, the likeliest
// first and each once; nil if none has. The number is normalised first. It is
// pure and safe for concurrent use.
func Identify(number string) []Candidate {
	number = parcel.NormalizeNumber(number)
	if number == "" || len(number) > maxLength {
		return nil
	}
	found := postal(number)
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
func postal(number string) []Candidate {
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
		Carrier: networkOfPosts, Title: title(networkOfPosts), Confidence: confidence(0.6), Rule: "s10.network", CheckValid: &valid,
	}}
	if post := posts()[s10.Origin]; post != "" {
		found = append(found, Candidate{
			Carrier: post, Title: title(post), Confidence: confidence(0.95), Rule: "s10.country", CheckValid: &valid,
		})
	}
	return found
}
