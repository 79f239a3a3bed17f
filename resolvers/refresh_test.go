package resolvers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// carriers stands in for the way to the carriers.
type carriers struct {
	resolvers.Ingest
	mu    sync.Mutex
	asked []parcel.RefreshAsk
	// answer says what a refresh does; nil does nothing and says NOT_ALLOWED.
	answer func(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error)
}

func (c *carriers) Refresh(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
	slices.SortFunc(ask.Keys, func(a, b parcel.NumberKey) int { return strings.Compare(a.Carrier+a.Number, b.Carrier+b.Number) })
	c.mu.Lock()
	c.asked = append(c.asked, ask)
	c.mu.Unlock()
	if c.answer != nil {
		return c.answer(ctx, ask)
	}
	return served(ask, parcel.ServedNotAllowed), nil
}

func served(ask parcel.RefreshAsk, how parcel.Served) []parcel.Refreshed {
	out := make([]parcel.Refreshed, len(ask.Keys))
	for i, k := range ask.Keys {
		out[i] = parcel.Refreshed{Key: k, Served: how}
	}
	return out
}

// take returns what was asked since the last time.
func (c *carriers) take() []parcel.RefreshAsk {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.asked
	c.asked = nil
	return out
}

func newCarriers(t *testing.T) (*world, *carriers) {
	c := &carriers{}
	w := worldOn(t, storagetest.SQLite(t).Store, func(g resolvers.Ingest) resolvers.Ingest { c.Ingest = g; return c })
	return w, c
}

// heard stores when a number's carrier was last heard.
func (w *world) heard(k parcel.NumberKey, ago time.Duration, amend ...func(*parcel.Tracking)) {
	w.t.Helper()
	tr := parcel.Tracking{NumberKey: k, Account: "main", HeardAt: now.Add(-ago), HeardBy: parcel.SourcePoll, Finding: parcel.FindingFound, WatchedAt: now.Add(-1000 * time.Hour)}
	for _, f := range amend {
		f(&tr)
	}
	if err := w.store.SaveTrackings(w.t.Context(), []parcel.Tracking{tr}, ""); err != nil {
		w.t.Fatal(err)
	}
}

func key(carrier, number string) parcel.NumberKey {
	return parcel.NumberKey{Carrier: carrier, Number: number}
}

