package russianpost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "RB518204475CN"
	refused   = "RB518204643CN"
	unknown   = "RB999999908CN"
)

func bind(t testing.TB, settings map[string]string) *post {
	t.Helper()
	return bindTo(t, carriers.Env{Settings: settings})
}

func bindTo(t testing.TB, env carriers.Env) *post {
	t.Helper()
	full := map[string]string{"login": "gateway", "password": "secret"}
	for k, v := range env.Settings {
		full[k] = v
	}
	env.Settings = full
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*post)
}

func sample(t testing.TB, file, kind string, numbers ...string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return parcel.Payload{Carrier: name, Kind: kind, Body: body, Numbers: numbers}
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

// The same exam by tickets.
func TestExamByTicket(t *testing.T) {
	s := spec()
	bySingle := s.New
	s.New = func(env carriers.Env) (carriers.Carrier, error) {
		env.Settings = maps.Clone(env.Settings)
		env.Settings["mode"] = "batch"
		return bySingle(env)
	}
	carriertest.RunSpec(t, s, "testdata")
}

// told is what a test looks at in an observation.
type told struct {
	Own  string
	Code parcel.Code
	Wall string
}

func tell(obs []parcel.Observation, number string) []told {
	var out []told
	for _, o := range obs {
		if o.Number == number {
			out = append(out, told{o.OwnCode, o.Code, o.Occurred.Wall})
		}
	}
	return out
}

var deliveredJourney = []told{
	{"1.1", parcel.CodePickedUp, "2026-10-12T16:20:00"},
	{"8.0", parcel.CodeOriginHubArrived, "2026-10-13T09:05:00"},
	{"10.0", parcel.CodeOriginCountryDeparted, "2026-10-16T23:40:00"},
	{"8.13", parcel.CodeDestinationCountryArrived, "2026-10-21T04:12:00"},
	{"9.1", parcel.CodeDestinationCountryArrived, "2026-10-21T07:30:00"},
	{"11.0", parcel.CodeImportCustomsPresented, "2026-10-21T07:31:00"},
	{"14.1", parcel.CodeImportCustomsReleased, "2026-10-22T10:02:00"},
	{"8.6", parcel.CodeImportExchangeDeparted, "2026-10-22T12:44:00"},
	{"8.3", parcel.CodeDestinationHubProcessed, "2026-10-25T06:20:00"},
	{"8.2", parcel.CodeReadyForPickup, "2026-10-26T08:15:00"},
	{"2.1", parcel.CodeDelivered, "2026-10-28T18:33:00"},
}

var refusedJourney = []told{
	{"1.1", parcel.CodePickedUp, "2026-10-12T16:20:00"},
	{"8.0", parcel.CodeOriginHubArrived, "2026-10-13T09:05:00"},
	{"10.0", parcel.CodeOriginCountryDeparted, "2026-10-16T23:40:00"},
	{"8.13", parcel.CodeDestinationCountryArrived, "2026-10-21T04:12:00"},
	{"9.1", parcel.CodeDestinationCountryArrived, "2026-10-21T07:30:00"},
	{"11.0", parcel.CodeImportCustomsPresented, "2026-10-21T07:31:00"},
	{"14.8", parcel.CodeImportCustomsHeld, "2026-10-22T10:05:00"},
	{"14.4", parcel.CodeCustomsRefused, "2026-10-27T15:20:00"},
	{"3.7", parcel.CodeReturnStarted, "2026-10-28T09:10:00"},
}

func TestDecodeSingle(t *testing.T) {
	p := bind(t, nil)
	for _, tt := range []struct {
		name, file, number string
		first, last        string
		want               []told
	}{
		{"delivered", "single-journey-delivered.xml", delivered, "2026-10-12T08:20:00Z", "2026-10-28T13:33:00Z", deliveredJourney},
		{"refused by customs and returning", "single-exception-customs-refusal.xml", refused, "2026-10-12T08:20:00Z", "2026-10-28T06:10:00Z", refusedJourney},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := p.Decode(sample(t, tt.file, kindSingle, tt.number))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tell(rd.Observations, tt.number)); diff != "" {
				t.Error(diff)
			}
			obs := rd.Observations
			if got := obs[0].Occurred.At; !got.Equal(instant(t, tt.first)) {
				t.Errorf("first at %s, want %s", got, tt.first)
			}
			if got := obs[len(obs)-1].Occurred.At; !got.Equal(instant(t, tt.last)) {
				t.Errorf("last at %s, want %s", got, tt.last)
			}
			for _, o := range obs {
				if o.Occurred.Certainty != parcel.CertaintyReported || o.Language != "ru" || o.Words == "" || o.Place.Country == "" {
					t.Errorf("%s: certainty %s, language %q, words %q, country %q", o.OwnCode, o.Occurred.Certainty, o.Language, o.Words, o.Place.Country)
				}
			}
			want := []parcel.NumberResult{{Number: tt.number, Finding: parcel.FindingFound}}
			if diff := cmp.Diff(want, rd.Results); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("details of one scan", func(t *testing.T) {
		rd, err := p.Decode(sample(t, "single-journey-delivered.xml", kindSingle, delivered))
		if err != nil {
			t.Fatal(err)
		}
		want := parcel.Observation{
			Carrier: name, Number: delivered, OwnCode: "8.3", Code: parcel.CodeDestinationHubProcessed,
			Words: "Обработка: Прибыло в сортировочный центр", Language: "ru",
			Occurred: parcel.Moment{
				At: instant(t, "2026-10-25T01:20:00Z"), Wall: "2026-10-25T06:20:00", Text: "2026-10-25T06:20:00.000+05:00",
				OffsetSeconds: 5 * 3600, HasOffset: true, Certainty: parcel.CertaintyReported,
			},
			Place: parcel.Place{Country: "RU", Postcode: "620960", Facility: "Екатеринбург МСЦ"},
			Rule:  "8.3", RuleVersion: p.codes.Version(),
		}
		if diff := cmp.Diff(want, rd.Observations[8]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDecodeBatch(t *testing.T) {
	p := bind(t, nil)
	rd, err := p.Decode(sample(t, "batch-4-answer.xml", kindBatch, delivered, refused, unknown))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deliveredJourney, tell(rd.Observations, delivered)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(refusedJourney, tell(rd.Observations, refused)); diff != "" {
		t.Error(diff)
	}
	wantResults := []parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingFound},
		{Number: refused, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: "12 Сообщение не найдено"},
	}
	if diff := cmp.Diff(wantResults, rd.Results); diff != "" {
		t.Error(diff)
	}
	first, last := rd.Observations[0].Occurred, rd.Observations[10].Occurred
	if diff := cmp.Diff(parcel.Moment{
		At: instant(t, "2026-10-12T08:20:00Z"), Wall: "2026-10-12T16:20:00", Text: "12.10.2026 16:20:00",
		Zone: "Asia/Shanghai", OffsetSeconds: 8 * 3600, HasOffset: true, Certainty: parcel.CertaintyAssumed,
	}, first); diff != "" {
		t.Errorf("abroad: %s", diff)
	}
	if diff := cmp.Diff(parcel.Moment{
		At: instant(t, "2026-10-28T13:33:00Z"), Wall: "2026-10-28T18:33:00", Text: "28.10.2026 18:33:00",
		Zone: "Asia/Yekaterinburg", OffsetSeconds: 5 * 3600, HasOffset: true, Certainty: parcel.CertaintyPlace,
	}, last); diff != "" {
		t.Errorf("by postcode: %s", diff)
	}
}

// Both services tell the same events: merged, they are 11 and 9, not 22 and 18.
func TestOneIdentity(t *testing.T) {
	p := bind(t, nil)
	keys := map[string]map[string]bool{}
	add := func(payload parcel.Payload) {
		rd, err := p.Decode(payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range rd.Observations {
			if keys[o.Number] == nil {
				keys[o.Number] = map[string]bool{}
			}
			keys[o.Number][o.Key()] = true
		}
	}
	add(sample(t, "single-journey-delivered.xml", kindSingle, delivered))
	add(sample(t, "single-exception-customs-refusal.xml", kindSingle, refused))
	add(sample(t, "batch-4-answer.xml", kindBatch, delivered, refused, unknown))
	if got := map[string]int{delivered: len(keys[delivered]), refused: len(keys[refused])}; got[delivered] != 11 || got[refused] != 9 {
		t.Errorf("merged events: %v, want 11 and 9", got)
	}
}

func TestDecodeOtherAnswers(t *testing.T) {
	p := bind(t, nil)
	t.Run("unknown number is a success without operations", func(t *testing.T) {
		rd, err := p.Decode(sample(t, "single-empty-history.xml", kindSingle, unknown))
		if err != nil {
			t.Fatal(err)
		}
		want := parcel.Reading{Results: []parcel.NumberResult{{Number: unknown, Finding: parcel.FindingUnknown, Detail: "no operations"}}}
		if diff := cmp.Diff(want, rd); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		if _, err := p.Decode(sample(t, "single-fault-auth.xml", kindSingle, unknown)); !errors.Is(err, parcel.ErrDenied) {
			t.Errorf("got %v, want ErrDenied", err)
		}
	})
	for _, file := range []string{"batch-2-ticket-response.xml", "batch-3-not-ready.xml"} {
		t.Run(file+" asks to wait", func(t *testing.T) {
			rd, err := p.Decode(sample(t, file, kindTicket, delivered))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parcel.Reading{RetryAfter: 15 * time.Minute}, rd); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("our own request is no answer", func(t *testing.T) {
		if _, err := p.Decode(sample(t, "batch-1-ticket-request.xml", kindBatch)); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("got %v, want ErrMalformed", err)
		}
	})
	for id, kind := range map[string]error{
		"2": parcel.ErrMalformed, "3": parcel.ErrDenied, "16": parcel.ErrUnavailable, "17": parcel.ErrUnavailable,
		"18": parcel.ErrMalformed, "20": parcel.ErrMalformed, "21": parcel.ErrMalformed, "22": parcel.ErrMalformed, "99": parcel.ErrUnavailable,
	} {
		t.Run("error of the whole call "+id, func(t *testing.T) {
			if _, err := p.Decode(batchAnswer(`<error ErrorTypeID="` + id + `" ErrorName="x"/>`)); !errors.Is(err, kind) {
				t.Errorf("got %v, want %v", err, kind)
			}
			// The place of the element is not documented.
			if _, err := p.Decode(batchAnswer(`<value><ns3:Error ErrorTypeID="` + id + `"/></value>`)); !errors.Is(err, kind) {
				t.Errorf("inside the value: got %v, want %v", err, kind)
			}
		})
	}
	t.Run("one bad operation hides no other", func(t *testing.T) {
		rd, err := p.Decode(batchAnswer(`<value>
			<ns3:Item Barcode="RB518204475CN">
				<ns3:Operation OperTypeID="1" OperCtgID="1" DateOper="12.10.2026 16:20:00" IndexOper="000000"/>
				<ns3:Operation OperTypeID="8" OperCtgID="0" DateOper="never" IndexOper="000000"/>
				<ns3:Operation OperTypeID="" OperCtgID="0" DateOper="12.10.2026 16:20:00" IndexOper="000000"/>
				<ns3:Operation OperTypeID="10" DateOper="16.10.2026 23:40:00" IndexOper="000000"/>
			</ns3:Item>
			<ns3:Item Barcode="RB518204643CN"><ns3:Error ErrorTypeID="16" ErrorName="внутренняя ошибка"/></ns3:Item></value>`))
		if got := tell(rd.Observations, delivered); !slices.Equal(got, []told{deliveredJourney[0], deliveredJourney[2]}) {
			t.Errorf("kept %v", got)
		}
		if !errors.Is(err, parcel.ErrMalformed) || !errors.Is(err, parcel.ErrUnavailable) ||
			!strings.Contains(err.Error(), delivered+", operation 2") || !strings.Contains(err.Error(), delivered+", operation 3") || !strings.Contains(err.Error(), refused) {
			t.Errorf("error %v names not all that failed", err)
		}
	})
	t.Run("torn answer keeps what came", func(t *testing.T) {
		payload := sample(t, "single-journey-delivered.xml", kindSingle, delivered)
		payload.Body = payload.Body[:len(payload.Body)/2]
		rd, err := p.Decode(payload)
		if !errors.Is(err, parcel.ErrMalformed) || len(rd.Observations) < 4 {
			t.Errorf("%d observations, error %v", len(rd.Observations), err)
		}
	})
	t.Run("web page", func(t *testing.T) {
		if _, err := p.Decode(parcel.Payload{Kind: kindSingle, Body: []byte("<html><body>wait</body></html>")}); !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("got %v, want ErrMalformed", err)
		}
	})
	t.Run("an operation nobody mapped", func(t *testing.T) {
		rd, err := p.Decode(batchAnswer(`<value><ns3:Item Barcode="RB518204475CN">
			<ns3:Operation OperTypeID="88" OperCtgID="7" OperName="Новая операция" DateOper="12.10.2026 16:20:00" IndexOper="104001"/></ns3:Item></value>`))
		if err != nil {
			t.Fatal(err)
		}
		o := rd.Observations[0]
		if o.Code != parcel.CodeUnknown || o.OwnCode != "88.7" || o.Words != "Новая операция" || o.Rule != "unmapped" {
			t.Errorf("read as %s %s %q %s", o.Code, o.OwnCode, o.Words, o.Rule)
		}
	})
	t.Run("equal seconds are two events", func(t *testing.T) {
		rd, err := p.Decode(batchAnswer(`<value><ns3:Item Barcode="RB518204475CN">
			<ns3:Operation OperTypeID="9" OperCtgID="1" DateOper="21.10.2026 07:30:00" IndexOper="104001"/>
			<ns3:Operation OperTypeID="11" OperCtgID="0" DateOper="21.10.2026 07:30:00" IndexOper="104001"/></ns3:Item></value>`))
		if err != nil || len(rd.Observations) != 2 || rd.Observations[0].Key() == rd.Observations[1].Key() {
			t.Errorf("%d observations, error %v", len(rd.Observations), err)
		}
	})
}

func batchAnswer(inner string) parcel.Payload {
	return parcel.Payload{Kind: kindBatch, Body: []byte(`<x:Envelope xmlns:x="` + nsSOAP11 + `"><x:Body><ns2:answerByTicketResponse xmlns:ns2="` + nsServer +
		`" xmlns:ns3="` + nsClient + `">` + inner + `</ns2:answerByTicketResponse></x:Body></x:Envelope>`)}
}

func singleAnswer(records string) []byte {
	return []byte(`<e:Envelope xmlns:e="` + nsSOAP12 + `"><e:Body><a:getOperationHistoryResponse xmlns:a="` + nsHistory + `" xmlns:b="` + nsData +
		`"><b:OperationHistoryData>` + records + `</b:OperationHistoryData></a:getOperationHistoryResponse></e:Body></e:Envelope>`)
}

func singleRecord(barcode, from, to, at, typeID, attrID, date string) string {
	return `<b:historyRecord><b:AddressParameters><b:MailDirect><b:Code2A>` + to + `</b:Code2A></b:MailDirect><b:CountryFrom><b:Code2A>` + from +
		`</b:Code2A></b:CountryFrom><b:CountryOper><b:Code2A>` + at + `</b:Code2A></b:CountryOper></b:AddressParameters><b:ItemParameters><b:Barcode>` + barcode +
		`</b:Barcode></b:ItemParameters><b:OperationParameters><b:OperType><b:Id>` + typeID + `</b:Id></b:OperType><b:OperAttr><b:Id>` + attrID +
		`</b:Id></b:OperAttr><b:OperDate>` + date + `</b:OperDate></b:OperationParameters></b:historyRecord>`
}

// The same operation is told on both sides of the border.
func TestSides(t *testing.T) {
	p := bind(t, nil)
	for _, tt := range []struct {
		name, number, from, to, at, own string
		want                            parcel.Code
	}{
		{"sorting centre in China, to Russia", delivered, "CN", "RU", "CN", "8.3", parcel.CodeOriginHubArrived},
		{"sorting centre in Russia, from China", delivered, "CN", "RU", "RU", "8.3", parcel.CodeDestinationHubProcessed},
		{"sorting centre in Kazakhstan on the way", delivered, "CN", "RU", "KZ", "8.3", parcel.CodeTransitCountryArrived},
		{"exchange in China", delivered, "CN", "RU", "CN", "8.6", parcel.CodeHandedToLinehaul},
		{"exchange in Russia, from China", delivered, "CN", "RU", "RU", "8.6", parcel.CodeImportExchangeDeparted},
		{"exchange in Russia, from Russia", "RB000000015RU", "RU", "DE", "RU", "8.6", parcel.CodeHandedToLinehaul},
		{"exchange in Germany, from Russia", "RB000000015RU", "RU", "DE", "DE", "8.5", parcel.CodeDestinationCountryArrived},
		{"back in Russia", "RB000000015RU", "RU", "DE", "RU", "9.1", parcel.CodeInTransit},
		{"inside Russia", "12345678901234", "RU", "RU", "RU", "8.3", parcel.CodeInTransit},
		{"customs in Russia of an export", "RB000000015RU", "RU", "DE", "RU", "14.1", parcel.CodeExportCustomsReleased},
		{"customs in Russia of an import", delivered, "CN", "RU", "RU", "14.1", parcel.CodeImportCustomsReleased},
		{"handed to the sender", delivered, "CN", "RU", "CN", "2.2", parcel.CodeReturned},
		{"type 2 alone is no delivery", delivered, "CN", "RU", "RU", "2.0", parcel.CodeUnknown},
		{"address reason of a return", delivered, "CN", "RU", "RU", "3.10", parcel.CodeReturnStarted},
		{"duty paid moves nothing", delivered, "CN", "RU", "RU", "41.2", parcel.CodeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			typeID, attrID, _ := strings.Cut(tt.own, ".")
			body := singleAnswer(singleRecord(tt.number, tt.from, tt.to, tt.at, typeID, attrID, "2026-10-12T16:20:00.000+08:00"))
			rd, err := p.Decode(parcel.Payload{Kind: kindSingle, Body: body, Numbers: []string{tt.number}})
			if err != nil {
				t.Fatal(err)
			}
			if o := rd.Observations[0]; o.Code != tt.want || o.OwnCode != tt.own {
				t.Errorf("%s read as %s by %s, want %s", o.OwnCode, o.Code, o.Rule, tt.want)
			}
		})
	}
}

func TestReregistered(t *testing.T) {
	p := bind(t, nil)
	body := singleAnswer(singleRecord(delivered, "CN", "RU", "CN", "1", "1", "2026-10-12T16:20:00.000+08:00") +
		singleRecord("RB518204475RU", "CN", "RU", "RU", "8", "26", "2026-10-21T09:00:00.000+03:00") +
		singleRecord("RB518204475RU", "CN", "RU", "RU", "8", "3", "2026-10-22T09:00:00.000+03:00"))
	rd, err := p.Decode(parcel.Payload{Kind: kindSingle, Body: body, Numbers: []string{delivered}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]parcel.Alias{{Number: delivered, Other: "RB518204475RU"}}, rd.Aliases); diff != "" {
		t.Error(diff)
	}
	if got := tell(rd.Observations, delivered); len(got) != 3 {
		t.Errorf("%d observations under the number asked for, want 3", len(got))
	}
}

func TestRedact(t *testing.T) {
	p := bind(t, nil)
	for _, tt := range []struct {
		file, kind string
		gone       []string
	}{
		{"single-journey-delivered.xml", kindSingle, []string{"СИДОРОВА", "SHENZHEN XB"}},
		{"single-exception-customs-refusal.xml", kindSingle, []string{"СИДОРОВА", "SHENZHEN XB"}},
		{"batch-2-ticket-response.xml", kindTicket, []string{"GATEWAY"}},
		{"batch-4-answer.xml", kindBatch, nil},
	} {
		t.Run(tt.file, func(t *testing.T) {
			payload := sample(t, tt.file, tt.kind, delivered)
			before, beforeErr := p.Decode(payload)
			original := bytes.Clone(payload.Body)
			clean := p.Redact(payload)
			for _, secret := range tt.gone {
				if bytes.Contains(clean.Body, []byte(secret)) {
					t.Errorf("%q is still there", secret)
				}
			}
			if !bytes.Equal(payload.Body, original) {
				t.Error("the payload given was changed")
			}
			after, afterErr := p.Decode(clean)
			if diff := cmp.Diff(before, after); diff != "" || (beforeErr == nil) != (afterErr == nil) {
				t.Errorf("reads differently: %s, %v, %v", diff, beforeErr, afterErr)
			}
			if again := p.Redact(clean); !bytes.Equal(again.Body, clean.Body) {
				t.Error("not idempotent")
			}
		})
	}
	for in, want := range map[string]string{
		`<a:Rcpn>IVAN`:                      `<a:Rcpn>[redacted]`,
		`<Sndr/><Rcpn>X</Rcpn>`:             `<Sndr/><Rcpn>[redacted]</Rcpn>`,
		`<Sndr /><Rcpn>X</Rcpn>`:            `<Sndr /><Rcpn>[redacted]</Rcpn>`,
		`<Sndr x="1">A<b>B</b></Sndr >`:     `<Sndr x="1">[redacted]</Sndr >`,
		`<Sndr></Sndr>`:                     `<Sndr></Sndr>`,
		"<n:Sndr>\xcf\xe5\xf2\xf0</n:Sndr>": `<n:Sndr>[redacted]</n:Sndr>`,
		`not XML`:                           `not XML`,
	} {
		if got := p.Redact(parcel.Payload{Body: []byte(in)}); string(got.Body) != want {
			t.Errorf("%q becomes %q, want %q", in, got.Body, want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings map[string]string
		names    string
	}{
		{"login missing", map[string]string{"password": "x"}, "login"},
		{"password missing", map[string]string{"login": "x"}, "password"},
		{"mode", map[string]string{"login": "x", "password": "y", "mode": "bulk"}, "mode"},
		{"language", map[string]string{"login": "x", "password": "y", "language": "DEU"}, "language"},
		{"wait", map[string]string{"login": "x", "password": "y", "ticket_wait": "soon"}, "ticket_wait"},
		{"calls", map[string]string{"login": "x", "password": "y", "calls_per_day": "-1"}, "calls_per_day"},
		{"single_up_to", map[string]string{"login": "x", "password": "y", "single_up_to": "few"}, "single_up_to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := spec().New(carriers.Env{Settings: tt.settings})
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("got %v, want ErrInvalid naming %s", err, tt.names)
			}
		})
	}
}

// The envelope of a single call, as published.
func TestHistoryRequest(t *testing.T) {
	p := bind(t, map[string]string{"password": "p<&>"})
	want := `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" xmlns:oper="http://russianpost.org/operationhistory" xmlns:data="http://russianpost.org/operationhistory/data" xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">` +
		`<soap:Header/><soap:Body><oper:getOperationHistory>` +
		`<data:OperationHistoryRequest><data:Barcode>RB518204475CN</data:Barcode><data:MessageType>0</data:MessageType><data:Language>RUS</data:Language></data:OperationHistoryRequest>` +
		`<data:AuthorizationHeader soapenv:mustUnderstand="1"><data:login>gateway</data:login><data:password>p&lt;&amp;&gt;</data:password></data:AuthorizationHeader>` +
		`</oper:getOperationHistory></soap:Body></soap:Envelope>`
	if diff := cmp.Diff(want, string(p.historyRequest(delivered))); diff != "" {
		t.Error(diff)
	}
}

// The envelope of a ticket request says what the sample says.
func TestTicketRequest(t *testing.T) {
	p := bind(t, nil)
	squeeze := func(b []byte) string {
		var out strings.Builder
		for line := range strings.Lines(string(b)) {
			out.WriteString(strings.TrimSpace(line))
		}
		return out.String()
	}
	want := squeeze(sample(t, "batch-1-ticket-request.xml", kindTicket).Body)
	if diff := cmp.Diff(want, squeeze(p.ticketRequest([]string{delivered, refused, unknown}))); diff != "" {
		t.Error(diff)
	}
}

// hand is a clock that tests set.
type hand struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) Sleep(ctx context.Context, d time.Duration) error {
	h.add(d)
	return ctx.Err()
}

func (h *hand) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// network is a fake Russian Post on a loopback address, and its clock.
type network struct {
	clock    *hand
	journeys map[string]carriers.FakeHistory

	mu    sync.Mutex
	calls []string // methods in order
	env   carriers.Env
}

func dial(t *testing.T, settings map[string]string) *network {
	t.Helper()
	full := map[string]string{"login": "gateway", "password": "secret"}
	for k, v := range settings {
		full[k] = v
	}
	n := &network{clock: &hand{now: instant(t, "2026-10-29T07:15:33Z")}, journeys: map[string]carriers.FakeHistory{}}
	fake := spec().Fake(carriers.FakeEnv{Settings: full, Now: n.clock.Now, Journeys: func(number string) (carriers.FakeHistory, bool) {
		h, ok := n.journeys[number]
		return h, ok
	}})
	handler := fake.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		method := "?"
		for _, m := range []string{"getOperationHistory", "ticketRequest", "answerByTicketRequest"} {
			if bytes.Contains(body, []byte(":"+m+">")) {
				method = m
			}
		}
		n.mu.Lock()
		n.calls = append(n.calls, method)
		n.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	n.env = carriers.Env{Account: "test", BaseURL: server.URL, Settings: full, HTTP: server.Client(), Wall: n.clock}
	return n
}

func (n *network) called() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	calls := n.calls
	n.calls = nil
	return calls
}

func queries(numbers ...string) []carriers.Query {
	qs := make([]carriers.Query, len(numbers))
	for i, n := range numbers {
		qs[i].Number = n
	}
	return qs
}

// journey is what the network knows of a parcel from China to Yekaterinburg.
func journey(t testing.TB) carriers.FakeHistory {
	china := parcel.Place{Country: "CN", City: "GUANGZHOU"}
	moscow := parcel.Place{Country: "RU", Postcode: "104001", Facility: "ММПО Внуково"}
	ural := parcel.Place{Country: "RU", Postcode: "620014", Facility: "Екатеринбург 14"}
	at := instant(t, "2026-10-12T08:20:00Z")
	h := carriers.FakeHistory{Origin: "CN", Destination: "RU", Postcode: "620014"}
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodeInfoReceived, Place: china},
		{Code: parcel.CodePickedUp, Place: china},
		{Code: parcel.CodeOriginHubArrived, Place: china},
		{Code: parcel.CodeExportExchangeArrived, Place: china},
		{Code: parcel.CodeExportCustomsReleased, Place: china},
		{Code: parcel.CodeHandedToLinehaul, Place: china},
		{Code: parcel.CodeOriginCountryDeparted, Place: china},
		{Code: parcel.CodeDestinationCountryArrived, Place: moscow},
		{Code: parcel.CodeImportCustomsPresented, Place: moscow},
		{Code: parcel.CodeImportCustomsHeld, Place: moscow, Reason: parcel.ReasonProhibited},
		{Code: parcel.CodeImportCustomsReleased, Place: moscow},
		{Code: parcel.CodeImportExchangeDeparted, Place: moscow},
		{Code: parcel.CodeDestinationHubProcessed, Place: ural},
		{Code: parcel.CodeDeliveryAttemptFailed, Place: ural, Reason: parcel.ReasonRecipientAbsent},
		{Code: parcel.CodeReadyForPickup, Place: ural},
		{Code: parcel.CodeDelivered, Place: ural, DeliveredTo: parcel.DeliveredToRecipient},
	} {
		s.At = at.Add(time.Duration(i) * 7 * time.Hour)
		h.Scans = append(h.Scans, s)
	}
	return h
}

