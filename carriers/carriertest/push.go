package carriertest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// testPush takes the fake's pushes through the door, good ones and forged.
func (e *exam) testPush(t *testing.T) {
	if _, ok := e.reader(t).(carriers.Verifier); !ok {
		t.Skip("does not call us")
	}
	number := e.known(t)
	synctest.Test(t, func(t *testing.T) {
		r := e.newRig(t)
		verifier := r.carrier.(carriers.Verifier)
		h := e.journey(r.fake)
		r.put(number, h)
		good, ok := r.fake.Push(number, h)
		if !ok {
			t.Fatal("the adapter takes pushes and its fake sends none")
		}
		before := cloneDelivery(good)
		original, err := e.take(r.carrier, good)
		if err != nil {
			t.Fatalf("a good push: %v", err)
		}
		e.checkReading(t, original)
		if len(original.Observations) == 0 {
			t.Error("a push says nothing")
		}
		if !bytes.Equal(before.Body, good.Body) {
			t.Error("Verify wrote to the body")
		}
		last := h.Scans[len(h.Scans)-1]
		if n := len(original.Observations); n > 0 {
			if diff := compareScans(number, []carriers.FakeScan{last}, original.Observations[n-1:]); diff != "" {
				t.Errorf("the push does not tell the newest scan: %s", diff)
			}
		}
		if r.fetcher != nil {
			asked, err := r.ask(t.Context(), number)
			if err != nil {
				t.Fatal(err)
			}
			keys := keysOf(asked.Observations)
			for _, o := range original.Observations {
				if !slices.Contains(keys, o.Key()) {
					t.Errorf("pushed %s %s %q is another event than the one asked for", o.Number, o.OwnCode, o.Occurred.Wall)
				}
			}
		}
		e.forge(t, r, good, original)
		if reply := verifier.Reply(nil); reply.Status < 200 || reply.Status > 299 {
			t.Errorf("a push that was taken is answered with status %d", reply.Status)
		}
		for _, kind := range []error{parcel.ErrDenied, parcel.ErrMalformed, parcel.ErrUnavailable} {
			if reply := verifier.Reply(fmt.Errorf("exam: %w", kind)); reply.Status < 200 {
				t.Errorf("a push that failed with %v is answered with status %d", kind, reply.Status)
			}
		}
		r.closing(t)
	})
}

// take is what ingest does with a push.
func (e *exam) take(c carriers.Carrier, d carriers.Delivery) (parcel.Reading, error) {
	kind, err := c.(carriers.Verifier).Verify(d)
	if err != nil {
		return parcel.Reading{}, err
	}
	if !slices.ContainsFunc(e.spec.Kinds, func(k carriers.PayloadKind) bool {
		return k.Name == kind && k.Source == parcel.SourceWebhook
	}) {
		return parcel.Reading{}, fmt.Errorf("kind %q is no kind of push", kind)
	}
	p := parcel.Payload{
		Carrier: e.spec.Name, Account: "exam", Kind: kind, Source: parcel.SourceWebhook,
		ContentType: d.Header.Get("Content-Type"), Body: d.Body,
	}
	return c.Decode(c.Redact(p))
}

func (e *exam) forge(t *testing.T, r *rig, good carriers.Delivery, original parcel.Reading) {
	t.Helper()
	refused := func(what string, c carriers.Carrier, d carriers.Delivery) {
		t.Helper()
		guard(t, func() string { return what }, func() {
			_, err := c.(carriers.Verifier).Verify(d)
			if !errors.Is(err, parcel.ErrDenied) && !errors.Is(err, parcel.ErrMalformed) {
				t.Errorf("%s: got %v, want ErrDenied", what, err)
			}
		})
	}
	// The same push to an account with other secrets.
	other := maps.Clone(e.settings)
	for _, s := range e.spec.Settings {
		if s.Secret && other[s.Name] != "" {
			other[s.Name] = wrongSecret(other[s.Name])
		}
	}
	c, err := e.spec.New(carriers.Env{Account: "exam", BaseURL: doorURL, Settings: other, Wall: r.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.(carriers.Verifier).Verify(good); !errors.Is(err, parcel.ErrDenied) {
		t.Errorf("a push signed with another secret: got %v, want ErrDenied", err)
	}
	// An account without any secret must not take everything.
	for _, s := range e.spec.Settings {
		if s.Secret {
			delete(other, s.Name)
		}
	}
	if c, err := e.spec.New(carriers.Env{Account: "exam", BaseURL: doorURL, Settings: other, Wall: r.clock, Log: slog.New(slog.DiscardHandler)}); err == nil {
		refused("an account without secrets", c, good)
		bare := cloneDelivery(good)
		bare.Header = http.Header{}
		refused("an account without secrets, no headers", c, bare)
	}
	refused("nothing at all", r.carrier, carriers.Delivery{Header: http.Header{}})
	refused("no header, no body, nil maps", r.carrier, carriers.Delivery{})
	rubbish := carriers.Delivery{Header: http.Header{"Content-Type": good.Header["Content-Type"]}, Body: []byte("\x00rubbish&=%zz")}
	refused("rubbish", r.carrier, rubbish)

	// Bodies changed on the way: whatever passes must say nothing new.
	known := map[string]bool{}
	for _, o := range original.Observations {
		known[o.Digest()] = true
	}
	// A carrier that signs nothing takes them all; then they can do no more harm
	// than a panic, which fewer of them show, and other variants of samples too.
	step := 1
	if e.config.UnsignedPush {
		step = unsignedStep
	}
	for i := 0; i < len(good.Body); i += step {
		forged := cloneDelivery(good)
		forged.Body[i] = nextCharacter(forged.Body[i])
		guard(t, func() string { return fmt.Sprintf("byte %d changed: %s", i, quoted(forged.Body)) }, func() {
			reading, err := e.take(r.carrier, forged)
			if err != nil || e.config.UnsignedPush {
				return
			}
			for _, o := range reading.Observations {
				if !known[o.Digest()] {
					t.Errorf("byte %d changed to %q: the forged push is taken and says %s %s %s", i, forged.Body[i], o.Number, o.OwnCode, o.Occurred.Wall)
				}
			}
		})
	}
}

// unsignedStep is how far apart the bytes are that are changed in a push that
// nothing signs.
const unsignedStep = 7

// nextCharacter makes another byte of the same sort, so that the forged body
// keeps its syntax.
func nextCharacter(b byte) byte {
	switch {
	case b == '9':
		return '0'
	case b == 'z':
		return 'a'
	case b == 'Z':
		return 'A'
	case b >= '0' && b < '9', b >= 'a' && b < 'z', b >= 'A' && b < 'Z':
		return b + 1
	}
	return b ^ 1
}

func cloneDelivery(d carriers.Delivery) carriers.Delivery {
	return carriers.Delivery{Header: d.Header.Clone(), Query: d.Query, Body: bytes.Clone(d.Body)}
}
