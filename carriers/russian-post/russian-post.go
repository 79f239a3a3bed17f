// Package russianpost tracks items moved by Russian Post: domestic ones, and
// those that other posts send to Russia or receive from it.
//
// API: Russian Post tracking, single access (rtm34, SOAP 1.2) and batch access
// by tickets (fc, SOAP 1.1), as published by tracking.pochta.ru. Single access
// writes the offset of the place; batch access a wall clock without one, which
// is read by postcode.
package russianpost

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name = "russian-post"

	// Forms of payload.
	kindSingle = "single"
	kindBatch  = "batch"
	kindTicket = "ticket"

	baseURL    = "https://tracking.russianpost.ru"
	singlePath = "/rtm34"
	batchPath  = "/fc"

	// The service takes 3000 items in a ticket, but larger answers than this
	// break gateways on the way.
	batchLimit = 500
	// A free account may make this many single calls in a day.
	freeCalls = 100
	// An answer is ready no sooner than this after its ticket, and may be asked
	// for again no sooner than this after the last time.
	ticketWait = 15 * time.Minute
	// The answer to a ticket is kept this long.
	ticketLife = 32 * time.Hour
	// Answers of 500 numbers are long in coming.
	timeout = 30 * time.Second
)

//go:embed codes.csv
var codesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	return carriers.Spec{
		Name:         name,
		Title:        "Почта России",
		Country:      "RU",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:          "Russian Post tracking: single access (SOAP 1.2) and batch access by tickets (SOAP 1.1)",
		BaseURL:      baseURL,
		TrackingPage: "https://www.pochta.ru/tracking?barcode={number}",
		Batch:        batchLimit,
		Quota:        carriers.Quota{Calls: freeCalls, Window: 24 * time.Hour},
		Timeout:      timeout,
		Settings: []carriers.Setting{
			{Name: "login", Doc: "login for the tracking service; needed to ask"},
			{Name: "password", Doc: "password for the tracking service; needed to ask", Secret: true},
			{Name: "mode", Doc: "single: one call for each number; batch: tickets, whose answers come 15 minutes later", Default: "single"},
			{Name: "single_up_to", Doc: "in batch mode, up to this many numbers at a time are asked by single access", Default: "0"},
			{Name: "calls_per_day", Doc: "single calls that the contract allows in a day; 0 for no limit", Default: strconv.Itoa(freeCalls)},
			{Name: "language", Doc: "language of the words: RUS or ENG", Default: "RUS"},
			{Name: "ticket_wait", Doc: "how long a ticket takes to be answered", Default: "15m"},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindSingle, Source: parcel.SourcePoll, Doc: "answer of getOperationHistory", Sniff: func(b []byte) bool {
				return carrierkit.SniffXML(b, "Envelope", "getOperationHistoryResponse")
			}},
			{Name: kindBatch, Source: parcel.SourcePoll, Doc: "answer of getResponseByTicket", Sniff: func(b []byte) bool {
				return carrierkit.SniffXML(b, "Envelope", "answerByTicketResponse")
			}},
			{Name: kindTicket, Source: parcel.SourcePoll, Doc: "answer of getTicket: the ticket for a later answer", Sniff: func(b []byte) bool {
				return carrierkit.SniffXML(b, "Envelope", "ticketResponse")
			}},
		},
		Codes: codes,
		New:   func(env carriers.Env) (carriers.Carrier, error) { return newPost(env, codes) },
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f, codes) },
	}
}

// post is the adapter of one account.
type post struct {
	account, login, password, language string

	base       string
	batch      bool
	singleUpTo int

	codes   carriers.Table
	zones   carrierkit.Zones
	single  *carrierkit.Client
	tickets *desk
}

var _ carriers.Fetcher = (*post)(nil)

func newPost(env carriers.Env, codes carriers.Table) (*post, error) {
	get := func(key, fallback string) string { return cmp.Or(strings.TrimSpace(env.Settings[key]), fallback) }
	bad := func(key, want string) error {
		return fmt.Errorf("%s: setting %s: want %s: %w", name, key, want, parcel.ErrInvalid)
	}
	p := &post{
		account: env.Account, login: get("login", ""), password: env.Settings["password"],
		language: get("language", "RUS"), base: strings.TrimRight(cmp.Or(env.BaseURL, baseURL), "/"),
		codes: codes,
	}
	// An account may have neither, to decode what is kept.
	switch {
	case p.login == "" && p.password != "":
		return nil, bad("login", "a login beside the password")
	case p.login != "" && p.password == "":
		return nil, bad("password", "a password beside the login")
	}
	if p.language != "RUS" && p.language != "ENG" {
		return nil, bad("language", "RUS or ENG")
	}
	switch mode := get("mode", "single"); mode {
	case "single":
	case "batch":
		p.batch = true
	default:
		return nil, bad("mode", "single or batch")
	}
	var err error
	if p.singleUpTo, err = strconv.Atoi(get("single_up_to", "0")); err != nil || p.singleUpTo < 0 {
		return nil, bad("single_up_to", "a number from 0")
	}
	calls, err := strconv.Atoi(get("calls_per_day", strconv.Itoa(freeCalls)))
	if err != nil || calls < 0 {
		return nil, bad("calls_per_day", "a number from 0")
	}
	wait, err := time.ParseDuration(get("ticket_wait", ticketWait.String()))
	if err != nil || wait <= 0 {
		return nil, bad("ticket_wait", "a duration such as 15m")
	}
	// A call is not tried again at once: each try counts against the day's
	// budget, and faults come with status 500.
	p.single = carrierkit.NewClient(env, carrierkit.Options{Quota: carriers.Quota{Calls: calls, Window: 24 * time.Hour}, Timeout: timeout})
	p.tickets = newDesk(env, wait, carrierkit.NewClient(env, carrierkit.Options{Timeout: timeout}))
	return p, nil
}

