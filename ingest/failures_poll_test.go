package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// TestFailuresOfThePoller is the list of what goes wrong in parcel tracking, as
// far as asking carriers by plan answers for it: a line each, by its number
// there.
func TestFailuresOfThePoller(t *testing.T) {
	for name, line := range map[string]func(t *testing.T, w *world){
		"13_the_plan_and_people_of_two_replicas_make_one_call": failureManyAskers,
		"20_looks_go_on_until_the_end_and_prove_it":            failureFrozen,
		"20_looks_that_are_not_made_are_told":                  failureNobodyLooks,
		"21_how_late_news_came_is_told":                        failureLateNews,
		"22_asking_again_says_what_it_did":                     failureAskedAgain,
		"23_unknown_is_no_error_within_the_carriers_grace":     failureFreshLabel,
		"24_no_scan_breaks_nothing":                            failureEmptyTimeline,
		"25_a_cursor_misses_nothing_under_writes":              failureCursorUnderWrites,
		"26_what_happened_meanwhile_follows_the_cursor":        failureAwayFromTheCursor,
		"35_a_changed_answer_is_an_alarm":                      failureChangedAnswer,
	} {
		t.Run(name, func(t *testing.T) { eachStore(t, line) })
	}
}

// watched is a store that tells how often a replica tried to lease numbers for
// people.
type watched struct {
	ledger
	leases *atomic.Int32
}

func (s watched) Lease(ctx context.Context, keys []parcel.NumberKey, at, until time.Time, token string) ([]parcel.NumberKey, error) {
	defer s.leases.Add(1)
	return s.ledger.Lease(ctx, keys, at, until, token)
}

// settled waits until the poller has made every look that is due.
func (w *world) settled(keys ...parcel.NumberKey) {
	w.t.Helper()
	eventually(w.t, "what is due was asked for", func() bool {
		known, err := w.store.Trackings(w.t.Context(), keys)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, k := range keys {
			tr := known[k]
			if !tr.LeasedUntil.IsZero() || !tr.NextAt.IsZero() && !tr.NextAt.After(w.trade.Now()) {
				return false
			}
		}
		return true
	})
}

// health is a shipment's, from what is stored now.
func (w *world) health(s *parcel.Shipment) parcel.Health {
	w.t.Helper()
	got := w.read(s.ID)
	var keys []parcel.NumberKey
	for _, l := range got.Legs {
		keys = append(keys, parcel.NumberKey{Carrier: l.Carrier, Number: l.Number})
	}
	known, err := w.store.Trackings(w.t.Context(), keys)
	if err != nil {
		w.t.Fatal(err)
	}
	var open []parcel.Tracking
	for _, k := range keys {
		if tr, ok := known[k]; ok {
			open = append(open, tr)
		}
	}
	return got.HealthAt(w.trade.Now(), open, w.ingest.Habits(got))
}

