package sim

import (
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// tells gives the code by which a carrier tells that something happened: the
// thing itself where it has a word for it, the nearest it can say where not,
// or "" where it keeps silent. Carriers differ in what they have words for far
// more than in what happens.
func tells(carrier string, happened parcel.Code) parcel.Code {
	return vocabularies()[carrier][happened]
}

// vocabularies are what the simulated carriers say; made once at first use,
// nobody writes to it afterwards. Each is a part of what the adapter's fake
// speaks.
var vocabularies = sync.OnceValue(func() map[string]map[parcel.Code]parcel.Code {
	words := func(codes ...parcel.Code) map[parcel.Code]parcel.Code {
		v := make(map[parcel.Code]parcel.Code, len(codes)+8)
		for _, c := range codes {
			v[c] = c
		}
		return v
	}
	// instead adds what is said of things without a word of their own.
	instead := func(v map[parcel.Code]parcel.Code, pairs ...parcel.Code) map[parcel.Code]parcel.Code {
		for i := 0; i < len(pairs); i += 2 {
			v[pairs[i]] = pairs[i+1]
		}
		return v
	}
	// nearest adds what carriers commonly say of things that they have no word
	// for, as far as they have a word for that.
	nearest := func(v map[parcel.Code]parcel.Code) map[parcel.Code]parcel.Code {
		for _, pair := range [][2]parcel.Code{
			{parcel.CodeDroppedOff, parcel.CodePickedUp}, {parcel.CodePickedUp, parcel.CodeDroppedOff},
			{parcel.CodeOriginHubArrived, parcel.CodeInTransit}, {parcel.CodeOriginHubDeparted, parcel.CodeInTransit},
			{parcel.CodeDestinationHubProcessed, parcel.CodeInTransit},
			{parcel.CodeCustomsDocumentsRequired, parcel.CodeImportCustomsHeld}, {parcel.CodeCustomsDutyDue, parcel.CodeImportCustomsHeld},
			{parcel.CodeCustomsRefused, parcel.CodeImportCustomsHeld}, {parcel.CodeAddressProblem, parcel.CodeDeliveryAttemptFailed},
			{parcel.CodeRefused, parcel.CodeDeliveryAttemptFailed}, {parcel.CodeUnclaimed, parcel.CodeDeliveryAttemptFailed},
			{parcel.CodeDeliveredImpaired, parcel.CodeDelivered}, {parcel.CodeDelayed, parcel.CodeCarrierHeld},
			{parcel.CodeLinehaulDelayed, parcel.CodeDelayed},
			// Who has no word for the end of a return delivers to the sender.
			{parcel.CodeReturned, parcel.CodeDelivered},
		} {
			if happened, said := pair[0], pair[1]; v[happened] == "" && v[said] == said {
				v[happened] = said
			}
		}
		return v
	}
	return map[string]map[parcel.Code]parcel.Code{
		fourPX: nearest(words(
			parcel.CodeInfoReceived, parcel.CodeWarehouseReceived, parcel.CodeWarehouseDispatched, parcel.CodePickedUp, parcel.CodeHandedToLinehaul,
			parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived, parcel.CodeDestinationHubProcessed, parcel.CodeInTransit,
			parcel.CodeLinehaulDelayed, parcel.CodeExportCustomsReleased, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld,
			parcel.CodeImportCustomsReleased, parcel.CodeLastMileAccepted, parcel.CodeOutForDelivery, parcel.CodeDelivered,
		)),
		yunExpress: nearest(words(
			parcel.CodeInfoReceived, parcel.CodeWarehouseReceived, parcel.CodeWarehouseDispatched, parcel.CodeExportCustomsPresented,
			parcel.CodeExportCustomsReleased, parcel.CodeOriginCountryDeparted, parcel.CodeInTransit, parcel.CodeDestinationCountryArrived,
			parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsReleased, parcel.CodeLastMileAccepted,
			parcel.CodeOutForDelivery, parcel.CodeDelivered,
		)),
		sfExpress: nearest(words(
			parcel.CodePickedUp, parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived, parcel.CodeInTransit,
			parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsReleased, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsReleased,
		)),
		chinaPost: nearest(words(
			parcel.CodePickedUp, parcel.CodeOriginHubArrived, parcel.CodeOriginHubDeparted, parcel.CodeExportExchangeArrived, parcel.CodeHandedToLinehaul,
			parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived, parcel.CodeInTransit, parcel.CodeExportCustomsPresented,
			parcel.CodeExportCustomsReleased, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsReleased,
			parcel.CodeOutForDelivery, parcel.CodeDelivered,
		)),
		fedexName: nearest(words(
			parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeInTransit, parcel.CodeDeliveryOfficeArrived, parcel.CodeOutForDelivery,
			parcel.CodeDeliveryAttemptFailed, parcel.CodeAddressProblem, parcel.CodeReadyForPickup, parcel.CodeDelivered, parcel.CodeDelayed,
			parcel.CodeDamaged, parcel.CodeReturnStarted,
		)),
		uspsName: nearest(words(
			parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeInTransit, parcel.CodeDestinationHubProcessed, parcel.CodeDelayed,
			parcel.CodeDeliveryOfficeArrived, parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeAddressProblem,
			parcel.CodeReadyForPickup, parcel.CodeDelivered, parcel.CodeReturnStarted, parcel.CodeReturned, parcel.CodeLost,
		)),
		dhlName: nearest(words(
			parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeInTransit, parcel.CodeDestinationHubProcessed, parcel.CodeOutForDelivery,
			parcel.CodeDeliveryAttemptFailed, parcel.CodeAddressProblem, parcel.CodeDamaged, parcel.CodeReadyForPickup, parcel.CodeDelivered,
			parcel.CodeReturnStarted, parcel.CodeReturned,
		)),
		australiaPost: nearest(words(
			parcel.CodeInfoReceived, parcel.CodeInTransit, parcel.CodeDelayed, parcel.CodeCarrierHeld, parcel.CodeDamaged, parcel.CodeOutForDelivery,
			parcel.CodeDeliveryAttemptFailed, parcel.CodeReadyForPickup, parcel.CodeReturnStarted, parcel.CodeDelivered, parcel.CodeReturned,
		)),
		laPoste: nearest(words(
			parcel.CodeInfoReceived, parcel.CodeInTransit, parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented,
			parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsReleased, parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeReadyForPickup, parcel.CodeAddressProblem, parcel.CodeReturnStarted, parcel.CodeDelivered, parcel.CodeReturned,
		)),
		royalMail: nearest(words(
			parcel.CodeInfoReceived, parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld,
			parcel.CodeCustomsDocumentsRequired, parcel.CodeImportCustomsReleased, parcel.CodeImportExchangeDeparted,
			parcel.CodeDestinationHubProcessed, parcel.CodeInTransit, parcel.CodeDelayed, parcel.CodeDamaged, parcel.CodeDeliveryOfficeArrived,
			parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeReadyForPickup, parcel.CodeCarrierHeld, parcel.CodeDelivered,
			parcel.CodeReturnStarted,
		)),
		canadaPost: nearest(words(
			parcel.CodeInfoReceived, parcel.CodeInTransit, parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented,
			parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsReleased, parcel.CodeDelayed, parcel.CodeDamaged, parcel.CodeCarrierHeld,
			parcel.CodeAddressProblem, parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeReadyForPickup,
			parcel.CodeDelivered, parcel.CodeReturnStarted, parcel.CodeReturned,
		)),
		upuPostal: instead(words(
			parcel.CodePickedUp, parcel.CodeExportExchangeArrived, parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsHeld,
			parcel.CodeExportCustomsReleased, parcel.CodeCancelled, parcel.CodeOriginCountryDeparted, parcel.CodeTransitCountryArrived,
			parcel.CodeTransitCountryDeparted, parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented,
			parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsReleased, parcel.CodeImportExchangeDeparted, parcel.CodeCustomsRefused,
			parcel.CodeDestinationHubProcessed, parcel.CodeDeliveryOfficeArrived, parcel.CodeCarrierHeld, parcel.CodeOutForDelivery,
			parcel.CodeReadyForPickup, parcel.CodeDeliveryAttemptFailed, parcel.CodeDelivered, parcel.CodeLinehaulDelayed,
		),
			parcel.CodeDroppedOff, parcel.CodePickedUp,
			parcel.CodeCustomsDocumentsRequired, parcel.CodeImportCustomsHeld,
			parcel.CodeCustomsDutyDue, parcel.CodeImportCustomsHeld,
			parcel.CodeAddressProblem, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeRefused, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeUnclaimed, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeDeliveredImpaired, parcel.CodeDelivered,
			// The way back is told by the same scans as the way out: a departure
			// from the country of destination, a delivery in that of origin.
			parcel.CodeReturnStarted, parcel.CodeOriginCountryDeparted,
			parcel.CodeReturned, parcel.CodeDelivered,
		),
		russianPost: instead(words(
			parcel.CodeInfoReceived, parcel.CodePickedUp,
			parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived, parcel.CodeDestinationHubProcessed,
			parcel.CodeImportExchangeDeparted, parcel.CodeInTransit, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld,
			parcel.CodeCustomsDocumentsRequired, parcel.CodeCustomsDutyDue, parcel.CodeImportCustomsReleased, parcel.CodeCustomsRefused,
			parcel.CodeReadyForPickup, parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeAddressProblem,
			parcel.CodeDelivered, parcel.CodeCarrierHeld, parcel.CodeDamaged, parcel.CodeLost, parcel.CodeDisposed,
			parcel.CodeReturnStarted, parcel.CodeReturned,
		),
			parcel.CodeDroppedOff, parcel.CodePickedUp,
			// A sorting centre of a domestic parcel says no more than that it moves.
			parcel.CodeOriginHubArrived, parcel.CodeInTransit,
			parcel.CodeOriginHubDeparted, parcel.CodeInTransit,
			parcel.CodeRefused, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeUnclaimed, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeDeliveredImpaired, parcel.CodeDelivered,
			parcel.CodeDelayed, parcel.CodeCarrierHeld,
		),
		cainiao: instead(words(
			parcel.CodeInfoReceived, parcel.CodeWarehouseReceived, parcel.CodeWarehousePacked, parcel.CodeWarehouseDispatched,
			parcel.CodeWarehouseHeld, parcel.CodeCancelled, parcel.CodePickedUp, parcel.CodePickupFailed, parcel.CodeOriginHubArrived,
			parcel.CodeOriginHubDeparted, parcel.CodeHandedToLinehaul, parcel.CodeExportExchangeArrived, parcel.CodeExportCustomsPresented,
			parcel.CodeExportCustomsHeld, parcel.CodeExportCustomsReleased, parcel.CodeOriginCountryDeparted,
			parcel.CodeTransitCountryArrived, parcel.CodeTransitCountryDeparted, parcel.CodeDestinationCountryArrived,
			parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld, parcel.CodeCustomsDutyDue, parcel.CodeImportCustomsReleased,
			parcel.CodeDestinationHubProcessed, parcel.CodeInTransit, parcel.CodeLastMileAccepted, parcel.CodeDeliveryOfficeArrived,
			parcel.CodeOutForDelivery, parcel.CodeReadyForPickup, parcel.CodeDelivered, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeReturnStarted, parcel.CodeReturned, parcel.CodeDisposed,
		),
			parcel.CodeCustomsDocumentsRequired, parcel.CodeImportCustomsHeld,
			parcel.CodeCustomsRefused, parcel.CodeImportCustomsHeld,
			parcel.CodeAddressProblem, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeRefused, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeUnclaimed, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeDeliveredImpaired, parcel.CodeDelivered,
		),
		correios: instead(words(
			parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeDestinationCountryArrived, parcel.CodeDestinationHubProcessed,
			parcel.CodeInTransit, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld, parcel.CodeCustomsDocumentsRequired,
			parcel.CodeCustomsDutyDue, parcel.CodeImportCustomsReleased, parcel.CodeCustomsRefused, parcel.CodeOutForDelivery,
			parcel.CodeReadyForPickup, parcel.CodeDelivered, parcel.CodeDeliveryAttemptFailed, parcel.CodeAddressProblem,
			parcel.CodeReturnStarted, parcel.CodeReturned, parcel.CodeDamaged, parcel.CodeLost, parcel.CodeCarrierHeld, parcel.CodeDisposed,
		),
			parcel.CodeDroppedOff, parcel.CodePickedUp,
			parcel.CodeOriginHubArrived, parcel.CodeInTransit,
			parcel.CodeOriginHubDeparted, parcel.CodeInTransit,
			parcel.CodeRefused, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeUnclaimed, parcel.CodeDeliveryAttemptFailed,
			parcel.CodeDeliveredImpaired, parcel.CodeDelivered,
			parcel.CodeDelayed, parcel.CodeCarrierHeld,
		),
		upsName: instead(words(
			parcel.CodeInfoReceived, parcel.CodeCancelled, parcel.CodePickupFailed, parcel.CodePickedUp, parcel.CodeOriginHubArrived,
			parcel.CodeInTransit, parcel.CodeImportCustomsPresented, parcel.CodeCustomsDocumentsRequired, parcel.CodeImportCustomsReleased,
			parcel.CodeCarrierHeld, parcel.CodeDelayed, parcel.CodeAddressProblem, parcel.CodeDamaged, parcel.CodeLost,
			parcel.CodeOutForDelivery, parcel.CodeDeliveryScheduled, parcel.CodeDeliveryAttemptFailed, parcel.CodeUnclaimed,
			parcel.CodeReadyForPickup, parcel.CodeDelivered, parcel.CodeReturnStarted, parcel.CodeReturned,
		),
			parcel.CodeDroppedOff, parcel.CodePickedUp,
			parcel.CodeOriginHubDeparted, parcel.CodeInTransit,
			parcel.CodeDestinationHubProcessed, parcel.CodeInTransit,
			parcel.CodeRefused, parcel.CodeReturnStarted,
			parcel.CodeDeliveredImpaired, parcel.CodeDelivered,
		),
	}
})

// lag draws how long a carrier takes to show a scan in its systems: posts
// exchange files, parcel carriers scan on line. Lags of days are left to
// Chances.LateFirstScan.
func lag(carrier string, d *dice) time.Duration {
	median := 40 * time.Minute
	switch carrier {
	case upuPostal:
		median = 150 * time.Minute
	case russianPost, correios:
		median = 60 * time.Minute
	case chinaPost:
		median = 120 * time.Minute
	case laPoste, royalMail, canadaPost, australiaPost, uspsName:
		median = 30 * time.Minute
	case upsName, fedexName, dhlName, sfExpress:
		median = 4 * time.Minute
	}
	return min(LogNormal{median, .8}.Quantile(d.unit()), 3*24*time.Hour)
}
