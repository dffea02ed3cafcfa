package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-sessions/latchkey/cleanup"
)

// cleanups counts what cleanup removed, on the replica that did it.
type cleanups struct {
	removed          map[string]prometheus.Counter
	batches          prometheus.Counter
	duration, failed prometheus.Counter
}

func newCleanups(registry prometheus.Registerer) *cleanups {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	c := &cleanups{
		removed:  map[string]prometheus.Counter{},
		batches:  counter("cleanup_batches_total", "Batches that cleanup removed."),
		duration: counter("cleanup_seconds_total", "How long cleanup ran."),
		failed:   counter("cleanup_failures_total", "Runs of cleanup that ended with an error. They are tried again."),
	}
	removed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "cleanup_removed_total",
		Help: "Rows that cleanup removed: sessions that had expired, were revoked or too old, and token pairs that a session no longer needed.",
	}, []string{"kind"})
	for _, kind := range []string{"expired", "revoked", "aged", "superfluous"} {
		c.removed[kind] = removed.WithLabelValues(kind)
	}
	registry.MustRegister(removed, c.batches, c.duration, c.failed)
	return c
}

// Cleaned counts a run of cleanup, or a leg of one, which failed if err is one.
func (m *Metrics) Cleaned(s cleanup.Summary, err error) {
	c := m.cleanup
	c.removed["expired"].Add(float64(s.Expired))
	c.removed["revoked"].Add(float64(s.Revoked))
	c.removed["aged"].Add(float64(s.Aged))
	c.removed["superfluous"].Add(float64(s.Superfluous))
	c.batches.Add(float64(s.Batches))
	c.duration.Add(s.Duration.Seconds())
	if err != nil {
		c.failed.Inc()
	}
}

// newJobs calls the label "kind": "job" is a label that Prometheus sets for scrape
// targets.
func newJobs(registry prometheus.Registerer) *prometheus.CounterVec {
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "job_failures_total",
		Help: "Attempts at a job that failed. With last=\"true\" it is not tried again.",
	}, []string{"kind", "last"})
	registry.MustRegister(failed)
	return failed
}

// Jobs names the kinds of jobs, so that the first failure of one
// is an increase.
func (m *Metrics) Jobs(kinds []string) {
	for _, kind := range kinds {
		m.jobs.WithLabelValues(kind, "false")
		m.jobs.WithLabelValues(kind, "true")
	}
}

// JobFailed counts a job's attempt that failed: last says that it was the last one.
// The job's kind must be one of our names.
func (m *Metrics) JobFailed(kind string, last bool) {
	m.jobs.WithLabelValues(kind, strconv.FormatBool(last)).Inc()
}
