package correios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	delivered = "LB604182353CN"
	returned  = "LB604182490CN"
	unknown   = "LB999999911CN"
	batchFile = "batch-journey-exception-unknown.json"
)

func account() map[string]string {
	return map[string]string{"user": "gatewaylog", "access_code": "s3cret", "postage_card": "0067599079"}
}

func bound(t testing.TB, env carriers.Env) *correios {
	t.Helper()
	c, err := spec().New(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*correios)
}

func sample(t testing.TB, file string, numbers ...string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return parcel.Payload{Carrier: name, Kind: kindTrack, Body: body, Numbers: numbers}
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

type told struct {
	Own    string
	Code   parcel.Code
	Reason parcel.Reason
	At     string
}

func tell(obs []parcel.Observation, number string) []told {
	var out []told
	for _, o := range obs {
		if o.Number == number {
			out = append(out, told{o.OwnCode, o.Code, o.Reason, o.Occurred.At.Format(time.RFC3339)})
		}
	}
	return out
}

func TestDecodeBatch(t *testing.T) {
	c := bound(t, carriers.Env{})
	rd, err := c.Decode(sample(t, batchFile, delivered, returned, unknown))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]told{
		{"BDE/01", parcel.CodeDelivered, "", "2026-11-05T18:22:10Z"},
		{"OEC/01", parcel.CodeOutForDelivery, "", "2026-11-05T12:04:33Z"},
		{"RO/01", parcel.CodeDestinationHubProcessed, "", "2026-11-05T00:40:00Z"},
		{"RO/01", parcel.CodeDestinationHubProcessed, "", "2026-11-02T13:12:45Z"},
		{"PAR/31", parcel.CodeImportCustomsReleased, "", "2026-11-01T21:30:21Z"},
		{"PAR/17", parcel.CodeCustomsDutyDue, parcel.ReasonDutyUnpaid, "2026-10-29T14:05:00Z"},
		{"PAR/21", parcel.CodeImportCustomsPresented, "", "2026-10-28T11:14:12Z"},
		{"PAR/16", parcel.CodeDestinationCountryArrived, "", "2026-10-28T02:50:09Z"},
		{"RO/01", parcel.CodeOriginCountryDeparted, "", "2026-10-19T17:00:00Z"},
		{"PO/01", parcel.CodePickedUp, "", "2026-10-16T13:32:00Z"},
	}, tell(rd.Observations, delivered)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]told{
		{"BDE/23", parcel.CodeReturned, "", "2026-11-20T13:00:00Z"},
		{"BDE/62", parcel.CodeReturnStarted, parcel.ReasonOther, "2026-11-10T12:30:00Z"},
		{"BDE/20", parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "2026-11-06T16:45:00Z"},
		{"OEC/01", parcel.CodeOutForDelivery, "", "2026-11-06T11:50:00Z"},
		{"PAR/21", parcel.CodeImportCustomsPresented, "", "2026-10-28T11:14:12Z"},
		{"PAR/16", parcel.CodeDestinationCountryArrived, "", "2026-10-28T02:50:09Z"},
		{"RO/01", parcel.CodeOriginCountryDeparted, "", "2026-10-19T17:00:00Z"},
		{"PO/01", parcel.CodePickedUp, "", "2026-10-16T13:32:00Z"},
	}, tell(rd.Observations, returned)); diff != "" {
		t.Error(diff)
	}
	for _, o := range rd.Observations {
		if o.Occurred.Certainty != parcel.CertaintyAssumed || o.Occurred.Offset() != "-03:00" || o.Occurred.Zone != "" || o.Language != "pt-BR" {
			t.Errorf("%s: %s %s %q %q", o.OwnCode, o.Occurred.Certainty, o.Occurred.Offset(), o.Occurred.Zone, o.Language)
		}
	}
	if o := rd.Observations[10]; o.DeliveredTo != parcel.DeliveredToSender || o.Place.Country != "CN" {
		t.Errorf("returned to %q in %q", o.DeliveredTo, o.Place.Country)
	}
	want := parcel.Reading{
		Results: []parcel.NumberResult{
			{Number: delivered, Finding: parcel.FindingFound},
			{Number: returned, Finding: parcel.FindingFound},
			{Number: unknown, Finding: parcel.FindingUnknown, Detail: "SRO-020: Objeto não encontrado na base de dados dos Correios."},
		},
		Estimates: []parcel.Estimate{
			{Number: delivered, Earliest: "2026-11-18", Last: "2026-11-18"},
			{Number: returned, Earliest: "2026-11-18", Last: "2026-11-18"},
		},
	}
	first := rd.Observations[1]
	rd.Observations = nil
	if diff := cmp.Diff(want, rd); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(parcel.Observation{
		Carrier: name, Number: delivered, OwnCode: "OEC/01", Code: parcel.CodeOutForDelivery,
		Words:    "Objeto saiu para entrega ao destinatário. É preciso ter alguém no endereço para receber o carteiro",
		Language: "pt-BR",
		Occurred: parcel.Moment{
			At: instant(t, "2026-11-05T12:04:33Z"), Wall: "2026-11-05T09:04:33", OffsetSeconds: -3 * 3600, HasOffset: true, Certainty: parcel.CertaintyAssumed,
		},
		Place: parcel.Place{Country: "BR", Region: "SP", City: "CAMPINAS", Facility: "Unidade de Distribuição"},
		Rule:  "OEC/01", RuleVersion: c.codes.Version(),
	}, first); diff != "" {
		t.Error(diff)
	}
}

