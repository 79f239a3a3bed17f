package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// testSDL is a schema with one of everything that the front door looks at.
const testSDL = `
directive @cost(weight: String!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION

type Query {
  hello: String!
  echo(text: String, input: EchoInput): String
  who: Who!
  track(number: String!): Parcel @cost(weight: "5")
  parcel(id: ID): Parcel
  parcels(first: Int = 20, last: Int): ParcelConnection @listSize(assumedSize: 20, slicingArguments: ["first", "last"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false)
  scores(first: Int): ScoreConnection @cost(weight: "10") @listSize(assumedSize: 50, slicingArguments: ["first"], sizedFields: ["rows"])
  nodes(ids: [ID!]!): [Node]! @listSize(slicingArguments: ["ids"], assumedSize: 100)
  thing: Thing
  many: [Parcel!]
  unlisted(prices: [Int!] @cost(weight: "2")): [Parcel]
  fail: String
  hidden: String
  boom: String
  wait: String
  context: String
}
interface Node { id: ID! }
union Thing = Parcel | Score
type Who { kind: String! merchant: String locale: String }
type Parcel implements Node {
  id: ID!
  name: String
  text: String @cost(weight: "0.5")
  size: Size
  legs(first: Int = 10): [Leg!]! @listSize(assumedSize: 10, slicingArguments: ["first"])
  related(first: Int): ParcelConnection @listSize(assumedSize: 3, slicingArguments: ["first"], sizedFields: ["nodes"])
  parent: Parcel
}
type Size @cost(weight: "0") { grams: Int }
type Leg { code: String parcel: Parcel report: String @cost(weight: "10") }
type ParcelConnection { nodes: [Parcel!]! edges: [ParcelEdge!]! count: Count @cost(weight: "10") pageInfo: PageInfo! }
type ParcelEdge @cost(weight: "0") { cursor: String! node: Parcel! }
type Count @cost(weight: "0") { value: Int! }
type PageInfo @cost(weight: "0") { hasNextPage: Boolean! }
type ScoreConnection { rows: [Score!]! }
type Score implements Node @cost(weight: "2") { id: ID! value: Float }
input EchoInput { text: String heavy: String @cost(weight: "3") inner: EchoInput list: [EchoInput!] }
type Mutation { touch(n: Int): Int! }
type Subscription { ticks(count: Int = 3): Tick! forever: Tick! refused: Tick! expires: Tick! log(after: String): Entry! }
type Entry { cursor: String! n: Int! }
type Tick { n: Int! }
`

// testSchema runs testSDL by hand: every scalar has a value, every object is
// there, and every list has two items.
type testSchema struct {
	schema *ast.Schema
	// waiting is closed once a resolver of "wait" waits; release ends it.
	waiting, release chan struct{}
}

func newTestSchema() *testSchema {
	return &testSchema{
		schema:  gqlparser.MustLoadSchema(&ast.Source{Input: testSDL}),
		waiting: make(chan struct{}, 100), release: make(chan struct{}),
	}
}

func (s *testSchema) Schema() *ast.Schema { return s.schema }

func (s *testSchema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (s *testSchema) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation.Operation == ast.Subscription {
		return s.subscribe(ctx, op)
	}
	root := s.schema.Query
	if op.Operation.Operation == ast.Mutation {
		root = s.schema.Mutation
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		var b bytes.Buffer
		s.object(ctx, op, &b, root, op.Operation.SelectionSet)
		return &graphql.Response{Data: b.Bytes()}
	}
}

