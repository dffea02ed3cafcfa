package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"testing"
)

// The log and observers get the status and length that the client gets, on a real connection.
func TestAnswerWriter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do            func(w http.ResponseWriter) error
		status, bytes int
		received      int
		interim       []int
	}{
		"nothing":        {do: func(http.ResponseWriter) error { return nil }, status: 0, received: 200},
		"a body alone":   {do: func(w http.ResponseWriter) error { _, err := io.WriteString(w, "abc"); return err }, status: 200, bytes: 3, received: 200},
		"a status alone": {do: func(w http.ResponseWriter) error { w.WriteHeader(204); return nil }, status: 204, received: 204},
		"two statuses": {do: func(w http.ResponseWriter) error {
			w.WriteHeader(404)
			w.WriteHeader(500)
			_, err := io.WriteString(w, "ab")
			return err
		}, status: 404, bytes: 2, received: 404},
		"early hints": {do: func(w http.ResponseWriter) error {
			w.WriteHeader(103)
			w.WriteHeader(201)
			return nil
		}, status: 201, received: 201, interim: []int{103}},
		"flushed before it is written": {do: func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, status: 200, received: 200},
		"flushed as a Flusher":         {do: func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil }, status: 200, received: 200}, //nolint:errcheck,forcetypeassert // it is one
		"taken over": {do: func(w http.ResponseWriter) error {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			return answerByHand(conn, rw)
		}, status: 0, received: 418},
	} {
		var noted answerWriter
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			noted.ResponseWriter = w
			if err := test.do(&noted); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}))
		var interim []int
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { interim = append(interim, code); return nil }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = response.Body.Close()
		server.Close() // after which the handler has ended
		if noted.status != test.status || noted.bytes != test.bytes || response.StatusCode != test.received || !slices.Equal(interim, test.interim) {
			t.Errorf("%s: %d and %d bytes were noted, %d and %v received", name, noted.status, noted.bytes, response.StatusCode, interim)
		}
	}
}

func answerByHand(conn net.Conn, rw *bufio.ReadWriter) error {
	defer func() { _ = conn.Close() }()
	if _, err := rw.WriteString("HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	return rw.Flush()
}
