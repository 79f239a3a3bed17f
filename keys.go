package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// scopes lists what a key may be allowed, as the command line spells it.
func scopes() (out []string) {
	for _, s := range graph.Scopes() {
		out = append(out, s.CLI())
	}
	return out
}

// parseScopes reads scopes in either spelling into that of the schema; "all"
// is every one of them.
func parseScopes(words []string) (out []string, err error) {
	if len(words) == 1 && words[0] == "all" {
		for _, s := range graph.Scopes() {
			out = append(out, string(s))
		}
		return out, nil
	}
	for _, w := range words {
		s, err := graph.ParseScope(w)
		if err != nil {
			return nil, usage{fmt.Errorf("--scopes: %w", err)}
		}
		out = append(out, string(s))
	}
	if len(out) == 0 {
		return nil, badUsage("--scopes: name at least one of %s", strings.Join(scopes(), ", "))
	}
	return out, nil
}

func newID(at time.Time) string { return ulid.MustNew(ulid.Timestamp(at), rand.Reader).String() }

func createKey(ctx context.Context, con *console, log *slog.Logger, c *keysCreate) error {
	allowed, err := parseScopes(c.Scopes)
	if err != nil {
		return err
	}
	if c.Expires < 0 {
		return badUsage("--expires: %s lies in the past", c.Expires)
	}
	if err := c.check(ctx); err != nil {
		return err
	}
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	m, made, err := merchantNamed(ctx, s, con.wall, c.Merchant, true)
	if err != nil {
		return err
	}
	if made {
		con.note("merchant %s is new", m.Name)
	}
	if err := c.settle(ctx, s, &m); err != nil {
		return err
	}
	if !c.none() {
		con.note("%s", merchantLine(m))
	}
	secret, prefix, hash := gateway.NewKey()
	now := con.wall.Now()
	k := storage.Key{ID: newID(now), MerchantID: m.ID, Name: c.Name, Prefix: prefix, Hash: hash, Scopes: allowed, CreatedAt: now}
	if c.Expires > 0 {
		k.ExpiresAt = now.Add(c.Expires)
	}
	if err := s.PutKey(ctx, k); err != nil {
		return err
	}
	con.note("key %s of %s may: %s", k.ID, m.Name, strings.Join(cliScopes(allowed), ", "))
	con.note("it is shown this once:")
	con.printf("%s\n", secret)
	return nil
}

func cliScopes(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = graph.Scope(n).CLI()
	}
	return out
}

// keyAbout is a line of `keys list`.
type keyAbout struct {
	ID       string     `json:"id"`
	Merchant string     `json:"merchant"`
	Prefix   string     `json:"prefix"`
	Name     string     `json:"name,omitempty"`
	Scopes   []string   `json:"scopes"`
	State    string     `json:"state"`
	Created  time.Time  `json:"createdAt"`
	LastUsed *time.Time `json:"lastUsedAt,omitempty"`
	Expires  *time.Time `json:"expiresAt,omitempty"`
	Revoked  *time.Time `json:"revokedAt,omitempty"`
}

func instantOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func listKeys(ctx context.Context, con *console, log *slog.Logger, c *keysList) error {
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	scope := storage.OfDeployment("keys list")
	if c.Merchant != "" {
		m, _, err := merchantNamed(ctx, s, con.wall, c.Merchant, false)
		if err != nil {
			return fmt.Errorf("--merchant: %w", err)
		}
		scope = storage.OfMerchant(m.ID)
	}
	merchants, err := s.Merchants(ctx, scope)
	if err != nil {
		return err
	}
	name := map[string]string{}
	for _, m := range merchants {
		name[m.ID] = m.Name
	}
	keys, err := s.Keys(ctx, scope)
	if err != nil {
		return err
	}
	now := con.wall.Now()
	all := make([]keyAbout, 0, len(keys))
	for _, k := range keys {
		a := keyAbout{
			ID: k.ID, Merchant: name[k.MerchantID], Prefix: k.Prefix, Name: k.Name, Scopes: cliScopes(k.Scopes), State: "active", Created: k.CreatedAt,
			LastUsed: instantOrNil(k.LastUsedAt), Expires: instantOrNil(k.ExpiresAt), Revoked: instantOrNil(k.RevokedAt),
		}
		switch {
		case !k.RevokedAt.IsZero():
			a.State = "revoked"
		case !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now):
			a.State = "expired"
		}
		all = append(all, a)
	}
	if c.JSON {
		return writeJSON(con.out, all)
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tMERCHANT\tKEY\tSTATE\tCREATED\tLAST USED\tNAME\tSCOPES")
	for _, a := range all {
		used := "never"
		if a.LastUsed != nil {
			used = a.LastUsed.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%s\t%s\t%s…\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.Merchant, a.Prefix, a.State, a.Created.Format(time.DateOnly), used, a.Name, strings.Join(a.Scopes, ","))
	}
	return w.Flush()
}

func revokeKey(ctx context.Context, con *console, log *slog.Logger, c *keysRevoke) error {
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	scope := storage.OfDeployment("keys revoke")
	keys, err := s.Keys(ctx, scope)
	if err != nil {
		return err
	}
	named := strings.TrimRight(c.Key, "….")
	var found []storage.Key
	for _, k := range keys {
		// A whole key may be pasted, too: whoever has it wants it gone.
		if k.ID == named || k.Prefix == named || len(named) > len(k.Prefix) && strings.HasPrefix(named, k.Prefix) && string(gateway.HashKey(named)) == string(k.Hash) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("there is no key %s; milepost keys list shows those there are: %w", shownKey(named), parcel.ErrNotFound)
	case 1:
	default:
		return fmt.Errorf("%d keys begin with %s; give the id: %w", len(found), shownKey(named), parcel.ErrConflict)
	}
	k := found[0]
	if !k.RevokedAt.IsZero() {
		con.printf("key %s was revoked on %s\n", k.ID, k.RevokedAt.Format(time.RFC3339))
		return nil
	}
	if err := s.RevokeKey(ctx, scope, k.ID, con.wall.Now()); err != nil {
		return err
	}
	con.printf("key %s (%s…) is revoked\n", k.ID, k.Prefix)
	return nil
}

// shownKey is how a key that was typed may be repeated.
func shownKey(s string) string {
	if strings.HasPrefix(s, gateway.KeyMark) {
		return gateway.PrefixOfKey(s) + "…"
	}
	return s
}

// fixedKey keeps a key that was chosen by hand, unless it is there.
func fixedKey(ctx context.Context, s *storage.Store, secret, merchantID string, now time.Time) error {
	if err := gateway.CheckKey(secret); err != nil {
		return usage{fmt.Errorf("--key: %w", err)}
	}
	all, err := parseScopes([]string{"all"})
	if err != nil {
		return err
	}
	err = s.PutKey(ctx, storage.Key{
		ID: newID(now), MerchantID: merchantID, Name: "demo", Prefix: gateway.PrefixOfKey(secret), Hash: gateway.HashKey(secret), Scopes: all, CreatedAt: now,
	})
	if errors.Is(err, parcel.ErrConflict) {
		return nil // kept by an earlier run on the same file
	}
	return err
}
