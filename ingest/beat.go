package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// beatEvery is how often replicas tell each other what they have seen, wall
	// time; one that has nothing new tells so every quietBeats.
	beatEvery  = 5 * time.Second
	quietBeats = 4
	// beatLife is how long the word of a replica counts.
	beatLife = time.Minute
)

// Beat tells the other replicas what this one has seen of its carriers, hears
// from them which carriers asked to be left alone, and learns the lanes' habits,
// until ctx ends. It runs beside [Ingest.Poll], also where nothing is polled.
func (g *Ingest) Beat(ctx context.Context) error {
	trouble := false
	for n := 0; ; n++ {
		err := g.beatOnce(ctx, n%quietBeats == 0)
		if err != nil && ctx.Err() == nil && !trouble {
			g.log.Warn("cannot tell other replicas what was seen of carriers", "error", err)
		}
		trouble = err != nil
		if g.wall.Sleep(ctx, beatEvery) != nil {
			break
		}
	}
	// A replica that goes says its last word, so that what it counted is not
	// lost before its time.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLimit)
	defer cancel()
	return g.beatOnce(last, true)
}

func (g *Ingest) beatOnce(ctx context.Context, all bool) error {
	now, wall := g.trade.Now(), g.wall.Now()
	roster := g.roster.Load()
	var beats []parcel.CarrierBeat
	g.counters.mu.Lock()
	for k, t := range g.counters.by {
		if !all && !t.dirty {
			continue
		}
		t.dirty = false
		b := t.beat(now)
		b.Replica, b.At = g.token, wall
		if l := roster.byName[k]; l != nil && l.account.Gate != nil {
			s := l.account.Gate.standing()
			b.Allowance = s.allowance
			if s.resting.After(wall) {
				b.RestUntil = s.resting
			}
		}
		beats = append(beats, b)
	}
	g.counters.mu.Unlock()
	var err error
	if len(beats) > 0 {
		err = g.store.PutBeats(ctx, beats, wall.Add(-10*beatLife))
	}
	return errors.Join(err, g.hearBars(ctx), g.habits.learn(ctx, g.store, wall))
}

// hearBars closes the gates of carriers that asked another replica to be left
// alone.
func (g *Ingest) hearBars(ctx context.Context) error {
	var err error
	for _, s := range g.budgets(ctx, &err) {
		if s.gate != nil {
			s.gate.hear(s.budget.BarredUntil)
		}
	}
	return err
}

// purse is an account's gate with what was taken of its budget.
type purse struct {
	gate   *Gate
	budget parcel.CallBudget
}

// budgets reads the budgets of the accounts in force: once for each store that
// keeps some, which is one.
func (g *Ingest) budgets(ctx context.Context, failure *error) map[accountKey]purse {
	read := map[BudgetStore]map[parcel.BudgetKey]parcel.CallBudget{}
	out := map[accountKey]purse{}
	for k, l := range g.roster.Load().byName {
		gate := l.account.Gate
		if gate == nil {
			continue
		}
		if read[gate.store] == nil {
			all, err := gate.store.Budgets(ctx)
			if err != nil {
				*failure = errors.Join(*failure, err)
				all = map[parcel.BudgetKey]parcel.CallBudget{}
			}
			read[gate.store] = all
		}
		out[k] = purse{gate, read[gate.store][gate.key]}
	}
	return out
}

// heard counts what a committed batch told about how soon carriers speak.
func (g *Ingest) heard(u *unit) {
	for _, l := range u.lags {
		g.counters.lag(l.carrier, l.account, u.now, l.length)
	}
	g.habits.count(u.gaps)
}

// habits are how long parcels usually go without news, by carrier, lane and
// milestone: measured on this deployment's own parcels, all merchants' together.
// What was counted is written with the beats, so that it costs the write path
// nothing; a crash loses the last seconds of it, which no plan notices.
type habits struct {
	mu    sync.Mutex
	fresh map[parcel.GapKey]parcel.Sketch // counted, not written yet
	known map[parcel.GapKey]*habit
}

// habit is what is known of one key; asked ones without read wait to be read.
type habit struct {
	usual, late time.Duration
	n           int
	read        time.Time
}

const (
	// maxHabits bounds the keys that are remembered; the rest go by the
	// defaults.
	maxHabits = 4096
	// fewestGaps make a habit.
	fewestGaps = 20
	// habitLife is how long what was read holds.
	habitLife = 30 * time.Minute
	// readsABeat bounds how many habits one beat reads.
	readsABeat = 50
)

func (h *habits) count(gaps []gap) {
	if len(gaps) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fresh == nil {
		h.fresh = map[parcel.GapKey]parcel.Sketch{}
	}
	for _, g := range gaps {
		s := h.fresh[g.GapKey]
		if s == nil {
			if len(h.fresh) >= maxHabits {
				continue
			}
			s = parcel.Sketch{}
			h.fresh[g.GapKey] = s
		}
		s.Add(g.length)
	}
}

