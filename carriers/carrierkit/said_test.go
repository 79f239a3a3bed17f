package carrierkit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestMaskContacts(t *testing.T) {
	for _, tt := range []struct{ name, said, want string }{
		{"mobile", "派件中，请保持电话畅通 13812345678", "派件中，请保持电话畅通 [redacted]"},
		{"mobile with prefix", "call +86 138-1234-5678 now", "call [redacted] now"},
		{"mobile between Chinese letters", "请联系13812345678领取", "请联系[redacted]领取"},
		{"announced", "联系电话：0755-8888 1234，谢谢", "联系电话：[redacted]，谢谢"},
		{"landline", "咨询 0755-88881234", "咨询 [redacted]"},
		{"abroad", "Correios +55 (11) 4002-8922", "Correios [redacted]"},
		{"e-mail", "write to a.person@mail.example.org.", "write to [redacted]."},
		{"courier in brackets", "快递员【李四】正在派送", "快递员【[redacted]】正在派送"},
		{"courier before the phone", "投递员李四 13812345678", "投递员[redacted] [redacted]"},
		{"courier and announced phone", "安排投递，投递员：李四，电话：13812345678", "安排投递，投递员：[redacted]，电话：[redacted]"},
		{"courier without a name", "快递员正在派送,电话13812345678", "快递员正在派送,电话[redacted]"},
		{"handed to", "快件交给王五，正在派送途中（联系电话：13812345678）", "快件交给[redacted]，正在派送途中（联系电话：[redacted]）"},
		{"who signed", "已签收,签收人:张三", "已签收,签收人:[redacted]"},
		{"a part that signed", "已签收,签收人:本人", "已签收,签收人:本人"},
		{"signed in English", "Delivered, signed by: A PERSON, thanks", "Delivered, signed by: [redacted], thanks"},
		{"signed without a mark", "Signed for by Person", "Signed for by [redacted]"},
		{"a part in English", "Signed by reception", "Signed by reception"},
		{"announced in English", "Courier: A Person; parcel on board", "Courier: [redacted]; parcel on board"},
		{"not announced", "Held at courier facility", "Held at courier facility"},
		{"number of a parcel", "Now NL407712369BR, was LP00612345678901", "Now NL407712369BR, was LP00612345678901"},
		{"clock and zone", "2026-10-28 11:40:55 UTC+8", "2026-10-28 11:40:55 UTC+8"},
		{"nobody", "快递员正在派送", "快递员正在派送"},
		{"signed for by a house", "Parcel signed for by the station, tel. 13812345678", "Parcel signed for by the station, tel. [redacted]"},
		{"signed in capitals", "SIGNED BY: A PERSON", "SIGNED BY: [redacted]"},
		{"landline abroad of six digits", "tel 123 456", "tel [redacted]"},
		{"handed over without a name", "已交给快递员，正在派送", "已交给快递员，正在派送"},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := carrierkit.MaskContacts(tt.said)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if again := carrierkit.MaskContacts(got); again != got {
				t.Errorf("twice: %q", again)
			}
		})
	}
}

// BenchmarkMaskContacts is the cost of sentences as carriers write them: most
// name nobody.
func BenchmarkMaskContacts(b *testing.B) {
	for _, s := range []struct{ name, said string }{
		{"English", "The shipment has been processed in the parcel center of the destination"},
		{"English with a colon", "Arrived: the international shipment is being transported to the destination area"},
		{"Chinese", "快件到达【北京大兴集散中心】，准备发往下一站"},
		{"signed", "Delivered, signed by: A PERSON, thanks"},
		{"phone", "快件交给王五，正在派送途中（联系电话：13812345678）"},
	} {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				carrierkit.MaskContacts(s.said)
			}
		})
	}
}

