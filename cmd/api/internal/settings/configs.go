package settings

import (
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Cleanup returns what cleanup leaves alone.
func (s Retention) Cleanup() cleanup.Config {
	return cleanup.Config{Retention: time.Duration(s.CleanupRetention), SessionMaxAge: time.Duration(s.CleanupSessionMaxAge)}
}

// Store returns how sessions are kept, for tokens of the issuer.
func (s *Serve) Store(issuer string) sessionstore.Config {
	return sessionstore.Config{
		Tokens: tokens.Config{Issuer: issuer, Audience: string(s.Audience), ClientID: string(s.ClientID)},
		Lifetimes: sessionstore.Lifetimes{
			AccessToken:  time.Duration(s.AccessTokenTTL),
			RefreshToken: time.Duration(s.RefreshTokenTTL),
			Session:      time.Duration(s.SessionTTL),
		},
		Grace:          time.Duration(s.RefreshGrace),
		LateRetryLimit: int(s.LateRetryLimit),

		SessionsPerSubject:       int(s.SessionsPerSubject),
		SessionsPerSubjectAction: sessionstore.LimitAction(s.SessionsPerSubjectAction),

		CompasSigningKey: tokens.Secret(s.CompasSigningKey),
	}
}

// Pooled tells whether DATABASE_URL leads to a PgBouncer in transaction mode.
func (s Database) Pooled() bool { return s.DirectDatabaseURL != "" }
