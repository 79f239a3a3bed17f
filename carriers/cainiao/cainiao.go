// Package cainiao tracks parcels moved by Cainiao, the consolidator of the
// AliExpress and Tmall marketplaces: warehouse, line-haul and customs, and the
// last mile by carriers of the destination.
//
// API: the LINK gateway, signed forms both ways: we ask by one, Cainiao pushes
// events by the same. What a contract fixes (API name, business message, names
// of fields) is a setting of the account. Without a contract there is the
// unofficial public query, off unless an account asks for it. Times are local
// texts with a zone such as GMT-3; a blank zone means GMT+8.
package cainiao

import (
	"cmp"
	"context"
	"crypto/md5"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name = "cainiao"

	kindPush  = "push"
	kindTrace = "trace"
	kindQuery = "query"

	linkPath  = "/gateway/link.do"
	queryPath = "/global/detail.json"

	defaultPublicURL = "https://global.cainiao.com"
	defaultLanguage  = "en-US"
	defaultMessage   = `{"mailNo":"{number}","cpCode":"{cp_code}","locale":"{locale}"}`

	// codeSignature is the one LINK error code that is established.
	codeSignature = "S02"
	// defaultOtherCode is told for a push that was not taken for another
	// reason than its signature; any failure is sent again.
	defaultOtherCode = "S07"
)

//go:embed codes.csv
var codesCSV string

func init() {
	carriers.Register(spec())
}

func spec() carriers.Spec {
	s := carriers.Spec{
		Name:         name,
		Title:        "Cainiao",
		Country:      "CN",
		Stages:       parcel.Stages(),
		API:          "LINK gateway, public query",
		BaseURL:      "https://link.cainiao.com",
		TrackingPage: "https://global.cainiao.com/newDetail.htm?mailNoList={number}",
		Batch:        1,
		// No number is established, and the public door watches for robots.
		Quota:       carriers.Quota{PerSecond: 2, Burst: 4},
		NextCarrier: true,
		Settings: []carriers.Setting{
			{Name: "secret", Doc: "LINK secret that signs forms both ways", Secret: true},
			{Name: "provider_id", Doc: "logistic_provider_id: resource code or token; needed to ask"},
			{Name: "pull_api", Doc: "msg_type of the contract's trace API; needed to ask"},
			{Name: "to_code", Doc: "to_code sent with requests, if the contract wants one"},
			{Name: "cp_code", Doc: "{cp_code} of pull_message"},
			{Name: "pull_message", Doc: "business message; {number}, {cp_code} and {locale} are replaced", Default: defaultMessage},
			{Name: "pull_items", Doc: "path to the list of parcels in an answer", Default: pullItems},
			{Name: "pull_events", Doc: "path from a parcel to its list of events; empty if the parcel is the event", Default: pullEvents},
			{Name: "pull_fields", Doc: "field names in an answer, as name=path|path", Default: pullFields},
			{Name: "push_items", Doc: "path to the parcel, or list of parcels, in a push", Default: pushItems},
			{Name: "push_events", Doc: "path from a parcel to its list of events; empty if the parcel is the event", Default: pushEvents},
			{Name: "push_fields", Doc: "field names in a push, as name=path|path; a path from the root begins with /", Default: pushFields},
			{Name: "denied_codes", Doc: "error codes of answers that mean refused credentials or permission", Default: codeSignature},
			{Name: "reply_error_code", Doc: "errorCode of our reply to a push not taken for another reason than its signature", Default: defaultOtherCode},
			{Name: "public_query", Doc: "true to ask the unofficial public query where pull_api is not set", Default: "false"},
			{Name: "public_url", Doc: "address of the public query; base_url, if set, stands in for the default", Default: defaultPublicURL},
			{Name: "language", Doc: "language of descriptions", Default: defaultLanguage},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrace, Source: parcel.SourcePoll, Doc: "answer of the LINK trace API", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "success") && !carrierkit.SniffJSON(b, "module")
			}},
			{Name: kindQuery, Source: parcel.SourcePoll, Doc: "answer of the public query", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "module")
			}},
			{Name: kindPush, Source: parcel.SourceWebhook, Doc: "signed form with an event", Sniff: func(b []byte) bool {
				if carrierkit.SniffJSON(b) {
					return carrierkit.SniffJSON(b, "logistics_interface")
				}
				_, err := formMessage(b)
				return err == nil
			}},
		},
		Codes: carrierkit.MustTable(codesCSV),
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

