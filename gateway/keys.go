package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// KeyMark begins every API key, so that people and secret scanners know one
// when they see it.
const KeyMark = "mp_"

const (
	// shownKeyBytes is how much of a key its lists show: too little to guess
	// the rest, enough to tell one from another.
	shownKeyBytes = len(KeyMark) + 6
	minKeyBytes   = len(KeyMark) + 8
	maxKeyBytes   = 128
)

// Key is an API key as the store knows it: what it opens, not the secret.
type Key struct {
	ID         string
	MerchantID string
	// Scopes are the names of what it may do, as the schema writes them.
	Scopes []string
	// Locale is the language of its merchant, BCP 47; empty for none.
	Locale string
	// ExpiresAt and RevokedAt are wall time, zero for never. LastUsedAt is
	// when the store was last told that the key was used.
	ExpiresAt, RevokedAt, LastUsedAt time.Time
}

// KeyStore finds API keys. It must be safe for concurrent use.
type KeyStore interface {
	// KeyByHash returns the key whose secret has this digest by [HashKey]. It
	// returns an error of kind parcel.ErrNotFound for one that nobody has,
	// and must return keys that were revoked or have expired.
	KeyByHash(ctx context.Context, hash []byte) (Key, error)
	// TouchKey notes that the key was used. It is called at most about once
	// an hour for each key and process; an error is logged, no more.
	TouchKey(ctx context.Context, id string, at time.Time) error
}

// NewKey makes an API key with 130 random bits. The secret is shown once, to
// the one who asked for it; prefix is how lists show the key, and hash is what
// the store keeps.
func NewKey() (secret, prefix string, hash []byte) {
	secret = KeyMark + strings.ToLower(rand.Text())
	return secret, secret[:shownKeyBytes], HashKey(secret)
}

// HashKey is the digest by which a key is stored and found: SHA-256 of the
// secret. It needs no salt and no slowness, since a key is random; comparing
// digests tells an attacker nothing by its time.
func HashKey(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// CheckKey returns an error of kind parcel.ErrInvalid for a secret that the
// gateway would not look up, so that a key chosen by hand is refused when it
// is made and not when it is used. Its randomness is the chooser's business.
func CheckKey(secret string) error {
	if !plausibleKey(secret) {
		return fmt.Errorf("gateway: a key begins with %s and has %d to %d letters, digits, - or _ in all: %w",
			KeyMark, minKeyBytes, maxKeyBytes, parcel.ErrInvalid)
	}
	return nil
}

// PrefixOfKey is how lists show a key that was chosen by hand.
func PrefixOfKey(secret string) string {
	return secret[:min(len(secret), shownKeyBytes)]
}

func plausibleKey(secret string) bool {
	if len(secret) < minKeyBytes || len(secret) > maxKeyBytes || !strings.HasPrefix(secret, KeyMark) {
		return false
	}
	for i := range len(secret) {
		c := secret[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

const (
	// keyLife is how long a key that was found is taken as still good for a
	// new request. Streams do not wait that long: see keys.still.
	keyLife = 10 * time.Second
	// noKeyLife is how long a secret that nobody has is remembered, so that
	// a client which tries again and again does not reach the store.
	noKeyLife = 5 * time.Second
	// maxKnownKeys bounds what is remembered of both.
	maxKnownKeys = 10_000
	// touchEvery is how fine the store's LastUsedAt is.
	touchEvery = time.Hour
)

// errNoKey is the refusal of a key that is unknown, revoked or expired: one
// for all, so that nobody learns which.
var errNoKey = fmt.Errorf("gateway: the API key is not valid: %w", parcel.ErrDenied)

type digest [sha256.Size]byte

// keys looks API keys up and remembers them for a while. It is safe for
// concurrent use.
type keys struct {
	store   KeyStore
	wall    clock.Clock
	warn    func(msg string, args ...any)
	flights singleflight.Group

	mu    sync.Mutex
	known map[digest]knownKey
}

type knownKey struct {
	key   Key
	found bool
	until time.Time
}

func newKeys(store KeyStore, wall clock.Clock, warn func(string, ...any)) *keys {
	return &keys{store: store, wall: wall, warn: warn, known: map[digest]knownKey{}}
}

// find returns the key with this secret. It returns errNoKey, or what the
// store returned when it could not be asked.
func (k *keys) find(ctx context.Context, secret string) (Key, digest, error) {
	if !plausibleKey(secret) || k.store == nil {
		return Key{}, digest{}, errNoKey
	}
	d := digest(HashKey(secret))
	now := k.wall.Now()
	k.mu.Lock()
	known, ok := k.known[d]
	k.mu.Unlock()
	if !ok || !now.Before(known.until) {
		var err error
		if known, err = k.ask(ctx, d); err != nil {
			return Key{}, d, err
		}
	}
	if !known.found || !good(known.key, now) {
		return Key{}, d, errNoKey
	}
	return known.key, d, nil
}

// still asks the store, whatever is remembered, whether a key is good: a
// message of a stream must not follow the revocation of its key. Those who
// ask for the same key at the same moment share one answer.
func (k *keys) still(ctx context.Context, d digest) error {
	known, err := k.ask(ctx, d)
	if err != nil {
		return err
	}
	if !known.found || !good(known.key, k.wall.Now()) {
		return errNoKey
	}
	return nil
}

func good(key Key, now time.Time) bool {
	return key.RevokedAt.IsZero() && (key.ExpiresAt.IsZero() || now.Before(key.ExpiresAt))
}

func (k *keys) ask(ctx context.Context, d digest) (knownKey, error) {
	// The flight outlives a caller that leaves: others may wait for it.
	flight := k.flights.DoChan(string(d[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return k.load(ctx, d)
	})
	select {
	case r := <-flight:
		if r.Err != nil {
			return knownKey{}, r.Err
		}
		return r.Val.(knownKey), nil
	case <-ctx.Done():
		return knownKey{}, context.Cause(ctx)
	}
}

func (k *keys) load(ctx context.Context, d digest) (knownKey, error) {
	now := k.wall.Now()
	key, err := k.store.KeyByHash(ctx, d[:])
	known := knownKey{key: key, found: err == nil, until: now.Add(keyLife)}
	if err != nil {
		if !errors.Is(err, parcel.ErrNotFound) {
			return knownKey{}, fmt.Errorf("gateway: look up the API key: %w", err)
		}
		known.until = now.Add(noKeyLife)
	}
	if known.found && good(key, now) && now.Sub(key.LastUsedAt) >= touchEvery {
		if err := k.store.TouchKey(ctx, key.ID, now); err != nil {
			k.warn("the use of an API key was not noted", "id", key.ID, "error", err)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= maxKnownKeys {
		k.forget(now)
	}
	k.known[d] = known
	return known, nil
}

// forget makes room: first what is out of date and what was not found, then,
// if all are good keys in use, any of them.
func (k *keys) forget(now time.Time) {
	for d, known := range k.known {
		if !known.found || !now.Before(known.until) {
			delete(k.known, d)
		}
	}
	for d := range k.known {
		if len(k.known) < maxKnownKeys {
			break
		}
		delete(k.known, d)
	}
}
