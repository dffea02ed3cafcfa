package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// uncounted is a note of a session that was created although not all of its subject's sessions
// could be counted. It is in the database of the session.
type uncounted struct {
	waitsFor  int // the shard that has to answer before anything can be done
	subject   string
	session   uuid.UUID
	createdAt time.Time
	// counted are the times at which the sessions began that were counted and stayed, with this one: the newest first.
	counted []time.Time
	shards  []int // whose sessions were not counted
}

// uncountedOf is the note of a session that was created, and of those that stayed.
func uncountedOf(subject string, session sessionstore.Session, stayed []sessionstore.Session, shards []int) uncounted {
	u := uncounted{subject: subject, session: session.ID, createdAt: session.CreatedAt, counted: []time.Time{session.CreatedAt}}
	slices.Sort(shards)
	u.shards = slices.Compact(shards)
	for _, s := range stayed {
		if !slices.Contains(u.shards, sessionid.Shard(s.ID)) {
			u.counted = append(u.counted, s.CreatedAt)
		}
	}
	u.sort()
	return u
}

func (u *uncounted) sort() {
	slices.SortFunc(u.counted, func(a, b time.Time) int { return b.Compare(a) })
}

// count adds the sessions that were not counted and are live now. Shards that are missing stay uncounted.
func (u *uncounted) count(live []sessionstore.Session, missing []int) {
	for _, s := range live {
		if slices.Contains(u.shards, sessionid.Shard(s.ID)) && s.CreatedAt.Before(u.createdAt) {
			u.counted = append(u.counted, s.CreatedAt)
		}
	}
	u.sort()
	u.shards = slices.DeleteFunc(slices.Clone(u.shards), func(number int) bool { return !slices.Contains(missing, number) })
}

// ends reports whether a session would have ended when the new one was created: there were as many
// newer ones as there may be, even if some of those have ended since.
func (u *uncounted) ends(s sessionstore.Session, most int) bool {
	return most > 0 && len(u.counted) >= most && s.CreatedAt.Before(u.counted[most-1])
}

const (
	noteUncountedQuery = `
INSERT INTO "sessionStoreUncounted" ("waitsFor", "subject", "session", "createdAt", "counted", "uncounted")
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ("waitsFor", "subject", "session") DO NOTHING`

	// forgetSurpassedQuery deletes notes that end no session which the new one leaves: so a subject has few.
	forgetSurpassedQuery = `
DELETE FROM "sessionStoreUncounted" WHERE "waitsFor" = $1 AND "subject" = $2 AND "session" = ANY (ARRAY(
  SELECT u."session" FROM "sessionStoreUncounted" u
  WHERE u."waitsFor" = $1 AND u."subject" = $2 AND u."session" <> $3 AND u."uncounted" = $5
    AND NOT EXISTS (SELECT FROM unnest(u."counted", $4::timestamptz[]) AS n("was", "is") WHERE "is" IS NULL OR "is" < "was")
  FOR UPDATE SKIP LOCKED
))`

	// forgetEndedQuery deletes notes of sessions that have ended, where only those noted can end: so a subject has no more than
	// live sessions. One that was replaced keeps its note, which is for the session in its place, until it is cleaned up.
	forgetEndedQuery = `
DELETE FROM "sessionStoreUncounted" WHERE "waitsFor" = $1 AND "subject" = $2 AND "session" = ANY (ARRAY(
  SELECT u."session" FROM "sessionStoreUncounted" u
  WHERE u."waitsFor" = $1 AND u."subject" = $2 AND u."session" <> $3
    AND NOT EXISTS (SELECT FROM "sessionStore" s WHERE s."id" = u."session" AND (s."revokedAt" IS NULL OR s."endReason" = '` + string(sessionstore.ReasonReplaced) + `'))
  FOR UPDATE SKIP LOCKED
))`

	// notedSessionsQuery finds the sessions of a subject that are noted in one database.
	notedSessionsQuery = `SELECT DISTINCT "session", "createdAt" FROM "sessionStoreUncounted" WHERE "waitsFor" = ANY($1) AND "subject" = $2`

	forgetUncountedQuery = `DELETE FROM "sessionStoreUncounted" WHERE "waitsFor" = $1 AND "subject" = $2 AND "session" = $3`

	// uncountedQuery leaves to other replicas what they are at.
	uncountedQuery = `
SELECT "waitsFor", "subject", "session", "createdAt", "counted", "uncounted" FROM "sessionStoreUncounted"
WHERE "waitsFor" = ANY($1) AND ("waitsFor", "subject", "session") > ($2, $3, $4)
ORDER BY "waitsFor", "subject", "session" LIMIT $5 FOR UPDATE SKIP LOCKED`
)

