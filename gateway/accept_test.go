package gateway

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestAnswerMedia(t *testing.T) {
	tests := []struct {
		accept string // "-" for no header
		media  string
		events bool
	}{
		{"-", mediaJSON, false},
		{"*/*", mediaJSON, false},
		{"application/*", mediaJSON, false},
		{"application/json", mediaJSON, false},
		{"application/json; charset=utf-8", mediaJSON, false},
		{"application/json; charset=utf-16", "", false},
		{"application/graphql-response+json", mediaResponse, false},
		{"APPLICATION/GraphQL-Response+JSON", mediaResponse, false},
		{"application/graphql-response+json, application/json", mediaResponse, false},
		{"application/json, application/graphql-response+json", mediaResponse, false},
		{"application/graphql-response+json;q=0.5, application/json", mediaJSON, false},
		{"application/graphql-response+json, application/json;q=0.9", mediaResponse, false},
		{"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", mediaResponse, false},
		{"application/graphql-response+json;q=0, */*", mediaJSON, false},
		{"application/json;q=0, */*", mediaResponse, false},
		{"application/json;q=0", "", false},
		{"text/html", "", false},
		{"text/html, application/xhtml+xml, */*;q=0.8", mediaJSON, false},
		{"text/event-stream", "", true},
		{"text/event-stream, application/json", mediaJSON, true},
		{"text/event-stream;q=0", "", false},
		{"text/*", "", false},
		{"nonsense", "", false},
		{"application/json;q=2", "", false},
	}
	for _, tt := range tests {
		var accept []string
		if tt.accept != "-" {
			accept = []string{tt.accept}
		}
		if media, events := answerMedia(accept); media != tt.media || events != tt.events {
			t.Errorf("%q: %q, %v, want %q, %v", tt.accept, media, events, tt.media, tt.events)
		}
	}
}

func TestPreferredLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"":                          "",
		"*":                         "",
		"ru":                        "ru",
		"ru, en":                    "ru",
		"en;q=0.5, pt-BR;q=0.9, fr": "fr",
		"en;q=0.5, pt-BR;q=0.9":     "pt-BR",
		"zh-Hans-CN":                "zh-Hans-CN",
		"en;q=0":                    "",
		"en;q=x, de":                "de",
		"<script>":                  "",
		strings.Repeat("x", 36):     "",
	} {
		if got := preferredLanguage(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// FuzzRequest holds the strict decoder against the lenient one: what it takes
// it reads alike.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{ a }","variables":{"b":[1,2.5,"c",null,true,{"d":{}}]}}`, `{"query":"a","query":"b"}`, `[]`, `{"a":`, `{"query":"\ud800"}`,
		`{"query":"x"} `, "\ufeff{}", `{"query":"x","variables":{"a":1e400}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRequest(data, 16)
		if err != nil {
			if _, ok := err.(*requestError); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var want map[string]any
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%s was taken: %v", data, err)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Fatalf("%s was taken with something behind it", data)
		}
		if r.query != want["query"] {
			t.Fatalf("%s: query %q, want %q", data, r.query, want["query"])
		}
		if v, ok := want["variables"].(map[string]any); ok && !reflect.DeepEqual(r.variables, v) {
			t.Fatalf("%s: %v, want %v", data, r.variables, v)
		}
	})
}
