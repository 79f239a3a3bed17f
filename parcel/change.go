package parcel

import (
	"slices"
	"time"
)

// ChangeKind is what a row of the change log tells.
type ChangeKind string

// The kinds.
const (
	ChangeMilestone  ChangeKind = "MILESTONE"       // milestone moved
	ChangeOutcome    ChangeKind = "OUTCOME"         // ended or opened again, without a milestone
	ChangeException  ChangeKind = "EXCEPTION"       // exception opened or closed
	ChangePromise    ChangeKind = "PROMISE"         // promise made or revised
	ChangeLeg        ChangeKind = "LEG"             // leg added, begun, ended or skipped
	ChangeNumber     ChangeKind = "TRACKING_NUMBER" // tracking number changed
	ChangeRetraction ChangeKind = "RETRACTION"      // event retracted
)

// LegAction is what happened to a leg.
type LegAction string

// The actions.
const (
	LegAdded      LegAction = "ADDED"
	LegStarted    LegAction = "STARTED"
	LegEnded      LegAction = "ENDED"
	LegWasSkipped LegAction = "SKIPPED"
)

// Change is a row of the change log: something derived has changed. Which of
// the optional fields are set follows from Kind.
type Change struct {
	// Position is the place in the log: one order for every reader of a
	// deployment. The store assigns it.
	Position   int64
	MerchantID string
	ShipmentID string
	Kind       ChangeKind
	// LoggedAt is trade time.
	LoggedAt time.Time
	// EventID is the event behind it; empty if a clock or a person decided.
	EventID string
	// Occurred is that event's moment, Place its place.
	Occurred Moment
	Place    Place
	// Rule decided; its version is RuleVersion of the fold.
	Rule string
	// LegKey is the leg concerned; empty if none.
	LegKey string

	// From and To are the milestone before and now; equal where only something
	// else changed. From is empty at registration.
	From, To Milestone
	// OutcomeBefore and Outcome are empty while open.
	OutcomeBefore, Outcome Outcome

	// For EXCEPTION.
	ExceptionKey    string
	ExceptionKind   ExceptionKind
	ExceptionAction ExceptionAction
	Severity        Severity

	// For LEG.
	LegAction LegAction

	// For TRACKING_NUMBER.
	NumberBefore, Number string

	// For RETRACTION: the event that no longer counts.
	RetractedEventID string

	// For PROMISE; the days before are empty if it is the first.
	PromiseBefore, Promise Promise
}

// Backward tells whether a retraction moved the milestone back.
func (c *Change) Backward() bool { return c.To.Rank() < c.From.Rank() }

// Changes lists what differs between two states of one shipment, in the order
// in which a reader should hear it: milestones first, by rank, then outcome,
// retractions, numbers, exceptions, legs, promise. A nil before is a shipment
// just registered: it tells its milestones, outcome, promise and what is open,
// not the legs and troubles of a past that nobody was following. One event
// makes one milestone row: where a delivery moves both milestone and outcome,
// the row carries both.
func Changes(before, after *Shipment, now time.Time) []Change {
	d := differ{after: after, now: now, before: before, followed: before != nil}
	if before == nil {
		d.before = &Shipment{Journey: Journey{OutcomeEvent: -1, Latest: -1, CurrentLeg: -1}}
	}
	d.milestones()
	d.outcome()
	d.retractions()
	d.numbers()
	d.exceptions()
	if d.followed {
		d.legs()
	}
	d.promise()
	return d.rows
}

type differ struct {
	before, after *Shipment
	now           time.Time
	rows          []Change
	outcomeTold   bool
	// followed tells whether the shipment was known before.
	followed bool
}

func (d *differ) row(kind ChangeKind, event int, rule string) *Change {
	j := &d.after.Journey
	c := Change{
		MerchantID: d.after.MerchantID, ShipmentID: d.after.ID, Kind: kind, LoggedAt: d.now, Rule: rule,
		From: j.Milestone, To: j.Milestone, OutcomeBefore: d.before.Journey.Outcome, Outcome: j.Outcome,
	}
	if event >= 0 {
		e := &j.Events[event]
		c.EventID, c.Occurred, c.Place = e.ID, e.Occurred, e.Place
		if e.Leg >= 0 {
			c.LegKey = j.Legs[e.Leg].Key
		}
	}
	d.rows = append(d.rows, c)
	return &d.rows[len(d.rows)-1]
}