// queue adds statements that note it for each of some shards.
func (u *uncounted) queue(batch *pgx.Batch, shards []int) {
	for _, number := range shards {
		batch.Queue(noteUncountedQuery, number, u.subject, u.session, u.createdAt, u.counted, u.shards)
	}
}

// noteUncounted has the limit held as soon as the shards can be counted. The error does not say that nothing was done:
// the session has been created.
func (r *Router) noteUncounted(ctx context.Context, on *shard, u uncounted) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchTimeout) // the caller's time may be over
	defer cancel()
	batch := &pgx.Batch{}
	u.queue(batch, u.shards)
	for _, number := range u.shards {
		if r.cfg.SessionsPerSubjectAction == sessionstore.EndOldest {
			batch.Queue(forgetSurpassedQuery, number, u.subject, u.session, u.counted, u.shards)
		} else {
			batch.Queue(forgetEndedQuery, number, u.subject, u.session)
		}
	}
	if err := (isolation.Pool{Pool: on.Pool}).SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("%w: note a session for which others could not be counted: %v", sessionstore.ErrUnavailable, err) //nolint:errorlint // see above
	}
	return nil
}

// mostUncounted is how many notes are settled in a transaction.
const mostUncounted = 100

// settleNoted holds the limit for the sessions that a shard has notes of, and of which another shard is able to
// answer again. Each replica takes notes that no other one is at.
func (r *Router) settleNoted(ctx context.Context, on *shard) error {
	var failed []error
	var ended int
	defer func() {
		if ended > 0 {
			r.cfg.Logger.InfoContext(ctx, "sessions have ended that were over the limit, and could not be counted while a shard was down", "sessions", ended)
		}
	}()
	for from := (uncounted{waitsFor: -1}); ; {
		tx, err := isolation.Pool{Pool: on.Pool}.Begin(ctx)
		if err != nil {
			return err
		}
		n, last, err := r.settleSome(ctx, tx, from)
		ended += n
		if last == nil {
			rollback(ctx, tx)
			return errors.Join(append(failed, err)...)
		}
		if err := tx.Commit(ctx); err != nil {
			return err
		}
		if err != nil {
			failed = append(failed, err)
		}
		from = *last
	}
}

// settleSome settles some of the notes that follow one, and returns the last of them, or nil after the last. An error
// concerns only its subject: the others are settled.
func (r *Router) settleSome(ctx context.Context, tx pgx.Tx, from uncounted) (ended int, last *uncounted, err error) {
	rows, _ := tx.Query(ctx, uncountedQuery, r.able(), from.waitsFor, from.subject, from.session, mostUncounted) // rows have its error
	noted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u uncounted, err error) {
		err = row.Scan(&u.waitsFor, &u.subject, &u.session, &u.createdAt, &u.counted, &u.shards)
		return u, err
	})
	if err != nil || len(noted) == 0 {
		return 0, nil, err
	}
	var failed []error
	batch := &pgx.Batch{} // sent at the end: meanwhile no creation waits for a row that is deleted
	for rest := noted; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(u uncounted) bool { return u.subject != rest[0].subject || u.waitsFor != rest[0].waitsFor })
		if n < 0 {
			n = len(rest)
		}
		some, missing, err := r.settle(ctx, rest[:n])
		ended += some
		if err == nil && !slices.Contains(missing, rest[0].waitsFor) {
			for _, u := range rest[:n] {
				u.queue(batch, missing)
				batch.Queue(forgetUncountedQuery, u.waitsFor, u.subject, u.session)
			}
		}
		if err != nil {
			failed = append(failed, err)
		}
		rest = rest[n:]
	}
	if batch.Len() > 0 {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return ended, nil, errors.Join(append(failed, err)...)
		}
	}
	return ended, &noted[len(noted)-1], errors.Join(failed...)
}

