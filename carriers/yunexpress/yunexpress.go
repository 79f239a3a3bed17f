// Package yunexpress tracks parcels moved by YunExpress, a consolidator of
// dedicated lines out of China: from its warehouse over linehaul and customs to
// carriers of the destination, whose last mile it repeats.
//
// API: YunExpress OpenAPI track service v1, with a token and a signature by
// HMAC-SHA256, one number per call. The older API (Tracking/GetTrackInfo, HTTP
// Basic) is a second dialect; an account sets which of the two is asked. Times
// are local with an offset beside them; without one, and in the older dialect,
// they are the clock of China.
package yunexpress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
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
	name = "yunexpress"

	kindTrack  = "track"
	kindLegacy = "legacy"

	dialectOpen   = "openapi"
	dialectLegacy = "legacy"

	tokenPath  = "/openapi/oauth2/token"
	trackPath  = "/v1/track-service/info/get"
	legacyPath = "/api/Tracking/GetTrackInfo"

	defaultLanguage    = "en-US"
	defaultTokenLife   = 2 * time.Hour
	maxTokenLife       = 24 * time.Hour
	defaultDeniedCodes = "SIGN_INVALID"
	// defaultThrottledCodes follows the HTTP status, which is all that is known.
	defaultThrottledCodes = "429"
	// legacyOK is the code of an answer of the older dialect that is no error.
	legacyOK = "0000"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	s := carriers.Spec{
		Name:         name,
		Title:        "YunExpress",
		Country:      "CN",
		Stages:       []parcel.Stage{parcel.StageWarehouse, parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "OpenAPI track service v1; Tracking/GetTrackInfo as an older dialect",
		BaseURL:      "https://openapi.yunexpress.cn",
		TrackingPage: "https://www.yuntrack.com/parcelTracking?id={number}",
		Batch:        1,
		// YunExpress publishes no rate; this is a polite guest's.
		Quota:       carriers.Quota{PerSecond: 5, Burst: 5},
		NextCarrier: true,
		Settings: []carriers.Setting{
			{Name: "app_id", Doc: "id of the application; needed to ask in dialect openapi"},
			{Name: "app_secret", Doc: "secret of the application, which signs calls; needed to ask in dialect openapi", Secret: true},
			{Name: "source_key", Doc: "source key of the application; needed to ask in dialect openapi", Secret: true},
			{Name: "language", Doc: "language of the sentences; the code table reads English", Default: defaultLanguage},
			{Name: "token_life", Doc: "how long a token is good that does not say so itself", Default: defaultTokenLife.String()},
			{Name: "denied_codes", Doc: "error codes by which credentials are refused, parted by commas", Default: defaultDeniedCodes},
			{Name: "throttled_codes", Doc: "error codes that ask to come again later, parted by commas; none is published", Default: defaultThrottledCodes},
			{Name: "unknown_codes", Doc: "error codes that say that a number is not known, parted by commas; none is published"},
			{Name: "dialect", Doc: "openapi: the OpenAPI; legacy: the older API", Default: dialectOpen},
			{Name: "legacy_customer_code", Doc: "customer code; needed to ask in dialect legacy"},
			{Name: "legacy_secret", Doc: "API secret of the customer; needed to ask in dialect legacy", Secret: true},
			{Name: "legacy_url", Doc: "where the older API is, unless the account names a base URL; the contract tells"},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of the OpenAPI track service", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "success", "result") || carrierkit.SniffJSON(b, "success", "msg")
			}},
			{Name: kindLegacy, Source: parcel.SourcePoll, Doc: "answer of Tracking/GetTrackInfo", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "Item", "Code")
			}},
		},
		Codes: carrierkit.MustTable(codesCSV),
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

type yunexpress struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	client  *carrierkit.Client
	tokens  *carrierkit.TokenCache
	zones   carrierkit.Zones

	base, appID, appSecret, sourceKey, language string
	tokenLife                                   time.Duration
	denied, throttled, unknown                  []string

	legacy                               bool
	legacyBase, legacyCode, legacySecret string
}

