package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// scripted is a carrier whose answers a test writes. Its payloads are readings
// as JSON; a body that says boom makes Decode panic.
type scripted struct {
	answer func(ctx context.Context, number string) (parcel.Reading, error)
	redact func(parcel.Payload) parcel.Payload

	mu    sync.Mutex
	calls map[string]int
}

const boom = `"boom"`

func (c *scripted) Fetch(ctx context.Context, q []carriers.Query) ([]parcel.Payload, error) {
	number := q[0].Number
	c.mu.Lock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[number]++
	c.calls[""]++
	c.mu.Unlock()
	if c.answer == nil {
		return nil, parcel.ErrUnavailable
	}
	r, err := c.answer(ctx, number)
	if err != nil {
		return nil, err
	}
	return []parcel.Payload{tells("", r)}, nil
}

func (c *scripted) Decode(p parcel.Payload) (r parcel.Reading, err error) {
	if string(p.Body) == boom {
		panic("no such row in the table")
	}
	err = json.Unmarshal(p.Body, &r)
	return r, err
}

func (c *scripted) Redact(p parcel.Payload) parcel.Payload {
	if c.redact != nil {
		return c.redact(p)
	}
	return p
}

// asked counts the calls about a number; about any for "".
func (c *scripted) asked(number string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[number]
}

// account is the deployment's account of a scripted carrier, one number to a
// call.
func (c *scripted) account(carrier string) ingest.Account {
	return ingest.Account{Name: "main", Carrier: c,
		Spec: carriers.Spec{Name: carrier, Batch: 1, Timeout: 20 * time.Second, Stages: []parcel.Stage{parcel.StageFirstMile}}}
}

// unknown answers that the carrier does not know a number.
func unknown(_ context.Context, number string) (parcel.Reading, error) {
	return parcel.Reading{Results: []parcel.NumberResult{{Number: number, Finding: parcel.FindingUnknown}}}, nil
}

// tells is a payload that says something.
func tells(carrier string, r parcel.Reading) parcel.Payload {
	body, err := json.Marshal(r)
	if err != nil {
		panic(err) // readings are plain data
	}
	return parcel.Payload{Carrier: carrier, Account: "main", Kind: "reading", ContentType: "application/json", Source: parcel.SourcePoll, Body: body}
}

// observed is one scan with a clock.
func observed(carrier, number string, code parcel.Code, at time.Time) parcel.Observation {
	return parcel.Observation{Carrier: carrier, Number: number, OwnCode: string(code), Code: code,
		Occurred: parcel.ReportedMoment(at.Format(time.RFC3339), at), Rule: string(code), RuleVersion: "2026-11-22"}
}

// serve gives the world an ingest with these accounts alone, polling often.
func (w *world) serve(accounts ...ingest.Account) {
	w.ingest = w.launch(ingest.Options{Store: ledger{w.store}, Accounts: accounts, Trade: w.trade})
}

func (w *world) launch(o ingest.Options) *ingest.Ingest {
	o.Bell, o.Wall, o.Log, o.PollEvery = w.bus, clock.Wall(), slog.New(slog.DiscardHandler), 5*time.Millisecond
	g, err := ingest.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = g.Close() })
	return g
}

// enrol registers a shipment from China to Brazil, today.
func (w *world) enrol(reference string, legs ...parcel.DeclaredLeg) *parcel.Shipment {
	w.t.Helper()
	out, err := w.ingest.Register(w.t.Context(), w.merchant, []parcel.Registration{enrolment(reference, legs...)})
	if err != nil {
		w.t.Fatal(err)
	}
	if out[0].Shipment == nil || out[0].Outcome != parcel.WriteCreated {
		w.t.Fatalf("%s %v", out[0].Outcome, out[0].Problems)
	}
	return out[0].Shipment
}

