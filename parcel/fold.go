package parcel

import (
	"cmp"
	"slices"
	"strings"
)

// Fold derives a shipment's journey from its facts and its events: those that
// an earlier fold kept (prior, may be nil) and further rows of the log. It is a
// pure function of the set of rows: any order, any repetition and any split
// into batches gives the same journey, and a retraction undoes exactly what
// its event did.
//
// Cost is O(n log n) in the shipment's own events. Nothing given is changed.
func Fold(s *Shipment, prior *Journey, rows []Event) Journey {
	f := folder{facts: &s.Facts}
	var known []TimelineEvent
	var corrections []Retraction
	if prior != nil {
		known, corrections = prior.Events, prior.Corrections
	}
	f.j = Journey{
		Events:       mergeTellings(known, rows),
		Corrections:  mergeCorrections(corrections, rows),
		OutcomeEvent: -1, Latest: -1, CurrentLeg: -1,
	}
	f.order()
	f.retract()
	f.unite()
	f.order()
	f.read()
	f.end()
	f.climb()
	f.whose()
	f.legs()
	f.handovers()
	f.exceptions()
	f.custody()
	return f.j
}

type folder struct {
	facts *Facts
	j     Journey
	// back lists the events by which the sender has the parcel again.
	back []int
	// returnFrom is the index of the event that turned the parcel round, or
	// len(events).
	returnFrom int
}

// order puts the events in order of occurrence.
func (f *folder) order() {
	slices.SortFunc(f.j.Events, func(a, b TimelineEvent) int { return compareEvents(&a, &b) })
}

// counts tells whether an event takes part in anything derived.
func (e *TimelineEvent) counts() bool { return e.Retracted == nil && !e.Retracts && !e.LaterUse }

// retract marks the tellings that a carrier took back. Its "disregard the
// previous" takes back the latest earlier event, by wall clock, of the same
// teller, carrier and number (the same minute counts as earlier: carriers write
// both in one go), unless a person has taken back the message itself.
func (f *folder) retract() {
	ev := f.j.Events
	for i := range ev {
		if !ev[i].Retracts || f.correctionOf(ev[i].EventKey) != nil {
			continue
		}
		target := -1
		for k := range ev {
			if ev[k].Retracts || ev[k].Carrier != ev[i].Carrier || ev[k].Teller != ev[i].Teller || ev[k].Number != ev[i].Number || ev[k].Occurred.Wall > ev[i].Occurred.Wall {
				continue
			}
			if target < 0 || cmp.Or(strings.Compare(ev[k].Occurred.Wall, ev[target].Occurred.Wall), strings.Compare(ev[k].EventKey, ev[target].EventKey)) > 0 {
				target = k
			}
		}
		if target >= 0 {
			ev[target].Retracted = &Retraction{Target: ev[target].EventKey, Kind: RetractionByCarrier, Reason: ev[i].Words, At: ev[i].Occurred.At}
		}
	}
}

// read gives each event its code and milestone in the context of the whole
// set: a pre-declaration is told from a presentation by what came before it,
// what was delivered to a pickup point waits there until somebody collects it,
// and a departure nobody reported is proved by the first scan abroad.
func (f *folder) read() {
	departed, waiting := false, false
	origin, destination := f.facts.Origin.Country, f.facts.Destination.Country
	for i := range f.j.Events {
		e := &f.j.Events[i]
		e.Read = e.Code
		if e.Code == CodeImportCustomsPresented && !departed {
			e.Read = CodeImportPredeclared
		}
		// Said of a parcel that was known to wait there, it is collected.
		if e.Code == CodeDelivered && e.DeliveredTo == DeliveredToPickupPoint && !waiting {
			e.Read = CodeReadyForPickup
		}
		e.Proves = e.Read.Proves()
		if !e.counts() {
			continue
		}
		waiting = waiting || e.Code == CodeReadyForPickup
		if at := e.Place.Country; e.Read.IsMovement() && origin != "" && at != "" && at != origin {
			// Seen abroad: it has left, whoever forgot to say so; seen in the
			// country of destination: it has arrived.
			proved := MilestoneOriginDeparted
			if at == destination {
				proved = MilestoneDestinationArrived
			}
			if proved.Rank() > e.Proves.Rank() {
				e.Proves = proved
			}
		}
		if e.Proves.Rank() >= MilestoneOriginDeparted.Rank() {
			departed = true
		}
	}
}

