package declared

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// TestRecipes holds signature recipes to worked examples of real carriers.
func TestRecipes(t *testing.T) {
	form := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	for _, tc := range []struct {
		name    string
		recipe  recipe
		over    string
		key     string
		message message
		vars    vars
		want    string
	}{
		{
			name: "Cainiao: Base64 of the raw bytes of MD5", recipe: recipe{steps: []string{"md5", "base64"}}, over: "${form.logistics_interface}${secret}",
			message: message{form: form("logistics_interface", `{"mailNo":"LP00612345678901","cpCode":"DEMO","locale":"en_US"}`)},
			vars:    vars{"secret": "9v8K2example-secret-Cn01"}, want: "y4aEdfKPyNG4h7/LOii7Iw==",
		},
		{
			name: "SF: MD5 over what Java's URL encoder gives", recipe: recipe{steps: []string{"url-encode-java", "md5", "base64"}}, over: "${form.msgData}${form.timestamp}${checkword}",
			message: message{form: form("msgData", `{"language":"0","trackingType":"1","trackingNumber":["SF1390027164455"],"methodType":"1","checkPhoneNo":"4821"}`, "timestamp", "1792310400000")},
			vars:    vars{"checkword": "q7ExampleCheckWordZ3"}, want: "4Y0nIeUSKXwIcXwONLcIVA==",
		},
		{
			name: "China Post: Base64 of the hexadecimal text of MD5", recipe: recipe{steps: []string{"md5", "hex", "base64"}}, over: "${body}${key}",
			message: message{body: `{"traceNo":"LZ741203656CN"}`},
			vars:    vars{"key": "8C2EXAMPLEKEY01"}, want: "YzQ5ZmY3ZTViNjJjOWFiMDJjZTBkZjlhZWM1ZjgxMjE=",
		},
		{
			name: "4PX: sorted parameters, then the body, then the secret", over: "${parameters}${body}${secret}",
			recipe: recipe{steps: []string{"md5", "hex"}, of: "query", except: []string{"access_token", "language"}},
			message: message{
				query: form("method", "tr.order.tracking.get", "app_key", "a1b2c3d4-0000-4fpx-9999-demoappkey01", "v", "1.0.0", "timestamp", "1792310400000", "format", "json", "language", "en", "sign", "x"),
				body:  `{"deliveryOrderNo":"4PX3001872640915CN"}`,
			},
			vars: vars{"secret": "5f6e7d8c-demo-secret-4px"}, want: "7a4f8ac19014fe5c1758e1207d85e121",
		},
		{
			name: "HMAC-SHA256: RFC 4231, test case 2", recipe: recipe{steps: []string{"hmac-sha256", "hex"}}, over: "${body}", key: "${k}",
			message: message{body: "what do ya want for nothing?"}, vars: vars{"k": "Jefe"},
			want: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
		{
			name: "all parts of a call", recipe: recipe{}, over: "${method} ${path}?${query} ${header.X-A} ${query.b}",
			message: message{method: "POST", path: "/p/q", rawQuery: "b=2", query: form("b", "2"), header: http.Header{"X-A": {"1"}}},
			want:    "POST /p/q?b=2 1 2",
		},
		{
			name: "parameters with signs between", recipe: recipe{of: "both", pairJoin: "=", joinBetween: "&", skipEmpty: true}, over: "${parameters}",
			message: message{query: form("b", "2", "empty", ""), form: form("a", "1")}, want: "a=1&b=2",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var err error
			if tc.recipe.over, err = parseTemplate(tc.over, 1); err != nil {
				t.Fatal(err)
			}
			if tc.recipe.key, err = parseTemplate(tc.key, 1); err != nil {
				t.Fatal(err)
			}
			if got := tc.recipe.sign(&tc.message, tc.vars, []string{"sign"}); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestFold(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"case and accents", "  ENTREGUE ao   Destinatário. ", "entregue ao destinatario"},
		{"Cyrillic", "Прибыл(о) в Йошкар-Олу", "прибыл о в иошкар олу"},
		{"Kazakh letters stay", "ҚАЗАҚСТАНҒА келді!", "қазақстанға келді"},
		{"Georgian", "გზავნილი, ჩაბარდა", "გზავნილი ჩაბარდა"},
		{"Armenian ligature", "Առաքված և ստացված", "առաքված եւ ստացված"},
		{"Serbian in two scripts", "Uručeno — Уручено", "uruceno уручено"},
		{"Thai keeps its vowels", "นำจ่ายสำเร็จ", "นําจ่ายสําเร็จ"},
		{"full width", "ＯＫ　１２", "ok 12"},
		{"German", "Zustellung gemäß Straße", "zustellung gemass strasse"},
		{"stars are punctuation in words", "a * b", "a b"},
		{"nothing", " .,- ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fold(tc.in, false); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if again := fold(fold(tc.in, false), false); again != fold(tc.in, false) {
				t.Errorf("folded twice: %q", again)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	f := format{syntax: "json"}
	doc, err := f.read([]byte(`{"a":{"b":[{"t":"x","v":1},{"t":"y","v":"2"}]},"k.l":"dot","n":null,"e":"","yes":true,"one":{"v":"alone"}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := scope{root: doc, parcel: map[string]any{"p": "parcel"}, here: doc}
	for _, tc := range []struct{ path, want string }{
		{"a.b.v", "1"}, {"a.b[1].v", "2"}, {"a.b[-1].t", "y"}, {"a.b[t=y].v", "2"}, {"a.b[t=z].v", ""}, {"a.b[7].v", ""},
		{"'k.l'", "dot"}, {"n | e | yes", "true"}, {"/a.b[0].t", "x"}, {"^p", "parcel"}, {"one[0].v", "alone"}, {"a", ""}, {"nowhere.at.all", ""},
	} {
		t.Run(tc.path, func(t *testing.T) {
			p, err := parsePath(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.text(c); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	for _, bad := range []string{"a..b", "a.", ".a", "a[", "a[x]", "a[-2]", "'a", "a]b", "''", "a b.", "a[0]b", "${x}", "a.[0]"} {
		if _, err := parsePath(bad); err == nil {
			t.Errorf("path %q is taken", bad)
		}
	}
}

func TestLayouts(t *testing.T) {
	for _, tc := range []struct{ layout, want string }{
		{"2006-01-02T15:04:05Z07:00", ""}, {"02.01.2006", ""}, {"unix", ""}, {"20060102150405", ""}, {"2 Jan 2006 3:04 PM", ""},
		{"YYYY-MM-DD", `layout "YYYY-MM-DD" reads no day; write it as "2006-01-02"`},
		{"dd/MM/yyyy HH:mm:ss", `layout "dd/MM/yyyy HH:mm:ss" reads no day; write it as "02/01/2006 15:04:05"`},
		{"%Y-%m-%d %H:%M", `layout "%Y-%m-%d %H:%M" reads no day; write it as "2006-01-02 15:04"`},
		{"15:04", `layout "15:04" reads no day; write how 2 January 2006, 15:04:05 would look, such as 02.01.2006 15:04; or unix, or unix-ms`},
		{"2006-01-02 15:04 MST", `layout "2006-01-02 15:04 MST": zone names such as MST name several zones; leave them out of the text or declare a zone`},
	} {
		t.Run(tc.layout, func(t *testing.T) {
			got := ""
			if err := checkLayout(tc.layout); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestMoments reads times by each rule of zones.
func TestMoments(t *testing.T) {
	at, err := parsePath("t")
	if err != nil {
		t.Fatal(err)
	}
	zone, err := parsePath("z")
	if err != nil {
		t.Fatal(err)
	}
	var zones carrierkit.Zones
	almaty := zones.Location("Asia/Almaty")
	rule := func(from string, name *time.Location, c parcel.Certainty, layouts ...string) timeRule {
		r := timeRule{at: field{paths: []path{at}}, layouts: layouts, zone: zoneRule{from: from, name: name, certainty: c}}
		if from == "field" {
			r.zone.field = field{paths: []path{zone}}
		}
		return r
	}
	const bare = "2006-01-02 15:04:05"
	for _, tc := range []struct {
		name        string
		rule        timeRule
		time, zone  string
		place       parcel.Place
		wall, utc   string
		certainty   parcel.Certainty
		wantOffset  string
		isMalformed bool
	}{
		{name: "offset in the text", rule: rule("text", nil, "", time.RFC3339), time: "2026-11-20T10:00:00+05:00", wall: "2026-11-20T10:00:00", utc: "2026-11-20T05:00:00Z", certainty: parcel.CertaintyReported, wantOffset: "+05:00"},
		{name: "offset in a field", rule: rule("field", almaty, parcel.CertaintyAssumed, bare), time: "2026-11-20 10:00:00", zone: "GMT-3", wall: "2026-11-20T10:00:00", utc: "2026-11-20T13:00:00Z", certainty: parcel.CertaintyReported, wantOffset: "-03:00"},
		{name: "zone in a field", rule: rule("field", almaty, parcel.CertaintyAssumed, bare), time: "2026-11-20 10:00:00", zone: "America/New_York", wall: "2026-11-20T10:00:00", utc: "2026-11-20T15:00:00Z", certainty: parcel.CertaintyReported, wantOffset: "-05:00"},
		{name: "nonsense in the field", rule: rule("field", almaty, parcel.CertaintyAssumed, bare), time: "2026-11-20 10:00:00", zone: "../../etc/passwd", wall: "2026-11-20T10:00:00", utc: "2026-11-20T05:00:00Z", certainty: parcel.CertaintyAssumed, wantOffset: "+05:00"},
		{name: "nothing known", rule: rule("field", nil, "", bare), time: "2026-11-20 10:00:00", wall: "2026-11-20T10:00:00", utc: "2026-11-20T10:00:00Z", certainty: parcel.CertaintyUnknown},
		{name: "by place", rule: rule("place", nil, "", bare), time: "2026-07-20 10:00:00", place: parcel.Place{Country: "DE"}, wall: "2026-07-20T10:00:00", utc: "2026-07-20T08:00:00Z", certainty: parcel.CertaintyPlace, wantOffset: "+02:00"},
		{name: "by no place", rule: rule("place", almaty, parcel.CertaintyAssumed, bare), time: "2026-07-20 10:00:00", wall: "2026-07-20T10:00:00", utc: "2026-07-20T05:00:00Z", certainty: parcel.CertaintyAssumed, wantOffset: "+05:00"},
		{name: "fixed", rule: rule("fixed", almaty, parcel.CertaintyPlace, bare), time: "2026-07-20 10:00:00", place: parcel.Place{Country: "DE"}, wall: "2026-07-20T10:00:00", utc: "2026-07-20T05:00:00Z", certainty: parcel.CertaintyPlace, wantOffset: "+05:00"},
		{name: "a day stays a day", rule: rule("fixed", almaty, parcel.CertaintyPlace, bare, "02.01.2006"), time: "20.07.2026", wall: "2026-07-20", utc: "2026-07-19T19:00:00Z", certainty: parcel.CertaintyPlace, wantOffset: "+05:00"},
		{name: "epoch", rule: rule("fixed", almaty, parcel.CertaintyPlace, "unix-ms"), time: "1795012200000", wall: "2026-11-18T19:30:00", utc: "2026-11-18T14:30:00Z", certainty: parcel.CertaintyPlace, wantOffset: "+05:00"},
		{name: "epoch without a zone", rule: rule("text", nil, "", "unix"), time: "1795012200", wall: "2026-11-18T14:30:00", utc: "2026-11-18T14:30:00Z", certainty: parcel.CertaintyAssumed, wantOffset: "+00:00"},
		{name: "a literal Z is not UTC", rule: rule("fixed", almaty, parcel.CertaintyAssumed, "2006-01-02T15:04:05Z"), time: "2026-07-20T10:00:00Z", wall: "2026-07-20T10:00:00", utc: "2026-07-20T05:00:00Z", certainty: parcel.CertaintyAssumed, wantOffset: "+05:00"},
		{name: "a placeholder", rule: rule("fixed", almaty, parcel.CertaintyPlace, bare), time: "0001-01-01 00:00:00", isMalformed: true},
		{name: "another form", rule: rule("fixed", almaty, parcel.CertaintyPlace, bare), time: "yesterday", isMalformed: true},
		{name: "an offset that nobody has", rule: rule("text", nil, "", time.RFC3339), time: "2026-11-20T10:00:00+19:00", isMalformed: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := map[string]any{"t": tc.time, "z": tc.zone}
			m, err := tc.rule.read(scope{here: doc}, tc.place, &zones)
			if tc.isMalformed != (err != nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			if m.Wall != tc.wall || m.At.Format(time.RFC3339) != tc.utc || m.Certainty != tc.certainty || m.Offset() != tc.wantOffset {
				t.Errorf("wall %s, instant %s, %s, offset %q", m.Wall, m.At.Format(time.RFC3339), m.Certainty, m.Offset())
			}
		})
	}
}

// TestTableOrder holds the table to its order: both, code, pattern, words.
func TestTableOrder(t *testing.T) {
	_, err := parseCarrier("t.yaml", []byte(minimal(`
    - {phrase: "held *", event: CARRIER_HELD}
    - {glob: "E*", event: DELAYED}
    - {regexp: "E[0-9]", phrase: "*rain*", event: DELAYED, reason: WEATHER}
    - {glob: "R?", event: RETURN_STARTED}
    - {code: "E7", event: DAMAGED}
    - {code: "E7", phrase: "*lost*", event: LOST}
`)), nil)
	if err == nil {
		t.Fatal("a regular expression behind a glob that takes all of it is let pass")
	}
	c, err := parseCarrier("t.yaml", []byte(minimal(`
    - {phrase: "held *", event: CARRIER_HELD}
    - {regexp: "E[0-9]", phrase: "*rain*", event: DELAYED, reason: WEATHER}
    - {glob: "E*", event: DELAYED}
    - {glob: "R?", event: RETURN_STARTED}
    - {code: "E7", event: DAMAGED}
    - {code: "E7", phrase: "*lost*", event: LOST}
`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		code, words string
		want        parcel.Code
		rule        string
	}{
		{"E7", "Parcel LOST!", parcel.CodeLost, "E7 text:*lost*"},
		{"E7", "anything", parcel.CodeDamaged, "E7"},
		{"E1", "heavy rain.", parcel.CodeDelayed, "E[0-9] text:*rain*"},
		{"E1", "", parcel.CodeDelayed, "E*"},
		{"R1", "", parcel.CodeReturnStarted, "R?"},
		{"R12", "", parcel.CodeUnknown, "unmapped"},
		{"X", "Held  at depot", parcel.CodeCarrierHeld, "text:held *"},
		{"", "HELD: customs", parcel.CodeCarrierHeld, "text:held *"},
		{"", "Nobody knows 7", parcel.CodeUnknown, "text:nobody knows 7"},
	} {
		t.Run(tc.code+" "+tc.words, func(t *testing.T) {
			row, ok := c.Spec.Codes.(*table).Read(tc.code, tc.words)
			if row.Code != tc.want || row.Rule != tc.rule || ok != (tc.want != parcel.CodeUnknown) {
				t.Errorf("%s by %q", row.Code, row.Rule)
			}
		})
	}
	if row, ok := c.Spec.Codes.Lookup("text:held at depot"); !ok || row.Code != parcel.CodeCarrierHeld {
		t.Errorf("by the rule of words: %+v", row)
	}
}

// minimal is a description with a table.
func minimal(rows string) string {
	return `name: acme-post
title: Acme
stages: [last-mile]
api: v1
base-url: https://acme.example
steps: [{path: "/t/${number}"}]
answer:
  format: json
  events: e
  event: {code: c, words: w, time: {path: t, layouts: [unix]}}
codes:
  version: 2026-11-22
  table:
` + rows
}

// TestDocuments writes and reads trees in each syntax.
func TestDocuments(t *testing.T) {
	tree := map[string]any{"answer": map[string]any{"@v": "1 < 2", "item": []any{map[string]any{"no": "A&B", "#text": ""}, map[string]any{"no": "ä\"'"}}}}
	xml := format{syntax: "xml"}
	got, err := xml.read(xml.write(tree))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"answer": map[string]any{"@v": "1 < 2", "item": []any{map[string]any{"no": "A&B"}, map[string]any{"no": "ä\"'"}}}}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Error(diff)
	}
	deep := make([]byte, 0, 1000)
	for range 200 {
		deep = append(deep, '[')
	}
	for _, bad := range []struct{ syntax, body string }{
		{"json", string(deep)}, {"json", `{} x`}, {"json", ""}, {"xml", "<a><b></a>"}, {"xml", ""}, {"xml", "<a/><b/>"},
		{"xml", `<?xml version="1.0" encoding="klingon"?><a/>`}, {"csv", "a;b\n1;2"}, {"csv", ""},
	} {
		f := format{syntax: bad.syntax, separator: ';'}
		if v, err := f.read([]byte(bad.body)); err == nil {
			t.Errorf("%s %q reads as %v", bad.syntax, bad.body, v)
		}
	}
}

var _ carriers.Table = (*table)(nil)
