package parcel

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// One scan, told by several: two posts that report one S10 item, a network
// beside a post, an aggregator that repeats what a carrier said, a merchant who
// saw it too. Each teller's event has an identity of its own; here they become
// one event with several tellings.
//
// What is sought is a set of classes such that any two tellings of a class could
// be one scan, and no teller speaks twice in it: a carrier that says two things
// means two. Pairs are taken closest first, so that the tellings which agree
// best find each other before those that could also be meant; a class never
// grows by way of a telling in the middle. The order of pairs follows from what
// is said and never from arrival, so the classes are a function of the set of
// events.

// sameScanWithin bounds how far apart two tellers' clocks may be for one scan:
// one of them writes seconds and the other does not.
const sameScanWithin = time.Minute

// maxNeighbours bounds how many tellings of one minute are compared with one
// another. More than a handful is no journey.
const maxNeighbours = 24

// voice is one list of events: that of a carrier, or that which somebody else
// tells of it. An aggregator that repeats two carriers' lists is two voices.
type voice struct{ teller, carrier string }

// byHand is the teller of what a person reported or brought in a file of their
// own.
const byHand = "\x00"

// voice is whose list an event stands in.
func (e *TimelineEvent) voice() voice {
	if e.byHand() {
		return voice{byHand, e.Carrier}
	}
	return voice{e.Teller, e.Carrier}
}

// byHand tells whether people alone told it: no bytes of a carrier say so.
func (e *TimelineEvent) byHand() bool {
	for i := range e.Witnesses {
		if w := &e.Witnesses[i]; w.PayloadID != "" || w.Source != SourceReport && w.Source != SourceFile {
			return false
		}
	}
	return len(e.Witnesses) > 0
}

// Each calls yield for the event as each of its tellers tells it, best first; an
// event of one teller is its own only telling.
func (e *TimelineEvent) Each() iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		if len(e.Tellings) == 0 {
			yield(&e.Event)
			return
		}
		for i := range e.Tellings {
			if !yield(&e.Tellings[i]) {
				return
			}
		}
	}
}

// tells tells whether any of the tellings is such.
func (e *TimelineEvent) tells(is func(*Event) bool) bool {
	for x := range e.Each() {
		if is(x) {
			return true
		}
	}
	return false
}

// EventByID is the index of the event that goes by this id, under which any of
// its tellers' events was ever shown; -1 if none does.
func (j *Journey) EventByID(id string) int {
	return slices.IndexFunc(j.Events, func(e TimelineEvent) bool {
		return e.ID == id || e.tells(func(x *Event) bool { return x.ID == id })
	})
}

// EventByKey is the index of the event that has this identity for any of its
// tellers; -1 if none has.
func (j *Journey) EventByKey(key string) int {
	return slices.IndexFunc(j.Events, func(e TimelineEvent) bool {
		return e.EventKey == key || e.tells(func(x *Event) bool { return x.EventKey == key })
	})
}

// apart gives the events of an earlier fold back as their tellers told them, with
// room for more.
func apart(events []TimelineEvent, more int) []TimelineEvent {
	n := len(events) + more
	for i := range events {
		n += len(events[i].Tellings)
	}
	out := make([]TimelineEvent, 0, n)
	for i := range events {
		e := &events[i]
		if len(e.Tellings) == 0 {
			out = append(out, TimelineEvent{Event: e.Event, Leg: -1, Witnesses: slices.Clone(e.Witnesses)})
			continue
		}
		for k := range e.Tellings {
			t := TimelineEvent{Event: e.Tellings[k], Leg: -1}
			for _, w := range e.Witnesses {
				if w.Key == t.EventKey {
					t.Witnesses = append(t.Witnesses, w)
				}
			}
			out = append(out, t)
		}
	}
	return out
}

// sighting is a telling with what the comparison needs of it.
type sighting struct {
	*TimelineEvent
	voice voice
	// number is the same for numbers that are linked.
	number string
	// at is the best instant and face the clock face read as UTC.
	at, face time.Time
	// sure tells whether the offset was written or follows from the place.
	sure bool
	// hand tells whether people alone told it.
	hand bool
	// corrected is the person's correction of this very telling, nil if none.
	corrected *Retraction
	class     int32
}

