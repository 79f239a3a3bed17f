package russianpost

import (
	"cmp"
	"encoding/xml"
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

// fake is Russian Post's side: both services, the login in the body, and the
// clock of the tickets, which runs on trade time.
type fake struct {
	env   carriers.FakeEnv
	codes carriers.Table
	zones carrierkit.Zones
	wait  time.Duration
	says  map[parcel.Code][]string

	mu      sync.Mutex
	serial  int
	tickets map[string]fakeTicket
}

type fakeTicket struct {
	numbers []string
	taken   time.Time
	asked   time.Time // zero if never
}

// The service's limit, which is not the adapter's own.
const serviceBatch = 3000

// fakeCodes are the operations that the fake tells a canonical code by, the
// usual one first.
func fakeCodes() map[parcel.Code][]string {
	return map[parcel.Code][]string{
		parcel.CodeInfoReceived:              {"28.0", "27.0"},
		parcel.CodePickedUp:                  {"1.1", "1.2"},
		parcel.CodeOriginHubArrived:          {"8.3", "8.0"},
		parcel.CodeOriginHubDeparted:         {"8.4", "8.1"},
		parcel.CodeExportExchangeArrived:     {"8.5"},
		parcel.CodeHandedToLinehaul:          {"8.6", "31.74"},
		parcel.CodeOriginCountryDeparted:     {"10.0"},
		parcel.CodeTransitCountryArrived:     {"8.7"},
		parcel.CodeTransitCountryDeparted:    {"8.8"},
		parcel.CodeDestinationCountryArrived: {"9.1", "8.13"},
		parcel.CodeDestinationHubProcessed:   {"8.3", "8.0"},
		parcel.CodeImportExchangeDeparted:    {"8.6"},
		parcel.CodeInTransit:                 {"31.31", "4.1", "4.3"},
		parcel.CodeExportCustomsPresented:    {"11.0"},
		parcel.CodeExportCustomsHeld:         {"14.8", "14.18", "14.6"},
		parcel.CodeExportCustomsReleased:     {"14.1"},
		parcel.CodeImportCustomsPresented:    {"11.0"},
		parcel.CodeImportCustomsHeld:         {"14.8", "14.18", "24.1019", "38.4", "24.1057", "39.5", "14.14"},
		parcel.CodeCustomsDocumentsRequired:  {"24.1054", "24.1055"},
		parcel.CodeCustomsDutyDue:            {"14.6"},
		parcel.CodeImportCustomsReleased:     {"14.1"},
		parcel.CodeCustomsRefused:            {"14.4"},
		parcel.CodeReadyForPickup:            {"8.2"},
		parcel.CodeOutForDelivery:            {"8.18"},
		parcel.CodeDeliveryAttemptFailed:     {"12.1", "12.5", "12.6", "12.2", "12.7", "12.8", "12.11", "12.12", "12.15", "12.20", "12.21", "12.23", "12.25", "12.27", "22.9", "50.5", "51.1"},
		parcel.CodeAddressProblem:            {"12.3"},
		parcel.CodeDelivered:                 {"2.1", "21.1", "21.3"},
		parcel.CodeCarrierHeld:               {"15.0", "7.2", "7.3", "25.0"},
		parcel.CodeDamaged:                   {"12.14"},
		parcel.CodeLost:                      {"5.1"},
		parcel.CodeDisposed:                  {"16.0"},
		parcel.CodeReturnStarted:             {"3.9", "3.1", "3.2", "3.3", "3.4", "3.5", "3.10", "3.12"},
		parcel.CodeReturned:                  {"2.2"},
	}
}

// fakeTypes are the services' words for types of operation, Russian and English.
func fakeTypes() map[string][2]string {
	return map[string][2]string{
		"1": {"Прием", "Acceptance"}, "2": {"Вручение", "Delivery"}, "3": {"Возврат", "Return"}, "4": {"Досылка почты", "Forwarding"},
		"5": {"Невручение", "Non-delivery"}, "7": {"Временное хранение", "Temporary storage"}, "8": {"Обработка", "Processing"},
		"9": {"Импорт международной почты", "Import of international mail"}, "10": {"Экспорт международной почты", "Export of international mail"},
		"11": {"Прием на таможню", "Accepted at customs"}, "12": {"Неудачная попытка вручения", "Failed delivery attempt"},
		"14": {"Таможенное оформление", "Customs clearance"}, "15": {"Передача на временное хранение", "Transfer to temporary storage"},
		"16": {"Уничтожение", "Destruction"}, "21": {"Доставка", "Delivered"}, "22": {"Недоставка", "Not delivered"},
		"24": {"Продление срока выпуска таможней", "Customs release term extended"}, "25": {"Вскрытие", "Opening"},
		"27": {"Получена электронная регистрация", "Electronic registration received"}, "28": {"Присвоение идентификатора", "Identifier assigned"},
		"31": {"Обработка перевозчиком", "Carrier handling"}, "38": {"Задержка для уточнений у отправителя", "Held for questions to the sender"},
		"39": {"Таможенное декларирование", "Customs declaration"}, "50": {"Неудачная доставка в АПС", "Delivery to the locker failed"},
		"51": {"Неудачная доставка в ПВЗ", "Delivery to the pickup point failed"},
	}
}

// fakeAttrs are their words for the attributes that the fake says most.
func fakeAttrs() map[string][2]string {
	return map[string][2]string{
		"1.1": {"Единичный", "Single"}, "2.1": {"Вручение адресату", "To the addressee"}, "2.2": {"Вручение отправителю", "To the sender"},
		"3.7": {"Отказ в выпуске таможней", "Release refused by customs"}, "3.9": {"Иные обстоятельства", "Other circumstances"},
		"5.1": {"Утрачено", "Lost"}, "8.0": {"Сортировка", "Sorting"}, "8.1": {"Покинуло место приёма", "Left the place of acceptance"},
		"8.2": {"Прибыло в место вручения", "Arrived at the place of delivery"}, "8.3": {"Прибыло в сортировочный центр", "Arrived at the sorting centre"},
		"8.4": {"Покинуло сортировочный центр", "Left the sorting centre"}, "8.5": {"Прибыло в место международного обмена", "Arrived at the international exchange"},
		"8.6": {"Покинуло место международного обмена", "Left the international exchange"}, "8.7": {"Прибыло в место транзита", "Arrived at the place of transit"},
		"8.8": {"Покинуло место транзита", "Left the place of transit"}, "8.13": {"Прибыло на территорию РФ", "Arrived on the territory of Russia"},
		"8.18": {"Передано почтальону", "Given to the postman"}, "9.1": {"Поступило приписано", "Received and listed"},
		"12.1": {"Временное отсутствие адресата", "Addressee absent"}, "12.3": {"Неполный адрес", "Address incomplete"},
		"12.6": {"Адресат отказался от отправления", "Refused by the addressee"}, "14.1": {"Выпущено таможней", "Released by customs"},
		"14.4": {"Отказ в выпуске", "Release refused"}, "14.6": {"Направлено с обязательной уплатой таможенных платежей", "Sent on with duty to pay"},
		"14.8": {"Выпуск приостановлен", "Release suspended"}, "31.31": {"В пути", "On the way"},
	}
}

// fakeOffices stand in for a place in Russia whose postcode a scan does not
// tell: the clock of batch access is read by it.
func fakeOffices() map[string]string {
	return map[string]string{
		"Europe/Kaliningrad": "236000", "Europe/Samara": "443000", "Asia/Yekaterinburg": "620000", "Asia/Omsk": "644000",
		"Asia/Novosibirsk": "630000", "Asia/Krasnoyarsk": "660000", "Asia/Irkutsk": "664000", "Asia/Chita": "672000", "Asia/Yakutsk": "677000",
		"Asia/Vladivostok": "690000", "Asia/Magadan": "685000", "Asia/Kamchatka": "683000",
	}
}

// mainOffice is Moscow.
const mainOffice = "101000"

func newFake(env carriers.FakeEnv, codes carriers.Table) *fake {
	wait, err := time.ParseDuration(env.Settings["ticket_wait"])
	if err != nil || wait <= 0 {
		wait = ticketWait
	}
	return &fake{env: env, codes: codes, wait: wait, says: fakeCodes(), tickets: map[string]fakeTicket{}}
}

// Speaks lists the codes that the fake has operations for.
func (f *fake) Speaks() []parcel.Code {
	return slices.DeleteFunc(parcel.Codes(), func(c parcel.Code) bool { return f.says[c] == nil })
}

// Push is not offered by Russian Post.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves both services.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+singlePath, f.single)
	mux.HandleFunc("POST "+batchPath, f.batch)
	return mux
}

