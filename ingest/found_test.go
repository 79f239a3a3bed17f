package ingest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// day is a moment of the story of a parcel that is told about now.
func day(n int) time.Time { return now.AddDate(0, 0, n) }

// scan is an observation at a place.
func scan(carrier, number string, code parcel.Code, at time.Time, country parcel.Country) parcel.Observation {
	o := observed(carrier, number, code, at)
	o.Place.Country = country
	return o
}

// knows makes a scripted carrier that tells scans of the numbers it knows, up
// to the world's day, and does not know any other.
func knows(w *world, carrier string, scans ...parcel.Observation) *scripted {
	return &scripted{answer: func(ctx context.Context, number string) (parcel.Reading, error) {
		var r parcel.Reading
		for _, o := range scans {
			if o.Number == number && !o.Occurred.At.After(w.trade.Now()) {
				r.Observations = append(r.Observations, o)
			}
		}
		if len(r.Observations) == 0 {
			return unknown(ctx, number)
		}
		return r, nil
	}}
}

// numbers lists what the log tells of numbers: rule, before, after.
func (w *world) numbers(s *parcel.Shipment) []string {
	w.t.Helper()
	rows, err := w.store.Changes(w.t.Context(), storage.OfMerchant(w.merchant), 0, 1000, storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeNumber}, ShipmentIDs: []string{s.ID}})
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = rows[i].Rule + " " + rows[i].NumberBefore + " " + rows[i].Number
	}
	return out
}

// legs lists a shipment's legs: carrier, number, state.
func (w *world) legs(s *parcel.Shipment) []string {
	w.t.Helper()
	got := w.read(s.ID)
	out := make([]string, len(got.Journey.Legs))
	for i := range got.Journey.Legs {
		l := &got.Journey.Legs[i]
		out[i] = fmt.Sprintf("%s %s %s", l.Carrier, l.Number, l.State)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// send registers a shipment that was sold on a day, from China to a country.
func (w *world) send(reference string, sold time.Time, to parcel.Country, legs ...parcel.DeclaredLeg) *parcel.Shipment {
	w.t.Helper()
	out, err := w.ingest.Register(w.t.Context(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: reference, RegisteredAt: sold,
		Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: to}, Legs: legs}}})
	if err != nil {
		w.t.Fatal(err)
	}
	if out[0].Shipment == nil || out[0].Outcome != parcel.WriteCreated {
		w.t.Fatalf("%s %v", out[0].Outcome, out[0].Problems)
	}
	return out[0].Shipment
}

// aggregated is the deployment's account of one that repeats others' scans.
func aggregated(c *scripted, name string) ingest.Account {
	a := c.account(name)
	a.Spec.Aggregator = true
	return a
}

