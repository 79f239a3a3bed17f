package gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// chained is a document of n fragments, each of which spreads the next one
// twice: some 38 n bytes that stand for 2^n fields.
func chained(n int, root, leaf string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{%s{...f0}}", root)
	for i := range n - 1 {
		fmt.Fprintf(&b, "fragment f%d on Parcel{...f%d ...f%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment f%d on Parcel{%s}", n-1, leaf)
	return b.String()
}

func TestLimits(t *testing.T) {
	g := start(t, nil)
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
		}
		return b.String()
	}
	nested := func(n int) string {
		return "{parcel" + strings.Repeat("{parent", n) + "{id}" + strings.Repeat("}", n) + "}"
	}
	tests := []struct {
		name, query string
		want        string // the limit; "" is let through
	}{
		{"as deep as allowed", nested(13), ""},
		{"too deep", nested(14), "depth"},
		{"too deep by way of fragments", "{parcel{...a}} fragment a on Parcel{parent{parent{parent{parent{parent{parent{parent{...b}}}}}}}} fragment b on Parcel{parent{parent{parent{parent{parent{parent{parent{id}}}}}}}}", "depth"},
		{"as many aliases as allowed", "{parcel{" + repeat(30, "a%d:id ") + "}}", ""},
		{"too many aliases", "{parcel{" + repeat(31, "a%d:id ") + "}}", "aliases"},
		{"an alias that renames nothing", "{parcel{" + repeat(31, "id:id ") + "}}", ""},
		{"too many aliases in a fragment that is not used", "{hello} fragment a on Parcel{" + repeat(31, "a%d:id ") + "}", "aliases"},
		{"too many root fields", "{" + repeat(21, "hello ") + "}", "root fields"},
		{"too many root fields by way of fragments", "{...a ...a ...a} fragment a on Query{" + repeat(7, "hello ") + "}", "root fields"},
		{"too many directives", "{hello" + repeat(101, "@a%d") + "}", "directives"},
		{"too many fragments", "{hello}" + repeat(201, "fragment f%d on Query{hello}"), "fragments"},
		{"too many operations", repeat(21, "query q%d{hello}"), "operations"},
		{"too many variables", "query(" + repeat(101, "$v%d:Int ") + "){hello}", "variables"},
		{"too many fields", "{parcel{" + repeat(4001, "id ") + "}}", "selections"},
		{"too many tokens", "{parcel{" + repeat(15_000, "id ") + "}}", "tokens"},
		{"too many comments", "{hello}" + repeat(15_000, "#\n"), "tokens"},
		{"too many tokens in a value", "{echo(input:{list:[" + repeat(15_000, "{}") + "]})}", "tokens"},
		{"too long", "{hello}" + strings.Repeat(" ", 256<<10), "document bytes"},
		{"28 chained fragments", chained(28, "parcel", "id"), "selections"},
		{"28 chained fragments about the schema", strings.NewReplacer("Parcel", "__Type", "id", "name").Replace(chained(28, `__type(name:"Parcel")`, "id")), "selections"},
		{"200 chained fragments", chained(200, "parcel", "id"), "selections"},
		{"more bytes in the same", strings.ReplaceAll(chained(150, "parcel", "id"), "{...f", "{id ...f"), "selections"},
		{"9 chained fields of lists", strings.ReplaceAll(chained(9, "parcel", "id"), "...", "... on Parcel{related{nodes{id}} parent{id}} ..."), "cost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begin := time.Now()
			a := g.ask(tt.query, nil)
			if took := time.Since(begin); took > 500*time.Millisecond {
				t.Errorf("%d bytes took %v", len(tt.query), took)
			}
			if tt.want == "" {
				if a.status != 200 {
					t.Errorf("status %d: %s", a.status, a.body)
				}
				return
			}
			if a.status != 400 || a.code() != "QUERY_TOO_COSTLY" || !strings.Contains(a.body, fmt.Sprintf(`"limit":%q`, tt.want)) {
				t.Errorf("status %d, want limit %q: %.300s", a.status, tt.want, a.body)
			}
		})
	}
}