// call is a request to either service, read by local names: the fake checks
// the namespace of the method, which a real service would refuse to route
// without.
type call struct {
	XMLName xml.Name
	Body    struct {
		History *struct {
			Request struct {
				Barcode, MessageType, Language string
			} `xml:"http://russianpost.org/operationhistory/data OperationHistoryRequest"`
			Auth struct {
				MustUnderstand string `xml:"http://schemas.xmlsoap.org/soap/envelope/ mustUnderstand,attr"`
				Login          string `xml:"http://russianpost.org/operationhistory/data login"`
				Password       string `xml:"http://russianpost.org/operationhistory/data password"`
			} `xml:"http://russianpost.org/operationhistory/data AuthorizationHeader"`
		} `xml:"http://russianpost.org/operationhistory getOperationHistory"`
		Ticket *struct {
			Items []struct {
				Barcode string `xml:"Barcode,attr"`
			} `xml:"request>Item"`
			Login    string `xml:"login"`
			Password string `xml:"password"`
			Language string `xml:"language"`
		} `xml:"http://fclient.russianpost.org/postserver ticketRequest"`
		Answer *struct {
			Ticket   string `xml:"ticket"`
			Login    string `xml:"login"`
			Password string `xml:"password"`
		} `xml:"http://fclient.russianpost.org/postserver answerByTicketRequest"`
	} `xml:"Body"`
}

