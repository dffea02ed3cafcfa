package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	settings := env{"LATCHKEY_DATABASE_URL": emptyDatabase(t)}

	plan := mustLine(t, settings, "migrate", "--dry-run")
	for _, want := range []string{"-- would run job queue: ", "-- would run 00001_sessions.sql\n", `CREATE TABLE IF NOT EXISTS "sessionStore" (`} {
		if !strings.Contains(plan, want) {
			t.Errorf("migrate --dry-run does not say %q:\n%s", want, plan)
		}
	}
	if strings.Contains(plan, "DROP TABLE \"sessionStore") || strings.Contains(plan, "+goose") {
		t.Errorf("migrate --dry-run shows more than what would run:\n%s", plan)
	}
	status := mustLine(t, settings, "migrate", "status")
	if n := tables(t, settings["LATCHKEY_DATABASE_URL"]); n != 0 {
		t.Fatalf("to look made %d tables", n)
	}
	if !strings.Contains(status, "pending") || !strings.HasPrefix(status, "MIGRATION") {
		t.Errorf("status before:\n%s", status)
	}
	up := mustLine(t, settings, "migrate")
	for line := range strings.Lines(up) {
		if !regexp.MustCompile(`^migrated .+ in [0-9.]+m?s\n$`).MatchString(line) {
			t.Errorf("up: %q", line)
		}
	}
	if !strings.Contains(up, "migrated 00001_") || !strings.Contains(up, "migrated job queue: ") {
		t.Errorf("up:\n%s", up)
	}
	if again := mustLine(t, settings, "migrate", "up"); again != "the database schema is up to date\n" {
		t.Errorf("again: %q", again)
	}
	var list struct {
		Migrations []struct {
			Name      string `json:"name"`
			AppliedAt string `json:"applied_at"`
		} `json:"migrations"`
	}
	if err := json.Unmarshal([]byte(mustLine(t, settings, "migrate", "status", "--json")), &list); err != nil || len(list.Migrations) == 0 {
		t.Fatal(err, list)
	}
	for _, m := range list.Migrations {
		if m.AppliedAt == "" {
			t.Errorf("%s is still pending", m.Name)
		}
	}
	before := tables(t, settings["LATCHKEY_DATABASE_URL"])
	if plan := mustLine(t, settings, "migrate", "--dry-run"); plan != "would run nothing\n" {
		t.Errorf("migrate --dry-run at the end:\n%s", plan)
	}
	if plan := mustLine(t, settings, "migrate", "down", "--dry-run", "--to=3"); !strings.Contains(plan, "-- would undo 00004_revocation_epoch.sql\n\nDROP TRIGGER") ||
		strings.Contains(plan, "00003_") {
		t.Errorf("down --dry-run:\n%s", plan)
	}
	if after := tables(t, settings["LATCHKEY_DATABASE_URL"]); after != before {
		t.Fatalf("%d tables were %d before a look", after, before)
	}
	down := mustLine(t, settings, "migrate", "down", "--yes")
	if !regexp.MustCompile(`^undid 000\d\d_\S+ in [0-9.]+m?s\n$`).MatchString(down) {
		t.Errorf("down: %q", down)
	}
	if down := mustLine(t, settings, "migrate", "down", "--to=3", "--yes"); !regexp.MustCompile(`^(undid .*\n)*undid 00004_\S+ in [0-9.]+m?s\n$`).MatchString(down) {
		t.Errorf("down --to: %q", down)
	}
	if r := line(settings, "cleanup"); r.code != 1 || !strings.Contains(r.stderr, "run `api migrate`") {
		t.Errorf("cleanup after down: exit code %d: %s", r.code, r.stderr)
	}
	if up := mustLine(t, settings, "migrate"); !strings.HasPrefix(up, "migrated 000") {
		t.Errorf("up again: %q", up)
	}
}

