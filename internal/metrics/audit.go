package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-sessions/latchkey/audit"
)

// Audit counts what happened to audit events, if there is a trail.
func (m *Metrics) Audit(counts func() audit.Counts) {
	counter := func(name, help string, value func(audit.Counts) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help},
			func() float64 { return float64(value(counts())) })
	}
	m.registry.MustRegister(
		counter("audit_events_total", "Audit events that were written.", func(c audit.Counts) uint64 { return c.Written }),
		counter("audit_lost_total", "Audit events that were lost, as too many waited to be written.", func(c audit.Counts) uint64 { return c.Lost }),
		counter("audit_write_failures_total", "Attempts to write an audit event that failed. They are tried again once a second.", func(c audit.Counts) uint64 { return c.Failures }),
		gauge("audit_waiting", "Audit events that wait to be written.", func() float64 { return float64(counts().Waiting) }),
	)
}