// pair is two tellings that could be one scan.
type pair struct {
	a, b  int32
	close int
	apart time.Duration
}

// unite puts the tellings of one scan together, and applies the corrections of
// people, which take the whole event however many tell it. f.j.Events are single
// tellings, in order; those that their carrier took back are marked.
func (f *folder) unite() {
	seen := f.sightings()
	if seen == nil {
		for i := range f.j.Events {
			e := &f.j.Events[i]
			if r := f.correctionOf(e.EventKey); r != nil {
				e.Retracted = r
			}
		}
		return
	}
	classes := classesOf(seen)
	out := make([]TimelineEvent, 0, len(classes))
	for _, members := range classes {
		out = f.settle(out, seen, members)
	}
	f.j.Events = out
}

// sightings prepares the comparison; nil where a single voice tells everything,
// so that there is nothing to compare.
func (f *folder) sightings() []sighting {
	ev := f.j.Events
	first := voice{}
	several := false
	for i := range ev {
		if v := ev[i].voice(); i == 0 {
			first = v
		} else if v != first {
			several = true
			break
		}
	}
	if !several {
		return nil
	}
	number := f.linkedNumbers()
	seen := make([]sighting, len(ev))
	for i := range ev {
		e := &ev[i]
		s := sighting{TimelineEvent: e, voice: e.voice(), number: number(e.Number), at: e.Occurred.At, face: e.Occurred.At,
			sure: e.Occurred.Certainty.Rank() >= CertaintyPlace.Rank(), corrected: f.correctionOf(e.EventKey), class: int32(i)}
		s.hand = s.voice.teller == byHand
		if e.Occurred.HasOffset && !e.Occurred.DateOnly() {
			s.face = s.at.Add(time.Duration(e.Occurred.OffsetSeconds) * time.Second)
		} else if e.Occurred.DateOnly() {
			s.face = e.Occurred.Face()
		}
		seen[i] = s
	}
	return seen
}

// linkedNumbers gives each number the name of its group: numbers are linked
// where an event of one names the other as the next, and where one was found by
// the other as a name of the same parcel.
func (f *folder) linkedNumbers() func(string) string {
	var parent map[string]string
	root := func(n string) string {
		for {
			p, ok := parent[n]
			if !ok {
				return n
			}
			n = p
		}
	}
	link := func(x, y string) {
		if x == "" || y == "" {
			return
		}
		if a, b := root(x), root(y); a != b {
			if parent == nil {
				parent = map[string]string{}
			}
			// The smaller name stands for both: the groups' names do not depend on
			// the order of the links.
			parent[max(a, b)] = min(a, b)
		}
	}
	for i := range f.facts.Found {
		link(f.facts.Found[i].From, f.facts.Found[i].Number)
	}
	for i := range f.j.Events {
		if e := &f.j.Events[i]; e.counts() && f.correctionOf(e.EventKey) == nil {
			link(e.Number, e.NextNumber)
		}
	}
	return root
}

// correctionOf is the first correction of an event by a person, nil if none:
// a second one could only repeat it.
func (f *folder) correctionOf(key string) *Retraction {
	for i := range f.j.Corrections {
		if f.j.Corrections[i].Target == key {
			c := f.j.Corrections[i]
			return &c
		}
	}
	return nil
}

