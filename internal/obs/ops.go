package obs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// probeTime bounds how long /readyz waits for its probes: less than the
// second or more that orchestrators allow would call a busy store dead.
const probeTime = 2 * time.Second

// Ops is what the operations port shows. It is meant for a private address:
// it asks nobody who they are. A nil field is left out of the answers.
type Ops struct {
	Build    Build
	Registry *prometheus.Registry
	// Ready are probes by name. The gateway is ready when all return nil
	// within two seconds; they are called at the same time, from any number
	// of requests.
	Ready map[string]func(context.Context) error
	// Stats returns what /stats answers, as JSON.
	Stats func() any
	// More is served besides, by pattern of [http.ServeMux].
	More map[string]http.Handler
}

// OpsHandler serves the operations port:
//
//	/healthz       200 while the process answers; says what is running
//	/readyz        200 when every probe passes, else 503; says which failed
//	/metrics       Prometheus metrics
//	/stats         JSON of live numbers, for tests and for a quick look
//	/debug/pprof/  profiles
func OpsHandler(o Ops) http.Handler {
	mux := http.NewServeMux()
	probes := newProbes(o.Ready)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, struct {
			Status string `json:"status"`
			Build
		}{"ok", o.Build})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		told, ready := probes.run(r.Context())
		body := struct {
			Status string            `json:"status"`
			Probes map[string]string `json:"probes"`
		}{"ready", told}
		if !ready {
			body.Status = "not ready"
			answer(w, http.StatusServiceUnavailable, body)
			return
		}
		answer(w, http.StatusOK, body)
	})
	if o.Stats != nil {
		mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, o.Stats())
		})
	}
	if o.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{Registry: o.Registry}))
	}
	for pattern, h := range o.More {
		mux.Handle(pattern, h)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // addresses in the body
	// pprof.Cmdline is left out: flags can hold a key or a store's password.
	return mux
}

// probes runs each probe at most once at a time, so that one which hangs
// holds a single goroutine however often /readyz is asked.
type probes map[string]probe

type probe struct {
	run  func(context.Context) error
	turn chan struct{} // holds a value while run runs
}

func newProbes(run map[string]func(context.Context) error) probes {
	all := make(probes, len(run))
	for name, r := range run {
		all[name] = probe{run: r, turn: make(chan struct{}, 1)}
	}
	return all
}

// run calls all probes at once and tells of each "ok" or what is wrong.
func (all probes) run(ctx context.Context) (told map[string]string, ready bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTime, errors.New("no answer within "+probeTime.String()))
	defer cancel()
	type outcome struct {
		name string
		err  error
	}
	// Room for all, so that a probe that ignores its context ends into the
	// buffer and not in a send that nobody receives.
	outcomes := make(chan outcome, len(all))
	for name, p := range all {
		go func() { outcomes <- outcome{name, p.try(ctx)} }()
	}
	told = make(map[string]string, len(all))
	for range all {
		select {
		case o := <-outcomes:
			told[o.name] = "ok"
			if o.err != nil {
				told[o.name] = Redact(o.err.Error())
			}
		case <-ctx.Done():
		}
	}
	ready = true
	for name := range all {
		if told[name] == "" {
			told[name] = context.Cause(ctx).Error()
		}
		ready = ready && told[name] == "ok"
	}
	return told, ready
}

func (p probe) try(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
		return p.run(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}
