package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

// TestFailures is the list of what goes wrong in parcel tracking, as far as the
// write path answers for it: a line each, by its number there. What the poller
// and the fold answer for is beside them.
func TestFailures(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		zed := knows(w, "zed", scan("zed", "JOIN01", parcel.CodePickedUp, day(-3), "CN"))
		sf := knows(w, "sf-express", scan("sf-express", "744899203412", parcel.CodePickedUp, day(-3), "CN"))
		w.serve(zed.account("zed"), knows(w, "fedex").account("fedex"), sf.account("sf-express"), knows(w, "usps").account("usps"), knows(w, "ups").account("ups"),
			knows(w, "china-post").account("china-post"), knows(w, "russian-post").account("russian-post"))

		t.Run("08_the_same_number_twice_makes_one_shipment", func(t *testing.T) {
			var all sync.WaitGroup
			ids := make([]string, 8)
			for i := range ids {
				all.Go(func() {
					out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{enrolment("twice", leg("zed", "TWICE1"))})
					if err == nil && out[0].Shipment != nil {
						ids[i] = out[0].Shipment.ID
					}
				})
			}
			all.Wait()
			for _, id := range ids {
				if id == "" || id != ids[0] {
					t.Errorf("shipments %q", ids)
					break
				}
			}
		})
		t.Run("09_a_number_used_again_is_another_parcel", func(t *testing.T) {
			w := newWorld(t, w.store)
			w.serve((&scripted{}).account("zed"))
			old := w.send("old", day(-10), "BR", leg("zed", "AGAIN1"))
			w.hear("zed", scan("zed", "AGAIN1", parcel.CodeDelivered, day(-1), "BR"))
			w.trade.Advance(100 * 24 * time.Hour)
			fresh := w.send("fresh", w.trade.Now(), "BR", leg("zed", "AGAIN1"))
			w.hear("zed", scan("zed", "AGAIN1", parcel.CodePickedUp, w.trade.Now(), "CN"))
			wantCodes(t, "the old parcel", w.codes(old), parcel.CodeDelivered)
			wantCodes(t, "the new parcel", w.codes(fresh), parcel.CodePickedUp)
			// Two parcels of one number at one time: who reports must say which.
			w.send("third", w.trade.Now(), "BR", leg("zed", "AGAIN1"))
			out, err := w.ingest.Report(t.Context(), w.merchant, []parcel.Report{{Key: parcel.NumberKey{Carrier: "zed", Number: "AGAIN1"}, Observation: parcel.Observation{
				Code: parcel.CodeDelivered, Occurred: parcel.ReportedMoment("", w.trade.Now())}}})
			if err != nil || out[0].Outcome != parcel.WriteRefused || out[0].Problems[0].Fault != parcel.FaultConflict || !strings.Contains(out[0].Problems[0].Error(), "2 shipments") {
				t.Errorf("an ambiguous report: %+v %v", out, err)
			}
		})
		t.Run("10_a_corrected_number_keeps_the_old_journey_on_the_old_leg", func(t *testing.T) {
			s := w.send("corrected", day(-10), "BR", leg("zed", "WRONG10"))
			w.hear("zed", scan("zed", "WRONG10", parcel.CodePickedUp, day(-5), "CN"))
			key := w.read(s.ID).Journey.Legs[0].Key
			if out, _, err := w.ingest.ChangeNumber(t.Context(), w.merchant, parcel.NumberChange{ShipmentID: s.ID, LegKey: key, Number: "RIGHT10", Carrier: "zed"}); err != nil || out.Outcome != parcel.WriteUpdated {
				t.Fatalf("%+v %v", out, err)
			}
			w.hear("zed", scan("zed", "RIGHT10", parcel.CodeOutForDelivery, day(-1), "BR"))
			for _, e := range w.read(s.ID).Journey.Events {
				if l := w.read(s.ID).Journey.Legs[e.Leg]; l.Number != e.Number {
					t.Errorf("%s of %s on the leg of %s", e.Code, e.Number, l.Number)
				}
			}
		})
		t.Run("11_told_twice_is_shown_once", func(t *testing.T) {
			s := w.send("told twice", day(-10), "BR", leg("zed", "TOLD11"))
			p := tells("zed", parcel.Reading{Observations: []parcel.Observation{scan("zed", "TOLD11", parcel.CodePickedUp, day(-5), "CN")}})
			again := w.accept(p, p)
			if len(again) != 2 || again[0].Events+again[1].Events != 1 {
				t.Errorf("receipts %+v", again)
			}
			wantCodes(t, "events", w.codes(s), parcel.CodePickedUp)
		})
		t.Run("12_each_of_a_list_gets_its_own_answer_in_order", func(t *testing.T) {
			out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{enrolment("l1", leg("zed", "LIST12A")), enrolment("", leg("zed", "LIST12B")), enrolment("l3", leg("zed", "LIST12C"))})
			if err != nil || len(out) != 3 || out[0].Shipment.Reference != "l1" || out[1].Outcome != parcel.WriteRefused || out[2].Shipment.Reference != "l3" {
				t.Errorf("%+v %v", out, err)
			}
		})
		t.Run("13_concurrent_askers_of_one_number_join_one_call", func(t *testing.T) {
			release := make(chan struct{})
			answer := zed.answer
			var under, beside atomic.Int32
			zed.answer = func(ctx context.Context, number string) (parcel.Reading, error) {
				if under.Add(1) > 1 {
					beside.Add(1)
				}
				defer under.Add(-1)
				<-release
				return answer(ctx, number)
			}
			defer func() { zed.answer = answer }()
			w.send("joined", day(-10), "BR", leg("zed", "JOIN01"))
			var all sync.WaitGroup
			served := make([]parcel.Served, 6)
			for i := range served {
				all.Go(func() {
					got, err := w.ingest.Refresh(context.Background(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: "zed", Number: "JOIN01"}}, Wait: 20 * time.Second})
					if err == nil {
						served[i] = got[0].Served
					}
				})
			}
			until(t, "one has called", func() bool { return zed.asked("JOIN01") == 1 })
			close(release)
			all.Wait()
			// Who comes after the answer may ask anew; nobody asks beside a call.
			if n := beside.Load(); n != 0 {
				t.Errorf("%d calls beside another, served %v", n, served)
			}
		})
		t.Run("22_what_has_ended_is_asked_again_on_request", func(t *testing.T) {
			w.send("ended", day(-30), "BR", leg("zed", "ENDED22"))
			w.hear("zed", scan("zed", "ENDED22", parcel.CodeDelivered, day(-20), "BR"))
			before := zed.asked("ENDED22")
			if got := w.refresh("zed", "ENDED22"); got.Served != parcel.ServedOwnCall || zed.asked("ENDED22") != before+1 {
				t.Errorf("%s after %d calls", got.Served, zed.asked("ENDED22")-before)
			}
		})
		t.Run("23_an_unknown_fresh_label_is_no_trouble", func(t *testing.T) {
			s := w.send("fresh label", day(-1), "BR", leg("", "986578788855"))
			got := w.refresh("fedex", "986578788855").Tracking
			if got.Finding != parcel.FindingUnknown || got.Trouble != "" || got.Failures != 0 {
				t.Errorf("%+v", got)
			}
			if other := w.asking("sf-express", "986578788855"); !other.WatchedAt.IsZero() {
				t.Error("another carrier is tried within the grace")
			}
			if h := w.read(s.ID).HealthAt(now, []parcel.Tracking{got}, parcel.Habits{}); h != parcel.HealthAwaitingFirstScan {
				t.Errorf("health %s", h)
			}
		})
		t.Run("27_number_change_is_told", func(t *testing.T) {
			s := w.send("renumbered", day(-10), "BR", leg("zed", "FIRST27"))
			o := scan("zed", "FIRST27", parcel.CodeLastMileAccepted, day(-3), "BR")
			o.NextCarrier, o.NextNumber = "zed", "SECOND27"
			w.hear("zed", o)
			want(t, "the log", w.numbers(s), "number.next FIRST27 SECOND27")
			if got := w.asking("zed", "SECOND27"); got.NextAt.IsZero() {
				t.Error("the new number is not asked for")
			}
		})
		t.Run("28_silence_at_the_border_is_between_carriers", func(t *testing.T) {
			n := item(70000028)
			s := w.send("border", day(-20), "RU", leg("china-post", n))
			w.hear("china-post", scan("china-post", n, parcel.CodeOriginCountryDeparted, day(-8), "CN"))
			got := w.read(s.ID)
			if got.Journey.Custody.State != parcel.CustodyBetween || got.HealthAt(now, nil, parcel.Habits{}) != parcel.HealthBetweenCarriers {
				t.Errorf("custody %s, health %s", got.Journey.Custody.State, got.HealthAt(now, nil, parcel.Habits{}))
			}
			if l := got.Journey.Legs[len(got.Journey.Legs)-1]; l.Carrier != "russian-post" || l.Number != n || l.State != parcel.LegPlanned {
				t.Errorf("next leg %+v", l)
			}
		})
		t.Run("29_a_wrong_carrier_is_found_out", func(t *testing.T) {
			s := w.send("wrong carrier", day(-10), "BR", leg("", "744899203412"))
			if s.Legs[0].Carrier != "fedex" {
				t.Fatalf("taken for %s", s.Legs[0].Carrier)
			}
			w.refresh("fedex", "744899203412")
			w.refresh("sf-express", "744899203412")
			wantCodes(t, "events", w.codes(s), parcel.CodePickedUp)
			want(t, "the log", w.numbers(s), "number.identified 744899203412 744899203412")
		})
		t.Run("30_look_alikes_of_usps_stay_ambiguous", func(t *testing.T) {
			for _, number := range []string{"9274890000000000000003", "9261290100130435082879"} {
				if c := identify.Identify(number); len(c) < 2 || c[0].Carrier != "usps" {
					t.Errorf("%s: %+v", number, c)
				}
			}
			out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{enrolment("look alike", leg("", "9274890000000000000003"))})
			if err != nil || out[0].Shipment == nil || out[0].Shipment.Legs[0].Carrier != "usps" || len(out[0].Problems) == 0 || !strings.Contains(fmt.Sprint(out[0].Problems[0]), "ups") {
				t.Errorf("%+v %v", out, err)
			}
		})
	})
}