func (d *differ) milestones() {
	b, a := &d.before.Journey, &d.after.Journey
	from := b.Milestone
	for _, r := range a.Reached {
		if r.Milestone.Rank() <= from.Rank() {
			continue
		}
		c := d.row(ChangeMilestone, r.Event, "milestone.highest")
		c.From, c.To = from, r.Milestone
		// Only the row whose event ended the journey tells the outcome; earlier
		// steps of one catch-up were still open.
		c.Outcome = c.OutcomeBefore
		if a.OutcomeEvent >= 0 && r.Event == a.OutcomeEvent && a.Outcome != b.Outcome {
			c.Outcome, d.outcomeTold = a.Outcome, true
		}
		from = r.Milestone
	}
}

func (d *differ) outcome() {
	b, a := &d.before.Journey, &d.after.Journey
	if a.Outcome == b.Outcome || d.outcomeTold {
		return
	}
	// A retraction that opens the shipment again, or moves it back, says so in
	// its own row.
	if a.Outcome == "" && d.retractedNow() {
		return
	}
	d.row(ChangeOutcome, a.OutcomeEvent, "outcome.last")
}

func (d *differ) retractedNow() bool {
	return slices.ContainsFunc(d.after.Journey.Events, func(e TimelineEvent) bool { return e.Retracted != nil && !d.wasRetracted(e.EventKey) })
}

func (d *differ) wasRetracted(key string) bool {
	return slices.ContainsFunc(d.before.Journey.Events, func(e TimelineEvent) bool { return e.EventKey == key && e.Retracted != nil })
}

func (d *differ) retractions() {
	b, a := &d.before.Journey, &d.after.Journey
	told := false
	for i := range a.Events {
		e := &a.Events[i]
		if e.Retracted == nil || d.wasRetracted(e.EventKey) {
			continue
		}
		// An event that arrives together with its retraction never counted for
		// anyone: there is nothing to take back.
		if !slices.ContainsFunc(b.Events, func(x TimelineEvent) bool { return x.EventKey == e.EventKey }) {
			continue
		}
		c := d.row(ChangeRetraction, i, "retraction."+string(e.Retracted.Kind))
		c.RetractedEventID = e.ID
		if !told && a.Milestone.Rank() < b.Milestone.Rank() {
			c.From = b.Milestone
			told = true
		}
	}
	if !told && a.Milestone.Rank() < b.Milestone.Rank() {
		// Moved back by a better reading (a mapping fix) rather than a retraction.
		c := d.row(ChangeMilestone, a.Latest, "milestone.reread")
		c.From = b.Milestone
	}
}

func (d *differ) numbers() {
	for i := range d.after.Legs {
		l := &d.after.Legs[i]
		if l.Replaces == "" || slices.ContainsFunc(d.before.Legs, func(x DeclaredLeg) bool {
			return x.Carrier == l.Carrier && x.Number == l.Number && x.Replaces == l.Replaces
		}) {
			continue
		}
		c := d.row(ChangeNumber, -1, "number.corrected")
		c.NumberBefore, c.Number = l.Replaces, l.Number
		c.LegKey = d.legWith(l.Number)
	}
	for i := range d.after.Found {
		n := &d.after.Found[i]
		// The same number at another carrier is a leg and no other number,
		// unless it was taken for another carrier's.
		other := n.Rule == FoundIdentified || n.Number != n.From && !d.knew(n.Number) && !d.named(n.Number)
		if !other || d.before.Knows(NumberKey{n.Carrier, n.Number}) {
			continue
		}
		c := d.row(ChangeNumber, -1, string(n.Rule))
		c.NumberBefore, c.Number = n.From, n.Number
		c.LegKey = d.legOf(n.Carrier, n.Number)
	}
	for i := range d.after.Journey.Legs {
		l := &d.after.Journey.Legs[i]
		if l.Origin != LegNamed || l.NamedBy < 0 || d.knew(l.Number) || slices.ContainsFunc(d.before.Found, func(n FoundNumber) bool { return n.Number == l.Number }) {
			continue
		}
		for e := range d.after.Journey.Events[l.NamedBy].Each() {
			if e.NextNumber == l.Number {
				c := d.row(ChangeNumber, l.NamedBy, "number.next")
				c.NumberBefore, c.Number, c.LegKey = e.Number, l.Number, l.Key
				break
			}
		}
	}
}

