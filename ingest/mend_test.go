package ingest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
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

// A change of number whose answer was lost is made once, however often it is
// asked for.
func TestChangeNumberIsIdempotent(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		const before, after = "RB518204643CN", "RB518204475CN"
		for _, tt := range []struct {
			name   string
			leg    parcel.DeclaredLeg
			heard  bool
			change parcel.NumberChange
		}{
			{"number, before anything happened", leg("russian-post", before), false, parcel.NumberChange{Number: after}},
			{"number, after something happened", leg("russian-post", before), true, parcel.NumberChange{Number: after}},
			{"carrier alone", leg("russian-post", before), false, parcel.NumberChange{Carrier: "china-post"}},
			{"both", leg("russian-post", before), false, parcel.NumberChange{Carrier: "yanwen", Number: "YANWEN0001"}},
			{"first number of a carrier", leg("russian-post", ""), false, parcel.NumberChange{Number: after}},
			{"first number of nobody", leg("", ""), false, parcel.NumberChange{Number: after}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s := w.register(tt.name, "CN", "RU", tt.leg)
				if tt.heard {
					w.accept(kinded(t, sample(t, "russian-post", "", "single-exception-customs-refusal.xml")))
					s = w.read(s.ID)
				}
				c := tt.change
				c.ShipmentID, c.LegKey = s.ID, s.Journey.Legs[0].Key
				out, key, err := w.ingest.ChangeNumber(t.Context(), w.merchant, c)
				if err != nil || out.Outcome != parcel.WriteUpdated || key == "" {
					t.Fatalf("%+v, %q, %v", out, key, err)
				}
				want := w.read(s.ID).Facts
				for range 2 {
					again, keyAgain, err := w.ingest.ChangeNumber(t.Context(), w.merchant, c)
					if err != nil || again.Outcome != parcel.WriteUnchanged || keyAgain != key {
						t.Errorf("again: %s %v, leg %q, %v; want UNCHANGED and leg %q", again.Outcome, again.Problems, keyAgain, err, key)
					}
				}
				if diff := cmp.Diff(want, w.read(s.ID).Facts); diff != "" {
					t.Errorf("asked for again, it changed something (-first +again):\n%s", diff)
				}
				c.LegKey = "NOSUCHLEG"
				if out, _, err := w.ingest.ChangeNumber(t.Context(), w.merchant, c); err != nil || out.Outcome != parcel.WriteRefused {
					t.Errorf("a leg that never was: %+v, %v", out, err)
				}
			})
		}
	})
}

// What somebody reports may lie before the registration, but not in another
// age.
func TestReportLongAgo(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("r", "CN", "BR", leg("correios", "LB604182353CN"))
		at := func(when time.Time) parcel.Report {
			return parcel.Report{ShipmentID: s.ID, Observation: parcel.Observation{Code: parcel.CodePickedUp, Occurred: parcel.ReportedMoment("", when)}}
		}
		first := s.RegisteredAt.AddDate(0, 0, -400)
		reports := []parcel.Report{at(time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)), at(first.Add(-time.Second)), at(first), at(s.RegisteredAt.AddDate(0, 0, -30))}
		out, err := w.ingest.Report(t.Context(), w.merchant, reports)
		if err != nil {
			t.Fatal(err)
		}
		for i, old := range []bool{true, true, false, false} {
			refused := out[i].Outcome == parcel.WriteRefused && len(out[i].Problems) == 1 &&
				out[i].Problems[0].Fault == parcel.FaultOutOfRange && slices.Equal(out[i].Problems[0].Path, []string{"localTime"})
			if refused != old || !old && out[i].Outcome != parcel.WriteCreated {
				t.Errorf("%s: %s %v", reports[i].Observation.Occurred.At, out[i].Outcome, out[i].Problems)
			}
		}
		done, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: out[3].EventID, Kind: parcel.RetractionIncorrect, ReplaceWith: &reports[0]})
		if err != nil || done.Outcome != parcel.WriteRefused || len(done.Problems) != 1 || !slices.Equal(done.Problems[0].Path, []string{"replaceWith", "localTime"}) {
			t.Errorf("in place of another: %s %v, %v", done.Outcome, done.Problems, err)
		}
		if n := len(w.read(s.ID).Journey.Events); n != 2 {
			t.Errorf("%d events are kept, want 2", n)
		}
	})
}

// A reference is one line; what people write at length may have several.
func TestReferenceIsOneLine(t *testing.T) {
	w := newWorld(t, storagetest.SQLite(t).Store)
	facts := func(reference, description string) parcel.Registration {
		return parcel.Registration{Facts: parcel.Facts{Reference: reference, Goods: parcel.Goods{Description: description}, Destination: parcel.Place{Country: "RU"}}}
	}
	out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{facts("two\nlines", ""), facts("a\ttab", ""), facts("plain", "lamp\nblue")})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []parcel.WriteOutcome{parcel.WriteRefused, parcel.WriteRefused, parcel.WriteCreated} {
		if out[i].Outcome != want {
			t.Errorf("%d: %s %v, want %s", i, out[i].Outcome, out[i].Problems, want)
		}
	}
}
