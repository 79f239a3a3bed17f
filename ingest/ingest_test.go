package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// told is what the samples of one parcel say, whichever way they come in.
type told struct {
	name     string
	number   string
	carrier  string
	from, to parcel.Country
	files    []string
	events   int
	want     parcel.Milestone
	outcome  parcel.Outcome
	open     []parcel.ExceptionKind
}

var samples = []told{
	{name: "upu-postal delivered, told with two server offsets", carrier: "upu-postal", number: "LZ741203656CN", from: "CN", to: "US",
		files: []string{"ptt-journey-delivered.json", "ptt-journey-server-offset.json"}, events: 13, want: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered},
	{name: "upu-postal attempt failed", carrier: "upu-postal", number: "RB518204731CN", from: "CN", to: "RU",
		files: []string{"ptt-exception-unsuccessful.json"}, events: 5, want: parcel.MilestoneReadyForPickup, open: []parcel.ExceptionKind{parcel.ExceptionAttemptFailed}},
	{name: "ups delivered, pulled and pushed", carrier: "ups", number: "1Z4X7E926844102758", from: "CN", to: "US",
		files: []string{"journey-delivered.json", "webhook-track-alert.json"}, events: 12, want: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered},
	{name: "russian post delivered, single and batch", carrier: "russian-post", number: "RB518204475CN", from: "CN", to: "RU",
		files: []string{"single-journey-delivered.xml", "batch-4-answer.xml"}, events: 11, want: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered},
	{name: "russian post refused by customs, single and batch", carrier: "russian-post", number: "RB518204643CN", from: "CN", to: "RU",
		files: []string{"batch-4-answer.xml", "single-exception-customs-refusal.xml"}, events: 9, want: parcel.MilestoneDestinationArrived, open: []parcel.ExceptionKind{parcel.ExceptionReturning}},
	{name: "correios delivered after a payment hold", carrier: "correios", number: "LB604182353CN", from: "CN", to: "BR",
		files: []string{"batch-journey-exception-unknown.json"}, events: 10, want: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered},
	{name: "correios delivered to the sender", carrier: "correios", number: "LB604182490CN", from: "CN", to: "BR",
		files: []string{"batch-journey-exception-unknown.json"}, events: 8, outcome: parcel.OutcomeReturned},
	{name: "cainiao delivered, pulled and pushed", carrier: "cainiao", number: "LP00612345678901", from: "CN", to: "BR",
		files: []string{"query-journey-delivered.json", "push-event.form.txt"}, events: 20, want: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered},
	{name: "cainiao held by customs", carrier: "cainiao", number: "LP00612345678987", from: "CN", to: "BR",
		files: []string{"query-exception-customs.json"}, events: 15, want: parcel.MilestoneDestinationArrived, open: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld}},
}

// TestOrderOfArrivalMeansNothing takes the samples of each parcel in any order,
// with repeats, before and after the registration, and finds one shipment.
func TestOrderOfArrivalMeansNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		for _, c := range samples {
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t, w.store)
				seed := rand.New(rand.NewPCG(uint64(len(c.name)), 7))
				var first *parcel.Shipment
				for round := range 4 {
					w := newWorld(t, w.store) // another merchant, the same numbers
					payloads := make([]parcel.Payload, 0, 6)
					for _, f := range c.files {
						p := sample(t, c.carrier, "", f)
						p.Kind = kindOf(t, c.carrier, p.Body)
						payloads = append(payloads, p, p)
					}
					seed.Shuffle(len(payloads), func(i, j int) { payloads[i], payloads[j] = payloads[j], payloads[i] })
					at := seed.IntN(len(payloads) + 1)
					w.accept(payloads[:at]...)
					s := w.register("r", c.from, c.to, leg(c.carrier, c.number))
					for _, p := range payloads[at:] {
						w.accept(p)
					}
					got := w.read(s.ID)
					j := &got.Journey
					if len(j.Events) != c.events || (c.want != "" && j.Milestone != c.want) || j.Outcome != c.outcome {
						t.Fatalf("round %d: %d events, %s, outcome %q; want %d, %s, %q", round, len(j.Events), j.Milestone, j.Outcome, c.events, c.want, c.outcome)
					}
					var open []parcel.ExceptionKind
					for x := range j.OpenExceptions {
						open = append(open, x.Kind)
					}
					if d := cmp.Diff(c.open, open, cmpopts.EquateEmpty()); d != "" {
						t.Errorf("round %d: open exceptions:\n%s", round, d)
					}
					if first == nil {
						first = got
						continue
					}
					if d := cmp.Diff(eventKeys(first), eventKeys(got)); d != "" {
						t.Errorf("round %d: other events:\n%s", round, d)
					}
					type view struct {
						Key         string
						Read        parcel.Code
						Wall, Words string
						Certainty   parcel.Certainty
						Leg         int
					}
					views := func(s *parcel.Shipment) (out []view) {
						for _, e := range s.Journey.Events {
							out = append(out, view{e.EventKey, e.Read, e.Occurred.Wall, e.Words, e.Occurred.Certainty, e.Leg})
						}
						return out
					}
					if d := cmp.Diff(views(first), views(got)); d != "" {
						t.Errorf("round %d: another timeline:\n%s", round, d)
					}
				}
			})
		}
	})
}

func TestSamePayloadTwiceChangesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("r", "CN", "US", leg("upu-postal", "LZ741203656CN"))
		p := sample(t, "upu-postal", "", "ptt-journey-delivered.json")
		p.Kind = kindOf(t, p.Carrier, p.Body)
		first := w.accept(p)[0]
		before := w.read(s.ID)
		_, head, err := w.store.LogBounds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second := w.accept(p)[0]
		if !first.Fresh || second.Fresh || second.PayloadID != first.PayloadID || second.Events != 0 {
			t.Errorf("second receipt %+v after first %+v", second, first)
		}
		if _, again, _ := w.store.LogBounds(t.Context()); again != head {
			t.Errorf("the log grew from %d to %d", head, again)
		}
		if after := w.read(s.ID); !after.UpdatedAt.Equal(before.UpdatedAt) {
			t.Errorf("the shipment was touched")
		}
	})
}

func TestConcurrentRegistrationsOfOneReference(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		replica := w.start(w.accounts)
		const askers = 24
		var wait sync.WaitGroup
		outcomes := make([]parcel.Registered, askers)
		for i := range askers {
			wait.Go(func() {
				g := w.ingest
				if i%2 == 1 {
					g = replica
				}
				out, err := g.Register(context.Background(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: "same", Origin: parcel.Place{Country: "CN"},
					Destination: parcel.Place{Country: "RU"}, Legs: []parcel.DeclaredLeg{leg("russian-post", "RB518204475CN")}}}})
				if err != nil {
					t.Error(err)
					return
				}
				outcomes[i] = out[0]
			})
		}
		wait.Wait()
		created, ids := 0, map[string]bool{}
		for _, o := range outcomes {
			if o.Outcome == parcel.WriteCreated {
				created++
			}
			if o.Shipment != nil {
				ids[o.Shipment.ID] = true
			}
		}
		if created != 1 || len(ids) != 1 {
			t.Errorf("%d created, %d different shipments; want one of each", created, len(ids))
		}
	})
}

