package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

func newPayload(body string, numbers ...string) parcel.Payload {
	return parcel.Payload{
		ID: ulid.Make().String(), Carrier: "ups", Account: "main", Kind: "track", Source: parcel.SourcePoll, ContentType: "application/json",
		Body: []byte(body), Numbers: numbers, ReceivedAt: Epoch,
	}
}

func putPayloads(t testing.TB, s *storage.Store, payloads ...parcel.Payload) []storage.KeptPayload {
	t.Helper()
	var kept []storage.KeptPayload
	update(t, s, func(ctx context.Context, tx *storage.Tx) (err error) {
		kept, err = tx.PutPayloads(ctx, payloads)
		return err
	})
	return kept
}

func testPayloads(t *testing.T, s *storage.Store) {
	a := newPayload(`{"found":false}`, "1Z1", "1Z2")
	again := newPayload(`{"found":false}`, "1Z2", "1Z1")
	other := newPayload(`{"found":false}`, "1Z3")
	account := newPayload(`{"found":false}`, "1Z1", "1Z2")
	account.Account = "second"
	owned := newPayload(`{"found":false}`, "1Z1", "1Z2")
	owned.Owner = "m1"
	big := newPayload(string(bytes.Repeat([]byte("0123456789"), 2_000)))
	empty := newPayload("")
	kept := putPayloads(t, s, a, again, other, account, owned, big, empty)
	want := []storage.KeptPayload{{ID: a.ID, Fresh: true}, {ID: a.ID}, {ID: other.ID, Fresh: true}, {ID: account.ID, Fresh: true}, {ID: owned.ID, Fresh: true}, {ID: big.ID, Fresh: true}, {ID: empty.ID, Fresh: true}}
	if diff := gocmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]storage.KeptPayload{{ID: a.ID}}, putPayloads(t, s, newPayload(`{"found":false}`, "1Z1", "1Z2"))); diff != "" {
		t.Errorf("a day later (-want +got):\n%s", diff)
	}
	got := must(s.Payloads(t.Context(), storage.OfDeployment("test"), []string{big.ID, "none", a.ID, again.ID, empty.ID, owned.ID}))(t)
	if diff := gocmp.Diff([]*parcel.Payload{&big, nil, &a, nil, &empty, &owned}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.PutPayloads(ctx, []parcel.Payload{{Carrier: "ups"}})
		return err
	})
	wantKind(t, err, parcel.ErrInvalid)

	t.Run("the same push through two replicas", func(t *testing.T) {
		var fresh atomic.Int32
		var mu sync.Mutex
		seen := map[string]bool{}
		var g errgroup.Group
		for range 6 {
			x, y := newPayload("push one"), newPayload("push two")
			g.Go(func() error {
				return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
					kept, err := tx.PutPayloads(ctx, []parcel.Payload{x, y})
					mu.Lock()
					defer mu.Unlock()
					for _, k := range kept {
						seen[k.ID] = true
						if k.Fresh {
							fresh.Add(1)
						}
					}
					return err
				})
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if fresh.Load() != 2 || len(seen) != 2 {
			t.Errorf("%d fresh under %d ids, want 2 under 2", fresh.Load(), len(seen))
		}
	})
	t.Run("of a number, the newest, first received first", func(t *testing.T) {
		k := parcel.NumberKey{Carrier: "ups", Number: "1Z9"}
		late, early := newPayload("late"), newPayload("early")
		late.ReceivedAt = Epoch.Add(time.Hour)
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			if _, err := tx.PutPayloads(ctx, []parcel.Payload{late, early}); err != nil {
				return err
			}
			rows := []storage.PayloadNumber{{NumberKey: k, PayloadID: late.ID}, {NumberKey: k, PayloadID: early.ID}, {NumberKey: k, PayloadID: late.ID}}
			if err := tx.PutPayloadNumbers(ctx, rows); err != nil {
				return err
			}
			for limit, want := range map[int][]parcel.Payload{9: {early, late}, 1: {late}} {
				got, err := tx.PayloadsOf(ctx, k, limit)
				if err != nil {
					return err
				}
				if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("at most %d (-want +got):\n%s", limit, diff)
				}
			}
			none, err := tx.PayloadsOf(ctx, parcel.NumberKey{Carrier: "dhl", Number: "1Z9"}, 9)
			if len(none) != 0 {
				t.Errorf("another carrier's: %d", len(none))
			}
			return err
		})
	})
}

