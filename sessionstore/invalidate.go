package sessionstore

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Invalidate revokes a session and its tokens. Once it has returned, no refresh, Get
// or Update of the session succeeds. Repeating it is not an error; an unknown id
// gives [ErrNotFound].
//
// The cause, of which there may be at most one, is stored with it: see [Cause]. A
// session that has already ended keeps its cause.
func (s *Store) Invalidate(ctx context.Context, id uuid.UUID, cause ...Cause) error {
	return s.invalidate(ctx, id, "", cause)
}

// InvalidateOwn is [Store.Invalidate] for a session of the given subject;
// another's is [ErrNotFound].
func (s *Store) InvalidateOwn(ctx context.Context, subject string, id uuid.UUID, cause ...Cause) error {
	if subject == "" {
		return ErrNotFound
	}
	return s.invalidate(ctx, id, subject, cause)
}

func (s *Store) invalidate(ctx context.Context, id uuid.UUID, subject string, given []Cause) (err error) {
	result := Result{Operation: OperationRevoke}
	ctx = s.begin(ctx, OperationRevoke)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	cause, err := causeOf(given, ReasonBackend)
	if err != nil {
		return err
	}
	r, err := s.revoke(ctx, revocation{id: id, subject: subject, cause: cause})
	if r.revoked {
		result.Revoked, result.Changed, result.Subject, result.ClientID, result.Actor = 1, id, r.of.subject.String, r.of.client.id, r.of.actor()
	}
	return err
}

// revoke ends one session, in a statement shared with others if many are ending at once.
func (s *Store) revoke(ctx context.Context, r revocation) (revocation, error) {
	asked, err := s.revocations.Do(ctx, r)
	if r = asked.Of; err == nil && !r.isDone {
		err = revoke(ctx, s.pool, &r)
	}
	switch {
	case err != nil:
		return revocation{}, sessionerr.Unavailable("revoke a session", err)
	case !r.exists:
		return revocation{}, ErrNotFound
	}
	return r, nil
}

// The rows are first locked in the order of their ids, or two sign-outs of one
// subject could deadlock. They are found by a range, as in [ofSubject].
const invalidateSubjectQuery = `
WITH "target" AS MATERIALIZED (
  SELECT "id", $5::text AS "reason", $6::text AS "by", ` + ownXid + ` FROM "sessionStore"
  WHERE ("subject", "id") > ((SELECT $1::text), (SELECT $2::uuid)) AND "subject" <= (SELECT $1::text) AND "revokedAt" IS NULL AND "id" <> $3
  ORDER BY "subject", "id" LIMIT (SELECT $4::bigint) FOR NO KEY UPDATE
), ` + revokeTargets + `
SELECT count(*), (SELECT count(*) FROM "told"), (SELECT "id" FROM "target" ORDER BY "id" DESC LIMIT 1) FROM "session"`

// InvalidateSubject is [Store.Invalidate] for all sessions of a subject but keep,
// which may be zero to keep none. It works in batches, each a separate short
// transaction, and one call at a time per subject. From the second batch on it
// pauses between them, so that other callers are hardly affected. It returns how
// many live sessions it revoked, even with an error: those stay revoked, and calling
// it again continues.
func (s *Store) InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID, cause ...Cause) (n int64, err error) {
	ctx = s.begin(ctx, OperationRevoke)
	var ended perClient
	defer func() {
		s.end(ctx, Result{Operation: OperationRevoke, Err: err, Revoked: n, RevokedByClient: ended.named(s.rules.FirstClient), Subject: subject, Kept: keep})
	}()

	if subject == "" {
		return 0, argumentError("subject", "must not be empty")
	}
	if err := checkText("subject", subject, maxSubjectBytes); err != nil {
		return 0, err
	}
	why, err := causeOf(cause, ReasonBackend)
	if err != nil {
		return 0, err
	}
	release, err := s.turns.take(ctx, subject)
	if err != nil {
		return 0, sessionerr.Unavailable("revoke a subject's sessions", err)
	}
	defer release()
	var batch revoked
	last := pgtype.UUID{Bytes: uuid.Nil, Valid: true}
	some := func(most int64) (err error) {
		if batch, err = revokeSome(ctx, s.pool, subject, invalidateSubjectQuery, subject, last, pgvalue.UUID(keep), most, why.Reason, why.by()); err == nil {
			ended.addAll(batch.live)
			n, last = ended.total(), batch.last
		}
		return err
	}
	if err = some(revokeFirst); err == nil && batch.sessions == revokeFirst {
		for batch.sessions = pacedBatch; err == nil && batch.sessions == pacedBatch; {
			err = s.pace.do(ctx, func() error { return some(pacedBatch) })
		}
		if err == nil { // once more: between two batches, a session may have been replaced by one with an earlier id
			last.Bytes, last.Valid = uuid.Nil, true
			err = s.pace.do(ctx, func() error { return some(revokeBatch) })
		}
	}
	if err != nil {
		return n, sessionerr.Unavailable("revoke a subject's sessions", err)
	}
	return n, nil
}

// RevokeToken ends the session of an access or a refresh token (RFC 7009 §2.1). An
// unknown or foreign token is not an error (§2.2). Even an expired token ends its
// session: its owner wants to be signed out, and only the database's clock could show that it has expired. One that is
// bound to a key needs no proof of it: a client that has lost its key must still be able to sign its user out, and a
// thief that signs the victim out gains nothing.
func (s *Store) RevokeToken(ctx context.Context, token string) error {
	claims, err := s.tokens.verifyAny(token)
	if s.TakesFromCompas(token) {
		if claims, err = s.compas.VerifyIssued(token); err == nil {
			claims, _, err = s.compas.Find(ctx, claims)
		}
	}
	if err == nil {
		err = s.Invalidate(ctx, claims.SessionID, SignedOut(claims.SessionID))
	}
	if errors.Is(err, tokens.ErrInvalid) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