func TestRegistrationProblems(t *testing.T) {
	valid := func() parcel.Registration {
		return parcel.Registration{Facts: parcel.Facts{Reference: "ok", Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR"}}}
	}
	cases := []struct {
		name  string
		spoil func(*parcel.Registration)
		path  string
		fault parcel.Fault
		taken bool
	}{
		{"no reference", func(r *parcel.Registration) { r.Facts.Reference = "" }, "reference", parcel.FaultRequired, false},
		{"reference too long", func(r *parcel.Registration) { r.Facts.Reference = strings.Repeat("x", 129) }, "reference", parcel.FaultOutOfRange, false},
		{"broken UTF-8", func(r *parcel.Registration) { r.Facts.Order = "a\xff" }, "order", parcel.FaultMalformed, false},
		{"invalid country", func(r *parcel.Registration) { r.Facts.Destination.Country = "ZZ" }, "destination.country", parcel.FaultMalformed, false},
		{"no destination", func(r *parcel.Registration) { r.Facts.Destination.Country = "" }, "destination.country", parcel.FaultRequired, false},
		{"negative weight", func(r *parcel.Registration) { r.Facts.Goods.WeightGrams = -1 }, "goods.weightGrams", parcel.FaultOutOfRange, false},
		{"recipient over-long", func(r *parcel.Registration) { r.Recipient.Name = strings.Repeat("я", 201) }, "recipient.name", parcel.FaultOutOfRange, false},
		{"promise that is no day", func(r *parcel.Registration) { r.Facts.Promises = []parcel.Promise{{By: "22.11.2026"}} }, "promise.by", parcel.FaultMalformed, false},
		{"promise the wrong way round", func(r *parcel.Registration) {
			r.Facts.Promises = []parcel.Promise{{From: "2026-12-02", By: "2026-12-01"}}
		}, "promise.from", parcel.FaultOutOfRange, false},
		{"number too short", func(r *parcel.Registration) { r.Facts.Legs = []parcel.DeclaredLeg{leg("ups", "1Z")} }, "legs.0.trackingNumber", parcel.FaultOutOfRange, false},
		{"wrong check digit warns", func(r *parcel.Registration) { r.Facts.Legs = []parcel.DeclaredLeg{leg("correios", "LB604182350CN")} }, "legs.0.trackingNumber", parcel.FaultCheckDigit, true},
		{"carrier without an account warns", func(r *parcel.Registration) { r.Facts.Legs = []parcel.DeclaredLeg{leg("pigeon-post", "PP12345")} }, "legs.0.carrier", parcel.FaultCarrierNotConfigured, true},
		{"number of no known form warns", func(r *parcel.Registration) { r.Facts.Legs = []parcel.DeclaredLeg{leg("", "??-??-??")} }, "legs.0.carrier", parcel.FaultCarrierNotConfigured, true},
	}
	eachStore(t, func(t *testing.T, w *world) {
		in := []parcel.Registration{valid()}
		for i, c := range cases {
			r := valid()
			r.Facts.Reference = fmt.Sprint("bad ", i)
			c.spoil(&r)
			in = append(in, r)
		}
		out, err := w.ingest.Register(t.Context(), w.merchant, in)
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Outcome != parcel.WriteCreated {
			t.Errorf("the good one beside them was %s: %v", out[0].Outcome, out[0].Problems)
		}
		for i, c := range cases {
			got := out[i+1]
			if len(got.Problems) == 0 || strings.Join(got.Problems[0].Path, ".") != c.path || got.Problems[0].Fault != c.fault {
				t.Errorf("%s: %v, want %s at %s", c.name, got.Problems, c.fault, c.path)
			}
			if taken := got.Outcome == parcel.WriteCreated; taken != c.taken {
				t.Errorf("%s: %s", c.name, got.Outcome)
			}
		}
		if _, err := w.ingest.Register(t.Context(), w.merchant, make([]parcel.Registration, 1001)); !errors.Is(err, parcel.ErrInvalid) {
			t.Errorf("1,001 registrations: %v", err)
		}
		if _, err := w.ingest.Accept(t.Context(), parcel.Payload{Carrier: "ups", Account: "main", Kind: "track", Body: make([]byte, 20<<20)}); !errors.Is(err, parcel.ErrInvalid) {
			t.Errorf("20 MB payload: %v", err)
		}
		again, err := w.ingest.Register(t.Context(), w.merchant, in[:1])
		if err != nil || again[0].Outcome != parcel.WriteUnchanged {
			t.Errorf("the same again: %v %v", again, err)
		}
		other := valid()
		other.Facts.Destination.Country = "RU"
		clash, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{other})
		if err != nil || clash[0].Outcome != parcel.WriteRefused || clash[0].Shipment == nil || !errors.Is(clash[0].Problems[0], parcel.ErrConflict) {
			t.Errorf("a contradiction: %+v %v", clash, err)
		}
	})
}

func TestNumberUsedAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		old := w.register("old", "CN", "US", leg("ups", "1Z4X7E926844102758"))
		w.accept(kinded(t, sample(t, "ups", "", "journey-delivered.json")))
		if got := w.read(old.ID).Journey.Outcome; got != parcel.OutcomeDelivered {
			t.Fatalf("outcome %q", got)
		}
		// While it is in use, or ended lately, both shipments show its events.
		shared := w.register("shared", "CN", "US", leg("ups", "1Z4X7E926844102758"))
		if n := len(w.read(shared.ID).Journey.Events); n != 12 {
			t.Errorf("a second order in the same parcel shows %d events, want 12", n)
		}
		// Long after, it is another parcel.
		out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: "new", Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "US"},
			Legs: []parcel.DeclaredLeg{leg("ups", "1Z4X7E926844102758")}, RegisteredAt: now.AddDate(0, 3, 0)}}})
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Outcome != parcel.WriteRefused {
			t.Errorf("registered in the future: %v", out[0])
		}
		w.trade.Set(now.AddDate(0, 4, 0))
		fresh := func() *parcel.Shipment {
			out, err := w.ingest.Register(t.Context(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{Reference: "new", Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "US"},
				Legs: []parcel.DeclaredLeg{leg("ups", "1Z4X7E926844102758")}}}})
			if err != nil || out[0].Shipment == nil {
				t.Fatal(out, err)
			}
			if len(out[0].Problems) == 0 || !out[0].Problems[0].Warning {
				t.Errorf("a number used again is taken without a warning")
			}
			return out[0].Shipment
		}()
		if n := len(w.read(fresh.ID).Journey.Events); n != 0 {
			t.Errorf("the new parcel shows %d events of the old one", n)
		}
	})
}

