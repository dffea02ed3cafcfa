package metrics

import (
	"math"
	"time"
)

// Revocations is what follows the sessions that are revoked: a verifier.
type Revocations interface {
	// Age is how old its knowledge is; the maximum duration before there is any.
	Age() time.Duration
	// Len is how many revoked sessions it remembers.
	Len() int
}

// Revocations watches how closely revocations are followed, together with the
// promised bound.
func (m *Metrics) Revocations(r Revocations, bound time.Duration) {
	m.registry.MustRegister(
		gauge("revocations_age_seconds", "Age of the data about revoked sessions; +Inf before there is any.", func() float64 {
			if age := r.Age(); age < math.MaxInt64 {
				return age.Seconds()
			}
			return math.Inf(1)
		}),
		gauge("revocations_bound_seconds", "Age above which each token is checked with the database (LATCHKEY_REVOCATION_BOUND).", bound.Seconds),
		gauge("revocations_remembered", "Revoked sessions that are remembered.", func() float64 { return float64(r.Len()) }),
	)
}