// scan is what a round trip must bring back.
type scan struct {
	Code        parcel.Code
	At          time.Time
	Country     parcel.Country
	Reason      parcel.Reason
	DeliveredTo parcel.DeliveredTo
}

func sent(h carriers.FakeHistory) []scan {
	var out []scan
	for _, s := range h.Scans {
		out = append(out, scan{s.Code, s.At, s.Place.Country, s.Reason, s.DeliveredTo})
	}
	return out
}

func got(obs []parcel.Observation, number string) []scan {
	var out []scan
	for _, o := range obs {
		if o.Number == number {
			out = append(out, scan{o.Code, o.Occurred.At, o.Place.Country, o.Reason, o.DeliveredTo})
		}
	}
	return out
}

func TestSingleRoundTrip(t *testing.T) {
	for _, lang := range []string{"RUS", "ENG"} {
		t.Run(lang, func(t *testing.T) {
			n := dial(t, map[string]string{"language": lang})
			n.journeys[delivered] = journey(t)
			p := bindTo(t, n.env)
			payloads, err := p.Fetch(t.Context(), queries("rb 518204475 cn", unknown, delivered))
			if err != nil {
				t.Fatal(err)
			}
			if len(payloads) != 2 {
				t.Fatalf("%d payloads, want one for each number", len(payloads))
			}
			rd, err := p.Decode(p.Redact(payloads[0]))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sent(n.journeys[delivered]), got(rd.Observations, delivered)); diff != "" {
				t.Error(diff)
			}
			wantLang := map[string]string{"RUS": "ru", "ENG": "en"}[lang]
			for _, o := range rd.Observations {
				if o.Language != wantLang || o.Occurred.Certainty != parcel.CertaintyReported {
					t.Errorf("%s: %q, %s", o.OwnCode, o.Language, o.Occurred.Certainty)
				}
			}
			rd, err = p.Decode(payloads[1])
			if err != nil || len(rd.Results) != 1 || rd.Results[0].Finding != parcel.FindingUnknown {
				t.Errorf("unknown number: %v, %v", rd.Results, err)
			}
		})
	}
}

