package sessionhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var challenged = regexp.MustCompile(`^Bearer error="insufficient_user_authentication", acr_values="([^"]*)", max_age="([0-9]+)"$`)

// A client that follows the challenge of RFC 9470 has its user authenticate as is asked
// for, gets a session that says so, and is served.
func TestStepUp(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	required, err := k.manager.RequireAuthentication(tokens.Requirement{MaxAge: 5 * time.Minute, ACRValues: []string{"gold"}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cart", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("POST /pay", required(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.WriteString(w, k.manager.From(r.Context()).Claims.Authentication.ACR); err != nil {
			t.Error(err)
		}
	})))
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

	// The backend has the user authenticate, and makes a session that says it.
	acr, _, _ := strings.Cut(asked[1], " ")
	authentication := &tokens.Authentication{AuthTime: time.Now(), ACR: acr, AMR: []string{"hwk"}}
	_, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Authentication: authentication})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := send(http.MethodPost, "/pay", string(pair.AccessToken)); status != http.StatusOK || body != "gold" {
		t.Errorf("after the step-up: %d, %q", status, body)
	}

	// A refresh is not an authentication.
	authentication.AuthTime = time.Now().Add(-time.Hour)
	_, pair, err = k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Authentication: authentication})
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
