package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/graph/generated"
)

func testPrices(t testing.TB) (*ast.Schema, *prices) {
	t.Helper()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: testSDL})
	p, err := readPrices(schema)
	if err != nil {
		t.Fatal(err)
	}
	return schema, p
}

func TestPrices(t *testing.T) {
	schema, p := testPrices(t)
	const number = json.Number("7")
	tests := []struct {
		name, query string
		variables   map[string]any
		want        string
	}{
		{"leaves are free", "{hello}", nil, "0"},
		{"an object", "{parcel{id}}", nil, "1"},
		{"a weight in place of the type's", "{track(number:\"1\"){id}}", nil, "5"},
		{"a weight of a leaf", "{parcel{text}}", nil, "1.5"},
		{"a value object", "{parcel{size{grams}}}", nil, "1"},
		{"a list at its default", "{parcel{legs{code}}}", nil, "11"},
		{"a list as long as asked", "{parcel{legs(first:3){code}}}", nil, "4"},
		{"a list of none", "{parcel{legs(first:0){code}}}", nil, "1"},
		{"a negative length", "{parcel{legs(first:-5){code}}}", nil, "1"},
		{"null is the assumed length", "{parcel{legs(first:null){code}}}", nil, "11"},
		{"children of each element", "{parcel{legs(first:3){report parcel{id}}}}", nil, "37"},
		{"a connection at its default", "{parcels{nodes{id}}}", nil, "21"},
		{"a connection as long as asked", "{parcels(first:5){nodes{id}}}", nil, "6"},
		{"the larger of two arguments", "{parcels(first:5,last:50){nodes{id}}}", nil, "51"},
		{"edges", "{parcels(first:5){edges{cursor node{id}}}}", nil, "6"},
		{"what is not sized in a connection", "{parcels(first:5){count{value} pageInfo{hasNextPage}}}", nil, "11"},
		{"a connection with a weight", "{scores(first:4){rows{id}}}", nil, "18"},
		{"a connection in a connection", "{parcels(first:10){nodes{related(first:4){nodes{id}}}}}", nil, "61"},
		{"a list that the schema says nothing of", "{many{id}}", nil, "10"},
		{"an argument with a weight", "{unlisted(prices:[1,2,3]){id}}", nil, "16"},
		{"a list of ids", `{nodes(ids:["a","b","c"]){id}}`, nil, "6"},
		{"the dearest object of a union", "{thing{__typename}}", nil, "2"},
		{"all alternatives", "{thing{...on Parcel{parent{id}} ...on Score{id}}}", nil, "3"},
		{"input fields with a weight", `{echo(input:{heavy:"x",list:[{heavy:"y"},{text:"z"}],inner:{heavy:null}})}`, nil, "6"},
		{"the same in a variable", `query($i:EchoInput){echo(input:$i)}`, map[string]any{"i": map[string]any{"heavy": "x", "list": []any{map[string]any{"heavy": "y"}}}}, "6"},
		{"a variable", "query($n:Int){parcels(first:$n){nodes{id}}}", map[string]any{"n": number}, "8"},
		{"a variable with a number in a string", "query($n:Int){parcels(first:$n){nodes{id}}}", map[string]any{"n": "7"}, "8"},
		{"a variable that is not given", "query($n:Int){parcels(first:$n){nodes{id}}}", nil, "21"},
		{"a variable that is null", "query($n:Int){parcels(first:$n){nodes{id}}}", map[string]any{"n": nil}, "21"},
		{"a variable with a default", "query($n:Int=3){parcels(first:$n){nodes{id}}}", nil, "4"},
		{"a variable over its default", "query($n:Int=3){parcels(first:$n){nodes{id}}}", map[string]any{"n": number}, "8"},
		{"a variable of ids", "query($n:[ID!]!){nodes(ids:$n){id}}", map[string]any{"n": []any{"a", "b"}}, "4"},
		{"what is skipped", "query($s:Boolean=true){a:parcel@skip(if:$s){id} b:parcel@include(if:false){id} ...@skip(if:true){parcel{id}} ...f@skip(if:true) parcel{id}} fragment f on Query{parcel{id}}", nil, "1"},
		{"what is included", "query($s:Boolean!){parcel@include(if:$s){id}}", map[string]any{"s": true}, "1"},
		{"a fragment in connections of two lengths", "{a:parcels(first:3){...f} b:parcels(first:7){...f}} fragment f on ParcelConnection{nodes{id} count{value}}", nil, "32"},
		{"a fragment in fragments", "{parcel{...a ...a}} fragment a on Parcel{...b parent{...b}} fragment b on Parcel{parent{id}}", nil, "7"},
		{"the schema", "{__schema{types{name}} __type(name:\"Query\"){fields{name}}}", nil, "110"},
		{"a field that does not exist", "{nothing{id} parcel{nothing{id}}}", nil, "1"},
		{"a circle", "{parcel{...a}} fragment a on Parcel{parent{...a}}", nil, "2"},
		{"a length beyond numbers", "query($n:Int){parcels(first:$n){nodes{id}}}", map[string]any{"n": json.Number("99999999999999999999")}, ""},
		{"lengths that multiply beyond numbers", "{parcels(first:2000000000){nodes{related(first:2000000000){nodes{legs(first:2000000000){code}}}}}}", nil, ""},
		{"28 chained fragments", chained(28, "parcel", "parent{id}"), nil, fmt.Sprint(1 + 1<<27)},
		{"100 chained fragments", chained(100, "parcel", "parent{id}"), nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := parser.ParseQuery(&ast.Source{Input: tt.query})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			price := p.priceOf(doc, doc.Operations[0], p.types["Query"], tt.variables)
			if took := time.Since(begin); took > 50*time.Millisecond {
				t.Errorf("took %v", took)
			}
			got := string(points(price))
			if price > math.MaxInt64/2 {
				got = ""
			}
			if got != tt.want {
				t.Errorf("price %s, want %s", points(price), tt.want)
			}
			// What was priced before validation is priced the same after it.
			if len(validator.ValidateWithRules(schema, doc, validationRules())) == 0 {
				if again := p.priceOf(doc, doc.Operations[0], p.types["Query"], tt.variables); again != price {
					t.Errorf("price %d, after validation %d", price, again)
				}
			}
		})
	}
}

