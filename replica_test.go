package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// clientOf is a client that follows the protocol: it reads an event stream, and
// when that ends in any way but an error it comes back, where somebody is, with
// the last cursor it saw.
type clientOf struct {
	key string

	mu      sync.Mutex
	gates   []string // where to ask, in turn
	seen    []string // cursors
	streams int      // that were opened
	faults  []string
}

func (c *clientOf) at(gates ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gates = gates
}

func (c *clientOf) state() (seen []string, streams int, faults []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen), c.streams, slices.Clone(c.faults)
}

// follow reads behind a cursor until ctx ends.
func (c *clientOf) follow(ctx context.Context, after string) {
	wall := clock.Wall()
	for turn := 0; ctx.Err() == nil; turn++ {
		c.mu.Lock()
		gate := c.gates[turn%len(c.gates)]
		c.mu.Unlock()
		after = c.stream(ctx, gate, after)
		_ = wall.Sleep(ctx, 20*time.Millisecond) // the loop asks whether it ended
	}
}

const followedChanges = `subscription($after: String) { milestoneChanged(after: $after) { cursor } }`

// stream reads one stream to its end, and returns the last cursor.
func (c *clientOf) stream(ctx context.Context, gate, after string) string {
	body, err := json.Marshal(map[string]any{"query": followedChanges, "variables": map[string]any{"after": after}})
	if err != nil {
		panic(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gate+"/graphql", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return after // nobody is there
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode != http.StatusServiceUnavailable {
			c.fault(resp.Status)
		}
		return after
	}
	c.mu.Lock()
	c.streams++
	c.mu.Unlock()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		var m struct {
			Data struct {
				MilestoneChanged struct{ Cursor string }
			}
			Errors []struct {
				Message    string
				Extensions struct{ Code string }
			}
		}
		// What was torn by a kill is no message.
		if json.Unmarshal([]byte(data), &m) != nil {
			break
		}
		if len(m.Errors) > 0 {
			if m.Errors[0].Extensions.Code != "UNAVAILABLE" { // of a database that is away
				c.fault(data)
			}
			break
		}
		after = m.Data.MilestoneChanged.Cursor
		c.mu.Lock()
		c.seen = append(c.seen, after)
		c.mu.Unlock()
	}
	return after
}

func (c *clientOf) fault(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, text)
}

