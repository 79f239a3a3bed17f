package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/internal/config"
)

// machine is what a file can reach: other files, and the environment.
type machine struct {
	files map[string]string
	env   map[string]string
}

func (m machine) load(path string) (*config.File, error) {
	return config.Load(path,
		func(name string) string { return m.env[name] },
		func(path string) ([]byte, error) {
			if data, ok := m.files[path]; ok {
				return []byte(data), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		})
}

func TestLoadAccounts(t *testing.T) {
	m := machine{
		files: map[string]string{
			"etc/milepost.yaml": `
listen: 127.0.0.1:8080   # known only to the flags
accounts:
  - carrier: ups
    settings:
      client_id: 0012
      client_secret_env: UPS_SECRET
      sandbox: true
      note: "quoted: # not a comment"
      empty:
  - carrier: russian-post
    name: second
    merchant: aurora
    base-url: https://tracking.example/rtm34
    endpoint: 3f9c2a77d01b4e56
    settings: {password_file: secrets/post, login_file: /run/login}
  - carrier: upu-postal
    merchant:
`,
			"etc/secrets/post": "two words \r\n",
			"/run/login":       "post-login",
		},
		env: map[string]string{"UPS_SECRET": "sesame"},
	}
	f, err := m.load("etc/milepost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Account{
		{Carrier: "ups", Name: "main", Line: 4, Settings: config.Settings{
			"client_id": "0012", "client_secret": "sesame", "sandbox": "true",
			"note": "quoted: # not a comment", "empty": "",
		}},
		{Carrier: "russian-post", Name: "second", Merchant: "aurora", Line: 11,
			BaseURL: "https://tracking.example/rtm34", Endpoint: "3f9c2a77d01b4e56",
			Settings: config.Settings{"password": "two words ", "login": "post-login"}},
		{Carrier: "upu-postal", Name: "main", Line: 17, Settings: config.Settings{}},
	}
	plain := cmp.Transformer("plain", func(s config.Settings) map[string]string { return s })
	if diff := cmp.Diff(want, f.Accounts, plain); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}

func TestLoadQuota(t *testing.T) {
	data := "accounts:\n  - carrier: ups\n    quota:\n      per_second: 0.5\n      burst: 3\n      calls: 20000\n      window: 24h\n  - {carrier: dpd, quota: {per-second: 5}}\n  - {carrier: gls, quota: }\n"
	f, err := machine{files: map[string]string{"m.yaml": data}}.load("m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := []*config.Quota{f.Accounts[0].Quota, f.Accounts[1].Quota, f.Accounts[2].Quota}
	want := []*config.Quota{{PerSecond: 0.5, Burst: 3, Calls: 20000, Window: 24 * time.Hour}, {PerSecond: 5}, nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("quotas (-want +got):\n%s", diff)
	}
}

func TestLoadWithoutAccounts(t *testing.T) {
	for name, data := range map[string]string{
		"empty":            "",
		"only a comment":   "# nothing yet\n",
		"marked":           "---\nlisten: :8080\n",
		"accounts of none": "accounts:\n",
		"empty list":       "accounts: []\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := machine{files: map[string]string{"m.yaml": data}}.load("m.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Accounts) != 0 {
				t.Errorf("accounts: %v", f.Accounts)
			}
		})
	}
	f, err := config.Load("", nil, nil)
	if err != nil || len(f.Accounts) != 0 {
		t.Errorf("no path: %v, %v", f, err)
	}
}