func (d *differ) knew(number string) bool {
	return slices.ContainsFunc(d.before.Journey.Legs, func(x Leg) bool { return x.Number == number })
}

// named tells whether an event names a number: its row says so.
func (d *differ) named(number string) bool {
	return slices.ContainsFunc(d.after.Journey.Legs, func(l Leg) bool { return l.Origin == LegNamed && l.NamedBy >= 0 && l.Number == number })
}

func (d *differ) legOf(carrier, number string) string {
	for i := range d.after.Journey.Legs {
		if l := &d.after.Journey.Legs[i]; l.Carrier == carrier && l.Number == number {
			return l.Key
		}
	}
	return ""
}

func (d *differ) legWith(number string) string {
	for i := range d.after.Journey.Legs {
		if d.after.Journey.Legs[i].Number == number {
			return d.after.Journey.Legs[i].Key
		}
	}
	return ""
}

func (d *differ) exceptions() {
	b, a := d.before.Journey.Exceptions, d.after.Journey.Exceptions
	for i := range a {
		x := &a[i]
		was := slices.IndexFunc(b, func(y Exception) bool { return y.Key == x.Key })
		switch {
		case was < 0 && !d.followed && !x.Open():
		case was < 0:
			d.exceptionRow(x, ExceptionOpened, x.Opened, "exception.event")
			if !x.Open() {
				d.exceptionRow(x, ExceptionClosed, x.Closed, x.ClosedBy)
			}
		case b[was].Open() && !x.Open():
			d.exceptionRow(x, ExceptionClosed, x.Closed, x.ClosedBy)
		case !b[was].Open() && x.Open():
			d.exceptionRow(x, ExceptionOpened, x.Opened, "exception.reopened")
		}
	}
	for i := range b {
		if b[i].Open() && !slices.ContainsFunc(a, func(y Exception) bool { return y.Key == b[i].Key }) {
			x := b[i]
			x.Leg = -1
			d.exceptionRow(&x, ExceptionClosed, -1, "exception.retracted")
		}
	}
}

func (d *differ) exceptionRow(x *Exception, action ExceptionAction, event int, rule string) {
	c := d.row(ChangeException, event, rule)
	c.ExceptionKey, c.ExceptionKind, c.ExceptionAction, c.Severity = x.Key, x.Kind, action, x.Severity
	if x.Leg >= 0 {
		c.LegKey = d.after.Journey.Legs[x.Leg].Key
	}
}

func (d *differ) legs() {
	for i := range d.after.Journey.Legs {
		l := &d.after.Journey.Legs[i]
		was := slices.IndexFunc(d.before.Journey.Legs, func(x Leg) bool { return x.Key == l.Key })
		if was < 0 {
			d.legRow(l, LegAdded, l.NamedBy, string(l.Origin))
		}
		before := LegPlanned
		if was >= 0 {
			before = d.before.Journey.Legs[was].State
		}
		if before == l.State {
			continue
		}
		switch l.State {
		case LegActive:
			if before == LegPlanned || before == LegSkipped {
				d.legRow(l, LegStarted, l.FirstEvent, "leg.first_event")
			}
		case LegDone:
			if before == LegPlanned || before == LegSkipped {
				d.legRow(l, LegStarted, l.FirstEvent, "leg.first_event")
			}
			d.legRow(l, LegEnded, l.LastEvent, "leg.relieved")
		case LegSkipped:
			d.legRow(l, LegWasSkipped, -1, "leg.passed")
		}
	}
}

func (d *differ) legRow(l *Leg, action LegAction, event int, rule string) {
	c := d.row(ChangeLeg, event, rule)
	c.LegKey, c.LegAction = l.Key, action
}

func (d *differ) promise() {
	for i := range d.after.Promises {
		if i < len(d.before.Promises) {
			continue
		}
		c := d.row(ChangePromise, -1, "promise.shown")
		c.Promise = d.after.Promises[i]
		if i > 0 {
			c.PromiseBefore = d.after.Promises[i-1]
		}
	}
}
