package carriertest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

const goldenSuffix = ".golden.jsonl"

// goldenLine is one line of a golden file: one thing that a sample says.
type goldenLine struct {
	Observation *goldenObservation `json:"observation,omitempty"`
	Result      *goldenResult      `json:"result,omitempty"`
	Alias       *goldenAlias       `json:"alias,omitempty"`
	Estimate    *goldenEstimate    `json:"estimate,omitempty"`
	RetryAfter  string             `json:"retryAfter,omitempty"`
	// Error has the kinds alone: its words may change.
	Error []string `json:"error,omitempty"`
}

type goldenResult struct {
	Number  string         `json:"number"`
	Finding parcel.Finding `json:"finding"`
	Detail  string         `json:"detail,omitempty"`
}

type goldenAlias struct {
	Number  string `json:"number"`
	Other   string `json:"other"`
	Carrier string `json:"carrier,omitempty"`
}

type goldenEstimate struct {
	Number   string `json:"number"`
	Earliest string `json:"earliest"`
	Last     string `json:"last"`
}

type goldenObservation struct {
	Number      string             `json:"number"`
	Parcel      string             `json:"parcel,omitempty"`
	OwnCode     string             `json:"ownCode,omitempty"`
	Code        parcel.Code        `json:"code"`
	Reason      parcel.Reason      `json:"reason,omitempty"`
	DeliveredTo parcel.DeliveredTo `json:"deliveredTo,omitempty"`
	Retracts    bool               `json:"retracts,omitempty"`
	Wall        string             `json:"wall"`
	Text        string             `json:"text,omitempty"`
	At          time.Time          `json:"at"`
	Offset      string             `json:"offset,omitempty"`
	Zone        string             `json:"zone,omitempty"`
	Certainty   parcel.Certainty   `json:"certainty"`
	Reported    time.Time          `json:"reported,omitzero"`
	Place       parcel.Place       `json:"place,omitzero"`
	Words       string             `json:"words,omitempty"`
	Language    string             `json:"language,omitempty"`
	NextCarrier string             `json:"nextCarrier,omitempty"`
	NextNumber  string             `json:"nextNumber,omitempty"`
	Rule        string             `json:"rule"`
}

// goldenOf writes a reading down. The version of the table is left out, so
// that a new row elsewhere in it leaves golden files as they are.
func goldenOf(readings []parcel.Reading, errs []error) ([]byte, error) {
	var lines []goldenLine
	for _, r := range readings {
		for _, o := range r.Observations {
			lines = append(lines, goldenLine{Observation: &goldenObservation{
				Number: o.Number, Parcel: o.Parcel, OwnCode: o.OwnCode, Code: o.Code, Reason: o.Reason, DeliveredTo: o.DeliveredTo,
				Retracts: o.Retracts, Wall: o.Occurred.Wall, Text: o.Occurred.Text, At: o.Occurred.At, Offset: o.Occurred.Offset(),
				Zone: o.Occurred.Zone, Certainty: o.Occurred.Certainty, Reported: o.Reported, Place: o.Place, Words: o.Words,
				Language: o.Language, NextCarrier: o.NextCarrier, NextNumber: o.NextNumber, Rule: o.Rule,
			}})
		}
		for _, x := range r.Results {
			lines = append(lines, goldenLine{Result: (*goldenResult)(&x)})
		}
		for _, a := range r.Aliases {
			lines = append(lines, goldenLine{Alias: (*goldenAlias)(&a)})
		}
		for _, x := range r.Estimates {
			lines = append(lines, goldenLine{Estimate: (*goldenEstimate)(&x)})
		}
		if r.RetryAfter > 0 {
			lines = append(lines, goldenLine{RetryAfter: r.RetryAfter.String()})
		}
	}
	for _, err := range errs {
		lines = append(lines, goldenLine{Error: kindNames(err)})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// read decodes a sample, a file by way of Split.
func (e *exam) read(c carriers.Carrier, s sampleFile) (readings []parcel.Reading, errs []error) {
	payloads := []parcel.Payload{s.payload}
	if splitter, ok := c.(carriers.Splitter); ok && s.kind.Source == parcel.SourceFile {
		payloads = nil
		for p, err := range splitter.Split(bytes.NewReader(s.payload.Body), s.file) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			payloads = append(payloads, p)
		}
	}
	for _, p := range payloads {
		r, err := c.Decode(p)
		readings = append(readings, r)
		if err != nil {
			errs = append(errs, err)
		}
	}
	return readings, errs
}

func (e *exam) testSamples(t *testing.T) {
	kinds := map[string]bool{}
	for _, s := range e.samples {
		kinds[s.kind.Name] = true
		t.Run(s.file, func(t *testing.T) {
			c := e.reader(t)
			readings, errs := e.read(c, s)
			for _, r := range readings {
				e.checkReading(t, r)
			}
			for _, err := range errs {
				if len(kindNames(err)) == 0 {
					t.Errorf("error of no kind: %v", err)
				}
			}
			e.compareGolden(t, s.file, readings, errs)
			e.testPurity(t, s)
			e.testRedact(t, s)
		})
	}
	for _, k := range e.spec.Kinds {
		if !kinds[k.Name] {
			t.Errorf("no sample of kind %s", k.Name)
		}
	}
	e.testPersonal(t)
}

func (e *exam) compareGolden(t *testing.T, file string, readings []parcel.Reading, errs []error) {
	t.Helper()
	got, err := goldenOf(readings, errs)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(e.dir, file+goldenSuffix)
	if updating() {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update, and read it)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("differs from %s: %s", path, diff)
	}
}

