package chinapost

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// fakeSerialsKept bounds the serial numbers that the fake remembers.
const fakeSerialsKept = 4096

// fake is China Post's side: signed forms, serial numbers that come once, and
// pushes. It runs on trade time.
type fake struct {
	env  carriers.FakeEnv
	says map[parcel.Code]fakeScan

	mu      sync.Mutex
	serials []string
}

// fakeScan is how China Post tells a canonical code.
type fakeScan struct{ code, name, desc string }

func newFake(env carriers.FakeEnv) *fake {
	return &fake{env: env, says: map[parcel.Code]fakeScan{
		parcel.CodePickedUp:                  {"203", "收寄计费信息", "已收寄"},
		parcel.CodeInTransit:                 {"20", "运输", "运输中"},
		parcel.CodeOriginHubArrived:          {"306", "处理中心接收", "到达处理中心"},
		parcel.CodeOriginHubDeparted:         {"305", "处理中心封发", "离开处理中心"},
		parcel.CodeExportExchangeArrived:     {"", "到达国际互换局", "到达国际互换局"},
		parcel.CodeHandedToLinehaul:          {"", "离开国际互换局", "离开国际互换局"},
		parcel.CodeExportCustomsPresented:    {"", "出口海关/留存待验", "送交出口海关查验"},
		parcel.CodeExportCustomsHeld:         {"", "出口海关/留存待验", "出口海关扣留"},
		parcel.CodeExportCustomsReleased:     {"", "出口海关/放行", "出口海关放行"},
		parcel.CodeOriginCountryDeparted:     {"", "航空公司启运", "航空公司启运"},
		parcel.CodeDestinationCountryArrived: {"", "到达寄达地", "到达寄达地处理中心"},
		parcel.CodeImportCustomsPresented:    {"", "进口海关/留存待验", "送交进口海关"},
		parcel.CodeImportCustomsHeld:         {"", "进口海关/留存待验", "海关扣留"},
		parcel.CodeImportCustomsReleased:     {"", "进口海关/放行", "进口海关放行"},
		parcel.CodeOutForDelivery:            {"", "安排投递", "安排投递"},
		parcel.CodeReadyForPickup:            {"", "到达自提点", "待自提"},
		parcel.CodeDelivered:                 {"704", "投递结果反馈-妥投", "已妥投"},
		parcel.CodeDeliveryAttemptFailed:     {"", "投递结果反馈-未妥投", "未妥投"},
		parcel.CodeReturnStarted:             {"", "退回", "退回寄件人"},
		parcel.CodeReturned:                  {"", "退回妥投", "已退回寄件人"},
		parcel.CodeDamaged:                   {"", "破损", "邮件破损"},
		parcel.CodeLost:                      {"", "丢失", "邮件丢失"},
	}}
}

// fakeReasons are the words after a description that tell why.
func fakeReasons() map[parcel.Reason]string {
	return map[parcel.Reason]string{
		parcel.ReasonAddressIncorrect:     ",地址不详",
		parcel.ReasonRecipientAbsent:      ",家中无人",
		parcel.ReasonRecipientUnreachable: ",无法联系收件人",
		parcel.ReasonRefused:              ",收件人拒收",
		parcel.ReasonProhibited:           ",禁运物品",
		parcel.ReasonDutyUnpaid:           ",未缴税款",
	}
}

// Speaks lists the codes that the fake has names for.
func (f *fake) Speaks() []parcel.Code {
	return slices.DeleteFunc(parcel.Codes(), func(c parcel.Code) bool { return f.says[c] == fakeScan{} })
}

// Handler serves the trace query.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+cmp.Or(f.env.Settings["path"], defaultPath), f.query)
	return mux
}

