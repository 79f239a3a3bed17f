package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// request is a GraphQL request as a client sent it, over any transport.
type request struct {
	query     string
	operation string
	// variables and extensions keep numbers as json.Number. They are nil where
	// the client gave none.
	variables  map[string]any
	extensions map[string]any
}

// requestError says what is wrong with a request that never became a
// document. status is the HTTP status that fits.
type requestError struct {
	status  int
	message string
	excess  *excess // set where it is over a limit
}

func (e *requestError) Error() string { return e.message }

func badRequest(format string, args ...any) *requestError {
	return &requestError{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

// decodeRequest reads the JSON object of a request. It refuses what other
// readers of the same bytes could understand differently: a key given twice,
// anything after the object, text that is not UTF-8. Keys that it does not
// know are left to those who do. nesting bounds lists and objects inside each
// other.
func decodeRequest(data []byte, nesting int) (*request, error) {
	if !utf8.Valid(data) {
		return nil, badRequest("The request is not valid UTF-8.")
	}
	value, err := parseJSON(data, nesting, 0)
	var refused *requestError
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case err == errTrailing:
		return nil, badRequest("The request goes on after its JSON object.")
	case err != nil && len(bytes.TrimSpace(data)) == 0:
		return nil, badRequest("The request has no body.")
	case err != nil:
		return nil, badRequest("The request is not valid JSON.")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, badRequest("The request must be one JSON object; lists of requests are not taken.")
	}
	return readRequest(object)
}

// readRequest picks the members of a request object.
func readRequest(object map[string]any) (*request, error) {
	r := &request{}
	var err error
	pick := func(name string, take func(any) bool, kind string) {
		v, given := object[name]
		if err == nil && given && v != nil && !take(v) {
			err = badRequest("The request's %s must be %s.", name, kind)
		}
	}
	pick("query", func(v any) (ok bool) { r.query, ok = v.(string); return }, "a string")
	pick("operationName", func(v any) (ok bool) { r.operation, ok = v.(string); return }, "a string")
	pick("variables", func(v any) (ok bool) { r.variables, ok = v.(map[string]any); return }, "an object")
	pick("extensions", func(v any) (ok bool) { r.extensions, ok = v.(map[string]any); return }, "an object")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.query) == "" {
		return nil, badRequest("The request has no query.")
	}
	return r, nil
}

// decodeQuery reads a request from the parameters of a URL.
func decodeQuery(raw string, nesting int) (*request, error) {
	values, err := url.ParseQuery(raw)
	if err != nil || !utf8.ValidString(raw) {
		return nil, badRequest("The request's parameters are not valid.")
	}
	object := map[string]any{}
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		given := values[name]
		if len(given) > 1 {
			return nil, badRequest("The request gives its %s twice.", name)
		}
		if len(given) == 0 || given[0] == "" && name != "query" {
			continue
		}
		if !utf8.ValidString(given[0]) {
			return nil, badRequest("The request is not valid UTF-8.")
		}
		object[name] = given[0]
		if name == "variables" || name == "extensions" {
			value, err := parseJSON([]byte(given[0]), nesting, 1)
			var refused *requestError
			if errors.As(err, &refused) {
				return nil, refused
			}
			if err != nil {
				return nil, badRequest("The request's %s are not valid JSON.", name)
			}
			object[name] = value
		}
	}
	return readRequest(object)
}
