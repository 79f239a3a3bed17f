package sim

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// fold gives the shipment of a consignment after the observations so far.
func fold(c *Consignment, told []TimedObservation) *parcel.Shipment {
	s := &parcel.Shipment{ID: c.Facts.Reference, Facts: c.Facts}
	rows := make([]parcel.Event, len(told))
	for i := range told {
		o := told[i].Observation
		rows[i] = parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest(), Source: parcel.SourceSimulator, ReceivedAt: told[i].ReceivedAt}
	}
	s.Journey = parcel.Fold(s, nil, rows)
	return s
}

func TestSharesAndEndsAddUp(t *testing.T) {
	total := 0.0
	for _, r := range Truths() {
		total += r.Share
		e := r.Ends
		if sum := e.Delivered + e.Lost + e.Returned + e.Disposed; math.Abs(sum-1) > 1e-12 || e.Delivered < .9 {
			t.Errorf("%s: ends %+v add up to %v", r.Route, e, sum)
		}
		days := map[Class][2]float64{ClassPostal: {40, 90}, ClassLine: {16, 35}, ClassWarehouse: {3, 10}}[r.Class]
		if low, high := r.Transit.Quantile(.05).Hours()/24, r.Transit.Quantile(.95).Hours()/24; low < days[0]-.1 || high > days[1]+.1 {
			t.Errorf("%s: nine in ten take %.1f to %.1f days, want within %v", r.Route, low, high, days)
		}
		if got, ok := TruthOf(r.Route); !ok || got.Route != r.Route {
			t.Errorf("TruthOf(%s) = %v, %v", r.Route, got.Route, ok)
		}
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("the shares add up to %v", total)
	}
}

func TestLogNormal(t *testing.T) {
	// Known answers for the postal lane: P(by 60, 75, 90 days) and P99.
	l := LogNormal{60 * day, .246505}
	for _, tt := range []struct{ days, want float64 }{{60, .5}, {75, .8173}, {90, .95}} {
		if got := l.CDF(time.Duration(tt.days * float64(day))); math.Abs(got-tt.want) > 2e-4 {
			t.Errorf("CDF(%v days) = %.4f, want %.4f", tt.days, got, tt.want)
		}
	}
	if got := l.Quantile(.99).Hours() / 24; math.Abs(got-106.46) > .05 {
		t.Errorf("P99 = %.2f days, want 106.46", got)
	}
	if got := l.Mean().Hours() / 24; math.Abs(got-61.85) > .01 {
		t.Errorf("mean = %.2f days, want 61.85", got)
	}
	var zero LogNormal
	if zero.Quantile(.9) != 0 || zero.CDF(1) != 1 || zero.CDF(0) != 0 {
		t.Error("the zero value is not always zero")
	}
}

// matured draws journeys of one route that are long over.
func matured(seed uint64, t *Truth, n int) []*parcel.Shipment {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shipments := make([]*parcel.Shipment, n)
	for i := range shipments {
		j := draw(seed, i, t, begin.Add(time.Duration(i)*time.Hour))
		c := j.consign(seed, "T", false)
		shipments[i] = fold(&c, j.observations())
	}
	return shipments
}

// observations are all that is ever told of a journey, as it is told.
func (j *journey) observations() []TimedObservation {
	out := make([]TimedObservation, len(j.scans))
	for k := range j.scans {
		j.observe(k, &out[k].Observation)
		out[k].ReceivedAt = j.scans[k].told
	}
	slices.SortStableFunc(out, func(a, b TimedObservation) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	return out
}

func TestJourneysFollowTruth(t *testing.T) {
	const n = 1000
	for _, truth := range Truths() {
		t.Run(truth.Route, func(t *testing.T) {
			shipments := matured(7, &truth, n)
			var transit []time.Duration
			ends := map[parcel.Outcome]int{}
			stages := map[parcel.Stage][]time.Duration{}
			for _, s := range shipments {
				j := &s.Journey
				ends[j.Outcome]++
				at := map[parcel.Milestone]time.Time{}
				for _, r := range j.Reached {
					if r.Event >= 0 {
						at[r.Milestone] = j.Events[r.Event].Occurred.At
					}
				}
				if j.Outcome == parcel.OutcomeDelivered && !at[parcel.MilestonePickedUp].IsZero() {
					transit = append(transit, at[parcel.MilestoneDelivered].Sub(at[parcel.MilestonePickedUp]))
				}
				if a, b := at[parcel.MilestoneOriginDeparted], at[parcel.MilestoneDestinationArrived]; !a.IsZero() && !b.IsZero() && a.Before(b) {
					stages[parcel.StageLinehaul] = append(stages[parcel.StageLinehaul], b.Sub(a))
				}
			}
			share := func(o parcel.Outcome) float64 { return float64(ends[o]) / n }
			// Five standard deviations of a share at n.
			within := func(p float64) float64 { return 5*math.Sqrt(p*(1-p)/n) + 1e-9 }
			for _, tt := range []struct {
				outcome parcel.Outcome
				want    float64
			}{
				{parcel.OutcomeDelivered, truth.Ends.Delivered}, {parcel.OutcomeReturned, truth.Ends.Returned},
				{parcel.OutcomeLost, truth.Ends.Lost * truth.LostReported}, {parcel.OutcomeDisposed, truth.Ends.Disposed},
			} {
				if got := share(tt.outcome); math.Abs(got-tt.want) > within(tt.want) {
					t.Errorf("%s: %.4f of %d, want %.4f", tt.outcome, got, n, tt.want)
				}
			}
			slices.Sort(transit)
			for _, p := range []float64{.1, .5, .9} {
				got, want := transit[int(p*float64(len(transit)))], truth.Transit.Quantile(p)
				// The calendar, and the spread of a quantile at n.
				slack := 12*time.Hour + want/25
				if (got - want).Abs() > slack {
					t.Errorf("transit P%.0f = %.2f days, want %.2f", p*100, got.Hours()/24, want.Hours()/24)
				}
			}
			if haul := stages[parcel.StageLinehaul]; len(truth.Stages) > 0 && len(haul) > n/2 {
				slices.Sort(haul)
				got, want := haul[len(haul)/2], truth.StageQuantile(parcel.StageLinehaul, .5)
				if (got - want).Abs() > 12*time.Hour+want/12 {
					t.Errorf("linehaul median %.2f days, want %.2f", got.Hours()/24, want.Hours()/24)
				}
			}
		})
	}
}

func TestShape(t *testing.T) {
	var legs, events, changes float64
	const n = 1000
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		j := draw(3, i, choose(3, i, nil), begin)
		changes += float64(changesBetween(j, begin, begin.Add(1000*day)))
		events += float64(len(j.scans))
		c := j.consign(3, "T", false)
		legs += float64(len(fold(&c, j.observations()).Journey.Legs))
	}
	t.Logf("%.1f legs, %.1f events, %.1f changes a shipment", legs/n, events/n, changes/n)
	if got := events / n; got < 10 || got > 16 {
		t.Errorf("%.1f events a shipment, want about a dozen", got)
	}
	if got := legs / n; got < 4 || got > 6 {
		t.Errorf("%.1f legs a shipment, want about 5", got)
	}
	if got := changes / n; got < changesPerShipment {
		t.Errorf("%.1f changes a shipment, SuggestedSpeed reckons with %d", got, changesPerShipment)
	}
}
