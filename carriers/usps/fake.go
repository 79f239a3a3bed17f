package usps

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// The fake's tokens are short-lived in both senses: told to live a minute, and
// good for so many calls, so that renewal by expiry and by refusal both happen.
const (
	fakeTokenSeconds = 60
	fakeTokenCalls   = 20
	fakeTokensKept   = 16
)

const (
	fakeNotYet = "A status update is not yet available on your package. Check back soon."
	fakeGMT    = "2006-01-02T15:04:05Z"
)

// fake is USPS's side of both dialects. It runs on trade time.
type fake struct {
	env   carriers.FakeEnv
	most  int // calls in an hour, 0 for no limit
	batch int // numbers in one call of the older dialect

	mu     sync.Mutex
	issued int
	tokens []fakeToken // newest last
	calls  []time.Time // of the last hour, oldest first
}

type fakeToken struct {
	value string
	calls int
}

func newFake(env carriers.FakeEnv) carriers.Fake {
	number := func(setting string, otherwise int) int {
		if n, err := strconv.Atoi(env.Settings[setting]); err == nil {
			return n
		}
		return otherwise
	}
	return &fake{env: env, most: number("calls_per_hour", hourlyCalls), batch: number("legacy_batch", legacyNumbers)}
}

// fakeWord is how USPS says a canonical code.
type fakeWord struct {
	code   parcel.Code
	reason parcel.Reason
	to     parcel.DeliveredTo
	own    string
	says   string
}

// fakeWords lists what USPS has words for; of several rows of one code the one
// is said that agrees most with the scan, the first of equals. The codes of
// customs are made up, and those of some events abroad are empty.
func fakeWords() []fakeWord {
	return []fakeWord{
		{parcel.CodeInfoReceived, "", "", "GX", "Shipping Label Created, USPS Awaiting Item"},
		{parcel.CodePickedUp, "", "", "03", "Acceptance"},
		{parcel.CodeExportExchangeArrived, "", "", "PF", "Processed Through Facility"},
		{parcel.CodeExportCustomsHeld, "", "", "H0", "Held in Customs"},
		{parcel.CodeOriginCountryDeparted, "", "", "", "Departed"},
		{parcel.CodeInTransit, "", "", "NT", "In Transit to Next Facility"},
		{parcel.CodeImportCustomsPresented, "", "", "NH", "Inbound Into Customs"},
		{parcel.CodeImportCustomsHeld, "", "", "H0", "Held in Customs"},
		{parcel.CodeImportCustomsReleased, "", "", "NL", "Inbound Out of Customs"},
		{parcel.CodeDestinationHubProcessed, "", "", "A1", "Arrived at USPS Regional Facility"},
		{parcel.CodeLinehaulDelayed, "", "", "08", "Missent"},
		{parcel.CodeDelayed, "", "", "71", "Delivery Rescheduled"},
		{parcel.CodeDeliveryOfficeArrived, "", "", "07", "Arrived at Post Office"},
		{parcel.CodeOutForDelivery, "", "", "OF", "Out for Delivery"},
		{parcel.CodeDeliveryAttemptFailed, "", "", "02", "Notice Left (No Authorized Recipient Available)"},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonBusinessClosed, "", "51", "Business Closed"},
		{parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent, "", "56", "No Authorized Recipient Available"},
		{parcel.CodeAddressProblem, "", "", "22", "Insufficient Address"},
		{parcel.CodeReadyForPickup, "", "", "16", "Available for Pickup"},
		{parcel.CodeDelivered, "", "", "01", "Delivered, In/At Mailbox"},
		{parcel.CodeDelivered, "", parcel.DeliveredToLocker, "01", "Delivered, Parcel Locker"},
		{parcel.CodeDelivered, "", parcel.DeliveredToPOBox, "01", "Delivered, PO Box"},
		{parcel.CodeDelivered, "", parcel.DeliveredToReception, "01", "Delivered, Front Desk/Reception/Mail Room"},
		{parcel.CodeDelivered, "", parcel.DeliveredToRecipient, "01", "Delivered, Left with Individual"},
		{parcel.CodeDelivered, "", parcel.DeliveredToSafePlace, "01", "Delivered, Front Door/Porch"},
		{parcel.CodeDelivered, "", parcel.DeliveredToNeighbour, "01", "Delivered, Neighbor as Requested"},
		{parcel.CodeReturnStarted, "", "", "09", "Alert - Return to Sender"},
		{parcel.CodeReturnStarted, parcel.ReasonRefused, "", "04", "Refused"},
		{parcel.CodeReturned, "", parcel.DeliveredToSender, "01", "Delivered, To Original Sender"},
		{parcel.CodeLost, "", "", "11", "Dead Letter"},
	}
}

