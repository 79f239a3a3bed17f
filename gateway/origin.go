package gateway

import (
	"net/http"
	"net/url"
	"strings"
)

// preflightHeaders are headers that a page cannot send to another origin
// without its browser asking that origin first.
var preflightHeaders = []string{"GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Requested-With", "Authorization"}

// allowOrigin writes the headers by which a browser hands an answer to a page
// of another origin. Answers never depend on cookies, so credentials are not
// allowed.
func (g *Gateway) allowOrigin(h http.Header, r *http.Request) {
	if len(g.Origins) == 0 {
		return
	}
	if g.anyOrigin() {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !g.listed(origin) {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
	}
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
}

// servePreflight answers OPTIONS, from a browser or from anyone.
func (g *Gateway) servePreflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", methods)
	if h.Get("Access-Control-Allow-Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Accept, Accept-Language, Content-Type, Last-Event-ID, "+strings.Join(preflightHeaders, ", "))
		h.Set("Access-Control-Max-Age", "7200")
	}
	w.WriteHeader(http.StatusNoContent)
}

// fromStrangePage reports whether a browser sends this on behalf of a page
// that may not read the answer and was not asked about first.
func (g *Gateway) fromStrangePage(r *http.Request) bool {
	for _, name := range preflightHeaders {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		origin := r.Header.Get("Origin")
		return origin != "" && !g.mayConnect(r, origin)
	}
	return !g.mayConnect(r, r.Header.Get("Origin"))
}

// mayConnect reports whether a page of that origin may open sockets here,
// which browsers leave to the server to decide.
func (g *Gateway) mayConnect(r *http.Request, origin string) bool {
	if g.anyOrigin() || g.listed(origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func (g *Gateway) anyOrigin() bool { return g.listed("*") }

func (g *Gateway) listed(origin string) bool {
	for _, o := range g.Origins {
		if strings.EqualFold(o, origin) {
			return true
		}
	}
	return false
}
