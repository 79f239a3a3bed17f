package dhlunified

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

type text = carrierkit.Text

// answer is shipments, of which there are several where a number exists in
// several divisions, or a problem (RFC 7807).
type answer struct {
	Shipments *carrierkit.List[shipment] `json:"shipments"`
	Scope     text                       `json:"scope"`
	problem
}

type problem struct {
	Title  text `json:"title"`
	Detail text `json:"detail"`
	Status text `json:"status"`
}

func (p problem) String() string {
	s := strings.TrimSpace(p.Status.String() + " " + p.Title.String() + ": " + p.Detail.String())
	return strings.TrimRight(carrierkit.Quotable(s, 200), ": ")
}

func (p problem) isZero() bool { return p == problem{} }

// isProblem tells whether a body is DHL's own word, and no gateway's.
func isProblem(body []byte) bool {
	var p problem
	return json.Unmarshal(body, &p) == nil && p.Title != "" && p.Status != ""
}

type shipment struct {
	ID       text                       `json:"id"`
	Service  text                       `json:"service"`
	Status   carrierkit.List[event]     `json:"status"`
	Events   carrierkit.List[event]     `json:"events"`
	Details  carrierkit.List[details]   `json:"details"`
	To       carrierkit.List[location]  `json:"destination"`
	Expected text                       `json:"estimatedTimeOfDelivery"`
	Frame    carrierkit.List[timeFrame] `json:"estimatedDeliveryTimeFrame"`
	Returned text                       `json:"returnFlag"`
}

type timeFrame struct {
	From    text `json:"estimatedFrom"`
	Through text `json:"estimatedThrough"`
}

type event struct {
	Timestamp   text                      `json:"timestamp"`
	StatusCode  text                      `json:"statusCode"`
	Status      text                      `json:"status"`
	Description text                      `json:"description"`
	Remark      text                      `json:"remark"`
	Location    carrierkit.List[location] `json:"location"`
}

type location struct {
	Address carrierkit.List[address] `json:"address"`
}

type address struct {
	Country  text `json:"countryCode"`
	Region   text `json:"addressRegion"`
	Postcode text `json:"postalCode"`
	Locality text `json:"addressLocality"`
}

type details struct {
	Pieces     carrierkit.List[text]      `json:"pieceIds"`
	References carrierkit.List[reference] `json:"references"`
	Provider   carrierkit.List[provider]  `json:"provider"`
}

type reference struct {
	Number text `json:"number"`
	Type   text `json:"type"`
}

type provider struct {
	Destination text `json:"destinationProvider"`
}

// Decode reads an answer or a push: both hold shipments.
func (d *dhl) Decode(p parcel.Payload) (parcel.Reading, error) {
	if p.Kind != kindTrack && p.Kind != kindPush {
		return parcel.Reading{}, fmt.Errorf("%s: payload kind %q is none: %w", name, p.Kind, parcel.ErrMalformed)
	}
	rd := decoder{dhl: d}
	if err := rd.read(p); err != nil {
		return carrierkit.Happened(rd.reading, p), fmt.Errorf("%s: %s: %w", name, p.Kind, err)
	}
	return carrierkit.Happened(rd.reading, p), nil
}

// decoder gathers what a payload says, and what in it cannot be read.
type decoder struct {
	*dhl
	reading parcel.Reading
	errs    []error
}

func (d *decoder) read(p parcel.Payload) error {
	body := carrierkit.TrimMark(p.Body)
	var doc answer
	if err := json.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	var asked []string
	for _, n := range p.Numbers {
		asked = append(asked, parcel.NormalizeNumber(n))
	}
	switch {
	case doc.Shipments != nil:
	case p.Kind == kindPush && strings.HasPrefix(doc.Scope.String(), "subscription."):
		return nil // about the subscription
	case p.Kind == kindPush:
		// Some pushes are the shipment itself.
		doc.Shipments = &carrierkit.List[shipment]{}
		if err := json.Unmarshal(body, doc.Shipments); err != nil {
			return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
		}
	default:
		return d.problem(doc.problem, asked)
	}
	d.errs = doc.Shipments.Faults
	called := ""
	if len(asked) == 1 {
		called = asked[0]
	}
	for i := range doc.Shipments.Items {
		if s := &doc.Shipments.Items[i]; called == "" || !d.another(s, doc.Shipments.Items) {
			d.shipment(i, s, called)
		}
	}
	for _, n := range asked {
		switch {
		case slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }):
		case len(d.errs) == 0:
			d.result(n, parcel.FindingUnknown, "no shipment")
		}
	}
	return errors.Join(d.errs...)
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

