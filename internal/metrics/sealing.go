package metrics

import "github.com/prometheus/client_golang/prometheus"

// UnsealedReads watches how often unsealed session data was read although new data is
// sealed.
func (m *Metrics) UnsealedReads(count func() int64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "unsealed_data_reads_total",
		Help: "Reads of unsealed session data, although new data is sealed.",
	}, func() float64 { return float64(count()) }))
}
