package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Prices are kept in thousandths of a point, so that a weight of 0.5 is exact.
const point = 1000

const (
	// unlistedSize is how long a list is taken to be of which the schema says
	// nothing.
	unlistedSize = 10
	// The schema about itself has a flat price, since introspection has rules
	// of its own that bound it.
	schemaPrice = 100 * point
	typePrice   = 10 * point
)

// prices is what the schema says about the cost of its fields, by the cost
// directives of the IBM specification (@cost, @listSize):
//
//   - a field costs its own weight once for each parent; a field without
//     @cost has none;
//   - each element that it returns, or the one object, costs the weight of
//     its type, 1 for an object and 0 for a leaf where @cost says nothing;
//     the @cost of a field that is not a list takes the place of that;
//   - a list is as long as the largest of its slicing arguments that is
//     given or has a default, else as @listSize assumes, else ten;
//   - the length of a connection applies to the fields that sizedFields
//     names, and not to the connection;
//   - arguments and input fields cost their weight where they are given, once
//     for each item of a list.
//
// A field that is asked for twice is priced twice, and fragments on different
// types are all priced: what is told is never less than what can happen.
type prices struct {
	types  map[string]*objectPrice // objects, interfaces and unions
	inputs map[string]*inputPrice  // only those in which something is priced
	query  *objectPrice
	sets   []map[string]bool // distinct sizedFields; 0 is none
}

type objectPrice struct {
	weight int64
	fields map[string]*fieldPrice
}

type fieldPrice struct {
	own     int64        // once for each parent
	element int64        // for each element, or for the one object
	result  *objectPrice // nil for a leaf
	list    bool
	assumed int64 // length where no argument tells it
	slicing []slicing
	sized   int // index in prices.sets of the fields that the length is for
	args    map[string]*inputPrice
}

// slicing is an argument whose value bounds a list.
type slicing struct {
	name      string
	otherwise *ast.Value // its default; nil for none
}

// inputPrice is the price of an argument, an input field or an input type.
type inputPrice struct {
	weight int64
	fields map[string]*inputPrice // of an input object; nil if none is priced
}

// readPrices reads the directives of a schema. It returns an error for a
// weight or size that is not a number of zero or more.
func readPrices(schema *ast.Schema) (*prices, error) {
	p := &prices{types: map[string]*objectPrice{}, inputs: map[string]*inputPrice{}, sets: []map[string]bool{nil}}
	for name, def := range schema.Types {
		weight, given, err := weightOf(def.Directives)
		if err != nil {
			return nil, fmt.Errorf("gateway: type %s: %w", name, err)
		}
		if def.IsCompositeType() {
			if !given {
				weight = point
			}
			p.types[name] = &objectPrice{weight: weight, fields: make(map[string]*fieldPrice, len(def.Fields))}
		}
	}
	if err := p.readInputs(schema); err != nil {
		return nil, err
	}
	for name, def := range schema.Types {
		// What an abstract type costs is what its dearest object does.
		if def.IsAbstractType() && def.Directives.ForName("cost") == nil {
			for _, object := range schema.GetPossibleTypes(def) {
				if o := p.types[object.Name]; o != nil {
					p.types[name].weight = max(p.types[name].weight, o.weight)
				}
			}
		}
	}
	for name, def := range schema.Types {
		if !def.IsCompositeType() || strings.HasPrefix(name, "__") {
			continue
		}
		for _, field := range def.Fields {
			f, err := p.readField(schema, field)
			if err != nil {
				return nil, fmt.Errorf("gateway: %s.%s: %w", name, field.Name, err)
			}
			p.types[name].fields[field.Name] = f
		}
	}
	if schema.Query != nil {
		p.query = p.types[schema.Query.Name]
		p.query.fields["__schema"] = &fieldPrice{own: schemaPrice}
		p.query.fields["__type"] = &fieldPrice{own: typePrice}
	}
	return p, nil
}

