package parcel_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/parcel"
)

func TestPassingDeltas(t *testing.T) {
	const cn, ru = parcel.Country("CN"), parcel.Country("RU")
	first := scan{hour: 0, code: parcel.CodePickedUp, carrier: "cainiao", number: "LP1", country: cn}
	leaves := scan{hour: 10, code: parcel.CodeOriginCountryDeparted, carrier: "cainiao", number: "LP1", country: cn}
	letGo := scan{hour: 100, code: parcel.CodeLastMileAccepted, carrier: "cainiao", number: "LP1", country: ru, next: "russian-post/RA1"}
	takenOn := scan{hour: 130.5, code: parcel.CodeDeliveryOfficeArrived, carrier: "russian-post", number: "RA1", country: ru}
	delivered := scan{hour: 150, code: parcel.CodeDelivered, carrier: "russian-post", number: "RA1", country: ru}
	damaged := scan{hour: 140, code: parcel.CodeDamaged, carrier: "russian-post", number: "RA1", country: ru}
	lost := scan{hour: 900, code: parcel.CodeLost, carrier: "cainiao", number: "LP1", country: ru}

	passing := func(set func(*parcel.PassingDelta)) parcel.PassingDelta {
		d := parcel.PassingDelta{N: 1, Renumbered: 1, PassingKey: parcel.PassingKey{
			MerchantID: "M", Lane: parcel.Lane{Origin: cn, Destination: ru}, FromStage: parcel.StageLastMile, FromCarrier: "cainiao",
			ToStage: parcel.StageLastMile, ToCarrier: "russian-post", Day: "2026-10-05",
		}}
		set(&d)
		return d
	}
	for _, tt := range []struct {
		name  string
		scans []scan
		want  func(*parcel.PassingDelta)
	}{
		{"open", []scan{first, leaves, letGo}, func(*parcel.PassingDelta) {}},
		{"accepted", []scan{first, leaves, letGo, takenOn, delivered}, func(d *parcel.PassingDelta) { d.End, d.Hours = parcel.PassingAccepted, 30 }},
		{"damaged after it", []scan{first, leaves, letGo, takenOn, damaged}, func(d *parcel.PassingDelta) { d.End, d.Hours, d.Damaged = parcel.PassingAccepted, 30, 1 }},
		{"vanished", []scan{first, leaves, letGo, lost}, func(d *parcel.PassingDelta) { d.End, d.Hours = parcel.PassingLost, 800 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := shipment(cn, ru)
			s.MerchantID = "M"
			s.Journey = parcel.Fold(s, nil, rowsOf(tt.scans))
			got := parcel.PassingDeltas(nil, s)
			if len(got) == 0 {
				t.Fatalf("no passing; handovers %+v of legs %+v", s.Journey.Handovers, s.Journey.Legs)
			}
			if diff := cmp.Diff(passing(tt.want), got[len(got)-1]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("taken on by the scan itself", func(t *testing.T) {
		accepted := scan{hour: 101, code: parcel.CodeLastMileAccepted, carrier: "russian-post", number: "RA1", country: ru}
		s := shipment(cn, ru)
		s.Journey = parcel.Fold(s, nil, rowsOf([]scan{first, leaves, accepted}))
		if h := s.Journey.Handovers; len(h) != 1 || h[0].Accepted < 0 {
			t.Errorf("handovers %+v, want the one that is over", h)
		}
	})
	t.Run("domestic and alone", func(t *testing.T) {
		s := shipment(cn, cn)
		s.Journey = parcel.Fold(s, nil, rowsOf([]scan{first}))
		if got := parcel.PassingDeltas(nil, s); len(got) != 0 {
			t.Errorf("%+v, want none", got)
		}
	})
}

// Whatever comes in whichever order, the counters add up to what the last state
// alone contributes: a correction is an exact decrement.
func TestPassingDeltasAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawShipment(t)
		s.MerchantID = "M"
		sum := map[parcel.PassingKey][4]int{}
		add := func(deltas []parcel.PassingDelta, sign int) {
			for _, d := range deltas {
				c := sum[d.PassingKey]
				for i, n := range [4]int{d.N, d.Renumbered, d.Unseen, d.Damaged} {
					c[i] += sign * n
				}
				if sum[d.PassingKey] = c; c == [4]int{} {
					delete(sum, d.PassingKey)
				}
			}
		}
		var before *parcel.Shipment
		for _, row := range drawRows(t) {
			now := *s
			var prior *parcel.Journey
			if before != nil {
				prior = &before.Journey
			}
			now.Journey = parcel.Fold(&now, prior, []parcel.Event{row})
			add(parcel.PassingDeltas(before, &now), 1)
			before = &now
		}
		add(parcel.PassingDeltas(nil, before), -1)
		if len(sum) != 0 {
			t.Fatalf("left over: %v", sum)
		}
	})
}
