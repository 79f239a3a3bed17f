package carriertest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// acme is a small adapter with every capability, which is right in all that
// the exam asks unless it is told to be wrong in one.
type acme struct {
	env   carriers.Env
	fault string
	calls atomic.Int64
}

type acmeTable struct{}

func (acmeTable) Version() string { return "2026-11-22" }

func (acmeTable) Rows() []carriers.Row {
	return []carriers.Row{
		{Rule: "PU", Code: parcel.CodePickedUp}, {Rule: "DE", Code: parcel.CodeOriginCountryDeparted},
		{Rule: "AR", Code: parcel.CodeDestinationCountryArrived}, {Rule: "DL", Code: parcel.CodeDelivered},
	}
}

func (t acmeTable) Lookup(code string) (carriers.Row, bool) {
	for _, r := range t.Rows() {
		if r.Rule == code {
			return r, true
		}
	}
	return carriers.Row{Rule: "unmapped", Code: parcel.CodeUnknown}, false
}

func acmeSpec(fault string) carriers.Spec {
	return carriers.Spec{
		Name: "acme", Title: "Acme", API: "Acme v1", Stages: []parcel.Stage{parcel.StageLastMile},
		BaseURL: "https://acme.example", Batch: 3, Codes: acmeTable{},
		Settings: []carriers.Setting{{Name: "key", Doc: "API key", Secret: true, Required: true}},
		Kinds: []carriers.PayloadKind{
			{Name: "track", Source: parcel.SourcePoll, Doc: "answer", Sniff: func(b []byte) bool { return bytes.HasPrefix(b, []byte(`{"items"`)) }},
			{Name: "push", Source: parcel.SourceWebhook, Doc: "push", Sniff: func(b []byte) bool { return bytes.HasPrefix(b, []byte(`{"push"`)) }},
			{Name: "file", Source: parcel.SourceFile, Doc: "file", Sniff: func(b []byte) bool { return bytes.HasPrefix(b, []byte("number;")) }},
		},
		New: func(env carriers.Env) (carriers.Carrier, error) {
			if env.Settings["key"] == "" {
				return nil, fmt.Errorf("acme: setting key: %w", parcel.ErrInvalid)
			}
			return &acme{env: env, fault: fault}, nil
		},
		Fake: func(f carriers.FakeEnv) carriers.Fake { return acmeFake{f} },
	}
}

type acmeDoc struct {
	Items []json.RawMessage `json:"items,omitempty"`
	Push  json.RawMessage   `json:"push,omitempty"`
}

type acmeItem struct {
	Number  string            `json:"number"`
	Unknown bool              `json:"unknown,omitempty"`
	Events  []json.RawMessage `json:"events,omitempty"`
}

type acmeEvent struct {
	Code   string `json:"code"`
	Time   string `json:"time"`
	Text   string `json:"text,omitempty"`
	Person string `json:"person,omitempty"`
}

func (a *acme) Decode(p parcel.Payload) (parcel.Reading, error) {
	var r parcel.Reading
	var errs []error
	var doc acmeDoc
	switch p.Kind {
	case "track", "push":
		if err := json.Unmarshal(p.Body, &doc); err != nil {
			return r, fmt.Errorf("acme: %w: %w", parcel.ErrMalformed, err)
		}
		if doc.Items == nil && doc.Push == nil {
			return r, fmt.Errorf("acme: neither items nor push: %w", parcel.ErrMalformed)
		}
	case "file":
		number, rest, _ := strings.Cut(strings.TrimSpace(string(p.Body)), ";")
		code, at, _ := strings.Cut(rest, ";")
		return r, errors.Join(a.event(&r, number, acmeEvent{Code: code, Time: at}))
	default:
		return r, fmt.Errorf("acme: kind %q: %w", p.Kind, parcel.ErrMalformed)
	}
	if doc.Push != nil {
		doc.Items = append(doc.Items, doc.Push)
	}
	for i, raw := range doc.Items {
		var item acmeItem
		err := json.Unmarshal(raw, &item)
		number := parcel.NormalizeNumber(item.Number)
		if a.fault == "panics" {
			_ = item.Number[0]
		}
		if err != nil || number == "" {
			errs = append(errs, fmt.Errorf("acme: item %d: %w", i, parcel.ErrMalformed))
			if a.fault == "hides" {
				return parcel.Reading{}, errors.Join(errs...)
			}
			continue
		}
		finding := parcel.FindingFound
		if item.Unknown {
			finding = parcel.FindingUnknown
		}
		r.Results = append(r.Results, parcel.NumberResult{Number: number, Finding: finding})
		for j, raw := range item.Events {
			var e acmeEvent
			if json.Unmarshal(raw, &e) != nil {
				errs = append(errs, fmt.Errorf("acme: event %d: %w", j, parcel.ErrMalformed))
				continue
			}
			errs = append(errs, a.event(&r, number, e))
		}
	}
	return r, errors.Join(errs...)
}

