package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

// ViewerKind is what kind of caller asks.
type ViewerKind string

// The kinds.
const (
	Anonymous ViewerKind = "ANONYMOUS" // nobody in particular
	Shopper   ViewerKind = "SHOPPER"   // somebody with a tracking link or postcode
	APIKey    ViewerKind = "API_KEY"   // a merchant's key
)

// Scope is something that a key may do, by its name in the schema.
type Scope string

// The scopes.
const (
	ShipmentsRead  Scope = "SHIPMENTS_READ"
	ShipmentsWrite Scope = "SHIPMENTS_WRITE"
	EventsWrite    Scope = "EVENTS_WRITE"
	RecipientRead  Scope = "RECIPIENT_READ"
	CostsRead      Scope = "COSTS_READ"
	PayloadsRead   Scope = "PAYLOADS_READ"
	AnalyticsRead  Scope = "ANALYTICS_READ"
	RoutesRead     Scope = "ROUTES_READ"
	RoutesWrite    Scope = "ROUTES_WRITE"
	Introspect     Scope = "INTROSPECT"
	Admin          Scope = "ADMIN"
)

// Scopes lists them in the order of the schema; the slice is the caller's own.
func Scopes() []Scope {
	return []Scope{
		ShipmentsRead, ShipmentsWrite, EventsWrite, RecipientRead, CostsRead, PayloadsRead,
		AnalyticsRead, RoutesRead, RoutesWrite, Introspect, Admin,
	}
}

// CLI is the scope as configuration and the command line write it:
// "shipments:read".
func (s Scope) CLI() string { return strings.ToLower(strings.Replace(string(s), "_", ":", 1)) }

// ParseScope reads a scope in either spelling. Anything else is an error of
// kind parcel.ErrInvalid that names those there are.
func ParseScope(text string) (Scope, error) {
	s := Scope(strings.ToUpper(strings.Replace(strings.TrimSpace(text), ":", "_", 1)))
	if slices.Contains(Scopes(), s) {
		return s, nil
	}
	known := make([]string, 0, len(Scopes()))
	for _, k := range Scopes() {
		known = append(known, k.CLI())
	}
	return "", fmt.Errorf("scope %.40q: want one of %s: %w", text, strings.Join(known, ", "), parcel.ErrInvalid)
}

// Viewer is who asks. It is a value; the zero Viewer is nobody in particular,
// who may see nothing that belongs to a merchant.
type Viewer struct {
	Kind ViewerKind
	// MerchantID is whose account is used; empty for shoppers and nobody.
	MerchantID string
	// KeyID names the key, for the audit and for revocation; empty without one.
	KeyID string
	// Scopes are what the key may do. They must not be changed afterwards.
	Scopes []Scope
	// Locale is the language asked for (Accept-Language, or the merchant's
	// default), BCP 47; empty if nobody said.
	Locale string
}

// Has tells whether the viewer may do s.
func (v *Viewer) Has(s Scope) bool { return slices.Contains(v.Scopes, s) }

// May tells whether the viewer may do s to what belongs to merchantID. Without
// an owner (a root field) the scope alone decides, for a viewer with an account.
func (v *Viewer) May(s Scope, merchantID string) bool {
	return v.MerchantID != "" && (merchantID == "" || merchantID == v.MerchantID) && v.Has(s)
}

type viewerKey struct{}

// WithViewer returns a context in which v asks.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	if v.Kind == "" {
		v.Kind = Anonymous
	}
	return context.WithValue(ctx, viewerKey{}, &v)
}

// ViewerFrom returns who asks: nobody in particular unless WithViewer said. The
// result must not be written to.
func ViewerFrom(ctx context.Context) *Viewer {
	if v, ok := ctx.Value(viewerKey{}).(*Viewer); ok {
		return v
	}
	return &nobody
}

var nobody = Viewer{Kind: Anonymous}
