package sessionhttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// server serves the handler as net/http does.
func (k kit) server(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(k.manager.Handler(handler))
	t.Cleanup(s.Close)
	return s
}

// call sends a request with the session's access token to it, and shows the answer.
func (k kit) call(ctx context.Context, t *testing.T, s *httptest.Server, body io.Reader, show func(*http.Response)) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+k.access)
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	show(response)
}

// body is the answer to such a request.
func (k kit) body(t *testing.T, s *httptest.Server) (body string) {
	t.Helper()
	k.call(t.Context(), t, s, http.NoBody, func(response *http.Response) {
		all, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		body = string(all)
	})
	return body
}

// A stream of events stores what it changes as it goes, even when its client has left.
func TestEvents(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	done := make(chan struct{})
	server := k.server(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		session := k.manager.From(r.Context())
		update(r.Context(), t, session, func(c *cart) { c.Items = []string{"first"} })
		w.Header().Set("Content-Type", "text/event-stream")
		flusher, ok := w.(http.Flusher)
		if !ok {
			t.Error("it cannot flush")
			return
		}
		flusher.Flush()
		if diff := cmp.Diff([]string{"first"}, k.items(r.Context(), t)); diff != "" {
			t.Errorf("the stream has begun: %s", diff)
		}
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "second") })
		if diff := cmp.Diff([]string{"first", "second"}, k.items(r.Context(), t)); diff != "" {
			t.Errorf("an event: %s", diff)
		}
		if _, err := io.WriteString(w, "data: second\n\n"); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
		if err := session.Update(r.Context(), put("left")); err != nil {
			t.Errorf("after the client has left: %v", err)
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	k.call(ctx, t, server, http.NoBody, func(response *http.Response) {
		if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || line != "data: second\n" {
			t.Errorf("%q, %v", line, err)
		}
		leave()
	})
	<-done
	if diff := cmp.Diff([]string{"first", "second", "left"}, k.items(t.Context(), t)); diff != "" {
		t.Error(diff)
	}
}

// Whatever is sent on a connection that a handler takes over is the response: changes are
// stored before it is taken, and at once from then on.
func TestHijack(t *testing.T) {
	t.Parallel()
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"directly": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			hijacker, ok := w.(http.Hijacker)
			if !ok {
				return nil, nil, http.ErrNotSupported
			}
			return hijacker.Hijack()
		},
		"controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, sessionhttp.Config{})
			server := k.server(t, func(w http.ResponseWriter, r *http.Request) {
				session := k.manager.From(r.Context())
				update(r.Context(), t, session, func(c *cart) { c.Items = []string{"before"} })
				conn, buffer, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				if diff := cmp.Diff([]string{"before"}, k.items(r.Context(), t)); diff != "" {
					t.Error(diff)
				}
				update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "after") })
				_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
				_ = buffer.Flush()
			})
			if body := k.body(t, server); body != "hi" {
				t.Errorf("%q", body)
			}
			if diff := cmp.Diff([]string{"before", "after"}, k.items(t.Context(), t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A connection is not taken over if earlier changes cannot be stored: the client gets an
// error.
func TestHijackOfAnEndedSession(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	server := k.server(t, func(w http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = nil })
		if err := k.store.Invalidate(r.Context(), k.session.ID); err != nil {
			t.Error(err)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("it was taken")
		}
	})
	if body := k.body(t, server); body != "Unauthorized\n" || !strings.Contains(log.String(), "was not stored") {
		t.Errorf("%q, the log is %q", body, log.String())
	}
}

// The capabilities of the server's own writer are available behind the middleware.
func TestResponseController(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	server := k.server(t, func(w http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = []string{"milk"} })
		controller := http.NewResponseController(w)
		if err := errors.Join(controller.SetReadDeadline(time.Now().Add(time.Minute)), controller.SetWriteDeadline(time.Now().Add(time.Minute)), controller.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
		if n, err := io.Copy(w, strings.NewReader("a file")); n != 6 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	body := k.body(t, server)
	if diff := cmp.Diff([]string{"milk"}, k.items(t.Context(), t)); body != "a file" || diff != "" {
		t.Errorf("%q, %s", body, diff)
	}
}

// The handler answers a body over the limit, as without the middleware.
func TestMaxBytesReader(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	server := k.server(t, func(w http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = []string{"counted"} })
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); !tooLarge {
			t.Errorf("%v", err)
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	k.call(t.Context(), t, server, strings.NewReader("too much"), func(response *http.Response) {
		if diff := cmp.Diff([]string{"counted"}, k.items(t.Context(), t)); response.StatusCode != http.StatusRequestEntityTooLarge || diff != "" {
			t.Errorf("%d, %s", response.StatusCode, diff)
		}
	})
}
