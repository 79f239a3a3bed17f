// Package chinapost tracks items that China Post and its EMS carry: the origin
// side of postal parcels, with what other posts report of them.
//
// API: JDPT trace query of China Post's contract customers, one number a call,
// signed forms both ways. Times carry no zone: they are the clock of China for
// scans there, and the local clock of the post that scanned elsewhere.
package chinapost

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
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
	name = "china-post"

	kindTrace = "trace"
	kindPush  = "push"

	// unassigned stands where other carriers have an address: China Post hands
	// its host over with the contract. The name resolves nowhere (RFC 2606).
	unassigned = "https://china-post.invalid"

	receiverID = "JDPT"
	dataType   = "1" // JSON

	defaultPath          = "/querypush-twswn/mailTrack/queryMailTrackWn/plus"
	defaultProvinceField = "proviceNo" // so spelt
	defaultProvince      = "99"
	defaultBatch         = "999"
	defaultDenied        = "B06"
	defaultReplyTaken    = `{"responseState":true,"errorDesc":""}`
	defaultReplyRefused  = `{"responseState":false,"errorDesc":"{error}"}`

	dateLayout = "20060102150405"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "China Post / EMS",
		Country:      "CN",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "JDPT trace query and push",
		BaseURL:      unassigned,
		TrackingPage: "https://www.ems.com.cn/english/",
		Batch:        1,
		// No rate is established; this is a polite guest's.
		Quota: carriers.Quota{PerSecond: 2, Burst: 4},
		Settings: []carriers.Setting{
			{Name: "send_id", Doc: "sender code (sendID) of the contract; needed to ask, beside base_url"},
			{Name: "key", Doc: "key that signs forms both ways; needed to ask and to take pushes", Secret: true},
			{Name: "path", Doc: "path of the trace query; the portal for international customers has another", Default: defaultPath},
			{Name: "province_field", Doc: "name of the province field, which some contracts spell provinceNo", Default: defaultProvinceField},
			{Name: "province_no", Doc: "province number", Default: defaultProvince},
			{Name: "batch_no", Doc: "batchNo sent with requests", Default: defaultBatch},
			{Name: "denied_codes", Doc: "codes in errorDesc that mean refused credentials, parted by commas", Default: defaultDenied},
			{Name: "reply_taken", Doc: "our reply to a push that was taken", Default: defaultReplyTaken},
			{Name: "reply_refused", Doc: "our reply to a push that was not taken; {error} is replaced", Default: defaultReplyRefused},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrace, Source: parcel.SourcePoll, Doc: "answer of the trace query", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "responseState")
			}},
			{Name: kindPush, Source: parcel.SourceWebhook, Doc: "signed form with traces", Sniff: func(b []byte) bool {
				if carrierkit.SniffJSON(b) {
					return carrierkit.SniffJSON(b, "traces")
				}
				_, _, err := openForm(b)
				return err == nil
			}},
		},
		Codes: codes,
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f) },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// chinaPost is the adapter of one account.
type chinaPost struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	zones   carrierkit.Zones
	client  *carrierkit.Client

	address, sendID, key     string
	provinceField, province  string
	batch                    string
	deniedCodes              []string
	replyTaken, replyRefused string
}

var (
	_ carriers.Fetcher  = (*chinaPost)(nil)
	_ carriers.Verifier = (*chinaPost)(nil)
)

// bind checks settings. An account may ask, take pushes, both, or (to decode
// what is kept) neither.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	path := cmp.Or(set["path"], defaultPath)
	c := &chinaPost{
		env: env, codes: s.Codes, phrases: carrierkit.NewPhrases(s.Codes),
		address: strings.TrimRight(env.BaseURL, "/") + path,
		sendID:  strings.TrimSpace(set["send_id"]), key: set["key"],
		provinceField: cmp.Or(set["province_field"], defaultProvinceField), province: cmp.Or(set["province_no"], defaultProvince),
		batch:       cmp.Or(set["batch_no"], defaultBatch),
		deniedCodes: carrierkit.SplitSetting(cmp.Or(set["denied_codes"], defaultDenied)),
		replyTaken:  cmp.Or(set["reply_taken"], defaultReplyTaken), replyRefused: cmp.Or(set["reply_refused"], defaultReplyRefused),
	}
	switch {
	case !strings.HasPrefix(path, "/"):
		return nil, fmt.Errorf("%s: setting path: want a path that begins with a slash: %w", name, parcel.ErrInvalid)
	case c.sendID != "" && c.key == "":
		return nil, fmt.Errorf("%s: setting key: missing beside send_id: %w", name, parcel.ErrInvalid)
	case c.sendID != "" && env.BaseURL == "":
		return nil, fmt.Errorf("%s: base_url: missing beside send_id; China Post hands its address over with the contract: %w", name, parcel.ErrInvalid)
	}
	// The query only reads, so that a POST may be sent again.
	c.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	return c, nil
}

