package frameworks_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/requestid"
	"github.com/gofiber/fiber/v3/middleware/timeout"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/test/frameworks"
)

func withFiber(a *app, inside bool) *fiber.App {
	answer := func(c fiber.Ctx, err error) error {
		if err != nil {
			return err
		}
		c.Set("X-Handler", "fiber")
		return c.JSON(tally{a.count(c.Context())})
	}
	f := fiber.New()
	f.Use(requestid.New())
	if !inside {
		f.Use(recover.New())
	}
	account := f.Group("/account/:name", frameworks.ForFiber(a.sessions.Handler))
	if inside {
		account.Use(recover.New())
	}
	account.Get("/count", func(c fiber.Ctx) error { return answer(c, nil) })
	account.Post("/add", func(c fiber.Ctx) error {
		var body added
		if err := c.Bind().Body(&body); err != nil {
			return fiber.NewError(fiber.StatusBadRequest, err.Error())
		}
		return answer(c, a.add(c.Context(), body.N))
	})
	account.Post("/conflict", func(c fiber.Ctx) error { return answer(c, a.conflict(c.Context())) })
	account.Post("/fail", func(c fiber.Ctx) error { return a.fail(c.Context()) })
	account.Post("/panic", func(c fiber.Ctx) error { a.panic(c.Context()); return nil })
	account.Post("/leave", func(c fiber.Ctx) error { return answer(c, a.leave(c.Context())) })
	account.Post("/slow", timeout.New(func(c fiber.Ctx) error {
		ctx := c.Context()
		err := a.slow(ctx)
		<-a.gone // fiber has answered
		a.late <- a.add(ctx, 1)
		return err
	}, timeout.Config{Timeout: patienceOfSlow}))
	return f
}

func serveFiber(a *app, inside bool) (url string, stop func()) {
	return listen(a.t, withFiber(a, inside))
}

// listen starts a program with fiber, which is not a net/http handler.
func listen(t *testing.T, f *fiber.App) (url string, stop func()) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	return "http://" + listener.Addr().String(), func() {
		if err := f.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func TestFiber(t *testing.T) {
	t.Parallel()
	run(t, serveFiber)
}

// A handler that fiber has given up can change nothing, and gets an error.
func TestFiberGivesUp(t *testing.T) {
	t.Parallel()
	a := setup(t, sessionhttp.Config{})
	url, stop := serveFiber(a, false)
	if got := ask(t, a, url, "POST", "/slow", ""); got.status != http.StatusRequestTimeout {
		t.Errorf("%+v", got)
	}
	close(a.gone)
	if err := <-a.late; !errors.Is(err, sessionhttp.ErrDiscarded) {
		t.Errorf("%v", err)
	}
	stop()
	a.want(`{}`)
}

// A stream's changes are stored while it runs. fasthttp starts the stream before the middleware
// stores what the handler changed, so the stream waits for that first.
func TestFiberStream(t *testing.T) {
	t.Parallel()
	a := setup(t, sessionhttp.Config{})
	f := fiber.New()
	f.Get("/account/ann/stream", frameworks.ForFiber(a.sessions.Handler), func(c fiber.Ctx) error {
		ctx := c.Context()
		if err := a.add(ctx, 1); err != nil {
			return err
		}
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for a.stored() == `{}` && !t.Failed() { //nolint:contextcheck // the test's, not the request's
				time.Sleep(time.Millisecond)
			}
			a.want(`{"count": 1}`) //nolint:contextcheck // the test's, not the request's
			if err := a.add(ctx, 1); err != nil {
				t.Error(err)
			}
			a.want(`{"count": 2}`) //nolint:contextcheck // the test's, not the request's
			_, _ = w.WriteString("done")
		})
	})
	url, stop := listen(t, f)
	defer stop()
	if got := ask(t, a, url, "GET", "/stream", ""); got.status != http.StatusOK || got.body != "done" {
		t.Errorf("%+v", got)
	}
}

// fasthttp hands on the last of several headers alone, as docs/frameworks.md says.
func TestFiberSeesTheLastHeader(t *testing.T) {
	t.Parallel()
	a := setup(t, sessionhttp.Config{})
	for name, test := range map[string]struct {
		begin start
		want  int
	}{"fiber": {serveFiber, http.StatusOK}, "chi": {overNetHTTP(withChi), http.StatusUnauthorized}} {
		url, stop := test.begin(a, false)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/account/ann/count", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"] = []string{"Bearer x", "Bearer " + string(a.pair.AccessToken)}
		if got := send(t, r); got.status != test.want {
			t.Errorf("%s: %+v", name, got)
		}
		stop()
	}
}
