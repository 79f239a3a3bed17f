package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// HandoverOrderField is what statistics of handovers can be sorted by.
type HandoverOrderField string

// The fields.
const (
	HandoverByExcess  HandoverOrderField = "EXCESS_HOURS"
	HandoverByLost    HandoverOrderField = "LOST"
	HandoverByDamaged HandoverOrderField = "DAMAGED"
	HandoverByGap     HandoverOrderField = "GAP_P95"
	HandoverByN       HandoverOrderField = "N"
)

// passing names the parties between whom custody passes.
type passing struct {
	fromStage, toStage     parcel.Stage
	fromCarrier, toCarrier string
	lane                   parcel.Lane // zero where lanes are not apart
}

func (k passing) compare(o passing) int {
	return cmp.Or(cmp.Compare(k.fromStage.Rank(), o.fromStage.Rank()), strings.Compare(k.fromCarrier, o.fromCarrier),
		cmp.Compare(k.toStage.Rank(), o.toStage.Rank()), strings.Compare(k.toCarrier, o.toCarrier),
		cmp.Compare(k.lane.Origin, o.lane.Origin), cmp.Compare(k.lane.Destination, o.lane.Destination))
}

// text names the key in a cursor.
func (k passing) text() string {
	return strings.Join([]string{string(k.fromStage), k.fromCarrier, string(k.toStage), k.toCarrier, string(k.lane.Origin), string(k.lane.Destination)}, "|")
}

// HandoverStat is what a passing of custody between two parties costs.
type HandoverStat struct {
	k       passing
	byLane  bool
	lens    *Lens
	c       curve // ages in hours; "delivered" is accepted
	gaps    []cohort
	hour    int // now, in hours since 1970-01-01
	sum     parcel.PassingDelta
	excess  float64
	against bool // a usual gap was there to measure by
}

// FromStage is the stage that lets go.
func (s *HandoverStat) FromStage() parcel.Stage { return s.k.fromStage }

// FromCarrierCode is the carrier that lets go, by code.
func (s *HandoverStat) FromCarrierCode() (string, bool) { return given(s.k.fromCarrier) }

// FromCarrier is the carrier that lets go, where there is an adapter.
func (s *HandoverStat) FromCarrier() (*Carrier, bool) { return s.lens.Carriers.Get(s.k.fromCarrier) }

// ToStage is the stage that takes on.
func (s *HandoverStat) ToStage() (parcel.Stage, bool) { return s.k.toStage, s.k.toStage != "" }

// ToCarrierCode is the carrier that takes on, by code.
func (s *HandoverStat) ToCarrierCode() (string, bool) { return given(s.k.toCarrier) }

// ToCarrier is the carrier that takes on, where there is an adapter.
func (s *HandoverStat) ToCarrier() (*Carrier, bool) { return s.lens.Carriers.Get(s.k.toCarrier) }

// Lane is the lane, where lanes are apart.
func (s *HandoverStat) Lane() (Lane, bool) { return Lane{s.k.lane}, s.byLane }

// N is the handovers.
func (s *HandoverStat) N() int { return s.c.started }

// Pending is those released and not yet accepted.
func (s *HandoverStat) Pending() int { return max(0, s.c.started-s.c.ended) }

// GapHours is the hours between release and acceptance.
func (s *HandoverStat) GapHours() Quantiles { return Quantiles{&s.c} }

// ExcessHours is the hours beyond the usual gap, over all parcels.
func (s *HandoverStat) ExcessHours() (float64, bool) { return s.excess, s.against }

// Lost is the share lost before anybody took it on.
func (s *HandoverStat) Lost() Rate { return Rate{share: end(s.c.fLost), K: s.c.lost, N: s.c.ended} }

// Damaged is the share whose damage was first reported after this passing.
func (s *HandoverStat) Damaged() Rate { return shareOf(s.sum.Damaged, s.c.started) }

// Unseen is the share of those accepted whose passing neither side reported.
func (s *HandoverStat) Unseen() Rate { return shareOf(s.sum.Unseen, s.c.delivered) }

// NumberChanged is the share of those accepted that go on under another number.
func (s *HandoverStat) NumberChanged() Rate { return shareOf(s.sum.Renumbered, s.c.delivered) }

// AsOf is the moment of the figures.
func (s *HandoverStat) AsOf() time.Time { return s.lens.Now }

// shareOf is k out of n, as counted.
func shareOf(k, n int) Rate {
	r := Rate{K: k, N: n}
	if n > 0 {
		r.share = float64(k) / float64(n)
	}
	return r
}

// HandoverQuery is what statistics of handovers are wanted.
type HandoverQuery struct {
	// ByLane keeps lanes apart.
	ByLane bool
	// NAtLeast leaves out smaller groups.
	NAtLeast int
	// By is what they are sorted by; empty for the hours lost, most first.
	By         HandoverOrderField
	Descending bool
	First      *int
	After      *string
}

// HandoverStatPage is a page of them.
type HandoverStatPage struct {
	list  []*HandoverStat
	total int
	info  PageInfo
}

const handoverList = "handovers"