func failureManyAskers(t *testing.T, w *world) {
	const carrier, number = "zed13", "JOIN13"
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	defer open()
	c := knows(w, carrier, scan(carrier, number, parcel.CodePickedUp, day(-1), "CN"))
	told := c.answer
	c.answer = func(ctx context.Context, number string) (parcel.Reading, error) {
		<-release
		return told(ctx, number)
	}
	w.serve(c.account(carrier))
	var leases atomic.Int32
	other := w.launch(ingest.Options{Store: watched{ledger{w.store}, &leases}, Accounts: []ingest.Account{c.account(carrier)}, Trade: w.trade})
	w.send("joined", day(-3), "BR", leg(carrier, number))
	w.poll()
	eventually(t, "the plan has called", func() bool { return c.asked(number) == 1 })

	key := parcel.NumberKey{Carrier: carrier, Number: number}
	var all sync.WaitGroup
	served := make([]parcel.Refreshed, 8)
	for i := range served {
		g := []*ingest.Ingest{w.ingest, other}[i%2]
		all.Go(func() {
			got, err := g.Refresh(context.Background(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key}, MaxAge: time.Hour, Wait: 20 * time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			served[i] = got[0]
		})
	}
	// The other replica finds that the right to ask is taken, and waits.
	eventually(t, "the other replica wants to ask", func() bool { return leases.Load() > 0 })
	open()
	all.Wait()
	if n := c.asked(number); n != 1 {
		t.Errorf("%d calls, want that of the plan alone", n)
	}
	for i, got := range served {
		if got.Served != parcel.ServedJoinedCall && got.Served != parcel.ServedStore || got.Tracking.Finding != parcel.FindingFound {
			t.Errorf("asker %d: %s, %+v", i, got.Served, got.Tracking)
		}
	}
}

// failureFrozen lets two months go by without anybody opening anything: one
// parcel is delivered at once, one after five silent weeks, one never.
func failureFrozen(t *testing.T, w *world) {
	const carrier = "zed20"
	at := func(number string, code parcel.Code, n int) parcel.Observation {
		return scan(carrier, number, code, day(n), "BR")
	}
	const early, late, never = "EARLY20", "LATE20", "NEVER20"
	c := knows(w, carrier,
		at(early, parcel.CodePickedUp, -1), at(early, parcel.CodeDelivered, 2),
		at(late, parcel.CodePickedUp, -1), at(late, parcel.CodeOriginCountryDeparted, 3), at(late, parcel.CodeDelivered, 38),
		at(never, parcel.CodePickedUp, -1))
	w.serve(c.account(carrier))
	var keys []parcel.NumberKey
	shipments := map[string]*parcel.Shipment{}
	for _, n := range []string{early, late, never} {
		shipments[n] = w.send(n, day(-1), "BR", leg(carrier, n))
		keys = append(keys, parcel.NumberKey{Carrier: carrier, Number: n})
	}
	w.poll()
	const step = 12 * time.Hour
	const latest = 24*time.Hour + step // the longest wait, and how coarsely time goes by here
	ended := map[string]int{}
	for range 120 {
		w.settled(keys...)
		at := w.trade.Now()
		for n, s := range shipments {
			tr := w.asking(carrier, n)
			j := w.read(s.ID).Journey
			if j.Outcome == "" && (at.Sub(tr.HeardAt) > latest || tr.HeardBy != parcel.SourcePoll || tr.NextAt.IsZero()) {
				t.Fatalf("%s at %s: last heard at %s by %s, next look %s", n, at, tr.HeardAt, tr.HeardBy, tr.NextAt)
			}
			if n == early && at.After(day(2).Add(latest)) && j.Outcome != parcel.OutcomeDelivered ||
				n == late && at.After(day(38).Add(latest)) && j.Outcome != parcel.OutcomeDelivered {
				t.Fatalf("%s at %s: delivered, and shown as %s", n, at, j.Milestone)
			}
			if j.Outcome != "" && ended[n] == 0 && tr.NextAt.IsZero() {
				ended[n] = c.asked(n)
			}
		}
		w.trade.Advance(step)
	}
	w.settled(keys...)
	for _, n := range []string{early, late} {
		if ended[n] == 0 || c.asked(n) != ended[n] {
			t.Errorf("%s: %d calls when its looks ended, %d now", n, ended[n], c.asked(n))
		}
	}
	if n := c.asked(never); n < 50 {
		t.Errorf("the silent one was asked for %d times in two months", n)
	}
}

// failureNobodyLooks: the poller stands still, which is told from what is
// stored, of the source that it is about.
func failureNobodyLooks(t *testing.T, w *world) {
	const carrier, number = "zed20b", "STILL20"
	c := knows(w, carrier, scan(carrier, number, parcel.CodeOutForDelivery, day(-1), "BR"))
	w.serve(c.account(carrier))
	s := w.send("still", day(-3), "BR", leg(carrier, number))
	if got := w.refresh(carrier, number); got.Served != parcel.ServedOwnCall {
		t.Fatalf("%+v", got)
	}
	if h := w.health(s); h != parcel.HealthLive {
		t.Errorf("just asked: %s", h)
	}
	w.trade.Advance(6 * time.Hour)
	tr := w.asking(carrier, number)
	if h := w.health(s); h != parcel.HealthStale {
		t.Errorf("six hours out for delivery without a look: %s", h)
	}
	j := w.read(s.ID).Journey
	if f := tr.Freshness(w.trade.Now(), j.Milestone, j.Outcome, 0); f != parcel.FreshnessStale || !tr.HeardAt.Equal(now) || !tr.NextAt.Before(w.trade.Now()) {
		t.Errorf("%s, last heard at %s, next look %s", f, tr.HeardAt, tr.NextAt)
	}
	// The poller is back: one look later all is well.
	w.poll()
	w.settled(parcel.NumberKey{Carrier: carrier, Number: number})
	if h := w.health(s); h != parcel.HealthLive {
		t.Errorf("asked again: %s", h)
	}
}

// failureLateNews pushes a scan hours after it was made: each of the three times
// is kept and told.
func failureLateNews(t *testing.T, w *world) {
	const carrier, number = "zed21", "LATE21"
	w.serve((&scripted{}).account(carrier))
	s := w.send("late news", day(-3), "BR", leg(carrier, number))
	made := now.Add(time.Hour)
	w.trade.Advance(6 * time.Hour)
	p := tells(carrier, parcel.Reading{Observations: []parcel.Observation{scan(carrier, number, parcel.CodePickedUp, made, "CN")}})
	p.Source = parcel.SourceWebhook
	w.accept(p)

	e := w.read(s.ID).Journey.Events[0]
	got := e.Witnesses[0]
	if lag := got.ReceivedAt.Sub(e.Occurred.At); lag != 5*time.Hour || got.Source != parcel.SourceWebhook {
		t.Errorf("it came %s late by %s, want 5h by webhook", lag, got.Source)
	}
	rows, err := w.store.Changes(t.Context(), storage.OfMerchant(w.merchant), 0, 100, storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeMilestone}, ShipmentIDs: []string{s.ID}})
	if err != nil {
		t.Fatal(err)
	}
	last := rows[len(rows)-1]
	if last.To != parcel.MilestonePickedUp || !last.Occurred.At.Equal(made) || last.LoggedAt.Before(got.ReceivedAt) || last.LoggedAt.Sub(last.Occurred.At) < 5*time.Hour {
		t.Errorf("told as %s of %s, logged at %s, received at %s", last.To, last.Occurred.At, last.LoggedAt, got.ReceivedAt)
	}
	// How late a carrier's news usually comes stands in its status.
	all, err := w.ingest.Statuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(a parcel.AccountStatus) bool { return a.Carrier == carrier })
	if i < 0 {
		t.Fatalf("no status of %s", carrier)
	}
	if lag, ok := all[i].Lag.Quantile(0.5); !ok || lag < 270*time.Minute || lag > 330*time.Minute {
		t.Errorf("usual lag %s %v, want about 5h", lag, ok)
	}
}

