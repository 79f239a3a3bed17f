// Package fedex tracks parcels moved by FedEx: express, ground and economy,
// from end to end.
//
// API: FedEx Track v1 (Basic Integrated Visibility), REST with OAuth2 client
// credentials, thirty numbers per call. Scans carry the offset of their place;
// those that come without one, with a clock of midnight, are days.
package fedex

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	name      = "fedex"
	kindTrack = "track"

	tokenPath = "/oauth/token"
	trackPath = "/track/v1/trackingnumbers"

	// batchLimit is how many numbers one call may hold.
	batchLimit = 30
	// dailyCalls is the published usage limit of a project.
	dailyCalls = 10_000
	// maxTokenSeconds bounds what a token says of its life, which is one hour.
	maxTokenSeconds = 24 * 60 * 60

	defaultLocale = "en_US"
	// defaultThrottledCodes has the one code seen; FedEx publishes none.
	defaultThrottledCodes = "TOO.MANY.REQUESTS"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	s := carriers.Spec{
		Name:         name,
		Title:        "FedEx",
		Country:      "US",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Track API v1 (Basic Integrated Visibility)",
		BaseURL:      "https://apis.fedex.com",
		TrackingPage: "https://www.fedex.com/fedextrack/?trknbr={number}",
		Batch:        batchLimit,
		// The rate is a polite guest's: far below what is said to be refused.
		Quota:       carriers.Quota{PerSecond: 10, Burst: 10, Calls: dailyCalls, Window: 24 * time.Hour},
		NextCarrier: true,
		Settings: []carriers.Setting{
			{Name: "client_id", Doc: "API key of the project; needed to ask"},
			{Name: "client_secret", Doc: "secret key of the project; needed to ask", Secret: true},
			{Name: "locale", Doc: "language of descriptions, as FedEx writes it", Default: defaultLocale},
			{Name: "calls_per_day", Doc: "calls that the project may make in a day; 0 for no limit", Default: strconv.Itoa(dailyCalls)},
			{Name: "throttled_codes", Doc: "error codes that ask to come again later, parted by commas", Default: defaultThrottledCodes},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of the Track API for one or more numbers", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "output") || carrierkit.SniffJSON(b, "transactionId", "errors")
			}},
		},
		Codes: carrierkit.MustTable(codesCSV),
		Products: []carriers.Product{
			{Code: "INTERNATIONAL_ECONOMY", Name: "FedEx International Economy", Class: "EXPRESS"},
		},
		Fake: newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

type fedex struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	base    string
	client  *carrierkit.Client
	tokens  *carrierkit.TokenCache
	zones   carrierkit.Zones

	clientID, clientSecret, locale string
	throttled                      []string
}

var _ carriers.Fetcher = (*fedex)(nil)

// bind checks settings. An account has both credentials or (to decode what is
// kept) none.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	f := &fedex{
		env:          env,
		codes:        s.Codes,
		phrases:      carrierkit.NewPhrases(s.Codes),
		base:         strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		clientID:     env.Settings["client_id"],
		clientSecret: env.Settings["client_secret"],
		locale:       cmp.Or(env.Settings["locale"], defaultLocale),
		throttled:    carrierkit.SplitSetting(cmp.Or(env.Settings["throttled_codes"], defaultThrottledCodes)),
	}
	base, err := url.Parse(f.base)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("fedex: base URL has no host: %w", parcel.ErrInvalid)
	}
	switch {
	case f.clientID == "" && f.clientSecret != "":
		return nil, fmt.Errorf("fedex: setting client_id: missing beside client_secret: %w", parcel.ErrInvalid)
	case f.clientID != "" && f.clientSecret == "":
		return nil, fmt.Errorf("fedex: setting client_secret: missing beside client_id: %w", parcel.ErrInvalid)
	}
	quota := s.Quota
	quota.Calls, err = strconv.Atoi(cmp.Or(env.Settings["calls_per_day"], strconv.Itoa(dailyCalls)))
	if err != nil || quota.Calls < 0 {
		return nil, fmt.Errorf("fedex: setting calls_per_day: want a number from 0: %w", parcel.ErrInvalid)
	}
	// Both POST calls only read: one a token, the other scans.
	f.client = carrierkit.NewClient(env, carrierkit.Options{Quota: quota, Timeout: s.Timeout, RetryPOST: true})
	f.tokens = carrierkit.NewTokenCache(env.Wall, f.newToken)
	return f, nil
}

