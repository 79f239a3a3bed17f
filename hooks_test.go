package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// pushDoor is a whole server in this process, with accounts of carriers that
// push.
type pushDoor struct {
	*server
	url   string
	store *storage.Store
	fakes map[string]carriers.Fake
}

// openPushDoor serves accounts whose endpoint is "door-" and the carrier.
func openPushDoor(t *testing.T, store *storage.Store, names ...string) *pushDoor {
	t.Helper()
	d := &pushDoor{store: store, fakes: map[string]carriers.Fake{}}
	wall := clock.Wall()
	var accounts []ingest.Account
	for _, name := range names {
		spec, err := carriers.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]string{}
		for _, s := range spec.Settings {
			if settings[s.Name] = s.Default; s.Default == "" {
				settings[s.Name] = "test-" + s.Name
			}
		}
		c, err := spec.New(carriers.Env{Account: "main", Settings: settings, Wall: wall})
		if err != nil {
			t.Fatal(err)
		}
		d.fakes[name] = spec.Fake(carriers.FakeEnv{Settings: settings, Now: wall.Now, Journeys: func(string) (carriers.FakeHistory, bool) { return carriers.FakeHistory{}, false }})
		accounts = append(accounts, ingest.Account{Name: "main", Endpoint: "door-" + name, Spec: spec, Carrier: c})
	}
	s, err := newServer(t.Context(), serverParts{store: store, accounts: accounts, trade: wall, wall: wall, log: slog.New(slog.DiscardHandler), drain: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.server, d.url = s, "http://"+l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return d
}

// push gives what a carrier would send about a parcel of its own.
func (d *pushDoor) push(t *testing.T, carrier, number string) carriers.Delivery {
	t.Helper()
	got, ok := d.fakes[carrier].Push(number, carriers.FakeHistory{Origin: "CN", Destination: "DE", Scans: []carriers.FakeScan{
		{Code: parcel.CodePickedUp, At: clock.Wall().Now().Add(-time.Hour), Place: parcel.Place{Country: "CN", City: "SHENZHEN"}},
	}})
	if !ok {
		t.Fatalf("%s does not push", carrier)
	}
	return got
}

func (d *pushDoor) send(t *testing.T, carrier, endpoint string, p carriers.Delivery, body io.Reader, length int64) int {
	t.Helper()
	at := d.url + "/hooks/" + carrier + "/" + endpoint
	if len(p.Query) > 0 {
		at += "?"
		for k, v := range p.Query {
			at += k + "=" + v[0] + "&"
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = p.Header.Clone()
	if length > 0 {
		req.ContentLength = length
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // no answer
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// kept counts the payloads of a carrier.
func (d *pushDoor) kept(t *testing.T, carrier string) (n int) {
	t.Helper()
	err := d.store.WalkPayloads(t.Context(), storage.PayloadFilter{Carrier: carrier}, func(parcel.Payload) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBadPushes sends everything but a push to the door where pushes come in.
func TestBadPushes(t *testing.T) {
	for _, c := range storagetest.Open(t) {
		t.Run(c.Name, func(t *testing.T) {
			d := openPushDoor(t, c.Store, "cainiao", "ups")
			good := d.push(t, "cainiao", "LP00123456789012")
			if s := d.send(t, "cainiao", "door-cainiao", good, bytes.NewReader(good.Body), 0); s != http.StatusOK || d.kept(t, "cainiao") != 1 {
				t.Fatalf("a true push: status %d, %d kept", s, d.kept(t, "cainiao"))
			}
			if s := d.send(t, "cainiao", "door-cainiao", good, bytes.NewReader(good.Body), 0); s != http.StatusOK || d.kept(t, "cainiao") != 1 {
				t.Errorf("replayed: status %d, %d kept; want it acknowledged and kept once", s, d.kept(t, "cainiao"))
			}
			forged := bytes.Replace(good.Body, []byte("LP00123456789012"), []byte("LP00123456789013"), 1)
			if bytes.Equal(forged, good.Body) {
				forged = append(bytes.Clone(good.Body), ' ')
			}
			d.send(t, "cainiao", "door-cainiao", good, bytes.NewReader(forged), 0)
			for name, body := range map[string][]byte{"cut": good.Body[:len(good.Body)/2], "empty": nil, "not text": {0xff, 0xfe, 0x00, 0x80}, "nested": []byte(strings.Repeat("[", 100_000))} {
				if s := d.send(t, "cainiao", "door-cainiao", good, bytes.NewReader(body), 0); s >= 500 {
					t.Errorf("%s: status %d", name, s)
				}
			}
			if n := d.kept(t, "cainiao"); n != 1 {
				t.Errorf("%d payloads kept of a carrier that sent one", n)
			}
			if s := d.send(t, "cainiao", "door-cainiao", good, bytes.NewReader(make([]byte, 3<<20)), 0); s != http.StatusRequestEntityTooLarge && s != 0 {
				t.Errorf("3 MiB: status %d, want 413", s)
			}
			for _, at := range [][2]string{{"cainiao", "door-ups"}, {"ups", "door-cainiao"}, {"nobody", "door-ups"}} {
				if s := d.send(t, at[0], at[1], good, bytes.NewReader(good.Body), 0); s != http.StatusNotFound {
					t.Errorf("%s/%s: status %d, want 404", at[0], at[1], s)
				}
			}
			// What UPS sends it does not sign: a body of nonsense is kept, answered,
			// and harms nobody.
			ups := d.push(t, "ups", "1Z999AA10123456784")
			for name, body := range map[string][]byte{"mis-encoded": bytes.Replace(ups.Body, []byte("SHENZHEN"), []byte{0xc3, 0x28, 0xff}, -1), "cut": ups.Body[:len(ups.Body)/2]} {
				if s := d.send(t, "ups", "door-ups", ups, bytes.NewReader(body), 0); s < 200 || s >= 500 {
					t.Errorf("ups, %s: status %d", name, s)
				}
			}
			if s := d.send(t, "ups", "door-ups", ups, bytes.NewReader(ups.Body), 0); s != http.StatusOK {
				t.Errorf("ups, after the nonsense: status %d", s)
			}
		})
	}
}

// TestSlowPushesHoldNobody lets one carrier begin deliveries that never end: its
// own further ones are told to come again, another carrier's come in at once,
// and who knows no endpoint cannot even begin.
func TestSlowPushesHoldNobody(t *testing.T) {
	d := openPushDoor(t, storagetest.SQLite(t).Store, "cainiao", "ups")
	begin := func(carrier, endpoint string) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		fmt.Fprintf(conn, "POST /hooks/%s/%s HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", carrier, endpoint)
		return conn
	}
	for range 30 {
		begin("cainiao", "door-cainiao")
		begin("cainiao", "no-such-door")
	}
	good := d.push(t, "cainiao", "LP00123456789012")
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for d.send(t, "cainiao", "door-cainiao", good, bytes.NewReader(good.Body), 0) != http.StatusServiceUnavailable {
		select {
		case <-deadline.C:
			t.Fatal("the flooding carrier is never told to come again")
		default:
		}
	}
	began := clock.Wall().Now()
	ups := d.push(t, "ups", "1Z999AA10123456784")
	if s := d.send(t, "ups", "door-ups", ups, bytes.NewReader(ups.Body), 0); s != http.StatusOK {
		t.Errorf("another carrier's push: status %d", s)
	}
	if took := clock.Since(clock.Wall(), began); took > 5*time.Second {
		t.Errorf("another carrier's push took %s", took)
	}
}
