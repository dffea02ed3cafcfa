package metrics

import (
	"math"
	"time"

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

// Clock watches how far this machine's clock is ahead of the database's, and how far
// off that may be. The function returns false while it is not known.
func (m *Metrics) Clock(read func() (offset, uncertainty time.Duration, known bool)) {
	m.registry.MustRegister(
		gauge("clock_offset_seconds", "How far this machine's clock is ahead of the database's; negative if it is behind, 0 before it is known.", func() float64 {
			offset, _, _ := read()
			return offset.Seconds()
		}),
		gauge("clock_uncertainty_seconds", "How far the offset may be wrong, either way; +Inf before it is known.", func() float64 {
			if _, uncertainty, known := read(); known {
				return uncertainty.Seconds()
			}
			return math.Inf(1)
		}),
	)
}

// UnsealedReads watches how often unsealed session data was read although new data is
// sealed.
func (m *Metrics) UnsealedReads(count func() int64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "unsealed_data_reads_total",
		Help: "Reads of unsealed session data, although new data is sealed.",
	}, func() float64 { return float64(count()) }))
}

// Revocations is what follows the sessions that are revoked: a verifier.
type Revocations interface {
	// Age is how old its knowledge is; the maximum duration before there is any.
	Age() time.Duration
	// Len is how many revoked sessions it remembers.
	Len() int
}

// Revocations watches how closely revocations are followed, together with the
// promised bound.
func (m *Metrics) Revocations(r Revocations, bound time.Duration) {
	m.registry.MustRegister(
		gauge("revocations_age_seconds", "Age of the data about revoked sessions; +Inf before there is any.", func() float64 {
			if age := r.Age(); age < math.MaxInt64 {
				return age.Seconds()
			}
			return math.Inf(1)
		}),
		gauge("revocations_bound_seconds", "Age above which each token is checked with the database (LATCHKEY_REVOCATION_BOUND).", bound.Seconds),
		gauge("revocations_remembered", "Revoked sessions that are remembered.", func() float64 { return float64(r.Len()) }),
	)
}
