package plan_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/plan"
)

func parse(t *testing.T, source string) *ast.QueryDocument {
	t.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: source})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func rootOf(doc *ast.QueryDocument) ast.SelectionSet { return doc.Operations[0].SelectionSet }

func TestCacheKeepsWhatFollowsFromTheDocument(t *testing.T) {
	for _, c := range []struct {
		name, source string
		kept         bool
	}{
		{"plain", "{ a b(x: 1) { c } }", true},
		{"variable in an argument", "query($v: Int) { a b(x: $v) }", false},
		{"variable inside an object", "query($v: Int) { a(x: { y: [1, $v] }) }", false},
		{"variable in a directive", "query($v: Boolean!) { a @skip(if: $v) }", false},
		{"variable on an inline fragment", "query($v: Boolean!) { ... @include(if: $v) { a } }", false},
		{"variable below", "query($v: Int) { a { b { c(x: $v) } } }", false},
		{"variable in a fragment", "query($v: Int) { ...f } fragment f on T { a(x: $v) }", false},
		{"variable on a spread", "query($v: Boolean!) { ...f @skip(if: $v) } fragment f on T { a }", false},
		{"fragments in a ring", "{ ...f } fragment f on T { a ...g } fragment g on T { ...f }", true},
		{"variable declared and not used", "query($v: Int) { a }", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache, doc := plan.NewCache(), parse(t, c.source)
			sel, p := rootOf(doc), new(int)
			if _, known := cache.Find(doc, "T", sel); known {
				t.Error("known before it was kept")
			}
			cache.Keep(doc, "T", sel, p)
			got, known := cache.Find(doc, "T", append(ast.SelectionSet{}, sel...))
			if !known || (got == p) != c.kept {
				t.Errorf("got %v %v", got, known)
			}
			if _, known := cache.Find(doc, "U", sel); known {
				t.Error("known as another type")
			}
			if _, known := cache.Find(parse(t, c.source), "T", sel); known {
				t.Error("known of another document")
			}
			runtime.KeepAlive(doc)
		})
	}
}

// Two selections that begin alike are two.
func TestCacheTellsSelectionsApart(t *testing.T) {
	cache, doc := plan.NewCache(), parse(t, "{ a b c }")
	all := rootOf(doc)
	ab, ac := ast.SelectionSet{all[0], all[1]}, ast.SelectionSet{all[0], all[2]}
	first, second := new(int), new(int)
	cache.Keep(doc, "T", ab, first)
	if _, known := cache.Find(doc, "T", ac); known {
		t.Error("a c is known by a b")
	}
	cache.Keep(doc, "T", ac, second)
	cache.Keep(doc, "T", ab, new(int)) // the first one stays
	for _, c := range []struct {
		sel  ast.SelectionSet
		want *int
	}{{ab, first}, {ac, second}} {
		if got, _ := cache.Find(doc, "T", c.sel); got != c.want {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}

// What is kept of a document goes with it.
func TestCacheForgets(t *testing.T) {
	cache := plan.NewCache()
	for range 50 {
		doc := parse(t, "{ a }")
		cache.Keep(doc, "T", rootOf(doc), new(int))
	}
	for deadline := time.Now().Add(10 * time.Second); cache.Len() > 0; runtime.Gosched() {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("%d documents are still held", cache.Len())
		}
	}
}

func field(alias string) *graphql.CollectedField {
	return &graphql.CollectedField{Field: &ast.Field{Name: alias, Alias: alias}}
}

func TestRun(t *testing.T) {
	type leg struct {
		n    int
		name string
	}
	o := plan.New[leg](3)
	o.Constant(field("__typename"), "Leg")
	o.Add(field("n"), func(w *plan.Writer, l leg) { w.Int(l.n) })
	o.Add(field("name\""), func(w *plan.Writer, l leg) {
		if !w.May(graph.CostsRead, l.name) {
			return
		}
		w.Text(l.name)
	})
	o.Constant(field("__typename"), "twice")
	viewer := &graph.Viewer{MerchantID: "mine", Scopes: []graph.Scope{graph.CostsRead}}
	list := func(legs ...leg) func(*plan.Writer) {
		return func(w *plan.Writer) { plan.List(w, legs, o.Write) }
	}
	m, ok := plan.Run(viewer, list(leg{1, "mine"}, leg{2, "mine"}))
	if !ok {
		t.Fatal("gave up")
	}
	var b bytes.Buffer
	m.MarshalGQL(&b)
	if want := `[{"__typename":"Leg","n":1,"name\"":"mine"},{"__typename":"Leg","n":2,"name\"":"mine"}]`; b.String() != want {
		t.Errorf("%s, want %s", &b, want)
	}
	if _, ok := plan.Run(viewer, list(leg{1, "mine"}, leg{2, "another's"})); ok {
		t.Error("wrote what the viewer may not see")
	}
	if m, ok := plan.Run(viewer, list()); !ok {
		t.Error("gave up on nothing")
	} else if b.Reset(); true {
		m.MarshalGQL(&b)
		if b.String() != "[]" {
			t.Errorf("nothing is %s", &b)
		}
	}
}

// Buffers are reused, and never while somebody still reads them.
func TestBuffersStayApart(t *testing.T) {
	var work sync.WaitGroup
	for g := range 8 {
		work.Go(func() {
			for n := range 200 {
				text := strings.Repeat(fmt.Sprint(g, n, " "), 1+n)
				m, _ := plan.Run(&graph.Viewer{}, func(w *plan.Writer) { w.Text(text) })
				other, _ := plan.Run(&graph.Viewer{}, func(w *plan.Writer) { w.Text("other") })
				var b bytes.Buffer
				m.MarshalGQL(&b)
				other.MarshalGQL(&b)
				if b.String() != `"`+text+`""other"` {
					t.Errorf("goroutine %d: %q", g, &b)
				}
			}
		})
	}
	work.Wait()
}
