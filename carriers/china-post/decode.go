package chinapost

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	home     = parcel.Country("CN")
	homeZone = "Asia/Shanghai"

	// maxQuoted bounds what an error repeats of China Post's words, in bytes.
	maxQuoted = 200
)

// china is the clock of requests. It is an offset: China has kept one since
// 1991.
func china() *time.Location { return time.FixedZone("", 8*60*60) }

type answer struct {
	State *carrierkit.Text       `json:"responseState"`
	Error carrierkit.Text        `json:"errorDesc"`
	Items *carrierkit.List[item] `json:"responseItems"`
}

// item is one scan; pushes write the same fields.
type item struct {
	Number   carrierkit.Text `json:"traceNo"`
	Time     carrierkit.Text `json:"opTime"`
	Code     carrierkit.Text `json:"opCode"`
	Name     carrierkit.Text `json:"opName"`
	Desc     carrierkit.Text `json:"opDesc"`
	OrgCode  carrierkit.Text `json:"opOrgCode"`
	Org      carrierkit.Text `json:"opOrgName"`
	Province carrierkit.Text `json:"opOrgProvName"`
	City     carrierkit.Text `json:"opOrgCity"`
}

// Decode reads an answer or a push.
func (c *chinaPost) Decode(p parcel.Payload) (parcel.Reading, error) {
	d := decoder{chinaPost: c, payload: p}
	var err error
	switch p.Kind {
	case kindTrace:
		err = d.answer()
	case kindPush:
		err = d.push()
	default:
		err = fmt.Errorf("payload kind %q is none: %w", p.Kind, parcel.ErrMalformed)
	}
	if err = errors.Join(append(d.faults, err)...); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return carrierkit.Happened(d.reading, p), err
}

// decoder gathers what a payload says, and what in it cannot be read.
type decoder struct {
	*chinaPost
	payload parcel.Payload
	reading parcel.Reading
	faults  []error
}

func (d *decoder) answer() error {
	var doc answer
	if err := json.Unmarshal(carrierkit.TrimMark(d.payload.Body), &doc); err != nil {
		return fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	switch {
	case doc.State == nil && doc.Items == nil:
		return fmt.Errorf("neither responseState nor responseItems: %w", parcel.ErrMalformed)
	case doc.State != nil && !doc.State.True() && doc.State.String() != "":
		return d.refusal(doc.Error.String())
	case doc.Items == nil:
		doc.Items = &carrierkit.List[item]{} // success and nothing to tell
	}
	d.items("responseItems", doc.Items)
	if len(d.faults) > 0 {
		return nil // what could not be read may be what seems to be missing
	}
	for _, n := range d.payload.Numbers {
		n = parcel.NormalizeNumber(n)
		if !slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == n }) {
			d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: n, Finding: parcel.FindingUnknown})
		}
	}
	return nil
}

// refusal is errorDesc as an error of its kind. The list of codes is not
// established, and some come with words alone.
func (d *decoder) refusal(said string) error {
	said = carrierkit.Quotable(said, maxQuoted)
	lower := strings.ToLower(said)
	mentions := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(lower, s) })
	}
	code := strings.FieldsFunc(said+":", func(r rune) bool { return r == ':' || r == '：' || r == ' ' })
	var kind error
	switch {
	case len(code) > 0 && slices.Contains(d.deniedCodes, code[0]), mentions("签名", "权限", "授权", "digest"):
		kind = parcel.ErrDenied
	case mentions("频繁", "频率", "超限", "流量", "limit"):
		kind = &parcel.Throttled{}
	default:
		kind = parcel.ErrUnavailable
	}
	return fmt.Errorf("%q: %w", said, kind)
}

