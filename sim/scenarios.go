package sim

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Scenario is a trouble of the trade under a public test number. Its parcels
// are part of every network, with the same numbers under every seed.
type Scenario struct {
	// Name is a constant for tests and pages: SIM-CUSTOMS-HOLD-RU-01. It is the
	// reference under which the merchant registers the parcel.
	Name string
	// Failures are the lines of the project's list of failures that it shows.
	Failures []int
	// Number is the tracking number, in its carrier's true form; Carrier the
	// one that knows it.
	Number, Carrier string
	// Doc says in a sentence what happens, and what should be seen.
	Doc string
	// Outlook is what should be seen of it.
	Outlook Outlook
}

// Scenarios lists them in the order of the failures; the slice is the caller's
// own.
func Scenarios() []Scenario {
	out := make([]Scenario, 0, 64)
	for serial, p := range castOf() {
		out = append(out, p.scenario(serial))
	}
	return out
}

// FindScenario gives a scenario by its name.
func FindScenario(name string) (Scenario, bool) {
	all := Scenarios()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, false
	}
	return all[i], true
}

// scenario is a Scenario on the stage.
type scenario struct {
	Scenario
	// playing is the journey as it goes since it was advanced; nil before.
	playing atomic.Pointer[journey]
}

// play is how a scenario goes.
type play struct {
	name     string
	failures []int
	route    string // for places and class
	// first is the carrier whose number is the public one.
	first string
	// reuses names an earlier play whose numbers are used again.
	reuses string
	doc    string
	// act tells the story; days are counted from the start of the network,
	// negative ones are its past.
	act func(s *story)
}

// scenario describes the play at a place in the list.
func (p *play) scenario(serial int) Scenario {
	return Scenario{Name: p.name, Failures: slices.Clone(p.failures), Number: publicNumber(p.first, p.route, serial), Carrier: p.first, Doc: p.doc, Outlook: outlooks()[p.name]}
}

// castOf is the plays with the serial of each one's numbers: its place in the
// list, so that a new play goes to the end of it, or that of the play whose
// numbers it uses again.
func castOf() iter.Seq2[int, *play] {
	all := plays()
	return func(yield func(int, *play) bool) {
		for i := range all {
			serial := i
			if all[i].reuses != "" {
				serial = slices.IndexFunc(all, func(p play) bool { return p.name == all[i].reuses })
			}
			if !yield(serial, &all[i]) {
				return
			}
		}
	}
}

// publicNumber is the number of a play at one carrier.
func publicNumber(carrier, route string, i int) string {
	serial := uint64(publicSerial + i)
	switch carrier {
	case upuPostal:
		return s10("RB", serial, "CN")
	case cainiao:
		return fmt.Sprintf("LP00%04d%08d", 0, serial)
	case correios:
		if route == "BR-BR-WAREHOUSE" {
			return s10("AA", serial, "BR")
		}
		return s10("NX", serial, "BR")
	case russianPost:
		if route == "CN-RU-POSTAL" {
			return s10("RB", serial, "CN")
		}
		return russian(102_999, uint64(i)+1)
	}
	return ups("SIM001", "03", uint64(i)+1)
}

// story tells a play on the stage.
type story struct {
	j      *journey
	start  time.Time
	index  int
	route  string
	home   *land
	far    *land
	out    *town
	in     *town
	second []register
	fixes  []Correction
}

// at is an instant by days from the start. A fraction of a day is a time of
// day that no zone turns into midnight.
func (s *story) at(days float64) time.Time {
	return s.start.Add(time.Duration(days * float64(day))).Truncate(time.Second)
}

// tell lets a leg's carrier tell something, half an hour after it happened. It
// returns the scan for what is special about it.
func (s *story) tell(leg int, days float64, code parcel.Code, place *town) *scan {
	at := s.at(days)
	s.j.scans = append(s.j.scans, scan{leg: leg, code: code, at: at, told: at.Add(30 * time.Minute), place: place})
	return &s.j.scans[len(s.j.scans)-1]
}

// then adds a leg.
func (s *story) then(carrier string, stage parcel.Stage) int {
	s.j.legs = append(s.j.legs, leg{carrier: carrier, number: publicNumber(carrier, s.route, s.index), stage: stage, next: -1})
	return len(s.j.legs) - 1
}

// handOn lets leg a name leg b, which nobody declared.
func (s *story) handOn(a, b int) { s.j.legs[a].next, s.j.legs[b].undeclared = b, true }

