package parcel

import (
	"fmt"
	"strings"
	"time"
)

// Certainty says how the offset of a wall clock is known.
type Certainty string

// The four ways, best first.
const (
	// CertaintyReported: the source wrote the offset of the event's place.
	CertaintyReported Certainty = "REPORTED"
	// CertaintyPlace: follows from the place of the event.
	CertaintyPlace Certainty = "PLACE"
	// CertaintyAssumed: from a rule about the country or the carrier.
	CertaintyAssumed Certainty = "ASSUMED"
	// CertaintyUnknown: not known; the instant may be off by up to 14 hours.
	CertaintyUnknown Certainty = "UNKNOWN"
)

// Rank orders certainties, 3 for REPORTED down to 0 for UNKNOWN and anything
// else.
func (c Certainty) Rank() int {
	switch c {
	case CertaintyReported:
		return 3
	case CertaintyPlace:
		return 2
	case CertaintyAssumed:
		return 1
	default:
		return 0
	}
}

// The layouts of Moment.Wall (RFC 3339 without an offset).
const (
	WallLayout = "2006-01-02T15:04:05.999999"
	DayLayout  = "2006-01-02"
)

// The widest offsets in use: UTC+14 (Kiribati) and UTC-12.
const (
	maxEastOffset = 14 * time.Hour
	maxWestOffset = 12 * time.Hour
)

// Moment is a point in time as a source told it: the wall clock as written
// beside the best instant that can be made of it. The local text is never
// recomputed from the instant. The zero Moment means "no time given".
type Moment struct {
	// At is the best instant, in UTC, to the microsecond. For a day without a
	// clock it is the start of that day.
	At time.Time
	// Wall is the wall clock in canonical form: WallLayout, or DayLayout where
	// the source gave a day and no clock. Two payload kinds of one carrier that
	// tell the same scan give the same Wall, whatever their syntax.
	Wall string
	// Text is the time exactly as written; empty where it equals Wall.
	Text string
	// Zone is the IANA zone of the place, where known.
	Zone string
	// OffsetSeconds is the offset east of UTC; meaningful if HasOffset.
	OffsetSeconds int
	// HasOffset tells whether an offset was given, derived or assumed.
	HasOffset bool
	// Certainty says how the offset is known.
	Certainty Certainty
}

// ReportedMoment is a moment whose source wrote the offset of the place: t
// carries it. The text is kept as written.
func ReportedMoment(text string, t time.Time) Moment {
	_, offset := t.Zone()
	return newMoment(text, t.Format(WallLayout), t, offset, "", CertaintyReported)
}

// LocalMoment is a moment told as a wall clock without an offset. Only the
// clock face of wall counts; loc gives the offset with the stated certainty.
// A nil loc leaves the offset unknown and reads the clock as UTC.
//
// A clock face that daylight saving skips or repeats is read as time.Date
// reads it: one of the two offsets, the same each time.
func LocalMoment(text string, wall time.Time, loc *time.Location, c Certainty) Moment {
	y, mo, d := wall.Date()
	h, mi, s := wall.Clock()
	if loc == nil {
		t := time.Date(y, mo, d, h, mi, s, wall.Nanosecond(), time.UTC)
		m := newMoment(text, t.Format(WallLayout), t, 0, "", CertaintyUnknown)
		m.HasOffset = false
		return m
	}
	t := time.Date(y, mo, d, h, mi, s, wall.Nanosecond(), loc)
	_, offset := t.Zone()
	face := time.Date(y, mo, d, h, mi, s, wall.Nanosecond(), time.UTC)
	return newMoment(text, face.Format(WallLayout), t, offset, ianaName(loc), c)
}

// DayMoment is a moment told as a calendar day without a clock. The instant is
// the start of the day in loc (UTC if nil).
func DayMoment(text string, day time.Time, loc *time.Location, c Certainty) Moment {
	y, mo, d := day.Date()
	if loc == nil {
		t := time.Date(y, mo, d, 0, 0, 0, 0, time.UTC)
		m := newMoment(text, t.Format(DayLayout), t, 0, "", CertaintyUnknown)
		m.HasOffset = false
		return m
	}
	t := time.Date(y, mo, d, 0, 0, 0, 0, loc)
	_, offset := t.Zone()
	return newMoment(text, t.Format(DayLayout), t, offset, ianaName(loc), c)
}

