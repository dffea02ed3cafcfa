// Package observability has no code: its tests check the dashboard and the alert rules
// of deploy/observability against the metrics of a running service. It is a separate
// module, so that Prometheus' requirements stay out of every other module.
package observability
