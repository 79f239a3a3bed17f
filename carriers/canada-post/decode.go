package canadapost

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const clockLayout = parcel.DayLayout + " 15:04:05"

type detail struct {
	Pin      string       `xml:"pin"`
	Expected string       `xml:"expected-delivery-date"`
	Changed  string       `xml:"changed-expected-date"`
	Events   []occurrence `xml:"significant-events>occurrence"`
}

type occurrence struct {
	Code     string `xml:"event-identifier"`
	Date     string `xml:"event-date"`
	Time     string `xml:"event-time"`
	Zone     string `xml:"event-time-zone"`
	Words    string `xml:"event-description"`
	Site     string `xml:"event-site"`
	Province string `xml:"event-province"`
	Office   string `xml:"event-retail-name"`
}

type pinSummary struct {
	Pin      string `xml:"pin"`
	Expected string `xml:"expected-delivery-date"`
}

type message struct {
	Code        string `xml:"code"`
	Description string `xml:"description"`
}

// newXML reads leniently: an ampersand in the name of a town must not cost the
// whole history.
func newXML(body []byte) *xml.Decoder {
	dec := xml.NewDecoder(bytes.NewReader(carrierkit.TrimMark(body)))
	dec.Strict = false
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return dec
}

// root is the first element of a document.
func root(dec *xml.Decoder) (xml.StartElement, error) {
	for {
		token, err := dec.Token()
		if err != nil {
			return xml.StartElement{}, fmt.Errorf("no XML: %w: %w", parcel.ErrMalformed, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			return start, nil
		}
	}
}

// readMessages reads what is said in place of an answer; nothing for any other
// document.
func readMessages(body []byte) []message {
	dec := newXML(body)
	start, err := root(dec)
	if err != nil || start.Name.Local != "messages" {
		return nil
	}
	var said struct {
		Messages []message `xml:"message"`
	}
	_ = dec.DecodeElement(&said, &start) // what could be read of it counts
	return said.Messages
}

// aboutNumber tells whether all that is said is that the number has no history.
func aboutNumber(said []message) bool {
	return len(said) > 0 && !slices.ContainsFunc(said, func(m message) bool {
		code := strings.TrimSpace(m.Code)
		return code != "004" && code != "016"
	})
}

// refused is a refusal as an error of its kind, by its codes alone:
// descriptions may repeat what was asked.
func refused(said []message) error {
	kind := parcel.ErrUnavailable
	codes := make([]string, len(said))
	for i, m := range said {
		codes[i] = fmt.Sprintf("%.20s", strings.TrimSpace(m.Code))
		switch code := strings.ToUpper(codes[i]); {
		case code == "SERVER" || strings.Contains(m.Description, "SLM Monitor"):
			kind = &parcel.Throttled{RetryAfter: throttled}
		case code == "E002", strings.HasPrefix(code, "AA0"):
			kind = parcel.ErrDenied
		}
	}
	return fmt.Errorf("%q: %w", strings.Join(codes, ", "), kind)
}

// Decode reads the detail of one number, or a summary.
func (c *canadaPost) Decode(p parcel.Payload) (parcel.Reading, error) {
	if p.Kind != kindDetail && p.Kind != kindSummary {
		return parcel.Reading{}, fmt.Errorf("%s: payload kind %q is none: %w", name, p.Kind, parcel.ErrMalformed)
	}
	d := decoder{canadaPost: c}
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
	*canadaPost
	asked   []string
	reading parcel.Reading
	errs    []error
}

func (d *decoder) fault(what string, err error) {
	d.errs = append(d.errs, fmt.Errorf("%s: %w", what, err))
}

func (d *decoder) read(body []byte) error {
	if said := readMessages(body); aboutNumber(said) {
		for _, n := range d.asked {
			d.result(n, parcel.FindingUnknown, strings.TrimSpace(said[0].Code+" "+carrierkit.CleanWords(said[0].Description)))
		}
		return nil
	} else if len(said) > 0 {
		return refused(said)
	}
	dec := newXML(body)
	start, err := root(dec)
	if err != nil {
		return err
	}
	switch start.Name.Local {
	case "tracking-detail":
		var x detail
		// What was read before the document breaks off still counts.
		if err := dec.DecodeElement(&x, &start); err != nil {
			d.fault("answer", fmt.Errorf("%w: %w", parcel.ErrMalformed, err))
		}
		d.detail(&x)
	case "tracking-summary":
		var x struct {
			Pins []pinSummary `xml:"pin-summary"`
		}
		if err := dec.DecodeElement(&x, &start); err != nil {
			d.fault("answer", fmt.Errorf("%w: %w", parcel.ErrMalformed, err))
		}
		for _, s := range x.Pins {
			if number := d.number(s.Pin); number != "" {
				d.result(number, parcel.FindingFound, "")
				d.estimate(number, s.Expected)
			}
		}
	default:
		return fmt.Errorf("element %.40q, want tracking-detail: %w", start.Name.Local, parcel.ErrMalformed)
	}
	return errors.Join(d.errs...)
}

func (d *decoder) result(number string, f parcel.Finding, what string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: what})
}