// checkReading holds what every reading of any carrier must fulfil.
func (e *exam) checkReading(t *testing.T, r parcel.Reading) {
	t.Helper()
	for i, o := range r.Observations {
		fault := func(format string, args ...any) {
			t.Helper()
			t.Errorf("observation %d (%s %s %s): "+format, append([]any{i, o.Number, o.OwnCode, o.Occurred.Written()}, args...)...)
		}
		if o.Carrier != e.spec.Name && !e.spec.Aggregator {
			fault("carrier %q", o.Carrier)
		}
		if o.Number == "" || o.Number != parcel.NormalizeNumber(o.Number) {
			fault("number is not normalised")
		}
		if !o.Code.Valid() || o.Reason != "" && !o.Reason.Valid() || o.DeliveredTo != "" && !o.DeliveredTo.Valid() {
			fault("code %q, reason %q, delivered to %q", o.Code, o.Reason, o.DeliveredTo)
		}
		if o.Rule == "" || o.RuleVersion != e.spec.Codes.Version() {
			fault("rule %q of version %q, the table has %q", o.Rule, o.RuleVersion, e.spec.Codes.Version())
		}
		if o.Code == parcel.CodeUnknown && o.OwnCode == "" && o.Words == "" {
			fault("an unknown event without its own code or words says nothing")
		}
		if o.Place.Country != "" && !o.Place.Country.Valid() {
			fault("country %q", o.Place.Country)
		}
		checkMoment(o.Occurred, fault)
	}
	for _, x := range r.Results {
		if x.Number != parcel.NormalizeNumber(x.Number) || x.Number == "" {
			t.Errorf("result for %q: number is not normalised", x.Number)
		}
		switch x.Finding {
		case parcel.FindingFound, parcel.FindingUnknown, parcel.FindingDenied:
		default:
			t.Errorf("result for %s: finding %q", x.Number, x.Finding)
		}
	}
	for _, x := range r.Estimates {
		from, err1 := time.Parse(parcel.DayLayout, x.Earliest)
		to, err2 := time.Parse(parcel.DayLayout, x.Last)
		if err1 != nil || err2 != nil || to.Before(from) {
			t.Errorf("estimate for %s: %q to %q", x.Number, x.Earliest, x.Last)
		}
	}
	for _, a := range r.Aliases {
		if a.Number == "" || a.Other == "" || a.Number == a.Other {
			t.Errorf("alias %+v", a)
		}
	}
}