// classesOf groups tellings of one scan; each class lists its members in the
// order of seen, and classes stand in the order of their first member.
func classesOf(seen []sighting) [][]int32 {
	pairs := pairsOf(seen)
	slices.SortFunc(pairs, func(x, y pair) int {
		return cmp.Or(cmp.Compare(y.close, x.close), cmp.Compare(x.apart, y.apart), cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
	pairs = slices.Compact(pairs)
	classes := make([][]int32, len(seen))
	members := make([]int32, len(seen))
	for i := range seen {
		members[i] = int32(i)
		classes[i] = members[i : i+1 : i+1]
	}
	for _, p := range pairs {
		a, b := seen[p.a].class, seen[p.b].class
		if a == b || !joins(seen, classes[a], classes[b]) {
			continue
		}
		into, from := min(a, b), max(a, b)
		classes[into] = append(classes[into], classes[from]...)
		slices.Sort(classes[into])
		for _, m := range classes[from] {
			seen[m].class = into
		}
		classes[from] = nil
	}
	return slices.DeleteFunc(classes, func(c []int32) bool { return c == nil })
}

// joins tells whether every telling of one class could be the scan of every
// telling of the other.
func joins(seen []sighting, a, b []int32) bool {
	for _, i := range a {
		for _, k := range b {
			if closeness(&seen[i], &seen[k]) == 0 {
				return false
			}
		}
	}
	return true
}

// pairsOf lists the pairs that could be one scan: near in time by the instant,
// by the clock face, or on the day on which the journey ended.
func pairsOf(seen []sighting) []pair {
	type point struct {
		at time.Time
		i  int32
	}
	var pairs []pair
	list := make([]point, 0, 2*len(seen))
	sweep := func() {
		slices.SortFunc(list, func(x, y point) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.i, y.i)) })
		for k := range list {
			for _, next := range list[k+1 : min(len(list), k+1+maxNeighbours)] {
				if next.at.Sub(list[k].at) >= sameScanWithin {
					break
				}
				a, b := min(list[k].i, next.i), max(list[k].i, next.i)
				if c := closeness(&seen[a], &seen[b]); c > 0 {
					pairs = append(pairs, pair{a, b, c, min(seen[a].at.Sub(seen[b].at).Abs(), seen[a].face.Sub(seen[b].face).Abs())})
				}
			}
		}
		list = list[:0]
	}
	for i := range seen {
		s := &seen[i]
		if s.comparable() && !s.Occurred.DateOnly() {
			list = append(list, point{s.at, int32(i)})
			if !s.sure && s.face != s.at {
				list = append(list, point{s.face, int32(i)}) // written in UTC, perhaps
			}
		}
	}
	sweep()
	for i := range seen {
		if s := &seen[i]; s.comparable() {
			list = append(list, point{s.face, int32(i)})
		}
	}
	sweep()
	for i := range seen {
		if s := &seen[i]; s.comparable() && s.Code.Info().Outcome != "" {
			list = append(list, point{s.face.Truncate(24 * time.Hour), int32(i)})
		}
	}
	sweep()
	return pairs
}

// comparable tells whether a telling says enough to be recognised in another.
func (s *sighting) comparable() bool { return !s.Retracts && !s.Occurred.IsZero() }

// closeness tells how surely two tellings are of one scan, 0 if they are not.
func closeness(a, b *sighting) int {
	if a.voice == b.voice || a.number != b.number && a.Number != "" && b.Number != "" || contradicts(a, b) || contradicts(b, a) {
		return 0
	}
	code := sameCode(a, b)
	if code == 0 {
		return 0
	}
	place := samePlace(&a.Place, &b.Place)
	if place == placeOther {
		return 0
	}
	clock := sameTime(a, b, place)
	if clock == clockOther || code == codeOfChain && clock < clockFace {
		return 0
	}
	return code*8 + clock
}

// contradicts tells whether a is a person's word against b: what they reported
// in its place, or reported again after they had taken it back.
func contradicts(a, b *sighting) bool {
	r := b.corrected
	return r != nil && (r.ReplacedBy == a.EventKey || a.Source == SourceReport && a.corrected == nil && a.ReceivedAt.After(r.At))
}

// How two codes are of one scan.
const (
	codeOfChain = 1 // one of them says less, and repeats the other
	codeEqual   = 2
)

// sameCode compares canonical codes. A word that says nothing much ("in
// transit", a code that nobody mapped) is a specific one only where somebody
// repeats the very list that has the specific one.
func sameCode(a, b *sighting) int {
	if a.Code == b.Code && knownRank(a.Code) > 0 {
		return codeEqual
	}
	chain := a.Carrier == b.Carrier && a.Carrier != "" && a.Number == b.Number && (a.Teller == "") != (b.Teller == "")
	if chain && (knownRank(a.Code) < 2 || knownRank(b.Code) < 2) {
		return codeOfChain
	}
	return 0
}

// How two places agree.
const (
	placeOther   = -1 // they cannot be one
	placeOpen    = 0  // one says too little to tell
	placeCountry = 1  // one country
	placeCity    = 2  // one city
)

