package main_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/auditschema"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	backup = `
CREATE SCHEMA backup;
CREATE TABLE backup.session AS TABLE "sessionStore";
CREATE TABLE backup.token AS TABLE "sessionStoreToken";`
	// A restore makes triggers after the rows.
	restore = `
SET session_replication_role = replica;
DELETE FROM "sessionStoreToken"; DELETE FROM "sessionStore";
INSERT INTO "sessionStore" SELECT * FROM backup.session;
INSERT INTO "sessionStoreToken" SELECT * FROM backup.token;`
	// clientsComeLater has what was issued just now look as if it were issued an hour ago.
	clientsComeLater = `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 hour', "settledAt" = "settledAt" - interval '1 hour'`
)

// revokedSince is how docs/operations.md compares the times of events with that of
// the backup.
func revokedSince(event, backup string) bool { return event[:19] >= backup[:19] }

// Revocations in the second of the backup, after it began, are repeated.
func TestRevokedInTheSecondOfTheBackup(t *testing.T) {
	t.Parallel()
	const began = "2026-11-21T08:42:26Z"
	for event, want := range map[string]bool{
		"2026-11-21T08:42:25.999Z": false, "2026-11-21T08:42:26Z": true, "2026-11-21T08:42:26.5Z": true, "2026-11-21T08:42:27Z": true,
	} {
		if got := revokedSince(event, began); got != want {
			t.Errorf("%s: %t", event, got)
		}
	}
	doc := readFile(t, "../..", "docs/operations.md")
	if n := strings.Count(doc, "select(.time[:19] >= $since[:19] and"); n != 3 {
		t.Errorf("the procedure compares times so %d times, want 3", n)
	}
}

// The effect of a restore on tokens, and the repetition of revocations since the backup, are as docs/operations.md
// describes them.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings := configure(t, testdb.URL(t)).With(env{"LATCHKEY_AUDIT_LOG": filepath.Join(dir, "audit.log")})
	database := settings["LATCHKEY_DATABASE_URL"]
	s := start(t, dir, settings)
	refreshed := s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	revoked := s.CreateSession(testKey, `{"subject":"bob","data":{}}`)
	signedOut := s.CreateSession(testKey, `{"subject":"cid","data":{}}`)
	s.End(syscall.SIGINT)
	since := time.Now().UTC().Format(time.RFC3339)
	execute(t, database, backup)

	s = start(t, dir, settings)
	for range 2 {
		code, answer := s.Refresh(refreshed.RefreshToken)
		if code != http.StatusOK {
			t.Fatalf("%d %s", code, answer)
		}
		id := refreshed.Session.ID
		refreshed = testservice.ParsePair(t, answer)
		refreshed.Session.ID = id
		execute(t, database, clientsComeLater)
	}
	created := s.CreateSession(testKey, `{"subject":"dan","data":{}}`)
	mustLine(t, settings, "sessions", "revoke", revoked.Session.ID)
	if code, _ := s.Send(http.MethodDelete, s.Internal+"/v1/sessions?subject=cid", testKey, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	s.End(syscall.SIGINT)
	execute(t, database, restore)

	s = start(t, dir, settings)
	if code, answer := s.Refresh(refreshed.RefreshToken); code != http.StatusOK {
		t.Errorf("a session that was refreshed since: %d %s", code, answer)
	}
	s.Await("the line in the log", func() bool { return strings.Contains(s.Stderr.String(), `"outcome":"healed"`) })
	if code, answer := s.Refresh(created.RefreshToken); code != http.StatusBadRequest || !strings.Contains(answer, "invalid_grant") {
		t.Errorf("a session that was created since: %d %s", code, answer)
	}
	for _, pair := range []testservice.Pair{revoked, signedOut} {
		if code, _ := s.Refresh(pair.RefreshToken); code != http.StatusOK {
			t.Errorf("a session that was revoked since is not live again: %d", code)
		}
	}
	for _, e := range auditschema.Events(t, readFile(t, dir, "audit.log")) {
		if !revokedSince(fmt.Sprint(e["time"]), since) {
			continue
		}
		switch e["event"] {
		case "session.revoked":
			mustLine(t, settings, "sessions", "revoke", fmt.Sprint(e["session_id"]))
		case "sessions.revoked":
			mustLine(t, settings, "sessions", "revoke", "--subject", fmt.Sprint(e["subject"]))
		}
	}
	for _, pair := range []testservice.Pair{revoked, signedOut} {
		if code, _ := s.Refresh(pair.RefreshToken); code != http.StatusBadRequest {
			t.Errorf("a session that was revoked once more: %d", code)
		}
	}
}
