package client_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/client"
)

func TestNew(t *testing.T) {
	t.Parallel()
	const address = "client: the address must be http:// or https:// with a host, and have neither user nor query"
	for _, c := range []struct {
		address, key string
		option       client.Option
		want         string
	}{
		{"", key, nil, address},
		{"127.0.0.1:8081", key, nil, address},
		{"ftp://127.0.0.1", key, nil, address},
		{"http://", key, nil, address},
		{"http://" + key + "@127.0.0.1", key, nil, address},
		{"http://127.0.0.1?key=" + key, key, nil, address},
		{"http://127.0.0.1/%zz" + key, key, nil, address},
		{"http://127.0.0.1", "", nil, "client: the service key must consist of visible ASCII characters"},
		{"http://127.0.0.1", key + "\n", nil, "client: the service key must consist of visible ASCII characters"},
		{"http://127.0.0.1", key, client.WithTimeout(0), "client: the timeout must be more than 0"},
		{"http://127.0.0.1", key, client.WithAttempts(0), "client: there must be 1 attempt or more"},
		{"http://127.0.0.1", key, client.WithTransport(nil), "client: the transport must not be nil"},
	} {
		var options []client.Option
		if c.option != nil {
			options = append(options, c.option)
		}
		if _, err := client.New(c.address, c.key, options...); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, not %q", c.address, err, c.want)
		}
	}
}

// A value that no header can have is the caller's mistake: nothing is sent, and nothing tried again.
func TestWrongHeaders(t *testing.T) {
	t.Parallel()
	c, err := client.New("https://gateway.example", key, client.WithTransport(transport(func(*http.Request) (*http.Response, error) {
		t.Error("something was sent")
		return nil, errors.New("no")
	})))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateSessionOnce(t.Context(), "a\nb", client.NewSession{Subject: "ada"})
	want := "createSession: invalid argument: the value for Idempotency-Key must consist of visible ASCII characters"
	if !errors.Is(err, client.ErrInvalidArgument) || err.Error() != want {
		t.Errorf("%v, not %q", err, want)
	}
	if _, err = c.PutSessionData(t.Context(), uuid.New(), "é", client.Data("{}")); !errors.Is(err, client.ErrInvalidArgument) {
		t.Errorf("a checksum: %v", err)
	}
}

// A service may be below a path.
func TestAddressWithPath(t *testing.T) {
	t.Parallel()
	var path atomic.Value
	c, err := client.New("https://gateway.example/latchkey/", key, client.WithTransport(transport(func(r *http.Request) (*http.Response, error) {
		path.Store(r.URL.String())
		return answer(r, 200, "application/json", "{}"), nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Session(t.Context(), id); err != nil || path.Load() != "https://gateway.example/latchkey/v1/sessions/"+id.String() {
		t.Error(path.Load(), err)
	}
}

// Nothing that is printed has the key: neither the client nor any error.
func TestKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	c := with(t, func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("%s refused", r.URL)
	}, client.WithAttempts(1))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "client", c, "struct", *c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("JSON", "client", c, "struct", *c)
	printed := []string{log.String(), c.String(), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v %#v", *c, *c, *c)}
	for _, call := range calls {
		printed = append(printed, call(t.Context(), c).Error())
	}
	for _, text := range printed {
		if strings.Contains(text, key) {
			t.Errorf("it has the key: %s", text)
		}
	}
}

// The address of a request, which may name a user, is in no error.
func TestErrorsDoNotNameUsers(t *testing.T) {
	t.Parallel()
	c := with(t, func(*http.Request) (*http.Response, error) { return nil, errHungUp }, client.WithAttempts(1))
	_, err := c.EndSessions(t.Context(), "ada@example.com")
	if err == nil || err.Error() != "endSessions: no answer: connection reset by peer" {
		t.Error(err)
	}
}

// A redirect is not followed, so that the key does not travel.
func TestRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed, with %q", r.Header)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		defer server.Close()
		c, err := client.New(server.URL, key)
		if err != nil {
			t.Fatal(err)
		}
		for name, call := range calls {
			if err := call(t.Context(), c); errOf(t, err).Status != status {
				t.Errorf("%s, %d: %v", name, status, err)
			}
		}
	}
}

// Connections are kept: the same number of simultaneous calls, a second time, needs no new
// ones.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	const atOnce = 32
	var all sync.WaitGroup
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("spoken is %s", r.Proto)
		}
		all.Done()
		all.Wait() // until that many have arrived
		_, _ = io.WriteString(w, "{}")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c, err := client.New(server.URL, key)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		all.Add(atOnce)
		var done sync.WaitGroup
		for range atOnce {
			done.Go(func() {
				if _, err := c.Session(t.Context(), id); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	}
	if n := connections.Load(); n != atOnce {
		t.Errorf("%d connections for %d calls at once", n, atOnce)
	}
}

// A replacement whose answer is lost is sent once: a second time its version would be an old one.
func TestReplacementIsSentOnce(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		sent.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	c, err := client.New(server.URL, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutSessionData(t.Context(), id, "a", client.Data("{}")); !errors.Is(err, client.ErrUnavailable) || sent.Load() != 1 {
		t.Errorf("sent %d times: %v", sent.Load(), err)
	}
}

// If nothing listens, nothing is known.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	c, err := client.New(server.URL, key, client.WithAttempts(2), client.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutSessionData(t.Context(), id, "a", client.Data("{}")); !errors.Is(err, client.ErrUnavailable) {
		t.Error(err)
	}
}

// Tokens are not printed: neither those of an answer nor that of a question.
func TestTokensAreNotPrinted(t *testing.T) {
	t.Parallel()
	c := with(t, func(r *http.Request) (*http.Response, error) {
		return answer(r, 201, "application/json", `{"access_token":"sesame","refresh_token":"sesame"}`), nil
	})
	created, err := c.CreateSession(t.Context(), client.NewSession{})
	if err != nil || string(created.AccessToken) != "sesame" || string(created.RefreshToken) != "sesame" {
		t.Fatal(err)
	}
	request := client.IntrospectionRequest{Token: "sesame", Proof: "sesame"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "created", created, "request", request, "token", created.AccessToken)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("JSON", "created", created, "request", request, "token", created.AccessToken)
	for _, text := range []string{
		log.String(), created.AccessToken.String(), fmt.Sprintf("%v %+v %#v %v %+v %#v %q", created, created, created, request, request, request, created.AccessToken),
	} {
		if strings.Contains(text, "sesame") || !strings.Contains(text, "[redacted]") {
			t.Errorf("printed: %s", text)
		}
	}
}
