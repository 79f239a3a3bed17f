package resolvers

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/model"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// faults is what was found wrong with the arguments of a mutation before it
// ran: mistakes of the whole, and mistakes of items by position.
type faults struct {
	whole []*parcel.InputError
	items map[int][]*parcel.InputError
}

// faultsOf gathers them for a mutation whose argument "input" is a list.
func faultsOf(ctx context.Context) faults {
	f := faults{items: map[int][]*parcel.InputError{}}
	for _, e := range graph.FaultsOf(ctx) {
		if len(e.Path) > 1 {
			if i, err := strconv.Atoi(e.Path[1]); err == nil {
				f.items[i] = append(f.items[i], e)
				continue
			}
		}
		f.whole = append(f.whole, e)
	}
	return f
}

func place(in *model.PlaceInput) parcel.Place {
	if in == nil {
		return parcel.Place{}
	}
	return parcel.Place{
		Country: in.Country, Region: value(in.Region), City: value(in.City), Postcode: value(in.Postcode),
		Facility: value(in.Facility), Unlocode: strings.ToUpper(value(in.Unlocode)),
	}
}

// amount reads money; what is wrong with it stands under path.
func amount(in *model.MoneyInput, path ...string) (parcel.Money, []*parcel.InputError) {
	if in == nil || in.Currency == "" || in.Amount == "" {
		return parcel.Money{}, nil // not given, or found wrong already
	}
	m, err := parcel.ParseMoney(in.Amount, in.Currency)
	if err != nil {
		return parcel.Money{}, []*parcel.InputError{
			parcel.Invalidf(parcel.FaultMalformed, "amount", "%s has at most %d decimals, and an amount fits in 18 digits", in.Currency, in.Currency.Exponent()).Under(path...),
		}
	}
	return m, nil
}

// oneLine refuses a name that is written over several lines or in columns:
// lists and files show it as one word of a line. Other control characters were
// refused when the input was read.
func oneLine(path, s string) []*parcel.InputError {
	if !strings.ContainsAny(s, "\t\r\n") {
		return nil
	}
	return []*parcel.InputError{parcel.Invalidf(parcel.FaultMalformed, path, "has control characters")}
}

// registration translates one item; its faults have paths within the item.
func (r *Resolver) registration(ctx context.Context, in *model.RegisterShipmentInput) (parcel.Registration, []*parcel.InputError, error) {
	p := in.Parcel
	declared, problems := amount(p.DeclaredValue, "parcel", "declaredValue")
	facts := parcel.Facts{
		Reference: strings.TrimSpace(in.Reference), Order: strings.TrimSpace(value(in.Order)),
		Origin: place(&p.Origin), Destination: place(&p.Destination),
		Goods: parcel.Goods{
			Description: value(p.Description), WeightGrams: value(p.WeightGrams),
			LengthMM: value(p.LengthMm), WidthMM: value(p.WidthMm), HeightMM: value(p.HeightMm),
			DeclaredValue: declared, HSCodes: p.HsCodes, Attributes: p.Attributes, AttributesKnown: p.Attributes != nil,
		},
		Tags: in.Tags, Locale: value(in.Locale), Route: value(in.Route), RegisteredAt: value(in.RegisteredAt),
	}
	problems = append(problems, oneLine("reference", facts.Reference)...)
	problems = append(problems, oneLine("order", facts.Order)...)
	for i, tag := range facts.Tags {
		problems = append(problems, oneLine("tags."+strconv.Itoa(i), tag)...)
	}
	for i, l := range in.Legs {
		cost, bad := amount(l.Cost, "legs", strconv.Itoa(i), "cost")
		problems = append(problems, bad...)
		facts.Legs = append(facts.Legs, parcel.DeclaredLeg{
			Stage: value(l.Stage), Carrier: value(l.Carrier), ServiceLevel: value(l.ServiceLevel), Number: value(l.TrackingNumber), Cost: cost,
		})
	}
	if in.Promise != nil {
		facts.Promises = []parcel.Promise{{By: in.Promise.By, From: value(in.Promise.From), Source: in.Promise.Source, ShownAt: value(in.Promise.ShownAt)}}
	}
	out := parcel.Registration{Facts: facts}
	if in.Recipient != nil {
		out.Recipient = parcel.Recipient{Name: value(in.Recipient.Name), Email: value(in.Recipient.Email), Phone: value(in.Recipient.Phone), AddressLines: in.Recipient.AddressLines}
	}
	if facts.Route == "" {
		return out, problems, nil
	}
	bad, err := r.planRoute(ctx, &out.Facts)
	return out, append(problems, bad...), err
}