// TestHostileDocumentsAreValidatedInTime holds documents that are within every
// limit, and made to be slow to validate, to a time in which an honest server
// answers.
func TestHostileDocumentsAreValidatedInTime(t *testing.T) {
	g := start(t, func(o *Options) { o.Limits.Cost = 1e9 })
	tests := map[string]string{
		"one field 3,900 times":              "{parcel{" + strings.Repeat("id ", 3900) + "}}",
		"one field 1,300 times with another": "{parcel{" + strings.Repeat("parent{id} ", 1300) + "}}",
		"60 x 60 inline fragments":           "{parcel{" + strings.Repeat("...on Parcel{"+strings.Repeat("...on Parcel{id}", 30)+"}", 60) + "}}",
		"nested pairs": func() string {
			s := "id"
			for range 10 {
				s = "parent{" + s + "}" + "parent{" + s + "}"
			}
			return "{parcel{" + s + "}}"
		}(),
		"an abstract field beside many objects": func() string {
			s := "id"
			for range 6 {
				s = "related{nodes{" + s + "}}" + strings.Repeat("...on Parcel{related{nodes{id}}}", 20)
			}
			return "{nodes(ids:[]){...on Parcel{" + s + "}}}"
		}(),
		"3,000 unknown fields": func() string {
			var b strings.Builder
			for i := range 3000 {
				fmt.Fprintf(&b, "x%d ", i)
			}
			return "{parcel{" + b.String() + "}}"
		}(),
		"200 fragments that spread each other": func() string {
			var b strings.Builder
			b.WriteString("{parcel{...f0}}")
			for i := range 199 {
				fmt.Fprintf(&b, "fragment f%d on Parcel{id name ...f%d}", i, i+1)
			}
			return b.String() + "fragment f199 on Parcel{id}"
		}(),
		"a large literal": "{echo(input:{list:[" + strings.Repeat(`{text:"x"}`, 2900) + "]})}",
		"two large literals under one name": func() string {
			s := "echo(input:{list:[" + strings.Repeat(`{text:"x"}`, 1400) + "]}) "
			return "{" + s + s + "}"
		}(),
		"2,000 arguments": func() string {
			var b strings.Builder
			for i := range 2000 {
				fmt.Fprintf(&b, "a%d:1 ", i)
			}
			return "{echo(" + b.String() + ")}"
		}(),
	}
	for name, query := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			a := g.ask(query, nil)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%d bytes took %v: %.200s", len(query), took, a.body)
			} else {
				t.Logf("%d bytes: %v, status %d, %d bytes of answer", len(query), took.Round(time.Millisecond), a.status, len(a.body))
			}
			if len(a.body) > 100<<10 && a.status != 200 {
				t.Errorf("%d bytes of errors", len(a.body))
			}
		})
	}
}

func TestFragmentCircles(t *testing.T) {
	g := start(t, nil)
	for _, query := range []string{
		"{parcel{...a}} fragment a on Parcel{...a}",
		"{parcel{...a}} fragment a on Parcel{parent{...b}} fragment b on Parcel{parent{...a}}",
		"{hello} fragment a on Parcel{...b} fragment b on Parcel{...a}",
	} {
		if a := g.ask(query, nil); a.status != 400 || a.code() != "VALIDATION_FAILED" {
			t.Errorf("%s: status %d: %s", query, a.status, a.body)
		}
	}
	if a := g.ask("{parcel{...a}} fragment a on Parcel{id} fragment a on Parcel{name}", nil); a.code() != "VALIDATION_FAILED" {
		t.Errorf("two fragments of one name: %s", a.body)
	}
}

func TestNestingOfVariables(t *testing.T) {
	g := start(t, nil)
	body := `{"query":"{hello}","variables":{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}}`
	if a := g.do(g.request("POST", "/graphql", body)); a.status != 400 || a.code() != "INVALID_INPUT" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

// TestIntrospectionFits asks what tools ask that draw or check a schema.
func TestIntrospectionFits(t *testing.T) {
	names, err := filepath.Glob("testdata/introspection*.graphql")
	if err != nil || len(names) == 0 {
		t.Fatal("no introspection queries", err)
	}
	g := start(t, nil)
	for _, name := range names {
		query, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if a := g.ask(string(query), nil); a.status != 200 {
			t.Errorf("%s: status %d: %s", name, a.status, a.body)
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, query := range []string{
		"{ hello }", chained(5, "parcel", "id"), "{parcel{...a}} fragment a on Parcel{...a}",
		"query($a:Int=3){parcels(first:$a){nodes{id legs{code}}}}", "{a:hello a:who{kind}}", "subscription{ticks{n}}",
		`{echo(input:{list:[{heavy:"x"}]})}`, "{thing{...on Parcel{id}...on Score{id}}}", "{__schema{types{name}}}",
	} {
		f.Add(query)
	}
	gate, err := New(Options{Schema: newTestSchema(), OpenSchema: true, Public: []string{
		"hello", "echo", "who", "parcel", "parcels", "scores", "nodes", "thing", "many", "unlisted", "touch", "ticks", "track"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		begin := time.Now()
		op, no := gate.prepare(t.Context(), nobody(""), &request{query: query}, nil)
		if took := time.Since(begin); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		if (op == nil) == (no == nil) {
			t.Fatal("neither let through nor refused")
		}
		if no != nil {
			for _, e := range no.errors {
				if e.Extensions["code"] == "INTERNAL" {
					t.Fatalf("%v", e)
				}
			}
		}
	})
}

// shapeOf is checkShape on text, for benchmarks and tests of its own.
func shapeOf(t testing.TB, text string, l Limits) error {
	t.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		t.Fatal(err)
	}
	l, err = l.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return checkShape(doc, &l)
}

func TestShapeSaturates(t *testing.T) {
	var over *excess
	if err := shapeOf(t, chained(150, "parcel", "id"), Limits{}); !errors.As(err, &over) || over.got != 0 {
		t.Errorf("got %v: a number that does not fit was told", err)
	}
	if err := shapeOf(t, chained(14, "parcel", "id"), Limits{}); !errors.As(err, &over) || over.got != 3<<13 {
		t.Errorf("got %v, want 3 x 2^13 selections", err)
	}
	if _, err := (Limits{Depth: -1}).withDefaults(); err == nil {
		t.Error("a negative limit was taken")
	}
}
