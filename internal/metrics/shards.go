package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ShardState is the state of a shard.
type ShardState struct {
	Name   string
	IsUp   bool
	Weight float64
	// RevocationsAge is how old the knowledge of its revoked sessions is; the maximum duration
	// before there is any.
	RevocationsAge time.Duration
}

var (
	shardUp     = shardDesc("shard_up", "Whether the shard answers: 1 or 0.")
	shardWeight = shardDesc("shard_weight", "The shard's share of new sessions, compared with that of the others.")
	shardAge    = shardDesc("shard_revocations_age_seconds", "Age of the data about the shard's revocations; +Inf before there is any.")
)

func shardDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, []string{"shard"}, nil)
}

// shardStates are read at each scrape, which sends no query.
type shardStates func() []ShardState

// Shards watches the databases that sessions are spread over.
func (m *Metrics) Shards(states func() []ShardState) { m.registry.MustRegister(shardStates(states)) }

// Describe names what Collect gives.
func (s shardStates) Describe(to chan<- *prometheus.Desc) {
	to <- shardUp
	to <- shardWeight
	to <- shardAge
}

// Collect reads the states.
func (s shardStates) Collect(to chan<- prometheus.Metric) {
	for _, state := range s() {
		up, age := 0.0, math.Inf(1)
		if state.IsUp {
			up = 1
		}
		if state.RevocationsAge < math.MaxInt64 {
			age = state.RevocationsAge.Seconds()
		}
		to <- prometheus.MustNewConstMetric(shardUp, prometheus.GaugeValue, up, state.Name)
		to <- prometheus.MustNewConstMetric(shardWeight, prometheus.GaugeValue, state.Weight, state.Name)
		to <- prometheus.MustNewConstMetric(shardAge, prometheus.GaugeValue, age, state.Name)
	}
}
