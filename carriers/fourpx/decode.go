package fourpx

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

const (
	// codeNoTrack is said of numbers that are not known, and of those that
	// have no track yet.
	codeNoTrack = "AT014002"

	// maxQuoted bounds what an error repeats of 4PX's words, in bytes.
	maxQuoted = 200

	// homeOffset is the clock of times without a zone: China's.
	homeOffset = 8 * 60 * 60
)

type answer struct {
	Result carrierkit.Text          `json:"result"` // "1" or "0", as text
	Words  carrierkit.Text          `json:"msg"`
	Errors carrierkit.List[refusal] `json:"errors"`
	Data   json.RawMessage          `json:"data"`
}

type refusal struct {
	Code  carrierkit.Text `json:"error_code"`
	Words carrierkit.Text `json:"error_msg"`
}

func (r refusal) String() string {
	return strings.TrimSpace(r.Code.String() + " " + carrierkit.Quotable(r.Words.String(), maxQuoted))
}

type track struct {
	Number carrierkit.Text        `json:"deliveryOrderNo"`
	Events carrierkit.List[event] `json:"trackingList"`
}

type event struct {
	Code     carrierkit.Text `json:"businessLinkCode"`
	Time     carrierkit.Text `json:"occurDatetime"`
	Zone     carrierkit.Text `json:"timeZone"`
	Location carrierkit.Text `json:"occurLocation"`
	Country  carrierkit.Text `json:"country"`
	Postcode carrierkit.Text `json:"zipcode"`
	Words    carrierkit.Text `json:"trackingContent"`
}

// Decode reads an answer about one parcel.
func (c *fourPX) Decode(p parcel.Payload) (parcel.Reading, error) {
	var rd parcel.Reading
	err := fmt.Errorf("payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	if p.Kind == kindTrack {
		rd, err = c.decode(p)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return rd, err
}

func (c *fourPX) decode(p parcel.Payload) (parcel.Reading, error) {
	var rd parcel.Reading
	var doc answer
	if err := json.Unmarshal(carrierkit.TrimMark(p.Body), &doc); err != nil {
		return rd, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	unknown := func(detail string) {
		for _, n := range p.Numbers {
			rd.Results = append(rd.Results, parcel.NumberResult{Number: parcel.NormalizeNumber(n), Finding: parcel.FindingUnknown, Detail: detail})
		}
	}
	switch {
	case doc.Result.String() == "":
		return rd, fmt.Errorf("no result: %w", parcel.ErrMalformed)
	case !doc.Result.True():
		for _, r := range doc.Errors.Items {
			if r.Code.String() == codeNoTrack {
				unknown(r.String())
				return rd, nil
			}
		}
		return rd, c.refused(&doc)
	}
	var found track
	told, err := carrierkit.Unwrap(doc.Data, &found)
	if err != nil {
		return rd, fmt.Errorf("data: %w", err)
	}
	if !told || len(found.Events.Items)+len(found.Events.Faults) == 0 {
		unknown("")
		return rd, nil
	}
	number := parcel.NormalizeNumber(found.Number.String())
	if len(p.Numbers) == 1 {
		// The number asked for may be the last mile's, and the one told 4PX's.
		asked := parcel.NormalizeNumber(p.Numbers[0])
		if number != "" && number != asked {
			rd.Aliases = append(rd.Aliases, parcel.Alias{Number: asked, Other: number})
		}
		number = asked
	}
	if number == "" {
		return rd, fmt.Errorf("no deliveryOrderNo: %w", parcel.ErrMalformed)
	}
	rd.Results = append(rd.Results, parcel.NumberResult{Number: number, Finding: parcel.FindingFound})
	errs := slices.Clone(found.Events.Faults)
	for i := range found.Events.Items {
		o, err := c.event(number, &found.Events.Items[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("trackingList, item %d: %w", i, err))
			continue
		}
		rd.Observations = append(rd.Observations, o)
	}
	return carrierkit.Happened(rd, p), errors.Join(errs...)
}

// refused reads an answer that is an error. The list of codes is not
// established, the families are.
func (c *fourPX) refused(doc *answer) error {
	said := []string{}
	denied := false
	for _, r := range doc.Errors.Items {
		said = append(said, r.String())
		denied = denied || slices.Contains(c.deniedCodes, r.Code.String())
	}
	if len(said) == 0 {
		said = append(said, carrierkit.Quotable(doc.Words.String(), maxQuoted))
	}
	detail := strings.Join(said, "; ")
	about := strings.ToLower(detail)
	mentions := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(about, s) })
	}
	var kind error
	switch {
	case denied, mentions("invalid sign", "signature", "app_key", "app key", "access_token", "access token", "permission", "unauthor", "timestamp", "签名", "权限", "时间戳"):
		kind = parcel.ErrDenied
	case mentions("limit", "frequen", "too many", "频繁", "限流"):
		kind = &parcel.Throttled{}
	default:
		kind = parcel.ErrUnavailable
	}
	return fmt.Errorf("%.200q: %w", detail, kind)
}

