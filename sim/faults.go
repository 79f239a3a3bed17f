package sim

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
)

// Faults are what is wrong with a carrier. Rates are shares from 0 to 1 of its
// answers, of its pushes where it pushes; durations are wall time. The zero
// value is a carrier that is well.
type Faults struct {
	// Latency is the median delay of an answer, LatencyP99 the delay that one in
	// a hundred exceeds; between them delays are log-normal. A LatencyP99 below
	// Latency makes every delay Latency.
	Latency, LatencyP99 time.Duration
	// CallsPerSecond is the rate above which calls get status 429 and the wait
	// of a second; 0 for no limit.
	CallsPerSecond float64
	// Failing answers with status 503.
	Failing float64
	// Truncated sends the first half of the body under a length that fits it.
	Truncated float64
	// HTML sends a page with status 200 instead of the answer.
	HTML float64
	// Duplicated tells every scan of an answer twice, and sends pushes twice.
	Duplicated float64
	// Reordered tells an answer's scans in the order in which they were told
	// and not in which they happened, and lets pushes overtake each other.
	Reordered float64
	// Forged sends a push with a wrong signature before the true one.
	Forged float64
	// SlowBody is the time over which a body trickles.
	SlowBody time.Duration
	// Silent takes calls and never answers.
	Silent bool
	// Down closes connections as soon as something is asked.
	Down bool
}

// CallStats counts what a carrier was asked.
type CallStats struct {
	// Calls are HTTP requests of any kind, tokens included.
	Calls int
	// Throttled calls were answered 429, Failed ones 503, and Spoiled ones not
	// at all or with something that cannot be read.
	Throttled, Failed, Spoiled int
	// Asked counts the times that the carrier was asked for a number and had
	// to look it up; Numbers counts them by number. Once a hundred thousand
	// different numbers were asked for, further ones count in Asked alone.
	Asked   int
	Numbers map[string]int
}

// maxCounted bounds CallStats.Numbers.
const maxCounted = 100_000

// trouble is what happens to the first calls about a number.
type trouble struct {
	kind  troubleKind
	times int
}

type troubleKind string

const (
	troubleHTML      troubleKind = "html"
	troubleTruncated troubleKind = "truncated"
	troubleBusy      troubleKind = "busy"
	troubleFailing   troubleKind = "failing"
	troubleSlow      troubleKind = "slow"
)

// weather is the state of one carrier's service.
type weather struct {
	mu       sync.Mutex
	faults   Faults
	d        dice
	tokens   float64 // of the rate limit
	at       time.Time
	stats    CallStats
	troubled map[string]*trouble // by number
}

// forecast is what will happen to one call.
type forecast struct {
	delay, slow                              time.Duration
	down, silent, throttled, failing, halved bool
	html                                     bool
}

// next decides about a call at a wall instant.
func (w *weather) next(now time.Time, t *trouble) forecast {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.faults
	w.stats.Calls++
	c := forecast{down: f.Down, silent: f.Silent, slow: f.SlowBody}
	if f.Latency > 0 {
		sigma := 0.0
		if f.LatencyP99 > f.Latency {
			sigma = math.Log(float64(f.LatencyP99)/float64(f.Latency)) / probit(.99)
		}
		c.delay = LogNormal{f.Latency, sigma}.Quantile(w.d.unit())
	}
	if f.CallsPerSecond > 0 {
		full := math.Max(1, f.CallsPerSecond)
		if w.at.IsZero() {
			w.tokens = full
		} else {
			w.tokens = math.Min(full, w.tokens+now.Sub(w.at).Seconds()*f.CallsPerSecond)
		}
		w.at = now
		if c.throttled = w.tokens < 1; !c.throttled {
			w.tokens--
		}
	}
	// One draw each, needed or not, so that one fault's rate does not change
	// which calls another one hits.
	c.failing, c.html, c.halved = w.d.chance(f.Failing), w.d.chance(f.HTML), w.d.chance(f.Truncated)
	if t != nil && t.times > 0 {
		t.times--
		switch t.kind {
		case troubleHTML:
			c.html = true
		case troubleTruncated:
			c.halved = true
		case troubleBusy:
			c.throttled = true
		case troubleFailing:
			c.failing = true
		case troubleSlow:
			c.delay += 2 * time.Second
		}
	}
	switch {
	case c.down || c.silent:
		w.stats.Spoiled++
	case c.throttled:
		w.stats.Throttled++
	case c.failing:
		w.stats.Failed++
	case c.html || c.halved:
		w.stats.Spoiled++
	}
	return c
}

