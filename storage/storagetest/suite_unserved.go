package storagetest

import (
	"context"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// testUnserved gives numbers an account that were registered before there was
// one.
func testUnserved(t *testing.T, s *storage.Store) {
	one, two := merchant(t, s, "one"), merchant(t, s, "two")
	open, ended, theirs := NewParcel(one, 1, 3), NewParcel(one, 2, 3), NewParcel(two, 3, 3)
	ended.Shipment.Journey.Outcome = parcel.OutcomeDelivered
	Put(t, s, open, ended, theirs)
	type row struct {
		name    string
		at      storage.Holder
		more    storage.Holder
		amend   parcel.Tracking // Account and NextAt before
		never   bool            // nobody registered it
		carrier string
	}
	held := func(p Parcel) storage.Holder {
		return storage.Holder{MerchantID: p.Shipment.MerchantID, ShipmentID: p.Shipment.ID}
	}
	over := held(open)
	over.Until = Epoch.Add(time.Hour)
	asked := held(open)
	asked.Proposed = Epoch
	now := Epoch.Add(24 * time.Hour)
	update(t, s, func(ctx context.Context, tx *storage.Tx) error {
		for _, r := range []row{
			{name: "a1", at: held(open)},
			{name: "a2", at: held(open)},
			{name: "b ended", at: held(ended)},
			{name: "c no longer its", at: over},
			{name: "d only may be its", at: asked},
			{name: "e theirs", at: held(theirs)},
			{name: "f of both", at: held(open), more: held(theirs)},
			{name: "g served", at: held(open), amend: parcel.Tracking{Account: "old"}},
			{name: "h planned", at: held(open), amend: parcel.Tracking{NextAt: now}},
			{name: "i of a final file", at: held(open), never: true},
			{name: "a1", at: held(open), carrier: "another"},
		} {
			k := parcel.NumberKey{Carrier: "new", Number: r.name}
			if r.carrier != "" {
				k.Carrier = r.carrier
			}
			if _, err := tx.HoldNumbers(ctx, []parcel.NumberKey{k}); err != nil {
				return err
			}
			holders := []storage.HolderRow{{NumberKey: k, Holder: r.at}}
			if r.more.ShipmentID != "" {
				holders = append(holders, storage.HolderRow{NumberKey: k, Holder: r.more})
			}
			if err := tx.PutHolders(ctx, holders); err != nil {
				return err
			}
			tr := r.amend
			if tr.NumberKey = k; !r.never {
				tr.WatchedAt = Epoch
			}
			if err := tx.PutTrackings(ctx, []parcel.Tracking{tr}); err != nil {
				return err
			}
		}
		return nil
	})
	ask := parcel.Unserved{Carrier: "new", Now: now, At: func(i int) time.Time { return now.Add(time.Duration(i) * time.Second) }, Limit: 100}
	serve := func(t *testing.T, ask parcel.Unserved, planned int, after string) {
		t.Helper()
		n, end, err := s.ServeUnserved(t.Context(), ask)
		if err != nil || n != planned || end != after {
			t.Errorf("planned %d up to %q: %v; want %d up to %q", n, end, err, planned, after)
		}
	}
	// standing is the account of each number, with how many seconds from now its
	// first look is.
	standing := func() map[string]string {
		keys := []parcel.NumberKey{}
		for _, n := range []string{"a1", "a2", "b ended", "c no longer its", "d only may be its", "e theirs", "f of both", "g served", "h planned", "i of a final file"} {
			keys = append(keys, parcel.NumberKey{Carrier: "new", Number: n})
		}
		got := map[string]string{}
		for k, tr := range must(s.Trackings(t.Context(), keys))(t) {
			got[k.Number] = tr.Account
			if !tr.NextAt.IsZero() {
				got[k.Number] += " +" + tr.NextAt.Sub(now).String()
			}
		}
		return got
	}
	want := map[string]string{"a1": "", "a2": "", "b ended": "", "c no longer its": "", "d only may be its": "", "e theirs": "",
		"f of both": "", "g served": "old", "h planned": " +0s", "i of a final file": ""}
	check := func(t *testing.T) {
		t.Helper()
		if diff := gocmp.Diff(want, standing()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	t.Run("a look passes no more than its limit", func(t *testing.T) {
		ask := ask
		ask.Account, ask.MerchantID, ask.Alone, ask.Limit = "own", one, true, 1
		serve(t, ask, 1, "a1")
		want["a1"] = "own +0s"
		check(t)
	})
	t.Run("a merchant's account serves its own", func(t *testing.T) {
		ask := ask
		ask.Account, ask.MerchantID, ask.Alone = "own", one, true
		serve(t, ask, 1, "")
		want["a2"], want["b ended"], want["c no longer its"], want["d only may be its"] = "own +0s", "own", "own", "own"
		check(t)
	})
	t.Run("the deployment's serves the others, and what merchants share", func(t *testing.T) {
		ask := ask
		ask.Account = "all"
		serve(t, ask, 2, "")
		want["e theirs"], want["f of both"] = "all +0s", "all +1s"
		check(t)
	})
	t.Run("what is served stays as it is", func(t *testing.T) {
		ask := ask
		ask.Account = "later"
		serve(t, ask, 0, "")
		check(t)
	})
	t.Run("another carrier's stay unserved", func(t *testing.T) {
		k := parcel.NumberKey{Carrier: "another", Number: "a1"}
		if got := must(s.Trackings(t.Context(), []parcel.NumberKey{k}))(t)[k]; got.Account != "" || !got.NextAt.IsZero() {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no account", func(t *testing.T) {
		_, _, err := s.ServeUnserved(t.Context(), ask)
		wantKind(t, err, parcel.ErrInvalid)
	})
}
