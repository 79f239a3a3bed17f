package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/milepost-gateway/milepost/internal/obs"
)

// numbers gives Prometheus what the rooms count, when it asks.
type numbers struct{ *server }

var _ prometheus.Collector = (*numbers)(nil)

func describe(subsystem, name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(obs.Namespace, subsystem, name), help, labels, nil)
}

// carrierMetrics is what is told of each carrier.
func carrierMetrics() []struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
} {
	return []struct {
		desc *prometheus.Desc
		kind prometheus.ValueType
	}{
		{describe("carrier", "calls_total", "Calls made to the carrier.", "carrier"), prometheus.CounterValue},
		{describe("carrier", "numbers_total", "Tracking numbers asked for in those calls.", "carrier"), prometheus.CounterValue},
		{describe("carrier", "failures_total", "Calls that failed.", "carrier"), prometheus.CounterValue},
		{describe("carrier", "payloads_total", "Payloads kept, by whatever door.", "carrier"), prometheus.CounterValue},
		{describe("carrier", "refused_total", "Payloads refused, such as forged pushes.", "carrier"), prometheus.CounterValue},
		{describe("carrier", "call_seconds_mean", "Mean time of a call since start.", "carrier"), prometheus.GaugeValue},
		{describe("carrier", "last_success_seconds", "When a call last succeeded, in trade time since 1970; 0 for never.", "carrier"), prometheus.GaugeValue},
		{describe("carrier", "news_delay_seconds_median", "Median time from a scan to its receipt, of the last 24 hours; 0 if unknown.", "carrier"), prometheus.GaugeValue},
		{describe("carrier", "news_delay_seconds_95", "The same, 95th percentile.", "carrier"), prometheus.GaugeValue},
		{describe("carrier", "resting", "1 while calls rest because the carrier keeps failing.", "carrier"), prometheus.GaugeValue},
		{describe("carrier", "unmapped_total", "Observations with a code that nobody mapped.", "carrier"), prometheus.CounterValue},
	}
}

// troubleMetric counts what went wrong with a carrier, by kind.
func troubleMetric() *prometheus.Desc {
	return describe("carrier", "troubles_total", "Failed calls and unreadable answers, by kind.", "carrier", "kind")
}

// budgetMetric is what is left of an account's budget.
func budgetMetric() *prometheus.Desc {
	return describe("carrier", "budget_left", "Calls left in the account's quota window, of all replicas together, as this one last heard; limited accounts alone.", "carrier", "account")
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// doorMetrics is what is told of the front door and the log.
func doorMetrics() []*prometheus.Desc {
	return []*prometheus.Desc{
		describe("gateway", "requests", "HTTP requests under way, sockets among them."),
		describe("gateway", "sockets", "WebSockets and event streams open."),
		describe("gateway", "subscriptions", "Subscriptions under way on them."),
		describe("carrier", "descriptions", "Descriptions of carriers in force."),
		describe("carrier", "descriptions_not_taken", "Files of --carriers-dir that are not in force as they stand."),
		describe("log", "position", "Highest position of the change log that this process knows."),
	}
}

// Describe implements [prometheus.Collector].
func (n *numbers) Describe(out chan<- *prometheus.Desc) {
	for _, m := range carrierMetrics() {
		out <- m.desc
	}
	for _, d := range append(doorMetrics(), troubleMetric(), budgetMetric()) {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (n *numbers) Collect(out chan<- prometheus.Metric) {
	unmapped := map[string]int{}
	for _, u := range n.ingest.UnmappedCodes() {
		unmapped[u.Carrier] += u.Count
	}
	metrics := carrierMetrics()
	for _, c := range n.ingest.Stats() {
		success := 0.0
		if !c.LastSuccess.IsZero() {
			success = float64(c.LastSuccess.UnixMilli()) / 1000
		}
		for i, v := range []float64{
			float64(c.Calls), float64(c.Numbers), float64(c.Failures), float64(c.Payloads), float64(c.Refused),
			c.MeanLatency.Seconds(), success, c.LagMedian.Seconds(), c.Lag95.Seconds(), oneIf(c.Resting), float64(unmapped[c.Carrier]),
		} {
			out <- prometheus.MustNewConstMetric(metrics[i].desc, metrics[i].kind, v, c.Carrier)
		}
		// Kinds of trouble are a closed list.
		for kind, times := range c.Troubles {
			out <- prometheus.MustNewConstMetric(troubleMetric(), prometheus.CounterValue, float64(times), c.Carrier, string(kind))
		}
	}
	for _, b := range n.ingest.Budgets() {
		out <- prometheus.MustNewConstMetric(budgetMetric(), prometheus.GaugeValue, float64(b.Left), b.Carrier, b.Account)
	}
	g := n.gateway.Stats()
	for i, v := range []float64{
		float64(g.Requests), float64(g.Sockets), float64(g.Subs),
		float64(len(n.catalog.shelf().Carriers)), float64(len(n.catalog.faults())), float64(n.bell.Position()),
	} {
		out <- prometheus.MustNewConstMetric(doorMetrics()[i], prometheus.GaugeValue, v)
	}
}
