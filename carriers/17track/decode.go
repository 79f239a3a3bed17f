package track17

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

// Codes of refusals, of a whole call or of one number.
const (
	codeOK            = 0
	codeAddress       = -18010001 // caller's address is not on the list
	codeKey           = -18010002
	codeInternal      = -18010003
	codeDisabled      = -18010004
	codeUnauthorised  = -18010005
	codeTooMany       = -18010014
	codeRegistered    = -18019901
	codeNotRegistered = -18019902
	codeDailyLimit    = -18019907
	codeQuota         = -18019908
	codeThrottled     = 429
)

// The sub-statuses that need more than the table.
const (
	subCustoms   = "InTransit_CustomsProcessing"
	subReleased  = "InTransit_CustomsReleased"
	subDeparture = "InTransit_Departure"
	atExport     = "@export"
)

// answer is what every method says, and what a push says.
type answer struct {
	Code  carrierkit.Text `json:"code"`
	Event carrierkit.Text `json:"event"`
	Data  json.RawMessage `json:"data"`
}

type data struct {
	Accepted *carrierkit.List[accepted] `json:"accepted"`
	Rejected carrierkit.List[rejected]  `json:"rejected"`
	Errors   carrierkit.List[refusal]   `json:"errors"`
}

type rejected struct {
	Number carrierkit.Text          `json:"number"`
	Error  carrierkit.List[refusal] `json:"error"`
}

type refusal struct {
	Code    carrierkit.Text `json:"code"`
	Message carrierkit.Text `json:"message"`
}

func (r refusal) String() string {
	return strings.TrimSpace(fmt.Sprintf("%.20s %s", r.Code, carrierkit.Quotable(r.Message.String(), 200)))
}

type accepted struct {
	Number carrierkit.Text            `json:"number"`
	Info   carrierkit.List[trackInfo] `json:"track_info"`
}

type trackInfo struct {
	Shipping carrierkit.List[shipping] `json:"shipping_info"`
	Status   carrierkit.List[status]   `json:"latest_status"`
	Metrics  carrierkit.List[metrics]  `json:"time_metrics"`
	Misc     carrierkit.List[miscInfo] `json:"misc_info"`
	Tracking carrierkit.List[tracking] `json:"tracking"`
}

type shipping struct {
	From carrierkit.List[address] `json:"shipper_address"`
	To   carrierkit.List[address] `json:"recipient_address"`
}

type address struct {
	Country  carrierkit.Text `json:"country"`
	State    carrierkit.Text `json:"state"`
	City     carrierkit.Text `json:"city"`
	Postcode carrierkit.Text `json:"postal_code"`
}

type status struct {
	Status carrierkit.Text `json:"status"`
	Sub    carrierkit.Text `json:"sub_status"`
}

type metrics struct {
	Estimated carrierkit.List[estimated] `json:"estimated_delivery_date"`
}

type estimated struct {
	From carrierkit.Text `json:"from"`
	To   carrierkit.Text `json:"to"`
}

type miscInfo struct {
	LocalNumber carrierkit.Text `json:"local_number"`
	LocalKey    carrierkit.Text `json:"local_key"`
}

type tracking struct {
	Providers carrierkit.List[told] `json:"providers"`
}

// told is what one carrier says about a number.
type told struct {
	Provider carrierkit.List[who]   `json:"provider"`
	Events   carrierkit.List[event] `json:"events"`
}

type who struct {
	Key     carrierkit.Text `json:"key"`
	Name    carrierkit.Text `json:"name"`
	Country carrierkit.Text `json:"country"`
}

type event struct {
	ISO         carrierkit.Text          `json:"time_iso"`
	UTC         carrierkit.Text          `json:"time_utc"`
	Raw         rawTime                  `json:"time_raw"`
	Description carrierkit.Text          `json:"description"`
	Location    carrierkit.Text          `json:"location"`
	Stage       carrierkit.Text          `json:"stage"`
	Sub         carrierkit.Text          `json:"sub_status"`
	Address     carrierkit.List[address] `json:"address"`
}

