package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/internal/config"
)

type flags struct {
	Listen    string            `default:"127.0.0.1:8080" env:"MILEPOST_LISTEN"`
	LogFormat string            `default:"text" enum:"text,json"`
	Origins   []string          `placeholder:"ORIGIN"`
	Waits     []time.Duration   ``
	Paths     []string          `sep:"none"`
	Labels    map[string]string ``
	Drain     time.Duration     `default:"10s"`
}

type demo struct {
	Speed  float64 `default:"1"`
	Hidden bool    `negatable:""`
}

type commandLine struct {
	config.Source
	flags
	Serve struct{} `cmd:""`
	Demo  demo     `cmd:""`
	Keys  struct {
		Create struct {
			Scopes []string
		} `cmd:""`
	} `cmd:""`
}

// parse runs the command line with data as its configuration file.
func parse(t *testing.T, data string, args ...string) (commandLine, *config.File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, path, append(args, "--config", path)...)
}

func run(t *testing.T, path string, args ...string) (commandLine, *config.File, error) {
	t.Helper()
	var c commandLine
	k, err := kong.New(&c, kong.Exit(func(int) { t.Error("kong exits") }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := k.Parse(args)
	if err != nil {
		return c, nil, err
	}
	var file *config.File
	if _, err := ctx.Call(func(f *config.File) { file = f }); err != nil {
		t.Fatal(err)
	}
	if file.Path != path {
		t.Errorf("bound the file %q, want %q", file.Path, path)
	}
	c.Config = ""
	return c, file, nil
}

func TestFlagsBeatEnvironmentBeatsFile(t *testing.T) {
	const file = "listen: file:1\ndemo: {listen: demo:1}\n"
	tests := []struct {
		name string
		env  string
		args []string
		want string
	}{
		{"file", "", []string{"serve"}, "file:1"},
		{"section of the command", "", []string{"demo"}, "demo:1"},
		{"environment", "env:1", []string{"demo"}, "env:1"},
		{"flag", "env:1", []string{"demo", "--listen=flag:1"}, "flag:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env != "" {
				t.Setenv("MILEPOST_LISTEN", tt.env)
			}
			c, _, err := parse(t, file, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			if c.Listen != tt.want {
				t.Errorf("listen = %s, want %s", c.Listen, tt.want)
			}
		})
	}
}

func TestFileSetsFlagsOfEveryKind(t *testing.T) {
	c, file, err := parse(t, `
listen:
log_format: json
origins: [https://a.example, "https://b.example/x,y"]
waits: [1s, 2m]
paths:
  - /a,b
  - /c
labels: {region: eu, tier: "1"}
drain: 3s
speed: 5
demo:
  speed: 17280
  hidden: yes
keys:
  create:
    scopes: a,b
accounts:
  - carrier: ups
`, "demo")
	if err != nil {
		t.Fatal(err)
	}
	want := commandLine{
		flags: flags{
			Listen: "127.0.0.1:8080", LogFormat: "json",
			Origins: []string{"https://a.example", "https://b.example/x,y"},
			Waits:   []time.Duration{time.Second, 2 * time.Minute},
			Paths:   []string{"/a,b", "/c"},
			Labels:  map[string]string{"region": "eu", "tier": "1"},
			Drain:   3 * time.Second,
		},
		Demo: demo{Speed: 17280, Hidden: true},
	}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(commandLine{})); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if len(file.Accounts) != 1 {
		t.Errorf("accounts: %v", file.Accounts)
	}
}

func TestFileReachesNestedCommands(t *testing.T) {
	c, _, err := parse(t, "scopes: [x]\nkeys:\n  create:\n    scopes: [export, admin]\n", "keys", "create")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"export", "admin"}, c.Keys.Create.Scopes); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
}

func TestFileNamedByTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte("drain: 7s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MILEPOST_CONFIG", path)
	c, _, err := run(t, path, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if c.Drain != 7*time.Second {
		t.Errorf("drain = %v, want 7s", c.Drain)
	}
}

func TestNoFileNeeded(t *testing.T) {
	c, file, err := run(t, "", "serve")
	if err != nil {
		t.Fatal(err)
	}
	if c.Drain != 10*time.Second || len(file.Accounts) != 0 {
		t.Errorf("drain %v, accounts %v", c.Drain, file.Accounts)
	}
}

func TestFileMistakes(t *testing.T) {
	tests := []struct {
		name, data, want string
	}{
		{"unknown key", "listn: x\n", `m.yaml:1: unknown key "listn"; did you mean "listen"?`},
		{"other spelling", "LogFormat: json\n", `m.yaml:1: unknown key "LogFormat"; did you mean "log-format"?`},
		{"misspelt section", "acounts: []\n", `m.yaml:1: unknown key "acounts"; did you mean "accounts"?`},
		{"unknown key of a command", "demo:\n  sped: 3\n", `m.yaml:2: unknown key "sped"; did you mean "speed"?`},
		{"flag of another command", "demo:\n  scopes: x\n", `m.yaml:2: unknown key "scopes"`},
		{"two spellings", "log-format: json\nlog_format: text\n", `m.yaml:2: log_format is set already, at line 1`},
		{"command without flags", "demo: 3\n", `m.yaml:1: demo is a command: give its flags below it`},
		{"config in a file", "config: other.yaml\n", `m.yaml:1: config cannot be set in a file`},
		{"not a duration", "\ndrain: soon\n", `m.yaml:2: --drain`},
		{"not of the enumeration", "log-format: xml\n", `m.yaml:1: log-format must be one of text, json but is "xml"`},
		{"list for a single value", "drain: [1s]\n", `m.yaml:1: drain takes a single value, not a list`},
		{"section for a single value", "drain: {a: b}\n", `m.yaml:1: drain takes a single value, not keys and values`},
		{"list of lists", "origins: [[a]]\n", `m.yaml:1: origins takes a list of single values`},
		{"map of lists", "labels: {a: [b]}\n", `m.yaml:1: labels takes keys with single values`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parse(t, tt.data, "serve")
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
		})
	}
}