var _ carriers.Fetcher = (*yunexpress)(nil)

// bind checks settings. An account has the credentials of one dialect, of both,
// or (to decode what is kept) of none.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	bad := func(setting, want string) error {
		return fmt.Errorf("yunexpress: setting %s: %s: %w", setting, want, parcel.ErrInvalid)
	}
	y := &yunexpress{
		env:          env,
		codes:        s.Codes,
		phrases:      carrierkit.NewPhrases(s.Codes),
		base:         strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		appID:        set["app_id"],
		appSecret:    set["app_secret"],
		sourceKey:    set["source_key"],
		language:     cmp.Or(set["language"], defaultLanguage),
		denied:       carrierkit.SplitSetting(cmp.Or(set["denied_codes"], defaultDeniedCodes)),
		throttled:    carrierkit.SplitSetting(cmp.Or(set["throttled_codes"], defaultThrottledCodes)),
		unknown:      carrierkit.SplitSetting(set["unknown_codes"]),
		legacyBase:   strings.TrimRight(cmp.Or(env.BaseURL, set["legacy_url"]), "/"),
		legacyCode:   set["legacy_customer_code"],
		legacySecret: set["legacy_secret"],
	}
	var err error
	if y.tokenLife, err = time.ParseDuration(cmp.Or(set["token_life"], defaultTokenLife.String())); err != nil || y.tokenLife <= 0 {
		return nil, bad("token_life", "want a duration such as 2h")
	}
	if set["app_id"]+set["app_secret"]+set["source_key"] != "" {
		for _, need := range []string{"app_id", "app_secret", "source_key"} {
			if set[need] == "" {
				return nil, bad(need, "missing beside the others")
			}
		}
	}
	if (y.legacyCode == "") != (y.legacySecret == "") {
		return nil, bad("legacy_customer_code and legacy_secret", "one is missing beside the other")
	}
	address, setting := y.base, "base URL"
	switch set["dialect"] {
	case "", dialectOpen:
	case dialectLegacy:
		y.legacy, address, setting = true, y.legacyBase, "legacy_url"
	default:
		return nil, bad("dialect", "want openapi or legacy")
	}
	if at, err := url.Parse(address); err != nil || at.Host == "" {
		return nil, bad(setting, "want an address with a host")
	}
	// The one POST asks for a token, which may be asked for again.
	y.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	y.tokens = carrierkit.NewTokenCache(env.Wall, y.newToken)
	return y, nil
}