func enrolment(reference string, legs ...parcel.DeclaredLeg) parcel.Registration {
	return parcel.Registration{Facts: parcel.Facts{Reference: reference, Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR"}, Legs: legs}}
}

// hear takes in one payload of a carrier.
func (w *world) hear(carrier string, o ...parcel.Observation) {
	w.t.Helper()
	w.accept(tells(carrier, parcel.Reading{Observations: o}))
}

// asking is what is known about asking for a number.
func (w *world) asking(carrier, number string) parcel.Tracking {
	w.t.Helper()
	k := parcel.NumberKey{Carrier: carrier, Number: number}
	m, err := w.store.Trackings(w.t.Context(), []parcel.NumberKey{k})
	if err != nil {
		w.t.Fatal(err)
	}
	return m[k]
}

// due lists the numbers of a carrier that a poller would ask for now, and moves
// the clock past its own lease.
func (w *world) due(carrier string) []string {
	w.t.Helper()
	at := w.trade.Now()
	defer w.trade.Advance(time.Microsecond)
	got, _, err := w.store.LeaseDue(w.t.Context(), parcel.Due{Carrier: carrier, Now: at, Until: at.Add(time.Microsecond), Token: "nobody", Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, t := range got {
		out = append(out, t.Number)
	}
	slices.Sort(out)
	return out
}

// refresh asks for one number and waits for the answer.
func (w *world) refresh(carrier, number string) parcel.Refreshed {
	w.t.Helper()
	got, err := w.ingest.Refresh(w.t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 20 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return got[0]
}

// poll runs the poller until the test ends.
func (w *world) poll() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = w.ingest.Poll(ctx) })
	w.t.Cleanup(func() { cancel(); done.Wait() })
}

// codes are the codes of a shipment's events that count.
func (w *world) codes(s *parcel.Shipment) []parcel.Code {
	w.t.Helper()
	var out []parcel.Code
	got := w.read(s.ID)
	for i := range got.Journey.Events {
		if e := &got.Journey.Events[i]; e.Retracted == nil {
			out = append(out, e.Code)
		}
	}
	return out
}

func wantCodes(t *testing.T, what string, got []parcel.Code, want ...parcel.Code) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func wantDue(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("due %s (-want +got):\n%s", what, d)
	}
}

// one gives a test the one database that needs no server, where storage does
// not matter.
func one(t *testing.T) *world { return newWorld(t, storagetest.SQLite(t).Store) }

func TestOneHangingCarrierDoesNotStopTheOthers(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		hanging := &scripted{answer: func(ctx context.Context, _ string) (parcel.Reading, error) {
			<-ctx.Done()
			return parcel.Reading{}, ctx.Err()
		}}
		prompt := &scripted{answer: unknown}
		w.serve(hanging.account("hanging"), prompt.account("prompt"))
		for i := range 40 {
			w.enrol(fmt.Sprint("h", i), leg("hanging", fmt.Sprint("HHHH", i)))
		}
		w.enrol("p", leg("prompt", "PPPP1"))
		w.poll()
		until(t, "the carrier hangs", func() bool { return hanging.asked("") > 0 })
		for round := 1; round <= 4; round++ {
			until(t, fmt.Sprintf("the other one is asked for the %d. time", round), func() bool {
				return prompt.asked("PPPP1") >= round && w.asking("prompt", "PPPP1").NextAt.After(w.trade.Now())
			})
			w.trade.Advance(2 * time.Hour)
		}
	})
}

func TestPollerLeavesTheLeaseToItsOwnFlight(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		c := &scripted{}
		c.answer = func(ctx context.Context, number string) (parcel.Reading, error) {
			if number != "WAITS1" {
				select {
				case <-release:
				case <-ctx.Done():
				}
			}
			return unknown(ctx, number)
		}
		w.serve(c.account("zed"))
		key := func(n string) parcel.NumberKey { return parcel.NumberKey{Carrier: "zed", Number: n} }
		for i := range 4 { // as many as one account may ask at once
			n := fmt.Sprint("BUSY", i)
			w.enrol(n, leg("zed", n))
			if _, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key(n)}}); err != nil {
				t.Fatal(err)
			}
			until(t, "the call is under way", func() bool { return c.asked(n) == 1 })
		}
		w.enrol("waits", leg("zed", "WAITS1"))
		if _, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key("WAITS1")}}); err != nil {
			t.Fatal(err)
		}
		w.poll()
		until(t, "the poller has leased the number whose flight waits", func() bool { return w.asking("zed", "WAITS1").LeasedUntil.After(now) })
		close(release)
		got := w.refresh("zed", "WAITS1")
		if got.Served != parcel.ServedJoinedCall && got.Served != parcel.ServedOwnCall || got.Tracking.HeardAt.IsZero() {
			t.Errorf("served %s, heard %s", got.Served, got.Tracking.HeardAt)
		}
		until(t, "the lease is given back", func() bool { return !w.asking("zed", "WAITS1").LeasedUntil.After(now) })
	})
}

func TestDeniedNumbersAreAskedForEverLessOften(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		c := &scripted{answer: func(_ context.Context, n string) (parcel.Reading, error) {
			return parcel.Reading{Results: []parcel.NumberResult{{Number: n, Finding: parcel.FindingDenied}}}, nil
		}}
		w.serve(c.account("zed"))
		w.enrol("r", leg("zed", "ZZZZ1"))
		w.poll()
		for failures, wait := 1, 2*time.Minute; failures <= 4; failures, wait = failures+1, 2*wait {
			until(t, "the refusal is noted", func() bool { return w.asking("zed", "ZZZZ1").Failures == failures })
			tr, at := w.asking("zed", "ZZZZ1"), w.trade.Now()
			if tr.Trouble != parcel.TroubleUnauthorised || !tr.NextAt.Equal(at.Add(wait)) || !tr.RetryAt.Equal(tr.NextAt) || !tr.TroubleSince.Equal(now) {
				t.Fatalf("after %d refusals at %s: %+v", failures, at, tr)
			}
			if n := c.asked("ZZZZ1"); n != failures {
				t.Fatalf("asked %d times for %d refusals", n, failures)
			}
			w.trade.Advance(wait)
		}
	})
}

