package main_test

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/milepost-gateway/milepost"

// room is a row of the house table: a folder, and all below it that is not a
// room of its own.
type room struct {
	folder string // "carriers/*" is every other folder there: an adapter
	may    string // rooms whose packages its code may import; "*" for all
	with   string // modules its code may import
	tests  string // rooms that only its tests may import besides
	never  string // packages of the standard library that it may not import
}

// house is the table of who may import whom. A room may import itself, and
// the standard library but for what "never" names. Change a row together
// with the reason for it, in review.
var house = []room{
	// main: wires every part by hand.
	{folder: ".", may: "*", with: "*"},

	// The language. No I/O, clock, SQL or GraphQL.
	{folder: "parcel", never: "os os/exec net net/http database/sql log"},
	{folder: "words", tests: "parcel", never: "os net net/http database/sql"},

	// Carriers: the contract, its adapters, and what helps them.
	{folder: "carriers", may: "parcel", tests: "carriers/all carriers/carriertest", never: "database/sql"},
	{folder: "carriers/*", may: "carriers carriers/carrierkit parcel", tests: "carriers/carriertest carriers/identify",
		with: "golang.org/x/text", never: "database/sql os/exec"},
	{folder: "carriers/carrierkit", may: "carriers parcel internal", never: "database/sql",
		with: "github.com/failsafe-go/failsafe-go github.com/prometheus/client_golang golang.org/x/net golang.org/x/sync golang.org/x/text golang.org/x/time"},
	{folder: "carriers/carriertest", may: "carriers parcel", tests: "carriers/* carriers/all carriers/carrierkit",
		with: "github.com/google/go-cmp pgregory.net/rapid", never: "database/sql"},
	{folder: "carriers/identify", may: "parcel", tests: "carriers carriers/all", never: "os net net/http database/sql"},
	{folder: "carriers/declared", may: "carriers carriers/carrierkit parcel", tests: "carriers/carriertest carriers/identify internal",
		with: "github.com/goccy/go-yaml golang.org/x/text", never: "database/sql os/exec"},
	{folder: "carriers/all", may: "carriers/*", tests: "carriers carriers/carriertest"},
	{folder: "sim", may: "carriers parcel internal", tests: "carriers/* carriers/all carriers/identify ingest storage",
		with: "github.com/goccy/go-yaml golang.org/x/sync golang.org/x/time", never: "database/sql"},

	// One road in, one memory.
	{folder: "ingest", may: "carriers carriers/identify parcel internal", never: "database/sql",
		tests: "carriers/* carriers/all carriers/carrierkit carriers/declared carriers/identify sim storage",
		with: "github.com/failsafe-go/failsafe-go github.com/klauspost/compress github.com/oklog/ulid/v2 " +
			"github.com/prometheus/client_golang golang.org/x/sync golang.org/x/text golang.org/x/time"},
	{folder: "ingest/drops", may: "ingest carriers parcel internal", never: "database/sql os/exec",
		tests: "carriers/* storage", with: "github.com/oklog/ulid/v2 github.com/pkg/sftp golang.org/x/crypto"},
	{folder: "storage", may: "parcel internal", tests: "carriers",
		with: "github.com/jmoiron/sqlx github.com/klauspost/compress github.com/lib/pq github.com/oklog/ulid/v2 " +
			"github.com/pressly/goose/v3 github.com/prometheus/client_golang golang.org/x/sync modernc.org/sqlite"},
	{folder: "storage/storagetest", may: "storage parcel internal",
		with: "github.com/google/go-cmp github.com/jmoiron/sqlx github.com/lib/pq github.com/oklog/ulid/v2 golang.org/x/sync pgregory.net/rapid"},

	// Three roads out.
	{folder: "insight", may: "parcel internal", tests: "sim storage", never: "database/sql os/exec",
		with: "github.com/prometheus/client_golang golang.org/x/sync"},
	{folder: "notify", may: "parcel words internal", tests: "storage", never: "database/sql os/exec",
		with: "github.com/failsafe-go/failsafe-go github.com/oklog/ulid/v2 github.com/prometheus/client_golang golang.org/x/sync golang.org/x/time"},
	{folder: "graph", may: "parcel", tests: "internal", never: "database/sql os/exec",
		with: "github.com/99designs/gqlgen github.com/vektah/gqlparser/v2 golang.org/x/sync"},
	{folder: "resolvers", may: "graph parcel words internal", tests: "carriers gateway ingest insight sim storage", never: "database/sql os/exec",
		with: "github.com/99designs/gqlgen github.com/graph-gophers/dataloader/v7 github.com/oklog/ulid/v2 " +
			"github.com/prometheus/client_golang github.com/vektah/gqlparser/v2 golang.org/x/sync"},
	{folder: "gateway", may: "graph parcel internal", tests: "ingest resolvers sim storage words", never: "database/sql os/exec",
		with: "github.com/99designs/gqlgen github.com/coder/websocket github.com/google/uuid github.com/klauspost/compress " +
			"github.com/oklog/ulid/v2 github.com/prometheus/client_golang github.com/vektah/gqlparser/v2 golang.org/x/sync golang.org/x/time"},
	{folder: "web", may: "words", tests: "internal", never: "database/sql os/exec"},

	// bench: measures the whole, wired by main, against hand-written servers.
	{folder: "bench", may: "*", with: "*"},

	// Plumbing that knows no parcel.
	{folder: "internal/bus", may: "internal"},
	{folder: "internal/clock"},
	{folder: "internal/config", may: "internal", with: "github.com/alecthomas/kong github.com/goccy/go-yaml"},
	{folder: "internal/obs", may: "internal", with: "github.com/prometheus/client_golang"},
}

