package parcel

import (
	"slices"
	"strings"
	"testing"
)

// vocabNumbered gives "Stem_001" for each three-digit number.
func vocabNumbered(stem, numbers string) []string {
	var names []string
	for n := range strings.FieldsSeq(numbers) {
		names = append(names, stem+"_"+n)
	}
	return names
}

// vocabEventNames returns the names that v has for one event, as its owner
// lists them.
func vocabEventNames(v Vocabulary) []string {
	switch v {
	case VocabularyAfterShip:
		return slices.Concat(
			vocabNumbered("Delivered", "001 002 003 004 005"),
			vocabNumbered("AvailableForPickup", "001"),
			vocabNumbered("InTransit", "001 002 003 004 005 006 007 008 009"),
			vocabNumbered("InfoReceived", "001"),
			vocabNumbered("OutForDelivery", "001 003 004"),
			vocabNumbered("AttemptFail", "001 002 003"),
			vocabNumbered("Exception", "001 002 003 004 005 006 007 008 009 010 011 012 013 016 017 018"),
			vocabNumbered("Pending", "001 002 003 004 005 006"),
			vocabNumbered("Expired", "001"),
		)
	case VocabularySeventeenTrack:
		return strings.Fields(`NotFound_Other NotFound_InvalidCode InfoReceived
			InTransit_PickedUp InTransit_Other InTransit_Departure InTransit_Arrival
			InTransit_CustomsProcessing InTransit_CustomsReleased InTransit_CustomsRequiringInformation
			Expired_Other AvailableForPickup_Other OutForDelivery_Other
			DeliveryFailure_Other DeliveryFailure_NoBody DeliveryFailure_Security
			DeliveryFailure_Rejected DeliveryFailure_InvalidAddress Delivered_Other
			Exception_Other Exception_Returning Exception_Returned Exception_NoBody Exception_Security
			Exception_Damage Exception_Rejected Exception_Delayed Exception_Lost Exception_Destroyed
			Exception_Cancel`)
	case VocabularyEasyPost:
		names := vocabStatusNames(v)
		for _, status := range vocabStatusNames(v) {
			for detail := range strings.FieldsSeq(`address_correction arrived_at_destination
				arrived_at_facility arrived_at_pickup_location awaiting_information cancelled damaged
				delayed delivery_exception departed_facility departed_origin_facility expired failure
				held in_transit label_created lost missorted out_for_delivery
				received_at_destination_facility received_at_origin_facility refused return
				status_update transferred_to_destination_carrier transit_exception unknown
				weather_delay`) {
				names = append(names, status+"/"+detail)
			}
		}
		return names
	case VocabularyShippo:
		return append(vocabStatusNames(v), strings.Fields(`
			PRE_TRANSIT/information_received
			TRANSIT/address_issue TRANSIT/contact_carrier TRANSIT/delayed TRANSIT/delivery_attempted
			TRANSIT/delivery_rescheduled TRANSIT/delivery_scheduled TRANSIT/location_inaccessible
			TRANSIT/notice_left TRANSIT/out_for_delivery TRANSIT/package_accepted
			TRANSIT/package_arrived TRANSIT/package_damaged TRANSIT/package_departed
			TRANSIT/package_forwarded TRANSIT/package_held TRANSIT/package_processed
			TRANSIT/package_processing TRANSIT/pickup_available TRANSIT/reschedule_delivery
			DELIVERED/delivered RETURNED/return_to_sender RETURNED/package_unclaimed
			FAILURE/package_undeliverable FAILURE/package_disposed FAILURE/package_lost
			UNKNOWN/other`)...)
	case VocabularyShipEngine:
		return strings.Fields(`CARRIER_STATUS_NOT_MAPPED SHIPMENT_CREATED AWAITING_PICKUP_DROP_OFF
			DROPPED_OFF ELEC_ADVICE_RECD_BY_CARRIER NOT_YET_RECEIVED_BY_CARRIER
			RECD_BY_CARRIER_NO_ELEC_ADVICE PICKED_UP PICKUP_FAILED CUSTOMS_CLEARED
			CUSTOMS_PROCESSING HUB_SCAN_OUT HUB_SCAN_IN HUB_PROCESSING IN_TRANSIT
			PARCEL_OVER_LABELLED PARCEL_REPACKED RECEIVED_LOCAL_DELIVERY_DEPOT
			SUB_CONTRACTOR_RECEIVED DELIVERY_SCHEDULED ATTEMPTED_DELIVERY CUSTOMER_CARDED
			OUT_FOR_DELIVERY AWAITING_COLLECTION_FROM_PICKUP_POINT DELIVERED DELIVERED_IN_PART
			DELIVERED_DAMAGED DELIVERED_TO_PICKUP_POINT CARRIER_DELAYS DELAYED_NOT_CARRIER
			MISROUTED HELD_BY_CARRIER HELD_BY_CUSTOMS HELD_BY_CARRIER_FOR_CLEARANCE_PRE_PROCESSING
			INCORRECT_DECLARATION DUTY_NOT_PAID HAZARDOUS_PROHIBITED ADDRESS_QUERY
			REFUSED_BY_CUSTOMER NOT_COLLECTED_FROM_PICKUP_POINT PARCEL_DAMAGED PARCEL_LOST
			PARCEL_DISPOSED CANCELLED RETURN_TO_SENDER UNDELIVERABLE_RETURNED_TO_SENDER
			TRACKING_EXPIRED`)
	case VocabularyKarrio:
		return append(vocabStatusNames(v), "carrier_damaged_parcel", "carrier_parcel_lost")
	case VocabularyUPUEMSEVT, VocabularyShopify:
		return vocabStatusNames(v)
	}
	return nil
}

