package carrierkit

import (
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
