// Package ingest is the one write path. Whatever comes in (a carrier's answer,
// a push, a file, a merchant's registration or report) ends here: the payload
// is kept, decoded, deduplicated, tied to its shipments, folded and appended,
// in one transaction; then the bell is rung. Nobody calls back up the road.
package ingest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// Store is the memory, as the write path needs it.
type Store interface {
	// Update runs fn in one transaction. fn may run more than once.
	Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// Trackings reads what is known about asking for numbers.
	Trackings(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]parcel.Tracking, error)
	// Lease gives the right to ask for numbers to one replica at a time.
	Lease(ctx context.Context, keys []parcel.NumberKey, now, until time.Time, token string) ([]parcel.NumberKey, error)
	// LeaseDue leases numbers of a carrier whose next look is due, by turns of
	// their merchants where they are more than asked for.
	LeaseDue(ctx context.Context, ask parcel.Due) (leased []parcel.Tracking, after string, err error)
	// ServeUnserved plans numbers that no account could ask for when they were
	// registered, a bounded number of them, and tells where to go on.
	ServeUnserved(ctx context.Context, ask parcel.Unserved) (planned int, after string, err error)
	// ShipmentOfEvent finds the shipment that an event of a merchant belongs
	// to; ErrNotFound if there is none.
	ShipmentOfEvent(ctx context.Context, merchantID, eventID string) (string, error)
	// WalkPayloads calls fn for kept payloads, oldest first.
	WalkPayloads(ctx context.Context, carrier string, since time.Time, fn func(parcel.Payload) error) error
	Chronicle
}

// Tx is one open transaction.
type Tx interface {
	HoldNumbers(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]parcel.NumberState, error)
	PutHolders(ctx context.Context, rows []parcel.HolderRow) error
	PutPayloads(ctx context.Context, payloads []parcel.Payload) ([]parcel.KeptPayload, error)
	PutPayloadNumbers(ctx context.Context, rows []parcel.PayloadNumber) error
	PayloadsOf(ctx context.Context, key parcel.NumberKey, limit int) ([]parcel.Payload, error)
	// SpokenOf tells which numbers kept payloads tell of.
	SpokenOf(ctx context.Context, keys []parcel.NumberKey) ([]parcel.NumberKey, error)
	LockShipments(ctx context.Context, ids []string) (map[string]*parcel.Shipment, error)
	// IDsOfReferences finds shipments by a merchant's references, locking none.
	IDsOfReferences(ctx context.Context, merchantID string, references []string) (map[string]string, error)
	PutShipments(ctx context.Context, fresh, changed []*parcel.Shipment) error
	PutRecipients(ctx context.Context, rows []parcel.RecipientRow) error
	AppendEvents(ctx context.Context, rows []parcel.EventRow) error
	AppendChanges(ctx context.Context, rows []parcel.Change) (last int64, err error)
	// PutTrackings writes trackings and leaves leases as they are.
	PutTrackings(ctx context.Context, rows []parcel.Tracking) error
	// ReleaseLeases gives back the leases of token; others stay.
	ReleaseLeases(ctx context.Context, keys []parcel.NumberKey, token string) error
	// AddUnmapped adds to the work queue of mapping.
	AddUnmapped(ctx context.Context, rows []parcel.Unmapped) error
	AddCohorts(ctx context.Context, rows []parcel.CohortDelta) error
	AddHandovers(ctx context.Context, rows []parcel.HandoverDelta) error
	// Handovers counts who took on from a carrier on a lane, of one merchant's
	// parcels, or for an empty one of all where as many merchants had them go to
	// the same carrier.
	Handovers(ctx context.Context, merchantID string, lane parcel.Lane, carrier string, merchants int) ([]parcel.HandoverCount, error)
	AddPassings(ctx context.Context, rows []parcel.PassingDelta) error
}

