package track17

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	sampleKey = "E4D1F0A9-DEMO-17TRACK-KEY"
	delivered = "LV305584165CN"
	returning = "LV305584338CN"
)

func account(t testing.TB, settings map[string]string) *track17 {
	t.Helper()
	c, err := spec().New(carriers.Env{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*track17)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fold(observations []parcel.Observation) parcel.Journey {
	var rows []parcel.Event
	for _, o := range observations {
		if o.Carrier == "" {
			o.Carrier = name // as ingest does
		}
		rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
	}
	return parcel.Fold(&parcel.Shipment{}, nil, rows)
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

// seen is what matters of an observation here.
type seen struct {
	Carrier, Code, Wall, Offset, Next string
	Certainty                         parcel.Certainty
}

func seenOf(observations []parcel.Observation) []seen {
	var out []seen
	for _, o := range observations {
		out = append(out, seen{o.Carrier, string(o.Code), o.Occurred.Wall, o.Occurred.Offset(), strings.Trim(o.NextCarrier+" "+o.NextNumber, " "), o.Occurred.Certainty})
	}
	return out
}

func TestDecodeSamples(t *testing.T) {
	journey := []seen{
		{"china-post", "PICKED_UP", "2026-10-20T14:02:00", "+08:00", "", parcel.CertaintyReported},
		{"china-post", "ORIGIN_COUNTRY_DEPARTED", "2026-10-21T18:27:00", "+08:00", "la-poste " + delivered, parcel.CertaintyReported},
		{"la-poste", "DESTINATION_COUNTRY_ARRIVED", "2026-10-24T14:16:00", "+02:00", "", parcel.CertaintyReported},
		{"la-poste", "IMPORT_CUSTOMS_RELEASED", "2026-10-26T18:05:00", "+01:00", "", parcel.CertaintyReported},
		{"la-poste", "DELIVERED", "2026-10-28T10:12:00", "+01:00", "", parcel.CertaintyReported},
	}
	for _, tc := range []struct {
		name, kind, file string
		want             []seen
		results          []parcel.NumberResult
		aliases          []parcel.Alias
		estimates        []parcel.Estimate
		again            time.Duration
	}{
		{name: "push", kind: kindPush, file: "webhook-tracking-updated.json", want: journey},
		{name: "push: followed no longer", kind: kindPush, file: "webhook-tracking-stopped.json",
			results: []parcel.NumberResult{{Number: delivered, Finding: parcel.FindingUnknown, Detail: "TRACKING_STOPPED"}}},
		{name: "answer, with numbers rejected and a summary without events", kind: kindTrack, file: "gettrackinfo-mixed.json", want: journey,
			results: []parcel.NumberResult{
				{Number: delivered, Finding: parcel.FindingFound, Detail: "Delivered_Other"},
				{Number: returning, Finding: parcel.FindingFound, Detail: "Exception_Returning"},
				{Number: "12", Finding: parcel.FindingUnknown, Detail: "-18010012 The format of '12' is invalid."},
			}, again: firstNews},
		{name: "registered", kind: kindRegister, file: "register-answer.json", again: firstNews,
			results: []parcel.NumberResult{{Number: "QQ999", Finding: parcel.FindingUnknown, Detail: "-18019903 The carrier cannot be detected."}}},
		{name: "times, provider nobody listed, other number at the end", kind: kindTrack, file: "gettrackinfo-times-and-contacts.json",
			want: []seen{
				{"yunexpress", "PICKED_UP", "2026-10-30", "+08:00", "", parcel.CertaintyReported},
				{"yunexpress", "INFO_RECEIVED", "2026-10-29T18:00:00", "", "", parcel.CertaintyUnknown},
				{"yunexpress", "EXPORT_CUSTOMS_PRESENTED", "2026-10-31T09:00:00", "+08:00", "", parcel.CertaintyReported},
				{"yunexpress", "ORIGIN_COUNTRY_DEPARTED", "2026-11-01T23:10:00", "+08:00", "usps 9200190240000004218871", parcel.CertaintyPlace},
				{"", "CUSTOMS_DOCUMENTS_REQUIRED", "2026-11-03T07:00:00", "-08:00", "", parcel.CertaintyReported},
				{"usps", "UNKNOWN", "2026-11-04T10:30:00", "-05:00", "", parcel.CertaintyPlace},
				{"usps", "OUT_FOR_DELIVERY", "2026-11-05T08:10:00", "-05:00", "", parcel.CertaintyReported},
			},
			results:   []parcel.NumberResult{{Number: "YT2629300700188234", Finding: parcel.FindingFound, Detail: "OutForDelivery_Other"}},
			aliases:   []parcel.Alias{{Number: "YT2629300700188234", Other: "9200190240000004218871", Carrier: "usps"}},
			estimates: []parcel.Estimate{{Number: "YT2629300700188234", Earliest: "2026-11-05", Last: "2026-11-07"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: tc.kind, Body: sample(t, tc.file)})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, seenOf(r.Observations)); d != "" {
				t.Errorf("observations (-want +got):\n%s", d)
			}
			got := parcel.Reading{Results: r.Results, Aliases: r.Aliases, Estimates: r.Estimates, RetryAfter: r.RetryAfter}
			if d := cmp.Diff(parcel.Reading{Results: tc.results, Aliases: tc.aliases, Estimates: tc.estimates, RetryAfter: tc.again}, got); d != "" {
				t.Errorf("else (-want +got):\n%s", d)
			}
		})
	}
}

// The push of the sheet ends delivered; the answer opens no exception.
func TestOutcomes(t *testing.T) {
	for _, tc := range []struct{ kind, file string }{{kindPush, "webhook-tracking-updated.json"}, {kindTrack, "gettrackinfo-mixed.json"}} {
		r, err := account(t, nil).Decode(parcel.Payload{Kind: tc.kind, Body: sample(t, tc.file)})
		if err != nil {
			t.Fatal(err)
		}
		j := fold(r.Observations)
		if len(j.Events) != 5 || j.Outcome != parcel.OutcomeDelivered || len(j.Exceptions) > 0 {
			t.Errorf("%s: %d events, outcome %q, exceptions %v", tc.file, len(j.Events), j.Outcome, j.Exceptions)
		}
		first, last := j.Events[0].Occurred.At, j.Events[4].Occurred.At
		if first.Format(time.RFC3339) != "2026-10-20T06:02:00Z" || last.Format(time.RFC3339) != "2026-10-28T09:12:00Z" {
			t.Errorf("%s: from %s to %s", tc.file, first, last)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, kind, body string
		want             error
		wait             time.Duration
	}{
		{"key", kindTrack, string(sample(t, "error-auth-401.json")), parcel.ErrDenied, 0},
		{"address not on the list", kindTrack, `{"code":-18010001,"data":{"errors":[{"code":-18010001,"message":"IP"}]}}`, parcel.ErrDenied, 0},
		{"account disabled", kindTrack, `{"code":"-18010004","data":{}}`, parcel.ErrDenied, 0},
		{"too fast", kindTrack, string(sample(t, "error-throttled-429.json")), parcel.ErrThrottled, 0},
		{"internal", kindTrack, `{"code":-18010003,"data":{}}`, parcel.ErrUnavailable, 0},
		{"too many numbers", kindTrack, `{"code":-18010014,"data":{}}`, parcel.ErrMalformed, 0},
		{"a code nobody knows", kindTrack, `{"code":-5,"data":{}}`, parcel.ErrUnavailable, 0},
		{"quota of one number", kindRegister, `{"code":0,"data":{"accepted":[],"rejected":[{"number":"LV305584165CN","error":{"code":-18019908,"message":"Quota is not enough for use."}}]}}`, parcel.ErrThrottled, quotaWait},
		{"daily limit of one number", kindRegister, `{"code":0,"data":{"rejected":[{"number":"LV305584165CN","error":{"code":"-18019907"}}]}}`, parcel.ErrThrottled, quotaWait},
		{"neither list", kindTrack, `{"code":0,"data":{}}`, parcel.ErrMalformed, 0},
		{"no JSON", kindTrack, `pong`, parcel.ErrMalformed, 0},
		{"push without data", kindPush, `{"event":"TRACKING_UPDATED"}`, parcel.ErrMalformed, 0},
		{"push without number", kindPush, `{"event":"TRACKING_UPDATED","data":{"track_info":{}}}`, parcel.ErrMalformed, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := account(t, nil).Decode(parcel.Payload{Kind: tc.kind, Body: []byte(tc.body)})
			if !errors.Is(err, tc.want) || len(r.Results) > 0 {
				t.Fatalf("got %v and %v, want %v", err, r.Results, tc.want)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); ok && th.RetryAfter != tc.wait {
				t.Errorf("wait %s, want %s", th.RetryAfter, tc.wait)
			}
		})
	}
}

// A number of which the answer says nothing, and one that 17TRACK has no news
// of, are unknown.
func TestUnknownNumbers(t *testing.T) {
	body := `{"code":0,"data":{"accepted":[{"number":"LV305584165CN","track_info":{"latest_status":{"status":"NotFound","sub_status":"NotFound_InvalidCode"},"tracking":{"providers":[]}}}],
		"rejected":[{"number":"LV305584338CN","error":{"code":-18019909,"message":"No tracking information at this time."}}]}}`
	r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: []byte(body), Numbers: []string{delivered, returning, "RB518204475CN"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingUnknown, Detail: "NotFound_InvalidCode"},
		{Number: returning, Finding: parcel.FindingUnknown, Detail: "-18019909 No tracking information at this time."},
		{Number: "RB518204475CN", Finding: parcel.FindingUnknown, Detail: "not in the answer"},
	}
	if d := cmp.Diff(want, r.Results); d != "" || r.RetryAfter != 0 {
		t.Errorf("retry after %s, results (-want +got):\n%s", r.RetryAfter, d)
	}
}

