package yunexpress

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// chinaOffset is that of times that tell no other. It is an offset and no zone:
// events abroad are told by it too, and a zone would name the wrong place.
const chinaOffset = 8 * 60 * 60

// text is a scalar of any JSON type. Objects are read as lists of one, so that
// a value of another type costs no more than itself.
type text = carrierkit.Text

// envelope is what all answers begin with; the older dialect has a code alone.
type envelope struct {
	Success text `json:"success"`
	Code    text `json:"code"`
	Message text `json:"msg"`
}

type document struct {
	envelope
	Result json.RawMessage `json:"result"`
	Item   json.RawMessage `json:"Item"`
}

// track is what is told of one number, by either dialect. Answers have been
// seen with the numbers one level further in, beside the events.
type track struct {
	Waybill  text                   `json:"waybill_number"`
	Tracking text                   `json:"tracking_number"`
	Info     carrierkit.List[track] `json:"track_info"`
	Events   carrierkit.List[event] `json:"track_events"`

	LegacyWaybill  text                         `json:"WaybillNumber"`
	LegacyTracking text                         `json:"TrackingNumber"`
	LegacyEvents   carrierkit.List[legacyEvent] `json:"OrderTrackingDetails"`
}

// event is one event. Beside the names of the sheet the service has others for
// the same things: process_time, process_utc_time and process_content.
type event struct {
	Date        text `json:"event_date"`
	Zone        text `json:"time_zone"`
	Description text `json:"description"`
	Location    text `json:"location"`

	ProcessTime     text `json:"process_time"`
	ProcessUTC      text `json:"process_utc_time"`
	ProcessContent  text `json:"process_content"`
	ProcessLocation text `json:"process_location"`
	ProcessCity     text `json:"process_city"`
	ProcessProvince text `json:"process_province"`
	ProcessCountry  text `json:"process_country"`
	NodeCode        text `json:"track_node_code"`
}

type legacyEvent struct {
	Date     text `json:"ProcessDate"`
	Content  text `json:"ProcessContent"`
	Location text `json:"ProcessLocation"`
	NodeCode text `json:"TrackNodeCode"`
}

// fault is the error that an envelope tells; nil for a success.
func (y *yunexpress) fault(e *envelope) error {
	code := e.Code.String()
	switch {
	case e.Success.True(), e.Success == "" && (code == legacyOK || code == ""):
		return nil
	case slices.Contains(y.unknown, code):
		return nil
	case slices.Contains(y.denied, code):
		return fmt.Errorf("%.60q: %w", code, parcel.ErrDenied)
	case slices.Contains(y.throttled, code):
		return fmt.Errorf("%.60q: %w", code, &parcel.Throttled{})
	}
	return fmt.Errorf("%.60q: %w", code, parcel.ErrUnavailable)
}

// Decode reads an answer of either dialect.
func (y *yunexpress) Decode(p parcel.Payload) (parcel.Reading, error) {
	d := decoder{yunexpress: y}
	for _, n := range p.Numbers {
		d.asked = append(d.asked, parcel.NormalizeNumber(n))
	}
	if err := d.document(p.Kind, p.Body); err != nil {
		return carrierkit.Happened(d.reading, p), fmt.Errorf("yunexpress: %w", err)
	}
	return carrierkit.Happened(d.reading, p), nil
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*yunexpress
	asked   []string
	reading parcel.Reading
	faults  []error
}

