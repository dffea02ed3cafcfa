package sessionstore

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Replaced is the session that a new one takes the place of: see [Store.Replace].
type Replaced struct {
	// SessionID names it, or Token does.
	SessionID uuid.UUID
	// Token is an access or a refresh token of the session that has not expired. It
	// names the session and proves nothing: it may have been exchanged since, and one
	// that is bound to a key needs no proof. Whoever calls has checked who asks.
	Token string
	// Checksum, if set, is that of the session's data as it was read. Where the data
	// is another one since, nothing changes, and the error is a [ConflictError].
	Checksum string
}

// Replace makes a session in the place of another, which ends: one transaction and one
// round trip, so that there is never a moment with both or with none. It is for a
// change of privilege, such as a guest who signs in: whoever knows tokens from
// before has nothing of the session after.
//
// The new session has the other one's subject, label and data where params have none.
// (Data {} is data.) It has nothing else of it: claims and lifetimes are those of params,
// since what a user was allowed before, and for how long, is what changes; so is the key
// that the tokens are bound to, which the caller of this request has proven to have.
//
// The tokens of the session that was replaced are those of any ended session: [ErrEnded],
// and never a theft. Of several replacements of one session one succeeds. The same call
// again, whose answer may have been lost, gives the same session and its present pair:
// with an idempotency key as for [Store.Create], without one for three times
// [Config].Grace. That takes the same params, so the session's id alone, or an earlier
// token of it, leads nobody to the new one.
//
// A session of Compas is replaced as well. Where [Config].SessionsPerSubject bounds a subject's
// sessions, the two count as one.
//
// Errors are those of [Store.Create]; [ErrNotReplaceable] where the session has ended or
// is not known; a [ConflictError]; an [ArgumentError] of the member "replaces" for a
// token that does not verify or has expired; and a [SealedError] if the data is to be
// kept and cannot be opened.
func (s *Store) Replace(ctx context.Context, replaced Replaced, params CreateParams) (_ Session, _ TokenPair, err error) {
	result := Result{Operation: OperationCreate, Subject: params.Subject}
	ctx = s.begin(ctx, OperationCreate)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()
	fail := func(err error) (Session, TokenPair, error) { return Session{}, TokenPair{}, err }

	was, err := s.named(ctx, replaced)
	if err != nil {
		return fail(err)
	}
	asked, err := checkParams(params)
	if err != nil {
		return fail(err)
	}
	was.keepsData = len(params.Data) == 0
	asked.once = newOnce(asked, was)
	// The limit is the subject's, lifetimes may depend on everything, and sealed data
	// is sealed for one session.
	reads := was.keepsData && s.data.Sealer != nil || params.Subject == "" && s.limit.most > 0 || s.cfg.LifetimesFor != nil
	for {
		wanted, replaces, why := asked, was, error(nil)
		if reads {
			wanted, replaces, why = s.inherit(ctx, asked, was)
		}
		if why == nil {
			made, err := s.prepare(wanted)
			if err != nil {
				return fail(err)
			}
			made.replaced = replaces
			ended, err := s.make(ctx, &made)
			result.Revoked += ended
			if err == nil {
				result.Changed, result.Subject, result.Replaced = made.session.ID, made.session.Subject, was.id
				pair, err := s.tokens.sign(made.pair, made.pair.CreatedAt)
				if err != nil {
					return fail(err)
				}
				return made.session, pair, nil
			}
			if !errors.Is(err, errCreatedBefore) {
				return fail(err)
			}
		}
		session, pair, err := s.createdBefore(ctx, asked.once)
		if !errors.Is(err, errNotBefore) {
			return session, pair, err
		}
		if why != nil {
			return fail(why)
		}
		reads = true // to find out why, which may be that its data was written meanwhile
	}
}

// replaced is a session whose place another takes. The zero value is none.
type replaced struct {
	id             uuid.UUID
	tokenExpiresAt time.Time // that of the token that names it; zero for none
	checksum       string    // what its data must have; empty for any
	keepsData      bool      // the new session gets its data as it is stored
}

