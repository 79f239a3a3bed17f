package storagetest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

func testMerchants(t *testing.T, s *storage.Store) {
	a := storage.Merchant{ID: ulid.Make().String(), Name: "Ромашка", DefaultLocale: "ru-RU", TrackPublic: true, SupportURL: "https://shop.example/help", CreatedAt: Epoch}
	if err := s.CreateMerchant(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b := storage.Merchant{ID: merchant(t, s, "Alpha"), Name: "Alpha", CreatedAt: Epoch}
	if diff := gocmp.Diff(a, must(s.Merchant(t.Context(), a.ID))(t)); diff != "" {
		t.Errorf("by id (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(a, must(s.MerchantByName(t.Context(), "Ромашка"))(t)); diff != "" {
		t.Errorf("by name (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]storage.Merchant{b, a}, must(s.Merchants(t.Context(), storage.OfDeployment("test")))(t)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	a.Name, a.TrackPublic, a.SupportURL = "Василёк", false, ""
	if err := s.UpdateMerchant(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]storage.Merchant{a}, must(s.Merchants(t.Context(), storage.OfMerchant(a.ID)))(t)); diff != "" {
		t.Errorf("its own (-want +got):\n%s", diff)
	}
	for name, tt := range map[string]struct{ err, kind error }{
		"name taken":       {s.CreateMerchant(t.Context(), storage.Merchant{ID: ulid.Make().String(), Name: "Alpha"}), parcel.ErrConflict},
		"no name":          {s.CreateMerchant(t.Context(), storage.Merchant{ID: ulid.Make().String()}), parcel.ErrInvalid},
		"renamed to taken": {s.UpdateMerchant(t.Context(), storage.Merchant{ID: a.ID, Name: "Alpha"}), parcel.ErrConflict},
		"update of none":   {s.UpdateMerchant(t.Context(), storage.Merchant{ID: "none", Name: "x"}), parcel.ErrNotFound},
		"none of that id":  {second(s.Merchant(t.Context(), "none")), parcel.ErrNotFound},
		"none so called":   {second(s.MerchantByName(t.Context(), "none")), parcel.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, tt.err, tt.kind) })
	}
}

func second[T any](_ T, err error) error { return err }

func newKey(m, name string) storage.Key {
	hash := sha256.Sum256([]byte(m + name))
	return storage.Key{ID: ulid.Make().String(), MerchantID: m, Name: name, Prefix: "mp_abcd", Hash: hash[:], Scopes: []string{"shipments:read", "shipments:write"}, CreatedAt: Epoch}
}

func testKeys(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	a, b := newKey(m, "a"), newKey(m, "b")
	b.ExpiresAt = Epoch.Add(time.Hour)
	for _, k := range []storage.Key{a, b} {
		if err := s.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, s.PutKey(t.Context(), storage.Key{ID: ulid.Make().String(), Hash: a.Hash}), parcel.ErrConflict)
	wantKind(t, s.PutKey(t.Context(), storage.Key{ID: ulid.Make().String()}), parcel.ErrInvalid)
	if diff := gocmp.Diff(b, must(s.KeyByHash(t.Context(), b.Hash))(t)); diff != "" {
		t.Errorf("by hash (-want +got):\n%s", diff)
	}
	wantKind(t, second(s.KeyByHash(t.Context(), []byte("none"))), parcel.ErrNotFound)
	wantKind(t, second(s.KeyByHash(t.Context(), nil)), parcel.ErrNotFound)

	used := Epoch.Add(90 * time.Minute)
	for _, at := range []time.Time{used, used.Add(time.Minute), Epoch} { // the last is late, and older
		if err := s.TouchKey(t.Context(), a.ID, at); err != nil {
			t.Fatal(err)
		}
	}
	a.LastUsedAt = Epoch.Add(time.Hour)
	wantKind(t, s.RevokeKey(t.Context(), storage.OfMerchant("other"), a.ID, used), parcel.ErrNotFound)
	wantKind(t, s.RevokeKey(t.Context(), storage.Scope{}, a.ID, used), parcel.ErrNotFound)
	for range 2 {
		if err := s.RevokeKey(t.Context(), storage.OfMerchant(m), a.ID, used); err != nil {
			t.Fatal(err)
		}
		used = used.Add(time.Hour)
	}
	a.RevokedAt = Epoch.Add(90 * time.Minute)
	if diff := gocmp.Diff([]storage.Key{a, b}, must(s.Keys(t.Context(), storage.OfMerchant(m)))(t)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if got := must(s.Keys(t.Context(), storage.OfDeployment("test")))(t); len(got) != 2 {
		t.Errorf("%d in all", len(got))
	}
}

func testSettings(t *testing.T, s *storage.Store) {
	var mu sync.Mutex
	seen := map[string]bool{}
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			v, err := s.Setting(t.Context(), "cursor secret", func() string { return fmt.Sprint("made by ", i) })
			mu.Lock()
			defer mu.Unlock()
			seen[v] = true
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[""] {
		t.Errorf("they read %v", seen)
	}
	v := must(s.Setting(t.Context(), "cursor secret", func() string { t.Error("made again"); return "" }))(t)
	if !seen[v] {
		t.Errorf("now %q", v)
	}
}

func testRecipients(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	scope := storage.OfMerchant(m)
	row := storage.RecipientRow{MerchantID: m, ShipmentID: "s1", Recipient: parcel.Recipient{Name: "Мария", Email: "m@example.org", Phone: "+55 11", AddressLines: []string{"Rua A, 1"}}}
	put := func(rows ...storage.RecipientRow) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.PutRecipients(ctx, rows) })
	}
	want := func(what string, rows map[string]storage.RecipientRow) {
		t.Helper()
		if diff := gocmp.Diff(rows, must(s.Recipients(t.Context(), scope, []string{"s1", "s2"}))(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	put(row)
	want("stored", map[string]storage.RecipientRow{"s1": row})
	row.Recipient.Phone = "+55 12"
	put(row)
	want("changed", map[string]storage.RecipientRow{"s1": row})
	erased := storage.RecipientRow{MerchantID: m, ShipmentID: "s1", Recipient: row.Recipient, ErasedAt: Epoch}
	put(erased)
	erased.Recipient = parcel.Recipient{}
	want("erased", map[string]storage.RecipientRow{"s1": erased})
	put(row)
	want("told again after it was erased", map[string]storage.RecipientRow{"s1": erased})
}

func testRoutes(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	rows := []storage.RouteRow{
		{MerchantID: m, Code: "B", Doc: []byte(`{"days":20}`), UpdatedAt: Epoch},
		{MerchantID: m, Code: "A", Doc: []byte(`{"days":10}`), UpdatedAt: Epoch},
		{MerchantID: m, Code: "B", Doc: []byte(`{"days":21}`), UpdatedAt: Epoch.Add(time.Hour)},
	}
	if err := s.PutRoutes(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]storage.RouteRow{rows[1], rows[2]}, must(s.Routes(t.Context(), storage.OfMerchant(m)))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bad := []storage.RouteRow{{MerchantID: m, Code: "C", Doc: []byte(`{}`)}, {MerchantID: m, Code: "D", Doc: []byte(`{`)}}
	wantKind(t, s.PutRoutes(t.Context(), bad), parcel.ErrInvalid)
	if got := must(s.Routes(t.Context(), storage.OfDeployment("test")))(t); len(got) != 2 {
		t.Errorf("%d routes: some of a refused lot were stored", len(got))
	}
}

func testImportRuns(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	scope := storage.OfMerchant(m)
	_, err := s.ImportRun(t.Context(), scope, "file", "mapping")
	wantKind(t, err, parcel.ErrNotFound)
	run := storage.ImportRun{ID: ulid.Make().String(), MerchantID: m, FileSHA: "file", MappingSHA: "mapping", NextLine: 100, Accepted: 97, Refused: 2, UpdatedAt: Epoch}
	for range 2 {
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.PutImportRun(ctx, run) })
		if diff := gocmp.Diff(run, must(s.ImportRun(t.Context(), scope, "file", "mapping"))(t)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		run.NextLine, run.Accepted, run.UpdatedAt = 200, 197, Epoch.Add(time.Hour)
	}
	_, err = s.ImportRun(t.Context(), scope, "file", "another mapping")
	wantKind(t, err, parcel.ErrNotFound)
}

func testCohorts(t *testing.T, s *storage.Store) {
	m, other := merchant(t, s, "shop"), merchant(t, s, "other")
	k := storage.CohortKey{MerchantID: m, Carrier: "ups", Lane: parcel.Lane{Origin: "CN", Destination: "BR"}, Day: "2026-09-01"}
	later, svc, theirs := k, k, k
	later.Day = "2026-09-03"
	svc.Service, svc.Stage = "ECONOMY", parcel.StageCustoms
	theirs.MerchantID, theirs.Carrier, theirs.Lane.Destination = other, "dhl", "RU"
	add := func(deltas ...storage.CohortDelta) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.AddCohorts(ctx, deltas) })
	}
	add(
		storage.CohortDelta{CohortKey: k, Started: 1}, storage.CohortDelta{CohortKey: k, Started: 2},
		storage.CohortDelta{CohortKey: k, Ended: 1, Age: 12, Cause: storage.EndDelivered}, storage.CohortDelta{CohortKey: k, Ended: 1, Age: 30, Cause: storage.EndLost},
		storage.CohortDelta{CohortKey: later, Started: 4, Due: 3, Kept: 2}, storage.CohortDelta{CohortKey: svc, Started: 5},
		storage.CohortDelta{CohortKey: theirs, Started: 6},
	)
	// The lost one was found, and delivered on its 31st day.
	add(storage.CohortDelta{CohortKey: k, Ended: -1, Age: 30, Cause: storage.EndLost}, storage.CohortDelta{CohortKey: k, Ended: 1, Age: 31, Cause: storage.EndDelivered})
	all := storage.Cohorts{
		Starts: []storage.CohortStart{{CohortKey: k, N: 3}, {CohortKey: later, N: 4}, {CohortKey: svc, N: 5}},
		Ends: []storage.CohortEnd{
			{CohortKey: k, Age: 12, Cause: storage.EndDelivered, N: 1}, {CohortKey: k, Age: 31, Cause: storage.EndDelivered, N: 1},
		},
		Punctuality: []storage.CohortPunctuality{{CohortKey: later, Due: 3, Kept: 2}},
	}
	for _, tt := range []struct {
		name  string
		scope storage.Scope
		f     storage.ScoreFilter
		want  storage.Cohorts
	}{
		{"all", storage.OfMerchant(m), storage.ScoreFilter{}, all},
		{"of days", storage.OfMerchant(m), storage.ScoreFilter{From: "2026-09-02", To: "2026-09-03"}, storage.Cohorts{Starts: all.Starts[1:2], Punctuality: all.Punctuality}},
		{"of carriers", storage.OfMerchant(m), storage.ScoreFilter{Carriers: []string{"dhl"}}, storage.Cohorts{}},
		{"of lanes", storage.OfDeployment("test"), storage.ScoreFilter{Lanes: []parcel.Lane{{Origin: "CN", Destination: "RU"}}}, storage.Cohorts{Starts: []storage.CohortStart{{CohortKey: theirs, N: 6}}}},
		{"another's", storage.OfMerchant(other), storage.ScoreFilter{}, storage.Cohorts{Starts: []storage.CohortStart{{CohortKey: theirs, N: 6}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := gocmp.Diff(tt.want, must(s.Scores(t.Context(), tt.scope, tt.f))(t), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("many writers", func(t *testing.T) {
		var g errgroup.Group
		for w := range 6 {
			g.Go(func() error {
				deltas := []storage.CohortDelta{{CohortKey: k, Started: 1}, {CohortKey: later, Started: 1}}
				if w%2 == 0 {
					slices.Reverse(deltas)
				}
				for range 5 {
					if err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.AddCohorts(ctx, deltas) }); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := must(s.Scores(t.Context(), storage.OfMerchant(m), storage.ScoreFilter{}))(t); got.Starts[0].N != 33 || got.Starts[1].N != 34 {
			t.Errorf("%d and %d, want 33 and 34", got.Starts[0].N, got.Starts[1].N)
		}
	})
	err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.AddCohorts(ctx, []storage.CohortDelta{{CohortKey: k, Ended: 1, Age: -1, Cause: storage.EndLost}})
	})
	wantKind(t, err, parcel.ErrInvalid)
}

func testPassings(t *testing.T, s *storage.Store) {
	m, other := merchant(t, s, "shop"), merchant(t, s, "other")
	k := storage.PassingKey{MerchantID: m, Lane: parcel.Lane{Origin: "CN", Destination: "RU"}, FromStage: parcel.StageLinehaul, FromCarrier: "cainiao",
		ToStage: parcel.StageLastMile, ToCarrier: "russian-post", Day: "2026-09-01"}
	open, later, theirs := k, k, k
	k.Hours, k.End = 30, parcel.PassingAccepted
	later.Day, later.ToCarrier, later.ToStage, later.Lane.Destination = "2026-09-03", "", "", "BR"
	theirs.MerchantID = other
	add := func(deltas ...storage.PassingDelta) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.AddPassings(ctx, deltas) })
	}
	add(storage.PassingDelta{PassingKey: open, N: 1}, storage.PassingDelta{PassingKey: open, N: 1},
		storage.PassingDelta{PassingKey: later, N: 1}, storage.PassingDelta{PassingKey: theirs, N: 7})
	// Both were taken on, one of them damaged.
	add(storage.PassingDelta{PassingKey: open, N: -2}, storage.PassingDelta{PassingKey: k, N: 2, Renumbered: 2, Unseen: 1, Damaged: 1})
	accepted, hanging := storage.PassingDelta{PassingKey: k, N: 2, Renumbered: 2, Unseen: 1, Damaged: 1}, storage.PassingDelta{PassingKey: later, N: 1}
	for _, tt := range []struct {
		name  string
		scope storage.Scope
		f     storage.PassingFilter
		want  []storage.PassingDelta
	}{
		{"all", storage.OfMerchant(m), storage.PassingFilter{}, []storage.PassingDelta{hanging, accepted}},
		{"of days", storage.OfMerchant(m), storage.PassingFilter{From: "2026-09-02", To: "2026-09-03"}, []storage.PassingDelta{hanging}},
		{"of parties", storage.OfMerchant(m), storage.PassingFilter{FromCarriers: []string{"cainiao"}, ToCarriers: []string{"russian-post"}}, []storage.PassingDelta{accepted}},
		{"of a destination", storage.OfMerchant(m), storage.PassingFilter{Destinations: []parcel.Country{"BR"}}, []storage.PassingDelta{hanging}},
		{"of lanes", storage.OfMerchant(m), storage.PassingFilter{Lanes: []parcel.Lane{{Origin: "CN", Destination: "RU"}}}, []storage.PassingDelta{accepted}},
		{"another's", storage.OfMerchant(other), storage.PassingFilter{}, []storage.PassingDelta{{PassingKey: theirs, N: 7}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := gocmp.Diff(tt.want, must(s.Passings(t.Context(), tt.scope, tt.f))(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	open.Hours = 3
	err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.AddPassings(ctx, []storage.PassingDelta{{PassingKey: open, N: 1}})
	})
	wantKind(t, err, parcel.ErrInvalid)
}

// testOddText: what carriers and merchants write is kept, whatever bytes it
// is made of.
func testOddText(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	for i, text := range []string{"", "'; DROP TABLE shipments; --", "%_\\", "?", "{rows}", "a\x1fb\x1ec", "\u2028 🚚 \u202e", "null\x00byte", "bad \xff utf-8"} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			p := NewParcel(m, i, 3)
			p.Shipment.Order, p.Shipment.Goods.Description = "order "+fmt.Sprint(i), text
			for k := range p.Events {
				p.Events[k].Words, p.Events[k].Place.City = text, text
			}
			p.Payload.Body = []byte(text + fmt.Sprint(i))
			p.Fold()
			Put(t, s, p)
			want := string([]rune(text))
			got := must(s.Shipments(t.Context(), storage.OfMerchant(m), []string{p.Shipment.ID}))(t)[0].Shipment
			if got.Goods.Description != want || got.Journey.Events[0].Words != want {
				t.Errorf("state says %q and %q", got.Goods.Description, got.Journey.Events[0].Words)
			}
			events := must(s.EventsAsOf(t.Context(), storage.OfMerchant(m), p.Shipment.ID, Epoch.AddDate(1, 0, 0)))(t)
			if len(events) != 3 || events[0].Words != want {
				t.Errorf("log says %q", events[0].Words)
			}
		})
	}
}

// testTenancy calls every exported reading method of the store as another
// merchant and as nobody; a method that is new fails the test until it is here.
func testTenancy(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	p := NewParcel(m, 1, 22)
	Put(t, s, p)
	k := newKey(m, "key")
	if err := s.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRoutes(t.Context(), []storage.RouteRow{{MerchantID: m, Code: "A", Doc: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.PutRecipients(ctx, []storage.RecipientRow{{MerchantID: m, ShipmentID: p.Shipment.ID, Recipient: parcel.Recipient{Name: "Мария"}}}); err != nil {
			return err
		}
		if err := tx.AddCohorts(ctx, []storage.CohortDelta{{CohortKey: storage.CohortKey{MerchantID: m, Carrier: "ups", Day: "2026-09-01"}, Started: 1}}); err != nil {
			return err
		}
		if err := tx.AddPassings(ctx, []storage.PassingDelta{{PassingKey: storage.PassingKey{MerchantID: m, FromCarrier: "ups", Day: "2026-09-01"}, N: 1}}); err != nil {
			return err
		}
		return tx.PutImportRun(ctx, storage.ImportRun{ID: "i", MerchantID: m, FileSHA: "f", MappingSHA: "m"})
	})
	ctx, sid := t.Context(), p.Shipment.ID
	// sees returns how much a scope gets.
	reads := map[string]func(scope storage.Scope) (int, error){
		"Shipments": func(sc storage.Scope) (int, error) {
			got, err := s.Shipments(ctx, sc, []string{sid})
			return filled(got), err
		},
		"ShipmentNames": func(sc storage.Scope) (int, error) {
			got, err := s.ShipmentNames(ctx, sc, []string{sid, "another"})
			if n, ok := got[sid]; ok && n.Reference != p.Shipment.Reference {
				return 0, fmt.Errorf("names %+v", got)
			}
			return len(got), err
		},
		"ShipmentsByReference": func(sc storage.Scope) (int, error) {
			got, err := s.ShipmentsByReference(ctx, sc, []string{p.Shipment.Reference})
			return filled(got), err
		},
		"ListShipments": func(sc storage.Scope) (int, error) {
			got, err := s.ListShipments(ctx, sc, storage.ShipmentFilter{IDs: []string{sid}}, storage.ShipmentOrder{}, storage.Page{First: 10})
			return len(got.Items), err
		},
		"CountShipments": func(sc storage.Scope) (int, error) {
			n, _, err := s.CountShipments(ctx, sc, storage.ShipmentFilter{Search: "R-"}, 10)
			return n, err
		},
		"EventShipments": func(sc storage.Scope) (int, error) {
			got, err := s.EventShipments(ctx, sc, []string{p.Events[0].ID})
			return len(got), err
		},
		"EventsAsOf": func(sc storage.Scope) (int, error) {
			got, err := s.EventsAsOf(ctx, sc, sid, Epoch.AddDate(1, 0, 0))
			return len(got), err
		},
		"Payloads": func(sc storage.Scope) (int, error) {
			got, err := s.Payloads(ctx, sc, []string{p.Payload.ID})
			return filled(got), err
		},
		"Changes": func(sc storage.Scope) (int, error) {
			got, err := s.Changes(ctx, sc, 0, 100, storage.ChangeFilter{ShipmentIDs: []string{sid}, Orders: []string{p.Shipment.Order}})
			return len(got), err
		},
		"Merchants": func(sc storage.Scope) (int, error) { got, err := s.Merchants(ctx, sc); return len(got), err },
		"Keys":      func(sc storage.Scope) (int, error) { got, err := s.Keys(ctx, sc); return len(got), err },
		"Recipients": func(sc storage.Scope) (int, error) {
			got, err := s.Recipients(ctx, sc, []string{sid})
			return len(got), err
		},
		"Routes": func(sc storage.Scope) (int, error) { got, err := s.Routes(ctx, sc); return len(got), err },
		"Scores": func(sc storage.Scope) (int, error) {
			got, err := s.Scores(ctx, sc, storage.ScoreFilter{})
			return len(got.Starts), err
		},
		"Passings": func(sc storage.Scope) (int, error) {
			got, err := s.Passings(ctx, sc, storage.PassingFilter{})
			return len(got), err
		},
		"ImportRun": func(sc storage.Scope) (int, error) {
			_, err := s.ImportRun(ctx, sc, "f", "m")
			if err != nil {
				return 0, err
			}
			return 1, nil
		},
		"RevokeKey": func(sc storage.Scope) (int, error) {
			if err := s.RevokeKey(ctx, sc, k.ID, Epoch); err != nil {
				return 0, err
			}
			return 1, nil
		},
	}
	scoped := reflect.TypeFor[storage.Scope]()
	for method := range reflect.TypeFor[*storage.Store]().Methods() {
		for i := range method.Type.NumIn() {
			if method.Type.In(i) == scoped && reads[method.Name] == nil {
				t.Errorf("%s takes a scope and is not tested", method.Name)
			}
		}
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			if n, err := read(storage.OfMerchant(m)); err != nil || n == 0 {
				t.Errorf("its own merchant sees %d, %v", n, err)
			}
			for who, scope := range map[string]storage.Scope{"another merchant": storage.OfMerchant(ulid.Make().String()), "no merchant": storage.OfMerchant(""), "nobody": {}} {
				// An error that says "not found" tells as little as nothing.
				if n, err := read(scope); n != 0 {
					t.Errorf("%s sees %d, %v", who, n, err)
				}
			}
		})
	}
}

