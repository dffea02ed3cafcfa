package main_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The program on distributed schemas of Citus, with a role that is not a superuser: migrations, rights,
// sessions, sign-outs, reports of thefts, cleanup and the removal of a shard.
func TestShardsOnCitus(t *testing.T) {
	t.Parallel()
	coordinator := os.Getenv("TEST_CITUS_URL")
	if coordinator == "" {
		t.Skip("TEST_CITUS_URL names no Citus cluster")
	}
	name := "latchkey_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(t, coordinator, `CREATE ROLE `+name+` LOGIN`)
	t.Cleanup(func() { dropRole(t, coordinator, name) })
	database := strings.TrimPrefix(mustParse(t, coordinator).Path, "/")
	execute(t, coordinator, `GRANT CREATE ON DATABASE "`+database+`" TO `+name)
	s := &sharded{t: t}
	for _, shard := range []string{"a", "b", "c"} {
		schema := name + "_" + shard
		execute(t, changeURL(t, coordinator, func(u *url.URL) { setQuery(u, "citus.enable_schema_based_sharding", "on") }), `CREATE SCHEMA `+schema+` AUTHORIZATION `+name)
		s.urls = append(s.urls, changeURL(t, coordinator, func(u *url.URL) {
			setQuery(u, "search_path", schema)
			u.User = url.User(name)
		}))
	}
	s.settings = configure(t, s.urls[0]).With(s.shards(1, 1))
	mustAPI(t, t.TempDir(), s.settings, "migrate")
	if again := mustAPI(t, t.TempDir(), s.settings, "migrate"); strings.Contains(again, "migrated ") {
		t.Errorf("migrate, again: %q", again)
	}
	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	for i := range all {
		stolen := all[i]
		for range 2 {
			if status := s.refresh(api, &all[i]); status != http.StatusOK {
				t.Fatalf("a refresh on shard %d: %d", i, status)
			}
			change(t, s.urls[i], `UPDATE "sessionStoreToken" SET "issuedAt" = now() - interval '1 h', "settledAt" = now() - interval '1 h'`)
		}
		if status := s.refresh(api, &stolen); status != http.StatusBadRequest {
			t.Errorf("a stolen token on shard %d: %d", i, status)
		}
		api.Await("report of the theft", func() bool {
			return strings.Contains(api.Stderr.String(), "a refresh token was stolen") && strings.Contains(api.Stderr.String(), all[i].id)
		})
		if status := s.refresh(api, &all[i]); status != http.StatusBadRequest {
			t.Errorf("a refresh after the theft on shard %d: %d", i, status)
		}
	}
	for i := range all {
		change(t, s.urls[i], `UPDATE "sessionStore" SET "revokedAt" = now() - interval '30 days' WHERE "revokedAt" IS NOT NULL`)
	}
	if cleaned := mustAPI(t, t.TempDir(), s.settings, "cleanup"); strings.Count(cleaned, "removed 1 sessions (0 expired, 1 revoked)") != len(all) {
		t.Errorf("cleanup: %q", cleaned)
	}
	mustAPI(t, t.TempDir(), s.settings, "sessions", "list")
	mustAPI(t, t.TempDir(), s.settings, "sessions", "revoke", "--all", "--yes")
	api.Stop()
	drained := s.settings.With(s.shards(1, 0))
	if got := s.list(drained); got["first"] != "open" || got["east"] != "open" || got["west"] != "empty" {
		t.Errorf("shards list: %v", got)
	}
	mustAPI(t, t.TempDir(), drained, "shards", "remove", "west")
	for _, line := range complaints(api) {
		if !strings.Contains(line, "a refresh token was stolen") {
			t.Errorf("logged: %s", line)
		}
	}
}

