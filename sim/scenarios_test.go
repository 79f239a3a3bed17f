package sim_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

// elsewhere are the failures that no carrier of this network can play, with
// the reason.
var elsewhere = map[int]string{
	5:  "none of these carriers writes fractions of a second to nine digits",
	25: "about the change log's cursor, not about carriers",
	26: "about webhooks that we send",
	30: "needs carriers whose numbers look like those of another, none of which is here",
	32: "the fakes write plain text",
	36: "about fields of an interface of ours",
	38: "the vocabulary itself",
	41: "about subscriptions",
	42: "this list is the answer",
	43: "about webhooks that we send",
}

func TestEveryFailureHasAScenario(t *testing.T) {
	covered := map[int]bool{}
	names := map[string]bool{}
	for _, s := range sim.Scenarios() {
		if names[s.Name] {
			t.Errorf("%s stands twice", s.Name)
		}
		names[s.Name] = true
		if s.Outlook.Milestone == "" || s.Outlook.Later == "" || s.Outlook.Health == "" {
			t.Errorf("%s: nobody says what should be seen: %+v", s.Name, s.Outlook)
		}
		if len(s.Failures) == 0 || s.Doc == "" || s.Number == "" || s.Carrier == "" {
			t.Errorf("incomplete: %+v", s)
		}
		for _, f := range s.Failures {
			covered[f] = true
		}
		if got, ok := sim.FindScenario(s.Name); !ok || got.Number != s.Number {
			t.Errorf("FindScenario(%s) = %+v, %v", s.Name, got, ok)
		}
	}
	if _, ok := sim.FindScenario("SIM-NOTHING"); ok {
		t.Error("a scenario that does not exist was found")
	}
	for f := 1; f <= 44; f++ {
		if covered[f] == (elsewhere[f] != "") {
			t.Errorf("failure %d: covered %v, elsewhere %q", f, covered[f], elsewhere[f])
		}
	}
}

func TestScenariosPlay(t *testing.T) {
	want := map[string]sim.Outlook{}
	for _, s := range sim.Scenarios() {
		want[s.Name] = s.Outlook
	}
	// Which scan is whose of a number of two parcels, and whose number it is if
	// not the one's that was named, is for ingest to say.
	delete(want, "SIM-RECYCLED-NUMBER-RU-01")
	delete(want, "SIM-RECYCLED-NUMBER-RU-02")
	delete(want, "SIM-WRONG-CARRIER-DE-01")

	w := newWorld(t, sim.Options{Seed: 1, Shipments: 1, Past: day})
	plan := slices.DeleteFunc(w.plan, func(c sim.Consignment) bool {
		_, plays := want[c.Scenario]
		return !plays
	})
	troubles := func(s *parcel.Shipment) (out []parcel.ExceptionKind) {
		for x := range s.Journey.OpenExceptions {
			out = append(out, x.Kind)
		}
		return out
	}
	got := map[string]sim.Outlook{}
	for i := range plan {
		s := w.follow(&plan[i])
		got[plan[i].Scenario] = sim.Outlook{Milestone: s.Journey.Milestone, Open: troubles(s)}
	}
	if early := w.NextCorrections(start); len(early) > 0 {
		t.Errorf("numbers are corrected before the start: %+v", early)
	}
	w.trade.Advance(30 * day)
	for _, fix := range w.NextCorrections(w.trade.Now()) {
		if _, plays := want[fix.Reference]; !plays {
			continue
		}
		i := slices.IndexFunc(plan, func(c sim.Consignment) bool { return c.Facts.Reference == fix.Reference })
		plan[i].Facts.Legs = slices.Clone(plan[i].Facts.Legs)
		k := slices.IndexFunc(plan[i].Facts.Legs, func(l parcel.DeclaredLeg) bool {
			return l.Number == fix.From.Number && cmp.Or(l.Carrier, fix.From.Carrier) == fix.From.Carrier
		})
		if k < 0 {
			t.Errorf("%s: %+v corrects what nobody declared", fix.Reference, fix)
			continue
		}
		plan[i].Facts.Legs[k].Carrier, plan[i].Facts.Legs[k].Number = fix.To.Carrier, fix.To.Number
	}
	for i := range plan {
		s := w.follow(&plan[i])
		o := got[plan[i].Scenario]
		o.Later, o.Outcome, o.StillOpen = s.Journey.Milestone, s.Journey.Outcome, troubles(s)
		got[plan[i].Scenario] = o
	}
	if diff := gocmp.Diff(want, got, cmpopts.IgnoreFields(sim.Outlook{}, "Health")); diff != "" {
		t.Errorf("scenarios (-want +got):\n%s", diff)
	}
}

