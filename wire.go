package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// The types below introduce rooms to each other that do not know each other:
// each has the face that one room declares, and the other behind it.

// writers is how many transactions of the write path a database takes at once.
// SQLite has one writer; on PostgreSQL a second works while the first waits for
// its commit, and a third gains nothing.
func writers(s *storage.Store) int {
	if s.Dialect() == storage.PostgreSQL {
		return 2
	}
	return 1
}

// memory is the store as the write path needs it.
type memory struct{ *storage.Store }

var _ ingest.Store = memory{}

// Update implements [ingest.Store].
func (m memory) Update(ctx context.Context, do func(ctx context.Context, tx ingest.Tx) error) error {
	return m.Store.Update(ctx, func(ctx context.Context, tx *storage.Tx) error { return do(ctx, tx) })
}

// ShipmentOfEvent implements [ingest.Store].
func (m memory) ShipmentOfEvent(ctx context.Context, merchantID, eventID string) (string, error) {
	found, err := m.Store.EventShipments(ctx, storage.OfMerchant(merchantID), []string{eventID})
	if err != nil {
		return "", err
	}
	if found[eventID] == "" {
		return "", fmt.Errorf("event %s: %w", eventID, parcel.ErrNotFound)
	}
	return found[eventID], nil
}

// WalkPayloads implements [ingest.Store].
func (m memory) WalkPayloads(ctx context.Context, carrier string, since time.Time, visit func(parcel.Payload) error) error {
	return m.Store.WalkPayloads(ctx, storage.PayloadFilter{Carrier: carrier, Since: since}, visit)
}

// keyring is the store as the front door needs it.
type keyring struct{ *storage.Store }

var _ gateway.KeyStore = keyring{}

// KeyByHash implements [gateway.KeyStore].
func (k keyring) KeyByHash(ctx context.Context, hash []byte) (gateway.Key, error) {
	key, err := k.Store.KeyByHash(ctx, hash)
	if err != nil {
		return gateway.Key{}, err
	}
	m, err := k.Store.Merchant(ctx, key.MerchantID)
	if err != nil {
		return gateway.Key{}, err
	}
	return gateway.Key{
		ID: key.ID, MerchantID: key.MerchantID, Scopes: key.Scopes, Locale: m.DefaultLocale,
		ExpiresAt: key.ExpiresAt, RevokedAt: key.RevokedAt, LastUsedAt: key.LastUsedAt,
	}, nil
}

// pushes is the write path as the front door needs it.
type pushes struct{ *ingest.Ingest }

var _ gateway.Hooks = pushes{}

// Admit implements [gateway.Hooks].
func (p pushes) Admit(carrier, endpoint string) (leave func(), known, admitted bool) {
	return p.AdmitPush(carrier, endpoint)
}

// Push implements [gateway.Hooks].
func (p pushes) Push(ctx context.Context, carrier, endpoint string, d gateway.Delivery) (status int, contentType string, body []byte) {
	r := p.Ingest.Push(ctx, carrier, endpoint, carriers.Delivery{Header: d.Header, Query: d.Query, Body: d.Body})
	return r.Status, r.ContentType, r.Body
}

// openStore opens the database of --store and, unless told otherwise, brings
// its schema up to date.
func openStore(ctx context.Context, log *slog.Logger, url string, migrate bool) (*storage.Store, error) {
	s, err := storage.Open(ctx, url, storage.Options{Log: log})
	if err != nil {
		return nil, fmt.Errorf("--store: %w", withRemedy(url, err))
	}
	if !migrate {
		return s, nil
	}
	applied, err := s.Migrate(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--store: %w", withRemedy(url, err)), s.Close())
	}
	if len(applied) > 0 {
		log.Info("database migrated", "applied", strings.Join(applied, " "))
	}
	return s, nil
}

// withRemedy adds file and remedy to what SQLite says of a full disk and of a
// limit on the size of files, which is a number. Other errors stay as they are.
func withRemedy(url string, err error) error {
	if !errors.Is(err, parcel.ErrUnavailable) || !strings.HasPrefix(url, "sqlite:") || !strings.Contains(err.Error(), "disk") {
		return err
	}
	return fmt.Errorf("%w: %s cannot grow: look whether its disk is full, and how large a file may get (ulimit -f)", err, url)
}

// merchantNamed finds a merchant, or makes one if allowed to.
func merchantNamed(ctx context.Context, s *storage.Store, wall clock.Clock, name string, makeNew bool) (m storage.Merchant, made bool, err error) {
	m, err = s.MerchantByName(ctx, name)
	if err == nil || !errors.Is(err, parcel.ErrNotFound) {
		return m, false, err
	}
	if !makeNew {
		return m, false, fmt.Errorf("there is no merchant %q; make it with: milepost keys create --merchant %s: %w", name, name, parcel.ErrNotFound)
	}
	if err := checkMerchantName(name); err != nil {
		return m, false, err
	}
	now := wall.Now()
	m = storage.Merchant{ID: ulid.MustNew(ulid.Timestamp(now), rand.Reader).String(), Name: name, CreatedAt: now}
	if err := s.CreateMerchant(ctx, m); errors.Is(err, parcel.ErrConflict) {
		m, err = s.MerchantByName(ctx, name) // somebody was quicker
		return m, false, err
	} else if err != nil {
		return m, false, err
	}
	return m, true, nil
}

// maxMerchantName is the longest name of a merchant, in bytes.
const maxMerchantName = 64

// checkMerchantName keeps names to what can be typed on a command line and
// read in a list.
func checkMerchantName(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' })
	if name == "" || len(name) > maxMerchantName || bad || strings.TrimSpace(name) != name {
		return badUsage("--merchant: %q: want 1 to %d bytes without control characters or spaces at the ends", name, maxMerchantName)
	}
	return nil
}

// merchantIDs finds merchants for accounts of the configuration.
func merchantIDs(ctx context.Context, s *storage.Store) func(name string) (string, error) {
	return func(name string) (string, error) {
		m, _, err := merchantNamed(ctx, s, nil, name, false)
		return m.ID, err
	}
}

// newHTTPClient is the client that asks carriers. Time-outs of calls, retries
// and pacing are the adapters'; this one bounds what they cannot.
func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: time.Minute,
	}}
}
