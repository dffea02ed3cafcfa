package clients_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// pageOrigin is that of a page which is not served by the gateway.
const pageOrigin = "https://app.example.com"

// requirements are checks that no session of these tests passes, and what the refusal says about the reason (RFC 6750
// §3.1).
var requirements = map[string]string{
	"/v1/check/require/scope=orders:read":                     `Bearer realm="latchkey", error="insufficient_scope"`,
	"/v1/check/require/audience=https%3A%2F%2Forders.example": "",
}

// gatewayTraits are in what gateways differ, as docs/gateways.md configures them.
type gatewayTraits struct {
	passesOptions bool // even if it is not a preflight
	outage        int  // the status without the service
}

// application is what is protected.
type application struct {
	url      string
	status   atomic.Int32 // what it answers
	requests atomic.Int32 // how many it got
	last     atomic.Pointer[http.Request]
}

func newApp(t *testing.T) *application {
	t.Helper()
	app := &application{}
	app.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.requests.Add(1)
		app.last.Store(r)
		switch {
		case r.Method == http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Origin", pageOrigin)
			w.WriteHeader(http.StatusNoContent)
		case r.Header.Get("Upgrade") != "":
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") // RFC 6455 §1.3, to its key
			w.WriteHeader(http.StatusSwitchingProtocols)
		default:
			if r.Header.Get("Origin") != "" {
				w.Header().Set("Access-Control-Allow-Origin", pageOrigin)
			}
			w.WriteHeader(int(app.status.Load()))
		}
	}))
	t.Cleanup(server.Close)
	app.url = server.URL
	return app
}

// host is an address as configurations have it.
func host(url string) string { return strings.TrimPrefix(url, "http://") }

// holdGateway tries what docs/gateways.md promises of each gateway.
func holdGateway(t *testing.T, s *service, app *application, gate string, traits gatewayTraits) {
	t.Helper()
	ada := s.signInPair("ada")
	forged := map[string]string{"Latchkey-Subject": "root", "Latchkey-Scope": "admin", "Latchkey-Session": "x", "Latchkey-Client": "x"}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		got := ask(t, gate, method, "/v1/me/sessions/current?utm_source=x&token=y", ada.AccessToken, forged)
		if got.StatusCode != http.StatusOK {
			t.Fatalf("%s with a good token: %d %v", method, got.StatusCode, got.Header)
		}
		asked := app.last.Load()
		if asked.Method != method || asked.URL.RequestURI() != "/v1/me/sessions/current?utm_source=x&token=y" || asked.Header.Get("Authorization") != "Bearer "+ada.AccessToken {
			t.Errorf("the app was asked %s %s with %v", asked.Method, asked.URL, asked.Header)
		}
		if subject, scope := asked.Header.Get("Latchkey-Subject"), asked.Header.Get("Latchkey-Scope"); subject != "ada" || scope != "" || asked.Header.Get("Latchkey-Session") == "x" {
			t.Errorf("%s: the app was told that it is %q with scope %q", method, subject, scope)
		}
		for what, token := range map[string]string{"no token": "", "a refresh token": ada.RefreshToken, "nonsense": "nonsense"} {
			got := ask(t, gate, method, "/page", token, map[string]string{"Origin": pageOrigin})
			challenge := got.Header.Get("WWW-Authenticate")
			if got.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("%s with %s: %d, WWW-Authenticate %q", method, what, got.StatusCode, challenge)
			}
			if allowed := got.Header.Values("Access-Control-Allow-Origin"); len(allowed) != 1 || allowed[0] != pageOrigin {
				t.Errorf("%s with %s: %v lets a page read why", method, what, allowed)
			}
		}
	}
	if !s.active(ada.AccessToken) {
		t.Error("a DELETE through the gateway has ended the session")
	}
	holdNames(t, app, gate, ada.AccessToken)
	holdOdd(t, app, gate, ada.AccessToken)
	holdTargets(t, app, gate, ada.AccessToken)
	holdPreflights(t, app, gate, traits)
	holdWebSockets(t, gate, ada.AccessToken)

	grace := s.signInPair("grace")
	wantPage(t, gate, grace.AccessToken, http.StatusOK)
	s.revoke(grace.AccessToken)
	wantPage(t, gate, grace.AccessToken, http.StatusUnauthorized)
	wantPage(t, gate, ada.AccessToken, http.StatusOK)

	// Responses of the app itself are not changed.
	app.status.Store(http.StatusInternalServerError)
	wantPage(t, gate, ada.AccessToken, http.StatusInternalServerError)
	app.status.Store(http.StatusOK)

	before := app.requests.Load()
	s.Stop()
	got := ask(t, gate, http.MethodGet, "/page", ada.AccessToken, nil)
	if got.StatusCode != traits.outage {
		t.Errorf("without the service: %d with %v", got.StatusCode, got.Header)
	}
	if app.requests.Load() != before {
		t.Error("the app was asked without the service")
	}
}