// tables counts those of the database, in all schemas.
func tables(t *testing.T, database string) int {
	t.Helper()
	return queryInt(t, database, `SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
}

// A schema that a newer program made is served.
func TestServeOnNewerSchema(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), newerSchema); err != nil {
		t.Fatal(err)
	}
	dir, settings := t.TempDir(), configure(t, database)
	s := start(t, dir, settings)
	if said := s.Stderr.String(); strings.Count(said, `"the database schema is newer than this program, which works"`) != 1 || !strings.Contains(said, `"schema":99`) {
		t.Errorf("said: %s", said)
	}
	store := newStore(t, database)
	_, pair, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Error(err)
	}
	if out := mustLine(t, settings, "migrate"); out != "the database schema is up to date\n" {
		t.Errorf("migrate: %q", out)
	}
	if out := mustLine(t, settings, "migrate", "status"); !strings.Contains(out, "00099, of a newer program ") {
		t.Errorf("migrate status: %q", out)
	}
	for _, args := range [][]string{{"migrate", "down", "--yes"}, {"migrate", "down", "--dry-run"}} {
		if r := line(settings, args...); r.code != 1 || !strings.Contains(r.stderr, "was made by a newer program") {
			t.Errorf("%v: %v", args, r)
		}
	}
}

// newerSchema is what an expanding migration does: another table, and columns that
// a program which does not know them need not fill.
const newerSchema = `
CREATE TABLE "sessionStoreFuture" ("id" uuid PRIMARY KEY);
ALTER TABLE "sessionStore" ADD COLUMN "future" text NULL, ADD COLUMN "futureCount" bigint NOT NULL DEFAULT 0;
ALTER TABLE "sessionStoreToken" ADD COLUMN "future" text NULL;
INSERT INTO latchkey_migrations ("version_id", "is_applied") VALUES (99, true)`

func TestSessions(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	settings := env{"LATCHKEY_DATABASE_URL": database}
	store := newStore(t, database)
	ids := make([]string, 3)
	for i, client := range []sessionstore.Client{{Label: "Ada's phone"}, {UserAgent: "curl/8\x1b[2J\n"}, {IP: "192.0.2.7"}} {
		session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ada", Data: []byte(`{"secret":"of ada"}`), Client: client})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = session.ID.String()
	}

	r := line(settings, "sessions", "list", "--subject", "nobody")
	if want := (result{0, "", "no live sessions\n"}); r != want {
		t.Errorf("list of nobody: %v", r)
	}
	table := mustLine(t, settings, "sessions", "list", "--subject", "ada")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 4 || strings.Join(strings.Fields(lines[0]), " ") != "SESSION CREATED REFRESHED EXPIRES CLIENT" ||
		!strings.HasPrefix(lines[1], ids[2]+"  ") || !strings.HasSuffix(lines[1], "  192.0.2.7") ||
		!strings.HasPrefix(lines[2], ids[1]+"  ") || !strings.HasSuffix(lines[2], "  curl/8�[2J�") ||
		!strings.HasPrefix(lines[3], ids[0]+"  ") || !strings.HasSuffix(lines[3], "  Ada's phone") {
		t.Errorf("list:\n%s", table)
	}
	document := mustLine(t, settings, "sessions", "list", "--subject", "ada", "--json")
	if strings.Contains(table+document, "of ada") {
		t.Error("the list shows data")
	}
	if diff := cmp.Diff([]string{ids[2], ids[1], ids[0]}, sessionIDs(t, document)); diff != "" {
		t.Errorf("list --json (-want +got):\n%s", diff)
	}

	// One that does not exist does not save the next one.
	r = line(settings, "sessions", "revoke", uuid.Nil.String(), ids[0])
	if want := (result{1, "revoked " + ids[0] + "\n", "api: session " + uuid.Nil.String() + ": no such session\n"}); r != want {
		t.Errorf("revoke: %v, want %v", r, want)
	}
	if out := mustLine(t, settings, "sessions", "revoke", ids[0]); out != "revoked "+ids[0]+"\n" {
		t.Errorf("revoke again: %q", out)
	}
	if out := mustLine(t, settings, "sessions", "revoke", "--subject", "ada"); out != "revoked 2 sessions\n" {
		t.Errorf("revoke --subject: %q", out)
	}
	if got := sessionIDs(t, mustLine(t, settings, "sessions", "list", "--subject", "ada", "--json")); len(got) != 0 {
		t.Errorf("still live: %v", got)
	}

	// Now they are among those that ended, with the reason.
	table = mustLine(t, settings, "sessions", "list", "--subject", "ada", "--ended", "--since=1h", "--label=Ada's phone")
	lines = strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 2 || strings.Join(strings.Fields(lines[0]), " ") != "SESSION CREATED REFRESHED ENDED REASON BY CLIENT" ||
		!regexp.MustCompile("^"+ids[0]+`  \S+Z  never +\S+Z  operator  \S+@\S+  Ada's phone$`).MatchString(lines[1]) {
		t.Errorf("list --ended:\n%s", table)
	}
}