// digest signs a message: Base64 of the hexadecimal text of MD5 over message
// and key, in lower case; not of its raw bytes.
func digest(message, key string) string {
	sum := md5.Sum([]byte(message + key))
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

// Fetch asks for each number by itself.
func (c *chinaPost) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if c.sendID == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	payloads := make([]parcel.Payload, 0, len(queries))
	for _, number := range carrierkit.Numbers(queries) {
		resp, err := c.client.Do(ctx, func() (*http.Request, error) { return c.question(ctx, number) })
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %s: %w", name, number, err)
		}
		payloads = append(payloads, parcel.Payload{
			Carrier: name, Account: c.env.Account, Kind: kindTrace, Source: parcel.SourcePoll,
			ContentType: resp.ContentType, Body: resp.Body, Numbers: []string{number},
		})
	}
	return payloads, nil
}

// question is the form that asks for a number. The message is encoded by
// itself before the form is.
func (c *chinaPost) question(ctx context.Context, number string) (*http.Request, error) {
	body, err := json.Marshal(map[string]string{"traceNo": number})
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	now := c.env.Wall.Now().In(china())
	form := url.Values{
		"sendID": {c.sendID}, c.provinceField: {c.province}, "msgKind": {msgKind(c.sendID)}, "serialNo": {newSerial(now)},
		"sendDate": {now.Format(dateLayout)}, "receiveID": {receiverID}, "batchNo": {c.batch}, "dataType": {dataType},
		"dataDigest": {digest(string(body), c.key)}, "msgBody": {url.QueryEscape(string(body))},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func msgKind(sendID string) string { return sendID + "_JDPT_TRACE" }

// newSerial makes the number that no two requests may share.
func newSerial(now time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, by the package's contract
	return now.Format(dateLayout) + hex.EncodeToString(b[:])
}

// openForm takes the business message out of a form, as it was before it was
// encoded (the sender may encode it by itself, and again with the form), and
// the digest that came with it. Verify and Decode read the same bytes.
func openForm(body []byte) (said, digest string, err error) {
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["msgBody"]) != 1 {
		return "", "", fmt.Errorf("no form with one msgBody: %w", parcel.ErrMalformed)
	}
	if said = form.Get("msgBody"); !isJSON([]byte(said)) {
		if said, err = url.QueryUnescape(said); err != nil {
			return "", "", fmt.Errorf("msgBody: %v: %w", err, parcel.ErrMalformed)
		}
	}
	return said, form.Get("dataDigest"), nil
}

// Verify checks the digest over the message as it was before encoding.
func (c *chinaPost) Verify(d carriers.Delivery) (string, error) {
	if c.key == "" {
		return "", fmt.Errorf("%s: push: setting key is not set: %w", name, parcel.ErrDenied)
	}
	said, given, err := openForm(d.Body)
	if err != nil {
		return "", fmt.Errorf("%s: push: %w", name, err)
	}
	if !carrierkit.ConstantTimeEqual(given, digest(said, c.key)) {
		return "", fmt.Errorf("%s: push: dataDigest: %w", name, parcel.ErrDenied)
	}
	return kindPush, nil
}

// Reply is JSON with status 200, as answers of the query are. Its form is not
// established, so that the account may set another.
func (c *chinaPost) Reply(err error) carriers.Reply {
	body := c.replyTaken
	if err != nil {
		said := "not taken, send again"
		switch {
		case errors.Is(err, parcel.ErrDenied):
			said = "dataDigest"
		case errors.Is(err, parcel.ErrMalformed):
			said = "msgBody"
		}
		body = strings.ReplaceAll(c.replyRefused, "{error}", said)
	}
	return carriers.Reply{Status: http.StatusOK, ContentType: "application/json; charset=UTF-8", Body: []byte(body)}
}
