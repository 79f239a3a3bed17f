package gateway

import (
	"encoding/json"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// appendResponse writes an answer as JSON. The data is copied as the executor
// wrote it: it is JSON already, and encoding it again costs more than all the
// rest. priced says whether the answer tells its price.
func appendResponse(to []byte, r *graphql.Response, price int64, priced bool) []byte {
	to = append(to, '{')
	if len(r.Errors) > 0 {
		to = append(to, `"errors":`...)
		to = append(appendErrors(to, r.Errors), ',')
	}
	if r.Data != nil {
		to = append(to, `"data":`...)
		to = append(append(to, r.Data...), ',')
	}
	begin := len(to)
	to = append(to, `"extensions":{`...)
	if priced {
		to = append(to, `"cost":{"requested":`...)
		to = append(append(to, points(price)...), '}', ',')
	}
	for name, value := range r.Extensions {
		encoded, err := json.Marshal(value)
		if err != nil || priced && name == "cost" {
			continue // an extension is never worth the answer
		}
		to = append(strconv.AppendQuote(to, name), ':')
		to = append(append(to, encoded...), ',')
	}
	if to[len(to)-1] == ',' {
		to[len(to)-1] = '}'
	} else {
		to = to[:begin] // nothing to extend with
	}
	if to[len(to)-1] == ',' {
		to = to[:len(to)-1]
	}
	return append(to, '}')
}

func appendErrors(to []byte, list gqlerror.List) []byte {
	encoded, err := json.Marshal(list)
	if err != nil {
		// A resolver gave an extension that JSON cannot write.
		bare := make(gqlerror.List, len(list))
		for i, e := range list {
			bare[i] = &gqlerror.Error{Message: e.Message, Path: e.Path, Locations: e.Locations}
		}
		if encoded, err = json.Marshal(bare); err != nil {
			encoded = []byte(`[{"message":"An error cannot be written."}]`)
		}
	}
	return append(to, encoded...)
}

// appendRefusal writes the answer to a request that was not let through.
func appendRefusal(to []byte, no *refusal) []byte {
	return appendResponse(to, &graphql.Response{Errors: no.errors}, no.price, no.price > 0)
}
