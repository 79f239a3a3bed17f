package dpdsftp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	firstFile  = "SCANINFO_BE0000_D20261025T133125_482913"
	secondFile = "SCANINFO_BE0000_D20261025T140125_482977"
	oldFile    = "SCANINFO_BE0000_D20261027T120125_483502" // ISO-8859-1, carriage returns

	delivered = "05308801554410"
	returned  = "05308801554427"
	abroad    = "05308801554434"
)

func account(t testing.TB, settings map[string]string) *dpd {
	t.Helper()
	c, err := spec().New(carriers.Env{Account: "main", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*dpd)
}

func sample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read takes a file the whole way: cut, redacted, decoded.
func read(t testing.TB, d *dpd, r io.Reader, file string) (out []parcel.Observation, faults []error) {
	t.Helper()
	for p, err := range d.Split(r, file) {
		if err != nil {
			faults = append(faults, err)
			continue
		}
		reading, err := d.Decode(d.Redact(p))
		if err != nil {
			t.Errorf("a payload that Split made: %v", err)
		}
		out = append(out, reading.Observations...)
	}
	return out, faults
}

func fold(observations []parcel.Observation, number string) parcel.Journey {
	var rows []parcel.Event
	for _, o := range observations {
		if o.Number == number {
			rows = append(rows, parcel.Event{Observation: o, EventKey: o.Key(), EventDigest: o.Digest()})
		}
	}
	return parcel.Fold(&parcel.Shipment{}, nil, rows)
}

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func TestSamples(t *testing.T) {
	d := account(t, nil)
	var all []parcel.Observation
	for _, step := range []struct {
		file   string
		rows   int
		faults []string
		// what each number's journey is after the file
		events    map[string]int
		outcome   map[string]parcel.Outcome
		open      map[string][]parcel.ExceptionKind
		firstWall map[string]string
		lastWall  map[string]string
	}{
		{file: firstFile, rows: 12,
			events:    map[string]int{delivered: 6, returned: 6},
			outcome:   map[string]parcel.Outcome{delivered: parcel.OutcomeDelivered},
			open:      map[string][]parcel.ExceptionKind{returned: {parcel.ExceptionReturning}},
			firstWall: map[string]string{delivered: "2026-10-20T19:15:00", returned: "2026-10-20T19:16:10"},
			lastWall:  map[string]string{delivered: "2026-10-21T13:44:06", returned: "2026-10-25T10:00:00"}},
		// An export that overlaps adds nothing, and its broken line is named.
		{file: secondFile, rows: 2, faults: []string{secondFile + ": line 4: 10 columns where the header has 32"},
			events:  map[string]int{delivered: 6, returned: 6},
			outcome: map[string]parcel.Outcome{delivered: parcel.OutcomeDelivered},
			open:    map[string][]parcel.ExceptionKind{returned: {parcel.ExceptionReturning}}},
		// 13 after 06, told by a later file: back with the sender.
		{file: oldFile, rows: 6,
			events:  map[string]int{delivered: 6, returned: 7, abroad: 4},
			outcome: map[string]parcel.Outcome{delivered: parcel.OutcomeDelivered, returned: parcel.OutcomeReturned, abroad: parcel.OutcomeDelivered}},
	} {
		t.Run(step.file, func(t *testing.T) {
			got, faults := read(t, d, bytes.NewReader(sample(t, step.file)), step.file)
			if len(got) != step.rows || len(faults) != len(step.faults) {
				t.Fatalf("%d rows, faults %v", len(got), faults)
			}
			for i, f := range faults {
				if !errors.Is(f, parcel.ErrMalformed) || !strings.Contains(f.Error(), step.faults[i]) {
					t.Errorf("fault %v, want %q", f, step.faults[i])
				}
			}
			all = append(all, got...)
			for number, want := range step.events {
				j := fold(all, number)
				if len(j.Events) != want || j.Outcome != step.outcome[number] {
					t.Errorf("%s: %d events, outcome %q; want %d, %q", number, len(j.Events), j.Outcome, want, step.outcome[number])
				}
				var open []parcel.ExceptionKind
				attempts := 0
				for _, x := range j.Exceptions {
					if x.Open() {
						open = append(open, x.Kind)
					}
					if x.Kind == parcel.ExceptionAttemptFailed {
						attempts++
					}
				}
				if diff := cmp.Diff(step.open[number], open); diff != "" || attempts > 1 {
					t.Errorf("%s: %d failed attempts, open exceptions (-want +got):\n%s", number, attempts, diff)
				}
				for want, at := range map[string]int{step.firstWall[number]: 0, step.lastWall[number]: len(j.Events) - 1} {
					if want != "" && j.Events[at].Occurred.Wall != want {
						t.Errorf("%s: event %d at %s, want %s", number, at, j.Events[at].Occurred.Wall, want)
					}
				}
			}
		})
	}
}

func TestZones(t *testing.T) {
	for _, tt := range []struct {
		name, number string
		settings     map[string]string
		at           string // of the first scan
		certainty    parcel.Certainty
		country      parcel.Country
	}{
		{"nothing is known", delivered, nil, "2026-10-20T19:15:00Z", parcel.CertaintyUnknown, ""},
		{"the depot's country", delivered, map[string]string{"depots": "053=BE, 0=DE,052=NL"}, "2026-10-20T17:15:00Z", parcel.CertaintyPlace, "BE"},
		{"another depot's", delivered, map[string]string{"depots": "9=GB"}, "2026-10-20T19:15:00Z", parcel.CertaintyUnknown, ""},
		{"the business unit's country", delivered, map[string]string{"country": "gb"}, "2026-10-20T18:15:00Z", parcel.CertaintyAssumed, ""},
		{"the consignee's, by letters", delivered, map[string]string{"country": "consignee"}, "2026-10-20T17:15:00Z", parcel.CertaintyAssumed, ""},
		{"the consignee's, by number", abroad, map[string]string{"country": "consignee"}, "2026-10-22T15:15:00Z", parcel.CertaintyAssumed, ""},
		{"the depot before the unit", delivered, map[string]string{"depots": "0530=PT", "country": "NL"}, "2026-10-20T18:15:00Z", parcel.CertaintyAssumed, "PT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := account(t, tt.settings)
			all, _ := read(t, d, bytes.NewReader(sample(t, firstFile)), firstFile)
			more, _ := read(t, d, bytes.NewReader(sample(t, oldFile)), oldFile)
			all = append(all, more...)
			o := all[slices.IndexFunc(all, func(o parcel.Observation) bool { return o.Number == tt.number })]
			if got := o.Occurred.At.Format(time.RFC3339); got != tt.at || o.Occurred.Certainty != tt.certainty || o.Place.Country != tt.country {
				t.Errorf("%s %s in %q, want %s %s in %q", got, o.Occurred.Certainty, o.Place.Country, tt.at, tt.certainty, tt.country)
			}
		})
	}
}

