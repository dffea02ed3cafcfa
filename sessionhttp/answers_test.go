package sessionhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// A handler that could not begin its response can still say that it failed: nothing is stored
// with that.
func TestResponseThatDidNotBegin(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(http.ResponseWriter) error{
		"a source that fails at once": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, iotest.ErrReader(io.ErrUnexpectedEOF))
			return err
		},
		"a connection that cannot be taken": func(w http.ResponseWriter) error {
			_, _, err := http.NewResponseController(w).Hijack()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, sessionhttp.Config{})
			outer := sessionhttp.New[cart](k.store, sessionhttp.Config{})
			server := httptest.NewUnstartedServer(outer.Handler(k.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = nil })
				if err := begin(w); err == nil {
					t.Error("it has begun")
				}
				http.Error(w, "sorry", http.StatusBadGateway)
			}))))
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			k.call(t.Context(), t, server, http.NoBody, func(response *http.Response) {
				if response.ProtoMajor != 2 || response.StatusCode != http.StatusBadGateway || k.stored(t) != unchanged {
					t.Errorf("HTTP/%d, %d, %s", response.ProtoMajor, response.StatusCode, k.stored(t))
				}
			})
		})
	}
}

// unflushable is a response writer without a method more than it needs, as that of
// http.TimeoutHandler.
type unflushable struct{ http.ResponseWriter }

// To flush what cannot be flushed begins nothing either.
func TestFlushThatHasNoEffect(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := httptest.NewRecorder()
	k.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = nil })
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%v", err)
		}
		w.WriteHeader(http.StatusInternalServerError)
	})).ServeHTTP(unflushable{w}, k.request(t))
	if w.Code != http.StatusInternalServerError || k.stored(t) != unchanged {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

// Sources of any kind arrive whole: those with an end only, those that say it with the last
// bytes, and those behind two managers.
func TestCopy(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	outer := sessionhttp.New[cart](k.store, sessionhttp.Config{})
	for name, source := range map[string]func(io.Reader) io.Reader{
		"plain":       func(r io.Reader) io.Reader { return struct{ io.Reader }{r} },
		"one by one":  iotest.OneByteReader,
		"end at once": iotest.DataErrReader,
	} {
		for _, body := range []string{"", "a", strings.Repeat("file", 5000)} {
			w := httptest.NewRecorder()
			outer.Handler(k.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if n, err := io.Copy(w, source(strings.NewReader(body))); n != int64(len(body)) || err != nil {
					t.Errorf("%s: %d of %d bytes, %v", name, n, len(body), err)
				}
			}))).ServeHTTP(w, k.request(t))
			if w.Code != http.StatusOK || w.Body.String() != body {
				t.Errorf("%s: %d, %d bytes of %d", name, w.Code, w.Body.Len(), len(body))
			}
		}
	}
}

// Informational answers, HEAD, trailers and a second status are as without the middleware.
func TestAnswersAreAsWithoutTheMiddleware(t *testing.T) {
	t.Parallel()
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "Sum")
		w.WriteHeader(http.StatusAccepted)
		w.WriteHeader(http.StatusInternalServerError) // net/http logs it
		_, _ = io.WriteString(w, r.Method)
		w.Header().Set("Sum", "1")
		w.Header().Set(http.TrailerPrefix+"Late", "2")
	}
	k := setup(t, sessionhttp.Config{})
	with := k.server(t, func(w http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = append(c.Items, r.Method) })
		answer(w, r)
	})
	without := httptest.NewServer(http.HandlerFunc(answer))
	defer without.Close()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		got, want := k.shown(t.Context(), t, method, with.URL), k.shown(t.Context(), t, method, without.URL)
		if got != want {
			t.Errorf("%s: %s, without the middleware %s", method, got, want)
		}
	}
	if got := strings.Join(k.items(t.Context(), t), ","); got != "tea,GET,HEAD" {
		t.Errorf("stored: %s", got)
	}
}

// shown returns a whole answer, as text.
func (k kit) shown(ctx context.Context, t *testing.T, method, url string) string {
	t.Helper()
	var shown strings.Builder
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		_, _ = fmt.Fprintf(&shown, "%d %s, then ", code, header.Get("Link"))
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+k.access)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Header.Del("Date")
	_, _ = fmt.Fprintf(&shown, "%d %v %q %v", response.StatusCode, response.Header, body, response.Trailer)
	return shown.String()
}

// After a connection was taken a panic has no answer to spoil: what was stored before stays, and
// nothing is stored from then on.
func TestPanicAfterHijack(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	ended := make(chan struct{})
	var session *sessionhttp.Session[cart]
	inner := k.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session = k.manager.From(r.Context())
		update(r.Context(), t, session, func(c *cart) { c.Items = []string{"before"} })
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
		_ = conn.Close()
		panic(http.ErrAbortHandler)
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	if body := k.body(t, server); body != "hi" {
		t.Errorf("%q", body)
	}
	<-ended
	if err := session.Update(t.Context(), put("after")); !errors.Is(err, sessionhttp.ErrDiscarded) {
		t.Errorf("a change after it: %v", err)
	}
	if got := strings.Join(k.items(t.Context(), t), ","); got != "before" {
		t.Errorf("stored: %s", got)
	}
}
