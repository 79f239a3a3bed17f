package view

import (
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Merchant is a tenant, as shoppers may know it.
type Merchant struct {
	Key           string // ULID
	Name          string
	DefaultLocale string
	// Support is how a shopper reaches the shop; empty if nobody said.
	Support string
}

// IsNode marks it.
func (*Merchant) IsNode() {}

// ID is the global id.
func (m *Merchant) ID() string { return graph.MakeID(graph.TypeMerchant, m.Key) }

// SupportURL is how a shopper reaches the shop.
func (m *Merchant) SupportURL() (string, bool) { return given(m.Support) }

// Viewer is who asks.
type Viewer struct {
	v      *graph.Viewer
	locale string
}

// ViewerOf shows the lens's viewer.
func (lens *Lens) ViewerOf() *Viewer {
	return &Viewer{lens.Viewer, lens.Words.Language(lens.Locale).Tag()}
}

// Kind is the kind of caller.
func (v *Viewer) Kind() graph.ViewerKind { return v.v.Kind }

// Asking is who asks, for the resolver of the merchant.
func (v *Viewer) Asking() *graph.Viewer { return v.v }

// Scopes are what the caller may do.
func (v *Viewer) Scopes() []graph.Scope {
	if v.v.Scopes == nil {
		return []graph.Scope{}
	}
	return v.v.Scopes
}

// Locale is the language in force.
func (v *Viewer) Locale() string { return v.locale }

// Recipient is personal data, as far as it was not erased.
type Recipient struct{ r *parcel.RecipientRow }

// RecipientOf shows a recipient.
func RecipientOf(r *parcel.RecipientRow) *Recipient { return &Recipient{r} }

// Name is the name.
func (r *Recipient) Name() (string, bool) { return given(r.r.Recipient.Name) }

// Email is the e-mail address.
func (r *Recipient) Email() (string, bool) { return given(r.r.Recipient.Email) }

// Phone is the phone number.
func (r *Recipient) Phone() (string, bool) { return given(r.r.Recipient.Phone) }

// AddressLines are street and house number.
func (r *Recipient) AddressLines() []string {
	if r.r.Recipient.AddressLines == nil {
		return []string{}
	}
	return r.r.Recipient.AddressLines
}

// ErasedAt is when it was erased.
func (r *Recipient) ErasedAt() (time.Time, bool) { return instant(r.r.ErasedAt) }
