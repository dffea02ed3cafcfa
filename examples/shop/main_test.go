package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func TestShop(t *testing.T) {
	t.Parallel()
	shop, err := newShop(t.Context(), testdb.Pool(t))
	if err != nil {
		t.Fatal(err)
	}
	handler := shop.routes()
	call := func(method, path, token, contentType, body string, want int) string {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		got, _ := io.ReadAll(w.Body)
		if w.Code != want {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, got)
		}
		return strings.TrimSpace(string(got))
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	read := func(body string) {
		t.Helper()
		if err := json.Unmarshal([]byte(body), &tokens); err != nil || tokens.Access == "" || tokens.Refresh == "" {
			t.Fatalf("%s: %v", body, err)
		}
	}
	read(call(http.MethodPost, "/login", "", "application/json", `{"user":"ann"}`, http.StatusOK))
	call(http.MethodPut, "/cart/tea", tokens.Access, "", "", http.StatusOK)
	call(http.MethodPut, "/cart/tea", tokens.Access, "", "", http.StatusOK)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}.Encode()
	read(call(http.MethodPost, "/oauth2/token", "", "application/x-www-form-urlencoded", form, http.StatusOK))
	if got := call(http.MethodGet, "/cart", tokens.Access, "", "", http.StatusOK); got != `{"items":{"tea":2}}` {
		t.Errorf("the cart holds %s", got)
	}
	call(http.MethodPost, "/logout", tokens.Access, "", "", http.StatusNoContent)
	call(http.MethodGet, "/cart", tokens.Access, "", "", http.StatusUnauthorized)
	form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}.Encode()
	call(http.MethodPost, "/oauth2/token", "", "application/x-www-form-urlencoded", form, http.StatusBadRequest)
	call(http.MethodPost, "/login", "", "application/json", `{}`, http.StatusBadRequest)
}
