package cainiao

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// Decode reads an answer of the LINK gateway or the public query, or a pushed
// form.
func (c *cainiao) Decode(p parcel.Payload) (parcel.Reading, error) {
	s, ok := c.shapes[p.Kind]
	if !ok {
		return parcel.Reading{}, fmt.Errorf("cainiao: payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	d := decoder{cainiao: c, shape: s, asked: p.Numbers}
	var err error
	if p.Kind == kindPush {
		err = d.push(p.Body)
	} else {
		err = d.answer(p.Body)
	}
	if err = errors.Join(append(d.faults, err)...); err != nil {
		err = fmt.Errorf("cainiao: %s: %w", p.Kind, err)
	}
	return carrierkit.Happened(d.reading, p), err
}

// decoder gathers what a message says, and what in it cannot be read.
type decoder struct {
	*cainiao
	shape   *shape
	asked   []string
	at      string // the item at hand, for faults
	reading parcel.Reading
	faults  []error
}

func (d *decoder) fault(err error) { d.faults = append(d.faults, fmt.Errorf("%s: %w", d.at, err)) }

// parse reads JSON with numbers as written: epoch milliseconds and numbers of
// parcels must not pass through floating point.
func parse(b []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(carrierkit.TrimMark(b)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("%v: %w", err, parcel.ErrMalformed)
	}
	if dec.More() {
		return nil, fmt.Errorf("more than one JSON value: %w", parcel.ErrMalformed)
	}
	return v, nil
}

// formMessage takes the business message out of a form. A body that is JSON
// already, as logs and samples show messages, is taken as it is.
func formMessage(body []byte) (any, error) {
	if b := bytes.TrimSpace(carrierkit.TrimMark(body)); bytes.HasPrefix(b, []byte("{")) {
		v, err := parse(b)
		if err != nil {
			return nil, err
		}
		if taken, ok := dig(v, []string{"logistics_interface"}); ok {
			return inner(taken), nil
		}
		return v, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("logistics_interface") {
		return nil, fmt.Errorf("no form with logistics_interface: %w", parcel.ErrMalformed)
	}
	return parse([]byte(form.Get("logistics_interface")))
}

func (d *decoder) push(body []byte) error {
	root, err := formMessage(body)
	if err != nil {
		return err
	}
	found, _ := dig(root, d.shape.items)
	items := list(found)
	if len(items) == 0 {
		return fmt.Errorf("nothing at %s: %w", strings.Join(d.shape.items, "."), parcel.ErrMalformed)
	}
	for i, item := range items {
		d.at = fmt.Sprintf("parcel %d", i+1)
		d.parcel(root, item, nil)
	}
	return nil
}

func (d *decoder) answer(body []byte) error {
	root, err := parse(body)
	if err != nil {
		return err
	}
	object, ok := root.(map[string]any)
	if !ok {
		return fmt.Errorf("no object: %w", parcel.ErrMalformed)
	}
	if err := d.refusal(object); err != nil {
		return err
	}
	found, ok := dig(root, d.shape.items)
	if !ok {
		return fmt.Errorf("nothing at %s: %w", strings.Join(d.shape.items, "."), parcel.ErrMalformed)
	}
	for i, item := range list(found) {
		d.at = fmt.Sprintf("parcel %d", i+1)
		d.parcel(root, item, d.result)
	}
	// A number that the answer passes over is not known either, unless it
	// stands in what could not be read.
	for _, asked := range d.asked {
		n := parcel.NormalizeNumber(asked)
		told := slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n })
		if !told && len(d.faults) == 0 {
			d.result(n, parcel.FindingUnknown, "")
		}
	}
	return nil
}

// refusal reads success:false, which comes with status 200.
func (d *decoder) refusal(root map[string]any) error {
	switch strings.ToLower(scalar(root["success"])) {
	case "false", "0", "f", "no":
	default:
		return nil
	}
	code, said := scalar(root["errorCode"]), carrierkit.Quotable(scalar(root["errorMsg"]), 200)
	detail := strings.TrimSpace(code + " " + said)
	about := strings.ToLower(detail)
	mentions := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(about, s) })
	}
	// The list of codes is not established, the families are: signature,
	// permission, time-out.
	switch {
	case slices.Contains(d.deniedCodes, code), mentions("signature", "permission", "unauthor", "digest"):
		return fmt.Errorf("%s: %w", detail, parcel.ErrDenied)
	case mentions("limit", "frequen", "too many"):
		return fmt.Errorf("%s: %w", detail, &parcel.Throttled{})
	default:
		return fmt.Errorf("%s: %w", detail, parcel.ErrUnavailable)
	}
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

