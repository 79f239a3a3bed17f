package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

func testUnmapped(t *testing.T, s *storage.Store) {
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	code := parcel.Unmapped{Carrier: "ups", Code: "ZZ", Words: "Moved\x00 to cage", Language: "en", Count: 2, First: at, Last: at.Add(time.Hour), PayloadID: "01P2"}
	phrase := parcel.Unmapped{Carrier: "dala-post", Phrase: "есік жабық", Words: "Есік жабық", Language: "kk", Count: 1, First: at, Last: at, PayloadID: "01P1"}
	add := func(rows ...parcel.Unmapped) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *storage.Tx) error { return tx.AddUnmapped(ctx, rows) })
	}
	add()
	add(phrase, code)
	// News that came late tells an earlier time, and is no newer example.
	late := code
	late.Count, late.First, late.Last, late.PayloadID = 1, at.Add(-time.Hour), at.Add(-time.Hour), "01P0"
	add(late)
	newer := phrase
	newer.Words, newer.Last, newer.PayloadID = "ЕСІК жабық!", at.Add(2*time.Hour), "01P3"
	add(newer)

	code.Words = "Moved\uFFFD to cage"
	code.Count, code.First = 3, at.Add(-time.Hour)
	phrase.Count, phrase.Last, phrase.PayloadID = 2, at.Add(2*time.Hour), "01P3"
	for _, tc := range []struct {
		name, carrier string
		limit         int
		want          []parcel.Unmapped
	}{
		{"commonest first", "", 10, []parcel.Unmapped{code, phrase}},
		{"of one carrier", "dala-post", 10, []parcel.Unmapped{phrase}},
		{"at most", "", 1, []parcel.Unmapped{code}},
		{"of a carrier without any", "usps", 10, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := must(s.Unmapped(t.Context(), tc.carrier, tc.limit))(t)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
