// Package websockets_test tests the Go middleware with the WebSocket libraries that
// programs use, in a separate module so that no other inherits them.
package websockets_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

type log struct {
	Lines []string `json:"lines"`
}

// server uses one library: it accepts the connection, passes each message to said until
// that fails, and sends its answers.
type server func(w http.ResponseWriter, r *http.Request, said func(context.Context, string) (string, error)) error

var servers = map[string]server{
	"gorilla": func(w http.ResponseWriter, r *http.Request, said func(context.Context, string) (string, error)) error {
		upgrader := gorilla.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		for {
			_, message, err := conn.ReadMessage()
			if err != nil {
				return err
			}
			answer, err := said(r.Context(), string(message))
			if err != nil {
				return err
			}
			if err := conn.WriteMessage(gorilla.TextMessage, []byte(answer)); err != nil {
				return err
			}
		}
	},
	"coder": func(w http.ResponseWriter, r *http.Request, said func(context.Context, string) (string, error)) error {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return err
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			_, message, err := conn.Read(r.Context())
			if err != nil {
				return err
			}
			answer, err := said(r.Context(), string(message))
			if err != nil {
				return err
			}
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(answer)); err != nil {
				return err
			}
		}
	},
	"gobwas": func(w http.ResponseWriter, r *http.Request, said func(context.Context, string) (string, error)) error {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		for {
			message, err := wsutil.ReadClientText(conn)
			if err != nil {
				return err
			}
			answer, err := said(r.Context(), string(message))
			if err != nil {
				return err
			}
			if err := wsutil.WriteServerText(conn, []byte(answer)); err != nil {
				return err
			}
		}
	},
}

// A change before the upgrade is stored before it, one for a message before its answer, and one
// after the client has left is stored, too.
func TestLibraries(t *testing.T) {
	t.Parallel()
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, session, access := setup(t)
			sessions := sessionhttp.New[log](store, sessionhttp.Config{})
			stored := func() string {
				session, err := store.Load(context.WithoutCancel(t.Context()), session)
				if err != nil {
					t.Error(err)
				}
				return string(session.Data)
			}
			left := make(chan struct{})
			s := httptest.NewServer(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				session := sessions.From(r.Context())
				add := func(ctx context.Context, line string) error {
					return session.Update(ctx, func(l *log) error { l.Lines = append(l.Lines, line); return nil })
				}
				if err := add(r.Context(), "upgrade"); err != nil {
					t.Error(err)
				}
				err := serve(w, r, func(ctx context.Context, message string) (string, error) {
					if err := add(ctx, message); err != nil {
						return "", err
					}
					return stored(), nil
				})
				if err == nil {
					t.Error("the client never left")
				}
				if err := add(r.Context(), "left"); err != nil {
					t.Error(err)
				}
			})))
			defer s.Close()
			conn := dial(t, s, access)
			if err := conn.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
				t.Fatal(err)
			}
			if _, answer, err := conn.Read(t.Context()); err != nil || string(answer) != `{"lines": ["upgrade", "hi"]}` {
				t.Errorf("%q, %v", answer, err)
			}
			_ = conn.CloseNow()
			<-left
			if got := stored(); got != `{"lines": ["upgrade", "hi", "left"]}` {
				t.Errorf("stored %s", got)
			}
		})
	}
}

// A connection whose change cannot be stored is not upgraded, and its client learns why; a
// message after the session's end gets no answer, and its handler gets an error.
func TestEndedSession(t *testing.T) {
	t.Parallel()
	for name, serve := range servers {
		for when, before := range map[string]bool{"before": true, "after": false} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				store, id, access := setup(t)
				sessions := sessionhttp.New[log](store, sessionhttp.Config{})
				refused := make(chan error, 1)
				s := httptest.NewServer(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					session := sessions.From(r.Context())
					if before {
						if err := session.Update(r.Context(), func(l *log) error { l.Lines = []string{"upgrade"}; return nil }); err != nil {
							t.Error(err)
						}
						if err := store.Invalidate(r.Context(), id); err != nil {
							t.Error(err)
						}
					}
					refused <- serve(w, r, func(ctx context.Context, message string) (string, error) {
						if err := store.Invalidate(ctx, id); err != nil {
							t.Error(err)
						}
						return "", session.Update(ctx, func(l *log) error { l.Lines = []string{message}; return nil })
					})
				})))
				defer s.Close()
				if before {
					if status, header := refuse(t, s, access); status != http.StatusUnauthorized || header.Get("Upgrade") != "" || <-refused == nil {
						t.Errorf("%d %v", status, header)
					}
					return
				}
				conn := dial(t, s, access)
				if err := conn.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
					t.Fatal(err)
				}
				if _, answer, err := conn.Read(t.Context()); err == nil {
					t.Errorf("it was answered %q", answer)
				}
				if err := <-refused; !errors.Is(err, sessionstore.ErrEnded) {
					t.Errorf("the handler got %v", err)
				}
			})
		}
	}
}

// dial opens a connection with the access token.
func dial(t *testing.T, s *httptest.Server, access string) *websocket.Conn {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), s.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + access}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// refuse is the answer to a connection that is not accepted.
func refuse(t *testing.T, s *httptest.Server, access string) (status int, header http.Header) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), s.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + access}},
	})
	if err == nil {
		_ = conn.CloseNow()
		t.Fatal("it was taken")
	}
	if response == nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasPrefix(string(body), http.StatusText(response.StatusCode)) {
		t.Errorf("%q, %v", body, err)
	}
	return response.StatusCode, response.Header
}