func (p *prices) readField(schema *ast.Schema, field *ast.FieldDefinition) (*fieldPrice, error) {
	f := &fieldPrice{list: field.Type.Elem != nil, assumed: unlistedSize}
	target := schema.Types[field.Type.Name()]
	if target != nil && target.IsCompositeType() {
		f.result = p.types[target.Name]
		f.element = f.result.weight
	} else if target != nil {
		weight, _, err := weightOf(target.Directives)
		if err != nil {
			return nil, err
		}
		f.element = weight
	}
	weight, given, err := weightOf(field.Directives)
	if err != nil {
		return nil, err
	}
	if given {
		f.own = weight
		if !f.list {
			f.element = 0
		}
	}
	for _, argument := range field.Arguments {
		price, err := p.readInput(schema, argument.Type, argument.Directives)
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", argument.Name, err)
		}
		if price != nil {
			if f.args == nil {
				f.args = map[string]*inputPrice{}
			}
			f.args[argument.Name] = price
		}
	}
	size := field.Directives.ForName("listSize")
	if size == nil {
		return f, nil
	}
	if a := size.Arguments.ForName("assumedSize"); a != nil && a.Value.Kind == ast.IntValue {
		if f.assumed, err = strconv.ParseInt(a.Value.Raw, 10, 32); err != nil || f.assumed < 0 {
			return nil, fmt.Errorf("@listSize: assumedSize %s is not a length", a.Value.Raw)
		}
	}
	for _, name := range texts(size.Arguments.ForName("slicingArguments")) {
		argument := field.Arguments.ForName(name)
		if argument == nil {
			return nil, fmt.Errorf("@listSize: there is no argument %s", name)
		}
		f.slicing = append(f.slicing, slicing{name, argument.DefaultValue})
	}
	if sized := texts(size.Arguments.ForName("sizedFields")); len(sized) > 0 {
		if target == nil || f.list {
			return nil, fmt.Errorf("@listSize: sizedFields of what is not a connection")
		}
		set := make(map[string]bool, len(sized))
		for _, name := range sized {
			if target.Fields.ForName(name) == nil {
				return nil, fmt.Errorf("@listSize: %s has no field %s", target.Name, name)
			}
			set[name] = true
		}
		f.sized = p.setIndex(set)
	} else if !f.list {
		return nil, fmt.Errorf("@listSize on what is neither a list nor sizes one")
	}
	return f, nil
}

// setIndex keeps equal sets of sized fields once: what a fragment costs is
// remembered for each.
func (p *prices) setIndex(set map[string]bool) int {
	for i := 1; i < len(p.sets); i++ {
		if len(p.sets[i]) == len(set) {
			same := true
			for name := range set {
				same = same && p.sets[i][name]
			}
			if same {
				return i
			}
		}
	}
	p.sets = append(p.sets, set)
	return len(p.sets) - 1
}

// readInputs finds the input types in which something is priced, however deep.
func (p *prices) readInputs(schema *ast.Schema) error {
	// Each round finds what is priced one level further out.
	for changed := true; changed; {
		changed = false
		for name, def := range schema.Types {
			if def.Kind != ast.InputObject || p.inputs[name] != nil {
				continue
			}
			var fields map[string]*inputPrice
			for _, field := range def.Fields {
				price, err := p.readInput(schema, field.Type, field.Directives)
				if err != nil {
					return fmt.Errorf("gateway: %s.%s: %w", name, field.Name, err)
				}
				if price != nil {
					if fields == nil {
						fields = map[string]*inputPrice{}
					}
					fields[field.Name] = price
				}
			}
			if fields != nil {
				p.inputs[name] = &inputPrice{fields: fields}
				changed = true
			}
		}
	}
	// Once more, now that all are known: a type may have been found before
	// one that it holds.
	for name, input := range p.inputs {
		for _, field := range schema.Types[name].Fields {
			price, err := p.readInput(schema, field.Type, field.Directives)
			if err != nil {
				return fmt.Errorf("gateway: %s.%s: %w", name, field.Name, err)
			}
			if price != nil {
				input.fields[field.Name] = price
			}
		}
	}
	return nil
}

// readInput is nil for what costs nothing.
func (p *prices) readInput(schema *ast.Schema, t *ast.Type, own ast.DirectiveList) (*inputPrice, error) {
	weight, given, err := weightOf(own)
	if err != nil {
		return nil, err
	}
	target := schema.Types[t.Name()]
	if target == nil {
		return nil, nil
	}
	if !given && target.Kind != ast.InputObject {
		if weight, _, err = weightOf(target.Directives); err != nil {
			return nil, err
		}
	}
	price := &inputPrice{weight: weight}
	if input := p.inputs[target.Name]; input != nil {
		price.fields = input.fields // the map itself: it may still grow
	}
	if price.weight == 0 && price.fields == nil {
		return nil, nil
	}
	return price, nil
}

