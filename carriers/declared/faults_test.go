package declared_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/declared"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// base is a description without faults, which the tests below break.
const base = `name: acme-post
title: Acme Post
country: KZ
stages: [last-mile]
api: Acme v1
base-url: https://acme-post.example
batch: 3
settings:
  api_key: {doc: key, secret: true, required: true}
auth:
  header: {name: X-Key, value: "${api_key}"}
steps:
  - path: /v1/items
    query: {no: {repeat: "${number}"}}
answer:
  format: json
  parcels: items
  number: no
  events: scans
  event:
    code: c
    words: w
    time: {path: t, layouts: ["2006-01-02 15:04"], zone: {from: fixed, name: Asia/Almaty}}
codes:
  version: 2026-11-22
  table:
    - {code: A, event: PICKED_UP}
    - {code: B, event: DELIVERED}
`

// TestFaults breaks a description in one place after the other: each fault is
// told with its line and a remedy.
func TestFaults(t *testing.T) {
	if _, err := loadText(t, base); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown key", "country: KZ", "contry: KZ", `:3: unknown key "contry" in the file; did you mean "country"?`},
		{"unknown key deep down", "    code: c", "    kode: c", `:21: unknown key "kode" in event of answer; did you mean "code"?`},
		{"key twice", "title: Acme Post", "title: Acme Post\ntitle: Again", `:3: `},
		{"name", "name: acme-post", "name: Acme_Post", `:1: name "Acme_Post": want lower-case letters and digits, joined by dashes, such as kite-parcel`},
		{"name of a carrier built in", "name: acme-post", "name: ups", `:1: name "ups" is that of a carrier built in; choose another, such as ups-own`},
		{"no title", "title: Acme Post\n", "", `lacks title: the name as the carrier writes it`},
		{"country", "country: KZ", "country: Atlantis", `:3: country "Atlantis" is none; write its code of two letters`},
		{"stage", "[last-mile]", "[lastmile]", `did you mean "last-mile"?`},
		{"base URL without a scheme", "https://acme-post.example", "acme-post.example", `:6: base-url "acme-post.example": want an absolute http or https address`},
		{"base URL with a password", "https://acme-post.example", "https://u:p@acme-post.example", `:6: base-url`},
		{"base URL put together", "https://acme-post.example", "https://${api_key}.example", `:6: base-url`},
		{"path to another host", "path: /v1/items\n", "path: https://elsewhere.example/x\n", `must begin with /: scheme, host and port stand in base-url alone`},
		{"path that becomes another host", "path: /v1/items\n", "path: //elsewhere.example/x\n", `would lead elsewhere`},
		{"path with a query", "path: /v1/items\n", "path: /v1/items?a=b\n", `put what follows ? below query`},
		{"name in a template", "${api_key}", "${apikey}", `there is no ${apikey}; did you mean "api_key"?`},
		{"template", `value: "${api_key}"`, `value: "${api_key"`, `want ${name}; write $$ for a dollar sign`},
		{"setting without doc", "{doc: key, secret", "{secret", `setting api_key lacks doc`},
		{"secret in the file", "secret: true,", "secret: true, default: hunter2,", `secrets never stand in a description`},
		{"setting used nowhere", "  api_key:", "  spare: {doc: spare}\n  api_key:", `setting spare is used nowhere`},
		{"header", "name: X-Key", `name: "X Key: a"`, `want letters, digits and dashes`},
		{"host header", "    query: {no:", "    headers: {Host: elsewhere.example}\n    query: {no:", `header Host is not a description's to set`},
		{"nothing asked", `repeat: "${number}"`, `repeat: "1"`, `repeat lacks ${number}`},
		{"batch that nobody takes", `{repeat: "${number}"}`, `"${number}"`, `batch is 3, and no step takes several numbers`},
		{"format", "format: json", "format: yaml", `"yaml" is none of json, xml, csv`},
		{"path in the answer", "events: scans", "events: scans..", `:19: events of answer: path "scans..": "" is no key`},
		{"no number in a batch", "  number: no\n", "", `answer lacks number, and batch is 3: whose answer is whose?`},
		{"layout", "2006-01-02 15:04", "YYYY-MM-DD HH:mm", `write it as "2006-01-02 15:04"`},
		{"no zone", `, zone: {from: fixed, name: Asia/Almaty}`, "", `has no offset, and zone is missing`},
		{"zone that the text has not", "{from: fixed, name: Asia/Almaty}", "text", `so the zone cannot come from the text`},
		{"zone name", "Asia/Almaty", "Asia/Alamty", `zone "Asia/Alamty" is none`},
		{"event", "DELIVERED", "DELIVERRED", `:28: event "DELIVERRED" is none; did you mean "DELIVERED"?`},
		{"reason", "event: DELIVERED}", "event: DELIVERED, reason: ABSENT_RECIPIENT}", `reason "ABSENT_RECIPIENT" is none`},
		{"delivered to", "event: DELIVERED}", "event: DELIVERED, delivered-to: NEIGHBOR}", `delivered-to "NEIGHBOR" is none; did you mean "NEIGHBOUR"?`},
		{"code twice", "{code: B,", "{code: A,", `:28: A stands in the table already: the row at line 27 (A)`},
		{"pattern behind a wider one", "    - {code: B, event: DELIVERED}", `    - {glob: "X*", event: DELAYED}` + "\n" + `    - {glob: "X?1", event: DELIVERED}`, `:29: X?1 can never match: the row at line 28 (X*) takes all of it`},
		{"phrase behind a wider one", "    - {code: B, event: DELIVERED}", `    - {phrase: "*held*", event: DELAYED}` + "\n" + `    - {phrase: "Is HELD, again", event: CARRIER_HELD}`, `:29: text:is held again can never match`},
		{"regular expression", "{code: B,", `{regexp: "B(",`, `regexp "B(": error parsing regexp`},
		{"table version", "2026-11-22", "22.11.2026", `version "22.11.2026" is no day`},
		{"personal field that is read", "codes:", "personal: [scans.w]\ncodes:", `personal "w" is what "items.scans.w" reads`},
		{"signature never sent", "auth:", "signature: {over: \"${body}${api_key}\", steps: [md5, hex]}\nauth:", `signature is made and never sent`},
		{"signature step", "auth:", "signature: {over: \"${body}${api_key}\", steps: [md-5]}\nauth:", `step "md-5" is none of`},
		{"hmac without a key", "auth:", "signature: {over: \"${body}\", steps: [hmac-sha256]}\nauth:", `an hmac step needs key`},
		{"push that anybody can send", "codes:", "push: {verify: {header: X-K, value: \"abc\"}}\ncodes:", `verify puts no secret setting in`},
		{"push without proof", "codes:", "push: {}\ncodes:", ``},
		{"quota", "batch: 3", "batch: 3\nquota: {calls: 10}", `calls and window belong together`},
		{"paging that is not asked for", "codes:", "paging: {more: m}\ncodes:", `does not put ${page} in`},
		{"anchor", "title: Acme Post", "title: &a Acme Post", `anchors, aliases and merges are not taken`},
		{"a list", base, "- a\n- b\n", `a description is made of keys and values`},
		{"not YAML", "title: Acme Post", "title: [", `not YAML`},
		{"nested without end", "title: Acme Post", "title: " + strings.Repeat("[", 100), `nested more than 24 deep`},
		{"empty", base, "", `a description is made of keys and values`},
		{"too long", base, "# " + strings.Repeat("x", declared.MaxFileBytes), `longer than 524288 bytes`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(base, tc.old) {
				t.Fatalf("%q is not there to be broken", tc.old)
			}
			_, err := loadText(t, strings.Replace(base, tc.old, tc.new, 1))
			if err == nil && tc.want == "" {
				return
			}
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if p, ok := errors.AsType[*declared.Problem](err); !ok || tc.name != "too long" && p.Line == 0 {
				t.Errorf("%v names no line", err)
			}
		})
	}
}

