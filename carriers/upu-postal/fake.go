package upupostal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// fake is the operator service as the technology centre runs it: the key in
// the path, one number a call, a bare 1 for what it does not know, and times
// under the offset of its own server in Switzerland.
type fake struct {
	env   carriers.FakeEnv
	table carriers.Table
	zones carrierkit.Zones
}

func newFake(env carriers.FakeEnv) *fake { return &fake{env: env, table: newTable()} }

// Handler implements carriers.Fake.
func (f *fake) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rest/itemTTExt/{number}/{key}", f.item)
	return mux
}

// Push implements carriers.Fake: posts do not push.
func (f *fake) Push(string, carriers.FakeHistory) (carriers.Delivery, bool) {
	return carriers.Delivery{}, false
}

// Speaks implements carriers.Fake.
func (f *fake) Speaks() []parcel.Code {
	var codes []parcel.Code
	for _, row := range f.table.Rows() {
		if !slices.Contains(codes, row.Code) && len(row.Rule) == 3 {
			codes = append(codes, row.Code)
		}
	}
	return codes
}

type fakeItem struct {
	ID                                         string
	State                                      int
	OriginCountryCd, OriginCountryNm           string
	DestinationCountryCd, DestinationCountryNm string
	Events                                     []fakeEvent
}

type fakeEvent struct {
	EventCd, EventNm, EventDT, EventLocation string
}

func (f *fake) item(w http.ResponseWriter, r *http.Request) {
	if !carrierkit.ConstantTimeEqual(r.PathValue("key"), f.env.Settings[settingKey]) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"Message":"Access denied"}`)
		return
	}
	history, ok := f.env.Journeys(r.PathValue("number"))
	if !ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "1")
		return
	}
	item := fakeItem{
		ID: r.PathValue("number"), State: 1,
		OriginCountryCd: string(history.Origin), OriginCountryNm: history.Origin.Name(),
		DestinationCountryCd: string(history.Destination), DestinationCountryNm: history.Destination.Name(),
		Events: []fakeEvent{},
	}
	for _, scan := range history.Scans {
		row, ok := f.row(scan.Code)
		if !ok {
			continue
		}
		item.State = 2
		if scan.Code == parcel.CodeDelivered {
			item.State = 3
		}
		item.Events = append(item.Events, fakeEvent{
			EventCd: row.Rule, EventNm: row.Doc, EventDT: f.serverTime(scan.At, scan.Place), EventLocation: location(scan.Place),
		})
	}
	if !history.Estimated.IsZero() {
		item.Events = append(item.Events, fakeEvent{
			EventCd: estimateCode, EventNm: "Estimated delivery",
			EventDT: f.serverTime(history.Estimated, parcel.Place{Country: history.Destination}),
		})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if len(item.Events) == 0 {
		_, _ = io.WriteString(w, "[]")
		return
	}
	_ = json.NewEncoder(w).Encode([]fakeItem{item}) // a client that left is no concern of a post
}

// row is the carrier's code for a canonical one: the first in the table that
// stands for it.
func (f *fake) row(code parcel.Code) (carriers.Row, bool) {
	rows := f.table.Rows()
	i := slices.IndexFunc(rows, func(r carriers.Row) bool { return r.Code == code && len(r.Rule) == 3 })
	if i < 0 {
		return carriers.Row{}, false
	}
	return rows[i], true
}

// serverTime writes the clock face of the place as if it were the server's.
func (f *fake) serverTime(at time.Time, place parcel.Place) string {
	zone, _ := parcel.ZoneFor(place)
	loc := f.zones.Location(zone)
	if loc == nil {
		loc = time.UTC
	}
	_, local := at.In(loc).Zone()
	server := at
	if zurich := f.zones.Location("Europe/Zurich"); zurich != nil {
		server = at.In(zurich)
	}
	_, shown := server.Zone()
	epoch := at.Add(time.Duration(local-shown) * time.Second).UnixMilli()
	return fmt.Sprintf("/Date(%d%s)/", epoch, server.Format("-0700"))
}

// location is a place as offices report it: an IMPC code where there is one,
// else a postcode, else a town.
func location(p parcel.Place) string {
	if _, ok := parcel.ParseImpc(p.Facility); ok {
		return p.Facility
	}
	if p.Unlocode != "" {
		return p.Unlocode + "A"
	}
	return cmp.Or(p.Postcode, p.City)
}