func object1(number, events string) parcel.Payload {
	return parcel.Payload{Kind: kindTrack, Numbers: []string{number}, Body: []byte(`{"objetos":[{"codObjeto":"` + number + `","eventos":[` + events + `]}]}`)}
}

func TestDecodeOneEvent(t *testing.T) {
	c := bound(t, carriers.Env{})
	const brazil = `"unidade":{"tipo":"Unidade de Tratamento","endereco":{"cidade":"CAJAMAR","uf":"SP"}}`
	for _, tt := range []struct {
		name, number, event string
		own, rule           string
		want                parcel.Code
	}{
		{"one digit as a string", delivered, `"codigo":"BDE","tipo":"1",` + brazil, "BDE/01", "BDE/01", parcel.CodeDelivered},
		{"one digit as a number", delivered, `"codigo":"BDE","tipo":1,` + brazil, "BDE/01", "BDE/01", parcel.CodeDelivered},
		{"a sister code reads as BDE", delivered, `"codigo":"BDI","tipo":"23",` + brazil, "BDI/23", "BDE/23", parcel.CodeReturned},
		{"a sister code with a row of its own", delivered, `"codigo":"BDR","tipo":"31",` + brazil, "BDR/31", "BDR/31", parcel.CodeImportCustomsReleased},
		{"which BDE has not", delivered, `"codigo":"BDE","tipo":"31",` + brazil, "BDE/31", "unmapped", parcel.CodeUnknown},
		{"delivered to a neighbour", delivered, `"codigo":"BDR","tipo":"67",` + brazil, "BDR/67", "BDE/67", parcel.CodeDelivered},
		{"out for delivery to the sender", delivered, `"codigo":"OEC","tipo":"09",` + brazil, "OEC/09", "OEC/09", parcel.CodeReturnStarted},
		{"transfer of an import", delivered, `"codigo":"RO","tipo":"01",` + brazil, "RO/01", "import:RO/01", parcel.CodeDestinationHubProcessed},
		{"transfer inside Brazil", "AA000000008BR", `"codigo":"RO","tipo":"01",` + brazil, "RO/01", "RO/01", parcel.CodeInTransit},
		{"left for Brazil", delivered, `"codigo":"RO","tipo":"01","unidade":{"tipo":"País","nome":"CHINA"},"unidadeDestino":{"tipo":"País","nome":"BRASIL"}`, "RO/01", "abroad-to-brazil:RO/*", parcel.CodeOriginCountryDeparted},
		{"left for elsewhere", delivered, `"codigo":"RO","tipo":"01","unidade":{"tipo":"País","nome":"CHINA"},"unidadeDestino":{"tipo":"País","nome":"PORTUGAL"}`, "RO/01", "RO/01", parcel.CodeInTransit},
		{"any type of a pattern", "AA000000008BR", `"codigo":"CD","tipo":"77",` + brazil, "CD/77", "CD/*", parcel.CodeInTransit},
		{"a code nobody mapped", delivered, `"codigo":"ZZZ","tipo":"99",` + brazil, "ZZZ/99", "unmapped", parcel.CodeUnknown},
		{"no type", delivered, `"codigo":"BDE",` + brazil, "BDE/", "unmapped", parcel.CodeUnknown},
		{"no unit", delivered, `"codigo":"BDE","tipo":"01","unidade":null`, "BDE/01", "BDE/01", parcel.CodeDelivered},
		{"unit of the wrong kind", delivered, `"codigo":"BDE","tipo":"01","unidade":"AC CENTRAL"`, "BDE/01", "BDE/01", parcel.CodeDelivered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := c.Decode(object1(tt.number, `{`+tt.event+`,"dtHrCriado":"2026-11-05T15:22:10","descricao":"palavras"}`))
			if err != nil || len(rd.Observations) != 1 {
				t.Fatalf("%v, %v", rd, err)
			}
			if o := rd.Observations[0]; o.OwnCode != tt.own || o.Rule != tt.rule || o.Code != tt.want || o.Words != "palavras" {
				t.Errorf("%s read as %s by %s", o.OwnCode, o.Code, o.Rule)
			}
		})
	}
}

