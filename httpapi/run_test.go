package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// running is a service that listens.
type running struct {
	*service
	publicURL, internalURL string
	stop                   context.CancelFunc
	stopped                chan error
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func run(t *testing.T, change ...func(*httpapi.Config, *sessionstore.Config)) running {
	t.Helper()
	return runOn(t, testdb.Pool(t), change...)
}

func runOn(t *testing.T, pool *pgxpool.Pool, change ...func(*httpapi.Config, *sessionstore.Config)) running {
	t.Helper()
	public, internal := listen(t), listen(t)
	r := running{
		service: setupOn(t, pool, change...), stopped: make(chan error, 1),
		publicURL: "http://" + public.Addr().String(), internalURL: "http://" + internal.Addr().String(),
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		r.stopped <- r.server.Run(ctx, public, internal)
		close(done)
	}()
	t.Cleanup(func() {
		r.stop()
		<-done
	})
	return r
}

func get(t *testing.T, url string) (int, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

func TestRunServesBothListeners(t *testing.T) {
	t.Parallel()
	r := run(t)
	for url, want := range map[string]int{
		r.publicURL + "/.well-known/jwks.json": 200, r.internalURL + "/.well-known/jwks.json": 404,
		r.publicURL + "/readyz": 404, r.internalURL + "/readyz": 200,
	} {
		if got, err := get(t, url); got != want || err != nil {
			t.Errorf("%s: %d, %v", url, got, err)
		}
	}
	r.stop()
	if err := <-r.stopped; err != nil {
		t.Errorf("Run returned %v", err)
	}
	for _, url := range []string{r.publicURL, r.internalURL} {
		if status, err := get(t, url); err == nil {
			t.Errorf("%s still answers %d", url, status)
		}
	}
}

// A request under way is answered, although the service is stopping.
func TestRunDrains(t *testing.T) {
	t.Parallel()
	r := run(t)
	session := r.create(t, "ann")
	tx, err := r.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE "sessionStoreToken"`); err != nil {
		t.Fatal(err)
	}
	status := make(chan int, 1)
	go func() {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.publicURL+"/oauth2/token",
			strings.NewReader("grant_type=refresh_token&refresh_token="+session.refresh))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := new(http.Transport).RoundTrip(request)
		if err != nil {
			status <- 0
			return
		}
		_ = answer.Body.Close()
		status <- answer.StatusCode
	}()
	var waiting int
	for waiting == 0 {
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
	select {
	case err := <-r.stopped:
		t.Fatalf("Run returned %v before the request was answered", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != http.StatusOK {
		t.Errorf("the request was answered with %d", got)
	}
	if err := <-r.stopped; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// Draining has an end, and Run says that it was not finished.
func TestRunDoesNotDrainForEver(t *testing.T) {
	t.Parallel()
	r := run(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.DrainTimeout = 100 * time.Millisecond })
	connection := dial(t, r.publicURL)
	send(t, connection, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n"+
		"Expect: 100-continue\r\n\r\n")
	// The handler has begun to read, and waits for the rest.
	if line, err := bufio.NewReader(connection).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	r.stop()
	if err := <-r.stopped; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run returned %v", err)
	}
}

func TestRunEndsWithAListener(t *testing.T) {
	t.Parallel()
	s := setup(t)
	public, internal := listen(t), listen(t)
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Run(t.Context(), public, internal) }()
	if err := internal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run returned %v", err)
	}
	if _, err := get(t, "http://"+public.Addr().String()+"/"); err == nil {
		t.Error("the public listener still answers")
	}
}

// send writes a part of a request, or all of it.
func send(t *testing.T, connection net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return connection
}

// Security 20: a client that sends its request by the drop is answered in time
// and disconnected.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	r := run(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.ReadTimeout = 2 * time.Second })

	t.Run("headers", func(t *testing.T) {
		t.Parallel()
		connection := dial(t, r.publicURL)
		send(t, connection, "GET / HTTP/1.1\r\nHost:")
		if text, err := io.ReadAll(connection); err != nil || bytes.Contains(text, []byte("200 OK")) {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		connection := dial(t, r.publicURL)
		send(t, connection, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=")
		reader := bufio.NewReader(connection)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusRequestTimeout || !bytes.Contains(text, []byte(`"invalid_request"`)) {
			t.Errorf("%d %s", answer.StatusCode, text)
		}
		if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
			t.Errorf("the connection continues: %q, %v", rest, err)
		}
	})
	t.Run("large headers", func(t *testing.T) {
		t.Parallel()
		connection := dial(t, r.publicURL)
		send(t, connection, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 40_000)+"\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d", answer.StatusCode)
		}
	})
}

// Load balancers continue sending until they have noticed that the service is not ready any
// more.
func TestRunGoesOnForAWhile(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.ShutdownDelay = time.Hour })
	public, internal := listen(t), listen(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Run(ctx, public, internal) }()
	readiness := "http://" + internal.Addr().String() + "/readyz"
	if status, err := get(t, readiness); status != 200 || err != nil {
		t.Fatalf("ready: %d, %v", status, err)
	}
	stop()
	for deadline := time.Now().Add(patience); ; {
		status, err := get(t, readiness)
		if status == 503 {
			break
		}
		if status != 200 || err != nil || time.Now().After(deadline) {
			t.Fatalf("told to stop, it is ready: %d, %v", status, err)
		}
	}
	for _, path := range []string{"/livez", "/.well-known/jwks.json"} {
		if status, err := get(t, "http://"+public.Addr().String()+path); status != 200 || err != nil {
			t.Errorf("told to stop, %s: %d, %v", path, status, err)
		}
	}
	if err := public.Close(); err != nil { // what fails meanwhile ends the wait
		t.Fatal(err)
	}
	if err := <-stopped; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run returned %v", err)
	}
}