// TestRefusalOutlastsNewsOfTheSameShipment: news of one number, in the same
// breath, does not make the carrier that refuses another be asked sooner.
func TestRefusalOutlastsNewsOfTheSameShipment(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("zed"))
		s := w.enrol("r", leg("zed", "DENIED1"), leg("zed", "OTHER1"))
		w.hear("zed", observed("zed", "DENIED1", parcel.CodePickedUp, now.Add(-2*time.Hour)))
		const refusals = 8
		for i := 1; i <= refusals; i++ {
			r := parcel.Reading{Results: []parcel.NumberResult{{Number: "DENIED1", Finding: parcel.FindingDenied, Detail: fmt.Sprint(i)}}}
			if i == refusals {
				r.Observations = []parcel.Observation{observed("zed", "OTHER1", parcel.CodeOutForDelivery, now.Add(-time.Hour))}
			}
			w.accept(tells("zed", r))
		}
		wantCodes(t, "events", w.codes(s), parcel.CodePickedUp, parcel.CodeOutForDelivery)
		tr := w.asking("zed", "DENIED1")
		// The other number has taken the parcel on, which only makes it later.
		if want := now.Add(time.Minute << refusals); tr.Failures != refusals || !tr.RetryAt.Equal(want) || tr.NextAt.Before(want) {
			t.Errorf("asked again at %s, want %s at the soonest: %+v", tr.NextAt, want, tr)
		}
		if next := w.asking("zed", "OTHER1").NextAt; !next.Equal(now.Add(15 * time.Minute)) {
			t.Errorf("the other number is asked for at %s", next)
		}
	})
}

// TestRetryAfterIsWallTime: a carrier's wait is real seconds, however fast the
// trade clock runs.
func TestRetryAfterIsWallTime(t *testing.T) {
	w := one(t)
	const speed = 3600
	answers := map[string]func() (parcel.Reading, error){
		"FULL1": func() (parcel.Reading, error) {
			return parcel.Reading{}, &parcel.Throttled{RetryAfter: 90 * time.Second}
		},
		"TICKET1": func() (parcel.Reading, error) { return parcel.Reading{RetryAfter: 90 * time.Second}, nil },
	}
	c := &scripted{answer: func(_ context.Context, n string) (parcel.Reading, error) { return answers[n]() }}
	began := clock.Accelerated(now, time.Time{}, speed)
	w.ingest = w.launch(ingest.Options{Store: ledger{w.store}, Accounts: []ingest.Account{c.account("zed")}, Trade: began})
	w.enrol("r", leg("zed", "FULL1"), leg("zed", "TICKET1"))
	tr := w.refresh("zed", "FULL1").Tracking
	if got := tr.RetryAt.Sub(tr.TroubleSince); got != 90*time.Second*speed {
		t.Errorf("throttled for 90 s: asked again after %s of trade time, want %s", got, 90*time.Second*speed)
	}
	asked := began.Now()
	if got := w.refresh("zed", "TICKET1").Tracking.NextAt.Sub(asked); got < 90*time.Second*speed {
		t.Errorf("a ticket of 90 s: asked again after %s of trade time", got)
	}
}

func TestPanickingAdapterHarmsOnlyItsNumbers(t *testing.T) {
	w := one(t)
	wild := &scripted{answer: func(context.Context, string) (parcel.Reading, error) { panic("adapter bug") }}
	leaky := &scripted{answer: unknown, redact: func(parcel.Payload) parcel.Payload { panic("adapter bug") }}
	calm := &scripted{answer: unknown}
	w.serve(wild.account("wild"), leaky.account("leaky"), calm.account("calm"))
	s := w.enrol("r", leg("wild", "WILD1"), leg("leaky", "LEAK1"), leg("calm", "CALM1"))
	w.poll()
	until(t, "all are asked for", func() bool {
		return w.asking("wild", "WILD1").Failures > 0 && w.asking("leaky", "LEAK1").Failures > 0 && !w.asking("calm", "CALM1").HeardAt.IsZero()
	})
	for _, k := range []parcel.NumberKey{{Carrier: "wild", Number: "WILD1"}, {Carrier: "leaky", Number: "LEAK1"}} {
		if tr := w.asking(k.Carrier, k.Number); tr.Trouble != parcel.TroubleUnreadable || !tr.RetryAt.After(now) {
			t.Errorf("%s: %+v", k.Carrier, tr)
		}
	}
	// In Decode: the bytes are kept, and what came beside them is read.
	bad := tells("calm", parcel.Reading{})
	bad.Body = []byte(boom)
	got := w.accept(bad, tells("calm", parcel.Reading{Observations: []parcel.Observation{observed("calm", "CALM1", parcel.CodePickedUp, now.Add(-time.Hour))}}))
	if !errors.Is(got[0].Problem, parcel.ErrMalformed) || got[0].PayloadID == "" || !got[0].Fresh {
		t.Errorf("receipt of what cannot be read: %+v", got[0])
	}
	if got[1].Problem != nil || got[1].Events != 1 {
		t.Errorf("receipt beside it: %+v", got[1])
	}
	wantCodes(t, "events", w.codes(s), parcel.CodePickedUp)
}