func filled[T any](list []*T) int {
	n := 0
	for _, x := range list {
		if x != nil {
			n++
		}
	}
	return n
}

func testNextCarriers(t *testing.T, s *storage.Store) {
	m, other, third := merchant(t, s, "shop"), merchant(t, s, "other"), merchant(t, s, "third")
	lane := parcel.Lane{Origin: "CN", Destination: "BR"}
	key := func(merchant, next string, same bool, days int) parcel.HandoverKey {
		return parcel.HandoverKey{MerchantID: merchant, Lane: lane, Carrier: "cainiao", Next: next, SameNumber: same, GapDays: days}
	}
	add := func(deltas ...parcel.HandoverDelta) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.AddHandovers(ctx, deltas) })
	}
	read := func(merchant string, lane parcel.Lane, carrier string, merchants int) (out []parcel.HandoverCount) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) (err error) {
			out, err = tx.Handovers(ctx, merchant, lane, carrier, merchants)
			return err
		})
		slices.SortFunc(out, func(a, b parcel.HandoverCount) int {
			return cmp.Or(strings.Compare(a.Next, b.Next), cmp.Compare(a.GapDays, b.GapDays), cmp.Compare(a.N, b.N))
		})
		return out
	}
	add(
		parcel.HandoverDelta{HandoverKey: key(m, "correios", true, 3), N: 2}, parcel.HandoverDelta{HandoverKey: key(m, "correios", true, 3), N: 1},
		parcel.HandoverDelta{HandoverKey: key(m, "correios", false, 9), N: 1}, parcel.HandoverDelta{HandoverKey: key(other, "correios", true, 3), N: 5},
		parcel.HandoverDelta{HandoverKey: key(other, "secret", true, 1), N: 7}, parcel.HandoverDelta{HandoverKey: key(third, "correios", true, 60), N: 1},
	)
	add(parcel.HandoverDelta{HandoverKey: key(m, "correios", false, 9), N: -1})
	for _, tt := range []struct {
		name string
		got  []parcel.HandoverCount
		want []parcel.HandoverCount
	}{
		{"its own", read(m, lane, "cainiao", 3), []parcel.HandoverCount{{Next: "correios", SameNumber: true, GapDays: 3, N: 3, Merchants: 1}}},
		{"of three or more", read("", lane, "cainiao", 3), []parcel.HandoverCount{
			{Next: "correios", SameNumber: true, GapDays: 3, N: 8, Merchants: 3}, {Next: "correios", SameNumber: true, GapDays: 60, N: 1, Merchants: 3}}},
		{"of four or more", read("", lane, "cainiao", 4), nil},
		{"of another lane", read(m, parcel.Lane{Origin: "CN", Destination: "RU"}, "cainiao", 3), nil},
		{"from another carrier", read(m, lane, "ups", 3), nil},
	} {
		if diff := gocmp.Diff(tt.want, tt.got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	wantKind(t, s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.AddHandovers(ctx, []parcel.HandoverDelta{{HandoverKey: key(m, "correios", true, parcel.MaxGapDays+1), N: 1}})
	}), parcel.ErrInvalid)
}

