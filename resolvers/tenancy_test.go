package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// Every text of the owner's parcel has a mark in it, so that wherever one
// appears in an answer it is seen.
var marks = []string{
	"m-reference", "m-order", "m-tag", "m-goods", "940599", "m-recipient", "m-route", "m-words", "m-facility", "m-region",
	"m-postcode", "m-city", "777.77", "m-payload", "m-reason", "MNUMBERONE", "MNUMBERTWO", "MNUMBEROLD", "m-merchant", ":37",
}

// owner stores a parcel that holds all the marks, in all kinds of state.
func (w *world) owner(public bool) (graph.Viewer, *parcel.Shipment) {
	v := w.merchant("m-merchant")
	m := storage.Merchant{ID: v.MerchantID, Name: "m-merchant", DefaultLocale: "en", TrackPublic: public, SupportURL: "https://m-merchant.example"}
	if err := w.store.UpdateMerchant(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	w.get(v, `mutation($in: [RouteInput!]!) { upsertRoutes(input: $in) { results { outcome } } }`, map[string]any{"in": []any{map[string]any{
		"code": "m-route", "name": "m-route", "origin": "CN", "destination": "BR", "serviceClass": "POSTAL",
		"legs": []any{map[string]any{"stage": "LINEHAUL", "carrier": "upu-postal"}},
	}}}, new(any))
	s := w.put(v, 1, 21, func(p *storagetest.Parcel) {
		s := p.Shipment
		s.Reference, s.Facts.Order, s.Tags, s.Route = "m-reference", "m-order", []string{"m-tag"}, "m-route"
		s.Goods.Description, s.Goods.HSCodes = "m-goods", []string{"940599"}
		s.Origin = parcel.Place{Country: "CN", City: "m-city", Region: "m-region", Postcode: "m-postcode", Facility: "m-facility"}
		s.Destination = parcel.Place{Country: "BR", City: "m-city", Region: "m-region", Postcode: "m-postcode", Facility: "m-facility"}
		number := map[string]string{"LX000000001CN": "MNUMBERONE", "BR00000000001": "MNUMBERTWO"}
		for i := range s.Legs {
			s.Legs[i].Number = number[s.Legs[i].Number]
			s.Legs[i].Cost = parcel.Money{Minor: 77777, Currency: "USD"}
		}
		s.Legs = append(s.Legs, parcel.DeclaredLeg{Stage: parcel.StageLastMile, Carrier: "correios", Number: "MNUMBEROLD", ReplacedBy: "MNUMBERTWO"})
		for i := range s.Legs {
			if s.Legs[i].Number == "MNUMBERTWO" {
				s.Legs[i].Replaces = "MNUMBEROLD"
			}
		}
		for i := range p.Numbers {
			p.Numbers[i].Number = number[p.Numbers[i].Number]
		}
		p.Payload.Body, p.Payload.Numbers = []byte(`{"m-payload":true}`), []string{"MNUMBERONE"}
		p.Payload.ReceivedAt = p.Payload.ReceivedAt.Add(37 * time.Second)
		for i := range p.Events {
			e := &p.Events[i]
			e.Number, e.Words, e.Reason, e.DeliveredTo = number[e.Number], "m-words", parcel.ReasonHoliday, parcel.DeliveredToNeighbour
			e.Observation.Place = parcel.Place{Country: e.Observation.Place.Country, City: "m-city", Region: "m-region", Postcode: "m-postcode", Facility: "m-facility", Unlocode: "CNSZX"}
			at := e.Occurred.At.Truncate(time.Minute).Add(37 * time.Second)
			e.Occurred = parcel.ReportedMoment(at.Format(time.RFC3339), at)
			e.Reported, e.ReceivedAt = at.Add(time.Minute), at.Add(time.Hour)
			e.EventKey, e.EventDigest = e.Observation.Key(), e.Observation.Digest()
		}
		target := p.Events[2]
		r := parcel.Retraction{Target: target.EventKey, Kind: parcel.RetractionIncorrect, Reason: "m-reason", At: target.ReceivedAt, ReplacedBy: p.Events[3].EventKey}
		target.Event = parcel.Event{ID: target.ID, ShipmentID: target.ShipmentID, EventKey: target.EventKey, EventDigest: "correction", Source: parcel.SourceReport, ReceivedAt: r.At, Retraction: &r}
		p.Events = append(p.Events, target)
		s.RegisteredAt, s.CreatedAt, s.UpdatedAt = s.RegisteredAt.Add(37*time.Second), s.CreatedAt.Add(37*time.Second), s.UpdatedAt.Add(37*time.Second)
		s.Promises = []parcel.Promise{{By: "2026-10-20", Source: parcel.PromiseByMerchant}}
	})
	err := w.store.Update(w.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.PutRecipients(ctx, []parcel.RecipientRow{{MerchantID: v.MerchantID, ShipmentID: s.ID, Recipient: parcel.Recipient{Name: "m-recipient", AddressLines: []string{"m-recipient"}}}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v, s
}

// everything selects every field of a type and of all below it: the first time
// that a type is met all its fields, afterwards its leaves. The timeline comes
// first, since it alone shows what was retracted.
func everything(schema *ast.Schema, def *ast.Definition, met map[string]bool) string {
	var b strings.Builder
	b.WriteString("{ __typename ")
	first := !met[def.Name]
	met[def.Name] = true
	fields := slices.Clone(def.Fields)
	slices.SortStableFunc(fields, func(x, y *ast.FieldDefinition) int {
		return map[string]int{"timeline": -1}[x.Name] - map[string]int{"timeline": -1}[y.Name]
	})
	for _, f := range fields {
		sub := schema.Types[f.Type.Name()]
		// An alias of its own keeps fields of different types apart.
		name := def.Name + "_" + f.Name + ": " + f.Name + required(f) + " "
		switch {
		case strings.HasPrefix(f.Name, "__"):
		case sub.IsLeafType():
			b.WriteString(name)
		case first:
			b.WriteString(name + everything(schema, sub, met))
		}
	}
	if def.IsAbstractType() {
		for _, possible := range schema.GetPossibleTypes(def) {
			b.WriteString("... on " + possible.Name + " " + everything(schema, possible, met))
		}
	}
	return b.String() + "} "
}

// required gives the arguments that a field cannot do without.
func required(f *ast.FieldDefinition) string {
	for _, a := range f.Arguments {
		switch a.Name {
		case "vocabulary":
			return "(vocabulary: SHOPIFY)"
		case "number":
			return `(number: "123456")`
		case "quantile":
			return "(quantile: 0.5)"
		case "includeRetracted":
			return "(includeRetracted: true, first: 100)"
		}
	}
	return ""
}

func TestTenantsNeverMeet(t *testing.T) {
	w := newWorld(t)
	owner, s := w.owner(true)
	other := w.merchant("other")
	w.put(other, 2, 5)
	schema := w.r.Schema().Schema()

	ids := []string{
		shipmentID(s), graph.MakeID(graph.TypeLeg, s.ID+"."+s.Journey.Legs[1].Key), graph.MakeID(graph.TypeEvent, s.Journey.Events[4].ID),
		graph.MakeID(graph.TypeException, s.ID+"."+s.Journey.Exceptions[0].Key), graph.MakeID(graph.TypeMerchant, owner.MerchantID),
		graph.MakeID(graph.TypeRoute, owner.MerchantID+".m-route"),
	}
	list, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	// Each way to ask for the owner's things, by root field, and the marks that
	// the answer may show to somebody else: none but through the public door.
	byNumber := []string{"m-city", "MNUMBERONE", "m-merchant"}
	byPostcode := []string{"m-words", "m-facility", "m-region", "m-postcode", "m-city", "m-reason", "MNUMBERONE", "MNUMBERTWO", "MNUMBEROLD", "m-merchant", ":37"}
	ways := map[string]map[string][]string{
		"node":  {},
		"nodes": {fmt.Sprintf("nodes(ids: %s)", list): nil},
		"shipment": {
			fmt.Sprintf("shipment(id: %q)", ids[0]):                                                     nil,
			`shipment(reference: "m-reference")`:                                                        nil,
			fmt.Sprintf("shipment(id: %q, asOf: %q)", ids[0], now.Add(-time.Hour).Format(time.RFC3339)): nil,
		},
		"shipments": {
			"shipments(first: 100)": nil,
			fmt.Sprintf("shipments(first: 100, filter: { ids: [%q] })", ids[0]):    nil,
			`shipments(first: 100, filter: { references: ["m-reference"] })`:       nil,
			`shipments(first: 100, filter: { trackingNumbers: ["MNUMBERONE"] })`:   nil,
			fmt.Sprintf("shipments(first: 100, filter: { routes: [%q] })", ids[5]): nil,
		},
		"changes": {"changes(first: 100)": nil, fmt.Sprintf("changes(first: 100, filter: { shipments: [%q] })", ids[0]): nil},
		"track": {
			`track(number: "MNUMBERONE")`:                          byNumber,
			`track(number: "mnumber-one", postcode: "M postcode")`: byPostcode,
			`track(number: "MNUMBERONE", postcode: "wrong")`:       nil,
			`track(number: "MNUMBERONE", postcode: "")`:            nil,
			`track(number: "MNUMBERNIL")`:                          nil,
		},
		"carriers":      {"carriers": nil},
		"carrier":       {`carrier(code: "correios")`: nil},
		"identify":      {`identify(number: "MNUMBERONE")`: nil},
		"routes":        {"routes(first: 100)": nil},
		"viewer":        {"viewer": nil},
		"handoverStats": {`handoverStats(byLane: true, filter: { window: { from: "2026-01-01" } })`: nil},
		"carrierScores": {"carrierScores(groupBy: [LANE], filter: { window: { from: \"2026-01-01\" } })": nil},
	}
	for _, id := range ids {
		ways["node"][fmt.Sprintf("node(id: %q)", id)] = nil
	}
	for _, f := range schema.Query.Fields {
		if !strings.HasPrefix(f.Name, "__") && len(ways[f.Name]) == 0 {
			t.Errorf("the walk does not know Query.%s", f.Name)
		}
	}

	askers := map[string]graph.Viewer{"another merchant": other, "a shopper": {Kind: graph.Shopper}, "nobody": {}}
	for root, documents := range ways {
		def := schema.Types[schema.Query.Fields.ForName(root).Type.Name()]
		for field, allowed := range documents {
			query := "{ " + field + " " + everything(schema, def, map[string]bool{}) + "}"
			for name, v := range askers {
				t.Run(name+" asks "+field, func(t *testing.T) {
					a := w.ask(v, query, nil)
					shown := found(string(a.Data))
					slices.Sort(allowed)
					if diff := cmp.Diff(allowed, shown); diff != "" {
						t.Errorf("shown (-allowed +got):\n%s\n%.2000s", diff, a.Data)
					}
					for _, e := range a.Errors {
						refused := e.Extensions["code"] == string(graph.CodeForbidden) || e.Extensions["code"] == string(graph.CodeUnauthenticated)
						if !refused || len(found(e.Message)) > 0 {
							t.Errorf("error %v", e)
						}
					}
				})
			}
		}
	}

	// The walk is no proof unless its owner sees everything.
	a := w.ask(owner, "{ "+fmt.Sprintf("shipment(id: %q) ", ids[0])+everything(schema, schema.Types["Shipment"], map[string]bool{})+"}", nil)
	if len(a.Errors) > 0 {
		t.Fatal(a.Errors)
	}
	var missing []string
	for _, m := range marks {
		if !strings.Contains(string(a.Data), m) {
			missing = append(missing, m)
		}
	}
	if len(missing) > 0 {
		t.Errorf("the owner does not see %v:\n%.2000s", missing, a.Data)
	}
}

func found(text string) (out []string) {
	for _, m := range marks {
		if strings.Contains(text, m) {
			out = append(out, m)
		}
	}
	slices.Sort(out)
	return out
}

// A number that its merchant keeps private answers like one that nobody knows.
func TestPrivateNumberLooksUnknown(t *testing.T) {
	w := newWorld(t)
	w.owner(false)
	for _, query := range []string{
		`{ track(number: "MNUMBERONE") { __typename } }`,
		`{ track(number: "MNUMBERONE", postcode: "wrong") { __typename } }`,
		`{ track(number: "MNUMBERNIL") { __typename } }`,
		`{ track(number: "MNUMBERNIL", postcode: "m-postcode") { __typename } }`,
	} {
		w.want(graph.Viewer{}, query, nil, `{"track": {"__typename": "TrackNothing"}}`)
	}
}

// Nobody writes to another's parcels.
func TestTenantsDoNotTouch(t *testing.T) {
	w := newWorld(t)
	owner, s := w.owner(false)
	other := w.merchant("other")
	leg, event := graph.MakeID(graph.TypeLeg, s.ID+"."+s.Journey.Legs[4].Key), graph.MakeID(graph.TypeEvent, s.Journey.Events[5].ID)
	stored := func() *storage.Loaded {
		found, err := w.store.Shipments(t.Context(), storage.OfMerchant(owner.MerchantID), []string{s.ID})
		if err != nil {
			t.Fatal(err)
		}
		return found[0]
	}
	before := stored()

	for name, c := range map[string]struct{ query, want string }{
		"reportEvents": {
			fmt.Sprintf(`mutation { reportEvents(input: [{ shipment: %q, code: DELIVERED, localTime: "2026-11-20 10:00" }]) { results { outcome event { id } userErrors { code } } } }`, shipmentID(s)),
			`{"reportEvents": {"results": [{"outcome": "REFUSED", "event": null, "userErrors": [{"code": "NOT_FOUND"}]}]}}`,
		},
		"reportEvents by number": {
			`mutation { reportEvents(input: [{ carrier: "upu-postal", trackingNumber: "MNUMBERONE", code: DELIVERED, localTime: "2026-11-20 10:00" }]) { results { outcome event { id } userErrors { code } } } }`,
			`{"reportEvents": {"results": [{"outcome": "REFUSED", "event": null, "userErrors": [{"code": "NOT_FOUND"}]}]}}`,
		},
		"retractEvent": {
			fmt.Sprintf(`mutation { retractEvent(input: { event: %q, kind: DID_NOT_OCCUR }) { event { id } userErrors { code } } }`, event),
			`{"retractEvent": {"event": null, "userErrors": [{"code": "NOT_FOUND"}]}}`,
		},
		"changeTrackingNumber": {
			fmt.Sprintf(`mutation { changeTrackingNumber(input: { leg: %q, trackingNumber: "STOLEN0001" }) { leg { id } userErrors { code } } }`, leg),
			`{"changeTrackingNumber": {"leg": null, "userErrors": [{"code": "NOT_FOUND"}]}}`,
		},
		"refreshShipment": {
			fmt.Sprintf(`mutation { refreshShipment(input: { shipment: %q }) { shipment { id } userErrors { code } } }`, shipmentID(s)),
			`{"refreshShipment": {"shipment": null, "userErrors": [{"code": "NOT_FOUND"}]}}`,
		},
		"registerShipments of the same reference": {
			`mutation { registerShipments(input: [{ reference: "m-reference", legs: [], parcel: { origin: { country: CN_ }, destination: { country: CN_ } } }]) { created results { outcome shipment { order { reference } } userErrors { code } } } }`,
			`{"registerShipments": {"created": 1, "results": [{"outcome": "CREATED", "shipment": {"order": null}, "userErrors": []}]}}`,
		},
		"upsertRoutes of the same code": {
			`mutation { upsertRoutes(input: [{ code: "m-route", name: "mine", origin: "CN", destination: "BR", serviceClass: EXPRESS, legs: [{ stage: LINEHAUL, carrier: "correios" }] }]) { results { outcome } } }`,
			`{"upsertRoutes": {"results": [{"outcome": "CREATED"}]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) { w.want(other, strings.ReplaceAll(c.query, "CN_", `"CN"`), nil, c.want) })
	}
	if diff := cmp.Diff(before, stored()); diff != "" {
		t.Errorf("the owner's parcel has changed (-before +after):\n%s", diff)
	}
	for name, v := range map[string]graph.Viewer{"nobody": {}, "a key that may only read": {Kind: graph.APIKey, MerchantID: other.MerchantID, Scopes: []graph.Scope{graph.ShipmentsRead}}} {
		for _, f := range w.r.Schema().Schema().Mutation.Fields {
			t.Run(name+" calls "+f.Name, func(t *testing.T) {
				a := w.ask(v, mutationOf(f), nil)
				want := string(graph.CodeForbidden)
				if v.MerchantID == "" {
					want = string(graph.CodeUnauthenticated)
				}
				if len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != want || string(a.Data) != `{"`+f.Name+`":null}` {
					t.Errorf("%s %v, want %s", a.Data, a.Errors, want)
				}
			})
		}
	}
}

func mutationOf(f *ast.FieldDefinition) string {
	input := map[string]string{
		"registerShipments":    `[{ reference: "x", legs: [], parcel: { origin: { country: "CN" }, destination: { country: "BR" } } }]`,
		"reportEvents":         `[{ code: DELIVERED, localTime: "2026-11-20 10:00", shipment: "x" }]`,
		"retractEvent":         `{ event: "x", kind: DID_NOT_OCCUR }`,
		"changeTrackingNumber": `{ leg: "x", trackingNumber: "12345" }`,
		"refreshShipment":      `{ shipment: "x" }`,
		"upsertRoutes":         `[{ code: "x", name: "x", origin: "CN", destination: "BR", serviceClass: POSTAL, legs: [{ stage: LINEHAUL, carrier: "x" }] }]`,
	}[f.Name]
	return "mutation { " + f.Name + "(input: " + input + ") { __typename } }"
}
