// Package upupostal tracks postal items of every designated operator by what
// the posts tell each other: a second opinion beside a post's own interface,
// and the carrier of last resort for S10 numbers.
//
// API: REST of the UPU's Postal Technology Centre (operator service, one
// number a call), and EMSEVT v3 files (UPU standard M40). The codes are sound;
// the segment layout of the files is a reconstruction. Times are wall clocks
// of the reporting office without a zone: the offset that the REST service
// writes is its server's.
package upupostal

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
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
	name    = "upu-postal"
	baseURL = "https://ptt.ptc.post/PTT.API/Service.svc"
)

// The kinds of payload.
const (
	kindREST = "ptt"
	kindFile = "emsevt"
)

// The settings of an account. Code lists and segment qualifiers of EMSEVT are
// not established, so they are an account's to say.
const (
	settingKey            = "access_key"
	settingAddressReasons = "emh_address_reasons"
	settingReturnActions  = "emh_return_actions"
	settingTimeQualifier  = "edi_time_qualifier"
	settingPlaceQualifier = "edi_place_qualifier"
)

//go:embed codes.csv
var codesCSV string

// newTable reads the table anew: a spec and its adapters share no variable.
func newTable() carriers.Table { return carrierkit.MustTable(codesCSV) }

// quota is presumed: the service publishes none.
func quota() carriers.Quota { return carriers.Quota{PerSecond: 5, Burst: 5} }

func init() {
	carriers.Register(carriers.Spec{
		Name:    name,
		Title:   "UPU postal network",
		Stages:  []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageCustoms, parcel.StageLastMile},
		API:     "UPU PTC tracking REST (operator service); EMSEVT v3 files (UPU M40)",
		BaseURL: baseURL,
		Batch:   1,
		Quota:   quota(),
		Settings: []carriers.Setting{
			{Name: settingKey, Doc: "Access key of the operator service; an account that only takes files needs none.", Secret: true},
			{Name: settingAddressReasons, Doc: "Non-delivery reason codes in files that mean a bad address, comma-separated."},
			{Name: settingReturnActions, Doc: "Action codes in files that mean that the item goes back, comma-separated."},
			{Name: settingTimeQualifier, Doc: "Qualifier of the event time (DTM) in files.", Default: "334"},
			{Name: settingPlaceQualifier, Doc: "Qualifier of the event place (LOC) in files.", Default: "14"},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindREST, Source: parcel.SourcePoll, Doc: "answer of the REST service", Sniff: sniffREST},
			{Name: kindFile, Source: parcel.SourceFile, Doc: "EMSEVT interchange, or the part of one about one item", Sniff: sniffFile},
		},
		Codes: newTable(),
		New:   func(env carriers.Env) (carriers.Carrier, error) { return open(env) },
		Fake:  func(f carriers.FakeEnv) carriers.Fake { return newFake(f) },
	})
}

var (
	_ carriers.Fetcher  = (*carrier)(nil)
	_ carriers.Splitter = (*carrier)(nil)
)

type carrier struct {
	account string
	base    *url.URL
	key     string
	client  *carrierkit.Client
	table   carriers.Table
	zones   carrierkit.Zones
	layout  layout
}

func open(env carriers.Env) (*carrier, error) {
	base, err := url.Parse(cmp.Or(env.BaseURL, baseURL))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%s: base URL has no host: %w", name, parcel.ErrInvalid)
	}
	return &carrier{
		account: env.Account,
		base:    base,
		key:     env.Settings[settingKey],
		client:  carrierkit.NewClient(env, carrierkit.Options{Quota: quota()}),
		table:   newTable(),
		layout: layout{
			timeQualifier:  cmp.Or(env.Settings[settingTimeQualifier], "334"),
			placeQualifier: cmp.Or(env.Settings[settingPlaceQualifier], "14"),
			addressReasons: codeSet(env.Settings[settingAddressReasons]),
			returnActions:  codeSet(env.Settings[settingReturnActions]),
		},
	}, nil
}

// Fetch asks for one number a call: the service takes no more.
func (c *carrier) Fetch(ctx context.Context, queries []carriers.Query) ([]parcel.Payload, error) {
	if c.key == "" {
		return nil, fmt.Errorf("%s: %s is not set: %w", name, settingKey, carriers.ErrNoAccount)
	}
	var payloads []parcel.Payload
	for _, q := range queries {
		number := parcel.NormalizeNumber(q.Number)
		resp, err := c.client.Do(ctx, func() (*http.Request, error) { return c.request(number) })
		if err != nil {
			return payloads, fmt.Errorf("%s: fetch %s: %w", name, number, err)
		}
		payloads = append(payloads, parcel.Payload{
			Carrier: name, Account: c.account, Kind: kindREST, Source: parcel.SourcePoll,
			ContentType: resp.ContentType, Body: resp.Body, Numbers: []string{number},
		})
	}
	return payloads, nil
}

