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
		if now.Sub(end) < afterEnd || now.Sub(lateNews(j)) < afterEnd || goesOn(j) {
			return now.Add(24 * time.Hour)
		}
		return time.Time{}
	}
	if t.Finding != parcel.FindingFound {
		// A fresh label is unknown for hours or days; a wrong number for ever.
		age := now.Sub(t.WatchedAt)
		return now.Add(clampDuration(age/8, time.Hour, longestWait))
	}
	if relieved(j, t.NumberKey) {
		return now.Add(longestWait)
	}
	budget, _ := parcel.Budget(j.Milestone, j.Outcome)
	wait := budget
	if last, ok := j.LatestEvent(); ok {
		wait = max(wait, now.Sub(last.Occurred.At)/24)
	}
	return now.Add(clampDuration(wait, budget, longestWait))
}

// lateNews is when something was last heard of a parcel that has been known for
// a day: whoever asked again for an ended one has started the grace anew, however
// old the scan itself is. Zero if nothing was; a history that is told at once, or
// by several carriers within the day, is none.
func lateNews(j *parcel.Journey) time.Time {
	var first, last time.Time
	for i := range j.Events {
		for e := range j.Events[i].Each() {
			first = sooner(first, e.ReceivedAt)
			if e.ReceivedAt.After(last) {
				last = e.ReceivedAt
			}
		}
	}
	if last.Sub(first) < longestWait {
		return time.Time{}
	}
	return last
}