func TestSignature(t *testing.T) {
	stopped := []byte(`{"event":"TRACKING_STOPPED","data":{"number":"LV305584165CN","carrier":3011,"param":null,"tag":"XB-55032"}}`)
	for _, tc := range []struct {
		name, want string
		body       []byte
	}{
		{"worked example", "d757c8ded2f55ed976908c9e64ebe8c5c3a1808aa21afc277ea8382d76a090f3", stopped},
		{"sample file", "7b6ac7f75d95c4057e2c8dbd096d79034447844b66021b4467cdeb3dff33b7c0", sample(t, "webhook-tracking-updated.json")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := signature(tc.body, sampleKey); got != tc.want {
				t.Errorf("got %s", got)
			}
			c := account(t, map[string]string{"key": sampleKey})
			kind, err := c.Verify(carriers.Delivery{Header: http.Header{"Sign": {strings.ToUpper(tc.want)}}, Body: tc.body})
			if err != nil || kind != kindPush {
				t.Errorf("kind %q, %v", kind, err)
			}
			other := account(t, map[string]string{"key": sampleKey, "sign_header": "X-Sign"})
			if _, err := other.Verify(carriers.Delivery{Header: http.Header{"Sign": {tc.want}}, Body: tc.body}); !errors.Is(err, parcel.ErrDenied) {
				t.Errorf("header of another name: %v", err)
			}
			if _, err := other.Verify(carriers.Delivery{Header: http.Header{"X-Sign": {tc.want}}, Body: tc.body}); err != nil {
				t.Errorf("header of the account's name: %v", err)
			}
		})
	}
}

