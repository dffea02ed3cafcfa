package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

const (
	eventDelivered = "delivered"
	eventFailed    = "failed" // and is retried
	eventDead      = "dead"   // it is not retried automatically
)

func newEvents(registry prometheus.Registerer) *prometheus.CounterVec {
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "event_deliveries_total",
		Help: "Attempts to deliver an event. One that failed is tried again, one that is dead is not.",
	}, []string{"endpoint", "outcome"})
	registry.MustRegister(deliveries)
	return deliveries
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

var (
	eventsBehindDesc = prometheus.NewDesc(namespace+"_events_behind_seconds",
		"How long ago events were last read from the sessions, by any replica.", nil, nil)
	eventsWaitingDesc = prometheus.NewDesc(namespace+"_events_waiting",
		"Events waiting for delivery.", []string{"endpoint"}, nil)
	eventsOldestDesc = prometheus.NewDesc(namespace+"_events_oldest_seconds",
		"How long the first of them has waited; 0 for none.", []string{"endpoint"}, nil)
	eventsDeadDesc = prometheus.NewDesc(namespace+"_events_dead",
		"Events that could not be delivered and are not retried automatically.", []string{"endpoint"}, nil)
)
