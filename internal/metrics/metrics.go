// Package metrics counts what the service does, for Prometheus.
//
// It promises that a metric costs a request no allocation and well under a
// microsecond; that no label has a value which a caller can choose, so that the
// number of series is bounded; that nothing secret is in any of them; and that
// answering a scrape sends no query to the database.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace is the prefix of all our names.
const namespace = "latchkey"

// Metrics are one process's. Make them with [New].
type Metrics struct {
	registry *prometheus.Registry
	requests *requests
	sessions *sessions
	cleanup  *cleanups
	jobs     *prometheus.CounterVec
	events   *prometheus.CounterVec
	facts    *facts
	log      *slog.Logger
}

// New returns metrics of a program with the given version, which distinguish the sessions
// of the given clients. The logger, which is required, records problems with a scrape.
func New(version string, log *slog.Logger, clients ...string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), log: log}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info",
		Help: "The program that runs; always 1.",
	}, []string{"version", "go_version"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
	)
	m.requests = newRequests(m.registry)
	m.sessions = newSessions(m.registry, clients)
	m.cleanup = newCleanups(m.registry)
	m.jobs = newJobs(m.registry)
	m.events = newEvents(m.registry)
	m.facts = newFacts(m.registry)
	return m
}

// gauge is a metric that is read when it is scraped.
func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value)
}

// Handler answers a scrape with all metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(m.log.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError, // one bad metric must hide no other
		EnableOpenMetrics: true,
	})
}

// Gatherer gives tests the raw metrics.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