func TestReply(t *testing.T) {
	c := account(t, nil)
	for want, err := range map[int]error{200: nil, 401: parcel.ErrDenied, 400: parcel.ErrMalformed, 503: parcel.ErrUnavailable} {
		if got := c.Reply(err).Status; got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}

// service answers methods by hand and remembers what it was asked.
type service struct {
	mu    sync.Mutex
	asked map[string][]wanted
	calls []string
	say   map[string]string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	body, err := io.ReadAll(r.Body)
	var list []wanted
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	s.mu.Lock()
	s.calls = append(s.calls, r.URL.Path)
	s.asked[method] = list
	say := s.say[method]
	s.mu.Unlock()
	if err != nil || r.Header.Get("17token") != sampleKey {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, say)
}

func served(t *testing.T, settings map[string]string, say map[string]string) (*track17, *service) {
	t.Helper()
	s := &service{asked: map[string][]wanted{}, say: say}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	set := map[string]string{"key": sampleKey}
	for k, v := range settings {
		set[k] = v
	}
	c, err := spec().New(carriers.Env{Account: "main", BaseURL: server.URL, Settings: set, HTTP: server.Client(), Wall: clock.Wall()})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*track17), s
}

func rejectedBody(code string, numbers ...string) string {
	var list []string
	for _, n := range numbers {
		list = append(list, `{"number":"`+n+`","error":{"code":`+code+`,"message":"why"}}`)
	}
	return `{"code":0,"data":{"accepted":[],"rejected":[` + strings.Join(list, ",") + `]}}`
}

