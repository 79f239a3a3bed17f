package importer

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/parcel"
)

// book is a write path that takes everything, and the same reference once.
type book struct {
	taken []ingest.History
	seen  map[string]bool
	calls int
	fail  int // the call that fails, from 1; 0 for none
}

func (b *book) register(_ context.Context, in []ingest.History) ([]parcel.Registered, error) {
	b.calls++
	if b.calls == b.fail {
		return nil, parcel.ErrUnavailable
	}
	out := make([]parcel.Registered, len(in))
	for i, h := range in {
		switch ref := h.Facts.Reference; {
		case ref == "":
			out[i] = parcel.Registered{Outcome: parcel.WriteRefused, Problems: []*parcel.InputError{parcel.Invalidf(parcel.FaultRequired, "reference", "is missing")}}
		case b.seen[ref]:
			out[i].Outcome = parcel.WriteUnchanged
		default:
			if b.seen == nil {
				b.seen = map[string]bool{}
			}
			b.seen[ref] = true
			out[i].Outcome = parcel.WriteCreated
			b.taken = append(b.taken, h)
		}
	}
	return out, nil
}

func importText(t *testing.T, name, text string, m Mapping) (b *book, sum Summary, faults []string, err error) {
	t.Helper()
	b = &book{}
	sum, err = Run(t.Context(), Options{
		Input: strings.NewReader(text), Name: name, Mapping: m, Register: b.register,
		Fault: func(f *Fault) { faults = append(faults, f.Error()) },
	})
	return b, sum, faults, err
}

// short is a mapping for files of two columns.
func short() Mapping {
	return Mapping{Fields: map[string]Rules{"reference": {{Column: "ref"}}, "destination": {{Column: "to"}}}}
}

func references(b *book) (out []string) {
	for _, h := range b.taken {
		out = append(out, h.Facts.Reference)
	}
	return out
}

