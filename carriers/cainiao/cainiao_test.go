package cainiao

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "LP00612345678901"
	held      = "LP00612345678987"
	unknown   = "LP00000000000000"
	local     = "NL407712369BR"

	// sampleSecret is the one that the worked example and the sample push are
	// signed with.
	sampleSecret = "9v8K2example-secret-Cn01"
)

func account(t testing.TB, settings map[string]string) *cainiao {
	t.Helper()
	c, err := spec().New(carriers.Env{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*cainiao)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, kind, file string, asked ...string) parcel.Reading {
	t.Helper()
	r, err := account(t, nil).Decode(parcel.Payload{Carrier: name, Kind: kind, Body: sample(t, file), Numbers: asked})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rows(tellings ...[]parcel.Observation) []parcel.Event {
	var out []parcel.Event
	for _, told := range tellings {
		for _, o := range told {
			out = append(out, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
		}
	}
	return out
}

func fold(events []parcel.Event) parcel.Journey {
	s := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR"}}}
	return parcel.Fold(&s, nil, events)
}

func openKinds(j parcel.Journey) []parcel.ExceptionKind {
	var kinds []parcel.ExceptionKind
	for _, x := range j.Exceptions {
		if x.Open() {
			kinds = append(kinds, x.Kind)
		}
	}
	return kinds
}

func TestDecodeJourneys(t *testing.T) {
	outbound := []parcel.Code{
		parcel.CodeWarehouseReceived, parcel.CodeWarehousePacked, parcel.CodeWarehouseDispatched, parcel.CodePickedUp,
		parcel.CodeOriginHubArrived, parcel.CodeOriginHubDeparted, parcel.CodeExportExchangeArrived,
		parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsReleased, parcel.CodeHandedToLinehaul,
		parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived,
		parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsPresented,
	}
	for _, tc := range []struct {
		name, file, number string
		want               []parcel.Code // oldest first
		first, last        string
		outcome            parcel.Outcome
		open               []parcel.ExceptionKind
	}{
		{
			name: "delivered", file: "query-journey-delivered.json", number: delivered,
			want: append(slices.Clone(outbound), parcel.CodeImportCustomsReleased, parcel.CodeImportCustomsReleased,
				parcel.CodeLastMileAccepted, parcel.CodeDeliveryOfficeArrived, parcel.CodeOutForDelivery, parcel.CodeDelivered),
			first: "2026-10-20T12:00:00Z", last: "2026-10-30T16:20:05Z", outcome: parcel.OutcomeDelivered,
		},
		{
			name: "held by customs", file: "query-exception-customs.json", number: held,
			want:  append(slices.Clone(outbound), parcel.CodeImportCustomsHeld),
			first: "2026-10-20T12:00:00Z", last: "2026-10-29T12:00:00Z",
			open: []parcel.ExceptionKind{parcel.ExceptionCustomsHeld},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := decode(t, kindQuery, tc.file, tc.number)
			var codes []parcel.Code
			for _, o := range slices.Backward(r.Observations) {
				codes = append(codes, o.Code)
				if o.Occurred.Certainty != parcel.CertaintyReported || o.Number != tc.number || o.Language != "en-US" {
					t.Errorf("observation %s: certainty %s, number %s, language %s", o.OwnCode, o.Occurred.Certainty, o.Number, o.Language)
				}
			}
			if d := cmp.Diff(tc.want, codes); d != "" {
				t.Errorf("codes (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]parcel.NumberResult{{Number: tc.number, Finding: parcel.FindingFound}}, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
			got := []string{r.Observations[len(r.Observations)-1].Occurred.At.Format(time.RFC3339), r.Observations[0].Occurred.At.Format(time.RFC3339)}
			if d := cmp.Diff([]string{tc.first, tc.last}, got); d != "" {
				t.Errorf("first and last (-want +got):\n%s", d)
			}
			j := fold(rows(r.Observations))
			if j.Outcome != tc.outcome {
				t.Errorf("outcome %q", j.Outcome)
			}
			if d := cmp.Diff(tc.open, openKinds(j)); d != "" {
				t.Errorf("open exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeEvent(t *testing.T) {
	r := decode(t, kindQuery, "query-exception-customs.json", held)
	want := parcel.Observation{
		Carrier: "cainiao", Number: held, OwnCode: "CC_IM_FAILURE", Code: parcel.CodeImportCustomsHeld, Reason: parcel.ReasonProhibited,
		Words: "Package returned by customs: prohibited item", Language: "en-US",
		Occurred: parcel.Moment{
			At: time.Date(2026, 10, 29, 12, 0, 0, 0, time.UTC), Wall: "2026-10-29T09:00:00", Text: "2026-10-29 09:00:00",
			OffsetSeconds: -3 * 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
		},
		Rule: "CC_IM_FAILURE", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(want, r.Observations[0]); d != "" {
		t.Errorf("newest event (-want +got):\n%s", d)
	}
}

func TestPushIsOneEventOfTheQuery(t *testing.T) {
	query := decode(t, kindQuery, "query-journey-delivered.json", delivered)
	push := decode(t, kindPush, "push-event.form.txt")
	want := parcel.Observation{
		Carrier: "cainiao", Number: delivered, OwnCode: "CC_IM_SUCCESS", Code: parcel.CodeImportCustomsReleased,
		Words: "Import customs clearance complete", Language: "en-US",
		Occurred: parcel.Moment{
			At: time.Date(2026, 10, 28, 14, 40, 55, 0, time.UTC), Wall: "2026-10-28T11:40:55", Text: "2026-10-28 11:40:55",
			OffsetSeconds: -3 * 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
		},
		Place: parcel.Place{Country: "BR", City: "CURITIBA"}, NextCarrier: "correios", NextNumber: local,
		Rule: "CC_IM_SUCCESS", RuleVersion: "2026-11-22",
	}
	if d := cmp.Diff(parcel.Reading{
		Observations: []parcel.Observation{want},
		Aliases:      []parcel.Alias{{Number: delivered, Other: local, Carrier: "correios"}},
	}, push); d != "" {
		t.Fatalf("push (-want +got):\n%s", d)
	}
	if !slices.ContainsFunc(query.Observations, func(o parcel.Observation) bool { return o.Key() == want.Key() }) {
		t.Error("the query has no event of the same key")
	}
	if j := fold(rows(query.Observations, push.Observations)); len(j.Events) != 20 {
		t.Errorf("fold of both: %d events", len(j.Events))
	}
	// The same message as logs show it, out of its form.
	if d := cmp.Diff(push, decode(t, kindPush, "push-event.decoded.json")); d != "" {
		t.Errorf("decoded sample (-form +decoded):\n%s", d)
	}
}

func TestDigest(t *testing.T) {
	// The worked example: the raw bytes of MD5, not their hexadecimal text.
	got := digest(`{"mailNo":"LP00612345678901","cpCode":"DEMO","locale":"en_US"}`, sampleSecret)
	if want := "y4aEdfKPyNG4h7/LOii7Iw=="; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	signed := string(sample(t, "push-event.form.txt"))
	for _, tc := range []struct {
		name, secret, body string
		kind               error
	}{
		{"right", sampleSecret, signed, nil},
		{"another secret", "9v8K2example-secret-Cn02", signed, parcel.ErrDenied},
		{"account without a secret", "", signed, parcel.ErrDenied},
		{"message changed", sampleSecret, strings.Replace(signed, "CC_IM_SUCCESS", "GTMS_SIGNED", 1), parcel.ErrDenied},
		{"space added", sampleSecret, strings.Replace(signed, "%7B", "%7B+", 1), parcel.ErrDenied},
		{"no digest", sampleSecret, strings.Replace(signed, "data_digest", "digest", 1), parcel.ErrDenied},
		{"no message", sampleSecret, "data_digest=abc", parcel.ErrMalformed},
		{"no form", sampleSecret, "%zz", parcel.ErrMalformed},
		{"empty", sampleSecret, "", parcel.ErrMalformed},
		{"plus of the digest not escaped", "k8",
			"logistics_interface=%7B%7D&data_digest=" + digest("{}", "k8"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kind, err := account(t, map[string]string{"secret": tc.secret}).Verify(carriers.Delivery{Body: []byte(tc.body)})
			if !errors.Is(err, tc.kind) || err == nil && kind != kindPush {
				t.Errorf("kind %q, error %v", kind, err)
			}
		})
	}
}

func TestReply(t *testing.T) {
	c := account(t, nil)
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"taken", nil, string(sample(t, "push-reply-ok.json"))},
		{"bad signature", parcel.ErrDenied, string(sample(t, "push-reply-bad-signature.json"))},
		{"malformed", parcel.ErrMalformed, `{"success":"false","errorCode":"S07","errorMsg":"message cannot be read"}`},
		{"disk full", errors.New("disk full"), `{"success":"false","errorCode":"S07","errorMsg":"not taken, send again"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply := c.Reply(tc.err)
			var want, got map[string]string
			if err := errors.Join(json.Unmarshal([]byte(tc.want), &want), json.Unmarshal(reply.Body, &got)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" || reply.Status != http.StatusOK {
				t.Errorf("status %d (-want +got):\n%s", reply.Status, d)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	c := account(t, nil)
	for _, tc := range []struct {
		name, text, zone, epoch     string
		wall, at, offset, certainty string
	}{
		{"zone and epoch", "2026-10-30 13:20:05", "GMT-3", "1793377205000", "2026-10-30T13:20:05", "2026-10-30T16:20:05Z", "-03:00", "REPORTED"},
		{"zone of a push", "2026-10-30 13:20:05", "UTC-3", "", "2026-10-30T13:20:05", "2026-10-30T16:20:05Z", "-03:00", "REPORTED"},
		{"blank zone is GMT+8, whatever the epoch", "2026-10-30 13:20:05", " ", "1793377205000", "2026-10-30T13:20:05", "2026-10-30T05:20:05Z", "+08:00", "ASSUMED"},
		{"epoch is right where a zone is set", "2026-10-31 00:20:05", "GMT-3", "1793377205000", "2026-10-31T00:20:05", "2026-10-30T16:20:05Z", "+08:00", "REPORTED"},
		{"epoch is nonsense", "2026-10-30 13:20:05", "GMT-3", "5", "2026-10-30T13:20:05", "2026-10-30T16:20:05Z", "-03:00", "REPORTED"},
		{"epoch alone", "", "GMT-3", "1793377205000", "2026-10-30T13:20:05", "2026-10-30T16:20:05Z", "-03:00", "REPORTED"},
		{"epoch in seconds", "", "", "1793377205", "2026-10-31T00:20:05", "2026-10-30T16:20:05Z", "+08:00", "ASSUMED"},
		{"named zone", "2026-10-30 13:20:05", "America/Sao_Paulo", "", "2026-10-30T13:20:05", "2026-10-30T16:20:05Z", "-03:00", "REPORTED"},
		{"zone that is none", "2026-10-30 13:20:05", "local", "", "2026-10-30T13:20:05", "2026-10-30T13:20:05Z", "", "UNKNOWN"},
		{"full-width zone", "2026-10-30 13:20:05", "ＧＭＴ－３", "", "2026-10-30T13:20:05", "2026-10-30T16:20:05Z", "-03:00", "REPORTED"},
		{"day", "2026-10-30", "", "", "2026-10-30", "2026-10-29T16:00:00Z", "+08:00", "ASSUMED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := c.moment(tc.text, strings.TrimSpace(tc.zone), tc.epoch)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{m.Wall, m.At.Format(time.RFC3339), m.Offset(), string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.at, tc.offset, tc.certainty}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
		})
	}
	for _, bad := range []string{"", "yesterday", "2026-13-01 00:00:00"} {
		if _, err := c.moment(bad, "GMT+8", ""); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("time %q: %v", bad, err)
		}
	}
}

func TestTraps(t *testing.T) {
	c := account(t, nil)
	for _, tc := range []struct {
		name, code string
		want       parcel.Code
		to         parcel.DeliveredTo
		own        string
	}{
		{"the station signed, not the buyer", "GTMS_STA_SIGNED", parcel.CodeReadyForPickup, parcel.DeliveredToPickupPoint, "GTMS_STA_SIGNED"},
		{"the last mile accepted, not delivered", "GTMS_ACCEPT", parcel.CodeLastMileAccepted, "", "GTMS_ACCEPT"},
		{"what a declaration means is the fold's to say", "CC_IM_START", parcel.CodeImportCustomsPresented, "", "CC_IM_START"},
		{"full-width underscore", "CC\uff3fTRANS_START", parcel.CodeTransitCountryArrived, "", "CC_TRANS_START"},
		{"lower case and spaces", " lh_depart ", parcel.CodeOriginCountryDeparted, "", "LH_DEPART"},
		{"pattern", "RT_WH_INBOUND", parcel.CodeReturnStarted, "", "RT_WH_INBOUND"},
		{"exact beats pattern", "RT_WH_DESTROY", parcel.CodeDisposed, "", "RT_WH_DESTROY"},
		{"no change", "LH_OTHER", parcel.CodeUnknown, "", "LH_OTHER"},
		{"nobody mapped it", "XX_FAILURE", parcel.CodeUnknown, "", "XX_FAILURE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, err := json.Marshal(map[string]any{"module": []any{map[string]any{"mailNo": delivered, "detailList": []any{
				map[string]any{"actionCode": tc.code, "timeStr": "2026-10-30 13:20:05", "desc": "<b>Words</b> &amp; more"},
			}}}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Decode(parcel.Payload{Kind: kindQuery, Body: body})
			if err != nil || len(r.Observations) != 1 {
				t.Fatalf("%d observations, %v", len(r.Observations), err)
			}
			o := r.Observations[0]
			if o.Code != tc.want || o.DeliveredTo != tc.to || o.OwnCode != tc.own || o.Words != "Words & more" {
				t.Errorf("got %s to %q, own code %s, words %q", o.Code, o.DeliveredTo, o.OwnCode, o.Words)
			}
		})
	}
}

func TestNextNumber(t *testing.T) {
	const events = `"detailList":[
		{"actionCode":"GTMS_ACCEPT","timeStr":"2026-10-28 16:30:00","timeZone":"GMT-3"},
		{"actionCode":"CC_HO_OUT_SUCCESS","timeStr":"2026-10-28 12:02:10","timeZone":"GMT-3"},
		{"actionCode":"LH_ARRIVE","timeStr":"2026-10-27 06:45:00","timeZone":"GMT-3"}]`
	for _, tc := range []struct {
		name, parcel    string
		number, carrier string
		event           int // -1: none
	}{
		{"S10 of the destination's post", `"copyRealMailNo":"nl 407712369 br","destCountry":"Brazil",` + events, local, "correios", 1},
		{"post named by Cainiao", `"copyRealMailNo":"LP999","destCountry":"Russia","destCpInfo":{"cpName":"Russian Post"},` + events, "LP999", "russian-post", 1},
		{"S10 of the origin's post", `"copyRealMailNo":"RB518204475CN","destCountry":"Brazil",` + events, "RB518204475CN", "", 1},
		{"S10 of another country than the destination", `"copyRealMailNo":"NL407712369BR","destCountry":"Portugal",` + events, local, "", 1},
		{"private number", `"copyRealMailNo":"YT2629300700188234","destCountry":"Brazil",` + events, "YT2629300700188234", "", 1},
		{"its own number", `"copyRealMailNo":"` + delivered + `",` + events, "", "", -1},
		{"before any event", `"copyRealMailNo":"NL407712369BR","detailList":[]`, local, "correios", -1},
		{"none of the events changes hands: the newest", `"copyRealMailNo":"NL407712369BR","detailList":[
			{"actionCode":"LH_DEPART","timeStr":"2026-10-25 22:10:00","timeZone":"GMT+8"},
			{"actionCode":"LH_ARRIVE","timeStr":"2026-10-27 06:45:00","timeZone":"GMT-3"}]`, local, "correios", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindQuery, Body: []byte(`{"module":[{"mailNo":"` + delivered + `",` + tc.parcel + `}]}`)})
			if err != nil {
				t.Fatal(err)
			}
			var aliases []parcel.Alias
			if tc.number != "" {
				aliases = []parcel.Alias{{Number: delivered, Other: tc.number, Carrier: tc.carrier}}
			}
			if d := cmp.Diff(aliases, r.Aliases); d != "" {
				t.Errorf("aliases (-want +got):\n%s", d)
			}
			for i, o := range r.Observations {
				wantNumber, wantCarrier := "", ""
				if i == tc.event {
					wantNumber, wantCarrier = tc.number, tc.carrier
				}
				if o.NextNumber != wantNumber || o.NextCarrier != wantCarrier {
					t.Errorf("event %d (%s): next %q of %q", i, o.OwnCode, o.NextNumber, o.NextCarrier)
				}
			}
		})
	}
}

func TestDecodeAnswersWithoutParcel(t *testing.T) {
	c := account(t, map[string]string{"denied_codes": "S02, S03"})
	none := func(detail string) []parcel.NumberResult {
		return []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: detail}}
	}
	for _, tc := range []struct {
		name, body string
		want       []parcel.NumberResult
		kind       error
	}{
		{"unknown", string(sample(t, "query-unknown.json")), none("NOT_FOUND"), nil},
		{"empty list of parcels", `{"module":[],"success":true}`, none(""), nil},
		{"no parcels", `{"module":null,"success":"true"}`, none(""), nil},
		{"bad signature", string(sample(t, "push-reply-bad-signature.json")), nil, parcel.ErrDenied},
		{"denied by code", `{"success":false,"errorCode":"S03","errorMsg":"x"}`, nil, parcel.ErrDenied},
		{"permission", `{"success":"FALSE","errorCode":"S99","errorMsg":"No permission to call"}`, nil, parcel.ErrDenied},
		{"too often", `{"success":0,"errorCode":"S99","errorMsg":"call limit reached"}`, nil, parcel.ErrThrottled},
		{"time-out", `{"success":false,"errorCode":"S06","errorMsg":"time out"}`, nil, parcel.ErrUnavailable},
		{"another shape", `{"success":true,"data":[]}`, nil, parcel.ErrMalformed},
		{"array", `[]`, nil, parcel.ErrMalformed},
		{"web page", `<html></html>`, nil, parcel.ErrMalformed},
		{"cut off", `{"module":[{"mailNo":"LP1"`, nil, parcel.ErrMalformed},
		{"empty", ``, nil, parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := c.Decode(parcel.Payload{Kind: kindQuery, Body: []byte(tc.body), Numbers: []string{unknown}})
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeLinkAnswer(t *testing.T) {
	r := decode(t, kindTrace, "link-trace-answer.json", "LP00612345671203")
	var got []string
	for _, o := range r.Observations {
		got = append(got, strings.Join([]string{o.OwnCode, string(o.Code), o.Occurred.Offset(), string(o.Occurred.Certainty), o.Language, o.NextNumber, o.NextCarrier, o.Words}, "|"))
	}
	want := []string{
		"GTMS_STA_SIGNED|READY_FOR_PICKUP|+03:00|REPORTED|en-US|||Parcel signed for by the station, tel. [redacted]",
		"CC_HO_OUT_SUCCESS|IMPORT_CUSTOMS_RELEASED|+03:00|REPORTED|en-US|RA644000120RU|russian-post|Departed from customs",
		"CC_TRANS_START|TRANSIT_COUNTRY_ARRIVED|+08:00|ASSUMED|en-US|||Transit customs clearance started",
		"COMMON_INTRANSIT|IN_TRANSIT|+08:00|ASSUMED|zh|||快件运输中，快递员：[redacted] [redacted]",
		"ZZ_NEW_CODE|UNKNOWN|+08:00|REPORTED|en-US|||Something new",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func TestBadItemHidesNoOther(t *testing.T) {
	body := `{"module":["what",{"detailList":[]},{"mailNo":12345678901234567890,"detailList":[
		7,
		{"actionCode":"LH_DEPART","timeStr":"soon"},
		{"actionCode":true,"time":1793377205000,"timeZone":"GMT-3","desc":null},
		{"timeStr":"2026-10-30 13:20:05","timeZone":null,"desc":42}
	]}]}`
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindQuery, Body: []byte(body)})
	for _, item := range []string{"parcel 1:", "parcel 2:", "parcel 3, event 1:", "parcel 3, event 2:"} {
		if err == nil || !strings.Contains(err.Error(), item) {
			t.Errorf("error does not name %q: %v", item, err)
		}
	}
	if !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("kind of %v", err)
	}
	var got []string
	for _, o := range r.Observations {
		got = append(got, strings.Join([]string{o.Number, o.OwnCode, o.Occurred.Wall, o.Words}, " "))
	}
	want := []string{"12345678901234567890 TRUE 2026-10-30T13:20:05 ", "12345678901234567890  2026-10-30T13:20:05 42"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("observations (-want +got):\n%s", d)
	}
}

func TestContractOfAnotherShape(t *testing.T) {
	c := account(t, map[string]string{
		"secret": "s", "provider_id": "p", "pull_api": "DEMO_TRACE",
		"pull_items": "data.orders", "pull_events": "", "pull_fields": "number=order.no code=status|/defaultStatus time=when zone=tz city=at.city",
		"push_items": "payload", "push_events": "nodes", "push_fields": "number=no code=node time=ts words=text",
	})
	r, err := c.Decode(parcel.Payload{Kind: kindTrace, Body: []byte(
		`{"success":"true","defaultStatus":"GOT","data":"{\"orders\":[{\"order\":{\"no\":\"lp 1\"},\"when\":\"2026-10-30 13:20:05\",\"tz\":\"GMT-3\",\"at\":{\"city\":\"Curitiba\"}}]}"}`)})
	if err != nil || len(r.Observations) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if o := r.Observations[0]; o.Number != "LP1" || o.Code != parcel.CodePickedUp || o.Place.City != "Curitiba" || o.Occurred.Offset() != "-03:00" {
		t.Errorf("pull: %+v", o)
	}
	form := url.Values{"logistics_interface": {`{"payload":{"no":"LP1","nodes":[{"node":"SIGNED","ts":"2026-10-30 13:20:05","text":"已签收，签收人：张三，电话 13812345678"}]}}`}}
	r, err = c.Decode(parcel.Payload{Kind: kindPush, Body: []byte(form.Encode())})
	if err != nil || len(r.Observations) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if o := r.Observations[0]; o.Code != parcel.CodeDelivered || o.Language != "zh" || o.Occurred.Offset() != "+08:00" || o.Words != "已签收，签收人：[redacted]，电话 [redacted]" {
		t.Errorf("push: %+v", o)
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		names    []string
	}{
		{"API without signature", map[string]string{"pull_api": "A"}, []string{"setting secret", "setting provider_id"}},
		{"no Boolean", map[string]string{"public_query": "maybe"}, []string{"setting public_query"}},
		{"no such field", map[string]string{"push_fields": "number=a code=b when=c"}, []string{"setting push_fields", `"when=c"`}},
		{"no path", map[string]string{"pull_fields": "number=a code= time=c"}, []string{"setting pull_fields", `"code="`}},
		{"needed field missing", map[string]string{"pull_fields": "number=a code=b"}, []string{"setting pull_fields", "time"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tc.settings})
			if !errors.Is(err, parcel.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			for _, n := range tc.names {
				if !strings.Contains(err.Error(), n) {
					t.Errorf("%v does not name %s", err, n)
				}
			}
		})
	}
	_, err := account(t, nil).Fetch(t.Context(), []carriers.Query{{Number: delivered}})
	if !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("fetch without API or public query: %v", err)
	}
}

func TestRedact(t *testing.T) {
	c := account(t, nil)
	const message = `{"logisticsEvent":{"eventBody":{"logisticsDetail":{"mailNo":"LP13812345678","actionCode":"GTMS_DO_DEPART",` +
		`"actionDesc":"<i>派送员</i>：张三 &lt;13812345678&gt;","occurTime":"2026-10-28 11:40:55","city":"CURITIBA",` +
		`"receiver":{"name":"A Person","phones":["1","2"]},"ext":"{\"buyerName\":\"A Person\",\"kind\":1}"}}}}`
	const want = `{"logisticsEvent":{"eventBody":{"logisticsDetail":{"mailNo":"LP13812345678","actionCode":"GTMS_DO_DEPART",` +
		`"actionDesc":"派送员：[redacted] <[redacted]>","occurTime":"2026-10-28 11:40:55","city":"CURITIBA",` +
		`"receiver":{"name":"[redacted]","phones":["[redacted]","[redacted]"]},"ext":"{\"buyerName\":\"[redacted]\",\"kind\":1}"}}}}`
	form := func(m string) parcel.Payload {
		return parcel.Payload{Kind: kindPush, Body: []byte("msg_type=T&logistics_interface=" + url.QueryEscape(m) + "&data_digest=" + url.QueryEscape(digest(m, "s")))}
	}
	clean := c.Redact(form(message))
	values, err := url.ParseQuery(string(clean.Body))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, values.Get("logistics_interface")); d != "" {
		t.Errorf("message (-want +got):\n%s", d)
	}
	if values.Get("msg_type") != "T" || values.Get("data_digest") != digest(message, "s") {
		t.Errorf("the rest of the form changed: %s", clean.Body)
	}
	before, err1 := c.Decode(form(message))
	after, err2 := c.Decode(clean)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil {
		t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
	}
	if w := before.Observations[0].Words; w != "派送员：[redacted] <[redacted]>" {
		t.Errorf("words %q", w)
	}
	if twice := c.Redact(clean); string(twice.Body) != string(clean.Body) {
		t.Errorf("twice: %s", twice.Body)
	}
	// What holds no person stays to the byte.
	for file, kind := range map[string]string{"query-journey-delivered.json": kindQuery, "query-unknown.json": kindTrace, "push-event.form.txt": kindPush} {
		if got := c.Redact(parcel.Payload{Kind: kind, Body: sample(t, file)}); string(got.Body) != string(sample(t, file)) {
			t.Errorf("%s changed", file)
		}
	}
}

// wall is a clock that stands still: no wait takes time.
type wall struct{}

func (wall) Now() time.Time                                   { return today() }
func (wall) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func today() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 20, 12, 0, 0, 0, time.UTC)
	shenzhen, curitiba := parcel.Place{Country: "CN", City: "Shenzhen"}, parcel.Place{Country: "BR", Region: "PR", City: "CURITIBA"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "BR", NextCarrier: "correios", NextNumber: local}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodeInfoReceived, Place: shenzhen},
		{Code: parcel.CodeWarehousePacked, Place: shenzhen},
		{Code: parcel.CodePickedUp, Place: shenzhen},
		{Code: parcel.CodeOriginCountryDeparted, Place: shenzhen},
		{Code: parcel.CodeImportCustomsPresented, Place: curitiba},
		{Code: parcel.CodeImportCustomsHeld, Reason: parcel.ReasonProhibited, Place: curitiba},
		{Code: parcel.CodeImportCustomsReleased, Place: curitiba},
		{Code: parcel.CodeDeliveryAttemptFailed, Reason: parcel.ReasonRecipientAbsent, Place: curitiba},
		{Code: parcel.CodeReadyForPickup, DeliveredTo: parcel.DeliveredToPickupPoint, Place: curitiba},
		{Code: parcel.CodeDelivered, DeliveredTo: parcel.DeliveredToRecipient, Place: curitiba},
	} {
		s.At = start.Add(time.Duration(i) * 19 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func TestRoundTrip(t *testing.T) {
	link := map[string]string{"secret": sampleSecret, "provider_id": "DEMO", "pull_api": "DEMO_TRACE"}
	for _, tc := range []struct {
		name     string
		settings map[string]string
		kind     string
		tamper   map[string]string
		want     error
	}{
		{name: "LINK", settings: link, kind: kindTrace},
		{name: "public query", settings: map[string]string{"public_query": "true"}, kind: kindQuery},
		{name: "another secret", settings: link, kind: kindTrace, tamper: map[string]string{"secret": "x"}, want: parcel.ErrDenied},
		{name: "another provider", settings: link, kind: kindTrace, tamper: map[string]string{"provider_id": "x"}, want: parcel.ErrDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(carriers.FakeEnv{Settings: tc.settings, Now: today, Journeys: func(n string) (carriers.FakeHistory, bool) {
				return history(), n == delivered
			}})
			server := httptest.NewServer(f.Handler())
			t.Cleanup(server.Close)
			settings := map[string]string{}
			for _, from := range []map[string]string{tc.settings, tc.tamper} {
				for k, v := range from {
					settings[k] = v
				}
			}
			carrier, err := spec().New(carriers.Env{Account: "main", BaseURL: server.URL, Settings: settings, HTTP: server.Client(), Wall: wall{}})
			if err != nil {
				t.Fatal(err)
			}
			payloads, err := carrier.(carriers.Fetcher).Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: unknown}})
			if err != nil || len(payloads) != 2 {
				t.Fatalf("%d payloads, %v", len(payloads), err)
			}
			r, err := carrier.Decode(payloads[0])
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if tc.want != nil {
				return
			}
			var got []carriers.FakeScan
			for _, o := range slices.Backward(r.Observations) {
				got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At})
			}
			want := history().Scans
			for i := range want {
				want[i].Place = parcel.Place{} // answers tell no places
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("scans (-sent +read):\n%s", d)
			}
			if d := cmp.Diff([]parcel.Alias{{Number: delivered, Other: local, Carrier: "correios"}}, r.Aliases); d != "" {
				t.Errorf("aliases (-want +got):\n%s", d)
			}
			r, err = carrier.Decode(payloads[1])
			if err != nil || len(r.Results) != 1 || r.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("unknown number: %+v, %v", r.Results, err)
			}
		})
	}
}

func TestFakePush(t *testing.T) {
	settings := map[string]string{"secret": sampleSecret}
	c := account(t, settings)
	f := newFake(carriers.FakeEnv{Settings: settings, Now: today})
	h := history()
	for n := range len(h.Scans) {
		told := h
		told.Scans = h.Scans[:n+1]
		d, ok := f.Push(delivered, told)
		if !ok {
			t.Fatalf("no push for %s", h.Scans[n].Code)
		}
		kind, err := c.Verify(d)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Decode(parcel.Payload{Kind: kind, Body: d.Body})
		if err != nil || len(r.Observations) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		o := r.Observations[0]
		got := carriers.FakeScan{Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo, At: o.Occurred.At, Place: o.Place}
		if d := cmp.Diff(h.Scans[n], got); d != "" {
			t.Errorf("scan (-sent +read):\n%s", d)
		}
	}
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func FuzzDecode(f *testing.F) {
	for _, file := range []string{"query-journey-delivered.json", "query-exception-customs.json", "query-unknown.json", "push-event.decoded.json", "push-reply-bad-signature.json"} {
		f.Add(kindQuery, sample(f, file))
		f.Add(kindPush, sample(f, file))
	}
	f.Add(kindPush, sample(f, "push-event.form.txt"))
	f.Add(kindTrace, sample(f, "link-trace-answer.json"))
	f.Add(kindQuery, []byte(`{"module":[{"mailNo":"LP1","detailList":[{"actionCode":"SIGNED","time":1793377205000,"desc":"签收人：张三 电话13812345678 <b>&amp;</b>"}]}]}`))
	c := account(f, nil)
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		p := parcel.Payload{Kind: kind, Body: body, Numbers: []string{delivered}}
		r, err := c.Decode(p)
		for _, o := range r.Observations {
			if o.Number == "" || !o.Code.Valid() || o.Occurred.IsZero() {
				t.Errorf("observation without number, code or time: %+v", o)
			}
		}
		if err == nil && len(r.Observations)+len(r.Results) == 0 {
			t.Error("neither read nor refused")
		}
		clean := c.Redact(p)
		again, _ := c.Decode(clean)
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
		if twice := c.Redact(clean); string(twice.Body) != string(clean.Body) {
			t.Errorf("redacting twice changes more: %q, %q", clean.Body, twice.Body)
		}
	})
}
