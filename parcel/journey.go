package parcel

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"time"
)

// RuleVersion is the version of the fold's rules. A stored journey of another
// version is folded again from its events.
const RuleVersion = "2026-11-23"

// Journey is what the fold derives from a shipment's facts and events. It is a
// function of the set of events: order of arrival and repetition mean nothing.
type Journey struct {
	// Events in order of occurrence, retracted ones included and marked.
	Events []TimelineEvent
	// Corrections are the people's retractions, oldest first, whether or not
	// the event they name has arrived.
	Corrections []Retraction
	// Legs in order of the journey; a return appends further ones.
	Legs []Leg
	// Handovers between legs of different custody.
	Handovers []Handover
	// Reached lists the milestones proved, lowest rank first, each with the
	// first event that proves it.
	Reached []Reached
	// Milestone is the highest reached: REGISTERED for a shipment without any
	// event.
	Milestone Milestone
	// Outcome is how it ended; empty while open.
	Outcome Outcome
	// OutcomeEvent is the index of the event that ended it, -1 if none.
	OutcomeEvent int
	// ReturnedAt is set where a delivered parcel came back.
	ReturnedAt Moment
	// Exceptions in order of opening.
	Exceptions []Exception
	// Latest is the index of the newest event that counts, -1 before the first.
	Latest int
	// CurrentLeg is the index of the leg in progress, -1 before the first scan,
	// between two legs and at the end.
	CurrentLeg int
	// Custody says who holds the parcel, and since when.
	Custody Custody
}

// Reached is a milestone proved.
type Reached struct {
	Milestone Milestone
	// Event is the index of the first event that proves it; -1 for REGISTERED
	// by registration alone.
	Event int
}

// LegState is the state of a leg.
type LegState string

// The states.
const (
	LegPlanned LegState = "PLANNED" // not begun
	LegActive  LegState = "ACTIVE"  // in progress
	LegDone    LegState = "DONE"    // ended
	LegSkipped LegState = "SKIPPED" // did not happen, or was never seen
)

// LegOrigin is how a leg came to be known.
type LegOrigin string

// The ways.
const (
	LegDeclared LegOrigin = "leg.declared" // the merchant or a route named it
	LegSeen     LegOrigin = "leg.seen"     // an event happened in it
	LegNamed    LegOrigin = "leg.named"    // an event named the next carrier or number
)

// Leg is a stretch in one carrier's custody within one stage.
type Leg struct {
	// Key names the leg within its shipment; derived from carrier, number,
	// stage and direction, so it is the same however events arrive.
	Key string
	// Sequence is the position, from 1.
	Sequence     int
	Stage        Stage
	State        LegState
	Return       bool
	Carrier      string
	ServiceLevel string
	Number       string
	// Former numbers of this leg that were corrected, newest first.
	Former []string
	// From and To are the places of the first and last event.
	From, To Place
	// Start and End are the first and last event's moments; End is zero while
	// the leg is not over.
	Start, End Moment
	// FirstEvent and LastEvent index Journey.Events, -1 without events.
	FirstEvent, LastEvent int
	// Origin says how the leg became known; NamedBy is the index of the event
	// that named it, -1 if none did.
	Origin  LegOrigin
	NamedBy int
	Cost    Money
}

// DwellHours is the time in custody up to now, or to the end of the leg; 0
// before it starts.
func (l *Leg) DwellHours(now time.Time) float64 {
	if l.Start.IsZero() {
		return 0
	}
	end := now
	if !l.End.IsZero() {
		end = l.End.At
	}
	return max(0, end.Sub(l.Start.At).Hours())
}

// Handover is custody passing between two legs: release and acceptance are two
// events, often hours apart.
type Handover struct {
	// From and To index Journey.Legs; To is -1 while nobody has taken on.
	From, To int
	// Released and Accepted index Journey.Events, -1 if not reported.
	Released, Accepted int
	// CountsAgainst is the leg in whose custody the gap counts: the carrier
	// that has not been relieved.
	CountsAgainst int
	// NumberChanged tells whether the tracking number changed here.
	NumberChanged bool
	// Rule says why it counts so.
	Rule string
}

// ExceptionAction is what happened to an exception.
type ExceptionAction string

// The actions.
const (
	ExceptionOpened ExceptionAction = "OPENED"
	ExceptionClosed ExceptionAction = "CLOSED"
)

// ExceptionClosure is how an exception was closed.
type ExceptionClosure string

// The ways.
const (
	ClosureMovedOn   ExceptionClosure = "MOVED_ON"
	ClosureRetracted ExceptionClosure = "RETRACTED"
	ClosureEnded     ExceptionClosure = "SHIPMENT_ENDED"
)