func TestReusedNumberStaysOutOfTheOldShipment(t *testing.T) {
	const years = 700 * 24 * time.Hour
	later := now.Add(years)
	eachStore(t, func(t *testing.T, w *world) {
		for i, declared := range []bool{true, false} {
			t.Run(map[bool]string{true: "registered by another merchant", false: "named by an event"}[declared], func(t *testing.T) {
				a, b := newWorld(t, w.store), newWorld(t, w.store)
				a.serve((&scripted{}).account("zed"))
				b.ingest, b.trade = a.ingest, a.trade
				number := fmt.Sprint("AAAA", i)
				old := a.enrol("old", leg("zed", number))
				a.hear("zed", observed("zed", number, parcel.CodeDelivered, now))
				a.trade.Advance(years)
				var fresh *parcel.Shipment
				if declared {
					fresh = b.enrol("new", leg("zed", number))
				} else {
					fresh = b.enrol("new", leg("zed", "FIRST"+number))
					o := observed("zed", "FIRST"+number, parcel.CodeImportCustomsReleased, later)
					o.NextCarrier, o.NextNumber = "zed", number
					b.hear("zed", o)
				}
				a.trade.Advance(48 * time.Hour)
				secret := observed("zed", number, parcel.CodeOutForDelivery, later.Add(time.Hour))
				secret.Place = parcel.Place{City: "another buyer's town", Country: "BR"}
				b.hear("zed", secret, observed("zed", number, parcel.CodeLost, later.Add(2*time.Hour)))
				wantCodes(t, "the old parcel", a.codes(old), parcel.CodeDelivered)
				if got := a.read(old.ID).Journey.Outcome; got != parcel.OutcomeDelivered {
					t.Errorf("the old parcel is now %q", got)
				}
				if got := b.read(fresh.ID).Journey.Outcome; got != parcel.OutcomeLost {
					t.Errorf("the new parcel's outcome is %q", got)
				}
			})
		}
		t.Run("nobody has registered the new parcel", func(t *testing.T) {
			a := newWorld(t, w.store)
			a.serve((&scripted{}).account("zed"))
			old := a.enrol("old", leg("zed", "AAAA7"))
			a.hear("zed", observed("zed", "AAAA7", parcel.CodeDelivered, now))
			a.trade.Advance(years)
			a.hear("zed", observed("zed", "AAAA7", parcel.CodeLost, later))
			wantCodes(t, "the old parcel", a.codes(old), parcel.CodeDelivered)
		})
	})
}

func TestMerchantsAccountBringsNewsToThatMerchantAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		b, c := newWorld(t, w.store), newWorld(t, w.store)
		own, shared := &scripted{answer: unknown}, &scripted{answer: unknown}
		account := own.account("zed")
		account.Name, account.MerchantID = "a-own", w.merchant
		w.serve(account, shared.account("zed"))
		b.ingest, c.ingest = w.ingest, w.ingest

		alone := w.enrol("alone", leg("zed", "ALONE1"))
		of := w.enrol("a", leg("zed", "BOTH1"))
		both := b.enrol("b", leg("zed", "BOTH1"))
		for _, n := range []string{"ALONE1", "BOTH1"} {
			w.refresh("zed", n)
		}
		got := map[string]int{"own alone": own.asked("ALONE1"), "own both": own.asked("BOTH1"), "shared alone": shared.asked("ALONE1"), "shared both": shared.asked("BOTH1")}
		if d := cmp.Diff(map[string]int{"own alone": 1, "own both": 0, "shared alone": 0, "shared both": 1}, got); d != "" {
			t.Errorf("asked through (-want +got):\n%s", d)
		}
		p := tells("zed", parcel.Reading{Observations: []parcel.Observation{observed("zed", "ALONE1", parcel.CodeDelivered, now), observed("zed", "BOTH1", parcel.CodeDelivered, now)}})
		p.Account = "a-own"
		w.accept(p)
		// Who registers later does not read it in what was kept, either.
		late := c.enrol("c", leg("zed", "BOTH1"))
		wantCodes(t, "the owner, number of its own", w.codes(alone), parcel.CodeDelivered)
		wantCodes(t, "the owner, shared number", w.codes(of), parcel.CodeDelivered)
		wantCodes(t, "another merchant", b.codes(both))
		wantCodes(t, "another merchant, later", c.codes(late))
		// The deployment's account speaks to all.
		w.hear("zed", observed("zed", "BOTH1", parcel.CodePickedUp, now.Add(-time.Hour)))
		wantCodes(t, "another merchant, through the deployment's account", b.codes(both), parcel.CodePickedUp)
	})
}

func TestEventKeepsItsIDWhenABetterOffsetIsTold(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("zed"))
		s := w.enrol("r", leg("zed", "ZZZZ1"))
		face := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
		o := observed("zed", "ZZZZ1", parcel.CodePickedUp, now)
		o.Occurred = parcel.LocalMoment("", face, nil, parcel.CertaintyUnknown)
		w.hear("zed", o)
		first := w.read(s.ID).Journey.Events[0].ID
		o.Occurred = parcel.ReportedMoment("2026-11-20T09:00:00+08:00", time.Date(2026, 11, 20, 9, 0, 0, 0, time.FixedZone("", 8*3600)))
		w.hear("zed", o)
		events := w.read(s.ID).Journey.Events
		if len(events) != 1 || events[0].ID != first || !events[0].Occurred.HasOffset {
			t.Fatalf("%d events, id %s, want %s: %+v", len(events), events[0].ID, first, events[0].Occurred)
		}
		out, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: first, Kind: parcel.RetractionDidNotOccur})
		if err != nil || out.Outcome != parcel.WriteUpdated {
			t.Errorf("withdrawn by the id that was handed out first: %+v %v", out, err)
		}
	})
}