// Support looks up who ended whose sessions, and why one ended.
func TestEndedSessions(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	settings, dir := env{"LATCHKEY_DATABASE_URL": database}, t.TempDir()
	store := newStore(t, database)
	created := map[string]sessionstore.Session{}
	for _, subject := range []string{"ada", "bob", "eve"} {
		session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: subject, Client: sessionstore.Client{Label: "phone", IP: "192.0.2.7"}})
		if err != nil {
			t.Fatal(err)
		}
		created[subject] = session
	}
	execute(t, database, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "subject" = 'eve'`)
	mustAPI(t, dir, settings, "sessions", "revoke", created["bob"].ID.String())
	mustAPI(t, dir, settings, "sessions", "revoke", "--all", "--yes")
	if all := mustAPI(t, dir, settings, "sessions", "list", "--ended"); strings.Contains(all, "all_signed_out") {
		t.Errorf("those that ended with everyone are listed one by one:\n%s", all)
	}
	if adas := mustAPI(t, dir, settings, "sessions", "list", "--ended", "--subject=ada"); !strings.Contains(adas, "all_signed_out") {
		t.Errorf("ada's:\n%s", adas)
	}
	if revoked := mustAPI(t, dir, settings, "sessions", "revoke", "--all", "--each", "--yes"); !strings.Contains(revoked, "signed everyone out in ") || !strings.Contains(revoked, "\nrevoked 1 session in ") {
		t.Errorf("revoke --all --each: %q", revoked)
	}

	want := []string{"ada all_signed_out", "bob operator", "eve not_recorded"}
	var got []string
	table := mustAPI(t, dir, settings, "sessions", "list", "--ended", "--address=192.0.2.0/24")
	for line := range strings.Lines(table) {
		cells := strings.Fields(line)
		got = append(got, cells[1]+" "+cells[5])
	}
	if diff := cmp.Diff(append([]string{"SUBJECT REASON"}, want...), got); diff != "" {
		t.Errorf("list --ended (-want +got):\n%s", diff)
	}
	r := apiIn(t, dir, settings, "sessions", "list", "--ended", "--limit=2", "--json")
	if ids := sessionIDs(t, r.stdout); len(ids) != 2 || r.stderr != "there may be more than these 2: --limit lists more\n" {
		t.Errorf("list --limit: %v", r)
	}
	for what, r := range map[string]result{
		"--since=1h":            {2, "", "api: sessions list: --since requires --ended (see api --help)\n"},
		"--ended --since=today": {2, "", "api: --since: it must be a duration, such as 24h, or a time, such as 2026-06-20T09:00:00Z (see api --help)\n"},
		"--limit=0":             {2, "", "api: sessions list: --limit must be 1 or more (see api --help)\n"},
		"--address=home":        {1, "", "api: address: neither an IP address nor a network in CIDR notation\n"},
		"--label=none":          {0, "", "no live sessions\n"},
		"--ended --label=none":  {0, "", "no ended sessions\n"},
	} {
		if got := apiIn(t, dir, settings, append([]string{"sessions", "list"}, strings.Fields(what)...)...); got != r {
			t.Errorf("%s: %v, want %v", what, got, r)
		}
	}

	shown := mustAPI(t, dir, settings, "sessions", "show", created["bob"].ID.String())
	if !regexp.MustCompile(`^session ` + created["bob"].ID.String() + ` of bob\n\S+Z  created from 192\.0\.2\.7, phone\n\S+Z  ended by the operator “\S+@\S+” \[operator\]\n$`).MatchString(shown) {
		t.Errorf("show:\n%s", shown)
	}
	// For a theft it says where the token came from.
	execute(t, database, `UPDATE "sessionStore" SET "endReason" = 'theft', "endedBy" = 'old', "theft" = '{"presented_by":{"ip":"198.51.100.23","user_agent":"curl/8.5\u001b[1A"}}' WHERE "subject" = 'eve'`)
	if shown := mustAPI(t, dir, settings, "sessions", "show", created["eve"].ID.String()); !strings.HasSuffix(shown, "Z  theft: a refresh token came back that had been replaced more than once, from 198.51.100.23, curl/8.5\ufffd[1A [theft]\n") {
		t.Errorf("show:\n%s", shown)
	}
	// One long subject makes no table too wide.
	if _, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: strings.Repeat("ü", 100)}); err != nil {
		t.Fatal(err)
	}
	if table := mustAPI(t, dir, settings, "sessions", "list"); !strings.Contains(table, "  "+strings.Repeat("ü", 63)+"…  ") {
		t.Errorf("list:\n%s", table)
	}
	execute(t, database, `UPDATE "sessionStoreToken" SET "generation" = 2, "issuedAt" = now() + interval '1 hour', "clientIp" = '192.0.2.8' WHERE "session" = '`+created["ada"].ID.String()+`'`)
	if shown := mustAPI(t, dir, settings, "sessions", "show", created["ada"].ID.String()); !strings.HasSuffix(shown, "Z  last refreshed from 192.0.2.8 (2 times in all)\n") {
		t.Errorf("show:\n%s", shown)
	}
	var document struct {
		Ended struct {
			Reason string `json:"reason"`
			By     string `json:"by"`
		} `json:"ended"`
	}
	if err := json.Unmarshal([]byte(mustAPI(t, dir, settings, "sessions", "show", "--json", created["bob"].ID.String())), &document); err != nil ||
		document.Ended.Reason != "operator" || !strings.Contains(document.Ended.By, "@") {
		t.Errorf("%+v, %v", document, err)
	}
	acted, _, err := store.Create(t.Context(), sessionstore.CreateParams{
		Subject: "ada", Actor: &tokens.Actor{Subject: "support-7"}, Authentication: &tokens.Authentication{AuthTime: time.Unix(1_767_225_600, 0), ACR: "gold", AMR: []string{"pwd"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if shown := mustAPI(t, dir, settings, "sessions", "show", acted.ID.String()); !strings.Contains(shown, "Z  created; authenticated 2026-01-01T00:00:00Z by pwd at level gold; support-7 acts for the subject\n") {
		t.Errorf("show:\n%s", shown)
	}
	shown = mustAPI(t, dir, settings, "sessions", "show", "--json", acted.ID.String())
	for _, member := range []string{`"client_id": "test"`, `"auth_time": 1767225600`, `"acr": "gold"`, `"amr": [`, `"sub": "support-7"`} {
		if !strings.Contains(shown, member) {
			t.Errorf("%s is missing:\n%s", member, shown)
		}
	}
	guest, _, err := store.Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	raised, _, err := store.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{Subject: "kim", Claims: []byte(`{"role":"editor"}`)})
	if err != nil {
		t.Fatal(err)
	}
	_, checksum, err := store.LoadClaims(t.Context(), raised.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.SetClaims(t.Context(), raised.ID, checksum, nil, sessionstore.SetClaimsOptions{Supersede: true}); err != nil {
		t.Fatal(err)
	}
	if shown := mustAPI(t, dir, settings, "sessions", "show", raised.ID.String()); !regexp.MustCompile(`^session \S+ of kim\n\S+Z  created; in place of session ` + guest.ID.String() + ` of nobody\n\S+Z  claims last replaced, or lifetimes shortened, with immediate effect\n\S+Z  expires`).MatchString(shown) {
		t.Errorf("show:\n%s", shown)
	}
	shown = mustAPI(t, dir, settings, "sessions", "show", "--json", raised.ID.String())
	for _, member := range []string{`"superseded_at": "`, `"replaces": {`, guest.ID.String()} {
		if !strings.Contains(shown, member) {
			t.Errorf("%s is missing:\n%s", member, shown)
		}
	}
	if r := apiIn(t, dir, settings, "sessions", "show", uuid.Nil.String()); r.code != 1 || r.stderr != "api: session "+uuid.Nil.String()+": no such session\n" {
		t.Errorf("%v", r)
	}
}

