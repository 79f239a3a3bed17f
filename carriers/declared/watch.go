package declared

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
)

// WatchEvery is how often a watched folder is looked at.
const WatchEvery = 3 * time.Second

// Watch looks at the folder every few seconds of the clock until ctx is done,
// and hands over each new set: after a file was added, changed or removed, and
// after one broke or was mended. It calls each from its own goroutine and waits
// for it. err is that of the folder itself, whose last set stays in force. What
// was there when it began is not handed over; call Look first.
//
// A set does not change, and adapters made from it go on working when another
// one follows: calls under way end by the description with which they began.
func (f *Folder) Watch(ctx context.Context, clock carriers.Clock, each func(set Set, err error)) {
	for clock.Sleep(ctx, WatchEvery) == nil {
		if set, changed, err := f.Look(clock.Now()); changed {
			each(set, err)
		}
	}
}
