// Package sfexpress tracks parcels carried by SF Express, within China and
// from China abroad.
//
// API: the open platform's one gateway (service EXP_RECE_SEARCH_ROUTES, asked
// ten waybills at a time, signed by digest or with an OAuth2 token) and the
// route subscription, which pushes each scan. Times carry no zone: they are
// read as the clock of China, also for scans abroad, and marked as assumed.
package sfexpress

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
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
	name = "sf-express"

	kindRoutes = "routes"
	kindPush   = "push"

	servicePath  = "/std/service"
	serviceCode  = "EXP_RECE_SEARCH_ROUTES"
	batchLimit   = 10
	maxTokenLife = 2 * time.Hour

	authSignature    = "signature"
	authOAuth2       = "oauth2"
	defaultTokenPath = "/oauth2/accessToken"
	defaultLanguage  = "0"

	// secretParameter of a push's URL carries the account's push_secret.
	secretParameter = "secret"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "SF Express",
		Country:      "CN",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "open platform, EXP_RECE_SEARCH_ROUTES and route push",
		BaseURL:      "https://bspgw.sf-express.com",
		TrackingPage: "https://www.sf-express.com/chn/en/waybill/waybill-detail/{number}",
		Batch:        batchLimit,
		// Thirty calls in any one second, bursts included, and 3,000 a day.
		Quota: carriers.Quota{PerSecond: 25, Burst: 5, Calls: 3000, Window: 24 * time.Hour},
		Settings: []carriers.Setting{
			{Name: "partner_id", Doc: "customer code (partnerID); needed to ask"},
			{Name: "checkword", Doc: "check word of the customer code: signs calls, or fetches tokens; needed to ask", Secret: true},
			{Name: "auth", Doc: "how calls prove themselves: signature, or oauth2 for a token", Default: authSignature},
			{Name: "token_path", Doc: "path of the token service, for oauth2", Default: defaultTokenPath},
			{Name: "check_phone_no", Doc: "last four digits of the sender's phone; without it waybills of other customers look unknown"},
			{Name: "language", Doc: "language of remarks: 0 simplified Chinese, 1 English, 2 traditional Chinese", Default: defaultLanguage},
			{Name: "push_secret", Doc: "value of the parameter " + secretParameter + " in the URL given to SF for pushes; needed to take them", Secret: true},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindRoutes, Source: parcel.SourcePoll, Doc: "answer of EXP_RECE_SEARCH_ROUTES", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "apiResultCode")
			}},
			{Name: kindPush, Source: parcel.SourceWebhook, Doc: "scans of the route subscription", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "Body")
			}},
		},
		Codes: codes,
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f) },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// sfExpress is the adapter of one account.
type sfExpress struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	base    string

	partnerID, checkword, tokenPath string
	checkPhoneNo, language          string
	pushSecret                      string

	client *carrierkit.Client
	tokens *carrierkit.TokenCache // nil where calls are signed
}

var (
	_ carriers.Fetcher  = (*sfExpress)(nil)
	_ carriers.Verifier = (*sfExpress)(nil)
)

// bind checks settings. An account may ask, take pushes, both, or (to decode
// what is kept) neither.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	c := &sfExpress{
		env: env, codes: s.Codes, phrases: carrierkit.NewPhrases(s.Codes),
		base:      strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		partnerID: strings.TrimSpace(set["partner_id"]), checkword: set["checkword"], tokenPath: cmp.Or(set["token_path"], defaultTokenPath),
		checkPhoneNo: strings.TrimSpace(set["check_phone_no"]), language: cmp.Or(set["language"], defaultLanguage),
		pushSecret: set["push_secret"],
	}
	auth := cmp.Or(set["auth"], authSignature)
	invalid := func(setting, want string) error {
		return fmt.Errorf("%s: setting %s: %s: %w", name, setting, want, parcel.ErrInvalid)
	}
	switch {
	case c.partnerID == "" && c.checkword != "":
		return nil, invalid("partner_id", "missing beside checkword")
	case c.partnerID != "" && c.checkword == "":
		return nil, invalid("checkword", "missing beside partner_id")
	case auth != authSignature && auth != authOAuth2:
		return nil, invalid("auth", "want signature or oauth2")
	case !strings.HasPrefix(c.tokenPath, "/"):
		return nil, invalid("token_path", "want a path that begins with a slash")
	case c.checkPhoneNo != "" && !fourDigits(c.checkPhoneNo):
		return nil, invalid("check_phone_no", "want the last four digits of a phone")
	case c.language != "0" && c.language != "1" && c.language != "2":
		return nil, invalid("language", "want 0, 1 or 2")
	}
	// Both calls only read, so that a POST may be sent again.
	c.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	if auth == authOAuth2 {
		c.tokens = carrierkit.NewTokenCache(env.Wall, c.newToken)
	}
	return c, nil
}

func fourDigits(s string) bool {
	return len(s) == 4 && strings.Trim(s, "0123456789") == ""
}

