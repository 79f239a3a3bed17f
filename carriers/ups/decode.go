package ups

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// UPS's codes for faults.
const (
	codeUnknownNumber = "TW0001"
	codeBadNumber     = "TV1002"
	// deniedPrefix begins the codes about credentials: 250002, 250003.
	deniedPrefix = "2500"
)

// text is a scalar of any JSON type: UPS writes one field as string, number or
// Boolean by service and year.
type text = carrierkit.Text

// list is an array whose items are read one by one by read.
type list = carrierkit.List[json.RawMessage]

// read decodes an item. A field of another type than expected is left empty,
// and the item is read on; only what is no object at all is malformed.
func read(raw json.RawMessage, into any) error {
	if b := bytes.TrimSpace(raw); len(b) == 0 || b[0] != '{' {
		return fmt.Errorf("no object: %w", parcel.ErrMalformed)
	}
	err := json.Unmarshal(raw, into)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%v: %w", err, parcel.ErrMalformed)
	}
	return nil
}

type envelope struct {
	TrackResponse *struct {
		Shipment list `json:"shipment"`
	} `json:"trackResponse"`
	Response struct {
		Errors list `json:"errors"`
	} `json:"response"`
}

type message struct {
	Code    text `json:"code"`
	Message text `json:"message"`
}

func (m message) String() string {
	return strings.TrimSpace(m.Code.String() + " " + m.Message.String())
}

// aboutNumber tells whether a fault only says that UPS knows no such number, or
// that it cannot be one of UPS's, which comes to the same.
func (m message) aboutNumber() bool {
	return m.Code.String() == codeUnknownNumber || m.Code.String() == codeBadNumber
}

type shipment struct {
	InquiryNumber text `json:"inquiryNumber"`
	Warnings      list `json:"warnings"`
	Package       list `json:"package"`
}

type pack struct {
	TrackingNumber text `json:"trackingNumber"`
	DeliveryDate   list `json:"deliveryDate"`
	Activity       list `json:"activity"`
	Delivery       struct {
		Location text `json:"location"`
	} `json:"deliveryInformation"`
}

type deliveryDate struct {
	Type text `json:"type"`
	Date text `json:"date"`
}

type activity struct {
	Location struct {
		Address address `json:"address"`
		SLIC    text    `json:"slic"`
	} `json:"location"`
	Status    status `json:"status"`
	Date      text   `json:"date"`
	Time      text   `json:"time"`
	GMTDate   text   `json:"gmtDate"`
	GMTTime   text   `json:"gmtTime"`
	GMTOffset text   `json:"gmtOffset"`
}

type address struct {
	City          text `json:"city"`
	StateProvince text `json:"stateProvince"`
	PostalCode    text `json:"postalCode"`
	CountryCode   text `json:"countryCode"`
	Country       text `json:"country"`
}

type status struct {
	Type        text `json:"type"`
	Code        text `json:"code"`
	StatusCode  text `json:"statusCode"`
	Description text `json:"description"`
}

// alert is one pushed event: the same scan under other field names.
type alert struct {
	TrackingNumber text    `json:"trackingNumber"`
	LocalDate      text    `json:"localActivityDate"`
	LocalTime      text    `json:"localActivityTime"`
	Location       address `json:"activityLocation"`
	Status         struct {
		status
		DescriptionCode text `json:"descriptionCode"`
	} `json:"activityStatus"`
	ScheduledDate text `json:"scheduledDeliveryDate"`
	ActualDate    text `json:"actualDeliveryDate"`
	GMTDate       text `json:"gmtActivityDate"`
	GMTTime       text `json:"gmtActivityTime"`
	GMTOffset     text `json:"gmtOffset"`
}

