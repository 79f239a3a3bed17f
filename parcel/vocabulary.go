package parcel

import "slices"

// Vocabulary is another system's set of names for what happens to a parcel. Our
// codes are exported to it by fixed rules, and never guessed upward: a parcel
// waiting at a pickup point is delivered in no vocabulary. The zero value is
// none of them.
type Vocabulary string

// The vocabularies, and the edition from which the names were taken where the
// system publishes one.
const (
	VocabularyAfterShip      Vocabulary = "AFTERSHIP"       // AfterShip Tracking tags and subtags
	VocabularySeventeenTrack Vocabulary = "SEVENTEEN_TRACK" // 17TRACK API v2 statuses and sub-statuses
	VocabularyEasyPost       Vocabulary = "EASYPOST"        // EasyPost tracker status and status_detail, as status/detail
	VocabularyShippo         Vocabulary = "SHIPPO"          // Shippo status and substatus, as STATUS/substatus
	VocabularyShipEngine     Vocabulary = "SHIPENGINE"      // ShipEngine status codes and detail codes
	VocabularyKarrio         Vocabulary = "KARRIO"          // Karrio tracking statuses and incident reasons
	VocabularyUPUEMSEVT      Vocabulary = "UPU_EMSEVT"      // UPU EMSEVT V3 events
	VocabularyShopify        Vocabulary = "SHOPIFY"         // Shopify Admin FulfillmentEventStatus, 2025-10
)

// Vocabularies returns the eight vocabularies in the order of the schema; the
// slice is the caller's own.
func Vocabularies() []Vocabulary {
	return []Vocabulary{
		VocabularyAfterShip,
		VocabularySeventeenTrack,
		VocabularyEasyPost,
		VocabularyShippo,
		VocabularyShipEngine,
		VocabularyKarrio,
		VocabularyUPUEMSEVT,
		VocabularyShopify,
	}
}

// Valid reports whether v is one of the eight vocabularies; the zero value is
// not.
func (v Vocabulary) Valid() bool {
	switch v {
	case VocabularyAfterShip,
		VocabularySeventeenTrack,
		VocabularyEasyPost,
		VocabularyShippo,
		VocabularyShipEngine,
		VocabularyKarrio,
		VocabularyUPUEMSEVT,
		VocabularyShopify:
		return true
	}
	return false
}

// In returns the name that v has for one event of code c: the most detailed
// one, such as AfterShip's subtag, 17TRACK's sub-status or ShipEngine's detail
// code. Where a system puts status and detail in two fields (EasyPost, Shippo)
// the two are joined by a slash.
//
// ok is false, and name empty, when v has no name for such an event and it is
// not exported there: UPU for a printed label, say. A code that is not valid is
// exported as [CodeUnknown], and that as the unknown of v if v has one.
// AfterShip, 17TRACK, UPU and Shopify have none: their nearest words say that
// the number was not found, which is untrue of a parcel with an event. A
// vocabulary that is not valid has no names.
func (c Code) In(v Vocabulary) (name string, ok bool) {
	name = vocabTable[codeRow(c)].names.in(v)
	if name == vocabNone {
		return "", false
	}
	return name, true
}

// StatusFacts is what [StatusIn] must know of a shipment. The zero value is a
// shipment of which nothing is known.
type StatusFacts struct {
	Milestone Milestone       // the highest proved; empty when none is
	Outcome   Outcome         // empty while the journey goes on
	Open      []ExceptionKind // open exceptions, in any order
	NotFound  bool            // every carrier asked says that it does not know the number
}

