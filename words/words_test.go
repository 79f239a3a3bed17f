package words_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/words"
)

// values returns all values that may be shown, by group.
func values() map[string][]string {
	return map[string][]string{
		words.GroupEvent:     texts(append(parcel.Codes(), parcel.CodeUnknown)),
		words.GroupMilestone: texts(parcel.Milestones()),
		words.GroupOutcome: texts([]parcel.Outcome{parcel.OutcomeDelivered, parcel.OutcomeReturned, parcel.OutcomeLost,
			parcel.OutcomeDisposed, parcel.OutcomeCancelled}),
		words.GroupException: texts(parcel.ExceptionKinds()),
		words.GroupHealth:    texts(parcel.Healths()),
		words.GroupCustody: texts([]parcel.CustodyState{parcel.CustodyMerchant, parcel.CustodyCarrier, parcel.CustodyBetween,
			parcel.CustodyCustoms, parcel.CustodyPickup, parcel.CustodyRecipient, parcel.CustodyUnknown}),
		words.GroupChange: texts([]parcel.ChangeKind{parcel.ChangeMilestone, parcel.ChangeOutcome, parcel.ChangeException,
			parcel.ChangePromise, parcel.ChangeLeg, parcel.ChangeNumber, parcel.ChangeRetraction}),
		words.GroupProblem: texts([]parcel.Trouble{parcel.TroubleTimeout, parcel.TroubleUnavailable, parcel.TroubleThrottled,
			parcel.TroubleUnauthorised, parcel.TroubleUnreadable, parcel.TroubleCircuitOpen, parcel.TroubleNumberUnknown,
			parcel.TroubleNotConfigured}),
		words.GroupHint: {"LOOK_ALIKE", "CHECK_DIGIT", "LENGTH", "PATTERN"},
	}
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// Every value of the schema has words in every language, not only in English.
func TestEveryValueHasWords(t *testing.T) {
	for _, l := range words.Locales() {
		for group, keys := range values() {
			for _, key := range keys {
				text := words.Label(l, group, key)
				if text.Locale != l || text.Value == "" || text.Value == key {
					t.Errorf("%s: %s %s: %q in %q", l, group, key, text.Value, text.Locale)
				}
			}
		}
	}
}

// Every rule that package parcel names has words: one that is added there
// without words would explain itself to nobody.
func TestEveryRuleHasWords(t *testing.T) {
	name := regexp.MustCompile(`^(milestone|outcome|exception|closed|handover|leg|custody|promise)\.[a-z_]+$`)
	rules := map[string]string{}
	files, err := filepath.Glob("../parcel/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if s, err := strconv.Unquote(literal.Value); err == nil && name.MatchString(s) {
					rules[s] = file
				}
			}
			return true
		})
	}
	for _, h := range parcel.Healths() {
		rules["health."+strings.ToLower(string(h))] = "parcel.Healths"
	}
	if len(rules) < 20 {
		t.Fatalf("found %d rules: the search looks in the wrong place", len(rules))
	}
	general := words.Rule("en", "no.such_rule")
	for rule, file := range rules {
		if words.Rule("en", rule) == general {
			t.Errorf("rule %s of %s has no words: add it to the rule section of each language", rule, file)
		}
	}
}