// Fetch asks by single access, one call for each number, or by ticket, as the
// account is set up. A number whose ticket has not been answered yet gives no
// observations: its payload reads as "ask again later", and asking sooner than
// that gives *parcel.Throttled.
func (p *post) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if p.login == "" {
		return nil, fmt.Errorf("%s: %w", name, carriers.ErrNoAccount)
	}
	numbers := make([]string, 0, len(queries))
	seen := make(map[string]bool, len(queries))
	for _, q := range queries {
		if n := parcel.NormalizeNumber(q.Number); n != "" && !seen[n] {
			seen[n] = true
			numbers = append(numbers, n)
		}
	}
	if p.batch && len(numbers) > p.singleUpTo {
		return p.fetchByTicket(ctx, numbers)
	}
	return p.fetchSingly(ctx, numbers)
}

// fetchSingly asks one number after another and stops at the first failure:
// whatever the reason, the calls that follow would only spend the budget.
func (p *post) fetchSingly(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	payloads := make([]parcel.Payload, 0, len(numbers))
	for _, n := range numbers {
		payload, _, err := p.call(ctx, p.single, kindSingle, p.historyRequest(n), []string{n})
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %s: %w", name, n, err)
		}
		payloads = append(payloads, payload)
	}
	return payloads, nil
}

// call sends an envelope and wraps the answer. A fault, which comes with
// status 500 or 200, is an error of its kind.
func (p *post) call(ctx context.Context, client *carrierkit.Client, kind string, envelope []byte, numbers []string) (parcel.Payload, answer, error) {
	path, contentType := singlePath, "application/soap+xml; charset=utf-8"
	if kind != kindSingle {
		path, contentType = batchPath, "text/xml; charset=utf-8"
	}
	resp, err := client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(envelope))
		if err != nil {
			return nil, fmt.Errorf("base URL: %v: %w", err, parcel.ErrInvalid)
		}
		req.Header.Set("Content-Type", contentType)
		if kind != kindSingle {
			// SOAP 1.1 asks for the header even where it says nothing.
			req.Header.Set("SOAPAction", `""`)
		}
		return req, nil
	})
	if status, ok := errors.AsType[*carrierkit.StatusError](err); ok {
		if a := parse(status.Body); a.fault != nil {
			return parcel.Payload{}, a, a.fault.err()
		}
	}
	if err != nil {
		return parcel.Payload{}, answer{}, err
	}
	a := parse(resp.Body)
	switch {
	case a.fault != nil:
		return parcel.Payload{}, a, a.fault.err()
	case a.method == "":
		return parcel.Payload{}, a, a.torn
	}
	return parcel.Payload{
		Carrier: name, Account: p.account, Kind: kind, Source: parcel.SourcePoll,
		ContentType: resp.ContentType, Body: resp.Body, Numbers: numbers,
	}, a, nil
}

// historyRequest is the envelope of getOperationHistory. Its credentials stand
// in the body, not in the header, as the service wants them.
func (p *post) historyRequest(number string) []byte {
	return []byte(`<soap:Envelope xmlns:soap="` + nsSOAP12 + `" xmlns:oper="` + nsHistory + `" xmlns:data="` + nsData + `" xmlns:soapenv="` + nsSOAP11 + `">` +
		`<soap:Header/><soap:Body><oper:getOperationHistory>` +
		`<data:OperationHistoryRequest><data:Barcode>` + escape(number) + `</data:Barcode><data:MessageType>0</data:MessageType>` +
		`<data:Language>` + escape(p.language) + `</data:Language></data:OperationHistoryRequest>` +
		`<data:AuthorizationHeader soapenv:mustUnderstand="1"><data:login>` + escape(p.login) + `</data:login>` +
		`<data:password>` + escape(p.password) + `</data:password></data:AuthorizationHeader>` +
		`</oper:getOperationHistory></soap:Body></soap:Envelope>`)
}

// ticketRequest is the envelope of getTicket.
func (p *post) ticketRequest(numbers []string) []byte {
	var items strings.Builder
	for _, n := range numbers {
		items.WriteString(`<fcl:Item Barcode="` + escape(n) + `"/>`)
	}
	return p.batchEnvelope(`<pos:ticketRequest><request>` + items.String() + `</request>` + p.credentials() +
		`<language>` + escape(p.language) + `</language></pos:ticketRequest>`)
}

// answerRequest is the envelope of getResponseByTicket.
func (p *post) answerRequest(ticket string) []byte {
	return p.batchEnvelope(`<pos:answerByTicketRequest><ticket>` + escape(ticket) + `</ticket>` + p.credentials() + `</pos:answerByTicketRequest>`)
}

func (p *post) credentials() string {
	return `<login>` + escape(p.login) + `</login><password>` + escape(p.password) + `</password>`
}

func (p *post) batchEnvelope(body string) []byte {
	return []byte(`<soapenv:Envelope xmlns:soapenv="` + nsSOAP11 + `" xmlns:pos="` + nsServer + `" xmlns:fcl="` + nsClient + `">` +
		`<soapenv:Header/><soapenv:Body>` + body + `</soapenv:Body></soapenv:Envelope>`)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}
