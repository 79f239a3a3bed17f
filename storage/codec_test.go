package storage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/milepost-gateway/milepost/parcel"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite golden files")

// draw fills any value of the language, field by field, so that a field which
// the codec does not know fails the round trip on the day it is added.
func draw(t *rapid.T, v reflect.Value, events, legs int) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		if rapid.Bool().Draw(t, "timed") {
			micro := rapid.Int64Range(1, 4e15).Draw(t, "micros")
			if rapid.Bool().Draw(t, "whole second") {
				micro = micro/1e6*1e6 + 1e6
			}
			*x = time.UnixMicro(micro).UTC()
		}
		return
	case *parcel.Journey:
		x.Events = make([]parcel.TimelineEvent, events)
		x.Legs = make([]parcel.Leg, legs)
		if events == 0 {
			x.Events = nil
		}
		if legs == 0 {
			x.Legs = nil
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			if v.Type() == reflect.TypeFor[parcel.Journey]() && (name == "Events" || name == "Legs") {
				for k := range f.Len() {
					draw(t, f.Index(k), events, legs)
				}
				continue
			}
			if f.Kind() == reflect.Int {
				if limit, ok := indexes(v.Type(), name, events, legs); ok {
					f.SetInt(int64(rapid.IntRange(-1, limit-1).Draw(t, name)))
					continue
				}
			}
			draw(t, f, events, legs)
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, "n"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(t, v.Index(i), events, legs)
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem(), events, legs)
		}
	case reflect.String:
		v.SetString(rapid.OneOf(
			rapid.SampledFrom([]string{"", "", "a", "CN", "DELIVERED", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "00ff00ff", "00ff00f", "0123456789abcdef0123456789abcdef", "entrega não efetuada"}),
			rapid.String(),
		).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	default:
		t.Fatalf("the codec test cannot draw a %s", v.Type())
	}
}

// indexes names the fields that point into the journey.
func indexes(in reflect.Type, field string, events, legs int) (limit int, ok bool) {
	switch in.Name() + "." + field {
	case "Journey.OutcomeEvent", "Journey.Latest", "Reached.Event", "Leg.FirstEvent", "Leg.LastEvent", "Leg.NamedBy",
		"Handover.Released", "Handover.Accepted", "Exception.Opened", "Exception.Closed":
		return events, true
	case "Journey.CurrentLeg", "Custody.Leg", "TimelineEvent.Leg", "Handover.From", "Handover.To", "Handover.CountsAgainst", "Exception.Leg":
		return legs, true
	}
	return 0, false
}

func TestStateRoundTrip(t *testing.T) {
	var e encoder // one for all, as PutShipments uses it
	var table []string
	rapid.Check(t, func(t *rapid.T) {
		var want, got parcel.Shipment
		draw(t, reflect.ValueOf(&want).Elem(), rapid.IntRange(0, 4).Draw(t, "events"), rapid.IntRange(0, 3).Draw(t, "legs"))
		state := e.encodeState(nil, &want)
		if err := decodeState(state, &got, &table); err != nil {
			t.Fatal(err)
		}
		want.ID, want.MerchantID, want.ChangePosition = "", "", 0 // columns of their own
		want.CreatedAt, want.UpdatedAt = time.Time{}, time.Time{}
		clear(state) // nothing of it may be kept
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("decoded differs (-want +got):\n%s", diff)
		}
	})
}

func TestDocumentsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e, gotE parcel.Event
		draw(t, reflect.ValueOf(&e).Elem(), 0, 0)
		// What its columns say, and what has no meaning.
		e.Carrier, e.Number, e.ID, e.ShipmentID, e.EventKey, e.EventDigest, e.PayloadID, e.ReceivedAt = "", "", "", "", "", "", "", time.Time{}
		tidy(&e.Occurred)
		if err := decodeEvent([]byte(encodeEvent(&e)), &gotE); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, gotE); diff != "" {
			t.Fatalf("event differs (-want +got):\n%s", diff)
		}
		var c, gotC parcel.Change
		draw(t, reflect.ValueOf(&c).Elem(), 0, 0)
		c.Position, c.MerchantID, c.ShipmentID, c.Kind, c.LoggedAt = 0, "", "", "", time.Time{}
		tidy(&c.Occurred)
		if err := decodeChange([]byte(encodeChange(&c)), &gotC); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, gotC); diff != "" {
			t.Fatalf("change differs (-want +got):\n%s", diff)
		}
	})
}

// tidy drops an offset that is not one.
func tidy(m *parcel.Moment) {
	if !m.HasOffset {
		m.OffsetSeconds = 0
	}
}

// goldenShipment has something in every field, two of every list, whatever the
// rules of the fold are today.
func goldenShipment() *parcel.Shipment {
	s := &parcel.Shipment{}
	n := 0
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		n++
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = time.Date(2026, 10, 1, 3, 4, n, n%2*1000, time.UTC)
			return
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Field(i).Name
				if _, ok := indexes(v.Type(), name, 2, 2); ok {
					v.Field(i).SetInt(int64(n%3 - 1))
					n++
					continue
				}
				fill(v.Field(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem())
		case reflect.String:
			v.SetString([]string{"word " + strconv.Itoa(n), "São Paulo", "01ARZ3NDEKTSV4RRFFQ69G5FAV", fmt.Sprintf("%032x", n)}[n%4])
		case reflect.Bool:
			v.SetBool(n%2 == 0)
		case reflect.Int, reflect.Int64:
			v.SetInt(int64(n * 1000))
		}
	}
	fill(reflect.ValueOf(s).Elem())
	return s
}

