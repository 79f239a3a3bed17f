package resolvers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

func TestShipment(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16)
	w.want(v, `query($id: ID!) { shipment(id: $id) {
		id reference order { reference } tags lane { code } milestone headline(locale: "pt-PT") { value locale direction } outcome health
		custody { state leg { sequence carrier { code } } }
		legs { sequence stage state trackingNumber carrier { code name } carrierPage freshness { state served } }
		currentLeg { stage }
		timeline(last: 1) { nodes { code label(locale: "de") { value } proves place { country city facility } local { text clock date dateOnly offset timeZone certainty } mapping { known } } count { value exact } pageInfo { hasPreviousPage hasNextPage } }
		handovers(first: 1) { from { sequence } to { sequence } numberChanged because { rule } }
		exceptions { nodes { kind severity closure because { rule event { code } } } }
		milestones(set: SHOPPER) { milestone state }
		promise { first { by source } versions { by } }
		merchant { name supportUrl } visibility { completeness } statusIn(vocabulary: SHOPIFY)
		because(of: MILESTONE) { rule event { code } } outcomeReason: because(of: OUTCOME) { rule }
	} }`, map[string]any{"id": shipmentID(s)}, fmt.Sprintf(`{"shipment": {
		"id": %q, "reference": "R-000001", "order": {"reference": "O-00000"}, "tags": ["batch-1"], "lane": {"code": "CN-BR"},
		"milestone": "DESTINATION_ARRIVED", "headline": {"value": "Chegou ao país de destino", "locale": "pt-BR", "direction": "LTR"},
		"outcome": null, "health": "STALE", "custody": {"state": "WITH_CUSTOMS", "leg": {"sequence": 4, "carrier": {"code": "upu-postal"}}},
		"legs": [
			{"sequence": 1, "stage": "WAREHOUSE", "state": "DONE", "trackingNumber": "LX000000001CN", "carrier": {"code": "cainiao", "name": "Cainiao"}, "carrierPage": null, "freshness": {"state": "FINAL", "served": "STORE"}},
			{"sequence": 2, "stage": "FIRST_MILE", "state": "DONE", "trackingNumber": "LX000000001CN", "carrier": null, "carrierPage": null, "freshness": {"state": "FINAL", "served": "STORE"}},
			{"sequence": 3, "stage": "LINEHAUL", "state": "DONE", "trackingNumber": "LX000000001CN", "carrier": {"code": "upu-postal", "name": "UPU postal network"}, "carrierPage": null, "freshness": {"state": "FINAL", "served": "STORE"}},
			{"sequence": 4, "stage": "CUSTOMS", "state": "ACTIVE", "trackingNumber": "LX000000001CN", "carrier": {"code": "upu-postal", "name": "UPU postal network"}, "carrierPage": null, "freshness": {"state": "NEVER", "served": "STORE"}},
			{"sequence": 5, "stage": "LAST_MILE", "state": "PLANNED", "trackingNumber": "BR00000000001", "carrier": {"code": "correios", "name": "Correios"}, "carrierPage": "https://rastreamento.example/?n=BR00000000001", "freshness": {"state": "NEVER", "served": "STORE"}}
		],
		"currentLeg": {"stage": "CUSTOMS"},
		"timeline": {
			"nodes": [{"code": "IMPORT_CUSTOMS_HELD", "label": {"value": "Vom Zoll angehalten"}, "proves": "DESTINATION_ARRIVED",
				"place": {"country": "BR", "city": "Guangzhou", "facility": "CNCANA"},
				"local": {"text": "2026-09-26T00:56:00-03:00", "clock": "2026-09-26T00:56:00", "date": "2026-09-26", "dateOnly": false, "offset": "-03:00", "timeZone": "America/Sao_Paulo", "certainty": "REPORTED"},
				"mapping": {"known": true}}],
			"count": {"value": 16, "exact": true}, "pageInfo": {"hasPreviousPage": true, "hasNextPage": false}
		},
		"handovers": [{"from": {"sequence": 1}, "to": {"sequence": 2}, "numberChanged": false, "because": {"rule": "handover.until_accepted"}}],
		"exceptions": {"nodes": [{"kind": "CUSTOMS_HELD", "severity": "ABNORMAL", "closure": null, "because": {"rule": "exception.event", "event": {"code": "IMPORT_CUSTOMS_HELD"}}}]},
		"milestones": [
			{"milestone": "PICKED_UP", "state": "REACHED"}, {"milestone": "ORIGIN_DEPARTED", "state": "CURRENT"},
			{"milestone": "CUSTOMS_CLEARED", "state": "AHEAD"}, {"milestone": "LAST_MILE", "state": "AHEAD"}, {"milestone": "DELIVERED", "state": "AHEAD"}
		],
		"promise": {"first": {"by": "2026-10-11", "source": "MERCHANT"}, "versions": [{"by": "2026-10-11"}]},
		"merchant": {"name": "lantern", "supportUrl": "https://lantern.example/help"}, "visibility": {"completeness": 1}, "statusIn": "DELAYED",
		"because": {"rule": "milestone.highest", "event": {"code": "DESTINATION_COUNTRY_ARRIVED"}}, "outcomeReason": null
	}}`, shipmentID(s)))
}

