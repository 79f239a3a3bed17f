package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// TestStaleState: a state that other rules made, or another codec, is folded
// again from the log when it is read, and once for all by Refold.
func TestStaleState(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			s, scope := c.Store, storage.OfMerchant("shop")
			var parcels []storagetest.Parcel
			var ids []string
			for n := range 130 { // more than Refold locks at once
				p := storagetest.NewParcel("shop", n, n%23)
				parcels, ids = append(parcels, p), append(ids, p.Shipment.ID)
			}
			storagetest.Put(t, s, parcels...)
			want, err := s.Shipments(t.Context(), scope, ids)
			if err != nil {
				t.Fatal(err)
			}
			same := func(what string) {
				t.Helper()
				got, err := s.Shipments(t.Context(), scope, ids)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			for _, version := range []string{"0/1999-01-01", "1/2999-01-01"} {
				if err := s.Exec(t.Context(), `UPDATE shipments SET rule_version = ?, state = ?`, version, []byte{0}); err != nil {
					t.Fatal(err)
				}
				same("read while stale")
				n, err := s.Refold(t.Context())
				if err != nil || n != len(ids) {
					t.Errorf("refolded %d, %v, want %d", n, err, len(ids))
				}
			}
			same("read after Refold")
			if n, err := s.Refold(t.Context()); err != nil || n != 0 {
				t.Errorf("refolded again: %d, %v", n, err)
			}
			if _, head, err := s.LogBounds(t.Context()); err != nil || head != lastPosition(want) {
				t.Errorf("the log heard of it: head %d, %v", head, err)
			}
		})
	}
}

func lastPosition(list []*storage.Loaded) (last int64) {
	for _, l := range list {
		last = max(last, l.Shipment.ChangePosition)
	}
	return last
}

// TestDamagedState: a state of this version that does not decode is told, with
// the shipment's name; the others are not lost silently either.
func TestDamagedState(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			p := storagetest.NewParcel("shop", 1, 5)
			storagetest.Put(t, c.Store, p)
			damaged := append([]byte{3, byte(len(parcel.RuleVersion))}, parcel.RuleVersion...)
			if err := c.Store.Exec(t.Context(), `UPDATE shipments SET state = ?`, append(damaged, 0xff, 0xff)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Store.Shipments(t.Context(), storage.OfMerchant("shop"), []string{p.Shipment.ID})
			if !errors.Is(err, parcel.ErrMalformed) || !strings.Contains(err.Error(), p.Shipment.ID) {
				t.Errorf("error is %v", err)
			}
			err = c.Store.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				_, err := tx.LockShipments(ctx, []string{p.Shipment.ID})
				return err
			})
			if !errors.Is(err, parcel.ErrMalformed) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
