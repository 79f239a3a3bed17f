// Package dpdsftp tracks parcels of DPD by the scan files that its business
// units leave on a server every quarter or half of an hour. DPD is never asked:
// a drop (see ingest/drops) fetches the files.
//
// API: SCANINFO files (and STATUSDATA, which has the same columns where it has
// them): one line for a scan, UTF-8 or, in old ones, ISO-8859-1. Times are the
// clock of the depot without a zone. The depot's country is known only as far
// as the account says; else the certainty of a time is UNKNOWN.
package dpdsftp

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	name     = "dpd-sftp"
	kindScan = "scaninfo"

	// ofConsignee is the value of the setting country that stands for the
	// country of the consignee.
	ofConsignee = "consignee"

	// aheadOfDepot is how far a depot's clock may be ahead of the one by which
	// it is read, where the account's settings only come near it.
	aheadOfDepot = 6 * time.Hour
)

//go:embed codes.csv
var codesCSV string

//go:embed countries.csv
var countriesCSV string

func init() { carriers.Register(spec()) }

func spec() carriers.Spec {
	codes := carrierkit.MustTable(codesCSV)
	s := carriers.Spec{
		Name:         name,
		Title:        "DPD",
		Stages:       []parcel.Stage{parcel.StageFirstMile, parcel.StageLinehaul, parcel.StageLastMile},
		API:          "SCANINFO files by SFTP",
		TrackingPage: "https://tracking.dpd.de/status/en_US/parcel/{number}",
		Settings: []carriers.Setting{
			{Name: "depots", Doc: "countries of depots by the first digits of their codes, as 052=NL,053=BE; the longest fits best"},
			{Name: "country", Doc: "country whose clock the other depots keep, or consignee for that of the consignee; empty if it is not known"},
			{Name: "reasons", Doc: "what codes of ADD_SERVICE_1 mean, as 011=RECIPIENT_ABSENT,012=ADDRESS_INCORRECT; else the words of the scan tell"},
		},
		Kinds: []carriers.PayloadKind{
			{Name: kindScan, Source: parcel.SourceFile, Doc: "scan file, or the part of one about one parcel", Sniff: func(b []byte) bool {
				first, _, _ := strings.Cut(string(b[:min(len(b), maxLine)]), "\n")
				_, err := readHeader(first)
				return err == nil
			}},
		},
		Codes: codes,
		Fake:  func(carriers.FakeEnv) carriers.Fake { return fake{codes} },
	}
	s.New = func(env carriers.Env) (carriers.Carrier, error) { return bind(&s, env) }
	return s
}

// dpd is the adapter of one account.
type dpd struct {
	account   string
	codes     carriers.Table
	zones     carrierkit.Zones
	depots    map[string]parcel.Country // by first digits
	country   parcel.Country
	consignee bool
	reasons   map[string]parcel.Reason
	numeric   map[string]parcel.Country
}

var _ carriers.Splitter = (*dpd)(nil)

func bind(s *carriers.Spec, env carriers.Env) (carriers.Carrier, error) {
	d := &dpd{account: env.Account, codes: s.Codes, depots: map[string]parcel.Country{}, reasons: map[string]parcel.Reason{}, numeric: numericCountries()}
	var faults []error
	fault := func(setting, want string) {
		faults = append(faults, fmt.Errorf("setting %s: want %s: %w", setting, want, parcel.ErrInvalid))
	}
	for prefix, value := range pairs(env.Settings["depots"]) {
		country := parcel.Country(strings.ToUpper(value))
		if !digits(prefix) || len(prefix) > depotDigits || !country.Valid() {
			fault("depots", "digits and a country each, as 052=NL,053=BE")
			break
		}
		d.depots[prefix] = country
	}
	switch v := strings.TrimSpace(env.Settings["country"]); {
	case strings.EqualFold(v, ofConsignee):
		d.consignee = true
	case v != "":
		if d.country = parcel.Country(strings.ToUpper(v)); !d.country.Valid() {
			fault("country", "a country code as NL, or "+ofConsignee)
		}
	}
	for code, value := range pairs(env.Settings["reasons"]) {
		reason := parcel.Reason(strings.ToUpper(value))
		if code == "" || !reason.Valid() {
			fault("reasons", "codes and reasons, as 011=RECIPIENT_ABSENT")
			break
		}
		d.reasons[code] = reason
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(faults...))
	}
	return d, nil
}

