package frameworks_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/latchkey-sessions/latchkey/test/frameworks"
)

func withEcho(a *app, inside bool) http.Handler {
	answer := func(c *echo.Context, err error) error {
		if err != nil {
			return err
		}
		c.Response().Header().Set("X-Handler", "echo")
		return c.JSON(http.StatusOK, tally{a.count(c.Request().Context())})
	}
	e := echo.New()
	e.Use(middleware.RequestID())
	sessions := []echo.MiddlewareFunc{frameworks.ForEcho(a.sessions.Handler)}
	if inside {
		sessions = append(sessions, middleware.Recover())
	} else {
		e.Use(middleware.Recover())
	}
	account := e.Group("/account/:name", sessions...)
	account.GET("/count", func(c *echo.Context) error { return answer(c, nil) })
	account.POST("/add", func(c *echo.Context) error {
		var body added
		if err := c.Bind(&body); err != nil {
			return err
		}
		return answer(c, a.add(c.Request().Context(), body.N))
	})
	account.POST("/conflict", func(c *echo.Context) error { return answer(c, a.conflict(c.Request().Context())) })
	account.POST("/fail", func(c *echo.Context) error { return a.fail(c.Request().Context()) })
	account.POST("/panic", func(c *echo.Context) error { a.panic(c.Request().Context()); return nil })
	account.POST("/leave", func(c *echo.Context) error { return answer(c, a.leave(c.Request().Context())) })
	account.POST("/slow", func(c *echo.Context) error { return a.slow(c.Request().Context()) }, middleware.ContextTimeout(patienceOfSlow))
	return e
}

func TestEcho(t *testing.T) {
	t.Parallel()
	run(t, overNetHTTP(withEcho))
}