// TestAllFaultsAtOnce mends a file in one go.
func TestAllFaultsAtOnce(t *testing.T) {
	text := strings.NewReplacer("country: KZ", "country: Q", "batch: 3", "batch: many", "DELIVERED", "DELIVRED", "format: json", "format: jsn").Replace(base)
	_, err := loadText(t, text)
	if err == nil {
		t.Fatal("taken")
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		_, rest, _ := strings.Cut(line, ".yaml:")
		at, _, _ := strings.Cut(rest, ":")
		lines = append(lines, at)
	}
	if diff := cmp.Diff([]string{"3", "7", "16", "28"}, lines); diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

func loadText(t *testing.T, text string) (declared.Carrier, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acme.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return declared.Load(file, func(name string) bool { return name == "ups" })
}

// served binds a description to a server of the test's own.
func served(t *testing.T, text string, settings map[string]string, h http.HandlerFunc) carriers.Carrier {
	t.Helper()
	c, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	bound, err := c.Spec.New(carriers.Env{Account: "test", BaseURL: srv.URL, Settings: settings, HTTP: srv.Client(), Wall: clock.Wall(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return bound
}

func fetch(t *testing.T, c carriers.Carrier, numbers ...string) (parcel.Reading, int, error) {
	t.Helper()
	queries := make([]carriers.Query, len(numbers))
	for i, n := range numbers {
		queries[i].Number = n
	}
	payloads, err := c.(carriers.Fetcher).Fetch(t.Context(), queries)
	var all parcel.Reading
	for _, p := range payloads {
		r, decodeErr := c.Decode(p)
		err = errors.Join(err, decodeErr)
		all.Observations = append(all.Observations, r.Observations...)
		all.Results = append(all.Results, r.Results...)
	}
	return all, len(payloads), err
}

// TestPages reads an answer of three pages: nobody is unknown for being on
// another page, and the bound holds.
func TestPages(t *testing.T) {
	text := strings.NewReplacer(`query: {no:`, `query: {page: "${page}", no:`, "answer:\n", "paging: {next: next, most: 4}\nanswer:\n").Replace(base)
	pages := map[string]string{
		"":   `{"items":[{"no":"AA01","scans":[{"c":"A","t":"2026-11-20 10:00"}]}],"next":"p2"}`,
		"p2": `{"items":[{"no":"AA01","scans":[{"c":"B","t":"2026-11-21 10:00"}]},{"no":"AA02","scans":[{"c":"A","t":"2026-11-20 11:00"}]}],"next":"p3"}`,
		"p3": `{"items":[{"no":"AA02","scans":[{"c":"B","t":"2026-11-21 11:00"}]}],"next":null}`,
	}
	c := served(t, text, map[string]string{"api_key": "k"}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, pages[r.URL.Query().Get("page")])
	})
	got, n, err := fetch(t, c, "AA01", "AA02", "AA03")
	if err != nil || n != 3 || len(got.Observations) != 4 {
		t.Errorf("%d payloads, %d observations, %v", n, len(got.Observations), err)
	}
	found := map[string]string{}
	for _, x := range got.Results {
		found[x.Number] += string(x.Finding) + " "
	}
	want := map[string]string{"AA01": "FOUND FOUND ", "AA02": "FOUND FOUND ", "AA03": "UNKNOWN "}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}

	calls := 0
	endless := served(t, text, map[string]string{"api_key": "k"}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		fmt.Fprintf(w, `{"items":[{"no":"AA01","scans":[{"c":"A","t":"2026-11-20 10:%02d"}]}],"next":"p%d"}`, calls, calls)
	})
	if _, _, err := fetch(t, endless, "AA01"); err != nil || calls != 4 {
		t.Errorf("%d calls for pages without end, %v", calls, err)
	}
}