// read parses an answer down to its data.
func read(body []byte) (answer, data, error) {
	var a answer
	if err := json.Unmarshal(carrierkit.TrimMark(body), &a); err != nil {
		return a, data{}, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	var d data
	if len(a.Data) > 0 && a.Data[0] == '{' {
		if err := json.Unmarshal(a.Data, &d); err != nil {
			return a, d, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
		}
	}
	return a, d, nil
}

// wholeCall is a whole call's refusal in its own words, empty if there is none.
func wholeCall(body []byte) string {
	_, d, err := read(body)
	if err != nil || len(d.Errors.Items) == 0 {
		return ""
	}
	return d.Errors.Items[0].String()
}

// notRegistered lists the numbers of an answer that have to be registered,
// none that was not asked for.
func notRegistered(body []byte, asked []string) []string {
	_, d, err := read(body)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range d.Rejected.Items {
		n := parcel.NormalizeNumber(r.Number.String())
		if code, _ := r.Error.First().Code.Int(); code == codeNotRegistered && slices.Contains(asked, n) && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// overQuota counts the numbers that were not registered for want of quota.
func overQuota(body []byte) int {
	_, d, err := read(body)
	if err != nil {
		return 0
	}
	n := 0
	for _, r := range d.Rejected.Items {
		if code, _ := r.Error.First().Code.Int(); code == codeQuota || code == codeDailyLimit {
			n++
		}
	}
	return n
}

// Decode reads an answer of gettrackinfo or register, or a push. Only events
// under a provider are events: latest_event repeats one of them and does not
// say whose it is, and latest_status is no scan.
func (t *track17) Decode(p parcel.Payload) (parcel.Reading, error) {
	d := decoder{track17: t}
	var err error
	switch p.Kind {
	case kindTrack, kindRegister:
		err = d.answer(p)
	case kindPush:
		err = d.push(p.Body)
	default:
		err = fmt.Errorf("payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	if err = errors.Join(append(d.faults, err)...); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	slices.SortStableFunc(d.reading.Observations, func(a, b parcel.Observation) int { return a.Occurred.At.Compare(b.Occurred.At) })
	return carrierkit.Happened(d.reading, p), err
}

// decoder gathers what a message says, and what in it cannot be read.
type decoder struct {
	*track17
	reading parcel.Reading
	faults  []error
}

func (d *decoder) fault(format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf(format, args...))
}

func (d *decoder) result(number string, f parcel.Finding, detail string) {
	d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: f, Detail: detail})
}

func (d *decoder) answer(p parcel.Payload) error {
	a, doc, err := read(p.Body)
	if err != nil {
		return err
	}
	if code, ok := a.Code.Int(); ok && code != codeOK {
		return refused(code, doc.Errors.First())
	}
	if doc.Accepted == nil {
		// Null is an empty list, and absent beside rejected numbers as well.
		if len(doc.Rejected.Items) == 0 && !carrierkit.SniffJSON(a.Data, "accepted") && !carrierkit.SniffJSON(a.Data, "rejected") {
			return fmt.Errorf("neither accepted nor rejected numbers: %w", parcel.ErrMalformed)
		}
		doc.Accepted = &carrierkit.List[accepted]{}
	}
	d.faults = append(append(d.faults, doc.Accepted.Faults...), doc.Rejected.Faults...)
	answered := map[string]bool{}
	for i := range doc.Accepted.Items {
		item := &doc.Accepted.Items[i]
		number := parcel.NormalizeNumber(item.Number.String())
		switch {
		case number == "":
			d.fault("accepted %d: no number: %w", i+1, parcel.ErrMalformed)
			continue
		case p.Kind == kindRegister:
			d.reading.RetryAfter = firstNews
		default:
			d.number(number, item, true)
		}
		answered[number] = true
	}
	for i, r := range doc.Rejected.Items {
		number := parcel.NormalizeNumber(r.Number.String())
		if number == "" {
			d.fault("rejected %d: no number: %w", i+1, parcel.ErrMalformed)
			continue
		}
		answered[number] = true
		d.rejected(number, r.Error.First())
	}
	if p.Kind == kindTrack && len(d.faults) == 0 {
		for _, n := range p.Numbers {
			if n = parcel.NormalizeNumber(n); !answered[n] {
				d.result(n, parcel.FindingUnknown, "not in the answer")
			}
		}
	}
	return nil
}

// rejected reads what became of one number. A number that is not registered
// yet, or was just before, has an answer to come; any other refusal says that
// 17TRACK cannot follow it.
func (d *decoder) rejected(number string, why refusal) {
	switch code, _ := why.Code.Int(); code {
	case codeNotRegistered, codeRegistered:
		d.reading.RetryAfter = firstNews
	case codeQuota, codeDailyLimit:
		d.fault("%s: %s: %w", number, why, &parcel.Throttled{RetryAfter: quotaWait})
	default:
		d.result(number, parcel.FindingUnknown, why.String())
	}
}

// refused is a whole call's refusal as an error of its kind.
func refused(code int64, why refusal) error {
	detail := cmp.Or(why.String(), fmt.Sprint(code))
	switch code {
	case codeAddress, codeKey, codeDisabled, codeUnauthorised:
		return fmt.Errorf("%s: %w", detail, parcel.ErrDenied)
	case codeThrottled:
		return fmt.Errorf("%s: %w", detail, &parcel.Throttled{})
	case codeQuota, codeDailyLimit:
		return fmt.Errorf("%s: %w", detail, &parcel.Throttled{RetryAfter: quotaWait})
	case codeInternal:
		return fmt.Errorf("%s: %w", detail, parcel.ErrUnavailable)
	case codeTooMany:
		return fmt.Errorf("%s: %w", detail, parcel.ErrMalformed)
	}
	return fmt.Errorf("%s: %w", detail, parcel.ErrUnavailable)
}

// push reads a notice. One that says that 17TRACK follows a number no longer
// has no history: the number is as if unknown until someone takes it up.
func (d *decoder) push(body []byte) error {
	a, _, err := read(body)
	if err != nil {
		return err
	}
	var item accepted
	if len(a.Data) == 0 || a.Data[0] != '{' || json.Unmarshal(a.Data, &item) != nil {
		return fmt.Errorf("no data: %w", parcel.ErrMalformed)
	}
	number := parcel.NormalizeNumber(item.Number.String())
	if number == "" {
		return fmt.Errorf("no number: %w", parcel.ErrMalformed)
	}
	if len(item.Info.Items) == 0 && len(item.Info.Faults) == 0 {
		d.result(number, parcel.FindingUnknown, a.Event.String())
		return nil
	}
	d.number(number, &item, false)
	return nil
}

// number reads what is known about one number.
func (d *decoder) number(number string, item *accepted, asked bool) {
	for _, err := range item.Info.Faults {
		d.fault("%s: track_info: %w", number, err)
	}
	info := item.Info.First()
	latest := info.Status.First()
	if asked {
		finding := parcel.FindingFound
		if s := cmp.Or(latest.Status.String(), latest.Sub.String()); s == "" || strings.HasPrefix(s, "NotFound") {
			finding = parcel.FindingUnknown
		}
		d.result(number, finding, cmp.Or(latest.Sub.String(), latest.Status.String()))
	}
	first := len(d.reading.Observations)
	track := info.Tracking.First()
	for _, err := range slices.Concat(info.Tracking.Faults, track.Providers.Faults) {
		d.fault("%s: providers: %w", number, err)
	}
	for i := range track.Providers.Items {
		d.provider(number, &info, &track.Providers.Items[i], i)
	}
	events := d.reading.Observations[first:]
	if asked && len(events) > 0 {
		last := &d.reading.Results[len(d.reading.Results)-1]
		last.Finding = parcel.FindingFound // events prove it whatever the status
	}
	d.next(number, &info, track.Providers.Items, events)
	d.estimate(number, info.Metrics.First().Estimated.First())
}

func (d *decoder) provider(number string, info *trackInfo, said *told, position int) {
	provider := said.Provider.First()
	key, _ := provider.Key.Int()
	whose := d.providers.carrier(key, provider.Country.String())
	for _, err := range said.Events.Faults {
		d.fault("%s: provider %d: events: %w", number, position+1, err)
	}
	for i := range said.Events.Items {
		o, err := d.observe(number, info, &said.Events.Items[i])
		if err != nil {
			d.fault("%s: provider %d: event %d: %w", number, position+1, i+1, err)
			continue
		}
		o.Carrier = whose
		d.reading.Observations = append(d.reading.Observations, o)
	}
}

func (d *decoder) observe(number string, info *trackInfo, e *event) (parcel.Observation, error) {
	at := placeOf(e)
	occurred, err := d.moment(e, at)
	if err != nil {
		return parcel.Observation{}, err
	}
	own := subStatus(e)
	said := carrierkit.CleanWords(string(e.Description))
	if own == "" && said == "" {
		return parcel.Observation{}, fmt.Errorf("neither status nor description: %w", parcel.ErrMalformed)
	}
	row := d.row(own, atOrigin(info, at.Country))
	if row.DeliveredTo == "" && row.Code == parcel.CodeDelivered {
		row.DeliveredTo = carrierkit.ReceiverIn(said)
	}
	return parcel.Observation{
		Number:      number,
		OwnCode:     own,
		Code:        row.Code,
		Reason:      row.Reason,
		Words:       said,
		Occurred:    occurred,
		Place:       at,
		DeliveredTo: row.DeliveredTo,
		Retracts:    row.Retracts,
		Rule:        row.Rule,
		RuleVersion: d.codes.Version(),
	}, nil
}

// row reads a sub-status. Customs in the country of the shipper are those of
// export, whenever the carrier tells of them.
func (t *track17) row(own string, origin bool) carriers.Row {
	if origin && (own == subCustoms || own == subReleased) {
		own += atExport
	}
	row, _ := t.codes.Lookup(own)
	return row
}

// atOrigin tells whether a country is where the parcel comes from and not
// where it goes.
func atOrigin(info *trackInfo, country parcel.Country) bool {
	ways := info.Shipping.First()
	from, err := parcel.ParseCountry(ways.From.First().Country.String())
	if err != nil || country != from {
		return false
	}
	to, err := parcel.ParseCountry(ways.To.First().Country.String())
	return err != nil || to != from
}

// subStatus is the event's own code: the sub-status, or what a stage without
// one stands for.
func subStatus(e *event) string {
	if s := e.Sub.String(); s != "" {
		return s
	}
	switch stage := e.Stage.String(); stage {
	case "PickedUp", "Departure", "Arrival":
		return "InTransit_" + stage
	case "AvailableForPickup", "OutForDelivery", "Delivered":
		return stage + "_Other"
	case "Returning", "Returned":
		return "Exception_" + stage
	default:
		return stage
	}
}

// placeOf takes the address where there is one, and the free text for what the
// address lacks.
func placeOf(e *event) parcel.Place {
	a := e.Address.First()
	p := parcel.Place{Region: a.State.String(), City: a.City.String(), Postcode: a.Postcode.String()}
	if country, err := parcel.ParseCountry(a.Country.String()); err == nil {
		p.Country = country
	}
	switch location := carrierkit.StripMarkup(e.Location.String()); {
	case location == p.City:
	case p.City == "":
		p.City = location
	default:
		p.Facility = location
	}
	return p
}

// next records who carries on: 17TRACK names the carrier of the country of
// destination, and the number there if it is another. It stands with the event
// in which the parcel leaves the carriers before, the newest of theirs if none
// says so.
func (d *decoder) next(number string, info *trackInfo, sources []told, events []parcel.Observation) {
	misc := info.Misc.First()
	key, _ := misc.LocalKey.Int()
	country := info.Shipping.First().To.First().Country.String()
	carrier := d.providers.carrier(key, "")
	if key == 0 && len(sources) > 1 {
		last := sources[len(sources)-1].Provider.First()
		key, _ = last.Key.Int()
		carrier = d.providers.carrier(key, cmp.Or(last.Country.String(), country))
	}
	other := parcel.NormalizeNumber(misc.LocalNumber.String())
	if other != "" && other != number {
		d.reading.Aliases = append(d.reading.Aliases, parcel.Alias{Number: number, Other: other, Carrier: carrier})
	}
	if carrier == "" && (other == "" || other == number) {
		return
	}
	var handover *parcel.Observation
	for i := range events {
		e := &events[i]
		if carrier != "" && e.Carrier == carrier {
			continue
		}
		if handover == nil || leaves(e) && !leaves(handover) || leaves(e) == leaves(handover) && e.Occurred.At.After(handover.Occurred.At) {
			handover = e
		}
	}
	if handover == nil {
		return // only the carrier itself has spoken
	}
	handover.NextCarrier, handover.NextNumber = carrier, cmp.Or(other, number)
}

func leaves(o *parcel.Observation) bool { return o.OwnCode == subDeparture }

// estimate keeps the days between which delivery is expected.
func (d *decoder) estimate(number string, e estimated) {
	from, to := day(e.From.String()), day(e.To.String())
	from, to = cmp.Or(from, to), cmp.Or(to, from)
	if from == "" || to < from {
		return
	}
	d.reading.Estimates = append(d.reading.Estimates, parcel.Estimate{Number: number, Earliest: from, Last: to})
}

// day is the calendar day of a time as it was written: no zone moves it.
func day(text string) string {
	if len(text) < len(parcel.DayLayout) {
		return ""
	}
	text = text[:len(parcel.DayLayout)]
	if _, err := time.Parse(parcel.DayLayout, text); err != nil {
		return ""
	}
	return text
}
