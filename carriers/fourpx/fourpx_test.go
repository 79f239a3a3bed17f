package fourpx

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "4PX3001872640915CN"
	failed    = "4PX3001872640944CN"
	unknown   = "4PX3001872640000CN"

	// The worked example's.
	sampleKey    = "a1b2c3d4-0000-4fpx-9999-demoappkey01"
	sampleSecret = "5f6e7d8c-demo-secret-4px"
)

func account(t testing.TB, settings map[string]string) *fourPX {
	t.Helper()
	c, err := spec().New(carriers.Env{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*fourPX)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answerWith is an answer about one parcel with these events.
func answerWith(t testing.TB, events ...any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"result": "1", "data": map[string]any{"deliveryOrderNo": delivered, "trackingList": events}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fold(observations []parcel.Observation) parcel.Journey {
	var rows []parcel.Event
	for _, o := range observations {
		rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
	}
	s := parcel.Shipment{Facts: parcel.Facts{Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "AU"}}}
	return parcel.Fold(&s, nil, rows)
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
	way := []parcel.Code{ // oldest first
		parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeWarehouseReceived, parcel.CodeWarehouseDispatched,
		parcel.CodeExportCustomsReleased, parcel.CodeHandedToLinehaul, parcel.CodeOriginCountryDeparted, parcel.CodeDestinationCountryArrived,
		parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsReleased, parcel.CodeLastMileAccepted, parcel.CodeOutForDelivery,
	}
	for _, tc := range []struct {
		name, file, number string
		end                parcel.Code
		last               string
		milestone          parcel.Milestone
		outcome            parcel.Outcome
		open               []parcel.ExceptionKind
		reason             parcel.Reason
	}{
		{name: "delivered", file: "journey-delivered.json", number: delivered, end: parcel.CodeDelivered, last: "2026-10-31T04:08:00Z",
			milestone: parcel.MilestoneDelivered, outcome: parcel.OutcomeDelivered},
		{name: "delivery failed", file: "exception-failed-delivery.json", number: failed, end: parcel.CodeDeliveryAttemptFailed, last: "2026-10-31T03:55:00Z",
			milestone: parcel.MilestoneOutForDelivery, open: []parcel.ExceptionKind{parcel.ExceptionAttemptFailed}, reason: parcel.ReasonAddressIncorrect},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: sample(t, tc.file), Numbers: []string{tc.number}})
			if err != nil {
				t.Fatal(err)
			}
			var codes []parcel.Code
			for _, o := range slices.Backward(r.Observations) {
				codes = append(codes, o.Code)
				if o.Occurred.Certainty != parcel.CertaintyReported || o.Number != tc.number || o.Language != "en" {
					t.Errorf("%s: certainty %s, number %s, language %s", o.OwnCode, o.Occurred.Certainty, o.Number, o.Language)
				}
			}
			if d := cmp.Diff(append(slices.Clone(way), tc.end), codes); d != "" {
				t.Fatalf("codes (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]parcel.NumberResult{{Number: tc.number, Finding: parcel.FindingFound}}, r.Results); d != "" || r.Aliases != nil {
				t.Errorf("aliases %v, results (-want +got):\n%s", r.Aliases, d)
			}
			newest := r.Observations[0]
			got := []string{r.Observations[len(codes)-1].Occurred.At.Format(time.RFC3339), newest.Occurred.At.Format(time.RFC3339)}
			if d := cmp.Diff([]string{"2026-10-24T03:25:36Z", tc.last}, got); d != "" || newest.Reason != tc.reason {
				t.Errorf("reason %q, first and last (-want +got):\n%s", newest.Reason, d)
			}
			j := fold(r.Observations)
			if j.Milestone != tc.milestone || j.Outcome != tc.outcome {
				t.Errorf("milestone %s, outcome %q", j.Milestone, j.Outcome)
			}
			if d := cmp.Diff(tc.open, openKinds(j)); d != "" {
				t.Errorf("open exceptions (-want +got):\n%s", d)
			}
		})
	}
}

