package view

import (
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// LocalTime is a moment as the place itself saw it.
type LocalTime struct{ m parcel.Moment }

// Text is the wall clock as the source wrote it.
func (t LocalTime) Text() string { return t.m.Written() }

// Clock is the same wall clock in one form for all sources.
func (t LocalTime) Clock() string { return t.m.Wall }

// Date is its calendar day.
func (t LocalTime) Date() string { return t.m.Day() }

// DateOnly tells whether the source gave a day and no clock.
func (t LocalTime) DateOnly() bool { return t.m.DateOnly() }

// Offset is the offset from UTC.
func (t LocalTime) Offset() (string, bool) { return t.m.Offset(), t.m.HasOffset }

// TimeZone is the IANA zone of the place.
func (t LocalTime) TimeZone() (string, bool) { return given(t.m.Zone) }

// Certainty says how the offset is known.
func (t LocalTime) Certainty() parcel.Certainty {
	if t.m.Certainty == "" {
		return parcel.CertaintyUnknown
	}
	return t.m.Certainty
}

// Earliest is the first instant it can mean.
func (t LocalTime) Earliest() time.Time { return t.m.Earliest() }

// Latest is the last instant it can mean.
func (t LocalTime) Latest() time.Time { return t.m.Latest() }

// given is a text and whether there is one.
func given(s string) (string, bool) { return s, s != "" }

// number is a measure and whether it is known: zero measures are not.
func number(n int) (int, bool) { return n, n != 0 }

// instant is a time and whether there is one.
func instant(t time.Time) (time.Time, bool) { return t, !t.IsZero() }

// dayOf cuts a moment down to its calendar day, in its own offset.
func dayOf(m parcel.Moment) parcel.Moment {
	if m.IsZero() || m.DateOnly() {
		return m
	}
	day, err := time.Parse(parcel.DayLayout, m.Day())
	if err != nil {
		return parcel.Moment{At: m.At.Truncate(24 * time.Hour), Wall: m.At.Format(parcel.DayLayout), Certainty: parcel.CertaintyUnknown}
	}
	m.At = day.Add(-time.Duration(m.OffsetSeconds) * time.Second)
	m.Wall, m.Text = m.Day(), ""
	return m
}

// Place is where something is.
type Place struct{ p parcel.Place }

// Country is the country.
func (p Place) Country() (parcel.Country, bool) { return p.p.Country, p.p.Country != "" }

// Region is a state, province or oblast.
func (p Place) Region() (string, bool) { return given(p.p.Region) }

// City is a city or town.
func (p Place) City() (string, bool) { return given(p.p.City) }

// Postcode is the postcode.
func (p Place) Postcode() (string, bool) { return given(p.p.Postcode) }

// Facility is a depot, exchange, locker or office.
func (p Place) Facility() (string, bool) { return given(p.p.Facility) }

// Unlocode is the UN/LOCODE.
func (p Place) Unlocode() (string, bool) { return given(p.p.Unlocode) }

// TimeZone is the zone of the place.
func (p Place) TimeZone() (string, bool) { return given(p.p.TimeZone) }

// Lane is an ordered pair of countries.
type Lane struct{ l parcel.Lane }

// LaneOf shows a lane.
func LaneOf(l parcel.Lane) Lane { return Lane{l} }

// Code is "CN-BR".
func (l Lane) Code() string { return l.l.Code() }

// Origin is the country of origin.
func (l Lane) Origin() (parcel.Country, bool) { return l.l.Origin, l.l.Origin != "" }

// Destination is the country of destination.
func (l Lane) Destination() (parcel.Country, bool) { return l.l.Destination, l.l.Destination != "" }

// Money is an amount.
type Money struct{ m parcel.Money }

// Amount is the amount in major units.
func (m Money) Amount() string { return m.m.Amount() }

// Currency is its currency.
func (m Money) Currency() parcel.Currency { return m.m.Currency }

func money(m parcel.Money) (Money, bool) { return Money{m}, m.Currency != "" }