func TestAggregatorTellsOthersScans(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		repeat := func(number string) []parcel.Observation {
			return []parcel.Observation{
				scan("zed", number, parcel.CodePickedUp, day(-9), "CN"),
				scan("zed", number, parcel.CodeOriginCountryDeparted, day(-5), "CN"),
			}
		}
		zed := &scripted{answer: unknown}
		hub, other := &scripted{answer: unknown}, &scripted{answer: unknown}
		w.serve(aggregated(hub, "hub"), aggregated(other, "other-hub"), zed.account("zed"))

		byHub := w.send("by the aggregator", day(-10), "BR", leg("hub", "AAAA1"))
		byCarrier := w.send("by the carrier", day(-10), "BR", leg("zed", "AAAA1"))
		w.hear("hub", repeat("AAAA1")...)
		for _, s := range []*parcel.Shipment{byHub, byCarrier} {
			wantCodes(t, s.Reference, w.codes(s), parcel.CodePickedUp, parcel.CodeOriginCountryDeparted)
			for _, e := range w.read(s.ID).Journey.Events {
				if e.Carrier != "zed" || e.Teller != "hub" || e.Witnesses[0].Carrier != "hub" {
					t.Errorf("%s: %s is %s's, told by %q, witness %s", s.Reference, e.Code, e.Carrier, e.Teller, e.Witnesses[0].Carrier)
				}
			}
		}
		for _, l := range w.read(byHub.ID).Journey.Legs {
			if l.Carrier != "zed" {
				t.Errorf("a leg of %s: who repeats carries nothing", l.Carrier)
			}
		}
		wantDue(t, "the carrier itself is asked too", w.due("zed"), "AAAA1")
		if got := w.asking("zed", "AAAA1"); !got.HeardAt.IsZero() {
			t.Errorf("the carrier was heard at %s, and only the aggregator spoke", got.HeardAt)
		}

		t.Run("what came first is found by either name", func(t *testing.T) {
			w.hear("hub", repeat("BBBB1")...)
			a := w.send("late, by the aggregator", day(-10), "BR", leg("hub", "BBBB1"))
			b := w.send("late, by the carrier", day(-10), "BR", leg("zed", "BBBB1"))
			for _, s := range []*parcel.Shipment{a, b} {
				wantCodes(t, s.Reference, w.codes(s), parcel.CodePickedUp, parcel.CodeOriginCountryDeparted)
			}
		})
		t.Run("replay changes nothing", func(t *testing.T) {
			r, err := w.ingest.Replay(t.Context(), ingest.ReplayAsk{})
			if err != nil || r.Events != 0 {
				t.Errorf("%d new tellings, %v", r.Events, err)
			}
		})
		t.Run("no circle of aggregators", func(t *testing.T) {
			s := w.send("circle", day(-10), "BR", leg("hub", "CCCC1"))
			w.hear("hub", scan("other-hub", "CCCC1", parcel.CodePickedUp, day(-3), "CN"))
			if e := w.read(s.ID).Journey.Events[0]; e.Carrier != "hub" || e.Teller != "" {
				t.Errorf("scan of %s told by %q", e.Carrier, e.Teller)
			}
			wantDue(t, "of the other", w.due("other-hub"))
		})
		t.Run("others speak for themselves alone", func(t *testing.T) {
			s := w.send("plain", day(-10), "BR", leg("zed", "DDDD1"))
			w.hear("zed", scan("somebody", "DDDD1", parcel.CodePickedUp, day(-3), "CN"))
			if e := w.read(s.ID).Journey.Events[0]; e.Carrier != "zed" || e.Teller != "" {
				t.Errorf("scan of %s told by %q", e.Carrier, e.Teller)
			}
		})
	})
}

func TestAliasIsTheSameParcel(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		zed, why := &scripted{answer: unknown}, &scripted{answer: unknown}
		w.serve(zed.account("zed"), why.account("why"))
		told := func(suffix, carrier string) parcel.Payload {
			return tells("zed", parcel.Reading{
				Observations: []parcel.Observation{scan("zed", "AAAA"+suffix, parcel.CodePickedUp, day(-3), "CN")},
				Aliases:      []parcel.Alias{{Number: "aaaa" + suffix, Other: "other " + suffix, Carrier: carrier}},
			})
		}
		for _, c := range []struct {
			name, suffix, carrier string
			before                bool
			legs                  []string
		}{
			{"of the same carrier", "1", "", false, []string{"zed AAAA1 ACTIVE"}},
			{"of another carrier", "2", "why", false, []string{"why OTHER2 PLANNED", "zed AAAA2 ACTIVE"}},
			{"told before the registration", "3", "why", true, []string{"why OTHER3 PLANNED", "zed AAAA3 ACTIVE"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				at := c.carrier
				if at == "" {
					at = "zed"
				}
				if c.before {
					w.accept(told(c.suffix, c.carrier))
				}
				s := w.send(c.name, day(-10), "BR", leg("zed", "AAAA"+c.suffix))
				if !c.before {
					w.accept(told(c.suffix, c.carrier))
				}
				want(t, "legs", w.legs(s), c.legs...)
				if got := w.asking(at, "OTHER"+c.suffix); got.NextAt.IsZero() {
					t.Error("the other name is not asked for")
				}
				told := 1
				if c.before {
					told = 0 // a past that nobody followed is not told
				}
				if rows := w.numbers(s); len(rows) > 1 || len(rows) < told {
					t.Errorf("the log tells %q", rows)
				}
				before := w.read(s.ID).ChangePosition
				again := told2(c.suffix, c.carrier)
				w.accept(again)
				if _, err := w.ingest.Replay(t.Context(), ingest.ReplayAsk{}); err != nil {
					t.Fatal(err)
				}
				if got := w.read(s.ID); got.ChangePosition != before || len(got.Found) != 1 {
					t.Errorf("told again: position %d, was %d; %d names found", got.ChangePosition, before, len(got.Found))
				}
				w.hear(at, scan(at, "OTHER"+c.suffix, parcel.CodeDelivered, day(-1), "BR"))
				if got := w.read(s.ID).Journey.Outcome; got != parcel.OutcomeDelivered {
					t.Errorf("news of the other name: outcome %q", got)
				}
			})
		}
	})
}