func TestSign(t *testing.T) {
	public := map[string]string{
		"timestamp": "1792310400000", "method": method, "app_key": sampleKey, "v": "1.0.0", "format": format,
		// These do not count.
		"sign": "x", "access_token": "y", "language": "en",
	}
	body, err := json.Marshal(question{Number: delivered})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sign(public, body, sampleSecret), "7a4f8ac19014fe5c1758e1207d85e121"; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestRequest(t *testing.T) {
	c, err := spec().New(carriers.Env{Wall: wall{}, Settings: map[string]string{
		"app_key": sampleKey, "app_secret": sampleSecret, "access_token": "merchant", "version": "2.0.0", "language": "cn",
	}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := c.(*fourPX).request(t.Context(), delivered)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	query := req.URL.Query()
	got := map[string]string{"host": req.URL.Host, "path": req.URL.Path, "body": string(body), "type": req.Header.Get("Content-Type")}
	for k := range query {
		got[k] = query.Get(k)
	}
	want := map[string]string{
		"host": "open.4px.com", "path": "/router/api/service", "body": `{"deliveryOrderNo":"4PX3001872640915CN"}`, "type": "application/json",
		"method": method, "app_key": sampleKey, "v": "2.0.0", "format": "json", "language": "cn", "access_token": "merchant",
		"timestamp": "1795338000000", "sign": got["sign"],
	}
	if d := cmp.Diff(want, got); d != "" || len(got["sign"]) != 32 {
		t.Errorf("request (-want +got):\n%s", d)
	}
}

func TestEvents(t *testing.T) {
	for _, tc := range []struct {
		name, code, words string
		want              parcel.Code
		reason            parcel.Reason
		to                parcel.DeliveredTo
	}{
		{name: "D is delivering and not delivered", code: "FPX_D_SD", words: "Out for delivery", want: parcel.CodeOutForDelivery},
		{name: "F is forwarding and no failure", code: "FPX_F_ST", words: "x", want: parcel.CodeHandedToLinehaul},
		{name: "any failed delivery", code: "FPX_D_FDXX", words: "Nobody at home", want: parcel.CodeDeliveryAttemptFailed, reason: parcel.ReasonRecipientAbsent},
		{name: "no mapped step of delivery", code: "FPX_D_XX", words: "Delivered", want: parcel.CodeUnknown},
		{name: "any case", code: " fpx_s_okidc ", words: "Left with neighbour", want: parcel.CodeDelivered, to: parcel.DeliveredToNeighbour},
		{name: "held by customs", code: "FPX_I_RC", words: "Held by customs: duty unpaid", want: parcel.CodeImportCustomsHeld, reason: parcel.ReasonDutyUnpaid},
		{name: "released by customs", code: "FPX_I_RC", words: "Customs released", want: parcel.CodeImportCustomsReleased},
		{name: "something about customs", code: "FPX_I_RC", words: "Customs", want: parcel.CodeUnknown},
		{name: "destroyed", code: "FPX_C_DT", words: "x", want: parcel.CodeDisposed},
		{name: "late", code: "FPX_M_TDWF", words: "Delay due to weather", want: parcel.CodeLinehaulDelayed, reason: parcel.ReasonWeather},
		{name: "undeliverable", code: "FPX_D_UNDG", words: "x", want: parcel.CodeUnknown},
		{name: "relay of a delivery", code: "FPX_O_IR", words: "Parcel has been delivered", want: parcel.CodeDelivered},
		{name: "relay of a delivery, in Chinese", code: "FPX_O_IRI", words: "您的快件已签收", want: parcel.CodeDelivered},
		{name: "relay of what is not yet", code: "FPX_O_IR", words: "Your parcel will be delivered tomorrow", want: parcel.CodeInTransit},
		{name: "relay of a failure", code: "FPX_O_IR", words: "Could not be delivered: recipient absent", want: parcel.CodeDeliveryAttemptFailed, reason: parcel.ReasonRecipientAbsent},
		{name: "relay of what is undeliverable", code: "FPX_O_IR", words: "Undelivered", want: parcel.CodeDeliveryAttemptFailed},
		{name: "relay of what cannot be", code: "FPX_O_IR", words: "The parcel cannot be delivered", want: parcel.CodeDeliveryAttemptFailed},
		{name: "relay of what has not been", code: "FPX_O_IR", words: "It has not been delivered", want: parcel.CodeInTransit},
		{name: "relay of a failure, in Chinese", code: "FPX_O_IRI", words: "未能妥投", want: parcel.CodeDeliveryAttemptFailed},
		{name: "relay of a delivery to the sender", code: "FPX_O_IR", words: "Delivered to sender", want: parcel.CodeReturned, to: parcel.DeliveredToSender},
		{name: "relay of a handover", code: "FPX_O_IR", words: "Delivered to local carrier", want: parcel.CodeLastMileAccepted},
		{name: "relay of a return", code: "FPX_O_IR", words: "Returning to sender", want: parcel.CodeReturnStarted},
		{name: "relay of anything", code: "FPX_O_IRI", words: "Processed at hub", want: parcel.CodeInTransit},
		{name: "relayed words under another code", code: "FPX_O_XX", words: "Delivered", want: parcel.CodeUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: answerWith(t, map[string]any{
				"businessLinkCode": tc.code, "occurDatetime": "2026-10-31 14:08:00", "trackingContent": tc.words,
			})})
			if err != nil {
				t.Fatal(err)
			}
			o := r.Observations[0]
			if o.Code != tc.want || o.Reason != tc.reason || o.DeliveredTo != tc.to || o.OwnCode != strings.ToUpper(strings.TrimSpace(tc.code)) || o.Words != tc.words {
				t.Errorf("got %s %s to %q, own code %s, words %q", o.Code, o.Reason, o.DeliveredTo, o.OwnCode, o.Words)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	c := account(t, nil)
	for _, tc := range []struct{ name, text, zone, wall, at, offset, certainty string }{
		{"zone", "2026-10-31 14:08:00", "UTC+10:00", "2026-10-31T14:08:00", "2026-10-31T04:08:00Z", "+10:00", "REPORTED"},
		{"zone of half an hour, west", "2026-10-31 14:08:00", "UTC-03:30", "2026-10-31T14:08:00", "2026-10-31T17:38:00Z", "-03:30", "REPORTED"},
		{"named zone", "2026-10-31 14:08:00", "Australia/Sydney", "2026-10-31T14:08:00", "2026-10-31T03:08:00Z", "+11:00", "REPORTED"},
		{"no zone", "2026-10-31 14:08:00", "", "2026-10-31T14:08:00", "2026-10-31T06:08:00Z", "+08:00", "ASSUMED"},
		{"zone that is none", "2026-10-31 14:08:00", "local", "2026-10-31T14:08:00", "2026-10-31T14:08:00Z", "", "UNKNOWN"},
		{"day", "2026-10-31", "UTC+10:00", "2026-10-31", "2026-10-30T14:00:00Z", "+10:00", "REPORTED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := c.moment(tc.text, tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{m.Wall, m.At.Format(time.RFC3339), m.Offset(), string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.at, tc.offset, tc.certainty}, got); d != "" {
				t.Errorf("moment (-want +got):\n%s", d)
			}
		})
	}
	for _, bad := range []string{"", "soon", "2026-13-01 00:00:00", "31/10/2026 14:08"} {
		if _, err := c.moment(bad, ""); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("time %q: %v", bad, err)
		}
	}
}

func TestPlannedEventsAreNone(t *testing.T) {
	r, err := account(t, nil).Decode(parcel.Payload{
		Kind: kindTrack, ReceivedAt: time.Date(2026, 10, 31, 4, 0, 0, 0, time.UTC),
		Body: answerWith(t,
			map[string]any{"businessLinkCode": "FPX_S_OK", "occurDatetime": "2026-10-31 15:00:00", "timeZone": "UTC+10:00"},
			map[string]any{"businessLinkCode": "FPX_D_SD", "occurDatetime": "2026-10-31 14:00:00", "timeZone": "UTC+10:00"},
		),
	})
	if err != nil || len(r.Observations) != 1 || r.Observations[0].OwnCode != "FPX_D_SD" {
		t.Errorf("%+v, %v", r.Observations, err)
	}
}

func TestPlace(t *testing.T) {
	for _, tc := range []struct {
		name  string
		event map[string]any
		want  parcel.Place
	}{
		{"city", map[string]any{"occurLocation": "BRISBANE QLD"}, parcel.Place{City: "BRISBANE QLD"}},
		{"country for a location", map[string]any{"occurLocation": "Australia"}, parcel.Place{Country: "AU"}},
		{"all there is", map[string]any{"occurLocation": "BRISBANE QLD", "country": "AU", "zipcode": 4000}, parcel.Place{Country: "AU", City: "BRISBANE QLD", Postcode: "4000"}},
		{"city with the name of another country", map[string]any{"occurLocation": "Mexico", "country": "US"}, parcel.Place{Country: "US", City: "Mexico"}},
		{"no country", map[string]any{"country": "somewhere"}, parcel.Place{}},
		{"none", nil, parcel.Place{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := map[string]any{"businessLinkCode": "FPX_S_OK", "occurDatetime": "2026-10-31 14:08:00"}
			maps.Copy(e, tc.event)
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: answerWith(t, e)})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, r.Observations[0].Place); d != "" {
				t.Errorf("place (-want +got):\n%s", d)
			}
		})
	}
}