func samePlace(a, b *Place) int {
	if a.Country != "" && b.Country != "" && a.Country != b.Country {
		return placeOther
	}
	if a.Unlocode != "" && b.Unlocode != "" {
		if a.Unlocode != b.Unlocode {
			return placeOther
		}
		return placeCity
	}
	if a.City != "" && b.City != "" {
		if a.City != b.City && placeFold(a.City) != placeFold(b.City) {
			return placeOther
		}
		return placeCity
	}
	if a.Country != "" && a.Country == b.Country {
		return placeCountry
	}
	return placeOpen
}

// How two times agree, most surely last.
const (
	clockOther   = 0
	clockUTC     = 1 // an unsure clock, read as UTC, shows the other's instant; or the one day on which it ended
	clockAssumed = 2 // the instant that an assumed offset gives, or one day without clocks
	clockFace    = 3 // the same clock face
	clockInstant = 4 // the same instant, both sure
)

// sameTime compares times. Two sure instants are compared as such. An assumed
// offset proves nothing by itself: then the clock faces must agree in one
// country, whatever whole hours the assumption is out by, or the instants in the
// country that it was assumed for; or, in one city, the face read as UTC.
func sameTime(a, b *sighting, place int) int {
	near := func(x, y time.Time) bool { return x.Sub(y).Abs() < sameScanWithin }
	if a.Occurred.DateOnly() || b.Occurred.DateOnly() {
		switch {
		case place < placeCountry || a.Occurred.Day() != b.Occurred.Day():
			return clockOther
		case a.Occurred.DateOnly() && b.Occurred.DateOnly():
			return clockAssumed
		case a.Code.Info().Outcome != "":
			return clockUTC
		}
		return clockOther
	}
	face := near(a.face, b.face)
	instant := near(a.at, b.at)
	switch {
	case a.sure && b.sure && instant:
		return clockInstant
	case face && place == placeCity, face && instant:
		return clockFace
	case a.sure && b.sure:
		return clockOther
	case face && place == placeCountry:
		return clockFace
	case a.sure == b.sure:
		return clockOther
	}
	sure, unsure := a, b
	if b.sure {
		sure, unsure = b, a
	}
	switch {
	case instant && place >= placeCountry && unsure.Occurred.Certainty == CertaintyAssumed:
		return clockAssumed
	case place == placeCity && near(unsure.face, sure.at):
		return clockUTC
	}
	return clockOther
}

// settle makes of a class the event that stands, and the one that its carrier
// took back if there is such a part. A person's correction of any telling takes
// the whole: who says that it did not happen says so whoever tells it.
func (f *folder) settle(out []TimelineEvent, seen []sighting, members []int32) []TimelineEvent {
	if len(members) == 1 {
		s := &seen[members[0]]
		e := *s.TimelineEvent
		if s.corrected != nil {
			e.Retracted = s.corrected
		}
		return append(out, e)
	}
	var by *Retraction
	for _, m := range members {
		if c := seen[m].corrected; c != nil && (by == nil || compareRetractions(c, by) < 0) {
			by = c
		}
	}
	if by != nil {
		e := united(seen, members)
		e.Retracted = by
		return append(out, e)
	}
	// A carrier takes back its own word, and with it what is only the echo of it;
	// what another saw for itself stands.
	var stands, gone []int32
	for _, m := range members {
		s := &seen[m]
		withdrawn := s.Retracted != nil || s.Teller != "" && slices.ContainsFunc(members, func(k int32) bool {
			o := &seen[k]
			return o.Retracted != nil && o.Teller == "" && o.Carrier == s.Carrier
		})
		if withdrawn {
			gone = append(gone, m)
		} else {
			stands = append(stands, m)
		}
	}
	if len(stands) > 0 {
		out = append(out, united(seen, stands))
	}
	if len(gone) > 0 {
		e := united(seen, gone)
		for _, m := range gone {
			if r := seen[m].Retracted; r != nil {
				e.Retracted = r
				break
			}
		}
		out = append(out, e)
	}
	return out
}

