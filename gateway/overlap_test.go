package gateway

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
	"pgregory.net/rapid"
)

const overlapSDL = `
type Query { pet: Pet dog: Dog cat: Cat other(a: Int, in: In, list: [Int]): Dog }
input In { x: Int y: Int }
interface Pet { name(upper: Boolean): String friend: Pet age: Int! }
type Dog implements Pet { name(upper: Boolean): String friend: Pet age: Int! barks: Int owner: Person dog: Dog }
type Cat implements Pet { name(upper: Boolean): String friend: Pet age: Int! meows: String owner: [Person] dog: Dog }
type Person { name: String pet: Pet }
`

// merges tells whether the rule lets a document pass, and what it says if not.
func merges(schema *ast.Schema, rule core.Rule, text string) (bool, string) {
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	found := validator.ValidateWithRules(schema, doc, rules.NewRules(rule))
	if len(found) == 0 {
		return true, ""
	}
	return false, found[0].Message
}

func TestFieldsMerge(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: overlapSDL})
	tests := []struct {
		name, query string
		want        string // part of the error
	}{
		{"one field twice", "{dog{name name}}", ""},
		{"the same arguments", "{dog{name(upper:true) name(upper:true)}}", ""},
		{"other arguments", "{dog{name(upper:true) name(upper:false)}}", "differing arguments"},
		{"arguments and none", "{dog{name(upper:true) name}}", "differing arguments"},
		{"the same variable", "query($u:Boolean){dog{name(upper:$u) name(upper:$u)}}", ""},
		{"another variable", "query($u:Boolean,$v:Boolean){dog{name(upper:$u) name(upper:$v)}}", "differing arguments"},
		{"an alias for two fields", "{dog{x:name x:barks}}", `"name" and "barks" are different fields`},
		{"an alias that hides a field", "{dog{name:barks name}}", "different fields"},
		{"two objects that never meet", "{pet{...on Dog{x:name(upper:true)} ...on Cat{x:name(upper:false)}}}", ""},
		{"two objects with fields of another shape", "{pet{...on Dog{x:barks} ...on Cat{x:meows}}}", "conflicting types"},
		{"two objects, deep below", "{pet{...on Dog{x:dog{y:barks}} ...on Cat{x:dog{y:name}}}}", "conflicting types"},
		{"two objects, other fields of one shape deep below", "{pet{...on Dog{x:dog{y:barks}} ...on Cat{x:dog{y:barks}}}}", ""},
		{"a list and none", "{pet{...on Dog{owner{name}} ...on Cat{owner{name}}}}", "conflicting types"},
		{"null and none", "{pet{...on Dog{x:age} ...on Cat{x:age} ...on Dog{y:barks} ...on Cat{y:age}}}", `conflicting types "Int" and "Int!"`},
		{"an interface meets its object", "{pet{name(upper:true) ...on Dog{name(upper:false)}}}", "differing arguments"},
		{"the same below one field twice", "{dog{friend{name(upper:true)}} dog{friend{name(upper:false)}}}", "differing arguments"},
		{"by way of fragments", "{dog{...a ...b}} fragment a on Dog{x:name} fragment b on Dog{x:barks}", "different fields"},
		{"a fragment that is spread twice", "{dog{...a dog{...a}}} fragment a on Dog{x:name}", ""},
		{"fragments far away", "{dog{dog{...a}} dog{dog{...b}}} fragment a on Dog{friend{x:name}} fragment b on Dog{friend{x:age}}", "different fields"},
		{"objects as literals, in another order", "{other(in:{x:1,y:2}){name} other(in:{y:2,x:1}){name}}", ""},
		{"objects as literals that differ", "{other(in:{x:1}){name} other(in:{x:2}){name}}", "differing arguments"},
		{"lists as literals that differ", "{other(list:[1,2]){name} other(list:[2,1]){name}}", "differing arguments"},
		{"a leaf and an object", "{pet{...on Dog{x:barks} ...on Cat{x:dog{name}}}}", "conflicting types"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ok, got := merges(schema, fieldsMergeRule(), tt.query)
			if ok != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// specification is the rule as the specification writes it: every pair of
// fields, and for each what the two select.
type specification struct{ schema *ast.Schema }

func (s specification) fields(set ast.SelectionSet, to map[string][]*ast.Field) map[string][]*ast.Field {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			to[selection.Alias] = append(to[selection.Alias], selection)
		case *ast.InlineFragment:
			s.fields(selection.SelectionSet, to)
		case *ast.FragmentSpread:
			s.fields(selection.Definition.SelectionSet, to)
		}
	}
	return to
}