func TestRetraction(t *testing.T) {
	c := bound(t, carriers.Env{})
	rd, err := c.Decode(object1(delivered, `{"codigo":"EST","tipo":"9","dtHrCriado":"2026-11-05T16:00:00","descricao":"Favor desconsiderar a informação anterior"}`))
	if err != nil {
		t.Fatal(err)
	}
	if o := rd.Observations[0]; !o.Retracts || o.Code != parcel.CodeUnknown || o.OwnCode != "EST/09" {
		t.Errorf("read as %+v", o)
	}
}

func TestDecodeFailures(t *testing.T) {
	c := bound(t, carriers.Env{})
	for _, tt := range []struct {
		name, body string
		numbers    []string
		kind       error
	}{
		{"language", `{"msgs":["SRO-018: Permitido apenas os valores pt-BR"]}`, []string{delivered}, parcel.ErrMalformed},
		{"token", `{"msgs":["GTW-006: Token inválido."]}`, []string{delivered}, parcel.ErrDenied},
		{"anything else", `{"msgs":["SRO-999: ?"]}`, []string{delivered}, parcel.ErrUnavailable},
		{"unknown, but which", `{"msgs":["SRO-020: não encontrado"]}`, []string{delivered, returned}, parcel.ErrUnavailable},
		{"neither", `{}`, nil, parcel.ErrMalformed},
		{"a list", `[]`, nil, parcel.ErrMalformed},
		{"a page", `<html></html>`, nil, parcel.ErrMalformed},
		{"torn", `{"objetos":[{"codObjeto":"LB604182353CN"`, nil, parcel.ErrMalformed},
		{"objects of the wrong kind", `{"objetos":"x"}`, nil, parcel.ErrMalformed},
		{"an object without a number", `{"objetos":[{"eventos":[]}]}`, nil, parcel.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rd, err := c.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tt.body), Numbers: tt.numbers})
			if !errors.Is(err, tt.kind) {
				t.Errorf("%+v, %v: want %v", rd, err, tt.kind)
			}
		})
	}
	for _, tt := range []struct {
		name, body string
		want       parcel.NumberResult
	}{
		{"unknown", `{"msgs":["SRO-020: Objeto não encontrado"]}`, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown, Detail: "SRO-020: Objeto não encontrado"}},
		{"malformed number", `{"objetos":[{"codObjeto":"LB604182353CN","mensagem":"SRO-019: Objeto inválido"}]}`, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown, Detail: "SRO-019: Objeto inválido"}},
		{"no events", `{"objetos":[{"codObjeto":"LB604182353CN","eventos":null}]}`, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown}},
		{"left out", `{"objetos":[]}`, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}},
		{"null", `{"objetos":null}`, parcel.NumberResult{Number: delivered, Finding: parcel.FindingUnknown, Detail: "not in the answer"}},
	} {
		t.Run(tt.name+" is a result", func(t *testing.T) {
			rd, err := c.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(tt.body), Numbers: []string{delivered}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parcel.Reading{Results: []parcel.NumberResult{tt.want}}, rd); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("one bad item hides no other", func(t *testing.T) {
		rd, err := c.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(`{"objetos":[
			{"codObjeto":"LB604182353CN","dtPrevista":"soon","eventos":[
				{"codigo":"PO","tipo":"01","dtHrCriado":"2026-10-16T10:32:00"},
				{"codigo":"PO","tipo":"01","dtHrCriado":"yesterday"}, "x", {"tipo":"01","dtHrCriado":"2026-10-16T10:32:00"}]},
			17,
			{"codObjeto":"LB604182490CN","eventos":[{"codigo":"PO","tipo":"01","dtHrCriado":"2026-10-16T10:32:00"}]}]}`)})
		if len(rd.Observations) != 2 || len(rd.Results) != 2 {
			t.Errorf("%d observations, %d results", len(rd.Observations), len(rd.Results))
		}
		for _, named := range []string{delivered + ", event 2", delivered + ", event 3", delivered + ", dtPrevista", delivered + ", events: item 2", "item 1"} {
			if err == nil || !strings.Contains(err.Error(), named) {
				t.Errorf("error %v does not name %q", err, named)
			}
		}
	})
}

