package frameworks_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/test/frameworks"
)

// behind has a handler behind the app's sessions, with the response writer that the framework gives it.
var behind = map[string]func(a *app, h http.HandlerFunc) http.Handler{
	"chi": func(a *app, h http.HandlerFunc) http.Handler {
		r := chi.NewRouter()
		r.With(a.sessions.Handler).Get("/*", h)
		return r
	},
	"echo": func(a *app, h http.HandlerFunc) http.Handler {
		e := echo.New()
		e.GET("/*", func(c *echo.Context) error { h(c.Response(), c.Request()); return nil }, frameworks.ForEcho(a.sessions.Handler))
		return e
	},
	"gin": func(a *app, h http.HandlerFunc) http.Handler {
		r := gin.New()
		r.GET("/*path", frameworks.ForGin(a.sessions.Handler), func(c *gin.Context) { h(c.Writer, c.Request) })
		return r
	},
}

// A stream's changes before its first flush are stored by then, and each later change at once.
func TestStreams(t *testing.T) {
	t.Parallel()
	for name, program := range behind {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{})
			s := httptest.NewServer(program(a, func(w http.ResponseWriter, r *http.Request) {
				for _, stored := range []string{`{"count": 1}`, `{"count": 2}`} {
					if err := a.add(r.Context(), 1); err != nil {
						t.Error(err)
					}
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					a.want(stored) //nolint:contextcheck // the test's, not the request's
					_, _ = io.WriteString(w, "x")
				}
			}))
			defer s.Close()
			if got := ask(t, a, s.URL, "GET", "/stream", ""); got.status != http.StatusOK || got.body != "xx" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A connection that is taken over, as for WebSockets, has the change stored before anything is sent on it; one
// whose change cannot be stored is not taken over.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	for name, program := range behind {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{})
			for _, test := range []struct {
				change func(context.Context) error
				status int
				body   string
			}{
				{func(ctx context.Context) error { return a.add(ctx, 1) }, http.StatusOK, "hello"},
				{a.conflict, http.StatusConflict, "Conflict"},
			} {
				s := httptest.NewServer(program(a, func(w http.ResponseWriter, r *http.Request) {
					if err := test.change(r.Context()); err != nil {
						t.Error(err)
					}
					connection, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						return
					}
					defer func() { _ = connection.Close() }()
					a.want(`{"count": 1}`) //nolint:contextcheck // the test's, not the request's
					_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
				}))
				if got := ask(t, a, s.URL, "GET", "/socket", ""); got.status != test.status || got.body != test.body {
					t.Errorf("%+v", got)
				}
				s.Close()
			}
		})
	}
}