const (
	// testsMay are rooms that the tests of every room may import.
	testsMay = "parcel storage/storagetest carriers/carriertest internal/clock internal/bus"
	// testsWith are modules that the tests of every room may import.
	testsWith = "github.com/google/go-cmp github.com/rogpeppe/go-internal go.uber.org/goleak pgregory.net/rapid"
	// generatorsWith are modules that a program run by go generate, which
	// the build ignores, may import.
	generatorsWith = "github.com/99designs/gqlgen github.com/vektah/gqlparser/v2 golang.org/x/text golang.org/x/tools"
	// clockRoom alone asks the machine for the time.
	clockRoom = "internal/clock"
)

var (
	// noNames are names of packages that say nothing of what lives there.
	noNames = strings.Fields("util utils common manager managers helper helpers misc shared base")

	// timeAskers are the functions of package time that read or wait for the
	// machine's clock without saying which of the two clocks is meant.
	timeAskers = strings.Fields("Now Since Until Sleep Tick")

	// registries may be changed after the program has started: written in
	// init, read by main and the carriers' exam alone.
	registries = map[string]bool{"carriers": true}
)

// TestHouse reads every Go file and fails on an arrow that the table lacks.
func TestHouse(t *testing.T) {
	wrongs, files, err := inspect(os.DirFS("."), house)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range wrongs {
		t.Error(wrong)
	}
	if files == 0 {
		t.Error("no Go file was read")
	}
}

// source is one Go file with what was found in it.
type source struct {
	name      string // slash path from the root
	folder    string
	syntax    *ast.File
	test      bool
	generator bool // a main program that the build ignores
	generated bool // written by a program: only its imports were read
}

// inspect checks the tree against the table. It returns what is wrong, one
// line each with file and line, and how many files it read.
func inspect(tree fs.FS, table []room) (wrongs []string, files int, err error) {
	fset := token.NewFileSet()
	sources, err := readSources(tree, fset)
	if err != nil {
		return nil, 0, err
	}
	h := inspector{fset: fset, table: table}
	packages := map[string][]source{}
	for _, s := range sources {
		packages[s.folder] = append(packages[s.folder], s)
		h.checkName(s)
		r, known := h.roomOf(s.folder)
		if !known {
			h.wrong(s, s.syntax.Package, "%s is a room that the house table does not have", s.folder)
			continue
		}
		h.checkImports(s, r)
		h.checkTime(s)
	}
	for _, folder := range slices.Sorted(keys(packages)) {
		h.checkVariables(packages[folder])
	}
	h.checkAdapters(packages)
	slices.Sort(h.wrongs)
	return h.wrongs, len(sources), nil
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// readSources parses every Go file that belongs to this module.
func readSources(tree fs.FS, fset *token.FileSet) (sources []source, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name == "." {
				return nil
			}
			if base == "testdata" || base == "vendor" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
				return fs.SkipDir // another module
			}
			return nil
		}
		if path.Ext(base) != ".go" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return nil
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		s := source{name: name, folder: path.Dir(name), test: strings.HasSuffix(base, "_test.go")}
		s.syntax, err = parser.ParseFile(fset, name, data, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		s.generated = ast.IsGenerated(s.syntax)
		s.generator = s.syntax.Name.Name == "main" && ignored(s.syntax)
		if !s.generated {
			// Whole, with identifiers resolved, for the checks inside functions.
			if s.syntax, err = parser.ParseFile(fset, name, data, 0); err != nil {
				return err
			}
		}
		sources = append(sources, s)
		return nil
	})
	return sources, err
}