func TestRedact(t *testing.T) {
	c := bound(t, carriers.Env{})
	in := `{"objetos":[{"codObjeto":"LB604182353CN","eventos":[{"codigo":"BDE","tipo":"01","dtHrCriado":"2026-11-05T15:22:10","recebedor":{"nome":"MARIA","documento":12345}}]}]}`
	clean := c.Redact(parcel.Payload{Kind: kindTrack, Body: []byte(in)})
	if bytes.Contains(clean.Body, []byte("MARIA")) || bytes.Contains(clean.Body, []byte("12345")) {
		t.Errorf("left: %s", clean.Body)
	}
	before, _ := c.Decode(parcel.Payload{Kind: kindTrack, Body: []byte(in)})
	after, err := c.Decode(clean)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	whole := sample(t, batchFile, delivered)
	if got := c.Redact(whole); !bytes.Equal(got.Body, whole.Body) {
		t.Error("the sample names nobody, and was changed")
	}
}

func TestReadToken(t *testing.T) {
	asked := instant(t, "2026-11-05T11:00:07Z")
	sampleToken, err := os.ReadFile("testdata/token-response-201.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, body string
		token      string
		expires    time.Time
	}{
		{"sample", string(sampleToken), "eyJhbGciOiJSUzI1NiJ9.EXAMPLE.EXAMPLE", asked.Add(24 * time.Hour)},
		{"expiry by the clock of Brasília", `{"token":"x","expiraEm":"2026-11-05T20:00:00"}`, "x", instant(t, "2026-11-05T23:00:00Z")},
		{"expiry by the zone named", `{"token":"x","expiraEm":"2026-11-05T20:00:00","zoneId":"-02:00"}`, "x", instant(t, "2026-11-05T22:00:00Z")},
		{"a carrier's clock that is off", `{"token":"x","emissao":"2020-01-01T00:00:00","expiraEm":"2020-01-01T01:00:00"}`, "x", asked.Add(time.Hour)},
		{"longer than any token lives", `{"token":"x","expiraEm":"2099-01-01T00:00:00"}`, "x", asked.Add(24 * time.Hour)},
		{"no expiry", `{"token":"x"}`, "x", time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, expires, err := readToken([]byte(tt.body), asked)
			if err != nil || token != tt.token || !expires.Equal(tt.expires) {
				t.Errorf("%q until %s, %v: want %q until %s", token, expires, err, tt.token, tt.expires)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for key := range account() {
		settings := account()
		delete(settings, key)
		if _, err := spec().New(carriers.Env{Settings: settings}); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), key) {
			t.Errorf("without %s: %v, want ErrInvalid naming it", key, err)
		}
	}
	if _, err := bound(t, carriers.Env{}).Fetch(t.Context(), []carriers.Query{{Number: delivered}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
}

// hand is a clock that tests set.
type hand struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) Sleep(ctx context.Context, d time.Duration) error {
	h.add(d)
	return ctx.Err()
}

func (h *hand) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// network is a fake Correios on a loopback address.
type network struct {
	carrier, ours *hand
	journeys      map[string]carriers.FakeHistory
	env           carriers.Env

	mu    sync.Mutex
	calls []string // path and status, in order
	last  *http.Request
}

func dial(t *testing.T) *network {
	t.Helper()
	at := instant(t, "2026-11-05T11:00:00Z")
	n := &network{carrier: &hand{now: at}, ours: &hand{now: at}, journeys: map[string]carriers.FakeHistory{}}
	handler := spec().Fake(carriers.FakeEnv{Settings: account(), Now: n.carrier.Now, Journeys: func(number string) (carriers.FakeHistory, bool) {
		h, ok := n.journeys[number]
		return h, ok
	}}).Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		n.mu.Lock()
		n.calls = append(n.calls, fmt.Sprintf("%s %d", r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], rec.Code))
		n.last = r
		n.mu.Unlock()
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	n.env = carriers.Env{Account: "test", BaseURL: server.URL, Settings: account(), HTTP: server.Client(), Wall: n.ours}
	return n
}

func (n *network) called() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	calls := n.calls
	n.calls = nil
	return calls
}

