package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDropsReachTheTimeline goes the whole way of a file: a carrier leaves it in
// a folder, with its semaphore after it, and a shopper's question shows the
// scans; a process that begins anew reads nothing twice.
func TestDropsReachTheTimeline(t *testing.T) {
	const number = "05308801554410"
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inbox, file := filepath.Join(dir, "inbox"), filepath.Join(dir, "milepost.yaml")
			config := `accounts:
  - carrier: dpd-sftp
drops:
  - carrier: dpd-sftp
    folder: inbox
    match: SCANINFO_*
    semaphore: "{name}.SEM"
    every: 5s
    done: move
`
			scans, err := os.ReadFile(filepath.Join("carriers", "dpd-sftp", "testdata", "SCANINFO_BE0000_D20261025T133125_482913"))
			if err != nil {
				t.Fatal(err)
			}
			leave := func(name string, content []byte) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(inbox, name), content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(inbox, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			key := newKey(t, store, "shop")
			gate := start(t, "serve", "--config", file, "--store", store)
			var registered struct {
				RegisterShipments struct{ Results []struct{ Outcome string } }
			}
			ask(t, gate.url, key, `mutation($in: [RegisterShipmentInput!]!) { registerShipments(input: $in) { results { outcome } } }`,
				map[string]any{"in": []any{map[string]any{
					"reference": "D-1", "registeredAt": "2026-10-20T00:00:00Z",
					"parcel": map[string]any{"origin": map[string]any{"country": "BE"}, "destination": map[string]any{"country": "NL"}},
					"legs":   []any{map[string]any{"carrier": "dpd-sftp", "trackingNumber": number}},
				}}}, &registered)
			if r := registered.RegisterShipments.Results; len(r) != 1 || r[0].Outcome != "CREATED" {
				t.Fatalf("registered: %+v", r)
			}
			leave("SCANINFO_1", scans)
			leave("SCANINFO_1.SEM", nil)
			shows := func(codes ...string) {
				t.Helper()
				var got timeline
				eventually(t, "timeline", func() bool {
					got = timeline{}
					ask(t, gate.url, key, timelineQuery, map[string]any{"reference": "D-1"}, &got)
					return got.Shipment != nil && len(got.codes()) == len(codes)
				})
				for i := range codes {
					codes[i] = "dpd-sftp " + codes[i]
				}
				if d := cmp.Diff(codes, got.codes()); d != "" {
					t.Errorf("timeline (-want +got):\n%s", d)
				}
			}
			shows("PICKED_UP", "IMPORT_PREDECLARED", "IN_TRANSIT", "DELIVERY_OFFICE_ARRIVED", "OUT_FOR_DELIVERY", "DELIVERED")
			told := func(files, lines, bad int) {
				t.Helper()
				for metric, want := range map[string]int{"files_total": files, "lines_total": lines, "bad_lines_total": bad, "failures_total": 0} {
					line := fmt.Sprintf(`milepost_drop_%s{drop="dpd-sftp/main"} %d`, metric, want)
					eventually(t, line, func() bool { return strings.Contains(page(t, gate.ops+"/metrics"), line+"\n") })
				}
			}
			told(1, 12, 0)
			if s := page(t, gate.ops+"/stats"); !strings.Contains(s, `"name": "dpd-sftp/main"`) && !strings.Contains(s, `"name":"dpd-sftp/main"`) {
				t.Errorf("/stats tells of no drop: %s", s)
			}
			eventually(t, "moved file", func() bool {
				_, err := os.Stat(filepath.Join(inbox, "done", "SCANINFO_1.SEM"))
				return err == nil
			})
			if code := gate.stop(t, syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d: %s", code, gate.said)
			}
			// The same export again, with one line more and one that is broken.
			columns := strings.Count(strings.SplitN(string(scans), "\n", 2)[0], ";")
			more := number + ";08;0521;20261021190000;0548" + strings.Repeat(";", columns-4) + "\n"
			leave("SCANINFO_1", scans)
			leave("SCANINFO_1.SEM", nil)
			leave("SCANINFO_2", []byte(string(scans)+more+"broken\n"))
			leave("SCANINFO_2.SEM", nil)
			gate = start(t, "serve", "--config", file, "--store", store)
			shows("PICKED_UP", "IMPORT_PREDECLARED", "IN_TRANSIT", "DELIVERY_OFFICE_ARRIVED", "OUT_FOR_DELIVERY", "DELIVERED", "IN_TRANSIT")
			told(1, 13, 1)
			if code := gate.stop(t, syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d: %s", code, gate.said)
			}
		})
	}
}
