package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/internal/config"
)

const dpdAccounts = "accounts:\n  - carrier: dpd-sftp\n  - carrier: dpd-sftp\n    name: uk\ndrops:\n"

func loadDrops(drops string) (*config.File, error) {
	env := map[string]string{"DPD_PASSWORD": "hunter-7"}
	files := map[string]string{"/etc/milepost/milepost.yaml": dpdAccounts + drops, "/etc/milepost/dpd.key": "-----BEGIN KEY-----\n"}
	return config.Load("/etc/milepost/milepost.yaml", func(name string) string { return env[name] }, func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("no such file")
	})
}

func TestDrops(t *testing.T) {
	f, err := loadDrops(`
  - carrier: dpd-sftp
    sftp: sftp://dpd@ftp.example:2222/out
    host-key: ssh-ed25519 AAAA
    password_env: DPD_PASSWORD
    private_key_file: dpd.key
    match: SCANINFO_*
    semaphore: "{name}.SEM"
    every: 15m
    done: move
    done_folder: taken
    max_bytes: 1000000
  - carrier: dpd-sftp
    name: by hand
    account: uk
    folder: inbox
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Drop{
		{Name: "dpd-sftp/main", Carrier: "dpd-sftp", Account: "main", SFTP: "sftp://dpd@ftp.example:2222/out", HostKey: "ssh-ed25519 AAAA",
			Secrets: config.Settings{"password": "hunter-7", "private_key": "-----BEGIN KEY-----"}, Every: 15 * time.Minute,
			Match: "SCANINFO_*", Semaphore: "{name}.SEM", Done: "move", DoneFolder: "taken", MaxBytes: 1_000_000, Line: 7},
		{Name: "by hand", Carrier: "dpd-sftp", Account: "uk", Folder: "/etc/milepost/inbox", Secrets: config.Settings{}, Done: "leave", Line: 18},
	}
	if d := cmp.Diff(want, f.Drops); d != "" {
		t.Error(d)
	}
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v", f.Drops[0], f.Drops[0], f.Drops[0]), f.Drops[0].LogValue().String()} {
		if strings.Contains(shown, "hunter-7") || strings.Contains(shown, "BEGIN KEY") {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

// TestSecretsOfDropsAreMissedOnce: who names a password that is not there is
// not asked to name one.
func TestSecretsOfDropsAreMissedOnce(t *testing.T) {
	const place = "  - carrier: dpd-sftp\n    sftp: sftp://dpd@ftp.example/out\n    host_key: k\n"
	for _, tt := range []struct{ name, secret, want string }{
		{"variable", "password_env: NOT_SET", "/etc/milepost/milepost.yaml:9: setting password: the environment has no NOT_SET"},
		{"in the file", "password: hunter-7", "/etc/milepost/milepost.yaml:9: password stands in the file for anyone to read; give password_env or password_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadDrops(place + "    " + tt.secret + "\n")
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
	// A passphrase alone opens nothing.
	if _, err := loadDrops(place + "    passphrase_env: NOT_SET\n"); err == nil || !strings.Contains(err.Error(), ":6: give password_env") {
		t.Errorf("got %v", err)
	}
}

func TestBadDrops(t *testing.T) {
	const good = "  - carrier: dpd-sftp\n    folder: inbox\n"
	const sftp = "  - carrier: dpd-sftp\n    sftp: sftp://dpd@ftp.example/out\n    host_key: k\n    password_env: DPD_PASSWORD\n"
	for _, tt := range []struct{ name, drops, want string }{
		{"no list", "  folder: inbox\n", ":5: drops must be a list"},
		{"no section", "  - inbox\n", ":6: a drop must have keys and values"},
		{"unknown key", good + "    evry: 5m\n", `:8: unknown key "evry"; did you mean "every"?`},
		{"no carrier", "  - folder: inbox\n", ":6: the drop names no carrier"},
		{"no place", "  - carrier: dpd-sftp\n", ":6: the drop names no place; give folder or sftp"},
		{"two places", sftp + "    folder: inbox\n", ":7: the drop names two places"},
		{"no such account", good + "    account: nl\n", ":8: there is no account dpd-sftp/nl; add it to accounts"},
		{"no account at that carrier", "  - carrier: upu-postal\n    folder: inbox\n", ":6: there is no account upu-postal/main"},
		{"no host key", strings.Replace(sftp, "    host_key: k\n", "", 1), ":6: host_key is missing"},
		{"no credentials", strings.Replace(sftp, "    password_env: DPD_PASSWORD\n", "", 1), ":6: give password_env"},
		{"password in the file", strings.Replace(sftp, "password_env: DPD_PASSWORD", "password: hunter-7", 1), ":9: password stands in the file"},
		{"password in the address", strings.Replace(sftp, "dpd@", "dpd:hunter-7@", 1), ":7: the address shows a password"},
		{"no such variable", strings.Replace(sftp, "DPD_PASSWORD", "NOT_SET", 1), ":9: setting password: the environment has no NOT_SET"},
		{"no such key file", sftp + "    private_key_file: other.key\n", ":10: setting private_key"},
		{"other protocol", strings.Replace(sftp, "sftp://", "ftp://", 1), ":7: sftp must be an address"},
		{"secrets of a folder", good + "    password_env: DPD_PASSWORD\n", ":6: host_key, passwords and keys are for sftp"},
		{"every", good + "    every: 1s\n", ":8: every must be a time between 5s and 24h"},
		{"every in words", good + "    every: often\n", ":8: every must be"},
		{"size", good + "    max_bytes: 1GB\n", ":8: max_bytes must be a number"},
		{"pattern", good + "    match: \"[\"\n", ":8: match must be a pattern"},
		{"semaphore", good + "    semaphore: ready\n", ":8: semaphore must be a name with {name}"},
		{"semaphore elsewhere", good + "    semaphore: ../{name}\n", ":8: semaphore must be"},
		{"done", good + "    done: burn\n", ":8: done must be leave, move or delete"},
		{"done folder elsewhere", good + "    done: move\n    done_folder: ../out\n", ":9: done_folder is the name"},
		{"done folder for nothing", good + "    done_folder: out\n", ":8: done_folder is the name"},
		{"name twice", good + "  - carrier: dpd-sftp\n    folder: other\n", `:8: a drop at line 6 has the name "dpd-sftp/main" already`},
		{"place twice", good + "  - carrier: dpd-sftp\n    name: b\n    folder: inbox\n", ":8: the drop at line 6 watches the same folder"},
		{"list as a value", good + "    match: [a, b]\n", ":8: match must be a single value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadDrops(tt.drops)
			if err == nil || !strings.Contains(err.Error(), "/etc/milepost/milepost.yaml"+tt.want) {
				t.Errorf("got %v\nwant %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter-7") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}