func TestReplacementMayDifferOnlyInPlace(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("zed"))
		s := w.enrol("r", leg("zed", "AAAA1"))
		o := parcel.Observation{Code: parcel.CodePickedUp, Occurred: parcel.ReportedMoment("", now.Add(-time.Hour)), Place: parcel.Place{Country: "CN", City: "Wrong"}}
		said, err := w.ingest.Report(t.Context(), w.merchant, []parcel.Report{{ShipmentID: s.ID, Key: parcel.NumberKey{Carrier: "zed", Number: "AAAA1"}, Observation: o}})
		if err != nil {
			t.Fatal(err)
		}
		id := said[0].EventID
		for _, city := range []string{"Better", "Right"} { // and again
			o.Place.City = city
			out, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: id, Kind: parcel.RetractionIncorrect, ReplaceWith: &parcel.Report{Observation: o}})
			if err != nil || out.Outcome != parcel.WriteUpdated {
				t.Fatalf("%+v %v", out, err)
			}
			j := w.read(s.ID).Journey
			var stands []parcel.TimelineEvent
			for _, e := range j.Events {
				if e.Retracted == nil {
					stands = append(stands, e)
				}
			}
			if len(stands) != 1 || stands[0].Place.City != city || stands[0].ID == id || j.Milestone != parcel.MilestonePickedUp {
				t.Fatalf("%s, standing: %+v", j.Milestone, stands)
			}
			if e := stands[0]; e.OwnCode != string(parcel.CodePickedUp) || e.Carrier != "zed" || e.Number != "AAAA1" {
				t.Errorf("the replacement is told as %q of %s %s", e.OwnCode, e.Carrier, e.Number)
			}
			for _, e := range j.Events {
				if e.ID == id && (e.Retracted == nil || e.Retracted.ReplacedBy != stands[0].EventKey) {
					t.Errorf("the withdrawn one: %+v", e.Retracted)
				}
			}
			id = stands[0].ID
		}
	})
}

func TestNumberMayBeChangedBack(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{answer: unknown}).account("zed"))
		s := w.enrol("r", leg("zed", "AAAA1"))
		w.hear("zed", observed("zed", "AAAA1", parcel.CodePickedUp, now.Add(-time.Hour)))
		change := func(key, number string) string {
			t.Helper()
			out, key, err := w.ingest.ChangeNumber(t.Context(), w.merchant, parcel.NumberChange{ShipmentID: s.ID, LegKey: key, Carrier: "zed", Number: number})
			if err != nil || out.Outcome != parcel.WriteUpdated || key == "" {
				t.Fatalf("%+v %q %v", out, key, err)
			}
			return key
		}
		key := change(w.read(s.ID).Journey.Legs[0].Key, "BBBB2")
		w.trade.Advance(48 * time.Hour)
		wantDue(t, "after the change", w.due("zed"), "BBBB2")
		w.hear("zed", observed("zed", "AAAA1", parcel.CodeLost, w.trade.Now().Add(-time.Hour)))
		wantCodes(t, "the old number is no longer its own", w.codes(s), parcel.CodePickedUp)
		wantDue(t, "after news of the old number", w.due("zed"), "BBBB2")

		change(key, "AAAA1")
		w.trade.Advance(48 * time.Hour)
		wantDue(t, "after the change back", w.due("zed"), "AAAA1")
		w.hear("zed", observed("zed", "AAAA1", parcel.CodeOriginCountryDeparted, w.trade.Now().Add(-time.Hour)))
		j := w.read(s.ID).Journey
		if j.Milestone != parcel.MilestoneOriginDeparted {
			t.Errorf("the number's news does not arrive after the change back: %s", j.Milestone)
		}
	})
}

