package carriertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// rig is an adapter in front of its own fake, with everything it says kept.
type rig struct {
	exam    *exam
	clock   *ruleClock
	door    *door
	fake    carriers.Fake
	carrier carriers.Carrier
	fetcher carriers.Fetcher // nil if it cannot be asked
	log     *lockedBuffer

	mu       sync.Mutex
	journeys map[string]carriers.FakeHistory
}

// lockedBuffer takes log lines from many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (e *exam) newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{exam: e, clock: newClock(), log: &lockedBuffer{}, journeys: map[string]carriers.FakeHistory{}}
	r.fake = e.spec.Fake(carriers.FakeEnv{
		Settings: maps.Clone(e.settings), Now: r.clock.Now,
		Journeys: func(number string) (carriers.FakeHistory, bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			h, ok := r.journeys[number]
			return h, ok
		},
	})
	r.door = newDoor(r.fake)
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.carrier = e.open(t, r.door.client(), r.clock, log)
	r.fetcher, _ = r.carrier.(carriers.Fetcher)
	return r
}

func (r *rig) put(number string, h carriers.FakeHistory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.journeys[number] = h
}

// closing checks what must hold whatever was tried: no other host was called,
// and no secret shows.
func (r *rig) closing(t *testing.T, errs ...error) {
	t.Helper()
	if hosts := r.door.elsewhere(); len(hosts) > 0 {
		t.Errorf("called %v, which are not the carrier", hosts)
	}
	for _, secret := range r.exam.secrets() {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log shows %q:\n%s", secret, r.log.String())
		}
		for _, err := range errs {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("an error shows %q: %v", secret, err)
			}
		}
	}
}

// ask fetches and decodes until there is an answer: carriers that hand out
// tickets are asked again when they say so, which takes no time here.
func (r *rig) ask(ctx context.Context, numbers ...string) (parcel.Reading, error) {
	var all parcel.Reading
	for range 6 {
		reading, err := r.askOnce(ctx, numbers...)
		if th, ok := errors.AsType[*parcel.Throttled](err); ok && th.RetryAfter > 0 {
			r.clock.advance(th.RetryAfter)
			continue
		}
		all.Observations = append(all.Observations, reading.Observations...)
		all.Results = append(all.Results, reading.Results...)
		all.Aliases = append(all.Aliases, reading.Aliases...)
		all.Estimates = append(all.Estimates, reading.Estimates...)
		if err != nil || reading.RetryAfter == 0 {
			return all, err
		}
		r.clock.advance(reading.RetryAfter)
	}
	return all, errors.New("no answer after six rounds")
}

// askOnce joins what Fetch and Decode say.
func (r *rig) askOnce(ctx context.Context, numbers ...string) (parcel.Reading, error) {
	queries := make([]carriers.Query, len(numbers))
	for i, n := range numbers {
		queries[i] = carriers.Query{Number: n, Postcode: r.exam.lane().postcode}
	}
	payloads, err := r.fetcher.Fetch(ctx, queries)
	var all parcel.Reading
	errs := []error{err}
	for _, p := range payloads {
		if fault := r.exam.payloadFault(p); fault != "" {
			errs = append(errs, errors.New("payload: "+fault))
		}
		reading, err := r.carrier.Decode(r.carrier.Redact(p))
		errs = append(errs, err)
		all.Observations = append(all.Observations, reading.Observations...)
		all.Results = append(all.Results, reading.Results...)
		all.Aliases = append(all.Aliases, reading.Aliases...)
		all.Estimates = append(all.Estimates, reading.Estimates...)
		all.RetryAfter = max(all.RetryAfter, reading.RetryAfter)
	}
	return all, errors.Join(errs...)
}

