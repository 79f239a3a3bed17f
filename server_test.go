package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// running is a milepost in a process of its own.
type running struct {
	cmd *exec.Cmd
	// url and ops are where it said that it is.
	url, ops string
	said     *safeBuffer
	ended    chan error
}

// safeBuffer may be read while a process writes to it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startPatience bounds the wait for a process to begin, on a machine that is
// busy with other tests.
const startPatience = 4 * time.Minute

// start runs a verb that serves, on ports of its own, and waits until it says
// where it is.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	args = append(args, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	r := &running{cmd: exec.Command(program(t), args...), said: &safeBuffer{}, ended: make(chan error, 1)}
	r.cmd.Stderr = r.said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() }) // if the test did not end it
	told := make(chan struct{})
	go func() {
		defer func() { r.ended <- r.cmd.Wait() }()
		lines := bufio.NewScanner(out)
		for closed := false; lines.Scan(); {
			fmt.Fprintln(r.said, lines.Text())
			for _, word := range strings.Fields(lines.Text()) {
				switch at, is := strings.CutSuffix(strings.TrimRight(word, ","), "/graphql"); {
				case is && r.url == "" && strings.HasPrefix(at, "http://"):
					r.url = at
				case strings.HasPrefix(word, "http://") && strings.Contains(word, "/readyz"):
					r.ops, _, _ = strings.Cut(word, "/readyz")
				}
			}
			if r.url != "" && r.ops != "" && !closed {
				closed = true
				close(told)
			}
		}
	}()
	select {
	case <-told:
	case <-clock.Wall().After(startPatience):
		t.Fatalf("it did not say where it is: %s", r.said)
	case err := <-r.ended:
		t.Fatalf("it ended: %v: %s", err, r.said)
	}
	return r
}

// stop ends it as an orchestrator does, and returns its exit code.
func (r *running) stop(t *testing.T, s os.Signal) int {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.ended:
		return r.cmd.ProcessState.ExitCode()
	case <-clock.Wall().After(startPatience):
		t.Fatalf("it does not end: %s", r.said)
		return -1
	}
}

// ask sends a GraphQL request and reads its data into v.
func ask(t *testing.T, at, key, document string, variables map[string]any, v any) {
	t.Helper()
	if err := tryAsk(t.Context(), at, key, document, variables, v); err != nil {
		t.Fatal(err)
	}
}

func tryAsk(ctx context.Context, at, key, document string, variables map[string]any, v any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(data, &answer); err != nil || resp.StatusCode != http.StatusOK || len(answer.Errors) > 0 {
		return fmt.Errorf("status %d: %s", resp.StatusCode, data)
	}
	return json.Unmarshal(answer.Data, v)
}

// eventually polls until done says so.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	wall := clock.Wall()
	for limit := wall.Now().Add(startPatience); !done(); {
		if wall.Now().After(limit) {
			t.Fatalf("not within %s: %s", startPatience, what)
		}
		if wall.Sleep(t.Context(), 30*time.Millisecond) != nil {
			t.Fatal(t.Context().Err())
		}
	}
}

// script is what simulated carriers know, as a test tells it.
type script struct {
	mu    sync.Mutex
	known map[parcel.NumberKey]carriers.FakeHistory
}

func (s *script) tell(carrier, number string, h carriers.FakeHistory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[parcel.NumberKey{Carrier: carrier, Number: number}] = h
}

// stage serves a carrier's own fake and writes its account, with made-up
// values for the settings named.
func (s *script) stage(t *testing.T, carrier, endpoint string, config *strings.Builder, named ...string) carriers.Fake {
	t.Helper()
	spec, err := carriers.Lookup(carrier)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, name := range named {
		settings[name] = "test-" + name
	}
	fake := spec.Fake(carriers.FakeEnv{Settings: settings, Now: clock.Wall().Now, Journeys: func(number string) (carriers.FakeHistory, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		h, ok := s.known[parcel.NumberKey{Carrier: carrier, Number: number}]
		return h, ok
	}})
	service := httptest.NewServer(fake.Handler())
	t.Cleanup(service.Close)
	fmt.Fprintf(config, "  - carrier: %s\n    base_url: %s\n", carrier, service.URL)
	if endpoint != "" {
		fmt.Fprintf(config, "    endpoint: %s\n", endpoint)
	}
	fmt.Fprintf(config, "    settings:\n")
	for name, value := range settings {
		fmt.Fprintf(config, "      %s: %s\n", name, value)
	}
	return fake
}