func TestLoadTellsWhereAndWhat(t *testing.T) {
	const account = "accounts:\n  - carrier: ups\n    settings:\n"
	tests := []struct {
		name, data string
		want       []string // one line each
	}{
		{"unknown key of an account", "accounts:\n  - carier: ups\n",
			[]string{
				`m.yaml:2: unknown key "carier"; did you mean "carrier"?`,
				`m.yaml:2: the account names no carrier`,
			}},
		{"key like nothing known", "accounts:\n  - carrier: ups\n    frequency: 3\n",
			[]string{`m.yaml:3: unknown key "frequency"`}},
		{"carrier missing", "accounts:\n  - name: main\n",
			[]string{`m.yaml:2: the account names no carrier`}},
		{"accounts not a list", "\naccounts: {carrier: ups}\n",
			[]string{`m.yaml:2: accounts must be a list, each with its carrier`}},
		{"account not keys", "accounts:\n  - ups\n",
			[]string{`m.yaml:2: an account must have keys and values, such as carrier: ups`}},
		{"account named twice", "accounts:\n  - carrier: ups\n  - carrier: dpd\n  - {carrier: ups, name: main}\n",
			[]string{`m.yaml:4: ups has an account named "main" already, at line 2; give each a name of its own, whatever merchants have them`}},
		{"two merchants' accounts with one name", "accounts:\n  - {carrier: ups, merchant: aurora}\n  - {carrier: ups, merchant: borealis}\n  - {carrier: ups, merchant: borealis, name: borealis}\n",
			[]string{`m.yaml:3: ups has an account named "main" already, at line 2; give each a name of its own, whatever merchants have them`}},
		{"endpoint used twice", "accounts:\n  - {carrier: ups, endpoint: abcdefgh}\n  - {carrier: dpd, endpoint: abcdefgh}\n",
			[]string{`m.yaml:3: the endpoint is that of the account at line 2`}},
		{"endpoint short", "accounts:\n  - {carrier: ups, endpoint: abc}\n",
			[]string{`m.yaml:2: endpoint must be 8 to 128 of the characters a-z A-Z 0-9 - _`}},
		{"base url with a password", "accounts:\n  - {carrier: ups, base_url: 'https://u:sesame@host/'}\n",
			[]string{`m.yaml:2: base_url must be an absolute http or https address without user, query or fragment`}},
		{"name a list", "accounts:\n  - carrier: ups\n    name: [a]\n",
			[]string{`m.yaml:3: name must be a single value`}},
		{"quota without keys", "accounts:\n  - carrier: ups\n    quota: 5\n",
			[]string{`m.yaml:3: quota must have keys and values, such as calls: 500 and window: 24h`}},
		{"quota that says nothing", "accounts:\n  - carrier: ups\n    quota: {}\n",
			[]string{`m.yaml:3: quota says nothing; give per_second and burst, calls and window, or leave it out`}},
		{"quota of half a budget", "accounts:\n  - carrier: ups\n    quota:\n      calls: 5\n  - carrier: dpd\n    quota:\n      window: 5h\n",
			[]string{
				`m.yaml:4: quota: calls needs a window beside it, such as window: 24h`,
				`m.yaml:7: quota: window needs calls beside it, such as calls: 500`,
			}},
		{"quota of nonsense", "accounts:\n  - carrier: ups\n    quota:\n      per-second: fast\n      burst: 1.5\n      calls: -1\n      window: 1\n      call: 3\n      window_s: [a]\n",
			[]string{
				`m.yaml:4: quota: per_second must be a number of calls above 0 and at most 10000, such as 5 or 0.2`,
				`m.yaml:5: quota: burst must be a whole number from 1 to 10000`,
				`m.yaml:6: quota: calls must be a whole number from 1 to 1000000000`,
				`m.yaml:7: quota: window must be a time from 1s to 2208h, such as 1h or 24h`,
				`m.yaml:8: unknown key "call" in quota; did you mean "calls"?`,
				`m.yaml:9: unknown key "window_s" in quota; did you mean "window"?`,
			}},
		{"burst without a rate", "accounts:\n  - carrier: ups\n    quota: {burst: 5}\n",
			[]string{`m.yaml:3: quota: burst needs per_second beside it, such as per_second: 5`}},
		{"settings a list", "accounts:\n  - carrier: ups\n    settings: [a]\n",
			[]string{`m.yaml:3: settings must have keys and values`}},
		{"setting a list", account + "      id: [a]\n",
			[]string{`m.yaml:4: setting id must be a single value`}},
		{"variable not set", account + "      secret_env: NOWHERE\n",
			[]string{`m.yaml:4: setting secret: the environment has no NOWHERE`}},
		{"variable not named", account + "      secret_env:\n",
			[]string{`m.yaml:4: setting secret: secret_env names no variable`}},
		{"file not there", account + "      secret_file: nowhere\n",
			[]string{`m.yaml:4: setting secret: open nowhere: file does not exist`}},
		{"file not named", account + "      secret_file:\n",
			[]string{`m.yaml:4: setting secret: secret_file names no file`}},
		{"file empty", account + "      secret_file: blank\n",
			[]string{`m.yaml:4: setting secret: blank is empty`}},
		{"file huge", account + "      secret_file: huge\n",
			[]string{`m.yaml:4: setting secret: huge is longer than 65536 bytes`}},
		{"given twice", account + "      secret: sesame\n      secret_env: SET\n",
			[]string{`m.yaml:5: setting secret is given twice, by secret and by secret_env`}},
		{"key twice", "listen: a\nlisten: b\n",
			[]string{`m.yaml:2: mapping key "listen" already defined at [1:1]`}},
		{"not yaml", "listen: [a\n",
			[]string{`m.yaml:1: sequence end token ']' not found`}},
		{"not keys", "- a\n",
			[]string{`m.yaml:1: the file must be made of keys and values, such as listen: 127.0.0.1:8080`}},
		{"two documents", "a: 1\n---\nb: 2\n",
			[]string{`m.yaml:3: a second document; the file must be one`}},
		{"alias", "a: &x 1\nb: *x\n",
			[]string{
				`m.yaml:1: anchors, aliases and merges are not taken; write the value out`,
				`m.yaml:2: anchors, aliases and merges are not taken; write the value out`,
			}},
		{"tag", "a: !!binary Zm9v\n",
			[]string{`m.yaml:1: tags are not taken; values are read as written`}},
		{"nested in flow", "a: " + strings.Repeat("[", 100_000),
			[]string{`m.yaml:1: nested more than 16 deep`}},
		{"nested on a line", strings.Repeat("- ", 100_000) + "a",
			[]string{`m.yaml:1: nested more than 16 deep`}},
		{"nested by indentation", func() string {
			var b strings.Builder
			for i := range 20 {
				fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
			}
			return b.String()
		}(), []string{`m.yaml:17: nested more than 16 deep`}},
		{"huge", strings.Repeat("#", config.MaxFileBytes+1),
			[]string{`m.yaml: longer than 1048576 bytes`}},
		{"many mistakes", "accounts:\n" + strings.Repeat("  - x\n", 30), append(
			strings.Split(strings.TrimSpace(func() string {
				var b strings.Builder
				for i := range 20 {
					fmt.Fprintf(&b, "m.yaml:%d: an account must have keys and values, such as carrier: ups\n", i+2)
				}
				return b.String()
			}()), "\n"), "m.yaml: and 10 more")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := machine{
				files: map[string]string{"m.yaml": tt.data, "blank": "\n", "huge": strings.Repeat("x", config.MaxSecretBytes+1)},
				env:   map[string]string{"SET": "sesame"},
			}
			f, err := m.load("m.yaml")
			if err == nil {
				t.Fatalf("no error; accounts %v", f.Accounts)
			}
			if diff := cmp.Diff(tt.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Error("the error tells a secret")
			}
			var p *config.Problem
			if !errors.As(err, &p) || p.Path != "m.yaml" {
				t.Errorf("no Problem of m.yaml in %v", err)
			}
		})
	}
}

