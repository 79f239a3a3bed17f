package russianpost

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// The namespaces of both services. Prefixes change from answer to answer;
// these do not.
const (
	nsSOAP11  = "http://schemas.xmlsoap.org/soap/envelope/"
	nsSOAP12  = "http://www.w3.org/2003/05/soap-envelope"
	nsHistory = "http://russianpost.org/operationhistory"
	nsData    = "http://russianpost.org/operationhistory/data"
	nsServer  = "http://fclient.russianpost.org/postserver"
	nsClient  = "http://fclient.russianpost.org"
)

// The answers' methods.
const (
	methodHistory = "getOperationHistoryResponse"
	methodTicket  = "ticketResponse"
	methodAnswer  = "answerByTicketResponse"
)

// ErrorTypeID of the batch service.
const (
	errAuthorization = "3"
	errNotReady      = "6"
	errUnknown       = "12"
	errInternal      = "16"
	errDeleted       = "17"
)

// homeCountry is where postcodes of six digits and numbers of fourteen are at
// home; abroadIndex is the postcode of any place outside.
const (
	homeCountry = parcel.Country("RU")
	abroadIndex = "000000"
)

// answer is what any of the answers holds.
type answer struct {
	method  string // empty if it is none of ours
	history []record
	items   []item
	ticket  string
	// failures of the whole call.
	failures []failure
	fault    *fault
	// torn is why reading stopped before the end; what came before it counts.
	torn error
}

// record is an operation as single access tells it.
type record struct {
	Address struct {
		Place struct {
			Index       string
			Description string
		} `xml:"OperationAddress"`
		To   land `xml:"MailDirect"`
		From land `xml:"CountryFrom"`
		At   land `xml:"CountryOper"`
	} `xml:"AddressParameters"`
	Item struct {
		Barcode string
	} `xml:"ItemParameters"`
	Operation struct {
		Type coded  `xml:"OperType"`
		Attr coded  `xml:"OperAttr"`
		Date string `xml:"OperDate"`
	} `xml:"OperationParameters"`
}

type land struct {
	Code2A, Code3A, NameEN, NameRU string
}

type coded struct {
	ID   string `xml:"Id"`
	Name string
}

// item is one number in a batch answer.
type item struct {
	barcode    string
	operations []operation
	failures   []failure
}

type operation struct {
	typeID, attrID, name, date, index string
}

type failure struct{ id, name string }

type fault struct{ reason, text string }

// parse reads an answer of either service. Elements are known by their
// namespace; where they stand does not matter, since the place of errors is
// not documented.
func parse(body []byte) answer {
	var a answer
	dec := newXML(body)
	current := -1 // the item being read
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.torn = fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := a.element(dec, t, &current); err != nil {
				a.torn = fmt.Errorf("%s: %w: %w", t.Name.Local, parcel.ErrMalformed, err)
				return a
			}
		case xml.EndElement:
			if t.Name == (xml.Name{Space: nsClient, Local: "Item"}) {
				current = -1
			}
		}
	}
	if a.torn == nil && a.method == "" && a.fault == nil {
		a.torn = fmt.Errorf("no answer of the tracking service: %w", parcel.ErrMalformed)
	}
	return a
}

func (a *answer) element(dec *xml.Decoder, t xml.StartElement, current *int) error {
	switch t.Name {
	case xml.Name{Space: nsHistory, Local: methodHistory}, xml.Name{Space: nsServer, Local: methodTicket}, xml.Name{Space: nsServer, Local: methodAnswer}:
		a.method = t.Name.Local
	case xml.Name{Space: nsData, Local: "historyRecord"}:
		var r record
		if err := dec.DecodeElement(&r, &t); err != nil {
			return err
		}
		a.history = append(a.history, r)
	case xml.Name{Space: nsClient, Local: "Item"}:
		*current = len(a.items)
		a.items = append(a.items, item{barcode: attr(t, "Barcode")})
	case xml.Name{Space: nsClient, Local: "Operation"}:
		if *current < 0 {
			return errors.New("outside of an item")
		}
		it := &a.items[*current]
		it.operations = append(it.operations, operation{
			typeID: attr(t, "OperTypeID"), attrID: attr(t, "OperCtgID"), name: attr(t, "OperName"), date: attr(t, "DateOper"), index: attr(t, "IndexOper"),
		})
	case xml.Name{Space: nsSOAP11, Local: "Fault"}, xml.Name{Space: nsSOAP12, Local: "Fault"}:
		a.fault = &fault{}
		return a.fault.read(dec)
	default:
		switch {
		case t.Name.Local == "value" && a.method == methodTicket:
			var text string
			if err := dec.DecodeElement(&text, &t); err != nil {
				return err
			}
			a.ticket = strings.TrimSpace(text)
		case strings.EqualFold(t.Name.Local, "error") && attr(t, "ErrorTypeID") != "":
			f := failure{id: attr(t, "ErrorTypeID"), name: attr(t, "ErrorName")}
			if *current >= 0 {
				a.items[*current].failures = append(a.items[*current].failures, f)
			} else {
				a.failures = append(a.failures, f)
			}
		}
	}
	return nil
}

