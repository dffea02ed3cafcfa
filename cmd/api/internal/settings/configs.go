package settings

import (
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Cleanup returns what cleanup keeps.
func (s Retention) Cleanup() cleanup.Config {
	return cleanup.Config{Retention: time.Duration(s.CleanupRetention), SessionMaxAge: time.Duration(s.CleanupSessionMaxAge)}
}

// Store returns the store's configuration, for tokens of the issuer.
func (s *Serve) Store(issuer string) sessionstore.Config {
	return sessionstore.Config{
		Tokens:         tokens.Config{Issuer: issuer, Audience: string(s.Audience), AcceptedAudiences: s.AudiencesAccepted, ClientID: string(s.ClientID)},
		Lifetimes:      s.lifetimes(),
		Bounds:         s.bounds(),
		Grace:          time.Duration(s.RefreshGrace),
		LateRetryLimit: int(s.LateRetryLimit),
		RefuseReplaced: s.AccessTokenGrace == "false",

		SessionsPerSubject:       int(s.SessionsPerSubject),
		SessionsPerSubjectAction: sessionstore.LimitAction(s.SessionsPerSubjectAction),

		CompasSigningKey: tokens.Secret(s.CompasSigningKey),
	}
}

// Open returns the signing keys in PostgreSQL, with these settings. It sends no query.
func (s StoredKeys) Open(pool *pgxpool.Pool, cfg keystore.Config) (_ *keystore.Store, err error) {
	if cfg.Sealer, err = tokens.NewSealer(s.KeyEncryptionKey...); err != nil {
		return nil, err
	}
	cfg.Algorithm = string(s.KeyAlgorithm)
	return keystore.New(pool, cfg)
}

// NewLogger returns the service's logger. It writes to standard error: standard output is for what a command prints.
func (s Log) NewLogger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // checked when it was read
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" || s.LogFormat == "" && terminal.Is(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
