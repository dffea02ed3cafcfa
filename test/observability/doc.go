// Package observability has no code: its tests hold the dashboard and the alert
// rules of deploy/observability against the metrics of a service that runs. It is
// a module of its own, so that Prometheus' requirements stay out of every other module.
package observability