// A client's header under a name that the app may read as one of the service's does not reach it: servers for CGI, WSGI
// and PHP take all signs in a header's name for an underscore. All that a name may have are tried (RFC 9110 §5.6.2),
// and then what it may not have.
func holdNames(t *testing.T, app *application, gate, token string) {
	t.Helper()
	forged := map[string]string{"latchkey-subject": "root", "LATCHKEY-SCOPE": "admin"}
	for _, sign := range "_.!#$%&'*+^`|~" {
		for _, name := range []string{"Subject", "Session", "Client", "Scope"} {
			forged["Latchkey"+string(sign)+name] = "forged"
		}
	}
	if got := ask(t, gate, http.MethodGet, "/page", token, forged); got.StatusCode != http.StatusOK {
		t.Errorf("with forged headers: %d", got.StatusCode)
	}
	wantUnforged(t, app)
	// No header's name may have these (RFC 9110 §5.1); a gateway may refuse the request, or drop what it does not take
	// for a header.
	for _, sign := range []byte(" \t\"(),/;<=>?@[\\]{}\x00\x01\x7f\x80\xff") {
		head := "GET /page HTTP/1.1\r\nHost: " + host(gate) + "\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n"
		for _, name := range []string{"Latchkey" + string([]byte{sign}) + "Subject", "Latchkey-Subject" + string([]byte{sign})} {
			if got := dial(t, gate, head+name+": forged\r\n\r\n"); got.StatusCode >= 500 {
				t.Errorf("with %q: %d", name, got.StatusCode)
			}
			wantUnforged(t, app)
		}
	}
	// Some gateways remove what is named here. The app then learns of no user, and of no wrong one.
	ask(t, gate, http.MethodGet, "/page", token, map[string]string{"Connection": "close, Latchkey-Subject", "Latchkey-Subject": "root"})
	if subject := app.last.Load().Header.Values("Latchkey-Subject"); !slices.Equal(subject, []string{"ada"}) && len(subject) != 0 {
		t.Errorf("the app was told that the user is %q", subject)
	}
}

// wantUnforged requires that the last request has passed nothing to the app of what clients forge in
// these tests.
func wantUnforged(t *testing.T, app *application) {
	t.Helper()
	for name, values := range app.last.Load().Header {
		if strings.HasPrefix(strings.ToLower(name), "latchkey") && slices.ContainsFunc(values, func(value string) bool { return slices.Contains([]string{"forged", "root", "admin"}, value) }) {
			t.Errorf("the app got %s: %q", name, values)
		}
	}
}

// Requests that few send: methods without a special meaning here, a DELETE with a body, large headers, two tokens.
func holdOdd(t *testing.T, app *application, gate, token string) {
	t.Helper()
	for _, method := range []string{"PROPFIND", "PURGE", "BREW"} {
		before := app.requests.Load()
		if got := ask(t, gate, method, "/page", "", nil); got.StatusCode < 400 || got.StatusCode > 499 || app.requests.Load() != before {
			t.Errorf("%s without a token: %d", method, got.StatusCode)
		}
		if got := ask(t, gate, method, "/page", token, nil); got.StatusCode != http.StatusOK || app.last.Load().Method != method {
			t.Errorf("%s with a good token: %d, and the app was asked %s", method, got.StatusCode, app.last.Load().Method)
		}
	}
	head := "DELETE /page HTTP/1.1\r\nHost: " + host(gate) + "\r\nConnection: close\r\nAuthorization: Bearer "
	body := strings.Repeat("x", 100_000)
	if got := dial(t, gate, head+token+fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)); got.StatusCode != http.StatusOK {
		t.Errorf("a DELETE with a body: %d", got.StatusCode)
	}
	if n := app.last.Load().ContentLength; n != int64(len(body)) {
		t.Errorf("the app got a DELETE with %d bytes", n)
	}
	if got := dial(t, gate, head+token+"\r\nX-Large: "+strings.Repeat("x", 7000)+"\r\n\r\n"); got.StatusCode != http.StatusOK {
		t.Errorf("a large header: %d", got.StatusCode)
	}
	// Whichever of two tokens the app uses, it is the one that was checked.
	for _, second := range []string{"Bearer nonsense", "Basic cm9vdDo="} {
		before := app.requests.Load()
		got := dial(t, gate, head+token+"\r\nAuthorization: "+second+"\r\n\r\n")
		if app.requests.Load() == before {
			continue
		}
		if told := app.last.Load().Header.Values("Authorization"); !slices.Equal(told, []string{"Bearer " + token}) {
			t.Errorf("with %s as well: %d, and the app got %d tokens", second, got.StatusCode, len(told))
		}
	}
}

