package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Get is [Store.GetWith] without options. For a token that is bound to a key it
// records no use, since the key was not proven.
func (s *Store) Get(ctx context.Context, accessToken string) (Session, tokens.Claims, error) {
	return s.GetWith(ctx, accessToken, GetOptions{})
}

// GetWith verifies an access token and loads its session. It is strict: a token
// whose session has ended is refused from the next call on, with [ErrEnded] or
// [ErrNotFound]. A token that was replaced is accepted for [Config].Grace longer, for requests that are under way, without recording its use, and
// is [ErrSuperseded] after that; one that has expired by the database's clock is a [tokens.ErrExpired]; a token that does not verify is a
// [tokens.ErrInvalid], a refresh token a [tokens.ErrWrongType]. Data that cannot be opened is a [SealedError].
func (s *Store) GetWith(ctx context.Context, accessToken string, options GetOptions) (_ Session, _ tokens.Claims, err error) {
	ctx = s.begin(ctx, OperationGet)
	defer func() { s.end(ctx, Result{Operation: OperationGet, Err: err}) }()

	claims, err := s.tokens.verify(accessToken, tokens.AccessToken)
	if err != nil {
		if s.TakesFromCompas(accessToken) {
			return s.getCompas(ctx, accessToken, options)
		}
		return Session{}, tokens.Claims{}, err
	}
	answered, err := s.readings.Do(ctx, newReading(claims))
	r := &answered.Of
	switch {
	case err != nil:
		return Session{}, tokens.Claims{}, sessionerr.Unavailable("get a session", err)
	case !r.found:
		return Session{}, tokens.Claims{}, ErrNotFound
	}
	if err := s.checkAccess(claims, r, options); err != nil {
		return Session{}, tokens.Claims{}, err
	}
	if r.session.Data, err = s.data.open(r.session.ID, r.data); err != nil {
		return Session{}, tokens.Claims{}, err
	}
	if err := r.session.readClaims(r.claims); err != nil {
		return Session{}, tokens.Claims{}, err
	}
	if r.isFirstUse(claims, options) {
		s.seen.note(ctx, claims.TokenID, r.current)
	}
	return r.session, claims, nil
}

// checkAccess is the verdict of a strict check about a verified access token.
func (s *core) checkAccess(claims tokens.Claims, r *reading, options GetOptions) error {
	switch {
	case r.hasEnded, !r.isOfThisEra, !r.isLive && claims.Generation <= r.current.generation:
		return ErrEnded
	case !s.rules.Of(r.grace()).AcceptsAccess(claims.Generation, r.current.generation, r.current.mintedAt, r.now):
		// If the token's generation is above the row's, the idle time in the row is
		// that of an earlier token.
		return ErrSuperseded
	case claims.Audience != r.audience && !s.tokens.accepts(claims.Audience):
		return tokens.ErrWrongAudience
	case !r.now.Before(claims.ExpiresAt), claims.Generation == r.current.generation && !r.now.Before(r.current.expiresAt):
		return tokens.ErrExpired
	case options.Check != nil:
		return options.Check(claims)
	}
	return nil
}

// isFirstUse reports whether an accepted token shows for the first time that its client
// holds the pair.
func (r *reading) isFirstUse(claims tokens.Claims, options GetOptions) bool {
	isClients := !options.Unconfirmed && (options.Check != nil || claims.KeyThumbprint == "")
	return isClients && r.countsAsFirstUse && claims.Generation == r.current.generation && claims.IssuedAt.Equal(r.current.mintedAt.Truncate(time.Second))
}

// Load returns a session by its id, including an ended one until it is cleaned
// up. It fails with [ErrNotFound], or a [SealedError] if the data cannot be
// opened.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (_ Session, err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	answered, err := s.loadings.Do(ctx, newLoading(id))
	l := &answered.Of
	switch {
	case err != nil:
		return Session{}, sessionerr.Unavailable("load a session", err)
	case !l.found:
		return Session{}, ErrNotFound
	}
	l.session.noteEnding(l.end.ending())
	if err := l.session.readClaims(l.claims); err != nil {
		return Session{}, err
	}
	if l.session.Data, err = s.data.open(id, l.data); err != nil {
		return Session{}, err
	}
	return l.session, nil
}