// parcel reads one parcel and its events. Result, if there is one, is told
// what became of the number.
func (d *decoder) parcel(root, item any, result func(string, parcel.Finding, string)) {
	item = inner(item)
	if _, ok := item.(map[string]any); !ok {
		d.fault(fmt.Errorf("no object: %w", parcel.ErrMalformed))
		return
	}
	whole := view{shape: d.shape, root: root, item: item}
	written, _ := whole.text(fieldNumber)
	number := parcel.NormalizeNumber(written)
	if number == "" && len(d.asked) == 1 {
		number = parcel.NormalizeNumber(d.asked[0])
	}
	if number == "" {
		d.fault(fmt.Errorf("no number: %w", parcel.ErrMalformed))
		return
	}
	events := []any{item}
	if len(d.shape.events) > 0 {
		found, _ := dig(item, d.shape.events)
		events = list(found)
	}
	first := len(d.reading.Observations)
	at := d.at
	for i, event := range events {
		if len(d.shape.events) > 0 {
			d.at = fmt.Sprintf("%s, event %d", at, i+1)
		}
		if err := d.observe(view{shape: d.shape, root: root, item: item, event: inner(event)}, number); err != nil {
			d.fault(err)
		}
	}
	d.at = at
	d.next(whole, number, d.reading.Observations[first:])
	switch {
	case result == nil:
	case len(events) > 0:
		result(number, parcel.FindingFound, "")
	default:
		status, _ := whole.text(fieldStatus)
		result(number, parcel.FindingUnknown, status)
	}
}

// observe adds one event.
func (d *decoder) observe(v view, number string) error {
	if _, ok := v.event.(map[string]any); !ok {
		return fmt.Errorf("no object: %w", parcel.ErrMalformed)
	}
	// The zone goes with the time that is used: that of a message's header
	// says nothing about the clock in its body.
	written, nth := v.text(fieldTime)
	epoch, _ := v.text(fieldEpoch)
	occurred, err := d.moment(written, v.textAt(fieldZone, nth), epoch)
	if err != nil {
		return err
	}
	code, _ := v.text(fieldCode)
	own := ownCode(code)
	row := d.row(own)
	said, _ := v.text(fieldWords)
	said = carrierkit.CleanWords(said)
	if own == "" && said == "" {
		return fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	o := parcel.Observation{
		Carrier:     name,
		Number:      number,
		OwnCode:     own,
		Code:        row.Code,
		Reason:      row.Reason,
		Words:       said,
		Language:    d.languageOf(said),
		Occurred:    occurred,
		Place:       placeOf(v),
		DeliveredTo: row.DeliveredTo,
		Retracts:    row.Retracts,
		Rule:        row.Rule,
		RuleVersion: d.codes.Version(),
	}
	if o.Reason == "" && len(o.Code.Info().Opens) > 0 {
		o.Reason = reasonIn(said)
	}
	d.reading.Observations = append(d.reading.Observations, o)
	return nil
}

// ownCode is an action code in one spelling: some are written with a
// full-width underscore.
func ownCode(code string) string { return strings.ToUpper(strings.TrimSpace(ascii(code))) }

// ascii turns full-width forms into what they stand for.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E:
			return r - 0xFEE0
		case r == 0x3000:
			return ' '
		}
		return r
	}, s)
}