// Speaks lists the codes that USPS has words for.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, w := range fakeWords() {
		if !slices.Contains(codes, w.code) {
			codes = append(codes, w.code)
		}
	}
	return codes
}

func sayScan(s carriers.FakeScan) (fakeWord, bool) {
	var best fakeWord
	most := -1
	for _, w := range fakeWords() {
		if w.code != s.Code {
			continue
		}
		said := 0
		if w.reason == s.Reason {
			said++
		}
		if w.to == s.DeliveredTo {
			said++
		}
		if said > most {
			best, most = w, said
		}
	}
	return best, most >= 0
}

// Push is not offered: USPS tells its news by e-mail alone.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Handler serves both dialects.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, f.token)
	mux.HandleFunc("GET "+trackPath+"{number}", f.track)
	mux.HandleFunc("GET "+legacyPath, f.webTools)
	return mux
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	switch {
	case s["client_id"] == "" || !carrierkit.ConstantTimeEqual(r.PostFormValue("client_id"), s["client_id"]) ||
		!carrierkit.ConstantTimeEqual(r.PostFormValue("client_secret"), s["client_secret"]):
		answer(w, http.StatusBadRequest, map[string]string{
			"error": "invalid_client", "error_description": "Client authentication failed.",
			"error_uri": "https://datatracker.ietf.org/doc/html/rfc6749#page-45",
		})
		return
	case r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("scope") != "tracking":
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "grant_type or scope is missing."})
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"access_token": f.issue(), "token_type": "Bearer", "issued_at": f.env.Now().UnixMilli(),
		"expires_in": fakeTokenSeconds, "status": "approved", "scope": "tracking",
	})
}

func (f *fake) issue() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued++
	t := fakeToken{value: fmt.Sprintf("fake-token-%d", f.issued), calls: fakeTokenCalls}
	f.tokens = append(f.tokens, t)
	f.tokens = f.tokens[max(0, len(f.tokens)-fakeTokensKept):]
	return t.value
}

// spend takes one call off the token; false for one that is none or used up.
func (f *fake) spend(value string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.tokens, func(t fakeToken) bool { return t.value == value })
	if i < 0 || f.tokens[i].calls == 0 {
		return false
	}
	f.tokens[i].calls--
	return true
}

// wait counts a call; above zero, it is one too many and may come again then.
func (f *fake) wait() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.env.Now()
	f.calls = slices.DeleteFunc(f.calls, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	if f.most > 0 && len(f.calls) >= f.most {
		return time.Hour - now.Sub(f.calls[len(f.calls)-f.most])
	}
	f.calls = append(f.calls, now)
	return 0
}

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !f.spend(token) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="null",error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "Invalid token", "", "", "")
		return
	}
	if wait := f.wait(); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		refuse(w, http.StatusTooManyRequests, "Too many requests", "", "", "")
		return
	}
	number := r.PathValue("number")
	if len(number) < 4 || len(number) > 34 {
		refuse(w, http.StatusBadRequest, "Bad Request", "", "The tracking number is not valid.", "trackingNumber")
		return
	}
	history, known := f.env.Journeys(number)
	if !known {
		refuse(w, http.StatusNotFound, "Resource Not Found", legacyUnknown, fakeNotYet, "trackingNumber")
		return
	}
	answer(w, http.StatusOK, fakeItem(number, history, r.URL.Query().Get("expand") == "DETAIL"))
}

