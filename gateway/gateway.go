package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/internal/clock"
)

// Options are what a [Gateway] is made of. Only Schema is needed.
type Options struct {
	// Schema executes what the gateway lets through.
	Schema graphql.ExecutableSchema
	// Keys finds API keys. Without it every key is refused.
	Keys KeyStore
	// Wall is the time of deadlines, keys and heartbeats; clock.Wall if nil.
	Wall clock.Clock
	// Log takes what nobody can be told: references of internal errors with
	// their causes. Nil discards it.
	Log *slog.Logger
	// Loaders returns a context with what resolvers keep for one request. It
	// is called once for each query and mutation, and once for each event of
	// a subscription, so that nothing is remembered from event to event.
	Loaders func(context.Context) context.Context
	// Limits bound requests; its zero value has the defaults.
	Limits Limits
	// Public are the fields of Query, Mutation and Subscription that may be
	// asked without a key; ["track"] if nil.
	Public []string
	// OpenSchema lets anyone read the schema, by introspection and at
	// /schema.graphql. Otherwise that takes a key with the scope INTROSPECT.
	OpenSchema bool
	// Origins are the web origins whose pages may ask, such as
	// "https://shop.example"; "*" is any. The gateway's own is always allowed.
	Origins []string
	// Hooks takes webhooks of carriers in; without it there are none.
	Hooks Hooks
	// Exports gives the change log away at /export/changes.jsonl; without it
	// nothing is there.
	Exports Exports
	// Pages answers every path that is not the gateway's own; a plain page
	// that tells what is here if nil.
	Pages http.Handler
	// DrainTime is over how long Shutdown spreads the closing of sockets, so
	// that their clients do not all come back at once: 2 s if zero.
	DrainTime time.Duration
}

// Gateway is the front door. It is safe for concurrent use.
type Gateway struct {
	Options
	present   graphql.ErrorPresenterFunc
	recovered graphql.RecoverFunc
	exec      *executor.Executor
	schema    *ast.Schema
	rules     *rules.Rules
	prices    *prices
	documents *documentCache
	keys      *keys
	public    map[string]bool
	sdl       []byte
	work      work
	open      connections
	hookTurns chan struct{}
	// exportTurns bounds exports under way.
	exportTurns chan struct{}
	buffers     sync.Pool
}

// New makes a gateway. It returns an error for options that contradict each
// other, or a schema whose cost directives cannot be read.
func New(o Options) (*Gateway, error) {
	if o.Schema == nil {
		return nil, errors.New("gateway: no schema")
	}
	if o.Wall == nil {
		o.Wall = clock.Wall()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Loaders == nil {
		o.Loaders = func(ctx context.Context) context.Context { return ctx }
	}
	if o.Public == nil {
		o.Public = []string{"track"}
	}
	if o.DrainTime == 0 {
		o.DrainTime = 2 * time.Second
	}
	var err error
	if o.Limits, err = o.Limits.withDefaults(); err != nil {
		return nil, err
	}
	for _, origin := range o.Origins {
		if scheme, host, ok := strings.Cut(origin, "://"); origin != "*" && (!ok || scheme == "" || host == "" || strings.ContainsAny(host, "/*?#")) {
			return nil, fmt.Errorf("gateway: origin %q is not of the form https://host[:port]", origin)
		}
	}
	presenter := graph.NewPresenter(o.Log)
	g := &Gateway{
		Options:   o,
		present:   presenter.Present,
		recovered: presenter.Recover,
		exec:      executor.New(o.Schema),
		schema:    o.Schema.Schema(),
		rules:     validationRules(),
		documents: newDocumentCache(),
		public:    map[string]bool{"__typename": true},
		hookTurns: make(chan struct{}, o.Limits.HooksAtOnce),

		exportTurns: make(chan struct{}, exportsAtOnce),
	}
	if g.prices, err = readPrices(g.schema); err != nil {
		return nil, err
	}
	for _, name := range o.Public {
		g.public[name] = true
	}
	g.keys = newKeys(o.Keys, o.Wall, func(msg string, args ...any) { o.Log.Warn(msg, args...) })
	g.sdl = printSchema(g.schema)
	g.open.all = map[connection]*atomic.Bool{}
	g.open.wall = o.Wall
	g.open.every = min(o.Limits.Heartbeat, o.Limits.InitTime) / 4
	g.buffers.New = func() any { return new([]byte) }
	if g.Pages == nil {
		g.Pages = builtInPages(g)
	}
	g.exec.SetErrorPresenter(g.present)
	g.exec.SetRecoverFunc(g.recovered)
	return g, nil
}

// Handler serves all that the gateway has:
//
//	/graphql                      GraphQL: POST, GET, WebSocket, event streams
//	/schema.graphql               the schema, where it is open or to its scope
//	/hooks/{carrier}/{endpoint}   carriers' webhooks
//	/export/changes.jsonl         the change log, as JSON lines
//	/...                          pages
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/graphql", g.serveGraphQL)
	mux.HandleFunc("/schema.graphql", g.serveSchema)
	mux.HandleFunc("/hooks/{carrier}/{endpoint}", g.serveHook)
	mux.HandleFunc("/export/changes.jsonl", g.serveExport)
	mux.Handle("/", g.Pages)
	return g.guard(mux)
}