func readCall(w http.ResponseWriter, r *http.Request, mediaType, envelope string) (call, bool) {
	var c call
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != mediaType {
		http.Error(w, "unsupported media type", http.StatusUnsupportedMediaType)
		return c, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	if err == nil {
		err = xml.Unmarshal(body, &c)
	}
	if err != nil || c.XMLName != (xml.Name{Space: envelope, Local: "Envelope"}) {
		http.Error(w, "no envelope", http.StatusBadRequest)
		return c, false
	}
	return c, true
}

func (f *fake) knows(login, password string) bool {
	return carrierkit.ConstantTimeEqual(login, f.env.Settings["login"]) && carrierkit.ConstantTimeEqual(password, f.env.Settings["password"])
}

func (f *fake) single(w http.ResponseWriter, r *http.Request) {
	c, ok := readCall(w, r, "application/soap+xml", nsSOAP12)
	if !ok {
		return
	}
	h := c.Body.History
	switch {
	case h == nil:
		f.fault(w, "OperationHistoryFault", "Неизвестный метод")
	case h.Auth.MustUnderstand != "1" || !f.knows(h.Auth.Login, h.Auth.Password):
		f.fault(w, "AuthorizationFault", "Ошибка авторизации: неверный логин или пароль")
	case h.Request.Language != "RUS" && h.Request.Language != "ENG":
		f.fault(w, "LanguageFault", "Неверный язык")
	case h.Request.MessageType != "0":
		f.fault(w, "OperationHistoryFault", "Неверный тип сообщения")
	default:
		f.history(w, h.Request.Barcode, h.Request.Language)
	}
}

func (f *fake) fault(w http.ResponseWriter, sort, text string) {
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<S:Envelope xmlns:S="%s"><S:Body><S:Fault><S:Code><S:Value>S:Receiver</S:Value></S:Code><S:Reason><S:Text xml:lang="en">%s</S:Text></S:Reason>`+
		`<S:Detail><ns3:%sReason xmlns:ns3="%s">%s</ns3:%[3]sReason></S:Detail></S:Fault></S:Body></S:Envelope>`, nsSOAP12, sort, sort, nsData, text)
}

func (f *fake) history(w http.ResponseWriter, number, lang string) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<S:Envelope xmlns:S="` + nsSOAP12 + `">
  <S:Body>
    <ns7:getOperationHistoryResponse xmlns:ns2="http://russianpost.org/sms-info/data" xmlns:ns3="` + nsData + `" xmlns:ns7="` + nsHistory + `">
      <ns3:OperationHistoryData>
`)
	if h, ok := f.env.Journeys(number); ok {
		for _, s := range h.Scans {
			f.record(&b, number, lang, h, s)
		}
	}
	b.WriteString(`      </ns3:OperationHistoryData>
    </ns7:getOperationHistoryResponse>
  </S:Body>
</S:Envelope>
`)
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
}

