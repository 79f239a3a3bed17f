package parcel

import "slices"

// Code is the canonical name of what one tracking event says, whatever the
// carrier called it. Its value is the GraphQL TrackingEventCode.
//
// The zero value is not a code: Valid reports false and every other method
// answers as for [CodeUnknown]. A Code is a plain value, safe for concurrent
// use, and its methods allocate nothing.
type Code string

// The codes in table order. The identifier in front of each meaning names the
// stage (W warehouse, F first mile, L linehaul, C customs, D last mile;
// X exceptions and R returns happen in any stage) and, roughly, the place
// within it.
const (
	CodeInfoReceived        Code = "INFO_RECEIVED"        // W10: data received
	CodeLabelPrinted        Code = "LABEL_PRINTED"        // W15: label printed
	CodeWarehouseReceived   Code = "WAREHOUSE_RECEIVED"   // W20: received in warehouse (origin or overseas)
	CodeWarehousePacked     Code = "WAREHOUSE_PACKED"     // W30: packed
	CodeWarehouseDispatched Code = "WAREHOUSE_DISPATCHED" // W40: left warehouse
	CodeWarehouseHeld       Code = "WAREHOUSE_HELD"       // W90: shortage / warehouse hold

	CodePickupScheduled   Code = "PICKUP_SCHEDULED"    // F10: pick-up booked
	CodePickedUp          Code = "PICKED_UP"           // F20: picked up
	CodeDroppedOff        Code = "DROPPED_OFF"         // F25: dropped off by seller
	CodeOriginHubArrived  Code = "ORIGIN_HUB_ARRIVED"  // F40: origin hub in
	CodeOriginHubDeparted Code = "ORIGIN_HUB_DEPARTED" // F45: origin hub out
	CodePickupFailed      Code = "PICKUP_FAILED"       // F90: pick-up failed
	CodeAwaitingCarrier   Code = "AWAITING_CARRIER"    // F91: label only, carrier has nothing

	CodeExportExchangeArrived     Code = "EXPORT_EXCHANGE_ARRIVED"     // L10: at outward exchange / port
	CodeHandedToLinehaul          Code = "HANDED_TO_LINEHAUL"          // L15: handed to airline / vessel / truck
	CodeOriginCountryDeparted     Code = "ORIGIN_COUNTRY_DEPARTED"     // L20: left origin country
	CodeTransitCountryArrived     Code = "TRANSIT_COUNTRY_ARRIVED"     // L30: transit country in
	CodeTransitCountryDeparted    Code = "TRANSIT_COUNTRY_DEPARTED"    // L35: transit country out
	CodeDestinationCountryArrived Code = "DESTINATION_COUNTRY_ARRIVED" // L40: arrived in destination country
	CodeDestinationHubProcessed   Code = "DESTINATION_HUB_PROCESSED"   // L42: sorted in the destination country, before a delivery office
	CodeImportExchangeDeparted    Code = "IMPORT_EXCHANGE_DEPARTED"    // L45: left destination exchange
	CodeInTransit                 Code = "IN_TRANSIT"                  // L50: moving, and no more is said
	CodeLinehaulDelayed           Code = "LINEHAUL_DELAYED"            // L90: linehaul delay / off-loaded / missent

	CodeExportCustomsPresented   Code = "EXPORT_CUSTOMS_PRESENTED"   // C10: export presented
	CodeExportCustomsHeld        Code = "EXPORT_CUSTOMS_HELD"        // C15: export held
	CodeExportCustomsReleased    Code = "EXPORT_CUSTOMS_RELEASED"    // C19: export released
	CodeImportPredeclared        Code = "IMPORT_PREDECLARED"         // C20: import pre-declared (must not advance)
	CodeImportCustomsPresented   Code = "IMPORT_CUSTOMS_PRESENTED"   // C30: import presented
	CodeImportCustomsHeld        Code = "IMPORT_CUSTOMS_HELD"        // C40: import held (reason required)
	CodeCustomsDocumentsRequired Code = "CUSTOMS_DOCUMENTS_REQUIRED" // C42: documents / ID number needed
	CodeCustomsDutyDue           Code = "CUSTOMS_DUTY_DUE"           // C44: duty or tax due
	CodeImportCustomsReleased    Code = "IMPORT_CUSTOMS_RELEASED"    // C49: import released
	CodeCustomsRefused           Code = "CUSTOMS_REFUSED"            // C90: refused / seized / import ended

	CodeLastMileAccepted      Code = "LAST_MILE_ACCEPTED"      // D10: handed to last-mile carrier (new number)
	CodeDeliveryOfficeArrived Code = "DELIVERY_OFFICE_ARRIVED" // D20: at delivery office
	CodeDeliveryScheduled     Code = "DELIVERY_SCHEDULED"      // D25: delivery date agreed
	CodeOutForDelivery        Code = "OUT_FOR_DELIVERY"        // D30: out for delivery
	CodeDeliveryAttemptFailed Code = "DELIVERY_ATTEMPT_FAILED" // D40: attempt failed (reason)
	CodeReadyForPickup        Code = "READY_FOR_PICKUP"        // D50: waiting at pick-up point / locker / station
	CodeDelivered             Code = "DELIVERED"               // D60: delivered (to: buyer, neighbour, safe place, reception, PO box, collected)
	CodeDeliveredImpaired     Code = "DELIVERED_IMPAIRED"      // D65: delivered in part / damaged

	CodeDelayed        Code = "DELAYED"         // X10: weather, strike, capacity
	CodeCarrierHeld    Code = "CARRIER_HELD"    // X15: held by a carrier or depot
	CodeAddressProblem Code = "ADDRESS_PROBLEM" // X20: address problem
	CodeRefused        Code = "REFUSED"         // X30: refused
	CodeUnclaimed      Code = "UNCLAIMED"       // X40: unclaimed
	CodeDamaged        Code = "DAMAGED"         // X50: damaged
	CodeLost           Code = "LOST"            // X60: lost
	CodeDisposed       Code = "DISPOSED"        // X70: destroyed, abandoned
	CodeCancelled      Code = "CANCELLED"       // X75: cancelled before or instead of carriage

	CodeReturnStarted Code = "RETURN_STARTED" // R10: return started
	CodeReturned      Code = "RETURNED"       // R20: back with sender

	// CodeUnknown is a carrier's code that nobody mapped yet. The carrier's own
	// code and words are kept beside it, and it moves no milestone.
	CodeUnknown Code = "UNKNOWN"
)

