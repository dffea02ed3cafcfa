package metrics

import "github.com/prometheus/client_golang/prometheus"

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