// A subject may have more sessions than a page of the list.
func TestSessionsListGoesThroughAllPages(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	store := newStore(t, database)
	for range 120 {
		if _, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ada", Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}

	ids := sessionIDs(t, mustLine(t, env{"LATCHKEY_DATABASE_URL": database}, "sessions", "list", "--subject", "ada", "--json"))
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(ids) != 120 || len(seen) != 120 {
		t.Errorf("%d sessions, %d different ones, want 120", len(ids), len(seen))
	}
}

func TestCleanup(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	settings := env{"LATCHKEY_DATABASE_URL": database}
	store := newStore(t, database)
	for i := range 3 {
		session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ada", Data: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			if err := store.Invalidate(t.Context(), session.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	execute(t, database, `UPDATE "sessionStore" SET "revokedAt" = "revokedAt" - interval '15 days' WHERE "revokedAt" IS NOT NULL`)

	const none = `0 sessions \(0 expired, 0 revoked\) and 0 token pairs in 0 batches, \S+s\n`
	const two = `2 sessions \(0 expired, 2 revoked\) and 2 token pairs in [01] batches, \S+s\n`
	const left = `oldest left: ended \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, 360h0m\ds ago\n`
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"--dry-run"}, "would remove " + two + left},
		{[]string{"--cleanup-retention=400h"}, "removed " + none + left},
		{nil, "removed " + two},
		{nil, "removed " + none},
	} {
		r := line(settings, append([]string{"cleanup"}, step.args...)...)
		if r.code != 0 || !regexp.MustCompile("^"+step.want+"$").MatchString(r.stdout) || r.stderr != "" {
			t.Errorf("cleanup %v: exit code %d: %s%s, want %s", step.args, r.code, r.stdout, r.stderr, step.want)
		}
	}
}

