package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// peer is a client of a socket.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

// dial opens a socket with headers given as "Name: value".
func (tg *testGateway) dial(headers ...string) *peer {
	tg.t.Helper()
	p, response, err := tg.tryDial(headers...)
	if err != nil {
		tg.t.Fatalf("dial: %v (%+v)", err, response)
	}
	return p
}

func (tg *testGateway) tryDial(headers ...string) (*peer, *http.Response, error) {
	tg.t.Helper()
	o := &websocket.DialOptions{HTTPHeader: http.Header{}, Subprotocols: []string{subprotocol}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Sec-WebSocket-Protocol" {
			o.Subprotocols = nil
			if value != "" {
				o.Subprotocols = []string{value}
			}
			continue
		}
		o.HTTPHeader.Set(name, value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, tg.url+"/graphql", o)
	if err != nil {
		return nil, response, err
	}
	tg.t.Cleanup(func() { conn.CloseNow() })
	p := &peer{tg.t, conn}
	tg.peers = append(tg.peers, p)
	return p, response, nil
}

// greeted opens a socket with the merchant's key and introduces itself.
func (tg *testGateway) greeted() *peer {
	tg.t.Helper()
	p := tg.dial("Authorization: Bearer " + tg.secret)
	p.send(`{"type":"connection_init"}`)
	p.expect(`{"type":"connection_ack"}`)
	return p
}

func (p *peer) send(frame string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		p.t.Fatalf("send %s: %v", frame, err)
	}
}

func (p *peer) read() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	return string(data), err
}