func TestOldEncoding(t *testing.T) {
	all, faults := read(t, account(t, nil), bytes.NewReader(sample(t, oldFile)), oldFile)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	type row struct {
		OwnCode, Words, City string
		Code                 parcel.Code
		Reason               parcel.Reason
	}
	var got []row
	for _, o := range all {
		got = append(got, row{o.OwnCode, o.Words, o.Place.City, o.Code, o.Reason})
	}
	want := []row{
		{"15", "", "", parcel.CodePickedUp, ""},
		{"14", "Wrong address: Straße 5", "", parcel.CodeAddressProblem, parcel.ReasonAddressIncorrect},
		{"23", "", "Kiosk Grün", parcel.CodeReadyForPickup, ""},
		{"13", "Handed to [redacted]", "", parcel.CodeDelivered, ""},
		{"13", "", "", parcel.CodeDelivered, ""},
		{"77", "SOMETHING NEW", "", parcel.CodeUnknown, ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReasonsOfAnAccount(t *testing.T) {
	for _, tt := range []struct {
		name, reasons string
		code          parcel.Code
		reason        parcel.Reason
	}{
		{"words", "", parcel.CodeDeliveryAttemptFailed, parcel.ReasonRecipientAbsent},
		{"the account's word first", "011=business_closed", parcel.CodeDeliveryAttemptFailed, parcel.ReasonBusinessClosed},
		{"a bad address is a problem of its own", "010=REFUSED, 011=ADDRESS_INCORRECT", parcel.CodeAddressProblem, parcel.ReasonAddressIncorrect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, _ := read(t, account(t, map[string]string{"reasons": tt.reasons}), bytes.NewReader(sample(t, firstFile)), firstFile)
			i := slices.IndexFunc(all, func(o parcel.Observation) bool { return o.OwnCode == "14" })
			if all[i].Code != tt.code || all[i].Reason != tt.reason {
				t.Errorf("%s %s, want %s %s", all[i].Code, all[i].Reason, tt.code, tt.reason)
			}
		})
	}
}

func TestContactsAndTheFuture(t *testing.T) {
	d := account(t, map[string]string{"country": "NL"})
	const body = "PARCELNO;SCAN_CODE;DEPOT_CODE;SCAN_DATE_TIME;RECEIVER_NAME;INFO_TEXT;LOCATION;\n" +
		"05308801554410;13;0522;20261021120000;A PERSON;GIVEN TO A PERSON, tel 020 555 0100;write to a.person@example.org;\n" +
		"05308801554410;13;0522;20261023120000;;;;\n"
	p := parcel.Payload{Kind: kindScan, Source: parcel.SourceFile, Body: []byte(body), ReceivedAt: time.Date(2026, 10, 21, 13, 0, 0, 0, time.UTC)}
	once := d.Redact(p)
	for _, gone := range []string{"A PERSON", "555", "example.org"} {
		if strings.Contains(string(once.Body), gone) {
			t.Errorf("%q is still there: %s", gone, once.Body)
		}
	}
	before, err1 := d.Decode(p)
	after, err2 := d.Decode(once)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("reading changed:\n%s", diff)
	}
	if len(after.Observations) != 1 || !errors.Is(err1, parcel.ErrMalformed) || !errors.Is(err2, parcel.ErrMalformed) || !strings.Contains(err2.Error(), "20261023120000 lies in the future") {
		t.Errorf("%d observations, %v", len(after.Observations), err2)
	}
}

func TestBadSettings(t *testing.T) {
	for setting, value := range map[string]string{"depots": "05=Holland", "country": "XX", "reasons": "011=WHY"} {
		_, err := spec().New(carriers.Env{Settings: map[string]string{setting: value}})
		if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "setting "+setting) {
			t.Errorf("%s: %s: %v", setting, value, err)
		}
	}
}