// request asks for a number. The key is part of the path, so nothing may log
// or wrap the address.
func (c *carrier) request(number string) (*http.Request, error) {
	u := c.base.JoinPath("rest", "itemTTExt", url.PathEscape(number), url.PathEscape(c.key))
	req, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("address of the service cannot be made") // err would show the key
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// Decode implements carriers.Carrier.
func (c *carrier) Decode(p parcel.Payload) (parcel.Reading, error) {
	var reading parcel.Reading
	var err error
	switch p.Kind {
	case kindREST:
		reading, err = c.decodeREST(p)
	case kindFile:
		reading, err = c.decodeFile(p)
	default:
		err = fmt.Errorf("payload kind %q: %w", p.Kind, parcel.ErrMalformed)
	}
	if err != nil {
		err = fmt.Errorf("%s: decode: %w", name, err)
	}
	return carrierkit.Happened(reading, p), err
}

// Redact drops the signature name that the public form of the answer has, and
// the parties that a file may name.
func (c *carrier) Redact(p parcel.Payload) parcel.Payload {
	switch p.Kind {
	case kindREST:
		p.Body = carrierkit.RedactJSON(p.Body, func(path []string) bool {
			key := strings.ToLower(path[len(path)-1])
			return strings.Contains(key, "signat") || strings.Contains(key, "addressee") || strings.Contains(key, "recipient")
		})
	case kindFile:
		p.Body = redactFile(p.Body)
	}
	return p
}

// event is one scan as either form tells it.
type event struct {
	number, code, rule, words string
	// text is the time as written, wall its clock face.
	text     string
	wall     time.Time
	location string
}

// observe reads an event. The own code is the status alone, without reason and
// action: the REST service has neither, and both forms tell of one scan.
func (c *carrier) observe(e event, way *way) parcel.Observation {
	row, _ := c.table.Lookup(cmp.Or(e.rule, e.code))
	place := way.place(e.code, e.location)
	o := parcel.Observation{
		Carrier:     name,
		Number:      e.number,
		OwnCode:     e.code,
		Code:        row.Code,
		Reason:      row.Reason,
		Words:       carrierkit.StripMarkup(e.words),
		Occurred:    c.zones.GuessAt(e.text, e.wall, place, ""),
		Place:       place,
		DeliveredTo: row.DeliveredTo,
		Retracts:    row.Retracts,
		Rule:        row.Rule,
		RuleVersion: c.table.Version(),
	}
	if o.Words != "" {
		o.Language = "en"
	}
	return o
}

// way follows an item through one payload, so that a place told only by
// postcode or town gets its country. It guesses no more than that: whether the
// item is on its way back is for the fold to say, which sees all payloads.
type way struct {
	origin, destination parcel.Country
	here                parcel.Country
	crossed             bool // a border, since the origin
}

// place reads a location: an IMPC code, a postcode, or the name of a town.
func (w *way) place(code, location string) parcel.Place {
	location = strings.TrimSpace(location)
	p, isOffice := parcel.ParseImpc(location)
	if code == "EMA" {
		// A posting begins a journey: after other events it is that of the next
		// item with this number.
		w.here, w.crossed = "", false
	}
	switch {
	case isOffice:
		w.crossed = w.crossed || w.here != "" && p.Country != w.here
		w.here = p.Country
	case inward(code) && !w.crossed && w.destination != "":
		w.here, w.crossed = w.destination, true
	case w.here == "":
		w.here = w.origin
		if inward(code) {
			w.here = w.destination
		}
	}
	if !isOffice && location != "" {
		p.Country = w.here
		if strings.ContainsAny(location, "0123456789") {
			p.Postcode = location
		} else {
			p.City = location
		}
	}
	if code == "EMC" || code == "EMK" {
		w.here, w.crossed = w.beyond(w.here), true
	}
	return p
}

// beyond is where an item that leaves a country goes.
func (w *way) beyond(from parcel.Country) parcel.Country {
	if from == w.destination {
		return w.origin
	}
	return w.destination
}

// inward tells whether only the post of the country of destination says this.
func inward(code string) bool {
	switch code {
	case "EMA", "EMB", "EMC", "EMJ", "EMK", "EXA", "EXB", "EXC", "EXD", "EXX":
		return false
	}
	return true
}

func codeSet(list string) map[string]bool {
	set := map[string]bool{}
	for code := range strings.SplitSeq(list, ",") {
		if code = strings.TrimSpace(code); code != "" {
			set[code] = true
		}
	}
	return set
}

func trimBOM(b []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
}