// push reads a form, or its message alone, as logs and samples show it.
func (d *decoder) push() error {
	said := string(d.payload.Body)
	if !isJSON(d.payload.Body) {
		var err error
		if said, _, err = openForm(d.payload.Body); err != nil {
			return err
		}
	}
	var doc struct {
		Traces carrierkit.List[item] `json:"traces"`
	}
	if err := json.Unmarshal(carrierkit.TrimMark([]byte(said)), &doc); err != nil {
		return fmt.Errorf("msgBody: %w: %w", parcel.ErrMalformed, err)
	}
	if len(doc.Traces.Items)+len(doc.Traces.Faults) == 0 {
		return fmt.Errorf("no traces: %w", parcel.ErrMalformed)
	}
	d.items("traces", &doc.Traces)
	d.reading.Results = nil // nobody asked
	return nil
}

func isJSON(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(carrierkit.TrimMark(body)), []byte("{"))
}

func (d *decoder) items(list string, items *carrierkit.List[item]) {
	for _, err := range items.Faults {
		d.faults = append(d.faults, fmt.Errorf("%s: %w", list, err))
	}
	for i := range items.Items {
		if err := d.item(&items.Items[i]); err != nil {
			d.faults = append(d.faults, fmt.Errorf("%s, item %d: %w", list, i, err))
		}
	}
}

// item adds one scan.
func (d *decoder) item(it *item) error {
	number := parcel.NormalizeNumber(it.Number.String())
	if number == "" && len(d.payload.Numbers) == 1 {
		number = parcel.NormalizeNumber(d.payload.Numbers[0])
	}
	if number == "" {
		return fmt.Errorf("no traceNo: %w", parcel.ErrMalformed)
	}
	if !slices.ContainsFunc(d.reading.Results, func(r parcel.NumberResult) bool { return r.Number == number }) {
		d.reading.Results = append(d.reading.Results, parcel.NumberResult{Number: number, Finding: parcel.FindingFound})
	}
	own := it.Code.String()
	opName, desc := carrierkit.CleanWords(it.Name.String()), carrierkit.CleanWords(it.Desc.String())
	words := strings.TrimSpace(opName + " " + desc)
	if own == "" && words == "" {
		return fmt.Errorf("neither opCode nor words: %w", parcel.ErrMalformed)
	}
	place, abroad := placeOf(it, desc)
	row := d.row(own, opName, desc, exports(number) && !abroad)
	if place.IsZero() && exports(number) && row.Code.Proves().Rank() >= parcel.MilestoneDestinationArrived.Rank() {
		abroad = true // in a country that is not named
	}
	occurred, err := d.moment(it.Time.String(), place, abroad)
	if err != nil {
		return err
	}
	o := parcel.Observation{
		Carrier: name, Number: number, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Language: carrierkit.ScriptOf(words), Occurred: occurred, Place: place,
		Rule: row.Rule, RuleVersion: d.codes.Version(),
	}
	if o.Reason == "" && len(o.Code.Info().Opens) > 0 {
		o.Reason = carrierkit.ReasonIn(words)
	}
	if o.DeliveredTo == "" && o.Code == parcel.CodeDelivered {
		o.DeliveredTo = carrierkit.ReceiverIn(desc)
	}
	d.reading.Observations = append(d.reading.Observations, o)
	return nil
}

// exports tells whether China Post sends the item abroad, by its number.
func exports(number string) bool {
	s10, ok := parcel.ParseS10(number)
	return ok && s10.Origin == home
}

// row reads a scan by its code, else by its name. Of the description only
// counts that customs hold the item, which names do not tell.
func (c *chinaPost) row(own, opName, desc string, export bool) carriers.Row {
	said := opName
	for _, hold := range []string{"扣留", "查扣"} {
		if strings.Contains(desc, hold) {
			said += " 扣留"
			break
		}
	}
	if own != "" {
		if row, ok := c.phrases.Lookup(own, said); ok {
			return row
		}
		if export {
			if row, ok := c.codes.Lookup("export:" + own); ok {
				return row
			}
		}
		if row, ok := c.codes.Lookup(own); ok {
			return row
		}
	}
	if export {
		if row, ok := c.phrases.Lookup("export", said); ok {
			return row
		}
	}
	if row, ok := c.phrases.Lookup("text", said); ok {
		return row
	}
	row, _ := c.codes.Lookup(own)
	return row
}

