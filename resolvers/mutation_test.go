package resolvers_test

import (
	"fmt"
	"testing"

	"github.com/milepost-gateway/milepost/graph"
)

const register = `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created userErrors { code path } results { outcome
	shipment { reference order { reference } milestone goods { weightGrams declaredValue { amount currency } attributes } legs { stage carrier { code } trackingNumber cost { amount } } promise { first { by source } } recipient { name erasedAt } registeredAt }
	userErrors { code path isWarning } } } }`

type object = map[string]any

func registration(reference string, amend ...object) object {
	in := object{"reference": reference, "legs": []any{object{"carrier": "correios", "trackingNumber": "BR 123 " + reference}},
		"parcel": object{"origin": object{"country": "CN"}, "destination": object{"country": "BR", "postcode": "01310-100"}}}
	for _, a := range amend {
		for k, v := range a {
			in[k] = v
		}
	}
	return in
}

func TestRegisterShipments(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	full := registration("FULL", object{"order": "O-9", "registeredAt": "2026-11-20T10:00:00+08:00", "tags": []any{"a"}, "promise": object{"by": "2026-12-24", "source": "MARKETPLACE"},
		"recipient": object{"name": "Ana"}, "legs": []any{object{"stage": "LAST_MILE", "carrier": "correios", "trackingNumber": "br 123 full", "cost": object{"amount": "4.5", "currency": "USD"}}},
		"parcel": object{"origin": object{"country": "CN"}, "destination": object{"country": "BR"}, "weightGrams": 450, "declaredValue": object{"amount": "12.5", "currency": "USD"}, "attributes": []any{}}})
	const fullShown = `{"reference": "FULL", "order": {"reference": "O-9"}, "milestone": "REGISTERED", "goods": {"weightGrams": 450, "declaredValue": {"amount": "12.50", "currency": "USD"}, "attributes": []},
		"legs": [{"stage": "LAST_MILE", "carrier": {"code": "correios"}, "trackingNumber": "BR123FULL", "cost": {"amount": "4.50"}}], "promise": {"first": {"by": "2026-12-24", "source": "MARKETPLACE"}},
		"recipient": {"name": "Ana", "erasedAt": null}, "registeredAt": "2026-11-20T02:00:00Z"}`
	warning := `[{"code": "CARRIER_NOT_CONFIGURED", "path": ["input", "0", "legs", "0", "carrier"], "isWarning": true}]`
	w.want(v, register, object{"in": []any{full}}, `{"registerShipments": {"created": 1, "userErrors": [], "results": [{"outcome": "CREATED", "shipment": `+fullShown+`, "userErrors": `+warning+`}]}}`)
	w.want(v, register, object{"in": []any{full}}, `{"registerShipments": {"created": 0, "userErrors": [], "results": [{"outcome": "UNCHANGED", "shipment": `+fullShown+`, "userErrors": [`+warning[1:len(warning)-1]+`,
		{"code": "WRONG_STATE", "path": ["input", "0", "recipient"], "isWarning": true}]}]}}`)

	contradicting := registration("FULL")
	w.want(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { outcome shipment { order { reference } } userErrors { code path isWarning } } } }`, object{"in": []any{contradicting}},
		`{"registerShipments": {"results": [{"outcome": "REFUSED", "shipment": {"order": {"reference": "O-9"}}, "userErrors": [`+warning[1:len(warning)-1]+`, {"code": "CONFLICT", "path": ["input", "0", "order"], "isWarning": false}]}]}}`)
}

// One bad item refuses itself, and every way of being bad names its place.
func TestRegisterShipmentsItemByItem(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	place := func(country string) object { return object{"country": country} }
	in := []any{
		registration("OK1"),
		registration("", object{}),
		registration("COUNTRY", object{"parcel": object{"origin": place("CN"), "destination": place("XX")}}),
		registration("WEIGHT", object{"parcel": object{"origin": place("CN"), "destination": place("BR"), "weightGrams": 100001}}),
		registration("MONEY", object{"parcel": object{"origin": place("CN"), "destination": place("BR"), "declaredValue": object{"amount": "1.234", "currency": "USD"}}}),
		registration("DECIMAL", object{"parcel": object{"origin": place("CN"), "destination": place("BR"), "declaredValue": object{"amount": "1,5", "currency": "USD"}}}),
		registration("DAY", object{"promise": object{"by": "24.12.2026"}}),
		registration("TAGS", object{"tags": anySlice(make([]string, 21))}),
		registration("ROUTE", object{"route": "no-such"}),
		registration("OK2"),
		registration("OK1"),
		registration("TWO\nLINES"),
		registration("A\x00NUL", object{"legs": []any{}}),
		registration("ORDER", object{"order": "O\n1", "tags": []any{"a", "b\tc"}}),
	}
	refused := func(code string, path string) string {
		return `{"outcome": "REFUSED", "userErrors": [{"code": "` + code + `", "path": [` + path + `], "isWarning": false}]}`
	}
	taken := func(i int, outcome, more string) string {
		return fmt.Sprintf(`{"outcome": %q, "userErrors": [{"code": "CARRIER_NOT_CONFIGURED", "path": ["input", "%d", "legs", "0", "carrier"], "isWarning": true}%s]}`, outcome, i, more)
	}
	w.want(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created results { outcome userErrors { code path isWarning } } } }`, object{"in": in}, `{"registerShipments": {"created": 2, "results": [`+
		taken(0, "CREATED", "")+`,`+
		refused("OUT_OF_RANGE", `"input", "1", "reference"`)+`,`+
		refused("MALFORMED", `"input", "2", "parcel", "destination", "country"`)+`,`+
		refused("OUT_OF_RANGE", `"input", "3", "parcel", "weightGrams"`)+`,`+
		refused("MALFORMED", `"input", "4", "parcel", "declaredValue", "amount"`)+`,`+
		refused("MALFORMED", `"input", "5", "parcel", "declaredValue", "amount"`)+`,`+
		refused("MALFORMED", `"input", "6", "promise", "by"`)+`,`+
		refused("TOO_MANY", `"input", "7", "tags"`)+`,`+
		refused("NOT_FOUND", `"input", "8", "route"`)+`,`+
		taken(9, "CREATED", "")+`,`+
		taken(10, "UNCHANGED", `, {"code": "DUPLICATE", "path": ["input", "10", "reference"], "isWarning": true}`)+`,`+
		refused("MALFORMED", `"input", "11", "reference"`)+`,`+
		refused("MALFORMED", `"input", "12", "reference"`)+`,`+
		`{"outcome": "REFUSED", "userErrors": [{"code": "MALFORMED", "path": ["input", "13", "order"], "isWarning": false}, {"code": "MALFORMED", "path": ["input", "13", "tags", "1"], "isWarning": false}]}]}}`)

	many := make([]any, 1001)
	for i := range many {
		many[i] = registration(fmt.Sprint("MANY", i))
	}
	w.want(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created results { outcome } userErrors { code path message { value locale } } } }`, object{"in": many},
		`{"registerShipments": {"created": 0, "results": [], "userErrors": [{"code": "TOO_MANY", "path": ["input"], "message": {"value": "1001 items: at most 1000", "locale": "en"}}]}}`)
	w.want(v, `mutation { registerShipments(input: []) { results { outcome } userErrors { code path } } }`, nil, `{"registerShipments": {"results": [], "userErrors": [{"code": "REQUIRED", "path": ["input"]}]}}`)
}

// Bounds inside the answer of a mutation hold like anywhere.
func TestBoundsInsideAPayload(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	a := w.ask(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { created results { outcome shipment { reference legs(first: 101) { stage } } } } }`, object{"in": []any{registration("A")}})
	if len(a.Errors) != 1 || a.Errors[0].Extensions["code"] != "INVALID_INPUT" || string(a.Data) != `{"registerShipments":{"created":1,"results":[{"outcome":"CREATED","shipment":null}]}}` {
		t.Errorf("%s %v", a.Data, a.Errors)
	}
}

