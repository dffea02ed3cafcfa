// Package metrics counts what the service does, for Prometheus.
//
// It promises that a metric costs a request no allocation and well under a
// microsecond; that no label has a value which a caller can choose, so that the
// number of series is bounded; that nothing secret is in any of them; and that
// answering a scrape sends no query to the database.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

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

// Requests counts the requests of a server.
func (m *Metrics) Requests() httpapi.Observer { return m.requests }

// Sessions counts what a store does.
func (m *Metrics) Sessions() sessionstore.Observer { return m.sessions }

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

// Endpoints names the endpoints of events, so that the first failure of one
// is an increase.
func (m *Metrics) Endpoints(names []string) {
	for _, name := range names {
		for _, outcome := range []string{eventDelivered, eventFailed, eventDead} {
			m.events.WithLabelValues(name, outcome)
		}
	}
}

// Attempted counts an attempt to deliver an event, which failed if err is one: dead says
// that it was the last one.
func (m *Metrics) Attempted(endpoint string, err error, dead bool) {
	outcome := eventDelivered
	switch {
	case dead:
		outcome = eventDead
	case err != nil:
		outcome = eventFailed
	}
	m.events.WithLabelValues(endpoint, outcome).Inc()
}

// Follow queries the source once per minute until ctx ends; then it returns nil.
// Values that cannot be read are not changed.
func (m *Metrics) Follow(ctx context.Context, source Source) error {
	ticker := time.NewTicker(factsInterval)
	defer ticker.Stop()
	for {
		m.facts.learn(ctx, source, m.log)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Learn queries the source once.
func (m *Metrics) Learn(ctx context.Context, source Source) { m.facts.learn(ctx, source, m.log) }

// Refreshes returns how many refresh tokens were presented to this process, by outcome.
func (m *Metrics) Refreshes() map[string]int64 {
	totals := map[string]int64{}
	families, _ := m.registry.Gather() // a faulty metric is not among them
	for _, family := range families {
		if family.GetName() != namespace+"_refreshes_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "outcome" {
					totals[label.GetValue()] += int64(metric.GetCounter().GetValue())
				}
			}
		}
	}
	return totals
}