// testPayloadVisibility: raw bytes are shown to those alone whose parcels, and
// nobody else's, they tell of.
func testPayloadVisibility(t *testing.T, s *storage.Store) {
	one, two := merchant(t, s, "one"), merchant(t, s, "two")
	a, b := NewParcel(one, 1, 5), NewParcel(two, 2, 5)
	Put(t, s, a, b)
	batch := newPayload("both parcels in one answer")
	unread := newPayload("nothing of it became an event")
	own, foreign := newPayload("by its own account"), newPayload("by another's account")
	own.Owner, foreign.Owner = one, two
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.PutPayloads(ctx, []parcel.Payload{batch, unread, own, foreign}); err != nil {
			return err
		}
		if err := tx.PutPayloadNumbers(ctx, []storage.PayloadNumber{
			{NumberKey: a.Numbers[0], PayloadID: batch.ID}, {NumberKey: b.Numbers[0], PayloadID: batch.ID}, {NumberKey: a.Numbers[0], PayloadID: unread.ID},
			{NumberKey: a.Numbers[0], PayloadID: own.ID}, {NumberKey: a.Numbers[0], PayloadID: foreign.ID},
		}); err != nil {
			return err
		}
		var rows []storage.EventRow
		for _, id := range []string{batch.ID, own.ID, foreign.ID} {
			row := a.Events[0]
			row.PayloadID, row.EventDigest = id, "told in "+id
			rows = append(rows, row)
		}
		return tx.AppendEvents(ctx, rows)
	})
	list := []string{a.Payload.ID, b.Payload.ID, batch.ID, unread.ID, own.ID, foreign.ID}
	for _, tt := range []struct {
		name  string
		scope storage.Scope
		want  [6]bool
	}{
		{"one", storage.OfMerchant(one), [6]bool{0: true, 4: true}},
		{"two", storage.OfMerchant(two), [6]bool{1: true}},
		{"stranger", storage.OfMerchant("x"), [6]bool{}},
		{"nobody", storage.Scope{}, [6]bool{}},
		{"deployment", storage.OfDeployment("test"), [6]bool{true, true, true, true, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got [6]bool
			for i, p := range must(s.Payloads(t.Context(), tt.scope, list))(t) {
				got[i] = p != nil
			}
			if got != tt.want {
				t.Errorf("sees %v, want %v", got, tt.want)
			}
		})
	}
}