// StatusIn returns the name that the top-level list of v has for the state of a
// whole shipment: AfterShip's tag, 17TRACK's main status, ShipEngine's
// two-letter code, for UPU the event that best tells how far the item is.
//
// An outcome speaks first, then the gravest open exception for which v has a
// word, then the milestone; NotFound matters only when none of them is known.
// What rules and statistics alone have opened (silence, a promise at risk) is
// our judgement and no carrier's report, and is not exported.
//
// The answer is never empty. It is "NONE" where v has no word for the state at
// all: for UPU before the first scan and after loss or disposal, for Shopify
// before anything is known, and for a vocabulary that is not valid. Where
// nothing is known AfterShip and 17TRACK answer as for a number not found, the
// least that they can say.
func StatusIn(v Vocabulary, s StatusFacts) string {
	if s.Outcome.Valid() {
		return vocabOutcome(s.Outcome).in(v)
	}
	for _, k := range vocabGravest {
		if !slices.Contains(s.Open, k) {
			continue
		}
		name := vocabException(k).in(v)
		if v == VocabularyUPUEMSEVT {
			name = vocabPostalException(k, s.Milestone)
		}
		if name != vocabMilestoneSays {
			return name
		}
	}
	return vocabMilestone(s.Milestone, s.NotFound).in(v)
}

const (
	// vocabNone stands where a vocabulary has no name. It is a word and not the
	// empty string so that a forgotten cell is told from a decided one.
	vocabNone = "NONE"

	// vocabMilestoneSays stands where an exception does not change what a
	// vocabulary says of the shipment, and how far it got is still the answer.
	vocabMilestoneSays = "="
)

// vocabNames holds one name for each vocabulary.
type vocabNames struct {
	afterShip, seventeenTrack, easyPost, shippo, shipEngine, karrio, upu, shopify string
}

func (n vocabNames) in(v Vocabulary) string {
	switch v {
	case VocabularyAfterShip:
		return n.afterShip
	case VocabularySeventeenTrack:
		return n.seventeenTrack
	case VocabularyEasyPost:
		return n.easyPost
	case VocabularyShippo:
		return n.shippo
	case VocabularyShipEngine:
		return n.shipEngine
	case VocabularyKarrio:
		return n.karrio
	case VocabularyUPUEMSEVT:
		return n.upu
	case VocabularyShopify:
		return n.shopify
	}
	return vocabNone
}

func vocabOutcome(o Outcome) vocabNames {
	switch o {
	case OutcomeDelivered:
		return vocabNames{"Delivered", "Delivered", "delivered", "DELIVERED", "DE", "delivered", "EMI", "DELIVERED"}
	case OutcomeReturned:
		// A post files the return of an item as EMI at the office of origin. A
		// status has no place beside it, and EMI alone would read as delivered to
		// the addressee.
		return vocabNames{"Exception", "Exception", "return_to_sender", "RETURNED", "EX", "return_to_sender", "EMH", "FAILURE"}
	case OutcomeLost:
		return vocabNames{"Exception", "Exception", "failure", "FAILURE", "EX", "delivery_failed", vocabNone, "FAILURE"}
	case OutcomeDisposed:
		return vocabNames{"Exception", "Exception", "failure", "FAILURE", "EX", "cancelled", vocabNone, "FAILURE"}
	default: // OutcomeCancelled
		return vocabNames{"Exception", "Exception", "cancelled", "FAILURE", "EX", "cancelled", "EXX", "FAILURE"}
	}
}

// vocabGravest orders the exceptions that others have words for by what they
// say of the journey: first where it ends, then what stopped it, then what
// slowed it. Nothing writes to it.
var vocabGravest = [...]ExceptionKind{
	ExceptionReturning,
	ExceptionLostSuspected,
	ExceptionAttemptFailed,
	ExceptionAddressProblem,
	ExceptionCustomsHeld,
	ExceptionCarrierHeld,
	ExceptionActionRequired,
	ExceptionDamaged,
	ExceptionDelayed,
}