func queries(numbers ...string) []carriers.Query {
	qs := make([]carriers.Query, len(numbers))
	for i, n := range numbers {
		qs[i].Number = n
	}
	return qs
}

type scan struct {
	Code        parcel.Code
	At          time.Time
	Place       parcel.Place
	Reason      parcel.Reason
	DeliveredTo parcel.DeliveredTo
}

func TestRoundTrip(t *testing.T) {
	china := parcel.Place{Country: "CN"}
	curitiba := parcel.Place{Country: "BR", Region: "PR", City: "CURITIBA", Facility: "CEINT"}
	manaus := parcel.Place{Country: "BR", Region: "AM", City: "MANAUS", Facility: "CDD MANAUS", Postcode: "69000000"}
	n := dial(t)
	h := carriers.FakeHistory{Origin: "CN", Destination: "BR", Estimated: instant(t, "2026-11-18T12:00:00Z")}
	var want []scan
	for i, s := range []carriers.FakeScan{
		{Code: parcel.CodePickedUp, Place: china},
		{Code: parcel.CodeExportExchangeArrived, Place: china},
		{Code: parcel.CodeOriginCountryDeparted, Place: china},
		{Code: parcel.CodeDestinationCountryArrived, Place: curitiba},
		{Code: parcel.CodeImportCustomsPresented, Place: curitiba},
		{Code: parcel.CodeImportCustomsHeld, Place: curitiba, Reason: parcel.ReasonDocumentsMissing},
		{Code: parcel.CodeCustomsDutyDue, Place: curitiba, Reason: parcel.ReasonDutyUnpaid},
		{Code: parcel.CodeImportCustomsReleased, Place: curitiba},
		{Code: parcel.CodeDestinationHubProcessed, Place: curitiba},
		{Code: parcel.CodeOutForDelivery, Place: manaus},
		{Code: parcel.CodeDeliveryAttemptFailed, Place: manaus, Reason: parcel.ReasonBusinessClosed},
		{Code: parcel.CodeReadyForPickup, Place: manaus},
		{Code: parcel.CodeDelivered, Place: manaus, DeliveredTo: parcel.DeliveredToNeighbour},
	} {
		s.At = instant(t, "2026-10-16T13:32:00Z").Add(time.Duration(i) * 11 * time.Hour)
		h.Scans = append(h.Scans, s)
		want = append(want, scan{s.Code, s.At, s.Place, s.Reason, s.DeliveredTo})
	}
	slices.Reverse(want)
	n.journeys[delivered] = h
	c := bound(t, n.env)
	payloads, err := c.Fetch(t.Context(), queries("lb 604182353 cn", unknown, "12345"))
	if err != nil || len(payloads) != 1 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	rd, err := c.Decode(c.Redact(payloads[0]))
	if err != nil {
		t.Fatal(err)
	}
	var got []scan
	for _, o := range rd.Observations {
		got = append(got, scan{o.Code, o.Occurred.At, o.Place, o.Reason, o.DeliveredTo})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]parcel.NumberResult{
		{Number: delivered, Finding: parcel.FindingFound},
		{Number: unknown, Finding: parcel.FindingUnknown, Detail: "SRO-020: Objeto não encontrado na base de dados dos Correios."},
		{Number: "12345", Finding: parcel.FindingUnknown, Detail: "SRO-019: Objeto inválido."},
	}, rd.Results); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]parcel.Estimate{{Number: delivered, Earliest: "2026-11-18", Last: "2026-11-18"}}, rd.Estimates); diff != "" {
		t.Error(diff)
	}
	if got := n.last.Header["Accept-Language"]; !slices.Equal(got, []string{"pt-BR"}) {
		t.Errorf("Accept-Language %q", got)
	}
	if got := n.last.URL.Query()["codigosObjetos"]; !slices.Equal(got, []string{delivered, unknown, "12345"}) {
		t.Errorf("codigosObjetos %q, want it repeated", got)
	}
}

