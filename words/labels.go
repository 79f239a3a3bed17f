package words

// Text is words for people, with the language they are in: the one asked for,
// or English where that one lacks them.
type Text struct {
	Value  string
	Locale Locale
}

// Code returns the label of a TrackingEventCode. A code without words of its
// own has those of the nearest thing a shopper understands; one that this
// package does not know is on its way.
func Code(l Locale, code string) Text { return l.text(GroupEvent, code, "IN_TRANSIT") }

// Milestone returns the label of a Milestone. The zero value is the first:
// REGISTERED.
func Milestone(l Locale, m string) Text { return l.text(GroupMilestone, m, "REGISTERED") }

// Outcome returns the label of an Outcome. One that this package does not
// know, the zero value among them, gives itself.
func Outcome(l Locale, o string) Text { return Label(l, GroupOutcome, o) }

// Exception returns the label of an ExceptionKind. One that this package does
// not know gives itself.
func Exception(l Locale, kind string) Text { return Label(l, GroupException, kind) }

// Health returns the label of a TrackingHealth. One that this package does not
// know gives itself.
func Health(l Locale, h string) Text { return Label(l, GroupHealth, h) }

// Custody returns the label of a CustodyState. One that this package does not
// know gives the label of UNKNOWN.
func Custody(l Locale, state string) Text { return l.text(GroupCustody, state, "UNKNOWN") }

// Change returns the label of a ChangeKind, for a row of the change log that
// has no better words. One that this package does not know gives itself.
func Change(l Locale, kind string) Text { return Label(l, GroupChange, kind) }

// Problem returns what a trouble with a carrier (CarrierProblemKind) is. One
// that this package does not know gives the words of UNAVAILABLE.
func Problem(l Locale, trouble string) Text { return l.text(GroupProblem, trouble, "UNAVAILABLE") }

// Hint returns what may be wrong with a number (NumberHintKind). One that this
// package does not know gives the words of PATTERN.
func Hint(l Locale, kind string) Text { return l.text(GroupHint, kind, "PATTERN") }

// Rule returns why a derived value is what it is, by the name of the rule that
// decided: "milestone.highest". A rule that this package does not know gives
// the most general reason.
func Rule(l Locale, rule string) Text { return l.text(GroupRule, rule, "other") }

// Headline returns what a shopper should read first: how the journey ended,
// else what stands in its way, else how far it has come.
//
// openException is the gravest open exception, empty if there is none. Only
// those that a carrier or customs report, and a suspected loss, come before the
// milestone: that a parcel is quiet, or may be late, is a statistic, and the
// health and the window beside the headline tell it better.
func Headline(l Locale, milestone, outcome, openException string) Text {
	if outcome != "" {
		return Outcome(l, outcome)
	}
	switch openException {
	case "CUSTOMS_HELD", "CARRIER_HELD", "DELAYED", "ACTION_REQUIRED", "ATTEMPT_FAILED",
		"ADDRESS_PROBLEM", "DAMAGED", "LOST_SUSPECTED", "RETURNING":
		return Exception(l, openException)
	}
	return Milestone(l, milestone)
}

// Label returns the words for a key of a group; the group is one of the
// Group constants. A key without words gives the key itself, as English.
func Label(l Locale, group, key string) Text {
	if t, ok := l.book().texts[entry{group, key}]; ok {
		return t
	}
	return Text{Value: key, Locale: English}
}

// Label is the words of [Label] without their language.
func (l Locale) Label(group, key string) string { return Label(l, group, key).Value }

// text returns the words for a key, or those for another key of the group
// where there are none.
func (l Locale) text(group, key, otherwise string) Text {
	texts := l.book().texts
	if t, ok := texts[entry{group, key}]; ok {
		return t
	}
	return texts[entry{group, otherwise}]
}