type cainiao struct {
	env    carriers.Env
	codes  carriers.Table
	client *carrierkit.Client
	zones  carrierkit.Zones
	shapes map[string]*shape // by payload kind

	linkURL, queryURL                   string
	secret, providerID, pullAPI, toCode string
	cpCode, pullMessage, language       string
	otherCode                           string
	deniedCodes                         []string
	public                              bool
}

var (
	_ carriers.Fetcher  = (*cainiao)(nil)
	_ carriers.Verifier = (*cainiao)(nil)
)

// bind checks settings. An account may ask, take pushes, both, or (to decode
// what is kept) neither.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	// A path may be set to nothing: "the parcel is the event".
	orDefault := func(name, otherwise string) string {
		if v, ok := set[name]; ok {
			return v
		}
		return otherwise
	}
	c := &cainiao{
		env:         env,
		codes:       s.Codes,
		linkURL:     strings.TrimSuffix(cmp.Or(env.BaseURL, s.BaseURL), "/") + linkPath,
		queryURL:    strings.TrimSuffix(cmp.Or(set["public_url"], env.BaseURL, defaultPublicURL), "/") + queryPath,
		secret:      set["secret"],
		providerID:  set["provider_id"],
		pullAPI:     set["pull_api"],
		toCode:      set["to_code"],
		cpCode:      set["cp_code"],
		pullMessage: cmp.Or(set["pull_message"], defaultMessage),
		language:    cmp.Or(set["language"], defaultLanguage),
		otherCode:   cmp.Or(set["reply_error_code"], defaultOtherCode),
		deniedCodes: words(cmp.Or(set["denied_codes"], codeSignature)),
		shapes:      map[string]*shape{},
	}
	var faults []error
	if v := set["public_query"]; v != "" {
		on, err := strconv.ParseBool(v)
		if err != nil {
			faults = append(faults, fmt.Errorf("setting public_query: want true or false: %w", parcel.ErrInvalid))
		}
		c.public = on
	}
	if c.pullAPI != "" {
		for _, need := range []string{"secret", "provider_id"} {
			if set[need] == "" {
				faults = append(faults, fmt.Errorf("setting %s: missing beside pull_api: %w", need, parcel.ErrInvalid))
			}
		}
	}
	for _, form := range []struct {
		kind, setting string
		layout        layout
	}{
		{kindQuery, "", layout{pullItems, pullEvents, pullFields}},
		{kindTrace, "pull_fields", layout{orDefault("pull_items", pullItems), orDefault("pull_events", pullEvents), cmp.Or(set["pull_fields"], pullFields)}},
		{kindPush, "push_fields", layout{orDefault("push_items", pushItems), orDefault("push_events", pushEvents), cmp.Or(set["push_fields"], pushFields)}},
	} {
		made, err := newShape(form.layout)
		if err != nil {
			faults = append(faults, fmt.Errorf("setting %s: %w", form.setting, err))
		}
		c.shapes[form.kind] = made
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("cainiao: %w", errors.Join(faults...))
	}
	// LINK's trace APIs only read, so that a POST may be sent again.
	c.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	return c, nil
}

