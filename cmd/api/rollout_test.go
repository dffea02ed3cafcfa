package main_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// said is what a session's tokens say that settings have a part in.
type said struct {
	audience, clientID string
	access, refresh    int64 // for how many seconds they are valid; 0: as the replica says that made the pair
	session            int64 // for how many seconds the session is; 0: it has no end
}

// While replicas are replaced one by one, two of them differ in lifetimes, grace, audience and clients. A token's
// contents and lifetime come from its row or its own signature, whichever replica made it, and whichever answers.
func TestSettingsInARollout(t *testing.T) {
	t.Parallel()
	url := testdb.URL(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	settings := configure(t, url)
	older := start(t, t.TempDir(), settings.With(env{"LATCHKEY_AUDIENCES_ACCEPTED": "shop,https://mcp.example.com"}))
	newer := start(t, t.TempDir(), settings.With(env{
		"LATCHKEY_AUDIENCE": "shop", "LATCHKEY_AUDIENCES_ACCEPTED": "latchkey", "LATCHKEY_CLIENT_ID": "renamed",
		"LATCHKEY_CLIENTS_FILE":     writeFile(t, `[{"client_id":"agent","audiences":["https://mcp.example.com"],"access_token_ttl":"3m"}]`, t.TempDir(), "clients.json"),
		"LATCHKEY_ACCESS_TOKEN_TTL": "2m", "LATCHKEY_REFRESH_TOKEN_TTL": "48h", "LATCHKEY_SESSION_TTL": "480h", "LATCHKEY_REFRESH_GRACE": "5s",
	}))
	const own = `"access_token_ttl":240,"refresh_token_ttl":172800,"session_ttl":360000`
	for name, c := range map[string]struct {
		creates *service
		body    string
		says    said
	}{
		"made by the older":                        {older, `{}`, said{"latchkey", "latchkey", 0, 0, 0}},
		"made by the newer":                        {newer, `{}`, said{"shop", "renamed", 0, 0, 480 * 3600}},
		"with its own lifetimes, by the older":     {older, `{` + own + `}`, said{"latchkey", "latchkey", 240, 172800, 360000}},
		"with its own lifetimes, by the newer":     {newer, `{` + own + `}`, said{"shop", "renamed", 240, 172800, 360000}},
		"of a client that the newer alone has got": {newer, `{"client_id":"agent"}`, said{"https://mcp.example.com", "agent", 180, 0, 480 * 3600}},
	} {
		made := c.creates
		pair := made.CreateSession(testKey, c.body)
		r := rollout{t, pool, name, c.says, read(t, pair.AccessToken).IssuedAt, [2]*service{older, newer}}
		for n := range 5 {
			answers, grace := r.replicas[n%2], []time.Duration{15 * time.Second, 5 * time.Second}[n%2]
			r.check(pair, made)
			before := pair
			pair = r.exchange(answers, pair)
			made = answers
			for _, replica := range r.replicas {
				r.checkSame(replica, pair, pair)
				r.checkSame(replica, before, pair)
			}
			// The windows are those of the replica that has issued the pair.
			r.age(pair, 3*grace-5*time.Second)
			aged := r.exchange(r.replicas[0], pair)
			if aged.RefreshToken != pair.RefreshToken {
				t.Errorf("%s: a pair that is fresh was replaced", name)
			}
			r.checkSame(r.replicas[1], pair, aged)
			r.age(pair, 3*grace+time.Second)
		}
		r.check(pair, made)
	}
}

// rollout is one session on two replicas.
type rollout struct {
	t        *testing.T
	pool     *pgxpool.Pool
	name     string
	says     said
	began    int64
	replicas [2]*service // the older one, and the newer one
}

// exchange refreshes at a replica.
func (r rollout) exchange(at *service, pair testservice.Pair) testservice.Pair {
	r.t.Helper()
	status, answer := at.Refresh(pair.RefreshToken)
	if status != http.StatusOK {
		r.t.Fatalf("%s: a refresh: %d %s", r.name, status, answer)
	}
	next := testservice.ParsePair(r.t, answer)
	next.Session = pair.Session
	return next
}

// checkSame requires a replica to answer a token with an existing pair.
func (r rollout) checkSame(at *service, presented, want testservice.Pair) {
	r.t.Helper()
	if got := r.exchange(at, presented); got != want {
		r.t.Errorf("%s: a replica gives other tokens than another one", r.name)
	}
}

// age has the pair issued that long ago, however long it has been. Of what a token says, an access token's iat changes.
func (r rollout) age(pair testservice.Pair, ago time.Duration) {
	r.t.Helper()
	const query = `UPDATE "sessionStoreToken" SET ("issuedAt", "settledAt", "confirmedAt") = (
			SELECT "issuedAt" - "by", "settledAt" - "by", "confirmedAt" - "by" FROM (SELECT $2::interval - (now() - "issuedAt") AS "by") b)
		WHERE "session" = $1`
	if _, err := r.pool.Exec(r.t.Context(), query, pair.Session.ID, ago); err != nil {
		r.t.Fatal(err)
	}
}

// check requires the pair to say what it should, and both replicas to accept it and to say the same of
// it.
func (r rollout) check(pair testservice.Pair, made *service) {
	r.t.Helper()
	want, defaults := r.says, said{access: 300, refresh: 30 * 24 * 3600}
	if made == r.replicas[1] {
		defaults = said{access: 120, refresh: 48 * 3600}
	}
	access, refresh := read(r.t, pair.AccessToken), read(r.t, pair.RefreshToken)
	if access.Audience != want.audience || access.ClientID != want.clientID || access.ExpiresAt != access.IssuedAt+cmp.Or(want.access, defaults.access) {
		r.t.Errorf("%s: the access token says %+v, not %+v", r.name, access, want)
	}
	ends := refresh.IssuedAt + cmp.Or(want.refresh, defaults.refresh)
	if want.session != 0 {
		ends = min(ends, r.began+want.session)
	}
	if refresh.ExpiresAt != ends {
		r.t.Errorf("%s: the refresh token ends at %d, not at %d", r.name, refresh.ExpiresAt, ends)
	}
	var states [2]string
	for i, replica := range r.replicas {
		if status := replica.Current(pair.AccessToken); status != http.StatusOK {
			r.t.Errorf("%s: a strict check: %d", r.name, status)
		}
		if status, answer := replica.Send(http.MethodGet, replica.Public+"/v1/me/sessions", pair.AccessToken, nil); status != http.StatusOK {
			r.t.Errorf("%s: a route that does not ask: %d %s", r.name, status, answer)
		}
		_, states[i] = replica.Send(http.MethodPost, replica.Internal+"/oauth2/introspect", testKey, url.Values{"token": {pair.AccessToken}})
	}
	if states[0] != states[1] || !strings.Contains(states[0], `"active":true`) {
		r.t.Errorf("%s: introspection says %s and %s", r.name, states[0], states[1])
	}
}

// claims are some of a token's.
type claims struct {
	Audience  string `json:"aud"`
	ClientID  string `json:"client_id"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
}

func read(t *testing.T, token string) (c claims) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %s", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}
