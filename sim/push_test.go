package sim_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

// hook takes pushes as the gateway's door does.
type hook struct {
	w *world

	mu           sync.Mutex
	refuse       int // that many deliveries are refused first
	took, forged int
	tookOf       map[string]int
	forgedOf     map[string]int
	events       map[string]int // by carrier, number and code
	overtaken    int
	newest       map[string]time.Time
}

func (h *hook) deliver(_ context.Context, carrier string, d carriers.Delivery) carriers.Reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.w.carriers[carrier]
	v := c.(carriers.Verifier)
	kind, err := v.Verify(d)
	if err != nil {
		h.forged++
		h.forgedOf[carrier]++
		if !errors.Is(err, parcel.ErrDenied) {
			h.w.t.Errorf("%s: a push was refused for %v", carrier, err)
		}
		return v.Reply(err)
	}
	if h.refuse > 0 {
		h.refuse--
		return v.Reply(parcel.ErrUnavailable)
	}
	r, err := c.Decode(parcel.Payload{Carrier: carrier, Kind: kind, Source: parcel.SourceWebhook, Body: d.Body, ContentType: d.Header.Get("Content-Type")})
	if err != nil || len(r.Observations) == 0 {
		h.w.t.Errorf("%s: push read as %d observations: %v", carrier, len(r.Observations), err)
		return v.Reply(err)
	}
	h.took++
	h.tookOf[carrier]++
	for _, o := range r.Observations {
		if now := h.w.trade.Now(); o.Occurred.At.After(now) {
			h.w.t.Errorf("%s: %s of %s at %v is pushed at %v already", carrier, o.Code, o.Number, o.Occurred.At, now)
		}
		h.events[carrier+" "+o.Number+" "+o.Key()]++
		key := carrier + " " + o.Number
		if o.Occurred.At.Before(h.newest[key]) {
			h.overtaken++
		} else {
			h.newest[key] = o.Occurred.At
		}
	}
	return v.Reply(nil)
}

// run pushes for some time, in steps.
func (h *hook) run(days int) {
	h.w.t.Helper()
	ctx, cancel := context.WithCancel(h.w.t.Context())
	var work sync.WaitGroup
	work.Go(func() { h.w.Push(ctx, h.deliver) })
	patience, done := context.WithTimeout(ctx, 60*time.Second)
	defer done()
	pushers := h.w.pushers()
	for range days * 4 {
		if err := h.w.trade.AwaitWaiting(patience, pushers); err != nil {
			h.w.t.Fatalf("the pushers do not come to rest: %v", err)
		}
		h.w.trade.Advance(6 * time.Hour)
	}
	if err := h.w.trade.AwaitWaiting(patience, pushers); err != nil {
		h.w.t.Fatalf("the pushers do not come to rest: %v", err)
	}
	cancel()
	work.Wait()
}

// pushers counts the carriers that push: each sleeps by itself.
func (w *world) pushers() (n int) {
	for _, c := range w.Carriers() {
		if w.Pushes(c) {
			n++
		}
	}
	return n
}

func newHook(w *world) *hook {
	return &hook{w: w, events: map[string]int{}, newest: map[string]time.Time{}, tookOf: map[string]int{}, forgedOf: map[string]int{}}
}