func TestNumberOfTheLastMile(t *testing.T) {
	const lastMile = "LZ741203656CN"
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: sample(t, "journey-delivered.json"), Numbers: []string{lastMile}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]parcel.Alias{{Number: lastMile, Other: delivered}}, r.Aliases); d != "" || r.Observations[0].Number != lastMile {
		t.Errorf("number %s, aliases (-want +got):\n%s", r.Observations[0].Number, d)
	}
}

func TestAnswersWithoutTrack(t *testing.T) {
	c := account(t, map[string]string{"denied_codes": "000014, 000099"})
	none := func(detail string) []parcel.NumberResult {
		return []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: detail}}
	}
	refused := func(code, words string) string {
		return `{"result":"0","msg":"failed","errors":[{"error_code":"` + code + `","error_msg":"` + words + `"}],"data":null}`
	}
	for _, tc := range []struct {
		name, body string
		want       []parcel.NumberResult
		kind       error
	}{
		{"unknown or no track yet", string(sample(t, "error-no-track.json")), none("AT014002 No relevant logistics track found"), nil},
		{"success and nothing", `{"result":"1","data":null}`, none(""), nil},
		{"success and an empty list", `{"result":1,"data":"{\"deliveryOrderNo\":\"x\",\"trackingList\":[]}"}`, none(""), nil},
		{"bad signature", string(sample(t, "error-bad-sign.json")), nil, parcel.ErrDenied},
		{"another code of the account's", refused("000099", "x"), nil, parcel.ErrDenied},
		{"expired timestamp", refused("1", "timestamp has expired"), nil, parcel.ErrDenied},
		{"unknown application", refused("1", "Invalid app_key"), nil, parcel.ErrDenied},
		{"permission", refused("1", "没有权限"), nil, parcel.ErrDenied},
		{"too often", refused("1", "Request too frequent"), nil, parcel.ErrThrottled},
		{"whatever it is", refused("500", "System error"), nil, parcel.ErrUnavailable},
		{"no errors", `{"result":"0","msg":"System processing failed","errors":null}`, nil, parcel.ErrUnavailable},
		{"no result", `{"data":{}}`, nil, parcel.ErrMalformed},
		{"data of another shape", `{"result":"1","data":[1]}`, nil, parcel.ErrMalformed},
		{"data cut off", `{"result":"1","data":"{\"deli"}`, nil, parcel.ErrMalformed},
		{"cut off", `{"result":"1","data":{`, nil, parcel.ErrMalformed},
		{"array", `[]`, nil, parcel.ErrMalformed},
		{"empty", ``, nil, parcel.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := c.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tc.body), Numbers: []string{unknown}})
			if !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want kind %v", err, tc.kind)
			}
			if _, ok := errors.AsType[*parcel.Throttled](err); ok != (tc.kind == parcel.ErrThrottled) {
				t.Errorf("error %v", err)
			}
			if d := cmp.Diff(tc.want, r.Results); d != "" {
				t.Errorf("results (-want +got):\n%s", d)
			}
		})
	}
}

