package events_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// BenchmarkBesideAnEndpoint compares creations and refreshes with an endpoint that is notified of them, and without
// one: in turns, so that other activity of the machine affects both. It reports by how much the median with an endpoint
// is longer, in percent.
func BenchmarkBesideAnEndpoint(b *testing.B) {
	without, with, r := setup(b), setup(b), newReceiver(b)
	tasks, err := pgxpool.New(b.Context(), with.url) // as in the service: requests have their own connections
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(tasks.Close)
	runner, err := events.New(config(tasks, endpointOf("receiver", r.URL)))
	if err != nil {
		b.Fatal(err)
	}
	with.start(b, runner)
	var created, refreshed [2][]time.Duration
	round := func(side int, k kit) {
		began := time.Now()
		_, pair, err := k.Create(b.Context(), sessionstore.CreateParams{Subject: "ada"})
		between := time.Now()
		if err == nil {
			_, err = k.RefreshTokens(b.Context(), string(pair.RefreshToken), sessionstore.Client{})
		}
		if err != nil {
			b.Fatal(err)
		}
		created[side] = append(created[side], between.Sub(began))
		refreshed[side] = append(refreshed[side], time.Since(between))
	}
	for i := 0; b.Loop(); i++ {
		sides := []kit{without, with}
		round(i%2, sides[i%2])
		round(1-i%2, sides[1-i%2])
	}
	for name, took := range map[string][2][]time.Duration{"create": created, "refresh": refreshed} {
		b.ReportMetric(100*(median(took[1])/median(took[0])-1), name+"-%")
		b.ReportMetric(median(took[0])*1e6, name+"-µs")
	}
}

// median is in seconds.
func median(took []time.Duration) float64 {
	slices.Sort(took)
	return took[len(took)/2].Seconds()
}
