package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/obs"
)

// retention is how long a row of the change log is kept, in trade time; 0 is
// for ever.
type retention time.Duration

const (
	day = 24 * time.Hour
	// leastRetention leaves a reader who was away over night a place to go on
	// from. A flag that reads "30m" was meant otherwise.
	leastRetention = day
	mostRetention  = 36500 * day
	keepForever    = "forever"
)

// UnmarshalText reads days ("400d"), hours ("36h") or "forever".
func (r *retention) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	if word == keepForever {
		*r = 0
		return nil
	}
	kept, err := time.ParseDuration(word)
	if days, ok := strings.CutSuffix(word, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		// Bounded before it is multiplied.
		kept = time.Duration(min(max(n, 0), int(mostRetention/day)+1)) * day
	}
	if err != nil || kept < leastRetention || kept > mostRetention {
		return fmt.Errorf("%q: want 1d to %dd, or %s", word, mostRetention/day, keepForever)
	}
	*r = retention(kept)
	return nil
}

// logStore is the log as the pruner needs it.
type logStore interface {
	PruneChanges(ctx context.Context, before time.Time, limit int) (removed int64, err error)
	HoldDuty(ctx context.Context, name, token string, now, until time.Time) (held bool, err error)
}

const (
	pruneDuty  = "prune the change log"
	pruneEvery = 15 * time.Minute
	// pruneLease outlasts the pruning of one page by far, and ends soon after
	// the death of whoever held it.
	pruneLease = 2 * time.Minute
	// prunePage is how many rows go in one transaction: a few hundredths of a
	// second, in which writers wait for the last statement only.
	prunePage = 2000
)

// pruner removes what the change log keeps no longer. Of the replicas on one
// database one does it at a time. A reader whose cursor lies before what is
// kept is told so: the head remembers what was removed, in the transaction that
// removed it.
type pruner struct {
	store       logStore
	keep        time.Duration // 0 is for ever
	trade, wall clock.Clock
	log         *slog.Logger
	token       string // of this process, among replicas
	removed     prometheus.Counter
}

func newPruner(s logStore, keep retention, trade, wall clock.Clock, log *slog.Logger) *pruner {
	return &pruner{
		store: s, keep: time.Duration(keep), trade: trade, wall: wall, log: log, token: newID(wall.Now()),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: obs.Namespace, Subsystem: "log", Name: "pruned_total", Help: "Rows that retention removed from the change log, by this process.",
		}),
	}
}

// run prunes now and then until ctx is done.
func (p *pruner) run(ctx context.Context) {
	if p.keep == 0 {
		return
	}
	// Not at once: a process that starts has better to do, and one that is
	// restarted again and again should not prune each time.
	for wait := time.Minute; p.wall.Sleep(ctx, wait) == nil; wait = pruneEvery {
		removed, err := p.prune(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			p.log.Warn("the change log was not pruned", "removed", removed, "error", err, "again_in", pruneEvery)
		case removed > 0:
			p.log.Info("change log pruned", "removed", removed, "older_than", p.keep)
		}
	}
}

// prune removes page after page, as long as the duty is this process's. Between
// two pages it leaves the database alone for as long as one took.
func (p *pruner) prune(ctx context.Context) (removed int64, err error) {
	before := p.trade.Now().Add(-p.keep)
	for {
		now := p.wall.Now()
		held, err := p.store.HoldDuty(ctx, pruneDuty, p.token, now, now.Add(pruneLease))
		if err != nil || !held {
			return removed, err
		}
		n, err := p.store.PruneChanges(ctx, before, prunePage)
		removed += n
		p.removed.Add(float64(n))
		if err != nil {
			return removed, err
		}
		if n < prunePage {
			now = p.wall.Now()
			_, err = p.store.HoldDuty(ctx, pruneDuty, p.token, now, now)
			return removed, err
		}
		if err := p.wall.Sleep(ctx, clock.Since(p.wall, now)); err != nil {
			return removed, err
		}
	}
}