// failureAskedAgain: whatever a person asks again for, the answer is what was
// done, and never a silent nothing.
func failureAskedAgain(t *testing.T, w *world) {
	const carrier = "zed22"
	scans := map[string][]parcel.Observation{}
	var mu sync.Mutex
	c := &scripted{answer: func(ctx context.Context, number string) (parcel.Reading, error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case number == "DENIED22":
			return parcel.Reading{}, parcel.ErrDenied
		case number == "BUSY22":
			return parcel.Reading{}, &parcel.Throttled{RetryAfter: 10 * time.Minute}
		case len(scans[number]) == 0:
			return unknown(ctx, number)
		}
		return parcel.Reading{Observations: scans[number]}, nil
	}}
	w.serve(c.account(carrier))
	force := func(carrier, number string) parcel.Refreshed {
		t.Helper()
		got, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 20 * time.Second, Force: true})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	for _, tt := range []struct {
		name, number string
		// before is known when the person asks; meanwhile is what the carrier
		// has to tell.
		before, meanwhile []parcel.Code
		served            parcel.Served
		finding           parcel.Finding
		trouble           parcel.Trouble
		events            int
	}{
		{"empty for months, while the carrier shows many", "FOUND22", nil, []parcel.Code{parcel.CodePickedUp, parcel.CodeOriginCountryDeparted, parcel.CodeDelivered}, parcel.ServedOwnCall, parcel.FindingFound, "", 3},
		{"delivered, and something came after it", "ENDED22", []parcel.Code{parcel.CodeDelivered}, []parcel.Code{parcel.CodeDelivered, parcel.CodeReturnStarted}, parcel.ServedOwnCall, parcel.FindingFound, "", 2},
		{"nobody knows it still", "NOBODY22", nil, nil, parcel.ServedOwnCall, parcel.FindingUnknown, "", 0},
		{"the carrier refuses", "DENIED22", nil, nil, parcel.ServedOwnCall, "", parcel.TroubleUnauthorised, 0},
		{"the carrier is busy", "BUSY22", nil, nil, parcel.ServedOwnCall, "", parcel.TroubleThrottled, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := w.send(tt.number, day(-120), "BR", leg(carrier, tt.number))
			put := func(codes []parcel.Code) (out []parcel.Observation) {
				for i, code := range codes {
					out = append(out, scan(carrier, tt.number, code, day(-90+i), "BR"))
				}
				return out
			}
			if len(tt.before) > 0 {
				w.hear(carrier, put(tt.before)...)
			}
			mu.Lock()
			scans[tt.number] = put(tt.meanwhile)
			mu.Unlock()
			calls := c.asked(tt.number)
			got := force(carrier, tt.number)
			if got.Served != tt.served || got.Tracking.Finding != tt.finding || got.Tracking.Trouble != tt.trouble || c.asked(tt.number) != calls+1 {
				t.Errorf("%s %q %q after %d calls", got.Served, got.Tracking.Finding, got.Tracking.Trouble, c.asked(tt.number)-calls)
			}
			if tt.trouble != "" && (got.Tracking.RetryAt.IsZero() || got.Tracking.TroubleSince.IsZero()) {
				t.Errorf("no word when to come again: %+v", got.Tracking)
			}
			if n := len(w.read(s.ID).Journey.Events); n != tt.events {
				t.Errorf("%d events, want %d", n, tt.events)
			}
		})
	}
	t.Run("no account asks there", func(t *testing.T) {
		w.send("unserved", day(-120), "BR", leg("nowhere22", "UNSERVED22"))
		if got := force("nowhere22", "UNSERVED22"); got.Served != parcel.ServedNotAllowed || got.Tracking.Trouble != parcel.TroubleNotConfigured {
			t.Errorf("%s %q", got.Served, got.Tracking.Trouble)
		}
	})
}

