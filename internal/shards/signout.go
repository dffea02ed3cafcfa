package shards

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	// mostSignOuts is how many sign-outs to finish are read at once.
	mostSignOuts = 100

	// finishTimeout is how long finishing one may take: a shard may stop answering without ending its connections.
	finishTimeout = 5 * time.Minute

	// clockTolerance is how far the clocks of two databases may differ: a session that was
	// created so much later is still taken for one from before the sign-out.
	clockTolerance = 5 * time.Second
)

// everyone is the subject of a sign-out of all subjects: sessions have none that is empty.
const everyone = ""

// signOut is a sign-out everywhere, or of everyone, that could not reach a shard.
type signOut struct {
	shard   int
	subject string
	keep    uuid.UUID // zero for none
	cause   sessionstore.Cause
	before  time.Time // by the clock of the database that it is noted in
}

// noteSignOutQuery keeps one row for the same sign-out, however often it is asked for.
const noteSignOutQuery = `
INSERT INTO "sessionStoreSignOut" ("shard", "subject", "keep", "before", "reason", "by") VALUES ($1, $2, $3, clock_timestamp(), $4, $5)
ON CONFLICT ("shard", "subject", "keep") DO UPDATE SET "before" = EXCLUDED."before", "reason" = EXCLUDED."reason", "by" = EXCLUDED."by"`

// noteSignOut has it finished later. Any shard that answers keeps it.
func (r *Router) noteSignOut(ctx context.Context, o signOut) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchTimeout) // the caller's time may be over
	defer cancel()
	err := errors.New("no other shard answers")
	for _, s := range r.all {
		if s.Number == o.shard || !s.isUp.Load() {
			continue
		}
		if _, err = (isolation.Pool{Pool: s.Pool}).Exec(ctx, noteSignOutQuery, o.shard, o.subject, o.keep, string(o.cause.Reason), o.cause.By); err == nil {
			return nil
		}
	}
	return err
}

const (
	// signOutsQuery leaves out those that have to wait: however many they are, the others do not
	// wait for them.
	signOutsQuery = `
SELECT "shard", "subject", "keep", "before", "reason", "by" FROM "sessionStoreSignOut"
WHERE "shard" = ANY($1) ORDER BY "before" LIMIT $2`

	// signOutsOfQuery finds those of a subject and those of everyone.
	signOutsOfQuery = `
SELECT "shard", "subject", "keep", "before", "reason", "by" FROM "sessionStoreSignOut" WHERE "shard" = ANY($1) AND "subject" = ANY($2)`

	// forgetSignOutQuery leaves the row where the same was asked for again meanwhile.
	forgetSignOutQuery = `DELETE FROM "sessionStoreSignOut" WHERE "shard" = $1 AND "subject" = $2 AND "keep" = $3 AND "before" = $4`
)

func scanSignOut(row pgx.CollectableRow) (o signOut, err error) {
	err = row.Scan(&o.shard, &o.subject, &o.keep, &o.before, &o.cause.Reason, &o.cause.By)
	return o, err
}

// signOutsOf are those that have still to reach sessions of a subject.
func (r *Router) signOutsOf(ctx context.Context, subject string) ([]signOut, error) {
	all, err := inAll(ctx, r, scanSignOut, signOutsOfQuery, r.able(), []string{subject, everyone})
	if err != nil {
		return nil, fmt.Errorf("read the notes of sign-outs: %w", err)
	}
	return all, nil
}

// ends reports whether a session, of its subject, is to end: it is from before the sign-out.
func (o *signOut) ends(s sessionstore.Session) bool {
	return o.shard == sessionid.Shard(s.ID) && s.ID != o.keep && !s.CreatedAt.After(o.before.Add(clockTolerance))
}

// finishSignOuts finishes those that a shard has a note of. Every replica does: to end a session twice is harmless.
func (r *Router) finishSignOuts(ctx context.Context, on *shard) error {
	for {
		n, err := r.finishSome(ctx, on)
		if err != nil || n < mostSignOuts {
			return err
		}
	}
}

// finishSome finishes the earliest of them, and returns how many it tried to.
func (r *Router) finishSome(ctx context.Context, on *shard) (n int, err error) {
	var noted []signOut
	err = (isolation.Pool{Pool: on.Pool}).Read(ctx, func(rows pgx.Rows) (err error) {
		noted, err = pgx.CollectRows(rows, scanSignOut)
		return err
	}, signOutsQuery, r.able(), mostSignOuts)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, o := range noted {
		if s := r.byNumber[o.shard]; s != nil {
			if err := r.finish(ctx, s, o); err != nil {
				failed = append(failed, err)
				continue
			}
			r.cfg.Logger.InfoContext(ctx, "a sign-out that did not reach a shard is finished", "shard", s.Name)
		}
		if _, err := (isolation.Pool{Pool: on.Pool}).Exec(ctx, forgetSignOutQuery, o.shard, o.subject, o.keep, o.before); err != nil {
			failed = append(failed, err)
		}
	}
	return len(noted), errors.Join(failed...)
}

// finish ends the sessions that are from before the sign-out, a subject's one by one: those who have
// signed in since stay signed in.
func (r *Router) finish(ctx context.Context, s *shard, o signOut) error {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	store, err := s.use()
	if err == nil && o.subject == everyone {
		return store.SignOutAllBefore(ctx, o.before.Add(clockTolerance), o.cause)
	}
	for params := (sessionstore.ListParams{Limit: sessionstore.MaxListLimit}); err == nil; {
		var page sessionstore.Page
		if page, err = store.List(ctx, o.subject, params); err != nil {
			break
		}
		for _, session := range page.Sessions {
			if !o.ends(session) {
				continue
			}
			if err = store.Invalidate(ctx, session.ID, o.cause); err != nil {
				return err
			}
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			return nil
		}
	}
	return err
}