// testFoundNumbers: how a number was found is kept with its holder, and what
// only may be a shipment's is not shown as its own.
func testFoundNumbers(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	p := NewParcel(m, 1, 0)
	Put(t, s, p)
	k := parcel.NumberKey{Carrier: "russian-post", Number: "MAYBE1"}
	h := storage.Holder{MerchantID: m, ShipmentID: p.Shipment.ID, Since: Epoch, Rule: parcel.FoundPost, Proposed: Epoch.Add(time.Hour)}
	hold := func(h storage.Holder) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			if _, err := tx.HoldNumbers(ctx, []parcel.NumberKey{k}); err != nil {
				return err
			}
			return tx.PutHolders(ctx, []storage.HolderRow{{NumberKey: k, Holder: h}})
		})
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			held, err := tx.HoldNumbers(ctx, []parcel.NumberKey{k})
			if diff := gocmp.Diff([]storage.Holder{h}, held[k].Holders); diff != "" {
				t.Errorf("holder (-want +got):\n%s", diff)
			}
			return err
		})
	}
	shown := func() bool {
		got := must(s.Shipments(t.Context(), storage.OfMerchant(m), []string{p.Shipment.ID}))(t)[0]
		return slices.ContainsFunc(got.Trackings, func(tr parcel.Tracking) bool { return tr.NumberKey == k })
	}
	hold(h)
	if shown() {
		t.Error("a number that only may be the shipment's is shown as its own")
	}
	h.Proposed = time.Time{}
	hold(h)
	if !shown() {
		t.Error("a number of the shipment is not shown")
	}
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		spoken, err := tx.SpokenOf(ctx, append([]parcel.NumberKey{k}, p.Numbers...))
		if want := slices.SortedFunc(slices.Values(p.Numbers), parcel.NumberKey.Compare); !slices.Equal(want, spoken) {
			t.Errorf("payloads speak of %v, want %v", spoken, want)
		}
		return err
	})
}
