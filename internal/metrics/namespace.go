package metrics

import "github.com/prometheus/client_golang/prometheus"

// namespace is the prefix of all our names.
const namespace = "latchkey"

// gauge is a metric that is read when it is scraped.
func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value)
}