func TestScenarioDetails(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 9, Shipments: 1, Past: day})
	of := func(name string) sim.Scenario {
		s, ok := sim.FindScenario(name)
		if !ok {
			t.Fatalf("no scenario %s", name)
		}
		return s
	}
	read := func(name string) parcel.Reading {
		s := of(name)
		r, err := w.ask(s.Carrier, s.Number)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return r
	}

	eta := read("SIM-DATE-ONLY-ETA-US-01")
	if len(eta.Estimates) != 1 || len(eta.Estimates[0].Last) != len(parcel.DayLayout) {
		t.Errorf("estimates %+v, want one day", eta.Estimates)
	}
	for _, o := range read("SIM-NO-ZONE-BR-01").Observations {
		if o.Occurred.Certainty == parcel.CertaintyReported {
			t.Errorf("Correios reports the offset of %+v", o.Occurred)
		}
	}
	jumps := false
	back := read("SIM-CLOCK-JUMPS-BACK-BR-01").Observations
	slices.SortFunc(back, func(a, b parcel.Observation) int { return a.Occurred.At.Compare(b.Occurred.At) })
	for i := 1; i < len(back); i++ {
		jumps = jumps || back[i].Occurred.Wall < back[i-1].Occurred.Wall
	}
	if !jumps {
		t.Error("no wall clock jumps back")
	}
	vague := func() (places []string) {
		for _, o := range read("SIM-TOLD-WITHOUT-CITY-RU-01").Observations {
			if o.Code == parcel.CodeInTransit {
				places = append(places, o.Key()+" "+o.Place.Facility)
			}
		}
		return places
	}
	before := vague()
	w.trade.Advance(day)
	if after := vague(); len(before) != 1 || len(after) != 1 || before[0] == after[0] || before[0][:32] != after[0][:32] {
		t.Errorf("told as %q and a day later as %q, want one event with two places", before, after)
	}
	w.trade.Advance(3 * day)
	i := slices.IndexFunc(w.plan, func(c sim.Consignment) bool { return c.Scenario == "SIM-TOLD-BY-TWO-POSTS-RU-01" })
	var tellers []string
	both := w.follow(&w.plan[i])
	for _, e := range both.Journey.Events {
		tellers = append(tellers, fmt.Sprintf("%s by %d", e.Read, len(e.Witnesses)))
	}
	if diff := gocmp.Diff([]string{
		"PICKED_UP by 1", "EXPORT_EXCHANGE_ARRIVED by 1", "ORIGIN_COUNTRY_DEPARTED by 1",
		"DESTINATION_COUNTRY_ARRIVED by 2", "IMPORT_CUSTOMS_PRESENTED by 2", "IMPORT_CUSTOMS_RELEASED by 2", "READY_FOR_PICKUP by 2", "DELIVERED by 2",
	}, tellers); diff != "" {
		t.Errorf("told by two posts (-want +got):\n%s", diff)
	}
	for _, l := range both.Journey.Legs {
		if l.Stage == parcel.StageLastMile && l.Carrier != "russian-post" || l.Stage == parcel.StageFirstMile && l.Carrier != "upu-postal" {
			t.Errorf("%s is a leg of %s", l.Stage, l.Carrier)
		}
	}
	first, second := of("SIM-RECYCLED-NUMBER-RU-01"), of("SIM-RECYCLED-NUMBER-RU-02")
	if first.Number != second.Number {
		t.Errorf("numbers %s and %s, want the same", first.Number, second.Number)
	}
	h, ok := w.Journeys("upu-postal", first.Number)
	if !ok || len(h.Scans) != 6 || h.Scans[5].At.Sub(h.Scans[0].At) < 365*day {
		t.Errorf("the number's history is %+v, want two uses a year apart", h.Scans)
	}
	// The number that nobody knows does not hide the others of its batch.
	unknown, neighbour := of("SIM-UNKNOWN-IN-BATCH-BR-01"), of("SIM-DELIVERED-NEIGHBOUR-BR-01")
	r, err := w.ask("correios", unknown.Number, neighbour.Number)
	if err != nil || len(r.Observations) == 0 || !slices.ContainsFunc(r.Results, func(n parcel.NumberResult) bool {
		return n.Number == unknown.Number && n.Finding == parcel.FindingUnknown
	}) {
		t.Errorf("batch gave %d observations, results %+v, error %v", len(r.Observations), r.Results, err)
	}
}