// newXML reads leniently: an ampersand in the name of a firm must not cost the
// whole history, and the services speak UTF-8 whatever the prologue says.
func newXML(body []byte) *xml.Decoder {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	dec.Strict = false
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return dec
}

func attr(t xml.StartElement, local string) string {
	for _, a := range t.Attr {
		if a.Name.Local == local {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// read takes the fault's own sort, which is the name of the element in its
// detail, and all its text.
func (f *fault) read(dec *xml.Decoder) error {
	var texts []string
	for depth := 1; depth > 0; {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			depth++
			if strings.HasSuffix(t.Name.Local, "FaultReason") {
				f.reason = t.Name.Local
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if s := strings.TrimSpace(string(t)); s != "" {
				texts = append(texts, s)
			}
		}
	}
	f.text = strings.Join(texts, ": ")
	return nil
}

// err is the fault as an error of its kind. A fault that says nothing of
// credentials may pass: the service uses it for its own troubles too.
func (f *fault) err() error {
	kind := parcel.ErrUnavailable
	switch f.reason {
	case "AuthorizationFaultReason":
		kind = parcel.ErrDenied
	case "LanguageFaultReason":
		kind = parcel.ErrMalformed
	}
	return fmt.Errorf("fault %.200q: %w", f.text, kind)
}

func (a *answer) failed(id string) bool {
	for _, f := range a.failures {
		if f.id == id {
			return true
		}
	}
	return false
}

// refusal is the failure of the whole call as an error of its kind; nil if
// there is none, and for those that are answers in their own right.
func (a *answer) refusal() error {
	for _, f := range a.failures {
		if f.id != errNotReady && f.id != errUnknown {
			return f.err()
		}
	}
	return nil
}

func (f failure) err() error {
	var kind error
	switch f.id {
	case errAuthorization:
		kind = parcel.ErrDenied
	case errInternal, errDeleted:
		kind = parcel.ErrUnavailable
	case "2", "18", "20", "21", "22":
		// What was asked was wrong, and will be wrong again.
		kind = parcel.ErrMalformed
	default:
		kind = parcel.ErrUnavailable
	}
	return fmt.Errorf("error %.10s %.200q: %w", f.id, f.name, kind)
}

// Decode reads the answers of both services; the payload says itself which it
// is.
func (p *post) Decode(payload parcel.Payload) (parcel.Reading, error) {
	a := parse(payload.Body)
	if a.fault != nil {
		return parcel.Reading{}, fmt.Errorf("%s: %w", name, a.fault.err())
	}
	if a.method == "" {
		return parcel.Reading{}, fmt.Errorf("%s: %w", name, a.torn)
	}
	var rd parcel.Reading
	var errs []error
	switch a.method {
	case methodTicket:
		if a.ticket != "" {
			rd.RetryAfter = ticketWait
		}
	case methodHistory:
		errs = p.readHistory(&rd, a, payload.Numbers)
	case methodAnswer:
		errs = p.readItems(&rd, a, payload.Numbers)
	}
	switch {
	case a.failed(errNotReady):
		rd.RetryAfter = ticketWait
	case a.failed(errUnknown):
		for _, n := range payload.Numbers {
			rd.Results = append(rd.Results, parcel.NumberResult{Number: parcel.NormalizeNumber(n), Finding: parcel.FindingUnknown, Detail: errUnknown})
		}
	}
	errs = append(errs, a.refusal(), a.torn)
	if err := errors.Join(errs...); err != nil {
		return carrierkit.Happened(rd, payload), fmt.Errorf("%s: %w", name, err)
	}
	return carrierkit.Happened(rd, payload), nil
}

// readHistory reads the answer of single access. All its operations belong to
// the number asked for, also those told under another barcode: batch access
// tells them under the number asked for too.
func (p *post) readHistory(rd *parcel.Reading, a answer, asked []string) []error {
	number := ""
	if len(asked) == 1 {
		number = parcel.NormalizeNumber(asked[0])
	}
	for i := 0; number == "" && i < len(a.history); i++ {
		number = parcel.NormalizeNumber(a.history[i].Item.Barcode)
	}
	if len(a.history) == 0 {
		if number != "" && a.torn == nil {
			rd.Results = append(rd.Results, parcel.NumberResult{Number: number, Finding: parcel.FindingUnknown, Detail: "no operations"})
		}
		return nil
	}
	if number == "" {
		return []error{fmt.Errorf("a history without a barcode: %w", parcel.ErrMalformed)}
	}
	rd.Results = append(rd.Results, parcel.NumberResult{Number: number, Finding: parcel.FindingFound})
	var errs []error
	told := map[string]bool{number: true}
	for i := range a.history {
		r := &a.history[i]
		if other := parcel.NormalizeNumber(r.Item.Barcode); other != "" && !told[other] {
			told[other] = true
			rd.Aliases = append(rd.Aliases, parcel.Alias{Number: number, Other: other})
		}
		o, err := p.readRecord(number, r)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, operation %d: %w", number, i+1, err))
			continue
		}
		rd.Observations = append(rd.Observations, o)
	}
	return errs
}

func (p *post) readRecord(number string, r *record) (parcel.Observation, error) {
	op := &r.Operation
	own, err := ownCode(op.Type.ID, op.Attr.ID)
	if err != nil {
		return parcel.Observation{}, err
	}
	place := parcel.Place{
		Country:  r.Address.At.country(),
		Facility: strings.TrimSpace(r.Address.Place.Description),
	}
	if index := strings.TrimSpace(r.Address.Place.Index); index != abroadIndex {
		place.Postcode = index
	}
	if place.Country == "" && isHomeIndex(place.Postcode) {
		place.Country = homeCountry
	}
	occurred, err := p.reported(op.Date, place)
	if err != nil {
		return parcel.Observation{}, err
	}
	way := routeOf(number, r.Address.From.country(), r.Address.To.country())
	return p.observation(number, own, op.Type.Name, op.Attr.Name, occurred, place, way.contexts(place.Country)), nil
}

// readItems reads the answer to a ticket.
func (p *post) readItems(rd *parcel.Reading, a answer, asked []string) []error {
	var errs []error
	answered := map[string]bool{}
	for i, it := range a.items {
		number := parcel.NormalizeNumber(it.barcode)
		if number == "" {
			errs = append(errs, fmt.Errorf("item %d: no barcode: %w", i+1, parcel.ErrMalformed))
			continue
		}
		answered[number] = true
		result := parcel.NumberResult{Number: number, Finding: parcel.FindingFound}
		if len(it.operations) == 0 {
			result.Finding, result.Detail = parcel.FindingUnknown, "no operations"
		}
		for _, f := range it.failures {
			switch f.id {
			case errUnknown, "2", "21":
				result.Finding, result.Detail = parcel.FindingUnknown, strings.TrimSpace(f.id+" "+f.name)
			case errAuthorization:
				result.Finding, result.Detail = parcel.FindingDenied, strings.TrimSpace(f.id+" "+f.name)
			default:
				errs = append(errs, fmt.Errorf("%s: %w", number, f.err()))
				result.Number = ""
			}
		}
		if result.Number != "" {
			rd.Results = append(rd.Results, result)
		}
		for k, op := range it.operations {
			o, err := p.readOperation(number, op)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s, operation %d: %w", number, k+1, err))
				continue
			}
			rd.Observations = append(rd.Observations, o)
		}
	}
	if a.torn != nil || len(a.failures) > 0 {
		return errs
	}
	for _, n := range asked {
		if n = parcel.NormalizeNumber(n); !answered[n] {
			rd.Results = append(rd.Results, parcel.NumberResult{Number: n, Finding: parcel.FindingUnknown, Detail: "not in the answer"})
		}
	}
	return errs
}

func (p *post) readOperation(number string, op operation) (parcel.Observation, error) {
	own, err := ownCode(op.typeID, op.attrID)
	if err != nil {
		return parcel.Observation{}, err
	}
	way := routeOf(number, "", "")
	var (
		place parcel.Place
		at    parcel.Country // where it is taken to be, which may be more than is said
	)
	switch {
	case isHomeIndex(op.index):
		place, at = parcel.Place{Country: homeCountry, Postcode: op.index}, homeCountry
	case op.index == abroadIndex && way.from != homeCountry:
		at = way.from
	case op.index != abroadIndex:
		place.Postcode = op.index
	}
	occurred, err := p.local(op.date, place, at)
	if err != nil {
		return parcel.Observation{}, err
	}
	o := p.observation(number, own, op.name, "", occurred, place, way.contexts(at))
	if place.Country == "" && (o.Code == parcel.CodeTransitCountryArrived || o.Code == parcel.CodeTransitCountryDeparted) {
		// Whose transit it was nobody says, so neither whose clock.
		o.Occurred.Zone, o.Occurred.Certainty = "", parcel.CertaintyUnknown
	}
	return o, nil
}

// local reads the time of batch access by the postcode. Abroad, the clock is
// taken for that of the country that issued the number.
func (p *post) local(text string, place parcel.Place, at parcel.Country) (parcel.Moment, error) {
	occurred, err := p.zones.Local(text, "02.01.2006 15:04:05", place, at.MainZone(), parcel.CertaintyAssumed)
	if err == nil && occurred.IsZero() {
		err = fmt.Errorf("no time: %w", parcel.ErrMalformed)
	}
	return occurred, err
}

func (p *post) observation(number, own, words, detail string, occurred parcel.Moment, place parcel.Place, contexts []string) parcel.Observation {
	row, _ := p.codes.Lookup(own)
	for _, c := range contexts {
		if r, ok := p.codes.Lookup(c + own); ok {
			row = r
			break
		}
	}
	words, detail = strings.TrimSpace(words), strings.TrimSpace(detail)
	if words != "" && detail != "" {
		words += ": "
	}
	words = carrierkit.StripMarkup(words + detail)
	return parcel.Observation{
		Carrier: name, Number: number, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: words, Language: language(words), Occurred: occurred, Place: place,
		Rule: row.Rule, RuleVersion: p.codes.Version(),
	}
}

// ownCode joins type and attribute: "8.3". An operation without an attribute
// is written with none by single access and with 0 by batch access.
func ownCode(typeID, attrID string) (string, error) {
	typeID, attrID = plain(typeID), plain(attrID)
	if typeID == "" {
		return "", fmt.Errorf("an operation without a type: %w", parcel.ErrMalformed)
	}
	return typeID + "." + cmp.Or(attrID, "0"), nil
}

func plain(id string) string {
	id = strings.TrimSpace(id)
	if n, err := strconv.Atoi(id); err == nil && n >= 0 {
		return strconv.Itoa(n)
	}
	return id
}

// reported reads the time of single access, which carries the offset of the
// place; should one lack it, the place decides.
func (p *post) reported(text string, place parcel.Place) (parcel.Moment, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return parcel.Moment{}, fmt.Errorf("no time: %w", parcel.ErrMalformed)
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return parcel.ReportedMoment(text, t), nil
		}
	}
	return p.zones.Local(text, "2006-01-02T15:04:05", place, "", parcel.CertaintyUnknown)
}

