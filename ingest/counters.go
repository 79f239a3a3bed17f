package ingest

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// Unmapped is a carrier's code that nobody mapped yet: the mapping table's work
// queue.
type Unmapped struct {
	Carrier, Code, Words string
	Count                int
}

// The most different unmapped codes that are remembered; the rest are counted
// together, so that a carrier gone mad cannot fill the memory.
const maxUnmapped = 1000

type unmapped struct {
	mu   sync.Mutex
	seen map[[2]string]*Unmapped
}

func (u *unmapped) count(carrier, code, words string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[[2]string]*Unmapped{}
	}
	k := [2]string{carrier, code}
	e := u.seen[k]
	if e == nil {
		if len(u.seen) >= maxUnmapped {
			k = [2]string{carrier, "(others)"}
			words = ""
		}
		if e = u.seen[k]; e == nil {
			e = &Unmapped{Carrier: carrier, Code: k[1], Words: words}
			u.seen[k] = e
		}
	}
	e.Count++
}

// UnmappedCodes lists the codes that came since start and that nobody mapped,
// commonest first.
func (g *Ingest) UnmappedCodes() []Unmapped {
	g.unmapped.mu.Lock()
	defer g.unmapped.mu.Unlock()
	out := make([]Unmapped, 0, len(g.unmapped.seen))
	for _, e := range g.unmapped.seen {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Unmapped) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Carrier, b.Carrier), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// CarrierStats is what this process has seen of a carrier since start.
type CarrierStats struct {
	Carrier string
	// Calls to the carrier, Numbers asked in them, Failures among the calls.
	Calls, Numbers, Failures int64
	// Payloads by door, and those refused.
	Payloads, Refused int64
	// Troubles counts failures by kind.
	Troubles map[parcel.Trouble]int64
	// LastSuccess is when a call last succeeded, LastFailure when one last
	// failed and why; trade time.
	LastSuccess, LastFailure time.Time
	LastTrouble              parcel.Trouble
	// MeanLatency of calls.
	MeanLatency time.Duration
	// LagMedian and Lag95 are from scan to us, of the last day; 0 if unknown.
	LagMedian, Lag95 time.Duration
	// Resting while calls rest because the carrier keeps failing.
	Resting bool
}

// tally is what this process has seen of one carrier account.
type tally struct {
	parcel.CarrierBeat
	took  time.Duration // of all calls
	hour  [6]span       // ten minutes each
	day   [24]span      // an hour each
	dirty bool          // since it was last told
}

// span is a part of a sliding window.
type span struct {
	from            time.Time
	calls, failures int64
	sketch          parcel.Sketch
}

// at is the span of a moment, emptied if it was of an earlier round.
func at(ring []span, now time.Time, width time.Duration) *span {
	from := now.Truncate(width)
	s := &ring[int(from.UnixNano()/int64(width))%len(ring)]
	if !s.from.Equal(from) {
		*s = span{from: from, sketch: parcel.Sketch{}}
	}
	return s
}

type counters struct {
	mu sync.Mutex
	by map[accountKey]*tally
}

func (c *counters) of(carrier, account string) *tally {
	if c.by == nil {
		c.by = map[accountKey]*tally{}
	}
	k := accountKey{carrier, account}
	if c.by[k] == nil {
		c.by[k] = &tally{CarrierBeat: parcel.CarrierBeat{Carrier: carrier, Account: account}}
	}
	c.by[k].dirty = true
	return c.by[k]
}

// call counts a call. One that our own budget or the carrier's rest forbade was
// none.
func (c *counters) call(carrier, account string, numbers int, now time.Time, took time.Duration, err error) {
	if errors.Is(err, carriers.ErrSpent) || errors.Is(err, carriers.ErrResting) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of(carrier, account)
	s.Calls++
	s.Numbers += int64(numbers)
	s.took += took
	recent := at(s.hour[:], now, 10*time.Minute)
	recent.calls++
	recent.sketch.Add(took)
	if err != nil {
		recent.failures++
		s.Failures++
		s.fail(now, troubleOf(err))
		return
	}
	s.LastSuccess = now
}

// fail notes what went wrong; the caller holds mu.
func (s *tally) fail(now time.Time, t parcel.Trouble) {
	if s.Troubles == nil {
		s.Troubles = map[parcel.Trouble]int64{}
	}
	s.Troubles[t]++
	s.LastFailure, s.LastTrouble = now, t
}

// unread notes an answer that came and could not be read.
func (c *counters) unread(carrier, account string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(carrier, account).fail(now, parcel.TroubleUnreadable)
}

func (c *counters) payload(carrier, account string, source parcel.SourceKind, now time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of(carrier, account)
	if err != nil {
		s.Refused++
		return
	}
	s.Payloads++
	if source == parcel.SourceWebhook {
		s.LastSuccess = now
	}
}

// lag notes how long a scan took to come to us.
func (c *counters) lag(carrier, account string, now time.Time, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at(c.of(carrier, account).day[:], now, time.Hour).sketch.Add(d)
}

// beat is what there is to tell of an account; the caller holds mu.
func (s *tally) beat(now time.Time) parcel.CarrierBeat {
	b := s.CarrierBeat
	b.Troubles = maps.Clone(s.Troubles)
	b.Latency, b.Lag = parcel.Sketch{}, parcel.Sketch{}
	for i := range s.hour {
		if p := &s.hour[i]; p.sketch != nil && now.Sub(p.from) < time.Hour {
			b.HourCalls += p.calls
			b.HourFailures += p.failures
			b.Latency.Merge(p.sketch)
		}
	}
	for i := range s.day {
		if p := &s.day[i]; p.sketch != nil && now.Sub(p.from) < 24*time.Hour {
			b.Lag.Merge(p.sketch)
		}
	}
	return b
}

// Stats lists what was seen of each carrier, by name.
func (g *Ingest) Stats() []CarrierStats {
	now, wall := g.trade.Now(), g.wall.Now()
	g.counters.mu.Lock()
	sums := map[string]*parcel.CarrierBeat{}
	took := map[string]time.Duration{}
	for k, t := range g.counters.by {
		b := t.beat(now)
		if sums[k.carrier] == nil {
			sums[k.carrier] = &parcel.CarrierBeat{}
		}
		sums[k.carrier].Add(&b)
		took[k.carrier] += t.took
	}
	g.counters.mu.Unlock()
	resting := map[string]bool{}
	for k, l := range g.roster.Load().byName {
		if l.account.Gate != nil && l.account.Gate.standing().resting.After(wall) {
			resting[k.carrier] = true
		}
	}
	out := make([]CarrierStats, 0, len(sums))
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		b := sums[name]
		s := CarrierStats{Carrier: name, Calls: b.Calls, Numbers: b.Numbers, Failures: b.Failures, Payloads: b.Payloads, Refused: b.Refused,
			Troubles: b.Troubles, LastSuccess: b.LastSuccess, LastFailure: b.LastFailure, LastTrouble: b.LastTrouble, Resting: resting[name]}
		if b.Calls > 0 {
			s.MeanLatency = took[name] / time.Duration(b.Calls)
		}
		s.LagMedian, _ = b.Lag.Quantile(0.5)
		s.Lag95, _ = b.Lag.Quantile(0.95)
		out = append(out, s)
	}
	return out
}