// dial sends a request byte for byte.
func dial(t *testing.T, gate, request string) head {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", host(gate))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // as the connection, which is of no use any more
	return head{answer.StatusCode, answer.Header, answer.ProtoMajor}
}

// A token that lacks what the gateway requires is refused with 403, and a page on another origin can read why.
func holdRequirements(t *testing.T, s *service, app *application, start func(requirement string) (gate string)) {
	t.Helper()
	token := s.signInPair("ada").AccessToken
	for requirement, want := range requirements {
		gate, before := start(requirement), app.requests.Load()
		got := ask(t, gate, http.MethodGet, "/page?require=none", token, map[string]string{"Origin": pageOrigin})
		if challenge := got.Header.Get("WWW-Authenticate"); got.StatusCode != http.StatusForbidden || challenge != want {
			t.Errorf("%s: %d, WWW-Authenticate %q", requirement, got.StatusCode, challenge)
		}
		if allowed := got.Header.Values("Access-Control-Allow-Origin"); len(allowed) != 1 || allowed[0] != pageOrigin {
			t.Errorf("%s: %v lets a page read why", requirement, allowed)
		}
		if app.requests.Load() != before {
			t.Errorf("%s: the app was asked", requirement)
		}
		wantPage(t, gate, "", http.StatusUnauthorized)
	}
}

// Over HTTP/2, with many requests at a time in one connection, all is as over HTTP/1.1.
func holdHTTP2(t *testing.T, s *service, app *application, gate string) {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	ada := s.signInPair("ada")
	forged := map[string]string{"Latchkey-Subject": "root", "Latchkey_Subject": "forged", "Latchkey~Scope": "forged", "Latchkey.Client": "forged"}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		got := askWith(t, client, gate, method, "/v1/me/sessions/current?utm_source=x", ada.AccessToken, forged)
		if got.StatusCode != http.StatusOK || got.ProtoMajor != 2 {
			t.Fatalf("%s with a good token, over HTTP/%d: %d %v", method, got.ProtoMajor, got.StatusCode, got.Header)
		}
		asked := app.last.Load()
		if subject := asked.Header.Values("Latchkey-Subject"); asked.Method != method || !slices.Equal(subject, []string{"ada"}) {
			t.Errorf("the app was asked %s by %q", asked.Method, subject)
		}
		wantUnforged(t, app)
		before := app.requests.Load()
		got = askWith(t, client, gate, method, "/page", "", map[string]string{"Origin": pageOrigin})
		if got.StatusCode != http.StatusUnauthorized || got.Header.Get("Access-Control-Allow-Origin") != pageOrigin || app.requests.Load() != before {
			t.Errorf("%s without a token: %d %v", method, got.StatusCode, got.Header)
		}
	}
	preflight := map[string]string{"Origin": pageOrigin, "Access-Control-Request-Method": "DELETE", "Latchkey-Subject": "root", "Latchkey_Scope": "forged"}
	if got := askWith(t, client, gate, http.MethodOptions, "/page", "", preflight); got.StatusCode != http.StatusNoContent {
		t.Errorf("a preflight: %d %v", got.StatusCode, got.Header)
	}
	wantUnforged(t, app)
	if !s.active(ada.AccessToken) {
		t.Error("a DELETE through the gateway has ended the session")
	}

	var requests sync.WaitGroup
	for i := range 100 {
		requests.Go(func() {
			token, want := ada.AccessToken, http.StatusOK
			if i%2 == 1 {
				token, want = "nonsense", http.StatusUnauthorized
			}
			if got := askWith(t, client, gate, http.MethodGet, "/page", token, nil); got.StatusCode != want {
				t.Errorf("one of many at a time: %d, want %d", got.StatusCode, want)
			}
		})
	}
	requests.Wait()
}

