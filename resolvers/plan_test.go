package resolvers_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Whatever is asked, in whatever form: a plan writes the same bytes as gqlgen,
// and what a plan cannot tell is told the same.
func TestPlansAgreeWithThePlainWay(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	known := w.fixtures(v)
	planned, plain := w.executor(w.r.Schema()), w.executor(w.r.PlainSchema())
	// One document serves several requests: plans kept of it must not keep what
	// its variables were.
	planned.SetQueryCache(lru.New[*ast.QueryDocument](10))
	some := v
	some.Scopes = []graph.Scope{graph.ShipmentsRead, graph.RoutesRead}
	viewers := []graph.Viewer{v, some, {}}

	rapid.Check(t, func(rt *rapid.T) {
		viewer := rapid.SampledFrom(viewers).Draw(rt, "viewer")
		g := &queries{t: rt, schema: w.r.Schema().Schema(), room: 80, variables: map[string][]any{}}
		query := g.document(known)
		for range 3 {
			variables := map[string]any{}
			for name, values := range g.variables {
				variables[name] = rapid.SampledFrom(values).Draw(rt, name)
			}
			a, b := askWith(t, planned, viewer, query, variables), askWith(t, plain, viewer, query, variables)
			for _, e := range b.Errors {
				switch e.Extensions["code"] {
				case string(graph.CodeInternal), string(graph.CodeValidationFailed), string(graph.CodeParseFailed):
					rt.Fatalf("%s\n%v\n%s", query, e, w.log)
				}
			}
			if !bytes.Equal(a.Data, b.Data) {
				rt.Fatalf("%s\n%v\n(-plain +planned):\n%s", query, variables, cmp.Diff(tree(t, b.Data), tree(t, a.Data)))
			}
			if diff := cmp.Diff(told(b), told(a)); diff != "" {
				rt.Fatalf("%s\n%v\nerrors (-plain +planned):\n%s", query, variables, diff)
			}
		}
	})
}

// told is what an answer's errors say, in no order: fields fail side by side.
func told(a answer) []string {
	var out []string
	for _, e := range a.Errors {
		out = append(out, fmt.Sprintf("%v %v %s", e.Path, e.Extensions["code"], e.Message))
	}
	slices.Sort(out)
	return out
}

// Every field of every type that is shown is either in the plans or known to
// need more: a resolver, or something to wait for.
func TestPlansCoverTheSchema(t *testing.T) {
	outside := []string{
		"Carrier.status", "CarrierStatus.unmappedCodes", "EventSource.payload", "Order.shipments", "Shipment.changes", "Shipment.merchant", "Shipment.recipient", "Shipment.route",
		"ShipmentConnection.count", "Viewer.merchant",
	}
	w := newWorld(t)
	v := w.merchant("lantern")
	known := w.fixtures(v)
	schema := w.r.Schema().Schema()
	plans := planFields(t)
	var missing []string
	for _, def := range schema.Types {
		if def.Kind != ast.Object || strings.HasPrefix(def.Name, "__") || def == schema.Query || def == schema.Mutation || def == schema.Subscription {
			continue
		}
		for _, f := range def.Fields {
			if !plans[def.Name+"."+f.Name] {
				missing = append(missing, def.Name+"."+f.Name)
			}
		}
	}
	slices.Sort(missing)
	if diff := cmp.Diff(outside, missing); diff != "" {
		t.Errorf("fields outside the plans (-want +got):\n%s", diff)
	}
	if len(known) == 0 {
		t.Error("nothing to ask about")
	}
}