// digest signs a message: Base64 of the sixteen raw bytes of MD5 over message
// and secret, not of their hexadecimal text.
func digest(message, secret string) string {
	sum := md5.Sum([]byte(message + secret))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Fetch asks the LINK gateway if the account has a trace API, else the public
// query if the account allows it.
func (c *cainiao) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	ask, kind := c.askLink, kindTrace
	switch {
	case c.pullAPI != "":
	case c.public:
		ask, kind = c.askPublic, kindQuery
	default:
		return nil, fmt.Errorf("cainiao: neither pull_api nor public_query is set: %w", carriers.ErrNoAccount)
	}
	payloads := make([]parcel.Payload, 0, len(queries))
	for _, q := range queries {
		resp, err := c.client.Do(ctx, func() (*http.Request, error) { return ask(ctx, q.Number) })
		if err != nil {
			return payloads, fmt.Errorf("cainiao: fetch %s: %w", q.Number, err)
		}
		payloads = append(payloads, parcel.Payload{
			Carrier: name, Account: c.env.Account, Kind: kind, Source: parcel.SourcePoll,
			ContentType: resp.ContentType, Body: resp.Body, Numbers: []string{q.Number},
		})
	}
	return payloads, nil
}

func (c *cainiao) askLink(ctx context.Context, number string) (*http.Request, error) {
	message := strings.NewReplacer(
		"{number}", inJSON(number), "{cp_code}", inJSON(c.cpCode), "{locale}", inJSON(strings.ReplaceAll(c.language, "-", "_")),
	).Replace(c.pullMessage)
	form := url.Values{
		"msg_type":             {c.pullAPI},
		"logistic_provider_id": {c.providerID},
		"logistics_interface":  {message},
		"data_digest":          {digest(message, c.secret)},
	}
	if c.toCode != "" {
		form.Set("to_code", c.toCode)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.linkURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	return req, nil
}

func (c *cainiao) askPublic(ctx context.Context, number string) (*http.Request, error) {
	query := url.Values{"mailNos": {number}, "lang": {c.language}, "language": {c.language}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.queryURL+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("public URL: %v: %w", err, parcel.ErrInvalid)
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// inJSON writes s as it stands between the quotes of a JSON string.
func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return "" // no string fails
	}
	return string(b[1 : len(b)-1])
}

// Verify checks the digest over logistics_interface as it was sent: decoded
// from the form and never written anew.
func (c *cainiao) Verify(d carriers.Delivery) (string, error) {
	if c.secret == "" {
		return "", fmt.Errorf("cainiao: push: setting secret is not set: %w", parcel.ErrDenied)
	}
	form, err := url.ParseQuery(string(d.Body))
	if err != nil || !form.Has("logistics_interface") {
		return "", fmt.Errorf("cainiao: push: no form with logistics_interface: %w", parcel.ErrMalformed)
	}
	// A plus that the sender forgot to escape arrives as a space; Base64 has
	// no spaces of its own.
	given := strings.ReplaceAll(form.Get("data_digest"), " ", "+")
	if !carrierkit.ConstantTimeEqual(given, digest(form.Get("logistics_interface"), c.secret)) {
		return "", fmt.Errorf("cainiao: push: data_digest: %w", parcel.ErrDenied)
	}
	return kindPush, nil
}

// Reply is JSON with status 200 in both cases; a failure is sent again with
// the same msg_id.
func (c *cainiao) Reply(err error) carriers.Reply {
	reply := map[string]string{"success": "true"}
	switch {
	case err == nil:
	case errors.Is(err, parcel.ErrDenied):
		reply = map[string]string{"success": "false", "errorCode": codeSignature, "errorMsg": "illegal digital signature"}
	case errors.Is(err, parcel.ErrMalformed):
		reply = map[string]string{"success": "false", "errorCode": c.otherCode, "errorMsg": "message cannot be read"}
	default:
		reply = map[string]string{"success": "false", "errorCode": c.otherCode, "errorMsg": "not taken, send again"}
	}
	body, err := json.Marshal(reply)
	if err != nil {
		body = []byte(`{"success":"false"}`) // no map of strings fails
	}
	return carriers.Reply{Status: http.StatusOK, ContentType: "application/json; charset=UTF-8", Body: body}
}

// words splits a setting at commas and spaces.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
