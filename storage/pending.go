package storage

import (
	"context"
	"log/slog"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Dialect is the kind of database.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgres"
)

// Options tune a store; the zero value is right for most.
type Options struct {
	// MaxConns bounds connections: readers on SQLite, all on PostgreSQL. 0 is 8
	// and 16.
	MaxConns int
	// MaxFileBytes bounds the SQLite file; 0 leaves it to the disk.
	MaxFileBytes int64
	// Log hears of retries; nil is silent.
	Log *slog.Logger
}

// Store is an open database. It is safe for concurrent use.
type Store struct{ dialect Dialect }

// Tx is the open transaction of an Update; it ends with it. It is not safe for
// concurrent use.
type Tx struct{ s *Store }

func Open(ctx context.Context, url string, o Options) (*Store, error) { panic("being written") }

func (s *Store) Close() error { panic("being written") }

func (s *Store) Ping(ctx context.Context) error { panic("being written") }

func (s *Store) Dialect() Dialect { panic("being written") }

func (s *Store) Migrate(ctx context.Context) (applied []string, err error) { panic("being written") }

func (s *Store) Refold(ctx context.Context) (shipments int, err error) { panic("being written") }

func (s *Store) Update(ctx context.Context, do func(ctx context.Context, tx *Tx) error) error {
	panic("being written")
}

func (tx *Tx) HoldNumbers(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]NumberState, error) {
	panic("being written")
}

func (tx *Tx) PutHolders(ctx context.Context, rows []HolderRow) error { panic("being written") }

func (tx *Tx) PutTrackings(ctx context.Context, trackings []parcel.Tracking) error {
	panic("being written")
}

func (tx *Tx) ReleaseLeases(ctx context.Context, keys []parcel.NumberKey, token string) error {
	panic("being written")
}

func (tx *Tx) PutPayloads(ctx context.Context, payloads []parcel.Payload) ([]KeptPayload, error) {
	panic("being written")
}

func (tx *Tx) PutPayloadNumbers(ctx context.Context, rows []PayloadNumber) error {
	panic("being written")
}

func (tx *Tx) PayloadsOf(ctx context.Context, key parcel.NumberKey, limit int) ([]parcel.Payload, error) {
	panic("being written")
}

func (tx *Tx) LockShipments(ctx context.Context, ids []string) (map[string]*parcel.Shipment, error) {
	panic("being written")
}

func (tx *Tx) ShipmentsByReference(ctx context.Context, merchantID string, references []string) (map[string]*parcel.Shipment, error) {
	panic("being written")
}

func (tx *Tx) PutShipments(ctx context.Context, fresh, changed []*parcel.Shipment) error {
	panic("being written")
}

func (tx *Tx) PutRecipients(ctx context.Context, rows []RecipientRow) error { panic("being written") }

func (tx *Tx) AppendEvents(ctx context.Context, rows []EventRow) error { panic("being written") }

func (tx *Tx) EventsOf(ctx context.Context, shipmentID string) ([]parcel.Event, error) {
	panic("being written")
}

func (tx *Tx) AppendChanges(ctx context.Context, changes []parcel.Change) (last int64, err error) {
	panic("being written")
}

func (tx *Tx) AddCohorts(ctx context.Context, deltas []CohortDelta) error { panic("being written") }

func (tx *Tx) PutImportRun(ctx context.Context, run ImportRun) error { panic("being written") }

func (s *Store) Shipments(ctx context.Context, scope Scope, ids []string) ([]*Loaded, error) {
	panic("being written")
}

func (s *Store) ShipmentsByReference(ctx context.Context, scope Scope, references []string) ([]*Loaded, error) {
	panic("being written")
}

func (s *Store) ShipmentsByNumber(ctx context.Context, number, carrier string) ([]*Loaded, error) {
	panic("being written")
}

