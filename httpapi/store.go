package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Store is where the sessions are: a [sessionstore.Store], or several of them, one for each
// shard. Each method and its errors are described there.
type Store interface {
	Create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)

	Get(ctx context.Context, accessToken string) (sessionstore.Session, tokens.Claims, error)
	GetWith(ctx context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error)
	Load(ctx context.Context, id uuid.UUID) (sessionstore.Session, error)
	LoadClaims(ctx context.Context, id uuid.UUID) (claims []byte, checksum string, err error)
	History(ctx context.Context, id uuid.UUID) (sessionstore.History, error)
	CheckVersion(ctx context.Context, id uuid.UUID, checksum string) error

	List(ctx context.Context, subject string, params sessionstore.ListParams) (sessionstore.Page, error)
	Find(ctx context.Context, params sessionstore.FindParams) (sessionstore.Page, error)

	Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error)
	SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, options sessionstore.SetClaimsOptions) (string, error)
	Patch(ctx context.Context, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error)
	PatchOwn(ctx context.Context, subject string, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error)

	RefreshTokensWith(ctx context.Context, refreshToken string, options sessionstore.RefreshOptions) (sessionstore.Refreshed, error)

	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
	InvalidateOwn(ctx context.Context, subject string, id uuid.UUID, cause ...sessionstore.Cause) error
	InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID, cause ...sessionstore.Cause) (int64, error)
	RevokeToken(ctx context.Context, token string) error

	// These send no query.

	VerifyToken(token string) (tokens.Claims, error)
	VerifyRefreshToken(refreshToken string) (tokens.Claims, error)
	TakesFromCompas(token string) bool
	SignIntrospection(caller string, answer []byte) ([]byte, error)
	ClientIDs() []string
	Now() time.Time

	// Ping reports whether requests can be served, at least some of them.
	Ping(ctx context.Context) error
}

var _ Store = (*sessionstore.Store)(nil)

// DeadEvent is a delivery of an event that is not retried automatically.
type DeadEvent struct {
	ID        int64     `json:"id"`
	Endpoint  string    `json:"endpoint"`
	EventID   uuid.UUID `json:"event_id"`
	Type      string    `json:"type"`
	SessionID uuid.UUID `json:"session_id"`
	At        time.Time `json:"at"`
	DeadAt    time.Time `json:"dead_at"`
	Attempts  int       `json:"attempts"`
	Error     string    `json:"error"`
}

// DeadEvents are the deliveries of events that are not retried automatically. Errors of its
// methods are outages.
type DeadEvents interface {
	// Dead returns the deliveries to an endpoint, or to all if it is empty, with ids below
	// before unless that is zero: newest first, at most limit.
	Dead(ctx context.Context, endpoint string, before int64, most int) ([]DeadEvent, error)
	// Resend retries the deliveries with one of the ids, or all if these are nil, to the
	// endpoint, or to all if it is empty. It returns how many.
	Resend(ctx context.Context, ids []int64, endpoint string) (int64, error)
}
