package verifier

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func newRemoteIn(t *testing.T, transport http.RoundTripper) *Verifier {
	t.Helper()
	v, err := NewRemote(RemoteConfig{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "api", Remember: -1}, Internal: "http://latchkey.internal", ServiceKey: "a-service-key", Transport: transport,
	}, Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The program's other connections are not used, nor any of its settings changed.
func TestRemoteHasItsOwnTransport(t *testing.T) {
	t.Parallel()
	r, _ := newRemoteIn(t, nil).tokens.(*remote)
	own, ok := r.client.Transport.(*http.Transport)
	if before, _ := http.DefaultTransport.(*http.Transport); !ok || own == before || own.MaxIdleConnsPerHost != 32 || before.MaxIdleConnsPerHost != 0 || own.Proxy == nil {
		t.Errorf("%+v", r.client.Transport)
	}
	another := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") })
	if _, is := separate(another).(roundTrip); !is {
		t.Error("a program's own kind of default is replaced")
	}
	given, _ := newRemoteIn(t, another).tokens.(*remote)
	if _, is := given.client.Transport.(roundTrip); !is {
		t.Errorf("%+v", given.client.Transport)
	}
}

// Once it has ended, it sends no request.
func TestRemoteEndsAfterItsRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		requests := map[string]int{}
		arrived := make(chan string)
		v := newRemoteIn(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			arrived <- r.URL.Path
			<-release
			return nil, r.Context().Err()
		}))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- v.Run(ctx) }()
		for range 2 {
			requests[<-arrived]++
		}
		if requests["/.well-known/jwks.json"] != 1 || requests[feedPath] != 1 {
			t.Errorf("it asks for %v", requests)
		}
		stop()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("it ended while requests are under way: %v", err)
		default:
		}
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// body is an answer's, and knows whether it was closed.
type body struct {
	io.Reader

	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

// A connection is used again only once the answer on it was closed.
func TestRemoteClosesItsAnswers(t *testing.T) {
	t.Parallel()
	ring := testkeys.Ring(t)
	for path, text := range map[string]string{
		"/.well-known/jwks.json": string(ring.PublicJWKS()), "/oauth2/introspect": `{"active":true}`, feedPath: "data: {}\n",
	} {
		for _, status := range []int{http.StatusOK, http.StatusInternalServerError} {
			answer := &body{Reader: strings.NewReader(text)}
			v := newRemoteIn(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path != path {
					t.Errorf("%s is asked for", r.URL.Path)
				}
				return &http.Response{StatusCode: status, Request: r, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: answer}, nil
			}))
			r, _ := v.tokens.(*remote)
			var err error
			switch path {
			case feedPath:
				err = r.stream(t.Context(), v.set, path, new(string))
			case "/oauth2/introspect":
				err = r.introspect(t.Context(), "a-token", tokens.Claims{})
			default:
				err = r.fetch(t.Context(), 0)
			}
			if !answer.closed || (err == nil) != (status == http.StatusOK && path != feedPath) {
				t.Errorf("%s, %d: %v, closed: %v", path, status, err, answer.closed)
			}
		}
	}
}