func TestBadEventHidesNoOther(t *testing.T) {
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: answerWith(t,
		7, map[string]any{"businessLinkCode": "FPX_S_OK", "occurDatetime": "soon"}, map[string]any{"occurDatetime": "2026-10-31 14:08:00"},
		map[string]any{"businessLinkCode": 12, "occurDatetime": "2026-10-31 14:08:00", "timeZone": nil, "trackingContent": nil},
	)})
	for _, place := range []string{"item 0: ", "trackingList, item 0: occurDatetime", "trackingList, item 1: neither"} {
		if err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("error does not name %q: %v", place, err)
		}
	}
	if !errors.Is(err, parcel.ErrMalformed) || len(r.Observations) != 1 || r.Observations[0].OwnCode != "12" || r.Observations[0].Code != parcel.CodeUnknown {
		t.Errorf("observations %+v, error %v", r.Observations, err)
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		says     string
	}{
		{"secret alone", map[string]string{"app_secret": sampleSecret}, "setting app_key"},
		{"key alone", map[string]string{"app_key": sampleKey}, "setting app_secret"},
		{"no such language", map[string]string{"language": "zh-CN"}, "setting language"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tc.settings})
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), sampleSecret) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := account(t, nil).Fetch(t.Context(), []carriers.Query{{Number: delivered}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("fetch without credentials: %v", err)
	}
}