func kinded(t *testing.T, p parcel.Payload) parcel.Payload {
	p.Kind = kindOf(t, p.Carrier, p.Body)
	return p
}

func TestRetractAndReplace(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("r", "CN", "RU", leg("russian-post", "RB518204475CN"))
		w.accept(kinded(t, sample(t, "russian-post", "", "single-journey-delivered.xml")))
		got := w.read(s.ID)
		delivered := got.Journey.Events[got.Journey.OutcomeEvent]
		out, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: delivered.ID, Kind: parcel.RetractionDidNotOccur, Reason: "handed to a neighbour's dog"})
		if err != nil || out.Outcome != parcel.WriteUpdated {
			t.Fatal(out, err)
		}
		got = w.read(s.ID)
		if got.Journey.Outcome != "" || got.Journey.Milestone == parcel.MilestoneDelivered || len(got.Journey.Events) != 11 {
			t.Errorf("after retraction: %s %q %d events", got.Journey.Milestone, got.Journey.Outcome, len(got.Journey.Events))
		}
		// The same payload does not bring it back.
		w.accept(kinded(t, sample(t, "russian-post", "", "single-journey-delivered.xml")))
		w.accept(kinded(t, sample(t, "russian-post", "", "batch-4-answer.xml")))
		if got = w.read(s.ID); got.Journey.Outcome != "" {
			t.Errorf("the carrier's repetition undid the correction")
		}
		again, err := w.ingest.Retract(t.Context(), w.merchant, parcel.Correction{EventID: delivered.ID, Kind: parcel.RetractionDidNotOccur})
		if err != nil || again.Outcome != parcel.WriteRefused || again.Problems[0].Fault != parcel.FaultWrongState {
			t.Errorf("twice: %+v %v", again, err)
		}
		if none, err := w.ingest.Retract(t.Context(), "another merchant", parcel.Correction{EventID: delivered.ID, Kind: parcel.RetractionDidNotOccur}); err != nil || none.Problems[0].Fault != parcel.FaultNotFound {
			t.Errorf("another merchant: %+v %v", none, err)
		}
		changes, err := w.store.Changes(t.Context(), storage.OfMerchant(w.merchant), 0, 1000, storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeRetraction}})
		if err != nil || len(changes) != 1 || !changes[0].Backward() {
			t.Errorf("log tells %d retractions (%v): %+v", len(changes), err, changes)
		}
	})
}

