package revocations

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	// anewBatch is how many sessions are revoked again in one transaction.
	anewBatch = 1000
	// anewPause is how long to wait after it has failed, anewPatience how long a batch may
	// take.
	anewPause    = 250 * time.Millisecond
	anewPatience = 10 * time.Second
	// clockTolerance is how far behind a clock may be without consequences: a revocation is
	// remembered for longer than any token by [verifier.Slack].
	clockTolerance = verifier.Slack / 4
	// maxClockLead is how far ahead a clock may have been. For that long, revocations
	// are remembered for longer.
	maxClockLead = 48 * time.Hour
)

// noteClockQuery notes until when the previous database's clock may have made tokens, if
// that is later than now. An earlier note stays if it is later still.
const noteClockQuery = `
INSERT INTO "sessionStoreClock" AS c ("tokensMade")
SELECT LEAST($1, now() + make_interval(secs => $2)) WHERE $1 > now() + make_interval(secs => $3)
ON CONFLICT ("one") DO UPDATE SET "tokensMade" = EXCLUDED."tokensMade" WHERE EXCLUDED."tokensMade" > c."tokensMade"`

// revokeAnew notes how far the clock has gone back, and again ends the sessions whose end the database has
// forgotten, each time it is in doubt. It runs alongside the reading, which must not wait for it.
func (r *Source) revokeAnew(ctx context.Context, doubted <-chan struct{}) {
	failing := false
	for ctx.Err() == nil {
		var again <-chan time.Time
		what, doubt := r.memory.doubted()
		switch err := r.revokeAll(ctx, what); {
		case err == nil:
			r.memory.settle(doubt)
			failing = false
		case ctx.Err() == nil && !failing:
			failing = true
			r.Logger.WarnContext(ctx, "cannot revoke again sessions whose end the database may have forgotten: trying again", slog.Any("error", err))
			fallthrough
		default:
			again = time.After(anewPause)
		}
		select {
		case <-doubted:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// revokeAll revokes those of the sessions that are live, to be remembered for as long as
// later revocations. Its connection leads to where the address leads now, like the reader's.
func (r *Source) revokeAll(ctx context.Context, what forgettable) error {
	if what.made.IsZero() {
		return nil // nothing is in doubt
	}
	conn, err := primary.Beside(ctx, r.Pool, connectTimeout)
	if err != nil {
		return err
	}
	defer primary.Disconnect(ctx, conn)
	// This comes first, or what ends here is forgotten too soon. If it fails, no session must be let in for that: all of it is
	// repeated.
	noted := noteClock(ctx, conn, what.made)
	if err := r.signOutAnew(ctx, conn, what.last); err != nil {
		return err
	}
	var revoked int64
	defer func() {
		if revoked > 0 {
			r.Logger.WarnContext(ctx, "the database had forgotten that sessions were revoked: they are revoked again", slog.Int64("sessions", revoked))
		}
	}()
	for batch := range slices.Chunk(what.sessions, anewBatch) {
		ctx, cancel := context.WithTimeout(ctx, anewPatience)
		n, err := r.RevokeAnew(ctx, conn, batch)
		cancel()
		if err != nil {
			return err
		}
		revoked += n
	}
	return noted
}

// signOutAnew signs everyone out as before, if they had been signed out.
func (r *Source) signOutAnew(ctx context.Context, conn *pgx.Conn, o SignOut) error {
	if o.Era == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, anewPatience)
	defer cancel()
	forgotten, err := r.SignOutAnew(ctx, conn, o)
	if forgotten {
		r.Logger.WarnContext(ctx, "the database had forgotten that everyone was signed out: they are signed out again", slog.Time("at", o.At))
	}
	return err
}

func noteClock(ctx context.Context, conn *pgx.Conn, made time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, anewPatience)
	defer cancel()
	// At another level PostgreSQL refuses what another replica notes at the same time; the next attempt then
	// has nothing to note.
	_, err := conn.Exec(ctx, noteClockQuery, made, pgvalue.Seconds(maxClockLead), pgvalue.Seconds(clockTolerance))
	if err != nil {
		return sessionerr.Unavailable("note how far the clock has gone back", err)
	}
	return nil
}
