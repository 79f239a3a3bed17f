package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
	"github.com/milepost-gateway/milepost/storage"
)

// Shop says how shoppers ask, and what they may expect.
type Shop struct {
	// Numbers are registered, with the history that their carrier told: 20,000
	// if zero.
	Numbers int
	// Rate is how many shoppers ask in a second, whether answers come or not:
	// 200 if zero.
	Rate int
	// Time is for how long: 60 s if zero.
	Time time.Duration
	// MaxAge is how old an answer may be, and Wait how long a shopper waits for a
	// younger one: 60 s and 300 ms if zero.
	MaxAge, Wait time.Duration
	// Faults of the carrier: a median of 80 ms, 1.5 s at the 99th of a hundred,
	// one call of a hundred failing, more than 250 calls a second refused, if
	// zero.
	Faults sim.Faults
}

func (s Shop) withDefaults() Shop {
	if s.Numbers == 0 {
		s.Numbers = 20_000
	}
	if s.Rate == 0 {
		s.Rate = 200
	}
	if s.Time == 0 {
		s.Time = time.Minute
	}
	if s.MaxAge == 0 {
		s.MaxAge = time.Minute
	}
	if s.Wait == 0 {
		s.Wait = 300 * time.Millisecond
	}
	if s.Faults == (sim.Faults{}) {
		s.Faults = sim.Faults{Latency: 80 * time.Millisecond, LatencyP99: 1500 * time.Millisecond, Failing: .01, CallsPerSecond: 250}
	}
	return s
}

// storefrontCarrier is asked, forty numbers a call.
const (
	storefrontCarrier = "correios"
	storefrontBatch   = 40
	storefrontPost    = "01310-100"
	storefrontPath    = "/srorastro/v1/objetos"
)

// Shopping is what shoppers met.
type Shopping struct {
	Name    string
	Queries int
	// Calls to the carrier of any kind; Asked counts numbers that it was asked
	// for and answered, Early those of them asked for again before the last
	// answer was MaxAge old.
	Calls, Asked, Early int
	// Failed are answers that were an error, or had none of what is known.
	Failed int
	// Fresh are answers not older than MaxAge.
	Fresh int
	// P50 and P99 count from when the shopper meant to ask.
	P50, P99 time.Duration
	Wait     time.Duration
}

// CallsEach is the calls to the carrier that one query caused.
func (s Shopping) CallsEach() float64 { return float64(s.Calls) / float64(max(1, s.Queries)) }

// The bars that the gateway sets itself.
const (
	callsEachBar  = .1
	beyondWaitBar = 20 * time.Millisecond
)

// Missed names the bars that were not reached.
func (s Shopping) Missed() (bars []string) {
	if s.CallsEach() > callsEachBar {
		bars = append(bars, fmt.Sprintf("%.3f calls a query, at most %.1f", s.CallsEach(), callsEachBar))
	}
	if s.Early > 0 {
		bars = append(bars, fmt.Sprintf("%d numbers asked for before their time, none", s.Early))
	}
	if s.Failed > 0 {
		bars = append(bars, fmt.Sprintf("%d failed answers, none", s.Failed))
	}
	if s.P99 > s.Wait+beyondWaitBar {
		bars = append(bars, fmt.Sprintf("p99 %v, at most %v", s.P99.Round(time.Millisecond), s.Wait+beyondWaitBar))
	}
	return bars
}

// Print writes it for people.
func (s Shopping) Print(w io.Writer) {
	fmt.Fprintf(w, "%s\n  %d queries   %.3f calls each (%d calls, %d numbers, %d before their time)   %d failed   %.1f%% fresh   p50 %v   p99 %v\n",
		s.Name, s.Queries, s.CallsEach(), s.Calls, s.Asked, s.Early, s.Failed, 100*float64(s.Fresh)/float64(max(1, s.Queries)),
		s.P50.Round(100*time.Microsecond), s.P99.Round(100*time.Microsecond))
}

