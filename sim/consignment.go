package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Consignment is a parcel as its merchant registers it.
type Consignment struct {
	parcel.Registration
	// Number is the tracking number that the merchant has first.
	Number string
	// Scenario is the name of the scenario that it belongs to; empty for an
	// ordinary parcel.
	Scenario string
}

// Correction is a number that the merchant finds out to be wrong, after it was
// registered.
type Correction struct {
	Reference string
	// From is replaced by To at At, trade time.
	From, To parcel.NumberKey
	At       time.Time
}

// article is something people order from China.
type article struct {
	description, hs string
	grams           [2]int
	cents           [2]int64 // value in US cents
	attributes      []parcel.GoodsAttribute
}

// articles are made once at first use; nobody writes to them afterwards.
var articles = sync.OnceValue(func() []article {
	return []article{
		{"Phone case", "392690", [2]int{60, 140}, [2]int64{400, 1500}, nil},
		{"Wireless earphones", "851830", [2]int{120, 300}, [2]int64{1500, 6000}, []parcel.GoodsAttribute{parcel.GoodsBattery, parcel.GoodsMagnetic}},
		{"Cotton dress", "620442", [2]int{250, 600}, [2]int64{1200, 4500}, nil},
		{"Running shoes", "640411", [2]int{700, 1300}, [2]int64{2500, 8000}, []parcel.GoodsAttribute{parcel.GoodsBranded}},
		{"LED strip", "940542", [2]int{200, 900}, [2]int64{800, 3000}, nil},
		{"Face cream", "330499", [2]int{120, 350}, [2]int64{900, 4000}, []parcel.GoodsAttribute{parcel.GoodsLiquid}},
		{"Kitchen knife set", "821191", [2]int{600, 1500}, [2]int64{1500, 5000}, []parcel.GoodsAttribute{parcel.GoodsBlade}},
		{"Power bank", "850760", [2]int{250, 600}, [2]int64{1200, 4500}, []parcel.GoodsAttribute{parcel.GoodsBattery}},
		{"Building blocks", "950300", [2]int{400, 1800}, [2]int64{1500, 7000}, nil},
		{"Ceramic teapot", "691110", [2]int{500, 1400}, [2]int64{1800, 6000}, []parcel.GoodsAttribute{parcel.GoodsFragile}},
		{"Green tea", "090210", [2]int{150, 700}, [2]int64{800, 3500}, []parcel.GoodsAttribute{parcel.GoodsFood}},
		{"Bluetooth speaker", "851822", [2]int{400, 1200}, [2]int64{2000, 7500}, []parcel.GoodsAttribute{parcel.GoodsBattery, parcel.GoodsMagnetic}},
	}
})

// people are recipients nobody is: names in use, numbers kept for fiction.
func people(c parcel.Country) (names []string, street, phone, locale string) {
	switch c {
	case "RU":
		return []string{"Анна Образцова", "Пётр Примеров", "Ольга Тестова", "Илья Пробный"}, "ул. Образцовая, %d", "+7 495 555-01-%02d", "ru"
	case "BR":
		return []string{"Ana Exemplo", "João Modelo", "Beatriz Amostra", "Carlos Teste"}, "Rua do Exemplo, %d", "+55 11 5555-01%02d", "pt-BR"
	case "DE":
		return []string{"Erika Mustermann", "Max Mustermann", "Lena Beispiel", "Jonas Probst"}, "Musterstraße %d", "+49 30 5550 01%02d", "de"
	case "FR":
		return []string{"Marie Exemple", "Jean Modèle", "Claire Spécimen", "Luc Essai"}, "%d rue de l'Exemple", "+33 1 99 00 01 %02d", "fr"
	case "GB":
		return []string{"Emma Sample", "Oliver Example", "Amelia Pattern", "Harry Specimen"}, "%d Example Row", "+44 20 7946 01%02d", "en-GB"
	case "CA":
		return []string{"Chloe Sample", "Liam Example", "Zoe Specimen", "Ethan Pattern"}, "%d Example Crescent", "+1 613 555 01%02d", "en-CA"
	case "AU":
		return []string{"Olivia Sample", "Jack Specimen", "Mia Pattern", "Noah Example"}, "%d Sample Street", "+61 2 5550 01%02d", "en-AU"
	default:
		return []string{"Jane Sample", "John Example", "Mary Specimen", "Alex Pattern"}, "%d Example Avenue", "+1 212 555 01%02d", "en-US"
	}
}