// Decode reads an answer of the Track API or a pushed event.
func (u *ups) Decode(p parcel.Payload) (parcel.Reading, error) {
	var r parcel.Reading
	var err error
	switch p.Kind {
	case kindTrack:
		r, err = u.decodeTrack(p)
	case kindPush:
		r, err = u.decodePush(p)
	default:
		err = fmt.Errorf("payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	if err != nil {
		err = fmt.Errorf("ups: %s: %w", p.Kind, err)
	}
	return carrierkit.Happened(r, p), err
}

func (u *ups) decodeTrack(p parcel.Payload) (parcel.Reading, error) {
	var doc envelope
	if err := read(carrierkit.TrimMark(p.Body), &doc); err != nil {
		return parcel.Reading{}, err
	}
	d := decoder{ups: u, asked: p.Numbers}
	switch {
	case doc.TrackResponse != nil:
		d.at = "shipments"
		d.unread(doc.TrackResponse.Shipment)
		for i, raw := range doc.TrackResponse.Shipment.Items {
			d.at = fmt.Sprintf("shipment %d", i+1)
			d.shipment(raw)
		}
	case len(doc.Response.Errors.Items) > 0:
		for i, raw := range doc.Response.Errors.Items {
			d.at = fmt.Sprintf("error %d", i+1)
			d.refusal(raw)
		}
	default:
		return parcel.Reading{}, fmt.Errorf("neither trackResponse nor errors: %w", parcel.ErrMalformed)
	}
	d.settle()
	return d.reading, errors.Join(d.faults...)
}

// settle gives the numbers asked that no shipment answered by name their
// result: found in a package, or not in the answer at all.
func (d *decoder) settle() {
	for _, asked := range d.asked {
		n := parcel.NormalizeNumber(asked)
		if slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }) {
			continue
		}
		switch {
		case slices.ContainsFunc(d.reading.Observations, func(o parcel.Observation) bool { return o.Number == n }):
			d.result(n, parcel.FindingFound, "")
		case len(d.faults) == 0:
			d.result(n, parcel.FindingUnknown, "")
		}
	}
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*ups
	asked   []string
	at      string // the item at hand, for faults
	reading parcel.Reading
	faults  []error
}

func (d *decoder) fault(err error) { d.faults = append(d.faults, fmt.Errorf("%s: %w", d.at, err)) }

// unread reports what stands in the place of a list and is none.
func (d *decoder) unread(l list) {
	for _, f := range l.Faults {
		d.fault(f)
	}
}

// unknown says of every number asked that UPS does not know it.
func (d *decoder) unknown(detail string) {
	for _, n := range d.asked {
		d.result(n, parcel.FindingUnknown, detail)
	}
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: parcel.NormalizeNumber(number), Finding: f, Detail: detail})
}

// refusal reads one fault of the whole call.
func (d *decoder) refusal(raw json.RawMessage) {
	var m message
	if err := read(raw, &m); err != nil {
		d.fault(err)
		return
	}
	switch {
	case m.aboutNumber():
		d.unknown(m.String())
	case strings.HasPrefix(m.Code.String(), deniedPrefix):
		d.fault(fmt.Errorf("%s: %w", m, parcel.ErrDenied))
	default:
		d.fault(fmt.Errorf("%s: %w", m, parcel.ErrUnavailable))
	}
}

func (d *decoder) shipment(raw json.RawMessage) {
	var s shipment
	if err := read(raw, &s); err != nil {
		d.fault(err)
		return
	}
	number := s.InquiryNumber.String()
	if number == "" && len(d.asked) == 1 {
		number = d.asked[0]
	}
	if len(s.Package.Items) == 0 && len(s.Package.Faults) == 0 {
		if number != "" {
			d.result(number, parcel.FindingUnknown, warning(s.Warnings))
		}
		return
	}
	if number != "" {
		d.result(number, parcel.FindingFound, "")
	}
	// A shipment may hold more packages than the answer: what is there counts.
	at := d.at
	d.unread(s.Package)
	for i, rawPackage := range s.Package.Items {
		d.at = fmt.Sprintf("%s, package %d", at, i+1)
		d.pack(rawPackage, number)
	}
}

// warning is the first warning in words.
func warning(warnings list) string {
	for _, raw := range warnings.Items {
		var m message
		if read(raw, &m) == nil && m.String() != "" {
			return m.String()
		}
	}
	return ""
}

func (d *decoder) pack(raw json.RawMessage, inquiry string) {
	var p pack
	if err := read(raw, &p); err != nil {
		d.fault(err)
		return
	}
	number := parcel.NormalizeNumber(p.TrackingNumber.String())
	if number == "" {
		number = parcel.NormalizeNumber(inquiry)
	}
	if number == "" {
		d.fault(fmt.Errorf("no number: %w", parcel.ErrMalformed))
		return
	}
	at := d.at
	d.unread(p.Activity)
	first := len(d.reading.Observations)
	for i, rawActivity := range p.Activity.Items {
		d.at = fmt.Sprintf("%s, activity %d", at, i+1)
		d.activity(rawActivity, number)
	}
	d.at = at
	d.receiver(d.reading.Observations[first:], p.Delivery.Location)
	d.estimate(p.DeliveryDate, number)
}

func (d *decoder) activity(raw json.RawMessage, number string) {
	var a activity
	if err := read(raw, &a); err != nil {
		d.fault(err)
		return
	}
	place := placeOf(a.Location.Address)
	place.Facility = a.Location.SLIC.String()
	clock := clock{a.Date, a.Time, a.GMTDate, a.GMTTime, a.GMTOffset}
	if err := d.observe(number, a.Status, clock, place); err != nil {
		d.fault(err)
	}
}

