package verifier

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/tokens"
)

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
	fresh := func() *Set { return newSet(cfg.Bound, &databaseClock{now: cfg.Now, logger: cfg.Logger}) }
	v := &Verifier{tokens: verifier, source: source, cfg: cfg, set: newSet(cfg.Bound, clock), shards: newShards(fresh)}
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

// of returns the set of a session's shard; nil for an unknown shard.
func (v *Verifier) of(session uuid.UUID) *Set {
	if shard := sessionid.Shard(session); shard != 0 {
		return v.shards.all()[shard]
	}
	return v.set
}

// sets returns the sets of all shards, the first one's first.
func (v *Verifier) sets() []*Set {
	sets, further := []*Set{v.set}, v.shards.all()
	for _, number := range slices.Sorted(maps.Keys(further)) {
		sets = append(sets, further[number])
	}
	return sets
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

var errNoClock = errors.New("the database has not reported its time yet")

// Clock returns what is known about the database's clock, and false before its time was
// first received: some sources never provide it. With several shards it is the clock of the
// first or, while that is not known well enough, of another one.
func (v *Verifier) Clock() (Clock, bool) {
	first, known := v.set.clock.read()
	if known && first.Err() == nil {
		return first, true
	}
	for _, set := range v.shards.all() {
		if clock, known := set.clock.read(); known && clock.Err() == nil {
			return clock, true
		}
	}
	return first, known
}

// Learn gives the verifier the time that the database returned for a query sent at a [Verifier.Moment]: for a program
// that queries the database itself. The verifier's own source provides it too.
func (v *Verifier) Learn(database time.Time, asked Moment) { v.set.clock.learn(database, asked) }

// Moment reads the clocks that [Verifier.Learn] compares with.
func (v *Verifier) Moment() Moment { return v.set.now() }

// ClockErr says why the database's time is not known well enough. It is nil if it
// is, and if nothing provides it: [Verifier.Run] does not run, or the source does
// not know it. Tokens are still accepted and refused, but a valid one may be taken
// for expired.
func (v *Verifier) ClockErr() error {
	clock, known := v.Clock()
	switch {
	case known:
		return clock.Err()
	case v.following.Load() && v.set.known.Load() == nil:
		return errNoClock
	}
	return nil
}

// Shards returns the numbers of all shards whose revocations are followed, except the first,
// which has the number 0. There are none if all sessions are in one database.
func (v *Verifier) Shards() []int { return slices.Sorted(maps.Keys(v.shards.all())) }

// ShardAge is [Verifier.Age] for the sessions of one shard.
func (v *Verifier) ShardAge(shard int) (time.Duration, bool) {
	set := v.set
	if shard != 0 {
		set = v.shards.all()[shard]
	}
	if set == nil {
		return 0, false
	}
	return set.Age(), true
}

// Feed passes on what the verifier learns.
func (v *Verifier) Feed() *Feed {
	catcher, _ := v.source.(Catcher)
	return &Feed{set: v.set, catcher: catcher}
}

// ShardFeed is [Verifier.Feed] for one shard, and false for one that is not followed.
func (v *Verifier) ShardFeed(shard int) (*Feed, bool) {
	if shard == 0 {
		return v.Feed(), true
	}
	set := v.shards.all()[shard]
	if set == nil {
		return nil, false
	}
	catcher, _ := v.cfg.Shards[shard].(Catcher)
	return &Feed{set: set, catcher: catcher}, true
}
