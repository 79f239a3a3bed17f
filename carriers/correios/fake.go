package correios

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// fakeTokenLife is short, so that tokens expire in use.
const fakeTokenLife = 10 * time.Minute

// fakeTokensKept bounds the tokens that are good at one time.
const fakeTokensKept = 64

// fake is Correios's side: tokens by postage card, the language rule, the
// limit of a batch, and refusals in its own words. It runs on trade time.
type fake struct {
	env   carriers.FakeEnv
	codes correios // reads what the fake is about to say
	words map[string]string
	says  map[parcel.Code][]string

	mu     sync.Mutex
	serial int
	tokens map[string]time.Time // until when each is good
}

func newFake(env carriers.FakeEnv, codes carriers.Table) *fake {
	return &fake{env: env, codes: correios{codes: codes, brasilia: brasilia()}, words: fakeWords(), says: fakeCodes(), tokens: map[string]time.Time{}}
}

// fakeCodes are the events that the fake tells a canonical code by, the usual
// one first.
func fakeCodes() map[parcel.Code][]string {
	return map[parcel.Code][]string{
		parcel.CodeInfoReceived:              {"EST/01"},
		parcel.CodePickedUp:                  {"PO/01"},
		parcel.CodeExportExchangeArrived:     {"PAR/18"},
		parcel.CodeOriginCountryDeparted:     {"RO/01"},
		parcel.CodeInTransit:                 {"RO/01", "BDE/69"},
		parcel.CodeDestinationCountryArrived: {"PAR/16"},
		parcel.CodeDestinationHubProcessed:   {"RO/01", "PAR/28"},
		parcel.CodeExportCustomsPresented:    {"FC/31"},
		parcel.CodeExportCustomsHeld:         {"BDE/81"},
		parcel.CodeImportCustomsPresented:    {"PAR/21"},
		parcel.CodeImportCustomsHeld:         {"PAR/12", "BDE/44", "PAR/41", "BDE/77", "FC/27", "PAR/26"},
		parcel.CodeCustomsDocumentsRequired:  {"PAR/25", "BDE/56"},
		parcel.CodeCustomsDutyDue:            {"PAR/17"},
		parcel.CodeImportCustomsReleased:     {"PAR/31", "PAR/34"},
		parcel.CodeCustomsRefused:            {"BDE/40", "BDE/43"},
		parcel.CodeOutForDelivery:            {"OEC/01"},
		parcel.CodeReadyForPickup:            {"LDI/01"},
		parcel.CodeDelivered:                 {"BDE/01", "BDE/67", "BDE/68"},
		parcel.CodeDeliveryAttemptFailed:     {"BDE/20", "BDE/25", "BDE/46"},
		parcel.CodeAddressProblem:            {"BDE/34", "BDE/19"},
		parcel.CodeReturnStarted:             {"BDE/05", "BDE/04", "BDE/06", "BDE/08", "BDE/10", "BDE/21", "BDE/26", "BDE/33", "BDE/49", "BDE/62"},
		parcel.CodeReturned:                  {"BDE/23"},
		parcel.CodeDamaged:                   {"BDE/28", "PAR/20"},
		parcel.CodeLost:                      {"BDE/80", "BDE/50"},
		parcel.CodeCarrierHeld:               {"BLQ/11", "BDE/12"},
		parcel.CodeDisposed:                  {"BDE/61"},
	}
}

// fakeWords are Correios's own for these events.
func fakeWords() map[string]string {
	return map[string]string{
		"EST/01": "Etiqueta emitida", "PO/01": "Objeto postado", "PAR/18": "Objeto recebido na unidade de exportação no país de origem",
		"RO/01": "Objeto em transferência - por favor aguarde", "BDE/69": "Objeto ainda não chegou à unidade", "PAR/16": "Objeto recebido pelos Correios do Brasil",
		"PAR/28": "Encaminhado para a unidade de tratamento", "FC/31": "Aguardando autorização para exportação",
		"BDE/81": "Não foi autorizada a saída do objeto do país pelos órgãos fiscalizadores", "PAR/21": "Encaminhado para fiscalização aduaneira",
		"PAR/12": "Informações prestadas pelo cliente em análise", "BDE/44": "Aguardando órgão anuente apresentar documentação fiscal",
		"PAR/41": "Prazo de pagamento encerrado", "BDE/77": "Aguardando Receita Federal", "FC/27": "Objeto encaminhado para emissão de DSI",
		"PAR/26": "Destinatário recusou o objeto", "PAR/25": "Faltam informações. Sua ação é necessária", "BDE/56": "Objeto com declaração aduaneira ausente ou incorreta",
		"PAR/17": "Aguardando pagamento", "PAR/31": "Pagamento confirmado", "PAR/34": "Liberado sem tributação",
		"BDE/40": "Não foi autorizada a entrada do objeto no país pelos órgãos fiscalizadores", "BDE/43": "Objeto apreendido por órgão de fiscalização",
		"OEC/01": "Objeto saiu para entrega ao destinatário", "LDI/01": "Objeto aguardando retirada no endereço indicado",
		"BDE/01": "Objeto entregue ao destinatário", "BDE/67": "Objeto entregue ao destinatário em endereço vizinho", "BDE/68": "Objeto entregue na Caixa de Correios Inteligente",
		"BDE/20": "Carteiro não atendido - Entrega não realizada", "BDE/25": "Empresa sem expediente - Entrega não realizada", "BDE/46": "Tentativa de entrega não efetuada",
		"BDE/34": "A entrega não pode ser efetuada - Logradouro com numeração irregular", "BDE/19": "Endereço incorreto - Entrega não realizada",
		"BDE/05": "A entrega não pode ser efetuada", "BDE/04": "Cliente recusou-se a receber o objeto - Entrega não realizada", "BDE/06": "Cliente desconhecido no local - Entrega não realizada",
		"BDE/08": "Endereço incorreto - Entrega não realizada", "BDE/10": "Cliente mudou-se - Entrega não realizada", "BDE/21": "Carteiro não atendido - Entrega não realizada",
		"BDE/26": "Destinatário não retirou objeto no prazo", "BDE/33": "Destinatário não apresentou documento exigido", "BDE/49": "As dimensões do objeto impossibilitam o tratamento e a entrega",
		"BDE/62": "Em devolução à origem por determinação da Receita Federal", "BDE/23": "Objeto entregue ao remetente", "BDE/28": "Objeto e/ou conteúdo avariado",
		"PAR/20": "Objeto recebido pelos Correios do Brasil com embalagem danificada", "BDE/80": "Objeto não localizado no fluxo postal", "BDE/50": "Objeto roubado",
		"BLQ/11": "Solicitação de suspensão de entrega recebida", "BDE/12": "Remetente não retirou objeto na Unidade dos Correios", "BDE/61": "Objeto refugado",
	}
}

