package parcel

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Sketch counts durations in buckets that grow by a quarter power of two, from
// a millisecond up: quantiles are exact to within a tenth, and merging sketches
// is adding counts. Shorter durations count as a millisecond, longer ones than
// about 270 years do not exist. A nil Sketch is empty.
type Sketch map[int]int

// SketchBucket is the bucket of a duration: 0 is up to a millisecond.
func SketchBucket(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	return int(math.Ceil(4 * math.Log2(float64(d)/float64(time.Millisecond))))
}

// sketchValue is the middle of a bucket, by its logarithm.
func sketchValue(bucket int) time.Duration {
	if bucket <= 0 {
		return time.Millisecond
	}
	return time.Duration(math.Exp2((float64(bucket)-0.5)/4) * float64(time.Millisecond))
}

// Add counts a duration.
func (s Sketch) Add(d time.Duration) { s[SketchBucket(d)]++ }

// Merge adds another sketch's counts.
func (s Sketch) Merge(other Sketch) {
	for b, n := range other {
		s[b] += n
	}
}

// N is how many durations were counted.
func (s Sketch) N() int {
	n := 0
	for _, c := range s {
		n += c
	}
	return n
}

// Quantile is the duration that the share q of all counted does not exceed; ok
// is false where nothing was counted.
func (s Sketch) Quantile(q float64) (d time.Duration, ok bool) {
	n := s.N()
	if n == 0 {
		return 0, false
	}
	rank := int(math.Ceil(min(max(q, 0), 1) * float64(n)))
	for _, b := range slices.Sorted(maps.Keys(s)) {
		if rank -= s[b]; rank <= 0 {
			return sketchValue(b), true
		}
	}
	return 0, false
}

// GapKey names what parcels' silences are counted by: after which milestone, in
// whose hands, on which lane.
type GapKey struct {
	Carrier   string
	Lane      Lane
	Milestone Milestone
}

// CarrierBeat is what one replica has seen of one carrier account since it
// began.
type CarrierBeat struct {
	Carrier string `json:"-"`
	Account string `json:"-"`
	Replica string `json:"-"`
	// At is when it was written, wall time.
	At time.Time `json:"-"`

	// Calls to the carrier, Numbers asked in them, Failures among the calls.
	Calls    int64 `json:"calls,omitempty"`
	Numbers  int64 `json:"numbers,omitempty"`
	Failures int64 `json:"failures,omitempty"`
	// Payloads kept by whatever door, and Refused ones such as forged pushes.
	Payloads int64 `json:"payloads,omitempty"`
	Refused  int64 `json:"refused,omitempty"`
	// Troubles counts failures by kind.
	Troubles map[Trouble]int64 `json:"troubles,omitempty"`
	// LastSuccess and LastFailure of a call or a push, and why the latter
	// failed; trade time.
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	LastFailure time.Time `json:"lastFailure,omitzero"`
	LastTrouble Trouble   `json:"lastTrouble,omitempty"`
	// RestUntil is how long calls rest because the carrier keeps failing, wall
	// time; zero if they do not.
	RestUntil time.Time `json:"restUntil,omitzero"`
	// Of the last hour: calls, failed ones, and their times.
	HourCalls    int64  `json:"hourCalls,omitempty"`
	HourFailures int64  `json:"hourFailures,omitempty"`
	Latency      Sketch `json:"latency,omitempty"`
	// Lag is from scan to us, of the events received in the last day.
	Lag Sketch `json:"lag,omitempty"`
	// Allowance in force; zero if unlimited.
	Allowance Allowance `json:"allowance,omitzero"`
}

// Add sums up two beats of one carrier.
func (b *CarrierBeat) Add(o *CarrierBeat) {
	b.Calls += o.Calls
	b.Numbers += o.Numbers
	b.Failures += o.Failures
	b.Payloads += o.Payloads
	b.Refused += o.Refused
	b.HourCalls += o.HourCalls
	b.HourFailures += o.HourFailures
	for t, n := range o.Troubles {
		if b.Troubles == nil {
			b.Troubles = map[Trouble]int64{}
		}
		b.Troubles[t] += n
	}
	if o.LastSuccess.After(b.LastSuccess) {
		b.LastSuccess = o.LastSuccess
	}
	if o.LastFailure.After(b.LastFailure) {
		b.LastFailure, b.LastTrouble = o.LastFailure, o.LastTrouble
	}
	if o.RestUntil.After(b.RestUntil) {
		b.RestUntil = o.RestUntil
	}
	if o.At.After(b.At) {
		b.At = o.At
	}
	if b.Latency == nil {
		b.Latency = Sketch{}
	}
	if b.Lag == nil {
		b.Lag = Sketch{}
	}
	b.Latency.Merge(o.Latency)
	b.Lag.Merge(o.Lag)
}