// longestSilence is how long a parcel may be without a scan between two
// divisions. What lies further apart is two parcels of one number.
const longestSilence = 60 * 24 * time.Hour

// another tells whether a shipment is another parcel than the one scanned last
// that bears the number too: it goes to another country, or it was over long
// before that one's first scan. DHL gives numbers out again, and its divisions
// do not ask one another.
func (d *decoder) another(s *shipment, all []shipment) bool {
	if len(all) == 1 {
		return false
	}
	_, last := d.span(s)
	for i := range all {
		first, newest := d.span(&all[i])
		if !newest.After(last) {
			continue
		}
		here, there := s.destination(), all[i].destination()
		if here != "" && there != "" && here != there || !last.IsZero() && first.Sub(last) > longestSilence {
			return true
		}
	}
	return false
}

// span is from the first to the last scan of a shipment; zero without scans.
func (d *decoder) span(s *shipment) (first, last time.Time) {
	for i := range s.Events.Items {
		e := &s.Events.Items[i]
		m, err := d.moment(e.Timestamp.String(), e.place())
		if err != nil {
			continue
		}
		if first.IsZero() || m.At.Before(first) {
			first = m.At
		}
		if m.At.After(last) {
			last = m.At
		}
	}
	return first, last
}

// destination is the country that a shipment goes to; empty if it is not told.
func (s *shipment) destination() parcel.Country {
	e := event{Location: s.To}
	return e.place().Country
}

// problem reads an answer without shipments by the status told in it.
func (d *decoder) problem(p problem, asked []string) error {
	kind := parcel.ErrUnavailable
	switch status, _ := p.Status.Int(); {
	case p.isZero():
		return fmt.Errorf("neither shipments nor a problem: %w", parcel.ErrMalformed)
	case status == http.StatusNotFound:
		for _, n := range asked {
			d.result(n, parcel.FindingUnknown, p.String())
		}
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		kind = parcel.ErrDenied
	case status == http.StatusTooManyRequests:
		kind = &parcel.Throttled{}
	case status == http.StatusBadRequest:
		kind = parcel.ErrMalformed
	}
	return fmt.Errorf("%q: %w", p.String(), kind)
}

// shipment tells a shipment under the number that was asked for, whatever it is
// called in the answer; called is empty where nobody asked.
func (d *decoder) shipment(i int, s *shipment, called string) {
	id := parcel.NormalizeNumber(s.ID.String())
	number := cmp.Or(called, id)
	at := fmt.Sprintf("shipment %d", i+1)
	fail := func(what string, errs ...error) {
		for _, err := range errs {
			d.errs = append(d.errs, fmt.Errorf("%s, %s: %w", at, what, err))
		}
	}
	if number == "" {
		fail("id", fmt.Errorf("missing: %w", parcel.ErrMalformed))
		return
	}
	d.found(number, s.Service.String())
	fail("events", s.Events.Faults...)
	var scans []parcel.Observation
	tell := func(what string, e *event) {
		o, err := d.observation(e)
		if err != nil {
			fail(what, err)
			return
		}
		o.Number, o.Parcel = number, strings.ToLower(s.Service.String())
		scans = append(scans, o)
	}
	for k := range s.Events.Items {
		tell(fmt.Sprintf("event %d", k+1), &s.Events.Items[k])
	}
	// The list is newest first, and not quite.
	slices.Reverse(scans)
	slices.SortStableFunc(scans, func(a, b parcel.Observation) int { return a.Occurred.At.Compare(b.Occurred.At) })
	// The status repeats the newest scan, unless it is all there is.
	if status := s.Status.First(); status.Timestamp != "" && !d.among(&status, scans) {
		tell("status", &status)
	}
	if s.Returned.True() {
		// Delivered is back with the consignor: DHL says so once for all scans.
		if last := lastIndex(scans, parcel.CodeDelivered); last >= 0 {
			scans[last].DeliveredTo = parcel.DeliveredToSender
		}
	}
	d.names(scans, number, id, s.Details.First())
	d.reading.Observations = append(d.reading.Observations, scans...)
	fail("estimate", d.estimate(number, s)...)
}

