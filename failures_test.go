package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

// The list of what goes wrong with parcel tracking, and its length.
const (
	failuresDoc = "docs/failures.md"
	failures    = 44
)

// TestFailuresListed holds the list of failures to the tests and test numbers
// that it names: each exists, each line has some, and every scenario is listed
// at the lines that it shows.
func TestFailuresListed(t *testing.T) {
	data, err := os.ReadFile(failuresDoc)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := checkFailures(string(data), sim.Scenarios(), newTestIndex(os.DirFS(".")))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("%s: %s", failuresDoc, f)
	}
}

// TestFailuresListedFinds shows the check lists with something wrong in them.
func TestFailuresListedFinds(t *testing.T) {
	tests := fstest.MapFS{
		"x/x_test.go": {Data: []byte("package x\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Run(\"01_one\", func(*testing.T) {}) }")},
		"m_test.go":   {Data: []byte("package main\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) {}")},
	}
	scenarios := []sim.Scenario{{Name: "SIM-A-01", Failures: []int{1}}}
	whole := func(first string) string {
		var b strings.Builder
		b.WriteString(first + "\n")
		for n := 2; n <= failures; n++ {
			fmt.Fprintf(&b, "| %d | wrong | `milepost.TestB` |\n", n)
		}
		return b.String()
	}
	for name, tt := range map[string]struct{ list, want string }{
		"in order":          {whole("| 1 | wrong | `x.TestA/01_one`, `SIM-A-01` |"), ""},
		"no such test":      {whole("| 1 | wrong | `x.TestZ`, `SIM-A-01` |"), "line 1: there is no test x.TestZ"},
		"no such subtest":   {whole("| 1 | wrong | `x.TestA/02_two`, `SIM-A-01` |"), "line 1: x.TestA has no case 02_two"},
		"no such folder":    {whole("| 1 | wrong | `y.TestA`, `SIM-A-01` |"), "line 1: there is no test y.TestA"},
		"no such number":    {whole("| 1 | wrong | `x.TestA`, `SIM-A-01`, `SIM-B-01` |"), "line 1: SIM-B-01 does not show it"},
		"a number left out": {whole("| 1 | wrong | `x.TestA` |"), "line 1: SIM-A-01 shows it and is not listed"},
		"nothing":           {whole("| 1 | wrong | nobody |"), "line 1: no test"},
		"not yet":           {whole("| 1 | wrong | not yet: because. `SIM-A-01` |"), ""},
		"a line missing":    {whole(""), "line 1 is missing"},
		"a line twice":      {whole("| 1 | wrong | `x.TestA`, `SIM-A-01` |\n| 1 | wrong | `x.TestA`, `SIM-A-01` |"), "line 1 stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := checkFailures(tt.list, scenarios, newTestIndex(tests))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(got, tt.want) && tt.want != "" || tt.want == "" && len(got) > 0 {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// A row of the list is "| 12 | what goes wrong | what holds against it |", in
// which what is in backquotes with a dot before Test is a test, folder first,
// and what begins with SIM- a test number.
var (
	failureRow = regexp.MustCompile(`^\| (\d+) \| (.*) \| (.*) \|$`)
	namedTest  = regexp.MustCompile("`([a-z0-9/-]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([^`]+))?`")
	namedSIM   = regexp.MustCompile("`(SIM-[A-Z0-9-]+)`")
)

func checkFailures(list string, scenarios []sim.Scenario, tests *testIndex) (faults []string, err error) {
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	seen := map[int]bool{}
	for row := range strings.Lines(list) {
		m := failureRow.FindStringSubmatch(strings.TrimSpace(row))
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n < 1 || n > failures {
			wrong("line %s is none of 1 to %d", m[1], failures)
			continue
		}
		if seen[n] {
			wrong("line %d stands twice", n)
		}
		seen[n] = true
		held := strings.Contains(m[3], "not yet: ")
		for _, ref := range namedTest.FindAllStringSubmatch(m[3], -1) {
			held = true
			folder, test, sub := ref[1], ref[2], ref[3]
			names, ok, err := tests.find(folder, test)
			switch {
			case err != nil:
				return nil, err
			case !ok:
				wrong("line %d: there is no test %s.%s", n, folder, test)
			case sub != "" && !names[sub]:
				wrong("line %d: %s.%s has no case %s", n, folder, test, sub)
			}
		}
		if !held {
			wrong("line %d: no test", n)
		}
		listed := map[string]bool{}
		for _, ref := range namedSIM.FindAllStringSubmatch(m[3], -1) {
			listed[ref[1]] = true
		}
		for _, s := range scenarios {
			if slices.Contains(s.Failures, n) && !listed[s.Name] {
				wrong("line %d: %s shows it and is not listed", n, s.Name)
			} else if slices.Contains(s.Failures, n) {
				delete(listed, s.Name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(listed)) {
			wrong("line %d: %s does not show it", n, name)
		}
	}
	for n := 1; n <= failures; n++ {
		if !seen[n] {
			wrong("line %d is missing", n)
		}
	}
	return faults, nil
}

// testIndex knows the tests of a tree, each with the texts that stand in it:
// the names of its cases among them.
type testIndex struct {
	tree    fs.FS
	folders map[string]map[string]map[string]bool
}

func newTestIndex(tree fs.FS) *testIndex {
	return &testIndex{tree, map[string]map[string]map[string]bool{}}
}

// find gives the texts in a test; the folder of package main is "milepost".
func (x *testIndex) find(folder, test string) (texts map[string]bool, ok bool, err error) {
	if folder == "milepost" {
		folder = "."
	}
	if _, read := x.folders[folder]; !read {
		if x.folders[folder], err = x.read(folder); err != nil {
			return nil, false, err
		}
	}
	texts, ok = x.folders[folder][test]
	return texts, ok, nil
}

func (x *testIndex) read(folder string) (map[string]map[string]bool, error) {
	out := map[string]map[string]bool{}
	files, err := fs.ReadDir(x.tree, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil // a folder that is not there has no tests
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		data, err := fs.ReadFile(x.tree, path.Join(folder, f.Name()))
		if err != nil {
			return nil, err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), f.Name(), data, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range syntax.Decls {
			fn, is := d.(*ast.FuncDecl)
			if !is || fn.Recv != nil {
				continue
			}
			texts := map[string]bool{}
			ast.Inspect(fn, func(n ast.Node) bool {
				if lit, is := n.(*ast.BasicLit); is && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						texts[text] = true
					}
				}
				return true
			})
			out[fn.Name.Name] = texts
		}
	}
	return out, nil
}

// seenScenario is what the gateway shows of a scenario.
type seenScenario struct {
	Milestone parcel.Milestone
	Health    parcel.Health
	Open      []parcel.ExceptionKind
}

// everyList asks for every list and derived value of a parcel, be they empty.
const everyList = `nodes {
	reference milestone outcome health headline(locale: "ru") { value } statusIn(vocabulary: AFTERSHIP)
	exceptions(open: true, first: 10) { nodes { kind } }
	latestEvent { code } currentLeg { stage } custody { state sinceAt hours } milestones { milestone state reachedAt }
	timeline(first: 20) { nodes { code } count { value } } legs { stage state events(first: 3) { nodes { code } } }
	handovers { gapHours } visibility { longestGapHours darkShare completeness lastHeardAt } because { rule }
	freshness { state asOf } promise { first { by } } changes(first: 3) { nodes { cursor } }
}`

// TestTestNumbers asks a running demo for each public test number, and finds
// what the docs say; then it does with some of them what a partner would.
func TestTestNumbers(t *testing.T) {
	gate := start(t, "demo", "--key", demoKey, "--shipments", "20", "--speed", "30")
	look := func() map[string]seenScenario {
		out := map[string]seenScenario{}
		for after := ""; ; {
			var p struct {
				Shipments struct {
					Nodes []struct {
						Reference  string
						Milestone  parcel.Milestone
						Health     parcel.Health
						Exceptions struct {
							Nodes []struct{ Kind parcel.ExceptionKind }
						}
					}
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
			ask(t, gate.url, demoKey, `{ shipments(first: 8, filter: { tags: ["scenario"] }`+after+`) { `+everyList+` pageInfo { hasNextPage endCursor } } }`, nil, &p)
			for _, n := range p.Shipments.Nodes {
				s := seenScenario{Milestone: n.Milestone, Health: n.Health}
				for _, x := range n.Exceptions.Nodes {
					s.Open = append(s.Open, x.Kind)
				}
				out[n.Reference] = s
			}
			if !p.Shipments.PageInfo.HasNextPage {
				return out
			}
			after = fmt.Sprintf(", after: %q", p.Shipments.PageInfo.EndCursor)
		}
	}
	want := map[string]seenScenario{}
	for _, s := range sim.Scenarios() {
		want[s.Name] = seenScenario{s.Outlook.Milestone, s.Outlook.Health, s.Outlook.Open}
	}
	// Carriers in trouble are heard within minutes of trade time; the first of
	// the stories goes on after more than an hour.
	var diff string
	wall := clock.Wall()
	for limit := wall.Now().Add(90 * time.Second); ; {
		if diff = gocmp.Diff(want, look()); diff == "" || wall.Now().After(limit) {
			break
		}
		if wall.Sleep(t.Context(), 500*time.Millisecond) != nil {
			t.Fatal(t.Context().Err())
		}
	}
	if diff != "" {
		t.Errorf("scenarios in the demo (-docs +seen):\n%s", diff)
	}

	t.Run("21_the_lag_is_told", func(t *testing.T) { lagIsTold(t, gate) })
	t.Run("37_what_needs_somebody_is_a_list", func(t *testing.T) { troublesAreListed(t, gate) })
	t.Run("38_one_vocabulary_over_all_carriers", func(t *testing.T) { oneVocabulary(t, gate) })
	t.Run("39_who_has_it_is_part_of_the_proof", func(t *testing.T) { proofOfDelivery(t, gate) })
	t.Run("44_the_shopper_sees_who_has_the_parcel", func(t *testing.T) { localCarrier(t, gate) })
	t.Run("42_a_partner_steps_a_test_number", func(t *testing.T) { stepping(t, gate) })
	if code := gate.stop(t, os.Interrupt); code != exitOK {
		t.Errorf("exit code %d after Ctrl-C: %s", code, gate.said)
	}
}

func lagIsTold(t *testing.T, gate *running) {
	var got struct {
		Shipment struct {
			Timeline struct {
				Nodes []struct {
					OccurredAt, ReceivedAt time.Time
					LagSeconds             *int
				}
			}
		}
	}
	ask(t, gate.url, demoKey, `{ shipment(reference: "SIM-PUSH-LATE-US-01") { timeline(first: 10) { nodes { occurredAt receivedAt lagSeconds } } } }`, nil, &got)
	told := 0
	for _, e := range got.Shipment.Timeline.Nodes {
		if e.LagSeconds == nil {
			continue
		}
		told++
		if lag := e.ReceivedAt.Sub(e.OccurredAt).Seconds(); lag < 1 || int(lag) != *e.LagSeconds {
			t.Errorf("an event of %v came at %v: lag of %v s, told %d", e.OccurredAt, e.ReceivedAt, lag, *e.LagSeconds)
		}
	}
	if told == 0 {
		t.Error("no event tells its lag")
	}
}

// troublesAreListed asks the list of a support desk: of the kinds of exception,
// and of those that have not moved for some time.
func troublesAreListed(t *testing.T, gate *running) {
	for filter, want := range map[string]struct{ in, out []string }{
		`openExceptions: [ACTION_REQUIRED]`:    {[]string{"SIM-DUTY-DUE-BR-01", "SIM-DOCUMENTS-RU-01", "SIM-ADDRESS-PROBLEM-US-01"}, []string{"SIM-CUSTOMS-HOLD-RU-01", "SIM-STALLED-DE-01"}},
		`openExceptions: [ATTEMPT_FAILED]`:     {[]string{"SIM-NOBODY-HOME-BR-01"}, []string{"SIM-DUTY-DUE-BR-01"}},
		`open: true, silentHoursAtLeast: 480`:  {[]string{"SIM-STALLED-DE-01", "SIM-SEEN-AGAIN-DE-01", "SIM-LOST-RU-01"}, []string{"SIM-CUSTOMS-HOLD-RU-01", "SIM-SILENT-BORDER-BR-01"}},
		`open: true, silentHoursAtLeast: 150`:  {[]string{"SIM-STALLED-DE-01", "SIM-SILENT-BORDER-BR-01"}, []string{"SIM-CUSTOMS-HOLD-RU-01", "SIM-LATE-SCAN-RU-01"}},
		`openExceptions: [], outcomes: [LOST]`: {[]string{"SIM-FOUND-AGAIN-US-01"}, []string{"SIM-DAMAGED-US-01"}},
		`milestones: [REGISTERED], open: true`: {[]string{"SIM-LABEL-ONLY-US-01", "SIM-UNKNOWN-IN-BATCH-BR-01"}, []string{"SIM-STALLED-DE-01"}},
		`openExceptions: [DAMAGED, RETURNING]`: {[]string{"SIM-DAMAGED-US-01", "SIM-REFUSED-BR-01"}, []string{"SIM-DUTY-DUE-BR-01"}},
	} {
		var p struct {
			Shipments struct{ Nodes []struct{ Reference string } }
		}
		ask(t, gate.url, demoKey, `{ shipments(first: 100, filter: { tags: ["scenario"], `+filter+` }) { nodes { reference } } }`, nil, &p)
		has := func(name string) bool {
			return slices.ContainsFunc(p.Shipments.Nodes, func(n struct{ Reference string }) bool { return n.Reference == name })
		}
		for _, name := range want.in {
			if !has(name) {
				t.Errorf("%s: %s is not in the list %v", filter, name, p.Shipments.Nodes)
			}
		}
		for _, name := range want.out {
			if has(name) {
				t.Errorf("%s: %s is in the list", filter, name)
			}
		}
	}
}

// oneVocabulary finds one code for a scan that four carriers write each in
// their own way, and one status in each of the vocabularies of others.
func oneVocabulary(t *testing.T, gate *running) {
	own := map[string]bool{}
	for _, name := range []string{"SIM-PUSHED-TWICE-US-01", "SIM-NO-PLACE-RU-01", "SIM-PREDECLARED-BR-01", "SIM-SEEN-AGAIN-DE-01"} {
		var got struct {
			Shipment struct {
				AfterShip string
				Timeline  struct {
					Nodes []struct {
						Code, CodeIn string
						Original     struct{ Code string }
					}
				}
			}
		}
		ask(t, gate.url, demoKey, `query($r: String!) { shipment(reference: $r) { afterShip: statusIn(vocabulary: AFTERSHIP)
			timeline(first: 10) { nodes { code codeIn(vocabulary: SEVENTEEN_TRACK) original { code } } } } }`, map[string]any{"r": name}, &got)
		if got.Shipment.AfterShip != "InTransit" && !strings.HasPrefix(got.Shipment.AfterShip, "InTransit_") {
			t.Errorf("%s is %s for AfterShip", name, got.Shipment.AfterShip)
		}
		found := false
		for _, e := range got.Shipment.Timeline.Nodes {
			if e.Code == "PICKED_UP" {
				found = true
				own[e.Original.Code] = true
				if e.CodeIn != "InTransit_PickedUp" {
					t.Errorf("%s: picked up is %s for 17TRACK", name, e.CodeIn)
				}
			}
		}
		if !found {
			t.Errorf("%s was not picked up: %+v", name, got.Shipment.Timeline)
		}
	}
	if len(own) != 4 {
		t.Errorf("four carriers write %v", slices.Collect(maps.Keys(own)))
	}
}

// proofOfDelivery advances a parcel to its delivery and finds what is told of
// it: when, where, to whom, by the carrier's own words, and where the carrier
// shows more.
func proofOfDelivery(t *testing.T, gate *running) {
	for range 2 { // out for delivery, delivered
		advance(t, gate, "SIM-DELIVERED-NEIGHBOUR-BR-01")
	}
	var got struct {
		Shipment struct {
			Milestone string
			Legs      []struct{ CarrierPage string }
			Timeline  struct {
				Nodes []struct {
					Code, DeliveredTo string
					Place             struct{ Country, City string }
					Local             struct{ Text string }
					Original          struct{ Code, Text string }
				}
			}
		}
	}
	ask(t, gate.url, demoKey, `{ shipment(reference: "SIM-DELIVERED-NEIGHBOUR-BR-01") { milestone legs { carrierPage }
		timeline(last: 1) { nodes { code deliveredTo place { country city } local { text } original { code text } } } } }`, nil, &got)
	if len(got.Shipment.Timeline.Nodes) != 1 || len(got.Shipment.Legs) == 0 {
		t.Fatalf("%+v", got)
	}
	e := got.Shipment.Timeline.Nodes[0]
	if e.Code != "DELIVERED" || e.DeliveredTo != "NEIGHBOUR" || e.Place.Country != "BR" || e.Place.City == "" || e.Local.Text == "" || e.Original.Text == "" {
		t.Errorf("the proof is %+v", e)
	}
	if page := got.Shipment.Legs[0].CarrierPage; !strings.HasPrefix(page, "https://") {
		t.Errorf("the carrier's own page is %q", page)
	}
}

// localCarrier asks as the shopper, without a key: the carrier at the buyer's
// end and its number are part of the answer.
func localCarrier(t *testing.T, gate *running) {
	s, ok := sim.FindScenario("SIM-SILENT-BORDER-BR-01")
	if !ok {
		t.Fatal("no scenario SIM-SILENT-BORDER-BR-01")
	}
	var own struct {
		Shipment struct{ Destination struct{ Postcode string } }
	}
	ask(t, gate.url, demoKey, `query($r: String!) { shipment(reference: $r) { destination { postcode } } }`, map[string]any{"r": s.Name}, &own)
	var got struct {
		Track struct {
			Proof    string
			Shipment struct {
				Legs []struct {
					Stage, TrackingNumber, CarrierPage string
					Carrier                            struct{ Code, Name string }
				}
			}
		}
	}
	ask(t, gate.url, "", `query($n: String!, $p: String!) { track(number: $n, postcode: $p) { ... on TrackFound { proof
		shipment { legs { stage trackingNumber carrierPage carrier { code name } } } } } }`, map[string]any{"n": s.Number, "p": own.Shipment.Destination.Postcode}, &got)
	legs := got.Track.Shipment.Legs
	if got.Track.Proof != "POSTCODE" || len(legs) == 0 {
		t.Fatalf("the shopper sees %+v", got)
	}
	last := legs[len(legs)-1]
	if last.Stage != "LAST_MILE" || last.Carrier.Code != "correios" || last.Carrier.Name == "" || last.TrackingNumber == "" || last.TrackingNumber == s.Number ||
		!strings.Contains(last.CarrierPage, last.TrackingNumber) {
		t.Errorf("the last leg is %+v", last)
	}
}

// advance steps a test number through the command line, as a partner does.
func advance(t *testing.T, gate *running, name string) string {
	t.Helper()
	out, errs, code := said(t, "scenarios", "advance", name, "--ops-listen", strings.TrimPrefix(gate.ops, "http://"))
	if code != exitOK || errs != "" {
		t.Fatalf("advance %s: exit code %d, %s", name, code, errs)
	}
	return out
}

func stepping(t *testing.T, gate *running) {
	const name = "SIM-CUSTOMS-HOLD-RU-01"
	var before struct{ Shipment struct{ ChangeCursor string } }
	ask(t, gate.url, demoKey, `query($r: String!) { shipment(reference: $r) { changeCursor } }`, map[string]any{"r": name}, &before)
	for _, want := range []string{"CUSTOMS_CLEARED; steps to come: 2", "READY_FOR_PICKUP; steps to come: 1", "DELIVERED, ended as DELIVERED; steps to come: 0"} {
		if out := advance(t, gate, name); !strings.HasSuffix(out, name+" stands at "+want+"\n") {
			t.Errorf("advance said %q, want %s", out, want)
		}
	}
	// Whoever follows the log or a subscription was told of each step.
	var after struct {
		Shipment struct {
			Outcome string
			Changes struct{ Nodes []struct{ To, Kind string } }
		}
	}
	ask(t, gate.url, demoKey, `query($r: String!, $a: String!) { shipment(reference: $r) { outcome
		changes(after: $a, first: 50) { nodes { kind ... on MilestoneChange { to } } } } }`, map[string]any{"r": name, "a": before.Shipment.ChangeCursor}, &after)
	var moved []string
	for _, c := range after.Shipment.Changes.Nodes {
		if c.Kind == "MILESTONE" {
			moved = append(moved, c.To)
		}
	}
	if diff := gocmp.Diff([]string{"CUSTOMS_CLEARED", "READY_FOR_PICKUP", "DELIVERED"}, moved); diff != "" || after.Shipment.Outcome != "DELIVERED" {
		t.Errorf("outcome %q; the log tells (-want +got):\n%s", after.Shipment.Outcome, diff)
	}

	ops := strings.TrimPrefix(gate.ops, "http://")
	for _, tt := range []struct {
		name, at, want string
		code           int
	}{
		{name, ops, "told to its end", exitFault},
		{"SIM-NOTHING", ops, "no test number", exitFault},
		{name, "127.0.0.1", "--ops-listen", exitUsage},
		{name, strings.TrimPrefix(gate.url, "http://"), "only milepost demo has", exitFault},
	} {
		if out, errs, code := said(t, "scenarios", "advance", tt.name, "--ops-listen", tt.at); code != tt.code || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("advance %s at %s: exit code %d, %q, %q; want %d and %q", tt.name, tt.at, code, out, errs, tt.code, tt.want)
		}
	}
	// By its number, in JSON.
	s, _ := sim.FindScenario("SIM-WEATHER-US-01")
	out, errs, code := said(t, "scenarios", "advance", s.Number, "--json", "--ops-listen", ops)
	if code != exitOK || !strings.Contains(out, `"scenario": "SIM-WEATHER-US-01"`) || !strings.Contains(out, `"code": "IN_TRANSIT"`) {
		t.Errorf("by number: exit code %d, %s%s", code, out, errs)
	}
}