func TestTicketFlow(t *testing.T) {
	n := dial(t, map[string]string{"mode": "batch"})
	n.journeys[delivered] = journey(t)
	p := bindTo(t, n.env)
	fetch := func(numbers ...string) ([]parcel.Payload, error) { return p.Fetch(t.Context(), queries(numbers...)) }
	wantCalls := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, n.called()); diff != "" {
			t.Errorf("calls: %s", diff)
		}
	}

	payloads, err := fetch(delivered, unknown)
	if err != nil || len(payloads) != 1 || payloads[0].Kind != kindTicket {
		t.Fatalf("first fetch: %v, %v", payloads, err)
	}
	if rd, err := p.Decode(payloads[0]); err != nil || rd.RetryAfter != 15*time.Minute || len(rd.Results) != 0 {
		t.Errorf("ticket reads as %+v, %v", rd, err)
	}
	wantCalls("ticketRequest")

	n.clock.add(5 * time.Minute)
	_, err = fetch(unknown)
	if throttled, ok := errors.AsType[*parcel.Throttled](err); !ok || throttled.RetryAfter != 10*time.Minute {
		t.Errorf("too soon: %v, want Throttled for 10m", err)
	}
	wantCalls()

	// Another number has a ticket of its own; those that wait are said to wait.
	payloads, err = fetch(delivered, refused)
	if !errors.Is(err, parcel.ErrThrottled) || len(payloads) != 1 || !slices.Equal(payloads[0].Numbers, []string{refused}) {
		t.Errorf("a further number: %v, %v", payloads, err)
	}
	wantCalls("ticketRequest")

	n.clock.add(10 * time.Minute)
	payloads, err = fetch(delivered)
	if err != nil || len(payloads) != 1 || payloads[0].Kind != kindBatch {
		t.Fatalf("answer: %v, %v", payloads, err)
	}
	wantCalls("answerByTicketRequest")
	rd, err := p.Decode(payloads[0])
	if err != nil {
		t.Fatal(err)
	}
	want := sent(n.journeys[delivered])
	for i := range want {
		if want[i].Country != homeCountry {
			want[i].Country = "" // batch access says "abroad" and no more
		}
	}
	if diff := cmp.Diff(want, got(rd.Observations, delivered)); diff != "" {
		t.Error(diff)
	}
	wantResults := []parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: "12 Сообщение не найдено"},
	}
	if diff := cmp.Diff(wantResults, rd.Results); diff != "" {
		t.Error(diff)
	}

	// The answer is in: the next question is a new one.
	if _, err = fetch(delivered); err != nil {
		t.Error(err)
	}
	wantCalls("ticketRequest")
}