func TestChangeNumber(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("r", "CN", "RU", leg("russian-post", "RB518204643CN"))
		w.accept(kinded(t, sample(t, "russian-post", "", "single-exception-customs-refusal.xml")))
		old := w.read(s.ID)
		out, key, err := w.ingest.ChangeNumber(t.Context(), w.merchant, parcel.NumberChange{ShipmentID: s.ID, LegKey: old.Journey.Legs[0].Key, Number: "RB518204475CN"})
		if err != nil || out.Outcome != parcel.WriteUpdated {
			t.Fatal(out, err)
		}
		if key == "" {
			t.Fatal("no leg carries the new number")
		}
		w.accept(kinded(t, sample(t, "russian-post", "", "single-journey-delivered.xml")))
		got := w.read(s.ID)
		byNumber := map[string]int{}
		for _, e := range got.Journey.Events {
			byNumber[got.Journey.Legs[e.Leg].Number]++
			if got.Journey.Legs[e.Leg].Number != e.Number {
				t.Errorf("event of %s on the leg of %s", e.Number, got.Journey.Legs[e.Leg].Number)
			}
		}
		if d := cmp.Diff(map[string]int{"RB518204643CN": 9, "RB518204475CN": 11}, byNumber); d != "" {
			t.Error("events by number:", d)
		}
		changes, err := w.store.Changes(t.Context(), storage.OfMerchant(w.merchant), 0, 1000, storage.ChangeFilter{Kinds: []parcel.ChangeKind{parcel.ChangeNumber}})
		if err != nil || len(changes) != 1 || changes[0].NumberBefore != "RB518204643CN" || changes[0].Number != "RB518204475CN" {
			t.Errorf("the log tells %+v (%v)", changes, err)
		}
	})
}

// TestHandover follows a parcel from Cainiao to Correios: a signed push names
// the second number, which is then watched, asked for, and stitched in.
func TestHandover(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		scans := []carriers.FakeScan{
			{Code: parcel.CodePickedUp, At: now.AddDate(0, 0, -30), Place: parcel.Place{Country: "CN", City: "SHENZHEN"}},
			{Code: parcel.CodeOriginCountryDeparted, At: now.AddDate(0, 0, -25), Place: parcel.Place{Country: "CN", City: "SHENZHEN"}},
			{Code: parcel.CodeImportCustomsReleased, At: now.AddDate(0, 0, -5), Place: parcel.Place{Country: "BR", City: "CURITIBA"}},
		}
		h := carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: scans, NextCarrier: "correios", NextNumber: "NL407712369BR"}
		w.know("LP00612345678901", h)
		w.know("NL407712369BR", carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{
			{Code: parcel.CodeOutForDelivery, At: now.Add(-30 * time.Hour), Place: parcel.Place{Country: "BR", City: "CAMPINAS", Region: "SP"}},
			{Code: parcel.CodeDelivered, At: now.Add(-26 * time.Hour), Place: parcel.Place{Country: "BR", City: "CAMPINAS", Region: "SP"}},
		}})
		s := w.register("r", "CN", "BR", leg("cainiao", "LP00612345678901"))
		d, ok := w.fakes["cainiao"].Push("LP00612345678901", h)
		if !ok {
			t.Fatal("cainiao does not push")
		}
		forged := d
		forged.Body = []byte(strings.Replace(string(d.Body), "CC_IM", "GTMS_SIGNED", 1))
		forged.Header = d.Header.Clone()
		_ = w.ingest.Push(t.Context(), "cainiao", "hook-cainiao", forged)
		if n := len(w.read(s.ID).Journey.Events); n != 0 {
			t.Fatalf("a forged push was taken: %d events", n)
		}
		if r := w.ingest.Push(t.Context(), "cainiao", "wrong", d); r.Status != http.StatusNotFound {
			t.Errorf("unknown endpoint answers %d", r.Status)
		}
		r := w.ingest.Push(t.Context(), "cainiao", "hook-cainiao", d)
		if r.Status != http.StatusOK || !strings.Contains(string(r.Body), "true") {
			t.Fatalf("push answered %d %s", r.Status, r.Body)
		}
		got := w.read(s.ID)
		next := parcel.NumberKey{Carrier: "correios", Number: "NL407712369BR"}
		if l := got.Journey.Legs[len(got.Journey.Legs)-1]; l.Carrier != next.Carrier || l.Number != next.Number || l.State != parcel.LegPlanned {
			t.Fatalf("last leg %+v", l)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _ = w.ingest.Poll(ctx) })
		until(t, "both carriers have told their part", func() bool {
			return w.read(s.ID).Journey.Outcome == parcel.OutcomeDelivered && len(w.read(s.ID).Journey.Events) == 5
		})
		cancel()
		wait.Wait()
		got = w.read(s.ID)
		if len(got.Journey.Handovers) == 0 {
			t.Error("no handover")
		}
		for _, hd := range got.Journey.Handovers {
			if hd.To >= 0 && got.Journey.Legs[hd.To].Carrier == "correios" && !hd.NumberChanged {
				t.Error("the number changed at the handover")
			}
		}
	})
}

