package soak_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// edge is another service, which follows the revocations and makes no requests about tokens. Its clock is
// wrong.
type edge struct {
	soak     *soak
	clock    *wallClock
	verifier *verifier.Verifier
}

func startEdge(s *soak, ahead time.Duration) *edge {
	s.t.Helper()
	clock := new(wallClock)
	clock.set(ahead)
	v, err := verifier.NewRemote(verifier.RemoteConfig{
		Tokens:   tokens.Config{Issuer: "https://login.example.com", Audience: "latchkey"},
		Internal: internalURL, ServiceKey: testservice.Key, Keys: publicURL + "/.well-known/jwks.json", Transport: anyService{s},
	}, verifier.Config{Logger: slog.New(slog.DiscardHandler), Now: clock.now})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := v.Run(ctx); err != nil {
			s.t.Errorf("the edge: %v", err)
		}
	}()
	s.t.Cleanup(func() {
		stop()
		<-stopped
	})
	return &edge{s, clock, v}
}

// verify never takes an unknown state for a verdict.
func (e *edge) verify(ctx context.Context, p pair) verdict {
	switch _, err := e.verifier.Verify(ctx, p.Access); {
	case err == nil:
		e.soak.tally.add("edge: accepted by a verifier")
		return accepted
	case errors.Is(err, verifier.ErrRevoked):
		return refused
	case errors.Is(err, tokens.ErrExpired), errors.Is(err, verifier.ErrUnavailable):
		e.soak.tally.add("edge: expired or unknown")
	default:
		e.soak.t.Errorf("the edge: %v", err)
	}
	return unknown
}

// anyService sends requests to one of the running services.
type anyService struct{ soak *soak }

func (w anyService) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, i := range rand.Perm(len(w.soak.services)) {
		address, internal := w.soak.services[i].addresses()
		if "http://"+r.URL.Host == internalURL {
			address = internal
		}
		to, err := url.Parse(address)
		if err != nil || address == "" {
			continue
		}
		q := r.Clone(r.Context())
		q.URL.Scheme, q.URL.Host, q.Host = to.Scheme, to.Host, ""
		return w.soak.network.transport.RoundTrip(q)
	}
	return nil, errors.New("no service is there")
}