func (a *acme) event(r *parcel.Reading, number string, e acmeEvent) error {
	at, err := time.Parse(time.RFC3339, e.Time)
	number = parcel.NormalizeNumber(number)
	if err != nil || number == "" || e.Code == "" {
		return fmt.Errorf("acme: event of %s: %w", number, parcel.ErrMalformed)
	}
	row, _ := acmeTable{}.Lookup(e.Code)
	o := parcel.Observation{
		Carrier: "acme", Number: number, OwnCode: e.Code, Code: row.Code, Words: e.Text,
		Occurred: parcel.ReportedMoment(e.Time, at), Rule: row.Rule, RuleVersion: acmeTable{}.Version(),
	}
	switch a.fault {
	case "impure":
		o.Words += strconv.FormatInt(a.calls.Add(1), 10)
	case "zones":
		o.Occurred.HasOffset = false
	case "version":
		o.RuleVersion = "2020-01-01"
	case "code":
		o.Code = "FLYING"
	case "personal in words":
		o.Words += e.Person
	}
	r.Observations = append(r.Observations, o)
	return nil
}

func (a *acme) Redact(p parcel.Payload) parcel.Payload {
	switch a.fault {
	case "keeps names":
		return p
	case "redacts again":
		p.Body = append(bytes.Clone(p.Body), ' ')
		return p
	case "redacts too much":
		p.Body = bytes.ReplaceAll(p.Body, []byte(`"PU"`), []byte(`"[redacted]"`))
		return p
	case "writes to the payload":
		copy(p.Body, bytes.ReplaceAll(p.Body, []byte("J. SMITH"), []byte("[hidden]")))
		return p
	}
	p.Body = bytes.ReplaceAll(p.Body, []byte("J. SMITH"), []byte("[redacted]"))
	return p
}

func (a *acme) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if a.env.HTTP == nil {
		return nil, carriers.ErrNoAccount
	}
	step := 3
	if a.fault == "batch" {
		step = 100
	}
	var out []parcel.Payload
	for len(queries) > 0 {
		n := min(step, len(queries))
		var numbers []string
		for _, q := range queries[:n] {
			numbers = append(numbers, q.Number)
		}
		queries = queries[n:]
		body, err := a.call(ctx, numbers)
		if err != nil {
			if a.fault == "guesses" {
				body = []byte(`{"items":[{"number":"` + numbers[0] + `","unknown":true}]}`)
			} else {
				return out, err
			}
		}
		out = append(out, parcel.Payload{Carrier: "acme", Account: a.env.Account, Kind: "track", Source: parcel.SourcePoll, Body: body, Numbers: numbers})
	}
	return out, nil
}

func (a *acme) call(ctx context.Context, numbers []string) ([]byte, error) {
	base := a.env.BaseURL
	if a.fault == "strays" {
		base = "http://elsewhere.test"
	}
	if a.fault == "deaf" {
		ctx = context.WithoutCancel(ctx)
	}
	try, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(try, http.MethodGet, base+"/v1?n="+strings.Join(numbers, ","), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Key", a.env.Settings["key"])
	if a.fault == "logs" {
		a.env.Log.Info("asking", "header", req.Header)
	}
	client := *a.env.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("acme: no answer: %w", parcel.ErrUnavailable)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("acme: half an answer: %w", parcel.ErrUnavailable)
	}
	kind := parcel.ErrUnavailable
	switch {
	case a.fault == "leaks":
		kind = fmt.Errorf("key %s: %w", a.env.Settings["key"], parcel.ErrUnavailable)
	case resp.StatusCode == 429:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		kind = &parcel.Throttled{RetryAfter: time.Duration(seconds) * time.Second}
		if a.fault == "impatient" {
			kind = parcel.ErrThrottled
		}
	case resp.StatusCode == 401, resp.StatusCode == 403:
		kind = parcel.ErrDenied
	case resp.StatusCode == 200 && !bytes.HasPrefix(body, []byte("<")):
		return body, nil
	case resp.StatusCode == 200 && a.fault == "believes pages":
		return body, nil
	}
	return nil, fmt.Errorf("acme: status %d: %w", resp.StatusCode, kind)
}

