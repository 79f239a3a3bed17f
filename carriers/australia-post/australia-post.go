// Package auspost tracks articles and consignments in the hands of Australia
// Post and StarTrack: domestic ones, and those that other posts send there.
//
// API: Shipping and Tracking v1, Track Items, asked ten ids at a time. Times
// carry the offset of Melbourne for every scan, wherever it was made: the
// instant is right, the clock on the wall of the place is not told.
package auspost

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
	name      = "australia-post"
	kindTrack = "track"

	baseURL   = "https://digitalapi.auspost.com.au"
	trackPath = "/shipping/v1/track"
	// testPrefix stands before the path on the testbed.
	testPrefix = "/test"

	// The service answers for this many ids at a time, and for none of more.
	batchLimit = 10

	defaultCallsPerMinute = 10
	// defaultDenied is the one code of refused credentials that has been seen.
	defaultDenied = "API_001"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	s := carriers.Spec{
		Name:         name,
		Title:        "Australia Post",
		Country:      "AU",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Shipping and Tracking API v1, Track Items",
		BaseURL:      baseURL,
		TrackingPage: "https://auspost.com.au/mypost/track/details/{number}",
		Batch:        batchLimit,
		Quota:        quota(defaultCallsPerMinute),
		Settings: []carriers.Setting{
			{Name: "api_key", Doc: "API key; needed to ask", Secret: true},
			{Name: "password", Doc: "password of the API key; needed to ask", Secret: true},
			{Name: "account_number", Doc: "charge account of ten digits, or StarTrack account of eight; needed to ask"},
			{Name: "testbed", Doc: "true to ask the testbed", Default: "false"},
			{Name: "calls_per_minute", Doc: "calls that the credential allows in a minute; 0 for no limit", Default: strconv.Itoa(defaultCallsPerMinute)},
			{Name: "denied_codes", Doc: "error codes that mean refused credentials where no status says so, parted by spaces", Default: defaultDenied},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of Track Items for one or more ids", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "tracking_results") || carrierkit.SniffJSON(b, "errors")
			}},
		},
		Codes: carrierkit.MustTable(codesCSV),
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// quota spends a minute's calls in one go if need be: ten are few.
func quota(perMinute int) carriers.Quota {
	if perMinute == 0 {
		return carriers.Quota{}
	}
	return carriers.Quota{Calls: perMinute, Window: time.Minute}
}

// ausPost is the adapter of one account.
type ausPost struct {
	env    carriers.Env
	codes  carriers.Table
	client *carrierkit.Client

	url, key, password, account string
	deniedCodes                 []string
}

var _ carriers.Fetcher = (*ausPost)(nil)

// bind checks settings: an account has all three of key, password and account
// number, or (to decode what is kept) none.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	bad := func(setting, why string) error {
		return fmt.Errorf("%s: setting %s: %s: %w", name, setting, why, parcel.ErrInvalid)
	}
	a := &ausPost{
		env: env, codes: s.Codes, url: strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		key: env.Settings["api_key"], password: env.Settings["password"], account: strings.TrimSpace(env.Settings["account_number"]),
		deniedCodes: strings.Fields(cmp.Or(env.Settings["denied_codes"], defaultDenied)),
	}
	if a.key != "" || a.password != "" || a.account != "" {
		for _, setting := range []struct{ name, value string }{{"api_key", a.key}, {"password", a.password}, {"account_number", a.account}} {
			if setting.value == "" {
				return nil, bad(setting.name, "missing beside the others")
			}
		}
	}
	test, err := strconv.ParseBool(cmp.Or(env.Settings["testbed"], "false"))
	if err != nil {
		return nil, bad("testbed", "want true or false")
	}
	if test {
		a.url += testPrefix
	}
	perMinute, err := strconv.Atoi(cmp.Or(env.Settings["calls_per_minute"], strconv.Itoa(defaultCallsPerMinute)))
	if err != nil || perMinute < 0 {
		return nil, bad("calls_per_minute", "want a number from 0")
	}
	a.client = carrierkit.NewClient(env, carrierkit.Options{Quota: quota(perMinute), Timeout: s.Timeout})
	return a, nil
}

// Fetch asks for ten ids a call.
func (a *ausPost) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if a.key == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for _, part := range batches(queries) {
		p, err := a.ask(ctx, part)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d ids from %s: %w", name, len(part), part[0], err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

// batches cuts the ids into calls. What holds other characters than an id can
// goes alone: a comma would make two of it, and an eleventh id fails the whole
// call.
func batches(queries []carriers.Query) [][]string {
	var plain []string
	var alone [][]string
	seen := map[string]bool{}
	for _, q := range queries {
		n := parcel.NormalizeNumber(q.Number)
		switch {
		case n == "" || seen[n]:
		case strings.Trim(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "":
			alone = append(alone, []string{n})
		default:
			plain = append(plain, n)
		}
		seen[n] = true
	}
	return slices.Concat(slices.Collect(slices.Chunk(plain, batchLimit)), alone)
}

func (a *ausPost) ask(ctx context.Context, ids []string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: a.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: slices.Clone(ids)}
	escaped := make([]string, len(ids))
	for i, id := range ids {
		escaped[i] = url.QueryEscape(id)
	}
	resp, err := a.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+trackPath+"?tracking_ids="+strings.Join(escaped, ","), nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.SetBasicAuth(a.key, a.password)
		req.Header.Set("Account-Number", a.account)
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		return p, readRefusal(status.Body).wrap(err)
	}
	if err != nil {
		return p, err
	}
	p.ContentType, p.Body = resp.ContentType, resp.Body
	return p, nil
}

// Redact replaces what names a person. The published answer has no field that
// does, and what contracts add to it is not established; descriptions may say
// who signed.
func (a *ausPost) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("recipient", "receiver", "addressee", "sender", "from", "to", "signatory",
		"signature", "signed_by", "address", "lines", "phone", "mobile", "email"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("description"))
	return p
}