// A list of inputs is priced by its length, and the longest that is allowed can
// be answered.
func TestPricesOfMutationLists(t *testing.T) {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	p, err := readPrices(schema)
	if err != nil {
		t.Fatal(err)
	}
	limits, err := Limits{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	most := int64(limits.Cost) * point
	const register = `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created results { outcome shipment { id reference } userErrors { code path message { value } } } userErrors { code } } }`
	item := map[string]any{"reference": "A"}
	list := func(n int) any { return slices.Repeat([]any{item}, n) }
	for _, tt := range []struct {
		name, query string
		in          any
		want        string
		fits        bool
	}{
		{"one", register, list(1), "11.1", true},
		{"one that is no list", register, item, "11.1", true},
		{"a hundred", register, list(100), "120", true},
		{"a thousand", register, list(1000), "1110", true},
		{"a thousand, nothing asked", `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created } }`, list(1000), "110", true},
		{"a thousand with lists of their own", `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { shipment { timeline(first: 20) { nodes { code } } } } } }`, list(1000), "22110", false},
		{"a thousand events", `mutation($in: [ReportEventInput!]!) { reportEvents(input: $in) { results { outcome event { id code } userErrors { code path } } } }`, list(1000), "1110", true},
		{"a hundred routes", `mutation($in: [RouteInput!]!) { upsertRoutes(input: $in) { results { outcome route { id } } } }`, list(100), "120", true},
		{"in the document", `mutation { upsertRoutes(input: {code: "a"}) { results { route { id } } } }`, nil, "11.1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := parser.ParseQuery(&ast.Source{Input: tt.query})
			if err != nil {
				t.Fatal(err)
			}
			price := p.priceOf(doc, doc.Operations[0], p.types["Mutation"], map[string]any{"in": tt.in})
			if got := string(points(price)); got != tt.want || (price <= most) != tt.fits {
				t.Errorf("price %s, want %s; the limit is %d", got, tt.want, limits.Cost)
			}
		})
	}
}