func TestPushesTellWhatAskingTells(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 8, Shipments: 120})
	for carrier, pushes := range map[string]bool{
		"cainiao": true, "ups": true, "sf-express": true, "china-post": true, "dhl-unified": true,
		"correios": false, "upu-postal": false, "royal-mail": false, "canada-post": false, "usps": false,
	} {
		if w.Pushes(carrier) != pushes {
			t.Errorf("%s pushes: %v, want %v", carrier, w.Pushes(carrier), pushes)
		}
	}
	h := newHook(w)
	h.refuse = 40
	h.run(12)
	if h.took == 0 || h.refuse > 0 {
		t.Fatalf("%d pushes taken, %d still to be refused", h.took, h.refuse)
	}
	// Whatever was told in the first ten days came by push, refused or not,
	// though some of it twice and some out of order.
	missing, told := 0, 0
	plan := append(w.plan, w.NextRegistrations(w.trade.Now())...)
	for _, c := range plan {
		for _, l := range c.Facts.Legs {
			if l.Number == "" || !w.Pushes(l.Carrier) || c.Scenario == "SIM-PUSH-LATE-US-01" {
				continue
			}
			r, err := w.ask(l.Carrier, l.Number)
			for range 4 {
				if err == nil {
					break
				}
				_ = w.walls[l.Carrier].Sleep(t.Context(), time.Minute)
				r, err = w.ask(l.Carrier, l.Number)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range r.Observations {
				// Lags of tens of minutes: what happened a day after the start
				// was told after it.
				if o.Occurred.At.Before(start.Add(day)) || o.Occurred.At.After(start.Add(10*day)) {
					continue
				}
				told++
				if h.events[l.Carrier+" "+l.Number+" "+o.Key()] == 0 {
					missing++
				}
			}
		}
	}
	if told == 0 || missing > 0 {
		t.Errorf("of %d scans told by asking, %d were never pushed", told, missing)
	}
	twice := 0
	for _, n := range h.events {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d pushes, %d events, %d of them more than once, %d out of order", h.took, len(h.events), twice, h.overtaken)
	if twice == 0 || h.overtaken == 0 {
		t.Error("no push came twice, or none was overtaken")
	}
	if h.forged > 0 {
		t.Errorf("%d pushes were badly signed", h.forged)
	}
}

func TestForgedPushesAreRefused(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 8, Shipments: 900})
	// Signed in headers, in the body, in a form, by a secret in the address.
	pushers := []string{"ups", "cainiao", "china-post", "dhl-unified", "sf-express"}
	for _, c := range pushers {
		if err := w.SetFaults(c, sim.Faults{Forged: 1, Duplicated: .5, Reordered: .5}); err != nil {
			t.Fatal(err)
		}
	}
	h := newHook(w)
	h.run(4)
	for _, c := range pushers {
		if h.forgedOf[c] == 0 || h.tookOf[c] == 0 {
			t.Errorf("%s: %d forged pushes refused, %d true ones taken", c, h.forgedOf[c], h.tookOf[c])
		}
	}
}

func TestPushesAreGivenUpInTheEnd(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 8, Shipments: 60})
	calls := 0
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		w.Push(ctx, func(context.Context, string, carriers.Delivery) carriers.Reply {
			mu.Lock()
			defer mu.Unlock()
			calls++
			return carriers.Reply{Status: http.StatusInternalServerError}
		})
	})
	for range 24 {
		if err := w.trade.AwaitWaiting(ctx, w.pushers()); err != nil {
			t.Fatal(err)
		}
		w.trade.Advance(6 * time.Hour)
	}
	cancel()
	work.Wait()
	if calls == 0 {
		t.Error("nobody pushed")
	}
}

// TestAdvancedScansArePushed lets a sleeping pusher find out that a scan has
// come nearer.
func TestAdvancedScansArePushed(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 8, Shipments: 1, Past: day})
	h := newHook(w)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { w.Push(ctx, h.deliver) })
	defer work.Wait()
	defer cancel()
	patience, done := context.WithTimeout(ctx, 20*time.Second)
	defer done()
	if err := w.trade.AwaitWaiting(patience, w.pushers()); err != nil {
		t.Fatalf("the pushers do not come to rest: %v", err)
	}
	steps := 0
	for {
		step, err := w.Advance("SIM-PUSHED-TWICE-US-01")
		if errors.Is(err, parcel.ErrConflict) {
			break
		}
		if err != nil || len(step.Told) != 1 {
			t.Fatalf("%+v, %v", step, err)
		}
		steps++
		pushed := func() (n int) {
			h.mu.Lock()
			defer h.mu.Unlock()
			for key := range h.events {
				if strings.HasPrefix(key, step.Numbers[0].Carrier+" "+step.Numbers[0].Number+" ") {
					n++
				}
			}
			return n
		}
		for pushed() < steps {
			if clock.Wall().Sleep(patience, time.Millisecond) != nil {
				t.Fatalf("%d of %d scans were pushed", pushed(), steps)
			}
		}
		w.trade.Advance(time.Second)
	}
	if steps != 3 {
		t.Errorf("%d steps, want 3", steps)
	}
}
