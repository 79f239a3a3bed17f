package graph

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/milepost-gateway/milepost/parcel"
)

// Code is the value of an error's extensions.code: a closed list.
type Code string

// The codes.
const (
	CodeNotFound           Code = "NOT_FOUND"
	CodeInvalidInput       Code = "INVALID_INPUT"
	CodeConflict           Code = "CONFLICT"
	CodeRateLimited        Code = "RATE_LIMITED"
	CodeCarrierUnavailable Code = "CARRIER_UNAVAILABLE"
	CodeUnavailable        Code = "UNAVAILABLE"
	CodeForbidden          Code = "FORBIDDEN"
	CodeUnauthenticated    Code = "UNAUTHENTICATED"
	CodeParseFailed        Code = "PARSE_FAILED"
	CodeValidationFailed   Code = "VALIDATION_FAILED"
	CodePersistedNotFound  Code = "PERSISTED_QUERY_NOT_FOUND"
	CodeCursorExpired      Code = "CURSOR_EXPIRED"
	CodeQueryTooCostly     Code = "QUERY_TOO_COSTLY"
	CodeInternal           Code = "INTERNAL"
)

// Kinds of failure that only the front knows; the others are parcel's.
var (
	// ErrUnauthenticated: nobody in particular asks for what has an owner, or
	// the key is not one of ours.
	ErrUnauthenticated = errors.New("no valid key")
	// ErrForbidden: the caller is known and may not.
	ErrForbidden = errors.New("not allowed")
	// ErrTooCostly: the document asks for more than one query may.
	ErrTooCostly = errors.New("query too costly")
	// ErrParse: the document cannot be read.
	ErrParse = errors.New("document cannot be read")
	// ErrValidation: the document does not fit the schema.
	ErrValidation = errors.New("document does not fit the schema")
	// ErrPersistedNotFound: the document's hash is not known.
	ErrPersistedNotFound = errors.New("persisted query not found")
	// ErrCarrier: a carrier does not answer. Wrapped together with
	// parcel.ErrUnavailable it tells a carrier's trouble from our own.
	ErrCarrier = errors.New("carrier")
)

// CursorExpired says that a place in the change log is older than what is kept.
type CursorExpired struct {
	// Oldest is the cursor of the oldest place kept: begin there, and know that
	// something was missed.
	Oldest string
}

// Error names no place: the cursor is in the extensions.
func (e *CursorExpired) Error() string {
	return "cursor is older than the log that is kept; begin again from `oldest`"
}

// Problem is an error of a closed code with what a program needs to act on it.
// Its message is shown to the caller as it is.
type Problem struct {
	Kind       error // one of the sentinels above, or parcel's
	Message    string
	Extensions map[string]any
}

// Error is the message.
func (p *Problem) Error() string { return p.Message }

// Unwrap gives the kind.
func (p *Problem) Unwrap() error { return p.Kind }

// CodeOf is the table that turns kinds into codes.
func CodeOf(err error) Code {
	var expired *CursorExpired
	is := func(kind error) bool { return errors.Is(err, kind) }
	switch {
	case errors.As(err, &expired):
		return CodeCursorExpired
	case is(ErrUnauthenticated):
		return CodeUnauthenticated
	case is(ErrForbidden):
		return CodeForbidden
	case is(ErrTooCostly):
		return CodeQueryTooCostly
	case is(ErrParse):
		return CodeParseFailed
	case is(ErrValidation):
		return CodeValidationFailed
	case is(ErrPersistedNotFound):
		return CodePersistedNotFound
	case is(parcel.ErrConflict):
		return CodeConflict
	case is(parcel.ErrNotFound):
		return CodeNotFound
	case is(parcel.ErrInvalid):
		return CodeInvalidInput
	case is(parcel.ErrThrottled):
		return CodeRateLimited
	case is(parcel.ErrUnavailable), is(context.DeadlineExceeded), is(context.Canceled):
		if is(ErrCarrier) {
			return CodeCarrierUnavailable
		}
		return CodeUnavailable
	case is(ErrCarrier):
		return CodeCarrierUnavailable
	default:
		return CodeInternal
	}
}

// Presenter turns errors into what a caller may see. It is safe for concurrent
// use.
type Presenter struct {
	log *slog.Logger
}

// NewPresenter makes a presenter that logs, once, what it hides.
func NewPresenter(log *slog.Logger) *Presenter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Presenter{log: log}
}

var _ graphql.ErrorPresenterFunc = (*Presenter)(nil).Present

// Present is the graphql.ErrorPresenterFunc: path, locations, message, code,
// and what the code needs besides. INTERNAL carries a reference and no detail,
// and so does what a database or a network said.
func (p *Presenter) Present(ctx context.Context, err error) *gqlerror.Error {
	out := &gqlerror.Error{Path: graphql.GetPath(ctx)}
	var told *gqlerror.Error
	if errors.As(err, &told) {
		if shown, ok := p.ofDocument(told); ok {
			return shown
		}
		if told.Path != nil {
			out.Path = told.Path
		}
		out.Locations = told.Locations
		if told.Err != nil {
			err = told.Err
		}
	}
	if fc := graphql.GetFieldContext(ctx); fc != nil {
		// A mistake in an argument is told with the argument's path; the path of
		// the answer is that of the field.
		out.Path = fc.Path()
		if fc.Field.Field != nil && (fc.Field.Name == "__schema" || fc.Field.Name == "__type") {
			err = &Problem{Kind: ErrForbidden, Message: "introspection is not open to this caller"}
		}
	}
	p.fill(ctx, out, err)
	return out
}

