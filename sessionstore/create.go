package sessionstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Create makes a session and its token pair. Without an idempotency key it is the one
// operation that must not be sent again after [ErrUnavailable] without a second thought:
// if the answer was lost, there are then two sessions. With one, the same call gives the
// same session and its present pair, also from two replicas at once; another call with
// that key is [ErrIdempotencyKeyReused], and one whose session has ended is [ErrEnded].
//
// Where [Config].SessionsPerSubject bounds a subject's sessions, its oldest ones
// may end for the new one, or the error is [ErrTooManySessions].
func (s *Store) Create(ctx context.Context, params CreateParams) (_ Session, _ TokenPair, err error) {
	result := Result{Operation: OperationCreate, Subject: params.Subject}
	ctx = s.begin(ctx, OperationCreate)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	wanted, err := s.prepare(params)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	made := &wanted
	switch {
	case s.limit.counts(params):
		result.Revoked, err = s.limit.create(ctx, made, s.data)
	case wanted.once.key != nil:
		err = s.createOnce(ctx, made)
	default:
		made, err = s.createShared(ctx, wanted)
	}
	if errors.Is(err, errCreatedBefore) {
		return s.createdBefore(ctx, made)
	}
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	result.Changed = made.session.ID
	tokens, err := s.tokens.sign(made.pair, made.pair.CreatedAt)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	return made.session, tokens, nil
}

func (s *Store) createShared(ctx context.Context, wanted creation) (*creation, error) {
	made, err := s.creations.Do(ctx, wanted)
	if err != nil {
		return nil, sessionerr.Unavailable("create a session", err)
	}
	return &made.Of, nil
}

// prepare checks the parameters and fills in what the database does not decide.
func (s *Store) prepare(params CreateParams) (creation, error) {
	fail := func(err error) (creation, error) { return creation{}, err }
	if err := checkText("subject", params.Subject, maxSubjectBytes); err != nil {
		return fail(err)
	}
	if len(params.IdempotencyKey) > maxIdempotencyKeyBytes {
		return fail(argumentError("idempotency_key", "longer than %d bytes", maxIdempotencyKeyBytes))
	}
	if params.KeyThumbprint != "" && !tokens.IsThumbprint(params.KeyThumbprint) {
		return fail(argumentError("dpop_jkt", "not a SHA-256 thumbprint in base64url without padding"))
	}
	if len(params.Data) == 0 {
		params.Data = []byte("{}")
	}
	content, err := canonicalForm(params.Data)
	if err != nil {
		return fail(err)
	}
	claims, err := ownClaims(params.Claims)
	if err != nil {
		return fail(err)
	}
	client, err := s.cfg.client(params.ClientID)
	if err != nil {
		return fail(err)
	}
	if client.RequireProof && params.KeyThumbprint == "" {
		return fail(argumentError("dpop_jkt", "missing: the client %q needs one", client.ID))
	}
	own := params.Lifetimes
	if s.cfg.LifetimesFor != nil {
		own = own.Or(s.cfg.LifetimesFor(params))
	}
	own = own.Or(client.Lifetimes)
	if err := s.cfg.checkLifetimes(own.Or(s.cfg.Lifetimes)); err != nil {
		return fail(err)
	}
	// Version 7 ids start with the time, so inserts land on the right edge of
	// each index. They need not be secret: tokens are signed.
	var ids [2]uuid.UUID
	for i := range ids {
		if ids[i], err = uuid.NewV7(); err != nil {
			return fail(fmt.Errorf("create a session: %w", err))
		}
	}
	session := Session{ID: ids[0], Subject: params.Subject, ClientID: client.ID, Data: params.Data, Checksum: s.data.sum(ids[0], content), Claims: claimsOrNil(claims), Client: params.Client.clean()}
	stored, err := s.data.stored(session.ID, session.Data)
	if err != nil {
		return fail(err)
	}
	return creation{
		session: session, stored: stored, pair: refresh.Pair{SessionID: ids[0], Subject: params.Subject, ID: ids[1], BoundTo: params.KeyThumbprint, Client: client.ID, Audience: tokens.Audience(client.Audiences...), Claims: claims},
		own: own, lifetimes: own.Or(s.cfg.Lifetimes), once: newOnce(params, content, claims), clientID: client.argument,
	}, nil
}
