package sim

import (
	"bytes"
	"container/heap"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
)

// Deliver hands a push to whoever takes it: an HTTP request to the hook of the
// carrier's account, or a call in process. A Reply of status 0 means that
// nobody answered.
type Deliver func(ctx context.Context, carrier string, d carriers.Delivery) carriers.Reply

// How carriers push, faults apart: some of everything arrives twice, and some
// is overtaken by what happened after it.
const (
	pushTwice     = .03
	pushOvertaken = .03
)

// retries are the waits after which a push that was not taken is sent again,
// trade time; then it is given up, and only asking brings the news.
func retries() []time.Duration {
	return []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, day}
}

// Push sends the scans of the carriers that push, as trade time shows them,
// from the moment of the call until ctx ends. Each carrier sends one after the
// other, signed; what is not taken (a status other than 2xx, or a reply that
// says so in its carrier's words) is sent again. It waits for its goroutines.
func (n *Network) Push(ctx context.Context, deliver Deliver) {
	var work sync.WaitGroup
	for _, h := range n.houses {
		if h.pushes {
			p := &pusher{n: n, h: h, deliver: deliver, from: n.clock.Now()}
			work.Go(func() { p.run(ctx) })
		}
	}
	work.Wait()
	// Without a carrier that pushes the promise holds all the same.
	<-ctx.Done()
}

// pusher sends one carrier's pushes.
type pusher struct {
	n       *Network
	h       *house
	deliver Deliver
	// from is when it began: what was told before is old news. made counts the
	// journeys that are in the queue, the scenarios' first.
	from         time.Time
	staged       bool
	made, queued int
	moved        int // how many advances of scenarios it has followed
	queue        pushQueue
}

// push is one scan to be sent.
type push struct {
	due   time.Time
	order int // among equals: first come, first sent
	j     *journey
	scan  int
	tries int
	late  bool // another was let pass already
}

// pushQueue is a heap by due.
type pushQueue []push

