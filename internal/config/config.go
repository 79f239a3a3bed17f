// Package config reads the configuration file: one YAML file that says what
// flags and the environment (MILEPOST_*) do not, and that lists the accounts
// held at carriers.
//
// A flag beats the environment, which beats the file. Keys are the names of
// the flags; a section named after a command holds for that command alone:
//
//	listen: 127.0.0.1:8080
//	log-format: json
//	demo:
//	  speed: 17280
//	accounts:
//	  - carrier: ups
//	    name: main
//	    endpoint: 3f9c2a77d01b4e56   # webhooks come in at /hooks/ups/3f9c2a77d01b4e56
//	    settings:
//	      client_id: MILEPOST
//	      client_secret_env: UPS_SECRET
//	    quota:                       # by contract; the adapter's own if left out
//	      calls: 20000
//	      window: 24h
//
// Values are taken as they are written, so that an account number keeps its
// leading zeros. Nothing in this package prints the value of a setting.
package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxFileBytes is how long a configuration file may be.
	MaxFileBytes = 1 << 20
	// MaxSecretBytes is how long a secret read from a file may be.
	MaxSecretBytes = 64 << 10
	// DefaultAccountName is the name of an account that gives none.
	DefaultAccountName = "main"

	// maxProblems bounds how many mistakes of one file are told at once.
	maxProblems = 20
)

// File is a configuration file as read. It does not change after [Load] and
// is safe for concurrent use. The zero value is an empty file.
type File struct {
	// Path is where the file was read, empty when there is none.
	Path string
	// Accounts are the accounts at carriers, in the order of the file.
	Accounts []Account
	// Drops are the places in which carriers leave files, in the order of the
	// file.
	Drops []Drop

	entries []entry // every other key of the file, in its order
}

// Account is a set of credentials at a carrier, of one merchant or of the
// whole deployment. Printing or logging one shows no value of its settings.
type Account struct {
	// Carrier is the carrier's name, as its adapter is called.
	Carrier string
	// Name tells several accounts at one carrier apart, whatever merchants have
	// them; "main" if not given.
	Name string
	// Merchant is the merchant whose account this is, by reference; empty
	// for an account of the deployment.
	Merchant string
	// BaseURL replaces the address of the carrier's API; empty for its own.
	BaseURL string
	// Endpoint is the unguessable last part of the webhook's address; empty
	// where the account takes no webhooks.
	Endpoint string
	// Settings are what the carrier's adapter asks for. Names that ended in
	// _env or _file in the file stand here without that ending, with the
	// value read from the environment or from the file. Never nil after Load.
	Settings Settings
	// Quota is how much the contract with the carrier lets us ask through this
	// account, in the place of what the adapter knows; nil leaves it as it is.
	Quota *Quota
	// Line is where in the file the account begins, 0 if it was not read
	// from one.
	Line int
}

// Quota is how much a carrier lets us ask. A limit that is not given is none.
type Quota struct {
	// PerSecond and Burst pace calls.
	PerSecond float64
	Burst     int
	// Calls in Window is the budget; both are given or neither.
	Calls  int
	Window time.Duration
}

// Problem is a mistake in a configuration file. [Load] and the resolver
// return them joined: errors.As finds the first.
type Problem struct {
	Path string // the file, as it was named
	Line int    // counted from 1; 0 when the file as a whole is meant
	Text string // what is wrong, never with a secret in it
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.Path + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Text)
}

// problems gathers what is wrong with one file, so that a user mends it once.
type problems struct {
	path string
	all  []error
	more int
}

func (p *problems) add(line int, format string, args ...any) {
	if len(p.all) == maxProblems {
		p.more++
		return
	}
	p.all = append(p.all, &Problem{Path: p.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.all, fmt.Errorf("%s: and %d more", p.path, p.more))...)
	}
	return errors.Join(p.all...)
}

// ReadFile returns the bytes of the file at path. It refuses one longer than
// [MaxFileBytes] without reading it whole.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, MaxFileBytes)
	}
	return data, nil
}

