package carrierkit

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Zones reads wall clocks that a carrier wrote without an offset, by the zone
// of the place. It keeps the zones it has loaded. The zero value is ready; it
// is safe for concurrent use and must not be copied after first use.
type Zones struct {
	loaded sync.Map // name -> *time.Location
}

// Local reads a wall clock of the given time.Parse layout. The zone is that
// of the place as parcel.ZoneFor tells it, with its certainty; where the
// place tells none, the fallback zone with the fallback certainty; where that
// is empty too, the certainty is UNKNOWN and the clock is read as UTC. A
// layout without hours gives a day. Empty text gives the zero Moment. The
// error is of kind parcel.ErrMalformed.
func (z *Zones) Local(text, layout string, p parcel.Place, fallbackZone string, fallback parcel.Certainty) (parcel.Moment, error) {
	wall, err := parseWall(text, layout)
	if err != nil || wall.IsZero() {
		return parcel.Moment{}, err
	}
	name, certainty := parcel.ZoneFor(p)
	loc := z.Location(name)
	if loc == nil {
		loc, certainty = z.Location(fallbackZone), fallback
	}
	return localMoment(text, layout, wall, loc, certainty), nil
}

// Guess reads a wall clock whose zone the carrier is known to get wrong: the
// instant is the best that place and fallback zone give, and the certainty is
// UNKNOWN whatever they say. Otherwise it is as Local.
func (z *Zones) Guess(text, layout string, p parcel.Place, fallbackZone string) (parcel.Moment, error) {
	wall, err := parseWall(text, layout)
	if err != nil || wall.IsZero() {
		return parcel.Moment{}, err
	}
	return z.GuessAt(text, wall, p, fallbackZone), nil
}

// GuessAt is Guess for a clock face that the adapter has read by itself; only
// the face of wall counts.
func (z *Zones) GuessAt(text string, wall time.Time, p parcel.Place, fallbackZone string) parcel.Moment {
	name, _ := parcel.ZoneFor(p)
	loc := z.Location(name)
	if loc == nil {
		loc = z.Location(fallbackZone)
	}
	return parcel.LocalMoment(text, wall, loc, parcel.CertaintyUnknown)
}

// Location is the zone of that IANA name, or nil for an empty name and for
// one that is none.
func (z *Zones) Location(name string) *time.Location {
	// "Local" would make a reading depend on the machine it is made on.
	if name == "" || name == "Local" {
		return nil
	}
	if loc, ok := z.loaded.Load(name); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil // not kept: names may come off the wire, and there is no end of bad ones
	}
	z.loaded.Store(name, loc)
	return loc
}

func parseWall(text, layout string) (time.Time, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return time.Time{}, nil
	}
	wall, err := time.Parse(layout, trimmed)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %.40q, want the form %q: %w", text, layout, parcel.ErrMalformed)
	}
	return wall, nil
}

func localMoment(text, layout string, wall time.Time, loc *time.Location, c parcel.Certainty) parcel.Moment {
	if !strings.Contains(layout, "15") && !strings.Contains(layout, "03") && !strings.Contains(layout, "3:") {
		return parcel.DayMoment(text, wall, loc, c)
	}
	return parcel.LocalMoment(text, wall, loc, c)
}

// The offsets in use are whole quarters of an hour from -12 to +14 hours.
const (
	offsetStep = 15 * time.Minute
	maxWest    = -12 * time.Hour
	maxEast    = 14 * time.Hour
)

// OffsetBetween is the offset that a clock face, read as if it were UTC, and
// the instant told beside it have between them; ok is false where what lies
// between the two is no offset in use but a mistake.
func OffsetBetween(face, instant time.Time) (loc *time.Location, ok bool) {
	apart := face.Sub(instant)
	if apart%offsetStep != 0 || apart < maxWest || apart > maxEast {
		return nil, false
	}
	return time.FixedZone("", int(apart/time.Second)), true
}
