package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-sessions/latchkey/client"
)

var (
	errHungUp  = errors.New("connection reset by peer")
	errNoRoute = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

	// notRepeated are calls that are not repeated if they may have been carried out, or that
	// check the service's health.
	notRepeated = []string{"putSessionData", "putSessionClaims", "introspectToken", "livez", "readyz"}
)

func unavailable(r *http.Request, retryAfter string) *http.Response {
	return answer(r, 503, "application/problem+json", `{"code":"unavailable"}`, "Retry-After", retryAfter)
}

// A call is repeated only where that is safe. introspectToken has a proof here, which is valid
// only once.
func TestRetries(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		for failure, fail := range map[string]transport{
			"503":      func(r *http.Request) (*http.Response, error) { return unavailable(r, "2"), nil },
			"hung up":  func(*http.Request) (*http.Response, error) { return nil, errHungUp },
			"no route": func(*http.Request) (*http.Response, error) { return nil, errNoRoute },
		} {
			t.Run(name+", "+failure, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var sent []string
					c := with(t, func(r *http.Request) (*http.Response, error) {
						body, err := io.ReadAll(r.Body)
						if err != nil {
							t.Error(err)
						}
						sent = append(sent, r.Header.Get("Idempotency-Key")+string(body))
						return fail(r)
					})
					began := time.Now()
					err := call(t.Context(), c)
					if !errors.Is(err, client.ErrUnavailable) {
						t.Errorf("the error is %v", err)
					}
					want := 4
					if slices.Contains(notRepeated, name) && failure != "no route" {
						want = 1
					}
					if len(sent) != want {
						t.Errorf("sent %d times, not %d", len(sent), want)
					}
					if len(slices.Compact(sent)) != 1 {
						t.Errorf("not the same each time: %q", sent)
					}
					took := time.Since(began)
					if failure == "503" && took < time.Duration(want-1)*2*time.Second {
						t.Errorf("took %v: that is not the Retry-After", took)
					}
					if took > time.Duration(want-1)*(2*time.Second+400*time.Millisecond) {
						t.Errorf("took %v", took)
					}
				})
			})
		}
	}
}

// An introspection without a proof of possession only reads.
func TestRetryOfIntrospection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		c := with(t, func(r *http.Request) (*http.Response, error) {
			sent++
			return answer(r, 503, "application/json", `{"error":"temporarily_unavailable"}`), nil
		})
		if err := introspect(t, c, "a"); !errors.Is(err, client.ErrUnavailable) || sent != 4 {
			t.Errorf("sent %d times: %v", sent, err)
		}
	})
}

// A call that succeeds the second time has succeeded.
func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent int
		c := with(t, func(r *http.Request) (*http.Response, error) {
			if sent++; sent == 1 {
				return nil, errHungUp
			}
			return answer(r, 201, "application/json", `{"access_token":"a"}`), nil
		})
		if created, err := c.CreateSession(t.Context(), client.NewSession{}); err != nil || created.AccessToken != "a" {
			t.Error(created.AccessToken, err)
		}
	})
}

// A refused call is not tried again.
func TestNoRetryOfRefusals(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 404, 409, 429, 500, 502} {
		sent := 0
		c := with(t, func(r *http.Request) (*http.Response, error) {
			sent++
			return answer(r, status, "text/html", "", "Retry-After", "1"), nil
		})
		if _, err := c.Session(t.Context(), id); errOf(t, err).Status != status || sent != 1 {
			t.Errorf("%d: sent %d times, %v", status, sent, err)
		}
	}
}

// Nothing is sent after the context's end, and no pause outlasts it.
func TestContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c := with(t, func(*http.Request) (*http.Response, error) {
			t.Error("sent")
			return nil, errHungUp
		})
		if _, err := c.Session(ctx, id); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnavailable) {
			t.Error(err)
		}

		// The next attempt would be after the deadline: the last answer is returned at once.
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		sent, began := 0, time.Now()
		c = with(t, func(r *http.Request) (*http.Response, error) {
			sent++
			return unavailable(r, "3"), nil
		})
		if _, err := c.Session(ctx, id); errOf(t, err).RetryAfter != 3*time.Second || sent != 2 || time.Since(began) > 4*time.Second {
			t.Errorf("sent %d times in %v: %v", sent, time.Since(began), err)
		}

		// Cancelled in a pause.
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		sent, began = 0, time.Now()
		if _, err := c.Session(ctx, id); errOf(t, err).Status != 503 || sent != 1 || time.Since(began) != time.Second {
			t.Errorf("sent %d times in %v: %v", sent, time.Since(began), err)
		}

		// Cancelled while it waits for an answer.
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := with(t, hang).Session(ctx, id); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// hang gives no answer before the request's context ends.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// An attempt that has no answer in time is an outage. One that is to wait for news has as much longer.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := with(t, hang, client.WithTimeout(3*time.Second), client.WithAttempts(1))
		began := time.Now()
		_, err := c.Session(t.Context(), id)
		if !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		began = time.Now()
		_, err = c.Revocations(t.Context(), client.RevocationsQuery{Wait: 30 * time.Second})
		if !errors.Is(err, client.ErrUnavailable) || time.Since(began) != 33*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A Retry-After of hours is for the caller to wait for.
func TestLongRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"3600": time.Hour, "31": 31 * time.Second} {
		sent := 0
		c := with(t, func(r *http.Request) (*http.Response, error) {
			sent++
			return unavailable(r, text), nil
		})
		if _, err := c.Session(t.Context(), id); errOf(t, err).RetryAfter != want || sent != 1 {
			t.Errorf("%s: sent %d times, %v", text, sent, err)
		}
	}
}
