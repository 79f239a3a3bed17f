package sfexpress

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// What a call as a whole came to.
const (
	codeAccepted     = "A1000" // look inside
	codeNoParameter  = "A1001"
	codeTokenExpired = "A1002"
	codeAddress      = "A1003" // our IP address is not on the list
	codePermission   = "A1004"
	codeThrottled    = "A1005"
	codeSignature    = "A1006"
	codeDuplicate    = "A1007"
	codeDecryption   = "A1008"
)

// What the service says inside an accepted call.
const (
	codeSuccess       = "S0000"
	codeTooMany       = "8003"
	codeNoNumber      = "8013"
	codeWaybillFormat = "8247"
)

// maxQuoted bounds what an error repeats of SF's words, in bytes.
const maxQuoted = 200

// home is the clock of all times. It is an offset and no zone: scans abroad
// carry it too, and a zone would name the wrong place.
func home() *time.Location { return time.FixedZone("", 8*60*60) }

// envelope is what every answer has.
type envelope struct {
	Code    carrierkit.Text `json:"apiResultCode"`
	Message carrierkit.Text `json:"apiErrorMsg"`
}

// refusal is the envelope as an error of its kind; nil if the call was
// accepted.
func (e *envelope) refusal() error {
	code := e.Code.String()
	var kind error
	switch code {
	case codeAccepted:
		return nil
	case "":
		return fmt.Errorf("no apiResultCode: %w", parcel.ErrMalformed)
	case codeTokenExpired, codeAddress, codePermission, codeSignature:
		kind = parcel.ErrDenied
	case codeThrottled:
		kind = &parcel.Throttled{}
	case codeNoParameter, codeDecryption: // ours to get right
		kind = parcel.ErrMalformed
	default: // duplicate request, backend, system
		kind = parcel.ErrUnavailable
	}
	return fmt.Errorf("%.20s %q: %w", code, carrierkit.Quotable(e.Message.String(), maxQuoted), kind)
}

// answer is what a question comes to: JSON, and in it a text of JSON.
type answer struct {
	envelope
	Data json.RawMessage `json:"apiResultData"`
}

type result struct {
	Success carrierkit.Text `json:"success"`
	Code    carrierkit.Text `json:"errorCode"`
	Message carrierkit.Text `json:"errorMsg"`
	Data    json.RawMessage `json:"msgData"`
}

// refusesNumbers tells whether the service only says that a number is none of
// its waybills or orders.
func (r *result) refusesNumbers() bool {
	switch r.Code.String() {
	case "8018", "8024", "6150", codeWaybillFormat:
		return !r.Success.True()
	}
	return false
}

type waybill struct {
	Number carrierkit.Text        `json:"mailNo"`
	Routes carrierkit.List[route] `json:"routes"`
}

// route is one scan. A push writes the number beside it and has no status.
type route struct {
	Number     carrierkit.Text `json:"mailno"`
	Time       carrierkit.Text `json:"acceptTime"`
	Address    carrierkit.Text `json:"acceptAddress"`
	Remark     carrierkit.Text `json:"remark"`
	Op         carrierkit.Text `json:"opCode"`
	Status     carrierkit.Text `json:"secondaryStatusCode"`
	ReasonName carrierkit.Text `json:"reasonName"`
}

