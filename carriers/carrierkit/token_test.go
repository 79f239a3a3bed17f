package carrierkit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// office hands out numbered tokens.
type office struct {
	issued atomic.Int64
	life   time.Duration
	takes  time.Duration
	fail   atomic.Bool
}

func (o *office) fetch(ctx context.Context) (string, time.Time, error) {
	n := o.issued.Add(1)
	if err := clock.Wall().Sleep(ctx, o.takes); err != nil {
		return "", time.Time{}, err
	}
	if o.fail.Load() {
		return "", time.Time{}, parcel.ErrUnavailable
	}
	return fmt.Sprint("token-", n), clock.Wall().Now().Add(o.life), nil
}

func wantToken(t *testing.T, c *carrierkit.TokenCache, want string) {
	t.Helper()
	if got, err := c.Token(t.Context()); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{life: time.Hour, takes: time.Second}
		c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { wantToken(t, c, "token-1") })
		}
		wg.Wait()
		if n := o.issued.Load(); n != 1 {
			t.Errorf("%d tokens issued, want 1", n)
		}
	})
}

func TestTokenIsRenewedEarlyWithoutAnyoneWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{life: time.Hour}
		c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
		wantToken(t, c, "token-1")
		clockSleep(t, 54*time.Minute)
		wantToken(t, c, "token-1")

		clockSleep(t, 2*time.Minute) // within five minutes of the end
		o.takes = time.Second
		var wg sync.WaitGroup
		wg.Go(func() { wantToken(t, c, "token-2") })
		synctest.Wait()
		began := clock.Wall().Now()
		wantToken(t, c, "token-1") // the old one is good while the new one comes
		if clock.Wall().Now() != began {
			t.Error("a caller waited although the token was good")
		}
		wg.Wait()
		wantToken(t, c, "token-2")
	})
}

func TestTokenOutlivesAFailedRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{life: time.Hour}
		c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
		wantToken(t, c, "token-1")
		o.fail.Store(true)
		clockSleep(t, 57*time.Minute)
		wantToken(t, c, "token-1")
		clockSleep(t, 3*time.Minute)
		if _, err := c.Token(t.Context()); !errors.Is(err, parcel.ErrUnavailable) {
			t.Errorf("expired and not renewed: %v", err)
		}
		o.fail.Store(false)
		wantToken(t, c, "token-4") // a failure is not kept
	})
}

func TestTokenFailureIsSharedByThoseWhoWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{takes: time.Second}
		o.fail.Store(true)
		c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := c.Token(t.Context()); !errors.Is(err, parcel.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if n := o.issued.Load(); n != 1 {
			t.Errorf("%d calls to a failing office, want 1", n)
		}
	})
}

func TestTokenRenewalSurvivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{life: time.Hour, takes: time.Second}
		c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Token(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("leader: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { wantToken(t, c, "token-2") })
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestInvalidateDropsOnlyTheTokenNamed(t *testing.T) {
	o := &office{life: time.Hour}
	c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
	wantToken(t, c, "token-1")
	c.Invalidate("token-1")
	wantToken(t, c, "token-2")
	c.Invalidate("token-1")
	wantToken(t, c, "token-2")
}

func TestWithRenewsExactlyOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses int // how many calls are refused
		err     error
		calls   int
	}{
		{"good at once", 0, nil, 1},
		{"stale token", 1, nil, 2},
		{"refused for good", 9, parcel.ErrDenied, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &office{life: time.Hour}
			c := carrierkit.NewTokenCache(clock.Wall(), o.fetch)
			calls := 0
			err := c.With(t.Context(), func(_ context.Context, token string) error {
				calls++
				if want := fmt.Sprint("token-", calls); token != want {
					t.Errorf("call %d has %q", calls, token)
				}
				if calls <= tt.refuses {
					return parcel.ErrDenied
				}
				return nil
			})
			if !errors.Is(err, tt.err) || calls != tt.calls {
				t.Errorf("%d calls, %v, want %d calls, %v", calls, err, tt.calls, tt.err)
			}
		})
	}
}