func (p *peer) expect(frames ...string) {
	p.t.Helper()
	for _, want := range frames {
		got, err := p.read()
		if err != nil {
			p.t.Fatalf("want %s, got %v", want, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			p.t.Fatalf("frame (-want +got):\n%s", diff)
		}
	}
}

func (p *peer) expectClose(code websocket.StatusCode, why string) {
	p.t.Helper()
	for {
		_, err := p.read()
		if err == nil {
			continue // what was written before
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != code || closed.Reason != why {
			p.t.Fatalf("closed with %v, want %d %q", err, code, why)
		}
		return
	}
}

func TestSocket(t *testing.T) {
	g := start(t, nil)
	t.Run("a subscription", func(t *testing.T) {
		p := g.greeted()
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { ticks(count: 2) { n } }"}}`)
		p.expect(
			`{"id":"1","type":"next","payload":{"data":{"ticks":{"n":1}},"extensions":{"cost":{"requested":1}}}}`,
			`{"id":"1","type":"next","payload":{"data":{"ticks":{"n":2}},"extensions":{"cost":{"requested":1}}}}`,
			`{"id":"1","type":"complete"}`)
		// The id is free again.
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { ticks(count: 0) { n } }"}}`)
		p.expect(`{"id":"1","type":"complete"}`)
	})
	t.Run("a query", func(t *testing.T) {
		p := g.greeted()
		p.send(`{"id":"q\"é","type":"subscribe","payload":{"query":"query($t:String){ echo(text:$t) context }","variables":{"t":"x"}}}`)
		p.expect(`{"id":"q\"é","type":"next","payload":{"data":{"echo":"x","context":"loaders are here"},"extensions":{"cost":{"requested":0}}}}`, `{"id":"q\"é","type":"complete"}`)
	})
	t.Run("what cannot be run", func(t *testing.T) {
		p := g.greeted()
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ helo }"}}`)
		p.expect(`{"id":"1","type":"error","payload":[{"message":"Cannot query field \"helo\" on type \"Query\".","locations":[{"line":1,"column":3}],"extensions":{"code":"VALIDATION_FAILED"}}]}`)
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { refused { n } }"}}`)
		p.expect(`{"id":"1","type":"error","payload":[{"message":"not a cursor","extensions":{"code":"INVALID_INPUT","fault":"MALFORMED","input":["after"]}}]}`)
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { expires { n } }"}}`)
		p.expect(`{"id":"1","type":"next","payload":{"data":{"expires":{"n":1}},"extensions":{"cost":{"requested":1}}}}`,
			`{"id":"1","type":"error","payload":[{"message":"cursor is older than the log that is kept; begin again from `+"`oldest`"+`","extensions":{"code":"CURSOR_EXPIRED","oldest":"c"}}]}`)
		p.send(`{"id":"2","type":"subscribe","payload":{"query":"{ hello }"}}`)
		p.expect(`{"id":"2","type":"next","payload":{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}}`, `{"id":"2","type":"complete"}`)
	})
	t.Run("what panics", func(t *testing.T) {
		p := g.greeted()
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ boom }"}}`)
		frame, err := p.read()
		if err != nil || !strings.Contains(frame, `"type":"error"`) || !strings.Contains(frame, `"INTERNAL"`) || strings.Contains(frame, "hunter2") {
			t.Errorf("%s, %v", frame, err)
		}
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}`)
		p.expect(`{"id":"1","type":"next","payload":{"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}}`)
	})
	t.Run("a stream that its client completes", func(t *testing.T) {
		p := g.greeted()
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { forever { n } }"}}`)
		p.expect(`{"id":"1","type":"next","payload":{"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}}`)
		p.send(`{"id":"1","type":"complete"}`)
		until(t, "the stream has ended", func() bool { return g.Stats().Subs == 0 })
		p.send(`{"type":"ping"}`)
		p.expect(`{"type":"pong"}`) // and nothing before it
	})
	t.Run("ping before and after the greeting", func(t *testing.T) {
		p := g.dial()
		p.send(`{"type":"ping","payload":{}}`)
		p.expect(`{"type":"pong"}`)
		p.send(`{"type":"connection_init"}`)
		p.expect(`{"type":"connection_ack"}`)
		p.send(`{"type":"pong"}`)
		p.send(`{"type":"ping"}`)
		p.expect(`{"type":"pong"}`)
	})
	t.Run("the key in the greeting", func(t *testing.T) {
		p := g.dial()
		p.send(fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":"Bearer %s"}}`, g.secret))
		p.expect(`{"type":"connection_ack"}`)
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ who { kind } }"}}`)
		p.expect(`{"id":"1","type":"next","payload":{"data":{"who":{"kind":"API_KEY","merchant":"M1","locale":"de"}},"extensions":{"cost":{"requested":1}}}}`)
	})
	t.Run("nobody in particular", func(t *testing.T) {
		p := g.dial()
		p.send(`{"type":"connection_init"}`)
		p.expect(`{"type":"connection_ack"}`)
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { ticks { n } }"}}`)
		p.expect(`{"id":"1","type":"error","payload":[{"message":"This takes an API key: Authorization: Bearer mp_...","extensions":{"code":"UNAUTHENTICATED"}}]}`)
	})

	closes := []struct {
		name   string
		frames []string
		code   websocket.StatusCode
		why    string
	}{
		{"a second greeting", []string{`{"type":"connection_init"}`, `{"type":"connection_init"}`}, 4429, "Too many initialisation requests"},
		{"a subscription before the greeting", []string{`{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}`}, 4401, "Unauthorized"},
		{"a wrong key", []string{`{"type":"connection_init","payload":{"Authorization":"Bearer mp_wrongwrongwrong"}}`}, 4403, "Forbidden"},
		{"a key that is no text", []string{`{"type":"connection_init","payload":{"Authorization":5}}`}, 4403, "Forbidden"},
		{"an id twice", []string{`{"type":"connection_init"}`,
			`{"id":"1","type":"subscribe","payload":{"query":"subscription { forever { n } }"}}`,
			`{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}`}, 4409, "Subscriber for 1 already exists"},
		{"no JSON", []string{`hello`}, 4400, "Invalid message received"},
		{"no type", []string{`{}`}, 4400, "Invalid message received"},
		{"a type of the server's", []string{`{"type":"connection_ack"}`}, 4400, "Invalid message received"},
		{"no id", []string{`{"type":"connection_init"}`, `{"type":"subscribe","payload":{"query":"{ hello }"}}`}, 4400, "Invalid message received"},
		{"no query", []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":{}}`}, 4400, "Invalid message received"},
		{"a query that is a number", []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":{"query":7}}`}, 4400, "Invalid message received"},
		{"no payload", []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe"}`}, 4400, "Invalid message received"},
		{"a greeting that is a list", []string{`{"type":"connection_init","payload":[]}`}, 4400, "Invalid message received"},
	}
	for _, tt := range closes {
		t.Run(tt.name, func(t *testing.T) {
			p := g.dial("Authorization: Bearer " + g.secret)
			for _, frame := range tt.frames {
				p.send(frame)
			}
			p.expectClose(tt.code, tt.why)
		})
	}
	t.Run("a message in binary", func(t *testing.T) {
		p := g.dial()
		p.conn.Write(context.Background(), websocket.MessageBinary, []byte(`{"type":"connection_init"}`))
		p.expectClose(4400, "Invalid message received")
	})
	t.Run("another protocol", func(t *testing.T) {
		for _, other := range []string{"", "graphql-ws"} {
			g.dial("Sec-WebSocket-Protocol: "+other).expectClose(4406, "Subprotocol not acceptable")
		}
	})
	for _, p := range g.peers {
		p.conn.CloseNow()
	}
	until(t, "all sockets are gone", func() bool { return g.Stats() == Stats{Documents: g.Stats().Documents} })
}

func TestSocketDoors(t *testing.T) {
	g := start(t, func(o *Options) { o.Origins = []string{"https://shop.example"}; o.Limits.Sockets = 2 })
	tests := []struct {
		name, header string
		status       int
	}{
		{"a page of another origin", "Origin: https://evil.example", 403},
		{"a page of nowhere", "Origin: null", 403},
		{"a wrong key", "Authorization: Bearer mp_wrongwrongwrong", 401},
	}
	for _, tt := range tests {
		if _, response, err := g.tryDial(tt.header); err == nil || response == nil || response.StatusCode != tt.status {
			t.Errorf("%s: %v, %+v, want %d", tt.name, err, response, tt.status)
		}
	}
	g.dial("Origin: https://shop.example")
	g.dial("Origin: " + g.url)
	until(t, "both are counted", func() bool { return g.Stats().Sockets == 2 })
	if _, response, err := g.tryDial(); err == nil || response == nil || response.StatusCode != 503 {
		t.Errorf("one socket too many: %v, %+v", err, response)
	}
}

func TestSocketLimits(t *testing.T) {
	g := start(t, func(o *Options) {
		o.Limits.StreamsPerSocket = 2
		o.Limits.MessageBytes = 1000
		o.Limits.InitTime = 100 * time.Millisecond
		o.Limits.Heartbeat = 100 * time.Millisecond
		o.Limits.WriteTime = 300 * time.Millisecond
	})
	t.Run("no greeting", func(t *testing.T) {
		g.dial().expectClose(4408, "Connection initialisation timeout")
	})
	t.Run("streams", func(t *testing.T) {
		p := g.greeted()
		for _, id := range []string{"1", "2"} {
			p.send(`{"id":"` + id + `","type":"subscribe","payload":{"query":"subscription { forever { n } }"}}`)
			p.expect(`{"id":"` + id + `","type":"next","payload":{"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}}`)
		}
		p.send(`{"id":"3","type":"subscribe","payload":{"query":"{ hello }"}}`)
		frame, err := p.read()
		if err != nil || !strings.Contains(frame, `"type":"error"`) || !strings.Contains(frame, "QUERY_TOO_COSTLY") {
			t.Errorf("%s, %v", frame, err)
		}
	})
	t.Run("a long message", func(t *testing.T) {
		p := g.greeted()
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ hello ` + strings.Repeat(" ", 1000) + `}"}}`)
		_, err := p.read()
		if websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
			t.Errorf("%v", err)
		}
	})
	t.Run("a silent peer is asked, and one that answers stays", func(t *testing.T) {
		p := g.greeted()
		for range 8 {
			p.expect(`{"type":"ping"}`)
			p.send(`{"type":"pong"}`)
		}
	})
	t.Run("a dead peer is let go", func(t *testing.T) {
		p := g.greeted()
		var err error
		for err == nil {
			_, err = p.read() // pings, never answered
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("still open: %v", err)
		}
	})
}

// TestPeerThatStopsReading shows that one peer which takes nothing loses its
// connection, and that it takes nothing else with it.
func TestPeerThatStopsReading(t *testing.T) {
	g := start(t, func(o *Options) { o.Limits.WriteTime = 200 * time.Millisecond })
	p := g.greeted()
	p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { ticks(count: 100000000) { n } }"}}`)
	until(t, "the stream runs", func() bool { return g.Stats().Subs == 1 })
	until(t, "the stream has ended", func() bool { return g.Stats() == Stats{Documents: 1} })
	if a := g.ask("{ hello }", nil); a.status != 200 {
		t.Errorf("another request: %+v", a)
	}
}

func TestRevokedKeys(t *testing.T) {
	g := start(t, nil)
	t.Run("on a socket", func(t *testing.T) {
		secret := g.keys.add(Key{ID: "K2", MerchantID: "M2"})
		p := g.dial("Authorization: Bearer " + secret)
		p.send(`{"type":"connection_init"}`)
		p.expect(`{"type":"connection_ack"}`)
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { forever { n } }"}}`)
		p.expect(`{"id":"1","type":"next","payload":{"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}}`)
		g.keys.change(secret, func(k *Key) { k.RevokedAt = g.Wall.Now() })
		g.schema.release <- struct{}{} // the next event
		p.expectClose(4411, "The API key is not valid any more")
	})
	t.Run("on an event stream", func(t *testing.T) {
		secret := g.keys.add(Key{ID: "K3", MerchantID: "M2"})
		events := g.events("subscription { forever { n } }", "Authorization: Bearer "+secret)
		events.expect(`event: next`, `data: {"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}`, ``)
		g.keys.change(secret, func(k *Key) { k.ExpiresAt = g.Wall.Now() })
		g.schema.release <- struct{}{}
		events.expect(`event: next`, `data: {"errors":[{"message":"The API key is unknown, revoked or expired.","extensions":{"code":"UNAUTHENTICATED"}}]}`, ``, `event: complete`, `data:`, ``)
		events.expectEnd()
	})
}

// A stream without news ends as well: nothing else would ever ask for its key.
func TestRevokedKeysOfIdleStreams(t *testing.T) {
	g := start(t, func(o *Options) { o.Limits.Heartbeat = 40 * time.Millisecond })
	t.Run("on a socket", func(t *testing.T) {
		secret := g.keys.add(Key{ID: "K2", MerchantID: "M2"})
		p := g.dial("Authorization: Bearer " + secret)
		p.send(`{"type":"connection_init"}`)
		p.expect(`{"type":"connection_ack"}`)
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { forever { n } }"}}`)
		g.keys.change(secret, func(k *Key) { k.RevokedAt = g.Wall.Now() })
		for {
			if _, err := p.read(); err != nil {
				if got := websocket.CloseStatus(err); got != closeRevoked {
					t.Errorf("closed with %v", err)
				}
				return
			}
		}
	})
	t.Run("on an event stream", func(t *testing.T) {
		secret := g.keys.add(Key{ID: "K3", MerchantID: "M2"})
		events := g.events("subscription { forever { n } }", "Authorization: Bearer "+secret)
		g.keys.change(secret, func(k *Key) { k.RevokedAt = g.Wall.Now() })
		defer time.AfterFunc(5*time.Second, func() { events.body.Close() }).Stop()
		last := ""
		for events.r.Scan() {
			if line := events.r.Text(); strings.HasPrefix(line, "data: ") {
				last = line
			}
		}
		if !strings.Contains(last, `"UNAUTHENTICATED"`) {
			t.Errorf("the stream ended after %q", last)
		}
	})
}

// events is a client of an event stream.
type events struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Scanner
}

func (tg *testGateway) events(query string, headers ...string) *events {
	tg.t.Helper()
	body, _ := json.Marshal(map[string]string{"query": query})
	r := tg.request(http.MethodPost, "/graphql", string(body), append([]string{"Accept: text/event-stream"}, headers...)...)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		tg.t.Fatal(err)
	}
	tg.t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); response.StatusCode != 200 || got != mediaEvents+"; charset=utf-8" {
		tg.t.Fatalf("status %d, content type %q", response.StatusCode, got)
	}
	e := &events{tg.t, response.Body, bufio.NewScanner(response.Body)}
	e.expect(":", "")
	return e
}

