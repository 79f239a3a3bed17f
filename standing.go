package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// standing is how it stands with a configured account, by what running gateways
// have written into the database lately.
type standing struct {
	Name     string `json:"name"`
	Merchant string `json:"merchant,omitempty"`
	// State is UP, DEGRADED, DOWN or IDLE; UNKNOWN where nobody told of it.
	State       parcel.DoorState `json:"state"`
	ToldAt      time.Time        `json:"toldAt,omitzero"`
	LastSuccess time.Time        `json:"lastSuccessAt,omitzero"`
	LastFailure time.Time        `json:"lastFailureAt,omitzero"`
	LastTrouble parcel.Trouble   `json:"lastTrouble,omitempty"`
	// Left is what is left of the quota's window; nil where there is none.
	Left        *int      `json:"callsLeft,omitempty"`
	Renews      time.Time `json:"renewsAt,omitzero"`
	BarredUntil time.Time `json:"barredUntil,omitzero"`
	RestUntil   time.Time `json:"restUntil,omitzero"`
	// Unmapped is how many codes and phrases of the carrier nobody has mapped.
	Unmapped int `json:"unmapped"`
}

// doorUnknown is the state of an account that no gateway has told of.
const doorUnknown parcel.DoorState = "UNKNOWN"

// tellingLife is how long what a gateway told counts: one that stopped says
// nothing about how it stands now.
const tellingLife = 10 * time.Minute

// nobodyTold is said where the database has not heard of carriers at all.
const nobodyTold = "no gateway has told of its carriers on this database in the last minutes; where milepost serve runs on it, look again in half a minute"

// standingsOf reads how the configured accounts stand, in the order of the
// configuration; heard is false where no gateway has told of anything.
func standingsOf(ctx context.Context, s *storage.Store, file *config.File, cat *catalog, now time.Time) (out []standing, heard bool, err error) {
	beats, err := s.Beats(ctx, now.Add(-tellingLife))
	if err != nil {
		return nil, false, err
	}
	budgets, err := s.Budgets(ctx)
	if err != nil {
		return nil, false, err
	}
	unmapped := map[string]int{}
	for i := range file.Accounts {
		a := &file.Accounts[i]
		if _, counted := unmapped[a.Carrier]; !counted {
			rows, err := s.Unmapped(ctx, a.Carrier, mostUnmapped)
			if err != nil {
				return nil, false, err
			}
			unmapped[a.Carrier] = 0
			for i := range rows {
				if !mappedNow(cat, &rows[i]) {
					unmapped[a.Carrier]++
				}
			}
		}
		out = append(out, standingOf(a, beats, budgets[parcel.BudgetKey{Carrier: a.Carrier, Account: a.Name}], cat, now))
		out[i].Unmapped = unmapped[a.Carrier]
	}
	return out, len(beats) > 0, nil
}

// standingOf sums up what replicas told of one account.
func standingOf(a *config.Account, beats []parcel.CarrierBeat, budget parcel.CallBudget, cat *catalog, now time.Time) standing {
	out := standing{Name: a.Name, Merchant: a.Merchant, State: doorUnknown}
	sum := parcel.AccountStatus{CarrierBeat: parcel.CarrierBeat{Carrier: a.Carrier, Account: a.Name}, Left: -1}
	for i := range beats {
		b := &beats[i]
		if b.Carrier != a.Carrier || b.Account != a.Name {
			continue
		}
		sum.Add(b)
		sum.Replicas++
		if b.Allowance.Limited() {
			sum.Allowance = b.Allowance
		}
		if b.At.After(out.ToldAt) {
			out.ToldAt = b.At
		}
	}
	if !sum.Allowance.Limited() { // nobody told, or nothing was asked yet
		if a.Quota != nil {
			sum.Allowance = parcel.Allowance(*a.Quota)
		} else if spec, err := cat.lookup(a.Carrier); err == nil {
			sum.Allowance = parcel.Allowance(spec.Quota)
		}
	}
	if left, renews := budget.Standing(now, sum.Allowance); left >= 0 {
		out.Left, out.Renews = &left, renews
	}
	if budget.BarredUntil.After(now) {
		sum.BarredUntil = budget.BarredUntil
	}
	if !sum.RestUntil.After(now) {
		sum.RestUntil = time.Time{}
	}
	if sum.Replicas > 0 {
		out.State = parcel.StatusOf([]parcel.AccountStatus{sum}).State
	}
	out.LastSuccess, out.LastFailure, out.LastTrouble = sum.LastSuccess, sum.LastFailure, sum.LastTrouble
	out.BarredUntil, out.RestUntil = sum.BarredUntil, sum.RestUntil
	return out
}

// lookInto opens a database to read, and makes none: nil if it is not there.
func lookInto(ctx context.Context, url string) (*storage.Store, error) {
	if path, is := strings.CutPrefix(url, "sqlite:"); is && path != ":memory:" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	return storage.Open(ctx, url, storage.Options{})
}

// says puts a standing into a sentence; sick is true where somebody must act.
func (s *standing) says(carrier string) (words string, sick bool) {
	if s.State == doorUnknown {
		words = "nothing is known of it yet: no gateway has asked through it in the last minutes"
		if !s.BarredUntil.IsZero() {
			words += "; the carrier asked to be left alone until " + stamp(s.BarredUntil)
		}
		return words + s.queue(carrier), false
	}
	parts := []string{strings.ToLower(string(s.State))}
	if s.LastSuccess.IsZero() {
		parts = append(parts, "never heard")
	} else {
		parts = append(parts, "last heard at "+stamp(s.LastSuccess))
	}
	if s.LastFailure.After(s.LastSuccess) {
		parts = append(parts, fmt.Sprintf("%s at %s", s.LastTrouble, stamp(s.LastFailure)))
	}
	if s.Left != nil {
		parts = append(parts, fmt.Sprintf("%d calls left", *s.Left))
	}
	if !s.BarredUntil.IsZero() {
		parts = append(parts, "the carrier asked to be left alone until "+stamp(s.BarredUntil))
	}
	if !s.RestUntil.IsZero() {
		parts = append(parts, "calls rest until "+stamp(s.RestUntil)+" because they keep failing")
	}
	words = strings.Join(parts, ", ") + s.queue(carrier)
	if sick = s.State == parcel.DoorDown; sick {
		words += "; ask it by hand: milepost carriers test " + carrier + " --account " + s.Name
	}
	return words, sick
}

func (s *standing) queue(carrier string) string {
	if s.Unmapped == 0 {
		return ""
	}
	return fmt.Sprintf("; %d codes or phrases are not mapped: milepost carriers unmapped %s", s.Unmapped, carrier)
}

// stamp writes a time as people read it, or a dash for none.
func stamp(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}

// writeStandings prints a table of the accounts.
func writeStandings(con *console, file *config.File, all []standing) error {
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nACCOUNT\tSTATE\tLAST HEARD\tLAST TROUBLE\tCALLS LEFT\tHELD BACK UNTIL\tUNMAPPED")
	for i := range all {
		s := &all[i]
		left, held := "-", s.BarredUntil
		if s.Left != nil {
			left = fmt.Sprint(*s.Left)
		}
		if s.RestUntil.After(held) {
			held = s.RestUntil
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", file.Accounts[i].String(), strings.ToLower(string(s.State)), stamp(s.LastSuccess),
			cmp.Or(string(s.LastTrouble), "-"), left, stamp(held), s.Unmapped)
	}
	return w.Flush()
}
