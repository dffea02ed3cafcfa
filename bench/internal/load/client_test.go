package load_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
)

func serve(tb testing.TB, handler http.HandlerFunc) *load.Conn {
	tb.Helper()

	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	conn, err := load.Dial(server.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })

	return conn
}

func request(method, path, body string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

func TestConnKeepsItsConnection(t *testing.T) {
	t.Parallel()

	remote := make(map[string]bool)
	conn := serve(t, func(w http.ResponseWriter, r *http.Request) {
		remote[r.RemoteAddr] = true
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("ETag", `"7"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(body)
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		}
	})

	for _, size := range []int{0, 1, 1000, 100_000, 10} { // longer than its buffer, and short again
		body := strings.Repeat("x", size)
		status, header, got, err := conn.Do(request(http.MethodPost, "/echo", body))
		if err != nil {
			t.Fatal(err)
		}
		if status != http.StatusCreated || string(got) != body {
			t.Errorf("%d bytes came back as %d with %d bytes", size, status, len(got))
		}
		if etag, ok := load.Header(header, "Etag"); !ok || string(etag) != `"7"` {
			t.Errorf("%d bytes: the ETag is %q", size, etag)
		}
		if status, _, got, err = conn.Do(request(http.MethodDelete, "/nothing", "")); err != nil || status != http.StatusNoContent || len(got) != 0 {
			t.Errorf("DELETE: %d, %q, %v", status, got, err)
		}
	}
	if len(remote) != 1 {
		t.Errorf("it used %d connections", len(remote))
	}
}

func TestConnRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()

	conn := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
		_ = http.NewResponseController(w).Flush() // chunked
	})
	if _, _, _, err := conn.Do(request(http.MethodGet, "/", "")); err == nil {
		t.Error("an answer without Content-Length passed")
	}
}

func BenchmarkConn(b *testing.B) {
	conn := serve(b, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	text := request(http.MethodPost, "/", "grant_type=refresh_token")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := conn.Do(text); err != nil {
			b.Fatal(err)
		}
	}
}
