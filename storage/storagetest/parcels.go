package storagetest

import (
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/milepost-gateway/milepost/parcel"
)

// Epoch is when the suite's parcels begin to move.
var Epoch = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

// Parcel is a shipment with everything that an ingest would store with it.
type Parcel struct {
	Shipment *parcel.Shipment
	Numbers  []parcel.NumberKey
	Events   []parcel.EventRow
	Payload  parcel.Payload // in which the events were read
}

// leg is a stretch of the suite's usual journey.
type leg struct {
	stage   parcel.Stage
	carrier string
	country parcel.Country
	codes   []parcel.Code
}

// journey is a small packet from China to Brazil: 22 events of 4 carriers.
func journey() []leg {
	return []leg{
		{parcel.StageWarehouse, "cainiao", "CN", []parcel.Code{parcel.CodeInfoReceived, parcel.CodeLabelPrinted, parcel.CodeWarehouseReceived, parcel.CodeWarehousePacked, parcel.CodeWarehouseDispatched}},
		{parcel.StageFirstMile, "yanwen", "CN", []parcel.Code{parcel.CodePickedUp, parcel.CodeOriginHubArrived, parcel.CodeOriginHubDeparted}},
		{parcel.StageLinehaul, "upu-postal", "CN", []parcel.Code{parcel.CodeExportExchangeArrived, parcel.CodeExportCustomsPresented, parcel.CodeExportCustomsReleased, parcel.CodeHandedToLinehaul, parcel.CodeOriginCountryDeparted}},
		{parcel.StageCustoms, "upu-postal", "BR", []parcel.Code{parcel.CodeDestinationCountryArrived, parcel.CodeImportCustomsPresented, parcel.CodeImportCustomsHeld, parcel.CodeImportCustomsReleased}},
		{parcel.StageLastMile, "correios", "BR", []parcel.Code{parcel.CodeLastMileAccepted, parcel.CodeDeliveryOfficeArrived, parcel.CodeOutForDelivery, parcel.CodeDeliveryAttemptFailed, parcel.CodeDelivered}},
	}
}

// NewParcel makes the n-th parcel of a merchant with its first events events
// (at most all of the journey's), registered n hours after Epoch.
func NewParcel(merchant string, n, events int) Parcel {
	at := Epoch.Add(time.Duration(n) * time.Hour)
	s := &parcel.Shipment{
		ID: ulid.Make().String(), MerchantID: merchant, CreatedAt: at, UpdatedAt: at.Add(time.Minute),
		Facts: parcel.Facts{
			Reference: fmt.Sprintf("R-%06d", n), Order: fmt.Sprintf("O-%05d", n/2),
			Origin:      parcel.Place{Country: "CN", City: "Shenzhen", Postcode: "518000"},
			Destination: parcel.Place{Country: "BR", Region: "SP", City: "São Paulo", Postcode: "01310-100"},
			Goods: parcel.Goods{
				Description: "LED lamp", WeightGrams: 350, LengthMM: 200, WidthMM: 120, HeightMM: 60,
				DeclaredValue: parcel.Money{Minor: 1290, Currency: "USD"}, HSCodes: []string{"940542"},
				Attributes: []parcel.GoodsAttribute{parcel.GoodsBattery}, AttributesKnown: true,
			},
			Tags: []string{fmt.Sprintf("batch-%d", n%3)}, Locale: "pt-BR", Route: "CN-BR-ECO",
			Promises:     []parcel.Promise{{By: at.AddDate(0, 0, 40).Format(parcel.DayLayout), ShownAt: at, Source: parcel.PromiseByMerchant}},
			RegisteredAt: at,
		},
	}
	first, last := fmt.Sprintf("LX%09dCN", n), fmt.Sprintf("BR%011d", n)
	p := Parcel{Shipment: s, Payload: parcel.Payload{
		ID: ulid.Make().String(), Carrier: "upu-postal", Kind: "track", Source: parcel.SourcePoll, ContentType: "application/json",
		Body: []byte(`{"item":"` + first + `","of":"` + merchant + `"}`), Numbers: []string{first}, ReceivedAt: at.Add(time.Hour),
	}}
	moved := at
	for _, l := range journey() {
		number := first
		if l.stage == parcel.StageLastMile {
			number = last
		}
		key := parcel.NumberKey{Carrier: l.carrier, Number: number}
		if !contains(p.Numbers, key) {
			p.Numbers = append(p.Numbers, key)
		}
		s.Legs = append(s.Legs, parcel.DeclaredLeg{Stage: l.stage, StageGiven: true, Carrier: l.carrier, ServiceLevel: "ECONOMY", Number: number, DeclaredAt: at})
		for _, code := range l.codes {
			moved = moved.Add(37*time.Hour + 11*time.Minute)
			if len(p.Events) < events {
				p.Events = append(p.Events, p.tell(l, number, code, moved))
			}
		}
	}
	p.Fold()
	return p
}

func contains(keys []parcel.NumberKey, key parcel.NumberKey) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

func (p *Parcel) tell(l leg, number string, code parcel.Code, at time.Time) parcel.EventRow {
	zone, offset := "Asia/Shanghai", 8
	if l.country == "BR" {
		zone, offset = "America/Sao_Paulo", -3
	}
	local := at.In(time.FixedZone(zone, offset*3600))
	o := parcel.Observation{
		Carrier: l.carrier, Number: number, OwnCode: "EM" + string(code[:2]), Code: code,
		Words: "Item status: " + string(code) + " / Objeto em trânsito - por favor aguarde", Language: "en",
		Occurred: parcel.ReportedMoment(local.Format(time.RFC3339), local), Reported: at.Add(20 * time.Minute),
		Place: parcel.Place{Country: l.country, City: "Guangzhou", Facility: "CNCANA"},
		Rule:  "upu." + string(code), RuleVersion: "2026-01-05",
	}
	o.Occurred.Zone = zone
	return parcel.EventRow{MerchantID: p.Shipment.MerchantID, Event: parcel.Event{
		Observation: o, ID: ulid.Make().String(), ShipmentID: p.Shipment.ID, EventKey: o.Key(), EventDigest: o.Digest(),
		Source: parcel.SourcePoll, PayloadID: p.Payload.ID, ReceivedAt: at.Add(time.Hour),
	}}
}

// Fold derives the journey from the events.
func (p *Parcel) Fold() {
	rows := make([]parcel.Event, len(p.Events))
	for i := range p.Events {
		rows[i] = p.Events[i].Event
	}
	p.Shipment.Journey = parcel.Fold(p.Shipment, nil, rows)
}
