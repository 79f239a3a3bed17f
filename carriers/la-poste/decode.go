package laposte

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// minPartnerNumber is the fewest characters of a partner's reference that is
// taken for a number: shorter ones are the sender's own notes.
const minPartnerNumber = 8

type text = carrierkit.Text

// answer is what is said about one number. One number gives an object, several
// an array of these.
type answer struct {
	ReturnCode text                      `json:"returnCode"`
	Message    text                      `json:"returnMessage"`
	Number     text                      `json:"idShip"`
	Lang       text                      `json:"lang"`
	Shipment   carrierkit.List[shipment] `json:"shipment"`

	// The gateway in front of the service refuses in words of its own.
	GatewayCode    text `json:"code"`
	GatewayMessage text `json:"message"`
}

type shipment struct {
	Number   text                   `json:"idShip"`
	Estimate text                   `json:"estimDate"`
	Events   carrierkit.List[event] `json:"event"`
	Timeline carrierkit.List[step]  `json:"timeline"`
	Context  carrierkit.List[ends]  `json:"contextData"`
}

type event struct {
	Code  text `json:"code"`
	Label text `json:"label"`
	Date  text `json:"date"`
}

// step is one of five of the progress bar.
type step struct {
	ID      text `json:"id"`
	Short   text `json:"shortLabel"`
	Date    text `json:"date"`
	Country text `json:"country"`
	Reached text `json:"status"`
}

// ends tells where an item comes from and goes to, and who else carries it.
type ends struct {
	Origin  text                     `json:"originCountry"`
	Arrival text                     `json:"arrivalCountry"`
	Partner carrierkit.List[partner] `json:"partner"`
}

type partner struct {
	Reference text `json:"reference"`
}

// readAnswers reads a body: an object or an array of objects.
func readAnswers(body []byte) (carrierkit.List[answer], error) {
	var answers carrierkit.List[answer]
	if err := json.Unmarshal(carrierkit.TrimMark(body), &answers); err != nil {
		return answers, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	return answers, nil
}

// unknown tells whether an answer says that the number is not known, or that
// it is none La Poste could know.
func (a *answer) unknown() bool {
	code, _ := a.ReturnCode.Int()
	return code == http.StatusNotFound || code == http.StatusBadRequest
}

// refusal is an answer without a shipment as an error of its kind.
func (a *answer) refusal() error {
	code, ok := a.ReturnCode.Int()
	said := strings.TrimSpace(a.ReturnCode.String() + " " + a.Message.String())
	if gateway := strings.ToUpper(a.GatewayCode.String()); !ok && gateway != "" {
		said = gateway + " " + a.GatewayMessage.String()
		switch gateway {
		case "UNAUTHORIZED":
			code = http.StatusUnauthorized
		case "FORBIDDEN":
			code = http.StatusForbidden
		case "TOO_MANY_REQUESTS":
			code = http.StatusTooManyRequests
		default:
			code = http.StatusServiceUnavailable
		}
	}
	said = carrierkit.Quotable(said, 200)
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%q: %w", said, parcel.ErrDenied)
	case code == http.StatusTooManyRequests:
		return fmt.Errorf("%q: %w", said, &parcel.Throttled{})
	case said == "", code == http.StatusOK:
		return fmt.Errorf("neither shipment nor refusal: %w", parcel.ErrMalformed)
	}
	return fmt.Errorf("%q: %w", said, parcel.ErrUnavailable)
}

// Decode reads an answer for any number of items.
func (l *laPoste) Decode(p parcel.Payload) (parcel.Reading, error) {
	if p.Kind != kindTrack {
		return parcel.Reading{}, fmt.Errorf("%s: payload kind %q is none: %w", name, p.Kind, parcel.ErrMalformed)
	}
	d := decoder{laPoste: l, answered: map[string]bool{}}
	if err := d.read(p); err != nil {
		return carrierkit.Happened(d.reading, p), fmt.Errorf("%s: %w", name, err)
	}
	return carrierkit.Happened(d.reading, p), nil
}

