package carrierkit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// wire answers requests without a network, so that time can stand still.
type wire struct {
	mu    sync.Mutex
	at    []time.Time
	reply func(n int, req *http.Request) (*http.Response, error)
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	n := len(w.at)
	w.at = append(w.at, clock.Wall().Now())
	w.mu.Unlock()
	resp, err := w.reply(n, req)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

func (w *wire) calls() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.at) }

// gaps are the waits between the calls.
func (w *wire) gaps() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var g []time.Duration
	for i := 1; i < len(w.at); i++ {
		g = append(g, w.at[i].Sub(w.at[i-1]))
	}
	return g
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ProtoMajor: 1, ProtoMinor: 1}
}

func always(status int, body string, header ...string) func(int, *http.Request) (*http.Response, error) {
	return func(int, *http.Request) (*http.Response, error) { return answer(status, body, header...), nil }
}

func client(w *wire, opts carrierkit.Options) *carrierkit.Client {
	return carrierkit.NewClient(carriers.Env{HTTP: &http.Client{Transport: w}, Wall: clock.Wall()}, opts)
}

func get() (*http.Request, error) {
	return http.NewRequest(http.MethodGet, "https://carrier.example/track/SECRETKEY?key=SECRETKEY", nil)
}

func post() (*http.Request, error) {
	return http.NewRequest(http.MethodPost, "https://carrier.example/track/SECRETKEY", strings.NewReader("{}"))
}

func TestDoReadsTheAnswer(t *testing.T) {
	w := &wire{reply: always(201, `{"a":1}`, "Content-Type", "application/json; charset=utf-8", "X-A", "b")}
	got, err := client(w, carrierkit.Options{}).Do(t.Context(), get)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 201 || string(got.Body) != `{"a":1}` || got.ContentType != "application/json; charset=utf-8" || got.Header.Get("X-A") != "b" {
		t.Errorf("got %+v", got)
	}
}

func TestDoWithoutAClientIsRefused(t *testing.T) {
	_, err := carrierkit.NewClient(carriers.Env{}, carrierkit.Options{}).Do(t.Context(), get)
	if !errors.Is(err, carriers.ErrNoAccount) || !errors.Is(err, parcel.ErrDenied) {
		t.Errorf("got %v, want ErrNoAccount", err)
	}
}

