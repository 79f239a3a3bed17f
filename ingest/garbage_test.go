package ingest_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// TestGarbageBesideAHealthyCarrier: a carrier that answers 200 and nonsense
// harms its own numbers alone, which are asked for ever less often and get their
// news once it is itself again.
func TestGarbageBesideAHealthyCarrier(t *testing.T) {
	const bad, badNumber, good, goodNumber = "upu-postal", "LB604182353CN", "correios", "RR123456785BR"
	answers := map[string]func(w http.ResponseWriter, truth []byte){
		"a page for people": func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>")
		},
		"half an answer": func(w http.ResponseWriter, truth []byte) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(truth[:len(truth)/2])
		},
		"half of what it announced": func(w http.ResponseWriter, truth []byte) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(truth)
		},
		"bytes of no kind": func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte{0x1f, 0x8b, 0, 0xff, 0xfe, 0, 0xc3, 0x28})
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, w *world) {
				var garbled atomic.Bool
				garbled.Store(true)
				truth := w.fakes[bad].Handler()
				srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if !garbled.Load() {
						truth.ServeHTTP(rw, r)
						return
					}
					kept := httptest.NewRecorder()
					truth.ServeHTTP(kept, r)
					answer(rw, kept.Body.Bytes())
				}))
				t.Cleanup(srv.Close)
				a := only(w.accounts, bad)[0]
				c, err := a.Spec.New(carriers.Env{Account: a.Name, BaseURL: srv.URL, Settings: w.settings[bad], HTTP: srv.Client(), Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				a.Carrier = c
				w.serve(append([]ingest.Account{a}, only(w.accounts, good)...)...)
				scans := []carriers.FakeScan{{Code: parcel.CodePickedUp, At: now.Add(-time.Hour), Place: parcel.Place{Country: "CN", City: "BEIJING"}}}
				w.know(badNumber, carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: scans})
				w.know(goodNumber, carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{{Code: parcel.CodeDeliveryOfficeArrived, At: now.Add(-time.Hour), Place: parcel.Place{Country: "BR", City: "CURITIBA"}}}})
				harmed, healthy := w.enrol("bad", leg(bad, badNumber)), w.enrol("good", leg(good, goodNumber))
				w.poll()
				until(t, "the healthy carrier's news is there", func() bool { return len(w.codes(healthy)) == 1 })
				until(t, "the failure is noted", func() bool { return w.asking(bad, badNumber).Failures == 1 })
				tr := w.asking(bad, badNumber)
				if tr.Trouble == "" || tr.Finding != "" || !tr.HeardAt.IsZero() || !tr.NextAt.After(now) || !tr.NextAt.Equal(tr.RetryAt) {
					t.Errorf("nonsense is noted as %+v", tr)
				}
				wantCodes(t, "events of nonsense", w.codes(harmed))
				if got := w.asking(good, goodNumber); got.Trouble != "" || got.Failures != 0 || got.Finding != parcel.FindingFound {
					t.Errorf("the healthy carrier: %+v", got)
				}
				garbled.Store(false)
				w.trade.Advance(3 * time.Minute)
				until(t, "its news comes once it is itself again", func() bool { return len(w.codes(harmed)) == 1 })
				if got := w.asking(bad, badNumber); got.Trouble != "" || got.Failures != 0 || got.Finding != parcel.FindingFound {
					t.Errorf("after it: %+v", got)
				}
			})
		})
	}
}
