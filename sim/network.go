package sim

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// Options make a Network.
type Options struct {
	// Clock is trade time: what carriers have told depends on it alone.
	Clock clock.Clock
	// Wall runs delays and limits; nil gives the wall clock.
	Wall clock.Clock
	// Seed names the world.
	Seed uint64
	// Shipments is how many were registered in the past, beside those of the
	// scenarios; 0 gives DefaultShipments. Registrations go on at the same
	// pace.
	Shipments int
	// Past is how much history there is at the start; 0 gives DefaultPast.
	Past time.Duration
	// Specs are the carriers that are served. Routes by a carrier that is
	// missing carry nothing.
	Specs []carriers.Spec
	// Log gets what a person would want to know; nil for none.
	Log *slog.Logger
}

// The defaults of Options.
const (
	DefaultShipments = 300
	DefaultPast      = 90 * day
)

// retention is how long a carrier keeps what it told, from the last word on.
const retention = 400 * day

// Network is a simulated carrier network. It is safe for concurrent use.
type Network struct {
	clock, wall clock.Clock
	seed        uint64
	start       time.Time
	past, pace  time.Duration
	log         *slog.Logger
	routes      []string
	houses      map[string]*house
	scenarios   []*journey
	registers   []register // of the scenarios, by time

	mu sync.Mutex
	// ordinary journeys are made as trade time reaches their registration;
	// forgotten ones were told completely long ago.
	ordinary  []*journey
	forgotten int
	index     map[parcel.NumberKey][]handle
	// registered and corrected count what was handed to the merchant.
	registered, atDesk, corrected int
	corrections                   []Correction
	// moves lists what was advanced, in order; sleepers wake those who wait for
	// something that may have moved.
	moves    []*journey
	sleepers map[string]context.CancelFunc
}

// house is one carrier with its service.
type house struct {
	spec     carriers.Spec
	settings map[string]string
	fake     carriers.Fake
	speaks   map[parcel.Code]bool
	pushes   bool
	weather  weather
}

// handle is a number's leg of a journey.
type handle struct {
	j   *journey
	leg int
}