// decoder gathers what an answer says, and what in it cannot be read.
type decoder struct {
	*laPoste
	reading  parcel.Reading
	answered map[string]bool
	errs     []error
}

func (d *decoder) read(p parcel.Payload) error {
	answers, err := readAnswers(p.Body)
	if err != nil {
		return err
	}
	if len(answers.Items) == 0 && len(answers.Faults) == 0 {
		return fmt.Errorf("no answer in it: %w", parcel.ErrMalformed)
	}
	d.errs = answers.Faults
	asked := make([]string, len(p.Numbers))
	for i, n := range p.Numbers {
		asked[i] = parcel.NormalizeNumber(n)
	}
	for i := range answers.Items {
		called := ""
		if len(asked) == 1 && len(answers.Items) == 1 {
			called = asked[0]
		}
		d.answer(&answers.Items[i], called)
	}
	// An answer that could not be read may be the one that seems missing.
	if len(d.errs) == 0 {
		for _, n := range asked {
			if !d.answered[n] {
				d.result(n, parcel.FindingUnknown, d.silence(answers.Items))
			}
		}
	}
	return errors.Join(d.errs...)
}

// silence is why a number has no answer of its own: where none of several is
// known, one refusal may stand for all.
func (d *decoder) silence(answers []answer) string {
	if len(answers) == 1 && answers[0].unknown() {
		return answers[0].Message.String()
	}
	return "not in the answer"
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.answered[number] = true
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

// answer reads one. Who asked for one number gets an answer about that one,
// whatever it is called in it: called is its name then, and else empty.
func (d *decoder) answer(a *answer, called string) {
	s := a.Shipment.First()
	number := parcel.NormalizeNumber(s.Number.String())
	if number == "" {
		number = parcel.NormalizeNumber(a.Number.String())
	}
	if called != "" {
		if number != "" && number != called && len(a.Shipment.Items) > 0 {
			d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: called, Other: number})
		}
		number = called
	}
	switch {
	case len(a.Shipment.Items) > 0 && number != "":
		d.result(number, parcel.FindingFound, "")
		d.shipment(number, &s, a.Lang.String())
	case len(a.Shipment.Items) > 0:
		d.errs = append(d.errs, fmt.Errorf("a shipment without a number: %w", parcel.ErrMalformed))
	case a.unknown() && number != "":
		d.result(number, parcel.FindingUnknown, strings.TrimSpace(a.ReturnCode.String()+" "+a.Message.String()))
	case a.unknown():
		// It stands for all that were asked.
	default:
		err := a.refusal()
		if number != "" {
			err = fmt.Errorf("%s: %w", number, err)
		}
		d.errs = append(d.errs, err)
	}
}

func (d *decoder) shipment(number string, s *shipment, lang string) {
	fail := func(what string, err error) { d.errs = append(d.errs, fmt.Errorf("%s, %s: %w", number, what, err)) }
	way := s.Context.First()
	r := route{origin: country(way.Origin), arrival: country(way.Arrival)}
	for _, err := range s.Events.Faults {
		fail("events", err)
	}
	first := len(d.reading.Observations)
	tell := func(what, code string, e event, at parcel.Place) {
		o, err := d.observation(number, code, e, at, r, lang)
		if err != nil {
			fail(what, err)
			return
		}
		d.reading.Observations = append(d.reading.Observations, o)
	}
	for i, e := range s.Events.Items {
		tell(fmt.Sprintf("event %d", i+1), strings.ToUpper(e.Code.String()), e, parcel.Place{Country: r.of(strings.ToUpper(e.Code.String()))})
	}
	if len(s.Events.Items) == 0 && len(s.Events.Faults) == 0 {
		for i, t := range s.Timeline.Items {
			if !t.Reached.True() || t.Date == "" {
				continue // a step without a day is no event
			}
			tell(fmt.Sprintf("step %d", i+1), "timeline/"+t.ID.String(), event{Label: t.Short, Date: t.Date}, parcel.Place{Country: country(t.Country)})
		}
	}
	d.handOver(d.reading.Observations[first:], number, parcel.NormalizeNumber(way.Partner.First().Reference.String()), r)
	if written := s.Estimate.String(); written != "" {
		day, err := time.Parse(parcel.DayLayout, written[:min(len(written), len(parcel.DayLayout))])
		if err != nil {
			fail("estimDate", fmt.Errorf("%.40q is no day: %w", written, parcel.ErrMalformed))
		} else {
			at := day.Format(parcel.DayLayout)
			d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: at, Last: at})
		}
	}
}