// HandoverStatPage groups the counters by parties, reckons each pair and cuts
// the list.
func (lens *Lens) HandoverStatPage(rows []parcel.PassingDelta, q HandoverQuery) (*HandoverStatPage, error) {
	hour := int(lens.Now.Unix() / 3600)
	groups := map[passing][]parcel.PassingDelta{}
	for i := range rows {
		r := &rows[i]
		k := passing{r.FromStage, r.ToStage, r.FromCarrier, r.ToCarrier, parcel.Lane{}}
		if q.ByLane {
			k.lane = r.Lane
		}
		groups[k] = append(groups[k], *r)
	}
	list := make([]*HandoverStat, 0, len(groups))
	for k, rows := range groups {
		s := &HandoverStat{k: k, byLane: q.ByLane, lens: lens, gaps: gaps(rows), hour: hour}
		s.c = estimate(s.gaps, hour)
		for i := range rows {
			s.sum.Renumbered += rows[i].Renumbered
			s.sum.Unseen += rows[i].Unseen
			s.sum.Damaged += rows[i].Damaged
		}
		if s.N() > 0 {
			list = append(list, s)
		}
	}
	weighExcess(list)
	list = slices.DeleteFunc(list, func(s *HandoverStat) bool { return s.N() < q.NAtLeast })
	slices.SortFunc(list, func(a, b *HandoverStat) int { return q.compare(a, b) })

	lo := 0
	if q.After != nil {
		fields, err := lens.Cursors.OpenFields(handoverList, *q.After, 1)
		at := -1
		if err == nil {
			at = slices.IndexFunc(list, func(s *HandoverStat) bool { return s.k.text() == fields[0] })
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
	p := &HandoverStatPage{list: list[from:to], total: len(list), info: info}
	if n := len(p.list); n > 0 {
		p.info.Start, p.info.End = HandoverStatEdge{p.list[0]}, HandoverStatEdge{p.list[n-1]}
	}
	return p, nil
}

// gaps gathers counters of one pair into cohorts whose ages are hours. A cohort
// begins with its day, so an open passing counts as up to a day older than it
// is: gaps are told a little long, never short.
func gaps(rows []parcel.PassingDelta) []cohort {
	byDay := map[int]*cohort{}
	for i := range rows {
		r := &rows[i]
		day, ok := dayNumber(r.Day)
		if !ok {
			continue
		}
		c := byDay[day]
		if c == nil {
			c = &cohort{day: day * 24}
			byDay[day] = c
		}
		c.started += r.N
		switch r.End {
		case parcel.PassingAccepted:
			c.ends = append(c.ends, ending{r.Hours, parcel.EndDelivered, r.N})
		case parcel.PassingLost:
			c.ends = append(c.ends, ending{r.Hours, parcel.EndLost, r.N})
		case parcel.PassingOther:
			c.ends = append(c.ends, ending{r.Hours, parcel.EndDisposed, r.N})
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

// weighExcess sums for each pair the hours beyond the usual gap: the median of
// all passings between the same two stages (and on the same lane, where lanes
// are apart), whoever the parties. Where parcels wait for the same step, the
// pair at which they wait longest stands out.
func weighExcess(list []*HandoverStat) {
	type step struct {
		from, to parcel.Stage
		lane     parcel.Lane
	}
	all := map[step][]cohort{}
	stepOf := func(s *HandoverStat) step { return step{s.k.fromStage, s.k.toStage, s.k.lane} }
	for _, s := range list {
		all[stepOf(s)] = append(all[stepOf(s)], s.gaps...)
	}
	usual := map[step]int{}
	for k, cohorts := range all {
		c := estimate(cohorts, list[0].hour)
		if median, ok := c.quantile(0.5); ok {
			usual[k] = median
		}
	}
	for _, s := range list {
		median, ok := usual[stepOf(s)]
		if !ok {
			continue
		}
		s.against = true
		for i := range s.gaps {
			g := &s.gaps[i]
			open := g.started
			for _, e := range g.ends {
				s.excess += float64(max(0, e.age-median) * e.n)
				open -= e.n
			}
			s.excess += float64(max(0, s.hour-g.day-median) * max(0, open))
		}
	}
}

// compare orders pairs; those without the figure come last either way.
func (q *HandoverQuery) compare(a, b *HandoverStat) int {
	key := a.k.compare(b.k)
	by, descending := q.By, q.Descending
	if by == "" {
		by, descending = HandoverByExcess, true
	}
	x, hasX := a.figure(by)
	y, hasY := b.figure(by)
	switch {
	case hasX != hasY && hasX:
		return -1
	case hasX != hasY:
		return 1
	case descending:
		return cmp.Or(cmp.Compare(y, x), key)
	default:
		return cmp.Or(cmp.Compare(x, y), key)
	}
}

func (s *HandoverStat) figure(by HandoverOrderField) (float64, bool) {
	switch by {
	case HandoverByLost:
		i, ok := s.Lost().Interval()
		return i.Low, ok
	case HandoverByDamaged:
		i, ok := s.Damaged().Interval()
		return i.Low, ok
	case HandoverByGap:
		return s.GapHours().P95()
	case HandoverByExcess:
		return s.ExcessHours()
	default:
		return float64(s.N()), true
	}
}

// Nodes are the pairs.
func (p *HandoverStatPage) Nodes() []*HandoverStat { return p.list }

// Edges are the pairs with their cursors.
func (p *HandoverStatPage) Edges() []HandoverStatEdge {
	out := make([]HandoverStatEdge, len(p.list))
	for i, s := range p.list {
		out[i] = HandoverStatEdge{s}
	}
	return out
}

// PageInfo is where the page stands.
func (p *HandoverStatPage) PageInfo() PageInfo { return p.info }

// Count is how many there are.
func (p *HandoverStatPage) Count() Count { return Count{Value: p.total, Exact: true} }

// HandoverStatEdge is a pair in a page.
type HandoverStatEdge struct{ s *HandoverStat }

// Node is the pair.
func (e HandoverStatEdge) Node() *HandoverStat { return e.s }

// Cursor is its place.
func (e HandoverStatEdge) Cursor() string {
	return e.s.lens.Cursors.SealFields(handoverList, e.s.k.text())
}
