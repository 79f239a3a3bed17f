package correios

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// wireLayout is how times are written; fractions of a second may follow.
const wireLayout = "2006-01-02T15:04:05"

// The messages about one number.
const (
	msgMalformed = "SRO-019"
	msgUnknown   = "SRO-020"
)

const home = parcel.Country("BR")

// answer is what API Rastro says. Fields come as strings or numbers, and lists
// and objects as null or "".
type answer struct {
	Objects *carrierkit.List[object] `json:"objetos"`
}

type object struct {
	Number   carrierkit.Text        `json:"codObjeto"`
	Expected carrierkit.Text        `json:"dtPrevista"`
	Events   carrierkit.List[event] `json:"eventos"`
	Message  carrierkit.Text        `json:"mensagem"`
}

type event struct {
	Code    carrierkit.Text       `json:"codigo"`
	Type    carrierkit.Text       `json:"tipo"`
	Created carrierkit.Text       `json:"dtHrCriado"`
	Words   carrierkit.Text       `json:"descricao"`
	Detail  carrierkit.Text       `json:"detalhe"`
	Unit    carrierkit.List[unit] `json:"unidade"`
	Next    carrierkit.List[unit] `json:"unidadeDestino"`
}

type unit struct {
	Type    carrierkit.Text          `json:"tipo"`
	Name    carrierkit.Text          `json:"nome"`
	Address carrierkit.List[address] `json:"endereco"`
}

type address struct {
	City     carrierkit.Text `json:"cidade"`
	State    carrierkit.Text `json:"uf"`
	Postcode carrierkit.Text `json:"cep"`
}

// refusal is the messages of a call that failed as a whole: "CODE: text".
type refusal []string

