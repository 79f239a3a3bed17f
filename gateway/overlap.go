package gateway

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// overlapBudget is how many fields one operation's check may visit. An
// honest operation visits each of its fields a few times.
const overlapBudget = 100_000

// fieldsMergeRule is the rule "Field Selection Merging" (GraphQL
// specification, edition October 2021, 5.3.2): fields that would be written
// under one name must be the same field with the same arguments, unless they
// stand on different objects, and of the same shape in any case.
//
// It stands in for the parser library's rule, whose time grows with the square
// of the document and, by nesting, with its exponential: this one merges all
// fields of one name first, compares each with the first only, and descends
// once into what they select together. Where fields on several objects meet
// fields on what those objects have in common, a document can still ask for
// much work; then the check gives up, with an error.
func fieldsMergeRule() core.Rule {
	return core.Rule{Name: "FieldsMerge", RuleFunc: func(events *core.Events, report core.AddErrFunc) {
		events.OnOperation(func(walker *core.Walker, op *ast.OperationDefinition) {
			m := merger{schema: walker.Schema, budget: overlapBudget}
			m.check([]ast.SelectionSet{op.SelectionSet}, false)
			switch {
			case m.fault != nil:
				report(core.Message("%s", m.fault.message), core.At(m.fault.at))
			case m.budget < 0:
				report(core.Message("Too many fields of this operation overlap."), core.At(op.Position))
			}
		})
	}}
}

type mergeFault struct {
	message string
	at      *ast.Position
}

type merger struct {
	schema *ast.Schema
	budget int
	fault  *mergeFault
}

// sameName are the fields of one response name, in the document's order.
type sameName struct {
	name   string
	fields []*ast.Field
}

// check looks at selection sets that are answered by one object. Where apart
// is true, their fields stand on different objects somewhere above and need
// the same shape only.
func (m *merger) check(sets []ast.SelectionSet, apart bool) {
	for _, same := range m.collect(sets) {
		if m.fault != nil || m.budget < 0 {
			return
		}
		if apart {
			if m.compareShapes(same) {
				m.descend(same.fields, true)
			}
			continue
		}
		groups := byObject(same.fields)
		for _, group := range groups {
			if !m.compare(same.name, group) {
				return
			}
		}
		if !m.compareShapes(same) {
			return
		}
		for _, group := range groups {
			m.descend(group, false)
		}
		if len(groups) > 1 {
			m.descend(same.fields, true)
		}
	}
}

// compareShapes holds fields of one name against the first of them, wherever
// they stand.
func (m *merger) compareShapes(same sameName) bool {
	first := same.fields[0]
	for _, other := range same.fields[1:] {
		if first.Definition != nil && other.Definition != nil && !m.sameShape(first.Definition.Type, other.Definition.Type) {
			m.refuse(same.name, other, fmt.Sprintf("they return conflicting types %q and %q",
				first.Definition.Type.String(), other.Definition.Type.String()))
			return false
		}
	}
	return true
}

func (m *merger) descend(fields []*ast.Field, apart bool) {
	var sets []ast.SelectionSet
	for _, f := range fields {
		if len(f.SelectionSet) > 0 {
			sets = append(sets, f.SelectionSet)
		}
	}
	if len(sets) > 0 {
		m.check(sets, apart)
	}
}

// compare holds fields that one object may answer against the first of them.
func (m *merger) compare(name string, fields []*ast.Field) bool {
	first := fields[0]
	for _, other := range fields[1:] {
		if first.Name != other.Name {
			m.refuse(name, other, fmt.Sprintf("%q and %q are different fields", first.Name, other.Name))
			return false
		}
		if !sameArguments(first.Arguments, other.Arguments) {
			m.refuse(name, other, "they have differing arguments")
			return false
		}
	}
	return true
}

func (m *merger) refuse(name string, at *ast.Field, why string) {
	if m.fault == nil {
		m.fault = &mergeFault{fmt.Sprintf(
			"Fields %q conflict because %s. Use different aliases on the fields to fetch both if this was intentional.", name, why), at.Position}
	}
}

// collect gathers the fields of selection sets by response name, with those of
// fragments, each of which is entered once.
func (m *merger) collect(sets []ast.SelectionSet) []sameName {
	var all []sameName
	index := map[string]int{}
	var entered map[string]bool
	var gather func(ast.SelectionSet)
	gather = func(set ast.SelectionSet) {
		for _, selection := range set {
			if m.budget--; m.budget < 0 {
				return
			}
			switch selection := selection.(type) {
			case *ast.Field:
				name := selection.Alias
				if name == "" {
					name = selection.Name
				}
				i, known := index[name]
				if !known {
					i = len(all)
					index[name] = i
					all = append(all, sameName{name: name})
				}
				all[i].fields = append(all[i].fields, selection)
			case *ast.InlineFragment:
				gather(selection.SelectionSet)
			case *ast.FragmentSpread:
				if selection.Definition == nil || entered[selection.Name] {
					continue
				}
				if entered == nil {
					entered = map[string]bool{}
				}
				entered[selection.Name] = true
				gather(selection.Definition.SelectionSet)
			}
		}
	}
	for _, set := range sets {
		gather(set)
	}
	return all
}

// byObject groups fields that one and the same object may answer: for each
// object type those that stand on it, with those that stand on an interface
// or union, which may be that object; or the latter alone.
func byObject(fields []*ast.Field) (groups [][]*ast.Field) {
	var shared []*ast.Field
	index := map[string]int{}
	for _, f := range fields {
		if f.ObjectDefinition == nil || f.ObjectDefinition.Kind != ast.Object {
			shared = append(shared, f)
			continue
		}
		i, known := index[f.ObjectDefinition.Name]
		if !known {
			i = len(groups)
			index[f.ObjectDefinition.Name] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	if len(groups) == 0 {
		return [][]*ast.Field{shared}
	}
	if len(shared) > 0 {
		for i := range groups {
			groups[i] = append(append(make([]*ast.Field, 0, len(shared)+len(groups[i])), shared...), groups[i]...)
		}
	}
	return groups
}

func (m *merger) sameShape(a, b *ast.Type) bool {
	if a.NonNull != b.NonNull || (a.Elem == nil) != (b.Elem == nil) {
		return false
	}
	if a.Elem != nil {
		return m.sameShape(a.Elem, b.Elem)
	}
	ta, tb := m.schema.Types[a.NamedType], m.schema.Types[b.NamedType]
	if ta == nil || tb == nil {
		return true
	}
	if ta.IsLeafType() || tb.IsLeafType() {
		return ta == tb
	}
	return true
}

func sameArguments(a, b ast.ArgumentList) bool {
	if len(a) != len(b) {
		return false
	}
	for _, argument := range a {
		other := b.ForName(argument.Name)
		if other == nil || !sameValue(argument.Value, other.Value) {
			return false
		}
	}
	return true
}

// sameValue compares literals. Fields of an object may come in any order.
func sameValue(a, b *ast.Value) bool {
	if a.Kind != b.Kind || a.Raw != b.Raw || len(a.Children) != len(b.Children) {
		return false
	}
	for i, child := range a.Children {
		other := b.Children[i].Value
		if a.Kind == ast.ObjectValue {
			if other = b.Children.ForName(child.Name); other == nil {
				return false
			}
		}
		if !sameValue(child.Value, other) {
			return false
		}
	}
	return true
}