// settle ends what is over the limit, as far as shards answer, and returns those that do not. It holds the subject's lock,
// as a creation does: otherwise it could count a session that has ended and one that was created afterwards, and two replicas
// could end one session each where one is over the limit.
func (r *Router) settle(ctx context.Context, noted []uncounted) (ended int, missing []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	subject := noted[0].subject
	holder, unlock, err := r.lockSubject(ctx, subject)
	if err != nil {
		return 0, nil, err
	}
	defer unlock()
	live, missing, err := r.newest(ctx, subject, holder)
	if err != nil {
		return 0, nil, err
	}
	signOuts, err := r.signOutsOf(ctx, subject)
	if err != nil {
		return 0, nil, err
	}
	live = slices.DeleteFunc(live, func(s sessionstore.Session) bool {
		return slices.ContainsFunc(signOuts, func(o signOut) bool { return o.ends(s) })
	})
	over := r.surplus
	if r.cfg.SessionsPerSubjectAction == sessionstore.RefuseNew {
		over = r.refused
	}
	for i := range noted {
		noted[i].count(live, missing)
	}
	if len(live) == 0 || r.cfg.SessionsPerSubject == 0 {
		return 0, missing, nil
	}
	ending, err := over(ctx, live, noted)
	if err != nil {
		return 0, nil, err
	}
	for id, newer := range ending {
		cause := sessionstore.Cause{Reason: sessionstore.ReasonLimit}
		if newer != uuid.Nil {
			cause.By = newer.String()
		}
		if err := r.Invalidate(ctx, id, cause); err != nil {
			return ended, nil, fmt.Errorf("end a session over the limit: %w", err)
		}
		ended++
	}
	return ended, missing, nil
}

// surplus are the sessions that would have ended for one of those noted, and the oldest of those that are over the limit
// now, each with the session that it ends for.
func (r *Router) surplus(_ context.Context, live []sessionstore.Session, noted []uncounted) (map[uuid.UUID]uuid.UUID, error) {
	ending := make(map[uuid.UUID]uuid.UUID)
	for i, s := range live {
		last := slices.IndexFunc(noted, func(u uncounted) bool { return u.ends(s, r.cfg.SessionsPerSubject) })
		if last < 0 && i < len(live)-r.cfg.SessionsPerSubject {
			last = len(noted) - 1
		}
		if last >= 0 {
			ending[s.ID] = noted[last].session
		}
	}
	return ending, nil
}

// refused are the sessions noted in any database, the newest first, as many as are over the limit now: they would not have
// been created. They end for no other session.
func (r *Router) refused(ctx context.Context, live []sessionstore.Session, noted []uncounted) (map[uuid.UUID]uuid.UUID, error) {
	ending := make(map[uuid.UUID]uuid.UUID)
	if len(live) <= r.cfg.SessionsPerSubject {
		return ending, nil
	}
	sessions, err := r.notedSessions(ctx, noted[0].subject)
	if err != nil {
		return nil, err
	}
	for _, id := range sessions {
		if len(ending) >= len(live)-r.cfg.SessionsPerSubject {
			break
		}
		id, err := r.successor(ctx, id)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(live, func(s sessionstore.Session) bool { return s.ID == id }) {
			ending[id] = uuid.Nil
		}
	}
	return ending, nil
}

// notedSessions are a subject's, the newest first, of all notes that could be settled now.
func (r *Router) notedSessions(ctx context.Context, subject string) (ids []uuid.UUID, err error) {
	type noted struct {
		id        uuid.UUID
		createdAt time.Time
	}
	all, err := inAll(ctx, r, func(row pgx.CollectableRow) (n noted, err error) {
		err = row.Scan(&n.id, &n.createdAt)
		return n, err
	}, notedSessionsQuery, r.able(), subject)
	if err != nil {
		return nil, fmt.Errorf("read the notes of sessions: %w", err)
	}
	slices.SortFunc(all, func(a, b noted) int { return b.createdAt.Compare(a.createdAt) })
	for _, n := range all {
		ids = append(ids, n.id)
	}
	return ids, nil
}

// successor is the session itself, or the one that has its place now.
func (r *Router) successor(ctx context.Context, id uuid.UUID) (uuid.UUID, error) {
	for {
		h, err := r.History(ctx, id)
		switch {
		case errors.Is(err, sessionstore.ErrNotFound):
			return uuid.Nil, nil
		case err != nil:
			return uuid.Nil, err
		case h.Session.Ended.Reason != sessionstore.ReasonReplaced:
			return id, nil
		}
		if id, err = uuid.Parse(h.Session.Ended.By); err != nil {
			return uuid.Nil, nil //nolint:nilerr // it was cut off, or is of another program
		}
	}
}