func TestShipmentNamed(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 3)
	for _, c := range []struct{ name, args, code string }{
		{"by id", fmt.Sprintf("id: %q", shipmentID(s)), ""},
		{"by reference", `reference: "R-000001"`, ""},
		{"unknown reference", `reference: "nobody's"`, "none"},
		{"both", fmt.Sprintf(`id: %q, reference: "R-000001"`, shipmentID(s)), "INVALID_INPUT"},
		{"neither", "asOf: null", "INVALID_INPUT"},
		{"id of another type", fmt.Sprintf("id: %q", graph.MakeID(graph.TypeCarrier, "correios")), "INVALID_INPUT"},
		{"no id at all", `id: "!"`, "INVALID_INPUT"},
		{"reference too long", fmt.Sprintf("reference: %q", strings.Repeat("x", 129)), "INVALID_INPUT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.ask(v, "{ shipment("+c.args+") { reference } }", nil)
			switch {
			case c.code == "" && string(a.Data) != `{"shipment":{"reference":"R-000001"}}`,
				c.code != "" && string(a.Data) != `{"shipment":null}`,
				c.code == "none" && len(a.Errors) > 0,
				strings.HasPrefix(c.code, "INVALID") && (len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != c.code || a.Errors[0].Path.String() != "shipment"):
				t.Errorf("%s %v", a.Data, a.Errors)
			}
		})
	}
}

func TestTimelinePages(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16, withRetraction)
	type page struct {
		Shipment struct {
			Timeline struct {
				Edges []struct {
					Cursor string
					Node   struct{ ID, Code string }
				}
				PageInfo struct {
					HasNextPage, HasPreviousPage bool
					StartCursor, EndCursor       *string
				}
				Count struct{ Value int }
			}
		}
	}
	read := func(args string) (codes []string, p page) {
		t.Helper()
		w.get(v, fmt.Sprintf(`{ shipment(id: %q) { timeline%s { edges { cursor node { id code } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } count { value } } } }`, shipmentID(s), args), nil, &p)
		for _, e := range p.Shipment.Timeline.Edges {
			codes = append(codes, e.Node.Code)
		}
		return codes, p
	}
	all, p := read("(first: 100)")
	if p.Shipment.Timeline.Count.Value != 15 || len(all) != 15 {
		t.Fatalf("%d of %d events; the retracted one is left out", len(all), p.Shipment.Timeline.Count.Value)
	}
	withIt, _ := read("(first: 100, includeRetracted: true)")
	if len(withIt) != 16 {
		t.Errorf("%d events with the retracted one", len(withIt))
	}
	backwards, _ := read("(first: 100, order: DESC)")
	slices.Reverse(backwards)
	if diff := cmp.Diff(all, backwards); diff != "" {
		t.Errorf("DESC (-want +got):\n%s", diff)
	}
	for _, order := range []string{"ASC", "DESC"} {
		want := slices.Clone(all)
		if order == "DESC" {
			slices.Reverse(want)
		}
		var forward, back []string
		after := ""
		for {
			codes, p := read(fmt.Sprintf("(order: %s, first: 4%s)", order, after))
			forward = append(forward, codes...)
			info := p.Shipment.Timeline.PageInfo
			if !info.HasNextPage {
				break
			}
			after = fmt.Sprintf(", after: %q", *info.EndCursor)
		}
		before := ""
		for {
			codes, p := read(fmt.Sprintf("(order: %s, last: 4%s)", order, before))
			back = append(codes, back...)
			info := p.Shipment.Timeline.PageInfo
			if !info.HasPreviousPage {
				break
			}
			before = fmt.Sprintf(", before: %q", *info.StartCursor)
		}
		if diff := cmp.Diff(want, forward); diff != "" {
			t.Errorf("%s forward (-want +got):\n%s", order, diff)
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("%s backward (-want +got):\n%s", order, diff)
		}
	}
	customs, _ := read("(stages: [CUSTOMS])")
	if diff := cmp.Diff([]string{"DESTINATION_COUNTRY_ARRIVED", "IMPORT_CUSTOMS_PRESENTED", "IMPORT_CUSTOMS_HELD"}[1:], customs); diff != "" {
		t.Errorf("one stage (-want +got):\n%s", diff)
	}
	for _, c := range []struct{ name, args, input string }{
		{"a cursor of nothing", `(after: "x")`, "[after]"},
		{"a change cursor", fmt.Sprintf("(after: %q)", w.changeCursor(v, s)), "[after]"},
		{"first and last", "(first: 1, last: 1)", "[last]"},
		{"too many", "(first: 101)", "[first]"},
		{"fewer than none", "(last: -1)", "[last]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.ask(v, fmt.Sprintf(`{ shipment(id: %q) { reference timeline%s { count { value } } } }`, shipmentID(s), c.args), nil)
			if string(a.Data) != `{"shipment":{"reference":"R-000001","timeline":null}}` || len(a.Errors) != 1 ||
				a.Errors[0].Extensions["code"] != "INVALID_INPUT" || fmt.Sprint(a.Errors[0].Extensions["input"]) != c.input || a.Errors[0].Path.String() != "shipment.timeline" {
				t.Errorf("%s %v %v", a.Data, a.Errors, a.Errors[0].Extensions)
			}
		})
	}
}

