// Package correios tracks items in the hands of Correios, the post of Brazil:
// domestic ones, and those that other posts send there.
//
// API: Correios API Rastro (SRO) v1, asked fifty numbers at a time, with a
// bearer token by postage card (API Token v1). Times are the clock of Brasília
// without an offset, whatever the state of the unit.
package correios

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
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name      = "correios"
	kindTrack = "track"

	baseURL   = "https://api.correios.com.br"
	tokenPath = "/token/v1/autentica/cartaopostagem"
	trackPath = "/srorastro/v1/objetos"

	// The service answers for this many numbers at a time.
	batchLimit = 50
	// One of three values that the service takes; any other, also the "*" that
	// some clients send unasked, is refused.
	language = "pt-BR"
	// Tokens are kept at most this long, whatever they say of themselves.
	maxTokenLife = 24 * time.Hour
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "Correios",
		Country:      "BR",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "API Rastro (SRO) v1, token by postage card",
		BaseURL:      baseURL,
		TrackingPage: "https://rastreamento.correios.com.br/app/index.php?objetos={number}",
		Batch:        batchLimit,
		// Correios publishes no rate; this is a polite guest's.
		Quota: carriers.Quota{PerSecond: 5, Burst: 5},
		Settings: []carriers.Setting{
			{Name: "user", Doc: "user of Meu Correios; needed to ask"},
			{Name: "access_code", Doc: "access code to the APIs, from Correios API Manager; needed to ask", Secret: true},
			{Name: "postage_card", Doc: "number of the postage card whose contract includes the tracking API; needed to ask"},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of API Rastro for one or more numbers", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "objetos") || carrierkit.SniffJSON(b, "msgs")
			}},
		},
		Codes: codes,
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f, codes) },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// correios is the adapter of one account.
type correios struct {
	env   carriers.Env
	codes carriers.Table
	base  string
	// brasilia is the clock of all times, an hour that Brazil keeps all year
	// since 2019. It is an offset and no zone: units keep other clocks, and a
	// zone would name the wrong place.
	brasilia *time.Location

	user, accessCode, card string

	client *carrierkit.Client
	tokens *carrierkit.TokenCache
}

var _ carriers.Fetcher = (*correios)(nil)

// bind checks settings: an account has all three, or (to decode what is kept)
// none.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	c := &correios{
		env: env, codes: s.Codes, base: strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"), brasilia: brasilia(),
		user: strings.TrimSpace(env.Settings["user"]), accessCode: env.Settings["access_code"], card: strings.TrimSpace(env.Settings["postage_card"]),
	}
	if c.user != "" || c.accessCode != "" || c.card != "" {
		for _, setting := range []struct{ name, value string }{{"user", c.user}, {"access_code", c.accessCode}, {"postage_card", c.card}} {
			if setting.value == "" {
				return nil, fmt.Errorf("%s: setting %s: missing beside the others: %w", name, setting.name, parcel.ErrInvalid)
			}
		}
	}
	// The one POST asks for a token, which may be asked for again.
	c.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout, RetryPOST: true})
	c.tokens = carrierkit.NewTokenCache(env.Wall, c.newToken)
	return c, nil
}

func brasilia() *time.Location { return time.FixedZone("-03:00", -3*60*60) }

// Fetch asks for fifty numbers a call.
func (c *correios) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if c.user == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	numbers := make([]string, 0, len(queries))
	for _, q := range queries {
		if n := parcel.NormalizeNumber(q.Number); n != "" && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	var payloads []parcel.Payload
	for part := range slices.Chunk(numbers, batchLimit) {
		payload, err := c.ask(ctx, part)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d numbers from %s: %w", name, len(part), part[0], err)
		}
		payloads = append(payloads, payload)
	}
	return payloads, nil
}

// ask makes one call. An expired token is refused with 403 and not with 401;
// either leads to one renewal.
func (c *correios) ask(ctx context.Context, numbers []string) (parcel.Payload, error) {
	payload := parcel.Payload{Carrier: name, Account: c.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	query := url.Values{"codigosObjetos": numbers, "resultado": {"T"}}
	err := c.tokens.With(ctx, func(ctx context.Context, token string) error {
		resp, err := c.client.Do(ctx, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+trackPath+"?"+query.Encode(), nil)
			if err != nil {
				return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept", "application/json")
			req.Header.Set("Accept-Language", language)
			return req, nil
		})
		if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
			refusal := readRefusal(status.Body)
			if len(numbers) == 1 && refusal.aboutNumber() {
				payload.ContentType, payload.Body = status.Header.Get("Content-Type"), status.Body
				return nil
			}
			return refusal.wrap(err)
		}
		if err != nil {
			return err
		}
		payload.ContentType, payload.Body = resp.ContentType, resp.Body
		return nil
	})
	return payload, err
}

// newToken asks for a token by postage card.
func (c *correios) newToken(ctx context.Context) (string, time.Time, error) {
	asked := c.env.Wall.Now()
	body, err := json.Marshal(map[string]string{"numero": c.card})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("postage card: %w", err)
	}
	resp, err := c.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+tokenPath, bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.SetBasicAuth(c.user, c.accessCode)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		return req, nil
	})
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		err = readRefusal(status.Body).wrap(err)
		if status.Status == http.StatusBadRequest {
			// All that we send is the card: no other call will mend it.
			err = fmt.Errorf("%w: %w", parcel.ErrDenied, err)
		}
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return readToken(resp.Body, asked)
}

// readToken reads a token and when it expires. Expiry is told by the clock of
// Brasília without an offset, which the zone beside it confirms; its distance
// from the moment of issue counts, by our own clock: the carrier's may be off.
func readToken(body []byte, asked time.Time) (string, time.Time, error) {
	var answer struct {
		Token    carrierkit.Text `json:"token"`
		ExpiraEm carrierkit.Text `json:"expiraEm"`
		Emissao  carrierkit.Text `json:"emissao"`
		ZoneID   carrierkit.Text `json:"zoneId"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", time.Time{}, fmt.Errorf("token answer: %w: %w", parcel.ErrMalformed, err)
	}
	loc := brasilia()
	if seconds, err := parcel.ParseOffset(answer.ZoneID.String()); err == nil {
		loc = time.FixedZone("", seconds)
	}
	token := answer.Token.String()
	expires, err := time.ParseInLocation(wireLayout, answer.ExpiraEm.String(), loc)
	if err != nil {
		// A token that does not tell its life serves the call at hand only.
		return token, time.Time{}, nil
	}
	if issued, err := time.ParseInLocation(wireLayout, answer.Emissao.String(), loc); err == nil && expires.After(issued) {
		expires = asked.Add(expires.Sub(issued))
	}
	if latest := asked.Add(maxTokenLife); expires.After(latest) {
		expires = latest
	}
	return token, expires, nil
}
