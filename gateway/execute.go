package gateway

import (
	"context"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
)

// operation is a request that was let through: it may be run.
type operation struct {
	*graphql.OperationContext
	caller *caller
	price  int64 // thousandths of a point
}

// refusal is a request that was not let through, or that could not be
// started. It has no data, not even null.
type refusal struct {
	errors gqlerror.List
	// status is the HTTP status where the answer's media type has one for
	// request errors.
	status int
	// plain is the status under application/json, which has 200 for what is a
	// GraphQL request at all.
	plain int
	// price is set where it is what the request was refused for.
	price int64
}

// Error makes a refusal an error, for streams.
func (r *refusal) Error() string { return r.errors.Error() }

func (g *Gateway) refuse(status int, e *gqlerror.Error) *refusal {
	plain := status
	if status == http.StatusBadRequest {
		plain = http.StatusOK
	}
	return &refusal{errors: gqlerror.List{e}, status: status, plain: plain}
}

// prepare lets a request through or refuses it: limits of its shape, who may
// ask it, its price, validation, variables, in this order. What it does
// before validation takes time linear in the document.
func (g *Gateway) prepare(ctx context.Context, c *caller, r *request, header http.Header) (op *operation, no *refusal) {
	defer func() {
		// The parser library is old and well used; a document that it
		// stumbles over must still not take more than its own request along.
		if p := recover(); p != nil {
			op, no = nil, g.refuse(http.StatusInternalServerError, g.present(ctx, g.recovered(ctx, p)))
		}
	}()
	d, err := g.parse(r.query)
	if err != nil {
		return nil, g.refuse(http.StatusBadRequest, g.documentError(err))
	}
	definition := operationOf(d.QueryDocument, r.operation)
	if definition == nil {
		if r.operation == "" {
			return nil, g.refuse(http.StatusBadRequest, g.invalid("The document has several operations; operationName must say which to run."))
		}
		return nil, g.refuse(http.StatusBadRequest, g.invalid("The document has no operation of the name that operationName gives."))
	}
	if no := g.allowed(d.QueryDocument, definition, c); no != nil {
		return nil, no
	}
	price := g.prices.priceOf(d.QueryDocument, definition, g.rootOf(definition), r.variables)
	if price > int64(g.Limits.Cost)*point {
		no := g.refuse(http.StatusBadRequest, g.tooCostly(price))
		no.price = price
		return nil, no
	}
	if found := g.validate(d); len(found) > 0 {
		no := g.refuse(http.StatusBadRequest, nil)
		no.errors = g.validationErrors(found)
		return nil, no
	}
	variables, err := validator.VariableValues(g.schema, definition, r.variables)
	if err != nil {
		return nil, g.refuse(http.StatusBadRequest, g.variableError(err))
	}
	op = &operation{caller: c, price: price, OperationContext: &graphql.OperationContext{
		RawQuery:               r.query,
		Variables:              variables,
		OperationName:          r.operation,
		Doc:                    d.QueryDocument,
		Extensions:             r.extensions,
		Headers:                header,
		Operation:              definition,
		DisableIntrospection:   !g.mayIntrospect(c),
		RecoverFunc:            g.recovered,
		ResolverMiddleware:     func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
	}}
	return op, nil
}

// operationOf is the operation of that name, or the only one where no name is
// given; nil if there is none or no only one.
func operationOf(d *ast.QueryDocument, name string) *ast.OperationDefinition {
	if name == "" && len(d.Operations) != 1 {
		return nil
	}
	return d.Operations.ForName(name)
}

func (g *Gateway) rootOf(op *ast.OperationDefinition) *objectPrice {
	if root := g.rootDefinition(op); root != nil {
		return g.prices.types[root.Name]
	}
	return nil
}

func (g *Gateway) rootDefinition(op *ast.OperationDefinition) *ast.Definition {
	switch op.Operation {
	case ast.Mutation:
		return g.schema.Mutation
	case ast.Subscription:
		return g.schema.Subscription
	default:
		return g.schema.Query
	}
}