// Stage is the part of a journey in which something happens. The zero value
// is no stage: exceptions and returns happen in any.
type Stage string

// The stages, in the order in which a parcel passes them.
const (
	StageWarehouse Stage = "WAREHOUSE"  // storage and packing, at origin or overseas
	StageFirstMile Stage = "FIRST_MILE" // collection and origin sorting
	StageLinehaul  Stage = "LINEHAUL"   // between countries
	StageCustoms   Stage = "CUSTOMS"    // export or import clearance
	StageLastMile  Stage = "LAST_MILE"  // local transport and delivery
)

// Stages returns the five stages in order of [Stage.Rank]; the slice is the
// caller's own.
func Stages() []Stage {
	return []Stage{
		StageWarehouse,
		StageFirstMile,
		StageLinehaul,
		StageCustoms,
		StageLastMile,
	}
}

// Rank orders the stages, 1 (warehouse) to 5 (last mile). It is 0 for the zero
// value and for anything that is not a stage.
func (s Stage) Rank() int {
	switch s {
	case StageWarehouse:
		return 1
	case StageFirstMile:
		return 2
	case StageLinehaul:
		return 3
	case StageCustoms:
		return 4
	case StageLastMile:
		return 5
	}
	return 0
}

// Valid reports whether s is one of the five stages; the zero value is not.
func (s Stage) Valid() bool { return s.Rank() > 0 }

// Milestone is a point that matters to a promise. It is derived from events,
// never reported, and a shipment keeps the highest one proved so far. The zero
// value is no milestone: nothing is proved yet.
type Milestone string

