package ingest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// TestStatusOfAllReplicas lets two processes ask one carrier: each answers for
// both, and for the budget that they share.
func TestStatusOfAllReplicas(t *testing.T) {
	const carrier = "upu-postal"
	eachStore(t, func(t *testing.T, w *world) {
		quota := &carriers.Quota{Calls: 100, Window: time.Hour}
		one, _ := w.replica(carrier, quota)
		two, _ := w.replica(carrier, quota)
		w.know("RA000000001CN", carriers.FakeHistory{Scans: []carriers.FakeScan{{Code: parcel.CodePickedUp, At: now.Add(-time.Hour), Place: parcel.Place{Country: "CN"}}}})
		ask := func(number string, g interface {
			Refresh(context.Context, parcel.RefreshAsk) ([]parcel.Refreshed, error)
		}) {
			t.Helper()
			if _, err := g.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second, Force: true}); err != nil {
				t.Fatal(err)
			}
		}
		w.registerMany(w.merchant, carrier, "RA", 4)
		status := func() parcel.CarrierStatus {
			t.Helper()
			all, err := one.Statuses(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return parcel.StatusOf(all)
		}
		if s := status(); s.State != parcel.DoorIdle || s.Left != 100 {
			t.Errorf("never asked: %s, %d left", s.State, s.Left)
		}
		ask("RA000000001CN", one)
		ask("RA000000002CN", two)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := two.Beat(ctx); err != nil { // its last word
			t.Fatal(err)
		}
		s := status()
		if s.State != parcel.DoorUp || s.Calls != 2 || s.Numbers != 2 || s.Replicas != 2 || s.Failures != 0 || s.LastSuccess.IsZero() {
			t.Errorf("after two calls: %+v", s)
		}
		if s.Left > 98 || s.Left < 94 || s.Renews.IsZero() {
			t.Errorf("%d left of 100 until %s", s.Left, s.Renews)
		}
		if rate, ok := s.ErrorRate(); !ok || rate != 0 {
			t.Errorf("error rate %v %v", rate, ok)
		}
		// A carrier that hangs up is limping at first.
		w.delay = func(string, *http.Request) { panic(http.ErrAbortHandler) }
		ask("RA000000003CN", one)
		s = status()
		if s.State != parcel.DoorDegraded || s.Troubles[parcel.TroubleUnavailable] != 1 || s.LastTrouble != parcel.TroubleUnavailable {
			t.Errorf("after a failure: %s %v %s", s.State, s.Troubles, s.LastTrouble)
		}
		// After five failed tries in a row it rests, and is down.
		ask("RA000000003CN", one)
		s = status()
		if s.State != parcel.DoorDown || s.RestUntil.IsZero() {
			t.Errorf("after more: %s, at rest until %s", s.State, s.RestUntil)
		}
		// While it rests nobody is asked, and what was planned stays due.
		calls := w.called(carrier)
		got, err := one.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: "RA000000000CN"}}, Wait: 10 * time.Second, Force: true})
		if err != nil || got[0].Served != parcel.ServedNotAllowed || got[0].Tracking.Trouble != parcel.TroubleCircuitOpen || w.called(carrier) != calls {
			t.Errorf("at rest: %+v %v", got, err)
		}
	})
}

// TestLagIsMeasured counts from scan to receipt, of what came while we watched.
func TestLagIsMeasured(t *testing.T) {
	const carrier, number = "upu-postal", "RA000000000CN"
	eachStore(t, func(t *testing.T, w *world) {
		scan := func(code parcel.Code, at time.Time) carriers.FakeScan {
			return carriers.FakeScan{Code: code, At: at, Place: parcel.Place{Country: "CN", City: "BEIJING"}}
		}
		old := scan(parcel.CodePickedUp, now.AddDate(0, 0, -9))
		w.know(number, carriers.FakeHistory{Origin: "CN", Destination: "DE", Scans: []carriers.FakeScan{old}})
		w.registerMany(w.merchant, carrier, "RA", 1)
		ask := func() {
			if _, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second, Force: true}); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		w.trade.Advance(10 * time.Hour)
		w.know(number, carriers.FakeHistory{Origin: "CN", Destination: "DE", Scans: []carriers.FakeScan{old, scan(parcel.CodeOriginCountryDeparted, now.Add(6*time.Hour))}})
		ask()
		for _, s := range w.ingest.Stats() {
			if s.Carrier == carrier && (s.LagMedian < 215*time.Minute || s.LagMedian > 265*time.Minute) {
				t.Errorf("median lag %s, want four hours: the history of nine days ago does not count", s.LagMedian)
			}
		}
	})
}
