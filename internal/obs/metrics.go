package obs

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Namespace begins the name of every metric of the gateway.
const Namespace = "milepost"

// NewRegistry returns a registry with the Go runtime, the process and
// milepost_build_info in it. Each server has its own, so that two in one
// process, as in tests, do not meet; nothing uses Prometheus' global one.
func NewRegistry(b Build) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: Namespace, Name: "build_info",
		Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{
			"version": b.Version, "revision": b.Revision, "modified": strconv.FormatBool(b.Modified), "go": b.Go,
		},
	})
	info.Set(1)
	r.MustRegister(info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Metrics makes the metrics of one part of the gateway and registers them as
// it makes them, under milepost_SUBSYSTEM_. Its zero value registers
// nothing, so a part that was given no registry still counts, unseen. Making
// a metric twice in one registry panics: it is a mistake of the program.
type Metrics struct {
	registry  prometheus.Registerer
	subsystem string
}

// NewMetrics returns the metrics of subsystem in r, which may be nil.
func NewMetrics(r prometheus.Registerer, subsystem string) Metrics {
	return Metrics{registry: r, subsystem: subsystem}
}

func register[C prometheus.Collector](m Metrics, c C) C {
	if m.registry != nil {
		m.registry.MustRegister(c)
	}
	return c
}

// Counter makes a number that only grows. Its name ends in _total.
func (m Metrics) Counter(name, help string, labels ...string) *prometheus.CounterVec {
	return register(m, prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: Namespace, Subsystem: m.subsystem, Name: name, Help: help,
	}, labels))
}

// Gauge makes a number that goes up and down.
func (m Metrics) Gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: Namespace, Subsystem: m.subsystem, Name: name, Help: help,
	}, labels))
}

// GaugeFunc makes a number that is asked for when metrics are read; read is
// called from any goroutine.
func (m Metrics) GaugeFunc(name, help string, read func() float64) {
	register(m, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: Namespace, Subsystem: m.subsystem, Name: name, Help: help,
	}, read))
}

// Seconds makes a histogram of durations, from a millisecond to a minute.
// Its name ends in _seconds. Use [Observe] to add to it.
func (m Metrics) Seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	return m.Histogram(name, help, []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}, labels...)
}

// Histogram makes a distribution with the given upper bounds.
func (m Metrics) Histogram(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	return register(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: Namespace, Subsystem: m.subsystem, Name: name, Help: help, Buckets: bounds,
	}, labels))
}

// Observe adds d to a histogram made by Seconds.
func Observe(o prometheus.Observer, d time.Duration) { o.Observe(d.Seconds()) }
