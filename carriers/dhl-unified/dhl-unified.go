// Package dhlunified tracks shipments of all DHL divisions: parcel, express,
// eCommerce, freight and mail.
//
// API: Shipment Tracking - Unified, one number a call with an application key,
// and its Push, edition 1.2: DHL calls us for the numbers or accounts that a
// subscription names. Unified is only the envelope: status codes are five, and
// what lies between them is told in sentences. Most divisions write the clock
// of the scan's place without a zone, so the country gives it; a few write an
// offset or Z.
//
// A subscription is made outside of Milepost, with a header and a token of
// one's own choice. DHL then sends a message with a secret that activates it:
// such messages are kept and say nothing of parcels.
package dhlunified

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
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
	name = "dhl-unified"

	kindTrack = "track"
	kindPush  = "push"

	trackPath = "/track/shipments"

	// What an application gets at first; DHL raises the day's calls on request.
	defaultCallsPerDay  = 250
	defaultSecondsApart = 5

	defaultLanguage   = "en"
	defaultPushHeader = "X-Gateway-Key"

	// scopeValidate marks the message that brings the secret by which a
	// subscription is activated.
	scopeValidate = "subscription.validate"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	s := carriers.Spec{
		Name:         name,
		Title:        "DHL",
		Country:      "DE",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Shipment Tracking - Unified, Push 1.2",
		BaseURL:      "https://api-eu.dhl.com",
		TrackingPage: "https://www.dhl.com/global-en/home/tracking.html?tracking-id={number}",
		Batch:        1,
		Quota:        quota(defaultCallsPerDay, defaultSecondsApart),
		NextCarrier:  true,
		Settings: []carriers.Setting{
			{Name: "api_key", Doc: "consumer key of the application, sent as DHL-API-Key; needed to ask", Secret: true},
			{Name: "service", Doc: "the one division to ask, such as parcel-de; not set, all are asked"},
			{Name: "language", Doc: "language of the words, of two letters; phrases are read in English", Default: defaultLanguage},
			{Name: "calls_per_day", Doc: "calls that DHL allows the application in a day; 0 for no limit", Default: strconv.Itoa(defaultCallsPerDay)},
			{Name: "seconds_between_calls", Doc: "least time between two calls; 0 for none", Default: strconv.Itoa(defaultSecondsApart)},
			{Name: "push_header", Doc: "header that the subscription asked DHL to send its token in", Default: defaultPushHeader},
			{Name: "push_token", Doc: "token of the subscription; needed to take pushes", Secret: true},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindPush, Source: parcel.SourceWebhook, Doc: "shipments of a subscription", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "scope")
			}},
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of Shipment Tracking", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "shipments") || carrierkit.SniffJSON(b, "title", "detail")
			}},
		},
		Codes: carrierkit.MustTable(codesCSV),
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

func quota(perDay, secondsApart int) carriers.Quota {
	q := carriers.Quota{}
	if perDay > 0 {
		q.Calls, q.Window = perDay, 24*time.Hour
	}
	if secondsApart > 0 {
		q.PerSecond, q.Burst = 1/float64(secondsApart), 1
	}
	return q
}

// dhl is the adapter of one account.
type dhl struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	client  *carrierkit.Client
	zones   carrierkit.Zones

	base, key, service, language string
	pushHeader, pushToken        string
}

var (
	_ carriers.Fetcher  = (*dhl)(nil)
	_ carriers.Verifier = (*dhl)(nil)
)

// bind checks settings. An account may ask, take pushes, both, or (to decode
// what is kept) neither.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	get := func(key, fallback string) string { return cmp.Or(strings.TrimSpace(env.Settings[key]), fallback) }
	number := func(key string, fallback int) (int, error) {
		n, err := strconv.Atoi(get(key, strconv.Itoa(fallback)))
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%s: setting %s: want a number from 0: %w", name, key, parcel.ErrInvalid)
		}
		return n, nil
	}
	perDay, err1 := number("calls_per_day", defaultCallsPerDay)
	apart, err2 := number("seconds_between_calls", defaultSecondsApart)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	d := &dhl{
		env: env, codes: s.Codes, phrases: carrierkit.NewPhrases(s.Codes),
		base: strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"), key: env.Settings["api_key"],
		service: get("service", ""), language: get("language", defaultLanguage),
		pushHeader: get("push_header", defaultPushHeader), pushToken: env.Settings["push_token"],
	}
	d.client = carrierkit.NewClient(env, carrierkit.Options{Quota: quota(perDay, apart), Timeout: s.Timeout})
	return d, nil
}

