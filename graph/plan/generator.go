//go:build ignore

// This program writes what gqlgen makes of the schema, and beside it the plans:
// for each type a function that compiles a selection into writers. Run it with
// go generate ./graph/...
package main

import (
	_ "embed"
	"fmt"
	"go/types"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed plan.gotpl
var template string

func main() {
	log.SetFlags(0)
	// go generate runs in graph/; the configuration's paths begin at the root.
	if err := os.Chdir(".."); err != nil {
		log.Fatal(err)
	}
	cfg, err := config.LoadConfig("gqlgen.yml")
	if err != nil {
		log.Fatal(err)
	}
	if err := api.Generate(cfg, api.AddPlugin(plans{})); err != nil {
		log.Fatal(err)
	}
}

type plans struct{}

func (plans) Name() string { return "plans" }

// GenerateCode writes generated/plan.generated.go.
func (plans) GenerateCode(data *codegen.Data) error {
	m := &model{data: data}
	for _, o := range data.Objects {
		if o.Root || o.IsReserved() || strings.HasPrefix(o.Name, "__") {
			continue
		}
		m.Objects = append(m.Objects, m.object(o))
	}
	for _, name := range slices.Sorted(keys(data.Interfaces)) {
		m.Abstracts = append(m.Abstracts, m.abstract(data.Interfaces[name]))
	}
	m.entries()
	return templates.Render(templates.Options{
		PackageName:     data.Config.Exec.Package,
		Filename:        filepath.Join(data.Config.Exec.DirName, "plan.generated.go"),
		Template:        template,
		Data:            m,
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
	})
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// model is what the template reads.
type model struct {
	data      *codegen.Data
	Objects   []*object
	Abstracts []*abstract
	Entries   []entry
}

// object is a type with its fields.
type object struct {
	*codegen.Object
	// Handle is the Go type that its plan takes: the view itself, or a pointer
	// where its methods want one.
	Handle types.Type
	// Owned tells that it has an owner, whom scopes are asked for.
	Owned  bool
	Fields []*planned
}

// abstract is an interface or union.
type abstract struct {
	*codegen.Interface
	Cases []abstractCase
}

type abstractCase struct {
	Object *object
	// Type is a Go type that may stand in the interface; Ref turns it into the
	// plan's handle.
	Type types.Type
	Ref  string
}

// Kinds are the types that it may be, each once.
func (a *abstract) Kinds() (out []*object) {
	for _, c := range a.Cases {
		if !slices.Contains(out, c.Object) {
			out = append(out, c.Object)
		}
	}
	return out
}

// planned is a field that a plan can write.
type planned struct {
	*codegen.Field
	// Scope is what @requiresScope asks for; empty without it.
	Scope string
	// Sub is the plan of its type: an object's or an abstract one's; empty for
	// leaves.
	Sub string
}

// entry is a Go type from which a plan may take over.
type entry struct {
	Type  types.Type
	Plan  string        // object or abstract
	write func() string // made while rendering, since it names imports
}

// Write is the statement that writes v.
func (e entry) Write() string { return e.write() }

// Pointer tells that it may be nil.
func (e entry) Pointer() bool {
	_, ok := e.Type.(*types.Pointer)
	return ok
}

func (m *model) object(o *codegen.Object) *object {
	out := &object{Object: o, Handle: o.Type}
	named, ok := types.Unalias(o.Type).(*types.Named)
	if !ok {
		log.Fatalf("%s: %v is no named type", o.Name, o.Type)
	}
	for method := range named.Methods() {
		if _, pointer := method.Signature().Recv().Type().(*types.Pointer); pointer {
			out.Handle = types.NewPointer(o.Type)
		}
	}
	owner, _, _ := types.LookupFieldOrMethod(out.Handle, true, named.Obj().Pkg(), "OwnerID")
	_, out.Owned = owner.(*types.Func)
	for _, f := range o.Fields {
		if p := m.field(f); p != nil {
			out.Fields = append(out.Fields, p)
		}
	}
	return out
}

// field is nil for what a plan cannot write: a field with a resolver, or one
// that waits for something.
func (m *model) field(f *codegen.Field) *planned {
	if f.IsResolver || f.MethodHasContext || f.IsReserved() {
		return nil
	}
	p := &planned{Field: f}
	for _, d := range f.ImplDirectives() {
		if d.Name != "requiresScope" {
			return nil
		}
		p.Scope = f.FieldDefinition.Directives.ForName(d.Name).Arguments.ForName("scope").Value.Raw
	}
	switch f.TypeReference.Definition.Kind {
	case ast.Object, ast.Interface, ast.Union:
		p.Sub = f.TypeReference.Definition.Name
	}
	return p
}

func (m *model) byName(name string) *object {
	i := slices.IndexFunc(m.Objects, func(o *object) bool { return o.Name == name })
	if i < 0 {
		return nil
	}
	return m.Objects[i]
}

func (m *model) abstract(i *codegen.Interface) *abstract {
	out := &abstract{Interface: i}
	face, ok := i.Type.Underlying().(*types.Interface)
	if !ok {
		log.Fatalf("%s: %v is no interface", i.Name, i.Type)
	}
	done := map[string]bool{}
	for _, impl := range i.Implementors {
		// gqlgen lists a type once by value and once by pointer.
		if done[impl.Name] {
			continue
		}
		done[impl.Name] = true
		o := m.byName(impl.Name)
		if types.Implements(o.Type, face) {
			out.Cases = append(out.Cases, abstractCase{o, o.Type, toHandle(o, "v", false)})
		}
		if p := types.NewPointer(o.Type); types.Implements(p, face) {
			out.Cases = append(out.Cases, abstractCase{o, p, toHandle(o, "v", true)})
		}
	}
	return out
}

// toHandle turns an expression of an object's Go type, or of a pointer to it,
// into what its plan takes.
func toHandle(o *object, expr string, pointer bool) string {
	_, want := o.Handle.(*types.Pointer)
	switch {
	case want == pointer:
		return expr
	case want:
		return "&" + expr
	default:
		return "*" + expr
	}
}

// entries lists the Go types that a resolved field may hold.
func (m *model) entries() {
	seen := map[string]bool{}
	add := func(t types.Type, plan string, write func() string) {
		if key := types.TypeString(t, nil); !seen[key] {
			seen[key] = true
			m.Entries = append(m.Entries, entry{t, plan, write})
		}
	}
	for _, o := range m.Objects {
		add(o.Type, o.Name, func() string { return "o.Write(w, " + toHandle(o, "v", false) + ")" })
		add(types.NewPointer(o.Type), o.Name, func() string { return "o.Write(w, " + toHandle(o, "v", true) + ")" })
	}
	for _, o := range m.data.Objects {
		for _, f := range o.Fields {
			ref := f.TypeReference
			if ref.GQL.Elem == nil || o.IsReserved() || ref.Definition.IsLeafType() || strings.HasPrefix(ref.Definition.Name, "__") {
				continue
			}
			add(ref.GO, ref.Definition.Name, func() string { return m.Value(f, "v") })
		}
	}
}

// PlanType is what a plan compiles to.
func (m *model) PlanType(name string) string {
	if o := m.byName(name); o != nil {
		return "*plan.Object[" + templates.CurrentImports.LookupType(o.Handle) + "]"
	}
	return "*abstract" + name
}

// Call reads a field of obj and writes it.
func (m *model) Call(p *planned) string {
	args := make([]string, 0, len(p.Args))
	for _, a := range p.Args {
		args = append(args, a.VarName)
	}
	read := "obj." + p.GoFieldName
	if p.IsMethod() {
		read += "(" + strings.Join(args, ", ") + ")"
	}
	write := m.Value(p.Field, "v")
	switch {
	case p.IsMethod() && p.VOkFunc:
		return "v, ok := " + read + "\nif !ok {\nw." + missing(p.TypeReference.GQL) + "()\nreturn\n}\n" + write
	case p.IsMethod() && !p.NoErr:
		return "v, err := " + read + "\nif err != nil {\nw.Fail()\nreturn\n}\n" + write
	default:
		return "v := " + read + "\n" + write
	}
}

// missing is what is written where nothing is: null, unless the schema forbids
// it, which is for gqlgen to tell.
func missing(t *ast.Type) string {
	if t.NonNull {
		return "Fail"
	}
	return "Null"
}

// Value writes an expression of a field's type.
func (m *model) Value(f *codegen.Field, expr string) string {
	return m.value(f.TypeReference.GQL, f.TypeReference.GO, f.TypeReference.Definition, expr)
}

func (m *model) value(gql *ast.Type, goType types.Type, def *ast.Definition, expr string) string {
	if gql.Elem != nil {
		slice, ok := types.Unalias(goType).(*types.Slice)
		if !ok {
			log.Fatalf("%s: %v is no slice", def.Name, goType)
		}
		element := templates.CurrentImports.LookupType(slice.Elem())
		list := fmt.Sprintf("plan.List(w, %s, func(w *plan.Writer, v %s) {\n%s\n})", expr, element, m.value(gql.Elem, slice.Elem(), def, "v"))
		if gql.NonNull {
			return list
		}
		return "if " + expr + " == nil {\nw.Null()\nreturn\n}\n" + list
	}
	if p, ok := goType.(*types.Pointer); ok {
		guard := "if " + expr + " == nil {\nw." + missing(gql) + "()\nreturn\n}\n"
		if o := m.byName(def.Name); o != nil {
			return guard + "o.Write(w, " + toHandle(o, expr, true) + ")"
		}
		return guard + m.value(gql, p.Elem(), def, "*"+expr)
	}
	switch def.Kind {
	case ast.Object:
		return "o.Write(w, " + toHandle(m.byName(def.Name), expr, false) + ")"
	case ast.Interface, ast.Union:
		return "if " + expr + " == nil {\nw." + missing(gql) + "()\nreturn\n}\no.write(w, " + expr + ")"
	case ast.Enum:
		return "w.Text(string(" + expr + "))"
	}
	switch def.Name {
	case "Int":
		return "w.Int(" + expr + ")"
	case "Float":
		return "w.Float(" + expr + ")"
	case "Boolean":
		return "w.Bool(" + expr + ")"
	case "DateTime":
		return "w.Time(" + expr + ")"
	default:
		return "w.Text(string(" + expr + "))"
	}
}
