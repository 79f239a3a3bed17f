package view

import (
	"math"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// cohort is the parcels of one key that started on one day.
type cohort struct {
	day     int // days since 1970-01-01
	started int
	ends    []ending // in order of age
}

type ending struct {
	age   int // whole days since the start
	cause parcel.EndCause
	n     int
}

// curve is how parcels end by age: the Aalen-Johansen estimate over a cohort
// triangle, which is exactly that over the individual parcels. Parcels under
// way count as longer than so far.
type curve struct {
	started, delivered, lost, returned, ended int
	// Cumulative shares by age, 0 to the oldest age seen.
	fDelivered, fLost, fReturned []float64
}

// estimate reckons the curve as known at the end of a day.
func estimate(cohorts []cohort, today int) curve {
	var c curve
	oldest := -1
	for i := range cohorts {
		c.started += cohorts[i].started
		for _, e := range cohorts[i].ends {
			if e.n == 0 || cohorts[i].day+e.age > today {
				continue
			}
			oldest = max(oldest, e.age)
			c.ended += e.n
			switch e.cause {
			case parcel.EndDelivered:
				c.delivered += e.n
			case parcel.EndLost:
				c.lost += e.n
			case parcel.EndReturned:
				c.returned += e.n
			}
		}
	}
	// gone[i] is how many of cohort i ended before the age at hand, next[i] the
	// first ending not yet passed: one walk over each cohort in all.
	gone, next := make([]int, len(cohorts)), make([]int, len(cohorts))
	surviving, delivered, lost, returned := 1.0, 0.0, 0.0, 0.0
	for age := 0; age <= oldest; age++ {
		atRisk, all := 0, 0
		var d, l, r int
		for i := range cohorts {
			ch := &cohorts[i]
			if ch.day+age > today {
				continue
			}
			atRisk += ch.started - gone[i]
			for next[i] < len(ch.ends) && ch.ends[next[i]].age == age {
				e := ch.ends[next[i]]
				switch e.cause {
				case parcel.EndDelivered:
					d += e.n
				case parcel.EndLost:
					l += e.n
				case parcel.EndReturned:
					r += e.n
				}
				all += e.n
				gone[i] += e.n
				next[i]++
			}
		}
		if atRisk > 0 && all > 0 {
			n := float64(atRisk)
			delivered += surviving * float64(d) / n
			lost += surviving * float64(l) / n
			returned += surviving * float64(r) / n
			surviving *= max(0, 1-float64(all)/n)
		}
		c.fDelivered = append(c.fDelivered, delivered)
		c.fLost = append(c.fLost, lost)
		c.fReturned = append(c.fReturned, returned)
	}
	return c
}

// slack covers sums that miss a quantile by the last bit.
const slack = 1e-9

// quantile is the least age at which the share p is delivered: the inverse of
// the distribution, without interpolation. ok is false if it is not reached.
func (c *curve) quantile(p float64) (age int, ok bool) {
	for age, f := range c.fDelivered {
		if f+slack >= p {
			return age, true
		}
	}
	return 0, false
}

// end is the last value of a cumulative share.
func end(f []float64) float64 {
	if len(f) == 0 {
		return 0
	}
	return f[len(f)-1]
}

// level is the probability of intervals, and z the quantile that belongs to it.
const (
	level = 0.95
	z     = 1.959963984540054
)

// wilson is the score interval of a share p out of n (Wilson 1927).
func wilson(p float64, n int) (low, high float64) {
	size := float64(n)
	centre := p + z*z/(2*size)
	spread := z * math.Sqrt(p*(1-p)/size+z*z/(4*size*size))
	scale := 1 + z*z/size
	return max(0, (centre-spread)/scale), min(1, (centre+spread)/scale)
}

// dayNumber counts days since 1970-01-01; ok is false for what is no day.
func dayNumber(day string) (int, bool) {
	t, err := time.Parse(parcel.DayLayout, day)
	return int(t.Unix() / 86400), err == nil
}

// triangle gathers rows of one group into cohorts.
func triangle(rows []parcel.CohortDelta) []cohort {
	byDay := map[int]*cohort{}
	for i := range rows {
		r := &rows[i]
		day, ok := dayNumber(r.Day)
		if !ok || r.Started == 0 && r.Ended == 0 {
			continue
		}
		c := byDay[day]
		if c == nil {
			c = &cohort{day: day}
			byDay[day] = c
		}
		c.started += r.Started
		if r.Ended != 0 {
			c.ends = append(c.ends, ending{r.Age, r.Cause, r.Ended})
		}
	}
	out := make([]cohort, 0, len(byDay))
	for _, c := range byDay {
		slices.SortStableFunc(c.ends, func(a, b ending) int { return a.age - b.age })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b cohort) int { return a.day - b.day })
	return out
}