func (c *fourPX) event(number string, e *event) (parcel.Observation, error) {
	own, words := strings.ToUpper(e.Code.String()), carrierkit.CleanWords(e.Words.String())
	if own == "" && words == "" {
		return parcel.Observation{}, fmt.Errorf("neither businessLinkCode nor words: %w", parcel.ErrMalformed)
	}
	occurred, err := c.moment(e.Time.String(), e.Zone.String())
	if err != nil {
		return parcel.Observation{}, err
	}
	row := c.row(own, words)
	o := parcel.Observation{
		Carrier: name, Number: number, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Language: carrierkit.ScriptOf(words), Occurred: occurred, Place: placeOf(e),
		Rule: row.Rule, RuleVersion: c.codes.Version(),
	}
	if o.Reason == "" && len(o.Code.Info().Opens) > 0 {
		o.Reason = carrierkit.ReasonIn(words)
	}
	if o.DeliveredTo == "" && o.Code == parcel.CodeDelivered {
		o.DeliveredTo = carrierkit.ReceiverIn(words)
	}
	return o, nil
}

// row reads a code, by the words where the code alone does not tell.
func (c *fourPX) row(own, words string) carriers.Row {
	keys := []string{own}
	if own == "FPX_O_IR" || own == "FPX_O_IRI" {
		keys = append(keys, "relay")
	}
	for _, key := range keys {
		if row, ok := c.phrases.Lookup(key, words); ok {
			return row
		}
	}
	row, _ := c.codes.Lookup(own)
	return row
}

// moment reads a time, or a day, by the zone beside it.
func (c *fourPX) moment(text, zone string) (parcel.Moment, error) {
	loc, certainty := time.FixedZone("", homeOffset), parcel.CertaintyAssumed
	if zone != "" {
		certainty = parcel.CertaintyReported
		if seconds, err := parcel.ParseOffset(zone); err == nil {
			loc = time.FixedZone("", seconds)
		} else if loc = c.zones.Location(zone); loc == nil {
			certainty = parcel.CertaintyUnknown
		}
	}
	if t, err := time.Parse(time.DateTime, text); err == nil {
		return parcel.LocalMoment(text, t, loc, certainty), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return parcel.DayMoment(text, t, loc, certainty), nil
	}
	return parcel.Moment{}, fmt.Errorf("occurDatetime %.40q: %w", text, parcel.ErrMalformed)
}

// placeOf takes the location, which is free text, for a city unless it is a
// country.
func placeOf(e *event) parcel.Place {
	p := parcel.Place{City: carrierkit.CleanWords(e.Location.String()), Postcode: e.Postcode.String()}
	if country, err := parcel.ParseCountry(e.Country.String()); err == nil {
		p.Country = country
	}
	if country, err := parcel.ParseCountry(p.City); err == nil && (p.Country == "" || p.Country == country) {
		p.Country, p.City = country, ""
	}
	return p
}

// Redact hides phones and names in sentences, and fields that are about a
// person by their name.
func (c *fourPX) Redact(p parcel.Payload) parcel.Payload {
	if p.Kind == kindTrack {
		p.Body = redact(p.Body)
	}
	return p
}

func redact(body []byte) []byte {
	body = carrierkit.RedactJSON(body, func(path []string) bool { return personal(path[len(path)-1]) })
	wrapped, sentence := carrierkit.Named("data"), carrierkit.Named("trackingContent", "occurLocation", "error_msg", "msg")
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
	for _, part := range []string{"consignee", "recipient", "receiver", "sender", "signer", "signature", "phone", "mobile", "email", "contact", "street"} {
		if strings.HasPrefix(key, part) {
			return true
		}
	}
	return false
}