// Exception is something that needs or needed someone.
type Exception struct {
	// Key names it within its shipment: kind and the key of the event that
	// opened it.
	Key      string
	Kind     ExceptionKind
	Severity Severity
	Reason   Reason
	// With is the kind it came with, for ACTION_REQUIRED: both close together.
	With ExceptionKind
	// Border tells which customs a hold concerns: "export", "import", or
	// "refused" where customs will not let it pass at all; empty for others.
	Border string
	// Opened and Closed index Journey.Events; Closed is -1 while open.
	Opened, Closed int
	Closure        ExceptionClosure
	// ClosedBy is the rule that closed it; empty while open.
	ClosedBy string
	// Leg against which it counts, -1 if it cannot be told.
	Leg int
}

// Open tells whether it still needs someone.
func (x *Exception) Open() bool { return x.Closed < 0 }

// CustodyState is with whom a parcel is.
type CustodyState string

// The states.
const (
	CustodyMerchant  CustodyState = "WITH_MERCHANT"
	CustodyCarrier   CustodyState = "WITH_CARRIER"
	CustodyBetween   CustodyState = "BETWEEN_CARRIERS"
	CustodyCustoms   CustodyState = "WITH_CUSTOMS"
	CustodyPickup    CustodyState = "AT_PICKUP_POINT"
	CustodyRecipient CustodyState = "WITH_RECIPIENT"
	CustodyUnknown   CustodyState = "UNKNOWN"
)

// Custody is who holds the parcel.
type Custody struct {
	State CustodyState
	// Leg indexes Journey.Legs: between carriers, the one not relieved; -1 if
	// none.
	Leg int
	// Since is when this state began; zero if never scanned.
	Since Moment
}

// LatestEvent is the newest event that counts.
func (j *Journey) LatestEvent() (*TimelineEvent, bool) {
	if j.Latest < 0 || j.Latest >= len(j.Events) {
		return nil, false
	}
	return &j.Events[j.Latest], true
}

// OpenExceptions calls yield for each open exception, in order of opening.
func (j *Journey) OpenExceptions(yield func(*Exception) bool) {
	for i := range j.Exceptions {
		if j.Exceptions[i].Open() && !yield(&j.Exceptions[i]) {
			return
		}
	}
}

// ReachedEvent is the first event that proves m.
func (j *Journey) ReachedEvent(m Milestone) (*TimelineEvent, bool) {
	i := slices.IndexFunc(j.Reached, func(r Reached) bool { return r.Milestone == m })
	if i < 0 || j.Reached[i].Event < 0 {
		return nil, false
	}
	return &j.Events[j.Reached[i].Event], true
}

// StepState is the state of a step of the progress bar.
type StepState string

// The states.
const (
	StepReached      StepState = "REACHED"
	StepPassedUnseen StepState = "PASSED_UNSEEN"
	StepCurrent      StepState = "CURRENT"
	StepAhead        StepState = "AHEAD"
)

// Step is one step of the progress bar.
type Step struct {
	Milestone Milestone
	State     StepState
	// Event indexes Journey.Events, -1 if the step was not seen.
	Event int
}

// Steps is the progress bar: each milestone that applies to this kind of
// journey. READY_FOR_PICKUP appears only once it was reached: a parcel goes to
// the door or to a pickup point, and nobody knows which beforehand. short gives
// the shopper's bar of five (three for a domestic journey).
func (s *Shipment) Steps(short bool) []Step {
	j := &s.Journey
	steps := make([]Step, 0, 10)
	current := j.Milestone.Rank()
	for _, m := range Milestones() {
		if !s.applies(m, short) {
			continue
		}
		st := Step{Milestone: m, Event: -1, State: StepAhead}
		i := slices.IndexFunc(j.Reached, func(r Reached) bool { return r.Milestone == m })
		switch {
		case i >= 0:
			st.Event, st.State = j.Reached[i].Event, StepReached
		case m.Rank() < current:
			st.State = StepPassedUnseen
		}
		steps = append(steps, st)
	}
	// The short bar may lack the highest milestone itself: its last step that
	// lies at or below it is then the current one.
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Milestone.Rank() <= current {
			if steps[i].State == StepReached {
				steps[i].State = StepCurrent
			}
			break
		}
	}
	return steps
}

func (s *Shipment) applies(m Milestone, short bool) bool {
	switch m {
	case MilestoneOriginDeparted, MilestoneCustomsCleared:
		return !s.Domestic()
	case MilestoneDestinationArrived:
		return !short && !s.Domestic()
	case MilestonePickedUp, MilestoneLastMile, MilestoneDelivered:
		return true
	case MilestoneReadyForPickup:
		return !short && slices.ContainsFunc(s.Journey.Reached, func(r Reached) bool { return r.Milestone == m })
	default:
		return !short
	}
}

// LegKey is the key of the leg that d declares, for as long as no event has told
// another stage for it.
func (d *DeclaredLeg) LegKey() string {
	return legKey(d.Carrier, d.Number, cmp.Or(d.Stage, StageFirstMile), false)
}

// legKey is the name of a leg: the same set of events gives the same keys in
// any order.
func legKey(carrier, number string, stage Stage, ret bool) string {
	h := sha256.New()
	dir := "out"
	if ret {
		dir = "back"
	}
	hashStrings(h, carrier, number, string(stage), dir)
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:10])
}
