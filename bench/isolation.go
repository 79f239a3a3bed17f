package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

// Neighbours says how carriers are asked while one of them is sick.
type Neighbours struct {
	// Numbers are registered with each carrier: 1,000 if zero.
	Numbers int
	// Rate is how many shoppers ask for each carrier in a second: 40 if zero.
	Rate int
	// Time is how long each condition lasts: 8 s if zero. Rounds is how often
	// each comes: 3 if zero.
	Time   time.Duration
	Rounds int
	// Pushes is how many the sick carrier sends in a second when it floods: 300
	// if zero.
	Pushes int
}

func (n Neighbours) withDefaults() Neighbours {
	if n.Numbers == 0 {
		n.Numbers = 1_000
	}
	if n.Rate == 0 {
		n.Rate = 40
	}
	if n.Time == 0 {
		n.Time = 8 * time.Second
	}
	if n.Rounds == 0 {
		n.Rounds = 3
	}
	if n.Pushes == 0 {
		n.Pushes = 300
	}
	return n
}

const (
	neighbourAge  = 4 * time.Second
	neighbourWait = 300 * time.Millisecond
	// neighbourCalls is how many calls a second each carrier takes.
	neighbourCalls = 100
	// movedBar is by how much the others may move.
	movedBar = .10
)

// sickCarrier is the one that something is wrong with; it can be asked, and it
// pushes.
const sickCarrier = "cainiao"

// Disturbance is what one condition of the sick carrier did to the others.
type Disturbance struct {
	Condition string
	// Latency and Age are the medians of the rounds: what shoppers of the others'
	// parcels waited for an answer, and how old it was, on average.
	Latency, Age time.Duration
	// LatencyMoved and AgeMoved are by what share they differ from those of the
	// calm rounds beside them; a gain is below zero.
	LatencyMoved, AgeMoved float64
	// Failed are the others' answers that were an error, or empty.
	Failed int
}

// Holds tells whether the others were left in peace.
func (d Disturbance) Holds() bool {
	return d.LatencyMoved < movedBar && d.AgeMoved < movedBar && d.Failed == 0
}

// Print writes it for people.
func (d Disturbance) Print(w io.Writer) {
	fmt.Fprintf(w, "  %-10s mean %8v (%+.1f %%)   age %8v (%+.1f %%)   %d failed\n", d.Condition, d.Latency.Round(10*time.Microsecond), 100*d.LatencyMoved,
		d.Age.Round(time.Millisecond), 100*d.AgeMoved, d.Failed)
}

// condition is what is wrong with the sick carrier.
type condition struct {
	name   string
	faults sim.Faults
	pushes bool
}

func conditions() []condition {
	well := sim.Faults{Latency: 20 * time.Millisecond, LatencyP99: 100 * time.Millisecond}
	garbage := well
	garbage.HTML, garbage.Truncated = .5, .5
	return []condition{
		{name: "calm", faults: well},
		{name: "hanging", faults: sim.Faults{Silent: true}},
		{name: "garbage", faults: garbage},
		{name: "flooding", faults: well, pushes: true},
	}
}

// Isolation measures what one carrier that hangs, answers garbage or floods us
// with pushes does to what shoppers see of the others. Calm rounds lie between
// the others', so that whatever else the machine does meets both.
func Isolation(ctx context.Context, o Options, storeURL string, n Neighbours) (found []Disturbance, err error) {
	n = n.withDefaults()
	if o.Wall == nil {
		o.Wall = clock.Wall()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	hood, err := openNeighbourhood(ctx, o, storeURL, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hood.close()) }()
	seen := map[string][]sight{}
	for round := range n.Rounds {
		for i, c := range conditions() {
			if i > 1 {
				// A calm round beside each of the others.
				calm, err := hood.watch(ctx, conditions()[0])
				if err != nil {
					return nil, err
				}
				seen["calm"] = append(seen["calm"], calm)
			}
			o.Progress(fmt.Sprintf("isolation: %s, round %d of %d", c.name, round+1, n.Rounds))
			s, err := hood.watch(ctx, c)
			if err != nil {
				return nil, err
			}
			seen[c.name] = append(seen[c.name], s)
		}
	}
	calm := middle(seen["calm"])
	for _, c := range conditions() {
		s := middle(seen[c.name])
		found = append(found, Disturbance{Condition: c.name, Latency: s.latency, Age: s.age, Failed: s.failed,
			LatencyMoved: moved(s.latency, calm.latency), AgeMoved: moved(s.age, calm.age)})
	}
	return found, nil
}

func moved(now, before time.Duration) float64 {
	if before <= 0 {
		return math.Inf(1)
	}
	return float64(now)/float64(before) - 1
}

// sight is what shoppers of the others saw in one round.
type sight struct {
	latency, age time.Duration
	failed       int
}

// middle takes the median of each figure, and the sum of what failed.
func middle(all []sight) (s sight) {
	if len(all) == 0 {
		return s
	}
	var latency, age []time.Duration
	for _, x := range all {
		latency, age, s.failed = append(latency, x.latency), append(age, x.age), s.failed+x.failed
	}
	slices.Sort(latency)
	slices.Sort(age)
	s.latency, s.age = latency[len(latency)/2], age[len(age)/2]
	return s
}

// neighbourhood is a gateway with its carriers.
type neighbourhood struct {
	o        Options
	n        Neighbours
	addr     string
	others   []*carrier
	sick     *carrier
	endpoint string
	pushed   int
	pool     connections
	closers  []func() error
}

func (h *neighbourhood) close() (err error) {
	h.pool.close()
	for i := len(h.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, h.closers[i]())
	}
	return err
}

