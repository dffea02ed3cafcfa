package frameworks_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/labstack/echo/v5"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The service's own handler, mounted as each framework mounts a handler of net/http's.
func TestMountedService(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]func(service http.Handler) start{
		"chi": func(service http.Handler) start {
			return overNetHTTP(func(*app, bool) http.Handler {
				r := chi.NewRouter()
				r.Mount("/auth", service)
				return r
			})
		},
		"echo": func(service http.Handler) start {
			return overNetHTTP(func(*app, bool) http.Handler {
				e := echo.New()
				e.Any("/auth/*", echo.WrapHandler(http.StripPrefix("/auth", service)))
				return e
			})
		},
		"gin": func(service http.Handler) start {
			return overNetHTTP(func(*app, bool) http.Handler {
				r := gin.New()
				r.Any("/auth/*path", gin.WrapH(http.StripPrefix("/auth", service)))
				return r
			})
		},
		"fiber": func(service http.Handler) start {
			return func(a *app, _ bool) (string, func()) {
				f := fiber.New()
				f.Use("/auth", adaptor.HTTPHandler(http.StripPrefix("/auth", service)))
				return listen(a.t, f)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{})
			service, err := httpapi.New(a.store, a.ring, httpapi.Config{
				Issuer: issuer, Logger: slog.New(slog.DiscardHandler), ServiceKeys: []httpapi.ServiceKey{{Name: "program", Secret: tokens.Secret(strings.Repeat("s", 32))}},
			})
			if err != nil {
				t.Fatal(err)
			}
			base, stop := mount(service.Public())(a, false)
			defer stop()
			for _, request := range []struct {
				method, path string
				form         url.Values
				status       int
				want         string
			}{
				{"POST", "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 400, `{"error":"invalid_grant",`},
				{"POST", "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(a.pair.RefreshToken)}}, 200, `{"access_token":"`},
				{"PUT", "/oauth2/revoke", nil, 405, `{"error":"invalid_request",`},
				{"GET", "/oauth2/nowhere", nil, 404, `{"error":"invalid_request",`},
				{"GET", "/v1/me/sessions/current", nil, 401, `{"type":"`},
				{"GET", "/.well-known/openid-configuration", nil, 200, `{"issuer":"` + issuer + `"`},
			} {
				r, err := http.NewRequestWithContext(t.Context(), request.method, base+"/auth"+request.path, strings.NewReader(request.form.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				if request.form != nil {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				if got := send(t, r); got.status != request.status || !strings.HasPrefix(got.body, request.want) {
					t.Errorf("%s %s: %+v", request.method, request.path, got)
				}
			}
		})
	}
}
