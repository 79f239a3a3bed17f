package resolvers_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"go.uber.org/goleak"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

type parcelFixture = storagetest.Parcel

// next appends an event after the last one, by the same carrier.
func next(p *parcelFixture, code parcel.Code, country parcel.Country) {
	e := p.Events[len(p.Events)-1]
	o := e.Observation
	o.Code, o.OwnCode, o.Words, o.Place = code, "X"+string(code), "told: "+string(code), parcel.Place{Country: country, City: "Curitiba", Facility: "CTCE", Postcode: "80000-000"}
	o.Occurred = parcel.LocalMoment("", o.Occurred.At.Add(30*time.Hour), nil, parcel.CertaintyUnknown)
	e.Observation, e.ID, e.EventKey, e.EventDigest, e.ReceivedAt = o, ulid.Make().String(), o.Key(), o.Digest(), e.ReceivedAt.Add(31*time.Hour)
	p.Events = append(p.Events, e)
}

// withReturn sends a delivered parcel back.
func withReturn(p *parcelFixture) {
	next(p, parcel.CodeReturnStarted, "BR")
	next(p, parcel.CodeReturned, "CN")
}

// withRetraction takes the third event back, for another that says what
// happened.
func withRetraction(p *parcelFixture) {
	e := p.Events[2]
	r := parcel.Retraction{Target: e.EventKey, Kind: parcel.RetractionIncorrect, Reason: "scanned in error", At: e.ReceivedAt.Add(time.Hour), ReplacedBy: p.Events[3].EventKey}
	row := parcel.Event{ID: e.ID, ShipmentID: e.ShipmentID, EventKey: e.EventKey, EventDigest: "correction", Source: parcel.SourceReport, ReceivedAt: r.At, Retraction: &r}
	e.Event = row
	p.Events = append(p.Events, e)
}

// planFields lists the fields that the generated plans know, by the cases of
// their switches.
func planFields(t *testing.T) map[string]bool {
	t.Helper()
	source, err := os.ReadFile("../graph/generated/plan.generated.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, function := range regexp.MustCompile(`(?ms)^func compile(\w+)\(.*?^}`).FindAllSubmatch(source, -1) {
		for _, c := range regexp.MustCompile(`case "(\w+)":`).FindAllSubmatch(function[0], -1) {
			out[string(function[1])+"."+string(c[1])] = true
		}
	}
	return out
}

type changeFilter = storage.ChangeFilter

func scopeOf(v graph.Viewer) storage.Scope { return storage.OfMerchant(v.MerchantID) }

// No stream, batch or wait outlives its tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
