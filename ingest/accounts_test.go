package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// of gives a scripted carrier's account to a merchant, under a name.
func of(a ingest.Account, merchant, name string) ingest.Account {
	a.MerchantID, a.Name = merchant, name
	return a
}

// TestNumbersFromBeforeTheAccount: what was registered while no account served
// its carrier is asked for once there is one, not all of it in one moment.
func TestNumbersFromBeforeTheAccount(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		other, zed := &scripted{answer: unknown}, &scripted{answer: unknown}
		w.serve(other.account("other"))
		for i := range 30 {
			w.enrol(fmt.Sprint("r", i), leg("zed", fmt.Sprintf("EARLY%02d", i)))
		}
		_, err := w.ingest.RegisterWithHistory(t.Context(), w.merchant, []ingest.History{{Final: true, Registration: enrolment("old", leg("zed", "FINAL01"))}})
		if err != nil {
			t.Fatal(err)
		}
		w.poll()
		if tr := w.asking("zed", "EARLY00"); tr.Account != "" || !tr.NextAt.IsZero() {
			t.Fatalf("without an account: %+v", tr)
		}
		if err := w.ingest.SetAccounts([]ingest.Account{other.account("other"), zed.account("zed")}); err != nil {
			t.Fatal(err)
		}
		until(t, "the first is asked for", func() bool { return zed.asked("EARLY00") == 1 })
		// The tenth of a second between them stands still with the trade clock.
		if tr := w.asking("zed", "EARLY29"); tr.Account != "main" || !tr.NextAt.Equal(now.Add(2900*time.Millisecond)) {
			t.Errorf("the last is asked for at %s through %q", tr.NextAt, tr.Account)
		}
		w.trade.Advance(3 * time.Second)
		until(t, "all are asked for", func() bool { return zed.asked("EARLY29") == 1 && zed.asked("") == 30 })
		if tr := w.asking("zed", "FINAL01"); !tr.NextAt.IsZero() || zed.asked("FINAL01") != 0 {
			t.Errorf("a file that was all there is: %+v", tr)
		}
	})
}

// TestNumbersFromBeforeTheStart is the same for a process that begins with the
// account: an import without any, or another replica, registered the numbers.
func TestNumbersFromBeforeTheStart(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		other := w.anotherMerchant()
		w.serve()
		w.enrol("mine", leg("zed", "MINE0001"))
		mine := w.merchant
		w.merchant = other
		w.enrol("theirs", leg("zed", "THEIRS01"))
		own, all := &scripted{answer: unknown}, &scripted{answer: unknown}
		w.serve(of(own.account("zed"), mine, "own"), all.account("zed"))
		w.poll()
		until(t, "both are asked for", func() bool { return own.asked("MINE0001") == 1 && all.asked("THEIRS01") == 1 })
		if own.asked("") != 1 || all.asked("") != 1 {
			t.Errorf("the merchant's account was asked %d times, the deployment's %d", own.asked(""), all.asked(""))
		}
		if a, b := w.asking("zed", "MINE0001").Account, w.asking("zed", "THEIRS01").Account; a != "own" || b != "main" {
			t.Errorf("served by %q and %q", a, b)
		}
	})
}

// TestWhatAnAccountBroughtStaysItsMerchants: after a restart, and without the
// account, no other merchant gets what one merchant's credentials brought; the
// merchant itself still does.
func TestWhatAnAccountBroughtStaysItsMerchants(t *testing.T) {
	brought := func(_ context.Context, n string) (parcel.Reading, error) {
		return parcel.Reading{Observations: []parcel.Observation{observed("zed", n, parcel.CodePickedUp, now.Add(-time.Hour))}}, nil
	}
	for _, after := range []struct {
		name     string
		accounts func(w *world, first string) []ingest.Account
	}{
		{"the account is gone", func(*world, string) []ingest.Account {
			return []ingest.Account{(&scripted{}).account("zed")}
		}},
		{"the account is everybody's", func(*world, string) []ingest.Account {
			return []ingest.Account{of((&scripted{}).account("zed"), "", "own")}
		}},
		{"the account is another's", func(w *world, _ string) []ingest.Account {
			return []ingest.Account{of((&scripted{}).account("zed"), w.merchant, "own"), (&scripted{}).account("zed")}
		}},
		{"the account is still there", func(_ *world, first string) []ingest.Account {
			return []ingest.Account{of((&scripted{}).account("zed"), first, "own"), (&scripted{}).account("zed")}
		}},
	} {
		t.Run(after.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, w *world) {
				first := w.merchant
				w.serve(of((&scripted{answer: brought}).account("zed"), first, "own"))
				s := w.enrol("r1", leg("zed", "BROUGHT1"))
				if got := w.refresh("zed", "BROUGHT1"); got.Served != parcel.ServedOwnCall {
					t.Fatalf("served %s", got.Served)
				}
				wantCodes(t, "events of the first", w.codes(s), parcel.CodePickedUp)
				if err := w.ingest.Close(); err != nil {
					t.Fatal(err)
				}

				w.merchant = w.anotherMerchant()
				w.serve(after.accounts(w, first)...)
				stranger := w.enrol("r2", leg("zed", "BROUGHT1"))
				wantCodes(t, "events of another merchant", w.codes(stranger))
				if _, err := w.ingest.Replay(t.Context(), ingest.ReplayAsk{Carrier: "zed"}); err != nil {
					t.Fatal(err)
				}
				wantCodes(t, "events of another merchant after replay", w.codes(stranger))
				w.merchant = first
				wantCodes(t, "events of the first after replay", w.codes(s), parcel.CodePickedUp)
				again := w.enrol("r3", leg("zed", "BROUGHT1"))
				wantCodes(t, "another shipment of the first", w.codes(again), parcel.CodePickedUp)
			})
		})
	}
}