// until polls a condition with a deadline.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		_ = clock.Wall().Sleep(t.Context(), 20*time.Millisecond)
	}
}

// TestRefreshJoins: 500 askers, 400 numbers, 8 of 10 fresh: one call per stale
// number at most, none for fresh ones, and a hanging carrier delays nobody
// beyond the wait.
func TestRefreshJoins(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		const numbers, askers = 400, 500
		var in []parcel.Registration
		var keys []parcel.NumberKey
		for i := range numbers {
			serial := fmt.Sprintf("%08d", 10000000+i)
			digit, _ := parcel.CheckDigit(serial)
			n := fmt.Sprintf("LB%s%dCN", serial, digit)
			keys = append(keys, parcel.NumberKey{Carrier: "correios", Number: n})
			w.know(n, carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{{Code: parcel.CodePickedUp, At: now.AddDate(0, 0, -9), Place: parcel.Place{Country: "CN"}}}})
			in = append(in, parcel.Registration{Facts: parcel.Facts{Reference: fmt.Sprint("r", i), Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR"}, Legs: []parcel.DeclaredLeg{leg("correios", n)}}})
		}
		if _, err := w.ingest.Register(t.Context(), w.merchant, in); err != nil {
			t.Fatal(err)
		}
		// Make 8 of 10 fresh.
		var fresh []parcel.NumberKey
		for i, k := range keys {
			if i%5 != 0 {
				fresh = append(fresh, k)
			}
		}
		w.trade.Advance(time.Hour)
		if _, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: fresh, Wait: 20 * time.Second}); err != nil {
			t.Fatal(err)
		}
		before := w.called("correios")
		var asked sync.Map
		w.delay = func(_ string, r *http.Request) {
			for _, n := range r.URL.Query()["codigosObjetos"] {
				c, _ := asked.LoadOrStore(n, new(int))
				*(c.(*int))++ // each request names a number once; racing requests would be the defect
			}
			_ = clock.Wall().Sleep(context.Background(), 30*time.Millisecond)
		}
		var wait sync.WaitGroup
		for i := range askers {
			wait.Go(func() {
				key := keys[i%numbers]
				got, err := w.ingest.Refresh(context.Background(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key}, MaxAge: 30 * time.Minute, Wait: 10 * time.Second})
				if err != nil {
					t.Error(err)
					return
				}
				if fresh := (i%numbers)%5 != 0; fresh != (got[0].Served == parcel.ServedStore) && fresh {
					t.Errorf("fresh number served by %s", got[0].Served)
				}
			})
		}
		wait.Wait()
		stale := numbers / 5
		calls := w.called("correios") - before
		if calls > int64(stale) || calls < 1 {
			t.Errorf("%d calls for %d stale numbers", calls, stale)
		}
		t.Logf("%d askers, %d stale numbers, %d calls", askers, stale, calls)
		for _, k := range fresh {
			if _, was := asked.Load(k.Number); was {
				t.Errorf("fresh number %s was asked for", k.Number)
			}
		}
		asked.Range(func(n, c any) bool {
			if *(c.(*int)) > 1 {
				t.Errorf("%s was asked for %d times", n, *(c.(*int)))
			}
			return true
		})

		// A carrier that hangs.
		release := make(chan struct{})
		w.delay = func(string, *http.Request) { <-release }
		defer close(release)
		w.trade.Advance(2 * time.Hour)
		began := clock.Wall().Now()
		got, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: keys[:10], MaxAge: time.Minute, Wait: 150 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if took := clock.Wall().Now().Sub(began); took > 2*time.Second {
			t.Errorf("a hanging carrier held the asker for %s", took)
		}
		for _, g := range got {
			if g.Served != parcel.ServedWaitExpired {
				t.Errorf("served %s", g.Served)
			}
			if g.Tracking.HeardAt.IsZero() {
				t.Errorf("what was known is gone")
			}
		}
	})
}

