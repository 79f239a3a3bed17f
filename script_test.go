package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/milepost-gateway/milepost/internal/clock"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMain lets scripts, and tests that need a process of its own to end, run
// the program: the test's binary is the program when it is called so.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"milepost": func() { os.Exit(milepost(os.Args[1:])) },
	})
}

// TestScripts runs the verbs as a person does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			// Nothing of the machine's own configuration may reach in.
			e.Vars = slices.DeleteFunc(e.Vars, func(v string) bool { return strings.HasPrefix(v, "MILEPOST_") })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
		},
	})
}

// exits runs a command that must end with an exit code: exits 2 milepost x.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exits: %v", err)
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("exits: %v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// said runs the program in this process.
func said(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &console{in: strings.NewReader(""), out: &o, err: &e, wall: clock.Wall()})
	return o.String(), e.String(), code
}

const cliDoc = "docs/cli.md"

// TestCommandLineDoc keeps the reference of the command line what --help says.
func TestCommandLineDoc(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var b strings.Builder
	b.WriteString(`# The command line

Made from ` + "`--help`" + `; run ` + "`go test -run TestCommandLineDoc . -update`" + ` to make it again.

A flag beats its environment variable, which beats the file that ` + "`--config`" + ` names. Output for people goes to
stdout; logs, progress and errors go to stderr. Exit codes: 0 all went well, 1 something failed, 2 the command line
or the configuration was wrong.

`)
	var cli commands
	k, err := newParser(&cli, &console{})
	if err != nil {
		t.Fatal(err)
	}
	var each func(n *kong.Node, path []string)
	each = func(n *kong.Node, path []string) {
		if len(path) == 0 || len(n.Children) == 0 {
			out, errs, code := said(t, append(path, "--help")...)
			if code != 0 || errs != "" {
				t.Errorf("%v --help: exit code %d, %s", path, code, errs)
			}
			if len(path) > 0 && !strings.Contains(out, "Example") {
				t.Errorf("%v --help has no example", path)
			}
			fmt.Fprintf(&b, "## %s\n\n```\n%s```\n\n", strings.Join(append([]string{"milepost"}, path...), " "), out)
		}
		for _, c := range n.Children {
			each(c, append(path[:len(path):len(path)], c.Name))
		}
	}
	each(k.Model.Node, nil)
	got := strings.TrimRight(b.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(cliDoc, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(cliDoc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what --help says; run with -update (-file +help):\n%s", cliDoc, diff)
	}
}

// TestCompletion asks bash itself what it would complete, and the other
// shells, where they are, whether they understand their script.
func TestCompletion(t *testing.T) {
	script := func(shell string) string {
		out, errs, code := said(t, "completion", shell)
		if code != 0 || errs != "" {
			t.Fatalf("exit code %d, %s", code, errs)
		}
		return out
	}
	t.Run("bash", func(t *testing.T) {
		bash, err := exec.LookPath("bash")
		if err != nil {
			t.Skip("no bash on this machine")
		}
		for _, tt := range []struct {
			typed []string
			has   []string
			not   []string
		}{
			{[]string{""}, []string{"import", "carriers", "version", "--config"}, []string{"list", "--merchant"}},
			{[]string{"ca"}, []string{"carriers"}, []string{"keys"}},
			{[]string{"carriers", ""}, []string{"list", "decode"}, []string{"import", "create"}},
			{[]string{"keys", "create", "--"}, []string{"--merchant", "--scopes", "--store", "--log-level"}, []string{"--postcode"}},
			{[]string{"import", "--log-format", ""}, []string{"text", "json"}, []string{"--map"}},
			{[]string{"completion", "z"}, []string{"zsh"}, []string{"bash"}},
		} {
			t.Run(strings.Join(tt.typed, " "), func(t *testing.T) {
				words := "milepost"
				for _, w := range tt.typed {
					words += fmt.Sprintf(" %q", w)
				}
				cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c",
					script("bash")+"\nCOMP_WORDS=("+words+")\nCOMP_CWORD="+strconv.Itoa(len(tt.typed))+"\n_milepost\nprintf '%s\\n' \"${COMPREPLY[@]}\"")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				got := map[string]bool{}
				for _, w := range strings.Fields(string(out)) {
					got[w] = true
				}
				for _, w := range tt.has {
					if !got[w] {
						t.Errorf("%s is not offered: %s", w, out)
					}
				}
				for _, w := range tt.not {
					if got[w] {
						t.Errorf("%s is offered", w)
					}
				}
			})
		}
	})
	for shell, check := range map[string][]string{"zsh": {"-n"}, "fish": {"--no-execute"}} {
		t.Run(shell, func(t *testing.T) {
			s := script(shell)
			if !strings.Contains(s, "all-or-nothing") || !strings.Contains(s, "decode") {
				t.Error("a flag or a command is missing")
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("no %s on this machine to read its script", shell)
			}
			cmd := exec.CommandContext(t.Context(), path, append(check, "/dev/stdin")...)
			cmd.Stdin = strings.NewReader(s)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestErrorsAreOneLine holds every mistake on the command line to one line
// that names the flag, and to the exit code of wrong usage.
func TestErrorsAreOneLine(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"frobnicate"}, "unexpected argument frobnicate"},
		{[]string{"import", "x.csv"}, "--merchant=NAME"},
		{[]string{"import", "x.csv", "--merchant", "a", "--dry-run", "--all-or-nothing"}, "--dry-run and --all-or-nothing contradict"},
		{[]string{"import", "x.csv", "--merchant", "a", "--map", "nowhere.yaml"}, "--map"},
		{[]string{"seed", "--shipments", "0"}, "--shipments: 0 is not between"},
		{[]string{"seed", "--shipments", "many"}, "--shipments"},
		{[]string{"seed", "--shipments", "-5"}, `--shipments: expected int value but got "-5"; perhaps try --shipments="-5"`},
		{[]string{"seed", "--shipments=-5"}, "--shipments: -5 is not between"},
		{[]string{"serve", "--drain-timeout=-5s"}, "--drain-timeout: -5s lies in the past"},
		{[]string{"replay", "--since", "yesterday"}, `--since: "yesterday" is not a day`},
		{[]string{"replay", "--carrier", "acme"}, "--carrier"},
		{[]string{"keys", "create", "--merchant", "a", "--scopes", "everything"}, "--scopes"},
		{[]string{"completion", "tcsh"}, "tcsh"},
		{[]string{"version", "--log-level", "loud"}, "--log-level"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Setenv("MILEPOST_STORE", "sqlite:"+t.TempDir()+"/m.db")
			out, errs, code := said(t, tt.args...)
			if code != exitUsage || out != "" {
				t.Errorf("exit code %d, want %d; stdout %q", code, exitUsage, out)
			}
			if strings.Count(errs, "\n") != 1 || !strings.Contains(errs, tt.want) {
				t.Errorf("stderr %q, want one line with %q", errs, tt.want)
			}
		})
	}
}

// TestFullDisk says what a verb tells whose database cannot grow: which file it
// is, and what to look at.
func TestFullDisk(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine to limit the size of files")
	}
	for _, tt := range []struct{ name, blocks, want string }{
		{"while opening", "40", "milepost: --store: storage: "},
		{"while migrating", "150", "milepost: --store: storage: "},
		{"while writing", "2000", "milepost: after "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := t.TempDir() + "/m.db"
			cmd := exec.CommandContext(t.Context(), sh, "-c", `ulimit -f `+tt.blocks+` && exec "$0" "$@"`, program(t), "seed", "--shipments", "3000", "--log-level", "error", "--store", "sqlite:"+file)
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitFault {
				t.Fatalf("%v: %s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			last := strings.ReplaceAll(lines[len(lines)-1], file, "FILE")
			if !strings.HasPrefix(last, tt.want) || !strings.Contains(last, "sqlite:FILE") || !strings.Contains(last, "ulimit -f") {
				t.Errorf("it says %q", last)
			}
		})
	}
}

// TestInterrupted says what a verb that is told to stop does: it stops.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var o, e bytes.Buffer
	code := run(ctx, []string{"seed", "--shipments", "5000", "--store", "sqlite:" + t.TempDir() + "/m.db"}, &console{out: &o, err: &e, wall: clock.Wall()})
	if code != exitFault {
		t.Errorf("exit code %d, want %d: %s", code, exitFault, e.String())
	}
}
