package auspost

import (
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

// The codes that are established: of an id that is not known or none of theirs,
// and of a call with too many ids.
const (
	codeUnknown = "ESB-10001"
	codeTooMany = "51101"
)

const (
	home     = parcel.Country("AU")
	language = "en-AU"
)

type text = carrierkit.Text

// answer is what Track Items says.
type answer struct {
	Results *carrierkit.List[result] `json:"tracking_results"`
	Errors  carrierkit.List[fault]   `json:"errors"`
}

type result struct {
	ID          text                     `json:"tracking_id"`
	Status      text                     `json:"status"`
	Items       carrierkit.List[article] `json:"trackable_items"`
	Consignment carrierkit.List[article] `json:"consignment"`
	Errors      carrierkit.List[fault]   `json:"errors"`
}

// article is an item with its events, or a consignment with items inside.
type article struct {
	Article     text                   `json:"article_id"`
	Consignment text                   `json:"consignment_id"`
	Status      text                   `json:"status"`
	Events      carrierkit.List[event] `json:"events"`
	Items       carrierkit.List[item]  `json:"items"`
}

type item struct {
	Article text                   `json:"article_id"`
	Events  carrierkit.List[event] `json:"events"`
}

type event struct {
	Location    text `json:"location"`
	Description text `json:"description"`
	Date        text `json:"date"`
}

// fault is an error of a call or of an id, whose fields have several names.
type fault struct {
	Code        text `json:"code"`
	ErrorCode   text `json:"error_code"`
	Error       text `json:"error"`
	Message     text `json:"message"`
	Description text `json:"error_description"`
	Name        text `json:"name"`
}

func (f fault) code() string { return first(f.Code, f.ErrorCode, f.Error) }

func (f fault) String() string {
	return carrierkit.Quotable(f.code()+" "+first(f.Message, f.Description, f.Name), 200)
}

func first(texts ...text) string {
	for _, t := range texts {
		if s := t.String(); s != "" {
			return s
		}
	}
	return ""
}

// refusal is the errors of a call that failed as a whole.
type refusal []fault

// readRefusal gives nothing for a body that holds no errors.
func readRefusal(body []byte) refusal {
	var doc answer
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	return doc.Errors.Items
}

// wrap adds the carrier's own words to an error.
func (r refusal) wrap(err error) error {
	if len(r) == 0 || r[0].String() == "" {
		return err
	}
	return fmt.Errorf("%q: %w", r[0].String(), err)
}

// refused is a refusal as an error of its kind, where no status tells it.
func (a *ausPost) refused(r refusal) error {
	switch code := r[0].code(); {
	case slices.Contains(a.deniedCodes, code):
		return r.wrap(parcel.ErrDenied)
	case code == codeTooMany: // ours to get right
		return r.wrap(parcel.ErrMalformed)
	}
	return r.wrap(parcel.ErrUnavailable)
}

// Decode reads an answer for any number of ids.
func (a *ausPost) Decode(p parcel.Payload) (parcel.Reading, error) {
	if p.Kind != kindTrack {
		return parcel.Reading{}, fmt.Errorf("%s: payload kind %q is none: %w", name, p.Kind, parcel.ErrMalformed)
	}
	d := decoder{ausPost: a, answered: map[string]bool{}}
	if err := d.read(p); err != nil {
		return carrierkit.Happened(d.reading, p), fmt.Errorf("%s: %w", name, err)
	}
	return carrierkit.Happened(d.reading, p), nil
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*ausPost
	reading  parcel.Reading
	answered map[string]bool
	errs     []error
}

func (d *decoder) read(p parcel.Payload) error {
	body := carrierkit.TrimMark(p.Body)
	var doc answer
	if err := json.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	if doc.Results == nil && len(doc.Errors.Items) > 0 {
		return d.refused(doc.Errors.Items)
	}
	if doc.Results == nil {
		return fmt.Errorf("neither tracking_results nor errors: %w", parcel.ErrMalformed)
	}
	d.errs = slices.Concat(doc.Results.Faults, doc.Errors.Faults)
	for i := range doc.Results.Items {
		r := &doc.Results.Items[i]
		number := parcel.NormalizeNumber(r.ID.String())
		if number == "" && len(p.Numbers) == 1 && len(doc.Results.Items) == 1 {
			number = parcel.NormalizeNumber(p.Numbers[0])
		}
		if number == "" {
			d.fail(fmt.Sprintf("result %d", i+1), fmt.Errorf("no tracking_id: %w", parcel.ErrMalformed))
			continue
		}
		d.answered[number] = true
		d.result(number, r)
	}
	// A result that could not be read may be the one that seems missing.
	if len(d.errs) == 0 {
		for _, n := range p.Numbers {
			if n = parcel.NormalizeNumber(n); !d.answered[n] {
				d.finding(n, parcel.FindingUnknown, "not in the answer")
			}
		}
	}
	return errors.Join(d.errs...)
}

func (d *decoder) fail(what string, errs ...error) {
	for _, err := range errs {
		d.errs = append(d.errs, fmt.Errorf("%s: %w", what, err))
	}
}

func (d *decoder) finding(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

func (d *decoder) result(number string, r *result) {
	articles := slices.Concat(r.Consignment.Items, r.Items.Items)
	switch {
	case len(articles) > 0:
		// The status of an article only sums its events up.
		d.finding(number, parcel.FindingFound, r.Status.String())
	case len(r.Errors.Items) > 0:
		if f := r.Errors.Items[0]; f.code() == codeUnknown {
			d.finding(number, parcel.FindingUnknown, f.String())
		} else {
			d.fail(number, d.refused(r.Errors.Items))
		}
	case len(r.Items.Faults) > 0 || len(r.Errors.Faults) > 0:
	case r.Status == "" || strings.EqualFold(r.Status.String(), "Unknown"):
		d.finding(number, parcel.FindingUnknown, r.Status.String())
	default: // known, and not scanned yet
		d.finding(number, parcel.FindingFound, r.Status.String())
	}
	d.fail(number, slices.Concat(r.Items.Faults, r.Errors.Faults, r.Consignment.Faults)...)
	from, items := len(d.reading.Observations), 0
	for _, a := range articles {
		// Both forms are in use: an article with events, and a consignment with
		// articles inside.
		d.article(number, first(a.Article, a.Consignment), a.Events)
		d.fail(number+", items", a.Items.Faults...)
		for _, i := range a.Items.Items {
			d.article(number, i.Article.String(), i.Events)
		}
		items += len(a.Items.Items) + len(a.Items.Faults)
	}
	d.partly(d.reading.Observations[from:], items)
}

// partly takes back what ends the journey of a consignment's item while other
// items are under way: the consignment is delivered when all of them are.
func (d *decoder) partly(scans []parcel.Observation, items int) {
	ends := func(o parcel.Observation) bool { return o.Code.Info().Outcome != "" }
	ended := map[string]bool{}
	for _, o := range scans {
		if ends(o) {
			ended[o.Parcel] = true
		}
	}
	if ended[""] || len(ended) >= items {
		return // said of the consignment itself, or of all its items
	}
	for i := range scans {
		if o := &scans[i]; ends(*o) {
			row, _ := d.codes.Lookup("part of a consignment: " + strings.ToLower(string(o.Code)))
			o.Code, o.Reason, o.DeliveredTo, o.Rule = row.Code, row.Reason, row.DeliveredTo, row.Rule
		}
	}
}

// article tells the events of an article under the id that was asked for. Where
// a consignment has several, its own id keeps them apart.
func (d *decoder) article(number, id string, events carrierkit.List[event]) {
	id = parcel.NormalizeNumber(id)
	if id == number {
		id = ""
	}
	if alias := (parcel.Alias{Number: number, Other: id}); id != "" && !slices.Contains(d.reading.Aliases, alias) {
		d.reading.Aliases = append(d.reading.Aliases, alias)
	}
	d.fail(number+", events", events.Faults...)
	for i, e := range events.Items {
		o, err := d.observation(e)
		if err != nil {
			d.fail(fmt.Sprintf("%s, event %d", number, i+1), err)
			continue
		}
		o.Number, o.Parcel = number, id
		d.reading.Observations = append(d.reading.Observations, o)
	}
}

func (d *decoder) observation(e event) (parcel.Observation, error) {
	words := carrierkit.CleanWords(e.Description.String())
	if words == "" {
		return parcel.Observation{}, fmt.Errorf("no description: %w", parcel.ErrMalformed)
	}
	written := e.Date.String()
	// The offset is Melbourne's wherever the scan was made: it makes the instant
	// right and says nothing of the place.
	at, err := time.Parse(time.RFC3339, written)
	if err != nil {
		return parcel.Observation{}, fmt.Errorf("date %.40q: %w", written, parcel.ErrMalformed)
	}
	row := d.row(words)
	if row.Code == parcel.CodeDelivered && row.DeliveredTo == "" {
		row.DeliveredTo = carrierkit.ReceiverIn(words)
	}
	return parcel.Observation{
		Carrier: name, Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Language: language, Occurred: parcel.ReportedMoment(written, at), Place: place(e.Location.String()),
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}, nil
}

// row reads a description by how it begins.
func (a *ausPost) row(words string) carriers.Row {
	key := strings.ToLower(strings.Join(strings.Fields(words), " "))
	if where, ok := strings.CutPrefix(key, "arrived in "); ok {
		if _, err := parcel.ParseCountry(where); err == nil {
			key = "arrived in {country}"
		}
	}
	row, _ := a.codes.Lookup(key)
	return row
}

// place reads a location: "KEW VIC", "CHICAGO (US)", "US-60199, UNITED STATES",
// "NZ", "CHINA", and what is no place, "Transit Scan".
func place(location string) parcel.Place {
	location = strings.Join(strings.Fields(location), " ")
	if location == "" {
		return parcel.Place{}
	}
	if c, err := parcel.ParseCountry(location); err == nil {
		return parcel.Place{Country: c}
	}
	if city, code, ok := strings.Cut(strings.TrimSuffix(location, ")"), " ("); ok && strings.HasSuffix(location, ")") {
		if c, err := parcel.ParseCountry(code); err == nil {
			return parcel.Place{Country: c, City: city}
		}
	}
	if i := strings.LastIndex(location, ", "); i > 0 {
		if c, err := parcel.ParseCountry(location[i+2:]); err == nil {
			return parcel.Place{Country: c, Facility: location[:i]}
		}
	}
	if i := strings.LastIndexByte(location, ' '); i > 0 && state(location[i+1:]) {
		return parcel.Place{Country: home, Region: location[i+1:], City: location[:i]}
	}
	return parcel.Place{Facility: location}
}

// state tells the states and territories of Australia, which are written in
// capitals.
func state(s string) bool {
	switch s {
	case "ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA":
		return true
	}
	return false
}
