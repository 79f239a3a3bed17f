package track17

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// rawTime is the time as the carrier wrote it: an object of date, time and
// zone, or a text.
type rawTime struct {
	text             string // where it is a text
	date, time, zone string
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (r *rawTime) UnmarshalJSON(b []byte) error {
	*r = rawTime{}
	if !bytes.HasPrefix(b, []byte("{")) {
		var t carrierkit.Text
		if err := t.UnmarshalJSON(b); err != nil {
			return err
		}
		r.text = t.String()
		return nil
	}
	var parts struct {
		Date carrierkit.Text `json:"date"`
		Time carrierkit.Text `json:"time"`
		Zone carrierkit.Text `json:"timezone"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return nil // an object of another shape tells no time
	}
	r.date, r.time, r.zone = parts.Date.String(), parts.Time.String(), parts.Zone.String()
	return nil
}

// wall is the clock face of the carrier's own writing; hasClock is false where
// it gave a day alone.
func (r rawTime) wall() (face time.Time, hasClock, ok bool) {
	date, clock := r.date, r.time
	if r.text != "" {
		date, clock, _ = strings.Cut(strings.Replace(r.text, "T", " ", 1), " ")
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return time.Time{}, false, false
	}
	if clock == "" {
		return day, false, true
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, clock); err == nil {
			return day.Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second), true, true
		}
	}
	return time.Time{}, false, false
}

// moment reads the three forms of an event's time. The instant (time_utc)
// counts, the clock face (time_iso, else time_raw) is kept, and what lies
// between them is the offset that was reported. Without the instant the
// carrier gave no zone: then the place decides, and the offset in time_iso is
// an assumption.
func (t *track17) moment(e *event, at parcel.Place) (parcel.Moment, error) {
	iso, isoOffset, hasISO := parseISO(e.ISO.String())
	instant, hasInstant := time.Time{}, false
	if utc, offset, ok := parseISO(e.UTC.String()); ok && offset != nil {
		instant, hasInstant = faceOf(utc.UTC()), true
	}
	raw, rawClock, hasRaw := e.Raw.wall()
	text := cmp.Or(e.ISO.String(), e.UTC.String())
	face, hasFace := faceOf(iso), hasISO
	if !hasISO {
		face, hasFace = raw, hasRaw
	}
	var loc *time.Location
	certainty := parcel.CertaintyReported
	switch {
	case hasFace && hasInstant:
		between, ok := carrierkit.OffsetBetween(face, instant)
		switch {
		case ok:
			loc = between
		case isoOffset != nil:
			loc = isoOffset
		default:
			loc, certainty = t.zoneOf(at)
		}
	case hasInstant:
		// Only the instant is told; the clock on the wall is that of the place.
		loc, certainty = t.zoneOf(at)
		if loc == nil {
			loc, certainty = time.UTC, parcel.CertaintyReported
		}
		face = faceOf(instant.In(loc))
	case hasFace && hasISO && e.UTC.String() != "":
		// An instant that cannot be read is no sign that there was no zone.
		loc = isoOffset
		if loc == nil {
			loc, certainty = t.zoneOf(at)
		}
	case hasFace:
		if loc, certainty = t.zoneOf(at); loc == nil && isoOffset != nil {
			loc, certainty = isoOffset, parcel.CertaintyAssumed
		}
	default:
		return parcel.Moment{}, fmt.Errorf("time %.40q: %w", cmp.Or(text, e.Raw.text, e.Raw.date), parcel.ErrMalformed)
	}
	if face.Year() < 2000 || face.Year() > 9998 {
		return parcel.Moment{}, fmt.Errorf("time %.40q is of no parcel: %w", text, parcel.ErrMalformed)
	}
	// Midnight is written for a day without a clock.
	if hasRaw && !rawClock && face.Equal(raw) {
		return parcel.DayMoment(cmp.Or(e.Raw.text, e.Raw.date), raw, loc, certainty), nil
	}
	return parcel.LocalMoment(cmp.Or(text, strings.TrimSpace(e.Raw.date+" "+e.Raw.time)), face, loc, certainty), nil
}

// zoneOf is the zone of a place, nil where it is not known.
func (t *track17) zoneOf(at parcel.Place) (*time.Location, parcel.Certainty) {
	zone, certainty := parcel.ZoneFor(at)
	if loc := t.zones.Location(zone); loc != nil {
		return loc, certainty
	}
	return nil, parcel.CertaintyUnknown
}

// parseISO reads RFC 3339 with or without an offset; a nil offset means that
// there was none.
func parseISO(text string) (t time.Time, offset *time.Location, ok bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		offset, ok := carrierkit.OffsetBetween(faceOf(t), t.Truncate(time.Second))
		if !ok {
			return faceOf(t), nil, true // an offset that nobody keeps
		}
		return t, offset, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil, true
		}
	}
	return time.Time{}, nil, false
}

// faceOf is the clock face alone, to the second: tellings of one event differ
// in fractions.
func faceOf(t time.Time) time.Time {
	y, mo, d := t.Date()
	h, mi, s := t.Clock()
	return time.Date(y, mo, d, h, mi, s, 0, time.UTC)
}
