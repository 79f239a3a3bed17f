package parcel

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLane(t *testing.T) {
	for _, tc := range []struct {
		code string
		want Lane
	}{
		{"CN-BR", Lane{"CN", "BR"}},
		{"cn-ru", Lane{"CN", "RU"}},
		{"-BR", Lane{"", "BR"}},
		{"CN-", Lane{"CN", ""}},
		{"DE-DE", Lane{"DE", "DE"}},
	} {
		t.Run(tc.code, func(t *testing.T) {
			got, err := ParseLane(tc.code)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ParseLane (-want +got):\n%s", diff)
			}
			if again, err := ParseLane(got.Code()); err != nil || again != got {
				t.Errorf("ParseLane(%q) = %v, %v; want %v", got.Code(), again, err, got)
			}
		})
	}
	if got := (Lane{"CN", "BR"}).Code(); got != "CN-BR" {
		t.Errorf("Code() = %q", got)
	}
	if got := (Lane{}).Code(); got != "" {
		t.Errorf("zero Code() = %q", got)
	}
	for _, code := range []string{"", "-", "CN", "CNBR", "CN-XX", "China-Brazil", "CN-BR-RU", "CNSZX-BRSAO", "CN–BR"} {
		if got, err := ParseLane(code); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseLane(%q) = %v, %v; want ErrInvalid", code, got, err)
		}
	}
}

func TestPlaceZero(t *testing.T) {
	if !(Place{}).IsZero() || (Place{City: "Shenzhen"}).IsZero() {
		t.Error("IsZero is wrong")
	}
	text, err := json.Marshal(Place{Country: "CN", City: "Shenzhen"})
	if err != nil || string(text) != `{"country":"CN","city":"Shenzhen"}` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestPlaceFold(t *testing.T) {
	for in, want := range map[string]string{
		"São Paulo": "saopaulo", "SA\u0303O PAULO": "saopaulo", "St. Petersburg": "saintpetersburg", "Санкт-Петербург": "санктпетербург",
		"Орёл": "орел", "Йошкар-Ола": "иошкарола", "Łódź": "lodz", "Đà Nẵng": "danang", "Straße": "strasse", "Ærø": "aero",
		"The Bronx": "bronx", "  ": "", "Ｍｏｓｃｏｗ": "moscow", "\u200bMoscow\ufeff": "moscow", "İzmir": "izmir",
	} {
		if got := placeFold(in); got != want {
			t.Errorf("placeFold(%q) = %q, want %q", in, got, want)
		}
	}
}
