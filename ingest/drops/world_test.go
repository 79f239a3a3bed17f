package drops

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/milepost-gateway/milepost/carriers"
	_ "github.com/milepost-gateway/milepost/carriers/dpd-sftp"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// ledger is the store in the words of the write path, as package main wires it.
type ledger struct{ *storage.Store }

func (l ledger) Update(ctx context.Context, do func(context.Context, ingest.Tx) error) error {
	return l.Store.Update(ctx, func(ctx context.Context, tx *storage.Tx) error { return do(ctx, tx) })
}

func (l ledger) ShipmentOfEvent(ctx context.Context, merchantID, eventID string) (string, error) {
	found, err := l.EventShipments(ctx, storage.OfMerchant(merchantID), []string{eventID})
	if err == nil && found[eventID] == "" {
		err = parcel.ErrNotFound
	}
	return found[eventID], err
}

func (l ledger) WalkPayloads(ctx context.Context, carrier string, since time.Time, visit func(parcel.Payload) error) error {
	return l.Store.WalkPayloads(ctx, storage.PayloadFilter{Carrier: carrier, Since: since}, visit)
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a store with the road into it, and a DPD account.
type world struct {
	t        *testing.T
	store    *storage.Store
	ingest   *ingest.Ingest
	wall     *clock.Manual
	spec     carriers.Spec
	carrier  carriers.Carrier
	merchant string
	log      *logged
	// accepted counts payloads that went in, fresh those that were new.
	accepted, fresh atomic.Int64
	// afterAccept, if set, is called when a batch is durable.
	afterAccept func(n int64) error
}

// logged keeps what is logged.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, store *storage.Store) *world {
	t.Helper()
	spec, err := carriers.Lookup("dpd-sftp")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, wall: clock.Fixed(now), spec: spec, merchant: ulid.Make().String(), log: &logged{}}
	if w.carrier, err = spec.New(carriers.Env{Account: "main"}); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateMerchant(t.Context(), storage.Merchant{ID: w.merchant, Name: "shop " + w.merchant, CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	w.ingest, err = ingest.New(ingest.Options{Store: ledger{store}, Trade: clock.Fixed(now), Wall: clock.Wall(),
		Accounts: []ingest.Account{{Name: "main", Spec: spec, Carrier: w.carrier}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.ingest.Close() })
	return w
}

func (w *world) accept(ctx context.Context, payloads ...parcel.Payload) ([]ingest.Receipt, error) {
	receipts, err := w.ingest.Accept(ctx, payloads...)
	for _, r := range receipts {
		w.accepted.Add(1)
		if r.Fresh {
			w.fresh.Add(1)
		}
	}
	if err == nil && w.afterAccept != nil {
		err = w.afterAccept(w.accepted.Load())
	}
	return receipts, err
}

// watch begins to watch a place, as a process does that has just started.
func (w *world) watch(place Place, change ...func(*Source)) *watch {
	w.t.Helper()
	s := Source{Name: "dpd", Account: "main", Spec: w.spec, Carrier: w.carrier, Place: place}
	for _, c := range change {
		c(&s)
	}
	made, err := New(Options{Sources: []Source{s}, Store: w.store, Accept: w.accept, Wall: w.wall, Spool: w.t.TempDir(),
		Log: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.watches[0]
}

// look looks once and expects no trouble.
func (w *world) look(one *watch) (waiting int) {
	w.t.Helper()
	waiting, err := one.look(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return waiting
}

// register makes shipments of these numbers known, and read gives them.
func (w *world) register(numbers ...string) {
	w.t.Helper()
	for _, n := range numbers {
		out, err := w.ingest.Register(w.t.Context(), w.merchant, []parcel.Registration{{Facts: parcel.Facts{
			Reference: n, Origin: parcel.Place{Country: "BE"}, Destination: parcel.Place{Country: "NL"},
			Legs: []parcel.DeclaredLeg{{Carrier: "dpd-sftp", Number: n}}, RegisteredAt: now.AddDate(0, 0, -60),
		}}})
		if err != nil || out[0].Shipment == nil {
			w.t.Fatalf("%v, %+v", err, out)
		}
	}
}

func (w *world) read(number string) *parcel.Shipment {
	w.t.Helper()
	found, err := w.store.ShipmentsByReference(w.t.Context(), storage.OfMerchant(w.merchant), []string{number})
	if err != nil || found[0] == nil {
		w.t.Fatalf("shipment of %s: %v", number, err)
	}
	return found[0].Shipment
}

// expect checks how many scans the timeline of a number shows, and that each is
// told by one witness of the file door.
func (w *world) expect(number string, events int, outcome parcel.Outcome) {
	w.t.Helper()
	j := w.read(number).Journey
	if len(j.Events) != events || j.Outcome != outcome {
		w.t.Errorf("%s: %d events, outcome %q; want %d, %q", number, len(j.Events), j.Outcome, events, outcome)
	}
	for _, e := range j.Events {
		if len(e.Witnesses) != 1 || e.Witnesses[0].Source != parcel.SourceFile {
			w.t.Errorf("%s: event %s has witnesses %+v", number, e.OwnCode, e.Witnesses)
		}
	}
}

const scanHeader = "PARCELNO;SCAN_CODE;DEPOT_CODE;SCAN_DATE_TIME;\n"

// manyScans is a file of n parcels with two scans each.
func manyScans(n int) (file string, numbers []string) {
	var b strings.Builder
	b.WriteString(scanHeader)
	for i := range n {
		number := fmt.Sprintf("0530880155%04d", i)
		numbers = append(numbers, number)
		fmt.Fprintf(&b, "%s;05;0530;20261020191500;\n%s;02;0521;20261021051200;\n", number, number)
	}
	return b.String(), numbers
}

func sampleFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "carriers", "dpd-sftp", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	firstFile  = "SCANINFO_BE0000_D20261025T133125_482913"
	secondFile = "SCANINFO_BE0000_D20261025T140125_482977"
	delivered  = "05308801554410"
	returning  = "05308801554427"
)

// drop writes a file into a folder, with a time of its own.
func drop(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, now, now.Add(time.Duration(len(content))*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// exists tells whether a file is there.
func exists(t testing.TB, elements ...string) bool {
	t.Helper()
	_, err := os.Lstat(filepath.Join(elements...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// server is a true SFTP server on the loopback, over the files of this machine.
type server struct {
	addr     string
	hostKey  ssh.PublicKey
	password string
	client   ssh.Signer // whose key is let in
	// cutAfter, if above zero, is how many bytes a connection carries before it
	// breaks.
	cutAfter atomic.Int64
	conns    atomic.Int64
}

func newSigner(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func serveSFTP(t *testing.T) *server {
	t.Helper()
	host, _ := newSigner(t)
	return serveSFTPAs(t, host)
}

func serveSFTPAs(t *testing.T, host ssh.Signer) *server {
	t.Helper()
	s := &server{hostKey: host.PublicKey(), password: "let-me-in-7"}
	config := &ssh.ServerConfig{
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if c.User() == "dpd" && string(password) == s.password {
				return nil, nil
			}
			return nil, errors.New("no")
		},
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if s.client != nil && string(key.Marshal()) == string(s.client.PublicKey().Marshal()) {
				return nil, nil
			}
			return nil, errors.New("no")
		},
	}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			work.Go(func() { s.serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return s
}

func (s *server) serve(conn net.Conn, config *ssh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	if n := s.cutAfter.Load(); n > 0 {
		conn = &fraying{Conn: conn, left: n}
	}
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "no")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			ok := r.Type == "subsystem" && strings.HasSuffix(string(r.Payload), "sftp")
			_ = r.Reply(ok, nil)
			if ok {
				break
			}
		}
		go ssh.DiscardRequests(requests)
		files, err := sftp.NewServer(channel)
		if err != nil {
			return
		}
		_ = files.Serve()
		_ = channel.Close()
	}
}

// fraying is a line that breaks after so many bytes to the client.
type fraying struct {
	net.Conn
	left int64
}

func (f *fraying) Write(p []byte) (int, error) {
	if f.left -= int64(len(p)); f.left < 0 {
		_ = f.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return f.Conn.Write(p)
}

// options are those with which the server lets us in.
func (s *server) options(dir string) SFTPOptions {
	return SFTPOptions{
		URL:      (&url.URL{Scheme: "sftp", User: url.User("dpd"), Host: s.addr, Path: dir}).String(),
		HostKey:  string(ssh.MarshalAuthorizedKey(s.hostKey)),
		Password: s.password,
	}
}

func (s *server) place(t testing.TB, dir string) Place {
	t.Helper()
	p, err := SFTP(s.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eachPlace runs a test with a folder of this machine and one behind SFTP, and
// on every database where that matters.
func eachPlace(t *testing.T, run func(t *testing.T, w *world, dir string, place Place)) {
	t.Run("local", func(t *testing.T) {
		dir := t.TempDir()
		place, err := Local(dir)
		if err != nil {
			t.Fatal(err)
		}
		run(t, newWorld(t, storagetest.SQLite(t).Store), dir, place)
	})
	t.Run("sftp", func(t *testing.T) {
		dir := t.TempDir()
		run(t, newWorld(t, storagetest.SQLite(t).Store), dir, serveSFTP(t).place(t, dir))
	})
}
