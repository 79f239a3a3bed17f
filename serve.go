package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/milepost-gateway/milepost/carriers/declared"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/ingest/drops"
	"github.com/milepost-gateway/milepost/internal/bus"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/internal/obs"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
	"github.com/milepost-gateway/milepost/storage"
)

// serve runs the gateway until ctx is done.
func serve(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog, c *serveCommand) error {
	doors, err := openDoors(c.doorFlags)
	if err != nil {
		return err
	}
	defer doors.close()
	// The operations port answers before the store does: a migration may take
	// its time, and whoever watches should see it.
	ops := startOps(doors.ops, log, nil)
	defer ops.stop()
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	b := binding{catalog: cat, http: newHTTPClient(), wall: con.wall, log: log, gates: ingest.NewGates(s, con.wall, log)}
	cat.tell(log)
	accounts, err := b.accounts(file, merchantIDs(ctx, s))
	if err != nil {
		return err
	}
	sources, err := dropSources(file, accounts)
	if err != nil {
		return err
	}
	wall := clock.Wall()
	srv, err := newServer(ctx, serverParts{
		store: s, catalog: cat, accounts: accounts, sources: sources, trade: wall, wall: wall, log: log, registry: ops.registry,
		rebind: func(before []ingest.Account, old map[string]declared.Carrier) []ingest.Account {
			return b.rebind(file, before, old, merchantIDs(ctx, s))
		},
		openSchema: c.OpenSchema, origins: c.Origins, drain: c.DrainTimeout, poll: !c.NoPoll, keepLog: c.LogRetention,
	})
	if err != nil {
		return err
	}
	ops.watch(srv)
	con.printf("milepost  %s/\nGraphQL   %s/graphql\n", doors.url(), doors.url())
	if doors.ops != nil {
		con.printf("health    http://%s/readyz\n", doors.ops.Addr())
	}
	return srv.run(ctx, doors.front)
}

// doors are the listeners.
type doors struct{ front, ops net.Listener }

// openDoors listens first of all, so that a port that is taken is told before
// anything else is begun.
func openDoors(f doorFlags) (doors, error) {
	var d doors
	var err error
	if d.front, err = net.Listen("tcp", f.Listen); err != nil {
		return d, fmt.Errorf("--listen: %w; give another address", err)
	}
	if f.OpsListen == "-" {
		return d, nil
	}
	if d.ops, err = net.Listen("tcp", f.OpsListen); err != nil {
		d.close()
		return d, fmt.Errorf("--ops-listen: %w; give another address, or - for none", err)
	}
	return d, nil
}

func (d doors) close() {
	for _, l := range []net.Listener{d.front, d.ops} {
		if l != nil {
			l.Close()
		}
	}
}

// url is where a browser on this machine finds the front door.
func (d doors) url() string {
	at, err := reachable(d.front.Addr().String())
	if err != nil {
		at = d.front.Addr().String()
	}
	return (&url.URL{Scheme: "http", Host: at}).String()
}

// serverParts is what a server is made of.
type serverParts struct {
	store    *storage.Store
	catalog  *catalog // nil for the carriers built in
	accounts []ingest.Account
	// rebind gives the accounts after descriptions of carriers have changed;
	// nil follows no change.
	rebind  func(before []ingest.Account, old map[string]declared.Carrier) []ingest.Account
	sources []drops.Source // of files
	// trade time for parcels, wall time for machines.
	trade, wall clock.Clock
	log         *slog.Logger
	registry    *prometheus.Registry
	openSchema  bool
	origins     []string
	drain       time.Duration
	keepLog     retention
	poll        bool
	pollEvery   time.Duration // 0 for the default
	parallel    int           // calls at once to one account; 0 for the default
}

// server is a running gateway: one road in, one memory, the roads out.
type server struct {
	serverParts
	bell     *bus.Bus
	ingest   *ingest.Ingest
	drops    *drops.Watcher // nil without sources
	resolver *resolvers.Resolver
	gateway  *gateway.Gateway
	pruner   *pruner
	began    time.Time
	draining atomic.Bool
}