func TestRegistersWhatIsNot(t *testing.T) {
	c, s := served(t, map[string]string{"language": "en"}, map[string]string{
		methodTrack:    rejectedBody("-18019902", delivered, "NEVERASKED1"),
		methodRegister: `{"code":0,"data":{"accepted":[{"number":"` + delivered + `"}],"rejected":[]}}`,
	})
	payloads, err := c.Fetch(t.Context(), []carriers.Query{{Number: "lv 3055 8416 5cn", Postcode: "75011"}, {Number: returning}, {Number: delivered}})
	if err != nil || len(payloads) != 2 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	if d := cmp.Diff([]wanted{{Number: delivered}, {Number: returning}}, s.asked[methodTrack]); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]wanted{{Number: delivered, Param: "75011", Language: "en", AutoDetection: true}}, s.asked[methodRegister]); d != "" {
		t.Errorf("registered (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"/track/v2.2/gettrackinfo", "/track/v2.2/register"}, s.calls); d != "" {
		t.Error(d)
	}
	for _, p := range payloads {
		r, err := c.Decode(p)
		if err != nil || r.RetryAfter != firstNews {
			t.Errorf("%s: come again after %s, %v", p.Kind, r.RetryAfter, err)
		}
	}
	if got := payloads[1].Numbers; !slices.Equal(got, []string{delivered}) {
		t.Errorf("register payload of %v", got)
	}
}

func TestRegistersNothingIfTold(t *testing.T) {
	c, s := served(t, map[string]string{"register": "false", "version": "v2.4"}, map[string]string{methodTrack: rejectedBody("-18019902", delivered)})
	payloads, err := c.Fetch(t.Context(), []carriers.Query{{Number: delivered}})
	if err != nil || len(payloads) != 1 || !slices.Equal(s.calls, []string{"/track/v2.4/gettrackinfo"}) {
		t.Errorf("%d payloads, calls %v, %v", len(payloads), s.calls, err)
	}
	if _, err := spec().New(carriers.Env{Settings: map[string]string{"register": "perhaps"}}); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("register: perhaps: %v", err)
	}
}

func TestQuotaIsShown(t *testing.T) {
	for _, tc := range []struct{ name, code, quota, want string }{
		{"quota", "-18019908", `{"code":0,"data":{"quota_total":200,"quota_used":200,"quota_remain":0,"today_used":12,"max_track_daily":0}}`, "200 of 200 used, 0 left, 12 today (no daily limit)"},
		{"daily limit", "-18019907", `{"code":0,"data":{"quota_total":"9000","quota_used":"120","quota_remain":"8880","today_used":"100","max_track_daily":"100"}}`, "120 of 9000 used, 8880 left, 100 today (100 a day)"},
		{"cannot be asked", "-18019908", `null`, "quota used up"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := served(t, nil, map[string]string{
				methodTrack: rejectedBody("-18019902", delivered, returning), methodRegister: rejectedBody(tc.code, delivered, returning), methodQuota: tc.quota,
			})
			payloads, err := c.Fetch(t.Context(), []carriers.Query{{Number: delivered}, {Number: returning}})
			th, ok := errors.AsType[*parcel.Throttled](err)
			if !ok || th.RetryAfter != quotaWait || !strings.Contains(err.Error(), "2 of 2 numbers") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v", err)
			}
			if len(payloads) != 2 {
				t.Errorf("%d payloads", len(payloads))
			}
		})
	}
}

