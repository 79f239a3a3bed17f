package declared_test

import (
	"path/filepath"
	"testing"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/declared"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// BenchmarkLoad reads and checks a description.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := declared.Load(filepath.Join(examples, "kite-parcel.yaml"), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode reads an answer of one parcel with eight events.
func BenchmarkDecode(b *testing.B) {
	c, err := declared.Load(filepath.Join(examples, "kite-parcel.yaml"), nil)
	if err != nil {
		b.Fatal(err)
	}
	a, err := c.Spec.New(carriers.Env{Settings: map[string]string{"api_key": "x"}, Wall: clock.Wall()})
	if err != nil {
		b.Fatal(err)
	}
	p := parcel.Payload{Kind: "track", Body: sample(b, "kite-parcel/track.json"), Numbers: []string{"KP400100200SG"}}
	for b.Loop() {
		if _, err := a.Decode(p); err != nil {
			b.Fatal(err)
		}
	}
}