func (e *events) expect(lines ...string) {
	e.t.Helper()
	for _, want := range lines {
		if !e.r.Scan() {
			e.t.Fatalf("want %q, got the end: %v", want, e.r.Err())
		}
		if got := e.r.Text(); got != want {
			e.t.Fatalf("line %q, want %q", got, want)
		}
	}
}

func (e *events) expectEnd() {
	e.t.Helper()
	if e.r.Scan() {
		e.t.Fatalf("line %q, want the end", e.r.Text())
	}
}

func TestEventStream(t *testing.T) {
	g := start(t, func(o *Options) {
		o.Limits.Heartbeat = 100 * time.Millisecond
		o.Limits.ReadTime = 150 * time.Millisecond
	})
	t.Run("a subscription", func(t *testing.T) {
		e := g.events("subscription { ticks(count: 2) { n } }")
		e.expect(`event: next`, `data: {"data":{"ticks":{"n":1}},"extensions":{"cost":{"requested":1}}}`, ``,
			`event: next`, `data: {"data":{"ticks":{"n":2}},"extensions":{"cost":{"requested":1}}}`, ``,
			`event: complete`, `data:`, ``)
		e.expectEnd()
	})
	t.Run("a query", func(t *testing.T) {
		e := g.events("{ hello }")
		e.expect(`event: next`, `data: {"data":{"hello":"world"},"extensions":{"cost":{"requested":0}}}`, ``, `event: complete`, `data:`, ``)
		e.expectEnd()
	})
	t.Run("what its resolver refuses", func(t *testing.T) {
		e := g.events("subscription { refused { n } }")
		e.expect(`event: next`, `data: {"errors":[{"message":"not a cursor","extensions":{"code":"INVALID_INPUT","fault":"MALFORMED","input":["after"]}}]}`, ``, `event: complete`, `data:`, ``)
		e.expectEnd()
	})
	t.Run("by GET", func(t *testing.T) {
		a := g.do(g.request(http.MethodGet, "/graphql?query=subscription%7Bticks(count:1)%7Bn%7D%7D", "", "Accept: text/event-stream"))
		if want := ":\n\nevent: next\ndata: {\"data\":{\"ticks\":{\"n\":1}},\"extensions\":{\"cost\":{\"requested\":1}}}\n\nevent: complete\ndata:\n\n"; a.body != want {
			t.Errorf("body %q", a.body)
		}
	})
	t.Run("by GET, for longer than a body may take", func(t *testing.T) {
		r := g.request(http.MethodGet, "/graphql?query=subscription%7Bforever%7Bn%7D%7D", "", "Accept: text/event-stream")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		e := &events{t, response.Body, bufio.NewScanner(response.Body)}
		e.expect(":", "", `event: next`, `data: {"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}`, "", ":", "", ":", "", ":", "")
	})
	t.Run("what is not valid, for those who take nothing but a stream", func(t *testing.T) {
		a := g.ask("subscription { helo }", nil, "Accept: text/event-stream")
		want := "event: next\ndata: {\"errors\":[{\"message\":\"Cannot query field \\\"helo\\\" on type \\\"Subscription\\\".\",\"locations\":[{\"line\":1,\"column\":16}],\"extensions\":{\"code\":\"VALIDATION_FAILED\"}}]}\n\nevent: complete\ndata:\n\n"
		if a.status != 200 || a.body != want {
			t.Errorf("%+v", a)
		}
		if a := g.ask("subscription { ticks { n } }", nil, "Accept: text/event-stream", "Authorization:"); a.status != 401 || a.code() != "UNAUTHENTICATED" {
			t.Errorf("nobody: %+v", a)
		}
	})
	t.Run("what is not valid has a status", func(t *testing.T) {
		a := g.ask("subscription { helo }", nil, "Accept: text/event-stream, "+mediaResponse)
		if a.status != 400 || a.code() != "VALIDATION_FAILED" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("silence", func(t *testing.T) {
		e := g.events("subscription { forever { n } }")
		e.expect(`event: next`, `data: {"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}`, ``, ":", "", ":", "")
		e.body.Close()
		until(t, "the stream has ended", func() bool { return g.Stats().Subs == 0 && g.Stats().Sockets == 0 })
	})
}

// A client that lost its stream goes on where it was, by the id of the last
// event that it saw.
func TestEventIDs(t *testing.T) {
	g := start(t, nil)
	const all = "1 2 3"
	for _, tt := range []struct {
		name, query string
		variables   map[string]any
		last        string
		ids, ns     string
	}{
		{"from the beginning", "subscription { log { cursor n } }", nil, "", "c1 c2 c3", all},
		{"without a cursor there are no ids", "subscription { log { n } }", nil, "", "", all},
		{"renamed", "subscription { a: log { b: cursor n } }", nil, "", "c1 c2 c3", all},
		{"in fragments", "subscription { ...f } fragment f on Subscription { log { ... on Entry { ...g } n } } fragment g on Entry { cursor }", nil, "", "c1 c2 c3", all},
		{"behind the first", "subscription { log { cursor n } }", nil, "c1", "c2 c3", "2 3"},
		{"rather than where the document says", `subscription { log(after: "c0") { cursor n } }`, nil, "c2", "c3", "3"},
		{"rather than where a variable says", `subscription($a: String) { log(after: $a) { cursor n } }`, map[string]any{"a": "c0"}, "c2", "c3", "3"},
		{"behind the second, in fragments", "subscription { ...f } fragment f on Subscription { ... { log { cursor n } } }", nil, "c2", "c3", "3"},
		{"what cannot go on", "subscription { ticks(count: 2) { n } }", nil, "c1", "", "1 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			variables, _ := json.Marshal(tt.variables)
			get := "/graphql?" + url.Values{"query": {tt.query}, "variables": {string(variables)}}.Encode()
			if tt.variables == nil {
				get = "/graphql?" + url.Values{"query": {tt.query}}.Encode()
			}
			for method, a := range map[string]answer{
				"POST": g.ask(tt.query, tt.variables, "Accept: text/event-stream", "Last-Event-ID: "+tt.last),
				"GET":  g.do(g.request(http.MethodGet, get, "", "Accept: text/event-stream", "Last-Event-ID: "+tt.last)),
			} {
				var ids, ns []string
				for line := range strings.Lines(a.body) {
					line = strings.TrimSuffix(line, "\n")
					if id, ok := strings.CutPrefix(line, "id: "); ok {
						ids = append(ids, id)
					}
					if _, n, ok := strings.Cut(line, `"n":`); ok {
						ns = append(ns, n[:1])
					}
				}
				if got := strings.Join(ids, " "); got != tt.ids {
					t.Errorf("%s: ids %q, want %q: %s", method, got, tt.ids, a.body)
				}
				if got := strings.Join(ns, " "); got != tt.ns {
					t.Errorf("%s: events %q, want %q: %s", method, got, tt.ns, a.body)
				}
			}
		})
	}
}

func TestDrainOfStreams(t *testing.T) {
	g := start(t, func(o *Options) { o.DrainTime = 50 * time.Millisecond })
	var peers []*peer
	for range 5 {
		p := g.greeted()
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { forever { n } }"}}`)
		p.expect(`{"id":"1","type":"next","payload":{"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}}`)
		peers = append(peers, p)
	}
	e := g.events("subscription { forever { n } }")
	e.expect(`event: next`, `data: {"data":{"forever":{"n":1}},"extensions":{"cost":{"requested":1}}}`, ``)
	if got := g.Stats(); got != (Stats{Sockets: 6, Subs: 6, Requests: 6, Documents: 1}) {
		t.Errorf("stats %+v", got)
	}
	down := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		down <- g.Shutdown(ctx)
	}()
	for _, p := range peers {
		p.expectClose(websocket.StatusGoingAway, "Going down; come back")
	}
	e.expectEnd()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if got := g.Stats(); got != (Stats{Documents: 1}) {
		t.Errorf("stats %+v", got)
	}
}