func (d *decoder) fault(at string, errs ...error) {
	for _, err := range errs {
		d.faults = append(d.faults, fmt.Errorf("%s: %w", at, err))
	}
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

func (d *decoder) document(kind string, body []byte) error {
	var doc document
	if kind != kindTrack && kind != kindLegacy {
		return fmt.Errorf("payload kind %q is none: %w", kind, parcel.ErrMalformed)
	}
	if err := json.Unmarshal(carrierkit.TrimMark(body), &doc); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	if err := d.yunexpress.fault(&doc.envelope); err != nil {
		return err
	}
	at, raw := "result", doc.Result
	if kind == kindLegacy {
		at, raw = "Item", doc.Item
	}
	if raw == nil && !slices.Contains(d.unknown, doc.Code.String()) {
		return fmt.Errorf("neither %s nor an error: %w", at, parcel.ErrMalformed)
	}
	var tracks carrierkit.List[track]
	if raw != nil {
		_ = tracks.UnmarshalJSON(bytes.TrimSpace(raw)) // fails for bad syntax alone, which is read already
	}
	d.fault(at, tracks.Faults...)
	for i := range tracks.Items {
		d.track(&tracks.Items[i], len(tracks.Items) == 1)
	}
	if len(d.faults) == 0 {
		for _, n := range d.asked {
			if !slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }) {
				d.result(n, parcel.FindingUnknown, strings.TrimSpace(doc.Code.String()+" "+carrierkit.CleanWords(doc.Message.String())))
			}
		}
	}
	return errors.Join(d.faults...)
}

// merged takes what is told one level further in as if it stood at the top.
func (t *track) merged() track {
	m := *t
	m.Waybill, m.Tracking = cmp.Or(m.Waybill, m.LegacyWaybill), cmp.Or(m.Tracking, m.LegacyTracking)
	for _, inner := range t.Info.Items {
		m.Waybill, m.Tracking = cmp.Or(m.Waybill, inner.Waybill), cmp.Or(m.Tracking, inner.Tracking)
		m.Events.Items = append(m.Events.Items, inner.Events.Items...)
		m.Events.Faults = append(m.Events.Faults, inner.Events.Faults...)
	}
	m.Events.Faults = append(m.Events.Faults, t.Info.Faults...)
	return m
}

func (d *decoder) track(told *track, alone bool) {
	t := told.merged()
	waybill, tracking := parcel.NormalizeNumber(t.Waybill.String()), parcel.NormalizeNumber(t.Tracking.String())
	// YunExpress answers for several names of a parcel (waybill, order, number
	// of the last mile): events are told under the one that was asked for.
	number := waybill
	if alone && len(d.asked) == 1 {
		number = d.asked[0]
	}
	events := len(t.Events.Items) + len(t.LegacyEvents.Items)
	unread := len(t.Events.Faults) + len(t.LegacyEvents.Faults)
	switch {
	case number == "" && events+unread == 0:
		return
	case number == "":
		d.fault("track", fmt.Errorf("no number: %w", parcel.ErrMalformed))
		return
	case events+unread == 0:
		d.result(number, parcel.FindingUnknown, "")
		return
	}
	d.result(number, parcel.FindingFound, "")
	d.fault(number+", events", t.Events.Faults...)
	d.fault(number+", events", t.LegacyEvents.Faults...)
	for _, other := range []string{waybill, tracking} {
		if other != "" && other != number {
			d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: number, Other: other})
		}
	}
	add := func(i int, s scan) {
		o, err := d.observe(s)
		if err != nil {
			d.fault(fmt.Sprintf("%s, event %d", number, i+1), err)
			return
		}
		o.Number = number
		if o.Code == parcel.CodeLastMileAccepted && tracking != number { // who takes it over is not said
			o.NextNumber = tracking
		}
		d.reading.Observations = append(d.reading.Observations, o)
	}
	for i, e := range t.Events.Items {
		add(i, e.scan())
	}
	for i, e := range t.LegacyEvents.Items {
		add(i, scan{code: e.NodeCode, says: e.Content, local: e.Date, place: placeOf(e.Location)})
	}
}

// scan is an event of either dialect.
type scan struct {
	code, says       text
	local, utc, zone text
	place            parcel.Place
}

func (e *event) scan() scan {
	s := scan{code: e.NodeCode, says: cmp.Or(e.Description, e.ProcessContent), local: e.Date, zone: e.Zone, place: placeOf(cmp.Or(e.Location, e.ProcessLocation))}
	if e.Date == "" {
		s.local, s.utc = e.ProcessTime, e.ProcessUTC
	}
	if c, err := parcel.ParseCountry(e.ProcessCountry.String()); err == nil {
		s.place = parcel.Place{Country: c, Region: e.ProcessProvince.String(), City: e.ProcessCity.String(), Facility: e.ProcessLocation.String()}
	}
	return s
}

