package carriertest_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/carriers/carriertest"
)

// The environment by which this test binary runs itself with a bad adapter.
const (
	envFault = "CARRIERTEST_FAULT"
	envDir   = "CARRIERTEST_DIR"
)

// samples writes the samples of acme, with golden files, to a new folder.
func samples(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, body := range map[string]string{
		"track.json": `{"items":[{"number":"AC100200300","events":[{"code":"PU","time":"2026-11-01T10:00:00+08:00","text":"picked up"},{"code":"XX","time":"2026-11-02T10:00:00+08:00"},{"code":"DL","time":"2026-11-09T10:00:00-03:00","person":"J. SMITH"}]},{"number":"AC100200301","unknown":true}]}`,
		"push.json":  `{"push":{"number":"AC100200300","events":[{"code":"DL","time":"2026-11-09T10:00:00-03:00"}]}}`,
		"file.csv":   "number;code;time\nAC100200300;PU;2026-11-01T10:00:00+08:00\nAC100200300;DL;2026-11-09T10:00:00-03:00\n",
		"notes.txt":  "no payload",
		"exam.json":  `{"personal":["J. SMITH"]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := flag.Lookup("update").Value.String()
	for _, update := range []string{"true", before} {
		if err := flag.Set("update", update); err != nil {
			t.Fatal(err)
		}
		if update == "true" {
			t.Run("write", func(t *testing.T) { carriertest.RunSpec(t, acmeSpec(""), dir) })
		}
	}
	return dir
}

func TestGoodAdapterPasses(t *testing.T) {
	carriertest.RunSpec(t, acmeSpec(""), samples(t))
}

// TestBadAdapter is run by TestBadAdaptersFail in a process of its own.
func TestBadAdapter(t *testing.T) {
	fault := os.Getenv(envFault)
	if fault == "" {
		t.Skip("runs only where TestBadAdaptersFail starts it")
	}
	carriertest.RunSpec(t, acmeSpec(fault), os.Getenv(envDir))
}

// TestBadAdaptersFail holds the exam to finding each fault, in its own words.
func TestBadAdaptersFail(t *testing.T) {
	dir := samples(t)
	for fault, want := range map[string]string{
		"impure":                "another reading",
		"zones":                 "REPORTED without an offset",
		"version":               `of version "2020-01-01"`,
		"code":                  `code "FLYING"`,
		"panics":                "panic runtime error",
		"hides":                 "observations are left",
		"keeps names":           `"J. SMITH" is left after Redact`,
		"personal in words":     "redacted, another reading",
		"redacts again":         "redacted twice",
		"redacts too much":      "redacted, another reading",
		"writes to the payload": "Redact wrote to the payload",
		"batch":                 "4 numbers",
		"strays":                "which are not the carrier",
		"deaf":                  "Fetch goes on after its context is cancelled",
		"logs":                  "the log shows",
		"leaks":                 "an error shows",
		"impatient":             "with the wait of 7s",
		"believes pages":        "page_with_status_200",
		"guesses":               "bad weather reads as an unknown number",
		"trusts":                "a push signed with another secret",
		"nameless lines":        "do not name it",
		"stops at bad lines":    "costs an observation",
		"swallows":              "gives no error",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBadAdapter$", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), envFault+"="+fault, envDir+"="+dir)
			out, err := cmd.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the exam passes it: %v\n%s", err, out)
			}
			if !strings.Contains(string(out), want) {
				t.Errorf("the exam does not say %q:\n%s", want, out)
			}
		})
	}
}