// sign makes the signature of a call: HMAC-SHA256 over the fields in the order
// of the alphabet, in Base64. A call without a body has no such field; the path
// stands without its query.
func sign(secret, method, path, date string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	if len(body) > 0 {
		fmt.Fprintf(mac, "body=%s&", body)
	}
	fmt.Fprintf(mac, "date=%s&method=%s&uri=%s", date, method, path)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Fetch asks for each number by itself.
func (y *yunexpress) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	ask, able := y.askOpen, y.appID != ""
	if y.legacy {
		ask, able = y.askLegacy, y.legacyCode != ""
	}
	if !able {
		return nil, fmt.Errorf("yunexpress: %w", carriers.ErrNoAccount)
	}
	payloads := make([]parcel.Payload, 0, len(queries))
	for _, number := range carrierkit.Numbers(queries) {
		p, err := ask(ctx, number)
		if err != nil {
			return payloads, fmt.Errorf("yunexpress: fetch %s: %w", number, err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

func (y *yunexpress) payload(kind, number string, resp *carrierkit.Response) parcel.Payload {
	return parcel.Payload{
		Carrier: name, Account: y.env.Account, Kind: kind, Source: parcel.SourcePoll, Numbers: []string{number},
		ContentType: resp.ContentType, Body: resp.Body,
	}
}

func (y *yunexpress) askOpen(ctx context.Context, number string) (parcel.Payload, error) {
	var p parcel.Payload
	err := y.tokens.With(ctx, func(ctx context.Context, token string) error {
		resp, err := y.client.Do(ctx, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, y.base+trackPath+"?"+url.Values{"order_number": {number}}.Encode(), nil)
			if err != nil {
				return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
			}
			date := strconv.FormatInt(y.env.Wall.Now().UnixMilli(), 10)
			req.Header.Set("token", token)
			req.Header.Set("date", date)
			req.Header.Set("sign", sign(y.appSecret, http.MethodGet, trackPath, date, nil))
			req.Header.Set("Accept", "application/json")
			req.Header.Set("Accept-Language", y.language)
			return req, nil
		})
		if err != nil {
			return y.explain(err)
		}
		p = y.payload(kindTrack, number, resp)
		// A refusal inside status 200 must lead to a new token as any other.
		return y.refusal(resp.Body, parcel.ErrDenied, parcel.ErrThrottled)
	})
	return p, err
}

func (y *yunexpress) askLegacy(ctx context.Context, number string) (parcel.Payload, error) {
	resp, err := y.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, y.legacyBase+legacyPath+"?"+url.Values{"OrderNumber": {number}}.Encode(), nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		// Not as RFC 7617 has it: an ampersand parts the two.
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(y.legacyCode+"&"+y.legacySecret)))
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Accept-Language", y.language)
		return req, nil
	})
	if err != nil {
		return parcel.Payload{}, y.explain(err)
	}
	return y.payload(kindLegacy, number, resp), y.refusal(resp.Body, parcel.ErrDenied, parcel.ErrThrottled)
}

// explain adds YunExpress's code to a refusal by status.
func (y *yunexpress) explain(err error) error {
	status, ok := errors.AsType[*carrierkit.StatusError](err)
	if !ok {
		return err
	}
	var doc envelope
	if json.Unmarshal(status.Body, &doc) != nil || doc.Code == "" {
		return err
	}
	return fmt.Errorf("%.60q: %w", doc.Code.String(), err)
}

// refusal is the error that an answer tells, if it is of one of these kinds;
// others are kept, for Decode to read.
func (y *yunexpress) refusal(body []byte, kinds ...error) error {
	var doc envelope
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	if err := y.fault(&doc); err != nil && slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) {
		return err
	}
	return nil
}

// newToken asks for a token by client credentials.
func (y *yunexpress) newToken(ctx context.Context) (string, time.Time, error) {
	asked := y.env.Wall.Now()
	body, err := json.Marshal(map[string]string{"grantType": "client_credentials", "appId": y.appID, "appSecret": y.appSecret, "sourceKey": y.sourceKey})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("question: %w", err)
	}
	resp, err := y.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, y.base+tokenPath, bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	if err != nil {
		return "", time.Time{}, y.explain(err)
	}
	type token struct {
		AccessToken text `json:"accessToken"`
		ExpiresIn   text `json:"expiresIn"`
	}
	var answer struct {
		token
		envelope
		Result carrierkit.List[token] `json:"result"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil {
		return "", time.Time{}, fmt.Errorf("answer: %v: %w", err, parcel.ErrMalformed)
	}
	got := answer.token
	if got.AccessToken == "" && len(answer.Result.Items) > 0 {
		got = answer.Result.Items[0]
	}
	if got.AccessToken == "" {
		if err := y.fault(&answer.envelope); err != nil {
			return "", time.Time{}, err
		}
	}
	life := y.tokenLife
	if seconds, ok := got.ExpiresIn.Int(); ok && seconds > 0 {
		life = time.Duration(min(seconds, int64(maxTokenLife/time.Second))) * time.Second
	}
	// Counted from before the call, by our own clock: YunExpress's may be off.
	return got.AccessToken.String(), asked.Add(life), nil
}