// ofDocument keeps what the parser and the validator said: it concerns the
// caller's own document. ok is false for all other errors.
func (p *Presenter) ofDocument(told *gqlerror.Error) (*gqlerror.Error, bool) {
	code := Code("")
	switch told.Extensions["code"] {
	case errcode.ParseFailed, string(CodeParseFailed):
		code = CodeParseFailed
	case errcode.ValidationFailed, string(CodeValidationFailed):
		code = CodeValidationFailed
	default:
		if told.Rule == "" {
			return nil, false
		}
		code = CodeValidationFailed
	}
	return &gqlerror.Error{Message: told.Message, Path: told.Path, Locations: told.Locations,
		Extensions: map[string]any{"code": string(code)}}, true
}

func (p *Presenter) fill(ctx context.Context, out *gqlerror.Error, err error) {
	code := CodeOf(err)
	out.Extensions = map[string]any{"code": string(code)}
	var (
		input     *parcel.InputError
		throttled *parcel.Throttled
		expired   *CursorExpired
		problem   *Problem
	)
	switch {
	case errors.As(err, &problem):
		out.Message = problem.Message
		for k, v := range problem.Extensions {
			if k != "code" {
				out.Extensions[k] = v
			}
		}
	case errors.As(err, &input):
		out.Message = input.Message
		out.Extensions["fault"] = string(input.Fault)
		if len(input.Path) > 0 {
			out.Extensions["input"] = slices.Clone(input.Path)
		}
	case errors.As(err, &expired):
		out.Message = expired.Error()
		out.Extensions["oldest"] = expired.Oldest
	case errors.As(err, &throttled):
		out.Message = "too much was asked"
		if throttled.RetryAfter > 0 {
			out.Extensions["retryAfterSeconds"] = int(math.Ceil(throttled.RetryAfter.Seconds()))
		}
	case code == CodeInternal:
		out.Message = "internal error"
		p.hide(ctx, slog.LevelError, out, err)
	case code == CodeUnavailable && errors.Is(err, context.Canceled):
		out.Message = "the request was given up"
	case code == CodeUnavailable && errors.Is(err, context.DeadlineExceeded):
		out.Message = "not answered in time"
	case code == CodeUnavailable, code == CodeCarrierUnavailable:
		out.Message = "not available now; try again later"
		p.hide(ctx, slog.LevelWarn, out, err)
	default:
		out.Message = plain(code)
	}
}

// plain is the message of a code whose errors say nothing that the caller can
// use: what a lower layer wrote about its own names is not for the outside.
func plain(code Code) string {
	switch code {
	case CodeUnauthenticated:
		return "a valid key is needed"
	case CodeForbidden:
		return "the key may not do this"
	case CodeQueryTooCostly:
		return "the query asks for too much"
	case CodeNotFound:
		return "not found"
	case CodeInvalidInput:
		return "the input is not valid"
	case CodeConflict:
		return "contradicts what is stored"
	case CodeRateLimited:
		return "too much was asked"
	case CodePersistedNotFound:
		return "PersistedQueryNotFound"
	case CodeParseFailed:
		return "the document cannot be read"
	case CodeValidationFailed:
		return "the document does not fit the schema"
	default:
		return "internal error"
	}
}

// hide logs an error and gives the caller a reference to it.
func (p *Presenter) hide(ctx context.Context, level slog.Level, out *gqlerror.Error, err error) {
	reference := rand.Text()[:12]
	out.Extensions["reference"] = reference
	attrs := []slog.Attr{
		slog.String("reference", reference), slog.String("code", out.Extensions["code"].(string)),
		slog.String("path", out.Path.String()), slog.Any("err", err),
	}
	var caught *panicked
	if errors.As(err, &caught) {
		attrs = append(attrs, slog.String("stack", caught.stack))
	}
	p.log.LogAttrs(ctx, level, "graph: a field failed", attrs...)
}

// panicked is a panic caught at a field.
type panicked struct {
	value any
	stack string
}

func (e *panicked) Error() string { return "panic: " + stringOf(e.value) }

func stringOf(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case string:
		return v
	default:
		return "(not an error)"
	}
}

// Recover is the graphql.RecoverFunc: a panic becomes an error that Present
// shows as INTERNAL and logs with its stack.
func (p *Presenter) Recover(_ context.Context, value any) error { return Panicked(value) }

// Panicked makes an error of what recover returned, with the stack of whoever
// calls it. It is shown as INTERNAL.
func Panicked(value any) error { return &panicked{value: value, stack: string(debug.Stack())} }
