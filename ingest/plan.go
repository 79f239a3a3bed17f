package ingest

import (
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// How long after its end a parcel is still looked at, once a day: a return, a
// correction or a proof of delivery often comes late.
const afterEnd = 3 * 24 * time.Hour

// longestWait is the longest time between two looks at an open parcel. Nothing
// expires and nothing is forgotten at 30, 90 or 120 days.
const longestWait = 24 * time.Hour

// nextLook plans when a number is asked for again: by the milestone's budget,
// less often the longer the parcel has been silent, and by age where the
// carrier does not know it yet. The zero time means never (until someone asks).
func nextLook(now time.Time, s *parcel.Shipment, t *parcel.Tracking) time.Time {
	j := &s.Journey
	// A number never asked for has its history still to tell, even where the
	// journey has ended meanwhile.
	if t.HeardAt.IsZero() || onlyPushed(j, t) {
		if t.RetryAt.After(now) {
			return t.RetryAt
		}
		return now
	}
	if j.Outcome != "" {
		end := j.Events[j.OutcomeEvent].Occurred.At
		if last, ok := j.LatestEvent(); ok && last.Occurred.At.After(end) {
			end = last.Occurred.At
		}
		if now.Sub(end) < afterEnd || goesOn(j) {
			return now.Add(24 * time.Hour)
		}
		return time.Time{}
	}
	if t.Finding != parcel.FindingFound {
		// A fresh label is unknown for hours or days; a wrong number for ever.
		age := now.Sub(t.WatchedAt)
		return now.Add(clampDuration(age/8, time.Hour, longestWait))
	}
	budget, _ := parcel.Budget(j.Milestone, j.Outcome)
	wait := budget
	if last, ok := j.LatestEvent(); ok {
		wait = max(wait, now.Sub(last.Occurred.At)/24)
	}
	return now.Add(clampDuration(wait, budget, longestWait))
}

// goesOn tells whether an ended journey may yet have news at any time: a loss
// may be withdrawn, and a parcel on its way back is still on its way.
func goesOn(j *parcel.Journey) bool {
	if j.Outcome == parcel.OutcomeLost {
		return true
	}
	for x := range j.OpenExceptions {
		if x.Kind == parcel.ExceptionReturning {
			return true
		}
	}
	return false
}

// onlyPushed tells whether a number was never asked for: a push brings one
// event, and the history before it is still the carrier's to tell.
func onlyPushed(j *parcel.Journey, t *parcel.Tracking) bool {
	if t.HeardBy != parcel.SourceWebhook || t.Failures > 0 {
		return false
	}
	for i := range j.Events {
		for e := range j.Events[i].Each() {
			if e.Carrier == t.Carrier && e.Number == t.Number && slices.ContainsFunc(j.Events[i].Witnesses, func(w parcel.Witness) bool {
				return w.Key == e.EventKey && w.Source != parcel.SourceWebhook
			}) {
				return false
			}
		}
	}
	return true
}

// afterFailure plans the next look after an attempt failed: doubling from a
// minute, never beyond the longest wait, and not before the carrier's own word.
func afterFailure(now time.Time, failures int, retryAfter time.Duration) time.Time {
	wait := time.Minute << min(failures, 10)
	return now.Add(max(clampDuration(wait, time.Minute, longestWait), retryAfter))
}

func clampDuration(d, low, high time.Duration) time.Duration { return min(max(d, low), high) }
