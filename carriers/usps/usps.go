// Package usps tracks parcels in the hands of USPS, the post of the United
// States: domestic ones, and those that other posts and consolidators send
// there.
//
// API: USPS Tracking v3, JSON with OAuth2 client credentials, one number per
// call. Events have a local clock by the minute, the second in GMT, and the
// offset. The older Web Tools API (TrackV2, XML) is a second dialect, whose
// local clocks have no zone; an account sets which of the two is asked, and the
// payloads of both are read. One writes the second and the other the minute, so
// an account that changes its dialect is told the events of parcels under way
// once more.
package usps

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"encoding/xml"
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
	name = "usps"
	home = parcel.Country("US")

	kindTrack  = "track"
	kindLegacy = "legacy"

	dialectV3     = "v3"
	dialectLegacy = "legacy"

	tokenPath  = "/oauth2/v3/token"
	trackPath  = "/tracking/v3/tracking/"
	legacyPath = "/ShippingAPI.dll"

	// hourlyCalls is what a new application may ask.
	hourlyCalls = 60
	// legacyNumbers is how many numbers one call of the older API may hold.
	legacyNumbers = 10
	// maxTokenSeconds bounds what a token says of its life, which is eight hours.
	maxTokenSeconds = 24 * 60 * 60

	defaultLegacyURL    = "https://secure.shippingapis.com"
	defaultLegacyIP     = "127.0.0.1"
	defaultLegacySource = "milepost"
	defaultLegacyDenied = "80040B1A"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	s := carriers.Spec{
		Name:         name,
		Title:        "USPS",
		Country:      home,
		Stages:       []parcel.Stage{parcel.StageLastMile, parcel.StageFirstMile},
		API:          "Tracking API v3; Web Tools TrackV2 as an older dialect",
		BaseURL:      "https://apis.usps.com",
		TrackingPage: "https://tools.usps.com/go/TrackConfirmAction?tLabels={number}",
		Batch:        1,
		Quota:        carriers.Quota{Calls: hourlyCalls, Window: time.Hour},
		Settings: []carriers.Setting{
			{Name: "client_id", Doc: "consumer key of the application; needed to ask in dialect v3"},
			{Name: "client_secret", Doc: "consumer secret of the application; needed to ask in dialect v3", Secret: true},
			{Name: "calls_per_hour", Doc: "calls that the application may make in an hour; 0 for no limit", Default: strconv.Itoa(hourlyCalls)},
			{Name: "dialect", Doc: "v3: the Tracking API; legacy: the Web Tools API, which is being retired", Default: dialectV3},
			{Name: "legacy_user_id", Doc: "user id of Web Tools; needed to ask in dialect legacy", Secret: true},
			{Name: "legacy_url", Doc: "where Web Tools is, unless the account names a base URL", Default: defaultLegacyURL},
			{Name: "legacy_client_ip", Doc: "address that Web Tools is told we ask from", Default: defaultLegacyIP},
			{Name: "legacy_source_id", Doc: "who Web Tools is told is asking", Default: defaultLegacySource},
			{Name: "legacy_batch", Doc: "numbers in one call of Web Tools", Default: strconv.Itoa(legacyNumbers)},
			{Name: "legacy_denied_codes", Doc: "error numbers by which Web Tools refuses the user id, parted by commas", Default: defaultLegacyDenied},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of the Tracking API v3", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "trackingNumber") || carrierkit.SniffJSON(b, "trackingEvents") || carrierkit.SniffJSON(b, "error")
			}},
			{Name: kindLegacy, Source: parcel.SourcePoll, Doc: "answer of Web Tools TrackV2 for one or more numbers", Sniff: func(b []byte) bool {
				return carrierkit.SniffXML(b, "TrackResponse")
			}},
		},
		Codes: carrierkit.MustTable(codesCSV),
		Fake:  newFake,
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

type usps struct {
	env     carriers.Env
	codes   carriers.Table
	phrases carrierkit.Phrases
	client  *carrierkit.Client
	tokens  *carrierkit.TokenCache
	zones   carrierkit.Zones

	base, clientID, clientSecret string
	legacy                       legacySettings
}

// legacySettings are those of the older dialect.
type legacySettings struct {
	on                        bool
	url, userID, ip, sourceID string
	batch                     int
	denied                    []string
}

var _ carriers.Fetcher = (*usps)(nil)

// bind checks settings. An account has the credentials of one dialect, of both,
// or (to decode what is kept) of none.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	set := env.Settings
	bad := func(setting, want string) error {
		return fmt.Errorf("usps: setting %s: %s: %w", setting, want, parcel.ErrInvalid)
	}
	u := &usps{
		env:          env,
		codes:        s.Codes,
		phrases:      carrierkit.NewPhrases(s.Codes),
		base:         strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		clientID:     set["client_id"],
		clientSecret: set["client_secret"],
		legacy: legacySettings{
			url:      strings.TrimRight(cmp.Or(env.BaseURL, set["legacy_url"], defaultLegacyURL), "/"),
			userID:   set["legacy_user_id"],
			ip:       cmp.Or(set["legacy_client_ip"], defaultLegacyIP),
			sourceID: cmp.Or(set["legacy_source_id"], defaultLegacySource),
			denied:   carrierkit.SplitSetting(cmp.Or(set["legacy_denied_codes"], defaultLegacyDenied)),
		},
	}
	for setting, address := range map[string]string{"base URL": u.base, "legacy_url": u.legacy.url} {
		if at, err := url.Parse(address); err != nil || at.Host == "" {
			return nil, bad(setting, "has no host")
		}
	}
	switch set["dialect"] {
	case "", dialectV3:
	case dialectLegacy:
		u.legacy.on = true
	default:
		return nil, bad("dialect", "want v3 or legacy")
	}
	switch {
	case u.clientID == "" && u.clientSecret != "":
		return nil, bad("client_id", "missing beside client_secret")
	case u.clientID != "" && u.clientSecret == "":
		return nil, bad("client_secret", "missing beside client_id")
	}
	var err error
	if u.legacy.batch, err = strconv.Atoi(cmp.Or(set["legacy_batch"], strconv.Itoa(legacyNumbers))); err != nil || u.legacy.batch < 1 {
		return nil, bad("legacy_batch", "want a number from 1")
	}
	quota := s.Quota
	if quota.Calls, err = strconv.Atoi(cmp.Or(set["calls_per_hour"], strconv.Itoa(hourlyCalls))); err != nil || quota.Calls < 0 {
		return nil, bad("calls_per_hour", "want a number from 0")
	}
	// The one POST asks for a token, which may be asked for again.
	u.client = carrierkit.NewClient(env, carrierkit.Options{Quota: quota, Timeout: s.Timeout, RetryPOST: true})
	u.tokens = carrierkit.NewTokenCache(env.Wall, u.newToken)
	return u, nil
}

