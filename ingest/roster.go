package ingest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

type accountKey struct{ carrier, name string }
type hookKey struct{ carrier, endpoint string }

// roster is the set of carrier accounts at one moment. It is never changed: a
// new set is another roster, and whoever works with the old one ends with it.
type roster struct {
	byName map[accountKey]*lane
	byHook map[hookKey]*lane
	lanes  map[string][]*lane // by carrier, the deployment's own last
	specs  map[string]carriers.Spec
	// owners are the merchants of accounts, those of accounts that are gone
	// among them: what they brought does not become everybody's.
	owners  map[accountKey]string
	changed chan struct{} // closed once another roster is in force
}

// newRoster makes lanes for accounts; those of before that nothing has happened
// to are kept, with what flies in them.
func newRoster(g *Ingest, accounts []Account, before *roster) (*roster, error) {
	r := &roster{
		byName: map[accountKey]*lane{}, byHook: map[hookKey]*lane{}, lanes: map[string][]*lane{},
		specs: map[string]carriers.Spec{}, owners: map[accountKey]string{}, changed: make(chan struct{}),
	}
	if before != nil {
		maps.Copy(r.owners, before.owners)
	}
	for i := range accounts {
		a := accounts[i]
		key := accountKey{a.Spec.Name, a.Name}
		if a.Spec.Name == "" || a.Carrier == nil {
			return nil, fmt.Errorf("ingest: account %q has no adapter: %w", a.Name, parcel.ErrInvalid)
		}
		if r.byName[key] != nil {
			return nil, fmt.Errorf("ingest: account %s/%s is there twice: %w", a.Spec.Name, a.Name, parcel.ErrInvalid)
		}
		var l *lane
		if before != nil && before.byName[key] != nil && sameAccount(before.byName[key].account, &a) {
			l = before.byName[key]
		} else {
			l = newLane(g, &a)
		}
		r.byName[key] = l
		r.specs[a.Spec.Name], r.owners[key] = a.Spec, a.MerchantID
		if a.Endpoint != "" {
			at := hookKey{a.Spec.Name, a.Endpoint}
			if r.byHook[at] != nil {
				return nil, fmt.Errorf("ingest: account %s/%s has the endpoint of %s/%s: %w", a.Spec.Name, a.Name, a.Spec.Name, r.byHook[at].account.Name, parcel.ErrInvalid)
			}
			r.byHook[at] = l
		}
		if a.MerchantID == "" {
			r.lanes[a.Spec.Name] = append(r.lanes[a.Spec.Name], l)
		} else {
			r.lanes[a.Spec.Name] = slices.Insert(r.lanes[a.Spec.Name], 0, l)
		}
	}
	return r, nil
}

// sameAccount tells whether an account is bound as it was: to the same adapter,
// with the same words about it.
func sameAccount(a, b *Account) bool {
	t := reflect.TypeOf(a.Carrier)
	return t == reflect.TypeOf(b.Carrier) && t.Comparable() && a.Carrier == b.Carrier &&
		a.Name == b.Name && a.MerchantID == b.MerchantID && a.Endpoint == b.Endpoint && a.Source == b.Source && a.Gate == b.Gate
}

// SetAccounts puts another set of carrier accounts in force at once: new ones,
// rebound ones, and without those that are not named. Calls under way end with
// the adapter they began with, and what they bring is taken in. Pushes to an
// account that is gone get 404, its numbers are no longer asked for, and what it
// brought stays. [Ingest.Poll] begins and ends to ask carriers accordingly.
//
// An account whose adapter is the very one of before keeps its calls and its
// place in the queue. An error of kind ErrInvalid leaves the old set in force.
func (g *Ingest) SetAccounts(accounts []Account) error {
	g.rosters.Lock()
	defer g.rosters.Unlock()
	before := g.roster.Load()
	r, err := newRoster(g, accounts, before)
	if err != nil {
		return err
	}
	g.roster.Store(r)
	if before != nil {
		close(before.changed)
	}
	return nil
}

// named is the lane of an account; nil if there is none.
func (g *Ingest) named(carrier, account string) *lane {
	return g.roster.Load().byName[accountKey{carrier, account}]
}

// spec is what a carrier with an account says about itself.
func (g *Ingest) spec(carrier string) (carriers.Spec, bool) {
	s, ok := g.roster.Load().specs[carrier]
	return s, ok
}

// known lists the carriers that have an account, by name.
func (g *Ingest) known() []string { return slices.Sorted(maps.Keys(g.roster.Load().specs)) }

// repeats tells whether a carrier with an account repeats others' scans.
func (g *Ingest) repeats() bool {
	for _, s := range g.roster.Load().specs {
		if s.Aggregator {
			return true
		}
	}
	return false
}

// accountFor chooses who asks for a carrier's numbers: the merchant's own
// account if it has one, else the deployment's.
func (g *Ingest) accountFor(carrier, merchantID string) *lane {
	for _, l := range g.roster.Load().lanes[carrier] {
		if l.account.MerchantID == merchantID || l.account.MerchantID == "" {
			return l
		}
	}
	return nil
}

// laneOf is the way to the account through which a number is asked.
func (g *Ingest) laneOf(t *parcel.Tracking) *lane {
	if l := g.named(t.Carrier, t.Account); l != nil {
		return l
	}
	return g.accountFor(t.Carrier, "")
}

// closeGates gives back the calls that were leased and not made.
func (g *Ingest) closeGates() {
	ctx, cancel := context.WithTimeout(context.Background(), leaseLimit)
	defer cancel()
	for _, l := range g.roster.Load().byName {
		if l.account.Gate == nil {
			continue
		}
		if err := l.account.Gate.Close(ctx); err != nil {
			g.log.Warn("cannot give back calls that were not made; they count until the window is over", "carrier", l.account.Spec.Name, "account", l.account.Name, "error", err)
		}
	}
}
