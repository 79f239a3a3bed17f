package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
)

func TestAnswers(t *testing.T) {
	g := start(t, nil)
	tests := []struct {
		name, body string
		headers    []string
		status     int
		media      string
		want       string
	}{
		{"a query", `{"query":"{ hello }"}`, nil, 200, mediaResponse, `{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}`},
		{"under the old media type", `{"query":"{ hello }"}`, []string{"Accept: application/json"}, 200, mediaJSON, `{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}`},
		{"variables", `{"query":"query($t: String) { echo(text: $t) }","variables":{"t":"a\"b\u00e9"}}`, nil, 200, mediaResponse, `{"data":{"echo":"a\"bé"},"extensions":{"cost":{"requested":0}}}`},
		{"one of two operations", `{"query":"query A { hello } query B { who { kind } }","operationName":"B"}`, nil, 200, mediaResponse, `{"data":{"who":{"kind":"API_KEY","merchant":"M1","locale":"de"}},"extensions":{"cost":{"requested":1}}}`},
		{"a mutation", `{"query":"mutation { touch }"}`, nil, 200, mediaResponse, `{"data":{"touch":1},"extensions":{"cost":{"requested":0}}}`},
		{"nulls where nothing is given", `{"query":"{ hello }","variables":null,"operationName":null,"extensions":null}`, nil, 200, mediaResponse, `{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}`},
		{"a field that fails", `{"query":"{ fail hello }"}`, nil, 200, mediaResponse, `{"errors":[{"message":"not found","path":["fail"],"extensions":{"code":"NOT_FOUND"}}],"data":{"fail":null,"hello":"world"},"extensions":{"cost":{"requested":0}}}`},
		{"loaders", `{"query":"{ context }"}`, nil, 200, mediaResponse, `{"data":{"context":"loaders are here"},"extensions":{"cost":{"requested":0}}}`},
		{"a price", `{"query":"{ track(number: \"X\") { id legs { code } } }"}`, nil, 200, mediaResponse, `{"data":{"track":{"id":"x","legs":[{"code":"x"},{"code":"x"}]}},"extensions":{"cost":{"requested":15}}}`},
		{"half a point", `{"query":"{ parcel { text } }"}`, nil, 200, mediaResponse, `{"data":{"parcel":{"text":"x"}},"extensions":{"cost":{"requested":1.5}}}`},

		{"a document that cannot be read", `{"query":"{ hello"}`, nil, 400, mediaResponse, `{"errors":[{"message":"Expected Name, found \u003cEOF\u003e","locations":[{"line":1,"column":8}],"extensions":{"code":"PARSE_FAILED"}}]}`},
		{"the same, under the old media type", `{"query":"{ hello"}`, []string{"Accept: application/json"}, 200, mediaJSON, `{"errors":[{"message":"Expected Name, found \u003cEOF\u003e","locations":[{"line":1,"column":8}],"extensions":{"code":"PARSE_FAILED"}}]}`},
		{"an unknown field, without suggestions", `{"query":"{ helo }"}`, nil, 400, mediaResponse, `{"errors":[{"message":"Cannot query field \"helo\" on type \"Query\".","locations":[{"line":1,"column":3}],"extensions":{"code":"VALIDATION_FAILED"}}]}`},
		{"no operation", `{"query":"fragment f on Query { hello }"}`, nil, 400, mediaResponse, `{"errors":[{"message":"The document has no operation.","extensions":{"code":"VALIDATION_FAILED"}}]}`},
		{"which operation", `{"query":"query A { hello } query B { hello }"}`, nil, 400, mediaResponse, `{"errors":[{"message":"The document has several operations; operationName must say which to run.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a variable of another type", `{"query":"query($t: String) { echo(text: $t) }","variables":{"t":{}}}`, nil, 400, mediaResponse, `{"errors":[{"message":"cannot use map as String","extensions":{"code":"VALIDATION_FAILED","input":["variable","t"]}}]}`},
		{"a subscription, not as a stream", `{"query":"subscription { ticks { n } }"}`, nil, 400, mediaResponse, `{"errors":[{"message":"A subscription is followed over WebSocket, or as text/event-stream in the Accept header.","extensions":{"code":"INVALID_INPUT"}}]}`},

		{"no body", ``, nil, 400, mediaResponse, `{"errors":[{"message":"The request has no body.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"not JSON, and not echoed", `{"query":"secret`, nil, 400, mediaResponse, `{"errors":[{"message":"The request is not valid JSON.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"not JSON, under the old media type", `{"query":`, []string{"Accept: application/json"}, 400, mediaJSON, `{"errors":[{"message":"The request is not valid JSON.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"trailing bytes", `{"query":"{ hello }"} x`, nil, 400, mediaResponse, `{"errors":[{"message":"The request goes on after its JSON object.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"another request behind", `{"query":"{ hello }"}{"query":"{ hello }"}`, nil, 400, mediaResponse, `{"errors":[{"message":"The request goes on after its JSON object.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a key twice", `{"query":"{ hello }","query":"{ who { kind } }"}`, nil, 400, mediaResponse, `{"errors":[{"message":"The request gives a key twice.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a key of a variable twice", `{"query":"{ hello }","variables":{"a":{"b":1,"b":2}}}`, nil, 400, mediaResponse, `{"errors":[{"message":"The request gives a key twice.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"several requests", `[{"query":"{ hello }"}]`, nil, 400, mediaResponse, `{"errors":[{"message":"The request must be one JSON object; lists of requests are not taken.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"no query", `{"variables":{}}`, nil, 400, mediaResponse, `{"errors":[{"message":"The request has no query.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a query that is a number", `{"query":7}`, nil, 400, mediaResponse, `{"errors":[{"message":"The request's query must be a string.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"variables that are a list", `{"query":"{ hello }","variables":[]}`, nil, 400, mediaResponse, `{"errors":[{"message":"The request's variables must be an object.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"not UTF-8", "{\"query\":\"{ hello }\xff\"}", nil, 400, mediaResponse, `{"errors":[{"message":"The request is not valid UTF-8.","extensions":{"code":"INVALID_INPUT"}}]}`},

		{"a form", `query={hello}`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, mediaResponse, `{"errors":[{"message":"A request is posted as application/json in UTF-8.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"text, which needs no preflight", `{"query":"{ hello }"}`, []string{"Content-Type: text/plain"}, 415, mediaResponse, `{"errors":[{"message":"A request is posted as application/json in UTF-8.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"another charset", `{"query":"{ hello }"}`, []string{"Content-Type: application/json; charset=iso-8859-1"}, 415, mediaResponse, `{"errors":[{"message":"A request is posted as application/json in UTF-8.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a client that takes pictures", `{"query":"{ hello }"}`, []string{"Accept: image/png"}, 406, mediaJSON, `{"errors":[{"message":"Answers are application/graphql-response+json, application/json or text/event-stream; the Accept header takes none of them.","extensions":{"code":"INVALID_INPUT"}}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := g.do(g.request(http.MethodPost, "/graphql", tt.body, tt.headers...))
			if a.status != tt.status {
				t.Errorf("status %d, want %d", a.status, tt.status)
			}
			if got, want := a.header.Get("Content-Type"), tt.media+"; charset=utf-8"; got != want {
				t.Errorf("content type %q, want %q", got, want)
			}
			if diff := cmp.Diff(tt.want, a.body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if vary := a.header.Values("Vary"); len(vary) == 0 || vary[0] != "Accept" {
				t.Errorf("Vary is %q", vary)
			}
		})
	}
}

func TestGet(t *testing.T) {
	g := start(t, nil)
	tests := []struct {
		name, query string
		headers     []string
		status      int
		body        string
	}{
		{"a query", "query={hello}", nil, 200, `{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}`},
		{"variables", `query=query($t:String){echo(text:$t)}&variables={"t":"x y"}`, nil, 200, `{"data":{"echo":"x y"},"extensions":{"cost":{"requested":0}}}`},
		{"operation name", `query=query A{hello} query B{echo}&operationName=A`, nil, 200, `{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}`},
		{"no query", "", nil, 400, `{"errors":[{"message":"The request has no query.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a mutation", "query=mutation{touch}", nil, 405, `{"errors":[{"message":"A mutation is asked with POST.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a mutation, under the old media type", "query=mutation{touch}", []string{"Accept: application/json"}, 405, `{"errors":[{"message":"A mutation is asked with POST.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"a query twice", "query={hello}&query={who}", nil, 400, `{"errors":[{"message":"The request gives its query twice.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"variables with more behind", "query={hello}&variables={}{}", nil, 400, `{"errors":[{"message":"The request's variables are not valid JSON.","extensions":{"code":"INVALID_INPUT"}}]}`},
		{"an image on a strange page", "query={hello}", []string{"Authorization:", "Sec-Fetch-Site: cross-site"}, 403, `{"errors":[{"message":"A page of another origin asked without a header that shows it may, such as GraphQL-Require-Preflight.","extensions":{"code":"FORBIDDEN"}}]}`},
		{"a page of ours", "query={track(number:\"1\"){id}}", []string{"Authorization:", "Sec-Fetch-Site: same-origin"}, 200, `{"data":{"track":{"id":"x"}},"extensions":{"cost":{"requested":5}}}`},
		{"a page that showed it may", "query={track(number:\"1\"){id}}", []string{"Authorization:", "Sec-Fetch-Site: cross-site", "GraphQL-Require-Preflight: 1"}, 200, `{"data":{"track":{"id":"x"}},"extensions":{"cost":{"requested":5}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			escaped := strings.NewReplacer(" ", "%20", `"`, "%22", "{", "%7B", "}", "%7D").Replace(tt.query)
			a := g.do(g.request(http.MethodGet, "/graphql?"+escaped, "", tt.headers...))
			if a.status != tt.status {
				t.Errorf("status %d, want %d", a.status, tt.status)
			}
			if diff := cmp.Diff(tt.body, a.body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if a.status == 405 && a.header.Get("Allow") != "POST" {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
		})
	}
}

func TestMethods(t *testing.T) {
	g := start(t, nil)
	for _, method := range []string{"PUT", "DELETE", "PATCH", "HEAD"} {
		a := g.do(g.request(method, "/graphql", ""))
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != methods {
			t.Errorf("%s: status %d, Allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	if a := g.do(g.request(http.MethodOptions, "/graphql", "")); a.status != http.StatusNoContent || a.header.Get("Allow") != methods {
		t.Errorf("OPTIONS: status %d, Allow %q", a.status, a.header.Get("Allow"))
	}
}

func TestCallers(t *testing.T) {
	g := start(t, nil)
	now := g.Wall.Now()
	plain := g.keys.add(Key{ID: "K2", MerchantID: "M2", Scopes: []string{"SHIPMENTS_READ", "NO_SUCH_SCOPE"}})
	revoked := g.keys.add(Key{ID: "K3", MerchantID: "M2", RevokedAt: now})
	expired := g.keys.add(Key{ID: "K4", MerchantID: "M2", ExpiresAt: now.Add(-time.Second)})
	unknown, _, _ := NewKey()
	type want struct {
		status      int
		code, other string
	}
	tests := []struct {
		name, query string
		headers     []string
		want        want
	}{
		{"a key", "{ who { kind } }", []string{"Authorization: Bearer " + plain}, want{200, "", `{"data":{"who":{"kind":"API_KEY","merchant":"M2","locale":""}},"extensions":{"cost":{"requested":1}}}`}},
		{"the scheme in any case", "{ hello }", []string{"Authorization: bearer " + plain}, want{200, "", ""}},
		{"nobody at the public door", `{ track(number: "1") { id } }`, []string{"Authorization:"}, want{200, "", ""}},
		{"nobody, by way of fragments", `{ ...a } fragment a on Query { ... on Query { hello } }`, []string{"Authorization:"}, want{401, "UNAUTHENTICATED", ""}},
		{"nobody elsewhere", "{ who { kind } }", []string{"Authorization:"}, want{401, "UNAUTHENTICATED", ""}},
		{"nobody, with a mutation", "mutation { touch }", []string{"Authorization:"}, want{401, "UNAUTHENTICATED", ""}},
		{"nobody about the schema", "{ __schema { types { name } } }", []string{"Authorization:"}, want{401, "UNAUTHENTICATED", ""}},
		{"a key without the scope about the schema", "{ __schema { types { name } } }", []string{"Authorization: Bearer " + plain}, want{403, "FORBIDDEN", ""}},
		{"a key with it", "{ __schema { types { name } } }", nil, want{200, "", ""}},
		{"unknown", "{ hello }", []string{"Authorization: Bearer " + unknown}, want{401, "UNAUTHENTICATED", ""}},
		{"revoked", "{ hello }", []string{"Authorization: Bearer " + revoked}, want{401, "UNAUTHENTICATED", ""}},
		{"expired", "{ hello }", []string{"Authorization: Bearer " + expired}, want{401, "UNAUTHENTICATED", ""}},
		{"a bad key at the public door", `{ track(number: "1") { id } }`, []string{"Authorization: Bearer " + unknown}, want{401, "UNAUTHENTICATED", ""}},
		{"another scheme", "{ hello }", []string{"Authorization: Basic " + plain}, want{401, "UNAUTHENTICATED", ""}},
		{"a language", "{ who { kind } }", []string{"Accept-Language: fr;q=0.5, pt-BR, *;q=0.1"}, want{200, "", `{"data":{"who":{"kind":"API_KEY","merchant":"M1","locale":"pt-BR"}},"extensions":{"cost":{"requested":1}}}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := g.ask(tt.query, nil, tt.headers...)
			if a.status != tt.want.status || a.code() != tt.want.code {
				t.Errorf("status %d, code %q, want %d, %q: %s", a.status, a.code(), tt.want.status, tt.want.code, a.body)
			}
			if tt.want.other != "" && tt.want.other != a.body {
				t.Errorf("body %s", a.body)
			}
			if got := a.header.Get("WWW-Authenticate"); (got != "") != (a.status == 401) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
	t.Run("unknown, revoked and expired look alike", func(t *testing.T) {
		bodies := map[string]bool{}
		for _, secret := range []string{unknown, revoked, expired, "mp_", "x"} {
			bodies[g.ask("{ hello }", nil, "Authorization: Bearer "+secret).body] = true
		}
		if len(bodies) != 1 {
			t.Errorf("%d different answers: %v", len(bodies), bodies)
		}
	})
	t.Run("a store that does not answer", func(t *testing.T) {
		g.keys.mu.Lock()
		g.keys.err = fmt.Errorf("connection refused: %w", parcel.ErrUnavailable)
		g.keys.mu.Unlock()
		other, _, _ := NewKey()
		if a := g.ask("{ hello }", nil, "Authorization: Bearer "+other); a.status != 503 || a.code() != "UNAVAILABLE" || a.header.Get("Retry-After") == "" {
			t.Errorf("status %d, code %q", a.status, a.code())
		}
	})
}

func TestOpenSchema(t *testing.T) {
	for _, open := range []bool{false, true} {
		g := start(t, func(o *Options) { o.OpenSchema = open })
		want := 401
		if open {
			want = 200
		}
		if a := g.ask("{ __schema { types { name } } }", nil, "Authorization:"); a.status != want {
			t.Errorf("open %v: introspection: status %d", open, a.status)
		}
		a := g.do(g.request(http.MethodGet, "/schema.graphql", "", "Authorization:"))
		if a.status != want {
			t.Errorf("open %v: /schema.graphql: status %d", open, a.status)
		}
		if open && !strings.Contains(a.body, "type ParcelConnection") {
			t.Errorf("the schema is %.200s", a.body)
		}
		if a := g.do(g.request(http.MethodGet, "/schema.graphql", "")); a.status != 200 {
			t.Errorf("with a key: status %d", a.status)
		}
	}
}

func TestInternalErrorsTellNothing(t *testing.T) {
	g := start(t, nil)
	for _, field := range []string{"hidden", "boom"} {
		a := g.ask("{ "+field+" }", nil)
		if a.code() != "INTERNAL" || !strings.Contains(a.body, `"reference":`) {
			t.Errorf("%s: %s", field, a.body)
		}
		if strings.Contains(a.body, "hunter2") {
			t.Errorf("%s tells what it must not: %s", field, a.body)
		}
		_, reference, _ := strings.Cut(a.body, `"reference":"`)
		reference, _, _ = strings.Cut(reference, `"`)
		if reference == "" || !strings.Contains(g.log.String(), reference) {
			t.Errorf("%s: the reference %q is not in the log:\n%s", field, reference, g.log)
		}
	}
}

func TestBodies(t *testing.T) {
	g := start(t, func(o *Options) { o.Limits.BodyBytes = 1000; o.Limits.ReadTime = 200 * time.Millisecond })
	t.Run("too long, with its length", func(t *testing.T) {
		a := g.do(g.request(http.MethodPost, "/graphql", strings.Repeat(" ", 1001)))
		if a.status != 413 || a.code() != "QUERY_TOO_COSTLY" {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})
	t.Run("too long, without its length", func(t *testing.T) {
		r := g.request(http.MethodPost, "/graphql", "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", 1001))), -1
		if a := g.do(r); a.status != 413 {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})
	t.Run("compressed", func(t *testing.T) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(bytes.Repeat([]byte(" "), 400_000))
		z.Close()
		a := g.do(g.request(http.MethodPost, "/graphql", b.String(), "Content-Encoding: gzip"))
		if a.status != 415 || a.header.Get("Accept-Encoding") != "identity" {
			t.Errorf("status %d, Accept-Encoding %q: %s", a.status, a.header.Get("Accept-Encoding"), a.body)
		}
	})
	t.Run("slow", func(t *testing.T) {
		u, _ := url.Parse(g.url)
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", g.secret)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, err := io.ReadAll(conn)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408 ")) {
			t.Errorf("answer %q, %v", answer, err)
		}
	})
	t.Run("a slow answer after a fast body", func(t *testing.T) {
		done := make(chan answer)
		go func() { done <- g.ask("{ wait }", nil) }()
		<-g.schema.waiting
		time.Sleep(300 * time.Millisecond) // longer than a body may take
		close(g.schema.release)
		if a := <-done; a.status != 200 || !strings.Contains(a.body, "released") {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})
}

func TestRunTime(t *testing.T) {
	g := start(t, func(o *Options) { o.Limits.RunTime = 50 * time.Millisecond })
	a := g.ask("{ hello wait }", nil)
	if a.status != 200 || a.code() != "UNAVAILABLE" || !strings.Contains(a.body, `"wait":null`) {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func TestCORS(t *testing.T) {
	preflight := []string{"Authorization:", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"}
	tests := []struct {
		name    string
		origins []string
		origin  string
		want    string
	}{
		{"none are allowed", nil, "https://shop.example", ""},
		{"one of the list", []string{"https://shop.example"}, "https://shop.example", "https://shop.example"},
		{"another", []string{"https://shop.example"}, "https://shop.example.evil", ""},
		{"any", []string{"*"}, "https://any.example", "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := start(t, func(o *Options) { o.Origins = tt.origins })
			a := g.do(g.request(http.MethodOptions, "/graphql", "", append(preflight, "Origin: "+tt.origin)...))
			if got := a.header.Get("Access-Control-Allow-Origin"); a.status != 204 || got != tt.want {
				t.Errorf("preflight: status %d, allowed %q", a.status, got)
			}
			if got := a.header.Get("Access-Control-Allow-Headers"); (got != "") != (tt.want != "") {
				t.Errorf("allowed headers %q", got)
			}
			// A refusal is for the page to read as well.
			a = g.ask("{ hello }", nil, "Origin: "+tt.origin, "Authorization: Bearer mp_wrongwrongwrong")
			if got := a.header.Get("Access-Control-Allow-Origin"); a.status != 401 || got != tt.want {
				t.Errorf("request: status %d, allowed %q", a.status, got)
			}
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
		})
	}
	if _, err := New(Options{Schema: newTestSchema(), Origins: []string{"shop.example"}}); err == nil {
		t.Error("an origin without a scheme was taken")
	}
}

func TestHeadersOfSafety(t *testing.T) {
	g := start(t, nil)
	for _, path := range []string{"/", "/graphql?query={hello}", "/nowhere", "/schema.graphql"} {
		a := g.do(g.request(http.MethodGet, path, ""))
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	a := g.do(g.request(http.MethodGet, "/", ""))
	if a.status != 200 || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(a.body, "/schema.graphql") {
		t.Errorf("the page: status %d, policy %q", a.status, a.header.Get("Content-Security-Policy"))
	}
	if a := g.do(g.request(http.MethodGet, "/nowhere", "")); a.status != 404 {
		t.Errorf("/nowhere: status %d", a.status)
	}
}

// hookFunc is Hooks by a function.
type hookFunc func(ctx context.Context, carrier, endpoint string, d Delivery) (int, string, []byte)

// Admit lets everything in.
func (f hookFunc) Admit(string, string) (func(), bool, bool) { return func() {}, true, true }

func (f hookFunc) Push(ctx context.Context, carrier, endpoint string, d Delivery) (int, string, []byte) {
	return f(ctx, carrier, endpoint, d)
}

func TestHooks(t *testing.T) {
	release := make(chan struct{})
	g := start(t, func(o *Options) {
		o.Limits.HookBytes, o.Limits.HooksAtOnce = 100, 1
		o.Hooks = hookFunc(func(_ context.Context, carrier, endpoint string, d Delivery) (int, string, []byte) {
			if endpoint == "wait" {
				<-release
			}
			if endpoint == "panics" {
				panic("hunter2")
			}
			return 202, "text/xml", fmt.Appendf(nil, "<ok>%s %s %s %s %s</ok>", carrier, endpoint, d.Query.Get("q"), d.Header.Get("X-Signature"), d.Body)
		})
	})
	a := g.do(g.request(http.MethodPost, "/hooks/russian-post/abc123?q=1", "body", "X-Signature: s"))
	if a.status != 202 || a.header.Get("Content-Type") != "text/xml" || a.body != "<ok>russian-post abc123 1 s body</ok>" {
		t.Errorf("%+v", a)
	}
	if a := g.do(g.request(http.MethodGet, "/hooks/ups/abc", "")); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %+v", a)
	}
	if a := g.do(g.request(http.MethodPost, "/hooks/ups/abc", strings.Repeat("x", 101))); a.status != 413 {
		t.Errorf("too long: %+v", a)
	}
	if a := g.do(g.request(http.MethodPost, "/hooks/ups/abc", "x", "Content-Encoding: gzip")); a.status != 415 {
		t.Errorf("compressed: %+v", a)
	}
	if a := g.do(g.request(http.MethodPost, "/hooks/ups/panics", "x")); a.status != 500 || strings.Contains(a.body, "hunter2") || a.code() != "INTERNAL" {
		t.Errorf("panic: %+v", a)
	}
	first := make(chan answer)
	go func() { first <- g.do(g.request(http.MethodPost, "/hooks/ups/wait", "x")) }()
	until(t, "the second hook is told to come back", func() bool {
		a := g.do(g.request(http.MethodPost, "/hooks/ups/abc", "x"))
		return a.status == 503 && a.header.Get("Retry-After") != ""
	})
	close(release)
	if a := <-first; a.status != 202 {
		t.Errorf("%+v", a)
	}
	none := start(t, nil)
	if a := none.do(none.request(http.MethodPost, "/hooks/ups/abc", "x")); a.status != 404 {
		t.Errorf("without hooks: %+v", a)
	}
}

func TestDrainOfRequests(t *testing.T) {
	g := start(t, nil)
	first := make(chan answer)
	go func() { first <- g.ask("{ wait }", nil) }()
	<-g.schema.waiting
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := g.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown with a request under way: %v", err)
	}
	if a := g.ask("{ hello }", nil); a.status != 503 || a.code() != "UNAVAILABLE" || a.header.Get("Retry-After") == "" {
		t.Errorf("new work: %+v", a)
	}
	close(g.schema.release)
	if a := <-first; a.status != 200 || !strings.Contains(a.body, "released") {
		t.Errorf("work under way: %+v", a)
	}
	if err := g.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestServe(t *testing.T) {
	g, err := New(Options{Schema: newTestSchema()})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- g.Serve(ctx, listener, 5*time.Second) }()
	r, err := http.Get("http://" + listener.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// BenchmarkPost is what the front door itself costs: a request that is let
// through to a resolver that does nothing.
func BenchmarkPost(b *testing.B) {
	ring := &keyring{}
	secret := ring.add(Key{ID: "K", MerchantID: "M", LastUsedAt: time.Now()})
	g, err := New(Options{Schema: newTestSchema(), Keys: ring})
	if err != nil {
		b.Fatal(err)
	}
	handler := g.Handler()
	const body = `{"query":"query Timeline($id: ID!) { parcel(id: $id) { id name text size { grams } legs(first: 10) { code } related(first: 5) { nodes { id name } } } }","variables":{"id":"U2hpcG1lbnQ6MDFKQ0EwMDAwMDAwMDAwMDAwMDAwMDAwMDA"}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header.Set("Content-Type", mediaJSON)
		r.Header.Set("Accept", mediaResponse)
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