// allowed tells whether the caller may ask the operation's root fields at all.
// What a field shows to whom is the resolvers' to say.
func (g *Gateway) allowed(d *ast.QueryDocument, op *ast.OperationDefinition, c *caller) *refusal {
	if !c.anonymous() && g.mayIntrospect(c) {
		return nil
	}
	fields := map[string]bool{}
	rootFields(d, op.SelectionSet, fields, map[string]bool{})
	for name := range fields {
		switch {
		case name == "__schema" || name == "__type":
			if g.mayIntrospect(c) {
				continue
			}
			if !c.anonymous() {
				return g.refuse(http.StatusForbidden, g.forbidden("Reading the schema takes the scope INTROSPECT."))
			}
			return g.refuse(http.StatusUnauthorized, g.unauthenticated("Reading the schema takes an API key with the scope INTROSPECT."))
		case c.anonymous() && !g.public[name]:
			return g.refuse(http.StatusUnauthorized, g.unauthenticated("This takes an API key: Authorization: Bearer mp_..."))
		}
	}
	return nil
}

// rootFields gathers the names of the fields that a selection set asks of its
// object, each fragment entered once.
func rootFields(d *ast.QueryDocument, set ast.SelectionSet, names, entered map[string]bool) {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			names[selection.Name] = true
		case *ast.InlineFragment:
			rootFields(d, selection.SelectionSet, names, entered)
		case *ast.FragmentSpread:
			if f := d.Fragments.ForName(selection.Name); f != nil && !entered[f.Name] {
				entered[f.Name] = true
				rootFields(d, f.SelectionSet, names, entered)
			}
		}
	}
}

// run executes a query or mutation.
func (g *Gateway) run(ctx context.Context, op *operation) *graphql.Response {
	ctx, cancel := context.WithTimeout(ctx, g.Limits.RunTime)
	defer cancel()
	responses, ctx := g.exec.DispatchOperation(g.Loaders(ctx), op.OperationContext)
	response := responses(ctx)
	if response == nil { // out of time before it began, or the caller has left
		response = &graphql.Response{Errors: gqlerror.List{g.present(ctx, ctx.Err())}}
	}
	return response
}

// stream runs any operation and hands each of its answers to send, one for a
// query or mutation and one for each event of a subscription, until the
// operation ends, ctx is done or send fails, whose error it returns. A
// subscription that its resolver refuses, or ends with an error and no data,
// ends with a *refusal.
//
// The key is asked for again before each event, and by the beats of the
// connection where there are none: one that was revoked since ends the stream
// with errNoKey, before the event is sent.
func (g *Gateway) stream(ctx context.Context, op *operation, send func(*graphql.Response) error) (err error) {
	defer func() {
		// A stream may run on a goroutine of its own, where a panic of what
		// it executes would end the program.
		if p := recover(); p != nil {
			err = g.refuse(http.StatusInternalServerError, g.present(ctx, g.recovered(ctx, p)))
		}
	}()
	if op.Operation.Operation != ast.Subscription {
		return send(g.run(ctx, op))
	}
	g.open.subs.Add(1)
	defer g.open.subs.Add(-1)
	responses, ctx := g.exec.DispatchOperation(g.Loaders(ctx), op.OperationContext)
	for {
		response := responses(g.Loaders(ctx))
		if response == nil {
			return context.Cause(ctx) // nil where the source has ended
		}
		if err := g.still(ctx, op.caller); err != nil {
			return err
		}
		if response.Data == nil && len(response.Errors) > 0 {
			no := g.refuse(http.StatusBadRequest, nil)
			no.errors = response.Errors
			return no
		}
		if err := send(response); err != nil {
			return err
		}
	}
}

// still tells whether a caller is who it was when it came.
func (g *Gateway) still(ctx context.Context, c *caller) error {
	if c.anonymous() {
		return nil
	}
	return g.keys.still(ctx, c.digest)
}
