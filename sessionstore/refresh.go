package sessionstore

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Refreshed is the result of a refresh.
type Refreshed struct {
	SessionID uuid.UUID
	// Outcome says how the pair came about: by a rotation, or by one of the cases in
	// which an earlier answer is repeated.
	Outcome Outcome
	Pair    TokenPair
}

// RefreshTokens exchanges a refresh token for its session's current pair. In
// the normal case that is a new pair; a token that is presented again in time
// gets the same pair again. If a response was lost, for whatever reason, the
// request may be repeated. The description of the client is stored with the session; it decides nothing.
//
// Errors: [ErrNotFound] and [ErrEnded] for a session that no longer exists,
// [ErrReuse] for a token that was stolen, [tokens.ErrInvalid] for one that does
// not verify. A client that gets one of these must have its user sign in again.
// [ErrUnavailable] says nothing about the token. A token that is bound to a key
// is [ErrNotProven] here: see [Store.RefreshTokensWithProof].
func (s *Store) RefreshTokens(ctx context.Context, refreshToken string, client Client) (Refreshed, error) {
	return s.RefreshTokensWithProof(ctx, refreshToken, "", client)
}

// RefreshTokensWithProof is [Store.RefreshTokens] for a client that has proven
// possession of the key with the given thumbprint (RFC 7638, in base64url),
// which the caller has checked: package dpop does. Every pair that it gets is
// bound to the key, and so is the session from then on: without a proof of that
// key, none of its refresh tokens is accepted, in any case of the protocol, and
// the error is [ErrNotProven]. An empty thumbprint means no proof.
func (s *Store) RefreshTokensWithProof(ctx context.Context, refreshToken, thumbprint string, client Client) (Refreshed, error) {
	return s.RefreshTokensWith(ctx, refreshToken, RefreshOptions{KeyThumbprint: thumbprint, Client: client})
}

// RefreshOptions are what a refresh may depend on in addition to the token.
type RefreshOptions struct {
	// KeyThumbprint is that of the key of which the client has proven possession:
	// see [Store.RefreshTokensWithProof].
	KeyThumbprint string
	// Scope is what the client requests (RFC 6749 §6); empty for what it has. It may request
	// less, or openid and offline_access, and gets what the session has. Requesting more
	// gives [ErrScope].
	Scope string
	// ClientID is how the client names itself (RFC 6749 §3.2.1); empty where it does not.
	// For a session of another client the error is [ErrOtherClient], unless that client is
	// no longer one of [Store.ClientIDs].
	ClientID string
	// Resources are the resources that the client requests the access token for (RFC
	// 8707 §2.2); none for all that the session has. It gets what the session has.
	// Requesting more gives [ErrResource].
	Resources []string
	// Client is what is known about the client.
	Client Client
}

// RefreshTokensWith is [Store.RefreshTokens] with options.
func (s *Store) RefreshTokensWith(ctx context.Context, refreshToken string, options RefreshOptions) (refreshed Refreshed, err error) {
	if thumbprint := options.KeyThumbprint; thumbprint != "" && !tokens.IsThumbprint(thumbprint) {
		return Refreshed{}, argumentError("dpop_jkt", "not a SHA-256 thumbprint in base64url")
	}
	result := Result{Operation: OperationRefresh}
	ctx = s.begin(ctx, OperationRefresh)
	defer func() {
		result.Err, result.Outcome = err, refreshed.Outcome
		s.end(ctx, result)
	}()
	refreshed, result.ClientID, err = s.refresh(ctx, refreshToken, options)
	return refreshed, err
}

func (s *Store) refresh(ctx context.Context, refreshToken string, options RefreshOptions) (_ Refreshed, clientID string, _ error) {
	t, err := s.present(ctx, refreshToken, options.KeyThumbprint, options.Client)
	if err != nil {
		return Refreshed{}, "", err
	}
	t.scope, t.clientID, t.resources = askedScope(options.Scope), options.ClientID, options.Resources
	if t.wanted, err = s.wantedOf(ctx, t); err != nil {
		return Refreshed{}, "", err
	}
	d, now, err := s.exchange(ctx, t)
	if err != nil {
		return Refreshed{}, "", err
	}
	pair, err := s.tokens.sign(d.Next, now)
	if err != nil {
		return Refreshed{}, "", err
	}
	return Refreshed{SessionID: t.claims.SessionID, Outcome: d.Outcome, Pair: pair}, cmp.Or(d.Next.Client, s.rules.FirstClient), nil
}

// present verifies a refresh token, and what came with it.
func (s *Store) present(ctx context.Context, refreshToken, proven string, client Client) (t presented, err error) {
	t.proven = proven
	t.claims, err = s.tokens.verify(refreshToken, tokens.RefreshToken)
	isOfCompas := err != nil && s.TakesFromCompas(refreshToken)
	if isOfCompas {
		t.claims, err = s.compas.Verify(refreshToken, tokens.RefreshToken)
	}
	if err != nil {
		return t, err
	}
	client = client.clean()
	t.client = Client{UserAgent: client.UserAgent, IP: client.IP}
	if t.claims.KeyThumbprint != "" && t.claims.KeyThumbprint != proven {
		return t, ErrNotProven // refresh.Decide would say the same
	}
	if isOfCompas {
		t.claims, t.compas, err = s.compas.Find(ctx, t.claims)
	}
	return t, err
}