// TestTokenIsRenewed refuses a token in use: one renewal, one more call.
func TestTokenIsRenewed(t *testing.T) {
	text := strings.NewReplacer(`  header: {name: X-Key, value: "${api_key}"}`, `  oauth2: {path: /token, client-id: me, client-secret: "${api_key}"}`).Replace(base)
	tokens, calls := 0, 0
	c := served(t, text, map[string]string{"api_key": "k"}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			user, password, _ := r.BasicAuth()
			if r.FormValue("grant_type") != "client_credentials" || user != "me" || password != "k" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			tokens++
			fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":3600}`, tokens)
			return
		}
		calls++
		if r.Header.Get("Authorization") != "Bearer t2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"items":[{"no":"AA01","scans":[{"c":"A","t":"2026-11-20 10:00"}]}]}`)
	})
	got, _, err := fetch(t, c, "AA01")
	if err != nil || len(got.Observations) != 1 || tokens != 2 || calls != 2 {
		t.Errorf("%d observations, %d tokens, %d calls, %v", len(got.Observations), tokens, calls, err)
	}
	if _, _, err := fetch(t, c, "AA01"); err != nil || tokens != 2 {
		t.Errorf("asked again: %d tokens, %v", tokens, err)
	}
}

// TestNothingLeadsElsewhere puts hostile values into every place of a call.
func TestNothingLeadsElsewhere(t *testing.T) {
	text := `name: acme-post
title: Acme Post
stages: [last-mile]
api: v1
base-url: https://acme-post.example
settings:
  place: {doc: "part of the path"}
values:
  message: {xml: "<a>${postcode}</a>"}
steps:
  - path: /v1/${place}/${postcode}/${number}
    query: {p: "${postcode}"}
    headers: {X-Number: "${number}"}
    body: {json: '{"p":"${postcode}","m":"${message}"}'}
answer:
  format: json
  events: e
  event: {code: c, time: {path: t, layouts: [unix]}}
codes: {version: 2026-11-22, table: [{code: A, event: DELIVERED}]}
`
	for _, hostile := range []string{"../..", "..", ".", "//elsewhere.example", "@elsewhere.example", `"},"x":{"`, "a?b=c#d", "</a><b/>", "%2e%2e%2f", "a&b=c", "x\x00y", "http://elsewhere.example/"} {
		t.Run(hostile, func(t *testing.T) {
			asked := 0
			c := served(t, text, map[string]string{"place": hostile}, func(w http.ResponseWriter, r *http.Request) {
				asked++
				var body struct{ P, M string }
				raw, _ := io.ReadAll(r.Body)
				if err := json.Unmarshal(raw, &body); err != nil || body.P != hostile {
					t.Errorf("body %s: %v", raw, err)
				}
				if !strings.HasPrefix(body.M, "<a>") || strings.Count(body.M, "<") != 2 {
					t.Errorf("message %q", body.M)
				}
				if got := r.URL.Query()["p"]; len(r.URL.Query()) != 1 || len(got) != 1 || got[0] != hostile {
					t.Errorf("query %v", r.URL.Query())
				}
				if n := strings.Count(r.URL.EscapedPath(), "/"); n != 4 {
					t.Errorf("path %s", r.URL.EscapedPath())
				}
				_, _ = io.WriteString(w, `{"e":[]}`)
			})
			_, err := c.(carriers.Fetcher).Fetch(t.Context(), []carriers.Query{{Number: "AA01", Postcode: hostile}})
			if err != nil || asked != 1 {
				t.Errorf("%d calls, %v", asked, err)
			}
		})
	}
	// A header takes no control characters at all.
	text = strings.Replace(text, `X-Number: "${number}"`, `X-Number: "${postcode}"`, 1)
	c := served(t, text, map[string]string{"place": "x"}, func(http.ResponseWriter, *http.Request) { t.Error("a header with a line break was sent") })
	if _, err := c.(carriers.Fetcher).Fetch(t.Context(), []carriers.Query{{Number: "AA01", Postcode: "1\r\nX-Evil: 1"}}); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("a line break in a header: %v", err)
	}
}