func TestFreshness(t *testing.T) {
	customs, last := key("upu-postal", "LX000000001CN"), key("correios", "BR00000000001")
	const fields = "freshness { state served asOf ageSeconds budgetSeconds source problem { kind retryAfterSeconds text { value } } }"
	for _, c := range []struct {
		name      string
		prepare   func(w *world)
		freshness string
		answer    parcel.Served
		asked     []parcel.RefreshAsk
		want      string
	}{
		{
			name:    "fresh within its budget: nobody is asked",
			prepare: func(w *world) { w.heard(customs, time.Hour); w.heard(last, time.Hour) },
			want:    `{"state": "FRESH", "served": "STORE", "asOf": "2026-11-22T11:00:00Z", "ageSeconds": 3600, "budgetSeconds": 7200, "source": "POLL", "problem": null}`,
		},
		{
			name:    "beyond its budget: asked behind the answer",
			prepare: func(w *world) { w.heard(customs, 3*time.Hour); w.heard(last, time.Hour) },
			answer:  parcel.ServedWaitExpired,
			asked:   []parcel.RefreshAsk{{Keys: []parcel.NumberKey{customs}}},
			want:    `{"state": "REFRESHING", "served": "WAIT_EXPIRED", "asOf": "2026-11-22T09:00:00Z", "ageSeconds": 10800, "budgetSeconds": 7200, "source": "POLL", "problem": null}`,
		},
		{
			name:      "younger than the budget, older than asked for",
			prepare:   func(w *world) { w.heard(customs, time.Hour); w.heard(last, time.Minute) },
			freshness: "{ maxAgeSeconds: 600, waitMs: 50 }",
			answer:    parcel.ServedNotAllowed,
			asked:     []parcel.RefreshAsk{{Keys: []parcel.NumberKey{customs}, MaxAge: 10 * time.Minute, Wait: 50 * time.Millisecond}},
			want:      `{"state": "STALE", "served": "NOT_ALLOWED", "asOf": "2026-11-22T11:00:00Z", "ageSeconds": 3600, "budgetSeconds": 600, "source": "POLL", "problem": null}`,
		},
		{
			name:      "the default patience",
			prepare:   func(w *world) { w.heard(customs, 3*time.Hour); w.heard(last, 4*time.Hour) },
			freshness: "{}",
			answer:    parcel.ServedWaitExpired,
			asked:     []parcel.RefreshAsk{{Keys: []parcel.NumberKey{last, customs}, Wait: 800 * time.Millisecond}},
			want:      `{"state": "REFRESHING", "served": "WAIT_EXPIRED", "asOf": "2026-11-22T08:00:00Z", "ageSeconds": 14400, "budgetSeconds": 7200, "source": "POLL", "problem": null}`,
		},
		{
			name: "a carrier that fails says so, and is not pressed before it asked to be",
			prepare: func(w *world) {
				w.heard(last, time.Hour)
				w.heard(customs, 5*time.Hour, func(tr *parcel.Tracking) {
					tr.Trouble, tr.TroubleSince, tr.RetryAt = parcel.TroubleThrottled, now.Add(-2*time.Hour), now.Add(90*time.Second)
				})
			},
			want: `{"state": "UNAVAILABLE", "served": "STORE", "asOf": "2026-11-22T07:00:00Z", "ageSeconds": 18000, "budgetSeconds": 7200, "source": "POLL", "problem": {"kind": "THROTTLED", "retryAfterSeconds": 90, "text": {"value": "The carrier asks us to wait"}}}`,
		},
		{
			name: "another replica is asking: who does not wait does not join",
			prepare: func(w *world) {
				w.heard(last, time.Hour)
				w.heard(customs, 5*time.Hour)
				if _, err := w.store.Lease(w.t.Context(), []parcel.NumberKey{customs}, now, now.Add(time.Minute), "another"); err != nil {
					w.t.Fatal(err)
				}
			},
			want: `{"state": "REFRESHING", "served": "STORE", "asOf": "2026-11-22T07:00:00Z", "ageSeconds": 18000, "budgetSeconds": 7200, "source": "POLL", "problem": null}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, door := newCarriers(t)
			v := w.merchant("lantern")
			s := w.put(v, 1, 16)
			c.prepare(w)
			door.answer = func(_ context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
				return served(ask, c.answer), nil
			}
			argument := ""
			if c.freshness != "" {
				argument = ", freshness: " + c.freshness
			}
			w.want(v, fmt.Sprintf("{ shipment(id: %q%s) { %s } }", shipmentID(s), argument, fields), nil, `{"shipment": {"freshness": `+c.want+`}}`)
			if diff := cmp.Diff(c.asked, door.take()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// What a carrier says while the asker waits is in the answer.
func TestRefreshedNewsIsShown(t *testing.T) {
	w, door := newCarriers(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16)
	customs := key("upu-postal", "LX000000001CN")
	w.heard(customs, 3*time.Hour)
	w.heard(key("correios", "BR00000000001"), time.Hour)
	door.answer = func(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
		w.heard(customs, -time.Second)
		w.trade.Advance(2 * time.Second)
		_, err := door.Ingest.Report(ctx, v.MerchantID, []parcel.Report{{ShipmentID: s.ID, Observation: parcel.Observation{
			Carrier: "upu-postal", Number: customs.Number, Code: parcel.CodeImportCustomsReleased, Occurred: parcel.ReportedMoment("", now)}}})
		return served(ask, parcel.ServedOwnCall), err
	}
	w.want(v, fmt.Sprintf("{ shipment(id: %q, freshness: { waitMs: 1000 }) { milestone asOf freshness { state served } currentLeg { freshness { state served asOf } } } }", shipmentID(s)), nil,
		`{"shipment": {"milestone": "CUSTOMS_CLEARED", "asOf": "2026-11-22T12:00:02Z", "freshness": {"state": "FRESH", "served": "STORE"}, "currentLeg": {"freshness": {"state": "FRESH", "served": "OWN_CALL", "asOf": "2026-11-22T12:00:01Z"}}}}`)
}

// However many fields of a request wait for carriers, the write path hears of
// each number once for each patience, and of a page in one call.
func TestNumbersAreGathered(t *testing.T) {
	w, door := newCarriers(t)
	v := w.merchant("lantern")
	var ids []string
	for n := range 5 {
		s := w.put(v, n, 16)
		ids = append(ids, shipmentID(s))
		w.heard(key("upu-postal", fmt.Sprintf("LX%09dCN", n)), 24*time.Hour)
		w.heard(key("correios", fmt.Sprintf("BR%011d", n)), time.Minute)
	}
	var query strings.Builder
	query.WriteString("{ ")
	for i, id := range ids[:3] {
		fmt.Fprintf(&query, "s%d: shipment(id: %q, freshness: { waitMs: 100 }) { health } ", i, id)
	}
	query.WriteString("list: shipments(first: 5, freshness: { waitMs: 100 }) { nodes { health } } ")
	fmt.Fprintf(&query, "other: shipment(id: %q, freshness: { waitMs: 200 }) { health } }", ids[4])
	w.get(v, query.String(), nil, new(any))
	// How the fields fall into batches is a matter of milliseconds; that no
	// number is asked for twice is not.
	times := map[string]int{}
	for _, ask := range door.take() {
		for _, k := range ask.Keys {
			times[fmt.Sprint(ask.Wait, k.Number)]++
		}
	}
	if diff := cmp.Diff(map[string]int{"100msLX000000000CN": 1, "100msLX000000001CN": 1, "100msLX000000002CN": 1, "100msLX000000003CN": 1, "100msLX000000004CN": 1, "200msLX000000004CN": 1}, times); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	w.get(v, "{ shipments(first: 5, freshness: { waitMs: 100 }) { nodes { health } } }", nil, new(any))
	if asked := door.take(); len(asked) != 1 || len(asked[0].Keys) != 5 {
		t.Errorf("a page asked %v", asked)
	}
}

// A page is answered from the store in full though carriers cannot be asked.
func TestRefreshThatFails(t *testing.T) {
	w, door := newCarriers(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16)
	w.heard(key("upu-postal", "LX000000001CN"), 24*time.Hour)
	door.answer = func(context.Context, parcel.RefreshAsk) ([]parcel.Refreshed, error) {
		return nil, errors.New("no database")
	}
	for _, freshness := range []string{"", ", freshness: { waitMs: 10 }"} {
		w.want(v, fmt.Sprintf("{ shipment(id: %q%s) { milestone } }", shipmentID(s), freshness), nil, `{"shipment": {"milestone": "DESTINATION_ARRIVED"}}`)
	}
	door.answer = func(context.Context, parcel.RefreshAsk) ([]parcel.Refreshed, error) { panic("an adapter's mistake") }
	w.want(v, fmt.Sprintf("{ shipment(id: %q, freshness: { waitMs: 10 }) { milestone } }", shipmentID(s)), nil, `{"shipment": {"milestone": "DESTINATION_ARRIVED"}}`)
}

// The caller's own end is not the batch's: who leaves early fails alone.
func TestCallerLeaves(t *testing.T) {
	w, door := newCarriers(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 16)
	w.heard(key("upu-postal", "LX000000001CN"), 24*time.Hour)
	entered, release := make(chan context.Context, 1), make(chan struct{})
	door.answer = func(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
		entered <- ctx
		<-release
		return served(ask, parcel.ServedOwnCall), nil
	}
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		runUntil(ctx, w, v, fmt.Sprintf("{ shipment(id: %q, freshness: { waitMs: 5000 }) { milestone } }", shipmentID(s)))
	}()
	batch := <-entered
	leave()
	<-done
	if batch.Err() != nil {
		t.Error("the batch ended with its caller")
	}
	close(release)
}

func TestRefreshShipment(t *testing.T) {
	w, door := newCarriers(t)
	v := w.merchant("lantern")
	s := w.put(v, 1, 22)
	door.answer = func(_ context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
		return served(ask, parcel.ServedOwnCall), nil
	}
	w.want(v, fmt.Sprintf("mutation { refreshShipment(input: { shipment: %q, waitMs: 300 }) { userErrors { code } shipment { outcome legs { sequence freshness { state served } } } } }", shipmentID(s)), nil,
		`{"refreshShipment": {"userErrors": [], "shipment": {"outcome": "DELIVERED", "legs": [`+strings.Join([]string{
			`{"sequence": 1, "freshness": {"state": "FINAL", "served": "OWN_CALL"}}`, `{"sequence": 2, "freshness": {"state": "FINAL", "served": "OWN_CALL"}}`, `{"sequence": 3, "freshness": {"state": "FINAL", "served": "OWN_CALL"}}`,
			`{"sequence": 4, "freshness": {"state": "FINAL", "served": "OWN_CALL"}}`, `{"sequence": 5, "freshness": {"state": "FINAL", "served": "OWN_CALL"}}`}, ",")+`]}}}`)
	asked := door.take()
	if len(asked) != 1 || !asked[0].Force || asked[0].Wait != 300*time.Millisecond || len(asked[0].Keys) != 4 {
		t.Errorf("asked %+v", asked)
	}
	// A look that is planned for the grace time, and a carrier that could not be
	// asked, are told for a finished parcel too, to who asked.
	numbers := asked[0].Keys
	door.answer = func(_ context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error) {
		done := served(ask, parcel.ServedOwnCall)
		done[0].Served = parcel.ServedNotAllowed
		w.heard(numbers[0], time.Hour, func(tr *parcel.Tracking) { tr.Trouble, tr.TroubleSince = parcel.TroubleThrottled, now })
		for _, k := range numbers[1:] {
			w.heard(k, 0, func(tr *parcel.Tracking) { tr.NextAt = now.Add(24 * time.Hour) })
		}
		return done, nil
	}
	type told struct {
		Served        string
		NextRefreshAt *string
		Problem       *struct{ Kind string }
	}
	var a struct {
		RefreshShipment struct {
			Shipment struct{ Legs []struct{ Freshness told } }
		}
	}
	w.get(v, fmt.Sprintf("mutation { refreshShipment(input: { shipment: %q }) { shipment { legs { freshness { served nextRefreshAt problem { kind } } } } } }", shipmentID(s)), nil, &a)
	barred, looked := 0, 0
	for _, l := range a.RefreshShipment.Shipment.Legs {
		switch f := l.Freshness; {
		case f.Served == "NOT_ALLOWED" && f.NextRefreshAt == nil && f.Problem != nil && f.Problem.Kind == "THROTTLED":
			barred++
		case f.Served == "OWN_CALL" && f.NextRefreshAt != nil && *f.NextRefreshAt == "2026-11-23T12:00:00Z" && f.Problem == nil:
			looked++
		default:
			t.Errorf("%+v", f)
		}
	}
	if barred == 0 || looked == 0 {
		t.Errorf("%d legs barred, %d looked at: %+v", barred, looked, a)
	}
	door.take()
	w.want(v, `mutation { refreshShipment(input: { shipment: "x" }) { userErrors { code path } shipment { id } } }`, nil, `{"refreshShipment": {"userErrors": [{"code": "NOT_FOUND", "path": ["input", "shipment"]}], "shipment": null}}`)
	if asked := door.take(); len(asked) != 0 {
		t.Errorf("asked about nothing: %+v", asked)
	}
}

// The public door asks carriers for what it shows, and for nothing else.
func TestTrackRefreshes(t *testing.T) {
	w, door := newCarriers(t)
	v := w.merchant("lantern")
	w.put(v, 1, 16)
	customs := key("upu-postal", "LX000000001CN")
	w.heard(customs, 24*time.Hour)
	w.heard(key("correios", "BR00000000001"), time.Minute)
	for _, c := range []struct {
		name, postcode string
		asked          int
	}{{"a wrong postcode", "999", 0}, {"the right one", "01310-100", 1}} {
		w.get(graph.Viewer{}, fmt.Sprintf(`{ track(number: %q, postcode: %q, freshness: { waitMs: 10 }) { __typename } }`, customs.Number, c.postcode), nil, new(any))
		if asked := door.take(); len(asked) != c.asked {
			t.Errorf("%s: asked %v", c.name, asked)
		}
	}
}