func (s *testSchema) subscribe(ctx context.Context, op *graphql.OperationContext) graphql.ResponseHandler {
	field := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})[0]
	if field.Name == "refused" {
		graphql.AddError(ctx, parcel.Invalidf(parcel.FaultMalformed, "after", "not a cursor"))
		return nil
	}
	count := int64(1 << 60)
	if field.Name == "ticks" {
		count, _ = field.ArgumentMap(op.Variables)["count"].(int64)
	}
	n := int64(0)
	if field.Name == "log" { // three entries, whose cursors are c1 to c3
		if after, ok := field.ArgumentMap(op.Variables)["after"].(string); ok {
			n, _ = strconv.ParseInt(strings.TrimPrefix(after, "c"), 10, 64)
		}
		count = 3
	}
	return func(ctx context.Context) *graphql.Response {
		if n++; n > count {
			return nil
		}
		if field.Name == "expires" && n > 1 {
			graphql.AddError(ctx, &graph.CursorExpired{Oldest: "c"})
			return &graphql.Response{}
		}
		if field.Name == "forever" && n > 1 {
			select {
			case <-s.release:
			case <-ctx.Done():
				return nil
			}
		}
		if field.Name == "log" {
			entry := map[string]any{}
			for _, f := range graphql.CollectFields(op, field.Selections, []string{"Entry"}) {
				entry[f.Alias] = map[string]any{"cursor": fmt.Sprint("c", n), "n": n}[f.Name]
			}
			data, err := json.Marshal(map[string]any{field.Alias: entry})
			if err != nil {
				panic(err)
			}
			return &graphql.Response{Data: data}
		}
		return &graphql.Response{Data: fmt.Appendf(nil, `{%q:{"n":%d}}`, field.Alias, n)}
	}
}

func (s *testSchema) object(ctx context.Context, op *graphql.OperationContext, b *bytes.Buffer, on *ast.Definition, set ast.SelectionSet) {
	satisfies := []string{on.Name}
	for _, i := range s.schema.GetImplements(on) {
		satisfies = append(satisfies, i.Name)
	}
	b.WriteByte('{')
	for i, f := range graphql.CollectFields(op, set, satisfies) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", f.Alias)
		s.field(ctx, op, b, on, f)
	}
	b.WriteByte('}')
}

func (s *testSchema) field(ctx context.Context, op *graphql.OperationContext, b *bytes.Buffer, on *ast.Definition, f graphql.CollectedField) {
	switch f.Name {
	case "__typename":
		b.WriteString(strconv.Quote(on.Name))
		return
	case "__schema", "__type":
		if op.DisableIntrospection {
			panic("introspection is disabled")
		}
		b.WriteString("{}")
		return
	}
	if on == s.schema.Query || on == s.schema.Mutation {
		text, err := s.root(ctx, op, f)
		if err != nil {
			graphql.AddError(graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: f, Object: on.Name}), err)
			b.WriteString("null")
			return
		}
		if text != nil {
			encoded, _ := json.Marshal(*text)
			b.Write(encoded)
			return
		}
	}
	if f.Name == "who" {
		v := graph.ViewerFrom(ctx)
		fmt.Fprintf(b, `{"kind":%q,"merchant":%q,"locale":%q}`, v.Kind, v.MerchantID, v.Locale)
		return
	}
	t := s.schema.Types[f.Definition.Type.Name()]
	if t.IsAbstractType() {
		t = s.schema.GetPossibleTypes(t)[0]
	}
	one := func() {
		if t.IsCompositeType() {
			s.object(ctx, op, b, t, f.Selections)
		} else if t.Name == "Int" || t.Name == "Float" {
			b.WriteString("1")
		} else {
			b.WriteString(`"x"`)
		}
	}
	if f.Definition.Type.Elem == nil {
		one()
		return
	}
	b.WriteByte('[')
	one()
	b.WriteByte(',')
	one()
	b.WriteByte(']')
}

func (s *testSchema) root(ctx context.Context, op *graphql.OperationContext, f graphql.CollectedField) (*string, error) {
	text := func(t string) (*string, error) { return &t, nil }
	switch f.Name {
	case "hello":
		return text("world")
	case "echo":
		t, _ := f.ArgumentMap(op.Variables)["text"].(string)
		return text(t)
	case "fail":
		return nil, fmt.Errorf("no such thing: %w", parcel.ErrNotFound)
	case "hidden":
		return nil, errors.New("password of the database is hunter2")
	case "boom":
		panic("hunter2")
	case "wait":
		s.waiting <- struct{}{}
		select {
		case <-s.release:
			return text("released")
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Second):
			return text("nobody came")
		}
	case "context":
		t, _ := ctx.Value(loaderKey{}).(string)
		return text(t)
	}
	return nil, nil
}

type loaderKey struct{}
