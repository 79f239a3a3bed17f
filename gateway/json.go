package gateway

import (
	"encoding/json"
	"errors"
)

// errJSON says that bytes are not JSON, and nothing of what they are.
var errJSON = errors.New("not valid JSON")

// strictJSON reads one JSON value (RFC 8259) out of valid UTF-8, into what
// json.Decoder with UseNumber makes of it. It refuses objects that give a key
// twice, which readers understand differently, and values that stand deeper
// inside each other than allowed. It exists because the decoder of the
// standard library hides the first from its caller, unless asked token by
// token, which takes several times as long.
type strictJSON struct {
	data    []byte
	at      int
	nesting int
}

// parseJSON reads data as one value with nothing but white space around it.
// depth is how deep the value itself stands. The error is errJSON or a
// *requestError.
func parseJSON(data []byte, nesting, depth int) (any, error) {
	s := strictJSON{data: data, nesting: nesting}
	v, err := s.value(depth)
	if err != nil {
		return nil, err
	}
	if s.space(); s.at != len(s.data) {
		return v, errTrailing
	}
	return v, nil
}

// errTrailing says that something stands behind the value.
var errTrailing = errors.New("something stands behind the JSON value")

func (s *strictJSON) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// next skips white space and returns the byte there, without taking it; 0 at
// the end.
func (s *strictJSON) next() byte {
	if s.space(); s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *strictJSON) value(depth int) (any, error) {
	switch c := s.next(); c {
	case '{':
		return s.object(depth)
	case '[':
		return s.list(depth)
	case '"':
		return s.text()
	case 't':
		return true, s.word("true")
	case 'f':
		return false, s.word("false")
	case 'n':
		return nil, s.word("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return s.number()
		}
		return nil, errJSON
	}
}

func (s *strictJSON) deeper(depth int) error {
	if depth >= s.nesting {
		return badRequest("Lists and objects of the request stand more than %d deep inside each other.", s.nesting)
	}
	s.at++
	return nil
}

func (s *strictJSON) object(depth int) (any, error) {
	if err := s.deeper(depth); err != nil {
		return nil, err
	}
	object := map[string]any{}
	if s.next() == '}' {
		s.at++
		return object, nil
	}
	for {
		if s.next() != '"' {
			return nil, errJSON
		}
		key, err := s.text()
		if err != nil {
			return nil, err
		}
		if s.next() != ':' {
			return nil, errJSON
		}
		s.at++
		if _, twice := object[key]; twice {
			return nil, badRequest("The request gives a key twice.")
		}
		if object[key], err = s.value(depth + 1); err != nil {
			return nil, err
		}
		switch s.next() {
		case ',':
			s.at++
		case '}':
			s.at++
			return object, nil
		default:
			return nil, errJSON
		}
	}
}

func (s *strictJSON) list(depth int) (any, error) {
	if err := s.deeper(depth); err != nil {
		return nil, err
	}
	list := []any{}
	if s.next() == ']' {
		s.at++
		return list, nil
	}
	for {
		v, err := s.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch s.next() {
		case ',':
			s.at++
		case ']':
			s.at++
			return list, nil
		default:
			return nil, errJSON
		}
	}
}

// text reads a string; s stands on its opening quote.
func (s *strictJSON) text() (string, error) {
	begin := s.at
	escaped := false
	for s.at++; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			if !escaped {
				return string(s.data[begin+1 : s.at-1]), nil
			}
			var text string
			if json.Unmarshal(s.data[begin:s.at], &text) != nil {
				return "", errJSON
			}
			return text, nil
		case c == '\\':
			escaped = true
			s.at++ // whatever it escapes does not end the string
		case c < ' ':
			return "", errJSON
		}
	}
	return "", errJSON
}

func (s *strictJSON) word(w string) error {
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		return errJSON
	}
	s.at += len(w)
	return nil
}

func (s *strictJSON) number() (any, error) {
	begin := s.at
	digits := func() bool {
		from := s.at
		for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
			s.at++
		}
		return s.at > from
	}
	take := func(any string) bool {
		for i := range len(any) {
			if s.at < len(s.data) && s.data[s.at] == any[i] {
				s.at++
				return true
			}
		}
		return false
	}
	take("-")
	if !take("0") && !digits() {
		return nil, errJSON
	}
	if take(".") && !digits() {
		return nil, errJSON
	}
	if take("eE") {
		if take("+-"); !digits() {
			return nil, errJSON
		}
	}
	return json.Number(s.data[begin:s.at]), nil
}