func TestReportAndRetract(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	w.get(v, register, object{"in": []any{registration("A")}}, new(any))
	const report = `mutation($in: [ReportEventInput!]!) { reportEvents(input: $in) { userErrors { code } results { outcome event { id code occurredAt local { text clock dateOnly offset certainty timeZone } original { text } sources { kind } shipment { milestone } } userErrors { code path } } } }`
	in := []any{
		object{"carrier": "correios", "trackingNumber": "br-123-a", "code": "PICKED_UP", "localTime": "2026-11-20 09:30", "offset": "+08:00", "text": "at the shop's door"},
		object{"carrier": "correios", "trackingNumber": "BR123A", "code": "DESTINATION_COUNTRY_ARRIVED", "localTime": "2026-11-21T23:10", "place": object{"country": "BR", "city": "Curitiba"}},
		object{"carrier": "correios", "trackingNumber": "BR123A", "code": "IN_TRANSIT", "localTime": "2026-11-22"},
		object{"carrier": "correios", "trackingNumber": "BR123A", "code": "DELIVERED", "localTime": "yesterday noon"},
		object{"carrier": "correios", "trackingNumber": "BR123A", "code": "DELIVERED", "localTime": "2027-01-01 10:00"},
		object{"code": "DELIVERED", "localTime": "2026-11-22 10:00"},
		object{"shipment": graph.MakeID(graph.TypeShipment, "NOBODYS"), "code": "DELIVERED", "localTime": "2026-11-22 10:00"},
		object{"shipment": "x", "code": "DELIVERED", "localTime": "2026-11-22 10:00", "offset": "+99:00"},
	}
	var first struct {
		ReportEvents struct {
			Results []struct{ Event struct{ ID string } }
		}
	}
	w.get(v, report, object{"in": in}, &first)
	id := func(i int) string { return first.ReportEvents.Results[i].Event.ID }
	event := func(i int, code, at, local, text string) string {
		return fmt.Sprintf(`{"outcome": "UNCHANGED", "userErrors": [], "event": {"id": %q, "code": %q, "occurredAt": %q, "local": %s, "original": {"text": %s}, "sources": [{"kind": "REPORT"}], "shipment": {"milestone": "DESTINATION_ARRIVED"}}}`, id(i), code, at, local, text)
	}
	refused := func(i int, faults ...string) string {
		out := ""
		for k, f := range faults {
			if k > 0 {
				out += ","
			}
			var code, path string
			fmt.Sscan(f, &code, &path)
			out += fmt.Sprintf(`{"code": %q, "path": ["input", "%d", %q]}`, code, i, path)
		}
		return `{"outcome": "REFUSED", "event": null, "userErrors": [` + out + `]}`
	}
	// The same again changes nothing.
	w.want(v, report, object{"in": in}, `{"reportEvents": {"userErrors": [], "results": [`+
		event(0, "PICKED_UP", "2026-11-20T01:30:00Z", `{"text": "2026-11-20 09:30", "clock": "2026-11-20T09:30:00", "dateOnly": false, "offset": "+08:00", "certainty": "REPORTED", "timeZone": null}`, `"at the shop's door"`)+`,`+
		event(1, "DESTINATION_COUNTRY_ARRIVED", "2026-11-22T02:10:00Z", `{"text": "2026-11-21T23:10", "clock": "2026-11-21T23:10:00", "dateOnly": false, "offset": "-03:00", "certainty": "PLACE", "timeZone": "America/Sao_Paulo"}`, `null`)+`,`+
		event(2, "IN_TRANSIT", "2026-11-22T00:00:00Z", `{"text": "2026-11-22", "clock": "2026-11-22", "dateOnly": true, "offset": null, "certainty": "UNKNOWN", "timeZone": null}`, `null`)+`,`+
		refused(3, "MALFORMED localTime")+`,`+refused(4, "OUT_OF_RANGE localTime")+`,`+refused(5, "REQUIRED shipment")+`,`+
		refused(6, "NOT_FOUND shipment")+`,`+refused(7, "MALFORMED offset", "NOT_FOUND shipment")+`]}}`)

	const retract = `mutation($in: RetractEventInput!) { retractEvent(input: $in) { userErrors { code path } event { id code retraction { kind reason replacedBy { code } } shipment { milestone timeline { nodes { code } } } } } }`
	w.want(v, retract, object{"in": object{"event": id(1), "kind": "INCORRECT_DATA", "reason": "wrong pile", "replaceWith": object{"code": "ORIGIN_COUNTRY_DEPARTED", "localTime": "2026-11-21 23:10", "offset": "+08:00"}}}, fmt.Sprintf(`{"retractEvent": {"userErrors": [],
		"event": {"id": %q, "code": "DESTINATION_COUNTRY_ARRIVED", "retraction": {"kind": "INCORRECT_DATA", "reason": "wrong pile", "replacedBy": {"code": "ORIGIN_COUNTRY_DEPARTED"}},
		"shipment": {"milestone": "ORIGIN_DEPARTED", "timeline": {"nodes": [{"code": "PICKED_UP"}, {"code": "ORIGIN_COUNTRY_DEPARTED"}, {"code": "IN_TRANSIT"}]}}}}}`, id(1)))
	for _, c := range []struct {
		name string
		in   object
		want string
	}{
		{"a second time", object{"event": id(1), "kind": "DID_NOT_OCCUR"}, `{"code": "WRONG_STATE", "path": ["input", "event"]}`},
		{"what is no event", object{"event": "x", "kind": "DID_NOT_OCCUR"}, `{"code": "NOT_FOUND", "path": ["input", "event"]}`},
		{"in the carrier's name", object{"event": id(0), "kind": "BY_CARRIER"}, `{"code": "MALFORMED", "path": ["input", "kind"]}`},
		{"for something unreadable", object{"event": id(0), "kind": "INCORRECT_DATA", "replaceWith": object{"code": "DELIVERED", "localTime": "about noon"}}, `{"code": "MALFORMED", "path": ["input", "replaceWith", "localTime"]}`},
		{"with too long a reason", object{"event": id(0), "kind": "INCORRECT_DATA", "reason": string(make([]rune, 501))}, `{"code": "OUT_OF_RANGE", "path": ["input", "reason"]}`},
	} {
		t.Run("retract "+c.name, func(t *testing.T) {
			w.want(v, retract, object{"in": c.in}, `{"retractEvent": {"userErrors": [`+c.want+`], "event": null}}`)
		})
	}
}

