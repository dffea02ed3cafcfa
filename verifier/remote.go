package verifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RemoteConfig describes the service.
type RemoteConfig struct {
	// Tokens says which tokens are accepted: Issuer and Audience are required.
	Tokens tokens.Config
	// Internal is the base URL of the service's internal listener, such as
	// http://latchkey.internal:8081. Required.
	Internal string
	// ServiceKey is the key for the internal listener. Required.
	ServiceKey tokens.Secret
	// Keys is the URL of the service's public keys. Zero means the issuer
	// followed by /.well-known/jwks.json.
	Keys string
	// Transport sends the requests. Nil means a separate one like
	// [http.DefaultTransport].
	Transport http.RoundTripper
}

// remote is the service, reached over HTTP: for its keys, its revocations and,
// if necessary, about a token.
type remote struct {
	*keys
	*remoteFeed
}

// NewRemote returns a verifier for programs that do not have the service's
// database. Config's Strict may be left out: then it is introspection, which
// also refuses an access token that was replaced by a refresh.
func NewRemote(where RemoteConfig, cfg Config) (*Verifier, error) {
	if where.ServiceKey == "" {
		return nil, errors.New("verifier: a ServiceKey is required")
	}
	where.Keys = cmp.Or(where.Keys, where.Tokens.Issuer+"/.well-known/jwks.json")
	for _, address := range []string{where.Internal, where.Keys} {
		if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("verifier: %q is not the URL of a service", address)
		}
	}
	if where.Transport == nil {
		where.Transport = separate(http.DefaultTransport)
	}
	client := &http.Client{
		Transport: where.Transport,
		// Requests carry a service key or decide which keys to trust: they must not be redirected.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	service := &remoteService{internal: strings.TrimSuffix(where.Internal, "/"), serviceKey: where.ServiceKey, client: client}
	if cfg.Strict == nil {
		cfg.Strict = service.introspect
	}
	cfg.Shards = nil // the service says which it has
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	clock := &databaseClock{now: cfg.Now, logger: cfg.Logger}
	where.Tokens.Now = clock.or(where.Tokens.Now)
	keys, err := newKeys(where.Keys, where.Tokens, client)
	if err != nil {
		return nil, err
	}
	r := &remote{keys, &remoteFeed{remoteService: service}}
	v := newVerifier(r, r, cfg, clock)
	r.shards = v.shards
	return v, nil
}

// separate returns a transport like another, with connections of its own. A program's own kind of transport
// cannot be copied.
func separate(from http.RoundTripper) http.RoundTripper {
	if own, ok := from.(*http.Transport); ok {
		own = own.Clone()
		own.MaxIdleConnsPerHost = 32 // for introspection, if it is needed
		return own
	}
	return from
}

// Follow follows the service's keys and its revocations, of all shards that it has.
func (r *remote) Follow(ctx context.Context, set *Set) error {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { r.followKeys(ctx, set) })
	all.Go(func() { r.followRevocations(ctx, set, feedPath) })
	return r.shards.follow(ctx, func(shard int) Source { return remoteShard{r.remoteFeed, shard} })
}

// remoteShard is the feed of a shard other than the first.
type remoteShard struct {
	*remoteFeed

	shard int
}

// Follow implements [Source].
func (r remoteShard) Follow(ctx context.Context, set *Set) error {
	r.followRevocations(ctx, set, feedPath+"?shard="+strconv.Itoa(r.shard))
	return nil
}
