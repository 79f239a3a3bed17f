package parcel

// codeTable holds one row for each code, in table order, and UNKNOWN last.
// Nothing writes to it: it is an array and not a constant only because Go has
// no constant of a struct type.
var codeTable = [...]CodeInfo{
	{ID: "W10", Code: CodeInfoReceived, Stage: StageWarehouse, Proves: MilestoneRegistered, Meaning: "data received"},
	{ID: "W15", Code: CodeLabelPrinted, Stage: StageWarehouse, Proves: MilestoneRegistered, Meaning: "label printed"},
	{ID: "W20", Code: CodeWarehouseReceived, Stage: StageWarehouse, Proves: MilestoneRegistered, Meaning: "received in warehouse (origin or overseas)"},
	{ID: "W30", Code: CodeWarehousePacked, Stage: StageWarehouse, Proves: MilestoneRegistered, Meaning: "packed"},
	{ID: "W40", Code: CodeWarehouseDispatched, Stage: StageWarehouse, Proves: MilestoneDispatched, Meaning: "left warehouse"},
	{ID: "W90", Code: CodeWarehouseHeld, Stage: StageWarehouse, Meaning: "shortage / warehouse hold", Opens: []ExceptionKind{ExceptionCarrierHeld}},

	{ID: "F10", Code: CodePickupScheduled, Stage: StageFirstMile, Meaning: "pick-up booked"},
	{ID: "F20", Code: CodePickedUp, Stage: StageFirstMile, Proves: MilestonePickedUp, Meaning: "picked up", Movement: true},
	{ID: "F25", Code: CodeDroppedOff, Stage: StageFirstMile, Proves: MilestonePickedUp, Meaning: "dropped off by seller", Movement: true},
	{ID: "F40", Code: CodeOriginHubArrived, Stage: StageFirstMile, Proves: MilestonePickedUp, Meaning: "origin hub in", Movement: true},
	{ID: "F45", Code: CodeOriginHubDeparted, Stage: StageFirstMile, Proves: MilestonePickedUp, Meaning: "origin hub out", Movement: true},
	{ID: "F90", Code: CodePickupFailed, Stage: StageFirstMile, Meaning: "pick-up failed", Opens: []ExceptionKind{ExceptionDelayed}},
	{ID: "F91", Code: CodeAwaitingCarrier, Stage: StageFirstMile, Meaning: "label only, carrier has nothing"},

	{ID: "L10", Code: CodeExportExchangeArrived, Stage: StageLinehaul, Proves: MilestonePickedUp, Meaning: "at outward exchange / port", Movement: true},
	{ID: "L15", Code: CodeHandedToLinehaul, Stage: StageLinehaul, Proves: MilestonePickedUp, Meaning: "handed to airline / vessel / truck", Movement: true},
	{ID: "L20", Code: CodeOriginCountryDeparted, Stage: StageLinehaul, Proves: MilestoneOriginDeparted, Meaning: "left origin country", Movement: true},
	{ID: "L30", Code: CodeTransitCountryArrived, Stage: StageLinehaul, Proves: MilestoneOriginDeparted, Meaning: "transit country in", Movement: true},
	{ID: "L35", Code: CodeTransitCountryDeparted, Stage: StageLinehaul, Proves: MilestoneOriginDeparted, Meaning: "transit country out", Movement: true},
	{ID: "L40", Code: CodeDestinationCountryArrived, Stage: StageLinehaul, Proves: MilestoneDestinationArrived, Meaning: "arrived in destination country", Movement: true},
	{ID: "L42", Code: CodeDestinationHubProcessed, Stage: StageLinehaul, Proves: MilestoneDestinationArrived, Meaning: "sorted in the destination country, before a delivery office", Movement: true},
	{ID: "L45", Code: CodeImportExchangeDeparted, Stage: StageLinehaul, Proves: MilestoneCustomsCleared, Meaning: "left destination exchange", Movement: true},
	{ID: "L50", Code: CodeInTransit, Stage: StageLinehaul, Meaning: "moving, and no more is said", Movement: true},
	{ID: "L90", Code: CodeLinehaulDelayed, Stage: StageLinehaul, Meaning: "linehaul delay / off-loaded / missent", Opens: []ExceptionKind{ExceptionDelayed}},

	{ID: "C10", Code: CodeExportCustomsPresented, Stage: StageCustoms, Proves: MilestonePickedUp, Meaning: "export presented"},
	{ID: "C15", Code: CodeExportCustomsHeld, Stage: StageCustoms, Proves: MilestonePickedUp, Meaning: "export held", Opens: []ExceptionKind{ExceptionCustomsHeld}},
	{ID: "C19", Code: CodeExportCustomsReleased, Stage: StageCustoms, Proves: MilestonePickedUp, Meaning: "export released"},
	{ID: "C20", Code: CodeImportPredeclared, Stage: StageCustoms, Meaning: "import pre-declared (must not advance)"},
	{ID: "C30", Code: CodeImportCustomsPresented, Stage: StageCustoms, Proves: MilestoneDestinationArrived, Meaning: "import presented"},
	{ID: "C40", Code: CodeImportCustomsHeld, Stage: StageCustoms, Proves: MilestoneDestinationArrived, Meaning: "import held (reason required)", Opens: []ExceptionKind{ExceptionCustomsHeld}},
	{ID: "C42", Code: CodeCustomsDocumentsRequired, Stage: StageCustoms, Proves: MilestoneDestinationArrived, Meaning: "documents / ID number needed", Opens: []ExceptionKind{ExceptionCustomsHeld, ExceptionActionRequired}, Reason: ReasonDocumentsMissing},
	{ID: "C44", Code: CodeCustomsDutyDue, Stage: StageCustoms, Proves: MilestoneDestinationArrived, Meaning: "duty or tax due", Opens: []ExceptionKind{ExceptionCustomsHeld, ExceptionActionRequired}, Reason: ReasonDutyUnpaid},
	{ID: "C49", Code: CodeImportCustomsReleased, Stage: StageCustoms, Proves: MilestoneCustomsCleared, Meaning: "import released"},
	{ID: "C90", Code: CodeCustomsRefused, Stage: StageCustoms, Meaning: "refused / seized / import ended", Opens: []ExceptionKind{ExceptionCustomsHeld}, Critical: true},

	{ID: "D10", Code: CodeLastMileAccepted, Stage: StageLastMile, Proves: MilestoneLastMile, Meaning: "handed to last-mile carrier (new number)", Movement: true},
	{ID: "D20", Code: CodeDeliveryOfficeArrived, Stage: StageLastMile, Proves: MilestoneLastMile, Meaning: "at delivery office", Movement: true},
	{ID: "D25", Code: CodeDeliveryScheduled, Stage: StageLastMile, Meaning: "delivery date agreed"},
	{ID: "D30", Code: CodeOutForDelivery, Stage: StageLastMile, Proves: MilestoneOutForDelivery, Meaning: "out for delivery", Movement: true},
	{ID: "D40", Code: CodeDeliveryAttemptFailed, Stage: StageLastMile, Proves: MilestoneOutForDelivery, Meaning: "attempt failed (reason)", Opens: []ExceptionKind{ExceptionAttemptFailed}},
	{ID: "D50", Code: CodeReadyForPickup, Stage: StageLastMile, Proves: MilestoneReadyForPickup, Meaning: "waiting at pick-up point / locker / station", Movement: true},
	{ID: "D60", Code: CodeDelivered, Stage: StageLastMile, Proves: MilestoneDelivered, Meaning: "delivered (to: buyer, neighbour, safe place, reception, PO box, collected)", Outcome: OutcomeDelivered},
	{ID: "D65", Code: CodeDeliveredImpaired, Stage: StageLastMile, Proves: MilestoneDelivered, Meaning: "delivered in part / damaged", Opens: []ExceptionKind{ExceptionDamaged}, Outcome: OutcomeDelivered},

	{ID: "X10", Code: CodeDelayed, Meaning: "weather, strike, capacity", Opens: []ExceptionKind{ExceptionDelayed}},
	{ID: "X15", Code: CodeCarrierHeld, Meaning: "held by a carrier or depot", Opens: []ExceptionKind{ExceptionCarrierHeld}},
	{ID: "X20", Code: CodeAddressProblem, Meaning: "address problem", Opens: []ExceptionKind{ExceptionAddressProblem, ExceptionActionRequired}},
	{ID: "X30", Code: CodeRefused, Meaning: "refused", Opens: []ExceptionKind{ExceptionAttemptFailed}, Reason: ReasonRefused},
	{ID: "X40", Code: CodeUnclaimed, Meaning: "unclaimed", Opens: []ExceptionKind{ExceptionAttemptFailed}, Reason: ReasonNotCollected},
	{ID: "X50", Code: CodeDamaged, Meaning: "damaged", Opens: []ExceptionKind{ExceptionDamaged}},
	{ID: "X60", Code: CodeLost, Meaning: "lost", Opens: []ExceptionKind{ExceptionLostSuspected}, Outcome: OutcomeLost},
	{ID: "X70", Code: CodeDisposed, Meaning: "destroyed, abandoned", Outcome: OutcomeDisposed},
	{ID: "X75", Code: CodeCancelled, Meaning: "cancelled before or instead of carriage", Outcome: OutcomeCancelled},

	{ID: "R10", Code: CodeReturnStarted, Meaning: "return started", Opens: []ExceptionKind{ExceptionReturning}},
	{ID: "R20", Code: CodeReturned, Meaning: "back with sender", Outcome: OutcomeReturned},

	{Code: CodeUnknown, Meaning: "a carrier code that nobody mapped yet"},
}