// end finds the outcome and where the way back begins.
func (f *folder) end() {
	ev := f.j.Events
	f.returnFrom = len(ev)
	afterDelivery := false
	set := func(o Outcome, i int) { f.j.Outcome, f.j.OutcomeEvent = o, i }
	// What stood before a loss was reported stands again when it is withdrawn.
	beforeLoss, beforeLossEvent := Outcome(""), -1
	for i := range ev {
		e := &ev[i]
		if i >= f.returnFrom {
			e.Return = true
		}
		if e.LaterUse = f.ofLaterUse(e); !e.counts() {
			continue
		}
		switch code := e.Read; {
		case code == CodeReturnStarted:
			if f.returnFrom == len(ev) {
				f.returnFrom = i
				e.Return = true
				afterDelivery = f.j.Outcome == OutcomeDelivered
			}
		case code == CodeLost && f.j.Outcome != OutcomeLost:
			beforeLoss, beforeLossEvent = f.j.Outcome, f.j.OutcomeEvent
			set(OutcomeLost, i)
		case code == CodeReturned, code.Info().Outcome == OutcomeDelivered && f.backWithSender(i):
			e.Return = true
			f.back = append(f.back, i)
			if afterDelivery {
				f.j.ReturnedAt = e.Occurred
				if f.j.Outcome == OutcomeLost {
					set(beforeLoss, beforeLossEvent)
				}
			} else {
				set(OutcomeReturned, i)
			}
		case code.Info().Outcome == OutcomeDelivered && afterDelivery:
			// A scan of the return chain without a word about the sender.
		case code.Info().Outcome != "":
			set(code.Info().Outcome, i)
		case code.IsMovement() && f.j.Outcome == OutcomeLost:
			set(beforeLoss, beforeLossEvent)
		}
	}
}

// ofLaterUse tells whether an event comes so long after the end of the journey
// that its number has been given to another parcel. A loss may be withdrawn at
// any time, and a parcel that was turned round is on its way until the sender
// has it.
func (f *folder) ofLaterUse(e *TimelineEvent) bool {
	if e.Number == "" || f.j.Outcome == "" || f.j.Outcome == OutcomeLost || f.returnFrom < len(f.j.Events) && len(f.back) == 0 {
		return false
	}
	return e.Occurred.At.Sub(f.j.Events[f.j.OutcomeEvent].Occurred.At) >= RestOf(e.Number)
}

// backWithSender tells whether a delivery scan is one to the sender: said so,
// made on the way back, or made in the country of origin.
func (f *folder) backWithSender(i int) bool {
	e := &f.j.Events[i]
	if e.DeliveredTo == DeliveredToSender {
		return true
	}
	if i > f.returnFrom {
		return true
	}
	o, d := f.facts.Origin.Country, f.facts.Destination.Country
	return o != "" && d != "" && o != d && e.Place.Country == o
}

// climb finds the milestones. Nothing on the way back moves one.
func (f *folder) climb() {
	j := &f.j
	j.Milestone = MilestoneRegistered
	first := [11]int{}
	for i := range first {
		first[i] = -1
	}
	for i := range j.Events {
		e := &j.Events[i]
		if e.Return {
			e.Proves = ""
		}
		if !e.counts() {
			continue
		}
		j.Latest = i
		r := e.Proves.Rank()
		if r > 0 && first[r] < 0 {
			first[r] = i
		}
	}
	for _, m := range Milestones() {
		if i := first[m.Rank()]; i >= 0 || m == MilestoneRegistered {
			j.Reached = append(j.Reached, Reached{Milestone: m, Event: i})
			j.Milestone = m
		}
	}
}

// custodyStage is the stage whose leg an event belongs to; empty for codes that
// happen in any stage. It differs from the code's stage at the borders: export
// clearance happens in the linehaul's hands, and what moves a parcel past the
// border is the last mile's.
func custodyStage(c Code) Stage {
	switch c {
	case CodeExportCustomsPresented, CodeExportCustomsHeld, CodeExportCustomsReleased:
		return StageLinehaul
	case CodeDestinationHubProcessed, CodeImportExchangeDeparted:
		return StageLastMile
	case CodeInTransit, CodeLinehaulDelayed, CodeAwaitingCarrier, CodeInfoReceived, CodeLabelPrinted, CodeImportPredeclared:
		return ""
	default:
		return c.Stage()
	}
}