func (e *exam) payloadFault(p parcel.Payload) string {
	switch known := slices.ContainsFunc(e.spec.Kinds, func(k carriers.PayloadKind) bool { return k.Name == p.Kind }); {
	case p.Carrier != e.spec.Name || p.Account != "exam":
		return fmt.Sprintf("carrier %q, account %q", p.Carrier, p.Account)
	case !known:
		return fmt.Sprintf("kind %q is none of the spec's", p.Kind)
	case p.Source != parcel.SourcePoll:
		return fmt.Sprintf("source %q", p.Source)
	case len(p.Numbers) == 0:
		return "no numbers"
	}
	for _, secret := range e.secrets() {
		if bytes.Contains(p.Body, []byte(secret)) {
			return "body shows a secret"
		}
	}
	return ""
}

// lane is where the exam's parcels go: to the carrier's home, or to Brazil
// from a carrier at home in China or nowhere.
type lane struct {
	destination parcel.Country
	postcode    string
	there       parcel.Place
}

func (e *exam) lane() lane {
	switch e.spec.Country {
	case "RU":
		return lane{"RU", "101000", parcel.Place{Country: "RU", City: "Moscow", Postcode: "101000"}}
	case "US":
		return lane{"US", "10001", parcel.Place{Country: "US", Region: "NY", City: "New York", Postcode: "10001"}}
	case "DE":
		return lane{"DE", "04103", parcel.Place{Country: "DE", City: "Leipzig", Postcode: "04103"}}
	case "FR":
		return lane{"FR", "75001", parcel.Place{Country: "FR", City: "Paris", Postcode: "75001"}}
	case "AU":
		return lane{"AU", "3000", parcel.Place{Country: "AU", Region: "VIC", City: "Melbourne", Postcode: "3000"}}
	case "GB":
		return lane{"GB", "EC1A 1BB", parcel.Place{Country: "GB", City: "London", Postcode: "EC1A 1BB"}}
	case "CA":
		return lane{"CA", "M5V 2T6", parcel.Place{Country: "CA", Region: "ON", City: "Toronto", Postcode: "M5V 2T6"}}
	}
	return lane{"BR", "01310-100", parcel.Place{Country: "BR", Region: "SP", City: "Sao Paulo", Postcode: "01310-100"}}
}

// history is a simulated journey of these codes, a scan every seven hours and
// some, in whole minutes as the coarsest carriers write them.
func (e *exam) history(codes ...parcel.Code) carriers.FakeHistory {
	l := e.lane()
	h := carriers.FakeHistory{Origin: "CN", Destination: l.destination, Postcode: l.postcode}
	at := time.Date(2026, 11, 2, 1, 7, 0, 0, time.UTC)
	for _, code := range codes {
		h.Scans = append(h.Scans, carriers.FakeScan{Code: code, At: at, Place: l.place(code)})
		at = at.Add(7*time.Hour + 11*time.Minute)
	}
	return h
}

func (l lane) place(code parcel.Code) parcel.Place {
	switch code {
	case parcel.CodeTransitCountryArrived, parcel.CodeTransitCountryDeparted:
		return parcel.Place{Country: "TR", City: "Istanbul"}
	case parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsHeld, parcel.CodeExportCustomsReleased,
		parcel.CodeExportExchangeArrived, parcel.CodeHandedToLinehaul, parcel.CodeOriginCountryDeparted,
		parcel.CodeCancelled, parcel.CodeReturned:
		return parcel.Place{Country: "CN", City: "Shenzhen", Postcode: "518000"}
	}
	if s := code.Stage(); s == parcel.StageWarehouse || s == parcel.StageFirstMile {
		return parcel.Place{Country: "CN", City: "Shenzhen", Postcode: "518000"}
	}
	return l.there
}

// journey is the whole way of a parcel, as far as the fake has words for it.
func (e *exam) journey(f carriers.Fake) carriers.FakeHistory {
	speaks := f.Speaks()
	var codes []parcel.Code
	for _, code := range []parcel.Code{
		parcel.CodeInfoReceived, parcel.CodePickedUp, parcel.CodeOriginHubDeparted, parcel.CodeExportExchangeArrived,
		parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsReleased, parcel.CodeOriginCountryDeparted,
		parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsReleased,
		parcel.CodeDeliveryOfficeArrived, parcel.CodeOutForDelivery, parcel.CodeDelivered,
	} {
		if slices.Contains(speaks, code) {
			codes = append(codes, code)
		}
	}
	return e.history(codes...)
}