// fakeItem tells a history, newest event first; without detail in sentences.
func fakeItem(number string, h carriers.FakeHistory, detail bool) map[string]any {
	i := map[string]any{
		"trackingNumber": number, "emailEnabled": "true", "kahalaIndicator": "true", "mailType": "IM",
		"mailClass":              "First-Class Package International Service<SUP>&#174;</SUP>",
		"originCity":             nil,
		"destinationCountryCode": string(h.Destination), "destinationZIP": h.Postcode,
		"services": []string{"USPS Tracking<SUP>&#174;</SUP>"},
	}
	if h.Origin != home {
		i["originCountry"] = strings.ToUpper(h.Origin.Name())
	}
	if !h.Estimated.IsZero() {
		i["expectedDeliveryTimeStamp"] = h.Estimated.Format(parcel.DayLayout) + "T21:00:00Z"
	}
	events, sentences := []any{}, []string{}
	for _, s := range slices.Backward(h.Scans) {
		said, ok := sayScan(s)
		if !ok {
			continue
		}
		local := fakeLocal(s)
		if len(events) == 0 {
			i["status"], i["statusCategory"] = said.says, "In Transit"
		}
		e := map[string]any{
			"eventType": said.says, "eventCode": said.own,
			"eventTimestamp": local.Truncate(time.Minute).Format(localLayout),
			"GMTTimestamp":   local.UTC().Format(fakeGMT), "GMTOffset": local.Format("-07:00"),
			"eventCity": null(strings.ToUpper(s.Place.City)), "eventState": null(s.Place.Region), "eventZIP": null(s.Place.Postcode),
			"eventCountry": null(fakeCountry(s.Place)),
			"firm":         nil, "name": nil, "authorizedAgent": "false",
		}
		if s.Code == parcel.CodeDelivered {
			e["name"] = "A SAMPLE"
		}
		events = append(events, e)
		sentences = append(sentences, said.says+", "+local.Format("January 2, 2006, 3:04 pm"))
	}
	if len(h.Scans) > 0 {
		i["uniqueMailPieceID"] = "204417733"
		i["mailPieceIntakeDate"] = h.Scans[0].At.UTC().Format("2006-01-02 15:04:05.000000")
	}
	if detail {
		i["trackingEvents"] = events
	} else {
		i["eventSummaries"] = sentences
	}
	return i
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// fakeCountry is the name of a country abroad; at home none is told.
func fakeCountry(p parcel.Place) string {
	if p.Country == "" || p.Country == home {
		return ""
	}
	return strings.ToUpper(p.Country.Name())
}

// fakeLocal is the clock at the scan's place, in whole seconds as on the wire.
func fakeLocal(s carriers.FakeScan) time.Time {
	zone, _ := parcel.ZoneFor(s.Place)
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return s.At.In(loc).Truncate(time.Second)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller who hung up hears nothing
}

func refuse(w http.ResponseWriter, status int, message, code, detail, parameter string) {
	faults := []any{}
	if detail != "" {
		faults = append(faults, map[string]any{
			"status": strconv.Itoa(status), "code": code, "title": message, "detail": detail,
			"source": map[string]string{"parameter": parameter, "example": "9200190240000004218871"},
		})
	}
	answer(w, status, map[string]any{"apiVersion": "/tracking/v3", "error": map[string]any{"code": strconv.Itoa(status), "message": message, "errors": faults}})
}

// fakeInfo is one number in an answer of the older dialect.
type fakeInfo struct {
	XMLName       xml.Name     `xml:"TrackInfo"`
	ID            string       `xml:"ID,attr"`
	Expected      string       `xml:"ExpectedDeliveryDate,omitempty"`
	Intake        string       `xml:"MPDATE,omitempty"`
	OriginCountry string       `xml:"OriginCountryCode,omitempty"`
	Summary       *fakeEvent   `xml:"TrackSummary"`
	Details       []fakeEvent  `xml:"TrackDetail"`
	Error         *legacyError `xml:"Error"`
}

type fakeEvent struct {
	Time            string `xml:"EventTime"`
	Date            string `xml:"EventDate"`
	Event           string `xml:"Event"`
	City            string `xml:"EventCity"`
	State           string `xml:"EventState"`
	ZIP             string `xml:"EventZIPCode"`
	Country         string `xml:"EventCountry"`
	FirmName        string `xml:"FirmName"`
	Name            string `xml:"Name"`
	AuthorizedAgent bool   `xml:"AuthorizedAgent"`
	Code            string `xml:"EventCode"`
}

// webTools serves the older dialect, which answers everything with status 200.
func (f *fake) webTools(w http.ResponseWriter, r *http.Request) {
	var q legacyQuestion
	if r.URL.Query().Get("API") != "TrackV2" || xml.Unmarshal([]byte(r.URL.Query().Get("XML")), &q) != nil || q.Revision != "1" || q.ClientIP == "" || q.SourceID == "" {
		answerXML(w, fakeFault("80040B19", "XML Syntax Error: Please check the XML request to see if it can be parsed."))
		return
	}
	if user := f.env.Settings["legacy_user_id"]; user == "" || !carrierkit.ConstantTimeEqual(q.UserID, user) {
		answerXML(w, fakeFault(defaultLegacyDenied, "Authorization failure. Perhaps username and/or password is incorrect."))
		return
	}
	if len(q.TrackIDs) == 0 || len(q.TrackIDs) > f.batch {
		answerXML(w, fakeFault("-2147219302", "The number of tracking ids is not valid."))
		return
	}
	doc := struct {
		XMLName xml.Name `xml:"TrackResponse"`
		Infos   []fakeInfo
	}{}
	for _, t := range q.TrackIDs {
		history, known := f.env.Journeys(t.ID)
		if !known {
			doc.Infos = append(doc.Infos, fakeInfo{ID: t.ID, Error: &legacyError{Number: legacyUnknown, Description: fakeNotYet}})
			continue
		}
		doc.Infos = append(doc.Infos, fakeLegacy(t.ID, history))
	}
	answerXML(w, doc)
}

func fakeLegacy(number string, h carriers.FakeHistory) fakeInfo {
	i := fakeInfo{ID: number}
	if h.Origin != home {
		i.OriginCountry = string(h.Origin)
	}
	if !h.Estimated.IsZero() {
		i.Expected = h.Estimated.Format(legacyDay)
	}
	if len(h.Scans) > 0 {
		i.Intake = h.Scans[0].At.UTC().Format("2006-01-02 15:04:05.000000")
	}
	for _, s := range slices.Backward(h.Scans) {
		said, ok := sayScan(s)
		if !ok {
			continue
		}
		local := fakeLocal(s)
		e := fakeEvent{
			Time: local.Format("3:04 pm"), Date: local.Format(legacyDay), Event: said.says,
			City: strings.ToUpper(s.Place.City), State: s.Place.Region, ZIP: s.Place.Postcode, Country: fakeCountry(s.Place), Code: said.own,
		}
		if s.Code == parcel.CodeDelivered {
			e.Name = "A SAMPLE"
		}
		if i.Summary == nil {
			i.Summary = &e
		} else {
			i.Details = append(i.Details, e)
		}
	}
	return i
}

func fakeFault(number, description string) any {
	return struct {
		XMLName     xml.Name `xml:"Error"`
		Number      string   `xml:"Number"`
		Description string   `xml:"Description"`
		Source      string   `xml:"Source"`
	}{Number: number, Description: description, Source: "USPSCOM::DoAuth"}
}

func answerXML(w http.ResponseWriter, doc any) {
	body, err := xml.Marshal(doc)
	if err != nil {
		http.Error(w, "marshal", http.StatusInternalServerError) // no value above can fail
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(append([]byte(xml.Header), body...)) // a caller who hung up hears nothing
}