// Fetch asks for each number by itself: DHL takes one a call.
func (d *dhl) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if d.key == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	payloads := make([]parcel.Payload, 0, len(queries))
	for _, q := range queries {
		number := parcel.NormalizeNumber(q.Number)
		p, err := d.ask(ctx, number, strings.TrimSpace(q.Postcode))
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %s: %w", name, number, err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

// ask makes one call. The postcode keeps out parcels of other divisions that
// bear the same number, and opens details to those who know it.
func (d *dhl) ask(ctx context.Context, number, postcode string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: d.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: []string{number}}
	query := url.Values{"trackingNumber": {number}, "language": {d.language}}
	if d.service != "" {
		query.Set("service", d.service)
	}
	if postcode != "" {
		query.Set("recipientPostalCode", postcode)
	}
	resp, err := d.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+trackPath+"?"+query.Encode(), nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("DHL-API-Key", d.key)
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	// A number that nobody knows, or that nobody has scanned yet, is told by
	// status 404. Other problems are failures, 404 of a wrong path too.
	if refusal, ok := errors.AsType[*carrierkit.StatusError](err); ok && refusal.Status == http.StatusNotFound && isProblem(refusal.Body) {
		p.ContentType, p.Body = refusal.Header.Get("Content-Type"), refusal.Body
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.ContentType, p.Body = resp.ContentType, resp.Body
	return p, nil
}

// Verify compares the token that the subscription asked DHL to send. DHL signs
// nothing: the header is all there is.
func (d *dhl) Verify(delivery carriers.Delivery) (string, error) {
	if d.pushToken == "" {
		return "", fmt.Errorf("%s: push: setting push_token is not set: %w", name, parcel.ErrDenied)
	}
	if !carrierkit.ConstantTimeEqual(delivery.Header.Get(d.pushHeader), d.pushToken) {
		return "", fmt.Errorf("%s: push: header %s: %w", name, d.pushHeader, parcel.ErrDenied)
	}
	if !json.Valid(delivery.Body) || !bytes.HasPrefix(bytes.TrimSpace(delivery.Body), []byte("{")) {
		return "", fmt.Errorf("%s: push: no JSON object: %w", name, parcel.ErrMalformed)
	}
	return kindPush, nil
}

// Reply answers by status alone. What is not 200 is sent again after an hour
// and six hours more, and then never.
func (d *dhl) Reply(err error) carriers.Reply {
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

// Redact hides persons and streets, links to signatures and to what a recipient
// may change, and whoever signed where a sentence names them. The secret of a
// subscription goes too, except from the message by which its owner must
// activate it.
func (d *dhl) Redact(p parcel.Payload) parcel.Payload {
	var message struct {
		Scope text `json:"scope"`
	}
	activates := json.Unmarshal(carrierkit.TrimMark(p.Body), &message) == nil && message.Scope.String() == scopeValidate
	personal := carrierkit.Named("receiver", "sender", "shipper", "consignee", "signed", "familyName", "givenName", "email", "phone",
		"streetAddress", "addressLine", "signatureUrl", "documentUrl", "rerouteUrl")
	secret, locality := carrierkit.Named("secret"), carrierkit.Named("addressLocality")
	sentence := carrierkit.Named("status", "statusDetailed", "description", "remark", "nextSteps")
	p.Body = carrierkit.RedactJSON(p.Body, func(path []string) bool { return personal(path) || secret(path) && !activates })
	p.Body = carrierkit.EditJSON(p.Body, func(path []string, said string) string {
		switch {
		case locality(path):
			return withoutStreet(said)
		case sentence(path):
			return carrierkit.CleanText(said)
		}
		return said
	})
	return p
}
