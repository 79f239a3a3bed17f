package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/milepost-gateway/milepost/graph"
)

// subprotocol is the one that is spoken: "GraphQL over WebSocket Protocol" of
// enisdenjo/graphql-ws.
const subprotocol = "graphql-transport-ws"

// The codes by which sockets are closed: the protocol's, and three of ours.
const (
	closeBadMessage    websocket.StatusCode = 4400
	closeUnauthorized  websocket.StatusCode = 4401
	closeForbidden     websocket.StatusCode = 4403
	closeNoSubprotocol websocket.StatusCode = 4406
	closeInitTime      websocket.StatusCode = 4408
	closeDuplicate     websocket.StatusCode = 4409
	closeRevoked       websocket.StatusCode = 4411 // the key was revoked, or has expired
	closeTooManyInits  websocket.StatusCode = 4429
)

// isUpgrade reports whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Upgrade"), func(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "websocket") })
}

// serveSocket speaks with one peer until either side ends it.
func (g *Gateway) serveSocket(w http.ResponseWriter, r *http.Request) {
	// Browsers let any page open a socket to anywhere.
	if origin := r.Header.Get("Origin"); origin != "" && !g.mayConnect(r, origin) {
		g.refuseHTTP(w, r, http.StatusForbidden, g.forbidden("Pages of this origin may not open sockets here."))
		return
	}
	c, err := g.callerOf(r)
	if err != nil {
		g.refuseCaller(w, r, err)
		return
	}
	full := func() *gqlerror.Error { return g.unavailable("Too many sockets are open.") }
	if g.open.count() >= g.Limits.Sockets {
		g.refuseHTTP(w, r, http.StatusServiceUnavailable, full())
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // the origin was looked at above, by our own list
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(g.Limits.MessageBytes)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	now := g.Wall.Now()
	s := &socket{
		g: g, conn: conn, ctx: ctx, cancel: cancel, header: r.Header, caller: c,
		streams: map[string]context.CancelCauseFunc{},
		opened:  now, heard: now, pinged: now, asked: now,
	}
	switch {
	case conn.Subprotocol() != subprotocol:
		s.close(closeNoSubprotocol, "Subprotocol not acceptable")
	case !g.open.enter(s, g.Limits.Sockets):
		s.close(websocket.StatusTryAgainLater, "Try again later")
	}
	s.listen()
	g.open.leave(s)
	s.end()
}

// socket is one peer's connection. Its streams run each on a goroutine of its
// own; what they write is one message at a time.
type socket struct {
	g      *Gateway
	conn   *websocket.Conn
	ctx    context.Context // of all its streams
	cancel context.CancelCauseFunc
	header http.Header
	opened time.Time

	running sync.WaitGroup // streams, and the goroutine that closes

	mu      sync.Mutex
	caller  *caller
	greeted bool // connection_init has come
	acked   bool
	leaving bool                               // a close is under way, or done
	streams map[string]context.CancelCauseFunc // by the peer's id
	heard   time.Time
	pinged  time.Time
	asked   time.Time // when the key was last asked for by a beat
}

var _ connection = (*socket)(nil)

// message is what is read from a socket.
type message struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

// listen reads messages until the connection ends.
func (s *socket) listen() {
	for {
		kind, data, err := s.conn.Read(context.Background())
		if err != nil {
			return
		}
		s.mu.Lock()
		s.heard = s.g.Wall.Now()
		leaving := s.leaving
		s.mu.Unlock()
		if leaving {
			continue // until the peer has answered the close
		}
		var m message
		if kind != websocket.MessageText || json.Unmarshal(data, &m) != nil {
			s.close(closeBadMessage, "Invalid message received")
			continue
		}
		s.take(&m)
	}
}

// end waits for all that the socket has begun.
func (s *socket) end() {
	s.mu.Lock()
	s.leaving = true // nothing begins any more
	s.mu.Unlock()
	s.cancel(errGoAway)
	s.running.Wait()
	s.conn.CloseNow()
}

func (s *socket) take(m *message) {
	switch m.Type {
	case "connection_init":
		s.greet(m)
	case "ping":
		s.write(`{"type":"pong"}`)
	case "pong":
	case "subscribe":
		s.subscribe(m)
	case "complete":
		s.mu.Lock()
		stop := s.streams[m.ID]
		delete(s.streams, m.ID)
		s.mu.Unlock()
		if stop != nil {
			stop(errStopped)
		}
	default:
		s.close(closeBadMessage, "Invalid message received")
	}
}

// greet answers the peer's introduction, which may carry its key: a browser's
// socket cannot send headers.
func (s *socket) greet(m *message) {
	s.mu.Lock()
	again := s.greeted
	s.greeted = true
	s.mu.Unlock()
	if again {
		s.close(closeTooManyInits, "Too many initialisation requests")
		return
	}
	payload := map[string]any{}
	if len(m.Payload) > 0 && json.Unmarshal(m.Payload, &payload) != nil {
		s.close(closeBadMessage, "Invalid message received")
		return
	}
	for name, value := range payload {
		if !strings.EqualFold(name, "authorization") {
			continue
		}
		text, _ := value.(string)
		c, err := s.g.callerWith(s.ctx, text, preferredLanguage(s.header.Get("Accept-Language")))
		switch {
		case errors.Is(err, errNoKey):
			s.close(closeForbidden, "Forbidden")
			return
		case err != nil:
			s.g.present(s.ctx, err) // logged, and no more can be said in a close
			s.close(websocket.StatusTryAgainLater, "Try again later")
			return
		}
		s.mu.Lock()
		s.caller = c
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.acked = true
	s.mu.Unlock()
	s.write(`{"type":"connection_ack"}`)
}

// errStopped ends a stream that its peer has completed.
var errStopped = errors.New("gateway: the stream was completed by its client")

func (s *socket) subscribe(m *message) {
	if m.ID == "" {
		s.close(closeBadMessage, "Invalid message received")
		return
	}
	s.mu.Lock()
	acked, duplicate, streams, c := s.acked, s.streams[m.ID] != nil, len(s.streams), s.caller
	s.mu.Unlock()
	if !acked {
		s.close(closeUnauthorized, "Unauthorized")
		return
	}
	if duplicate {
		s.close(closeDuplicate, reason("Subscriber for "+m.ID+" already exists"))
		return
	}
	r, err := decodeRequest(m.Payload, s.g.Limits.Nesting)
	if err != nil {
		s.close(closeBadMessage, "Invalid message received")
		return
	}
	if streams >= s.g.Limits.StreamsPerSocket {
		e := &excess{"streams on a socket", int64(s.g.Limits.StreamsPerSocket), int64(streams + 1)}
		s.writeErrors(m.ID, gqlerror.List{s.g.tooMuch(e)})
		return
	}
	ctx, stop := context.WithCancelCause(graph.WithViewer(s.ctx, c.viewer))
	s.mu.Lock()
	s.streams[m.ID] = stop
	s.mu.Unlock()
	s.running.Go(func() {
		defer stop(nil)
		s.run(ctx, m.ID, c, r)
	})
}

// run serves one stream to its end.
func (s *socket) run(ctx context.Context, id string, c *caller, r *request) {
	op, no := s.g.prepare(ctx, c, r, s.header)
	var err error
	if no != nil {
		err = no
	} else {
		var frame []byte
		prefix := append(append([]byte(`{"id":`), quoted(id)...), `,"type":"next","payload":`...)
		err = s.g.stream(ctx, op, func(response *graphql.Response) error {
			if err := context.Cause(ctx); err != nil {
				return err // completed by the peer: nothing may follow
			}
			frame = appendResponse(append(frame[:0], prefix...), response, op.price, true)
			frame = append(frame, '}')
			return s.write(string(frame))
		})
	}
	// Whoever takes the id out of the map says that the stream has ended; the
	// peer may use it again from then on.
	s.mu.Lock()
	_, mine := s.streams[id]
	mine = mine && context.Cause(ctx) == nil
	if mine {
		delete(s.streams, id)
	}
	s.mu.Unlock()
	switch {
	case errors.Is(err, errNoKey):
		s.closeRevoked()
	case !mine:
	case errors.As(err, &no):
		s.writeErrors(id, no.errors)
	case err == nil:
		s.write(`{"id":` + string(quoted(id)) + `,"type":"complete"}`)
	default:
		s.writeErrors(id, gqlerror.List{s.g.present(ctx, err)})
	}
}

func (s *socket) writeErrors(id string, list gqlerror.List) {
	frame := append(append([]byte(`{"id":`), quoted(id)...), `,"type":"error","payload":`...)
	s.write(string(append(appendErrors(frame, list), '}')))
}

// write sends one message. A peer that takes nothing for too long loses its
// connection.
func (s *socket) write(frame string) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.g.Limits.WriteTime)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, []byte(frame))
}