// vocabException names the state of a shipment with k open. A system with one
// word for all trouble uses it; in the others a suspicion or a dent is not yet a
// failure, and the milestone speaks. The UPU column is vocabPostalException.
func vocabException(k ExceptionKind) vocabNames {
	const same = vocabMilestoneSays
	switch k {
	case ExceptionReturning:
		// Shippo's RETURNED covers the way back by its own definition.
		return vocabNames{"Exception", "Exception", "return_to_sender", "RETURNED", "EX", "return_to_sender", same, "FAILURE"}
	case ExceptionLostSuspected, ExceptionDamaged:
		return vocabNames{"Exception", "Exception", same, same, "EX", same, same, same}
	case ExceptionAttemptFailed:
		return vocabNames{"AttemptFail", "DeliveryFailure", "failure", same, "AT", "delivery_failed", same, "ATTEMPTED_DELIVERY"}
	case ExceptionAddressProblem:
		return vocabNames{"Exception", "DeliveryFailure", same, same, "EX", "delivery_failed", same, "FAILURE"}
	case ExceptionCustomsHeld:
		return vocabNames{"Exception", same, same, same, "EX", "on_hold", same, "DELAYED"}
	case ExceptionCarrierHeld:
		return vocabNames{"Exception", "Exception", same, same, "EX", "on_hold", same, "DELAYED"}
	case ExceptionActionRequired:
		return vocabNames{"Exception", same, same, same, "EX", "on_hold", same, same}
	case ExceptionDelayed:
		return vocabNames{"Exception", "Exception", same, same, "EX", "delivery_delayed", same, "DELAYED"}
	}
	return vocabNames{same, same, same, same, same, same, same, same}
}

// vocabPostalException names k in EMSEVT, whose events say where the item is as
// well as what befell it: the same hold is another event on each side of the
// border, and none at all in between.
func vocabPostalException(k ExceptionKind, m Milestone) string {
	switch {
	case k == ExceptionReturning, k == ExceptionAttemptFailed:
		return "EMH"
	case k == ExceptionAddressProblem && m.Rank() >= MilestoneOutForDelivery.Rank():
		return "EMH"
	case k == ExceptionCustomsHeld && m.Rank() >= MilestoneDestinationArrived.Rank():
		return "EME"
	case k == ExceptionCustomsHeld && m == MilestonePickedUp:
		return "EXB"
	case k == ExceptionCarrierHeld && m.Rank() >= MilestoneLastMile.Rank():
		return "EDF"
	}
	return vocabMilestoneSays
}

func vocabMilestone(m Milestone, notFound bool) vocabNames {
	switch m {
	case MilestoneRegistered:
		// ShipEngine's AC needs the carrier's word that it has the data, and a
		// printed label is enough for this milestone.
		return vocabNames{"InfoReceived", "InfoReceived", "pre_transit", "PRE_TRANSIT", "NY", "pending", vocabNone, "CONFIRMED"}
	case MilestoneDispatched:
		return vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", vocabNone, "IN_TRANSIT"}
	case MilestonePickedUp:
		return vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "picked_up", "EMA", "CARRIER_PICKED_UP"}
	case MilestoneOriginDeparted:
		return vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", "EMC", "IN_TRANSIT"}
	case MilestoneDestinationArrived:
		return vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", "EMD", "IN_TRANSIT"}
	case MilestoneCustomsCleared:
		return vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", "EDC", "IN_TRANSIT"}
	case MilestoneLastMile:
		// EMF and not EMG: the local carrier has it, but perhaps no delivery
		// office yet.
		return vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", "EMF", "IN_TRANSIT"}
	case MilestoneOutForDelivery:
		return vocabNames{"OutForDelivery", "OutForDelivery", "out_for_delivery", "TRANSIT", "IT", "out_for_delivery", "EDG", "OUT_FOR_DELIVERY"}
	case MilestoneReadyForPickup:
		return vocabNames{"AvailableForPickup", "AvailableForPickup", "available_for_pickup", "TRANSIT", "SP", "ready_for_pickup", "EDH", "READY_FOR_PICKUP"}
	case MilestoneDelivered:
		return vocabNames{"Delivered", "Delivered", "delivered", "DELIVERED", "DE", "delivered", "EMI", "DELIVERED"}
	}
	if notFound {
		return vocabNames{"Pending", "NotFound", "unknown", "UNKNOWN", "NY", "pending", vocabNone, vocabNone}
	}
	return vocabNames{"Pending", "NotFound", "unknown", "UNKNOWN", "UN", "unknown", vocabNone, vocabNone}
}

