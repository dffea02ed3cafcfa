package sessionhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var challenged = regexp.MustCompile(`^Bearer error="insufficient_user_authentication", acr_values="([^"]*)", max_age="([0-9]+)"$`)

// A client that follows the challenge of RFC 9470 makes its user authenticate as
// required, gets a session that says so, and is served.
func TestStepUp(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	required, err := k.manager.RequireAuthentication(tokens.Requirement{MaxAge: 5 * time.Minute, ACRValues: []string{"gold"}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cart", func(http.ResponseWriter, *http.Request) {})
	var paid atomic.Int64
	mux.Handle("POST /pay", required(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paid.Add(1)
		claims := k.manager.From(r.Context()).Claims
		if _, err := fmt.Fprint(w, claims.Authentication.ACR, " ", claims.Subject, " ", claims.Authentication.AMR); err != nil {
			t.Error(err)
		}
	})))
	mux.HandleFunc("POST /step-up", func(w http.ResponseWriter, r *http.Request) {
		pair, err := k.manager.From(r.Context()).Renew(r.Context(), sessionstore.CreateParams{
			Authentication: &tokens.Authentication{AuthTime: time.Now(), ACR: r.FormValue("acr"), AMR: []string{"hwk"}},
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(w, string(pair.AccessToken)); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(k.manager.Handler(mux))
	t.Cleanup(server.Close)
	send := func(method, path, access string) (status int, challenge, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+access)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, answer.Header.Get("WWW-Authenticate"), string(content)
	}

	if status, _, _ := send(http.MethodGet, "/cart", k.access); status != http.StatusOK {
		t.Errorf("where nothing is required: %d", status)
	}
	status, challenge, _ := send(http.MethodPost, "/pay", k.access)
	asked := challenged.FindStringSubmatch(challenge)
	if status != http.StatusUnauthorized || asked == nil || asked[2] != "300" {
		t.Fatalf("%d, %q", status, challenge)
	}

	// The client has the backend ask the user for what the challenge requires: a session
	// with that authentication replaces the former one, with new tokens.
	acr, _, _ := strings.Cut(asked[1], " ")
	status, _, access := send(http.MethodPost, "/step-up?acr="+acr, k.access)
	if status != http.StatusOK || access == k.access {
		t.Fatalf("the step-up: %d, %q", status, access)
	}
	if status, _, body := send(http.MethodPost, "/pay", access); status != http.StatusOK || body != "gold ann [hwk]" {
		t.Errorf("after the step-up: %d, %q", status, body)
	}
	if status, challenge, _ := send(http.MethodGet, "/cart", k.access); status != http.StatusUnauthorized || !strings.Contains(challenge, "invalid_token") {
		t.Errorf("with the token from before: %d, %q", status, challenge)
	}

	// A second step-up provides it again: nothing of the one before is left.
	status, _, access = send(http.MethodPost, "/step-up?acr=silver", access)
	if status != http.StatusOK {
		t.Fatalf("the second step-up: %d", status)
	}
	if status, challenge, _ := send(http.MethodPost, "/pay", access); status != http.StatusUnauthorized || !challenged.MatchString(challenge) {
		t.Errorf("in another class: %d, %q", status, challenge)
	}

	// A refresh is not an authentication.
	authentication := &tokens.Authentication{AuthTime: time.Now().Add(-time.Hour), ACR: "gold"}
	_, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Authentication: authentication})
	if err != nil {
		t.Fatal(err)
	}
	refreshed, err := k.store.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := send(http.MethodPost, "/pay", string(refreshed.Pair.AccessToken)); status != http.StatusUnauthorized {
		t.Errorf("an hour after the authentication: %d", status)
	}
	if n := paid.Load(); n != 1 {
		t.Errorf("it was paid %d times", n)
	}
}

func TestRequirementOfNobody(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{Optional: true})
	required, err := k.manager.RequireAuthentication(tokens.Requirement{MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	k.manager.Handler(required(http.NotFoundHandler())).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
	if _, err := k.manager.RequireAuthentication(tokens.Requirement{ACRValues: []string{"a b"}}); err == nil {
		t.Error("a requirement is taken that no challenge states")
	}
}
