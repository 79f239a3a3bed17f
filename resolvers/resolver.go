// Package resolvers answers the schema: it translates what is asked into reads
// of the store and words of the write path, batches what one request needs, and
// shows what comes back through package graph/view. It holds no rules about
// parcels and no SQL, and it never names a carrier: numbers too old for the
// asker go to the Ingest in one call a request, and what comes back is the
// store's state and its age.
package resolvers

import (
	"context"
	"errors"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/generated"
	"github.com/milepost-gateway/milepost/graph/plan"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/internal/bus"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/words"
)

// Ingest is the one write path.
type Ingest interface {
	Register(ctx context.Context, merchantID string, in []parcel.Registration) ([]parcel.Registered, error)
	Report(ctx context.Context, merchantID string, in []parcel.Report) ([]parcel.Reported, error)
	Retract(ctx context.Context, merchantID string, c parcel.Correction) (parcel.Reported, error)
	ChangeNumber(ctx context.Context, merchantID string, c parcel.NumberChange) (parcel.Registered, string, error)
	Refresher
	// Habits are the usual gaps where a shipment stands, from memory.
	Habits(s *parcel.Shipment) parcel.Habits
	// Statuses tells how it stands with each carrier account, by all replicas.
	Statuses(ctx context.Context) ([]parcel.AccountStatus, error)
}

// Refresher asks carriers. What it brings is in the store when it returns.
type Refresher interface {
	// Refresh joins calls under way, asks for the rest in batches, and returns
	// after ask.Wait at the latest.
	Refresh(ctx context.Context, ask parcel.RefreshAsk) ([]parcel.Refreshed, error)
}

// Guess is a carrier whose number it may be.
type Guess struct {
	Carrier    string
	Confidence float64
	Rule       string
	// CheckDigitValid is nil where the form has no check digit.
	CheckDigitValid *bool
	// Needs is what the carrier wants besides the number.
	Needs []view.Need
	// Country of issue or home, Fit with the way asked with; may be empty.
	Country parcel.Country
	Fit     view.Fit
}

// Options make a Resolver. Store, Ingest, Bell, Trade and Secret are needed.
type Options struct {
	Store  Store
	Ingest Ingest
	// Bell wakes subscriptions.
	Bell *bus.Bus
	// Trade time is what ages and health are reckoned in; Wall is for waiting,
	// and clock.Wall if nil.
	Trade, Wall clock.Clock
	// Secret of the deployment, at least 16 bytes, the same on every replica:
	// cursors are made under it.
	Secret []byte
	// Carriers that the deployment has adapters for.
	Carriers []view.Carrier
	// Identify guesses whose number it may be, best guess first; nil never
	// does.
	Identify func(number string, origin, destination parcel.Country) []Guess
	// Log hears of refreshes that could not be asked for; nil is silent.
	Log *slog.Logger
}

// Resolver answers the schema. It is safe for concurrent use.
type Resolver struct {
	Options
	cursors  *graph.Cursors
	carriers *view.Directory
	standing standing
}

// New makes a resolver; an option that is missing or wrong is an error.
func New(o Options) (*Resolver, error) {
	if o.Store == nil || o.Ingest == nil || o.Bell == nil || o.Trade == nil {
		return nil, errors.New("resolvers: store, ingest, bell and trade time are needed")
	}
	if o.Wall == nil {
		o.Wall = clock.Wall()
	}
	if o.Identify == nil {
		o.Identify = func(string, parcel.Country, parcel.Country) []Guess { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	cursors, err := graph.NewCursors(o.Secret)
	if err != nil {
		return nil, err
	}
	return &Resolver{Options: o, cursors: cursors, carriers: view.NewDirectory(o.Carriers)}, nil
}

// SetCarriers puts another list of the deployment's carriers in force, for the
// requests that begin from now on and those under way.
func (r *Resolver) SetCarriers(all []view.Carrier) { r.carriers.Replace(all) }

// Schema is the schema with its answers, ready to be executed. Who asks is in
// the context (graph.WithViewer).
func (r *Resolver) Schema() graphql.ExecutableSchema {
	return &schema{ExecutableSchema: generated.NewExecutableSchema(generated.Config{
		Resolvers:  r,
		Directives: generated.DirectiveRoot{Limit: graph.Limit, RequiresScope: graph.RequiresScope},
	}), r: r, plans: plan.NewCache()}
}

// dictionary shows package words to the views.
type dictionary struct{}

func (dictionary) Language(tag string) view.Language { return words.For(tag) }

// lens is how a request looks at this moment.
func (r *Resolver) lens(ctx context.Context) *view.Lens {
	v := graph.ViewerFrom(ctx)
	return &view.Lens{Now: r.Trade.Now().UTC(), Viewer: v, Locale: v.Locale, Words: dictionary{}, Cursors: r.cursors, Carriers: r.carriers, Habits: r.Ingest.Habits}
}