// failureFreshLabel asks two carriers of different graces for labels made today,
// of which one is in the system a day later.
func failureFreshLabel(t *testing.T, w *world) {
	const quick, slow = "quick23", "slow23"
	q := knows(w, quick, scan(quick, "LABEL23", parcel.CodePickedUp, day(1), "CN"))
	s := knows(w, slow)
	of := func(c *scripted, name string, grace time.Duration) ingest.Account {
		a := c.account(name)
		a.Spec.Grace = grace
		return a
	}
	w.serve(of(q, quick, 48*time.Hour), of(s, slow, 120*time.Hour))
	tomorrow := w.send("tomorrow", now, "BR", leg(quick, "LABEL23"))
	never := w.send("never", now, "BR", leg(quick, "WRONG23"))
	patient := w.send("patient", now, "BR", leg(slow, "WRONG23"))
	keys := []parcel.NumberKey{{Carrier: quick, Number: "LABEL23"}, {Carrier: quick, Number: "WRONG23"}, {Carrier: slow, Number: "WRONG23"}}
	w.poll()
	for _, step := range []struct {
		after                    time.Duration
		tomorrow, never, patient parcel.Health
	}{
		{0, parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan},
		{20 * time.Hour, parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan},
		{44 * time.Hour, parcel.HealthLive, parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan},
		{60 * time.Hour, parcel.HealthLive, parcel.HealthNotFound, parcel.HealthAwaitingFirstScan},
		{100 * time.Hour, parcel.HealthLive, parcel.HealthNotFound, parcel.HealthAwaitingFirstScan},
		{130 * time.Hour, parcel.HealthLive, parcel.HealthNotFound, parcel.HealthNotFound},
	} {
		w.trade.Advance(now.Add(step.after).Sub(w.trade.Now()))
		w.settled(keys...)
		for _, c := range []struct {
			s    *parcel.Shipment
			want parcel.Health
		}{{tomorrow, step.tomorrow}, {never, step.never}, {patient, step.patient}} {
			if got := w.health(c.s); got != c.want {
				t.Errorf("%s after %s: %s, want %s", c.s.Reference, step.after, got, c.want)
			}
		}
		for _, k := range keys {
			if tr := w.asking(k.Carrier, k.Number); tr.Trouble != "" || tr.Failures != 0 || tr.NextAt.IsZero() {
				t.Errorf("%s of %s after %s: %+v", k.Number, k.Carrier, step.after, tr)
			}
		}
	}
	if got := w.asking(quick, "LABEL23"); got.Finding != parcel.FindingFound {
		t.Errorf("%+v", got)
	}
}