func TestFallbacks(t *testing.T) {
	for _, c := range []struct {
		name string
		got  words.Text
		want words.Text
	}{
		{"code not known", words.Code("de", "NO_SUCH"), words.Text{Value: "Unterwegs", Locale: "de"}},
		{"zero code", words.Code("en", ""), words.Text{Value: "On the way", Locale: "en"}},
		{"no milestone yet", words.Milestone("fr", ""), words.Text{Value: "Informations d’expédition reçues", Locale: "fr"}},
		{"custody not known", words.Custody("es", ""), words.Text{Value: "Ubicación desconocida", Locale: "es"}},
		{"trouble not known", words.Problem("en", "FLOOD"), words.Text{Value: "The carrier cannot be reached", Locale: "en"}},
		{"rule not known", words.Rule("en", "eta.new"), words.Text{Value: "Follows from the events", Locale: "en"}},
		{"outcome not known gives itself", words.Outcome("ru", "EATEN"), words.Text{Value: "EATEN", Locale: "en"}},
		{"group not known", words.Label("ru", "weather", "RAIN"), words.Text{Value: "RAIN", Locale: "en"}},
		{"locale that is a near tag", words.Milestone("pt-PT", "DELIVERED"), words.Text{Value: "Entregue", Locale: "pt-BR"}},
		{"zero locale", words.Milestone("", "DELIVERED"), words.Text{Value: "Delivered", Locale: "en"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHeadline(t *testing.T) {
	for _, c := range []struct{ name, milestone, outcome, exception, want string }{
		{"under way", "LAST_MILE", "", "", "Handed over to the local carrier"},
		{"registered", "", "", "", "Shipping information received"},
		{"held", "DESTINATION_ARRIVED", "", "CUSTOMS_HELD", "Held by customs"},
		{"perhaps lost", "ORIGIN_DEPARTED", "", "LOST_SUSPECTED", "Possibly lost, search under way"},
		{"quiet is no headline", "ORIGIN_DEPARTED", "", "SILENT", "Left the country of origin"},
		{"nor is a risk", "LAST_MILE", "", "PROMISE_AT_RISK", "Handed over to the local carrier"},
		{"nor what is not known", "LAST_MILE", "", "NO_SUCH", "Handed over to the local carrier"},
		{"delivered", "DELIVERED", "DELIVERED", "", "Delivered"},
		{"delivered damaged", "DELIVERED", "DELIVERED", "DAMAGED", "Delivered"},
		{"returned", "OUT_FOR_DELIVERY", "RETURNED", "", "Returned to the sender"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := words.Text{Value: c.want, Locale: "en"}
			if diff := cmp.Diff(want, words.Headline("en", c.milestone, c.outcome, c.exception)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A reader must never take the handover to the local carrier, or any other
// event, for delivery.
func TestHandoverIsNotDelivery(t *testing.T) {
	stem := map[words.Locale]string{"pt-BR": "entreg", "es": "entreg"}
	for _, l := range words.Locales() {
		delivered := strings.ToLower(words.Milestone(l, "DELIVERED").Value)
		for _, c := range parcel.Codes() {
			if c == parcel.CodeDelivered || c == parcel.CodeDeliveredImpaired {
				continue
			}
			if label := strings.ToLower(words.Code(l, string(c)).Value); strings.Contains(label, delivered) {
				t.Errorf("%s: %s is %q, which holds the words for delivered, %q", l, c, label, delivered)
			}
		}
		if s := stem[l]; s != "" {
			if !strings.Contains(delivered, s) {
				t.Errorf("%s: delivered is %q, without the stem %q that this test looks for", l, delivered, s)
			}
			if handover := strings.ToLower(words.Milestone(l, "LAST_MILE").Value); strings.Contains(handover, s) {
				t.Errorf("%s: %q shares the stem %q with %q", l, handover, s, delivered)
			}
		}
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct {
		locale                                       words.Locale
		date, short, clock, days, months, years, few string
	}{
		{"en", "25 November 2026", "25 November", "25 November 2026, 09:05", "25–28 November 2026",
			"25 November – 3 December 2026", "25 November 2026 – 3 February 2027", "25–28 November"},
		{"zh-Hans", "2026年11月25日", "11月25日", "2026年11月25日 09:05", "2026年11月25日至28日",
			"2026年11月25日至12月3日", "2026年11月25日至2027年2月3日", "11月25日至28日"},
		{"ru", "25 ноября 2026 г.", "25 ноября", "25 ноября 2026 г., 09:05", "25–28 ноября 2026 г.",
			"25 ноября – 3 декабря 2026 г.", "25 ноября 2026 г. – 3 февраля 2027 г.", "25–28 ноября"},
		{"pt-BR", "25 de novembro de 2026", "25 de novembro", "25 de novembro de 2026, 09:05", "25–28 de novembro de 2026",
			"25 de novembro – 3 de dezembro de 2026", "25 de novembro de 2026 – 3 de fevereiro de 2027", "25–28 de novembro"},
		{"de", "25. November 2026", "25. November", "25. November 2026, 09:05", "25.–28. November 2026",
			"25. November – 3. Dezember 2026", "25. November 2026 – 3. Februar 2027", "25.–28. November"},
		{"kk", "2026 ж. 25 қараша", "25 қараша", "2026 ж. 25 қараша, 09:05", "2026 ж. 25–28 қараша",
			"2026 ж. 25 қараша – 3 желтоқсан", "2026 ж. 25 қараша – 2027 ж. 3 ақпан", "25–28 қараша"},
		{"uz", "25-noyabr, 2026", "25-noyabr", "25-noyabr, 2026, 09:05", "25–28-noyabr, 2026",
			"25-noyabr – 3-dekabr, 2026", "25-noyabr, 2026 – 3-fevral, 2027", "25–28-noyabr"},
		{"he", "25 בנובמבר 2026", "25 בנובמבר", "25 בנובמבר 2026, 9:05", "25–28 בנובמבר 2026",
			"25 בנובמבר – 3 בדצמבר 2026", "25 בנובמבר 2026 – 3 בפברואר 2027", "25–28 בנובמבר"},
		{"vi", "25 tháng 11, 2026", "25 tháng 11", "09:05 25 tháng 11, 2026", "25–28 tháng 11, 2026",
			"25 tháng 11 – 3 tháng 12, 2026", "25 tháng 11, 2026 – 3 tháng 2, 2027", "25–28 tháng 11"},
	} {
		t.Run(string(c.locale), func(t *testing.T) {
			from := words.Day{Year: 2026, Month: 11, Day: 25}
			for _, got := range []struct{ what, want, is string }{
				{"date", c.date, words.Date(c.locale, 2026, 11, 25)},
				{"without a year", c.short, words.Date(c.locale, 0, 11, 25)},
				{"with a clock", c.clock, words.DateTime(c.locale, 2026, 11, 25, 9, 5)},
				{"one day", c.date, words.DateRange(c.locale, from, from)},
				{"within a month", c.days, words.DateRange(c.locale, from, words.Day{Year: 2026, Month: 11, Day: 28})},
				{"within a year", c.months, words.DateRange(c.locale, from, words.Day{Year: 2026, Month: 12, Day: 3})},
				{"over years", c.years, words.DateRange(c.locale, from, words.Day{Year: 2027, Month: 2, Day: 3})},
				{"without years", c.few, words.DateRange(c.locale, from, words.Day{Month: 11, Day: 28})},
			} {
				if got.is != got.want {
					t.Errorf("%s: %q, want %q", got.what, got.is, got.want)
				}
			}
		})
	}
	t.Run("the same month of another year", func(t *testing.T) {
		got := words.DateRange("en", words.Day{Year: 2026, Month: 11, Day: 25}, words.Day{Year: 2027, Month: 11, Day: 25})
		if want := "25 November 2026 – 25 November 2027"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("out of range", func(t *testing.T) {
		if got, want := words.Date("en", 2026, 13, 40), "40 13 2026"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// The names that CLDR data on many machines has wrong or lacks.
func TestMonths(t *testing.T) {
	for l, want := range map[words.Locale]string{
		"kk": "қаңтар ақпан наурыз сәуір мамыр маусым шілде тамыз қыркүйек қазан қараша желтоқсан",
		"uz": "yanvar fevral mart aprel may iyun iyul avgust sentabr oktabr noyabr dekabr",
	} {
		for i, month := range strings.Fields(want) {
			if got := words.Date(l, 0, i+1, 1); !strings.HasSuffix(got, month) {
				t.Errorf("%s: month %d is in %q, want %s", l, i+1, got, month)
			}
		}
	}
}

func TestMoney(t *testing.T) {
	const nbsp, narrow = "\u00a0", "\u202f"
	for _, c := range []struct {
		name             string
		locale           words.Locale
		amount, currency string
		want             string
	}{
		{"symbol first", "en", "1234567.50", "USD", "$1,234,567.50"},
		{"negative", "en", "-0.05", "EUR", "-€0.05"},
		{"code against digits", "en", "12.50", "KZT", "KZT" + nbsp + "12.50"},
		{"symbol last", "de", "1234.50", "EUR", "1.234,50" + nbsp + "€"},
		{"own currency", "kk", "12345", "KZT", "12" + nbsp + "345" + nbsp + "₸"},
		{"narrow space", "fr", "-12345.5", "EUR", "-12" + narrow + "345,5" + nbsp + "€"},
		{"four digits are not grouped", "pl", "1234", "PLN", "1234" + nbsp + "zł"},
		{"five are", "es", "12345", "EUR", "12.345" + nbsp + "€"},
		{"another country's dollar", "zh-Hans", "3", "USD", "US$3"},
		{"own yuan", "zh-Hans", "3.20", "CNY", "¥3.20"},
		{"right to left", "he", "-3.20", "ILS", "\u200f\u200e-3.20" + nbsp + "\u200f₪"},
		{"not a number", "en", "1e9", "USD", "$1e9"},
		{"no currency", "en", "1", "", "1"},
		{"nothing", "en", "", "USD", "$"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := words.Money(c.locale, c.amount, c.currency); got != c.want {
				t.Errorf("Money(%s, %q, %q) = %+q, want %+q", c.locale, c.amount, c.currency, got, c.want)
			}
		})
	}
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		name   string
		locale words.Locale
		key    string
		n      int
		want   string
	}{
		{"one", "en", "days", 1, "1 day"},
		{"none", "en", "days", 0, "0 days"},
		{"grouped", "en", "events", 1234, "1,234 events"},
		{"negative", "en", "days", -3, "-3 days"},
		{"russian one", "ru", "parcels", 21, "21 отправление"},
		{"russian few", "ru", "parcels", 3, "3 отправления"},
		{"russian many", "ru", "parcels", 11, "11 отправлений"},
		{"polish", "pl", "days_ago", 5, "5 dni temu"},
		{"arabic two", "ar", "events", 2, "حدثان"},
		{"hebrew two", "he", "hours", 2, "שעתיים"},
		{"french none", "fr", "events", 0, "0 événement"},
		{"million", "pt-BR", "parcels", 1_000_000, "1.000.000 de pacotes"},
		{"no such thing", "en", "elephants", 7, "7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := words.Count(c.locale, c.key, c.n); got != c.want {
				t.Errorf("Count(%s, %s, %d) = %+q, want %+q", c.locale, c.key, c.n, got, c.want)
			}
		})
	}
}

// Labels are looked up for every event of every timeline.
func TestLookupsDoNotAllocate(t *testing.T) {
	for name, look := range map[string]func(){
		"label":       func() { words.Code("kk", "DELIVERED") },
		"unknown":     func() { words.Code("kk", "NO_SUCH") },
		"match a tag": func() { words.Match("pt-BR") },
		"match a header": func() {
			words.Match("de-CH,de;q=0.9,en-US;q=0.8,en;q=0.7")
		},
	} {
		if n := testing.AllocsPerRun(100, look); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

func BenchmarkCode(b *testing.B) {
	for b.Loop() {
		words.Code("pt-BR", "DELIVERED")
	}
}

func BenchmarkDateRange(b *testing.B) {
	from, to := words.Day{Year: 2026, Month: 11, Day: 25}, words.Day{Year: 2026, Month: 12, Day: 3}
	for b.Loop() {
		words.DateRange("pt-BR", from, to)
	}
}