// TestAccountsOfACarrierDoNotWaitForEachOther: a merchant's own account that
// hangs holds up its own numbers, not those that the deployment's asks for.
func TestAccountsOfACarrierDoNotWaitForEachOther(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		hanging := &scripted{answer: func(ctx context.Context, _ string) (parcel.Reading, error) {
			<-ctx.Done()
			return parcel.Reading{}, ctx.Err()
		}}
		all := &scripted{answer: unknown}
		mine, others := w.merchant, w.anotherMerchant()
		w.serve(of(hanging.account("zed"), mine, "own"), all.account("zed"))
		for i := range 40 {
			w.enrol(fmt.Sprint("m", i), leg("zed", fmt.Sprint("MINE", i)))
		}
		w.merchant = others
		w.enrol("o", leg("zed", "OTHERS1"))
		w.poll()
		until(t, "the merchant's own account hangs", func() bool { return hanging.asked("") > 0 })
		for round := 1; round <= 3; round++ {
			until(t, fmt.Sprintf("the other is asked for the %d. time", round), func() bool {
				return all.asked("OTHERS1") >= round && w.asking("zed", "OTHERS1").NextAt.After(w.trade.Now())
			})
			w.trade.Advance(2 * time.Hour)
		}
		if n := all.asked("") - all.asked("OTHERS1"); n != 0 {
			t.Errorf("the deployment's account was asked %d times for what the merchant's own is for", n)
		}
		if n := hanging.asked("OTHERS1"); n != 0 {
			t.Errorf("the merchant's own account was asked for another's number")
		}
	})
}

// TestRoomOfEachAccount: an account whose budget is spent leases nothing, and
// one at the same carrier that has some leases only what is its own.
func TestRoomOfEachAccount(t *testing.T) {
	const carrier = "upu-postal" // one number a call
	eachStore(t, func(t *testing.T, w *world) {
		mine, others := w.merchant, w.anotherMerchant()
		w.accountPair(carrier, mine, &carriers.Quota{Calls: 10, Window: time.Hour}, &carriers.Quota{Calls: 50, Window: time.Hour})
		w.registerMany(mine, carrier, "RM", 60)
		w.registerMany(others, carrier, "RO", 60)
		w.poll()
		// A fifth of each is kept for people.
		until(t, "both budgets are spent", func() bool { return w.called(carrier) >= 8+40 })
		budgets := func() (own, all int) {
			b, err := w.store.Budgets(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b[parcel.BudgetKey{Carrier: carrier, Account: "own"}].Spent {
				own += c.Calls
			}
			for _, c := range b[parcel.BudgetKey{Carrier: carrier, Account: "main"}].Spent {
				all += c.Calls
			}
			return own, all
		}
		if own, all := budgets(); own != 8 || all != 40 || w.called(carrier) != 48 {
			t.Errorf("%d calls through the merchant's account, %d through the deployment's, %d in all; want 8, 40 and 48", own, all, w.called(carrier))
		}
		heard := func(prefix string) (n int) {
			for i := range 60 {
				if !w.asking(carrier, fmt.Sprintf("%s%09dCN", prefix, i)).HeardAt.IsZero() {
					n++
				}
			}
			return n
		}
		until(t, "all answers have landed", func() bool { return heard("RM") == 8 && heard("RO") == 40 })
	})
}
