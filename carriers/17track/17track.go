// Package track17 tracks parcels through 17TRACK, an aggregator that repeats
// what some three thousand carriers say. It carries nothing: each scan names
// the carrier whose it is, as far as providers.csv knows that carrier.
//
// API: Tracking API v2.2 (v2.4 has the same shape), forty numbers a call. A
// number is registered before it can be asked for, which costs quota and is
// done here; reading is free. Pushes carry SHA-256 over body and key. Times
// come as the instant and as the local clock with its offset; where the
// carrier wrote no zone the instant is absent, and the offset that is told is
// no more than a guess.
package track17

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name = "17track"

	kindTrack    = "track"
	kindRegister = "register"
	kindPush     = "push"

	baseURL        = "https://api.17track.net"
	defaultVersion = "v2.2"
	defaultHeader  = "sign"

	methodTrack    = "gettrackinfo"
	methodRegister = "register"
	methodQuota    = "getquota"

	// batchLimit is the most numbers in one call of any method.
	batchLimit = 40
	// firstNews is how long 17TRACK takes, as a rule, to ask the carrier about
	// a number that was just registered.
	firstNews = 5 * time.Minute
	// quotaWait is how long to leave an account alone whose registrations are
	// used up: they come back by the day or by a purchase.
	quotaWait = time.Hour
)

//go:embed codes.csv
var codesCSV string

//go:embed providers.csv
var providersCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes, providers := carrierkit.MustTable(codesCSV), mustProviders(providersCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "17TRACK",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Tracking API v2.2",
		BaseURL:      baseURL,
		TrackingPage: "https://t.17track.net/en#nums={number}",
		Batch:        batchLimit,
		Quota:        carriers.Quota{PerSecond: 3, Burst: 3},
		NextCarrier:  true,
		Aggregator:   true,
		Settings: []carriers.Setting{
			{Name: "key", Doc: "security key of the API; needed to ask and to take pushes", Secret: true},
			{Name: "version", Doc: "version of the API in its address", Default: defaultVersion},
			{Name: "register", Doc: "false to ask only about numbers that were registered elsewhere; registering costs quota", Default: "true"},
			{Name: "language", Doc: "language into which 17TRACK translates descriptions of numbers that it registers; empty for the carriers' own"},
			{Name: "sign_header", Doc: "header of pushes that holds the signature", Default: defaultHeader},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of gettrackinfo for one or more numbers", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "code", "data") && (bytes.Contains(b, []byte(`"track_info"`)) || !bytes.Contains(b, []byte(`"accepted"`)))
			}},
			{Name: kindRegister, Source: parcel.SourcePoll, Doc: "answer of register", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "code", "data")
			}},
			{Name: kindPush, Source: parcel.SourceWebhook, Doc: "signed notice with a number's whole history", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "event", "data")
			}},
		},
		Codes: codes,
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f, codes, providers) },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, providers, env) }
	return s
}

// track17 is the adapter of one account.
type track17 struct {
	env        carriers.Env
	codes      carriers.Table
	providers  providers
	zones      carrierkit.Zones
	base       string
	key        string
	register   bool
	language   string
	signHeader string
	client     *carrierkit.Client
}

var (
	_ carriers.Fetcher  = (*track17)(nil)
	_ carriers.Verifier = (*track17)(nil)
)

// bind checks settings. An account without a key can decode what is kept.
func bind(s *carriers.Spec, providers providers, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	t := &track17{
		env: env, codes: s.Codes, providers: providers,
		base:       strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/") + "/track/" + cmp.Or(set["version"], defaultVersion) + "/",
		key:        set["key"],
		register:   true,
		language:   set["language"],
		signHeader: cmp.Or(set["sign_header"], defaultHeader),
	}
	switch v := strings.ToLower(set["register"]); v {
	case "", "true":
	case "false":
		t.register = false
	default:
		return nil, fmt.Errorf("%s: setting register: want true or false: %w", name, parcel.ErrInvalid)
	}
	// Registering twice is refused and costs nothing, the other calls read.
	t.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	return t, nil
}

// wanted is one number in a call.
type wanted struct {
	Number string `json:"number"`
	// Param is what some carriers ask for besides: the postcode.
	Param         string `json:"param,omitempty"`
	Language      string `json:"lang,omitempty"`
	AutoDetection bool   `json:"auto_detection,omitempty"`
}

