package frameworks

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
)

// ForFiber converts net/http middleware to fiber's. Handlers find what it put into the context in
// c.Context(). adaptor.HTTPMiddleware would call them only after the middleware is done. No handler
// learns that its client has left, because fasthttp does not notice; timeout.New limits its time.
func ForFiber(middleware func(http.Handler) http.Handler) fiber.Handler {
	return func(c fiber.Ctx) error {
		r, err := adaptor.ConvertRequest(c, true)
		if err != nil {
			return fiber.ErrBadRequest
		}
		passed, own := false, &ownAnswer{header: http.Header{}, status: http.StatusOK}
		defer own.addTo(c) // new tokens, even to the response of an outer recover
		middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.SetContext(context.WithValue(r.Context(), exchangeKey{}, exchange{w, r}))
			if err := c.Next(); err != nil {
				_ = c.App().ErrorHandler(c, err)
			}
			status := c.Response().StatusCode()
			if status == fiber.StatusRequestTimeout { // fiber's answer to a time-out here
				status = fiber.StatusServiceUnavailable
			}
			w.WriteHeader(status) // fiber sends its response later, with what the middleware adds
			_, err := w.Write(nil)
			passed = err == nil // otherwise the middleware itself answered
		})).ServeHTTP(own, r.WithContext(c.Context()))
		if !passed {
			c.Response().Reset()
			c.Status(own.status).Response().SetBody(own.body)
		}
		return nil
	}
}

// exchange is how net/http sees the request of a handler below the middleware.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
}

type exchangeKey struct{}

// NetHTTP is for functions that take a request and its response, such as a log-in with Manager.Begin or a
// log-out with Manager.End, in a handler below ForFiber. Whatever a handler writes goes to c.
func NetHTTP(c fiber.Ctx) (http.ResponseWriter, *http.Request) {
	x, _ := c.Context().Value(exchangeKey{}).(exchange)
	return x.w, x.r.WithContext(c.Context())
}

// ownAnswer is what the middleware itself answers, or adds to fiber's response.
type ownAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (a *ownAnswer) addTo(c fiber.Ctx) {
	for name, values := range a.header {
		if name == fiber.HeaderVary { // the handler's own values stay
			c.Vary(values...)
			continue
		}
		c.Response().Header.Set(name, values[0])
		for _, value := range values[1:] {
			c.Response().Header.Add(name, value)
		}
	}
}

func (a *ownAnswer) Header() http.Header    { return a.header }
func (a *ownAnswer) WriteHeader(status int) { a.status = status }
func (a *ownAnswer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}