// The milestones, in the order in which a parcel reaches them.
const (
	MilestoneRegistered         Milestone = "REGISTERED"          // data received, label made
	MilestoneDispatched         Milestone = "DISPATCHED"          // left the warehouse
	MilestonePickedUp           Milestone = "PICKED_UP"           // first scan by a carrier
	MilestoneOriginDeparted     Milestone = "ORIGIN_DEPARTED"     // left the country of origin
	MilestoneDestinationArrived Milestone = "DESTINATION_ARRIVED" // arrived in the country of destination
	MilestoneCustomsCleared     Milestone = "CUSTOMS_CLEARED"     // import cleared
	MilestoneLastMile           Milestone = "LAST_MILE"           // with the local carrier
	MilestoneOutForDelivery     Milestone = "OUT_FOR_DELIVERY"    // on the van
	MilestoneReadyForPickup     Milestone = "READY_FOR_PICKUP"    // waiting at a pickup point
	MilestoneDelivered          Milestone = "DELIVERED"           // in the recipient's hands
)

// Milestones returns the ten milestones in order of [Milestone.Rank]; the
// slice is the caller's own.
func Milestones() []Milestone {
	return []Milestone{
		MilestoneRegistered,
		MilestoneDispatched,
		MilestonePickedUp,
		MilestoneOriginDeparted,
		MilestoneDestinationArrived,
		MilestoneCustomsCleared,
		MilestoneLastMile,
		MilestoneOutForDelivery,
		MilestoneReadyForPickup,
		MilestoneDelivered,
	}
}

// Rank orders the milestones, 1 (registered) to 10 (delivered). It is 0 for
// the zero value and for anything that is not a milestone.
func (m Milestone) Rank() int {
	switch m {
	case MilestoneRegistered:
		return 1
	case MilestoneDispatched:
		return 2
	case MilestonePickedUp:
		return 3
	case MilestoneOriginDeparted:
		return 4
	case MilestoneDestinationArrived:
		return 5
	case MilestoneCustomsCleared:
		return 6
	case MilestoneLastMile:
		return 7
	case MilestoneOutForDelivery:
		return 8
	case MilestoneReadyForPickup:
		return 9
	case MilestoneDelivered:
		return 10
	}
	return 0
}

// Valid reports whether m is one of the ten milestones; the zero value is not.
func (m Milestone) Valid() bool { return m.Rank() > 0 }

// Outcome is how a shipment ended. The zero value means that it has not.
type Outcome string

// The outcomes. Loss presumed from silence is no outcome: it is an open
// [ExceptionLostSuspected].
const (
	OutcomeDelivered Outcome = "DELIVERED" // the recipient has it
	OutcomeReturned  Outcome = "RETURNED"  // back with the sender
	OutcomeLost      Outcome = "LOST"      // reported lost
	OutcomeDisposed  Outcome = "DISPOSED"  // destroyed or seized
	OutcomeCancelled Outcome = "CANCELLED" // cancelled before it moved
)

// Valid reports whether o is one of the five outcomes; the zero value is not.
func (o Outcome) Valid() bool {
	switch o {
	case OutcomeDelivered,
		OutcomeReturned,
		OutcomeLost,
		OutcomeDisposed,
		OutcomeCancelled:
		return true
	}
	return false
}

// ExceptionKind is why someone must act on a shipment. The zero value is no
// exception.
type ExceptionKind string

// The kinds. Events open the first nine; rules and statistics open the last
// five, and LOST_SUSPECTED too.
const (
	ExceptionCustomsHeld    ExceptionKind = "CUSTOMS_HELD"    // customs hold it
	ExceptionCarrierHeld    ExceptionKind = "CARRIER_HELD"    // a carrier or warehouse holds it
	ExceptionDelayed        ExceptionKind = "DELAYED"         // a carrier reports a delay
	ExceptionActionRequired ExceptionKind = "ACTION_REQUIRED" // the recipient or sender must do something: papers, duty, appointment
	ExceptionAttemptFailed  ExceptionKind = "ATTEMPT_FAILED"  // a delivery attempt failed
	ExceptionAddressProblem ExceptionKind = "ADDRESS_PROBLEM" // the address does not serve
	ExceptionDamaged        ExceptionKind = "DAMAGED"         // damaged
	ExceptionLostSuspected  ExceptionKind = "LOST_SUSPECTED"  // reported lost, or silent so long that loss is likely
	ExceptionReturning      ExceptionKind = "RETURNING"       // on the way back
	ExceptionNoFirstScan    ExceptionKind = "NO_FIRST_SCAN"   // label made, never scanned
	ExceptionStalled        ExceptionKind = "STALLED"         // scanned, but no nearer for longer than usual
	ExceptionSilent         ExceptionKind = "SILENT"          // nothing heard for longer than usual
	ExceptionPromiseAtRisk  ExceptionKind = "PROMISE_AT_RISK" // more likely late than not
	ExceptionPromiseMissed  ExceptionKind = "PROMISE_MISSED"  // late
)

