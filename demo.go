package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
	"github.com/milepost-gateway/milepost/storage"
)

// The demo's merchant.
const demoMerchant = "demo"

// demo runs a whole gateway on a simulated carrier network until ctx is done
// or --for has passed.
func demo(ctx context.Context, con *console, log *slog.Logger, cat *catalog, c *demoCommand) error {
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	key := c.Key
	if key == "" {
		key, _, _ = gateway.NewKey()
	} else if err := gateway.CheckKey(key); err != nil {
		return usage{fmt.Errorf("--key: %w", err)}
	}
	doors, err := openDoors(c.doorFlags)
	if err != nil {
		return err
	}
	defer doors.close()
	var stage stageDoor
	ops := startOps(doors.ops, log, stage.handlers())
	defer ops.stop()
	con.note("milepost: making %d shipments with a past of 90 days; this takes some seconds", c.Shipments)
	file, remove, err := demoFile(c.Dir)
	if err != nil {
		return err
	}
	defer remove()
	s, err := openStore(ctx, log, "sqlite:"+file, true)
	if err != nil {
		return err
	}
	defer s.Close()
	cat.tell(log)
	p := &play{catalog: cat, con: con, log: log, command: c, store: s, wall: clock.Wall(), front: doors.url(), http: newHTTPClient()}
	defer p.http.CloseIdleConnections()
	if err := p.open(ctx, key); err != nil {
		return err
	}
	defer p.ends.Close()
	srv, err := newServer(ctx, serverParts{
		store: s, catalog: cat, accounts: p.accounts, trade: p.trade, wall: p.wall, log: log, registry: ops.registry,
		openSchema: true, origins: []string{"*"}, drain: demoDrain, poll: true, pollEvery: demoPoll, parallel: demoParallel,
	})
	if err != nil {
		return err
	}
	p.server = srv
	return p.run(ctx, doors, ops, &stage, key)
}

const (
	// demoDrain is how long requests may take to end: nobody's work is lost.
	demoDrain = 3 * time.Second
	// demoPoll is how often due numbers are looked for, wall time: trade time
	// runs fast.
	demoPoll = 100 * time.Millisecond
	// demoParallel is how many calls may be under way to one carrier: the past
	// of many parcels is asked for at once.
	demoParallel = 16
	// demoPatience bounds the wait for the past to be told.
	demoPatience = 2 * time.Minute
)

// demoFile gives the demo's database a place, and takes it away afterwards
// unless a folder was named.
func demoFile(dir string) (file string, remove func(), err error) {
	remove = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "milepost-demo-*"); err != nil {
			return "", nil, err
		}
		temporary := dir
		remove = func() { os.RemoveAll(temporary) }
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("--dir: %w", err)
	}
	file = filepath.Join(dir, "demo.db")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		// Its trade time ran ahead of the clock: a second demo on it would
		// find parcels from the future.
		remove()
		return "", nil, badUsage("--dir: %s is there already: name another folder, or look at it with milepost serve --store sqlite:%s", file, file)
	}
	return file, remove, nil
}

// play is the simulated world with the merchant in it.
type play struct {
	catalog  *catalog
	con      *console
	log      *slog.Logger
	command  *demoCommand
	store    *storage.Store
	wall     clock.Clock
	trade    *clock.Scaled
	front    string // URL of the front door
	network  *sim.Network
	ends     *sim.Endpoints
	http     *http.Client // of the adapters, and of the carriers that push
	accounts []ingest.Account
	hooks    map[string]string // endpoint by carrier
	server   *server
	merchant string
}