// testFetch asks the fake for what it knows and does not know.
func (e *exam) testFetch(t *testing.T) {
	if _, ok := e.reader(t).(carriers.Fetcher); !ok {
		t.Skip("cannot be asked")
	}
	number := e.known(t)
	t.Run("round trip", func(t *testing.T) { e.testRoundTrip(t, number) })
	t.Run("every code", func(t *testing.T) { e.testEveryCode(t, number) })
	t.Run("unknown number", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := e.newRig(t)
			reading, err := r.ask(t.Context(), number)
			if err != nil {
				t.Errorf("an unknown number is an answer, not an error: %v", err)
			}
			want := []parcel.NumberResult{{Number: parcel.NormalizeNumber(number), Finding: parcel.FindingUnknown}}
			if diff := cmp.Diff(want, withoutDetail(reading.Results)); diff != "" || len(reading.Observations) > 0 {
				t.Errorf("%d observations, results: %s", len(reading.Observations), diff)
			}
			r.closing(t, err)
		})
	})
	t.Run("batch", func(t *testing.T) { e.testBatch(t, number) })
	t.Run("wrong credentials", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := e.newRig(t)
			r.put(number, e.journey(r.fake))
			secrets := 0
			wrong := maps.Clone(e.settings)
			for _, s := range e.spec.Settings {
				if s.Secret && wrong[s.Name] != "" {
					wrong[s.Name] = wrongSecret(wrong[s.Name])
					secrets++
				}
			}
			if secrets == 0 {
				t.Skip("the carrier asks for no secret")
			}
			c, err := e.spec.New(carriers.Env{Account: "exam", BaseURL: doorURL, Settings: wrong, HTTP: r.door.client(), Wall: r.clock, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			r.carrier, r.fetcher = c, c.(carriers.Fetcher)
			reading, err := r.askOnce(t.Context(), number)
			if !errors.Is(err, parcel.ErrDenied) || len(reading.Observations) > 0 {
				t.Errorf("%d observations, error %v, want ErrDenied", len(reading.Observations), err)
			}
			r.closing(t, err)
		})
	})
}

// wrongSecret changes a secret and keeps its form.
func wrongSecret(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= '0' && c <= '8', c >= 'a' && c <= 'y', c >= 'A' && c <= 'Y':
			b[i] = c + 1
			return string(b)
		}
	}
	return s + "x"
}

func withoutDetail(results []parcel.NumberResult) []parcel.NumberResult {
	out := slices.Clone(results)
	for i := range out {
		out[i].Detail = ""
	}
	return out
}

func (e *exam) testRoundTrip(t *testing.T, number string) {
	synctest.Test(t, func(t *testing.T) {
		r := e.newRig(t)
		h := e.journey(r.fake)
		r.put(number, h)
		reading, err := r.ask(t.Context(), number)
		if err != nil {
			t.Fatal(err)
		}
		e.checkReading(t, reading)
		if diff := compareScans(number, h.Scans, reading.Observations); diff != "" {
			t.Error(diff)
		}
		found := []parcel.NumberResult{{Number: parcel.NormalizeNumber(number), Finding: parcel.FindingFound}}
		if diff := cmp.Diff(found, withoutDetail(reading.Results)); diff != "" {
			t.Errorf("results: %s", diff)
		}
		again, err := r.ask(t.Context(), number)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(keysOf(reading.Observations), keysOf(again.Observations)); diff != "" {
			t.Errorf("asked again, other events: %s", diff)
		}
		r.closing(t)
	})
}