// ignored reports whether a file carries //go:build ignore.
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil && c.Pos() < f.Package {
				return !expr.Eval(func(tag string) bool { return tag != "ignore" })
			}
		}
	}
	return false
}

type inspector struct {
	fset   *token.FileSet
	table  []room
	wrongs []string
}

func (h *inspector) wrong(s source, at token.Pos, format string, args ...any) {
	h.wrongs = append(h.wrongs, fmt.Sprintf("%s:%d: ", s.name, h.fset.Position(at).Line)+fmt.Sprintf(format, args...))
}

// roomOf returns the row that a folder falls under: the longest that fits.
func (h *inspector) roomOf(folder string) (best room, ok bool) {
	for _, r := range h.table {
		if fits(r.folder, folder) && (!ok || specificity(r.folder) > specificity(best.folder)) {
			best, ok = r, true
		}
	}
	return best, ok
}

// fits reports whether folder is the room or below it. Main is its own files
// only.
func fits(room, folder string) bool {
	if prefix, star := strings.CutSuffix(room, "*"); star {
		return strings.HasPrefix(folder, prefix)
	}
	return folder == room || room != "." && strings.HasPrefix(folder, room+"/")
}

// specificity orders carriers before carriers/* before carriers/all.
func specificity(room string) int {
	return 2*strings.Count(room, "/") - strings.Count(room, "*")
}

// adapterOf returns the name of the adapter that a folder belongs to.
func (h *inspector) adapterOf(folder string) string {
	if r, ok := h.roomOf(folder); ok && strings.HasSuffix(r.folder, "/*") {
		name, _, _ := strings.Cut(strings.TrimPrefix(folder, strings.TrimSuffix(r.folder, "*")), "/")
		return name
	}
	return ""
}

func (h *inspector) checkName(s source) {
	name := strings.TrimSuffix(s.syntax.Name.Name, "_test")
	if slices.Contains(noNames, name) || slices.Contains(noNames, path.Base(s.folder)) {
		h.wrong(s, s.syntax.Package, "a package named %s says nothing of what lives there", name)
	}
	if name == "main" && s.folder != "." && !s.generator {
		h.wrong(s, s.syntax.Package, "the only main is at the root")
	}
}

func (h *inspector) checkImports(s source, from room) {
	rooms, modules := strings.Fields(from.may), strings.Fields(from.with)
	if s.test {
		rooms = slices.Concat(rooms, strings.Fields(from.tests), strings.Fields(testsMay))
		modules = slices.Concat(modules, strings.Fields(testsWith))
	}
	if s.generator {
		modules = slices.Concat(modules, strings.Fields(generatorsWith))
	}
	for _, spec := range s.syntax.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			h.wrong(s, spec.Pos(), "import %s: %v", spec.Path.Value, err)
			continue
		}
		local, ours := strings.CutPrefix(target, module+"/")
		switch first, _, _ := strings.Cut(target, "/"); {
		case target == "C":
			h.wrong(s, spec.Pos(), "the gateway is built without cgo")
		case ours:
			h.checkArrow(s, spec.Pos(), from, local, rooms)
		case !strings.Contains(first, "."):
			if !s.test && !s.generator && slices.Contains(strings.Fields(from.never), target) {
				h.wrong(s, spec.Pos(), "%s may not import %s", from.folder, target)
			}
			if target == "time" && spec.Name != nil && spec.Name.Name == "." {
				h.wrong(s, spec.Pos(), "package time may not be imported with a dot")
			}
		case !allows(modules, func(m string) bool { return m == "*" || target == m || strings.HasPrefix(target, m+"/") }):
			h.wrong(s, spec.Pos(), "%s may not import %s", from.folder, target)
		}
	}
}

func (h *inspector) checkArrow(s source, at token.Pos, from room, local string, rooms []string) {
	to, known := h.roomOf(local)
	if !known {
		h.wrong(s, at, "import of %s, a room that the house table does not have", local)
		return
	}
	if a, b := h.adapterOf(s.folder), h.adapterOf(local); a != "" && b != "" && a != b {
		h.wrong(s, at, "the adapter %s may not import the adapter %s", a, b)
		return
	}
	inside := to.folder == from.folder
	// "internal" names every room in that folder, as "carriers" must not.
	allowed := allows(rooms, func(r string) bool {
		return r == "*" || r == to.folder || r == "internal" && strings.HasPrefix(to.folder, "internal/")
	})
	if !inside && !allowed {
		h.wrong(s, at, "%s may not import %s", from.folder, local)
	}
}