func testWalkPayloads(t *testing.T, s *storage.Store) {
	var all []parcel.Payload
	for i := range 75 {
		p := newPayload(fmt.Sprint("payload ", i))
		p.ReceivedAt = Epoch.Add(time.Duration(i) * time.Minute)
		if i%5 == 0 {
			p.Carrier = "dhl"
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b parcel.Payload) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	putPayloads(t, s, all...)
	walked := func(f storage.PayloadFilter) []string {
		t.Helper()
		var out []string
		err := s.WalkPayloads(t.Context(), f, func(p parcel.Payload) error {
			out = append(out, p.ID)
			// Replay writes while it walks.
			return s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				return tx.PutPayloadNumbers(ctx, []storage.PayloadNumber{{NumberKey: key(1), PayloadID: p.ID}})
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	since := Epoch.Add(40 * time.Minute)
	for _, tt := range []struct {
		name string
		f    storage.PayloadFilter
		want func(p parcel.Payload) bool
	}{
		{"all", storage.PayloadFilter{}, func(parcel.Payload) bool { return true }},
		{"of a carrier", storage.PayloadFilter{Carrier: "dhl"}, func(p parcel.Payload) bool { return p.Carrier == "dhl" }},
		{"since", storage.PayloadFilter{Since: since}, func(p parcel.Payload) bool { return !p.ReceivedAt.Before(since) }},
		{"going on", storage.PayloadFilter{AfterID: all[50].ID, Carrier: "ups"}, func(p parcel.Payload) bool { return p.ID > all[50].ID && p.Carrier == "ups" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, p := range all {
				if tt.want(p) {
					want = append(want, p.ID)
				}
			}
			if diff := gocmp.Diff(want, walked(tt.f)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	stop := errors.New("enough")
	n := 0
	err := s.WalkPayloads(t.Context(), storage.PayloadFilter{}, func(parcel.Payload) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d visits, %v", n, err)
	}
}

func testEvents(t *testing.T, s *storage.Store) {
	m, other := merchant(t, s, "shop"), merchant(t, s, "other")
	p, q := NewParcel(m, 1, 22), NewParcel(other, 1, 3)
	Put(t, s, p, q)
	again := slices.Clone(p.Events)
	for i := range again {
		again[i].ID, again[i].Words = ulid.Make().String(), "told again, and not heard"
	}
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.AppendEvents(ctx, again); err != nil {
			return err
		}
		got, err := tx.EventsOf(ctx, p.Shipment.ID)
		if diff := gocmp.Diff(plain(p.Events), sortedEvents(got)); diff != "" {
			t.Errorf("of the shipment (-want +got):\n%s", diff)
		}
		return err
	})
	half := p.Events[10].ReceivedAt
	for _, tt := range []struct {
		name  string
		scope storage.Scope
		at    time.Time
		want  []storage.EventRow
	}{
		{"now", storage.OfMerchant(m), Epoch.AddDate(1, 0, 0), p.Events},
		{"then", storage.OfMerchant(m), half, p.Events[:11]},
		{"before", storage.OfMerchant(m), Epoch, nil},
		{"by the deployment", storage.OfDeployment("test"), half, p.Events[:11]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must(s.EventsAsOf(t.Context(), tt.scope, p.Shipment.ID, tt.at))(t)
			if diff := gocmp.Diff(plain(tt.want), sortedEvents(got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("folded again they give the shipment", func(t *testing.T) {
		got := must(s.EventsAsOf(t.Context(), storage.OfMerchant(m), p.Shipment.ID, Epoch.AddDate(1, 0, 0)))(t)
		if diff := gocmp.Diff(p.Shipment.Journey, parcel.Fold(p.Shipment, nil, got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("of no shipment", func(t *testing.T) {
		for _, scope := range []storage.Scope{storage.OfMerchant(m), storage.OfDeployment("test"), {}} {
			_, err := s.EventsAsOf(t.Context(), scope, ulid.Make().String(), Epoch)
			wantKind(t, err, parcel.ErrNotFound)
		}
		_, err := s.EventsAsOf(t.Context(), storage.OfMerchant(other), p.Shipment.ID, Epoch.AddDate(1, 0, 0))
		wantKind(t, err, parcel.ErrNotFound)
	})
	t.Run("a person's correction", func(t *testing.T) {
		row := storage.EventRow{MerchantID: m, Event: parcel.Event{
			ID: ulid.Make().String(), ShipmentID: p.Shipment.ID, EventKey: "correction", EventDigest: "1", Source: parcel.SourceReport, ReceivedAt: Epoch,
			Retraction: &parcel.Retraction{Target: p.Events[3].EventKey, Kind: parcel.RetractionDidNotOccur, Reason: "wrong shelf", At: Epoch, ReplacedBy: "x"},
		}}
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.AppendEvents(ctx, []storage.EventRow{row}) })
		got := must(s.EventsAsOf(t.Context(), storage.OfMerchant(m), p.Shipment.ID, Epoch))(t)
		if diff := gocmp.Diff([]parcel.Event{row.Event}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("their shipments", func(t *testing.T) {
		list := []string{p.Events[0].ID, q.Events[0].ID, "none"}
		for _, tt := range []struct {
			scope storage.Scope
			want  map[string]string
		}{
			{storage.OfMerchant(m), map[string]string{p.Events[0].ID: p.Shipment.ID}},
			{storage.OfDeployment("test"), map[string]string{p.Events[0].ID: p.Shipment.ID, q.Events[0].ID: q.Shipment.ID}},
		} {
			if diff := gocmp.Diff(tt.want, must(s.EventShipments(t.Context(), tt.scope, list))(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	})
	t.Run("without a name", func(t *testing.T) {
		err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			return tx.AppendEvents(ctx, []storage.EventRow{{MerchantID: m}})
		})
		wantKind(t, err, parcel.ErrInvalid)
	})
}

func plain(rows []storage.EventRow) []parcel.Event {
	out := make([]parcel.Event, len(rows))
	for i := range rows {
		out[i] = rows[i].Event
	}
	return out
}

func sortedEvents(list []parcel.Event) []parcel.Event {
	slices.SortFunc(list, func(a, b parcel.Event) int { return a.Occurred.At.Compare(b.Occurred.At) })
	return list
}

// change makes a row of the log.
func change(m, shipment string, kind parcel.ChangeKind, at time.Time) parcel.Change {
	return parcel.Change{MerchantID: m, ShipmentID: shipment, Kind: kind, LoggedAt: at}
}

func appendChanges(t testing.TB, s *storage.Store, changes ...parcel.Change) int64 {
	t.Helper()
	var last int64
	update(t, s, func(ctx context.Context, tx *storage.Tx) (err error) {
		last, err = tx.AppendChanges(ctx, changes)
		return err
	})
	return last
}

func testChanges(t *testing.T, s *storage.Store) {
	m, other := merchant(t, s, "shop"), merchant(t, s, "other")
	if oldest, head, err := s.LogBounds(t.Context()); err != nil || oldest != 1 || head != 0 {
		t.Errorf("empty log: %d to %d, %v", oldest, head, err)
	}
	full := parcel.Change{
		MerchantID: m, ShipmentID: "s1", Kind: parcel.ChangeException, LoggedAt: Epoch.Add(time.Microsecond), EventID: "e1",
		Occurred: parcel.ReportedMoment("2026-09-01 16:00", Epoch.In(time.FixedZone("", 8*3600))), Place: parcel.Place{Country: "CN"}, Rule: "r", LegKey: "l",
		From: parcel.MilestonePickedUp, To: parcel.MilestoneOriginDeparted, OutcomeBefore: parcel.OutcomeLost, Outcome: parcel.OutcomeDelivered,
		ExceptionKey: "k", ExceptionKind: parcel.ExceptionDamaged, ExceptionAction: parcel.ExceptionOpened, Severity: parcel.ExceptionDamaged.DefaultSeverity(),
		LegAction: parcel.LegEnded, NumberBefore: "1", Number: "2", RetractedEventID: "e0",
		PromiseBefore: parcel.Promise{By: "2026-10-01", ShownAt: Epoch, Source: parcel.PromiseByQuote}, Promise: parcel.Promise{From: "2026-10-01", By: "2026-10-02"},
	}
	list := []parcel.Change{full, change(other, "s2", parcel.ChangeMilestone, Epoch), change(m, "s3", parcel.ChangePromise, Epoch)}
	var last int64
	update(t, s, func(ctx context.Context, tx *storage.Tx) (err error) {
		if last, err = tx.AppendChanges(ctx, list); err != nil {
			return err
		}
		none, err := tx.AppendChanges(ctx, nil)
		if none != 0 {
			t.Errorf("no change at %d", none)
		}
		return err
	})
	for i := range list {
		if list[i].Position != int64(i+1) {
			t.Errorf("change %d is at %d", i, list[i].Position)
		}
	}
	if oldest, head, err := s.LogBounds(t.Context()); err != nil || oldest != 1 || head != 3 || last != 3 {
		t.Errorf("log: %d to %d, last %d, %v", oldest, head, last, err)
	}
	for _, tt := range []struct {
		name  string
		scope storage.Scope
		after int64
		limit int
		want  []parcel.Change
	}{
		{"a merchant's", storage.OfMerchant(m), 0, 10, []parcel.Change{list[0], list[2]}},
		{"after a position", storage.OfMerchant(m), 1, 10, list[2:]},
		{"at most one", storage.OfMerchant(m), 0, 1, list[:1]},
		{"the deployment's", storage.OfDeployment("test"), 0, 10, list},
		{"after the end", storage.OfDeployment("test"), 3, 10, nil},
		{"nobody's", storage.Scope{}, 0, 10, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must(s.Changes(t.Context(), tt.scope, tt.after, tt.limit, storage.ChangeFilter{}))(t)
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	_, err := s.Changes(t.Context(), storage.OfMerchant(m), 0, 0, storage.ChangeFilter{})
	wantKind(t, err, parcel.ErrInvalid)
	err = s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.AppendChanges(ctx, []parcel.Change{{MerchantID: m}})
		return err
	})
	wantKind(t, err, parcel.ErrInvalid)
}

func testChangeFilters(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	a, b := NewParcel(m, 1, 22), NewParcel(m, 2, 12)
	b.Shipment.Destination.Country = "RU"
	b.Shipment.Legs = append(b.Shipment.Legs, parcel.DeclaredLeg{Stage: parcel.StageLastMile, Carrier: "russian-post"})
	b.Fold()
	Put(t, s, a, b)
	all := must(s.Changes(t.Context(), storage.OfMerchant(m), 0, 1000, storage.ChangeFilter{}))(t)
	of := func(id string) func(parcel.Change) bool {
		return func(c parcel.Change) bool { return c.ShipmentID == id }
	}
	for _, tt := range []struct {
		name string
		f    storage.ChangeFilter
		want func(c parcel.Change) bool
	}{
		{"kinds", storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeLeg, parcel.ChangePromise}}, func(c parcel.Change) bool { return c.Kind == parcel.ChangeLeg || c.Kind == parcel.ChangePromise }},
		{"milestones", storage.ChangeFilter{Milestones: []parcel.Milestone{parcel.MilestoneDelivered}}, func(c parcel.Change) bool {
			return c.Kind != parcel.ChangeMilestone || c.To == parcel.MilestoneDelivered
		}},
		{"exceptions", storage.ChangeFilter{Exceptions: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld}}, func(c parcel.Change) bool {
			return c.Kind != parcel.ChangeException || c.ExceptionKind == parcel.ExceptionCustomsHeld
		}},
		{"severity", storage.ChangeFilter{SeverityAtLeast: parcel.SeverityCritical}, func(c parcel.Change) bool {
			return c.Kind != parcel.ChangeException || c.Severity.Rank() >= parcel.SeverityCritical.Rank()
		}},
		{"shipments", storage.ChangeFilter{ShipmentIDs: []string{a.Shipment.ID, "none"}}, of(a.Shipment.ID)},
		{"orders", storage.ChangeFilter{Orders: []string{b.Shipment.Order}}, of(b.Shipment.ID)},
		{"tags", storage.ChangeFilter{Tags: a.Shipment.Tags}, of(a.Shipment.ID)},
		{"carriers", storage.ChangeFilter{Carriers: []string{"russian-post"}}, of(b.Shipment.ID)},
		{"lanes", storage.ChangeFilter{Lanes: []parcel.Lane{{Origin: "CN", Destination: "BR"}}}, of(a.Shipment.ID)},
		{"all at once", storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeMilestone}, Milestones: []parcel.Milestone{parcel.MilestonePickedUp}, Tags: a.Shipment.Tags, Carriers: []string{"yanwen"}, Lanes: []parcel.Lane{{Origin: "CN", Destination: "BR"}}, Orders: []string{a.Shipment.Order}}, func(c parcel.Change) bool {
			return c.ShipmentID == a.Shipment.ID && c.Kind == parcel.ChangeMilestone && c.To == parcel.MilestonePickedUp
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []parcel.Change
			for _, c := range all {
				if tt.want(c) {
					want = append(want, c)
				}
			}
			if len(want) == 0 {
				t.Fatal("the filter's case is empty")
			}
			got := must(s.Changes(t.Context(), storage.OfMerchant(m), 0, 1000, tt.f))(t)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func testPruneChanges(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	for i := range 6 {
		appendChanges(t, s, change(m, "s", parcel.ChangeMilestone, Epoch.Add(time.Duration(i)*time.Hour)))
	}
	// The log goes by position: a row logged out of time keeps those after it.
	appendChanges(t, s, change(m, "s", parcel.ChangeMilestone, Epoch))
	for _, tt := range []struct {
		before                time.Time
		removed, oldest, head int64
	}{
		{Epoch, 0, 1, 7},
		{Epoch.Add(150 * time.Minute), 3, 4, 7},
		{Epoch.Add(150 * time.Minute), 0, 4, 7},
		{Epoch.Add(24 * time.Hour), 4, 8, 7},
	} {
		removed := must(s.PruneChanges(t.Context(), tt.before, 1000))(t)
		oldest, head, err := s.LogBounds(t.Context())
		if err != nil || removed != tt.removed || oldest != tt.oldest || head != tt.head {
			t.Errorf("before %s: removed %d, log %d to %d, %v; want %d, %d to %d", tt.before, removed, oldest, head, err, tt.removed, tt.oldest, tt.head)
		}
	}
	if last := appendChanges(t, s, change(m, "s", parcel.ChangeMilestone, Epoch)); last != 8 {
		t.Errorf("the next change is at %d: positions were given twice", last)
	}
	appendChanges(t, s, change(m, "s", parcel.ChangeMilestone, Epoch), change(m, "s", parcel.ChangeMilestone, Epoch))
	for _, want := range []int64{2, 1, 0} {
		if removed := must(s.PruneChanges(t.Context(), Epoch.Add(time.Hour), 2))(t); removed != want {
			t.Errorf("%d removed, want %d of at most 2", removed, want)
		}
	}
	for _, limit := range []int{0, 10_001} {
		_, err := s.PruneChanges(t.Context(), Epoch, limit)
		wantKind(t, err, parcel.ErrInvalid)
	}
}

// testDuty: one at a time, the next when the lease has run out or was let go.
func testDuty(t *testing.T, s *storage.Store) {
	at := func(minutes int) time.Time { return Epoch.Add(time.Duration(minutes) * time.Minute) }
	for _, step := range []struct {
		name, duty, token string
		now, until        int
		held              bool
	}{
		{"the first has it", "prune", "a", 0, 10, true},
		{"a second has not", "prune", "b", 5, 15, false},
		{"another duty is another's", "other", "b", 5, 15, true},
		{"the holder renews", "prune", "a", 9, 20, true},
		{"the lease that was renewed counts", "prune", "b", 15, 25, false},
		{"a lease runs out", "prune", "b", 20, 30, true},
		{"who was late has lost it", "prune", "a", 21, 31, false},
		{"letting go", "prune", "b", 22, 22, false},
		{"the next has it at once", "prune", "a", 22, 32, true},
	} {
		held, err := s.HoldDuty(t.Context(), step.duty, step.token, at(step.now), at(step.until))
		if err != nil || held != step.held {
			t.Errorf("%s: held %v, %v", step.name, held, err)
		}
	}
	_, err := s.HoldDuty(t.Context(), "prune", "", at(0), at(1))
	wantKind(t, err, parcel.ErrInvalid)

	var all errgroup.Group
	var holders atomic.Int64
	for n := range 8 {
		all.Go(func() error {
			held, err := s.HoldDuty(t.Context(), "race", fmt.Sprint(n), at(0), at(10))
			if held {
				holders.Add(1)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil || holders.Load() != 1 {
		t.Errorf("%d of 8 hold it, %v", holders.Load(), err)
	}
}

// testLogOrder: many writers at once, and readers that page by cursor while
// they write. No reader may miss a row or see one twice, each writer's rows come
// in its own order, and whoever resumes behind any earlier place sees what was
// there before, and all that came since.
func testLogOrder(t *testing.T, s *storage.Store) {
	const writers, rounds, readers = 8, 25, 3
	m := merchant(t, s, "shop")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var total atomic.Int64
	var done atomic.Bool
	var writing, reading errgroup.Group
	for w := range writers {
		writing.Go(func() error {
			for r := range rounds {
				n := (w+r)%4 + 1
				err := s.Update(ctx, func(ctx context.Context, tx *storage.Tx) error {
					// Something else first, so that transactions overlap.
					k := parcel.NumberKey{Carrier: "ups", Number: fmt.Sprintf("%d-%d", w, r)}
					if _, err := tx.HoldNumbers(ctx, []parcel.NumberKey{k}); err != nil {
						return err
					}
					var list []parcel.Change
					for i := range n {
						c := change(m, fmt.Sprint("writer ", w), parcel.ChangeMilestone, Epoch)
						c.Rule = fmt.Sprintf("%03d.%d", r, i)
						list = append(list, c)
					}
					if _, err := tx.AppendChanges(ctx, list); err != nil {
						return err
					}
					if (w+r)%7 == 0 {
						return errRollback
					}
					return nil
				})
				switch {
				case err == nil:
					total.Add(int64(n))
				case !errors.Is(err, errRollback):
					return err
				}
			}
			return nil
		})
	}
	for n := range readers {
		reading.Go(func() error {
			chance := rand.New(rand.NewPCG(uint64(n), 1))
			var cursor int64
			var read []string // row by row, from position 1
			for {
				finished := done.Load()
				page, err := s.Changes(ctx, storage.OfMerchant(m), cursor, 1+chance.IntN(9), storage.ChangeFilter{})
				if err != nil {
					return err
				}
				for _, c := range page {
					row := c.ShipmentID + " " + c.Rule
					switch {
					case c.Position != cursor+1:
						return fmt.Errorf("position %d after %d: a hole, or a row twice", c.Position, cursor)
					case c.Position > int64(len(read)):
						read = append(read, row)
					case read[c.Position-1] != row:
						return fmt.Errorf("position %d was %s and is %s", c.Position, read[c.Position-1], row)
					}
					cursor = c.Position
				}
				if finished && len(page) == 0 {
					if int64(len(read)) != total.Load() {
						return fmt.Errorf("saw %d of %d after resuming", len(read), total.Load())
					}
					return nil
				}
				if chance.IntN(4) == 0 && !finished {
					cursor = chance.Int64N(int64(len(read)) + 1)
				}
			}
		})
	}
	for range readers {
		reading.Go(func() error {
			var cursor, seen int64
			last := map[string]string{}
			for {
				finished := done.Load()
				page, err := s.Changes(ctx, storage.OfMerchant(m), cursor, 7, storage.ChangeFilter{})
				if err != nil {
					return err
				}
				for _, c := range page {
					if c.Position != cursor+1 {
						return fmt.Errorf("position %d after %d: a hole, or a row twice", c.Position, cursor)
					}
					if c.Rule <= last[c.ShipmentID] {
						return fmt.Errorf("%s: %s after %s", c.ShipmentID, c.Rule, last[c.ShipmentID])
					}
					cursor, last[c.ShipmentID] = c.Position, c.Rule
					seen++
				}
				if finished && len(page) == 0 {
					if seen != total.Load() {
						return fmt.Errorf("saw %d of %d", seen, total.Load())
					}
					return nil
				}
			}
		})
	}
	err := writing.Wait()
	done.Store(true)
	if err := errors.Join(err, reading.Wait()); err != nil {
		t.Fatal(err)
	}
	if _, head, err := s.LogBounds(t.Context()); err != nil || head != total.Load() {
		t.Errorf("head %d, want %d, %v", head, total.Load(), err)
	}
}

var errRollback = errors.New("rolled back on purpose")
