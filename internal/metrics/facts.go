package metrics

import (
	"context"
	"log/slog"
	"sync"
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
	// Cleanups are those of the shards, or that of the one database.
	Cleanups []Cleanup
	// CleanupInterval is how often each runs; zero for never.
	CleanupInterval time.Duration
	// SigningKeys lists the keys that tokens are signed and verified with.
	SigningKeys func(context.Context) ([]SigningKey, error)
	// Events is the state of deliveries, Endpoints their destinations.
	Events    func(context.Context) (events.Status, error)
	Endpoints []string
}

// Cleanup is what cleanup has done in the database of one shard.
type Cleanup struct {
	// Shard is its name. There are as many as the settings have.
	Shard string
	// LastEnd is when cleanup last finished, on any replica; zero for never.
	LastEnd func(context.Context) (time.Time, error)
	// OldestEnded is when the first of the stored sessions ended; zero for none.
	OldestEnded func(context.Context) (time.Time, error)
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
		"When cleanup last finished in the shard, on any replica; 0 for never.", []string{"shard"}, nil)
	oldestEndedDesc = prometheus.NewDesc(namespace+"_cleanup_oldest_left_timestamp_seconds",
		"When the first of all ended sessions that remain in the shard ended; 0 for none.", []string{"shard"}, nil)
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
	live      *int64
	cleanups  map[string]knownCleanup // by shard
	interval  time.Duration
	keys      *[]SigningKey
	events    *events.Status
	endpoints []string
}

type knownCleanup struct{ lastEnd, oldestEnded *time.Time }

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
	renew(ctx, log, "signing keys", source.SigningKeys, &next.keys)
	renew(ctx, log, "events", source.Events, &next.events)
	next.cleanups = learnCleanups(ctx, source.Cleanups, next.cleanups, log)
	f.known.Store(&next)
}

// learnCleanups asks all shards at once, so that one that hangs keeps nothing from the others.
func learnCleanups(ctx context.Context, from []Cleanup, before map[string]knownCleanup, log *slog.Logger) map[string]knownCleanup {
	learnt := make([]knownCleanup, len(from))
	var all sync.WaitGroup
	for i, c := range from {
		learnt[i] = before[c.Shard]
		all.Go(func() {
			renew(ctx, log, "last cleanup", c.LastEnd, &learnt[i].lastEnd)
			renew(ctx, log, "oldest ended session", c.OldestEnded, &learnt[i].oldestEnded)
		})
	}
	all.Wait()
	known := map[string]knownCleanup{}
	for i, c := range from {
		known[c.Shard] = learnt[i]
	}
	return known
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
	for shard, c := range known.cleanups {
		if c.lastEnd != nil {
			gauge(lastCleanupDesc, timestamp(*c.lastEnd), shard)
		}
		if c.oldestEnded != nil {
			gauge(oldestEndedDesc, timestamp(*c.oldestEnded), shard)
		}
	}
	if len(known.cleanups) > 0 {
		gauge(cleanupIntervalDesc, known.interval.Seconds())
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
