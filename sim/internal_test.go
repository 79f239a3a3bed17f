package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	_ "github.com/milepost-gateway/milepost/carriers/all"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestVocabulariesAreSpoken(t *testing.T) {
	for carrier, words := range vocabularies() {
		spec, err := carriers.Lookup(carrier)
		if err != nil {
			t.Error(err)
			continue
		}
		speaks := spec.Fake(carriers.FakeEnv{Settings: map[string]string{}, Now: clock.Wall().Now,
			Journeys: func(string) (carriers.FakeHistory, bool) { return carriers.FakeHistory{}, false }}).Speaks()
		for happened, said := range words {
			if !slices.Contains(speaks, said) {
				t.Errorf("%s tells %s as %s, for which its service has no word", carrier, happened, said)
			}
			if words[said] != said {
				t.Errorf("%s tells %s as %s, which itself is told as %q", carrier, happened, said, words[said])
			}
		}
	}
}

func TestPlaysAreSpoken(t *testing.T) {
	n, err := New(Options{Clock: clock.Fixed(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)), Specs: carriers.All(), Shipments: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(n.scenarios) != len(plays()) {
		t.Errorf("%d scenarios on the stage of %d", len(n.scenarios), len(plays()))
	}
	for _, j := range n.scenarios {
		for _, s := range j.scans {
			if l := &j.legs[s.leg]; !n.houses[l.carrier].speaks[s.code] && s.code != parcel.CodeUnknown {
				t.Errorf("%s: %s has no word for %s", j.scenario.Name, l.carrier, s.code)
			}
		}
		if j.registered.IsZero() || j.settled.Before(j.registered) {
			t.Errorf("%s is registered at %v and settled at %v", j.scenario.Name, j.registered, j.settled)
		}
	}
}

func TestNumbersAreValidAndUnique(t *testing.T) {
	n := numbersOf(77)
	seen := map[string]bool{}
	check := func(number string) {
		if seen[number] {
			t.Fatalf("%s stands twice", number)
		}
		seen[number] = true
	}
	for _, i := range append([]int{publicSerial - 1, publicSerial, publicSerial + 1, 3*publicSerial + 5}, seq(5000)...) {
		for _, number := range []string{n.s10("LV", i, "CN"), n.s10("NX", i, "BR")} {
			if s, ok := parcel.ParseS10(number); !ok || !s.CheckValid {
				t.Fatalf("%s is no valid S10 number", number)
			}
			check(number)
		}
		if valid, applies := parcel.CheckUPS(n.ups(i)); !valid || !applies {
			t.Fatalf("%s is no valid UPS number", n.ups(i))
		}
		check(n.ups(i))
		// Their forms and check digits are those that numbers are known by.
		for carrier, number := range map[string]string{
			fourPX: n.fourPX(i), yunExpress: n.yunExpress(i), sfExpress: n.sfExpress(i), uspsName: n.usps(i), fedexName: n.fedex(i),
			dhlName: n.dhl(i), australiaPost: n.australiaPost(i), laPoste: n.laPoste(i), canadaPost: n.canadaPost(i),
			royalMail: n.s10("QA", i, "GB"), chinaPost: n.s10("LZ", i, "CN"),
		} {
			if likely := identify.Identify(number); len(likely) == 0 || likely[0].Carrier != carrier {
				t.Fatalf("%s of %s is taken for one of %+v", number, carrier, likely)
			}
			check(number)
		}
		for _, number := range []string{n.russian(i), n.cainiao(i, 0)[2:], n.cainiao(i, 1)[2:]} {
			if len(number) != 14 {
				t.Fatalf("%s has %d digits, want 14", number, len(number))
			}
			check(number)
		}
	}
	for serial, p := range castOf() {
		if p.reuses == "" {
			check(p.scenario(serial).Number)
		}
	}
	// Of two shipments nobody guesses the second from the first.
	if a, b := n.s10("LV", 1, "CN"), n.s10("LV", 2, "CN"); a[:7] == b[:7] {
		t.Errorf("neighbours have the numbers %s and %s", a, b)
	}
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestMoment(t *testing.T) {
	for _, l := range lands() {
		for _, at := range []time.Time{time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2026, 7, 31, 23, 59, 59, 0, time.UTC)} {
			for _, town := range slices.Concat(l.towns, l.exchanges) {
				want := parcel.LocalMoment("", at.In(town.zone), town.zone, parcel.CertaintyPlace)
				if diff := cmp.Diff(want, moment(at, town.zone)); diff != "" {
					t.Errorf("%s: moment (-parcel +sim):\n%s", town.place.City, diff)
				}
			}
		}
	}
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if diff := cmp.Diff(parcel.LocalMoment("", at, time.UTC, parcel.CertaintyPlace), moment(at, time.UTC)); diff != "" {
		t.Errorf("UTC (-parcel +sim):\n%s", diff)
	}
}

func TestPlacesKnowTheirClocks(t *testing.T) {
	for country, l := range lands() {
		towns := slices.Concat(l.towns, l.exchanges)
		if len(l.towns) > 0 {
			towns = append(towns, l.hub)
		}
		for _, town := range towns {
			if town.place.Country != country {
				t.Errorf("%+v stands in %s", town.place, country)
			}
			if zone, certainty := parcel.ZoneFor(town.place); zone != town.zone.String() || certainty != parcel.CertaintyPlace {
				t.Errorf("%+v keeps %s, but is known by %s (%s)", town.place, town.zone, zone, certainty)
			}
		}
	}
}

func TestCarriersForgetInTheEnd(t *testing.T) {
	trade := clock.Fixed(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	n, err := New(Options{Clock: trade, Seed: 5, Shipments: 100, Past: 100 * day, Specs: carriers.All()})
	if err != nil {
		t.Fatal(err)
	}
	first := n.Plan()[0]
	if first.Scenario != "" {
		first = n.ordinary[0].consign(5, "X", false)
	}
	for range 30 {
		trade.Advance(100 * day)
		n.NextRegistrations(trade.Now())
	}
	if len(n.ordinary) > 700 || n.forgotten == 0 {
		t.Errorf("%d journeys are kept and %d forgotten after three thousand days at one a day", len(n.ordinary), n.forgotten)
	}
	if len(n.index) > 3*len(n.ordinary)+200 {
		t.Errorf("%d numbers are kept for %d journeys", len(n.index), len(n.ordinary))
	}
	last := n.ordinary[len(n.ordinary)-1]
	if got := n.registersAt(last.ordinal); !got.Equal(last.registered) {
		t.Errorf("the last is registered at %v, want %v", last.registered, got)
	}
}

// TestBusy counts the changes that a reader sees while trade time runs at the
// suggested speed.
func TestBusy(t *testing.T) {
	start := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for _, shipments := range []int{200, 300, 500} {
		trade := clock.Fixed(start)
		n, err := New(Options{Clock: trade, Seed: 5, Shipments: shipments, Specs: carriers.All()})
		if err != nil {
			t.Fatal(err)
		}
		const window = 20 * day
		trade.Advance(window)
		n.NextRegistrations(trade.Now())
		changes := 0
		for _, j := range n.ordinary {
			changes += changesBetween(j, start, start.Add(window))
		}
		seconds := window.Seconds() / SuggestedSpeed(shipments)
		t.Logf("%d shipments: %.1f changes a second at speed %.0f", shipments, float64(changes)/seconds, SuggestedSpeed(shipments))
		if got := float64(changes) / seconds; got < 6 {
			t.Errorf("%d shipments: %.1f changes a second, want at least 6", shipments, got)
		}
	}
}

// changesBetween counts the rows of milestones, exceptions and legs that a
// journey leaves in a span of time.
func changesBetween(j *journey, from, to time.Time) (changes int) {
	c := j.consign(5, "T", false)
	told := j.observations()
	before := fold(&c, nil)
	for i := range told {
		at := told[i].ReceivedAt
		if at.After(to) {
			break
		}
		after := fold(&c, told[:i+1])
		if !at.Before(from) {
			for _, row := range parcel.Changes(before, after, at) {
				switch row.Kind {
				case parcel.ChangeMilestone, parcel.ChangeException, parcel.ChangeLeg:
					changes++
				}
			}
		}
		before = after
	}
	return changes
}

func BenchmarkHistory(b *testing.B) {
	i := 0
	for b.Loop() {
		History(1, i)
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "shipments/s")
}
