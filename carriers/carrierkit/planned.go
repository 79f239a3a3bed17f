package carrierkit

import (
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// ClockSkew is how far the clocks of two honest sides may differ.
const ClockSkew = 10 * time.Minute

// Planned tells whether a moment lies in the future of the payload that tells
// it, by more than the slack: then it is a plan and no event. Where the zone is
// not known, it must be so in every zone. A payload whose receipt is not known
// tells no plans.
func Planned(m parcel.Moment, received time.Time, slack time.Duration) bool {
	return !received.IsZero() && m.Earliest().After(received.Add(slack))
}

// aheadOfGuess is how far the clock of a scan can be ahead of the clock by
// which it was read, where its offset is assumed: China's, read for UTC+14.
const aheadOfGuess = 6 * time.Hour

// Happened is what a payload tells without the scans that it puts in the
// future: those are plans, and come again when they have happened. A planned
// delivery stays as an estimate, where the carrier gives no other for the
// number. A push or a file does not come again, so that there a scan of an
// assumed offset may be as far ahead as its own clock can be.
func Happened(r parcel.Reading, p parcel.Payload) parcel.Reading {
	happened := r.Observations[:0:0]
	for _, o := range r.Observations {
		slack := ClockSkew
		if (p.Source == parcel.SourceWebhook || p.Source == parcel.SourceFile) && o.Occurred.Certainty != parcel.CertaintyReported {
			slack += aheadOfGuess
		}
		if !Planned(o.Occurred, p.ReceivedAt, slack) {
			happened = append(happened, o)
			continue
		}
		told := slices.ContainsFunc(r.Estimates, func(e parcel.Estimate) bool { return e.Number == o.Number })
		if o.Code == parcel.CodeDelivered && !told {
			r.Estimates = append(r.Estimates, parcel.Estimate{Number: o.Number, Earliest: o.Occurred.Day(), Last: o.Occurred.Day()})
		}
	}
	r.Observations = happened
	return r
}