// vocabStatusNames returns the top-level list of v.
func vocabStatusNames(v Vocabulary) []string {
	switch v {
	case VocabularyAfterShip:
		return strings.Fields(`Pending InfoReceived InTransit OutForDelivery AttemptFail
			AvailableForPickup Delivered Exception Expired`)
	case VocabularySeventeenTrack:
		return strings.Fields(`NotFound InfoReceived InTransit Expired AvailableForPickup
			OutForDelivery DeliveryFailure Delivered Exception`)
	case VocabularyEasyPost:
		return strings.Fields(`unknown pre_transit in_transit out_for_delivery delivered
			available_for_pickup return_to_sender failure cancelled error`)
	case VocabularyShippo:
		return strings.Fields(`UNKNOWN PRE_TRANSIT TRANSIT DELIVERED RETURNED FAILURE`)
	case VocabularyShipEngine:
		return strings.Fields(`UN AC IT DE EX AT NY SP`)
	case VocabularyKarrio:
		return strings.Fields(`pending picked_up unknown on_hold cancelled delivered in_transit
			delivery_delayed out_for_delivery ready_for_pickup delivery_failed return_to_sender`)
	case VocabularyUPUEMSEVT:
		return strings.Fields(`EMA EMB EXA EXB EXC EXD EMC EXX EMJ EMK EMD EDA EDB EME EDC EMF EDX
			EDD EDE EMG EDF EDG EDH EMH EMI`)
	case VocabularyShopify:
		return strings.Fields(`LABEL_PURCHASED LABEL_PRINTED CONFIRMED CARRIER_PICKED_UP IN_TRANSIT
			DELAYED OUT_FOR_DELIVERY ATTEMPTED_DELIVERY READY_FOR_PICKUP DELIVERED FAILURE`)
	}
	return nil
}

func TestVocabularies(t *testing.T) {
	all := Vocabularies()
	if len(all) != 8 {
		t.Errorf("%d vocabularies, want 8", len(all))
	}
	for _, v := range all {
		if !v.Valid() {
			t.Errorf("%s is not valid", v)
		}
	}
	if len(vocabEventNames(VocabularySeventeenTrack)) != 30 {
		t.Errorf("17TRACK publishes 30 sub-statuses, the test knows %d", len(vocabEventNames(VocabularySeventeenTrack)))
	}
}

