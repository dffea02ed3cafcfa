package frameworks

import (
	"net/http"

	"github.com/labstack/echo/v5"
)

// ForEcho converts net/http middleware to echo's. With echo.WrapMiddleware alone, a handler's error
// is answered outside the middleware, which by then has taken the request for a success.
func ForEcho(middleware func(http.Handler) http.Handler) echo.MiddlewareFunc {
	wrap := echo.WrapMiddleware(middleware)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		wrapped := wrap(func(c *echo.Context) error {
			err := next(c)
			if err != nil {
				c.Echo().HTTPErrorHandler(c, err)
			}
			return err // for error loggers: the response has begun, so the error is not answered again
		})
		return func(c *echo.Context) error {
			response := c.Response()
			defer c.SetResponse(response) // it has the status that was sent
			return wrapped(c)
		}
	}
}
