package parcel

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of failure that callers tell apart with errors.Is. An error that
// carries data is a type that unwraps to its kind.
var (
	// ErrNotFound: the thing asked for does not exist, or is not the asker's.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the input can be mended by whoever wrote it.
	ErrInvalid = errors.New("invalid")
	// ErrMalformed: bytes that cannot be read in the form they claim.
	ErrMalformed = errors.New("malformed")
	// ErrConflict: the input contradicts what is stored.
	ErrConflict = errors.New("conflict")
	// ErrThrottled: too much was asked; see Throttled for when to ask again.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: the other side cannot answer now; trying again may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrDenied: credentials or signature refused; trying again will not help.
	ErrDenied = errors.New("denied")
)

// Throttled says that a quota is used up. It unwraps to ErrThrottled.
type Throttled struct {
	// RetryAfter is the wait the other side asked for; zero if it named none.
	RetryAfter time.Duration
}

// Error names the wait, if any.
func (t *Throttled) Error() string {
	if t.RetryAfter <= 0 {
		return "throttled"
	}
	return fmt.Sprintf("throttled: retry after %s", t.RetryAfter)
}

// Unwrap gives the kind.
func (t *Throttled) Unwrap() error { return ErrThrottled }

// Fault is the kind of mistake in one field of an input, as callers' programs
// tell them apart.
type Fault string

// The faults, named as the schema's UserErrorCode names them.
const (
	FaultRequired             Fault = "REQUIRED"
	FaultMalformed            Fault = "MALFORMED"
	FaultOutOfRange           Fault = "OUT_OF_RANGE"
	FaultTooMany              Fault = "TOO_MANY"
	FaultNotFound             Fault = "NOT_FOUND"
	FaultConflict             Fault = "CONFLICT"
	FaultWrongState           Fault = "WRONG_STATE"
	FaultCarrierNotConfigured Fault = "CARRIER_NOT_CONFIGURED"
	FaultCheckDigit           Fault = "CHECK_DIGIT"
	FaultDuplicate            Fault = "DUPLICATE"
)

// InputError is one thing in an input that its writer can mend. It unwraps to
// ErrInvalid, or to ErrConflict or ErrNotFound where the fault says so.
type InputError struct {
	Fault Fault
	// Path leads to the field at fault, list positions as decimal numbers.
	Path []string
	// Message says what is wrong and what would be right, for people.
	Message string
	// Warning is true where the input was taken all the same.
	Warning bool
}

// Invalidf makes an InputError for a dotted path such as "parcel.weightGrams".
func Invalidf(fault Fault, path, format string, args ...any) *InputError {
	e := &InputError{Fault: fault, Message: fmt.Sprintf(format, args...)}
	if path != "" {
		e.Path = strings.Split(path, ".")
	}
	return e
}

// Error gives path and message.
func (e *InputError) Error() string {
	if len(e.Path) == 0 {
		return e.Message
	}
	return strings.Join(e.Path, ".") + ": " + e.Message
}

// Unwrap gives the kind.
func (e *InputError) Unwrap() error {
	switch e.Fault {
	case FaultConflict:
		return ErrConflict
	case FaultNotFound:
		return ErrNotFound
	default:
		return ErrInvalid
	}
}

// Under returns a copy whose path is prefixed, so that a nested rule's fault
// names its place in the whole input.
func (e *InputError) Under(prefix ...string) *InputError {
	c := *e
	c.Path = append(append([]string{}, prefix...), e.Path...)
	return &c
}
