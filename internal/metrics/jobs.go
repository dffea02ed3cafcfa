package metrics

import "github.com/prometheus/client_golang/prometheus"

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
