package sessionhttp

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// DefaultSaveTimeout is how long storing a change may take.
const DefaultSaveTimeout = 5 * time.Second

// Store is what the middleware needs of a store of sessions: a [sessionstore.Store] is one, and
// for tests that of package memstore. Package sessiontest has the suite for another.
type Store interface {
	GetWith(ctx context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error)
	Create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error)
	Load(ctx context.Context, id uuid.UUID) (sessionstore.Session, error)
	Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error)
	Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
}

// Config says how the middleware answers.
type Config struct {
	// Transport says where the tokens are. Nil means [Bearer].
	Transport Transport
	// Optional lets requests without a token pass, without a session. A token that is not valid is
	// refused all the same, except for cookies, which a browser sends by itself: with those, the
	// request is that of a visitor without a session.
	Optional bool
	// ClientID is the client of the store's ([sessionstore.Config].Clients) whose sessions these are:
	// new ones are that client's, and another client's tokens are not valid here. Managers whose
	// sessions are apart need a client each where they have one database and keys in common, and neither
	// the names of their [Cookies] tell them apart. Empty means that sessions of every client are taken.
	ClientID string
	// Client describes a request's client, for lists of devices. Nil means its user agent: whether
	// its address is a proxy's, the middleware cannot know.
	Client func(*http.Request) sessionstore.Client
	// Proofs checks the proofs of access tokens that are bound to a key (RFC 9449).
	// Nil means that bound tokens are refused: they must not pass for bearer tokens.
	Proofs *dpop.Checker
	// SaveTimeout is how long storing changes may take, with everything that has to be
	// repeated. It takes the place of the request's own end: a client that leaves takes no
	// change with it. Zero means [DefaultSaveTimeout].
	SaveTimeout time.Duration
	// Repair, if set, is asked for the data of a session whose stored data does not
	// decode into the manager's type: it returns the JSON object that is stored instead,
	// migrated, or {} to start over. Its error is the answer to the request; if that is
	// [sessionstore.ErrEnded], the session is revoked. It may be asked
	// several times about the same data. Nil means that such a session fails
	// with a [DataError]; in cookies its request is that of a visitor without a session, as with
	// any cookies that are not valid. Either way the session stays as it is: the release of the
	// program that its data is of still has it.
	Repair func(context.Context, sessionstore.Session, error) ([]byte, error)
	// Metadata, if set, is in the challenges of [Error] (RFC 9728 §5.1). Serve it at its
	// Path.
	Metadata *protectedresource.Metadata
	// OnError answers a request that cannot be served. Nil means [Error].
	OnError func(http.ResponseWriter, *http.Request, error)
	// Logger is told of changes that could not be stored, of stored data that does
	// not decode, and of sessions that could not be loaded. Nil means [slog.Default].
	Logger *slog.Logger
	// Anonymous, if set, gives visitors without a session one, in requests that Optional lets
	// pass: [Manager.From] returns an empty one, and the first change that is stored makes it,
	// with these parameters except for Data, before the response begins; after that the change is
	// refused with [ErrBegun]. A visitor who changes nothing costs nothing. Nil means that a visitor has no session before [Manager.Begin].
	// It is for transports that hand tokens to clients by themselves: [Cookies].
	Anonymous func(*http.Request) sessionstore.CreateParams
}

// Manager is the middleware for sessions whose data is a T, which
// encoding/json turns into a JSON object and back. Members of the stored data
// that T does not have are lost when a handler changes something.
//
// The sessions of two managers are apart, even if both have the same T: each finds its own
// in a request's context. Tokens of the one are not valid for the other where each has
// keys, a [Config].ClientID or a [Cookies].Name of its own.
type Manager[T any] struct {
	store  Store
	cfg    Config
	cookie string // the name of the transport's cookie, if it has one
}

// New returns a manager.
func New[T any](store Store, cfg Config) *Manager[T] {
	var cookie string
	if transport, has := cfg.Transport.(interface{ access() string }); has { // Cookies, or what embeds them
		cookie = transport.access()
		check(cookie)
	}
	if cfg.OnError == nil {
		cfg.OnError = Error
	}
	cfg.OnError = authorization.WithMetadata(cfg.OnError, cfg.Metadata)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	cfg.Transport = cmp.Or[Transport](cfg.Transport, Bearer{})
	if cfg.Client == nil {
		cfg.Client = describe
	}
	cfg.SaveTimeout = cmp.Or(cfg.SaveTimeout, DefaultSaveTimeout)
	return &Manager[T]{store: store, cfg: cfg, cookie: cookie}
}

// contextKey is a manager's own: two of one type have two sessions in one request.
type contextKey struct{ manager any }

// From returns the session that this manager's [Manager.Handler] put into the context,
// or nil.
func (m *Manager[T]) From(ctx context.Context) *Session[T] {
	s, _ := ctx.Value(contextKey{m}).(*Session[T])
	return s
}
