package carrierkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// Text is a JSON value that carriers write now as a string, now as a number or
// a Boolean. Null, objects and arrays read as empty; surrounding white space
// stays. It never fails.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || bytes.Equal(b, []byte("null")):
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = Text(s)
		}
	default:
		*t = Text(b) // numbers keep their digits, however many
	}
	return nil
}

// String gives the text without white space around it.
func (t Text) String() string { return strings.TrimSpace(string(t)) }

// True reads what carriers write for yes: true, "true", "TRUE", 1, "1", "Y",
// "yes". Anything else is no.
func (t Text) True() bool {
	switch strings.ToLower(t.String()) {
	case "true", "1", "y", "yes":
		return true
	}
	return false
}

// Int reads a whole number in decimal; ok is false for anything else.
func (t Text) Int() (n int64, ok bool) {
	n, err := strconv.ParseInt(t.String(), 10, 64)
	return n, err == nil
}

// List is a JSON array read element by element, so that one element of the
// wrong form does not hide the others. Null and "" are an empty list, and an
// object alone is a list of one, as carriers write it that learned JSON from
// XML. It never fails: Faults has what could not be read, of kind
// parcel.ErrMalformed, each naming its position.
type List[T any] struct {
	Items  []T
	Faults []error
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *List[T]) UnmarshalJSON(b []byte) error {
	*l = List[T]{}
	var raw []json.RawMessage
	switch {
	case len(b) == 0 || bytes.Equal(b, []byte("null")) || bytes.Equal(b, []byte(`""`)):
		return nil
	case b[0] == '[':
		if err := json.Unmarshal(b, &raw); err != nil {
			return err // cannot be: the decoder has checked the syntax
		}
	case b[0] == '{':
		raw = []json.RawMessage{b}
	default:
		l.Faults = append(l.Faults, fmt.Errorf("neither list nor object: %w", parcel.ErrMalformed))
		return nil
	}
	l.Items = make([]T, 0, len(raw))
	for i, r := range raw {
		if bytes.Equal(r, []byte("null")) {
			continue
		}
		var item T
		if err := json.Unmarshal(r, &item); err != nil {
			l.Faults = append(l.Faults, fmt.Errorf("item %d: %w: %w", i, parcel.ErrMalformed, err))
			continue
		}
		l.Items = append(l.Items, item)
	}
	return nil
}

// First is the first item of a list that should be an object; the zero value
// where there is none.
func (l List[T]) First() T {
	if len(l.Items) == 0 {
		var none T
		return none
	}
	return l.Items[0]
}

// Unwrap reads a JSON object that may be wrapped in a text; ok is false for
// null, an empty text and absence. The error is of kind parcel.ErrMalformed.
func Unwrap(raw json.RawMessage, into any) (ok bool, err error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(strings.TrimSpace(text))
	}
	if len(raw) == 0 || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	return true, nil
}

// SplitSetting reads a setting that is a list, parted by commas or spaces.
func SplitSetting(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// Numbers are the numbers asked for, normalised, each once, in order; empty
// ones are left out.
func Numbers(queries []carriers.Query) []string {
	numbers := make([]string, 0, len(queries))
	for _, q := range queries {
		if n := parcel.NormalizeNumber(q.Number); n != "" && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
