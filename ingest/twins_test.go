package ingest_test

import (
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// TestTwins: what two carriers tell of one scan, over the write path.
func TestTwins(t *testing.T) {
	begin := func(t *testing.T, w *world, number string) (*world, *parcel.Shipment, parcel.Observation) {
		w = newWorld(t, w.store)
		w.serve((&scripted{}).account("zed"), (&scripted{}).account("yan"))
		s := w.enrol("r", leg("zed", number), leg("yan", number))
		return w, s, observed("zed", number, parcel.CodeDeliveryOfficeArrived, now.Add(-9*time.Hour))
	}
	told := func(w *world, s *parcel.Shipment) (first, second string) {
		w.t.Helper()
		j := w.read(s.ID).Journey
		if len(j.Events) != 1 || len(j.Events[0].Tellings) != 2 || len(j.Events[0].Witnesses) != 2 {
			w.t.Fatalf("events: %+v", j.Events)
		}
		for x := range j.Events[0].Each() {
			if x.ID == j.Events[0].ID {
				first = x.ID
			} else {
				second = x.ID
			}
		}
		return first, second
	}
	eachStore(t, func(t *testing.T, w *world) {
		t.Run("by either id", func(t *testing.T) {
			for by, number := range map[string]string{"the first id": "RB604182353CN", "the second id": "RB604182367CN"} {
				w, s, o := begin(t, w, number)
				w.hear("zed", o)
				w.trade.Advance(time.Minute)
				o.Carrier = "yan"
				w.hear("yan", o)
				first, second := told(w, s)
				id := first
				if by == "the second id" {
					id = second
				}
				// The same again, by either, adds nothing.
				w.hear("yan", o)
				told(w, s)
				c := parcel.Correction{EventID: id, Kind: parcel.RetractionDidNotOccur}
				if out, err := w.ingest.Retract(t.Context(), w.merchant, c); err != nil || out.Outcome != parcel.WriteUpdated || out.EventID != first {
					t.Fatalf("%s: %+v %v", by, out, err)
				}
				wantCodes(t, by, w.codes(s))
				if out, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: second, Kind: parcel.RetractionDidNotOccur}); err != nil || out.Outcome != parcel.WriteRefused {
					t.Errorf("%s, once more by the other: %+v %v", by, out, err)
				}
			}
		})
		t.Run("what was withdrawn names no number by the other's mouth", func(t *testing.T) {
			w, s, o := begin(t, w, "RB604182375CN")
			o.Code, o.NextCarrier, o.NextNumber = parcel.CodeImportCustomsReleased, "zed", "WRONG1"
			w.hear("zed", o)
			id := w.read(s.ID).Journey.Events[0].ID
			if out, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: id, Kind: parcel.RetractionIncorrect}); err != nil || out.Outcome != parcel.WriteUpdated {
				t.Fatalf("%+v %v", out, err)
			}
			o.Carrier = "yan"
			w.hear("yan", o)
			w.hear("zed", observed("zed", "WRONG1", parcel.CodeDelivered, now.Add(-time.Hour)))
			wantCodes(t, "after the other told it", w.codes(s))
			for _, e := range w.read(s.ID).Journey.Events {
				if e.Number == "WRONG1" {
					t.Errorf("the stranger's %s is here", e.Code)
				}
			}
		})
	})
}
