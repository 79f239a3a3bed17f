package carriers

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Gate is the way out to one carrier account, shared by every process that
// calls through it. It is safe for concurrent use.
type Gate interface {
	// Enter waits for leave to make one call and counts it. own is the quota as
	// the adapter knows it; a zero one asks only whether the door is barred. It
	// gives up at once where the wait would outlast ctx: with ErrSpent and a
	// *parcel.Throttled that says when to come again, or with the latter alone
	// where the carrier barred the door. A context that ends gives its error.
	Enter(ctx context.Context, own Quota) error
	// Bar closes the door because the carrier asked to be left alone: for wait,
	// or for as long as is prudent where it named no time.
	Bar(wait time.Duration)
	// Rest says that the carrier keeps failing and is left alone until then;
	// the zero time says that it answers again.
	Rest(until time.Time)
}

// ErrSpent marks a call that was not made because our own budget is used up: no
// trouble of the carrier's. It is of kind ErrThrottled.
var ErrSpent error = kind{parcel.ErrThrottled, "the account's budget is used up"}

// ErrResting marks a call that was not made because the carrier kept failing.
// It is of kind ErrUnavailable.
var ErrResting error = kind{parcel.ErrUnavailable, "at rest after failures"}

// kind is a sentinel of a kind of its own.
type kind struct {
	of   error
	text string
}

func (k kind) Error() string { return k.text }
func (k kind) Unwrap() error { return k.of }

type attended struct{}

// Attended marks calls for which a person waits: they may use the part of the
// budget that is kept back from planned work.
func Attended(ctx context.Context) context.Context { return context.WithValue(ctx, attended{}, true) }

// IsAttended tells whether a person waits for the call.
func IsAttended(ctx context.Context) bool {
	is, _ := ctx.Value(attended{}).(bool)
	return is
}
