package shards_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	serviceKey = "0123456789abcdef0123456789abcdef"
	bound      = time.Second
)

// strictly counts the sessions that a verifier asks about, and answers for each that its state is unknown.
type strictly struct {
	mu    sync.Mutex
	asked map[uuid.UUID]int
}

func (s *strictly) ask(_ context.Context, _ string, claims tokens.Claims) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[claims.SessionID]++
	return errors.New("nobody answers")
}

func (s *strictly) of(id uuid.UUID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)[id]
}

// run runs what a test needs in the background, until it ends.
func run(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- do(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A verifier in another program follows all shards, which the service lists for it: a revocation on any
// is noticed without a question, and a shard that is silent makes only its own sessions strict.
func TestRemoteVerifiersFollowAllShards(t *testing.T) {
	t.Parallel()
	k, servers := onServers(t, config())
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	accept, err := k.stores[0].Verifier(verifier.Config{Bound: bound, Logger: log}, k.stores[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	run(t, accept.Run)
	issuer := config().Tokens.Issuer
	api, err := httpapi.New(k, k.ring, httpapi.Config{
		Issuer: issuer, Verifier: accept, Logger: log, ServiceKeys: []httpapi.ServiceKey{{Name: "edge", Secret: serviceKey}},
	})
	if err != nil {
		t.Fatal(err)
	}
	public, internal := httptest.NewServer(api.Public()), httptest.NewServer(api.Internal())
	t.Cleanup(public.Close)
	t.Cleanup(internal.CloseClientConnections)
	strict := &strictly{asked: map[uuid.UUID]int{}}
	edge, err := verifier.NewRemote(verifier.RemoteConfig{
		Tokens: config().Tokens, Internal: internal.URL, ServiceKey: serviceKey, Keys: public.URL + "/.well-known/jwks.json",
	}, verifier.Config{Bound: bound, Strict: strict.ask, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	run(t, edge.Run)

	sessions, pairs := make([]sessionstore.Session, 3), make([]sessionstore.TokenPair, 3)
	for i, store := range k.stores {
		if sessions[i], pairs[i], err = store.Create(t.Context(), sessionstore.CreateParams{Subject: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(i int) error {
		_, err := edge.Verify(t.Context(), string(pairs[i].AccessToken))
		return err
	}
	for i := range sessions {
		await(t, "the verifier follows the shard", func() bool { return verify(i) == nil })
	}
	if err := k.Invalidate(t.Context(), sessions[1].ID); err != nil {
		t.Fatal(err)
	}
	await(t, "the revocation on a shard is known", func() bool { return errors.Is(verify(1), verifier.ErrRevoked) })

	const silent = 2
	servers[silent].Stop()
	await(t, "the session of the silent shard is asked about", func() bool {
		before := strict.of(sessions[silent].ID)
		return errors.Is(verify(silent), verifier.ErrUnavailable) && strict.of(sessions[silent].ID) > before
	})
	for began := time.Now(); time.Since(began) < 2*bound; { // its proof would be too old by then
		// A busy machine may be late with a proof of the first shard as well: then it is asked about.
		asked := time.Now()
		age, _ := edge.ShardAge(0)
		if err := verify(0); err != nil && age+time.Since(asked) < bound/2 {
			t.Fatalf("the session of a shard that answers: %v, at the age %v", err, age)
		}
		if err := verify(1); !errors.Is(err, verifier.ErrRevoked) {
			t.Fatalf("the revoked session: %v", err)
		}
	}
	await(t, "the first shard is proven", func() bool { return verify(0) == nil })
	servers[silent].Start()
	await(t, "the silent shard is followed again", func() bool { return verify(silent) == nil })

	// The feed of a shard is of it alone, and unknown ones are unavailable here.
	for query, want := range map[string]int{"": http.StatusOK, "?shard=1": http.StatusOK, "?shard=3": http.StatusServiceUnavailable, "?shard=0": http.StatusBadRequest, "?shard=x": http.StatusBadRequest} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, internal.URL+"/v1/revocations"+query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+serviceKey)
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%q: %d, want %d", query, answer.StatusCode, want)
		}
	}
}