func newMoment(text, wall string, t time.Time, offset int, zone string, c Certainty) Moment {
	m := Moment{
		At: t.UTC().Truncate(time.Microsecond), Wall: wall, Zone: zone,
		OffsetSeconds: offset, HasOffset: true, Certainty: c,
	}
	if text != wall {
		m.Text = text
	}
	return m
}

// ianaName keeps only names that another machine can look up: a fixed offset
// or "Local" says nothing about the place.
func ianaName(loc *time.Location) string {
	if n := loc.String(); strings.Contains(n, "/") {
		return n
	}
	return ""
}

// IsZero tells whether no time was given.
func (m Moment) IsZero() bool { return m.Wall == "" && m.At.IsZero() }

// DateOnly tells whether the source gave a day and no clock.
func (m Moment) DateOnly() bool { return len(m.Wall) == len(DayLayout) }

// Written is the time exactly as the source wrote it.
func (m Moment) Written() string {
	if m.Text != "" {
		return m.Text
	}
	return m.Wall
}

// Day is the calendar day on the wall, in DayLayout; empty for a zero Moment.
func (m Moment) Day() string {
	if len(m.Wall) < len(DayLayout) {
		return ""
	}
	return m.Wall[:len(DayLayout)]
}

// Earliest is the first instant this can mean. It equals Latest for a clock
// with a known offset.
func (m Moment) Earliest() time.Time {
	if !m.uncertain() {
		return m.At
	}
	return m.face().Add(-maxEastOffset)
}

// Latest is the last instant this can mean: a day without a clock spans its
// day, a clock without an offset spans all offsets in use.
func (m Moment) Latest() time.Time {
	var span time.Duration
	if m.DateOnly() {
		span = 24*time.Hour - time.Microsecond
	}
	if !m.uncertain() {
		return m.At.Add(span)
	}
	return m.face().Add(maxWestOffset + span)
}

// Face is the clock face read as UTC: the same for every telling of an event,
// however its offset was found. It is for identities, never for order.
func (m Moment) Face() time.Time { return m.face() }

func (m Moment) uncertain() bool { return m.Certainty.Rank() == 0 && !m.IsZero() }

// face is the clock face read as UTC.
func (m Moment) face() time.Time {
	layout := WallLayout
	if m.DateOnly() {
		layout = DayLayout
	}
	t, err := time.Parse(layout, m.Wall)
	if err != nil {
		return m.At
	}
	return t
}

// Offset is the offset as "+08:00", or "" where it is not known.
func (m Moment) Offset() string {
	if !m.HasOffset {
		return ""
	}
	return FormatOffset(m.OffsetSeconds)
}

// FormatOffset writes seconds east of UTC as "+08:00". Seconds are dropped:
// no zone in use has them.
func FormatOffset(seconds int) string {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	return fmt.Sprintf("%c%02d:%02d", sign, seconds/3600, seconds/60%60)
}

// ParseOffset reads "+08:00", "-0300", "+8", "UTC+8", "GMT-3" or "Z" as seconds
// east of UTC. It returns ErrInvalid for anything else and for offsets beyond
// those in use (-12 to +14 hours).
func ParseOffset(s string) (int, error) {
	t := strings.TrimSpace(s)
	t = strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(t), "UTC"), "GMT")
	if t == "Z" || (t == "" && strings.TrimSpace(s) != "") {
		return 0, nil
	}
	bad := fmt.Errorf("offset %q: %w", s, ErrInvalid)
	if len(t) < 2 || (t[0] != '+' && t[0] != '-') {
		return 0, bad
	}
	digits := strings.ReplaceAll(t[1:], ":", "")
	for _, r := range digits {
		if r < '0' || r > '9' {
			return 0, bad
		}
	}
	var h, mi int
	switch len(digits) {
	case 1, 2:
		_, _ = fmt.Sscanf(digits, "%d", &h)
	case 4:
		_, _ = fmt.Sscanf(digits, "%2d%2d", &h, &mi)
	default:
		return 0, bad
	}
	d := time.Duration(h)*time.Hour + time.Duration(mi)*time.Minute
	if mi > 59 {
		return 0, bad
	}
	if t[0] == '-' {
		d = -d
	}
	if d > maxEastOffset || d < -maxWestOffset {
		return 0, bad
	}
	return int(d / time.Second), nil
}
