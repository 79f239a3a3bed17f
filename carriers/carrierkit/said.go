package carrierkit

import (
	"html"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/milepost-gateway/milepost/parcel"
)

// reasonPhrases are words, in lower case, that give a reason away. What is
// more particular stands first: a phone that nobody answers is not a door that
// nobody opens.
var reasonPhrases = sync.OnceValue(func() []phrases[parcel.Reason] {
	return []phrases[parcel.Reason]{
		{parcel.ReasonAddressIncorrect, []string{"地址不详", "地址错", "地址有误", "地址不", "查无此址", "address"}},
		{parcel.ReasonRecipientUnreachable, []string{"无法联系", "联系不上", "无人接听", "电话错误", "查无此人", "unable to contact", "cannot be contacted", "unreachable", "unknown recipient"}},
		{parcel.ReasonRefused, []string{"拒收", "拒签", "拒绝", "refused"}},
		{parcel.ReasonRecipientMoved, []string{"搬迁", "搬家", "迁移", "moved"}},
		{parcel.ReasonBusinessClosed, []string{"休息", "下班", "business closed", "was closed"}},
		{parcel.ReasonRecipientAbsent, []string{"不在", "无人", "absent", "not at home", "not home", "nobody", "no one"}},
		{parcel.ReasonNotCollected, []string{"逾期", "未领取", "unclaimed", "not collected"}},
		{parcel.ReasonRescheduled, []string{"改期", "另约", "约定时间", "reschedul"}},
		{parcel.ReasonPaymentMissing, []string{"未付款", "到付", "payment"}},
		{parcel.ReasonProhibited, []string{"禁运", "违禁", "禁止进", "禁止出", "prohibited", "restricted"}},
		{parcel.ReasonDutyUnpaid, []string{"关税", "缴税", "税款", "duties", "duty", " tax"}},
		{parcel.ReasonDocumentsMissing, []string{"资料", "证件", "单证", "身份", "document", "identity"}},
		{parcel.ReasonInspection, []string{"查验", "inspection"}},
		{parcel.ReasonWeather, []string{"天气", "台风", "暴雨", "weather", "storm"}},
	}
})

// receiverPhrases are words that tell to whom a parcel was given.
var receiverPhrases = sync.OnceValue(func() []phrases[parcel.DeliveredTo] {
	return []phrases[parcel.DeliveredTo]{
		{parcel.DeliveredToSender, []string{"寄件人签收", "寄件方签收", "寄方签收", "签收人：寄件", "签收人:寄件", "signed by sender", "signed by the sender", "delivered to sender", "delivered to the sender"}},
		{parcel.DeliveredToLocker, []string{"丰巢", "快递柜", "智能柜", "自提柜", "locker"}},
		{parcel.DeliveredToPickupPoint, []string{"驿站", "代收点", "代理点", "自提点", "pickup point", "pick-up point", "parcel shop"}},
		{parcel.DeliveredToNeighbour, []string{"邻居", "neighbour", "neighbor"}},
		{parcel.DeliveredToReception, []string{"前台", "收发室", "门卫", "物业", "保安", "reception", "front desk", "mail room", "mailroom"}},
		{parcel.DeliveredToSafePlace, []string{"家门口", "safe place", "front door", "porch"}},
		{parcel.DeliveredToPOBox, []string{"po box", "p.o. box"}},
		{parcel.DeliveredToRecipient, []string{"本人", "delivered to recipient", "delivered to the recipient", "delivered to addressee", "signed by recipient"}},
	}
})

type phrases[T any] struct {
	tells T
	signs []string
}

// ReasonIn finds why a parcel was held, refused or not handed over in what a
// carrier said of it, in Chinese or English; empty where it does not say. The
// sentence must be about such an event: "address" in any other is no reason.
func ReasonIn(said string) parcel.Reason { return find(said, reasonPhrases()) }

// ReceiverIn finds to whom a parcel was given in what a carrier said of its
// delivery, in Chinese or English; empty where it does not say.
func ReceiverIn(said string) parcel.DeliveredTo { return find(said, receiverPhrases()) }