func TestTicketNotReadyAndExpired(t *testing.T) {
	// The service takes twice as long as it says.
	n := dial(t, map[string]string{"mode": "batch", "ticket_wait": "30m"})
	env := n.env
	env.Settings = map[string]string{"mode": "batch"}
	p := bindTo(t, env)
	if _, err := p.Fetch(t.Context(), queries(delivered)); err != nil {
		t.Fatal(err)
	}
	n.clock.add(15 * time.Minute)
	payloads, err := p.Fetch(t.Context(), queries(delivered))
	if err != nil || len(payloads) != 1 {
		t.Fatalf("not ready: %v, %v", payloads, err)
	}
	if rd, err := p.Decode(payloads[0]); err != nil || rd.RetryAfter != 15*time.Minute || len(rd.Results) != 0 {
		t.Errorf("not ready reads as %+v, %v", rd, err)
	}
	if _, err := p.Fetch(t.Context(), queries(delivered)); !errors.Is(err, parcel.ErrThrottled) {
		t.Errorf("asked twice in a quarter of an hour: %v", err)
	}
	n.called()
	n.clock.add(33 * time.Hour)
	payloads, err = p.Fetch(t.Context(), queries(delivered))
	if err != nil || len(payloads) != 1 || payloads[0].Kind != kindTicket {
		t.Errorf("after 32 hours: %v, %v, want a new ticket", payloads, err)
	}
	if diff := cmp.Diff([]string{"ticketRequest"}, n.called()); diff != "" {
		t.Error(diff)
	}
	// The service threw the answer away sooner than it said.
	p.tickets.byNumber[delivered].id = "20261029101533120GONE"
	n.clock.add(15 * time.Minute)
	payloads, err = p.Fetch(t.Context(), queries(delivered))
	if err != nil || len(payloads) != 1 || payloads[0].Kind != kindTicket {
		t.Errorf("answer deleted: %v, %v, want a new ticket", payloads, err)
	}
	if diff := cmp.Diff([]string{"answerByTicketRequest", "ticketRequest"}, n.called()); diff != "" {
		t.Error(diff)
	}
}