// TestSignals reads each way of saying no, by status and by word.
func TestSignals(t *testing.T) {
	text := base + `signals:
  denied: [{path: err, is: [KEY]}, {status: 418}]
  throttled: [{path: err, contains: ["too MANY"]}, {status: 509}]
  retry-after: wait
  unavailable: [{path: err, is: [DOWN]}]
  unknown: [{path: gone, is: ["true"]}]
  withheld: [{path: secret, is: ["1"]}]
  missing: fault
`
	for _, tc := range []struct {
		name   string
		status int
		body   string
		kind   error
		want   []parcel.Finding
	}{
		{"denied by code", 200, `{"err":"KEY"}`, parcel.ErrDenied, nil},
		{"denied by status", 418, `{}`, parcel.ErrDenied, nil},
		{"throttled by words", 200, `{"err":"Too many, calls","wait":"33"}`, parcel.ErrThrottled, nil},
		{"throttled by status", 509, `{}`, parcel.ErrThrottled, nil},
		{"down", 200, `{"err":"DOWN"}`, parcel.ErrUnavailable, nil},
		{"unknown and withheld", 200, `{"items":[{"no":"AA01","gone":true},{"no":"AA02","secret":1}]}`, nil, []parcel.Finding{parcel.FindingUnknown, parcel.FindingDenied}},
		{"missing is no answer", 200, `{"items":[{"no":"AA01","gone":true}]}`, parcel.ErrMalformed, []parcel.Finding{parcel.FindingUnknown}},
		{"nothing where the list should be", 200, `{"itms":[]}`, parcel.ErrMalformed, nil},
		{"not JSON", 200, `hello`, parcel.ErrMalformed, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := served(t, text, map[string]string{"api_key": "k"}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			got, _, err := fetch(t, c, "AA01", "AA02")
			if tc.kind == nil && err != nil || tc.kind != nil && !errors.Is(err, tc.kind) {
				t.Errorf("error %v, want %v", err, tc.kind)
			}
			if th, ok := errors.AsType[*parcel.Throttled](err); tc.name == "throttled by words" && (!ok || th.RetryAfter != 33*time.Second) {
				t.Errorf("wait %v", err)
			}
			var found []parcel.Finding
			for _, x := range got.Results {
				found = append(found, x.Finding)
			}
			if diff := cmp.Diff(tc.want, found); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWatch follows a folder: files come, break, are mended and go; good files
// are untouched by bad ones beside them.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second := strings.Replace(base, "name: acme-post", "name: beta-post", 1)
	put("a.yaml", base)
	put("notes.txt", "no description")
	wall := clock.Fixed(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	folder := declared.NewFolder(dir, nil)
	set, _, err := folder.Look(wall.Now())
	if err != nil || len(set.Carriers) != 1 || len(set.Faults) != 0 {
		t.Fatalf("%+v, %v", set, err)
	}
	type news struct {
		set declared.Set
		err error
	}
	var mu sync.Mutex
	var last news
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		folder.Watch(ctx, wall, func(set declared.Set, err error) {
			mu.Lock()
			defer mu.Unlock()
			last, calls = news{set, err}, calls+1
		})
	})
	defer work.Wait()
	defer cancel()
	turn := func() (news, int) {
		t.Helper()
		if err := wall.AwaitWaiting(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wall.Advance(declared.WatchEvery)
		// The next wait begins when the look is over.
		if err := wall.AwaitWaiting(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		n := calls
		calls = 0
		return last, n
	}
	names := func(s declared.Set) string {
		var out []string
		for _, c := range s.Carriers {
			state := ""
			if c.Stale != nil {
				state = "!"
			}
			out = append(out, c.Spec.Name+state)
		}
		return strings.Join(out, " ")
	}
	for _, step := range []struct {
		name   string
		change func()
		calls  int
		want   string
		faults int
	}{
		{"nothing", func() {}, 0, "", 0},
		{"one more", func() { put("b.yml", second) }, 1, "acme-post beta-post", 0},
		{"one is broken", func() { put("a.yaml", strings.Replace(base, "batch: 3", "batch: x", 1)) }, 1, "acme-post! beta-post", 1},
		{"touched", func() { put("b.yml", second) }, 0, "acme-post! beta-post", 1},
		{"mended", func() { put("a.yaml", base+"# mended\n") }, 1, "acme-post beta-post", 0},
		{"bad from the start", func() { put("c.yaml", "name: [") }, 1, "acme-post beta-post", 1},
		{"a name twice", func() { put("c.yaml", second) }, 1, "acme-post beta-post", 1},
		{"renamed inside", func() { put("c.yaml", strings.Replace(base, "acme-post", "gamma-post", 1)) }, 1, "acme-post beta-post gamma-post", 0},
		{"gone", func() { _ = os.Remove(filepath.Join(dir, "a.yaml")) }, 1, "beta-post gamma-post", 0},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.change()
			got, n := turn()
			if n != step.calls {
				t.Errorf("handed over %d times, want %d", n, step.calls)
			}
			if got.err != nil || n > 0 && (names(got.set) != step.want || len(got.set.Faults) != step.faults) {
				t.Errorf("%s, faults %v, %v; want %s and %d faults", names(got.set), got.set.Faults, got.err, step.want, step.faults)
			}
		})
	}
	// The folder itself goes: what was in force stays.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got, n := turn(); n != 1 || got.err == nil || names(got.set) != "beta-post gamma-post" {
		t.Errorf("%d times, %s, %v", n, names(got.set), got.err)
	}
}

// FuzzLoad reads whatever somebody may save under a name that ends in .yaml.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(base))
	for _, file := range []string{"kite-parcel", "heron-freight", "dala-post"} {
		data, err := os.ReadFile(filepath.Join(examples, file+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := declared.Load(file, nil)
		if err != nil {
			if !errors.Is(err, parcel.ErrInvalid) {
				t.Errorf("no kind: %v", err)
			}
			return
		}
		settings := map[string]string{}
		for _, s := range c.Spec.Settings {
			settings[s.Name] = "x"
		}
		bound, err := c.Spec.New(carriers.Env{Settings: settings, Wall: clock.Wall()})
		if err != nil {
			t.Fatal(err)
		}
		fake := c.Spec.Fake(carriers.FakeEnv{Settings: settings, Now: clock.Wall().Now, Journeys: func(string) (carriers.FakeHistory, bool) { return carriers.FakeHistory{}, false }})
		fake.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/items?no=1", nil))
		for _, k := range c.Spec.Kinds {
			p := parcel.Payload{Kind: k.Name, Body: data, Numbers: []string{"A"}}
			_, _ = bound.Decode(bound.Redact(p))
		}
	})
}

// FuzzDecode reads what a carrier may answer.
func FuzzDecode(f *testing.F) {
	var bound []carriers.Carrier
	for _, name := range []string{"kite-parcel", "heron-freight", "dala-post"} {
		c, err := declared.Load(filepath.Join(examples, name+".yaml"), nil)
		if err != nil {
			f.Fatal(err)
		}
		settings := map[string]string{}
		for _, s := range c.Spec.Settings {
			settings[s.Name] = "x"
		}
		a, err := c.Spec.New(carriers.Env{Settings: settings, Wall: clock.Wall()})
		if err != nil {
			f.Fatal(err)
		}
		bound = append(bound, a)
		samples, err := filepath.Glob(filepath.Join(examples, name, "*"))
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range samples {
			data, err := os.ReadFile(s)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range bound {
			p := parcel.Payload{Kind: "track", Body: data, Numbers: []string{"RR700600505KZ"}}
			once := c.Redact(p)
			if twice := c.Redact(once); !bytes.Equal(once.Body, twice.Body) {
				t.Errorf("redacted twice: %q and %q", once.Body, twice.Body)
			}
			if _, err := c.Decode(once); err != nil && !errors.Is(err, parcel.ErrMalformed) && !errors.Is(err, parcel.ErrDenied) && !errors.Is(err, parcel.ErrThrottled) && !errors.Is(err, parcel.ErrUnavailable) {
				t.Errorf("error of no kind: %v", err)
			}
		}
	})
}
