// Package fourpx tracks parcels of 4PX, a consolidator: warehouse, line-haul and
// customs, and the last mile by carriers of the destination.
//
// API: 4PX Open Platform, tr.order.tracking.get, one number a call, signed by
// digest. It answers about real parcels in production only. Times are local
// texts with a zone such as UTC+10:00 in the newer edition; without one they
// are read as the clock of China, and marked as assumed.
package fourpx

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name      = "fourpx"
	kindTrack = "track"

	servicePath = "/router/api/service"
	method      = "tr.order.tracking.get"
	format      = "json"

	defaultVersion  = "1.0.0"
	defaultLanguage = "en"
	defaultDenied   = "000014"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "4PX",
		Country:      "CN",
		Stages:       parcel.Stages(),
		API:          "Open Platform, tr.order.tracking.get",
		BaseURL:      "https://open.4px.com",
		TrackingPage: "https://track.4px.com/#/result/0/{number}",
		Batch:        1,
		// No rate is established; this is a polite guest's.
		Quota: carriers.Quota{PerSecond: 2, Burst: 4},
		Settings: []carriers.Setting{
			{Name: "app_key", Doc: "key of the application; needed to ask"},
			{Name: "app_secret", Doc: "secret of the application, signs calls; needed to ask", Secret: true},
			{Name: "access_token", Doc: "token of the merchant, for software vendors who act for merchants", Secret: true},
			{Name: "version", Doc: "edition of the API; 2.0.0 tells zones", Default: defaultVersion},
			{Name: "language", Doc: "language of sentences: en or cn", Default: defaultLanguage},
			{Name: "denied_codes", Doc: "error codes that mean refused credentials, parted by commas", Default: defaultDenied},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of tr.order.tracking.get", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "result")
			}},
		},
		Codes: codes,
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f) },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// fourPX is the adapter of one account.
type fourPX struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	zones   carrierkit.Zones
	client  *carrierkit.Client
	base    string

	appKey, secret, accessToken string
	version, language           string
	deniedCodes                 []string
}

var _ carriers.Fetcher = (*fourPX)(nil)

// bind checks settings: an account has key and secret, or (to decode what is
// kept) neither.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	c := &fourPX{
		env: env, codes: s.Codes, phrases: carrierkit.NewPhrases(s.Codes),
		base:   strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		appKey: strings.TrimSpace(set["app_key"]), secret: set["app_secret"], accessToken: set["access_token"],
		version: cmp.Or(set["version"], defaultVersion), language: cmp.Or(set["language"], defaultLanguage),
		deniedCodes: carrierkit.SplitSetting(cmp.Or(set["denied_codes"], defaultDenied)),
	}
	switch {
	case c.appKey == "" && c.secret != "":
		return nil, fmt.Errorf("%s: setting app_key: missing beside app_secret: %w", name, parcel.ErrInvalid)
	case c.appKey != "" && c.secret == "":
		return nil, fmt.Errorf("%s: setting app_secret: missing beside app_key: %w", name, parcel.ErrInvalid)
	case c.language != "en" && c.language != "cn":
		return nil, fmt.Errorf("%s: setting language: want en or cn: %w", name, parcel.ErrInvalid)
	}
	// The call only reads, so that a POST may be sent again.
	c.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	return c, nil
}

// sign is MD5, in lower-case hexadecimal text, over the public parameters in
// alphabetical order (each name with its value), the body as sent, and the
// secret. Of the parameters it leaves out the signature itself, the access
// token and the language.
func sign(public map[string]string, body []byte, secret string) string {
	h := md5.New()
	for _, key := range slices.Sorted(maps.Keys(public)) {
		switch key {
		case "sign", "access_token", "language":
		default:
			h.Write([]byte(key + public[key]))
		}
	}
	h.Write(body)
	h.Write([]byte(secret))
	return hex.EncodeToString(h.Sum(nil))
}

// question is the body. It names a parcel by 4PX's number or the last mile's;
// a merchant's own number is not taken.
type question struct {
	Number string `json:"deliveryOrderNo"`
}

// Fetch asks for each number by itself.
func (c *fourPX) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if c.appKey == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	payloads := make([]parcel.Payload, 0, len(queries))
	for _, number := range carrierkit.Numbers(queries) {
		resp, err := c.client.Do(ctx, func() (*http.Request, error) { return c.request(ctx, number) })
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %s: %w", name, number, err)
		}
		payloads = append(payloads, parcel.Payload{
			Carrier: name, Account: c.env.Account, Kind: kindTrack, Source: parcel.SourcePoll,
			ContentType: resp.ContentType, Body: resp.Body, Numbers: []string{number},
		})
	}
	return payloads, nil
}

// request signs the very bytes that it sends.
func (c *fourPX) request(ctx context.Context, number string) (*http.Request, error) {
	body, err := json.Marshal(question{Number: number})
	if err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	public := map[string]string{
		"method": method, "app_key": c.appKey, "v": c.version, "format": format,
		"timestamp": strconv.FormatInt(c.env.Wall.Now().UnixMilli(), 10),
	}
	query := url.Values{"sign": {sign(public, body, c.secret)}, "language": {c.language}}
	for key, value := range public {
		query.Set(key, value)
	}
	if c.accessToken != "" {
		query.Set("access_token", c.accessToken)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+servicePath+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	return req, nil
}
