package ingest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
)

// TestUnmapped holds the work queue of mapping to what came: an event counts
// once however often it is told, words are counted by their phrase, and what was
// read is not in it.
func TestUnmapped(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.serve((&scripted{}).account("acme"))
		w.enrol("R-1", leg("acme", "ACME0001"))
		w.enrol("R-2", leg("acme", "ACME0002"))
		coded := func(number, code string, hour int) parcel.Observation {
			o := observed("acme", number, parcel.CodeUnknown, now.Add(time.Duration(hour)*time.Hour))
			o.OwnCode, o.Words, o.Language, o.Rule = code, "Moved to cage", "en", "unmapped"
			return o
		}
		worded := func(number, words string, hour int) parcel.Observation {
			o := coded(number, "", hour)
			o.Words, o.Language, o.Rule = words, "kk", "text:"+words
			return o
		}
		w.hear("acme", coded("ACME0001", "ZZ", -9), coded("ACME0002", "ZZ", -8), worded("ACME0001", "Ұяшық 12", -7), observed("acme", "ACME0001", parcel.CodePickedUp, now.Add(-10*time.Hour)))
		// Told again, with one more; nobody has the last number.
		w.hear("acme", coded("ACME0001", "ZZ", -9), worded("ACME0002", "ҰЯШЫҚ 7.", -6), coded("ACME0009", "ZZ", -5))

		got, err := w.store.Unmapped(t.Context(), "acme", 10)
		if err != nil {
			t.Fatal(err)
		}
		payload := ""
		for i := range got {
			payload += got[i].PayloadID
			got[i].PayloadID = ""
		}
		if len(payload) != 2*26 {
			t.Errorf("examples %q, want two payloads", payload)
		}
		at := now.UTC().Truncate(time.Microsecond)
		want := []parcel.Unmapped{
			{Carrier: "acme", Phrase: "ұяшық #", Words: "Ұяшық 12", Language: "kk", Count: 2, First: at, Last: at},
			{Carrier: "acme", Code: "ZZ", Words: "Moved to cage", Language: "en", Count: 2, First: at, Last: at},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