func (f *fake) record(b *strings.Builder, number, lang string, h carriers.FakeHistory, s carriers.FakeScan) {
	country, index, loc := f.where(h, s)
	own := f.own(h, s, country)
	typeID, attrID, _ := strings.Cut(own, ".")
	office := cmp.Or(s.Place.Facility, s.Place.City, country.Name())
	b.WriteString(`      <ns3:historyRecord><ns3:AddressParameters>`)
	if h.Postcode != "" {
		b.WriteString(`<ns3:DestinationAddress><ns3:Index>` + escape(h.Postcode) + `</ns3:Index></ns3:DestinationAddress>`)
	}
	b.WriteString(`<ns3:OperationAddress>`)
	if index != abroadIndex {
		b.WriteString(`<ns3:Index>` + escape(index) + `</ns3:Index>`)
	}
	b.WriteString(`<ns3:Description>` + escape(office) + `</ns3:Description></ns3:OperationAddress>`)
	for _, c := range []struct {
		element string
		country parcel.Country
	}{{"MailDirect", h.Destination}, {"CountryFrom", h.Origin}, {"CountryOper", country}} {
		if c.country != "" {
			fmt.Fprintf(b, `<ns3:%s><ns3:Code2A>%s</ns3:Code2A><ns3:NameEN>%s</ns3:NameEN></ns3:%[1]s>`, c.element, c.country, escape(c.country.Name()))
		}
	}
	fmt.Fprintf(b, `</ns3:AddressParameters><ns3:ItemParameters><ns3:Barcode>%s</ns3:Barcode></ns3:ItemParameters>`, escape(number))
	fmt.Fprintf(b, `<ns3:OperationParameters><ns3:OperType><ns3:Id>%s</ns3:Id><ns3:Name>%s</ns3:Name></ns3:OperType>`, typeID, word(fakeTypes(), typeID, lang))
	fmt.Fprintf(b, `<ns3:OperAttr><ns3:Id>%s</ns3:Id><ns3:Name>%s</ns3:Name></ns3:OperAttr>`, attrID, word(fakeAttrs(), own, lang))
	fmt.Fprintf(b, `<ns3:OperDate>%s</ns3:OperDate></ns3:OperationParameters>`, s.At.In(loc).Format("2006-01-02T15:04:05.000Z07:00"))
	b.WriteString(`<ns3:UserParameters><ns3:Sndr>ОТПРАВИТЕЛЬ А Б</ns3:Sndr><ns3:Rcpn>ПОЛУЧАТЕЛЬ В Г</ns3:Rcpn></ns3:UserParameters></ns3:historyRecord>
`)
}

func word(words map[string][2]string, key, lang string) string {
	if lang == "ENG" {
		return words[key][1]
	}
	return words[key][0]
}

// where is the country of a scan, its postcode and its clock.
func (f *fake) where(h carriers.FakeHistory, s carriers.FakeScan) (parcel.Country, string, *time.Location) {
	place := s.Place
	if place.Country == "" {
		place.Country = cmp.Or(h.Destination, homeCountry)
		switch s.Code.Proves() {
		case parcel.MilestoneRegistered, parcel.MilestoneDispatched, parcel.MilestonePickedUp, parcel.MilestoneOriginDeparted:
			place.Country = cmp.Or(h.Origin, homeCountry)
		}
	}
	zone, _ := parcel.ZoneFor(place)
	if place.Country != homeCountry {
		if loc := f.zones.Location(zone); loc != nil {
			return place.Country, abroadIndex, loc
		}
		return place.Country, abroadIndex, time.UTC
	}
	index := place.Postcode
	if !isHomeIndex(index) {
		index = cmp.Or(fakeOffices()[zone], mainOffice)
	}
	zone, ok := parcel.RussianPostcodeZone(index)
	if !ok {
		zone = place.Country.MainZone()
	}
	return place.Country, index, f.zones.Location(zone)
}

