package httpapi

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// Config is the configuration of [New].
type Config struct {
	// Issuer is the tokens' iss and the public base URL, which the metadata's
	// endpoints start with. Required.
	Issuer string
	// ClientID is the id by which the store's first client may name itself at the token and
	// the revocation endpoint, the tokens' client_id. Others use their ids in the store.
	// Any other name is answered with invalid_client (RFC 6749 §5.2). Empty means that any
	// name is accepted.
	ClientID string
	// ServiceKeys are what the callers of the internal listener present.
	// At least one is required.
	ServiceKeys []ServiceKey
	// Verifier, if set, accepts access tokens where no session data is needed,
	// and its revocations are passed on at /v1/revocations. Its Run
	// should be running. Without it every access token costs a database read, and
	// there is no feed.
	Verifier *verifier.Verifier
	// CORSOrigins are the exact origins whose scripts may use the public
	// listener, such as https://app.example.com. An internationalized name may be
	// written in Unicode. None means no CORS at all.
	CORSOrigins []string
	// DPoPNonce requires each proof of possession to carry a nonce of this server
	// (RFC 9449 §8), which keeps proofs from being made in advance. A client's
	// first request is answered with one.
	DPoPNonce bool
	// DPoPWindow is how far the iat of a proof without a nonce may lie before the
	// server's time; it may lie up to a minute after it. A client whose clock is off by
	// more is asked for a nonce, which replaces the time. Zero means a minute; the
	// maximum is 10 minutes.
	DPoPWindow time.Duration
	// RateLimit is how many requests per minute one client address may send to
	// the public listener: a burst of that many, and then evenly. Zero means any
	// number.
	RateLimit int
	// SessionRateLimit is how many requests per minute the public listener takes with
	// tokens of one session, from whatever addresses. A refused client waits for a
	// minute divided by this, which should be well below the store's grace. Zero
	// means any number.
	SessionRateLimit int
	// HideActedSessions leaves sessions in which someone acts for the subject out of the subject's own list, except for
	// the one that asks.
	HideActedSessions bool
	// TrustedProxies are the networks of the proxies whose X-Forwarded-For is trusted. None means that a client's
	// address is that of its connection.
	TrustedProxies []netip.Prefix
	// RequestTimeout is how long a request may wait for the database; after
	// that the answer is 503. Zero means 10 s.
	RequestTimeout time.Duration
	// ReadTimeout is how long a client may take to send a request. Zero means
	// 15 s.
	ReadTimeout time.Duration
	// IdleTimeout is how long a connection is kept open for another request. It must be
	// longer than that of the load balancer in front. Zero means 2 min.
	IdleTimeout time.Duration
	// ShutdownDelay is how long [Server.Run] still accepts requests once its context has ended, while /readyz answers
	// 503: load balancers need a moment to notice. Zero means no delay.
	ShutdownDelay time.Duration
	// DrainTimeout is how long requests may continue after that. Zero means 15 s.
	DrainTimeout time.Duration
	// Logger gets one line for each request. Nil means [slog.Default].
	Logger *slog.Logger
	// Metrics answers GET /metrics on the internal listener, without a
	// key. Nil means that there is no such route.
	Metrics http.Handler
	// SharedSignals makes the public listener publish what receivers of Security Event Tokens
	// need: the metadata of the Shared Signals Framework. Set it if such tokens are sent.
	SharedSignals bool
	// DeadEvents, if set, are listed and resent at /v1/events/dead of the internal listener.
	// Nil means that there are no such routes.
	DeadEvents DeadEvents
	// Console returns the handler below /console on the internal listener: the operators'
	// page, which handles its own sign-in with the server's keys. Nil means that there is
	// none.
	Console func(*Server) http.Handler
	// Observers are notified of each request. None by default.
	Observers []Observer
}

// Server serves both listeners.
type Server struct {
	store       Store
	cfg         Config
	logger      *slog.Logger
	serviceKeys atomic.Pointer[[]serviceKey]
	clientIDs   []string // the store's, the first one first

	jwks                       atomic.Pointer[cacheable]
	metadata, ssf              cacheable
	publicIndex, internalIndex cacheable

	// proofs checks the proofs of requests to this server, foreignProofs of
	// requests to resource servers that ask about them.
	proofs, foreignProofs *dpop.Checker
	nonceSecrets          atomic.Pointer[[][]byte]

	// Each is nil if there is no limit.
	addressRate *rateLimit[netip.Prefix]
	sessionRate *rateLimit[uuid.UUID]

	streams                        streams
	streamLifetime, streamPatience time.Duration

	// stopping is set once the service is stopping.
	stopping atomic.Bool

	public, internal http.Handler
}