// TestExportIsTotal proves that each code has, in each vocabulary, either a
// name from the list of its owner or a decided NONE.
func TestExportIsTotal(t *testing.T) {
	if len(vocabTable) != len(codeTable) {
		t.Fatalf("%d codes have names elsewhere, want %d", len(vocabTable), len(codeTable))
	}
	for row, r := range vocabTable {
		if r.code != codeTable[row].Code {
			t.Errorf("row %d names %s elsewhere and is %s here", row, r.code, codeTable[row].Code)
		}
	}
	notExported := map[Vocabulary]string{
		VocabularyAfterShip:      "F90 D10",
		VocabularySeventeenTrack: "D10",
		VocabularyUPUEMSEVT: "W10 W15 W20 W30 W40 W90 F10 F40 F45 F90 F91 L15 L50 C20 D10 D25 " +
			"X10 X50 X60 X70",
		VocabularyShopify: "C42 C44 R10",
	}
	for _, v := range Vocabularies() {
		t.Run(string(v), func(t *testing.T) {
			members := vocabEventNames(v)
			for _, c := range append(Codes(), CodeUnknown) {
				cell := vocabTable[codeRow(c)].names.in(v)
				name, ok := c.In(v)
				switch {
				case cell == vocabNone && (ok || name != ""):
					t.Errorf("%s is NONE and exported as %q, %v", c, name, ok)
				case cell != vocabNone && (!ok || name != cell):
					t.Errorf("%s is %q and exported as %q, %v", c, cell, name, ok)
				case cell != vocabNone && !slices.Contains(members, cell):
					t.Errorf("%s is exported as %q, which %s does not have", c, cell, v)
				}
			}
			got := codeIDs(func(i CodeInfo) bool {
				_, ok := i.Code.In(v)
				return !ok
			})
			if got != notExported[v] {
				t.Errorf("not exported: %q, want %q", got, notExported[v])
			}
		})
	}
}

func TestCodeIn(t *testing.T) {
	tests := []struct {
		name string
		code Code
		in   Vocabulary
		want string // empty for not exported
	}{
		{"an exact value", CodePickedUp, VocabularySeventeenTrack, "InTransit_PickedUp"},
		{"the first of a range", CodeDeliveryAttemptFailed, VocabularyAfterShip, "AttemptFail_001"},
		{"the first of a family", CodeDeliveryAttemptFailed, VocabularySeventeenTrack, "DeliveryFailure_Other"},
		{"the first of two", CodeDeliveredImpaired, VocabularyAfterShip, "Delivered_001"},
		{"the first of a pattern", CodeAwaitingCarrier, VocabularyAfterShip, "Pending_001"},
		{"the first of two postal events", CodeDestinationHubProcessed, VocabularyUPUEMSEVT, "EDD"},
		{"a reason in another field", CodeCustomsDutyDue, VocabularyUPUEMSEVT, "EME"},
		{"a status with its detail", CodeLabelPrinted, VocabularyEasyPost, "pre_transit/label_created"},
		{"a detail brings its status", CodeLost, VocabularyEasyPost, "failure/lost"},
		{"a detail under its own status", CodeUnclaimed, VocabularyShippo, "RETURNED/package_unclaimed"},
		{"a field, not an event", CodeLastMileAccepted, VocabularySeventeenTrack, ""},
		{"an event under another name space", CodePickupFailed, VocabularyAfterShip, ""},
		{"in parentheses", CodeHandedToLinehaul, VocabularyUPUEMSEVT, ""},
		{"no such event", CodeLabelPrinted, VocabularyUPUEMSEVT, ""},
		{"only in an unstable edition", CodeReturnStarted, VocabularyShopify, ""},
		{"waiting is not delivered", CodeReadyForPickup, VocabularyShipEngine, "AWAITING_COLLECTION_FROM_PICKUP_POINT"},
		{"a predeclaration is not an arrival", CodeImportPredeclared, VocabularyUPUEMSEVT, ""},
		{"unknown where they have one", CodeUnknown, VocabularyShipEngine, "CARRIER_STATUS_NOT_MAPPED"},
		{"unknown where they have none", CodeUnknown, VocabularyShopify, ""},
		{"a code we lack is unknown", "Z9", VocabularyKarrio, "unknown"},
		{"no vocabulary", CodeDelivered, "", ""},
		{"a vocabulary we lack", CodeDelivered, "SHIP24", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := tt.code.In(tt.in)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("%s in %s = %q, %v, want %q", tt.code, tt.in, got, ok, tt.want)
			}
		})
	}
}