// writersAt register shipments from several sides at once, at whichever gate
// takes them, until stop is called.
func writersAt(t *testing.T, key string, gates func() []string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for side := range 3 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				at := gates()
				var got any
				// An answer that is missing promised nothing; the log tells what is true.
				_ = tryAsk(ctx, at[i%len(at)], key, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { outcome } } }`,
					map[string]any{"in": []any{map[string]any{
						"reference": fmt.Sprintf("R-%d-%d", side, i),
						"parcel":    map[string]any{"origin": map[string]any{"country": "US"}, "destination": map[string]any{"country": "US"}},
						"legs":      []any{map[string]any{"carrier": "ups", "trackingNumber": fmt.Sprintf("1Z%06d03%08d", side, i)}},
					}}}, &got)
				_ = clock.Wall().Sleep(ctx, 5*time.Millisecond)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// wantAll: the client has seen the whole log behind a cursor, each row once and
// in order, and nobody told it of a fault.
func (c *clientOf) wantAll(t *testing.T, store, after string) {
	t.Helper()
	var want []string
	for line := range strings.Lines(exportedAll(t, "--store", store, "--after", after)) {
		var row exportedChange
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		switch row.Kind {
		case "MILESTONE", "OUTCOME", "TRACKING_NUMBER", "RETRACTION":
			want = append(want, row.Cursor)
		}
	}
	eventually(t, "the client has seen the log's last row", func() bool {
		seen, _, _ := c.state()
		return len(seen) >= len(want)
	})
	seen, streams, faults := c.state()
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("the client has not seen the log, each row once (-log +seen):\n%s", diff)
	}
	if len(faults) > 0 {
		t.Errorf("the client was told of faults: %v", faults)
	}
	t.Logf("%d rows over %d streams", len(seen), streams)
}

func headOf(t *testing.T, at, key string) string {
	t.Helper()
	var head struct{ Changes struct{ Head string } }
	ask(t, at, key, `{ changes(first: 0) { head } }`, nil, &head)
	return head.Changes.Head
}

// TestReplicas: two gateways on one PostgreSQL. What is written at one reaches a
// client of the other; one is killed and another drained while the client
// reads, and it comes back elsewhere and misses nothing.
func TestReplicas(t *testing.T) {
	store, ok := storagetest.Database(t)
	if !ok {
		t.Skip("no PostgreSQL answers")
	}
	key := newKey(t, store, "shop")
	serve := func() *running { return start(t, "serve", "--store", store, "--no-poll", "--log-level", "error") }
	first, second := serve(), serve()
	head := headOf(t, first.url, key)
	client := &clientOf{key: key}
	client.at(second.url)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		client.follow(ctx, head)
	}()
	defer func() {
		leave()
		<-left
	}()
	var mu sync.Mutex
	writable := []string{first.url}
	stop := writersAt(t, key, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(writable)
	})
	more := func(what string) {
		t.Helper()
		before, _, _ := client.state()
		eventually(t, what, func() bool {
			seen, _, _ := client.state()
			return len(seen) >= len(before)+20
		})
	}
	more("what is written at one reaches the client of the other")

	client.at(second.url, first.url)
	if err := second.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-second.ended
	more("after a kill the client goes on elsewhere")

	third := serve()
	mu.Lock()
	writable = []string{first.url, third.url}
	mu.Unlock()
	client.at(first.url, third.url)
	if code := first.stop(t, syscall.SIGTERM); code != exitOK {
		t.Errorf("the drain ended with exit code %d: %s", code, first.said)
	}
	more("after a drain the client goes on elsewhere")
	stop()
	client.wantAll(t, store, head)
	if code := third.stop(t, syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d: %s", code, third.said)
	}
}

// cluster is a PostgreSQL of the test's own.
type cluster struct {
	t    *testing.T
	dir  string
	port int
	as   *syscall.SysProcAttr
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	for _, tool := range []string{"initdb", "pg_ctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s in the path: a PostgreSQL of the test's own cannot be made", tool)
		}
	}
	dir, err := os.MkdirTemp("", "milepost-cluster-*") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cluster{t: t, dir: dir}
	if os.Getuid() == 0 {
		// PostgreSQL does not run as root.
		who, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("the test runs as root and there is no user postgres")
		}
		uid, _ := strconv.Atoi(who.Uid)
		gid, _ := strconv.Atoi(who.Gid)
		c.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	c.run("initdb", "--pgdata", filepath.Join(dir, "data"), "--username", "postgres", "--auth", "trust", "--no-sync")
	c.start()
	t.Cleanup(c.kill)
	return c
}

func (c *cluster) run(name string, args ...string) {
	c.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = c.dir, c.as
	// Not a pipe: the server would hold it open.
	out, err := os.CreateTemp(c.t.TempDir(), "said")
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		c.t.Fatalf("%s: %v: %s", name, err, said)
	}
}

func (c *cluster) start() {
	c.t.Helper()
	c.run("pg_ctl", "start", "--wait", "--pgdata", filepath.Join(c.dir, "data"), "--log", filepath.Join(c.dir, "log"), "--options",
		fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%d -c unix_socket_directories=%s", c.port, c.dir))
}

// kill ends every process of the server at once, as a power cut does.
func (c *cluster) kill() {
	c.t.Helper()
	if _, err := os.Stat(filepath.Join(c.dir, "data", "postmaster.pid")); err != nil {
		return // it does not run
	}
	c.run("pg_ctl", "stop", "--mode", "immediate", "--wait", "--pgdata", filepath.Join(c.dir, "data"))
}

// TestDatabaseKilled ends PostgreSQL under a gateway with writers and a reader,
// and starts it again: the gateway comes back by itself, and the reader misses
// nothing.
func TestDatabaseKilled(t *testing.T) {
	c := newCluster(t)
	store := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", c.port)
	key := newKey(t, store, "shop")
	gate := start(t, "serve", "--store", store, "--no-poll", "--log-level", "error")
	head := headOf(t, gate.url, key)
	client := &clientOf{key: key}
	client.at(gate.url)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		client.follow(ctx, head)
	}()
	defer func() {
		leave()
		<-left
	}()
	stop := writersAt(t, key, func() []string { return []string{gate.url} })
	for round := range 3 {
		before, _, _ := client.state()
		eventually(t, "rows", func() bool {
			seen, _, _ := client.state()
			return len(seen) >= len(before)+20
		})
		if round < 2 {
			c.kill()
			c.start()
		}
	}
	stop()
	client.wantAll(t, store, head)
	if code := gate.stop(t, syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d: %s", code, gate.said)
	}
}