// A refused key says so in 17TRACK's words, and not which key.
func TestRefusedKey(t *testing.T) {
	server := httptest.NewServer(newFake(carriers.FakeEnv{Settings: map[string]string{"key": "another"}, Now: clock.Wall().Now,
		Journeys: func(string) (carriers.FakeHistory, bool) { return carriers.FakeHistory{}, false }}, spec().Codes, mustProviders(providersCSV)).Handler())
	defer server.Close()
	c, err := spec().New(carriers.Env{BaseURL: server.URL, Settings: map[string]string{"key": sampleKey}, HTTP: server.Client(), Wall: clock.Wall()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.(carriers.Fetcher).Fetch(t.Context(), []carriers.Query{{Number: delivered}})
	if !errors.Is(err, parcel.ErrDenied) || !strings.Contains(err.Error(), "Invalid security key") || strings.Contains(err.Error(), sampleKey) {
		t.Errorf("error %v", err)
	}
	c, err = spec().New(carriers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.(carriers.Fetcher).Fetch(t.Context(), []carriers.Query{{Number: delivered}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("without a key: %v", err)
	}
}

func TestMoments(t *testing.T) {
	for _, tc := range []struct {
		name, event        string
		wall, offset, inst string
		certainty          parcel.Certainty
	}{
		{"instant and local clock", `"time_iso":"2026-10-28T10:12:00+01:00","time_utc":"2026-10-28T09:12:00Z"`, "2026-10-28T10:12:00", "+01:00", "2026-10-28T09:12:00Z", parcel.CertaintyReported},
		{"the instant counts", `"time_iso":"2026-10-28T10:12:00+08:00","time_utc":"2026-10-28T09:12:00Z"`, "2026-10-28T10:12:00", "+01:00", "2026-10-28T09:12:00Z", parcel.CertaintyReported},
		{"an instant too far off is a mistake", `"time_iso":"2026-10-28T10:12:00+08:00","time_utc":"2026-10-25T09:12:00Z"`, "2026-10-28T10:12:00", "+08:00", "2026-10-28T02:12:00Z", parcel.CertaintyReported},
		{"no instant: the place decides", `"time_iso":"2026-10-28T10:12:00+08:00","time_utc":null,"address":{"country":"FR"}`, "2026-10-28T10:12:00", "+01:00", "2026-10-28T09:12:00Z", parcel.CertaintyPlace},
		{"no instant, no place: the offset is an assumption", `"time_iso":"2026-10-28T10:12:00+08:00","time_utc":null`, "2026-10-28T10:12:00", "+08:00", "2026-10-28T02:12:00Z", parcel.CertaintyAssumed},
		{"country of many zones", `"time_iso":"2026-10-28T10:12:00","time_utc":null,"address":{"country":"US"}`, "2026-10-28T10:12:00", "-04:00", "2026-10-28T14:12:00Z", parcel.CertaintyAssumed},
		{"nothing but a clock", `"time_raw":"2026-10-28 10:12"`, "2026-10-28T10:12:00", "", "2026-10-28T10:12:00Z", parcel.CertaintyUnknown},
		{"nothing but the instant", `"time_utc":"2026-10-28T09:12:00Z"`, "2026-10-28T09:12:00", "+00:00", "2026-10-28T09:12:00Z", parcel.CertaintyReported},
		{"fractions", `"time_iso":"2026-10-28T10:12:00.123456789+01:00","time_utc":"2026-10-28T09:12:00.123Z"`, "2026-10-28T10:12:00", "+01:00", "2026-10-28T09:12:00Z", parcel.CertaintyReported},
		{"day without a clock", `"time_iso":"2026-10-28T00:00:00+01:00","time_utc":"2026-10-27T23:00:00Z","time_raw":{"date":"2026-10-28","time":null}`, "2026-10-28", "+01:00", "2026-10-27T23:00:00Z", parcel.CertaintyReported},
		{"true midnight", `"time_iso":"2026-10-28T00:00:00+01:00","time_utc":"2026-10-27T23:00:00Z","time_raw":{"date":"2026-10-28","time":"00:00:00"}`, "2026-10-28T00:00:00", "+01:00", "2026-10-27T23:00:00Z", parcel.CertaintyReported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := `{"code":0,"data":{"accepted":[{"number":"LV305584165CN","track_info":{"tracking":{"providers":[{"events":[{"sub_status":"InTransit_Other",` + tc.event + `}]}]}}}]}}`
			r, err := account(t, nil).Decode(parcel.Payload{Kind: kindTrack, Body: []byte(body)})
			if err != nil || len(r.Observations) != 1 {
				t.Fatalf("%d observations, %v", len(r.Observations), err)
			}
			m := r.Observations[0].Occurred
			got := []string{m.Wall, m.Offset(), m.At.Format(time.RFC3339), string(m.Certainty)}
			if d := cmp.Diff([]string{tc.wall, tc.offset, tc.inst, string(tc.certainty)}, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A provider's key counts only in its own country, and every code of ours is
// one that the house knows.
func TestProviders(t *testing.T) {
	table := mustProviders(providersCSV)
	for _, tc := range []struct {
		key           int64
		country, want string
	}{
		{3011, "CN", "china-post"}, {3011, "", "china-post"}, {3011, "FR", ""}, {100003, "US", "fedex"}, {100012, "HK", "sf-express"}, {5, "", ""},
	} {
		if got := table.carrier(tc.key, tc.country); got != tc.want {
			t.Errorf("%d in %q: %q, want %q", tc.key, tc.country, got, tc.want)
		}
	}
	// Numbers of every form that identify knows by country or carrier.
	known := map[string]bool{"yodel": true, "yanwen": true, "zto": true, "ontrac": true, "yto": true}
	for _, s := range []string{"1Z4X7E926844102758", "395017288464", "9200190240000004218871", "00340434981200544177", "LP00612345678901", "SF1390027164455",
		"4PX3001872640915CN", "YT2629300700188234", "05308801554410", "99000000000000000", "12345678901"} {
		for _, c := range identify.Identify(s) {
			known[c.Carrier] = true
		}
	}
	for _, row := range table {
		for _, c := range identify.Identify("LV305584165" + string(row.country)) {
			known[c.Carrier] = true
		}
	}
	for key, row := range table {
		if !known[row.carrier] {
			t.Errorf("%d: identify knows no %s", key, row.carrier)
		}
	}
}

// TestDeliveredToWhom: what waits at a pickup point, or is back with the sender,
// is told by the words alone.
func TestDeliveredToWhom(t *testing.T) {
	for said, want := range map[string]parcel.DeliveredTo{
		"Delivered":                        "",
		"Delivered to the pick-up point":   parcel.DeliveredToPickupPoint,
		"Delivered to the sender":          parcel.DeliveredToSender,
		"Delivered, left with a neighbour": parcel.DeliveredToNeighbour,
	} {
		d := decoder{track17: account(t, nil)}
		o, err := d.observe("A", &trackInfo{}, &event{UTC: "2026-10-28T09:12:00Z", Sub: "Delivered_Other", Description: carrierkit.Text(said)})
		if err != nil || o.Code != parcel.CodeDelivered || o.DeliveredTo != want {
			t.Errorf("%s: %s to %q, %v", said, o.Code, o.DeliveredTo, err)
		}
	}
}

func TestRedact(t *testing.T) {
	c := account(t, nil)
	said := `{"event":"TRACKING_UPDATED","data":{"number":"LV305584165CN","param":"1234","track_info":{"shipping_info":{"recipient_address":{"street":"5 Secret Lane","city":"Paris"}},
		"tracking":{"providers":[{"events":[{"description":"<a href=\"tel:+86 13812345678\">Courier<\/a> phone: 010-12345678, 签收人：李四","time_utc":"2026-10-28T09:12:00Z","sub_status":"Delivered_Other"}]}]}}}}`
	p := parcel.Payload{Kind: kindPush, Body: []byte(said)}
	clean := c.Redact(p)
	for _, gone := range []string{"13812345678", "12345678", "李四", "Secret Lane", `"1234"`} {
		if bytes.Contains(clean.Body, []byte(gone)) {
			t.Errorf("%q is left in %s", gone, clean.Body)
		}
	}
	before, err1 := c.Decode(p)
	after, err2 := c.Decode(clean)
	if d := cmp.Diff(before, after); d != "" || err1 != nil || err2 != nil {
		t.Errorf("%v, %v, another reading:\n%s", err1, err2, d)
	}
	if w := before.Observations[0].Words; strings.Contains(w, "李四") || !strings.HasPrefix(w, "Courier phone:") {
		t.Errorf("words %q", w)
	}
}

func FuzzDecode(f *testing.F) {
	for _, file := range []string{"gettrackinfo-mixed.json", "gettrackinfo-times-and-contacts.json", "register-answer.json", "webhook-tracking-stopped.json", "webhook-tracking-updated.json", "error-auth-401.json"} {
		for _, kind := range []string{kindTrack, kindRegister, kindPush} {
			f.Add(kind, sample(f, file))
		}
	}
	c := account(f, nil)
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		p := parcel.Payload{Kind: kind, Body: body, Numbers: []string{delivered}}
		r, _ := c.Decode(p)
		for _, o := range r.Observations {
			if o.Number == "" || !o.Code.Valid() || o.Occurred.IsZero() || o.Rule == "" {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := c.Redact(p)
		again, _ := c.Decode(clean)
		if d := cmp.Diff(r, again); d != "" {
			t.Errorf("redaction changes the reading (-before +after):\n%s", d)
		}
		if twice := c.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
			t.Errorf("redacting twice changes more: %q, %q", clean.Body, twice.Body)
		}
	})
}
