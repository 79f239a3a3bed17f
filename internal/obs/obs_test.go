package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/milepost-gateway/milepost/internal/obs"
)

func TestLoggerKeepsSecretsOut(t *testing.T) {
	address, err := url.Parse("postgres://milepost:sesame@db/milepost")
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]slog.Attr{
		"token":                slog.String("token", "sesame"),
		"snake":                slog.String("client_secret", "sesame"),
		"camel":                slog.String("apiKey", "sesame"),
		"header name":          slog.String("X-Auth-Token", "sesame"),
		"capitals":             slog.String("PASSWORD", "sesame"),
		"plural":               slog.Any("secrets", []string{"sesame"}),
		"authorization":        slog.String("authorization", "sesame"),
		"struct under a name":  slog.Any("credentials", struct{ A string }{"sesame"}),
		"bytes under a name":   slog.Any("key", []byte("sesame")),
		"inside a group":       slog.Group("request", slog.Group("token", slog.String("value", "sesame"))),
		"address":              slog.String("store", "postgres://milepost:sesame@db/milepost"),
		"address, odd letters": slog.String("store", "postgres://milepost:a/b#sesame@db/milepost"),
		"parsed address":       slog.Any("store", address),
		"error":                slog.Any("err", fmt.Errorf("dial: %w", errors.New("postgres://milepost:sesame@db: refused"))),
		"bearer in a text":     slog.String("line", "Authorization: Bearer sesame-sesame-sesame"),
		"api key in a text":    slog.String("line", "asked with mp_live_sesame1234"),
		"query":                slog.String("url", "/t?a=b&access_token=sesame&c=d"),
		"list":                 slog.Any("urls", []string{"https://u:sesame@host/"}),
		"headers":              slog.Any("headers", http.Header{"Authorization": {"sesame"}, "Webhook-Signature": {"sesame"}, "Set-Cookie": {"sesame"}, "Referer": {"https://a/?token=sesame"}}),
	}
	for _, format := range []string{"text", "json"} {
		for name, attr := range secrets {
			t.Run(format+"/"+name, func(t *testing.T) {
				var b bytes.Buffer
				log, err := obs.NewLogger(&b, format, nil)
				if err != nil {
					t.Fatal(err)
				}
				log.Info("asked", attr)
				log.With(attr).Info("with mp_live_sesame1234")
				log.WithGroup("g").Info("asked", attr)
				if strings.Contains(b.String(), "sesame") {
					t.Errorf("%s", b.String())
				}
				if !strings.Contains(b.String(), obs.Redacted) {
					t.Errorf("nothing says that something was left out: %s", b.String())
				}
			})
		}
	}
}

func TestLoggerLeavesTheRestAlone(t *testing.T) {
	var b bytes.Buffer
	log, err := obs.NewLogger(&b, "json", slog.LevelDebug)
	if err != nil {
		t.Fatal(err)
	}
	var nobody *url.URL
	log.Debug("basic configuration of the bearer, read",
		"tokens", 120, "key_ttl", time.Second, "monkey", "ape", "carrier", "ups",
		"peer", netip.MustParseAddr("127.0.0.1"), "mail", "ann@example.org", "url", "https://a.example/x?first=3",
		"when", time.Date(2025, 3, 1, 8, 0, 0, 0, time.FixedZone("", 3600)), "nil", nil, "nobody", nobody)
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if at, _ := got["time"].(string); !strings.HasSuffix(at, "Z") {
		t.Errorf("time %v, want UTC", got["time"])
	}
	delete(got, "time")
	want := map[string]any{
		"level": "DEBUG", "msg": "basic configuration of the bearer, read",
		"tokens": 120.0, "key_ttl": 1e9, "monkey": "ape", "carrier": "ups",
		"peer": "127.0.0.1", "mail": "ann@example.org", "url": "https://a.example/x?first=3",
		"when": "2025-03-01T07:00:00Z", "nil": nil, "nobody": "!PANIC",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestLoggerLevelAndFormat(t *testing.T) {
	var b bytes.Buffer
	log, err := obs.NewLogger(&b, "text", nil)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not told")
	if b.Len() > 0 {
		t.Errorf("a nil level let through %s", b.String())
	}
	if _, err := obs.NewLogger(&b, "xml", nil); err == nil {
		t.Error("format xml was taken")
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestOpsHandler(t *testing.T) {
	build := obs.Build{Version: "1.2.3", Revision: "abc", Go: "go1.26"}
	registry := obs.NewRegistry(build)
	obs.NewMetrics(registry, "gateway").Counter("requests_total", "Requests answered.", "code").WithLabelValues("200").Add(3)
	h := obs.OpsHandler(obs.Ops{
		Build:    build,
		Registry: registry,
		Stats:    func() any { return map[string]int{"sockets": 4} },
		Ready:    map[string]func(context.Context) error{"store": func(context.Context) error { return nil }},
		More: map[string]http.Handler{"GET /things/{name}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "thing %s", r.PathValue("name"))
		})},
	})
	tests := []struct {
		path string
		code int
		want string
	}{
		{"/healthz", 200, `{"status":"ok","version":"1.2.3","revision":"abc","go":"go1.26"}`},
		{"/readyz", 200, `{"status":"ready","probes":{"store":"ok"}}`},
		{"/stats", 200, `{"sockets":4}`},
		{"/metrics", 200, `milepost_gateway_requests_total{code="200"} 3`},
		{"/metrics", 200, `milepost_build_info{go="go1.26",modified="false",revision="abc",version="1.2.3"} 1`},
		{"/metrics", 200, `go_goroutines `},
		{"/debug/pprof/", 200, `goroutine`},
		{"/debug/pprof/goroutine?debug=1", 200, `goroutine profile`},
		{"/debug/pprof/symbol", 200, `num_symbols`},
		{"/debug/pprof/cmdline", 404, `Unknown profile`},
		{"/things/one", 200, `thing one`},
		{"/elsewhere", 404, ``},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			code, body := get(t, h, tt.path)
			if code != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d and %s in it", code, body, tt.code, tt.want)
			}
		})
	}
}