// open makes the world, its carriers on the loopback, the merchant's accounts
// with them, and the merchant's key.
func (p *play) open(ctx context.Context, key string) error {
	speed := cmp.Or(p.command.Speed, sim.SuggestedSpeed(p.command.Shipments))
	now := p.wall.Now()
	p.trade = clock.Accelerated(now, now, speed)
	var err error
	if p.network, err = sim.New(sim.Options{
		Clock: p.trade, Wall: p.wall, Seed: p.command.Seed, Shipments: p.command.Shipments, Specs: p.catalog.all(), Log: p.log,
	}); err != nil {
		return err
	}
	m, _, err := merchantNamed(ctx, p.store, p.wall, demoMerchant, true)
	if err != nil {
		return err
	}
	p.merchant = m.ID
	if err := fixedKey(ctx, p.store, key, m.ID, now); err != nil {
		return err
	}
	if p.ends, err = p.network.Serve(ctx); err != nil {
		return err
	}
	// Quotas and tokens run on trade time, as the simulated carriers' do:
	// a budget for a day is one for a simulated day.
	b := binding{catalog: p.catalog, http: p.http, wall: p.trade, log: p.log, gates: ingest.NewGates(ingest.AloneBudgets(), p.trade, p.log)}
	p.hooks = map[string]string{}
	for _, name := range p.network.Carriers() {
		a := &config.Account{
			Carrier: name, Name: config.DefaultAccountName, BaseURL: p.ends.BaseURL(name),
			Endpoint: hex.EncodeToString(randomBytes(8)), Settings: p.ends.Settings(name),
		}
		spec, c, err := b.bind(a)
		if err != nil {
			return errors.Join(err, p.ends.Close())
		}
		p.hooks[name] = a.Endpoint
		p.accounts = append(p.accounts, ingest.Account{Name: a.Name, Endpoint: a.Endpoint, Spec: spec, Carrier: c, Gate: b.gate(&spec, a), Source: parcel.SourceSimulator})
	}
	return nil
}

// run opens the doors, tells the past, says what to paste, and then lets the
// world go on.
func (p *play) run(ctx context.Context, d doors, ops *operations, stage *stageDoor, key string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	var served error
	work.Go(func() {
		// Whatever ends the server ends the demo.
		defer stop()
		served = p.server.run(ctx, d.front)
	})
	err := p.past(ctx)
	if err == nil {
		ops.watch(p.server)
		stage.play.Store(p)
		p.tell(d, key)
		work.Go(func() { p.network.Push(ctx, p.deliver) })
		work.Go(func() { p.trader(ctx) })
		<-ctx.Done()
	}
	stop()
	work.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil // told to end before it had begun
	}
	return errors.Join(err, served)
}

// past registers what the merchant had before the demo began, and waits until
// the carriers have told what they know of it.
func (p *play) past(ctx context.Context) error {
	began := p.wall.Now()
	plan := p.network.Plan()
	if err := p.register(ctx, plan); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for {
		waiting, err := p.waiting(ctx)
		if err != nil {
			return err
		}
		if waiting == 0 {
			break
		}
		if p.wall.Sleep(patience, 200*time.Millisecond) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.log.Warn("the past is not told in full yet", "numbers", waiting)
			break
		}
	}
	p.log.Info("the past is told", "shipments", len(plan), "took", p.wall.Now().Sub(began))
	return nil
}

// waiting counts the registered numbers that no carrier was heard about yet.
func (p *play) waiting(ctx context.Context) (n int, err error) {
	page := storage.Page{First: 1000}
	for {
		got, err := p.store.ListShipments(ctx, storage.OfMerchant(p.merchant), storage.ShipmentFilter{}, storage.ShipmentOrder{Field: storage.ByRegisteredAt}, page)
		if err != nil {
			return 0, err
		}
		for _, l := range got.Items {
			for _, t := range l.Trackings {
				if t.HeardAt.IsZero() && t.Trouble == "" && !t.NextAt.IsZero() {
					n++
				}
			}
		}
		if !got.HasNext {
			return n, nil
		}
		k := storage.KeyOf(storage.ShipmentOrder{Field: storage.ByRegisteredAt}, got.Items[len(got.Items)-1].Shipment)
		page.After = &k
	}
}

// register makes parcels known as the merchant does.
func (p *play) register(ctx context.Context, all []sim.Consignment) error {
	for batch := range slices.Chunk(all, ingest.MaxRegistrations) {
		in := make([]parcel.Registration, len(batch))
		for i := range batch {
			in[i] = batch[i].Registration
		}
		out, err := p.server.ingest.Register(ctx, p.merchant, in)
		if err != nil {
			return err
		}
		for i := range out {
			if out[i].Outcome == parcel.WriteRefused {
				p.log.Warn("registration refused", "reference", in[i].Facts.Reference, "error", out[i].Problems[0])
			}
		}
	}
	return nil
}