func checkMoment(m parcel.Moment, fault func(string, ...any)) {
	layout := parcel.WallLayout
	if m.DateOnly() {
		layout = parcel.DayLayout
	}
	face, err := time.Parse(layout, m.Wall)
	switch {
	case err != nil:
		fault("wall clock %q", m.Wall)
	case m.At.IsZero() || m.At.Location() != time.UTC:
		fault("instant %s", m.At)
	case m.Certainty.Rank() == 0 && m.Certainty != parcel.CertaintyUnknown:
		fault("certainty %q", m.Certainty)
	case m.Certainty == parcel.CertaintyReported && !m.HasOffset:
		fault("REPORTED without an offset")
	case m.Certainty != parcel.CertaintyUnknown && !m.HasOffset:
		fault("%s without an offset", m.Certainty)
	case m.HasOffset && !face.Add(-time.Duration(m.OffsetSeconds)*time.Second).Equal(m.At):
		fault("wall clock %s at %s is not the instant %s", m.Wall, m.Offset(), m.At)
	}
}

// testPurity decodes a sample again: by the same adapter, by another one, and
// by many at once.
func (e *exam) testPurity(t *testing.T, s sampleFile) {
	t.Helper()
	before := bytes.Clone(s.payload.Body)
	numbers := slices.Clone(s.payload.Numbers)
	c := e.reader(t)
	first, firstErr := c.Decode(s.payload)
	check := func(who string, r parcel.Reading, err error) {
		t.Helper()
		if diff := cmp.Diff(first, r); diff != "" {
			t.Errorf("decoded %s, another reading: %s", who, diff)
		}
		if (err == nil) != (firstErr == nil) || err != nil && err.Error() != firstErr.Error() {
			t.Errorf("decoded %s, error %v, before %v", who, err, firstErr)
		}
	}
	again, err := c.Decode(s.payload)
	check("again", again, err)
	other := newClock()
	other.advance(1000 * time.Hour)
	elsewhere, err := e.open(t, nil, other, slog.New(slog.DiscardHandler)).Decode(s.payload)
	check("by another adapter at another time", elsewhere, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r, err := c.Decode(s.payload)
			check("beside others", r, err)
		})
	}
	wg.Wait()
	if !bytes.Equal(before, s.payload.Body) || !slices.Equal(numbers, s.payload.Numbers) {
		t.Error("Decode wrote to the payload")
	}
}

func (e *exam) testRedact(t *testing.T, s sampleFile) {
	t.Helper()
	c := e.reader(t)
	before := bytes.Clone(s.payload.Body)
	once := c.Redact(s.payload)
	if !bytes.Equal(before, s.payload.Body) {
		t.Error("Redact wrote to the payload it was given")
	}
	twice := c.Redact(once)
	if diff := cmp.Diff(once, twice); diff != "" {
		t.Errorf("redacted twice: %s", diff)
	}
	want, wantErr := c.Decode(s.payload)
	got, gotErr := c.Decode(once)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("redacted, another reading: %s", diff)
	}
	if (wantErr == nil) != (gotErr == nil) {
		t.Errorf("redacted, error %v, before %v", gotErr, wantErr)
	}
}

// testPersonal looks for the samples' personal strings after Redact, in the
// payloads and in what is read from them.
func (e *exam) testPersonal(t *testing.T) {
	t.Helper()
	c := e.reader(t)
	for _, person := range e.config.Personal {
		present := false
		for _, s := range e.samples {
			present = present || bytes.Contains(s.payload.Body, []byte(person))
			once := c.Redact(s.payload)
			if bytes.Contains(once.Body, []byte(person)) {
				t.Errorf("%s: %q is left after Redact", s.file, person)
			}
			r, err := c.Decode(once)
			told, goldenErr := goldenOf([]parcel.Reading{r}, nil)
			if goldenErr != nil {
				t.Fatal(goldenErr)
			}
			if bytes.Contains(told, []byte(person)) || err != nil && strings.Contains(err.Error(), person) {
				t.Errorf("%s: %q is in the reading", s.file, person)
			}
		}
		if !present {
			t.Errorf("exam.json: %q is in no sample", person)
		}
	}
}
