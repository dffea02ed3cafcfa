package frameworks_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/test/frameworks"
)

// act logs in, perhaps with a panic after that, logs out, or only says who is logged in.
func (a *app) act(w http.ResponseWriter, r *http.Request) (string, error) {
	var err error
	switch r.URL.Path {
	case "/login", "/panic":
		_, _, err = a.sessions.Begin(w, r, tally{}, sessionstore.CreateParams{Subject: "bob"})
		if r.URL.Path == "/panic" {
			panic(errHandler)
		}
	case "/logout":
		err = a.sessions.End(w, r)
	}
	who := "nobody"
	if s := a.sessions.From(r.Context()); s != nil {
		who = s.Info.Subject
	}
	return who, err
}

// The handlers set their own cookie and Vary, as programs do.
var logins = map[string]start{
	"chi": overNetHTTP(func(a *app, _ bool) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.Recoverer, a.sessions.Handler)
		r.HandleFunc("/*", func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			w.Header().Add("Vary", "Accept-Language")
			who, err := a.act(w, r)
			if err != nil {
				a.t.Error(err)
			}
			_, _ = io.WriteString(w, who)
		})
		return r
	}),
	"echo": overNetHTTP(func(a *app, _ bool) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Recover(), frameworks.ForEcho(a.sessions.Handler))
		e.Any("/*", func(c *echo.Context) error {
			c.SetCookie(&http.Cookie{Name: "theme", Value: "dark"})
			c.Response().Header().Add("Vary", "Accept-Language")
			who, err := a.act(c.Response(), c.Request())
			if err != nil {
				return err
			}
			return c.String(http.StatusOK, who)
		})
		return e
	}),
	"gin": overNetHTTP(func(a *app, _ bool) http.Handler {
		r := gin.New()
		r.Use(gin.RecoveryWithWriter(io.Discard), frameworks.ForGin(a.sessions.Handler))
		r.Any("/*path", func(c *gin.Context) {
			c.SetCookie("theme", "dark", 0, "", "", false, false)
			c.Writer.Header().Add("Vary", "Accept-Language")
			who, err := a.act(c.Writer, c.Request)
			if err != nil {
				a.t.Error(err)
			}
			c.String(http.StatusOK, who)
		})
		return r
	}),
	"fiber": func(a *app, _ bool) (string, func()) {
		f := fiber.New()
		f.Use(recover.New(), frameworks.ForFiber(a.sessions.Handler))
		f.All("/*", func(c fiber.Ctx) error {
			c.Cookie(&fiber.Cookie{Name: "theme", Value: "dark"})
			c.Vary("Accept-Language")
			who, err := a.act(frameworks.NetHTTP(c))
			if err != nil {
				return err
			}
			return c.SendString(who)
		})
		return listen(a.t, f)
	},
}

// A login sets its cookies in addition to the handler's, even if the handler then panics; a second log-in ends the
// previous session, and a log-out removes the cookies.
func TestLogIn(t *testing.T) {
	t.Parallel()
	for name, begin := range logins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})
			url, stop := begin(a, false)
			defer stop()
			jar := map[string]string{}
			visit := func(method, path string, status int, want string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, url+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range jar {
					r.AddCookie(&http.Cookie{Name: name, Value: value, Secure: true, HttpOnly: true})
				}
				got := send(t, r)
				vary := strings.Join(got.header.Values("Vary"), ", ")
				if got.status != status || status == http.StatusOK && got.body != want || !strings.Contains(vary, "Accept-Language") || !strings.Contains(vary, "Cookie") {
					t.Errorf("%s: %+v", path, got)
				}
				var set []string
				for _, cookie := range (&http.Response{Header: got.header}).Cookies() {
					if set = append(set, cookie.Name); cookie.MaxAge < 0 {
						delete(jar, cookie.Name)
					} else {
						jar[cookie.Name] = cookie.Value
					}
				}
				if slices.Sort(set); len(slices.Compact(slices.Clone(set))) != len(set) || !slices.Contains(set, "theme") {
					t.Errorf("%s sets %q", path, set)
				}
			}
			visit(http.MethodGet, "/", http.StatusOK, "nobody")
			visit(http.MethodPost, "/login", http.StatusOK, "nobody") // the session is of the next request
			visit(http.MethodGet, "/", http.StatusOK, "bob")
			first := jar["__Host-session"]
			visit(http.MethodPost, "/login", http.StatusOK, "bob")
			visit(http.MethodGet, "/", http.StatusOK, "bob")
			if _, _, err := a.store.Get(t.Context(), first); err == nil {
				t.Error("the previous session is still live")
			}
			visit(http.MethodPost, "/panic", http.StatusInternalServerError, "")
			visit(http.MethodGet, "/", http.StatusOK, "bob")
			last := jar["__Host-session"]
			visit(http.MethodPost, "/logout", http.StatusOK, "bob")
			if len(jar) != 1 {
				t.Errorf("%d cookies after the log-out", len(jar))
			}
			visit(http.MethodGet, "/", http.StatusOK, "nobody")
			if _, _, err := a.store.Get(t.Context(), last); err == nil {
				t.Error("the session is still live after the log-out")
			}
		})
	}
}