type legID struct {
	carrier, number string
	stage           Stage
	ret             bool
}

// legs finds the stretches of custody: those that events happened in, those
// that somebody declared, and those that an event named.
func (f *folder) legs() {
	ev := f.j.Events
	f.stages()

	found := map[legID]int{}
	legs := make([]Leg, 0, 6)
	add := func(id legID, origin LegOrigin) int {
		if i, ok := found[id]; ok {
			return i
		}
		found[id] = len(legs)
		legs = append(legs, Leg{
			Key: legKey(id.carrier, id.number, id.stage, id.ret), Stage: id.stage, Return: id.ret, Carrier: id.carrier, Number: id.number,
			FirstEvent: -1, LastEvent: -1, Origin: origin, NamedBy: -1,
		})
		return len(legs) - 1
	}

	for i := range ev {
		e := &ev[i]
		if !e.counts() {
			continue
		}
		k := add(f.legOf(e), LegSeen)
		l := &legs[k]
		if preAdvice(e.Read) {
			// Data about a parcel is not the parcel: the leg is known, and has
			// not begun.
			continue
		}
		if l.FirstEvent < 0 {
			l.FirstEvent, l.Start, l.From = i, e.Occurred, e.Place
		}
		l.LastEvent, l.End, l.To = i, e.Occurred, e.Place
	}
	f.declared(&legs, add)
	f.named(&legs, add, found)
	f.found(&legs, add, found)
	f.orderLegs(legs)
}

// preAdvice tells whether a code is about data or plans, not about custody.
func preAdvice(c Code) bool {
	switch c {
	case CodeInfoReceived, CodeLabelPrinted, CodePickupScheduled, CodeAwaitingCarrier, CodeImportPredeclared:
		return true
	}
	return false
}

// legOf names the leg of an event. What somebody reports without a carrier or
// number belongs to the stretch that is known for its stage.
func (f *folder) legOf(e *TimelineEvent) legID {
	id := legID{e.Carrier, e.Number, e.Stage, e.Return}
	if e.Carrier != "" || e.Number != "" {
		return id
	}
	for i := range f.j.Events {
		if x := &f.j.Events[i]; x.counts() && x.Number != "" && x.Stage == e.Stage && x.Return == e.Return {
			id.carrier, id.number = x.Carrier, x.Number
		}
	}
	if id.number == "" && !e.Return {
		for i := range f.facts.Legs {
			if d := &f.facts.Legs[i]; d.ReplacedBy == "" && d.Stage == e.Stage && (id.number == "" || d.StageGiven) {
				id.carrier, id.number = d.Carrier, d.Number
			}
		}
	}
	return id
}

// stages gives each event the stage in whose leg it happened: its own, or for
// codes that may happen anywhere that of the event before it (else after it)
// of the same number and direction; of any number, where it was reported without
// one.
func (f *folder) stages() {
	ev := f.j.Events
	type stream struct {
		carrier, number string
		ret             bool
	}
	last := map[stream]Stage{}
	at := func(e *TimelineEvent) stream { return stream{e.Carrier, e.Number, e.Return} }
	// The stream of no number is that of all.
	note := func(seen map[stream]Stage, e *TimelineEvent) {
		seen[at(e)], seen[stream{ret: e.Return}] = e.Stage, e.Stage
	}
	for i := range ev {
		e := &ev[i]
		e.Stage = custodyStage(e.Read)
		if e.Stage == "" {
			e.Stage = last[at(e)]
		} else if e.counts() {
			note(last, e)
		}
	}
	next := map[stream]Stage{}
	for i := len(ev) - 1; i >= 0; i-- {
		e := &ev[i]
		if e.Stage == "" {
			e.Stage = next[at(e)]
		} else if e.counts() {
			note(next, e)
		}
		if e.Stage == "" {
			e.Stage = f.fallbackStage(e)
		}
	}
}

// fallbackStage serves a stream in which no event names a stage: the declared
// leg of that number, the last mile where an event named it, else where parcels
// begin or come back.
func (f *folder) fallbackStage(e *TimelineEvent) Stage {
	for i := range f.facts.Legs {
		if d := &f.facts.Legs[i]; d.Carrier == e.Carrier && d.Number == e.Number && d.Stage != "" && !e.Return {
			return d.Stage
		}
	}
	if e.Return || f.isNamed(e) {
		return StageLastMile
	}
	return StageFirstMile
}

