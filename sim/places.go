package sim

import (
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // journeys must not depend on the machine's zone files

	"github.com/milepost-gateway/milepost/parcel"
)

// town is a place with its clock.
type town struct {
	place parcel.Place
	zone  *time.Location
}

// land is a country as parcels see it.
type land struct {
	// towns where sellers or buyers live, with their weights.
	towns   []town
	weights []int
	total   int
	// exchanges are the offices through which mail enters or leaves, hub the
	// sorting centre behind them, depot the town of the overseas warehouse.
	exchanges []town
	hub       town
	depot     town
}

// pick chooses a town by weight.
func (l *land) pick(d *dice) *town {
	n := d.below(l.total)
	for i, w := range l.weights {
		if n < w {
			return &l.towns[i]
		}
		n -= w
	}
	return &l.towns[0]
}

func (l *land) exchange(d *dice) *town { return &l.exchanges[d.below(len(l.exchanges))] }

// lands is the geography, made once at first use; nobody writes to it
// afterwards. Transit countries have exchanges alone.
var lands = sync.OnceValue(func() map[parcel.Country]*land {
	all := map[parcel.Country]*land{}
	zone := func(name string) *time.Location {
		loc, err := time.LoadLocation(name)
		if err != nil {
			panic(fmt.Sprintf("sim: zone %s: %v", name, err)) // the names below are constants, and tzdata is linked in
		}
		return loc
	}
	in := func(c parcel.Country) *land {
		if all[c] == nil {
			all[c] = &land{}
		}
		return all[c]
	}
	at := func(c parcel.Country, region, city, postcode string) town {
		p := parcel.Place{Country: c, Region: region, City: city, Postcode: postcode}
		name, _ := parcel.ZoneFor(p)
		return town{p, zone(name)}
	}
	live := func(c parcel.Country, weight int, region, city, postcode string) {
		l := in(c)
		l.towns, l.weights, l.total = append(l.towns, at(c, region, city, postcode)), append(l.weights, weight), l.total+weight
	}
	exchange := func(impc string) {
		p, ok := parcel.ParseImpc(impc)
		if !ok || p.TimeZone == "" {
			panic("sim: office of exchange " + impc)
		}
		loc := zone(p.TimeZone)
		// What a scan tells is the code: zone and UN/LOCODE follow from it.
		p.TimeZone, p.Unlocode = "", ""
		in(p.Country).exchanges = append(in(p.Country).exchanges, town{p, loc})
	}

	live("CN", 40, "", "Shenzhen", "518000")
	live("CN", 20, "", "Guangzhou", "510000")
	live("CN", 20, "", "Yiwu", "322000")
	live("CN", 12, "", "Hangzhou", "310000")
	live("CN", 8, "", "Shanghai", "200000")
	exchange("CNCANA")
	exchange("CNSHAA")
	exchange("CNSZXA")
	in("CN").hub = at("CN", "", "Dongguan", "523000")

	live("RU", 25, "", "Moscow", "101000")
	live("RU", 15, "", "Saint Petersburg", "190000")
	live("RU", 12, "", "Yekaterinburg", "620014")
	live("RU", 12, "", "Novosibirsk", "630099")
	live("RU", 9, "", "Kazan", "420111")
	live("RU", 9, "", "Krasnodar", "350000")
	live("RU", 7, "", "Samara", "443010")
	live("RU", 6, "", "Omsk", "644043")
	live("RU", 5, "", "Vladivostok", "690091")
	exchange("RUMOWA")
	exchange("RULEDA")
	exchange("RUSVXA")
	in("RU").hub, in("RU").depot = at("RU", "", "Podolsk", "142100"), at("RU", "", "Khimki", "141400")

	live("BR", 35, "SP", "São Paulo", "01310-100")
	live("BR", 18, "RJ", "Rio de Janeiro", "20040-020")
	live("BR", 12, "MG", "Belo Horizonte", "30140-071")
	live("BR", 9, "PR", "Curitiba", "80010-000")
	live("BR", 8, "RS", "Porto Alegre", "90010-150")
	live("BR", 7, "PE", "Recife", "50030-230")
	live("BR", 7, "BA", "Salvador", "40020-210")
	live("BR", 4, "AM", "Manaus", "69005-040")
	exchange("BRCWBA")
	exchange("BRSAOA")
	in("BR").hub, in("BR").depot = at("BR", "SP", "Indaiatuba", "13347-630"), at("BR", "SP", "Guarulhos", "07190-100")

	live("US", 20, "NY", "New York", "10001")
	live("US", 18, "CA", "Los Angeles", "90012")
	live("US", 14, "IL", "Chicago", "60607")
	live("US", 12, "TX", "Houston", "77002")
	live("US", 10, "FL", "Miami", "33130")
	live("US", 8, "GA", "Atlanta", "30303")
	live("US", 8, "WA", "Seattle", "98104")
	live("US", 6, "CO", "Denver", "80202")
	live("US", 4, "AZ", "Phoenix", "85004")
	exchange("USJFKA")
	exchange("USLAXA")
	exchange("USORDA")
	in("US").hub, in("US").depot = at("US", "CA", "Ontario", "91761"), at("US", "CA", "Riverside", "92507")

	live("DE", 22, "", "Berlin", "10115")
	live("DE", 17, "", "Hamburg", "20095")
	live("DE", 17, "", "Munich", "80331")
	live("DE", 15, "", "Cologne", "50667")
	live("DE", 12, "", "Stuttgart", "70173")
	live("DE", 9, "", "Leipzig", "04109")
	live("DE", 8, "", "Dresden", "01067")
	exchange("DEFRAA")
	exchange("DELEJA")
	in("DE").hub, in("DE").depot = at("DE", "", "Frankfurt am Main", "60311"), at("DE", "", "Bremen", "28195")

	live("AU", 35, "NSW", "Sydney", "2000")
	live("AU", 30, "VIC", "Melbourne", "3000")
	live("AU", 16, "QLD", "Brisbane", "4000")
	live("AU", 11, "WA", "Perth", "6000")
	live("AU", 8, "SA", "Adelaide", "5000")
	exchange("AUSYDA")
	exchange("AUMELA")
	in("AU").hub, in("AU").depot = at("AU", "NSW", "Sydney", "2164"), at("AU", "VIC", "Melbourne", "3026")

	live("FR", 40, "", "Paris", "75011")
	live("FR", 16, "", "Lyon", "69003")
	live("FR", 14, "", "Marseille", "13001")
	live("FR", 11, "", "Toulouse", "31000")
	live("FR", 10, "", "Lille", "59000")
	live("FR", 9, "", "Bordeaux", "33000")
	exchange("FRCDGA")
	in("FR").hub, in("FR").depot = at("FR", "", "Roissy", "95700"), at("FR", "", "Lille", "59000")

	live("GB", 32, "", "London", "SE1 7PB")
	live("GB", 16, "", "Birmingham", "B1 1BB")
	live("GB", 15, "", "Manchester", "M1 1AE")
	live("GB", 13, "", "Leeds", "LS1 4DY")
	live("GB", 12, "", "Glasgow", "G1 1XQ")
	live("GB", 12, "", "Bristol", "BS1 4TR")
	exchange("GBLONA")
	exchange("GBLHRA")
	in("GB").hub, in("GB").depot = at("GB", "", "Northampton", "NN4 7SL"), at("GB", "", "Coventry", "CV1 2WT")

	live("CA", 34, "ON", "Toronto", "M5V 2T6")
	live("CA", 22, "QC", "Montreal", "H3B 1A7")
	live("CA", 18, "BC", "Vancouver", "V6B 2W9")
	live("CA", 12, "AB", "Calgary", "T2P 1J9")
	live("CA", 8, "MB", "Winnipeg", "R3C 0V8")
	live("CA", 6, "NS", "Halifax", "B3J 3R7")
	exchange("CAYTOA")
	exchange("CAYVRA")
	in("CA").hub, in("CA").depot = at("CA", "ON", "Mississauga", "L5B 3C1"), at("CA", "ON", "Toronto", "M5V 2T6")

	exchange("KZALAA")
	exchange("NLAMSA")
	exchange("ESMADA")
	exchange("HKHKGA")
	return all
})