// Load reads the configuration file at path, and what its accounts name in
// the environment and in other files. An empty path gives an empty File.
//
// env looks a variable up and gives "" for one that is not set; readFile
// gives a file's bytes. They may be nil, which means [os.Getenv] and
// [ReadFile]. A secret's file is named relative to the folder of the
// configuration file; one line break at its end is not part of the secret.
//
// Errors are [Problem] values, joined, or what readFile returned for the
// file itself. Keys other than accounts are only known once the flags are:
// see [File.Resolver].
func Load(path string, env func(string) string, readFile func(string) ([]byte, error)) (*File, error) {
	if path == "" {
		return &File{}, nil
	}
	if env == nil {
		env = os.Getenv
	}
	if readFile == nil {
		readFile = ReadFile
	}
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	found := &problems{path: path}
	if len(data) > MaxFileBytes {
		found.add(0, "longer than %d bytes", MaxFileBytes)
		return nil, found.err()
	}
	top := parse(data, found)
	if err := found.err(); err != nil {
		return nil, err
	}
	l := loader{problems: found, env: env, readFile: readFile, folder: filepath.Dir(path)}
	f := &File{Path: path}
	var drops []entry
	for _, e := range top {
		switch e.key {
		case "accounts":
			f.Accounts = l.accounts(e)
		case "drops":
			drops = append(drops, e)
		default:
			f.entries = append(f.entries, e)
		}
	}
	for _, e := range drops {
		f.Drops = l.drops(e, f.Accounts)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// loader turns the sections of accounts and drops into them.
type loader struct {
	*problems
	env      func(string) string
	readFile func(string) ([]byte, error)
	folder   string
}

func (l *loader) accounts(section entry) []Account {
	if section.value.kind != list {
		if section.value.kind != nothing {
			l.add(section.line, "accounts must be a list, each with its carrier")
		}
		return nil
	}
	var accounts []Account
	// Budgets, numbers and kept answers know an account by carrier and name,
	// whoever's it is.
	type identity struct{ carrier, name string }
	seen, endpoints := map[identity]int{}, map[string]int{}
	for _, item := range section.value.items {
		a, ok := l.account(item)
		if !ok {
			continue
		}
		id := identity{a.Carrier, a.Name}
		if line, twice := seen[id]; twice {
			l.add(a.Line, "%s has an account named %q already, at line %d; give each a name of its own, whatever merchants have them", a.Carrier, a.Name, line)
		}
		seen[id] = a.Line
		if a.Endpoint != "" {
			if line, twice := endpoints[a.Endpoint]; twice {
				l.add(a.Line, "the endpoint is that of the account at line %d", line)
			}
			endpoints[a.Endpoint] = a.Line
		}
		accounts = append(accounts, a)
	}
	return accounts
}

// accountKeys are the keys that an account may have.
func accountKeys() []string {
	return []string{"base_url", "carrier", "endpoint", "merchant", "name", "quota", "settings"}
}

// IsAccountKey tells whether an account has a key of this name, so that one that
// was written among its settings by mistake can be told from a misspelling.
func IsAccountKey(name string) bool { return slices.Contains(accountKeys(), name) }

func (l *loader) account(item value) (Account, bool) {
	a := Account{Name: DefaultAccountName, Settings: Settings{}, Line: item.line}
	if item.kind != section {
		l.add(item.line, "an account must have keys and values, such as carrier: ups")
		return a, false
	}
	before := len(l.all)
	texts := map[string]*string{
		"carrier": &a.Carrier, "name": &a.Name, "merchant": &a.Merchant,
		"base_url": &a.BaseURL, "endpoint": &a.Endpoint,
	}
	known := accountKeys()
	for _, e := range item.entries {
		key := strings.ReplaceAll(e.key, "-", "_")
		to, isText := texts[key]
		switch {
		case key == "settings":
			l.settings(a.Settings, e)
		case key == "quota":
			a.Quota = l.quota(e)
		case !isText:
			l.add(e.line, "unknown key %q%s", e.key, suggest(e.key, known))
		case e.value.kind == text:
			*to = e.value.text
		case e.value.kind != nothing: // "merchant:" with nothing after it is merchant: ""
			l.add(e.line, "%s must be a single value", e.key)
		}
	}
	if a.Carrier == "" {
		l.add(item.line, "the account names no carrier")
	}
	if a.Name == "" {
		a.Name = DefaultAccountName
	}
	if a.BaseURL != "" && !validBaseURL(a.BaseURL) {
		l.add(item.line, "base_url must be an absolute http or https address without user, query or fragment")
	}
	if a.Endpoint != "" && !validEndpoint(a.Endpoint) {
		l.add(item.line, "endpoint must be 8 to 128 of the characters a-z A-Z 0-9 - _")
	}
	return a, len(l.all) == before
}

// What a quota may be. A rate below a call in ten days, or a window above a
// quarter, is a slip of the pen.
const (
	slowestRate   = 1e-6
	fastestRate   = 10_000
	maxBurst      = 10_000
	maxCalls      = 1_000_000_000
	longestWindow = 92 * 24 * time.Hour
)

// quota reads the quota of an account.
func (l *loader) quota(e entry) *Quota {
	if e.value.kind != section {
		if e.value.kind != nothing {
			l.add(e.line, "quota must have keys and values, such as calls: 500 and window: 24h")
		}
		return nil
	}
	q := &Quota{}
	lines := map[string]int{}
	known := []string{"burst", "calls", "per_second", "window"}
	for _, f := range e.value.entries {
		key := strings.ReplaceAll(f.key, "-", "_")
		if !slices.Contains(known, key) {
			l.add(f.line, "unknown key %q in quota%s", f.key, suggest(f.key, known))
			continue
		}
		if f.value.kind != text {
			l.add(f.line, "quota: %s must be a single value", f.key)
			continue
		}
		lines[key] = f.line
		given := f.value.text
		switch key {
		case "per_second":
			v, err := strconv.ParseFloat(given, 64)
			if err != nil || !(v >= slowestRate && v <= fastestRate) {
				l.add(f.line, "quota: per_second must be a number of calls above 0 and at most %d, such as 5 or 0.2", fastestRate)
			}
			q.PerSecond = v
		case "burst":
			q.Burst = l.count(f, maxBurst)
		case "calls":
			q.Calls = l.count(f, maxCalls)
		case "window":
			v, err := time.ParseDuration(given)
			if err != nil || v < time.Second || v > longestWindow {
				l.add(f.line, "quota: window must be a time from 1s to %dh, such as 1h or 24h", int(longestWindow.Hours()))
			}
			q.Window = v
		}
	}
	switch {
	case lines["calls"] > 0 && lines["window"] == 0:
		l.add(lines["calls"], "quota: calls needs a window beside it, such as window: 24h")
	case lines["window"] > 0 && lines["calls"] == 0:
		l.add(lines["window"], "quota: window needs calls beside it, such as calls: 500")
	case lines["burst"] > 0 && lines["per_second"] == 0:
		l.add(lines["burst"], "quota: burst needs per_second beside it, such as per_second: 5")
	case len(lines) == 0:
		l.add(e.line, "quota says nothing; give per_second and burst, calls and window, or leave it out")
	}
	return q
}

// count reads a whole number from 1 to most.
func (l *loader) count(f entry, most int) int {
	v, err := strconv.Atoi(f.value.text)
	if err != nil || v < 1 || v > most {
		l.add(f.line, "quota: %s must be a whole number from 1 to %d", f.key, most)
	}
	return v
}

func (l *loader) settings(into Settings, e entry) {
	if e.value.kind != section {
		if e.value.kind != nothing {
			l.add(e.line, "settings must have keys and values")
		}
		return
	}
	from := map[string]string{} // setting to the key that gave it
	for _, s := range e.value.entries {
		if s.value.kind != text && s.value.kind != nothing {
			l.add(s.line, "setting %s must be a single value", s.key)
			continue
		}
		name, given, ok := s.key, s.value.text, true
		if stem, is := strings.CutSuffix(s.key, "_env"); is && stem != "" {
			name = stem
			given, ok = l.secretEnv(s, name)
		} else if stem, is := strings.CutSuffix(s.key, "_file"); is && stem != "" {
			name = stem
			given, ok = l.secretFile(s, name)
		}
		if other, twice := from[name]; twice {
			l.add(s.line, "setting %s is given twice, by %s and by %s", name, other, s.key)
			continue
		}
		from[name] = s.key
		if ok {
			into[name] = given
		}
	}
}

func (l *loader) secretEnv(s entry, name string) (secret string, ok bool) {
	if s.value.text == "" {
		l.add(s.line, "setting %s: %s names no variable", name, s.key)
		return "", false
	}
	secret = l.env(s.value.text)
	if secret == "" {
		l.add(s.line, "setting %s: the environment has no %s", name, s.value.text)
	}
	return secret, secret != ""
}

func (l *loader) secretFile(s entry, name string) (secret string, ok bool) {
	path := s.value.text
	if path == "" {
		l.add(s.line, "setting %s: %s names no file", name, s.key)
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.folder, path)
	}
	data, err := l.readFile(path)
	switch {
	case err != nil:
		l.add(s.line, "setting %s: %v", name, err)
	case len(data) > MaxSecretBytes:
		l.add(s.line, "setting %s: %s is longer than %d bytes", name, path, MaxSecretBytes)
	case len(trimLineBreak(data)) == 0:
		l.add(s.line, "setting %s: %s is empty", name, path)
	default:
		return string(trimLineBreak(data)), true
	}
	return "", false
}

// trimLineBreak takes off the one line break that editors and echo leave.
func trimLineBreak(data []byte) []byte {
	if n := len(data); n > 0 && data[n-1] == '\n' {
		data = data[:n-1]
		if n > 1 && data[n-2] == '\r' {
			data = data[:n-2]
		}
	}
	return data
}

func validBaseURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

func validEndpoint(s string) bool {
	return len(s) >= 8 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// suggest returns "; did you mean ...?" for the known name nearest to what
// was written, or nothing when none is near.
func suggest(written string, known []string) string {
	best, at := max(2, len(written)/3)+1, ""
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(fold(written), fold(k)); d < best {
			best, at = d, k
		}
	}
	if at == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", at)
}

// fold makes the spellings of one name equal: log-format, log_format,
// LogFormat.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment, by bytes).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b) // no flag is that long: not worth the square
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range b {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