// TestDoKinds holds every kind of bad answer to its kind of error, and to how
// often it is asked for.
func TestDoKinds(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		name  string
		reply func(int, *http.Request) (*http.Response, error)
		kind  error
		tries int
		// status of the StatusError, 0 if the error is none.
		status int
	}{
		{"bad request", always(400, `{}`), parcel.ErrMalformed, 1, 400},
		{"unauthorized", always(401, `{}`), parcel.ErrDenied, 1, 401},
		{"forbidden", always(403, `{}`), parcel.ErrDenied, 1, 403},
		{"blocked by a firewall's page", always(403, "<!DOCTYPE html><p>no", "Content-Type", "text/html"), parcel.ErrUnavailable, 1, 0},
		{"not found is the adapter's", always(404, `{"detail":"none"}`), parcel.ErrUnavailable, 1, 404},
		{"gone", always(410, `{}`), parcel.ErrUnavailable, 1, 410},
		{"request time-out", always(408, `{}`), parcel.ErrUnavailable, 3, 408},
		{"too many", always(429, `{}`), parcel.ErrThrottled, 1, 429},
		{"server error", always(500, `{}`), parcel.ErrUnavailable, 3, 500},
		{"bad gateway page", always(502, "<html>", "Content-Type", "text/html"), parcel.ErrUnavailable, 3, 502},
		{"page with status 200", always(200, " \n<html><body>hello", "Content-Type", "application/json"), parcel.ErrUnavailable, 1, 0},
		{"page labelled only", always(200, "<div>hello", "Content-Type", "text/html"), parcel.ErrUnavailable, 1, 0},
		{"network", func(int, *http.Request) (*http.Response, error) { return nil, refused }, parcel.ErrUnavailable, 3, 0},
		{"cut off", func(int, *http.Request) (*http.Response, error) {
			r := answer(200, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":`), failingReader{}))
			return r, nil
		}, parcel.ErrUnavailable, 3, 0},
		{"other host", always(302, "", "Location", "https://evil.example/"), parcel.ErrUnavailable, 1, 0},
		{"same host, unsafe scheme", always(302, "", "Location", "http://carrier.example/"), parcel.ErrUnavailable, 1, 0},
		{"round and round", always(302, "", "Location", "/again"), parcel.ErrUnavailable, 4, 0},
		{"silence", func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, parcel.ErrUnavailable, 3, 0},
		{"too large", func(int, *http.Request) (*http.Response, error) {
			r := answer(200, "")
			r.Body = io.NopCloser(endless{})
			return r, nil
		}, parcel.ErrMalformed, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{reply: tt.reply}
				_, err := client(w, carrierkit.Options{}).Do(t.Context(), get)
				if !errors.Is(err, tt.kind) {
					t.Errorf("got %v, want kind %v", err, tt.kind)
				}
				if w.calls() != tt.tries {
					t.Errorf("%d calls, want %d", w.calls(), tt.tries)
				}
				se, isStatus := errors.AsType[*carrierkit.StatusError](err)
				if isStatus != (tt.status != 0) || isStatus && se.Status != tt.status {
					t.Errorf("status error %+v, want status %d", se, tt.status)
				}
				if strings.Contains(fmt.Sprint(err), "SECRETKEY") {
					t.Errorf("error shows the key: %v", err)
				}
			})
		})
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnswerOfExactlyTheLimitPasses(t *testing.T) {
	w := &wire{reply: always(200, strings.Repeat("x", carrierkit.MaxBody))}
	got, err := client(w, carrierkit.Options{}).Do(t.Context(), get)
	if err != nil || len(got.Body) != carrierkit.MaxBody {
		t.Errorf("got %v", err)
	}
}

func TestRedirectOnTheSameHostIsFollowed(t *testing.T) {
	w := &wire{reply: func(n int, req *http.Request) (*http.Response, error) {
		if n == 0 {
			return answer(307, "", "Location", "/v2/track"), nil
		}
		return answer(200, req.URL.Path), nil
	}}
	got, err := client(w, carrierkit.Options{}).Do(t.Context(), get)
	if err != nil || string(got.Body) != "/v2/track" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRetryWaitsLongerEachTimeWithJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{reply: func(n int, _ *http.Request) (*http.Response, error) {
				if n < 2 {
					return answer(503, "{}"), nil
				}
				return answer(200, "{}"), nil
			}}
			if _, err := client(w, carrierkit.Options{}).Do(t.Context(), get); err != nil {
				t.Fatal(err)
			}
			for i, g := range w.gaps() {
				full := 250 * time.Millisecond << i
				if g < full/2 || g > full {
					t.Errorf("wait %d is %s, want %s to %s", i+1, g, full/2, full)
				}
				seen[g] = true
			}
		})
	}
	if len(seen) < 3 {
		t.Errorf("waits %v do not vary", seen)
	}
}

func TestPostIsRepeatedOnlyWhereItReads(t *testing.T) {
	for _, tt := range []struct {
		reads bool
		tries int
	}{{false, 1}, {true, 3}} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{reply: func(_ int, req *http.Request) (*http.Response, error) {
				if b, _ := io.ReadAll(req.Body); string(b) != "{}" {
					t.Errorf("body %q, want a fresh one each time", b)
				}
				return answer(500, "{}"), nil
			}}
			_, err := client(w, carrierkit.Options{RetryPOST: tt.reads}).Do(t.Context(), post)
			if !errors.Is(err, parcel.ErrUnavailable) || w.calls() != tt.tries {
				t.Errorf("reads %v: %d calls, error %v, want %d calls", tt.reads, w.calls(), err, tt.tries)
			}
		})
	}
}

