package sessionstore

import (
	"cmp"
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Replaced is the session that a new one takes the place of: see [Store.Replace].
type Replaced struct {
	// Either SessionID or Token identifies it.
	SessionID uuid.UUID
	// Token is an access or a refresh token of the session that has not expired. It
	// identifies the session and proves nothing: it may have been exchanged since,
	// and a bound one needs no proof of its key. The caller must have checked who is
	// asking.
	Token string
	// Checksum, if set, is that of the session's data as it was read. If the data
	// has changed since, nothing happens, and the error is a [ConflictError].
	Checksum string
}

// Replace makes a session in place of another, which ends, in one transaction and one
// round trip, so that there is never a moment with both or with neither. It is for a
// change of privilege, such as a guest signing in: earlier tokens give no access to
// the new session.
//
// The new session inherits the other one's subject, label and data where params have
// none. (Data {} is data.) It inherits nothing else: claims and lifetimes are those of
// params, since what the user may do, and for how long, is what changes; so is the key
// that the tokens are bound to, of which the caller has proven possession.
//
// The tokens of the session that was replaced are those of any ended session: [ErrEnded],
// and never a theft. Of several replacements of one session, one succeeds. Repeating a
// call whose answer may have been lost gives the same session and its present pair: with
// an idempotency key as for [Store.Create], without one for three times [Config].Grace.
// That takes the same params, so the session's id alone, or an earlier token of it, does
// not lead to the new one.
//
// A preceding round trip, which reads the old session by its key, is needed in three cases,
// since what is read must pass through this program. A caller that has already read the
// session can avoid it, with Checksum and what params then need:
//
//   - The data is inherited and sealed: it must be resealed for the new session. With Data
//     it is one round trip.
//   - [Config].LifetimesFor, or [Config].ClaimsFor for params without Claims, must be called
//     with what the new session inherits. With Subject, Data and Client.Label there is
//     nothing to read, nor if params have all three lifetimes, and Claims: then no result
//     would be used.
//   - [Config].SessionsPerSubject is set, and only the row knows the subject. Replacements of
//     one subject take turns on each replica, or they would wait for each other with a
//     connection each. A Token gives the subject; so does Subject.
//
// A session of Compas can be replaced as well. If [Config].SessionsPerSubject limits a
// subject's sessions, the two count as one.
//
// Errors are those of [Store.Create]; [ErrNotReplaceable] where the session has ended or
// is not known; a [ConflictError]; an [ArgumentError] of the member "replaces" for a
// token that does not verify or has expired; and a [SealedError] if the data is
// inherited and cannot be opened.
func (s *Store) Replace(ctx context.Context, replaced Replaced, params CreateParams) (_ Session, _ TokenPair, err error) {
	result := Result{Operation: OperationCreate, Subject: params.Subject, Actor: params.Actor}
	ctx = s.begin(ctx, OperationCreate)
	var ended perClient
	defer func() {
		result.Err, result.Revoked, result.RevokedByClient = err, ended.total(), ended.named(s.rules.FirstClient)
		s.end(ctx, result)
	}()
	fail := func(err error) (Session, TokenPair, error) { return Session{}, TokenPair{}, err }

	was, err := s.named(ctx, replaced)
	if err != nil {
		return fail(err)
	}
	asked, err := s.checkParams(params)
	if err != nil {
		return fail(err)
	}
	was.keepsData = len(params.Data) == 0
	asked.once = newOnce(asked, was)
	asked.params.Subject = cmp.Or(params.Subject, pgvalue.OrZero(was.told))
	reads := s.readsReplaced(asked.params, was)
	for {
		wanted, replaces, why := asked, was, error(nil)
		if reads {
			wanted, replaces, why = s.inherit(ctx, asked, was)
		}
		if why == nil {
			made, err := s.prepare(ctx, wanted)
			if err != nil {
				return fail(err)
			}
			made.replaced = replaces
			more, err := s.make(ctx, made)
			ended.addAll(more)
			if err == nil {
				result.Changed, result.Subject, result.ClientID = made.session.ID, made.session.Subject, made.session.ClientID
				result.Replaced, result.ReplacedSubject, result.ReplacedClientID = was.id, made.replaced.subject, cmp.Or(made.replaced.clientID, s.rules.FirstClient)
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

// readsReplaced reports whether the session that ends must be read before it is replaced:
// see [Store.Replace].
func (s *Store) readsReplaced(params CreateParams, was replaced) bool {
	if was.keepsData && s.data.Sealer != nil {
		return true
	}
	getsSubject := params.Subject == "" && was.told == nil
	if getsSubject && s.limit.most > 0 {
		return true
	}
	asks := s.cfg.ClaimsFor != nil && len(params.Claims) == 0 || s.cfg.LifetimesFor != nil && lacksLifetime(params.Lifetimes)
	return asks && (getsSubject || was.keepsData || params.Client.Label == "")
}

// named finds out which session is meant.
func (s *Store) named(ctx context.Context, r Replaced) (replaced, error) {
	if !s.TakesFromCompas(r.Token) {
		return s.core.named(r)
	}
	claims, err := s.compas.VerifyIssued(r.Token)
	if err == nil {
		claims, _, err = s.compas.Find(ctx, claims)
	}
	return r.by(claims, err)
}

// named is [Store.named], except for the tokens of Compas.
func (s *core) named(r Replaced) (replaced, error) {
	if r.Token != "" {
		claims, err := s.tokens.verifyAny(r.Token)
		was, err := r.by(claims, err)
		was.told = &claims.Subject
		return was, err
	}
	if r.SessionID == uuid.Nil {
		return replaced{}, argumentError("replaces", "names no session")
	}
	return replaced{id: r.SessionID, checksum: r.Checksum}, nil
}

// by is what the token's claims name, or what their error says about it.
func (r Replaced) by(claims tokens.Claims, err error) (replaced, error) {
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

// inherit fills in what the new session inherits from the one that it replaces, whose
// data must then still be the same. The error says why it cannot be replaced.
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
		return fail(sessionerr.Unavailable("read the session to replace", err))
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