func (c *cainiao) row(own string) carriers.Row {
	row, _ := c.codes.Lookup(own)
	return row
}

func placeOf(v view) parcel.Place {
	var p parcel.Place
	country, _ := v.text(fieldCountry)
	if parsed, err := parcel.ParseCountry(country); err == nil {
		p.Country = parsed
	}
	p.Region, _ = v.text(fieldRegion)
	p.City, _ = v.text(fieldCity)
	p.Facility, _ = v.text(fieldFacility)
	return p
}

// languageOf trusts the script before the setting: descriptions come in
// Chinese whatever was asked where nobody translated them.
func (c *cainiao) languageOf(said string) string {
	switch script := carrierkit.ScriptOf(said); script {
	case "", "zh":
		return script
	}
	return c.language
}

const (
	// homeOffset is what a blank zone means: Cainiao's own clock.
	homeOffset = 8 * 60 * 60
	// Epochs below this are in seconds: as milliseconds it is March 1973.
	minEpochMillis = 100_000_000_000
	maxEast        = 14 * time.Hour
)

// moment keeps timeStr as the wall clock. The epoch is right where a zone is
// set, so that the two together give the offset; a blank zone means GMT+8.
func (c *cainiao) moment(written, zone, epoch string) (parcel.Moment, error) {
	wall, hasClock, err := face(ascii(written))
	if err != nil {
		return parcel.Moment{}, err
	}
	instant, hasInstant := epochTime(epoch)
	if wall.IsZero() && !hasInstant {
		return parcel.Moment{}, fmt.Errorf("no time: %w", parcel.ErrMalformed)
	}
	loc, certainty := c.zone(zone)
	switch {
	case wall.IsZero():
		if loc == nil {
			loc = time.FixedZone("", homeOffset)
		}
		// The text is the epoch; as a wall clock it reads as in Cainiao's texts.
		return parcel.LocalMoment(epoch, instant.In(loc), loc, certainty), nil
	case !hasClock:
		return parcel.DayMoment(written, wall, loc, certainty), nil
	}
	if between, ok := carrierkit.OffsetBetween(wall, instant); zone != "" && hasInstant && ok {
		return parcel.ReportedMoment(written, instant.In(between)), nil
	}
	return parcel.LocalMoment(written, wall, loc, certainty), nil
}

// zone reads GMT-3, UTC+8 or a zone's name; nil if it is none of these.
func (c *cainiao) zone(written string) (*time.Location, parcel.Certainty) {
	written = strings.TrimSpace(ascii(written))
	if written == "" {
		return time.FixedZone("", homeOffset), parcel.CertaintyAssumed
	}
	if seconds, err := parcel.ParseOffset(written); err == nil {
		return time.FixedZone("", seconds), parcel.CertaintyReported
	}
	if loc := c.zones.Location(written); loc != nil {
		return loc, parcel.CertaintyReported
	}
	return nil, parcel.CertaintyUnknown
}

// face reads a wall clock as if it were UTC; the zero time for empty text.
// HasClock tells whether there was more than a day.
func face(written string) (t time.Time, hasClock bool, err error) {
	if written == "" {
		return time.Time{}, false, nil
	}
	for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006/01/02 15:04:05"} {
		if t, err := time.Parse(layout, written); err == nil {
			return t.Truncate(time.Second), true, nil
		}
	}
	if t, err := time.Parse(time.DateOnly, written); err == nil {
		return t, false, nil
	}
	return time.Time{}, false, fmt.Errorf("time %.40q: %w", written, parcel.ErrMalformed)
}

