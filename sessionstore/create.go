package sessionstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Create makes a session and its token pair. Without an idempotency key this is the only
// operation that must not simply be repeated after [ErrUnavailable]: if the response was
// lost, there are then two sessions. With a key, the same call gives the same session
// and its current pair, even from two replicas at once; another call with that key is
// [ErrIdempotencyKeyReused], and one whose session has ended is [ErrEnded].
//
// If [Config].SessionsPerSubject limits a subject's sessions, the oldest ones
// may end to make room for the new one, or the error is [ErrTooManySessions].
func (s *Store) Create(ctx context.Context, params CreateParams) (_ Session, _ TokenPair, err error) {
	result := Result{Operation: OperationCreate, Subject: params.Subject, Actor: params.Actor}
	ctx = s.begin(ctx, OperationCreate)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	asked, err := s.checkParams(params)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	asked.once = newOnce(asked, replaced{})
	made, err := s.prepare(ctx, asked)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	ended, err := s.make(ctx, made)
	result.Revoked, result.RevokedByClient = ended.total(), ended.named(s.rules.FirstClient)
	if errors.Is(err, errCreatedBefore) {
		return s.createdBefore(ctx, asked.once)
	}
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	result.Changed, result.ClientID = made.session.ID, made.session.ClientID
	tokens, err := s.tokens.sign(made.pair, made.pair.CreatedAt)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	return made.session, tokens, nil
}

// make makes a session in the way that the creation requires, and returns how
// many others of its subject ended for it.
func (s *Store) make(ctx context.Context, c *creation) (ended perClient, err error) {
	switch {
	case s.limit.counts(c.session.Subject):
		return s.limit.create(ctx, c, s.data)
	case c.once.key != nil:
		return nil, s.createOnce(ctx, c)
	default:
		return nil, s.createShared(ctx, c)
	}
}

func (s *Store) createShared(ctx context.Context, c *creation) error {
	if _, err := s.creations.Do(ctx, c); err != nil {
		return sessionerr.Unavailable("create a session", err)
	}
	return nil
}

// prepare fills in everything that the database does not determine.
func (s *core) prepare(ctx context.Context, checked checkedParams) (*creation, error) {
	params, claims := checked.params, checked.claims
	if len(params.Claims) == 0 && s.cfg.ClaimsFor != nil {
		var err error
		if claims, err = s.claimsFor(ctx, params); err != nil {
			return nil, err
		}
	}
	client, err := s.cfg.client(params.ClientID)
	if err != nil {
		return nil, err
	}
	if client.RequireProof && params.KeyThumbprint == "" {
		return nil, argumentError("dpop_jkt", "missing: the client %q needs one", client.ID)
	}
	own, err := s.cfg.lifetimesOf(params, client.Lifetimes)
	if err != nil {
		return nil, err
	}
	// Ids start with the time, so inserts go to the right edge of each index. They
	// need not be secret: tokens are signed.
	var ids [2]uuid.UUID
	for i, shard := range [2]int{s.cfg.Shard, 0} { // a pair is found by its session
		if ids[i], err = sessionid.New(shard); err != nil {
			return nil, fmt.Errorf("create a session: %w", err)
		}
	}
	session := Session{ID: ids[0], Subject: params.Subject, ClientID: client.ID, Data: params.Data, Checksum: s.data.sum(ids[0], checked.content), Client: params.Client.clean()}
	if err := session.readClaims(claims); err != nil {
		return nil, err
	}
	stored, err := s.data.stored(session.ID, session.Data)
	if err != nil {
		return nil, err
	}
	return &creation{
		session: session, stored: stored, pair: refresh.Pair{SessionID: ids[0], Subject: params.Subject, ID: ids[1], BoundTo: params.KeyThumbprint, Client: client.ID, Audience: tokens.Audience(client.Audiences...), Claims: claims, Lifetimes: own},
		own: own, lifetimes: own.Or(s.cfg.Lifetimes), once: checked.once, clientID: client.argument, elsewhere: params.Elsewhere,
	}, nil
}
