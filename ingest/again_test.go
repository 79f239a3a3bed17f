package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// TestFoundJourneysFoldAgain: whatever found the next carrier, and in whatever
// order its word came, the journey as stored is what facts and log give alone,
// and replay adds nothing.
func TestFoundJourneysFoldAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		a, b := w.launch(ingest.Options{Store: ledger{w.store}, Trade: w.trade, Accounts: mixed()}), w.launch(ingest.Options{Store: ledger{w.store}, Trade: w.trade, Accounts: mixed()})
		replicas := []*ingest.Ingest{a, b}
		for n := range 24 {
			dice := rand.New(rand.NewPCG(uint64(n), 7))
			number, own, next := item(73000000+n), fmt.Sprint("HUBBED", n), fmt.Sprint("LAST", n)
			named := scan("zed", own, parcel.CodeLastMileAccepted, day(-3), "RU")
			named.NextNumber, named.NextCarrier = next, "why"
			say := func(carrier string, r parcel.Reading) func(g *ingest.Ingest) error {
				return func(g *ingest.Ingest) error { _, err := g.Accept(context.Background(), tells(carrier, r)); return err }
			}
			of := func(o ...parcel.Observation) parcel.Reading { return parcel.Reading{Observations: o} }
			register := func(g *ingest.Ingest) error {
				_, err := g.Register(context.Background(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: number, RegisteredAt: day(-20),
					Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "RU"}, Legs: []parcel.DeclaredLeg{leg("china-post", number), leg("zed", own)}}}})
				return err
			}
			steps := []func(g *ingest.Ingest) error{
				register,
				say("china-post", of(scan("china-post", number, parcel.CodePickedUp, day(-18), "CN"))),
				say("china-post", of(scan("china-post", number, parcel.CodeOriginCountryDeparted, day(-12), "CN"))),
				say("russian-post", of(scan("russian-post", number, parcel.CodeOriginCountryDeparted, day(-12), "CN"), scan("russian-post", number, parcel.CodeImportCustomsReleased, day(-5), "RU"))),
				say("hub", parcel.Reading{Observations: []parcel.Observation{scan("china-post", number, parcel.CodePickedUp, day(-18), "CN"), scan("zed", own, parcel.CodeInTransit, day(-4), "RU")},
					Aliases: []parcel.Alias{{Number: number, Other: own, Carrier: "zed"}}}),
				say("zed", parcel.Reading{Observations: []parcel.Observation{named}, Aliases: []parcel.Alias{{Number: own, Other: "Z" + own}}}),
				say("why", of(scan("why", next, parcel.CodeDelivered, day(-1), "RU"))),
				say("zed", of(scan("zed", "Z"+own, parcel.CodeDelivered, day(-1), "RU"))),
			}
			dice.Shuffle(len(steps), func(i, k int) { steps[i], steps[k] = steps[k], steps[i] })
			for _, step := range steps {
				if err := step(replicas[dice.IntN(2)]); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func(when string) {
			t.Helper()
			outcomes := map[parcel.Outcome]int{}
			for n := range 24 {
				found, err := w.store.ShipmentsByReference(t.Context(), storage.OfMerchant(w.merchant), []string{item(73000000 + n)})
				if err != nil || found[0] == nil {
					t.Fatal(err)
				}
				s := found[0].Shipment
				rows, err := w.store.EventsAsOf(t.Context(), storage.OfMerchant(w.merchant), s.ID, now.AddDate(1, 0, 0))
				if err != nil {
					t.Fatal(err)
				}
				rand.Shuffle(len(rows), func(i, k int) { rows[i], rows[k] = rows[k], rows[i] })
				if d := cmp.Diff(parcel.Fold(s, nil, rows), s.Journey, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
					t.Fatalf("%s, shipment %d: the state is not what facts and log say:\n%s", when, n, d)
				}
				outcomes[s.Journey.Outcome]++
			}
			if len(outcomes) != 1 || outcomes[parcel.OutcomeDelivered] != 24 {
				t.Errorf("%s: the order of arrival changes the outcome: %v", when, outcomes)
			}
		}
		check("as it came")
		r, err := a.Replay(t.Context(), ingest.ReplayAsk{})
		if err != nil || r.Events != 0 {
			t.Errorf("replay tells %d more events, %v", r.Events, err)
		}
		check("after replay")
	})
}

func mixed() []ingest.Account {
	return []ingest.Account{
		(&scripted{answer: unknown}).account("china-post"), (&scripted{answer: unknown}).account("russian-post"),
		(&scripted{answer: unknown}).account("zed"), (&scripted{answer: unknown}).account("why"), aggregated(&scripted{answer: unknown}, "hub"),
	}
}

// TestCallsOfOneItem counts the calls that one item of the post causes in 40
// days: at both ends, and nowhere else however many carriers have accounts.
func TestCallsOfOneItem(t *testing.T) {
	for _, all := range []bool{false, true} {
		eachStore(t, func(t *testing.T, w *world) {
			if w.store.Dialect() != storage.SQLite {
				t.Skip("counts are the same")
			}
			number := item(74000000)
			sold := w.trade.Now()
			at := func(n int) time.Time { return sold.AddDate(0, 0, n) }
			china := knows(w, "china-post", scan("china-post", number, parcel.CodePickedUp, at(1), "CN"), scan("china-post", number, parcel.CodeOriginCountryDeparted, at(6), "CN"))
			post := knows(w, "russian-post", scan("russian-post", number, parcel.CodeImportCustomsReleased, at(24), "RU"), scan("russian-post", number, parcel.CodeDelivered, at(33), "RU"))
			cs := map[string]*scripted{"china-post": china}
			accounts := []ingest.Account{china.account("china-post")}
			if all {
				cs["russian-post"] = post
				accounts = append(accounts, post.account("russian-post"))
				for _, n := range []string{"upu-postal", "cainiao", "yanwen", "fedex", "dhl-unified", "ups", "royal-mail", "usps"} {
					cs[n] = knows(w, n)
					accounts = append(accounts, cs[n].account(n))
				}
			}
			w.serve(accounts...)
			s := w.send("r", sold, "RU", leg("china-post", number))
			const takenOn = 24 // the day on which the other post has it
			var before int
			for hour := 0; hour < 40*24; hour++ {
				if hour == (takenOn+1)*24 {
					before = china.asked("")
				}
				w.trade.Set(sold.Add(time.Duration(hour) * time.Hour))
				for name := range cs {
					for _, n := range w.due(name) {
						if tr := w.asking(name, n); !tr.NextAt.IsZero() && !tr.NextAt.After(w.trade.Now()) {
							w.refresh(name, n)
						}
					}
				}
			}
			out := map[string]int{}
			for name, c := range cs {
				out[name] = c.asked("")
			}
			sum := 0
			for _, n := range out {
				sum += n
			}
			if sum != out["china-post"]+out["russian-post"] || sum > 240 {
				t.Errorf("calls: %v", out)
			}
			// Whoever has let it go is looked at once a day and no more.
			if after := china.asked("") - before; all && after > 40-takenOn {
				t.Errorf("the post that let it go was asked %d times in the last %d days", after, 40-takenOn-1)
			}
			if all && w.read(s.ID).Journey.Outcome != parcel.OutcomeDelivered {
				t.Errorf("outcome %q", w.read(s.ID).Journey.Outcome)
			}
		})
	}
}
