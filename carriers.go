package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/identify"
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
	// File describes the carrier; empty for one that is built in.
	File string `json:"file,omitempty"`
	// Standing of the accounts, where a database was given.
	Standing []standing `json:"standing,omitempty"`
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

func aboutCarriers(file *config.File, cat *catalog) []carrierAbout {
	all := cat.all()
	out := make([]carrierAbout, 0, len(all))
	for i := range all {
		s := &all[i]
		a := carrierAbout{
			Name: s.Name, Title: s.Title, Country: s.Country, Stages: s.Stages, API: s.API, Ways: ways(s), Batch: s.Batch,
			Codes: len(s.Codes.Rows()), Table: s.Codes.Version(), Accounts: []string{}, Settings: []settingAbout{},
		}
		if d, ok := cat.find(s.Name); ok {
			a.File = d.File
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

func listCarriers(ctx context.Context, con *console, file *config.File, cat *catalog, url string, asJSON bool) error {
	standings := look(ctx, con, file, cat, url)
	all := aboutCarriers(file, cat)
	for i := range all {
		for k := range standings {
			if file.Accounts[k].Carrier == all[i].Name {
				all[i].Standing = append(all[i].Standing, standings[k])
			}
		}
	}
	err := writeCarriers(con, all, len(cat.shelf().Carriers) > 0, asJSON)
	if err == nil && len(standings) > 0 && !asJSON {
		err = writeStandings(con, file, standings)
	}
	if faults := cat.faults(); err == nil && len(faults) > 0 {
		for _, f := range faults {
			for line := range strings.Lines(f.Err.Error()) {
				con.note("not taken: %s", strings.TrimRight(line, "\n"))
			}
		}
		err = told{fmt.Errorf("%d descriptions were not taken", len(faults))}
	}
	return err
}

// look tells how the accounts stand; the list is good without it, so that what
// prevents it is said and no more.
func look(ctx context.Context, con *console, file *config.File, cat *catalog, url string) []standing {
	if url == "" || len(file.Accounts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	s, err := lookInto(ctx, url)
	if err != nil {
		con.note("how accounts stand is not known: --store: %v", withRemedy(url, err))
		return nil
	}
	if s == nil {
		con.note("how accounts stand is not known: %s is not there yet; serve, migrate and import make it", url)
		return nil
	}
	defer s.Close()
	out, heard, err := standingsOf(ctx, s, file, cat, con.wall.Now())
	if err != nil {
		con.note("how accounts stand is not known: %v; if the database is of another version, run milepost migrate", err)
		return nil
	}
	if !heard {
		con.note("%s", nobodyTold)
	}
	return out
}

func writeCarriers(con *console, all []carrierAbout, declared, asJSON bool) error {
	if asJSON {
		return writeJSON(con.out, all)
	}
	head, from := "NAME\tTITLE\tSTAGES\tWAYS\tBATCH\tACCOUNTS", func(carrierAbout) string { return "" }
	if declared {
		head += "\tFILE"
		from = func(a carrierAbout) string {
			if a.File == "" {
				return "\t-"
			}
			return "\t" + a.File
		}
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, a := range all {
		stages := make([]string, len(a.Stages))
		for i, s := range a.Stages {
			stages[i] = strings.ToLower(string(s))
		}
		accounts := strings.Join(a.Accounts, " ")
		if accounts == "" {
			accounts = "-"
		}
		batch := "-" // of a carrier that is not asked
		if a.Batch > 0 {
			batch = strconv.Itoa(a.Batch)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s%s\n", a.Name, a.Title, strings.Join(stages, " "), strings.Join(a.Ways, " "), batch, accounts, from(a))
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

func identifyNumber(con *console, cat *catalog, number string, way identify.Context, asJSON bool) error {
	normal := parcel.NormalizeNumber(number)
	for _, c := range []parcel.Country{way.Origin, way.Destination} {
		if c != "" && !c.Valid() {
			return badUsage("%q is not an ISO 3166-1 alpha-2 code such as CN, RU or BR", c)
		}
	}
	if strings.TrimSpace(number) == "" {
		return badUsage("a tracking number is needed, such as RB518204475CN")
	}
	found := identify.IdentifyFor(normal, way)
	if asJSON {
		return writeJSON(con.out, found)
	}
	if len(found) == 0 {
		return fmt.Errorf("%s: no known form of number fits; name the carrier when you register it", normal)
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CARRIER\tCONFIDENCE\tADAPTER\tRULE\tCOUNTRY\tCHECK DIGIT\tNEEDS")
	for _, c := range found {
		adapter := "yes"
		if _, err := cat.lookup(c.Carrier); err != nil {
			adapter = "no"
		}
		check := "-"
		if c.CheckValid != nil {
			check = map[bool]string{true: "fits", false: "does not fit"}[*c.CheckValid]
		}
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\t%s\t%s\t%s\n", c.Carrier, c.Confidence, adapter, c.Rule, cmp.Or(string(c.Country), "-"), check, cmp.Or(strings.Join(c.Needs, " "), "-"))
	}
	return w.Flush()
}

// tryAccount asks a carrier through a configured account and says plainly what
// happened.
func tryAccount(ctx context.Context, con *console, file *config.File, log *slog.Logger, cat *catalog, carrier, account, number, postcode string) error {
	if _, err := cat.lookup(carrier); err != nil {
		return err
	}
	i := slices.IndexFunc(file.Accounts, func(a config.Account) bool {
		return a.Carrier == carrier && (account == "" || a.Name == account)
	})
	if i < 0 && account != "" {
		var names []string
		for _, a := range file.Accounts {
			if a.Carrier == carrier {
				names = append(names, a.Name)
			}
		}
		if len(names) > 0 {
			return fmt.Errorf("%s has no account %q; it has %s", carrier, account, strings.Join(names, ", "))
		}
	}
	if i < 0 {
		return fmt.Errorf("no account of %s is configured; add one below accounts: in the file that --config names (settings: milepost carriers list --json): %w", carrier, carriers.ErrNoAccount)
	}
	a := &file.Accounts[i]
	b := binding{catalog: cat, http: newHTTPClient(), wall: con.wall, log: log}
	spec, c, err := b.bind(a)
	if err != nil {
		return mistakeOf(file, a, err)
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