// found notes that a division knows the number, and which ones do where there
// are several: one of them may speak of another parcel.
func (d *decoder) found(number, service string) {
	for i := range d.reading.Results {
		if r := &d.reading.Results[i]; r.Number == number {
			r.Detail = strings.Trim(r.Detail+", "+service, ", ")
			return
		}
	}
	d.result(number, parcel.FindingFound, service)
}

// among tells whether the status repeats one of the scans. The two may write
// the same time in different forms. A status of which nobody can tell is one
// more fault only where it is all there is.
func (d *decoder) among(status *event, scans []parcel.Observation) bool {
	at, err := d.moment(status.Timestamp.String(), status.place())
	return err != nil && len(scans) > 0 || slices.ContainsFunc(scans, func(s parcel.Observation) bool {
		return s.Occurred.At.Equal(at.At) || s.Occurred.Wall == at.Wall
	})
}

func lastIndex(scans []parcel.Observation, code parcel.Code) int {
	for i, o := range slices.Backward(scans) {
		if o.Code == code {
			return i
		}
	}
	return -1
}

// names tells under what other numbers the shipment goes: its id, its only
// piece, and its number with the carrier that delivers it. That one is told
// with the oldest scan, which every later answer has too.
func (d *decoder) names(scans []parcel.Observation, number, id string, s details) {
	alias := func(other string) {
		if a := (parcel.Alias{Number: number, Other: other}); other != "" && other != number && !slices.Contains(d.reading.Aliases, a) {
			d.reading.Aliases = append(d.reading.Aliases, a)
		}
	}
	alias(id)
	if len(s.Pieces.Items) == 1 {
		alias(parcel.NormalizeNumber(s.Pieces.Items[0].String()))
	}
	for _, r := range s.References.Items {
		next := parcel.NormalizeNumber(r.Number.String())
		if r.Type.String() != "local-tracking-number" || next == "" || next == number || len(scans) == 0 {
			continue
		}
		scans[0].NextNumber, scans[0].NextCarrier = next, deliverer(s.Provider.First().Destination.String())
	}
}

// deliverer is our name for who delivers in the country of destination; empty
// for DHL's own houses, and for those that nobody has named here.
func deliverer(provider string) string {
	switch provider {
	case "anpost":
		return "an-post"
	case "bpost":
		return "bpost"
	case "chronopost":
		return "la-poste"
	case "hrvatska-posta":
		return "croatian-post"
	case "magyar-posta":
		return "magyar-posta"
	case "oepag":
		return "austrian-post"
	case "posta-slovenije":
		return "posta-slovenije"
	case "poste-italiane":
		return "poste-italiane"
	case "posti":
		return "posti"
	}
	return ""
}

// estimate takes the window of delivery, else the day.
func (d *decoder) estimate(number string, s *shipment) []error {
	frame := s.Frame.First()
	from, err1 := day(cmp.Or(frame.From, frame.Through, s.Expected))
	last, err2 := day(cmp.Or(frame.Through, frame.From, s.Expected))
	if err := errors.Join(err1, err2); err != nil {
		return []error{err}
	}
	if from != "" && from <= last {
		d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: from, Last: last})
	}
	return nil
}