// asGiven puts a problem of the write path, whose paths are those of
// parcel.Registration, where the caller wrote the value.
func asGiven(e *parcel.InputError) *parcel.InputError {
	if len(e.Path) == 0 {
		return e
	}
	switch e.Path[0] {
	case "origin", "destination":
		return e.Under("parcel")
	case "goods":
		c := *e
		c.Path = append([]string{"parcel"}, e.Path[1:]...)
		return &c
	default:
		return e
	}
}

// report translates an event somebody saw; its faults have paths within the
// item.
func report(in *model.ReportEventInput) (parcel.Report, []*parcel.InputError) {
	out := parcel.Report{
		Key: parcel.NumberKey{Carrier: value(in.Carrier), Number: parcel.NormalizeNumber(value(in.TrackingNumber))},
		Observation: parcel.Observation{
			Code: in.Code, Reason: value(in.Reason), Words: strings.TrimSpace(value(in.Text)), Place: place(in.Place), DeliveredTo: value(in.DeliveredTo),
		},
	}
	var problems []*parcel.InputError
	if in.Shipment != nil {
		key, err := graph.ParseIDOf(graph.TypeShipment, *in.Shipment)
		if err != nil {
			problems = append(problems, parcel.Invalidf(parcel.FaultNotFound, "shipment", "there is no such shipment"))
		}
		out.ShipmentID = key
	}
	moment, bad := wallClock(in.LocalTime, value(in.Offset), out.Observation.Place)
	if bad != nil {
		problems = append(problems, bad)
	}
	out.Observation.Occurred = moment
	return out, problems
}

// wallClock reads a clock face or a day as people write them. Its offset is the
// one given, else that of the place.
func wallClock(text, offset string, at parcel.Place) (parcel.Moment, *parcel.InputError) {
	written := strings.TrimSpace(text)
	clock, day, ok := readFace(written)
	if !ok {
		return parcel.Moment{}, parcel.Invalidf(parcel.FaultMalformed, "localTime", "want a wall clock such as 2026-11-22 14:05, or a day such as 2026-11-22")
	}
	var loc *time.Location
	certainty := parcel.CertaintyUnknown
	if offset != "" {
		seconds, err := parcel.ParseOffset(offset)
		if err != nil {
			return parcel.Moment{}, parcel.Invalidf(parcel.FaultMalformed, "offset", "want an offset such as +08:00")
		}
		loc, certainty = time.FixedZone("", seconds), parcel.CertaintyReported
	} else if zone, how := parcel.ZoneFor(at); zone != "" {
		if l, err := time.LoadLocation(zone); err == nil {
			loc, certainty = l, how
		}
	}
	if day {
		return parcel.DayMoment(written, clock, loc, certainty), nil
	}
	return parcel.LocalMoment(written, clock, loc, certainty), nil
}

func readFace(text string) (t time.Time, day, ok bool) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, false, true
		}
	}
	t, err := time.Parse(parcel.DayLayout, text)
	return t, true, err == nil
}

// prefix is the path of an item of "input".
func prefix(i int) []string { return []string{"input", strconv.Itoa(i)} }

// itemErrors shows what is wrong with one item: what was found while reading
// it, whose paths are whole, and what the write path found.
func itemErrors(i int, read, found []*parcel.InputError) []view.UserError {
	return append(view.UserErrors(read), view.UserErrors(found, prefix(i)...)...)
}

// refusing tells whether any of the problems keeps the item out.
func refusing(problems []*parcel.InputError) bool {
	for _, p := range problems {
		if !p.Warning {
			return true
		}
	}
	return false
}