func (u *ups) decodePush(p parcel.Payload) (parcel.Reading, error) {
	var a alert
	if err := read(carrierkit.TrimMark(p.Body), &a); err != nil {
		return parcel.Reading{}, err
	}
	number := parcel.NormalizeNumber(a.TrackingNumber.String())
	if number == "" {
		return parcel.Reading{}, fmt.Errorf("no number: %w", parcel.ErrMalformed)
	}
	d := decoder{ups: u}
	s := a.Status.status
	if s.StatusCode == "" {
		s.StatusCode = a.Status.DescriptionCode
	}
	clock := clock{a.LocalDate, a.LocalTime, a.GMTDate, a.GMTTime, a.GMTOffset}
	err := d.observe(number, s, clock, placeOf(a.Location))
	if a.ActualDate == "" {
		d.scheduled(number, a.ScheduledDate)
	}
	return d.reading, errors.Join(append(d.faults, err)...)
}

// observe adds one scan.
func (d *decoder) observe(number string, s status, c clock, place parcel.Place) error {
	words := strings.TrimSpace(carrierkit.StripMarkup(s.Description.String()))
	occurred, err := c.moment(&d.zones, place)
	if err != nil {
		return err
	}
	own := ownCode(s)
	if own == "" && words == "" {
		return fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	row := d.row(s, words)
	d.reading.Observations = append(d.reading.Observations, parcel.Observation{
		Carrier:     name,
		Number:      number,
		OwnCode:     own,
		Code:        row.Code,
		Reason:      row.Reason,
		Words:       words,
		Language:    strings.ReplaceAll(d.locale, "_", "-"),
		Occurred:    occurred,
		Place:       place,
		DeliveredTo: row.DeliveredTo,
		Retracts:    row.Retracts,
		Rule:        row.Rule,
		RuleVersion: d.codes.Version(),
	})
	return nil
}

// ownCode joins UPS's three codes, which answers and pushes share: "D/KB/011".
// The status is padded, since documents and older traffic write it without
// zeros. It is empty where UPS gave none of the three.
func ownCode(s status) string {
	code := upper(s.Type) + "/" + upper(s.Code) + "/" + padded(s.StatusCode)
	if code == "//" {
		return ""
	}
	return code
}

func upper(t text) string { return strings.ToUpper(t.String()) }

func padded(t text) string {
	s := upper(t)
	if s != "" && len(s) < 3 && strings.Trim(s, "0123456789") == "" {
		s = strings.Repeat("0", 3-len(s)) + s
	}
	return s
}

// row reads the three codes by the table: the row of type and code where they
// decide, else that of the status, else what type and code, or the type,
// prove by themselves.
func (u *ups) row(s status, words string) carriers.Row {
	kind, code, state := upper(s.Type), upper(s.Code), padded(s.StatusCode)
	for _, key := range []string{ownCode(s), state, kind + "/" + code, kind} {
		if key == "" {
			continue
		}
		row, ok := u.codes.Lookup(key)
		if !ok {
			continue
		}
		if row.Code == parcel.CodeCarrierHeld && aboutCustoms(words) {
			row, _ = u.codes.Lookup("text:customs")
		}
		return row
	}
	row, _ := u.codes.Lookup(ownCode(s))
	return row
}

// aboutCustoms tells what "action required" is about: UPS uses the same
// status codes for addresses, damage and clearance.
func aboutCustoms(words string) bool {
	words = strings.ToLower(words)
	for _, sign := range []string{"customs", "clearance", "government agency", "duties", "importer"} {
		if strings.Contains(words, sign) {
			return true
		}
	}
	return false
}

func placeOf(a address) parcel.Place {
	p := parcel.Place{City: a.City.String(), Region: a.StateProvince.String(), Postcode: a.PostalCode.String()}
	for _, written := range []text{a.CountryCode, a.Country} {
		if c, err := parcel.ParseCountry(written.String()); err == nil {
			p.Country = c
			break
		}
	}
	return p
}

// clock is a time as UPS tells it: YYYYMMDD and HHMMSS (with colons in the GMT
// half of answers), any part of which may be missing.
type clock struct{ date, time, gmtDate, gmtTime, gmtOffset text }

// The offsets in use are whole quarters of an hour from -12 to +14 hours; what
// lies between two clocks beyond that is no offset but a mistake.
const (
	offsetStep = 15 * time.Minute
	maxWest    = -12 * time.Hour
	maxEast    = 14 * time.Hour
)

// moment keeps the local clock as the wall clock, and makes the instant of
// what is given: both clocks, whose difference is the offset; else the offset
// as written; else the zone of the place.
func (c clock) moment(zones *carrierkit.Zones, place parcel.Place) (parcel.Moment, error) {
	local, hasClock, err := face(c.date, c.time)
	if err != nil {
		return parcel.Moment{}, err
	}
	gmt, hasGMT, gmtErr := face(c.gmtDate, c.gmtTime)
	hasGMT = hasGMT && gmtErr == nil
	written := strings.TrimSpace(c.date.String() + " " + c.time.String())
	offset, offsetErr := parcel.ParseOffset(c.gmtOffset.String())
	switch {
	case local.IsZero() && !hasGMT:
		return parcel.Moment{}, fmt.Errorf("no date: %w", parcel.ErrMalformed)
	case local.IsZero():
		written = strings.TrimSpace(c.gmtDate.String() + " " + c.gmtTime.String())
		return parcel.ReportedMoment(written, gmt.In(time.FixedZone("", offset))), nil
	case !hasClock:
		zone, certainty := parcel.ZoneFor(place)
		return parcel.DayMoment(written, local, zones.Location(zone), certainty), nil
	}
	if apart := local.Sub(gmt); hasGMT && apart%offsetStep == 0 && apart >= maxWest && apart <= maxEast {
		return parcel.ReportedMoment(written, gmt.In(time.FixedZone("", int(apart/time.Second)))), nil
	}
	if offsetErr == nil && c.gmtOffset != "" {
		return parcel.LocalMoment(written, local, time.FixedZone("", offset), parcel.CertaintyReported), nil
	}
	zone, certainty := parcel.ZoneFor(place)
	return parcel.LocalMoment(written, local, zones.Location(zone), certainty), nil
}

// face reads a clock face as if it were UTC. A missing date gives the zero
// time; hasClock tells whether there was more than a day.
func face(date, clock text) (t time.Time, hasClock bool, err error) {
	day, hours := digits(date), digits(clock)
	if day == "" {
		return time.Time{}, false, nil
	}
	layout := "20060102"
	switch len(hours) {
	case 0:
	case 4:
		layout += "1504"
	default:
		layout += "150405"
	}
	t, err = time.Parse(layout, day+hours)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("date %.20q, time %.20q: %w", date, clock, parcel.ErrMalformed)
	}
	return t, hours != "", nil
}