// keep takes back what could not be written, for the next beat.
func (h *habits) keep(unwritten map[parcel.GapKey]parcel.Sketch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fresh == nil {
		h.fresh = map[parcel.GapKey]parcel.Sketch{}
	}
	for k, s := range unwritten {
		if was := h.fresh[k]; was != nil {
			was.Merge(s)
		} else if len(h.fresh) < maxHabits {
			h.fresh[k] = s
		}
	}
}

// of tells the median and the 95th percentile of the silences under a key; ok is
// false where too few are known, or none have been read yet.
func (h *habits) of(k parcel.GapKey) (usual, late time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known[k]
	if known == nil {
		if h.known == nil {
			h.known = map[parcel.GapKey]*habit{}
		}
		if len(h.known) < maxHabits {
			h.known[k] = &habit{}
		}
		return 0, 0, false
	}
	return known.usual, known.late, known.n >= fewestGaps
}

// learn writes what was counted and reads what is asked for.
func (h *habits) learn(ctx context.Context, store Chronicle, now time.Time) error {
	h.mu.Lock()
	fresh := h.fresh
	h.fresh = nil
	var want []parcel.GapKey
	for k, known := range h.known {
		if now.Sub(known.read) > habitLife && len(want) < readsABeat {
			want = append(want, k)
		}
	}
	h.mu.Unlock()
	if len(fresh) > 0 {
		if err := store.AddGaps(ctx, fresh); err != nil {
			h.keep(fresh)
			return err
		}
	}
	for _, k := range want {
		s, err := store.Gaps(ctx, k)
		if err != nil {
			return err
		}
		found := habit{n: s.N(), read: now}
		found.usual, _ = s.Quantile(0.5)
		found.late, _ = s.Quantile(0.95)
		h.mu.Lock()
		*h.known[k] = found
		h.mu.Unlock()
	}
	return nil
}

// Habits are the usual gaps for a shipment where it stands, as far as they are
// known, and the carriers' graces. It reads memory alone.
func (g *Ingest) Habits(s *parcel.Shipment) parcel.Habits {
	out := parcel.Habits{Grace: g.graceOf}
	last, ok := s.Journey.LatestEvent()
	if !ok {
		return out
	}
	key := parcel.GapKey{Carrier: last.Carrier, Lane: s.Lane(), Milestone: s.Journey.Milestone}
	_, late, ok := g.habits.of(key)
	if !ok {
		return out
	}
	// A habit of hours does not make a parcel quiet within the day.
	late = max(late, 24*time.Hour)
	switch {
	case s.Journey.Milestone.Rank() <= parcel.MilestoneRegistered.Rank():
		out.FirstScan = late
	case s.Journey.Milestone == parcel.MilestoneOriginDeparted, s.Journey.Custody.State == parcel.CustodyBetween:
		out.Border = late
	default:
		out.Gap = late
	}
	return out
}

// Statuses tells what all replicas have seen of each carrier account that this
// one knows, and how its budget stands.
func (g *Ingest) Statuses(ctx context.Context) ([]parcel.AccountStatus, error) {
	wall, now := g.wall.Now(), g.trade.Now()
	var failure error
	purses := g.budgets(ctx, &failure)
	if failure != nil {
		return nil, failure
	}
	beats, err := g.store.Beats(ctx, wall.Add(-beatLife))
	if err != nil {
		return nil, err
	}
	sums := map[accountKey]*parcel.CarrierBeat{}
	count := map[accountKey]int{}
	add := func(b *parcel.CarrierBeat) {
		k := accountKey{b.Carrier, b.Account}
		if sums[k] == nil {
			sums[k] = &parcel.CarrierBeat{Carrier: b.Carrier, Account: b.Account}
		}
		sums[k].Add(b)
		count[k]++
	}
	for i := range beats {
		// This process knows itself better than its last word.
		if beats[i].Replica != g.token {
			add(&beats[i])
		}
	}
	g.counters.mu.Lock()
	for _, t := range g.counters.by {
		b := t.beat(now)
		add(&b)
	}
	g.counters.mu.Unlock()
	var out []parcel.AccountStatus
	for k, l := range g.roster.Load().byName {
		s := parcel.AccountStatus{CarrierBeat: parcel.CarrierBeat{Carrier: k.carrier, Account: k.name}, MerchantID: l.account.MerchantID, Left: -1, Asked: l.fetcher != nil}
		if b := sums[k]; b != nil {
			s.CarrierBeat, s.Replicas = *b, count[k]
		}
		if p, ok := purses[k]; ok && p.gate != nil {
			st := p.gate.standing()
			at := p.gate.wall.Now()
			s.Allowance = st.allowance
			s.Left, s.Renews = p.budget.Standing(at, st.allowance)
			if p.budget.BarredUntil.After(at) {
				s.BarredUntil = p.budget.BarredUntil
			}
			if st.resting.After(at) && st.resting.After(s.RestUntil) {
				s.RestUntil = st.resting
			}
			if !s.RestUntil.After(at) {
				s.RestUntil = time.Time{}
			}
		}
		out = append(out, s)
	}
	parcel.SortAccounts(out)
	return out, nil
}