func TestOpsHandlerOfNothing(t *testing.T) {
	h := obs.OpsHandler(obs.Ops{})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/stats": 404, "/metrics": 404} {
		if code, body := get(t, h, path); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}

func TestStatsThatCannotBeWritten(t *testing.T) {
	h := obs.OpsHandler(obs.Ops{Stats: func() any { return func() {} }})
	if code, _ := get(t, h, "/stats"); code != 500 {
		t.Errorf("code %d, want 500", code)
	}
}

func TestReadiness(t *testing.T) {
	tests := []struct {
		name   string
		probes map[string]func(context.Context) error
		code   int
		want   string
	}{
		{"one fails, without its password", map[string]func(context.Context) error{
			"store": func(context.Context) error { return errors.New("dial postgres://u:sesame@db") },
			"hub":   func(context.Context) error { return nil },
		}, 503, `{"status":"not ready","probes":{"hub":"ok","store":"dial postgres://[redacted]@db"}}`},
		{"one hangs", map[string]func(context.Context) error{
			"store": func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
			"hub":   func(context.Context) error { return nil },
		}, 503, `{"status":"not ready","probes":{"hub":"ok","store":"no answer within 2s"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				code, body := get(t, obs.OpsHandler(obs.Ops{Ready: tt.probes}), "/readyz")
				if code != tt.code || strings.TrimSpace(body) != tt.want {
					t.Errorf("%d %s, want %d %s", code, body, tt.code, tt.want)
				}
			})
		})
	}
}

// TestHangingProbeHoldsOneGoroutine asks again and again while a probe that
// ignores its context hangs.
func TestHangingProbeHoldsOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int64
		h := obs.OpsHandler(obs.Ops{Ready: map[string]func(context.Context) error{
			"store": func(context.Context) error { calls.Add(1); <-release; return nil },
		}})
		for range 5 {
			if code, _ := get(t, h, "/readyz"); code != 503 {
				t.Errorf("code %d, want 503", code)
			}
		}
		if calls.Load() != 1 {
			t.Errorf("%d calls hang, want 1", calls.Load())
		}
		close(release)
		synctest.Wait()
		if code, body := get(t, h, "/readyz"); code != 200 {
			t.Errorf("after it came back: %d %s", code, body)
		}
	})
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := obs.NewMetrics(registry, "ingest")
	m.Gauge("queue", "Payloads that wait.").WithLabelValues().Set(2)
	m.GaugeFunc("position", "Highest position rung.", func() float64 { return 9 })
	obs.Observe(m.Seconds("decode_seconds", "Time to decode.", "carrier").WithLabelValues("ups"), 30*time.Millisecond)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		if h := f.GetMetric()[0].GetHistogram(); h != nil && h.GetSampleSum() != 0.03 {
			t.Errorf("%s: sum %v, want 0.03", f.GetName(), h.GetSampleSum())
		}
	}
	if diff := cmp.Diff([]string{"milepost_ingest_decode_seconds", "milepost_ingest_position", "milepost_ingest_queue"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}

	var none obs.Metrics // a part that was given no registry counts all the same
	none.Counter("x_total", "x").WithLabelValues().Inc()
	none.Counter("x_total", "x").WithLabelValues().Inc()
}

func TestBuild(t *testing.T) {
	if b := obs.ReadBuild(); b.Version != obs.Version || b.Go == "" {
		t.Errorf("ReadBuild = %+v", b)
	}
	for want, b := range map[string]obs.Build{
		"milepost 1.2.3": {Version: "1.2.3"},
		"milepost 1.2.3 (0123456789ab, modified) built with go1.26.8": {Version: "1.2.3", Revision: "0123456789abcdef", Modified: true, Go: "go1.26.8"},
	} {
		if got := b.String(); got != want {
			t.Errorf("String = %s, want %s", got, want)
		}
	}
}

func BenchmarkLog(b *testing.B) {
	log, err := obs.NewLogger(discard{}, "json", nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		log.Info("request", "method", "POST", "path", "/graphql", "status", 200, "took", time.Millisecond, "merchant", "aurora")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
