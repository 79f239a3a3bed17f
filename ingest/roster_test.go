package ingest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// only gives the accounts of some carriers.
func only(accounts []ingest.Account, names ...string) []ingest.Account {
	return slices.DeleteFunc(slices.Clone(accounts), func(a ingest.Account) bool { return !slices.Contains(names, a.Spec.Name) })
}

// eventually polls until a condition holds or the test has waited too long.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestSetAccounts(t *testing.T) {
	const carrier, number = "ups", "1Z999AA10123456784"
	scans := []carriers.FakeScan{{Code: parcel.CodePickedUp, At: now.Add(-time.Hour), Place: parcel.Place{Country: "US"}}}

	t.Run("a set that is refused leaves the old one in force", func(t *testing.T) {
		eachStore(t, func(t *testing.T, w *world) {
			ups := only(w.accounts, carrier)
			for name, bad := range map[string][]ingest.Account{
				"twice":      {ups[0], ups[0]},
				"no adapter": {{Name: "x", Spec: ups[0].Spec}},
				"one endpoint for two": {ups[0], {Name: "other", Endpoint: ups[0].Endpoint,
					Spec: ups[0].Spec, Carrier: ups[0].Carrier}},
			} {
				if err := w.ingest.SetAccounts(bad); !errors.Is(err, parcel.ErrInvalid) {
					t.Errorf("%s: got %v, want ErrInvalid", name, err)
				}
			}
			w.know(number, carriers.FakeHistory{Scans: scans})
			w.register("R1", "US", "DE", leg(carrier, number))
			got, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second})
			if err != nil || got[0].Served != parcel.ServedOwnCall {
				t.Fatalf("the old account is not in force: %v %v", got, err)
			}
		})
	})

	t.Run("an account that is gone is not asked and takes no push", func(t *testing.T) {
		eachStore(t, func(t *testing.T, w *world) {
			w.register("R1", "US", "DE", leg(carrier, number))
			if err := w.ingest.SetAccounts(only(w.accounts, "cainiao")); err != nil {
				t.Fatal(err)
			}
			got, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Served != parcel.ServedNotAllowed || got[0].Tracking.Trouble != parcel.TroubleNotConfigured {
				t.Errorf("got %s %s, want not allowed for want of an account", got[0].Served, got[0].Tracking.Trouble)
			}
			if r := w.ingest.Push(t.Context(), carrier, "hook-"+carrier, carriers.Delivery{}); r.Status != http.StatusNotFound {
				t.Errorf("push to a removed account: status %d, want 404", r.Status)
			}
			if w.called(carrier) != 0 {
				t.Errorf("carrier was asked %d times", w.called(carrier))
			}
		})
	})

	t.Run("a call under way ends with the account it began with", func(t *testing.T) {
		eachStore(t, func(t *testing.T, w *world) {
			w.know(number, carriers.FakeHistory{Scans: scans})
			s := w.register("R1", "US", "DE", leg(carrier, number))
			asked, answer := make(chan struct{}), make(chan struct{})
			var once sync.Once
			w.delay = func(string, *http.Request) {
				once.Do(func() { close(asked) })
				<-answer
			}
			done := make(chan []parcel.Refreshed, 1)
			go func() {
				got, _ := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 20 * time.Second})
				done <- got
			}()
			<-asked
			if err := w.ingest.SetAccounts(nil); err != nil {
				t.Fatal(err)
			}
			close(answer)
			if got := <-done; got[0].Served != parcel.ServedOwnCall {
				t.Errorf("served %s, want OWN_CALL", got[0].Served)
			}
			if n := len(w.read(s.ID).Journey.Events); n != 1 {
				t.Errorf("%d events taken in, want 1", n)
			}
		})
	})

	t.Run("the poller begins and ends to ask", func(t *testing.T) {
		eachStore(t, func(t *testing.T, w *world) {
			w.know(number, carriers.FakeHistory{Scans: scans})
			s := w.register("R1", "US", "DE", leg(carrier, number))
			if err := w.ingest.SetAccounts(nil); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- w.ingest.Poll(ctx) }()
			if err := w.ingest.SetAccounts(w.accounts); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the new account is polled", func() bool { return len(w.read(s.ID).Journey.Events) == 1 })
			if err := w.ingest.SetAccounts(nil); err != nil {
				t.Fatal(err)
			}
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		})
	})

	t.Run("what a merchant's account brought stays the merchant's", func(t *testing.T) {
		eachStore(t, func(t *testing.T, w *world) {
			own := only(w.accounts, carrier)
			own[0].Name, own[0].MerchantID, own[0].Endpoint = "own", w.merchant, ""
			shared := only(w.accounts, carrier)
			if err := w.ingest.SetAccounts(append(own, shared...)); err != nil {
				t.Fatal(err)
			}
			w.know(number, carriers.FakeHistory{Scans: scans})
			w.register("R1", "US", "DE", leg(carrier, number))
			if _, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: carrier, Number: number}}, Wait: 10 * time.Second}); err != nil {
				t.Fatal(err)
			}
			if err := w.ingest.SetAccounts(shared); err != nil {
				t.Fatal(err)
			}
			w.merchant = w.anotherMerchant()
			s := w.register("R2", "US", "DE", leg(carrier, number))
			if n := len(w.read(s.ID).Journey.Events); n != 0 {
				t.Errorf("another merchant sees %d events of it", n)
			}
		})
	})
}
