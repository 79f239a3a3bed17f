package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		secret, prefix, hash := NewKey()
		if len(secret) != len(KeyMark)+26 || !strings.HasPrefix(secret, KeyMark) || len(hash) != 32 || seen[secret] {
			t.Fatalf("secret %q, hash of %d bytes", secret, len(hash))
		}
		if !strings.HasPrefix(secret, prefix) || len(prefix) != 9 || prefix != PrefixOfKey(secret) {
			t.Fatalf("prefix %q of %q", prefix, secret)
		}
		if err := CheckKey(secret); err != nil {
			t.Fatal(err)
		}
		seen[secret] = true
	}
	for _, bad := range []string{"", "mp_", "mp_short", "xx_longenoughtobeone", "mp_with space in it", "mp_with\"quote\"", KeyMark + strings.Repeat("x", 200)} {
		if err := CheckKey(bad); !errors.Is(err, parcel.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeys(t *testing.T) {
	ctx := t.Context()
	begin := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	t.Run("remembered for a while, then asked for again", func(t *testing.T) {
		ring, wall := &keyring{}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		secret := ring.add(Key{ID: "K"})
		for range 5 {
			if _, _, err := k.find(ctx, secret); err != nil {
				t.Fatal(err)
			}
		}
		if ring.asked != 1 {
			t.Errorf("the store was asked %d times", ring.asked)
		}
		ring.change(secret, func(k *Key) { k.RevokedAt = begin })
		if _, _, err := k.find(ctx, secret); err != nil {
			t.Errorf("within its life: %v", err)
		}
		wall.Advance(keyLife)
		if _, _, err := k.find(ctx, secret); !errors.Is(err, errNoKey) {
			t.Errorf("after its life: %v", err)
		}
	})
	t.Run("a stream's check is not remembered, and corrects what is", func(t *testing.T) {
		ring, wall := &keyring{}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		secret := ring.add(Key{ID: "K"})
		_, d, err := k.find(ctx, secret)
		if err != nil || k.still(ctx, d) != nil {
			t.Fatal(err)
		}
		ring.change(secret, func(k *Key) { k.RevokedAt = begin })
		if err := k.still(ctx, d); !errors.Is(err, errNoKey) {
			t.Errorf("still: %v", err)
		}
		if _, _, err := k.find(ctx, secret); !errors.Is(err, errNoKey) {
			t.Errorf("find: %v", err)
		}
	})
	t.Run("expiry does not wait for the store", func(t *testing.T) {
		ring, wall := &keyring{}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		secret := ring.add(Key{ID: "K", ExpiresAt: begin.Add(time.Second)})
		if _, _, err := k.find(ctx, secret); err != nil {
			t.Fatal(err)
		}
		wall.Advance(time.Second)
		if _, _, err := k.find(ctx, secret); !errors.Is(err, errNoKey) {
			t.Errorf("%v", err)
		}
	})
	t.Run("use is noted once an hour", func(t *testing.T) {
		ring, wall := &keyring{}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		secret := ring.add(Key{ID: "K", LastUsedAt: begin.Add(-30 * time.Minute)})
		for range 8 {
			k.find(ctx, secret)
			wall.Advance(10 * time.Minute)
			if n := len(ring.touched); n > 0 {
				ring.change(secret, func(k *Key) { k.LastUsedAt = wall.Now() })
			}
		}
		if len(ring.touched) != 1 {
			t.Errorf("noted %d times", len(ring.touched))
		}
	})
	t.Run("a store in trouble is not taken for an unknown key", func(t *testing.T) {
		ring, wall := &keyring{err: fmt.Errorf("gone: %w", parcel.ErrUnavailable)}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		secret := ring.add(Key{ID: "K"})
		if _, _, err := k.find(ctx, secret); !errors.Is(err, parcel.ErrUnavailable) || errors.Is(err, errNoKey) {
			t.Errorf("%v", err)
		}
		ring.err = nil
		if _, _, err := k.find(ctx, secret); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("guesses do not push keys out, nor fill memory", func(t *testing.T) {
		ring, wall := &keyring{}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		secret := ring.add(Key{ID: "K"})
		k.find(ctx, secret)
		for i := range maxKnownKeys + 100 {
			if _, _, err := k.find(ctx, fmt.Sprintf("mp_guess%08d", i)); !errors.Is(err, errNoKey) {
				t.Fatal(err)
			}
		}
		if len(k.known) > maxKnownKeys {
			t.Errorf("%d are remembered", len(k.known))
		}
		asked := ring.asked
		if _, _, err := k.find(ctx, secret); err != nil || ring.asked != asked {
			t.Errorf("the key was pushed out: %v", err)
		}
	})
	t.Run("those who ask at once share one answer", func(t *testing.T) {
		ring, wall := &slowKeys{begun: make(chan struct{}, 100), release: make(chan struct{})}, clock.Fixed(begin)
		k := newKeys(ring, wall, func(string, ...any) {})
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, _, err := k.find(ctx, "mp_somebodyskey"); err != nil {
					t.Error(err)
				}
			})
		}
		<-ring.begun
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := k.find(gone, "mp_somebodyskey"); !errors.Is(err, context.Canceled) {
			t.Errorf("who has left: %v", err)
		}
		close(ring.release)
		group.Wait()
		if n := len(ring.begun); n > 1 {
			t.Errorf("the store was asked %d more times", n)
		}
	})
}

// slowKeys is a KeyStore that answers when it is told to.
type slowKeys struct{ begun, release chan struct{} }

func (s *slowKeys) KeyByHash(context.Context, []byte) (Key, error) {
	s.begun <- struct{}{}
	<-s.release
	return Key{ID: "K"}, nil
}

func (s *slowKeys) TouchKey(context.Context, string, time.Time) error { return nil }
