package httpapi

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	minServiceKeyBytes = 32

	defaultDPoPWindow     = time.Minute
	defaultRequestTimeout = 10 * time.Second
	defaultReadTimeout    = 15 * time.Second
	defaultIdleTimeout    = 2 * time.Minute
	defaultDrainTimeout   = 15 * time.Second
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

// ServiceKey lets a backend or an operator use the internal listener.
type ServiceKey struct {
	// Name identifies the key in the log.
	Name string
	// Secret is what callers present: 32 visible ASCII characters or more, without a comma.
	Secret tokens.Secret
	// Rights are what the key allows: see [Rights]. Nil means everything but [RightOperator].
	Rights []Right
}

func (c Config) withDefaults() (Config, error) {
	if err := checkIssuer(c.Issuer); err != nil {
		return c, err
	}
	c.CORSOrigins = slices.Clone(c.CORSOrigins)
	for i, origin := range c.CORSOrigins {
		sent, err := browserOrigin(origin)
		if err != nil {
			return c, err
		}
		c.CORSOrigins[i] = sent
	}
	for _, prefix := range c.TrustedProxies {
		if !prefix.IsValid() {
			return c, errors.New("httpapi: TrustedProxies has an invalid network")
		}
	}
	if c.RateLimit < 0 || c.SessionRateLimit < 0 {
		return c, fmt.Errorf("httpapi: RateLimit (%d) and SessionRateLimit (%d) may not be negative", c.RateLimit, c.SessionRateLimit)
	}
	for _, t := range []struct {
		name         string
		value        *time.Duration
		defaultValue time.Duration
	}{
		{"DPoPWindow", &c.DPoPWindow, defaultDPoPWindow},
		{"RequestTimeout", &c.RequestTimeout, defaultRequestTimeout},
		{"ReadTimeout", &c.ReadTimeout, defaultReadTimeout},
		{"IdleTimeout", &c.IdleTimeout, defaultIdleTimeout},
		{"ShutdownDelay", &c.ShutdownDelay, 0},
		{"DrainTimeout", &c.DrainTimeout, defaultDrainTimeout},
	} {
		*t.value = cmp.Or(*t.value, t.defaultValue)
		if *t.value < 0 {
			return c, fmt.Errorf("httpapi: %s is %v, it may not be negative", t.name, *t.value)
		}
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c, nil
}

// checkIssuer requires what RFC 8414 §2 requires, but accepts http for local use. The
// issuer's path becomes a route, in which *, { and } would have a meaning.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(u.Path, "*{}") || strings.HasSuffix(issuer, "/") {
		return fmt.Errorf("httpapi: Issuer is %q, it must be a URL such as https://auth.example.com", issuer)
	}
	return nil
}

func checkServiceKeys(keys []ServiceKey) error {
	if len(keys) == 0 {
		return errors.New("httpapi: ServiceKeys is empty, the internal listener needs at least one")
	}
	names, secrets := make(map[string]bool), make(map[[sha256.Size]byte]bool)
	for _, k := range keys {
		digest := sha256.Sum256([]byte(k.Secret))
		switch {
		case k.Name == "":
			return errors.New("httpapi: a service key has no name")
		case len(k.Secret) < minServiceKeyBytes:
			return fmt.Errorf("httpapi: the service key %q has %d bytes, it must have %d or more", k.Name, len(k.Secret), minServiceKeyBytes)
		case strings.ContainsFunc(string(k.Secret), func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }):
			return fmt.Errorf("httpapi: the service key %q has a character that an Authorization header cannot have", k.Name)
		case names[k.Name]:
			return fmt.Errorf("httpapi: two service keys are named %q", k.Name)
		case secrets[digest]:
			return fmt.Errorf("httpapi: the service key %q has the secret of another one", k.Name)
		case k.Rights != nil && len(k.Rights) == 0:
			return fmt.Errorf("httpapi: the service key %q has no right", k.Name)
		}
		for _, right := range k.Rights {
			if !slices.Contains(Rights(), right) {
				return fmt.Errorf("httpapi: the service key %q has the right %q, which does not exist", k.Name, right)
			}
		}
		names[k.Name], secrets[digest] = true, true
	}
	return nil
}
