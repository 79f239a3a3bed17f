package parcel_test

import (
	"fmt"
	"testing"

	"github.com/milepost-gateway/milepost/parcel"
)

// journeyCodes is an ordinary journey, in order.
var journeyCodes = []parcel.Code{
	parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeOriginHubArrived, parcel.CodeOriginHubDeparted, parcel.CodeExportExchangeArrived,
	parcel.CodeExportCustomsReleased, parcel.CodeHandedToLinehaul, parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived,
	parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsReleased, parcel.CodeDestinationHubProcessed, parcel.CodeDeliveryOfficeArrived,
	parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeOutForDelivery, parcel.CodeDelivered,
}

// longJourney is n scans an hour apart, each told by every one of the carriers
// under one number.
func longJourney(n int, carriers ...string) []parcel.Event {
	var rows []parcel.Event
	for i := range n {
		for _, c := range carriers {
			code := journeyCodes[i*len(journeyCodes)/n]
			rows = append(rows, scan{hour: float64(i), code: code, carrier: c, number: "RB1CN", own: fmt.Sprint(code, i)}.row("S1"))
		}
	}
	return rows
}

func BenchmarkFold(b *testing.B) {
	s := shipment("CN", "BR", parcel.DeclaredLeg{Stage: parcel.StageFirstMile, Carrier: "post", Number: "RB1CN"})
	for _, c := range []struct {
		name     string
		scans    int
		carriers []string
	}{
		{"one_teller/20", 20, []string{"post"}},
		{"two_tellers/20", 20, []string{"post", "correios"}},
		{"one_teller/200", 200, []string{"post"}},
		{"two_tellers/200", 200, []string{"post", "correios"}},
		{"four_tellers/1000", 1000, []string{"post", "correios", "upu", "17track"}},
	} {
		rows := longJourney(c.scans, c.carriers...)
		b.Run(c.name+"/all", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parcel.Fold(s, nil, rows)
			}
		})
		b.Run(c.name+"/one_more", func(b *testing.B) {
			prior := parcel.Fold(s, nil, rows[:len(rows)-1])
			b.ReportAllocs()
			for b.Loop() {
				parcel.Fold(s, &prior, rows[len(rows)-1:])
			}
		})
	}
}