// told2 is the alias without the scan: as carriers repeat it in every answer.
func told2(suffix, carrier string) parcel.Payload {
	return tells("zed", parcel.Reading{
		Results: []parcel.NumberResult{{Number: "AAAA" + suffix, Finding: parcel.FindingFound}},
		Aliases: []parcel.Alias{{Number: "AAAA" + suffix, Other: "OTHER" + suffix, Carrier: carrier}},
	})
}

// item is the number of a postal item from China, with the check digit that fits.
func item(serial int) string {
	s := fmt.Sprintf("%08d", serial)
	digit, _ := parcel.CheckDigit(s)
	return fmt.Sprintf("RB%s%dCN", s, digit)
}

func TestPostalItemIsAskedForAtBothEnds(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		serial := 51820000
		begin := func(t *testing.T, names ...string) (*world, *parcel.Shipment, string) {
			serial++
			w := newWorld(t, w.store)
			var accounts []ingest.Account
			for _, n := range names {
				accounts = append(accounts, (&scripted{answer: unknown}).account(n))
			}
			w.serve(accounts...)
			return w, w.send("r", day(-20), "RU", leg("china-post", item(serial))), item(serial)
		}
		left := func(number string) parcel.Observation {
			return scan("china-post", number, parcel.CodeOriginCountryDeparted, day(-9), "CN")
		}
		t.Run("planned when it has left, begun when it is heard", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "russian-post", "upu-postal")
			w.hear("china-post", scan("china-post", n, parcel.CodePickedUp, day(-18), "CN"))
			want(t, "before it has left", w.legs(s), "china-post "+n+" ACTIVE")
			w.hear("china-post", left(n))
			on := []string{"china-post " + n + " ACTIVE", "china-post " + n + " DONE", "russian-post " + n + " PLANNED"}
			want(t, "when it has left", w.legs(s), on...)
			wantDue(t, "at the destination's post", w.due("russian-post"), n)
			wantDue(t, "in the network, beside a post that answers", w.due("upu-postal"))
			if got := w.read(s.ID).Journey.Custody.State; got != parcel.CustodyBetween {
				t.Errorf("custody %s", got)
			}
			w.accept(tells("russian-post", parcel.Reading{Results: []parcel.NumberResult{{Number: n, Finding: parcel.FindingUnknown}}}))
			want(t, "while the other end does not know it", w.legs(s), on...)
			if next := w.asking("russian-post", n).NextAt; !next.After(w.trade.Now()) {
				t.Errorf("asked again at %s", next)
			}
			w.hear("russian-post", scan("russian-post", n, parcel.CodeImportCustomsReleased, day(-2), "RU"), scan("russian-post", n, parcel.CodeDeliveryOfficeArrived, day(-1), "RU"))
			want(t, "when the other end has told", w.legs(s), "china-post "+n+" DONE", "russian-post "+n+" ACTIVE", "russian-post "+n+" DONE")
			want(t, "numbers in the log", w.numbers(s))
		})
		t.Run("an older parcel under the number stays out", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "russian-post")
			w.hear("china-post", left(n))
			old := scan("russian-post", n, parcel.CodeDelivered, day(-300), "RU")
			w.hear("russian-post", old)
			wantCodes(t, "events", w.codes(s), parcel.CodeOriginCountryDeparted)
			w.hear("russian-post", old, scan("russian-post", n, parcel.CodeOutForDelivery, day(-1).Add(time.Hour), "RU"))
			wantCodes(t, "after its own news", w.codes(s), parcel.CodeOriginCountryDeparted, parcel.CodeOutForDelivery)
		})
		t.Run("a parcel that arrives elsewhere stays out", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "russian-post")
			w.hear("china-post", left(n))
			w.hear("russian-post", scan("russian-post", n, parcel.CodeDeliveryOfficeArrived, day(-1), "KZ"))
			wantCodes(t, "events", w.codes(s), parcel.CodeOriginCountryDeparted)
		})
		t.Run("what the other end had told before counts", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "russian-post")
			w.hear("russian-post", scan("russian-post", n, parcel.CodeInfoReceived, day(-8), "RU"))
			w.hear("russian-post", scan("russian-post", n, parcel.CodeOutForDelivery, day(-1), "RU"))
			wantCodes(t, "before it has left", w.codes(s))
			w.hear("china-post", left(n))
			wantCodes(t, "when it has left", w.codes(s), parcel.CodeOriginCountryDeparted, parcel.CodeInfoReceived, parcel.CodeOutForDelivery)
		})
		t.Run("the network where the post cannot be asked", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "upu-postal")
			w.hear("china-post", left(n))
			wantDue(t, "in the network", w.due("upu-postal"), n)
			want(t, "no leg before it is heard", w.legs(s), "china-post "+n+" ACTIVE")
			w.hear("upu-postal", scan("upu-postal", n, parcel.CodeDelivered, day(-1), "RU"))
			if got := w.read(s.ID).Journey.Outcome; got != parcel.OutcomeDelivered {
				t.Errorf("outcome %q", got)
			}
		})
		t.Run("the post of the destination is named", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "russian-post")
			o := scan("china-post", n, parcel.CodeInTransit, day(-9), "")
			o.NextCarrier = "russian-post"
			w.hear("china-post", o)
			want(t, "legs", w.legs(s), "china-post "+n+" ACTIVE", "russian-post "+n+" PLANNED")
		})
		t.Run("after the end nobody else is asked", func(t *testing.T) {
			w, s, n := begin(t, "china-post", "russian-post")
			w.hear("china-post", left(n), scan("china-post", n, parcel.CodeDelivered, day(-1), "RU"))
			if got := w.asking("russian-post", n); !got.WatchedAt.IsZero() || len(w.read(s.ID).Found) != 0 {
				t.Errorf("watched since %s; %d numbers found", got.WatchedAt, len(w.read(s.ID).Found))
			}
		})
	})
}