// dropRole drops a role with its schemas, those of job queues first. The test's context has ended.
func dropRole(t *testing.T, database, role string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	const schemas = `SELECT 'DROP SCHEMA ' || quote_ident("nspname") || ' CASCADE' FROM pg_namespace WHERE "nspowner" = $1::text::regrole ORDER BY "nspname" LIKE 'latchkey_river%' DESC`
	rows, _ := conn.Query(ctx, schemas, role) // rows have its error
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Error(err)
	}
	for _, statement := range append(statements, `DROP OWNED BY `+role, `DROP ROLE `+role) {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func setQuery(u *url.URL, name, value string) {
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
}

// The service on schemas that Citus distributes: signing keys in PostgreSQL are replaced, session data is
// sealed and sealed again, and the operators' page shows and ends the sessions of all shards.
func TestKeysAndDataOnCitus(t *testing.T) {
	t.Parallel()
	if !testdb.HasCitus() {
		t.Skip("TEST_CITUS_URL names no Citus cluster")
	}
	const note = "only-the-backend-may-read-this"
	s := &sharded{t: t, urls: testdb.CitusURLs(t, 3)}
	file := filepath.Join(t.TempDir(), "keyset.json")
	generateDataKey(t, file, "it seals")
	s.settings = configure(t, s.urls[0]).With(s.shards(1, 1)).With(env{
		"LATCHKEY_SIGNING_KEYS_FILE": "", "LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("a"), "LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE": file,
	})
	s.settings["LATCHKEY_SERVICE_KEYS"] += ",grace:grace-may-see-and-end-sessions-0001:operator"
	mustAPI(t, t.TempDir(), s.settings, "migrate")

	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	for i := range all {
		all[i].pair = api.CreateSession(testKey, `{"subject":"`+all[i].subject+`","data":{"note":"`+note+`"}}`)
		all[i].id = all[i].pair.Session.ID
		if strings.Contains(rowsOf(t, s.urls[i]), note) {
			t.Errorf("shard %d shows session data", i)
		}
	}

	// The signing keys.
	first := signer(t, all[0].pair.AccessToken)
	mustLine(t, s.settings, "keys", "rotate")
	if printed := mustLine(t, s.settings, "keys", "rotate", "--now"); !strings.Contains(printed, "it signs now") {
		t.Errorf("rotate --now printed %q", printed)
	}
	api.Await("the new signature", func() bool { return signer(t, s.create(api, "later").pair.AccessToken) != first })
	for i := range all {
		if status := api.Current(all[i].pair.AccessToken); status != http.StatusOK {
			t.Errorf("a token of the replaced key, on shard %d: %d", i, status)
		}
		if status := s.refresh(api, &all[i]); status != http.StatusOK || signer(t, all[i].pair.AccessToken) == first {
			t.Errorf("a refresh on shard %d: %d", i, status)
		}
	}

	mustLine(t, s.settings, "keys", "revoke", first)
	api.Await("the end of the first key", func() bool { kids, _, _ := api.publishedKeys(); return !slices.Contains(kids, first) })

	// The key of the data.
	api.End(syscall.SIGTERM)
	second := generateDataKey(t, file, opensOnly)
	mustLine(t, nil, "data", "keys", "promote", second, "--file", file)
	api = start(t, t.TempDir(), s.settings)
	if printed := mustAPI(t, t.TempDir(), s.settings, "data", "reencrypt"); !strings.Contains(printed, second) {
		t.Errorf("reencrypt: %q", printed)
	}
	for i, h := range all {
		if status, body := api.Send(http.MethodGet, api.Internal+"/v1/sessions/"+h.id, testKey, nil); status != http.StatusOK || !strings.Contains(body, note) {
			t.Errorf("the data on shard %d: %d %s", i, status, body)
		}
	}

	// The operators' page.
	link := strings.TrimSpace(mustLine(t, s.settings.With(env{"LATCHKEY_INTERNAL_ADDR": strings.TrimPrefix(api.Internal, "http://")}), "console"))
	_, path, _ := strings.Cut(link, "/console/")
	cookies := signIn(t, api.Internal+"/console/"+path, nil)
	for i, h := range all {
		for _, path := range []string{"/subject?id=" + url.QueryEscape(h.subject), "/sessions/" + h.id, "/?q=" + url.QueryEscape(h.subject), "/now"} {
			status, page := api.Send(http.MethodGet, api.Internal+"/console"+path, "", nil, "Cookie", cookies)
			if status != http.StatusOK || path != "/now" && !strings.Contains(page, h.subject) {
				t.Errorf("%s, on shard %d: %d %s", path, i, status, page)
			}
		}
	}
	if status, body := api.Send(http.MethodDelete, api.Internal+"/v1/sessions?subject="+all[1].subject, testKey, nil); status >= http.StatusBadRequest {
		t.Errorf("a sign-out everywhere: %d %s", status, body)
	}
	if status := s.refresh(api, &all[1]); status != http.StatusBadRequest {
		t.Errorf("a refresh after a sign-out everywhere: %d", status)
	}
	api.Stop()
	if log := api.Stderr.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log has errors:\n%s", log)
	}
}
