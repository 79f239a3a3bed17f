package storagetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

func testShipments(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	a, b, empty := NewParcel(m, 1, 22), NewParcel(m, 2, 7), NewParcel(m, 3, 0)
	Put(t, s, a, b, empty)
	scope := storage.OfMerchant(m)

	t.Run("order kept, holes nil", func(t *testing.T) {
		got := must(s.Shipments(t.Context(), scope, []string{b.Shipment.ID, ulid.Make().String(), a.Shipment.ID, empty.Shipment.ID}))(t)
		if diff := gocmp.Diff([]string{b.Shipment.ID, "", a.Shipment.ID, empty.Shipment.ID}, ids(got)); diff != "" {
			t.Fatalf("ids (-want +got):\n%s", diff)
		}
		for i, p := range []Parcel{b, {}, a, empty} {
			if p.Shipment == nil {
				continue
			}
			want := *p.Shipment
			want.ChangePosition = got[i].Shipment.ChangePosition
			if diff := gocmp.Diff(&want, got[i].Shipment, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("shipment %d (-want +got):\n%s", i, diff)
			}
			var keys []parcel.NumberKey
			for _, tr := range got[i].Trackings {
				keys = append(keys, tr.NumberKey)
			}
			want2 := slices.Clone(p.Numbers)
			slices.SortFunc(want2, func(a, b parcel.NumberKey) int {
				return cmp.Or(strings.Compare(a.Carrier, b.Carrier), strings.Compare(a.Number, b.Number))
			})
			if diff := gocmp.Diff(want2, keys); diff != "" {
				t.Errorf("trackings of %d (-want +got):\n%s", i, diff)
			}
		}
	})
	t.Run("the state includes the last change logged", func(t *testing.T) {
		changes := must(s.Changes(t.Context(), scope, 0, 1000, storage.ChangeFilter{ShipmentIDs: []string{b.Shipment.ID}}))(t)
		got := must(s.Shipments(t.Context(), scope, []string{b.Shipment.ID}))(t)
		if want := changes[len(changes)-1].Position; got[0].Shipment.ChangePosition != want {
			t.Errorf("change position %d, want %d", got[0].Shipment.ChangePosition, want)
		}
	})
	t.Run("by reference", func(t *testing.T) {
		got := must(s.ShipmentsByReference(t.Context(), scope, []string{"R-000002", "none", "R-000001"}))(t)
		if diff := gocmp.Diff([]string{b.Shipment.ID, "", a.Shipment.ID}, ids(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err := s.ShipmentsByReference(t.Context(), storage.OfDeployment("test"), []string{"R-000002"})
		wantKind(t, err, parcel.ErrInvalid)
	})
	t.Run("nothing asked", func(t *testing.T) {
		if got := must(s.Shipments(t.Context(), scope, nil))(t); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("the same id twice", func(t *testing.T) {
		got := must(s.Shipments(t.Context(), scope, []string{a.Shipment.ID, a.Shipment.ID}))(t)
		if diff := gocmp.Diff([]string{a.Shipment.ID, a.Shipment.ID}, ids(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("the deployment crosses merchants", func(t *testing.T) {
		other := merchant(t, s, "other")
		p := NewParcel(other, 1, 3)
		Put(t, s, p)
		got := must(s.Shipments(t.Context(), storage.OfDeployment("test"), []string{p.Shipment.ID, a.Shipment.ID}))(t)
		if diff := gocmp.Diff([]string{p.Shipment.ID, a.Shipment.ID}, ids(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func testPutShipments(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	p := NewParcel(m, 1, 5)
	Put(t, s, p)
	scope := storage.OfMerchant(m)

	t.Run("changed", func(t *testing.T) {
		more := NewParcel(m, 1, 22)
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			locked, err := tx.LockShipments(ctx, []string{p.Shipment.ID, "none"})
			if err != nil {
				return err
			}
			if len(locked) != 1 {
				return fmt.Errorf("locked %d", len(locked))
			}
			next := *locked[p.Shipment.ID]
			next.Tags = []string{"gift", "batch-1"}
			next.Journey = more.Shipment.Journey
			next.UpdatedAt = Epoch.Add(99 * time.Hour)
			return tx.PutShipments(ctx, nil, []*parcel.Shipment{&next})
		})
		got := must(s.Shipments(t.Context(), scope, []string{p.Shipment.ID}))(t)[0].Shipment
		if len(got.Journey.Events) != 22 || got.Journey.Outcome != parcel.OutcomeDelivered || !got.UpdatedAt.Equal(Epoch.Add(99*time.Hour)) {
			t.Errorf("%d events, outcome %q, updated %s", len(got.Journey.Events), got.Journey.Outcome, got.UpdatedAt)
		}
		for tag, want := range map[string]int{"gift": 1, "batch-1": 1, "other": 0} {
			if n, _, err := s.CountShipments(t.Context(), scope, storage.ShipmentFilter{Tags: []string{tag}}, 10); err != nil || n != want {
				t.Errorf("tag %s: %d, %v, want %d", tag, n, err, want)
			}
		}
		update(t, s, func(ctx context.Context, tx *storage.Tx) error {
			ids, err := tx.IDsOfReferences(ctx, m, []string{p.Shipment.Reference, "nobody's"})
			if err != nil {
				return err
			}
			if diff := gocmp.Diff(map[string]string{p.Shipment.Reference: p.Shipment.ID}, ids); diff != "" {
				t.Errorf("ids of references (-want +got):\n%s", diff)
			}
			locked, err := tx.LockShipments(ctx, []string{p.Shipment.ID})
			if err != nil {
				return err
			}
			next := *locked[p.Shipment.ID]
			next.Tags = nil
			return tx.PutShipments(ctx, nil, []*parcel.Shipment{&next})
		})
		if n, _, err := s.CountShipments(t.Context(), scope, storage.ShipmentFilter{Tags: []string{"gift", "batch-1"}}, 10); err != nil || n != 0 {
			t.Errorf("tags stay: %d, %v", n, err)
		}
	})
	refused := []struct {
		name  string
		fresh bool
		ship  func() *parcel.Shipment
		kind  error
	}{
		{"reference taken", true, func() *parcel.Shipment { return NewParcel(m, 1, 0).Shipment }, parcel.ErrConflict},
		{"changed but unknown", false, func() *parcel.Shipment { return NewParcel(m, 2, 0).Shipment }, parcel.ErrNotFound},
		{"another merchant's", false, func() *parcel.Shipment { x := *p.Shipment; x.MerchantID = "other"; return &x }, parcel.ErrNotFound},
		{"without id", true, func() *parcel.Shipment { x := *NewParcel(m, 3, 0).Shipment; x.ID = ""; return &x }, parcel.ErrInvalid},
		{"not folded", true, func() *parcel.Shipment { x := *NewParcel(m, 4, 0).Shipment; x.Journey = parcel.Journey{}; return &x }, parcel.ErrInvalid},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				if tt.fresh {
					return tx.PutShipments(ctx, []*parcel.Shipment{tt.ship()}, nil)
				}
				return tx.PutShipments(ctx, nil, []*parcel.Shipment{tt.ship()})
			})
			wantKind(t, err, tt.kind)
		})
	}
}

// testConcurrentRegistration: many writers register the same reference, as
// retries of a client do; one makes it, the others find it.
func testConcurrentRegistration(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	const writers = 8
	made := make(chan string, writers)
	var g errgroup.Group
	for range writers {
		p := NewParcel(m, 7, 0)
		g.Go(func() error {
			var id string
			err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				known, err := tx.IDsOfReferences(ctx, m, []string{p.Shipment.Reference})
				if err != nil {
					return err
				}
				if k := known[p.Shipment.Reference]; k != "" {
					id = k
					return nil
				}
				id = p.Shipment.ID
				return tx.PutShipments(ctx, []*parcel.Shipment{p.Shipment}, nil)
			})
			made <- id
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	close(made)
	first := <-made
	for id := range made {
		if id != first {
			t.Fatalf("two shipments of one reference: %s and %s", first, id)
		}
	}
	if n, _, err := s.CountShipments(t.Context(), storage.OfMerchant(m), storage.ShipmentFilter{}, 10); err != nil || n != 1 {
		t.Errorf("%d shipments, %v", n, err)
	}
}

func testShipmentsByNumber(t *testing.T, s *storage.Store) {
	const number = "LX000000000CN"
	key := func(carrier string) parcel.NumberKey { return parcel.NumberKey{Carrier: carrier, Number: number} }
	put := func(m string, hour int, postcode string, keys ...parcel.NumberKey) string {
		p := NewParcel(m, hour, 2)
		p.Numbers, p.Shipment.Destination.Postcode = keys, postcode
		Put(t, s, p)
		return p.Shipment.ID
	}
	mine, public := merchant(t, s, "mine"), merchant(t, s, "public")
	if err := s.UpdateMerchant(t.Context(), storage.Merchant{ID: public, Name: "public", TrackPublic: true}); err != nil {
		t.Fatal(err)
	}
	bought := put(mine, 0, "01310-100", key("upu-postal"), key("correios"))
	shown := []string{put(public, 2, "", key("correios")), put(public, 1, "20040 002", key("upu-postal"))}
	unnamed := put(mine, 3, "k1a 0b1", key(""))
	// Others register the same number later, and more often than the door looks.
	for i := range 12 {
		put(merchant(t, s, fmt.Sprintf("crowd %d", i)), 10+i, "99999", key("upu-postal"))
	}
	for _, tt := range []struct {
		name string
		k    storage.Knock
		want []string
	}{
		{"the postcode opens it through a crowd", storage.Knock{Number: number, Asked: true, Postcode: "01310100"}, []string{bought}},
		{"its merchant opens it through a crowd", storage.Knock{Number: number, MerchantID: mine}, []string{unnamed, bought, shown[0], shown[1]}},
		{"its merchant, with a postcode that is another's", storage.Knock{Number: number, MerchantID: mine, Asked: true, Postcode: "20040002"}, []string{unnamed, bought, shown[1]}},
		{"the number alone opens what is public", storage.Knock{Number: number}, shown},
		{"a postcode of no letters or digits is nobody's", storage.Knock{Number: number, Asked: true}, nil},
		{"a wrong postcode", storage.Knock{Number: number, Asked: true, Postcode: "01310101"}, nil},
		{"a postcode that was not asked about", storage.Knock{Number: number, Postcode: "01310100"}, shown},
		{"of one carrier", storage.Knock{Number: number, Carrier: "correios", MerchantID: mine}, []string{unnamed, bought, shown[0]}},
		{"of no carrier that is known", storage.Knock{Number: number, Carrier: "yanwen", Asked: true, Postcode: "K1A0B1"}, []string{unnamed}},
		{"of another carrier", storage.Knock{Number: number, Carrier: "yanwen", Asked: true, Postcode: "01310100"}, nil},
		{"unknown", storage.Knock{Number: "LX000000001CN", MerchantID: mine}, nil},
		{"empty", storage.Knock{MerchantID: mine}, nil},
		{"part of a number", storage.Knock{Number: "LX00000000", MerchantID: mine}, nil},
		{"a zero byte", storage.Knock{Number: "\x00", Carrier: "\x00"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must(s.ShipmentsByNumber(t.Context(), tt.k))(t)
			if diff := gocmp.Diff(tt.want, ids(got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	crowd := merchant(t, s, "a crowd of one")
	for i := range 12 {
		put(crowd, 40+i, "1", key("upu-postal"))
	}
	if got := must(s.ShipmentsByNumber(t.Context(), storage.Knock{Number: number, MerchantID: crowd}))(t); len(got) != 10 {
		t.Errorf("%d of a number that is registered 12 times, want 10", len(got))
	}
}

// shelf is a merchant's shipments, stored, with many equal sort keys.
func shelf(t *testing.T, s *storage.Store, m string, n int) []*parcel.Shipment {
	t.Helper()
	var parcels []Parcel
	for i := range n {
		p := NewParcel(m, i, i*7%23)
		p.Shipment.RegisteredAt = Epoch.Add(time.Duration(i%5) * time.Hour)
		p.Shipment.UpdatedAt = Epoch.Add(time.Duration(i%3) * time.Hour)
		if i%4 == 0 {
			p.Shipment.Promises = nil
		}
		if i%6 == 0 {
			p.Shipment.Destination.Country = "RU"
			p.Shipment.Order = ""
			p.Shipment.Goods.Attributes = nil
		}
		if i == 11 || i == 13 {
			p.Shipment.Order = []string{"Ящик 1", "Яшма 2"}[i%11/2]
		}
		if i%7 == 0 {
			p.Shipment.Legs = append(p.Shipment.Legs, parcel.DeclaredLeg{Stage: parcel.StageLastMile, Carrier: "russian-post"})
			p.Shipment.Route = "CN-RU-LINE"
		}
		p.Fold()
		parcels = append(parcels, p)
	}
	Put(t, s, parcels...)
	out := make([]*parcel.Shipment, n)
	for i := range parcels {
		out[i] = parcels[i].Shipment
	}
	return out
}

func compareBy(o storage.ShipmentOrder) func(a, b *parcel.Shipment) int {
	last := func(s *parcel.Shipment) time.Time {
		if e, ok := s.Journey.LatestEvent(); ok {
			return e.Occurred.At
		}
		return time.Time{}
	}
	promised := func(s *parcel.Shipment) string { p, _ := s.FirstPromise(); return p.By }
	return func(a, b *parcel.Shipment) int {
		c := 0
		switch o.Field {
		case storage.ByUpdatedAt:
			c = a.UpdatedAt.Compare(b.UpdatedAt)
		case storage.ByLastEventAt:
			c = last(a).Compare(last(b))
		case storage.ByPromisedFor:
			c = strings.Compare(promised(a), promised(b))
		default:
			c = a.RegisteredAt.Compare(b.RegisteredAt)
		}
		c = cmp.Or(c, strings.Compare(a.ID, b.ID))
		if o.Descending {
			return -c
		}
		return c
	}
}

// testListShipments pages through every order, both ways and with several page
// sizes, and compares with a sort in memory.
func testListShipments(t *testing.T, s *storage.Store) {
	m, other := merchant(t, s, "shop"), merchant(t, s, "other")
	all := shelf(t, s, m, 23)
	shelf(t, s, other, 5)
	scope := storage.OfMerchant(m)
	for _, field := range []storage.OrderField{"", storage.ByRegisteredAt, storage.ByUpdatedAt, storage.ByLastEventAt, storage.ByPromisedFor} {
		for _, descending := range []bool{false, true} {
			o := storage.ShipmentOrder{Field: field, Descending: descending}
			want := slices.SortedFunc(slices.Values(all), compareBy(o))
			for _, size := range []int{1, 7, 22, 23, 24} {
				t.Run(fmt.Sprintf("%s descending %v by %d", field, descending, size), func(t *testing.T) {
					walk(t, s, scope, o, size, false, want)
					walk(t, s, scope, o, size, true, want)
				})
			}
		}
	}
	t.Run("between two keys", func(t *testing.T) {
		o := storage.ShipmentOrder{Field: storage.ByRegisteredAt}
		want := slices.SortedFunc(slices.Values(all), compareBy(o))
		from, to := storage.KeyOf(o, want[3]), storage.KeyOf(o, want[9])
		page := must(s.ListShipments(t.Context(), scope, storage.ShipmentFilter{}, o, storage.Page{First: 20, After: &from, Before: &to}))(t)
		if len(page.Items) != 5 || page.Items[0].Shipment.ID != want[4].ID || page.HasNext || !page.HasPrevious {
			t.Errorf("%d items, next %v, previous %v", len(page.Items), page.HasNext, page.HasPrevious)
		}
	})
	for name, p := range map[string]storage.Page{
		"neither": {}, "both": {First: 1, Last: 1}, "negative": {First: -1}, "too many": {First: 1001}, "both, one negative": {First: 5, Last: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.ListShipments(t.Context(), scope, storage.ShipmentFilter{}, storage.ShipmentOrder{}, p)
			wantKind(t, err, parcel.ErrInvalid)
		})
	}
	t.Run("order that is none", func(t *testing.T) {
		_, err := s.ListShipments(t.Context(), scope, storage.ShipmentFilter{}, storage.ShipmentOrder{Field: "id; DROP TABLE shipments"}, storage.Page{First: 1})
		wantKind(t, err, parcel.ErrInvalid)
	})
	t.Run("key that is none", func(t *testing.T) {
		_, err := s.ListShipments(t.Context(), scope, storage.ShipmentFilter{}, storage.ShipmentOrder{}, storage.Page{First: 1, After: &storage.PageKey{Value: "x"}})
		wantKind(t, err, parcel.ErrInvalid)
	})
	t.Run("count", func(t *testing.T) {
		for _, tt := range []struct {
			max, n int
			exact  bool
		}{{100, 23, true}, {23, 23, true}, {22, 22, false}, {1, 1, false}} {
			n, exact, err := s.CountShipments(t.Context(), scope, storage.ShipmentFilter{}, tt.max)
			if err != nil || n != tt.n || exact != tt.exact {
				t.Errorf("up to %d: %d, %v, %v", tt.max, n, exact, err)
			}
		}
		_, _, err := s.CountShipments(t.Context(), scope, storage.ShipmentFilter{}, 0)
		wantKind(t, err, parcel.ErrInvalid)
	})
}

// walk reads a list to its end, forwards or backwards.
func walk(t *testing.T, s *storage.Store, scope storage.Scope, o storage.ShipmentOrder, size int, backward bool, want []*parcel.Shipment) {
	t.Helper()
	var got []string
	p := storage.Page{First: size}
	if backward {
		p = storage.Page{Last: size}
	}
	for range len(want) + 2 {
		page := must(s.ListShipments(t.Context(), scope, storage.ShipmentFilter{}, o, p))(t)
		part := ids(page.Items)
		more := page.HasNext
		if backward {
			got = append(part, got...)
			more = page.HasPrevious
			if page.HasNext != (p.Before != nil) {
				t.Fatalf("has next is %v", page.HasNext)
			}
		} else {
			got = append(got, part...)
			if page.HasPrevious != (p.After != nil) {
				t.Fatalf("has previous is %v", page.HasPrevious)
			}
		}
		if !more {
			break
		}
		if backward {
			k := storage.KeyOf(o, page.Items[0].Shipment)
			p.Before = &k
		} else {
			k := storage.KeyOf(o, page.Items[len(page.Items)-1].Shipment)
			p.After = &k
		}
	}
	var wantIDs []string
	for _, w := range want {
		wantIDs = append(wantIDs, w.ID)
	}
	if diff := gocmp.Diff(wantIDs, got); diff != "" {
		t.Fatalf("backward %v (-want +got):\n%s", backward, diff)
	}
}

// testFilters compares each filter with a predicate in memory.
func testFilters(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	all := shelf(t, s, m, 40)
	shelf(t, s, merchant(t, s, "other"), 8)
	yes, no := true, false
	open := func(s *parcel.Shipment) bool { return s.Journey.Outcome == "" }
	has := func(s *parcel.Shipment, kinds ...parcel.ExceptionKind) bool {
		for x := range s.Journey.OpenExceptions {
			if len(kinds) == 0 || slices.Contains(kinds, x.Kind) {
				return true
			}
		}
		return false
	}
	last := func(s *parcel.Shipment) time.Time {
		if e, ok := s.Journey.LatestEvent(); ok {
			return e.Occurred.At
		}
		return s.RegisteredAt
	}
	carrier := func(s *parcel.Shipment, name string) bool {
		return slices.ContainsFunc(s.Legs, func(l parcel.DeclaredLeg) bool { return l.Carrier == name }) ||
			slices.ContainsFunc(s.Journey.Legs, func(l parcel.Leg) bool { return l.Carrier == name })
	}
	promise := func(s *parcel.Shipment) string { p, _ := s.FirstPromise(); return p.By }
	day := Epoch.AddDate(0, 0, 41).Format(parcel.DayLayout)
	silent := Epoch.Add(200 * time.Hour)
	for _, tt := range []struct {
		name string
		f    storage.ShipmentFilter
		want func(s *parcel.Shipment) bool
	}{
		{"all", storage.ShipmentFilter{}, func(*parcel.Shipment) bool { return true }},
		{"ids", storage.ShipmentFilter{IDs: []string{all[3].ID, all[5].ID, "none"}}, func(s *parcel.Shipment) bool { return s == all[3] || s == all[5] }},
		{"references", storage.ShipmentFilter{References: []string{"R-000003", "x"}}, func(s *parcel.Shipment) bool { return s == all[3] }},
		{"orders", storage.ShipmentFilter{Orders: []string{"O-00004", ""}}, func(s *parcel.Shipment) bool { return s.Order == "O-00004" }},
		{"numbers", storage.ShipmentFilter{Numbers: []string{"LX000000007CN", "BR00000000009"}}, func(s *parcel.Shipment) bool { return s == all[7] || s == all[9] }},
		{"search reference", storage.ShipmentFilter{Search: "R-00001"}, func(s *parcel.Shipment) bool { return strings.HasPrefix(s.Reference, "R-00001") }},
		{"search order", storage.ShipmentFilter{Search: "O-0001"}, func(s *parcel.Shipment) bool { return strings.HasPrefix(s.Order, "O-0001") }},
		{"search number", storage.ShipmentFilter{Search: "LX00000001"}, func(s *parcel.Shipment) bool { return slices.Index(all, s)/10 == 1 }},
		{"search for a wildcard", storage.ShipmentFilter{Search: "R%"}, func(*parcel.Shipment) bool { return false }},
		{"search that ends beyond ASCII", storage.ShipmentFilter{Search: "R-0000é"}, func(*parcel.Shipment) bool { return false }},
		{"search beyond ASCII", storage.ShipmentFilter{Search: "Ящ"}, func(s *parcel.Shipment) bool { return s.Order == "Ящик 1" }},
		{"tags", storage.ShipmentFilter{Tags: []string{"batch-1", "batch-2"}}, func(s *parcel.Shipment) bool { return s.Tags[0] != "batch-0" }},
		{"carriers", storage.ShipmentFilter{Carriers: []string{"russian-post", "nobody"}}, func(s *parcel.Shipment) bool { return carrier(s, "russian-post") }},
		{"part of a carrier's name", storage.ShipmentFilter{Carriers: []string{"russian", "russian_post", "%"}}, func(*parcel.Shipment) bool { return false }},
		{"lanes", storage.ShipmentFilter{Lanes: []parcel.Lane{{Origin: "CN", Destination: "RU"}, {Origin: "BR", Destination: "CN"}}}, func(s *parcel.Shipment) bool { return s.Destination.Country == "RU" }},
		{"destinations", storage.ShipmentFilter{Destinations: []parcel.Country{"RU"}}, func(s *parcel.Shipment) bool { return s.Destination.Country == "RU" }},
		{"routes", storage.ShipmentFilter{Routes: []string{"CN-RU-LINE"}}, func(s *parcel.Shipment) bool { return s.Route == "CN-RU-LINE" }},
		{"milestones", storage.ShipmentFilter{Milestones: []parcel.Milestone{parcel.MilestonePickedUp, parcel.MilestoneDelivered}}, func(s *parcel.Shipment) bool {
			return s.Journey.Milestone == parcel.MilestonePickedUp || s.Journey.Milestone == parcel.MilestoneDelivered
		}},
		{"open", storage.ShipmentFilter{Open: &yes}, open},
		{"ended", storage.ShipmentFilter{Open: &no}, func(s *parcel.Shipment) bool { return !open(s) }},
		{"outcomes", storage.ShipmentFilter{Outcomes: []parcel.Outcome{parcel.OutcomeDelivered}}, func(s *parcel.Shipment) bool { return s.Journey.Outcome == parcel.OutcomeDelivered }},
		{"any exception", storage.ShipmentFilter{AnyException: true}, func(s *parcel.Shipment) bool { return has(s) }},
		{"exceptions", storage.ShipmentFilter{Exceptions: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld, parcel.ExceptionDamaged}}, func(s *parcel.Shipment) bool {
			return has(s, parcel.ExceptionCustomsHeld, parcel.ExceptionDamaged)
		}},
		{"goods", storage.ShipmentFilter{Goods: []parcel.GoodsAttribute{parcel.GoodsBattery}}, func(s *parcel.Shipment) bool { return len(s.Goods.Attributes) > 0 }},
		{"goods, all of them", storage.ShipmentFilter{Goods: []parcel.GoodsAttribute{parcel.GoodsBattery, parcel.GoodsLiquid}}, func(*parcel.Shipment) bool { return false }},
		{"promised from", storage.ShipmentFilter{PromisedFrom: day}, func(s *parcel.Shipment) bool { return promise(s) >= day }},
		{"promised up to", storage.ShipmentFilter{PromisedTo: day}, func(s *parcel.Shipment) bool { return promise(s) != "" && promise(s) <= day }},
		{"registered", storage.ShipmentFilter{Registered: storage.TimeRange{From: Epoch.Add(time.Hour), To: Epoch.Add(3 * time.Hour)}}, func(s *parcel.Shipment) bool {
			return !s.RegisteredAt.Before(Epoch.Add(time.Hour)) && s.RegisteredAt.Before(Epoch.Add(3*time.Hour))
		}},
		{"updated", storage.ShipmentFilter{Updated: storage.TimeRange{From: Epoch.Add(2 * time.Hour)}}, func(s *parcel.Shipment) bool { return !s.UpdatedAt.Before(Epoch.Add(2 * time.Hour)) }},
		{"delivered", storage.ShipmentFilter{Delivered: storage.TimeRange{To: Epoch.AddDate(1, 0, 0)}}, func(s *parcel.Shipment) bool { return s.Journey.Outcome == parcel.OutcomeDelivered }},
		{"silent", storage.ShipmentFilter{LastEventBefore: silent}, func(s *parcel.Shipment) bool { return open(s) && last(s).Before(silent) }},
		{"long in its leg", storage.ShipmentFilter{LegStartedBefore: silent}, func(s *parcel.Shipment) bool {
			j := &s.Journey
			return j.CurrentLeg >= 0 && !j.Legs[j.CurrentLeg].Start.IsZero() && j.Legs[j.CurrentLeg].Start.At.Before(silent)
		}},
		{"several at once", storage.ShipmentFilter{Open: &yes, Tags: []string{"batch-1"}, Destinations: []parcel.Country{"BR"}, Carriers: []string{"yanwen"}, Search: "R-0000"}, func(s *parcel.Shipment) bool {
			return open(s) && s.Tags[0] == "batch-1" && s.Destination.Country == "BR" && carrier(s, "yanwen")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := []string{}
			for _, s := range all {
				if tt.want(s) {
					want = append(want, s.ID)
				}
			}
			slices.Sort(want)
			page := must(s.ListShipments(t.Context(), storage.OfMerchant(m), tt.f, storage.ShipmentOrder{}, storage.Page{First: 100}))(t)
			if diff := gocmp.Diff(want, sortedIDs(page.Items)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			n, exact, err := s.CountShipments(t.Context(), storage.OfMerchant(m), tt.f, 100)
			if err != nil || n != len(want) || !exact {
				t.Errorf("count %d, %v, %v, want %d", n, exact, err, len(want))
			}
		})
	}
	t.Run("stages", func(t *testing.T) {
		// Each is in at most one stage, and each stage's list says so.
		seen := 0
		for _, stage := range parcel.Stages() {
			page := must(s.ListShipments(t.Context(), storage.OfMerchant(m), storage.ShipmentFilter{Stages: []parcel.Stage{stage}}, storage.ShipmentOrder{}, storage.Page{First: 100}))(t)
			for _, l := range page.Items {
				if j := &l.Shipment.Journey; j.CurrentLeg >= 0 && j.Legs[j.CurrentLeg].Stage != stage {
					t.Errorf("%s is in %s, not in %s", l.Shipment.Reference, j.Legs[j.CurrentLeg].Stage, stage)
				}
			}
			seen += len(page.Items)
		}
		if seen == 0 || seen > len(all) {
			t.Errorf("%d in all stages", seen)
		}
	})
}

func testUpdate(t *testing.T, s *storage.Store) {
	m := merchant(t, s, "shop")
	count := func(t *testing.T) int {
		n, _, err := s.CountShipments(t.Context(), storage.OfMerchant(m), storage.ShipmentFilter{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("an error undoes everything", func(t *testing.T) {
		mine := errors.New("mine")
		runs := 0
		err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			runs++
			if err := PutIn(ctx, tx, NewParcel(m, 1, 5)); err != nil {
				return err
			}
			return mine
		})
		wantKind(t, err, mine)
		if _, head, err := s.LogBounds(t.Context()); err != nil || head != 0 {
			t.Errorf("head %d, %v", head, err)
		}
		if runs != 1 || count(t) != 0 {
			t.Errorf("%d runs, %d shipments", runs, count(t))
		}
	})
	t.Run("a panic undoes everything", func(t *testing.T) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				if err := PutIn(ctx, tx, NewParcel(m, 1, 5)); err != nil {
					return err
				}
				panic("mine")
			})
		}()
		if count(t) != 0 {
			t.Errorf("%d shipments", count(t))
		}
		Put(t, s, NewParcel(m, 2, 1)) // and nothing is locked
	})
	t.Run("an error swallowed is still one", func(t *testing.T) {
		err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			taken := NewParcel(m, 2, 0)
			_ = tx.PutShipments(ctx, []*parcel.Shipment{taken.Shipment}, nil)
			return nil
		})
		wantKind(t, err, parcel.ErrConflict)
	})
	t.Run("a context that ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Update(ctx, func(ctx context.Context, tx *storage.Tx) error {
			if err := PutIn(ctx, tx, NewParcel(m, 3, 1)); err != nil {
				return err
			}
			cancel()
			return nil
		})
		wantKind(t, err, context.Canceled)
		if count(t) != 1 {
			t.Errorf("%d shipments", count(t))
		}
	})
	t.Run("a context that has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantKind(t, s.Update(ctx, func(context.Context, *storage.Tx) error { t.Error("ran"); return nil }), context.Canceled)
		_, err := s.Shipments(ctx, storage.OfMerchant(m), []string{"x"})
		wantKind(t, err, context.Canceled)
	})
	t.Run("writers of the same shipments queue", func(t *testing.T) {
		a, b := NewParcel(m, 10, 1), NewParcel(m, 11, 1)
		Put(t, s, a, b)
		var g errgroup.Group
		const writers, rounds = 6, 5
		for w := range writers {
			g.Go(func() error {
				for range rounds {
					want := []string{a.Shipment.ID, b.Shipment.ID}
					if w%2 == 0 {
						slices.Reverse(want)
					}
					err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
						locked, err := tx.LockShipments(ctx, want)
						if err != nil {
							return err
						}
						var changed []*parcel.Shipment
						for _, id := range want {
							next := *locked[id]
							next.Goods.WeightGrams++
							changed = append(changed, &next)
						}
						return tx.PutShipments(ctx, nil, changed)
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, l := range must(s.Shipments(t.Context(), storage.OfMerchant(m), []string{a.Shipment.ID, b.Shipment.ID}))(t) {
			if got, want := l.Shipment.Goods.WeightGrams, 350+writers*rounds; got != want {
				t.Errorf("%s weighs %d, want %d: an update was lost", l.Shipment.Reference, got, want)
			}
		}
	})
}
