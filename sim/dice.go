package sim

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// dice is a stream of chance named by a seed and an ordinal: the same name
// gives the same stream on every machine. It is not safe for concurrent use.
type dice struct{ src rand.PCG }

func newDice(seed, stream uint64) dice {
	var d dice
	d.src.Seed(seed, scramble(stream))
	return d
}

// scramble spreads neighbouring ordinals over all of the 64 bits (the finaliser
// of SplitMix64), so that their streams have nothing in common.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit is uniform in the open interval from 0 to 1.
func (d *dice) unit() float64 { return (float64(d.src.Uint64()>>11) + 0.5) / (1 << 53) }

// chance is true with probability p.
func (d *dice) chance(p float64) bool { return d.unit() < p }

// below is uniform in 0 to n-1.
func (d *dice) below(n int) int {
	hi, _ := bits.Mul64(d.src.Uint64(), uint64(n))
	return int(hi)
}

// between is uniform from low to high.
func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.unit()*float64(high-low))
}

// LogNormal is the distribution of a duration whose logarithm is normal. The
// zero value is always zero.
type LogNormal struct {
	// Median is the duration that half of them exceed.
	Median time.Duration
	// Sigma is the standard deviation of the logarithm.
	Sigma float64
}

// Quantile is the duration that a share p of them stay below, for p above 0
// and below 1.
func (l LogNormal) Quantile(p float64) time.Duration {
	return time.Duration(float64(l.Median) * factor(l.Sigma, p))
}

// CDF is the share of them that stay below d.
func (l LogNormal) CDF(d time.Duration) float64 {
	switch {
	case d <= 0:
		return 0
	case l.Sigma == 0:
		if d < l.Median {
			return 0
		}
		return 1
	}
	return 0.5 * math.Erfc(-math.Log(float64(d)/float64(l.Median))/(l.Sigma*math.Sqrt2))
}

// Mean is the mean duration.
func (l LogNormal) Mean() time.Duration {
	return time.Duration(float64(l.Median) * math.Exp(l.Sigma*l.Sigma/2))
}

// factor is the p-quantile of a log-normal number of median 1.
func factor(sigma, p float64) float64 { return math.Exp(sigma * probit(p)) }

// probit is the inverse of the standard normal distribution.
func probit(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
