package usps

import (
	"bytes"
	"cmp"
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

const language = "en-US"

// text is a scalar of any JSON type: USPS writes Booleans as strings.
type text = carrierkit.Text

// item is what USPS says of one number. Field names differ in case between
// versions, which reading passes over.
type item struct {
	TrackingNumber text                                 `json:"trackingNumber"`
	OriginCountry  text                                 `json:"originCountry"`
	Intake         text                                 `json:"mailPieceIntakeDate"`
	Status         text                                 `json:"status"`
	Events         *carrierkit.List[event]              `json:"trackingEvents"`
	Expected       text                                 `json:"expectedDeliveryTimestamp"`
	Predicted      text                                 `json:"predictedDeliveryTimestamp"`
	Guaranteed     text                                 `json:"guaranteedDeliveryTimestamp"`
	Expectation    carrierkit.List[deliveryExpectation] `json:"deliveryDateExpectation"`
	Error          json.RawMessage                      `json:"error"`
}

// deliveryExpectation is how newer versions tell the day of delivery.
type deliveryExpectation struct {
	Expected   text `json:"expectedDeliveryDate"`
	Predicted  text `json:"predictedDeliveryDate"`
	Guaranteed text `json:"guaranteedDeliveryDate"`
}

type event struct {
	Type         text `json:"eventType"`
	Timestamp    text `json:"eventTimestamp"`
	GMTTimestamp text `json:"GMTTimestamp"`
	GMTOffset    text `json:"GMTOffset"`
	City         text `json:"eventCity"`
	State        text `json:"eventState"`
	ZIP          text `json:"eventZIP"`
	ZIPCode      text `json:"eventZIPCode"`
	Country      text `json:"eventCountry"`
	Code         text `json:"eventCode"`
}

// refusal is an error in USPS's words: in the form of the API, or in the plain
// form of OAuth.
type refusal struct {
	code, words string
	oauth       string
	parameter   bool // the number itself is said to be wrong
}

// readRefusal reads a body that holds an error and nothing else.
func readRefusal(body []byte) (refusal, bool) {
	var doc item
	if json.Unmarshal(body, &doc) != nil {
		return refusal{}, false
	}
	return doc.refusal()
}

func (i *item) refusal() (r refusal, said bool) {
	raw := bytes.TrimSpace(i.Error)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) || bytes.Equal(raw, []byte(`""`)) {
		return refusal{}, false
	}
	if raw[0] != '{' {
		var oauth text
		_ = oauth.UnmarshalJSON(raw) // never fails
		return refusal{oauth: oauth.String()}, oauth != ""
	}
	var doc struct {
		Code    text `json:"code"`
		Message text `json:"message"`
		Errors  carrierkit.List[struct {
			Code   text `json:"code"`
			Detail text `json:"detail"`
			Source carrierkit.List[struct {
				Parameter text `json:"parameter"`
			}] `json:"source"`
		}] `json:"errors"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return refusal{}, true
	}
	r.code, r.words = doc.Code.String(), doc.Message.String()
	for _, e := range doc.Errors.Items {
		r.words = cmp.Or(strings.TrimSpace(e.Code.String()+" "+e.Detail.String()), r.words)
		for _, s := range e.Source.Items {
			r.parameter = r.parameter || strings.EqualFold(s.Parameter.String(), "trackingNumber")
		}
	}
	return r, true
}

// aboutNumber tells whether the error only says that USPS does not know the
// number, or that it is none of its.
func (r refusal) aboutNumber() bool { return r.code == "404" || r.code == "400" && r.parameter }

// wrap adds USPS's code to an error; its words repeat what was asked.
func (r refusal) wrap(err error) error {
	if code := cmp.Or(r.code, r.oauth); code != "" {
		return fmt.Errorf("%.60q: %w", code, err)
	}
	return err
}

// err is the refusal as an error of its kind, where no status tells it.
func (r refusal) err() error {
	switch {
	case r.oauth != "", r.code == "401", r.code == "403":
		return r.wrap(parcel.ErrDenied)
	case r.code == "429":
		return r.wrap(&parcel.Throttled{})
	case r.code == "400":
		return r.wrap(parcel.ErrMalformed)
	}
	return r.wrap(parcel.ErrUnavailable)
}

// Decode reads an answer of either dialect.
func (u *usps) Decode(p parcel.Payload) (parcel.Reading, error) {
	d := decoder{usps: u}
	for _, n := range p.Numbers {
		d.asked = append(d.asked, parcel.NormalizeNumber(n))
	}
	var err error
	switch p.Kind {
	case kindTrack:
		err = d.json(p.Body)
	case kindLegacy:
		err = d.xml(p.Body)
	default:
		err = fmt.Errorf("payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	if err != nil {
		return carrierkit.Happened(d.reading, p), fmt.Errorf("usps: %w", err)
	}
	return carrierkit.Happened(d.reading, p), nil
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*usps
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

// settle says of the numbers that were asked and not answered that USPS does
// not know them, unless what could not be read may be the answer.
func (d *decoder) settle() error {
	if len(d.faults) == 0 {
		for _, n := range d.asked {
			if !slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }) {
				d.result(n, parcel.FindingUnknown, "not in the answer")
			}
		}
	}
	return errors.Join(d.faults...)
}

func (d *decoder) json(body []byte) error {
	var items carrierkit.List[item]
	if err := json.Unmarshal(carrierkit.TrimMark(body), &items); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	d.fault("answer", items.Faults...)
	for i := range items.Items {
		d.item(&items.Items[i], len(items.Items) == 1)
	}
	return d.settle()
}

func (d *decoder) item(i *item, alone bool) {
	number := parcel.NormalizeNumber(i.TrackingNumber.String())
	if number == "" && alone && len(d.asked) == 1 {
		number = d.asked[0]
	}
	if refused, said := i.refusal(); said {
		switch {
		case !refused.aboutNumber():
			d.fault("answer", refused.err())
		case number != "":
			d.result(number, parcel.FindingUnknown, refused.words)
		}
		return
	}
	switch {
	case i.TrackingNumber == "" && i.Events == nil:
		d.fault("answer", fmt.Errorf("neither number, events nor error: %w", parcel.ErrMalformed))
		return
	case number == "":
		d.fault("answer", fmt.Errorf("no number: %w", parcel.ErrMalformed))
		return
	}
	d.result(number, parcel.FindingFound, i.Status.String())
	l := life{number: number, intake: i.Intake.String(), origin: originOf(number, i.OriginCountry.String())}
	first := len(d.reading.Observations)
	if i.Events != nil {
		d.fault(number+", trackingEvents", i.Events.Faults...)
		for k, e := range i.Events.Items {
			place := placeOf(e.City, e.State, cmp.Or(e.ZIP, e.ZIPCode), e.Country)
			occurred, err := d.moment(&e, place)
			d.observe(l, fmt.Sprintf("event %d", k+1), e.Code, e.Type, place, occurred, err)
		}
	}
	x := deliveryExpectation{}
	if len(i.Expectation.Items) > 0 {
		x = i.Expectation.Items[0]
	}
	d.estimate(l, d.reading.Observations[first:], parcel.DayLayout,
		i.Expected, x.Expected, i.Predicted, x.Predicted, i.Guaranteed, x.Guaranteed)
}

// life is one use of a number: USPS gives barcodes out again, and the date of
// intake tells the uses apart.
type life struct {
	number, intake string
	// origin is the country that a parcel to the United States comes from;
	// empty for any other.
	origin parcel.Country
}

// originOf takes the country that USPS names, else the post that issued the
// number.
func originOf(number, named string) parcel.Country {
	origin, err := parcel.ParseCountry(named)
	if s10, ok := parcel.ParseS10(number); err != nil && ok {
		origin = s10.Origin
	}
	if origin == home {
		return ""
	}
	return origin
}

// observe adds one event of either dialect.
func (d *decoder) observe(l life, at string, code, says text, place parcel.Place, occurred parcel.Moment, err error) {
	own, words := strings.ToUpper(code.String()), carrierkit.CleanWords(says.String())
	if err == nil && own == "" && words == "" {
		err = fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	if err != nil {
		d.fault(l.number+", "+at, err)
		return
	}
	row := d.row(l, own, words, place)
	o := parcel.Observation{
		Carrier: name, Number: l.number, Parcel: l.intake, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: occurred, Place: place,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if words != "" {
		o.Language = language
	}
	d.reading.Observations = append(d.reading.Observations, o)
}

// row reads an event by the table; see there for the order.
func (d *decoder) row(l life, own, words string, place parcel.Place) carriers.Row {
	atOrigin := l.origin != "" && place.Country == l.origin
	try := func(key string) (carriers.Row, bool) {
		if atOrigin {
			if row, ok := d.phrases.Lookup("origin "+key, words); ok {
				return row, true
			}
		}
		return d.phrases.Lookup(key, words)
	}
	if row, ok := try("text"); ok {
		return row
	}
	if row, ok := d.phrases.Lookup(own, words); ok && own != "" {
		return row
	}
	if l.origin != "" && place.Country == home {
		if row, ok := d.codes.Lookup("import:" + own); ok {
			return row
		}
	}
	row, ok := d.codes.Lookup(own)
	if !ok {
		if said, ok := try("words"); ok {
			return said
		}
	}
	return row
}

// placeOf reads a place: USPS names the country abroad, in words, and leaves it
// out at home.
func placeOf(city, state, zip, country text) parcel.Place {
	p := parcel.Place{City: city.String(), Region: state.String(), Postcode: zip.String()}
	switch named := country.String(); {
	case named == "" && !p.IsZero():
		p.Country = home
	case named != "":
		c, err := parcel.ParseCountry(named)
		if err != nil {
			p.Facility = named // better than nothing: no country that we know
		}
		p.Country = c
	}
	return p
}

const localLayout = "2006-01-02T15:04:05"

// moment makes the instant of the GMT clock, which has seconds, and the wall
// clock of it and the offset: the one written, or what lies between the two
// clocks. Without the GMT clock the local one counts, by the minute.
func (d *decoder) moment(e *event, place parcel.Place) (parcel.Moment, error) {
	local, localErr := time.Parse(localLayout, e.Timestamp.String())
	gmt, gmtErr := time.Parse(time.RFC3339, e.GMTTimestamp.String())
	offset, offsetErr := parcel.ParseOffset(e.GMTOffset.String())
	hasOffset := offsetErr == nil && e.GMTOffset.String() != ""
	written := strings.TrimSpace(e.Timestamp.String() + " " + e.GMTTimestamp.String())
	if gmtErr == nil {
		if loc, agree := carrierkit.OffsetBetween(local, gmt.Truncate(time.Minute)); localErr == nil && agree {
			// Both clocks agree on an offset, whatever stands beside them.
			return parcel.ReportedMoment(written, gmt.In(loc)), nil
		}
		if hasOffset || localErr != nil {
			return parcel.ReportedMoment(written, gmt.In(time.FixedZone("", offset))), nil
		}
	}
	switch {
	case localErr != nil:
		return parcel.Moment{}, fmt.Errorf("eventTimestamp %.40q, GMTTimestamp %.40q: %w", e.Timestamp, e.GMTTimestamp, parcel.ErrMalformed)
	case hasOffset:
		return parcel.LocalMoment(written, local, time.FixedZone("", offset), parcel.CertaintyReported), nil
	}
	zone, certainty := parcel.ZoneFor(place)
	return parcel.LocalMoment(written, local, d.zones.Location(zone), certainty), nil
}

// estimate takes the first day that is told. Once delivered it is history.
func (d *decoder) estimate(l life, events []parcel.Observation, layout string, told ...text) {
	if slices.ContainsFunc(events, func(o parcel.Observation) bool { return o.Code.Info().Outcome != "" }) {
		return
	}
	written := cmp.Or(told...).String()
	if written == "" {
		return
	}
	short := written
	if layout == parcel.DayLayout {
		short = written[:min(len(written), len(layout))]
	}
	day, err := time.Parse(layout, short)
	if err != nil {
		d.fault(l.number, fmt.Errorf("expected delivery %.40q is no day: %w", written, parcel.ErrMalformed))
		return
	}
	on := day.Format(parcel.DayLayout)
	d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: l.number, Earliest: on, Last: on})
}
