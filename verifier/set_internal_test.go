package verifier

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// A source that fails is reported once its last proof is too old, and once it is followed
// again: not at each attempt.
func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	set := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.NewTextHandler(&log, nil))})
	prove := func() { set.Apply(Batch{Reset: true, Proof: now, Cursor: "x"}) }
	fail := func() { set.Failed(errors.New("it is away")) }
	failed := `level=WARN msg="revocations cannot be followed: each token is checked with the service" error="it is away"`
	const again = `level=INFO msg="revocations are followed again"`
	for i, step := range []struct {
		do   func()
		logs string
	}{
		{prove, ""},
		{fail, ""},
		{func() { now = now.Add(time.Second); fail() }, ""}, // it is as old as it may be
		{func() { now = now.Add(1); fail() }, failed},
		{fail, ""},
		{prove, again},
		{prove, ""},
		{fail, ""},
		{func() { now = now.Add(2 * time.Second); fail() }, failed},
		{prove, again},
	} {
		log.Reset()
		step.do()
		if got := log.String(); strings.Count(got, "level=") != len(step.logs)/max(len(step.logs), 1) || !strings.Contains(got, step.logs) {
			t.Errorf("step %d logs %q, want %q", i, got, step.logs)
		}
	}
}

// A time that the table cannot express is the last that it can.
func TestRevokedFarAhead(t *testing.T) {
	t.Parallel()
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	set := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.DiscardHandler)})
	for i, until := range []int64{math.MaxUint32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint32 + 2, math.MaxInt64} {
		session, pair := uuid.UUID{0: 1, 15: byte(i)}, uuid.UUID{0: 2, 15: byte(i)}
		set.Apply(Batch{Reset: true, Proof: now, Cursor: "x", Sessions: []Revocation{{SessionID: session, Until: until}, {TokenID: pair, Below: 2, Until: until}}})
		for range shardCount {
			set.Apply(Batch{Proof: now, Cursor: "x"})
		}
		for _, token := range []tokens.Claims{{SessionID: session}, {SessionID: uuid.UUID{0: 3}, TokenID: pair, Generation: 1}} {
			token.ExpiresAt = now.Wall.Add(time.Minute)
			if got := set.verdict(&token); got != revoked {
				t.Errorf("until %d: the verdict about %+v is %d", until, token, got)
			}
		}
	}
}

// A verifier without a logger logs to the default one, and one that runs no longer does not
// miss the database's time.
func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Config{Strict: func(context.Context, string, tokens.Claims) error { return nil }}.withDefaults()
	if err != nil || cfg.Logger != slog.Default() || cfg.Now == nil || cfg.OnError == nil || cfg.Bound != time.Second || cfg.StrictTimeout != time.Second {
		t.Fatalf("%+v, %v", cfg, err)
	}
	source := make(told)
	v := newVerifier(claimsOf{}, source, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	source <- func(*Set) {} // it runs
	if err := v.ClockErr(); !errors.Is(err, errNoClock) {
		t.Errorf("while it runs: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := v.ClockErr(); err != nil {
		t.Errorf("when it no longer runs: %v", err)
	}
}

// Every set has a name of its own: the cursor of one must not pass for a cursor of another, which knows less.
func TestSetsHaveNames(t *testing.T) {
	t.Parallel()
	clock := &databaseClock{now: Now, logger: slog.New(slog.DiscardHandler)}
	one, two := newSet(time.Second, clock).history.name, newSet(time.Second, clock).history.name
	if one == two || len(one) < 10 || strings.Contains(one, ".") {
		t.Errorf("%q and %q", one, two)
	}
}
