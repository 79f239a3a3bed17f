package upupostal

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestExam(t *testing.T) { carriertest.Run(t, name) }

func adapter(t *testing.T, settings map[string]string) *carrier {
	t.Helper()
	c, err := open(carriers.Env{Account: "test", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sample(t *testing.T, file string) parcel.Payload {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	kind := kindREST
	if strings.HasSuffix(file, ".edi") {
		kind = kindFile
	}
	return parcel.Payload{Carrier: name, Kind: kind, Body: body}
}

// TestSamples holds every sample to what it is known to tell.
func TestSamples(t *testing.T) {
	for _, tt := range []struct {
		file, number, first, last string
		events                    int
		highest                   parcel.Milestone
		lastCode                  parcel.Code
		estimates                 []parcel.Estimate
	}{
		{
			file: "ptt-journey-delivered.json", number: "LZ741203656CN", events: 13, highest: parcel.MilestoneDelivered,
			first: "2026-10-13T11:12:00", last: "2026-10-24T15:46:00", lastCode: parcel.CodeDelivered,
		},
		{
			file: "ptt-journey-server-offset.json", number: "LZ741203656CN", events: 13, highest: parcel.MilestoneDelivered,
			first: "2026-10-13T11:12:00", last: "2026-10-24T15:46:00", lastCode: parcel.CodeDelivered,
		},
		{
			file: "ptt-exception-unsuccessful.json", number: "RB518204731CN", events: 5, highest: parcel.MilestoneReadyForPickup,
			first: "2026-10-12T16:20:00", last: "2026-10-26T15:00:00", lastCode: parcel.CodeDeliveryAttemptFailed,
			estimates: []parcel.Estimate{{Number: "RB518204731CN", Earliest: "2026-10-27", Last: "2026-10-27"}},
		},
		{
			file: "emsevt-reconstructed.edi", number: "LZ741203656CN", events: 6, highest: parcel.MilestoneDelivered,
			first: "2026-10-13T11:12:00", last: "2026-10-24T15:46:00", lastCode: parcel.CodeDelivered,
		},
		{
			file: "emsevt-reconstructed-exception.edi", number: "RB518204731CN", events: 1, highest: parcel.MilestoneOutForDelivery,
			first: "2026-10-26T15:00:00", last: "2026-10-26T15:00:00", lastCode: parcel.CodeDeliveryAttemptFailed,
		},
	} {
		t.Run(tt.file, func(t *testing.T) {
			r, err := adapter(t, nil).Decode(sample(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Observations) != tt.events {
				t.Fatalf("%d events, want %d", len(r.Observations), tt.events)
			}
			var highest parcel.Milestone
			for _, o := range r.Observations {
				if o.Number != tt.number || o.Occurred.Certainty != parcel.CertaintyUnknown {
					t.Errorf("%s %s: certainty %s", o.Number, o.OwnCode, o.Occurred.Certainty)
				}
				if m := o.Code.Proves(); m.Rank() > highest.Rank() {
					highest = m
				}
			}
			first, last := r.Observations[0], r.Observations[tt.events-1]
			if first.Occurred.Wall != tt.first || last.Occurred.Wall != tt.last || last.Code != tt.lastCode || highest != tt.highest {
				t.Errorf("first %s, last %s %s, highest %s", first.Occurred.Wall, last.Occurred.Wall, last.Code, highest)
			}
			if diff := cmp.Diff(tt.estimates, r.Estimates); diff != "" {
				t.Errorf("estimates: %s", diff)
			}
		})
	}
}

// TestTheSameEventsByWhicheverWay is the promise that neither the server's
// offset nor the form of the message makes an event another one.
func TestTheSameEventsByWhicheverWay(t *testing.T) {
	c := adapter(t, nil)
	read := func(file string) (keys map[string]string, all []parcel.Observation) {
		r, err := c.Decode(sample(t, file))
		if err != nil {
			t.Fatal(err)
		}
		keys = map[string]string{}
		for _, o := range r.Observations {
			keys[o.Key()] = o.OwnCode + " " + o.Occurred.Wall
		}
		return keys, r.Observations
	}
	local, inLocal := read("ptt-journey-delivered.json")
	server, inServer := read("ptt-journey-server-offset.json")
	if diff := cmp.Diff(local, server); diff != "" {
		t.Errorf("server offset changes the events: %s", diff)
	}
	for i := range inLocal {
		if !inLocal[i].Occurred.At.Equal(inServer[i].Occurred.At) {
			t.Errorf("%s: best instants %s and %s", inLocal[i].OwnCode, inLocal[i].Occurred.At, inServer[i].Occurred.At)
		}
	}
	file, _ := read("emsevt-reconstructed.edi")
	for key, what := range file {
		if local[key] != what {
			t.Errorf("%s of the file is not among those of the service", what)
		}
	}
	service, _ := read("ptt-exception-unsuccessful.json")
	exception, _ := read("emsevt-reconstructed-exception.edi")
	for key, what := range exception {
		if service[key] != what {
			t.Errorf("%s of the file is not among those of the service", what)
		}
	}
}

// TestBestInstant checks the guess: the wall clock in the zone of the place,
// although nobody vouches for it.
func TestBestInstant(t *testing.T) {
	r, err := adapter(t, nil).Decode(sample(t, "ptt-journey-server-offset.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code, at, zone string
		place          parcel.Place
	}{
		{"EMA", "2026-10-13T03:12:00Z", "Asia/Shanghai", parcel.Place{Country: "CN", City: "SHENZHEN"}},
		{"EMD", "2026-10-21T21:40:00Z", "America/Chicago", parcel.Place{Country: "US", City: "Chicago", Facility: "USCHIA", Unlocode: "USCHI", TimeZone: "America/Chicago"}},
		{"EMI", "2026-10-24T20:46:00Z", "America/Chicago", parcel.Place{Country: "US", Postcode: "60616"}},
	} {
		found := false
		for _, o := range r.Observations {
			if o.OwnCode != tt.code {
				continue
			}
			found = true
			if got := o.Occurred.At.Format(time.RFC3339); got != tt.at || o.Occurred.Zone != tt.zone {
				t.Errorf("%s: %s in %q, want %s in %s", tt.code, got, o.Occurred.Zone, tt.at, tt.zone)
			}
			if diff := cmp.Diff(tt.place, o.Place); diff != "" {
				t.Errorf("%s: %s", tt.code, diff)
			}
		}
		if !found {
			t.Errorf("no %s", tt.code)
		}
	}
}

func TestCountryOfAPostcodeFollowsTheItem(t *testing.T) {
	body := `[{"ID":"LZ741203656CN","OriginCountryCd":"CN","DestinationCountryCd":"US","Events":[
	 {"EventCd":"EMA","EventDT":"2026-10-13T11:12:00","EventLocation":"518000"},
	 {"EventCd":"EMC","EventDT":"2026-10-18T20:10:00","EventLocation":"CNSHAA"},
	 {"EventCd":"EMG","EventDT":"2026-10-22T11:12:00","EventLocation":"60616"},
	 {"EventCd":"EMC","EventDT":"2026-11-02T20:10:00","EventLocation":"USCHIA"},
	 {"EventCd":"EMI","EventDT":"2026-11-12T20:10:00","EventLocation":"518000"}]}]`
	r, err := adapter(t, nil).Decode(parcel.Payload{Kind: kindREST, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	var got []parcel.Country
	for _, o := range r.Observations {
		got = append(got, o.Place.Country)
	}
	if diff := cmp.Diff([]parcel.Country{"CN", "CN", "US", "US", "CN"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestPostingBeginsAnotherItem: numbers are used again, and one payload tells of
// both items.
func TestPostingBeginsAnotherItem(t *testing.T) {
	w := way{origin: "CN", destination: "RU"}
	for _, step := range []struct {
		code, location string
		want           parcel.Country
	}{
		{"EMA", "518000", "CN"}, {"EMC", "CNCANA", "CN"}, {"EDH", "101000", "RU"}, {"EMI", "101000", "RU"},
		{"EMA", "518000", "CN"}, {"EMC", "CNCANA", "CN"}, {"EMI", "101000", "RU"},
	} {
		if got := w.place(step.code, step.location); got.Country != step.want {
			t.Errorf("%s at %s is in %q, want %s", step.code, step.location, got.Country, step.want)
		}
	}
}

func TestForms(t *testing.T) {
	const asked = "LZ741203656CN"
	unknown := []parcel.NumberResult{{Number: asked, Finding: parcel.FindingUnknown}}
	found := []parcel.NumberResult{{Number: asked, Finding: parcel.FindingFound}}
	for _, tt := range []struct {
		name, body string
		results    []parcel.NumberResult
		events     []string // own code and wall clock
		fault      string
	}{
		{name: "not found, 1", body: "1\n", results: unknown},
		{name: "not found, empty", body: "", results: unknown},
		{name: "not found, byte order mark", body: "\ufeff", results: unknown},
		{name: "not found, empty list", body: "[]", results: unknown},
		{name: "known, nothing said", body: `[{"ID":"LZ741203656CN","Events":[]}]`, results: unknown},
		{name: "bare object", body: `{"ID":"LZ741203656CN","Events":[{"EventCd":"ema","EventDT":"/Date(1791882720000+0200)/"}]}`, results: found, events: []string{"EMA 2026-10-13T11:12:00"}},
		{name: "flat records", body: `[{"EventCode":"EMA","EventDate":"2026-10-13T11:12:00+02:00"},{"EventCode":"EMC","EventDate":"2026-10-18T20:10:00.5"}]`, results: found, events: []string{"EMA 2026-10-13T11:12:00", "EMC 2026-10-18T20:10:00.5"}},
		{name: "no offset", body: `[{"ID":"LZ741203656CN","Events":[{"EventCd":"EMA","EventDT":"/Date(1791889920000)/"}]}]`, results: found, events: []string{"EMA 2026-10-13T11:12:00"}},
		{name: "bad event apart", body: `[{"ID":"LZ741203656CN","Events":[{"EventCd":"EMA","EventDT":"soon"},7,{"EventCd":"EMC","EventDT":"2026-10-18T20:10"}]}]`, results: found, events: []string{"EMC 2026-10-18T20:10:00"}, fault: "event 0"},
		{name: "code nobody mapped", body: `[{"ID":"LZ741203656CN","Events":[{"EventCd":"EZZ","EventNm":"New &amp; strange","EventDT":"2026-10-18T20:10"}]}]`, results: found, events: []string{"EZZ 2026-10-18T20:10:00"}},
		{name: "another number", body: `[{"ID":"RB518204731CN","Events":[{"EventCd":"EMA","EventDT":"2026-10-18T20:10"}]}]`, results: append(unknown[:1:1], parcel.NumberResult{Number: "RB518204731CN", Finding: parcel.FindingFound}), events: []string{"EMA 2026-10-18T20:10:00"}},
		{name: "cut off", body: `[{"ID":"LZ741203656CN","Events":[`, fault: "malformed"},
		{name: "fields of other names", body: `[{"ItemID":"LZ741203656CN","Scans":[{"Code":"EMA","At":"2026-10-18T20:10"}]}]`, fault: "item 0: neither number nor event"},
		{name: "another bare number", body: `2`, fault: "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := adapter(t, nil).Decode(parcel.Payload{Kind: kindREST, Body: []byte(tt.body), Numbers: []string{asked}})
			if (err != nil) != (tt.fault != "") || err != nil && (!errors.Is(err, parcel.ErrMalformed) || !strings.Contains(err.Error(), tt.fault)) {
				t.Errorf("error %v, want %q", err, tt.fault)
			}
			if diff := cmp.Diff(tt.results, r.Results); diff != "" {
				t.Errorf("results: %s", diff)
			}
			var events []string
			for _, o := range r.Observations {
				events = append(events, o.OwnCode+" "+o.Occurred.Wall)
			}
			if diff := cmp.Diff(tt.events, events); diff != "" {
				t.Errorf("events: %s", diff)
			}
		})
	}
}

func TestUnmappedCodeKeepsWhatWasSaid(t *testing.T) {
	r, err := adapter(t, nil).Decode(parcel.Payload{Kind: kindREST, Body: []byte(`[{"ID":"LZ741203656CN","Events":[{"EventCd":"EZZ","EventNm":"New &amp; strange","EventDT":"2026-10-18T20:10"}]}]`)})
	if err != nil {
		t.Fatal(err)
	}
	o := r.Observations[0]
	if o.Code != parcel.CodeUnknown || o.OwnCode != "EZZ" || o.Words != "New & strange" || o.Language != "en" {
		t.Errorf("got %+v", o)
	}
}

func TestReasonsAndActionsOfAnAccount(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings map[string]string
		code     parcel.Code
		reason   parcel.Reason
	}{
		{"nothing said", nil, parcel.CodeDeliveryAttemptFailed, ""},
		{"reason is the address", map[string]string{settingAddressReasons: "9, 10"}, parcel.CodeAddressProblem, parcel.ReasonAddressIncorrect},
		{"action is the return", map[string]string{settingAddressReasons: "10", settingReturnActions: "B"}, parcel.CodeReturnStarted, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := adapter(t, tt.settings).Decode(sample(t, "emsevt-reconstructed-exception.edi"))
			if err != nil {
				t.Fatal(err)
			}
			if o := r.Observations[0]; o.Code != tt.code || o.Reason != tt.reason || o.OwnCode != "EMH" {
				t.Errorf("%s %s, own code %s", o.Code, o.Reason, o.OwnCode)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	const head = "UNB+UNOA:1+CN101+GW901+261024:2005+1'\nUNH+1+EMSEVT:3:0:UP'\n"
	const first = "GID+1'\nPCI++LZ741203656CN'\nSTS+EMA'\nDTM+334:20261013111200:204'\nLOC+14+CNSZXA'\n"
	const second = "GID+2'\nPCI++RB518204731CN'\nSTS+EMC'\nDTM+334:202610132010:203'\n"
	const tail = "UNT+9+1'\nUNZ+1+1'\n"
	for _, tt := range []struct {
		name, file string
		payloads   []string // number and own codes
		faults     []string
	}{
		{"one payload for each item", head + first + second + first + tail, []string{"LZ741203656CN EMA EMA", "RB518204731CN EMC"}, nil},
		{"one line", strings.ReplaceAll(head+first+tail, "\n", ""), []string{"LZ741203656CN EMA"}, nil},
		{"carriage returns", strings.ReplaceAll(head+first+tail, "\n", "\r\n"), []string{"LZ741203656CN EMA"}, nil},
		{"own separators", "UNA|!.? ~UNB!U~UNH!1!EMSEVT|3|0|UP~GID!1~PCI!!LZ741203656CN~STS!EMA~DTM!334|20261013111200|204~UNT!1!1~UNZ!1!1~", []string{"LZ741203656CN EMA"}, nil},
		{"two events of one item", head + "GID+1'PCI++LZ741203656CN'STS+EMD'DTM+334:20261013111200:204'STS+EDB'DTM+334:20261013111300:204'" + tail, []string{"LZ741203656CN EMD EDB"}, nil},
		{"rubbish between segments", head + first[:7] + "\x00%% rubbish\n" + first[7:] + second + tail, []string{"LZ741203656CN EMA", "RB518204731CN EMC"}, []string{"line 4: not a segment"}},
		{"rubbish with an end", head + "rubbish'\n" + first + tail, []string{"LZ741203656CN EMA"}, []string{"line 3: not a segment"}},
		{"segment without an end", head + strings.Replace(first, "EMA'", "EMA", 1) + second + tail, []string{"RB518204731CN EMC"}, []string{"line 5: not a segment", "line 3: LZ741203656CN: no status"}},
		{"no number", head + strings.Replace(first, "PCI", "PCX", 1) + second + tail, []string{"RB518204731CN EMC"}, []string{"line 3: item without a number"}},
		{"bad time", head + strings.Replace(first, "20261013111200", "20261313111200", 1) + second + tail, []string{"RB518204731CN EMC"}, []string{"line 5: LZ741203656CN: time"}},
		{"unknown form of time", head + strings.Replace(first, ":204", ":999", 1) + second + tail, []string{"RB518204731CN EMC"}, []string{"format \"999\""}},
		{"no time", head + "GID+1'PCI++LZ741203656CN'STS+EMA'" + tail, nil, []string{"line 3: LZ741203656CN: time"}},
		{"half-written", head + first + "GID+2'\nPCI++RB5182", []string{"LZ741203656CN EMA"}, []string{"segment without an end", "line 8: item without a number", "without UNZ"}},
		{"other message", strings.Replace(head, "EMSEVT", "PREDES", 1) + first + "UNT+1+1'\nUNH+2+EMSEVT:3:0'\n" + second + tail, []string{"RB518204731CN EMC"}, []string{`"PREDES" is not EMSEVT`}},
		{"two interchanges", head + first + tail + head + second + tail, []string{"LZ741203656CN EMA", "RB518204731CN EMC"}, nil},
		{"endless segment", head + "FTX+" + strings.Repeat("x", 20_000) + "'\n" + first + tail, []string{"LZ741203656CN EMA"}, []string{"line 3: segment of more than"}},
		{"released separator", head + "FTX+it?'s?+all'\n" + first + tail, []string{"LZ741203656CN EMA"}, nil},
		{"nothing", "", nil, []string{"without UNZ"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := adapter(t, nil)
			var payloads []string
			var faults []error
			for p, err := range c.Split(strings.NewReader(tt.file), "EVT.edi") {
				if err != nil {
					faults = append(faults, err)
					continue
				}
				r, err := c.Decode(p)
				if err != nil {
					t.Errorf("payload: %v", err)
				}
				line := ""
				for i, o := range r.Observations {
					if i == 0 {
						line = o.Number
					}
					line += " " + o.OwnCode
				}
				payloads = append(payloads, line)
			}
			if diff := cmp.Diff(tt.payloads, payloads); diff != "" {
				t.Error(diff)
			}
			if len(faults) != len(tt.faults) {
				t.Fatalf("faults %v, want %d", faults, len(tt.faults))
			}
			for i, f := range faults {
				if !errors.Is(f, parcel.ErrMalformed) || !strings.Contains(f.Error(), tt.faults[i]) || !strings.Contains(f.Error(), "EVT.edi") {
					t.Errorf("fault %v, want %q", f, tt.faults[i])
				}
			}
		})
	}
}

func TestSplitStopsWhenTold(t *testing.T) {
	for range adapter(t, nil).Split(bytes.NewReader(sample(t, "emsevt-reconstructed.edi").Body), "x") {
		break
	}
	for range adapter(t, nil).Split(strings.NewReader("rubbish'rubbish'"), "x") {
		break
	}
}

func TestRedact(t *testing.T) {
	c := adapter(t, nil)
	rest := parcel.Payload{Kind: kindREST, Body: []byte(`[{"ID":"LZ741203656CN","Events":[{"EventCd":"EMI","EventDT":"2026-10-24T15:46","SignatureName":"J. SMITH"}]}]`)}
	file := parcel.Payload{Kind: kindFile, Body: []byte("UNB+U'UNH+1+EMSEVT:3:0'GID+1'NAD+CN+++J SMITH'PCI++LZ741203656CN'STS+EMI'DTM+334:20261024154600:204'")}
	for _, p := range []parcel.Payload{rest, file} {
		before, err := c.Decode(p)
		if err != nil {
			t.Fatal(err)
		}
		redacted := c.Redact(p)
		if bytes.Contains(redacted.Body, []byte("SMITH")) {
			t.Errorf("%s", redacted.Body)
		}
		after, err := c.Decode(redacted)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
		if again := c.Redact(redacted); !bytes.Equal(again.Body, redacted.Body) {
			t.Errorf("again: %s", again.Body)
		}
	}
}

// TestKeyStaysSecret looks for the key, which travels in the path, in every
// error and log line that failing calls leave behind.
func TestKeyStaysSecret(t *testing.T) {
	const key = "SECRET-key/with+signs"
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		kind    error
	}{
		{"denied", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, parcel.ErrDenied},
		{"failing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, parcel.ErrUnavailable},
		{"hanging up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, parcel.ErrUnavailable},
		{"sent elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid"+r.URL.Path, http.StatusFound)
		}, parcel.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent atomic.Value
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.Store(r.URL.Path)
				tt.handler(w, r)
			}))
			defer server.Close()
			var log bytes.Buffer
			c, err := open(carriers.Env{
				BaseURL: server.URL + "/base", Settings: map[string]string{settingKey: key}, HTTP: server.Client(),
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err = c.Fetch(ctx, []carriers.Query{{Number: "lz 741 203 656 cn"}})
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), "LZ741203656CN") {
				t.Errorf("got %v, want kind %v", err, tt.kind)
			}
			if want := "/base/rest/itemTTExt/LZ741203656CN/" + key; sent.Load() != want {
				t.Errorf("asked for %q, want %q", sent.Load(), want)
			}
			if out := err.Error() + log.String(); strings.Contains(out, "SECRET") {
				t.Errorf("key shows in %s", out)
			}
		})
	}
}

func TestFetchWithoutAKey(t *testing.T) {
	if _, err := adapter(t, nil).Fetch(t.Context(), []carriers.Query{{Number: "LZ741203656CN"}}); !errors.Is(err, carriers.ErrNoAccount) {
		t.Errorf("got %v, want ErrNoAccount", err)
	}
}

func TestBadBaseURL(t *testing.T) {
	for _, base := range []string{"://", "no-host", "%zz"} {
		if _, err := open(carriers.Env{BaseURL: base}); !errors.Is(err, parcel.ErrInvalid) {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	c, err := open(carriers.Env{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{kindREST, kindFile} {
			p := parcel.Payload{Kind: kind, Body: body, Numbers: []string{"LZ741203656CN"}}
			r, _ := c.Decode(p)
			for _, o := range r.Observations {
				if !o.Code.Valid() || o.Number == "" || o.Occurred.Wall == "" {
					t.Errorf("%s: %+v", kind, o)
				}
			}
			once := c.Redact(p)
			if again := c.Redact(once); !bytes.Equal(again.Body, once.Body) {
				t.Errorf("%s: redacted twice: %q, %q", kind, once.Body, again.Body)
			}
		}
		for p := range c.Split(bytes.NewReader(body), "x") {
			_, _ = c.Decode(p)
		}
	})
}
