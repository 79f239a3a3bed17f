package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/milepost-gateway/milepost/internal/clock"
)

const demoKey = "mp_demo0000000000"

// shipmentPage is one page of the demo's shipments.
type shipmentPage struct {
	Shipments struct {
		Nodes []struct {
			Reference, Milestone string
			Handovers            []struct{ To *struct{ Stage string } }
		}
		PageInfo struct {
			HasNextPage bool
			EndCursor   *string
		}
	}
}

// TestDemo holds the demo to its promises: it begins within seconds with a
// past at all stages, it moves while one watches, and it ends cleanly.
func TestDemo(t *testing.T) {
	wall := clock.Wall()
	began := wall.Now()
	gate := start(t, "demo", "--key", demoKey)
	t.Logf("ready after %s", wall.Now().Sub(began).Round(time.Millisecond))
	if said := gate.said.String(); !strings.HasPrefix(said, "milepost: making 300 shipments") {
		t.Errorf("nobody was told to wait: %.200s", said)
	}

	all, handed, milestones := 0, 0, map[string]int{}
	var after *string
	for {
		var p shipmentPage
		ask(t, gate.url, demoKey, `query($after: String) { shipments(first: 50, after: $after) {
			nodes { reference milestone handovers(first: 1) { to { stage } } } pageInfo { hasNextPage endCursor } } }`, map[string]any{"after": after}, &p)
		for _, n := range p.Shipments.Nodes {
			all++
			milestones[n.Milestone]++
			if slices.ContainsFunc(n.Handovers, func(h struct{ To *struct{ Stage string } }) bool { return h.To != nil }) {
				handed++
			}
		}
		if !p.Shipments.PageInfo.HasNextPage {
			break
		}
		after = p.Shipments.PageInfo.EndCursor
	}
	t.Logf("%d shipments, %d past a handover, by milestone %v", all, handed, milestones)
	if all < 100 || handed < 50 {
		t.Errorf("%d shipments, %d of them past a handover; at least 100 and 50 were promised", all, handed)
	}
	for _, m := range []string{"REGISTERED", "PICKED_UP", "ORIGIN_DEPARTED", "DESTINATION_ARRIVED", "CUSTOMS_CLEARED", "LAST_MILE", "DELIVERED"} {
		if milestones[m] == 0 {
			t.Errorf("no shipment stands at %s", m)
		}
	}

	// It moves: what it prints to be pasted is pasted.
	const seconds = 5
	n := follow(t, gate.url, seconds*time.Second)
	t.Logf("%d milestones in %d seconds", n, seconds)
	if n < 2*seconds {
		t.Errorf("%d milestones in %d seconds; somebody who watches would be bored", n, seconds)
	}
	if code := gate.stop(t, os.Interrupt); code != exitOK {
		t.Errorf("exit code %d after Ctrl-C, want 0: %s", code, gate.said)
	}
	for _, said := range []string{gate.url + "/graphql", demoKey, "curl -s", "subscription {"} {
		if !strings.Contains(gate.said.String(), said) {
			t.Errorf("it did not print %q", said)
		}
	}
}

// follow counts the events of the demo's own subscription for a while.
func follow(t *testing.T, at string, long time.Duration) (events int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/graphql", strings.NewReader(fmt.Sprintf(`{"query":%q}`, demoSubscription)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+demoKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"milestoneChanged"`) {
			events++
		}
	}
	return events
}

// TestDemoEndsByItself runs it in this process, so that a goroutine that it
// left behind would be seen.
func TestDemoEndsByItself(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := filepath.Join(t.TempDir(), "kept")
	args := []string{"demo", "--for", "3s", "--shipments", "20", "--dir", dir, "--listen", "127.0.0.1:0", "--ops-listen", "-"}
	var out, errs bytes.Buffer
	con := &console{in: strings.NewReader(""), out: &out, err: &errs, wall: clock.Wall()}
	if code := run(t.Context(), args, con); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if at, err := os.Stat(filepath.Join(dir, "demo.db")); err != nil || at.Size() == 0 {
		t.Errorf("the database was not kept: %v", err)
	}
	// A second demo would find parcels from its future.
	errs.Reset()
	if code := run(t.Context(), args, con); code != exitUsage || !strings.Contains(errs.String(), "is there already") {
		t.Errorf("a second time: exit code %d: %s", code, errs.String())
	}
}

func TestDemoMistakes(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"key":       {[]string{"--key", "secret"}, "--key"},
		"speed":     {[]string{"--speed", "2000000"}, "--speed"},
		"shipments": {[]string{"--shipments", "0"}, "--shipments"},
		"listen":    {[]string{"--listen", "127.0.0.1"}, "--listen"},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := said(t, append([]string{"demo", "--listen", "127.0.0.1:0", "--ops-listen", "-", "--for", "1s"}, tt.args...)...)
			if code == exitOK || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit code %d, %q, %q; want one line with %s", code, out, errs, tt.want)
			}
		})
	}
}
