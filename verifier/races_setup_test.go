package verifier_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// service is where sessions are made and revoked.
type service struct {
	*sessionstore.Store
	url  string
	pool *pgxpool.Pool
	ring *tokens.KeyRing
}

func newService(t *testing.T) *service {
	t.Helper()
	return serviceOn(t, testdb.URL(t), newRing(t))
}

func serviceOn(t *testing.T, url string, ring *tokens.KeyRing) *service {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := &service{url: url, pool: pool, ring: ring}
	if s.Store, err = sessionstore.New(pool, ring, sessionstore.Config{Tokens: tokenConfig()}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) session(t *testing.T) (uuid.UUID, string) {
	t.Helper()
	session, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Data: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	return session.ID, string(pair.AccessToken)
}

// revoke returns when the revocation had been answered.
func (s *service) revoke(t *testing.T, session uuid.UUID) time.Time {
	t.Helper()
	if err := s.Invalidate(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

func (s *service) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// replicaOf starts a verifier that reaches the service's database by a URL. There
// is nothing to ask about a token, so that only the set accepts any.
func replicaOf(t *testing.T, s *service, url string) *verifier.Verifier {
	t.Helper()
	v, err := serviceOn(t, url, s.ring).Verifier(verifier.Config{Bound: bound, Strict: nobody, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	runVerifier(t, v)
	return v
}

func nobody(context.Context, string, tokens.Claims) error { return errDown }

func runVerifier(t *testing.T, v *verifier.Verifier) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

// await waits until a token is answered with this error, or none.
func await(t *testing.T, what string, v *verifier.Verifier, token string, want error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		_, err := v.Verify(t.Context(), token)
		if errors.Is(err, want) && (want != nil || err == nil) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %v, want %v", what, err, want)
		}
	}
}

// awaitProof waits until the verifier knows all that was there when it is called.
func awaitProof(t *testing.T, v *verifier.Verifier) {
	t.Helper()
	for began := time.Now(); v.Age() > time.Since(began); time.Sleep(pollEvery) {
		if time.Since(began) > patience {
			t.Fatalf("no proof for %v", v.Age())
		}
	}
}

// watch presents tokens again and again, and notes when they were last accepted.
type watch struct {
	mu sync.Mutex
	// accepted is when the last verification began that accepted the token.
	accepted map[string]time.Time
	// refused and unavailable count the other answers.
	refused, unavailable int
	odd                  error
	stop                 context.CancelFunc
	done                 sync.WaitGroup
}

func watchTokens(t *testing.T, v *verifier.Verifier, presented ...string) *watch {
	t.Helper()
	w := &watch{accepted: map[string]time.Time{}}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(t.Context())
	w.done.Go(func() {
		for ctx.Err() == nil {
			for _, token := range presented {
				w.present(ctx, v, token)
			}
			time.Sleep(pollEvery)
		}
	})
	t.Cleanup(w.end)
	return w
}

func (w *watch) end() {
	w.stop()
	w.done.Wait()
}

func (w *watch) present(ctx context.Context, v *verifier.Verifier, token string) {
	began := time.Now()
	_, err := v.Verify(ctx, token)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.accepted[token] = began
	case errors.Is(err, verifier.ErrRevoked):
		w.refused++
	case errors.Is(err, verifier.ErrUnavailable):
		w.unavailable++
	default:
		w.odd = err
	}
}

// bound is that of all verifiers whose clocks are real.
const bound = verifier.DefaultBound

// patience is how long the slowest machine may take for something quick.
const patience = 2 * time.Minute

// pollEvery is how often a verifier is asked, which costs a signature's verification: often compared with the bound, but
// not so often that the machine has no time for anything else.
const pollEvery = 5 * time.Millisecond

// longest ends the watch, and returns for how long a token was still accepted
// after it had been revoked: by verifications that began then.
func (w *watch) longest(t *testing.T, revoked map[string]time.Time) time.Duration {
	t.Helper()
	w.end()
	if w.odd != nil {
		t.Errorf("an answer that is about the token: %v", w.odd)
	}
	var longest time.Duration
	for token, when := range revoked {
		longest = max(longest, w.accepted[token].Sub(when))
	}
	t.Logf("accepted for up to %v after the revocation; refused %d times, could not tell %d times",
		longest.Round(10*time.Microsecond), w.refused, w.unavailable)
	return longest
}

// wantWithin fails the test if a revoked token was accepted for longer than the bound.
func (w *watch) wantWithin(t *testing.T, revoked map[string]time.Time) {
	t.Helper()
	if longest := w.longest(t, revoked); longest > bound {
		t.Errorf("a revoked token was accepted for %v, the bound is %v", longest, bound)
	}
}