// number is the one that was asked for: who asks for one is answered about it,
// whatever it is called.
func (d *decoder) number(pin string) string {
	number := parcel.NormalizeNumber(pin)
	if len(d.asked) == 1 {
		if number != "" && number != d.asked[0] {
			d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: d.asked[0], Other: number})
		}
		return d.asked[0]
	}
	if number == "" {
		d.fault("answer", fmt.Errorf("no pin: %w", parcel.ErrMalformed))
	}
	return number
}

func (d *decoder) detail(x *detail) {
	// A document that broke off before it named anything says nothing of the
	// number.
	if len(d.errs) > 0 && len(x.Events) == 0 {
		return
	}
	number := d.number(x.Pin)
	if number == "" {
		return
	}
	d.result(number, parcel.FindingFound, "")
	for i, e := range x.Events {
		o, err := d.observation(number, &e)
		if err != nil {
			d.fault(fmt.Sprintf("%s, event %d", number, i+1), err)
			continue
		}
		d.reading.Observations = append(d.reading.Observations, o)
	}
	d.estimate(number, cmp.Or(strings.TrimSpace(x.Changed), x.Expected))
}

func (d *decoder) estimate(number, written string) {
	written = strings.TrimSpace(written)
	if written == "" {
		return
	}
	day, err := time.Parse(parcel.DayLayout, written)
	if err != nil {
		d.fault(number+", expected day", fmt.Errorf("%.40q is no day: %w", written, parcel.ErrMalformed))
		return
	}
	at := day.Format(parcel.DayLayout)
	d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: at, Last: at})
}

