package resolvers_test

import (
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/graph"
)

func TestShipment(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 15)
	var got map[string]any
	w.get(v, `query($id: ID!) { shipment(id: $id) {
		id reference milestone headline { value locale } health custody { state leg { sequence carrier { code } } }
		legs { sequence stage state trackingNumber carrier { code } freshness { state served } }
		timeline(last: 2) { nodes { code label(locale: "de") { value locale } local { text offset timeZone certainty dateOnly } } count { value } pageInfo { hasPreviousPage } }
		handovers { from { sequence } to { sequence } gapHours numberChanged }
		exceptions { nodes { kind because { rule event { code } } } }
		milestones(set: SHOPPER) { milestone state }
		merchant { name supportUrl } visibility { completeness }
	} }`, map[string]any{"id": shipmentID(s)}, &got)
	t.Logf("%v", got)
}

func TestAnonymous(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 15)
	a := w.ask(graph.Viewer{}, `query($id: ID!) { shipment(id: $id) { id } node(id: $id) { id } }`, map[string]any{"id": shipmentID(s)})
	if got := strings.Join(a.codes(), " "); got != "UNAUTHENTICATED shipment" {
		t.Errorf("codes %q", got)
	}
}
