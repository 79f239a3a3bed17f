package graph_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/generated"
	"github.com/milepost-gateway/milepost/parcel"
)

func schema() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }

// Whoever reads the schema finds a sentence at everything in it.
func TestEverythingIsDescribed(t *testing.T) {
	said := func(name, text string) {
		t.Helper()
		if text == "" || !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "`") && !strings.HasSuffix(text, ")") {
			t.Errorf("%s: description %q is missing or no sentence", name, text)
		}
	}
	s := schema()
	for _, def := range s.Types {
		if def.BuiltIn || strings.HasPrefix(def.Name, "__") {
			continue
		}
		said(def.Name, def.Description)
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			said(def.Name+"."+f.Name, f.Description)
			for _, unit := range []string{"Seconds", "Hours", "Ms", "Mm", "Grams", "Bytes"} {
				word := map[string]string{"Ms": "milliseconds", "Mm": "millimetres"}[unit]
				if word == "" {
					word = strings.ToLower(unit)
				}
				if strings.HasSuffix(f.Name, unit) && def.Kind == ast.Object && !strings.Contains(strings.ToLower(f.Description), strings.TrimSuffix(word, "s")) && f.Name != "widthMm" && f.Name != "heightMm" {
					t.Errorf("%s.%s: %q does not name its unit", def.Name, f.Name, f.Description)
				}
			}
		}
		for _, v := range def.EnumValues {
			said(def.Name+"."+v.Name, v.Description)
		}
	}
	for _, d := range s.Directives {
		if d.Position == nil || d.Position.Src.BuiltIn {
			continue
		}
		said("@"+d.Name, d.Description)
		for _, a := range d.Arguments {
			said("@"+d.Name+"."+a.Name, a.Description)
		}
	}
}

// The schema's words are the language's, none more and none less.
func TestEnumsAreTheLanguage(t *testing.T) {
	for name, want := range map[string][]string{
		"Scope":             texts(graph.Scopes()),
		"Milestone":         texts(parcel.Milestones()),
		"Stage":             texts(parcel.Stages()),
		"ExceptionKind":     texts(parcel.ExceptionKinds()),
		"TrackingHealth":    texts(parcel.Healths()),
		"Vocabulary":        texts(parcel.Vocabularies()),
		"TrackingEventCode": append(texts(parcel.Codes()), string(parcel.CodeUnknown)),
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range schema().Types[name].EnumValues {
				got = append(got, v.Name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-language +schema):\n%s", diff)
			}
		})
	}
	valid := map[string]func(string) bool{
		"Outcome":        func(s string) bool { return parcel.Outcome(s).Valid() },
		"Severity":       func(s string) bool { return parcel.Severity(s).Valid() },
		"EventReason":    func(s string) bool { return parcel.Reason(s).Valid() },
		"DeliveredTo":    func(s string) bool { return parcel.DeliveredTo(s).Valid() },
		"GoodsAttribute": func(s string) bool { return parcel.GoodsAttribute(s).Valid() },
	}
	for name, is := range valid {
		for _, v := range schema().Types[name].EnumValues {
			if !is(v.Name) {
				t.Errorf("%s.%s is no word of the language", name, v.Name)
			}
		}
	}
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}

// Every list has a bound that is known before it is read.
func TestListsAreBounded(t *testing.T) {
	s := schema()
	// Short by their nature, or bounded by what made them.
	short := []string{"formerTrackingNumbers", "tags", "addressLines", "hsCodes", "attributes", "stages", "capabilities", "needs", "scopes", "path", "userErrors", "results", "nodes", "edges"}
	for _, def := range s.Types {
		if def.Kind != ast.Object || strings.HasPrefix(def.Name, "__") {
			continue
		}
		for _, f := range def.Fields {
			page := strings.HasSuffix(f.Type.Name(), "Connection")
			if f.Type.Elem == nil && !page || strings.HasPrefix(f.Name, "__") {
				continue
			}
			size := f.Directives.ForName("listSize")
			if size == nil && !slices.Contains(short, f.Name) {
				t.Errorf("%s.%s: a list without @listSize", def.Name, f.Name)
			}
			for _, name := range []string{"first", "last"} {
				if a := f.Arguments.ForName(name); a != nil && (a.Directives.ForName("limit") == nil || a.Directives.ForName("limit").Arguments.ForName("max").Value.Raw != "100") {
					t.Errorf("%s.%s(%s:): not bounded by 100", def.Name, f.Name, name)
				}
			}
		}
	}
	for _, def := range s.Types {
		if def.Kind != ast.InputObject {
			continue
		}
		for _, f := range def.Fields {
			if (f.Type.Elem != nil || f.Type.Name() == "String" || f.Type.Name() == "Int") && f.Directives.ForName("limit") == nil {
				t.Errorf("%s.%s: an input without @limit", def.Name, f.Name)
			}
		}
	}
}
