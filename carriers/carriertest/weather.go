package carriertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// weather is one way in which a carrier's side goes wrong.
type weather struct {
	name  string
	round func(req *http.Request, next http.RoundTripper) (*http.Response, error)
	// kinds of which the outcome, Fetch and Decode together, must have one.
	kinds []error
	// answers tells that no error will do as well, if nothing was found.
	answers bool
	check   func(t *testing.T, err error)
}

func status(code int, header ...string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return answer(req, code, "text/plain; charset=utf-8", http.StatusText(code), header...), nil
	}
}

// page is what a firewall shows.
const page = "<!DOCTYPE html>\n<html><head><title>Access check</title></head><body>Please wait</body></html>"

func weathers() []weather {
	unavailable := []error{parcel.ErrUnavailable}
	rubbish := []error{parcel.ErrMalformed, parcel.ErrUnavailable}
	return []weather{
		{name: "401", round: status(401), kinds: []error{parcel.ErrDenied}},
		{name: "403", round: status(403), kinds: []error{parcel.ErrDenied}},
		{name: "404", round: status(404), kinds: rubbish, answers: true},
		{name: "429", round: status(429, "Retry-After", "7"), kinds: []error{parcel.ErrThrottled}, check: func(t *testing.T, err error) {
			if th, ok := errors.AsType[*parcel.Throttled](err); !ok || th.RetryAfter != 7*time.Second {
				t.Errorf("got %v, want *parcel.Throttled with the wait of 7s", err)
			}
		}},
		{name: "500", round: status(500), kinds: unavailable},
		{name: "502 page", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, 502, "text/html", page), nil
		}, kinds: unavailable},
		{name: "503", round: status(503, "Retry-After", "120"), kinds: unavailable},
		{name: "silence", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, kinds: unavailable},
		{name: "slow body", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			resp := answer(req, 200, "application/json", "")
			resp.Body, resp.ContentLength = io.NopCloser(waitingReader{req.Context()}), -1
			return resp, nil
		}, kinds: unavailable},
		{name: "hangs up", round: func(*http.Request, http.RoundTripper) (*http.Response, error) {
			return nil, io.ErrUnexpectedEOF
		}, kinds: unavailable},
		{name: "page with status 200", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, 200, "text/html; charset=utf-8", page), nil
		}, kinds: unavailable},
		{name: "page under a false label", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, 200, "application/json", page), nil
		}, kinds: unavailable},
		{name: "sent to another host", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, 302, "text/plain", "", "Location", "http://elsewhere.test/"), nil
		}, kinds: unavailable},
		{name: "connection lost in the body", round: half(true), kinds: rubbish},
		{name: "body cut off", round: half(false), kinds: rubbish},
		{name: "rubbish", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, 200, "application/octet-stream", "\x00\x01\xff\xfe{]\x7f garbage"), nil
		}, kinds: rubbish},
		{name: "more than anyone can say", round: func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			resp := answer(req, 200, "application/json", "")
			resp.Body, resp.ContentLength = io.NopCloser(io.LimitReader(endless{}, 64<<20)), -1
			return resp, nil
		}, kinds: rubbish},
	}
}

// half passes on the first half of the fake's answer.
func half(lost bool) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		body = body[:len(body)/2]
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
		if lost {
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(body)), brokenReader{}))
		}
		return resp, nil
	}
}

type waitingReader struct{ ctx context.Context }

func (r waitingReader) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// testWeather has the adapter meet each weather twice: with its first call,
// which for many fetches a token, and when it has been at work.
func (e *exam) testWeather(t *testing.T) {
	if _, ok := e.reader(t).(carriers.Fetcher); !ok {
		t.Skip("cannot be asked")
	}
	number := e.known(t)
	for _, w := range weathers() {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { e.meet(t, number, w, false) })
			synctest.Test(t, func(t *testing.T) { e.meet(t, number, w, true) })
		})
	}
	t.Run("cancelled before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := e.newRig(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := r.askOnce(ctx, number)
			if !errors.Is(err, context.Canceled) || r.door.count() > 0 {
				t.Errorf("%d calls, error %v, want none and context.Canceled", r.door.count(), err)
			}
			r.closing(t, err)
		})
	})
	t.Run("cancelled meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := e.newRig(t)
			r.put(number, e.journey(r.fake))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.door.setWeather(func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			})
			done := make(chan error, 1)
			go func() {
				_, err := r.askOnce(ctx, number)
				done <- err
			}()
			synctest.Wait()
			cancel()
			synctest.Wait()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want context.Canceled", err)
				}
				r.closing(t, err)
			default:
				t.Fatal("Fetch goes on after its context is cancelled")
			}
		})
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := e.newRig(t)
			r.door.setWeather(func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			})
			ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
			defer cancel()
			_, err := r.askOnce(ctx, number)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			r.closing(t, err)
		})
	})
}

func (e *exam) meet(t *testing.T, number string, w weather, atWork bool) {
	r := e.newRig(t)
	r.put(number, e.journey(r.fake))
	if atWork {
		if _, err := r.ask(t.Context(), number); err != nil {
			t.Fatal(err)
		}
	}
	r.door.setWeather(w.round)
	when := "with the first call"
	if atWork {
		when = "at work"
	}
	reading, err := r.askOnce(t.Context(), number)
	ok := slices.ContainsFunc(w.kinds, func(kind error) bool { return errors.Is(err, kind) })
	if !ok && (err != nil || !w.answers) {
		t.Errorf("%s: got %v, want one of %v", when, err, w.kinds)
	}
	if w.check != nil {
		w.check(t, err)
	}
	if r.door.count() == 0 {
		t.Errorf("%s: no call went out", when)
	}
	for _, x := range reading.Results {
		if x.Finding == parcel.FindingUnknown && !w.answers {
			t.Errorf("%s: bad weather reads as an unknown number", when)
		}
	}
	r.closing(t, err)
	// When the weather clears the adapter is as good as before.
	r.door.setWeather(nil)
	r.clock.advance(10 * time.Minute)
	if _, err := r.ask(t.Context(), number); err != nil {
		t.Errorf("%s: when it has cleared: %v", when, err)
	}
}
