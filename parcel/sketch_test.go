package parcel_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/parcel"
)

// TestSketchQuantiles compares with the sorted list: within a tenth, however
// the durations are spread and however the sketch was merged.
func TestSketchQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.SliceOfN(rapid.IntRange(1, 1<<40), 1, 200).Draw(t, "ms")
		a, b := parcel.Sketch{}, parcel.Sketch{}
		for i, m := range ms {
			if i%2 == 0 {
				a.Add(time.Duration(m) * time.Millisecond)
			} else {
				b.Add(time.Duration(m) * time.Millisecond)
			}
		}
		a.Merge(b)
		if a.N() != len(ms) {
			t.Fatalf("%d counted of %d", a.N(), len(ms))
		}
		for _, q := range []float64{0.5, 0.95} {
			got, ok := a.Quantile(q)
			if !ok {
				t.Fatal("no quantile")
			}
			below, close := 0, false
			for _, m := range ms {
				d := time.Duration(m) * time.Millisecond
				if float64(d) <= float64(got)*1.1 {
					below++
				}
				close = close || float64(d) > float64(got)*0.9 && float64(d) < float64(got)*1.1
			}
			if float64(below) < q*float64(len(ms)) || !close {
				t.Fatalf("quantile %v of %v is %s", q, ms, got)
			}
		}
	})
	if _, ok := parcel.Sketch(nil).Quantile(0.5); ok {
		t.Error("nothing has a median")
	}
}