// close begins to end the connection, for one reason only. It does not wait
// for the peer, which has five seconds to answer.
func (s *socket) close(code websocket.StatusCode, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return
	}
	s.leaving = true
	s.running.Go(func() {
		s.conn.Close(code, why)
		s.cancel(errGoAway)
	})
}

// beat implements connection.
func (s *socket) beat(now time.Time) {
	s.mu.Lock()
	acked, leaving := s.acked, s.leaving
	silent, sincePing, sinceOpened := now.Sub(s.heard), now.Sub(s.pinged), now.Sub(s.opened)
	ping := acked && !leaving && min(silent, sincePing) >= s.g.Limits.Heartbeat
	if ping {
		s.pinged = now
	}
	ask, c := acked && !leaving && now.Sub(s.asked) >= s.g.Limits.Heartbeat, s.caller
	if ask {
		s.asked = now
	}
	s.mu.Unlock()
	// A stream without news would follow the revocation of its key for ever.
	if ask && errors.Is(s.g.still(s.ctx, c), errNoKey) {
		s.closeRevoked()
		return
	}
	switch {
	case leaving:
	case !acked:
		if sinceOpened >= s.g.Limits.InitTime {
			s.close(closeInitTime, "Connection initialisation timeout")
		}
	case silent >= 2*s.g.Limits.Heartbeat+s.g.Limits.WriteTime:
		s.conn.CloseNow() // nobody is there to be told
	case ping:
		s.write(`{"type":"ping"}`)
	}
}

// closeRevoked ends the connection of a key that was revoked, or has expired.
func (s *socket) closeRevoked() { s.close(closeRevoked, "The API key is not valid any more") }

// goAway implements connection.
func (s *socket) goAway() { s.close(websocket.StatusGoingAway, "Going down; come back") }

// reason is the text of a close, cut to what fits its frame.
func reason(text string) string {
	const most = 120
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

func quoted(text string) []byte {
	q, err := json.Marshal(text)
	if err != nil {
		return []byte(`""`)
	}
	return q
}