// ExceptionKinds returns the fourteen kinds in the order of the schema; the
// slice is the caller's own.
func ExceptionKinds() []ExceptionKind {
	return []ExceptionKind{
		ExceptionCustomsHeld,
		ExceptionCarrierHeld,
		ExceptionDelayed,
		ExceptionActionRequired,
		ExceptionAttemptFailed,
		ExceptionAddressProblem,
		ExceptionDamaged,
		ExceptionLostSuspected,
		ExceptionReturning,
		ExceptionNoFirstScan,
		ExceptionStalled,
		ExceptionSilent,
		ExceptionPromiseAtRisk,
		ExceptionPromiseMissed,
	}
}

// Valid reports whether k is one of the fourteen kinds; the zero value is not.
func (k ExceptionKind) Valid() bool {
	switch k {
	case ExceptionCustomsHeld,
		ExceptionCarrierHeld,
		ExceptionDelayed,
		ExceptionActionRequired,
		ExceptionAttemptFailed,
		ExceptionAddressProblem,
		ExceptionDamaged,
		ExceptionLostSuspected,
		ExceptionReturning,
		ExceptionNoFirstScan,
		ExceptionStalled,
		ExceptionSilent,
		ExceptionPromiseAtRisk,
		ExceptionPromiseMissed:
		return true
	}
	return false
}

// DefaultSeverity returns how much k matters when nothing more is known of the
// case. The judgement is by what is lost when nobody acts:
//
//   - CRITICAL, act now: the goods themselves are in doubt (DAMAGED,
//     LOST_SUSPECTED), and so is the right to claim, which most carriers end
//     within days.
//   - ABNORMAL, act today: the parcel stands still until a person does
//     something (CUSTOMS_HELD, CARRIER_HELD, ACTION_REQUIRED,
//     ADDRESS_PROBLEM), goes the wrong way (RETURNING), was never handed over
//     (NO_FIRST_SCAN), has stopped without a word (STALLED), or the promise is
//     broken (PROMISE_MISSED).
//   - WATCH: it commonly mends itself, by the carrier's next move (DELAYED), a
//     second attempt (ATTEMPT_FAILED), the next scan (SILENT), or luck
//     (PROMISE_AT_RISK).
//
// The caller may raise it: a code whose [CodeInfo] is Critical always opens
// CRITICAL. A kind that is not valid gives INFO, so that nobody is woken by a
// value this build does not know.
func (k ExceptionKind) DefaultSeverity() Severity {
	switch k {
	case ExceptionDamaged, ExceptionLostSuspected:
		return SeverityCritical
	case ExceptionCustomsHeld, ExceptionCarrierHeld, ExceptionActionRequired,
		ExceptionAddressProblem, ExceptionReturning, ExceptionNoFirstScan,
		ExceptionStalled, ExceptionPromiseMissed:
		return SeverityAbnormal
	case ExceptionDelayed, ExceptionAttemptFailed, ExceptionSilent,
		ExceptionPromiseAtRisk:
		return SeverityWatch
	}
	return SeverityInfo
}

// Severity is how soon someone must act. The zero value is no severity and
// ranks below all.
type Severity string

// The severities, mildest first.
const (
	SeverityInfo     Severity = "INFO"     // know it
	SeverityWatch    Severity = "WATCH"    // watch it
	SeverityAbnormal Severity = "ABNORMAL" // act today
	SeverityCritical Severity = "CRITICAL" // act now
)

