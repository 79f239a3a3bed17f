package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// mostUnmapped is how many lines of the work queue are looked at.
const mostUnmapped = 5000

// unmappedAbout is a line of `carriers unmapped`.
type unmappedAbout struct {
	Carrier  string    `json:"carrier"`
	Code     string    `json:"code,omitempty"`
	Words    string    `json:"words,omitempty"`
	Language string    `json:"language,omitempty"`
	Count    int       `json:"count"`
	First    time.Time `json:"firstSeenAt"`
	Last     time.Time `json:"lastSeenAt"`
	Payload  string    `json:"payload"`
}

// listUnmapped shows what carriers wrote and nobody mapped. What the tables of
// today read is left out: the queue grows shorter by mapping alone.
func listUnmapped(ctx context.Context, con *console, log *slog.Logger, cat *catalog, c *carriersUnmapped) error {
	if c.Carrier != "" {
		if _, err := cat.lookup(c.Carrier); err != nil {
			return err
		}
	}
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	rows, err := s.Unmapped(ctx, c.Carrier, mostUnmapped)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(u parcel.Unmapped) bool { return mappedNow(cat, &u) })
	all := make([]unmappedAbout, len(rows))
	for i, u := range rows {
		all[i] = unmappedAbout{u.Carrier, u.Code, u.Words, u.Language, u.Count, u.First, u.Last, u.PayloadID}
	}
	switch {
	case c.JSON:
		return writeJSON(con.out, all)
	case c.Stub:
		return writeStubs(con, cat, all)
	case len(all) == 0:
		con.note("nothing: every code and phrase that came is mapped")
		return nil
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CARRIER\tCODE\tTIMES\tFIRST\tLAST\tPAYLOAD\tWORDS")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", a.Carrier, orDash(a.Code), a.Count, a.First.Format(time.DateOnly), a.Last.Format(time.DateOnly), a.Payload, a.Words)
	}
	return w.Flush()
}

// wordReader is a table that reads words besides codes.
type wordReader interface {
	Read(code, words string) (carriers.Row, bool)
}

// mappedNow tells whether the carrier's table of today reads what an older one
// did not.
func mappedNow(cat *catalog, u *parcel.Unmapped) bool {
	spec, err := cat.lookup(u.Carrier)
	if err != nil {
		return false
	}
	if t, ok := spec.Codes.(wordReader); ok {
		_, ok := t.Read(u.Code, u.Words)
		return ok
	}
	_, ok := spec.Codes.Lookup(u.Code)
	return ok && u.Code != ""
}

var numberRun = regexp.MustCompile(`\pN+`)

// writeStubs prints rows to paste into the carriers' tables: YAML for those
// that files describe, CSV for those built in. The event is left empty, which
// no table takes: a row pasted and forgotten is told when it is read.
func writeStubs(con *console, cat *catalog, all []unmappedAbout) error {
	slices.SortStableFunc(all, func(a, b unmappedAbout) int { return strings.Compare(a.Carrier, b.Carrier) })
	for i, a := range all {
		described, isDescribed := cat.find(a.Carrier)
		if i == 0 || all[i-1].Carrier != a.Carrier {
			place := "codes.csv of carriers/" + a.Carrier
			if isDescribed {
				place = described.File + ", below table:"
			}
			con.printf("# %s: name each event, then put these rows into %s\n", a.Carrier, place)
		}
		seen := fmt.Sprintf("%d times, last %s, payload %s", a.Count, a.Last.Format(time.DateOnly), a.Payload)
		switch {
		case !isDescribed:
			con.printf("# %s\n%s,,,,,%s\n", seen, csvField(a.Code), csvField(a.Words))
		case a.Code != "":
			con.printf("    - {code: %s, event: , doc: %s} # %s\n", yamlText(a.Code), yamlText(a.Words), seen)
		default:
			// What was a number today is another one tomorrow.
			phrase := numberRun.ReplaceAllString(a.Words, "*")
			con.printf("    - {phrase: %s, event: , doc: %s} # %s\n", yamlText(phrase), yamlText(a.Language), seen)
		}
	}
	return nil
}

// yamlText quotes a text so that YAML reads it as it is.
func yamlText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		b.WriteRune(r)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(b.String()) + `"`
}

func csvField(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if strings.ContainsAny(s, `",`) {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}
