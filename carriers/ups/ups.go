// Package ups tracks parcels moved by UPS: express from end to end, or the
// last mile in the United States.
//
// API: UPS Track v1 and Track Alert, REST with OAuth2 client credentials, one
// number per call. Scans are told by a local clock without a zone beside an
// optional GMT clock; the two together give the exact offset.
package ups

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name = "ups"

	kindTrack = "track"
	kindPush  = "push"

	tokenPath = "/security/v1/oauth/token"
	trackPath = "/api/track/v1/details/"

	// maxTokenSeconds bounds what a token says of its life, which is four hours.
	maxTokenSeconds = 24 * 60 * 60

	defaultLocale = "en_US"
	defaultSource = "milepost"
)

//go:embed codes.csv
var codesCSV string

func init() {
	carriers.Register(spec())
}

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "UPS",
		Country:      "US",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Track API v1, Track Alert",
		BaseURL:      "https://onlinetools.ups.com",
		TrackingPage: "https://www.ups.com/track?tracknum={number}",
		Batch:        1,
		// UPS publishes no number; this is a polite guest's.
		Quota: carriers.Quota{PerSecond: 5, Burst: 10},
		Settings: []carriers.Setting{
			{Name: "client_id", Doc: "OAuth2 client id of the application; needed to ask"},
			{Name: "client_secret", Doc: "OAuth2 client secret; needed to ask", Secret: true},
			{Name: "merchant_id", Doc: "UPS account number, sent as x-merchant-id with token requests"},
			{Name: "transaction_source", Doc: "application name that UPS sees with each call", Default: defaultSource},
			{Name: "locale", Doc: "language of descriptions, as UPS writes it", Default: defaultLocale},
			{Name: "push_credential", Doc: "the credential of the Track Alert subscription; needed to take pushes", Secret: true},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of the Track API", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "trackResponse") || carrierkit.SniffJSON(b, "response")
			}},
			{Name: kindPush, Source: parcel.SourceWebhook, Doc: "one event of Track Alert", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "trackingNumber", "activityStatus")
			}},
		},
		Codes: codes,
		Products: []carriers.Product{
			{Code: "518", Name: "UPS Worldwide Saver", Class: "EXPRESS"},
		},
		Fake: newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

type ups struct {
	env    carriers.Env
	codes  carriers.Table
	base   string
	client *carrierkit.Client
	tokens *carrierkit.TokenCache
	zones  carrierkit.Zones

	clientID, clientSecret, merchantID string
	source, locale, credential         string
}

var (
	_ carriers.Fetcher  = (*ups)(nil)
	_ carriers.Verifier = (*ups)(nil)
)

// bind checks settings. An account may hold the credentials of the Track API,
// the credential of pushes, both, or (to decode what is kept) none.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	u := &ups{
		env:          env,
		codes:        s.Codes,
		base:         strings.TrimSuffix(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		clientID:     env.Settings["client_id"],
		clientSecret: env.Settings["client_secret"],
		merchantID:   env.Settings["merchant_id"],
		source:       cmp.Or(env.Settings["transaction_source"], defaultSource),
		locale:       cmp.Or(env.Settings["locale"], defaultLocale),
		credential:   env.Settings["push_credential"],
	}
	base, err := url.Parse(u.base)
	switch {
	case err != nil || base.Host == "":
		return nil, fmt.Errorf("ups: base URL has no host: %w", parcel.ErrInvalid)
	case u.clientID == "" && u.clientSecret != "":
		return nil, fmt.Errorf("ups: setting client_id: missing beside client_secret: %w", parcel.ErrInvalid)
	case u.clientID != "" && u.clientSecret == "":
		return nil, fmt.Errorf("ups: setting client_secret: missing beside client_id: %w", parcel.ErrInvalid)
	}
	// The one POST asks for a token, which may be asked for again.
	u.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	u.tokens = carrierkit.NewTokenCache(env.Wall, u.newToken)
	return u, nil
}

