// Package laposte tracks items in the hands of La Poste of France and its
// houses Colissimo and Chronopost.
//
// API: Suivi v2, asked ten numbers at a time with an application key. Times
// carry the offset of Paris, also those of scans made abroad: the instant is
// mostly right, and sometimes it is a foreign clock with the wrong offset, so
// scans that happen abroad are no more than assumed.
package laposte

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name      = "la-poste"
	kindTrack = "track"

	baseURL   = "https://api.laposte.fr"
	trackPath = "/suivi/v2/idships/"

	// The service answers for this many numbers at a time.
	batchLimit = 10

	defaultLanguage = "fr_FR"
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "La Poste",
		Country:      "FR",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Suivi v2",
		BaseURL:      baseURL,
		TrackingPage: "https://www.laposte.fr/outils/suivre-vos-envois?code={number}",
		Batch:        batchLimit,
		// The gateway of La Poste's interfaces refuses more than 100 calls a minute.
		Quota:       carriers.Quota{PerSecond: 1.5, Burst: 10},
		NextCarrier: true,
		Settings: []carriers.Setting{
			{Name: "api_key", Doc: "application key of developer.laposte.fr, sent as X-Okapi-Key; needed to ask", Secret: true},
			{Name: "language", Doc: "language of the words: " + strings.Join(languages(), ", "), Default: defaultLanguage},
			{Name: "forwarded_for", Doc: "address sent as X-Forwarded-For: La Poste's description asks for an end user's; not sent if not set"},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindTrack, Source: parcel.SourcePoll, Doc: "answer of Suivi v2 for one or more numbers", Sniff: func(b []byte) bool {
				return carrierkit.SniffJSON(b, "returnCode", "scope") || carrierkit.SniffJSON(b, "returnCode", "shipment")
			}},
		},
		Codes: codes,
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f, codes) },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// languages are those that the service answers in.
func languages() []string {
	return []string{"fr_FR", "en_GB", "de_DE", "es_ES", "it_IT", "nl_NL"}
}

// laPoste is the adapter of one account.
type laPoste struct {
	env    carriers.Env
	codes  carriers.Table
	client *carrierkit.Client
	zones  carrierkit.Zones

	base, key, language, forwardedFor string
}

var _ carriers.Fetcher = (*laPoste)(nil)

// bind checks settings. An account may lack the key, to decode what is kept.
func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	l := &laPoste{
		env: env, codes: s.Codes, base: strings.TrimRight(cmp.Or(env.BaseURL, s.BaseURL), "/"),
		key: env.Settings["api_key"], language: cmp.Or(strings.TrimSpace(env.Settings["language"]), defaultLanguage),
		forwardedFor: strings.TrimSpace(env.Settings["forwarded_for"]),
	}
	if !slices.Contains(languages(), l.language) {
		return nil, fmt.Errorf("%s: setting language: %q is none of %s: %w", name, l.language, strings.Join(languages(), ", "), parcel.ErrInvalid)
	}
	l.client = carrierkit.NewClient(env, carrierkit.Options{Quota: s.Quota, Timeout: s.Timeout})
	return l, nil
}

// Fetch asks for ten numbers a call.
func (l *laPoste) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if l.key == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for _, part := range batches(queries) {
		got, err := l.ask(ctx, part)
		payloads = append(payloads, got...)
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %d numbers from %s: %w", name, len(part), part[0], err)
		}
	}
	return payloads, nil
}

// batches cuts the numbers into calls. What holds other characters than a
// number of La Poste can goes alone: a comma would make two of it, and an
// eleventh number fails the whole call.
func batches(queries []carriers.Query) [][]string {
	var plain []string
	var out [][]string
	seen := map[string]bool{}
	for _, q := range queries {
		n := parcel.NormalizeNumber(q.Number)
		switch {
		case n == "" || seen[n]:
		case strings.Trim(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "":
			out = append(out, []string{n})
		default:
			plain = append(plain, n)
		}
		seen[n] = true
	}
	return slices.Concat(slices.Collect(slices.Chunk(plain, batchLimit)), out)
}

// ask makes one call; more where one number spoils the call of many.
func (l *laPoste) ask(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	p := parcel.Payload{Carrier: name, Account: l.env.Account, Kind: kindTrack, Source: parcel.SourcePoll, Numbers: slices.Clone(numbers)}
	escaped := make([]string, len(numbers))
	for i, n := range numbers {
		escaped[i] = url.PathEscape(n)
	}
	resp, err := l.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base+trackPath+strings.Join(escaped, ",")+"?lang="+l.language, nil)
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("X-Okapi-Key", l.key)
		req.Header.Set("Accept", "application/json")
		if l.forwardedFor != "" {
			req.Header.Set("X-Forwarded-For", l.forwardedFor)
		}
		return req, nil
	})
	if refusal, ok := errors.AsType[*carrierkit.StatusError](err); ok && aboutNumber(refusal) {
		if refusal.Status == http.StatusBadRequest && len(numbers) > 1 {
			return l.askSingly(ctx, numbers)
		}
		p.ContentType, p.Body = refusal.Header.Get("Content-Type"), refusal.Body
		return []parcel.Payload{p}, nil
	}
	if err != nil {
		return nil, err
	}
	p.ContentType, p.Body = resp.ContentType, resp.Body
	return []parcel.Payload{p}, nil
}

// askSingly finds the malformed number among many, so that it fails no other.
func (l *laPoste) askSingly(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	var payloads []parcel.Payload
	for _, n := range numbers {
		got, err := l.ask(ctx, []string{n})
		payloads = append(payloads, got...)
		if err != nil {
			return payloads, err
		}
	}
	return payloads, nil
}

// aboutNumber tells whether a refusal only says that numbers are not known
// (404) or none that could be (400): an answer, not a failure.
func aboutNumber(e *carrierkit.StatusError) bool {
	answers, err := readAnswers(e.Body)
	if err != nil || len(answers.Items) == 0 {
		return false
	}
	for _, a := range answers.Items {
		if !a.unknown() {
			return false
		}
	}
	return e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest
}

// Redact replaces what names a person. The published answer has no field that
// does, and what contracts add to it is not established; sentences may give a
// phone or an e-mail address.
func (l *laPoste) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("recipient", "receiver", "addressee", "sender", "destinataire", "expediteur",
		"signatory", "signature", "address", "adresse", "phone", "telephone", "mobile", "email", "mail"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("label", "shortLabel", "longLabel"))
	return p
}