// Chronicle is where replicas tell each other what they have seen of carriers.
type Chronicle interface {
	// PutBeats keeps what a replica has seen and drops what is older than old.
	PutBeats(ctx context.Context, beats []parcel.CarrierBeat, old time.Time) error
	// Beats reads what replicas wrote since then.
	Beats(ctx context.Context, since time.Time) ([]parcel.CarrierBeat, error)
	// AddGaps counts silences that ended, Gaps reads them.
	AddGaps(ctx context.Context, gaps map[parcel.GapKey]parcel.Sketch) error
	Gaps(ctx context.Context, key parcel.GapKey) (parcel.Sketch, error)
	// CountDue tells how many numbers of a carrier are due, and since when.
	CountDue(ctx context.Context, now time.Time, carrier string) (n int, oldest time.Time, err error)
}

// Bell is rung after each commit that logged something.
type Bell interface{ Ring(position int64) }

// Account is a carrier account, bound to its adapter.
type Account struct {
	// Name of the account; unique for the carrier.
	Name string
	// MerchantID owns it; empty for the deployment's own.
	MerchantID string
	// Endpoint is the random id under which the carrier's pushes arrive; empty
	// if it does not push.
	Endpoint string
	Spec     carriers.Spec
	Carrier  carriers.Carrier
	// Gate is the one that Carrier was bound with; nil holds the plan to no
	// budget.
	Gate *Gate
	// Source marks what comes through it; empty for the true door. The demo's
	// accounts say SIMULATOR.
	Source parcel.SourceKind
}

// Options make an Ingest.
type Options struct {
	Store    Store
	Accounts []Account
	Bell     Bell
	// Trade time for what is said about parcels, wall time for waiting.
	Trade, Wall clock.Clock
	Log         *slog.Logger
	// Gather is how long the carrier loader waits for further numbers before it
	// sends a batch that is not full; 0 gives 3 ms.
	Gather time.Duration
	// Parallel is the most calls under way at once to one account; 0 gives 4.
	Parallel int
	// Writers is how many transactions may be under way at once; 0 gives 1,
	// which is right for SQLite.
	Writers int
	// PollEvery is how often the poller looks for due numbers, wall time; 0
	// gives one second.
	PollEvery time.Duration
}

// Ingest is the write path. It is safe for concurrent use. Close it after use.
type Ingest struct {
	store   Store
	bell    Bell
	trade   clock.Clock
	wall    clock.Clock
	log     *slog.Logger
	opts    Options
	roster  atomic.Pointer[roster]
	rosters sync.Mutex // held while one is put in the place of another

	writer  *writer
	flights flights

	// ctx lives as long as the Ingest: calls to carriers outlive the requests
	// that caused them.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	// gate keeps work from beginning while Close waits for its end.
	gate   sync.Mutex
	closed bool
	token  string

	unmapped unmapped
	counters counters
	habits   habits
}

// New starts an Ingest. Its goroutines end with Close.
func New(o Options) (*Ingest, error) {
	if o.Store == nil || o.Trade == nil || o.Wall == nil {
		return nil, fmt.Errorf("ingest: store and clocks are needed: %w", parcel.ErrInvalid)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Gather == 0 {
		o.Gather = 3 * time.Millisecond
	}
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.PollEvery <= 0 {
		o.PollEvery = time.Second
	}
	g := &Ingest{
		store: o.Store, bell: o.Bell, trade: o.Trade, wall: o.Wall, log: o.Log, opts: o,
		token: ulid.MustNew(ulid.Timestamp(o.Wall.Now()), rand.Reader).String(),
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.flights.open = map[parcel.NumberKey]*flight{}
	if err := g.SetAccounts(o.Accounts); err != nil {
		return nil, err
	}
	g.writer = newWriter(g)
	return g, nil
}

// Close ends all work: calls to carriers are given up, what was accepted is
// written. It waits for every goroutine. It may be called more than once.
func (g *Ingest) Close() error {
	g.gate.Lock()
	g.closed = true
	g.gate.Unlock()
	g.cancel()
	g.work.Wait()
	g.writer.close()
	g.closeGates()
	return nil
}

// begin runs f on a goroutine of its own, unless the end has come.
func (g *Ingest) begin(f func()) bool {
	g.gate.Lock()
	defer g.gate.Unlock()
	if g.closed {
		return false
	}
	g.work.Go(f)
	return true
}

// newID makes a ULID for a thing made now.
func (g *Ingest) newID() string {
	return ulid.MustNew(ulid.Timestamp(g.trade.Now()), rand.Reader).String()
}
