package sim

import (
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Class is how a parcel is carried.
type Class string

// The classes.
const (
	// ClassPostal is a small packet from post to post: 40 to 90 days.
	ClassPostal Class = "POSTAL"
	// ClassLine is a dedicated line, which flies parcels in its own bags and
	// injects them into a last-mile carrier: 16 to 35 days.
	ClassLine Class = "DEDICATED_LINE"
	// ClassWarehouse sends from a warehouse in the country of destination: 3 to
	// 10 days.
	ClassWarehouse Class = "OVERSEAS_WAREHOUSE"
)

// Truth is what is true of a route: the distributions from which its journeys
// are drawn. An estimator that is given the journeys should find these.
//
// The calendar moves a first scan, a release by customs and a delivery into
// working hours, each by less than a day and a half and by an hour or two on
// average.
type Truth struct {
	// Route is the route's code: CN-RU-POSTAL.
	Route string
	Lane  parcel.Lane
	Class Class
	// Carriers in order of custody; one that carries from end to end stands
	// alone. Of three the first brings the parcel to the warehouse of the second.
	Carriers []string
	// Share of the route among all shipments; the shares add up to 1.
	Share float64
	// FirstScan is the time from registration to the first scan.
	FirstScan LogNormal
	// Transit is the time from the first scan to delivery, of parcels that are
	// delivered. Nine in ten lie within the range of the class.
	Transit LogNormal
	// Stages are how transit is divided, in order. A parcel's share of a stage
	// is Share times a log-normal factor of median 1 and sigma Spread, over the
	// sum of these for all stages: stages are log-normal-like, and correlated
	// as those of one journey are. Empty for an overseas warehouse, where the
	// carrier shows no boundaries.
	Stages []StageShare
	// Ends are the chances of how a journey ends; they add up to 1. They do not
	// depend on how slow the parcel is.
	Ends Ends
	// LostReported is the share of lost parcels of which the last carrier says
	// so, 20 to 45 days later; the others fall silent for ever.
	LostReported float64
	// Chances are those of the troubles on the way.
	Chances Chances
	// PromiseDays is what the merchant promises, from registration.
	PromiseDays int
}

// StageShare is one stage's part in transit.
type StageShare struct {
	Stage  parcel.Stage
	Share  float64
	Spread float64
}

// Ends are the chances of the outcomes.
type Ends struct{ Delivered, Lost, Returned, Disposed float64 }

// Chances are those of the troubles of a journey. The chance of being held by
// customs grows with the parcel's slowness: for the slowest it is twice what
// stands here, for the fastest nothing; the others do not depend on it.
type Chances struct {
	// Held by import customs: inspection, papers or duty.
	Held float64
	// FailedAttempt at the door before the delivery.
	FailedAttempt float64
	// Pickup at a station, locker or office instead of the door.
	Pickup float64
	// Delayed is a delay that a carrier reports.
	Delayed float64
	// Damaged on the way.
	Damaged float64
	// LateFirstScan is origin scans that are told only after the departure.
	LateFirstScan float64
	// SilentBorder is nothing told between departure and release by customs.
	SilentBorder float64
	// Predeclared is an import declaration that is told before the departure.
	Predeclared float64
	// ToldTwice is scans that two carriers tell.
	ToldTwice float64
	// Renumbered by the same carrier in the country of destination.
	Renumbered float64
}

// ArrivedBy is the share of all parcels of the route that are delivered by an
// age since the first scan: the cumulative incidence of delivery.
func (t *Truth) ArrivedBy(age time.Duration) float64 {
	return t.Ends.Delivered * t.Transit.CDF(age)
}

// stageDraws is how many journeys StageQuantile draws.
const stageDraws = 20_001

// StageQuantile is the duration that a share p of a stage's dwells stay below,
// computed from the same draws each time; 0 for a stage that the route does
// not show.
func (t *Truth) StageQuantile(stage parcel.Stage, p float64) time.Duration {
	at := slices.IndexFunc(t.Stages, func(s StageShare) bool { return s.Stage == stage })
	if at < 0 {
		return 0
	}
	d := newDice(1, 0)
	dwells := make([]time.Duration, stageDraws)
	for i := range dwells {
		var parts [5]float64
		transit := t.Transit.Quantile(d.unit())
		t.divide(&d, &parts)
		dwells[i] = time.Duration(float64(transit) * parts[at])
	}
	slices.Sort(dwells)
	return dwells[min(stageDraws-1, int(p*stageDraws))]
}

// divide draws the parts of one journey's transit, which add up to 1.
func (t *Truth) divide(d *dice, parts *[5]float64) {
	sum := 0.0
	for i, s := range t.Stages {
		parts[i] = s.Share * factor(s.Spread, d.unit())
		sum += parts[i]
	}
	for i := range t.Stages {
		parts[i] /= sum
	}
}

// Truths lists the routes; the slice and what it holds are the caller's own.
func Truths() []Truth {
	all := routes()
	out := make([]Truth, len(all))
	for i := range all {
		out[i] = all[i].clone()
	}
	return out
}

// TruthOf gives a route by its code.
func TruthOf(route string) (t Truth, ok bool) {
	all := routes()
	i := slices.IndexFunc(all, func(t Truth) bool { return t.Route == route })
	if i < 0 {
		return Truth{}, false
	}
	return all[i].clone(), true
}

func (t *Truth) clone() Truth {
	c := *t
	c.Carriers, c.Stages = slices.Clone(t.Carriers), slices.Clone(t.Stages)
	return c
}

// The carriers of the simulated network, by the names of their adapters.
const (
	upuPostal   = "upu-postal"
	russianPost = "russian-post"
	cainiao     = "cainiao"
	correios    = "correios"
	upsName     = "ups"

	fourPX     = "fourpx"
	yunExpress = "yunexpress"
	sfExpress  = "sf-express"
	chinaPost  = "china-post"

	fedexName     = "fedex"
	uspsName      = "usps"
	dhlName       = "dhl-unified"
	australiaPost = "australia-post"
	laPoste       = "la-poste"
	royalMail     = "royal-mail"
	canadaPost    = "canada-post"
)

// routes is the table, made once at first use; nobody writes to it afterwards.
var routes = sync.OnceValue(func() []Truth {
	const day = 24 * time.Hour
	days := func(d, sigma float64) LogNormal { return LogNormal{time.Duration(d * float64(day)), sigma} }

	postalStages := []StageShare{
		{parcel.StageFirstMile, .13, .35}, {parcel.StageLinehaul, .42, .30}, {parcel.StageCustoms, .15, .45}, {parcel.StageLastMile, .30, .30},
	}
	lineStages := []StageShare{
		{parcel.StageFirstMile, .17, .30}, {parcel.StageLinehaul, .38, .25}, {parcel.StageCustoms, .15, .45}, {parcel.StageLastMile, .30, .30},
	}
	ends := func(lost, returned, disposed float64) Ends {
		return Ends{Delivered: 1 - lost - returned - disposed, Lost: lost, Returned: returned, Disposed: disposed}
	}
	postal := func(to parcel.Country, share float64, transit LogNormal, e Ends, promise int, carriers ...string) Truth {
		t := Truth{
			Route: "CN-" + string(to) + "-POSTAL", Lane: parcel.Lane{Origin: "CN", Destination: to}, Class: ClassPostal, Carriers: carriers, Share: share,
			FirstScan: LogNormal{30 * time.Hour, .7}, Transit: transit, Stages: postalStages, Ends: e, LostReported: .3, PromiseDays: promise,
			Chances: Chances{
				Held: .10, FailedAttempt: .10, Pickup: .15, Delayed: .06, Damaged: .012, LateFirstScan: .07,
				SilentBorder: .20, Predeclared: .05, ToldTwice: .15,
			},
		}
		return t
	}
	line := func(suffix string, to parcel.Country, share float64, transit LogNormal, e Ends, promise int, carriers ...string) Truth {
		return Truth{
			Route: "CN-" + string(to) + suffix, Lane: parcel.Lane{Origin: "CN", Destination: to}, Class: ClassLine, Carriers: carriers, Share: share,
			FirstScan: LogNormal{16 * time.Hour, .6}, Transit: transit, Stages: lineStages, Ends: e, LostReported: .5, PromiseDays: promise,
			Chances: Chances{
				Held: .07, FailedAttempt: .09, Pickup: .10, Delayed: .05, Damaged: .010, LateFirstScan: .03,
				SilentBorder: .04, Predeclared: .35, ToldTwice: .15,
			},
		}
	}
	warehouse := func(in parcel.Country, share float64, transit LogNormal, e Ends, promise int, carrier string) Truth {
		return Truth{
			Route: string(in) + "-" + string(in) + "-WAREHOUSE", Lane: parcel.Lane{Origin: in, Destination: in}, Class: ClassWarehouse,
			Carriers: []string{carrier}, Share: share,
			FirstScan: LogNormal{9 * time.Hour, .5}, Transit: transit, Ends: e, LostReported: .7, PromiseDays: promise,
			Chances: Chances{FailedAttempt: .08, Pickup: .12, Delayed: .03, Damaged: .008, LateFirstScan: .01},
		}
	}
	all := []Truth{
		postal("RU", .10, days(60, .2465), ends(.030, .020, .004), 90, upuPostal, russianPost),
		postal("BR", .09, days(62, .2200), ends(.035, .030, .008), 90, cainiao, correios),
		postal("US", .05, days(54, .1600), ends(.015, .012, 0), 70, upuPostal),
		postal("DE", .04, days(53, .1650), ends(.012, .012, 0), 70, upuPostal),
		postal("AU", .04, days(55, .1700), ends(.014, .010, 0), 72, upuPostal),
		postal("FR", .02, days(52, .1550), ends(.012, .012, 0), 68, chinaPost, laPoste),
		postal("GB", .02, days(53, .1600), ends(.013, .012, 0), 70, chinaPost, royalMail),
		postal("CA", .02, days(56, .1700), ends(.014, .012, 0), 74, chinaPost, canadaPost),
		line("-LINE", "RU", .09, days(23.66, .2379), ends(.012, .015, .002), 35, cainiao, russianPost),
		line("-LINE", "BR", .06, days(27, .1500), ends(.016, .022, .004), 35, cainiao, correios),
		line("-LINE", "US", .05, days(20, .1300), ends(.008, .010, .001), 25, cainiao, upsName),
		line("-LINE-POST", "US", .03, days(24, .1800), ends(.012, .012, 0), 32, upuPostal, upsName),
		line("-LINE-4PX", "US", .05, days(21, .1400), ends(.009, .010, 0), 28, fourPX, uspsName),
		line("-LINE-YUN", "US", .03, days(20.5, .1300), ends(.008, .010, 0), 27, sfExpress, yunExpress, uspsName),
		line("-LINE-SF", "US", .02, days(19, .0950), ends(.005, .008, 0), 23, sfExpress, fedexName),
		line("-LINE", "DE", .03, days(21, .1400), ends(.007, .012, .001), 27, cainiao, upsName),
		line("-LINE-YUN", "DE", .04, days(20.5, .1350), ends(.007, .012, 0), 27, sfExpress, yunExpress, dhlName),
		line("-LINE-YUN", "FR", .04, days(20, .1250), ends(.007, .012, 0), 26, sfExpress, yunExpress, laPoste),
		line("-LINE-4PX", "GB", .04, days(20.5, .1350), ends(.008, .012, 0), 27, fourPX, royalMail),
		line("-LINE", "AU", .02, days(20.5, .1400), ends(.008, .008, .001), 26, cainiao),
		line("-LINE-4PX", "AU", .02, days(21, .1400), ends(.008, .008, 0), 27, fourPX, australiaPost),
		line("-LINE-YUN", "CA", .03, days(22, .1500), ends(.009, .010, 0), 30, sfExpress, yunExpress, canadaPost),
		warehouse("RU", .02, days(6.2, .28), ends(.005, .020, 0), 9, russianPost),
		warehouse("BR", .02, days(6.5, .25), ends(.008, .020, 0), 9, correios),
		warehouse("US", .02, days(4.6, .25), ends(.003, .012, 0), 7, upsName),
		warehouse("DE", .005, days(4.2, .20), ends(.002, .015, 0), 6, upsName),
		warehouse("AU", .005, days(5.6, .30), ends(.004, .012, 0), 9, upsName),
	}
	for i := range all {
		t := &all[i]
		switch {
		case t.Lane.Destination == "RU":
			t.Chances.Pickup = .70 // most Russians collect at the office
		case t.Lane.Destination == "BR" && t.Class != ClassWarehouse:
			t.Chances.Held *= 2 // nearly every parcel is looked at for duty
		}
		if tells(t.Carriers[len(t.Carriers)-1], parcel.CodeLost) == "" {
			t.LostReported = 0
		}
		if tells(t.Carriers[len(t.Carriers)-1], parcel.CodeDamaged) == "" {
			t.Chances.Damaged = 0
		}
		if t.Route == "CN-AU-LINE" {
			t.Chances.Renumbered = .10
		}
	}
	return all
})