// digits drops what stands between digits; a text that holds anything but
// digits and separators is kept, so that reading it fails.
func digits(t text) string {
	return strings.NewReplacer("-", "", ":", "", "/", "", " ", "").Replace(t.String())
}

// leftAt reads deliveryInformation.location, UPS's word for where the driver
// left the parcel.
func leftAt(location text) parcel.DeliveredTo {
	switch upper(location) {
	case "FRONT DOOR", "BACK DOOR", "REAR DOOR", "SIDE DOOR", "PORCH", "FRONT PORCH", "PATIO", "DECK", "GARAGE":
		return parcel.DeliveredToSafePlace
	case "RECEPTION", "RECEIVER", "FRONT DESK", "MAIL ROOM", "OFFICE":
		return parcel.DeliveredToReception
	case "RESIDENTIAL", "MET CUSTOMER":
		return parcel.DeliveredToRecipient
	case "NEIGHBOR":
		return parcel.DeliveredToNeighbour
	case "LOCKER", "UPS LOCKER":
		return parcel.DeliveredToLocker
	}
	return ""
}

// receiver says of a package's delivery where it was left: UPS tells that once
// for the package, not with the scan.
func (d *decoder) receiver(scans []parcel.Observation, location text) {
	to := leftAt(location)
	last := -1
	for i := range scans {
		if scans[i].Code == parcel.CodeDelivered && (last < 0 || scans[i].Occurred.At.After(scans[last].Occurred.At)) {
			last = i
		}
	}
	if to != "" && last >= 0 {
		scans[last].DeliveredTo = to
	}
}

// estimate takes the rescheduled day, else the scheduled one. A day of type
// DEL is history, which the delivery scan tells better.
func (d *decoder) estimate(dates list, number string) {
	var day text
	for _, raw := range dates.Items {
		var dd deliveryDate
		if read(raw, &dd) != nil || dd.Date == "" {
			continue
		}
		switch upper(dd.Type) {
		case "RDD":
			day = dd.Date
		case "SDD":
			if day == "" {
				day = dd.Date
			}
		}
	}
	d.scheduled(number, day)
}

func (d *decoder) scheduled(number string, day text) {
	if day == "" {
		return
	}
	t, _, err := face(day, "")
	if err != nil {
		d.fault(fmt.Errorf("delivery date: %w", err))
		return
	}
	written := t.Format(parcel.DayLayout)
	d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: written, Last: written})
}
