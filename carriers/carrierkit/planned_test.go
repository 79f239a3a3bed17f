package carrierkit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestHappened(t *testing.T) {
	received := time.Date(2026, 10, 20, 12, 0, 0, 0, time.UTC)
	reported := func(ahead time.Duration, code parcel.Code) parcel.Observation {
		at := received.Add(ahead)
		return parcel.Observation{Number: "A", Code: code, Occurred: parcel.ReportedMoment(at.Format(time.RFC3339), at)}
	}
	assumed := func(ahead time.Duration) parcel.Observation {
		return parcel.Observation{Number: "A", Code: parcel.CodeInTransit,
			Occurred: parcel.LocalMoment("", received.Add(ahead), time.UTC, parcel.CertaintyAssumed)}
	}
	unknown := parcel.Observation{Number: "A", Code: parcel.CodeInTransit, Occurred: parcel.LocalMoment("", received.Add(12*time.Hour), nil, parcel.CertaintyUnknown)}
	tomorrow := []parcel.Estimate{{Number: "A", Earliest: "2026-10-21", Last: "2026-10-21"}}
	for _, tt := range []struct {
		name      string
		source    parcel.SourceKind
		received  time.Time
		told      parcel.Observation
		given     []parcel.Estimate
		stays     bool
		estimates []parcel.Estimate
	}{
		{"now", parcel.SourcePoll, received, reported(0, parcel.CodeDelivered), nil, true, nil},
		{"by another clock", parcel.SourcePoll, received, reported(9*time.Minute, parcel.CodeDelivered), nil, true, nil},
		{"to come", parcel.SourcePoll, received, reported(time.Hour, parcel.CodeInTransit), nil, false, nil},
		{"a delivery to come", parcel.SourcePoll, received, reported(24*time.Hour, parcel.CodeDelivered), nil, false, tomorrow},
		{"beside an estimate", parcel.SourcePoll, received, reported(48*time.Hour, parcel.CodeDelivered), tomorrow, false, tomorrow},
		{"asked for, by an assumed clock", parcel.SourcePoll, received, assumed(5 * time.Hour), nil, false, nil},
		{"pushed, by an assumed clock", parcel.SourceWebhook, received, assumed(5 * time.Hour), nil, true, nil},
		{"pushed, farther than any clock", parcel.SourceWebhook, received, assumed(7 * time.Hour), nil, false, nil},
		{"pushed, by its own clock", parcel.SourceWebhook, received, reported(5*time.Hour, parcel.CodeInTransit), nil, false, nil},
		{"past somewhere", parcel.SourcePoll, received, unknown, nil, true, nil},
		{"nobody knows when it came", parcel.SourcePoll, time.Time{}, reported(24*time.Hour, parcel.CodeDelivered), nil, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := carrierkit.Happened(parcel.Reading{Observations: []parcel.Observation{tt.told}, Estimates: tt.given},
				parcel.Payload{Source: tt.source, ReceivedAt: tt.received})
			if stays := len(got.Observations) == 1; stays != tt.stays {
				t.Errorf("stays: %v", stays)
			}
			if d := cmp.Diff(tt.estimates, got.Estimates); d != "" {
				t.Error(d)
			}
		})
	}
}
