package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// problem is an error that its reader can mend, told as it is. Which code it
// gets is graph's to say.
func (g *Gateway) problem(kind error, message string, extensions map[string]any) *gqlerror.Error {
	return g.present(context.Background(), &graph.Problem{Kind: kind, Message: message, Extensions: extensions})
}

// invalid is a request that is not what it should be.
func (g *Gateway) invalid(message string) *gqlerror.Error {
	return g.problem(parcel.ErrInvalid, message, nil)
}

func (g *Gateway) forbidden(message string) *gqlerror.Error {
	return g.problem(graph.ErrForbidden, message, nil)
}

func (g *Gateway) unauthenticated(message string) *gqlerror.Error {
	return g.problem(graph.ErrUnauthenticated, message, nil)
}

func (g *Gateway) unavailable(message string) *gqlerror.Error {
	return g.problem(parcel.ErrUnavailable, message, nil)
}

// tooMuch tells which limit a request is over.
func (g *Gateway) tooMuch(e *excess) *gqlerror.Error {
	extensions := map[string]any{"limit": e.limit, "max": e.max}
	if e.got > 0 {
		extensions["got"] = e.got
	}
	return g.problem(graph.ErrTooCostly, e.Error(), extensions)
}

// tooCostly tells a price that is over the limit. A price that does not fit a
// number is told as a bound.
func (g *Gateway) tooCostly(price int64) *gqlerror.Error {
	return g.problem(graph.ErrTooCostly,
		fmt.Sprintf("The operation would cost %s points, and at most %d are allowed. Lists are priced at their largest length: ask for shorter ones.", points(price), g.Limits.Cost),
		map[string]any{"limit": "cost", "max": g.Limits.Cost, "requested": points(price)})
}

// documentError tells what parse found.
func (g *Gateway) documentError(err error) *gqlerror.Error {
	var over *excess
	var wrong *invalidDocument
	var unread *gqlerror.Error
	switch {
	case errors.As(err, &over):
		return g.tooMuch(over)
	case errors.As(err, &wrong):
		return g.problem(graph.ErrValidation, wrong.message, nil)
	case errors.As(err, &unread):
		e := g.problem(graph.ErrParse, unread.Message, nil)
		e.Locations = unread.Locations
		return e
	}
	return g.present(context.Background(), err)
}

// validationErrors tells the first of what the validator found.
func (g *Gateway) validationErrors(found gqlerror.List) (told gqlerror.List) {
	for _, f := range found[:min(len(found), g.Limits.Errors)] {
		e := g.problem(graph.ErrValidation, f.Message, nil)
		e.Locations = f.Locations
		told = append(told, e)
	}
	if more := len(found) - len(told); more > 0 {
		told = append(told, g.problem(graph.ErrValidation, fmt.Sprintf("And %d more.", more), nil))
	}
	return told
}

// variableError tells which variable does not have the type it was declared
// with.
func (g *Gateway) variableError(err error) *gqlerror.Error {
	var wrong *gqlerror.Error
	if !errors.As(err, &wrong) {
		return g.present(context.Background(), err)
	}
	extensions := map[string]any{}
	if len(wrong.Path) > 0 {
		extensions["input"] = wrong.Path
	}
	return g.problem(graph.ErrValidation, wrong.Message, extensions)
}

// requestProblem tells what is wrong with a request that has no document yet.
func (g *Gateway) requestProblem(e *requestError) *gqlerror.Error {
	if e.excess != nil {
		return g.tooMuch(e.excess)
	}
	return g.invalid(e.message)
}

// callerError tells why a caller was not let in.
func (g *Gateway) callerError(ctx context.Context, err error) *gqlerror.Error {
	if errors.Is(err, errNoKey) {
		return g.unauthenticated("The API key is unknown, revoked or expired.")
	}
	return g.present(ctx, err)
}