func TestRedact(t *testing.T) {
	c := account(t, nil)
	for _, file := range []string{"journey-delivered.json", "exception-failed-delivery.json", "error-no-track.json", "error-bad-sign.json"} {
		// What holds no person stays to the byte.
		if got := c.Redact(parcel.Payload{Kind: kindTrack, Body: sample(t, file)}); string(got.Body) != string(sample(t, file)) {
			t.Errorf("%s changed: %s", file, got.Body)
		}
	}
	p := parcel.Payload{Kind: kindTrack, Body: answerWith(t, map[string]any{
		"businessLinkCode": "FPX_S_OK", "occurDatetime": "2026-10-31 14:08:00", "trackingContent": "Delivered &amp; signed by: A PERSON", "receiverName": "A PERSON",
	})}
	clean := c.Redact(p)
	if strings.Contains(string(clean.Body), "PERSON") {
		t.Errorf("a name is left: %s", clean.Body)
	}
	before, err1 := c.Decode(p)
	after, err2 := c.Decode(clean)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil || before.Observations[0].Words != "Delivered & signed by: [redacted]" {
		t.Errorf("reading changed, %v, %v (-before +after):\n%s", err1, err2, d)
	}
}

// wall is a clock that stands still: no wait takes time.
type wall struct{}

func (wall) Now() time.Time                                   { return today() }
func (wall) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func today() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func history() carriers.FakeHistory {
	start := time.Date(2026, 10, 24, 3, 0, 0, 0, time.UTC)
	dongguan, sydney := parcel.Place{Country: "CN", City: "DongGuan"}, parcel.Place{Country: "AU", City: "SYDNEY", Postcode: "2000"}
	h := carriers.FakeHistory{Origin: "CN", Destination: "AU"}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodeInfoReceived, Place: dongguan},
		{Code: parcel.CodeWarehouseReceived, Place: dongguan},
		{Code: parcel.CodeOriginCountryDeparted, Place: dongguan},
		{Code: parcel.CodeImportCustomsHeld, Reason: parcel.ReasonProhibited, Place: sydney},
		{Code: parcel.CodeImportCustomsReleased, Place: sydney},
		{Code: parcel.CodeDeliveryAttemptFailed, Reason: parcel.ReasonRecipientAbsent, Place: sydney},
		{Code: parcel.CodeDelivered, Place: sydney},
	} {
		s.At = start.Add(time.Duration(i) * 29 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

func TestRoundTrip(t *testing.T) {
	right := map[string]string{"app_key": sampleKey, "app_secret": sampleSecret, "access_token": "merchant"}
	for _, tc := range []struct {
		name   string
		tamper map[string]string
		want   error
	}{
		{name: "right"},
		{name: "another language", tamper: map[string]string{"language": "cn"}},
		{name: "another secret", tamper: map[string]string{"app_secret": "x"}, want: parcel.ErrDenied},
		{name: "another application", tamper: map[string]string{"app_key": "x"}, want: parcel.ErrDenied},
		{name: "another merchant", tamper: map[string]string{"access_token": "x"}, want: parcel.ErrDenied},
		{name: "no merchant", tamper: map[string]string{"access_token": ""}, want: parcel.ErrDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(carriers.FakeEnv{Settings: right, Now: today, Journeys: func(n string) (carriers.FakeHistory, bool) {
				return history(), n == delivered
			}})
			server := httptest.NewServer(f.Handler())
			t.Cleanup(server.Close)
			settings := maps.Clone(right)
			maps.Copy(settings, tc.tamper)
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
				got = append(got, carriers.FakeScan{Code: o.Code, Reason: o.Reason, At: o.Occurred.At, Place: o.Place})
			}
			if d := cmp.Diff(history().Scans, got); d != "" {
				t.Errorf("scans (-sent +read):\n%s", d)
			}
			r, err = carrier.Decode(payloads[1])
			if err != nil || len(r.Results) != 1 || r.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("unknown number: %+v, %v", r.Results, err)
			}
		})
	}
}

func TestNumbersIdentify(t *testing.T) {
	for _, n := range []string{delivered, failed, unknown} {
		if got := identify.Identify(n); len(got) == 0 || got[0].Carrier != name {
			t.Errorf("%s is taken for %+v", n, got)
		}
	}
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func FuzzDecode(f *testing.F) {
	for _, file := range []string{"journey-delivered.json", "exception-failed-delivery.json", "data-as-text.json", "error-no-track.json", "error-bad-sign.json"} {
		f.Add(sample(f, file))
	}
	f.Add(answerWith(f, map[string]any{"businessLinkCode": "FPX_O_IR", "occurDatetime": "2026-10-31", "trackingContent": "Delivered, signed by A &lt;b&gt; PERSON 13812345678"}))
	c := account(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindTrack, Body: body, Numbers: []string{delivered}}
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
