package resolvers_test

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

const timelineQuery = `query($id: ID!) { shipment(id: $id) {
  id reference milestone outcome health headline { value } origin { country city } destination { country city }
  legs { id sequence stage state trackingNumber carrier { code name } startedAt endedAt }
  timeline(first: 50) { nodes { id code stage label { value } place { country city facility } occurredAt local { text offset certainty } original { code text } } pageInfo { hasNextPage endCursor } }
} }`

const pageQuery = `{ shipments(first: 50) { nodes {
  id reference milestone health
  legs { sequence stage state trackingNumber carrier { code } }
  latestEvent { code label { value } occurredAt local { text offset } place { country city } }
} pageInfo { hasNextPage endCursor } } }`

func BenchmarkTimeline(b *testing.B) { benchmark(b, 1, timelineQuery) }
func BenchmarkPage(b *testing.B)     { benchmark(b, 60, pageQuery) }

func benchmark(b *testing.B, shipments int, query string) {
	w := newWorld(b)
	v := w.merchant("lantern")
	var s *parcel.Shipment
	for n := range shipments {
		s = w.put(v, n, 12)
	}
	for name, schema := range map[string]graphql.ExecutableSchema{"planned": w.r.Schema(), "plain": w.r.PlainSchema()} {
		b.Run(name, func(b *testing.B) {
			exec := w.executor(schema)
			exec.SetQueryCache(lru.New[*ast.QueryDocument](10))
			variables := map[string]any{"id": shipmentID(s)}
			if a := askWith(b, exec, v, query, variables); len(a.Errors) > 0 || len(a.Data) < 1000 {
				b.Fatalf("%v %s", a.Errors, a.Data)
			}
			b.ReportAllocs()
			for b.Loop() {
				execute(b, exec, v, query, variables)
			}
		})
	}
}

func execute(b *testing.B, exec *executor.Executor, v graph.Viewer, query string, variables map[string]any) {
	ctx := graphql.StartOperationTrace(graph.WithViewer(b.Context(), v))
	op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		b.Fatal(errs)
	}
	responses, ctx := exec.DispatchOperation(ctx, op)
	if r := responses(ctx); len(r.Errors) > 0 {
		b.Fatal(r.Errors)
	}
}
