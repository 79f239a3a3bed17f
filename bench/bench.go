package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/storage"
)

// Stack is the gateway under measurement, wired as it is served.
type Stack struct {
	Handler http.Handler
	Store   *storage.Store
	Ingest  *ingest.Ingest
	// Close ends all of it.
	Close func() error
}

// Options say what is measured, and on what.
type Options struct {
	// Postgres is the URL of any database on a PostgreSQL server whose user may
	// make others. A scratch database is made there, and dropped at the end.
	Postgres string
	// Wire opens the gateway on a database, which it migrates, with these
	// accounts and no other, and without a poller.
	Wire func(ctx context.Context, storeURL string, accounts []ingest.Account) (*Stack, error)
	// Shipments are seeded before anything is measured: 5,000 if zero.
	Shipments int
	// Payloads are taken in by the measurement of ingest, four events each, in
	// as many parts as Load has rounds: 6,000 if zero.
	Payloads int
	// Seed names the simulated world the shipments are from.
	Seed uint64
	// Load is how hard both sides are asked.
	Load Load
	// Progress is told what is being done; nil for nobody.
	Progress func(text string)
	// Wall is the clock by which all is measured; clock.Wall if nil.
	Wall clock.Clock
}

// maxShipments bounds what is seeded.
const maxShipments = 1_000_000

func (o Options) withDefaults() (Options, error) {
	if o.Postgres == "" || o.Wire == nil {
		return o, errors.New("bench: a PostgreSQL server and the gateway's wiring are needed")
	}
	if o.Shipments == 0 {
		o.Shipments = 5_000
	}
	if o.Payloads == 0 {
		o.Payloads = 6_000
	}
	if o.Shipments < 200 || o.Shipments > maxShipments || o.Payloads < 1 || o.Payloads > maxShipments {
		return o, fmt.Errorf("bench: 200 to %d shipments and 1 to %[1]d payloads can be measured", maxShipments)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Wall == nil {
		o.Wall = clock.Wall()
	}
	o.Load = o.Load.withDefaults()
	return o, nil
}

// Comparison is one measurement of both sides.
type Comparison struct {
	Name string
	// Unit is what is counted: "requests", "events".
	Unit string
	// Ours and Plain are the rounds of each side, in the order measured.
	Ours, Plain []Rate
	// Bar is the ratio that the gateway sets itself; 0 for none.
	Bar float64
}

// Ratio is ours divided by the plain side, each by its median round.
func (c Comparison) Ratio() float64 {
	plain := median(c.Plain).PerSecond()
	if plain == 0 {
		return 0
	}
	return median(c.Ours).PerSecond() / plain
}

// CPURatio is how much processor time the plain side takes for one request,
// divided by what ours takes: what Ratio would be on a machine that does
// nothing else. It is 0 if not known.
func (c Comparison) CPURatio() float64 {
	ours, plain := total(c.Ours), total(c.Plain)
	if ours.Each() == 0 || plain.Each() == 0 {
		return 0
	}
	return float64(plain.Each()) / float64(ours.Each())
}

// total adds rounds up.
func total(rounds []Rate) (sum Rate) {
	for _, r := range rounds {
		sum.Requests += r.Requests
		sum.CPU += r.CPU
	}
	return sum
}

// Holds tells whether the bar was reached.
func (c Comparison) Holds() bool { return c.Ratio() >= c.Bar }

func median(rounds []Rate) Rate {
	if len(rounds) == 0 {
		return Rate{}
	}
	sorted := slices.SortedFunc(slices.Values(rounds), func(a, b Rate) int {
		switch {
		case a.PerSecond() < b.PerSecond():
			return -1
		case a.PerSecond() > b.PerSecond():
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2]
}

// Print writes a comparison for people.
func (c Comparison) Print(w io.Writer) {
	fmt.Fprintf(w, "%s\n", c.Name)
	side := func(name string, rounds []Rate) {
		r := median(rounds)
		fmt.Fprintf(w, "  %-13s %9.0f %s/s", name, r.PerSecond(), c.Unit)
		if r.P50 > 0 {
			fmt.Fprintf(w, "   p50 %v   p99 %v   %.1f kB each", r.P50.Round(10*time.Microsecond), r.P99.Round(10*time.Microsecond), float64(r.Bytes)/float64(max(1, r.Requests))/1000)
		}
		if each := total(rounds).Each(); each > 0 {
			fmt.Fprintf(w, "   cpu %v each", each.Round(time.Microsecond))
		}
		fmt.Fprintln(w)
	}
	side("milepost", c.Ours)
	side("hand-written", c.Plain)
	fmt.Fprintf(w, "  %-13s %9.2f", "ratio", c.Ratio())
	if c.Bar > 0 {
		verdict := "holds"
		if !c.Holds() {
			verdict = "does not hold"
		}
		fmt.Fprintf(w, "   (%s: at least %.2f)", verdict, c.Bar)
	}
	fmt.Fprintln(w)
	if ratio := c.CPURatio(); ratio > 0 {
		fmt.Fprintf(w, "  %-13s %9.2f   of the processor time, whatever else the machine does\n", "ratio", ratio)
	}
}

// compare measures both sides in turns, so that whatever else the machine does
// meets both. A first short round of each is not counted.
func compare(ctx context.Context, o Options, m cpuMeter, c Comparison, ours, plain target) (Comparison, error) {
	measured := func(t target) (Rate, error) {
		before := m.total(ctx)
		r, err := round(ctx, o.Wall, t, o.Load)
		if after := m.total(ctx); before > 0 && after > before {
			r.CPU = after - before
		}
		return r, err
	}
	warm := o.Load
	warm.Time /= 4
	for _, t := range []target{ours, plain} {
		if _, err := round(ctx, o.Wall, t, warm); err != nil {
			return c, err
		}
	}
	for i := range o.Load.Rounds {
		o.Progress(fmt.Sprintf("%s: round %d of %d", c.Name, i+1, o.Load.Rounds))
		a, err := measured(ours)
		if err != nil {
			return c, err
		}
		b, err := measured(plain)
		if err != nil {
			return c, err
		}
		c.Ours, c.Plain = append(c.Ours, a), append(c.Plain, b)
	}
	return c, nil
}