// Storefront lets shoppers ask the gateway for numbers whose carrier is slow and
// sometimes fails, and then the plainest server there is for the same: one that
// makes a loader for each request and asks the carrier through it.
func Storefront(ctx context.Context, o Options, storeURL string, shop Shop) (ours, plain Shopping, err error) {
	shop = shop.withDefaults()
	if o.Wall == nil {
		o.Wall = clock.Wall()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	numbers, err := postalNumbers("NL", "BR", shop.Numbers)
	if err != nil {
		return ours, plain, err
	}
	c, err := openCarrier(o.Wall, storefrontCarrier, storefrontBatch, numbers, shop.MaxAge)
	if err != nil {
		return ours, plain, err
	}
	defer c.stop()
	account, err := c.account(shop.Faults.CallsPerSecond)
	if err != nil {
		return ours, plain, err
	}
	stack, err := o.Wire(ctx, storeURL, []ingest.Account{account})
	if err != nil {
		return ours, plain, err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	merchant, err := newMerchant(ctx, o.Wall, stack)
	if err != nil {
		return ours, plain, err
	}
	if err := c.register(ctx, o, stack, merchant); err != nil {
		return ours, plain, err
	}
	addr, stop, err := serve(stack.Handler)
	if err != nil {
		return ours, plain, err
	}
	defer stop()
	o.Progress(fmt.Sprintf("storefront: %v of rest, until what is known of all of them is old", shop.MaxAge))
	if err := o.Wall.Sleep(ctx, shop.MaxAge); err != nil {
		return ours, plain, err
	}
	c.faults(shop.Faults)
	o.Progress(fmt.Sprintf("storefront: %d queries a second for %v", shop.Rate, shop.Time))
	ours, err = c.shop(ctx, o.Wall, shop, "storefront, milepost", trackRequest(addr, shop), readTracked(o.Wall, shop))
	if err != nil {
		return ours, plain, err
	}

	c.faults(sim.Faults{})
	token, err := c.token(ctx)
	if err != nil {
		return ours, plain, err
	}
	c.faults(shop.Faults)
	other, stopOther, err := serve(c.plain(token))
	if err != nil {
		return ours, plain, err
	}
	defer stopOther()
	o.Progress("storefront: the same from a loader for each request")
	plain, err = c.shop(ctx, o.Wall, shop, "storefront, a loader for each request", func(number string) []byte {
		return fmt.Appendf(nil, "GET /track/%s HTTP/1.1\r\nHost: %s\r\n\r\n", number, other)
	}, func(body []byte) (bool, bool) { return len(body) > 2, true })
	return ours, plain, err
}

// carrier is the carrier's side: an adapter's own fake behind faults, which
// knows every number and counts what it is asked for.
type carrier struct {
	spec     carriers.Spec
	settings map[string]string
	wall     clock.Clock
	numbers  []string
	history  carriers.FakeHistory
	fake     carriers.Fake
	weather  *sim.Weathered
	url      string
	stop     func()
	maxAge   time.Duration

	mu    sync.Mutex
	asked map[string]time.Time
	n     int
	early int
}

// postalNumbers are the first n items of a service between two countries.
func postalNumbers(service, country string, n int) ([]string, error) {
	numbers := make([]string, n)
	for i := range numbers {
		serial := fmt.Sprintf("%08d", i)
		digit, err := parcel.CheckDigit(serial)
		if err != nil {
			return nil, err
		}
		numbers[i] = fmt.Sprintf("%s%s%d%s", service, serial, digit, country)
	}
	return numbers, nil
}

// openCarrier opens the service of a carrier that knows these numbers. batch is
// the most it is asked for in one call; 0 for the adapter's own.
func openCarrier(wall clock.Clock, name string, batch int, numbers []string, maxAge time.Duration) (*carrier, error) {
	spec, err := carriers.Lookup(name)
	if err != nil {
		return nil, err
	}
	spec.Batch = cmp.Or(batch, spec.Batch)
	c := &carrier{spec: spec, settings: sim.Credentials(&spec), wall: wall, numbers: numbers, asked: map[string]time.Time{}, maxAge: maxAge}
	now := wall.Now()
	c.history = carriers.FakeHistory{Origin: "CN", Destination: "BR", Postcode: storefrontPost, Scans: []carriers.FakeScan{
		{Code: parcel.CodePickedUp, At: now.AddDate(0, 0, -20), Place: parcel.Place{Country: "CN"}},
		{Code: parcel.CodeDestinationCountryArrived, At: now.AddDate(0, 0, -6), Place: parcel.Place{Country: "BR"}},
		{Code: parcel.CodeImportCustomsReleased, At: now.AddDate(0, 0, -3), Place: parcel.Place{Country: "BR"}},
	}}
	c.fake = spec.Fake(carriers.FakeEnv{Settings: c.settings, Now: wall.Now, Journeys: c.journey})
	c.weather = sim.Behind(sim.Faults{}, 1, c.fake.Handler(), wall)
	addr, stop, err := serve(c.weather)
	if err != nil {
		return nil, err
	}
	c.url, c.stop = "http://"+addr, stop
	return c, nil
}

func (c *carrier) journey(number string) (carriers.FakeHistory, bool) {
	now := c.wall.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, again := c.asked[number]; again && now.Sub(last) < c.maxAge {
		c.early++
	}
	c.asked[number] = now
	c.n++
	return c.history, true
}

func (c *carrier) faults(f sim.Faults) { c.weather.Set(f) }

// forget begins the counts anew.
func (c *carrier) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.asked)
	c.n, c.early = 0, 0
}

