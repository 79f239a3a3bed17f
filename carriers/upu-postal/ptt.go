package upupostal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// estimateCode marks a date of delivery that a post expects: no event.
const estimateCode = "DLV"

// restItem is one item of an answer. One generation of the service nests the
// events, another writes flat records with names of their own; both are read.
type restItem struct {
	ID                   carrierkit.Text
	OriginCountryCd      carrierkit.Text
	DestinationCountryCd carrierkit.Text
	Events               carrierkit.List[restEvent]
	restEvent
}

type restEvent struct {
	EventCd, EventCode carrierkit.Text
	EventNm, EventName carrierkit.Text
	EventDT, EventDate carrierkit.Text
	EventLocation      carrierkit.Text
}

func sniffREST(body []byte) bool {
	return string(trimBOM(body)) == "1" || carrierkit.SniffJSON(body, "ID", "Events") || carrierkit.SniffJSON(body, "EventCode", "EventDate")
}

func (c *carrier) decodeREST(p parcel.Payload) (parcel.Reading, error) {
	body := trimBOM(p.Body)
	var items carrierkit.List[restItem]
	// Nothing, or a bare 1, is how the service says that it knows no such item.
	if len(body) > 0 && string(body) != "1" {
		if err := json.Unmarshal(body, &items); err != nil {
			return parcel.Reading{}, fmt.Errorf("%w: %w", parcel.ErrMalformed, err)
		}
	}
	var reading parcel.Reading
	faults := slices.Clone(items.Faults)
	ways := map[string]*way{}
	found := map[string]bool{}
	for i, item := range items.Items {
		number := parcel.NormalizeNumber(item.ID.String())
		if number == "" && item.code() == "" && len(item.Events.Items)+len(item.Events.Faults) == 0 {
			// What has none of the fields known here is another form, and no word
			// that the parcel is unknown.
			faults = append(faults, fmt.Errorf("item %d: neither number nor event: %w", i, parcel.ErrMalformed))
			continue
		}
		if number == "" && len(p.Numbers) == 1 {
			number = parcel.NormalizeNumber(p.Numbers[0])
		}
		if number == "" {
			faults = append(faults, fmt.Errorf("item %d: no number: %w", i, parcel.ErrMalformed))
			continue
		}
		for _, f := range item.Events.Faults {
			faults = append(faults, fmt.Errorf("%s: event: %w", number, f))
		}
		events := item.Events.Items
		if item.code() != "" {
			events = append(events, item.restEvent)
		}
		if _, seen := found[number]; !seen || len(events) > 0 {
			found[number] = found[number] || len(events)+len(item.Events.Faults) > 0
		}
		if ways[number] == nil {
			ways[number] = &way{origin: country(item.OriginCountryCd), destination: country(item.DestinationCountryCd)}
		}
		for j, e := range events {
			if err := c.readEvent(&reading, number, e, ways[number]); err != nil {
				faults = append(faults, fmt.Errorf("%s: event %d: %w", number, j, err))
			}
		}
	}
	c.restResults(&reading, p.Numbers, found, len(faults) > 0)
	return reading, errors.Join(faults...)
}

// restResults says what became of each number. A number that is missing in an
// answer with faults may be what could not be read: nothing is said of it.
func (c *carrier) restResults(reading *parcel.Reading, asked []string, found map[string]bool, faulty bool) {
	numbers := make([]string, 0, len(asked)+len(found))
	for _, n := range asked {
		numbers = append(numbers, parcel.NormalizeNumber(n))
	}
	for n := range found {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		switch {
		case found[n]:
			reading.Results = append(reading.Results, parcel.NumberResult{Number: n, Finding: parcel.FindingFound})
		case !faulty:
			reading.Results = append(reading.Results, parcel.NumberResult{Number: n, Finding: parcel.FindingUnknown})
		}
	}
}

func (e restEvent) code() string {
	return cmp.Or(e.EventCd.String(), e.EventCode.String())
}

func (c *carrier) readEvent(reading *parcel.Reading, number string, e restEvent, way *way) error {
	text := cmp.Or(e.EventDT.String(), e.EventDate.String())
	wall, err := restTime(text)
	if err != nil {
		return err
	}
	code := strings.ToUpper(e.code())
	if code == estimateCode {
		day := wall.Format(parcel.DayLayout)
		reading.Estimates = append(reading.Estimates, parcel.Estimate{Number: number, Earliest: day, Last: day})
		return nil
	}
	reading.Observations = append(reading.Observations, c.observe(event{
		number: number, code: code, words: cmp.Or(string(e.EventNm), string(e.EventName)),
		text: text, wall: wall, location: string(e.EventLocation),
	}, way))
	return nil
}

// restTime reads the clock face that the reporting post wrote. In the form
// /Date(1792465200000+0200)/ the epoch and the offset are both the server's
// making; their sum is what the post said. An ISO time is the face as it is,
// whatever offset stands behind it.
func restTime(text string) (time.Time, error) {
	bad := fmt.Errorf("time %.40q: %w", text, parcel.ErrMalformed)
	inner, ok := strings.CutPrefix(text, "/Date(")
	if !ok {
		for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04"} {
			if t, err := time.Parse(form, text); err == nil {
				return t, nil
			}
		}
		return time.Time{}, bad
	}
	inner, ok = strings.CutSuffix(inner, ")/")
	if !ok {
		return time.Time{}, bad
	}
	offset := 0
	// A sign in front is the epoch's own: times before 1970.
	if i := strings.LastIndexAny(inner, "+-"); i > 0 {
		seconds, err := parcel.ParseOffset(inner[i:])
		if err != nil {
			return time.Time{}, bad
		}
		inner, offset = inner[:i], seconds
	}
	ms, err := strconv.ParseInt(inner, 10, 64)
	const farthest = 253402300799000 // the end of the year 9999, in ms
	if err != nil || ms < 0 || ms > farthest {
		return time.Time{}, bad
	}
	return time.UnixMilli(ms).UTC().Add(time.Duration(offset) * time.Second), nil
}

// country is the code, or nothing if it is none.
func country(code carrierkit.Text) parcel.Country {
	if c := parcel.Country(strings.ToUpper(code.String())); c.Valid() {
		return c
	}
	return ""
}
