package sfexpress

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// Limits of the platform, for each of its services.
	fakePerSecond = 30
	fakePerDay    = 3000
	// fakeTokenLife is short, so that tokens expire in use.
	fakeTokenLife = 10 * time.Minute
)

// fakeForm is what a waybill looks like.
var fakeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:SF)?\d{12,16}$`) })

// fake is SF's side: signatures and tokens, the limits, the phone check, and
// route pushes. It runs on trade time.
type fake struct {
	env  carriers.FakeEnv
	says map[parcel.Code]fakeScan

	mu     sync.Mutex
	serial int
	tokens map[string]time.Time // until when each is good
	second spell
	day    spell
}

// spell counts calls from a moment on.
type spell struct {
	from  time.Time
	calls int
}

// full counts a call and tells whether it is one too many.
func (s *spell) full(now time.Time, length time.Duration, most int) bool {
	if now.Sub(s.from) >= length || now.Before(s.from) {
		*s = spell{from: now}
	}
	s.calls++
	return s.calls > most
}

// fakeScan is how SF tells a canonical code. The status is empty where the one
// that goes with the operation is not established.
type fakeScan struct{ op, status, remark string }

func newFake(env carriers.FakeEnv) *fake {
	return &fake{env: env, tokens: map[string]time.Time{}, says: map[parcel.Code]fakeScan{
		parcel.CodePickedUp:                  {"54", "101", "顺丰速运 已收取快件"},
		parcel.CodeInTransit:                 {"31", "201", "快件到达 【%s转运中心】"},
		parcel.CodeExportCustomsPresented:    {"201", "204", "快件正在出口清关"},
		parcel.CodeExportCustomsReleased:     {"202", "205", "快件已完成出口清关"},
		parcel.CodeOriginCountryDeparted:     {"105", "201", "快件已离境,正发往目的地国家/地区"},
		parcel.CodeDestinationCountryArrived: {"106", "201", "快件已到达目的地国家/地区"},
		parcel.CodeImportCustomsPresented:    {"201", "204", "快件正在进口清关"},
		parcel.CodeImportCustomsReleased:     {"202", "205", "快件已完成进口清关"},
		parcel.CodeReadyForPickup:            {"607", "", "快件已放入自提点,请及时领取"},
		parcel.CodeOutForDelivery:            {"44", "301", "快件正在派送途中,请您准备签收"},
		parcel.CodeDelivered:                 {"80", "401", "已签收,感谢使用顺丰,期待再次为您服务"},
		parcel.CodeDeliveryAttemptFailed:     {"70", "1301", "派送不成功,待进一步确认后再次派送"},
		parcel.CodeReturnStarted:             {"99", "201", "应客户要求,快件正在退回寄件方"},
		parcel.CodeReturned:                  {"648", "", "快件已退回,寄件人签收"},
	}}
}

// fakeReasons are the words in front of a remark that tell why.
func fakeReasons() map[parcel.Reason]string {
	return map[parcel.Reason]string{
		parcel.ReasonAddressIncorrect:     "因收方客户地址不详,",
		parcel.ReasonRecipientAbsent:      "因收方客户不在,",
		parcel.ReasonRecipientUnreachable: "因无法联系收方客户,",
		parcel.ReasonRefused:              "因收方客户拒收,",
	}
}

// Speaks lists the codes that the fake has operations for.
func (f *fake) Speaks() []parcel.Code {
	return slices.DeleteFunc(parcel.Codes(), func(c parcel.Code) bool { return f.says[c] == fakeScan{} })
}

// Handler serves the gateway and the token service.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+servicePath, f.service)
	mux.HandleFunc("POST "+cmp.Or(f.env.Settings["token_path"], defaultTokenPath), f.token)
	return mux
}

func (f *fake) reply(w http.ResponseWriter, code, message string, data any) {
	f.mu.Lock()
	f.serial++
	id := fmt.Sprintf("00019E2B7C5A4D3F%016X", f.serial)
	f.mu.Unlock()
	doc := map[string]any{"apiErrorMsg": message, "apiResponseID": id, "apiResultCode": code, "apiResultData": nil}
	if data != nil {
		doc["apiResultData"] = compact(data)
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(doc) // the caller hung up: nobody to tell
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // nothing here can fail
	}
	return string(b)
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	if r.PostFormValue("grantType") != "password" || r.PostFormValue("partnerID") != s["partner_id"] || s["checkword"] == "" ||
		!carrierkit.ConstantTimeEqual(r.PostFormValue("secret"), s["checkword"]) {
		f.reply(w, codePermission, "无权限", nil)
		return
	}
	now := f.env.Now()
	f.mu.Lock()
	f.serial++
	token := fmt.Sprintf("FAKE%028X", f.serial)
	for t, until := range f.tokens {
		if !now.Before(until) {
			delete(f.tokens, t)
		}
	}
	f.tokens[token] = now.Add(fakeTokenLife)
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the caller hung up: nobody to tell
		"apiResultCode": codeAccepted, "apiErrorMsg": "", "apiResponseID": token, "accessToken": token, "expiresIn": int(fakeTokenLife / time.Second),
	})
}

func (f *fake) service(w http.ResponseWriter, r *http.Request) {
	if code, message := f.admit(r); code != "" {
		f.reply(w, code, message, nil)
		return
	}
	var asked question
	inner := func(code, message string) {
		f.reply(w, codeAccepted, "", map[string]any{"success": false, "errorCode": code, "errorMsg": message, "msgData": nil})
	}
	if err := json.Unmarshal([]byte(r.PostFormValue("msgData")), &asked); err != nil || len(asked.TrackingNumber) == 0 {
		inner(codeNoNumber, "未传入查询单号")
		return
	}
	if len(asked.TrackingNumber) > batchLimit {
		inner(codeTooMany, "查询单号超过最大限制")
		return
	}
	waybills := make([]any, 0, len(asked.TrackingNumber))
	for _, n := range asked.TrackingNumber {
		if !fakeForm().MatchString(n) {
			inner(codeWaybillFormat, "运单号不合法")
			return
		}
		routes := []any{}
		if h, ok := f.env.Journeys(n); ok && asked.CheckPhoneNo == f.env.Settings["check_phone_no"] {
			for _, s := range h.Scans { // oldest first
				routes = append(routes, f.route(s))
			}
		}
		waybills = append(waybills, map[string]any{"mailNo": n, "routes": routes})
	}
	f.reply(w, codeAccepted, "", map[string]any{
		"success": true, "errorCode": codeSuccess, "errorMsg": nil, "msgData": map[string]any{"routeResps": waybills},
	})
}

// admit checks a call's limits and credentials; the code is empty if it is let
// in.
func (f *fake) admit(r *http.Request) (code, message string) {
	s, now := f.env.Settings, f.env.Now()
	f.mu.Lock()
	tooMany := f.second.full(now, time.Second, fakePerSecond)
	tooMany = f.day.full(now, 24*time.Hour, fakePerDay) || tooMany
	until, known := f.tokens[r.PostFormValue("accessToken")]
	f.mu.Unlock()
	for _, field := range []string{"partnerID", "requestID", "serviceCode", "timestamp", "msgData"} {
		if r.PostFormValue(field) == "" {
			return codeNoParameter, "必传参数不可为空"
		}
	}
	switch {
	case tooMany:
		return codeThrottled, "流量控制"
	case r.PostFormValue("partnerID") != s["partner_id"], r.PostFormValue("serviceCode") != serviceCode:
		return codePermission, "无权限"
	case s["auth"] == authOAuth2:
		if !known || !now.Before(until) {
			return codeTokenExpired, "校验令牌过期"
		}
	case s["checkword"] == "", !carrierkit.ConstantTimeEqual(r.PostFormValue("msgDigest"), digest(r.PostFormValue("msgData"), r.PostFormValue("timestamp"), s["checkword"])):
		return codeSignature, "数字签名无效"
	}
	return "", ""
}

// route writes a scan as an answer tells it.
func (f *fake) route(s carriers.FakeScan) map[string]string {
	said, ok := f.says[s.Code]
	if !ok {
		said = fakeScan{op: "999", remark: string(s.Code)} // nothing that SF has a word for
	}
	remark := fakeReasons()[s.Reason] + said.remark
	if strings.Contains(remark, "%s") {
		remark = fmt.Sprintf(remark, s.Place.City)
	}
	if s.DeliveredTo == parcel.DeliveredToSender && s.Code == parcel.CodeDelivered {
		remark = "已签收,签收人:寄件方"
	}
	r := map[string]string{
		"acceptAddress": s.Place.City, "acceptTime": s.At.In(home()).Format(time.DateTime), "remark": remark, "opCode": said.op,
	}
	if said.status != "" {
		first, err := strconv.Atoi(said.status)
		if err != nil {
			return r // statuses above are numbers
		}
		r["firstStatusCode"], r["secondaryStatusCode"] = strconv.Itoa(first/100), said.status
	}
	return r
}

// Push makes the message for the newest scan, with the account's secret in the
// URL as the subscription has it.
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	if len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	s := h.Scans[len(h.Scans)-1]
	if _, ok := f.says[s.Code]; !ok {
		return carriers.Delivery{}, false
	}
	r := f.route(s)
	header := http.Header{}
	header.Set("Content-Type", "application/json; charset=UTF-8")
	return carriers.Delivery{
		Header: header,
		Query:  url.Values{secretParameter: {f.env.Settings["push_secret"]}},
		Body: []byte(compact(map[string]any{"Body": map[string]any{"WaybillRoute": []any{map[string]string{
			"mailno": number, "acceptAddress": r["acceptAddress"], "reasonName": "", "orderid": "", "acceptTime": r["acceptTime"],
			"remark": r["remark"], "opCode": r["opCode"], "id": fmt.Sprintf("%d%05d", s.At.UnixMilli(), len(h.Scans)), "reasonCode": "",
		}}}})),
	}, true
}