// Fetch asks for each number by itself: UPS takes one per call.
func (u *ups) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if u.clientID == "" {
		return nil, fmt.Errorf("ups: %w", carriers.ErrNoAccount)
	}
	payloads := make([]parcel.Payload, 0, len(queries))
	for _, q := range queries {
		number := parcel.NormalizeNumber(q.Number)
		p, err := u.ask(ctx, number)
		if err != nil {
			return payloads, fmt.Errorf("ups: fetch %s: %w", number, err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

func (u *ups) ask(ctx context.Context, number string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: u.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: []string{number}}
	query := url.Values{
		"locale":           {u.locale},
		"returnSignature":  {"false"},
		"returnMilestones": {"false"},
		"returnPOD":        {"false"},
	}
	err := u.tokens.With(ctx, func(ctx context.Context, token string) error {
		resp, err := u.client.Do(ctx, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+trackPath+url.PathEscape(number)+"?"+query.Encode(), nil)
			if err != nil {
				return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept", "application/json")
			req.Header.Set("transId", newTransID())
			req.Header.Set("transactionSrc", u.source)
			return req, nil
		})
		if refusal, ok := errors.AsType[*carrierkit.StatusError](err); ok && aboutNumber(refusal) {
			p.ContentType, p.Body = refusal.Header.Get("Content-Type"), refusal.Body
			return nil
		}
		if err != nil {
			return err
		}
		p.ContentType, p.Body = resp.ContentType, resp.Body
		return nil
	})
	return p, err
}

// aboutNumber tells whether a refusal only says that the number is not known
// (404) or none that UPS could have given (400): an answer, not a failure.
func aboutNumber(e *carrierkit.StatusError) bool {
	if e.Status != http.StatusNotFound && e.Status != http.StatusBadRequest {
		return false
	}
	var doc envelope
	if json.Unmarshal(e.Body, &doc) != nil {
		return false
	}
	for _, raw := range doc.Response.Errors.Items {
		var fault message
		if read(raw, &fault) == nil && fault.aboutNumber() {
			return true
		}
	}
	return false
}

// newToken asks for a token by client credentials.
func (u *ups) newToken(ctx context.Context) (string, time.Time, error) {
	asked := u.env.Wall.Now()
	resp, err := u.client.Do(ctx, func() (*http.Request, error) {
		body := url.Values{"grant_type": {"client_credentials"}}.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.base+tokenPath, strings.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.SetBasicAuth(u.clientID, u.clientSecret)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		if u.merchantID != "" {
			req.Header.Set("x-merchant-id", u.merchantID)
		}
		return req, nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	var answer struct {
		AccessToken text `json:"access_token"`
		ExpiresIn   text `json:"expires_in"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil {
		return "", time.Time{}, fmt.Errorf("answer: %v: %w", err, parcel.ErrMalformed)
	}
	seconds, ok := answer.ExpiresIn.Int()
	if !ok || seconds < 0 {
		// A token that does not tell its life serves the call at hand only.
		return answer.AccessToken.String(), time.Time{}, nil
	}
	// Counted from before the call, by our own clock: UPS's may be off.
	return answer.AccessToken.String(), asked.Add(time.Duration(min(seconds, maxTokenSeconds)) * time.Second), nil
}

// newTransID makes the unique request id that UPS asks for (RFC 9562, version 4).
func newTransID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by the package's contract
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Verify compares the credential that the subscription asked UPS to send back.
// UPS signs nothing: the header is all there is.
func (u *ups) Verify(d carriers.Delivery) (string, error) {
	if u.credential == "" {
		return "", fmt.Errorf("ups: push: setting push_credential is not set: %w", parcel.ErrDenied)
	}
	if !carrierkit.ConstantTimeEqual(d.Header.Get("credential"), u.credential) {
		return "", fmt.Errorf("ups: push: credential: %w", parcel.ErrDenied)
	}
	if !json.Valid(d.Body) || !bytes.HasPrefix(bytes.TrimSpace(d.Body), []byte("{")) {
		return "", fmt.Errorf("ups: push: no JSON object: %w", parcel.ErrMalformed)
	}
	return kindPush, nil
}

// Reply answers by status alone; whatever is not 2xx is sent again.
func (u *ups) Reply(err error) carriers.Reply {
	switch {
	case err == nil:
		return carriers.Reply{Status: http.StatusOK}
	case errors.Is(err, parcel.ErrDenied):
		return carriers.Reply{Status: http.StatusUnauthorized}
	case errors.Is(err, parcel.ErrMalformed), errors.Is(err, parcel.ErrInvalid):
		return carriers.Reply{Status: http.StatusBadRequest}
	default:
		return carriers.Reply{Status: http.StatusServiceUnavailable}
	}
}

// Redact hides who took the parcel in, and names and streets of addresses.
func (u *ups) Redact(p parcel.Payload) parcel.Payload {
	personal := carrierkit.Named("receivedBy", "attentionName", "signature", "pod", "deliveryPhoto",
		"addressLine1", "addressLine2", "addressLine3", "phone", "email")
	called, address := carrierkit.Named("name"), carrierkit.Named("packageAddress")
	p.Body = carrierkit.RedactJSON(p.Body, func(path []string) bool {
		// A name is of a person in an address, of a thing elsewhere.
		return personal(path) || called(path) && address(path[:len(path)-1])
	})
	return p
}