func TestTokenLife(t *testing.T) {
	n := dial(t)
	c := bound(t, n.env)
	fetch := func() {
		t.Helper()
		if _, err := c.Fetch(t.Context(), queries(delivered)); err != nil {
			t.Error(err)
		}
	}
	fetch()
	fetch()
	if diff := cmp.Diff([]string{"cartaopostagem 201", "objetos 200", "objetos 200"}, n.called()); diff != "" {
		t.Errorf("one token serves: %s", diff)
	}
	// It expires at the carrier and not here: refused once, renewed once.
	n.carrier.add(fakeTokenLife)
	fetch()
	if diff := cmp.Diff([]string{"objetos 403", "cartaopostagem 201", "objetos 200"}, n.called()); diff != "" {
		t.Errorf("expired: %s", diff)
	}
	// It is due here: renewed before it is refused.
	n.ours.add(fakeTokenLife)
	fetch()
	if diff := cmp.Diff([]string{"cartaopostagem 201", "objetos 200"}, n.called()); diff != "" {
		t.Errorf("due: %s", diff)
	}
}

func TestOneTokenUnderConcurrency(t *testing.T) {
	n := dial(t)
	c := bound(t, n.env)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _, _ = c.Fetch(t.Context(), queries(delivered)) })
	}
	wg.Wait()
	tokens := 0
	for _, call := range n.called() {
		if strings.HasPrefix(call, "cartaopostagem") {
			tokens++
		}
	}
	if tokens != 1 {
		t.Errorf("%d tokens asked for, want 1", tokens)
	}
}

