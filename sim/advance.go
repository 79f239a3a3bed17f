package sim

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Step is what one Advance of a scenario brought about.
type Step struct {
	Scenario Scenario
	// At is when, trade time.
	At time.Time
	// Told is what the carriers show since, in order of occurrence; empty where
	// the step was something else: an estimate, a place made out, a number that
	// the merchant corrects.
	Told []Told
	// Numbers are all that the parcel has, the public one first.
	Numbers []parcel.NumberKey
	// Left counts the steps still to come.
	Left int
}

// Told is one scan that a carrier shows.
type Told struct {
	parcel.NumberKey
	Code parcel.Code
	// At is when it happened, which may be long before it is told.
	At time.Time
}

// Advance brings about at once what a scenario has in store next; what comes
// after it moves up by as much, so that its story keeps its pace, and what was
// told keeps its time. It returns ErrNotFound for a name that is no scenario of
// this network, and ErrConflict for one that is over.
func (n *Network) Advance(name string) (Step, error) {
	now := n.clock.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	at := slices.IndexFunc(n.scenarios, func(j *journey) bool { return j.scenario.Name == name })
	if at < 0 {
		return Step{}, fmt.Errorf("sim: scenario %q: %w", name, parcel.ErrNotFound)
	}
	staged := n.scenarios[at]
	j := staged.current()
	ahead := n.ahead(j, name, now)
	if len(ahead) == 0 {
		return Step{}, fmt.Errorf("sim: scenario %s is over, nothing more will happen: %w", name, parcel.ErrConflict)
	}
	by := ahead[0].Sub(now)
	next := j.moved(by, now)
	step := Step{Scenario: j.scenario.Scenario, At: now, Left: len(ahead) - 1, Numbers: j.numbers()}
	for i := range j.scans {
		if s := &j.scans[i]; s.told.Equal(ahead[0]) && n.shows(j, s) {
			l := &j.legs[s.leg]
			step.Told = append(step.Told, Told{parcel.NumberKey{Carrier: l.carrier, Number: l.number}, s.code, next.scans[i].at})
		}
	}
	staged.scenario.playing.Store(next)
	for i := n.atDesk; i < len(n.registers); i++ {
		if n.registers[i].j == staged {
			n.registers[i].at = n.registers[i].at.Add(-by)
		}
	}
	slices.SortStableFunc(n.registers[n.atDesk:], func(a, b register) int { return a.at.Compare(b.at) })
	for i := n.corrected; i < len(n.corrections); i++ {
		if n.corrections[i].Reference == name {
			n.corrections[i].At = n.corrections[i].At.Add(-by)
		}
	}
	slices.SortStableFunc(n.corrections[n.corrected:], func(a, b Correction) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Reference, b.Reference))
	})
	n.moves = append(n.moves, staged)
	for _, wake := range n.sleepers {
		wake()
	}
	return step, nil
}

// Numbers are all that the parcel of a scenario has on its way, the public one
// first; nil for a name that is no scenario of this network.
func (n *Network) Numbers(name string) []parcel.NumberKey {
	i := slices.IndexFunc(n.scenarios, func(j *journey) bool { return j.scenario.Name == name })
	if i < 0 {
		return nil
	}
	return n.scenarios[i].numbers()
}

func (j *journey) numbers() (out []parcel.NumberKey) {
	for i := range j.legs {
		out = append(out, parcel.NumberKey{Carrier: j.legs[i].carrier, Number: j.legs[i].number})
	}
	return out
}

// current is the journey as it goes now: as it was made, or as it was advanced
// last.
func (j *journey) current() *journey {
	if j.scenario != nil {
		if p := j.scenario.playing.Load(); p != nil {
			return p
		}
	}
	return j
}

// shows tells whether a scan's carrier is served and has a word for it.
func (n *Network) shows(j *journey, s *scan) bool {
	h := n.houses[j.legs[s.leg].carrier]
	return h != nil && (h.speaks[s.code] || s.code == parcel.CodeUnknown)
}

// ahead are the instants after now at which something of a scenario becomes
// visible, in order. The caller holds mu.
func (n *Network) ahead(j *journey, name string, now time.Time) (at []time.Time) {
	add := func(t time.Time) {
		if t.After(now) {
			at = append(at, t)
		}
	}
	for i := range j.scans {
		if s := &j.scans[i]; n.shows(j, s) {
			add(s.told)
			add(s.vagueUntil)
		}
	}
	for i := range j.legs {
		add(j.legs[i].known)
		if !j.legs[i].estimate.IsZero() {
			add(j.legs[i].estimated)
		}
	}
	for i := range n.registers {
		if n.registers[i].j.scenario.Name == name {
			add(n.registers[i].at)
		}
	}
	for i := range n.corrections {
		if n.corrections[i].Reference == name {
			add(n.corrections[i].At)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return slices.CompactFunc(at, time.Time.Equal)
}

// moved is the journey with everything after now nearer by a time. The order of
// the scans stays: the first that moves does not come before the last that has
// happened.
func (j *journey) moved(by time.Duration, now time.Time) *journey {
	next := *j
	nearer := func(t *time.Time) {
		if t.After(now) {
			*t = t.Add(-by)
		}
	}
	next.scans, next.legs = slices.Clone(j.scans), slices.Clone(j.legs)
	var before time.Time
	for i := range next.scans {
		s := &next.scans[i]
		if s.at.After(now) {
			if s.at = s.at.Add(-by); !s.at.After(before) {
				s.at = before.Add(time.Second)
			}
		}
		nearer(&s.told)
		nearer(&s.vagueUntil)
		if s.at.After(s.told) {
			s.at = s.told // advanced twice in a moment: as near as can be
		}
		before = s.at
	}
	for i := range next.legs {
		nearer(&next.legs[i].known)
		nearer(&next.legs[i].estimated)
	}
	nearer(&next.end)
	nearer(&next.settled)
	return &next
}

// sleepUntil waits on the trade clock, or until a scenario is advanced that the
// pusher has not followed.
func (p *pusher) sleepUntil(ctx context.Context, t time.Time) error {
	nap, wake := context.WithCancel(ctx)
	defer wake()
	p.n.mu.Lock()
	if p.moved < len(p.n.moves) {
		p.n.mu.Unlock()
		return ctx.Err()
	}
	p.n.sleepers[p.h.spec.Name] = wake
	p.n.mu.Unlock()
	err := p.n.clock.Sleep(nap, t.Sub(p.n.clock.Now()))
	if nap.Err() != nil {
		err = ctx.Err() // woken is not ended
	}
	return err
}

// follow gives the scans of advanced scenarios that are still to be pushed
// their new time.
func (p *pusher) follow(now time.Time) {
	p.n.mu.Lock()
	moves := p.n.moves[p.moved:]
	p.moved = len(p.n.moves)
	p.n.mu.Unlock()
	for i := range p.queue {
		x := &p.queue[i]
		if x.due.After(now) && x.tries == 0 && slices.Contains(moves, x.j) {
			j := x.j.current()
			s := &j.scans[x.scan]
			x.due = s.told.Add(j.legs[s.leg].pushLate)
		}
	}
	heap.Init(&p.queue)
}
