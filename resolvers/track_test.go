package resolvers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// However often others register a parcel's number, those who know its postcode
// find it, and so does its merchant.
func TestACrowdHidesNoParcel(t *testing.T) {
	w := newWorld(t)
	shop, s := w.owner(false)
	for i := range 12 {
		v := w.merchant(fmt.Sprintf("crowd %d", i))
		w.put(v, 20+i, 3, func(p *storagetest.Parcel) {
			p.Numbers = append(p.Numbers, parcel.NumberKey{Carrier: "upu-postal", Number: "MNUMBERONE"})
		})
	}
	want := func(proof string) string {
		return fmt.Sprintf(`{"track": {"proof": %q, "shipment": {"id": %q}}}`, proof, shipmentID(s))
	}
	const fields = `{ ... on TrackFound { proof shipment { id } } }`
	w.want(graph.Viewer{}, `{ track(number: "MNUMBERONE", postcode: "M postcode") `+fields+` }`, nil, want("POSTCODE"))
	w.want(shop, `{ track(number: "MNUMBERONE") `+fields+` }`, nil, want("OWNER"))
	w.want(graph.Viewer{}, `{ track(number: "MNUMBERONE") { __typename } }`, nil, `{"track": {"__typename": "TrackNothing"}}`)
}

// A number that is right as typed is not told that it may be another.
func TestNoHintWithoutNeed(t *testing.T) {
	w := newWorld(t)
	for number, want := range map[string]string{
		"LZ741203656CN": `[]`,
		"LZ741203657CN": `[{"kind": "CHECK_DIGIT", "suggestion": null}]`,
		"LZ74I2O3656CN": `[{"kind": "LOOK_ALIKE", "suggestion": "LZ741203656CN"}, {"kind": "PATTERN", "suggestion": null}]`,
		"AB10":          `[{"kind": "PATTERN", "suggestion": null}]`,
	} {
		w.want(graph.Viewer{}, `query($n: String!) { track(number: $n) { ... on TrackNothing { hints { kind suggestion } } } }`,
			map[string]any{"n": number}, `{"track": {"hints": `+want+`}}`)
	}
}

// Finding nothing takes as long for a number that somebody registered as for
// one that nobody did.
func TestNothingTakesItsTime(t *testing.T) {
	w := newWorld(t)
	w.owner(false)
	for _, query := range []string{
		`{ track(number: "MNUMBERONE", postcode: "wrong") { __typename } }`,
		`{ track(number: "MNUMBERONE") { __typename } }`,
		`{ track(number: "MNUMBERNIL", postcode: "wrong") { __typename } }`,
	} {
		began := clock.Wall().Now()
		w.want(graph.Viewer{}, query, nil, `{"track": {"__typename": "TrackNothing"}}`)
		if took := clock.Wall().Now().Sub(began); took < 10*time.Millisecond {
			t.Errorf("%s took %s, want at least 10ms", query, took)
		}
	}
}