// TestLengthsAreReadAsExecutionReadsThem holds every value that execution
// takes as a length to the length it was priced at.
func TestLengthsAreReadAsExecutionReadsThem(t *testing.T) {
	schema, p := testPrices(t)
	doc, err := parser.ParseQuery(&ast.Source{Input: "query($n:Int){parcels(first:$n){nodes{id}}}"})
	if err != nil {
		t.Fatal(err)
	}
	if found := validator.ValidateWithRules(schema, doc, validationRules()); len(found) > 0 {
		t.Fatal(found)
	}
	for _, sent := range []string{`5`, `"5"`, `5.0`, `5e0`, `"+5"`, `"05"`, `" 5"`, `"5 "`, `"0x5"`, `"5_0"`, `true`, `[5]`, `{"a":5}`, `null`, `1e2`, `"1e2"`, `9223372036854775807`, `9223372036854775808`, `"9223372036854775808"`, `-1`} {
		r, err := decodeRequest([]byte(`{"query":"x","variables":{"n":`+sent+`}}`), 32)
		if err != nil {
			t.Fatal(err)
		}
		priced := p.priceOf(doc, doc.Operations[0], p.types["Query"], r.variables)
		coerced, err := validator.VariableValues(schema, doc.Operations[0], r.variables)
		if err != nil {
			continue // refused: its price does not matter
		}
		length := big.NewInt(20) // as if it were not given
		if v := coerced["n"]; v != nil {
			if _, ok := length.SetString(fmt.Sprint(v), 10); !ok {
				t.Errorf("%s became %v, which is no number", sent, v)
				continue
			}
		}
		if length.Sign() < 0 {
			length.SetInt64(0)
		}
		want := length.Mul(length.Add(length, big.NewInt(1)), big.NewInt(point))
		if got := big.NewInt(priced); got.Cmp(want) < 0 && priced != math.MaxInt64 {
			t.Errorf("%s is taken as a length of %v and priced at %v, want %v", sent, coerced["n"], got, want)
		}
	}
}