// guard does for every request what all of them need: it counts them for the
// drain, sets deadlines and the headers of safety, and keeps a panic from
// reaching the client.
func (g *Gateway) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		if !g.work.begin() {
			h.Set("Connection", "close")
			g.refuseHTTP(w, r, http.StatusServiceUnavailable, g.unavailable("The gateway is going down; ask again."))
			return
		}
		defer g.work.end()
		// A connection is used again: what the last request set is undone.
		control := http.NewResponseController(w)
		now := g.Wall.Now()
		if r.Body != http.NoBody {
			control.SetReadDeadline(now.Add(g.Limits.ReadTime))
		} else {
			// The server listens for the client to leave, and would take a
			// deadline for its leaving.
			control.SetReadDeadline(time.Time{})
		}
		control.SetWriteDeadline(now.Add(g.Limits.ReadTime + g.Limits.RunTime + g.Limits.WriteTime))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				g.refuseHTTP(w, r, http.StatusInternalServerError, g.present(r.Context(), g.recovered(r.Context(), p)))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// NewServer returns an HTTP server for a handler, with bounds on how long a
// peer may take to send a request's head and how long it may stay idle.
// Bodies, answers and streams are bounded by the handler, each in its way.
func (g *Gateway) NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(g.Log.Handler(), slog.LevelDebug),
	}
}

// Serve accepts connections until ctx is done, then drains: it closes the
// listener, refuses new work, tells sockets to go, and gives what is under
// way up to grace to end. It returns nil after a complete drain.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener, grace time.Duration) error {
	server := g.NewServer(g.Handler())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("gateway: serve: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	drained := g.Shutdown(limit)
	stopped := server.Shutdown(limit)
	if stopped != nil {
		server.Close()
	}
	<-served
	return errors.Join(drained, stopped)
}

// Shutdown refuses new work, tells open sockets and streams to go, spread
// over DrainTime, and waits until all that is under way has ended, or until
// ctx is done, whose error it then returns. Calling it again waits again.
func (g *Gateway) Shutdown(ctx context.Context) error {
	idle := g.work.close()
	g.open.drain(ctx, g.DrainTime)
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: %d requests and %d sockets have not ended: %w", g.work.count(), g.open.count(), context.Cause(ctx))
	}
}

// Stats are live numbers of the front door.
type Stats struct {
	// Sockets are open WebSockets and event streams.
	Sockets int `json:"sockets"`
	// Subs are subscriptions under way on all of them.
	Subs int `json:"subs"`
	// Requests are HTTP requests under way, sockets among them.
	Requests int `json:"requests"`
	// Documents are parsed and validated documents that are remembered.
	Documents int `json:"documents"`
}

// Stats counts what is under way now.
func (g *Gateway) Stats() Stats {
	return Stats{
		Sockets:   g.open.count(),
		Subs:      int(g.open.subs.Load()),
		Requests:  g.work.count(),
		Documents: g.documents.count(),
	}
}

// work counts requests, so that a drain knows when all have ended.
type work struct {
	mu      sync.Mutex
	n       int
	closing bool
	idle    chan struct{} // closed when closing and n is 0
}

func (w *work) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return false
	}
	w.n++
	return true
}

func (w *work) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n--
	if w.closing && w.n == 0 {
		close(w.idle)
	}
}

func (w *work) close() (idle <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closing {
		w.closing = true
		w.idle = make(chan struct{})
		if w.n == 0 {
			close(w.idle)
		}
	}
	return w.idle
}

func (w *work) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// validationRules are the rules of the specification without suggestions,
// which would tell names of a schema that is not open, and with field merging
// in linear time.
func validationRules() *rules.Rules {
	return rules.NewRules(
		fieldsMergeRule(),
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownDirectivesRule,
		rules.KnownFragmentNamesRule,
		rules.KnownRootTypeRule,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.LoneAnonymousOperationRule,
		rules.MaxIntrospectionDepth,
		rules.NoFragmentCyclesRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		rules.NoUnusedVariablesRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.SingleFieldSubscriptionsRule,
		rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
	)
}
