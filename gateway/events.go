package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// serveEvents answers an operation as an event stream: the distinct
// connections mode of the GraphQL over SSE protocol, one operation for each
// request. A comment is sent where nothing else was for a while, so that
// nobody between here and the client takes the silence for the end.
//
// An event of a subscription that asks for its cursor has it as its id, so that
// a client which comes back with the header Last-Event-ID goes on behind it.
func (g *Gateway) serveEvents(w http.ResponseWriter, r *http.Request, op *operation) {
	goOnAfter(op, r.Header.Get(lastEventID))
	ctx, cancel := context.WithCancelCause(graphContext(r.Context(), op.caller))
	defer cancel(nil)
	s := &eventStream{
		g: g, w: w, control: http.NewResponseController(w), cancel: cancel, asked: g.Wall.Now(),
		still: func() error { return g.still(ctx, op.caller) },
	}
	if !g.open.enter(s, g.Limits.Sockets) {
		g.refuseHTTP(w, r, http.StatusServiceUnavailable, g.unavailable("Too many streams are open."))
		return
	}
	defer g.open.leave(s)
	defer s.end()
	h := w.Header()
	h.Set("Content-Type", mediaEvents+"; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	if s.send(comment) != nil {
		return
	}
	var body []byte
	err := g.stream(ctx, op, func(response *graphql.Response) error {
		body = append(body[:0], "event: next\n"...)
		if cursor := cursorOf(op, response.Data); cursor != "" {
			body = append(append(append(body, "id: "...), cursor...), '\n')
		}
		body = append(body, "data: "...)
		body = appendResponse(body, response, op.price, true)
		body = append(body, "\n\n"...)
		return s.send(body)
	})
	var no *refusal
	switch {
	case errors.As(err, &no):
	case errors.Is(err, errNoKey):
		no = g.refuse(http.StatusUnauthorized, g.callerError(ctx, err))
	case err != nil:
		return // the client has left, or shall come back elsewhere
	}
	if no != nil {
		s.send(appendRefused(nil, no))
		return
	}
	s.send([]byte(completed))
}

const completed = "event: complete\ndata:\n\n"

// appendRefused writes a refusal as all that there is on a stream.
func appendRefused(to []byte, no *refusal) []byte {
	to = append(to, "event: next\ndata: "...)
	to = append(appendRefusal(to, no), "\n\n"...)
	return append(to, completed...)
}

// comment is an event that says nothing.
var comment = []byte(":\n\n")

// eventStream writes to one client, one event at a time.
type eventStream struct {
	g       *Gateway
	control *http.ResponseController
	cancel  context.CancelCauseFunc
	still   func() error // whether the key is as good as when it came

	mu      sync.Mutex
	w       http.ResponseWriter
	ended   bool // the handler is about to return; nothing may be written
	written time.Time
	asked   time.Time // when the key was last asked for by a beat
}

var _ connection = (*eventStream)(nil)

func (s *eventStream) send(event []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errGoAway
	}
	s.written = s.g.Wall.Now()
	s.control.SetWriteDeadline(s.written.Add(s.g.Limits.WriteTime))
	if _, err := s.w.Write(event); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s *eventStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// beat implements connection: it says nothing, if nothing else was said, and
// ends the stream of a key that is not good any more.
func (s *eventStream) beat(now time.Time) {
	s.mu.Lock()
	due, ask := now.Sub(s.written) >= s.g.Limits.Heartbeat, now.Sub(s.asked) >= s.g.Limits.Heartbeat
	if ask {
		s.asked = now
	}
	s.mu.Unlock()
	if ask {
		// A store that cannot answer is asked again at the next beat; the next
		// event is not sent without it.
		if err := s.still(); errors.Is(err, errNoKey) {
			s.cancel(err)
			return
		}
	}
	if due {
		if err := s.send(comment); err != nil {
			s.cancel(err)
		}
	}
}

// goAway implements connection: the stream ends where it is, without complete,
// so that its client comes back and goes on from its cursor.
func (s *eventStream) goAway() { s.cancel(errGoAway) }
