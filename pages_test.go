package main

import (
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
)

// keepPage holds a page of the docs to what the code says, or writes it anew.
func keepPage(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the code says; run go test -run %s . -update (-file +code):\n%s", file, t.Name(), diff)
	}
}

// TestTestNumbersPage keeps the list of public test numbers what the simulator
// plays.
func TestTestNumbersPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Test numbers

Made from the simulator's scenarios; run ` + "`go test -run TestTestNumbersPage . -update`" + ` to make it again.

Every demo has these parcels, under the same numbers whatever its seed. Each shows one thing that goes wrong with
parcels and their tracking, and what Milepost makes of it. They are for partners who try an integration, and for
our own tests: ` + "`TestTestNumbers`" + ` asks a running demo for each of them.

## Trying one

Start a demo that waits for you, in which a minute is an hour:

` + "```sh" + `
milepost demo --key mp_demo0000000000 --speed 60
` + "```" + `

Ask for a parcel as a shopper does, by its number, or as its merchant does, by its name:

` + "```sh" + `
curl -s http://127.0.0.1:8080/graphql -H 'Authorization: Bearer mp_demo0000000000' -H 'Content-Type: application/json' \
  -d '{"query":"{ track(number: \"RB990000385CN\") { ... on TrackFound { shipment { reference milestone health } } } }"}'
curl -s http://127.0.0.1:8080/graphql -H 'Authorization: Bearer mp_demo0000000000' -H 'Content-Type: application/json' \
  -d '{"query":"{ shipment(reference: \"SIM-CUSTOMS-HOLD-RU-01\") { milestone health exceptions(open: true) { nodes { kind } } timeline(last: 5) { nodes { code local { text } } } } }"}'
` + "```" + `

The story then goes on by itself, a day in 24 minutes at this speed. To let the next thing happen at once, and see
it come by subscription:

` + "```sh" + `
milepost scenarios advance SIM-CUSTOMS-HOLD-RU-01
` + "```" + `

or ` + "`POST /scenarios/SIM-CUSTOMS-HOLD-RU-01/advance`" + ` on the demo's operations port. Each call moves the parcel by
one step and answers what was told, where the parcel stands now, and how many steps are to come; after the last one
the answer is status 409. A number that two parcels had is advanced for the later one; ask for either by its name, for
the number alone is answered with a choice. A carrier that is in trouble in its scenario has been asked again, and answers, within
minutes of trade time.

## The list

*Start* is what is seen when the demo begins: milestone, health and the kinds of exception that are open.
*End* is where the story leads within a month: the milestone, or how the journey ended if otherwise, and what is open
still. The numbers in brackets are lines of [failures.md](failures.md).

`)
	kinds := func(of []parcel.ExceptionKind) string {
		var out strings.Builder
		for _, k := range of {
			fmt.Fprintf(&out, ", `%s` open", k)
		}
		return out.String()
	}
	lines := func(of []int) string {
		out := make([]string, len(of))
		for i, f := range of {
			out[i] = fmt.Sprint(f)
		}
		return strings.Join(out, ", ")
	}
	for _, s := range sim.Scenarios() {
		o := &s.Outlook
		end := string(o.Later)
		if o.Outcome != "" && o.Outcome != parcel.OutcomeDelivered {
			end += "`, then `" + string(o.Outcome)
		}
		fmt.Fprintf(&b, "### %s\n\n`%s` of %s. %s (%s)\n\n- Start: `%s`, `%s`%s\n- End: `%s`%s\n\n", s.Name, s.Number, s.Carrier, s.Doc, lines(s.Failures),
			o.Milestone, o.Health, kinds(o.Open), end, kinds(o.StillOpen))
	}
	keepPage(t, "docs/test-numbers.md", strings.TrimRight(b.String(), "\n")+"\n")
}

// TestCarriersPage keeps the list of carriers what their specs and the comments
// of their packages say.
func TestCarriersPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Carriers

Made from the adapters' specs; run ` + "`go test -run TestCarriersPage . -update`" + ` to make it again. A carrier that is not
here may be reached through an aggregator, or described in a file: [declared-carriers.md](declared-carriers.md).

*Pull* is asked for by number, *push* comes as a webhook, *file* is left in a folder or on an SFTP server. *Batch* is
how many numbers one call asks for. *Next* marks those who name the carrier that goes on.

| carrier | title | country | stages | ways | batch | limit | next |
|---|---|---|---|---|---|---|---|
`)
	all := carriers.All()
	slices.SortFunc(all, func(a, b carriers.Spec) int { return cmp.Compare(a.Name, b.Name) })
	for i := range all {
		s := &all[i]
		stages := make([]string, len(s.Stages))
		for k, stage := range s.Stages {
			stages[k] = strings.ToLower(strings.ReplaceAll(string(stage), "_", " "))
		}
		batch, next := "", ""
		if s.Batch > 0 {
			batch = fmt.Sprint(s.Batch)
		}
		if s.NextCarrier {
			next = "yes"
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s | %s | %s |\n", s.Name, s.Name, s.Title, s.Country, strings.Join(stages, ", "),
			strings.Join(ways(s), ", "), batch, limit(s.Quota), next)
	}
	for i := range all {
		s := &all[i]
		said := packageComment(t, s.Name)
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.Name, said)
		if !strings.Contains(said, "API: ") {
			fmt.Fprintf(&b, "\nAPI: %s.\n", strings.TrimSuffix(s.API, "."))
		}
		if s.TrackingPage != "" {
			fmt.Fprintf(&b, "\nThe carrier's own page: `%s`.\n", s.TrackingPage)
		}
		b.WriteString("\n| payload | comes by | what it is |\n|---|---|---|\n")
		for _, k := range s.Kinds {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, strings.ToLower(string(k.Source)), cell(k.Doc))
		}
		if len(s.Settings) == 0 {
			b.WriteString("\nAn account needs no settings.\n")
			continue
		}
		b.WriteString("\n| setting | needed | default | what it is |\n|---|---|---|---|\n")
		for _, set := range s.Settings {
			needed := ""
			if set.Required {
				needed = "yes"
			}
			if set.Secret {
				needed = strings.TrimPrefix(needed+", secret", ", ")
			}
			byDefault := ""
			if set.Default != "" {
				byDefault = "`" + set.Default + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", set.Name, needed, byDefault, cell(set.Doc))
		}
	}
	keepPage(t, "docs/carriers.md", b.String())
}

// cell is text inside a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// limit says a quota in words.
func limit(q carriers.Quota) string {
	var out []string
	if q.PerSecond > 0 {
		out = append(out, fmt.Sprintf("%g a second", q.PerSecond))
	}
	if q.Calls > 0 {
		window := map[time.Duration]string{time.Minute: "a minute", time.Hour: "an hour", 24 * time.Hour: "a day"}[q.Window]
		out = append(out, fmt.Sprintf("%d in %s", q.Calls, cmp.Or(window, q.Window.String())))
	}
	return strings.Join(out, ", ")
}

// packageComment is what an adapter says of itself: what it carries, what it
// speaks, and how it tells time.
func packageComment(t *testing.T, name string) string {
	t.Helper()
	var doc string
	err := filepath.WalkDir(filepath.Join("carriers", name), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err == nil && syntax.Doc != nil {
			doc = strings.TrimSpace(syntax.Doc.Text())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if doc == "" {
		t.Errorf("carriers/%s has no package comment", name)
	}
	// A comment begins with the package's name; a page need not.
	_, said, _ := strings.Cut(strings.TrimPrefix(doc, "Package "), " ")
	if said == "" {
		return doc
	}
	return strings.ToUpper(said[:1]) + said[1:]
}