func openNeighbourhood(ctx context.Context, o Options, storeURL string, n Neighbours) (h *neighbourhood, err error) {
	h = &neighbourhood{o: o, n: n, endpoint: "bench-isolation"}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	var accounts []ingest.Account
	open := func(name, service, country string) (*carrier, error) {
		numbers, err := postalNumbers(service, country, n.Numbers)
		if err != nil {
			return nil, err
		}
		c, err := openCarrier(o.Wall, name, 0, numbers, neighbourAge)
		if err != nil {
			return nil, err
		}
		h.closers = append(h.closers, func() error { c.stop(); return nil })
		account, err := c.account(neighbourCalls)
		if err != nil {
			return nil, err
		}
		if _, pushes := account.Carrier.(carriers.Verifier); pushes {
			account.Endpoint = h.endpoint
		}
		accounts = append(accounts, account)
		return c, nil
	}
	for _, x := range []struct{ name, service, country string }{{"correios", "NL", "BR"}, {"russian-post", "RA", "RU"}, {sickCarrier, "LP", "CN"}} {
		c, err := open(x.name, x.service, x.country)
		if err != nil {
			return h, err
		}
		if h.sick = c; x.name != sickCarrier {
			h.others = append(h.others, c)
		}
	}
	stack, err := o.Wire(ctx, storeURL, accounts)
	if err != nil {
		return h, err
	}
	h.closers = append(h.closers, stack.Close)
	merchant, err := newMerchant(ctx, o.Wall, stack)
	if err != nil {
		return h, err
	}
	for _, c := range append(slices.Clone(h.others), h.sick) {
		if err := c.register(ctx, o, stack, merchant); err != nil {
			return h, err
		}
		c.faults(conditions()[0].faults)
	}
	addr, stop, err := serve(stack.Handler)
	if err != nil {
		return h, err
	}
	h.addr = addr
	h.closers = append(h.closers, func() error { stop(); return nil })
	return h, nil
}

// watch lets shoppers ask for every carrier's parcels under one condition of the
// sick one, and tells what those of the others saw.
func (h *neighbourhood) watch(ctx context.Context, c condition) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, h.n.Time+time.Minute)
	defer cancel()
	h.sick.faults(c.faults)
	var group sync.WaitGroup
	defer group.Wait()
	if c.pushes {
		flood, stop := context.WithTimeout(ctx, h.n.Time)
		defer stop()
		group.Go(func() { h.flood(flood) })
	}
	var mu sync.Mutex
	var latency, age []time.Duration
	var failed int
	shop := Shop{MaxAge: neighbourAge, Wait: neighbourWait}
	request := trackRequest(h.addr, shop)
	all := append(slices.Clone(h.others), h.sick)
	favour, dice := newZipf(h.n.Numbers), rand.New(rand.NewPCG(3, 4))
	rate := h.n.Rate * len(all)
	n := int(h.n.Time.Seconds() * float64(rate))
	var asked sync.WaitGroup
	begin := h.o.Wall.Now()
	for i := range n {
		due := begin.Add(time.Duration(float64(i) / float64(rate) * float64(time.Second)))
		if wait := due.Sub(h.o.Wall.Now()); wait > 0 && h.o.Wall.Sleep(ctx, wait) != nil {
			break
		}
		from := all[i%len(all)]
		frame := request(from.numbers[favour.draw(dice.Float64())])
		asked.Go(func() {
			body, err := h.pool.ask(ctx, frame)
			took := h.o.Wall.Now().Sub(due)
			if from == h.sick {
				return
			}
			old, known := ageOf(body, h.o.Wall.Now())
			mu.Lock()
			defer mu.Unlock()
			if err != nil || !known {
				failed++
				return
			}
			latency, age = append(latency, took), append(age, old)
		})
	}
	asked.Wait()
	if err := ctx.Err(); err != nil || len(latency) == 0 {
		return sight{}, fmt.Errorf("bench: isolation: nothing was answered: %w", err)
	}
	return sight{latency: mean(latency), age: mean(age), failed: failed}, nil
}

// mean is that of some durations. The middle one would jump between answers from
// the store and answers that a call was waited for.
func mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(len(all))
}

// flood sends pushes at the rate that was asked for, whatever becomes of them.
func (h *neighbourhood) flood(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	gap := time.Second / time.Duration(h.n.Pushes)
	slots := make(chan struct{}, 256)
	for due := h.o.Wall.Now(); ; due = due.Add(gap) {
		if wait := due.Sub(h.o.Wall.Now()); wait > 0 && h.o.Wall.Sleep(ctx, wait) != nil {
			return
		}
		h.pushed++
		number := h.sick.numbers[h.pushed%len(h.sick.numbers)]
		history := h.sick.history
		history.Scans = append(slices.Clone(history.Scans), carriers.FakeScan{
			Code: parcel.CodeDestinationHubProcessed, At: h.o.Wall.Now().Add(-time.Duration(h.pushed) * time.Second), Place: parcel.Place{Country: "BR"}})
		d, ok := h.sick.fake.Push(number, history)
		if !ok {
			return
		}
		var head strings.Builder
		fmt.Fprintf(&head, "POST /hooks/%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", h.sick.spec.Name, h.endpoint, h.addr, len(d.Body))
		for name, values := range d.Header {
			fmt.Fprintf(&head, "%s: %s\r\n", name, values[0])
		}
		frame := append([]byte(head.String()+"\r\n"), d.Body...)
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		group.Go(func() {
			defer func() { <-slots }()
			_, _ = h.pool.ask(ctx, frame) // refused or taken: the flood goes on
		})
	}
}