// TestNumbersNobodyHoldsAreNotAskedFor: not even because a call about them
// failed.
func TestNumbersNobodyHoldsAreNotAskedFor(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		t.Run("a number changed while it is asked for", func(t *testing.T) {
			w := newWorld(t, w.store)
			release := make(chan struct{})
			c := &scripted{answer: func(ctx context.Context, _ string) (parcel.Reading, error) {
				select {
				case <-release:
				case <-ctx.Done():
				}
				return parcel.Reading{}, parcel.ErrUnavailable
			}}
			w.serve(c.account("change"))
			s := w.enrol("r", leg("change", "AAAA1"))
			if _, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: "change", Number: "AAAA1"}}}); err != nil {
				t.Fatal(err)
			}
			until(t, "the call is under way", func() bool { return c.asked("AAAA1") == 1 })
			if _, _, err := w.ingest.ChangeNumber(t.Context(), w.merchant, parcel.NumberChange{ShipmentID: s.ID, LegKey: w.read(s.ID).Journey.Legs[0].Key, Carrier: "change", Number: "BBBB2"}); err != nil {
				t.Fatal(err)
			}
			close(release)
			until(t, "the call has failed", func() bool { return w.asking("change", "AAAA1").Failures == 1 })
			w.trade.Advance(72 * time.Hour)
			wantDue(t, "after the change", w.due("change"), "BBBB2")
		})
		t.Run("a file that is all there is", func(t *testing.T) {
			w := newWorld(t, w.store)
			c := &scripted{}
			w.serve(c.account("final"))
			named := observed("final", "ZZZZ1", parcel.CodeImportCustomsReleased, now.AddDate(0, 0, -9))
			named.NextCarrier, named.NextNumber = "final", "NEXT1"
			out, err := w.ingest.RegisterWithHistory(t.Context(), w.merchant, []ingest.History{{Final: true, Registration: enrolment("r", leg("final", "ZZZZ1")),
				Events: []parcel.Observation{named}}})
			if err != nil || out[0].Outcome != parcel.WriteCreated {
				t.Fatalf("%+v %v", out, err)
			}
			wantDue(t, "after the import", w.due("final"))
			if n := len(w.read(out[0].Shipment.ID).Journey.Legs); n != 2 {
				t.Errorf("%d legs, want that of the file and the one it names", n)
			}
			// Somebody asks once; that the carrier is down is no reason to go on.
			if tr := w.refresh("final", "ZZZZ1").Tracking; tr.Failures != 1 {
				t.Fatalf("%+v", tr)
			}
			w.trade.Advance(72 * time.Hour)
			wantDue(t, "after a look that failed", w.due("final"))
			// Another shipment that is alive wakes it.
			w.enrol("alive", leg("final", "ZZZZ1"))
			wantDue(t, "after another registration", w.due("final"), "ZZZZ1")
		})
	})
}

func TestReturnsAndLossesGoOnBeingAskedFor(t *testing.T) {
	cases := []struct {
		name        string
		before, now parcel.Code
		news        parcel.Code
		outcome     parcel.Outcome
		ended       bool
	}{
		{"on its way back after delivery", parcel.CodeDelivered, parcel.CodeReturnStarted, parcel.CodeReturned, parcel.OutcomeDelivered, true},
		{"lost, and found", parcel.CodePickedUp, parcel.CodeLost, parcel.CodeDeliveryOfficeArrived, "", false},
	}
	eachStore(t, func(t *testing.T, w *world) {
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t, w.store)
				carrier := fmt.Sprint("zed", i)
				w.serve((&scripted{}).account(carrier))
				s := w.enrol("r", leg(carrier, "AAAA1"))
				w.hear(carrier, observed(carrier, "AAAA1", c.before, now.AddDate(0, 0, -9)), observed(carrier, "AAAA1", c.now, now.AddDate(0, 0, -4)))
				// Months later there is still someone who asks, and who is told.
				for range 2 {
					w.trade.Advance(75 * 24 * time.Hour)
					wantDue(t, "after months", w.due(carrier), "AAAA1")
					w.accept(tells(carrier, parcel.Reading{Results: []parcel.NumberResult{{Number: "AAAA1", Finding: parcel.FindingUnknown, Detail: w.trade.Now().String()}}}))
				}
				w.hear(carrier, observed(carrier, "AAAA1", c.news, w.trade.Now().Add(-time.Hour)))
				j := w.read(s.ID).Journey
				if last, _ := j.LatestEvent(); last.Code != c.news || j.Outcome != c.outcome {
					t.Errorf("last %s, outcome %q", last.Code, j.Outcome)
				}
				w.trade.Advance(75 * 24 * time.Hour)
				w.accept(tells(carrier, parcel.Reading{Results: []parcel.NumberResult{{Number: "AAAA1", Finding: parcel.FindingUnknown}}}))
				w.trade.Advance(75 * 24 * time.Hour)
				if c.ended {
					wantDue(t, "after the end", w.due(carrier))
				} else {
					wantDue(t, "while open", w.due(carrier), "AAAA1")
				}
			})
		}
	})
}

// pausing is a store in which something happens between the first look at
// numbers and what follows from it.
type pausing struct {
	ledger
	once *atomic.Bool
	then func()
}

func (s pausing) Trackings(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]parcel.Tracking, error) {
	m, err := s.ledger.Trackings(ctx, keys)
	if s.once.CompareAndSwap(false, true) {
		s.then()
	}
	return m, err
}