func (s specification) canMerge(sets ...ast.SelectionSet) bool {
	all := map[string][]*ast.Field{}
	for _, set := range sets {
		s.fields(set, all)
	}
	for _, fields := range all {
		for i, a := range fields {
			if !s.canMerge(a.SelectionSet) {
				return false
			}
			for _, b := range fields[i+1:] {
				if !s.sameShape(a, b) {
					return false
				}
				if a.ObjectDefinition == b.ObjectDefinition || a.ObjectDefinition.Kind != ast.Object || b.ObjectDefinition.Kind != ast.Object {
					if a.Name != b.Name || !sameArguments(a.Arguments, b.Arguments) || !s.canMerge(a.SelectionSet, b.SelectionSet) {
						return false
					}
				}
			}
		}
	}
	return true
}

func (s specification) sameShape(a, b *ast.Field) bool {
	ta, tb := a.Definition.Type, b.Definition.Type
	for {
		if ta.NonNull != tb.NonNull || (ta.Elem == nil) != (tb.Elem == nil) {
			return false
		}
		if ta.Elem == nil {
			break
		}
		ta, tb = ta.Elem, tb.Elem
	}
	da, db := s.schema.Types[ta.NamedType], s.schema.Types[tb.NamedType]
	if da.IsLeafType() || db.IsLeafType() {
		return da == db
	}
	all := s.fields(b.SelectionSet, s.fields(a.SelectionSet, map[string][]*ast.Field{}))
	for _, fields := range all {
		for i, a := range fields {
			for _, b := range fields[i+1:] {
				if !s.sameShape(a, b) {
					return false
				}
			}
		}
	}
	return true
}

// drawOverlap writes a random document whose fields often meet.
func drawOverlap(t *rapid.T, schema *ast.Schema) string {
	var b strings.Builder
	kinds := []string{"Dog", "Cat", "Pet"}
	fragments := rapid.IntRange(0, 3).Draw(t, "fragments")
	budget := 25
	var set func(on string, depth, next int)
	set = func(on string, depth, next int) {
		b.WriteString("{__typename ")
		defer b.WriteString("}")
		for range rapid.IntRange(1, 3).Draw(t, "fields") {
			if budget--; budget < 0 || depth > 3 {
				return
			}
			switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
			case kind == 0 && next < fragments && on != "Person":
				fmt.Fprintf(&b, "...f%d ", rapid.IntRange(next, fragments-1).Draw(t, "spread"))
			case kind == 1 && on != "Person":
				to := rapid.SampledFrom(kinds).Draw(t, "to")
				b.WriteString("...on " + to)
				set(to, depth+1, next)
			default:
				f := rapid.SampledFrom(schema.Types[on].Fields).Draw(t, "field")
				b.WriteString(rapid.SampledFrom([]string{"", "x:", "y:"}).Draw(t, "alias") + f.Name)
				if f.Arguments.ForName("upper") != nil {
					b.WriteString(rapid.SampledFrom([]string{"", "(upper:true)"}).Draw(t, "argument"))
				}
				if target := schema.Types[f.Type.Name()]; target.IsCompositeType() {
					set(target.Name, depth+1, next)
				}
				b.WriteByte(' ')
			}
		}
	}
	b.WriteString("{pet")
	set("Pet", 0, 0)
	b.WriteString("}")
	for i := range fragments {
		on := rapid.SampledFrom(kinds).Draw(t, "on")
		fmt.Fprintf(&b, " fragment f%d on %s", i, on)
		set(on, 0, i+1)
	}
	return b.String()
}

func TestFieldsMergeAgainstSpecification(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: overlapSDL})
	agreed := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		text := drawOverlap(t, schema)
		got, why := merges(schema, fieldsMergeRule(), text)
		doc, err := parser.ParseQuery(&ast.Source{Input: text})
		if err != nil {
			t.Fatal(err)
		}
		validator.ValidateWithRules(schema, doc, rules.NewRules()) // fills in definitions
		want := specification{schema}.canMerge(doc.Operations[0].SelectionSet)
		if got != want {
			t.Fatalf("%s\nmerges: %v (%s), by the specification %v", text, got, why, want)
		}
		agreed[want]++
	})
	if agreed[true] == 0 || agreed[false] == 0 {
		t.Errorf("the documents were all alike: %v", agreed)
	}
}