// Rank orders the severities, 1 (info) to 4 (critical). It is 0 for the zero
// value and for anything that is not a severity.
func (s Severity) Rank() int {
	switch s {
	case SeverityInfo:
		return 1
	case SeverityWatch:
		return 2
	case SeverityAbnormal:
		return 3
	case SeverityCritical:
		return 4
	}
	return 0
}

// Valid reports whether s is one of the four severities; the zero value is not.
func (s Severity) Valid() bool { return s.Rank() > 0 }

// Reason is why a hold, a delay or a failure happened, as far as the carrier
// said. Its value is the GraphQL EventReason. The zero value means that no
// reason was given, which differs from [ReasonOther].
type Reason string

// The reasons.
const (
	ReasonDocumentsMissing     Reason = "DOCUMENTS_MISSING"     // papers or identity number missing
	ReasonDeclarationIncorrect Reason = "DECLARATION_INCORRECT" // papers wrong
	ReasonDutyUnpaid           Reason = "DUTY_UNPAID"           // duty or tax unpaid
	ReasonInspection           Reason = "INSPECTION"            // opened for inspection
	ReasonProhibited           Reason = "PROHIBITED"            // prohibited or restricted goods
	ReasonBrandRights          Reason = "BRAND_RIGHTS"          // brand rights
	ReasonAddressIncorrect     Reason = "ADDRESS_INCORRECT"     // address wrong or incomplete
	ReasonRecipientAbsent      Reason = "RECIPIENT_ABSENT"      // nobody there
	ReasonRecipientMoved       Reason = "RECIPIENT_MOVED"       // recipient moved
	ReasonRecipientUnreachable Reason = "RECIPIENT_UNREACHABLE" // recipient unknown or not reached
	ReasonBusinessClosed       Reason = "BUSINESS_CLOSED"       // closed
	ReasonRefused              Reason = "REFUSED"               // refused by the recipient
	ReasonNotCollected         Reason = "NOT_COLLECTED"         // not collected in time
	ReasonPaymentMissing       Reason = "PAYMENT_MISSING"       // cash on delivery not paid
	ReasonRescheduled          Reason = "RESCHEDULED"           // recipient asked for another day or place
	ReasonWeather              Reason = "WEATHER"               // weather or nature
	ReasonDisruption           Reason = "DISRUPTION"            // strike, unrest, closed road or border
	ReasonCapacity             Reason = "CAPACITY"              // no space or staff
	ReasonMissedConnection     Reason = "MISSED_CONNECTION"     // missed flight, vessel or truck
	ReasonMisrouted            Reason = "MISROUTED"             // sent the wrong way
	ReasonLabelDamaged         Reason = "LABEL_DAMAGED"         // label unreadable
	ReasonPacking              Reason = "PACKING"               // packing failed
	ReasonMeasuresWrong        Reason = "MEASURES_WRONG"        // size or weight not as declared
	ReasonSecurity             Reason = "SECURITY"              // security check
	ReasonHoliday              Reason = "HOLIDAY"               // public holiday
	ReasonOutOfStock           Reason = "OUT_OF_STOCK"          // out of stock
	ReasonOther                Reason = "OTHER"                 // something else; see the original words
)

// Valid reports whether r is one of the reasons; the zero value is not.
func (r Reason) Valid() bool {
	switch r {
	case ReasonDocumentsMissing,
		ReasonDeclarationIncorrect,
		ReasonDutyUnpaid,
		ReasonInspection,
		ReasonProhibited,
		ReasonBrandRights,
		ReasonAddressIncorrect,
		ReasonRecipientAbsent,
		ReasonRecipientMoved,
		ReasonRecipientUnreachable,
		ReasonBusinessClosed,
		ReasonRefused,
		ReasonNotCollected,
		ReasonPaymentMissing,
		ReasonRescheduled,
		ReasonWeather,
		ReasonDisruption,
		ReasonCapacity,
		ReasonMissedConnection,
		ReasonMisrouted,
		ReasonLabelDamaged,
		ReasonPacking,
		ReasonMeasuresWrong,
		ReasonSecurity,
		ReasonHoliday,
		ReasonOutOfStock,
		ReasonOther:
		return true
	}
	return false
}