func TestSplit(t *testing.T) {
	const head = "PARCELNO;SCAN_CODE;DEPOT_CODE;SCAN_DATE_TIME;\n"
	const one, two = "05308801554410;05;0530;20261020191500;\n", "05308801554427;05;0530;20261020191610;\n"
	for _, tt := range []struct {
		name, file string
		payloads   []string // numbers, each with its lines
		faults     []string
	}{
		{"one payload for each parcel", head + one + two + strings.Replace(one, ";05;", ";02;", 1), []string{delivered + " 2", returned + " 1"}, nil},
		{"blank lines before the header", "\n\r\n" + head + one, []string{delivered + " 1"}, nil},
		{"byte order mark, carriage returns, blank lines", "\ufeff" + strings.ReplaceAll(head+"\n"+one+" \n"+two, "\n", "\r\n"), []string{delivered + " 1", returned + " 1"}, nil},
		{"columns in another order", "SCAN_DATE_TIME;NEW;DEPOT_CODE;parcelno;SCAN_CODE;\n20261020191500;x;0530;05308801554410;05;\n", []string{delivered + " 1"}, nil},
		{"too few columns", head + "05308801554410;05;0530\n" + two, []string{returned + " 1"}, []string{"line 2: 3 columns where the header has 5"}},
		{"cut off behind the last column", head + one + strings.TrimSuffix(two, ";\n"), []string{delivered + " 1"}, []string{"line 3: 4 columns"}},
		{"number of letters", head + strings.Replace(one, "0530880", "ABCDEFG", 1) + two, []string{returned + " 1"}, []string{`line 2: PARCELNO "ABCDEFG1554410", want 14 digits`}},
		{"thirteenth month", head + strings.Replace(one, "202610", "202613", 1) + two, []string{returned + " 1"}, []string{`line 2: SCAN_DATE_TIME "20261320191500"`}},
		{"no code", head + strings.Replace(one, ";05;", ";;", 1), nil, []string{"line 2: SCAN_CODE"}},
		{"endless line", head + strings.Repeat("x", 3*maxLine) + "\n" + two, []string{returned + " 1"}, []string{"line 2: more than 8192 bytes"}},
		{"no header", one + two, nil, []string{"line 1: no header of a scan file"}},
		{"a column twice", "PARCELNO;PARCELNO;\n", nil, []string{"line 1: column PARCELNO twice"}},
		{"nothing", "", nil, nil},
		{"header alone", head, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := account(t, nil)
			var payloads []string
			var faults []error
			for p, err := range d.Split(strings.NewReader(tt.file), "scans") {
				if err != nil {
					faults = append(faults, err)
					continue
				}
				r, err := d.Decode(p)
				if err != nil {
					t.Errorf("payload: %v", err)
				}
				payloads = append(payloads, r.Observations[0].Number+" "+string(rune('0'+len(r.Observations))))
				if p.Account != "main" || p.Source != parcel.SourceFile || len(p.Numbers) > 0 {
					t.Errorf("payload %+v", p)
				}
			}
			if diff := cmp.Diff(tt.payloads, payloads); diff != "" {
				t.Error(diff)
			}
			if len(faults) != len(tt.faults) {
				t.Fatalf("faults %v, want %v", faults, tt.faults)
			}
			for i, f := range faults {
				if !errors.Is(f, parcel.ErrMalformed) || !strings.Contains(f.Error(), "scans: "+tt.faults[i]) {
					t.Errorf("fault %v, want %q", f, tt.faults[i])
				}
			}
		})
	}
}

