package sim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

func isInvalid(err error) bool { return errors.Is(err, parcel.ErrInvalid) }

// somebody is a number of a carrier that has told something.
func (w *world) somebody(carrier string) string {
	w.t.Helper()
	for _, c := range w.plan {
		for _, l := range c.Facts.Legs {
			if h, ok := w.Journeys(carrier, l.Number); ok && c.Scenario == "" && len(h.Scans) > 2 {
				return l.Number
			}
		}
	}
	w.t.Fatalf("nobody goes by %s", carrier)
	return ""
}

func TestFaults(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 3, Shipments: 150})
	const carrier = "upu-postal"
	number := w.somebody(carrier)
	for _, tt := range []struct {
		name   string
		faults sim.Faults
		kind   error
	}{
		{"well", sim.Faults{}, nil},
		{"slow", sim.Faults{Latency: time.Second, LatencyP99: 3 * time.Second}, nil},
		{"trickling", sim.Faults{SlowBody: 5 * time.Second}, nil},
		{"limited", sim.Faults{CallsPerSecond: 1e-9}, parcel.ErrThrottled},
		{"failing", sim.Faults{Failing: 1}, parcel.ErrUnavailable},
		{"a page", sim.Faults{HTML: 1}, parcel.ErrUnavailable},
		{"half an answer", sim.Faults{Truncated: 1}, parcel.ErrMalformed},
		{"down", sim.Faults{Down: true}, parcel.ErrUnavailable},
		{"well again", sim.Faults{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := w.SetFaults(carrier, tt.faults); err != nil {
				t.Fatal(err)
			}
			if got := w.Faults(carrier); got != tt.faults {
				t.Errorf("Faults = %+v, want %+v", got, tt.faults)
			}
			// Past what the adapter's own politeness and breaker hold back.
			_ = w.walls[carrier].Sleep(t.Context(), time.Hour)
			r, err := w.ask(carrier, number)
			if tt.name == "limited" && err == nil {
				r, err = w.ask(carrier, number) // the first call of a limit is free
			}
			if !errors.Is(err, tt.kind) {
				t.Errorf("error %v, want kind %v", err, tt.kind)
			}
			if tt.kind == nil && len(r.Observations) == 0 {
				t.Error("nothing was read")
			}
		})
	}
	s := w.Calls(carrier)
	if s.Throttled == 0 || s.Failed == 0 || s.Spoiled == 0 || s.Calls <= s.Throttled+s.Failed+s.Spoiled {
		t.Errorf("counted %+v", s)
	}
	if err := w.SetFaults("nobody", sim.Faults{}); !errors.Is(err, parcel.ErrNotFound) {
		t.Errorf("faults of a carrier that is not served: %v", err)
	}
	if c := w.Calls("nobody"); c.Calls != 0 || w.Faults("nobody") != (sim.Faults{}) || w.Pushes("nobody") {
		t.Error("a carrier that is not served was asked")
	}
}

func TestSilentCarrierLetsGoAtTheEnd(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 3, Shipments: 60})
	if err := w.SetFaults("ups", sim.Faults{Silent: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ask := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.endpoints.BaseURL("ups")+"/api/track/v1/details/1Z", nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	if err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent carrier answered: %v", err)
	}
	// One that waits without a limit is let go when the service ends.
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if ask(context.Background()) == nil {
			t.Error("a silent carrier answered")
		}
	})
	deadline := clock.Wall().Now().Add(5 * time.Second)
	for w.Calls("ups").Spoiled < 2 && clock.Wall().Now().Before(deadline) {
		_ = clock.Wall().Sleep(t.Context(), time.Millisecond)
	}
	if err := w.endpoints.Close(); err != nil {
		t.Error(err)
	}
	waiting.Wait()
}

func TestMuddledAnswersReadTheSame(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 3, Shipments: 150})
	for _, carrier := range []string{"upu-postal", "cainiao"} {
		number := w.somebody(carrier)
		keys := func() map[string]bool {
			r, err := w.ask(carrier, number)
			if err != nil {
				t.Errorf("%s: %v", carrier, err)
			}
			out := map[string]bool{}
			for i := range r.Observations {
				out[r.Observations[i].Key()] = true
			}
			return out
		}
		plain := keys()
		if err := w.SetFaults(carrier, sim.Faults{Duplicated: 1, Reordered: 1}); err != nil {
			t.Fatal(err)
		}
		if muddled := keys(); len(plain) == 0 || len(muddled) != len(plain) {
			t.Errorf("%s: %d events, muddled %d", carrier, len(plain), len(muddled))
		}
	}
}

func TestCallsAreCounted(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 3, Shipments: 150})
	number := w.somebody("upu-postal")
	before := w.Calls("upu-postal")
	for range 3 {
		if _, err := w.ask("upu-postal", number, "RB000000001CN"); err != nil {
			t.Fatal(err)
		}
	}
	after := w.Calls("upu-postal")
	if got := after.Calls - before.Calls; got != 6 {
		t.Errorf("%d calls, want 6", got)
	}
	if after.Numbers[number] != 3 || after.Numbers["RB000000001CN"] != 3 || after.Asked != 6 {
		t.Errorf("counted %+v", after)
	}
}

func TestEndpoints(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 3, Shipments: 20})
	seen := map[string]bool{}
	for _, carrier := range w.Carriers() {
		url := w.endpoints.BaseURL(carrier)
		if !strings.HasPrefix(url, "http://127.0.0.1:") || seen[url] {
			t.Errorf("%s is served at %q", carrier, url)
		}
		seen[url] = true
		// A stranger gets no parcel.
		resp, err := http.Get(url + "/rest/itemTTExt/RB000000001CN/wrong-key")
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode == http.StatusOK {
			t.Errorf("%s answers a stranger: %s", carrier, body)
		}
		_ = resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	if w.endpoints.BaseURL("nobody") != "" || len(w.endpoints.Settings("nobody")) != 0 {
		t.Error("a carrier that is not served has an endpoint")
	}
}
