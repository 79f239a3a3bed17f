package ingest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// byNumber gives the references that the merchant finds by a number.
func (w *world) byNumber(number, carrier string) (references []string) {
	w.t.Helper()
	found, err := w.store.ShipmentsByNumber(w.t.Context(), storage.Knock{Number: number, Carrier: carrier, MerchantID: w.merchant})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range found {
		references = append(references, l.Shipment.Reference)
		for _, t := range l.Trackings {
			if t.Carrier == "" {
				w.t.Errorf("%s: a number of no carrier is asked for: %+v", l.Shipment.Reference, t)
			}
		}
	}
	return references
}

// A registered number is found by itself, whoever serves it.
func TestEveryDeclaredNumberIsFound(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("of nobody", "CN", "RU", leg("", "ZZTOP0000001"))
		w.register("of a carrier without account", "CN", "RU", leg("a-stranger", "ZZTOP0000002"))
		for _, tt := range []struct{ name, number, carrier, want string }{
			{"no carrier", "ZZTOP0000001", "", "of nobody"},
			{"no carrier, asked for by one", "ZZTOP0000001", "yanwen", "of nobody"},
			{"a carrier without account", "ZZTOP0000002", "", "of a carrier without account"},
			{"a carrier without account, by name", "ZZTOP0000002", "a-stranger", "of a carrier without account"},
		} {
			if diff := cmp.Diff([]string{tt.want}, w.byNumber(tt.number, tt.carrier)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
		out, _, err := w.ingest.ChangeNumber(t.Context(), w.merchant, parcel.NumberChange{ShipmentID: s.ID, LegKey: s.Journey.Legs[0].Key, Number: "ZZTOP0000003"})
		if err != nil || out.Outcome != parcel.WriteUpdated {
			t.Fatalf("%+v, %v", out, err)
		}
		if diff := cmp.Diff([]string{"of nobody"}, w.byNumber("ZZTOP0000003", "")); diff != "" {
			t.Errorf("after a change of number (-want +got):\n%s", diff)
		}
	})
}
