package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
)

// migrate brings a database up to date: its tables, and what an older version
// had derived.
func migrate(ctx context.Context, con *console, log *slog.Logger, url string) error {
	s, err := openStore(ctx, log, url, false)
	if err != nil {
		return err
	}
	defer s.Close()
	applied, err := s.Migrate(ctx)
	if err != nil {
		return fmt.Errorf("--store: %w", withRemedy(url, err))
	}
	for _, name := range applied {
		con.printf("applied %s\n", name)
	}
	folded, err := s.Refold(ctx)
	if err != nil {
		return fmt.Errorf("derive shipments again: %w", err)
	}
	if folded > 0 {
		con.printf("%d shipments derived again by the rules of this version\n", folded)
	}
	if len(applied)+folded == 0 {
		con.printf("nothing to do: the database is up to date\n")
	}
	return nil
}

// readers gives an account that only reads to every carrier that the
// configuration names none for, so that every kept payload has its adapter.
func (b binding) readers(file *config.File, have []ingest.Account) ([]ingest.Account, error) {
	for _, spec := range b.catalog.all() {
		if slices.ContainsFunc(have, func(a ingest.Account) bool { return a.Spec.Name == spec.Name }) {
			continue
		}
		spec, c, err := b.decoder(file, spec.Name)
		if err != nil {
			return nil, err
		}
		have = append(have, ingest.Account{Name: "decode", Spec: spec, Carrier: c})
	}
	return have, nil
}

// replay reads kept payloads again and tells what their codes mean now.
func replay(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog, c *replayCommand) error {
	if c.Carrier != "" {
		if _, err := cat.lookup(c.Carrier); err != nil {
			return usage{fmt.Errorf("--carrier: %w", err)}
		}
	}
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	b := binding{catalog: cat, wall: con.wall, log: log}
	cat.tell(log)
	accounts, err := b.accounts(file, merchantIDs(ctx, s))
	if err != nil {
		return err
	}
	if accounts, err = b.readers(file, accounts); err != nil {
		return err
	}
	wall := clock.Wall()
	g, err := ingest.New(ingest.Options{Store: memory{s}, Writers: writers(s), Accounts: accounts, Trade: wall, Wall: wall, Log: log})
	if err != nil {
		return err
	}
	bar := con.newProgress("replaying", -1, false)
	began := con.wall.Now()
	report, err := g.Replay(ctx, ingest.ReplayAsk{Carrier: c.Carrier, Since: c.since, DryRun: c.DryRun, Progress: func(n int) { bar.set(int64(n)) }})
	bar.finish()
	took := con.wall.Now().Sub(began)

	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	if len(report.Codes) > 0 {
		fmt.Fprintln(w, "CARRIER\tOWN CODE\tIS READ AS\tTIMES")
	}
	codes := slices.SortedFunc(maps.Keys(report.Codes), func(a, b ingest.ReplayCode) int {
		return cmp.Or(cmp.Compare(a.Carrier, b.Carrier), cmp.Compare(a.OwnCode, b.OwnCode), cmp.Compare(a.Code, b.Code))
	})
	for _, k := range codes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", k.Carrier, k.OwnCode, k.Code, report.Codes[k])
	}
	flushErr := w.Flush()
	word := "new in the log"
	if c.DryRun {
		word = "written, since this was a dry run"
	}
	con.printf("%d payloads, %d unreadable, %d observations, %d %s; %s\n",
		report.Payloads, report.Unreadable, report.Observations, report.Events, word, rate(report.Payloads, took))
	return errors.Join(err, flushErr, g.Close())
}