func weightOf(directives ast.DirectiveList) (weight int64, given bool, err error) {
	d := directives.ForName("cost")
	if d == nil {
		return 0, false, nil
	}
	a := d.Arguments.ForName("weight")
	if a == nil {
		return 0, false, fmt.Errorf("@cost without a weight")
	}
	w, err := strconv.ParseFloat(a.Value.Raw, 64)
	if err != nil || !(w >= 0 && w <= 1e9) {
		return 0, false, fmt.Errorf("@cost: weight %q is not a number from 0 to 1e9", a.Value.Raw)
	}
	return int64(math.Round(w * point)), true, nil
}

func texts(a *ast.Argument) (all []string) {
	if a == nil {
		return nil
	}
	if a.Value.Kind == ast.StringValue {
		return []string{a.Value.Raw} // a list of one may be written without brackets
	}
	for _, child := range a.Value.Children {
		all = append(all, child.Value.Raw)
	}
	return all
}

// priceOf tells what an operation costs at most, in thousandths of a point,
// before it was validated. Its time is linear in the document times the
// number of distinct sizedFields of the schema, whatever the fragments do, and
// in the size of the inputs that have a price. What the schema does not know
// costs nothing: the validator refuses it.
//
// variables are as the client sent them, decoded with numbers kept as
// json.Number.
func (p *prices) priceOf(doc *ast.QueryDocument, op *ast.OperationDefinition, root *objectPrice, variables map[string]any) int64 {
	w := priceWalker{prices: p, doc: doc, op: op, variables: variables}
	return w.selections(op.SelectionSet, root, 0).fixed
}

type priceWalker struct {
	*prices
	doc       *ast.QueryDocument
	op        *ast.OperationDefinition
	variables map[string]any
	fragments map[fragmentUse]*linear
}

// fragmentUse is a fragment and the sized fields it stands among.
type fragmentUse struct {
	name  string
	sized int
}

// linear is a price that depends on how long the connection around it is:
// fixed + each*length. So the price of a fragment is found once, though it
// may be spread into connections of any lengths.
type linear struct{ fixed, each int64 }

func (w *priceWalker) selections(set ast.SelectionSet, on *objectPrice, sized int) (sum linear) {
	for _, selection := range set {
		var l linear
		switch selection := selection.(type) {
		case *ast.Field:
			if on != nil && w.included(selection.Directives) {
				if f := on.fields[selection.Name]; f != nil {
					l = w.field(selection, f, sized)
				}
			}
		case *ast.InlineFragment:
			if w.included(selection.Directives) {
				inner := on
				if selection.TypeCondition != "" {
					inner = w.types[selection.TypeCondition]
				}
				l = w.selections(selection.SelectionSet, inner, sized)
			}
		case *ast.FragmentSpread:
			if w.included(selection.Directives) {
				l = w.fragment(selection.Name, sized)
			}
		}
		sum.fixed = plus(sum.fixed, l.fixed)
		sum.each = plus(sum.each, l.each)
	}
	return sum
}

func (w *priceWalker) fragment(name string, sized int) linear {
	use := fragmentUse{name, sized}
	if known := w.fragments[use]; known != nil {
		return *known // of one that is still open, in a circle: nothing
	}
	definition := w.doc.Fragments.ForName(name)
	if definition == nil {
		return linear{}
	}
	if w.fragments == nil {
		w.fragments = map[fragmentUse]*linear{}
	}
	price := &linear{}
	w.fragments[use] = price
	*price = w.selections(definition.SelectionSet, w.types[definition.TypeCondition], sized)
	return *price
}

func (w *priceWalker) field(field *ast.Field, f *fieldPrice, sized int) linear {
	own := f.own
	for name, price := range f.args {
		if a := field.Arguments.ForName(name); a != nil {
			own = plus(own, w.literal(a.Value, price))
		}
	}
	length := int64(1)
	if f.list || f.sized != 0 {
		length = w.length(field, f)
	}
	var inner linear
	if f.result != nil {
		inner = w.selections(field.SelectionSet, f.result, f.sized)
	}
	if f.sized != 0 {
		inner = linear{fixed: plus(inner.fixed, times(inner.each, length))}
		length = 1
	}
	element := plus(f.element, inner.fixed)
	if w.sets[sized][field.Name] {
		return linear{fixed: own, each: element}
	}
	return linear{fixed: plus(own, times(element, length))}
}