// account is the gateway's account at the carrier, with the contract's limit of
// calls a second.
func (c *carrier) account(perSecond float64) (ingest.Account, error) {
	log := slog.New(slog.DiscardHandler)
	gate := ingest.NewGates(ingest.AloneBudgets(), c.wall, log).Of(&c.spec, "bench", &carriers.Quota{PerSecond: perSecond, Burst: int(perSecond)})
	adapter, err := c.spec.New(carriers.Env{Account: "bench", BaseURL: c.url, Settings: c.settings, HTTP: &http.Client{}, Wall: c.wall, Log: log, Gate: gate})
	return ingest.Account{Name: "bench", Spec: c.spec, Carrier: adapter, Gate: gate}, err
}

// newMerchant makes one whose parcels any shopper may ask for by number.
func newMerchant(ctx context.Context, wall clock.Clock, stack *Stack) (id string, err error) {
	now := wall.Now()
	id = newID(now)
	return id, stack.Store.CreateMerchant(ctx, storage.Merchant{ID: id, Name: "bench", TrackPublic: true, CreatedAt: now})
}

// register makes the shipments, and lets the gateway hear of each once.
func (c *carrier) register(ctx context.Context, o Options, stack *Stack, merchant string) error {
	now := o.Wall.Now()
	for part := range slices.Chunk(c.numbers, ingest.MaxRegistrations) {
		batch := make([]parcel.Registration, len(part))
		for i, number := range part {
			batch[i].Facts = parcel.Facts{
				Reference: number, Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR", Postcode: storefrontPost},
				Legs: []parcel.DeclaredLeg{{Carrier: c.spec.Name, Number: number}}, RegisteredAt: now.AddDate(0, 0, -21),
			}
		}
		if _, err := stack.Ingest.Register(ctx, merchant, batch); err != nil {
			return fmt.Errorf("bench: register: %w", err)
		}
	}
	for part := range slices.Chunk(c.numbers, 10*storefrontBatch) {
		keys := make([]parcel.NumberKey, len(part))
		for i, number := range part {
			keys[i] = parcel.NumberKey{Carrier: c.spec.Name, Number: number}
		}
		done, err := stack.Ingest.Refresh(ctx, parcel.RefreshAsk{Keys: keys, Wait: time.Minute})
		if err != nil {
			return fmt.Errorf("bench: first look: %w", err)
		}
		for _, r := range done {
			if r.Tracking.HeardAt.IsZero() {
				return fmt.Errorf("bench: first look at %s: %s", r.Key.Number, r.Tracking.Trouble)
			}
		}
	}
	o.Progress(fmt.Sprintf("%d numbers of %s are known", len(c.numbers), c.spec.Name))
	return nil
}

