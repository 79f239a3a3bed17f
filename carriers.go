package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
)

// carrierAbout is a line of `carriers list`.
type carrierAbout struct {
	Name     string         `json:"name"`
	Title    string         `json:"title"`
	Country  parcel.Country `json:"country,omitempty"`
	Stages   []parcel.Stage `json:"stages"`
	API      string         `json:"api"`
	Ways     []string       `json:"ways"`
	Batch    int            `json:"batch,omitempty"`
	Codes    int            `json:"codes"`
	Table    string         `json:"tableVersion"`
	Accounts []string       `json:"accounts"`
	Settings []settingAbout `json:"settings"`
}

type settingAbout struct {
	Name     string `json:"name"`
	Doc      string `json:"doc"`
	Default  string `json:"default,omitempty"`
	Secret   bool   `json:"secret,omitempty"`
	Required bool   `json:"required,omitempty"`
}

// ways says how bytes come from a carrier: asked for, pushed, in files.
func ways(spec *carriers.Spec) (out []string) {
	for _, w := range []struct {
		source parcel.SourceKind
		word   string
	}{{parcel.SourcePoll, "pull"}, {parcel.SourceWebhook, "push"}, {parcel.SourceFile, "file"}} {
		if slices.ContainsFunc(spec.Kinds, func(k carriers.PayloadKind) bool { return k.Source == w.source }) {
			out = append(out, w.word)
		}
	}
	return out
}

func aboutCarriers(file *config.File) []carrierAbout {
	all := carriers.All()
	out := make([]carrierAbout, 0, len(all))
	for i := range all {
		s := &all[i]
		a := carrierAbout{
			Name: s.Name, Title: s.Title, Country: s.Country, Stages: s.Stages, API: s.API, Ways: ways(s), Batch: s.Batch,
			Codes: len(s.Codes.Rows()), Table: s.Codes.Version(), Accounts: []string{}, Settings: []settingAbout{},
		}
		for _, set := range s.Settings {
			a.Settings = append(a.Settings, settingAbout(set))
		}
		for _, acc := range file.Accounts {
			if acc.Carrier == s.Name {
				a.Accounts = append(a.Accounts, acc.Name)
			}
		}
		out = append(out, a)
	}
	return out
}