// newServer introduces the rooms to each other. It starts nothing that run
// does not end.
func newServer(ctx context.Context, p serverParts) (*server, error) {
	s := &server{serverParts: p, bell: bus.New(), began: p.wall.Now()}
	secret, cursors, err := cursorsOf(ctx, p.store)
	if err != nil {
		return nil, err
	}
	// What other processes wrote before this one began rings no bell.
	if _, head, err := p.store.LogBounds(ctx); err == nil {
		s.bell.Ring(head)
	}
	if s.ingest, err = ingest.New(ingest.Options{
		Store: memory{p.store}, Writers: writers(p.store), Accounts: p.accounts, Bell: s.bell, Trade: p.trade, Wall: p.wall, Log: p.log, PollEvery: p.pollEvery, Parallel: p.parallel,
	}); err != nil {
		return nil, err
	}
	if len(p.sources) > 0 {
		if s.drops, err = drops.New(drops.Options{Sources: p.sources, Store: p.store, Accept: s.ingest.Accept, Wall: p.wall, Log: p.log}); err != nil {
			return nil, errors.Join(err, s.ingest.Close())
		}
	}
	r, err := resolvers.New(resolvers.Options{
		Store: reads{p.store}, Ingest: s.ingest, Bell: s.bell, Trade: p.trade, Wall: p.wall, Secret: secret,
		Carriers: carrierViews(p.catalog), Identify: guesses, Log: p.log,
	})
	if err != nil {
		return nil, errors.Join(err, s.ingest.Close())
	}
	s.resolver = r
	if s.gateway, err = gateway.New(gateway.Options{
		Schema: r.Schema(), Keys: keyring{p.store}, Wall: p.wall, Log: p.log, Loaders: r.WithLoaders,
		OpenSchema: p.openSchema, Origins: p.origins, Hooks: pushes{s.ingest}, Exports: exports{p.store, cursors},
	}); err != nil {
		return nil, errors.Join(err, s.ingest.Close())
	}
	s.pruner = newPruner(p.store, p.keepLog, p.trade, p.wall, p.log)
	if p.registry != nil {
		p.registry.MustRegister(&numbers{s}, s.pruner.removed)
		if s.drops != nil {
			p.registry.MustRegister(dropNumbers{s.drops})
		}
	}
	return s, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(b)
	return b
}

// guesses tells whose number it may be, as the resolvers ask it.
func guesses(number string, origin, destination parcel.Country) []resolvers.Guess {
	found := identify.IdentifyFor(number, identify.Context{Origin: origin, Destination: destination})
	out := make([]resolvers.Guess, len(found))
	for i, c := range found {
		out[i] = resolvers.Guess{Carrier: c.Carrier, Confidence: c.Confidence, Rule: c.Rule, CheckDigitValid: c.CheckValid, Country: c.Country, Fit: view.Fit(c.Fit)}
		for _, n := range c.Needs {
			out[i].Needs = append(out[i].Needs, view.Need(strings.ToUpper(n)))
		}
	}
	return out
}

// run serves until ctx is done, then drains: no new work comes in, what is
// under way ends, carriers are no longer asked, and what was accepted is
// written. Every goroutine has ended when it returns.
func (s *server) run(ctx context.Context, front net.Listener) error {
	var work sync.WaitGroup
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	var pollErr error
	if s.poll {
		work.Go(func() { pollErr = s.ingest.Poll(asking) })
	}
	if s.poll && s.drops != nil {
		work.Go(func() { s.drops.Run(asking) })
	}
	work.Go(func() { s.listenToOthers(asking) })
	work.Go(func() { s.pruner.run(asking) })
	if s.rebind != nil {
		work.Go(func() { s.followCatalog(asking) })
	}
	work.Go(func() {
		if err := s.ingest.Beat(asking); err != nil {
			s.log.Debug("the last word about carriers was not written", "error", err)
		}
	})
	context.AfterFunc(ctx, func() {
		s.draining.Store(true)
		s.log.Info("going down: no new work, what is under way may end", "within", s.drain)
	})
	err := s.gateway.Serve(ctx, front, s.drain)
	stopAsking()
	work.Wait()
	return errors.Join(err, pollErr, s.ingest.Close())
}

// followCatalog puts changed descriptions of carriers in force. Calls under way
// end by the ones with which they began.
func (s *server) followCatalog(ctx context.Context) {
	old := s.catalog.declaredNow()
	s.catalog.watch(ctx, func() {
		s.catalog.tell(s.log)
		accounts := s.rebind(s.accounts, old)
		if err := s.ingest.SetAccounts(accounts); err != nil {
			s.log.Error("changed descriptions of carriers are not in force", "error", err)
			return
		}
		s.accounts, old = accounts, s.catalog.declaredNow()
		s.resolver.SetCarriers(carrierViews(s.catalog))
		s.log.Info("descriptions of carriers in force", "carriers", len(old), "faults", len(s.catalog.faults()))
	})
}

// listenToOthers rings the bell for what others have logged: a replica on the
// same database, or an import beside the server. What this process logged has
// rung already; it rings in commit order, so nothing below is news.
func (s *server) listenToOthers(ctx context.Context) {
	err := s.store.Listen(ctx, func(position int64) {
		if position > s.bell.Position() {
			s.bell.Ring(position)
		}
	})
	if ctx.Err() == nil {
		s.log.Error("other replicas are not heard any more", "error", err)
	}
}