// args are the arguments $18 to $21 of mayReplace.
func (r replaced) args() []any {
	return []any{r.idOrNull(), pgvalue.OrNull(r.tokenExpiresAt), pgvalue.OrNull(r.checksum), r.keepsData}
}

func (r replaced) idOrNull() pgtype.UUID { return pgtype.UUID{Bytes: r.id, Valid: r.id != uuid.Nil} }

// named finds out which session is meant.
func (s *Store) named(ctx context.Context, r Replaced) (replaced, error) {
	if r.Token == "" {
		if r.SessionID == uuid.Nil {
			return replaced{}, argumentError("replaces", "names no session")
		}
		return replaced{id: r.SessionID, checksum: r.Checksum}, nil
	}
	claims, err := s.tokens.verifyAny(r.Token)
	if s.TakesFromCompas(r.Token) {
		if claims, err = s.compas.VerifyIssued(r.Token); err == nil {
			claims, _, err = s.compas.Find(ctx, claims)
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return replaced{}, ErrNotReplaceable
	case errors.Is(err, tokens.ErrInvalid):
		return replaced{}, argumentError("replaces", "neither the id of a session nor a token that was issued here")
	case err != nil:
		return replaced{}, err
	case r.SessionID != uuid.Nil && r.SessionID != claims.SessionID:
		return replaced{}, argumentError("replaces", "names two sessions")
	}
	return replaced{id: claims.SessionID, tokenExpiresAt: claims.ExpiresAt, checksum: r.Checksum}, nil
}

const readReplacedQuery = `
SELECT s."subject", s."clientLabel", s."checksum", s."data", ` + live + `, COALESCE(now() >= $2::timestamptz, false)
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND ` + primary.Only + `
` + best

// inherit fills in what the new session gets of the one that it replaces, whose data must
// then still be the same. The error says why it cannot be replaced.
func (s *Store) inherit(ctx context.Context, asked checkedParams, was replaced) (checkedParams, replaced, error) {
	fail := func(err error) (checkedParams, replaced, error) { return checkedParams{}, replaced{}, err }
	var subject, label *string
	var checksum string
	var data []byte
	var isLive, hasExpired bool
	err := s.pool.QueryRow(ctx, readReplacedQuery, pgvalue.UUID(was.id), pgvalue.OrNull(was.tokenExpiresAt)).
		Scan(&subject, &label, &checksum, &data, &isLive, &hasExpired)
	switch {
	case pgvalue.IsNoRows(err), err == nil && !isLive:
		return fail(ErrNotReplaceable)
	case err != nil:
		return fail(sessionerr.Unavailable("read a session that is to be replaced", err))
	case hasExpired:
		return fail(errReplacesExpired)
	}
	if was.checksum != "" && was.checksum != checksum {
		if same, err := s.data.wasRead(was.id, was.checksum, data); err != nil || !same {
			return fail(cmp.Or(err, error(&ConflictError{Checksum: checksum})))
		}
	}
	if was.keepsData {
		if asked.params.Data, err = s.data.open(was.id, data); err != nil {
			return fail(err)
		}
		if asked.content, err = canonicalForm(asked.params.Data); err != nil {
			return fail(err)
		}
	}
	asked.params.Subject = cmp.Or(asked.params.Subject, pgvalue.OrZero(subject))
	asked.params.Client.Label = cmp.Or(asked.params.Client.Label, pgvalue.OrZero(label))
	was.checksum, was.keepsData = checksum, false
	return asked, was, nil
}

var errReplacesExpired = argumentError("replaces", "a token that has expired; the session's id, or its newest refresh token, may still name it")

// A replacement is one transaction. Its statements lock the session that ends, which
// then stays as it is, make the new one if that can be replaced, and end the other
// where the new one was made.

// lockReplacedSubjectQuery keeps a sign-out of all of a subject's sessions out. It would
// find that the session has ended, and could not see the one in its place, which was
// made after its snapshot. It comes before all locks of rows: see lockSubjectQuery.
const lockReplacedSubjectQuery = `
SELECT pg_advisory_xact_lock_shared(hashtextextended("subject", ` + subjectLocks + `))
FROM "sessionStore" WHERE "id" = $1 AND "subject" = COALESCE($2::text, "subject")`

// lockReplacedQuery is a statement of its own: whoever has waited for the locks
// decides by what is there then.
const lockReplacedQuery = `
SELECT 1 FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1
FOR NO KEY UPDATE OF s, r`

// mayReplace continues a statement that makes a session: it may take the place of that
// which it names, if it names one.
const mayReplace = `($18::uuid IS NULL OR EXISTS (
    SELECT FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
    WHERE s."id" = $18 AND ` + live + ` AND ($19::timestamptz IS NULL OR now() < $19) AND ($20::text IS NULL OR s."checksum" = $20)
      AND NOT ($21::boolean AND ` + isSealedData + `)))`

const inheritQuery = `
UPDATE "sessionStore" n SET "subject" = COALESCE(n."subject", o."subject"), "clientLabel" = COALESCE(n."clientLabel", o."clientLabel"),
  "data" = CASE WHEN $3::boolean THEN o."data" ELSE n."data" END, "checksum" = CASE WHEN $3 THEN o."checksum" ELSE n."checksum" END
FROM "sessionStore" o
WHERE n."id" = $1 AND o."id" = $2
RETURNING n."subject", n."clientLabel", n."checksum", CASE WHEN $3 THEN n."data" END`

const endReplacedQuery = `
WITH "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = ` + revocationTime + `, "revokedXid" = pg_current_xact_id(),
    "endReason" = '` + string(ReasonReplaced) + `', "endedBy" = $2::uuid::text
  WHERE "id" = $1 AND "revokedAt" IS NULL AND EXISTS (SELECT FROM "sessionStore" WHERE "id" = $2)
  RETURNING "id"
), ` + tellVerifiers + `
SELECT count(*) FROM "told"`

// lockReplaced begins a batch that makes a session without a limit.
func (c *creation) lockReplaced(batch *pgx.Batch) {
	if c.replaced.id == uuid.Nil {
		return
	}
	id := pgvalue.UUID(c.replaced.id)
	batch.Queue(lockReplacedSubjectQuery, id, pgvalue.OrNull(c.session.Subject))
	batch.Queue(lockReplacedQuery, id)
}

// inherited is what the database has given a session that takes another's place.
type inherited struct {
	subject, label *string
	checksum       string // empty where the session was not made
	data           []byte // nil where it was given
}

// endReplaced continues a batch that makes a session. The result is for [creation.got].
func (c *creation) endReplaced(batch *pgx.Batch) *inherited {
	if c.replaced.id == uuid.Nil {
		return nil
	}
	id, old := pgvalue.UUID(c.session.ID), pgvalue.UUID(c.replaced.id)
	from := &inherited{}
	batch.Queue(inheritQuery, id, old, c.replaced.keepsData).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&from.subject, &from.label, &from.checksum, &from.data); !pgvalue.IsNoRows(err) {
			return err
		}
		return nil
	})
	batch.Queue(endReplacedQuery, old, id)
	batch.Queue(revokeTokensQuery)
	return from
}

// got notes what the session was given, if it has taken another's place.
func (c *creation) got(from *inherited) {
	if from == nil {
		return
	}
	c.session.Subject, c.session.Client.Label, c.session.Checksum = pgvalue.OrZero(from.subject), pgvalue.OrZero(from.label), from.checksum
	c.pair.Subject = c.session.Subject
	if from.data != nil {
		c.session.Data = from.data
	}
}

// windowOf is for how long a replacement without a key of its caller's is known.
func windowOf(rules refresh.Rules) time.Duration { return refresh.FreshGraces * rules.Grace }