func allows(list []string, is func(string) bool) bool { return slices.ContainsFunc(list, is) }

// checkTime finds who asks the machine for the time.
func (h *inspector) checkTime(s source) {
	if s.test || s.generated || s.generator || s.folder == clockRoom {
		return
	}
	local := ""
	for _, spec := range s.syntax.Imports {
		if spec.Path.Value == `"time"` {
			local = "time"
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return
	}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// An identifier that the file itself declares is not the package.
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == local && x.Obj == nil && slices.Contains(timeAskers, selector.Sel.Name) {
			h.wrong(s, n.Pos(), "time.%s: only %s asks the machine for the time; take a clock or an instant", selector.Sel.Name, clockRoom)
		}
		return true
	})
}

// checkVariables finds package variables that code changes after init.
func (h *inspector) checkVariables(files []source) {
	if registries[files[0].folder] {
		return
	}
	elsewhere := map[string]bool{} // package variables, by name
	for _, s := range files {
		if s.test {
			continue
		}
		for _, d := range s.syntax.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						elsewhere[name.Name] = name.Name != "_" // var _ I = T{} names nothing
					}
				}
			}
		}
	}
	for _, s := range files {
		if s.test || s.generated || s.generator {
			continue
		}
		own := map[any]bool{}
		for _, d := range s.syntax.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				for _, spec := range g.Specs {
					own[spec] = true
				}
			}
		}
		isPackageVariable := func(x *ast.Ident) bool {
			if x.Obj == nil {
				return elsewhere[x.Name] // declared in another file of the package
			}
			return x.Obj.Kind == ast.Var && own[x.Obj.Decl]
		}
		for _, d := range s.syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || f.Recv == nil && f.Name.Name == "init" {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				var changed []ast.Expr
				switch n := n.(type) {
				case *ast.AssignStmt:
					if n.Tok != token.DEFINE {
						changed = n.Lhs
					}
				case *ast.IncDecStmt:
					changed = []ast.Expr{n.X}
				}
				for _, x := range changed {
					if id := root(x); id != nil && isPackageVariable(id) {
						h.wrong(s, x.Pos(), "the package variable %s is changed; give the state an owner", id.Name)
					}
				}
				return true
			})
		}
	}
}

// root returns the variable that an assignment to x changes.
func root(x ast.Expr) *ast.Ident {
	for {
		switch e := x.(type) {
		case *ast.Ident:
			return e
		case *ast.IndexExpr:
			x = e.X
		case *ast.SelectorExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		case *ast.ParenExpr:
			x = e.X
		default:
			return nil
		}
	}
}

// checkAdapters holds carriers/all against the adapters that exist.
func (h *inspector) checkAdapters(packages map[string][]source) {
	var adapters []string
	for folder := range packages {
		if a := h.adapterOf(folder); a != "" && !slices.Contains(adapters, a) {
			adapters = append(adapters, a)
		}
	}
	slices.Sort(adapters)
	for _, a := range adapters {
		file := "carriers/all/" + a + ".go"
		i := slices.IndexFunc(packages["carriers/all"], func(s source) bool { return s.name == file })
		if i < 0 {
			h.wrongs = append(h.wrongs, fmt.Sprintf("%s: missing; the adapter carriers/%s is compiled into nothing", file, a))
			continue
		}
		s := packages["carriers/all"][i]
		if len(s.syntax.Imports) != 1 || s.syntax.Imports[0].Path.Value != strconv.Quote(module+"/carriers/"+a) {
			h.wrong(s, s.syntax.Package, "must import carriers/%s and nothing else", a)
		}
	}
	for _, s := range packages["carriers/all"] {
		name := strings.TrimSuffix(path.Base(s.name), ".go")
		if len(s.syntax.Imports) > 0 && !s.test && !slices.Contains(adapters, name) {
			h.wrong(s, s.syntax.Package, "there is no adapter carriers/%s", name)
		}
	}
}