// Fetch asks for thirty numbers a call.
func (f *fedex) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if f.clientID == "" {
		return nil, fmt.Errorf("fedex: %w", carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for part := range slices.Chunk(carrierkit.Numbers(queries), batchLimit) {
		p, err := f.ask(ctx, part)
		if err != nil {
			return payloads, fmt.Errorf("fedex: fetch %d numbers from %s: %w", len(part), part[0], err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

// question is the body of a call.
type question struct {
	IncludeDetailedScans bool           `json:"includeDetailedScans"`
	TrackingInfo         []trackingInfo `json:"trackingInfo"`
}

type trackingInfo struct {
	TrackingNumberInfo struct {
		TrackingNumber string `json:"trackingNumber"`
	} `json:"trackingNumberInfo"`
}

func (f *fedex) ask(ctx context.Context, numbers []string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: f.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	q := question{IncludeDetailedScans: true, TrackingInfo: make([]trackingInfo, len(numbers))}
	for i, n := range numbers {
		q.TrackingInfo[i].TrackingNumberInfo.TrackingNumber = n
	}
	body, err := json.Marshal(q)
	if err != nil {
		return p, fmt.Errorf("question: %w", err)
	}
	err = f.tokens.With(ctx, func(ctx context.Context, token string) error {
		resp, err := f.client.Do(ctx, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+trackPath, bytes.NewReader(body))
			if err != nil {
				return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json")
			req.Header.Set("X-locale", f.locale)
			return req, nil
		})
		if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
			said, packErr := unpack(status.Header, status.Body)
			refusals := readRefusals(said)
			if packErr == nil && len(numbers) == 1 && refusals.aboutNumber() {
				p.ContentType, p.Body = status.Header.Get("Content-Type"), said
				return nil
			}
			if status.Status == http.StatusForbidden && f.isThrottled(refusals) {
				return refusals.wrap(&parcel.Throttled{})
			}
			return refusals.wrap(err)
		}
		if err != nil {
			return err
		}
		p.ContentType = resp.ContentType
		p.Body, err = unpack(resp.Header, resp.Body)
		return err
	})
	return p, err
}

// unpack decompresses an answer. FedEx sends gzip whether or not it was asked
// for; what a transport asked for by itself it has unpacked already.
func unpack(h http.Header, body []byte) ([]byte, error) {
	if !strings.EqualFold(h.Get("Content-Encoding"), "gzip") {
		return body, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("gzip: %v: %w", err, parcel.ErrMalformed)
	}
	out, err := io.ReadAll(io.LimitReader(r, carrierkit.MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("gzip: %v: %w", err, parcel.ErrMalformed)
	case len(out) > carrierkit.MaxBody:
		return nil, fmt.Errorf("gzip: answer of more than %d MiB: %w", carrierkit.MaxBody>>20, parcel.ErrMalformed)
	}
	return out, nil
}

// newToken asks for a token by client credentials.
func (f *fedex) newToken(ctx context.Context) (string, time.Time, error) {
	asked := f.env.Wall.Now()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {f.clientID}, "client_secret": {f.clientSecret}}.Encode()
	resp, err := f.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+tokenPath, strings.NewReader(form))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		if said, packErr := unpack(status.Header, status.Body); packErr == nil {
			err = readRefusals(said).wrap(err)
		}
	}
	if err != nil {
		return "", time.Time{}, err
	}
	body, err := unpack(resp.Header, resp.Body)
	if err != nil {
		return "", time.Time{}, err
	}
	var answer struct {
		AccessToken text `json:"access_token"`
		ExpiresIn   text `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", time.Time{}, fmt.Errorf("answer: %v: %w", err, parcel.ErrMalformed)
	}
	seconds, ok := answer.ExpiresIn.Int()
	if !ok || seconds < 0 {
		// A token that does not tell its life serves the call at hand only.
		return answer.AccessToken.String(), time.Time{}, nil
	}
	// Counted from before the call, by our own clock: FedEx's may be off.
	return answer.AccessToken.String(), asked.Add(time.Duration(min(seconds, maxTokenSeconds)) * time.Second), nil
}

// Redact hides who took the parcel in, names, streets and contacts of sender
// and recipient, and contacts in sentences.
func (f *fedex) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("receivedByName", "streetLines", "personName", "companyName", "phoneNumber",
		"phoneExtension", "emailAddress", "faxNumber", "nickname", "signatureName"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("eventDescription", "exceptionDescription", "description", "message"))
	return p
}