// trader is the merchant at work: it registers new parcels as trade time
// passes, and corrects numbers found out to be wrong.
func (p *play) trader(ctx context.Context) {
	// A look a while ahead at the latest, so that corrections do not wait for
	// the next parcel.
	const look = 250 * time.Millisecond
	for p.wall.Sleep(ctx, min(look, p.trade.Wall(p.network.NextRegistration(p.trade.Now()).Sub(p.trade.Now())))) == nil {
		now := p.trade.Now()
		if fresh := p.network.NextRegistrations(now); len(fresh) > 0 {
			if err := p.register(ctx, fresh); err != nil && ctx.Err() == nil {
				p.log.Warn("cannot register", "error", err)
			}
		}
		for _, c := range p.network.NextCorrections(now) {
			if err := p.correct(ctx, c); err != nil && ctx.Err() == nil {
				p.log.Warn("cannot correct a number", "reference", c.Reference, "error", err)
			}
		}
	}
}

func (p *play) correct(ctx context.Context, c sim.Correction) error {
	found, err := p.store.ShipmentsByReference(ctx, storage.OfMerchant(p.merchant), []string{c.Reference})
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0] == nil {
		return fmt.Errorf("shipment %s: %w", c.Reference, parcel.ErrNotFound)
	}
	s := found[0].Shipment
	i := slices.IndexFunc(s.Journey.Legs, func(l parcel.Leg) bool {
		return l.Number == c.From.Number && (l.Carrier == c.From.Carrier || l.Carrier == "")
	})
	if i < 0 {
		return fmt.Errorf("leg with %s of %s: %w", c.From.Number, c.Reference, parcel.ErrNotFound)
	}
	out, _, err := p.server.ingest.ChangeNumber(ctx, p.merchant, parcel.NumberChange{
		ShipmentID: s.ID, LegKey: s.Journey.Legs[i].Key, Carrier: c.To.Carrier, Number: c.To.Number,
	})
	if err == nil && out.Outcome == parcel.WriteRefused {
		err = out.Problems[0]
	}
	return err
}

// maxReply bounds what is read of the gateway's answer to a push.
const maxReply = 64 << 10

// deliver sends a carrier's push through the front door, as the carrier would.
func (p *play) deliver(ctx context.Context, carrier string, d carriers.Delivery) carriers.Reply {
	at := p.front + "/hooks/" + carrier + "/" + p.hooks[carrier]
	if len(d.Query) > 0 {
		at += "?" + url.Values(d.Query).Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(d.Body))
	if err != nil {
		return carriers.Reply{}
	}
	if d.Header != nil {
		req.Header = d.Header.Clone()
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return carriers.Reply{} // nobody answered
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return carriers.Reply{}
	}
	return carriers.Reply{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Body: body}
}

// tell says where the demo is and what to paste.
func (p *play) tell(d doors, key string) {
	p.con.printf(`
Milepost demo: %d shipments on a simulated network, a day passes in %s

  URL      %s/
  GraphQL  %s/graphql
  key      %s
`, p.command.Shipments, p.trade.Wall(24*time.Hour).Round(100*time.Millisecond), p.front, p.front, key)
	if d.ops != nil {
		p.con.printf("  health   http://%s/readyz, /metrics, /stats\n", d.ops.Addr())
		p.con.printf("  test     milepost scenarios list; milepost scenarios advance SIM-CUSTOMS-HOLD-RU-01 --ops-listen %s\n", d.ops.Addr())
	}
	p.con.printf(`
A query:

  %s

  curl -s %s/graphql -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \
    -d '{"query":"%s"}'

A subscription:

  %s

  curl -sN %s/graphql -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \
    -H 'Accept: text/event-stream' -d '{"query":"%s"}'

Ctrl-C ends it.
`, demoQuery, p.front, key, demoQuery, demoSubscription, p.front, key, demoSubscription)
}

const (
	demoQuery        = `{ shipments(first: 3, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { reference lane { code } milestone health timeline(last: 3) { nodes { code local { clock offset } } } } } }`
	demoSubscription = `subscription { milestoneChanged { cursor from to label { value } shipment { reference lane { code } } } }`
)