func find[T any](said string, among []phrases[T]) T {
	said = strings.ToLower(said)
	for _, p := range among {
		for _, sign := range p.signs {
			if strings.Contains(said, sign) {
				return p.tells
			}
		}
	}
	var none T
	return none
}

// contactForms are phones, addresses and names as they stand in sentences.
type contactForms struct {
	email, phoneAfterWord, phoneAbroad, phoneChina, landline *regexp.Regexp
	nameAfterWord, nameBeforePhone, nameHandedTo             *regexp.Regexp
	signedBy, named                                          *regexp.Regexp
}

var contacts = sync.OnceValue(func() *contactForms {
	const (
		// roles are what couriers and recipients are called.
		roles = `(快递员|派送员|派件员|派件人|投递员|收派员|揽收员|揽投员|业务员|签收人|收件人|收货人|代收人|联系人|经办人)`
		word  = `[^\[\]【】()（）,，.。;；:：\s]`
		name  = `[^\s\[\](),.;:：][^\[\](),.;:：]{0,59}`
	)
	return &contactForms{
		email:          regexp.MustCompile(`[\w.+-]+@[\w-]+(?:\.[\w-]+)+`),
		phoneAfterWord: regexp.MustCompile(`(?i)(电话|手机号?|联系方式|热线|телефон|\btel(?:ephone)?\b|\bphone\b|\bmobile\b)([.:：号码为是\s]*)\+?\d[\d\s()-]{4,}\d`),
		phoneAbroad:    regexp.MustCompile(`\+\d{1,3}[\s()-]{0,2}\d[\d\s()-]{5,14}\d`),
		phoneChina:     regexp.MustCompile(`\b(?:86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}\b`),
		landline:       regexp.MustCompile(`(?:\b0\d{2,3}-|\(0\d{2,3}\))\d{7,8}\b`),
		// The name of a courier or of who signed, after a mark.
		nameAfterWord: regexp.MustCompile(roles + `(\s*[:：【（(]\s*)(` + word + `{1,20})`),
		// The same without a mark, given away by the phone behind it.
		nameBeforePhone: regexp.MustCompile(roles + `(\s*)([\p{Han}*]{1,5})([\s,，(（:：]*(?:联系)?(?:电话|手机号?|联系方式)?[\s:：]*\[redacted\])`),
		nameHandedTo:    regexp.MustCompile(`(交给)(\s*)(` + word + `{1,12})([,，]\s*正在派送)`),
		// In English: whoever signed, and whom a mark announces.
		signedBy: regexp.MustCompile(`(?i)\b(signed(?: for)? by)(\s*[:：]?\s*)(` + name + `)`),
		named:    regexp.MustCompile(`(?i)\b(recipient|receiver|consignee|courier|driver)(\s*[:：]\s*)(` + name + `)`),
	}
})

// minPhone is the fewest digits that make a phone number.
const minPhone = 6

// MaskContacts hides phones, e-mail addresses, and the names of couriers and of
// who signed in a sentence of a carrier's, Chinese or English. Who is named by
// a part and not by name (本人, 前台, recipient) stays. Masking twice changes
// nothing more.
func MaskContacts(said string) string {
	s := signsIn(said)
	c := contacts()
	if s.at {
		said = c.email.ReplaceAllLiteralString(said, redacted)
	}
	if s.digits >= minPhone {
		if s.phoneWord {
			said = c.phoneAfterWord.ReplaceAllString(said, "${1}${2}"+redacted)
		}
		if s.plus {
			said = c.phoneAbroad.ReplaceAllLiteralString(said, redacted)
		}
		if s.digits >= mobileDigits {
			said = c.phoneChina.ReplaceAllLiteralString(said, redacted)
		}
		if s.parts {
			said = c.landline.ReplaceAllLiteralString(said, redacted)
		}
	}
	if s.role {
		said = maskNames(said, c.nameAfterWord)
		said = maskNames(said, c.nameBeforePhone)
	}
	if s.handed {
		said = maskNames(said, c.nameHandedTo)
	}
	if s.signed {
		said = maskNames(said, c.signedBy)
	}
	if s.announced {
		said = maskNames(said, c.named)
	}
	return said
}

