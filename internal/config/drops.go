package config

import (
	"log/slog"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The ways in which a drop ends a file; see [Drop.Done].
const (
	DoneLeave  = "leave"
	DoneMove   = "move"
	DoneDelete = "delete"
)

// namePart stands in [Drop.Semaphore] for the name of a file.
const namePart = "{name}"

// Drop is a place in which a carrier leaves files:
//
//	drops:
//	  - carrier: dpd-sftp
//	    account: main
//	    sftp: sftp://dpd@ftp.example/out
//	    host_key: ssh-ed25519 AAAAC3...
//	    password_env: DPD_PASSWORD
//	    match: SCANINFO_*
//	    every: 15m
//	    done: move
//
// Printing or logging one shows no secret.
type Drop struct {
	// Name in logs and metrics, and of the verb that tries it; the carrier's
	// name and the account's, if not given.
	Name string
	// Carrier and Account through which the files come: one of File.Accounts.
	Carrier, Account string
	// Folder is an absolute path of this machine, SFTP an address as
	// sftp://user@host:port/path; one of them is set.
	Folder, SFTP string
	// HostKey is how the SFTP server is known.
	HostKey string
	// Secrets are password, private_key and passphrase, as far as given; never
	// nil after Load.
	Secrets Settings
	// Every is the time between two looks; 0 if not given.
	Every time.Duration
	// Match is the pattern of names to read; Semaphore the name of the file that
	// says that {name} is complete. Both may be empty.
	Match, Semaphore string
	// Done is leave, move or delete, DoneFolder the name of the folder for move.
	Done, DoneFolder string
	// MaxBytes is how long a file may be; 0 if not given.
	MaxBytes int64
	// Line is where in the file the drop begins.
	Line int
}

// String is the drop's name.
func (d Drop) String() string { return d.Name }

// GoString implements [fmt.GoStringer].
func (d Drop) GoString() string { return "config.Drop{" + d.Name + "}" }

// LogValue implements [slog.LogValuer].
func (d Drop) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", d.Name), slog.String("carrier", d.Carrier), slog.String("account", d.Account),
		slog.String("folder", d.Folder), slog.String("sftp", d.SFTP), slog.Any("secrets", d.Secrets))
}

// drops reads the section, once the accounts are known.
func (l *loader) drops(section entry, accounts []Account) []Drop {
	if section.value.kind != list {
		if section.value.kind != nothing {
			l.add(section.line, "drops must be a list, each with its carrier and its folder")
		}
		return nil
	}
	var out []Drop
	names, places := map[string]int{}, map[[3]string]int{}
	for _, item := range section.value.items {
		d, ok := l.drop(item, accounts)
		if !ok {
			continue
		}
		if line, twice := names[d.Name]; twice {
			l.add(d.Line, "a drop at line %d has the name %q already; give this one a name of its own", line, d.Name)
		}
		place := [3]string{d.Carrier, d.Account, d.Folder + d.SFTP}
		if line, twice := places[place]; twice {
			l.add(d.Line, "the drop at line %d watches the same folder for the same account", line)
		}
		names[d.Name], places[place] = d.Line, d.Line
		out = append(out, d)
	}
	return out
}