func TestTicketSplit(t *testing.T) {
	n := dial(t, map[string]string{"mode": "batch"})
	p := bindTo(t, n.env)
	var numbers []string
	for i := range 1001 {
		numbers = append(numbers, fmt.Sprintf("%014d", i))
	}
	payloads, err := p.Fetch(t.Context(), queries(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, payload := range payloads {
		sizes = append(sizes, len(payload.Numbers))
	}
	if diff := cmp.Diff([]int{500, 500, 1}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestFewBySingleAccess(t *testing.T) {
	n := dial(t, map[string]string{"mode": "batch", "single_up_to": "2"})
	p := bindTo(t, n.env)
	if _, err := p.Fetch(t.Context(), queries(delivered, refused)); err != nil {
		t.Error(err)
	}
	if _, err := p.Fetch(t.Context(), queries(delivered, refused, unknown)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"getOperationHistory", "getOperationHistory", "ticketRequest"}, n.called()); diff != "" {
		t.Error(diff)
	}
}

func TestOneTicketUnderConcurrency(t *testing.T) {
	n := dial(t, map[string]string{"mode": "batch"})
	p := bindTo(t, n.env)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _, _ = p.Fetch(t.Context(), queries(delivered, refused)) })
	}
	wg.Wait()
	if diff := cmp.Diff([]string{"ticketRequest"}, n.called()); diff != "" {
		t.Error(diff)
	}
}

