package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// ScoreDimension is by what scores are grouped.
type ScoreDimension string

// The dimensions.
const (
	ByCarrier     ScoreDimension = "CARRIER"
	ByLane        ScoreDimension = "LANE"
	ByDestination ScoreDimension = "DESTINATION"
)

// StatInterval is the length of intervals in a series.
type StatInterval string

// The lengths.
const (
	EachDay   StatInterval = "DAY"
	EachWeek  StatInterval = "WEEK"
	EachMonth StatInterval = "MONTH"
)

// ScoreOrderField is what scores can be sorted by.
type ScoreOrderField string

// The fields.
const (
	ScoreByInterval ScoreOrderField = "INTERVAL"
	ScoreByTransit  ScoreOrderField = "TRANSIT"
	ScoreByReceipt  ScoreOrderField = "RECEIPT"
	ScoreByLoss     ScoreOrderField = "LOSS"
	ScoreByN        ScoreOrderField = "N"
)

// StatGap is why a number is missing.
type StatGap string

// The reasons.
const (
	GapNoData  StatGap = "NO_DATA"
	GapPlateau StatGap = "PLATEAU"
)

// groupKey names a group; parts that were not grouped by are empty.
type groupKey struct {
	from, carrier       string
	origin, destination parcel.Country
	lane                bool
}

func (k groupKey) compare(o groupKey) int {
	return cmp.Or(strings.Compare(k.from, o.from), strings.Compare(k.carrier, o.carrier),
		cmp.Compare(k.origin, o.origin), cmp.Compare(k.destination, o.destination))
}

// text names the key in a cursor.
func (k groupKey) text() string {
	return strings.Join([]string{k.from, k.carrier, string(k.origin), string(k.destination)}, "|")
}

// GroupKey is what a row of statistics is about.
type GroupKey struct {
	k    groupKey
	each StatInterval
	lens *Lens
}

// CarrierCode is the carrier, by code.
func (g GroupKey) CarrierCode() (string, bool) { return given(g.k.carrier) }

// Carrier is the carrier, where there is an adapter.
func (g GroupKey) Carrier() (*Carrier, bool) { return g.lens.Carriers.Get(g.k.carrier) }

// Lane is the lane.
func (g GroupKey) Lane() (Lane, bool) {
	return Lane{parcel.Lane{Origin: g.k.origin, Destination: g.k.destination}}, g.k.lane
}

// Destination is the country of destination.
func (g GroupKey) Destination() (parcel.Country, bool) {
	return g.k.destination, g.k.destination != ""
}

// From is the first day of the interval.
func (g GroupKey) From() (string, bool) { return given(g.k.from) }

// To is the last day of the interval.
func (g GroupKey) To() (string, bool) {
	from, err := time.Parse(parcel.DayLayout, g.k.from)
	if err != nil {
		return "", false
	}
	switch g.each {
	case EachWeek:
		from = from.AddDate(0, 0, 6)
	case EachMonth:
		from = from.AddDate(0, 1, -1)
	}
	return from.Format(parcel.DayLayout), true
}

// beginning is the first day of the interval that a day lies in.
func beginning(day string, each StatInterval) string {
	t, err := time.Parse(parcel.DayLayout, day)
	if err != nil || each == "" {
		return ""
	}
	switch each {
	case EachWeek:
		t = t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
	case EachMonth:
		t = t.AddDate(0, 0, 1-t.Day())
	}
	return t.Format(parcel.DayLayout)
}

// Score is what a carrier achieved.
type Score struct {
	key  GroupKey
	c    curve
	asOf time.Time
}

// Key is what it is about.
func (s *Score) Key() GroupKey { return s.key }

// N is the parcels that count.
func (s *Score) N() int { return s.c.started }

// UnderWay is how many of them have not ended.
func (s *Score) UnderWay() int { return max(0, s.c.started-s.c.ended) }

// TransitDays is the days from first scan to delivery.
func (s *Score) TransitDays() Quantiles { return Quantiles{&s.c} }

// Receipt is the share that arrives.
func (s *Score) Receipt() Rate { return s.rate(s.c.fDelivered, s.c.delivered) }

// Loss is the share lost.
func (s *Score) Loss() Rate { return s.rate(s.c.fLost, s.c.lost) }

// Returned is the share returned.
func (s *Score) Returned() Rate { return s.rate(s.c.fReturned, s.c.returned) }

func (s *Score) rate(f []float64, k int) Rate { return Rate{share: end(f), K: k, N: s.c.ended} }

// AsOf is the moment of the figures.
func (s *Score) AsOf() time.Time { return s.asOf }

// Rate is a share with the numbers behind it.
type Rate struct {
	share float64
	K, N  int
}

// Value is the best estimate.
func (r Rate) Value() (float64, bool) { return r.share, r.N > 0 }

// Interval is where it lies.
func (r Rate) Interval() (Interval, bool) {
	if r.N <= 0 {
		return Interval{}, false
	}
	low, high := wilson(r.share, r.N)
	return Interval{Low: low, High: high, Level: level}, true
}

// Gap is why the value is missing.
func (r Rate) Gap() (StatGap, bool) { return GapNoData, r.N <= 0 }

// Interval is where a number lies.
type Interval struct{ Low, High, Level float64 }

// Quantiles are of the days from first scan to delivery.
type Quantiles struct{ c *curve }

// P50 is the median.
func (q Quantiles) P50() (float64, bool) { return q.At(0.50) }

// P85 is the 85th of a hundred.
func (q Quantiles) P85() (float64, bool) { return q.At(0.85) }