// day is the day on the wall of a time; empty for none.
func day(t text) (string, error) {
	written := t.String()
	at, err := time.Parse(parcel.DayLayout, written[:min(len(written), len(parcel.DayLayout))])
	switch {
	case written == "":
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%.40q is no day: %w", written, parcel.ErrMalformed)
	}
	return at.Format(parcel.DayLayout), nil
}

func (d *decoder) observation(e *event) (parcel.Observation, error) {
	place := e.place()
	occurred, err := d.moment(e.Timestamp.String(), place)
	if err != nil {
		return parcel.Observation{}, err
	}
	state, status := strings.ToLower(e.StatusCode.String()), carrierkit.CleanWords(e.Status.String())
	words := cmp.Or(carrierkit.CleanWords(e.Description.String()), status)
	if words == "" && state == "" {
		return parcel.Observation{}, fmt.Errorf("neither status code nor words: %w", parcel.ErrMalformed)
	}
	row := d.row(state, strings.Join([]string{words, status, carrierkit.CleanWords(e.Remark.String())}, ". "))
	o := parcel.Observation{
		Carrier: name, OwnCode: ownCode(state, status),
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Occurred: occurred, Place: place,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if o.DeliveredTo == "" && o.Code == parcel.CodeDelivered {
		o.DeliveredTo = carrierkit.ReceiverIn(words)
	}
	if words != "" {
		o.Language = d.dhl.language
	}
	return o, nil
}

// row reads a status code by the words beside it.
func (d *dhl) row(state, words string) carriers.Row {
	if row, ok := d.phrases.Lookup(state, words); ok {
		return row
	}
	row, _ := d.codes.Lookup(state)
	return row
}

// ownCode joins the status code and the division's own. Where the division
// writes a sentence in its place, which changes with the language, there is no
// code, and the rule that read it is the event's identity.
func ownCode(state, status string) string {
	const longest = 30
	if state == "" || status == "" || len(status) > longest || strings.ToUpper(status) != status || strings.ContainsAny(status, ".,;:!?[]") {
		return ""
	}
	return state + "/" + status
}

// place reads a location. Divisions that name no country by code write it into
// the locality: "LEIPZIG - GERMANY", "Germany".
func (e *event) place() parcel.Place {
	a := e.Location.First().Address.First()
	p := parcel.Place{Region: a.Region.String(), Postcode: a.Postcode.String(), City: withoutStreet(a.Locality.String())}
	country, err := parcel.ParseCountry(a.Country.String())
	if err == nil {
		p.Country = country
	}
	if i := strings.LastIndex(p.City, " - "); i > 0 {
		if c, err := parcel.ParseCountry(p.City[i+3:]); err == nil && (p.Country == "" || p.Country == c) {
			p.Country, p.City = c, strings.TrimSpace(p.City[:i])
		}
	}
	if c, err := parcel.ParseCountry(p.City); err == nil && p.Country == "" {
		p.Country, p.City = c, ""
	}
	return p
}

// withoutStreet takes the street off a locality: "HAUPTSTR. 12, LEIPZIG". Only
// a house number tells it from the name of a place.
func withoutStreet(locality string) string {
	trimmed := strings.TrimSpace(locality)
	i := strings.LastIndex(trimmed, ", ")
	if i < 0 || !strings.ContainsAny(trimmed[:i], "0123456789") || strings.Contains(trimmed[:i], " - ") {
		return locality
	}
	return trimmed[i+2:]
}

// moment reads a time: as it is written where it carries an offset, else by the
// clock of the place.
func (d *decoder) moment(written string, at parcel.Place) (parcel.Moment, error) {
	if written == "" {
		return parcel.Moment{}, fmt.Errorf("no timestamp: %w", parcel.ErrMalformed)
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, written); err == nil {
			return parcel.ReportedMoment(written, t), nil
		}
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", parcel.DayLayout} {
		if m, err := d.zones.Local(written, layout, at, "", parcel.CertaintyUnknown); err == nil {
			return m, nil
		}
	}
	return parcel.Moment{}, fmt.Errorf("timestamp %.40q: %w", written, parcel.ErrMalformed)
}
