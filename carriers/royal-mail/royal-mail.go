// Package royalmail tracks items in the hands of Royal Mail: those posted in
// the United Kingdom, and those that other posts and consolidators send there.
//
// API: Tracking API v2 (REST, server-side application): the events of one item,
// or the summary, which is the latest event, of thirty. An account sets which
// of the two it asks; a summary a day costs a thirtieth of the calls, and tells
// of the scans in between nothing. Times carry an offset, which is that of
// Britain; of scans abroad it is not known to be, so those are assumed.
//
// The event codes are those in public use; the list that Royal Mail hands to
// its customers is not published, and codes that are missing here read as
// unknown with their words. Not read: the signature operation, whose answer is
// a person's name and handwriting, and the name of the post abroad that an
// export goes on with, which is a title and no code.
package royalmail

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name = "royal-mail"
	home = parcel.Country("GB")

	kindEvents  = "events"
	kindSummary = "summary"

	baseURL     = "https://api.royalmail.net"
	piecesPath  = "/mailpieces/v2/"
	eventsPart  = "/events"
	summaryPart = "summary"

	// summaryLimit is how many items one summary may be asked for.
	summaryLimit = 30
	// dailyCalls is what the smallest plan of the developer portal allows.
	dailyCalls = 50
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "Royal Mail",
		Country:      home,
		Stages:       []parcel.Stage{parcel.StageLastMile, parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms},
		API:          "Tracking API v2",
		BaseURL:      baseURL,
		TrackingPage: "https://www.royalmail.com/track-your-item#/tracking-results/{number}",
		Batch:        summaryLimit,
		Quota:        carriers.Quota{Calls: dailyCalls, Window: 24 * time.Hour},
		Settings: []carriers.Setting{
			{Name: "client_id", Doc: "client id of the application, sent as X-IBM-Client-Id; needed to ask"},
			{Name: "client_secret", Doc: "client secret of the application, sent as X-IBM-Client-Secret; needed to ask", Secret: true},
			{Name: "ask", Doc: "events: the whole history, a call for each item; summary: the latest event alone, a call for thirty", Default: kindEvents},
			{Name: "calls_per_day", Doc: "calls that the application's plan allows in a day; 0 for no limit", Default: strconv.Itoa(dailyCalls)},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindEvents, Source: parcel.SourcePoll, Doc: "answer of the events operation for one item", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "mailPieces") && !severalPieces(b) || carrierkit.SniffJSON(b, "httpCode")
			}},
			{Name: kindSummary, Source: parcel.SourcePoll, Doc: "answer of the summary operation for up to thirty items", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "mailPieces") && severalPieces(b)
			}},
		},
		Codes: codes,
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// royalMail is the adapter of one account.
type royalMail struct {
	env    carriers.Env
	codes  carriers.Table
	client *carrierkit.Client
	zones  carrierkit.Zones

	base, clientID, clientSecret string
	summary                      bool
}

var _ carriers.Fetcher = (*royalMail)(nil)

// bind checks settings. An account may lack credentials, to decode what is
// kept.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	bad := func(setting, want string) error {
		return fmt.Errorf("%s: setting %s: %s: %w", name, setting, want, parcel.ErrInvalid)
	}
	r := &royalMail{
		env: env, codes: s.Codes, base: strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		clientID: env.Settings["client_id"], clientSecret: env.Settings["client_secret"],
	}
	switch env.Settings["ask"] {
	case "", kindEvents:
	case kindSummary:
		r.summary = true
	default:
		return nil, bad("ask", "want events or summary")
	}
	switch {
	case r.clientID == "" && r.clientSecret != "":
		return nil, bad("client_id", "missing beside client_secret")
	case r.clientID != "" && r.clientSecret == "":
		return nil, bad("client_secret", "missing beside client_id")
	}
	quota := s.Quota
	var err error
	if quota.Calls, err = strconv.Atoi(cmp.Or(env.Settings["calls_per_day"], strconv.Itoa(dailyCalls))); err != nil || quota.Calls < 0 {
		return nil, bad("calls_per_day", "want a number from 0")
	}
	r.client = carrierkit.NewClient(env, carrierkit.Options{Quota: quota, Timeout: s.Timeout})
	return r, nil
}

// Fetch asks for the events of each number, or for the summaries of all.
func (r *royalMail) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if r.clientID == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	most := 1
	if r.summary {
		most = summaryLimit
	}
	var payloads []parcel.Payload
	for _, part := range batches(queries, most) {
		got, err := r.ask(ctx, part)
		payloads = append(payloads, got...)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d numbers from %s: %w", name, len(part), part[0], err)
		}
	}
	return payloads, nil
}

// batches cuts the numbers into calls. One with other characters than letters
// and digits goes alone: a comma would make two of it.
func batches(queries []carriers.Query, most int) [][]string {
	var plain []string
	var out [][]string
	seen := map[string]bool{}
	for _, q := range queries {
		n := parcel.NormalizeNumber(q.Number)
		switch {
		case n == "" || seen[n]:
		case strings.Trim(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "":
			out = append(out, []string{n})
		default:
			plain = append(plain, n)
		}
		seen[n] = true
	}
	return slices.Concat(slices.Collect(slices.Chunk(plain, most)), out)
}

// ask makes one call; more where one number spoils the call of many.
func (r *royalMail) ask(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: r.env.Account, Kind: kindEvents, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	address := r.base + piecesPath + url.PathEscape(numbers[0]) + eventsPart
	if r.summary {
		p.Kind = kindSummary
		escaped := make([]string, len(numbers))
		for i, n := range numbers {
			escaped[i] = url.QueryEscape(n)
		}
		address = r.base + piecesPath + summaryPart + "?mailPieceId=" + strings.Join(escaped, ",")
	}
	resp, err := r.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("X-Accept-RMG-Terms", "yes")
		req.Header.Set("X-IBM-Client-Id", r.clientID)
		req.Header.Set("X-IBM-Client-Secret", r.clientSecret)
		return req, nil
	})
	if refusal, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		said, _ := readAnswer(refusal.Body)
		switch {
		case said.aboutNumber():
			p.ContentType, p.Body = refusal.Header.Get("Content-Type"), refusal.Body
			return []parcel.Payload{p}, nil
		case refusal.Status == http.StatusBadRequest && len(numbers) > 1:
			return r.askSingly(ctx, numbers)
		}
	}
	if err != nil {
		return nil, err
	}
	p.ContentType, p.Body = resp.ContentType, resp.Body
	return []parcel.Payload{p}, nil
}

// askSingly finds the malformed number among many, so that it fails no other.
// An answer that says of one number that the request is bad is about that one.
func (r *royalMail) askSingly(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	var payloads []parcel.Payload
	var errs []error
	for _, n := range numbers {
		got, err := r.ask(ctx, []string{n})
		payloads = append(payloads, got...)
		switch {
		case errors.Is(err, parcel.ErrMalformed):
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
		case err != nil:
			return payloads, errors.Join(append(errs, err)...)
		}
	}
	return payloads, errors.Join(errs...)
}

// Redact replaces what names a person or the place of one: who signed, the
// picture of it, where the courier stood, and sentences of which some name the
// neighbour's address.
func (r *royalMail) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("recipientName", "image", "imageId", "summaryLine", "statusHelpText",
		"proofOfDeliveryData", "position", "signatureURI", "photoURI"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("eventName", "lastEventName", "statusDescription"))
	return p
}