// TestTwoReplicasAskOnce: a number asked for at two gateways at once is called
// for by one.
func TestTwoReplicasAskOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		other := w.start(w.accounts)
		w.know("LB604182353CN", carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{{Code: parcel.CodePickedUp, At: now.AddDate(0, 0, -9), Place: parcel.Place{Country: "CN"}}}})
		w.register("r", "CN", "BR", leg("correios", "LB604182353CN"))
		var tracked sync.Mutex
		n := 0
		w.delay = func(_ string, r *http.Request) {
			if strings.Contains(r.URL.Path, "objetos") {
				tracked.Lock()
				n++
				tracked.Unlock()
				_ = clock.Wall().Sleep(context.Background(), 200*time.Millisecond)
			}
		}
		var wait sync.WaitGroup
		for _, g := range []*ingest.Ingest{w.ingest, other} {
			wait.Go(func() {
				got, err := g.Refresh(context.Background(), parcel.RefreshAsk{Keys: []parcel.NumberKey{{Carrier: "correios", Number: "LB604182353CN"}}, Wait: 10 * time.Second})
				if err != nil || got[0].Tracking.Finding != parcel.FindingFound {
					t.Errorf("%+v %v", got, err)
				}
			})
		}
		wait.Wait()
		if n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestCarrierTroubleIsTold(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		key := parcel.NumberKey{Carrier: "correios", Number: "LB604182353CN"}
		s := w.register("r", "CN", "BR", leg(key.Carrier, key.Number))
		w.accept(kinded(t, sample(t, "correios", "", "batch-journey-exception-unknown.json")))
		w.servers["correios"].Close()
		w.trade.Advance(time.Hour)
		got, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key}, Wait: 15 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		tr := got[0].Tracking
		if tr.Trouble != parcel.TroubleUnavailable || tr.RetryAt.IsZero() || tr.HeardAt.IsZero() || tr.Finding != parcel.FindingFound {
			t.Errorf("%+v", tr)
		}
		if n := len(w.read(s.ID).Journey.Events); n != 10 {
			t.Errorf("%d events are left of what was known", n)
		}
		// Asking again at once does not call again.
		again, err := w.ingest.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key}, Wait: time.Second})
		if err != nil || again[0].Served != parcel.ServedNotAllowed {
			t.Errorf("%+v %v", again, err)
		}
	})
}

// remapped is an adapter after a mapping fix.
type remapped struct {
	carriers.Carrier
	version string
}

func (r remapped) Decode(p parcel.Payload) (parcel.Reading, error) {
	out, err := r.Carrier.Decode(p)
	for i := range out.Observations {
		if o := &out.Observations[i]; o.Code == parcel.CodeDelivered {
			o.Code, o.RuleVersion = parcel.CodeReadyForPickup, r.version
		}
	}
	return out, err
}

func TestReplayAfterAMappingFix(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("r", "CN", "BR", leg("correios", "LB604182353CN"))
		w.accept(kinded(t, sample(t, "correios", "", "batch-journey-exception-unknown.json")))
		accounts := append([]ingest.Account{}, w.accounts...)
		for i := range accounts {
			if accounts[i].Spec.Name == "correios" {
				accounts[i].Carrier = remapped{accounts[i].Carrier, "2099-01-01"}
			}
		}
		fixed := w.start(accounts)
		report, err := fixed.Replay(t.Context(), ingest.ReplayAsk{Carrier: "correios", DryRun: true})
		if err != nil || report.Payloads != 1 || report.Events != 0 {
			t.Errorf("dry run: %+v %v", report, err)
		}
		if w.read(s.ID).Journey.Outcome != parcel.OutcomeDelivered {
			t.Error("a dry run wrote")
		}
		report, err = fixed.Replay(t.Context(), ingest.ReplayAsk{Carrier: "correios"})
		if err != nil || report.Events != 1 {
			t.Errorf("replay: %+v %v", report, err)
		}
		got := w.read(s.ID)
		if got.Journey.Outcome != "" || got.Journey.Milestone != parcel.MilestoneReadyForPickup || len(got.Journey.Events) != 10 {
			t.Errorf("after the fix: %s %q, %d events", got.Journey.Milestone, got.Journey.Outcome, len(got.Journey.Events))
		}
		if report, err = fixed.Replay(t.Context(), ingest.ReplayAsk{}); err != nil || report.Events != 0 {
			t.Errorf("again: %+v %v", report, err)
		}
	})
}

