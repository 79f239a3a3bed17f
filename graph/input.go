package graph

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/milepost-gateway/milepost/parcel"
)

// Faults gathers what is wrong inside the inputs of a mutation, so that one bad
// item refuses itself and not the whole list. It is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	found map[string][]*parcel.InputError // by alias of the root field
}

type faultsKey struct{}

// WithFaults returns a context in which mistakes inside inputs are gathered.
// Without it, as in queries, a mistake fails its field.
func WithFaults(ctx context.Context) context.Context {
	return context.WithValue(ctx, faultsKey{}, &Faults{found: map[string][]*parcel.InputError{}})
}

// FaultsOf returns what is wrong inside the inputs of the field being resolved,
// with paths that begin at its argument.
func FaultsOf(ctx context.Context) []*parcel.InputError {
	f, ok := ctx.Value(faultsKey{}).(*Faults)
	fc := graphql.GetFieldContext(ctx)
	if !ok || fc == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.found[fc.Field.Alias])
}

// Fault makes what is wrong at the place of the input that ctx stands at. It
// returns nil where the mistake was gathered, and the value goes on as its zero.
func Fault(ctx context.Context, fault parcel.Fault, format string, args ...any) error {
	e := parcel.Invalidf(fault, "", format, args...)
	e.Path = inputPath(ctx)
	f, ok := ctx.Value(faultsKey{}).(*Faults)
	fc := graphql.GetFieldContext(ctx)
	// Only a mutation's own arguments have items that can be refused; those of
	// fields in its answer fail as anywhere.
	if !ok || fc == nil || fc.Object != "Mutation" {
		return e
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found[fc.Field.Alias] = append(f.found[fc.Field.Alias], e)
	return nil
}

// inputPath is the path from the argument down, without that of the field.
func inputPath(ctx context.Context) []string {
	var path []string
	for p := graphql.GetPathContext(ctx); p != nil; p = p.Parent {
		switch {
		case p.Index != nil:
			path = append(path, strconv.Itoa(*p.Index))
		case p.Field != nil:
			path = append(path, *p.Field)
		}
	}
	slices.Reverse(path)
	return path
}

// Limit is the directive @limit: it bounds a number, the characters of a text
// or the length of a list. No text that it bounds, alone or in a list, may have
// control characters other than tabs and ends of lines: nobody types them, and
// databases refuse some.
func Limit(ctx context.Context, _ any, next graphql.Resolver, least, most *int) (any, error) {
	v, err := next(ctx)
	if err != nil || v == nil {
		return v, err
	}
	n, what, ok := measure(v)
	if !ok {
		return v, nil
	}
	fault := parcel.FaultOutOfRange
	if what == "items" {
		fault = parcel.FaultTooMany
	}
	switch {
	case least != nil && n < *least:
		if what == "items" {
			fault = parcel.FaultRequired
		}
		return v, Fault(ctx, fault, "%s: at least %d", sized(n, what), *least)
	case most != nil && n > *most:
		return v, Fault(ctx, fault, "%s: at most %d", sized(n, what), *most)
	}
	return v, refuseControls(ctx, v)
}

// refuseControls makes the fault of texts with control characters; nil where it
// was gathered, or there are none.
func refuseControls(ctx context.Context, v any) error {
	bad := false
	switch v := v.(type) {
	case string:
		bad = hasControls(v)
	case *string:
		bad = v != nil && hasControls(*v)
	case []string:
		for i, text := range v {
			if hasControls(text) {
				ctx, bad = graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), true
				break
			}
		}
	}
	if !bad {
		return nil
	}
	return Fault(ctx, parcel.FaultMalformed, "has control characters")
}

func hasControls(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' })
}

func sized(n int, what string) string {
	if what == "" {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d %s", n, what)
}

// measure is what @limit bounds; ok is false for a null.
func measure(v any) (n int, what string, ok bool) {
	switch v := v.(type) {
	case int:
		return v, "", true
	case *int:
		if v == nil {
			return 0, "", false
		}
		return *v, "", true
	case string:
		return utf8.RuneCountInString(v), "characters", true
	case *string:
		if v == nil {
			return 0, "", false
		}
		return utf8.RuneCountInString(*v), "characters", true
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && !list.IsNil() {
		return list.Len(), "items", true
	}
	return 0, "", false
}

// RequiresScope is the directive @requiresScope. obj is what the field belongs
// to: where that has an owner, the viewer must be the owner.
func RequiresScope(ctx context.Context, obj any, next graphql.Resolver, scope Scope) (any, error) {
	if err := Allow(ViewerFrom(ctx), obj, scope); err != nil {
		return nil, err
	}
	return next(ctx)
}

// Owned is what belongs to a merchant.
type Owned interface{ OwnerID() string }

// Allow tells why v may not do scope to obj; nil if it may.
func Allow(v *Viewer, obj any, scope Scope) error {
	owner := ""
	if o, ok := obj.(Owned); ok {
		owner = o.OwnerID()
	}
	switch {
	case v.May(scope, owner):
		return nil
	case v.MerchantID == "":
		return &Problem{Kind: ErrUnauthenticated, Message: "a key with " + scope.CLI() + " is needed"}
	case v.Has(scope):
		return &Problem{Kind: ErrForbidden, Message: "this belongs to somebody else"}
	default:
		return &Problem{Kind: ErrForbidden, Message: "the key lacks " + scope.CLI(),
			Extensions: map[string]any{"scope": string(scope)}}
	}
}

// CheckVariables finds enum values among the variables of an operation that are
// not exactly a value of their type: the validator compares them without case,
// and resolvers must never see "delivered" for DELIVERED.
func CheckVariables(schema *ast.Schema, op *ast.OperationDefinition, variables map[string]any) *gqlerror.Error {
	for _, def := range op.VariableDefinitions {
		value, given := variables[def.Variable]
		if !given || value == nil {
			continue
		}
		if path, typ := badEnum(schema, def.Type, value, ast.Path{ast.PathName("variable"), ast.PathName(def.Variable)}); typ != "" {
			return &gqlerror.Error{Err: ErrValidation, Path: path, Message: "not a value of " + typ,
				Extensions: map[string]any{"code": string(CodeValidationFailed)}}
		}
	}
	return nil
}

// items is a list, or a single value that stands for a list of one.
func items(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	r := reflect.ValueOf(value)
	if r.Kind() != reflect.Slice {
		return []any{value}
	}
	list := make([]any, r.Len())
	for i := range list {
		list[i] = r.Index(i).Interface()
	}
	return list
}

func badEnum(schema *ast.Schema, typ *ast.Type, value any, path ast.Path) (ast.Path, string) {
	if value == nil {
		return nil, ""
	}
	if typ.Elem != nil {
		for i, v := range items(value) {
			if at, bad := badEnum(schema, typ.Elem, v, append(path[:len(path):len(path)], ast.PathIndex(i))); bad != "" {
				return at, bad
			}
		}
		return nil, ""
	}
	def := schema.Types[typ.NamedType]
	switch def.Kind {
	case ast.Enum:
		name, _ := value.(string)
		if def.EnumValues.ForName(name) == nil {
			return path, def.Name
		}
	case ast.InputObject:
		object, ok := value.(map[string]any)
		if !ok {
			return nil, ""
		}
		for _, f := range def.Fields {
			v, given := object[f.Name]
			if !given {
				continue
			}
			if at, bad := badEnum(schema, f.Type, v, append(path[:len(path):len(path)], ast.PathName(f.Name))); bad != "" {
				return at, bad
			}
		}
	}
	return nil, ""
}