// handOver tells the number that the partner abroad knows the item by: the one
// it goes on under if it leaves France, another name for it if it came from
// there. It is told with the oldest scan, which every later answer has too.
func (d *decoder) handOver(scans []parcel.Observation, number, reference string, r route) {
	if len(reference) < minPartnerNumber || reference == number || !strings.ContainsAny(reference, "0123456789") {
		return
	}
	if r.arrival == "" || french(r.arrival) || len(scans) == 0 {
		d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: number, Other: reference})
		return
	}
	oldest := 0
	for i := range scans {
		if scans[i].Occurred.At.Before(scans[oldest].Occurred.At) {
			oldest = i
		}
	}
	scans[oldest].NextNumber = reference
}

func (d *decoder) observation(number, code string, e event, at parcel.Place, r route, lang string) (parcel.Observation, error) {
	words := carrierkit.CleanWords(e.Label.String())
	if code == "" && words == "" {
		return parcel.Observation{}, fmt.Errorf("neither code nor words: %w", parcel.ErrMalformed)
	}
	abroad := r.of(code) != "" && !french(r.of(code))
	occurred, err := d.moment(e.Date.String(), abroad || at.Country != "" && !french(at.Country))
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
		o.Language = strings.ReplaceAll(lang, "_", "-")
	}
	return o, nil
}

// moment reads a time. The offset is that of Paris, which the source of a scan
// abroad does not keep: then it is a rule and no report.
func (d *decoder) moment(written string, abroad bool) (parcel.Moment, error) {
	if written == "" {
		return parcel.Moment{}, fmt.Errorf("no date: %w", parcel.ErrMalformed)
	}
	if t, err := time.Parse(time.RFC3339, written); err == nil {
		if abroad {
			_, offset := t.Zone()
			return parcel.LocalMoment(written, t, time.FixedZone("", offset), parcel.CertaintyAssumed), nil
		}
		return parcel.ReportedMoment(written, t), nil
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", parcel.DayLayout} {
		if m, err := d.zones.Local(written, layout, parcel.Place{}, "Europe/Paris", parcel.CertaintyAssumed); err == nil {
			return m, nil
		}
	}
	return parcel.Moment{}, fmt.Errorf("date %.40q: %w", written, parcel.ErrMalformed)
}

// route is where an item comes from and goes to; either may be empty.
type route struct{ origin, arrival parcel.Country }

// of is the country in which an event of that code happens. La Poste names
// places to nobody, but some codes happen at one end only.
func (r route) of(code string) parcel.Country {
	switch code {
	case "DR1", "PC1", "PC2", "ET2", "DI2":
		return r.origin
	case "ET3", "EP1", "DO1", "DO2", "DO3", "MD2", "ND1", "AG1", "AN1", "DI1":
		return r.arrival
	}
	return ""
}

func country(t text) parcel.Country {
	c, err := parcel.ParseCountry(t.String())
	if err != nil {
		return ""
	}
	return c
}

// french tells whether a country's scans are La Poste's own, made by the clock
// of Paris. The territories overseas keep other clocks.
func french(c parcel.Country) bool { return c == "FR" || c == "MC" }