func TestUnknownNumberIsTriedElsewhere(t *testing.T) {
	// FedEx Express by the check digit, SF Express and DHL by the length.
	all := []string{"395017288464", "986578788855", "477179081230", "744899203412", "612999988209"}
	eachStore(t, func(t *testing.T, w *world) {
		left := slices.Clone(all)
		begin := func(t *testing.T) (*world, string, *scripted, *scripted, *scripted) {
			w := newWorld(t, w.store)
			number := left[0]
			left = left[1:]
			w.trade.Set(now)
			fedex, dhl := knows(w, "fedex"), knows(w, "dhl-unified")
			sf := knows(w, "sf-express", scan("sf-express", number, parcel.CodePickedUp, day(-8), "CN"), scan("sf-express", number, parcel.CodeDelivered, day(-1), "BR"))
			w.serve(fedex.account("fedex"), sf.account("sf-express"), dhl.account("dhl-unified"))
			return w, number, fedex, sf, dhl
		}
		t.Run("a guess", func(t *testing.T) {
			w, number, fedex, _, dhl := begin(t)
			s := w.send("guessed", day(-10), "BR", leg("", number))
			if l := s.Legs[0]; l.Carrier != "fedex" || !l.Guessed {
				t.Fatalf("taken for %+v", l)
			}
			w.refresh("fedex", number)
			wantDue(t, "the next candidate", w.due("sf-express"), number)
			wantDue(t, "the one after it, already", w.due("dhl-unified"))
			wantCodes(t, "before it has answered", w.codes(s))
			w.refresh("sf-express", number)
			wantCodes(t, "events", w.codes(s), parcel.CodePickedUp, parcel.CodeDelivered)
			want(t, "the log", w.numbers(s), "number.identified "+number+" "+number)
			want(t, "legs: the guess stays in view", w.legs(s), "fedex "+number+" SKIPPED", "sf-express "+number+" DONE")
			asked := fedex.asked(number)
			w.trade.Advance(48 * time.Hour)
			wantDue(t, "the guess is not asked any more", w.due("fedex"))
			if dhl.asked("") != 0 || asked != 1 {
				t.Errorf("dhl was asked %d times, fedex %d", dhl.asked(""), asked)
			}
			// The registration may be repeated.
			again, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: "guessed", RegisteredAt: day(-10),
				Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR"}, Legs: []parcel.DeclaredLeg{leg("", number)}}}})
			if err != nil || again[0].Outcome != parcel.WriteUnchanged {
				t.Errorf("repeated: %+v %v", again[0], err)
			}
		})
		t.Run("a carrier that the merchant named", func(t *testing.T) {
			w, number, _, _, _ := begin(t)
			s := w.send("named", day(-10), "BR", leg("fedex", number))
			w.refresh("fedex", number)
			w.refresh("sf-express", number)
			want(t, "legs", w.legs(s), "fedex "+number+" SKIPPED", "sf-express "+number+" DONE")
			if l := w.read(s.ID).Legs[0]; l.Carrier != "fedex" || l.ReplacedBy != "" {
				t.Errorf("declared leg: %+v", l)
			}
		})
		t.Run("within its grace", func(t *testing.T) {
			w, number, _, _, _ := begin(t)
			w.send("fresh", day(-1), "BR", leg("", number))
			w.refresh("fedex", number)
			wantDue(t, "another carrier", w.due("sf-express"))
		})
		t.Run("one after the other, and no end of them", func(t *testing.T) {
			w, number, fedex, sf, dhl := begin(t)
			for _, c := range []*scripted{fedex, sf, dhl} {
				c.answer = unknown
			}
			s := w.send("nobody's", day(-10), "BR", leg("", number))
			w.refresh("fedex", number)
			w.refresh("sf-express", number)
			wantDue(t, "the third", w.due("dhl-unified"), number)
			w.refresh("dhl-unified", number)
			w.poll()
			// However often they are asked, within weeks it comes to an end.
			for range 60 {
				w.trade.Advance(24 * time.Hour)
				for _, c := range []string{"fedex", "sf-express", "dhl-unified"} {
					w.refresh(c, number)
				}
			}
			if next := w.asking("sf-express", number).NextAt; !next.IsZero() {
				t.Errorf("still asked at %s", next)
			}
			wantCodes(t, "events", w.codes(s))
			want(t, "legs", w.legs(s), "fedex "+number+" PLANNED")
		})
		t.Run("another parcel under the number", func(t *testing.T) {
			w, number, _, sf, _ := begin(t)
			sf.answer = knows(w, "sf-express", scan("sf-express", number, parcel.CodeDelivered, day(-1), "JP")).answer
			s := w.send("elsewhere", day(-10), "BR", leg("", number))
			w.refresh("fedex", number)
			w.refresh("sf-express", number)
			wantCodes(t, "events", w.codes(s))
		})
	})
}