func TestPricesOfSchemasThatAreWrong(t *testing.T) {
	directives := testSDL[:strings.Index(testSDL, "type Query")]
	for name, sdl := range map[string]string{
		"a weight that is no number":  `type Query { a: String @cost(weight: "dear") }`,
		"a negative weight":           `type Query { a: String @cost(weight: "-1") }`,
		"a weight without end":        `type Query { a: String @cost(weight: "Inf") }`,
		"an argument that is not":     `type Query { a: [String] @listSize(slicingArguments: ["first"]) }`,
		"a field that is not":         `type Query { a: A @listSize(assumedSize: 1, sizedFields: ["no"]) } type A { b: Int }`,
		"a size of neither":           `type Query { a: String @listSize(assumedSize: 1) }`,
		"a size below zero":           `type Query { a: [String] @listSize(assumedSize: -1) }`,
		"a weight of a type":          `type Query { a: A } type A @cost(weight: "x") { b: Int }`,
		"a weight of an argument":     `type Query { a(b: Int @cost(weight: "x")): Int }`,
		"a weight of an input's part": `type Query { a(b: B): Int } input B { c: Int @cost(weight: "x") }`,
	} {
		if _, err := readPrices(gqlparser.MustLoadSchema(&ast.Source{Input: directives + sdl})); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// oracle prices by following every spread, with numbers that have no end. It
// is told the depth of what it follows, so that it ends.
type oracle struct {
	p         *prices
	doc       *ast.QueryDocument
	op        *ast.OperationDefinition
	variables map[string]any
	steps     int
}

var errTooMuch = fmt.Errorf("the oracle gives up")

// selections prices a set that stands in a connection of length n, of which
// the fields in sized are as long as that.
func (o *oracle) selections(set ast.SelectionSet, on *objectPrice, sized map[string]bool, n *big.Int) *big.Int {
	if o.steps++; o.steps > 200_000 {
		panic(errTooMuch)
	}
	sum := new(big.Int)
	walker := &priceWalker{prices: o.p, doc: o.doc, op: o.op, variables: o.variables}
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if on == nil || !walker.included(s.Directives) || on.fields[s.Name] == nil {
				continue
			}
			f := on.fields[s.Name]
			own := big.NewInt(f.own)
			for name, price := range f.args {
				if a := s.Arguments.ForName(name); a != nil {
					own.Add(own, big.NewInt(walker.literal(a.Value, price)))
				}
			}
			length := big.NewInt(1)
			if f.list || f.sized != 0 {
				length.SetInt64(walker.length(s, f))
			}
			element := big.NewInt(f.element)
			if f.result != nil {
				element.Add(element, o.selections(s.SelectionSet, f.result, o.p.sets[f.sized], length))
			}
			switch {
			case sized[s.Name]:
				element.Mul(element, n)
			case f.sized == 0:
				element.Mul(element, length)
			}
			sum.Add(sum, own.Add(own, element))
		case *ast.InlineFragment:
			if walker.included(s.Directives) {
				inner := on
				if s.TypeCondition != "" {
					inner = o.p.types[s.TypeCondition]
				}
				sum.Add(sum, o.selections(s.SelectionSet, inner, sized, n))
			}
		case *ast.FragmentSpread:
			if f := o.doc.Fragments.ForName(s.Name); f != nil && walker.included(s.Directives) {
				sum.Add(sum, o.selections(f.SelectionSet, o.p.types[f.TypeCondition], sized, n))
			}
		}
	}
	return sum
}

// check prices a document both ways.
func checkPrice(t interface{ Fatalf(string, ...any) }, p *prices, doc *ast.QueryDocument, variables map[string]any) {
	for _, op := range doc.Operations {
		root := p.types[map[ast.Operation]string{ast.Query: "Query", ast.Mutation: "Mutation", ast.Subscription: "Subscription"}[op.Operation]]
		got := p.priceOf(doc, op, root, variables)
		o := oracle{p: p, doc: doc, op: op, variables: variables}
		var want *big.Int
		func() {
			defer func() {
				if r := recover(); r != nil && r != errTooMuch {
					panic(r)
				}
			}()
			want = o.selections(op.SelectionSet, root, nil, nil)
		}()
		if want == nil {
			continue
		}
		if want.IsInt64() && want.Int64() < math.MaxInt64 {
			if got != want.Int64() {
				t.Fatalf("price %d, the oracle says %d", got, want)
			}
		} else if got != math.MaxInt64 {
			t.Fatalf("price %d, the oracle says %d, which is more than any number", got, want)
		}
	}
}

// writer writes random documents. Fragments spread only those after them.
type writer struct {
	*rapid.T
	schema    *ast.Schema
	b         strings.Builder
	fragments []*ast.Definition // by number: the type of each
	next      int               // the first fragment that may be spread
	budget    int
}

func (w *writer) set(on *ast.Definition, depth int) {
	w.b.WriteString("{__typename ")
	for range rapid.IntRange(1, 3).Draw(w.T, "fields") {
		if w.budget--; w.budget < 0 || depth > 6 {
			break
		}
		switch kind := rapid.IntRange(0, 9).Draw(w.T, "kind"); {
		case kind >= 7 && w.next < len(w.fragments):
			i := rapid.IntRange(w.next, len(w.fragments)-1).Draw(w.T, "spread")
			fmt.Fprintf(&w.b, "...f%d ", i)
		case kind == 6:
			w.b.WriteString("...")
			if rapid.Bool().Draw(w.T, "condition") {
				w.b.WriteString("on " + on.Name)
			}
			w.condition()
			w.set(on, depth+1)
		case len(on.Fields) > 0:
			f := rapid.SampledFrom(on.Fields).Draw(w.T, "field")
			w.b.WriteString(f.Name)
			if a := f.Arguments.ForName("first"); a != nil && rapid.Bool().Draw(w.T, "sliced") {
				fmt.Fprintf(&w.b, "(first:%s)", rapid.SampledFrom([]string{"0", "1", "7", "100", "2000000000", "$n", "$m", "null"}).Draw(w.T, "first"))
			}
			w.condition()
			if target := w.schema.Types[f.Type.Name()]; target.IsCompositeType() {
				w.set(target, depth+1)
			}
			w.b.WriteByte(' ')
		}
	}
	w.b.WriteString("}")
}

