package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Delivery is what a carrier pushed, before anything of it was believed.
type Delivery struct {
	Header http.Header
	Query  url.Values
	Body   []byte
}

// Hooks takes in what carriers push. It must be safe for concurrent use.
type Hooks interface {
	// Admit says whether a delivery may come in, before its body is read: known
	// is false for a carrier and an endpoint that do not exist, admitted for one
	// with as many under way as it may have, so that one carrier's flood or its
	// slow bodies take no turn from another. leave is called once it is over.
	Admit(carrier, endpoint string) (leave func(), known, admitted bool)
	// Push verifies a delivery to one endpoint of one carrier and keeps it. It
	// returns what the carrier is answered, in the form it wants: a status of
	// 2xx only once the delivery is durable, and the same 404 for a carrier
	// and for an endpoint that do not exist.
	Push(ctx context.Context, carrier, endpoint string, d Delivery) (status int, contentType string, body []byte)
}

// serveHook is the door for carriers. A carrier and an endpoint that do not
// exist answer alike, so that guessing finds neither. What is behind an endpoint
// that exists answers in its carrier's own form, also to what it does not
// believe: an endpoint is a secret, and whoever knows it learns no more from
// its refusals than that it is there.
func (g *Gateway) serveHook(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	plain := func(status int) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		w.Write([]byte(http.StatusText(status) + "\n"))
	}
	if g.Hooks == nil {
		plain(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		h.Set("Allow", "POST")
		plain(http.StatusMethodNotAllowed)
		return
	}
	// Deliveries wait at the carrier rather than here: it tries again.
	leave, known, admitted := g.Hooks.Admit(r.PathValue("carrier"), r.PathValue("endpoint"))
	switch {
	case !known:
		plain(http.StatusNotFound)
		return
	case !admitted:
		h.Set("Retry-After", "5")
		plain(http.StatusServiceUnavailable)
		return
	}
	defer leave()
	select {
	case g.hookTurns <- struct{}{}:
		defer func() { <-g.hookTurns }()
	default:
		h.Set("Retry-After", "5")
		plain(http.StatusServiceUnavailable)
		return
	}
	body, err := g.readBody(w, r, g.Limits.HookBytes)
	if err != nil {
		var refused *requestError
		if errors.As(err, &refused) {
			plain(refused.status)
		}
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.Limits.RunTime)
	defer cancel()
	status, contentType, answer := g.Hooks.Push(ctx, r.PathValue("carrier"), r.PathValue("endpoint"),
		Delivery{Header: r.Header, Query: r.URL.Query(), Body: body})
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	w.Write(answer)
}

// serveSchema gives the schema as SDL.
func (g *Gateway) serveSchema(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	g.allowOrigin(h, r)
	h.Add("Vary", "Authorization")
	fail := func(status int, e *gqlerror.Error) { g.refuseHTTP(w, r, status, e) }
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		fail(http.StatusMethodNotAllowed, g.invalid("The schema is asked with GET."))
		return
	}
	c, err := g.callerOf(r)
	if err != nil {
		g.refuseCaller(w, r, err)
		return
	}
	if !g.mayIntrospect(c) {
		if c.anonymous() {
			h.Set("WWW-Authenticate", challenge)
			fail(http.StatusUnauthorized, g.unauthenticated("Reading the schema takes an API key with the scope INTROSPECT."))
			return
		}
		fail(http.StatusForbidden, g.forbidden("Reading the schema takes the scope INTROSPECT."))
		return
	}
	h.Set("Cache-Control", "private, max-age=60")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(g.sdl)))
	w.Write(g.sdl)
}