// fixtures stores parcels at all stages, and returns root selections that reach
// them, with %s for what is selected.
func (w *world) fixtures(v graph.Viewer) []string {
	for n, events := range []int{0, 1, 6, 9, 14, 16, 17, 21, 22} {
		w.put(v, n, events)
	}
	delivered := w.put(v, 20, 22, withReturn, withCosts)
	held := w.put(v, 21, 16, withRetraction, withCosts)
	w.get(v, `mutation($in: [RouteInput!]!) { upsertRoutes(input: $in) { results { outcome } } }`, map[string]any{"in": []any{map[string]any{
		"code": "CN-BR-ECO", "name": "Economy", "origin": "CN", "destination": "BR", "serviceClass": "POSTAL",
		"legs": []any{map[string]any{"stage": "LINEHAUL", "carrier": "upu-postal", "statedDays": 12.5}}, "statedDays": 40,
	}}}, new(any))
	leg := graph.MakeID(graph.TypeLeg, held.ID+"."+held.Journey.Legs[0].Key)
	event := graph.MakeID(graph.TypeEvent, held.Journey.Events[2].ID)
	exception := graph.MakeID(graph.TypeException, held.ID+"."+held.Journey.Exceptions[0].Key)
	ids := fmt.Sprintf("%q, %q, %q, %q, %q, %q, %q", shipmentID(delivered), leg, event, exception,
		graph.MakeID(graph.TypeCarrier, "correios"), graph.MakeID(graph.TypeMerchant, v.MerchantID), graph.MakeID(graph.TypeRoute, v.MerchantID+".CN-BR-ECO"))
	return []string{
		fmt.Sprintf("shipment(id: %q)", shipmentID(delivered)),
		fmt.Sprintf("shipment(id: %q)", shipmentID(held)),
		fmt.Sprintf("shipment(id: %q, asOf: \"2026-09-20T00:00:00Z\")", shipmentID(held)),
		"shipments(first: 4)",
		"shipments(first: 3, filter: { open: true }, orderBy: { field: LAST_EVENT_AT, direction: ASC })",
		fmt.Sprintf("nodes(ids: [%s])", ids),
		fmt.Sprintf("node(id: %q)", event),
		fmt.Sprintf("track(number: %q, postcode: \"01310-100\")", held.Legs[0].Number),
		fmt.Sprintf("track(number: %q)", held.Legs[0].Number),
		"track(number: \"LXO00000001CN\")",
		"changes(first: 40)",
		"carriers",
		"routes",
		"viewer",
		"identify(number: \"LX000000001CN\")",
		"carrierScores(filter: {}, groupBy: [LANE])",
	}
}

// queries makes up documents.
type queries struct {
	t      *rapid.T
	schema *ast.Schema
	room   int // fields left
	names  int
	spread []string // fragment definitions
	// variables are what each may be, and declared how it is declared.
	variables map[string][]any
	declared  []string
}

// variable declares a variable and gives its name.
func (g *queries) variable(typ string, values ...any) string {
	g.names++
	name := fmt.Sprintf("v%d", g.names)
	g.variables[name] = values
	g.declared = append(g.declared, "$"+name+": "+typ)
	return "$" + name
}

func (g *queries) chance(percent int) bool {
	return rapid.IntRange(1, 100).Draw(g.t, "chance") <= percent
}

func (g *queries) document(roots []string) string {
	var b strings.Builder
	b.WriteString("{")
	for range rapid.IntRange(1, 2).Draw(g.t, "roots") {
		root := rapid.SampledFrom(roots).Draw(g.t, "root")
		name, _, _ := strings.Cut(root, "(")
		g.names++
		fmt.Fprintf(&b, " r%d: %s %s", g.names, root, g.selection(g.schema.Types[g.schema.Query.Fields.ForName(name).Type.Name()], 6))
	}
	b.WriteString(" }")
	head := "query "
	if len(g.declared) > 0 {
		head += "(" + strings.Join(g.declared, ", ") + ") "
	}
	return head + b.String() + strings.Join(g.spread, "")
}