// stores gives the URL of an empty database of each kind.
func stores(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "m.db")}
	if at, ok := storagetest.Database(t); ok {
		all["postgres"] = at
	} else {
		t.Log("not tested on PostgreSQL: none answers")
	}
	return all
}

func newKey(t *testing.T, store, merchant string) string {
	t.Helper()
	out, errs, code := said(t, "keys", "create", "--merchant", merchant, "--scopes", "all", "--store", store)
	if code != exitOK {
		t.Fatal(errs)
	}
	return strings.TrimSpace(out)
}

// deliver sends a push through the front door.
func deliver(t *testing.T, at string, d carriers.Delivery) (status int, body string) {
	t.Helper()
	if len(d.Query) > 0 {
		at += "?" + url.Values(d.Query).Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, bytes.NewReader(d.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = d.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

const timelineQuery = `query($reference: String!) {
  shipment(reference: $reference) {
    milestone outcome
    legs { carrier { code } trackingNumber }
    handovers { from { carrier { code } } to { carrier { code } } }
    timeline(first: 50) { nodes { code leg { carrier { code } } } }
  }
}`

type timeline struct {
	Shipment *struct {
		Milestone string
		Outcome   *string
		Legs      []struct {
			Carrier        *struct{ Code string }
			TrackingNumber *string
		}
		Handovers []struct {
			From struct{ Carrier *struct{ Code string } }
			To   *struct{ Carrier *struct{ Code string } }
		}
		Timeline struct {
			Nodes []struct {
				Code string
				Leg  *struct{ Carrier *struct{ Code string } }
			}
		}
	}
}

func (l *timeline) codes() (out []string) {
	for _, n := range l.Shipment.Timeline.Nodes {
		carrier := "nobody"
		if n.Leg != nil && n.Leg.Carrier != nil {
			carrier = n.Leg.Carrier.Code
		}
		out = append(out, carrier+" "+n.Code)
	}
	return out
}

// TestJourney goes the whole way, as its users do: a parcel is registered by
// GraphQL, polled from its first carrier, hears a signed push, is handed over
// to a second carrier that nobody had named, and is read back as one journey;
// by a process that is then ended and begun again.
func TestJourney(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) { journeyOn(t, store) })
	}
}

