package words_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/words"
)

// keys are all that may be shown.
func keys() map[string][]string {
	out := map[string][]string{
		"outcome": {"DELIVERED", "RETURNED", "LOST", "DISPOSED", "CANCELLED"},
		"problem": {"TIMEOUT", "UNAVAILABLE", "THROTTLED", "UNAUTHORISED", "UNREADABLE", "CIRCUIT_OPEN", "NUMBER_UNKNOWN", "NOT_CONFIGURED"},
		"change":  {"MILESTONE", "OUTCOME", "TRACKING_NUMBER", "RETRACTION"},
		"hint":    {"LOOK_ALIKE", "CHECK_DIGIT", "PATTERN"},
		"event":   {string(parcel.CodeUnknown)},
	}
	for _, m := range parcel.Milestones() {
		out["milestone"] = append(out["milestone"], string(m))
	}
	for _, c := range parcel.Codes() {
		out["event"] = append(out["event"], string(c))
	}
	for _, k := range parcel.ExceptionKinds() {
		out["exception"] = append(out["exception"], string(k))
	}
	for _, h := range parcel.Healths() {
		out["health"] = append(out["health"], string(h))
	}
	return out
}

func TestEveryLanguageHasEveryKey(t *testing.T) {
	var tags []string
	for _, l := range words.All() {
		tags = append(tags, l.Tag())
		for group, names := range keys() {
			for _, key := range names {
				label := l.Label(group, key)
				switch n := utf8.RuneCountInString(label); {
				case !l.Has(group, key):
					t.Errorf("%s: %s.%s: no words", l.Tag(), group, key)
				case n > 60:
					t.Errorf("%s: %s.%s: %d characters: %q", l.Tag(), group, key, n, label)
				case strings.HasSuffix(label, ".") || strings.HasSuffix(label, "。") || strings.TrimSpace(label) != label:
					t.Errorf("%s: %s.%s: %q: a label has no full stop and no space around it", l.Tag(), group, key, label)
				}
			}
		}
	}
	for _, want := range []string{"en", "ru", "pt-BR", "zh-Hans", "de", "es"} {
		if !slices.Contains(tags, want) {
			t.Errorf("no language %s among %v", want, tags)
		}
	}
}

// A reader must never take the handover to the local carrier for delivery.
func TestHandoverIsNotDelivery(t *testing.T) {
	for _, l := range words.All() {
		delivered := strings.ToLower(l.Label("milestone", "DELIVERED"))
		for _, key := range []string{"LAST_MILE", "READY_FOR_PICKUP", "OUT_FOR_DELIVERY"} {
			if got := strings.ToLower(l.Label("milestone", key)); strings.Contains(got, delivered) {
				t.Errorf("%s: %s is %q, which holds the word for delivered, %q", l.Tag(), key, got, delivered)
			}
		}
	}
}

func TestFor(t *testing.T) {
	for _, c := range []struct{ name, tag, want string }{
		{"as written", "pt-BR", "pt-BR"},
		{"another case", "PT-br", "pt-BR"},
		{"with underscore", "pt_BR", "pt-BR"},
		{"more precise than ours", "de-AT-1996", "de"},
		{"same primary language", "pt-PT", "pt-BR"},
		{"primary language alone", "zh", "zh-Hans"},
		{"script", "zh-Hans-CN", "zh-Hans"},
		{"region implies script", "zh-CN", "zh-Hans"},
		{"unknown language", "kl", "en"},
		{"empty", "", "en"},
		{"no tag at all", "---", "en"},
		{"a prefix of a primary language", "d", "en"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := words.For(c.tag).Tag(); got != c.want {
				t.Errorf("For(%q) = %s, want %s", c.tag, got, c.want)
			}
		})
	}
}

func TestLabelWithoutWords(t *testing.T) {
	if got := words.For("ru").Label("milestone", "NO_SUCH"); got != "NO_SUCH" {
		t.Errorf("a key without words gives %q, want the key", got)
	}
}

func FuzzFor(f *testing.F) {
	for _, tag := range []string{"en", "zh-Hant-TW", "x-private", "-", "ü"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		if words.For(tag) == nil {
			t.Errorf("For(%q) is nil", tag)
		}
	})
}

func BenchmarkLabel(b *testing.B) {
	for b.Loop() {
		words.For("pt-BR").Label("event", "DELIVERED")
	}
}
