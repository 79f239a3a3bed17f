package ingest_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// The child that is killed is this test binary, told by its environment what to
// write to.
const (
	childStore    = "MILEPOST_KILL_STORE"
	childMerchant = "MILEPOST_KILL_MERCHANT"
	childFirst    = "MILEPOST_KILL_FIRST"
)

func TestMain(m *testing.M) {
	if os.Getenv(childStore) != "" {
		os.Exit(writeUntilKilled())
	}
	os.Exit(m.Run())
}

// writeUntilKilled ingests as fast as it can and writes a line for each thing
// acknowledged, after it was.
func writeUntilKilled() int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	store, err := storage.Open(ctx, os.Getenv(childStore), storage.Options{MaxConns: 8})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	spec, err := carriers.Lookup("upu-postal")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := spec.New(carriers.Env{Account: "main", Settings: map[string]string{}, Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	g, err := ingest.New(ingest.Options{Store: ledger{store}, Trade: clock.Wall(), Wall: clock.Wall(), Writers: writers(store),
		Accounts: []ingest.Account{{Name: "main", Spec: spec, Carrier: c}}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	first, _ := strconv.Atoi(os.Getenv(childFirst))
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	var wait sync.WaitGroup
	const writers = 8
	for w := range writers {
		wait.Go(func() {
			for i := first + w; ctx.Err() == nil; i += writers {
				number := killNumber(i)
				register := func() bool {
					got, err := g.Register(ctx, os.Getenv(childMerchant), []parcel.Registration{{Facts: parcel.Facts{Reference: "k" + strconv.Itoa(i),
						Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "RU"}, Legs: []parcel.DeclaredLeg{leg("upu-postal", number)}, RegisteredAt: now.AddDate(0, 0, -60)}}})
					if err != nil || got[0].Shipment == nil {
						return false
					}
					say("R %d %s", i, got[0].Shipment.ID)
					return true
				}
				// Half of the news comes before its parcel is registered.
				if i%2 == 0 && !register() {
					return
				}
				got, err := g.Accept(ctx, killPayload(number))
				if err != nil {
					return
				}
				say("P %d %s", i, got[0].PayloadID)
				if i%2 == 1 && !register() {
					return
				}
			}
		})
	}
	wait.Wait()
	return 0
}

func killNumber(i int) string {
	serial := fmt.Sprintf("%08d", i)
	digit, err := parcel.CheckDigit(serial)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("RK%s%dCN", serial, digit)
}

// killPayload tells four scans of one number.
func killPayload(number string) parcel.Payload {
	var events []string
	for i, code := range []string{"EMA", "EMC", "EMD", "EMI"} {
		at := now.AddDate(0, 0, -40+9*i)
		events = append(events, fmt.Sprintf(`{"EventCd":%q,"EventNm":"scan","EventDT":"/Date(%d+0800)/","EventLocation":"CNCANA"}`, code, at.UnixMilli()))
	}
	body := fmt.Sprintf(`[{"ID":%q,"OriginCountryCd":"CN","DestinationCountryCd":"RU","Events":[%s]}]`, number, strings.Join(events, ","))
	return parcel.Payload{Carrier: "upu-postal", Account: "main", Kind: "ptt", Body: []byte(body), Numbers: []string{number}}
}

// TestKill kills the writing process many times and finds every acknowledged
// payload and registration, and no half shipment.
func TestKill(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			merchant := ulid.Make().String()
			if err := c.Store.CreateMerchant(t.Context(), storage.Merchant{ID: merchant, Name: "killed", CreatedAt: now}); err != nil {
				t.Fatal(err)
			}
			shipments, payloads := map[int]string{}, map[int]string{}
			for round := range rounds {
				killOnce(t, c.URL, merchant, round*1_000_000, 40+23*round, shipments, payloads)
			}
			t.Logf("%d kills: %d registrations and %d payloads acknowledged", rounds, len(shipments), len(payloads))
			if len(shipments) < 10*rounds {
				t.Fatalf("too little was written to prove anything")
			}
			checkWhole(t, c.Store, merchant, shipments, payloads)
		})
	}
}

// killOnce runs the child until it has acknowledged enough, and kills it in the
// middle of its work.
func killOnce(t *testing.T, url, merchant string, first, enough int, shipments, payloads map[int]string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childStore+"="+url, childMerchant+"="+merchant, childFirst+"="+strconv.Itoa(first))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for n := 0; lines.Scan(); n++ {
		var kind, id string
		var i int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %s", &kind, &i, &id); err != nil {
			continue // a line cut off by the kill was never read by anyone
		}
		switch kind {
		case "R":
			shipments[i] = id
		case "P":
			payloads[i] = id
		}
		if n == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed: its exit says no more
}

func checkWhole(t *testing.T, store *storage.Store, merchant string, shipments, payloads map[int]string) {
	t.Helper()
	ctx := t.Context()
	scope := storage.OfMerchant(merchant)
	for i, id := range shipments {
		got, err := store.Shipments(ctx, scope, []string{id})
		if err != nil {
			t.Fatal(err)
		}
		if got[0] == nil {
			t.Fatalf("acknowledged registration %d is lost", i)
		}
		s := got[0].Shipment
		rows, err := store.EventsAsOf(ctx, scope, id, now.AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(parcel.Fold(s, nil, rows), s.Journey, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
			t.Fatalf("shipment %d is half written: its state is not what its events say:\n%s", i, d)
		}
		if _, told := payloads[i]; told && len(s.Journey.Events) != 4 {
			t.Errorf("shipment %d: payload acknowledged, %d of 4 events", i, len(s.Journey.Events))
		}
		log, err := store.Changes(ctx, scope, 0, 100, storage.ChangeFilter{ShipmentIDs: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		if len(log) == 0 || log[len(log)-1].To != s.Journey.Milestone {
			t.Errorf("shipment %d stands at %s, and its log ends otherwise: %d rows", i, s.Journey.Milestone, len(log))
		}
	}
	for i, id := range payloads {
		got, err := store.Payloads(ctx, storage.OfDeployment("test"), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		if got[0] == nil {
			t.Fatalf("acknowledged payload %d is lost", i)
		}
	}
	// The log has no holes.
	_, head, err := store.LogBounds(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var n, last int64
	for {
		page, err := store.Changes(ctx, storage.OfDeployment("test"), last, 1000, storage.ChangeFilter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		n, last = n+int64(len(page)), page[len(page)-1].Position
	}
	if n != head || last != head {
		t.Errorf("the log has %d rows and ends at %d; its head is %d", n, last, head)
	}
}
