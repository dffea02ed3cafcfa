package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func behindAProxy(cfg *httpapi.Config, _ *sessionstore.Config) {
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
}

// X-Forwarded-For is read in every form that proxies write, and if it cannot be read, the request is still served.
func TestForwardedAddresses(t *testing.T) {
	t.Parallel()
	s := setup(t, behindAProxy)
	refresh := func(session session, options ...option) response {
		return s.public(t, "POST", "/oauth2/token", append(options, form("grant_type", "refresh_token", "refresh_token", session.refresh))...)
	}
	for forwarded, want := range map[string]string{
		"203.0.113.7:51008":                  "203.0.113.7", // Azure's gateways, IIS
		"198.51.100.1, 203.0.113.7:51008":    "203.0.113.7",
		"203.0.113.7:51008, 10.0.0.9:443":    "203.0.113.7", // through another trusted one
		"[2001:db8::7]":                      "2001:db8::7",
		"[2001:db8::7]:51008":                "2001:db8::7",
		"2001:db8::7,[fd00::9]:1":            "2001:db8::7",
		`"[2001:db8::7]:51008"`:              "2001:db8::7",
		"fe80::1%eth0":                       "fe80::1",
		"::ffff:203.0.113.7":                 "203.0.113.7",
		"unknown":                            "",
		"203.0.113.7, unknown":               "", // anyone can have written the rest
		"_hidden":                            "",
		"203.0.113.7 10.0.0.1":               "",
		strings.Repeat("203.0.113.7,", 2000): "203.0.113.7",
	} {
		session := s.create(t, "ann")
		refresh(session, from("10.0.0.1:1"), header("X-Forwarded-For", forwarded)).want(t, 200)
		if got := s.log.last(t)["client"]; got != want {
			t.Errorf("%.40q: the log says %q, want %q", forwarded, got, want)
		}
		last, _ := s.internal(t, "GET", "/v1/sessions/"+session.id).json(t)["last_client"].(map[string]any)
		if got, _ := last["ip"].(string); got != want {
			t.Errorf("%.40q: %q is kept, want %q", forwarded, got, want)
		}
	}
}

// Whatever a request says about its client, every route answers as it would without: behind a proxy that
// is trusted, behind one that is not, and directly.
func TestClientsOfAllKinds(t *testing.T) {
	t.Parallel()
	agents := []string{
		"", " ", "Mozilla/5.0 (X11; Linux x86_64)", "\xff\xfe", "caf\xe9", "a\x00b", "\u202e\U0010ffff", strings.Repeat("u", 511) + "é", strings.Repeat("é", 9000),
	}
	described := []option{
		header("X-Forwarded-For", ""),
		header("X-Forwarded-For", ", ,"),
		header("X-Forwarded-For", "unknown"),
		header("X-Forwarded-For", "203.0.113.7:51008"),                            // Azure Application Gateway, IIS
		header("X-Forwarded-For", "[2001:db8::7]:51008"),                          // AWS, with the client's port
		header("X-Forwarded-For", "198.51.100.1,203.0.113.7,10.0.0.9"),            // GCP: and its own
		header("X-Forwarded-For", "fe80::1%25eth0, [::ffff:10.0.0.1%lo]:0"),       // zones
		header("X-Forwarded-For", "\xff\x00"+strings.Repeat("1", 9000)),           // garbage
		header("X-Forwarded-For", strings.Repeat("[", 500)+`"`+"999.1.1.1:99999"), // garbage
		header("Forwarded", `for="[2001:db8:cafe::17]:4711";proto=https, for=unknown, for=_x`),
		header("Forwarded", `for="`),
		header("CF-Connecting-IP", "203.0.113.7, \xff"), // Cloudflare
		header("X-Azure-ClientIP", "null"),
		header("X-Real-IP", "nobody"),
		header("True-Client-IP", ""),
	}
	for mode, setting := range map[string]func(*httpapi.Config, *sessionstore.Config){
		"directly": func(*httpapi.Config, *sessionstore.Config) {}, "behind a proxy": behindAProxy,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			// No test sends so much from one address, and those without one have no limit.
			s := setup(t, setting, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 10_000 })
			peers := []string{"10.0.0.1:1", "203.0.113.1:1", "[fe80::1%eth0]:4711", "[::ffff:10.0.0.1]:1", "@", "", "pipe"}
			for i := range max(len(agents), len(described)) * 2 {
				of := []option{from(peers[i%len(peers)]), header("User-Agent", agents[i%len(agents)]), described[i%len(described)]}
				with := func(o ...option) []option { return append(o, of...) }
				session := sessionOf(s.internal(t, "POST", "/v1/sessions", with(jsonBody(`{"data":{},"subject":"ann"}`))...).want(t, 201).json(t))
				refreshed := s.public(t, "POST", "/oauth2/token", with(form("grant_type", "refresh_token", "refresh_token", session.refresh))...).want(t, 200).json(t)
				access := sessionOf(refreshed).access
				s.public(t, "GET", "/v1/me/sessions/current", with(bearer(access))...).want(t, 200)
				s.public(t, "GET", "/v1/me/sessions", with(bearer(access))...).want(t, 200)
				s.internal(t, "POST", "/oauth2/introspect", with(form("token", access))...).want(t, 200)
				s.internal(t, "GET", "/v1/sessions?subject=ann", with()...).want(t, 200)
				s.public(t, "GET", "/.well-known/jwks.json", with()...).want(t, 200)
				s.public(t, "POST", "/oauth2/revoke", with(form("token", sessionOf(refreshed).refresh))...).want(t, 200)
				if s.accepted(t, access) {
					t.Errorf("with %v the session was not revoked", i)
				}
			}
		})
	}
}