func TestCleanupTellsAScript(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	expire(t, database, 3)
	for _, args := range [][]string{{"--dry-run"}, nil} {
		var summary map[string]any
		if err := json.Unmarshal([]byte(mustLine(t, env{"LATCHKEY_DATABASE_URL": database}, append([]string{"cleanup", "--json"}, args...)...)), &summary); err != nil {
			t.Fatal(err)
		}
		if seconds, ok := summary["seconds"].(float64); !ok || seconds <= 0 {
			t.Errorf("%v", summary)
		}
		delete(summary, "seconds")
		want := map[string]any{"dry_run": false, "expired": 3., "revoked": 0., "aged": 0., "superfluous": 0., "sessions": 3., "pairs": 3., "batches": 1.}
		if args != nil {
			want["dry_run"], want["batches"] = true, 0.
			want["oldest_left"] = time.Now().UTC().AddDate(0, 0, -29).Format(time.DateOnly) + "T00:00:00Z"
		}
		if diff := cmp.Diff(want, summary); diff != "" {
			t.Errorf("--json %v (-want +got):\n%s", args, diff)
		}
	}
}

// expire makes n sessions that expired 30 days ago.
func expire(t *testing.T, database string, n int) {
	t.Helper()
	execute(t, database, fmt.Sprintf(`
		WITH "made" AS (INSERT INTO "sessionStore" ("checksum", "data") SELECT '', '{}' FROM generate_series(1, %d) RETURNING "id")
		INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT "id", now() - interval '60 days', now() - interval '30 days', (now() AT TIME ZONE 'UTC')::date - 30, now() - interval '60 days' FROM "made"`, n))
}