func TestLandingBetweenLookAndBoardSavesTheCall(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		c := &scripted{answer: unknown}
		p := pausing{ledger: ledger{w.store}, once: &atomic.Bool{}, then: func() {
			w.trade.Advance(time.Second)
			if got := w.refresh("zed", "ZZZZ1"); got.Served != parcel.ServedOwnCall {
				t.Errorf("the one between was served by %s", got.Served)
			}
			w.trade.Advance(time.Second)
		}}
		w.ingest = w.launch(ingest.Options{Store: p, Accounts: []ingest.Account{c.account("zed")}, Trade: w.trade})
		w.enrol("r", leg("zed", "ZZZZ1"))
		got := w.refresh("zed", "ZZZZ1")
		if got.Served != parcel.ServedStore || got.Tracking.Finding != parcel.FindingUnknown || got.Tracking.HeardAt.IsZero() {
			t.Errorf("served %s: %+v", got.Served, got.Tracking)
		}
		if n := c.asked("ZZZZ1"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		if tr := w.asking("zed", "ZZZZ1"); tr.LeasedUntil.After(w.trade.Now()) {
			t.Errorf("the lease stays until %s", tr.LeasedUntil)
		}
	})
}

func TestCloseAnswersOrRefusesEveryone(t *testing.T) {
	w := one(t)
	for round := range 6 {
		hanging := &scripted{answer: func(ctx context.Context, _ string) (parcel.Reading, error) {
			<-ctx.Done()
			return parcel.Reading{}, ctx.Err()
		}}
		w.serve(hanging.account("zed"))
		w.enrol(fmt.Sprint("first", round), leg("zed", fmt.Sprint("FIRST", round)))
		g := w.ingest
		var wait sync.WaitGroup
		var out atomic.Int64
		ask := func(what string, f func(i int) error) {
			for i := range 12 {
				out.Add(1)
				wait.Go(func() {
					defer out.Add(-1)
					if err := f(i); err != nil && !errors.Is(err, parcel.ErrUnavailable) {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
		}
		ctx := context.Background()
		ask("register", func(i int) error {
			_, err := g.Register(ctx, w.merchant, []parcel.Registration{enrolment(fmt.Sprint(round, " ", i))})
			return err
		})
		ask("accept", func(i int) error {
			_, err := g.Accept(ctx, tells("zed", parcel.Reading{Observations: []parcel.Observation{observed("zed", fmt.Sprint("ZZZZ", i), parcel.CodePickedUp, now)}}))
			return err
		})
		ask("refresh", func(i int) error {
			_, err := g.Refresh(ctx, parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: "zed", Number: fmt.Sprint("FIRST", round)}}, Wait: time.Minute})
			return err
		})
		for range 2 {
			out.Add(1)
			wait.Go(func() {
				defer out.Add(-1)
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		until(t, "everyone has an answer", func() bool { return out.Load() == 0 })
		wait.Wait()
		if err := g.Close(); err != nil {
			t.Errorf("closed once more: %v", err)
		}
		if _, err := g.Register(ctx, w.merchant, []parcel.Registration{enrolment("late")}); !errors.Is(err, parcel.ErrUnavailable) {
			t.Errorf("a registration after the end: %v", err)
		}
		got, err := g.Refresh(ctx, parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: "zed", Number: "FIRST0"}}, Force: true, Wait: time.Minute})
		if err != nil || got[0].Served != parcel.ServedNotAllowed {
			t.Errorf("a refresh after the end: %+v %v", got, err)
		}
	}
}

func TestNewestKeptPayloadsAreRead(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("zed"))
		const n = 70 // more than are read again
		w.trade.Advance(n * time.Minute)
		payloads := make([]parcel.Payload, n)
		for i := range payloads {
			code := parcel.CodeInTransit
			if i == n-1 {
				code = parcel.CodeDelivered
			}
			at := now.Add(time.Duration(i) * time.Minute)
			payloads[i] = tells("zed", parcel.Reading{Observations: []parcel.Observation{observed("zed", "ZZZZ1", code, at)}})
			payloads[i].ReceivedAt = at
		}
		w.accept(payloads...)
		s := w.enrol("r", leg("zed", "ZZZZ1"))
		got := w.codes(s)
		if len(got) < 32 || got[len(got)-1] != parcel.CodeDelivered {
			t.Errorf("%d of %d events, the newest missing", len(got), n)
		}
	})
}

func TestRepeatedRecipientWarns(t *testing.T) {
	w := one(t)
	w.serve((&scripted{}).account("zed"))
	r := enrolment("r")
	r.Recipient = parcel.Recipient{Name: "Ana"}
	for i, want := range []parcel.WriteOutcome{parcel.WriteCreated, parcel.WriteUnchanged} {
		out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{r})
		if err != nil || out[0].Outcome != want {
			t.Fatalf("%+v %v", out, err)
		}
		if p := out[0].Problems; len(p) != i || i > 0 && (!p[0].Warning || strings.Join(p[0].Path, ".") != "recipient") {
			t.Errorf("registration %d warns %v", i, p)
		}
		r.Recipient.Name = "Beatriz"
	}
	// Without one there is nothing to warn of; another locale contradicts.
	out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{enrolment("r")})
	if err != nil || out[0].Outcome != parcel.WriteUnchanged || len(out[0].Problems) != 0 {
		t.Errorf("%+v %v", out, err)
	}
	r = enrolment("r")
	r.Facts.Locale = "pt"
	if out, err = w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{r}); err != nil || out[0].Outcome != parcel.WriteRefused {
		t.Errorf("%+v %v", out, err)
	}
}

