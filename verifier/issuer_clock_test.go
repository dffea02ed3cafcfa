package verifier_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// tell makes the source answer a query that was just sent: the database's clock
// is off by the given time from this machine's.
func (b *bench) tell(off time.Duration) {
	asked := b.set.Now()
	b.clocks.pass(2 * time.Millisecond)
	b.set.Apply(verifier.Batch{Proof: asked, Now: b.clocks.wall().Add(off), Cursor: "x"})
}

// A machine whose clock is wrong, by any amount, has the database's time from the first answer on, and jumps of its own
// clock change nothing.
func TestDatabaseClockIsKnown(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{
		time.Second, -time.Second, 20 * time.Second, -20 * time.Second, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour,
	} {
		b := setup(t)
		if clock, known := b.Clock(); known || clock != (verifier.Clock{}) {
			t.Errorf("the clock is known before the first report: %v", clock)
		}
		if b.ClockErr() == nil {
			t.Error("a clock that nobody has told is trusted")
		}
		b.load()
		b.tell(off)
		truth := b.clocks.wall().Add(off)
		for _, jump := range []time.Duration{0, 48 * time.Hour, -72 * time.Hour} {
			b.clocks.jumpWall(jump)
			b.clocks.pass(time.Second)
			truth = truth.Add(time.Second)
			clock, known := b.Clock()
			if !known || clock.Now.Sub(truth).Abs() > clock.Uncertainty || clock.Uncertainty > 10*time.Millisecond {
				t.Errorf("off by %v, after a jump by %v: %+v, want %v", off, jump, clock, truth)
			}
			if want := b.clocks.wall().Sub(truth); (clock.Offset - want).Abs() > clock.Uncertainty {
				t.Errorf("the offset is %v, want %v", clock.Offset, want)
			}
		}
		if err := b.ClockErr(); err != nil {
			t.Error(err)
		}
	}
}

// A set of sessions is kept by the database's clock: a machine that is ahead forgets
// nothing too early, and does not ask about each token for that.
func TestRevokedIsRememberedByDatabaseClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-24 * time.Hour, -time.Hour, -20 * time.Second, 20 * time.Second, time.Hour, 24 * time.Hour} {
		b := setup(t)
		now := b.clocks.wall().Add(off) // the database's
		session, revoked := sign(t, b.signer, now, 5*time.Minute)
		_, live := sign(t, b.signer, now, 5*time.Minute)
		asked := b.set.Now()
		b.set.Apply(verifier.Batch{
			Reset: true, Proof: asked, Now: now, From: now.Unix(), Cursor: "x",
			Sessions: []verifier.Revocation{{SessionID: session, Until: now.Add(5*time.Minute + verifier.Slack).Unix()}},
		})
		for range 400 { // more proofs than it takes to sweep everything
			b.tell(off)
		}
		if _, err := b.Verify(t.Context(), revoked); !errors.Is(err, verifier.ErrRevoked) {
			t.Errorf("off by %v: a revoked session's token: %v", off, err)
		}
		if _, err := b.Verify(t.Context(), live); err != nil || b.asked.Load() != 0 {
			t.Errorf("off by %v: a live session's token: %v, after %d questions", off, err, b.asked.Load())
		}
	}
}

// A clock is trusted for as long as the database reports its time, precisely enough.
func TestClockThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	b.tell(0)
	b.clocks.pass(59 * time.Second)
	if err := b.ClockErr(); err != nil {
		t.Error(err)
	}
	b.clocks.pass(2 * time.Second)
	if err := b.ClockErr(); err == nil || !strings.Contains(err.Error(), "has not reported its time for 1m1s") {
		t.Errorf("after a minute of silence: %v", err)
	}
	asked := b.Moment()
	b.clocks.pass(time.Millisecond)
	b.Learn(b.clocks.wall(), asked) // any other query to the database will do
	if err := b.ClockErr(); err != nil {
		t.Error(err)
	}

	slow := setup(t)
	asked = slow.set.Now()
	slow.clocks.pass(11 * time.Second)
	slow.set.Apply(verifier.Batch{Reset: true, Proof: asked, Now: slow.clocks.wall(), Cursor: "x"})
	if err := slow.ClockErr(); err == nil || !strings.Contains(err.Error(), "to within 5.50") {
		t.Errorf("after an answer of 11 s: %v", err)
	}

	if err := (verifier.Clock{Age: time.Minute, Uncertainty: 5 * time.Second}).Err(); err != nil {
		t.Errorf("at both limits: %v", err)
	}

	// An answer without the time is that of a source that does not know it.
	silent := setup(t)
	silent.load()
	if err := silent.ClockErr(); err != nil {
		t.Error(err)
	}
}

// The log says once that the clocks differ, and once that they agree again.
func TestClocksThatDifferAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := setup(t, func(c *verifier.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	b.load()
	for _, step := range []struct {
		off      time.Duration
		logged   string
		messages int
	}{
		{0, "", 0},
		{900 * time.Millisecond, "", 0},
		{-1002 * time.Millisecond, "", 0}, // a second and what is not known of it
		{-1100 * time.Millisecond, "level=WARN msg=\"the clocks of this machine and of the database differ: the database's decides\" ahead_seconds=1.099 uncertainty_seconds=0.002\n", 1},
		{-time.Hour, "", 1},
		{-700 * time.Millisecond, "", 1},
		{-500 * time.Millisecond, "", 1},
		{100 * time.Millisecond, "level=INFO msg=\"the clocks of this machine and of the database agree again\" ahead_seconds=-0.101 uncertainty_seconds=0.002\n", 2},
		{0, "", 2},
		{1100 * time.Millisecond, "ahead_seconds=-1.101", 3}, // and again each time
		{0, "ahead_seconds=-0.001", 4},
	} {
		b.tell(step.off)
		if got := strings.Count(log.String(), "level="); got != step.messages || !strings.Contains(log.String(), step.logged) {
			t.Errorf("off by %v: %d messages, want %d with %q:\n%s", step.off, got, step.messages, step.logged, log.String())
		}
	}
}

// A token whose time lies in the future was signed by the service nevertheless.
func TestTokenFromTheFuture(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	_, token := sign(t, b.signer, b.clocks.wall().Add(24*time.Hour), 5*time.Minute)
	b.want(t, "a token of tomorrow", token, nil)
}
