package ingest

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// ReplayAsk selects kept payloads.
type ReplayAsk struct {
	// Carrier by name; empty for all.
	Carrier string
	// Since the payload was received; zero for all.
	Since time.Time
	// DryRun decodes and reports, and writes nothing.
	DryRun bool
	// Progress, if set, hears the number of payloads done so far.
	Progress func(done int)
}

// ReplayReport says what decoding again has changed.
type ReplayReport struct {
	Payloads int
	// Unreadable payloads; each was kept as it is.
	Unreadable int
	// Observations read; Events that are new tellings in the log (after a
	// mapping fix, an event told anew is a new row of the same event).
	Observations, Events int
	// Codes counts observations by own code and the canonical code it gives
	// now, for carriers whose table has changed the reading.
	Codes map[ReplayCode]int
}

// ReplayCode is one line of the report: how an own code is read now.
type ReplayCode struct {
	Carrier, OwnCode string
	Code             parcel.Code
}

// Replay decodes kept payloads again and takes in what they say now: after a
// mapping fix, or for payloads that could not be read when they came. It may
// run beside live work and be stopped at any time; what was done stays done,
// and doing it again changes nothing.
func (g *Ingest) Replay(ctx context.Context, ask ReplayAsk) (ReplayReport, error) {
	r := ReplayReport{Codes: map[ReplayCode]int{}}
	err := g.store.WalkPayloads(ctx, ask.Carrier, ask.Since, func(p parcel.Payload) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.Payloads++
		if _, known := g.spec(p.Carrier); !known {
			r.Unreadable++
			return nil
		}
		t, err := g.payloadTask(p, nil)
		if err != nil {
			return err
		}
		t.replayed = true
		if t.problem != nil && len(t.reading.Observations) == 0 {
			r.Unreadable++
		}
		r.Observations += len(t.reading.Observations)
		for i := range t.reading.Observations {
			o := &t.reading.Observations[i]
			r.Codes[ReplayCode{o.Carrier, o.OwnCode, o.Code}]++
		}
		if !ask.DryRun {
			if err := g.writer.do(ctx, t); err != nil {
				return err
			}
			r.Events += t.receipt.Events
		}
		if ask.Progress != nil {
			ask.Progress(r.Payloads)
		}
		return nil
	})
	return r, err
}