// TestWithdrawnNamingLetsTheStrangerGo: an event named a wrong number; when it
// is withdrawn, whatever the stranger's parcel told goes with it.
func TestWithdrawnNamingLetsTheStrangerGo(t *testing.T) {
	naming := func(next string, at time.Time) parcel.Observation {
		o := observed("zed", "AAAA1", parcel.CodeImportCustomsReleased, at)
		o.NextCarrier, o.NextNumber = "zed", next
		return o
	}
	begin := func(t *testing.T, w *world, suffix string) (*world, *parcel.Shipment, parcel.Observation, string) {
		w = newWorld(t, w.store)
		w.serve((&scripted{}).account("zed"))
		number := "AAAA" + suffix
		s := w.enrol("r", leg("zed", number))
		o := naming("WRONG"+suffix, now.Add(-9*time.Hour))
		o.Number = number
		w.hear("zed", o)
		w.hear("zed", observed("zed", "WRONG"+suffix, parcel.CodeOutForDelivery, now.Add(-3*time.Hour)))
		wantCodes(t, "before", w.codes(s), parcel.CodeImportCustomsReleased, parcel.CodeOutForDelivery)
		return w, s, o, w.read(s.ID).Journey.Events[0].ID
	}
	withdraw := func(t *testing.T, w *world, c parcel.Correction) {
		t.Helper()
		if out, err := w.ingest.Retract(t.Context(), w.merchant, c); err != nil || out.Outcome != parcel.WriteUpdated {
			t.Fatalf("%+v %v", out, err)
		}
	}
	eachStore(t, func(t *testing.T, w *world) {
		t.Run("its events go, and no more come", func(t *testing.T) {
			w, s, o, id := begin(t, w, "1")
			withdraw(t, w, parcel.Correction{EventID: id, Kind: parcel.RetractionIncorrect})
			wantCodes(t, "after the withdrawal", w.codes(s))
			if next := w.asking("zed", "WRONG1").NextAt; !next.IsZero() {
				t.Errorf("the stranger's number is asked for at %s", next)
			}
			w.hear("zed", observed("zed", "WRONG1", parcel.CodeDelivered, now.Add(-time.Hour)))
			wantCodes(t, "after the stranger's delivery", w.codes(s))
			for _, x := range w.read(s.ID).Journey.Events {
				if x.Number == "WRONG1" && (x.Retracted == nil || x.Retracted.Kind != parcel.RetractionWrongShipment) {
					t.Errorf("the stranger's %s: %+v", x.Code, x.Retracted)
				}
			}
			// The carrier says the withdrawn thing again, in other words.
			o.Words = "forwarded"
			w.hear("zed", o)
			wantCodes(t, "after it was told again", w.codes(s))
			if next := w.asking("zed", "WRONG1").NextAt; !next.IsZero() {
				t.Errorf("told again, the stranger's number is asked for at %s", next)
			}
		})
		t.Run("a number that the replacement names too stays", func(t *testing.T) {
			w, s, o, id := begin(t, w, "2")
			o.Occurred = parcel.ReportedMoment("", now.Add(-8*time.Hour))
			withdraw(t, w, parcel.Correction{EventID: id, Kind: parcel.RetractionIncorrect, ReplaceWith: &parcel.Report{Observation: o}})
			w.hear("zed", observed("zed", "WRONG2", parcel.CodeDelivered, now.Add(-time.Hour)))
			wantCodes(t, "after the replacement", w.codes(s), parcel.CodeImportCustomsReleased, parcel.CodeOutForDelivery, parcel.CodeDelivered)
		})
		t.Run("a number that another event names stays", func(t *testing.T) {
			w, s, o, id := begin(t, w, "3")
			again := naming("WRONG3", now.Add(-7*time.Hour))
			again.Number, again.Code, again.OwnCode = o.Number, parcel.CodeLastMileAccepted, "again"
			w.hear("zed", again)
			withdraw(t, w, parcel.Correction{EventID: id, Kind: parcel.RetractionIncorrect})
			w.hear("zed", observed("zed", "WRONG3", parcel.CodeDelivered, now.Add(-time.Hour)))
			wantCodes(t, "after the withdrawal", w.codes(s), parcel.CodeLastMileAccepted, parcel.CodeOutForDelivery, parcel.CodeDelivered)
		})
		t.Run("the stranger's own next number goes with it", func(t *testing.T) {
			w, s, _, id := begin(t, w, "4")
			for i, code := range []parcel.Code{parcel.CodeDeliveryOfficeArrived, parcel.CodeLastMileAccepted} {
				o := naming("FAR4", now.Add(-time.Duration(6-i)*time.Hour))
				o.Number, o.Code, o.OwnCode = "WRONG4", code, string(code)
				w.hear("zed", o)
			}
			w.hear("zed", observed("zed", "FAR4", parcel.CodeReadyForPickup, now.Add(-2*time.Hour)))
			withdraw(t, w, parcel.Correction{EventID: id, Kind: parcel.RetractionIncorrect})
			w.hear("zed", observed("zed", "FAR4", parcel.CodeDelivered, now.Add(-time.Hour)))
			wantCodes(t, "after the withdrawal", w.codes(s))
		})
	})
}