// consign writes what the merchant registers for a journey. withPerson adds a
// recipient.
func (j *journey) consign(seed uint64, reference string, withPerson bool) Consignment {
	// A stream of its own: what is in the parcel does not change how it fares.
	if j.scenario != nil {
		seed = 0 // the same parcel in every network
	}
	d := newDice(^seed, uint64(j.ordinal)+1)
	goods := articles()
	a := &goods[d.below(len(goods))]
	grams := a.grams[0] + d.below(a.grams[1]-a.grams[0]+1)
	_, _, _, locale := people(j.to.place.Country)
	order := j.ordinal
	if order%11 == 10 { // some orders are sent in two parcels
		order--
	}
	c := Consignment{Number: j.legs[0].number}
	prefix, _, _ := strings.Cut(reference, "-")
	c.Facts = parcel.Facts{
		Reference: reference,
		Order:     fmt.Sprintf("%s-ORDER-%d", prefix, 10_000+order),
		Origin:    told(&j.from.place), Destination: told(&j.to.place),
		Goods: parcel.Goods{
			Description: a.description, WeightGrams: grams,
			LengthMM: 120 + d.below(250), WidthMM: 80 + d.below(120), HeightMM: 20 + d.below(80),
			DeclaredValue: parcel.Money{Minor: a.cents[0] + int64(d.below(int(a.cents[1]-a.cents[0]))), Currency: "USD"},
			HSCodes:       []string{a.hs}, Attributes: a.attributes, AttributesKnown: true,
		},
		Locale:       locale,
		RegisteredAt: j.registered.Truncate(time.Second).UTC(),
	}
	class := j.truth.Class
	c.Facts.Route, c.Facts.Tags = j.truth.Route, []string{strings.ToLower(string(class))}
	if j.scenario != nil {
		c.Facts.Tags = append(c.Facts.Tags, "scenario")
	}
	c.Facts.Promises = []parcel.Promise{{
		By: j.registered.In(j.to.zone).AddDate(0, 0, j.truth.PromiseDays).Format(parcel.DayLayout), ShownAt: c.Facts.RegisteredAt, Source: parcel.PromiseByMerchant,
	}}
	if j.sharedOrder != "" {
		c.Facts.Order = j.sharedOrder
	}
	c.Facts.Legs = j.declare(&d, class, grams, c.Facts.RegisteredAt)
	if withPerson {
		names, street, phone, _ := people(j.to.place.Country)
		c.Recipient = parcel.Recipient{
			Name: names[d.below(len(names))], Email: fmt.Sprintf("buyer%d@example.com", j.ordinal), Phone: fmt.Sprintf(phone, d.below(100)),
			AddressLines: []string{fmt.Sprintf(street, 1+d.below(120))},
		}
	}
	return c
}

// told is a place as a merchant has it in the address book: no facility.
func told(p *parcel.Place) parcel.Place {
	return parcel.Place{Country: p.Country, Region: p.Region, City: p.City, Postcode: p.Postcode}
}

// declare lists the legs that the merchant knows of.
func (j *journey) declare(d *dice, class Class, grams int, at time.Time) []parcel.DeclaredLeg {
	legs := make([]parcel.DeclaredLeg, 0, len(j.legs)+1)
	price := freight(class, grams)
	for i := range j.legs {
		l := &j.legs[i]
		if l.undeclared {
			continue
		}
		dl := parcel.DeclaredLeg{
			Stage: l.stage, StageGiven: l.stage != "", Carrier: l.carrier, Number: l.number,
			ServiceLevel: string(class), Cost: parcel.Money{Minor: price, Currency: "USD"}, DeclaredAt: at,
		}
		if l.declaredAs != nil {
			dl.Carrier = *l.declaredAs
		} else if l.carrier == upsName && j.scenario == nil && d.chance(.3) {
			dl.Carrier = "" // its numbers speak for themselves
		}
		legs = append(legs, dl)
		price /= 3 // of further legs: the last mile is the smaller part
	}
	if class == ClassLine && slices.ContainsFunc(j.legs, func(l leg) bool { return l.undeclared }) {
		// Somebody will deliver it; the line has not said who.
		legs = append(legs, parcel.DeclaredLeg{Stage: parcel.StageLastMile, StageGiven: true, DeclaredAt: at})
	}
	return legs
}

// freight is what a merchant pays for carriage, in US cents.
func freight(class Class, grams int) int64 {
	base, perKilo := int64(180), int64(900)
	switch class {
	case ClassLine:
		base, perKilo = 320, 1150
	case ClassWarehouse:
		base, perKilo = 420, 250
	}
	return base + perKilo*int64(grams)/1000
}
