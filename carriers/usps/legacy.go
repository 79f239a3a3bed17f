package usps

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

// legacyUnknown is the error number of items that USPS does not know, or not
// yet.
const legacyUnknown = "-2147219283"

// How the older dialect writes times.
const (
	legacyDay   = "January 2, 2006"
	legacyClock = legacyDay + " 3:04 pm"
)

// legacyInfo is what the older dialect says of one number: the newest event in
// the summary, the others as details.
type legacyInfo struct {
	ID            string        `xml:"ID,attr"`
	OriginCountry string        `xml:"OriginCountryCode"`
	Intake        string        `xml:"MPDATE"`
	Status        string        `xml:"Status"`
	Expected      string        `xml:"ExpectedDeliveryDate"`
	Predicted     string        `xml:"PredictedDeliveryDate"`
	Guaranteed    string        `xml:"GuaranteedDeliveryDate"`
	Summary       []legacyEvent `xml:"TrackSummary"`
	Details       []legacyEvent `xml:"TrackDetail"`
	Error         *legacyError  `xml:"Error"`
}

type legacyEvent struct {
	Time    string `xml:"EventTime"`
	Date    string `xml:"EventDate"`
	Event   string `xml:"Event"`
	City    string `xml:"EventCity"`
	State   string `xml:"EventState"`
	ZIP     string `xml:"EventZIPCode"`
	Country string `xml:"EventCountry"`
	Code    string `xml:"EventCode"`
}

// legacyError is the error of one number, or of a whole call.
type legacyError struct {
	Number      string `xml:"Number"`
	Description string `xml:"Description"`
}

// newXML reads leniently: an ampersand in the name of a firm must not cost the
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

// legacyRefusal reads the refusal of a whole call; nil for any other body.
func (u *usps) legacyRefusal(body []byte) error {
	dec := newXML(body)
	start, err := root(dec)
	if err != nil || start.Name.Local != "Error" {
		return nil
	}
	var e legacyError
	_ = dec.DecodeElement(&e, &start) // what could be read of it counts
	return u.legacyErr(e)
}

// legacyErr words an error by its number alone: descriptions repeat user ids
// and numbers.
func (u *usps) legacyErr(e legacyError) error {
	kind := parcel.ErrUnavailable
	if slices.ContainsFunc(u.legacy.denied, func(code string) bool { return strings.EqualFold(code, strings.TrimSpace(e.Number)) }) {
		kind = parcel.ErrDenied
	}
	return fmt.Errorf("%.40q: %w", strings.TrimSpace(e.Number), kind)
}

// xml reads an answer of the older dialect. What was read before the document
// breaks off still counts.
func (d *decoder) xml(body []byte) error {
	if err := d.legacyRefusal(body); err != nil {
		return err
	}
	dec := newXML(body)
	start, err := root(dec)
	if err != nil {
		return err
	}
	if start.Name.Local != "TrackResponse" {
		return fmt.Errorf("element %.40q, want TrackResponse: %w", start.Name.Local, parcel.ErrMalformed)
	}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d.settle()
		}
		if err != nil {
			d.fault("answer", fmt.Errorf("%w: %w", parcel.ErrMalformed, err))
			return d.settle()
		}
		info, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if info.Name.Local != "TrackInfo" {
			err = dec.Skip()
		} else {
			var i legacyInfo
			err = dec.DecodeElement(&i, &info)
			d.info(&i)
		}
		if err != nil {
			d.fault("answer", fmt.Errorf("%w: %w", parcel.ErrMalformed, err))
			return d.settle()
		}
	}
}

func (d *decoder) info(i *legacyInfo) {
	number := parcel.NormalizeNumber(i.ID)
	if number == "" && len(d.asked) == 1 {
		number = d.asked[0]
	}
	if number == "" {
		d.fault("TrackInfo", fmt.Errorf("no ID: %w", parcel.ErrMalformed))
		return
	}
	events := slices.Concat(i.Summary, i.Details)
	if i.Error != nil && len(events) == 0 {
		if strings.TrimSpace(i.Error.Number) == legacyUnknown {
			d.result(number, parcel.FindingUnknown, strings.TrimSpace(i.Error.Description))
		} else {
			d.fault(number, d.legacyErr(*i.Error))
		}
		return
	}
	if len(events) == 0 {
		d.result(number, parcel.FindingUnknown, strings.TrimSpace(i.Status))
		return
	}
	d.result(number, parcel.FindingFound, strings.TrimSpace(i.Status))
	l := life{number: number, intake: strings.TrimSpace(i.Intake), origin: originOf(number, i.OriginCountry)}
	first := len(d.reading.Observations)
	for k, e := range events {
		place := placeOf(text(e.City), text(e.State), text(e.ZIP), text(e.Country))
		occurred, err := d.legacyMoment(e, place)
		d.observe(l, fmt.Sprintf("event %d", k+1), text(e.Code), text(e.Event), place, occurred, err)
	}
	d.estimate(l, d.reading.Observations[first:], legacyDay, text(i.Expected), text(i.Predicted), text(i.Guaranteed))
}

// legacyMoment reads a local clock without a zone: the instant is the best that
// the place gives, and remains uncertain.
func (d *decoder) legacyMoment(e legacyEvent, place parcel.Place) (parcel.Moment, error) {
	day, clock := strings.TrimSpace(e.Date), strings.ToLower(strings.TrimSpace(e.Time))
	written := strings.TrimSpace(day + " " + strings.TrimSpace(e.Time))
	if clock == "" {
		t, err := time.Parse(legacyDay, day)
		if err != nil {
			return parcel.Moment{}, fmt.Errorf("EventDate %.40q: %w", day, parcel.ErrMalformed)
		}
		zone, _ := parcel.ZoneFor(place)
		return parcel.DayMoment(written, t, d.zones.Location(zone), parcel.CertaintyUnknown), nil
	}
	t, err := time.Parse(legacyClock, day+" "+clock)
	if err != nil {
		return parcel.Moment{}, fmt.Errorf("EventDate %.40q, EventTime %.20q: %w", day, clock, parcel.ErrMalformed)
	}
	return d.zones.GuessAt(cmp.Or(written, day), t, place, ""), nil
}