func (w *world) changeCursor(v graph.Viewer, s *parcel.Shipment) string {
	w.t.Helper()
	var got struct{ Shipment struct{ ChangeCursor string } }
	w.get(v, fmt.Sprintf("{ shipment(id: %q) { changeCursor } }", shipmentID(s)), nil, &got)
	return got.Shipment.ChangeCursor
}

type references struct {
	Shipments struct {
		Nodes    []struct{ Reference string }
		PageInfo struct {
			HasNextPage, HasPreviousPage bool
			StartCursor, EndCursor       *string
		}
		Count struct {
			Value int
			Exact bool
		}
	}
}

func (w *world) references(v graph.Viewer, args string) ([]string, references) {
	w.t.Helper()
	var got references
	w.get(v, "{ shipments("+args+") { nodes { reference } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } count { value exact } } }", nil, &got)
	out := []string{}
	for _, n := range got.Shipments.Nodes {
		out = append(out, n.Reference)
	}
	return out, got
}

func TestShipmentsPages(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	for n := range 7 {
		w.put(v, n, (n*5)%23)
	}
	for _, field := range []string{"REGISTERED_AT", "UPDATED_AT", "LAST_EVENT_AT", "PROMISED_FOR"} {
		for _, direction := range []string{"ASC", "DESC"} {
			t.Run(field+" "+direction, func(t *testing.T) {
				order := fmt.Sprintf("orderBy: { field: %s, direction: %s }", field, direction)
				want, p := w.references(v, order+", first: 100")
				if len(want) != 7 || p.Shipments.Count.Value != 7 || !p.Shipments.Count.Exact || p.Shipments.PageInfo.HasNextPage {
					t.Fatalf("%v %+v", want, p)
				}
				var forward, back []string
				for after := ""; ; {
					got, p := w.references(v, order+", first: 3"+after)
					forward = append(forward, got...)
					if !p.Shipments.PageInfo.HasNextPage {
						break
					}
					after = fmt.Sprintf(", after: %q", *p.Shipments.PageInfo.EndCursor)
				}
				for before := ""; ; {
					got, p := w.references(v, order+", last: 3"+before)
					back = append(got, back...)
					if !p.Shipments.PageInfo.HasPreviousPage {
						break
					}
					before = fmt.Sprintf(", before: %q", *p.Shipments.PageInfo.StartCursor)
				}
				if diff := cmp.Diff(want, forward); diff != "" {
					t.Errorf("forward (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, back); diff != "" {
					t.Errorf("backward (-want +got):\n%s", diff)
				}
			})
		}
	}
	_, p := w.references(v, "first: 1")
	a := w.ask(v, fmt.Sprintf("{ shipments(after: %q, orderBy: { field: PROMISED_FOR }) { nodes { id } } }", *p.Shipments.PageInfo.EndCursor), nil)
	if got := a.codes(); !slices.Equal(got, []string{"INVALID_INPUT shipments"}) {
		t.Errorf("a cursor of another order: %v", got)
	}
	if got, p := w.references(v, "first: 0"); len(got) != 0 || p.Shipments.Count.Value != 7 {
		t.Errorf("first: 0 gives %v of %d", got, p.Shipments.Count.Value)
	}
}

func TestShipmentsFilter(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	w.put(v, 1, 0)
	held := w.put(v, 2, 16)
	w.put(v, 3, 22)
	w.put(v, 4, 21)
	for _, c := range []struct {
		name, filter string
		want         []string
	}{
		{"none", "", []string{"R-000001", "R-000002", "R-000003", "R-000004"}},
		{"open", "open: true", []string{"R-000001", "R-000002", "R-000004"}},
		{"ended", "open: false", []string{"R-000003"}},
		{"outcome", "outcomes: [DELIVERED, LOST]", []string{"R-000003"}},
		{"milestones", "milestones: [DESTINATION_ARRIVED]", []string{"R-000002"}},
		{"any open exception", "openExceptions: []", []string{"R-000002", "R-000004"}},
		{"open exception of a kind", "openExceptions: [CUSTOMS_HELD]", []string{"R-000002"}},
		{"id", fmt.Sprintf("ids: [%q]", shipmentID(held)), []string{"R-000002"}},
		{"no id", "ids: []", []string{}},
		{"reference", `references: ["R-000004", "R-000404"]`, []string{"R-000004"}},
		{"order", `orders: ["O-00001"]`, []string{"R-000002", "R-000003"}},
		{"number, as typed", `trackingNumbers: [" lx-000000004 cn"]`, []string{"R-000004"}},
		{"search", `search: "R-00000"`, []string{"R-000001", "R-000002", "R-000003", "R-000004"}},
		{"tag", `tags: ["batch-2"]`, []string{"R-000002"}},
		{"lane", `lanes: [{ origin: "CN", destination: "BR" }], milestones: [DELIVERED]`, []string{"R-000003"}},
		{"another lane", `lanes: [{ destination: "RU" }]`, []string{}},
		{"destination", `destinations: ["BR"], open: false`, []string{"R-000003"}},
		{"carrier", `carriers: ["correios"], milestones: [DELIVERED]`, []string{"R-000003"}},
		{"no carrier", "carriers: []", []string{}},
		{"route of the merchant", fmt.Sprintf("routes: [%q], open: false", graph.MakeID(graph.TypeRoute, v.MerchantID+".CN-BR-ECO")), []string{"R-000003"}},
		{"route of another", fmt.Sprintf("routes: [%q]", graph.MakeID(graph.TypeRoute, "SOMEBODY.CN-BR-ECO")), []string{}},
		{"goods", "goods: [BATTERY], open: false", []string{"R-000003"}},
		{"promised", `promisedFor: { to: "2026-10-11" }`, []string{"R-000001", "R-000002", "R-000003", "R-000004"}},
		{"silent", "silentHoursAtLeast: 1000", []string{"R-000001", "R-000002", "R-000004"}},
		{"registered", `registered: { from: "2026-09-01T10:30:00Z", to: "2026-09-01T11:30:00Z" }`, []string{"R-000003"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := w.references(v, "filter: { "+c.filter+" }")
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	a := w.ask(v, `{ shipments(filter: { ids: ["VGhpbmc6MQ"] }) { nodes { id } } }`, nil)
	if len(a.Errors) != 1 || fmt.Sprint(a.Errors[0].Extensions["input"]) != "[filter ids 0]" {
		t.Errorf("an id of another type: %v", a.Errors)
	}
}

func TestTrack(t *testing.T) {
	w := newWorld(t)
	lantern, kite := w.merchant("lantern"), w.merchant("kite")
	public := func(v graph.Viewer) {
		if err := w.store.UpdateMerchant(t.Context(), storage.Merchant{ID: v.MerchantID, Name: v.KeyID, DefaultLocale: "ru", TrackPublic: true}); err != nil {
			t.Fatal(err)
		}
	}
	public(lantern)
	s := w.put(lantern, 1, 16)
	elsewhere := func(postcode, carrier string) func(*storagetest.Parcel) {
		return func(p *storagetest.Parcel) {
			p.Shipment.Destination.Postcode = postcode
			for i := range p.Shipment.Legs {
				p.Shipment.Legs[i].Number, p.Shipment.Legs[i].Carrier = "SHARED0001", carrier
			}
			for i := range p.Events {
				p.Events[i].Number, p.Events[i].Carrier = "SHARED0001", carrier
				p.Events[i].EventKey = p.Events[i].Observation.Key()
			}
			p.Numbers = []parcel.NumberKey{{Carrier: carrier, Number: "SHARED0001"}}
		}
	}
	w.put(lantern, 7, 3, elsewhere("111", "upu-postal"))
	w.put(lantern, 8, 3, elsewhere("222", "correios"))
	w.put(kite, 9, 3)

	const query = `query($n: String!, $c: String, $p: String) { track(number: $n, carrier: $c, postcode: $p) {
		__typename
		... on TrackFound { proof shipment { id headline { locale } destination { city postcode } legs { trackingNumber } } }
		... on TrackChoice { postcodeDecides candidates { code carrier { name } rule } }
		... on TrackNothing { hints { kind suggestion text { value locale } } }
	} }`
	nobody := graph.Viewer{}
	type vars = map[string]any
	masked := fmt.Sprintf(`{"track": {"__typename": "TrackFound", "proof": "NUMBER", "shipment": {"id": %q, "headline": {"locale": "ru"}, "destination": {"city": "São Paulo", "postcode": null},
		"legs": [{"trackingNumber": "LX000000001CN"}, {"trackingNumber": "LX000000001CN"}, {"trackingNumber": "LX000000001CN"}, {"trackingNumber": "LX000000001CN"}, {"trackingNumber": null}]}}}`, shipmentID(s))
	open := strings.ReplaceAll(strings.ReplaceAll(masked, `"postcode": null`, `"postcode": "01310-100"`), `{"trackingNumber": null}`, `{"trackingNumber": "BR00000000001"}`)
	nothing := `{"track": {"__typename": "TrackNothing", "hints": [%s]}}`
	pattern := `{"kind": "PATTERN", "suggestion": null, "text": {"value": "This does not look like a number we know", "locale": "en"}}`
	both := `[{"code": "correios", "carrier": {"name": "Correios"}, "rule": "registered"}, {"code": "upu-postal", "carrier": {"name": "UPU postal network"}, "rule": "registered"}]`
	for _, c := range []struct {
		name   string
		viewer graph.Viewer
		vars   vars
		want   string
	}{
		{"number alone, where the merchant allows it", nobody, vars{"n": "lx 000000001 cn"}, masked},
		{"with the postcode", nobody, vars{"n": "LX000000001CN", "p": "01310100"}, strings.Replace(open, "NUMBER\"", "POSTCODE\"", 1)},
		{"with a wrong postcode", nobody, vars{"n": "LX000000001CN", "p": "99999"}, fmt.Sprintf(nothing,
			`{"kind": "CHECK_DIGIT", "suggestion": null, "text": {"value": "The check digit does not fit: please compare the number", "locale": "en"}}`)},
		{"another merchant's key is a shopper", kite, vars{"n": "LX000000001CN"}, masked},
		{"its own merchant", lantern, vars{"n": "LX000000001CN"}, strings.Replace(open, "NUMBER\"", "OWNER\"", 1)},
		{"number alone, where the merchant does not allow it", nobody, vars{"n": "BR00000000009"}, fmt.Sprintf(nothing, pattern)},
		{"unknown", nobody, vars{"n": "BR00000000077"}, fmt.Sprintf(nothing, pattern)},
		{"letter O for a digit", nobody, vars{"n": "LXOOOOOOOO1CN"}, fmt.Sprintf(nothing,
			`{"kind": "LOOK_ALIKE", "suggestion": "LX000000001CN", "text": {"value": "Letters and digits that look alike may be mixed up", "locale": "en"}}, `+pattern)},
		{"several parcels", nobody, vars{"n": "SHARED0001"}, `{"track": {"__typename": "TrackChoice", "postcodeDecides": true, "candidates": ` + both + `}}`},
	} {
		t.Run(c.name, func(t *testing.T) { w.want(c.viewer, query, c.vars, c.want) })
	}
	for name, v := range map[string]vars{"the postcode decides": {"n": "SHARED0001", "p": "222"}, "the carrier decides": {"n": "SHARED0001", "c": "correios"}} {
		t.Run(name, func(t *testing.T) {
			var got struct {
				Track struct {
					Shipment struct {
						Legs []struct{ Carrier struct{ Code string } }
					}
				}
			}
			w.get(nobody, `query($n: String!, $c: String, $p: String) { track(number: $n, carrier: $c, postcode: $p) { ... on TrackFound { shipment { legs { carrier { code } } } } } }`, v, &got)
			if legs := got.Track.Shipment.Legs; len(legs) == 0 || legs[0].Carrier.Code != "correios" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestNodes(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16)
	event, leg := graph.MakeID(graph.TypeEvent, s.Journey.Events[3].ID), graph.MakeID(graph.TypeLeg, s.ID+"."+s.Journey.Legs[2].Key)
	ids := []string{event, "nothing", shipmentID(s), graph.MakeID(graph.TypeCarrier, "correios"), leg, graph.MakeID(graph.TypeLeg, s.ID+".NOSUCH"),
		graph.MakeID(graph.TypeException, s.ID+"."+s.Journey.Exceptions[0].Key), graph.MakeID(graph.TypeMerchant, v.MerchantID), event, graph.MakeID("Planet", "earth")}
	w.want(v, `query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on TrackingEvent { code } ... on Leg { sequence } } }`, map[string]any{"ids": anySlice(ids)}, fmt.Sprintf(`{"nodes": [
		{"__typename": "TrackingEvent", "id": %q, "code": "WAREHOUSE_PACKED"}, null, {"__typename": "Shipment", "id": %q}, {"__typename": "Carrier", "id": %q},
		{"__typename": "Leg", "id": %q, "sequence": 3}, null, {"__typename": "ShipmentException", "id": %q}, {"__typename": "Merchant", "id": %q},
		{"__typename": "TrackingEvent", "id": %q, "code": "WAREHOUSE_PACKED"}, null]}`, ids[0], ids[2], ids[3], ids[4], ids[6], ids[7], ids[8]))
	w.want(v, fmt.Sprintf(`{ a: node(id: %q) { id } b: node(id: "x") { id } c: node(id: %q) { id } }`, event, leg), nil, fmt.Sprintf(`{"a": {"id": %q}, "b": null, "c": {"id": %q}}`, event, leg))

	// One that no database takes does not fail the good ones beside it.
	w.want(v, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": []any{ids[2], graph.MakeID(graph.TypeShipment, "\x00"), graph.MakeID(graph.TypeEvent, "\xff")}}, fmt.Sprintf(`{"nodes": [{"id": %q}, null, null]}`, ids[2]))
	a := w.ask(v, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": anySlice(slices.Repeat([]string{"x"}, 101))})
	if len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != "INVALID_INPUT" {
		t.Errorf("101 ids: %v", a.Errors)
	}
}

// What databases refuse in a text is told to the one who sent it.
func TestControlCharacters(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	for _, query := range []string{
		`{ track(number: "BR100\u0000") { __typename } }`,
		`{ track(number: "BR1000", carrier: "a\u0000") { __typename } }`,
		`{ track(number: "BR1000", postcode: "\u0000") { __typename } }`,
		`{ shipment(reference: "\u0000") { id } }`,
		`{ shipments(filter: { references: ["a", "\u0000"] }) { nodes { id } } }`,
		`{ shipments(filter: { search: "abc\u0000" }) { nodes { id } } }`,
		`{ carrierScores(groupBy: [], filter: { carriers: ["\u0000"] }) { nodes { n } } }`,
		`{ routes(filter: { carriers: ["\u0000"] }) { nodes { id } } }`,
	} {
		t.Run(query, func(t *testing.T) {
			if a := w.ask(v, query, nil); len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != "INVALID_INPUT" || a.Errors[0].Extensions["fault"] != "MALFORMED" {
				t.Errorf("%s %v", a.Data, a.Errors)
			}
		})
	}
}

func anySlice(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}

func TestAsOf(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16, withRetraction)
	at := func(i int) string { return s.Journey.Events[i].ReceivedAt.Format(time.RFC3339) }
	ask := func(asOf string) string {
		a := w.ask(v, fmt.Sprintf(`{ shipment(id: %q, asOf: %q) { milestone asOf timeline(first: 100) { count { value } } freshness { state } } }`, shipmentID(s), asOf), nil)
		if len(a.Errors) > 0 {
			t.Fatal(a.Errors)
		}
		return string(a.Data)
	}
	for _, c := range []struct{ name, asOf, want string }{
		{"before it was registered", "2026-08-01T00:00:00Z", `{"shipment":null}`},
		{"with two events", at(1), `{"shipment":{"milestone":"REGISTERED","asOf":"` + at(1) + `","timeline":{"count":{"value":2}},"freshness":{"state":"FINAL"}}}`},
		{"before the retraction", at(2), `{"shipment":{"milestone":"REGISTERED","asOf":"` + at(2) + `","timeline":{"count":{"value":3}},"freshness":{"state":"FINAL"}}}`},
		{"after the retraction", at(3), `{"shipment":{"milestone":"REGISTERED","asOf":"` + at(3) + `","timeline":{"count":{"value":3}},"freshness":{"state":"FINAL"}}}`},
		{"abroad", at(13), `{"shipment":{"milestone":"DESTINATION_ARRIVED","asOf":"` + at(13) + `","timeline":{"count":{"value":13}},"freshness":{"state":"FINAL"}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ask(c.asOf); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestLocale(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 22)
	for _, c := range []struct{ name, request, argument, want string }{
		{"nothing asked", "", "", "Delivered en"},
		{"the request's", "ru-RU", "", "Доставлено ru"},
		{"the field's before the request's", "ru", `(locale: "es-MX")`, "Entregado es"},
		{"nearest known", "zh-Hant-HK", "", "已送达 zh-Hans"},
	} {
		t.Run(c.name, func(t *testing.T) {
			viewer := v
			viewer.Locale = c.request
			var got struct {
				Shipment struct {
					Headline struct{ Value, Locale string }
				}
			}
			w.get(viewer, fmt.Sprintf(`{ shipment(id: %q) { headline%s { value locale } } }`, shipmentID(s), c.argument), nil, &got)
			if h := got.Shipment.Headline; h.Value+" "+h.Locale != c.want {
				t.Errorf("%+v, want %s", h, c.want)
			}
		})
	}
}

func TestCarriers(t *testing.T) {
	w := newWorld(t)
	w.want(graph.Viewer{}, `{ carriers(filter: { stages: [LAST_MILE] }) { nodes { code name country stages capabilities serviceLevels { code serviceClass statedDays deliveryObservable } trackingPage(number: "A&B1") } count { value } }
		carrier(code: "upu-postal") { id country trackingPage(number: "1234") } none: carrier(code: "nobody") { id } }`, nil, fmt.Sprintf(`{
		"carriers": {"nodes": [{"code": "correios", "name": "Correios", "country": "BR", "stages": ["LAST_MILE"], "capabilities": [], "serviceLevels": [{"code": "SEDEX", "serviceClass": "EXPRESS", "statedDays": 3, "deliveryObservable": true}],
			"trackingPage": "https://rastreamento.example/?n=A%%26B1"}], "count": {"value": 1}},
		"carrier": {"id": %q, "country": null, "trackingPage": null}, "none": null}`, graph.MakeID(graph.TypeCarrier, "upu-postal")))
	var got struct {
		Carriers struct {
			Nodes    []struct{ Code string }
			PageInfo struct {
				HasNextPage bool
				EndCursor   string
			}
		}
	}
	var all []string
	for after := ""; ; {
		w.get(graph.Viewer{}, "{ carriers(first: 2"+after+") { nodes { code } pageInfo { hasNextPage endCursor } } }", nil, &got)
		for _, n := range got.Carriers.Nodes {
			all = append(all, n.Code)
		}
		if !got.Carriers.PageInfo.HasNextPage {
			break
		}
		after = fmt.Sprintf(", after: %q", got.Carriers.PageInfo.EndCursor)
	}
	if diff := cmp.Diff([]string{"cainiao", "correios", "upu-postal"}, all); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	w.want(graph.Viewer{}, `{ identify(number: "lx 00000000 1 cn", first: 1) { code carrier { name } confidence rule checkDigitValid } none: identify(number: "ABCDE") { code } }`, nil,
		`{"identify": [{"code": "upu-postal", "carrier": {"name": "UPU postal network"}, "confidence": 0.8, "rule": "s10.network", "checkDigitValid": false}], "none": []}`)
	w.want(graph.Viewer{}, `{ identify(number: "LX000000001CN", origin: "CN", destination: "BR") { code needs country fit } }`, nil,
		`{"identify": [{"code": "upu-postal", "needs": [], "country": "CN", "fit": null}, {"code": "china-post", "needs": ["POSTCODE", "PHONE"], "country": null, "fit": null}, {"code": "correios", "needs": [], "country": null, "fit": "DESTINATION"}]}`)
}

func TestCarrierScores(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	reference := func(n int) map[string]any {
		return map[string]any{"reference": fmt.Sprint("S", n), "legs": []any{map[string]any{"carrier": "correios", "stage": "LAST_MILE", "trackingNumber": fmt.Sprintf("BR%09dXX", n)}},
			"parcel": map[string]any{"origin": map[string]any{"country": "BR"}, "destination": map[string]any{"country": "BR"}}, "registeredAt": "2026-11-01T00:00:00Z"}
	}
	var in, events []any
	for n := range 4 {
		in = append(in, reference(n))
		tell := func(code, at string) {
			events = append(events, map[string]any{"carrier": "correios", "trackingNumber": fmt.Sprintf("BR%09dXX", n), "code": code, "localTime": at, "offset": "+00:00"})
		}
		tell("PICKED_UP", "2026-11-02 10:00")
		if n < 2 {
			tell("DELIVERED", fmt.Sprintf("2026-11-0%d 11:00", 5+2*n))
		}
	}
	w.get(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created } }`, map[string]any{"in": in}, new(any))
	w.get(v, `mutation($in: [ReportEventInput!]!) { reportEvents(input: $in) { results { outcome userErrors { message { value } } } } }`, map[string]any{"in": events}, new(any))
	w.want(v, `{ carrierScores(groupBy: [CARRIER, LANE], interval: WEEK) { nodes {
		key { carrierCode carrier { name } lane { code } destination from to } n underWay transitDays { p50 p95 at(quantile: 0.25) n plateau gap } receipt { value k n interval { level } gap } loss { value k } asOf } count { value } } }`, nil,
		`{"carrierScores": {"nodes": [{
			"key": {"carrierCode": "correios", "carrier": {"name": "Correios"}, "lane": {"code": "BR-BR"}, "destination": "BR", "from": "2026-11-02", "to": "2026-11-08"},
			"n": 4, "underWay": 2, "transitDays": {"p50": 5, "p95": null, "at": 3, "n": 4, "plateau": 0.5, "gap": "PLATEAU"},
			"receipt": {"value": 0.5, "k": 2, "n": 2, "interval": {"level": 0.95}, "gap": null},
			"loss": {"value": 0, "k": 0}, "asOf": "2026-11-22T12:00:00Z"}], "count": {"value": 1}}}`)
	w.want(v, `{ none: carrierScores(groupBy: [], filter: { carriers: [] }) { nodes { n } } few: carrierScores(groupBy: [], filter: { nAtLeast: 5 }) { nodes { n } }
		other: carrierScores(groupBy: [], filter: { window: { to: "2026-10-01" } }) { nodes { n } } }`, nil, `{"none": {"nodes": []}, "few": {"nodes": []}, "other": {"nodes": []}}`)
}

// Enum values among variables are held to the letter.
func TestEnumVariables(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	const query = `query($f: ShipmentFilter) { shipments(filter: $f) { nodes { id } } }`
	for name, filter := range map[string]any{
		"lower case":      map[string]any{"milestones": []any{"delivered"}},
		"deep":            map[string]any{"openExceptions": []any{"CUSTOMS_HELD", "Customs_Held"}},
		"single for list": map[string]any{"stages": "linehaul"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.ask(v, query, map[string]any{"f": filter}); len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != "VALIDATION_FAILED" {
				t.Errorf("%s %v", a.Data, a.Errors)
			}
		})
	}
	w.want(v, query, map[string]any{"f": map[string]any{"stages": "LINEHAUL", "milestones": []any{"DELIVERED"}, "open": nil}}, `{"shipments": {"nodes": []}}`)
}

// broken is a store some of whose reads fail.
type broken struct {
	resolvers.Store
	err error
}

func (b broken) Merchant(context.Context, string) (resolvers.Merchant, error) {
	return resolvers.Merchant{}, b.err
}

func (b broken) Recipients(context.Context, string, []string) (map[string]parcel.RecipientRow, error) {
	panic("the recipients' table is on fire")
}

// What fails fails alone, says nothing of why, and is logged once.
func TestFailure(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 3)
	o := w.r.Options
	o.Store = broken{reads{w.store}, errors.New("pq: relation merchants at 10.0.0.7 does not exist")}
	r, err := resolvers.New(o)
	if err != nil {
		t.Fatal(err)
	}
	a := askWith(t, w.executor(r.Schema()), v, fmt.Sprintf("{ shipment(id: %q) { reference merchant { name } recipient { name } milestone } }", shipmentID(s)), nil)
	if want := `{"shipment":{"reference":"R-000001","merchant":null,"recipient":null,"milestone":"REGISTERED"}}`; string(a.Data) != want {
		t.Errorf("%s, want %s", a.Data, want)
	}
	if diff := cmp.Diff([]string{"INTERNAL shipment.merchant", "INTERNAL shipment.recipient"}, a.codes()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for _, e := range a.Errors {
		reference, _ := e.Extensions["reference"].(string)
		if e.Message != "internal error" || reference == "" || strings.Count(w.log.String(), reference) != 1 {
			t.Errorf("%v; log:\n%s", e, w.log)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "10.0.0.7") || !strings.Contains(log, "on fire") {
		t.Errorf("the log lacks the causes:\n%s", log)
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*resolvers.Options){
		"no store":       func(o *resolvers.Options) { o.Store = nil },
		"no write path":  func(o *resolvers.Options) { o.Ingest = nil },
		"no trade time":  func(o *resolvers.Options) { o.Trade = nil },
		"a short secret": func(o *resolvers.Options) { o.Secret = []byte("short") },
	} {
		t.Run(name, func(t *testing.T) {
			o := w.r.Options
			spoil(&o)
			if _, err := resolvers.New(o); err == nil {
				t.Error("no error")
			}
		})
	}
}
