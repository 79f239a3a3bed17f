package all_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	_ "github.com/milepost-gateway/milepost/carriers/all"
	"github.com/milepost-gateway/milepost/parcel"
)

// jsonKey is the key of a field.
var jsonKey = regexp.MustCompile(`"([A-Za-z_]+)"(\s*:)`)

// TestWhateverFormHidesNobody holds for every adapter and every sample of JSON:
// what Decode can read, Redact cleans, in whatever dress it comes; and no scan
// of the future is an event.
func TestWhateverFormHidesNobody(t *testing.T) {
	for _, spec := range carriers.All() {
		dir := filepath.Join("..", spec.Name, "testdata")
		var exam struct {
			Personal []string          `json:"personal"`
			Kinds    map[string]string `json:"kinds"`
		}
		if b, err := os.ReadFile(filepath.Join(dir, "exam.json")); err == nil {
			if err := json.Unmarshal(b, &exam); err != nil {
				t.Fatal(err)
			}
		}
		c, err := spec.New(carriers.Env{BaseURL: "https://carrier.test"})
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			kind := exam.Kinds[filepath.Base(file)]
			for _, k := range spec.Kinds {
				if kind == "" && k.Sniff != nil && k.Sniff(body) {
					kind = k.Name
				}
			}
			if filepath.Base(file) == "exam.json" || kind == "" {
				continue
			}
			t.Run(spec.Name+"/"+filepath.Base(file), func(t *testing.T) {
				p := parcel.Payload{Carrier: spec.Name, Kind: kind, Source: parcel.SourcePoll, Body: body}
				known, _ := c.Decode(p) // refusals are samples too
				for what, dressed := range map[string][]byte{
					"as it is":           body,
					"a byte order mark":  append([]byte("\xef\xbb\xbf"), body...),
					"keys in capitals":   jsonKey.ReplaceAllFunc(body, bytes.ToUpper),
					"deep in other data": []byte(strings.Replace(string(body), "{", `{"x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`,`, 1)),
				} {
					q := p
					q.Body = dressed
					if rd, err := c.Decode(q); what == "a byte order mark" && len(rd.Observations) != len(known.Observations) {
						t.Errorf("%s: %d of %d events, %v", what, len(rd.Observations), len(known.Observations), err)
					}
					clean := string(c.Redact(q).Body)
					for _, person := range exam.Personal {
						if strings.Contains(clean, person) {
							t.Errorf("%s: %q stays", what, person)
						}
					}
				}
				p.ReceivedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // before all samples
				rd, _ := c.Decode(p)
				for _, o := range rd.Observations {
					t.Errorf("%s at %s comes from the future", o.Code, o.Occurred.Wall)
				}
			})
		}
	}
}
