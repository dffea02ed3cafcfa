package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// TakesFromCompas reports whether a token looks like one that Compas issued,
// and [Config.CompasSigningKey] is set. Only the store can verify such a
// token: a verifier elsewhere refuses it.
func (s *Store) TakesFromCompas(token string) bool { return s.compas != nil && s.compas.Takes(token) }

// getCompas is Get for an access token of Compas.
func (s *Store) getCompas(ctx context.Context, accessToken string, options GetOptions) (session Session, claims tokens.Claims, err error) {
	var data []byte
	claims, err = s.compas.Get(ctx, accessToken, sessionColumns+`, s."data"`, func(row pgx.Row, more ...any) (err error) {
		session, err = scanSession(s.cfg.Tokens.ClientID, row, append([]any{&data}, more...)...)
		return err
	})
	if err == nil {
		session.Data, err = s.data.open(session.ID, data)
	}
	if err != nil {
		return Session{}, tokens.Claims{}, err
	}
	claims.Subject, claims.SessionID = session.Subject, session.ID
	if options.Check != nil {
		if err := options.Check(claims); err != nil {
			return Session{}, tokens.Claims{}, err
		}
	}
	return session, claims, nil
}