// placeOf tells where a scan was, and whether abroad: in China offices have a
// province and Chinese names; abroad the office is an IMPC code or a country,
// or the description begins with the country.
func placeOf(it *item, desc string) (p parcel.Place, abroad bool) {
	p = parcel.Place{Region: it.Province.String(), City: it.City.String(), Facility: it.Org.String()}
	if at, ok := exchange(p.Facility, it.OrgCode.String()); ok && p.Region == "" {
		at.City = cmp.Or(p.City, at.City)
		return at, at.Country != home
	}
	for _, field := range []*string{&p.Region, &p.Facility, &p.City} {
		if country, err := parcel.ParseCountry(*field); err == nil {
			p.Country, *field = cmp.Or(p.Country, country), ""
		}
	}
	switch {
	case p.Region != "":
		p.Country = home
	case p.Country == "":
		if country, err := parcel.ParseCountry(leading(desc)); err == nil {
			p.Country = country
		} else if chinese(p.City + p.Facility) {
			p.Country = home
		}
	}
	return p, !p.IsZero() && p.Country != home
}

// exchange is the office of exchange that one of the codes names.
func exchange(codes ...string) (parcel.Place, bool) {
	for _, code := range codes {
		if at, ok := parcel.ParseImpc(code); ok && at.Facility == code {
			return at, true
		}
	}
	return parcel.Place{}, false
}

// leading is the first word of the brackets with which a description begins:
// 【美国 CHICAGO】.
func leading(desc string) string {
	rest, ok := strings.CutPrefix(desc, "【")
	if !ok {
		return ""
	}
	inside, _, ok := strings.Cut(rest, "】")
	words := strings.Fields(inside)
	if !ok || len(words) == 0 {
		return ""
	}
	return words[0]
}

func chinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// moment reads a time, or a day: by the clock of China, or by that of the place
// abroad as far as it is known.
func (c *chinaPost) moment(text string, p parcel.Place, abroad bool) (parcel.Moment, error) {
	zone, certainty := "", parcel.CertaintyUnknown
	if !abroad {
		p, zone, certainty = parcel.Place{}, homeZone, parcel.CertaintyAssumed
	}
	for _, layout := range []string{time.DateTime, time.DateOnly} {
		if m, err := c.zones.Local(text, layout, p, zone, certainty); err == nil && !m.IsZero() {
			return m, nil
		}
	}
	return parcel.Moment{}, fmt.Errorf("opTime %.40q: %w", text, parcel.ErrMalformed)
}

// Redact hides who worked on an item, and phones and names in descriptions.
func (c *chinaPost) Redact(p parcel.Payload) parcel.Payload {
	switch {
	case p.Kind == kindTrace, p.Kind == kindPush && isJSON(p.Body):
		p.Body = redact(p.Body)
	case p.Kind == kindPush:
		p.Body = redactForm(p.Body)
	}
	return p
}

// redactForm leaves the other fields as they came; the digest among them no
// longer fits, and is not asked for again.
func redactForm(body []byte) []byte {
	said, _, err := openForm(body)
	if err != nil {
		return body
	}
	clean := string(redact([]byte(said)))
	if clean == said {
		return body
	}
	written := url.QueryEscape(clean)
	if !isJSON([]byte(clean)) {
		written = url.QueryEscape(written) // openForm takes both encodings off
	}
	pairs := strings.Split(string(body), "&")
	for i, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(key); err == nil && plain == "msgBody" {
			pairs[i] = key + "=" + written
		}
	}
	return []byte(strings.Join(pairs, "&"))
}

func redact(doc []byte) []byte {
	doc = carrierkit.RedactJSON(doc, func(path []string) bool { return personal(path[len(path)-1]) })
	return carrierkit.CleanSentences(doc, carrierkit.Named("opName", "opDesc", "errorDesc"))
}

// personal tells whether a field is about a person by its name.
func personal(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"operatorno", "operatorname", "phone", "mobile", "contact", "receiver", "sender", "signer", "deliver", "linker", "email"} {
		if strings.HasPrefix(key, part) {
			return true
		}
	}
	return false
}
