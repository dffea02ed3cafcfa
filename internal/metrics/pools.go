package metrics

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolMetrics are read from the pool's own counts, which costs nothing between scrapes.
var poolMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*pgxpool.Stat) float64
}{
	{
		poolDesc("pool_connections_max", "Connections that the pool may have."), prometheus.GaugeValue,
		func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) },
	},
	{
		poolDesc("pool_connections_open", "Connections of the pool, including those being made."), prometheus.GaugeValue,
		func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) },
	},
	{
		poolDesc("pool_connections_in_use", "Connections that are in use."), prometheus.GaugeValue,
		func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) },
	},
	{
		poolDesc("pool_connections_made_total", "Connections that were made."), prometheus.CounterValue,
		func(s *pgxpool.Stat) float64 { return float64(s.NewConnsCount()) },
	},
	{
		poolDesc("pool_acquired_total", "How often a connection was acquired."), prometheus.CounterValue,
		func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) },
	},
	{
		poolDesc("pool_waited_total", "How often a connection had to be waited for, or made, because none was idle."), prometheus.CounterValue,
		func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) },
	},
	{
		poolDesc("pool_wait_seconds_total", "For how long connections were waited for, or made, because none was idle."), prometheus.CounterValue,
		func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() },
	},
	{
		poolDesc("pool_given_up_total", "How often a caller stopped waiting for a connection."), prometheus.CounterValue,
		func(s *pgxpool.Stat) float64 { return float64(s.CanceledAcquireCount()) },
	},
}

func poolDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, []string{"pool"}, nil)
}

type pools map[string]*pgxpool.Pool

// Pools watches connection pools, by our names.
func (m *Metrics) Pools(named map[string]*pgxpool.Pool) { m.registry.MustRegister(pools(named)) }

// Describe names what Collect gives.
func (p pools) Describe(to chan<- *prometheus.Desc) {
	for _, metric := range poolMetrics {
		to <- metric.desc
	}
}

// Collect reads the pools.
func (p pools) Collect(to chan<- prometheus.Metric) {
	for name, pool := range p {
		stat := pool.Stat()
		for _, metric := range poolMetrics {
			to <- prometheus.MustNewConstMetric(metric.desc, metric.kind, metric.value(stat), name)
		}
	}
}