func (d *decoder) observation(number string, e *occurrence) (parcel.Observation, error) {
	code := strings.TrimSpace(e.Code)
	if bare := strings.TrimLeft(code, "0"); bare != "" {
		code = bare
	}
	words := carrierkit.CleanWords(e.Words)
	if code == "" && words == "" {
		return parcel.Observation{}, fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	at := placeOf(e, code)
	occurred, err := d.moment(e, at)
	if err != nil {
		return parcel.Observation{}, err
	}
	row, ok := d.phrases.Lookup(code, words)
	if !ok {
		row, _ = d.codes.Lookup(code)
	}
	o := parcel.Observation{
		Carrier: name, Number: number, OwnCode: code,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: occurred, Place: at,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if words != "" {
		o.Language = d.language + "-CA"
	}
	return o, nil
}

// placeOf reads where an event happened. Scans in Canada name town and
// province; scans abroad an office of exchange, or an office and its country.
func placeOf(e *occurrence, code string) parcel.Place {
	site, province := strings.TrimSpace(e.Site), strings.TrimSpace(e.Province)
	if province != "" {
		return parcel.Place{Country: home, Region: province, City: site, Facility: strings.TrimSpace(e.Office)}
	}
	office, land, two := strings.Cut(site, ",")
	if p, ok := parcel.ParseImpc(office); ok {
		return p
	}
	if two {
		if c, err := parcel.ParseCountry(land); err == nil {
			if office = strings.TrimSpace(office); strings.ContainsAny(office, "0123456789") {
				return parcel.Place{Country: c, Facility: office}
			}
			return parcel.Place{Country: c, City: office}
		}
	}
	p := parcel.Place{City: site, Facility: strings.TrimSpace(e.Office)}
	// Identifiers of four thousand and more are told by posts abroad.
	if site != "" && (len(code) != 4 || code[0] != '4') {
		p.Country = home
	}
	return p
}

// zoneOf is the zone that an abbreviation belongs to, and its offset in hours,
// in minutes where it is not whole.
func zoneOf(abbreviation string) (zone string, offset time.Duration) {
	switch strings.ToUpper(strings.TrimSpace(abbreviation)) {
	case "NST":
		return "America/St_Johns", -210 * time.Minute
	case "NDT":
		return "America/St_Johns", -150 * time.Minute
	case "AST":
		return "America/Halifax", -4 * time.Hour
	case "ADT":
		return "America/Halifax", -3 * time.Hour
	case "EST":
		return "America/Toronto", -5 * time.Hour
	case "EDT":
		return "America/Toronto", -4 * time.Hour
	case "CST":
		return "America/Winnipeg", -6 * time.Hour
	case "CDT":
		return "America/Winnipeg", -5 * time.Hour
	case "MST":
		return "America/Edmonton", -7 * time.Hour
	case "MDT":
		return "America/Edmonton", -6 * time.Hour
	case "PST":
		return "America/Vancouver", -8 * time.Hour
	case "PDT":
		return "America/Vancouver", -7 * time.Hour
	}
	return "", 0
}

// moment reads a clock with the abbreviation of its zone. An abbreviation is
// believed where that zone, or the zone of the place, then keeps its offset;
// one of the other season only names the zone.
func (d *decoder) moment(e *occurrence, at parcel.Place) (parcel.Moment, error) {
	date, clock, zone := strings.TrimSpace(e.Date), strings.TrimSpace(e.Time), strings.TrimSpace(e.Zone)
	if clock == "" {
		m, err := d.zones.Local(date, parcel.DayLayout, at, "", parcel.CertaintyUnknown)
		if err != nil || m.IsZero() {
			return m, fmt.Errorf("event-date %.40q: %w", date, parcel.ErrMalformed)
		}
		return m, nil
	}
	wall, err := time.Parse(clockLayout, date+" "+clock)
	if err != nil {
		return parcel.Moment{}, fmt.Errorf("event-date %.40q, event-time %.40q: %w", date, clock, parcel.ErrMalformed)
	}
	written := strings.TrimSpace(date + " " + clock + " " + zone)
	named, offset := zoneOf(zone)
	if named == "" {
		// A scan abroad, or an abbreviation that means several things.
		where, certainty := parcel.ZoneFor(at)
		return parcel.LocalMoment(written, wall, d.zones.Location(where), certainty), nil
	}
	local, certainty := parcel.ZoneFor(at)
	if certainty != parcel.CertaintyPlace {
		local = ""
	}
	for _, candidate := range []string{named, local} {
		if loc := d.zones.Location(candidate); loc != nil {
			fixed := time.FixedZone(zone, int(offset/time.Second))
			t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, fixed)
			if _, kept := t.In(loc).Zone(); kept == int(offset/time.Second) {
				return parcel.ReportedMoment(written, t), nil
			}
		}
	}
	return parcel.LocalMoment(written, wall, d.zones.Location(named), parcel.CertaintyAssumed), nil
}