func TestFiles(t *testing.T) {
	tests := []struct {
		name   string
		file   string
		text   string
		want   []string
		faults []string
	}{
		{name: "plain", text: "ref,to\na,BR\nb,RU\n", want: []string{"a", "b"}},
		{name: "byte order mark and no last line end", text: "\uFEFFref,to\r\na,BR\r\nb,RU", want: []string{"a", "b"}},
		{name: "bare carriage returns", text: "ref,to\ra,BR\rb,\"R\"\"U\"\r", want: []string{"a"},
			faults: []string{`line 3: destination (column "to"): "R\"U" is no country; write an ISO code such as CN or its English name, or translate it under values in the mapping`}},
		{name: "blank lines", text: "\nref,to\n\na,BR\n\n", want: []string{"a"}},
		{name: "quotes, delimiters and line breaks inside", text: "ref,to\n\"a,\nb\",\"BR\"\n\"c \"\"x\"\"\",RU\n", want: []string{"a,\nb", "c \"x\""}},
		{name: "a stray quote costs one line", text: "ref,to\na,BR\nb\",RU\nc,RU\nd,DE\n", want: []string{"a", "c", "d"},
			faults: []string{`line 3: opens a quote that does not close`}},
		{name: "a quoted text that does not end", text: "ref,to\na,BR\n\"b,RU\nc,DE\n", want: []string{"a", "c"},
			faults: []string{`line 3: opens a quote that does not close`}},
		{name: "two stray quotes", text: "ref,to\na\"x,BR\nb,RU\nc\"x,DE\nd,US\n", want: []string{"b", "d"},
			faults: []string{`line 2: bare " in non-quoted-field, at character 2`, `line 4: opens a quote that does not close`}},
		{name: "ends in the middle of a line", text: "ref,to\na,BR\nb", want: []string{"a"},
			faults: []string{"line 3: the file ends in the middle of this line: it has 1 of 2 columns and no line end"}},
		{name: "ends inside a quoted text", text: "ref,to\na,BR\nb,\"R", want: []string{"a"},
			faults: []string{"line 3: the file ends in the middle of this line, inside a quoted text"}},
		{name: "too few and too many columns", text: "ref,to\na\nb,BR,x\nc,BR,,\nd,US\n", want: []string{"c", "d"},
			faults: []string{"line 2: has 1 columns; the header names 2", "line 3: has 3 columns; the header names 2 (a text with the delimiter in it must stand in quotes)"}},
		{name: "not UTF-8", text: "ref,to\na,BR\nC\xF4te,BR\n\"C\xF4te\",BR\n", want: []string{"a"},
			faults: []string{
				"line 3: is not UTF-8; name the file's encoding in the mapping, such as encoding: windows-1252",
				"line 4: is not UTF-8; name the file's encoding in the mapping, such as encoding: windows-1252",
			}},
		{name: "too long a line", text: "ref,to\n" + strings.Repeat("x", maxRecordBytes) + ",BR\nb,RU\n", want: []string{"b"},
			faults: []string{"line 2: is longer than 1048576 bytes"}},
		{name: "refused by the write path", text: "ref,to\n,BR\nb,RU\n", want: []string{"b"},
			faults: []string{`line 2: reference (column "ref"): is missing`}},

		{name: "JSON lines", file: "x.jsonl", text: `{"ref":"a","to":"BR"}` + "\n\n" + `{"ref":7,"to":"Brazil","more":{"x":[1,{"y":null}]}}`, want: []string{"a", "7"}},
		{name: "JSON by its look", file: "x", text: ` {"ref":"a","to":"BR"}`, want: []string{"a"}},
		{name: "JSON that ends in the middle", file: "x.ndjson", text: `{"ref":"a","to":"BR"}` + "\n" + `{"ref":"b","to`, want: []string{"a"},
			faults: []string{"line 2: the file ends in the middle of this line"}},
		{name: "broken JSON", file: "x.jsonl", text: "{\"ref\":\"a\",\"to\":\"BR\"}\n{\"ref\"}\n[1]\n{} x\n{\"ref\":\"b\",\"to\":\"RU\"}\n", want: []string{"a", "b"},
			faults: []string{
				"line 2: is not a JSON object: invalid character '}' after object key",
				"line 3: is not a JSON object: cannot unmarshal array into Go value of type map[string]interface {}",
				"line 4: has something after its JSON object",
			}},
		{name: "deep JSON", file: "x.jsonl", text: strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), faults: []string{"line 1: is nested deeper than 8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.file == "" {
				tt.file = "x.csv"
			}
			b, sum, faults, err := importText(t, tt.file, tt.text, short())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, references(b)); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.faults, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if sum.Taken() != len(tt.want) || sum.Refused != len(tt.faults) {
				t.Errorf("%d taken and %d refused, want %d and %d", sum.Taken(), sum.Refused, len(tt.want), len(tt.faults))
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	for name, tt := range map[string]struct{ encoding, text string }{
		"windows-1252":             {"windows-1252", "ref,to\nC\xF4te,BR\n"},
		"UTF-16 by its mark":       {"", "\xFF\xFEr\x00e\x00f\x00,\x00t\x00o\x00\n\x00C\x00\xF4\x00t\x00e\x00,\x00B\x00R\x00\n\x00"},
		"a mark beats the mapping": {"windows-1252", "\xEF\xBB\xBFref,to\nCôte,BR\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := short()
			m.Encoding = tt.encoding
			b, _, faults, err := importText(t, "x.csv", tt.text, m)
			if err != nil || len(faults) > 0 {
				t.Fatal(err, faults)
			}
			if diff := cmp.Diff([]string{"Côte"}, references(b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMappingMistakes(t *testing.T) {
	with := func(change func(*Mapping)) Mapping { m := short(); change(&m); return m }
	tests := []struct {
		name string
		m    Mapping
		want string
	}{
		{"no reference", Mapping{Fields: map[string]Rules{"destination": {{Column: "to"}}}}, "reference is needed: say which column holds it"},
		{"unknown field", with(func(m *Mapping) { m.Fields["weight-grams"] = Rules{{Column: "to"}} }), `there is no field "weight-grams"; did you mean "weight_grams"?`},
		{"unknown column", with(func(m *Mapping) { m.Fields["order"] = Rules{{Column: "Ref "}} }), `fields.order: the file has no column "Ref "; did you mean "ref"?`},
		{"neither column nor value", with(func(m *Mapping) { m.Fields["order"] = Rules{{}} }), "fields.order: name a column, or give a value"},
		{"both", with(func(m *Mapping) { m.Fields["order"] = Rules{{Column: "ref", Value: "x"}} }), "either a column or a value"},
		{"bad date", with(func(m *Mapping) { m.Fields["promised_by"] = Rules{{Column: "to", Date: Texts{"DD/MM"}}} }), "a date needs a year, a month and a day"},
		{"bad part of a date", with(func(m *Mapping) { m.Fields["promised_by"] = Rules{{Column: "to", Date: Texts{"YYYY-WW"}}} }), `"WW" is no part of a date`},
		{"date of a text", with(func(m *Mapping) { m.Fields["order"] = Rules{{Column: "to", Date: Texts{"YYYY-MM-DD"}}} }), "date does not belong here"},
		{"unit of a text", with(func(m *Mapping) { m.Fields["order"] = Rules{{Column: "to", Unit: "kg"}} }), "unit does not belong here"},
		{"bad unit", with(func(m *Mapping) { m.Fields["weight_grams"] = Rules{{Column: "to", Unit: "stone"}} }), `unit "stone": want g, kg, lb or oz`},
		{"bad zone", with(func(m *Mapping) { m.Fields["registered_at"] = Rules{{Column: "to", Zone: "Mars"}} }), `"Mars" is no IANA zone`},
		{"bad others", with(func(m *Mapping) { m.Fields["order"] = Rules{{Column: "to", Others: "drop"}} }), "want keep, empty or refuse"},
		{"event without time", with(func(m *Mapping) { m.Events = []Group{{"code": {{Value: "DELIVERED"}}}} }), "events.0: occurred is needed"},
		{"field of a leg", with(func(m *Mapping) { m.Legs = []Group{{"code": {{Value: "x"}}}} }), `legs.0: there is no field "code"`},
		{"decimal", with(func(m *Mapping) { m.Decimal = ";" }), "want . or ,"},
		{"format", with(func(m *Mapping) { m.Format = "xml" }), `format "xml": want csv or jsonl`},
		{"encoding", with(func(m *Mapping) { m.Encoding = "klingon" }), `encoding "klingon" is not known`},
		{"delimiter", with(func(m *Mapping) { m.Delimiter = `"` }), "want one character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, _, _, err := importText(t, "x.csv", "ref,to\na,BR\n", tt.m)
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if b.calls > 0 {
				t.Error("something was taken")
			}
		})
	}
	t.Run("empty file", func(t *testing.T) {
		if _, _, _, err := importText(t, "x.csv", "", short()); !errors.Is(err, parcel.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestShipment(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UTC()
	}
	m := Mapping{
		Decimal: ",", Delimiter: ";", Empty: Texts{"n/a", "see *"}, Final: true,
		Fields: map[string]Rules{
			"reference": {{Column: "Id", Required: true}}, "order": {{Column: "Order"}, {Column: "Old order"}},
			"origin": {{Value: "China"}}, "origin_city": {{Value: "Shenzhen"}},
			"destination": {{Column: "Land", Values: map[string]string{"Zaire": "CD"}}}, "destination_city": {{Column: "City"}}, "destination_postcode": {{Column: "ZIP"}},
			"weight_grams": {{Column: "kg", Unit: "kg"}}, "length_mm": {{Column: "cm", Unit: "cm"}},
			"declared_value": {{Column: "Value"}}, "declared_currency": {{Value: "eur"}},
			"tags": {{Column: "Tags", Split: "|"}, {Column: "Office", Values: map[string]string{"PMO": "pmo"}, Others: "empty"}}, "attributes": {{Column: "Special"}},
			"promised_by": {{Column: "Due", Date: Texts{"D-Mon-YY", "DD.MM.YYYY"}}}, "promise_source": {{Value: "marketplace"}},
			"registered_at": {{Column: "Sold", Date: Texts{"M/D/YY hh:mm"}, Zone: "Asia/Shanghai"}},
			"carrier":       {{Column: "By", Values: map[string]string{"RP": "russian-post"}, Others: "refuse"}}, "tracking_number": {{Column: "No"}},
			"recipient_name": {{Column: "Who"}}, "recipient_address": {{Column: "Where", Split: "/"}},
		},
		Legs: []Group{{"carrier": {{Column: "By2"}}, "tracking_number": {{Column: "No2"}}, "stage": {{Value: "last mile"}}, "cost": {{Column: "Cost2"}}, "cost_currency": {{Value: "USD"}}}},
		Events: []Group{
			{"code": {{Value: "delivered"}}, "occurred": {{Column: "Done", Date: Texts{"D-Mon-YY"}}}, "received": {{Column: "Noted", Date: Texts{"D-Mon-YY"}}}, "country": {{Column: "Land"}}},
			{"code": {{Column: "Status"}}, "occurred": {{Column: "When", Date: Texts{"YYYY-MM-DD hh:mm"}}}, "country": {{Value: "RU"}}, "city": {{Value: "Vladivostok"}}},
			{"code": {{Value: "W10"}}, "occurred": {{Column: "Posted"}}, "words": {{Value: "packed"}}, "own_code": {{Value: "P1"}}},
		},
	}
	header := "Id;Order;Old order;Land;City;ZIP;kg;cm;Value;Tags;Office;Special;Due;Sold;By;No;Who;Where;By2;No2;Cost2;Done;Noted;Status;When;Posted\n"
	row := "17;n/a;O-9;Russia;Kazan;420000;1,25;30;19,90;red|blue|red;PMO;battery;2-Jun-06;5/30/06 09:00;RP;RB 518204475 CN;Ann;Lenina 1/Kazan;ups;1Z1;3,20;1-Jun-06;3-Jun-06;gone fishing;2006-05-31 10:00;2006-05-30T08:00:00+08:00\n"

	b, _, faults, err := importText(t, "x.csv", header+row, m)
	if err != nil || len(faults) > 0 {
		t.Fatal(err, faults)
	}
	got := b.taken[0]
	number := "RB518204475CN"
	moscow, err := time.LoadLocation("Europe/Moscow")
	if err != nil {
		t.Fatal(err)
	}
	want := ingest.History{
		Registration: parcel.Registration{
			Facts: parcel.Facts{
				Reference: "17", Order: "O-9", Origin: parcel.Place{Country: "CN", City: "Shenzhen"},
				Destination: parcel.Place{Country: "RU", City: "Kazan", Postcode: "420000"},
				Goods: parcel.Goods{WeightGrams: 1250, LengthMM: 300, DeclaredValue: parcel.Money{Minor: 1990, Currency: "EUR"},
					Attributes: []parcel.GoodsAttribute{parcel.GoodsBattery}, AttributesKnown: true},
				Tags: []string{"red", "blue", "pmo"},
				Legs: []parcel.DeclaredLeg{
					{Carrier: "russian-post", Number: "RB 518204475 CN"},
					{Carrier: "ups", Number: "1Z1", Stage: parcel.StageLastMile, Cost: parcel.Money{Minor: 320, Currency: "USD"}},
				},
				Promises:     []parcel.Promise{{By: "2006-06-02", Source: parcel.PromiseByMarketplace}},
				RegisteredAt: at("2006-05-30T01:00:00Z"),
			},
			Recipient: parcel.Recipient{Name: "Ann", AddressLines: []string{"Lenina 1", "Kazan"}},
		},
		Final: true,
		Events: []parcel.Observation{
			{Carrier: "russian-post", Number: number, Code: parcel.CodeDelivered, OwnCode: "delivered", Rule: "import", Place: parcel.Place{Country: "RU"},
				Occurred: parcel.DayMoment("1-Jun-06", at("2006-06-01T00:00:00Z"), moscow, parcel.CertaintyAssumed)},
			{Carrier: "russian-post", Number: number, Code: parcel.CodeUnknown, OwnCode: "gone fishing", Words: "gone fishing", Rule: "import",
				Place: parcel.Place{Country: "RU", City: "Vladivostok"}},
			{Carrier: "russian-post", Number: number, Code: parcel.CodeInfoReceived, OwnCode: "P1", Words: "packed", Rule: "import",
				Occurred: parcel.ReportedMoment("2006-05-30T08:00:00+08:00", at("2006-05-30T00:00:00Z").In(time.FixedZone("", 8*3600)))},
		},
		ReceivedAt: []time.Time{at("2006-06-03T00:00:00Z"), {}, {}},
	}
	// Vladivostok keeps its own clock, ten hours ahead in 2006 and later.
	if z := got.Events[1].Occurred; z.Zone != "Asia/Vladivostok" || z.Certainty != parcel.CertaintyPlace || z.Wall != "2006-05-31T10:00:00" {
		t.Errorf("second event at %+v", z)
	}
	want.Events[1].Occurred = got.Events[1].Occurred
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	bad := "18;;;Atlantis;;;1.250,5;x;12,345;;;;2006-06-02;31/12/06 00:00;XX;;;;;;;;;;;\n"
	_, sum, faults, err := importText(t, "x.csv", header+bad, m)
	if err != nil {
		t.Fatal(err)
	}
	wantFaults := []string{
		`line 2: carrier (column "By"): "XX" is none of the values that the mapping lists (RP)`,
		`line 2: declared_value (column "Value"): "12.345" is no amount of EUR such as 12.50`,
		`line 2: destination (column "Land"): "Atlantis" is no country; write an ISO code such as CN or its English name, or translate it under values in the mapping`,
		`line 2: length_mm (column "cm"): "x" is no number; if it means that nothing is known, list it under empty in the mapping`,
		`line 2: promised_by (column "Due"): "2006-06-02" is no date of the form D-Mon-YY or DD.MM.YYYY`,
		`line 2: registered_at (column "Sold"): "31/12/06 00:00" is no date of the form M/D/YY hh:mm`,
		`line 2: weight_grams (column "kg"): "1.250,5" has a point, and the mapping says decimal: ","`,
	}
	if diff := cmp.Diff(wantFaults, sorted(faults)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if sum.Refused != 1 {
		t.Errorf("%d lines refused, want 1", sum.Refused)
	}
}

func sorted(in []string) []string {
	out := append([]string{}, in...)
	for i := range out {
		for k := i; k > 0 && out[k] < out[k-1]; k-- {
			out[k], out[k-1] = out[k-1], out[k]
		}
	}
	return out
}

func TestDefaultMapping(t *testing.T) {
	t.Run("CSV", func(t *testing.T) {
		var notes []string
		b := &book{}
		_, err := Run(t.Context(), Options{
			Name: "orders.csv", Mapping: DefaultMapping(), Register: b.register, Note: func(s string) { notes = append(notes, s) },
			Input: strings.NewReader("Reference,Destination,tracking number,Carrier,tracking_number_2,colour,weight-grams\nA1,Brazil,LP00612345678901,cainiao,NX1BR,red,250\n"),
			Fault: func(f *Fault) { t.Error(f) },
		})
		if err != nil {
			t.Fatal(err)
		}
		want := parcel.Facts{
			Reference: "A1", Destination: parcel.Place{Country: "BR"}, Goods: parcel.Goods{WeightGrams: 250},
			Legs: []parcel.DeclaredLeg{{Carrier: "cainiao", Number: "LP00612345678901"}, {Number: "NX1BR"}},
		}
		if diff := cmp.Diff(want, b.taken[0].Facts); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{`columns that nothing reads: "colour"`}, notes); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("JSON lines with legs and events", func(t *testing.T) {
		b, _, faults, err := importText(t, "orders.jsonl", `{"reference":"A1","destination":"BR","tags":["x","y"],"weight_grams":250,"legs":[{"carrier":"cainiao","tracking_number":"LP1"},{"tracking_number":"NX1BR"}],"events":[{"code":"DELIVERED","occurred":"2026-11-02T10:00:00-03:00","city":"Curitiba","country":"BR"},{"code":"X","occurred":null}]}`, DefaultMapping())
		if err != nil || len(faults) > 0 {
			t.Fatal(err, faults)
		}
		h := b.taken[0]
		if diff := cmp.Diff([]parcel.DeclaredLeg{{Carrier: "cainiao", Number: "LP1"}, {Number: "NX1BR"}}, h.Facts.Legs); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"x", "y"}, h.Facts.Tags); diff != "" {
			t.Error(diff)
		}
		if len(h.Events) != 1 || h.Events[0].Code != parcel.CodeDelivered || h.Events[0].Number != "LP1" || h.Events[0].Occurred.Certainty != parcel.CertaintyReported {
			t.Errorf("events %+v", h.Events)
		}
		if !h.Facts.RegisteredAt.Equal(h.Events[0].Occurred.At) {
			t.Errorf("registered at %s, want the first event", h.Facts.RegisteredAt)
		}
	})
	t.Run("without a needed column", func(t *testing.T) {
		_, _, _, err := importText(t, "orders.csv", "ref,destination\na,BR\n", DefaultMapping())
		if err == nil || !strings.Contains(err.Error(), `the file has no column "reference"`) {
			t.Error(err)
		}
	})
}

// TestResume breaks an import off at every call and goes on from what was
// noted: no line is lost and none is taken twice.
func TestResume(t *testing.T) {
	var text strings.Builder
	text.WriteString("ref,to\n")
	const lines = 2*Batch + 500
	for i := range lines {
		fmt.Fprintf(&text, "r%d,BR\n", i)
	}
	for broken := 1; broken <= 3; broken++ {
		t.Run(fmt.Sprintf("call %d fails", broken), func(t *testing.T) {
			b := &book{fail: broken}
			noted := Summary{}
			options := func() Options {
				return Options{
					Name: "x.csv", Input: strings.NewReader(text.String()), Mapping: short(), Register: b.register, NextLine: noted.NextLine,
					Checkpoint: func(_ context.Context, s Summary) error { noted = s; return nil },
					Fault:      func(f *Fault) { t.Error(f) },
				}
			}
			if _, err := Run(t.Context(), options()); !errors.Is(err, parcel.ErrUnavailable) {
				t.Fatalf("error %v, want unavailable", err)
			}
			b.fail = 0
			sum, err := Run(t.Context(), options())
			if err != nil {
				t.Fatal(err)
			}
			if len(b.taken) != lines || sum.Unchanged != 0 || sum.Created+sum.Skipped != lines {
				t.Errorf("%d taken, %+v", len(b.taken), sum)
			}
			if noted.NextLine != lines+2 {
				t.Errorf("next line %d, want %d", noted.NextLine, lines+2)
			}
			if sum, err = Run(t.Context(), options()); err != nil || sum.Taken() != 0 {
				t.Errorf("a finished file again: %+v, %v", sum, err)
			}
		})
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	b := &book{}
	var text strings.Builder
	text.WriteString("ref,to\n")
	for i := range 3 * Batch {
		fmt.Fprintf(&text, "r%d,BR\n", i)
	}
	sum, err := Run(ctx, Options{
		Name: "x.csv", Input: strings.NewReader(text.String()), Mapping: short(), Register: b.register,
		Checkpoint: func(context.Context, Summary) error { cancel(errors.New("enough")); return nil },
	})
	if err == nil || !strings.Contains(err.Error(), "stopped after line 1001: enough") {
		t.Errorf("error %v", err)
	}
	if sum.Created != Batch || len(b.taken) != Batch {
		t.Errorf("%d created, %d taken; want one batch", sum.Created, len(b.taken))
	}
}

// TestCSVAgreesWithTheStandard reads what package encoding/csv writes.
func TestCSVAgreesWithTheStandard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 4).Draw(t, "columns")
		field := rapid.StringMatching(`[a-z ,"\n]{0,6}`)
		var rows [][]string
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			row := make([]string, width)
			for i := range row {
				row[i] = field.Draw(t, "field")
			}
			row[0] += "x" // a blank line is no record
			rows = append(rows, row)
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		w.UseCRLF = rapid.Bool().Draw(t, "CRLF")
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		src, err := open(strings.NewReader(b.String()), "x.csv", "", "", "")
		if err != nil {
			t.Fatal(err)
		}
		got := [][]string{rows[0]} // the header loses spaces around names
		for {
			rec, err := src.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rec.cells)
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", b.String(), diff)
		}
	})
}

func FuzzRun(f *testing.F) {
	f.Add("ref,to\na,BR\n\"b,RU\nc,DE", "x.csv")
	f.Add("\xEF\xBB\xBFref,to\ra,BR\r", "x.csv")
	f.Add(`{"ref":"a","to":"BR","legs":[{"carrier":"ups"}]}`, "x.jsonl")
	f.Fuzz(func(t *testing.T, text, name string) {
		if len(text) > 1<<16 {
			t.Skip("longer than a fuzzer should make lines")
		}
		m := short()
		m.Events = []Group{{"code": {{Column: "to"}}, "occurred": {{Column: "ref"}}}}
		m.lenient = true
		b := &book{}
		last := 0
		sum, err := Run(t.Context(), Options{
			Name: name, Input: strings.NewReader(text), Mapping: m, Register: b.register,
			Fault: func(f *Fault) {
				if f.Line < last {
					t.Errorf("line %d told after %d", f.Line, last)
				}
				last = f.Line
			},
		})
		if err == nil && sum.Created != len(b.taken) {
			t.Errorf("%d created, %d taken", sum.Created, len(b.taken))
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var text strings.Builder
	text.WriteString("ref,to\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "r%d,Brazil\n", i)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		_, err := Run(b.Context(), Options{Name: "x.csv", Input: strings.NewReader(text.String()), Mapping: short(),
			Register: func(_ context.Context, in []ingest.History) ([]parcel.Registered, error) {
				return make([]parcel.Registered, len(in)), nil
			}})
		if err != nil {
			b.Fatal(err)
		}
	}
}
