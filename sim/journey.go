package sim

import (
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const day = 24 * time.Hour

// journey is the whole life of one parcel, as it will have been: what happens,
// who tells it, and when.
type journey struct {
	ordinal int
	truth   *Truth
	from    *town // where the seller hands it over
	to      *town // where the buyer lives

	registered time.Time
	legs       []leg
	scans      []scan // in order of occurrence
	// outcome is how it ends, firstScan and end when it begins and ends.
	outcome        parcel.Outcome
	firstScan, end time.Time
	// settled is when the last word has been told.
	settled time.Time
	// scenario is set for those; sharedOrder is the order of several parcels.
	scenario    *scenario
	sharedOrder string
}

// leg is one carrier's number for the parcel.
type leg struct {
	carrier, number string
	// stage is declared with it; empty where the events decide.
	stage parcel.Stage
	// undeclared legs are found by the gateway; wrongly declared ones carry the
	// name of another carrier in declaredAs.
	undeclared bool
	declaredAs *string
	// next is the leg that this carrier names as the one that goes on, -1 for
	// none.
	next int
	// known is when the carrier knows the number even without a scan; zero for
	// the first scan told.
	known time.Time
	// estimate is the day of delivery that the carrier shows until the end, from
	// estimated on; zero for none.
	estimate, estimated time.Time
	// trouble is what happens to calls about this number.
	trouble trouble
	// pushLate delays pushes, pushTwice sends each again.
	pushLate  time.Duration
	pushTwice bool
}

// scan is one thing that a carrier tells.
type scan struct {
	leg         int
	code        parcel.Code
	reason      parcel.Reason
	deliveredTo parcel.DeliveredTo
	at          time.Time
	// told is when the carrier's systems show it.
	told time.Time
	// place is where; nil tells none.
	place *town
	// vagueUntil: before, the carrier tells the country alone.
	vagueUntil time.Time
}

// maker draws one journey.
type maker struct {
	d dice
	j *journey
	t *Truth

	// The legs of the first and the last carrier; the same where one carries
	// from end to end.
	front, back int
	// fetched is the leg of who brings it to the first of these, -1 for none.
	fetched   int
	home, far *land // of origin and of destination
	out, in   *town // offices of exchange

	// The flags of the journey, drawn beforehand.
	silent, late, twice, predeclared bool
	slowness                         float64 // quantile of transit
	transit                          time.Duration
	departed, arrived, cleared       time.Time
}

// draw makes the ordinary journey of an ordinal.
func draw(seed uint64, ordinal int, t *Truth, registered time.Time) *journey {
	m := maker{d: newDice(seed, uint64(ordinal)), t: t}
	m.home, m.far = lands()[t.Lane.Origin], lands()[t.Lane.Destination]
	m.j = &journey{
		ordinal: ordinal, truth: t, registered: registered, to: m.far.pick(&m.d),
		legs: make([]leg, 0, 3), scans: make([]scan, 0, 24),
	}
	if t.Class == ClassWarehouse {
		m.j.from = &m.far.depot
	} else {
		m.j.from = m.home.pick(&m.d)
		m.out, m.in = m.home.exchange(&m.d), m.far.exchange(&m.d)
	}
	m.number(numbersOf(seed))

	m.j.firstScan = workday(registered.Add(t.FirstScan.Quantile(m.d.unit())), m.j.from.zone, &m.d)
	if !m.j.firstScan.After(registered) {
		m.j.firstScan = registered.Add(m.d.between(10*time.Minute, 3*time.Hour))
	}
	m.slowness = m.d.unit()
	m.transit = t.Transit.Quantile(m.slowness)
	m.j.outcome = m.ending()
	c := &t.Chances
	m.silent, m.late, m.twice, m.predeclared = m.d.chance(c.SilentBorder), m.d.chance(c.LateFirstScan), m.d.chance(c.ToldTwice), m.d.chance(c.Predeclared)

	end := m.j.firstScan.Add(m.transit)
	lastMile := m.j.firstScan
	if t.Class != ClassWarehouse {
		m.beforeFirstScan()
		m.cross()
		lastMile = m.cleared
	} else {
		m.tell(scan{leg: m.front, code: parcel.CodeInfoReceived, at: registered.Add(m.d.between(time.Minute, 8*time.Minute)), place: m.j.from})
		m.tell(scan{leg: m.front, code: parcel.CodePickedUp, at: m.j.firstScan, place: m.j.from})
	}
	m.deliver(lastMile, end)
	m.finish()
	return m.j
}

func (m *maker) ending() parcel.Outcome {
	e := &m.t.Ends
	switch u := m.d.unit(); {
	case u < e.Lost:
		return parcel.OutcomeLost
	case u < e.Lost+e.Returned:
		return parcel.OutcomeReturned
	case u < e.Lost+e.Returned+e.Disposed:
		return parcel.OutcomeDisposed
	}
	return parcel.OutcomeDelivered
}

// number gives each carrier of the route its number.
func (m *maker) number(n numbers) {
	j, t := m.j, m.t
	first := t.Carriers[0]
	add := func(carrier, number string, stage parcel.Stage) int {
		j.legs = append(j.legs, leg{carrier: carrier, number: number, stage: stage, next: -1})
		return len(j.legs) - 1
	}
	carried := t.Carriers
	m.fetched = -1
	if len(carried) == 3 {
		// Somebody else brings it to the warehouse of who carries it.
		m.fetched, carried = add(first, m.numbered(n, first), parcel.StageFirstMile), carried[1:]
		first = carried[0]
	}
	switch {
	case t.Class == ClassWarehouse:
		m.front = add(first, m.domestic(n, first), "")
	default:
		m.front = add(first, m.numbered(n, first), "")
	}
	m.back = m.front
	if len(carried) == 1 {
		if m.d.chance(t.Chances.Renumbered) {
			m.back = add(first, n.cainiao(j.ordinal, 1), parcel.StageLastMile)
		}
	} else {
		last := carried[1]
		number := j.legs[m.front].number
		if !sameNumber(first, last) {
			number = m.numbered(n, last)
		}
		m.back = add(last, number, parcel.StageLastMile)
	}
	if m.back != m.front && (first == cainiao || first == yunExpress) {
		// These name who goes on, so that nobody has to say it beforehand.
		j.legs[m.front].next, j.legs[m.back].undeclared = m.back, true
	}
}

// sameNumber tells whether a parcel keeps its number from carrier to carrier:
// posts know each other's.
func sameNumber(first, last string) bool {
	switch first {
	case upuPostal, chinaPost:
		return last == russianPost || last == laPoste || last == royalMail || last == canadaPost
	}
	return false
}

// numbered is the number of a carrier for a parcel that crosses a border.
func (m *maker) numbered(n numbers, carrier string) string {
	i := m.j.ordinal
	switch carrier {
	case upuPostal:
		return n.s10("LV", i, "CN")
	case chinaPost:
		return n.s10("LZ", i, "CN")
	case fourPX:
		return n.fourPX(i)
	case yunExpress:
		return n.yunExpress(i)
	case sfExpress:
		return n.sfExpress(i)
	case correios:
		return n.s10("NX", i, "BR")
	case russianPost:
		return n.russian(i)
	case uspsName:
		return n.usps(i)
	case fedexName:
		return n.fedex(i)
	case dhlName:
		return n.dhl(i)
	case australiaPost:
		return n.australiaPost(i)
	case laPoste:
		return n.laPoste(i)
	case royalMail:
		return n.s10("QA", i, "GB")
	case canadaPost:
		return n.canadaPost(i)
	case upsName:
		return n.ups(i)
	}
	return n.cainiao(i, 0)
}

func (m *maker) domestic(n numbers, carrier string) string {
	switch carrier {
	case russianPost:
		return n.russian(m.j.ordinal)
	case correios:
		return n.s10("AA", m.j.ordinal, "BR")
	}
	return n.ups(m.j.ordinal)
}

// tell lets a leg's carrier say that something happened, if it has a word for
// it.
func (m *maker) tell(s scan) {
	l := &m.j.legs[s.leg]
	if s.code = tells(l.carrier, s.code); s.code == "" {
		return
	}
	s.at = s.at.Truncate(time.Second).UTC()
	if s.told.IsZero() {
		s.told = s.at.Add(lag(l.carrier, &m.d))
	}
	m.j.scans = append(m.j.scans, s)
}

// beforeFirstScan tells the data and the work of the seller's warehouse.
func (m *maker) beforeFirstScan() {
	j := m.j
	here := j.from
	wait := j.firstScan.Sub(j.registered)
	part := func(f float64) time.Time { return j.registered.Add(time.Duration(f * float64(wait))) }
	m.tell(scan{leg: m.front, code: parcel.CodeInfoReceived, at: part(.02), place: here})
	if m.d.chance(.5) && m.fetched < 0 {
		m.tell(scan{leg: m.front, code: parcel.CodeWarehouseReceived, at: part(.35), place: here})
		m.tell(scan{leg: m.front, code: parcel.CodeWarehousePacked, at: part(.60), place: here})
	}
	if m.fetched < 0 {
		m.tell(scan{leg: m.front, code: parcel.CodeWarehouseDispatched, at: part(.90), place: here})
	}
}

// cross takes the parcel from the first scan to its release by import customs.
func (m *maker) cross() {
	j, d := m.j, &m.d
	var parts [5]float64
	m.t.divide(d, &parts)
	length := func(i int) time.Duration { return time.Duration(parts[i] * float64(m.transit)) }
	first, haul, customs := length(0), length(1), length(2)
	m.departed = j.firstScan.Add(first)
	m.arrived = m.departed.Add(haul)
	// Customs work on weekdays, but never before they have the parcel.
	m.cleared = workday(m.arrived.Add(customs), m.in.zone, d)
	if earliest := m.arrived.Add(customs / 3); m.cleared.Before(earliest) {
		m.cleared = earliest
	}

	m.origin(first)
	m.border(haul)
	m.release(m.cleared.Sub(m.arrived))
}

func (m *maker) origin(length time.Duration) {
	j, d := m.j, &m.d
	part := func(f float64) time.Time {
		return j.firstScan.Add(time.Duration((f + .06*d.unit()) * float64(length)))
	}
	var told time.Time
	if m.late {
		// The bag's list arrives after the parcel has left.
		told = m.departed.Add(d.between(day, 6*day))
	}
	say := func(code parcel.Code, at time.Time, place *town) {
		m.tell(scan{leg: m.front, code: code, at: at, told: told, place: place})
	}
	if m.fetched >= 0 {
		m.tell(scan{leg: m.fetched, code: parcel.CodePickedUp, at: j.firstScan, told: told, place: j.from})
		m.tell(scan{leg: m.fetched, code: parcel.CodeOriginHubDeparted, at: part(.05), told: told, place: j.from})
		say(parcel.CodeWarehouseReceived, part(.15), &m.home.hub)
	} else {
		say(parcel.CodePickedUp, j.firstScan, j.from)
		say(parcel.CodeOriginHubArrived, part(.15), &m.home.hub)
	}
	if d.chance(.5) {
		say(parcel.CodeOriginHubDeparted, part(.30), &m.home.hub)
	}
	say(parcel.CodeExportExchangeArrived, part(.42), m.out)
	if d.chance(.5) {
		say(parcel.CodeExportCustomsPresented, part(.55), m.out)
	}
	say(parcel.CodeExportCustomsReleased, part(.70), m.out)
	if d.chance(.5) {
		say(parcel.CodeHandedToLinehaul, part(.85), m.out)
	}
	if m.predeclared && m.j.legs[m.front].carrier == cainiao {
		m.tell(scan{leg: m.front, code: parcel.CodeImportCustomsPresented, at: part(.78), place: m.in})
	}
	if m.twice && m.front != m.back {
		m.tell(scan{leg: m.back, code: parcel.CodeOriginCountryDeparted, at: m.departed, place: m.out})
	}
}

func (m *maker) border(length time.Duration) {
	d := &m.d
	part := func(f float64) time.Time { return m.departed.Add(time.Duration(f * float64(length))) }
	m.tell(scan{leg: m.front, code: parcel.CodeOriginCountryDeparted, at: m.departed, place: m.out})
	if l := &m.j.legs[m.back]; m.back != m.front && l.number != m.j.legs[m.front].number && labelled(l.carrier) {
		// The label of the last mile is made while the parcel flies.
		m.tell(scan{leg: m.back, code: parcel.CodeInfoReceived, at: part(.5 * d.unit()), place: &m.far.hub})
	}
	if m.silent {
		return
	}
	if m.t.Class == ClassPostal && d.chance(.15) {
		via := lands()[transitOf(m.t.Lane.Destination)].exchange(d)
		m.tell(scan{leg: m.front, code: parcel.CodeTransitCountryArrived, at: part(.30), place: via})
		m.tell(scan{leg: m.front, code: parcel.CodeTransitCountryDeparted, at: part(.55), place: via})
	}
	if d.chance(m.t.Chances.Delayed) {
		m.tell(scan{leg: m.front, code: parcel.CodeLinehaulDelayed, at: part(.70), place: m.out, reason: parcel.ReasonCapacity})
	}
	for _, l := range m.importers() {
		m.tell(scan{leg: l, code: parcel.CodeDestinationCountryArrived, at: m.arrived, place: m.in})
	}
}

// labelled tells the carriers that show a label before they have the parcel.
func labelled(carrier string) bool {
	switch carrier {
	case upsName, fedexName, uspsName, dhlName, australiaPost, laPoste, royalMail, canadaPost:
		return true
	}
	return false
}

// importers are the legs whose carriers tell of arrival and customs: the post
// of the country of destination where it took part from the beginning, else
// the first carrier; both where scans are told twice.
func (m *maker) importers() []int {
	front, back := &m.j.legs[m.front], &m.j.legs[m.back]
	main, other := m.front, m.back
	if sameNumber(front.carrier, back.carrier) {
		main, other = m.back, m.front
	}
	if m.twice && main != other && tells(m.j.legs[other].carrier, parcel.CodeDestinationCountryArrived) != "" {
		return []int{main, other}
	}
	return []int{main}
}

func (m *maker) release(length time.Duration) {
	j, d := m.j, &m.d
	part := func(f float64) time.Time { return m.arrived.Add(time.Duration(f * float64(length))) }
	held := j.outcome == parcel.OutcomeDisposed || d.unit() < 2*m.t.Chances.Held*m.slowness
	code, reason := m.holding()
	for _, l := range m.importers() {
		if !m.silent {
			if !m.predeclared || j.legs[l].carrier != cainiao {
				m.tell(scan{leg: l, code: parcel.CodeImportCustomsPresented, at: part(.12), place: m.in})
			}
			if held {
				m.tell(scan{leg: l, code: code, at: part(.30), place: m.in, reason: reason})
			}
		}
		if j.outcome == parcel.OutcomeDisposed {
			m.tell(scan{leg: l, code: parcel.CodeCustomsRefused, at: m.cleared, place: m.in, reason: parcel.ReasonProhibited})
			continue
		}
		// Told even where the border is silent: a second number comes with it.
		if !m.silent || j.legs[l].next >= 0 {
			m.tell(scan{leg: l, code: parcel.CodeImportCustomsReleased, at: m.cleared, place: m.in})
		}
	}
}

// holding is what import customs want.
func (m *maker) holding() (parcel.Code, parcel.Reason) {
	duty, papers := .15, .40
	if m.t.Lane.Destination == "BR" {
		duty, papers = .60, .85
	}
	switch u := m.d.unit(); {
	case u < duty:
		return parcel.CodeCustomsDutyDue, parcel.ReasonDutyUnpaid
	case u < papers:
		return parcel.CodeCustomsDocumentsRequired, parcel.ReasonDocumentsMissing
	}
	return parcel.CodeImportCustomsHeld, parcel.ReasonInspection
}

// deliver takes the parcel from the beginning of the last mile to its end.
func (m *maker) deliver(from, to time.Time) {
	j, d := m.j, &m.d
	if j.outcome == parcel.OutcomeDisposed {
		m.dispose()
		return
	}
	door := j.to
	end := visit(to, j.to.zone, d)
	if !end.After(from.Add(6 * time.Hour)) {
		end = from.Add(6 * time.Hour)
	}
	van := morning(end, j.to.zone, d)
	if !van.After(from) {
		van = end.Add(-30 * time.Minute)
	}
	length := van.Sub(from)
	part := func(f float64) time.Time {
		return from.Add(time.Duration((f + .05*d.unit()) * float64(length)))
	}
	last := m.back

	if m.t.Class == ClassWarehouse {
		m.tell(scan{leg: last, code: parcel.CodeOriginHubArrived, at: part(.12), place: &m.far.hub})
		m.tell(scan{leg: last, code: parcel.CodeOriginHubDeparted, at: part(.35), place: &m.far.hub})
		m.tell(scan{leg: last, code: parcel.CodeInTransit, at: part(.70), place: door})
	} else {
		if slices.Contains(m.importers(), m.front) {
			m.tell(scan{leg: m.front, code: parcel.CodeImportExchangeDeparted, at: part(.02), place: m.in})
		}
		if tells(j.legs[m.front].carrier, parcel.CodeLastMileAccepted) != "" {
			m.tell(scan{leg: m.front, code: parcel.CodeLastMileAccepted, at: part(.08), place: &m.far.hub})
		}
		m.tell(scan{leg: last, code: parcel.CodeDestinationHubProcessed, at: part(.16), place: &m.far.hub})
		if d.chance(.4) {
			m.tell(scan{leg: last, code: parcel.CodeDestinationHubProcessed, at: part(.45), place: &m.far.hub})
		}
		if m.twice && m.front != last {
			m.tell(scan{leg: m.front, code: parcel.CodeDestinationHubProcessed, at: part(.50), place: &m.far.hub})
		}
	}
	if d.chance(m.t.Chances.Delayed) {
		m.tell(scan{leg: last, code: parcel.CodeDelayed, at: part(.55), place: &m.far.hub, reason: parcel.ReasonWeather})
	}
	if d.chance(m.t.Chances.Damaged) {
		m.tell(scan{leg: last, code: parcel.CodeDamaged, at: part(.60), place: &m.far.hub})
	}
	office := part(.82)
	pickup := d.chance(m.t.Chances.Pickup)
	failed := d.chance(m.t.Chances.FailedAttempt)
	tried := office
	if failed || j.outcome == parcel.OutcomeReturned && !pickup {
		if out, at := m.attempt(last, part(.25), end); !at.IsZero() {
			tried = at
			if early := out.Add(-d.between(time.Hour, 4*time.Hour)); early.Before(office) {
				office = early
			}
		}
	}
	m.tell(scan{leg: last, code: parcel.CodeDeliveryOfficeArrived, at: office, place: door})
	if pickup {
		m.collect(last, tried, end)
	} else {
		m.tell(scan{leg: last, code: parcel.CodeOutForDelivery, at: van, place: door})
		if m.twice && m.front != last {
			m.tell(scan{leg: m.front, code: parcel.CodeOutForDelivery, at: van.Add(d.between(time.Minute, 20*time.Minute)), place: door})
		}
	}
	j.end = end
	if j.outcome == parcel.OutcomeReturned {
		m.sendBack(end, pickup)
		return
	}
	receiver := parcel.DeliveredToRecipient
	if !pickup && d.chance(.12) {
		receiver = parcel.DeliveredToNeighbour
	}
	m.tell(scan{leg: last, code: parcel.CodeDelivered, at: end, place: door, deliveredTo: receiver})
	if m.twice && m.front != last {
		m.tell(scan{leg: m.front, code: parcel.CodeDelivered, at: end.Add(d.between(time.Minute, 30*time.Minute)), place: door})
	}
	if d.chance(.5) {
		// An estimate of the last carrier: right within two days, mostly.
		l := &j.legs[last]
		l.estimate, l.estimated = end.Add(time.Duration(factor(.6, d.unit())*float64(day))-day), part(.2)
	}
}

// attempt is a day on which nobody was there, if there is one to spare after
// the parcel came to town: when the van left, and when it rang in vain.
func (m *maker) attempt(last int, after, end time.Time) (van, at time.Time) {
	d := &m.d
	at = visit(end.Add(-time.Duration(1+d.below(3))*day), m.j.to.zone, d)
	if end.Sub(at) < 12*time.Hour { // Monday and the Sunday before it are one day's visit
		at = at.Add(-2 * day)
	}
	van = morning(at, m.j.to.zone, d)
	if !van.After(after) {
		return time.Time{}, time.Time{}
	}
	code, reason := parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent
	if d.chance(.2) {
		code, reason = parcel.CodeAddressProblem, parcel.ReasonAddressIncorrect
	}
	m.tell(scan{leg: last, code: parcel.CodeOutForDelivery, at: van, place: m.j.to})
	m.tell(scan{leg: last, code: code, at: at, place: m.j.to, reason: reason})
	return van, at
}

// collect lets the parcel wait at a station until the end.
func (m *maker) collect(last int, after, end time.Time) {
	at := end.Add(-m.d.between(5*time.Hour, 4*day))
	if earliest := after.Add(end.Sub(after) / 4); at.Before(earliest) {
		at = earliest
	}
	s := scan{leg: last, code: parcel.CodeReadyForPickup, at: at, place: m.j.to}
	if c := m.j.legs[last].carrier; c == cainiao || c == upsName {
		s.deliveredTo = parcel.DeliveredToPickupPoint
	}
	m.tell(s)
}

// sendBack returns the parcel to its sender after it could not be delivered.
func (m *maker) sendBack(failed time.Time, pickup bool) {
	j, d := m.j, &m.d
	reason := parcel.ReasonRefused
	what := parcel.CodeDeliveryAttemptFailed
	if pickup {
		reason, what = parcel.ReasonNotCollected, parcel.CodeUnclaimed
	}
	m.tell(scan{leg: m.back, code: what, at: failed, place: j.to, reason: reason})
	begun := failed.Add(d.between(2*day, 9*day))
	m.tell(scan{leg: m.back, code: parcel.CodeReturnStarted, at: begun, place: m.leaving(), reason: reason})
	j.end = visit(begun.Add(time.Duration((.5+.4*d.unit())*float64(m.transit))), j.from.zone, d)
	m.tell(scan{leg: m.back, code: parcel.CodeReturned, at: j.end, place: j.from, deliveredTo: parcel.DeliveredToSender})
}

// leaving is where the way back begins: the office of exchange where posts
// tell it as a departure.
func (m *maker) leaving() *town {
	if m.in != nil && m.j.legs[m.back].carrier == upuPostal {
		return m.in
	}
	return &m.far.hub
}

// dispose ends a parcel that customs do not let in.
func (m *maker) dispose() {
	m.j.end = m.cleared.Add(m.d.between(10*day, 40*day))
	m.tell(scan{leg: m.importers()[0], code: parcel.CodeDisposed, at: m.j.end, place: m.in})
}

// finish loses what is lost, orders the scans, and finds when all is told.
func (m *maker) finish() {
	j, d := m.j, &m.d
	if j.outcome == parcel.OutcomeLost {
		j.end = j.firstScan.Add(time.Duration((.05 + .85*d.unit()) * float64(m.transit)))
		j.scans = slices.DeleteFunc(j.scans, func(s scan) bool { return s.at.After(j.end) })
		if d.chance(m.t.LostReported) {
			m.tell(scan{leg: m.back, code: parcel.CodeLost, at: j.end.Add(d.between(20*day, 45*day)), place: &m.far.hub})
		}
	}
	j.order()
}

// order sorts the scans and finds when the last of them is told.
func (j *journey) order() {
	slices.SortStableFunc(j.scans, func(a, b scan) int { return a.at.Compare(b.at) })
	j.settled = j.registered
	for i := range j.scans {
		if j.scans[i].told.After(j.settled) {
			j.settled = j.scans[i].told
		}
	}
	if j.end.After(j.settled) {
		j.settled = j.end
	}
}
