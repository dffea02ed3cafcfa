package main_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// A guest signs in at one replica: at another the guest's tokens are not valid from then
// on, and the request, sent again there, gives the same session.
func TestGuestSignsIn(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t)).With(env{"LATCHKEY_ISSUER": "http://localhost:8080"})
	s, other := start(t, t.TempDir(), settings), start(t, t.TempDir(), settings)
	guest := s.CreateSession(testKey, `{"data":{"cart":[7]}}`)
	if code := other.Current(guest.AccessToken); code != http.StatusOK {
		t.Fatalf("the guest's session answers %d", code)
	}

	signIn := func(at *service) testservice.Pair {
		t.Helper()
		return at.CreateSession(testKey, `{"replaces":"`+guest.RefreshToken+`","subject":"ada"}`)
	}
	ada := signIn(s)
	for name, at := range map[string]*service{"the same": s, "another": other} {
		if code := at.Current(guest.AccessToken); code != http.StatusUnauthorized {
			t.Errorf("the guest's access token at %s replica: %d", name, code)
		}
		status, answer := at.Refresh(guest.RefreshToken)
		var refused struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(answer), &refused); err != nil || status != http.StatusBadRequest || refused.Error != "invalid_grant" {
			t.Errorf("the guest's refresh token at %s replica: %d %s", name, status, answer)
		}
		if again := signIn(at); again.RefreshToken != ada.RefreshToken {
			t.Errorf("sent again to %s replica it gives another session", name)
		}
	}
	status, answer := other.Send(http.MethodGet, other.Internal+"/v1/sessions?subject=ada", testKey, nil)
	var page struct {
		Sessions []struct {
			ID string `json:"id"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal([]byte(answer), &page); err != nil || status != http.StatusOK || len(page.Sessions) != 1 {
		t.Fatalf("ada's sessions: %d %s", status, answer)
	}
	status, answer = s.Send(http.MethodGet, s.Internal+"/v1/sessions/"+page.Sessions[0].ID, testKey, nil)
	var session struct {
		Data struct {
			Cart []int `json:"cart"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(answer), &session); err != nil || status != http.StatusOK || len(session.Data.Cart) != 1 {
		t.Errorf("the cart: %d %s", status, answer)
	}
	if status, answer = other.Send(http.MethodPost, other.Internal+"/v1/sessions", testKey, `{"replaces":"`+guest.AccessToken+`","subject":"eve"}`); status != http.StatusConflict {
		t.Errorf("another sign-in in the guest's place: %d %s", status, answer)
	}
}