// mobileDigits is how many digits a mobile number of China has.
const mobileDigits = 11

// signs are what must stand in a sentence before a form of a contact can:
// looking for them costs next to nothing, and most sentences have none.
type signs struct {
	digits                          int
	at, plus, parts                 bool // @, +, and what parts a landline's number
	phoneWord                       bool
	role, handed, signed, announced bool
}

func signsIn(said string) signs {
	var s signs
	colon := false
	for _, r := range said {
		switch {
		case r >= '0' && r <= '9':
			s.digits++
		case r == '@':
			s.at = true
		case r == '+':
			s.plus = true
		case r == '-' || r == '(':
			s.parts = true
		case r == ':' || r == '：':
			colon = true
		case r == '员' || r == '人':
			s.role = true
		case r == '给':
			s.handed = true
		}
	}
	small := strings.ToLower(said)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(small, w) {
				return true
			}
		}
		return false
	}
	s.phoneWord = s.digits >= minPhone && has("电话", "手机", "联系方式", "热线", "телефон", "tel", "phone", "mobile")
	s.signed = has("signed")
	s.announced = colon && has("recipient", "receiver", "consignee", "courier", "driver")
	return s
}

// maskNames hides the third group of a form unless it names no person.
func maskNames(said string, form *regexp.Regexp) string {
	return form.ReplaceAllStringFunc(said, func(m string) string {
		g := form.FindStringSubmatch(m)
		if namesNobody(g[3]) {
			return m
		}
		return g[1] + g[2] + redacted + strings.Join(g[4:], "")
	})
}

// namesNobody tells words that stand where a name would and are none.
func namesNobody(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "快递员", "派送员", "投递员", "业务员", "本人", "本人签收", "他人", "他人代收", "家人", "家属", "同事", "邻居", "前台", "收发室", "门卫", "物业", "保安", "单位", "公司",
		"寄件人", "寄件方", "收件人", "收件方", "驿站", "代收点", "代理点", "快递柜", "丰巢",
		"recipient", "the recipient", "addressee", "the addressee", "sender", "the sender", "neighbour", "neighbor", "reception", "front desk", "agent", "the agent", "station", "the station", "locker", "post office", "the post office":
		return true
	}
	for _, verb := range []string{"正在", "已", "将", "会", "请", "联系", "电话"} {
		if strings.HasPrefix(s, verb) {
			return true
		}
	}
	return false
}

// CleanWords is a carrier's sentence for storage: white space around it and
// markup gone, contacts masked.
func CleanWords(said string) string {
	return strings.TrimSpace(MaskContacts(StripMarkup(said)))
}

// CleanText is a text of a payload such that CleanWords makes the same of it as
// before, without the contacts in it. A text without contacts stays as it is,
// markup included.
func CleanText(said string) string {
	plain := StripMarkup(said)
	masked := MaskContacts(plain)
	switch {
	case masked == plain && (plain == said || MaskContacts(said) == said):
		return said
	case StripMarkup(masked) == masked:
		return masked
	}
	return html.EscapeString(masked)
}

// ScriptOf is the language of a sentence that is Chinese or English, by its
// script: "zh" or "en", empty for no sentence. Carriers of China send either
// where nobody translated it, whatever was asked for.
func ScriptOf(said string) string {
	switch {
	case said == "":
		return ""
	case strings.ContainsFunc(said, func(r rune) bool { return unicode.Is(unicode.Han, r) }):
		return "zh"
	}
	return "en"
}

// opaque is what looks like a token, a key or a signature.
var opaque = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[A-Za-z0-9+/_=%.~-]{20,}`)
})

// Quotable is a carrier's refusal for errors and results: contacts are masked,
// and so is what looks like a credential, since some carriers repeat what they
// refuse. At most that many bytes are left.
func Quotable(said string, most int) string {
	said = opaque().ReplaceAllStringFunc(CleanWords(said), func(run string) string {
		// Names of services and classes have no digits, numbers no letters.
		if !strings.ContainsAny(run, "0123456789") || strings.Trim(run, "0123456789") == "" {
			return run
		}
		return redacted
	})
	return strings.ToValidUTF8(said[:min(len(said), most)], "")
}
