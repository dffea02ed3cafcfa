package frameworks

import (
	"net/http"

	"github.com/labstack/echo/v5"
)

// ForEcho makes one of echo's of net/http's middleware. With echo.WrapMiddleware alone, a handler's
// error is answered outside the middleware, which has taken the request for a success by then.
func ForEcho(middleware func(http.Handler) http.Handler) echo.MiddlewareFunc {
	wrap := echo.WrapMiddleware(middleware)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		wrapped := wrap(func(c *echo.Context) error {
			err := next(c)
			if err != nil {
				c.Echo().HTTPErrorHandler(c, err)
			}
			return err // for what logs errors: the response has begun, so none is made of it again
		})
		return func(c *echo.Context) error {
			response := c.Response()
			defer c.SetResponse(response) // it has the status that was sent
			return wrapped(c)
		}
	}
}
