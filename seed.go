package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

// seed fills a database with shipments that have a past. It goes the one road
// in, so that what it leaves is what carriers would have left.
func seed(ctx context.Context, con *console, log *slog.Logger, c *seedCommand) error {
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	m, made, err := merchantNamed(ctx, s, con.wall, c.Merchant, true)
	if err != nil {
		return err
	}
	if made {
		con.note("merchant %s is new", m.Name)
	}
	wall := clock.Wall()
	g, err := ingest.New(ingest.Options{Store: memory{s}, Writers: writers(s), Trade: wall, Wall: wall, Log: log})
	if err != nil {
		return err
	}
	defer g.Close()

	bar := con.newProgress("seeding", int64(c.Shipments), false)
	began := con.wall.Now()
	var done, created, events int
	making, enough := context.WithCancel(ctx)
	batches := seedBatches(making, c.Seed, c.Shipments)
	defer func() {
		enough()
		for range batches { // until its maker has ended
		}
	}()
	for batch := range batches {
		out, err := g.RegisterWithHistory(ctx, m.ID, batch)
		if err != nil {
			bar.finish()
			return fmt.Errorf("after %d shipments: %w; the same command goes on", done, withRemedy(c.Store, err))
		}
		for i := range out {
			switch out[i].Outcome {
			case parcel.WriteRefused:
				bar.finish()
				return fmt.Errorf("shipment %s was refused: %w", batch[i].Facts.Reference, out[i].Problems[0])
			case parcel.WriteCreated:
				created++
				events += len(batch[i].Events)
			}
		}
		done += len(batch)
		bar.set(int64(done))
	}
	bar.finish()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped after %d shipments; the same command goes on: %w", done, err)
	}
	took := con.wall.Now().Sub(began)
	con.printf("%d shipments of %s, %d of them new, with %d events; %s\n", done, m.Name, created, events, rate(done, took))
	return nil
}

// seedBatches makes shipments while earlier ones are being written. The
// channel closes at the end, or when ctx is done.
func seedBatches(ctx context.Context, seed uint64, n int) <-chan []ingest.History {
	out := make(chan []ingest.History, 1)
	go func() {
		defer close(out)
		world := sim.Bulk{Seed: seed}
		for at := 0; at < n; {
			batch := make([]ingest.History, 0, ingest.MaxRegistrations)
			for ; at < n && len(batch) < cap(batch); at++ {
				batch = append(batch, history(world.Shipment(at)))
			}
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// history is a simulated shipment as the write path takes it.
func history(c sim.Consignment, told []sim.TimedObservation) ingest.History {
	h := ingest.History{Registration: c.Registration, Source: parcel.SourceSimulator, Final: true}
	for i := range told {
		h.Events = append(h.Events, told[i].Observation)
		h.ReceivedAt = append(h.ReceivedAt, told[i].ReceivedAt)
	}
	return h
}