// DeliveredTo is into whose hands a delivery went. The zero value means that
// the carrier did not say.
type DeliveredTo string

// The receivers. A carrier that calls a parcel delivered when it reached a
// pickup point is saying [CodeReadyForPickup]; the receiver keeps the difference.
const (
	DeliveredToRecipient   DeliveredTo = "RECIPIENT"    // the recipient
	DeliveredToNeighbour   DeliveredTo = "NEIGHBOUR"    // a neighbour
	DeliveredToSafePlace   DeliveredTo = "SAFE_PLACE"   // a safe place
	DeliveredToReception   DeliveredTo = "RECEPTION"    // a reception or post room
	DeliveredToLocker      DeliveredTo = "LOCKER"       // a parcel locker
	DeliveredToPickupPoint DeliveredTo = "PICKUP_POINT" // a pickup point or station, not yet the recipient
	DeliveredToPOBox       DeliveredTo = "PO_BOX"       // a post office box
	DeliveredToSender      DeliveredTo = "SENDER"       // the sender, after a return
)

// Valid reports whether d is one of the receivers; the zero value is not.
func (d DeliveredTo) Valid() bool {
	switch d {
	case DeliveredToRecipient,
		DeliveredToNeighbour,
		DeliveredToSafePlace,
		DeliveredToReception,
		DeliveredToLocker,
		DeliveredToPickupPoint,
		DeliveredToPOBox,
		DeliveredToSender:
		return true
	}
	return false
}

// CodeInfo is what the table says of one code. It is a value; its Opens slice
// is shared by all callers and must not be written to.
type CodeInfo struct {
	ID       string          // stage letter and number, such as "W10"; empty for UNKNOWN
	Code     Code            // the code that this row describes
	Stage    Stage           // where it happens; empty for exceptions, returns and UNKNOWN
	Proves   Milestone       // the highest milestone it proves; empty proves none
	Meaning  string          // in English, for developers; users read package words
	Opens    []ExceptionKind // exceptions that it opens, the principal one first
	Reason   Reason          // the reason that the code itself states; an event may say more
	Critical bool            // what it opens is CRITICAL, whatever the kind's default
	Outcome  Outcome         // how it ends the shipment; empty does not
	Movement bool            // the parcel moved, which closes holds and delays
}

// Info returns the row of c in the table. A code that the table lacks, the zero
// value among them, gives the row of [CodeUnknown]. It takes constant time and
// allocates nothing.
func (c Code) Info() CodeInfo { return codeTable[codeRow(c)] }

// Valid reports whether c is one of the 52 codes or [CodeUnknown].
func (c Code) Valid() bool { return c == CodeUnknown || codeRow(c) != codeRowUnknown }

// Proves returns the highest milestone that an event with code c proves by
// itself, or "" when it proves none and the shipment keeps the one it has.
func (c Code) Proves() Milestone { return codeTable[codeRow(c)].Proves }

// Stage returns the stage in which c happens, or "" for the exceptions and
// returns that happen in any, and for [CodeUnknown].
func (c Code) Stage() Stage { return codeTable[codeRow(c)].Stage }

// IsMovement reports whether c means that the parcel moved from one hand or
// place to another, which closes delays and holds opened before it. Delivery is
// not among them: an outcome closes by a rule of its own.
func (c Code) IsMovement() bool { return codeTable[codeRow(c)].Movement }

// Codes returns the 52 codes in table order, without [CodeUnknown]; the slice
// is the caller's own.
func Codes() []Code {
	codes := make([]Code, codeRowUnknown)
	for i := range codes {
		codes[i] = codeTable[i].Code
	}
	return codes
}

// CodeByID returns the code with the table's identifier, such as "W10". Any
// other text, the empty one included, gives [CodeUnknown] and false.
func CodeByID(id string) (Code, bool) {
	i := slices.IndexFunc(codeTable[:codeRowUnknown], func(r CodeInfo) bool { return r.ID == id })
	if i < 0 {
		return CodeUnknown, false
	}
	return codeTable[i].Code, true
}