func listCarriers(con *console, file *config.File, asJSON bool) error {
	all := aboutCarriers(file)
	if asJSON {
		return writeJSON(con.out, all)
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTITLE\tSTAGES\tWAYS\tBATCH\tACCOUNTS")
	for _, a := range all {
		stages := make([]string, len(a.Stages))
		for i, s := range a.Stages {
			stages[i] = strings.ToLower(string(s))
		}
		accounts := strings.Join(a.Accounts, " ")
		if accounts == "" {
			accounts = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", a.Name, a.Title, strings.Join(stages, " "), strings.Join(a.Ways, " "), a.Batch, accounts)
	}
	return w.Flush()
}

func writeJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func identifyNumber(con *console, number string, asJSON bool) error {
	normal := parcel.NormalizeNumber(number)
	found := identify.Identify(normal)
	if asJSON {
		return writeJSON(con.out, found)
	}
	if len(found) == 0 {
		return fmt.Errorf("%s: no known form of number fits; name the carrier when you register it", normal)
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CARRIER\tCONFIDENCE\tADAPTER\tRULE")
	for _, c := range found {
		adapter := "yes"
		if _, err := carriers.Lookup(c.Carrier); err != nil {
			adapter = "no"
		}
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\n", c.Carrier, c.Confidence, adapter, c.Rule)
	}
	return w.Flush()
}

// settingsOf gives an account's settings, with the adapter's defaults where
// the configuration is silent. It refuses a setting the adapter does not have
// and names one that is missing.
func settingsOf(spec *carriers.Spec, a *config.Account) (map[string]string, error) {
	out := make(map[string]string, len(spec.Settings))
	var names []string
	for _, s := range spec.Settings {
		names = append(names, s.Name)
		if s.Default != "" {
			out[s.Name] = s.Default
		}
		if v, set := a.Settings[s.Name]; set {
			out[s.Name] = v
		}
		if s.Required && out[s.Name] == "" {
			return nil, fmt.Errorf("account %s: setting %s is missing (%s); give %s, %s_env or %s_file below its settings: %w",
				a, s.Name, s.Doc, s.Name, s.Name, s.Name, parcel.ErrInvalid)
		}
	}
	for name := range a.Settings {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("account %s: %s has no setting %q; it has %s: %w", a, spec.Name, name, strings.Join(names, ", "), parcel.ErrInvalid)
		}
	}
	return out, nil
}

// binding is what accounts are bound with.
type binding struct {
	http *http.Client
	wall carriers.Clock
	log  *slog.Logger
}

// bind makes the adapter of an account. The error names account and setting.
func (b binding) bind(a *config.Account) (carriers.Spec, carriers.Carrier, error) {
	spec, err := carriers.Lookup(a.Carrier)
	if err != nil {
		return spec, nil, fmt.Errorf("account %s: %w", a, err)
	}
	settings, err := settingsOf(&spec, a)
	if err != nil {
		return spec, nil, err
	}
	c, err := spec.New(carriers.Env{Account: a.Name, BaseURL: a.BaseURL, Settings: settings, HTTP: b.http, Wall: b.wall, Log: b.log.With("carrier", a.Carrier, "account", a.Name)})
	if err != nil {
		return spec, nil, fmt.Errorf("account %s: %w", a, err)
	}
	return spec, c, nil
}

// accounts binds all accounts of the configuration. merchantID finds the owner
// of an account by name.
func (b binding) accounts(file *config.File, merchantID func(name string) (string, error)) ([]ingest.Account, error) {
	out := make([]ingest.Account, 0, len(file.Accounts))
	for i := range file.Accounts {
		a := &file.Accounts[i]
		spec, c, err := b.bind(a)
		if err != nil {
			return nil, err
		}
		bound := ingest.Account{Name: a.Name, Endpoint: a.Endpoint, Spec: spec, Carrier: c}
		if a.Merchant != "" {
			if bound.MerchantID, err = merchantID(a.Merchant); err != nil {
				return nil, fmt.Errorf("account %s: %w", a, err)
			}
		}
		out = append(out, bound)
	}
	return out, nil
}

// decoder gives an adapter that only reads: of the configured account if there
// is one, since a setting may say how to read, else of an account made up.
func (b binding) decoder(file *config.File, carrier string) (carriers.Spec, carriers.Carrier, error) {
	for i := range file.Accounts {
		if a := &file.Accounts[i]; a.Carrier == carrier {
			return b.bind(a)
		}
	}
	spec, err := carriers.Lookup(carrier)
	if err != nil {
		return spec, nil, err
	}
	a := &config.Account{Carrier: carrier, Name: "decode", Settings: config.Settings{}}
	for _, s := range spec.Settings {
		if s.Required && s.Default == "" {
			a.Settings[s.Name] = "none"
		}
	}
	return b.bind(a)
}

// decoded is one observation as `carriers decode` prints it.
type decoded struct {
	Number      string             `json:"number"`
	Code        parcel.Code        `json:"code"`
	Milestone   parcel.Milestone   `json:"milestone,omitempty"`
	Occurred    string             `json:"occurred"`
	Local       string             `json:"local"`
	Written     string             `json:"written,omitempty"`
	Offset      string             `json:"offset,omitempty"`
	Certainty   parcel.Certainty   `json:"certainty"`
	Place       *parcel.Place      `json:"place,omitempty"`
	OwnCode     string             `json:"ownCode,omitempty"`
	Words       string             `json:"words,omitempty"`
	Language    string             `json:"language,omitempty"`
	Reason      parcel.Reason      `json:"reason,omitempty"`
	DeliveredTo parcel.DeliveredTo `json:"deliveredTo,omitempty"`
	Parcel      string             `json:"parcel,omitempty"`
	NextCarrier string             `json:"nextCarrier,omitempty"`
	NextNumber  string             `json:"nextNumber,omitempty"`
	Retracts    bool               `json:"retracts,omitempty"`
	Rule        string             `json:"rule,omitempty"`
}

func decodedOf(o *parcel.Observation) decoded {
	d := decoded{
		Number: parcel.NormalizeNumber(o.Number), Code: o.Code, Milestone: o.Code.Proves(), Local: o.Occurred.Wall, Written: o.Occurred.Text, Offset: o.Occurred.Offset(),
		Certainty: o.Occurred.Certainty, OwnCode: o.OwnCode, Words: o.Words, Language: o.Language, Reason: o.Reason, DeliveredTo: o.DeliveredTo,
		Parcel: o.Parcel, NextCarrier: o.NextCarrier, NextNumber: o.NextNumber, Retracts: o.Retracts, Rule: o.Rule,
	}
	if !o.Occurred.IsZero() {
		d.Occurred = o.Occurred.At.Format(time.RFC3339Nano)
	}
	if !o.Place.IsZero() {
		d.Place = &o.Place
	}
	return d
}

// maxDecode is the largest file that is read for decoding.
const maxDecode = 64 << 20

// decodeFile reads a payload as the carrier's adapter does and prints what it
// says, one JSON object a line. What is no observation goes to con.err.
func decodeFile(con *console, file *config.File, log *slog.Logger, carrier, path, kind string, asked []string) error {
	b := binding{wall: con.wall, log: log}
	spec, c, err := b.decoder(file, carrier)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	body, err := readInput(con, path, maxDecode)
	if err != nil {
		return err
	}
	k, err := kindOf(&spec, c, kind, body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	con.note("%s: read as %s (%s)", name, k.Name, k.Doc)

	d := decoding{con: con, enc: json.NewEncoder(con.out), carrier: c}
	d.enc.SetEscapeHTML(false)
	splitter, isFile := c.(carriers.Splitter)
	if k.Source != parcel.SourceFile || !isFile {
		d.payload(parcel.Payload{Carrier: spec.Name, Kind: k.Name, Source: k.Source, Body: body, Numbers: asked})
	} else {
		for p, err := range splitter.Split(bytes.NewReader(body), name) {
			if err != nil {
				d.fault(err)
				continue
			}
			p.Carrier = spec.Name
			d.payload(p)
		}
	}
	con.note("%s: %d observations, %d results, %d errors", name, d.observations, d.results, d.faults)
	if d.observations+d.results == 0 && d.faults > 0 {
		return told{errors.New("nothing could be read")}
	}
	return d.failed
}

// readInput reads a file, or the standard input for "-".
func readInput(con *console, path string, limit int64) ([]byte, error) {
	r := con.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%s: longer than %d MiB; split it first: %w", path, limit>>20, parcel.ErrInvalid)
	}
	return body, nil
}

// kindOf finds the kind of payload that bytes are: the one named, else the
// first that they look like, else the first in which something can be read, if
// only a refusal.
func kindOf(spec *carriers.Spec, c carriers.Carrier, named string, body []byte) (carriers.PayloadKind, error) {
	names := make([]string, len(spec.Kinds))
	for i, k := range spec.Kinds {
		names[i] = k.Name
		if k.Name == named {
			return k, nil
		}
	}
	if named != "" {
		return carriers.PayloadKind{}, badUsage("--kind: %s has no payload kind %q; it has %s", spec.Name, named, strings.Join(names, ", "))
	}
	for _, k := range spec.Kinds {
		if k.Sniff != nil && k.Sniff(body) {
			return k, nil
		}
	}
	for _, k := range spec.Kinds {
		if _, err := c.Decode(parcel.Payload{Carrier: spec.Name, Kind: k.Name, Source: k.Source, Body: body}); err != nil && !errors.Is(err, parcel.ErrMalformed) {
			return k, nil
		}
	}
	return carriers.PayloadKind{}, fmt.Errorf("looks like no payload of %s; if it is one, name its kind with --kind (%s): %w",
		spec.Name, strings.Join(names, ", "), parcel.ErrMalformed)
}

// decoding counts and prints what payloads say.
type decoding struct {
	con                           *console
	enc                           *json.Encoder
	carrier                       carriers.Carrier
	observations, results, faults int
	failed                        error // of writing
}

func (d *decoding) fault(err error) {
	d.faults++
	for line := range strings.Lines(err.Error()) {
		d.con.note("error: %s", strings.TrimRight(line, "\n"))
	}
}

func (d *decoding) payload(p parcel.Payload) {
	// As on the way in: personal fields are replaced before anything is kept
	// or shown.
	r, err := d.carrier.Decode(d.carrier.Redact(p))
	if err != nil {
		d.fault(err)
	}
	for i := range r.Observations {
		d.observations++
		if err := d.enc.Encode(decodedOf(&r.Observations[i])); err != nil && d.failed == nil {
			d.failed = err
		}
	}
	for _, n := range r.Results {
		d.results++
		if n.Finding != parcel.FindingFound {
			d.con.note("%s: %s %s", n.Number, n.Finding, n.Detail)
		}
	}
	for _, a := range r.Aliases {
		d.con.note("%s: also known as %s %s", a.Number, a.Other, a.Carrier)
	}
	for _, e := range r.Estimates {
		d.con.note("%s: the carrier estimates %s to %s", e.Number, e.Earliest, e.Last)
	}
	if r.RetryAfter > 0 {
		d.results++ // a ticket's answer is something read, too
		d.con.note("the carrier asks to come back after %s", r.RetryAfter)
	}
}

// tryAccount asks a carrier through a configured account and says plainly what
// happened.
func tryAccount(ctx context.Context, con *console, file *config.File, log *slog.Logger, carrier, account, number, postcode string) error {
	if _, err := carriers.Lookup(carrier); err != nil {
		return err
	}
	i := slices.IndexFunc(file.Accounts, func(a config.Account) bool {
		return a.Carrier == carrier && (account == "" || a.Name == account)
	})
	if i < 0 {
		return fmt.Errorf("no account of %s is configured; add one below accounts: in the file that --config names (settings: milepost carriers list --json): %w", carrier, carriers.ErrNoAccount)
	}
	a := &file.Accounts[i]
	b := binding{http: newHTTPClient(), wall: con.wall, log: log}
	spec, c, err := b.bind(a)
	if err != nil {
		return err
	}
	con.printf("account %s: settings are complete\n", a)
	fetcher, ok := c.(carriers.Fetcher)
	if !ok {
		con.printf("account %s: %s is never asked; it sends (%s)\n", a, carrier, strings.Join(ways(&spec), ", "))
		return nil
	}
	asked := number
	if asked == "" {
		// Nobody's number: the answer "unknown" proves that we were let in.
		asked = unusedNumber(&spec)
	}
	asked = parcel.NormalizeNumber(asked)
	began := con.wall.Now()
	payloads, err := fetcher.Fetch(ctx, []carriers.Query{{Number: asked, Postcode: postcode}})
	took := con.wall.Now().Sub(began).Round(time.Millisecond)
	events, finding := 0, parcel.Finding("")
	for _, p := range payloads {
		p.Carrier, p.Account = carrier, a.Name
		r, decodeErr := c.Decode(c.Redact(p))
		err = errors.Join(err, decodeErr)
		for i := range r.Observations {
			if r.Observations[i].Number == asked {
				events++
			}
		}
		for _, n := range r.Results {
			if parcel.NormalizeNumber(n.Number) == asked {
				finding = n.Finding
			}
		}
	}
	switch {
	case errors.Is(err, parcel.ErrDenied):
		return fmt.Errorf("account %s: refused by %s after %s: check its credentials: %w", a, carrier, took, err)
	case errors.Is(err, parcel.ErrThrottled):
		return fmt.Errorf("account %s: let in, but its quota is used up: %w", a, err)
	case errors.Is(err, parcel.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("account %s: %s cannot be reached, or is down (%s): %w", a, carrier, took, err)
	case err != nil && events == 0 && finding == "":
		return fmt.Errorf("account %s: %w", a, err)
	case number == "":
		con.printf("account %s: %s let us in and answered in %s\n", a, carrier, took)
	case events > 0:
		con.printf("account %s: %s answered in %s: %d events for %s\n", a, carrier, took, events, asked)
	default:
		con.printf("account %s: %s answered in %s: it does not know %s (or not yet)\n", a, carrier, took, asked)
	}
	return nil
}

// unusedNumber is a number of the carrier's form that no parcel has: all
// zeros, with a right check digit where there is one.
func unusedNumber(spec *carriers.Spec) string {
	home := spec.Country
	if home == "" {
		home = "CN"
	}
	forms := []string{"RX000000005" + string(home), "1Z0000000000000000", "LP00000000000000", "00000000000000"}
	for _, n := range forms {
		if slices.ContainsFunc(identify.Identify(n), func(c identify.Candidate) bool { return c.Carrier == spec.Name }) {
			return n
		}
	}
	return forms[0]
}