func (l *loader) drop(item value, accounts []Account) (Drop, bool) {
	d := Drop{Account: DefaultAccountName, Secrets: Settings{}, Line: item.line}
	if item.kind != section {
		l.add(item.line, "a drop must have keys and values, such as carrier: dpd-sftp")
		return d, false
	}
	before := len(l.all) + l.more
	var every, size string
	texts := map[string]*string{
		"name": &d.Name, "carrier": &d.Carrier, "account": &d.Account, "folder": &d.Folder, "sftp": &d.SFTP, "host_key": &d.HostKey,
		"every": &every, "match": &d.Match, "semaphore": &d.Semaphore, "done": &d.Done, "done_folder": &d.DoneFolder, "max_bytes": &size,
	}
	known := []string{"password_env", "password_file", "private_key_env", "private_key_file", "passphrase_env", "passphrase_file"}
	for k := range texts {
		known = append(known, k)
	}
	lines := map[string]int{}
	var secrets []entry
	named := false // credentials, be they right or wrong
	for _, e := range item.entries {
		key := strings.ReplaceAll(e.key, "-", "_")
		stem, _, _ := strings.Cut(strings.ReplaceAll(key, "_env", "_file"), "_file")
		to, isText := texts[key]
		switch {
		case stem == "password" || stem == "private_key" || stem == "passphrase":
			e.key = key
			named = named || stem != "passphrase"
			if key == stem {
				l.add(e.line, "%s stands in the file for anyone to read; give %s_env or %s_file", e.key, stem, stem)
				continue
			}
			secrets = append(secrets, e)
		case !isText:
			l.add(e.line, "unknown key %q%s", e.key, suggest(e.key, known))
		case e.value.kind == text:
			*to, lines[key] = e.value.text, e.line
		case e.value.kind != nothing:
			l.add(e.line, "%s must be a single value", e.key)
		}
	}
	l.settings(d.Secrets, entry{key: "drop", line: item.line, value: value{kind: section, line: item.line, entries: secrets}})
	at := func(key string) int {
		if n := lines[key]; n > 0 {
			return n
		}
		return item.line
	}
	l.dropPlace(&d, at, named)
	l.dropAccount(&d, at, accounts)
	if every != "" {
		var err error
		if d.Every, err = time.ParseDuration(every); err != nil || d.Every < 5*time.Second || d.Every > 24*time.Hour {
			l.add(at("every"), "every must be a time between 5s and 24h, such as 15m")
		}
	}
	if size != "" {
		var err error
		if d.MaxBytes, err = strconv.ParseInt(size, 10, 64); err != nil || d.MaxBytes < 1 {
			l.add(at("max_bytes"), "max_bytes must be a number of bytes above zero")
		}
	}
	if _, err := path.Match(d.Match, "x"); err != nil {
		l.add(at("match"), "match must be a pattern such as SCANINFO_*")
	}
	if d.Semaphore != "" && (!strings.Contains(d.Semaphore, namePart) || d.Semaphore == namePart || strings.ContainsAny(d.Semaphore, `/\`)) {
		l.add(at("semaphore"), "semaphore must be a name with %s in it, such as %s.SEM", namePart, namePart)
	}
	switch d.Done {
	case "":
		d.Done = DoneLeave
	case DoneLeave, DoneMove, DoneDelete:
	default:
		l.add(at("done"), "done must be leave, move or delete")
	}
	if d.DoneFolder != "" && (d.Done != DoneMove || strings.ContainsAny(d.DoneFolder, `/\`) || strings.HasPrefix(d.DoneFolder, ".")) {
		l.add(at("done_folder"), "done_folder is the name of a folder inside the dropped one, and goes with done: move")
	}
	return d, len(l.all)+l.more == before
}

// dropPlace checks where the files lie. Credentials that were named and are not
// there have been told already.
func (l *loader) dropPlace(d *Drop, at func(string) int, named bool) {
	switch {
	case d.Folder == "" && d.SFTP == "":
		l.add(d.Line, "the drop names no place; give folder or sftp")
	case d.Folder != "" && d.SFTP != "":
		l.add(at("sftp"), "the drop names two places; give folder or sftp")
	case d.Folder != "":
		if !filepath.IsAbs(d.Folder) {
			d.Folder = filepath.Join(l.folder, d.Folder)
		}
		if abs, err := filepath.Abs(d.Folder); err == nil {
			d.Folder = abs
		}
		if d.HostKey != "" || len(d.Secrets) > 0 {
			l.add(d.Line, "host_key, passwords and keys are for sftp; a folder of this machine takes none")
		}
	default:
		u, err := url.Parse(d.SFTP)
		if err != nil || u.Scheme != "sftp" || u.Hostname() == "" || u.User.Username() == "" || u.RawQuery != "" || u.Fragment != "" {
			l.add(at("sftp"), "sftp must be an address as sftp://user@host:port/path")
			return
		}
		if _, shown := u.User.Password(); shown {
			l.add(at("sftp"), "the address shows a password; give password_env or password_file")
		}
		if d.HostKey == "" {
			l.add(d.Line, "host_key is missing: without it nobody knows who answers at %s; ssh-keyscan %s shows it, and the carrier confirms it", u.Host, u.Hostname())
		}
		if !named {
			l.add(d.Line, "give password_env, password_file, private_key_env or private_key_file")
		}
	}
}

// dropAccount checks that the files have an account to come through.
func (l *loader) dropAccount(d *Drop, at func(string) int, accounts []Account) {
	if d.Account == "" {
		d.Account = DefaultAccountName
	}
	if d.Carrier == "" {
		l.add(d.Line, "the drop names no carrier")
		return
	}
	if d.Name == "" {
		d.Name = d.Carrier + "/" + d.Account
	}
	for i := range accounts {
		if accounts[i].Carrier == d.Carrier && accounts[i].Name == d.Account {
			return
		}
	}
	l.add(at("account"), "there is no account %s/%s; add it to accounts", d.Carrier, d.Account)
}