// New makes a network whose past ends now. It does no I/O and starts nothing.
// It returns ErrInvalid if the clock is missing, if no route is left that the
// given carriers could carry, or for options out of range.
func New(o Options) (*Network, error) {
	o.Shipments, o.Past = cmp.Or(o.Shipments, DefaultShipments), cmp.Or(o.Past, DefaultPast)
	switch {
	case o.Clock == nil:
		return nil, fmt.Errorf("sim: a clock is needed: %w", parcel.ErrInvalid)
	case o.Shipments < 0 || o.Shipments > 1_000_000:
		return nil, fmt.Errorf("sim: %d shipments: want 1 to 1000000: %w", o.Shipments, parcel.ErrInvalid)
	case o.Past < day || o.Past > 10*365*day:
		return nil, fmt.Errorf("sim: a past of %v: want a day to ten years: %w", o.Past, parcel.ErrInvalid)
	}
	if o.Wall == nil {
		o.Wall = clock.Wall()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Network{
		clock: o.Clock, wall: o.Wall, seed: o.Seed, start: o.Clock.Now().Truncate(time.Second), past: o.Past,
		pace: o.Past / time.Duration(o.Shipments), log: o.Log, houses: map[string]*house{}, index: map[parcel.NumberKey][]handle{}, sleepers: map[string]context.CancelFunc{},
	}
	for _, spec := range o.Specs {
		n.houses[spec.Name] = n.open(spec)
	}
	for _, t := range routes() {
		if !slices.ContainsFunc(t.Carriers, func(c string) bool { return n.houses[c] == nil }) {
			n.routes = append(n.routes, t.Route)
		}
	}
	if len(n.routes) == 0 {
		return nil, fmt.Errorf("sim: no route can be carried by %v: %w", slices.Sorted(maps.Keys(n.houses)), parcel.ErrInvalid)
	}
	n.stage()
	n.advance(n.start)
	return n, nil
}

// open makes a carrier's service.
func (n *Network) open(spec carriers.Spec) *house {
	h := &house{spec: spec, settings: Credentials(&spec), speaks: map[parcel.Code]bool{}}
	h.weather.d = newDice(n.seed, uint64(len(n.houses))+1<<40)
	h.weather.stats.Numbers = map[string]int{}
	h.weather.troubled = map[string]*trouble{}
	h.fake = spec.Fake(carriers.FakeEnv{
		Settings: h.settings,
		Now:      n.clock.Now,
		Journeys: func(number string) (carriers.FakeHistory, bool) {
			h.weather.asked(number)
			known, ok := n.Journeys(spec.Name, number)
			if twice, reordered := h.weather.telling(); ok && (twice || reordered) {
				known.Scans = muddle(known.Scans, twice, reordered)
			}
			return known, ok
		},
	})
	for _, c := range h.fake.Speaks() {
		h.speaks[c] = true
	}
	for c := range h.speaks {
		probe := carriers.FakeHistory{Scans: []carriers.FakeScan{{Code: c, At: n.start}}}
		if _, h.pushes = h.fake.Push("0000000000", probe); h.pushes {
			break
		}
	}
	return h
}

// Credentials are those of a simulated account at a carrier: made up for every
// setting that has no default and needs no meaning. Its fake takes these and no
// others.
func Credentials(spec *carriers.Spec) map[string]string {
	settings := map[string]string{}
	for _, s := range spec.Settings {
		if s.Default == "" {
			settings[s.Name] = "sim-" + s.Name
		}
	}
	for name, value := range contract(spec.Name) {
		if settings[name] = value; value == "" {
			delete(settings, name)
		}
	}
	return settings
}

// contract is the settings of a simulated account that mean something: what
// it is allowed beyond what a stranger is. An empty one is not set.
func contract(carrier string) map[string]string {
	switch carrier {
	case russianPost:
		return map[string]string{"calls_per_day": "0"}
	case upuPostal:
		return map[string]string{"address_reasons": "", "return_actions": ""}
	case cainiao:
		return map[string]string{"push_events": ""}
	case "dpd-sftp":
		return map[string]string{"depots": "", "country": "", "reasons": ""}
	case sfExpress:
		return map[string]string{"check_phone_no": "4821"}
	case fedexName, royalMail:
		return map[string]string{"calls_per_day": "0"}
	case uspsName:
		return map[string]string{"calls_per_hour": "0"}
	case dhlName:
		return map[string]string{"calls_per_day": "0", "seconds_between_calls": "0", "service": ""}
	case australiaPost, canadaPost:
		return map[string]string{"calls_per_minute": "0"}
	}
	return nil
}

// muddle spoils the order of scans, and tells them twice.
func muddle(scans []carriers.FakeScan, twice, reordered bool) []carriers.FakeScan {
	if reordered {
		scans = slices.Clone(scans)
		for i := 1; i < len(scans); i += 2 {
			scans[i-1], scans[i] = scans[i], scans[i-1]
		}
	}
	if twice {
		scans = slices.Concat(scans, scans)
	}
	return scans
}

// Carriers lists those served, by name.
func (n *Network) Carriers() []string { return slices.Sorted(maps.Keys(n.houses)) }

// Start is when the past ended and the demo began, trade time.
func (n *Network) Start() time.Time { return n.start }

// SetFaults changes what is wrong with a carrier from now on. It returns
// ErrNotFound for a carrier that is not served.
func (n *Network) SetFaults(carrier string, f Faults) error {
	h := n.houses[carrier]
	if h == nil {
		return fmt.Errorf("sim: carrier %q (served: %v): %w", carrier, n.Carriers(), parcel.ErrNotFound)
	}
	h.weather.mu.Lock()
	defer h.weather.mu.Unlock()
	h.weather.faults, h.weather.at = f, time.Time{}
	return nil
}

// Faults tells what is wrong with a carrier; nothing for one that is not
// served.
func (n *Network) Faults(carrier string) Faults {
	h := n.houses[carrier]
	if h == nil {
		return Faults{}
	}
	return h.weather.pushFaults()
}

// Calls tells what a carrier was asked so far; the map is the caller's own.
func (n *Network) Calls(carrier string) CallStats {
	h := n.houses[carrier]
	if h == nil {
		return CallStats{Numbers: map[string]int{}}
	}
	h.weather.mu.Lock()
	defer h.weather.mu.Unlock()
	s := h.weather.stats
	s.Numbers = maps.Clone(s.Numbers)
	return s
}

// registersAt is when an ordinal is registered: at an even pace, each a little
// before or after its turn.
func (n *Network) registersAt(ordinal int) time.Time {
	d := newDice(n.seed+2, uint64(ordinal))
	turn := float64(ordinal) + .5 + .9*(d.unit()-.5)
	return n.start.Add(-n.past + time.Duration(turn*float64(n.pace))).Truncate(time.Second)
}

// advance makes the journeys whose registration has come. The caller holds mu,
// or is New.
func (n *Network) advance(now time.Time) {
	for {
		ordinal := n.forgotten + len(n.ordinary)
		at := n.registersAt(ordinal)
		if at.After(now) {
			break
		}
		j := draw(n.seed, ordinal, choose(n.seed, ordinal, n.routes), at)
		n.ordinary = append(n.ordinary, j)
		n.enter(j)
	}
	for len(n.ordinary) > 0 && now.Sub(n.ordinary[0].settled) > retention {
		n.forget(n.ordinary[0])
		n.ordinary[0] = nil
		n.ordinary = n.ordinary[1:]
		n.forgotten++
	}
}

func (n *Network) enter(j *journey) {
	for i := range j.legs {
		key := parcel.NumberKey{Carrier: j.legs[i].carrier, Number: j.legs[i].number}
		n.index[key] = append(n.index[key], handle{j, i})
	}
}

func (n *Network) forget(j *journey) {
	for i := range j.legs {
		key := parcel.NumberKey{Carrier: j.legs[i].carrier, Number: j.legs[i].number}
		n.index[key] = slices.DeleteFunc(n.index[key], func(h handle) bool { return h.j == j })
		if len(n.index[key]) == 0 {
			delete(n.index, key)
		}
	}
}

// Journeys tells what a carrier knows of a number by now, in order of
// occurrence: scans appear when they are told, which may be long after they
// happened. ok is false for a number that it does not know, or not yet.
func (n *Network) Journeys(carrier, number string) (h carriers.FakeHistory, ok bool) {
	now := n.clock.Now()
	n.mu.Lock()
	n.advance(now)
	found := n.index[parcel.NumberKey{Carrier: carrier, Number: number}]
	n.mu.Unlock()
	for _, f := range found {
		if n.recall(f, now, &h) {
			ok = true
		}
	}
	if len(found) > 1 {
		slices.SortStableFunc(h.Scans, func(a, b carriers.FakeScan) int { return a.At.Compare(b.At) })
	}
	return h, ok
}

// recall adds what a carrier knows of one leg by now. Journeys are never
// written to once they are made: one that is advanced is made anew.
func (n *Network) recall(f handle, now time.Time, h *carriers.FakeHistory) bool {
	j := f.j.current()
	l := &j.legs[f.leg]
	house := n.houses[l.carrier]
	if house == nil {
		return false
	}
	known := !l.known.IsZero() && !l.known.After(now)
	handedOn := false
	for i := range j.scans {
		s := &j.scans[i]
		if s.leg != f.leg || s.told.After(now) || !house.speaks[s.code] && s.code != parcel.CodeUnknown {
			continue
		}
		known = true
		handedOn = handedOn || s.code.Proves().Rank() >= parcel.MilestoneCustomsCleared.Rank()
		h.Scans = append(h.Scans, s.fake(now))
	}
	if !known {
		return false
	}
	h.Origin, h.Destination, h.Postcode = j.from.place.Country, j.to.place.Country, j.to.place.Postcode
	if l.next >= 0 && handedOn {
		h.NextCarrier, h.NextNumber = j.legs[l.next].carrier, j.legs[l.next].number
	}
	if !l.estimate.IsZero() && !l.estimated.After(now) && now.Before(j.end) {
		h.Estimated = l.estimate
	}
	return true
}

func (s *scan) fake(now time.Time) carriers.FakeScan {
	f := carriers.FakeScan{Code: s.code, At: s.at, Reason: s.reason, DeliveredTo: s.deliveredTo}
	if s.place != nil {
		f.Place = s.place.place
		if now.Before(s.vagueUntil) {
			f.Place = parcel.Place{Country: f.Place.Country}
		}
	}
	return f
}

// register is a scenario's journey that the merchant makes known at a time.
type register struct {
	at        time.Time
	j         *journey
	reference string
}

// Plan is what the merchant registered up to the start, oldest first: the
// scenarios' parcels and the ordinary ones.
func (n *Network) Plan() []Consignment { return n.NextRegistrations(n.start) }

// NextRegistrations is what the merchant registers since the last call, or
// since Plan, up to now, oldest first.
func (n *Network) NextRegistrations(now time.Time) []Consignment {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.advance(now)
	var out []Consignment
	for ; n.atDesk < len(n.registers) && !n.registers[n.atDesk].at.After(now); n.atDesk++ {
		r := &n.registers[n.atDesk]
		c := r.j.consign(n.seed, r.reference, true)
		c.Scenario = r.j.scenario.Name
		out = append(out, c)
	}
	n.registered = max(n.registered, n.forgotten)
	for ; n.registered < n.forgotten+len(n.ordinary); n.registered++ {
		j := n.ordinary[n.registered-n.forgotten]
		if j.registered.After(now) {
			break
		}
		out = append(out, j.consign(n.seed, fmt.Sprintf("DEMO-%06d", j.ordinal+1), true))
	}
	slices.SortStableFunc(out, func(a, b Consignment) int { return a.Facts.RegisteredAt.Compare(b.Facts.RegisteredAt) })
	return out
}

// NextCorrections is what numbers the merchant has found out to be wrong since
// the last call, up to now.
func (n *Network) NextCorrections(now time.Time) []Correction {
	n.mu.Lock()
	defer n.mu.Unlock()
	from := n.corrected
	for n.corrected < len(n.corrections) && !n.corrections[n.corrected].At.After(now) {
		n.corrected++
	}
	return slices.Clone(n.corrections[from:n.corrected])
}

// NextRegistration is when the next parcel is registered after now, so that a
// caller knows how long it may sleep.
func (n *Network) NextRegistration(now time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.advance(now)
	next := n.registersAt(n.forgotten + len(n.ordinary))
	// Those that are due are no longer next, whether they were fetched or not.
	for i := n.atDesk; i < len(n.registers); i++ {
		if at := n.registers[i].at; at.After(now) && at.Before(next) {
			next = at
		}
	}
	return next
}

// changesPerShipment is how many rows of milestones, exceptions and legs an
// ordinary journey leaves in the change log, on average.
const changesPerShipment = 18

// SuggestedSpeed is how many times as fast as the wall clock trade time should
// run so that, with this many shipments over the default past, eight changes a
// second come to be: milestones, exceptions and legs. It lies between 600 (a
// day in 144 seconds) and 43,200 (a day in two). Three hundred shipments give
// 11,520: sixty days pass in seven and a half minutes.
func SuggestedSpeed(shipments int) float64 {
	const wanted = 8
	perDay := float64(max(1, shipments)) / (DefaultPast.Hours() / 24) * changesPerShipment
	return min(max(wanted*86_400/perDay, 600), 43_200)
}
