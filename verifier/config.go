package verifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// DefaultBound is the default of [Config].Bound.
	DefaultBound = time.Second

	minBound             = 20 * time.Millisecond
	defaultStrictTimeout = time.Second
)

// Config says how a verifier works.
type Config struct {
	// Bound is how long after its revocation a session's tokens may still be
	// accepted, at worst. Normally it is milliseconds. Zero means 1 s.
	Bound time.Duration
	// Strict asks the service or its database about one token that has been
	// verified. It is called only if the set cannot decide. Nil means that the
	// session is live, [ErrRevoked] that it is not, and any other error that this
	// is unknown. Required.
	Strict func(ctx context.Context, token string, claims tokens.Claims) error
	// StrictTimeout is how long Strict may take. Zero means 1 s.
	StrictTimeout time.Duration
	// Confirm, if set, inspects a request of [Verifier.Handler] whose token is
	// valid, and refuses it with an error that wraps [tokens.ErrInvalid]: the
	// place for a proof of possession.
	Confirm func(*http.Request, tokens.Claims) error
	// Proofs, if set, checks the proofs of access tokens that are bound to a key (RFC
	// 9449) for [Verifier.Handler]. Nil means that it refuses bound tokens: they must
	// not pass for bearer tokens.
	Proofs *dpop.Checker
	// Metadata, if set, is in the challenges of [Error] (RFC 9728 §5.1). Serve it at its
	// Path.
	Metadata *protectedresource.Metadata
	// OnError answers a refused request of [Verifier.Handler]. Nil means
	// [Error].
	OnError func(http.ResponseWriter, *http.Request, error)
	// Logger records when revocations cannot be followed, and when they can again.
	// Nil means [slog.Default].
	Logger *slog.Logger
	// Shards are the sources of further shards by their numbers, if the sessions of the
	// service are spread over several databases. The verifier's own source is that of the
	// first. For a session in any other shard, the service is always asked.
	Shards map[int]Source
	// Now reads the clocks. Nil means [Now].
	Now func() Moment
}

func (c Config) withDefaults() (Config, error) {
	c.Bound = cmp.Or(c.Bound, DefaultBound)
	c.StrictTimeout = cmp.Or(c.StrictTimeout, defaultStrictTimeout)
	if c.Bound < minBound || c.StrictTimeout < 0 {
		return c, fmt.Errorf("verifier: Bound is %v and StrictTimeout %v; Bound must be %v or more, and neither may be negative",
			c.Bound, c.StrictTimeout, minBound)
	}
	if c.Strict == nil {
		return c, errors.New("verifier: Strict is required")
	}
	if c.OnError == nil {
		c.OnError = Error
	}
	c.OnError = authorization.WithMetadata(c.OnError, c.Metadata)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = Now
	}
	return c, nil
}