func TestCleanText(t *testing.T) {
	for _, tt := range []struct{ name, said, kept, words string }{
		{"nobody in it", " <b>Out</b> for delivery ", " <b>Out</b> for delivery ", "Out for delivery"},
		{"phone", " tel 13812345678 ", " tel [redacted] ", "tel [redacted]"},
		{"phone in markup", "a &lt;b&gt; <i>13812345678</i>", "a &lt;b&gt; [redacted]", "a <b> [redacted]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kept := carrierkit.CleanText(tt.said)
			if d := cmp.Diff([]string{tt.kept, tt.words, tt.words}, []string{kept, carrierkit.CleanWords(tt.said), carrierkit.CleanWords(kept)}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func FuzzCleanText(f *testing.F) {
	for _, said := range []string{
		"快件交给王五，正在派送途中（联系电话：13812345678）", "Signed by: A &lt;b&gt; PERSON +55 (11) 4002-8922", "签收人 :人: 13812345678", "投递员<b>李四</b> 0755-88881234",
	} {
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		kept := carrierkit.CleanText(said)
		if again := carrierkit.CleanText(kept); again != kept {
			t.Errorf("%q twice: %q, then %q", said, kept, again)
		}
		if before, after := carrierkit.CleanWords(said), carrierkit.CleanWords(kept); before != after {
			t.Errorf("%q reads as %q, cleaned %q as %q", said, before, kept, after)
		}
	})
}

func TestReasonIn(t *testing.T) {
	for said, want := range map[string]parcel.Reason{
		"因收方客户地址不详,待进一步确认后再次派送":               parcel.ReasonAddressIncorrect,
		"Delivery failed: address incomplete": parcel.ReasonAddressIncorrect,
		"电话无人接听":                              parcel.ReasonRecipientUnreachable,
		"家中无人":                                parcel.ReasonRecipientAbsent,
		"收件人拒收":                               parcel.ReasonRefused,
		"Delivery failed":                     "",
		"":                                    "",
	} {
		if got := carrierkit.ReasonIn(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestReceiverIn(t *testing.T) {
	for said, want := range map[string]parcel.DeliveredTo{
		"已签收,签收人:本人":              parcel.DeliveredToRecipient,
		"已签收,他人代收：物业":             parcel.DeliveredToReception,
		"已放入丰巢快递柜":                parcel.DeliveredToLocker,
		"Left with Neighbour":     parcel.DeliveredToNeighbour,
		"Delivered to the sender": parcel.DeliveredToSender,
		"已签收,感谢使用顺丰,期待再次为您服务":     "",
	} {
		if got := carrierkit.ReceiverIn(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestPhrasesInChinese(t *testing.T) {
	p := carrierkit.NewPhrases(carrierkit.MustTable(`# version: 2026-11-22
code,event,reason,delivered_to,retracts,doc
704: 退回,RETURNED,,,,delivered to the sender
text: 出口 & 放行,EXPORT_CUSTOMS_RELEASED,,,,both words
`))
	for _, tt := range []struct{ name, key, said, rule string }{
		{"inside a word", "704", "邮件退回妥投", "704: 退回"},
		{"both words", "text", "送交出口海关/放行", "text: 出口 & 放行"},
		{"one of two", "text", "出口海关", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if row, ok := p.Lookup(tt.key, tt.said); row.Rule != tt.rule || ok != (tt.rule != "") {
				t.Errorf("rule %q, %v", row.Rule, ok)
			}
		})
	}
}

func TestEditJSON(t *testing.T) {
	shout := func(path []string, text string) string {
		if len(path) > 0 && path[len(path)-1] == "words" {
			return text + "!<\">"
		}
		return text
	}
	for _, tt := range []struct{ name, in, want string }{
		{"text", `{ "words" : "a" , "other":"b"}`, `{ "words" : "a!<\">" , "other":"b"}`},
		{"texts of a list", `{"words":["a",1,null,"b"]}`, `{"words":["a!<\">",1,null,"b!<\">"]}`},
		{"names of fields stay", `{"words":{"words":1}}`, `{"words":{"words":1}}`},
		{"escapes elsewhere stay", `{"x":"\u00e9","words":"\u00e9"}`, `{"x":"\u00e9","words":"é!<\">"}`},
		{"no JSON to its end", `{"words":"a"} x`, `{"words":"a"} x`},
		{"cut off", `{"words":"a"`, `{"words":"a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(carrierkit.EditJSON([]byte(tt.in), shout)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCleanSentences(t *testing.T) {
	named := carrierkit.Named("words")
	for _, tt := range []struct{ name, in, want string }{
		{"named", `{"words":"call 13812345678","n":"13812345678"}`, `{"words":"call [redacted]","n":"13812345678"}`},
		{"in another case, as it is decoded", `{"WORDS":"call 13812345678"}`, `{"WORDS":"call [redacted]"}`},
		{"behind a byte order mark", "\ufeff" + `{"words":"call 13812345678"}`, "\ufeff" + `{"words":"call [redacted]"}`},
		{"a text and no object", `"13812345678"`, `"13812345678"`},
		{"beside what is deep", `{"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `,"words":"13812345678"}`,
			`{"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `,"words":"[redacted]"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(carrierkit.CleanSentences([]byte(tt.in), named)); got != tt.want {
				t.Errorf("got %.80s, want %.80s", got, tt.want)
			}
		})
	}
}

func TestScriptOf(t *testing.T) {
	for said, want := range map[string]string{"": "", "Delivered": "en", "已签收 signed": "zh"} {
		if got := carrierkit.ScriptOf(said); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}

func TestQuotable(t *testing.T) {
	for _, tt := range []struct{ name, said, want string }{
		{"words", "Invalid signature", "Invalid signature"},
		{"a token", "access_token 9f1c2b3a4d5e6f708192a3b4 has expired", "access_token [redacted] has expired"},
		{"an address that repeats a call", "/router/service?sign=b76591934b1a7495f1225238c77348f1&v=1", "/router/service?[redacted]&v=1"},
		{"the name of a service", "EXP_RECE_SEARCH_ROUTES is not permitted", "EXP_RECE_SEARCH_ROUTES is not permitted"},
		{"the number of a parcel", "no parcel 00340434981200544177", "no parcel 00340434981200544177"},
		{"a phone", "ask 13812345678", "ask [redacted]"},
		{"cut between letters", strings.Repeat("签", 40), strings.Repeat("签", 33)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := carrierkit.Quotable(tt.said, 100); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