// relieved tells whether another carrier or number has taken the parcel on: what
// the one before still has to say is late paper, not news.
func relieved(j *parcel.Journey, k parcel.NumberKey) bool {
	its := func(l *parcel.Leg) bool { return l.Carrier == k.Carrier && l.Number == k.Number }
	if j.CurrentLeg < 0 || its(&j.Legs[j.CurrentLeg]) {
		return false
	}
	done := false
	for i := range j.Legs {
		if l := &j.Legs[i]; its(l) {
			if l.State != parcel.LegDone || i > j.CurrentLeg {
				return false
			}
			done = true
		}
	}
	return done
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

// worthOf is how much news of a number is wanted for a shipment that holds it.
func worthOf(now time.Time, s *parcel.Shipment, t *parcel.Tracking, grace time.Duration) parcel.Worth {
	j := &s.Journey
	switch {
	case j.Outcome != "":
		return parcel.WorthLittle
	case t.HeardAt.IsZero():
		return parcel.WorthSoon // its history is still to tell
	case t.Finding != parcel.FindingFound:
		if now.Sub(t.WatchedAt) > grace {
			return parcel.WorthLittle
		}
		return parcel.WorthMoving
	case j.Milestone == parcel.MilestoneOutForDelivery:
		return parcel.WorthToday
	case j.Milestone == parcel.MilestoneLastMile, j.Milestone == parcel.MilestoneReadyForPickup:
		return parcel.WorthNear
	case j.Milestone == parcel.MilestoneDestinationArrived, j.Milestone == parcel.MilestoneCustomsCleared:
		return parcel.WorthSoon
	}
	if last, ok := j.LatestEvent(); ok && now.Sub(last.Occurred.At) > longSilence {
		return parcel.WorthLittle
	}
	return parcel.WorthMoving
}

// longSilence is after how long a parcel under way is looked at with what the
// budget leaves over.
const longSilence = 30 * 24 * time.Hour

// graceOf is how long a carrier may know nothing of a fresh number.
func (g *Ingest) graceOf(carrier string) time.Duration {
	if s, ok := g.spec(carrier); ok && s.Grace > 0 {
		return s.Grace
	}
	return parcel.DefaultGrace
}

// rank says in whose turn a number is asked for and how much its news is
// wanted, and plans its next look by the lane's habit where that is known: of
// the shipments that hold it now, what the most eager one wants counts.
func (u *unit) rank(k parcel.NumberKey) {
	st := u.numbers[k]
	tr := &st.Tracking
	var plain, adapted time.Time
	worth, owned, first := parcel.WorthLittle, false, ""
	for i := range st.Holders {
		h := &st.Holders[i]
		t := u.shipments[h.ShipmentID]
		if t == nil || t.final || !h.Covers(u.now) {
			continue
		}
		if first == "" {
			first = h.MerchantID
		}
		owned = owned || h.MerchantID == tr.Owner
		if !h.Proposed.IsZero() {
			at := nextTry(u.now, t.now, h, k)
			plain, adapted = sooner(plain, at), sooner(adapted, at)
			continue
		}
		worth = max(worth, worthOf(u.now, t.now, tr, u.g.graceOf(k.Carrier)))
		at := nextLook(u.now, t.now, tr)
		plain, adapted = sooner(plain, at), sooner(adapted, u.adapt(t.now, tr, at))
	}
	if !owned {
		tr.Owner = first
	}
	tr.Worth = worth
	// Only a look that was planned by the plain rule: a ticket's or a failed
	// call's next time stands.
	if !plain.IsZero() && tr.NextAt.Equal(plain) {
		tr.NextAt = adapted
	}
}

// sooner is the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// adapt moves a planned look by the lane's habit: nothing usually comes in the
// first half of a usual silence, so the look waits for half of what is left of
// it; from then on until nearly all silences have ended it is as frequent as the
// milestone allows, and rarer after that. The last mile is not put off: there a
// buyer waits at the door.
func (u *unit) adapt(s *parcel.Shipment, t *parcel.Tracking, at time.Time) time.Time {
	j := &s.Journey
	last, ok := j.LatestEvent()
	if at.IsZero() || !ok || j.Outcome != "" || t.Finding != parcel.FindingFound || onlyPushed(j, t) ||
		j.Milestone.Rank() >= parcel.MilestoneLastMile.Rank() {
		return at
	}
	usual, late, ok := u.g.habits.of(parcel.GapKey{Carrier: last.Carrier, Lane: s.Lane(), Milestone: j.Milestone})
	if !ok {
		return at
	}
	budget, _ := parcel.Budget(j.Milestone, j.Outcome)
	switch silence := u.now.Sub(last.Occurred.At); {
	case silence < usual:
		return u.now.Add(clampDuration((usual-silence)/2, budget, longestWait))
	case silence < late:
		return u.now.Add(budget)
	}
	return at
}

// gap is a silence that ended; lag is how long a scan took to come to us.
type gap struct {
	parcel.GapKey
	length time.Duration
}
type lag struct {
	carrier, account string
	length           time.Duration
}

// listen notes what a shipment's new rows tell about how soon carriers speak.
// Only what came while we were asking counts: a history told at once says
// nothing about how long it was waited for.
func (u *unit) listen(t *touched) {
	for i := range t.rows {
		e := &t.rows[i]
		st := u.numbers[parcel.NumberKey{Carrier: e.Carrier, Number: e.Number}]
		if st == nil || st.Tracking.WatchedAt.IsZero() || !e.Occurred.At.After(st.Tracking.WatchedAt) || e.Source == parcel.SourceFile {
			continue
		}
		if d := e.ReceivedAt.Sub(e.Occurred.At); d >= 0 {
			u.lags = append(u.lags, lag{e.Carrier, st.Tracking.Account, d})
		}
	}
	if t.before == nil {
		return
	}
	before, hadOne := t.before.Journey.LatestEvent()
	now, hasOne := t.now.Journey.LatestEvent()
	if !hadOne || !hasOne || len(t.rows) > 2 || t.before.Journey.Outcome != "" || !now.Occurred.At.After(before.Occurred.At) {
		return
	}
	u.gaps = append(u.gaps, gap{
		GapKey: parcel.GapKey{Carrier: before.Carrier, Lane: t.before.Lane(), Milestone: t.before.Journey.Milestone},
		length: now.Occurred.At.Sub(before.Occurred.At),
	})
}
