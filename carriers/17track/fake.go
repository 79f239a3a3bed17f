package track17

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// fakeQuota is how many numbers the fake's account may register.
	fakeQuota = 1_000_000
	fakeBody  = 1 << 20
)

// fake is 17TRACK's side: it knows a number only after it was registered.
type fake struct {
	env       carriers.FakeEnv
	codes     carriers.Table
	providers providers

	mu         sync.Mutex
	registered map[string]bool
}

func newFake(env carriers.FakeEnv, codes carriers.Table, p providers) carriers.Fake {
	return &fake{env: env, codes: codes, providers: p, registered: map[string]bool{}}
}

// Speaks lists the codes that have a sub-status.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, r := range f.codes.Rows() {
		if r.Code != parcel.CodeUnknown && r.Code != parcel.CodeAwaitingCarrier && !slices.Contains(codes, r.Code) {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

// say finds the sub-status that says most of a scan, the first of equals.
func (f *fake) say(s carriers.FakeScan) carriers.Row {
	best, most := carriers.Row{Rule: "InTransit_Other"}, -1
	for _, r := range f.codes.Rows() {
		if r.Code != s.Code {
			continue
		}
		said := 0
		if r.Reason == s.Reason {
			said++
		}
		if said > most {
			best, most = r, said
		}
	}
	best.Rule = strings.TrimSuffix(best.Rule, atExport)
	return best
}

// Handler serves the API.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	path := "POST /track/" + cmp.Or(f.env.Settings["version"], defaultVersion) + "/"
	mux.HandleFunc(path+methodTrack, f.numbers(f.track))
	mux.HandleFunc(path+methodRegister, f.numbers(f.register))
	mux.HandleFunc(path+methodQuota, func(w http.ResponseWriter, r *http.Request) {
		if !f.allowed(w, r) {
			return
		}
		f.mu.Lock()
		used := len(f.registered)
		f.mu.Unlock()
		reply(w, http.StatusOK, codeOK, map[string]any{
			"quota_total": fakeQuota, "quota_used": used, "quota_remain": fakeQuota - used, "today_used": used, "max_track_daily": 0,
		})
	})
	return mux
}

func reply(w http.ResponseWriter, status int, code int, data any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "data": data}) // the caller hung up: nobody to tell
}

func refuse(w http.ResponseWriter, status, code int, words string) {
	reply(w, status, code, map[string]any{"errors": []any{map[string]any{"code": code, "message": words}}})
}

func (f *fake) allowed(w http.ResponseWriter, r *http.Request) bool {
	key := f.env.Settings["key"]
	if key == "" || !carrierkit.ConstantTimeEqual(r.Header.Get("17token"), key) {
		refuse(w, http.StatusUnauthorized, codeKey, "Invalid security key.")
		return false
	}
	return true
}

// numbers serves a method that takes a list of numbers: answer gives what is
// told of one, or why it is rejected.
func (f *fake) numbers(answer func(wanted) (told any, code int, why string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !f.allowed(w, r) {
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fakeBody))
		var asked []wanted
		if err != nil || json.Unmarshal(body, &asked) != nil || len(asked) == 0 {
			refuse(w, http.StatusOK, -18010013, "The submitted data is invalid.")
			return
		}
		if len(asked) > batchLimit {
			refuse(w, http.StatusOK, codeTooMany, fmt.Sprintf("Submit at most %d tracking numbers at a time.", batchLimit))
			return
		}
		accepted, rejected := []any{}, []any{}
		for _, a := range asked {
			told, code, why := answer(a)
			if len(a.Number) < 5 || len(a.Number) > 50 {
				code, why = -18010012, fmt.Sprintf("The format of '%s' is invalid.", a.Number)
			}
			if code != codeOK {
				rejected = append(rejected, map[string]any{"number": a.Number, "error": map[string]any{"code": code, "message": why}})
				continue
			}
			accepted = append(accepted, told)
		}
		reply(w, http.StatusOK, codeOK, map[string]any{"accepted": accepted, "rejected": rejected})
	}
}

func (f *fake) register(a wanted) (any, int, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.registered[a.Number]:
		return nil, codeRegistered, "The tracking number has been registered."
	case len(f.registered) >= fakeQuota:
		return nil, codeQuota, "Quota is not enough for use."
	}
	f.registered[a.Number] = true
	return map[string]any{"origin": 3, "number": a.Number, "carrier": 3011, "param": a.Param, "tag": nil}, codeOK, ""
}

func (f *fake) track(a wanted) (any, int, string) {
	f.mu.Lock()
	known := f.registered[a.Number]
	f.mu.Unlock()
	if !known {
		return nil, codeNotRegistered, "The tracking number has not been registered yet, please register it first."
	}
	h, ok := f.env.Journeys(a.Number)
	return f.item(a.Number, h, ok), codeOK, ""
}