// wordings tells which wording of a file's label section says what. Several
// codes share one: a shopper gains nothing from the difference between two
// depots.
var wordings = map[entry]string{
	{GroupMilestone, "REGISTERED"}:          "INFO_RECEIVED",
	{GroupMilestone, "DISPATCHED"}:          "WAREHOUSE_DISPATCHED",
	{GroupMilestone, "PICKED_UP"}:           "PICKED_UP",
	{GroupMilestone, "ORIGIN_DEPARTED"}:     "ORIGIN_DEPARTED",
	{GroupMilestone, "DESTINATION_ARRIVED"}: "DESTINATION_ARRIVED",
	{GroupMilestone, "CUSTOMS_CLEARED"}:     "CUSTOMS_CLEARED",
	{GroupMilestone, "LAST_MILE"}:           "LAST_MILE",
	{GroupMilestone, "OUT_FOR_DELIVERY"}:    "OUT_FOR_DELIVERY",
	{GroupMilestone, "READY_FOR_PICKUP"}:    "READY_FOR_PICKUP",
	{GroupMilestone, "DELIVERED"}:           "DELIVERED",

	{GroupOutcome, "DELIVERED"}: "DELIVERED",
	{GroupOutcome, "RETURNED"}:  "RETURNED",
	{GroupOutcome, "LOST"}:      "LOST",
	{GroupOutcome, "DISPOSED"}:  "DISPOSED",
	{GroupOutcome, "CANCELLED"}: "CANCELLED",

	{GroupException, "CUSTOMS_HELD"}:    "CUSTOMS_HELD",
	{GroupException, "CARRIER_HELD"}:    "CARRIER_HELD",
	{GroupException, "DELAYED"}:         "DELAYED",
	{GroupException, "ACTION_REQUIRED"}: "ACTION_REQUIRED",
	{GroupException, "ATTEMPT_FAILED"}:  "DELIVERY_FAILED",
	{GroupException, "ADDRESS_PROBLEM"}: "ADDRESS_PROBLEM",
	{GroupException, "DAMAGED"}:         "DAMAGED",
	{GroupException, "LOST_SUSPECTED"}:  "LOST_SUSPECTED",
	{GroupException, "RETURNING"}:       "RETURNING",
	{GroupException, "NO_FIRST_SCAN"}:   "NO_FIRST_SCAN",
	{GroupException, "STALLED"}:         "STALLED",
	{GroupException, "SILENT"}:          "SILENT",
	{GroupException, "PROMISE_AT_RISK"}: "PROMISE_AT_RISK",
	{GroupException, "PROMISE_MISSED"}:  "PROMISE_MISSED",

	{GroupEvent, "INFO_RECEIVED"}:        "INFO_RECEIVED",
	{GroupEvent, "LABEL_PRINTED"}:        "LABEL_PRINTED",
	{GroupEvent, "WAREHOUSE_RECEIVED"}:   "WAREHOUSE_RECEIVED",
	{GroupEvent, "WAREHOUSE_PACKED"}:     "WAREHOUSE_PACKED",
	{GroupEvent, "WAREHOUSE_DISPATCHED"}: "WAREHOUSE_DISPATCHED",
	{GroupEvent, "WAREHOUSE_HELD"}:       "WAREHOUSE_HELD",

	{GroupEvent, "PICKUP_SCHEDULED"}:    "PICKUP_SCHEDULED",
	{GroupEvent, "PICKED_UP"}:           "PICKED_UP",
	{GroupEvent, "DROPPED_OFF"}:         "DROPPED_OFF",
	{GroupEvent, "ORIGIN_HUB_ARRIVED"}:  "ORIGIN_SORTED",
	{GroupEvent, "ORIGIN_HUB_DEPARTED"}: "HUB_DEPARTED",
	{GroupEvent, "PICKUP_FAILED"}:       "PICKUP_FAILED",
	{GroupEvent, "AWAITING_CARRIER"}:    "NO_FIRST_SCAN",

	{GroupEvent, "EXPORT_EXCHANGE_ARRIVED"}:     "EXPORT_EXCHANGE_ARRIVED",
	{GroupEvent, "HANDED_TO_LINEHAUL"}:          "HANDED_TO_LINEHAUL",
	{GroupEvent, "ORIGIN_COUNTRY_DEPARTED"}:     "ORIGIN_DEPARTED",
	{GroupEvent, "TRANSIT_COUNTRY_ARRIVED"}:     "TRANSIT_COUNTRY_ARRIVED",
	{GroupEvent, "TRANSIT_COUNTRY_DEPARTED"}:    "TRANSIT_COUNTRY_DEPARTED",
	{GroupEvent, "DESTINATION_COUNTRY_ARRIVED"}: "DESTINATION_ARRIVED",
	{GroupEvent, "DESTINATION_HUB_PROCESSED"}:   "DESTINATION_SORTED",
	{GroupEvent, "IMPORT_EXCHANGE_DEPARTED"}:    "HUB_DEPARTED",
	{GroupEvent, "IN_TRANSIT"}:                  "IN_TRANSIT",
	{GroupEvent, "LINEHAUL_DELAYED"}:            "LINEHAUL_DELAYED",

	{GroupEvent, "EXPORT_CUSTOMS_PRESENTED"}:   "EXPORT_IN_PROGRESS",
	{GroupEvent, "EXPORT_CUSTOMS_HELD"}:        "EXPORT_HELD",
	{GroupEvent, "EXPORT_CUSTOMS_RELEASED"}:    "EXPORT_CLEARED",
	{GroupEvent, "IMPORT_PREDECLARED"}:         "IMPORT_PREDECLARED",
	{GroupEvent, "IMPORT_CUSTOMS_PRESENTED"}:   "CUSTOMS_IN_PROGRESS",
	{GroupEvent, "IMPORT_CUSTOMS_HELD"}:        "CUSTOMS_HELD",
	{GroupEvent, "CUSTOMS_DOCUMENTS_REQUIRED"}: "CUSTOMS_DOCUMENTS_REQUIRED",
	{GroupEvent, "CUSTOMS_DUTY_DUE"}:           "CUSTOMS_DUTY_DUE",
	{GroupEvent, "IMPORT_CUSTOMS_RELEASED"}:    "CUSTOMS_CLEARED",
	{GroupEvent, "CUSTOMS_REFUSED"}:            "CUSTOMS_REFUSED",

	{GroupEvent, "LAST_MILE_ACCEPTED"}:      "LAST_MILE",
	{GroupEvent, "DELIVERY_OFFICE_ARRIVED"}: "DELIVERY_OFFICE_ARRIVED",
	{GroupEvent, "DELIVERY_SCHEDULED"}:      "DELIVERY_SCHEDULED",
	{GroupEvent, "OUT_FOR_DELIVERY"}:        "OUT_FOR_DELIVERY",
	{GroupEvent, "DELIVERY_ATTEMPT_FAILED"}: "DELIVERY_FAILED",
	{GroupEvent, "READY_FOR_PICKUP"}:        "READY_FOR_PICKUP",
	{GroupEvent, "DELIVERED"}:               "DELIVERED",
	{GroupEvent, "DELIVERED_IMPAIRED"}:      "DELIVERED_IMPAIRED",

	{GroupEvent, "DELAYED"}:         "DELAYED",
	{GroupEvent, "CARRIER_HELD"}:    "CARRIER_HELD",
	{GroupEvent, "ADDRESS_PROBLEM"}: "ADDRESS_PROBLEM",
	{GroupEvent, "REFUSED"}:         "REFUSED",
	{GroupEvent, "UNCLAIMED"}:       "UNCLAIMED",
	{GroupEvent, "DAMAGED"}:         "DAMAGED",
	{GroupEvent, "LOST"}:            "LOST",
	{GroupEvent, "DISPOSED"}:        "DISPOSED",
	{GroupEvent, "CANCELLED"}:       "CANCELLED",

	{GroupEvent, "RETURN_STARTED"}: "RETURNING",
	{GroupEvent, "RETURNED"}:       "RETURNED",

	{GroupEvent, "UNKNOWN"}: "UNKNOWN",
}
