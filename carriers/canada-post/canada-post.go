// Package canadapost tracks items in the hands of Canada Post: those posted in
// Canada, and those that other posts and consolidators send there.
//
// API: Tracking Web Services, track-v2 (XML over HTTP, user and password), one
// number a call. Asked is the detail: every event with date, clock and the
// abbreviation of its zone, newest first. An abbreviation that fits the season
// is the offset; one of the other season, as some offices write all year, and a
// scan abroad, which has none, leave it to the place. The summary is read for
// whether a number is known and when it is expected: its event has neither code
// nor zone, and would be told twice beside the detail's.
//
// Not established, and so settings: how many calls a minute a key may make. Not
// read: delivery notice cards, searches by reference, and the fields for the
// numbers of returns, of which it is not published which parcel they name.
package canadapost

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name = "canada-post"
	home = parcel.Country("CA")

	kindDetail  = "detail"
	kindSummary = "summary"

	baseURL    = "https://soa-gw.canadapost.ca"
	pinPath    = "/vis/track/pin/"
	detailPart = "/detail"
	mediaType  = "application/vnd.cpc.track-v2+xml"

	// minuteCalls is presumed: the page of a key tells its own.
	minuteCalls = 60
	// throttled is how long a key that called too often is refused, at most.
	throttled = time.Minute
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "Canada Post",
		Country:      home,
		Stages:       []parcel.Stage{parcel.StageLastMile, parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms},
		API:          "Tracking Web Services, track-v2",
		BaseURL:      baseURL,
		TrackingPage: "https://www.canadapost-postescanada.ca/track-reperage/en#/details/{number}",
		Batch:        1,
		Quota:        carriers.Quota{Calls: minuteCalls, Window: time.Minute},
		Settings: []carriers.Setting{
			{Name: "username", Doc: "user id of the key of the Developer Program; needed to ask"},
			{Name: "password", Doc: "password of the key; needed to ask", Secret: true},
			{Name: "language", Doc: "language of the words: en or fr", Default: "en"},
			{Name: "calls_per_minute", Doc: "calls that the key may make in a minute, as its page in the Developer Program says; 0 for no limit", Default: strconv.Itoa(minuteCalls)},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindDetail, Source: parcel.SourcePoll, Doc: "answer of Get Tracking Details for one number", Sniff: func(b []byte) bool {
				return carrierkit.SniffXML(b, "tracking-detail") || carrierkit.SniffXML(b, "messages", "message")
			}},
			{Name: kindSummary, Source: parcel.SourcePoll, Doc: "answer of Get Tracking Summary", Sniff: func(b []byte) bool {
				return carrierkit.SniffXML(b, "tracking-summary")
			}},
		},
		Codes: codes,
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// canadaPost is the adapter of one account.
type canadaPost struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	client  *carrierkit.Client
	zones   carrierkit.Zones

	base, username, password, language string
}

var _ carriers.Fetcher = (*canadaPost)(nil)

// bind checks settings. An account may lack credentials, to decode what is
// kept.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	bad := func(setting, want string) error {
		return fmt.Errorf("%s: setting %s: %s: %w", name, setting, want, parcel.ErrInvalid)
	}
	c := &canadaPost{
		env: env, codes: s.Codes, phrases: carrierkit.NewPhrases(s.Codes), base: strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		username: env.Settings["username"], password: env.Settings["password"], language: cmp.Or(env.Settings["language"], "en"),
	}
	switch {
	case c.language != "en" && c.language != "fr":
		return nil, bad("language", "want en or fr")
	case c.username == "" && c.password != "":
		return nil, bad("username", "missing beside password")
	case c.username != "" && c.password == "":
		return nil, bad("password", "missing beside username")
	}
	quota := s.Quota
	var err error
	if quota.Calls, err = strconv.Atoi(cmp.Or(env.Settings["calls_per_minute"], strconv.Itoa(minuteCalls))); err != nil || quota.Calls < 0 {
		return nil, bad("calls_per_minute", "want a number from 0")
	}
	c.client = carrierkit.NewClient(env, carrierkit.Options{Quota: quota, Timeout: s.Timeout})
	return c, nil
}

// Fetch asks for the detail of each number.
func (c *canadaPost) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if c.username == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for _, n := range carrierkit.Numbers(queries) {
		p, err := c.ask(ctx, n)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %s: %w", name, n, err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

func (c *canadaPost) ask(ctx context.Context, number string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: c.env.Account, Kind: kindDetail, Source: parcel.SourcePoll, Numbers: []string{number}}
	resp, err := c.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+pinPath+url.PathEscape(number)+detailPart, nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.SetBasicAuth(c.username, c.password)
		req.Header.Set("Accept", mediaType)
		req.Header.Set("Accept-Language", c.language+"-CA")
		return req, nil
	})
	if refusal, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		said := readMessages(refusal.Body)
		switch {
		case aboutNumber(said):
			p.ContentType, p.Body = refusal.Header.Get("Content-Type"), refusal.Body
			return p, nil
		case len(said) > 0:
			// The code says more than the status does: who calls too often is
			// not told so by 429.
			if kind := refused(said); errors.Is(kind, parcel.ErrThrottled) && !errors.Is(err, parcel.ErrThrottled) || errors.Is(kind, parcel.ErrDenied) {
				return p, kind
			}
		}
	}
	if err != nil {
		return p, err
	}
	p.ContentType, p.Body = resp.ContentType, resp.Body
	return p, nil
}

// Redact replaces who signed, and the sender's own references, which may name
// somebody.
func (c *canadaPost) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactXML(p.Body, func(path []string) bool {
		switch path[len(path)-1] {
		case "signatory-name", "customer-ref-1", "customer-ref-2":
			return true
		}
		return false
	})
	return p
}