func (e *exam) testEveryCode(t *testing.T, number string) {
	for _, code := range e.spec.Fake(carriers.FakeEnv{Settings: maps.Clone(e.settings), Now: newClock().Now, Journeys: nobody}).Speaks() {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := e.newRig(t)
				h := e.history(code)
				r.put(number, h)
				reading, err := r.ask(t.Context(), number)
				if err != nil {
					t.Fatal(err)
				}
				if diff := compareScans(number, h.Scans, reading.Observations); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// compareScans holds what was read to what the fake was told: the codes, of
// which each scan has another, and the times as far as the carrier can tell
// them. Order is the fold's business.
func compareScans(number string, scans []carriers.FakeScan, read []parcel.Observation) string {
	var want, got []string
	at := map[parcel.Code]parcel.Moment{}
	for _, s := range scans {
		want = append(want, fmt.Sprintf("%s %s", number, s.Code))
	}
	for _, o := range read {
		got = append(got, fmt.Sprintf("%s %s", o.Number, o.Code))
		at[o.Code] = o.Occurred
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		return diff
	}
	for _, s := range scans {
		m := at[s.Code]
		if s.At.Before(m.Earliest().Add(-time.Minute)) || s.At.After(m.Latest().Add(time.Minute)) {
			return fmt.Sprintf("%s happened at %s and reads as %s (%s, %s)", s.Code, s.At, m.At, m.Written(), m.Certainty)
		}
	}
	return ""
}

func keysOf(observations []parcel.Observation) []string {
	var out []string
	for _, o := range observations {
		out = append(out, o.Key())
	}
	slices.Sort(out)
	return out
}

// testBatch asks for as many numbers as one Fetch takes, and for one more.
func (e *exam) testBatch(t *testing.T, number string) {
	most := 120 // more tells no more
	if e.spec.Quota.Calls > 0 {
		// Carriers that take numbers one by one inside may need a call for each.
		most = min(most, e.spec.Quota.Calls/3)
	}
	if e.spec.Batch > most {
		synctest.Test(t, func(t *testing.T) { e.askMany(t, number, most) })
		return
	}
	synctest.Test(t, func(t *testing.T) { e.askMany(t, number, e.spec.Batch) })
	synctest.Test(t, func(t *testing.T) { e.askMany(t, number, e.spec.Batch+1) })
}

// askMany asks for n numbers of which every fifth is unknown. The fake refuses
// what is beyond the carrier's limit, so a batch that is too large must be
// split.
func (e *exam) askMany(t *testing.T, number string, n int) {
	r := e.newRig(t)
	numbers := variants(number, n)
	var want []parcel.NumberResult
	for i, v := range numbers {
		finding := parcel.FindingFound
		if i%5 == 4 {
			finding = parcel.FindingUnknown
		} else {
			r.put(v, e.journey(r.fake))
		}
		want = append(want, parcel.NumberResult{Number: parcel.NormalizeNumber(v), Finding: finding})
	}
	reading, err := r.ask(t.Context(), numbers...)
	if err != nil {
		t.Fatalf("%d numbers: %v", n, err)
	}
	byNumber := func(a, b parcel.NumberResult) int { return strings.Compare(a.Number, b.Number) }
	slices.SortFunc(want, byNumber)
	got := withoutDetail(reading.Results)
	slices.SortFunc(got, byNumber)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%d numbers, results: %s", n, diff)
	}
	r.closing(t)
}

// variants makes n numbers of the form of one: its longest run of digits
// counts.
func variants(number string, n int) []string {
	from, length := 0, 0
	for i := 0; i < len(number); {
		j := i
		for j < len(number) && number[j] >= '0' && number[j] <= '9' {
			j++
		}
		if j-i > length {
			from, length = i, j-i
		}
		i = max(j, i+1)
	}
	length = min(length, 9)
	out := make([]string, n)
	for i := range out {
		if length == 0 {
			out[i] = fmt.Sprintf("%s%03d", number, i)
			continue
		}
		out[i] = fmt.Sprintf("%s%0*d%s", number[:from], length, 1001+7*i, number[from+length:])
	}
	return out
}

var _ http.RoundTripper = (*door)(nil)