// isNamed tells whether another number's event named e's as the one to carry on.
func (f *folder) isNamed(e *TimelineEvent) bool {
	return e.Number != "" && slices.ContainsFunc(f.j.Events, func(x TimelineEvent) bool {
		return x.counts() && x.tells(func(t *Event) bool {
			return t.NextNumber == e.Number && t.Number != e.Number && (t.NextCarrier == "" || t.NextCarrier == e.Carrier)
		})
	})
}

// declared lays the plan over what was seen. A declared number whose stage
// nobody named is replaced by the legs its events show.
func (f *folder) declared(legs *[]Leg, add func(legID, LegOrigin) int) {
	for i := range f.facts.Legs {
		d := &f.facts.Legs[i]
		matches := func(l *Leg) bool {
			if l.Return || l.Origin == LegNamed {
				return false
			}
			switch {
			case d.Number != "":
				return l.Carrier == d.Carrier && l.Number == d.Number && (!d.StageGiven || l.Stage == d.Stage)
			case d.Carrier != "":
				return l.Carrier == d.Carrier && l.Stage == d.Stage
			default:
				return l.Stage == d.Stage
			}
		}
		seen := slices.IndexFunc(*legs, func(l Leg) bool { return matches(&l) })
		if seen < 0 {
			if d.ReplacedBy != "" || f.echoed(d) {
				// Corrected before it was ever seen: nothing happened under it. Or
				// all it told is another's: the legs of that are its legs.
				continue
			}
			stage := d.Stage
			if stage == "" {
				stage = StageFirstMile
			}
			seen = add(legID{d.Carrier, d.Number, stage, false}, LegDeclared)
		}
		l := &(*legs)[seen]
		if l.ServiceLevel == "" {
			l.ServiceLevel = d.ServiceLevel
		}
		if l.Cost.Currency == "" {
			l.Cost = d.Cost
		}
		l.Former = f.former(d)
	}
}

// former lists the numbers that d's corrects, newest first. A chain of
// corrections is as long as the list of declared legs at most.
func (f *folder) former(d *DeclaredLeg) []string {
	var out []string
	for n := d.Replaces; n != "" && len(out) < len(f.facts.Legs); {
		out = append(out, n)
		i := slices.IndexFunc(f.facts.Legs, func(x DeclaredLeg) bool { return x.Number == n && x.Number != x.Replaces })
		if i < 0 {
			break
		}
		n = f.facts.Legs[i].Replaces
	}
	return out
}

// maxLegsNamed bounds the legs of a journey to which events may add by naming
// numbers: who names more is in a loop.
const maxLegsNamed = 64

// named adds the legs whose carrier or number an event told, unless they are
// known already.
func (f *folder) named(legs *[]Leg, add func(legID, LegOrigin) int, found map[legID]int) {
	for i := range f.j.Events {
		e := &f.j.Events[i]
		if !e.counts() {
			continue
		}
		for t := range e.Each() {
			if t.NextNumber != "" && len(*legs) < maxLegsNamed {
				f.nameLeg(legs, add, found, i, t)
			}
		}
	}
}

// fill gives the last mile of the plan, which has had no number, to the leg
// that has got one.
func (f *folder) fill(legs *[]Leg, k int, found map[legID]int) {
	l := &(*legs)[k]
	plan := slices.IndexFunc(*legs, func(p Leg) bool {
		return p.FirstEvent < 0 && p.Number == "" && p.Stage == StageLastMile && p.Return == l.Return && (p.Carrier == "" || p.Carrier == l.Carrier)
	})
	if plan < 0 {
		return
	}
	l.ServiceLevel, l.Cost = (*legs)[plan].ServiceLevel, (*legs)[plan].Cost
	*legs = slices.Delete(*legs, plan, plan+1)
	f.reindex(*legs, found)
}