func (a *acme) sign(body []byte) string {
	h := hmac.New(sha256.New, []byte(a.env.Settings["key"]))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

func (a *acme) Verify(d carriers.Delivery) (string, error) {
	if a.fault != "trusts" && !hmac.Equal([]byte(d.Header.Get("X-Sign")), []byte(a.sign(d.Body))) {
		return "", fmt.Errorf("acme: signature: %w", parcel.ErrDenied)
	}
	return "push", nil
}

func (a *acme) Reply(err error) carriers.Reply {
	if err != nil {
		return carriers.Reply{Status: http.StatusServiceUnavailable}
	}
	return carriers.Reply{Status: http.StatusNoContent}
}

func (a *acme) Split(r io.Reader, name string) iter.Seq2[parcel.Payload, error] {
	return func(yield func(parcel.Payload, error) bool) {
		lines := bufio.NewScanner(r)
		for n := 1; lines.Scan(); n++ {
			line := lines.Text()
			if n == 1 {
				continue
			}
			var err error
			if strings.Count(line, ";") != 2 {
				err = fmt.Errorf("acme: %s: line %d: %w", name, n, parcel.ErrMalformed)
				if a.fault == "nameless lines" {
					err = fmt.Errorf("acme: %s: bad line: %w", name, parcel.ErrMalformed)
				}
			}
			if !yield(parcel.Payload{Carrier: "acme", Account: a.env.Account, Kind: "file", Source: parcel.SourceFile, Body: []byte(line)}, err) {
				return
			}
			if err != nil && a.fault == "stops at bad lines" {
				return
			}
		}
		if err := lines.Err(); err != nil && a.fault != "swallows" {
			yield(parcel.Payload{}, fmt.Errorf("acme: %s: %w: %w", name, parcel.ErrUnavailable, err))
		}
	}
}

type acmeFake struct{ env carriers.FakeEnv }

func (f acmeFake) Speaks() []parcel.Code {
	var out []parcel.Code
	for _, r := range (acmeTable{}).Rows() {
		out = append(out, r.Code)
	}
	return out
}

func (f acmeFake) item(number string, h carriers.FakeHistory, known bool) json.RawMessage {
	item := acmeItem{Number: number, Unknown: !known}
	for _, s := range h.Scans {
		for _, r := range (acmeTable{}).Rows() {
			if r.Code == s.Code {
				raw, _ := json.Marshal(acmeEvent{Code: r.Rule, Time: s.At.Format(time.RFC3339), Text: "scan"})
				item.Events = append(item.Events, raw)
			}
		}
	}
	raw, _ := json.Marshal(item)
	return raw
}

func (f acmeFake) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		numbers := strings.Split(r.URL.Query().Get("n"), ",")
		if r.Header.Get("X-Key") != f.env.Settings["key"] {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if len(numbers) > 3 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var doc acmeDoc
		for _, n := range numbers {
			h, ok := f.env.Journeys(n)
			doc.Items = append(doc.Items, f.item(n, h, ok))
		}
		_ = json.NewEncoder(w).Encode(doc)
	})
}

func (f acmeFake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	h.Scans = h.Scans[len(h.Scans)-1:]
	body, _ := json.Marshal(acmeDoc{Push: f.item(number, h, true)})
	signer := acme{env: carriers.Env{Settings: f.env.Settings}}
	return carriers.Delivery{Header: http.Header{"X-Sign": {signer.sign(body)}}, Body: body}, true
}