// asked counts a number that was looked up.
func (w *weather) asked(number string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Asked++
	if _, known := w.stats.Numbers[number]; known || len(w.stats.Numbers) < maxCounted {
		w.stats.Numbers[number]++
	}
}

// telling decides how an answer's scans or a push are told.
func (w *weather) telling() (twice, reordered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.d.chance(w.faults.Duplicated), w.d.chance(w.faults.Reordered)
}

func (w *weather) pushFaults() (f Faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.faults
}

// maxRequest bounds what is read of a request.
const maxRequest = 4 << 20

const page = `<!DOCTYPE html>
<html lang="en"><head><title>Service notice</title></head>
<body><h1>We are improving our service</h1><p>Please try again later.</p></body></html>
`

// through puts a carrier's service into its weather.
func (w *weather) through(service http.Handler, wall clock.Clock) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
		if err != nil {
			http.Error(rw, "request cannot be read", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))

		c := w.next(wall.Now(), w.troubleOf(r, body))
		if c.down {
			panic(http.ErrAbortHandler) // the server's way to cut a connection
		}
		if c.silent {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		if wall.Sleep(r.Context(), c.delay) != nil {
			return
		}
		switch {
		case c.throttled:
			rw.Header().Set("Retry-After", "1")
			http.Error(rw, "too many requests", http.StatusTooManyRequests)
			return
		case c.failing:
			http.Error(rw, "service unavailable", http.StatusServiceUnavailable)
			return
		case c.html:
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(rw, page) // who hung up hears nothing, here and below
			return
		}
		if !c.halved && c.slow <= 0 {
			service.ServeHTTP(rw, r)
			return
		}
		answer := &recorder{header: http.Header{}, status: http.StatusOK}
		service.ServeHTTP(answer, r)
		answer.send(r.Context(), rw, c, wall)
	})
}

// troubleOf finds the trouble of the number that a request is about.
func (w *weather) troubleOf(r *http.Request, body []byte) *trouble {
	for number, t := range w.troubled {
		if strings.Contains(r.URL.Path, number) || strings.Contains(r.URL.RawQuery, number) || bytes.Contains(body, []byte(number)) {
			return t
		}
	}
	return nil
}

// recorder keeps an answer, to be spoiled.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header         { return a.header }
func (a *recorder) WriteHeader(status int)      { a.status = status }
func (a *recorder) Write(b []byte) (int, error) { return a.body.Write(b) }

// slowPieces is into how many pieces a slow body is cut.
const slowPieces = 20

func (a *recorder) send(ctx context.Context, rw http.ResponseWriter, c forecast, wall clock.Clock) {
	body := a.body.Bytes()
	if c.halved {
		body = body[:len(body)/2]
	}
	for key, values := range a.header {
		rw.Header()[key] = values
	}
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	rw.WriteHeader(a.status)
	if c.slow <= 0 {
		_, _ = rw.Write(body)
		return
	}
	flush := http.NewResponseController(rw)
	for i := range slowPieces {
		_, err := rw.Write(body[len(body)*i/slowPieces : len(body)*(i+1)/slowPieces])
		if err != nil || flush.Flush() != nil || wall.Sleep(ctx, c.slow/slowPieces) != nil {
			return
		}
	}
}

// Weathered is a service behind faults: what a carrier of a Network stands in,
// for measurements that bring a service of their own. It is safe for concurrent
// use.
type Weathered struct {
	weather weather
	handler http.Handler
}

// Behind puts a service behind faults. Seed decides which calls they hit; wall
// runs delays and limits.
func Behind(f Faults, seed uint64, service http.Handler, wall clock.Clock) *Weathered {
	w := &Weathered{weather: weather{faults: f, d: newDice(seed, 1), stats: CallStats{Numbers: map[string]int{}}, troubled: map[string]*trouble{}}}
	w.handler = w.weather.through(service, wall)
	return w
}

// ServeHTTP serves what comes through.
func (w *Weathered) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }

// Set changes the faults from the next call on.
func (w *Weathered) Set(f Faults) {
	w.weather.mu.Lock()
	defer w.weather.mu.Unlock()
	w.weather.faults = f
}

// Stats are the calls so far; Asked and Numbers stay empty.
func (w *Weathered) Stats() CallStats {
	w.weather.mu.Lock()
	defer w.weather.mu.Unlock()
	s := w.weather.stats
	s.Numbers = nil
	return s
}