// vocabIs reports whether name says state: "delivered" or "back", which others
// act on by paying, refunding or closing a case.
func vocabIs(state, name string) bool {
	names := map[string]string{
		"delivered": "Delivered delivered DELIVERED DE EMI",
		"back":      "RETURNED return_to_sender",
	}
	return slices.Contains(strings.Fields(names[state]), name)
}

// TestStatusIsTotal walks every milestone, outcome and single exception, in
// every vocabulary.
func TestStatusIsTotal(t *testing.T) {
	outcomes := []Outcome{"", OutcomeDelivered, OutcomeReturned, OutcomeLost, OutcomeDisposed, OutcomeCancelled}
	for _, v := range Vocabularies() {
		t.Run(string(v), func(t *testing.T) {
			members := vocabStatusNames(v)
			for _, m := range append(Milestones(), "") {
				for _, o := range outcomes {
					for _, k := range append(ExceptionKinds(), "") {
						for _, notFound := range []bool{false, true} {
							s := StatusFacts{Milestone: m, Outcome: o, NotFound: notFound}
							if k != "" {
								s.Open = []ExceptionKind{k}
							}
							got := StatusIn(v, s)

							wordless := v == VocabularyShopify && m == "" && o == "" ||
								v == VocabularyUPUEMSEVT && o == "" && m.Rank() < MilestonePickedUp.Rank() ||
								v == VocabularyUPUEMSEVT && (o == OutcomeLost || o == OutcomeDisposed)
							if !slices.Contains(members, got) && (got != vocabNone || !wordless) {
								t.Errorf("%+v is %q, which %s does not have", s, got, v)
							}
							delivered := o == OutcomeDelivered || o == "" && m == MilestoneDelivered
							if vocabIs("delivered", got) && !delivered {
								t.Errorf("%+v is %q, and it was not delivered", s, got)
							}
							back := o == OutcomeReturned || o == "" && k == ExceptionReturning
							if vocabIs("back", got) && !back {
								t.Errorf("%+v is %q, and nobody returned it", s, got)
							}
						}
					}
				}
			}
		})
	}
}

