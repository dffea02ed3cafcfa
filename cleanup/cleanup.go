// Package cleanup removes sessions that have ended, in small batches.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//		"time"
//
//		"github.com/jackc/pgx/v5/pgxpool"
//
//		"github.com/latchkey-sessions/latchkey/cleanup"
//		"github.com/latchkey-sessions/latchkey/migrations"
//		"github.com/latchkey-sessions/latchkey/sessionstore"
//		"github.com/latchkey-sessions/latchkey/tokens"
//	)
//
//	func main() {
//		ctx := context.Background()
//		pool := must(pgxpool.New(ctx, os.Getenv("LATCHKEY_DATABASE_URL")))
//		must(migrations.Up(ctx, pool))
//		keys := must(tokens.ParseKeyRing(must(os.ReadFile("var/signing-keys.json")))) // made by: api keys init
//		store := must(sessionstore.New(pool, keys, sessionstore.Config{
//			Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
//		}))
//		for {
//			summary := must(cleanup.Run(ctx, store, cleanup.Config{Retention: 30 * 24 * time.Hour}))
//			fmt.Println("removed:", summary.Sessions)
//			time.Sleep(time.Hour)
//		}
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// It promises that its cost depends on what it removes, not on the size of the
// tables; that each batch is a separate short transaction, so that an
// interruption loses nothing; that it adapts to the database's capacity, and uses a
// fifth of one connection's time, or up to four fifths if sessions end faster than that
// removes them; and that only one runner works at a time.
package cleanup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// DefaultRetention is how long an ended session is kept.
const DefaultRetention = 336 * time.Hour

const (
	// A revoked session is kept until the last of its access tokens has expired
	// (sessionstore.MaxAccessTokenTTL): verifiers that start meanwhile must learn of it.
	minRetention = 25 * time.Hour
	minMaxAge    = time.Hour
)

// Kind is a kind of row to remove.
type Kind string

// The kinds of rows to remove.
const (
	// Expired is a session whose refresh token expired.
	Expired Kind = "expired"
	// Revoked is a session that was revoked.
	Revoked Kind = "revoked"
	// Aged is a session that was created long ago and was not revoked. It is
	// revoked, and so becomes Revoked: verifiers must learn of it before it is
	// removed.
	Aged Kind = "aged"
	// Superfluous is a pair of tokens that its session can do without.
	Superfluous Kind = "superfluous"
)

// Rule says what is due: everything that has been of the kind for longer than After.
type Rule struct {
	Kind  Kind
	After time.Duration
}

// Due is what a search for rows to remove found.
type Due struct {
	// IDs are the ids of sessions or, if the rule is about pairs, of pairs. The first have
	// been due for the longest time.
	IDs []uuid.UUID
	// Overdue is how long the last of them has been due.
	Overdue time.Duration
}

// Removed is what a batch removed or, for Aged, what it ended. A session is
// removed with its token pairs.
type Removed struct {
	Sessions, Pairs int64
	// Took is how long the database was at work on it: without the commit and the
	// round trip.
	Took time.Duration
}

// ErrSlow says that the database gave up on a batch that took too long or
// blocked another transaction. Nothing of the batch was removed.
var ErrSlow = errors.New("the database cancelled a batch of cleanup")

// Store is what cleanup works on.
type Store interface {
	// CountDue counts what is due.
	CountDue(ctx context.Context, rule Rule) (int64, error)
	// FindDue returns up to limit that are due. Fewer than limit means that no more
	// are due.
	FindDue(ctx context.Context, rule Rule, limit int) (Due, error)
	// RemoveDue removes in one transaction, or ends, those of ids that are still due, but
	// none that is locked. If that takes longer than the timeout, the error is [ErrSlow].
	// It is also an error if another runner is at work.
	RemoveDue(ctx context.Context, rule Rule, ids []uuid.UUID, timeout time.Duration) (Removed, error)
	// OldestEnded returns when the first of the stored sessions ended;
	// zero if none has.
	OldestEnded(ctx context.Context) (time.Time, error)
}