// bundled answers for all numbers of a call in one payload.
type bundled struct {
	*scripted
	read func(number string) parcel.Reading
}

func (c bundled) Fetch(_ context.Context, q []carriers.Query) ([]parcel.Payload, error) {
	var r parcel.Reading
	for _, one := range q {
		of := c.read(one.Number)
		r.Observations = append(r.Observations, of.Observations...)
		r.Results = append(r.Results, of.Results...)
	}
	return []parcel.Payload{tells("", r)}, nil
}

// failureEmptyTimeline asks in one call for parcels of which there is no scan,
// each said in another way, beside one that has some.
func failureEmptyTimeline(t *testing.T, w *world) {
	const carrier = "zed24"
	c := bundled{&scripted{}, func(number string) (r parcel.Reading) {
		switch number {
		case "UNKNOWN24":
			r.Results = []parcel.NumberResult{{Number: number, Finding: parcel.FindingUnknown}}
		case "EMPTY24":
			r.Results = []parcel.NumberResult{{Number: number, Finding: parcel.FindingFound}}
		case "SCANNED24":
			r.Observations = []parcel.Observation{scan(carrier, number, parcel.CodePickedUp, day(-1), "CN")}
		}
		return r // of SILENT24 it says nothing at all
	}}
	a := c.account(carrier)
	a.Spec.Batch, a.Carrier = 10, c
	w.serve(a)
	numbers := []string{"UNKNOWN24", "EMPTY24", "SILENT24", "SCANNED24"}
	shipments := map[string]*parcel.Shipment{}
	var keys []parcel.NumberKey
	for _, n := range numbers {
		shipments[n] = w.send(n, day(-2), "BR", leg(carrier, n))
		keys = append(keys, parcel.NumberKey{Carrier: carrier, Number: n})
	}
	w.poll()
	for round := range 3 {
		w.settled(keys...)
		for i, n := range numbers {
			events := 0
			if n == "SCANNED24" {
				events = 1
			}
			got, tr := w.read(shipments[n].ID), w.asking(carrier, n)
			if len(got.Journey.Events) != events || len(got.Journey.Legs) != 1 || len(got.Steps(false)) == 0 {
				t.Errorf("round %d: %s has %d events, %d legs", round, n, len(got.Journey.Events), len(got.Journey.Legs))
			}
			if h := w.health(shipments[n]); round == 0 && h != []parcel.Health{parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan, parcel.HealthAwaitingFirstScan, parcel.HealthLive}[i] {
				t.Errorf("round %d: %s is %s", round, n, h)
			}
			if want := []parcel.Finding{parcel.FindingUnknown, parcel.FindingFound, "", parcel.FindingFound}[i]; tr.Finding != want || (tr.Trouble != "") != (n == "SILENT24") {
				t.Errorf("round %d: %s: finding %q, want %q, trouble %q", round, n, tr.Finding, want, tr.Trouble)
			}
			if tr.NextAt.IsZero() {
				t.Errorf("round %d: %s is not looked for again", round, n)
			}
		}
		w.trade.Advance(25 * time.Hour)
	}
}