func TestFetchFailures(t *testing.T) {
	for _, mode := range []string{"single", "batch"} {
		t.Run(mode, func(t *testing.T) {
			n := dial(t, nil)
			env := n.env
			env.Settings = map[string]string{"mode": mode, "password": "wrong"}
			if _, err := bindTo(t, env).Fetch(t.Context(), queries(delivered)); !errors.Is(err, parcel.ErrDenied) {
				t.Errorf("wrong password: %v, want ErrDenied", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := bindTo(t, n.env).Fetch(ctx, queries(delivered)); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			c, err := spec().New(carriers.Env{Settings: map[string]string{"mode": mode}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.(*post).Fetch(t.Context(), queries(delivered)); !errors.Is(err, carriers.ErrNoAccount) {
				t.Errorf("no credentials: %v, want ErrNoAccount", err)
			}
		})
	}
	t.Run("the day's budget", func(t *testing.T) {
		n := dial(t, map[string]string{"calls_per_day": "2"})
		p := bindTo(t, n.env)
		payloads, err := p.Fetch(t.Context(), queries(delivered, refused, unknown))
		if len(payloads) != 2 || !errors.Is(err, parcel.ErrThrottled) {
			t.Errorf("%d payloads, %v: want 2 and ErrThrottled", len(payloads), err)
		}
		n.clock.add(24 * time.Hour)
		if _, err := p.Fetch(t.Context(), queries(unknown)); err != nil {
			t.Errorf("next day: %v", err)
		}
	})
	t.Run("faults are not tried again", func(t *testing.T) {
		n := dial(t, nil)
		env := n.env
		env.Settings = map[string]string{"password": "wrong"}
		_, _ = bindTo(t, env).Fetch(t.Context(), queries(delivered))
		if calls := n.called(); len(calls) != 1 {
			t.Errorf("%d calls, want 1", len(calls))
		}
	})
}

func TestSniff(t *testing.T) {
	for file, want := range map[string]string{
		"single-journey-delivered.xml": kindSingle, "single-empty-history.xml": kindSingle, "batch-2-ticket-response.xml": kindTicket,
		"batch-3-not-ready.xml": kindBatch, "batch-4-answer.xml": kindBatch, "batch-1-ticket-request.xml": "",
	} {
		found := ""
		for _, k := range spec().Kinds {
			if k.Sniff(sample(t, file, "").Body) {
				found += k.Name
			}
		}
		if found != want {
			t.Errorf("%s looks like %q, want %q", file, found, want)
		}
	}
}

// Every code that the fake speaks is read back as itself where it happens.
func TestFakeSpeaksItsCodes(t *testing.T) {
	n := dial(t, nil)
	p := bindTo(t, n.env)
	for _, code := range spec().Fake(carriers.FakeEnv{}).Speaks() {
		h := carriers.FakeHistory{Origin: "CN", Destination: "RU", Scans: []carriers.FakeScan{{Code: code, At: instant(t, "2026-10-12T08:20:00Z")}}}
		switch code {
		case parcel.CodeTransitCountryArrived, parcel.CodeTransitCountryDeparted:
			h.Scans[0].Place.Country = "KZ"
		}
		n.journeys[delivered] = h
		payloads, err := p.Fetch(t.Context(), queries(delivered))
		if err != nil {
			t.Fatal(err)
		}
		rd, err := p.Decode(payloads[0])
		if err != nil || len(rd.Observations) != 1 || rd.Observations[0].Code != code || !rd.Observations[0].Occurred.At.Equal(h.Scans[0].At) {
			t.Errorf("%s comes back as %+v, %v", code, rd.Observations, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".xml") {
			f.Add(sample(f, e.Name(), "").Body)
		}
	}
	p := bind(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		payload := parcel.Payload{Body: body, Numbers: []string{delivered}}
		rd, _ := p.Decode(payload)
		for _, o := range rd.Observations {
			if o.Number == "" || o.OwnCode == "" || o.Code == "" || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := p.Redact(payload)
		if again := p.Redact(clean); !bytes.Equal(again.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, again.Body)
		}
	})
}

// The samples end as expected, whichever service told them.
func TestOutcomes(t *testing.T) {
	p := bind(t, nil)
	rows := func(number string, payloads ...parcel.Payload) []parcel.Event {
		var out []parcel.Event
		for _, payload := range payloads {
			rd, err := p.Decode(payload)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range rd.Observations {
				if o.Number == number {
					out = append(out, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
				}
			}
		}
		return out
	}
	batch := sample(t, "batch-4-answer.xml", kindBatch, delivered, refused, unknown)
	for _, tt := range []struct {
		name, number string
		payloads     []parcel.Payload
		events       int
		milestone    parcel.Milestone
		outcome      parcel.Outcome
		open, closed []parcel.ExceptionKind
	}{
		{"delivered, single", delivered, []parcel.Payload{sample(t, "single-journey-delivered.xml", kindSingle, delivered)}, 11,
			parcel.MilestoneDelivered, parcel.OutcomeDelivered, nil, nil},
		{"delivered, batch", delivered, []parcel.Payload{batch}, 11, parcel.MilestoneDelivered, parcel.OutcomeDelivered, nil, nil},
		{"delivered, both", delivered, []parcel.Payload{batch, sample(t, "single-journey-delivered.xml", kindSingle, delivered)}, 11,
			parcel.MilestoneDelivered, parcel.OutcomeDelivered, nil, nil},
		{"returning, both", refused, []parcel.Payload{sample(t, "single-exception-customs-refusal.xml", kindSingle, refused), batch}, 9,
			parcel.MilestoneDestinationArrived, "", []parcel.ExceptionKind{parcel.ExceptionReturning}, []parcel.ExceptionKind{parcel.ExceptionCustomsHeld}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = "CN", "RU"
			j := parcel.Fold(&s, nil, rows(tt.number, tt.payloads...))
			if len(j.Events) != tt.events || j.Milestone != tt.milestone || j.Outcome != tt.outcome {
				t.Errorf("%d events, %s, outcome %q: want %d, %s, %q", len(j.Events), j.Milestone, j.Outcome, tt.events, tt.milestone, tt.outcome)
			}
			var open, closed []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				if x.Open() {
					open = append(open, x.Kind)
				} else {
					closed = append(closed, x.Kind)
				}
			}
			if !slices.Equal(open, tt.open) || !slices.Equal(closed, tt.closed) {
				t.Errorf("open %v, closed %v: want %v, %v", open, closed, tt.open, tt.closed)
			}
		})
	}
}