// epochTime reads epoch milliseconds, or seconds, to the whole second that
// texts are written to.
func epochTime(written string) (time.Time, bool) {
	n, err := strconv.ParseInt(written, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	if n >= minEpochMillis {
		n /= 1000
	}
	// The layouts of times end with the year 9999.
	if n >= 253_402_300_800-int64(maxEast/time.Second) {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// reasonIn finds why a hold or failure happened in what was said of it.
func reasonIn(said string) parcel.Reason {
	said = strings.ToLower(said)
	for _, r := range reasons() {
		for _, sign := range r.signs {
			if strings.Contains(said, sign) {
				return r.reason
			}
		}
	}
	return ""
}

// reasonSigns are words that give a reason away; the first is how Cainiao's
// side says it.
type reasonSigns struct {
	reason parcel.Reason
	signs  []string
}

func reasons() []reasonSigns {
	return []reasonSigns{
		{parcel.ReasonProhibited, []string{"prohibited item", "prohibited", "restricted item", "禁运", "违禁"}},
		{parcel.ReasonDutyUnpaid, []string{"duty unpaid", "duties", "tax payment", "taxes", "税"}},
		{parcel.ReasonDocumentsMissing, []string{"documents missing", "document", "identity number", "passport", "身份"}},
		{parcel.ReasonInspection, []string{"inspection", "查验"}},
		{parcel.ReasonAddressIncorrect, []string{"incorrect address", "address incorrect", "wrong address", "incomplete address", "address error", "地址"}},
		{parcel.ReasonRecipientAbsent, []string{"recipient absent", "not at home", "nobody at home", "absent", "不在家"}},
		{parcel.ReasonRecipientUnreachable, []string{"recipient unreachable", "unable to contact", "cannot be contacted", "联系不上"}},
		{parcel.ReasonRefused, []string{"refused by recipient", "refused", "拒收"}},
		{parcel.ReasonNotCollected, []string{"not collected", "unclaimed"}},
		{parcel.ReasonWeather, []string{"weather", "天气"}},
	}
}

// lastMileCodes are the events in which custody and number change, the surest
// first.
func lastMileCodes() []string {
	return []string{"GTMS_RELABEL", "CC_HO_OUT_SUCCESS", "LAST_MILE_HO_SUCCESS", "GTMS_ACCEPT"}
}

// next records the number under which the last mile goes on: as an alias, and
// with the event that tells of it.
func (d *decoder) next(v view, number string, events []parcel.Observation) {
	written, _ := v.text(fieldNext)
	other := parcel.NormalizeNumber(written)
	if other == "" || other == number {
		return
	}
	destination, _ := v.text(fieldDestination)
	post, _ := v.text(fieldPost)
	carrier := lastMileCarrier(other, destination, post)
	d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: number, Other: other, Carrier: carrier})
	if o := handover(events); o != nil {
		o.NextNumber, o.NextCarrier = other, carrier
	}
}

// handover picks the event in which the number changes, else the newest: it
// came with the number.
func handover(events []parcel.Observation) *parcel.Observation {
	for _, code := range lastMileCodes() {
		if i := slices.IndexFunc(events, func(o parcel.Observation) bool { return o.OwnCode == code }); i >= 0 {
			return &events[i]
		}
	}
	var newest *parcel.Observation
	for i := range events {
		if newest == nil || events[i].Occurred.At.After(newest.Occurred.At) {
			newest = &events[i]
		}
	}
	return newest
}

// lastMileCarrier tells whose number the next one is: the post that Cainiao
// names, or the post that issued it (UPU S10) where that is the destination's
// or the destination is not told. Empty where neither is sure.
func lastMileCarrier(number, destination, post string) string {
	switch named := strings.ToLower(post); {
	case strings.Contains(named, "correios"):
		return "correios"
	case strings.Contains(named, "russian post"), strings.Contains(named, "почта россии"), strings.Contains(named, "pochta"):
		return "russian-post"
	}
	s10, ok := parcel.ParseS10(number)
	if !ok {
		return ""
	}
	if country, err := parcel.ParseCountry(destination); err == nil && country != s10.Origin {
		return ""
	}
	switch s10.Origin {
	case "BR":
		return "correios"
	case "RU":
		return "russian-post"
	}
	return ""
}