// digest signs a call: Base64 of the sixteen raw bytes of MD5 over the message,
// the time and the check word, URL-encoded together.
func digest(msgData, timestamp, checkword string) string {
	sum := md5.Sum([]byte(javaEncode(msgData + timestamp + checkword)))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// javaEncode is URL-encoding as Java has it, which keeps the asterisk and
// encodes the tilde where Go does the reverse.
func javaEncode(s string) string {
	return strings.NewReplacer("%2A", "*", "~", "%7E").Replace(url.QueryEscape(s))
}

// question is msgData. The order of its fields is that of the manual.
type question struct {
	Language       string   `json:"language"`
	TrackingType   string   `json:"trackingType"` // 1: waybills
	TrackingNumber []string `json:"trackingNumber"`
	MethodType     string   `json:"methodType"` // 1: standard
	CheckPhoneNo   string   `json:"checkPhoneNo,omitempty"`
}

// Fetch asks for ten waybills a call.
func (c *sfExpress) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if c.partnerID == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for part := range slices.Chunk(carrierkit.Numbers(queries), batchLimit) {
		got, err := c.ask(ctx, part)
		payloads = append(payloads, got...)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d numbers from %s: %w", name, len(part), part[0], err)
		}
	}
	return payloads, nil
}

// ask makes one call, and more only where SF refuses all numbers for one that
// cannot be a waybill: then each half is asked by itself.
func (c *sfExpress) ask(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	p, err := c.call(ctx, numbers)
	if err != nil {
		return nil, err
	}
	if len(numbers) == 1 || !refusesNumbers(p.Body) {
		return []parcel.Payload{p}, nil
	}
	first, err := c.ask(ctx, numbers[:len(numbers)/2])
	if err != nil {
		return first, err
	}
	second, err := c.ask(ctx, numbers[len(numbers)/2:])
	return append(first, second...), err
}

func (c *sfExpress) call(ctx context.Context, numbers []string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: c.env.Account, Kind: kindRoutes, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	msgData, err := json.Marshal(question{Language: c.language, TrackingType: "1", TrackingNumber: numbers, MethodType: "1", CheckPhoneNo: c.checkPhoneNo})
	if err != nil {
		return p, fmt.Errorf("question: %w", err)
	}
	post := func(ctx context.Context, token string) error {
		resp, err := c.client.Do(ctx, func() (*http.Request, error) {
			timestamp := strconv.FormatInt(c.env.Wall.Now().UnixMilli(), 10)
			form := url.Values{
				"partnerID": {c.partnerID}, "requestID": {newRequestID()}, "serviceCode": {serviceCode},
				"timestamp": {timestamp}, "msgData": {string(msgData)},
			}
			if c.tokens != nil {
				form.Set("accessToken", token)
			} else {
				form.Set("msgDigest", digest(string(msgData), timestamp, c.checkword))
			}
			return newForm(ctx, c.base+servicePath, form)
		})
		if err != nil {
			return err
		}
		p.ContentType, p.Body = resp.ContentType, resp.Body
		if c.tokens != nil && resultCode(resp.Body) == codeTokenExpired {
			return fmt.Errorf("%s: token expired: %w", codeTokenExpired, parcel.ErrDenied)
		}
		return nil
	}
	if c.tokens == nil {
		return p, post(ctx, "")
	}
	return p, c.tokens.With(ctx, post)
}

// newToken asks for a token by the check word.
func (c *sfExpress) newToken(ctx context.Context) (string, time.Time, error) {
	asked := c.env.Wall.Now()
	resp, err := c.client.Do(ctx, func() (*http.Request, error) {
		return newForm(ctx, c.base+c.tokenPath, url.Values{"partnerID": {c.partnerID}, "secret": {c.checkword}, "grantType": {"password"}})
	})
	if err != nil {
		return "", time.Time{}, err
	}
	var doc struct {
		envelope
		AccessToken carrierkit.Text `json:"accessToken"`
		ExpiresIn   carrierkit.Text `json:"expiresIn"`
	}
	if err := json.Unmarshal(resp.Body, &doc); err != nil {
		return "", time.Time{}, fmt.Errorf("answer: %v: %w", err, parcel.ErrMalformed)
	}
	if err := doc.refusal(); err != nil {
		return "", time.Time{}, err
	}
	seconds, ok := doc.ExpiresIn.Int()
	if !ok || seconds < 0 {
		// A token that does not tell its life serves the call at hand only.
		return doc.AccessToken.String(), time.Time{}, nil
	}
	return doc.AccessToken.String(), asked.Add(time.Duration(min(seconds, int64(maxTokenLife/time.Second))) * time.Second), nil
}

func newForm(ctx context.Context, address string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// newRequestID makes the unique id that each call carries (RFC 9562, version 4).
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by the package's contract
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Verify compares the secret in the URL that SF was given. SF signs nothing:
// this and the unguessable path are all there is.
func (c *sfExpress) Verify(d carriers.Delivery) (string, error) {
	if c.pushSecret == "" {
		return "", fmt.Errorf("%s: push: setting push_secret is not set: %w", name, parcel.ErrDenied)
	}
	var given string
	if values := d.Query[secretParameter]; len(values) == 1 {
		given = values[0]
	}
	if !carrierkit.ConstantTimeEqual(given, c.pushSecret) {
		return "", fmt.Errorf("%s: push: parameter %s: %w", name, secretParameter, parcel.ErrDenied)
	}
	if !json.Valid(d.Body) || !carrierkit.SniffJSON(d.Body) {
		return "", fmt.Errorf("%s: push: no JSON object: %w", name, parcel.ErrMalformed)
	}
	return kindPush, nil
}

// Reply is JSON with status 200 in all cases; any return_code but 0000 has SF
// send again.
func (c *sfExpress) Reply(err error) carriers.Reply {
	body := `{"return_code":"0000","return_msg":"成功"}`
	if err != nil {
		body = `{"return_code":"1000","return_msg":"系统异常"}`
	}
	return carriers.Reply{Status: http.StatusOK, ContentType: "application/json; charset=UTF-8", Body: []byte(body)}
}