// Speaks lists the codes that the fake has events for.
func (f *fake) Speaks() []parcel.Code {
	return slices.DeleteFunc(parcel.Codes(), func(c parcel.Code) bool { return f.says[c] == nil })
}

// Push is not offered by this API.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves the token service and API Rastro.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, f.token)
	mux.HandleFunc("GET "+trackPath, f.many)
	mux.HandleFunc("GET "+trackPath+"/{number}", func(w http.ResponseWriter, r *http.Request) { f.track(w, r, []string{r.PathValue("number")}) })
	return mux
}

func reply(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	user, code, ok := r.BasicAuth()
	if !ok || !carrierkit.ConstantTimeEqual(user, f.env.Settings["user"]) || !carrierkit.ConstantTimeEqual(code, f.env.Settings["access_code"]) {
		reply(w, http.StatusUnauthorized, map[string]any{"msgs": []string{"GTW-016: Usuário ou senha inválidos."}})
		return
	}
	var ask struct {
		Card string `json:"numero"`
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil || media != "application/json" || json.Unmarshal(body, &ask) != nil || ask.Card != f.env.Settings["postage_card"] {
		reply(w, http.StatusBadRequest, map[string]any{"msgs": []string{"TKN-001: Cartão de postagem inválido."}})
		return
	}
	now := f.env.Now().In(brasilia())
	f.mu.Lock()
	f.serial++
	token := fmt.Sprintf("eyJhbGciOiJSUzI1NiJ9.FAKE%d.%d", f.serial, now.UnixNano())
	for t, until := range f.tokens {
		if !now.Before(until) || len(f.tokens) >= fakeTokensKept {
			delete(f.tokens, t)
		}
	}
	f.tokens[token] = now.Add(fakeTokenLife)
	f.mu.Unlock()
	reply(w, http.StatusCreated, map[string]any{
		"ambiente": "PRODUCAO", "id": user, "ip": "203.0.113.20", "perfil": "PJ", "cnpj": "00000000000191",
		"cartaoPostagem": map[string]any{"numero": ask.Card, "contrato": "9912000000", "dr": 20, "api": []int{27, 76, 78, 87}},
		"emissao":        now.Format(wireLayout), "expiraEm": now.Add(fakeTokenLife).Format(wireLayout), "zoneId": "-03:00", "token": token,
	})
}

func (f *fake) many(w http.ResponseWriter, r *http.Request) {
	var numbers []string
	for _, v := range r.URL.Query()["codigosObjetos"] {
		numbers = append(numbers, strings.Split(v, ",")...)
	}
	f.track(w, r, numbers)
}

func (f *fake) track(w http.ResponseWriter, r *http.Request, numbers []string) {
	refuse := func(status int, message string) {
		reply(w, status, map[string]any{
			"msgs": []string{message}, "date": f.env.Now().In(brasilia()).Format("02/01/2006 15:04:05"), "method": r.Method, "path": r.URL.Path, "causa": "", "stackTrace": "",
		})
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.mu.Lock()
	until, known := f.tokens[token]
	f.mu.Unlock()
	query := r.URL.Query()
	switch lang := r.Header.Get("Accept-Language"); {
	case !bearer || !known || !f.env.Now().Before(until):
		refuse(http.StatusForbidden, "GTW-006: Token inválido.")
		return
	case lang != "pt-BR" && lang != "en" && lang != "es-ES":
		refuse(http.StatusBadRequest, "SRO-018: Permitido apenas os valores pt-BR(Português), en(Inglês) e es-ES(Espanhol) para o idioma")
		return
	case len(numbers) == 0 || len(numbers) > batchLimit:
		refuse(http.StatusBadRequest, fmt.Sprintf("SRO-014: Informe de 1 a %d objetos.", batchLimit))
		return
	}
	objects := make([]any, 0, len(numbers))
	for _, n := range numbers {
		objects = append(objects, f.object(n, query.Get("resultado")))
	}
	reply(w, http.StatusOK, map[string]any{"versao": "3.5.38", "quantidade": len(objects), "objetos": objects, "resultado": "Todos os Eventos"})
}

func (f *fake) object(number, wanted string) any {
	if _, ok := parcel.ParseS10(number); !ok {
		return map[string]any{"codObjeto": number, "mensagem": msgMalformed + ": Objeto inválido."}
	}
	h, ok := f.env.Journeys(number)
	if !ok || len(h.Scans) == 0 {
		return map[string]any{"codObjeto": number, "mensagem": msgUnknown + ": Objeto não encontrado na base de dados dos Correios."}
	}
	events := make([]any, 0, len(h.Scans))
	for _, s := range slices.Backward(h.Scans) { // newest first
		events = append(events, f.event(number, h, s))
	}
	switch wanted {
	case "U":
		events = events[:1]
	case "P":
		events = events[len(events)-1:]
	}
	o := map[string]any{
		"codObjeto": number, "tipoPostal": map[string]any{"sigla": number[:2], "descricao": "OBJETO INTERNACIONAL " + number[:2], "categoria": "PRIME"},
		"peso": 0.41, "formato": "Pacote", "modalidade": "F", "eventos": events,
	}
	if !h.Estimated.IsZero() {
		o["dtPrevista"] = h.Estimated.In(brasilia()).Format(parcel.DayLayout) + "T23:59:59"
	}
	return o
}

// fakeUnit is a unit as the service writes it.
type fakeUnit struct {
	Type    string            `json:"tipo"`
	Name    string            `json:"nome,omitempty"`
	Address map[string]string `json:"endereco"`
}

func (f *fake) event(number string, h carriers.FakeHistory, s carriers.FakeScan) any {
	at, next := f.units(h, s)
	own := f.own(number, s, at, next)
	code, kind, _ := strings.Cut(own, "/")
	e := map[string]any{
		"codigo": code, "tipo": kind, "dtHrCriado": s.At.In(brasilia()).Format(wireLayout),
		"descricao": cmp.Or(f.words[own], "Evento sem descrição"), "unidade": at,
	}
	if next != nil {
		e["unidadeDestino"] = next
	}
	return e
}

// units are where a scan happened and, for transfers, where the item goes.
func (f *fake) units(h carriers.FakeHistory, s carriers.FakeScan) (fakeUnit, *fakeUnit) {
	country := s.Place.Country
	if country == "" {
		country = cmp.Or(h.Destination, home)
		switch s.Code.Proves() {
		case parcel.MilestoneRegistered, parcel.MilestoneDispatched, parcel.MilestonePickedUp, parcel.MilestoneOriginDeparted:
			country = cmp.Or(h.Origin, home)
		}
	}
	abroad := func(c parcel.Country) fakeUnit {
		name := strings.ToUpper(c.Name())
		if c == home {
			name = "BRASIL"
		}
		return fakeUnit{Type: "País", Name: name, Address: map[string]string{}}
	}
	if country != home || s.Code == parcel.CodeOriginCountryDeparted {
		at := abroad(country)
		if s.Code != parcel.CodeOriginCountryDeparted {
			return at, nil
		}
		next := abroad(cmp.Or(h.Destination, home))
		return at, &next
	}
	at := fakeUnit{Type: "Unidade Operacional", Name: s.Place.Facility, Address: map[string]string{}}
	for key, value := range map[string]string{"cidade": s.Place.City, "uf": s.Place.Region, "cep": s.Place.Postcode} {
		if value != "" {
			at.Address[key] = value
		}
	}
	return at, nil
}

// own chooses the event that is read back as the scan, reason and receiver
// included where Correios has words for them.
func (f *fake) own(number string, s carriers.FakeScan, at fakeUnit, next *fakeUnit) string {
	candidates := f.says[s.Code]
	if len(candidates) == 0 {
		return "PMT/01" // a code that Correios has no word for: an event nobody mapped
	}
	here, there := unit{Type: carrierkit.Text(at.Type), Name: carrierkit.Text(at.Name)}, unit{}
	if next != nil {
		there = unit{Type: carrierkit.Text(next.Type), Name: carrierkit.Text(next.Name)}
	}
	best, bestScore := candidates[0], -1
	for _, own := range candidates {
		row := f.codes.row(own, number, here, there)
		score := 0
		if row.Code == s.Code {
			score += 4
		}
		if row.Reason == s.Reason {
			score += 2
		}
		if row.DeliveredTo == s.DeliveredTo {
			score++
		}
		if score > bestScore {
			best, bestScore = own, score
		}
	}
	return best
}
