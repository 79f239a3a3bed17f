package carrierkit_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestText(t *testing.T) {
	for in, want := range map[string]carrierkit.Text{
		`"a "`: "a ", `12345678901234567890`: "12345678901234567890", `1.50`: "1.50", `true`: "true",
		`null`: "", `{"a":1}`: "", `[1]`: "", `""`: "", `"\u0041"`: "A",
	} {
		got := carrierkit.Text("old")
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want && in != `null` {
			t.Errorf("%s reads as %q, %v, want %q", in, got, err, want)
		}
	}
	for in, want := range map[carrierkit.Text]bool{"true": true, " TRUE": true, "1": true, "Y": true, "0": false, "": false, "no": false} {
		if in.True() != want {
			t.Errorf("%q.True() = %v", in, !want)
		}
	}
	if n, ok := carrierkit.Text(" 42 ").Int(); n != 42 || !ok {
		t.Error("42 is no number")
	}
	if _, ok := carrierkit.Text("4.2").Int(); ok {
		t.Error("4.2 is a whole number")
	}
}

func TestList(t *testing.T) {
	type item struct{ A int }
	for _, tt := range []struct {
		name, in string
		want     []item
		faults   int
	}{
		{"array", `[{"A":1},{"A":2}]`, []item{{1}, {2}}, 0},
		{"bad ones apart", `[{"A":1},{"A":"x"},7,null,{"A":2}]`, []item{{1}, {2}}, 2},
		{"object alone", `{"A":1}`, []item{{1}}, 0},
		{"null", `null`, nil, 0},
		{"empty string", `""`, nil, 0},
		{"another thing", `"x"`, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got struct{ L carrierkit.List[item] }
			if err := json.Unmarshal([]byte(`{"L":`+tt.in+`}`), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.L.Items); diff != "" {
				t.Error(diff)
			}
			if len(got.L.Faults) != tt.faults || len(got.L.Faults) > 0 && !errors.Is(got.L.Faults[0], parcel.ErrMalformed) {
				t.Errorf("faults %v, want %d", got.L.Faults, tt.faults)
			}
		})
	}
}

func TestUnwrap(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		ok, bad   bool
	}{
		{"object", `{"a":"x"}`, true, false},
		{"object in a text", `" {\"a\":\"x\"} "`, true, false},
		{"null", `null`, false, false},
		{"empty text", `""`, false, false},
		{"absent", ``, false, false},
		{"a list", `[1]`, false, true},
		{"words", `"none"`, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v struct {
				A carrierkit.Text `json:"a"`
			}
			ok, err := carrierkit.Unwrap([]byte(tt.raw), &v)
			if ok != tt.ok || (err != nil) != tt.bad || tt.bad && !errors.Is(err, parcel.ErrMalformed) || ok && v.A != "x" {
				t.Errorf("%v, %v, %q", ok, err, v.A)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	got := carrierkit.Numbers([]carriers.Query{{Number: "b 1"}, {Number: ""}, {Number: "A1"}, {Number: "B1"}})
	if d := cmp.Diff([]string{"B1", "A1"}, got); d != "" {
		t.Error(d)
	}
}
