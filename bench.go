package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/milepost-gateway/milepost/bench"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
)

// benchStack is a server as serve runs it, but for its listeners and poller.
func benchStack(ctx context.Context, storeURL string, accounts []ingest.Account) (*bench.Stack, error) {
	log := slog.New(slog.DiscardHandler)
	s, err := openStore(ctx, log, storeURL, true)
	if err != nil {
		return nil, err
	}
	wall := clock.Wall()
	srv, err := newServer(ctx, serverParts{store: s, accounts: accounts, trade: wall, wall: wall, log: log})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &bench.Stack{Handler: srv.gateway.Handler(), Store: s, Ingest: srv.ingest, Close: func() error {
		return errors.Join(srv.ingest.Close(), s.Close())
	}}, nil
}

// benchSettle is how long a server is left alone before its memory is read.
const benchSettle = 30 * time.Second

// measure runs the measurements that were asked for. It fails where a bar that
// the gateway sets itself is not reached.
func measure(ctx context.Context, con *console, c *benchCommand) error {
	what := map[string]bool{}
	for _, w := range c.What {
		what[w] = true
	}
	if len(what) == 0 {
		what = map[string]bool{"start": true, "read": true, "write": true}
	}
	o := bench.Options{
		Postgres: c.Postgres, Wire: benchStack, Shipments: c.Shipments, Payloads: c.Payloads,
		Load: bench.Load{Time: c.Time, Rounds: c.Rounds}, Progress: func(text string) { con.note("%s", text) },
	}
	if what["start"] {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		con.note("start: an empty database, then %s of rest", benchSettle)
		s, err := bench.Starting(ctx, con.wall, self, []string{"serve"}, benchSettle)
		if err != nil {
			return err
		}
		s.Print(con.out)
	}
	met, err := measureShops(ctx, con, what, c, o)
	if err != nil {
		return err
	}
	var all []bench.Comparison
	if what["read"] {
		found, err := bench.Reading(ctx, o)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if what["write"] {
		found, err := bench.Writing(ctx, o)
		if err != nil {
			return err
		}
		all = append(all, found)
	}
	missed := 0
	if !met {
		missed++
	}
	for _, found := range all {
		found.Print(con.out)
		if !found.Holds() {
			missed++
		}
	}
	if missed > 0 {
		return told{errors.New("a bar was not reached")}
	}
	return nil
}

// measureShops runs the measurements in which shoppers ask, and tells whether
// their bars were reached.
func measureShops(ctx context.Context, con *console, what map[string]bool, c *benchCommand, o bench.Options) (met bool, err error) {
	met = true
	if what["storefront"] {
		err := onScratch(ctx, c, func(storeURL string) error {
			ours, plain, err := bench.Storefront(ctx, o, storeURL, bench.Shop{Numbers: c.Numbers, Rate: c.Rate, Time: c.Time})
			if err != nil {
				return err
			}
			ours.Print(con.out)
			plain.Print(con.out)
			for _, bar := range ours.Missed() {
				met = false
				fmt.Fprintf(con.out, "  does not hold: %s\n", bar)
			}
			return nil
		})
		if err != nil {
			return met, err
		}
	}
	if what["isolation"] {
		err := onScratch(ctx, c, func(storeURL string) error {
			found, err := bench.Isolation(ctx, o, storeURL, bench.Neighbours{Numbers: c.Numbers, Rate: c.Rate, Time: c.Time, Rounds: c.Rounds})
			if err != nil {
				return err
			}
			fmt.Fprintln(con.out, "isolation: what shoppers see of the others while one carrier is sick")
			for _, d := range found {
				d.Print(con.out)
				met = met && d.Holds()
			}
			return nil
		})
		if err != nil {
			return met, err
		}
	}
	return met, nil
}

// onScratch runs a measurement on a database of its own, which is removed again.
func onScratch(ctx context.Context, c *benchCommand, run func(storeURL string) error) error {
	storeURL, drop, err := bench.Scratch(ctx, c.Postgres, c.SQLite)
	if err != nil {
		return err
	}
	return errors.Join(run(storeURL), drop())
}