// united is one event of several tellings: the best one's words, what only
// another says added, all witnesses, and the id and key of the one that was
// received first, so that they stay as others join.
func united(seen []sighting, members []int32) TimelineEvent {
	if len(members) == 1 {
		e := *seen[members[0]].TimelineEvent
		e.Retracted = nil
		return e
	}
	order := slices.Clone(members)
	slices.SortFunc(order, func(a, b int32) int {
		switch {
		case a == b:
			return 0
		case betterTeller(&seen[a], &seen[b]):
			return -1
		}
		return 1
	})
	e := TimelineEvent{Event: seen[order[0]].Event, Leg: -1, Tellings: make([]Event, 0, len(order))}
	first := seen[order[0]].TimelineEvent
	for _, m := range order {
		x := seen[m].TimelineEvent
		e.Tellings = append(e.Tellings, x.Event)
		e.Witnesses = append(e.Witnesses, x.Witnesses...)
		if c := x.ReceivedAt.Compare(first.ReceivedAt); c < 0 || c == 0 && x.EventKey < first.EventKey {
			first = x
		}
		e.Event.complete(&x.Event)
	}
	slices.SortFunc(e.Witnesses, compareWitnesses)
	e.ID, e.EventKey = first.ID, first.EventKey
	w := &e.Witnesses[0]
	e.ReceivedAt, e.PayloadID, e.Source = w.ReceivedAt, w.PayloadID, w.Source
	return e
}

// complete adds what e does not say and x does, about one scan.
func (e *Event) complete(x *Event) {
	e.Reason = cmp.Or(e.Reason, x.Reason)
	e.DeliveredTo = cmp.Or(e.DeliveredTo, x.DeliveredTo)
	if e.NextNumber == "" {
		e.NextNumber, e.NextCarrier = x.NextNumber, cmp.Or(x.NextCarrier, e.NextCarrier)
	} else if e.NextNumber == x.NextNumber {
		e.NextCarrier = cmp.Or(e.NextCarrier, x.NextCarrier)
	}
	p, q := &e.Place, &x.Place
	p.Country, p.Region, p.City = cmp.Or(p.Country, q.Country), cmp.Or(p.Region, q.Region), cmp.Or(p.City, q.City)
	p.Postcode, p.Facility = cmp.Or(p.Postcode, q.Postcode), cmp.Or(p.Facility, q.Facility)
	p.Unlocode, p.TimeZone = cmp.Or(p.Unlocode, q.Unlocode), cmp.Or(p.TimeZone, q.TimeZone)
}