// Fetch asks in the account's dialect: v3 takes one number a call, the older
// one several.
func (u *usps) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	ask, most, able := u.askV3, 1, u.clientID != ""
	if u.legacy.on {
		ask, most, able = u.askLegacy, u.legacy.batch, u.legacy.userID != ""
	}
	if !able {
		return nil, fmt.Errorf("usps: %w", carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for part := range slices.Chunk(carrierkit.Numbers(queries), most) {
		p, err := ask(ctx, part)
		if err != nil {
			return payloads, fmt.Errorf("usps: fetch %d numbers from %s: %w", len(part), part[0], err)
		}
		payloads = append(payloads, p)
	}
	return payloads, nil
}

// askV3 asks for the first of numbers, which is the only one.
func (u *usps) askV3(ctx context.Context, numbers []string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: u.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	err := u.tokens.With(ctx, func(ctx context.Context, token string) error {
		resp, err := u.client.Do(ctx, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+trackPath+url.PathEscape(numbers[0])+"?expand=DETAIL", nil)
			if err != nil {
				return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept", "application/json")
			return req, nil
		})
		if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
			refused, said := readRefusal(status.Body)
			if said && refused.aboutNumber() {
				p.ContentType, p.Body = status.Header.Get("Content-Type"), status.Body
				return nil
			}
			return refused.wrap(err)
		}
		if err != nil {
			return err
		}
		p.ContentType, p.Body = resp.ContentType, resp.Body
		return nil
	})
	return p, err
}

// newToken asks for a token by client credentials.
func (u *usps) newToken(ctx context.Context) (string, time.Time, error) {
	asked := u.env.Wall.Now()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {u.clientID}, "client_secret": {u.clientSecret}, "scope": {"tracking"}}.Encode()
	resp, err := u.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.base+tokenPath, strings.NewReader(form))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		refused, _ := readRefusal(status.Body)
		err = refused.wrap(err)
		if status.Status == http.StatusBadRequest && refused.oauth != "" {
			// All that we send is the credentials: no other call will mend it.
			err = fmt.Errorf("%w: %w", parcel.ErrDenied, err)
		}
	}
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
	// Counted from before the call, by our own clock: USPS's may be off.
	return answer.AccessToken.String(), asked.Add(time.Duration(min(seconds, maxTokenSeconds)) * time.Second), nil
}

// legacyQuestion is the XML of a call of the older API, fields in its order.
type legacyQuestion struct {
	XMLName  xml.Name `xml:"TrackFieldRequest"`
	UserID   string   `xml:"USERID,attr"`
	Revision string   `xml:"Revision"`
	ClientIP string   `xml:"ClientIp"`
	SourceID string   `xml:"SourceId"`
	TrackIDs []struct {
		ID string `xml:"ID,attr"`
	} `xml:"TrackID"`
}

func (u *usps) askLegacy(ctx context.Context, numbers []string) (parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: u.env.Account, Kind: kindLegacy, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	q := legacyQuestion{UserID: u.legacy.userID, Revision: "1", ClientIP: u.legacy.ip, SourceID: u.legacy.sourceID}
	for _, n := range numbers {
		q.TrackIDs = append(q.TrackIDs, struct {
			ID string `xml:"ID,attr"`
		}{n})
	}
	body, err := xml.Marshal(q)
	if err != nil {
		return p, fmt.Errorf("question: %w", err)
	}
	query := url.Values{"API": {"TrackV2"}, "XML": {string(body)}}.Encode()
	resp, err := u.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.legacy.url+legacyPath+"?"+query, nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("Accept", "text/xml, application/xml")
		return req, nil
	})
	if err != nil {
		return p, err
	}
	// The refusal of a whole call repeats the user id: it is not kept.
	if err := u.legacyRefusal(resp.Body); err != nil {
		return p, err
	}
	p.ContentType, p.Body = resp.ContentType, resp.Body
	return p, nil
}

// Redact hides the names of people and firms that took a parcel in.
func (u *usps) Redact(p parcel.Payload) parcel.Payload {
	if p.Kind == kindLegacy || bytes.HasPrefix(bytes.TrimSpace(p.Body), []byte("<")) {
		p.Body = carrierkit.RedactXML(p.Body, func(path []string) bool {
			switch path[len(path)-1] {
			case "Name", "FirmName", "RecipientName":
				return true
			case "Description": // names the user id
				return len(path) == 2 && path[0] == "Error"
			}
			return false
		})
		return p
	}
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("name", "firm", "recipientName", "signatureName"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("eventType", "statusSummary", "eventSummaries"))
	return p
}
