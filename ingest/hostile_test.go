package ingest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// TestOwnAccountsNewsStaysItsMerchants: what came through a merchant's own
// account is that merchant's for good, also when the account is gone and the
// process has begun anew without it.
func TestOwnAccountsNewsStaysItsMerchants(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		own := (&scripted{answer: unknown}).account("zed")
		own.Name, own.MerchantID = "a-own", w.merchant
		w.serve(own)
		a := w.send("a", day(-5), "BR", leg("zed", "PRIV1"))
		p := tells("zed", parcel.Reading{Observations: []parcel.Observation{scan("zed", "PRIV1", parcel.CodePickedUp, day(-3), "CN")}})
		p.Account = "a-own"
		w.accept(p)
		wantCodes(t, "whose account it is", w.codes(a), parcel.CodePickedUp)

		b := newWorld(t, w.store)
		b.serve((&scripted{answer: unknown}).account("zed"))
		s := b.send("b", day(-5), "BR", leg("zed", "PRIV1"))
		wantCodes(t, "another merchant, on registration", b.codes(s))
		if r, err := b.ingest.Replay(t.Context(), ingest.ReplayAsk{}); err != nil || r.Events != 0 {
			t.Errorf("replay tells %d more events, %v", r.Events, err)
		}
		wantCodes(t, "another merchant, after replay", b.codes(s))
		// The same bytes by the deployment's account are everybody's.
		b.accept(tells("zed", parcel.Reading{Observations: []parcel.Observation{scan("zed", "PRIV1", parcel.CodePickedUp, day(-3), "CN")}}))
		wantCodes(t, "another merchant, told by the deployment's", b.codes(s), parcel.CodePickedUp)
	})
}

// TestCarrierInALoopIsBounded: whatever a carrier says of one parcel, its
// shipment, its log and the writer stay small. The time is that of a payload
// that once held up the writer for minutes.
func TestCarrierInALoopIsBounded(t *testing.T) {
	const n = 4000
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{answer: unknown}).account("zed"), aggregated(&scripted{answer: unknown}, "hub"))
		for _, c := range []struct {
			name, carrier string
			build         func(r *parcel.Reading, number string, i int)
			legs, events  int
		}{
			{"other names", "zed", func(r *parcel.Reading, number string, i int) {
				r.Aliases = append(r.Aliases, parcel.Alias{Number: number, Other: fmt.Sprint("OTHER", i), Carrier: "zed"})
			}, 1, 0},
			{"next numbers", "zed", func(r *parcel.Reading, number string, i int) {
				o := scan("zed", number, parcel.CodeLastMileAccepted, day(-3).Add(time.Duration(i)*time.Second), "CN")
				o.NextCarrier, o.NextNumber = "zed", fmt.Sprint("NEXT", i)
				r.Observations = append(r.Observations, o)
			}, 17, n},
			{"carriers that are repeated", "hub", func(r *parcel.Reading, number string, i int) {
				r.Observations = append(r.Observations, scan(fmt.Sprint("carrier", i), number, parcel.CodePickedUp, day(-3), "CN"))
			}, 17, 1},
			{"events", "zed", func(r *parcel.Reading, number string, i int) {
				for k := range 2 {
					r.Observations = append(r.Observations, scan("zed", number, parcel.CodeInTransit, day(-3).Add(time.Duration(2*i+k)*time.Second), "CN"))
				}
			}, 1, 5000},
		} {
			t.Run(c.name, func(t *testing.T) {
				number := strings.ToUpper(strings.ReplaceAll(c.name, " ", ""))
				s := w.send(c.name, day(-5), "BR", leg(c.carrier, number))
				var r parcel.Reading
				for i := range n {
					c.build(&r, number, i)
				}
				for range 2 {
					w.accept(tells(c.carrier, r))
				}
				got := w.read(s.ID)
				if j := &got.Journey; len(j.Legs) > c.legs || len(j.Events) > c.events || len(got.Found) > 16 {
					t.Errorf("%d legs, %d events, %d names found", len(j.Legs), len(j.Events), len(got.Found))
				}
				if out, err := w.ingest.Report(t.Context(), w.merchant, []parcel.Report{{ShipmentID: s.ID, Observation: scan("", "", parcel.CodeDelivered, day(-1), "BR")}}); err != nil ||
					(out[0].Outcome == parcel.WriteRefused) != (c.name == "events") {
					t.Errorf("a person's report: %+v, %v", out, err)
				}
			})
		}
		t.Run("payload after payload", func(t *testing.T) {
			s := w.send("again and again", day(-5), "BR", leg("zed", "AGAIN"))
			for round := range 8 {
				var r parcel.Reading
				for i := range 16 {
					r.Aliases = append(r.Aliases, parcel.Alias{Number: "AGAIN", Other: fmt.Sprint("OTHER", round, "X", i), Carrier: "zed"})
				}
				w.accept(tells("zed", r))
			}
			if got := w.read(s.ID); len(got.Found) != 64 {
				t.Errorf("%d names found, at most 64 are taken", len(got.Found))
			}
		})
		t.Run("a corrected shipment", func(t *testing.T) {
			s := w.send("corrected", day(-5), "BR", leg("zed", "CORRECTED"))
			w.hear("zed", scan("zed", "CORRECTED", parcel.CodePickedUp, day(-4), "CN"))
			if out, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: w.read(s.ID).Journey.Events[0].ID, Kind: parcel.RetractionWrongShipment}); err != nil || out.Outcome != parcel.WriteUpdated {
				t.Fatal(out, err)
			}
			var r parcel.Reading
			for i := range n {
				o := scan("zed", "CORRECTED", parcel.CodeLastMileAccepted, day(-3).Add(time.Duration(i)*time.Second), "CN")
				o.NextCarrier, o.NextNumber = "zed", "CORRECTEDNEXT"
				r.Observations = append(r.Observations, o)
			}
			w.accept(tells("zed", r))
			if got := w.read(s.ID); len(got.Journey.Events) != n+1 {
				t.Errorf("%d events", len(got.Journey.Events))
			}
		})
		t.Run("two names of each other", func(t *testing.T) {
			s := w.send("ring", day(-5), "BR", leg("zed", "RING1"))
			w.accept(tells("zed", parcel.Reading{
				Observations: []parcel.Observation{scan("zed", "RING1", parcel.CodePickedUp, day(-3), "CN"), scan("zed", "RING2", parcel.CodeOriginCountryDeparted, day(-2), "CN")},
				Aliases:      []parcel.Alias{{Number: "RING1", Other: "RING2"}, {Number: "RING2", Other: "RING1"}, {Number: "RING1", Other: "RING1"}},
			}))
			wantCodes(t, "events", w.codes(s), parcel.CodePickedUp, parcel.CodeOriginCountryDeparted)
		})
	})
}

