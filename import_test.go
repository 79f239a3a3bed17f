package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// scmsFile finds the data set of the example mapping: 10,324 real lines that
// nobody on this project wrote, and that are not part of the repository.
func scmsFile(t *testing.T) string {
	t.Helper()
	const (
		name = "SCMS_Delivery_History_Dataset.csv"
		want = "13f6fd7f7bcdef846765af1105742b972f5ddeaff97381d063be6307a7978c31"
	)
	path := os.Getenv("MILEPOST_SCMS")
	for _, beside := range []string{filepath.Join("..", "shared", "data", name), filepath.Join("..", name), name} {
		if path == "" {
			if _, err := os.Stat(beside); err == nil {
				path = beside
			}
		}
	}
	if path == "" {
		t.Skipf("the SCMS data set is neither named by MILEPOST_SCMS nor beside the project (../shared/data/%s)", name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("MILEPOST_SCMS: %v", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
		// Copies that a spreadsheet has saved again have other dates.
		t.Fatalf("%s is not the published file: SHA-256 %x, want %s", path, sum, want)
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

const scmsMapping = "examples/import/scms.yaml"

// punctual counts shipments and those delivered by the day first promised.
type punctual struct{ N, OnTime int }

// scmsAnswers counts what the database holds, as the data set's own numbers
// are counted.
func scmsAnswers(t *testing.T, url string) (all punctual, byMode, byOffice map[string]punctual, first punctual) {
	t.Helper()
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := s.MerchantByName(t.Context(), "scms")
	if err != nil {
		t.Fatal(err)
	}
	byMode, byOffice = map[string]punctual{}, map[string]punctual{}
	order := storage.ShipmentOrder{Field: storage.ByRegisteredAt}
	page := storage.Page{First: 1000}
	for {
		got, err := s.ListShipments(t.Context(), storage.OfMerchant(m.ID), storage.ShipmentFilter{}, order, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range got.Items {
			sh := l.Shipment
			j := &sh.Journey
			if j.Outcome != parcel.OutcomeDelivered || len(j.Events) != 1 {
				t.Fatalf("%s: outcome %q with %d events, want DELIVERED with one", sh.Reference, j.Outcome, len(j.Events))
			}
			e := &j.Events[j.OutcomeEvent]
			if !e.Occurred.DateOnly() {
				t.Fatalf("%s: delivered at %q: a day must stay one", sh.Reference, e.Occurred.Wall)
			}
			promise, ok := sh.FirstPromise()
			if !ok {
				t.Fatalf("%s: no promise", sh.Reference)
			}
			add := func(to *punctual) {
				to.N++
				if e.Occurred.Day() <= promise.By {
					to.OnTime++
				}
			}
			add(&all)
			mode, office := byMode[sh.Legs[0].ServiceLevel], byOffice[sh.Tags[0]]
			add(&mode)
			add(&office)
			byMode[sh.Legs[0].ServiceLevel], byOffice[sh.Tags[0]] = mode, office
			if len(sh.Tags) > 1 && sh.Tags[1] == "first-line" {
				add(&first)
			}
		}
		if !got.HasNext {
			return all, byMode, byOffice, first
		}
		k := storage.KeyOf(order, got.Items[len(got.Items)-1].Shipment)
		page.After = &k
	}
}

// TestImportSCMS takes in the whole data set and gives its published numbers
// back. A second run changes nothing.
func TestImportSCMS(t *testing.T) {
	file := scmsFile(t)
	url := "sqlite:" + filepath.Join(t.TempDir(), "scms.db")
	args := []string{"import", file, "--map", scmsMapping, "--merchant", "scms", "--store", url}
	began := clock.Wall().Now()
	out, errs, code := said(t, args...)
	t.Logf("%s(%s in all)", out, clock.Since(clock.Wall(), began).Round(time.Millisecond))
	if code != exitOK || strings.Contains(errs, "line ") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if !strings.Contains(out, "10324 lines taken (10324 new, 0 changed, 0 known before) with 10324 events, 0 refused, 0 warnings") {
		t.Errorf("said %q", out)
	}
	all, byMode, byOffice, first := scmsAnswers(t, url)
	if diff := cmp.Diff(punctual{10324, 9138}, all); diff != "" {
		t.Errorf("all lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]punctual{
		"Air": {6113, 5526}, "Truck": {2830, 2375}, "Air Charter": {650, 575}, "Ocean": {371, 306}, "": {360, 356},
	}, byMode); diff != "" {
		t.Errorf("by mode (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]punctual{"from-rdc": {5404, 4477}, "direct-drop": {4920, 4661}}, byOffice); diff != "" {
		t.Errorf("by office (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(punctual{7030, 6226}, first); diff != "" {
		t.Errorf("first lines (-want +got):\n%s", diff)
	}

	head := logHead(t, url)
	for _, again := range [][]string{args, append(args, "--again")} {
		if out, errs, code := said(t, again...); code != exitOK {
			t.Errorf("again: exit code %d: %s%s", code, out, errs)
		}
	}
	if now := logHead(t, url); now != head {
		t.Errorf("the log went from %d to %d on a second run, want no change", head, now)
	}
}

func logHead(t *testing.T, url string) int64 {
	t.Helper()
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, head, err := s.LogBounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// TestImportKilled kills imports of the data set in their middle, again and
// again, until one comes through: then all lines are there, each once, and
// none by half.
func TestImportKilled(t *testing.T) {
	file := scmsFile(t)
	url := "sqlite:" + filepath.Join(t.TempDir(), "scms.db")
	wall := clock.Wall()
	for kills := 0; ; kills++ {
		if kills > 50 {
			t.Fatal("50 imports were killed and none came through")
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program(t), "import", file, "--map", scmsMapping, "--merchant", "scms", "--store", url)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := importedLines(t, url)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		// Some lines further on, in the middle of a batch, it is killed.
		for alive := true; alive; {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("%v: %s", err, out.String())
				}
				all, _, _, _ := scmsAnswers(t, url)
				if diff := cmp.Diff(punctual{10324, 9138}, all); diff != "" {
					t.Errorf("after %d kills (-want +got):\n%s", kills, diff)
				}
				if kills == 0 {
					t.Error("the import was never killed")
				}
				t.Logf("%d imports were killed; the last said: %s", kills, out.String())
				return
			case <-wall.After(20 * time.Millisecond):
				if importedLines(t, url) > before+1500 {
					_ = cmd.Process.Kill() // it may just have ended
					<-ended
					alive = false
				}
			}
		}
	}
}

// importedLines is how many lines of the data set are in the database.
func importedLines(t *testing.T, url string) int {
	t.Helper()
	if _, err := os.Stat(strings.TrimPrefix(url, "sqlite:")); err != nil {
		return 0
	}
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := s.MerchantByName(t.Context(), "scms")
	if err != nil {
		return 0 // not made yet
	}
	n, _, err := s.CountShipments(t.Context(), storage.OfMerchant(m.ID), storage.ShipmentFilter{}, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// program is this test's binary, which is milepost when it is called so.
func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("milepost")
	if err != nil {
		t.Fatalf("TestMain puts the program into the path: %v", err)
	}
	return path
}

// TestExampleMappings holds the examples to what they say of themselves.
func TestExampleMappings(t *testing.T) {
	files, err := filepath.Glob("examples/import/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, f := range files {
		if m, err := readMapping(f); err != nil || len(m.Fields) == 0 {
			t.Errorf("%s: %d fields, %v", f, len(m.Fields), err)
		}
	}
}

func TestMappingFileMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":          {"", "the mapping has no fields"},
		"no YAML":        {"a: [\n", "[1:4]"},
		"unknown key":    {"feilds: {}\n", `[1:1] unknown field "feilds"`},
		"unknown in one": {"fields:\n  reference: {colum: x}\n", `[2:15] unknown field "colum"`},
		"unknown in all": {"fields:\n  tags:\n    - {column: a}\n    - {vals: {}}\n", `unknown field "vals"`},
		"a list":         {"fields: [a]\n", "[1:9]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseMapping([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
	if _, err := parseMapping([]byte("fields: {reference: a, destination: {column: b}, tags: [c, {column: d, split: ','}]}\n")); err != nil {
		t.Error(fmt.Errorf("a good one: %w", err))
	}
}

// TestImportOnEachStore imports more lines than one batch holds, all of them
// or none, and tries out what it would do, on each kind of database.
func TestImportOnEachStore(t *testing.T) {
	const lines = 2300
	var good strings.Builder
	good.WriteString("reference,destination,carrier,tracking_number\n")
	for i := range lines {
		fmt.Fprintf(&good, "A-%d,RU,upu-postal,RX%08d5CN\n", i, i)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	goodFile, badFile := write("good.csv", good.String()), write("bad.csv", good.String()+"A-last,Atlantis,,\n")
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			held := func() (n int) {
				t.Helper()
				s := storagetest.Again(t, store, storage.Options{})
				m, err := s.MerchantByName(t.Context(), "shop")
				if err != nil {
					return 0
				}
				if n, _, err = s.CountShipments(t.Context(), storage.OfMerchant(m.ID), storage.ShipmentFilter{}, 10_000); err != nil {
					t.Fatal(err)
				}
				return n
			}
			faults := filepath.Join(t.TempDir(), "faults.csv")
			for _, step := range []struct {
				what string
				args []string
				code int
				says string
				held int
			}{
				{"a dry run", []string{badFile, "--dry-run"}, exitFault, "2300 lines would be taken (2300 new", 0},
				{"all or nothing, with a bad line", []string{badFile, "--all-or-nothing", "--errors", faults}, exitFault, "nothing was taken: 2300 lines were good, 1 were not", 0},
				{"all or nothing", []string{goodFile, "--all-or-nothing"}, exitOK, "2300 lines taken (2300 new", lines},
				{"all or nothing, again", []string{goodFile, "--all-or-nothing"}, exitOK, "2300 lines taken (0 new, 0 changed, 2300 known before)", lines},
				{"again", []string{goodFile}, exitOK, "nothing to do: its ", lines},
				{"a dry run of what is there", []string{goodFile, "--dry-run"}, exitOK, "2300 lines would be taken (0 new, 0 changed, 2300 known before)", lines},
			} {
				out, errs, code := said(t, append([]string{"import", "--merchant", "shop", "--store", store, "--log-level", "error"}, step.args...)...)
				if code != step.code || !strings.Contains(out, step.says) {
					t.Errorf("%s: exit code %d, want %d; said %s%s", step.what, code, step.code, out, errs)
				}
				if n := held(); n != step.held {
					t.Errorf("%s: %d shipments are there, want %d", step.what, n, step.held)
				}
			}
			told, err := os.ReadFile(faults)
			if err != nil || !strings.Contains(string(told), "2302,error,destination,destination,Atlantis,") || strings.Count(string(told), "line,kind") != 1 {
				t.Errorf("the file of faults holds %.200s: %v", told, err)
			}
		})
	}
}