func TestRetryAfterClosesTheDoor(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        time.Duration
	}{
		{"seconds", "90", 90 * time.Second},
		{"date", "Sat, 01 Jan 2000 00:01:30 GMT", 90 * time.Second}, // bubbles begin at midnight of that day
		{"nonsense", "soon", 0},
		{"negative", "-5", 0},
		{"absurd", "99999999", 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{reply: func(n int, _ *http.Request) (*http.Response, error) {
					if n == 0 {
						return answer(429, "{}", "Retry-After", tt.value), nil
					}
					return answer(200, "{}"), nil
				}}
				c := client(w, carrierkit.Options{})
				_, err := c.Do(t.Context(), get)
				th, ok := errors.AsType[*parcel.Throttled](err)
				if !ok || th.RetryAfter != tt.want {
					t.Fatalf("got %v, want Throttled after %s", err, tt.want)
				}
				if tt.want == 0 {
					return
				}
				clockSleep(t, 10*time.Second)
				_, err = c.Do(t.Context(), get)
				if th, ok := errors.AsType[*parcel.Throttled](err); !ok || th.RetryAfter != tt.want-10*time.Second || w.calls() != 1 {
					t.Errorf("too early: %d calls, error %v", w.calls(), err)
				}
				clockSleep(t, tt.want-10*time.Second)
				if _, err := c.Do(t.Context(), get); err != nil {
					t.Errorf("when the wait is over: %v", err)
				}
			})
		})
	}
}

func TestRetryAfterOfABusyServer(t *testing.T) {
	t.Run("short wait is sat out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{reply: func(n int, _ *http.Request) (*http.Response, error) {
				if n == 0 {
					return answer(503, "{}", "Retry-After", "2"), nil
				}
				return answer(200, "{}"), nil
			}}
			if _, err := client(w, carrierkit.Options{}).Do(t.Context(), get); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]time.Duration{2 * time.Second}, w.gaps()); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("long wait is the planner's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{reply: always(503, "{}", "Retry-After", "600")}
			_, err := client(w, carrierkit.Options{}).Do(t.Context(), get)
			if !errors.Is(err, parcel.ErrUnavailable) || w.calls() != 1 {
				t.Errorf("%d calls, %v", w.calls(), err)
			}
		})
	})
}

func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{reply: always(200, "{}")}
		c := client(w, carrierkit.Options{Quota: carriers.Quota{PerSecond: 2, Burst: 1}})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want := []time.Duration{500e6, 500e6, 500e6, 500e6}
		if diff := cmp.Diff(want, w.gaps()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPacingNeverQueuesBeyondTheCallersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{reply: always(200, "{}")}
		c := client(w, carrierkit.Options{Quota: carriers.Quota{PerSecond: 0.1}})
		if _, err := c.Do(t.Context(), get); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Do(ctx, get)
		if th, ok := errors.AsType[*parcel.Throttled](err); !ok || th.RetryAfter != 10*time.Second {
			t.Errorf("got %v, want Throttled after 10s", err)
		}
	})
}

func TestBudgetIsASlidingWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{reply: always(200, "{}")}
		c := client(w, carrierkit.Options{Quota: carriers.Quota{Calls: 3, Window: time.Hour}})
		for range 3 {
			if _, err := c.Do(t.Context(), get); err != nil {
				t.Fatal(err)
			}
			clockSleep(t, 10*time.Minute)
		}
		_, err := c.Do(t.Context(), get)
		if th, ok := errors.AsType[*parcel.Throttled](err); !ok || th.RetryAfter != 30*time.Minute {
			t.Errorf("got %v, want Throttled after 30m", err)
		}
		clockSleep(t, 30*time.Minute)
		if _, err := c.Do(t.Context(), get); err != nil {
			t.Errorf("when the oldest call has left the window: %v", err)
		}
		if _, err := c.Do(t.Context(), get); !errors.Is(err, parcel.ErrThrottled) {
			t.Errorf("one call left the window and two passed: %v", err)
		}
	})
}

func TestBreakerOpensRestsAndTriesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		broken, hang := true, make(chan struct{})
		w := &wire{reply: func(n int, _ *http.Request) (*http.Response, error) {
			if n == 6 {
				<-hang
			}
			if broken {
				return answer(500, "{}"), nil
			}
			return answer(200, "{}"), nil
		}}
		c := carrierkit.NewClient(carriers.Env{
			HTTP: &http.Client{Transport: w}, Wall: clock.Wall(),
			Log: slog.New(slog.NewTextHandler(&logged, nil)),
		}, carrierkit.Options{})
		do := func() error { _, err := c.Do(t.Context(), get); return err }

		for range 2 { // 3 + 2 tries: the fifth failure opens it
			if err := do(); !errors.Is(err, parcel.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if w.calls() != 5 {
			t.Fatalf("%d calls before it opened, want 5", w.calls())
		}
		if err := do(); !errors.Is(err, parcel.ErrUnavailable) || w.calls() != 5 {
			t.Errorf("open: %d calls, %v", w.calls(), err)
		}
		if strings.Count(logged.String(), "rest") == 0 || strings.Contains(logged.String(), "SECRETKEY") {
			t.Errorf("log: %s", logged.String())
		}

		clockSleep(t, 30*time.Second) // half open: one trial fails and closes the door again
		if err := do(); !errors.Is(err, parcel.ErrUnavailable) || w.calls() != 6 {
			t.Errorf("failed trial: %d calls, %v", w.calls(), err)
		}
		clockSleep(t, 29*time.Second)
		if err := do(); !errors.Is(err, parcel.ErrUnavailable) || w.calls() != 6 {
			t.Errorf("still resting: %d calls, %v", w.calls(), err)
		}

		broken = false
		clockSleep(t, time.Second)
		trial := make(chan error, 1)
		go func() { trial <- do() }()
		synctest.Wait()
		if err := do(); !errors.Is(err, parcel.ErrUnavailable) || w.calls() != 7 {
			t.Errorf("second call beside the trial: %d calls, %v", w.calls(), err)
		}
		close(hang)
		if err := <-trial; err != nil {
			t.Errorf("good trial: %v", err)
		}
		if err := do(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestBreakerForgetsATrialThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{reply: func(n int, req *http.Request) (*http.Response, error) {
			switch {
			case n < 5:
				return answer(500, "{}"), nil
			case n == 5:
				<-req.Context().Done()
				return nil, req.Context().Err()
			default:
				return answer(200, "{}"), nil
			}
		}}
		c := client(w, carrierkit.Options{})
		for range 2 {
			_, _ = c.Do(t.Context(), get)
		}
		clockSleep(t, 30*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Do(ctx, get); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if _, err := c.Do(t.Context(), get); err != nil {
			t.Errorf("next trial: %v", err)
		}
	})
}

func TestRefusalsDoNotOpenTheBreaker(t *testing.T) {
	for _, status := range []int{400, 401, 404, 429} {
		w := &wire{reply: always(status, "{}")}
		c := client(w, carrierkit.Options{})
		for range 12 {
			_, _ = c.Do(t.Context(), get)
		}
		if w.calls() != 12 {
			t.Errorf("status %d: %d calls reached the carrier, want 12", status, w.calls())
		}
	}
}

func TestCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{reply: func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := client(w, carrierkit.Options{}).Do(ctx, get)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "SECRETKEY") {
			t.Errorf("got %v, want the context's error without the address", err)
		}
		if _, err := client(w, carrierkit.Options{}).Do(ctx, get); !errors.Is(err, context.Canceled) || w.calls() != 1 {
			t.Errorf("cancelled before: %d calls, %v", w.calls(), err)
		}
	})
}

func clockSleep(t *testing.T, d time.Duration) {
	t.Helper()
	if err := clock.Wall().Sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}
