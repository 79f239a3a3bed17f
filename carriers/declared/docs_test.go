package declared_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

const guide = "../../docs/declared-carriers.md"

// TestTutorial makes the carrier that the guide makes, and reads its answer.
func TestTutorial(t *testing.T) {
	data, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	_, steps, _ := strings.Cut(string(data), "**1.")
	steps, _, _ = strings.Cut(steps, "**5.")
	text := ""
	for _, block := range strings.Split(steps, "```yaml\n")[1:] {
		code, _, _ := strings.Cut(block, "```")
		text += code
	}
	c, err := loadText(t, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	a, err := c.Spec.New(carriers.Env{Settings: map[string]string{"api_key": "k"}, Wall: clock.Wall()})
	if err != nil {
		t.Fatal(err)
	}
	answer := regexp.MustCompile("`(\\{\"item\".*\\})`").FindStringSubmatch(strings.ReplaceAll(steps, "\n", " "))
	if answer == nil {
		t.Fatal("the guide shows no answer")
	}
	got, err := a.Decode(parcel.Payload{Kind: "track", Body: []byte(answer[1]), Numbers: []string{"AP1"}})
	if err != nil || len(got.Observations) != 1 || got.Observations[0].Code != parcel.CodeDelivered || got.Observations[0].Occurred.Offset() != "+05:00" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestReference holds the guide to the keys that there are, as the faults list
// them.
func TestReference(t *testing.T) {
	data, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new string }{
		{"top", "country: KZ", "zzz: 1"},
		{"answer", "  events: scans", "  zzz: scans"},
		{"event", "    words: w", "    zzz: w"},
		{"row", "event: DELIVERED}", "event: DELIVERED, zzz: 1}"},
		{"step", "    query:", "    zzz: 1\n    query:"},
		{"auth", "auth:\n", "auth:\n  zzz: 1\n"},
		{"signals", "codes:", "signals: {zzz: 1}\ncodes:"},
		{"push", "codes:", "push: {zzz: 1}\ncodes:"},
		{"verify", "codes:", "push: {verify: {zzz: 1}}\ncodes:"},
		{"oauth2", "auth:\n", "auth:\n  oauth2: {zzz: 1}\n"},
		{"token", "auth:\n", "auth:\n  token: {zzz: 1}\n"},
		{"paging", "codes:", "paging: {zzz: 1}\ncodes:"},
		{"parameters", "auth:", "signature: {over: a, parameters: {zzz: 1}}\nauth:"},
		{"csv", "  parcels:", "  csv: {zzz: 1}\n  parcels:"},
		{"estimate", "  parcels:", "  estimate: {zzz: 1}\n  parcels:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := loadText(t, strings.Replace(base, tc.old, tc.new, 1))
			if err == nil {
				t.Fatal("an unknown key is taken")
			}
			keys := regexp.MustCompile(`unknown key "zzz".*\(it may have (.*)\)`).FindStringSubmatch(err.Error())
			if keys == nil {
				t.Fatalf("%v", err)
			}
			for key := range strings.SplitSeq(keys[1], ", ") {
				if !strings.Contains(string(data), "`"+key+"`") && !strings.Contains(string(data), "`"+key+":") && !strings.Contains(string(data), "### "+key+"\n") && !regexp.MustCompile("[`{|]\\s*"+regexp.QuoteMeta(key)+"[|,:}`]").MatchString(string(data)) && !strings.Contains(string(data), "**"+key+"**") {
					t.Errorf("docs/declared-carriers.md does not tell of %s", key)
				}
			}
		})
	}
}