// readRefusal gives nothing for a body that holds no messages.
func readRefusal(body []byte) refusal {
	var doc struct {
		Messages carrierkit.List[carrierkit.Text] `json:"msgs"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	var r refusal
	for _, m := range doc.Messages.Items {
		if s := m.String(); s != "" {
			r = append(r, s)
		}
	}
	return r
}

// aboutNumber tells whether the messages only say that the number is not
// known, or none that could be.
func (r refusal) aboutNumber() bool {
	return len(r) > 0 && !slices.ContainsFunc(r, func(m string) bool {
		return !strings.HasPrefix(m, msgUnknown) && !strings.HasPrefix(m, msgMalformed)
	})
}

func (r refusal) String() string {
	s := strings.Join(r, "; ")
	return s[:min(len(s), 300)]
}

// wrap adds the carrier's own words to an error.
func (r refusal) wrap(err error) error {
	if len(r) == 0 {
		return err
	}
	return fmt.Errorf("%q: %w", r.String(), err)
}

// err is the refusal as an error of its kind, where no status tells it.
func (r refusal) err() error {
	kind := parcel.ErrUnavailable
	switch code, _, _ := strings.Cut(r[0], ":"); {
	case strings.HasPrefix(code, "GTW-"): // the gateway: token or contract
		kind = parcel.ErrDenied
	case code == "SRO-018": // language, which is ours to get right
		kind = parcel.ErrMalformed
	}
	return r.wrap(kind)
}

// Decode reads an answer for any number of objects.
func (c *correios) Decode(p parcel.Payload) (parcel.Reading, error) {
	rd, err := c.decode(p)
	if err != nil {
		return carrierkit.Happened(rd, p), fmt.Errorf("%s: %w", name, err)
	}
	return carrierkit.Happened(rd, p), nil
}

func (c *correios) decode(p parcel.Payload) (parcel.Reading, error) {
	var rd parcel.Reading
	body := carrierkit.TrimMark(p.Body)
	var doc answer
	if err := json.Unmarshal(body, &doc); err != nil {
		return rd, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
	}
	if doc.Objects == nil && carrierkit.SniffJSON(body, "objetos") {
		doc.Objects = &carrierkit.List[object]{} // null: no objects
	}
	if doc.Objects == nil {
		r := readRefusal(body)
		switch {
		case len(r) == 0:
			return rd, fmt.Errorf("neither objects nor messages: %w", parcel.ErrMalformed)
		case r.aboutNumber() && len(p.Numbers) == 1:
			rd.Results = append(rd.Results, parcel.NumberResult{Number: parcel.NormalizeNumber(p.Numbers[0]), Finding: parcel.FindingUnknown, Detail: r.String()})
			return rd, nil
		}
		return rd, r.err()
	}
	errs := slices.Clone(doc.Objects.Faults)
	answered := map[string]bool{}
	for i, o := range doc.Objects.Items {
		number := parcel.NormalizeNumber(o.Number.String())
		if number == "" {
			errs = append(errs, fmt.Errorf("object %d: no number: %w", i+1, parcel.ErrMalformed))
			continue
		}
		answered[number] = true
		errs = append(errs, c.readObject(&rd, number, &o)...)
	}
	// An object that could not be read may be the one that seems missing.
	if len(errs) == 0 {
		for _, n := range p.Numbers {
			if n = parcel.NormalizeNumber(n); !answered[n] {
				rd.Results = append(rd.Results, parcel.NumberResult{Number: n, Finding: parcel.FindingUnknown, Detail: "not in the answer"})
			}
		}
	}
	return rd, errors.Join(errs...)
}

func (c *correios) readObject(rd *parcel.Reading, number string, o *object) []error {
	var errs []error
	fail := func(what string, err error) { errs = append(errs, fmt.Errorf("%s, %s: %w", number, what, err)) }
	result := parcel.NumberResult{Number: number, Finding: parcel.FindingFound, Detail: o.Message.String()}
	if len(o.Events.Items) == 0 && len(o.Events.Faults) == 0 {
		// Unknown (SRO-020), malformed (SRO-019), or known and not yet scanned.
		result.Finding = parcel.FindingUnknown
	}
	rd.Results = append(rd.Results, result)
	for _, err := range o.Events.Faults {
		fail("events", err)
	}
	for i := range o.Events.Items {
		observation, err := c.readEvent(number, &o.Events.Items[i])
		if err != nil {
			fail(fmt.Sprintf("event %d", i+1), err)
			continue
		}
		rd.Observations = append(rd.Observations, observation)
	}
	if text := o.Expected.String(); text != "" {
		day, err := time.Parse(parcel.DayLayout, text[:min(len(text), len(parcel.DayLayout))])
		if err != nil {
			fail("dtPrevista", fmt.Errorf("%.40q is no day: %w", text, parcel.ErrMalformed))
		} else {
			d := day.Format(parcel.DayLayout)
			rd.Estimates = append(rd.Estimates, parcel.Estimate{Number: number, Earliest: d, Last: d})
		}
	}
	return errs
}

func (c *correios) readEvent(number string, e *event) (parcel.Observation, error) {
	code := strings.ToUpper(e.Code.String())
	if code == "" {
		return parcel.Observation{}, fmt.Errorf("no codigo: %w", parcel.ErrMalformed)
	}
	at, next := e.Unit.First(), e.Next.First()
	occurred, err := c.moment(e.Created.String())
	if err != nil {
		return parcel.Observation{}, err
	}
	own := code + "/" + twoDigits(e.Type.String())
	row := c.row(own, number, at, next)
	words, detail := e.Words.String(), e.Detail.String()
	if words != "" && detail != "" {
		words += ". "
	}
	o := parcel.Observation{
		Carrier: name, Number: number, OwnCode: own,
		Code: row.Code, Reason: row.Reason, DeliveredTo: row.DeliveredTo, Retracts: row.Retracts,
		Words: carrierkit.StripMarkup(words + detail), Occurred: occurred, Place: at.place(),
		Rule: row.Rule, RuleVersion: c.codes.Version(),
	}
	if o.Words != "" {
		o.Language = language
	}
	return o, nil
}

// row reads a code. The same transfer is told on both sides of the border, and
// the delivery list (BDE) has two sisters whose types mean the same.
func (c *correios) row(own, number string, at, next unit) carriers.Row {
	var contexts []string
	switch {
	case at.isCountry() && next.isCountry() && next.country() == home:
		contexts = []string{"abroad-to-brazil:"}
	case !at.isCountry() && isImport(number):
		contexts = []string{"import:"}
	}
	names := []string{own}
	if rest, ok := strings.CutPrefix(own, "BDI/"); ok {
		names = append(names, "BDE/"+rest)
	} else if rest, ok := strings.CutPrefix(own, "BDR/"); ok {
		names = append(names, "BDE/"+rest)
	}
	for _, prefix := range append(contexts, "") {
		for _, n := range names {
			if row, ok := c.codes.Lookup(prefix + n); ok {
				return row
			}
		}
	}
	row, _ := c.codes.Lookup(own)
	return row
}

// isImport tells whether another country's post issued the number.
func isImport(number string) bool {
	s10, ok := parcel.ParseS10(number)
	return ok && s10.Origin != home
}

// twoDigits is a type as the table writes it: "1", 1 and "01" are one.
func twoDigits(s string) string {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return fmt.Sprintf("%02d", n)
	}
	return s
}

// moment reads a time: the clock of Brasília, by rule. It is taken for foreign
// events too, whose clock nobody knows better.
func (c *correios) moment(text string) (parcel.Moment, error) {
	if t, err := time.Parse(wireLayout, text); err == nil {
		return parcel.LocalMoment(text, t, c.brasilia, parcel.CertaintyAssumed), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return parcel.ReportedMoment(text, t), nil
	}
	return parcel.Moment{}, fmt.Errorf("dtHrCriado %.40q: %w", text, parcel.ErrMalformed)
}

// isCountry tells whether the unit stands for a country: events abroad.
func (u unit) isCountry() bool {
	t := u.Type.String()
	return strings.EqualFold(t, "País") || strings.EqualFold(t, "Pais")
}

func (u unit) country() parcel.Country {
	country, err := parcel.ParseCountry(u.Name.String())
	if err != nil {
		return ""
	}
	return country
}

func (u unit) place() parcel.Place {
	if u.isCountry() {
		if country := u.country(); country != "" {
			return parcel.Place{Country: country}
		}
		return parcel.Place{Facility: u.Name.String()}
	}
	a := u.Address.First()
	p := parcel.Place{
		Region: a.State.String(), City: a.City.String(), Postcode: a.Postcode.String(), Facility: u.Name.String(),
	}
	if p.Facility == "" {
		p.Facility = u.Type.String()
	}
	if !p.IsZero() {
		p.Country = home
	}
	return p
}

// Redact replaces what names a person: who sent, should receive or did
// receive, with their documents. The published answer has none of these, but
// its extra fields are not established.
func (c *correios) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, func(path []string) bool {
		switch strings.ToLower(path[len(path)-1]) {
		case "destinatario", "remetente", "recebedor", "nomerecebedor", "documento", "cpf", "cnpj", "cpfcnpj", "telefone", "celular", "email", "token":
			return true
		}
		return false
	})
	return p
}