// pairs reads "a=b,c=d".
func pairs(text string) map[string]string {
	out := map[string]string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			key, value, _ := strings.Cut(item, "=")
			out[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func numericCountries() map[string]parcel.Country {
	out := map[string]parcel.Country{}
	for line := range strings.Lines(countriesCSV) {
		number, code, ok := strings.Cut(strings.TrimSpace(line), ",")
		if ok && digits(number) {
			out[number] = parcel.Country(code)
		}
	}
	return out
}

// Decode reads a scan file, or the part of one that Split made.
func (d *dpd) Decode(p parcel.Payload) (parcel.Reading, error) {
	var reading parcel.Reading
	if p.Kind != kindScan {
		return reading, fmt.Errorf("%s: payload kind %q is none: %w", name, p.Kind, parcel.ErrMalformed)
	}
	var faults []error
	for line, err := range d.lines(strings.NewReader(string(p.Body))) {
		if err != nil {
			faults = append(faults, err)
			continue
		}
		o := d.observe(line)
		if carrierkit.Planned(o.Occurred, p.ReceivedAt, aheadOfDepot) {
			faults = append(faults, fmt.Errorf("parcel %s: %s %s lies in the future: %w", o.Number, colTime, line.time, parcel.ErrMalformed))
			continue
		}
		reading.Observations = append(reading.Observations, o)
	}
	if err := errors.Join(faults...); err != nil {
		return reading, fmt.Errorf("%s: %w", name, err)
	}
	return reading, nil
}

func (d *dpd) observe(s scan) parcel.Observation {
	said := s.words()
	reason := d.reasons[s.service]
	if reason == "" && s.code == "14" {
		reason = reasonIn(said)
	}
	rule := s.code
	if s.code == "14" && reason == parcel.ReasonAddressIncorrect {
		rule = "14/address"
	}
	row, _ := d.codes.Lookup(rule)
	if len(row.Code.Info().Opens) == 0 {
		reason = "" // a service that was booked is no reason
	}
	at := parcel.Place{Country: d.depotCountry(s.depot), Facility: s.depot, City: s.location}
	fallback := d.country
	if d.consignee {
		fallback = s.country(d.numeric)
	}
	// The time was read when the line was; only the zone is found here.
	occurred, _ := d.zones.Local(s.time, timeLayout, at, fallback.MainZone(), parcel.CertaintyAssumed)
	return parcel.Observation{
		Carrier:     name,
		Number:      s.number,
		OwnCode:     s.code,
		Code:        row.Code,
		Reason:      cmp.Or(reason, row.Reason),
		Words:       said,
		Occurred:    occurred,
		Place:       at,
		DeliveredTo: row.DeliveredTo,
		Rule:        row.Rule,
		RuleVersion: d.codes.Version(),
	}
}

// depotCountry is where a depot stands, by the longest of the account's
// prefixes; empty if none fits.
func (d *dpd) depotCountry(depot string) parcel.Country {
	for n := len(depot); n > 0; n-- {
		if c, ok := d.depots[depot[:n]]; ok {
			return c
		}
	}
	return ""
}

// reasonIn finds in the words of a scan why an attempt failed.
func reasonIn(said string) parcel.Reason {
	said = strings.ToUpper(said)
	for _, sign := range []struct {
		words  string
		reason parcel.Reason
	}{
		{"ADDRESS", parcel.ReasonAddressIncorrect}, {"MOVED", parcel.ReasonRecipientMoved}, {"REFUS", parcel.ReasonRefused},
		{"CLOSED", parcel.ReasonBusinessClosed}, {"NOT IN", parcel.ReasonRecipientAbsent}, {"NOT AT HOME", parcel.ReasonRecipientAbsent},
		{"ABSENT", parcel.ReasonRecipientAbsent}, {"PAYMENT", parcel.ReasonPaymentMissing},
	} {
		if strings.Contains(said, sign.words) {
			return sign.reason
		}
	}
	return ""
}

// fake is DPD's side, which answers nobody: its files come by a drop.
type fake struct{ codes carriers.Table }

// Speaks lists the codes that a scan file can tell.
func (f fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	seen := map[parcel.Code]bool{}
	for _, r := range f.codes.Rows() {
		if !seen[r.Code] {
			seen[r.Code] = true
			codes = append(codes, r.Code)
		}
	}
	return codes
}

// Handler serves nothing.
func (fake) Handler() http.Handler { return http.NotFoundHandler() }

// Push sends nothing.
func (fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}
