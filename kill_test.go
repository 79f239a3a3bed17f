package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// TestServeKilled kills the gateway under load, many times, and finds
// everything that was answered: every registration whose mutation returned,
// every push that got its 2xx. Nothing is there by half.
func TestServeKilled(t *testing.T) {
	kills := 8
	if testing.Short() {
		kills = 2
	}
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			const endpoint = "kill0123456789ab"
			world := &script{known: map[parcel.NumberKey]carriers.FakeHistory{}}
			var config strings.Builder
			config.WriteString("accounts:\n")
			ups := world.stage(t, "ups", endpoint, &config, "client_id", "client_secret", "push_credential")
			file := filepath.Join(t.TempDir(), "milepost.yaml")
			if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			told := answered{registered: map[string]bool{}, pushed: map[string]int{}}
			key := newKey(t, store, "shop")
			for kill := range kills {
				gate := start(t, "serve", "--config", file, "--store", store, "--no-poll", "--log-level", "error")
				told.load(t, gate, key, ups, endpoint, kill, 25+17*kill)
			}
			t.Logf("%d kills: %d registrations and %d pushes were answered", kills, len(told.registered), told.pushes())
			told.check(t, store, "shop")
		})
	}
}

// answered is what the gateway has acknowledged.
type answered struct {
	mu         sync.Mutex
	registered map[string]bool // by reference
	pushed     map[string]int  // scans of it, by reference
	all        int
}

func (a *answered) pushes() (n int) {
	for _, p := range a.pushed {
		n += p
	}
	return n
}

func (a *answered) note(enough int, noted func()) (done bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	noted()
	a.all++
	return a.all >= enough
}

// killedScans is what is pushed of each parcel, in order.
func killedScans() []parcel.Code {
	return []parcel.Code{parcel.CodePickedUp, parcel.CodeOutForDelivery, parcel.CodeDelivered}
}

// load asks from many sides at once until enough was answered, and kills the
// process while the rest is under way.
func (a *answered) load(t *testing.T, gate *running, key string, ups carriers.Fake, endpoint string, round, enough int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	a.mu.Lock()
	enough += a.all
	a.mu.Unlock()
	killed := func() {
		_ = gate.cmd.Process.Signal(syscall.SIGKILL) // another may have been quicker
		cancel()
	}
	began := clock.Wall().Now().AddDate(0, 0, -10).Truncate(time.Second)
	var sides sync.WaitGroup
	for side := range 6 {
		sides.Go(func() {
			for i := side; ctx.Err() == nil; i += 6 {
				reference := fmt.Sprintf("K-%d-%d", round, i)
				number := fmt.Sprintf("1Z%06d03%08d", round, i)
				var got struct {
					RegisterShipments struct{ Results []struct{ Outcome string } }
				}
				err := tryAsk(ctx, gate.url, key, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { outcome } } }`, map[string]any{
					"in": []any{map[string]any{
						"reference": reference, "registeredAt": began.Format(time.RFC3339),
						"parcel": map[string]any{"origin": map[string]any{"country": "US"}, "destination": map[string]any{"country": "US"}},
						"legs":   []any{map[string]any{"carrier": "ups", "trackingNumber": number}},
					}},
				}, &got)
				if err != nil || len(got.RegisterShipments.Results) != 1 || got.RegisterShipments.Results[0].Outcome != "CREATED" {
					continue // not answered: nothing was promised
				}
				if a.note(enough, func() { a.registered[reference] = true }) {
					killed()
				}
				var h carriers.FakeHistory
				for k, code := range killedScans() {
					h.Scans = append(h.Scans, carriers.FakeScan{Code: code, At: began.AddDate(0, 0, 1+k), Place: parcel.Place{Country: "US", Region: "NJ", City: "Newark"}})
					push, ok := ups.Push(number, h)
					if !ok {
						t.Error("ups does not push")
						return
					}
					if !pushOnce(ctx, gate.url+"/hooks/ups/"+endpoint, push) {
						break
					}
					if a.note(enough, func() { a.pushed[reference]++ }) {
						killed()
					}
				}
			}
		})
	}
	sides.Wait()
	<-gate.ended
}

// pushOnce tells whether a push was answered with 2xx.
func pushOnce(ctx context.Context, at string, d carriers.Delivery) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(string(d.Body)))
	if err != nil {
		return false
	}
	req.Header = d.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode/100 == 2
}

// check finds all of it, and nothing by half: a shipment's state is what its
// events say, and its rows in the change log end where it stands.
func (a *answered) check(t *testing.T, url, merchant string) {
	t.Helper()
	ctx := t.Context()
	s := storagetest.Again(t, url, storage.Options{})
	m, err := s.MerchantByName(ctx, merchant)
	if err != nil {
		t.Fatal(err)
	}
	scope := storage.OfMerchant(m.ID)
	seen := map[string]bool{}
	order := storage.ShipmentOrder{Field: storage.ByRegisteredAt}
	page := storage.Page{First: 500}
	for {
		got, err := s.ListShipments(ctx, scope, storage.ShipmentFilter{}, order, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range got.Items {
			seen[l.Shipment.Reference] = true
			a.checkOne(t, s, scope, l.Shipment)
		}
		if !got.HasNext {
			break
		}
		k := storage.KeyOf(order, got.Items[len(got.Items)-1].Shipment)
		page.After = &k
	}
	for reference := range a.registered {
		if !seen[reference] {
			t.Errorf("%s was answered and is lost", reference)
		}
	}
}

func (a *answered) checkOne(t *testing.T, s *storage.Store, scope storage.Scope, sh *parcel.Shipment) {
	t.Helper()
	if got, want := len(sh.Journey.Events), a.pushed[sh.Reference]; got < want {
		t.Errorf("%s: %d pushes were answered, %d events are there", sh.Reference, want, got)
	}
	rows, err := s.EventsAsOf(t.Context(), scope, sh.ID, clock.Wall().Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parcel.Fold(sh, nil, rows), sh.Journey, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("%s is there by half: its state is not what its events say:\n%s", sh.Reference, diff)
	}
	log, err := s.Changes(t.Context(), scope, 0, 1000, storage.ChangeFilter{ShipmentIDs: []string{sh.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if len(log) == 0 || log[len(log)-1].To != sh.Journey.Milestone {
		t.Errorf("%s stands at %s, and its %d rows in the log end elsewhere", sh.Reference, sh.Journey.Milestone, len(log))
	}
}
