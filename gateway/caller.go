package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/milepost-gateway/milepost/graph"
)

// challenge tells a client how to say who it is (RFC 6750, 3).
const challenge = `Bearer realm="milepost"`

// caller is who sent a request, and by which key.
type caller struct {
	viewer graph.Viewer
	digest digest // of the key; zero without one
}

func (c *caller) anonymous() bool { return c.viewer.Kind == graph.Anonymous }

// callerOf finds out who sends a request: the owner of the key in its
// Authorization header, or nobody in particular without one. A header that
// holds anything else than one good key is refused with errNoKey rather than
// taken for nobody's: whoever sends a key wants what it opens.
func (g *Gateway) callerOf(r *http.Request) (*caller, error) {
	language := preferredLanguage(r.Header.Get("Accept-Language"))
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return nobody(language), nil
	case 1:
		return g.callerWith(r.Context(), headers[0], language)
	}
	return nil, errNoKey
}

// graphContext is the context in which a caller's operations run.
func graphContext(ctx context.Context, c *caller) context.Context {
	return graph.WithViewer(ctx, c.viewer)
}

func nobody(language string) *caller {
	return &caller{viewer: graph.Viewer{Kind: graph.Anonymous, Locale: language}}
}

// callerWith finds the owner of the key in the value of an Authorization
// header.
func (g *Gateway) callerWith(ctx context.Context, authorization, language string) (*caller, error) {
	scheme, secret, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, errNoKey
	}
	key, digest, err := g.keys.find(ctx, strings.TrimSpace(secret))
	if err != nil {
		return nil, err
	}
	v := graph.Viewer{Kind: graph.APIKey, MerchantID: key.MerchantID, KeyID: key.ID, Locale: language}
	if v.Locale == "" {
		v.Locale = key.Locale
	}
	for _, name := range key.Scopes {
		// A scope that this version does not know opens nothing.
		if s, err := graph.ParseScope(name); err == nil {
			v.Scopes = append(v.Scopes, s)
		}
	}
	return &caller{viewer: v, digest: digest}, nil
}

// mayIntrospect tells whether a caller may read the schema.
func (g *Gateway) mayIntrospect(c *caller) bool {
	return g.OpenSchema || c.viewer.Has(graph.Introspect) || c.viewer.Has(graph.Admin)
}
