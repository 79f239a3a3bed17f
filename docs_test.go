package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/ingest/importer"
)

// TestImportDoc holds the tables of docs/import.md to the fields there are.
func TestImportDoc(t *testing.T) {
	data, err := os.ReadFile("docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fields := range [][]importer.Described{importer.Fields(), importer.EventFields()} {
		if table := fieldTable(fields); !strings.Contains(string(data), table) {
			t.Errorf("docs/import.md lacks this table, row by row:\n%s", table)
		}
	}
	// The mapping that it shows is a real one.
	_, example, _ := strings.Cut(string(data), "A YAML file turns other people's columns into these fields:\n\n")
	example, _, _ = strings.Cut(example, "\n\nA rule has these keys")
	m, err := parseMapping([]byte(strings.ReplaceAll(example, "\n    ", "\n")[4:]))
	if err != nil || len(m.Fields) == 0 || len(m.Legs) != 1 || len(m.Events) != 1 || !m.Final {
		t.Errorf("the mapping shown cannot be read: %v", err)
	}
	for _, f := range importer.LegFields() {
		if !strings.Contains(string(data), "`"+f.Name+"`") {
			t.Errorf("docs/import.md does not name the leg's field %s", f.Name)
		}
	}
}

func fieldTable(fields []importer.Described) string {
	rows := make([]string, len(fields))
	for i, f := range fields {
		rows[i] = fmt.Sprintf("| `%s` | %s |", f.Name, f.Doc)
	}
	return strings.Join(rows, "\n")
}

// TestDecisionsListed holds the list of decisions to their pages.
func TestDecisionsListed(t *testing.T) {
	const dir = "docs/adr"
	list, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "0*.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, page := range pages {
		name := filepath.Base(page)
		if strings.HasPrefix(name, "0000-") {
			continue
		}
		n++
		if row := fmt.Sprintf("| [%s](%s) |", strings.TrimLeft(name[:4], "0"), name); strings.Count(string(list), row) != 1 {
			t.Errorf("%s/README.md: want one row that begins with %q", dir, row)
		}
	}
	if rows := strings.Count(string(list), "\n| ["); rows != n {
		t.Errorf("%d rows of %d decisions", rows, n)
	}
}
