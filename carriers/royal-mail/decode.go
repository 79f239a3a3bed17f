package royalmail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

type text = carrierkit.Text

// answer is what both operations say: one item as an object, or several, or a
// refusal of the whole call.
type answer struct {
	Pieces carrierkit.List[piece] `json:"mailPieces"`

	HTTPCode    text                    `json:"httpCode"`
	HTTPMessage text                    `json:"httpMessage"`
	More        text                    `json:"moreInformation"`
	Errors      carrierkit.List[mishap] `json:"errors"`
}

// mishap is an error of a call, or of one item of a summary.
type mishap struct {
	Code        text `json:"errorCode"`
	Description text `json:"errorDescription"`
}

type piece struct {
	Number   text                     `json:"mailPieceId"`
	Summary  carrierkit.List[summary] `json:"summary"`
	Estimate carrierkit.List[window]  `json:"estimatedDelivery"`
	Events   carrierkit.List[event]   `json:"events"`
	Error    carrierkit.List[mishap]  `json:"error"`
}

type summary struct {
	Unique      text `json:"uniqueItemId"`
	Barcode     text `json:"oneDBarcode"`
	Origin      text `json:"originCountryCode"`
	Destination text `json:"destinationCountryCode"`
	Code        text `json:"lastEventCode"`
	Name        text `json:"lastEventName"`
	Time        text `json:"lastEventDateTime"`
	Location    text `json:"lastEventLocationName"`
}

type window struct {
	Date text `json:"date"`
}

type event struct {
	Code     text `json:"eventCode"`
	Name     text `json:"eventName"`
	Time     text `json:"eventDateTime"`
	Location text `json:"locationName"`
}

func readAnswer(body []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(carrierkit.TrimMark(body), &a); err != nil {
		return a, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	return a, nil
}

// severalPieces tells the answer of a summary, whose items are an array.
func severalPieces(body []byte) bool {
	var a struct {
		Pieces json.RawMessage `json:"mailPieces"`
	}
	return json.Unmarshal(carrierkit.TrimMark(body), &a) == nil && bytes.HasPrefix(bytes.TrimSpace(a.Pieces), []byte("["))
}

// aboutNumber tells the errors that say something of the number alone: not
// recognised, not tracked, or nothing to tell yet.
func (m *mishap) aboutNumber() bool {
	switch strings.ToUpper(m.Code.String()) {
	case "E1142", "E1283", "E1284", "E1307", "E1308":
		return true
	}
	return false
}

// aboutNumber tells whether a refusal only says that a number is not known:
// an answer, not a failure.
func (a *answer) aboutNumber() bool {
	return len(a.Errors.Items) > 0 && !slices.ContainsFunc(a.Errors.Items, func(m mishap) bool { return !m.aboutNumber() })
}

// refusal is an answer without items as an error of its kind. Descriptions may
// hold what was asked: the codes alone are repeated.
func (a *answer) refusal() error {
	status, _ := a.HTTPCode.Int()
	said := a.HTTPCode.String()
	for _, m := range a.Errors.Items {
		said = strings.TrimSpace(said + " " + m.Code.String())
		switch strings.ToUpper(m.Code.String()) {
		case "E0010":
			status = http.StatusTooManyRequests
		case "E0001", "E0009":
			status = http.StatusServiceUnavailable
		}
	}
	said = strings.ToValidUTF8(said[:min(len(said), 100)], "")
	switch {
	case said == "":
		return fmt.Errorf("neither items nor a refusal: %w", parcel.ErrMalformed)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("%q: %w", said, parcel.ErrDenied)
	case status == http.StatusTooManyRequests:
		return fmt.Errorf("%q: %w", said, &parcel.Throttled{})
	case status == http.StatusBadRequest:
		return fmt.Errorf("%q: %w", said, parcel.ErrMalformed)
	}
	return fmt.Errorf("%q: %w", said, parcel.ErrUnavailable)
}

// Decode reads an answer for one item or for several.
func (r *royalMail) Decode(p parcel.Payload) (parcel.Reading, error) {
	if p.Kind != kindEvents && p.Kind != kindSummary {
		return parcel.Reading{}, fmt.Errorf("%s: payload kind %q is none: %w", name, p.Kind, parcel.ErrMalformed)
	}
	d := decoder{royalMail: r, answered: map[string]bool{}}
	for _, n := range p.Numbers {
		d.asked = append(d.asked, parcel.NormalizeNumber(n))
	}
	if err := d.read(p.Body); err != nil {
		return carrierkit.Happened(d.reading, p), fmt.Errorf("%s: %w", name, err)
	}
	return carrierkit.Happened(d.reading, p), nil
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*royalMail
	asked    []string
	reading  parcel.Reading
	answered map[string]bool
	errs     []error
}

func (d *decoder) fault(what string, err error) {
	d.errs = append(d.errs, fmt.Errorf("%s: %w", what, err))
}

func (d *decoder) read(body []byte) error {
	a, err := readAnswer(body)
	if err != nil {
		return err
	}
	switch {
	case len(a.Pieces.Items) == 0 && len(a.Pieces.Faults) == 0 && a.aboutNumber():
		for _, n := range d.asked {
			d.unknown(n, a.Errors.First())
		}
		return nil
	case len(a.Pieces.Items) == 0 && len(a.Pieces.Faults) == 0:
		return a.refusal()
	}
	d.errs = a.Pieces.Faults
	for i := range a.Pieces.Items {
		d.piece(i, &a.Pieces.Items[i], len(a.Pieces.Items) == 1)
	}
	// An answer that could not be read may be the one that seems missing.
	if len(d.errs) == 0 {
		for _, n := range d.asked {
			if !d.answered[n] {
				d.result(n, parcel.FindingUnknown, "not in the answer")
			}
		}
	}
	return errors.Join(d.errs...)
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	if !d.answered[number] {
		d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
	}
	d.answered[number] = true
}

func (d *decoder) unknown(number string, m mishap) {
	d.result(number, parcel.FindingUnknown, strings.TrimSpace(m.Code.String()+" "+carrierkit.CleanWords(m.Description.String())))
}

// called finds under which name an item was asked for: items have a barcode and
// an identifier of their own, and are answered by either.
func (d *decoder) called(p *piece, s *summary, alone bool) string {
	names := []string{parcel.NormalizeNumber(p.Number.String()), parcel.NormalizeNumber(s.Barcode.String()), parcel.NormalizeNumber(s.Unique.String())}
	for _, n := range names {
		if n != "" && slices.Contains(d.asked, n) {
			return n
		}
	}
	if alone && len(d.asked) == 1 {
		return d.asked[0]
	}
	return names[0]
}

func (d *decoder) piece(i int, p *piece, alone bool) {
	s := p.Summary.First()
	number := d.called(p, &s, alone)
	if number == "" {
		d.fault(fmt.Sprintf("item %d", i), fmt.Errorf("no mailPieceId: %w", parcel.ErrMalformed))
		return
	}
	fault := func(what string, err error) { d.fault(number+", "+what, err) }
	for _, err := range slices.Concat(p.Events.Faults, p.Error.Faults) {
		fault("events", err)
	}
	events := p.Events.Items
	if last := (event{s.Code, s.Name, s.Time, s.Location}); len(events) == 0 && len(p.Events.Faults) == 0 && last != (event{Location: s.Location}) {
		events = []event{last}
	}
	if m := p.Error.First(); len(events) == 0 && len(p.Error.Items) > 0 {
		if m.aboutNumber() {
			d.unknown(number, m)
		} else {
			refused := answer{Errors: p.Error}
			d.fault(number, refused.refusal())
		}
		return
	}
	if len(events) == 0 && len(p.Events.Faults) == 0 && len(p.Summary.Items) == 0 {
		d.result(number, parcel.FindingUnknown, "neither summary nor events")
		return
	}
	d.result(number, parcel.FindingFound, "")
	if other := parcel.NormalizeNumber(s.Barcode.String()); other != "" && other != number {
		d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: number, Other: other})
	}
	to := country(s.Destination)
	for k, e := range events {
		o, err := d.observation(number, e, to)
		if err != nil {
			fault(fmt.Sprintf("event %d", k+1), err)
			continue
		}
		d.reading.Observations = append(d.reading.Observations, o)
	}
	if written := p.Estimate.First().Date.String(); written != "" {
		day, err := time.Parse(parcel.DayLayout, written[:min(len(written), len(parcel.DayLayout))])
		if err != nil {
			fault("estimatedDelivery", fmt.Errorf("%.40q is no day: %w", written, parcel.ErrMalformed))
			return
		}
		at := day.Format(parcel.DayLayout)
		d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: at, Last: at})
	}
}