func (l land) country() parcel.Country {
	for _, s := range [...]string{l.Code2A, l.Code3A, l.NameEN, l.NameRU} {
		if c, err := parcel.ParseCountry(s); err == nil {
			return c
		}
	}
	return ""
}

func isHomeIndex(index string) bool {
	return len(index) == 6 && index != abroadIndex && strings.Trim(index, "0123456789") == ""
}

// language tells the words' language from their script: the answer itself does
// not say which was asked for.
func language(words string) string {
	letters := false
	for _, r := range words {
		if unicode.Is(unicode.Cyrillic, r) {
			return "ru"
		}
		letters = letters || unicode.IsLetter(r)
	}
	if letters {
		return "en"
	}
	return ""
}

// route is where an item travels, as far as is known.
type route struct{ from, to parcel.Country }

// routeOf fills in from the number what the answer does not say: the post that
// issued it, and Russia as the other end. Where an item from Russia goes, its
// number does not tell.
func routeOf(number string, from, to parcel.Country) route {
	r := route{from, to}
	if len(number) == 14 && strings.Trim(number, "0123456789") == "" {
		return route{cmp.Or(from, homeCountry), cmp.Or(to, homeCountry)}
	}
	if s10, ok := parcel.ParseS10(number); ok && r.from == "" {
		r.from = s10.Origin
	}
	if r.to == "" && r.from != "" && r.from != homeCountry {
		r.to = homeCountry
	}
	return r
}

