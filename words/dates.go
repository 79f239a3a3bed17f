package words

import (
	"strconv"
	"strings"
)

// Day is a day of the Gregorian calendar, months from 1. A zero year is left
// out when the day is written.
type Day struct{ Year, Month, Day int }

// dates is how a language writes days and clocks. In patterns {d} is the day,
// {month} the month's name, {m} its number, {y} the year, and {d2}, {month2},
// {m2}, {y2} are those of the last day of a range.
type dates struct {
	// Months are the names of the months in the form that stands in a date.
	Months []string `json:"months"`
	// Weekdays are the names of the days of the week, Monday first.
	Weekdays []string `json:"weekdays"`
	Date     string   `json:"date"`
	DayMonth string   `json:"dayMonth"`
	// Time has {h} and {hh}, the hour with one or two digits, and {mm}.
	Time string `json:"time"`
	// DateTime has {date} and {time}.
	DateTime string `json:"dateTime"`
	// Range is for days within a month, a year, and beyond.
	RangeDays   string `json:"rangeDays"`
	RangeMonths string `json:"rangeMonths"`
	RangeYears  string `json:"rangeYears"`
	// RangeDaysShort and RangeMonthsShort are without a year.
	RangeDaysShort   string `json:"rangeDaysShort"`
	RangeMonthsShort string `json:"rangeMonthsShort"`
}

// Date returns a day in words: "25 November 2026". A zero year is left out; a
// month or day out of range is written as its number.
func Date(l Locale, year, month, day int) string {
	d := &l.book().Dates
	from := Day{year, month, day}
	if year == 0 {
		return d.write(d.DayMonth, from, from)
	}
	return d.write(d.Date, from, from)
}

// DateTime returns a day with its clock: "25 November 2026, 19:05". The clock
// has 24 hours in every language and is written as given: whose clock it is
// must be said beside it.
func DateTime(l Locale, year, month, day, hour, minute int) string {
	d := &l.book().Dates
	clock := expand(d.Time, func(out []byte, name string) []byte {
		switch name {
		case "h":
			return strconv.AppendInt(out, int64(hour), 10)
		case "hh":
			return pad(out, hour)
		case "mm":
			return pad(out, minute)
		}
		return out
	})
	date := Date(l, year, month, day)
	return expand(d.DateTime, func(out []byte, name string) []byte {
		if name == "time" {
			return append(out, clock...)
		}
		return append(out, date...)
	})
}

// DateRange returns the days from one to another, both included, without
// saying twice what they share: "25–28 November 2026". Equal days give one
// [Date]; where either year is zero both are left out.
func DateRange(l Locale, from, to Day) string {
	if from.Year == 0 || to.Year == 0 {
		from.Year, to.Year = 0, 0
	}
	if from == to {
		return Date(l, from.Year, from.Month, from.Day)
	}
	d := &l.book().Dates
	switch sameMonth := from.Month == to.Month; {
	case from.Year != to.Year:
		return d.write(d.RangeYears, from, to)
	case from.Year == 0 && sameMonth:
		return d.write(d.RangeDaysShort, from, to)
	case from.Year == 0:
		return d.write(d.RangeMonthsShort, from, to)
	case sameMonth:
		return d.write(d.RangeDays, from, to)
	default:
		return d.write(d.RangeMonths, from, to)
	}
}

// write fills a pattern with two days.
func (d *dates) write(pattern string, from, to Day) string {
	return expand(pattern, func(out []byte, name string) []byte {
		day := from
		name, second := strings.CutSuffix(name, "2")
		if second {
			day = to
		}
		switch name {
		case "d":
			return strconv.AppendInt(out, int64(day.Day), 10)
		case "month":
			if day.Month >= 1 && day.Month <= len(d.Months) {
				return append(out, d.Months[day.Month-1]...)
			}
			return strconv.AppendInt(out, int64(day.Month), 10)
		case "m":
			return strconv.AppendInt(out, int64(day.Month), 10)
		case "y":
			return strconv.AppendInt(out, int64(day.Year), 10)
		}
		return out
	})
}

// pad appends n with two digits.
func pad(out []byte, n int) []byte {
	if n >= 0 && n < 10 {
		out = append(out, '0')
	}
	return strconv.AppendInt(out, int64(n), 10)
}

// expand writes pattern with each {name} replaced by what put appends for it.
// A brace without its pair is written as it is.
func expand(pattern string, put func(out []byte, name string) []byte) string {
	var room [96]byte
	out := room[:0]
	for {
		before, rest, ok := strings.Cut(pattern, "{")
		name, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			return string(append(out, pattern...))
		}
		out = put(append(out, before...), name)
		pattern = after
	}
}
