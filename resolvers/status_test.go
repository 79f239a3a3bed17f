package resolvers_test

import (
	"context"
	"testing"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// TestCarrierStatus asks how it stands with a carrier of which nothing is known,
// and for what nobody mapped, which is for whoever runs the deployment.
func TestCarrierStatus(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	err := w.store.Update(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.AddUnmapped(ctx, []parcel.Unmapped{{Carrier: "correios", Code: "ZZ9", Words: "novidade", Count: 3, First: now, Last: now, PayloadID: "p"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.want(v, `{ carrier(code: "correios") { status { state lastSuccessAt problem { kind } errorRate latencyMs newsDelayHours quotaLeft errors { kind count } } } }`, nil,
		`{"carrier": {"status": {"state": "IDLE", "lastSuccessAt": null, "problem": null, "errorRate": null, "latencyMs": null, "newsDelayHours": null, "quotaLeft": null, "errors": []}}}`)
	const unmapped = `{ carrier(code: "correios") { status { unmappedCodes { code text count firstSeenAt } } } }`
	w.want(v, unmapped, nil, `{"carrier": {"status": {"unmappedCodes": [{"code": "ZZ9", "text": "novidade", "count": 3, "firstSeenAt": "2026-11-22T12:00:00Z"}]}}}`)
}
