package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
)

func TestRound(t *testing.T) {
	body := strings.Repeat("x", 3000)
	addr, stop, err := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func(path string) target {
		return target{addr, func(to []byte, _ int) []byte { return get(to, path) }}
	}
	t.Run("bounded in count", func(t *testing.T) {
		r, err := round(t.Context(), clock.Wall(), ask("/"), Load{Connections: 4, Time: time.Minute, Requests: 1000})
		if err != nil || r.Requests != 1000 || r.Bytes != 1000*3000 || r.P50 <= 0 || r.P99 < r.P50 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("bounded in time", func(t *testing.T) {
		r, err := round(t.Context(), clock.Wall(), ask("/"), Load{Connections: 2, Time: 50 * time.Millisecond, Requests: 1 << 40})
		if err != nil || r.Requests == 0 || r.Took > 10*time.Second {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("an error is told", func(t *testing.T) {
		if _, err := round(t.Context(), clock.Wall(), ask("/fails"), Load{Connections: 1, Time: time.Minute, Requests: 10}); err == nil || !strings.Contains(err.Error(), "418") {
			t.Errorf("%v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := round(ctx, clock.Wall(), ask("/"), Load{Connections: 1, Time: time.Minute, Requests: 10}); err == nil {
			t.Error("went on")
		}
	})
	t.Run("once", func(t *testing.T) {
		got, err := once(t.Context(), ask("/"), 0)
		if err != nil || string(got) != body {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestSame(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{`{"a":[1,"x",null]}`, `{"a":[1,"x",null]}`, true},
		{`{"a":1}`, `{"a":2}`, false},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":null}`, `{"b":null}`, false},
		{`["a","b"]`, `["b","a"]`, false},
		{`"2026-11-22T14:05:00Z"`, `"2026-11-22T16:05:00+02:00"`, true},
		{`"2026-11-22T14:05:00Z"`, `"2026-11-22T14:05:01Z"`, false},
		{`"x"`, `1`, false},
	}
	for _, tt := range tests {
		var a, b any
		if err := errors.Join(json.Unmarshal([]byte(tt.a), &a), json.Unmarshal([]byte(tt.b), &b)); err != nil {
			t.Fatal(err)
		}
		if got := same(a, b); got != tt.want {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
	}
}

func TestComparison(t *testing.T) {
	rate := func(n int) Rate { return Rate{Requests: n, Took: time.Second} }
	c := Comparison{Name: "page", Unit: "requests", Ours: []Rate{rate(10), rate(900), rate(80)}, Plain: []Rate{rate(100), rate(1), rate(5000)}, Bar: 0.75}
	if c.Ratio() != 0.8 || !c.Holds() {
		t.Errorf("ratio %v", c.Ratio())
	}
	var b bytes.Buffer
	c.Print(&b)
	want := "page\n  milepost             80 requests/s\n  hand-written        100 requests/s\n  ratio              0.80   (holds: at least 0.75)\n"
	if b.String() != want {
		t.Errorf("printed %q", b.String())
	}
	c.Ours[0].CPU, c.Plain[0].CPU = 99*time.Millisecond, 2550500*time.Microsecond
	if got := c.CPURatio(); got != 5 {
		t.Errorf("ratio of the processor time %v", got)
	}
	if own, ok := used("self"); !ok || own < 0 {
		t.Logf("this system does not tell processor time")
	}
	if (Comparison{}).Ratio() != 0 || (Comparison{}).CPURatio() != 0 {
		t.Error("nothing was measured, and it has a ratio")
	}
}

func TestOptions(t *testing.T) {
	wire := func(context.Context, string, []ingest.Account) (*Stack, error) { return nil, errors.New("not wired") }
	for name, o := range map[string]Options{
		"nothing":                  {},
		"too few shipments":        {Postgres: "postgres://x", Wire: wire, Shipments: 10},
		"too many shipments":       {Postgres: "postgres://x", Wire: wire, Shipments: 1 << 30},
		"a server that is no URL":  {Postgres: "host=x", Wire: wire},
		"a server that is not one": {Postgres: "postgres://127.0.0.1:1/x?connect_timeout=1", Wire: wire},
	} {
		if _, err := Reading(t.Context(), o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTail(t *testing.T) {
	var said tail
	for i := range 2000 {
		fmt.Fprintf(&said, "line %d\n", i)
	}
	if s := said.String(); len(s) > 4<<10 || !strings.HasSuffix(s, "line 1999\n") {
		t.Errorf("%d bytes", len(s))
	}
}

func TestZipfDrawsByRank(t *testing.T) {
	z := newZipf(1000)
	sum := 0.0
	for i := range 1000 {
		sum += 1 / float64(i+1)
	}
	// The inverse of the distribution: a uniform number just below the share of
	// the first k ranks draws rank k-1, just above it the next.
	share := 0.0
	for k := 1; k < 1000; k++ {
		share += 1 / float64(k) / sum
		if below, above := z.draw(share-1e-9), z.draw(share+1e-9); below != k-1 || above != k {
			t.Fatalf("around the share of %d ranks: %d and %d", k, below, above)
		}
	}
	if z.draw(0) != 0 || z.draw(.9999999999) != 999 {
		t.Errorf("ends are %d and %d", z.draw(0), z.draw(.9999999999))
	}
}

func TestBarsOfTheStorefront(t *testing.T) {
	good := Shopping{Queries: 100, Calls: 10, Wait: 300 * time.Millisecond, P99: 320 * time.Millisecond}
	if missed := good.Missed(); len(missed) != 0 {
		t.Errorf("missed %q, want none", missed)
	}
	bad := Shopping{Queries: 100, Calls: 11, Early: 1, Failed: 1, Wait: 300 * time.Millisecond, P99: 321 * time.Millisecond}
	if missed := bad.Missed(); len(missed) != 4 {
		t.Errorf("missed %q, want all four", missed)
	}
	calm := sight{latency: 10 * time.Millisecond, age: time.Second}
	for _, tt := range []struct {
		latency, age time.Duration
		failed       int
		want         bool
	}{{11 * time.Millisecond, time.Second, 0, false}, {10900 * time.Microsecond, 1090 * time.Millisecond, 0, true}, {time.Millisecond, 1100 * time.Millisecond, 0, false}, {time.Millisecond, time.Second, 1, false}} {
		d := Disturbance{Latency: tt.latency, Age: tt.age, Failed: tt.failed, LatencyMoved: moved(tt.latency, calm.latency), AgeMoved: moved(tt.age, calm.age)}
		if d.Holds() != tt.want {
			t.Errorf("%+v holds %v", d, d.Holds())
		}
	}
}
