package sessionhttp

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
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

// Store is what the middleware needs from a store of sessions: a [sessionstore.Store] is one
// and, for tests, that of package memstore. Package sessiontest has the test suite for others.
type Store interface {
	GetWith(ctx context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error)
	Create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error)
	Load(ctx context.Context, id uuid.UUID) (sessionstore.Session, error)
	Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error)
	Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
}

// Config is the configuration of the middleware.
type Config struct {
	// Transport says where the tokens are. Nil means [Bearer].
	Transport Transport
	// Optional lets requests without a token pass, without a session. A token that is not valid is
	// still refused, except in cookies, which a browser sends automatically: with those, the
	// request is that of a visitor without a session.
	Optional bool
	// ClientID is the client of the store ([sessionstore.Config].Clients) whose sessions these are: new
	// ones are that client's, and another client's tokens are not valid here. Managers with separate
	// sessions each need a client if they share a database and keys, and the names of their [Cookies] do
	// not distinguish them. Empty means that sessions of every client are accepted.
	ClientID string
	// Client describes a request's client, for lists of devices. Nil means its user agent: the
	// middleware cannot know whether its address is a proxy's.
	Client func(*http.Request) sessionstore.Client
	// Proofs checks the proofs of access tokens that are bound to a key (RFC 9449).
	// Nil means that bound tokens are refused: they must not pass for bearer tokens.
	Proofs *dpop.Checker
	// SaveTimeout is how long storing changes may take, including all repetitions. It
	// replaces the request's own end: a client that disconnects loses no change. Zero
	// means [DefaultSaveTimeout].
	SaveTimeout time.Duration
	// Repair, if set, is called for a session whose stored data does not decode into the
	// manager's type: it returns the JSON object to store instead, migrated, or {} to start
	// over. Its error is the response to the request; if that is [sessionstore.ErrEnded], the
	// session is revoked. It may be called several times for the same data. Nil means that such
	// a session fails with a [DataError]; in cookies its request is that of a visitor without a
	// session, as with any cookies that are not valid. Either way the session is not changed:
	// the release of the program that wrote its data can still use it.
	Repair func(context.Context, sessionstore.Session, error) ([]byte, error)
	// Metadata, if set, is in the challenges of [Error] (RFC 9728 §5.1). Serve it at its
	// Path.
	Metadata *protectedresource.Metadata
	// OnError answers a request that cannot be served. Nil means [Error].
	OnError func(http.ResponseWriter, *http.Request, error)
	// Logger records changes that could not be stored, stored data that does not
	// decode, and sessions that could not be loaded. Nil means [slog.Default].
	Logger *slog.Logger
	// Anonymous, if set, gives visitors without a session an empty one, in requests that Optional lets
	// pass: [Manager.From] returns it, and storing the first change creates it, with these parameters except for Data, before the response
	// begins; after that the change is refused with [ErrBegun]. A visitor who changes nothing costs nothing. Nil means that a visitor has
	// no session before [Manager.Begin]. It is for transports that hand tokens to clients themselves: [Cookies].
	Anonymous func(*http.Request) sessionstore.CreateParams
}

// Manager is the middleware for sessions whose data is a T, which
// encoding/json turns into a JSON object and back. Members of the stored data
// that T does not have are lost when a handler changes something.
//
// The sessions of two managers are separate, even if both have the same T: each finds its
// own in a request's context. Tokens of one are not valid for the other if each has its
// own keys, [Config].ClientID or [Cookies].Name.
type Manager[T any] struct {
	store  Store
	cfg    Config
	cookie string // the name of the transport's cookie, if it has one
}

// New returns a manager.
func New[T any](store Store, cfg Config) *Manager[T] {
	var cookie string
	if transport, has := cfg.Transport.(interface{ access() string }); has { // Cookies, or a type that embeds it
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

// describe is the default of [Config.Client].
func describe(r *http.Request) sessionstore.Client {
	return sessionstore.Client{UserAgent: r.UserAgent()}
}

// now returns the time of the store's clock, if it has one, or else this machine's.
func (m *Manager[T]) now() time.Time {
	if clock, has := m.store.(interface{ Now() time.Time }); has {
		return clock.Now()
	}
	return time.Now()
}

// create makes a session for the manager's client and cookies.
func (m *Manager[T]) create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	return m.store.Create(ctx, m.own(params))
}

// own makes the session this manager's, unless the caller says otherwise.
func (m *Manager[T]) own(params sessionstore.CreateParams) sessionstore.CreateParams {
	params.ClientID = cmp.Or(params.ClientID, m.cfg.ClientID)
	params.Cookie = cmp.Or(params.Cookie, m.cookie)
	return params
}

// isOthers reports whether a session belongs to another manager, by its client or its cookie.
func (m *Manager[T]) isOthers(clientID, cookie string) bool {
	return m.cfg.ClientID != "" && clientID != m.cfg.ClientID ||
		m.cookie != "" && cookie != "" && cookie != m.cookie
}

func (m *Manager[T]) end(ctx context.Context, id uuid.UUID, cause sessionstore.Cause) error {
	if err := m.store.Invalidate(ctx, id, cause); !errors.Is(err, sessionstore.ErrNotFound) {
		return err
	}
	return nil
}

// saving is the context for work that must not depend on the request's end.
func (m *Manager[T]) saving(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), m.cfg.SaveTimeout)
}

func (m *Manager[T]) handOver(pair sessionstore.TokenPair) func(http.Header) {
	return func(header http.Header) { m.cfg.Transport.Write(header, pair) }
}

// varying is a [Transport] whose header caches do not know: they do not reuse a response to a request with an
// Authorization header (RFC 9111 §3.5), but any other header means nothing to them.
type varying interface {
	// Vary is the name of the request header that has the tokens.
	Vary() string
}

// vary marks the response as depending on the tokens that a request has, or on their absence.
func (m *Manager[T]) vary(header http.Header) {
	transport, is := m.cfg.Transport.(varying)
	if !is {
		return
	}
	name := transport.Vary()
	for _, value := range header["Vary"] {
		for listed := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(listed), name) {
				return
			}
		}
	}
	header.Add("Vary", name)
}