// selection makes up what is asked of a type, depth levels down.
func (g *queries) selection(def *ast.Definition, depth int) string {
	var b strings.Builder
	b.WriteString("{ ")
	if g.chance(30) || def.Kind == ast.Union {
		b.WriteString("__typename ")
	}
	fields := slices.DeleteFunc(slices.Clone(def.Fields), func(f *ast.FieldDefinition) bool {
		return strings.HasPrefix(f.Name, "__") || depth <= 0 && !g.schema.Types[f.Type.Name()].IsLeafType()
	})
	for i := 0; i < 6 && len(fields) > 0 && g.room > 0 && (i == 0 || g.chance(80)); i++ {
		b.WriteString(g.field(rapid.SampledFrom(fields).Draw(g.t, "field"), depth))
	}
	for _, possible := range g.schema.GetPossibleTypes(def) {
		if def.IsAbstractType() && depth > 0 && g.chance(60) || !def.IsAbstractType() && g.chance(15) {
			b.WriteString(g.fragment(possible, depth))
		}
	}
	if b.Len() == 2 {
		b.WriteString("__typename ")
	}
	b.WriteString("} ")
	return b.String()
}

func (g *queries) fragment(on *ast.Definition, depth int) string {
	if g.chance(50) {
		return "... on " + on.Name + " " + g.condition() + g.selection(on, depth-1)
	}
	g.names++
	name := fmt.Sprintf("f%d", g.names)
	g.spread = append(g.spread, "\nfragment "+name+" on "+on.Name+" "+g.selection(on, depth-1))
	return "..." + name + " "
}

func (g *queries) condition() string {
	if !g.chance(10) {
		return ""
	}
	if g.chance(40) {
		return "@include(if: " + g.variable("Boolean!", true, false) + ") "
	}
	return rapid.SampledFrom([]string{"@include(if: true) ", "@skip(if: true) ", "@skip(if: false) "}).Draw(g.t, "condition")
}

// field selects a field under a name of its own, so that two of one name never
// contradict each other.
func (g *queries) field(f *ast.FieldDefinition, depth int) string {
	g.room--
	g.names++
	out := fmt.Sprintf("a%d: %s%s %s", g.names, f.Name, g.arguments(f), g.condition())
	if def := g.schema.Types[f.Type.Name()]; !def.IsLeafType() {
		out += g.selection(def, depth-1)
	}
	return out
}

func (g *queries) arguments(f *ast.FieldDefinition) string {
	var args []string
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil || g.chance(35) {
			args = append(args, a.Name+": "+g.value(a.Name, a.Type))
		}
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}

func (g *queries) value(name string, typ *ast.Type) string {
	if !typ.NonNull && g.chance(10) {
		return "null"
	}
	if typ.Elem != nil {
		var list []string
		for range rapid.IntRange(0, 3).Draw(g.t, "length") {
			list = append(list, g.value(name, typ.Elem))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	def := g.schema.Types[typ.Name()]
	switch {
	case def.Kind == ast.Enum:
		return rapid.SampledFrom(def.EnumValues).Draw(g.t, "enum").Name
	case (name == "first" || name == "last") && g.chance(30):
		return g.variable("Int", 0, 1, 3, 101, nil)
	case name == "locale" && g.chance(30):
		return g.variable("Locale", "ru", "es-MX", "not a tag", nil)
	case name == "first" || name == "last":
		return fmt.Sprint(rapid.SampledFrom([]int{0, 1, 2, 5, 100, 101, -1}).Draw(g.t, "first"))
	case name == "after" || name == "before":
		return `"bm90IGEgY3Vyc29yIG9mIG91cnM"`
	case name == "locale":
		return rapid.SampledFrom([]string{`"de"`, `"pt"`, `"kl"`, `"zh-Hant-TW"`, `"not a tag"`}).Draw(g.t, "locale")
	case name == "number":
		return rapid.SampledFrom([]string{`"BR00000000021"`, `"x"`}).Draw(g.t, "number")
	case def.Name == "Boolean":
		return fmt.Sprint(rapid.Bool().Draw(g.t, "bool"))
	case def.Name == "Float":
		return "0.5"
	}
	g.t.Fatalf("no value for %s: %s", name, typ)
	return ""
}

func withCosts(p *parcelFixture) {
	for i := range p.Shipment.Legs {
		p.Shipment.Legs[i].Cost = parcel.Money{Minor: int64(100*i + 150), Currency: "USD"}
	}
}
