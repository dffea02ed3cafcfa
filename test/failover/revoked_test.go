//go:build linux

package failover_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	revokePause = 150 * time.Millisecond
	watchPause  = 50 * time.Millisecond
	// watched is how many of the last revocations are checked, and asked about how many of them the service is
	// asked each time.
	watched, asked = 100, 3
)

// revoked is a session that was revoked.
type revoked struct {
	token    string
	answered time.Time

	mu sync.Mutex
	// edge and strict are when the last check began that accepted the token.
	edge, strict time.Time
}

func (r *revoked) note(at *time.Time, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if began.After(*at) {
		*at = began
	}
}

func (r *revoked) accepted() (edge, strict time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.edge, r.strict
}

// startRevoking creates and revokes sessions until the test ends, and asks verifiers and the service about them.
func (l *load) startRevoking(t *testing.T) {
	t.Helper()
	runBeside(t, 1, func(ctx context.Context, _ int) {
		for ; ctx.Err() == nil; pause(ctx, revokePause) {
			l.revokeOne(ctx)
		}
	})
	var edges []*verifier.Verifier
	for _, r := range l.replicas {
		edges = append(edges, startEdge(t, r))
	}
	runBeside(t, len(edges), func(ctx context.Context, i int) {
		for ; ctx.Err() == nil; pause(ctx, watchPause) {
			l.watch(ctx, edges[i], l.replicas[i])
		}
	})
}

// revokeOne retries until the service has answered: with 404 where a failover has lost the session.
func (l *load) revokeOne(ctx context.Context) {
	pair, ok := l.signIn(ctx, "someone")
	for ok && ctx.Err() == nil {
		switch status, body := l.send(ctx, http.MethodDelete, "http://"+l.any().internal+"/v1/sessions/"+pair.Session.ID, testservice.Key, "", ""); status {
		case http.StatusNoContent:
			l.mu.Lock()
			l.revoked = append(l.revoked, &revoked{token: pair.AccessToken, answered: time.Now()})
			l.mu.Unlock()
			return
		case http.StatusNotFound:
			return
		case 0, http.StatusServiceUnavailable:
			pause(ctx, retryPause)
		default:
			l.t.Errorf("a revocation was answered with %d %s", status, body)
			return
		}
	}
}

// last are the revocations since a time, up to a limit.
func (l *load) last(since time.Time, most int) (found []*revoked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.revoked {
		if r.answered.After(since) {
			found = append(found, r)
		}
	}
	return found[max(0, len(found)-most):]
}

// watch checks tokens of revoked sessions once, at the edge and strictly.
func (l *load) watch(ctx context.Context, edge *verifier.Verifier, r *replica) {
	last := l.last(time.Time{}, watched)
	for _, v := range last {
		began := time.Now()
		if _, err := edge.Verify(ctx, v.token); err == nil {
			v.note(&v.edge, began)
		}
	}
	for range min(asked, len(last)) {
		v, began := last[rand.IntN(len(last))], time.Now()
		if active, err := l.introspect(ctx, r, v.token); err == nil && active {
			v.note(&v.strict, began)
		}
	}
}

// startEdge follows a replica's revocations as another service does. It makes no requests about tokens, so that only its
// set decides what it accepts.
func startEdge(t *testing.T, r *replica) *verifier.Verifier {
	t.Helper()
	v, err := verifier.NewRemote(verifier.RemoteConfig{
		Tokens: tokens.Config{Issuer: issuer, Audience: "latchkey"}, Internal: "http://" + r.internal, ServiceKey: testservice.Key,
		Keys: "http://" + r.public + "/.well-known/jwks.json",
	}, verifier.Config{
		Bound: bound, Logger: slog.New(slog.DiscardHandler),
		Strict: func(context.Context, string, tokens.Claims) error { return errors.New("nobody is asked") },
	})
	if err != nil {
		t.Fatal(err)
	}
	runBeside(t, 1, func(ctx context.Context, _ int) {
		if err := v.Run(ctx); err != nil {
			t.Errorf("the edge: %v", err)
		}
	})
	return v
}