// Config says what is removed.
type Config struct {
	// Retention is how long an ended session is kept. Zero means 336 hours; it
	// must be 25 hours or more, because verifiers elsewhere learn from the rows
	// which sessions were revoked.
	Retention time.Duration
	// SessionMaxAge ends sessions this long after their creation: they are then
	// removed like revoked ones. Zero means never.
	SessionMaxAge time.Duration
	// DryRun counts what would be removed and removes nothing. A session to which
	// several rules apply is counted for each.
	DryRun bool
	// Began is when the first of several runs began that continue with each other's
	// work. If they find more for hours that has been due for hours, they are late, and rest
	// less. Zero means now.
	Began time.Time
	// Progress, if set, is called after each batch with the sums so far.
	Progress func(Summary)
}

// Summary is what a run did, or with DryRun would do.
type Summary struct {
	DryRun bool
	// Expired and Revoked are the numbers of sessions that were removed, Aged of
	// those that were ended because of their age.
	Expired, Revoked, Aged int64
	// Superfluous is the number of token pairs, left by Compas or belonging to
	// a session that it began, that were removed without their session.
	Superfluous int64
	// Sessions and Pairs are all sessions and all pairs of tokens: for a dry
	// run as far as its counts show.
	Sessions, Pairs int64
	Batches         int
	Duration        time.Duration
	// OldestLeft is when the first of the ended sessions that remain after a
	// complete run ended: after a run that removed all that was due, that is less
	// than the retention plus a day ago. Zero: no remaining session has ended, or
	// the run failed.
	OldestLeft time.Time
}

// LogValue logs the members that some run can set.
func (s Summary) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Int64("sessions", s.Sessions), slog.Int64("pairs", s.Pairs),
		slog.Int64("expired", s.Expired), slog.Int64("revoked", s.Revoked), slog.Int64("aged", s.Aged), slog.Int64("superfluous", s.Superfluous),
		slog.Int("batches", s.Batches), slog.Float64("took_seconds", float64(s.Duration.Milliseconds())/1000),
	}
	if !s.OldestLeft.IsZero() {
		attrs = append(attrs, slog.Time("oldest_left", s.OldestLeft))
	}
	return slog.GroupValue(attrs...)
}

func (s *Summary) of(kind Kind) *int64 {
	switch kind {
	case Expired:
		return &s.Expired
	case Revoked:
		return &s.Revoked
	case Aged:
		return &s.Aged
	case Superfluous:
		return &s.Superfluous
	}
	panic("cleanup: no kind: " + kind)
}

func (s *Summary) add(kind Kind, removed Removed) {
	n := removed.Sessions
	if kind == Superfluous {
		n = removed.Pairs
	}
	*s.of(kind) += n
	if kind == Aged {
		return // they are still there
	}
	s.Sessions += removed.Sessions
	s.Pairs += removed.Pairs
}

func (c Config) withDefaults() (Config, error) {
	c.Retention = cmp.Or(c.Retention, DefaultRetention)
	if c.Began.IsZero() {
		c.Began = time.Now()
	}
	switch {
	case c.Retention < minRetention:
		return c, fmt.Errorf("cleanup: the retention is %v, it must be %v or more", c.Retention, minRetention)
	case c.SessionMaxAge < 0 || c.SessionMaxAge > 0 && c.SessionMaxAge < minMaxAge:
		return c, fmt.Errorf("cleanup: the session's maximum age is %v, it must be %v or more, or 0 for none", c.SessionMaxAge, minMaxAge)
	}
	return c, nil
}

func (c Config) rules() []Rule {
	rules := []Rule{{Expired, c.Retention}, {Revoked, c.Retention}}
	if c.SessionMaxAge > 0 {
		rules = append(rules, Rule{Aged, c.SessionMaxAge})
	}
	return append(rules, Rule{Superfluous, c.Retention})
}