func TestReportEvents(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		s := w.register("r", "CN", "BR", leg("correios", "LB604182353CN"))
		at := now.AddDate(0, 0, -2)
		good := parcel.Report{ShipmentID: s.ID, Observation: parcel.Observation{Code: parcel.CodeDelivered, Occurred: parcel.ReportedMoment(at.Format(time.RFC3339), at), Words: "by hand"}}
		future := good
		future.Observation.Occurred = parcel.ReportedMoment("", now.AddDate(1, 0, 0))
		out, err := w.ingest.Report(t.Context(), w.merchant, []parcel.Report{good, {ShipmentID: "nobody's", Observation: good.Observation}, future, good, {Observation: good.Observation},
			{Key: parcel.NumberKey{Carrier: "correios", Number: "lb 604 182 353 cn"}, Observation: parcel.Observation{Code: parcel.CodeOutForDelivery, Occurred: parcel.ReportedMoment("", at.Add(-time.Hour))}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []parcel.WriteOutcome
		for _, o := range out {
			got = append(got, o.Outcome)
		}
		if d := cmp.Diff([]parcel.WriteOutcome{parcel.WriteCreated, parcel.WriteRefused, parcel.WriteRefused, parcel.WriteUnchanged, parcel.WriteRefused, parcel.WriteCreated}, got); d != "" {
			t.Error(d)
		}
		if j := w.read(s.ID).Journey; j.Outcome != parcel.OutcomeDelivered || len(j.Events) != 2 {
			t.Errorf("%q, %d events", j.Outcome, len(j.Events))
		}
	})
}

func TestTwoMerchantsOneNumber(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		a := w.register("a", "CN", "BR", leg("correios", "LB604182353CN"))
		other := newWorld(t, w.store)
		other.ingest = w.ingest
		b := other.register("b", "CN", "BR", leg("correios", "LB604182353CN"))
		w.accept(kinded(t, sample(t, "correios", "", "batch-journey-exception-unknown.json")))
		if x, y := len(w.read(a.ID).Journey.Events), len(other.read(b.ID).Journey.Events); x != 10 || y != 10 {
			t.Errorf("%d and %d events, want 10 each", x, y)
		}
		got, err := w.store.Shipments(t.Context(), storage.OfMerchant(w.merchant), []string{b.ID})
		if err != nil || got[0] != nil {
			t.Errorf("one merchant reads the other's shipment: %v %v", got, err)
		}
	})
}

// TestTicketIsNoTrouble: a post that answers by ticket is asked again when it
// says so, and nothing is reported wrong meanwhile.
func TestTicketIsNoTrouble(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		key := parcel.NumberKey{Carrier: "russian-post", Number: "RB518204475CN"}
		s := w.register("r", "CN", "RU", leg(key.Carrier, key.Number))
		ticket := sample(t, "russian-post", "", "batch-3-not-ready.xml")
		ticket.Kind = kindOf(t, ticket.Carrier, ticket.Body)
		accounts := append([]ingest.Account{}, w.accounts...)
		for i := range accounts {
			if accounts[i].Spec.Name == key.Carrier {
				accounts[i].Carrier = ticketed{accounts[i].Carrier, ticket}
			}
		}
		g := w.start(accounts)
		got, err := g.Refresh(t.Context(), parcel.RefreshAsk{Keys: []parcel.NumberKey{key}, Wait: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		tr := got[0].Tracking
		if tr.Trouble != "" || tr.Failures != 0 || tr.NextAt.Sub(now) != 15*time.Minute || !tr.HeardAt.IsZero() {
			t.Errorf("%+v", tr)
		}
		if n := len(w.read(s.ID).Journey.Events); n != 0 {
			t.Errorf("%d events", n)
		}
	})
}

// ticketed is a carrier whose answer is being worked on.
type ticketed struct {
	carriers.Carrier
	ticket parcel.Payload
}

func (c ticketed) Fetch(context.Context, []carriers.Query) ([]parcel.Payload, error) {
	return []parcel.Payload{c.ticket}, nil
}
