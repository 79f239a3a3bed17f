package fedex

import (
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

// aboutNumberPrefix begins the codes about one number: NOTFOUND, INVALID and
// EMPTY, which come to the same.
const aboutNumberPrefix = "TRACKING.TRACKINGNUMBER."

// text is a scalar of any JSON type. Objects are read as lists of one, so that
// a value of another type costs no more than itself.
type text = carrierkit.Text

type document struct {
	Output *carrierkit.List[output] `json:"output"`
}

type output struct {
	Complete carrierkit.List[completeResult] `json:"completeTrackResults"`
}

type completeResult struct {
	TrackingNumber text                         `json:"trackingNumber"`
	Results        carrierkit.List[trackResult] `json:"trackResults"`
}

// trackResult is one use of a number.
type trackResult struct {
	Info        carrierkit.List[numberInfo]     `json:"trackingNumberInfo"`
	Additional  carrierkit.List[additionalInfo] `json:"additionalTrackingInfo"`
	Latest      carrierkit.List[latestStatus]   `json:"latestStatusDetail"`
	Scans       carrierkit.List[scan]           `json:"scanEvents"`
	Dates       carrierkit.List[dateAndTime]    `json:"dateAndTimes"`
	Window      carrierkit.List[timeWindow]     `json:"estimatedDeliveryTimeWindow"`
	Origin      carrierkit.List[endpoint]       `json:"originLocation"`
	Delivery    carrierkit.List[delivery]       `json:"deliveryDetails"`
	Error       carrierkit.List[refusal]        `json:"error"`
	ErrorsOlder carrierkit.List[refusal]        `json:"errors"`
}

type numberInfo struct {
	TrackingNumber text `json:"trackingNumber"`
	UniqueID       text `json:"trackingNumberUniqueId"`
}

type additionalInfo struct {
	Identifiers carrierkit.List[identifier] `json:"packageIdentifiers"`
}

type identifier struct {
	Type   text                  `json:"type"`
	Values carrierkit.List[text] `json:"values"`
}

type latestStatus struct {
	Code        text `json:"code"`
	DerivedCode text `json:"derivedCode"`
}

type scan struct {
	Date                 text                     `json:"date"`
	EventType            text                     `json:"eventType"`
	EventDescription     text                     `json:"eventDescription"`
	ExceptionCode        text                     `json:"exceptionCode"`
	ExceptionDescription text                     `json:"exceptionDescription"`
	Location             carrierkit.List[address] `json:"scanLocation"`
	LocationID           text                     `json:"locationId"`
	LocationType         text                     `json:"locationType"`
	DerivedCode          text                     `json:"derivedStatusCode"`
}

type address struct {
	City        text `json:"city"`
	State       text `json:"stateOrProvinceCode"`
	PostalCode  text `json:"postalCode"`
	CountryCode text `json:"countryCode"`
	CountryName text `json:"countryName"`
}

type endpoint struct {
	Contact carrierkit.List[struct {
		Address carrierkit.List[address] `json:"address"`
	}] `json:"locationContactAndAddress"`
}

type dateAndTime struct {
	Type text `json:"type"`
	Time text `json:"dateTime"`
}

type timeWindow struct {
	Window carrierkit.List[struct {
		Begins text `json:"begins"`
		Ends   text `json:"ends"`
	}] `json:"window"`
}

type delivery struct {
	Left text `json:"locationDescription"`
}

// upper is a code as the table writes it.
func upper(t text) string { return strings.ToUpper(t.String()) }

// refusal is an error in FedEx's words: of a call, or of one number.
type refusal struct {
	Code    text `json:"code"`
	Message text `json:"message"`
}

func (r refusal) String() string {
	return strings.TrimSpace(r.Code.String() + " " + carrierkit.CleanWords(r.Message.String()))
}

func (r refusal) aboutNumber() bool { return strings.HasPrefix(upper(r.Code), aboutNumberPrefix) }

type refusals []refusal

// readRefusals gives nothing for a body that holds no errors.
func readRefusals(body []byte) refusals {
	var doc struct {
		Errors carrierkit.List[refusal] `json:"errors"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	return slices.DeleteFunc(doc.Errors.Items, func(r refusal) bool { return r.String() == "" })
}

// aboutNumber tells whether the errors only say that a number is not known, or
// none of FedEx's.
func (rs refusals) aboutNumber() bool {
	return len(rs) > 0 && !slices.ContainsFunc(rs, func(r refusal) bool { return !r.aboutNumber() })
}

// isThrottled tells whether FedEx asks to come again later, which it does by
// status 403 as well as by 429.
func (f *fedex) isThrottled(rs refusals) bool {
	return len(rs) > 0 && slices.Contains(f.throttled, upper(rs[0].Code))
}

// wrap adds FedEx's codes to an error. Its messages repeat what was asked.
func (rs refusals) wrap(err error) error {
	if len(rs) == 0 {
		return err
	}
	return fmt.Errorf("%.100q: %w", rs[0].Code.String(), err)
}

// kind reads a code as an error where no HTTP status tells it.
func (f *fedex) kind(code string) error {
	switch {
	case slices.Contains(f.throttled, code):
		return &parcel.Throttled{}
	case strings.HasPrefix(code, "NOT.AUTHORIZED"), strings.HasPrefix(code, "FORBIDDEN"), strings.HasPrefix(code, "LOGIN."):
		return parcel.ErrDenied
	}
	return parcel.ErrUnavailable
}

// Decode reads an answer for any number of numbers.
func (f *fedex) Decode(p parcel.Payload) (parcel.Reading, error) {
	if p.Kind != kindTrack {
		return parcel.Reading{}, fmt.Errorf("fedex: payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	d := decoder{fedex: f}
	for _, n := range p.Numbers {
		d.asked = append(d.asked, parcel.NormalizeNumber(n))
	}
	if err := d.document(p.Body); err != nil {
		return carrierkit.Happened(d.reading, p), fmt.Errorf("fedex: %w", err)
	}
	return carrierkit.Happened(d.reading, p), nil
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*fedex
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

func (d *decoder) document(body []byte) error {
	var doc document
	body = carrierkit.TrimMark(body)
	if err := json.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	if doc.Output == nil {
		rs := readRefusals(body)
		switch {
		case len(rs) == 0:
			return fmt.Errorf("neither output nor errors: %w", parcel.ErrMalformed)
		case rs.aboutNumber() && len(d.asked) == 1:
			d.result(d.asked[0], parcel.FindingUnknown, rs[0].String())
			return nil
		}
		return rs.wrap(d.kind(upper(rs[0].Code)))
	}
	d.fault("output", doc.Output.Faults...)
	complete := doc.Output.First().Complete
	d.fault("completeTrackResults", complete.Faults...)
	for i, c := range complete.Items {
		number := parcel.NormalizeNumber(c.TrackingNumber.String())
		for _, r := range c.Results.Items {
			if number == "" {
				number = parcel.NormalizeNumber(r.Info.First().TrackingNumber.String())
			}
		}
		if number == "" && len(complete.Items) == 1 && len(d.asked) == 1 {
			number = d.asked[0]
		}
		if number == "" {
			d.fault(fmt.Sprintf("result %d", i+1), fmt.Errorf("no number: %w", parcel.ErrMalformed))
			continue
		}
		d.fault(number, c.Results.Faults...)
		d.number(number, c.Results.Items, len(c.Results.Faults) > 0)
	}
	// A result that could not be read may be the one that seems missing.
	if len(d.faults) == 0 {
		for _, n := range d.asked {
			if !slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }) {
				d.result(n, parcel.FindingUnknown, "not in the answer")
			}
		}
	}
	return errors.Join(d.faults...)
}

// number reads what FedEx says of one number: the newest of its uses. FedEx
// gives numbers out again, and an older use is another parcel.
func (d *decoder) number(number string, uses []trackResult, unread bool) {
	var known []trackResult
	var refused refusals
	for _, u := range uses {
		if r := cmp.Or(u.Error.First(), u.ErrorsOlder.First()); r != (refusal{}) {
			refused = append(refused, r)
			continue
		}
		known = append(known, u)
	}
	switch {
	case len(known) == 0 && len(refused) == 0:
		if !unread {
			d.result(number, parcel.FindingUnknown, "")
		}
		return
	case len(known) == 0:
		d.refused(number, refused[0])
		return
	}
	detail := ""
	if len(known) > 1 {
		detail = fmt.Sprintf("the newest of %d uses of the number", len(known))
	}
	d.result(number, parcel.FindingFound, detail)
	d.use(number, slices.MaxFunc(known, func(a, b trackResult) int { return a.newest().Compare(b.newest()) }))
}

// refused reads the error of one number.
func (d *decoder) refused(number string, r refusal) {
	switch kind := d.kind(upper(r.Code)); {
	case r.aboutNumber():
		d.result(number, parcel.FindingUnknown, r.String())
	case errors.Is(kind, parcel.ErrDenied):
		d.result(number, parcel.FindingDenied, r.String())
	default:
		d.fault(number, refusals{r}.wrap(kind))
	}
}

// newest is the time of the newest scan, as well as its text alone tells.
func (u *trackResult) newest() time.Time {
	var newest time.Time
	for i := range u.Scans.Items {
		if t, _, err := u.Scans.Items[i].clock(); err == nil && t.After(newest) {
			newest = t
		}
	}
	return newest
}

func (d *decoder) use(number string, u trackResult) {
	d.fault(number+", scans", u.Scans.Faults...)
	life := u.Info.First().UniqueID.String()
	origin := placeOf(u.Origin.First().Contact.First().Address.First())
	first := len(d.reading.Observations)
	for i := range u.Scans.Items {
		o, err := d.scan(&u, &u.Scans.Items[i], origin)
		if err != nil {
			d.fault(fmt.Sprintf("%s, scan %d", number, i+1), err)
			continue
		}
		o.Number, o.Parcel = number, life
		d.reading.Observations = append(d.reading.Observations, o)
	}
	d.receiver(d.reading.Observations[first:], u.Delivery.First().Left)
	d.onward(d.reading.Observations[first:], u.Additional.First().Identifiers.Items)
	d.estimate(number, &u)
}

func (d *decoder) scan(u *trackResult, s *scan, origin parcel.Place) (parcel.Observation, error) {
	place := placeOf(s.Location.First())
	place.Facility = s.LocationID.String()
	words := carrierkit.CleanWords(s.EventDescription.String())
	if why := carrierkit.CleanWords(s.ExceptionDescription.String()); why != "" {
		words = strings.TrimPrefix(words+". "+why, ". ")
	}
	own := upper(s.EventType)
	if own == "" && upper(s.DerivedCode) == "" && words == "" {
		return parcel.Observation{}, fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	row := d.row(u, s)
	occurred, err := d.moment(s, place, origin, row.Code)
	if err != nil {
		return parcel.Observation{}, err
	}
	o := parcel.Observation{
		Carrier: name, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: occurred, Place: place,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if words != "" {
		o.Language = strings.ReplaceAll(d.locale, "_", "-")
	}
	return o, nil
}

// row reads a scan by the table; see there for the order.
func (d *decoder) row(u *trackResult, s *scan) carriers.Row {
	kind := upper(s.EventType)
	if kind != "" {
		if kind == "DL" && !u.delivered() {
			row, _ := d.codes.Lookup("DL/unconfirmed")
			return row
		}
		if row, ok := d.codes.Lookup(kind + "/" + upper(s.ExceptionCode)); ok {
			return row
		}
		if row, ok := d.phrases.Lookup(kind, s.EventDescription.String()+" "+s.ExceptionDescription.String()); ok {
			return row
		}
		for _, key := range []string{kind + "@" + upper(s.LocationType), kind} {
			if row, ok := d.codes.Lookup(key); ok {
				return row
			}
		}
	}
	if row, ok := d.codes.Lookup("derived:" + upper(s.DerivedCode)); ok {
		return row
	}
	row, _ := d.codes.Lookup(kind)
	return row
}

// delivered tells whether the latest status bears a delivery scan out. FedEx
// corrects deliveries by going on from an earlier state; a return that begins
// after one does not undo it.
func (u *trackResult) delivered() bool {
	latest := u.Latest.First()
	code, derived := upper(latest.Code), upper(latest.DerivedCode)
	if code == "" && derived == "" || code == "DL" || derived == "DL" || code == "RS" {
		return true
	}
	return slices.ContainsFunc(u.Scans.Items, func(s scan) bool { return upper(s.EventType) == "RS" })
}

// wallLayout is how times without an offset are written.
const wallLayout = "2006-01-02T15:04:05"

// clock reads the text of a time; zoned tells whether it has an offset.
func (s *scan) clock() (t time.Time, zoned bool, err error) {
	written := s.Date.String()
	if t, err := time.Parse(time.RFC3339, written); err == nil {
		return t, true, nil
	}
	for _, layout := range []string{wallLayout, parcel.DayLayout} {
		if t, err := time.Parse(layout, written); err == nil {
			return t, false, nil
		}
	}
	return time.Time{}, false, fmt.Errorf("date %.40q: %w", written, parcel.ErrMalformed)
}

// moment reads when a scan was. Midnight stands for a day where FedEx gives no
// offset, and where all that happened is that data came in. Data comes in at
// the origin, whose zone is taken where the scan names no place.
func (d *decoder) moment(s *scan, place, origin parcel.Place, code parcel.Code) (parcel.Moment, error) {
	t, zoned, err := s.clock()
	if err != nil {
		return parcel.Moment{}, err
	}
	data := code.Proves() == parcel.MilestoneRegistered
	h, m, sec := t.Clock()
	midnight := h == 0 && m == 0 && sec == 0 && t.Nanosecond() == 0
	switch {
	case zoned && midnight && data:
		_, offset := t.Zone()
		return parcel.DayMoment(s.Date.String(), t, time.FixedZone("", offset), parcel.CertaintyReported), nil
	case zoned:
		return parcel.ReportedMoment(s.Date.String(), t), nil
	}
	zone, certainty := parcel.ZoneFor(place)
	if zone == "" && data {
		zone, _ = parcel.ZoneFor(origin)
		certainty = parcel.CertaintyAssumed
	}
	if midnight {
		return parcel.DayMoment(s.Date.String(), t, d.zones.Location(zone), certainty), nil
	}
	return parcel.LocalMoment(s.Date.String(), t, d.zones.Location(zone), certainty), nil
}

func placeOf(a address) parcel.Place {
	p := parcel.Place{City: a.City.String(), Region: a.State.String(), Postcode: a.PostalCode.String()}
	for _, written := range []text{a.CountryCode, a.CountryName} {
		if c, err := parcel.ParseCountry(written.String()); err == nil {
			p.Country = c
			break
		}
	}
	return p
}

// receiver says of the last delivery where the parcel was left: FedEx tells
// that once for the parcel, not with the scan.
func (d *decoder) receiver(scans []parcel.Observation, left text) {
	row, ok := d.phrases.Lookup("left", left.String())
	if !ok {
		return
	}
	last := -1
	for i := range scans {
		if scans[i].Code == parcel.CodeDelivered && (last < 0 || scans[i].Occurred.At.After(scans[last].Occurred.At)) {
			last = i
		}
	}
	if last >= 0 {
		scans[last].DeliveredTo = row.DeliveredTo
	}
}

// onward names who carries on: FedEx itself under the number of a return, or
// the post that delivers an economy parcel.
func (d *decoder) onward(scans []parcel.Observation, ids []identifier) {
	numberOf := func(kind string) string {
		for _, id := range ids {
			for _, v := range id.Values.Items {
				if n := parcel.NormalizeNumber(v.String()); n != "" && upper(id.Type) == kind {
					return n
				}
			}
		}
		return ""
	}
	returned, partner := numberOf("RETURNED_TO_SHIPPER_TRACKING_NUMBER"), numberOf("PARTNER_CARRIER_NUMBER")
	for i := range scans {
		o := &scans[i]
		switch {
		case o.OwnCode == "RS" && returned != "" && returned != o.Number:
			o.NextCarrier, o.NextNumber = name, returned
		case o.OwnCode == "AX" && partner != "":
			o.NextCarrier, o.NextNumber = "usps", partner
		case o.OwnCode == "AC" && partner != "":
			o.NextCarrier, o.NextNumber = "canada-post", partner
		}
	}
}

// estimate takes the window of delivery, else the day. Both are told by a
// clock that is not to be trusted (midnight at -06:00), so only days count.
func (d *decoder) estimate(number string, u *trackResult) {
	window := u.Window.First().Window.First()
	begins, ends := window.Begins, window.Ends
	for _, t := range u.Dates.Items {
		switch upper(t.Type) {
		case "ACTUAL_DELIVERY":
			return // history, which the delivery scan tells better
		case "ESTIMATED_DELIVERY":
			if begins == "" && ends == "" {
				begins, ends = t.Time, t.Time
			}
		}
	}
	from, to := day(cmp.Or(begins, ends)), day(cmp.Or(ends, begins))
	if from == "" || to == "" {
		if begins != "" || ends != "" {
			d.fault(number, fmt.Errorf("estimate %.30q to %.30q: %w", begins, ends, parcel.ErrMalformed))
		}
		return
	}
	d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: min(from, to), Last: max(from, to)})
}

// day is the calendar day of a time, "" if it is none.
func day(t text) string {
	s := t.String()
	s = s[:min(len(s), len(parcel.DayLayout))]
	if _, err := time.Parse(parcel.DayLayout, s); err != nil {
		return ""
	}
	return s
}
