package carrierkit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
)

func TestStripMarkup(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Delivered ", "Delivered "},
		{"spaces stay", "  two  spaces ", "  two  spaces "},
		{"tags", "Handed to <b>DHL</b>", "Handed to DHL"},
		{"link", `Next: <a href="https://example.org/?a=1&amp;b=2">RR123</a>.`, "Next: RR123."},
		{"line break", "one<br>two<br/> three", "one two three"},
		{"paragraphs", "<p>one</p><p>two</p>", "one two"},
		{"references", "Priority Mail&#153; &amp; caf&eacute;", "Priority Mail\u2122 & café"},
		{"once only", "&amp;lt;b&amp;gt;", "&lt;b&gt;"},
		{"comment", "a<!-- b -->c", "ac"},
		{"script", "a<script>alert('b')</script>c", "ac"},
		{"less than", "weight < 2 kg", "weight < 2 kg"},
		{"bare ampersand", "A & B", "A & B"},
		{"other scripts", "Вручение <i>адресату</i> 已签收", "Вручение адресату 已签收"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := carrierkit.StripMarkup(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSniffJSON(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		keys       []string
		want       bool
	}{
		{"object", `{"a":1,"b":{"c":[2]}}`, []string{"a", "b"}, true},
		{"later key", `{"a":{"x":1},"b":2}`, []string{"b"}, true},
		{"nested key does not count", `{"a":{"c":1}}`, []string{"c"}, false},
		{"array", ` [{"ID":"x"}]`, []string{"ID"}, true},
		{"byte order mark", "\ufeff{\"a\":1}", []string{"a"}, true},
		{"no keys", `{}`, nil, true},
		{"no keys, array", `[]`, nil, true},
		{"empty array", `[]`, []string{"a"}, false},
		{"string", `"a"`, []string{"a"}, false},
		{"number", `1`, nil, false},
		{"cut off before", `{"a":`, []string{"b"}, false},
		{"xml", `<a/>`, []string{"a"}, false},
		{"empty", ``, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := carrierkit.SniffJSON([]byte(tt.body), tt.keys...); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestSniffXML(t *testing.T) {
	soap := `<?xml version="1.0" encoding="windows-1251"?><s:Envelope xmlns:s="u"><s:Body><x:answer xmlns:x="v"/></s:Body></s:Envelope>`
	for _, tt := range []struct {
		name, body string
		names      []string
		want       bool
	}{
		{"root", `<TrackResponse/>`, []string{"TrackResponse"}, true},
		{"deeper, with prefixes and another charset", soap, []string{"Envelope", "answer"}, true},
		{"one is missing", soap, []string{"Envelope", "other"}, false},
		{"page", `<!DOCTYPE html><html>`, nil, false},
		{"page without type", `<html><body/></html>`, []string{"body"}, false},
		{"json", `{"a":1}`, nil, false},
		{"empty", ``, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := carrierkit.SniffXML([]byte(tt.body), tt.names...); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestConstantTimeEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"secret", "secret", true}, {"secret", "secreT", false}, {"secret", "secret2", false}, {"", "", true}, {"", "x", false}} {
		if got := carrierkit.ConstantTimeEqual(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %v", tt.a, tt.b, got)
		}
	}
}

func named(names ...string) func([]string) bool {
	return func(path []string) bool {
		for _, n := range names {
			if strings.HasSuffix("/"+strings.Join(path, "/"), "/"+n) {
				return true
			}
		}
		return false
	}
}

func TestRedactJSON(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		fields         []string
	}{
		{
			"value only, every other byte stays", "{ \"receivedBy\" : \"J. SMITH\",\n\t\"x\":1.0 }",
			"{ \"receivedBy\" : \"[redacted]\",\n\t\"x\":1.0 }", []string{"receivedBy"},
		},
		{"in arrays", `[{"a":{"phone":"1","name":"n"}},{"a":{"phone":"2"}}]`, `[{"a":{"phone":"[redacted]","name":"n"}},{"a":{"phone":"[redacted]"}}]`, []string{"a/phone"}},
		{"all below", `{"person":{"n":"x","k":["y",3,true,null,""]},"n":"z"}`, `{"person":{"n":"[redacted]","k":["[redacted]","[redacted]",true,null,""]},"n":"z"}`, []string{"person"}},
		{"absent stays absent", `{"n":"","m":null}`, `{"n":"","m":null}`, []string{"n", "m"}},
		{"escapes", `{"n":"a\"b\u00e9"}`, `{"n":"[redacted]"}`, []string{"n"}},
		{"not json", `{"n":"x"`, `{"n":"x"`, []string{"n"}},
		{"more after it", `{"n":"x"}{"n":"y"}`, `{"n":"x"}{"n":"y"}`, []string{"n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(carrierkit.RedactJSON([]byte(tt.in), named(tt.fields...)))
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if again := string(carrierkit.RedactJSON([]byte(got), named(tt.fields...))); again != got {
				t.Errorf("again %s", again)
			}
		})
	}
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	if got := string(carrierkit.RedactJSON([]byte(deep), named("x"))); got != deep {
		t.Error("deep nesting changed")
	}
}

func TestRedactXML(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		fields         []string
	}{
		{
			"text", "<?xml version=\"1.0\"?>\n<a><ns:Rcpn>ИВАНОВ</ns:Rcpn> <b>x</b></a>",
			"<?xml version=\"1.0\"?>\n<a><ns:Rcpn>[redacted]</ns:Rcpn> <b>x</b></a>", []string{"Rcpn"},
		},
		{"below", "<a><p><q>1</q> <r>2</r></p></a>", "<a><p><q>[redacted]</q> <r>[redacted]</r></p></a>", []string{"p"}},
		{"cdata", "<a><p><![CDATA[x<y]]></p></a>", "<a><p>[redacted]</p></a>", []string{"p"}},
		{"attribute", `<a n='1' phone="2" m="3"/>`, `<a n='1' phone="[redacted]" m="3"/>`, []string{"@phone"}},
		{"attributes below, declarations stay", `<a xmlns:x="u" x:n="1"/>`, `<a xmlns:x="u" x:n="[redacted]"/>`, []string{"a"}},
		{"empty stays", "<a><p/><p></p></a>", "<a><p/><p></p></a>", []string{"p"}},
		{"cut off", "<a><p>x</p>", "<a><p>x</p>", []string{"p"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(carrierkit.RedactXML([]byte(tt.in), named(tt.fields...)))
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if again := string(carrierkit.RedactXML([]byte(got), named(tt.fields...))); again != got {
				t.Errorf("again %s", again)
			}
		})
	}
}

func TestRedacted(t *testing.T) {
	for in, want := range map[string]string{"": "", "name": "[redacted]", "[redacted]": "[redacted]"} {
		if got := carrierkit.Redacted(in); got != want {
			t.Errorf("%q gives %q", in, got)
		}
	}
}

func FuzzRedactJSON(f *testing.F) {
	f.Add(`{"n":"x","a":[{"n":1}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		got := carrierkit.RedactJSON([]byte(body), named("n"))
		if json.Valid([]byte(body)) && !json.Valid(got) {
			t.Errorf("%q became %q, which is no JSON", body, got)
		}
		if again := carrierkit.RedactJSON(got, named("n")); string(again) != string(got) {
			t.Errorf("%q, redacted twice, %q", got, again)
		}
	})
}

func FuzzRedactXML(f *testing.F) {
	f.Add(`<a><n k="v">x</n></a>`)
	f.Fuzz(func(t *testing.T, body string) {
		got := carrierkit.RedactXML([]byte(body), named("n", "@k"))
		if again := carrierkit.RedactXML(got, named("n", "@k")); string(again) != string(got) {
			t.Errorf("%q, redacted twice, %q", got, again)
		}
	})
}

func FuzzStripMarkup(f *testing.F) {
	f.Add("a<b>c</b>&amp;")
	f.Fuzz(func(_ *testing.T, s string) { carrierkit.StripMarkup(s) })
}
