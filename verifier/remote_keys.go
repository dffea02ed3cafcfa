package verifier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// keysEvery is how often the keys are fetched. The service publishes a new key
	// for at least this long before it signs.
	keysEvery = 5 * time.Minute
	// keysRest is how long after a fetch no token can cause another, keysRetry
	// the same after a failure.
	keysRest    = 5 * time.Second
	keysRetry   = time.Second
	keysTimeout = 2 * time.Second
)

// keys verifies tokens with the keys that a service publishes. Until they have
// been fetched once, it has none.
type keys struct {
	*tokens.Verifier
	url    string
	client *http.Client
	now    func() time.Time
	known  atomic.Pointer[keyInfos]

	mu     sync.Mutex // held while they are fetched
	tried  time.Time
	failed error // the result of the last fetch
	etag   string
}

func newKeys(url string, cfg tokens.Config, client *http.Client) (*keys, error) {
	none, err := tokens.NewVerifier(&tokens.KeyRing{}, cfg)
	if err != nil {
		return nil, err
	}
	return &keys{Verifier: none, url: url, client: client, now: time.Now}, nil
}

// followKeys fetches the keys from time to time.
func (k *keys) followKeys(ctx context.Context, set *Set) {
	failing := false
	for {
		err := k.fetch(ctx, 0)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			set.logger.WarnContext(ctx, "the service's keys cannot be fetched", slog.Any("error", err))
		case err == nil && failing:
			set.logger.InfoContext(ctx, "the service's keys were fetched again")
		}
		failing = err != nil
		wait := keysEvery
		if failing {
			wait = keysRetry
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// verify checks a token. If it names an unknown key, that key may be new: the
// keys are fetched, unless they just were. Otherwise the result is final.
func (k *keys) verify(ctx context.Context, token string) (*tokens.Claims, error) {
	before := k.known.Load()
	claims, err := k.VerifyShared(token, tokens.AccessToken)
	if err == nil {
		return claims, nil
	}
	kid := keyID(token)
	if kid == "" || before.has(kid) {
		return nil, err
	}
	if !k.known.Load().has(kid) {
		if err := k.fetch(context.WithoutCancel(ctx), keysRest); err != nil {
			return nil, unavailable(err)
		}
	}
	return k.VerifyShared(token, tokens.AccessToken)
}

// keyInfos are the keys of a ring; nil for no ring.
type keyInfos []tokens.KeyInfo

func (k *keyInfos) has(kid string) bool {
	return k != nil && slices.ContainsFunc(*k, func(info tokens.KeyInfo) bool { return info.ID == kid })
}

// keyID returns the kid of a token's header. It decides only whether the
// keys are fetched.
func keyID(token string) string {
	if len(token) > tokens.MaxTokenBytes {
		return ""
	}
	segment, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return ""
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if json.Unmarshal(text, &header) != nil {
		return ""
	}
	return header.KeyID
}

// fetch fetches the keys, unless that was done within the given time: then it
// returns that result.
func (k *keys) fetch(ctx context.Context, rest time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed != nil {
		rest = min(rest, keysRetry)
	}
	if k.now().Sub(k.tried) < rest {
		return k.failed
	}
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	k.failed = k.get(ctx)
	k.tried = k.now()
	return k.failed
}

func (k *keys) get(ctx context.Context) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody) //nolint:gosec // G704: a setting
	if err != nil {
		return err
	}
	if k.etag != "" {
		q.Header.Set("If-None-Match", k.etag)
	}
	answer, err := k.client.Do(q) //nolint:gosec // G704: see above
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil
	default:
		return statusError(answer)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return err
	}
	ring, err := tokens.ParseKeyRing(text)
	if err != nil {
		return err
	}
	known := keyInfos(ring.Keys())
	k.SetRing(ring)
	k.known.Store(&known)
	k.etag = answer.Header.Get("ETag")
	return nil
}
