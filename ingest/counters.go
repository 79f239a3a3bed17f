package ingest

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

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
	// LastSuccess is when a call last succeeded, LastFailure when one last
	// failed and why; trade time.
	LastSuccess, LastFailure time.Time
	LastTrouble              parcel.Trouble
	// MeanLatency of calls.
	MeanLatency time.Duration
}

type counters struct {
	mu  sync.Mutex
	by  map[string]*CarrierStats
	sum map[string]time.Duration
}

func (c *counters) of(carrier string) *CarrierStats {
	if c.by == nil {
		c.by, c.sum = map[string]*CarrierStats{}, map[string]time.Duration{}
	}
	if c.by[carrier] == nil {
		c.by[carrier] = &CarrierStats{Carrier: carrier}
	}
	return c.by[carrier]
}

func (c *counters) call(carrier string, numbers int, now time.Time, took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of(carrier)
	s.Calls++
	s.Numbers += int64(numbers)
	c.sum[carrier] += took
	s.MeanLatency = c.sum[carrier] / time.Duration(s.Calls)
	if err != nil {
		s.Failures++
		s.LastFailure, s.LastTrouble = now, troubleOf(err)
		return
	}
	s.LastSuccess = now
}

func (c *counters) payload(carrier string, _ parcel.SourceKind, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of(carrier)
	if err != nil {
		s.Refused++
		return
	}
	s.Payloads++
}

// Stats lists what was seen of each carrier, by name.
func (g *Ingest) Stats() []CarrierStats {
	g.counters.mu.Lock()
	defer g.counters.mu.Unlock()
	out := make([]CarrierStats, 0, len(g.counters.by))
	for _, name := range slices.Sorted(maps.Keys(g.counters.by)) {
		out = append(out, *g.counters.by[name])
	}
	return out
}