// contexts are the prefixes under which the code table is asked first: the
// same operation is told on both sides of the border.
func (r route) contexts(at parcel.Country) []string {
	switch {
	case at == "", r.from == "", r.from == r.to:
		return []string{"either:"}
	case at == r.from && at == homeCountry:
		return []string{"home:", "origin:"}
	case at == r.from:
		return []string{"origin:"}
	case at == r.to:
		return nil
	case r.to == "":
		return []string{"either:"}
	default:
		return []string{"transit:"}
	}
}

// Redact replaces the names of sender and recipient, and the account's login
// at the end of a ticket. It searches bytes rather than reading elements, so
// that the names go from an answer torn in the middle too.
func (p *post) Redact(payload parcel.Payload) parcel.Payload {
	for _, personal := range [...]string{"Sndr", "Rcpn"} {
		payload.Body = redactText(payload.Body, personal, 0)
	}
	if bytes.Contains(payload.Body, []byte(methodTicket)) {
		payload.Body = redactText(payload.Body, "value", ticketTime)
	}
	return payload
}

// ticketTime is the length of a ticket's date and time; the login follows.
const ticketTime = len("20060102150405000")

// redactText replaces the text of each element of that local name, but for the
// bytes at its beginning that are to be kept. An element that does not end
// loses all that follows.
func redactText(body []byte, local string, keep int) []byte {
	var out []byte
	at := 0
	for {
		_, from, ok := nextTag(body, at, "", local)
		if !ok {
			break
		}
		to, after, closed := nextTag(body, from, "/", local)
		if !closed {
			to, after = len(body), len(body)
		}
		text := body[from:to]
		kept := text[:min(keep, len(text))]
		out = append(append(out, body[at:from]...), kept...)
		out = append(out, carrierkit.Redacted(string(text[len(kept):]))...)
		out = append(out, body[to:after]...)
		at = after
	}
	if out == nil {
		return body
	}
	return append(out, body[at:]...)
}