// length is how long the list may get that a field returns.
func (w *priceWalker) length(field *ast.Field, f *fieldPrice) int64 {
	longest := int64(-1)
	for _, s := range f.slicing {
		value := s.otherwise
		if a := field.Arguments.ForName(s.name); a != nil {
			value = a.Value
			if value.Kind == ast.Variable {
				if v, given := w.variables[value.Raw]; given {
					if n, ok := lengthOf(v); ok {
						longest = max(longest, n)
					}
					continue // null is as good as nothing, default or not
				}
				// A variable that is neither given nor has a default is as
				// if the argument were not there.
				value = s.otherwise
				if d := w.op.VariableDefinitions.ForName(a.Value.Raw); d != nil && d.DefaultValue != nil {
					value = d.DefaultValue
				}
			}
		}
		if value == nil {
			continue
		}
		switch value.Kind {
		case ast.IntValue:
			if n, ok := lengthOf(json.Number(value.Raw)); ok {
				longest = max(longest, n)
			}
		case ast.ListValue:
			longest = max(longest, int64(len(value.Children)))
		case ast.ObjectValue:
			longest = max(longest, 1) // stands for a list of one
		}
	}
	if longest < 0 {
		return f.assumed
	}
	return longest
}

// lengthOf reads the value of a slicing argument: a number, a number in a
// string, which execution takes as one too, or a list, by its length. An object
// stands for a list of one, and a number below zero is a length of zero.
func lengthOf(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case json.Number:
		return parseLength(string(v))
	case string:
		return parseLength(v)
	case []any:
		return int64(len(v)), true
	case map[string]any:
		return 1, true
	}
	return 0, false
}

func parseLength(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		// Too large to be read is not the same as not a number.
		if e, _ := err.(*strconv.NumError); e != nil && e.Err == strconv.ErrRange {
			return max(n, 0), true
		}
		return 0, false
	}
	return max(n, 0), true
}

// included evaluates @skip and @include. What it cannot evaluate is included.
func (w *priceWalker) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		a := d.Arguments.ForName("if")
		if a == nil {
			continue
		}
		is, known := a.Value.Raw == "true", a.Value.Kind == ast.BooleanValue
		if a.Value.Kind == ast.Variable {
			v, given := w.variables[a.Value.Raw]
			is, known = v.(bool)
			if d := w.op.VariableDefinitions.ForName(a.Value.Raw); !given && d != nil && d.DefaultValue != nil {
				is, known = d.DefaultValue.Raw == "true", d.DefaultValue.Kind == ast.BooleanValue
			}
		}
		if known && is == (d.Name == "skip") {
			return false
		}
	}
	return true
}

// literal prices the value of an argument as the document writes it.
func (w *priceWalker) literal(v *ast.Value, price *inputPrice) int64 {
	switch v.Kind {
	case ast.Variable:
		if value, given := w.variables[v.Raw]; given {
			return w.given(value, price)
		}
		if d := w.op.VariableDefinitions.ForName(v.Raw); d != nil && d.DefaultValue != nil && d.DefaultValue.Kind != ast.Variable {
			return w.literal(d.DefaultValue, price)
		}
		return 0
	case ast.NullValue:
		return 0
	case ast.ListValue:
		var sum int64
		for _, item := range v.Children {
			sum = plus(sum, w.literal(item.Value, price))
		}
		return sum
	case ast.ObjectValue:
		sum := price.weight
		for _, field := range v.Children {
			if f := price.fields[field.Name]; f != nil {
				sum = plus(sum, w.literal(field.Value, f))
			}
		}
		return sum
	default:
		return price.weight
	}
}

// given prices the value of a variable.
func (w *priceWalker) given(v any, price *inputPrice) int64 {
	switch v := v.(type) {
	case nil:
		return 0
	case []any:
		var sum int64
		for _, item := range v {
			sum = plus(sum, w.given(item, price))
		}
		return sum
	case map[string]any:
		sum := price.weight
		for name, value := range v {
			if f := price.fields[name]; f != nil {
				sum = plus(sum, w.given(value, f))
			}
		}
		return sum
	default:
		return price.weight
	}
}

// points writes a price in points, as a JSON number.
func points(price int64) json.Number {
	s := strconv.FormatInt(price/point, 10)
	if rest := price % point; rest != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%03d", rest), "0")
	}
	return json.Number(s)
}
