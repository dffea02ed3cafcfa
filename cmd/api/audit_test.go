package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/auditschema"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// unaudited are the commands that change no session and no key of a running service.
var unaudited = []string{
	"data", "data keys", "data keys generate", "data keys list", "data keys promote", "data keys remove", "data reencrypt", // reseals unchanged data
	"", "keys", "keys export", "keys generate", "keys init", "keys list", "migrate", "migrate down", "migrate status", "migrate up",
	"sessions", "sessions list", "sessions show", "shards", "shards list", "shards remove", "events", "events dead", "console", "health", "version", // the page has a place for what is done there
}

// Each command either has a place for its audit event or is known to give none.
func TestEachCommandIsAuditedOrNot(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "help*.txt"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		command := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, "help"), "-"), "-", " ")
		audited := strings.Contains(readFile(t, file), "--audit-log=")
		if command == "" {
			continue // it is serve
		}
		if known := slices.Contains(unaudited, command); audited == known {
			t.Errorf("api %s: has a place for events: %v; listed as a command without: %v", command, audited, known)
		}
	}
}

// Whatever an operator changes, the trail has one event of it, and whose it was.
func TestOperatorsAreAudited(t *testing.T) {
	t.Parallel()
	settings, dir := keysInDatabase(t), t.TempDir()
	start(t, dir, settings).End(syscall.SIGINT) // it makes the first key
	settings["LATCHKEY_AUDIT_LOG"] = filepath.Join(dir, "audit.log")
	store := newStore(t, settings["LATCHKEY_DATABASE_URL"])
	create := func(subject string) string {
		t.Helper()
		session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		return session.ID.String()
	}
	kids := regexp.MustCompile(`(?m)^\S{36}`)
	ada := create("ada")
	create("bob")
	create("bob")
	create("")
	firstKey := kids.FindString(mustLine(t, settings, "keys", "list"))
	var newKey string

	for _, step := range []struct {
		args []string
		want map[string]any
	}{
		{[]string{"sessions", "revoke", ada}, map[string]any{"event": "session.revoked", "session_id": ada, "subject": "ada", "client_id": "test", "reason": "requested"}},
		{[]string{"sessions", "revoke", ada}, nil}, // once more
		{[]string{"sessions", "revoke", "--subject=bob"}, map[string]any{"event": "sessions.revoked", "subject": "bob", "count": 2., "clients": map[string]any{"test": 2.}, "reason": "requested"}},
		{[]string{"sessions", "revoke", "--all", "--yes"}, map[string]any{"event": "sessions.revoked", "all": true, "reason": "requested"}},
		{[]string{"sessions", "revoke", "--all", "--each", "--yes"}, map[string]any{"event": "sessions.revoked", "all": true, "reason": "requested"}},
		{[]string{"keys", "rotate"}, map[string]any{"event": "signing_key.rotated", "key_id": "new"}},
		{[]string{"keys", "rotate"}, nil},
		{[]string{"keys", "revoke", firstKey}, map[string]any{"event": "signing_key.revoked", "key_id": firstKey}},
		{[]string{"cleanup", "--cleanup-session-max-age=1h", "--dry-run"}, nil},
		{[]string{"cleanup", "--cleanup-session-max-age=1h"}, map[string]any{"event": "sessions.removed", "count": 1., "reason": "max_age"}},
	} {
		if slices.Contains(step.args, "--dry-run") {
			execute(t, settings["LATCHKEY_DATABASE_URL"], anOldSession)
		}
		_ = os.Remove(settings["LATCHKEY_AUDIT_LOG"])
		out := mustLine(t, settings, step.args...)
		events := auditschema.Events(t, readFile(t, settings["LATCHKEY_AUDIT_LOG"]))
		if newKey == "" && step.args[1] == "rotate" {
			newKey = regexp.MustCompile(`made key (\S+)`).FindStringSubmatch(out)[1]
		}
		if step.want == nil {
			if len(events) != 0 {
				t.Errorf("api %s changed nothing and gave %v", strings.Join(step.args, " "), events)
			}
			continue
		}
		if len(events) != 1 {
			t.Errorf("api %s gave %d events: %v", strings.Join(step.args, " "), len(events), events)
			continue
		}
		e := events[0]
		actor, _ := e["actor"].(map[string]any)
		if id, _ := actor["id"].(string); actor["type"] != "operator" || !strings.Contains(id, "@") {
			t.Errorf("actor %v", actor)
		}
		for _, varies := range []string{"time", "id", "actor"} {
			delete(e, varies)
		}
		if e["key_id"] == newKey && newKey != "" {
			e["key_id"] = "new"
		}
		if diff := cmp.Diff(step.want, e); diff != "" {
			t.Errorf("api %s (-want +got):\n%s", strings.Join(step.args, " "), diff)
		}
	}
}

// anOldSession is live, and two years old by its id and its time.
const anOldSession = `
WITH made AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt")
  VALUES ('01930000-0000-7000-8000-000000000000', '', '{}', now() - interval '2 years', now()) RETURNING "id"
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
SELECT '01930000-0000-7000-8000-000000000001', "id", now(), now() + interval '1 day', (now() + interval '1 day')::date, now() FROM made`

// The service writes its events to the configured place, separate from its log and its greeting.
func TestServiceWritesAuditEvents(t *testing.T) {
	t.Parallel()
	settings, dir := configure(t, testdb.URL(t)), t.TempDir()
	file := filepath.Join(dir, "audit.log")
	for _, target := range []string{"stdout", file} {
		s := start(t, dir, settings.With(env{"LATCHKEY_AUDIT_LOG": target}))
		s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
		s.End(syscall.SIGINT)
		written := s.Stdout.String()
		if target == file {
			if written != "" {
				t.Errorf("standard output has %q", written)
			}
			written = readFile(t, file)
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Error(info.Mode(), err)
			}
		}
		events := auditschema.Events(t, written)
		if len(events) != 1 || events[0]["event"] != "session.created" || events[0]["subject"] != "ada" {
			t.Errorf("%s: %v", target, events)
		}
		if strings.Contains(s.Stderr.String(), "session.created") {
			t.Error("the log has the event too")
		}
	}
}

// A place that cannot be written is found before anything is served.
func TestAuditLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := apiIn(t, dir, configure(t, testdb.URL(t)).With(env{"LATCHKEY_AUDIT_LOG": filepath.Join(dir, "nowhere", "audit.log"), "LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}))
	if r.code != 1 || !strings.HasPrefix(r.stderr, "api: LATCHKEY_AUDIT_LOG: open ") || !strings.HasSuffix(r.stderr, ": no such file or directory\n") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

// A full disk delays no request, and is reported.
func TestAuditLogWithoutRoom(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("only Linux has a disk that is always full")
	}
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"LATCHKEY_AUDIT_LOG": "/dev/full"}))
	for range 5 { // nothing makes room: a request that waited for it would not be answered
		s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	}
	s.Await("the cause in the log", func() bool {
		log := s.Stderr.String()
		return strings.Contains(log, "audit events cannot be written, and are kept for now") && strings.Contains(log, "no space left on device")
	})
	if code, metrics := s.Send(http.MethodGet, s.Internal+"/metrics", "", nil); code != http.StatusOK || !regexp.MustCompile(`(?m)^latchkey_audit_write_failures_total [1-9]`).MatchString(metrics) {
		t.Errorf("%d: no failures are counted", code)
	}
	s.End(syscall.SIGKILL) // it would wait for room
}