// Tags are looked for within these bounds, so that a body made to be searched
// for ever is not.
const (
	maxPrefix = 64
	maxTag    = 1024
)

// nextTag finds the next start tag (slash "") or end tag (slash "/") of an
// element by its local name, whatever its prefix. Empty-element tags have no
// text and are passed over.
func nextTag(body []byte, at int, slash, local string) (from, to int, ok bool) {
	for {
		i := bytes.Index(body[at:], []byte(local))
		if i < 0 {
			return 0, 0, false
		}
		i += at
		floor := max(at, i-maxPrefix)
		at = i + len(local)
		open := bytes.LastIndexByte(body[floor:i], '<')
		if open < 0 {
			continue
		}
		open += floor
		prefix, isTag := bytes.CutPrefix(body[open+1:i], []byte(slash))
		if n := len(prefix); !isTag || n > 0 && (prefix[n-1] != ':' || bytes.ContainsAny(prefix[:n-1], " \t\r\n/>:")) {
			continue
		}
		length := bytes.IndexByte(body[at:min(len(body), at+maxTag)], '>')
		if length < 0 {
			continue
		}
		rest := body[at : at+length]
		if len(rest) > 0 && (bytes.IndexByte([]byte(" \t\r\n"), rest[0]) < 0 || rest[len(rest)-1] == '/') {
			continue
		}
		return open, at + length + 1, true
	}
}