// shop lets shoppers ask, each on its own time, and never waits for an answer
// before the next one asks.
func (c *carrier) shop(ctx context.Context, wall clock.Clock, shop Shop, name string, request func(number string) []byte, read func(body []byte) (known, fresh bool)) (Shopping, error) {
	ctx, cancel := context.WithTimeout(ctx, shop.Time+30*time.Second)
	defer cancel()
	c.forget()
	calls := c.weather.Stats().Calls
	favour := newZipf(len(c.numbers))
	// The same shoppers ask both sides.
	dice := rand.New(rand.NewPCG(1, 2))
	s := Shopping{Name: name, Wait: shop.Wait}
	pool := &connections{}
	defer pool.close()
	n := int(shop.Time.Seconds() * float64(shop.Rate))
	type told struct {
		took         time.Duration
		known, fresh bool
	}
	all := make([]told, n)
	var group sync.WaitGroup
	begin := wall.Now()
	for i := range n {
		due := begin.Add(time.Duration(float64(i) / float64(shop.Rate) * float64(time.Second)))
		if wait := due.Sub(wall.Now()); wait > 0 && wall.Sleep(ctx, wait) != nil {
			break
		}
		frame := request(c.numbers[favour.draw(dice.Float64())])
		group.Go(func() {
			body, err := pool.ask(ctx, frame)
			t := &all[i]
			t.took = wall.Now().Sub(due)
			if err == nil {
				t.known, t.fresh = read(body)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return s, fmt.Errorf("bench: %s: %w", name, err)
	}
	times := make([]time.Duration, n)
	for i := range all {
		times[i] = all[i].took
		if !all[i].known {
			s.Failed++
		}
		if all[i].fresh {
			s.Fresh++
		}
	}
	slices.Sort(times)
	s.Queries, s.P50, s.P99 = n, times[n/2], times[n*99/100]
	s.Calls = c.weather.Stats().Calls - calls
	c.mu.Lock()
	s.Asked, s.Early = c.n, c.early
	c.mu.Unlock()
	return s, nil
}

// zipf draws ranks by Zipf's law with exponent 1: the i-th as often as 1/i.
type zipf []float64 // the cumulative distribution

func newZipf(n int) zipf {
	z := make(zipf, n)
	sum := 0.0
	for i := range z {
		sum += 1 / float64(i+1)
		z[i] = sum
	}
	for i := range z {
		z[i] /= sum
	}
	return z
}

// draw turns a uniform number of [0, 1) into a rank from 0.
func (z zipf) draw(u float64) int { return min(sort.SearchFloat64s(z, u), len(z)-1) }

// connections are kept alive and used again, as many as are needed at once.
type connections struct {
	mu   sync.Mutex
	idle []*connection
}

type connection struct {
	net.Conn
	r *bufio.Reader
}

// ask sends a request, whose Host says where to, and reads the answer. Any
// status counts as an answer, and only 200 as one with something in it.
func (p *connections) ask(ctx context.Context, frame []byte) ([]byte, error) {
	conn, err := p.take(ctx, hostOf(frame))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := conn.Write(frame); err != nil {
		conn.Close()
		return nil, err
	}
	response, err := http.ReadResponse(conn.r, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		conn.Close()
		return nil, err
	}
	p.mu.Lock()
	p.idle = append(p.idle, conn)
	p.mu.Unlock()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return body, nil
}

func (p *connections) take(ctx context.Context, addr string) (*connection, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		conn := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return conn, nil
	}
	p.mu.Unlock()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReader(conn)}, nil
}

func (p *connections) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.idle {
		conn.Close()
	}
}