// TestHabitOfTheLane: where parcels of a carrier usually go on with another
// under their number, a parcel whose handover is overdue is looked for there.
func TestHabitOfTheLane(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		// GLS takes on numbers of eleven digits.
		number := func(i int) string { return fmt.Sprintf("%011d", 20000000000+i) }
		one, gls := &scripted{answer: unknown}, &scripted{answer: unknown}
		next := 0
		w.serve(one.account("one"), gls.account("gls"))
		// past is a parcel that went from the one to the other in a number of days.
		past := func(w *world, days int) {
			next++
			n := number(next)
			w.send(fmt.Sprint("past ", next), day(-60), "BR", leg("one", n), leg("gls", n))
			w.hear("one", scan("one", n, parcel.CodeHandedToLinehaul, day(-50), "CN"))
			w.hear("gls", scan("gls", n, parcel.CodeOutForDelivery, day(-50+days), "BR"))
		}
		waiting := func(w *world, days int) (*parcel.Shipment, string) {
			next++
			n := number(next)
			s := w.send(fmt.Sprint("waiting ", next), day(-30), "BR", leg("one", n))
			w.hear("one", scan("one", n, parcel.CodeHandedToLinehaul, day(-days), "CN"))
			return s, n
		}
		quiet := func(w *world, n string) {
			// A poll that brings nothing.
			w.trade.Advance(time.Minute)
			w.accept(tells("one", parcel.Reading{Results: []parcel.NumberResult{{Number: n, Finding: parcel.FindingFound, Detail: w.trade.Now().String()}}}))
		}
		for range 5 {
			past(w, 8)
		}
		past(w, 3)
		t.Run("overdue", func(t *testing.T) {
			s, n := waiting(w, 12)
			want(t, "legs before", w.legs(s), "one "+n+" ACTIVE")
			quiet(w, n)
			if got := w.asking("gls", n); got.NextAt.IsZero() {
				t.Fatal("the habitual carrier is not asked")
			}
			want(t, "legs before it has answered", w.legs(s), "one "+n+" ACTIVE")
			w.hear("gls", scan("gls", n, parcel.CodeDelivered, day(-40), "BR"))
			want(t, "legs after another parcel's news", w.legs(s), "one "+n+" ACTIVE")
			w.hear("gls", scan("gls", n, parcel.CodeOutForDelivery, day(-1), "BR"))
			want(t, "legs after its news", w.legs(s), "gls "+n+" ACTIVE", "one "+n+" DONE")
			wantCodes(t, "events", w.codes(s), parcel.CodeHandedToLinehaul, parcel.CodeOutForDelivery)
		})
		t.Run("not overdue", func(t *testing.T) {
			_, n := waiting(w, 5)
			quiet(w, n)
			if got := w.asking("gls", n); !got.WatchedAt.IsZero() {
				t.Error("asked too early")
			}
		})
		t.Run("another merchant's habit is its own business", func(t *testing.T) {
			b, c := newWorld(t, w.store), newWorld(t, w.store)
			b.ingest, b.trade, c.ingest, c.trade = w.ingest, w.trade, w.ingest, w.trade
			_, n := waiting(b, 20)
			quiet(b, n)
			if got := w.asking("gls", n); !got.WatchedAt.IsZero() {
				t.Error("a merchant without parcels there is looked for by the habit of one other")
			}
			past(c, 8)
			quiet(b, n)
			if got := w.asking("gls", n); !got.WatchedAt.IsZero() {
				t.Error("two merchants are no pool")
			}
			d := newWorld(t, w.store)
			d.ingest, d.trade = w.ingest, w.trade
			past(d, 8)
			quiet(b, n)
			if got := w.asking("gls", n); got.NextAt.IsZero() {
				t.Error("what three merchants' parcels do is not known to the fourth")
			}
		})
		t.Run("a number of another form", func(t *testing.T) {
			s := w.send("form", day(-30), "BR", leg("one", "ABCDEFGH"))
			w.hear("one", scan("one", "ABCDEFGH", parcel.CodeHandedToLinehaul, day(-20), "CN"))
			quiet(w, "ABCDEFGH")
			if got := w.asking("gls", "ABCDEFGH"); !got.WatchedAt.IsZero() {
				t.Errorf("asked for %s", w.read(s.ID).Legs[0].Number)
			}
		})
	})
}