// A run that is killed in the middle of a batch loses nothing, and the next one continues.
func TestCleanupIsKilled(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	const all = 3000
	expire(t, database, all)
	// It comes no further than half way, however fast it is.
	execute(t, database, `
		CREATE SEQUENCE "removed";
		CREATE FUNCTION "pause"() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN IF nextval('"removed"') > 1500 THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN OLD; END $$;
		CREATE TRIGGER "pause" BEFORE DELETE ON "sessionStore" FOR EACH ROW EXECUTE FUNCTION "pause"()`)
	release := hold(t, database, `SELECT pg_advisory_xact_lock(1)`)
	s := launch(t, t.TempDir(), env{"LATCHKEY_DATABASE_URL": database}, "cleanup")
	awaitBlocked(t, database, "latchkey-tasks", "")
	s.Signal(syscall.SIGKILL)
	s.Wait()
	release()
	const connections = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'latchkey-tasks'`
	testservice.Await(t, "the end of its connections", func() bool { return queryInt(t, database, connections) == 0 })
	left := queryInt(t, database, `SELECT count(*) FROM "sessionStore"`)
	if left == 0 || left == all {
		t.Fatalf("%d of %d sessions are left: it was not killed in the middle", left, all)
	}
	if halves := queryInt(t, database, `SELECT count(*) FROM "sessionStore" s FULL JOIN "sessionStoreToken" t ON t."session" = s."id"
		WHERE s."id" IS NULL OR t."id" IS NULL`); halves != 0 {
		t.Errorf("%d sessions are there in part", halves)
	}
	if out, want := mustLine(t, env{"LATCHKEY_DATABASE_URL": database}, "cleanup"), fmt.Sprintf("removed %d sessions (", left); !strings.HasPrefix(out, want) {
		t.Errorf("the next run: %q, want %q", out, want)
	}
}

// A person sees a progress bar, which is removed at the end.
func TestCleanupOnATerminal(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	expire(t, database, 2000)
	cmd := testservice.Command(t.Context(), t.TempDir(), env{"LATCHKEY_DATABASE_URL": database}, "cleanup")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 25, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = terminal.Close() }()
	said, _ := io.ReadAll(terminal) // Linux ends it with an error
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %q", err, said)
	}
	if !regexp.MustCompile(`token pairs removed +\d+% +\|█+ +\| \(\d+/2000, \d+ it/s\)`).Match(said) {
		t.Errorf("no bar: %q", said)
	}
	if !regexp.MustCompile(`[\r\n\x1b\[K ]removed 2000 sessions \(2000 expired, 0 revoked\) and 2000 token pairs in \d+ batches, [^\r]+\r\n$`).Match(said) {
		t.Errorf("no summary at its end: %q", said)
	}
}

func TestCleanupIsInterrupted(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)

	defer lockSessions(t, database)()
	s := launch(t, t.TempDir(), env{"LATCHKEY_DATABASE_URL": database}, "cleanup")
	awaitBlocked(t, database, "latchkey-tasks", "")
	if code := s.End(syscall.SIGINT); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.HasPrefix(s.Stdout.String(), "removed 0 ") || s.Stderr.String() != "api: interrupted\n" {
		t.Errorf("printed %s%s", s.Stdout, s.Stderr)
	}
}

func newStore(t *testing.T, database string) *sessionstore.Store {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store, err := sessionstore.New(pool, testkeys.Ring(t), sessionstore.Config{Tokens: tokens.Config{Issuer: "https://login.example.com", Audience: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func execute(t *testing.T, database, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func sessionIDs(t *testing.T, document string) (ids []string) {
	t.Helper()
	var list struct {
		Sessions []struct {
			ID string `json:"id"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal([]byte(document), &list); err != nil {
		t.Fatal(err)
	}
	for _, session := range list.Sessions {
		ids = append(ids, session.ID)
	}
	return ids
}
