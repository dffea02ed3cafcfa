package verifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// Verifier accepts access tokens. It is safe for concurrent use.
type Verifier struct {
	tokens tokenVerifier
	source Source
	set    *Set
	shards *shards
	cfg    Config
	// following is set while Run runs.
	following atomic.Bool
}

// tokenVerifier checks everything about an access token except its session.
type tokenVerifier interface {
	// verify returns a [tokens.ErrInvalid] only if the token is not valid, and
	// ErrUnavailable if that is unknown. The claims must not be changed.
	verify(ctx context.Context, token string) (*tokens.Claims, error)
}

// fixedKeys is a tokenVerifier whose keys are managed elsewhere.
type fixedKeys struct{ *tokens.Verifier }

func (f fixedKeys) verify(_ context.Context, token string) (*tokens.Claims, error) {
	claims, err := f.VerifyShared(token, tokens.AccessToken)
	if errors.Is(err, tokens.ErrKeysUnavailable) {
		return nil, unavailable(err)
	}
	return claims, err
}

// New returns a verifier for a service's tokens, with a source of its
// revocations. It starts nothing: see [Verifier.Run].
func New(verifier *tokens.Verifier, source Source, cfg Config) (*Verifier, error) {
	if verifier == nil || source == nil {
		return nil, errors.New("verifier: a verifier of tokens and a source are required")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return newVerifier(fixedKeys{verifier}, source, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger}), nil
}

func newVerifier(verifier tokenVerifier, source Source, cfg Config, clock *databaseClock) *Verifier {
	v := &Verifier{tokens: verifier, source: source, cfg: cfg, set: newSet(cfg.Bound, clock), shards: newShards(cfg.Bound, cfg)}
	v.shards.are(slices.Collect(maps.Keys(cfg.Shards)))
	return v
}

// Run follows the source until ctx ends; then it returns nil. While it does not
// run, the service is asked about each token.
func (v *Verifier) Run(ctx context.Context) error {
	v.following.Store(true)
	defer v.following.Store(false)
	if len(v.cfg.Shards) == 0 {
		return follow(ctx, v.source, v.set)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return follow(ctx, v.source, v.set) })
	group.Go(func() error { return v.shards.follow(ctx, func(shard int) Source { return v.cfg.Shards[shard] }) })
	return group.Wait()
}

// follow follows a source until ctx ends, from the beginning whenever the set must be
// reloaded.
func follow(ctx context.Context, source Source, set *Set) error {
	for ctx.Err() == nil {
		if err := followOnce(ctx, source, set); err != nil {
			return err
		}
	}
	return nil
}

// followOnce follows a source until ctx ends or the set must be reloaded.
func followOnce(ctx context.Context, source Source, set *Set) error {
	again, cancel := context.WithCancel(ctx)
	defer cancel()
	set.restartBy(cancel)
	err := source.Follow(again, set)
	if again.Err() != nil {
		return nil // whatever the source returned when its context ended
	}
	if err == nil {
		err = errors.New("the source has stopped")
	}
	return fmt.Errorf("verifier: %w", err)
}

// Verify returns the claims of a valid access token. Its errors are
// [tokens.ErrInvalid] and those below it, [ErrRevoked], and [ErrUnavailable],
// which says nothing about the token. In normal operation it makes no request.
//
// A token that was replaced by a refresh stays valid until it expires; it may be
// refused earlier only if the service must be asked.
//
// The claims of a token that is bound to a key have the KeyThumbprint: a program
// that calls this must demand a proof of that key. [Verifier.Handler] does.
func (v *Verifier) Verify(ctx context.Context, token string) (tokens.Claims, error) {
	claims, err := v.verify(ctx, token)
	if err != nil {
		return tokens.Claims{}, err
	}
	return *claims, nil
}

// verify is Verify without a copy: the claims are those of the remembered token.
func (v *Verifier) verify(ctx context.Context, token string) (*tokens.Claims, error) {
	claims, err := v.tokens.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	switch v.of(claims.SessionID).verdict(claims) {
	case live:
		return claims, nil
	case revoked:
		return nil, ErrRevoked
	case unknown:
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.StrictTimeout)
	defer cancel()
	switch err := v.cfg.Strict(ctx, token, *claims); {
	case err == nil:
		return claims, nil
	case errors.Is(err, ErrRevoked) && !errors.Is(err, ErrUnavailable):
		return nil, ErrRevoked
	default:
		return nil, unavailable(err)
	}
}

// unavailable is an ErrUnavailable and nothing else, whatever the cause: an error
// must not match two kinds at once.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %v", ErrUnavailable, cause) //nolint:errorlint // see above
}

// Age returns how old the last proof is, which in normal operation is at most a quarter
// of the bound: a metric to watch. Before the set is loaded, it is the maximum duration.
// With several shards it is the oldest: see [Verifier.ShardAge].
func (v *Verifier) Age() (oldest time.Duration) {
	for _, set := range v.sets() {
		oldest = max(oldest, set.Age())
	}
	return oldest
}

// Len returns how many revoked sessions are remembered.
func (v *Verifier) Len() (n int) {
	for _, set := range v.sets() {
		n += set.Len()
	}
	return n
}

// Feed passes on what the verifier learns.
func (v *Verifier) Feed() *Feed {
	catcher, _ := v.source.(Catcher)
	return &Feed{set: v.set, catcher: catcher}
}
