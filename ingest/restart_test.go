package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// TestFinishedIsAskedAgainOnRequest: a parcel that is no longer looked at is
// asked for when somebody asks; without news that is all, and with news it is
// looked at daily for the grace time again, however old the news itself is.
func TestFinishedIsAskedAgainOnRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		news []parcel.Observation
	}{
		{"nothing new", nil},
		{"a return that began weeks after delivery", []parcel.Observation{observed("zed", "DONE1", parcel.CodeReturned, day(0))}},
		{"an old scan that was never told", []parcel.Observation{observed("zed", "DONE1", parcel.CodeOutForDelivery, day(-31))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, w *world) {
				told := []parcel.Observation{observed("zed", "DONE1", parcel.CodePickedUp, day(-40)), observed("zed", "DONE1", parcel.CodeDelivered, day(-30))}
				zed := &scripted{answer: func(context.Context, string) (parcel.Reading, error) { return parcel.Reading{Observations: told}, nil }}
				w.serve(zed.account("zed"))
				w.enrol("r", leg("zed", "DONE1"))
				w.refresh("zed", "DONE1")
				if tr := w.asking("zed", "DONE1"); !tr.NextAt.IsZero() || tr.Finding != parcel.FindingFound {
					t.Fatalf("a history that ended long ago goes on being asked for: %+v", tr)
				}
				w.trade.Advance(10 * 24 * time.Hour)
				told = append(told, c.news...)
				got, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: "zed", Number: "DONE1"}}, Force: true, Wait: 20 * time.Second})
				if err != nil || got[0].Served != parcel.ServedOwnCall || !got[0].Tracking.HeardAt.Equal(w.trade.Now()) {
					t.Fatalf("asked again: %+v %v", got, err)
				}
				if len(c.news) == 0 {
					if !got[0].Tracking.NextAt.IsZero() {
						t.Errorf("without news it is asked for again at %s", got[0].Tracking.NextAt)
					}
					return
				}
				// Daily for three days, then no more.
				for range 3 {
					next := w.asking("zed", "DONE1").NextAt
					if !next.Equal(w.trade.Now().Add(24 * time.Hour)) {
						t.Fatalf("the next look is at %s, want a day after %s", next, w.trade.Now())
					}
					w.trade.Advance(24 * time.Hour)
					w.refresh("zed", "DONE1")
				}
				if next := w.asking("zed", "DONE1").NextAt; !next.IsZero() {
					t.Errorf("after the grace the next look is at %s", next)
				}
			})
		})
	}
}
