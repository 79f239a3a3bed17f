package declared

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// The layouts that are no layouts of package time.
const (
	layoutUnix      = "unix"
	layoutUnixMilli = "unix-ms"
)

// The years that a scan can have; what lies outside is a placeholder.
const (
	firstYear = 1990
	lastYear  = 2199
)

// timeRule says how a time is written and what clock it is.
type timeRule struct {
	line    int
	at      field
	layouts []string
	zone    zoneRule
}

// zoneRule says how the offset of a clock face is known: from the text itself,
// from a field beside it, from the place of the event, or always the same.
type zoneRule struct {
	from  string // text, field, place or fixed
	field field
	// name is the fixed zone, or the fallback where the field or the place
	// tells none; certainty is how sure that is.
	name      *time.Location
	certainty parcel.Certainty
}

func zoneSources() []string { return []string{"text", "field", "place", "fixed"} }

// hasOffset tells whether a layout reads an offset.
func hasOffset(layout string) bool {
	return strings.Contains(layout, "Z07") || strings.Contains(layout, "-07") || strings.Contains(layout, "+07")
}

func isEpoch(layout string) bool { return layout == layoutUnix || layout == layoutUnixMilli }

// hasClock tells whether a layout reads a time of day.
func hasClock(layout string) bool {
	probe := time.Date(2001, 2, 3, 16, 5, 6, 0, time.UTC)
	return isEpoch(layout) || probe.Format(layout) != time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC).Format(layout)
}

// checkLayout refuses a layout that does not read the day back that it wrote.
func checkLayout(layout string) error {
	if isEpoch(layout) {
		return nil
	}
	if strings.Contains(layout, "MST") {
		return fmt.Errorf("layout %q: zone names such as MST name several zones; leave them out of the text or declare a zone", layout)
	}
	probe := time.Date(2023, 11, 24, 16, 37, 0, 0, time.UTC)
	read, err := time.Parse(layout, probe.Format(layout))
	if err == nil && read.Year() == 2023 && read.Month() == 11 && read.Day() == 24 {
		return nil
	}
	remedy := "write how 2 January 2006, 15:04:05 would look, such as 02.01.2006 15:04; or unix, or unix-ms"
	if guess := goLayout(layout); guess != layout && checkLayout(guess) == nil {
		remedy = fmt.Sprintf("write it as %q", guess)
	}
	return fmt.Errorf("layout %q reads no day; %s", layout, remedy)
}

// goLayout turns the letters of other languages' layouts into Go's. What has
// none of them comes back as it was.
func goLayout(layout string) string {
	return strings.NewReplacer(
		"YYYY", "2006", "yyyy", "2006", "%Y", "2006", "DD", "02", "dd", "02", "%d", "02", "MM", "01", "%m", "01",
		"HH", "15", "%H", "15", "mm", "04", "%M", "04", "ss", "05", "SS", "05", "%S", "05", "XXX", "Z07:00", "%z", "-0700",
	).Replace(layout)
}

// loadZone reads an IANA name or an offset such as +05:00.
func loadZone(name string, zones *carrierkit.Zones) *time.Location {
	if seconds, err := parcel.ParseOffset(name); err == nil {
		return time.FixedZone(parcel.FormatOffset(seconds), seconds)
	}
	return zones.Location(name)
}

// read gives the moment; the zero Moment for an empty text.
func (t *timeRule) read(c scope, p parcel.Place, zones *carrierkit.Zones) (parcel.Moment, error) {
	written := t.at.text(c)
	if written == "" {
		return parcel.Moment{}, nil
	}
	for _, layout := range t.layouts {
		if isEpoch(layout) {
			if at, ok := readEpoch(layout, written); ok {
				loc, certainty := t.location(c, p, zones)
				if loc == nil {
					// The instant is sure, and no place is known: its clock is
					// shown in UTC, by rule.
					loc, certainty = time.UTC, parcel.CertaintyAssumed
				}
				return parcel.LocalMoment(written, at.In(loc), loc, certainty), nil
			}
			continue
		}
		at, err := time.Parse(layout, written)
		if err != nil || at.Year() < firstYear || at.Year() > lastYear {
			continue
		}
		if hasOffset(layout) {
			if _, offset := at.Zone(); offset > 14*3600 || offset < -12*3600 {
				continue
			}
			return parcel.ReportedMoment(written, at), nil
		}
		loc, certainty := t.location(c, p, zones)
		if !hasClock(layout) {
			return parcel.DayMoment(written, at, loc, certainty), nil
		}
		return parcel.LocalMoment(written, at, loc, certainty), nil
	}
	return parcel.Moment{}, fmt.Errorf("time %.40q, want one of the forms %q: %w", written, t.layouts, parcel.ErrMalformed)
}

func readEpoch(layout, written string) (time.Time, bool) {
	n, err := strconv.ParseInt(written, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	at := time.Unix(n, 0)
	if layout == layoutUnixMilli {
		at = time.UnixMilli(n)
	}
	at = at.UTC()
	return at, at.Year() >= firstYear && at.Year() <= lastYear
}

// location finds the zone of a clock face; nil where nothing tells it.
func (t *timeRule) location(c scope, p parcel.Place, zones *carrierkit.Zones) (*time.Location, parcel.Certainty) {
	switch t.zone.from {
	case "field":
		if loc := loadZone(t.zone.field.text(c), zones); loc != nil {
			return loc, parcel.CertaintyReported
		}
	case "place":
		name, certainty := parcel.ZoneFor(p)
		if loc := zones.Location(name); loc != nil {
			return loc, certainty
		}
	}
	if t.zone.name == nil {
		return nil, parcel.CertaintyUnknown
	}
	return t.zone.name, t.zone.certainty
}

// write puts a time into a document as the carrier would write it.
func (t *timeRule) write(c *scope, at time.Time, p parcel.Place, zones *carrierkit.Zones) {
	layout := t.layouts[0]
	name, _ := parcel.ZoneFor(p)
	loc := zones.Location(name)
	switch {
	case t.zone.from == "fixed", loc == nil:
		loc = t.zone.name
	}
	if loc == nil {
		loc = time.UTC
	}
	local := at.In(loc)
	if t.zone.from == "field" {
		_, seconds := local.Zone()
		t.zone.field.put(c, parcel.FormatOffset(seconds))
	}
	t.at.put(c, writeTime(layout, local, nil))
}

// paths are all that the rule reads.
func (t *timeRule) paths() []path {
	return slices.Concat(t.at.paths, t.zone.field.paths)
}
