package metrics

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-sessions/latchkey/internal/events"
)

const (
	factsInterval = time.Minute
	factsTimeout  = 5 * time.Second
)

// Source is what may have to be read from the database. Each of its functions may be
// nil: then its metrics are absent.
type Source struct {
	// LiveSessions estimates how many sessions are live.
	LiveSessions func(context.Context) (int64, error)
	// LastCleanup is when cleanup last finished, on any replica; zero for never.
	LastCleanup func(context.Context) (time.Time, error)
	// OldestEnded is when the first of the stored sessions ended; zero for none.
	OldestEnded func(context.Context) (time.Time, error)
	// CleanupInterval is how often it runs; zero for never.
	CleanupInterval time.Duration
	// SigningKeys lists the keys that tokens are signed and verified with.
	SigningKeys func(context.Context) ([]SigningKey, error)
	// Events is the state of deliveries, Endpoints their destinations.
	Events    func(context.Context) (events.Status, error)
	Endpoints []string
}

// SigningKey describes a key, without any part of it.
type SigningKey struct {
	State KeyState
	// SignsFrom is when it began to sign, or will; zero if unknown.
	SignsFrom time.Time
}

// KeyState is what a key is used for.
type KeyState string

// The states of a signing key.
const (
	KeyPublished KeyState = "published" // it will sign
	KeySigns     KeyState = "signs"
	KeyVerifies  KeyState = "verifies" // it only verifies
)

var (
	liveDesc = prometheus.NewDesc(namespace+"_sessions_live_estimate",
		"Live sessions, estimated from PostgreSQL's statistics. All replicas report the same.", nil, nil)
	lastCleanupDesc = prometheus.NewDesc(namespace+"_cleanup_last_end_timestamp_seconds",
		"When cleanup last finished, on any replica; 0 for never.", nil, nil)
	oldestEndedDesc = prometheus.NewDesc(namespace+"_cleanup_oldest_left_timestamp_seconds",
		"When the first of all remaining ended sessions ended; 0 for none.", nil, nil)
	cleanupIntervalDesc = prometheus.NewDesc(namespace+"_cleanup_interval_seconds",
		"How often cleanup runs (LATCHKEY_CLEANUP_INTERVAL); 0 for never.", nil, nil)
	keysDesc = prometheus.NewDesc(namespace+"_signing_keys",
		"Keys that tokens are signed and verified with.", []string{"state"}, nil)
	keySinceDesc = prometheus.NewDesc(namespace+"_signing_key_since_timestamp_seconds",
		"Since when the current signing key has signed.", nil, nil)
)

// facts are what was last read from the database.
type facts struct {
	known atomic.Pointer[knownFacts]
}

type knownFacts struct {
	live        *int64
	lastCleanup *time.Time
	oldestEnded *time.Time
	interval    time.Duration
	keys        *[]SigningKey
	events      *events.Status
	endpoints   []string
}

func newFacts(registry prometheus.Registerer) *facts {
	f := &facts{}
	f.known.Store(&knownFacts{})
	registry.MustRegister(f)
	return f
}

func (f *facts) learn(ctx context.Context, source Source, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	next := *f.known.Load()
	next.interval = source.CleanupInterval
	if source.Events != nil {
		next.endpoints = source.Endpoints
	}
	renew(ctx, log, "live sessions", source.LiveSessions, &next.live)
	renew(ctx, log, "last cleanup", source.LastCleanup, &next.lastCleanup)
	renew(ctx, log, "oldest ended session", source.OldestEnded, &next.oldestEnded)
	renew(ctx, log, "signing keys", source.SigningKeys, &next.keys)
	renew(ctx, log, "events", source.Events, &next.events)
	f.known.Store(&next)
}

// renew calls a function once, if there is one.
func renew[T any](ctx context.Context, log *slog.Logger, what string, ask func(context.Context) (T, error), known **T) {
	if ask == nil {
		return
	}
	answer, err := ask(ctx)
	if err != nil {
		// Requests report an outage more prominently than this.
		log.DebugContext(ctx, "a metric could not be updated", "metric", what, "error", err)
		return
	}
	*known = &answer
}

// Describe names what Collect gives.
func (f *facts) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{liveDesc, lastCleanupDesc, oldestEndedDesc, cleanupIntervalDesc, keysDesc, keySinceDesc, eventsBehindDesc, eventsWaitingDesc, eventsOldestDesc, eventsDeadDesc} {
		to <- d
	}
}

// Collect returns what is known.
func (f *facts) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	known := f.known.Load()
	if known.live != nil {
		gauge(liveDesc, float64(*known.live))
	}
	if known.lastCleanup != nil {
		gauge(lastCleanupDesc, timestamp(*known.lastCleanup))
		gauge(cleanupIntervalDesc, known.interval.Seconds())
	}
	if known.oldestEnded != nil {
		gauge(oldestEndedDesc, timestamp(*known.oldestEnded))
	}
	if known.events != nil {
		gauge(eventsBehindDesc, known.events.Behind.Seconds())
		for _, name := range known.endpoints { // no others: rows may name any
			e := known.events.Of(name)
			gauge(eventsWaitingDesc, float64(e.Waiting), name)
			gauge(eventsOldestDesc, e.Oldest.Seconds(), name)
			gauge(eventsDeadDesc, float64(e.Dead), name)
		}
	}
	if known.keys == nil {
		return
	}
	count, since := map[KeyState]int{}, time.Time{}
	for _, key := range *known.keys {
		count[key.State]++
		if key.State == KeySigns {
			since = key.SignsFrom
		}
	}
	if !since.IsZero() {
		gauge(keySinceDesc, timestamp(since))
	}
	for _, state := range []KeyState{KeyPublished, KeySigns, KeyVerifies} {
		gauge(keysDesc, float64(count[state]), string(state))
	}
}

func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