// vocabTable names each code in each vocabulary, in the order of codeTable and
// with the columns of vocabNames. Where the other side has several names for
// one code the plainest is given, and where it needs a second event or field to
// say it (a reason, a place, a new number) the name without that. UPU's EMI for a
// return is such a one: the event's place, the origin, tells it from a delivery.
// Nothing writes to it.
var vocabTable = [...]struct {
	code  Code
	names vocabNames
}{
	{CodeInfoReceived, vocabNames{"InfoReceived_001", "InfoReceived", "pre_transit", "PRE_TRANSIT/information_received", "ELEC_ADVICE_RECD_BY_CARRIER", "pending", vocabNone, "CONFIRMED"}},
	{CodeLabelPrinted, vocabNames{"InfoReceived_001", "InfoReceived", "pre_transit/label_created", "PRE_TRANSIT", "SHIPMENT_CREATED", "pending", vocabNone, "LABEL_PRINTED"}},
	{CodeWarehouseReceived, vocabNames{"InfoReceived_001", "InfoReceived", "pre_transit", "PRE_TRANSIT", "AWAITING_PICKUP_DROP_OFF", "pending", vocabNone, "CONFIRMED"}},
	{CodeWarehousePacked, vocabNames{"InfoReceived_001", "InfoReceived", "pre_transit", "PRE_TRANSIT", "AWAITING_PICKUP_DROP_OFF", "pending", vocabNone, "CONFIRMED"}},
	{CodeWarehouseDispatched, vocabNames{"InTransit_007", "InTransit_Other", "in_transit", "TRANSIT", "HUB_SCAN_OUT", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeWarehouseHeld, vocabNames{"Exception_016", "Exception_Other", "failure", "FAILURE", "HELD_BY_CARRIER", "on_hold", vocabNone, "DELAYED"}},

	{CodePickupScheduled, vocabNames{"InfoReceived_001", "InfoReceived", "pre_transit", "PRE_TRANSIT", "AWAITING_PICKUP_DROP_OFF", "pending", vocabNone, "CONFIRMED"}},
	{CodePickedUp, vocabNames{"InTransit_002", "InTransit_PickedUp", "in_transit", "TRANSIT/package_accepted", "PICKED_UP", "picked_up", "EMA", "CARRIER_PICKED_UP"}},
	{CodeDroppedOff, vocabNames{"InTransit_002", "InTransit_PickedUp", "in_transit", "TRANSIT", "DROPPED_OFF", "picked_up", "EMA", "CARRIER_PICKED_UP"}},
	{CodeOriginHubArrived, vocabNames{"InTransit_003", "InTransit_Other", "in_transit/arrived_at_facility", "TRANSIT/package_arrived", "HUB_SCAN_IN", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeOriginHubDeparted, vocabNames{"InTransit_007", "InTransit_Other", "in_transit/departed_facility", "TRANSIT/package_departed", "HUB_SCAN_OUT", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodePickupFailed, vocabNames{vocabNone, "Exception_Other", "failure", "FAILURE", "PICKUP_FAILED", "pending", vocabNone, "FAILURE"}},
	{CodeAwaitingCarrier, vocabNames{"Pending_001", "NotFound_Other", "unknown", "UNKNOWN", "NOT_YET_RECEIVED_BY_CARRIER", "pending", vocabNone, "CONFIRMED"}},

	{CodeExportExchangeArrived, vocabNames{"InTransit_003", "InTransit_Other", "in_transit", "TRANSIT", "HUB_PROCESSING", "in_transit", "EMB", "IN_TRANSIT"}},
	{CodeHandedToLinehaul, vocabNames{"InTransit_007", "InTransit_Other", "in_transit", "TRANSIT", "HUB_SCAN_OUT", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeOriginCountryDeparted, vocabNames{"InTransit_007", "InTransit_Departure", "in_transit", "TRANSIT", "IN_TRANSIT", "in_transit", "EMC", "IN_TRANSIT"}},
	{CodeTransitCountryArrived, vocabNames{"InTransit_003", "InTransit_Other", "in_transit", "TRANSIT", "HUB_SCAN_IN", "in_transit", "EMJ", "IN_TRANSIT"}},
	{CodeTransitCountryDeparted, vocabNames{"InTransit_007", "InTransit_Other", "in_transit", "TRANSIT", "HUB_SCAN_OUT", "in_transit", "EMK", "IN_TRANSIT"}},
	{CodeDestinationCountryArrived, vocabNames{"InTransit_004", "InTransit_Arrival", "in_transit", "TRANSIT", "HUB_SCAN_IN", "in_transit", "EMD", "IN_TRANSIT"}},
	{CodeDestinationHubProcessed, vocabNames{"InTransit_003", "InTransit_Other", "in_transit", "TRANSIT", "HUB_PROCESSING", "in_transit", "EDD", "IN_TRANSIT"}},
	{CodeImportExchangeDeparted, vocabNames{"InTransit_007", "InTransit_Other", "in_transit", "TRANSIT", "HUB_SCAN_OUT", "in_transit", "EMF", "IN_TRANSIT"}},
	{CodeInTransit, vocabNames{"InTransit_001", "InTransit_Other", "in_transit", "TRANSIT", "IN_TRANSIT", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeLinehaulDelayed, vocabNames{"Exception_005", "Exception_Delayed", "in_transit/missorted", "TRANSIT/delayed", "CARRIER_DELAYS", "delivery_delayed", "EXD", "DELAYED"}},

	{CodeExportCustomsPresented, vocabNames{"InTransit_006", "InTransit_CustomsProcessing", "in_transit", "TRANSIT", "CUSTOMS_PROCESSING", "in_transit", "EXA", "IN_TRANSIT"}},
	{CodeExportCustomsHeld, vocabNames{"Exception_004", "InTransit_CustomsProcessing", "in_transit/held", "TRANSIT/package_held", "HELD_BY_CUSTOMS", "on_hold", "EXB", "DELAYED"}},
	{CodeExportCustomsReleased, vocabNames{"InTransit_005", "InTransit_CustomsReleased", "in_transit", "TRANSIT", "CUSTOMS_CLEARED", "in_transit", "EXC", "IN_TRANSIT"}},
	{CodeImportPredeclared, vocabNames{"InTransit_006", "InTransit_CustomsProcessing", "in_transit", "TRANSIT", "CUSTOMS_PROCESSING", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeImportCustomsPresented, vocabNames{"InTransit_006", "InTransit_CustomsProcessing", "in_transit", "TRANSIT", "CUSTOMS_PROCESSING", "in_transit", "EDB", "IN_TRANSIT"}},
	{CodeImportCustomsHeld, vocabNames{"Exception_004", "InTransit_CustomsProcessing", "in_transit/held", "TRANSIT/package_held", "HELD_BY_CUSTOMS", "on_hold", "EME", "DELAYED"}},
	{CodeCustomsDocumentsRequired, vocabNames{"Exception_018", "InTransit_CustomsRequiringInformation", "in_transit/awaiting_information", "TRANSIT", "HELD_BY_CARRIER_FOR_CLEARANCE_PRE_PROCESSING", "on_hold", "EME", vocabNone}},
	{CodeCustomsDutyDue, vocabNames{"Exception_006", "Exception_Security", "in_transit/held", "TRANSIT", "DUTY_NOT_PAID", "on_hold", "EME", vocabNone}},
	{CodeImportCustomsReleased, vocabNames{"InTransit_005", "InTransit_CustomsReleased", "in_transit", "TRANSIT", "CUSTOMS_CLEARED", "in_transit", "EDC", "IN_TRANSIT"}},
	{CodeCustomsRefused, vocabNames{"Exception_004", "Exception_Security", "failure", "FAILURE", "HAZARDOUS_PROHIBITED", "on_hold", "EDX", "FAILURE"}},

	{CodeLastMileAccepted, vocabNames{vocabNone, vocabNone, "in_transit/transferred_to_destination_carrier", "TRANSIT/package_forwarded", "SUB_CONTRACTOR_RECEIVED", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeDeliveryOfficeArrived, vocabNames{"InTransit_003", "InTransit_Other", "in_transit/arrived_at_destination", "TRANSIT", "RECEIVED_LOCAL_DELIVERY_DEPOT", "in_transit", "EMG", "IN_TRANSIT"}},
	{CodeDeliveryScheduled, vocabNames{"OutForDelivery_004", "InTransit_Other", "in_transit", "TRANSIT/delivery_scheduled", "DELIVERY_SCHEDULED", "in_transit", vocabNone, "IN_TRANSIT"}},
	{CodeOutForDelivery, vocabNames{"OutForDelivery_001", "OutForDelivery_Other", "out_for_delivery", "TRANSIT/out_for_delivery", "OUT_FOR_DELIVERY", "out_for_delivery", "EDG", "OUT_FOR_DELIVERY"}},
	{CodeDeliveryAttemptFailed, vocabNames{"AttemptFail_001", "DeliveryFailure_Other", "failure", "TRANSIT/delivery_attempted", "ATTEMPTED_DELIVERY", "delivery_failed", "EMH", "ATTEMPTED_DELIVERY"}},
	{CodeReadyForPickup, vocabNames{"AvailableForPickup_001", "AvailableForPickup_Other", "available_for_pickup", "TRANSIT/pickup_available", "AWAITING_COLLECTION_FROM_PICKUP_POINT", "ready_for_pickup", "EDH", "READY_FOR_PICKUP"}},
	{CodeDelivered, vocabNames{"Delivered_001", "Delivered_Other", "delivered", "DELIVERED", "DELIVERED", "delivered", "EMI", "DELIVERED"}},
	{CodeDeliveredImpaired, vocabNames{"Delivered_001", "Delivered_Other", "delivered", "DELIVERED", "DELIVERED_IN_PART", "delivered", "EMI", "DELIVERED"}},

	{CodeDelayed, vocabNames{"Exception_005", "Exception_Delayed", "in_transit/weather_delay", "TRANSIT/delayed", "DELAYED_NOT_CARRIER", "delivery_delayed", vocabNone, "DELAYED"}},
	{CodeCarrierHeld, vocabNames{"Exception_016", "Exception_Other", "in_transit", "TRANSIT", "HELD_BY_CARRIER", "on_hold", "EDF", "DELAYED"}},
	{CodeAddressProblem, vocabNames{"Exception_007", "DeliveryFailure_InvalidAddress", "in_transit/address_correction", "TRANSIT/address_issue", "ADDRESS_QUERY", "delivery_failed", "EMH", "FAILURE"}},
	{CodeRefused, vocabNames{"Exception_003", "Exception_Rejected", "failure/refused", "FAILURE", "REFUSED_BY_CUSTOMER", "delivery_failed", "EMH", "FAILURE"}},
	{CodeUnclaimed, vocabNames{"Exception_008", "Exception_NoBody", "failure", "RETURNED/package_unclaimed", "NOT_COLLECTED_FROM_PICKUP_POINT", "delivery_failed", "EMH", "FAILURE"}},
	{CodeDamaged, vocabNames{"Exception_012", "Exception_Damage", "in_transit/damaged", "TRANSIT/package_damaged", "PARCEL_DAMAGED", "carrier_damaged_parcel", vocabNone, "FAILURE"}},
	{CodeLost, vocabNames{"Exception_013", "Exception_Lost", "failure/lost", "FAILURE/package_lost", "PARCEL_LOST", "carrier_parcel_lost", vocabNone, "FAILURE"}},
	{CodeDisposed, vocabNames{"Exception_001", "Exception_Destroyed", "failure", "FAILURE/package_disposed", "PARCEL_DISPOSED", "cancelled", vocabNone, "FAILURE"}},
	{CodeCancelled, vocabNames{"Exception_001", "Exception_Cancel", "cancelled", "FAILURE", "CANCELLED", "cancelled", "EXX", "FAILURE"}},

	{CodeReturnStarted, vocabNames{"Exception_010", "Exception_Returning", "return_to_sender", "RETURNED", "RETURN_TO_SENDER", "return_to_sender", "EMH", vocabNone}},
	{CodeReturned, vocabNames{"Exception_011", "Exception_Returned", "return_to_sender", "RETURNED", "UNDELIVERABLE_RETURNED_TO_SENDER", "return_to_sender", "EMI", "FAILURE"}},

	{CodeUnknown, vocabNames{vocabNone, vocabNone, "unknown", "UNKNOWN", "CARRIER_STATUS_NOT_MAPPED", "unknown", vocabNone, vocabNone}},
}
