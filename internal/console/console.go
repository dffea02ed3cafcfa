// Package console is the operators' page. It shows which sessions are live, which have
// ended, why, and who ended them. It is HTML that works without scripts, loads nothing from other servers, and shows
// no token. Anyone with a service key with the right [httpapi.RightOperator], or a link from
// `api console`, signs in to a special session, and the audit trail has each
// action with their name.
package console

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// ClientID is the client of operators' sessions, by which lists distinguish operators from
// users.
const ClientID = "latchkey-console"

const (
	idleTimeout     = 30 * time.Minute
	absoluteTimeout = 12 * time.Hour

	maxFormBytes = 16 << 10
)

// Keys are the service keys that are currently accepted: an [httpapi.Server] has them.
type Keys interface {
	Key(secret string) (httpapi.KeyInfo, bool)
	KeyNamed(name string) (httpapi.KeyInfo, bool)
}

// Sessions are those that the page shows: a [sessionstore.Store] has them.
type Sessions interface {
	Load(ctx context.Context, id uuid.UUID) (sessionstore.Session, error)
	LoadClaims(ctx context.Context, id uuid.UUID) (claims []byte, checksum string, err error)
	History(ctx context.Context, id uuid.UUID) (sessionstore.History, error)
	Find(ctx context.Context, params sessionstore.FindParams) (sessionstore.Page, error)
	Subjects(ctx context.Context, beginning string) ([]string, error)
	Theft(ctx context.Context, id uuid.UUID) (sessionstore.LeakReport, error)
	Thefts(ctx context.Context, params sessionstore.ListParams) (sessionstore.TheftPage, error)
	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
	InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID, cause ...sessionstore.Cause) (int64, error)
	CountLive(ctx context.Context) (n int64, isExact bool, err error)
	EstimateLive(ctx context.Context) (int64, error)
	EstimateKept(ctx context.Context) (int64, error)
	Activity(ctx context.Context, now time.Time) (a sessionstore.Activity, known bool, err error)
}

// Config is the configuration of [New].
type Config struct {
	// Sessions are the sessions to show.
	Sessions Sessions
	// Own is a store of operators' sessions, with the configuration that [StoreConfig] returns.
	Own *sessionstore.Store
	// Pool is for links: see [MakeLink].
	Pool *pgxpool.Pool
	// Service is what the page "now" shows about the service.
	Service Service
	// Audit, if set, records what the stores' observers do not.
	Audit func(context.Context, audit.Event)
	// Logger records refused sign-ins and failures. Nil means [slog.Default].
	Logger *slog.Logger
}

// StoreConfig is the configuration of the store of operators' sessions in addition to that of the
// service. Their tokens have a separate issuer, so that neither passes for the other.
func StoreConfig(service sessionstore.Config) sessionstore.Config {
	return sessionstore.Config{
		Tokens: tokens.Config{
			Issuer: service.Tokens.Issuer + root, Audience: ClientID, ClientID: ClientID, MissingKey: service.Tokens.MissingKey,
		},
		Lifetimes: sessionstore.Lifetimes{RefreshToken: idleTimeout, Session: absoluteTimeout},
		Direct:    service.Direct, Sealer: service.Sealer, SealedOnly: service.SealedOnly,
		Leaks: service.Leaks, Observers: service.Observers,
	}
}

// signedIn is the data of an operator's session.
type signedIn struct {
	// Key is the fingerprint of the service key.
	Key        string `json:"key,omitempty"`
	FormSecret []byte `json:"form_secret,omitempty"`
}

// Console is the operators' page.
type Console struct {
	cfg      Config
	keys     Keys
	manager  *sessionhttp.Manager[signedIn]
	forms    *sessionhttp.Forms[signedIn]
	attempts *attempts
	recent   *recent
	counter  *counter
	now      func() time.Time
}

// New returns the page.
func New(cfg Config) (*Console, error) {
	if cfg.Sessions == nil || cfg.Own == nil || cfg.Pool == nil {
		return nil, errors.New("console: both stores and a pool are required")
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return &Console{cfg: cfg, attempts: newAttempts(), recent: new(recent), counter: newCounter(), now: time.Now}, nil
}