// found plans the last mile of a number that was found at its carrier: until
// that carrier is heard, or somebody else has told of the last mile, or the
// journey has ended. A second name with the same carrier is no leg of its own.
func (f *folder) found(legs *[]Leg, add func(legID, LegOrigin) int, found map[legID]int) {
	if f.j.Outcome != "" {
		return
	}
	for i := range f.facts.Found {
		n := &f.facts.Found[i]
		if n.Rule != FoundPost && (n.Rule != FoundAlias || n.Carrier == n.FromCarrier) {
			continue
		}
		if slices.ContainsFunc(*legs, func(l Leg) bool {
			return l.Carrier == n.Carrier && l.Number == n.Number || l.Stage == StageLastMile && !l.Return && l.FirstEvent >= 0
		}) {
			continue
		}
		f.fill(legs, add(legID{n.Carrier, n.Number, StageLastMile, false}, LegOrigin(n.Rule)), found)
	}
}

// nameLeg adds the leg that event i names by its telling t.
func (f *folder) nameLeg(legs *[]Leg, add func(legID, LegOrigin) int, found map[legID]int, i int, t *Event) {
	if slices.ContainsFunc(*legs, func(l Leg) bool {
		return l.Number == t.NextNumber && (t.NextCarrier == "" || l.Carrier == t.NextCarrier)
	}) {
		return
	}
	ret := f.j.Events[i].Return
	k := add(legID{t.NextCarrier, t.NextNumber, StageLastMile, ret}, LegNamed)
	(*legs)[k].NamedBy = i
	f.fill(legs, k, found)
}

// reindex says anew where each leg stands in the list.
func (f *folder) reindex(legs []Leg, found map[legID]int) {
	clear(found)
	for i := range legs {
		l := &legs[i]
		found[legID{l.Carrier, l.Number, l.Stage, l.Return}] = i
	}
}