func (f *fake) query(w http.ResponseWriter, r *http.Request) {
	s := f.env.Settings
	reply := func(fault string, items any) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		_ = json.NewEncoder(w).Encode(map[string]any{ // the caller hung up: nobody to tell
			"receiveID": s["send_id"], "responseState": fault == "", "errorDesc": fault, "responseItems": items,
		})
	}
	said, err := url.QueryUnescape(r.PostFormValue("msgBody")) // the form's own encoding is off
	if err != nil || s["key"] == "" || !carrierkit.ConstantTimeEqual(r.PostFormValue("dataDigest"), digest(said, s["key"])) {
		reply("B06:数字签名不正确", nil)
		return
	}
	for field, want := range map[string]string{
		"sendID": s["send_id"], "msgKind": msgKind(s["send_id"]), "receiveID": receiverID, "dataType": dataType,
		cmp.Or(s["province_field"], defaultProvinceField): cmp.Or(s["province_no"], defaultProvince),
	} {
		if r.PostFormValue(field) != want {
			reply("发送方未授权:"+field, nil)
			return
		}
	}
	if _, err := time.Parse(dateLayout, r.PostFormValue("sendDate")); err != nil || !f.fresh(r.PostFormValue("serialNo")) {
		reply("报文流水号或日期不正确", nil)
		return
	}
	var asked struct {
		Number string `json:"traceNo"`
	}
	if json.Unmarshal([]byte(said), &asked) != nil || asked.Number == "" {
		reply("报文内容不正确", nil)
		return
	}
	items := []any{}
	if h, ok := f.env.Journeys(asked.Number); ok {
		for _, scan := range h.Scans { // oldest first
			items = append(items, f.item(asked.Number, scan))
		}
	}
	reply("", items)
}

// fresh tells whether a serial number has not come before.
func (f *fake) fresh(serial string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if serial == "" || slices.Contains(f.serials, serial) {
		return false
	}
	if f.serials = append(f.serials, serial); len(f.serials) > fakeSerialsKept {
		f.serials = slices.Delete(f.serials, 0, fakeSerialsKept/2)
	}
	return true
}

// item writes a scan: abroad by the local clock and with the country for an
// office, as it comes from other posts.
func (f *fake) item(number string, s carriers.FakeScan) map[string]string {
	said, ok := f.says[s.Code]
	if !ok {
		said = fakeScan{name: string(s.Code)} // nothing that China Post has a name for
	}
	it := map[string]string{
		"traceNo": number, "opCode": said.code, "opName": said.name, "opDesc": said.desc + fakeReasons()[s.Reason],
		"opOrgCode": "51800101", "opOrgCity": s.Place.City, "operatorNo": "", "operatorName": "",
	}
	at := s.At.In(china())
	if country := cmp.Or(s.Place.Country, home); country == home {
		it["opOrgProvName"], it["opOrgName"] = cmp.Or(s.Place.Region, "广东省"), s.Place.City+"国际邮件处理中心"
	} else {
		it["opOrgProvName"], it["opOrgName"] = "", string(country)
		zone, _ := parcel.ZoneFor(parcel.Place{Country: country, City: s.Place.City})
		if loc, err := time.LoadLocation(zone); err == nil && zone != "" {
			at = s.At.In(loc)
		}
	}
	it["opTime"] = at.Format(time.DateTime)
	return it
}

// Push makes the signed form for the newest scan.
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	if len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	s := h.Scans[len(h.Scans)-1]
	if _, ok := f.says[s.Code]; !ok {
		return carriers.Delivery{}, false
	}
	said, err := json.Marshal(map[string]any{"traces": []any{f.item(number, s)}})
	if err != nil {
		return carriers.Delivery{}, false // no value above can fail
	}
	now := f.env.Now().In(china())
	form := url.Values{
		"sendID": {receiverID}, "proviceNo": {defaultProvince}, "msgKind": {"JDPT_" + f.env.Settings["send_id"] + "_TRACE"},
		"serialNo": {fmt.Sprintf("%s-%d", number, len(h.Scans))}, "sendDate": {now.Format(dateLayout)}, "receiveID": {f.env.Settings["send_id"]},
		"batchNo": {defaultBatch}, "dataType": {dataType}, "dataDigest": {digest(string(said), f.env.Settings["key"])},
		"msgBody": {url.QueryEscape(string(said))},
	}
	header := http.Header{}
	header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	return carriers.Delivery{Header: header, Body: []byte(form.Encode())}, true
}