func TestBatchOfFifty(t *testing.T) {
	n := dial(t)
	c := bound(t, n.env)
	var numbers []string
	for i := range 101 {
		numbers = append(numbers, fmt.Sprintf("LB%08d0CN", i))
	}
	payloads, err := c.Fetch(t.Context(), queries(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, p := range payloads {
		sizes = append(sizes, len(p.Numbers))
	}
	if diff := cmp.Diff([]int{50, 50, 1}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestFetchRefused(t *testing.T) {
	for _, tt := range []struct {
		name, setting, value string
		words                string
	}{
		{"wrong access code", "access_code", "wrong", "GTW-016"},
		{"wrong postage card", "postage_card", "1", "TKN-001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := dial(t)
			env := n.env
			env.Settings = account()
			env.Settings[tt.setting] = tt.value
			_, err := bound(t, env).Fetch(t.Context(), queries(delivered))
			if !errors.Is(err, parcel.ErrDenied) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want ErrDenied with %s", err, tt.words)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		n := dial(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := bound(t, n.env).Fetch(ctx, queries(delivered)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a contract without the tracking API is asked twice, not for ever", func(t *testing.T) {
		calls := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				reply(w, http.StatusCreated, map[string]any{"token": "x", "emissao": "2026-11-05T08:00:00", "expiraEm": "2026-11-06T08:00:00"})
				return
			}
			calls++
			reply(w, http.StatusForbidden, map[string]any{"msgs": []string{"GTW-009: API não autorizada."}})
		}))
		defer server.Close()
		c := bound(t, carriers.Env{BaseURL: server.URL, Settings: account(), HTTP: server.Client(), Wall: &hand{now: instant(t, "2026-11-05T11:00:00Z")}})
		if _, err := c.Fetch(t.Context(), queries(delivered)); !errors.Is(err, parcel.ErrDenied) || calls != 2 {
			t.Errorf("%v after %d calls", err, calls)
		}
	})
	t.Run("a number refused with a status is a result", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				reply(w, http.StatusCreated, map[string]any{"token": "x", "emissao": "2026-11-05T08:00:00", "expiraEm": "2026-11-06T08:00:00"})
				return
			}
			reply(w, http.StatusNotFound, map[string]any{"msgs": []string{"SRO-020: Objeto não encontrado."}})
		}))
		defer server.Close()
		c := bound(t, carriers.Env{BaseURL: server.URL, Settings: account(), HTTP: server.Client(), Wall: &hand{now: instant(t, "2026-11-05T11:00:00Z")}})
		payloads, err := c.Fetch(t.Context(), queries(delivered))
		if err != nil || len(payloads) != 1 {
			t.Fatalf("%v, %v", payloads, err)
		}
		if rd, err := c.Decode(payloads[0]); err != nil || len(rd.Results) != 1 || rd.Results[0].Finding != parcel.FindingUnknown {
			t.Errorf("%+v, %v", rd, err)
		}
	})
}

// The fake holds callers to the rules of the real service.
func TestFakeRules(t *testing.T) {
	n := dial(t)
	token, _, err := bound(t, n.env).newToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for range batchLimit + 1 {
		many = append(many, "codigosObjetos="+delivered)
	}
	for _, tt := range []struct {
		name, path, language, token string
		status                      int
		words                       string
	}{
		{"language", trackPath + "?codigosObjetos=" + delivered, "*", token, http.StatusBadRequest, "SRO-018"},
		{"no language", trackPath + "?codigosObjetos=" + delivered, "", token, http.StatusBadRequest, "SRO-018"},
		{"English will do", trackPath + "?codigosObjetos=" + delivered, "en", token, http.StatusOK, "SRO-020"},
		{"no token", trackPath + "?codigosObjetos=" + delivered, "pt-BR", "", http.StatusForbidden, "GTW-006"},
		{"fifty-one", trackPath + "?" + strings.Join(many, "&"), "pt-BR", token, http.StatusBadRequest, "SRO-014"},
		{"a comma list", trackPath + "?codigosObjetos=" + delivered + "," + returned, "pt-BR", token, http.StatusOK, returned},
		{"one", trackPath + "/" + delivered + "?resultado=T", "pt-BR", token, http.StatusOK, "SRO-020"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.env.BaseURL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.language != "" {
				req.Header.Set("Accept-Language", tt.language)
			}
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			resp, err := n.env.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body bytes.Buffer
			if _, err := body.ReadFrom(resp.Body); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(body.String(), tt.words) {
				t.Errorf("%d %s: want %d with %s", resp.StatusCode, body.String(), tt.status, tt.words)
			}
		})
	}
}

