package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// methods are what /graphql answers to.
const methods = "GET, POST, OPTIONS"

// serveGraphQL is the one address of GraphQL. It follows the GraphQL over HTTP
// draft: what is wrong with a request is told by its status under
// application/graphql-response+json, and with 200 under application/json once
// it is a GraphQL request at all.
func (g *Gateway) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Add("Vary", "Accept")
	g.allowOrigin(h, r)
	if isUpgrade(r) {
		g.serveSocket(w, r)
		return
	}
	switch r.Method {
	case http.MethodOptions:
		g.servePreflight(w, r)
		return
	case http.MethodGet, http.MethodPost:
	default:
		h.Set("Allow", methods)
		g.refuseHTTP(w, r, http.StatusMethodNotAllowed, g.invalid("GraphQL is asked with POST or GET."))
		return
	}
	media, events := answerMedia(r.Header.Values("Accept"))
	if media == "" && !events {
		g.refuseHTTP(w, r, http.StatusNotAcceptable,
			g.invalid("Answers are "+mediaResponse+", "+mediaJSON+" or "+mediaEvents+"; the Accept header takes none of them."))
		return
	}
	// A form of a strange page can post text, and an image can get anything,
	// without asking first. Neither can say what these two require.
	if r.Method == http.MethodPost && !isMedia(r.Header.Get("Content-Type"), mediaJSON) {
		h.Set("Accept-Post", mediaJSON)
		g.refuseHTTP(w, r, http.StatusUnsupportedMediaType, g.invalid("A request is posted as "+mediaJSON+" in UTF-8."))
		return
	}
	if r.Method == http.MethodGet && g.fromStrangePage(r) {
		g.refuseHTTP(w, r, http.StatusForbidden, g.forbidden("A page of another origin asked without a header that shows it may, such as "+preflightHeaders[0]+"."))
		return
	}
	c, err := g.callerOf(r)
	if err != nil {
		g.refuseCaller(w, r, err)
		return
	}
	request, err := g.readHTTP(w, r)
	if err != nil {
		var refused *requestError
		if errors.As(err, &refused) {
			g.refuseHTTP(w, r, refused.status, g.requestProblem(refused))
		}
		return // else the client has left
	}
	op, no := g.prepare(r.Context(), c, request, r.Header)
	if no == nil {
		no = g.fits(op, r, events, h)
	}
	if no != nil {
		status := no.status
		switch {
		case media == "" && status == http.StatusBadRequest:
			// A browser's EventSource shows its page nothing of an answer that
			// is not a stream.
			g.write(w, http.StatusOK, mediaEvents, func(to []byte) []byte { return appendRefused(to, no) })
			return
		case media != mediaResponse:
			media, status = mediaJSON, no.plain
		}
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", challenge)
		}
		g.write(w, status, media, func(to []byte) []byte { return appendRefusal(to, no) })
		return
	}
	if op.Operation.Operation == ast.Subscription || media == "" {
		g.serveEvents(w, r, op)
		return
	}
	response := g.run(graphContext(r.Context(), c), op)
	status := http.StatusOK
	if response.Data == nil && media == mediaResponse {
		status = http.StatusBadRequest
	}
	g.write(w, status, media, func(to []byte) []byte { return appendResponse(to, response, op.price, true) })
}

// fits tells whether an operation can be answered the way it was asked.
func (g *Gateway) fits(op *operation, r *http.Request, events bool, h http.Header) *refusal {
	switch {
	case op.Operation.Operation == ast.Mutation && r.Method == http.MethodGet:
		h.Set("Allow", "POST")
		no := g.refuse(http.StatusMethodNotAllowed, g.invalid("A mutation is asked with POST."))
		return no
	case op.Operation.Operation == ast.Subscription && !events:
		return g.refuse(http.StatusBadRequest, g.invalid("A subscription is followed over WebSocket, or as "+mediaEvents+" in the Accept header."))
	}
	return nil
}

// readHTTP reads the request out of the body or the URL. The error is a
// *requestError, or another one when the client is not there any more.
func (g *Gateway) readHTTP(w http.ResponseWriter, r *http.Request) (*request, error) {
	if r.Method == http.MethodGet {
		return decodeQuery(r.URL.RawQuery, g.Limits.Nesting)
	}
	data, err := g.readBody(w, r, g.Limits.BodyBytes)
	if err != nil {
		return nil, err
	}
	return decodeRequest(data, g.Limits.Nesting)
}

// readBody reads a request's body, bounded in bytes and in time.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	// What is compressed may be a thousand times as long as it looks.
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		w.Header().Set("Accept-Encoding", "identity")
		return nil, &requestError{status: http.StatusUnsupportedMediaType, message: "A request body is sent without compression."}
	}
	var data []byte
	var err error
	body := http.MaxBytesReader(w, r.Body, limit)
	if n := r.ContentLength; n > 0 && n <= limit {
		data = make([]byte, n)
		_, err = io.ReadFull(body, data)
	} else {
		data, err = io.ReadAll(body)
	}
	if err == nil {
		// The deadline was for the body. Left as it is it would end the
		// request, since the server goes on listening for the client to leave.
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		return data, nil
	}
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, &requestError{status: http.StatusRequestEntityTooLarge, excess: &excess{limit: "bytes", max: limit}}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &requestError{status: http.StatusRequestTimeout, message: "The request body did not arrive in time."}
	}
	return nil, err
}

// refuseHTTP answers a request that did not get as far as GraphQL.
func (g *Gateway) refuseHTTP(w http.ResponseWriter, r *http.Request, status int, e *gqlerror.Error) {
	media, _ := answerMedia(r.Header.Values("Accept"))
	if media == "" {
		media = mediaJSON
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	g.write(w, status, media, func(to []byte) []byte {
		return appendRefusal(to, &refusal{errors: gqlerror.List{e}})
	})
}

// refuseCaller answers one whose key did not open.
func (g *Gateway) refuseCaller(w http.ResponseWriter, r *http.Request, err error) {
	e := g.callerError(r.Context(), err)
	status := http.StatusServiceUnavailable
	if errors.Is(err, errNoKey) {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
	}
	g.refuseHTTP(w, r, status, e)
}

// write sends an answer whole, with its length.
func (g *Gateway) write(w http.ResponseWriter, status int, media string, body func([]byte) []byte) {
	buffer := g.buffers.Get().(*[]byte)
	data := body((*buffer)[:0])
	h := w.Header()
	h.Set("Content-Type", media+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	http.NewResponseController(w).SetWriteDeadline(g.Wall.Now().Add(g.Limits.WriteTime))
	w.WriteHeader(status)
	w.Write(data)
	const largest = 1 << 20 // a buffer that one large answer grew is let go
	if cap(data) <= largest {
		*buffer = data
		g.buffers.Put(buffer)
	}
}