// P95 is the 95th of a hundred.
func (q Quantiles) P95() (float64, bool) { return q.At(0.95) }

// At is any quantile, above 0 up to 1.
func (q Quantiles) At(quantile float64) (float64, bool) {
	if !(quantile > 0 && quantile <= 1) {
		return 0, false
	}
	age, ok := q.c.quantile(quantile)
	return float64(age), ok
}

// N is the parcels behind it.
func (q Quantiles) N() int { return q.c.started }

// Plateau is the share that gets there.
func (q Quantiles) Plateau() (float64, bool) { return end(q.c.fDelivered), q.c.ended > 0 }

// Gap is why a quantile is missing.
func (q Quantiles) Gap() (StatGap, bool) {
	if q.c.ended == 0 {
		return GapNoData, true
	}
	_, ok := q.P95()
	return GapPlateau, !ok
}

// ScoreQuery is what scores are wanted.
type ScoreQuery struct {
	GroupBy []ScoreDimension
	// Each is empty for the whole window as one.
	Each StatInterval
	// NAtLeast leaves out smaller groups.
	NAtLeast int
	// By is what they are sorted by; empty for time, then key.
	By         ScoreOrderField
	Descending bool
	First      *int
	After      *string
}

// ScorePage is a page of scores.
type ScorePage struct {
	list  []*Score
	total int
	info  PageInfo
}

const scoreList = "scores"

// ScorePage groups the rows of cohorts, reckons each group and cuts the list.
// Rows are always apart by carrier: a parcel counts for each that carried it.
func (lens *Lens) ScorePage(rows []parcel.CohortDelta, q ScoreQuery) (*ScorePage, error) {
	today, _ := dayNumber(lens.Now.UTC().Format(parcel.DayLayout))
	groups := map[groupKey][]parcel.CohortDelta{}
	for i := range rows {
		r := &rows[i]
		if r.Started == 0 && r.Ended == 0 {
			continue
		}
		k := groupKey{from: beginning(r.Day, q.Each), carrier: r.Carrier}
		if slices.Contains(q.GroupBy, ByLane) {
			k.lane, k.origin, k.destination = true, r.Lane.Origin, r.Lane.Destination
		}
		if slices.Contains(q.GroupBy, ByDestination) {
			k.destination = r.Lane.Destination
		}
		groups[k] = append(groups[k], *r)
	}
	list := make([]*Score, 0, len(groups))
	for k, rows := range groups {
		s := &Score{key: GroupKey{k, q.Each, lens}, c: estimate(triangle(rows), today), asOf: lens.Now}
		if s.N() > 0 && s.N() >= q.NAtLeast {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *Score) int { return q.compare(a, b) })

	lo := 0
	if q.After != nil {
		fields, err := lens.Cursors.OpenFields(scoreList, *q.After, 1)
		at := -1
		if err == nil {
			at = slices.IndexFunc(list, func(s *Score) bool { return s.key.k.text() == fields[0] })
		}
		if at < 0 {
			return nil, parcel.Invalidf(parcel.FaultMalformed, "after", "not a cursor of this list")
		}
		lo = at + 1
	}
	from, to, info, err := PageArgs{First: q.First}.cut(len(list), lo, len(list), 50)
	if err != nil {
		return nil, err
	}
	p := &ScorePage{list: list[from:to], total: len(list), info: info}
	if n := len(p.list); n > 0 {
		p.info.Start, p.info.End = ScoreEdge{p.list[0]}, ScoreEdge{p.list[n-1]}
	}
	return p, nil
}

// compare orders scores; those without the figure come last either way.
func (q *ScoreQuery) compare(a, b *Score) int {
	key := a.key.k.compare(b.key.k)
	if q.By == "" {
		return key
	}
	if q.By == ScoreByInterval {
		if q.Descending {
			return -key
		}
		return key
	}
	x, hasX := q.figure(a)
	y, hasY := q.figure(b)
	switch {
	case hasX != hasY && hasX:
		return -1
	case hasX != hasY:
		return 1
	case q.Descending:
		return cmp.Or(cmp.Compare(y, x), key)
	default:
		return cmp.Or(cmp.Compare(x, y), key)
	}
}

func (q *ScoreQuery) figure(s *Score) (float64, bool) {
	switch q.By {
	case ScoreByTransit:
		return s.TransitDays().P50()
	case ScoreByReceipt:
		i, ok := s.Receipt().Interval()
		return i.Low, ok
	case ScoreByLoss:
		i, ok := s.Loss().Interval()
		return i.High, ok
	default:
		return float64(s.N()), true
	}
}

// Nodes are the scores.
func (p *ScorePage) Nodes() []*Score { return p.list }

// Edges are the scores with their cursors.
func (p *ScorePage) Edges() []ScoreEdge {
	out := make([]ScoreEdge, len(p.list))
	for i, s := range p.list {
		out[i] = ScoreEdge{s}
	}
	return out
}

// PageInfo is where the page stands.
func (p *ScorePage) PageInfo() PageInfo { return p.info }

// Count is how many there are.
func (p *ScorePage) Count() Count { return Count{Value: p.total, Exact: true} }

// ScoreEdge is a score in a page.
type ScoreEdge struct{ s *Score }

// Node is the score.
func (e ScoreEdge) Node() *Score { return e.s }

// Cursor is its place.
func (e ScoreEdge) Cursor() string {
	return e.s.key.lens.Cursors.SealFields(scoreList, e.s.key.k.text())
}