func TestChangeTrackingNumber(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	var got struct {
		RegisterShipments struct {
			Results []struct {
				Shipment struct{ Legs []struct{ ID string } }
			}
		}
	}
	w.get(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { shipment { legs { id } } } } }`, object{"in": []any{registration("A")}}, &got)
	leg := got.RegisterShipments.Results[0].Shipment.Legs[0].ID
	const change = `mutation($in: ChangeTrackingNumberInput!) { changeTrackingNumber(input: $in) { userErrors { code path } leg { trackingNumber formerTrackingNumbers carrier { code } } } }`
	w.want(v, change, object{"in": object{"leg": leg, "trackingNumber": "br 999 x"}}, `{"changeTrackingNumber": {"userErrors": [], "leg": {"trackingNumber": "BR999X", "formerTrackingNumbers": ["BR123A"], "carrier": {"code": "correios"}}}}`)
	w.want(v, change, object{"in": object{"leg": leg}}, `{"changeTrackingNumber": {"userErrors": [{"code": "REQUIRED", "path": ["input", "trackingNumber"]}], "leg": null}}`)
	w.want(v, change, object{"in": object{"leg": "x", "trackingNumber": "12345"}}, `{"changeTrackingNumber": {"userErrors": [{"code": "NOT_FOUND", "path": ["input", "leg"]}], "leg": null}}`)
	w.want(v, change, object{"in": object{"leg": leg, "trackingNumber": "1"}}, `{"changeTrackingNumber": {"userErrors": [{"code": "OUT_OF_RANGE", "path": ["input", "trackingNumber"]}], "leg": null}}`)
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	const upsert = `mutation($in: [RouteInput!]!) { upsertRoutes(input: $in) { results { outcome route { id code name lane { code } serviceClass statedDays state legs { sequence stage carrierCode carrier { name } statedDays } } userErrors { code path isWarning } } } }`
	route := func(code string, days float64) object {
		return object{"code": code, "name": "Economy", "origin": "CN", "destination": "BR", "serviceClass": "POSTAL", "statedDays": 40,
			"legs": []any{object{"stage": "LINEHAUL", "carrier": "upu-postal", "statedDays": days}, object{"stage": "LAST_MILE", "carrier": "correios"}}}
	}
	shown := func(code, outcome string, days string) string {
		return fmt.Sprintf(`{"outcome": %q, "userErrors": [], "route": {"id": %q, "code": %q, "name": "Economy", "lane": {"code": "CN-BR"}, "serviceClass": "POSTAL", "statedDays": 40, "state": "LIVE",
			"legs": [{"sequence": 1, "stage": "LINEHAUL", "carrierCode": "upu-postal", "carrier": {"name": "UPU postal network"}, "statedDays": %s}, {"sequence": 2, "stage": "LAST_MILE", "carrierCode": "correios", "carrier": {"name": "Correios"}, "statedDays": null}]}}`,
			outcome, graph.MakeID(graph.TypeRoute, v.MerchantID+"."+code), code, days)
	}
	w.want(v, upsert, object{"in": []any{route("B", 12.5), route("A", 10)}}, `{"upsertRoutes": {"results": [`+shown("B", "CREATED", "12.5")+`,`+shown("A", "CREATED", "10")+`]}}`)
	bad := route("C", 500)
	bad["legs"].([]any)[1].(object)["carrier"] = "pigeon"
	w.want(v, upsert, object{"in": []any{route("A", 10), route("B", 11), bad, route("B", 12)}}, `{"upsertRoutes": {"results": [`+shown("A", "UNCHANGED", "10")+`,`+shown("B", "UPDATED", "11")+`,
		{"outcome": "REFUSED", "route": null, "userErrors": [{"code": "OUT_OF_RANGE", "path": ["input", "2", "legs", "0", "statedDays"], "isWarning": false}, {"code": "CARRIER_NOT_CONFIGURED", "path": ["input", "2", "legs", "1", "carrier"], "isWarning": true}]},
		{"outcome": "REFUSED", "route": null, "userErrors": [{"code": "DUPLICATE", "path": ["input", "3", "code"], "isWarning": false}]}]}}`)
	spread := route("D\nE", 1)
	spread["name"], spread["legs"].([]any)[0].(object)["serviceLevel"] = "a\tb", "c\nd"
	w.want(v, upsert, object{"in": []any{spread}}, `{"upsertRoutes": {"results": [{"outcome": "REFUSED", "route": null, "userErrors": [{"code": "MALFORMED", "path": ["input", "0", "code"], "isWarning": false},
		{"code": "MALFORMED", "path": ["input", "0", "name"], "isWarning": false}, {"code": "MALFORMED", "path": ["input", "0", "legs", "0", "serviceLevel"], "isWarning": false}]}]}}`)
	w.want(v, `{ routes { nodes { code legs(first: 1) { statedDays } } count { value } } some: routes(filter: { carriers: ["correios"], lane: { origin: "CN" }, states: [LIVE] }, first: 1) { nodes { code } pageInfo { hasNextPage } }
		none: routes(filter: { serviceClasses: [EXPRESS] }) { nodes { code } } }`, nil,
		`{"routes": {"nodes": [{"code": "A", "legs": [{"statedDays": 10}]}, {"code": "B", "legs": [{"statedDays": 11}]}], "count": {"value": 2}}, "some": {"nodes": [{"code": "A"}], "pageInfo": {"hasNextPage": true}}, "none": {"nodes": []}}`)

	// A registration on a route plans its legs, but for stages that it names.
	w.want(v, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { shipment { route { code } legs { stage trackingNumber carrier { code } } } } } }`,
		object{"in": []any{registration("R", object{"route": "A", "legs": []any{object{"stage": "LAST_MILE", "carrier": "correios", "trackingNumber": "BR777"}}})}},
		`{"registerShipments": {"results": [{"shipment": {"route": {"code": "A"}, "legs": [{"stage": "LINEHAUL", "trackingNumber": null, "carrier": {"code": "upu-postal"}}, {"stage": "LAST_MILE", "trackingNumber": "BR777", "carrier": {"code": "correios"}}]}}]}}`)
}