// transitOf is the country that mail to a destination sometimes passes.
func transitOf(to parcel.Country) parcel.Country {
	switch to {
	case "RU":
		return "KZ"
	case "BR":
		return "ES"
	case "DE":
		return "NL"
	default:
		return "HK"
	}
}

// The calendar of offices and doors. Each of these moves an instant by less
// than a day and a half and, on average, by about an hour, so that the
// distributions of Truth hold on the calendar too.

// workday moves an instant to the office hours (8 to 18) of a working day:
// Saturday goes back to Friday, Sunday on to Monday.
func workday(t time.Time, zone *time.Location, d *dice) time.Time {
	local := t.In(zone)
	y, m, day := local.Date()
	switch local.Weekday() {
	case time.Saturday:
		day--
	case time.Sunday:
		day++
	}
	return time.Date(y, m, day, 8, 0, d.below(10*60*60), 0, zone)
}

// visit moves an instant to the hours in which someone rings at a door (9 to
// 17), any day but Sunday: half of Sunday's go to Saturday, half to Monday.
func visit(t time.Time, zone *time.Location, d *dice) time.Time {
	local := t.In(zone)
	y, m, day := local.Date()
	if local.Weekday() == time.Sunday {
		day += 2*d.below(2) - 1
	}
	return time.Date(y, m, day, 9, 0, d.below(8*60*60), 0, zone)
}

// morning is when the van of that day's visit leaves: 6:30 to 8:30.
func morning(visit time.Time, zone *time.Location, d *dice) time.Time {
	y, m, day := visit.In(zone).Date()
	return time.Date(y, m, day, 6, 30, d.below(2*60*60), 0, zone)
}
