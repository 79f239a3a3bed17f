package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// TestStandings asks for the accounts' state before anybody has told of it, and
// after two gateways have.
func TestStandings(t *testing.T) {
	dir := t.TempDir()
	url, conf := "sqlite:"+filepath.Join(dir, "m.db"), filepath.Join(dir, "milepost.yaml")
	write(t, conf, `accounts:
  - {carrier: ups, settings: {client_id: a, client_secret: b}, quota: {calls: 100, window: 1h}}
  - {carrier: upu-postal, settings: {access_key: k}}
  - {carrier: correios, settings: {user: u, access_code: c, postage_card: p}}
`)
	list := []string{"carriers", "list", "--config", conf, "--store", url}
	doctor := []string{"doctor", "--config", conf, "--store", url, "--listen", "127.0.0.1:0", "--ops-listen", "-"}
	holds := func(what string, args []string, code int, out, errs string) {
		t.Helper()
		gotOut, gotErrs, got := said(t, args...)
		if got != code || !regexp.MustCompile("(?m)"+out).MatchString(gotOut) || !strings.Contains(gotErrs, errs) {
			t.Errorf("%s: code %d, want %d with %q and %q in\n%s\n%s", what, got, code, out, errs, gotOut, gotErrs)
		}
	}
	holds("no database", list, 0, `^ups `, "m.db is not there yet")
	holds("no database named", []string{"carriers", "list", "--config", conf}, 0, `^ups .* main$`, "")
	holds("a place for none", []string{"carriers", "list", "--config", conf, "--store", "postgres://127.0.0.1:1/none"}, 0, `^ups `, "how accounts stand is not known: --store: ")

	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	holds("no tables", list, 0, `^ups `, "run milepost migrate")
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds("nobody has told", list, 0, `^ups/main +unknown +- +- +100 +- +0$`, nobodyTold)
	holds("nobody has told the doctor", doctor, 0, `^ok   carriers: no gateway has told of its carriers`, "")

	now := clock.Wall().Now()
	heard := now.Add(-10 * time.Minute).Truncate(time.Second).UTC()
	allowed := parcel.Allowance{Calls: 100, Window: time.Hour}
	beats := []parcel.CarrierBeat{
		{Carrier: "ups", Account: "main", Replica: "one", At: now, Calls: 5, HourCalls: 5, LastSuccess: heard, Allowance: allowed},
		{Carrier: "ups", Account: "main", Replica: "two", At: now, Calls: 2, HourCalls: 2, LastSuccess: heard.Add(-time.Hour), Allowance: allowed},
		{Carrier: "correios", Account: "main", Replica: "one", At: now, Calls: 3, HourCalls: 3, HourFailures: 3, LastFailure: heard, LastTrouble: parcel.TroubleUnauthorised},
	}
	// What a gateway said that stopped since is no news.
	beats = append(beats, parcel.CarrierBeat{Carrier: "upu-postal", Account: "main", Replica: "gone", At: now.Add(-11 * time.Minute), LastSuccess: heard})
	if err := s.PutBeats(t.Context(), beats, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	key := parcel.BudgetKey{Carrier: "ups", Account: "main"}
	got, err := s.LeaseBudget(t.Context(), key, parcel.BudgetAsk{Now: now, Allowance: allowed, Want: 7})
	if err != nil || got.Calls != 7 {
		t.Fatalf("%+v %v", got, err)
	}
	barred, err := s.BarBudget(t.Context(), key, now, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.AddUnmapped(ctx, []parcel.Unmapped{{Carrier: "ups", Code: "Q9", Words: "Moved", Count: 2, First: heard, Last: heard, PayloadID: "01JD0000000000000000000003"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	until := regexp.QuoteMeta(stamp(barred))
	holds("told", list, 0, `^ups/main +degraded +`+stamp(heard)+` +- +93 +`+until+` +1$`, "")
	holds("of one that nobody asked", list, 0, `^upu-postal/main +unknown +- +- +`, "")
	holds("of one that is refused", list, 0, `^correios/main +down +- +UNAUTHORISED +`, "")
	holds("the doctor, of one", doctor, 1, `^ok   account ups/main: degraded, last heard at `+stamp(heard)+`, 93 calls left, the carrier asked to be left alone until `+until+`; 1 codes or phrases are not mapped: milepost carriers unmapped ups$`, "")
	holds("the doctor, of the sick one", doctor, 1, `^FAIL account correios/main: down, never heard, UNAUTHORISED at `+stamp(heard)+`; ask it by hand: milepost carriers test correios --account main$`, "")
	holds("the doctor, of one that nobody asked", doctor, 1, `^ok   account upu-postal/main: nothing is known of it yet`, "")

	out, _, _ := said(t, append(list, "--json")...)
	var all []carrierAbout
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if st := all[i].Standing; all[i].Name == "ups" && (len(st) != 1 || st[0].State != parcel.DoorDegraded || *st[0].Left != 93 || st[0].Unmapped != 1 || !st[0].LastSuccess.Equal(heard)) {
			t.Errorf("%+v", st)
		}
	}
}