// betterTeller tells whether a says more surely than b what happened; a total
// order over the tellings of one event.
func betterTeller(a, b *sighting) bool {
	// A merchant's own word comes after the carrier's, and one who repeats after
	// the one whose scan it is.
	own := func(s *sighting) int {
		switch {
		case s.hand:
			return 0
		case s.Teller != "":
			return 1
		}
		return 2
	}
	clock := func(s *sighting) int {
		if s.Occurred.DateOnly() {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(knownRank(a.Code), knownRank(b.Code)),
		cmp.Compare(clock(a), clock(b)),
		cmp.Compare(a.Occurred.Certainty.Rank(), b.Occurred.Certainty.Rank()),
		cmp.Compare(placeDetail(a.Place), placeDetail(b.Place)),
		cmp.Compare(own(a), own(b)),
		cmp.Compare(len(a.Words), len(b.Words)),
		strings.Compare(b.EventKey, a.EventKey),
	) > 0
}

// stream is a carrier's number: the thread on which its legs hang.
type stream struct{ carrier, number string }

// whose finds whose scan an event of several tellers is, so that a stretch that
// two tell is one leg: the carrier that was declared for that stage; else the one
// that tells of fewer stages, since who tells everything repeats most of it; else
// the one that tells more of this stage; else, up to the border the one that was
// declared first, and after it the one declared last. Events whose code belongs
// to no stage follow those around them.
func (f *folder) whose() {
	ev := f.j.Events
	several := false
	for i := range ev {
		several = several || len(ev[i].Tellings) > 0
	}
	if !several {
		return
	}
	type stretch struct {
		stream
		stage Stage
		ret   bool
	}
	type span struct {
		stream
		ret bool
	}
	told, stages := map[stretch]int{}, map[span]int{}
	for i := range ev {
		e := &ev[i]
		stage := custodyStage(e.Read)
		if !e.counts() || stage == "" {
			continue
		}
		for x := range e.Each() {
			s := stretch{stream{x.Carrier, x.Number}, stage, e.Return}
			if told[s]++; told[s] == 1 {
				stages[span{s.stream, e.Return}]++
			}
		}
	}
	declared := func(s stream) int {
		if i := slices.IndexFunc(f.facts.Legs, func(d DeclaredLeg) bool { return d.Carrier == s.carrier && d.Number == s.number }); i >= 0 {
			return i
		}
		return len(f.facts.Legs)
	}
	forStage := func(s stream, stage Stage) int {
		if slices.ContainsFunc(f.facts.Legs, func(d DeclaredLeg) bool {
			return d.Carrier == s.carrier && d.StageGiven && d.Stage == stage && (d.Number == "" || d.Number == s.number)
		}) {
			return 1
		}
		return 0
	}
	// before reports whether a has the better claim to an event of that stage.
	before := func(a, b stream, stage Stage, ret bool) int {
		late := stage.Rank() >= StageCustoms.Rank()
		byOrder := cmp.Compare(declared(a), declared(b))
		if late {
			byOrder = -byOrder
		}
		return cmp.Or(
			cmp.Compare(forStage(b, stage), forStage(a, stage)),
			cmp.Compare(stages[span{a, ret}], stages[span{b, ret}]),
			cmp.Compare(told[stretch{b, stage, ret}], told[stretch{a, stage, ret}]),
			byOrder,
			strings.Compare(a.carrier, b.carrier), strings.Compare(a.number, b.number),
		)
	}
	// Events of no stage take the nearest of their own tellers: that of the event
	// before, else after.
	var open []int
	var last [2]stream
	give := func(e *TimelineEvent, s stream) {
		teller := cmp.Or(e.Teller, e.Carrier)
		e.Carrier, e.Number, e.Teller = s.carrier, s.number, teller
		if teller == s.carrier {
			e.Teller = ""
		}
	}
	for i := range ev {
		e := &ev[i]
		way := 0
		if e.Return {
			way = 1
		}
		stage := custodyStage(e.Read)
		if len(e.Tellings) == 0 {
			if e.counts() && stage != "" {
				last[way] = stream{e.Carrier, e.Number}
			}
			continue
		}
		if stage == "" {
			if e.tells(func(x *Event) bool { return stream{x.Carrier, x.Number} == last[way] }) {
				give(e, last[way])
			} else {
				open = append(open, i)
			}
			continue
		}
		best := stream{}
		for x := range e.Each() {
			s := stream{x.Carrier, x.Number}
			// What a person reported without a carrier is nobody's thread.
			if s != (stream{}) && (best == stream{} || before(s, best, stage, e.Return) < 0) {
				best = s
			}
		}
		give(e, best)
		if e.counts() {
			last[way] = best
		}
	}
	for _, i := range slices.Backward(open) {
		e := &ev[i]
		best := stream{}
		if n := f.nextOf(i); n != nil {
			best = stream{n.Carrier, n.Number}
		} else {
			for x := range e.Each() {
				s := stream{x.Carrier, x.Number}
				if s != (stream{}) && (best == stream{} || before(s, best, "", e.Return) < 0) {
					best = s
				}
			}
		}
		give(e, best)
	}
}

// nextOf is the first event after i, the same way, that belongs to a stage and to
// one of i's tellers; nil if there is none.
func (f *folder) nextOf(i int) *TimelineEvent {
	e := &f.j.Events[i]
	for k := i + 1; k < len(f.j.Events); k++ {
		n := &f.j.Events[k]
		if n.counts() && n.Return == e.Return && custodyStage(n.Read) != "" && e.tells(func(x *Event) bool { return x.Carrier == n.Carrier && x.Number == n.Number }) {
			return n
		}
	}
	return nil
}

// echoed tells whether all that a declared number's carrier has told so far is
// shown as another's: its leg, if it has one, is still to come to light.
func (f *folder) echoed(d *DeclaredLeg) bool {
	if d.Number == "" || d.StageGiven {
		return false
	}
	for i := range f.j.Events {
		e := &f.j.Events[i]
		if e.counts() && e.tells(func(x *Event) bool { return x.Number == d.Number && cmp.Or(x.Teller, x.Carrier) == d.Carrier }) {
			return true
		}
	}
	return false
}