func TestClientOnALink(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", session.refresh),
		from("[fe80::1%eth0]:4711"), header("User-Agent", "\xff\x00"+strings.Repeat("u", 9000))).want(t, 200)
	if got := s.log.last(t)["client"]; got != "fe80::1" {
		t.Errorf("the log says %v", got)
	}
}

// Clients whose address a proxy did not report are not one client.
func TestRateLimitOfTheUnknown(t *testing.T) {
	t.Parallel()
	s := setup(t, behindAProxy, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 2 })
	get := func(forwarded string) response {
		return s.public(t, "GET", "/.well-known/jwks.json", from("10.0.0.1:1"), header("X-Forwarded-For", forwarded))
	}
	for range 10 {
		get("unknown").want(t, 200)
	}
	// Another port is the same client, and so is whatever it writes before its own address.
	for i := range 2 {
		get(fmt.Sprintf("unknown, 203.0.113.7:%d", 51008+i)).want(t, 200)
	}
	get("203.0.113.7:52000").want(t, 429)
	get("_x, [203.0.113.7]").want(t, 429)
}

// A creation's description of the client is kept as far as possible, and never refused.
func TestDescribedClients(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for client, want := range map[string]string{
		`null`: `map[]`, `{}`: `map[]`, `{"label":null,"user_agent":null,"ip":null}`: `map[]`,
		`{"ip":"203.0.113.7:51008"}`:                             `map[ip:203.0.113.7]`,
		`{"ip":"[2001:db8::7%1]:80"}`:                            `map[ip:2001:db8::7]`,
		`{"ip":"nowhere","label":"x"}`:                           `map[label:x]`,
		`{"label":"a\u0000b","user_agent":"\u0000"}`:             `map[label:ab]`,
		`{"label":"a\ud83d","user_agent":"\udc00b\ud800\u0041"}`: "map[label:a\ufffd user_agent:\ufffdb\ufffdA]", // cut through a character
		"{\"label\":\"a\xffb\",\"user_agent\":\"\xe9\"}":         "map[label:a\ufffdb user_agent:\ufffd]",        // Latin-1
		`{"ip":"\ud800","label":"x"}`:                            `map[label:x]`,
		`{"ip":"203.0.113.7, 198.51.100.1","label":"x"}`:         `map[label:x]`, // anyone may have written the first
		`{"user_agent":"` + strings.Repeat("u", 60_000) + `"}`:   `map[user_agent:` + strings.Repeat("u", 512) + `]`,
		`{"label":"` + strings.Repeat("é", 101) + `"}`:           `map[label:` + strings.Repeat("é", 100) + `]`,
	} {
		session := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"client":`+client+`}`)).want(t, 201).json(t)
		if got := fmt.Sprint(at[map[string]any](t, session, "session")["client"]); got != want {
			t.Errorf("%.40s became %s, want %s", client, got, want)
		}
	}
}

// A device is renamed to what can be read of its new name, and nothing else of a change is refused for it.
func TestDescribedByAPatch(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	for client, want := range map[string]string{
		`{"label":"a\ud83d"}`:                          "a\ufffd", // cut through a character
		"{\"label\":\"a\xffb\"}":                       "a\ufffdb",
		`{"label":"a\u0000b"}`:                         "ab",
		`{"label":"` + strings.Repeat("é", 101) + `"}`: strings.Repeat("é", 100),
	} {
		for whose, answer := range map[string]response{
			"a backend's": s.internal(t, "PATCH", "/v1/sessions/"+session.id, jsonBody(`{"session_ttl":7200,"client":`+client+`}`)),
			"one's own":   s.public(t, "PATCH", "/v1/me/sessions/"+session.id, jsonBody(`{"client":`+client+`}`), bearer(session.access)),
		} {
			if got := at[map[string]any](t, answer.want(t, 200).json(t), "client")["label"]; got != want {
				t.Errorf("%s: %.40q became %q, want %q", whose, client, got, want)
			}
		}
	}
}

// Only the client is described leniently: anything else that is not valid text is refused, and so
// are a member of the wrong type and an unknown one, which are mistakes of the caller's program.
func TestWhatDescribesNobody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for body, code := range map[string]string{
		`{"data":{},"subject":"\ud800"}`:                                 "malformed_body",
		`{"data":{"a":"\ud800"},"client":{"label":"a"}}`:                 "malformed_body",
		`{"data":{"a":"\ud800"},"client":{"label":"\ud800"}}`:            "malformed_body",
		"{\"data\":{\"a\":\"\xff\"},\"client\":{\"label\":\"\xff\"}}":    "malformed_body",
		"{\"data\":{},\"\xff\":1,\"client\":{\"label\":\"\xff\"}}":       "malformed_body",
		`{"data":{},"client":{"label":"\ud800"},"client":{"label":"a"}}`: "duplicate_member",
		`{"data":{},"client":{"label":"\ud800","label":"a"}}`:            "malformed_body",
		`{"data":{},"client":{"label":"\ud800","os":"x"}}`:               "unknown_member",
		`{"data":{},"client":{"label":5}}`:                               "invalid_member",
		`{"data":{},"client":{"label":"\ud800"}`:                         "malformed_body",
		`{"data":{},"client":{"label":"\ud8"}}`:                          "malformed_body",
		"\xff":                                                           "malformed_body",
	} {
		answer := s.internal(t, "POST", "/v1/sessions", jsonBody(body))
		if got := answer.want(t, 400).json(t)["code"]; got != code {
			t.Errorf("%q is refused as %v, want %s", body, got, code)
		}
	}
}

// A client that hangs up says nothing about the service: no error in the log, no 5xx.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	answers := make(statuses, 1)
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.Observers = append(cfg.Observers, answers) })
	session := s.create(t, "ann")
	<-answers
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `LOCK "sessionStore", "sessionStoreToken"`); err != nil {
		t.Fatal(err)
	}
	for route, r := range map[string]*http.Request{
		"POST /oauth2/token":          newRequest(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", session.refresh)),
		"GET /v1/me/sessions/current": newRequest(t, "GET", "/v1/me/sessions/current", bearer(session.access)),
		"POST /v1/sessions":           newRequest(t, "POST", "/v1/sessions", bearer(serviceKey), jsonBody(`{"data":{}}`)),
		"DELETE /v1/sessions/{id}":    newRequest(t, "DELETE", "/v1/sessions/"+session.id, bearer(serviceKey)),
		"POST /oauth2/introspect":     newRequest(t, "POST", "/oauth2/introspect", bearer(serviceKey), form("token", session.access)),
	} {
		handler := s.server.Internal()
		if strings.HasSuffix(route, "token") || strings.HasSuffix(route, "current") {
			handler = s.server.Public()
		}
		ctx, hangUp := context.WithCancel(t.Context())
		before := waiting(t, s.pool, nil) // what was hung up may still wait
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		}()
		for len(waiting(t, s.pool, before)) == 0 {
			time.Sleep(time.Millisecond)
		}
		hangUp()
		<-answered
		if got := <-answers; got != 499 {
			t.Errorf("%s: %d is counted", route, got)
		}
		if line := s.log.last(t); line["level"] != "INFO" || line["status"] != 499.0 || line["code"] != "client_closed_request" || line["error"] != nil {
			t.Errorf("%s: %v", route, line)
		}
	}
}

// A client that hangs up while it sends its body does not send a bad one.
func TestClientHangsUpInItsBody(t *testing.T) {
	t.Parallel()
	answers := make(statuses, 1)
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.Observers = append(cfg.Observers, answers) })
	public := httptest.NewServer(s.server.Public())
	t.Cleanup(public.Close)
	internal := httptest.NewServer(s.server.Internal())
	t.Cleanup(internal.Close)
	const refresh = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	const introspect = "POST /oauth2/introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	const create = "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + serviceKey + "\r\nContent-Type: application/json\r\n"
	for _, test := range []struct {
		server  *httptest.Server
		request string
		reset   bool
		want    int
	}{
		{public, refresh + "Content-Length: 50\r\n\r\ngrant_type=", false, 499},
		{public, refresh + "Content-Length: 50\r\n\r\ngrant_type=", true, 499},
		{public, refresh + "Transfer-Encoding: chunked\r\n\r\n20\r\ngrant_type=", false, 499},
		{internal, create + "Content-Length: 50\r\n\r\n{", false, 499},
		{internal, introspect + "Content-Length: 50\r\n\r\nclient_secret=", false, 499},
		{public, refresh + "Transfer-Encoding: chunked\r\n\r\nno length\r\n", false, 400},
	} {
		address := test.server.Listener.Addr()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), address.Network(), address.String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, test.request); err != nil {
			t.Fatal(err)
		}
		if tcp, ok := conn.(*net.TCPConn); ok && test.reset {
			if err := tcp.SetLinger(0); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-answers; got != test.want {
			t.Errorf("%q is counted as %d, want %d", test.request, got, test.want)
		}
	}
}

// waiting are the connections that wait for a lock, except for those that did before.
func waiting(t *testing.T, pool *pgxpool.Pool, before []int32) (pids []int32) {
	t.Helper()
	const query = `SELECT COALESCE(array_agg(pid), '{}') FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> ALL (COALESCE($1, '{}'::integer[]))`
	if err := pool.QueryRow(t.Context(), query, before).Scan(&pids); err != nil {
		t.Fatal(err)
	}
	return pids
}

// statuses are those of answers.
type statuses chan int

func (statuses) Begin(_ string, r *http.Request) *http.Request { return r }

func (s statuses) End(_ *http.Request, a httpapi.Answer) { s <- a.Status }

func TestPutDataToAnExpiredSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	if _, err := s.pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "expiresAt" = now()`); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{`{}`, `{"note":"` + secretData + `"}`} { // the second is what is stored
		s.put(t, session.id, `"`+session.checksum+`"`, data).wantProblem(t, 409, "session_ended")
	}
}