// own chooses the operation that is read back as the scan, reason and receiver
// included where the post has words for them.
func (f *fake) own(h carriers.FakeHistory, s carriers.FakeScan, at parcel.Country) string {
	candidates := f.says[s.Code]
	if len(candidates) == 0 {
		return "0.0" // a code the post has no word for: an operation nobody mapped
	}
	contexts := append(route{h.Origin, h.Destination}.contexts(at), "")
	best, bestScore := candidates[0], -1
	for _, own := range candidates {
		var row carriers.Row
		for _, c := range contexts {
			if r, ok := f.codes.Lookup(c + own); ok {
				row = r
				break
			}
		}
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

func (f *fake) batch(w http.ResponseWriter, r *http.Request) {
	c, ok := readCall(w, r, "text/xml", nsSOAP11)
	if !ok {
		return
	}
	switch {
	case c.Body.Ticket != nil:
		t := c.Body.Ticket
		switch {
		case !f.knows(t.Login, t.Password):
			f.refuse(w, methodTicket, errAuthorization, "Ошибка авторизации")
		case len(t.Items) == 0:
			f.refuse(w, methodTicket, "2", "Неверный формат запроса")
		case len(t.Items) > serviceBatch:
			f.refuse(w, methodTicket, "18", "Превышено количество отправлений")
		case t.Language != "RUS" && t.Language != "ENG":
			f.refuse(w, methodTicket, "20", "Неверный язык")
		default:
			numbers := make([]string, len(t.Items))
			for i, it := range t.Items {
				numbers[i] = it.Barcode
			}
			f.serve(w, methodTicket, `<value>`+escape(f.take(numbers))+`</value>`)
		}
	case c.Body.Answer != nil:
		a := c.Body.Answer
		if !f.knows(a.Login, a.Password) {
			f.refuse(w, methodAnswer, errAuthorization, "Ошибка авторизации")
			return
		}
		f.answer(w, a.Ticket)
	default:
		f.refuse(w, methodAnswer, "2", "Неверный формат запроса")
	}
}

func (f *fake) take(numbers []string) string {
	now := f.env.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	for id, t := range f.tickets {
		if now.Sub(t.taken) > 2*ticketLife {
			delete(f.tickets, id)
		}
	}
	at := now.In(f.zones.Location(homeCountry.MainZone()))
	id := at.Format("20060102150405") + fmt.Sprintf("%03d", f.serial%1000) + strings.ToUpper(f.env.Settings["login"])
	f.tickets[id] = fakeTicket{numbers: numbers, taken: now}
	return id
}

func (f *fake) answer(w http.ResponseWriter, id string) {
	now := f.env.Now()
	f.mu.Lock()
	t, ok := f.tickets[id]
	early := ok && (now.Sub(t.taken) < f.wait || !t.asked.IsZero() && now.Sub(t.asked) < f.wait)
	if ok {
		t.asked = now
		f.tickets[id] = t
	}
	f.mu.Unlock()
	switch {
	case !ok || now.Sub(t.taken) > ticketLife:
		f.refuse(w, methodAnswer, errDeleted, "Истекло время хранения ответа")
		return
	case early:
		f.refuse(w, methodAnswer, errNotReady, "Ответ для клиента еще не готов")
		return
	}
	var b strings.Builder
	prepared := now.In(f.zones.Location(homeCountry.MainZone())).Format("02.01.2006 15:04:05")
	fmt.Fprintf(&b, `<value FileName="" FileTypeID="2" FileNumber="1" RecipientID="1" DatePreparation="%s">`, prepared)
	for _, n := range t.numbers {
		fmt.Fprintf(&b, `<ns3:Item Barcode="%s">`, escape(n))
		h, known := f.env.Journeys(n)
		if !known {
			b.WriteString(`<ns3:Error ErrorTypeID="12" ErrorName="Сообщение не найдено"/>`)
		}
		for _, s := range h.Scans {
			country, index, loc := f.where(h, s)
			typeID, attrID, _ := strings.Cut(f.own(h, s, country), ".")
			fmt.Fprintf(&b, `<ns3:Operation OperTypeID="%s" OperCtgID="%s" OperName="%s" DateOper="%s" IndexOper="%s"/>`,
				typeID, attrID, word(fakeTypes(), typeID, "RUS"), s.At.In(loc).Format("02.01.2006 15:04:05"), escape(index))
		}
		b.WriteString(`</ns3:Item>`)
	}
	b.WriteString(`</value>`)
	f.serve(w, methodAnswer, b.String())
}

func (f *fake) refuse(w http.ResponseWriter, method, id, text string) {
	f.serve(w, method, fmt.Sprintf(`<error ErrorTypeID="%s" ErrorName="%s"/>`, id, text))
}

func (f *fake) serve(w http.ResponseWriter, method, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	fmt.Fprintf(w, `<S:Envelope xmlns:S="%s"><S:Body><ns2:%s xmlns:ns2="%s" xmlns:ns3="%s">%s</ns2:%[2]s></S:Body></S:Envelope>`,
		nsSOAP11, method, nsServer, nsClient, body)
}
