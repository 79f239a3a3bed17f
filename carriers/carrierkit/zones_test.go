package carrierkit_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestZonesLocal(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	var z carrierkit.Zones
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		name, text, layout string
		place              parcel.Place
		fallback           string
		want               parcel.Moment
	}{
		{
			"the place's own zone", "2026-10-28 18:33:00", layout, parcel.Place{Country: "DE"}, "Asia/Shanghai",
			parcel.Moment{At: at("2026-10-28T17:33:00Z"), Wall: "2026-10-28T18:33:00", Text: "2026-10-28 18:33:00", Zone: "Europe/Berlin", OffsetSeconds: 3600, HasOffset: true, Certainty: parcel.CertaintyPlace},
		},
		{
			"fallback", "2026-10-28 18:33:00", layout, parcel.Place{}, "Asia/Shanghai",
			parcel.Moment{At: at("2026-10-28T10:33:00Z"), Wall: "2026-10-28T18:33:00", Text: "2026-10-28 18:33:00", Zone: "Asia/Shanghai", OffsetSeconds: 8 * 3600, HasOffset: true, Certainty: parcel.CertaintyAssumed},
		},
		{
			"nothing known", "2026-10-28 18:33:00", layout, parcel.Place{}, "",
			parcel.Moment{At: at("2026-10-28T18:33:00Z"), Wall: "2026-10-28T18:33:00", Text: "2026-10-28 18:33:00", Certainty: parcel.CertaintyUnknown},
		},
		{
			"bad zone name", "2026-10-28 18:33:00", layout, parcel.Place{TimeZone: "Mars/Olympus"}, "Local",
			parcel.Moment{At: at("2026-10-28T18:33:00Z"), Wall: "2026-10-28T18:33:00", Text: "2026-10-28 18:33:00", Certainty: parcel.CertaintyUnknown},
		},
		{
			"day", "28.10.2026", "02.01.2006", parcel.Place{Country: "DE"}, "",
			parcel.Moment{At: at("2026-10-27T23:00:00Z"), Wall: "2026-10-28", Text: "28.10.2026", Zone: "Europe/Berlin", OffsetSeconds: 3600, HasOffset: true, Certainty: parcel.CertaintyPlace},
		},
		{"nothing written", " ", layout, parcel.Place{Country: "DE"}, "", parcel.Moment{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := z.Local(tt.text, tt.layout, tt.place, tt.fallback, parcel.CertaintyAssumed)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := z.Local("28/10/2026", layout, parcel.Place{}, "", ""); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}

func TestZonesGuess(t *testing.T) {
	var z carrierkit.Zones
	got, err := z.Guess("2026-10-28 18:33:00", "2006-01-02 15:04:05", parcel.Place{Country: "DE"}, "Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	want := parcel.Moment{
		At: time.Date(2026, 10, 28, 17, 33, 0, 0, time.UTC), Wall: "2026-10-28T18:33:00", Text: "2026-10-28 18:33:00",
		Zone: "Europe/Berlin", OffsetSeconds: 3600, HasOffset: true, Certainty: parcel.CertaintyUnknown,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestZonesConcurrently(t *testing.T) {
	var z carrierkit.Zones
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, name := range []string{"Europe/Moscow", "Asia/Vladivostok", "America/Sao_Paulo", "No/Where", ""} {
				if got := z.Location(name); (got == nil) != (name == "No/Where" || name == "") {
					t.Errorf("Location(%q) = %v", name, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestOffsetBetween(t *testing.T) {
	instant := time.Date(2026, 10, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		apart time.Duration
		ok    bool
	}{
		{"China", 8 * time.Hour, true},
		{"Nepal", 5*time.Hour + 45*time.Minute, true},
		{"the date line, east", 14 * time.Hour, true},
		{"the date line, west", -12 * time.Hour, true},
		{"beyond it", 15 * time.Hour, false},
		{"a slip", 8*time.Hour + time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loc, ok := carrierkit.OffsetBetween(instant.Add(tt.apart), instant)
			if ok != tt.ok {
				t.Fatalf("ok %v", ok)
			}
			if !ok {
				return
			}
			if _, seconds := instant.In(loc).Zone(); time.Duration(seconds)*time.Second != tt.apart {
				t.Errorf("%d seconds", seconds)
			}
		})
	}
}
