package frameworks_test

import (
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/labstack/echo/v5"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// Why echo and fiber need an adaptor, although they have one for net/http's middleware: a request that
// failed is taken for a success, and what it changed is stored.
func TestFrameworksOwnAdaptors(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]start{
		"echo": overNetHTTP(func(a *app, _ bool) http.Handler {
			e := echo.New()
			e.Use(echo.WrapMiddleware(a.sessions.Handler))
			e.POST("/account/:name/fail", func(c *echo.Context) error { return a.fail(c.Request().Context()) })
			return e
		}),
		"fiber": func(a *app, _ bool) (string, func()) {
			f := fiber.New()
			f.Use(adaptor.HTTPMiddleware(a.sessions.Handler))
			f.Post("/account/:name/fail", func(c fiber.Ctx) error { return a.fail(c.RequestCtx()) })
			return listen(a.t, f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{})
			url, stop := begin(a, false)
			defer stop()
			if got := ask(t, a, url, "POST", "/fail", ""); got.status != http.StatusInternalServerError {
				t.Errorf("%+v", got)
			}
			a.want(`{"count": 1}`)
		})
	}
}