// orderLegs puts the legs in the journey's order and finds the state of each.
func (f *folder) orderLegs(legs []Leg) {
	ev := f.j.Events
	slices.SortFunc(legs, func(a, b Leg) int {
		if c := cmpBool(a.Return, b.Return); c != 0 {
			return c
		}
		// The way back passes the stages in no fixed order: it goes by time.
		if a.Return {
			return cmp.Or(compareStart(&a, &b), strings.Compare(a.Key, b.Key))
		}
		return cmp.Or(cmp.Compare(a.Stage.Rank(), b.Stage.Rank()), compareStart(&a, &b), strings.Compare(a.Key, b.Key))
	})
	started := -1
	for i := range legs {
		legs[i].Sequence = i + 1
		if legs[i].FirstEvent >= 0 {
			started = i
		}
	}
	for i := range legs {
		l := &legs[i]
		switch {
		case l.FirstEvent >= 0 && (i < started || f.j.Outcome != ""):
			l.State = LegDone
		case l.FirstEvent >= 0:
			l.State, l.End, f.j.CurrentLeg = LegActive, Moment{}, i
		case i < started || f.j.Outcome != "", f.facts.foundElsewhere(NumberKey{l.Carrier, l.Number}):
			l.State = LegSkipped
		default:
			l.State = LegPlanned
		}
	}
	at := make(map[legID]int, len(legs))
	f.reindex(legs, at)
	for i := range ev {
		e := &ev[i]
		e.Leg = -1
		if k, ok := at[f.legOf(e)]; ok {
			e.Leg = k
		}
	}
	f.j.Legs = legs
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// compareStart orders legs of one stage by first event; legs without any come
// after those that have begun.
func compareStart(a, b *Leg) int {
	switch {
	case a.FirstEvent < 0 && b.FirstEvent < 0:
		return 0
	case a.FirstEvent < 0:
		return 1
	case b.FirstEvent < 0:
		return -1
	default:
		return cmp.Compare(a.FirstEvent, b.FirstEvent)
	}
}

// letsGo tells whether a code is a carrier letting a parcel out of its hands.
func letsGo(c Code) bool {
	switch c {
	case CodeWarehouseDispatched, CodeHandedToLinehaul, CodeOriginCountryDeparted, CodeImportExchangeDeparted, CodeLastMileAccepted:
		return true
	}
	return false
}

// handovers finds where custody passes from one carrier or number to another.
// The gap counts against the carrier that has not been relieved: a parcel that
// nobody has accepted is still in the hands of the one that let it go.
func (f *folder) handovers() {
	legs := f.j.Legs
	prev := -1
	for i := range legs {
		l := &legs[i]
		if l.State == LegSkipped {
			continue
		}
		if prev >= 0 && legs[prev].Return == l.Return && (legs[prev].Carrier != l.Carrier || legs[prev].Number != l.Number) && legs[prev].FirstEvent >= 0 {
			h := Handover{From: prev, To: i, Released: legs[prev].LastEvent, Accepted: l.FirstEvent, CountsAgainst: prev,
				NumberChanged: legs[prev].Number != l.Number, Rule: "handover.until_accepted"}
			switch {
			case l.FirstEvent < 0 && !letsGo(f.j.Events[h.Released].Read):
				// Still in its hands, as far as it says.
				h.Released = -1
			case l.FirstEvent >= 0 && l.FirstEvent < h.Released:
				// The next carrier was heard before the last word of the one
				// before: what remains after acceptance is late paper, not
				// custody.
				h.Released = f.lastBefore(prev, l.FirstEvent)
				h.Rule = "handover.overlap"
			}
			f.j.Handovers = append(f.j.Handovers, h)
		}
		if l.FirstEvent >= 0 || l.State == LegPlanned {
			prev = i
		}
		if l.State == LegPlanned {
			break
		}
	}
	// Let go, and nobody named who takes on; unless it is the very scan by which
	// this carrier took on.
	if cur := f.j.CurrentLeg; cur >= 0 && cur == len(legs)-1 && !accepts(&f.j, legs[cur].LastEvent) {
		if e := &f.j.Events[legs[cur].LastEvent]; e.Read == CodeLastMileAccepted || e.Read == CodeHandedToLinehaul {
			f.j.Handovers = append(f.j.Handovers, Handover{From: cur, To: -1, Released: legs[cur].LastEvent, Accepted: -1, CountsAgainst: cur, Rule: "handover.open"})
		}
	}
}

func (f *folder) lastBefore(leg, event int) int {
	for i := event - 1; i >= 0; i-- {
		if e := &f.j.Events[i]; e.Leg == leg && e.counts() {
			return i
		}
	}
	return -1
}

// borderOf tells which border a customs hold concerns.
func borderOf(c Code) string {
	switch c {
	case CodeExportCustomsHeld:
		return "export"
	case CodeCustomsRefused:
		return "refused"
	default:
		return "import"
	}
}

// exceptions opens and closes what needs someone, in order of occurrence.
func (f *folder) exceptions() {
	ev := f.j.Events
	for i := range ev {
		e := &ev[i]
		if !e.counts() {
			continue
		}
		f.closeBy(i)
		// After the end only a return or damage is news; a late scan of an
		// earlier trouble is not.
		ended := f.j.OutcomeEvent >= 0 && i > f.j.OutcomeEvent
		for _, kind := range e.Read.Info().Opens {
			if ended && kind != ExceptionReturning && kind != ExceptionDamaged {
				continue
			}
			f.open(kind, i)
		}
		if i == f.j.OutcomeEvent {
			f.closeAllBefore(i)
		}
	}
}

func (f *folder) open(kind ExceptionKind, i int) {
	e := &f.j.Events[i]
	info := e.Read.Info()
	severity := kind.DefaultSeverity()
	if info.Critical {
		severity = SeverityCritical
	}
	reason := cmp.Or(e.Reason, info.Reason)
	var with ExceptionKind
	if kind == ExceptionActionRequired {
		with = info.Opens[0]
	}
	for k := range f.j.Exceptions {
		x := &f.j.Exceptions[k]
		if !x.Open() || x.Kind != kind || x.With != with {
			continue
		}
		// The same trouble told again: the later word sharpens it.
		if severity.Rank() > x.Severity.Rank() {
			x.Severity = severity
		}
		if reason != "" {
			x.Reason = reason
		}
		// A refusal stays one, whatever is told after it.
		if kind == ExceptionCustomsHeld && x.Border != "refused" {
			x.Border = borderOf(e.Read)
		}
		return
	}
	x := Exception{Key: string(kind) + ":" + e.EventKey, Kind: kind, Severity: severity, Reason: reason, With: with, Opened: i, Closed: -1, Leg: e.Leg}
	if kind == ExceptionCustomsHeld || with == ExceptionCustomsHeld {
		x.Border = borderOf(e.Read)
	}
	f.j.Exceptions = append(f.j.Exceptions, x)
}

// closeBy closes what an event ends.
func (f *folder) closeBy(i int) {
	e := &f.j.Events[i]
	for k := range f.j.Exceptions {
		x := &f.j.Exceptions[k]
		if !x.Open() {
			continue
		}
		kind := x.Kind
		if kind == ExceptionActionRequired {
			kind = x.With
		}
		rule := closes(e.Read, e.Proves, kind, x.Border)
		if kind == ExceptionReturning && slices.Contains(f.back, i) {
			rule = "closed.returned"
		}
		if rule != "" {
			x.Closed, x.Closure, x.ClosedBy = i, ClosureMovedOn, rule
		}
	}
}

// closes names the rule by which an event closes an exception; empty if it does
// not. proves is what the event proves in this journey, which may be more than
// its code says.
func closes(c Code, proves Milestone, kind ExceptionKind, border string) string {
	is := func(codes ...Code) bool { return slices.Contains(codes, c) }
	switch kind {
	case ExceptionDelayed:
		if c.IsMovement() {
			return "closed.movement"
		}
	case ExceptionCarrierHeld:
		if c.IsMovement() || c == CodeWarehouseDispatched {
			return "closed.movement"
		}
	case ExceptionCustomsHeld:
		switch {
		case border == "refused":
			if is(CodeReturnStarted, CodeReturned, CodeDisposed) {
				return "closed.refused"
			}
		case is(CodeExportCustomsReleased) && border == "export", is(CodeImportCustomsReleased, CodeImportExchangeDeparted):
			return "closed.released"
		case border == "export" && c.IsMovement() && (c == CodeHandedToLinehaul || proves.Rank() >= MilestoneOriginDeparted.Rank()):
			return "closed.past_border"
		case border == "import" && c.IsMovement() && (c == CodeDestinationHubProcessed || proves.Rank() >= MilestoneCustomsCleared.Rank()):
			return "closed.past_border"
		}
	case ExceptionAttemptFailed, ExceptionAddressProblem:
		if is(CodeOutForDelivery, CodeReadyForPickup, CodeDelivered, CodeDeliveredImpaired, CodeReturnStarted) {
			return "closed.tried_again"
		}
	case ExceptionLostSuspected:
		if c.IsMovement() {
			return "closed.seen_again"
		}
	}
	return ""
}

// closeAllBefore closes at the end of the journey what was open before it. An
// exception that the ending event itself opens stays: a loss is still to be
// claimed. Damage is for a person to close.
func (f *folder) closeAllBefore(i int) {
	for k := range f.j.Exceptions {
		x := &f.j.Exceptions[k]
		if x.Open() && x.Opened < i && x.Kind != ExceptionDamaged {
			x.Closed, x.Closure, x.ClosedBy = i, ClosureEnded, "closed.ended"
		}
	}
}

// custody finds who holds the parcel.
func (f *folder) custody() {
	j := &f.j
	c := Custody{State: CustodyMerchant, Leg: -1}
	last, any := j.LatestEvent()
	switch {
	case j.Outcome == OutcomeDelivered:
		c.State, c.Since = CustodyRecipient, j.Events[j.OutcomeEvent].Occurred
	case j.Outcome == OutcomeReturned:
		c.State, c.Since = CustodyMerchant, j.Events[j.OutcomeEvent].Occurred
	case j.Outcome != "":
		c.State, c.Since = CustodyUnknown, j.Events[j.OutcomeEvent].Occurred
	case !any || j.Milestone == MilestoneRegistered:
		if any {
			c.Since = last.Occurred
		}
	default:
		c.Leg, c.Since = last.Leg, last.Occurred
		switch code := last.Read; {
		case code == CodeReadyForPickup:
			c.State = CustodyPickup
		case code.Stage() == StageCustoms && code != CodeImportCustomsReleased && code != CodeExportCustomsReleased && code != CodeImportPredeclared:
			c.State = CustodyCustoms
		case code == CodeLastMileAccepted && f.awaitsNext(last), code == CodeHandedToLinehaul, code == CodeOriginCountryDeparted && f.awaitsNext(last):
			c.State = CustodyBetween
		default:
			c.State = CustodyCarrier
		}
	}
	j.Custody = c
}

// awaitsNext tells whether another carrier is known to take on after e and has
// not been heard yet.
func (f *folder) awaitsNext(e *TimelineEvent) bool {
	for i := e.Leg + 1; i < len(f.j.Legs); i++ {
		l := &f.j.Legs[i]
		if l.State == LegPlanned && (l.Carrier != e.Carrier || l.Number != e.Number) {
			return true
		}
	}
	return false
}