func (d *decoder) observe(s scan) (parcel.Observation, error) {
	own, words := strings.ToUpper(s.code.String()), carrierkit.CleanWords(s.says.String())
	if own == "" && words == "" {
		return parcel.Observation{}, fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	occurred, err := d.moment(&s)
	if err != nil {
		return parcel.Observation{}, err
	}
	row, ok := d.phrases.Lookup("text", words)
	if !ok {
		row, _ = d.codes.Lookup(own)
	}
	o := parcel.Observation{
		Carrier: name, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: occurred, Place: s.place,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if o.DeliveredTo == "" && o.Code == parcel.CodeDelivered {
		o.DeliveredTo = carrierkit.ReceiverIn(words)
	}
	if words != "" {
		o.Language = d.language
	}
	return o, nil
}

// wallLayouts are the forms of a local clock; fractions of a second may follow.
func wallLayouts() []string {
	return []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", parcel.DayLayout}
}

// face reads a clock face. Some answers end every local clock with a Z that
// says nothing.
func face(t text) (at time.Time, day bool, err error) {
	written := strings.TrimSuffix(t.String(), "Z")
	for _, layout := range wallLayouts() {
		if at, err := time.Parse(layout, written); err == nil {
			return at, layout == parcel.DayLayout, nil
		}
	}
	return time.Time{}, false, fmt.Errorf("time %.40q: %w", t, parcel.ErrMalformed)
}

// moment reads a local clock by the offset beside it, or by the UTC clock
// beside it. Without either it is the clock of China, by rule; by a zone that
// cannot be read it is only the best guess.
func (d *decoder) moment(s *scan) (parcel.Moment, error) {
	written := strings.TrimSpace(s.local.String() + " " + cmp.Or(s.zone.String(), s.utc.String()))
	if t, err := time.Parse(time.RFC3339, s.local.String()); err == nil && !strings.HasSuffix(s.local.String(), "Z") {
		return parcel.ReportedMoment(written, t), nil
	}
	wall, day, err := face(s.local)
	if err != nil {
		return parcel.Moment{}, err
	}
	loc, certainty := time.FixedZone("", chinaOffset), parcel.CertaintyAssumed
	if zone := s.zone.String(); zone != "" {
		if seconds, err := parcel.ParseOffset(zone); err == nil {
			loc, certainty = time.FixedZone("", seconds), parcel.CertaintyReported
		} else if named := d.zones.Location(zone); named != nil {
			loc, certainty = named, parcel.CertaintyReported
		} else {
			certainty = parcel.CertaintyUnknown
		}
	} else if utc, _, err := face(s.utc); err == nil {
		if between, ok := carrierkit.OffsetBetween(wall, utc); ok {
			loc, certainty = between, parcel.CertaintyReported
		}
	}
	if day {
		return parcel.DayMoment(written, wall, loc, certainty), nil
	}
	return parcel.LocalMoment(written, wall, loc, certainty), nil
}

// placeOf reads "Madrid, Spain"; what does not end with a country is a city.
func placeOf(location text) parcel.Place {
	written := location.String()
	if i := strings.LastIndexByte(written, ','); i >= 0 {
		if c, err := parcel.ParseCountry(strings.TrimSpace(written[i+1:])); err == nil {
			return parcel.Place{City: strings.TrimSpace(written[:i]), Country: c}
		}
	}
	if c, err := parcel.ParseCountry(written); err == nil {
		return parcel.Place{Country: c}
	}
	return parcel.Place{City: written}
}

// Redact hides who signed for a parcel, contacts in sentences, and the pictures
// of deliveries and signatures.
func (y *yunexpress) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("pod_url", "pod_urls", "signatureUrls", "signer", "receiver", "receiverName",
		"consignee", "accessToken"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("description", "process_content", "ProcessContent", "msg", "message"))
	return p
}