func (s *Store) ListShipments(ctx context.Context, scope Scope, f ShipmentFilter, o ShipmentOrder, p Page) (ShipmentPage, error) {
	panic("being written")
}

func (s *Store) CountShipments(ctx context.Context, scope Scope, f ShipmentFilter, max int) (n int, exact bool, err error) {
	panic("being written")
}

func KeyOf(o ShipmentOrder, s *parcel.Shipment) PageKey { panic("being written") }

func (s *Store) EventShipments(ctx context.Context, scope Scope, eventIDs []string) (map[string]string, error) {
	panic("being written")
}

func (s *Store) EventsAsOf(ctx context.Context, scope Scope, shipmentID string, received time.Time) ([]parcel.Event, error) {
	panic("being written")
}

func (s *Store) Payloads(ctx context.Context, scope Scope, ids []string) ([]*parcel.Payload, error) {
	panic("being written")
}

func (s *Store) WalkPayloads(ctx context.Context, f PayloadFilter, visit func(parcel.Payload) error) error {
	panic("being written")
}

func (s *Store) Changes(ctx context.Context, scope Scope, after int64, limit int, f ChangeFilter) ([]parcel.Change, error) {
	panic("being written")
}

func (s *Store) LogBounds(ctx context.Context) (oldest, head int64, err error) {
	panic("being written")
}

func (s *Store) PruneChanges(ctx context.Context, before time.Time) (removed int64, err error) {
	panic("being written")
}

func (s *Store) Trackings(ctx context.Context, keys []parcel.NumberKey) (map[parcel.NumberKey]parcel.Tracking, error) {
	panic("being written")
}

func (s *Store) Lease(ctx context.Context, keys []parcel.NumberKey, now, until time.Time, token string) (granted []parcel.NumberKey, err error) {
	panic("being written")
}

func (s *Store) LeaseDue(ctx context.Context, now, until time.Time, token string, limit int, carriers []string) ([]parcel.Tracking, error) {
	panic("being written")
}

func (s *Store) SaveTrackings(ctx context.Context, trackings []parcel.Tracking, releaseToken string) error {
	panic("being written")
}

func (s *Store) CreateMerchant(ctx context.Context, m Merchant) error { panic("being written") }

func (s *Store) UpdateMerchant(ctx context.Context, m Merchant) error { panic("being written") }

func (s *Store) Merchant(ctx context.Context, id string) (Merchant, error) { panic("being written") }

func (s *Store) MerchantByName(ctx context.Context, name string) (Merchant, error) {
	panic("being written")
}

func (s *Store) Merchants(ctx context.Context, scope Scope) ([]Merchant, error) {
	panic("being written")
}

func (s *Store) PutKey(ctx context.Context, k Key) error { panic("being written") }

func (s *Store) KeyByHash(ctx context.Context, hash []byte) (Key, error) { panic("being written") }

func (s *Store) Keys(ctx context.Context, scope Scope) ([]Key, error) { panic("being written") }

func (s *Store) RevokeKey(ctx context.Context, scope Scope, id string, at time.Time) error {
	panic("being written")
}

func (s *Store) TouchKey(ctx context.Context, id string, at time.Time) error { panic("being written") }

func (s *Store) Setting(ctx context.Context, name string, make func() string) (string, error) {
	panic("being written")
}

func (s *Store) Recipients(ctx context.Context, scope Scope, shipmentIDs []string) (map[string]RecipientRow, error) {
	panic("being written")
}

func (s *Store) Routes(ctx context.Context, scope Scope) ([]RouteRow, error) { panic("being written") }

func (s *Store) PutRoutes(ctx context.Context, rows []RouteRow) error { panic("being written") }

func (s *Store) Scores(ctx context.Context, scope Scope, f ScoreFilter) (Cohorts, error) {
	panic("being written")
}

func (s *Store) ImportRun(ctx context.Context, scope Scope, fileSHA, mappingSHA string) (ImportRun, error) {
	panic("being written")
}