func (q pushQueue) Len() int { return len(q) }
func (q pushQueue) Less(a, b int) bool {
	if c := q[a].due.Compare(q[b].due); c != 0 {
		return c < 0
	}
	return q[a].order < q[b].order
}
func (q pushQueue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }
func (q *pushQueue) Push(x any)   { *q = append(*q, x.(push)) }
func (q *pushQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

func (p *pusher) run(ctx context.Context) {
	for ctx.Err() == nil {
		now := p.n.clock.Now()
		p.gather(now)
		p.follow(now)
		for len(p.queue) > 0 && !p.queue[0].due.After(now) && ctx.Err() == nil {
			p.send(ctx, heap.Pop(&p.queue).(push))
		}
		// The next scan of a known parcel, or the next parcel.
		next := p.n.NextRegistration(now)
		if len(p.queue) > 0 && p.queue[0].due.Before(next) {
			next = p.queue[0].due
		}
		if p.sleepUntil(ctx, next) != nil {
			return
		}
	}
}

// gather queues the scans of the journeys made since the last time.
func (p *pusher) gather(now time.Time) {
	p.n.mu.Lock()
	p.n.advance(now)
	p.made = max(p.made, p.n.forgotten)
	fresh := slices.Clone(p.n.ordinary[p.made-p.n.forgotten:])
	p.made = p.n.forgotten + len(p.n.ordinary)
	p.n.mu.Unlock()
	if !p.staged {
		p.staged = true
		fresh = append(fresh, p.n.scenarios...)
	}
	for _, j := range fresh {
		playing := j.current()
		for i := range playing.scans {
			s, l := &playing.scans[i], &j.legs[j.scans[i].leg]
			if l.carrier != p.h.spec.Name || s.told.Before(p.from) || !p.h.speaks[s.code] {
				continue
			}
			p.add(j, i, s.told.Add(l.pushLate))
			if l.pushTwice {
				p.add(j, i, s.told.Add(l.pushLate+time.Minute))
			}
		}
	}
}

func (p *pusher) add(j *journey, scan int, due time.Time) {
	d := newDice(p.n.seed^0x70757368, uint64(j.ordinal)<<8|uint64(scan))
	twice, overtaken := d.chance(pushTwice), d.chance(pushOvertaken)
	if overtaken {
		due = due.Add(d.between(time.Hour, 12*time.Hour))
	}
	p.queueAt(push{due: due, j: j, scan: scan})
	if twice {
		p.queueAt(push{due: due.Add(d.between(time.Minute, time.Hour)), j: j, scan: scan})
	}
}

func (p *pusher) queueAt(x push) {
	p.queued++
	x.order = p.queued
	heap.Push(&p.queue, x)
}

// send makes the push of a scan and delivers it.
func (p *pusher) send(ctx context.Context, x push) {
	l := &x.j.legs[x.j.scans[x.scan].leg]
	history := p.history(x)
	if len(history.Scans) == 0 {
		return
	}
	delivery, ok := p.h.fake.Push(l.number, history)
	if !ok {
		return
	}
	faults := p.h.weather.pushFaults()
	twice, overtaken := p.h.weather.telling()
	if overtaken && !x.late {
		x.due, x.late = x.due.Add(2*time.Hour), true
		p.queueAt(x)
		return
	}
	d := newDice(p.n.seed^0x666f7267, uint64(x.j.ordinal)<<8|uint64(x.scan))
	if d.chance(faults.Forged) {
		p.deliver(ctx, p.h.spec.Name, forge(delivery))
	}
	reply := p.deliver(ctx, p.h.spec.Name, delivery)
	if twice {
		p.deliver(ctx, p.h.spec.Name, delivery)
	}
	if taken(reply) || ctx.Err() != nil {
		return
	}
	waits := retries()
	if x.tries >= len(waits) {
		p.n.log.Warn("push given up", "carrier", p.h.spec.Name, "number", l.number, "tries", x.tries+1, "status", reply.Status)
		return
	}
	x.due = p.n.clock.Now().Add(waits[x.tries])
	x.tries++
	p.queueAt(x)
}

// history is what the carrier knows with the scan to be pushed as the newest.
func (p *pusher) history(x push) carriers.FakeHistory {
	var h carriers.FakeHistory
	s := &x.j.current().scans[x.scan]
	p.n.recall(handle{x.j, s.leg}, s.told, &h)
	// Of scans told at once each push shows those up to its own.
	newest := s.fake(s.told)
	h.Scans = append(slices.DeleteFunc(h.Scans, func(f carriers.FakeScan) bool { return f == newest }), newest)
	return h
}

// taken tells whether a carrier takes a reply for an acknowledgement. Some
// answer with status 200 whatever became of the message.
func taken(r carriers.Reply) bool {
	if r.Status < 200 || r.Status > 299 {
		return false
	}
	body := strings.Join(strings.Fields(string(r.Body)), "")
	for _, refusal := range []string{`"success":"false"`, `"success":false`, `"responseState":false`, `"return_code":"1000"`} {
		if strings.Contains(body, refusal) {
			return false
		}
	}
	return true
}

// forge spoils what a push is signed with: its own headers, the secret in its
// address, or the body where the signature is in there.
func forge(d carriers.Delivery) carriers.Delivery {
	spoiled := false
	header := http.Header{}
	for key, values := range d.Header {
		header[key] = slices.Clone(values)
		if key == "Content-Type" || key == "User-Agent" {
			continue
		}
		spoiled = true
		for i := range header[key] {
			header[key][i] += "-forged"
		}
	}
	d.Header = header
	query := map[string][]string{}
	for key, values := range d.Query {
		query[key] = slices.Clone(values)
		for i := range query[key] {
			query[key][i] += "-forged"
			spoiled = true
		}
	}
	d.Query = query
	if !spoiled {
		d.Body = bytes.Map(func(r rune) rune {
			if r >= '0' && r <= '8' {
				return r + 1
			}
			return r
		}, d.Body)
	}
	return d
}

// Pushes tells whether a carrier calls its customers.
func (n *Network) Pushes(carrier string) bool {
	h := n.houses[carrier]
	return h != nil && h.pushes
}
