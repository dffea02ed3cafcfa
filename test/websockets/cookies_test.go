package websockets_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// dialWithCookies opens a connection with a refresh token alone, so that the session is refreshed on the way, and
// reports whether the answer has the new cookies.
func dialWithCookies(t *testing.T, s *httptest.Server, store *sessionstore.Store) (conn *websocket.Conn, refreshed bool) {
	t.Helper()
	_, pair, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	conn, response, err := websocket.Dial(t.Context(), s.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {"__Host-session-refresh=" + string(pair.RefreshToken)}, "Origin": {s.URL}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, len(response.Header["Set-Cookie"]) == 2
}

// The answer to an upgrade has the new cookies if the library is given the header.
func TestCookies(t *testing.T) {
	t.Parallel()
	for name, upgrade := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"gorilla": func(w http.ResponseWriter, r *http.Request) error {
			conn, err := new(gorilla.Upgrader).Upgrade(w, r, w.Header())
			if err == nil {
				err = conn.Close()
			}
			return err
		},
		"coder": func(w http.ResponseWriter, r *http.Request) error {
			conn, err := websocket.Accept(w, r, nil)
			if err == nil {
				err = conn.CloseNow()
			}
			return err
		},
		"gobwas": func(w http.ResponseWriter, r *http.Request) error {
			upgrader := ws.HTTPUpgrader{Header: w.Header()}
			conn, _, _, err := upgrader.Upgrade(r, w)
			if err == nil {
				err = conn.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, _, _ := setup(t)
			sessions := sessionhttp.New[log](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})
			s := httptest.NewServer(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := upgrade(w, r); err != nil {
					t.Error(err)
				}
			})))
			defer s.Close()
			if _, refreshed := dialWithCookies(t, s, store); !refreshed {
				t.Error("the answer has no cookies")
			}
		})
	}
}

// A connection through the proxy to an API, which gets the access token.
func TestProxy(t *testing.T) {
	t.Parallel()
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, _, _ := setup(t)
			api := sessionhttp.New[log](store, sessionhttp.Config{})
			behind := httptest.NewServer(api.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				subject := api.From(r.Context()).Info.Subject
				_ = serve(w, r, func(_ context.Context, message string) (string, error) { // it ends when the client leaves
					return message + " from " + subject, nil
				})
			})))
			defer behind.Close()
			target, err := url.Parse(behind.URL)
			if err != nil {
				t.Fatal(err)
			}
			sessions := sessionhttp.New[log](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})
			s := httptest.NewServer(sessions.Handler(sessions.Proxy(target, nil)))
			defer s.Close()
			conn, refreshed := dialWithCookies(t, s, store)
			if err := conn.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
				t.Fatal(err)
			}
			if _, answer, err := conn.Read(t.Context()); err != nil || string(answer) != "hi from ann" || !refreshed {
				t.Errorf("%q, %v, with cookies: %t", answer, err, refreshed)
			}
			_ = conn.CloseNow()
		})
	}
}