// TestEachMerchantsOwnAccountIsAsked: two merchants with accounts of their own at
// a carrier share a number, and the deployment has no account there.
func TestEachMerchantsOwnAccountIsAsked(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		begin := func(t *testing.T) (a, b *world, first, second *scripted) {
			a, b = newWorld(t, w.store), newWorld(t, w.store)
			first, second = &scripted{}, &scripted{}
			mine, theirs := first.account("zed"), second.account("zed")
			mine.Name, mine.MerchantID = "a-own", a.merchant
			theirs.Name, theirs.MerchantID = "b-own", b.merchant
			a.serve(mine, theirs)
			b.ingest, b.trade = a.ingest, a.trade
			return a, b, first, second
		}
		t.Run("each hears its own account", func(t *testing.T) {
			a, b, first, second := begin(t)
			for i, c := range []*scripted{first, second} {
				c.answer = func(_ context.Context, number string) (parcel.Reading, error) {
					return parcel.Reading{Observations: []parcel.Observation{scan("zed", number, parcel.CodePickedUp, day(-2).Add(time.Duration(i)*time.Hour), "CN")}}, nil
				}
			}
			x := a.send("a", day(-5), "BR", leg("zed", "SHARED1"))
			y := b.send("b", day(-5), "BR", leg("zed", "SHARED1"))
			a.poll()
			until(t, "both accounts have been asked", func() bool { return len(a.codes(x)) == 1 && len(b.codes(y)) == 1 })
			if p, q := a.read(x.ID).Journey.Events[0].Occurred.At, b.read(y.ID).Journey.Events[0].Occurred.At; !q.After(p) {
				t.Errorf("one heard the other's account: %s and %s", p, q)
			}
			// The next round begins at the planned time, with the first again.
			tr := a.asking("zed", "SHARED1")
			if !tr.NextAt.After(a.trade.Now()) || tr.Account != "a-own" {
				t.Errorf("next through %s at %s", tr.Account, tr.NextAt)
			}
			asked := first.asked("SHARED1") + second.asked("SHARED1")
			if asked > 3 {
				t.Errorf("asked %d times", asked)
			}
			a.trade.Set(tr.NextAt.Add(time.Minute))
			until(t, "both are asked in the next round", func() bool { return first.asked("SHARED1")+second.asked("SHARED1") >= asked+2 })
		})
		t.Run("one that fails does not hold up the other", func(t *testing.T) {
			a, b, first, second := begin(t)
			first.answer = nil
			second.answer = func(_ context.Context, number string) (parcel.Reading, error) {
				return parcel.Reading{Observations: []parcel.Observation{scan("zed", number, parcel.CodePickedUp, day(-2), "CN")}}, nil
			}
			a.send("a", day(-5), "BR", leg("zed", "SHARED2"))
			y := b.send("b", day(-5), "BR", leg("zed", "SHARED2"))
			a.poll()
			until(t, "the other's account has been asked", func() bool { return len(b.codes(y)) == 1 })
		})
	})
}