// failureCursorUnderWrites reads the log by its cursor while two replicas write
// as fast as they can: no row is missed, none comes twice, none out of order.
func failureCursorUnderWrites(t *testing.T, w *world) {
	const carrier, writersEach, parcels = "zed25", 3, 15
	c := &scripted{}
	w.serve(c.account(carrier))
	other := w.launch(ingest.Options{Store: ledger{w.store}, Accounts: []ingest.Account{c.account(carrier)}, Trade: w.trade, Writers: writers(w.store)})
	var all sync.WaitGroup
	for at, g := range []*ingest.Ingest{w.ingest, other} {
		for lane := range writersEach {
			all.Go(func() {
				for i := range parcels {
					number := fmt.Sprintf("C%d%d%03d25", at, lane, i)
					if _, err := g.Register(t.Context(), w.merchant, []parcel.Registration{enrolment(number, leg(carrier, number))}); err != nil {
						t.Error(err)
						return
					}
					told := tells(carrier, parcel.Reading{Observations: []parcel.Observation{
						scan(carrier, number, parcel.CodePickedUp, day(-5), "CN"), scan(carrier, number, parcel.CodeDelivered, day(-1), "BR")}})
					if _, err := g.Accept(t.Context(), told); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	// The last page is asked for after the last write.
	var seen []int64
	var after int64
	for last := false; ; {
		select {
		case <-ended:
			last = true
		default:
		}
		for {
			page, err := w.store.Changes(t.Context(), storage.OfMerchant(w.merchant), after, 7, storage.ChangeFilter{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range page {
				seen = append(seen, page[i].Position)
				after = page[i].Position
			}
			if len(page) == 0 {
				break
			}
		}
		if last {
			break
		}
	}
	rows, err := w.store.Changes(t.Context(), storage.OfMerchant(w.merchant), 0, 10_000, storage.ChangeFilter{})
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]int64, len(rows))
	for i := range rows {
		whole[i] = rows[i].Position
	}
	if d := cmp.Diff(whole, seen); d != "" {
		t.Errorf("read under writes (-whole +seen):\n%s", d)
	}
	if n := 2 * writersEach * parcels; len(whole) < 3*n { // each registered, picked up, delivered at least
		t.Errorf("%d rows of %d parcels", len(whole), n)
	}
}

// failureAwayFromTheCursor: a reader goes away, the gateway is started anew, the
// poller and a push bring news; who comes back reads exactly that, once.
func failureAwayFromTheCursor(t *testing.T, w *world) {
	const carrier, polled, pushed = "zed26", "POLLED26", "PUSHED26"
	c := knows(w, carrier, scan(carrier, polled, parcel.CodePickedUp, day(-1), "CN"), scan(carrier, polled, parcel.CodeDelivered, day(2), "BR"))
	w.serve(c.account(carrier))
	w.send("polled", day(-2), "BR", leg(carrier, polled))
	w.send("pushed", day(-2), "BR", leg(carrier, pushed))
	w.refresh(carrier, polled)
	w.hear(carrier, scan(carrier, pushed, parcel.CodePickedUp, day(-1), "CN"))
	read := func(after int64) (steps []string, cursor int64) {
		t.Helper()
		rows, err := w.store.Changes(t.Context(), storage.OfMerchant(w.merchant), after, 1000, storage.ChangeFilter{})
		if err != nil {
			t.Fatal(err)
		}
		cursor = after
		for i := range rows {
			steps = append(steps, fmt.Sprintf("%s %s %s", rows[i].Kind, rows[i].To, rows[i].Outcome))
			cursor = rows[i].Position
		}
		return steps, cursor
	}
	before, cursor := read(0)
	if len(before) == 0 {
		t.Fatal("nothing before it went away")
	}
	if err := w.ingest.Close(); err != nil {
		t.Fatal(err)
	}
	w.serve(c.account(carrier))
	w.trade.Advance(3 * 24 * time.Hour)
	w.poll()
	w.settled(parcel.NumberKey{Carrier: carrier, Number: polled})
	first, middle := read(cursor)
	push := tells(carrier, parcel.Reading{Observations: []parcel.Observation{scan(carrier, pushed, parcel.CodeOutForDelivery, day(2), "BR")}})
	push.Source = parcel.SourceWebhook
	w.accept(push, push)
	again, _ := read(cursor)
	rest, end := read(middle)
	want(t, "what happened meanwhile", again, append(slices.Clone(first), rest...)...)
	told := func(steps []string, to parcel.Milestone) (n int) {
		for _, s := range steps {
			if strings.HasPrefix(s, fmt.Sprintf("%s %s ", parcel.ChangeMilestone, to)) {
				n++
			}
		}
		return n
	}
	if told(first, parcel.MilestoneDelivered) != 1 || told(rest, parcel.MilestoneOutForDelivery) != 1 || told(again, parcel.MilestoneDelivered) != 1 {
		t.Errorf("by the poller %q, by the push %q", first, rest)
	}
	if more, _ := read(end); len(more) != 0 {
		t.Errorf("after the end: %q", more)
	}
	if whole, _ := read(0); len(whole) != len(before)+len(again) {
		t.Errorf("%d rows in all, %d before and %d after it went away", len(whole), len(before), len(again))
	}
}

// failureChangedAnswer lets carriers answer otherwise from one day to the next,
// in the words of their own recorded form: nothing that was known is lost, the
// change is told by number, by shipment and by account, and a carrier beside it
// is none the worse.
func failureChangedAnswer(t *testing.T, w *world) {
	numbers := map[string]func(serial int) string{
		"ups": func(serial int) string {
			for digit := 0; ; digit++ {
				n := fmt.Sprintf("1Z999AA101%07d%d", serial, digit)
				if valid, _ := parcel.CheckUPS(n); valid {
					return n
				}
			}
		},
		"correios":   func(serial int) string { return item(70003500 + serial) },
		"upu-postal": func(serial int) string { return item(70003600 + serial) },
	}
	changes := map[string]func(body []byte) []byte{
		"a page for people": func([]byte) []byte { return []byte("<!DOCTYPE html><html><body>We have moved</body></html>") },
		"cut off":           func(b []byte) []byte { return b[:len(b)/2] },
		"other field names": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`":`), []byte(`V2":`)) },
		"nothing":           func([]byte) []byte { return nil },
	}
	serial := 0
	for carrier, form := range numbers {
		for name, change := range changes {
			if carrier == "upu-postal" && name == "nothing" {
				continue // how the network says that it knows no such item
			}
			serial++
			number, beside := form(serial), fmt.Sprint("WELL35", serial)
			t.Run(carrier+"/"+name, func(t *testing.T) {
				w := newWorld(t, w.store)
				w.know(number, carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{{Code: parcel.CodePickedUp, At: now.Add(-30 * time.Hour), Place: parcel.Place{Country: "CN", City: "SHENZHEN"}}}})
				var changed atomic.Bool
				handler := w.fakes[carrier].Handler()
				srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rec := httptest.NewRecorder()
					handler.ServeHTTP(rec, r)
					body := rec.Body.Bytes()
					if changed.Load() && bytes.Contains(body, []byte(number)) { // signing in stays as it was
						body = change(body)
					}
					for k, v := range rec.Header() {
						rw.Header()[k] = v
					}
					rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
					rw.WriteHeader(rec.Code)
					_, _ = rw.Write(body)
				}))
				t.Cleanup(srv.Close)
				a := only(w.accounts, carrier)[0]
				var err error
				if a.Carrier, err = a.Spec.New(carriers.Env{Account: a.Name, BaseURL: srv.URL, Settings: w.settings[carrier], HTTP: srv.Client(), Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)}); err != nil {
					t.Fatal(err)
				}
				well := knows(w, "well35", scan("well35", beside, parcel.CodePickedUp, day(-1), "CN"))
				w.serve(a, well.account("well35"))
				s := w.send("changed", day(-3), "BR", leg(carrier, number))
				w.send("well", day(-3), "BR", leg("well35", beside))
				key := parcel.NumberKey{Carrier: carrier, Number: number}
				if got := w.refresh(carrier, number); got.Tracking.Finding != parcel.FindingFound {
					t.Fatalf("as recorded: %+v", got)
				}
				kept := w.codes(s)
				changed.Store(true)
				w.poll()
				for range 3 {
					w.trade.Advance(25 * time.Hour)
					w.settled(key)
					w.settled(parcel.NumberKey{Carrier: "well35", Number: beside})
				}
				tr := w.asking(carrier, number)
				if tr.Trouble != parcel.TroubleUnreadable && tr.Trouble != parcel.TroubleUnavailable || tr.Failures < 3 || tr.Finding != parcel.FindingFound || !tr.HeardAt.Equal(now) {
					t.Errorf("of the number: %+v", tr)
				}
				if h := w.health(s); h != parcel.HealthSourceDown {
					t.Errorf("of the shipment: %s", h)
				}
				wantCodes(t, "what was known", w.codes(s), kept...)
				all, err := w.ingest.Statuses(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, status := range all {
					state := parcel.StatusOf([]parcel.AccountStatus{status}).State
					switch {
					case status.Carrier == carrier && (state == parcel.DoorUp || status.LastTrouble != tr.Trouble || status.Troubles[tr.Trouble] < 3 || !status.LastSuccess.Before(status.LastFailure)):
						t.Errorf("of the account: %s, %+v", state, status.CarrierBeat)
					case status.Carrier == "well35" && (state != parcel.DoorUp || len(status.Troubles) > 0):
						t.Errorf("of the carrier beside it: %s, %+v", state, status.CarrierBeat)
					}
				}
			})
		}
	}
}
