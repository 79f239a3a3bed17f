package cainiao

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// The forms of messages as far as they are known: answers as the public query
// gives them, pushes as seen from warehouses with trace fields beside them. A
// contract may fix others, so that each is the default of a setting.
const (
	pullItems  = "module"
	pullEvents = "detailList"
	pullFields = "number=mailNo next=copyRealMailNo code=actionCode words=desc|standerdDesc " +
		"time=timeStr epoch=time zone=timeZone destination=destCountry post=destCpInfo.cpName status=status"

	pushItems  = "logisticsEvent.eventBody.logisticsDetail"
	pushEvents = ""
	pushFields = "number=mailNo|logisticsOrderCode next=trackingNumber code=actionCode|/logisticsEvent.eventHeader.eventType " +
		"words=actionDesc time=occurTime|/logisticsEvent.eventHeader.eventTime zone=timeZone|/logisticsEvent.eventHeader.eventTimeZone " +
		"country=country region=province city=city facility=facility"
)

// field is what a message can tell about a parcel or an event.
type field string

const (
	fieldNumber      field = "number"      // the parcel's number
	fieldNext        field = "next"        // the number of the last mile
	fieldCode        field = "code"        // the action code
	fieldWords       field = "words"       // the description
	fieldTime        field = "time"        // the wall clock as text
	fieldEpoch       field = "epoch"       // the instant, epoch milliseconds
	fieldZone        field = "zone"        // the zone of time
	fieldCountry     field = "country"     // where it happened
	fieldRegion      field = "region"      // where it happened
	fieldCity        field = "city"        // where it happened
	fieldFacility    field = "facility"    // where it happened
	fieldDestination field = "destination" // country of the recipient
	fieldPost        field = "post"        // the last-mile carrier's name
	fieldStatus      field = "status"      // Cainiao's word for the state of the parcel
)

func (f field) valid() bool {
	switch f {
	case fieldNumber, fieldNext, fieldCode, fieldWords, fieldTime, fieldEpoch, fieldZone, fieldCountry,
		fieldRegion, fieldCity, fieldFacility, fieldDestination, fieldPost, fieldStatus:
		return true
	}
	return false
}

// layout is a form of message as settings write it.
type layout struct{ items, events, fields string }

// path leads to a value: keys from an event or its parcel, or from the root.
type path struct {
	root bool
	keys []string
}

func (p path) last() string { return p.keys[len(p.keys)-1] }

// shape is a layout made ready to read with. It is immutable.
type shape struct {
	items, events []string
	fields        map[field][]path
}

// newShape reads a layout. The error is of kind ErrInvalid and names the entry
// at fault; the shape beside it is not to be used.
func newShape(l layout) (*shape, error) {
	s := &shape{items: keys(l.items), events: keys(l.events), fields: map[field][]path{}}
	for _, entry := range words(l.fields) {
		name, paths, ok := strings.Cut(entry, "=")
		if !ok || !field(name).valid() {
			return s, fmt.Errorf("entry %q: want one of the fields, as in code=actionCode: %w", entry, parcel.ErrInvalid)
		}
		for written := range strings.SplitSeq(paths, "|") {
			p := path{keys: keys(strings.TrimPrefix(written, "/")), root: strings.HasPrefix(written, "/")}
			if len(p.keys) == 0 {
				return s, fmt.Errorf("entry %q: empty path: %w", entry, parcel.ErrInvalid)
			}
			s.fields[field(name)] = append(s.fields[field(name)], p)
		}
	}
	for _, needed := range []field{fieldNumber, fieldCode} {
		if len(s.fields[needed]) == 0 {
			return s, fmt.Errorf("no path to %s: %w", needed, parcel.ErrInvalid)
		}
	}
	if len(s.fields[fieldTime])+len(s.fields[fieldEpoch]) == 0 {
		return s, fmt.Errorf("no path to %s or %s: %w", fieldTime, fieldEpoch, parcel.ErrInvalid)
	}
	return s, nil
}

func keys(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '.' })
}

// names tells whether a key is the end of a path to one of the fields.
func (s *shape) names(key string, among ...field) bool {
	for f, paths := range s.fields {
		if (len(among) == 0 || slices.Contains(among, f)) && slices.ContainsFunc(paths, func(p path) bool { return p.last() == key }) {
			return true
		}
	}
	return false
}

// view is one event in its parcel in its message. Event may be nil.
type view struct {
	shape             *shape
	root, item, event any
}

// text is the first path of a field that leads to something, and the place of
// that path among the field's.
func (v view) text(f field) (string, int) {
	for i := range v.shape.fields[f] {
		if t := v.textAt(f, i); t != "" {
			return t, i
		}
	}
	return "", 0
}

// textAt is what the nth path of a field leads to; of a shorter list the last.
func (v view) textAt(f field, n int) string {
	paths := v.shape.fields[f]
	if len(paths) == 0 {
		return ""
	}
	p := paths[min(n, len(paths)-1)]
	from := []any{v.event, v.item}
	if p.root {
		from = []any{v.root}
	}
	for _, start := range from {
		found, _ := dig(start, p.keys)
		if t := scalar(found); t != "" {
			return t
		}
	}
	return ""
}

// dig follows keys down from v; nil and false if they lead nowhere. Text that
// holds JSON is gone through like JSON: gateways nest one in the other.
func dig(v any, keys []string) (found any, ok bool) {
	for _, k := range keys {
		object, isObject := inner(v).(map[string]any)
		if !isObject {
			return nil, false
		}
		if v, ok = object[k]; !ok {
			return nil, false
		}
	}
	return v, true
}

// inner is what a text of JSON holds, and anything else itself.
func inner(v any) any {
	s, ok := v.(string)
	if !ok || !strings.HasPrefix(s, "{") && !strings.HasPrefix(s, "[") {
		return v
	}
	parsed, err := parse([]byte(s))
	if err != nil {
		return v
	}
	return parsed
}

// list gives the elements of an array; a lone object counts as an array of
// one, and null or an empty text as none.
func list(v any) []any {
	switch v := inner(v).(type) {
	case []any:
		return v
	case map[string]any:
		return []any{v}
	}
	return nil
}

// scalar writes a text, number or Boolean as text; empty for all else.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
