package importer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// layout is one form of a date or time.
type layout struct {
	written string // as the mapping has it
	layout  string // as package time has it; empty for epoch
	epoch   time.Duration
	clock   bool // has a time of day
	offset  bool // has an offset from UTC
}

// iso are the forms that need no naming: they cannot be misread.
var iso = []layout{
	{written: "YYYY-MM-DD", layout: "2006-01-02"},
	{written: "YYYY-MM-DDThh:mm:ssZ", layout: time.RFC3339Nano, clock: true, offset: true},
	{written: "YYYY-MM-DD hh:mm:ssZ", layout: "2006-01-02 15:04:05.999999999Z07:00", clock: true, offset: true},
	{written: "YYYY-MM-DDThh:mm:ss", layout: "2006-01-02T15:04:05", clock: true},
	{written: "YYYY-MM-DD hh:mm:ss", layout: "2006-01-02 15:04:05", clock: true},
	{written: "YYYY-MM-DDThh:mm", layout: "2006-01-02T15:04", clock: true},
	{written: "YYYY-MM-DD hh:mm", layout: "2006-01-02 15:04", clock: true},
}

// The parts of a form, longest first, as a person writes them and as package
// time does. Months are M and minutes m, as in most programs.
var parts = []struct {
	written, layout string
	clock, offset   bool
}{
	{written: "YYYY", layout: "2006"},
	{written: "YY", layout: "06"},
	{written: "Month", layout: "January"},
	{written: "Mon", layout: "Jan"},
	{written: "MM", layout: "01"},
	{written: "M", layout: "1"},
	{written: "DD", layout: "02"},
	{written: "D", layout: "2"},
	{written: "hh", layout: "15", clock: true},
	{written: "h", layout: "3", clock: true},
	{written: "mm", layout: "04", clock: true},
	{written: "ss", layout: "05", clock: true},
	{written: "PM", layout: "PM", clock: true},
	{written: "Z", layout: "Z07:00", clock: true, offset: true},
}

// layouts reads the forms that a mapping names; none gives those of ISO 8601.
func layouts(written Texts) ([]layout, error) {
	if len(written) == 0 {
		return iso, nil
	}
	var out []layout
	for _, w := range written {
		switch strings.ToLower(w) {
		case "iso", "rfc3339":
			out = append(out, iso...)
			continue
		case "unix":
			out = append(out, layout{written: w, epoch: time.Second, clock: true, offset: true})
			continue
		case "unix-ms":
			out = append(out, layout{written: w, epoch: time.Millisecond, clock: true, offset: true})
			continue
		}
		l, err := layoutOf(w)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func layoutOf(written string) (layout, error) {
	l := layout{written: written}
	var b strings.Builder
	has := map[string]bool{}
	for rest := written; rest != ""; {
		found := false
		for _, p := range parts {
			if strings.HasPrefix(rest, p.written) {
				b.WriteString(p.layout)
				l.clock, l.offset = l.clock || p.clock, l.offset || p.offset
				has[p.written[:1]] = true
				rest, found = rest[len(p.written):], true
				break
			}
		}
		if found {
			continue
		}
		c := rest[0]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' && c != 'T' || c >= 'a' && c <= 'z' {
			return l, fmt.Errorf("date: %q: %q is no part of a date; want YYYY YY MM M Mon DD D hh mm ss Z, or iso, unix, unix-ms", written, rest)
		}
		b.WriteByte(c)
		rest = rest[1:]
	}
	if !has["Y"] || !has["M"] || !has["D"] {
		return l, fmt.Errorf("date: %q: a date needs a year, a month and a day", written)
	}
	l.layout = b.String()
	return l, nil
}

// parse reads s by this form; the zone of the result is UTC where none was
// written.
func (l *layout) parse(s string) (time.Time, error) {
	if l.epoch == 0 {
		return time.Parse(l.layout, s)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(l.epoch) {
		return time.Time{}, fmt.Errorf("%q is no count of %s since 1970", s, l.epoch)
	}
	return time.Unix(0, 0).UTC().Add(time.Duration(n) * l.epoch), nil
}

// parseDate reads s by the first form that fits.
func parseDate(s string, forms []layout) (time.Time, *layout, error) {
	for i := range forms {
		if t, err := forms[i].parse(s); err == nil {
			return t, &forms[i], nil
		}
	}
	if len(forms) == len(iso) && &forms[0] == &iso[0] {
		return time.Time{}, nil, fmt.Errorf("%q is no date as 2026-11-22 or time as 2026-11-22T08:30:00Z; name its form in the mapping (date: D/M/YYYY)", s)
	}
	written := make([]string, len(forms))
	for i := range forms {
		written[i] = forms[i].written
	}
	return time.Time{}, nil, fmt.Errorf("%q is no date of the form %s", s, strings.Join(written, " or "))
}

func zoneOf(name string) (*time.Location, error) {
	if name == "Local" || name == "" {
		return nil, fmt.Errorf("zone %q: %w", name, parcel.ErrInvalid)
	}
	return time.LoadLocation(name)
}

// momentOf keeps a time as it was written, with the honest certainty of its
// offset.
func momentOf(text string, t time.Time, l *layout, loc *time.Location, c parcel.Certainty) parcel.Moment {
	switch {
	case l.offset:
		return parcel.ReportedMoment(text, t)
	case l.clock:
		return parcel.LocalMoment(text, t, loc, c)
	default:
		return parcel.DayMoment(text, t, loc, c)
	}
}

// factor turns one unit into the one that a field is kept in.
func factor(unit, to string) (float64, error) {
	grams := map[string]float64{"g": 1, "kg": 1000, "lb": 453.59237, "oz": 28.349523125}
	millimetres := map[string]float64{"mm": 1, "cm": 10, "m": 1000, "in": 25.4}
	table := grams
	if to == "mm" {
		table = millimetres
	}
	if to == "" {
		return 1, fmt.Errorf("unit does not belong here: the field is no measure")
	}
	f, ok := table[unit]
	if !ok {
		if to == "mm" {
			return 1, fmt.Errorf("unit %q: want mm, cm, m or in", unit)
		}
		return 1, fmt.Errorf("unit %q: want g, kg, lb or oz", unit)
	}
	return f, nil
}

// decimalText gives a number with a point before its decimals. Signs between
// thousands are refused: what they mean differs from country to country.
func decimalText(s, sign string) (string, error) {
	t := s
	if sign == "," {
		if strings.Contains(t, ".") {
			return "", fmt.Errorf("%q has a point, and the mapping says decimal: \",\"", s)
		}
		t = strings.Replace(t, ",", ".", 1)
	}
	if strings.ContainsAny(t, ", '") {
		return "", fmt.Errorf("%q: write numbers without signs between thousands; if the comma begins the decimals, say decimal: \",\" in the mapping", s)
	}
	return t, nil
}

func parseNumber(s, sign string, factor float64) (int, error) {
	t, err := decimalText(s, sign)
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is no number; if it means that nothing is known, list it under empty in the mapping", s)
	}
	f = math.Round(f * factor)
	if f < 0 || f > math.MaxInt32 {
		return 0, fmt.Errorf("%q is out of range", s)
	}
	return int(f), nil
}