func journeyOn(t *testing.T, store string) {
	const (
		line, local = "LP00612345678901", "NL407712369BR"
		endpoint    = "e2e0123456789abc"
	)
	world := &script{known: map[parcel.NumberKey]carriers.FakeHistory{}}
	var config strings.Builder
	config.WriteString("accounts:\n")
	cainiao := world.stage(t, "cainiao", endpoint, &config, "secret", "provider_id", "pull_api")
	world.stage(t, "correios", "", &config, "user", "access_code", "postage_card")
	file := filepath.Join(t.TempDir(), "milepost.yaml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	key := newKey(t, store, "shop")
	args := []string{"serve", "--config", file, "--store", store}
	gate := start(t, args...)

	began := clock.Wall().Now().Add(-20 * 24 * time.Hour).Truncate(time.Second)
	at := func(days float64) time.Time { return began.Add(time.Duration(days * 24 * float64(time.Hour))) }
	china, brazil := parcel.Place{Country: "CN", City: "SHENZHEN"}, parcel.Place{Country: "BR", City: "CURITIBA"}
	first := carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{
		{Code: parcel.CodePickedUp, At: at(1), Place: china},
	}}
	world.tell("cainiao", line, first)

	var registered struct {
		RegisterShipments struct {
			Results []struct {
				Outcome  string
				Shipment *struct{ Reference string }
			}
		}
	}
	ask(t, gate.url, key, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { outcome shipment { reference } } } }`, map[string]any{
		"in": []any{map[string]any{
			"reference": "A-1", "order": "O-1", "registeredAt": began.Format(time.RFC3339),
			"parcel": map[string]any{"origin": map[string]any{"country": "CN"}, "destination": map[string]any{"country": "BR", "postcode": "80000-000"}},
			"legs":   []any{map[string]any{"carrier": "cainiao", "trackingNumber": line}},
		}},
	}, &registered)
	if r := registered.RegisterShipments.Results; len(r) != 1 || r[0].Outcome != "CREATED" {
		t.Fatalf("registered: %+v", r)
	}
	read := func() (l timeline) {
		t.Helper()
		ask(t, gate.url, key, timelineQuery, map[string]any{"reference": "A-1"}, &l)
		return l
	}
	eventually(t, "the poller hears of the pickup", func() bool { return read().Shipment.Milestone == "PICKED_UP" })

	// Cainiao pushes that customs let it pass, and names who carries on under
	// which number. A forged push changes nothing.
	next := first
	next.NextCarrier, next.NextNumber = "correios", local
	next.Scans = append(slices.Clone(first.Scans),
		carriers.FakeScan{Code: parcel.CodeOriginCountryDeparted, At: at(4), Place: china},
		carriers.FakeScan{Code: parcel.CodeImportCustomsReleased, At: at(12), Place: brazil})
	push, ok := cainiao.Push(line, next)
	if !ok {
		t.Fatal("cainiao does not push")
	}
	world.tell("correios", local, carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{
		{Code: parcel.CodeOutForDelivery, At: at(15), Place: brazil},
		{Code: parcel.CodeDelivered, At: at(15.2), Place: brazil, DeliveredTo: parcel.DeliveredToRecipient},
	}})
	forged := push
	forged.Body = bytes.Replace(push.Body, []byte("data_digest="), []byte("data_digest=AAAA"), 1)
	deliver(t, gate.url+"/hooks/cainiao/"+endpoint, forged)
	if got := read().Shipment.Milestone; got != "PICKED_UP" {
		t.Fatalf("a forged push made it %s", got)
	}
	if status, _ := deliver(t, gate.url+"/hooks/cainiao/ffffffffffffffff", push); status != http.StatusNotFound {
		t.Errorf("an endpoint that nobody has answers %d, want 404", status)
	}
	if status, body := deliver(t, gate.url+"/hooks/cainiao/"+endpoint, push); status != http.StatusOK || !strings.Contains(body, "true") {
		t.Fatalf("the push was answered with %d %s", status, body)
	}
	if got := read().Shipment.Milestone; got != "CUSTOMS_CLEARED" {
		t.Fatalf("acknowledged, and the journey stands at %s", got)
	}
	world.tell("cainiao", line, next)
	eventually(t, "the second carrier tells of the delivery", func() bool { return read().Shipment.Milestone == "DELIVERED" })

	// Asking cainiao again brings the pushed event a second time, and the one
	// that the push did not tell.
	var refreshed struct {
		RefreshShipment struct{ Shipment *struct{ Milestone string } }
	}
	ask(t, gate.url, key, `mutation($r: RefreshShipmentInput!) { refreshShipment(input: $r) { shipment { milestone } } }`,
		map[string]any{"r": refreshInput(t, gate.url, key)}, &refreshed)
	want := []string{
		"cainiao PICKED_UP", "cainiao ORIGIN_COUNTRY_DEPARTED", "cainiao IMPORT_CUSTOMS_RELEASED", "correios OUT_FOR_DELIVERY", "correios DELIVERED",
	}
	var got timeline
	eventually(t, "the journey is whole", func() bool { got = read(); return len(got.Shipment.Timeline.Nodes) == len(want) })
	if diff := cmp.Diff(want, got.codes()); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	var legs []string
	for _, l := range got.Shipment.Legs {
		if l.Carrier != nil && l.TrackingNumber != nil && !slices.Contains(legs, l.Carrier.Code+" "+*l.TrackingNumber) {
			legs = append(legs, l.Carrier.Code+" "+*l.TrackingNumber)
		}
	}
	if diff := cmp.Diff([]string{"cainiao " + line, "correios " + local}, legs); diff != "" {
		t.Errorf("carriers and numbers (-want +got):\n%s", diff)
	}
	handedOver := slices.ContainsFunc(got.Shipment.Handovers, func(h struct {
		From struct{ Carrier *struct{ Code string } }
		To   *struct{ Carrier *struct{ Code string } }
	}) bool {
		return h.From.Carrier != nil && h.From.Carrier.Code == "cainiao" && h.To != nil && h.To.Carrier != nil && h.To.Carrier.Code == "correios"
	})
	if !handedOver {
		t.Errorf("no handover from cainiao to correios: %+v", got.Shipment.Handovers)
	}

	// The doctor finds it well; it ends in order, and what it knew is there
	// when it begins again, under the same cursors.
	if out, errs, code := said(t, "doctor", "--store", store, "--config", file, "--ops-listen", strings.TrimPrefix(gate.ops, "http://")); code != exitOK || !strings.Contains(out, "and ready") {
		t.Errorf("doctor: exit code %d: %s%s", code, out, errs)
	}
	for path, want := range map[string]string{
		"/healthz": `"status":"ok"`, "/readyz": `"status":"ready"`, "/stats": `"carrier":"cainiao"`,
		"/metrics": `milepost_carrier_payloads_total{carrier="correios"}`,
	} {
		if got := page(t, gate.ops+path); !strings.Contains(got, want) {
			t.Errorf("%s has no %s: %s", path, want, got)
		}
	}
	cursor := lastCursor(t, gate.url, key, "")
	if code := gate.stop(t, syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d after SIGTERM, want 0: %s", code, gate.said)
	}
	gate = start(t, args...)
	if diff := cmp.Diff(want, func() []string { l := read(); return l.codes() }()); diff != "" {
		t.Errorf("timeline after a restart (-want +got):\n%s", diff)
	}
	if again := lastCursor(t, gate.url, key, cursor); again != "" {
		t.Errorf("the log has rows after the last cursor: %s", again)
	}
	// Reading again what was kept changes nothing, beside a running gateway.
	if out, errs, code := said(t, "replay", "--store", store, "--config", file); code != exitOK ||
		!strings.Contains(out, "cainiao  ") || !strings.Contains(out, ", 0 new in the log") {
		t.Errorf("replay: exit code %d: %s%s", code, out, errs)
	}
	if code := gate.stop(t, os.Interrupt); code != exitOK {
		t.Errorf("exit code %d after an interrupt, want 0", code)
	}
}

// TestCarriersTest asks a carrier's own fake through accounts that are right,
// wrong and out of reach.
func TestCarriersTest(t *testing.T) {
	const number = "LP00612345678901"
	world := &script{known: map[parcel.NumberKey]carriers.FakeHistory{}}
	world.tell("cainiao", number, carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{
		{Code: parcel.CodePickedUp, At: clock.Wall().Now().AddDate(0, 0, -3), Place: parcel.Place{Country: "CN", City: "SHENZHEN"}},
	}})
	var right strings.Builder
	right.WriteString("accounts:\n")
	world.stage(t, "cainiao", "", &right, "secret", "provider_id", "pull_api")
	wrong := strings.Replace(right.String(), "secret: test-secret", "secret: guessed", 1)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	gone := "accounts:\n  - carrier: cainiao\n    base_url: " + closed.URL + "\n    settings: {secret: s, provider_id: p, pull_api: a}\n"
	for name, tt := range map[string]struct {
		config string
		args   []string
		code   int
		says   string
	}{
		"let in":       {right.String(), nil, exitOK, "cainiao let us in and answered in "},
		"known number": {right.String(), []string{"--number", number}, exitOK, ": 1 events for " + number},
		"unknown one":  {right.String(), []string{"--number", "LP00000000000001"}, exitOK, "it does not know LP00000000000001 (or not yet)"},
		"refused":      {wrong, nil, exitFault, "refused by cainiao"},
		"out of reach": {gone, []string{"--within", "3s"}, exitFault, "cannot be reached, or is down"},
		"other name":   {right.String(), []string{"--account", "second"}, exitFault, `has no account "second"; it has main`},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "milepost.yaml")
			if err := os.WriteFile(file, []byte(tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			out, errs, code := said(t, append([]string{"carriers", "test", "cainiao", "--config", file, "--log-level", "error"}, tt.args...)...)
			if code != tt.code || !strings.Contains(out+errs, tt.says) {
				t.Errorf("exit code %d, want %d; %s%s", code, tt.code, out, errs)
			}
			if strings.Contains(out+errs, "test-secret") || strings.Contains(out+errs, "guessed") {
				t.Errorf("a secret was told: %s%s", out, errs)
			}
		})
	}
}

// TestDoctorAsksTheServer tells a server that is well from one that is not,
// and from something else on its port.
func TestDoctorAsksTheServer(t *testing.T) {
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	for name, tt := range map[string]struct {
		server http.Handler
		code   int
		says   string
	}{
		"ready":     {answer(200, `{"status":"ready","probes":{"server":"ok"}}`), exitOK, "and ready"},
		"not ready": {answer(503, `{"status":"not ready","probes":{"server":"starting"}}`), exitFault, "not ready: map[server:starting]"},
		"stranger":  {answer(200, "hello"), exitFault, "is not milepost"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(tt.server)
			defer s.Close()
			out, errs, code := said(t, "doctor", "--store", "sqlite:"+filepath.Join(t.TempDir(), "m.db"), "--ops-listen", s.Listener.Addr().String())
			if code != tt.code || !strings.Contains(out, tt.says) {
				t.Errorf("exit code %d, want %d; %s%s", code, tt.code, out, errs)
			}
		})
	}
	t.Run("port taken", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		defer s.Close()
		taken := s.Listener.Addr().String()
		out, _, code := said(t, "doctor", "--store", "sqlite:"+filepath.Join(t.TempDir(), "m.db"), "--ops-listen", "-", "--listen", taken)
		if code != exitFault || !strings.Contains(out, "FAIL listen: "+taken) {
			t.Errorf("exit code %d; %s", code, out)
		}
		_, errs, code := said(t, "serve", "--store", "sqlite:"+filepath.Join(t.TempDir(), "m.db"), "--ops-listen", "-", "--listen", taken)
		if code != exitFault || !strings.Contains(errs, "--listen: ") || !strings.Contains(errs, "give another address") {
			t.Errorf("serve: exit code %d; %s", code, errs)
		}
	})
}

// TestProgress draws only where a person watches.
func TestProgress(t *testing.T) {
	for watched, want := range map[bool]bool{true: true, false: false} {
		var out, errs bytes.Buffer
		con := &console{in: strings.NewReader(""), out: &out, err: &errs, wall: clock.Wall(), terminal: watched}
		store := "sqlite:" + filepath.Join(t.TempDir(), "m.db")
		if code := run(t.Context(), []string{"seed", "--shipments", "1500", "--store", store, "--log-level", "error"}, con); code != exitOK {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		if got := strings.Contains(errs.String(), "seeding"); got != want {
			t.Errorf("watched %v: drawn %v: %q", watched, got, errs.String())
		}
	}
}

// page reads what stands at an address.
func page(t *testing.T, at string) string {
	t.Helper()
	resp, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func refreshInput(t *testing.T, at, key string) map[string]any {
	t.Helper()
	var got struct{ Shipment struct{ ID string } }
	ask(t, at, key, `{ shipment(reference: "A-1") { id } }`, nil, &got)
	return map[string]any{"shipment": got.Shipment.ID}
}

// lastCursor is the cursor of the last row of the log after another; empty if
// there is none.
func lastCursor(t *testing.T, at, key, after string) (cursor string) {
	t.Helper()
	var got struct {
		Changes struct{ Nodes []struct{ Cursor string } }
	}
	variables := map[string]any{}
	if after != "" {
		variables["after"] = after
	}
	ask(t, at, key, `query($after: String) { changes(after: $after, first: 100) { nodes { cursor } } }`, variables, &got)
	for _, n := range got.Changes.Nodes {
		cursor = n.Cursor
	}
	return cursor
}