// ready says whether the server may be sent work.
func (s *server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("going down")
	}
	return s.store.Ping(ctx)
}

// stats are live numbers for /stats.
type stats struct {
	UptimeSeconds float64         `json:"uptimeSeconds"`
	TradeTime     time.Time       `json:"tradeTime"`
	LogPosition   int64           `json:"logPosition"`
	Gateway       gateway.Stats   `json:"gateway"`
	Carriers      []carrierStats  `json:"carriers"`
	Unmapped      []unmappedStats `json:"unmappedCodes"`
	Drops         []dropStats     `json:"drops"`
	// NotTaken are the files of --carriers-dir that are not in force as they
	// stand.
	NotTaken []notTaken `json:"descriptionsNotTaken"`
}

// notTaken is a description with mistakes.
type notTaken struct {
	File     string   `json:"file"`
	Kept     string   `json:"keptInForce,omitempty"`
	Problems []string `json:"problems"`
}

func notTakenOf(cat *catalog) []notTaken {
	out := []notTaken{}
	for _, f := range cat.faults() {
		out = append(out, notTaken{File: f.File, Kept: f.Kept, Problems: strings.Split(f.Err.Error(), "\n")})
	}
	return out
}

// carrierStats is what this process has seen of a carrier.
type carrierStats struct {
	Carrier     string         `json:"carrier"`
	Calls       int64          `json:"calls"`
	Numbers     int64          `json:"numbers"`
	Failures    int64          `json:"failures"`
	Payloads    int64          `json:"payloads"`
	Refused     int64          `json:"refused"`
	LatencyMs   float64        `json:"meanLatencyMs"`
	LastSuccess *time.Time     `json:"lastSuccess,omitempty"`
	LastFailure *time.Time     `json:"lastFailure,omitempty"`
	LastTrouble parcel.Trouble `json:"lastTrouble,omitempty"`
}

// unmappedStats is a code that nobody mapped: the mapping's work queue.
type unmappedStats struct {
	Carrier string `json:"carrier"`
	Code    string `json:"code"`
	Words   string `json:"words,omitempty"`
	Count   int    `json:"count"`
}

func (s *server) stats() stats {
	out := stats{
		UptimeSeconds: s.wall.Now().Sub(s.began).Seconds(), TradeTime: s.trade.Now(), LogPosition: s.bell.Position(),
		Gateway: s.gateway.Stats(), Carriers: []carrierStats{}, Unmapped: []unmappedStats{}, Drops: s.dropStats(), NotTaken: notTakenOf(s.catalog),
	}
	for _, c := range s.ingest.Stats() {
		out.Carriers = append(out.Carriers, carrierStats{
			Carrier: c.Carrier, Calls: c.Calls, Numbers: c.Numbers, Failures: c.Failures, Payloads: c.Payloads, Refused: c.Refused,
			LatencyMs:   float64(c.MeanLatency) / float64(time.Millisecond),
			LastSuccess: instantOrNil(c.LastSuccess), LastFailure: instantOrNil(c.LastFailure), LastTrouble: c.LastTrouble,
		})
	}
	for _, u := range s.ingest.UnmappedCodes() {
		out.Unmapped = append(out.Unmapped, unmappedStats(u))
	}
	return out
}

// operations is the port for operators. It lives longer than the server: it
// tells of a start that takes long, and of the drain.
type operations struct {
	registry *prometheus.Registry
	server   atomic.Pointer[server]
	http     *http.Server
	work     sync.WaitGroup
}

// startOps serves the operations port, with more handlers by pattern; a nil
// listener serves nothing.
func startOps(listener net.Listener, log *slog.Logger, more map[string]http.Handler) *operations {
	build := obs.ReadBuild()
	o := &operations{registry: obs.NewRegistry(build)}
	if listener == nil {
		return o
	}
	o.http = &http.Server{
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Handler: obs.OpsHandler(obs.Ops{
			Build: build, Registry: o.registry, More: more,
			Ready: map[string]func(context.Context) error{"server": o.ready},
			Stats: func() any {
				if s := o.server.Load(); s != nil {
					return s.stats()
				}
				return struct{}{}
			},
		}),
	}
	o.work.Go(func() {
		if err := o.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the operations port ended", "error", err)
		}
	})
	return o
}

func (o *operations) watch(s *server) { o.server.Store(s) }

func (o *operations) ready(ctx context.Context) error {
	if s := o.server.Load(); s != nil {
		return s.ready(ctx)
	}
	return errors.New("starting")
}

// opsPatience is how long answers under way on the operations port may take.
const opsPatience = time.Second

func (o *operations) stop() {
	if o.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), opsPatience)
	defer cancel()
	if o.http.Shutdown(ctx) != nil {
		_ = o.http.Close() // a profile under way is cut
	}
	o.work.Wait()
}