// Every code that the fake speaks is read back as itself.
func TestFakeSpeaksItsCodes(t *testing.T) {
	n := dial(t)
	c := bound(t, n.env)
	for _, code := range spec().Fake(carriers.FakeEnv{}).Speaks() {
		number := delivered
		if code == parcel.CodeInTransit {
			number = "AA000000008BR" // an import is said to be past the border
		}
		at := instant(t, "2026-10-16T13:32:00Z")
		n.journeys[number] = carriers.FakeHistory{Origin: "CN", Destination: "BR", Scans: []carriers.FakeScan{{Code: code, At: at}}}
		payloads, err := c.Fetch(t.Context(), queries(number))
		if err != nil {
			t.Fatal(err)
		}
		rd, err := c.Decode(payloads[0])
		if err != nil || len(rd.Observations) != 1 || rd.Observations[0].Code != code || !rd.Observations[0].Occurred.At.Equal(at) {
			t.Errorf("%s comes back as %+v, %v", code, rd.Observations, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			f.Add(sample(f, e.Name()).Body)
		}
	}
	c := bound(f, carriers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parcel.Payload{Kind: kindTrack, Body: body, Numbers: []string{delivered}}
		rd, _ := c.Decode(p)
		for _, o := range rd.Observations {
			if o.Number == "" || o.OwnCode == "" || o.Code == "" || o.Occurred.IsZero() {
				t.Errorf("half an observation: %+v", o)
			}
		}
		clean := c.Redact(p)
		if again := c.Redact(clean); !bytes.Equal(again.Body, clean.Body) {
			t.Errorf("redacting is not idempotent: %q, %q", clean.Body, again.Body)
		}
	})
}

// The samples end as expected.
func TestOutcomes(t *testing.T) {
	c := bound(t, carriers.Env{})
	rd, err := c.Decode(sample(t, batchFile, delivered, returned, unknown))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, number string
		events       int
		outcome      parcel.Outcome
		closed       []parcel.ExceptionKind
	}{
		{"delivered after duty was paid", delivered, 10, parcel.OutcomeDelivered, []parcel.ExceptionKind{parcel.ExceptionCustomsHeld, parcel.ExceptionActionRequired}},
		{"delivered to the sender", returned, 8, parcel.OutcomeReturned, []parcel.ExceptionKind{parcel.ExceptionAttemptFailed, parcel.ExceptionReturning}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rows []parcel.Event
			for _, o := range rd.Observations {
				if o.Number == tt.number {
					rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
				}
			}
			s := parcel.Shipment{}
			s.Origin.Country, s.Destination.Country = "CN", "BR"
			j := parcel.Fold(&s, nil, rows)
			if len(j.Events) != tt.events || j.Outcome != tt.outcome {
				t.Errorf("%d events, outcome %q: want %d, %q", len(j.Events), j.Outcome, tt.events, tt.outcome)
			}
			var closed []parcel.ExceptionKind
			for _, x := range j.Exceptions {
				if x.Open() {
					t.Errorf("%s is open", x.Kind)
				}
				closed = append(closed, x.Kind)
			}
			if diff := cmp.Diff(tt.closed, closed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// "Disregard the previous information" takes back what was said before it.
func TestRetractionFolds(t *testing.T) {
	c := bound(t, carriers.Env{})
	rd, err := c.Decode(object1(delivered, `{"codigo":"EST","tipo":"9","dtHrCriado":"2026-11-05T16:00:00"},
		{"codigo":"BDE","tipo":"01","dtHrCriado":"2026-11-05T15:22:10"},{"codigo":"OEC","tipo":"01","dtHrCriado":"2026-11-05T09:04:33"}`))
	if err != nil {
		t.Fatal(err)
	}
	var rows []parcel.Event
	for _, o := range rd.Observations {
		rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
	}
	s := parcel.Shipment{}
	s.Origin.Country, s.Destination.Country = "CN", "BR"
	if j := parcel.Fold(&s, nil, rows); j.Milestone != parcel.MilestoneOutForDelivery || j.Outcome != "" {
		t.Errorf("%s, outcome %q: want OUT_FOR_DELIVERY and none", j.Milestone, j.Outcome)
	}
}