// Whatever a path and a query look like, they reach the app as they were sent, and only with a good token.
func holdTargets(t *testing.T, app *application, gate, token string) {
	t.Helper()
	encoded := "/caf%C3%A9%20noir/a;b=c,d@e+f~?next=https%3A%2F%2Fapp.example.com%2F%3Fx%3D1&long=" + strings.Repeat("%26x", 1000)
	if got := ask(t, gate, http.MethodGet, encoded, token, nil); got.StatusCode != http.StatusOK {
		t.Errorf("an encoded path with a long query: %d %v", got.StatusCode, got.Header)
	}
	if asked := app.last.Load().URL.RequestURI(); asked != encoded {
		t.Errorf("the app was asked for %.200s instead of %.200s", asked, encoded)
	}
	for _, target := range []string{"//page", "/a/../page", "/%2e%2e/page", "/..%2fpage", "/page%00", "/page%0d%0aX:y", "/v1/check/%2e%2e", "/;/..;/page", "/page?%00"} {
		before := app.requests.Load()
		if got := ask(t, gate, http.MethodGet, target, "", nil); got.StatusCode < 400 || got.StatusCode > 499 || app.requests.Load() != before {
			t.Errorf("%s without a token: %d, and the app got %d requests", target, got.StatusCode, app.requests.Load()-before)
		}
		if got := ask(t, gate, http.MethodGet, target, token, nil); got.StatusCode >= 500 {
			t.Errorf("%s with a good token: %d", target, got.StatusCode)
		}
	}
}

// A preflight passes, without a user's name; what only looks like one does not.
func holdPreflights(t *testing.T, app *application, gate string, traits gatewayTraits) {
	t.Helper()
	preflight := map[string]string{
		"Origin": pageOrigin, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization, traceparent",
		"Latchkey-Subject": "root", "Latchkey_Session": "forged", "Latchkey.Client": "forged", "Latchkey~Scope": "forged",
	}
	got := ask(t, gate, http.MethodOptions, "/page", "", preflight)
	if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != pageOrigin {
		t.Errorf("a preflight: %d %v", got.StatusCode, got.Header)
	}
	if subject := app.last.Load().Header.Get("Latchkey-Subject"); subject != "" {
		t.Errorf("a preflight reaches the app as %q", subject)
	}
	wantUnforged(t, app)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if got := ask(t, gate, method, "/page", "", preflight); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with the headers of a preflight: %d", method, got.StatusCode)
		}
	}
	if got := ask(t, gate, http.MethodOptions, "/page", "", map[string]string{"X-Forwarded-Method": "GET"}); !traits.passesOptions && got.StatusCode != http.StatusUnauthorized {
		t.Errorf("OPTIONS that is no preflight: %d", got.StatusCode)
	}
}

func holdWebSockets(t *testing.T, gate, token string) {
	t.Helper()
	for credential, want := range map[string]int{"Authorization: Bearer " + token: http.StatusSwitchingProtocols, "X-Nothing: x": http.StatusUnauthorized} {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", host(gate))
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(conn, "GET /socket?x=y HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n\r\n", host(gate), credential)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want {
			t.Errorf("a WebSocket: %d %v, want %d", answer.StatusCode, answer.Header, want)
		}
		_ = answer.Body.Close() // as the connection, which is of no use any more
		_ = conn.Close()
	}
}

// fill puts what a test has into a configuration of the document.
func fill(t *testing.T, configuration string, values map[string]string) string {
	t.Helper()
	for from, to := range values {
		if !strings.Contains(configuration, from) {
			t.Fatalf("the document's configuration has no %q", from)
		}
		configuration = strings.ReplaceAll(configuration, from, to)
	}
	return configuration
}

// startGateway starts a program, which ends with the test, and waits until it answers at the address.
func startGateway(t *testing.T, address, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	var out testservice.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its output says more
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", program, &out)
		}
	})
	testservice.Await(t, program, func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, &out)
		default:
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		return err == nil && conn.Close() == nil
	})
}

// programOfRoot finds a program even where only root's PATH leads.
func programOfRoot(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed", name)
	return ""
}

// head is that of an answer.
type head struct {
	StatusCode int
	Header     http.Header
	ProtoMajor int
}

// ask sends a request through a gateway. Only the head of the answer matters.
func ask(t *testing.T, gate, method, target, token string, headers map[string]string) head {
	t.Helper()
	return askWith(t, http.DefaultClient, gate, method, target, token, headers)
}

func askWith(t *testing.T, client *http.Client, gate, method, target, token string, headers map[string]string) head {
	t.Helper()
	body := ""
	if method == http.MethodPost || method == http.MethodPut {
		body = "some body"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, gate+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return head{}
	}
	_ = response.Body.Close()
	return head{response.StatusCode, response.Header, response.ProtoMajor}
}

func wantPage(t *testing.T, gate, token string, want int) {
	t.Helper()
	if got := ask(t, gate, http.MethodGet, "/page", token, nil); got.StatusCode != want {
		t.Errorf("the page is answered with %d, want %d", got.StatusCode, want)
	}
}