// open reads an answer as far as to what the service says.
func open(body []byte) (result, error) {
	var doc answer
	var r result
	if err := json.Unmarshal(carrierkit.TrimMark(body), &doc); err != nil {
		return r, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	if err := doc.refusal(); err != nil {
		return r, err
	}
	ok, err := carrierkit.Unwrap(doc.Data, &r)
	if err == nil && !ok {
		err = fmt.Errorf("no apiResultData: %w", parcel.ErrMalformed)
	}
	if err != nil {
		return r, fmt.Errorf("apiResultData: %w", err)
	}
	return r, nil
}

// refusesNumbers tells whether an answer refuses a call for one of its numbers.
func refusesNumbers(body []byte) bool {
	r, err := open(body)
	return err == nil && r.refusesNumbers()
}

// resultCode is that of an answer; empty if it has none.
func resultCode(body []byte) string {
	var doc envelope
	if json.Unmarshal(carrierkit.TrimMark(body), &doc) != nil {
		return ""
	}
	return doc.Code.String()
}

// Decode reads an answer or a push.
func (c *sfExpress) Decode(p parcel.Payload) (parcel.Reading, error) {
	d := decoder{sfExpress: c, payload: p}
	var err error
	switch p.Kind {
	case kindRoutes:
		err = d.answer()
	case kindPush:
		err = d.push()
	default:
		err = fmt.Errorf("payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	if err = errors.Join(append(d.faults, err)...); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	// SF lists scans of the future beside those that happened.
	return carrierkit.Happened(d.reading, p), err
}

// decoder gathers what a payload says, and what in it cannot be read.
type decoder struct {
	*sfExpress
	payload parcel.Payload
	reading parcel.Reading
	faults  []error
}

func (d *decoder) fault(format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf(format, args...))
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

func (d *decoder) answer() error {
	r, err := open(d.payload.Body)
	if err != nil {
		return err
	}
	detail := strings.TrimSpace(r.Code.String() + " " + carrierkit.Quotable(r.Message.String(), maxQuoted))
	var data struct {
		Waybills carrierkit.List[waybill] `json:"routeResps"`
	}
	told, err := carrierkit.Unwrap(r.Data, &data)
	switch {
	case r.refusesNumbers() && len(d.payload.Numbers) == 1:
		d.result(parcel.NormalizeNumber(d.payload.Numbers[0]), parcel.FindingUnknown, detail)
		return nil
	case err != nil:
		return fmt.Errorf("msgData: %w", err)
	case told && (r.Success.True() || r.Success == ""):
	case r.refusesNumbers(), r.Code == codeTooMany, r.Code == codeNoNumber:
		return fmt.Errorf("%.100q: %w", detail, parcel.ErrMalformed)
	case r.Success.True():
		return fmt.Errorf("no msgData: %w", parcel.ErrMalformed)
	default:
		return fmt.Errorf("%.100q: %w", detail, parcel.ErrUnavailable)
	}
	for _, err := range data.Waybills.Faults {
		d.fault("routeResps: %w", err)
	}
	for i := range data.Waybills.Items {
		d.waybill(i, &data.Waybills.Items[i])
	}
	if len(d.faults) > 0 {
		return nil // what could not be read may be what seems to be missing
	}
	for _, n := range d.payload.Numbers {
		n = parcel.NormalizeNumber(n)
		if !slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }) {
			d.result(n, parcel.FindingUnknown, "not in the answer")
		}
	}
	return nil
}

// waybill reads one number's routes. None is how SF says that it does not know
// the waybill, or not for this customer and phone.
func (d *decoder) waybill(i int, w *waybill) {
	number := parcel.NormalizeNumber(w.Number.String())
	if number == "" && len(d.payload.Numbers) == 1 {
		number = parcel.NormalizeNumber(d.payload.Numbers[0])
	}
	if number == "" {
		d.fault("routeResps, item %d: no mailNo: %w", i, parcel.ErrMalformed)
		return
	}
	finding := parcel.FindingFound
	if len(w.Routes.Items)+len(w.Routes.Faults) == 0 {
		finding = parcel.FindingUnknown
	}
	d.result(number, finding, "")
	for _, err := range w.Routes.Faults {
		d.fault("%s, routes: %w", number, err)
	}
	left := departure(w.Routes.Items)
	for i := range w.Routes.Items {
		r := &w.Routes.Items[i]
		side := "export:"
		if left != "" && r.Time.String() >= left {
			side = "import:"
		}
		if err := d.route(number, r, side); err != nil {
			d.fault("%s, route %d: %w", number, i+1, err)
		}
	}
}

// departure is the earliest time at which the routes say that the parcel has
// left its country, as written: the form sorts as text. Empty if none does.
func departure(routes []route) string {
	var left string
	for _, r := range routes {
		if op, at := r.Op.String(), r.Time.String(); (op == "105" || op == "106") && at != "" && (left == "" || at < left) {
			left = at
		}
	}
	return left
}

func (d *decoder) push() error {
	var doc struct {
		Body struct {
			Routes carrierkit.List[route] `json:"WaybillRoute"`
		} `json:"Body"`
	}
	if err := json.Unmarshal(carrierkit.TrimMark(d.payload.Body), &doc); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	routes := doc.Body.Routes
	if len(routes.Items)+len(routes.Faults) == 0 {
		return fmt.Errorf("nothing at Body.WaybillRoute: %w", parcel.ErrMalformed)
	}
	for _, err := range routes.Faults {
		d.fault("WaybillRoute: %w", err)
	}
	for i := range routes.Items {
		r := &routes.Items[i]
		number := parcel.NormalizeNumber(r.Number.String())
		if number == "" {
			d.fault("WaybillRoute, item %d: no mailno: %w", i, parcel.ErrMalformed)
			continue
		}
		// One scan does not tell on which side of the border it was.
		if err := d.route(number, r, ""); err != nil {
			d.fault("WaybillRoute, item %d: %w", i, err)
		}
	}
	return nil
}

// route adds one scan. Side is the prefix of rows that depend on the border.
func (d *decoder) route(number string, r *route, side string) error {
	occurred, err := moment(r.Time.String())
	if err != nil {
		return err
	}
	op, words := r.Op.String(), carrierkit.CleanWords(r.Remark.String())
	if reason := carrierkit.CleanWords(r.ReasonName.String()); reason != "" && !strings.Contains(words, reason) {
		words = strings.TrimSpace(words + " " + reason)
	}
	if op == "" && words == "" {
		return fmt.Errorf("neither opCode nor remark: %w", parcel.ErrMalformed)
	}
	row := d.row(op, r.Status.String(), words, side)
	o := parcel.Observation{
		Carrier: name, Number: number, OwnCode: op,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Language: carrierkit.ScriptOf(words), Occurred: occurred, Place: placeOf(r, words),
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if o.Reason == "" && len(o.Code.Info().Opens) > 0 {
		o.Reason = carrierkit.ReasonIn(words)
	}
	if o.DeliveredTo == "" && o.Code == parcel.CodeDelivered {
		o.DeliveredTo = carrierkit.ReceiverIn(words)
	}
	if next := newNumber(words); next != "" && next != number {
		o.NextCarrier, o.NextNumber = name, next
		if alias := (parcel.Alias{Number: number, Other: next}); !slices.Contains(d.reading.Aliases, alias) {
			d.reading.Aliases = append(d.reading.Aliases, alias)
		}
	}
	d.reading.Observations = append(d.reading.Observations, o)
	return nil
}

// moment reads a time, or a day, by the clock of China.
func moment(text string) (parcel.Moment, error) {
	if t, err := time.Parse(time.DateTime, text); err == nil {
		return parcel.LocalMoment(text, t, home(), parcel.CertaintyAssumed), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return parcel.DayMoment(text, t, home(), parcel.CertaintyAssumed), nil
	}
	return parcel.Moment{}, fmt.Errorf("acceptTime %.40q: %w", text, parcel.ErrMalformed)
}

// row reads a scan: by the secondary status with the opCode, then by the
// opCode alone; where several readings stand, by the words.
func (c *sfExpress) row(op, status, words, side string) carriers.Row {
	var keys []string
	if status != "" {
		if row, ok := c.phrases.Lookup(status, words); ok {
			return row
		}
		if side != "" {
			keys = append(keys, side+status+"/"+op)
		}
		keys = append(keys, status+"/"+op)
	}
	if row, ok := c.phrases.Lookup(op, words); ok {
		return row
	}
	for _, key := range append(keys, op) {
		if row, ok := c.codes.Lookup(key); ok {
			return row
		}
	}
	row, _ := c.codes.Lookup(op)
	return row
}

// placeOf is the city that SF names, else the first of its houses in the
// remark.
func placeOf(r *route, words string) parcel.Place {
	address := carrierkit.CleanWords(r.Address.String())
	if address == "" {
		if _, rest, ok := strings.Cut(words, "【"); ok {
			if house, _, ok := strings.Cut(rest, "】"); ok && !strings.Contains(house, carrierkit.Redacted("x")) {
				return parcel.Place{Facility: strings.TrimSpace(house)}
			}
		}
		return parcel.Place{}
	}
	if country, err := parcel.ParseCountry(address); err == nil {
		return parcel.Place{Country: country}
	}
	return parcel.Place{City: address}
}

var newWaybill = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`新(?:运)?单号[为是]?\s*[:：]?\s*【?\s*((?:SF)?\d{12,15})\b`)
})

// newNumber is the waybill under which a returned or forwarded parcel goes on.
func newNumber(words string) string {
	if m := newWaybill().FindStringSubmatch(words); m != nil {
		return m[1]
	}
	return ""
}

// Redact hides phones and names in sentences, and fields that are about a
// person by their name.
func (c *sfExpress) Redact(p parcel.Payload) parcel.Payload {
	if p.Kind == kindRoutes || p.Kind == kindPush {
		p.Body = redact(p.Body)
	}
	return p
}

func redact(body []byte) []byte {
	body = carrierkit.RedactJSON(body, func(path []string) bool { return personal(path[len(path)-1]) })
	wrapped := carrierkit.Named("apiResultData", "msgData")
	sentence := carrierkit.Named("remark", "reasonName", "acceptAddress", "errorMsg", "apiErrorMsg")
	return carrierkit.EditJSON(body, func(path []string, text string) string {
		switch {
		case wrapped(path):
			return string(redact([]byte(text)))
		case sentence(path):
			return carrierkit.CleanText(text)
		}
		return text
	})
}

// personal tells whether a field is about a person by its name.
func personal(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"contact", "mobile", "phone", "telephone", "email", "consignee", "receiver", "signer", "empname", "courier", "idcard"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}
