package carrierkit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// maxEarly is the longest time before its expiry that a token is renewed.
const maxEarly = 5 * time.Minute

// TokenCache keeps an access token: one for all callers of an account,
// renewed a tenth of its life (at most five minutes) before it expires, one
// renewal at a time. It is safe for concurrent use.
type TokenCache struct {
	wall  carriers.Clock
	fetch func(context.Context) (string, time.Time, error)

	mu      sync.Mutex
	token   string
	renew   time.Time // from here on the token is still good but due
	expires time.Time
	flight  *tokenFlight
}

// tokenFlight is one renewal that callers wait for.
type tokenFlight struct {
	done      chan struct{} // closed when the rest is set
	token     string
	err       error
	abandoned bool // failed only because the caller that led it gave up
}

// NewTokenCache makes a cache that asks fetch for a token when there is none.
// Expires is on the wall clock; a token without it serves only those who
// waited for it. A nil wall is the machine's clock.
func NewTokenCache(wall carriers.Clock, fetch func(ctx context.Context) (token string, expires time.Time, err error)) *TokenCache {
	if wall == nil {
		wall = clock.Wall()
	}
	return &TokenCache{wall: wall, fetch: fetch}
}

// Token gives a token that has not expired. Callers that come during a renewal
// wait for it and share its result, good or bad; a failure is not kept, so the
// next caller tries again. While the old token is good nobody waits: one
// caller renews it, and if that fails it is used to its end.
func (c *TokenCache) Token(ctx context.Context) (string, error) {
	for {
		c.mu.Lock()
		now := c.wall.Now()
		good := c.token != "" && now.Before(c.expires)
		if good && (now.Before(c.renew) || c.flight != nil) {
			token := c.token
			c.mu.Unlock()
			return token, nil
		}
		f := c.flight
		if f == nil {
			f = &tokenFlight{done: make(chan struct{})}
			c.flight = f
			old := c.token
			c.mu.Unlock()
			c.lead(ctx, f)
			if f.err != nil && good && ctx.Err() == nil {
				return old, nil
			}
			return f.token, f.err
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if !f.abandoned {
			return f.token, f.err
		}
	}
}

func (c *TokenCache) lead(ctx context.Context, f *tokenFlight) {
	var expires time.Time
	// Runs even if fetch panics: those who wait must not wait for ever.
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flight = nil
		if f.err == nil && f.token != "" {
			now := c.wall.Now()
			c.token, c.expires = f.token, expires
			c.renew = expires.Add(-min(expires.Sub(now)/10, maxEarly))
		}
		close(f.done)
	}()
	f.err = fmt.Errorf("token: %w", parcel.ErrUnavailable)
	var token string
	var err error
	token, expires, err = c.fetch(ctx)
	switch {
	case err != nil:
		f.err = fmt.Errorf("token: %w", err)
		f.abandoned = ctx.Err() != nil
	case token == "":
		f.err = fmt.Errorf("token: empty: %w", parcel.ErrDenied)
	default:
		f.token, f.err = token, nil
	}
}

// Invalidate drops the token if it is still the one named: of many callers
// that see one token refused, the first drops it and none drops its successor.
func (c *TokenCache) Invalidate(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

// With calls with a token. A refusal of kind parcel.ErrDenied leads to one
// renewal and one more call.
func (c *TokenCache) With(ctx context.Context, call func(ctx context.Context, token string) error) error {
	token, err := c.Token(ctx)
	if err != nil {
		return err
	}
	err = call(ctx, token)
	if !errors.Is(err, parcel.ErrDenied) {
		return err
	}
	c.Invalidate(token)
	renewed, tokenErr := c.Token(ctx)
	if tokenErr != nil {
		return tokenErr
	}
	return call(ctx, renewed)
}