// A file of any length passes through in bounded groups; one that breaks off
// gives what came before, and why.
func TestSplitStreams(t *testing.T) {
	d := account(t, nil)
	var b strings.Builder
	b.WriteString("PARCELNO;SCAN_CODE;DEPOT_CODE;SCAN_DATE_TIME;\n")
	for range maxHeld + 10 {
		b.WriteString("05308801554410;05;0530;20261020191500;\n")
	}
	payloads, lines := 0, 0
	for p, err := range d.Split(strings.NewReader(b.String()), "long") {
		if err != nil {
			t.Fatal(err)
		}
		payloads++
		lines += bytes.Count(p.Body, []byte("\n")) - 1
	}
	if payloads != 2 || lines != maxHeld+10 {
		t.Errorf("%d payloads with %d lines", payloads, lines)
	}
	broken := io.MultiReader(strings.NewReader(b.String()[:200]), iotest.ErrReader(io.ErrUnexpectedEOF))
	all, faults := read(t, d, broken, "broken")
	if len(faults) != 1 || !errors.Is(faults[0], io.ErrUnexpectedEOF) || !errors.Is(faults[0], parcel.ErrUnavailable) || len(all) == 0 {
		t.Errorf("%d rows, faults %v", len(all), faults)
	}
}

func TestNumbersAreKnown(t *testing.T) {
	if c := identify.Identify(delivered); len(c) == 0 || c[0].Carrier != name {
		t.Errorf("identify: %+v", c)
	}
}

func FuzzSplit(f *testing.F) {
	for _, file := range []string{firstFile, secondFile, oldFile} {
		f.Add(sample(f, file))
	}
	d := account(f, map[string]string{"depots": "05=BE", "country": "consignee", "reasons": "011=REFUSED"})
	f.Fuzz(func(t *testing.T, file []byte) {
		for p, err := range d.Split(bytes.NewReader(file), "fuzz") {
			if err != nil {
				continue
			}
			r, err := d.Decode(p)
			if err != nil || len(r.Observations) == 0 {
				t.Errorf("a payload that Split made: %d observations, %v", len(r.Observations), err)
			}
			for _, o := range r.Observations {
				if len(o.Number) != numberDigits || o.OwnCode == "" || o.Occurred.IsZero() {
					t.Errorf("half an observation: %+v", o)
				}
			}
			clean := d.Redact(p)
			again, _ := d.Decode(clean)
			if diff := cmp.Diff(r, again); diff != "" {
				t.Errorf("redaction changes the reading (-before +after):\n%s", diff)
			}
			if twice := d.Redact(clean); !bytes.Equal(twice.Body, clean.Body) {
				t.Errorf("redacting twice changes more: %q, %q", clean.Body, twice.Body)
			}
		}
	})
}