// TestStateGolden fails if the layout changes: then codecVersion must too,
// since every stored state is of the old one.
func TestStateGolden(t *testing.T) {
	want := goldenShipment()
	var e encoder
	state := e.encodeState(nil, want)
	// The version of the rules changes without the layout.
	layout := bytes.Replace(state, []byte(parcel.RuleVersion), []byte("RULES"), 1)
	file := filepath.Join("testdata", "state-v"+strings.Split(stateVersion, "/")[0]+".hex")
	if *update {
		if err := os.WriteFile(file, []byte(hex.Dump(layout)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(golden), hex.Dump(layout)); diff != "" {
		t.Errorf("the layout of the state has changed; raise codecVersion and run with -update (-golden +now):\n%s", diff)
	}
	var got parcel.Shipment
	var table []string
	if err := decodeState(state, &got, &table); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Journey, got.Journey); diff != "" {
		t.Errorf("journey (-want +got):\n%s", diff)
	}
}

func TestStateOfOtherVersionsIsStale(t *testing.T) {
	var e encoder
	state := e.encodeState(nil, goldenShipment())
	codec := bytes.Clone(state)
	codec[0]++
	rules := bytes.Replace(state, []byte(parcel.RuleVersion), []byte("1999-01-01"), 1)
	for name, data := range map[string][]byte{"empty": nil, "another codec": codec, "other rules": rules} {
		t.Run(name, func(t *testing.T) {
			var s parcel.Shipment
			var table []string
			if err := decodeState(data, &s, &table); !errors.Is(err, errStale) {
				t.Errorf("got %v, want %v", err, errStale)
			}
		})
	}
}

// TestStateCutShort: no prefix of a state decodes, and none panics.
func TestStateCutShort(t *testing.T) {
	var e encoder
	state := e.encodeState(nil, goldenShipment())
	var table []string
	for n := range state {
		var s parcel.Shipment
		if err := decodeState(state[:n], &s, &table); err == nil {
			t.Fatalf("the first %d of %d bytes decode", n, len(state))
		}
	}
	var s parcel.Shipment
	if err := decodeState(append(state, 0), &s, &table); !errors.Is(err, parcel.ErrMalformed) {
		t.Errorf("a byte too many gives %v", err)
	}
}

func FuzzDecodeState(f *testing.F) {
	var e encoder
	f.Add(e.encodeState(nil, goldenShipment()))
	f.Add(e.encodeState(nil, &parcel.Shipment{Journey: parcel.Fold(&parcel.Shipment{}, nil, nil)}))
	head := e.encodeState(nil, &parcel.Shipment{})[:2+len(parcel.RuleVersion)]
	f.Add(append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff, 0x0f))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s parcel.Shipment
		var table []string
		if err := decodeState(data, &s, &table); err != nil {
			return
		}
		// What decodes is safe to walk, and once its text is made valid it says
		// itself again.
		_ = s.Steps(false)
		_, _ = s.Journey.LatestEvent()
		var once, twice parcel.Shipment
		for _, step := range []struct{ from, to *parcel.Shipment }{{&s, &once}, {&once, &twice}} {
			if err := decodeState(e.encodeState(nil, step.from), step.to, &table); err != nil {
				t.Fatalf("decoded once but not again: %v", err)
			}
		}
		if diff := cmp.Diff(once, twice, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("decoded twice differs:\n%s", diff)
		}
	})
}

func FuzzUnpackTrackings(f *testing.F) {
	f.Add("ups\x1f1Z\x1f\x1f\x1f0\x1f0\x1f\x1f\x1f\x1f0\x1f0\x1f0\x1f0\x1f0")
	f.Add("")
	f.Fuzz(func(t *testing.T, packed string) {
		list, err := unpackTrackings(packed)
		if err != nil && !errors.Is(err, parcel.ErrMalformed) {
			t.Errorf("%q: %v", packed, err)
		}
		if err == nil && len(list) != strings.Count(packed, rowEnd)+1 {
			t.Errorf("%q: %d trackings", packed, len(list))
		}
	})
}

// TestBits: the columns' bits are stored, so each kind keeps its own.
func TestBits(t *testing.T) {
	for _, k := range parcel.ExceptionKinds() {
		if exceptionBits[k] == 0 {
			t.Errorf("exception %s has no bit", k)
		}
	}
	if got := exceptionBits[parcel.ExceptionPromiseMissed]; got != 1<<13 {
		t.Errorf("PROMISE_MISSED is bit %b", got)
	}
	if got := goodsBits[parcel.GoodsBlade]; got != 1<<7 {
		t.Errorf("BLADE is bit %b", got)
	}
}