func TestStatusIn(t *testing.T) {
	at := func(m Milestone, open ...ExceptionKind) StatusFacts {
		return StatusFacts{Milestone: m, Open: open}
	}
	tests := []struct {
		name  string
		facts StatusFacts
		want  vocabNames
	}{
		{
			"nothing known", StatusFacts{},
			vocabNames{"Pending", "NotFound", "unknown", "UNKNOWN", "UN", "unknown", "NONE", "NONE"},
		},
		{
			"no carrier knows the number", StatusFacts{NotFound: true},
			vocabNames{"Pending", "NotFound", "unknown", "UNKNOWN", "NY", "pending", "NONE", "NONE"},
		},
		{
			"label made, no carrier knows it", StatusFacts{Milestone: MilestoneRegistered, NotFound: true},
			vocabNames{"InfoReceived", "InfoReceived", "pre_transit", "PRE_TRANSIT", "NY", "pending", "NONE", "CONFIRMED"},
		},
		{
			"left the origin", at(MilestoneOriginDeparted),
			vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", "EMC", "IN_TRANSIT"},
		},
		{
			"held by import customs", at(MilestoneDestinationArrived, ExceptionCustomsHeld),
			vocabNames{"Exception", "InTransit", "in_transit", "TRANSIT", "EX", "on_hold", "EME", "DELAYED"},
		},
		{
			"held by export customs", at(MilestonePickedUp, ExceptionCustomsHeld),
			vocabNames{"Exception", "InTransit", "in_transit", "TRANSIT", "EX", "on_hold", "EXB", "DELAYED"},
		},
		{
			"a hold between the borders", at(MilestoneOriginDeparted, ExceptionCustomsHeld),
			vocabNames{"Exception", "InTransit", "in_transit", "TRANSIT", "EX", "on_hold", "EMC", "DELAYED"},
		},
		{
			"attempt failed", at(MilestoneOutForDelivery, ExceptionAttemptFailed),
			vocabNames{"AttemptFail", "DeliveryFailure", "failure", "TRANSIT", "AT", "delivery_failed", "EMH", "ATTEMPTED_DELIVERY"},
		},
		{
			"address problem while still abroad", at(MilestoneOriginDeparted, ExceptionActionRequired, ExceptionAddressProblem),
			vocabNames{"Exception", "DeliveryFailure", "in_transit", "TRANSIT", "EX", "delivery_failed", "EMC", "FAILURE"},
		},
		{
			"held at the delivery depot", at(MilestoneLastMile, ExceptionCarrierHeld),
			vocabNames{"Exception", "Exception", "in_transit", "TRANSIT", "EX", "on_hold", "EDF", "DELAYED"},
		},
		{
			"waiting at a pickup point", at(MilestoneReadyForPickup),
			vocabNames{"AvailableForPickup", "AvailableForPickup", "available_for_pickup", "TRANSIT", "SP", "ready_for_pickup", "EDH", "READY_FOR_PICKUP"},
		},
		{
			"silent and late is no carrier's report", at(MilestoneLastMile, ExceptionSilent, ExceptionPromiseMissed),
			vocabNames{"InTransit", "InTransit", "in_transit", "TRANSIT", "IT", "in_transit", "EMF", "IN_TRANSIT"},
		},
		{
			"damaged but under way", at(MilestoneOutForDelivery, ExceptionDamaged),
			vocabNames{"Exception", "Exception", "out_for_delivery", "TRANSIT", "EX", "out_for_delivery", "EDG", "OUT_FOR_DELIVERY"},
		},
		{
			"on the way back after a failed attempt", at(MilestoneOutForDelivery, ExceptionAttemptFailed, ExceptionReturning),
			vocabNames{"Exception", "Exception", "return_to_sender", "RETURNED", "EX", "return_to_sender", "EMH", "FAILURE"},
		},
		{
			"a suspicion hides no report", at(MilestoneOutForDelivery, ExceptionLostSuspected, ExceptionDelayed),
			vocabNames{"Exception", "Exception", "out_for_delivery", "TRANSIT", "EX", "delivery_delayed", "EDG", "DELAYED"},
		},
		{
			"delivered, with damage to settle", StatusFacts{
				Milestone: MilestoneDelivered, Outcome: OutcomeDelivered, Open: []ExceptionKind{ExceptionDamaged},
			},
			vocabNames{"Delivered", "Delivered", "delivered", "DELIVERED", "DE", "delivered", "EMI", "DELIVERED"},
		},
		{
			"back with the sender", StatusFacts{Milestone: MilestoneOutForDelivery, Outcome: OutcomeReturned},
			vocabNames{"Exception", "Exception", "return_to_sender", "RETURNED", "EX", "return_to_sender", "EMH", "FAILURE"},
		},
		{
			"lost", StatusFacts{Milestone: MilestoneOriginDeparted, Outcome: OutcomeLost},
			vocabNames{"Exception", "Exception", "failure", "FAILURE", "EX", "delivery_failed", "NONE", "FAILURE"},
		},
		{
			"cancelled", StatusFacts{Milestone: MilestoneRegistered, Outcome: OutcomeCancelled},
			vocabNames{"Exception", "Exception", "cancelled", "FAILURE", "EX", "cancelled", "EXX", "FAILURE"},
		},
		{
			"values that we lack are as none", StatusFacts{
				Milestone: "TELEPORTED", Outcome: "EATEN", Open: []ExceptionKind{"HAUNTED"},
			},
			vocabNames{"Pending", "NotFound", "unknown", "UNKNOWN", "UN", "unknown", "NONE", "NONE"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reversed := tt.facts
			reversed.Open = slices.Clone(tt.facts.Open)
			slices.Reverse(reversed.Open)
			for _, v := range Vocabularies() {
				if got := StatusIn(v, tt.facts); got != tt.want.in(v) {
					t.Errorf("%s: got %q, want %q", v, got, tt.want.in(v))
				}
				if a, b := StatusIn(v, tt.facts), StatusIn(v, reversed); a != b {
					t.Errorf("%s: %q or %q by the order of the exceptions", v, a, b)
				}
			}
		})
	}
	if got := StatusIn("SHIP24", at(MilestoneDelivered)); got != vocabNone {
		t.Errorf("a vocabulary that we lack says %q, want NONE", got)
	}
}
