package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/milepost-gateway/milepost/graph/scalar"
	"github.com/milepost-gateway/milepost/storage"
)

// maxSupportURL is the longest address of a help page, in bytes.
const maxSupportURL = 2000

// none tells whether no setting was given.
func (f *merchantFlags) none() bool {
	return f.TrackPublic == nil && f.Locale == nil && f.SupportURL == nil
}

// check refuses what could not be shown to a shopper.
func (f *merchantFlags) check(ctx context.Context) error {
	if f.Locale != nil && *f.Locale != "" {
		if _, err := scalar.UnmarshalLocale(ctx, *f.Locale); err != nil {
			return badUsage("--locale: %q is not a language tag such as pt-BR", *f.Locale)
		}
	}
	if f.SupportURL != nil && *f.SupportURL != "" {
		// Shoppers' pages link to it: other schemes could run as a script.
		u, err := url.Parse(*f.SupportURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(*f.SupportURL) > maxSupportURL {
			return badUsage("--support-url: %q is not an address such as https://shop.example/help", *f.SupportURL)
		}
	}
	return nil
}

// settle stores the settings that were given; the others stay as they are.
func (f *merchantFlags) settle(ctx context.Context, s *storage.Store, m *storage.Merchant) error {
	if f.none() {
		return nil
	}
	if f.TrackPublic != nil {
		m.TrackPublic = *f.TrackPublic
	}
	if f.Locale != nil {
		m.DefaultLocale = *f.Locale
	}
	if f.SupportURL != nil {
		m.SupportURL = *f.SupportURL
	}
	return s.UpdateMerchant(ctx, *m)
}

// merchantAbout is a line of `merchants list`.
type merchantAbout struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	TrackPublic bool      `json:"trackPublic"`
	Locale      string    `json:"locale,omitempty"`
	SupportURL  string    `json:"supportUrl,omitempty"`
	Created     time.Time `json:"createdAt"`
}

func aboutMerchant(m storage.Merchant) merchantAbout {
	return merchantAbout{ID: m.ID, Name: m.Name, TrackPublic: m.TrackPublic, Locale: m.DefaultLocale, SupportURL: m.SupportURL, Created: m.CreatedAt}
}

func listMerchants(ctx context.Context, con *console, log *slog.Logger, c *merchantsList) error {
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	merchants, err := s.Merchants(ctx, storage.OfDeployment("merchants list"))
	if err != nil {
		return err
	}
	all := make([]merchantAbout, len(merchants))
	for i, m := range merchants {
		all[i] = aboutMerchant(m)
	}
	if c.JSON {
		return writeJSON(con.out, all)
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTRACK PUBLIC\tLOCALE\tSUPPORT\tCREATED\tID")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Name, yesNo(a.TrackPublic), orDash(a.Locale), orDash(a.SupportURL), a.Created.Format(time.DateOnly), a.ID)
	}
	return w.Flush()
}

func setMerchant(ctx context.Context, con *console, log *slog.Logger, c *merchantsSet) error {
	if c.none() {
		return badUsage("merchants set: name at least one of --track-public, --no-track-public, --locale, --support-url")
	}
	if err := c.check(ctx); err != nil {
		return err
	}
	s, err := openStore(ctx, log, c.Store, !c.NoMigrate)
	if err != nil {
		return err
	}
	defer s.Close()
	m, _, err := merchantNamed(ctx, s, con.wall, c.Name, false)
	if err != nil {
		return err
	}
	if err := c.settle(ctx, s, &m); err != nil {
		return err
	}
	con.printf("%s\n", merchantLine(m))
	return nil
}

// merchantLine says in one line how a merchant is set.
func merchantLine(m storage.Merchant) string {
	return strings.Join([]string{
		"merchant " + m.Name, "a number alone opens the masked page: " + yesNo(m.TrackPublic),
		"locale: " + orDash(m.DefaultLocale), "support: " + orDash(m.SupportURL),
	}, "; ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
