package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/ingest"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
)

// settingsOf gives an account's settings, with the adapter's defaults where
// the configuration is silent. It refuses a setting the adapter does not have,
// which is often one that is missing, misspelt; then it names one that is
// missing.
func settingsOf(spec *carriers.Spec, a *config.Account) (map[string]string, error) {
	out := make(map[string]string, len(spec.Settings))
	names := make([]string, len(spec.Settings))
	for i, s := range spec.Settings {
		names[i] = s.Name
	}
	for _, name := range slices.Sorted(maps.Keys(a.Settings)) {
		switch {
		case slices.Contains(names, name):
		case config.IsAccountKey(name):
			return nil, fmt.Errorf("account %s: %s has no setting %q; %s stands in the account itself, beside settings: %w", a, spec.Name, name, name, parcel.ErrInvalid)
		case len(names) == 0:
			return nil, fmt.Errorf("account %s: %s has no setting %q; it needs none: %w", a, spec.Name, name, parcel.ErrInvalid)
		default:
			return nil, fmt.Errorf("account %s: %s has no setting %q; it has %s: %w", a, spec.Name, name, strings.Join(names, ", "), parcel.ErrInvalid)
		}
	}
	for _, s := range spec.Settings {
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
	return out, nil
}

// binding is what accounts are bound with.
type binding struct {
	catalog *catalog
	http    *http.Client
	wall    carriers.Clock
	log     *slog.Logger
	// gates hold calls to the accounts' quotas together with other replicas;
	// nil leaves that to each adapter alone.
	gates *ingest.Gates
}

// gate is the way out of an account; nil without gates.
func (b binding) gate(spec *carriers.Spec, a *config.Account) *ingest.Gate {
	if b.gates == nil {
		return nil
	}
	return b.gates.Of(spec, a.Name, (*carriers.Quota)(a.Quota))
}

// bind makes the adapter of an account. The error names account and setting.
func (b binding) bind(a *config.Account) (carriers.Spec, carriers.Carrier, error) {
	spec, err := b.catalog.lookup(a.Carrier)
	if err != nil {
		return spec, nil, fmt.Errorf("account %s: %w", a, err)
	}
	settings, err := settingsOf(&spec, a)
	if err != nil {
		return spec, nil, err
	}
	env := carriers.Env{Account: a.Name, BaseURL: a.BaseURL, Settings: settings, HTTP: b.http, Wall: b.wall, Log: b.log.With("carrier", a.Carrier, "account", a.Name)}
	if g := b.gate(&spec, a); g != nil {
		env.Gate = g
	}
	c, err := spec.New(env)
	if err != nil {
		return spec, nil, fmt.Errorf("account %s: %w", a, err)
	}
	return spec, c, nil
}

// accounts binds all accounts of the configuration. merchantID finds the owner
// of an account by name. All mistakes of the file are told at once.
func (b binding) accounts(file *config.File, merchantID func(name string) (string, error)) ([]ingest.Account, error) {
	out := make([]ingest.Account, 0, len(file.Accounts))
	var faults []error
	for i := range file.Accounts {
		bound, err := b.account(&file.Accounts[i], merchantID)
		if errors.Is(err, errNotTaken) {
			// A file with mistakes takes its own carrier down and no other.
			b.log.Error("account left out", "error", err)
			continue
		}
		if err != nil {
			faults = append(faults, mistakeOf(file, &file.Accounts[i], err))
			continue
		}
		out = append(out, bound)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

// mistakeOf gives what is wrong with an account its place in the file, where it
// is the file's fault: other errors, such as a database that does not answer,
// are returned as they are.
func mistakeOf(file *config.File, a *config.Account, err error) error {
	if a.Line == 0 || !errors.Is(err, parcel.ErrInvalid) && !errors.Is(err, parcel.ErrNotFound) {
		return err
	}
	return &config.Problem{Path: file.Path, Line: a.Line, Text: plain(err)}
}

// plain is an error in one line without its kind, which the place in a file
// says already.
func plain(err error) string {
	text := oneLine(err)
	for _, kind := range []error{parcel.ErrInvalid, parcel.ErrNotFound} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return text
}

// account binds one account.
func (b binding) account(a *config.Account, merchantID func(name string) (string, error)) (ingest.Account, error) {
	spec, c, err := b.bind(a)
	if err != nil {
		return ingest.Account{}, err
	}
	bound := ingest.Account{Name: a.Name, Endpoint: a.Endpoint, Spec: spec, Carrier: c, Gate: b.gate(&spec, a)}
	if a.Merchant != "" {
		if bound.MerchantID, err = merchantID(a.Merchant); err != nil {
			return ingest.Account{}, fmt.Errorf("account %s: %w", a, err)
		}
	}
	return bound, nil
}

// decoder gives an adapter that only reads: of the configured account if there
// is one, since a setting may say how to read, else of an account made up.
func (b binding) decoder(file *config.File, carrier string) (carriers.Spec, carriers.Carrier, error) {
	for i := range file.Accounts {
		if a := &file.Accounts[i]; a.Carrier == carrier {
			return b.bind(a)
		}
	}
	spec, err := b.catalog.lookup(carrier)
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