// TestNamesThatAreNone: bytes that no column or index holds are left out, told,
// and the payload and what else it says are kept.
func TestNamesThatAreNone(t *testing.T) {
	// Neither of them can be compressed away.
	long := make([]byte, 0, 9000)
	for x := uint32(12345); len(long) < cap(long); {
		x = x*1664525 + 1013904223
		long = append(long, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[(x>>16)%36])
	}
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{answer: unknown}).account("zed"), aggregated(&scripted{answer: unknown}, "hub"))
		for i, bad := range []string{string(long), "a\x00b", "a b"} {
			good := func(number string) parcel.Observation {
				return scan("zed", number, parcel.CodePickedUp, day(-3), "CN")
			}
			for name, build := range map[string]func(number string) (string, parcel.Reading){
				"next number": func(number string) (string, parcel.Reading) {
					o := good(number)
					o.NextCarrier, o.NextNumber = "zed", bad
					return "zed", parcel.Reading{Observations: []parcel.Observation{o}}
				},
				"next carrier": func(number string) (string, parcel.Reading) {
					o := good(number)
					o.NextCarrier, o.NextNumber = bad, "OTHER"
					return "zed", parcel.Reading{Observations: []parcel.Observation{o}}
				},
				"another name": func(number string) (string, parcel.Reading) {
					return "zed", parcel.Reading{Observations: []parcel.Observation{good(number)}, Aliases: []parcel.Alias{{Number: number, Other: string(long)}, {Number: number, Other: "X1", Carrier: bad}}}
				},
				"number": func(number string) (string, parcel.Reading) {
					return "zed", parcel.Reading{Observations: []parcel.Observation{good(number), good(bad)}, Results: []parcel.NumberResult{{Number: bad, Finding: parcel.FindingFound}}}
				},
				"carrier that is repeated": func(number string) (string, parcel.Reading) {
					o := good(number)
					o.Carrier = bad
					return "hub", parcel.Reading{Observations: []parcel.Observation{o}}
				},
			} {
				if i > 0 && strings.HasSuffix(name, "number") {
					continue // a number is read without them
				}
				t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
					number := fmt.Sprintf("N%d%s", i, strings.ToUpper(strings.ReplaceAll(name, " ", "")))
					carrier, r := build(number)
					s := w.send(number, day(-5), "BR", leg(carrier, number))
					got := w.accept(tells(carrier, r))
					if !got[0].Fresh {
						t.Error("not kept")
					}
					wantCodes(t, "events", w.codes(s), parcel.CodePickedUp)
				})
			}
		}
	})
}

// TestWhatCannotBeOfThisParcel: scans of an earlier parcel under the number that
// an event names, and scans of a day that has not come.
func TestWhatCannotBeOfThisParcel(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{answer: unknown}).account("zed"), (&scripted{answer: unknown}).account("why"))
		t.Run("an earlier use of the next number", func(t *testing.T) {
			s := w.send("old", day(-20), "BR", leg("zed", "OLD1"))
			o := scan("zed", "OLD1", parcel.CodeLastMileAccepted, day(-3), "BR")
			o.NextCarrier, o.NextNumber = "why", "WHY1"
			w.hear("zed", scan("zed", "OLD1", parcel.CodePickedUp, day(-18), "CN"), o)
			w.hear("why", scan("why", "WHY1", parcel.CodePickedUp, day(-110), "BR"), scan("why", "WHY1", parcel.CodeDelivered, day(-100), "BR"),
				scan("why", "WHY1", parcel.CodeInfoReceived, day(-19), "BR"), scan("why", "WHY1", parcel.CodeOutForDelivery, day(-1), "BR"))
			wantCodes(t, "events", w.codes(s), parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeLastMileAccepted, parcel.CodeOutForDelivery)
		})
		t.Run("the future", func(t *testing.T) {
			s := w.send("future", day(-20), "BR", leg("zed", "FUT1"))
			tale := []parcel.Observation{scan("zed", "FUT1", parcel.CodePickedUp, day(-2), "CN"), scan("zed", "FUT1", parcel.CodeDelivered, day(3), "BR")}
			w.hear("zed", tale...)
			wantCodes(t, "before the day", w.codes(s), parcel.CodePickedUp)
			w.trade.Set(day(3).Add(time.Hour))
			w.hear("zed", tale...)
			wantCodes(t, "told again on the day", w.codes(s), parcel.CodePickedUp, parcel.CodeDelivered)
		})
	})
}