// item is what 17TRACK tells about a number: the carrier of origin first, and
// from the first scan in the country of destination the carrier there.
func (f *fake) item(number string, h carriers.FakeHistory, known bool) map[string]any {
	status, sub := "NotFound", "NotFound_Other"
	var latest any
	ways := []*fakeProvider{{provider: f.postOf(h.Origin)}}
	for _, s := range h.Scans {
		if h.Destination != h.Origin && s.Place.Country == h.Destination && len(ways) == 1 {
			ways = append(ways, &fakeProvider{provider: f.lastMile(h)})
		}
		e := f.event(s)
		w := ways[len(ways)-1]
		if len(ways) == 2 && s.Place.Country == h.Origin {
			w = ways[0]
		}
		w.events = append(w.events, e)
		latest, sub = e, e["sub_status"].(string)
		status, _, _ = strings.Cut(sub, "_")
	}
	providers := []any{}
	for _, w := range ways {
		if len(w.events) == 0 {
			continue
		}
		slices.Reverse(w.events) // newest first
		providers = append(providers, map[string]any{
			"provider":           map[string]any{"key": w.key, "name": w.name, "alias": w.name, "country": w.country},
			"latest_sync_status": "Success", "events": w.events,
		})
	}
	misc := map[string]any{"local_number": nil, "local_provider": nil, "local_key": 0}
	if len(ways) == 2 {
		misc["local_provider"], misc["local_key"] = ways[1].name, ways[1].key
		if h.NextNumber != "" {
			misc["local_number"] = h.NextNumber
		}
	}
	due := map[string]any{"source": nil, "from": nil, "to": nil}
	if !h.Estimated.IsZero() {
		day := h.Estimated.UTC().Format(time.RFC3339)
		due = map[string]any{"source": "Official", "from": day, "to": day}
	}
	if !known {
		providers, latest = []any{}, nil
	}
	return map[string]any{
		"number": number, "carrier": ways[0].key, "param": nil, "tag": nil,
		"track_info": map[string]any{
			"shipping_info": map[string]any{"shipper_address": map[string]any{"country": h.Origin}, "recipient_address": map[string]any{"country": h.Destination}},
			"latest_status": map[string]any{"status": status, "sub_status": sub, "sub_status_descr": nil},
			"latest_event":  latest, "time_metrics": map[string]any{"estimated_delivery_date": due}, "milestone": []any{}, "misc_info": misc,
			"tracking": map[string]any{"providers_hash": len(h.Scans), "providers": providers},
		},
	}
}

type fakeProvider struct {
	provider
	events []map[string]any // oldest first
}

// postOf is the post of a country; a provider outside the table where it has
// none.
func (f *fake) postOf(c parcel.Country) provider {
	best := provider{key: 900000, country: c, name: "Local carrier"}
	for _, p := range f.providers {
		if p.country == c && c != "" && p.key < min(best.key, 100000) {
			best = p
		}
	}
	return best
}

func (f *fake) lastMile(h carriers.FakeHistory) provider {
	if p, ok := f.providers.of(h.NextCarrier, h.Destination); ok && h.NextCarrier != "" {
		p.country = cmp.Or(p.country, h.Destination)
		return p
	}
	return f.postOf(h.Destination)
}

func (f *fake) event(s carriers.FakeScan) map[string]any {
	row := f.say(s)
	local := s.At.UTC()
	if zone, _ := parcel.ZoneFor(s.Place); zone != "" {
		if loc, err := time.LoadLocation(zone); err == nil {
			local = s.At.In(loc)
		}
	}
	local = local.Truncate(time.Second)
	return map[string]any{
		"time_iso": local.Format(time.RFC3339), "time_utc": local.UTC().Format(time.RFC3339),
		"time_raw":    map[string]any{"date": local.Format(time.DateOnly), "time": local.Format(time.TimeOnly), "timezone": nil},
		"description": row.Doc, "location": cmp.Or(s.Place.Facility, s.Place.City), "stage": nil, "sub_status": row.Rule,
		"address": map[string]any{"country": s.Place.Country, "state": s.Place.Region, "city": s.Place.City, "postal_code": s.Place.Postcode},
	}
}

// Push makes the notice that follows the newest scan: the whole history, as
// always.
func (f *fake) Push(number string, h carriers.FakeHistory) (carriers.Delivery, bool) {
	if len(h.Scans) == 0 {
		return carriers.Delivery{}, false
	}
	body, err := json.Marshal(map[string]any{"event": "TRACKING_UPDATED", "data": f.item(number, h, true)})
	if err != nil {
		return carriers.Delivery{}, false // no value above can fail
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(cmp.Or(f.env.Settings["sign_header"], defaultHeader), signature(body, f.env.Settings["key"]))
	return carriers.Delivery{Header: header, Body: body}, true
}
