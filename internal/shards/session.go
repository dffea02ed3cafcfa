package shards

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The methods below are about one session, and are those of [sessionstore.Store] on its shard.

// Get is [sessionstore.Store.Get].
func (r *Router) Get(ctx context.Context, accessToken string) (sessionstore.Session, tokens.Claims, error) {
	return r.GetWith(ctx, accessToken, sessionstore.GetOptions{})
}

// GetWith is [sessionstore.Store.GetWith].
func (r *Router) GetWith(ctx context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error) {
	store, err := r.by(accessToken)
	if err != nil {
		return sessionstore.Session{}, tokens.Claims{}, err
	}
	return store.GetWith(ctx, accessToken, options)
}

// RefreshTokens is [sessionstore.Store.RefreshTokens].
func (r *Router) RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	return r.RefreshTokensWith(ctx, refreshToken, sessionstore.RefreshOptions{Client: client})
}

// RefreshTokensWithProof is [sessionstore.Store.RefreshTokensWithProof].
func (r *Router) RefreshTokensWithProof(ctx context.Context, refreshToken, thumbprint string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	return r.RefreshTokensWith(ctx, refreshToken, sessionstore.RefreshOptions{KeyThumbprint: thumbprint, Client: client})
}

// RefreshTokensWith is [sessionstore.Store.RefreshTokensWith].
func (r *Router) RefreshTokensWith(ctx context.Context, refreshToken string, options sessionstore.RefreshOptions) (sessionstore.Refreshed, error) {
	store, err := r.by(refreshToken)
	if err != nil {
		return sessionstore.Refreshed{}, err
	}
	return store.RefreshTokensWith(ctx, refreshToken, options)
}

// RevokeToken is [sessionstore.Store.RevokeToken].
func (r *Router) RevokeToken(ctx context.Context, token string) error {
	store, err := r.by(token)
	switch {
	case errors.Is(err, tokens.ErrInvalid), errors.Is(err, sessionstore.ErrNotFound):
		return nil // RFC 7009 §2.2
	case err != nil:
		return err
	}
	return store.RevokeToken(ctx, token)
}

// on asks the store of a session.
func on[T any](r *Router, id uuid.UUID, ask func(*sessionstore.Store) (T, error)) (answer T, err error) {
	store, err := r.of(id)
	if err != nil {
		return answer, err
	}
	return ask(store)
}

// Load is [sessionstore.Store.Load].
func (r *Router) Load(ctx context.Context, id uuid.UUID) (sessionstore.Session, error) {
	return on(r, id, func(store *sessionstore.Store) (sessionstore.Session, error) { return store.Load(ctx, id) })
}

// LoadClaims is [sessionstore.Store.LoadClaims].
func (r *Router) LoadClaims(ctx context.Context, id uuid.UUID) (claims []byte, checksum string, err error) {
	store, err := r.of(id)
	if err != nil {
		return nil, "", err
	}
	return store.LoadClaims(ctx, id)
}

// History is [sessionstore.Store.History].
func (r *Router) History(ctx context.Context, id uuid.UUID) (sessionstore.History, error) {
	return on(r, id, func(store *sessionstore.Store) (sessionstore.History, error) { return store.History(ctx, id) })
}

// CheckVersion is [sessionstore.Store.CheckVersion].
func (r *Router) CheckVersion(ctx context.Context, id uuid.UUID, checksum string) error {
	store, err := r.of(id)
	if err != nil {
		return err
	}
	return store.CheckVersion(ctx, id, checksum)
}

// Update is [sessionstore.Store.Update].
func (r *Router) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	return on(r, id, func(store *sessionstore.Store) (string, error) { return store.Update(ctx, id, checksum, data) })
}

// SetClaims is [sessionstore.Store.SetClaims].
func (r *Router) SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, options sessionstore.SetClaimsOptions) (string, error) {
	return on(r, id, func(store *sessionstore.Store) (string, error) {
		return store.SetClaims(ctx, id, checksum, claims, options)
	})
}

// Patch is [sessionstore.Store.Patch].
func (r *Router) Patch(ctx context.Context, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error) {
	return on(r, id, func(store *sessionstore.Store) (sessionstore.Session, error) { return store.Patch(ctx, id, patch) })
}

// PatchOwn is [sessionstore.Store.PatchOwn].
func (r *Router) PatchOwn(ctx context.Context, subject string, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error) {
	return on(r, id, func(store *sessionstore.Store) (sessionstore.Session, error) {
		return store.PatchOwn(ctx, subject, id, patch)
	})
}

// Invalidate is [sessionstore.Store.Invalidate].
func (r *Router) Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error {
	store, err := r.of(id)
	if err != nil {
		return err
	}
	return store.Invalidate(ctx, id, cause...)
}

// InvalidateOwn is [sessionstore.Store.InvalidateOwn].
func (r *Router) InvalidateOwn(ctx context.Context, subject string, id uuid.UUID, cause ...sessionstore.Cause) error {
	store, err := r.of(id)
	if err != nil {
		return err
	}
	return store.InvalidateOwn(ctx, subject, id, cause...)
}

// Theft is [sessionstore.Store.Theft].
func (r *Router) Theft(ctx context.Context, id uuid.UUID) (sessionstore.LeakReport, error) {
	return on(r, id, func(store *sessionstore.Store) (sessionstore.LeakReport, error) { return store.Theft(ctx, id) })
}

// Methods that need no database are the same on each shard.

// VerifyToken is [sessionstore.Store.VerifyToken].
func (r *Router) VerifyToken(token string) (tokens.Claims, error) {
	return r.first.Store.VerifyToken(token)
}

// VerifyRefreshToken is [sessionstore.Store.VerifyRefreshToken].
func (r *Router) VerifyRefreshToken(refreshToken string) (tokens.Claims, error) {
	return r.first.Store.VerifyRefreshToken(refreshToken)
}

// TakesFromCompas is false: sessions of Compas are in one database.
func (r *Router) TakesFromCompas(string) bool { return false }

// SignIntrospection is [sessionstore.Store.SignIntrospection].
func (r *Router) SignIntrospection(caller string, answer []byte) ([]byte, error) {
	return r.first.Store.SignIntrospection(caller, answer)
}

// ClientIDs is [sessionstore.Store.ClientIDs].
func (r *Router) ClientIDs() []string { return r.first.Store.ClientIDs() }

// Now is [sessionstore.Store.Now].
func (r *Router) Now() time.Time { return r.first.Store.Now() }