func hostOf(frame []byte) string {
	_, rest, _ := bytes.Cut(frame, []byte("Host: "))
	host, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(host)
}

const trackQuery = `query($n: String!, $p: String, $f: FreshnessInput) { track(number: $n, postcode: $p, freshness: $f) { ... on TrackFound { shipment { ` +
	`milestone legs { carrier { code } freshness { state asOf } } timeline(first: 10) { nodes { code occurredAt } } } } } }`

// trackRequest writes the question of a shopper's page.
func trackRequest(addr string, shop Shop) func(number string) []byte {
	return func(number string) []byte {
		body, err := json.Marshal(map[string]any{"query": trackQuery, "variables": map[string]any{"n": number, "p": storefrontPost,
			"f": map[string]any{"maxAgeSeconds": int(shop.MaxAge.Seconds()), "waitMs": shop.Wait.Milliseconds()}}})
		if err != nil {
			panic(err) // strings and numbers
		}
		return fmt.Appendf(nil, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)
	}
}

// tracked is as much of an answer as is looked at.
type tracked struct {
	Errors []any
	Data   struct {
		Track struct {
			Shipment struct {
				Legs     []struct{ Freshness struct{ AsOf time.Time } }
				Timeline struct{ Nodes []any }
			}
		}
	}
}

// ageOf is how old the oldest part of an answer is; known is false for one with
// an error, or without what is stored.
func ageOf(body []byte, now time.Time) (age time.Duration, known bool) {
	var answer tracked
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) > 0 || len(answer.Data.Track.Shipment.Timeline.Nodes) == 0 {
		return 0, false
	}
	for _, l := range answer.Data.Track.Shipment.Legs {
		age = max(age, now.Sub(l.Freshness.AsOf))
	}
	return age, true
}

// readTracked tells whether an answer has what is stored, without an error, and
// whether that is young enough.
func readTracked(wall clock.Clock, shop Shop) func(body []byte) (known, fresh bool) {
	return func(body []byte) (known, fresh bool) {
		age, known := ageOf(body, wall.Now())
		return known, known && age <= shop.MaxAge+time.Second
	}
}

// plain is the server that most would write first: a loader for each request,
// which asks the carrier for what the request wants. It is given its token.
func (c *carrier) plain(token string) http.Handler {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: 30 * time.Second}
	ask := func(ctx context.Context, numbers []string) ([]byte, error) {
		query := url.Values{"codigosObjetos": numbers, "resultado": {"T"}}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+storefrontPath+"?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept-Language", "pt-BR")
		response, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		return body, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		loader := dataloader.NewBatchedLoader(func(ctx context.Context, numbers []string) []*dataloader.Result[[]byte] {
			body, err := ask(ctx, numbers)
			out := make([]*dataloader.Result[[]byte], len(numbers))
			for i := range out {
				out[i] = &dataloader.Result[[]byte]{Data: body, Error: err}
			}
			return out
		}, dataloader.WithWait[string, []byte](time.Millisecond))
		body, err := loader.Load(r.Context(), strings.TrimPrefix(r.URL.Path, "/track/"))()
		if err != nil {
			http.Error(w, "carrier unavailable", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
}

// token asks the carrier for one.
func (c *carrier) token(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/token/v1/autentica/cartaopostagem", strings.NewReader(fmt.Sprintf(`{"numero":%q}`, c.settings["postage_card"])))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth(c.settings["user"], c.settings["access_code"])
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("bench: no token: status %d, %w", response.StatusCode, err)
	}
	return answer.Token, nil
}