func TestRegistrationsComeAsTimeGoes(t *testing.T) {
	trade := clock.Fixed(start)
	n, err := sim.New(sim.Options{Clock: trade, Seed: 6, Shipments: 90, Past: 30 * day, Specs: carriers.All()})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range n.Plan() {
		seen[c.Facts.Reference]++
	}
	if again := n.NextRegistrations(start); len(again) != 0 {
		t.Errorf("%d registered again at the start", len(again))
	}
	fresh := 0
	for range 20 {
		next := n.NextRegistration(trade.Now())
		if !next.After(trade.Now()) {
			t.Fatalf("the next registration at %v is not after %v", next, trade.Now())
		}
		trade.Advance(day / 2)
		for _, c := range n.NextRegistrations(trade.Now()) {
			if c.Facts.RegisteredAt.After(trade.Now()) {
				t.Errorf("%s is registered before its time", c.Facts.Reference)
			}
			seen[c.Facts.Reference]++
			if c.Scenario == "" {
				fresh++
			}
		}
	}
	if fresh < 25 || fresh > 35 {
		t.Errorf("%d new parcels in ten days, want three a day", fresh)
	}
	for reference, times := range seen {
		want := 1
		if reference == "SIM-REGISTERED-TWICE-US-01" {
			want = 3
		}
		if times != want {
			t.Errorf("%s was registered %d times, want %d", reference, times, want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]sim.Options{
		"no clock":           {Specs: carriers.All()},
		"no carriers":        {Clock: clock.Fixed(start)},
		"a negative number":  {Clock: clock.Fixed(start), Specs: carriers.All(), Shipments: -1},
		"too much history":   {Clock: clock.Fixed(start), Specs: carriers.All(), Past: 20 * 365 * day},
		"too little history": {Clock: clock.Fixed(start), Specs: carriers.All(), Past: 1},
	} {
		if _, err := sim.New(o); !isInvalid(err) {
			t.Errorf("%s: error %v, want kind invalid", name, err)
		}
	}
	ups, err := carriers.Lookup("ups")
	if err != nil {
		t.Fatal(err)
	}
	n, err := sim.New(sim.Options{Clock: clock.Fixed(start), Specs: []carriers.Spec{ups}, Shipments: 50})
	if err != nil {
		t.Fatalf("with one carrier: %v", err)
	}
	for _, c := range n.Plan() {
		for _, l := range c.Facts.Legs {
			if c.Scenario == "" && l.Carrier != "ups" && l.Carrier != "" {
				t.Errorf("%s goes by %s, which is not served", c.Facts.Reference, l.Carrier)
			}
		}
	}
	if got := sim.SuggestedSpeed(300); got < 7_200 || got > 20_000 {
		t.Errorf("SuggestedSpeed(300) = %v", got)
	}
	if low, high := sim.SuggestedSpeed(1_000_000), sim.SuggestedSpeed(0); low != 600 || high != 43_200 {
		t.Errorf("the bounds of SuggestedSpeed are %v and %v", low, high)
	}
}

// TestAdvance tells every story to its end by hand, on a clock that stands
// still but for a second between two steps: what is seen then is what is seen
// when time passes.
func TestAdvance(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 1, Shipments: 1, Past: day})
	for _, s := range sim.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			i := slices.IndexFunc(w.plan, func(c sim.Consignment) bool { return c.Scenario == s.Name })
			told := func() (n int) {
				for _, number := range w.Numbers(s.Name) {
					h, _ := w.Journeys(number.Carrier, number.Number)
					n += len(h.Scans)
				}
				return n
			}
			before, left := told(), -1
			for range 30 {
				w.trade.Advance(time.Second)
				step, err := w.Advance(s.Name)
				if errors.Is(err, parcel.ErrConflict) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if step.Scenario.Name != s.Name || !step.At.Equal(w.trade.Now()) || left >= 0 && step.Left != left-1 {
					t.Errorf("after %d left: %+v", left, step)
				}
				left = step.Left
				after := told()
				if after-before != len(step.Told) {
					t.Errorf("the step tells of %+v, and %d scans more are shown", step.Told, after-before)
				}
				before = after
			}
			if left > 0 {
				t.Fatalf("%d steps are left after 30", left)
			}
			if s.Name == "SIM-WRONG-CARRIER-DE-01" || s.Name == "SIM-NUMBER-CORRECTED-US-01" || strings.HasPrefix(s.Name, "SIM-RECYCLED") {
				return // what the merchant and ingest make of it is not seen here
			}
			f := w.follow(&w.plan[i])
			if f.Journey.Milestone != s.Outlook.Later || f.Journey.Outcome != s.Outlook.Outcome {
				t.Errorf("it ends at %s, %q; want %s, %q", f.Journey.Milestone, f.Journey.Outcome, s.Outlook.Later, s.Outlook.Outcome)
			}
			for k := 1; k < len(f.Journey.Events); k++ {
				if e := &f.Journey.Events[k]; e.Occurred.At.After(w.trade.Now()) {
					t.Errorf("%s lies in the future: %v", e.Code, e.Occurred.At)
				}
			}
		})
	}
	if fixes := w.NextCorrections(w.trade.Now()); len(fixes) != 2 {
		t.Errorf("%d numbers are corrected, want 2: %+v", len(fixes), fixes)
	}
	if again := w.NextRegistrations(w.trade.Now()); len(again) < 2 || again[0].Scenario != "SIM-REGISTERED-TWICE-US-01" {
		t.Errorf("registered again: %+v", again)
	}
	if _, err := w.Advance("SIM-NOTHING"); !errors.Is(err, parcel.ErrNotFound) {
		t.Errorf("a scenario that does not exist: %v", err)
	}
}
