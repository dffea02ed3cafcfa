package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// tokenOf is what an app keeps of the answer to its login.
func tokenOf(answer []byte) (*oauth2.Token, error) {
	var token oauth2.Token
	if err := json.Unmarshal(answer, &token); err != nil {
		return nil, err
	}
	token.Expiry = time.Now().Add(time.Duration(token.ExpiresIn) * time.Second)
	return &token, nil
}

// saving keeps each new pair before it is used.
type saving struct {
	source oauth2.TokenSource
	save   func(*oauth2.Token) error
}

func (s saving) Token() (*oauth2.Token, error) {
	token, err := s.source.Token()
	if err != nil {
		return nil, err
	}
	return token, s.save(token)
}

// appClient refreshes by itself, and saves what it gets.
func appClient(ctx context.Context, issuer string, token *oauth2.Token, save func(*oauth2.Token) error) *http.Client {
	config := oauth2.Config{
		ClientID: "latchkey",
		Endpoint: oauth2.Endpoint{TokenURL: issuer + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	return oauth2.NewClient(ctx, oauth2.ReuseTokenSource(token, saving{config.TokenSource(ctx, token), save}))
}

// store is where an app keeps its tokens.
type store struct {
	mu     sync.Mutex
	tokens []oauth2.Token // all that were ever saved, the last of which counts
}

func (s *store) save(token *oauth2.Token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, *token)
	return nil
}

// load returns the last pair, and how often its refresh token was rotated.
func (s *store) load() (last *oauth2.Token, rotations int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refreshTokens := map[string]bool{}
	for _, token := range s.tokens {
		refreshTokens[token.RefreshToken] = true
	}
	token := s.tokens[len(s.tokens)-1]
	return &token, len(refreshTokens) - 1
}

func signedIn(t *testing.T, s *service, subject string) *store {
	t.Helper()
	token, err := tokenOf([]byte(s.signIn(subject)))
	if err != nil {
		t.Fatal(err)
	}
	kept := &store{}
	if err := kept.save(token); err != nil {
		t.Fatal(err)
	}
	return kept
}

// current requests the session of a client's token.
func current(ctx context.Context, client *http.Client, issuer string) (status int, subject string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/v1/me/sessions/current", http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err
	}
	var session struct {
		Subject string `json:"subject"`
	}
	return response.StatusCode, session.Subject, json.Unmarshal(body, &session)
}

func wantCurrent(t *testing.T, client *http.Client, issuer, want string) {
	t.Helper()
	if status, subject, err := current(t.Context(), client, issuer); status != http.StatusOK || subject != want || err != nil {
		t.Fatalf("the current session: %d %q (%v), want 200 %q", status, subject, err, want)
	}
}

// golang.org/x/oauth2: several goroutines continue over rotations, and so does the program after a
// restart.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	s := start(t, nil)

	t.Run("goes on over rotations, and after a restart", func(t *testing.T) {
		t.Parallel()
		kept := signedIn(t, s, "ada")
		const goroutines, wantRotations = 8, 2
		ctx, cancel := context.WithTimeout(t.Context(), testservice.Patience)
		defer cancel()
		token, _ := kept.load()
		client := appClient(ctx, s.Public, token, kept.save)
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				for rotations := 0; rotations < wantRotations; _, rotations = kept.load() {
					if status, subject, err := current(ctx, client, s.Public); err != nil || subject != "ada" {
						t.Errorf("a request during rotations: %d %q, %v", status, subject, err)
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		all.Wait()

		token, _ = kept.load()
		token.Expiry = time.Now() // the restart took long
		wantCurrent(t, appClient(ctx, s.Public, token, kept.save), s.Public, "ada")
		if last, _ := kept.load(); last.AccessToken == "" || last.TokenType != "Bearer" || last.Expiry.Before(time.Now()) {
			t.Errorf("the token that was saved last: type %q, expiry %v", last.TokenType, last.Expiry)
		}
	})

	t.Run("finds out by itself how to authenticate", func(t *testing.T) {
		t.Parallel()
		kept := signedIn(t, s, "grace")
		token, _ := kept.load()
		token.Expiry = time.Now()
		config := oauth2.Config{ClientID: "latchkey", Endpoint: oauth2.Endpoint{TokenURL: s.Public + "/oauth2/token"}}
		wantCurrent(t, config.Client(t.Context(), token), s.Public, "grace")
	})

	t.Run("loses an answer", func(t *testing.T) {
		t.Parallel()
		kept := signedIn(t, s, "joan")
		network := newLossy(t, s.Public)
		token, _ := kept.load()
		token.Expiry = time.Now()
		client := appClient(t.Context(), network.url, token, kept.save)
		network.lose.Store(1)
		if _, _, err := current(t.Context(), client, s.Public); err == nil {
			t.Fatal("the answer to the refresh was not lost")
		}
		wantCurrent(t, client, s.Public, "joan")
		if _, rotations := kept.load(); rotations != 1 {
			t.Errorf("the refresh token was rotated %d times, want once", rotations)
		}
	})

	t.Run("is told that it was signed out", func(t *testing.T) {
		t.Parallel()
		kept := signedIn(t, s, "mary")
		token, _ := kept.load()
		s.revoke(token.AccessToken)
		if s.active(token.AccessToken) {
			t.Error("introspection takes a revoked token for active")
		}
		token.Expiry = time.Now()
		_, _, err := current(t.Context(), appClient(t.Context(), s.Public, token, kept.save), s.Public)
		refused, ok := errors.AsType[*oauth2.RetrieveError](err)
		if !ok || refused.ErrorCode != "invalid_grant" {
			t.Errorf("the error after a revocation is %v, want invalid_grant", err)
		}
	})
}