// TestHouseFinds shows the inspector houses with something wrong in them.
func TestHouseFinds(t *testing.T) {
	const all = "package all\n\nimport _ \"" + module + "/carriers/ups\"\n"
	tests := []struct {
		name string
		tree map[string]string
		want []string
	}{
		{"a house in order", map[string]string{
			"server.go":               "package main\n\nimport _ \"" + module + "/storage\"\n\nfunc main() {}",
			"parcel/parcel.go":        "package parcel\n\nimport \"time\"\n\nvar zero time.Time",
			"carriers/all/all.go":     "// Package all links every adapter.\npackage all",
			"carriers/all/ups.go":     all,
			"carriers/ups/ups.go":     "package ups\n\nimport (\n\t_ \"net/http\"\n\t_ \"" + module + "/carriers/carrierkit\"\n)",
			"carriers/ups/x_test.go":  "package ups\n\nimport _ \"" + module + "/carriers/carriertest\"",
			"insight/score/score.go":  "package score",
			"insight/worker.go":       "package insight\n\nimport _ \"" + module + "/insight/score\"",
			"storage/store.go":        "package storage\n\nimport (\n\t_ \"database/sql\"\n\t_ \"github.com/lib/pq\"\n\t_ \"" + module + "/internal/clock\"\n)",
			"internal/clock/clock.go": "package clock\n\nimport \"time\"\n\nvar _ = time.Now",
			"ingest/ingest_test.go":   "package ingest\n\nimport (\n\t\"time\"\n\n\t_ \"" + module + "/storage\"\n)\n\nvar _ = time.Now",
			"graph/gen.go":            "//go:build ignore\n\npackage main\n\nimport _ \"golang.org/x/tools/imports\"",
			"parcel/testdata/x.go":    "package util",
			"tools/go.mod":            "module tools",
			"tools/x.go":              "package util",
		}, nil},
		{"an arrow the table lacks", map[string]string{
			"resolvers/r.go": "package resolvers\n\nimport (\n\t_ \"" + module + "/graph/scalar\"\n\t_ \"" + module + "/storage\"\n)",
		}, []string{"resolvers/r.go:5: resolvers may not import storage"}},
		{"an arrow that only tests have", map[string]string{
			"gateway/g.go":      "package gateway\n\nimport _ \"" + module + "/resolvers\"",
			"gateway/g_test.go": "package gateway\n\nimport _ \"" + module + "/resolvers\"",
		}, []string{"gateway/g.go:3: gateway may not import resolvers"}},
		{"a room that is not in the table", map[string]string{
			"pricing/p.go": "package pricing",
			"ingest/i.go":  "package ingest\n\nimport _ \"" + module + "/pricing\"",
		}, []string{
			"ingest/i.go:3: import of pricing, a room that the house table does not have",
			"pricing/p.go:1: pricing is a room that the house table does not have",
		}},
		{"a room of internal that is not in the table", map[string]string{
			"internal/queue/q.go": "package queue",
		}, []string{"internal/queue/q.go:1: internal/queue is a room that the house table does not have"}},
		{"main imported from below", map[string]string{
			"web/w.go": "package web\n\nimport _ \"" + module + "/carriers\"",
		}, []string{"web/w.go:3: web may not import carriers"}},
		{"the contract is not the adapters", map[string]string{
			"ingest/i.go": "package ingest\n\nimport _ \"" + module + "/carriers/carrierkit\"",
		}, []string{"ingest/i.go:3: ingest may not import carriers/carrierkit"}},
		{"an adapter imports another", map[string]string{
			"carriers/all/ups.go": all,
			"carriers/all/dpd.go": "package all\n\nimport _ \"" + module + "/carriers/dpd\"",
			"carriers/ups/ups.go": "package ups\n\nimport _ \"" + module + "/carriers/dpd\"",
			"carriers/dpd/dpd.go": "package dpd",
		}, []string{"carriers/ups/ups.go:3: the adapter ups may not import the adapter dpd"}},
		{"an adapter reaches for plumbing", map[string]string{
			"carriers/all/ups.go": all,
			"carriers/ups/ups.go": "package ups\n\nimport _ \"" + module + "/internal/clock\"",
		}, []string{"carriers/ups/ups.go:3: carriers/* may not import internal/clock"}},
		{"an adapter that is compiled into nothing", map[string]string{
			"carriers/ups/ups.go": "package ups",
		}, []string{"carriers/all/ups.go: missing; the adapter carriers/ups is compiled into nothing"}},
		{"a line for an adapter that is gone", map[string]string{
			"carriers/all/ups.go": all,
		}, []string{"carriers/all/ups.go:1: there is no adapter carriers/ups"}},
		{"a line under another adapter's name", map[string]string{
			"carriers/all/dpd.go": all,
			"carriers/all/ups.go": all,
			"carriers/ups/ups.go": "package ups",
			"carriers/dpd/dpd.go": "package dpd",
		}, []string{"carriers/all/dpd.go:1: must import carriers/dpd and nothing else"}},
		{"a module that the room may not use", map[string]string{
			"parcel/p.go":  "package parcel\n\nimport _ \"github.com/oklog/ulid/v2\"",
			"storage/s.go": "package storage\n\nimport _ \"github.com/lib/pqueer\"",
		}, []string{
			"parcel/p.go:3: parcel may not import github.com/oklog/ulid/v2",
			"storage/s.go:3: storage may not import github.com/lib/pqueer",
		}},
		{"input and output in the language", map[string]string{
			"parcel/p.go":      "package parcel\n\nimport _ \"net/http\"",
			"parcel/p_test.go": "package parcel\n\nimport _ \"os\"",
		}, []string{"parcel/p.go:3: parcel may not import net/http"}},
		{"cgo", map[string]string{
			"storage/s.go": "package storage\n\nimport \"C\"",
		}, []string{"storage/s.go:3: the gateway is built without cgo"}},
		{"who asks for the time", map[string]string{
			"ingest/a.go": "package ingest\n\nimport \"time\"\n\nfunc f() (any, any) { return time.Now(), time.Since }",
			"ingest/b.go": "package ingest\n\nimport wall \"time\"\n\nvar now = wall.Now",
			"ingest/c.go": "package ingest\n\nimport \"time\"\n\ntype clock struct{}\n\nfunc (clock) Now() time.Time\n\nfunc g(time clock) any { return time.Now() }",
			"ingest/d.go": "package ingest\n\nimport . \"time\"",
		}, []string{
			"ingest/a.go:5: time.Now: only internal/clock asks the machine for the time; take a clock or an instant",
			"ingest/a.go:5: time.Since: only internal/clock asks the machine for the time; take a clock or an instant",
			"ingest/b.go:5: time.Now: only internal/clock asks the machine for the time; take a clock or an instant",
			"ingest/d.go:3: package time may not be imported with a dot",
		}},
		{"names that say nothing", map[string]string{
			"ingest/util/u.go": "package util",
			"ingest/x/x.go":    "package common",
		}, []string{
			"ingest/util/u.go:1: a package named util says nothing of what lives there",
			"ingest/x/x.go:1: a package named common says nothing of what lives there",
		}},
		{"a second main", map[string]string{
			"sim/cmd/m.go": "package main",
		}, []string{"sim/cmd/m.go:1: the only main is at the root"}},
		{"package variables that change", map[string]string{
			"ingest/a.go":   "package ingest\n\nvar _ any = 1\n\nvar seen = map[string]int{}\n\nvar limit, count int\n\nfunc init() { limit = 3 }\n\nfunc f() { seen[\"a\"] = 1; limit := 2; limit++; _ = limit; count++ }",
			"ingest/b.go":   "package ingest\n\nfunc g(seen map[string]int) { seen[\"b\"] = 2; count = 0 }",
			"carriers/r.go": "package carriers\n\nvar specs map[string]int\n\nfunc Register() { specs[\"a\"] = 1 }",
		}, []string{
			"ingest/a.go:11: the package variable count is changed; give the state an owner",
			"ingest/a.go:11: the package variable seen is changed; give the state an owner",
			"ingest/b.go:3: the package variable count is changed; give the state an owner",
		}},
		{"generated code is held to its imports", map[string]string{
			"graph/g.go": "// Code generated by x. DO NOT EDIT.\n\npackage graph\n\nimport _ \"" + module + "/storage\"\n\nfunc f() { time.Now() }",
		}, []string{"graph/g.go:5: graph may not import storage"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, data := range tt.tree {
				tree[name] = &fstest.MapFile{Data: []byte(data)}
			}
			got, _, err := inspect(tree, house)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHouseTable holds the table itself to some sense.
func TestHouseTable(t *testing.T) {
	folders := map[string]bool{"internal": true, "*": true}
	for _, r := range house {
		if folders[r.folder] {
			t.Errorf("%s stands twice", r.folder)
		}
		folders[r.folder] = true
	}
	for _, r := range house {
		for _, to := range strings.Fields(r.may + " " + r.tests + " " + testsMay) {
			if !folders[to] {
				t.Errorf("%s may import %s, which is no room", r.folder, to)
			}
		}
	}
}