// codeRowUnknown is the row of UNKNOWN, the last, and so the number of codes
// before it.
const codeRowUnknown = len(codeTable) - 1

// codeRow returns the row of c in codeTable. A switch, because the compiler
// turns it into a search by length and content with no map to build at start.
func codeRow(c Code) int {
	switch c {
	case CodeInfoReceived:
		return 0
	case CodeLabelPrinted:
		return 1
	case CodeWarehouseReceived:
		return 2
	case CodeWarehousePacked:
		return 3
	case CodeWarehouseDispatched:
		return 4
	case CodeWarehouseHeld:
		return 5
	case CodePickupScheduled:
		return 6
	case CodePickedUp:
		return 7
	case CodeDroppedOff:
		return 8
	case CodeOriginHubArrived:
		return 9
	case CodeOriginHubDeparted:
		return 10
	case CodePickupFailed:
		return 11
	case CodeAwaitingCarrier:
		return 12
	case CodeExportExchangeArrived:
		return 13
	case CodeHandedToLinehaul:
		return 14
	case CodeOriginCountryDeparted:
		return 15
	case CodeTransitCountryArrived:
		return 16
	case CodeTransitCountryDeparted:
		return 17
	case CodeDestinationCountryArrived:
		return 18
	case CodeDestinationHubProcessed:
		return 19
	case CodeImportExchangeDeparted:
		return 20
	case CodeInTransit:
		return 21
	case CodeLinehaulDelayed:
		return 22
	case CodeExportCustomsPresented:
		return 23
	case CodeExportCustomsHeld:
		return 24
	case CodeExportCustomsReleased:
		return 25
	case CodeImportPredeclared:
		return 26
	case CodeImportCustomsPresented:
		return 27
	case CodeImportCustomsHeld:
		return 28
	case CodeCustomsDocumentsRequired:
		return 29
	case CodeCustomsDutyDue:
		return 30
	case CodeImportCustomsReleased:
		return 31
	case CodeCustomsRefused:
		return 32
	case CodeLastMileAccepted:
		return 33
	case CodeDeliveryOfficeArrived:
		return 34
	case CodeDeliveryScheduled:
		return 35
	case CodeOutForDelivery:
		return 36
	case CodeDeliveryAttemptFailed:
		return 37
	case CodeReadyForPickup:
		return 38
	case CodeDelivered:
		return 39
	case CodeDeliveredImpaired:
		return 40
	case CodeDelayed:
		return 41
	case CodeCarrierHeld:
		return 42
	case CodeAddressProblem:
		return 43
	case CodeRefused:
		return 44
	case CodeUnclaimed:
		return 45
	case CodeDamaged:
		return 46
	case CodeLost:
		return 47
	case CodeDisposed:
		return 48
	case CodeCancelled:
		return 49
	case CodeReturnStarted:
		return 50
	case CodeReturned:
		return 51
	}
	return codeRowUnknown
}