func (w *writer) condition() {
	if rapid.IntRange(0, 9).Draw(w.T, "conditional") == 0 {
		w.b.WriteString(rapid.SampledFrom([]string{"@skip(if:true)", "@include(if:$yes)", "@skip(if:$yes)", "@include(if:false)"}).Draw(w.T, "condition"))
	}
}

// document draws a document and its variables.
func drawDocument(t *rapid.T, schema *ast.Schema) (string, map[string]any) {
	w := &writer{T: t, schema: schema, budget: 120}
	composite := []string{"Query", "Parcel", "ParcelConnection", "Leg", "ParcelEdge", "ScoreConnection"}
	for range rapid.IntRange(0, 6).Draw(t, "fragments") {
		w.fragments = append(w.fragments, schema.Types[rapid.SampledFrom(composite).Draw(t, "on")])
	}
	w.b.WriteString("query($n:Int,$m:Int=4,$yes:Boolean=true)")
	w.set(schema.Query, 0)
	for i, on := range w.fragments {
		w.next = i + 1
		fmt.Fprintf(&w.b, " fragment f%d on %s", i, on.Name)
		w.set(on, 0)
	}
	variables := map[string]any{}
	if rapid.Bool().Draw(t, "given") {
		variables["n"] = json.Number(rapid.SampledFrom([]string{"0", "3", "99", "-2", "99999999999999999999"}).Draw(t, "n"))
	}
	if rapid.Bool().Draw(t, "given too") {
		variables["yes"] = rapid.Bool().Draw(t, "yes")
	}
	return w.b.String(), variables
}

func TestPriceAgainstOracle(t *testing.T) {
	schema, p := testPrices(t)
	rapid.Check(t, func(t *rapid.T) {
		text, variables := drawDocument(t, schema)
		doc, err := parser.ParseQuery(&ast.Source{Input: text})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		checkPrice(t, p, doc, variables)
	})
}

func FuzzPrice(f *testing.F) {
	_, p := testPrices(f)
	for _, seed := range []string{
		"query($n:Int){parcels(first:$n){...f}} fragment f on ParcelConnection{nodes{related{...f}}}",
		chained(12, "parcel", "legs{report}"), "{parcels(first:3){...a edges{node{...b}}}} fragment a on ParcelConnection{nodes{...b}} fragment b on Parcel{legs(first:2){code}}",
		"{scores(first:9){rows{id}}}", "mutation{touch}", "subscription{ticks{n}}",
	} {
		f.Add(seed, "5")
	}
	f.Fuzz(func(t *testing.T, text, n string) {
		doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, 2000)
		if err != nil {
			return
		}
		l, _ := Limits{Selections: 1 << 40, RootFields: 1 << 30}.withDefaults()
		if checkShape(doc, &l) != nil {
			return // a circle, on which the oracle would not end
		}
		checkPrice(t, p, doc, map[string]any{"n": json.Number(n)})
	})
}

func BenchmarkPrice(b *testing.B) {
	_, p := testPrices(b)
	doc, err := parser.ParseQuery(&ast.Source{Input: `query($n:Int=50){parcels(first:$n){nodes{id name text size{grams} legs(first:5){code parcel{id}} related(first:3){nodes{id}}} pageInfo{hasNextPage}}}`})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.priceOf(doc, doc.Operations[0], p.types["Query"], nil)
	}
}