func TestLoadOfNoFile(t *testing.T) {
	_, err := machine{}.load("nowhere.yaml")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.yaml")
	for _, tt := range []struct {
		name  string
		size  int
		taken bool
	}{
		{"as long as may be", config.MaxFileBytes, true},
		{"a byte longer", config.MaxFileBytes + 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("#"), tt.size), 0o600); err != nil {
				t.Fatal(err)
			}
			data, err := config.ReadFile(path)
			if (err == nil) != tt.taken || tt.taken && len(data) != tt.size {
				t.Errorf("%d bytes, error %v", len(data), err)
			}
		})
	}
}

// TestNothingShowsASecret prints an account in every way that a hurried hand
// might use.
func TestNothingShowsASecret(t *testing.T) {
	a := config.Account{Carrier: "ups", Name: "main", Settings: config.Settings{"client_secret": "sesame"}}
	f := &config.File{Accounts: []config.Account{a}}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for name, v := range map[string]any{"account": a, "pointer": &a, "settings": a.Settings, "accounts": f.Accounts, "file": f, "wrapped": struct{ A config.Account }{a}} {
			shown[verb+" "+name] = fmt.Sprintf(verb, v)
		}
	}
	for name, h := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(h(&b)).Info("", "account", a, "accounts", f.Accounts, "settings", a.Settings, "pointer", &a)
		shown["log as "+name] = b.String()
	}
	if data, err := json.Marshal(f); err != nil {
		t.Error(err)
	} else {
		shown["json"] = string(data)
	}
	for how, out := range shown {
		if strings.Contains(out, "sesame") || strings.Contains(out, fmt.Sprintf("%x", "sesame")) {
			t.Errorf("%s: %s", how, out)
		}
	}
	if got, want := a.Settings.String(), "{client_secret:[redacted]}"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got, want := (config.Account{Carrier: "ups", Name: "main", Merchant: "aurora"}).String(), "ups/main of aurora"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("accounts:\n  - carrier: ups\n    settings: {a_env: X, b_file: y, c: |\n two}\n")
	f.Add("a: &x [1, {b: !!str c}]\n? d\n: *x\n<<: e\n---\n...")
	f.Add("listen: \"\\u0000\"\r\n\t- 'x'\n# c\n>-\n y")
	f.Fuzz(func(t *testing.T, data string) {
		file, err := config.Load("m.yaml",
			func(string) string { return "sesame" },
			func(string) ([]byte, error) { return []byte(data), nil })
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v, error %v", file, err)
		}
		if err == nil {
			for _, a := range file.Accounts {
				if a.Carrier == "" || a.Name == "" || a.Settings == nil || a.Line < 1 {
					t.Errorf("account %#v", a)
				}
			}
		}
	})
}