// Fetch asks for forty numbers a call. Those that 17TRACK has never been told
// are registered at once, and their answer says when to come again: nobody
// registers by hand.
func (t *track17) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if t.key == "" {
		return nil, fmt.Errorf("%s: setting key: %w", name, carriers.ErrNoAccount)
	}
	postcodes := map[string]string{}
	var numbers []string
	for _, q := range queries {
		n := parcel.NormalizeNumber(q.Number)
		if _, again := postcodes[n]; n != "" && !again {
			numbers = append(numbers, n)
		}
		postcodes[n] = cmp.Or(postcodes[n], q.Postcode)
	}
	var payloads []parcel.Payload
	for part := range slices.Chunk(numbers, batchLimit) {
		ask := make([]wanted, len(part))
		for i, n := range part {
			ask[i] = wanted{Number: n}
		}
		p, err := t.call(ctx, methodTrack, kindTrack, ask)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d numbers from %s: %w", name, len(part), part[0], err)
		}
		payloads = append(payloads, p)
		fresh := notRegistered(p.Body, part)
		if len(fresh) == 0 || !t.register {
			continue
		}
		ask = ask[:0]
		for _, n := range fresh {
			ask = append(ask, wanted{Number: n, Param: postcodes[n], Language: t.language, AutoDetection: true})
		}
		p, err = t.call(ctx, methodRegister, kindRegister, ask)
		if err != nil {
			return payloads, fmt.Errorf("%s: register %d numbers from %s: %w", name, len(fresh), fresh[0], err)
		}
		payloads = append(payloads, p)
		if refused := overQuota(p.Body); refused > 0 {
			return payloads, fmt.Errorf("%s: %d of %d numbers not registered, %s: %w", name, refused, len(fresh), t.quota(ctx), &parcel.Throttled{RetryAfter: quotaWait})
		}
	}
	return payloads, nil
}

// call sends numbers to a method.
func (t *track17) call(ctx context.Context, method, kind string, ask []wanted) (parcel.Payload, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return parcel.Payload{}, fmt.Errorf("request: %w", err)
	}
	resp, err := t.post(ctx, method, body)
	if err != nil {
		return parcel.Payload{}, err
	}
	p := parcel.Payload{
		Carrier: name, Account: t.env.Account, Kind: kind, Source: parcel.SourcePoll, ContentType: resp.ContentType, Body: resp.Body,
	}
	for _, w := range ask {
		p.Numbers = append(p.Numbers, w.Number)
	}
	return p, nil
}

func (t *track17) post(ctx context.Context, method string, body []byte) (*carrierkit.Response, error) {
	resp, err := t.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+method, bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("17token", t.key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		// The body says which of several refusals it is.
		if told := wholeCall(status.Body); told != "" {
			err = fmt.Errorf("%s: %w", told, err)
		}
	}
	return resp, err
}

// quota tells what is left of the account's registrations, for the error that
// says that nothing is. It is a courtesy: if it cannot be asked, so it says.
func (t *track17) quota(ctx context.Context) string {
	resp, err := t.post(ctx, methodQuota, []byte("[]"))
	if err != nil {
		return "quota used up"
	}
	var doc struct {
		Data struct {
			Total carrierkit.Text `json:"quota_total"`
			Used  carrierkit.Text `json:"quota_used"`
			Left  carrierkit.Text `json:"quota_remain"`
			Today carrierkit.Text `json:"today_used"`
			Daily carrierkit.Text `json:"max_track_daily"`
		} `json:"data"`
	}
	if json.Unmarshal(resp.Body, &doc) != nil || doc.Data.Total.String() == "" {
		return "quota used up"
	}
	d := doc.Data
	daily := "no daily limit"
	if n, ok := d.Daily.Int(); ok && n > 0 {
		daily = fmt.Sprintf("%d a day", n)
	}
	return fmt.Sprintf("quota used up: %.20s of %.20s used, %.20s left, %.20s today (%s)", d.Used, d.Total, d.Left, d.Today, daily)
}

// Verify checks the signature over the bytes of the body as they came.
func (t *track17) Verify(d carriers.Delivery) (string, error) {
	if t.key == "" {
		return "", fmt.Errorf("%s: push: setting key is not set: %w", name, parcel.ErrDenied)
	}
	given := strings.ToLower(strings.TrimSpace(d.Header.Get(t.signHeader)))
	if !carrierkit.ConstantTimeEqual(given, signature(d.Body, t.key)) {
		return "", fmt.Errorf("%s: push: header %s: %w", name, t.signHeader, parcel.ErrDenied)
	}
	if !json.Valid(d.Body) {
		return "", fmt.Errorf("%s: push: no JSON: %w", name, parcel.ErrMalformed)
	}
	return kindPush, nil
}

// signature is SHA-256 over body, slash and key: not an HMAC.
func signature(body []byte, key string) string {
	h := sha256.New()
	h.Write(body)
	h.Write([]byte("/" + key))
	return hex.EncodeToString(h.Sum(nil))
}

// Reply is status 200 for a push that was taken; anything else is sent again
// three times within two hours.
func (t *track17) Reply(err error) carriers.Reply {
	r := carriers.Reply{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte("ok\n")}
	switch {
	case err == nil:
	case errors.Is(err, parcel.ErrDenied):
		r.Status, r.Body = http.StatusUnauthorized, []byte("signature does not fit\n")
	case errors.Is(err, parcel.ErrMalformed):
		r.Status, r.Body = http.StatusBadRequest, []byte("cannot be read\n")
	default:
		r.Status, r.Body = http.StatusServiceUnavailable, []byte("not taken, send again\n")
	}
	return r
}