func (d *decoder) observation(number string, e event, to parcel.Country) (parcel.Observation, error) {
	code, words := strings.ToUpper(e.Code.String()), carrierkit.CleanWords(e.Name.String())
	if code == "" && words == "" {
		return parcel.Observation{}, fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	at := parcel.Place{Country: home, Facility: e.Location.String()}
	if strings.HasPrefix(code, "EVJ") {
		// Told by the office of exchange of the destination, wherever that is.
		at.Country = to
	}
	occurred, err := d.moment(e.Time.String(), at.Country != home)
	if err != nil {
		return parcel.Observation{}, err
	}
	row, _ := d.codes.Lookup(code)
	o := parcel.Observation{
		Carrier: name, Number: number, OwnCode: code,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: occurred, Place: at,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if words != "" {
		o.Language = "en-GB"
	}
	return o, nil
}

// moment reads a time. Of a scan abroad it is not known whose offset it is.
func (d *decoder) moment(written string, abroad bool) (parcel.Moment, error) {
	if written == "" {
		return parcel.Moment{}, fmt.Errorf("no time: %w", parcel.ErrMalformed)
	}
	if t, err := time.Parse(time.RFC3339, written); err == nil {
		if abroad {
			_, offset := t.Zone()
			return parcel.LocalMoment(written, t, time.FixedZone("", offset), parcel.CertaintyAssumed), nil
		}
		return parcel.ReportedMoment(written, t), nil
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", parcel.DayLayout} {
		if m, err := d.zones.Local(written, layout, parcel.Place{}, "Europe/London", parcel.CertaintyAssumed); err == nil {
			return m, nil
		}
	}
	return parcel.Moment{}, fmt.Errorf("time %.40q: %w", written, parcel.ErrMalformed)
}

func country(t text) parcel.Country {
	c, err := parcel.ParseCountry(t.String())
	if err != nil {
		return ""
	}
	return c
}