func (s *story) lead() *leg { return &s.j.legs[0] }

// The common openings, each up to a day before the one given.

// posted takes a postal parcel out of the country of origin.
func (s *story) posted(leg int, departed float64) {
	s.tell(leg, departed-5.2, parcel.CodePickedUp, s.j.from)
	s.tell(leg, departed-3.9, parcel.CodeExportExchangeArrived, s.out)
	s.tell(leg, departed-.3, parcel.CodeOriginCountryDeparted, s.out)
}

// lined takes a parcel of a line out of the country of origin.
func (s *story) lined(leg int, departed float64) {
	s.tell(leg, departed-4.1, parcel.CodeInfoReceived, s.j.from)
	s.tell(leg, departed-3.1, parcel.CodePickedUp, s.j.from)
	s.tell(leg, departed-2.4, parcel.CodeOriginHubArrived, &s.home.hub)
	s.tell(leg, departed-1.6, parcel.CodeExportCustomsReleased, s.out)
	s.tell(leg, departed-.2, parcel.CodeOriginCountryDeparted, s.out)
}

// landed takes it into the country of destination and through customs.
func (s *story) landed(leg int, arrived float64) {
	s.tell(leg, arrived-.7, parcel.CodeDestinationCountryArrived, s.in)
	s.tell(leg, arrived-.4, parcel.CodeImportCustomsPresented, s.in)
	s.tell(leg, arrived, parcel.CodeImportCustomsReleased, s.in)
}

// shipped takes a domestic parcel to the depot near the buyer.
func (s *story) shipped(leg int, near float64) {
	s.tell(leg, near-2.6, parcel.CodeInfoReceived, s.j.from)
	s.tell(leg, near-2.1, parcel.CodePickedUp, s.j.from)
	s.tell(leg, near-1.4, parcel.CodeInTransit, &s.far.hub)
	s.tell(leg, near, parcel.CodeInTransit, s.j.to)
}

// toDoor brings it to the buyer's door.
func (s *story) toDoor(leg int, delivered float64) {
	s.tell(leg, delivered-.25, parcel.CodeOutForDelivery, s.j.to)
	s.tell(leg, delivered, parcel.CodeDelivered, s.j.to).deliveredTo = parcel.DeliveredToRecipient
}

// stage builds the scenarios' journeys.
func (n *Network) stage() {
	ordinal := publicSerial
	for serial, p := range castOf() {
		ordinal++
		t, ok := TruthOf(p.route)
		if !ok || n.houses[p.first] == nil {
			continue // a carrier that is not served plays nothing
		}
		s := story{start: n.start, index: serial, route: p.route, home: lands()[t.Lane.Origin], far: lands()[t.Lane.Destination]}
		s.j = &journey{ordinal: ordinal, truth: &t, scenario: &scenario{Scenario: p.scenario(serial)}, from: &s.home.towns[0], to: &s.far.towns[0]}
		if t.Class == ClassWarehouse {
			s.j.from = &s.far.depot
		}
		s.out, s.in = s.j.from, &s.far.exchanges[0]
		if len(s.home.exchanges) > 0 {
			s.out = &s.home.exchanges[0]
		}
		s.j.legs = []leg{{carrier: p.first, number: s.j.scenario.Number, next: -1}}
		p.act(&s)
		s.j.order()
		if last := len(s.j.scans) - 1; last >= 0 {
			s.j.end = s.j.scans[last].at
		}
		if s.j.registered.IsZero() {
			s.j.registered = s.start
			for _, sc := range s.j.scans {
				if at := sc.at.Add(-3 * time.Hour); at.Before(s.j.registered) {
					s.j.registered = at
				}
			}
		}
		n.scenarios = append(n.scenarios, s.j)
		n.enter(s.j)
		n.registers = append(n.registers, register{s.j.registered, s.j, p.name})
		n.registers = append(n.registers, s.second...)
		n.corrections = append(n.corrections, s.fixes...)
		for k := range s.j.legs {
			if l := &s.j.legs[k]; l.trouble.times > 0 && n.houses[l.carrier] != nil {
				t := l.trouble
				n.houses[l.carrier].weather.troubled[l.number] = &t
			}
		}
	}
	slices.SortStableFunc(n.registers, func(a, b register) int { return a.at.Compare(b.at) })
	slices.SortStableFunc(n.corrections, func(a, b Correction) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Reference, b.Reference))
	})
}
