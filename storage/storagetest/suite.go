package storagetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// Run checks a database behind a store. open gives a fresh one, migrated and
// empty, for each part.
func Run(t *testing.T, open func(t *testing.T) *storage.Store) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *storage.Store)
	}{
		{"Shipments", testShipments},
		{"PutShipments", testPutShipments},
		{"ConcurrentRegistration", testConcurrentRegistration},
		{"ShipmentsByNumber", testShipmentsByNumber},
		{"ListShipments", testListShipments},
		{"Filters", testFilters},
		{"Update", testUpdate},
		{"Numbers", testNumbers},
		{"Trackings", testTrackings},
		{"ArrivalMeetsRegistration", testArrivalMeetsRegistration},
		{"Leases", testLeases},
		{"LeaseDue", testLeaseDue},
		{"Turns", testTurns},
		{"Unserved", testUnserved},
		{"Budgets", testBudgets},
		{"Beats", testBeats},
		{"Payloads", testPayloads},
		{"PayloadVisibility", testPayloadVisibility},
		{"WalkPayloads", testWalkPayloads},
		{"Events", testEvents},
		{"Changes", testChanges},
		{"ChangeFilters", testChangeFilters},
		{"PruneChanges", testPruneChanges},
		{"Duty", testDuty},
		{"LogOrder", testLogOrder},
		{"Merchants", testMerchants},
		{"Keys", testKeys},
		{"Settings", testSettings},
		{"Recipients", testRecipients},
		{"Routes", testRoutes},
		{"ImportRuns", testImportRuns},
		{"DropFiles", testDropFiles},
		{"Unmapped", testUnmapped},
		{"Cohorts", testCohorts},
		{"NextCarriers", testNextCarriers},
		{"FoundNumbers", testFoundNumbers},
		{"Passings", testPassings},
		{"OddText", testOddText},
		{"Tenancy", testTenancy},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

// must ends the test on an error.
func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func update(t testing.TB, s *storage.Store, do func(ctx context.Context, tx *storage.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want one that is %q", err, kind)
	}
}

// Put stores parcels as an ingest would: one transaction, with payloads,
// events, numbers and the log.
func Put(t testing.TB, s *storage.Store, parcels ...Parcel) {
	t.Helper()
	if err := s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return PutIn(ctx, tx, parcels...) }); err != nil {
		t.Fatal(err)
	}
}

// PutIn is Put within a transaction.
func PutIn(ctx context.Context, tx *storage.Tx, parcels ...Parcel) error {
	var keys []parcel.NumberKey
	var holders []storage.HolderRow
	var payloads []parcel.Payload
	var speaks []storage.PayloadNumber
	var events []storage.EventRow
	var fresh []*parcel.Shipment
	var changes []parcel.Change
	for _, p := range parcels {
		keys = append(keys, p.Numbers...)
		payloads = append(payloads, p.Payload)
		for _, k := range p.Numbers {
			holders = append(holders, storage.HolderRow{NumberKey: k, Holder: storage.Holder{
				MerchantID: p.Shipment.MerchantID, ShipmentID: p.Shipment.ID, Since: p.Shipment.RegisteredAt,
			}})
			speaks = append(speaks, storage.PayloadNumber{NumberKey: k, PayloadID: p.Payload.ID})
		}
		events = append(events, p.Events...)
		fresh = append(fresh, p.Shipment)
		changes = append(changes, parcel.Changes(nil, p.Shipment, p.Shipment.CreatedAt)...)
	}
	held, err := tx.HoldNumbers(ctx, keys)
	if err != nil {
		return err
	}
	var trackings []parcel.Tracking
	for k, state := range held {
		tr := state.Tracking
		tr.NumberKey, tr.WatchedAt, tr.NextAt = k, Epoch, Epoch
		trackings = append(trackings, tr)
	}
	if err := tx.PutTrackings(ctx, trackings); err != nil {
		return err
	}
	if _, err := tx.PutPayloads(ctx, payloads); err != nil {
		return err
	}
	if err := tx.PutPayloadNumbers(ctx, speaks); err != nil {
		return err
	}
	if err := tx.PutHolders(ctx, holders); err != nil {
		return err
	}
	if err := tx.AppendEvents(ctx, events); err != nil {
		return err
	}
	if err := tx.PutShipments(ctx, fresh, nil); err != nil {
		return err
	}
	_, err = tx.AppendChanges(ctx, changes)
	return err
}

// merchant makes a tenant and gives its id.
func merchant(t testing.TB, s *storage.Store, name string) string {
	t.Helper()
	m := storage.Merchant{ID: ulid.Make().String(), Name: name, CreatedAt: Epoch}
	if err := s.CreateMerchant(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func ids(items []*storage.Loaded) []string {
	out := make([]string, 0, len(items))
	for _, l := range items {
		if l == nil {
			out = append(out, "")
			continue
		}
		out = append(out, l.Shipment.ID)
	}
	return out
}

func sortedIDs(items []*storage.Loaded) []string {
	out := ids(items)
	slices.Sort(out)
	return out
}
